//! Samples as decoders give them, to gray or sRGB on white paper.
//!
//! Without colour management: pages are read, not proofed.

use image::{GrayImage, RgbImage};

use super::picture::Samples;

/// Makes a picture of interleaved 8-bit samples: gray, RGB or CMYK by their number, the last being opacity where
/// `alpha` says so. `None` for any other number, or where samples are missing.
pub(super) fn samples(
    (width, height): (u32, u32),
    data: Vec<u8>,
    channels: usize,
    alpha: bool,
) -> Option<Samples> {
    match (channels, alpha) {
        (1, false) => GrayImage::from_raw(width, height, data).map(Samples::Gray),
        (2, true) => GrayImage::from_raw(width, height, on_white::<2, 1>(&data)).map(Samples::Gray),
        (3, false) => RgbImage::from_raw(width, height, data).map(Samples::Rgb),
        (4, true) => RgbImage::from_raw(width, height, on_white::<4, 3>(&data)).map(Samples::Rgb),
        (4, false) => RgbImage::from_raw(width, height, from_cmyk(data)).map(Samples::Rgb),
        _ => None,
    }
}

/// Lays what is transparent on white paper. `N` samples a pixel, the last being opacity, become `M = N - 1`.
pub(super) fn on_white<const N: usize, const M: usize>(data: &[u8]) -> Vec<u8> {
    let (pixels, _) = data.as_chunks::<N>();
    pixels
        .iter()
        .flat_map(|pixel| std::array::from_fn::<u8, M, _>(|at| over_white(pixel[at], pixel[N - 1])))
        .collect()
}

/// A sample of this opacity on white paper.
pub(super) fn over_white(sample: u8, alpha: u8) -> u8 {
    ((u32::from(sample) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 127) / 255) as u8
}

/// Inks to light, in the same memory: a large page is not held twice.
fn from_cmyk(mut data: Vec<u8>) -> Vec<u8> {
    let count = data.len() / 4;
    for pixel in 0..count {
        let light = light_of(std::array::from_fn(|at| data[4 * pixel + at]));
        data[3 * pixel..3 * pixel + 3].copy_from_slice(&light);
    }
    data.truncate(3 * count);
    data.shrink_to_fit();
    data
}

/// Lightness, two differences of colour and black to inks, as `DCTDecode` does (ISO 32000-1, table 13, `ColorTransform`).
pub(super) fn cmyk_of_ycck(data: &mut [u8]) {
    for [first, second, third, _] in data.as_chunks_mut::<4>().0 {
        let (light, blue, red) = (f32::from(*first), f32::from(*second) - 128.0, f32::from(*third) - 128.0);
        let ink = |light: f32| (255.0 - light).round().clamp(0.0, 255.0) as u8;
        *first = ink(light + 1.402 * red);
        *second = ink(light - 0.344_14 * blue - 0.714_14 * red);
        *third = ink(light + 1.772 * blue);
    }
}

/// Cyan, magenta, yellow and black to red, green and blue.
pub(super) fn light_of([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    [cyan, magenta, yellow].map(|ink| (u32::from(255 - ink) * u32::from(255 - black) / 255) as u8)
}

/// One byte for each bit, the leftmost pixel in the highest bit; 1 is white. Each row begins with a byte.
pub(super) fn unpacked(bytes: &[u8], width: u32, height: u32) -> Vec<u8> {
    let width = width as usize;
    let mut samples = Vec::with_capacity(width * height as usize);
    for row in bytes.chunks_exact(width.div_ceil(8).max(1)) {
        let end = samples.len() + width;
        for byte in row {
            let spread: [u8; 8] = std::array::from_fn(|at| 0u8.wrapping_sub(byte >> (7 - at) & 1));
            samples.extend_from_slice(&spread);
        }
        samples.truncate(end);
    }
    samples
}

/// One byte for each sample of `bits` (1, 2 or 4) bits, the leftmost in the highest bits; each row of `row` samples
/// begins with a byte. `scaled` makes the highest value 255, otherwise values stay as they are.
pub(super) fn spread(bytes: &[u8], bits: u32, row: usize, scaled: bool) -> Vec<u8> {
    let (per_byte, highest) = (8 / bits as usize, (1u8 << bits) - 1);
    let factor = if scaled { 255 / highest } else { 1 };
    let mut samples = Vec::with_capacity(bytes.len() * per_byte);
    for row_bytes in bytes.chunks_exact(row.div_ceil(per_byte).max(1)) {
        let end = samples.len() + row;
        for byte in row_bytes {
            samples.extend((1..=per_byte).map(|at| (byte >> (8 - bits as usize * at) & highest) * factor));
        }
        samples.truncate(end);
    }
    samples
}
