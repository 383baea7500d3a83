//! What a scanner's lid leaves along the rim of a page: black bands, wedges and thin dark edges.
//!
//! From every place along a side the dark run inwards is measured. A border is where these runs are long along the
//! side, end on a nearly straight line, and have paper behind it: a picture that reaches the rim, a bar of colour with
//! white letters, a rule or a letter that touches the rim is none. What sticks out of a border, as a letter that
//! touches it does, is not taken along.

use std::ops::Range;

use image::GrayImage;

use super::Lay;
use crate::raster::paper::Surroundings;

/// Darker than this part of the paper is border...
const DARK: f32 = 0.5;
/// ...and lighter than this part of it is paper again: between them lies a border's soft edge.
const LIGHT: f32 = 0.85;
/// A border is no deeper than this part of the page.
const DEPTH_MAX: f32 = 0.18;
/// And no shorter than this part of its side.
const LENGTH_MIN: f32 = 0.2;
/// The recogniser passes a border over as a picture, and takes what is left of one for writing. So only whole ones are
/// worth taking off for it: as long as this part of their sides...
const WHOLE: f32 = 0.8;
/// ...as deep as this part of the longer side, 1.5 mm on A4...
const THICK: u32 = 200;
/// ...and with no more than this part of the rim left in the dark.
const DARK_LEFT_MAX: f32 = 0.05;
/// What sticks out of a border and is narrower than this part of the longer side is something else: 5 mm on A4.
const STICKS_OUT: u32 = 60;
/// A border's inner edge leaves a straight line by this part of the longer side at most, on average: 2 mm on A4.
const UNEVEN: f32 = 0.006_7;
/// Behind a border paper is looked for in a strip as wide as this part of the longer side: 0.6 mm on A4.
const BEYOND: u32 = 500;
/// More of that strip in the dark is no paper with text on it.
const BEYOND_DARK_MAX: f32 = 0.3;
/// What a border's edge is unsharp by, and light specks in it, as a part of the longer side: 0.3 mm on A4.
const SOFT: u32 = 1_000;

/// The borders of a page.
#[derive(Debug)]
pub(super) struct Rim {
    /// For each side, how far from the rim each place along it is border; empty where it has none.
    depths: [Vec<u32>; 4],
    /// Nothing of the borders is left when these are painted over.
    pub(super) is_whole: bool,
}

#[derive(Clone, Copy, Debug)]
enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

const SIDES: [Side; 4] = [Side::Left, Side::Right, Side::Top, Side::Bottom];

impl Rim {
    /// The borders of a page whose paper is as light as `paper`; `None` where it has none.
    pub(super) fn of(page: &GrayImage, paper: u8, lay: Lay) -> Option<Self> {
        let borders = SIDES.map(|side| View { page, side, paper, lay }.border());
        let size = [page.height(), page.height(), page.width(), page.width()].map(|length| length as usize);
        // In a corner, the border along one side hides what is dark along the other.
        let hidden = |side: usize, place: usize| {
            let (before, after) = if side < 2 { (2, 3) } else { (0, 1) };
            let reach = |other: usize| borders[other].depths.iter().copied().max().unwrap_or(0) as usize;
            place < reach(before) || place + reach(after) >= size[side]
        };
        let left = |side: usize| borders[side].left.iter().filter(|&&place| !hidden(side, place)).count();
        let is_whole = borders.iter().all(|border| border.is_whole)
            && (0..4).map(left).sum::<usize>() as f32 <= size.iter().sum::<usize>() as f32 * DARK_LEFT_MAX;
        let depths = borders.map(|border| border.depths);
        depths.iter().any(|depths| !depths.is_empty()).then_some(Self { depths, is_whole })
    }

    /// Paints the borders with the paper beside them.
    pub(super) fn paint_over<const N: usize>(&self, samples: &mut [u8], size: (usize, usize)) {
        let around = Surroundings::<N>::of(samples, size);
        let (width, height) = size;
        let pixels = samples.as_chunks_mut::<N>().0;
        for (side, depths) in SIDES.into_iter().zip(&self.depths) {
            for (place, &depth) in depths.iter().enumerate() {
                let depth = depth as usize;
                match side {
                    Side::Left => pixels[place * width..][..depth].fill(around.left[place]),
                    Side::Right => {
                        pixels[place * width..][width - depth..width].fill(around.right[place]);
                    }
                    Side::Top => fill_column(pixels, width, place, 0..depth, around.above[place]),
                    Side::Bottom => {
                        fill_column(pixels, width, place, height - depth..height, around.below[place]);
                    }
                }
            }
        }
    }
}

