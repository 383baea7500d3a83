//! What a worker and its supervisor hold in memory at most, for the largest that they are made for.
//!
//! The worker is this test program again, told to run the ignored test below as its whole work. Peaks are those that
//! the kernel counts (`VmHWM`). The supervisor's is this process' own, so nothing here builds a page in memory.

mod files;

use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use image::RgbImage;
use platen_capture::classify::RuleSet;
use platen_capture::decode::Samples;
use platen_capture::inspection::{ImageCodec, PageImage};
use platen_capture::raster::measures::turned_by_quarters;
use platen_capture::worker::protocol::{self, BindInfo, Reply, Request};
use platen_capture::worker::{Pool, Program, serve};
use platen_capture::{
    Effort, Input, Inspection, Kind, Limits, Options, Passwords, PdfA, Profile, Workshop, capture,
};
use platen_model::{Digest, PageRecord, Rect, Word};

use files::{
    A3, Noise, OnItsSide, Pdf, Scan, Writing, a3_bmp, a3_png, a3_tiff, file_of, group_4, jpeg, jpeg_2000,
};

const WORKER_MB_MAX: u64 = 400;
const SUPERVISOR_MB_MAX: u64 = 80;
/// The decoder of JPEG 2000 is not ours.
const WORKER_MB_MAX_JPEG_2000: u64 = 600;
/// Strokes that are taken apart from their page need a mask and what is under them beside it.
const WORKER_MB_MAX_COMPACT: u64 = 460;
/// What a worker holds of small pages, whatever the length of their file.
const NOT_HELD_MB_MAX: u64 = 180;
/// What a worker may hold more after many pages than after some.
const GROWTH_MB_MAX: u64 = 20;
/// Pages of a PDF that is larger than what a worker may hold.
const SCANS: u32 = 250;
/// A page of a book or of a contract, full from top to bottom, has so many words.
const DENSE_WORDS: u32 = 500;
/// Pages of the largest file that is promised.
const MANY_PAGES: u32 = 1_000;
/// What turning a page takes beside the page: one band of it, and some room.
const TURNING_MB_MAX: u64 = 60;

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_serves() -> Result<(), Box<dyn Error>> {
    Ok(serve(4_096)?)
}

/// A worker that has read a thousand full pages before it is asked: what it says of each is what the supervisor holds.
#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_finds_full_pages() -> Result<(), Box<dyn Error>> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let word = |number: u32| Word {
        text: ["agreement", "the", "party", "of", "shall"][number as usize % 5].into(),
        confidence: 0.93,
        rect: Rect { x: 200 + number % 10 * 200, y: 200 + number / 10 * 60, w: 180, h: 40 },
        line: number / 10,
        block: number / 100,
    };
    let words: Vec<Word> = (0..DENSE_WORDS).map(word).collect();
    while let Some((request, mut files)) = protocol::receive::<Request>(&mut socket)? {
        let reply = match request {
            Request::Inspect { .. } => Reply::Inspected(Inspection::plain(Kind::Tiff, MANY_PAGES)),
            Request::Page { page, .. } => {
                File::from(files.remove(1)).write_all(b"image")?;
                let (width_px, height_px) = (2_480, 3_508);
                let record = PageRecord {
                    index: page,
                    width_px,
                    height_px,
                    dpi: 300,
                    words: words.clone(),
                    ..PageRecord::default()
                };
                let image = PageImage::plain(ImageCodec::CcittG4, (width_px, height_px), 1, 1, 5);
                Reply::Page { record: Box::new(record), image }
            }
            Request::BindBegin { .. } => {
                File::from(files.remove(0)).write_all(b"%PDF-")?;
                Reply::Noted
            }
            Request::BindPage { .. } => Reply::Noted,
            Request::BindFinish => Reply::Bound { bytes: 5, pdfa: PdfA::A2b, breaches: Vec::new() },
            other => panic!("{other:?}"),
        };
        protocol::send(&mut socket, &Ok::<_, platen_model::Failure>(reply), &[])?;
    }
    Ok(())
}

fn pool() -> Pool {
    pool_of("child_that_serves")
}

