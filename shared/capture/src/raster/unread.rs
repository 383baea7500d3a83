//! Text that the recogniser passed over.
//!
//! Tesseract's layout analysis now and then takes part of a heading, a line in another size or a whole
//! paragraph for a picture or for noise, and says nothing of it. But the page's marks are known: those that look
//! like characters and lie in no word's box are gathered into regions, and each region is read again as
//! plain lines. What is read there counts only if it is clearly better than what stood there before, so
//! that pictures, stamps and signatures do not become words.
//!
//! It also takes a column of figures, one below the other, for one line of text that runs down the page, and makes a word
//! of nonsense of it. Such columns are read again too.

use std::collections::BTreeMap;

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
/// And a whole page by this one.
const WHOLE_BETTER: f32 = 1.02;
/// A line that is read with less confidence, and so many times as high as it is wide, may be a column of figures. What does
/// run down the page is read better.
const STACKED: (f32, u32) = (0.6, 2);
/// A column of figures is at most so many capitals wide.
const STACK_WIDTH: f32 = 3.0;
/// From one figure of a column to the next are at most so many heights of capitals.
const STACK_GAP: f32 = 4.0;

/// A region to read again, with the words that stand in it already.
#[derive(Clone, Debug)]
pub(super) struct Region {
    pub(super) rect: Rect,
    /// Their places in the page's words, ascending.
    pub(super) words: Vec<usize>,
    /// What stands there is one character below the other, taken for a line down the page: it is worth nothing.
    is_stack: bool,
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
    let stacks = stacks(&boxes, capital, page, words);
    if !(MARKS_MIN..=MARKS_MAX).contains(&boxes.len()) {
        return stacks;
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
    // They come first: a word is read again once, and these words are sure to be wrong.
    [stacks, regions].concat()
}

/// The columns of characters that were taken for lines down the page, with what stands above and below them and was not read.
fn stacks(left_over: &[Rect], capital: f32, page: (u32, u32), words: &[Word]) -> Vec<Region> {
    let mut stacks: Vec<Region> = Vec::new();
    let mut first = 0;
    for line in words.chunk_by(|a, b| a.line == b.line) {
        let places = first..first + line.len();
        first = places.end;
        let Some(rect) = stacked(line, capital) else { continue };
        match stacks.iter_mut().find(|stack| is_below(&stack.rect, &rect, capital)) {
            Some(stack) => {
                stack.rect = united(stack.rect, rect);
                stack.words.extend(places);
            }
            None => stacks.push(Region { rect, words: places.collect(), is_stack: true }),
        }
    }
    stacks.truncate(REGIONS_MAX);
    for Region { rect, .. } in &mut stacks {
        while let Some(next) =
            left_over.iter().find(|mark| is_below(rect, mark, capital) && united(*rect, **mark) != *rect)
        {
            *rect = united(*rect, *next);
        }
        *rect = with_room(*rect, capital, page);
    }
    stacks
}

/// Where the words of a line stand, if it runs down the page and is read as badly as a column of figures is: as one long word,
/// or as a word for each figure or two.
fn stacked(line: &[Word], capital: f32) -> Option<Rect> {
    let rect = line.iter().map(|word| word.rect).reduce(united)?;
    let characters: usize = line.iter().map(|word| word.text.chars().count()).sum();
    let confidence = line.iter().map(|word| word.confidence).sum::<f32>() / line.len() as f32;
    let is_stacked = confidence < STACKED.0
        && rect.h > rect.w * STACKED.1
        && (line.len() == 1 || rect.w as f32 <= capital * STACK_WIDTH)
        && characters >= 2;
    is_stacked.then_some(rect)
}

/// Whether both stand in one column, and not far from each other.
fn is_below(one: &Rect, other: &Rect, capital: f32) -> bool {
    let beside = (one.x + one.w).min(other.x + other.w).saturating_sub(one.x.max(other.x));
    let apart = one.y.max(other.y).saturating_sub((one.y + one.h).min(other.y + other.h));
    beside * 2 >= one.w.min(other.w)
        && one.w.max(other.w) as f32 <= capital * STACK_WIDTH
        && apart as f32 <= capital * STACK_GAP
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
    Region { rect: with_room(rect, capital, page), words: inside, is_stack: false }
}

/// The box with some of the paper around it.
fn with_room(rect: Rect, capital: f32, page: (u32, u32)) -> Rect {
    let room = (capital / 2.0) as u32;
    let (x, y) = (rect.x.saturating_sub(room), rect.y.saturating_sub(room));
    let (right, bottom) = ((rect.x + rect.w + room).min(page.0), (rect.y + rect.h + room).min(page.1));
    Rect { x, y, w: right - x, h: bottom - y }
}

fn united(a: Rect, b: Rect) -> Rect {
    let (x, y) = (a.x.min(b.x), a.y.min(b.y));
    Rect { x, y, w: (a.x + a.w).max(b.x + b.w) - x, h: (a.y + a.h).max(b.y + b.h) - y }
}

/// Puts what was read in regions into the page's words, as far as it is better than what stood there. `read` holds
/// each region with what was found in it; the regions are those of these words. Lines and blocks are numbered anew.
pub(super) fn put_in(words: &mut Vec<Word>, read: Vec<(Region, Vec<Word>)>) {
    let mut replaced = vec![false; words.len()];
    let mut insertions: BTreeMap<usize, Vec<Word>> = BTreeMap::new();
    // Where words were put in: what two regions share is read with both of them.
    let mut taken: Vec<Rect> = Vec::new();
    // Numbers that no word has, until all are numbered anew.
    let mut line = u32::MAX;
    for (region, found) in read {
        // A word that another region replaced is not there to be replaced again.
        if region.words.iter().any(|&index| replaced[index]) {
            continue;
        }
        let found = new_words(found, &region, words, &taken);
        let before = region.words.iter().filter(|_| !region.is_stack).map(|&index| &words[index]);
        if !is_better(&found, before) {
            continue;
        }
        region.words.iter().for_each(|&index| replaced[index] = true);
        taken.extend(found.iter().map(|word| word.rect));
        let place = region.words.first().copied().unwrap_or_else(|| place_of(region.rect, words));
        let into = insertions.entry(place).or_default();
        for same_line in found.chunk_by(|a, b| a.line == b.line) {
            line -= 1;
            into.extend(same_line.iter().map(|word| Word { block: line, line, ..word.clone() }));
        }
    }
    if insertions.is_empty() {
        return;
    }
    let mut all = Vec::with_capacity(words.len());
    for (index, word) in words.drain(..).enumerate() {
        all.extend(insertions.remove(&index).unwrap_or_default());
        if !replaced[index] {
            all.push(word);
        }
    }
    all.extend(insertions.into_values().flatten());
    *words = all;
    litter::number_lines(words);
}

/// What was found in a region but for the words around it that its box happened to touch, and for those that another region
/// gave already.
fn new_words(found: Vec<Word>, region: &Region, words: &[Word], taken: &[Rect]) -> Vec<Word> {
    let is_there = |word: &Word| {
        let (x, y) = (word.rect.x + word.rect.w / 2, word.rect.y + word.rect.h / 2);
        let holds = |r: &Rect| (r.x..r.x + r.w).contains(&x) && (r.y..r.y + r.h).contains(&y);
        let mut others =
            words.iter().enumerate().filter(|(index, _)| region.words.binary_search(index).is_err());
        others.any(|(_, other)| holds(&other.rect)) || taken.iter().any(holds)
    };
    found.into_iter().filter(|word| !is_there(word)).collect()
}

/// Whether what was found is sure, and clearly more than what stood there.
fn is_better<'w>(found: &[Word], before: impl Iterator<Item = &'w Word>) -> bool {
    let letters: f32 = found.iter().map(letters_of).sum();
    let sure: f32 = found.iter().map(|word| word.confidence * letters_of(word)).sum();
    let after: f32 = found.iter().map(worth).sum();
    letters >= 3.0 && sure / letters >= SURE && after >= before.map(worth).sum::<f32>() * BETTER + 1.0
}

