//! How finished pages look: the samples, processed, against small pictures of how they looked when a person last
//! looked at them.
//!
//! A picture is 60 pixels wide: enough to see a page that is turned, crooked, cut, dark or pale, and too small
//! for the noise of a decoder to matter. Where one stage is looked at, a sample is made dirty as that stage expects it,
//! and the picture is 150 pixels wide; the same page without the stage must not look like it. After a change that is
//! meant, look at the pages, and run the tests once with `PLATEN_GOLDEN=write`.

use std::fs::File;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use image::imageops::{FilterType, blur, flip_horizontal, resize};
use image::{DynamicImage, GrayImage, ImageFormat, Luma};
use imageproc::drawing::{draw_filled_circle_mut, draw_filled_rect_mut};
use imageproc::geometric_transformations::{
    Border, Interpolation, Projection, rotate_about_center, warp_into,
};
use imageproc::rect::Rect as Area;
use platen_capture::decode::{Document, Samples};
use platen_capture::inspection::ImageCodec;
use platen_capture::ocr::Engines;
use platen_capture::options::Effort;
use platen_capture::raster::measures::Marks;
use platen_capture::{Clean, Options, raster};

/// Width of a golden picture in pixels.
const WIDTH: u32 = 60;
/// Width of one that shows what a single stage did.
const STAGE_WIDTH: u32 = 150;
/// Mean difference of samples that nobody sees.
const MEAN_MAX: f64 = 2.0;
/// Difference of a single sample that a shift of half a pixel on the page can make.
const WORST_MAX: u8 = 40;

fn sample(name: &str) -> File {
    let samples = platen_testdata::samples();
    let path = samples.iter().flat_map(|sample| sample.paths()).find(|path| path.ends_with(name));
    File::open(path.expect("the sample is there")).expect("it can be opened")
}

/// The file's first page, finished, in small.
fn finished(file: File, clean: Clean, width: u32) -> GrayImage {
    let options = Options { clean, ..Options::default() };
    let mut document = Document::open(file, &options.limits).expect("it is a document");
    let page = raster::finish_page(&mut document, 0, &options, Effort::Unread, &mut Engines::default())
        .expect("the page can be finished");
    assert_eq!(page.image.codec, ImageCodec::Jpeg, "what is chosen becomes a JPEG");
    let page = image::load_from_memory(&page.bytes).expect("it is a JPEG").to_luma8();
    let height = (page.height() * width / page.width()).max(1);
    resize(&page, width, height, FilterType::Triangle)
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).with_extension("png")
}

/// The mean and the worst difference of two pictures; `None` where they have other shapes.
fn difference(page: &GrayImage, expected: &GrayImage) -> Option<(f64, u8)> {
    let differences = || page.iter().zip(expected.iter()).map(|(a, b)| a.abs_diff(*b));
    let mean = differences().map(f64::from).sum::<f64>() / page.len() as f64;
    (page.dimensions() == expected.dimensions()).then(|| (mean, differences().max().unwrap_or(0)))
}

/// The golden picture, which is made anew where that is asked for.
fn expected(name: &str, page: &GrayImage) -> GrayImage {
    if std::env::var("PLATEN_GOLDEN").is_ok_and(|what| what == "write") {
        page.save(golden(name)).expect("the golden picture can be written");
    }
    image::open(golden(name)).expect("there is a golden picture").to_luma8()
}

#[track_caller]
fn check_same(name: &str, page: &GrayImage) {
    let difference = difference(page, &expected(name, page));
    let (mean, worst) = difference.unwrap_or_else(|| panic!("{name} has another shape"));
    assert!(
        mean <= MEAN_MAX && worst <= WORST_MAX,
        "{name} differs by {mean:.2} on average, {worst} at worst"
    );
}

fn check(name: &str) {
    check_same(name, &finished(sample(name), Clean::default(), WIDTH));
}

/// Checks what a stage makes of a page that needs it.
#[track_caller]
fn check_stage(name: &str, dirty: &GrayImage) {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(dirty.clone()).write_to(&mut bytes, ImageFormat::Png).expect("it can be coded");
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes.get_ref()).expect("written");
    let page = finished(file, Clean::Shown, STAGE_WIDTH);
    check_same(name, &page);
    let small = resize(dirty, page.width(), page.height(), FilterType::Triangle);
    let is_like =
        difference(&small, &page).is_some_and(|(mean, worst)| mean <= MEAN_MAX && worst <= WORST_MAX);
    assert!(!is_like, "{name} looks as it came: the picture does not show what the stage does");
}

