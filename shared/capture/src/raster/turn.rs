//! Turning a page: by quarters without touching a sample, by the skew with interpolation.
//!
//! A straightened page keeps its size, unless something that stands on it would fall over the edge: then it
//! grows by what is missing. What comes in at the corners has the colour of the paper there, so that no dark
//! wedges grow. Both work in the page's own memory where they can: a large colour scan is not held twice.

use std::ops::Range;

use image::{GrayImage, ImageBuffer, Pixel};
use platen_model::Rect;

use super::ink::{Ink, Mark};
use super::paper::Surroundings;
use super::shear;
use crate::decode::Samples;

/// Pixels of a side of the squares in which a page is turned by a quarter: two of them fit the nearest cache.
const TILE_PX: usize = 32;
/// A picture of more bytes than this is turned in bands, so that it is not held twice.
const LARGE: usize = 64 << 20;
/// The bytes of a band. The allocator gives blocks of more than 32 MiB back to the system as they shrink.
const BAND: usize = 33 << 20;
/// After so many rows, the memory of what was turned is given back.
const ROWS_GIVEN_BACK: usize = 64;
/// What stands on a page keeps this distance from the edges of a page that grows for it.
const ROOM_PX: f64 = 12.0;

/// Turns by `clockwise_deg`, a multiple of 90.
pub(crate) fn by_quarters(samples: Samples, clockwise_deg: u32) -> Samples {
    match samples {
        Samples::Bitonal(image) => Samples::Bitonal(quarters::<_, 1>(image, clockwise_deg)),
        Samples::Gray(image) => Samples::Gray(quarters::<_, 1>(image, clockwise_deg)),
        Samples::Rgb(image) => Samples::Rgb(quarters::<_, 3>(image, clockwise_deg)),
    }
}

/// Turns a gray picture by `clockwise_deg`, a multiple of 90.
pub(super) fn gray_by_quarters(image: GrayImage, clockwise_deg: u32) -> GrayImage {
    quarters::<_, 1>(image, clockwise_deg)
}

/// A picture of `N` samples a pixel.
type Image<P> = ImageBuffer<P, Vec<u8>>;

fn quarters<P: Pixel<Subpixel = u8>, const N: usize>(mut image: Image<P>, clockwise_deg: u32) -> Image<P> {
    let (width, height) = image.dimensions();
    match clockwise_deg % 360 {
        180 => {
            image.as_chunks_mut::<N>().0.reverse();
            image
        }
        turn @ (90 | 270) => {
            let (samples, clockwise) = (image.into_raw(), turn == 90);
            let from = size((width, height));
            let turned = if samples.len() > LARGE {
                quarter_in_bands::<N>(samples, from, clockwise, BAND)
            } else {
                quarter::<N>(&samples, from, clockwise)
            };
            picture(turned, (height, width))
        }
        _ => image,
    }
}

/// Turns a picture by a quarter.
fn quarter<const N: usize>(samples: &[u8], (width, height): (usize, usize), clockwise: bool) -> Vec<u8> {
    let mut turned = vec![0; samples.len()];
    let (from, to) = (samples.as_chunks::<N>().0, turned.as_chunks_mut::<N>().0);
    for left in (0..width).step_by(TILE_PX) {
        for top in (0..height).step_by(TILE_PX) {
            let tile = (left..width.min(left + TILE_PX), top..height.min(top + TILE_PX));
            quarter_of_tile(from, to, (width, height), tile, clockwise);
        }
    }
    turned
}

