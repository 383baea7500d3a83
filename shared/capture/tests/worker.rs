//! Workers as real processes: what the sandbox takes from them, and what their end costs.
//!
//! The worker is this test program again, told to run one of the ignored tests below as its whole work. With one
//! test thread it runs on the main thread, as a worker does.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use image::{GrayImage, Luma};
use platen_capture::Limits;
use platen_capture::inspection::{ImageCodec, PageImage};
use platen_capture::ocr::{Engines, Layout};
use platen_capture::options::PdfA;
use platen_capture::worker::protocol::{self, BindInfo, Reply, Request};
use platen_capture::worker::workbench::Workbench;
use platen_capture::worker::{Pool, Program, sandbox, serve};
use platen_model::{FailureClass, PageRecord};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

const MEMORY_MB: u64 = 1_024;

fn arguments(child: &str) -> Vec<String> {
    ["--ignored", "--exact", "--nocapture", "--test-threads=1", child].map(Into::into).to_vec()
}

/// A pool of one worker which runs the given test.
fn pool(child: &str, limits: Limits) -> Pool {
    let arguments = arguments(child).into_iter().map(Into::into).collect();
    let path = std::env::current_exe().expect("this program has a path");
    Pool::new(Program { path, arguments }, 1, limits)
}

fn render(page: u32) -> Request {
    Request::Render { page, width_px: 100 }
}

