//! How light the paper is from place to place, and making it the same everywhere.
//!
//! The paper is measured on a coarse grid: in each cell the level that only a few samples exceed. Cells without
//! paper (a picture, a black border, a thick stroke) take the level of their neighbours, so that what is dark
//! on purpose stays dark. Evening divides by the paper's level, which keeps the soft edges of letters.

use image::GrayImage;

use crate::raster::ink::long_side;

/// Cells along the longer side of the page; at 300 dpi a cell of an A4 page is as large as a few letters.
const CELLS: u32 = 80;
/// Samples along one side of a cell that are looked at.
const PROBES: u32 = 6;
/// Of the 36 probes of a cell, this one counted from the lightest is its paper.
const PAPER_PROBE: usize = 4;
/// Cells darker than this part of the lightest paper hold no paper at all.
const DARK: f32 = 0.35;
/// Paper darker than this part of the lightest lies in a shadow.
const SHADOW: f32 = 0.85;
/// A page with more of its paper in shadow than this part is unevenly lit.
const SHADOW_SHARE_MAX: f32 = 0.08;

/// The paper's level on a coarse grid.
#[derive(Debug)]
pub(in crate::raster) struct Paper {
    cell: u32,
    columns: usize,
    levels: Vec<u8>,
    /// The level of the lightest paper.
    pub(in crate::raster) white: u8,
    /// The part of the paper that lies in a shadow, 0 to 1.
    pub(in crate::raster) shadow_share: f32,
}

impl Paper {
    /// Measures a page, by a few thousand probes however large it is.
    pub(in crate::raster) fn of(page: &GrayImage) -> Self {
        let cell = long_side(page.dimensions()).div_ceil(CELLS).max(PROBES);
        let columns = page.width().div_ceil(cell) as usize;
        let mut levels = probed(page, cell);
        let white = percentile(&levels, 0.95);
        let dark = (f32::from(white) * DARK) as u8;
        fill(&mut levels, columns, dark);
        let levels = neighbours(&levels, columns, |near| near.iter().copied().max().unwrap_or(white));
        let levels = neighbours(&levels, columns, |near| near.iter().copied().min().unwrap_or(white));
        let shadow = f32::from(white) * SHADOW;
        let shadow_share = share(&levels, |level| f32::from(level) < shadow);
        Self { cell, columns, levels, white, shadow_share }
    }

    /// Whether the light falls evenly enough for one threshold to suit the whole page.
    pub(in crate::raster) fn is_even(&self) -> bool {
        self.shadow_share <= SHADOW_SHARE_MAX
    }

    /// Makes the light even, and the paper white.
    pub(in crate::raster) fn even<const N: usize>(&self, samples: &mut [u8], size: (usize, usize)) {
        self.change::<N>(samples, size, |pixel, gain| {
            pixel.iter_mut().for_each(|sample| *sample = (f32::from(*sample) * gain) as u8);
        });
    }

    /// Changes each pixel of the page, or of a picture that lies like it, by what would make its paper white.
    pub(super) fn change<const N: usize>(
        &self,
        samples: &mut [u8],
        (width, _): (usize, usize),
        mut change: impl FnMut(&mut [u8; N], f32),
    ) {
        let mean = |near: &[u8]| (near.iter().map(|&l| u32::from(l)).sum::<u32>() / near.len() as u32) as u8;
        let levels = neighbours(&self.levels, self.columns, mean);
        let gains: Vec<f32> = levels.iter().map(|&level| 255.0 / f32::from(level.max(1))).collect();
        let rows = gains.len() / self.columns;
        let mut along = vec![0.0f32; self.columns];
        // For each column of the page the cell whose centre is at its left, and how far it is to the next.
        let places: Vec<(usize, usize, f32)> =
            (0..width as u32).map(|x| between(x, self.cell, self.columns)).collect();
        for (y, pixels) in (0u32..).zip(samples.as_chunks_mut::<N>().0.chunks_exact_mut(width)) {
            let (above, below, part) = between(y, self.cell, rows);
            for (column, gain) in along.iter_mut().enumerate() {
                let (a, b) = (gains[above * self.columns + column], gains[below * self.columns + column]);
                *gain = a + (b - a) * part;
            }
            for (pixel, &(left, right, part)) in pixels.iter_mut().zip(&places) {
                change(pixel, along[left] + (along[right] - along[left]) * part);
            }
        }
    }
}

/// The cells on both sides of a place, and how far it is from the first to the second.
fn between(at: u32, cell: u32, cells: usize) -> (usize, usize, f32) {
    let place = ((at as f32 + 0.5) / cell as f32 - 0.5).clamp(0.0, (cells - 1) as f32);
    let first = place as usize;
    (first, (first + 1).min(cells - 1), place - first as f32)
}

/// The paper's level in each cell.
pub(super) fn probed(page: &GrayImage, cell: u32) -> Vec<u8> {
    let width = page.width() as usize;
    let step = (cell / PROBES).max(1);
    let mut levels = Vec::new();
    let mut probes = Vec::with_capacity((PROBES * PROBES) as usize);
    for top in (0..page.height()).step_by(cell as usize) {
        for left in (0..page.width()).step_by(cell as usize) {
            probes.clear();
            for row in 0..PROBES {
                let y = (top + step / 2 + row * step).min(page.height() - 1) as usize;
                let samples = &page.as_raw()[y * width..][..width];
                let xs = (0..PROBES).map(|probe| left + step / 2 + probe * step);
                probes.extend(xs.map(|x| samples[x.min(page.width() - 1) as usize]));
            }
            let (_, level, _) = probes.select_nth_unstable_by(PAPER_PROBE, |a, b| b.cmp(a));
            levels.push(*level);
        }
    }
    levels
}

/// Gives each dark cell the mean of the nearest cells that are not.
fn fill(levels: &mut [u8], columns: usize, dark: u8) {
    loop {
        let before = levels.to_vec();
        let mut filled = 0;
        for (at, level) in levels.iter_mut().enumerate().filter(|(_, level)| **level <= dark) {
            let near = around(&before, columns, at).filter(|&near| near > dark);
            let (sum, count) =
                near.fold((0u32, 0u32), |(sum, count), near| (sum + u32::from(near), count + 1));
            if let Some(mean) = sum.checked_div(count) {
                *level = mean as u8;
                filled += 1;
            }
        }
        if filled == 0 {
            return;
        }
    }
}

fn neighbours(levels: &[u8], columns: usize, of: impl Fn(&[u8]) -> u8) -> Vec<u8> {
    let mut near = Vec::with_capacity(9);
    (0..levels.len())
        .map(|at| {
            near.clear();
            near.extend(around(levels, columns, at));
            of(&near)
        })
        .collect()
}

/// A cell and those around it.
fn around(levels: &[u8], columns: usize, at: usize) -> impl Iterator<Item = u8> + '_ {
    let (row, column) = (at / columns, at % columns);
    let rows = row.saturating_sub(1)..=(row + 1).min(levels.len() / columns - 1);
    let span = column.saturating_sub(1)..=(column + 1).min(columns - 1);
    rows.flat_map(move |row| span.clone().map(move |column| levels[row * columns + column]))
}

pub(super) fn share(levels: &[u8], is: impl Fn(u8) -> bool) -> f32 {
    levels.iter().filter(|&&level| is(level)).count() as f32 / levels.len().max(1) as f32
}

fn percentile(levels: &[u8], part: f32) -> u8 {
    let mut sorted = levels.to_vec();
    let at = ((sorted.len() - 1) as f32 * part) as usize;
    *sorted.select_nth_unstable(at).1
}
