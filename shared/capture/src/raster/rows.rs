//! Rows of tables.
//!
//! Columns of prose are read one after the other, a table is read row by row: the amount belongs to its label. Layout
//! analysis cannot tell them apart by white space alone, and often reads a table without rules, a list of labels with
//! their values, or a bill, by columns. But the words are known by now, and they tell: prose fills its lines, cells are
//! short, and amounts are numbers.
//!
//! What stands side by side in one row of the page is gathered by the white band between it, from row to row, as far as
//! that goes down the page. Each such gutter is judged as a whole, and where it parts the cells of a table, the lines
//! beside it become one line. In doubt nothing is joined.

use platen_model::{Rect, Word};

use super::litter;

/// Lines stand in one row where they share this part of the height of the lower one.
const SHARED: f32 = 0.5;
/// A gutter is at least this wide, in heights of its lines. A blank between words is a third of that.
const GUTTER: f32 = 0.9;
/// And goes on where the next row is no more than this many heights below.
const NEXT_ROW: f32 = 4.0;
/// A value has at most so many words, and such a part of its letters and digits are digits.
const VALUE: (usize, f32) = (4, 0.5);
/// Such a part of one side must be values, or labels with a colon.
const MOST: f32 = 0.5;
/// Lines of prose have so many words on average...
const PROSE_WORDS: f32 = 4.5;
/// ...and leave this part of their column's width free, half of them less.
const RAGGED: f32 = 0.15;
/// Cells of text have at most so many words on average.
const CELL_WORDS: f32 = 3.5;
/// A table of text has three columns or more in at least so many rows.
const TEXT_TABLE_ROWS: usize = 3;

/// Joins the lines of a page that are rows of one table, where they run from left to right.
pub(super) fn join(words: &mut Vec<Word>) {
    // Hebrew, Arabic, Syriac and what is written like them.
    let is_leftward = |word: &&Word| word.text.contains(|letter| matches!(letter, '\u{590}'..='\u{8ff}'));
    if words.iter().filter(is_leftward).count() * 2 > words.len() {
        return;
    }
    let lines = Line::all(words);
    let order = Order::of(&lines, &gutters(&lines, &rows(&lines)));
    if order.is_as_read() {
        return;
    }
    let mut joined = Vec::with_capacity(words.len());
    for (number, mut row) in (0u32..).zip(order.rows()) {
        // All rows of a table are one block.
        let block = lines[order.table[order.row[row[0]]].unwrap_or(row[0])].block;
        row.sort_by_key(|&line| lines[line].rect.x);
        for line in row {
            joined.extend(words[lines[line].words.clone()].iter().map(|word| Word {
                line: number,
                block,
                ..word.clone()
            }));
        }
    }
    *words = joined;
    litter::number_lines(words);
}

/// A line as it was read.
#[derive(Debug)]
struct Line {
    /// Its words' places.
    words: std::ops::Range<usize>,
    rect: Rect,
    block: u32,
    is_value: bool,
    ends_with_colon: bool,
}

impl Line {
    fn all(words: &[Word]) -> Vec<Self> {
        let mut at = 0;
        let lines = words.chunk_by(|one, other| (one.line, one.block) == (other.line, other.block));
        let of = |words: &[Word]| {
            let from = at;
            at += words.len();
            let left = words.iter().map(|word| word.rect.x).min().unwrap_or(0);
            let top = words.iter().map(|word| word.rect.y).min().unwrap_or(0);
            let right = words.iter().map(|word| word.rect.x + word.rect.w).max().unwrap_or(0);
            let bottom = words.iter().map(|word| word.rect.y + word.rect.h).max().unwrap_or(0);
            Self {
                words: from..at,
                rect: Rect { x: left, y: top, w: right - left, h: bottom - top },
                block: words[0].block,
                is_value: is_value(words),
                ends_with_colon: words[words.len() - 1].text.ends_with(':'),
            }
        };
        lines.map(of).collect()
    }

    fn right(&self) -> u32 {
        self.rect.x + self.rect.w
    }

    fn bottom(&self) -> u32 {
        self.rect.y + self.rect.h
    }

    fn shares_row_with(&self, other: &Self) -> bool {
        let shared = self.bottom().min(other.bottom()).saturating_sub(self.rect.y.max(other.rect.y));
        shared as f32 > self.rect.h.min(other.rect.h) as f32 * SHARED
    }
}

/// Whether a line is an amount, a number or a date, with a unit or a currency at most.
fn is_value(words: &[Word]) -> bool {
    let characters = || words.iter().flat_map(|word| word.text.chars());
    let (digits, all) = (
        characters().filter(char::is_ascii_digit).count(),
        characters().filter(|c| c.is_alphanumeric()).count(),
    );
    words.len() <= VALUE.0 && digits > 0 && digits as f32 >= all as f32 * VALUE.1
}

