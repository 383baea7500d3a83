//! Pages of which the recogniser would pass over a part: on tints, behind boxes to tick, crooked beyond what it follows.

use std::borrow::Cow;

use image::{GrayImage, Luma};
use imageproc::drawing::{draw_filled_rect_mut, draw_hollow_rect_mut, draw_line_segment_mut};
use imageproc::geometric_transformations::{Border, Interpolation, rotate_about_center};
use imageproc::rect::Rect as Area;

use platen_model::{CheckBox, Rect};

use super::check_boxes;
use super::coverage::Coverage;
use super::ink::Ink;
use super::print_tests::{CLAUSES, print, size_of};
use super::quality::{self, Reading};
use super::reading::{self, Content};
use crate::ocr::Engines;

fn read(page: &GrayImage) -> Content {
    let text = size_of(page, 300);
    reading::read(page, text, "eng", &mut Engines::default()).expect("English is installed")
}

/// The lines read, as their words with a blank between them.
fn lines_of(content: &Content) -> Vec<String> {
    let lines = content.words.chunk_by(|a, b| a.line == b.line);
    lines.map(|line| line.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")).collect()
}

/// The clauses, twice, from the row `top` on.
fn clauses(top: u32) -> Vec<(u32, u32, f32, &'static str)> {
    CLAUSES
        .iter()
        .chain(&CLAUSES)
        .zip(0..)
        .map(|(clause, row)| (250, top + row * 80, 44.0, *clause))
        .collect()
}

/// Lays a tint over part of a page, as a marker does.
fn tint(page: &mut GrayImage, (top, height): (u32, u32), level: u8) {
    for y in top..top + height {
        for x in 100..2_400 {
            let sample = &mut page.get_pixel_mut(x, y).0[0];
            *sample = (u16::from(*sample) * u16::from(level) / 255) as u8;
        }
    }
}

#[test]
fn tinted_rows_and_highlighted_lines_are_read() {
    let rows = |of: std::ops::Range<u32>| of.step_by(2).map(|row| (482 + row * 80, 80));
    let tables = [(rows(1..16).collect::<Vec<_>>(), 179u8), (vec![(402, 240), (1_042, 160)], 163)];
    for (bars, level) in tables {
        let mut page = print(300, &clauses(500));
        bars.iter().for_each(|bar| tint(&mut page, *bar, level));
        let content = read(&page);
        let lines = lines_of(&content);
        let lost: Vec<&&str> =
            CLAUSES.iter().filter(|clause| lines.iter().filter(|line| line == *clause).count() < 2).collect();
        assert!(lost.is_empty(), "with tints of {level}, {lost:?} are not twice among {lines:?}");
        assert!(!content.coverage.lacks_some(), "{:?}", content.coverage);
    }
}

#[test]
fn boxes_to_tick_leave_no_letters_among_the_words() {
    const LABELS: [&str; 6] = [
        "Please send the newsletter",
        "The conditions are accepted",
        "Pay by direct debit",
        "Membership is renewed yearly",
        "Send a printed magazine",
        "Contact me by telephone",
    ];
    let mut lines = clauses(300);
    lines.extend(LABELS.iter().zip(0..).map(|(label, row)| (340, 1_800 + row * 110, 44.0, *label)));
    let mut page = print(300, &lines);
    for row in 0..LABELS.len() as i32 {
        let (x, y) = (250, 1_795 + row * 110);
        for inset in 0..4 {
            let side = (52 - 2 * inset) as u32;
            draw_hollow_rect_mut(&mut page, Area::at(x + inset, y + inset).of_size(side, side), Luma([0]));
        }
        // A cross that touches the frame, one that does not, and none.
        let room = [2, 12, 26][row as usize % 3];
        for broad in -2..=2 {
            let (left, right) = ((x + room + broad) as f32, (x + 51 - room + broad) as f32);
            let (top, bottom) = ((y + room) as f32, (y + 51 - room) as f32);
            if room < 26 {
                draw_line_segment_mut(&mut page, (left, top), (right, bottom), Luma([0]));
                draw_line_segment_mut(&mut page, (right, top), (left, bottom), Luma([0]));
            }
        }
    }
    let content = read(&page);
    let ticked: Vec<bool> = content.check_boxes.iter().map(|found| found.ticked).collect();
    assert_eq!(ticked, [true, true, false, true, true, false]);
    let lines = lines_of(&content);
    for label in LABELS {
        assert!(lines.iter().any(|line| line == label), "{label:?} is not among {lines:?}");
    }
}

#[test]
fn a_square_letter_is_no_box_to_tick() {
    let mut page = print(300, &clauses(300));
    // As coarse print has a B: strokes on all four sides, and one across.
    draw_filled_rect_mut(&mut page, Area::at(252, 1_804).of_size(28, 30), Luma([0]));
    for top in [1_809, 1_821] {
        draw_filled_rect_mut(&mut page, Area::at(258, top).of_size(16, 8), Luma([255]));
    }
    let ink = Ink::of(&page);
    let boxes = [CheckBox { rect: Rect { x: 252, y: 1_804, w: 28, h: 30 }, ticked: true, confidence: 0.9 }];
    let mut copy = Cow::Borrowed(&page);
    assert!(check_boxes::paint::paint_over(&mut copy, &ink, &boxes, "eng").is_empty());
    assert!(*copy == page, "a letter was painted over");
}

#[test]
fn a_number_in_a_box_is_read() {
    let mut lines = clauses(300);
    lines.extend([(262, 1_800, 44.0, "3"), (340, 1_800, 44.0, "Sign all copies of the agreement")]);
    let mut page = print(300, &lines);
    for inset in 0..3 {
        let side = (56 - 2 * inset) as u32;
        draw_hollow_rect_mut(&mut page, Area::at(246 + inset, 1_792 + inset).of_size(side, side), Luma([0]));
    }
    let lines = lines_of(&read(&page));
    // A corner of the frame may look like a full stop.
    let is_it = |line: &String| line.replacen('.', "", 1) == "3 Sign all copies of the agreement";
    assert!(lines.iter().any(is_it), "{lines:?}");
}

/// What is said of a page on which these words were read, each for certain, and how it is scored.
fn judged(page: &GrayImage, content: &Content) -> (Vec<String>, f32) {
    let ink = Ink::of(page);
    let coverage = Coverage::of(&ink, &content.words);
    let confidence = if content.words.is_empty() { 0.0 } else { 0.95 };
    let reading = Reading { words: &content.words, confidence, languages: "eng", coverage };
    let quality = quality::judge(page, &ink, 0, None, reading);
    (quality.notes, quality.score)
}

#[test]
fn a_page_of_which_a_part_was_not_read_says_so_however_sure_the_rest_is() {
    let page = print(300, &clauses(500));
    let mut content = read(&page);
    let (notes, whole) = judged(&page, &content);
    assert!(notes.is_empty() && whole > 0.9, "{notes:?} and {whole} for a page that was read");
    let lines = content.words.last().expect("it has words").line;
    content.words.retain(|word| word.line * 2 < lines);
    let (notes, half) = judged(&page, &content);
    assert_eq!(notes, ["Part of the text could not be read."]);
    assert!(half < 0.6, "{half} for half a page");
}

#[test]
fn text_that_lies_too_crooked_to_be_read_is_text() {
    let page = rotate_about_center(
        &print(300, &clauses(1_000)),
        22f32.to_radians(),
        Interpolation::Bilinear,
        Border::Constant(Luma([255])),
    );
    let (notes, _) = judged(&page, &Content::default());
    assert_eq!(notes[0], "This page seems to hold text that could not be read. Lay the sheet straight.");
}

#[test]
fn grain_bars_and_places_for_characters_are_no_text_that_was_not_read() {
    let mut page = GrayImage::from_pixel(1_654, 2_339, Luma([250]));
    // Grain: marks of a letter's size, none of which stands in a line.
    let mut seed = 7u32;
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % below
    };
    for _ in 0..1_500 {
        let area = Area::at(100 + random(1_400) as i32, 100 + random(900) as i32);
        draw_filled_rect_mut(&mut page, area.of_size(6 + random(10), 8 + random(12)), Luma([40]));
    }
    for bar in 0..60 {
        let area = Area::at(100 + bar * 12, 1_200).of_size(3 + bar as u32 % 3, 22);
        draw_filled_rect_mut(&mut page, area, Luma([40]));
    }
    for place in 0..80 {
        let (x, y) = (100 + place % 20 * 40, 1_400 + place / 20 * 80);
        draw_hollow_rect_mut(&mut page, Area::at(x, y).of_size(30, 24), Luma([40]));
        draw_hollow_rect_mut(&mut page, Area::at(x + 1, y + 1).of_size(28, 22), Luma([40]));
    }
    assert_eq!(judged(&page, &Content::default()).0, ["No text was found on this page."]);
}
