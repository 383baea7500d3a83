//! The marks on a page: connected pieces of ink, on a reduced black and white copy.
//!
//! Everything that is measured about a page (which way it lies, how crooked it is, whether it is blank, how
//! large its text is) is measured on these marks, never on the page's own pixels. The threshold is local, so
//! that shadows, tinted paper and the inside of photographs and scanner borders leave no ink.

use std::borrow::Cow;

use image::GrayImage;

/// The longer side of the reduced copy is about this many pixels: 150 to 200 dots an inch for office paper.
const LONG_SIDE_PX: u32 = 1_700;
/// Ink is darker than this part of its neighbourhood's mean.
const DARKER_THAN_MEAN: f32 = 0.86;
/// And by so many levels: a black border has grain, of which a level or two is much of its mean.
const DARKER_LEVELS: f32 = 8.0;
/// Half the side of the neighbourhood, as a part of the longer side.
const NEIGHBOURHOOD: u32 = 48;
/// The most pixels that a neighbourhood reaches to each side: its columns' sums fit 16 bits.
const NEIGHBOURHOOD_MAX_PX: usize = 120;
/// The most by which a page is reduced: the sums of this many samples fit 16 bits.
const REDUCTION_MAX: u32 = 256;
/// A page is no longer than this many times its width, as far as sizes go by its longer side. What is longer is a strip,
/// a till receipt a metre long, and its letters are those of a short one.
const STRIP: u32 = 4;
/// Marks of fewer pixels are dust.
const DUST_PX: u32 = 5;

/// A horizontal run of ink: row, first column, the column behind the last, and its mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) y: u32,
    pub(super) x0: u32,
    pub(super) x1: u32,
    pub(super) mark: u32,
}

/// One connected piece of ink, by its box in reduced pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) x0: u32,
    pub(super) y0: u32,
    /// Behind the last column.
    pub(super) x1: u32,
    /// Behind the last row.
    pub(super) y1: u32,
    /// Pixels of ink.
    pub(super) area: u32,
}

impl Mark {
    pub(super) fn width(&self) -> u32 {
        self.x1 - self.x0
    }

    pub(super) fn height(&self) -> u32 {
        self.y1 - self.y0
    }
}

/// The marks of a page.
#[derive(Clone, Debug)]
pub(super) struct Ink {
    /// Width of the reduced copy.
    pub(super) width: u32,
    /// Height of the reduced copy.
    pub(super) height: u32,
    /// Page pixels for each reduced pixel.
    pub(super) reduction: u32,
    pub(super) runs: Vec<Run>,
    pub(super) marks: Vec<Mark>,
}

impl Ink {
    /// Finds the marks of a page.
    pub(super) fn of(page: &GrayImage) -> Self {
        let most = page.width().min(page.height()).clamp(1, REDUCTION_MAX);
        let long = f64::from(long_side(page.dimensions()));
        let reduction = ((long / f64::from(LONG_SIDE_PX)).round() as u32).clamp(1, most);
        let reduced = reduced(page, reduction);
        let runs = runs(&reduced);
        let (runs, marks) = connected(runs);
        let (width, height) = reduced.dimensions();
        Self { width, height, reduction, runs, marks }
    }

    /// The longer side of the reduced copy, of a strip so much of it as a page would have.
    pub(super) fn long_side(&self) -> u32 {
        long_side((self.width, self.height))
    }

    /// Marks that may be characters or words: neither dust nor rules, pictures or borders.
    pub(super) fn text_like(&self) -> impl Iterator<Item = (usize, &Mark)> {
        let long = self.long_side();
        let (tallest, widest) = (long / 18, long / 7);
        self.marks.iter().enumerate().filter(move |(_, mark)| {
            let (width, height) = (mark.width(), mark.height());
            mark.area >= DUST_PX
                && width.min(height) >= 2
                && width.max(height) >= 5
                && width.max(height) <= widest
                && width.min(height) <= tallest
                // Characters fill a good part of their box; the frame of a table does not.
                && mark.area * 12 >= width * height
        })
    }

