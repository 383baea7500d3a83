//! Which way up lines of letters stand.
//!
//! Four witnesses, each of which looks at something else, and each of which says the opposite of a page that
//! is upside down:
//!
//! * letters that reach above their neighbours (`b d f h k l t` and capitals) outnumber those that reach below
//!   (`g j p q y`) in every language of Latin script;
//! * dots hang over letters (`i j` and accents) or stand on the line (`.`);
//! * nearly all letters stand on the line, while their upper edges lie at two heights: lower edges fall into
//!   sharper lines than upper ones;
//! * lines of one paragraph begin at one edge, and end where the words end.
//!
//! What holds for Latin script holds for much of Greek and Cyrillic, and for no other script.

use super::ink::{Ink, Mark};
use super::skew::Lines;

/// With fewer marks than this there is no telling.
const LETTERS_MIN: usize = 30;
/// So many of the marks may stand apart from the text, at either side of it.
const STRAY_SHARE: f32 = 0.01;
/// Letters on each side of one, in its line, that it is compared with.
const NEIGHBOURS: usize = 6;

/// What the witnesses say. Above zero a page looks upright, below it looks upside down.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Upness {
    /// Letters that reach up against letters that reach down, in standard deviations.
    reach: f32,
    /// Dots over letters and on the line against dots under letters, in standard deviations.
    dots: f32,
    /// The sharpness of lower against that of upper edges: the logarithm of their ratio.
    edges: f32,
    /// Lines that begin together against lines that end together, in standard deviations.
    margins: f32,
}

impl Upness {
    /// All witnesses together: beyond 1 it is likely, beyond 2 it would be strange otherwise, beyond 4 it is sure.
    /// No witness can say so much that all others together could not outweigh it.
    pub(super) fn sum(self) -> f32 {
        self.weights().iter().sum()
    }

    /// How many witnesses take the side of the sum, each by itself.
    pub(super) fn agreeing(self) -> usize {
        let side = self.sum().signum();
        self.weights().iter().filter(|weight| **weight * side >= 0.5).count()
    }

    fn weights(self) -> [f32; 4] {
        [
            0.5 * self.reach.clamp(-8.0, 8.0),
            0.5 * self.dots.clamp(-8.0, 8.0),
            15.0 * self.edges.clamp(-0.3, 0.3),
            0.5 * self.margins.clamp(-4.0, 4.0),
        ]
    }
}

/// Whether there are enough letters on a page for anyone to tell which way it lies.
pub(super) fn is_enough(ink: &Ink) -> bool {
    ink.text_like().nth(LETTERS_MIN).is_some()
}

/// Looks at a page as it lies, or as if it had been turned a quarter clockwise.
pub(super) fn upness(ink: &Ink, on_its_side: bool, lines: Lines) -> Upness {
    let slope = lines.skew_deg.to_radians().tan();
    let place = |mark: &Mark| Letter::of(mark, ink.height, on_its_side, slope);
    let mut letters: Vec<Letter> = ink.text_like().map(|(_, mark)| place(mark)).collect();
    // Few edges make sharp lines by chance.
    let weight = (letters.len() as f32 / LETTERS_MIN as f32).min(1.0);
    let edges =
        if lines.upper > 0.0 && lines.lower > 0.0 { weight * (lines.lower / lines.upper).ln() } else { 0.0 };
    if letters.len() < LETTERS_MIN {
        return Upness { edges, ..Upness::default() };
    }
    let middle = letters.len() / 2;
    letters.select_nth_unstable_by(middle, |a, b| a.height().total_cmp(&b.height()));
    let usual = letters[middle].height();
    letters.retain(|letter| (0.5..2.6).contains(&(letter.height() / usual)));
    letters.sort_by(|a, b| a.left.total_cmp(&b.left));
    let lines = in_lines(&letters, usual);
    let dots = Dots::of(ink.marks.iter().filter(|mark| mark.area >= 2).map(place), usual);
    Upness {
        reach: reach(&lines, usual),
        dots: dotted(&lines, &dots, usual),
        edges,
        margins: margins(&lines, usual),
    }
}

