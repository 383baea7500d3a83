//! How much of the text on a page was read.
//!
//! A recogniser says how sure it is of the words that it answers, and nothing of what it passed over. But the page's marks
//! are known: those that stand as letters do, several beside each other on one base line and nothing close above or below
//! them, are text whether they were read or not. The grain of a picture has marks on all sides, bars of a code are all
//! thin, and places for single characters are all alike; none of them counts, nor do stamps, whose letters are too large.

use platen_model::{Rect, Word};

use super::ink::{Ink, Mark};

/// The height of letters as a part of the capitals', at least and at most.
const HEIGHTS: std::ops::Range<f32> = 0.45..2.0;
/// Letters that run into each other are at most so many capitals wide.
const WIDEST: f32 = 4.0;
/// From one letter of a line to the next are at most so many heights of capitals.
const APART: f32 = 0.9;
/// Letters of one line differ so much in where they begin or in where they end, as a part of the capitals.
const LEVEL: f32 = 0.3;
/// What stands closer than this above or below, as a part of the capitals, is in no line of text.
const LINES_APART: f32 = 0.2;
/// The least letters beside each other that are text.
const LETTERS_MIN: usize = 4;
/// Of so many letters that stand beside each other, some are wider than others.
const ALIKE_MIN: usize = 8;
/// More marks than this are the grain of a picture.
const MARKS_MAX: usize = 20_000;
/// Much of the text is missing where more than this part of its letters is, and more letters than this.
const MUCH: (f32, usize) = (0.1, 40);
/// Some of it is, and may be worth a second look.
const SOME: (f32, usize) = (0.03, 20);
/// A page without words has text where more letters than this stand on it.
const TEXT_MIN: usize = 100;

/// The letters on a page, and how many of them lie in no word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Coverage {
    letters: usize,
    unread: usize,
}

impl Coverage {
    /// Of a page with level lines, by its marks.
    pub(super) fn of(ink: &Ink, words: &[Word]) -> Self {
        let Some(capital) = ink.capital_height_px(false) else { return Self::default() };
        let letters = in_lines(ink, capital / ink.reduction as f32);
        let unread = letters.iter().filter(|mark| !is_in_a_word(mark, ink.reduction, words)).count();
        Self { letters: letters.len(), unread }
    }

    /// With what stands on another part of the page.
    pub(super) fn and(self, other: Self) -> Self {
        Self { letters: self.letters + other.letters, unread: self.unread + other.unread }
    }

    /// The part of the letters that was not read.
    pub(super) fn unread_share(self) -> f32 {
        self.unread as f32 / self.letters.max(1) as f32
    }

    /// Whether a person should know what is missing.
    pub(super) fn lacks_much(self) -> bool {
        self.lacks_more_than(MUCH)
    }

    /// Whether so much is missing that it may be worth to look again.
    pub(super) fn lacks_some(self) -> bool {
        self.lacks_more_than(SOME)
    }

    /// Whether a page on which no word was read holds text.
    pub(super) fn is_of_text(self) -> bool {
        self.letters > TEXT_MIN
    }

    fn lacks_more_than(self, (share, letters): (f32, usize)) -> bool {
        self.unread > letters && self.unread_share() > share
    }
}

/// The marks that stand as letters of a line do. `capital` is the height of capitals in reduced pixels.
fn in_lines(ink: &Ink, capital: f32) -> Vec<Mark> {
    let is_letter = |mark: &&Mark| {
        HEIGHTS.contains(&(mark.height() as f32 / capital)) && mark.width() as f32 <= capital * WIDEST
    };
    let mut letters: Vec<Mark> = ink.text_like().map(|(_, mark)| mark).filter(is_letter).copied().collect();
    if letters.len() > MARKS_MAX {
        return Vec::new();
    }
    letters.sort_unstable_by_key(|mark| mark.x0);
    let near = (capital * APART) as u32;
    let widest = (capital * WIDEST) as u32;
    let mut is_stacked = vec![false; letters.len()];
    // Each letter is in the line of the one before it.
    let mut line: Vec<usize> = (0..letters.len()).collect();
    for (place, letter) in letters.iter().enumerate() {
        let first = letters[..place].partition_point(|other| other.x0 + widest + near < letter.x0);
        let mut before: Option<usize> = None;
        for (other_place, other) in letters[..place].iter().enumerate().skip(first) {
            if is_close_above_or_below(letter, other, capital) {
                (is_stacked[place], is_stacked[other_place]) = (true, true);
            }
            let is_nearer = before.is_none_or(|before| letters[before].x1 < other.x1);
            if is_nearer && is_beside(letter, other, capital) {
                before = Some(other_place);
            }
        }
        if let Some(before) = before {
            line[place] = line[before];
        }
    }
    let mut by_line: Vec<Vec<usize>> = vec![Vec::new(); letters.len()];
    for (place, line) in line.into_iter().enumerate() {
        by_line[line].push(place);
    }
    by_line.retain(|line| {
        let stacked = line.iter().filter(|place| is_stacked[**place]).count();
        line.len() >= LETTERS_MIN && stacked * 3 <= line.len() && varies(line, &letters)
    });
    by_line.into_iter().flatten().map(|place| letters[place]).collect()
}

/// Whether a letter stands behind another one of its line.
fn is_beside(letter: &Mark, before: &Mark, capital: f32) -> bool {
    let both = letter.y1.min(before.y1).saturating_sub(letter.y0.max(before.y0));
    let lower = letter.height().min(before.height());
    let level = capital * LEVEL;
    let begin = letter.y0.abs_diff(before.y0) as f32;
    let end = letter.y1.abs_diff(before.y1) as f32;
    before.x1 <= letter.x0 + 1
        && letter.x0.saturating_sub(before.x1) as f32 <= capital * APART
        && both * 2 >= lower
        && begin.min(end) <= level
}

fn is_close_above_or_below(letter: &Mark, other: &Mark, capital: f32) -> bool {
    let both = letter.x1.min(other.x1).saturating_sub(letter.x0.max(other.x0));
    let narrower = letter.width().min(other.width());
    // One of the two is zero, or both where they overlap.
    let gap = letter.y0.saturating_sub(other.y1).max(other.y0.saturating_sub(letter.y1));
    both * 2 > narrower && gap as f32 <= capital * LINES_APART
}

/// Whether these are letters of several shapes: neither bars nor boxes.
fn varies(line: &[usize], letters: &[Mark]) -> bool {
    let thin = line.iter().filter(|place| letters[**place].width() * 4 < letters[**place].height()).count();
    let spread = |size: fn(&Mark) -> u32| {
        let sizes = line.iter().map(|place| size(&letters[*place]));
        sizes.clone().max().unwrap_or(0) - sizes.min().unwrap_or(0)
    };
    let are_alike = line.len() >= ALIKE_MIN && spread(Mark::width) <= 2 && spread(Mark::height) <= 2;
    thin * 2 <= line.len() && !are_alike
}

fn is_in_a_word(mark: &Mark, by: u32, words: &[Word]) -> bool {
    let (x, y) = ((mark.x0 + mark.x1) * by / 2, (mark.y0 + mark.y1) * by / 2);
    let holds = |r: Rect| {
        (r.x.saturating_sub(by)..=r.x + r.w + by).contains(&x)
            && (r.y.saturating_sub(by)..=r.y + r.h + by).contains(&y)
    };
    words.iter().any(|word| holds(word.rect))
}
