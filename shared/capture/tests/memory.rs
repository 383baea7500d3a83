//! What a worker and its supervisor hold in memory at most, for the largest that they are made for.
//!
//! The worker is this test program again, told to run the ignored test below as its whole work. Peaks are those that
//! the kernel counts (`VmHWM`). The supervisor's is this process' own, so nothing here builds a page in memory.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use image::{GrayImage, RgbImage};
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, PixelDensity};
use platen_capture::classify::RuleSet;
use platen_capture::decode::Samples;
use platen_capture::inspection::{ImageCodec, PageImage};
use platen_capture::raster::measures::turned_by_quarters;
use platen_capture::worker::protocol::{self, BindInfo, Reply, Request};
use platen_capture::worker::{Pool, Program, serve};
use platen_capture::{Effort, Input, Inspection, Kind, Limits, Options, Passwords, PdfA, Workshop, capture};
use platen_model::{Digest, PageRecord, Rect, Word};

const WORKER_MB_MAX: u64 = 400;
const SUPERVISOR_MB_MAX: u64 = 80;
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
            Request::BindBegin { .. } | Request::BindPage { .. } => Reply::Noted,
            Request::BindFinish => {
                File::from(files.remove(0)).write_all(b"%PDF-")?;
                Reply::Bound { bytes: 5, pdfa: PdfA::A2b, breaches: Vec::new() }
            }
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

/// The most that a process ever held, in MB.
fn peak_mb(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux counts it");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).expect("a number") / 1_000
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

/// Whether there is ink at a place: lines of letters, all of them a little turned.
fn letter(x: u32, y: u32, size: u32, slope: f64) -> bool {
    let (u, v) = (f64::from(x) - f64::from(y) * slope, f64::from(y) + f64::from(x) * slope);
    let (u, v, size) = (u as u32, v as u32, size);
    let (column, line) = (u / size, v / (size * 3));
    let within = u % size > size / 4 && v % (size * 3) < size;
    let stroke = (u % size) / (size / 4).max(1) + 3 * ((v % (size * 3)) / (size / 3).max(1));
    let printed = line > 3 && line < 9 && column > 10 && column < 60 && (column * 7 + line) % 6 != 0;
    within && printed && (column * 31 + line * 17 + stroke * 5) % 3 != 0
}

/// A page that is made as it is coded, row by row.
struct Scan {
    width: u16,
    height: u16,
    slope: f64,
}

impl ImageBuffer for Scan {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        for x in 0..u32::from(self.width) {
            let ink = letter(x, y.into(), 60, self.slope);
            buffers[0].push(if ink { 30 } else { 240 });
            buffers[1].push(if ink { 150 } else { 120 });
            buffers[2].push(130);
        }
    }
}

/// A written page, as large as A3 at 600 dpi, that was scanned on its side.
struct OnItsSide {
    page: GrayImage,
}

impl ImageBuffer for OnItsSide {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        9_921
    }

    fn height(&self) -> u16 {
        7_016
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (width, height) = (u32::from(self.height()), u32::from(self.width()));
        let column = (width - 1 - u32::from(y)) * self.page.width() / width;
        for x in 0..height {
            buffers[0].push(self.page.get_pixel(column, x * self.page.height() / height)[0]);
            buffers[1].push(125);
            buffers[2].push(130);
        }
    }
}

/// An A3 page in colour, scanned at 600 dpi, a quarter of a turn off.
fn a3_on_its_side() -> File {
    let samples = platen_testdata::samples();
    let letter = samples.iter().find(|sample| sample.name == "letter-marlow").expect("the sample");
    let page = image::open(letter.paths().remove(0)).expect("a picture").to_luma8();
    coded(OnItsSide { page })
}

/// An A3 page in colour, scanned at 600 dpi.
fn a3_in_colour(slope: f64) -> File {
    coded(Scan { width: 7_016, height: 9_921, slope })
}

fn coded(page: impl ImageBuffer) -> File {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 80);
    encoder.set_density(PixelDensity::dpi(600));
    encoder.encode_image(page).expect("it is coded");
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("written");
    file
}

