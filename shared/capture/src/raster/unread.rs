//! Text that the recogniser passed over.
//!
//! Tesseract's layout analysis now and then takes part of a heading, a line in another size or a whole
//! paragraph for a picture or for noise, and says nothing of it. But the page's marks are known: those that look
//! like characters and lie in no word's box are gathered into regions, and each region is read again as
//! plain lines. What is read there counts only if it is clearly better than what stood there before, so
//! that pictures, stamps and signatures do not become words.

use platen_model::{Rect, Word};

use super::ink::Ink;
use super::litter;

/// Marks from this part of the height of capitals on may be characters that were passed over.
const LOWEST: f32 = 0.45;
/// Marks up to this many times the height of capitals may be.
const HIGHEST: f32 = 4.0;
/// Pages with more marks outside of words than this are full of noise or pictures.
const MARKS_MAX: usize = 1_500;
/// Fewer marks are no text worth looking for.
const MARKS_MIN: usize = 3;
/// A line of text is at least this many capitals long.
const LINE_CAPITALS: f32 = 3.0;
/// The most regions of a page that are read again.
const REGIONS_MAX: usize = 12;
/// The part of a page that is read again at most.
const AREA_MAX: f64 = 0.5;
/// What is read in a region must be this sure on average.
const SURE: f32 = 0.75;
/// And better than what stood there by this factor.
const BETTER: f32 = 1.1;

/// A region to read again, with the words that stand in it already.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) rect: Rect,
    /// Their places in the page's words, ascending.
    pub(super) words: Vec<usize>,
}

impl Region {
    /// Whether more is missing than was read, in the shape of a line.
    fn looks_like_text(&self, marks: usize, capital: f32) -> bool {
        marks >= self.words.len()
            && self.rect.w as f32 >= capital * LINE_CAPITALS
            && self.rect.h <= self.rect.w * 2
    }
}

/// Finds regions of `page` that hold characters outside of all `words`. `ink` is the page's.
pub(super) fn regions(ink: &Ink, page: (u32, u32), words: &[Word]) -> Vec<Region> {
    let Some(capital) = ink.capital_height_px(false) else { return Vec::new() };
    let boxes = left_over(ink, capital, words);
    if !(MARKS_MIN..=MARKS_MAX).contains(&boxes.len()) {
        return Vec::new();
    }
    let mut regions: Vec<Region> = grouped(&boxes)
        .into_iter()
        .filter(|group| group.len() >= MARKS_MIN)
        .map(|group| (group.len(), around(&group, capital, page, words)))
        .filter(|(marks, region)| region.looks_like_text(*marks, capital))
        .map(|(_, region)| region)
        .collect();
    let area = |region: &Region| u64::from(region.rect.w) * u64::from(region.rect.h);
    regions.sort_by_key(|region| std::cmp::Reverse(area(region)));
    let mut left = (f64::from(page.0) * f64::from(page.1) * AREA_MAX) as u64;
    regions.retain(|region| {
        let fits = area(region) <= left;
        left -= if fits { area(region) } else { 0 };
        fits
    });
    regions.truncate(REGIONS_MAX);
    regions
}

/// The boxes of marks of a character's size that lie in no word's box, in the page's pixels.
fn left_over(ink: &Ink, capital: f32, words: &[Word]) -> Vec<Rect> {
    let by = ink.reduction;
    let sizes = capital * LOWEST..capital * HIGHEST;
    let boxes = ink.text_like().map(|(_, mark)| Rect {
        x: mark.x0 * by,
        y: mark.y0 * by,
        w: mark.width() * by,
        h: mark.height() * by,
    });
    let covered = |mark: &Rect| {
        let (x, y) = (mark.x + mark.w / 2, mark.y + mark.h / 2);
        words.iter().any(|word| {
            let r = word.rect;
            (r.x.saturating_sub(by)..=r.x + r.w + by).contains(&x)
                && (r.y.saturating_sub(by)..=r.y + r.h + by).contains(&y)
        })
    };
    boxes.filter(|mark| sizes.contains(&(mark.h as f32)) && !covered(mark)).collect()
}