/// The part of the rows of a page, which may lie on its side, that go on behind a wide blank: those of receipts and
/// lists do, from the goods to the price, those of prose do not.
pub(super) fn gapped_share(ink: &Ink, on_its_side: bool, skew_deg: f32) -> f32 {
    let slope = skew_deg.to_radians().tan();
    let marks = ink.text_like().map(|(_, mark)| Letter::of(mark, ink.height, on_its_side, slope));
    let mut letters: Vec<Letter> = marks.collect();
    if letters.len() < LETTERS_MIN {
        return 0.0;
    }
    let middle = letters.len() / 2;
    letters.select_nth_unstable_by(middle, |a, b| a.height().total_cmp(&b.height()));
    let usual = letters[middle].height();
    letters.retain(|letter| (0.5..2.6).contains(&(letter.height() / usual)));
    letters.sort_by(|a, b| a.left.total_cmp(&b.left));
    let mut pieces = in_lines(&letters, usual);
    pieces.retain(|piece| piece.len() > 1);
    pieces.sort_by(|a, b| a[0].middle().total_cmp(&b[0].middle()));
    let goes_on = |piece: &Vec<Letter>| {
        let end = piece[piece.len() - 1];
        let first = pieces.partition_point(|other| other[0].middle() < end.middle() - usual * 0.6);
        let beside =
            pieces[first..].iter().take_while(|other| other[0].middle() < end.middle() + usual * 0.6);
        beside.filter(|other| other[0].left > end.right).count() > 0
    };
    let going_on = pieces.iter().filter(|piece| goes_on(piece)).count();
    going_on as f32 / (pieces.len() - going_on).max(1) as f32
}

/// From where to where text stands along its lines, in reduced pixels, but for what stands apart from nearly all of it: the
/// lines of a receipt on the glass of a scanner are as narrow as those of one that was scanned by itself.
pub(super) fn width(ink: &Ink, on_its_side: bool, skew_deg: f32) -> u32 {
    let slope = skew_deg.to_radians().tan();
    let marks = ink.text_like().map(|(_, mark)| Letter::of(mark, ink.height, on_its_side, slope));
    let (mut left, mut right): (Vec<f32>, Vec<f32>) = marks
        .map(|letter| {
            let shift = letter.middle() * slope;
            (letter.left + shift, letter.right + shift)
        })
        .unzip();
    let few = (left.len() as f32 * STRAY_SHARE) as usize;
    match left.len().checked_sub(1 + few) {
        None => 0,
        Some(most) => {
            let left = *left.select_nth_unstable_by(few, f32::total_cmp).1;
            (*right.select_nth_unstable_by(most, f32::total_cmp).1 - left).max(0.0) as u32
        }
    }
}

/// A mark with the page's skew taken out of its place.
#[derive(Clone, Copy, Debug)]
struct Letter {
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
}

impl Letter {
    fn of(mark: &Mark, page_height: u32, on_its_side: bool, slope: f32) -> Self {
        let [x0, x1, y0, y1] = [mark.x0, mark.x1, mark.y0, mark.y1].map(|edge| edge as f32);
        let height = page_height as f32;
        let (left, right, top, bottom) =
            if on_its_side { (height - y1, height - y0, x0, x1) } else { (x0, x1, y0, y1) };
        let rise = (left + right) / 2.0 * slope;
        Self { left, right, top: top - rise, bottom: bottom - rise }
    }

    fn height(&self) -> f32 {
        self.bottom - self.top
    }

    fn middle(&self) -> f32 {
        (self.top + self.bottom) / 2.0
    }
}

/// Joins letters, sorted from left to right, into lines.
fn in_lines(letters: &[Letter], usual: f32) -> Vec<Vec<Letter>> {
    let mut lines: Vec<Vec<Letter>> = Vec::new();
    let least = letters.iter().map(Letter::middle).fold(f32::MAX, f32::min);
    let most = letters.iter().map(Letter::middle).fold(f32::MIN, f32::max);
    let slot = |y: f32| ((y - least) / usual * 2.0) as usize;
    // For each half height of a letter, the line that was there last.
    let mut last: Vec<Option<usize>> = vec![None; slot(most) + 1];
    for letter in letters {
        let here = slot(letter.middle());
        let distance = |line: usize| {
            let end = lines[line].last()?;
            let (down, gap) = ((end.middle() - letter.middle()).abs(), letter.left - end.right);
            (down < usual * 0.6 && gap < usual * 3.0).then_some(down)
        };
        let near = last[here.saturating_sub(1)..=(here + 1).min(last.len() - 1)].iter().flatten();
        let nearest =
            near.filter_map(|line| Some((*line, distance(*line)?))).min_by(|a, b| a.1.total_cmp(&b.1));
        let line = nearest.map_or(lines.len(), |(line, _)| line);
        match lines.get_mut(line) {
            Some(line) => line.push(*letter),
            None => lines.push(vec![*letter]),
        }
        last[here] = Some(line);
    }
    lines
}

/// How many standard deviations `ups` outnumber `downs` by.
fn outnumber(ups: f32, downs: f32) -> f32 {
    if ups + downs < 1.0 { 0.0 } else { (ups - downs) / (ups + downs).sqrt() }
}

fn reach(lines: &[Vec<Letter>], usual: f32) -> f32 {
    let (mut up, mut down) = (0.0f32, 0.0f32);
    let (reaches, level) = (usual * 0.22, usual * 0.14);
    for line in lines.iter().filter(|line| line.len() > 3) {
        for (index, letter) in line.iter().enumerate() {
            let (top, bottom) = band(line, index);
            let (above, below) = (top - letter.top, letter.bottom - bottom);
            if above > reaches && below.abs() < level {
                up += 1.0;
            } else if below > reaches && above.abs() < level {
                down += 1.0;
            }
        }
    }
    if up + down < 20.0 { 0.0 } else { outnumber(up, down) }
}

