use std::fs::File;
use std::path::{Path, PathBuf};

use image::{Luma, RgbImage};
use imageproc::drawing::{draw_filled_circle_mut, draw_filled_rect_mut, draw_line_segment_mut};
use imageproc::filter::gaussian_blur_f32;
use imageproc::rect::Rect as Area;
use proptest::prelude::*;

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
fn a_stamp_is_content() {
    let mut page = sheet(250);
    draw_filled_circle_mut(&mut page, (600, 600), 70, Luma([150]));
    draw_filled_circle_mut(&mut page, (600, 600), 66, Luma([250]));
    check(&page, false);
}

/// Figures of seven strokes each, and dashes.
fn figures(page: &mut GrayImage, (x, y): (i32, i32), height: i32, text: &str) {
    // Top, upper left, upper right, middle, lower left, lower right, bottom.
    const STROKES: [&str; 10] =
        ["012456", "25", "02346", "02356", "1235", "01356", "013456", "025", "0123456", "012356"];
    let (thick, half, wide) = ((height / 8).max(2), height / 2, height * 3 / 5);
    for (place, figure) in (0..).zip(text.chars()) {
        let x = x + place * (wide + height / 4);
        let strokes = figure.to_digit(10).map_or("3", |figure| STROKES[figure as usize]);
        for stroke in strokes.chars().filter(|_| figure != ' ') {
            let (left, top, across) = match stroke {
                '0' => (0, 0, true),
                '1' => (0, 0, false),
                '2' => (wide - thick, 0, false),
                '3' => (0, half - thick / 2, true),
                '4' => (0, half, false),
                '5' => (wide - thick, half, false),
                _ => (0, height - thick, true),
            };
            let (width, height) = if across { (wide, thick) } else { (thick, height - half) };
            let area = Area::at(x + left, y + top).of_size(width as u32, height as u32);
            draw_filled_rect_mut(page, area, Luma([30]));
        }
    }
}

#[test]
fn a_number_alone_is_content_wherever_it_stands_and_however_it_lies() {
    for text in ["12", "940", "2026", "- 7 -"] {
        for height in [12, 18, 26] {
            for at in [(600, 1_640), (120, 130), (600, 800), (1_000, 300)] {
                let mut page = sheet(250);
                figures(&mut page, at, height, text);
                let page = gaussian_blur_f32(&page, 0.5);
                for quarters in 0..4 {
                    check(&crate::raster::turn::gray_by_quarters(page.clone(), quarters * 90), false);
                }
            }
        }
    }
}

#[test]
fn a_number_that_shines_through_from_the_back_is_nothing() {
    let mut page = sheet(245);
    figures(&mut page, (600, 800), 26, "940");
    let back = GrayImage::from_fn(1_240, 1_754, |x, y| Luma([245 - (245 - page.get_pixel(x, y).0[0]) / 4]));
    check(&gaussian_blur_f32(&back, 1.6), true);
}

#[test]
fn a_line_in_the_margin_is_content() {
    // Of a fax machine, at the foot, and along a side.
    for at in [(200, 30), (400, 1_712)] {
        let mut page = sheet(250);
        figures(&mut page, at, 14, "12052026 1041 4930123456 003");
        for quarters in 0..4 {
            check(&crate::raster::turn::gray_by_quarters(page.clone(), quarters * 90), false);
        }
    }
}

#[test]
fn a_row_of_holes_along_the_edge_is_nothing() {
    let mut page = sheet(250);
    for hole in 0..60 {
        draw_filled_circle_mut(&mut page, (22, 40 + hole * 28), 9, Luma([15]));
    }
    check(&page, true);
}

/// A stroke as thick as this.
fn stroke(page: &mut GrayImage, from: (f32, f32), to: (f32, f32), thick: u32, level: u8) {
    for thick in 0..thick {
        let thick = thick as f32;
        draw_line_segment_mut(page, (from.0 + thick, from.1), (to.0 + thick, to.1), Luma([level]));
        draw_line_segment_mut(page, (from.0, from.1 + thick), (to.0, to.1 + thick), Luma([level]));
    }
}

