//! Strips of paper, many times as long as they are wide, as tills print them.

use std::fs::File;
use std::io::{Cursor, Write};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, imageops};
use imageproc::drawing::draw_filled_rect_mut;
use imageproc::rect::Rect as Area;
use proptest::prelude::*;

use super::skew::Glance;
use super::*;
use crate::decode::Samples;

/// A receipt of the samples, straight and as wide as this, with the words on it that are long enough to be unmistakable.
fn receipt(width: u32) -> (GrayImage, Vec<String>) {
    let samples = platen_testdata::samples();
    let sample = samples.iter().find(|sample| sample.name == "receipt-colbert").expect("the sample is there");
    let options = Options::default();
    let file = File::open(sample.paths().remove(0)).expect("it opens");
    let mut document = Document::open(file, &options.limits).expect("it is a document");
    let gray = document.page(0, &options.limits).expect("a page").samples.to_gray();
    let skew_deg = Glance::across(&Ink::of(&gray)).lines().skew_deg;
    let size = gray.dimensions();
    let (_, gray) = turn::straightened_to_read(Samples::Gray(gray), skew_deg, size);
    let height = gray.height() * width / gray.width();
    let long = |word: &&str| word.len() >= 6 && word.chars().all(char::is_alphabetic);
    let mut words: Vec<String> =
        sample.expected.text.split_whitespace().filter(long).map(String::from).collect();
    words.sort();
    words.dedup();
    (imageops::resize(&gray, width, height, imageops::FilterType::CatmullRom), words)
}

#[test]
fn a_receipt_of_forty_thousand_lines_of_pixels_is_read_to_its_end() {
    let (receipt, known) = receipt(1_200);
    let mut roll = GrayImage::from_pixel(1_200, 40_000, *receipt.get_pixel(4, 4));
    let copies = roll.height() / receipt.height();
    for copy in 0..copies {
        imageops::replace(&mut roll, &receipt, 0, i64::from(copy * receipt.height()));
    }
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageLuma8(roll).write_to(&mut bytes, ImageFormat::Jpeg).expect("it can be coded");
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes.get_ref()).expect("written");
    let options = Options::default();
    let mut document = Document::open(file, &options.limits).expect("it opens");
    let page = finish_page(&mut document, 0, &options, Effort::Whole, &mut Engines::default());
    let record = page.expect("it is finished").record;

    assert!(!record.blank && record.rotation_deg == 0 && record.skew_deg.abs() < 0.2, "{record:?}");
    assert!(known.len() >= 4, "few words are known: {known:?}");
    for word in &known {
        let read = record.words.iter().filter(|read| read.text.contains(word.as_str())).count() as u32;
        assert!(read * 10 >= copies * 9, "{word:?} was read {read} times on {copies} copies");
    }
    let lines: Vec<&[Word]> = record.words.chunk_by(|a, b| a.line == b.line).collect();
    let middle = |line: &[Word]| line.iter().map(|word| word.rect.y + word.rect.h / 2).min();
    assert!(
        lines.windows(2).all(|pair| pair[0][0].line + 1 == pair[1][0].line),
        "lines are numbered without gaps"
    );
    let steps = lines.windows(2).filter(|pair| middle(pair[0]) > middle(pair[1])).count();
    assert_eq!(steps, 0, "lines stand below each other");
    let last = (copies - 1) * receipt.height() + receipt.height() / 3;
    assert!(record.words.last().is_some_and(|word| word.rect.y > last), "{:?}", record.words.last());
}

/// A strip with lines of letters that fall to the right by this angle.
fn lines(width: u32, height: u32, angle_deg: f32) -> GrayImage {
    let mut strip = GrayImage::from_pixel(width, height, Luma([250]));
    let slope = angle_deg.to_radians().tan();
    let mut state = 9u32;
    for top in (60..height as i32 - 200).step_by(48) {
        for x in (60..width as i32 - 60).step_by(18) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (up, blank) = (state >> 28 < 5, state >> 24 & 7 == 0);
            if !blank {
                let y = top + (x as f32 * slope).round() as i32 + if up { 0 } else { 8 };
                draw_filled_rect_mut(
                    &mut strip,
                    Area::at(x, y).of_size(11, if up { 24 } else { 16 }),
                    Luma([30]),
                );
            }
        }
    }
    strip
}

#[test]
fn the_skew_of_a_strip_is_found_however_long_it_is() {
    for (width, height) in [(1_200, 40_000), (1_000, 60_000), (800, 120_000)] {
        for angle_deg in [0.0, -1.4, 3.2] {
            let ink = Ink::of(&lines(width, height, angle_deg));
            let found = Glance::across(&ink).lines().skew_deg;
            assert!((found - angle_deg).abs() < 0.1, "{width} x {height} at {angle_deg}°: found {found}°");
            let capital = ink.capital_height_px(false).expect("there is text");
            assert!((22.0..27.0).contains(&capital), "capitals of 24 pixels were measured as {capital}");
        }
    }
}

#[test]
fn a_strip_with_a_line_of_text_on_it_is_not_blank_and_a_bare_one_is() {
    let bare = GrayImage::from_pixel(1_200, 40_000, Luma([250]));
    let is_blank = |strip: &GrayImage| blank::is_blank(strip, &Ink::of(strip));
    assert!(is_blank(&bare));
    // In the middle, and near the ends, where the margins of a page of this length would be.
    for top in [30_000, 300, 39_400] {
        let mut strip = bare.clone();
        imageops::replace(&mut strip, &lines(1_200, 320, 0.0), 0, top);
        assert!(!is_blank(&strip), "at {top}");
    }
}

#[test]
fn the_resolution_of_a_strip_is_what_it_states_and_else_what_its_letters_say() {
    assert_eq!(resolution::of((1_200, 40_000), Some(300), Some(22.0)), 300);
    assert_eq!(resolution::of((1_200, 40_000), None, Some(22.5)), 300);
    let unknown = resolution::of((1_200, 40_000), None, None);
    assert!((200..=600).contains(&unknown), "{unknown}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn a_picture_of_any_shape_can_be_measured(
        narrow in 1u32..50,
        long in 1u32..150_000,
        lies: bool,
        seed: u32,
    ) {
        let (width, height) = if lies { (long, narrow) } else { (narrow, long) };
        let noise = |x: u32, y: u32| (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(seed | 1)) >> 24;
        let picture = GrayImage::from_fn(width, height, |x, y| Luma([noise(x, y) as u8]));
        let ink = Ink::of(&picture);
        let across = Glance::across(&ink);
        let lines = [across.lines(), Glance::down(&ink, &across).lines()];
        prop_assert!(lines.iter().all(|lines| lines.skew_deg.abs() <= 21.0));
        blank::is_blank(&picture, &ink);
        prop_assert!(resolution::of((width, height), None, ink.character_height_px(false)) >= 70);
    }
}
