//! The boxes to tick that are drawn on a page, and whether there is a mark in each.
//!
//! A box is a frame: two level strokes of one length, one above the other, as far apart as they are long, whose ends are
//! joined by upright strokes. It is looked for within single marks of the page ([`ink`](super::ink)), which are joined
//! pieces of ink: a tick that crosses its frame makes the mark larger and leaves the frame what it is. What looks like a
//! frame and is no box to tick falls out: round letters have no corners, the cells of a table hang together in one
//! large mark, the finders of a bar code stand around a black block, boxes for single characters stand close together in
//! a row, and a digit in a box is the number of something. A box that somebody blackened has no frame any more; it counts
//! where the page has others of its size.

pub(super) mod paint;

use platen_model::{Barcode, CheckBox, Rect, Word};

use super::ink::{Ink, Mark, Run};

/// The least side of a box on the reduced copy: letters whose corners blur look like smaller ones.
const SIDE_MIN: u32 = 14;
/// A box is at least so many times as high as the capitals of the page, for the same reason.
const CAPITALS: f32 = 1.1;
/// The least side where there is too little text to say how high that is: three millimetres on office paper.
const SIDE_MIN_ALONE: u32 = 20;
/// The greatest side: nine millimetres.
const SIDE_MAX: u32 = 60;
/// A mark may be larger than its box by this, for the strokes of a tick.
const TICK_REACH: u32 = 2;
/// The width of a box as a part of its height, at least and at most.
const ASPECT: std::ops::RangeInclusive<f32> = 0.72..=1.4;
/// The part of an upright side that must be ink.
const SIDE_DRAWN: f32 = 0.9;
/// The part of a blackened box that is ink.
const BLACK: f32 = 0.8;
/// How certainly a blackened box is ticked: a few forms have people blacken what does not hold.
const BLACK_CONFIDENCE: f32 = 0.7;
/// How thick the strokes of a frame may be, as a part of its side.
const STROKE_MAX: f32 = 0.16;
/// Pieces of a level stroke are at least so long: the stroke of a page that leans a little is stairs.
const PIECE_MIN: u32 = 5;
/// Each step of such stairs that counts is at least so long, and this part of the mark's width.
const LONG_MIN: u32 = 8;
const LONG_PART: u32 = 4;
/// A mark with more rows of long strokes is no frame: it is black, or a picture. A broad pen leaves two in every row.
const BARS_MAX: usize = 160;
/// The part of a row that a level stroke covers; and that its last rows cover where it leans a little.
const COVERED: f32 = 0.8;
const COVERED_IN_PART: f32 = 0.6;
/// Smaller marks inside a box are dust.
const DUST_PX: u32 = 4;
/// The part of a box's inside that is ink in a box of which it cannot be told whether there is a mark in it.
const DOUBTFUL: f32 = 0.03;
/// How far from that it must be for certainty, as a factor.
const CERTAIN: f32 = 2.5;
/// Boxes of one size with less between them than this part of their side are places for single characters.
const COMB_GAP: f32 = 0.5;
/// So many of them in a row.
const COMB_MIN: usize = 3;
/// Words that are read in a box with this confidence are what stands in it.
const READ: f32 = 0.8;

/// The boxes on a page whose lines of text are level, in the page's pixels, from top to bottom.
pub(super) fn find(ink: &Ink) -> Vec<CheckBox> {
    let capitals = ink.capital_height_px(false).map(|height| height / ink.reduction as f32 * CAPITALS);
    let side_min = capitals.map_or(SIDE_MIN_ALONE, |side| SIDE_MIN.max(side.round() as u32));
    let candidates = candidates(ink, side_min);
    let frames = candidates.iter().filter_map(|candidate| frame(&candidate.mark, &candidate.runs, side_min));
    let mut frames: Vec<Frame> = frames.collect();
    drop_combs(&mut frames);
    frames.retain(|frame| !holds_block(ink, frame));
    let mut found: Vec<CheckBox> = frames.iter().map(|frame| check_box(ink, frame)).collect();
    found.extend(blackened(ink, &candidates, &frames));
    found.sort_unstable_by_key(|found| (found.rect.y, found.rect.x));
    found
}