/// A straight gray page at 200 dots an inch with its print: the second page of three.
fn page() -> GrayImage {
    let limits = Options::default().limits;
    let mut document = Document::open(sample("letter-pages_p2.jpg"), &limits).expect("it is a document");
    let page = document.page(0, &limits).expect("it decodes").samples.to_gray();
    let skew_deg = Marks::of(&page).skew_deg();
    Marks::of(&page).straightened(Samples::Gray(page), skew_deg).1
}

/// The page in another light: each sample times what is said for its place, from 0 to 1 across and down.
fn lit(mut page: GrayImage, light: impl Fn(f32, f32) -> f32) -> GrayImage {
    let (width, height) = (page.width() as f32, page.height() as f32);
    for (x, y, sample) in page.enumerate_pixels_mut() {
        sample.0[0] = (f32::from(sample.0[0]) * light(x as f32 / width, y as f32 / height)) as u8;
    }
    page
}

#[test]
fn a_page_that_lies_crooked_is_straightened_with_paper_in_its_corners() {
    let page = page();
    let turned =
        rotate_about_center(&page, 5f32.to_radians(), Interpolation::Bicubic, Border::Constant(Luma([248])));
    check_stage("stage-deskew", &turned);
}

#[test]
fn the_black_borders_of_a_scanner_are_painted_over_with_paper() {
    let mut page = page();
    let (width, height) = page.dimensions();
    for area in [Area::at(0, 0).of_size(52, height), Area::at(0, height as i32 - 70).of_size(width, 70)] {
        draw_filled_rect_mut(&mut page, area, Luma([12]));
    }
    check_stage("stage-borders", &page);
}

#[test]
fn punch_holes_are_painted_over_with_paper() {
    let mut page = page();
    let middle = page.height() as i32 / 2;
    for y in [middle - 315, middle + 315] {
        draw_filled_circle_mut(&mut page, (86, y), 23, Luma([20]));
    }
    check_stage("stage-holes", &page);
}

#[test]
fn what_shines_through_from_the_back_is_lifted_and_the_front_stays() {
    let page = page();
    let (width, height) = page.dimensions();
    // Its text stands in the upper third. It fills half of the front, and all of the back.
    let text = height * 3 / 10;
    let mut front =
        GrayImage::from_fn(width, height, |x, y| *page.get_pixel(x, if y < text * 2 { y % text } else { y }));
    let back = GrayImage::from_fn(width, height, |x, y| *page.get_pixel(x, (y + 45) % text));
    // Paper scatters the light that comes through it.
    let back = blur(&flip_horizontal(&back), 2.0);
    for (sample, back) in front.iter_mut().zip(back.iter()) {
        let paleness = (1.0 - f32::from(*back) / 245.0).max(0.0) * 0.5;
        *sample = (f32::from(*sample) * (1.0 - paleness)) as u8;
    }
    check_stage("stage-show-through", &front);
}

#[test]
fn light_that_falls_unevenly_is_evened() {
    let shadow = |x: f32, y: f32| 1.0 - 0.55 * ((x + y * 0.4 - 0.5) * 1.8).clamp(0.0, 1.0);
    check_stage("stage-light", &lit(page(), shadow));
}

#[test]
fn a_sheet_on_a_table_becomes_a_page() {
    let page = page();
    let (width, height) = (page.width() as f32, page.height() as f32);
    let edges = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)];
    let seen = [(420.0, 330.0), (1_750.0, 280.0), (1_980.0, 2_480.0), (190.0, 2_380.0)];
    let projection = Projection::from_control_points(edges, seen).expect("the corners span a plane");
    let table = |x: u32, y: u32| (95.0 + (x as f32 * 0.02 + (y as f32 * 0.05).sin()).sin() * 12.0) as u8;
    let mut photo = GrayImage::new(2_150, 2_800);
    warp_into(&page, projection, Interpolation::Bilinear, Border::Constant(Luma([0])), &mut photo);
    let mut sheet = GrayImage::new(2_150, 2_800);
    let whole = GrayImage::from_pixel(page.width(), page.height(), Luma([255]));
    warp_into(&whole, projection, Interpolation::Bilinear, Border::Constant(Luma([0])), &mut sheet);
    for (x, y, sample) in photo.enumerate_pixels_mut() {
        if sheet.get_pixel(x, y).0[0] < 128 {
            sample.0[0] = table(x, y);
        }
    }
    check_stage("stage-photo", &photo);
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
