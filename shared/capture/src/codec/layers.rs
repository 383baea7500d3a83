//! A page taken apart into layers: sharp text without loss, over a coarse picture of the rest.
//!
//! What is read on a page are its edges, and a JPEG spends most of its bytes on them, badly. So the dark strokes are
//! taken out as a mask in the page's full resolution (mixed raster content, as in ITU-T T.44). Below it lies the page
//! without its strokes, where hardly anything happens, at a third of the resolution; above it what colour the strokes
//! have, coarser still, or one colour where they all have the same.
//!
//! A stroke is what is nearer to the darkest of its surroundings than to their paper. Where darkness comes by degrees,
//! as in photographs, nothing is a stroke, and the picture below shows it. The danger is a page that does not come
//! apart so: [`taken_apart`] puts the layers together again, coarsely, and answers nothing where they do not look like
//! the page.
//!
//! A large page is held anyway while it is taken apart; beside it there is room for its mask, and for nothing else of its
//! size. What is needed of its other pixels is made for a few rows at a time, as often as it is asked for.

use std::borrow::Cow;
use std::ops::Range;

use fast_image_resize::images::{Image as ResizedImage, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{GrayImage, Luma};

use crate::decode::Samples;

/// A page of a lower resolution gets a mask of twice as many dots, for its gray edges say where they run between.
const DOUBLED_BELOW_DPI: u32 = 220;
/// The resolution of the picture below the mask, in dots an inch.
const BELOW_DPI: u32 = 100;
/// The resolution of the colours of the strokes.
const INK_DPI: u32 = 25;
/// The longest side of these two: JPEG can say no longer one.
const SIDE_MAX: usize = u16::MAX as usize;
/// The side of the squares whose paper and ink are found, as parts of an inch.
const SQUARES_PER_INCH: u32 = 14;
/// Paper and ink that differ less are both paper.
const CONTRAST_MIN: u8 = 36;
/// Where between ink (0) and paper (1) a stroke ends.
const EDGE: f32 = 0.56;
/// Squares with more than this part of their dots between ink and paper are no text.
const BETWEEN_MAX: f32 = 0.4;
/// Groups of fewer dots, at 300 dots an inch, are dust.
const DUST: usize = 5;
/// Strokes whose colours are as near to each other as this have one.
const SAME_INK: f32 = 28.0;
/// How much of the strokes may have another.
const OTHER_INK: f32 = 0.03;
/// How far the layers may be from the page on average, and in one of a thousand places, of 255.
const MEAN_MAX: f32 = 6.0;
/// See [`MEAN_MAX`].
const WORST_MAX: f32 = 80.0;

/// A coarse picture.
#[derive(Clone, Debug)]
pub(crate) struct Coarse {
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// 1 or 3.
    pub(crate) channels: usize,
    pub(crate) samples: Vec<u8>,
}

/// What colour the strokes have.
#[derive(Clone, Debug)]
pub(crate) enum Ink {
    /// One: red, green and blue.
    Same([u8; 3]),
    /// Many.
    Picture(Coarse),
}

/// A page in layers.
#[derive(Clone, Debug)]
pub(crate) struct Layers {
    /// What lies below.
    pub(crate) below: Coarse,
    /// Where the strokes are: black.
    pub(crate) mask: GrayImage,
    /// Their colour.
    pub(crate) ink: Ink,
}

/// Takes a page apart; `None` where it has no strokes, or where the layers do not look like it.
pub(crate) fn taken_apart(samples: &Samples, dpi: u32) -> Option<Layers> {
    let page = Page::of(samples);
    let doubled = dpi < DOUBLED_BELOW_DPI;
    let (mask, mask_dpi) = if doubled {
        let gray = twice(&samples.to_gray())?;
        let row = gray.width() as usize;
        let rows = |rows: Range<usize>| Cow::Borrowed(&gray.as_raw()[rows.start * row..rows.end * row]);
        (strokes(rows, gray.dimensions(), dpi * 2), dpi * 2)
    } else {
        (strokes(|rows| samples.gray_rows(rows), (page.width as u32, page.height as u32), dpi), dpi)
    };
    let mask = without_dust(mask, (DUST * mask_dpi as usize * mask_dpi as usize / 90_000).max(2));
    if mask.iter().all(|dot| *dot != 0) {
        return None;
    }
    let shares = Shares {
        mask: &mask,
        per_pixel: if doubled { 2 } else { 1 },
        width: page.width,
        height: page.height,
    };

    let (below, known) = page.averaged(page.factor(dpi, BELOW_DPI), &shares, |share| f32::from(share == 0));
    let below = filled(below, &known);
    let (ink, weights) = page.averaged(page.factor(dpi, INK_DPI), &shares, |share| {
        // Only the inside of a stroke has its colour; where there is no stroke it is filled from around.
        match share {
            255 => 1.0,
            0 | 1 => 0.0,
            _ => f32::from(share) / 255.0 * 0.05,
        }
    });
    let ink = match same_ink(&ink, &weights) {
        Some(colour) => Ink::Same(colour),
        None => Ink::Picture(filled(ink, &weights)),
    };
    page.looks_like(&below, &ink, &shares, dpi).then_some(Layers { below, mask, ink })
}

/// The dots that are strokes, black on white, of a page whose gray rows are made when they are asked for.
fn strokes<'g>(
    gray: impl Fn(Range<usize>) -> Cow<'g, [u8]>,
    (width, height): (u32, u32),
    dpi: u32,
) -> GrayImage {
    let side = (dpi / SQUARES_PER_INCH).max(6);
    let (across, down) = (width.div_ceil(side), height.div_ceil(side));
    let at = |x: u32, y: u32| (y * across + x) as usize;
    let mut papers = vec![255u8; (across * down) as usize];
    let mut inks = vec![255u8; (across * down) as usize];
    let rows_of = |y: u32| (y * side) as usize..((y + 1) * side).min(height) as usize;
    let columns_of = |x: u32| (x * side) as usize..((x + 1) * side).min(width) as usize;
    for y in 0..down {
        let band = gray(rows_of(y));
        for x in 0..across {
            let mut counts = [0u32; 256];
            in_square(&band, width, columns_of(x)).for_each(|sample| counts[usize::from(sample)] += 1);
            let all: u32 = counts.iter().sum();
            papers[at(x, y)] = ranked(&counts, all * 9 / 10);
            inks[at(x, y)] = ranked(&counts, all / 50);
        }
    }
    let around = |values: &[u8], best: fn(u8, u8) -> u8| -> Vec<u8> {
        let near = |x: u32, y: u32| {
            let columns = x.saturating_sub(1)..=(x + 1).min(across - 1);
            let rows = y.saturating_sub(1)..=(y + 1).min(down - 1);
            rows.flat_map(|row| columns.clone().map(move |column| (column, row)))
                .map(|(column, row)| values[at(column, row)])
                .reduce(best)
                .unwrap_or(255)
        };
        (0..down).flat_map(|y| (0..across).map(move |x| (x, y))).map(|(x, y)| near(x, y)).collect()
    };
    let (papers, inks) = (around(&papers, u8::max), around(&inks, u8::min));

    let mut mask = GrayImage::from_pixel(width, height, Luma([255]));
    for y in 0..down {
        let band = gray(rows_of(y));
        for x in 0..across {
            let (paper, ink) = (papers[at(x, y)], inks[at(x, y)]);
            if paper.saturating_sub(ink) < CONTRAST_MIN {
                continue;
            }
            let contrast = f32::from(paper - ink);
            let edge = f32::from(ink) + contrast * EDGE;
            let (dark, light) = (f32::from(ink) + contrast * 0.3, f32::from(ink) + contrast * 0.75);
            let (mut all, mut between) = (0u32, 0u32);
            for sample in in_square(&band, width, columns_of(x)) {
                all += 1;
                between += u32::from((dark..light).contains(&f32::from(sample)));
            }
            if between as f32 > all as f32 * BETWEEN_MAX {
                continue;
            }
            let width = width as usize;
            let dots = mask.as_mut().chunks_exact_mut(width).skip(rows_of(y).start);
            for (dots, samples) in dots.zip(band.chunks_exact(width)) {
                for (dot, sample) in dots[columns_of(x)].iter_mut().zip(&samples[columns_of(x)]) {
                    if f32::from(*sample) < edge {
                        *dot = 0;
                    }
                }
            }
        }
    }
    mask
}