/// The usual top and bottom of the letters around one in its line.
fn band(line: &[Letter], index: usize) -> (f32, f32) {
    let near = &line[index.saturating_sub(NEIGHBOURS)..line.len().min(index + NEIGHBOURS + 1)];
    (median(near, |letter| letter.top), median(near, |letter| letter.bottom))
}

fn median(letters: &[Letter], value: impl Fn(&Letter) -> f32) -> f32 {
    let mut values = [0.0; 2 * NEIGHBOURS + 1];
    let values = &mut values[..letters.len()];
    values.iter_mut().zip(letters).for_each(|(place, letter)| *place = value(letter));
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Small marks, by their height on the page and then from left to right.
struct Dots {
    slots: Vec<Vec<Letter>>,
    slot_height: f32,
    least: f32,
}

impl Dots {
    /// Picks the dots among the marks of a page whose letters have this usual height.
    fn of(marks: impl Iterator<Item = Letter>, usual: f32) -> Self {
        let small = |dot: &Letter| dot.height() < usual * 0.45 && dot.right - dot.left < usual * 0.6;
        let mut all: Vec<Letter> = marks.filter(small).collect();
        all.sort_by(|a, b| a.left.total_cmp(&b.left));
        let least = all.iter().map(Letter::middle).fold(f32::MAX, f32::min);
        let mut slots: Vec<Vec<Letter>> = Vec::new();
        for dot in all {
            let slot = ((dot.middle() - least) / usual) as usize;
            if slots.len() <= slot {
                slots.resize(slot + 1, Vec::new());
            }
            slots[slot].push(dot);
        }
        for slot in &mut slots {
            // A dotted rule is no row of letters' dots.
            let before = slot.clone();
            let mut index = 0usize;
            slot.retain(|dot| {
                let beside = |other: Option<&Letter>| {
                    other.is_some_and(|other| {
                        (other.left - dot.left).abs() < usual
                            && (other.middle() - dot.middle()).abs() < usual * 0.15
                    })
                };
                let (left, right) =
                    (index.checked_sub(1).and_then(|index| before.get(index)), before.get(index + 1));
                index += 1;
                !(beside(left) && beside(right))
            });
        }
        Self { slots, slot_height: usual, least }
    }

    /// The dots near this height.
    fn near(&self, middle: f32) -> impl Iterator<Item = &Vec<Letter>> {
        let slot = ((middle - self.least) / self.slot_height).max(0.0) as usize;
        self.slots.iter().skip(slot.saturating_sub(2)).take(5)
    }
}

fn dotted(lines: &[Vec<Letter>], dots: &Dots, usual: f32) -> f32 {
    let (mut up, mut down) = (0.0f32, 0.0f32);
    for line in lines.iter().filter(|line| line.len() > 3) {
        let (first, last) = (line[0].left, line[line.len() - 1].right + usual);
        for dots in dots.near(line[line.len() / 2].middle()) {
            let from = dots.partition_point(|dot| dot.left < first);
            let mut index = 0usize;
            for dot in dots[from..].iter().take_while(|dot| dot.left < last) {
                while index + 1 < line.len() && line[index + 1].left <= dot.left {
                    index += 1;
                }
                if (dot.middle() - line[index].middle()).abs() > usual * 1.5 {
                    continue;
                }
                let (top, bottom) = band(line, index);
                let height = bottom - top;
                let place = (dot.middle() - top) / height;
                let (apart_above, apart_below) =
                    (dot.bottom < top + height * 0.1, dot.top > bottom - height * 0.1);
                if (0.75..1.0).contains(&place) || (-0.75..-0.08).contains(&place) && apart_above {
                    up += 1.0;
                } else if (0.0..0.25).contains(&place) || (1.08..1.75).contains(&place) && apart_below {
                    down += 1.0;
                }
            }
        }
    }
    outnumber(up, down)
}

fn margins(lines: &[Vec<Letter>], usual: f32) -> f32 {
    let mut ends: Vec<(f32, f32, f32)> = lines
        .iter()
        .filter(|line| line.len() >= 12)
        .map(|line| (line[0].middle(), line[0].left, line[line.len() - 1].right))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut begin, mut end) = (0.0f32, 0.0f32);
    for pair in ends.windows(2) {
        let together = |a: f32, b: f32| (a - b).abs() < usual * 0.6;
        match (together(pair[0].1, pair[1].1), together(pair[0].2, pair[1].2)) {
            (true, false) => begin += 1.0,
            (false, true) => end += 1.0,
            _ => {}
        }
    }
    outnumber(begin, end)
}
