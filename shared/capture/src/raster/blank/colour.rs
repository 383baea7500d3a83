//! Colour that is as light as paper: a marker's line, a yellow box.
//!
//! Colour is compared with that of the paper around it, so that neither tinted nor yellowed paper counts. The lines that
//! a scanner's sensor draws down a page, and the fringes that it gives to dark edges, are thinner than a marker's.

use image::{GrayImage, Luma, RgbImage};

use super::{Inside, LARGE, pale};
use crate::raster::ink::{self, Ink};

/// A colour differs from the paper's by so much, of 255: from blue to yellow, and from magenta to green.
const APART: [f32; 2] = [44.0, 44.0];
/// Half the side of the neighbourhood in reduced pixels: 4 mm on A4.
const REACH: usize = 26;
/// What someone drew is on average as thick as this, in reduced pixels: 0.5 mm on A4.
const THICK: u32 = 3;

/// Whether there is a coloured line or area on a page that is larger than a fleck.
pub(super) fn is_there(picture: &RgbImage, ink: &Ink) -> bool {
    let hues = hues(picture, ink);
    let [(yellow, around_yellow), (green, around_green)] =
        hues.each_ref().map(|hue| (hue, pale::means(hue, REACH)));
    let apart =
        |hue: &GrayImage, means: &[f32], at: usize| (f32::from(hue.as_raw()[at]) - means[at]).abs() * 2.0;
    let inside = Inside::of(ink);
    let width = yellow.width() as usize;
    let mut runs = Vec::new();
    let mut is_coloured = vec![0u8; width.next_multiple_of(8)];
    for y in inside.y0..inside.y1 {
        for x in inside.x0..inside.x1 {
            let at = y as usize * width + x as usize;
            let is =
                apart(yellow, &around_yellow, at) > APART[0] || apart(green, &around_green, at) > APART[1];
            is_coloured[x as usize] = u8::from(is);
        }
        ink::append_runs(&is_coloured, y, &mut runs);
    }
    let large = ink.long_side() as f32 * LARGE;
    ink::connected(runs).1.iter().any(|mark| {
        let long = mark.width().max(mark.height());
        long as f32 > large && mark.area >= long * THICK
    })
}

/// How yellow and how green each pixel of the reduced page is; 128 is neither.
fn hues(picture: &RgbImage, ink: &Ink) -> [GrayImage; 2] {
    let by = ink.reduction;
    let mut hues = [0; 2].map(|_: u8| GrayImage::new(ink.width, ink.height));
    let count = (by * by) as i32;
    for y in 0..ink.height {
        for x in 0..ink.width {
            let mut sums = [0i32; 3];
            for row in y * by..(y + 1) * by {
                for column in x * by..(x + 1) * by {
                    let pixel = picture.get_pixel(column, row).0;
                    sums.iter_mut().zip(pixel).for_each(|(sum, level)| *sum += i32::from(level));
                }
            }
            let [red, green, blue] = sums.map(|sum| sum / count);
            let of = [red - blue, green - (red + blue) / 2];
            for (hue, difference) in hues.iter_mut().zip(of) {
                hue.put_pixel(x, y, Luma([(128 + difference / 2) as u8]));
            }
        }
    }
    hues
}
