//! TIFF: many pages, many codings.
//!
//! The `tiff` crate decodes what most scanners write. What it lacks (CCITT group 3, reversed bit order,
//! palettes, separate colour planes, JPEG colour, odd depths) Leptonica decodes from memory.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read, Seek};

use image::metadata::Orientation;
use image::{GrayImage, RgbImage};
use platen_model::FailureClass;
use tiff::decoder::{Decoder, DecodingResult, Limits as TiffLimits};
use tiff::{ColorType, TiffError};

use super::picture::{Picture, Samples};
use super::tiff_directory::{Directory, directories, directory};
use super::{Fault, read_all, within_page_limit, within_pixel_limit};
use crate::ocr::leptonica::{self, Decoded};
use crate::options::Limits;

const BLACK_IS_ZERO: u64 = 1;
const RGB: u64 = 2;
const CMYK: u64 = 5;

/// Files up to this size are read at once: a file of thousands of tiny pages is walked often.
const AT_ONCE_BYTES_MAX: u64 = 64 << 20;

/// A file, or its bytes in memory.
trait Source: BufRead + Seek {}
impl<S: BufRead + Seek> Source for S {}

fn source<'f>(file: &'f File, limits: &Limits) -> Result<Box<dyn Source + 'f>, Fault> {
    if file.metadata()?.len() <= AT_ONCE_BYTES_MAX {
        return Ok(Box::new(Cursor::new(read_all(file, limits)?)));
    }
    let mut reader = BufReader::new(file);
    reader.rewind()?;
    Ok(Box::new(reader))
}

/// Counts the pages and holds each to the limits.
pub(super) fn count_pages(file: &File, limits: &Limits) -> Result<u32, Fault> {
    let length = file.metadata()?.len();
    let pages = directories(source(file, limits)?, limits)?;
    for (number, page) in (1..).zip(&pages) {
        whole(number, page, length)?;
        within_pixel_limit(page.width, page.height, limits)?;
    }
    within_page_limit(pages.len() as u64, limits)
}

fn whole(number: u32, page: &Directory, length: u64) -> Result<(), Fault> {
    if page.data_end <= length {
        return Ok(());
    }
    let message = format!("page {number} needs {} bytes, the file has {length}", page.data_end);
    Err(Fault::new(FailureClass::Truncated, message))
}

/// Decodes page `page` (from 0).
pub(super) fn page(file: &File, page: u32, limits: &Limits) -> Result<Picture, Fault> {
    let length = file.metadata()?.len();
    let directory = &directory(source(file, limits)?, page)?;
    whole(page + 1, directory, length)?;
    within_pixel_limit(directory.width, directory.height, limits)?;

    let picture = if easy(directory) {
        match decode(source(file, limits)?, page, directory) {
            Err(fault) if fault.class == FailureClass::Unsupported => through_leptonica(file, page, limits)?,
            decoded => oriented(decoded?, directory),
        }
    } else {
        through_leptonica(file, page, limits)?
    };
    Ok(match directory.resolution {
        Some((x, y)) if directory.orientation >= 5 => picture.with_resolution(y, x),
        Some((x, y)) => picture.with_resolution(x, y),
        None => picture,
    })
}

/// Whether the `tiff` crate gives this page in a form that needs no guesswork.
fn easy(page: &Directory) -> bool {
    let coding = matches!(page.compression, 1 | 4 | 5 | 7 | 8 | 32_773 | 32_946);
    let depth = matches!(
        (page.photometric, page.samples, page.bits),
        (0 | BLACK_IS_ZERO, 1, 1 | 8 | 16) | (RGB, 3 | 4, 8 | 16) | (CMYK, 4, 8)
    );
    let plain_planes = !page.planar || (page.photometric == RGB && page.samples == 3);
    coding && depth && !page.low_bit_first && plain_planes
}

fn oriented(picture: Picture, page: &Directory) -> Picture {
    picture.oriented(Orientation::from_exif(page.orientation).unwrap_or(Orientation::NoTransforms))
}

