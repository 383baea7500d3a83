//! The steps that every page goes through, each alone, on the generated samples.
//!
//! Compare a run with one from before a change, on the same quiet machine. What guards against slow mistakes on any machine
//! is the bench `ratios`.

mod pages;

use divan::{Bencher, black_box};
use image::{GrayImage, Luma};
use imageproc::drawing::{draw_filled_circle_mut, draw_filled_rect_mut};
use imageproc::geometric_transformations::{Border, Interpolation, Projection, warp_into};
use imageproc::rect::Rect as Area;
use pages::{BITONAL, JPEG, SKEW_DEG, as_gray, decoded, gray};
use platen_capture::decode::{Chroma, Picture, Samples};
use platen_capture::ocr::Engines;
use platen_capture::raster::encode;
use platen_capture::raster::measures::{Marks, rectified, turned_by_quarters};

fn main() {
    divan::main();
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

/// A page as a scanner with a black lid makes it: borders and punch holes.
#[divan::bench]
fn clean_borders_and_holes(bencher: Bencher<'_, '_>) {
    let mut page = gray(JPEG);
    let (width, height) = page.dimensions();
    draw_filled_rect_mut(&mut page, Area::at(0, 0).of_size(40, height), Luma([12]));
    for part in [3, 5] {
        let place = (width as i32 / 16 + 40, height as i32 * part / 8);
        draw_filled_circle_mut(&mut page, place, width as i32 / 70, Luma([20]));
    }
    let marks = Marks::of(&page);
    bencher.bench(|| marks.cleaned(black_box(&page)).len());
}

/// The second look that a blank page gets, with the first.
#[divan::bench]
fn judge_blank_a_bare_page(bencher: Bencher<'_, '_>) {
    let page = GrayImage::from_fn(2_480, 3_508, |x, y| Luma([(240 + (x * 7 + y * 13) % 9) as u8]));
    let marks = Marks::of(&page);
    assert!(marks.are_of_blank(&page));
    bencher.bench(|| marks.are_of_blank(black_box(&page)));
}

/// Which way up a page lies that lies as it should, and one that does not; neither needs the orientation model.
#[divan::bench(args = [0, 180])]
fn find_orientation(bencher: Bencher<'_, '_>, clockwise_deg: u32) {
    let page = turned_by_quarters(as_gray(BITONAL), clockwise_deg).to_gray();
    let marks = Marks::of(&page);
    let mut engines = Engines::default();
    bencher.bench_local(|| marks.turn_deg(black_box(&page), 300, "eng", &mut engines).expect("it is found"));
}

#[divan::bench(args = [BITONAL, JPEG])]
fn find_bar_codes(bencher: Bencher<'_, '_>, name: &str) {
    let picture = decoded(name);
    let (page, dpi) = (picture.samples.to_gray(), picture.dpi.unwrap_or(300));
    let marks = Marks::of(&page);
    bencher.bench(|| marks.barcodes(black_box(&page), dpi));
}

/// The first look, which nearly all pages get: is it a photo at all?
#[divan::bench]
fn tell_a_scan_from_a_photo(bencher: Bencher<'_, '_>) {
    let picture = decoded(JPEG);
    bencher.with_inputs(|| picture.clone()).bench_values(|picture| rectified(picture).1);
}

/// A sheet on a dark table, seen at an angle.
#[divan::bench]
fn flatten_a_photo(bencher: Bencher<'_, '_>) {
    let page = gray(JPEG);
    let (width, height) = (page.width() as f32, page.height() as f32);
    let edges = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)];
    let seen = [(300.0, 260.0), (width - 160.0, 210.0), (width + 60.0, height + 60.0), (90.0, height - 20.0)];
    let projection = Projection::from_control_points(edges, seen).expect("the corners span a plane");
    let mut photo = GrayImage::new(page.width() + 200, page.height() + 200);
    warp_into(&page, projection, Interpolation::Bilinear, Border::Constant(Luma([80])), &mut photo);
    let picture = Picture::new(Samples::Gray(photo));
    assert!(rectified(picture.clone()).1.is_some_and(|photo| photo.corrected));
    bencher.with_inputs(|| picture.clone()).bench_values(rectified);
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
    bencher.bench(pages::binding());
}