fn pool_of(child: &str) -> Pool {
    let arguments = ["--ignored", "--exact", "--nocapture", "--test-threads=1", child];
    let path = std::env::current_exe().expect("this program has a path");
    let program = Program { path, arguments: arguments.map(Into::into).to_vec() };
    Pool::new(program, 1, Limits { worker_pages: u32::MAX, ..Limits::default() })
}

/// The most that a process ever held, in MB of 2^20 bytes, as `worker_memory_mb` counts them.
fn peak_mb(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux counts it");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number") / 1_024
}

/// The worker's peak; it is the only child that this process has.
fn worker_peak_mb() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux lists them");
    let children = threads.filter_map(|thread| {
        std::fs::read_to_string(thread.ok()?.path().join("children")).ok().filter(|list| !list.is_empty())
    });
    let children: String = children.collect();
    children.split_whitespace().map(peak_mb).max().expect("the worker runs")
}

/// An A3 page in colour, scanned at 600 dpi, a quarter of a turn off.
fn a3_on_its_side() -> File {
    let samples = platen_testdata::samples();
    let letter = samples.iter().find(|sample| sample.name == "letter-marlow").expect("the sample");
    let page = image::open(letter.paths().remove(0)).expect("a picture").to_luma8();
    file_of(&jpeg(OnItsSide { page }))
}

/// An A3 page in colour, scanned at 600 dpi.
fn a3_in_colour(slope: f64) -> File {
    file_of(&jpeg(Scan { width: 7_016, height: 9_921, top: 0, slope }))
}

/// What a file was carried through with.
#[derive(Debug)]
struct Carried {
    /// How far the first page was turned.
    turned_deg: u32,
    /// What the first page says of itself.
    notes: Vec<String>,
    /// How many pages went into the PDF as they came.
    kept: usize,
    /// How many were taken apart into layers.
    layered: usize,
    /// The length of the PDF.
    pdf_bytes: u64,
    /// The worker's peak after so many pages, in MB.
    peaks: Vec<(u32, u64)>,
}

/// Inspects, finishes and binds the first `pages` pages of a file with one worker, as a capture does, and measures the
/// worker after the pages of `marks`.
fn carry_through(
    pool: &Pool,
    input: &File,
    pages: u32,
    (effort, profile): (Effort, Profile),
    marks: &[u32],
) -> Carried {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options { languages: "eng".into(), profile, ..Options::default() };
    let (limits, passwords) = (options.limits.clone(), Passwords::default());
    let request = Request::Inspect { limits: limits.clone(), passwords: passwords.clone() };
    let inspected = pool.call(&request, &[input.as_fd()]).expect("inspected");
    assert!(matches!(&inspected, Reply::Inspected(found) if found.pages >= pages), "{inspected:?}");
    let (mut finished, mut peaks) = (Vec::new(), Vec::new());
    for page in 0..pages {
        let path = folder.path().join(page.to_string());
        let image = File::create(&path).expect("a file");
        let (options, passwords) = (options.clone(), passwords.clone());
        let request = Request::Page { page, options, effort, passwords };
        match pool.call(&request, &[input.as_fd(), image.as_fd()]).expect("finished") {
            Reply::Page { record, image: measures } => finished.push((record, measures, path)),
            other => panic!("{other:?}"),
        }
        if marks.contains(&(page + 1)) {
            peaks.push((page + 1, worker_peak_mb()));
        }
    }
    let (turned_deg, notes) =
        finished.first().map_or((0, Vec::new()), |(record, ..)| (record.rotation_deg, record.notes.clone()));
    let layered = finished.iter().filter(|(_, image, _)| image.strokes.is_some()).count();
    let mut worker = pool.lease();
    let info = BindInfo {
        title: "large".into(),
        pdfa: PdfA::A2b,
        languages: "eng".into(),
        copy_of_signed: false,
        sources: Vec::new(),
    };
    let pdf = File::create(folder.path().join("bound")).expect("a file");
    worker.call(&Request::BindBegin { info }, &[pdf.as_fd()]).expect("begun");
    let mut kept = 0;
    for (page, (record, image, path)) in (0..).zip(finished) {
        if record.incoming.as_ref().is_some_and(|incoming| incoming.kept) {
            kept += 1;
            let (limits, passwords) = (limits.clone(), passwords.clone());
            let request = Request::BindKept { source: 0, page, record, limits, passwords };
            worker.call(&request, &[input.as_fd()]).expect("kept");
        } else {
            let file = File::open(path).expect("the image");
            worker.call(&Request::BindPage { image, record }, &[file.as_fd()]).expect("added");
        }
    }
    let bound = worker.call(&Request::BindFinish, &[]).expect("bound");
    let Reply::Bound { bytes: pdf_bytes, .. } = bound else { panic!("{bound:?}") };
    assert_eq!(pdf.metadata().expect("its length").len(), pdf_bytes);
    Carried { turned_deg, notes, kept, layered, pdf_bytes, peaks }
}

