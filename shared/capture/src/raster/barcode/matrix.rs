//! QR and Data Matrix codes.
//!
//! The marks of the page show both before anything is decoded. A QR code has three finder patterns: a square ring with
//! a solid square in its middle, three sevenths of its side. A Data Matrix code is framed by two solid sides that meet
//! in a corner and two dashed ones: its corner and all that touches it are one large, half-filled mark.

use image::{GrayImage, imageops};
use platen_model::{Barcode, Rect};
use rxing::common::HybridBinarizer;
use rxing::{BarcodeFormat, BinaryBitmap, DecodeHints, Luma8LuminanceSource, MultiFormatReader, Reader as _};

use super::{lies_in, piece, place};
use crate::raster::ink::{Ink, Mark};

/// Modules on a side of a finder pattern.
const FINDER_MODULES: f32 = 7.0;
/// Modules between the middles of the finder patterns of the smallest and the largest QR code.
const APART_MODULES: std::ops::RangeInclusive<f32> = 12.0..=172.0;
/// The most finder patterns that are put together to codes.
const FINDERS_MAX: usize = 48;
/// The most pieces of a page that are decoded.
const PIECES_MAX: usize = 12;
/// Pixels that a module keeps where a code is much larger than it need be.
const MODULE_PX: u32 = 4;
/// The part of a solid side that has ink.
const SOLID: f32 = 0.88;
/// How much of the other side's length a code may rise from end to end: four degrees.
const LEAN: f32 = 0.07;
/// The side of the smallest Data Matrix code, in reduced pixels.
const CORNER_MIN: u32 = 18;

/// The codes of a page.
pub(super) fn find(page: &GrayImage, ink: &Ink) -> Vec<Barcode> {
    let mut codes: Vec<Barcode> = Vec::new();
    for (rect, module_px) in squares(&finders(ink)).into_iter().take(PIECES_MAX) {
        if !codes.iter().any(|code| lies_in(&rect, &code.rect)) {
            codes.extend(decode(page, rect, 6.0 * module_px, module_px, BarcodeFormat::QR_CODE));
        }
    }
    for rect in corners(ink).into_iter().take(PIECES_MAX) {
        if !codes.iter().any(|code| lies_in(&rect, &code.rect)) {
            // Its modules are not known; it has at least eight on a side.
            let side = rect.w.min(rect.h) as f32;
            codes.extend(decode(page, rect, side / 8.0, side / 48.0, BarcodeFormat::DATA_MATRIX));
        }
    }
    codes
}

/// A finder pattern, in page pixels.
#[derive(Clone, Copy, Debug)]
struct Finder {
    x: f32,
    y: f32,
    module: f32,
}

/// Square rings with a solid square in their middle.
fn finders(ink: &Ink) -> Vec<Finder> {
    let is_square = |mark: &Mark| {
        let (width, height) = (mark.width() as f32, mark.height() as f32);
        (0.75..=1.33).contains(&(width / height))
    };
    let middle = |mark: &Mark| ((mark.x0 + mark.x1) as f32 / 2.0, (mark.y0 + mark.y1) as f32 / 2.0);
    let filled = |mark: &Mark| mark.area as f32 / (mark.width() * mark.height()) as f32;
    let mut solid: Vec<&Mark> =
        ink.marks.iter().filter(|mark| mark.width() >= 3 && is_square(mark) && filled(mark) >= 0.7).collect();
    solid.sort_by(|a, b| middle(a).0.total_cmp(&middle(b).0));
    let rings = ink
        .marks
        .iter()
        .filter(|mark| mark.width() >= 10 && is_square(mark) && (0.3..=0.75).contains(&filled(mark)));

    let mut finders = Vec::new();
    for ring in rings {
        let ((x, y), side) = (middle(ring), (ring.width() + ring.height()) as f32 / 2.0);
        let off = 0.1 * side;
        let from = solid.partition_point(|mark| middle(mark).0 < x - off);
        let within = solid[from..].iter().take_while(|mark| middle(mark).0 <= x + off);
        let mut cores = within.filter(|mark| {
            let core = (mark.width() + mark.height()) as f32 / 2.0 / side;
            (middle(mark).1 - y).abs() <= off && (0.3..=0.58).contains(&core)
        });
        if cores.next().is_some() {
            let scale = ink.reduction as f32;
            finders.push(Finder { x: x * scale, y: y * scale, module: side * scale / FINDER_MODULES });
        }
    }
    finders.truncate(FINDERS_MAX);
    finders
}

/// The boxes of QR codes whose finder patterns these are, each with the side of a module: the smallest first, for a
/// wrong choice of three patterns spans more than one code.
fn squares(finders: &[Finder]) -> Vec<(Rect, f32)> {
    let mut squares = Vec::new();
    for (at, corner) in finders.iter().enumerate() {
        let others: Vec<(f32, f32)> = (0..finders.len())
            .filter(|&other| other != at)
            .map(|other| finders[other])
            .filter(|other| (0.7..=1.43).contains(&(other.module / corner.module)))
            .map(|other| (other.x - corner.x, other.y - corner.y))
            .filter(|(x, y)| APART_MODULES.contains(&(x.hypot(*y) / corner.module)))
            .collect();
        for (index, one) in others.iter().enumerate() {
            for other in &others[index + 1..] {
                let (a, b) = (one.0.hypot(one.1), other.0.hypot(other.1));
                let cosine = (one.0 * other.0 + one.1 * other.1) / (a * b);
                if cosine.abs() > 0.2 || !(0.8..=1.25).contains(&(a / b)) {
                    continue;
                }
                let xs = [0.0, one.0, other.0, one.0 + other.0].map(|x| x + corner.x);
                let ys = [0.0, one.1, other.1, one.1 + other.1].map(|y| y + corner.y);
                let margin = corner.module * FINDER_MODULES / 2.0;
                let least = |values: [f32; 4]| values.into_iter().fold(f32::MAX, f32::min) - margin;
                let most = |values: [f32; 4]| values.into_iter().fold(f32::MIN, f32::max) + margin;
                let (x, y) = (least(xs).max(0.0), least(ys).max(0.0));
                let rect =
                    Rect { x: x as u32, y: y as u32, w: (most(xs) - x) as u32, h: (most(ys) - y) as u32 };
                squares.push((rect, corner.module));
            }
        }
    }
    squares.sort_by_key(|(rect, _)| rect.w.max(rect.h));
    squares
}