/// The lines of each row of the page, from left to right; rows from top to bottom.
fn rows(lines: &[Line]) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..lines.len()).collect();
    places.sort_by_key(|&at| lines[at].rect.y + lines[at].rect.h / 2);
    let mut rows: Vec<Vec<usize>> = Vec::new();
    for at in places {
        let line = &lines[at];
        // What stands above or below another line of the row is in another row.
        let fits = |row: &&mut Vec<usize>| {
            row.iter().all(|&other| {
                let other = &lines[other];
                line.shares_row_with(other) && (line.right() <= other.rect.x || other.right() <= line.rect.x)
            })
        };
        match rows.iter_mut().rev().take(2).find(fits) {
            Some(row) => row.push(at),
            None => rows.push(vec![at]),
        }
    }
    for row in &mut rows {
        row.sort_by_key(|&at| lines[at].rect.x);
    }
    rows
}

/// A white band with lines at both sides of it, going down the page.
#[derive(Debug)]
struct Gutter {
    left: u32,
    right: u32,
    /// The lines beside it, row by row: to its left and to its right.
    pairs: Vec<(usize, usize)>,
}

/// Gathers what is side by side by the gutters between.
fn gutters(lines: &[Line], rows: &[Vec<usize>]) -> Vec<Gutter> {
    let mut gutters: Vec<Gutter> = Vec::new();
    for row in rows {
        for pair in row.windows(2) {
            let (left, right) = (&lines[pair[0]], &lines[pair[1]]);
            let height = left.rect.h.min(right.rect.h) as f32;
            let least = (height * GUTTER) as u32;
            let (from, to) = (left.right(), right.rect.x);
            if to < from + least {
                continue;
            }
            let common = |gutter: &Gutter| to.min(gutter.right).saturating_sub(from.max(gutter.left));
            let goes_on = |gutter: &&mut Gutter| {
                let last =
                    gutter.pairs.last().map_or(0, |pair| lines[pair.0].bottom().max(lines[pair.1].bottom()));
                let down = left.rect.y.min(right.rect.y).saturating_sub(last);
                common(gutter) >= least && down as f32 <= height * NEXT_ROW
            };
            match gutters.iter_mut().filter(goes_on).max_by_key(|gutter| common(gutter)) {
                Some(gutter) => {
                    (gutter.left, gutter.right) = (gutter.left.max(from), gutter.right.min(to));
                    gutter.pairs.push((pair[0], pair[1]));
                }
                None => gutters.push(Gutter { left: from, right: to, pairs: vec![(pair[0], pair[1])] }),
            }
        }
    }
    gutters
}

impl Gutter {
    /// Whether it parts the cells of a table, and no columns of prose.
    fn parts_cells(&self, lines: &[Line], all: &[Self]) -> bool {
        let left = Side::of(self.pairs.iter().map(|pair| &lines[pair.0]));
        let right = Side::of(self.pairs.iter().map(|pair| &lines[pair.1]));
        if left.is_prose || right.is_prose {
            return false;
        }
        let is_label = left.colons >= MOST || left.words <= PROSE_WORDS || self.pairs.len() > 1;
        let has_values = right.values >= MOST && is_label || left.values >= MOST && right.words <= CELL_WORDS;
        let is_named = left.colons >= MOST && right.words <= PROSE_WORDS;
        has_values || is_named || self.is_in_table_of_text(&left, &right, all)
    }

    /// Whether it parts blocks of short lines, as addresses are, which are read one after the other.
    fn parts_blocks(&self, lines: &[Line], all: &[Self]) -> bool {
        let side =
            |of: fn(&(usize, usize)) -> usize| Side::of(self.pairs.iter().map(|pair| &lines[of(pair)]));
        self.pairs.len() > 1
            && !self.parts_cells(lines, all)
            && side(|pair| pair.0).words <= CELL_WORDS
            && side(|pair| pair.1).words <= CELL_WORDS
    }

    /// Lines of a table's right-hand column that have nothing to their left, each with a line of the row above it.
    fn lone_cells(&self, lines: &[Line]) -> Vec<(usize, usize)> {
        let right = || self.pairs.iter().map(|pair| &lines[pair.1]);
        let (from, to) = (right().map(|line| line.rect.x).min(), right().map(Line::right).max());
        let (top, bottom) = (right().map(|line| line.rect.y).min(), right().map(Line::bottom).max());
        let (Some(from), Some(to), Some(top), Some(bottom)) = (from, to, top, bottom) else {
            return Vec::new();
        };
        let is_in_column = |line: &Line| line.rect.x >= self.right && line.rect.x < to && line.right() > from;
        let is_between = |line: &Line| line.rect.y > top && line.bottom() < bottom;
        let above = |line: &Line| self.pairs.iter().rev().find(|pair| lines[pair.1].rect.y < line.rect.y);
        let cells = lines.iter().enumerate().filter(|(_, line)| is_in_column(line) && is_between(line));
        let of_pairs = |at: &usize| self.pairs.iter().any(|pair| pair.1 == *at);
        cells.filter(|(at, _)| !of_pairs(at)).filter_map(|(at, line)| Some((at, above(line)?.0))).collect()
    }

