use std::borrow::Cow;
use std::fs::File;

use image::{GrayImage, Luma};
use imageproc::drawing::draw_filled_rect_mut;
use imageproc::rect::Rect as Area;
use platen_model::{Rect, Word};

use super::ink::Ink;
use super::reading::{self, TextSize};
use super::upright::Upright;
use super::{skew, turn, underline, unread};
use crate::decode::{Document, Samples};
use crate::ocr::{Engines, Layout};
use crate::options::Limits;

/// The first page of a sample, straightened, and how large its text is.
fn sample(name: &str) -> (GrayImage, TextSize) {
    let samples = platen_testdata::samples();
    let path = samples.iter().flat_map(|sample| sample.paths()).find(|path| path.ends_with(name));
    let file = File::open(path.expect("the sample is there")).expect("it can be opened");
    let limits = Limits::default();
    let mut document = Document::open(file, &limits).expect("it is a document");
    let picture = document.page(0, &limits).expect("it has a page");
    let gray = picture.samples.to_gray();
    let skew_deg = skew::Glance::across(&Ink::of(&gray)).lines().skew_deg;
    let size = gray.dimensions();
    let (_, gray) = turn::straightened_to_read(Samples::Gray(gray), skew_deg, size);
    let text = TextSize::of(&Ink::of(&gray), Upright::AS_IT_LIES, picture.dpi);
    (gray, text)
}

fn words_of(page: &GrayImage, text: TextSize) -> Vec<Word> {
    reading::read(page, text, "eng", &mut Engines::default()).expect("English is installed").words
}

/// The words of the first line of running text.
fn a_line(words: &[Word]) -> Vec<Word> {
    let lines = words.chunk_by(|a, b| a.line == b.line);
    let is_long = |word: &&Word| word.text.chars().filter(|c| c.is_alphabetic()).count() >= 5;
    let mut lines = lines.filter(|line| line.iter().filter(is_long).count() >= 3 && line.len() >= 8);
    lines.next().expect("a letter has a line of long words").to_vec()
}

fn around(words: &[Word]) -> Rect {
    let x = words.iter().map(|word| word.rect.x).min().expect("there are words");
    let y = words.iter().map(|word| word.rect.y).min().expect("there are words");
    let right = words.iter().map(|word| word.rect.x + word.rect.w).max().expect("there are words");
    let bottom = words.iter().map(|word| word.rect.y + word.rect.h).max().expect("there are words");
    Rect { x, y, w: right - x, h: bottom - y }
}

#[test]
fn letters_that_stand_on_an_underline_keep_their_strokes() {
    let (mut page, text) = sample("nda-nordwind.tif");
    let line = a_line(&words_of(&page, text))[..3].to_vec();
    let area = around(&line);
    // Letters without descenders end on the base line, and the underline touches them.
    let mut bottoms: Vec<u32> = line.iter().map(|word| word.rect.y + word.rect.h).collect();
    bottoms.sort_unstable();
    let base = bottoms[0];
    let rule = Area::at(area.x as i32 - 4, base as i32 - 1).of_size(area.w + 8, 4);
    draw_filled_rect_mut(&mut page, rule, Luma([0]));

    let mut copy = Cow::Borrowed(&page);
    underline::take_out(&mut copy, &Ink::of(&page));
    let dark = |image: &GrayImage| {
        let row = |x: u32| image.get_pixel(x, base + 1).0[0] < 128;
        (area.x..area.x + area.w).filter(|&x| row(x)).count()
    };
    assert_eq!(dark(&page) as u32, area.w);
    assert!(dark(&copy) as u32 * 3 < area.w, "{} of {} columns are still dark", dark(&copy), area.w);

    let read: Vec<String> = words_of(&page, text).into_iter().map(|word| word.text).collect();
    let lost: Vec<&Word> = line.iter().filter(|word| !read.contains(&word.text)).collect();
    assert!(lost.len() * 4 <= line.len(), "lost {lost:?}");
}

#[test]
fn a_line_that_was_passed_over_is_found_by_its_marks_and_read_again() {
    let (page, text) = sample("nda-nordwind.tif");
    let ink = Ink::of(&page);
    let mut engines = Engines::default();
    let mut words = engines.read(&page, Some(300), Layout::Page, "eng").expect("English is installed");
    assert!(!words_of(&page, text).is_empty());
    let before: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let line = a_line(&words);
    words.retain(|word| word.line != line[0].line);

    let regions = unread::regions(&ink, page.dimensions(), &words);
    let place = around(&line);
    let holds = |rect: &Rect| rect.y <= place.y + place.h / 2 && place.y + place.h / 2 <= rect.y + rect.h;
    assert!(regions.iter().any(|region| holds(&region.rect)), "{regions:?} do not hold {place:?}");
    let read = regions.into_iter().map(|region| {
        let found = engines.read_region(region.rect, "eng").expect("English is installed");
        (region, found)
    });
    unread::put_in(&mut words, read.collect());
    let after: Vec<String> = words.iter().map(|word| word.text.clone()).collect();
    let back = line.iter().filter(|word| after.contains(&word.text)).count();
    assert!(back * 10 >= line.len() * 8, "{back} of {} words came back", line.len());
    assert!(after.len() + 2 >= before.len(), "{} words were {}", after.len(), before.len());
}

#[test]
fn words_read_on_a_leaning_page_stand_where_they_stand_on_the_straight_one() {
    for skew_deg in [-0.45f32, 0.3, 0.49] {
        let mut page = GrayImage::from_pixel(1_200, 1_600, Luma([255]));
        let boxes = [Rect { x: 100, y: 120, w: 20, h: 24 }, Rect { x: 1_000, y: 1_400, w: 20, h: 24 }];
        for mark in boxes {
            let area = Area::at(mark.x as i32, mark.y as i32).of_size(mark.w, mark.h);
            draw_filled_rect_mut(&mut page, area, Luma([0]));
        }
        let word = |rect: Rect| Word { text: "I".into(), confidence: 1.0, rect, line: 0, block: 0 };
        let mut words: Vec<Word> = boxes.into_iter().map(word).collect();
        let Samples::Gray(straight) =
            turn::straightened(Samples::Gray(page.clone()), skew_deg, page.dimensions())
        else {
            panic!("gray stays gray")
        };
        turn::straighten_rects(
            words.iter_mut().map(|word| &mut word.rect),
            page.dimensions(),
            straight.dimensions(),
            skew_deg,
        );
        for word in words {
            let (x, y) = (word.rect.x + word.rect.w / 2, word.rect.y + word.rect.h / 2);
            let inside = |dx: i32, dy: i32| {
                straight.get_pixel(x.saturating_add_signed(dx), y.saturating_add_signed(dy)).0[0] < 128
            };
            assert!(inside(0, 0) && inside(-7, 0) && inside(7, 0), "{skew_deg} degrees: {:?}", word.rect);
            assert!(!inside(-13, 0) && !inside(13, 0), "{skew_deg} degrees: {:?}", word.rect);
        }
    }
}