/// The boxes of marks with two solid sides that meet, in page pixels, the largest first. The other two sides are dashed,
/// and what of them touches the mark is left to chance.
fn corners(ink: &Ink) -> Vec<Rect> {
    let largest = ink.long_side() / 3;
    let mut wanted: Vec<(u32, Sides)> = Vec::new();
    let mut places = vec![u32::MAX; ink.marks.len()];
    for (at, mark) in ink.marks.iter().enumerate() {
        let (width, height) = (mark.width(), mark.height());
        let share = mark.area as f32 / (width * height) as f32;
        let shape = width as f32 / height as f32;
        if width.min(height) >= CORNER_MIN
            && width.max(height) <= largest
            && (0.2..=5.0).contains(&shape)
            && (0.2..=0.85).contains(&share)
        {
            places[at] = wanted.len() as u32;
            wanted.push((at as u32, Sides::of(mark)));
        }
    }
    if wanted.is_empty() {
        return Vec::new();
    }
    for run in &ink.runs {
        if let Some((at, sides)) = wanted.get_mut(places[run.mark as usize] as usize) {
            sides.see(&ink.marks[*at as usize], run.y, run.x0, run.x1);
        }
    }
    let mut rects: Vec<Rect> = wanted
        .into_iter()
        .filter(|(_, sides)| sides.meet())
        .map(|(at, _)| {
            let (mark, scale) = (&ink.marks[at as usize], ink.reduction);
            Rect { x: mark.x0 * scale, y: mark.y0 * scale, w: mark.width() * scale, h: mark.height() * scale }
        })
        .collect();
    rects.sort_by_key(|rect| std::cmp::Reverse(rect.w));
    rects
}

/// How much of each side of a mark's box has ink close to it.
struct Sides {
    near: u32,
    /// Rows with ink close to the left and to the right side.
    rows: [Vec<bool>; 2],
    /// Columns with ink close to the top and to the bottom.
    columns: [Vec<bool>; 2],
}

impl Sides {
    fn of(mark: &Mark) -> Self {
        // Room for a lean of some degrees, but never to the other side.
        let (width, height) = (mark.width(), mark.height());
        let near = (width.max(height) / 10).min(width.min(height) / 3).max(2);
        let (rows, columns) = (vec![false; mark.height() as usize], vec![false; mark.width() as usize]);
        Self { near, rows: [rows.clone(), rows], columns: [columns.clone(), columns] }
    }

    fn see(&mut self, mark: &Mark, y: u32, x0: u32, x1: u32) {
        let row = (y - mark.y0) as usize;
        self.rows[0][row] |= x0 < mark.x0 + self.near;
        self.rows[1][row] |= x1 + self.near > mark.x1;
        let columns = (x0 - mark.x0) as usize..(x1 - mark.x0) as usize;
        if y < mark.y0 + self.near {
            self.columns[0][columns.clone()].fill(true);
        }
        if y + self.near >= mark.y1 {
            self.columns[1][columns].fill(true);
        }
    }

    fn meet(&self) -> bool {
        // The box around a code that leans is higher than its upright side, the more the longer the other one is.
        let is_solid = |side: &[bool], other: &[bool]| {
            let inked = side.iter().filter(|&&ink| ink).count() as f32;
            inked >= SOLID * side.len() as f32 - LEAN * other.len() as f32
        };
        let [rows, columns] = [&self.rows, &self.columns];
        rows.iter().any(|side| is_solid(side, &columns[0]))
            && columns.iter().any(|side| is_solid(side, &rows[0]))
    }
}

/// Decodes the code in a box with so much room around it.
fn decode(page: &GrayImage, rect: Rect, room: f32, module: f32, format: BarcodeFormat) -> Option<Barcode> {
    let (left, top) = (rect.x as f32 - room, rect.y as f32 - room);
    let (right, bottom) = ((rect.x + rect.w) as f32 + room, (rect.y + rect.h) as f32 + room);
    let mut picture = piece(page, &place(page, left, top, right, bottom)?);
    let smaller = module as u32 / MODULE_PX;
    if smaller > 1 {
        let (width, height) = (picture.width() / smaller, picture.height() / smaller);
        picture = imageops::thumbnail(&picture, width.max(1), height.max(1));
    }
    let (width, height) = picture.dimensions();
    let source = Luma8LuminanceSource::new(picture.into_raw(), width, height).ok()?;
    let hints = DecodeHints {
        PossibleFormats: Some([format].into()),
        TryHarder: Some(true),
        ..DecodeHints::default()
    };
    let mut bitmap = BinaryBitmap::new(HybridBinarizer::new(source));
    let result = MultiFormatReader::default().decode_with_hints(&mut bitmap, &hints).ok()?;
    let symbology = if format == BarcodeFormat::QR_CODE { "qr" } else { "data-matrix" };
    let text = result.getText();
    (!text.is_empty()).then(|| Barcode { symbology: symbology.into(), text: text.into(), rect })
}