/// The samples of a band of rows that are in these columns.
fn in_square(band: &[u8], width: u32, columns: Range<usize>) -> impl Iterator<Item = u8> + '_ {
    band.chunks_exact(width as usize).flat_map(move |row| row[columns.clone()].iter().copied())
}

/// The sample that has so many samples below it.
fn ranked(counts: &[u32; 256], rank: u32) -> u8 {
    let mut seen = 0;
    let found = counts.iter().position(|count| {
        seen += count;
        seen > rank
    });
    found.map_or(255, |sample| sample as u8)
}

/// Takes out groups of less than `least` dots that touch nothing.
fn without_dust(mut mask: GrayImage, least: usize) -> GrayImage {
    /// A black dot that was met.
    const SEEN: u8 = 1;
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    let dots = mask.as_mut();
    let (mut group, mut queue) = (Vec::new(), Vec::new());
    for start in 0..width * height {
        if dots[start] != 0 {
            continue;
        }
        group.clear();
        dots[start] = SEEN;
        queue.push(start);
        while let Some(at) = queue.pop() {
            if group.len() < least {
                group.push(at);
            }
            let (x, y) = (at % width, at / width);
            for near_y in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for near_x in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let near = near_y * width + near_x;
                    if dots[near] == 0 {
                        dots[near] = SEEN;
                        queue.push(near);
                    }
                }
            }
        }
        if group.len() < least {
            group.iter().for_each(|&at| dots[at] = 255);
        }
    }
    dots.iter_mut().filter(|dot| **dot == SEEN).for_each(|dot| *dot = 0);
    mask
}

