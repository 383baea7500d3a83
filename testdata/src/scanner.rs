//! A scanner, and what it does to paper: it turns, softens, shades, specks and thresholds.
//!
//! Everything random comes from a seed, so that the same sheet and settings give the same pixels.

use image::imageops::{self, FilterType};
use image::{GrayImage, Rgb, RgbImage};
use imageproc::filter::gaussian_blur_f32;

/// Dots per inch of a printed sheet.
pub const SHEET_DPI: u32 = 300;
/// The colour of blank paper under the lamp.
pub const PAPER: Rgb<u8> = Rgb([250, 249, 246]);

/// How tones are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    /// All colours.
    Colour,
    /// Gray.
    Gray,
    /// Black and white.
    Bitonal,
}

/// The settings of one scan.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Tones to keep.
    pub tone: Tone,
    /// Dots per inch of the scan.
    pub dpi: u32,
    /// How far the sheet lies turned, clockwise, in degrees.
    pub skew_deg: f32,
    /// The sheet went in head down.
    pub upside_down: bool,
    /// Softness of the optics: standard deviation in pixels.
    pub blur: f32,
    /// Noise of the sensor: standard deviation in levels of 255.
    pub noise: f32,
    /// Number of specks of dust.
    pub specks: u32,
    /// Share of the light missing in the darkest corner, 0 to 1.
    pub shading: f32,
    /// A dark edge where the lid does not close.
    pub shadow: bool,
    /// Share of the ink's contrast that is left, 1 for a fresh print.
    pub contrast: f32,
    /// Seed of everything random.
    pub seed: u64,
}

impl Settings {
    /// A good office scanner: slightly soft, slightly noisy.
    pub fn office(tone: Tone, dpi: u32, skew_deg: f32, seed: u64) -> Self {
        Self {
            tone,
            dpi,
            skew_deg,
            upside_down: false,
            blur: 0.6,
            noise: 2.5,
            specks: 25,
            shading: 0.04,
            shadow: false,
            contrast: 1.0,
            seed,
        }
    }
}

/// The pixels of a scan.
#[derive(Clone, Debug)]
pub enum Pixels {
    /// In colour.
    Colour(RgbImage),
    /// Gray, or bitonal with the two values 0 and 255.
    Gray(GrayImage),
}

/// Scans a sheet.
pub fn scan(sheet: &RgbImage, settings: &Settings) -> Pixels {
    let mut chance = Chance(settings.seed);
    let scaled = |length: u32| (length * settings.dpi).div_ceil(SHEET_DPI);
    let filter = FilterType::Triangle;
    let mut image = imageops::resize(sheet, scaled(sheet.width()), scaled(sheet.height()), filter);
    if settings.upside_down {
        imageops::rotate180_in_place(&mut image);
    }
    if settings.skew_deg != 0.0 {
        image = turn(&image, settings.skew_deg);
    }
    if settings.blur > 0.0 {
        image = gaussian_blur_f32(&image, settings.blur);
    }
    light(&mut image, settings, &mut chance);
    speck(&mut image, settings.specks, settings.dpi, &mut chance);
    match settings.tone {
        Tone::Colour => Pixels::Colour(image),
        Tone::Gray => Pixels::Gray(imageops::grayscale(&image)),
        Tone::Bitonal => {
            let mut gray = imageops::grayscale(&image);
            gray.pixels_mut().for_each(|pixel| pixel.0[0] = if pixel.0[0] < 150 { 0 } else { 255 });
            Pixels::Gray(gray)
        }
    }
}

/// Turns the content clockwise about the centre; what comes into view is paper.
fn turn(image: &RgbImage, degrees: f32) -> RgbImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (width, height) = image.dimensions();
    let (cx, cy) = (width as f32 / 2.0, height as f32 / 2.0);
    RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (x as f32 + 0.5 - cx, y as f32 + 0.5 - cy);
        let (sx, sy) = (cos * dx + sin * dy + cx - 0.5, cos * dy - sin * dx + cy - 0.5);
        let (left, top) = (sx.floor(), sy.floor());
        if left < 0.0 || top < 0.0 || left + 1.0 >= width as f32 || top + 1.0 >= height as f32 {
            return PAPER;
        }
        let (fx, fy) = (sx - left, sy - top);
        let at = |x: f32, y: f32| image.get_pixel(x as u32, y as u32).0;
        let corners = [at(left, top), at(left + 1.0, top), at(left, top + 1.0), at(left + 1.0, top + 1.0)];
        let shares = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
        Rgb(std::array::from_fn(|channel| {
            let sum: f32 =
                corners.iter().zip(shares).map(|(pixel, share)| f32::from(pixel[channel]) * share).sum();
            sum.round() as u8
        }))
    })
}

/// Fading ink, uneven light, the shadow at the edge, and the sensor's noise.
fn light(image: &mut RgbImage, settings: &Settings, chance: &mut Chance) {
    let (width, height) = image.dimensions();
    let shadow_width = settings.dpi as f32 * 0.16;
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let (right, down) = (x as f32 / width as f32, y as f32 / height as f32);
        let mut lamp = 1.0 - settings.shading * (0.6 * right * right + 0.4 * down);
        if settings.shadow && (x as f32) < shadow_width {
            lamp *= 0.35 + 0.65 * x as f32 / shadow_width;
        }
        let noise = chance.bell() * settings.noise;
        for (level, paper) in pixel.0.iter_mut().zip(PAPER.0) {
            let paper = f32::from(paper);
            let inked = paper - (paper - f32::from(*level)) * settings.contrast;
            *level = (inked * lamp + noise).round().clamp(0.0, 255.0) as u8;
        }
    }
}

/// Dust: small dark dots, and here and there a missing one in the print.
fn speck(image: &mut RgbImage, count: u32, dpi: u32, chance: &mut Chance) {
    let (width, height) = image.dimensions();
    for number in 0..count {
        let (x, y) = (chance.below(width) as i32, chance.below(height) as i32);
        let radius = 1 + chance.below(dpi / 130) as i32;
        let ink = if number % 5 == 4 { PAPER } else { Rgb([60, 58, 55]) };
        imageproc::drawing::draw_filled_circle_mut(image, (x, y), radius, ink);
    }
}

/// A small generator of random numbers (SplitMix64): the same on every machine.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: u32) -> u32 {
        (self.next() % u64::from(end.max(1))) as u32
    }

    /// Nearly normal with mean 0 and standard deviation 1: the sum of four even 16-bit numbers.
    fn bell(&mut self) -> f32 {
        let bits = self.next();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        (sum as f32 / 65_535.0 - 2.0) * 3.0f32.sqrt()
    }
}