fn fill_column<const N: usize>(
    pixels: &mut [[u8; N]],
    width: usize,
    column: usize,
    rows: Range<usize>,
    colour: [u8; N],
) {
    rows.for_each(|y| pixels[y * width + column] = colour);
}

/// What is dark from one place of the rim inwards.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Run {
    /// Up to this depth; 0 where it begins with paper.
    To(u32),
    /// Deeper than any border.
    Deep,
}

/// The border along one side.
struct Border {
    /// How far from the rim each place is border; empty where there is none.
    depths: Vec<u32>,
    /// Places that are dark and no border.
    left: Vec<usize>,
    /// It goes along the side and is thick.
    is_whole: bool,
}

/// A page as it is seen from one of its sides.
struct View<'p> {
    page: &'p GrayImage,
    side: Side,
    paper: u8,
    lay: Lay,
}

impl View<'_> {
    /// Places along the side, and samples across the page from each.
    fn extent(&self) -> (u32, u32) {
        let (width, height) = self.page.dimensions();
        match self.side {
            Side::Left | Side::Right => (height, width),
            Side::Top | Side::Bottom => (width, height),
        }
    }

    /// Where the sample at this place and depth lies on the page.
    fn position(&self, place: u32, depth: u32) -> (u32, u32) {
        let (width, height) = self.page.dimensions();
        match self.side {
            Side::Left => (depth, place),
            Side::Right => (width - 1 - depth, place),
            Side::Top => (place, depth),
            Side::Bottom => (place, height - 1 - depth),
        }
    }

    fn is_below(&self, place: u32, depth: u32, part_of_paper: f32) -> bool {
        let (x, y) = self.position(place, depth);
        f32::from(self.page.get_pixel(x, y).0[0]) < f32::from(self.paper) * part_of_paper
    }

    fn long(&self) -> u32 {
        self.page.width().max(self.page.height())
    }

    fn border(&self) -> Border {
        let (length, breadth) = self.extent();
        let runs: Vec<Run> = (0..length).map(|place| self.dark_run(place)).collect();
        let soft = (self.long() / SOFT).max(1);
        let is_dark = |run: &Run| !matches!(run, Run::To(depth) if *depth <= soft);
        let dark = |depths: &[u32]| {
            let is_left =
                |place: &usize| is_dark(&runs[*place]) && depths.get(*place).is_none_or(|&depth| depth == 0);
            (0..runs.len()).filter(is_left).collect()
        };
        let none = Border { depths: Vec::new(), left: dark(&[]), is_whole: true };
        if runs.iter().all(|run| matches!(run, Run::To(0) | Run::Deep)) {
            return none;
        }
        let reach = (self.long() / STICKS_OUT).max(3) as usize;
        let mut depths = without_what_sticks_out(&filled_corners(&runs), reach);
        let mut is_whole = true;
        for segment in segments(&depths) {
            if !self.is_border(&depths, &segment) {
                depths[segment].fill(0);
                continue;
            }
            is_whole &= segment.len() as f32 >= length as f32 * WHOLE
                && usual(&depths[segment.clone()]) >= self.long() / THICK;
            for place in segment {
                let depth = &mut depths[place];
                let most = (*depth + 3 * soft).min(breadth);
                while *depth < most && self.is_below(place as u32, *depth, LIGHT) {
                    *depth += 1;
                }
            }
        }
        if depths.iter().all(|&depth| depth == 0) {
            return none;
        }
        Border { left: dark(&depths), depths, is_whole }
    }

    /// The dark run inwards from a place, from where the scan begins: a straightened page has corners that no
    /// scanner saw.
    fn dark_run(&self, place: u32) -> Run {
        let (_, breadth) = self.extent();
        let gap = (self.long() / SOFT).max(1) + 1;
        let Some(entry) = self.entry(place) else { return Run::To(0) };
        let deepest = entry + (breadth as f32 * DEPTH_MAX) as u32;
        let (mut depth, mut end, mut light) = (entry, 0, 0);
        while light <= gap {
            if depth >= deepest.min(breadth) {
                return Run::Deep;
            }
            depth += 1;
            if self.is_below(place, depth - 1, DARK) {
                (end, light) = (depth, 0);
            } else {
                light += 1;
            }
        }
        Run::To(end)
    }

    /// How far in from a place of the rim the scan begins; `None` where it does not.
    fn entry(&self, place: u32) -> Option<u32> {
        if self.lay.skew_deg == 0.0 {
            return Some(0);
        }
        let (_, breadth) = self.extent();
        let (sine, cosine) = f64::from(self.lay.skew_deg).to_radians().sin_cos();
        let (width, height) = self.page.dimensions();
        // On the page as it was before it was straightened, about its middle.
        let before = |depth: u32| {
            let (x, y) = self.position(place, depth);
            let x = f64::from(x) + 0.5 - f64::from(width) / 2.0;
            let y = f64::from(y) + 0.5 - f64::from(height) / 2.0;
            (x * cosine - y * sine, x * sine + y * cosine)
        };
        let ((x, y), (x_in, y_in)) = (before(0), before(1));
        let (mut first, mut last) = (0.0f64, f64::from(breadth - 1));
        for (at, step, side) in [(x, x_in - x, self.lay.size.0), (y, y_in - y, self.lay.size.1)] {
            let half = f64::from(side) / 2.0;
            if step.abs() < 1e-9 {
                if at.abs() > half {
                    return None;
                }
                continue;
            }
            let (one, other) = ((-half - at) / step, (half - at) / step);
            (first, last) = (first.max(one.min(other)), last.min(one.max(other)));
        }
        (first <= last).then_some(first.ceil() as u32)
    }

    /// Whether a stretch of dark runs is a border: long, straight, and with paper behind it.
    fn is_border(&self, depths: &[u32], segment: &Range<usize>) -> bool {
        let (length, breadth) = self.extent();
        if (segment.len() as f32) < length as f32 * LENGTH_MIN {
            return false;
        }
        if unevenness(&depths[segment.clone()]) > self.long() as f32 * UNEVEN {
            return false;
        }
        let strip = (self.long() / BEYOND).max(2);
        let soft = 3 * (self.long() / SOFT).max(1);
        let (mut dark, mut seen) = (0u32, 0u32);
        for place in segment.clone() {
            let from = depths[place] + soft;
            for depth in from..(from + strip).min(breadth) {
                seen += 1;
                dark += u32::from(self.is_below(place as u32, depth, DARK));
            }
        }
        seen > 0 && dark as f32 <= seen as f32 * BEYOND_DARK_MAX
    }
}

