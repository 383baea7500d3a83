//! The supervisor's side: a fixed number of workers, lent one request or one PDF at a time.
//!
//! The pool never reads a document. A worker that crashes, runs out of memory or passes its deadline is
//! killed and named in the [`Failure`]; the next request gets a fresh one.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use platen_model::{Failure, FailureClass, Stage};

use crate::options::Limits;
use crate::worker::protocol::{self, Answer, Reply, Request};
use crate::worker::workbench::Workbench;

/// How much of a dead worker's last words are kept.
const LAST_WORDS_BYTES: usize = 2_048;
/// How long a dead worker's last words are waited for.
const LAST_WORDS_TIME: Duration = Duration::from_secs(1);

/// How to start a worker.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// This same program, started as `… worker --memory-mb N`. `/proc/self/exe` stays right while a package
    /// upgrade replaces the file on disk.
    pub fn this(limits: &Limits) -> Self {
        let memory = limits.worker_memory_mb.to_string();
        Self {
            path: "/proc/self/exe".into(),
            arguments: vec!["worker".into(), "--memory-mb".into(), memory.into()],
        }
    }
}

/// A pool of workers.
#[derive(Debug)]
pub struct Pool {
    program: Option<Program>,
    limits: Limits,
    size: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Worker>,
    lent: usize,
}

impl Pool {
    /// A pool of at most `size` workers, started when first needed.
    pub fn new(program: Program, size: usize, limits: Limits) -> Self {
        Self::with(Some(program), size, limits)
    }

    /// A pool that does the work in this process, without a sandbox: for tests of this crate.
    #[doc(hidden)]
    pub fn in_process(size: usize) -> Self {
        Self::with(None, size, Limits::default())
    }

    fn with(program: Option<Program>, size: usize, limits: Limits) -> Self {
        Self { program, limits, size: size.max(1), state: Mutex::default(), freed: Condvar::new() }
    }

    /// The most workers at work at once.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Borrows a worker, waiting until one is free.
    pub fn lease(&self) -> Lease<'_> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.lent >= self.size {
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        Lease { pool: self, worker: state.idle.pop() }
    }

    /// One request to any worker.
    pub fn call(&self, request: &Request, files: &[BorrowedFd<'_>]) -> Answer {
        self.lease().call(request, files)
    }
}

/// A borrowed worker. Requests that belong together (the pages of one PDF) use one lease.
#[derive(Debug)]
pub struct Lease<'p> {
    pool: &'p Pool,
    worker: Option<Worker>,
}