/// A TIFF of this many equal A4 pages in group 4 at 300 dpi; the data of all are the same.
fn group_4(pages: u32) -> File {
    let (width, height) = (2_480u32, 3_508u32);
    let mut encoder = fax::encoder::Encoder::new(fax::VecWriter::new());
    for y in 0..height {
        let dots =
            (0..width).map(|x| if letter(x, y, 28, 0.0) { fax::Color::Black } else { fax::Color::White });
        encoder.encode_line(dots, width).expect("memory takes all");
    }
    let page = encoder.finish().expect("memory takes all").finish();
    let mut bytes = b"II\x2a\0\0\0\0\0".to_vec();
    bytes.extend(300u32.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    let mut link = 4;
    for _ in 0..pages {
        // Each page has data of its own, as it would have.
        let data = bytes.len() as u32;
        bytes.extend(&page);
        let directory = (bytes.len() as u32).to_le_bytes();
        bytes[link..link + 4].copy_from_slice(&directory);
        let entries: [(u16, u16, u32); 9] = [
            (256, 4, width),
            (257, 4, height),
            (259, 3, 4),
            (262, 3, 0),
            (273, 4, data),
            (278, 4, height),
            (279, 4, page.len() as u32),
            (282, 5, 8),
            (283, 5, 8),
        ];
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        link = bytes.len();
        bytes.extend([0; 4]);
    }
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("written");
    file
}

/// Inspects, finishes and binds the first `pages` pages of a file with one worker, as a capture does. Answers the
/// seconds that the pages took, and how far the first was turned.
fn carry_through(pool: &Pool, input: &File, pages: u32) -> (f64, u32) {
    let options = Options { languages: "eng".into(), ..Options::default() };
    let request = Request::Inspect { limits: options.limits.clone(), passwords: Passwords::default() };
    let inspected = pool.call(&request, &[input.as_fd()]).expect("inspected");
    assert!(matches!(inspected, Reply::Inspected(_)), "{inspected:?}");
    let begun = Instant::now();
    let mut finished = Vec::new();
    for page in 0..pages {
        let image = tempfile::tempfile().expect("a file");
        let (options, passwords) = (options.clone(), Passwords::default());
        let request = Request::Page { page, options, effort: Effort::Whole, passwords };
        match pool.call(&request, &[input.as_fd(), image.as_fd()]).expect("finished") {
            Reply::Page { record, image: measures } => {
                finished.push((record, measures, image));
            }
            other => panic!("{other:?}"),
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let turned_deg = finished.first().map_or(0, |(record, ..)| record.rotation_deg);
    let mut worker = pool.lease();
    let info = BindInfo {
        title: "large".into(),
        pdfa: PdfA::A2b,
        languages: "eng".into(),
        copy_of_signed: false,
        sources: Vec::new(),
    };
    worker.call(&Request::BindBegin { info }, &[]).expect("begun");
    for (record, image, file) in finished {
        worker.call(&Request::BindPage { image, record }, &[file.as_fd()]).expect("added");
    }
    let pdf = tempfile::tempfile().expect("a file");
    let bound = worker.call(&Request::BindFinish, &[pdf.as_fd()]).expect("bound");
    assert!(matches!(bound, Reply::Bound { .. }), "{bound:?}");
    (seconds, turned_deg)
}

/// Answers how far the first page was turned.
fn check(what: &str, input: &File, pages: u32) -> u32 {
    let pool = pool();
    let (seconds, turned_deg) = carry_through(&pool, input, pages);
    let (worker, supervisor) = (worker_peak_mb(), peak_mb("self"));
    println!("{what}: worker {worker} MB, supervisor {supervisor} MB, {seconds:.1} s");
    assert!(worker <= WORKER_MB_MAX, "{what}: the worker held {worker} MB");
    assert!(supervisor <= SUPERVISOR_MB_MAX, "{what}: the supervisor held {supervisor} MB");
    turned_deg
}

#[test]
fn an_a3_colour_scan_at_600_dpi_stays_within_the_memory_of_a_worker() -> io::Result<()> {
    check("a straight page", &a3_in_colour(0.0), 1);
    check("a skewed page", &a3_in_colour(0.02), 1);
    Ok(())
}

#[test]
fn an_a3_colour_scan_on_its_side_is_turned_and_straightened_within_the_memory_of_a_worker() {
    assert_eq!(check("a page on its side", &a3_on_its_side(), 1) % 180, 90, "it is put upright");
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

#[test]
fn a_tiff_of_many_pages_stays_within_the_memory_of_a_worker() {
    check("forty pages", &group_4(40), 40);
}
