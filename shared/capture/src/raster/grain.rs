//! Grain: a page whose paper is nearly as uneven as its print is dark.
//!
//! Tesseract parts ink from paper by one level for the whole page. Where print is pale for the noise of the paper (gray
//! on a dark envelope, a dim photo, a sheet that holds next to nothing) that level falls among the noise, and the page
//! becomes tens of thousands of specks. Layout analysis then walks over pairs of them for minutes and finds no text.
//!
//! So the same is done here first, on a part of the page: where it has more specks than print has, dots and commas and
//! broken letters together, they are grain. The page is smoothed until they are gone, and then given the contrast of an
//! ordinary page. That copy is measured and read in place of the page; what is shown stays as it is. A page without
//! grain is not touched: one whose print is dark is told by its contrast.

use std::borrow::Cow;

use image::GrayImage;

use super::ink::{append_runs, connected};

/// Pieces of so many pixels at most, dark or light, are specks.
const SPECK_PX: u32 = 4;
/// A page has grain where it has more specks on a million pixels than this. Print has at most 800, coarse colour pictures
/// 2,600, grain from 5,000 on.
const SPECKS_MAX: f32 = 4_000.0;
/// It is smooth when so many are left: less than full stops and the dots of letters.
const SPECKS_LEFT: f32 = 400.0;
/// With more contrast than this, of 255, noise does not reach from paper to ink: what looks like specks is a screened or a
/// coarse picture.
const CONTRAST_MAX: f32 = 80.0;
/// The most that a page is smoothed. Each pass blurs by a pixel, all together by 2.6: half a stroke of 12 points at 300 dpi.
const PASSES_MAX: u32 = 7;
/// Pages of fewer pixels, A4 at 165 dots an inch, are read soon whatever their grain, and have strokes hardly wider than it:
/// smoothing would take them along.
const PIXELS_MIN: u64 = 3_000_000;
/// The samples of one row in so many are counted: the lowest print has some.
const COUNTED_EVERY: usize = 8;
/// Of so many rows...
const BAND_EVERY: usize = 192;
/// ...these are looked at.
const BAND_ROWS: usize = 24;
/// What ink and paper become.
const INK: f32 = 70.0;
const PAPER: f32 = 240.0;
/// The most by which contrast is raised: more would bring back what is left of the grain.
const GAIN_MAX: f32 = 12.0;

/// The grain of a page, and what takes it out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grain {
    passes: u32,
    /// The mean levels of ink and of paper on the smooth page.
    classes: Classes,
}

impl Grain {
    /// Whether grain may cost a page of this size its text.
    pub(super) fn matters((width, height): (u32, u32)) -> bool {
        u64::from(width) * u64::from(height) >= PIXELS_MIN
    }

    /// The grain of a page, and the page without it; `None` where there is none.
    pub(super) fn taken_out(page: &GrayImage) -> Option<(Self, GrayImage)> {
        if !is_on(page) {
            return None;
        }
        let mut copy = page.clone();
        let mut passes = 0;
        while passes < PASSES_MAX {
            copy = smoothed(&copy);
            passes += 1;
            if specks(&copy, Classes::of(&copy).threshold) <= SPECKS_LEFT {
                break;
            }
        }
        let grain = Self { passes, classes: Classes::of(&copy) };
        grain.stretch(&mut copy);
        Some((grain, copy))
    }

    /// Another copy of the same page without its grain.
    pub(super) fn without(self, page: &GrayImage) -> GrayImage {
        let mut copy = Cow::Borrowed(page);
        for _ in 0..self.passes {
            copy = Cow::Owned(smoothed(&copy));
        }
        let mut copy = copy.into_owned();
        self.stretch(&mut copy);
        copy
    }

    /// How much darker than the paper the print is, as a part of full scale.
    pub(super) fn contrast(self) -> f32 {
        self.classes.contrast() / 255.0
    }

    /// Gives the smooth page the contrast of an ordinary one.
    fn stretch(self, copy: &mut GrayImage) {
        let gain = ((PAPER - INK) / self.classes.contrast().max(1.0)).min(GAIN_MAX);
        if gain <= 1.0 {
            return;
        }
        let level = |level: u8| (PAPER - (self.classes.light - f32::from(level)) * gain).clamp(0.0, 255.0);
        let levels: Vec<u8> = (0..=u8::MAX).map(|before| level(before).round() as u8).collect();
        copy.iter_mut().for_each(|sample| *sample = levels[usize::from(*sample)]);
    }
}

/// Whether there are more specks on the page than print has.
fn is_on(page: &GrayImage) -> bool {
    if page.width() < 3 || (page.height() as usize) < BAND_ROWS {
        return false;
    }
    let classes = Classes::of(page);
    !classes.are_black_and_white
        && classes.contrast() <= CONTRAST_MAX
        && specks(page, classes.threshold) > SPECKS_MAX
}

