//! Pale print: rows of strokes that are too light to count as ink, and as sharp as print is.
//!
//! Gray letters, hard pencil and an old till receipt can be paler than a seventh of the paper, and are lost where a
//! page that bears nothing else is set aside. What else is as pale is told apart: the grain of paper by the page's own
//! noise, print that shines through from the back by its soft edges, flecks, folds and shadows by their standing
//! alone. This look takes as long as finding the marks of a page, so only a page that is blank otherwise gets it.

use image::GrayImage;

use super::{Inside, holes};
use crate::raster::ink::{self, Ink, Mark, Run};

/// Pale strokes are this much darker than what is around them, of 255...
const DEPTH_MIN: f32 = 8.0;
/// ...and so many standard deviations of the page's own noise.
const NOISES: f32 = 4.0;
/// Half the side of the neighbourhood in reduced pixels: 4 mm on A4.
const REACH: usize = 26;
/// Where the neighbourhood is darker than this part of the page, there is no paper to be written on.
const DARK: f32 = 0.5;
/// A row has at least so many strokes...
const STROKES_MIN: usize = 5;
/// ...of at least this height.
const HEIGHT_MIN: u32 = 5;
/// Heights of letters, in reduced pixels. A letter is 0.6 to 2 times as high as one of these.
const HEIGHTS: [f32; 5] = [7.0, 11.0, 18.0, 30.0, 50.0];
/// Strokes of one row are this near, as parts of that height: between their middles, and from one to the next.
const NEAR: (f32, f32) = (0.6, 2.5);
/// The steepest step of a row's edges is this part of their depth, on a copy whose longer side has so many pixels. On
/// finer copies it is less, as the root of that. Print has 0.47 and more, what shines through paper at most 0.44.
const SHARP: (f32, f32) = (0.44, 1_754.0);
/// The most that is asked of a coarse copy.
const SHARP_MAX: f32 = 0.47;
/// So much more is asked of a copy that was made smaller: what blurs a scan's edges is less of its pixels.
const REDUCED: f32 = 0.03;
/// A step is measured as steeper than it is: the steepest of several steps is taken, along strokes that stand out where
/// noise makes them darker. So much of it does not count: standard deviations of what noise leaves in its mean...
const LUCK: f32 = 2.0;
/// ...and levels of 255.
const STEP_ERROR: f32 = 0.2;
/// Of letters from this height on, in reduced pixels, so much more is asked: stains and folds are large.
const LARGE: (f32, f32) = (25.0, 0.03);
/// The edges of a row are so deep, of 255: of strokes that shine through, the darkest parts alone count as ink, and have
/// the steps of where they were cut off.
const EDGE_MIN: f32 = 10.0;
/// The depth of a row's edges stands out of what noise leaves in their mean by this factor.
const CERTAIN: f32 = 20.0;
/// Pixels to each side of an edge that are looked at.
const AROUND: usize = 4;
/// More strokes than this are a pattern of the paper.
const MARKS_MAX: usize = 30_000;

/// Whether there is a row of pale strokes on a page, reduced by this for its measures.
pub(super) fn has_print(page: &GrayImage, reduction: u32) -> bool {
    let small = ink::reduced(page, reduction);
    if (small.width().min(small.height()) as usize) < 2 * REACH {
        return false;
    }
    let (ink, noise) = strokes(&small, reduction);
    let inside = Inside::of(&ink);
    let may_be = |mark: &Mark| mark.width().max(mark.height()) >= HEIGHT_MIN && inside.holds(mark);
    let letters: Vec<(u32, Mark)> = ink
        .text_like()
        .filter(|(_, mark)| may_be(mark) && !holes::may_be(mark, &ink))
        .map(|(index, mark)| (index as u32, *mark))
        .collect();
    if !(STROKES_MIN..=MARKS_MAX).contains(&letters.len()) {
        return false;
    }
    let mut runs = ink.runs;
    runs.sort_unstable_by_key(|run| run.mark);
    let sharp = sharp(&small, reduction);
    let of_height = |down: bool, height: f32| {
        let sharp = if height < LARGE.0 { sharp } else { sharp + LARGE.1 };
        let rows = rows(&letters, height, down).into_iter().filter(|row| row.len() >= STROKES_MIN);
        rows.map(|row| Edges::of(&small, &runs, &row)).any(|edges| edges.are_sharp(sharp, noise))
    };
    [false, true].into_iter().any(|down| HEIGHTS.iter().any(|&height| of_height(down, height)))
}

