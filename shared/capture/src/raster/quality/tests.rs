use image::Luma;
use imageproc::drawing::draw_filled_rect_mut;
use imageproc::filter::gaussian_blur_f32;
use imageproc::rect::Rect as Area;

use platen_model::Rect;

use super::*;

/// Rows of boxes as large as letters, as dark as `ink`.
fn page(ink: u8) -> GrayImage {
    let mut page = GrayImage::from_pixel(1_000, 1_400, Luma([250]));
    for line in 0..26 {
        for letter in 0..34 {
            let area = Area::at(100 + letter * 24, 80 + line * 48).of_size(13, 24);
            draw_filled_rect_mut(&mut page, area, Luma([ink]));
        }
    }
    page
}

/// Ten lines of ten words, each turned clockwise by what `skew_deg` says of it.
fn words(skew_deg: impl Fn(u32) -> f32) -> Vec<Word> {
    let word = |line: u32, place: u32| {
        let x = 100 + place * 80;
        let y = 200.0 + line as f32 * 48.0 + x as f32 * skew_deg(line).to_radians().tan();
        let rect = Rect { x, y: y.round() as u32, w: 60, h: 24 };
        Word { text: "word".into(), confidence: 0.6, rect, line, block: 0 }
    };
    (0..10)
        .flat_map(|line| (0..10).map(move |place| (line, place)))
        .map(|(line, place)| word(line, place))
        .collect()
}

fn judged(page: &GrayImage, confidence: f32) -> Quality {
    let words = words(|_| 0.0);
    judge(
        page,
        &Ink::of(page),
        0,
        None,
        Reading { words: &words, confidence, languages: "eng", coverage: Coverage::default() },
    )
}

/// Checks that a page read with little confidence has one note, and that it says this.
fn check(page: &GrayImage, says: &str) {
    let notes = judged(page, 0.6).notes;
    assert!(notes.len() == 1 && notes[0].contains(says), "{notes:?}");
}

#[test]
fn a_page_that_was_read_well_has_no_notes_whatever_it_looks_like() {
    for page in [page(20), page(200), gaussian_blur_f32(&page(20), 6.0)] {
        assert_eq!(judged(&page, 0.93).notes, Vec::<String>::new());
    }
}

#[test]
fn the_note_names_the_cause_that_can_be_measured() {
    check(&gaussian_blur_f32(&page(20), 5.0), "blurred");
    check(&page(200), "pale");
    check(&image::imageops::thumbnail(&page(20), 400, 560), "pixels high");
    check(&page(20), "another language than `eng`");
}

#[test]
fn where_letters_stand_and_few_or_no_words_were_read_the_cause_is_named() {
    let blurred = gaussian_blur_f32(&page(20), 5.0);
    let notes = |page: &GrayImage, count: usize, confidence: f32| {
        let words = &words(|_| 0.0)[..count];
        judge(
            page,
            &Ink::of(page),
            0,
            None,
            Reading { words, confidence, languages: "eng", coverage: Coverage::default() },
        )
        .notes
    };
    assert_eq!(notes(&blurred, 3, 0.4), ["The page is blurred."]);
    assert_eq!(notes(&blurred, 0, 0.0), ["No text was found on this page.", "The page is blurred."]);
    // A stamp on a page of its own.
    let mut stamp = GrayImage::from_pixel(1_000, 1_400, Luma([250]));
    draw_filled_rect_mut(&mut stamp, Area::at(300, 300).of_size(13, 24), Luma([200]));
    assert_eq!(notes(&stamp, 2, 0.4), Vec::<String>::new());
    assert_eq!(notes(&stamp, 0, 0.0), ["No text was found on this page."]);
}

#[test]
fn marks_of_many_heights_are_taken_for_handwriting() {
    let mut written = GrayImage::from_pixel(1_000, 1_400, Luma([250]));
    for (line, letter) in (0..14).flat_map(|line| (0..25).map(move |letter| (line, letter))) {
        let height = [14, 18, 16, 22, 20, 17, 48, 56][(line * 25 + letter) as usize % 8];
        let bottom = 140 + line * 88;
        let area = Area::at(100 + letter * 32, bottom - height).of_size(9, height as u32);
        draw_filled_rect_mut(&mut written, area, Luma([20]));
    }
    check(&written, "seems to be handwritten");
}

#[test]
fn a_shadow_over_half_of_the_page_is_named() {
    let mut shaded = page(20);
    shaded.enumerate_pixels_mut().for_each(|(x, _, sample)| {
        let light = 1.0 - 0.6 * (x as f32 / 1_000.0);
        sample.0[0] = (f32::from(sample.0[0]) * light) as u8;
    });
    check(&shaded, "uneven");
}

#[test]
fn skew_that_is_left_and_lines_that_are_bent_are_named() {
    let check = |words: &[Word], confidence, expected: &[&str]| {
        let page = page(20);
        let reading = Reading { words, confidence, languages: "eng", coverage: Coverage::default() };
        assert_eq!(judge(&page, &Ink::of(&page), 0, None, reading).notes, expected);
    };
    check(&words(|_| 3.0), 0.6, &["The text is still turned clockwise by 3.0°. Lay the sheet straight."]);
    check(
        &words(|_| -4.0),
        0.6,
        &["The text is still turned counter-clockwise by 4.0°. Lay the sheet straight."],
    );
    let bent = "The lines of text are bent or lie at different angles. Lay the sheet flat.";
    check(&words(|line| line as f32 - 4.5), 0.6, &[bent]);
    check(&words(|_| 3.0), 0.9, &[]);
}

#[test]
fn a_page_without_a_word_says_so() {
    let reading = Reading { words: &[], confidence: 0.0, languages: "eng", coverage: Coverage::default() };
    let quality = judge(&page(20), &Ink::of(&page(20)), 0, None, reading);
    assert_eq!(quality.notes, ["No text was found on this page."]);
}

#[test]
fn the_score_falls_with_confidence_and_with_sharpness() {
    let (sharp, soft) = (page(20), gaussian_blur_f32(&page(20), 5.0));
    let scores = [judged(&sharp, 0.96), judged(&sharp, 0.8), judged(&soft, 0.8), judged(&soft, 0.5)];
    let scores = scores.map(|quality| quality.score);
    assert!(scores[0] > 0.95 && scores.is_sorted_by(|a, b| a > b), "{scores:?}");
    assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
}

#[test]
fn an_empty_picture_is_judged_without_edges() {
    assert_eq!(Edges::of(&GrayImage::from_pixel(500, 700, Luma([255]))), None);
    assert_eq!(Edges::of(&GrayImage::new(1, 1)), None);
}
