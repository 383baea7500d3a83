//! Turning a page: by quarters without touching a sample, by the skew with interpolation.
//!
//! A straightened page keeps its size. What comes in at the corners has the colour of the paper, so that
//! no dark wedges grow.

use image::imageops::{rotate90, rotate180, rotate270};
use image::{GrayImage, RgbImage};

use crate::decode::Samples;

/// Turns by `clockwise_deg`, a multiple of 90.
pub(super) fn by_quarters(samples: Samples, clockwise_deg: u32) -> Samples {
    match samples {
        Samples::Bitonal(image) => Samples::Bitonal(gray_by_quarters(image, clockwise_deg)),
        Samples::Gray(image) => Samples::Gray(gray_by_quarters(image, clockwise_deg)),
        Samples::Rgb(image) => Samples::Rgb(match clockwise_deg % 360 {
            90 => rotate90(&image),
            180 => rotate180(&image),
            270 => rotate270(&image),
            _ => image,
        }),
    }
}

/// Turns a gray picture by `clockwise_deg`, a multiple of 90.
pub(super) fn gray_by_quarters(image: GrayImage, clockwise_deg: u32) -> GrayImage {
    match clockwise_deg % 360 {
        90 => rotate90(&image),
        180 => rotate180(&image),
        270 => rotate270(&image),
        _ => image,
    }
}

/// Takes a clockwise skew out of a page. Answers its samples and the gray copy to read: a black and white page
/// is read with the soft edges that turning gave it, and stored without them.
pub(super) fn straightened(samples: &Samples, skew_deg: f32) -> (Samples, GrayImage) {
    match samples {
        Samples::Bitonal(image) => {
            let soft = gray(image, rotated::<1>(image.as_raw(), image.dimensions(), skew_deg, [255]));
            let hard = soft.iter().map(|&sample| if sample < 128 { 0 } else { 255 }).collect();
            (Samples::Bitonal(gray(image, hard)), soft)
        }
        Samples::Gray(image) => {
            let paper = paper::<1>(image.as_raw());
            let turned = gray(image, rotated::<1>(image.as_raw(), image.dimensions(), skew_deg, paper));
            (Samples::Gray(turned.clone()), turned)
        }
        Samples::Rgb(image) => {
            let paper = paper::<3>(image.as_raw());
            let turned = rotated::<3>(image.as_raw(), image.dimensions(), skew_deg, paper);
            let (width, height) = image.dimensions();
            let turned =
                Samples::Rgb(RgbImage::from_raw(width, height, turned).expect("the size is unchanged"));
            let gray = turned.to_gray();
            (turned, gray)
        }
    }
}

fn gray(like: &GrayImage, samples: Vec<u8>) -> GrayImage {
    GrayImage::from_raw(like.width(), like.height(), samples).expect("the size is unchanged")
}

/// The colour of the paper: for each component the median of the lighter half of the page.
fn paper<const N: usize>(samples: &[u8]) -> [u8; N] {
    const STEP: usize = 7;
    let mut paper = [255; N];
    for (component, paper) in paper.iter_mut().enumerate() {
        let mut counts = [0usize; 256];
        samples.iter().skip(component).step_by(N * STEP).for_each(|&sample| counts[usize::from(sample)] += 1);
        let lighter: usize = counts.iter().sum::<usize>() / 4;
        let mut seen = 0;
        for (value, count) in (0u8..=255).zip(counts).rev() {
            seen += count;
            if seen > lighter {
                *paper = value;
                break;
            }
        }
    }
    paper
}

/// Rotates counter-clockwise about the centre, with bilinear interpolation.
fn rotated<const N: usize>(samples: &[u8], size: (u32, u32), skew_deg: f32, paper: [u8; N]) -> Vec<u8> {
    let (width, height) = (size.0 as usize, size.1 as usize);
    let (sine, cosine) = f64::from(skew_deg).to_radians().sin_cos();
    let centre = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
    let mut turned = Vec::with_capacity(samples.len());
    let at = |x: i64, y: i64, component: usize| -> u32 {
        let inside = x >= 0 && y >= 0 && (x as usize) < width && (y as usize) < height;
        u32::from(if inside {
            samples[(y as usize * width + x as usize) * N + component]
        } else {
            paper[component]
        })
    };
    for y in 0..height {
        // Where this row begins in the source, and how far one pixel to the right leads.
        let dy = y as f64 - centre.1;
        let mut from_x = centre.0 - cosine * centre.0 - sine * dy;
        let mut from_y = centre.1 - sine * centre.0 + cosine * dy;
        for _ in 0..width {
            let (left, top) = (from_x.floor(), from_y.floor());
            let (right_part, bottom_part) =
                (((from_x - left) * 256.0) as u32, ((from_y - top) * 256.0) as u32);
            let (x, y) = (left as i64, top as i64);
            let inner = x >= 0 && y >= 0 && x + 1 < width as i64 && y + 1 < height as i64;
            let first = if inner { (y as usize * width + x as usize) * N } else { 0 };
            for component in 0..N {
                let [a, b, c, d] = if inner {
                    let (upper, lower) = (first + component, first + component + width * N);
                    [samples[upper], samples[upper + N], samples[lower], samples[lower + N]].map(u32::from)
                } else {
                    [
                        at(x, y, component),
                        at(x + 1, y, component),
                        at(x, y + 1, component),
                        at(x + 1, y + 1, component),
                    ]
                };
                let upper = a * (256 - right_part) + b * right_part;
                let lower = c * (256 - right_part) + d * right_part;
                turned.push(((upper * (256 - bottom_part) + lower * bottom_part + (1 << 15)) >> 16) as u8);
            }
            from_x += cosine;
            from_y += sine;
        }
    }
    turned
}