/// Joins boxes that stand next to each other in a line, or in lines close to each other.
fn grouped(boxes: &[Rect]) -> Vec<Vec<Rect>> {
    let mut group: Vec<usize> = (0..boxes.len()).collect();
    let root = |group: &[usize], mut at: usize| {
        while group[at] != at {
            at = group[at];
        }
        at
    };
    for a in 0..boxes.len() {
        for b in 0..a {
            if are_neighbours(&boxes[a], &boxes[b]) {
                let (a, b) = (root(&group, a), root(&group, b));
                group[a.max(b)] = a.min(b);
            }
        }
    }
    let mut groups: Vec<Vec<Rect>> = vec![Vec::new(); boxes.len()];
    for at in 0..boxes.len() {
        groups[root(&group, at)].push(boxes[at]);
    }
    groups.retain(|group| !group.is_empty());
    groups
}

fn are_neighbours(a: &Rect, b: &Rect) -> bool {
    let (high, low) = (a.h.max(b.h), a.h.min(b.h));
    let gap = |a: u32, a_end: u32, b: u32, b_end: u32| a.max(b).saturating_sub(a_end.min(b_end));
    let (across, down) = (gap(a.x, a.x + a.w, b.x, b.x + b.w), gap(a.y, a.y + a.h, b.y, b.y + b.h));
    let overlap = (a.y + a.h).min(b.y + b.h).saturating_sub(a.y.max(b.y));
    let in_line = overlap * 2 >= low && across <= high * 2;
    let above = across == 0 && down <= high;
    high <= low * 3 && (in_line || above)
}

/// The region of a group of marks: with the words of the lines it stands in, as far as they are close.
fn around(group: &[Rect], capital: f32, page: (u32, u32), words: &[Word]) -> Region {
    let mut rect = group.iter().fold(group[0], |all, mark| united(all, *mark));
    let mut inside = Vec::new();
    loop {
        let reach = rect.h.min((capital * 3.0) as u32) * 2;
        let next = words.iter().enumerate().find(|(index, word)| {
            let r = word.rect;
            let overlap = (r.y + r.h).min(rect.y + rect.h).saturating_sub(r.y.max(rect.y));
            let gap = r.x.max(rect.x).saturating_sub((r.x + r.w).min(rect.x + rect.w));
            overlap * 2 > r.h && gap <= reach && !inside.contains(index)
        });
        let Some((index, word)) = next else { break };
        inside.push(index);
        rect = united(rect, word.rect);
    }
    inside.sort_unstable();
    let room = (capital / 2.0) as u32;
    let (x, y) = (rect.x.saturating_sub(room), rect.y.saturating_sub(room));
    let (right, bottom) = ((rect.x + rect.w + room).min(page.0), (rect.y + rect.h + room).min(page.1));
    Region { rect: Rect { x, y, w: right - x, h: bottom - y }, words: inside }
}

fn united(a: Rect, b: Rect) -> Rect {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    Rect { x, y, w: (a.x + a.w).max(b.x + b.w) - x, h: (a.y + a.h).max(b.y + b.h) - y }
}

/// Puts what was read in a region into the page's words, if it is better than what stood there. Lines and blocks
/// are numbered anew.
pub(super) fn put_in(words: &mut Vec<Word>, region: &Region, read: Vec<Word>) -> bool {
    let before: f32 = region.words.iter().map(|&index| worth(&words[index])).sum();
    let after: f32 = read.iter().map(worth).sum();
    let letters: f32 = read.iter().map(letters_of).sum();
    let sure: f32 = read.iter().map(|word| word.confidence * letters_of(word)).sum();
    if letters < 3.0 || sure / letters < SURE || after < before * BETTER + 1.0 {
        return false;
    }
    let place = match region.words.first() {
        Some(&first) => first,
        None => words
            .iter()
            .position(|word| {
                let side_by_side =
                    word.rect.x < region.rect.x + region.rect.w && region.rect.x < word.rect.x + word.rect.w;
                side_by_side && word.rect.y > region.rect.y + region.rect.h / 2
            })
            .unwrap_or(words.len()),
    };
    let mut index = 0;
    words.retain(|_| {
        index += 1;
        region.words.binary_search(&(index - 1)).is_err()
    });
    // Numbers that nobody else has, until all are numbered anew.
    let read = read.into_iter().map(|word| Word { block: u32::MAX, line: u32::MAX - word.line, ..word });
    words.splice(place..place, read);
    litter::number_lines(words);
    true
}

fn letters_of(word: &Word) -> f32 {
    word.text.chars().filter(|c| c.is_alphanumeric()).count() as f32
}

fn worth(word: &Word) -> f32 {
    (word.confidence - 0.3).max(0.0) * letters_of(word)
}
