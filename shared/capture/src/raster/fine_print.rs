//! Print that is much smaller than most of what stands on a page.
//!
//! How large a copy of the page is read goes by the height of the letters that hold most of its ink. On a cover or a
//! certificate these are the title's, and the names and figures below it would be too small on that copy.

use super::ink::{Ink, Mark};

/// What is at most so high, as a part of the capitals, is small: the letters of one size are higher, all but marks of
/// punctuation.
const SMALL: f32 = 0.45;
/// With fewer letters than this it is no print...
const LETTERS_MIN: usize = 20;
/// ...and with more than this it is the grain of paper.
const LETTERS_MAX: usize = 10_000;
/// What is lower than this on the page, in pixels, is a dot or a dash of a printed rule, or too small to be read.
const LOWEST_PX: u32 = 8;
/// Letters are at most so many times as wide as high: what is wider is a dash.
const WIDEST: u32 = 2;
/// Letters of one word are at most so many heights apart.
const APART: u32 = 1;
/// And differ by less than this in height.
const ALIKE: f32 = 1.8;

/// The height of its letters in page pixels; `None` where no print is much smaller than these capitals.
pub(super) fn height_px(ink: &Ink, lines_are_vertical: bool, capital_px: f32) -> Option<f32> {
    let highest = capital_px * SMALL / ink.reduction as f32;
    let seen = ink.text_like().map(|(_, mark)| Letter::of(mark, lines_are_vertical));
    let small = seen.filter(|letter| {
        let height = letter.height();
        height as f32 <= highest
            && height * ink.reduction >= LOWEST_PX
            && letter.to - letter.from <= height * WIDEST
    });
    let mut small: Vec<Letter> = small.collect();
    if !(LETTERS_MIN..=LETTERS_MAX).contains(&small.len()) {
        return None;
    }
    small.sort_unstable_by_key(|letter| letter.from);
    let mut heights: Vec<u32> = small
        .iter()
        .enumerate()
        .filter(|(index, letter)| {
            let behind = small[index + 1..].iter();
            let mut near = behind.take_while(|other| other.from <= letter.to + letter.height() * APART);
            near.any(|other| letter.is_beside(other))
        })
        .map(|(_, letter)| letter.height())
        .collect();
    // A tenth may be commas and specks that stand beside each other.
    let place = heights.len() / 10;
    let height = (heights.len() >= LETTERS_MIN).then(|| *heights.select_nth_unstable(place).1)?;
    Some((height * ink.reduction) as f32)
}

/// A mark, as it stands in its line: where it begins and ends along the line, and its upper and lower edge.
#[derive(Clone, Copy, Debug)]
struct Letter {
    from: u32,
    to: u32,
    low: u32,
    high: u32,
}

impl Letter {
    fn of(mark: &Mark, lines_are_vertical: bool) -> Self {
        let Mark { x0, x1, y0, y1, .. } = *mark;
        match lines_are_vertical {
            true => Self { from: y0, to: y1, low: x0, high: x1 },
            false => Self { from: x0, to: x1, low: y0, high: y1 },
        }
    }

    fn height(&self) -> u32 {
        self.high - self.low
    }

    /// Whether the other one, which begins behind this one, stands in its line and is like it.
    fn is_beside(&self, other: &Self) -> bool {
        let both = self.high.min(other.high).saturating_sub(self.low.max(other.low));
        let (smaller, larger) = (self.height().min(other.height()), self.height().max(other.height()));
        other.from >= self.to && both * 2 >= smaller && larger as f32 <= smaller as f32 * ALIKE
    }
}
