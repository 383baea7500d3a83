//! Whether a page is blank.
//!
//! Dust, punch holes, the shadow of an edge, a scanner's black border and the back's text shining through are not
//! content. One line of small text, one signature, one stamp or one pencilled line is. In doubt a page is not
//! blank: a blank page too many is a nuisance, a lost one is a loss. So a page on which there is no ink gets a second
//! look, for print that is paler than ink ([`pale`]), and for colours as light as paper ([`colour`]).
//!
//! What is wholly within the margins counts by its size, however little else there is; a few dark marks in a row are
//! writing, wherever they stand ([`writing`]); of what comes in from the edge ([`margins`]) the part within the margins
//! counts, unless it is what a scanner makes of the edge of a sheet.

mod colour;
mod margins;
mod pale;
mod writing;

use image::GrayImage;

use super::clean::holes;
use super::clean::light::Paper;
use super::ink::{Ink, Mark};
use crate::decode::Samples;

/// The side of a mark that may be a character, in reduced pixels; less is dust.
const SPECK_PX: u32 = 5;
/// A page with no more such marks than this, not in a row, and no more ink is blank.
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

/// Whether there is nothing on the page but dust, as far as light and dark show it.
pub(super) fn is_blank(page: &GrayImage, ink: &Ink) -> bool {
    if has_marks(page, ink) || writing::is_there(page, ink) {
        return false;
    }
    let paper = Paper::of(page);
    paper.shadow_share <= DARK_SHARE_MAX
        && !margins::come_in(page, ink, paper.white)
        && !pale::has_print(page, ink.reduction)
}

/// Whether there is something on a page that only its colour shows: yellow is nearly as light as paper.
pub(super) fn has_colour(samples: &Samples, ink: &Ink) -> bool {
    match samples {
        Samples::Bitonal(_) | Samples::Gray(_) => false,
        Samples::Rgb(picture) => colour::is_there(picture, ink),
    }
}

/// Whether there are more marks within the margins, or larger ones, than dust makes.
fn has_marks(page: &GrayImage, ink: &Ink) -> bool {
    let large = ink.long_side() as f32 * LARGE;
    let inside = Inside::of(ink);
    let (mut marks, mut area) = (0, 0u64);
    for mark in ink.marks.iter().filter(|mark| may_be_content(mark, ink, &inside)) {
        // Only a few marks need this look: as soon as there is enough of them, the page is not blank.
        if is_faint(page, ink, mark) {
            continue;
        }
        marks += 1;
        area += u64::from(mark.area);
        let part = area as f64 / (f64::from(ink.width) * f64::from(ink.height));
        if marks > MARKS_MAX || part > INK_MAX || mark.width().max(mark.height()) as f32 > large {
            return true;
        }
    }
    false
}

/// What lies within a page's margins, in reduced pixels.
#[derive(Clone, Copy, Debug)]
struct Inside {
    x0: u32,
    y0: u32,
    /// Behind the last column.
    x1: u32,
    /// Behind the last row.
    y1: u32,
}

impl Inside {
    /// The margins' part of the page along each edge.
    const MARGIN: f32 = 0.035;

    fn of(ink: &Ink) -> Self {
        // Of a long strip only so much counts as a page would have: its margins are no longer.
        let margin = |side: u32| (side.min(ink.long_side()) as f32 * Self::MARGIN) as u32 + 1;
        let (across, down) = (margin(ink.width), margin(ink.height));
        let behind = |side: u32, margin: u32| side.saturating_sub(margin).max(margin);
        Self { x0: across, y0: down, x1: behind(ink.width, across), y1: behind(ink.height, down) }
    }

    /// Whether a mark lies wholly inside.
    fn holds(&self, mark: &Mark) -> bool {
        mark.x0 >= self.x0 && mark.x1 <= self.x1 && mark.y0 >= self.y0 && mark.y1 <= self.y1
    }
}

/// Whether a mark lies within the margins, and is neither dust nor a punch hole.
fn may_be_content(mark: &Mark, ink: &Ink, inside: &Inside) -> bool {
    inside.holds(mark) && mark.width().max(mark.height()) >= SPECK_PX && !holes::may_be(mark, ink)
}

/// Whether a mark is too light for print and too short for a pencil.
fn is_faint(page: &GrayImage, ink: &Ink, mark: &Mark) -> bool {
    if mark.width().max(mark.height()) as f32 > ink.long_side() as f32 * STROKE {
        return false;
    }
    let (darkest, lightest) = levels(page, ink, mark);
    f32::from(darkest) > f32::from(lightest) * FAINT
}

/// The darkest sample of a mark, and the lightest of it and of what is around it.
fn levels(page: &GrayImage, ink: &Ink, mark: &Mark) -> (u8, u8) {
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
    (darkest, lightest)
}

#[cfg(test)]
mod tests;
