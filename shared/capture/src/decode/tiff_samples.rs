//! TIFF pages in every coding but CCITT, to gray or sRGB.
//!
//! A page is cut into strips or tiles. Their rows are unpacked one at a time ([`super::tiff_rows`]), those of separate
//! planes together, and turned to gray or sRGB where they belong in the picture: beside the picture no second one is held,
//! however deep its samples are, and however many inks it has. JPEG strips are decoded one at a time; one that is the
//! whole page is the picture.

use std::fs::File;
use std::io::{Cursor, Read as _, Seek as _, SeekFrom};

use image::codecs::jpeg::JpegDecoder;
use image::{GrayImage, ImageDecoder as _, RgbImage};
use platen_model::FailureClass;

use super::Fault;
use super::picture::{Picture, Samples};
use super::tiff_directory::Directory;
use super::tiff_rows::{self, Rows};
use super::tiff_source::At;
use super::{colours, jpeg, still};

const WHITE_IS_ZERO: u64 = 0;
const BLACK_IS_ZERO: u64 = 1;
const RGB: u64 = 2;
const PALETTE: u64 = 3;
const CMYK: u64 = 5;
const YCBCR: u64 = 6;

const JPEG: u64 = 7;

/// Of [`Directory::extra_sample`]: opacity, by which the colours were multiplied already.
const ASSOCIATED_ALPHA: u64 = 1;
/// The side of the largest block of a JPEG, in pixels.
const BLOCK: usize = 16;
/// The widest strip or tile, in pixels.
const WIDTH_MAX: u64 = 1 << 20;

/// Decodes a page; `unsupported` is for Leptonica to try.
pub(super) fn decoded(file: &File, page: &Directory) -> Result<Picture, Fault> {
    let seldom = || Fault::new(FailureClass::Unsupported, "a coding that is seldom used");
    let grid = Grid::of(page).ok_or_else(seldom)?;
    let mut colours = Colours::of(page).ok_or_else(seldom)?;
    if page.compression == JPEG {
        return from_jpeg(file, page, &grid, &colours, Sheet::new(&grid, colours.channels()));
    }
    let (picture, is_all_transparent) = from_rows(file, page, &grid, &colours)?;
    if is_all_transparent && page.extra_sample.is_none() {
        // Nobody said that the fourth sample is opacity, and it cannot be.
        colours.alpha = None;
        return from_rows(file, page, &grid, &colours).map(|(picture, _)| picture);
    }
    Ok(picture)
}