    /// The typical height of a character in page pixels, where there are enough to say.
    pub(super) fn character_height_px(&self, lines_are_vertical: bool) -> Option<f32> {
        let height = |mark: &Mark| if lines_are_vertical { mark.width() } else { mark.height() };
        let mut heights: Vec<(u32, u64)> =
            self.text_like().map(|(_, mark)| (height(mark), u64::from(mark.area))).collect();
        if heights.len() < 20 {
            return None;
        }
        // Weighed by ink: specks are many, but they are small.
        heights.sort_unstable();
        let half = heights.iter().map(|(_, area)| area).sum::<u64>() / 2;
        let mut seen = 0;
        let usual = heights.iter().find(|(_, area)| {
            seen += area;
            seen > half
        });
        usual.map(|(height, _)| (height * self.reduction) as f32)
    }

    /// The height of capitals and of letters with ascenders in page pixels, where there are enough characters to
    /// say: what four of five characters do not pass.
    pub(super) fn capital_height_px(&self, lines_are_vertical: bool) -> Option<f32> {
        let usual = self.character_height_px(lines_are_vertical)? / self.reduction as f32;
        let height = |mark: &Mark| if lines_are_vertical { mark.width() } else { mark.height() };
        let mut heights: Vec<u32> = self
            .text_like()
            .map(|(_, mark)| height(mark))
            .filter(|height| (0.5..2.2).contains(&(*height as f32 / usual)))
            .collect();
        heights.sort_unstable();
        heights.get(heights.len() * 4 / 5).map(|height| (height * self.reduction) as f32)
    }
}

/// The longer side of a page of this width and height; of a strip so much of it as a page would have.
pub(super) fn long_side((width, height): (u32, u32)) -> u32 {
    width.max(height).min(width.min(height).saturating_mul(STRIP))
}

/// The page in smaller: each pixel the mean of a square.
pub(super) fn reduced(page: &GrayImage, by: u32) -> Cow<'_, GrayImage> {
    let by = by as usize;
    Cow::Owned(match by {
        0 | 1 => return Cow::Borrowed(page),
        2 => reduced_by::<2>(page),
        3 => reduced_by::<3>(page),
        4 => reduced_by::<4>(page),
        _ => means(page, by, |sums, row| {
            row.extend(sums.chunks_exact(by).map(|square| mean(square, by)));
        }),
    })
}

/// The usual reductions, with their side known to the compiler, which makes them several times as fast.
fn reduced_by<const BY: usize>(page: &GrayImage) -> GrayImage {
    means(page, BY, |sums, row| row.extend(sums.as_chunks::<BY>().0.iter().map(|square| mean(square, BY))))
}

/// Adds up `by` rows at a time, and lets `finish` make a row of means out of the columns' sums.
fn means(page: &GrayImage, by: usize, finish: impl Fn(&[u16], &mut Vec<u8>)) -> GrayImage {
    let (width, height) = (page.width() as usize, page.height() as usize);
    let (small_width, small_height) = (width / by, height / by);
    let mut small = Vec::with_capacity(small_width * small_height);
    let mut sums = vec![0u16; small_width * by];
    for rows in page.as_raw().chunks_exact(width * by) {
        sums.fill(0);
        for row in rows.chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, &sample)| *sum += u16::from(sample));
        }
        finish(&sums, &mut small);
    }
    GrayImage::from_raw(small_width as u32, small_height as u32, small)
        .expect("one sample for each pixel was made")
}

/// The mean of a square of `by` by `by` pixels whose columns have these sums.
fn mean(columns: &[u16], by: usize) -> u8 {
    (columns.iter().map(|&sum| u32::from(sum)).sum::<u32>() / (by * by) as u32) as u8
}

