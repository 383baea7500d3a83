//! Taking the perspective out: what the camera saw of a sheet, spread to a rectangle.
//!
//! Bicubic, in whole numbers: a photo has millions of pixels, and each is made of sixteen. `imageproc`, which finds the
//! projection, does the same in a quarter of this speed.

use imageproc::geometric_transformations::Projection;

use image::{GrayImage, RgbImage};

use super::quad::{self, Corners};
use crate::decode::Samples;

/// Places between two pixels that are told apart.
const PHASES: i32 = 256;
/// Pixels between which places are taken to be equally far apart.
const SPAN: usize = 8;
/// The place of what the picture does not show.
const OUTSIDE: i32 = -1;
/// A weight of 1.
const ONE: i32 = 128;
/// A middle gray.
const MIDDLE: i32 = 128;
/// Samples of a line that are mixed at once: those of four pixels, and what makes a vector register full.
const LANES: usize = 16;

/// The sheet between four corners, as a page whose sides are as long as the longer ones of the sheet.
pub(super) fn flattened(samples: &Samples, corners: &Corners) -> Samples {
    let [top, right, bottom, left] = quad::sides(corners).map(quad::length);
    let (width, height) = (top.max(bottom).round().max(1.0), left.max(right).round().max(1.0));
    let page = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)];
    let Some(seen) = Projection::from_control_points(page, *corners) else { return samples.clone() };
    let size = (width as u32, height as u32);
    let expected = "one sample for each pixel was made";
    match samples {
        Samples::Bitonal(image) | Samples::Gray(image) => {
            let page = warped::<1>(image.as_raw(), image.dimensions(), &seen, size);
            Samples::Gray(GrayImage::from_raw(size.0, size.1, page).expect(expected))
        }
        Samples::Rgb(image) => {
            let page = warped::<3>(image.as_raw(), image.dimensions(), &seen, size);
            Samples::Rgb(RgbImage::from_raw(size.0, size.1, page).expect(expected))
        }
    }
}

/// The picture as `seen` says where each pixel of the page is in it; white where that is outside.
fn warped<const N: usize>(
    samples: &[u8],
    (width, height): (u32, u32),
    seen: &Projection,
    (page_width, page_height): (u32, u32),
) -> Vec<u8> {
    let weights = weights();
    let size = (width as usize, height as usize);
    let row_bytes = size.0 * N;
    let mut page = vec![u8::MAX; page_width as usize * page_height as usize * N];
    let mut places = vec![(OUTSIDE, OUTSIDE); page_width as usize];
    for (y, row) in page.as_chunks_mut::<N>().0.chunks_exact_mut(page_width as usize).enumerate() {
        // Between places this near to each other perspective is nothing: no thousandth of a pixel.
        for (span, places) in places.chunks_mut(SPAN).enumerate() {
            let ends = [span, span + 1].map(|end| *seen * ((end * SPAN) as f32, y as f32));
            let [(x, y), (end_x, end_y)] = ends;
            let (step_x, step_y) = ((end_x - x) / SPAN as f32, (end_y - y) / SPAN as f32);
            for (at, place) in places.iter_mut().enumerate() {
                *place = phases((x + at as f32 * step_x, y + at as f32 * step_y), size);
            }
        }
        for (pixel, &(x, y)) in row.iter_mut().zip(&places).filter(|(_, place)| place.0 != OUTSIDE) {
            let across = &weights[(x % PHASES) as usize];
            let down = &weights[(y % PHASES) as usize];
            let (left, top) = ((x / PHASES) as usize, (y / PHASES) as usize);
            // Both are one more than the pixel before the place, and the first of four is one less than that.
            let line = |line: usize| {
                let at = (top + line).checked_sub(2)? * row_bytes + left.checked_sub(2)? * N;
                samples.get(at..)?.first_chunk::<LANES>()
            };
            *pixel = match [line(0), line(1), line(2), line(3)] {
                [Some(one), Some(two), Some(three), Some(four)] if left + 2 <= size.0 => {
                    mixed::<N>([one, two, three, four], across, down)
                }
                _ => {
                    let lines = at_the_edge::<N>(samples, size, (left, top));
                    mixed::<N>(lines.each_ref(), across, down)
                }
            };
        }
    }
    page
}

/// A place in a picture in phases, counted from the pixel before its first one, or [`OUTSIDE`].
fn phases((x, y): (f32, f32), (width, height): (usize, usize)) -> (i32, i32) {
    let is_in = x >= -0.5 && y >= -0.5 && x < width as f32 - 0.5 && y < height as f32 - 0.5;
    let phase = |place: f32| ((place + 1.0) * PHASES as f32) as i32;
    if is_in { (phase(x), phase(y)) } else { (OUTSIDE, OUTSIDE) }
}