/// Puts a page together from its rows; says whether all of it is transparent.
fn from_rows(
    file: &File,
    page: &Directory,
    grid: &Grid,
    colours: &Colours,
) -> Result<(Picture, bool), Fault> {
    let mut sheet = Sheet::new(grid, colours.channels());
    let mut is_all_transparent = colours.alpha.is_some();
    let mut has_rows = false;
    let planes = if page.planar { grid.samples } else { 1 };
    let together = grid.samples / planes;
    let row_bits = grid.chunk_width * together * page.bits as usize;
    let mut samples = vec![0; grid.chunk_width * grid.samples];
    for chunk in 0..grid.across * grid.down {
        let place = grid.place(chunk);
        let mut rows = (0..planes)
            .map(|plane| {
                let bytes = grid.bytes_of(page, chunk, plane)?;
                Rows::of(file, page, bytes, row_bits.div_ceil(8), together)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let width = place.right - place.left;
        let mut is_whole = true;
        for y in place.top..place.bottom {
            let unpacked = rows.iter_mut().enumerate().try_for_each(|(plane, rows)| {
                spread(rows.next()?, page, &mut samples[plane..], planes);
                Ok::<(), Fault>(())
            });
            match unpacked {
                Ok(()) => has_rows = true,
                // What was scanned and is there is shown, on the white of what is not.
                Err(fault) if has_rows && fault.class != FailureClass::Internal => {
                    (y..place.bottom).for_each(|y| sheet.row(y, place.left, width).fill(255));
                    is_whole = false;
                    break;
                }
                Err(fault) => return Err(fault),
            }
            let pixels = &samples[..width * grid.samples];
            if let Some((at, _)) = colours.alpha.filter(|_| is_all_transparent) {
                is_all_transparent = pixels.chunks_exact(grid.samples).all(|pixel| pixel[at] == 0);
            }
            colours.convert(pixels, grid.samples, sheet.row(y, place.left, width));
        }
        for rows in rows {
            sheet.is_damaged |= !is_whole || !rows.ends_soundly();
        }
    }
    let is_bitonal = page.bits == 1 && grid.samples == 1 && matches!(colours.of, Inks::Gray { .. });
    Ok((sheet.picture(is_bitonal), is_all_transparent))
}

/// Lays samples of any depth out as bytes, every `step`-th of them. Palettes keep their numbers.
fn spread(row: &[u8], page: &Directory, samples: &mut [u8], step: usize) {
    let targets = samples.iter_mut().step_by(step);
    match page.bits {
        8 => targets.zip(row).for_each(|(target, sample)| *target = *sample),
        16 => {
            let high = usize::from(page.little_endian);
            targets.zip(row.as_chunks::<2>().0).for_each(|(target, sample)| *target = sample[high]);
        }
        bits => {
            let (per_byte, highest) = (8 / bits as usize, (1u16 << bits) as u8 - 1);
            let factor = if page.photometric == PALETTE { 1 } else { 255 / highest };
            let sample = |byte: u8, at: usize| (byte >> (8 - bits as usize * (at + 1)) & highest) * factor;
            let all = row.iter().flat_map(|&byte| (0..per_byte).map(move |at| sample(byte, at)));
            targets.zip(all).for_each(|(target, sample)| *target = sample);
        }
    }
}

/// How a page is cut.
struct Grid {
    width: usize,
    height: usize,
    /// Samples of a pixel.
    samples: usize,
    chunk_width: usize,
    chunk_height: usize,
    across: usize,
    down: usize,
}

/// The part of a page that a strip or tile shows.
struct Place {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Grid {
    fn of(page: &Directory) -> Option<Self> {
        let (chunk_width, chunk_height) = match page.tile {
            Some(size) => size,
            None => (page.width, page.rows_per_strip.min(page.height)),
        };
        if chunk_width == 0
            || chunk_height == 0
            || chunk_width > WIDTH_MAX
            || !(1..=8).contains(&page.samples)
        {
            return None;
        }
        let number = |number: u64| usize::try_from(number).ok();
        Some(Self {
            width: number(page.width)?,
            height: number(page.height)?,
            samples: number(page.samples)?,
            chunk_width: number(chunk_width)?,
            chunk_height: number(chunk_height)?,
            across: number(page.width.div_ceil(chunk_width))?,
            down: number(page.height.div_ceil(chunk_height))?,
        })
    }

    fn place(&self, chunk: usize) -> Place {
        let (left, top) = (chunk % self.across * self.chunk_width, chunk / self.across * self.chunk_height);
        let right = (left + self.chunk_width).min(self.width);
        Place { left, top, right, bottom: (top + self.chunk_height).min(self.height) }
    }

    /// Where a strip or tile of a plane stands in the file.
    fn bytes_of(&self, page: &Directory, chunk: usize, plane: usize) -> Result<(u64, u64), Fault> {
        let chunks = if page.tile.is_some() { &page.tiles } else { &page.strips };
        chunks.get(plane * self.across * self.down + chunk).copied().ok_or_else(|| match chunks.as_slice() {
            // Leptonica may know how long each of them has to be.
            [] => Fault::new(FailureClass::Unsupported, "the page does not say how long its data are"),
            _ => Fault::corrupt("the page does not say where all of its data are"),
        })
    }

    fn is_one_piece(&self) -> bool {
        self.across * self.down == 1 && self.chunk_width == self.width
    }
}

/// The picture being put together.
struct Sheet {
    size: (u32, u32),
    channels: usize,
    samples: Vec<u8>,
    /// Whether what was decoded broke a rule of its coding.
    is_damaged: bool,
}

impl Sheet {
    fn new(grid: &Grid, channels: usize) -> Self {
        let size = (grid.width as u32, grid.height as u32);
        // Memory that is not written to costs none, so a JPEG that becomes the picture itself does not double it.
        Self { size, channels, samples: vec![0; grid.width * grid.height * channels], is_damaged: false }
    }

    fn row(&mut self, y: usize, left: usize, width: usize) -> &mut [u8] {
        let begin = (y * self.size.0 as usize + left) * self.channels;
        &mut self.samples[begin..begin + width * self.channels]
    }

    fn picture(self, is_bitonal: bool) -> Picture {
        let (width, height) = self.size;
        let whole = "the sheet was made in its size";
        let picture = if self.channels == 3 {
            Picture::new(Samples::Rgb(RgbImage::from_raw(width, height, self.samples).expect(whole)))
        } else {
            let image = GrayImage::from_raw(width, height, self.samples).expect(whole);
            if is_bitonal { Picture::bitonal(image) } else { Picture::new(Samples::Gray(image)) }
        };
        if self.is_damaged { picture.damaged() } else { picture }
    }
}

/// What the samples of a page mean.
struct Colours {
    of: Inks,
    /// Where the opacity stands among a pixel's samples, and whether the colours were multiplied by it.
    alpha: Option<(usize, bool)>,
}

enum Inks {
    Gray { inverted: bool },
    Palette(Vec<[u8; 3]>),
    Rgb,
    Cmyk,
}

impl Colours {
    /// `None` where it takes guesswork.
    fn of(page: &Directory) -> Option<Self> {
        let (inks, count) = match page.photometric {
            shade @ (WHITE_IS_ZERO | BLACK_IS_ZERO) => (Inks::Gray { inverted: shade == WHITE_IS_ZERO }, 1),
            RGB => (Inks::Rgb, 3),
            // A decoder of JPEG makes it RGB.
            YCBCR if page.compression == JPEG => (Inks::Rgb, 3),
            PALETTE => (Inks::Palette(palette(page)?), 1),
            CMYK => (Inks::Cmyk, 4),
            _ => return None,
        };
        let depth = matches!(
            (&inks, page.bits),
            (Inks::Gray { .. }, 1 | 2 | 4 | 8 | 16)
                | (Inks::Palette(_), 1 | 2 | 4 | 8)
                | (Inks::Rgb | Inks::Cmyk, 8 | 16)
        );
        let whole_numbers = matches!(page.sample_format, 1 | 4);
        let coding = match page.compression {
            tiff_rows::NONE | tiff_rows::PACK_BITS => true,
            tiff_rows::LZW | tiff_rows::DEFLATE | tiff_rows::OLD_DEFLATE => {
                page.predictor == 1
                    || (page.predictor == tiff_rows::DIFFERENCES && matches!(page.bits, 8 | 16))
            }
            JPEG => page.bits == 8 && page.samples == count && !page.planar && !matches!(inks, Inks::Cmyk),
            _ => false,
        };
        if matches!(inks, Inks::Palette(_)) && page.samples > 1 && page.bits != 8 {
            // Beside numbers of colours opacity has a scale of its own.
            return None;
        }
        let alpha = match (page.samples.checked_sub(count)?, page.extra_sample) {
            (0, _) => None,
            // Four samples without a word of the fourth: opacity, as programs write it that know no better.
            (1, None) if matches!(inks, Inks::Rgb) => Some((count as usize, false)),
            (_, Some(kind @ (1 | 2))) => Some((count as usize, kind == ASSOCIATED_ALPHA)),
            _ => None,
        };
        (depth && whole_numbers && coding).then_some(Self { of: inks, alpha })
    }

    fn channels(&self) -> usize {
        if matches!(self.of, Inks::Gray { .. }) { 1 } else { 3 }
    }

    /// Turns pixels of so many samples to gray or RGB.
    fn convert(&self, samples: &[u8], of_pixel: usize, target: &mut [u8]) {
        let pixels = samples.chunks_exact(of_pixel);
        match &self.of {
            Inks::Gray { inverted } => {
                let flip = if *inverted { 255 } else { 0 };
                target.iter_mut().zip(pixels).for_each(|(target, pixel)| *target = pixel[0] ^ flip);
            }
            Inks::Palette(table) => {
                for (target, pixel) in target.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                    *target = table.get(usize::from(pixel[0])).copied().unwrap_or_default();
                }
            }
            Inks::Rgb => {
                for (target, pixel) in target.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                    target.copy_from_slice(&pixel[..3]);
                }
            }
            Inks::Cmyk => {
                for (target, pixel) in target.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                    *target = colours::light_of([pixel[0], pixel[1], pixel[2], pixel[3]]);
                }
            }
        }
        if let Some((at, is_multiplied)) = self.alpha {
            let channels = self.channels();
            for (target, pixel) in target.chunks_exact_mut(channels).zip(samples.chunks_exact(of_pixel)) {
                let alpha = pixel[at];
                for sample in target {
                    *sample = match is_multiplied {
                        true => sample.saturating_add(255 - alpha),
                        false => colours::over_white(*sample, alpha),
                    };
                }
            }
        }
    }
}