/// The runs of pixels that are darker than their neighbourhood.
///
/// Bright rows are passed over: nothing in them can be darker than [`DARKER_THAN_MEAN`] of white.
fn runs(page: &GrayImage) -> Vec<Run> {
    let (width, height) = (page.width() as usize, page.height() as usize);
    let reach = (long_side(page.dimensions()) / NEIGHBOURHOOD) as usize;
    let reach = reach.clamp(8, NEIGHBOURHOOD_MAX_PX);
    let row = |y: usize| &page.as_raw()[y * width..][..width];
    let mut runs = Vec::new();
    // Sums of the columns over the rows in reach, kept up to date from row to row.
    let mut columns = vec![0u16; width];
    let (mut first, mut behind) = (0, 0);
    // `prefix[x]` is the sum of all columns before `x - reach`, so that no window needs its ends checked. In a very long
    // row it wraps around; the difference of two is right all the same.
    let mut prefix = vec![0u32; width + 2 * reach + 1];
    let in_reach = |x: usize| (x + reach + 1).min(width) - x.saturating_sub(reach);
    let counts: Vec<f32> = (0..width).map(|x| in_reach(x) as f32).collect();
    let mut is_ink = vec![0u8; width.next_multiple_of(8)];
    for y in 0..height {
        while behind < (y + reach + 1).min(height) {
            columns.iter_mut().zip(row(behind)).for_each(|(sum, &sample)| *sum += u16::from(sample));
            behind += 1;
        }
        while first + reach < y {
            columns.iter_mut().zip(row(first)).for_each(|(sum, &sample)| *sum -= u16::from(sample));
            first += 1;
        }
        let here = row(y);
        let darkest = here.iter().copied().fold(u8::MAX, u8::min);
        if f32::from(darkest) >= f32::from(u8::MAX) * DARKER_THAN_MEAN {
            continue;
        }
        let mut sum = 0u32;
        for (prefix, &column) in prefix[reach + 1..].iter_mut().zip(&columns) {
            sum = sum.wrapping_add(u32::from(column));
            *prefix = sum;
        }
        prefix[reach + 1 + width..].fill(sum);
        let rows_in_reach = (behind - first) as f32;
        let windows = prefix.iter().zip(&prefix[2 * reach + 1..]);
        for (((is_ink, &sample), &count), (left, right)) in
            is_ink.iter_mut().zip(here).zip(&counts).zip(windows)
        {
            // A window's sum fits 24 bits: signed numbers become floats in one instruction, unsigned ones do not.
            let window = right.wrapping_sub(*left).cast_signed();
            let sample = f32::from(sample);
            let least = (sample / DARKER_THAN_MEAN).max(sample + DARKER_LEVELS);
            *is_ink = u8::from(least * (count * rows_in_reach) < window as f32);
        }
        append_runs(&is_ink, y as u32, &mut runs);
    }
    runs
}

/// The stretches of ones in a row of zeros and ones, eight at a time: most of a page is of one colour.
pub(super) fn append_runs(is_ink: &[u8], y: u32, runs: &mut Vec<Run>) {
    let mut before = 0u64;
    let mut start = None;
    for (eighth, eight) in is_ink.as_chunks::<8>().0.iter().enumerate() {
        let eight = u64::from_le_bytes(*eight);
        let mut changes = eight ^ (eight << 8 | before);
        before = eight >> 56;
        while changes != 0 {
            let x = eighth as u32 * 8 + changes.trailing_zeros() / 8;
            changes &= changes - 1;
            match start.take() {
                None => start = Some(x),
                Some(x0) => runs.push(Run { y, x0, x1: x, mark: 0 }),
            }
        }
    }
    if let Some(x0) = start {
        runs.push(Run { y, x0, x1: is_ink.len() as u32, mark: 0 });
    }
}

/// Joins runs that touch, diagonals included, into marks.
pub(super) fn connected(mut runs: Vec<Run>) -> (Vec<Run>, Vec<Mark>) {
    let mut parents: Vec<u32> = (0..runs.len() as u32).collect();
    let mut above = 0;
    for here in 0..runs.len() {
        let run = runs[here];
        while runs[above].y + 1 < run.y || (runs[above].y + 1 == run.y && runs[above].x1 < run.x0) {
            above += 1;
        }
        let mut other = above;
        while other < here && runs[other].y + 1 == run.y && runs[other].x0 <= run.x1 {
            let (a, b) = (root(&mut parents, other as u32), root(&mut parents, here as u32));
            parents[a.max(b) as usize] = a.min(b);
            other += 1;
        }
    }
    let mut marks: Vec<Mark> = Vec::new();
    let mut number = vec![u32::MAX; runs.len()];
    for (here, run) in (0u32..).zip(&mut runs) {
        let root = root(&mut parents, here) as usize;
        if number[root] == u32::MAX {
            number[root] = marks.len() as u32;
            marks.push(Mark { x0: run.x0, y0: run.y, x1: run.x1, y1: run.y + 1, area: 0 });
        }
        run.mark = number[root];
        let mark = &mut marks[run.mark as usize];
        mark.x0 = mark.x0.min(run.x0);
        mark.x1 = mark.x1.max(run.x1);
        mark.y1 = run.y + 1;
        mark.area += run.x1 - run.x0;
    }
    (runs, marks)
}

fn root(parents: &mut [u32], mut node: u32) -> u32 {
    while parents[node as usize] != node {
        parents[node as usize] = parents[parents[node as usize] as usize];
        node = parents[node as usize];
    }
    node
}
