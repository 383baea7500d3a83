use std::fs::File;
use std::sync::OnceLock;

use image::{Luma, RgbImage, imageops};
use imageproc::drawing::{draw_filled_circle_mut, draw_filled_rect_mut, draw_line_segment_mut};
use imageproc::filter::gaussian_blur_f32;
use imageproc::rect::Rect as Area;
use platen_testdata::scanner::{self, PAPER, Pixels, SHEET_DPI, Settings, Tone};
use proptest::prelude::*;

use super::super::is_blank;
use super::*;
use crate::decode::Document;
use crate::options::Limits;

/// A printed sheet: a sample's first page, black on the colour of paper.
fn sheet() -> &'static RgbImage {
    static SHEET: OnceLock<RgbImage> = OnceLock::new();
    SHEET.get_or_init(printed)
}

fn printed() -> RgbImage {
    let samples = platen_testdata::samples();
    let sample = samples.iter().find(|sample| sample.name == "contract-halden").expect("the sample is there");
    let limits = Limits::default();
    let file = File::open(sample.paths().remove(0)).expect("it opens");
    let mut document = Document::open(file, &limits).expect("it is a document");
    let picture = document.page(0, &limits).expect("it has a page");
    assert_eq!(picture.dpi, Some(SHEET_DPI));
    let print = picture.samples.to_gray();
    RgbImage::from_fn(print.width(), print.height(), |x, y| {
        if print.get_pixel(x, y).0[0] < 128 { image::Rgb([20; 3]) } else { PAPER }
    })
}

/// The sheet with nothing but so much of its print: what lies between these parts of its height.
fn part_of(sheet: &RgbImage, from: f32, to: f32) -> RgbImage {
    let rows = |part: f32| (sheet.height() as f32 * part) as u32;
    let mut part = sheet.clone();
    for (_, y, pixel) in part.enumerate_pixels_mut() {
        if !(rows(from)..rows(to)).contains(&y) {
            *pixel = PAPER;
        }
    }
    part
}

fn scanned(sheet: &RgbImage, settings: &Settings) -> GrayImage {
    match scanner::scan(sheet, settings) {
        Pixels::Gray(image) => image,
        Pixels::Colour(_) => panic!("gray was asked for"),
    }
}

fn office(dpi: u32, seed: u64) -> Settings {
    Settings::office(Tone::Gray, dpi, 0.0, seed)
}

fn check(page: &GrayImage, blank: bool) -> Result<(), TestCaseError> {
    prop_assert_eq!(is_blank(page, &Ink::of(page)), blank);
    Ok(())
}

/// Paper without print, of this grain: noise in levels of 255, and how far it is smeared, in pixels.
fn grain(noise: f32, smeared: f32, seed: u64) -> GrayImage {
    let bare = RgbImage::from_pixel(1_240, 1_754, PAPER);
    let settings = Settings { noise, specks: 0, blur: 0.0, ..office(SHEET_DPI, seed) };
    let page = scanned(&bare, &settings);
    if smeared > 0.3 { gaussian_blur_f32(&page, smeared) } else { page }
}

/// The back of the printed sheet, through paper that spreads light so far, in millimetres.
fn shining_through(contrast: f32, spread: f32, noise: f32, dpi: u32, seed: u64) -> GrayImage {
    let back = imageops::flip_horizontal(sheet());
    let blur = spread * dpi as f32 / 25.4;
    scanned(&back, &Settings { contrast, noise, blur, specks: 0, ..office(dpi, seed) })
}

#[test]
fn parts_of_what_shines_through_that_noise_makes_sharp_are_no_print() -> Result<(), TestCaseError> {
    for (contrast, spread, noise, dpi, seed) in [
        (0.139_662_01, 0.24, 0.5, 300, 77_349_742_195_232_638),
        (0.098, 0.242, 3.79, 150, 46_432_840_348_976),
        (0.098, 0.24, 3.79, 150, 46_432_840_348_976),
        (0.1, 0.242, 3.5, 200, 7),
    ] {
        check(&shining_through(contrast, spread, noise, dpi, seed), true)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn pale_print_of_any_contrast_that_stands_out_from_the_paper_is_not_blank(
        contrast in 0.08f32..0.32,
        grain in 0.2f32..0.9,
        dpi in prop_oneof![Just(150u32), Just(200), Just(300)],
        skew_deg in -3.0f32..3.0,
        quarters in 0u32..4,
        seed: u64,
    ) {
        // Print is 230 levels darker than paper. Single samples of paper differ by up to a quarter of pale print.
        let noise = (contrast * 230.0 / 4.0 * grain).min(7.0);
        let settings = Settings { contrast, noise, skew_deg, specks: 0, ..office(dpi, seed) };
        let page = scanned(sheet(), &settings);
        check(&crate::raster::turn::gray_by_quarters(page, quarters * 90), false)?;
    }

    #[test]
    fn one_pale_line_is_not_blank(
        contrast in 0.1f32..0.32,
        from in 0.2f32..0.39,
        dpi in prop_oneof![Just(150u32), Just(200), Just(300)],
        seed: u64,
    ) {
        // So much of the page holds a whole line wherever it begins.
        let line = part_of(sheet(), from, from + 0.05);
        let settings = Settings { contrast, noise: contrast * 20.0, ..office(dpi, seed) };
        check(&scanned(&line, &settings), false)?;
    }

    #[test]
    fn what_shines_through_from_the_back_is_blank(
        contrast in 0.05f32..0.22,
        // How far paper spreads the light, in millimetres.
        spread in 0.25f32..0.35,
        noise in 0.5f32..4.0,
        dpi in prop_oneof![Just(150u32), Just(200), Just(300)],
        seed: u64,
    ) {
        check(&shining_through(contrast, spread, noise, dpi, seed), true)?;
    }

    #[test]
    fn the_grain_of_paper_is_blank(noise in 0.0f32..9.0, smeared in 0.0f32..2.5, seed: u64) {
        check(&grain(noise, smeared, seed), true)?;
    }

    #[test]
    fn flecks_folds_holes_and_shadows_are_blank(
        noise in 0.5f32..4.0,
        depth in 12u8..32,
        fold in 0.2f32..0.8,
        lean in -8.0f32..8.0,
        seed: u64,
    ) {
        let mut page = grain(noise, 0.0, seed);
        let (width, height) = (page.width() as f32, page.height() as f32);
        let level = 246 - depth;
        // A fold across the page and one down it.
        draw_line_segment_mut(&mut page, (0.0, height * fold), (width, height * fold + lean), Luma([level]));
        draw_line_segment_mut(&mut page, (width * fold, 0.0), (width * fold + lean, height), Luma([level]));
        // Flecks as recycled paper has them, anywhere.
        let mut state = seed | 1;
        let mut chance = |most: u32| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as u32 % most
        };
        for _ in 0..90 {
            let (x, y) = (chance(1_240) as i32, chance(1_754) as i32);
            draw_filled_rect_mut(&mut page, Area::at(x, y).of_size(2 + chance(5), 2 + chance(6)), Luma([level]));
        }
        // Pale punch holes, and the shadow of an edge.
        for y in [640, 1_112] {
            draw_filled_circle_mut(&mut page, (71, y), 18, Luma([level]));
        }
        for (x, _, sample) in page.enumerate_pixels_mut().filter(|(x, ..)| *x < 120) {
            sample.0[0] = (f32::from(sample.0[0]) * (0.6 + 0.4 * x as f32 / 120.0)) as u8;
        }
        check(&page, true)?;
    }
}
