//! The steps that every page goes through, each alone, on the generated samples.
//!
//! They guard against slow mistakes: compare a run with one from before a change, on the same quiet machine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use divan::{Bencher, black_box};
use image::GrayImage;
use platen_capture::decode::{Chroma, Document, Picture, Samples};
use platen_capture::pdf::Binder;
use platen_capture::raster::encode;
use platen_capture::raster::measures::{Marks, turned_by_quarters};
use platen_capture::worker::protocol::BindInfo;
use platen_capture::{Limits, PdfA};
use platen_model::{PageRecord, Rect, Word};

/// A black and white page in TIFF group 4 (300 dpi), and one in JPEG (colour, 200 dpi).
const BITONAL: &str = "contract-halden";
const JPEG: &str = "invoice-lindner";
/// A skew that takes the whole way.
const SKEW_DEG: f32 = 1.7;
/// The words of a full page.
const WORDS: u32 = 500;

fn main() {
    divan::main();
}

fn sample(name: &str) -> PathBuf {
    let samples = platen_testdata::samples();
    let sample = samples.iter().find(|sample| sample.name == name).expect("the sample is committed");
    sample.paths().remove(0)
}

fn decoded(name: &str) -> Picture {
    let limits = Limits::default();
    let file = File::open(sample(name)).expect("the sample opens");
    let mut document = Document::open(file, &limits).expect("the sample is a document");
    document.page(0, &limits).expect("the sample has a page")
}

fn gray(name: &str) -> GrayImage {
    decoded(name).samples.to_gray()
}

/// A page as a gray scan.
fn as_gray(name: &str) -> Samples {
    Samples::Gray(gray(name))
}

#[divan::bench(args = [BITONAL, JPEG])]
fn decode(bencher: Bencher<'_, '_>, name: &str) {
    bencher.bench(|| decoded(name));
}

#[divan::bench(args = [BITONAL, JPEG])]
fn find_marks(bencher: Bencher<'_, '_>, name: &str) {
    let page = gray(name);
    bencher.bench(|| Marks::of(black_box(&page)));
}

#[divan::bench(args = [BITONAL, JPEG])]
fn find_skew(bencher: Bencher<'_, '_>, name: &str) {
    let marks = Marks::of(&gray(name));
    bencher.bench(|| black_box(&marks).skew_deg());
}

#[divan::bench(args = [BITONAL, JPEG])]
fn judge_blank(bencher: Bencher<'_, '_>, name: &str) {
    let page = gray(name);
    let marks = Marks::of(&page);
    bencher.bench(|| marks.are_of_blank(black_box(&page)));
}

#[divan::bench(args = [BITONAL, JPEG])]
fn clean_for_reading(bencher: Bencher<'_, '_>, name: &str) {
    let page = gray(name);
    let marks = Marks::of(&page);
    bencher.bench(|| marks.cleaned(black_box(&page)).len());
}

#[divan::bench(args = [BITONAL, JPEG])]
fn straighten(bencher: Bencher<'_, '_>, name: &str) {
    let samples = decoded(name).samples;
    let marks = Marks::of(&samples.to_gray());
    bencher.with_inputs(|| samples.clone()).bench_values(|samples| marks.straightened(samples, SKEW_DEG));
}

#[divan::bench]
fn turn_by_a_quarter(bencher: Bencher<'_, '_>) {
    let samples = as_gray(BITONAL);
    bencher.with_inputs(|| samples.clone()).bench_values(|samples| turned_by_quarters(samples, 90));
}

#[divan::bench]
fn encode_group_4(bencher: Bencher<'_, '_>) {
    let samples = decoded(BITONAL).samples;
    bencher.bench(|| encode::plain(black_box(&samples), Chroma::Full).expect("it is coded"));
}

#[divan::bench]
fn encode_jpeg(bencher: Bencher<'_, '_>) {
    let samples = as_gray(BITONAL);
    bencher.bench(|| encode::plain(black_box(&samples), Chroma::Full).expect("it is coded"));
}

/// The text layer and all around it, of one page.
#[divan::bench]
fn bind_a_page(bencher: Bencher<'_, '_>) {
    let (image, bytes) = encode::plain(&decoded(BITONAL).samples, Chroma::Full).expect("it is coded");
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("written");
    let record = full_page(image.width, image.height);
    let info = BindInfo {
        title: "page".into(),
        pdfa: PdfA::A2b,
        languages: "eng".into(),
        copy_of_signed: false,
        sources: Vec::new(),
    };
    bencher.bench(|| {
        let mut binder = Binder::begin(info.clone(), std::io::sink());
        let source = file.try_clone().expect("an open file");
        binder.add_page(&image, &record, source).expect("it is added");
        binder.finish().expect("it is bound")
    });
}

/// A page full of words.
fn full_page(width_px: u32, height_px: u32) -> PageRecord {
    let word = |number: u32| Word {
        text: format!("word{number}"),
        confidence: 0.9,
        rect: Rect { x: 200 + number % 10 * 200, y: 200 + number / 10 * 60, w: 180, h: 40 },
        line: number / 10,
        block: 0,
    };
    PageRecord {
        width_px,
        height_px,
        dpi: 300,
        words: (0..WORDS).map(word).collect(),
        timings_ms: BTreeMap::new(),
        ..PageRecord::default()
    }
}
