//! Bar codes and patch codes on a page.
//!
//! Most pages have none, so the search must cost next to nothing where there is nothing to find. Each kind has a
//! cheap sign that is looked for first, and only the piece of the page that shows it is decoded:
//!
//! - [`patch`]: four bars on a few scan lines across the page; our own decoder, for there is nothing to decode but
//!   which two of the four bars are wide
//! - [`bars`]: Code 39 and Code 128: cells of the page in which brightness changes along one axis only
//! - [`matrix`]: QR by its three finder patterns and Data Matrix by its solid corner, both among the page's [`Ink`]
//!   marks, which are there anyway
//!
//! The page is searched as it was scanned: how it lies does not matter to any of them, and a sheet that bears only
//! bars tells nobody which way is up. [`move_along`] brings the boxes to the finished page.
//!
//! The danger is a code that is read where there is none, for it cuts a document in two. Code 39 has no check
//! digit, so several of its rows must agree.

mod bars;
mod matrix;
mod patch;
mod scan_line;

use std::ops::Range;

use image::GrayImage;
use platen_model::{Barcode, Rect};

use super::ink::Ink;

/// The most codes that a page is searched for.
const CODES_MAX: usize = 32;

/// Finds the codes of a page, from top to bottom.
pub(super) fn find(page: &GrayImage, dpi: u32, ink: &Ink) -> Vec<Barcode> {
    let mut found = patch::find(page, dpi);
    found.extend(bars::find(page, dpi));
    found.extend(matrix::find(page, ink));
    found.sort_by_key(|code| (code.rect.y, code.rect.x));
    found.truncate(CODES_MAX);
    found
}

/// Moves codes from where they stand on a page of the size `from` to where they stand once it is turned clockwise by
/// `quarters_deg`, its clockwise skew is taken out, and it has the size `to`.
pub(super) fn move_along(
    codes: &mut [Barcode],
    from: (u32, u32),
    quarters_deg: u32,
    skew_deg: f32,
    to: (u32, u32),
) {
    let (width, height) = (f64::from(from.0), f64::from(from.1));
    let (sine, cosine) = f64::from(skew_deg).to_radians().sin_cos();
    for Barcode { rect, .. } in codes {
        // From the middle of the page, which stays the middle.
        let x = f64::from(rect.x) + f64::from(rect.w) / 2.0 - width / 2.0;
        let y = f64::from(rect.y) + f64::from(rect.h) / 2.0 - height / 2.0;
        let (w, h) = (f64::from(rect.w), f64::from(rect.h));
        let (x, y, w, h) = match quarters_deg % 360 {
            90 => (-y, x, h, w),
            180 => (-x, -y, w, h),
            270 => (y, -x, h, w),
            _ => (x, y, w, h),
        };
        let (x, y) = (x * cosine + y * sine, y * cosine - x * sine);
        let within = |place: f64, most: u32| (place.round().max(0.0) as u32).min(most);
        let left = x + f64::from(to.0) / 2.0 - w / 2.0;
        let top = y + f64::from(to.1) / 2.0 - h / 2.0;
        let (x, y) = (within(left, to.0), within(top, to.1));
        *rect = Rect { x, y, w: within(left + w, to.0) - x, h: within(top + h, to.1) - y };
    }
}

/// Where a piece of the page is.
struct Place {
    columns: Range<usize>,
    rows: Range<usize>,
}

/// What lies between these edges, as far as it is on the page; `None` where nothing is.
fn place(page: &GrayImage, left: f32, top: f32, right: f32, bottom: f32) -> Option<Place> {
    let within = |place: f32, most: u32| (place.max(0.0) as usize).min(most as usize);
    let columns = within(left, page.width())..within(right.ceil(), page.width());
    let rows = within(top, page.height())..within(bottom.ceil(), page.height());
    (!columns.is_empty() && !rows.is_empty()).then_some(Place { columns, rows })
}

/// A piece of the page.
fn piece(page: &GrayImage, Place { columns, rows }: &Place) -> GrayImage {
    let mut samples = Vec::with_capacity(columns.len() * rows.len());
    for row in page.as_raw().chunks_exact(page.width() as usize).skip(rows.start).take(rows.len()) {
        samples.extend_from_slice(&row[columns.clone()]);
    }
    GrayImage::from_raw(columns.len() as u32, rows.len() as u32, samples)
        .expect("each row gave a sample for each column")
}

/// Whether the middle of one box lies in another.
fn lies_in(inner: &Rect, outer: &Rect) -> bool {
    let (x, y) = (inner.x + inner.w / 2, inner.y + inner.h / 2);
    (outer.x..outer.x + outer.w).contains(&x) && (outer.y..outer.y + outer.h).contains(&y)
}

#[cfg(test)]
mod tests;
