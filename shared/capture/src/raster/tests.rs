use std::io::{Cursor, Write};

use image::{DynamicImage, ImageFormat, Luma};
use imageproc::drawing::{draw_filled_rect_mut, draw_line_segment_mut};
use imageproc::rect::Rect as Area;
use proptest::prelude::*;

use super::*;
use crate::decode::Samples;

/// A page of made-up text: letters are boxes on lines, one in three reaches up, one in nine down.
fn text_page(seed: u32) -> GrayImage {
    let mut page = GrayImage::from_pixel(1_240, 1_754, Luma([255]));
    let mut state = seed | 1;
    let mut random = move |most: u32| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state % most
    };
    for line in 0..38 {
        let baseline = 200 + line * 36;
        let mut x = 150 + random(20) as i32;
        let end = 1_090 - if random(5) == 0 { 400 } else { random(60) as i32 };
        while x < end {
            let width = 6 + random(6);
            let (top, bottom) = match random(9) {
                0..3 => (18, 0),
                3 => (12, 6),
                _ => (12, 0),
            };
            let area = Area::at(x, baseline - top).of_size(width, (top + bottom) as u32);
            draw_filled_rect_mut(&mut page, area, Luma([20]));
            x += width as i32 + if random(6) == 0 { 14 } else { 4 };
        }
    }
    page
}

/// The page turned clockwise.
fn turned(page: &GrayImage, clockwise_deg: f32) -> GrayImage {
    turn::straightened_to_read(Samples::Gray(page.clone()), -clockwise_deg, page.dimensions()).1
}

fn skew_of(page: &GrayImage) -> f32 {
    skew::Glance::across(&Ink::of(page)).lines().skew_deg
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn any_skew_within_nineteen_degrees_is_found_to_less_than_a_tenth(seed: u32, angle in -19.0f32..19.0) {
        let found = skew_of(&turned(&text_page(seed), angle));
        prop_assert!((found - angle).abs() < 0.08, "turned by {angle}, found {found}");
    }
}

#[test]
fn black_borders_and_frames_do_not_hide_the_skew_of_the_text() {
    let mut page = turned(&text_page(7), 3.0);
    draw_filled_rect_mut(&mut page, Area::at(0, 0).of_size(60, 1_754), Luma([0]));
    draw_filled_rect_mut(&mut page, Area::at(0, 1_700).of_size(1_240, 54), Luma([0]));
    for y in [400, 800, 1_200] {
        draw_filled_rect_mut(&mut page, Area::at(100, y).of_size(1_040, 3), Luma([0]));
    }
    let found = skew_of(&page);
    assert!((found - 3.0).abs() < 0.05, "found {found}");
}

#[test]
fn straightening_keeps_the_size_and_brings_in_paper_instead_of_black() {
    let page = GrayImage::from_pixel(400, 600, Luma([210]));
    let (samples, gray) = turn::straightened_to_read(Samples::Gray(page), 9.0, (400, 600));
    assert_eq!(gray.dimensions(), (400, 600));
    assert!(samples.to_gray().iter().all(|sample| (209..=211).contains(sample)));
}

#[test]
fn corners_get_the_papers_own_shade_and_never_the_black_of_the_lid() {
    // Paper that is lighter on the right, on a scanner with its lid open on the left and below.
    let page = GrayImage::from_fn(1_000, 1_400, |x, y| {
        Luma([if x < 30 || y > 1_370 { 5 } else { (170 + x / 20) as u8 }])
    });
    let (_, gray) = turn::straightened_to_read(Samples::Gray(page), 6.0, (1_000, 1_400));
    let corners = [(3, 3, 172), (996, 3, 218), (3, 1_396, 172), (996, 1_396, 218)];
    for (x, y, paper) in corners {
        let corner = gray.get_pixel(x, y).0[0];
        assert!(corner.abs_diff(paper) <= 8, "{corner} instead of {paper} at {x}, {y}");
    }
}

