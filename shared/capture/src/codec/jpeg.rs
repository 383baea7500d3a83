//! JPEG of measured quality (ITU-T T.81).
//!
//! One quality for all pages is too much for most and too little for some: what a step of quantization takes from a
//! letter depends on the letter. So the most eventful tiles of a page are coded at several qualities, decoded again
//! and compared, and the page is coded at the lowest quality whose tiles are like the original by structural
//! similarity (Wang and others, 2004) in their lightness. That measure sees broken edges of letters, and is nearly
//! blind to the noise of a scanner, as people are.

use image::{ImageFormat, load_from_memory_with_format};
use jpeg_encoder::{ColorType, Encoder, EncodingError, SamplingFactor};

use crate::decode::Chroma;

/// The qualities to choose from (as the reference coder counts).
const QUALITIES: std::ops::RangeInclusive<u8> = 60..=92;
/// The quality of a page of which nothing can be measured.
const QUALITY_UNMEASURED: u8 = 85;
/// The least likeness of a tile, 1 being the same: of all tiles on average, and of each.
const LIKENESS_MEAN: f64 = 0.97;
/// See [`LIKENESS_MEAN`].
const LIKENESS_WORST: f64 = 0.94;
/// The side of a tile in pixels.
const TILE: usize = 64;
/// The most tiles that are compared.
const TILES_MAX: usize = 24;
/// The distance of the windows in which likeness is measured.
const STEP: usize = 4;
/// The side of these windows.
const WINDOW: usize = 2 * STEP;

/// Samples of 8 bits, rows without padding.
#[derive(Clone, Copy)]
pub(crate) struct Raw<'s> {
    pub(crate) samples: &'s [u8],
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// 1 (gray) or 3 (red, green, blue).
    pub(crate) channels: usize,
}

/// Codes a picture at the lowest quality at which nobody sees a difference, and answers that quality.
///
/// # Errors
///
/// A fault of the encoder.
pub(crate) fn measured(raw: Raw<'_>, chroma: Chroma) -> Result<(Vec<u8>, u8), EncodingError> {
    let quality = quality(raw, chroma)?;
    Ok((encoded(raw, chroma, quality)?, quality))
}

/// Codes a picture at a quality.
///
/// # Errors
///
/// A fault of the encoder.
pub(crate) fn encoded(raw: Raw<'_>, chroma: Chroma, quality: u8) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    // Coloured letters and stamps have edges too: colours keep the resolution that the scanner gave them.
    encoder.set_sampling_factor(match chroma {
        Chroma::Full => SamplingFactor::F_1_1,
        Chroma::Halved => SamplingFactor::F_2_2,
    });
    // Tables made for the page would make it a fifth smaller, but this encoder then holds all coefficients at once
    // and writes one scan for each component, which some readers handle badly.
    encoder.set_optimized_huffman_tables(false);
    let colours = if raw.channels == 1 { ColorType::Luma } else { ColorType::Rgb };
    encoder.encode(raw.samples, raw.width, raw.height, colours)?;
    Ok(bytes)
}