fn check(what: &str, input: &File, pages: u32, effort: Effort, worker_mb_max: u64) -> Carried {
    check_profile(what, input, pages, (effort, Profile::Exact), worker_mb_max)
}

fn check_profile(
    what: &str,
    input: &File,
    pages: u32,
    way: (Effort, Profile),
    worker_mb_max: u64,
) -> Carried {
    let (pool, begun) = (pool(), Instant::now());
    let carried = carry_through(&pool, input, pages, way, &[]);
    let (worker, supervisor) = (worker_peak_mb(), peak_mb("self"));
    println!(
        "{what}: worker {worker} MB, supervisor {supervisor} MB, {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    assert!(worker <= worker_mb_max, "{what}: the worker held {worker} MB");
    assert!(supervisor <= SUPERVISOR_MB_MAX, "{what}: the supervisor held {supervisor} MB");
    carried
}

#[test]
fn an_a3_colour_scan_at_600_dpi_is_taken_apart_within_the_memory_of_a_worker() {
    let way = (Effort::Unread, Profile::Compact);
    let carried = check_profile("a compact page", &a3_in_colour(0.0), 1, way, WORKER_MB_MAX_COMPACT);
    assert_eq!(carried.layered, 1, "it has strokes");
}

/// PNG and BMP are as large as their picture, or larger: they are not held.
#[test]
fn an_a3_colour_picture_at_600_dpi_stays_within_the_memory_of_a_worker_as_png_and_bmp() {
    for (what, file) in [
        (
            "a PNG of 16 bits",
            a3_png(2, |row| row.iter().flatten().flat_map(|sample| [*sample, 77]).collect()),
        ),
        ("a PNG with opacity", a3_png(1, |row| row.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]).collect())),
        ("a BMP", a3_bmp()),
    ] {
        check(what, &file, 1, Effort::Unread, WORKER_MB_MAX);
    }
}

#[test]
fn an_a3_colour_scan_at_600_dpi_stays_within_the_memory_of_a_worker() {
    check("a straight page", &a3_in_colour(0.0), 1, Effort::Whole, WORKER_MB_MAX);
    check("a skewed page", &a3_in_colour(0.02), 1, Effort::Whole, WORKER_MB_MAX);
}

#[test]
fn an_a3_colour_scan_on_its_side_is_turned_and_straightened_within_the_memory_of_a_worker() {
    let carried = check("a page on its side", &a3_on_its_side(), 1, Effort::Whole, WORKER_MB_MAX);
    assert_eq!(carried.turned_deg % 180, 90, "it is put upright");
}

#[test]
fn the_words_of_a_thousand_full_pages_stay_within_the_memory_of_the_supervisor() {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("book.tif");
    std::fs::write(&input, b"read already").expect("write");
    let work = folder.path().join("work");
    std::fs::create_dir(&work).expect("a folder");
    let inputs = [Input {
        path: input,
        file_name: "book.tif".into(),
        source: String::new(),
        sha256: Digest::of(b"read already"),
    }];
    let workshop =
        Workshop::new(pool_of("child_that_finds_full_pages"), RuleSet::shipped(), Options::default());
    let captured = capture(&inputs, &work, &workshop, &|_, _| {}).expect("one document");
    let pages = &captured.documents[0].text.pages;
    assert_eq!(pages.len(), MANY_PAGES as usize);
    assert!(pages.iter().all(|page| page.words.len() == DENSE_WORDS as usize));
    write_text(&work.join("page-text.json"), &captured.documents[0].text);
    let supervisor = peak_mb("self");
    println!("{MANY_PAGES} pages of {DENSE_WORDS} words: supervisor {supervisor} MB");
    assert!(supervisor <= SUPERVISOR_MB_MAX, "the supervisor held {supervisor} MB");
}