fn twice(gray: &GrayImage) -> Option<GrayImage> {
    let (width, height) = (gray.width() * 2, gray.height() * 2);
    let source = ImageRef::new(gray.width(), gray.height(), gray.as_raw(), PixelType::U8).ok()?;
    let mut target = ResizedImage::new(width, height, PixelType::U8);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&source, &mut target, &options).ok()?;
    GrayImage::from_raw(width, height, target.into_vec())
}

/// The page while it is taken apart.
struct Page<'s> {
    pixels: &'s [u8],
    channels: usize,
    width: usize,
    height: usize,
}

impl<'s> Page<'s> {
    fn of(samples: &'s Samples) -> Self {
        let (pixels, channels, (width, height)) = match samples {
            Samples::Bitonal(image) | Samples::Gray(image) => (image.as_raw(), 1, image.dimensions()),
            Samples::Rgb(image) => (image.as_raw(), 3, image.dimensions()),
        };
        Self { pixels, channels, width: width as usize, height: height as usize }
    }

    /// How many pixels a side of a square has that is one pixel of a coarse picture in about this resolution.
    fn factor(&self, dpi: u32, coarse_dpi: u32) -> usize {
        let least = self.width.max(self.height).div_ceil(SIDE_MAX);
        ((dpi / coarse_dpi) as usize).max(least).max(1)
    }