#[test]
fn what_is_joined_to_the_edge_is_content_by_what_it_is_within_the_margins() {
    let (right, bottom) = (1_239.0, 1_753.0);
    // Struck out from corner to corner, and by one stroke.
    let mut page = sheet(255);
    stroke(&mut page, (0.0, 0.0), (right, bottom), 4, 20);
    check(&page, false);
    stroke(&mut page, (0.0, bottom), (right, 0.0), 4, 20);
    check(&page, false);

    let framed = || {
        let mut page = sheet(255);
        for (from, to) in [
            ((30, 30), (1_180, 3)),
            ((30, 1_721), (1_180, 3)),
            ((30, 30), (3, 1_694)),
            ((1_207, 30), (3, 1_694)),
        ] {
            draw_filled_rect_mut(&mut page, Area::at(from.0, from.1).of_size(to.0, to.1), Luma([0]));
        }
        page
    };
    check(&framed(), true);
    let mut chart = framed();
    for pair in
        [(30.0, 1_500.0), (200.0, 1_250.0), (400.0, 1_350.0), (650.0, 750.0), (1_208.0, 350.0)].windows(2)
    {
        stroke(&mut chart, pair[0], pair[1], 3, 0);
    }
    check(&chart, false);

    let mut grid = framed();
    (30..1_200).step_by(59).for_each(|x| stroke(&mut grid, (x as f32, 30.0), (x as f32, 1_720.0), 2, 0));
    (30..1_720).step_by(56).for_each(|y| stroke(&mut grid, (30.0, y as f32), (1_207.0, y as f32), 2, 0));
    check(&grid, false);
}

#[test]
fn areas_that_run_off_the_page_are_content() {
    // A band across a cover, a slanting field, and a picture that fills the page.
    for dark in [20, 60, 140] {
        let mut band = sheet(255);
        draw_filled_rect_mut(&mut band, Area::at(0, 450).of_size(1_240, 350), Luma([dark]));
        check(&band, false);
        check(
            &GrayImage::from_fn(1_240, 1_754, |x, y| Luma([if y > 850 + x / 2 { dark } else { 255 }])),
            false,
        );
    }
    let picture = |x: u32, y: u32| 150.0 + 50.0 * ((y as f32 - x as f32 * 0.1) / 5.0).sin();
    check(&GrayImage::from_fn(1_240, 1_754, |x, y| Luma([picture(x, y) as u8])), false);
}

/// An empty sheet that lies askew before a lid of this level.
fn before_a_lid(lid: u8, angle_deg: f32) -> GrayImage {
    let (sine, cosine) = angle_deg.to_radians().sin_cos();
    GrayImage::from_fn(1_240, 1_754, |x, y| {
        let (x, y) = (x as f32 - 620.0, y as f32 - 877.0);
        let (along, down) = (x * cosine + y * sine, y * cosine - x * sine);
        Luma([if along.abs() < 600.0 && down.abs() < 860.0 { 248 } else { lid }])
    })
}

#[test]
fn the_edges_of_an_empty_sheet_are_nothing() {
    for lid in [5, 90, 150] {
        for angle_deg in [-4.0, -2.0, -0.6, 0.0, 1.0, 3.0, 4.5] {
            let page = gaussian_blur_f32(&before_a_lid(lid, angle_deg), 0.7);
            assert!(is_blank(&page, &Ink::of(&page)), "before a lid of {lid}, turned by {angle_deg}");
        }
    }
    // A small sheet in a corner of the glass: nothing but its shadow shows.
    let mut page = sheet(250);
    stroke(&mut page, (0.0, 1_240.0), (876.0, 1_246.0), 3, 120);
    stroke(&mut page, (876.0, 0.0), (872.0, 1_246.0), 3, 120);
    check(&page, true);
}