/// The bands of rows that are looked at.
fn bands(page: &GrayImage) -> impl Iterator<Item = &[u8]> {
    let width = page.width() as usize;
    page.as_raw().chunks(BAND_EVERY * width).map(move |part| &part[..part.len().min(BAND_ROWS * width)])
}

/// What one level for the whole page parts it into.
#[derive(Clone, Copy, Debug)]
struct Classes {
    /// Samples up to this one are dark.
    threshold: u8,
    /// The means of those that are dark and those that are light.
    dark: f32,
    light: f32,
    /// Most samples are wholly black or white.
    are_black_and_white: bool,
}

impl Classes {
    /// By Otsu's method, as Tesseract does: the classes that lie farthest apart for their sizes.
    fn of(page: &GrayImage) -> Self {
        let mut counts = [0u64; 256];
        // Rows all over the page: a single line of print may lie between the bands.
        let rows = page.as_raw().chunks(page.width().max(1) as usize).step_by(COUNTED_EVERY);
        rows.flatten().for_each(|&sample| counts[usize::from(sample)] += 1);
        let count = counts.iter().sum::<u64>() as f64;
        let sum: f64 = (0u32..).zip(&counts).map(|(level, &count)| f64::from(level) * count as f64).sum();
        let are_black_and_white = (counts[0] + counts[255]) as f64 * 2.0 > count;
        let mean = if count > 0.0 { (sum / count) as f32 } else { 0.0 };
        let mut best = Self { threshold: 0, dark: mean, light: mean, are_black_and_white };
        let (mut farthest, mut dark_count, mut dark_sum) = (0.0, 0.0, 0.0);
        for (threshold, &here) in (0u8..u8::MAX).zip(&counts) {
            dark_count += here as f64;
            dark_sum += f64::from(threshold) * here as f64;
            let light_count = count - dark_count;
            if dark_count == 0.0 || light_count == 0.0 {
                continue;
            }
            let (dark, light) = (dark_sum / dark_count, (sum - dark_sum) / light_count);
            let apart = dark_count * light_count * (light - dark).powi(2);
            if apart > farthest {
                farthest = apart;
                best = Self { threshold, dark: dark as f32, light: light as f32, ..best };
            }
        }
        best
    }

    fn contrast(&self) -> f32 {
        self.light - self.dark
    }
}

/// Specks, dark and light, on a million pixels.
fn specks(page: &GrayImage, threshold: u8) -> f32 {
    let width = page.width() as usize;
    let (mut specks, mut pixels) = (0usize, 0usize);
    let mut is_piece = vec![0u8; width.next_multiple_of(8)];
    for band in bands(page) {
        let rows = (band.len() / width) as u32;
        pixels += band.len();
        for of_dark in [true, false] {
            let mut runs = Vec::new();
            for (y, row) in (0u32..).zip(band.chunks_exact(width)) {
                let pieces = is_piece.iter_mut().zip(row);
                pieces.for_each(|(is, &sample)| *is = u8::from((sample <= threshold) == of_dark));
                append_runs(&is_piece, y, &mut runs);
            }
            let (_, marks) = connected(runs);
            // What is cut by the band may be part of a letter.
            let is_whole = |y0: u32, y1: u32| y0 > 0 && y1 < rows;
            specks += marks.iter().filter(|mark| mark.area <= SPECK_PX && is_whole(mark.y0, mark.y1)).count();
        }
    }
    specks as f32 * 1e6 / pixels.max(1) as f32
}

/// The page blurred by a pixel, by binomial weights: 1, 4, 6, 4, 1 along and across.
fn smoothed(page: &GrayImage) -> GrayImage {
    let (width, height) = (page.width() as usize, page.height() as usize);
    let row = |y: usize| &page.as_raw()[y.min(height - 1) * width..][..width];
    let mut copy = Vec::with_capacity(width * height);
    // Columns first; the row's sums have two more at each end, which are those of its last columns.
    let mut sums = vec![0u16; width + 4];
    for y in 0..height {
        let [a, b, c, d, e] =
            [row(y.saturating_sub(2)), row(y.saturating_sub(1)), row(y), row(y + 1), row(y + 2)];
        let around = a.iter().zip(b).zip(c).zip(d).zip(e);
        for (sum, ((((a, b), c), d), e)) in sums[2..].iter_mut().zip(around) {
            let [a, b, c, d, e] = [*a, *b, *c, *d, *e].map(u16::from);
            *sum = a + e + 4 * (b + d) + 6 * c;
        }
        let (first, last) = (sums[2], sums[width + 1]);
        sums[..2].fill(first);
        sums[width + 2..].fill(last);
        copy.extend(sums.windows(5).map(|near| {
            let [a, b, c, d, e] = [near[0], near[1], near[2], near[3], near[4]].map(u32::from);
            ((a + e + 4 * (b + d) + 6 * c + 128) / 256) as u8
        }));
    }
    GrayImage::from_raw(page.width(), page.height(), copy).expect("one sample for each pixel was made")
}

#[cfg(test)]
mod tests;
