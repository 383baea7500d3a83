//! Taking the perspective out: what the camera saw of a sheet, spread to a rectangle.

use image::{GrayImage, Luma, Rgb, RgbImage};
use imageproc::geometric_transformations::{Border, Interpolation, Projection, warp_into};

use super::quad::{self, Corners};
use crate::decode::Samples;

/// The sheet between four corners, as a page whose sides are as long as the longer ones of the sheet.
pub(super) fn flattened(samples: &Samples, corners: &Corners) -> Samples {
    let [top, right, bottom, left] = quad::sides(corners).map(quad::length);
    let (width, height) = (top.max(bottom).round().max(1.0), left.max(right).round().max(1.0));
    let page = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)];
    let Some(projection) = Projection::from_control_points(*corners, page) else { return samples.clone() };
    let (width, height) = (width as u32, height as u32);
    match samples {
        Samples::Bitonal(image) | Samples::Gray(image) => {
            let mut page = GrayImage::new(width, height);
            warp_into(image, projection, Interpolation::Bicubic, Border::Constant(Luma([255])), &mut page);
            Samples::Gray(page)
        }
        Samples::Rgb(image) => {
            let mut page = RgbImage::new(width, height);
            warp_into(image, projection, Interpolation::Bicubic, Border::Constant(Rgb([255; 3])), &mut page);
            Samples::Rgb(page)
        }
    }
}