/// Takes out what bar codes and words show to be something else.
pub(super) fn drop_others(boxes: &mut Vec<CheckBox>, barcodes: &[Barcode], words: &[Word]) {
    let is_in = |rect: &Rect, at: (u32, u32)| {
        (rect.x..rect.x + rect.w).contains(&at.0) && (rect.y..rect.y + rect.h).contains(&at.1)
    };
    boxes.retain(|found| {
        let middle = (found.rect.x + found.rect.w / 2, found.rect.y + found.rect.h / 2);
        let in_code = barcodes.iter().any(|code| is_in(&code.rect, middle));
        let inside = words.iter().filter(|word| word.confidence >= READ && is_in(&word.rect, middle));
        !in_code && !inside.into_iter().any(|word| is_number_or_ideograph(&word.text))
    });
}

/// A number in a box is the box's number, and a character of a script that has square ones is no box.
fn is_number_or_ideograph(text: &str) -> bool {
    let letters = || text.chars().filter(|c| c.is_alphanumeric());
    // A lone nought is what recognisers make of an empty box.
    let number = letters().all(|c| c.is_ascii_digit()) && letters().any(|c| c != '0');
    number
        || letters()
            .any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'))
}

/// A mark that may be a box, with its runs from top to bottom.
struct Candidate {
    mark: Mark,
    runs: Vec<Run>,
}

/// Marks of the right size with a level stroke that is long for it.
fn candidates(ink: &Ink, side_min: u32) -> Vec<Candidate> {
    let mut longest = vec![0; ink.marks.len()];
    for run in &ink.runs {
        let length = &mut longest[run.mark as usize];
        *length = (run.x1 - run.x0).max(*length);
    }
    let mut place = vec![usize::MAX; ink.marks.len()];
    let mut found = Vec::new();
    for (number, mark) in ink.marks.iter().enumerate() {
        let (width, height) = (mark.width(), mark.height());
        let fits = width.min(height) >= side_min && width.max(height) <= SIDE_MAX * TICK_REACH;
        // The four sides of a frame have more ink than this.
        let drawn = mark.area >= 3 * side_min && longest[number] >= side_min / 2;
        if fits && drawn {
            place[number] = found.len();
            found.push(Candidate { mark: *mark, runs: Vec::new() });
        }
    }
    for run in &ink.runs {
        if let Some(candidate) = found.get_mut(place[run.mark as usize]) {
            candidate.runs.push(*run);
        }
    }
    found
}

/// One row of a level stroke.
#[derive(Clone, Copy, Debug)]
struct Bar {
    row: u32,
    left: u32,
    /// Behind its last column.
    right: u32,
}

/// A frame on the reduced copy, with the thickness of its strokes.
#[derive(Clone, Copy, Debug)]
struct Frame {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
    stroke: u32,
}

impl Frame {
    fn width(&self) -> u32 {
        self.right - self.left
    }

    fn height(&self) -> u32 {
        self.bottom - self.top
    }
}

/// The largest frame in a mark.
fn frame(mark: &Mark, runs: &[Run], side_min: u32) -> Option<Frame> {
    let rows = Rows::of(mark, runs);
    let bars = rows.bars(LONG_MIN.max(mark.width() / LONG_PART));
    if bars.len() > BARS_MAX {
        return None;
    }
    let pairs = bars.iter().enumerate().flat_map(|(place, upper)| {
        bars[place + 1..].iter().filter_map(|lower| rows.between(upper, lower, side_min))
    });
    pairs.filter(|frame| rows.are_drawn(frame)).max_by_key(|frame| frame.width() * frame.height())
}

/// The runs of one mark, row by row.
struct Rows<'r> {
    top: u32,
    rows: Vec<&'r [Run]>,
}

impl<'r> Rows<'r> {
    fn of(mark: &Mark, runs: &'r [Run]) -> Self {
        // Joined pieces have runs on every row between their first and their last.
        Self { top: mark.y0, rows: runs.chunk_by(|a, b| a.y == b.y).collect() }
    }

