//! Taking underlines out of the copy that is read.
//!
//! The title of a contract is often underlined, and in a scan the letters touch the line. Tesseract takes such
//! lines out by itself, but takes some of the letters with them, and a title without half of its letters
//! says nothing. Here only those pixels go that are thin from top to bottom and belong to a strip that is long
//! from left to right: where a letter stands on the line, its stroke goes on above, and stays.

use std::borrow::Cow;

use image::GrayImage;

use super::ink::Ink;

/// A mark that holds an underline is at least this many capitals wide.
const WIDE_CAPITALS: f32 = 3.0;
/// And at most this many high: higher ones are frames and pictures.
const LOW_CAPITALS: f32 = 2.5;
/// A line is at most this part of a capital thick.
const THICK_CAPITALS: f32 = 0.22;
/// The strip must go through this part of the mark's width.
const THROUGH: f32 = 0.6;
/// Columns of letters that interrupt a strip, in capitals, at most.
const LETTER_CAPITALS: f32 = 1.2;

/// Takes the underlines out of a page. `ink` is the page's.
pub(super) fn take_out(page: &mut Cow<'_, GrayImage>, ink: &Ink) {
    let Some(capital) = ink.capital_height_px(false) else { return };
    let by = ink.reduction;
    for mark in &ink.marks {
        let (width, height) = ((mark.width() * by) as f32, (mark.height() * by) as f32);
        if width >= capital * WIDE_CAPITALS && height <= capital * LOW_CAPITALS {
            // One reduced pixel more on each side: the reduction may have cut the line's edge off.
            let left = (mark.x0 * by).saturating_sub(by) as usize;
            let top = (mark.y0 * by).saturating_sub(by) as usize;
            let right = ((mark.x1 + 1) * by).min(page.width()) as usize;
            let bottom = ((mark.y1 + 1) * by).min(page.height()) as usize;
            Window::of(page, left..right, top..bottom).take_out(page, capital);
        }
    }
}

/// A part of a page in black and white.
struct Window {
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
    /// Row by row.
    ink: Vec<bool>,
    paper: u8,
}

impl Window {
    fn of(page: &GrayImage, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> Self {
        let width = page.width() as usize;
        let samples =
            || rows.clone().flat_map(|y| page.as_raw()[y * width..][columns.clone()].iter().copied());
        let mut counts = [0usize; 256];
        samples().for_each(|sample| counts[usize::from(sample)] += 1);
        let total: usize = counts.iter().sum();
        // Paper is the lighter part of such a window, ink the darkest twentieth.
        let paper = quantile(&counts, total * 3 / 4);
        let darkest = quantile(&counts, total / 20);
        let limit = u8::midpoint(paper, darkest);
        let ink = samples().map(|sample| sample < limit).collect();
        Self { columns, rows, ink, paper }
    }

    fn take_out(&self, page: &mut Cow<'_, GrayImage>, capital: f32) {
        let (width, height) = (self.columns.len(), self.rows.len());
        let thick = ((capital * THICK_CAPITALS).round() as usize).max(2);
        let thin = self.thin(thick);
        let letter = (capital * LETTER_CAPITALS) as usize;
        for strip in strips(&thin, width, height, letter, thick) {
            let long = (strip.len() as f32) >= width as f32 * THROUGH;
            if !long || (strip.len() as f32) < capital * WIDE_CAPITALS {
                continue;
            }
            for (x, y) in strip {
                // The soft edges above and below the line go with it.
                let (first, last) = run(&self.ink, width, height, x, y);
                for y in first.saturating_sub(1)..=(last + 1).min(height - 1) {
                    let at = (self.rows.start + y) * page.width() as usize + self.columns.start + x;
                    page.to_mut().as_mut()[at] = self.paper;
                }
            }
        }
    }

    /// The middle pixels of vertical runs of at most `thick` pixels.
    fn thin(&self, thick: usize) -> Vec<bool> {
        let (width, height) = (self.columns.len(), self.rows.len());
        let mut thin = vec![false; self.ink.len()];
        for x in 0..width {
            let mut y = 0;
            while y < height {
                if !self.ink[y * width + x] {
                    y += 1;
                    continue;
                }
                let (first, last) = run(&self.ink, width, height, x, y);
                if last - first < thick {
                    thin[(first + last) / 2 * width + x] = true;
                }
                y = last + 1;
            }
        }
        thin
    }
}

/// The vertical run of ink through a pixel: its first and last row.
fn run(ink: &[bool], width: usize, height: usize, x: usize, y: usize) -> (usize, usize) {
    let (mut first, mut last) = (y, y);
    while first > 0 && ink[(first - 1) * width + x] {
        first -= 1;
    }
    while last + 1 < height && ink[(last + 1) * width + x] {
        last += 1;
    }
    (first, last)
}

/// Follows thin pixels from left to right, up and down by at most a pixel a column, over gaps of at most `gap`
/// columns.
fn strips(thin: &[bool], width: usize, height: usize, gap: usize, drift: usize) -> Vec<Vec<(usize, usize)>> {
    let mut taken = vec![false; thin.len()];
    let mut strips = Vec::new();
    for x in 0..width {
        for y in 0..height {
            if !thin[y * width + x] || taken[y * width + x] {
                continue;
            }
            let mut strip = vec![(x, y)];
            taken[y * width + x] = true;
            let (mut last_x, mut last_y) = (x, y);
            let mut column = x + 1;
            while column < width && column - last_x <= gap {
                let reach = if column == last_x + 1 { 1 } else { drift };
                let near = (last_y.saturating_sub(reach)..=(last_y + reach).min(height - 1))
                    .filter(|row| thin[row * width + column] && !taken[row * width + column])
                    .min_by_key(|row| row.abs_diff(last_y));
                if let Some(row) = near {
                    taken[row * width + column] = true;
                    strip.push((column, row));
                    (last_x, last_y) = (column, row);
                }
                column += 1;
            }
            strips.push(strip);
        }
    }
    strips
}

fn quantile(counts: &[usize; 256], at: usize) -> u8 {
    let mut seen = 0;
    for (value, count) in (0u8..=255).zip(counts) {
        seen += count;
        if seen > at {
            return value;
        }
    }
    255
}
