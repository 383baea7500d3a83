use std::fs::File;
use std::io::{Cursor, Write};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, RgbImage};

use super::*;
use crate::inspection::Inspection;

fn inspect(file: &File, limits: &Limits) -> Result<Inspection, Failure> {
    Document::open(file.try_clone().expect("a second handle"), limits)?.inspect(limits)
}

fn page(file: &File, page: u32, limits: &Limits) -> Result<Picture, Failure> {
    Document::open(file.try_clone().expect("a second handle"), limits)?.page(page, limits)
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("write");
    file
}

fn check_refused(bytes: &[u8], class: FailureClass, says: &str) {
    let failure = inspect(&file(bytes), &Limits::default()).expect_err("it is refused");
    assert_eq!(failure.class, class, "{failure}");
    assert!(failure.message.contains(says), "{failure}");
}

/// A page with a dark square in its upper left quarter.
fn drawing(width: u32, height: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| Luma([if x < width / 2 && y < height / 2 { 40 } else { 230 }]))
}

fn coded(image: DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("it can be coded");
    bytes.into_inner()
}

#[test]
fn what_is_no_document_is_named_for_what_it_is() {
    check_refused(b"", FailureClass::Empty, "no bytes");
    check_refused(b"Dear Sir,\n", FailureClass::Unsupported, "text");
    check_refused(b"  <!doctype html>", FailureClass::Unsupported, "HTML");
    check_refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", FailureClass::Unsupported, "save JPEG");
    check_refused(b"%PDF-1.7\nnothing more", FailureClass::Truncated, "trailer");
    check_refused(b"%PDF-1.7\nnothing more\nstartxref\n0\n%%EOF", FailureClass::Corrupt, "structure");
}

#[test]
fn a_picture_is_known_by_its_bytes_in_every_format() {
    let gray = DynamicImage::ImageLuma8(drawing(60, 40));
    let colour = DynamicImage::ImageRgb8(gray.to_rgb8());
    for (format, kind) in [
        (ImageFormat::Png, Kind::Png),
        (ImageFormat::Jpeg, Kind::Jpeg),
        (ImageFormat::Bmp, Kind::Bmp),
        (ImageFormat::Gif, Kind::Gif),
        (ImageFormat::WebP, Kind::Webp),
        (ImageFormat::Tiff, Kind::Tiff),
    ] {
        let file = file(&coded(colour.clone(), format));
        let inspection = inspect(&file, &Limits::default()).expect("it is readable");
        assert_eq!((inspection.kind, inspection.pages), (kind, 1));
        let picture = page(&file, 0, &Limits::default()).expect("it decodes");
        let gray = picture.samples.to_gray();
        assert_eq!(gray.dimensions(), (60, 40), "{kind:?}");
        assert!(gray.get_pixel(5, 5)[0] < 60 && gray.get_pixel(55, 35)[0] > 210, "{kind:?}");
    }
}

#[test]
fn half_a_jpeg_is_truncated_and_not_half_a_page() {
    let bytes = coded(DynamicImage::ImageLuma8(drawing(300, 300)), ImageFormat::Jpeg);
    check_refused(&bytes[..bytes.len() * 2 / 3], FailureClass::Truncated, "part of the picture is missing");
    check_refused(&bytes[..30], FailureClass::Truncated, "headers");
}

#[test]
fn an_untouched_jpeg_keeps_its_bytes_and_gray_colours_become_gray() {
    let bytes = coded(DynamicImage::ImageLuma8(drawing(80, 80)), ImageFormat::Jpeg);
    let picture = page(&file(&bytes), 0, &Limits::default()).expect("it decodes");
    assert!(matches!(picture.original, Some(Original::Jpeg { bytes: kept, .. }) if kept == bytes));
    let colourless = DynamicImage::ImageRgb8(RgbImage::from_pixel(9, 9, image::Rgb([7, 7, 7])));
    let bytes = coded(colourless, ImageFormat::Png);
    let picture = page(&file(&bytes), 0, &Limits::default()).expect("it decodes");
    assert!(matches!(picture.samples, Samples::Gray(_)));
}

#[test]
fn a_page_over_the_pixel_limit_is_refused_by_its_header() {
    let limits = Limits { page_pixels: 1_000, ..Limits::default() };
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Jpeg] {
        let bytes = coded(DynamicImage::ImageLuma8(drawing(40, 40)), format);
        let failure = inspect(&file(&bytes), &limits).expect_err("too large");
        assert_eq!(failure.class, FailureClass::TooLarge);
        assert!(failure.message.contains("limits.page_pixels"), "{failure}");
    }
    let limits = Limits { file_bytes: 10, ..Limits::default() };
    let bytes = coded(DynamicImage::ImageLuma8(drawing(40, 40)), ImageFormat::Png);
    let failure = inspect(&file(&bytes), &limits).expect_err("too large");
    assert!(failure.message.contains("limits.file_bytes"), "{failure}");
}

