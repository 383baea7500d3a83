//! What comes in from the edge of a page.
//!
//! A scanner's border, the shadow of a sheet's edge, a fold, a scratch on the glass and a torn corner come in from the
//! edge, and are straight and thin, or lie along one side. A page that is struck out, a drawing joined to its frame and
//! a picture that runs off the page do so as well, and are content.

use image::GrayImage;

use super::{Inside, LARGE, holes};
use crate::raster::ink::{self, Ink, Mark, Run};

/// A fold or a scratch is straight to this part of the page's longer side, seen across it: 2.7 mm on A4...
const STREAK: f32 = 0.009;
/// ...at most so thick, in reduced pixels...
const STREAK_THICK: u32 = 6;
/// ...and goes over so much of the page...
const STREAK_LONG: f32 = 0.3;
/// ...and there are no more of them, each way.
const STREAKS_MAX: usize = 4;
/// What of a border comes in no farther than this part of the longer side is the edge of a skewed sheet: 30 mm on A4.
const BORDER: f32 = 0.1;
/// A corner that is folded or torn off is smaller.
const CORNER: f32 = 0.1;
/// A border's edge is straight to so many reduced pixels...
const STRAIGHT_PX: f32 = 6.0;
/// ...for this part of it: there may be punch holes in it.
const STRAIGHT_SHARE: f32 = 0.85;
/// It leans by no more than this, as a slope: a feeder draws in no sheet more askew.
const SLOPE_MAX: f32 = 0.15;
/// So much of what lies outside of it is dark.
const DARK_SHARE: f32 = 0.6;
/// Darker than this part of the paper is dark.
const DARK: f32 = 0.8;
/// A stretch along a side that is shorter, in reduced pixels, has no straightness.
const SHORT: usize = 48;

/// Whether something that someone made comes in from the edge of a page whose lightest paper is as light as this.
pub(super) fn come_in(page: &GrayImage, ink: &Ink, white: u8) -> bool {
    let inside = Inside::of(ink);
    let reaches: Vec<bool> =
        ink.marks.iter().map(|mark| !inside.holds(mark) && !holes::may_be(mark, ink)).collect();
    let runs = ink.runs.iter().filter(|run| reaches[run.mark as usize]);
    let mut runs: Vec<Run> = runs.filter_map(|run| clipped(run, &inside)).collect();
    drop_streaks(&mut runs, &inside, ink.long_side());
    let (runs, pieces) = ink::connected(runs);
    let long = ink.long_side() as f32;
    let is_large = |piece: &Mark| piece.width().max(piece.height()) as f32 > long * LARGE;
    let mut small = None;
    (0u32..).zip(&pieces).any(|(number, piece)| {
        if !is_large(piece) || is_corner(piece, &inside, ink) {
            return false;
        }
        let small = small.get_or_insert_with(|| ink::reduced(page, ink.reduction));
        let of_piece = runs.iter().filter(|run| run.mark == number);
        !is_border(of_piece, small, &inside, white)
    })
}

/// The part of a run that lies inside.
fn clipped(run: &Run, inside: &Inside) -> Option<Run> {
    let (x0, x1) = (run.x0.max(inside.x0), run.x1.min(inside.x1));
    (x0 < x1 && (inside.y0..inside.y1).contains(&run.y)).then_some(Run { x0, x1, ..*run })
}

/// Whether a piece fills a corner of the page: of both sides that meet there it is near.
fn is_corner(piece: &Mark, inside: &Inside, ink: &Ink) -> bool {
    let size = (ink.long_side() as f32 * CORNER) as u32;
    let left = piece.x0 == inside.x0 && piece.x1 <= size;
    let right = piece.x1 == inside.x1 && piece.x0 + size >= ink.width;
    let top = piece.y0 == inside.y0 && piece.y1 <= size;
    let bottom = piece.y1 == inside.y1 && piece.y0 + size >= ink.height;
    (left || right) && (top || bottom)
}

/// Takes folds and scratches out: thin, straight lines across the page and down it that come in from an edge.
fn drop_streaks(runs: &mut Vec<Run>, inside: &Inside, long: u32) {
    let band = ((long as f32 * STREAK) as u32).max(STREAK_THICK);
    for down in [false, true] {
        let (from, behind) = if down { (inside.x0, inside.x1) } else { (inside.y0, inside.y1) };
        let (start, end) = if down { (inside.y0, inside.y1) } else { (inside.x0, inside.x1) };
        // A line down the page is short in every row.
        let takes_part = |run: &Run| !down || run.x1 - run.x0 <= STREAK_THICK * 2;
        let mut is_tried = vec![false; (behind - from) as usize];
        let mut found = 0;
        for _ in 0..STREAKS_MAX * 4 {
            let mut ink_at = vec![0u32; (behind - from) as usize];
            for run in runs.iter().filter(|run| takes_part(run)) {
                if down {
                    (run.x0..run.x1).for_each(|x| ink_at[(x - from) as usize] += 1);
                } else {
                    ink_at[(run.y - from) as usize] += run.x1 - run.x0;
                }
            }
            ink_at.iter_mut().zip(&is_tried).for_each(|(ink, tried)| *ink *= u32::from(!tried));
            let Some(first) = fullest(&ink_at, band as usize) else { break };
            let places = first as u32 + from..(first as u32 + band + from).min(behind);
            let is_in = |run: &Run| {
                takes_part(run)
                    && if down {
                        places.contains(&run.x0) && run.x1 <= places.end
                    } else {
                        places.contains(&run.y)
                    }
            };
            let (mut is_covered, mut area) = (vec![false; (end - start) as usize], 0);
            for run in runs.iter().filter(|run| is_in(run)) {
                area += run.x1 - run.x0;
                let span = if down { run.y..run.y + 1 } else { run.x0..run.x1 };
                span.for_each(|at| is_covered[(at - start) as usize] = true);
            }
            let covered = is_covered.iter().filter(|covered| **covered).count() as u32;
            let comes_in = is_covered.first() == Some(&true) || is_covered.last() == Some(&true);
            let is_long = covered as f32 >= (end - start) as f32 * STREAK_LONG;
            if is_long && comes_in && area <= covered * STREAK_THICK && found < STREAKS_MAX {
                runs.retain(|run| !is_in(run));
                found += 1;
            }
            is_tried[first..(first + band as usize).min((behind - from) as usize)].fill(true);
        }
    }
}

