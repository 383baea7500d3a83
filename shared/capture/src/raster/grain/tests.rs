use ab_glyph::{FontVec, PxScale};
use image::Luma;
use imageproc::drawing::draw_text_mut;
use platen_model::Word;

use super::*;
use crate::ocr::Engines;
use crate::raster::coverage::Coverage;
use crate::raster::ink::Ink;
use crate::raster::quality::{self, Reading};
use crate::raster::reading::{self, TextSize};
use crate::raster::upright::Upright;

const FONT: &str = "/usr/share/fonts/truetype/liberation/LiberationSerif-Regular.ttf";
const LINES: [&str; 6] = [
    "Please remit the total amount within",
    "thirty days of the date of the invoice",
    "and name the number of the customer.",
    "The parcels leave the office on Monday",
    "before noon and arrive in Hamburg on",
    "the day after that at the very latest.",
];

/// Levels of a page, and the standard deviation of its noise.
#[derive(Clone, Copy, Debug)]
struct Sheet {
    paper: u8,
    ink: u8,
    noise: f32,
}

/// The dark, grainy page that once took more than two minutes.
const DARK: Sheet = Sheet { paper: 120, ink: 100, noise: 6.0 };

/// Some lines of print, as 11 points are at 300 dpi.
fn page(sheet: Sheet, lines: usize) -> GrayImage {
    let font = std::fs::read(FONT).expect("the fonts of the tests are installed");
    let font = FontVec::try_from_vec(font).expect("the file is a font");
    let mut page = GrayImage::from_pixel(1_000, 640, Luma([sheet.paper]));
    for (number, line) in LINES[..lines].iter().enumerate() {
        let y = 80 + number as i32 * 76;
        draw_text_mut(&mut page, Luma([sheet.ink]), 90, y, PxScale::from(52.0), &font, line);
    }
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut even = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    for sample in page.iter_mut() {
        // The sum of twelve even numbers is nearly normal, of standard deviation 1.
        let bell = (0..12).map(|_| even()).sum::<f32>() - 6.0;
        *sample = (f32::from(*sample) + bell * sheet.noise).round().clamp(0.0, 255.0) as u8;
    }
    page
}

fn text_of(page: &GrayImage) -> TextSize {
    TextSize::of(&Ink::of(page), Upright::AS_IT_LIES, Some(300)).not_enlarged()
}

fn read(page: &GrayImage) -> Vec<Word> {
    let read = reading::read(page, text_of(page), "eng", &mut Engines::default());
    read.expect("English is installed").words
}

/// Checks that a page has grain, that few specks are left without it, and that its words are read.
fn check(sheet: Sheet) {
    let page = page(sheet, LINES.len());
    let before = specks(&page, Classes::of(&page).threshold);
    let (_, smooth) = Grain::taken_out(&page).unwrap_or_else(|| panic!("{sheet:?} has no grain"));
    let after = specks(&smooth, Classes::of(&smooth).threshold);
    assert!(before > SPECKS_MAX && after * 10.0 < before, "{sheet:?}: {before} specks, {after} left");

    let words = read(&smooth);
    let printed = LINES.iter().flat_map(|line| line.split(' '));
    let lost: Vec<&str> = printed.filter(|printed| !words.iter().any(|word| word.text == *printed)).collect();
    assert!(lost.len() <= 2, "{sheet:?}: lost {lost:?}");
}

#[test]
fn print_that_is_hardly_darker_than_the_grain_of_its_paper_is_read() {
    check(DARK);
    check(Sheet { paper: 220, ink: 185, noise: 8.0 });
    check(Sheet { paper: 120, ink: 60, noise: 14.0 });
}

#[test]
fn one_line_of_black_print_on_noisy_paper_is_read_and_stays_as_dark_as_it_is() {
    let page = page(Sheet { paper: 235, ink: 30, noise: 5.0 }, 1);
    let copy = Grain::taken_out(&page).map_or(page, |(_, smooth)| smooth);
    let words: Vec<String> = read(&copy).into_iter().map(|word| word.text).collect();
    assert_eq!(words.join(" "), LINES[0]);
}

#[test]
fn an_ordinary_page_has_no_grain() {
    for (paper, ink, noise) in
        [(250, 20, 2.5), (240, 30, 12.0), (200, 60, 10.0), (120, 100, 2.0), (255, 0, 0.0)]
    {
        let sheet = Sheet { paper, ink, noise };
        assert!(Grain::taken_out(&page(sheet, LINES.len())).is_none(), "{sheet:?}");
    }
}

#[test]
fn black_and_white_specks_are_no_grain() {
    let mut page = page(Sheet { paper: 255, ink: 0, noise: 0.0 }, 1);
    page.iter_mut().for_each(|sample| *sample = if *sample < 128 { 0 } else { 255 });
    page.iter_mut().step_by(97).for_each(|sample| *sample = 255 - *sample);
    assert!(Grain::taken_out(&page).is_none());
}

#[test]
fn the_copy_of_a_grainy_page_is_not_larger_than_the_page() {
    let (_, smooth) = Grain::taken_out(&page(DARK, LINES.len())).expect("it has grain");
    let small = image::imageops::thumbnail(&smooth, 400, 256);
    let enlarged = TextSize::of(&Ink::of(&small), Upright::AS_IT_LIES, Some(120));
    let (width, height) = enlarged.copy_size(small.dimensions());
    assert!(width > 400 && height > 256, "{width} by {height}");
    let (width, height) = enlarged.not_enlarged().copy_size(small.dimensions());
    assert!(width <= 400 && height <= 256, "{width} by {height}");
}

#[test]
fn another_copy_of_the_page_is_treated_alike() {
    let page = page(DARK, LINES.len());
    let (grain, smooth) = Grain::taken_out(&page).expect("it has grain");
    assert!(grain.without(&page) == smooth);
}

#[test]
fn a_page_that_is_read_poorly_for_its_grain_says_so() {
    let (grain, smooth) = Grain::taken_out(&page(DARK, LINES.len())).expect("it has grain");
    let words = read(&smooth);
    let coverage = Coverage::default();
    let reading = Reading { words: &words, confidence: 0.5, languages: "eng", coverage };
    let notes = quality::judge(&smooth, &Ink::of(&smooth), 0, Some(grain), reading).notes;
    assert!(notes.len() == 1 && notes[0].contains("grain of the paper"), "{notes:?}");
}

#[test]
fn pages_of_any_size_and_of_one_level_have_no_grain() {
    for (width, height) in [(1, 1), (2, 400), (400, 2), (3, 24), (700, 900)] {
        let page = GrayImage::from_pixel(width, height, Luma([120]));
        assert!(Grain::taken_out(&page).is_none(), "{width} by {height}");
        assert_eq!(smoothed(&page), page);
    }
}