#[test]
fn each_page_of_a_tiff_is_found_and_a_cut_one_is_truncated() {
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = ::tiff::encoder::TiffEncoder::new(&mut bytes).expect("an encoder");
    for side in [30u32, 50, 70] {
        let samples = vec![128u8; (side * side) as usize];
        encoder.write_image::<::tiff::encoder::colortype::Gray8>(side, side, &samples).expect("a page");
    }
    let bytes = bytes.into_inner();
    let whole = file(&bytes);
    assert_eq!(inspect(&whole, &Limits::default()).expect("it is readable").pages, 3);
    for (number, side) in [(2, 70), (0, 30), (1, 50)] {
        let picture = page(&whole, number, &Limits::default()).expect("it decodes");
        assert_eq!(picture.dimensions(), (side, side));
    }
    let limits = Limits { pages: 2, ..Limits::default() };
    let failure = inspect(&whole, &limits).expect_err("too many pages");
    assert!(failure.message.contains("limits.pages"), "{failure}");
    check_refused(&bytes[..bytes.len() - 80], FailureClass::Truncated, "");
}

/// A PDF of one page with this box and these entries in the dictionary of its instructions. Its objects are found
/// by reading the file through: it has no table of them.
fn one_page(frame: &str, coding: &str) -> Vec<u8> {
    format!(
        "%PDF-1.5\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n\
         2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n\
         3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[{frame}]/Contents 4 0 R>>\nendobj\n\
         4 0 obj\n<</Length 12{coding}>>\nstream\n0 0 9 9 re f \nendstream\nendobj\n\
         trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n0\n%%EOF\n"
    )
    .into_bytes()
}

#[test]
fn a_pdf_page_that_cannot_be_shown_whole_is_refused_and_not_shown_in_part() {
    let check_page = |coding: &str| {
        let bytes = file(&one_page("0 0 72 72", coding));
        let inspection = inspect(&bytes, &Limits::default()).expect("it has a page");
        assert_eq!(inspection.pages, 1);
        page(&bytes, 0, &Limits::default())
    };
    assert_eq!(check_page("").expect("it is rendered").dimensions(), (300, 300));
    for coding in ["JBIG2Decode", "DCTDecode", "CCITTFaxDecode", "JPXDecode"] {
        let failure = check_page(&format!("/Filter/{coding}")).expect_err("no instructions");
        assert_eq!(failure.class, FailureClass::Corrupt, "{coding}: {failure}");
    }
    let damaged = file(&one_page("0 0 1e9 1e9", ""));
    let failure = page(&damaged, 0, &Limits::default()).expect_err("its dictionary cannot be read");
    assert_eq!(failure.class, FailureClass::Corrupt);
    assert!(failure.message.contains("is damaged"), "{failure}");
}

#[test]
fn fax_lines_are_stretched_to_square_pixels_and_absurd_resolutions_are_ignored() {
    let picture = Picture::new(Samples::Gray(drawing(204, 98))).with_resolution(204.0, 98.0);
    assert_eq!((picture.dimensions(), picture.dpi), ((204, 204), Some(204)));
    for (horizontal, vertical) in [(1.0, 1.0), (70.0, 2_400.0), (f64::NAN, 200.0)] {
        let picture = Picture::new(Samples::Gray(drawing(204, 98))).with_resolution(horizontal, vertical);
        assert_eq!((picture.dimensions(), picture.dpi), ((204, 98), None), "{horizontal} x {vertical}");
    }
}

#[test]
fn a_resolution_that_would_stretch_a_page_is_believed_where_it_makes_paper_of_it_or_is_that_of_a_fax() {
    let check = |size: (u32, u32),
                 (horizontal, vertical): (f64, f64),
                 expected: ((u32, u32), Option<u32>)| {
        let picture = Picture::new(Samples::Gray(drawing(size.0, size.1)));
        let picture = picture.with_stated_resolution(horizontal, vertical);
        assert_eq!((picture.dimensions(), picture.dpi), expected, "{size:?} at {horizontal} x {vertical}");
    };
    let a4 = (248, 351);
    check(a4, (300.0, 300.0), (a4, Some(300)));
    // Slips of the pen: the pixels are those of the page.
    check(a4, (300.0, 100.0), (a4, None));
    check(a4, (100.0, 300.0), (a4, None));
    // Half the lines, and half the columns of a page that lies on its side.
    check((248, 176), (300.0, 150.0), ((248, 352), Some(300)));
    check((176, 248), (150.0, 300.0), ((352, 248), Some(300)));
    // Faxes of any length.
    check((204, 98), (204.0, 98.0), ((204, 204), Some(204)));
    check((204, 300), (204.0, 391.0), ((391, 300), Some(391)));
    check((200, 80), (200.0, 100.0), ((200, 160), Some(200)));
    check((98, 204), (98.0, 204.0), ((204, 204), Some(204)));
}

#[test]
fn a_decoder_that_panics_says_corrupt() {
    let fault = guarded::<()>(|| panic!("index out of bounds")).expect_err("it panicked");
    assert_eq!(fault.class, FailureClass::Corrupt);
    assert!(fault.message.contains("index out of bounds"));
}

#[path = "tests/damage.rs"]
mod damage;
#[path = "tests/desk.rs"]
mod desk;
#[path = "tests/formats.rs"]
mod formats;
#[path = "tests/pdf_images.rs"]
mod pdf_images;
#[path = "tests/pdf.rs"]
mod pdf_pages;
#[path = "tests/scene.rs"]
mod scene;
#[path = "tests/tiff_file.rs"]
mod tiff_file;
#[path = "tests/tiff.rs"]
mod tiff_pages;
#[path = "tests/tiff_samples.rs"]
mod tiff_samples_of_pages;
