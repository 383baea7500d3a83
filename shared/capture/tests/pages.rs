//! What one bad page costs its document: never the document.
//!
//! The worker is this test program again, told to run one of the ignored tests below as its whole work; those fail
//! on the second page of every file.

use std::error::Error;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use platen_capture::classify::RuleSet;
use platen_capture::worker::protocol::{self, Request};
use platen_capture::worker::workbench::Workbench;
use platen_capture::worker::{Pool, Program, sandbox};
use platen_capture::{Captured, Effort, Input, Limits, Options, Workshop, capture};
use platen_model::{Digest, Failure, FailureClass, Lack, Reason, Verdict};
use rustix::process::{Signal, getpid, kill_process};

/// The page on which workers fail, from 0.
const POISON: u32 = 1;

/// A worker that does to the second page what it is told to.
fn serve_but(poison: fn(Effort)) -> Result<(), Box<dyn Error>> {
    serve(|request| {
        if let Request::Page { page: POISON, effort, .. } = request {
            poison(*effort);
        }
    })
}

/// A worker that does this before it answers.
fn serve(first: impl Fn(&Request)) -> Result<(), Box<dyn Error>> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut bench = Workbench::inside(sandbox::enter(2_048)?);
    while let Some((request, files)) = protocol::receive::<Request>(&mut socket)? {
        first(&request);
        protocol::send(&mut socket, &bench.answer(request, files), &[])?;
    }
    Ok(())
}

fn starve() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(vec![1u8; 64 << 20]);
    }
}

