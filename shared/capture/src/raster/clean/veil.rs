//! Show-through: the print of the back, seen through thin paper.
//!
//! The paper spreads the light, so that what shines through is paler than the print of the front, and softer: its
//! edges are wide for their depth. Pale print on the front (gray letters, pencil, a stamp) has edges as sharp as the
//! rest, and where it stands nothing is lifted. Nor is it beside what is darker than what shines through: faded ink has
//! thin strokes and soft edges that are as pale, and without them its letters break. On a page that is blurred as a whole
//! nothing is softer than the rest.

use std::ops::Range;

use image::GrayImage;

use super::light::Paper;
use crate::raster::ink::reduced;

/// From this contrast to the paper on, of 255, a pixel is print...
const PRINT: u8 = 127;
/// ...and from this one on it is no grain of the paper.
const PALE: u8 = 31;
/// Pixels this near to print are its soft edge.
const EDGE: usize = 3;
/// A page has show-through when it has this many pale pixels for each pixel of print. With more than that, what is
/// pale is what is written on it.
const SHARE: std::ops::RangeInclusive<f32> = 0.3..=3.0;
/// Steps in what shines through are this part of those in print, each as a part of the contrast there. What is softer
/// is a shadow, what is harder pale print.
const SOFT: std::ops::RangeInclusive<f32> = 0.28..=0.72;
/// A square with steps of this part of those in print has pale print in it.
const SHARP: f32 = 0.85;
/// One sample in so many is enough to rule show-through out.
const PROBE: usize = 97;
/// Side of the squares in which sharp pale print is looked for, in reduced pixels: 4 mm on A4.
const SQUARE: usize = 24;
/// Such squares come together, as words do: with so many others among the 24 around them.
const COMPANY_MIN: usize = 2;
/// Fewer pale pixels in a square say nothing.
const PALE_MIN: u32 = 40;
/// Show-through is at most this many times as dark as most of it.
const DARKEST: f32 = 1.4;
/// What is this many times as dark as the darkest show-through is a stroke of the front.
const STROKE: f32 = 1.3;

/// The show-through of a page.
#[derive(Debug)]
pub(super) struct Veil {
    /// What a sample is multiplied by, for each of its lightnesses when the paper is 255.
    gains: Box<[f32; 256]>,
    /// Where there are strokes of the front and their soft edges, on a copy reduced by [`Veil::reduction`].
    strokes: Vec<bool>,
    reduction: usize,
    /// Where there is pale print: columns and rows, in pixels.
    kept: Vec<(Range<usize>, Range<usize>)>,
}

impl Veil {
    /// What shines through on this page with such paper, judged on a copy that is reduced by this; `None` where
    /// nothing does. In uneven light there is no telling it from shadows.
    pub(super) fn of(page: &GrayImage, paper: &Paper, reduction: u32) -> Option<Self> {
        if !paper.is_even() || !has_pale(page, paper.white, reduction) {
            return None;
        }
        let contrast = Contrast::of(page, reduction);
        let (print, pale) = (contrast.depths(Contrast::is_print), contrast.depths(Contrast::is_pale));
        if !SHARE.contains(&(pale.count() as f32 / print.count().max(1) as f32)) {
            return None;
        }
        let sharp = contrast.steps(Contrast::is_print).at(0.9) / print.at(0.9);
        let soft = contrast.steps(Contrast::is_pale).at(0.9) / pale.at(0.9);
        if !SOFT.contains(&(soft / sharp)) {
            return None;
        }
        let by = reduction as usize;
        let in_pixels = |span: Range<usize>, side: u32| {
            let room = SQUARE / 2;
            span.start.saturating_sub(room) * by..((span.end + room) * by).min(side as usize)
        };
        let kept = contrast
            .sharp_squares(sharp * SHARP)
            .into_iter()
            .map(|(columns, rows)| (in_pixels(columns, page.width()), in_pixels(rows, page.height())));
        let darkest = pale.at(0.9) * DARKEST;
        Some(Self {
            gains: gains(darkest / 255.0, print.at(0.5) / 255.0),
            strokes: near(&contrast.depths, |depth| f32::from(depth) > darkest * STROKE),
            reduction: by,
            kept: kept.collect(),
        })
    }

