//! Code 39 and Code 128.
//!
//! Where bars are, brightness changes along one axis and hardly along the other; text changes along both. The page is
//! divided into cells of two millimetres, and a patch of cells that all show bars along the same axis, wide and high
//! enough for a code, is decoded. Rows of it are averaged in bands, which takes out most of the noise of a bad print.

use std::collections::HashMap;

use image::GrayImage;
use platen_model::{Barcode, Rect};
use rxing::common::GlobalHistogramBinarizer;
use rxing::oned::{Code39Reader, Code128Reader};
use rxing::{BinaryBitmap, Luma8Source, RXingResult, Reader};

use super::{Place, lies_in, place, scan_line};

/// The side of a cell, in inches.
const CELL_INCHES: f32 = 0.08;
/// The least mean change along the axis of a cell that shows bars, in levels.
const CHANGE_MIN: u32 = 10;
/// The change along the axis is so many times the change across it, as a fraction: rough edges change across, too.
const TIMES: (u32, u32) = (3, 2);
/// Cells of a code are at most so many cells apart: first they must touch, so that two codes stay two; then a code of
/// bars and spaces that are wider than cells may have empty ones.
const REACHES: [usize; 2] = [1, 4];
/// The fewest cells that a code is long.
const LONG_CELLS: usize = 5;
/// The fewest cells that its bars are long.
const THICK_CELLS: usize = 2;
/// The most patches that are decoded for an axis and a reach.
const PATCHES_MAX: usize = 24;
/// Bands in which a patch is read.
const BANDS: usize = 12;
/// So many bands must read the same.
const AGREE: usize = 2;
/// The fewest bars of a code: a start, a check and an end of Code 128, each of three and the last of four, or one
/// character of Code 39 between its start and its end, each of five.
const BARS_MIN: usize = 10;
/// The longest text that is believed.
const TEXT_MAX: usize = 256;

/// The axis along which a code is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Across,
    Down,
}

/// Cells that touch: the first and the last column and row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Patch {
    x0: usize,
    y0: usize,
    x1: usize,
    y1: usize,
}

impl Patch {
    fn cells(self) -> usize {
        (self.x1 - self.x0 + 1) * (self.y1 - self.y0 + 1)
    }

    fn place(self, cell: u32) -> Rect {
        let Self { x0, y0, x1, y1 } = self;
        Rect {
            x: x0 as u32 * cell,
            y: y0 as u32 * cell,
            w: (x1 - x0 + 1) as u32 * cell,
            h: (y1 - y0 + 1) as u32 * cell,
        }
    }
}

/// The codes of a page.
pub(super) fn find(page: &GrayImage, dpi: u32) -> Vec<Barcode> {
    let cell = ((dpi as f32 * CELL_INCHES) as usize).max(8);
    let cells = Cells::of(page, cell, dpi);
    let mut codes = Vec::new();
    for axis in [Axis::Across, Axis::Down] {
        let mut tried: Vec<Patch> = Vec::new();
        for reach in REACHES {
            let mut patches = cells.patches(axis, reach);
            patches.retain(|patch| !tried.contains(patch));
            // The largest first: a page with more of them than can be read is a drawing.
            patches.sort_by_key(|patch| std::cmp::Reverse(patch.cells()));
            patches.truncate(PATCHES_MAX);
            for patch in &patches {
                let place = patch.place(cell as u32);
                if !codes.iter().any(|code: &Barcode| lies_in(&code.rect, &place)) {
                    codes.extend(read(page, *patch, cell, axis));
                }
            }
            tried.extend(patches);
        }
    }
    codes
}

/// For each cell the axis along which it shows bars.
struct Cells {
    columns: usize,
    axes: Vec<Option<Axis>>,
}