fn decode(source: impl Read + Seek, page: u32, directory: &Directory) -> Result<Picture, Fault> {
    let mut allowed = TiffLimits::default();
    // The pixels were held to their limit already; eight bytes is the most that one takes.
    allowed.decoding_buffer_size =
        usize::try_from(directory.width * directory.height * 8).unwrap_or(usize::MAX);
    allowed.intermediate_buffer_size = allowed.decoding_buffer_size.max(allowed.intermediate_buffer_size);
    let mut decoder = Decoder::new(source).map_err(fault)?.with_limits(allowed);
    decoder.seek_to_image(page as usize).map_err(fault)?;
    let colours = decoder.colortype().map_err(fault)?;
    let (width, height) = decoder.dimensions().map_err(fault)?;
    let mut read = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut read).map_err(fault)?;
    let bytes = match read {
        DecodingResult::U8(bytes) => bytes,
        DecodingResult::U16(words) => words.into_iter().map(|word| (word >> 8) as u8).collect(),
        _ => return Err(unsupported(colours)),
    };
    let gray = |samples| GrayImage::from_raw(width, height, samples).map(Samples::Gray);
    let samples = match colours {
        ColorType::Gray(1) => gray(unpacked(&bytes, width, height)),
        ColorType::Gray(_) => gray(bytes),
        ColorType::RGB(_) if directory.planar => {
            RgbImage::from_raw(width, height, interleaved(&bytes)).map(Samples::Rgb)
        }
        ColorType::RGB(_) => RgbImage::from_raw(width, height, bytes).map(Samples::Rgb),
        ColorType::RGBA(_) => RgbImage::from_raw(width, height, on_white(&bytes)).map(Samples::Rgb),
        ColorType::CMYK(_) => RgbImage::from_raw(width, height, from_cmyk(&bytes)).map(Samples::Rgb),
        _ => return Err(unsupported(colours)),
    };
    samples.map(Picture::new).ok_or_else(|| Fault::corrupt("fewer samples than the page has pixels"))
}

/// One byte for each bit; 1 is white, whatever the file's photometric said.
fn unpacked(bytes: &[u8], width: u32, height: u32) -> Vec<u8> {
    let (width, row) = (width as usize, (width as usize).div_ceil(8));
    let mut samples = Vec::with_capacity(width * height as usize);
    for row in bytes.chunks_exact(row) {
        samples.extend((0..width).map(|x| if row[x / 8] >> (7 - x % 8) & 1 == 1 { 255 } else { 0 }));
    }
    samples
}

/// Three planes, one behind the other, as pixels.
fn interleaved(planes: &[u8]) -> Vec<u8> {
    let size = planes.len() / 3;
    (0..size).flat_map(|at| [planes[at], planes[at + size], planes[at + 2 * size]]).collect()
}

fn on_white(rgba: &[u8]) -> Vec<u8> {
    let over = |sample: u8, alpha: u8| {
        ((u32::from(sample) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 127) / 255) as u8
    };
    rgba.chunks_exact(4).flat_map(|p| [over(p[0], p[3]), over(p[1], p[3]), over(p[2], p[3])]).collect()
}

/// Inks to light, without colour management: pages are read, not proofed.
fn from_cmyk(cmyk: &[u8]) -> Vec<u8> {
    let light = |ink: u8, black: u8| (u32::from(255 - ink) * u32::from(255 - black) / 255) as u8;
    cmyk.chunks_exact(4).flat_map(|p| [light(p[0], p[3]), light(p[1], p[3]), light(p[2], p[3])]).collect()
}

fn through_leptonica(file: &File, page: u32, limits: &Limits) -> Result<Picture, Fault> {
    let bytes = read_all(file, limits)?;
    match leptonica::decode_tiff_page(&bytes, page) {
        Some(Decoded::Bitonal(image)) => Ok(Picture::new(Samples::Bitonal(image))),
        Some(Decoded::Gray(image)) => Ok(Picture::new(Samples::Gray(image))),
        Some(Decoded::Rgb(image)) => Ok(Picture::new(Samples::Rgb(image))),
        None => Err(Fault::corrupt("the page's data break the rules of their coding")),
    }
}

fn unsupported(colours: ColorType) -> Fault {
    Fault::new(FailureClass::Unsupported, format!("TIFF samples of the kind {colours:?}"))
}

fn fault(error: TiffError) -> Fault {
    let class = match &error {
        TiffError::UnsupportedError(_) | TiffError::UsageError(_) => FailureClass::Unsupported,
        TiffError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            FailureClass::Truncated
        }
        TiffError::LimitsExceeded | TiffError::IntSizeError => FailureClass::TooLarge,
        TiffError::FormatError(_) | TiffError::IoError(_) => FailureClass::Corrupt,
    };
    Fault::new(class, format!("cannot decode the page: {error}"))
}