    /// The page in squares of `factor` pixels: the mean of their pixels as they weigh, and their weights.
    fn averaged(&self, factor: usize, shares: &Shares<'_>, weigh: impl Fn(u8) -> f32) -> (Coarse, Vec<f32>) {
        let (across, down) = (self.width.div_ceil(factor), self.height.div_ceil(factor));
        let mut samples = Vec::with_capacity(across * down * self.channels);
        let mut weights = Vec::with_capacity(across * down);
        for y in 0..down {
            let rows = y * factor..((y + 1) * factor).min(self.height);
            let band = shares.of_rows(rows.clone());
            let first = rows.start * self.width;
            for x in 0..across {
                let (mut sums, mut weight) = ([0f32; 3], 0f32);
                for row in rows.clone() {
                    for at in
                        row * self.width + x * factor..row * self.width + ((x + 1) * factor).min(self.width)
                    {
                        let one = weigh(band[at - first]);
                        weight += one;
                        for (sum, sample) in
                            sums.iter_mut().zip(&self.pixels[at * self.channels..][..self.channels])
                        {
                            *sum += one * f32::from(*sample);
                        }
                    }
                }
                let mean = |sum: &f32| (sum / weight.max(1e-6)).round().clamp(0.0, 255.0) as u8;
                samples.extend(sums[..self.channels].iter().map(mean));
                weights.push(weight);
            }
        }
        (Coarse { width: across as u32, height: down as u32, channels: self.channels, samples }, weights)
    }

    /// Whether the layers, put together, look like the page from some way off.
    fn looks_like(&self, below: &Coarse, ink: &Ink, shares: &Shares<'_>, dpi: u32) -> bool {
        let factor = (dpi / 50).max(1) as usize;
        let (page, _) = self.averaged(factor, shares, |_| 1.0);
        let mut apart: Vec<f32> = Vec::new();
        for y in 0..page.height as usize {
            let rows = y * factor..((y + 1) * factor).min(self.height);
            let band = shares.of_rows(rows.clone());
            for x in 0..page.width as usize {
                let columns = x * factor..((x + 1) * factor).min(self.width);
                let mut stroke = 0f32;
                for row in band.chunks_exact(self.width) {
                    stroke += row[columns.clone()]
                        .iter()
                        .map(|share| match *share {
                            1 => 0.0,
                            share => f32::from(share) / 255.0,
                        })
                        .sum::<f32>();
                }
                let stroke = stroke / (columns.len() * rows.len()).max(1) as f32;
                for channel in 0..self.channels {
                    let below = below.near(
                        columns.start + columns.len() / 2,
                        rows.start + rows.len() / 2,
                        (self.width, self.height),
                        channel,
                    );
                    let ink = match ink {
                        Ink::Same(colour) => f32::from(colour[channel]),
                        Ink::Picture(ink) => ink.near(
                            columns.start + columns.len() / 2,
                            rows.start + rows.len() / 2,
                            (self.width, self.height),
                            channel,
                        ),
                    };
                    let sample = page.samples[(y * page.width as usize + x) * self.channels + channel];
                    apart.push((below + (ink - below) * stroke - f32::from(sample)).abs());
                }
            }
        }
        let mean = apart.iter().sum::<f32>() / apart.len().max(1) as f32;
        apart.sort_by(f32::total_cmp);
        let worst = apart.get(apart.len().saturating_sub(1 + apart.len() / 1_000)).copied().unwrap_or(0.0);
        mean <= MEAN_MAX && worst <= WORST_MAX
    }
}

/// How much of the page's pixels is stroke.
struct Shares<'m> {
    mask: &'m GrayImage,
    /// How many dots of the mask a side of a pixel has.
    per_pixel: usize,
    width: usize,
    height: usize,
}