    fn row(&self, y: u32) -> &'r [Run] {
        y.checked_sub(self.top).and_then(|place| self.rows.get(place as usize).copied()).unwrap_or_default()
    }

    /// The long runs, each with what it goes on with on the rows beside it: a stroke that leans a little ends in stairs,
    /// above and below.
    fn bars(&self, long_min: u32) -> Vec<Bar> {
        let long = self.rows.iter().flat_map(|row| row.iter()).filter(|run| run.x1 - run.x0 >= long_min);
        let bar = |run: &Run| {
            let beside = self.row(run.y.wrapping_sub(1)).iter().chain(self.row(run.y + 1));
            let beside = beside
                .filter(|other| other.x1 - other.x0 >= PIECE_MIN && other.x0 <= run.x1 && run.x0 <= other.x1);
            beside.fold(Bar { row: run.y, left: run.x0, right: run.x1 }, |bar, other| Bar {
                left: bar.left.min(other.x0),
                right: bar.right.max(other.x1),
                ..bar
            })
        };
        long.map(bar).collect()
    }

    /// The frame that two strokes may be the upper and the lower side of.
    fn between(&self, upper: &Bar, lower: &Bar, side_min: u32) -> Option<Frame> {
        let (left, right) = (upper.left.max(lower.left), upper.right.min(lower.right));
        let (top, bottom) = (upper.row, lower.row + 1);
        let (width, height) = (right.checked_sub(left)?, bottom.checked_sub(top)?);
        let sizes = side_min..=SIDE_MAX;
        // A tick that ends on a side makes it longer by some pixels.
        let overhang = (upper.right.max(lower.right) - right).max(left - upper.left.min(lower.left));
        let fits = sizes.contains(&width)
            && sizes.contains(&height)
            && ASPECT.contains(&(width as f32 / height as f32))
            && overhang <= (width / 4).max(2);
        if !fits {
            return None;
        }
        // The upright strokes are no part of it.
        let beside = (width as f32 * STROKE_MAX) as u32 + 1;
        let (from, to) = (left + beside, right - beside);
        let covers = |row: u32, share: f32| {
            let within = self.row(row).iter().map(|run| run.x1.min(to).saturating_sub(run.x0.max(from)));
            within.sum::<u32>() as f32 >= (to - from) as f32 * share
        };
        // Only the outer edges of thick strokes tell how thick they are.
        if covers(top.wrapping_sub(1), COVERED) || covers(bottom, COVERED) {
            return None;
        }
        let thickness = |rows: &mut dyn Iterator<Item = u32>| {
            rows.take_while(|row| covers(*row, COVERED_IN_PART)).count().max(1) as u32
        };
        // A tick may begin on one of them.
        let stroke = thickness(&mut (top..bottom)).min(thickness(&mut (top..bottom).rev()));
        let is_thin = stroke as f32 <= width as f32 * STROKE_MAX + 1.0;
        is_thin.then_some(Frame { left, top, right, bottom, stroke })
    }

    /// Whether upright strokes join the ends of the level ones, corners included, and leave room between.
    fn are_drawn(&self, frame: &Frame) -> bool {
        let reach = (frame.width() / 16).max(1);
        let has_ink =
            |row: u32, from: u32, to: u32| self.row(row).iter().any(|run| run.x0 < to && from < run.x1);
        let drawn = |from: u32, to: u32| {
            let rows = (frame.top..frame.bottom).filter(|row| has_ink(*row, from, to)).count();
            rows as f32 >= frame.height() as f32 * SIDE_DRAWN
        };
        drawn(frame.left.saturating_sub(reach), frame.left + 1 + reach)
            && drawn((frame.right - 1).saturating_sub(reach), frame.right + reach)
            && self.is_hollow(frame)
    }

    /// Whether the rows beside the level strokes are paper for the most part: letters have no such room, and what is black
    /// throughout has none.
    fn is_hollow(&self, frame: &Frame) -> bool {
        let inset = frame.stroke + 1 + frame.width() / 16;
        let (left, right) = (frame.left + inset, frame.right.saturating_sub(inset));
        let (top, bottom) = (frame.top + inset, frame.bottom.saturating_sub(inset));
        if left + 3 >= right || top + 3 >= bottom {
            return false;
        }
        let beside = self.row(top).iter().chain(self.row(bottom - 1));
        let covered: u32 = beside.map(|run| run.x1.min(right).saturating_sub(run.x0.max(left))).sum();
        covered * 3 <= (right - left) * 4
    }
}