    /// Lifts the show-through off a picture whose paper is measured.
    pub(super) fn lift<const N: usize>(&self, samples: &mut [u8], size: (usize, usize), paper: &Paper) {
        let rows = self.kept.iter().flat_map(|(columns, rows)| {
            rows.clone().map(move |y| (y * size.0 + columns.start) * N..(y * size.0 + columns.end) * N)
        });
        let kept: Vec<(usize, Vec<u8>)> = rows.map(|row| (row.start, samples[row].to_vec())).collect();
        let by = self.reduction;
        let (across, down) = (size.0 / by, size.1 / by);
        let columns: Vec<usize> = (0..size.0).map(|x| (x / by).min(across - 1)).collect();
        let rows = (0..size.1).map(|y| &self.strokes[(y / by).min(down - 1) * across..]);
        let mut strokes = rows.flat_map(|row| columns.iter().map(|&column| row[column]));
        paper.change::<N>(samples, size, |pixel, gain| {
            if strokes.next().unwrap_or_default() {
                return;
            }
            let light = pixel.iter().map(|&sample| u32::from(sample)).sum::<u32>() as f32 / N as f32;
            let by = self.gains[(light * gain).min(255.0) as usize];
            pixel.iter_mut().for_each(|sample| *sample = (f32::from(*sample) * by).min(255.0) as u8);
        });
        for (start, row) in kept {
            samples[start..start + row.len()].copy_from_slice(&row);
        }
    }
}

/// Whether enough of a page is pale for show-through, by one sample in many.
fn has_pale(page: &GrayImage, white: u8, reduction: u32) -> bool {
    let below = |level: u8| 255 - (f32::from(level) * 255.0 / f32::from(white.max(1))).min(255.0) as u8;
    let (samples, width) = (page.as_raw(), page.width() as usize);
    // The soft edges of print are pale too. Those above and below it are counted, so that this can only be more than
    // what counts.
    let reach = EDGE * reduction as usize;
    let is_edge = |at: usize| {
        let row = at / width * width..(at / width + 1) * width;
        let near = at.saturating_sub(reach).max(row.start)..(at + reach + 1).min(row.end);
        samples[near].iter().any(|&level| below(level) > PRINT)
    };
    let (mut print, mut pale) = (0u32, 0u32);
    for at in (0..samples.len()).step_by(PROBE) {
        let contrast = below(samples[at]);
        print += u32::from(contrast > PRINT);
        pale += u32::from((PALE..=PRINT).contains(&contrast) && !is_edge(at));
    }
    pale as f32 >= print as f32 * SHARE.start()
}

/// Up to the contrast `floor` a sample becomes paper; from the contrast of print on it stays.
fn gains(floor: f32, print: f32) -> Box<[f32; 256]> {
    let mut gains = Box::new([1.0; 256]);
    for (light, gain) in gains.iter_mut().enumerate().skip(1) {
        let contrast = 1.0 - light as f32 / 255.0;
        let left = (contrast - floor) / (print - floor).max(0.01) * print;
        *gain = (1.0 - left.clamp(0.0, contrast)) / (1.0 - contrast);
    }
    gains
}

/// How much darker than the paper around it each pixel of a reduced page is, of 255.
struct Contrast {
    depths: GrayImage,
    /// Print and its soft edge.
    near_print: Vec<bool>,
}

impl Contrast {
    fn of(page: &GrayImage, reduction: u32) -> Self {
        let mut depths = reduced(page, reduction).into_owned();
        let size = (depths.width() as usize, depths.height() as usize);
        Paper::of(&depths).change::<1>(&mut depths, size, |pixel, gain| {
            pixel[0] = 255 - (f32::from(pixel[0]) * gain).min(255.0) as u8;
        });
        let near_print = near(&depths, |depth| depth > PRINT);
        Self { depths, near_print }
    }

    fn is_print(&self, at: usize) -> bool {
        self.depths.as_raw()[at] > PRINT
    }

    fn is_pale(&self, at: usize) -> bool {
        self.depths.as_raw()[at] > PALE && !self.near_print[at]
    }

    /// The depths of the pixels of a kind.
    fn depths(&self, is: impl Fn(&Self, usize) -> bool) -> Counts {
        let depths = self.depths.as_raw();
        Counts::of((0..depths.len()).filter(|&at| is(self, at)).map(|at| depths[at]))
    }