impl Shares<'_> {
    /// For each pixel of these rows how much of it and of its neighbours is stroke: 0 none, 255 all, 1 where only a
    /// neighbour is.
    fn of_rows(&self, rows: Range<usize>) -> Vec<u8> {
        let width = self.width;
        let known = rows.start.saturating_sub(1)..(rows.end + 1).min(self.height);
        let own: Vec<u8> = known.clone().flat_map(|y| self.own(y)).collect();
        let own_row = |y: usize| &own[(y - known.start) * width..][..width];
        // Whether a pixel or one of those beside it has any stroke, and whether all of them are nothing else.
        let (mut any, mut all) = (vec![false; width], vec![true; width]);
        let mut shares = Vec::with_capacity(rows.len() * width);
        for y in rows {
            any.fill(false);
            all.fill(true);
            for near in y.saturating_sub(1)..(y + 2).min(self.height) {
                let near = own_row(near);
                for x in 0..width {
                    let (left, right) = (near[x.saturating_sub(1)], near[(x + 1).min(width - 1)]);
                    any[x] |= left | near[x] | right != 0;
                    all[x] &= left & near[x] & right == 255;
                }
            }
            shares.extend(own_row(y).iter().zip(any.iter().zip(&all)).map(
                |(share, (any, all))| match share {
                    0 => u8::from(*any),
                    255 if !*all => 254,
                    share => *share,
                },
            ));
        }
        shares
    }

    /// For each pixel of a row how much of it is stroke: 0 none, 255 all.
    fn own(&self, y: usize) -> impl Iterator<Item = u8> + '_ {
        let (row, per_pixel) = (self.mask.width() as usize, self.per_pixel);
        (0..self.width).map(move |x| {
            let dots = (0..per_pixel * per_pixel).filter(|dot| {
                let (dx, dy) = (dot % per_pixel, dot / per_pixel);
                self.mask.as_raw()[(y * per_pixel + dy) * row + x * per_pixel + dx] == 0
            });
            (dots.count() * 255 / (per_pixel * per_pixel)) as u8
        })
    }
}

impl Coarse {
    /// The sample at a pixel of the page, whose size this is.
    fn near(&self, x: usize, y: usize, page: (usize, usize), channel: usize) -> f32 {
        let column = (x * self.width as usize / page.0.max(1)).min(self.width as usize - 1);
        let row = (y * self.height as usize / page.1.max(1)).min(self.height as usize - 1);
        f32::from(self.samples[(row * self.width as usize + column) * self.channels + channel])
    }
}

/// The one colour of the strokes, where they have one.
fn same_ink(ink: &Coarse, weights: &[f32]) -> Option<[u8; 3]> {
    let all: f32 = weights.iter().sum();
    let mut mean = [0f32; 3];
    let squares = || ink.samples.chunks_exact(ink.channels).zip(weights);
    for (colour, weight) in squares() {
        for (sum, sample) in mean.iter_mut().zip(colour) {
            *sum += weight / all * f32::from(*sample);
        }
    }
    let is_other = |colour: &[u8]| {
        colour.iter().zip(mean).any(|(sample, mean)| (f32::from(*sample) - mean).abs() > SAME_INK)
    };
    let other: f32 = squares().filter(|(colour, _)| is_other(colour)).map(|(_, weight)| weight).sum();
    let [red, green, blue] = mean.map(|sample| sample.round() as u8);
    (other <= all * OTHER_INK).then_some(if ink.channels == 1 { [red; 3] } else { [red, green, blue] })
}

