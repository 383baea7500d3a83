use image::{GrayImage, Luma};
use imageproc::drawing::{draw_filled_rect_mut, draw_hollow_circle_mut, draw_line_segment_mut};
use imageproc::rect::Rect as Area;

use super::*;

/// An A4 page at 200 dots an inch, with lines of made-up text in its lower half.
fn page() -> GrayImage {
    let mut page = GrayImage::from_pixel(1_654, 2_339, Luma([246]));
    for line in 0..20 {
        for word in 0..14 {
            let area = Area::at(150 + word * 95, 1_300 + line * 40).of_size(70, 4);
            draw_filled_rect_mut(&mut page, area, Luma([40]));
            for letter in 0..6 {
                let area = Area::at(150 + word * 95 + letter * 12, 1_300 + line * 40).of_size(5, 18);
                draw_filled_rect_mut(&mut page, area, Luma([40]));
            }
        }
    }
    page
}

/// Draws a frame with strokes of this thickness.
fn draw_frame(page: &mut GrayImage, x: i32, y: i32, (width, height): (u32, u32), stroke: u32) {
    for (dx, dy, w, h) in [
        (0, 0, width, stroke),
        (0, height - stroke, width, stroke),
        (0, 0, stroke, height),
        (width - stroke, 0, stroke, height),
    ] {
        draw_filled_rect_mut(page, Area::at(x + dx as i32, y + dy as i32).of_size(w, h), Luma([60]));
    }
}

/// Draws a line with a fine pen.
fn draw_stroke(page: &mut GrayImage, from: (f32, f32), to: (f32, f32)) {
    draw_broad_stroke(page, from, to, 3);
}

/// Draws a line with a pen so many pixels broad.
fn draw_broad_stroke(page: &mut GrayImage, from: (f32, f32), to: (f32, f32), breadth: u32) {
    for shift in 0..breadth {
        let shift = shift as f32;
        draw_line_segment_mut(page, (from.0 + shift, from.1), (to.0 + shift, to.1), Luma([70]));
        draw_line_segment_mut(page, (from.0, from.1 + shift), (to.0, to.1 + shift), Luma([70]));
    }
}

/// What is drawn in a box at a place, with its side.
type Mark = fn(&mut GrayImage, (f32, f32), f32);

fn nothing(_: &mut GrayImage, _: (f32, f32), _: f32) {}

fn cross(page: &mut GrayImage, (x, y): (f32, f32), side: f32) {
    draw_stroke(page, (x + 0.2 * side, y + 0.2 * side), (x + 0.8 * side, y + 0.8 * side));
    draw_stroke(page, (x + 0.8 * side, y + 0.2 * side), (x + 0.2 * side, y + 0.8 * side));
}

fn tick(page: &mut GrayImage, (x, y): (f32, f32), side: f32) {
    draw_stroke(page, (x + 0.1 * side, y + 0.5 * side), (x + 0.4 * side, y + 0.9 * side));
    draw_stroke(page, (x + 0.4 * side, y + 0.9 * side), (x + 1.3 * side, y - 0.3 * side));
}

/// A tick of a pen so broad that it is a stroke as long as a side is in many rows.
fn broad_tick(page: &mut GrayImage, (x, y): (f32, f32), side: f32) {
    let breadth = (side / 5.0) as u32;
    draw_broad_stroke(page, (x + 0.15 * side, y + 0.5 * side), (x + 0.4 * side, y + 0.75 * side), breadth);
    draw_broad_stroke(page, (x + 0.4 * side, y + 0.75 * side), (x + 1.15 * side, y - 0.2 * side), breadth);
}

fn through(page: &mut GrayImage, (x, y): (f32, f32), side: f32) {
    draw_stroke(page, (x - 0.3 * side, y + 1.2 * side), (x + 1.2 * side, y - 0.3 * side));
}

/// The boxes found, each as its middle and whether it is ticked.
fn found(page: &GrayImage) -> Vec<((u32, u32), bool)> {
    let found = find(&Ink::of(page));
    found
        .iter()
        .map(|found| ((found.rect.x + found.rect.w / 2, found.rect.y + found.rect.h / 2), found.ticked))
        .collect()
}

#[track_caller]
fn check(page: &GrayImage, expected: &[((u32, u32), bool)]) {
    let found = found(page);
    assert_eq!(found.len(), expected.len(), "{found:?} in place of {expected:?}");
    for ((at, ticked), (expected_at, expected_ticked)) in found.iter().zip(expected) {
        let near = at.0.abs_diff(expected_at.0) <= 6 && at.1.abs_diff(expected_at.1) <= 6;
        assert!(near && ticked == expected_ticked, "{found:?} in place of {expected:?}");
    }
}