/// Turns a picture by a quarter, in its own memory and that of one band of about so many bytes: the bands, from the last
/// one up, are turned each for itself, and then joined row by row, from the last row up. What was taken from is given
/// back, and the memory that is written to comes from the system only as it is written.
fn quarter_in_bands<const N: usize>(
    mut samples: Vec<u8>,
    (width, height): (usize, usize),
    clockwise: bool,
    band_bytes: usize,
) -> Vec<u8> {
    let length = samples.len();
    let rows = (band_bytes / (width * N)).max(1);
    let mut bands = Vec::new();
    let mut end = height;
    while end > 0 {
        let start = end.saturating_sub(rows);
        let band = &samples[start * width * N..];
        bands.push(quarter::<N>(band, (width, end - start), clockwise));
        samples.truncate(start * width * N);
        samples.shrink_to_fit();
        end = start;
    }
    drop(samples);
    if !clockwise {
        bands.reverse();
    }
    let mut turned = vec![0; length];
    for row in (0..width).rev() {
        let mut at = row * height * N;
        for band in &mut bands {
            let part = band.len() / (row + 1);
            turned[at..at + part].copy_from_slice(&band[row * part..]);
            band.truncate(row * part);
            at += part;
        }
        if row % ROWS_GIVEN_BACK == 0 {
            bands.iter_mut().for_each(Vec::shrink_to_fit);
        }
    }
    turned
}

/// Turns a tile of a picture, columns by rows, by a quarter.
fn quarter_of_tile<const N: usize>(
    from: &[[u8; N]],
    to: &mut [[u8; N]],
    (width, height): (usize, usize),
    (columns, rows): (Range<usize>, Range<usize>),
    clockwise: bool,
) {
    for x in columns {
        let row = if clockwise { x } else { width - 1 - x };
        let out = &mut to[row * height..][..height];
        let source = from[rows.start * width + x..].iter().step_by(width);
        if clockwise {
            let out = out[height - rows.end..height - rows.start].iter_mut().rev();
            out.zip(source).for_each(|(out, pixel)| *out = *pixel);
        } else {
            out[rows.clone()].iter_mut().zip(source).for_each(|(out, pixel)| *out = *pixel);
        }
    }
}

/// Takes a clockwise skew out of a page, into a page of the size `to`.
pub(super) fn straightened(samples: Samples, skew_deg: f32, to: (u32, u32)) -> Samples {
    match samples {
        Samples::Bitonal(image) => Samples::Bitonal(hard(&soft(image, skew_deg, to))),
        Samples::Gray(image) => {
            let paper = Surroundings::<1>::of(&image, size(image.dimensions()));
            Samples::Gray(rotated(image, skew_deg, to, &paper))
        }
        Samples::Rgb(image) => {
            let paper = Surroundings::<3>::of(&image, size(image.dimensions()));
            Samples::Rgb(rotated(image, skew_deg, to, &paper))
        }
    }
}

/// As [`straightened`], with the gray copy to read: a black and white page is read with the soft edges that turning
/// gave it, and stored without them.
pub(super) fn straightened_to_read(samples: Samples, skew_deg: f32, to: (u32, u32)) -> (Samples, GrayImage) {
    match samples {
        Samples::Bitonal(image) => {
            let soft = soft(image, skew_deg, to);
            (Samples::Bitonal(hard(&soft)), soft)
        }
        samples => {
            let turned = straightened(samples, skew_deg, to);
            let gray = turned.to_gray();
            (turned, gray)
        }
    }
}

fn soft(image: GrayImage, skew_deg: f32, to: (u32, u32)) -> GrayImage {
    let white = Surroundings::even([255], size(image.dimensions()));
    rotated(image, skew_deg, to, &white)
}

fn hard(soft: &GrayImage) -> GrayImage {
    picture(soft.iter().map(|&sample| if sample < 128 { 0 } else { 255 }).collect(), soft.dimensions())
}