/// The runs' depths. In a corner the border of one side lies along the other: there it is as deep as beside it.
fn filled_corners(runs: &[Run]) -> Vec<u32> {
    let mut depths: Vec<u32> = runs
        .iter()
        .map(|run| match run {
            Run::To(depth) => *depth,
            Run::Deep => 0,
        })
        .collect();
    let corner = (runs.len() as f32 * DEPTH_MAX) as usize;
    let is_deep = |at: &usize| runs[*at] == Run::Deep;
    let first = (0..runs.len()).take_while(is_deep).count();
    if (1..=corner).contains(&first) {
        let beside = depths[first];
        depths[..first].fill(beside);
    }
    let last = (0..runs.len()).rev().take_while(is_deep).count();
    if (1..=corner).contains(&last) {
        let beside = depths[runs.len() - last - 1];
        depths[runs.len() - last..].fill(beside);
    }
    depths
}

/// A morphological opening: peaks that are narrower than `reach` go.
fn without_what_sticks_out(depths: &[u32], reach: usize) -> Vec<u32> {
    let lowest: Vec<u32> = depths.windows(reach.min(depths.len())).map(least).collect();
    let window = |at: usize| (at + 1).saturating_sub(reach)..(at + 1).min(lowest.len());
    (0..depths.len()).map(|at| lowest[window(at)].iter().copied().max().unwrap_or(0)).collect()
}

fn least(depths: &[u32]) -> u32 {
    depths.iter().copied().min().unwrap_or(0)
}

/// The stretches of places that have some depth.
fn segments(depths: &[u32]) -> Vec<Range<usize>> {
    let mut at = 0;
    let stretches = depths.chunk_by(|a, b| (*a > 0) == (*b > 0)).map(|stretch| {
        at += stretch.len();
        (at - stretch.len()..at, stretch[0] > 0)
    });
    stretches.filter(|(_, is_dark)| *is_dark).map(|(stretch, _)| stretch).collect()
}

fn usual(depths: &[u32]) -> u32 {
    let mut depths = depths.to_vec();
    let middle = depths.len() / 2;
    *depths.select_nth_unstable(middle).1
}

/// The mean distance of depths from the straight line that fits them best.
fn unevenness(depths: &[u32]) -> f32 {
    let count = depths.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = depths.iter().map(|&depth| f64::from(depth)).sum::<f64>() / count;
    let (mut together, mut square) = (0.0, 0.0);
    for (at, &depth) in depths.iter().enumerate() {
        let from_middle = at as f64 - middle;
        together += from_middle * (f64::from(depth) - mean);
        square += from_middle * from_middle;
    }
    let slope = if square > 0.0 { together / square } else { 0.0 };
    let off = depths
        .iter()
        .enumerate()
        .map(|(at, &depth)| (f64::from(depth) - mean - slope * (at as f64 - middle)).abs());
    (off.sum::<f64>() / count) as f32
}