    /// The steps between the pixels of a kind and those beside them.
    fn steps(&self, is: impl Fn(&Self, usize) -> bool) -> Counts {
        Counts::of((0..self.near_print.len()).filter(|&at| is(self, at)).map(|at| self.step(at)))
    }

    /// The higher of the steps to the pixels on both sides.
    fn step(&self, at: usize) -> u8 {
        let depths = self.depths.as_raw();
        let to = |other: Option<&u8>| other.map_or(0, |other| other.abs_diff(depths[at]));
        to(depths.get(at + 1)).max(to(at.checked_sub(1).and_then(|before| depths.get(before))))
    }

    /// The squares whose pale pixels have steps of more than this part of their depth: columns and rows.
    fn sharp_squares(&self, part: f32) -> Vec<(Range<usize>, Range<usize>)> {
        let (width, height) = (self.depths.width() as usize, self.depths.height() as usize);
        let (across, down) = (width.div_ceil(SQUARE), height.div_ceil(SQUARE));
        let square = |column: usize, row: usize| {
            let (left, top) = (column * SQUARE, row * SQUARE);
            (left..(left + SQUARE).min(width), top..(top + SQUARE).min(height))
        };
        let is_sharp: Vec<bool> =
            (0..across * down).map(|at| self.is_sharp(square(at % across, at / across), part)).collect();
        let company = |column: usize, row: usize| {
            let columns = column.saturating_sub(2)..(column + 3).min(across);
            let rows = row.saturating_sub(2)..(row + 3).min(down);
            rows.map(|row| is_sharp[row * across..][columns.clone()].iter().filter(|&&is| is).count())
                .sum::<usize>()
        };
        let places = (0..is_sharp.len()).filter(|&at| is_sharp[at]).map(|at| (at % across, at / across));
        places
            .filter(|&(column, row)| company(column, row) > COMPANY_MIN)
            .map(|(column, row)| square(column, row))
            .collect()
    }

    fn is_sharp(&self, (columns, rows): (Range<usize>, Range<usize>), part: f32) -> bool {
        let width = self.depths.width() as usize;
        let columns = columns.start.max(1)..columns.end.min(width - 1);
        let places = rows.flat_map(|y| columns.clone().map(move |x| y * width + x));
        // Beside the edge of print there are steps that are not those of what is pale.
        let is_clear = |at: &usize| self.is_pale(*at) && !self.near_print[at - 1] && !self.near_print[at + 1];
        let pale: Vec<usize> = places.filter(is_clear).collect();
        let depth = Counts::of(pale.iter().map(|&at| self.depths.as_raw()[at]));
        let steps = Counts::of(pale.iter().map(|&at| self.step(at)));
        depth.count() >= PALE_MIN && steps.at(0.9) > depth.at(0.9) * part
    }
}

/// Where there is a pixel of such a depth, or one in reach.
fn near(depths: &GrayImage, is: impl Fn(u8) -> bool) -> Vec<bool> {
    let (width, height) = (depths.width() as usize, depths.height() as usize);
    let mut along = vec![false; width * height];
    for (row, marked) in depths.as_raw().chunks_exact(width).zip(along.chunks_exact_mut(width)) {
        for x in (0..width).filter(|&x| is(row[x])) {
            marked[x.saturating_sub(EDGE)..(x + EDGE + 1).min(width)].fill(true);
        }
    }
    let mut around = vec![false; width * height];
    for y in 0..height {
        for from in y.saturating_sub(EDGE)..(y + EDGE + 1).min(height) {
            let target = &mut around[y * width..][..width];
            target.iter_mut().zip(&along[from * width..][..width]).for_each(|(near, &is)| *near |= is);
        }
    }
    around
}

/// How often each value occurs.
struct Counts([u32; 256]);

impl Counts {
    fn of(values: impl Iterator<Item = u8>) -> Self {
        let mut counts = [0; 256];
        values.for_each(|value| counts[usize::from(value)] += 1);
        Self(counts)
    }

    fn count(&self) -> u32 {
        self.0.iter().sum()
    }

    /// The value that this part of all does not pass; at least 1.
    fn at(&self, part: f32) -> f32 {
        let wanted = self.count() as f32 * part;
        let mut seen = 0;
        let value = self.0.iter().position(|count| {
            seen += count;
            seen as f32 >= wanted
        });
        value.unwrap_or(0).max(1) as f32
    }
}