/// How steep the steepest step of print is on this copy of a page at least, as a part of the depth of its edges.
pub(super) fn sharp(small: &GrayImage, reduction: u32) -> f32 {
    let finer = (SHARP.1 / ink::long_side(small.dimensions()) as f32).sqrt();
    (SHARP.0 * finer).min(SHARP_MAX) + if reduction > 1 { REDUCED } else { 0.0 }
}

/// The strokes that are darker than their neighbourhood by more than the page's noise, and that noise.
fn strokes(small: &GrayImage, reduction: u32) -> (Ink, f32) {
    let (width, height) = (small.width() as usize, small.height() as usize);
    // Nine samples together have a third of the noise that each has.
    let (sums, means) = (sums(small, 1), means(small, REACH));
    let depths: Vec<f32> = sums.iter().zip(&means).map(|(&sum, &mean)| mean - sum as f32 / 9.0).collect();
    let paper = means.iter().copied().fold(0.0, f32::max);
    let noise = noise(&depths);
    let least = (DEPTH_MIN * paper / 255.0).max(noise * NOISES);
    let mut runs = Vec::new();
    let mut is_ink = vec![0u8; width.next_multiple_of(8)];
    for y in 0..height {
        let row = y * width..(y + 1) * width;
        for ((is_ink, &depth), &mean) in is_ink.iter_mut().zip(&depths[row.clone()]).zip(&means[row]) {
            *is_ink = u8::from(depth > least && mean > paper * DARK);
        }
        ink::append_runs(&is_ink, y as u32, &mut runs);
    }
    let (runs, marks) = ink::connected(runs);
    (Ink { width: small.width(), height: small.height(), reduction, runs, marks }, noise * 3.0)
}

/// The standard deviation of most of the depths: strokes are few, and do not count.
fn noise(depths: &[f32]) -> f32 {
    const LEVELS: usize = 256;
    const PARTS: f32 = 8.0;
    let mut counts = [0u32; LEVELS];
    for depth in depths {
        counts[((depth.abs() * PARTS) as usize).min(LEVELS - 1)] += 1;
    }
    let half = depths.len() as u32 / 2;
    let mut seen = 0;
    let median = counts.iter().position(|count| {
        seen += count;
        seen > half
    });
    // Of a normal distribution half lies within 0.6745 standard deviations.
    median.unwrap_or(0) as f32 / PARTS / 0.6745
}

/// The mean of a square around each pixel; at the page's edge of the part of it that is on the page.
pub(super) fn means(page: &GrayImage, reach: usize) -> Vec<f32> {
    let (width, height) = (page.width() as usize, page.height() as usize);
    let side = |at: usize, length: usize| (at + reach + 1).min(length) - at.saturating_sub(reach);
    let sums = sums(page, reach);
    let count = |at: usize| side(at % width, width) * side(at / width, height);
    sums.into_iter().enumerate().map(|(at, sum)| sum as f32 / count(at) as f32).collect()
}

/// The sum of a square around each pixel, as far as it is on the page.
fn sums(page: &GrayImage, reach: usize) -> Vec<u32> {
    let (width, height) = (page.width() as usize, page.height() as usize);
    let row = |y: usize| &page.as_raw()[y * width..][..width];
    let mut columns = vec![0u32; width];
    let add = |columns: &mut [u32], y: usize| {
        columns.iter_mut().zip(row(y)).for_each(|(sum, &sample)| *sum += u32::from(sample));
    };
    (0..reach.min(height)).for_each(|y| add(&mut columns, y));
    let mut sums = Vec::with_capacity(width * height);
    for y in 0..height {
        if y + reach < height {
            add(&mut columns, y + reach);
        }
        if let Some(gone) = y.checked_sub(reach + 1) {
            columns.iter_mut().zip(row(gone)).for_each(|(sum, &sample)| *sum -= u32::from(sample));
        }
        let mut sum: u32 = columns[..reach.min(width)].iter().sum();
        for x in 0..width {
            sum += columns.get(x + reach).copied().unwrap_or(0);
            sums.push(sum);
            sum -= x.checked_sub(reach).map_or(0, |gone| columns[gone]);
        }
    }
    sums
}