/// Moves what was found on a page of the size `from`, with this clockwise skew, to where it stands on the straightened
/// page of the size `to`.
pub(super) fn straighten_rects<'r>(
    rects: impl Iterator<Item = &'r mut Rect>,
    from: (u32, u32),
    to: (u32, u32),
    skew_deg: f32,
) {
    if skew_deg == 0.0 {
        return;
    }
    let (sine, cosine) = f64::from(skew_deg).to_radians().sin_cos();
    for rect in rects {
        let (width, height) = (f64::from(rect.w), f64::from(rect.h));
        let x = f64::from(rect.x) + width / 2.0 - f64::from(from.0) / 2.0;
        let y = f64::from(rect.y) + height / 2.0 - f64::from(from.1) / 2.0;
        // The box of a word that leans is higher than the word.
        let height = (height - width * sine.abs()).max(height / 2.0);
        let left = x * cosine + y * sine + f64::from(to.0) / 2.0 - width / 2.0;
        let top = y * cosine - x * sine + f64::from(to.1) / 2.0 - height / 2.0;
        let within = |place: f64, most: u32| (place.round().max(0.0) as u32).min(most);
        let (x, y) = (within(left, to.0), within(top, to.1));
        let (right, bottom) = (within(left + width, to.0), within(top + height, to.1));
        *rect = Rect { x, y, w: right - x, h: bottom - y };
    }
}

/// The size that a page must have for all that stands on it to stay on it when its skew is taken out: its own,
/// if nothing would fall over the edge. `ink` is that of the page before it was turned by `quarters_deg`.
pub(super) fn size_for(ink: &Ink, page: (u32, u32), quarters_deg: u32, skew_deg: f32) -> (u32, u32) {
    let (sine, cosine) = f64::from(skew_deg).to_radians().sin_cos();
    let (mut widest, mut highest) = (0.0f64, 0.0f64);
    for mark in ink.marks.iter().filter(|mark| stands_on_page(ink, mark)) {
        for (x, y) in [(mark.x0, mark.y0), (mark.x0, mark.y1), (mark.x1, mark.y0), (mark.x1, mark.y1)] {
            let from_middle = |place: u32, length: u32| {
                (f64::from(place) - f64::from(length) / 2.0) * f64::from(ink.reduction)
            };
            let (x, y) = (from_middle(x, ink.width), from_middle(y, ink.height));
            // Half a turn and its opposite reach equally far from the middle.
            let (x, y) = if quarters_deg % 180 == 90 { (-y, x) } else { (x, y) };
            widest = widest.max((x * cosine + y * sine).abs());
            highest = highest.max((y * cosine - x * sine).abs());
        }
    }
    let side = |length: u32, reach: f64| {
        if reach * 2.0 > f64::from(length) { ((reach + ROOM_PX) * 2.0).ceil() as u32 } else { length }
    };
    (side(page.0, widest), side(page.1, highest))
}

/// Whether a mark is more than dust, and all of it is on the page.
fn stands_on_page(ink: &Ink, mark: &Mark) -> bool {
    let within = mark.x0 > 1 && mark.y0 > 1 && mark.x1 + 1 < ink.width && mark.y1 + 1 < ink.height;
    within && mark.width().max(mark.height()) >= 5 && mark.width().min(mark.height()) >= 2
}

fn rotated<P: Pixel<Subpixel = u8>, const N: usize>(
    image: Image<P>,
    skew_deg: f32,
    to: (u32, u32),
    surroundings: &Surroundings<N>,
) -> Image<P> {
    let from = size(image.dimensions());
    picture(shear::rotated(image.into_raw(), from, size(to), skew_deg, surroundings), to)
}

fn size((width, height): (u32, u32)) -> (usize, usize) {
    (width as usize, height as usize)
}

fn picture<P: Pixel<Subpixel = u8>>(samples: Vec<u8>, (width, height): (u32, u32)) -> Image<P> {
    ImageBuffer::from_raw(width, height, samples).expect("one pixel was made for each place")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_picture_turned_in_bands_is_the_picture_turned(
            width in 1usize..90,
            height in 1usize..90,
            band_rows in 1usize..100,
            clockwise: bool,
            seed: u8,
        ) {
            let samples: Vec<u8> =
                (0..width * height * 3).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect();
            let whole = quarter::<3>(&samples, (width, height), clockwise);
            let banded = quarter_in_bands::<3>(samples, (width, height), clockwise, band_rows * width * 3);
            prop_assert_eq!(banded, whole);
        }
    }
}