/// The colours of a palette: all reds, all greens, all blues, in 16 bits.
fn palette(page: &Directory) -> Option<Vec<[u8; 3]>> {
    let count = 1usize << page.bits.min(8);
    let map = page.colour_map.get(..3 * count)?;
    // Some programs write 8 bits.
    let shift = if map.iter().all(|value| *value < 256) { 0 } else { 8 };
    let sample = |at: usize| (map[at] >> shift) as u8;
    Some((0..count).map(|at| [sample(at), sample(at + count), sample(at + 2 * count)]).collect())
}

fn from_jpeg(
    file: &File,
    page: &Directory,
    grid: &Grid,
    colours: &Colours,
    mut sheet: Sheet,
) -> Result<Picture, Fault> {
    for chunk in 0..grid.across * grid.down {
        let place = grid.place(chunk);
        let coded = jpeg_file(file, page, grid.bytes_of(page, chunk, 0)?)?;
        let decoder = JpegDecoder::new(Cursor::new(&coded)).map_err(|error| still::fault(&error))?;
        let size = decoder.dimensions();
        drop(decoder);
        let (width, height) = (place.right - place.left, place.bottom - place.top);
        let covers = size.0 as usize >= width && size.1 as usize >= height;
        // Some devices fill a strip up to whole blocks.
        let within = size.0 as usize <= grid.chunk_width.next_multiple_of(BLOCK)
            && size.1 as usize <= grid.chunk_height.next_multiple_of(BLOCK);
        if !covers || !within {
            return Err(Fault::corrupt(format!(
                "a part of the page is a JPEG of {} x {} pixels where {width} x {height} belong",
                size.0, size.1
            )));
        }
        let (samples, is_whole) = jpeg::decoded(&coded)?;
        sheet.is_damaged |= !is_whole;
        let samples = match (samples, colours.channels()) {
            (Samples::Gray(image), 1) => image.into_raw(),
            (Samples::Rgb(image), 3) => image.into_raw(),
            _ => return Err(Fault::corrupt("a JPEG in the page has other colours than the page")),
        };
        let of_pixel = sheet.channels;
        if grid.is_one_piece() && size == sheet.size {
            sheet.samples = samples;
            if matches!(colours.of, Inks::Gray { inverted: true }) {
                sheet.samples.iter_mut().for_each(|sample| *sample = !*sample);
            }
            break;
        }
        let rows = samples.chunks_exact(size.0 as usize * of_pixel);
        for (y, row) in (place.top..place.bottom).zip(rows) {
            colours.convert(&row[..width * of_pixel], of_pixel, sheet.row(y, place.left, width));
        }
    }
    Ok(sheet.picture(false))
}