/// Joins marks of about this height to rows, across the page or down it: the numbers of their marks.
fn rows(letters: &[(u32, Mark)], height: f32, down: bool) -> Vec<Vec<u32>> {
    let along = |mark: &Mark| if down { (mark.y0, mark.y1) } else { (mark.x0, mark.x1) };
    let across = |mark: &Mark| if down { (mark.x0, mark.x1) } else { (mark.y0, mark.y1) };
    let size = |mark: &Mark| (across(mark).1 - across(mark).0) as f32;
    let middle = |mark: &Mark| (across(mark).0 + across(mark).1) as f32 / 2.0;
    let mut fitting: Vec<&(u32, Mark)> = letters
        .iter()
        .filter(|(_, mark)| (0.6..2.0).contains(&(size(mark) / height)) && size(mark) >= HEIGHT_MIN as f32)
        .collect();
    fitting.sort_by_key(|(_, mark)| along(mark).0);
    // Each row with its last mark, by the stretch of the page across the rows in which that is.
    let mut rows: Vec<(Vec<u32>, Mark)> = Vec::new();
    let slot = |mark: &Mark| (middle(mark) / height) as usize;
    let slots = fitting.iter().map(|(_, mark)| slot(mark)).max().map_or(0, |most| most + 2);
    let mut ends: Vec<Vec<usize>> = vec![Vec::new(); slots];
    for &&(index, mark) in &fitting {
        let here = slot(&mark);
        let goes_on = |row: &usize| {
            let end = &rows[*row].1;
            let gap = along(&mark).0 as f32 - along(end).1 as f32;
            (middle(end) - middle(&mark)).abs() < height * NEAR.0 && gap < height * NEAR.1
        };
        let near = ends[here.saturating_sub(1)..(here + 2).min(slots)].iter().flatten();
        let row = near.copied().rfind(goes_on);
        let row = row.unwrap_or_else(|| {
            rows.push((Vec::new(), mark));
            rows.len() - 1
        });
        rows[row].0.push(index);
        let before = std::mem::replace(&mut rows[row].1, mark);
        ends[slot(&before)].retain(|&other| other != row);
        ends[here].push(row);
    }
    rows.into_iter().map(|(row, _)| row).collect()
}

/// The left and right edges of a row's strokes, laid over each other.
#[derive(Debug)]
pub(super) struct Edges {
    /// Sums of levels, from before an edge to behind it, from paper to stroke.
    levels: [f32; 2 * AROUND],
    count: usize,
}

impl Edges {
    /// `runs` are sorted by mark.
    pub(super) fn of(small: &GrayImage, runs: &[Run], row: &[u32]) -> Self {
        let width = small.width() as usize;
        let of_mark = |&mark: &u32| {
            let first = runs.partition_point(|run| run.mark < mark);
            runs[first..].iter().take_while(move |run| run.mark == mark)
        };
        let mut edges = Self { levels: [0.0; 2 * AROUND], count: 0 };
        for run in row.iter().flat_map(of_mark) {
            let samples = &small.as_raw()[run.y as usize * width..][..width];
            // Marks lie farther from the page's edges than what is looked at beside them.
            let level = |x: usize| samples.get(x).map_or(0.0, |&sample| f32::from(sample));
            let (from, behind) = (run.x0 as usize, run.x1 as usize);
            for (at, sum) in edges.levels.iter_mut().enumerate() {
                let right = (behind + AROUND).saturating_sub(at + 1);
                *sum += level((from + at).saturating_sub(AROUND)) + level(right);
            }
            edges.count += 2;
        }
        edges
    }

    /// Whether they are as deep as strokes, beyond doubt, and as steep as this part of their depth.
    pub(super) fn are_sharp(&self, sharp: f32, noise: f32) -> bool {
        let count = self.count.max(1) as f32;
        let most = self.levels.iter().copied().fold(f32::MIN, f32::max) / count;
        let depth = most - self.levels.iter().copied().fold(f32::MAX, f32::min) / count;
        let steepest = self.levels.windows(2).map(|pair| pair[0] - pair[1]).fold(0.0, f32::max) / count;
        // What noise leaves in a mean of so many samples.
        let doubt = noise / count.sqrt();
        depth > EDGE_MIN * most / 255.0
            && depth > doubt * CERTAIN
            && steepest - doubt * LUCK - STEP_ERROR * most / 255.0 > depth * sharp
    }
}

#[cfg(test)]
mod tests;