/// A box that is not found says nothing; one that is found must not say the opposite of what is in it.
#[test]
fn boxes_of_every_size_are_found_and_what_is_in_them() {
    const EACH: u32 = 24;
    let marks: [(&str, Mark, bool); 5] = [
        ("nothing", nothing, false),
        ("a cross", cross, true),
        ("a tick", tick, true),
        ("a broad tick", broad_tick, true),
        ("a stroke", through, true),
    ];
    for (name, mark, ticked) in marks {
        let mut missed = Vec::new();
        for number in 0..EACH {
            let side = 26 + (number * 13) % 30;
            let size = (side, side * (90 + number * 7 % 22) / 100);
            let (stroke, lean) = (2 + number % 2, (number as f32 * 0.37).sin() * 0.4);
            let mut page = GrayImage::from_pixel(600, 500, Luma([246]));
            draw_frame(&mut page, 200, 150, size, stroke);
            mark(&mut page, (200.0, 150.0), side as f32);
            let samples = crate::decode::Samples::Gray(page);
            let page = super::super::turn::straightened_to_read(samples, lean, (600, 500)).1;
            match found(&page)[..] {
                [(_, found)] => {
                    assert_eq!(found, ticked, "{name} in {size:?}, strokes of {stroke}, leaning {lean}")
                }
                _ => missed.push((size, stroke, lean)),
            }
        }
        assert!(missed.len() * 10 <= EACH as usize, "{name} in {missed:?}");
    }
}

#[test]
fn a_box_that_is_blackened_counts_beside_others_of_its_size() {
    let mut page = page();
    draw_filled_rect_mut(&mut page, Area::at(400, 500).of_size(36, 36), Luma([50]));
    check(&page, &[]);
    draw_frame(&mut page, 200, 500, (36, 36), 3);
    check(&page, &[((218, 518), false), ((418, 518), true)]);
}

#[test]
fn what_only_looks_like_a_box_is_none() {
    let mut page = page();
    // A table, the finder of a bar code, a circle, a photograph's frame, places for single characters, an open corner.
    for row in 0..3 {
        for column in 0..3 {
            draw_frame(&mut page, 200 + column * 60, 100 + row * 60, (62, 62), 2);
        }
    }
    draw_frame(&mut page, 500, 100, (49, 49), 7);
    draw_filled_rect_mut(&mut page, Area::at(514, 114).of_size(21, 21), Luma([50]));
    for radius in 18..21 {
        draw_hollow_circle_mut(&mut page, (700, 150), radius, Luma([50]));
    }
    draw_frame(&mut page, 900, 100, (300, 400), 3);
    for place in 0..6 {
        draw_frame(&mut page, 200 + place * 44, 400, (36, 40), 2);
    }
    draw_filled_rect_mut(&mut page, Area::at(600, 400).of_size(36, 3), Luma([50]));
    draw_filled_rect_mut(&mut page, Area::at(600, 400).of_size(3, 36), Luma([50]));
    draw_filled_rect_mut(&mut page, Area::at(600, 436).of_size(36, 3), Luma([50]));
    check(&page, &[]);
}

#[test]
fn codes_and_numbers_in_boxes_are_no_boxes_to_tick() {
    let found = || {
        let rect = Rect { x: 100, y: 100, w: 30, h: 30 };
        vec![CheckBox { ticked: true, confidence: 0.9, rect }]
    };
    let word = |text: &str, confidence: f32| {
        let rect = Rect { x: 106, y: 104, w: 18, h: 22 };
        Word { text: text.into(), confidence, rect, line: 0, block: 0 }
    };
    let check = |barcodes: &[Barcode], words: &[Word], left: usize| {
        let mut boxes = found();
        drop_others(&mut boxes, barcodes, words);
        assert_eq!(boxes.len(), left, "{words:?}");
    };
    let rect = Rect { x: 90, y: 90, w: 200, h: 200 };
    check(&[Barcode { symbology: "qr".into(), text: "x".into(), rect }], &[], 0);
    check(&[], &[word("7", 0.95)], 0);
    check(&[], &[word("口", 0.95)], 0);
    for text in ["x", "X", "M", "O", "0", "[]"] {
        check(&[], &[word(text, 0.95)], 1);
    }
    check(&[], &[word("7", 0.3)], 1);
}
