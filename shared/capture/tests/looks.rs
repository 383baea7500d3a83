//! How finished pages look: the samples, processed, against small pictures of how they looked when a person last
//! looked at them.
//!
//! A picture is 60 pixels wide: enough to see a page that is turned, crooked, cut, dark or pale, and too small
//! for the noise of a decoder to matter. After a change that is meant, look at the pages, and run the tests once
//! with `PLATEN_GOLDEN=write`.

use std::fs::File;
use std::path::{Path, PathBuf};

use image::GrayImage;
use image::imageops::{FilterType, resize};
use platen_capture::decode::Document;
use platen_capture::inspection::ImageCodec;
use platen_capture::ocr::Engines;
use platen_capture::options::Effort;
use platen_capture::{Options, raster};

/// Width of a golden picture in pixels.
const WIDTH: u32 = 60;
/// Mean difference of samples that nobody sees.
const MEAN_MAX: f64 = 2.0;
/// Difference of a single sample that a shift of half a pixel on the page can make.
const WORST_MAX: u8 = 40;

/// The sample's first page, finished, in small.
fn finished(name: &str) -> GrayImage {
    let samples = platen_testdata::samples();
    let path = samples.iter().flat_map(|sample| sample.paths()).find(|path| path.ends_with(name));
    let file = File::open(path.expect("the sample is there")).expect("it can be opened");
    let options = Options::default();
    let mut document = Document::open(file, &options.limits).expect("it is a document");
    let page = raster::finish_page(&mut document, 0, &options, Effort::Unread, &mut Engines::default())
        .expect("the page can be finished");
    assert_eq!(page.image.codec, ImageCodec::Jpeg, "{name} is chosen because it becomes a JPEG");
    let page = image::load_from_memory(&page.bytes).expect("it is a JPEG").to_luma8();
    let height = (page.height() * WIDTH / page.width()).max(1);
    resize(&page, WIDTH, height, FilterType::Triangle)
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("png")
}

fn check(name: &str) {
    let page = finished(name);
    if std::env::var("PLATEN_GOLDEN").is_ok_and(|what| what == "write") {
        page.save(golden(name)).expect("the golden picture can be written");
    }
    let expected = image::open(golden(name)).expect("there is a golden picture").to_luma8();
    assert_eq!(page.dimensions(), expected.dimensions(), "{name} has another shape");
    let differences: Vec<u8> = page.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = differences.iter().map(|&by| f64::from(by)).sum::<f64>() / differences.len() as f64;
    let worst = differences.iter().max().copied().unwrap_or(0);
    assert!(
        mean <= MEAN_MAX && worst <= WORST_MAX,
        "{name} differs by {mean:.2} on average, {worst} at worst"
    );
}

#[test]
fn a_crooked_letter_lies_straight_on_its_paper() {
    check("letter-marlow.jpg");
}

#[test]
fn a_delivery_note_that_came_upside_down_stands_upright() {
    check("delivery-kessel.jpg");
}

#[test]
fn a_receipt_keeps_its_light() {
    check("receipt-colbert.jpg");
}

#[test]
fn an_invoice_in_colour_keeps_its_shades() {
    check("invoice-lindner.jpg");
}

#[test]
fn a_crooked_form_has_no_dark_corners() {
    check("onboarding-lindqvist.jpg");
}
