//! A word or a number, alone on a page: a few dark, sharp marks of like height in a row.
//!
//! Dust is as dark, but two grains of it seldom lie side by side on one line, and three never. Within the margins two
//! marks in a row are writing; at the edge, where the teeth of a border lie in rows, five are.

use std::borrow::Cow;

use image::GrayImage;

use super::pale::{self, Edges};
use super::{Inside, holes, levels};
use crate::raster::ink::{self, Ink, Mark, Run};

/// Writing is darker than this part of the paper around it...
const DARK: f32 = 0.6;
/// ...and that is lighter than this part of the page's lightest: it is no border.
const PAPER: f32 = 0.6;
/// The highest letter of a row is at least so high, in reduced pixels: 1.2 mm on A4.
const HEIGHT_MIN: u32 = 7;
/// The next mark of a row is this near, as a part of the higher one's height. A blank is a third of it or half.
const NEAR: f32 = 1.5;
/// Two marks that are a row for themselves are this near...
const PAIR_NEAR: f32 = 0.8;
/// ...one at most so many times as high as the other...
const PAIR_HEIGHTS: f32 = 1.8;
/// ...and end on one line, at their feet or heads, to this part of their height.
const PAIR_ALIGNED: f32 = 0.15;
/// Marks of one row overlap by this part of the lower one, seen along the row.
const OVERLAP: f32 = 0.5;
/// So many marks in a row are writing in the margins, too.
const IN_MARGIN_MIN: usize = 5;
/// Between a row in the margin and the page's edge there is paper: so much of it is light.
const LIGHT_SHARE: f32 = 0.8;
/// Perforations are at least so large, in reduced pixels, fill so much of their box, and are alike to this factor.
const PERFORATION: (u32, f32, f32) = (12, 0.6, 1.15);
/// More marks than this are a pattern.
const MARKS_MAX: usize = 20_000;

/// Whether a word or a number stands on a page.
pub(super) fn is_there(page: &GrayImage, ink: &Ink) -> bool {
    let (right, bottom) = (ink.width.saturating_sub(1), ink.height.saturating_sub(1));
    let may_be = |mark: &Mark| {
        mark.x0 > 1 && mark.y0 > 1 && mark.x1 < right && mark.y1 < bottom && !holes::may_be(mark, ink)
    };
    let mut letters: Vec<Letter> = ink
        .text_like()
        .filter(|(_, mark)| may_be(mark))
        .map(|(index, mark)| Letter { index: index as u32, mark: *mark })
        .collect();
    if letters.len() > MARKS_MAX {
        return false;
    }
    let lightest = letters.iter().map(|letter| levels(page, ink, &letter.mark).1).max().unwrap_or(0);
    letters.retain(|letter| {
        let (darkest, around) = levels(page, ink, &letter.mark);
        f32::from(darkest) < f32::from(around) * DARK && f32::from(around) > f32::from(lightest) * PAPER
    });
    let look = Look { inside: Inside::of(ink), small: ink::reduced(page, ink.reduction), lightest };
    let is_sharp = |row: &Vec<Letter>| {
        let row: Vec<u32> = row.iter().map(|letter| letter.index).collect();
        let mut runs: Vec<Run> = ink.runs.iter().filter(|run| row.contains(&run.mark)).copied().collect();
        runs.sort_unstable_by_key(|run| run.mark);
        Edges::of(&look.small, &runs, &row).are_sharp(pale::sharp(&look.small, ink.reduction), 0.0)
    };
    [false, true]
        .into_iter()
        .any(|down| rows(&letters, down).iter().any(|row| look.is_writing(row, down) && is_sharp(row)))
}

/// A mark that may be a letter.
#[derive(Clone, Copy, Debug)]
struct Letter {
    index: u32,
    mark: Mark,
}

impl Letter {
    /// From where to where it reaches along its row.
    fn along(&self, down: bool) -> (u32, u32) {
        if down { (self.mark.y0, self.mark.y1) } else { (self.mark.x0, self.mark.x1) }
    }

    fn across(&self, down: bool) -> (u32, u32) {
        if down { (self.mark.x0, self.mark.x1) } else { (self.mark.y0, self.mark.y1) }
    }

    fn height(&self, down: bool) -> u32 {
        let (from, behind) = self.across(down);
        behind - from
    }

    /// The paper between this one and the next in a row, as a part of the higher one's height.
    fn gap_to(&self, next: &Self, down: bool) -> f32 {
        let gap = next.along(down).0 as f32 - self.along(down).1 as f32;
        gap / self.height(down).max(next.height(down)) as f32
    }

    fn is_on_a_line_with(&self, other: &Self, down: bool) -> bool {
        let (one, two) = (self.across(down), other.across(down));
        let overlap = one.1.min(two.1) as f32 - one.0.max(two.0) as f32;
        overlap >= self.height(down).min(other.height(down)) as f32 * OVERLAP
    }
}

