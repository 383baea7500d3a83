//! Whether a page is blank.
//!
//! Dust, punch holes, the shadow of an edge and a scanner's black border are not content. One line of small
//! text, or one signature, is.

use super::ink::Ink;

/// The part of the page along each edge in which marks do not count.
const MARGIN: f32 = 0.035;
/// The side of a mark that may be a character, in reduced pixels; less is dust.
const SPECK_PX: u32 = 5;
/// A page with no more such marks than this and no more ink is blank.
const MARKS_MAX: usize = 6;
/// Ink within the margins, as a part of the area, up to which a page of few marks is blank.
const INK_MAX: f64 = 0.000_4;

/// Whether there is nothing on the page but dust.
pub(super) fn is_blank(ink: &Ink) -> bool {
    let (width, height) = (ink.width as f32, ink.height as f32);
    let (left, right) = (width * MARGIN, width * (1.0 - MARGIN));
    let (top, bottom) = (height * MARGIN, height * (1.0 - MARGIN));
    let inside = ink.marks.iter().filter(|mark| {
        mark.x0 as f32 > left && (mark.x1 as f32) < right && mark.y0 as f32 > top && (mark.y1 as f32) < bottom
    });
    let (mut marks, mut area) = (0, 0u64);
    for mark in inside.filter(|mark| mark.width().max(mark.height()) >= SPECK_PX) {
        marks += 1;
        area += u64::from(mark.area);
    }
    let part = area as f64 / (f64::from(ink.width) * f64::from(ink.height));
    marks <= MARKS_MAX && part <= INK_MAX
}
