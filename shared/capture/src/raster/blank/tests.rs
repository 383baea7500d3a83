use std::fs::File;
use std::path::{Path, PathBuf};

use image::Luma;
use imageproc::drawing::{draw_filled_circle_mut, draw_filled_rect_mut, draw_line_segment_mut};
use imageproc::filter::gaussian_blur_f32;
use imageproc::rect::Rect as Area;

use super::*;
use crate::decode::Document;
use crate::options::Limits;

/// An empty A4 page at 150 dots an inch.
fn sheet(paper: u8) -> GrayImage {
    GrayImage::from_pixel(1_240, 1_754, Luma([paper]))
}

fn boxes(page: &mut GrayImage, count: i32, level: u8) {
    for letter in 0..count {
        let area = Area::at(200 + letter % 50 * 16, 300 + letter / 50 * 40).of_size(9, 14);
        draw_filled_rect_mut(page, area, Luma([level]));
    }
}

fn check(page: &GrayImage, blank: bool) {
    assert_eq!(is_blank(page, &Ink::of(page)), blank);
}

#[test]
fn dust_borders_and_punch_holes_are_nothing() {
    for paper in [255, 230, 180] {
        let mut page = sheet(paper);
        for at in 0..30 {
            page.put_pixel(100 + at * 31, 200 + at * 43, Luma([90]));
        }
        draw_filled_rect_mut(&mut page, Area::at(0, 0).of_size(25, 1_754), Luma([0]));
        for y in [640, 1_112] {
            draw_filled_circle_mut(&mut page, (71, y), 18, Luma([10]));
        }
        check(&page, true);
    }
}

#[test]
fn text_that_shines_through_from_the_back_is_nothing() {
    let mut page = sheet(245);
    boxes(&mut page, 900, 200);
    check(&gaussian_blur_f32(&page, 1.2), true);
}

#[test]
fn the_grain_of_paper_is_nothing() {
    let mut page = sheet(215);
    let mut state = 7u32;
    page.iter_mut().for_each(|sample| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        *sample = (*sample).saturating_add_signed((state % 25) as i8 - 12);
    });
    check(&page, true);
    check(&gaussian_blur_f32(&page, 0.8), true);
}

#[test]
fn a_line_of_text_is_content() {
    let mut page = sheet(250);
    boxes(&mut page, 12, 30);
    check(&page, false);
}

#[test]
fn a_signature_is_content() {
    let mut page = sheet(250);
    let place = |step: i32| {
        let part = step as f32 / 200.0;
        (400.0 + 300.0 * part, 1_300.0 + 40.0 * (part * 38.0).sin())
    };
    for step in 0..200 {
        for thick in [0.0, 1.0] {
            let ((x, y), (to_x, to_y)) = (place(step), place(step + 1));
            draw_line_segment_mut(&mut page, (x, y + thick), (to_x, to_y + thick), Luma([60]));
        }
    }
    check(&page, false);
}

#[test]
fn a_pencilled_line_is_content() {
    let mut page = sheet(250);
    for thick in [0.0, 1.0] {
        draw_line_segment_mut(&mut page, (400.0, 700.0 + thick), (700.0, 712.0 + thick), Luma([185]));
    }
    check(&page, false);
}

#[test]
fn a_stamp_and_a_page_number_are_content() {
    let mut page = sheet(250);
    draw_filled_circle_mut(&mut page, (600, 600), 70, Luma([150]));
    draw_filled_circle_mut(&mut page, (600, 600), 66, Luma([250]));
    check(&page, false);

    let mut page = sheet(250);
    draw_filled_rect_mut(&mut page, Area::at(300, 1_600).of_size(600, 2), Luma([30]));
    draw_filled_rect_mut(&mut page, Area::at(600, 1_620).of_size(9, 14), Luma([30]));
    check(&page, false);
}

#[test]
fn a_soft_picture_without_a_single_stroke_is_content() {
    let page = GrayImage::from_fn(1_240, 1_754, |x, y| Luma([(60 + x / 10 + y / 30) as u8]));
    check(&page, false);
}

/// The numbers, from 1, of the pages of a file of the corpus that are taken for blank; `None` where it is not here.
fn blank_pages(path: &Path) -> Option<Vec<u32>> {
    let limits = Limits::default();
    let file = File::open(path).ok()?;
    let mut document = Document::open(file, &limits).ok()?;
    let pages = document.inspect(&limits).ok()?.pages;
    let is_blank = |page: &u32| {
        document.page(*page, &limits).is_ok_and(|picture| {
            let gray = picture.samples.to_gray();
            is_blank(&gray, &Ink::of(&gray))
        })
    };
    Some((0..pages.min(10)).filter(is_blank).map(|page| page + 1).collect())
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus")
}

#[test]
fn the_blank_pages_of_the_corpus_are_found() {
    let known: &[(&str, &[u32])] = &[
        ("batch_blank.tif", &[2, 5]),
        ("batch_duplex_blank_backs.pdf", &[2, 4, 6]),
        ("batch_patcht.tif", &[]),
        ("blank_scan_1.jpg", &[1]),
        ("blank_no_contents.pdf", &[1]),
        ("nearly_blank_1.pdf", &[]),
    ];
    for (name, pages) in known {
        match blank_pages(&corpus().join("separators").join(name)) {
            Some(found) => assert_eq!(&found, pages, "{name}"),
            None => eprintln!("skipped: {name} is not here"),
        }
    }
}

#[test]
fn no_page_with_text_in_the_corpus_is_blank() {
    for folder in ["ocr", "classify", "photos"] {
        let Ok(entries) = std::fs::read_dir(corpus().join(folder)) else {
            eprintln!("skipped: {folder} is not here");
            continue;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()) {
            let blank = blank_pages(&path).unwrap_or_default();
            assert!(blank.is_empty(), "{}: {blank:?}", path.display());
        }
    }
}