impl Cells {
    fn of(page: &GrayImage, cell: usize, dpi: u32) -> Self {
        let (width, height) = (page.width() as usize, page.height() as usize);
        let (columns, rows) = (width / cell, height / cell);
        // Changes are measured over the half of a narrow bar, on a third of the rows.
        let reach = (dpi as usize / 150).max(1);
        let step = (dpi as usize / 100).max(1);
        let mut axes = Vec::with_capacity(columns * rows);
        // The changes at each place of a row are added up along its columns first, many at a time. A band has less than
        // twenty rows that count, so that their sum fits.
        let (mut across, mut down) = (vec![0u16; columns * cell], vec![0u16; columns * cell]);
        let add = |sums: &mut [u16], one: &[u8], other: &[u8]| {
            for ((sum, a), b) in sums.iter_mut().zip(one).zip(other) {
                *sum += u16::from(a.abs_diff(*b));
            }
        };
        for band in 0..rows {
            across.fill(0);
            down.fill(0);
            let mut count = 0;
            for y in (band * cell..(band + 1) * cell).step_by(step).filter(|y| y + reach < height) {
                let row = &page.as_raw()[y * width..][..width];
                let below = &page.as_raw()[(y + reach) * width..][..width];
                add(&mut across, row, row.get(reach..).unwrap_or_default());
                add(&mut down, row, below);
                count += cell as u32;
            }
            let least = CHANGE_MIN * count;
            let sum = |cell: &[u16]| cell.iter().map(|&change| u32::from(change)).sum::<u32>();
            let cells = across.chunks_exact(cell).map(sum).zip(down.chunks_exact(cell).map(sum));
            axes.extend(cells.map(|(across, down)| {
                if across >= least && across * TIMES.1 >= down * TIMES.0 {
                    Some(Axis::Across)
                } else if down >= least && down * TIMES.1 >= across * TIMES.0 {
                    Some(Axis::Down)
                } else {
                    None
                }
            }));
        }
        Self { columns, axes }
    }

    /// Cells that show bars along this axis and are at most `reach` apart along it, where there are enough of them for
    /// a code.
    fn patches(&self, axis: Axis, reach: usize) -> Vec<Patch> {
        let rows = self.axes.len() / self.columns.max(1);
        let mut seen = vec![false; self.axes.len()];
        let mut patches = Vec::new();
        for first in 0..self.axes.len() {
            if seen[first] || self.axes[first] != Some(axis) {
                continue;
            }
            seen[first] = true;
            let mut open = vec![first];
            let mut patch = Patch { x0: usize::MAX, y0: usize::MAX, x1: 0, y1: 0 };
            while let Some(cell) = open.pop() {
                let (x, y) = (cell % self.columns, cell / self.columns);
                patch = Patch {
                    x0: patch.x0.min(x),
                    y0: patch.y0.min(y),
                    x1: patch.x1.max(x),
                    y1: patch.y1.max(y),
                };
                let (across, down) = if axis == Axis::Across { (reach, 1) } else { (1, reach) };
                let row = x.saturating_sub(across)..=(x + across).min(self.columns - 1);
                let column = y.saturating_sub(down)..=(y + down).min(rows - 1);
                let beside = row.map(|x| y * self.columns + x);
                for next in beside.chain(column.map(|y| y * self.columns + x)) {
                    if !seen[next] && self.axes[next] == Some(axis) {
                        seen[next] = true;
                        open.push(next);
                    }
                }
            }
            let (columns, rows) = (patch.x1 - patch.x0 + 1, patch.y1 - patch.y0 + 1);
            let (long, thick) = if axis == Axis::Across { (columns, rows) } else { (rows, columns) };
            if long >= LONG_CELLS && thick >= THICK_CELLS {
                patches.push(patch);
            }
        }
        patches
    }
}