#[test]
fn folds_scratches_torn_corners_and_holes_that_are_torn_out_are_nothing() {
    let mut page = sheet(250);
    stroke(&mut page, (0.0, 590.0), (1_239.0, 594.0), 3, 150);
    stroke(&mut page, (0.0, 1_170.0), (1_239.0, 1_165.0), 3, 150);
    stroke(&mut page, (700.0, 0.0), (701.0, 1_753.0), 1, 40);
    check(&page, true);

    let mut page = sheet(250);
    for (x, y, pixel) in page.enumerate_pixels_mut() {
        // A corner is folded over, before a black lid.
        if x + y < 130 {
            *pixel = Luma([5]);
        }
    }
    for y in [640, 1_112] {
        draw_filled_circle_mut(&mut page, (60, y), 18, Luma([5]));
        draw_filled_rect_mut(&mut page, Area::at(0, y - 8).of_size(60, 16), Luma([5]));
    }
    // A staple.
    stroke(&mut page, (1_180.0, 40.0), (1_210.0, 90.0), 3, 60);
    check(&page, true);
}

#[test]
fn colour_that_is_as_light_as_paper_is_content() {
    let check = |page: &RgbImage, coloured: bool| {
        let samples = Samples::Rgb(page.clone());
        let gray = samples.to_gray();
        let ink = Ink::of(&gray);
        assert!(is_blank(&gray, &ink));
        assert_eq!(has_colour(&samples, &ink), coloured);
    };
    let paper = |level: [u8; 3]| RgbImage::from_pixel(1_240, 1_754, image::Rgb(level));
    for tint in [[255; 3], [250, 244, 225]] {
        for colour in [[255, 255, 80], [255, 255, 0]] {
            let mut page = paper(tint);
            draw_filled_rect_mut(&mut page, Area::at(200, 300).of_size(700, 40), image::Rgb(colour));
            check(&page, true);
            let mut page = paper(tint);
            for thick in 0..6 {
                let at = |x: f32, y: f32| (x, y + thick as f32);
                draw_line_segment_mut(&mut page, at(200.0, 300.0), at(500.0, 420.0), image::Rgb(colour));
            }
            check(&page, true);
        }
        // The paper itself, its browned edge, a fleck, and the line of a dirty sensor.
        let mut page = paper(tint);
        check(&page, false);
        for (x, _, pixel) in page.enumerate_pixels_mut() {
            pixel.0[2] -= 60u8.saturating_sub(x as u8 / 4) * u8::from(x < 240);
        }
        draw_filled_circle_mut(&mut page, (600, 600), 12, image::Rgb([255, 255, 120]));
        draw_filled_rect_mut(&mut page, Area::at(800, 0).of_size(1, 1_754), image::Rgb([255, 255, 120]));
        check(&page, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn dust_is_nothing(large in 0usize..=6, small in 0usize..400, seed: u64) {
        let mut page = sheet(248);
        let mut state = seed | 1;
        let mut chance = |most: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as usize % most
        };
        // Large grains lie apart, each somewhere in a field of its own.
        let mut fields: Vec<usize> = (0..12 * 16).collect();
        for _ in 0..large {
            let field = fields.swap_remove(chance(fields.len()));
            let (x, y) = (field % 12 * 100 + 20 + chance(50), field / 12 * 108 + 20 + chance(50));
            let (wide, high) = (2 + chance(11), 2 + chance(11));
            let area = Area::at(x as i32, y as i32).of_size(wide as u32, high as u32);
            draw_filled_rect_mut(&mut page, area, Luma([10 + chance(120) as u8]));
        }
        for _ in 0..small {
            let area = Area::at(chance(1_236) as i32, chance(1_750) as i32);
            let area = area.of_size(1 + chance(2) as u32, 1 + chance(2) as u32);
            draw_filled_rect_mut(&mut page, area, Luma([10 + chance(120) as u8]));
        }
        prop_assert!(is_blank(&page, &Ink::of(&page)));
    }
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
            let ink = Ink::of(&gray);
            is_blank(&gray, &ink) && !has_colour(&picture.samples, &ink)
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