/// A strip or tile as a whole JPEG: with the tables that all of them share, and a word on what its colours are.
fn jpeg_file(file: &File, page: &Directory, (offset, count): (u64, u64)) -> Result<Vec<u8>, Fault> {
    const START: [u8; 2] = [0xff, 0xd8];
    const END: [u8; 2] = [0xff, 0xd9];
    let mut coded = START.to_vec();
    if page.samples == 3 {
        // Adobe's segment: 1 is YCbCr, 0 is what the components are by their number.
        coded.extend(b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00");
        coded.push(u8::from(page.photometric == YCBCR));
    }
    let tables = page.jpeg_tables.strip_prefix(&START).unwrap_or(&page.jpeg_tables);
    coded.extend(tables.strip_suffix(&END).unwrap_or(tables));
    let mut source = At::beginning(file)?;
    source.seek(SeekFrom::Start(offset))?;
    let mut first = [0; 2];
    source.read_exact(&mut first)?;
    if first != START {
        return Err(Fault::corrupt("a part of the page is no JPEG, as it says it is"));
    }
    let before = coded.len() as u64;
    source.take(count.saturating_sub(2)).read_to_end(&mut coded)?;
    if coded.len() as u64 != before + count.saturating_sub(2) {
        return Err(Fault::new(FailureClass::Truncated, "the page's data end before its last row"));
    }
    Ok(coded)
}
