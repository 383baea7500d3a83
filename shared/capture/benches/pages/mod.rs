//! The pages that the benches work on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use image::GrayImage;
use platen_capture::decode::{Chroma, Document, Picture, Samples};
use platen_capture::pdf::Binder;
use platen_capture::raster::encode;
use platen_capture::worker::protocol::BindInfo;
use platen_capture::{Limits, PdfA};
use platen_model::{PageRecord, Rect, Word};

/// A black and white page in TIFF group 4 (300 dpi), and one in JPEG (colour, 200 dpi).
pub(crate) const BITONAL: &str = "contract-halden";
pub(crate) const JPEG: &str = "invoice-lindner";
/// A skew that takes the whole way.
pub(crate) const SKEW_DEG: f32 = 1.7;
/// The words of a full page.
const WORDS: u32 = 500;

fn sample(name: &str) -> PathBuf {
    let samples = platen_testdata::samples();
    let sample = samples.iter().find(|sample| sample.name == name).expect("the sample is committed");
    sample.paths().remove(0)
}

pub(crate) fn decoded(name: &str) -> Picture {
    let limits = Limits::default();
    let file = File::open(sample(name)).expect("the sample opens");
    let mut document = Document::open(file, &limits).expect("the sample is a document");
    document.page(0, &limits).expect("the sample has a page")
}

pub(crate) fn gray(name: &str) -> GrayImage {
    decoded(name).samples.to_gray()
}

/// A page as a gray scan.
pub(crate) fn as_gray(name: &str) -> Samples {
    Samples::Gray(gray(name))
}

/// Binds a page full of words into a PDF.
pub(crate) fn binding() -> impl Fn() {
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
    move || {
        let mut binder = Binder::begin(info.clone(), std::io::sink());
        let source = file.try_clone().expect("an open file");
        binder.add_page(&image, &record, source).expect("it is added");
        binder.finish().expect("it is bound");
    }
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
