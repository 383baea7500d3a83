//! One picture without any symmetry, in colour, in gray and in black and white. The files in `tests/formats` show it.

use image::{GrayImage, Luma, Rgb, RgbImage};

pub(super) const WIDTH: u32 = 61;
pub(super) const HEIGHT: u32 = 47;

/// Three boxes of colour on paper that grows lighter.
pub(super) fn colour() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Rgb(if x < 20 && y < 12 {
            [30, 40, 60]
        } else if x > 45 && y > 23 {
            [200, 60, 40]
        } else if x < 30 && y > 40 {
            [40, 140, 70]
        } else {
            [200 + (x * 40 / WIDTH) as u8, 210 + (y * 30 / HEIGHT) as u8, 235]
        })
    })
}

/// The greens of the scene.
pub(super) fn gray() -> GrayImage {
    let colour = colour();
    GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([colour.get_pixel(x, y).0[1]]))
}

/// Dots, 0 or 255.
pub(super) fn dots() -> GrayImage {
    GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let black = (x / 5 * 7 + y / 3 * 2 + x * y / 41) % 11 < 3 || (x < 20 && y < 12);
        Luma([if black { 0 } else { 255 }])
    })
}

/// The scene in four, sixteen or so even shades: what a file of few bits can hold of it.
pub(super) fn shades(levels: u8) -> GrayImage {
    let step = 255 / u16::from(levels - 1);
    let mut image = gray();
    image.iter_mut().for_each(|sample| *sample = ((u16::from(*sample) + step / 2) / step * step) as u8);
    image
}