/// The picture with its empty squares filled by what is around them, so softly that no byte is spent on it.
#[expect(clippy::needless_range_loop, reason = "one index reads two arrays of different strides")]
fn filled(mut picture: Coarse, weights: &[f32]) -> Coarse {
    let (width, height, channels) = (picture.width as usize, picture.height as usize, picture.channels);
    if width <= 1 && height <= 1 {
        return picture;
    }
    // Half the resolution first: what is empty there too is filled there.
    let (across, down) = (width.div_ceil(2), height.div_ceil(2));
    let mut half = Coarse {
        width: across as u32,
        height: down as u32,
        channels,
        samples: vec![255; across * down * channels],
    };
    let mut half_weights = vec![0f32; across * down];
    for y in 0..down {
        for x in 0..across {
            let (mut sums, mut weight) = ([0f32; 3], 0f32);
            for row in y * 2..(y * 2 + 2).min(height) {
                for column in x * 2..(x * 2 + 2).min(width) {
                    let at = row * width + column;
                    weight += weights[at];
                    for channel in 0..channels {
                        sums[channel] += weights[at] * f32::from(picture.samples[at * channels + channel]);
                    }
                }
            }
            let at = y * across + x;
            half_weights[at] = weight;
            if weight > 0.0 {
                for channel in 0..channels {
                    half.samples[at * channels + channel] = (sums[channel] / weight).round() as u8;
                }
            }
        }
    }
    if weights.iter().all(|weight| *weight > 0.0) {
        return picture;
    }
    let half = filled(half, &half_weights);
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            if weights[at] <= 0.0 {
                let from = (y / 2 * across + x / 2) * channels;
                picture.samples[at * channels..(at + 1) * channels]
                    .copy_from_slice(&half.samples[from..from + channels]);
            }
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Picture;
    use crate::options::Profile;
    use crate::raster::encode::{Lettering, encode};
    use image::{Rgb, RgbImage};

    /// Bars like letters, in this colour on this paper.
    fn written(paper: [u8; 3], ink: [u8; 3]) -> RgbImage {
        RgbImage::from_fn(1_200, 900, |x, y| {
            let is_letter = (100..1_100).contains(&x) && y % 60 < 30 && x % 24 < 7 && y > 100;
            Rgb(if is_letter { ink } else { paper })
        })
    }

    #[test]
    fn letters_of_one_colour_are_a_mask_over_paper() {
        let page = written([230, 240, 210], [20, 30, 120]);
        let layers = taken_apart(&Samples::Rgb(page.clone()), 300).expect("it comes apart");
        let black = layers.mask.enumerate_pixels().filter(|(_, _, dot)| dot[0] == 0);
        assert!(black.clone().all(|(x, y, _)| page.get_pixel(x, y)[0] == 20));
        assert_eq!(black.count(), page.pixels().filter(|pixel| pixel[0] == 20).count());
        assert!(matches!(layers.ink, Ink::Same([20, 30, 120])), "{:?}", layers.ink);
        assert!(layers.below.samples.chunks_exact(3).all(|pixel| pixel == [230, 240, 210]));
        assert_eq!((layers.below.width, layers.below.height), (400, 300));
    }

    #[test]
    fn letters_of_two_colours_keep_both() {
        let mut page = written([255; 3], [0; 3]);
        for pixel in page.pixels_mut().skip(1_200 * 500).filter(|pixel| pixel[0] == 0) {
            *pixel = Rgb([200, 0, 0]);
        }
        let layers = taken_apart(&Samples::Rgb(page), 300).expect("it comes apart");
        let Ink::Picture(ink) = layers.ink else { panic!("there are two colours") };
        assert!(ink.near(600, 200, (1_200, 900), 0) < 20.0 && ink.near(600, 800, (1_200, 900), 0) > 180.0);
    }

    #[test]
    fn a_page_of_slopes_or_of_nothing_is_not_taken_apart() {
        let slope = GrayImage::from_fn(600, 600, |x, _| Luma([(x * 255 / 600) as u8]));
        assert!(taken_apart(&Samples::Gray(slope), 300).is_none());
        assert!(taken_apart(&Samples::Gray(GrayImage::from_pixel(600, 600, Luma([240]))), 300).is_none());
    }

    #[test]
    fn a_coarse_page_gets_a_mask_of_twice_its_resolution() {
        let page = image::imageops::thumbnail(&written([255; 3], [0; 3]), 600, 450);
        let layers = taken_apart(&Samples::Rgb(page), 150).expect("it comes apart");
        assert_eq!(layers.mask.dimensions(), (1_200, 900));
    }

    #[test]
    fn a_page_longer_than_any_jpeg_gets_a_coarser_picture_below_and_is_coded() {
        let page = GrayImage::from_fn(64, 131_400, |x, y| {
            let is_letter = (8..56).contains(&x) && x % 24 < 7 && y % 60 < 30;
            Luma([if is_letter { 20 } else { 240 }])
        });
        let layers = taken_apart(&Samples::Gray(page.clone()), 220).expect("it comes apart");
        assert_eq!((layers.below.width, layers.below.height), (22, 43_800));
        assert_eq!(layers.mask.dimensions(), page.dimensions());
        let picture = Picture::new(Samples::Gray(page));
        let (image, bytes) = encode(picture, Lettering::unknown(220), Profile::Compact).expect("it is coded");
        assert!(image.strokes.is_some() && bytes.len() < 1_000_000, "{image:?}");
    }
}