/// Four times four pixels around a place near the edge of a picture: beyond it they are those on it.
#[cold]
fn at_the_edge<const N: usize>(
    samples: &[u8],
    (width, height): (usize, usize),
    (left, top): (usize, usize),
) -> [[u8; LANES]; 4] {
    std::array::from_fn(|line| {
        let line = (top + line).saturating_sub(2).min(height - 1) * width;
        std::array::from_fn(|lane| {
            let column = (left + lane / N).saturating_sub(2).min(width - 1);
            samples[(line + column) * N + lane % N]
        })
    })
}

/// A pixel of four times four around its place: the lines are mixed first, all samples of a line at once, and then the
/// columns. What a line holds beyond its fourth pixel has no weight.
fn mixed<const N: usize>(lines: [&[u8; LANES]; 4], across: &Weights, down: &Weights) -> [u8; N] {
    let mixed = mixed_lines(lines, down);
    let mut sums = [ONE * ONE / 2; N];
    for (column, weight) in across.iter().enumerate() {
        for (channel, sum) in sums.iter_mut().enumerate() {
            *sum += i32::from(*weight) * i32::from(mixed[column * N + channel]);
        }
    }
    sums.map(|sum| ((sum >> (2 * ONE.trailing_zeros())) + MIDDLE).clamp(0, 255) as u8)
}

/// The samples of four lines, weighed. By itself, or the compiler mixes columns first, a sample at a time.
#[inline(never)]
fn mixed_lines([one, two, three, four]: [&[u8; LANES]; 4], down: &Weights) -> [i16; LANES] {
    let mut mixed = [0; LANES];
    for lane in 0..LANES {
        let weighed = |sample: u8, line: usize| down[line].wrapping_mul(i16::from(sample));
        let sum = weighed(one[lane], 0).wrapping_add(weighed(two[lane], 1));
        let sum = sum.wrapping_add(weighed(three[lane], 2)).wrapping_add(weighed(four[lane], 3));
        // Counted from the middle gray, the sum fits 16 bits; what wrapped around on the way comes back.
        mixed[lane] = sum.wrapping_sub((MIDDLE * ONE) as i16);
    }
    mixed
}

/// The weights of the four pixels in a row around a place.
type Weights = [i16; 4];

/// The weights for a place by where it lies between the inner two of four pixels (Catmull and Rom).
fn weights() -> Vec<Weights> {
    let of_phase = |phase: i32| {
        let t = (phase as f32 + 0.5) / PHASES as f32;
        let (square, cube) = (t * t, t * t * t);
        let parts = [
            -0.5 * t + square - 0.5 * cube,
            1.0 - 2.5 * square + 1.5 * cube,
            0.5 * t + 2.0 * square - 1.5 * cube,
            -0.5 * square + 0.5 * cube,
        ];
        let mut each = parts.map(|part| (part * ONE as f32).round() as i16);
        // Together they are exactly 1, or white paper would become gray.
        each[if t < 0.5 { 1 } else { 2 }] += ONE as i16 - each.iter().sum::<i16>();
        each
    };
    (0..PHASES).map(of_phase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_that_is_not_turned_keeps_its_samples_and_paper_stays_white() {
        let picture = GrayImage::from_fn(80, 60, |x, y| image::Luma([(x * 3 + y) as u8]));
        let corners = [(10.0, 5.0), (70.0, 5.0), (70.0, 55.0), (10.0, 55.0)];
        let Samples::Gray(page) = flattened(&Samples::Gray(picture.clone()), &corners) else {
            panic!("gray stays gray")
        };
        assert_eq!(page.dimensions(), (60, 50));
        let differs = |(x, y, sample): (u32, u32, &image::Luma<u8>)| {
            sample[0].abs_diff(picture.get_pixel(x + 10, y + 5)[0]) > 1
        };
        assert_eq!(page.enumerate_pixels().filter(|&pixel| differs(pixel)).count(), 0);

        let white = RgbImage::from_pixel(50, 50, image::Rgb([255; 3]));
        let leaning = [(-3.0, 4.0), (48.0, -2.0), (53.0, 49.0), (2.0, 47.0)];
        let Samples::Rgb(page) = flattened(&Samples::Rgb(white), &leaning) else {
            panic!("colour stays colour")
        };
        assert!(page.iter().all(|&sample| sample == 255));
    }
}