fn hang() {
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_serves() -> Result<(), Box<dyn Error>> {
    serve_but(|_| {})
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_hangs_while_it_reads() -> Result<(), Box<dyn Error>> {
    serve_but(|effort| {
        if effort == Effort::Whole {
            hang();
        }
    })
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_starves_unless_it_merely_decodes() -> Result<(), Box<dyn Error>> {
    serve_but(|effort| {
        if effort != Effort::AsScanned {
            starve();
        }
    })
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_always_dies() -> Result<(), Box<dyn Error>> {
    serve_but(|_| panic!("a page like this was never seen"))
}

/// Without a sandbox, which keeps it from sending signals.
#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_is_killed_on_the_second_page_unless_it_only_decodes() -> Result<(), Box<dyn Error>> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut bench = Workbench::default();
    while let Some((request, files)) = protocol::receive::<Request>(&mut socket)? {
        if matches!(request, Request::Page { page: POISON, effort: Effort::Whole, .. }) {
            kill_process(getpid(), Signal::KILL)?;
        }
        protocol::send(&mut socket, &bench.answer(request, files), &[])?;
    }
    Ok(())
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_starves_while_it_binds() -> Result<(), Box<dyn Error>> {
    serve(|request| {
        if let Request::BindKept { page: POISON, .. } = request {
            starve();
        }
    })
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_hangs_while_it_binds() -> Result<(), Box<dyn Error>> {
    serve(|request| {
        if let Request::BindKept { page: POISON, .. } = request {
            hang();
        }
    })
}

#[test]
#[ignore = "is run by other tests as a worker"]
fn child_that_binds_no_page_as_it_came() -> Result<(), Box<dyn Error>> {
    serve(|request| match request {
        Request::BindKept { .. } => panic!("a page like this was never seen"),
        Request::Picture { page: POISON, .. } => panic!("nor was its picture"),
        _ => {}
    })
}

/// A page of a TIFF in 8-bit gray.
struct Page {
    width: u32,
    height: u32,
    /// Samples that the file holds; a sound page has all of them.
    samples: usize,
}

const SOUND: Page = Page { width: 400, height: 300, samples: 120_000 };
/// It says to have more pixels than any page may.
const HUGE: Page = Page { width: 60_000, height: 60_000, samples: 120_000 };

/// Its samples say nothing of most of its pixels.
const ODD: Page = Page { width: 400, height: 30_000, samples: 10 };

/// Bars of ink on a page that is 400 pixels wide.
fn bars(samples: usize) -> impl Iterator<Item = u8> {
    let is_ink = |at: usize| (at / 400) % 30 < 8 && (40..360).contains(&(at % 400)) && (at % 400) % 12 < 8;
    (0..samples).map(move |at| if is_ink(at) { 20 } else { 250 })
}

/// A TIFF of these pages, each with bars of ink (TIFF 6.0, section 2).
fn tiff(pages: &[Page]) -> Vec<u8> {
    let mut bytes = b"II\x2a\0\0\0\0\0".to_vec();
    let mut link = 4;
    for page in pages {
        let data = bytes.len() as u32;
        bytes.extend(bars(page.samples));
        let directory = (bytes.len() as u32).to_le_bytes();
        bytes[link..link + 4].copy_from_slice(&directory);
        let entries: [(u16, u16, u32); 8] = [
            (256, 4, page.width),
            (257, 4, page.height),
            (258, 3, 8),
            (259, 3, 1),
            (262, 3, 1),
            (273, 4, data),
            (278, 4, page.height),
            (279, 4, page.samples as u32),
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
    bytes
}

fn workshop(child: &str, limits: Limits) -> Workshop {
    let arguments = ["--ignored", "--exact", "--nocapture", "--test-threads=1", child];
    let program = std::env::current_exe().expect("this program has a path");
    let program = Program { path: program, arguments: arguments.map(Into::into).to_vec() };
    let pool = Pool::new(program, 2, limits.clone());
    Workshop::new(pool, RuleSet::shipped(), Options { limits, ..Options::default() })
}

fn carry(folder: &Path, pages: &[Page], child: &str, limits: Limits) -> Result<Captured, Failure> {
    let bytes = tiff(pages);
    let path = folder.join("scan.tif");
    std::fs::write(&path, &bytes).expect("written");
    let workshop = workshop(child, limits);
    let input =
        Input { path, file_name: "scan.tif".into(), source: String::new(), sha256: Digest::of(&bytes) };
    capture(&[input], folder, &workshop, &|_, _| {})
}

/// Captures three pages of which the second is bad. Answers the note on that page.
#[track_caller]
fn check(second: Page, child: &str, limits: Limits, lacks: Lack, rule: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let captured = carry(folder.path(), &[SOUND, second, SOUND], child, limits).expect("a document");
    let [document] = captured.documents.as_slice() else { panic!("{captured:?}") };
    let pages = &document.text.pages;
    assert_eq!(pages.iter().map(|page| page.lacks).collect::<Vec<_>>(), [None, Some(lacks), None]);
    assert!(document.pdf_bytes > 0 && pages[1].width_px > 0 && pages[1].words.is_empty());
    assert_eq!(document.decision.verdict, Verdict::Review);
    let reason = &document.decision.reasons[0];
    assert!(reason.is_lack() && (reason.rule.as_str(), reason.page) == (rule, 1), "{reason:?}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("listed").flatten().collect();
    assert_eq!(left.len(), 2, "beside the scan and the PDF nothing stays: {left:?}");
    pages[1].notes.join(" ")
}

#[test]
fn a_page_that_hangs_while_it_is_read_comes_without_its_text() {
    let limits = Limits { page_seconds: 6, ..Limits::default() };
    let child = "child_that_hangs_while_it_reads";
    let note = check(SOUND, child, limits, Lack::Text, Reason::PAGE_WITHOUT_TEXT);
    assert_eq!(
        note,
        "This page has no text: reading it passed the limit of 6 s (capture.limits.page_seconds)."
    );
}

#[test]
fn a_page_that_takes_too_much_memory_comes_as_it_was_scanned() {
    let child = "child_that_starves_unless_it_merely_decodes";
    let note = check(SOUND, child, Limits::default(), Lack::Text, Reason::PAGE_WITHOUT_TEXT);
    let expected = "This page has no text and lies as it was scanned: processing it passed the limit of";
    assert!(note.starts_with(expected) && note.contains("limits.worker_memory_mb"), "{note}");
}

#[test]
fn a_page_on_which_every_worker_dies_leaves_a_page_that_says_so() {
    let note = check(SOUND, "child_that_always_dies", Limits::default(), Lack::Image, Reason::PAGE_MISSING);
    assert!(note.starts_with("This page is missing:") && note.contains("was never seen"), "{note}");
    assert!(note.ends_with("The original file is kept as it came."), "{note}");
}

#[test]
fn a_page_whose_workers_are_killed_from_outside_is_left_for_another_time_and_not_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let child = "child_that_is_killed_on_the_second_page_unless_it_only_decodes";
    let failure = carry(folder.path(), &[SOUND, SOUND, SOUND], child, Limits::default())
        .expect_err("without its text it would be bound for good");
    assert!(failure.passing && failure.message.contains("killed from outside"), "{failure}");
    assert_eq!((failure.class, failure.page), (FailureClass::OutOfMemory, Some(POISON)));
}

#[test]
fn a_page_of_too_many_pixels_leaves_a_page_that_says_so() {
    let note = check(HUGE, "child_that_serves", Limits::default(), Lack::Image, Reason::PAGE_MISSING);
    assert!(note.contains("60000 x 60000") && note.contains("limits.page_pixels"), "{note}");
}

#[test]
fn a_page_that_is_damaged_leaves_a_page_that_says_so() {
    let note = check(ODD, "child_that_serves", Limits::default(), Lack::Image, Reason::PAGE_MISSING);
    assert!(note.starts_with("This page is missing: it cannot be decoded:"), "{note}");
}

#[test]
fn a_pdf_page_whose_object_is_lost_leaves_a_page_that_says_so_and_the_others_are_bound() {
    let mut bytes = b"%PDF-1.5\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n\
        2 0 obj\n<</Type/Pages/Kids[3 0 R 7 0 R 4 0 R]/Count 3/MediaBox[0 0 144 108]\
        /Resources<</XObject<</I 6 0 R>>>>>>\nendobj\n\
        3 0 obj\n<</Type/Page/Parent 2 0 R/Contents 5 0 R>>\nendobj\n\
        4 0 obj\n<</Type/Page/Parent 2 0 R/Contents 5 0 R>>\nendobj\n\
        5 0 obj\n<</Length 24>>\nstream\n144 0 0 108 0 0 cm /I Do\nendstream\nendobj\n\
        6 0 obj\n<</Subtype/Image/Width 400/Height 300/BitsPerComponent 8/ColorSpace/DeviceGray\
        /Length 120000>>\nstream\n"
        .to_vec();
    bytes.extend(bars(120_000));
    bytes.extend(b"\nendstream\nendobj\ntrailer\n<</Size 8/Root 1 0 R>>\nstartxref\n0\n%%EOF\n");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scan.pdf");
    std::fs::write(&path, &bytes).expect("written");
    let input =
        Input { path, file_name: "scan.pdf".into(), source: String::new(), sha256: Digest::of(&bytes) };
    let workshop = workshop("child_that_serves", Limits::default());
    let captured = capture(&[input], folder.path(), &workshop, &|_, _| {}).expect("a document");
    let pages = &captured.documents[0].text.pages;
    assert_eq!(pages.iter().map(|page| page.lacks).collect::<Vec<_>>(), [None, Some(Lack::Image), None]);
    assert!(pages[1].notes[0].contains("its object is not in the file"), "{:?}", pages[1].notes);
    assert_eq!(captured.documents[0].decision.verdict, Verdict::Review);
}

/// A PDF of so many pages of text, made by a program.
fn program_made(pages: usize) -> Vec<u8> {
    let shown: String = LINES.iter().map(|line| format!("({line}) Tj T*\n")).collect();
    let content = format!("BT /F1 14 Tf 1 0 0 1 72 700 Tm 24 TL\n{shown}ET");
    let kids: String = (0..pages).map(|page| format!("{} 0 R ", page + 5)).collect();
    let page = "<</Type/Page/Parent 2 0 R/Contents 3 0 R>>";
    let leaves: String = (0..pages).map(|at| format!("{} 0 obj\n{page}\nendobj\n", at + 5)).collect();
    format!(
        "%PDF-1.5\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n\
         2 0 obj\n<</Type/Pages/Kids[{kids}]/Count {pages}/MediaBox[0 0 612 792]\
         /Resources<</Font<</F1 4 0 R>>>>>>\nendobj\n\
         3 0 obj\n<</Length {}>>\nstream\n{content}\nendstream\nendobj\n\
         4 0 obj\n<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>\nendobj\n\
         {leaves}trailer\n<</Size {}/Root 1 0 R>>\nstartxref\n0\n%%EOF\n",
        content.len(),
        pages + 5
    )
    .into_bytes()
}

const LINES: [&str; 3] = [
    "The tenant pays the rent on the first day of each month.",
    "The landlord keeps the roof and the walls in good order.",
    "Both sign two copies of this paper and keep one of them.",
];

/// What each page of a PDF of so many lacks, whether it is kept as it came, and whether it has all its words, in the record
/// and in the PDF. The PDF is whole.
fn bound(pages: usize, child: &str, limits: Limits) -> Vec<(Option<Lack>, bool, bool)> {
    let bytes = program_made(pages);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("letter.pdf");
    std::fs::write(&path, &bytes).expect("written");
    let input =
        Input { path, file_name: "letter.pdf".into(), source: String::new(), sha256: Digest::of(&bytes) };
    let captured =
        capture(&[input], folder.path(), &workshop(child, limits), &|_, _| {}).expect("a document");
    let [document] = captured.documents.as_slice() else { panic!("{captured:?}") };
    assert_eq!(document.decision.verdict, Verdict::Review);
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("listed").flatten().collect();
    assert_eq!(left.len(), 2, "beside the PDF that came and the one made nothing stays: {left:?}");
    let in_pdf = std::process::Command::new("pdftotext").arg("-raw").arg(&document.pdf).arg("-").output();
    let in_pdf = String::from_utf8(in_pdf.expect("poppler-utils is installed").stdout).expect("text");
    let expected = LINES.join(" ");
    let same = |text: &str| text.split_whitespace().eq(expected.split(' '));
    let records = document.text.pages.iter().zip(in_pdf.split('\u{c}'));
    records
        .map(|(record, in_pdf)| {
            assert_eq!(record.lacks.is_some(), !record.notes.is_empty(), "{:?}", record.notes);
            assert!(record.source.is_some());
            let kept = record.incoming.as_ref().is_some_and(|incoming| incoming.kept);
            (record.lacks, kept, same(&record.text()) && same(in_pdf))
        })
        .collect()
}

#[test]
fn a_page_that_cannot_be_bound_as_it_came_is_shown_as_a_picture_with_its_words() {
    let kept = (None, true, true);
    let shown = (Some(Lack::Content), false, true);
    let limits = Limits { page_seconds: 20, ..Limits::default() };
    for (child, limits) in [
        ("child_that_starves_while_it_binds", Limits::default()),
        ("child_that_hangs_while_it_binds", limits),
    ] {
        assert_eq!(bound(3, child, limits), [kept, shown, kept], "{child}");
    }
}

#[test]
fn where_no_page_can_be_bound_as_it_came_all_are_shown_as_pictures_and_one_without_a_picture_says_so() {
    let shown = (Some(Lack::Content), false, true);
    let missing = (Some(Lack::Image), false, false);
    let pages = bound(5, "child_that_binds_no_page_as_it_came", Limits::default());
    assert_eq!(pages, [shown, missing, shown, shown, shown]);
}

#[test]
fn a_page_of_too_many_words_comes_without_them() {
    let sample = platen_testdata::samples().into_iter().find(|sample| sample.name == "letter-marlow");
    let path = sample.and_then(|sample| sample.paths().into_iter().next()).expect("the sample is there");
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { page_words: 5, ..Limits::default() };
    let input = Input {
        path,
        file_name: "letter.jpg".into(),
        source: String::new(),
        sha256: Digest::of(b"not looked at"),
    };
    let captured = capture(&[input], folder.path(), &workshop("child_that_serves", limits), &|_, _| {});
    let page = &captured.expect("a document").documents[0].text.pages[0];
    assert!(page.words.is_empty());
    assert_eq!(page.lacks, Some(Lack::Text));
    assert!(page.notes[0].contains("over the limit of 5 (capture.limits.page_words)"), "{:?}", page.notes);
}

#[test]
fn a_page_of_too_many_words_that_is_kept_as_it_came_has_them_in_the_pdf_and_its_note_says_so() {
    let limits = Limits { page_words: 5, ..Limits::default() };
    let bytes = program_made(1);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("letter.pdf");
    std::fs::write(&path, &bytes).expect("written");
    let input =
        Input { path, file_name: "letter.pdf".into(), source: String::new(), sha256: Digest::of(&bytes) };
    let captured = capture(&[input], folder.path(), &workshop("child_that_serves", limits), &|_, _| {});
    let page = &captured.expect("a document").documents[0].text.pages[0];
    assert_eq!((page.words.len(), page.lacks), (0, Some(Lack::Text)));
    assert!(page.notes[0].starts_with("The text of this page stands in the PDF and nowhere else:"));
}

#[test]
fn a_file_of_which_no_page_can_be_decoded_fails_as_a_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let failure = carry(folder.path(), &[HUGE, HUGE], "child_that_serves", Limits::default());
    assert_eq!(failure.expect_err("there is nothing to show").class, FailureClass::TooLarge);
    let failure = carry(folder.path(), &[ODD, ODD], "child_that_serves", Limits::default());
    let failure = failure.expect_err("there is nothing to show");
    assert_eq!((failure.class, failure.page), (FailureClass::Truncated, Some(0)), "{failure}");
}

#[test]
fn a_file_with_more_bad_pages_than_the_limit_fails_as_a_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { failed_pages: 1, ..Limits::default() };
    let failure = carry(folder.path(), &[SOUND, HUGE, HUGE], "child_that_serves", limits);
    let failure = failure.expect_err("two pages are bad");
    assert!(failure.message.contains("limits.failed_pages"), "{failure}");
    assert_eq!(failure.class, FailureClass::TooLarge, "{failure}");
}

#[test]
fn a_capture_that_is_told_to_stop_ends_with_the_pages_at_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scan.tif");
    let bytes = tiff(&[SOUND; 8]);
    std::fs::write(&path, &bytes).expect("written");
    let workshop = Workshop::new(Pool::in_process(1), RuleSet::shipped(), Options::default());
    let input =
        Input { path, file_name: "scan.tif".into(), source: String::new(), sha256: Digest::of(&bytes) };
    let done = AtomicUsize::new(0);
    let failure = capture(&[input], folder.path(), &workshop, &|_, _| {
        done.fetch_add(1, Ordering::Relaxed);
        workshop.stop.store(true, Ordering::Relaxed);
    });
    let failure = failure.expect_err("it was told to stop");
    assert_eq!((failure.class, done.into_inner()), (FailureClass::TimedOut, 1), "{failure}");
}

#[test]
fn a_language_that_is_not_installed_is_no_fault_of_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("scan.tif");
    let bytes = tiff(&[SOUND, SOUND]);
    std::fs::write(&path, &bytes).expect("written");
    let options = Options { languages: "eng+xyz".into(), ..Options::default() };
    let workshop = Workshop::new(Pool::in_process(1), RuleSet::shipped(), options);
    let input =
        Input { path, file_name: "scan.tif".into(), source: String::new(), sha256: Digest::of(&bytes) };
    let failure = capture(&[input], folder.path(), &workshop, &|_, _| {}).expect_err("it cannot be read");
    assert_eq!((failure.class, failure.page), (FailureClass::NoLanguage, None), "{failure}");
    assert!(failure.message.contains("tesseract-ocr-xyz"), "{failure}");
}