#[test]
fn nothing_that_stands_on_a_page_falls_over_its_edge() {
    let mut page = GrayImage::from_pixel(1_000, 1_400, Luma([255]));
    draw_filled_rect_mut(&mut page, Area::at(8, 8).of_size(20, 30), Luma([0]));
    let ink_of = |page: &GrayImage| page.iter().map(|sample| u64::from(255 - sample)).sum::<u64>() as f64;
    let size = turn::size_for(&Ink::of(&page), page.dimensions(), 0, -8.0);
    let (_, turned) = turn::straightened_to_read(Samples::Gray(page.clone()), -8.0, size);
    assert!((ink_of(&turned) / ink_of(&page) - 1.0).abs() < 0.01, "ink was lost at {size:?}");

    let middle = text_page(5);
    let ink = Ink::of(&middle);
    assert_eq!(turn::size_for(&ink, middle.dimensions(), 0, 2.0), middle.dimensions());
}

#[test]
fn there_and_back_a_page_keeps_more_than_by_bicubic_interpolation() {
    use imageproc::geometric_transformations::{Border, Interpolation, rotate_about_center};
    // A gray scan: soft edges on paper that is not quite white.
    let mut page = image::imageops::blur(&text_page(9), 0.8);
    page.iter_mut().for_each(|sample| *sample = *sample / 8 * 7 + 10);
    let bicubic = |page: &GrayImage, angle: f32| {
        let border = Border::Constant(Luma([255]));
        rotate_about_center(page, angle.to_radians(), Interpolation::Bicubic, border)
    };
    let loss = |back: &GrayImage| -> f64 {
        let middle = |x: u32, y: u32| (200..730).contains(&x) && (300..1_000).contains(&y);
        let middle = page.enumerate_pixels().filter(|(x, y, _)| middle(*x, *y));
        middle.map(|(x, y, sample)| f64::from(sample.0[0].abs_diff(back.get_pixel(x, y).0[0])).powi(2)).sum()
    };
    for angle in [0.2, -1.3, 4.0, 17.0] {
        let ours = loss(&turned(&turned(&page, angle), -angle));
        let theirs = loss(&bicubic(&bicubic(&page, angle), -angle));
        assert!(ours < theirs * 0.8, "{angle} degrees: {ours:.0} against {theirs:.0}");
    }
}

proptest! {
    #[test]
    fn four_quarter_turns_bring_every_sample_back(width in 1u32..90, height in 1u32..90, seed: u8) {
        let page = GrayImage::from_fn(width, height, |x, y| Luma([(x * 31 + y * 7 + u32::from(seed)) as u8]));
        let quarter = turn::gray_by_quarters(page.clone(), 90);
        prop_assert_eq!(quarter.get_pixel(height - 1, 0), page.get_pixel(0, 0));
        prop_assert_eq!(&turn::gray_by_quarters(quarter.clone(), 90), &turn::gray_by_quarters(page.clone(), 180));
        prop_assert_eq!(turn::gray_by_quarters(quarter, 270), page);
    }
}

fn find_upright(page: &GrayImage) -> Upright {
    upright::find(page, 150, &Ink::of(page), "eng", &mut Engines::default()).expect("English is installed")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn a_page_of_latin_letters_is_put_upright_however_it_lies(
        seed: u32,
        quarters in 0u32..4,
        skew in -6.0f32..6.0,
    ) {
        let page = turn::gray_by_quarters(turned(&text_page(seed), skew), quarters * 90);
        let found = find_upright(&page);
        prop_assert_eq!(found.rotation_deg, (4 - quarters) % 4 * 90);
        prop_assert!((found.skew_deg - skew).abs() < 0.1, "{:?}", found);
    }
}

#[test]
fn a_page_is_not_turned_where_its_letters_do_not_say_which_way_is_up() {
    // Capitals and figures: every letter as high as the next.
    let mut page = GrayImage::from_pixel(1_240, 1_754, Luma([255]));
    for (line, letter) in (0..30).flat_map(|line| (0..50).map(move |letter| (line, letter))) {
        let area = Area::at(200 + letter * 16, 200 + line * 40).of_size(11, 18);
        draw_filled_rect_mut(&mut page, area, Luma([20]));
    }
    for quarters in 0..4 {
        let lies = turn::gray_by_quarters(page.clone(), quarters * 90);
        assert_eq!(find_upright(&lies).rotation_deg, 0, "turned by {quarters} quarters");
    }
}

