//! Whether a page is blank.
//!
//! Dust, punch holes, the shadow of an edge, a scanner's black border and the back's text shining through are not
//! content. One line of small text, one signature, one stamp or one pencilled line is. In doubt a page is not
//! blank: a blank page too many is a nuisance, a lost one is a loss. So a page on which there is no ink gets a second
//! look, for print that is paler than ink ([`pale`]).

mod pale;

use image::GrayImage;

use super::clean::holes;
use super::clean::light::Paper;
use super::ink::{Ink, Mark};

/// The part of the page along each edge in which marks do not count.
const MARGIN: f32 = 0.035;
/// The side of a mark that may be a character, in reduced pixels; less is dust.
const SPECK_PX: u32 = 5;
/// A page with no more such marks than this and no more ink is blank.
const MARKS_MAX: usize = 6;
/// Ink within the margins, as a part of the area, up to which a page of few marks is blank.
const INK_MAX: f64 = 0.000_4;
/// A mark longer than this part of the page's longer side was made by someone: 7 mm on A4.
const LARGE: f32 = 0.024;
/// Marks lighter than this part of the paper shine through from the back, or are grains of the paper...
const FAINT: f32 = 0.74;
/// ...unless they are longer than this part of the page's longer side, as pencilled strokes are: 9 mm on A4.
const STROKE: f32 = 0.03;
/// A page with more than this of its paper in the dark holds a picture.
const DARK_SHARE_MAX: f32 = 0.25;

/// Whether there is nothing on the page but dust.
pub(super) fn is_blank(page: &GrayImage, ink: &Ink) -> bool {
    let large = ink.long_side() as f32 * LARGE;
    let (mut marks, mut area) = (0, 0u64);
    for mark in ink.marks.iter().filter(|mark| may_be_content(mark, ink)) {
        // Only a few marks need this look: as soon as there is enough of them, the page is not blank.
        if is_faint(page, ink, mark) {
            continue;
        }
        marks += 1;
        area += u64::from(mark.area);
        let part = area as f64 / (f64::from(ink.width) * f64::from(ink.height));
        if marks > MARKS_MAX || part > INK_MAX || mark.width().max(mark.height()) as f32 > large {
            return false;
        }
    }
    Paper::of(page).shadow_share <= DARK_SHARE_MAX && !pale::has_print(page, ink.reduction)
}

/// Whether a mark lies within the margins.
fn is_inside(mark: &Mark, ink: &Ink) -> bool {
    // Of a long strip only so much counts as a page would have: its margins are no longer.
    let margin = |side: u32| side.min(ink.long_side()) as f32 * MARGIN;
    let (across, down) = (margin(ink.width), margin(ink.height));
    mark.x0 as f32 > across
        && (mark.x1 as f32) < ink.width as f32 - across
        && mark.y0 as f32 > down
        && (mark.y1 as f32) < ink.height as f32 - down
}

/// Whether a mark lies within the margins, and is neither dust nor a punch hole.
fn may_be_content(mark: &Mark, ink: &Ink) -> bool {
    is_inside(mark, ink) && mark.width().max(mark.height()) >= SPECK_PX && !holes::may_be(mark, ink)
}

/// Whether a mark is too light for print and too short for a pencil.
fn is_faint(page: &GrayImage, ink: &Ink, mark: &Mark) -> bool {
    if mark.width().max(mark.height()) as f32 > ink.long_side() as f32 * STROKE {
        return false;
    }
    let by = ink.reduction;
    let (left, right) = (mark.x0 * by, (mark.x1 * by).min(page.width()));
    let (top, bottom) = (mark.y0 * by, (mark.y1 * by).min(page.height()));
    let around = by * 6;
    let (mut darkest, mut lightest) = (u8::MAX, 0);
    for y in top.saturating_sub(around)..(bottom + around).min(page.height()) {
        for x in left.saturating_sub(around)..(right + around).min(page.width()) {
            let level = page.get_pixel(x, y).0[0];
            lightest = lightest.max(level);
            if (left..right).contains(&x) && (top..bottom).contains(&y) {
                darkest = darkest.min(level);
            }
        }
    }
    f32::from(darkest) > f32::from(lightest) * FAINT
}

#[cfg(test)]
mod tests;
