//! Turning a page: by quarters without touching a sample, by the skew with interpolation.
//!
//! A straightened page keeps its size. What comes in at the corners has the colour of the paper, so that
//! no dark wedges grow.

use image::imageops::{rotate90, rotate180, rotate270};
use image::{GrayImage, Luma, Pixel, Rgb};
use imageproc::definitions::Image;
use imageproc::geometric_transformations::{Border, Interpolation, rotate_about_center};

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
            let soft = rotated(image, skew_deg, Luma([255]));
            let mut hard = soft.clone();
            hard.iter_mut().for_each(|sample| *sample = if *sample < 128 { 0 } else { 255 });
            (Samples::Bitonal(hard), soft)
        }
        Samples::Gray(image) => {
            let turned = rotated(image, skew_deg, Luma(paper::<1>(image.as_raw())));
            (Samples::Gray(turned.clone()), turned)
        }
        Samples::Rgb(image) => {
            let turned = Samples::Rgb(rotated(image, skew_deg, Rgb(paper::<3>(image.as_raw()))));
            let gray = turned.to_gray();
            (turned, gray)
        }
    }
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

/// Rotates counter-clockwise about the centre. Bicubic, because the turned page is what is kept: bilinear
/// interpolation softens the edges of small letters for good. (Recognition does not mind either way.)
fn rotated<P>(image: &Image<P>, skew_deg: f32, paper: P) -> Image<P>
where
    P: Pixel<Subpixel = u8> + Send + Sync,
{
    rotate_about_center(image, -skew_deg.to_radians(), Interpolation::Bicubic, Border::Constant(paper))
}