impl Lease<'_> {
    /// Asks the worker, and waits for its answer or its deadline.
    pub fn call(&mut self, request: &Request, files: &[BorrowedFd<'_>]) -> Answer {
        self.call_within(self.pool.limits.deadline(), request, files)
    }

    /// Asks the worker, and waits for its answer for a time that may be shorter than the limit.
    pub fn call_within(&mut self, time: Duration, request: &Request, files: &[BorrowedFd<'_>]) -> Answer {
        let stage = stage_of(request);
        // An idle worker may have been killed from outside; that must not cost the next request.
        let mut worker = match self.worker.take().and_then(Worker::if_alive) {
            Some(worker) => worker,
            None => Worker::start(self.pool.program.as_ref())
                .map_err(|error| Failure::of_io(stage, "cannot start a worker", &error).passing())?,
        };
        match worker.ask(request, files, time) {
            Ok(answer) => {
                if matches!(request, Request::Page { .. }) {
                    worker.pages += 1;
                }
                self.worker = Some(worker);
                answer
            }
            // The worker is gone or not to be trusted; it is dropped here, and killed by that.
            Err(error) => {
                let failure = worker.post_mortem(stage, &error, &self.pool.limits);
                Err(match request {
                    Request::Page { page, .. } => failure.on_page(*page),
                    _ => failure,
                })
            }
        }
    }

    /// Gives the worker up: the next request gets a fresh one.
    pub fn renew(&mut self) {
        self.worker = None;
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lent -= 1;
        if let Some(worker) = self.worker.take()
            && worker.pages < self.pool.limits.worker_pages
        {
            state.idle.push(worker);
        }
        self.pool.freed.notify_one();
    }
}

/// Has the C library ask for pages of 2 MiB where an allocation is as large as that: images are, and a tenth of a call is
/// spent on first touches of small pages otherwise. Whoever set it already has the last word.
fn with_large_pages(set: Option<OsString>) -> OsString {
    let mut tunables = OsString::from("glibc.malloc.hugetlb=1");
    if let Some(set) = set.filter(|set| !set.is_empty()) {
        tunables.push(":");
        tunables.push(set);
    }
    tunables
}

#[derive(Debug)]
struct Worker {
    hands: Hands,
    pages: u32,
}

#[derive(Debug)]
enum Hands {
    Process {
        child: Child,
        socket: UnixStream,
        last_words: Arc<Mutex<VecDeque<u8>>>,
        /// Closed when all that it said is read.
        said_all: Receiver<()>,
    },
    Here(Box<Workbench>),
}

impl Worker {
    fn start(program: Option<&Program>) -> io::Result<Self> {
        let Some(program) = program else {
            return Ok(Self { hands: Hands::Here(Box::default()), pages: 0 });
        };
        let (socket, theirs) = UnixStream::pair()?;
        let mut child = Command::new(&program.path)
            .args(&program.arguments)
            // Tesseract's own threads cost up to 30 times the time when several workers run.
            .env("OMP_THREAD_LIMIT", "1")
            .env("GLIBC_TUNABLES", with_large_pages(std::env::var_os("GLIBC_TUNABLES")))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let last_words = Arc::new(Mutex::new(VecDeque::new()));
        let (saying, said_all) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            let words = Arc::clone(&last_words);
            std::thread::spawn(move || {
                keep_last_words(stderr, &words);
                drop(saying);
            });
        }
        Ok(Self { hands: Hands::Process { child, socket, last_words, said_all }, pages: 0 })
    }

    /// The worker, unless its process has ended.
    fn if_alive(mut self) -> Option<Self> {
        let ended = match &mut self.hands {
            Hands::Process { child, .. } => !matches!(child.try_wait(), Ok(None)),
            Hands::Here(_) => false,
        };
        (!ended).then_some(self)
    }

    /// `Err` when the worker itself failed, `Ok(Err(_))` when it answered that the document did.
    fn ask(&mut self, request: &Request, files: &[BorrowedFd<'_>], time: Duration) -> io::Result<Answer> {
        match &mut self.hands {
            Hands::Process { socket, .. } => {
                let until = Instant::now() + time;
                protocol::ask(socket, request, files, until)?.ok_or(io::ErrorKind::UnexpectedEof.into())
            }
            Hands::Here(bench) => {
                let files = files.iter().map(|file| file.try_clone_to_owned()).collect::<io::Result<_>>()?;
                Ok(bench.answer(request.clone(), files))
            }
        }
    }

    fn post_mortem(mut self, stage: Stage, error: &io::Error, limits: &Limits) -> Failure {
        let Hands::Process { child, last_words, said_all, .. } = &mut self.hands else {
            return internal(stage, error.to_string());
        };
        if error.kind() == io::ErrorKind::TimedOut {
            let message =
                format!("passed the limit of {} s (capture.limits.page_seconds)", limits.page_seconds);
            return Failure::new(FailureClass::TimedOut, stage, message);
        }
        // It closed its socket, so it is ending: how, is told only if we do not kill it first.
        let (status, ended_by_itself) = end_of(child);
        // Not for ever: its standard error may be open elsewhere, in a message to us that nobody has read.
        let _ = said_all.recv_timeout(LAST_WORDS_TIME);
        let words: Vec<u8> =
            last_words.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let words = String::from_utf8_lossy(&words);
        let starved = ["memory allocation of", "bad_alloc", "Cannot allocate memory", "capacity overflow"];
        if starved.iter().any(|sign| words.contains(sign)) {
            let message = format!(
                "passed the limit of {} MiB (capture.limits.worker_memory_mb)",
                limits.worker_memory_mb
            );
            return Failure::new(FailureClass::OutOfMemory, stage, message);
        }
        let signal = status.as_ref().ok().and_then(ExitStatus::signal).filter(|_| ended_by_itself);
        if let Some(signal @ (libc::SIGKILL | libc::SIGTERM)) = signal {
            // None of ours: the kernel's, when the machine has no memory left, or a person's.
            let message = format!(
                "the worker was killed from outside (signal {signal}), as happens when the machine has no memory left"
            );
            return Failure::new(FailureClass::OutOfMemory, stage, message).passing();
        }
        let end = match status {
            Ok(status) => match status.signal() {
                Some(signal) => format!("signal {signal}"),
                None => status.to_string(),
            },
            Err(error) => error.to_string(),
        };
        internal(stage, format!("the worker ended by itself ({end}); it said: {}", reason_of_end(&words)))
    }
}

/// Waits for a process that is ending, and kills it if that takes long. Answers whether it ended by itself.
fn end_of(child: &mut Child) -> (io::Result<ExitStatus>, bool) {
    let until = Instant::now() + LAST_WORDS_TIME;
    while Instant::now() < until {
        if let Ok(Some(status)) = child.try_wait() {
            return (Ok(status), true);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    (child.wait(), false)
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Hands::Process { child, .. } = &mut self.hands {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn keep_last_words(mut stderr: impl Read, words: &Mutex<VecDeque<u8>>) {
    let mut buffer = [0u8; 1024];
    while let Ok(count) = stderr.read(&mut buffer)
        && count > 0
    {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend(&buffer[..count]);
        let excess = words.len().saturating_sub(LAST_WORDS_BYTES);
        words.drain(..excess);
    }
}

/// What a dead worker said: the message of its panic, or else its last line.
fn reason_of_end(words: &str) -> &str {
    let mut lines = words.lines().skip_while(|line| !line.contains(" panicked at "));
    let panic = lines.nth(1);
    let last = words.lines().rev().find(|line| !line.trim().is_empty());
    panic.or(last).unwrap_or("nothing")
}

fn internal(stage: Stage, message: String) -> Failure {
    Failure::new(FailureClass::Internal, stage, message)
}

fn stage_of(request: &Request) -> Stage {
    match request {
        Request::Inspect { .. } | Request::Ending { .. } => Stage::Inspect,
        Request::Page { .. } | Request::Picture { .. } | Request::Notice { .. } => Stage::Page,
        Request::BindBegin { .. }
        | Request::BindPage { .. }
        | Request::BindKept { .. }
        | Request::BindFinish => Stage::Bind,
        Request::Render { .. } | Request::RenderScan { .. } => Stage::Render,
        Request::PrepareSeal { .. }
        | Request::RevocationQuestions { .. }
        | Request::AddValidation { .. }
        | Request::CheckSignatures { .. } => Stage::Seal,
        Request::Sandbox => Stage::Inspect,
    }
}

/// The failure of a reply that does not fit its request: a defect of ours.
pub(crate) fn misfit(stage: Stage, reply: &Reply) -> Failure {
    internal(stage, format!("the worker answered something else: {reply:?}"))
}