/// Takes out boxes of one size that stand close together in a row: each is for one character.
fn drop_combs(frames: &mut Vec<Frame>) {
    frames.sort_unstable_by_key(|frame| frame.left);
    let mut row_of: Vec<usize> = (0..frames.len()).collect();
    for here in 0..frames.len() {
        let frame = frames[here];
        let next = (here + 1..frames.len()).find(|&other| {
            let next = frames[other];
            let gap = next.left.saturating_sub(frame.right) as f32;
            next.left >= frame.right.saturating_sub(2)
                && gap <= frame.width() as f32 * COMB_GAP
                && next.top.abs_diff(frame.top) <= frame.height() / 4
                && next.height().abs_diff(frame.height()) <= frame.height() / 4
        });
        if let Some(next) = next {
            row_of[next] = row_of[here];
        }
    }
    let size = |row: usize| row_of.iter().filter(|other| **other == row).count();
    let in_comb: Vec<bool> = row_of.iter().map(|row| size(*row) >= COMB_MIN).collect();
    let mut places = in_comb.iter();
    frames.retain(|_| !places.next().copied().unwrap_or_default());
}

/// Whether a black block stands in the middle of a frame: the finder of a bar code looks so.
fn holds_block(ink: &Ink, frame: &Frame) -> bool {
    let is_block = |mark: &&Mark| {
        let (width, height) = (mark.width() as f32, mark.height() as f32);
        let part = 0.3..0.56;
        let middle = |from: u32, to: u32| (from + to) as f32 / 2.0;
        let near = |one: f32, other: f32| (one - other).abs() <= frame.width() as f32 / 10.0;
        mark.area as f32 >= width * height * BLACK
            && part.contains(&(width / frame.width() as f32))
            && part.contains(&(height / frame.height() as f32))
            && near(middle(mark.x0, mark.x1), middle(frame.left, frame.right))
            && near(middle(mark.y0, mark.y1), middle(frame.top, frame.bottom))
    };
    ink.marks.iter().any(|mark| is_block(&mark))
}

/// Black blocks of the size of the frames on the page.
fn blackened(ink: &Ink, candidates: &[Candidate], frames: &[Frame]) -> Vec<CheckBox> {
    let is_block = |mark: &Mark| {
        let (width, height) = (mark.width(), mark.height());
        let alike = |frame: &Frame| {
            let near = |one: u32, other: u32| one.abs_diff(other) * 4 <= other;
            near(width, frame.width()) && near(height, frame.height())
        };
        let is_black = mark.area as f32 >= (width * height) as f32 * BLACK;
        is_black && frames.iter().any(alike)
    };
    let blocks = candidates.iter().map(|candidate| &candidate.mark).filter(|mark| is_block(mark));
    let ticked = |mark: &Mark| CheckBox {
        ticked: true,
        confidence: BLACK_CONFIDENCE,
        rect: on_page(ink, mark.x0, mark.y0, mark.width(), mark.height()),
    };
    blocks.map(ticked).collect()
}

/// A box on the reduced copy, in the page's pixels.
fn on_page(ink: &Ink, left: u32, top: u32, width: u32, height: u32) -> Rect {
    let by = ink.reduction;
    Rect { x: left * by, y: top * by, w: width * by, h: height * by }
}

/// Judges what is in a frame.
fn check_box(ink: &Ink, frame: &Frame) -> CheckBox {
    let inset = frame.stroke + 2 + frame.width().min(frame.height()) / 12;
    let (left, right) = (frame.left + inset, (frame.right - inset).max(frame.left + inset + 1));
    let (top, bottom) = (frame.top + inset, (frame.bottom - inset).max(frame.top + inset + 1));
    let begin = ink.runs.partition_point(|run| run.y < top);
    let inside: u32 = ink.runs[begin..]
        .iter()
        .take_while(|run| run.y < bottom)
        .filter(|run| ink.marks[run.mark as usize].area >= DUST_PX)
        .map(|run| run.x1.min(right).saturating_sub(run.x0.max(left)))
        .sum();
    let share = inside as f32 / ((right - left) * (bottom - top)) as f32;
    let ticked = share >= DOUBTFUL;
    let distance = if ticked { share / DOUBTFUL } else { DOUBTFUL / share.max(f32::MIN_POSITIVE) };
    let confidence = 0.5 + 0.47 * ((distance - 1.0) / (CERTAIN - 1.0)).clamp(0.0, 1.0);
    let rect = on_page(ink, frame.left, frame.top, frame.width(), frame.height());
    CheckBox { ticked, confidence, rect }
}

#[cfg(test)]
mod tests;