/// Whether a second reading of a whole page is clearly more than the first.
pub(super) fn are_worth_more(again: &[Word], before: &[Word]) -> bool {
    let worth = |words: &[Word]| words.iter().map(worth).sum::<f32>();
    worth(again) > worth(before) * WHOLE_BETTER + 1.0
}

/// Where words of a region that held none belong: before the first word below it.
fn place_of(region: Rect, words: &[Word]) -> usize {
    let is_below = |word: &Word| {
        let side_by_side = word.rect.x < region.x + region.w && region.x < word.rect.x + word.rect.w;
        side_by_side && word.rect.y > region.y + region.h / 2
    };
    words.iter().position(is_below).unwrap_or(words.len())
}

fn letters_of(word: &Word) -> f32 {
    word.text.chars().filter(|c| c.is_alphanumeric()).count() as f32
}

fn worth(word: &Word) -> f32 {
    (word.confidence - 0.3).max(0.0) * letters_of(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, confidence: f32, y: u32, line: u32) -> Word {
        Word { text: text.into(), confidence, rect: Rect { x: 100, y, w: 200, h: 20 }, line, block: 0 }
    }

    fn region(y: u32, words: &[usize]) -> Region {
        Region { rect: Rect { x: 90, y: y - 5, w: 220, h: 30 }, words: words.to_vec(), is_stack: false }
    }

    /// Five lines of a word each; what is found in the regions is put in.
    #[track_caller]
    fn check(read: Vec<(Region, Vec<Word>)>, expected: &[&str]) {
        let mut words: Vec<Word> = (0..5)
            .map(|line| {
                word(["one", "tw", "three", "fo", "five"][line], 0.5, 100 + 50 * line as u32, line as u32)
            })
            .collect();
        put_in(&mut words, read);
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(texts, expected);
        let lines: Vec<u32> = words.iter().map(|word| word.line).collect();
        assert!(
            lines.is_sorted() && lines[0] == 0 && lines.windows(2).all(|pair| pair[1] - pair[0] <= 1),
            "{lines:?}"
        );
    }

    #[test]
    fn several_regions_replace_the_words_that_they_were_found_with_and_no_others() {
        let third = (region(250, &[3]), vec![word("fourteen", 0.9, 250, 0)]);
        let first = (region(150, &[1]), vec![word("twenty", 0.9, 150, 0), word("two", 0.9, 175, 1)]);
        let before = ["one", "twenty", "two", "three", "fourteen", "five"];
        check(vec![third, first], &before);
    }

    #[test]
    fn a_region_without_words_goes_where_it_stands_and_a_poor_one_changes_nothing() {
        let between = (region(225, &[]), vec![word("between", 0.95, 225, 0)]);
        let last = (region(400, &[]), vec![word("last", 0.95, 400, 0)]);
        let poor = (region(100, &[0]), vec![word("0ne", 0.3, 100, 0)]);
        check(vec![poor, last, between], &["one", "tw", "three", "between", "fo", "five", "last"]);
    }

    #[test]
    fn a_word_that_stands_there_already_is_not_put_in_twice() {
        let touching = (region(125, &[]), vec![word("one", 0.95, 100, 0), word("inserted", 0.95, 125, 1)]);
        check(vec![touching], &["one", "inserted", "tw", "three", "fo", "five"]);
    }

    #[test]
    fn a_word_that_two_regions_hold_is_put_in_once() {
        let first = (region(150, &[1]), vec![word("twenty", 0.9, 150, 0), word("between", 0.9, 175, 1)]);
        let second = (region(200, &[2]), vec![word("between", 0.9, 175, 0), word("thirty", 0.9, 200, 1)]);
        check(vec![first, second], &["one", "twenty", "between", "thirty", "fo", "five"]);
    }

    #[test]
    fn a_word_is_replaced_once() {
        let first = (region(150, &[1]), vec![word("twenty", 0.9, 150, 0)]);
        let again = (region(150, &[1, 2]), vec![word("twentythree", 0.9, 150, 0)]);
        check(vec![first, again], &["one", "twenty", "three", "fo", "five"]);
    }
}