/// A page with straight strokes: from where to where each goes.
fn drawn(strokes: impl IntoIterator<Item = [(f32, f32); 2]>) -> GrayImage {
    let mut page = GrayImage::from_pixel(1_240, 1_754, Luma([250]));
    for [from, to] in strokes {
        for thick in [0.0, 1.0, 2.0] {
            let lower = |(x, y): (f32, f32)| (x, y + thick);
            draw_line_segment_mut(&mut page, lower(from), lower(to), Luma([20]));
            draw_line_segment_mut(&mut page, (from.0 + thick, from.1), (to.0 + thick, to.1), Luma([20]));
        }
    }
    page
}

/// A frame with rules across it.
fn form() -> Vec<[(f32, f32); 2]> {
    let (left, right, top, bottom) = (150.0, 1_090.0, 300.0, 1_500.0);
    let level = [top, 500.0, 700.0, bottom].map(|y| [(left, y), (right, y)]);
    let upright = [left, 620.0, right].map(|x| [(x, top), (x, bottom)]);
    level.into_iter().chain(upright).collect()
}

#[test]
fn a_straight_frame_with_a_hatched_field_is_straight() {
    for (slope, step) in [(0.176f32, 18), (0.05, 24), (-0.1, 30)] {
        let hatch =
            (320..900).step_by(step).map(|y| [(160.0, y as f32), (1_080.0, y as f32 + 920.0 * slope)]);
        assert_eq!(skew_of(&drawn(hatch.clone().chain(form()))), 0.0, "hatched at a slope of {slope}");
        assert_eq!(skew_of(&drawn(hatch)), 0.0, "hatched without a frame at a slope of {slope}");
    }
}

#[test]
fn the_skew_of_a_form_without_text_is_found() {
    for angle in [-4.0, -1.0, 0.0, 2.5] {
        let found = skew_of(&turned(&drawn(form()), angle));
        assert!((found - angle).abs() < 0.1, "turned by {angle}, found {found}");
    }
}

#[test]
fn the_skew_of_a_line_or_two_of_text_is_found() {
    for lines in [1, 2] {
        let mut page = GrayImage::from_pixel(1_240, 1_754, Luma([250]));
        let whole = text_page(11);
        let first =
            (0..whole.height()).find(|&y| (0..whole.width()).any(|x| whole.get_pixel(x, y).0[0] < 100));
        let part = image::imageops::crop_imm(&whole, 0, first.expect("there is text") - 4, 1_240, lines * 40);
        image::imageops::replace(&mut page, &part.to_image(), 0, 800);
        for angle in [-3.0, 1.0, 5.0] {
            let found = skew_of(&turned(&page, angle));
            assert!((found - angle).abs() < 0.15, "{lines} lines turned by {angle}, found {found}");
        }
    }
}

#[test]
fn wood_has_no_skew() {
    // Grain that runs across the picture, and rises.
    let wood = GrayImage::from_fn(1_240, 1_754, |x, y| {
        let (x, y) = (x as f32, y as f32 - x as f32 * 0.17);
        Luma([(130.0 + 40.0 * (y / 9.0 + 2.0 * (x / 300.0).sin()).sin()) as u8])
    });
    assert_eq!(skew_of(&wood), 0.0);
}