const CRASH: u32 = 1;
const STARVE: u32 = 2;
const HANG: u32 = 3;
const DRIBBLE: u32 = 4;

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_fails_on_demand() -> Result<(), Box<dyn Error>> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    sandbox::enter(MEMORY_MB)?;
    let mut bench = Workbench::default();
    while let Some((request, files)) = protocol::receive::<Request>(&mut socket)? {
        match request {
            Request::Render { page: CRASH, .. } => panic!("a page like this was never seen"),
            Request::Render { page: STARVE, .. } => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(vec![1u8; 64 << 20]);
                }
            }
            Request::Render { page: HANG, .. } => loop {
                std::thread::park();
            },
            Request::Render { page: DRIBBLE, .. } => {
                socket.write_all(&1_000_000u32.to_be_bytes())?;
                loop {
                    socket.write_all(b" ")?;
                    std::thread::sleep(Duration::from_millis(50));
                }
            }
            other => protocol::send(&mut socket, &bench.answer(other, files), &[])?,
        }
    }
    Ok(())
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_serves() -> Result<(), Box<dyn Error>> {
    Ok(serve(MEMORY_MB)?)
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_tries_the_fence() -> Result<(), Box<dyn Error>> {
    let held = sandbox::enter(MEMORY_MB)?;
    let outcome = |what: io::Result<()>| what.map_err(|error| error.kind());
    println!("\nfiles held: {}, system calls held: {}", held.files, held.system_calls);
    println!("\nsocket: {:?}", outcome(TcpListener::bind("127.0.0.1:0").map(drop)));
    println!("\nprogram: {:?}", Err::<(), _>(Command::new("/bin/true").exec().kind()));
    println!("\nprocess: {:?}", outcome(Command::new("/bin/true").status().map(drop)));
    println!("\nthread: {:?}", std::thread::Builder::new().spawn(|| 7).map(|it| it.join().ok()));
    println!("\nread: {:?}", outcome(File::open("/etc/passwd").map(drop)));
    let written = std::env::temp_dir().join("platen-must-not-exist");
    println!("\nwrite: {:?}", outcome(File::create(written).map(drop)));
    println!("\nsignal: {:?}", outcome(signal_parent()));
    println!("\nlimits: {:?}", outcome(limit_parent()));
    Ok(())
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_writes_more_than_it_may_hold() -> Result<(), Box<dyn Error>> {
    let file = tempfile::tempfile()?;
    sandbox::enter(MEMORY_MB)?;
    file.write_all_at(b"%%EOF", (MEMORY_MB + 1) << 20)?;
    println!("\nwritten: {}", file.metadata()?.len());
    Ok(())
}

#[test]
fn a_pdf_may_be_longer_than_the_memory_of_the_worker_that_binds_it() {
    let program = std::env::current_exe().expect("this program has a path");
    let output = Command::new(program).args(arguments("child_that_writes_more_than_it_may_hold")).output();
    let said = String::from_utf8(output.expect("it runs").stdout).expect("text");
    assert!(said.contains(&format!("written: {}", ((MEMORY_MB + 1) << 20) + 5)), "{said}");
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_reads_with_little_memory_left() -> Result<(), Box<dyn Error>> {
    let statm = File::open("/proc/self/statm")?;
    sandbox::enter(MEMORY_MB)?;
    let mut engines = Engines::default();
    let bars =
        |side: u32| GrayImage::from_fn(side, side, |x, y| Luma([if x % 40 < y % 25 { 0 } else { 255 }]));
    engines.read(&bars(300), Some(300), Layout::Page, "eng")?;
    // Larger than what the C library may have put by for this thread.
    let page = bars(9_000);
    let mut pages = [0; 32];
    let count = statm.read_at(&mut pages, 0)?;
    let taken: u64 =
        String::from_utf8_lossy(&pages[..count]).split(' ').next().unwrap_or_default().parse()?;
    let most = getrlimit(Resource::As).maximum;
    setrlimit(Resource::As, Rlimit { current: Some((taken * 4096) + (1 << 20)), maximum: most })?;
    let read = engines.read(&page, Some(300), Layout::Page, "eng");
    setrlimit(Resource::As, Rlimit { current: most, maximum: most })?;
    println!("\nread: {:?}", read.map_err(|failure| (failure.class, failure.message)).map(drop));
    Ok(())
}

#[test]
fn a_page_for_which_tesseract_has_no_memory_passes_the_limit_by_name() {
    let program = std::env::current_exe().expect("this program has a path");
    let arguments = arguments("child_that_reads_with_little_memory_left");
    let child = Command::new(program).args(arguments).output().expect("run");
    let (said, complained) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    let refused = said.lines().find(|line| line.starts_with("read: ")).unwrap_or_default();
    assert!(
        refused.contains("OutOfMemory") && refused.contains("limits.worker_memory_mb"),
        "{said}{complained}"
    );
    // Who dies of it has said so before: the supervisor knows these words.
    assert!(complained.contains("Cannot allocate memory"), "{complained}");
}

/// Signal 0 to the parent, which does nothing but ask whether one could be sent.
fn signal_parent() -> io::Result<()> {
    let parent = rustix::process::getppid().ok_or(io::ErrorKind::NotFound)?;
    Ok(rustix::process::test_kill_process(parent)?)
}

/// Reads a limit of the parent, by the call that could set it.
fn limit_parent() -> io::Result<()> {
    let parent = rustix::process::getppid().ok_or(io::ErrorKind::NotFound)?;
    rustix::process::prlimit(
        Some(parent),
        rustix::process::Resource::Nofile,
        rustix::process::getrlimit(rustix::process::Resource::Nofile),
    )?;
    Ok(())
}

#[test]
fn inv7_a_worker_can_open_no_socket_no_program_no_process_and_no_file() {
    let program = std::env::current_exe().expect("this program has a path");
    let child = Command::new(program).args(arguments("child_that_tries_the_fence")).output().expect("run");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("system calls held: true"), "{said}{}", String::from_utf8_lossy(&child.stderr));
    for attempt in ["socket", "program", "signal", "limits"] {
        assert!(said.contains(&format!("{attempt}: Err(PermissionDenied)")), "{said}");
    }
    assert!(said.contains("process: Err(WouldBlock)"), "a second process would outlive its worker: {said}");
    assert!(said.contains("thread: Ok(Some(7))"), "{said}");
    if said.contains("files held: true") {
        for attempt in ["read", "write"] {
            assert!(said.contains(&format!("{attempt}: Err(PermissionDenied)")), "{said}");
        }
    } else {
        eprintln!("NOT CHECKED: this kernel has no Landlock, so nothing keeps a worker from opening files");
    }
}

/// What a worker says of its sandbox where the kernel answers this call as one that does not know it would.
#[track_caller]
fn check_held_without(call: libc::c_long, errno: libc::c_int, held: &str) {
    let without = SeccompFilter::new(
        [(call, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno.unsigned_abs()),
        std::env::consts::ARCH.try_into().expect("seccomp knows this machine"),
    );
    let without: BpfProgram = without.and_then(TryInto::try_into).expect("a filter");
    // The filter holds for a thread and what it starts.
    let started = std::thread::spawn(move || {
        seccompiler::apply_filter(&without).expect("it is entered");
        let program = std::env::current_exe().expect("this program has a path");
        Command::new(program).args(arguments("child_that_tries_the_fence")).output().expect("run")
    });
    let child = started.join().expect("it ends");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains(held), "{said}{}", String::from_utf8_lossy(&child.stderr));
}

#[test]
fn a_worker_of_a_kernel_without_landlock_or_seccomp_works_and_says_what_does_not_hold() {
    let no_files = "files held: false, system calls held: true";
    check_held_without(libc::SYS_landlock_create_ruleset, libc::ENOSYS, no_files);
    check_held_without(libc::SYS_landlock_create_ruleset, libc::EOPNOTSUPP, no_files);
    check_held_without(libc::SYS_seccomp, libc::ENOSYS, "system calls held: false");
    check_held_without(libc::SYS_seccomp, libc::EINVAL, "system calls held: false");
}

/// One request that ends the worker, and then one that must be answered as ever.
#[track_caller]
fn check_end(page: u32, limits: Limits, class: FailureClass, says: &str) {
    let pool = pool("child_that_fails_on_demand", limits);
    let file = tempfile::tempfile().expect("a file");
    let failure = pool.call(&render(page), &[file.as_fd(), file.as_fd()]).expect_err("it must fail");
    assert_eq!(failure.class, class, "{failure}");
    assert!(failure.message.contains(says), "{failure}");

    let pdf = tempfile::tempfile().expect("a file");
    let next = pool.call(&Request::BindBegin { info: info() }, &[pdf.as_fd()]);
    assert!(matches!(next, Ok(Reply::Noted)), "{next:?}");
}

fn info() -> BindInfo {
    BindInfo {
        title: String::new(),
        pdfa: PdfA::A2b,
        languages: "eng".into(),
        copy_of_signed: false,
        sources: Vec::new(),
    }
}

#[test]
fn a_crash_costs_one_request_and_says_why() {
    check_end(CRASH, Limits::default(), FailureClass::Internal, "a page like this was never seen");
}

#[test]
fn a_worker_that_needs_too_much_memory_is_said_to_be_out_of_memory() {
    check_end(STARVE, Limits::default(), FailureClass::OutOfMemory, "limits.worker_memory_mb");
}

#[test]
fn a_worker_that_hangs_is_ended_at_its_deadline() {
    let limits = Limits { page_seconds: 1, ..Limits::default() };
    check_end(HANG, limits, FailureClass::TimedOut, "limits.page_seconds");
}

#[test]
fn the_deadline_is_for_the_whole_answer_not_for_each_of_its_bytes() {
    let limits = Limits { page_seconds: 1, ..Limits::default() };
    check_end(DRIBBLE, limits, FailureClass::TimedOut, "limits.page_seconds");
}

#[test]
fn a_worker_says_what_its_sandbox_holds() {
    let held = pool("child_that_serves", Limits::default()).call(&Request::Sandbox, &[]);
    assert!(matches!(held, Ok(Reply::Held(sandbox)) if sandbox.system_calls), "{held:?}");
    let held = Pool::in_process(1).call(&Request::Sandbox, &[]);
    assert!(matches!(held, Ok(Reply::Held(sandbox)) if !sandbox.files && !sandbox.system_calls), "{held:?}");
}

#[test]
fn a_pdf_is_bound_and_shown_inside_the_sandbox() {
    let pool = pool("child_that_serves", Limits::default());
    let mut picture = tempfile::tempfile().expect("a file");
    let mut coded = io::Cursor::new(Vec::new());
    image::GrayImage::new(200, 300).write_to(&mut coded, image::ImageFormat::Jpeg).expect("a JPEG");
    picture.write_all(coded.get_ref()).expect("write");
    let bytes = coded.get_ref().len() as u64;
    let image = PageImage::plain(ImageCodec::Jpeg, (200, 300), 1, 8, bytes);
    let (pdf, png) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));

    let mut worker = pool.lease();
    worker.call(&Request::BindBegin { info: info() }, &[pdf.as_fd()]).expect("begun");
    let record = Box::new(PageRecord { width_px: 200, height_px: 300, dpi: 100, ..PageRecord::default() });
    worker.call(&Request::BindPage { image, record }, &[picture.as_fd()]).expect("added");
    let bound = worker.call(&Request::BindFinish, &[]).expect("finished");
    let length = pdf.metadata().expect("length").len();
    assert!(
        matches!(bound, Reply::Bound { bytes, pdfa: PdfA::A2b, .. } if bytes == length && length > 0),
        "{bound:?}"
    );
    let shown = worker.call(&render(0), &[pdf.as_fd(), png.as_fd()]).expect("shown");
    assert!(matches!(shown, Reply::Rendered { pages: 1 }), "{shown:?}");
}