/// Where the band of this width begins that holds most, if any holds something.
fn fullest(ink_at: &[u32], band: usize) -> Option<usize> {
    let sums = ink_at.windows(band.min(ink_at.len()).max(1)).map(|window| window.iter().sum::<u32>());
    let (first, most) = sums.enumerate().max_by_key(|&(_, sum)| sum)?;
    (most > 0).then_some(first)
}

/// One side of a page, as a piece of ink lies along it: how deep it reaches and where it begins, for each place.
#[derive(Clone, Debug, Default)]
struct Side {
    places: Vec<(u32, u32, u32)>,
}

/// Whether a piece is the edge of what lies around the sheet: along each side that it is near to, it is straight, and
/// dark outside.
fn is_border<'a>(runs: impl Iterator<Item = &'a Run>, small: &GrayImage, inside: &Inside, white: u8) -> bool {
    let (width, height) = small.dimensions();
    let mut depths: [Vec<Option<(u32, u32)>>; 4] =
        [height, width, height, width].map(|length| vec![None; length as usize]);
    for run in runs {
        for x in run.x0..run.x1.min(width) {
            let from = [x, run.y, width - 1 - x, height - 1 - run.y];
            let side = (0..4).min_by_key(|&side| from[side]).unwrap_or(0);
            let at = if side % 2 == 0 { run.y } else { x } as usize;
            let depth = from[side];
            let (least, most) = depths[side][at].get_or_insert((depth, depth));
            (*least, *most) = ((*least).min(depth), (*most).max(depth));
        }
    }
    let long = ink::long_side((width, height)) as f32;
    let dark = f32::from(white) * DARK;
    depths.into_iter().enumerate().all(|(side, depths)| {
        let places =
            (0u32..).zip(depths).filter_map(|(at, depth)| depth.map(|(least, most)| (at, least, most)));
        let along = Side { places: places.collect() };
        let margin = if side % 2 == 0 { inside.x0 } else { inside.y0 };
        let deepest = along.places.iter().map(|&(.., most)| most).max().unwrap_or(0) as f32;
        if along.places.len() < SHORT {
            return deepest <= margin as f32 + long * LARGE;
        }
        let level = |at: u32, depth: u32| {
            let (x, y) = match side {
                0 => (depth, at),
                1 => (at, depth),
                2 => (width - 1 - depth, at),
                _ => (at, height - 1 - depth),
            };
            f32::from(small.get_pixel(x, y).0[0])
        };
        along.is_straight()
            && (along.is_thin()
                || deepest <= long * BORDER && along.is_dark_outside(|at, depth| level(at, depth) < dark))
    })
}

impl Side {
    /// Whether the inner edge is a straight line that leans little.
    fn is_straight(&self) -> bool {
        let mut near: Vec<(f32, f32)> =
            self.places.iter().map(|&(at, _, most)| (at as f32, most as f32)).collect();
        let mut line = (0.0, 0.0);
        for _ in 0..3 {
            line = line_through(&near);
            let off = |&(at, most): &(f32, f32)| (most - line.0 - line.1 * at).abs();
            let mut sorted: Vec<f32> = near.iter().map(off).collect();
            sorted.sort_by(f32::total_cmp);
            let bound = sorted[sorted.len() * 9 / 10].max(STRAIGHT_PX / 2.0);
            near.retain(|place| off(place) <= bound);
        }
        let is_near = |&&(at, _, most): &&(u32, u32, u32)| {
            (most as f32 - line.0 - line.1 * at as f32).abs() <= STRAIGHT_PX
        };
        let count = self.places.iter().filter(is_near).count();
        line.1.abs() <= SLOPE_MAX && count as f32 >= self.places.len() as f32 * STRAIGHT_SHARE
    }

    fn is_thin(&self) -> bool {
        let thick: u32 = self.places.iter().map(|(_, least, most)| most - least + 1).sum();
        thick <= self.places.len() as u32 * STREAK_THICK
    }

    /// Whether it is dark from the page's edge to where this begins.
    fn is_dark_outside(&self, is_dark: impl Fn(u32, u32) -> bool) -> bool {
        let (mut dark, mut all) = (0, 0);
        for &(at, _, most) in &self.places {
            for depth in (2..most.saturating_sub(4)).step_by(4) {
                all += 1;
                dark += u32::from(is_dark(at, depth));
            }
        }
        dark as f32 >= all as f32 * DARK_SHARE
    }
}

/// The line through points by least squares: where it begins and how it rises.
fn line_through(points: &[(f32, f32)]) -> (f32, f32) {
    let count = points.len().max(1) as f32;
    let mean = |of: fn(&(f32, f32)) -> f32| points.iter().map(of).sum::<f32>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (mut xx, mut xy) = (0.0, 0.0);
    for point in points {
        xx += (point.0 - x).powi(2);
        xy += (point.0 - x) * (point.1 - y);
    }
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    (y - slope * x, slope)
}