#[test]
fn what_is_no_text_has_no_skew() {
    let noise = GrayImage::from_fn(1_240, 1_754, |x, y| {
        let mixed = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b);
        Luma([if (mixed ^ mixed >> 15).wrapping_mul(0x2c1b_3c6d) >> 24 < 20 { 0 } else { 255 }])
    });
    assert_eq!(skew_of(&noise), 0.0);
    // A halftone whose screen stands at 15 degrees, as that of black often does.
    let screen = GrayImage::from_fn(1_240, 1_754, |x, y| {
        let (sine, cosine) = 15f32.to_radians().sin_cos();
        let (x, y) = (x as f32, y as f32);
        let wave = (((x * cosine + y * sine) * 0.9).cos() + ((y * cosine - x * sine) * 0.9).cos()) * 60.0;
        Luma([(150.0 + wave + (x * 0.01).sin() * 40.0) as u8])
    });
    assert_eq!(skew_of(&screen), 0.0);
}

#[test]
fn a_page_without_a_credible_resolution_gets_that_of_its_paper() {
    assert_eq!(resolution::of((1_654, 2_339), None, None), 200);
    assert_eq!(resolution::of((2_550, 3_300), None, None), 300);
    assert_eq!(resolution::of((2_480, 3_508), Some(72), None), 300, "A4 is not 34 inches wide");
    assert_eq!(resolution::of((2_480, 3_508), Some(300), None), 300);
    assert_eq!(resolution::of((900, 2_400), None, Some(15.0)), 200, "a receipt, by its text");
}

#[test]
fn a_plan_keeps_the_resolution_that_its_file_states_and_so_its_scale() {
    // A1 at 200 and 300 dots an inch, A0 at 200 and 150, and a metre of a log from a plotter.
    let plans = [
        ((4_677, 6_622), 200),
        ((9_933, 7_016), 300),
        ((6_622, 9_362), 200),
        ((4_967, 7_022), 150),
        ((1_700, 7_874), 200),
    ];
    for (size, dpi) in plans {
        assert_eq!(resolution::of(size, Some(dpi), None), dpi, "{size:?}");
    }
    assert_eq!(resolution::of((4_960, 7_016), Some(96), None), 600, "A4 is not 73 inches long");
    assert_eq!(resolution::of((7_016, 4_960), Some(72), None), 600);
    assert_eq!(
        resolution::of((36_000, 36_000), Some(150), Some(45.0)),
        600,
        "no scanner draws in 240 inches"
    );
}

#[test]
fn group_4_is_lossless_at_every_width() {
    for width in [1, 7, 8, 9, 31, 64, 65, 1_300] {
        let page =
            GrayImage::from_fn(width, 40, |x, y| Luma([if (x * 7 + y * y) % 11 < 4 { 0 } else { 255 }]));
        let bytes = crate::codec::ccitt::encoded(&page);
        let mut rows = Vec::new();
        let narrow = u16::try_from(width).expect("a small page");
        fax::decoder::decode_g4(bytes.into_iter(), narrow.into(), Some(40), |transitions| {
            rows.extend(fax::decoder::pels(transitions, narrow.into()).map(|colour| match colour {
                fax::Color::Black => 0u8,
                fax::Color::White => 255,
            }));
        })
        .expect("it is group 4");
        assert_eq!(rows, page.into_raw(), "width {width}");
    }
}

#[test]
fn a_straight_gray_page_keeps_its_jpeg_and_a_blank_page_is_not_read() {
    let finish = |page: GrayImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageLuma8(page).write_to(&mut bytes, format).expect("it can be coded");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes.get_ref()).expect("write");
        let options = Options::default();
        let mut document = Document::open(file, &options.limits).expect("it opens");
        let finished = finish_page(&mut document, 0, &options, Effort::Whole, &mut Engines::default());
        (finished.expect("it is finished"), bytes.into_inner())
    };
    let (page, bytes) = finish(text_page(3), ImageFormat::Jpeg);
    assert_eq!(page.bytes, bytes);
    assert_eq!((page.record.width_px, page.record.height_px, page.record.dpi), (1_240, 1_754, 150));

    let (page, _) = finish(GrayImage::from_pixel(800, 1_000, Luma([255])), ImageFormat::Png);
    assert!(page.record.blank && page.record.words.is_empty());
    assert_eq!(page.image.bits, 1, "what is black and white is found out");
}