/// As the agent stores it: through a file, never as a text in memory.
fn write_text(path: &Path, text: &platen_model::PageText) {
    let mut writer = io::BufWriter::new(File::create(path).expect("a file"));
    serde_json::to_writer(&mut writer, text).expect("written");
}

#[test]
#[ignore = "is run by another test, as a process of its own"]
fn child_that_turns_an_a3_page() {
    let (width, height) = (7_016, 9_921);
    let page = RgbImage::from_raw(width, height, vec![200; (width * height * 3) as usize]).expect("its size");
    let held = peak_mb("self");
    let Samples::Rgb(page) = turned_by_quarters(Samples::Rgb(page), 90) else { panic!("it stays in colour") };
    assert_eq!(page.dimensions(), (height, width));
    let more = peak_mb("self") - held;
    println!("the page: {held} MB, to turn it: {more} MB more");
    assert!(more <= TURNING_MB_MAX, "turning it took {more} MB beside the page's {held} MB");
}

#[test]
fn an_a3_page_on_its_side_is_turned_without_being_held_twice() -> io::Result<()> {
    let arguments =
        ["--ignored", "--exact", "--nocapture", "--test-threads=1", "child_that_turns_an_a3_page"];
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// A3 pages at 600 dpi in the codings that scanners and programs write.
#[test]
fn an_a3_page_at_600_dpi_stays_within_the_memory_of_a_worker_however_it_is_coded() {
    for writing in [
        Writing::Jpeg { rows: 64 },
        Writing::Jpeg { rows: A3.1 },
        Writing::Planes,
        Writing::Deep,
        Writing::Inks,
        Writing::Palette,
    ] {
        let file = a3_tiff(writing);
        let carried = check(&format!("a TIFF, {writing:?}"), &file, 1, Effort::Unread, WORKER_MB_MAX);
        assert_eq!(carried.notes, [""; 0], "{writing:?}");
    }
    check("JPEG 2000 in tiles", &file_of(&jpeg_2000(A3, 1_024)), 1, Effort::Unread, WORKER_MB_MAX);
}

/// The decoder needs a whole picture of numbers for each colour and three more where it is not cut into tiles.
#[test]
fn an_a3_page_at_600_dpi_in_jpeg_2000_without_tiles_is_decoded_coarser_and_says_so() {
    let file = file_of(&jpeg_2000(A3, A3.1));
    let carried = check("JPEG 2000 in one tile", &file, 1, Effort::Unread, WORKER_MB_MAX_JPEG_2000);
    assert!(carried.notes[0].contains("3508 x 4961 of its 7016 x 9921 pixels"), "{:?}", carried.notes);
}

/// Pages of PDFs: A3 at 600 dpi as an image that is the page, as one with letters over it, and as a drawing.
#[test]
fn a_large_page_of_a_pdf_stays_within_the_memory_of_a_worker_whether_it_is_an_image_or_drawn() {
    let size = (841.92, 1_190.52);
    let shown = format!("q {} 0 0 {} 0 0 cm /I Do Q", size.0, size.1);
    let line = "BT /F1 30 Tf 1 0 0 1 90 900 Tm (Signed and sealed by both of the parties) Tj ET";
    let page = |instructions: &str| {
        let mut pdf = Pdf::begin();
        let bytes = jpeg(Scan { width: 7_016, height: 9_921, top: 0, slope: 0.0 });
        let picture = pdf.jpeg(A3, "DeviceRGB", &bytes);
        pdf.page(size, instructions, Some(picture));
        pdf.finish()
    };
    let carried = check("a PDF of an image", &page(&shown), 1, Effort::Unread, WORKER_MB_MAX);
    assert_eq!(carried.notes, [""; 0]);
    let carried = check(
        "a PDF of an image and letters",
        &page(&format!("{shown} {line}")),
        1,
        Effort::Unread,
        WORKER_MB_MAX,
    );
    assert!(
        carried.notes.iter().any(|note| note.contains("dots an inch, and its images have 600")),
        "{:?}",
        carried.notes
    );

    // A1 at 300 dpi has as many pixels.
    let mut pdf = Pdf::begin();
    pdf.page((1_683.8, 2_383.9), &format!("0.9 0.8 0.7 rg 100 100 900 900 re f 0 g {line}"), None);
    let carried = check("a PDF of a drawing", &pdf.finish(), 1, Effort::Unread, WORKER_MB_MAX);
    assert_eq!(carried.kept, 1);
}

#[test]
fn a_pdf_of_many_scans_is_read_and_bound_without_being_held() {
    let (width, height) = (1_240, 1_754);
    let mut pdf = Pdf::begin();
    for page in 1..=SCANS {
        let bytes = Noise::new(page).jpeg(width, height);
        let picture = pdf.jpeg((width.into(), height.into()), "DeviceGray", &bytes);
        pdf.page((595.2, 841.92), "q 595.2 0 0 841.92 0 0 cm /I Do Q", Some(picture));
    }
    check_not_held("a PDF of scans", &pdf.finish(), 0);
}

#[test]
fn a_pdf_of_many_kept_pages_with_pictures_is_read_and_bound_without_being_held() {
    let (width, height) = (1_240, 1_754);
    let letters = "BT /F1 12 Tf 1 0 0 1 40 380 Tm (Figure and text, as a program sets them) Tj ET";
    let mut pdf = Pdf::begin();
    for page in 1..=SCANS {
        let bytes = Noise::new(page).jpeg(width, height);
        let picture = pdf.jpeg((width.into(), height.into()), "DeviceGray", &bytes);
        pdf.page((300.0, 420.0), &format!("{letters} q 100 0 0 140 20 20 cm /I Do Q"), Some(picture));
    }
    check_not_held("a PDF of pages with pictures", &pdf.finish(), SCANS as usize);
}

/// A file that is larger than what a worker may hold goes through it into a PDF that is.
fn check_not_held(what: &str, input: &File, kept: usize) {
    let input_mb = input.metadata().expect("its length").len() / 1_000_000;
    assert!(input_mb > 300, "{what}: {input_mb} MB prove nothing");
    let carried = check(what, input, SCANS, Effort::AsScanned, NOT_HELD_MB_MAX);
    let pdf_mb = carried.pdf_bytes / 1_000_000;
    println!("{what}: {input_mb} MB in, {pdf_mb} MB out");
    assert!(pdf_mb > 300, "{what}: {pdf_mb} MB came out");
    assert_eq!(carried.kept, kept);
}

#[test]
fn a_thousand_full_pages_of_group_4_take_no_more_memory_than_fifty() {
    let (input, page_bytes) = group_4(MANY_PAGES, 150, true);
    // What is held of each page would be seen.
    let file_mb = u64::from(page_bytes) * u64::from(MANY_PAGES) / 1_000_000;
    assert!(file_mb * 2 > GROWTH_MB_MAX * 3, "{file_mb} MB prove nothing");
    let pool = pool();
    let begun = Instant::now();
    let carried =
        carry_through(&pool, &input, MANY_PAGES, (Effort::Unread, Profile::Exact), &[50, 500, MANY_PAGES]);
    let (worker, supervisor) = (worker_peak_mb(), peak_mb("self"));
    println!(
        "{MANY_PAGES} pages of {page_bytes} bytes: worker {:?} and {worker} MB bound, supervisor {supervisor} MB, {:.1} s",
        carried.peaks,
        begun.elapsed().as_secs_f64()
    );
    let (_, at_first) = carried.peaks[0];
    assert!(worker <= at_first + GROWTH_MB_MAX, "{:?}, then {worker} MB", carried.peaks);
    assert!(worker <= WORKER_MB_MAX && supervisor <= SUPERVISOR_MB_MAX);
}

#[test]
fn pages_that_are_read_stay_within_the_memory_of_a_worker() {
    check("forty pages", &group_4(40, 300, false).0, 40, Effort::Whole, WORKER_MB_MAX);
}
