//! The text of small PDFs, held against files beside the tests.
//!
//! A change of a single key shows here, so that nobody changes what archives will hold without having seen it. After
//! a change that is meant, read the difference, and run the tests once with `PLATEN_GOLDEN=write`.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use image::{Rgb, RgbImage};
use platen_capture::decode::{Document, Picture, Samples};
use platen_capture::inspection::ImageCodec;
use platen_capture::pdf::Binder;
use platen_capture::raster::encode;
use platen_capture::worker::protocol::BindInfo;
use platen_capture::{Limits, PdfA, Profile};
use platen_model::{PageRecord, TextSource};
use tempfile::NamedTempFile;

use crate::common::{bind, info, page_of, word};
use crate::incoming::letter;
use std::io::Write as _;

/// Streams longer than this, and those that are no text, are told by their length.
const SHOWN_BYTES: usize = 1_500;

/// The PDF as text: what is compressed is shown as it is, and what is no text by its length.
fn text_of(pdf: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = pdf;
    while let Some(begin) = position(rest, b"\nstream\n") {
        let head = String::from_utf8_lossy(&rest[..begin]).into_owned();
        let object = &head[head.rfind(" obj").unwrap_or(0)..];
        let length: usize = object
            .rfind("/Length ")
            .and_then(|at| object[at + 8..].split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
            .expect("each stream states its length");
        let data = &rest[begin + 8..begin + 8 + length];
        let plain = if object.contains("/FlateDecode") {
            let mut plain = Vec::new();
            flate2::read::ZlibDecoder::new(data).read_to_end(&mut plain).expect("it is zlib data");
            plain
        } else {
            data.to_vec()
        };
        text.push_str(&head);
        match std::str::from_utf8(&plain) {
            Ok(plain) if plain.len() <= SHOWN_BYTES => text.push_str(&format!("\nstream\n{plain}")),
            _ => text.push_str("\nstream\n(bytes)"),
        }
        rest = &rest[begin + 8 + length..];
    }
    text.push_str(&String::from_utf8_lossy(rest));
    // Lengths, offsets and digests follow from the rest, and the version from the release.
    let counted = regex::Regex::new(r"/Length \d+|(?m)^\d{10} \d{5} [nf]|startxref\s+\d+|<[0-9A-Fa-f]{32}>")
        .expect("a pattern");
    let text = counted.replace_all(&text, "(…)").into_owned();
    text.replace(concat!("Platen ", env!("CARGO_PKG_VERSION")), "Platen (version)").replace('\r', "\n")
}

fn position(bytes: &[u8], of: &[u8]) -> Option<usize> {
    bytes.windows(of.len()).position(|window| window == of)
}

#[track_caller]
fn check(name: &str, pdf: &[u8]) {
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("pdf.txt");
    let text = text_of(pdf);
    if std::env::var("PLATEN_GOLDEN").is_ok_and(|what| what == "write") {
        std::fs::write(&golden, &text).expect("the snapshot can be written");
    }
    let expected = std::fs::read_to_string(&golden).expect("there is a snapshot");
    for (number, (now, then)) in (1..).zip(text.lines().zip(expected.lines())) {
        assert_eq!(now, then, "{name}, line {number}");
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{name} has another length");
}

#[test]
fn a_scanned_page_and_its_words() {
    let words = vec![word("Dear", [150, 200, 110, 40], 0, 0), word("Sir,", [280, 200, 90, 40], 0, 0)];
    let file = bind(&[page_of(words)], PdfA::A2b, ImageCodec::CcittG4);
    check("scanned-page", &std::fs::read(file.path()).expect("read"));
}

#[test]
fn a_page_in_layers_as_pdf_a_1() {
    let page = RgbImage::from_fn(600, 400, |x, y| {
        let is_letter = y % 60 < 30 && x % 24 < 7 && y > 60;
        Rgb(match (is_letter, y < 200) {
            (false, _) => [250, 245, 230],
            (true, true) => [0, 0, 0],
            (true, false) => [200, 20, 20],
        })
    });
    let (image, bytes) =
        encode::encode(Picture::new(Samples::Rgb(page)), encode::Lettering::unknown(300), Profile::Compact)
            .expect("coded");
    let mut source = tempfile::tempfile().expect("a file");
    source.write_all(&bytes).expect("write");
    let record = PageRecord { width_px: 600, height_px: 400, dpi: 300, ..PageRecord::default() };
    let file = NamedTempFile::new().expect("a file");
    let mut binder = Binder::begin(info(PdfA::A1b), file.reopen().expect("open"));
    binder.add_page(&image, &record, source).expect("the page is added");
    binder.finish().expect("finished");
    check("layers-a1b", &std::fs::read(file.path()).expect("read"));
}

#[test]
fn a_page_kept_of_a_signed_pdf() {
    let source = File::open(letter().path()).expect("open");
    let mut incoming = Document::open(source, &Limits::default()).expect("a PDF");
    let file = NamedTempFile::new().expect("a file");
    let mut binder =
        Binder::begin(BindInfo { copy_of_signed: true, ..info(PdfA::A2b) }, file.reopen().expect("open"));
    let record = PageRecord {
        width_px: 2_550,
        height_px: 3_300,
        dpi: 300,
        text_source: TextSource::Embedded,
        ..PageRecord::default()
    };
    binder.keep_page(0, &mut incoming, 0, &record).expect("the page is kept");
    binder.finish().expect("finished");
    check("kept-page", &std::fs::read(file.path()).expect("read"));
}
