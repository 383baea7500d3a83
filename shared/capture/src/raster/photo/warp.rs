//! Taking the perspective out: what the camera saw of a sheet, spread to a rectangle.
//!
//! Bicubic, in whole numbers: a photo has millions of pixels, and each is made of sixteen. `imageproc`, which finds the
//! projection, does the same in a quarter of this speed.

use imageproc::geometric_transformations::Projection;

use image::{GrayImage, RgbImage};

use super::quad::{self, Corners};
use crate::decode::Samples;

/// Places between two pixels that are told apart.
const PHASES: usize = 256;
/// A weight of 1.
const ONE: f32 = 256.0;

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
    let (width, height) = (width as usize, height as usize);
    let (right, bottom) = (width as f32 - 0.5, height as f32 - 0.5);
    let mut page = vec![u8::MAX; page_width as usize * page_height as usize * N];
    let pixels = page.as_chunks_mut::<N>().0;
    for (y, row) in pixels.chunks_exact_mut(page_width as usize).enumerate() {
        for (x, pixel) in row.iter_mut().enumerate() {
            let (from_x, from_y) = *seen * (x as f32, y as f32);
            if !(-0.5..right).contains(&from_x) || !(-0.5..bottom).contains(&from_y) {
                continue;
            }
            let (left, top) = (from_x.floor(), from_y.floor());
            let phase = |part: f32| &weights[((part * PHASES as f32) as usize).min(PHASES - 1)];
            let (across, down) = (phase(from_x - left), phase(from_y - top));
            let (left, top) = (left as isize - 1, top as isize - 1);
            let mut sums = [0i32; N];
            let inside = left >= 0 && left as usize + 4 <= width;
            for (line, by) in (top..).zip(down) {
                let line = line.clamp(0, height as isize - 1) as usize * width;
                let mut along = [0i32; N];
                if inside {
                    let four = samples[(line + left as usize) * N..][..4 * N].as_chunks::<N>().0;
                    for (sample, weight) in four.iter().zip(across) {
                        for channel in 0..N {
                            along[channel] += weight * i32::from(sample[channel]);
                        }
                    }
                } else {
                    for (column, weight) in (left..).zip(across) {
                        let at = (line + column.clamp(0, width as isize - 1) as usize) * N;
                        for channel in 0..N {
                            along[channel] += weight * i32::from(samples[at + channel]);
                        }
                    }
                }
                for channel in 0..N {
                    sums[channel] += by * along[channel];
                }
            }
            for channel in 0..N {
                pixel[channel] = ((sums[channel] + (1 << 15)) >> 16).clamp(0, 255) as u8;
            }
        }
    }
    page
}

/// The weights of the four pixels in a row around a place, by where it lies between the inner two (Catmull and Rom).
fn weights() -> Vec<[i32; 4]> {
    let of_phase = |phase: usize| {
        let t = (phase as f32 + 0.5) / PHASES as f32;
        let (square, cube) = (t * t, t * t * t);
        let parts = [
            -0.5 * t + square - 0.5 * cube,
            1.0 - 2.5 * square + 1.5 * cube,
            0.5 * t + 2.0 * square - 1.5 * cube,
            -0.5 * square + 0.5 * cube,
        ];
        let mut weights = parts.map(|part| (part * ONE).round() as i32);
        // Together they are exactly 1, or white paper would become gray.
        weights[if t < 0.5 { 1 } else { 2 }] += ONE as i32 - weights.iter().sum::<i32>();
        weights
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