    /// Whether its rows have further cells beside them, all of them short.
    fn is_in_table_of_text(&self, left: &Side, right: &Side, all: &[Self]) -> bool {
        let is_beside = |pair: &&(usize, usize)| {
            let others = all.iter().filter(|other| !std::ptr::eq(*other, self));
            others.flat_map(|other| &other.pairs).any(|other| other.0 == pair.1 || other.1 == pair.0)
        };
        left.words <= CELL_WORDS
            && right.words <= CELL_WORDS
            && self.pairs.iter().filter(is_beside).count() >= TEXT_TABLE_ROWS
    }
}

/// What stands at one side of a gutter.
#[derive(Debug)]
struct Side {
    /// Words of a line on average.
    words: f32,
    /// The part of the lines that are values.
    values: f32,
    /// The part that ends with a colon.
    colons: f32,
    /// Long lines that end, most of them, where their column ends.
    is_prose: bool,
}

impl Side {
    fn of<'l>(lines: impl Iterator<Item = &'l Line>) -> Self {
        let lines: Vec<&Line> = lines.collect();
        let count = lines.len().max(1) as f32;
        let share = |is: fn(&Line) -> bool| lines.iter().filter(|line| is(line)).count() as f32 / count;
        let words = lines.iter().map(|line| line.words.len()).sum::<usize>() as f32 / count;
        let left = lines.iter().map(|line| line.rect.x).min().unwrap_or(0);
        let right = lines.iter().map(|line| line.right()).max().unwrap_or(0);
        let mut free: Vec<u32> = lines.iter().map(|line| right - line.right()).collect();
        free.sort_unstable();
        let usual = free.get(free.len() / 2).copied().unwrap_or(0);
        let is_full = lines.len() > 2 && usual as f32 <= (right - left) as f32 * RAGGED;
        Self {
            words,
            values: share(|line| line.is_value),
            colons: share(|line| line.ends_with_colon),
            is_prose: words >= PROSE_WORDS && is_full,
        }
    }
}

/// In which order lines are read when the rows of tables are joined, and what stands side by side is read one by one.
struct Order {
    /// For each line the first one of its row, which may be itself.
    row: Vec<usize>,
    /// For first lines of rows: the row that they come behind, where that is not the one before.
    behind: Vec<Option<usize>>,
    /// For first lines of rows: the first row of their table, where they are in one.
    table: Vec<Option<usize>>,
}

impl Order {
    fn of(lines: &[Line], gutters: &[Gutter]) -> Self {
        let (row, none) = ((0..lines.len()).collect(), vec![None; lines.len()]);
        let mut order = Self { row, behind: none.clone(), table: none };
        let tables: Vec<&Gutter> =
            gutters.iter().filter(|gutter| gutter.parts_cells(lines, gutters)).collect();
        // From the left, so that each line is joined to the first of its row.
        let mut pairs: Vec<(usize, usize)> =
            tables.iter().flat_map(|table| table.pairs.iter().copied()).collect();
        pairs.sort_by_key(|pair| lines[pair.0].rect.x);
        for &(left, right) in &pairs {
            order.row[right] = order.row[left];
        }
        let mut behind = Vec::new();
        for table in &tables {
            let first = order.row[table.pairs[0].0];
            for pair in &table.pairs {
                order.table[order.row[pair.0]].get_or_insert(first);
            }
            behind.extend(table.lone_cells(lines));
        }
        for blocks in gutters.iter().filter(|gutter| gutter.parts_blocks(lines, gutters)) {
            let last = blocks.pairs[blocks.pairs.len() - 1].0;
            // What was read before the lines to its left stays there.
            behind.extend(blocks.pairs.iter().filter(|pair| pair.1 > last).map(|pair| (pair.1, last)));
        }
        behind.retain(|&(line, _)| order.row[line] == line);
        for &(line, to) in &behind {
            let to = order.row[to];
            // Only behind what keeps its place itself.
            if to != line && !behind.iter().any(|other| other.0 == to) {
                order.behind[line] = Some(to);
                order.table[line] = order.table[line].or(order.table[to]);
            }
        }
        order
    }

    /// Whether every line stays where it was read.
    fn is_as_read(&self) -> bool {
        self.row.iter().enumerate().all(|(at, &row)| at == row) && self.behind.iter().all(Option::is_none)
    }

    /// The rows as they are read, each with its lines.
    fn rows(&self) -> Vec<Vec<usize>> {
        let mut parts: Vec<Vec<usize>> = vec![Vec::new(); self.row.len()];
        for (at, &row) in self.row.iter().enumerate() {
            parts[row].push(at);
        }
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); self.row.len()];
        for (at, to) in self.behind.iter().enumerate() {
            if let Some(to) = to {
                below[*to].push(at);
            }
        }
        let keeps_place = |at: &usize| self.row[*at] == *at && self.behind[*at].is_none();
        let places = (0..self.row.len()).filter(keeps_place);
        places.flat_map(|at| [vec![at], below[at].clone()].concat()).map(|at| parts[at].clone()).collect()
    }
}

#[cfg(test)]
mod tests;
