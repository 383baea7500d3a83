//! Taking boxes to tick out of the copy that is read.
//!
//! The recogniser takes a box for a letter: an empty one for `O` or `[]`, a ticked one for `DX]`, and what follows it suffers
//! too. So the frame goes, with the tick that touches it. What stands in the frame and does not touch it stays, as it may
//! be a number, which tells that the frame is no box to tick; a tick that is read there goes afterwards.

use std::borrow::Cow;

use image::GrayImage;
use platen_model::{CheckBox, Rect, Word};

use super::Ink;

/// A frame with something closer beside it than this part of its side may be a letter of a word...
const ALONE: u32 = 2;
/// ...and one that is not so many times as high as capitals may be a letter that stands by itself: a coarse `B` or `D`.
const LARGER: f32 = 1.2;
/// A tick reaches out of its box by this part of its side...
const TICK_REACH: u32 = 2;
/// ...where the mark is not wider or higher than so many boxes: larger ones hold letters that the tick touches.
const BOXES_MAX: u32 = 2;
/// What recognisers make of ticks and crosses.
const TICKS: &str = "xXvVyYkK×✓✔✗✘√/\\|%*+_";

/// Paints the boxes over that stand alone, with the paper around them. Answers where.
pub(in crate::raster) fn paint_over(
    page: &mut Cow<'_, GrayImage>,
    ink: &Ink,
    boxes: &[CheckBox],
    languages: &str,
) -> Vec<Rect> {
    // Their scripts have characters that are boxes.
    let has_square_characters =
        ["chi_", "jpn", "kor", "Han", "Japanese"].iter().any(|name| languages.contains(name));
    let Some(capital) = ink.capital_height_px(false).filter(|_| !has_square_characters) else {
        return Vec::new();
    };
    let mut painted = Vec::new();
    for found in boxes.iter().filter(|found| found.rect.h as f32 >= capital * LARGER) {
        let by = ink.reduction;
        let frame =
            Rect { x: found.rect.x / by, y: found.rect.y / by, w: found.rect.w / by, h: found.rect.h / by };
        let Some(mark) = mark_of(ink, frame) else { continue };
        if stands_alone(ink, frame, mark) {
            paint(page, ink, frame, mark);
            painted.push(found.rect);
        }
    }
    painted
}

/// Takes out the ticks that were read in boxes.
pub(in crate::raster) fn drop_ticks(words: &mut Vec<Word>, boxes: &[Rect]) {
    words.retain(|word| {
        let middle = (word.rect.x + word.rect.w / 2, word.rect.y + word.rect.h / 2);
        let is_in = |found: &Rect| {
            (found.x..found.x + found.w).contains(&middle.0)
                && (found.y..found.y + found.h).contains(&middle.1)
                && word.rect.w <= found.w * 2
        };
        !(word.text.chars().all(|one| TICKS.contains(one)) && boxes.iter().any(is_in))
    });
}

/// The mark that holds a frame: that of the longest stroke in it.
fn mark_of(ink: &Ink, frame: Rect) -> Option<u32> {
    let first = ink.runs.partition_point(|run| run.y < frame.y);
    let within = ink.runs[first..].iter().take_while(|run| run.y < frame.y + frame.h);
    let length = |x0: u32, x1: u32| x1.min(frame.x + frame.w).saturating_sub(x0.max(frame.x));
    within.max_by_key(|run| length(run.x0, run.x1)).map(|run| run.mark)
}

fn stands_alone(ink: &Ink, frame: Rect, mark: u32) -> bool {
    let room = frame.w / ALONE;
    let (left, right) = (frame.x.saturating_sub(room), frame.x + frame.w + room);
    !ink.marks.iter().zip(0..).any(|(other, number)| {
        let beside = other.y1.min(frame.y + frame.h).saturating_sub(other.y0.max(frame.y));
        let middle = (other.x0 + other.x1) / 2;
        let is_out = middle < frame.x || middle > frame.x + frame.w;
        number != mark
            && is_out
            && other.x1 > left
            && other.x0 < right
            && other.height() * 2 >= frame.h
            && beside * 2 >= other.height().min(frame.h)
    })
}

fn paint(page: &mut Cow<'_, GrayImage>, ink: &Ink, frame: Rect, number: u32) {
    let mark = ink.marks[number as usize];
    let is_large = mark.width() > frame.w * BOXES_MAX || mark.height() > frame.h * BOXES_MAX;
    let reach = if is_large { 2 } else { frame.w / TICK_REACH };
    let (left, right) = (frame.x.saturating_sub(reach), frame.x + frame.w + reach);
    let (top, bottom) = (frame.y.saturating_sub(reach), frame.y + frame.h + reach);
    let by = ink.reduction;
    let shade = shade_around(
        page,
        Rect { x: left * by, y: top * by, w: (right - left) * by, h: (bottom - top) * by },
    );
    let first = ink.runs.partition_point(|run| run.y < top);
    let (width, height) = page.dimensions();
    let samples = page.to_mut();
    for run in ink.runs[first..].iter().take_while(|run| run.y < bottom).filter(|run| run.mark == number) {
        let (from, to) = (run.x0.max(left), run.x1.min(right));
        if from >= to {
            continue;
        }
        // The soft edges of its strokes go with it.
        let columns = (from * by).saturating_sub(by + 1)..(to * by + by + 1).min(width);
        for y in (run.y * by).saturating_sub(by + 1)..((run.y + 1) * by + by + 1).min(height) {
            samples.as_mut()[(y * width) as usize..][columns.start as usize..columns.end as usize]
                .fill(shade);
        }
    }
}

/// The shade of the paper in a part of the page: what a quarter of its samples is lighter than.
fn shade_around(page: &GrayImage, part: Rect) -> u8 {
    let rows = page.rows().skip(part.y as usize).take(part.h as usize);
    let mut samples: Vec<u8> = rows
        .flat_map(|row| row.skip(part.x as usize).take(part.w as usize).map(|pixel| pixel.0[0]))
        .collect();
    let place = samples.len() * 3 / 4;
    if samples.is_empty() { 255 } else { *samples.select_nth_unstable(place).1 }
}