/// The rows of letters across the page, or down it.
fn rows(letters: &[Letter], down: bool) -> Vec<Vec<Letter>> {
    let mut letters = letters.to_vec();
    letters.sort_by_key(|letter| letter.along(down).0);
    let widest = letters.iter().map(|letter| letter.height(down)).max().unwrap_or(0) as f32 * NEAR;
    let mut rows: Vec<Vec<Letter>> = Vec::new();
    // The rows that may go on.
    let mut open: Vec<usize> = Vec::new();
    for letter in letters {
        let end = |row: usize| rows[row][rows[row].len() - 1];
        open.retain(|&row| letter.along(down).0 as f32 - (end(row).along(down).1 as f32) < widest);
        let goes_on = |row: &usize| {
            let end = end(*row);
            end.gap_to(&letter, down) < NEAR && end.is_on_a_line_with(&letter, down)
        };
        match open.iter().copied().rfind(goes_on) {
            Some(row) => rows[row].push(letter),
            None => {
                open.push(rows.len());
                rows.push(vec![letter]);
            }
        }
    }
    rows
}

/// What a row is judged by, beside itself.
struct Look<'a> {
    inside: Inside,
    /// The page as its marks were found on it.
    small: Cow<'a, GrayImage>,
    /// The lightest paper around a letter.
    lightest: u8,
}

impl Look<'_> {
    fn is_writing(&self, row: &[Letter], down: bool) -> bool {
        if row.iter().map(|letter| letter.height(down)).max().is_none_or(|height| height < HEIGHT_MIN) {
            return false;
        }
        let inside: Vec<Letter> =
            row.iter().filter(|letter| self.inside.holds(&letter.mark)).copied().collect();
        match inside[..] {
            [one, two] if is_pair(&one, &two, down) => return true,
            [_, _, _, ..] => return true,
            _ => (),
        }
        row.len() >= IN_MARGIN_MIN
            && !are_perforations(row)
            && row.iter().all(|letter| self.is_free(&letter.mark))
    }

    /// Whether there is paper between a mark and the nearest edge of the page.
    fn is_free(&self, mark: &Mark) -> bool {
        let (width, height) = self.small.dimensions();
        let (right, bottom) = (width.saturating_sub(mark.x1), height.saturating_sub(mark.y1));
        let (columns, rows) = match mark.x0.min(mark.y0).min(right).min(bottom) {
            least if least == mark.x0 => (0..mark.x0, mark.y0..mark.y1),
            least if least == right => (mark.x1..width, mark.y0..mark.y1),
            least if least == mark.y0 => (mark.x0..mark.x1, 0..mark.y0),
            _ => (mark.x0..mark.x1, mark.y1..height),
        };
        let all = columns.len() * rows.len();
        let light = f32::from(self.lightest) * LIGHT_SHARE;
        let is_light = |x: u32, y: u32| f32::from(self.small.get_pixel(x, y).0[0]) >= light;
        let count: usize = rows.map(|y| columns.clone().filter(|&x| is_light(x, y)).count()).sum();
        count as f32 >= all as f32 * LIGHT_SHARE
    }
}

/// Whether two marks stand beside each other as two letters or figures do.
fn is_pair(one: &Letter, two: &Letter, down: bool) -> bool {
    let (high, low) = (one.height(down).max(two.height(down)) as f32, one.height(down).min(two.height(down)));
    let (one_ends, two_ends) = (one.across(down), two.across(down));
    let off = one_ends.0.abs_diff(two_ends.0).min(one_ends.1.abs_diff(two_ends.1));
    one.gap_to(two, down) < PAIR_NEAR
        && high <= low as f32 * PAIR_HEIGHTS
        && low >= HEIGHT_MIN * 2 / 3
        && off as f32 <= (high * PAIR_ALIGNED).max(1.0)
}

/// Whether a row is that of a binding's or a tractor's holes: large, full and alike.
fn are_perforations(row: &[Letter]) -> bool {
    let sides = |of: fn(&Mark) -> u32| {
        let sides = || row.iter().map(|letter| of(&letter.mark));
        (sides().min().unwrap_or(0), sides().max().unwrap_or(0))
    };
    let is_alike =
        |(least, most): (u32, u32)| least >= PERFORATION.0 && most as f32 <= least as f32 * PERFORATION.2;
    let is_full = |mark: &Mark| mark.area as f32 >= (mark.width() * mark.height()) as f32 * PERFORATION.1;
    is_alike(sides(Mark::width))
        && is_alike(sides(Mark::height))
        && row.iter().all(|letter| is_full(&letter.mark))
}