/// Reads the code of a patch.
fn read(page: &GrayImage, patch: Patch, cell: usize, axis: Axis) -> Option<Barcode> {
    let side = cell as f32;
    // Along the code there is room for its quiet zones and for bars too sparse to show in their cell.
    let room = side * 2.0;
    let (along, across) = if axis == Axis::Across { (room, 0.0) } else { (0.0, room) };
    let (left, right) = (patch.x0 as f32 * side - along, (patch.x1 + 1) as f32 * side + along);
    let (top, bottom) = (patch.y0 as f32 * side - across, (patch.y1 + 1) as f32 * side + across);
    let place = place(page, left, top, right, bottom)?;

    let mut readings: HashMap<(&'static str, String), usize> = HashMap::new();
    for band in 0..BANDS {
        let line = line(page, &place, axis, band);
        if !has_bars(&line) {
            continue;
        }
        let Some(result) = read_line(&line) else { continue };
        let text = result.getText();
        if !text.trim().is_empty() && text.len() <= TEXT_MAX {
            *readings.entry((symbology(&result), text.to_owned())).or_default() += 1;
        }
    }
    let ((symbology, text), count) = readings.into_iter().max_by_key(|(_, count)| *count)?;
    (count >= AGREE).then(|| Barcode {
        symbology: symbology.to_owned(),
        text,
        rect: patch.place(cell as u32),
    })
}

/// The mean of the lines along an axis that are in a band of a place. Along the page the bands are counted from its right,
/// as if it had been turned for its codes to lie.
fn line(page: &GrayImage, place: &Place, axis: Axis, band: usize) -> Vec<u8> {
    let Place { columns, rows } = place;
    let depth = if axis == Axis::Across { rows.len() } else { columns.len() };
    let middle = (depth * (2 * band + 1) / (2 * BANDS)).min(depth - 1);
    // Every other band is high and made black and white here, for codes with rough edges; the others are low and left
    // as they are, for fine ones that lean.
    let is_rough = band % 2 == 1;
    let reach = (depth / (4 * BANDS)).min(if is_rough { 10 } else { 3 });
    let lines = middle.saturating_sub(reach)..(middle + reach + 1).min(depth);
    let count = lines.len() as u32;
    let samples = page.as_raw().chunks_exact(page.width() as usize).skip(rows.start);
    let line: Vec<u8> = match axis {
        Axis::Across => {
            let mut sums = vec![0u32; columns.len()];
            for row in samples.skip(lines.start).take(lines.len()) {
                let row = &row[columns.clone()];
                sums.iter_mut().zip(row).for_each(|(sum, &sample)| *sum += u32::from(sample));
            }
            sums.into_iter().map(|sum| (sum / count) as u8).collect()
        }
        Axis::Down => {
            let across = columns.end - lines.end..columns.end - lines.start;
            let sum = |row: &[u8]| row.iter().map(|&sample| u32::from(sample)).sum::<u32>();
            samples.take(rows.len()).map(|row| (sum(&row[across.clone()]) / count) as u8).collect()
        }
    };
    match scan_line::threshold(&line) {
        Some(threshold) if is_rough => scan_line::hard(&line, threshold),
        _ => line,
    }
}

/// Whether there are bars enough on a line: what is bold or ruled looks like bars to a cell, and decoding is dear.
fn has_bars(line: &[u8]) -> bool {
    let is_ink = |threshold: u8| scan_line::edges(line, threshold) >= 2 * BARS_MIN;
    scan_line::threshold(line).is_none_or(is_ink)
}

fn read_line(line: &[u8]) -> Option<RXingResult> {
    let bitmap = || {
        let source = Luma8Source::new_with_slice(line, line.len() as u32, 1).ok()?;
        Some(BinaryBitmap::new(GlobalHistogramBinarizer::new(source)))
    };
    let code_128 = Code128Reader.decode(&mut bitmap()?).ok();
    code_128.or_else(|| Code39Reader::default().decode(&mut bitmap()?).ok())
}

fn symbology(result: &RXingResult) -> &'static str {
    match result.getBarcodeFormat() {
        rxing::BarcodeFormat::CODE_128 => "code-128",
        _ => "code-39",
    }
}