fn quality(raw: Raw<'_>, chroma: Chroma) -> Result<u8, EncodingError> {
    let tiles = eventful_tiles(raw);
    if tiles.is_empty() {
        return Ok(QUALITY_UNMEASURED);
    }
    let mosaic: Vec<u8> = tiles.concat();
    let strip = Raw {
        samples: &mosaic,
        width: TILE as u16,
        height: (TILE * tiles.len()) as u16,
        channels: raw.channels,
    };
    let (mut low, mut high) = (*QUALITIES.start(), *QUALITIES.end());
    while low < high {
        let middle = u8::midpoint(low, high);
        if is_alike(strip, &encoded(strip, chroma, middle)?) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

/// The tiles in which most happens, from all over the page.
fn eventful_tiles(raw: Raw<'_>) -> Vec<Vec<u8>> {
    let (across, down) = (usize::from(raw.width) / TILE, usize::from(raw.height) / TILE);
    let row_bytes = usize::from(raw.width) * raw.channels;
    let tile = |index: usize| -> Vec<u8> {
        let (left, top) = (index % across * TILE, index / across * TILE);
        let row =
            |y: usize| &raw.samples[(top + y) * row_bytes + left * raw.channels..][..TILE * raw.channels];
        (0..TILE).map(row).collect::<Vec<_>>().concat()
    };
    let mut ranked: Vec<(u64, usize)> = (0..across * down)
        .map(|index| (events(raw, index % across * TILE, index / across * TILE), index))
        .collect();
    ranked.sort_unstable_by(|a, b| b.cmp(a));
    // From the upper half, not the very first alone: those may be the edges of the paper.
    ranked.truncate((ranked.len() / 2).max(ranked.len().min(TILES_MAX)));
    let step = ranked.len().div_ceil(TILES_MAX).max(1);
    ranked.iter().step_by(step).map(|&(_, index)| tile(index)).collect()
}

/// How much happens in the tile at this place: the spread of its samples. Every other row and pixel tells as much.
fn events(raw: Raw<'_>, left: usize, top: usize) -> u64 {
    const COUNT: u64 = (TILE / 2 * TILE / 2) as u64;
    let row_bytes = usize::from(raw.width) * raw.channels;
    let (mut sum, mut squares) = (0u32, 0u32);
    for y in (top..top + TILE).step_by(2) {
        let row = &raw.samples[y * row_bytes + left * raw.channels..][..TILE * raw.channels];
        for pair in row.chunks_exact(2 * raw.channels) {
            let sample = u32::from(pair[0]);
            sum += sample;
            squares += sample * sample;
        }
    }
    u64::from(squares) * COUNT - u64::from(sum) * u64::from(sum)
}

fn is_alike(strip: Raw<'_>, coded: &[u8]) -> bool {
    let Ok(decoded) = load_from_memory_with_format(coded, ImageFormat::Jpeg) else { return false };
    let decoded =
        if strip.channels == 1 { decoded.into_luma8().into_raw() } else { decoded.into_rgb8().into_raw() };
    let tile_bytes = TILE * TILE * strip.channels;
    let each: Vec<f64> = strip
        .samples
        .chunks_exact(tile_bytes)
        .zip(decoded.chunks_exact(tile_bytes))
        .map(|(one, other)| likeness(&lightness(one, strip.channels), &lightness(other, strip.channels)))
        .collect();
    let mean = each.iter().sum::<f64>() / each.len() as f64;
    mean >= LIKENESS_MEAN && each.iter().all(|&one| one >= LIKENESS_WORST)
}

fn lightness(samples: &[u8], channels: usize) -> Vec<f64> {
    match channels {
        1 => samples.iter().map(|&gray| f64::from(gray)).collect(),
        _ => samples
            .chunks_exact(3)
            .map(|rgb| 0.299 * f64::from(rgb[0]) + 0.587 * f64::from(rgb[1]) + 0.114 * f64::from(rgb[2]))
            .collect(),
    }
}

/// The mean structural similarity of two tiles.
fn likeness(one: &[f64], other: &[f64]) -> f64 {
    const C1: f64 = 0.01 * 255.0 * 0.01 * 255.0;
    const C2: f64 = 0.03 * 255.0 * 0.03 * 255.0;
    // Windows overlap: each is four squares of this many on a side, whose sums are made once.
    const SQUARES: usize = TILE / STEP;
    let count = (WINDOW * WINDOW) as f64;
    let mut squares = [[Sums::default(); SQUARES]; SQUARES];
    for (y, (one, other)) in one.chunks_exact(TILE).zip(other.chunks_exact(TILE)).enumerate() {
        let row = one.chunks_exact(STEP).zip(other.chunks_exact(STEP));
        for (square, (one, other)) in squares[y / STEP].iter_mut().zip(row) {
            for (&p, &q) in one.iter().zip(other) {
                *square = square.with(Sums { a: p, b: q, aa: p * p, bb: q * q, ab: p * q });
            }
        }
    }
    let (mut sum, mut windows) = (0.0, 0.0);
    for rows in squares.windows(2) {
        for (upper, lower) in rows[0].windows(2).zip(rows[1].windows(2)) {
            let Sums { a, b, aa, bb, ab } = upper[0].with(upper[1]).with(lower[0].with(lower[1]));
            let (mean_a, mean_b) = (a / count, b / count);
            let (var_a, var_b) = (aa / count - mean_a * mean_a, bb / count - mean_b * mean_b);
            let both = ab / count - mean_a * mean_b;
            sum += (2.0 * mean_a * mean_b + C1) * (2.0 * both + C2)
                / ((mean_a * mean_a + mean_b * mean_b + C1) * (var_a + var_b + C2));
            windows += 1.0;
        }
    }
    sum / windows
}

/// Sums over the pixels of a square in two pictures: their lightness, its squares and its products.
#[derive(Clone, Copy, Default)]
struct Sums {
    a: f64,
    b: f64,
    aa: f64,
    bb: f64,
    ab: f64,
}

impl Sums {
    fn with(self, other: Self) -> Self {
        Self {
            a: self.a + other.a,
            b: self.b + other.b,
            aa: self.aa + other.aa,
            bb: self.bb + other.bb,
            ab: self.ab + other.ab,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(dot: impl Fn(u32, u32) -> u8) -> Vec<u8> {
        (0..512 * 512).map(|at| dot(at % 512, at / 512)).collect()
    }

    fn quality_of(samples: &[u8]) -> u8 {
        let raw = Raw { samples, width: 512, height: 512, channels: 1 };
        measured(raw, Chroma::Full).expect("it is coded").1
    }

    #[test]
    fn fine_strokes_get_a_higher_quality_than_soft_slopes() {
        let slopes = page(|x, y| (x / 4 + y / 8) as u8);
        // Hair lines in all directions, pale on gray, are what a coarse step breaks first.
        let strokes = page(|x, y| if (x * 3 + y * 7) % 11 == 0 || (x * x + y) % 13 == 0 { 150 } else { 190 });
        let (soft, fine) = (quality_of(&slopes), quality_of(&strokes));
        assert_eq!(soft, *QUALITIES.start());
        assert!(fine >= soft + 10, "{fine} against {soft}");
    }

    #[test]
    fn a_picture_smaller_than_a_tile_is_coded_all_the_same() {
        let raw = Raw { samples: &[7; 12], width: 2, height: 2, channels: 3 };
        let (bytes, quality) = measured(raw, Chroma::Full).expect("it is coded");
        assert_eq!((quality, &bytes[..2]), (QUALITY_UNMEASURED, &[0xff, 0xd8][..]));
    }
}
