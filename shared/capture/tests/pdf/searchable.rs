//! What others read in the PDFs we write: `qpdf` the structure, `pdftotext` the words, `pdffonts` the font.

use crate::common::{bind, blank_page, clean, info, page_of, run, word};
use platen_capture::PdfA;
use platen_capture::inspection::ImageCodec;
use platen_capture::pdf::render;
use platen_model::{FailureClass, PageRecord, PageText, Word};
use proptest::prelude::*;
use std::io::Write as _;

/// Two columns, a table-like block, punctuation, ligatures and characters beyond the BMP.
fn letter() -> Vec<Word> {
    let mut words = Vec::new();
    for (line, text) in
        ["Dear Mrs Ångström,", "the oﬃcial offer (№ 7) for", "𝒳-ray plates: 1.250,00 €", "naïve Ωmega"]
            .iter()
            .enumerate()
    {
        let mut x = 150;
        for part in text.split(' ') {
            let w = 22 * part.chars().count() as u32;
            words.push(word(part, [x, 200 + 60 * line as u32, w, 40], line as u32, 0));
            x += w + 18;
        }
    }
    words.push(word("Yours", [150, 600, 110, 40], 4, 1));
    words.push(word("faithfully", [280, 600, 220, 40], 4, 1));
    words
}

/// Text without what differs in layout only.
fn squeezed(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[track_caller]
fn check_text(pages: Vec<Vec<Word>>, pdfa: PdfA) {
    let records: Vec<PageRecord> = pages.into_iter().map(page_of).collect();
    let file = bind(&records, pdfa, ImageCodec::Jpeg);
    let read = run("pdftotext", &["-raw".as_ref(), file.path().as_ref(), "-".as_ref()]);
    let ours = PageText::new(records).text();
    assert_eq!(squeezed(&read), squeezed(&ours), "raw order");
    clean(file.path());
}

#[test]
fn the_words_that_are_read_are_those_that_were_recognised() {
    check_text(vec![letter()], PdfA::A2b);
}

#[test]
fn a_page_without_words_stays_a_page() {
    check_text(vec![letter(), vec![], letter()], PdfA::A1b);
}

#[test]
fn words_keep_their_spaces_and_lines_in_layout_order_too() {
    let file = bind(&[page_of(letter())], PdfA::A2b, ImageCodec::Jpeg);
    let read = run("pdftotext", &[file.path().as_ref(), "-".as_ref()]);
    let lines: Vec<&str> = read.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(lines[0], "Dear Mrs Ångström,");
    assert_eq!(lines[4].trim_end(), "Yours faithfully");
}

#[test]
fn right_to_left_words_are_read_in_logical_order() {
    let words = vec![
        word("שלום", [700, 200, 120, 40], 0, 0),
        word("עולם", [560, 200, 120, 40], 0, 0),
        word("1999", [440, 200, 100, 40], 0, 0),
        word("سلام", [700, 300, 120, 40], 1, 0),
    ];
    let file = bind(&[page_of(words)], PdfA::A2b, ImageCodec::Jpeg);
    let read = run("pdftotext", &[file.path().as_ref(), "-".as_ref()]);
    let marks = ['\u{202a}', '\u{202b}', '\u{202c}'];
    let lines: Vec<String> =
        read.lines().map(|line| line.chars().filter(|c| !marks.contains(c)).collect()).collect();
    assert_eq!(lines[0], "שלום עולם 1999");
    assert!(lines.iter().any(|line| line == "سلام"), "{lines:?}");
}

#[test]
fn a_word_is_found_where_it_stands() {
    let file = bind(&[page_of(letter())], PdfA::A2b, ImageCodec::Jpeg);
    let boxes = run("pdftotext", &["-bbox".as_ref(), file.path().as_ref(), "-".as_ref()]);
    let line = boxes.lines().find(|line| line.contains(">faithfully<")).expect("the word is found");
    let number = |key: &str| -> f32 {
        let from = line.find(key).expect("a coordinate") + key.len() + 2;
        line[from..].split('"').next().expect("a value").parse().expect("a number")
    };
    let points = 72.0 / 300.0;
    for (key, expected, slack) in
        [("xMin", 280.0, 1.0), ("xMax", 500.0, 1.0), ("yMin", 600.0, 8.0), ("yMax", 640.0, 12.0)]
    {
        let found = number(key) / points;
        assert!((found - expected).abs() <= slack, "{key}: {found} is not {expected}");
    }
}

#[test]
fn the_font_is_embedded_and_knows_its_characters() {
    let file = bind(&[page_of(letter())], PdfA::A2b, ImageCodec::Jpeg);
    let fonts = run("pdffonts", &[file.path().as_ref()]);
    let font = fonts.lines().nth(2).expect("one font");
    let fields: Vec<&str> = font.split_whitespace().collect();
    assert_eq!(fields[..7], ["Glyphless", "CID", "TrueType", "Identity-H", "yes", "no", "yes"], "{font}");
}

#[test]
fn the_same_pages_give_the_same_bytes() {
    let bytes =
        || std::fs::read(bind(&[page_of(letter())], PdfA::A2b, ImageCodec::Flate).path()).expect("read");
    assert_eq!(bytes(), bytes());
}

#[test]
fn a_pdf_a_1_has_its_version_and_none_of_what_that_forbids() {
    let file = bind(&[page_of(letter())], PdfA::A1b, ImageCodec::CcittG4);
    let bytes = std::fs::read(file.path()).expect("read");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.starts_with("%PDF-1.4"));
    assert!(text.contains("<pdfaid:part>1</pdfaid:part>"));
    for forbidden in
        ["/ObjStm", "/XRef", "/SMask", "/Group", "/LZWDecode", "/JPXDecode", "/Encrypt", "/JS", "/AA"]
    {
        assert!(!text.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn title_and_language_are_said_twice_and_alike() {
    let file = bind(&[page_of(vec![])], PdfA::A2b, ImageCodec::Jpeg);
    let said = run("pdfinfo", &[file.path().as_ref()]);
    let packet = run("pdfinfo", &["-meta".as_ref(), file.path().as_ref()]);
    assert!(said.contains("Offer & reply.tif") && packet.contains("Offer &amp; reply.tif"), "{said}{packet}");
    assert!(packet.contains("<pdfaid:part>2</pdfaid:part>") && packet.contains("<pdfaid:conformance>B<"));
    assert!(said.contains("Page size:       240 x 360 pts"));
}

/// Each coding must show the same page: black on the left half, white on the right.
#[test]
fn every_coding_shows_black_as_black() {
    for codec in [ImageCodec::Jpeg, ImageCodec::CcittG4, ImageCodec::Flate] {
        let file = bind(&[page_of(vec![])], PdfA::A2b, codec);
        clean(file.path());
        let (png, pages) = render(file.as_file(), 0, 300).expect("render");
        let shown = image::load_from_memory(&png).expect("a PNG").to_luma8();
        assert_eq!((pages, shown.width()), (1, 300));
        let row = shown.height() / 2;
        assert!(shown.get_pixel(40, row).0[0] < 10, "{codec:?}: the left is not black");
        assert!(shown.get_pixel(260, row).0[0] > 245, "{codec:?}: the right is not white");
    }
}

#[test]
fn a_page_that_does_not_exist_and_a_file_that_is_no_pdf_are_said_plainly() {
    let file = bind(&[page_of(vec![])], PdfA::A2b, ImageCodec::Jpeg);
    let failure = render(file.as_file(), 1, 300).expect_err("there is one page");
    assert_eq!(
        (failure.class, failure.message.as_str()),
        (FailureClass::NoPages, "page 2 does not exist; the PDF has 1")
    );

    let mut junk = tempfile::tempfile().expect("a file");
    junk.write_all(b"GIF89a").expect("write");
    assert_eq!(render(&junk, 0, 300).expect_err("no PDF").class, FailureClass::Corrupt);
}

#[test]
fn a_pdf_that_needs_a_password_is_locked() {
    let file = bind(&[page_of(vec![])], PdfA::Off, ImageCodec::Jpeg);
    let locked = tempfile::NamedTempFile::new().expect("a file");
    let arguments = ["--encrypt", "secret", "owner", "256", "--"].map(AsRef::as_ref);
    run("qpdf", &[&arguments[..], &[file.path().as_ref(), locked.path().as_ref()]].concat());
    assert_eq!(render(locked.as_file(), 0, 300).expect_err("locked").class, FailureClass::Locked);
}

#[test]
fn a_picture_that_is_not_what_it_says_is_refused() {
    let (mut image, _) = blank_page(ImageCodec::Flate);
    let mut binder = platen_capture::pdf::Binder::begin(info(PdfA::A2b), std::io::sink());
    image.bytes += 1;
    let failure = binder
        .add_page(&image, &page_of(vec![]), blank_page(ImageCodec::Flate).1)
        .expect_err("one byte is missing");
    assert_eq!(failure.class, FailureClass::Internal);
    assert_eq!(binder.finish().expect_err("no page").class, FailureClass::NoPages);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the recogniser says, and however odd its boxes, the PDF stays whole.
    #[test]
    fn no_words_or_boxes_break_the_structure(
        words in prop::collection::vec(("\\PC{0,8}", 0u32..1100, 0u32..1600, 0u32..400, 0u32..200, 0u32..4), 0..12)
    ) {
        let words = words
            .into_iter()
            .map(|(text, x, y, w, h, line)| word(&text, [x, y, w, h], line, 0))
            .collect();
        let file = bind(&[page_of(words)], PdfA::A2b, ImageCodec::CcittG4);
        clean(file.path());
        run("pdftotext", &[file.path().as_ref(), "-".as_ref()]);
    }
}
