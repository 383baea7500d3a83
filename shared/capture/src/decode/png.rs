//! PNG pictures, a band of rows at a time.
//!
//! Samples of 16 bits, and opacity, take up to eight bytes a pixel where a page needs three: of a large page they would not
//! fit. So its rows are turned to a page's as they are read. Rows that are interlaced come in another order; such a
//! picture is left to who decodes whole ones.

use std::fs::File;
use std::io::BufReader;

use image::error::{DecodingError, ImageFormatHint};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageError, ImageFormat, RgbImage};
use png::{BitDepth, ColorType, Decoder, Reader, Transformations};

use super::picture::Samples;
use super::tiff_source::At;
use super::{Fault, still};
use crate::Kind;

/// How many rows are held in the form in which the file has them.
const BAND_ROWS: u32 = 16;
const INCHES_PER_METRE: f64 = 0.0254;

/// A file whose headers were read.
pub(super) struct Png<'f> {
    reader: Reader<BufReader<At<'f>>>,
}

impl<'f> Png<'f> {
    pub(super) fn open(file: &'f File) -> Result<Self, Fault> {
        let limits = png::Limits { bytes: still::DECODER_BYTES_MAX as usize };
        let mut decoder = Decoder::new_with_limits(BufReader::new(At::beginning(file)?), limits);
        decoder.set_ignore_text_chunk(true);
        decoder.set_transformations(Transformations::EXPAND);
        Ok(Self { reader: decoder.read_info().map_err(fault)? })
    }

    /// What the file says of its resolution, in dots an inch.
    pub(super) fn resolution(&self) -> Option<(f64, f64)> {
        let dots = self.reader.info().pixel_dims.filter(|dots| dots.unit == png::Unit::Meter)?;
        Some((f64::from(dots.xppu) * INCHES_PER_METRE, f64::from(dots.yppu) * INCHES_PER_METRE))
    }

    /// Whether its rows come in their order.
    pub(super) fn is_in_order(&self) -> bool {
        !self.reader.info().interlaced
    }

    /// Decodes the picture, on white where it is transparent. Its size was held to the limit before.
    pub(super) fn samples(mut self) -> Result<Samples, Fault> {
        let odd = || Fault::corrupt("the picture has fewer samples than pixels");
        let (width, height) = self.reader.info().size();
        let form = self.reader.output_color_type();
        let row = self.reader.output_line_size(width).ok_or_else(odd)?;
        let channels = if form.0 == ColorType::Grayscale { 1 } else { 3 };
        let mut samples = Vec::with_capacity(width as usize * height as usize * channels);
        for top in (0..height).step_by(BAND_ROWS as usize) {
            let rows = BAND_ROWS.min(height - top);
            let mut bytes = vec![0; row * rows as usize];
            for target in bytes.chunks_exact_mut(row) {
                self.reader.read_row(target).map_err(fault)?;
            }
            let band = band(form, (width, rows), bytes).ok_or_else(odd)?;
            match still::samples(band, Kind::Png) {
                Samples::Bitonal(band) | Samples::Gray(band) => samples.extend_from_slice(band.as_raw()),
                Samples::Rgb(band) => samples.extend_from_slice(band.as_raw()),
            }
        }
        // The checksum of its data comes behind the last row.
        self.reader.next_row().map_err(fault)?;
        match channels {
            1 => GrayImage::from_raw(width, height, samples).map(Samples::Gray),
            _ => RgbImage::from_raw(width, height, samples).map(Samples::Rgb),
        }
        .ok_or_else(odd)
    }
}

/// Rows of a file as a picture.
fn band(form: (ColorType, BitDepth), (width, rows): (u32, u32), bytes: Vec<u8>) -> Option<DynamicImage> {
    use BitDepth::{Eight, Sixteen};
    use DynamicImage as Image;
    let numbers = || bytes.as_chunks::<2>().0.iter().map(|number| u16::from_be_bytes(*number)).collect();
    match form {
        (ColorType::Grayscale, Sixteen) => {
            ImageBuffer::from_raw(width, rows, numbers()).map(Image::ImageLuma16)
        }
        (ColorType::GrayscaleAlpha, Sixteen) => {
            ImageBuffer::from_raw(width, rows, numbers()).map(Image::ImageLumaA16)
        }
        (ColorType::Rgb, Sixteen) => ImageBuffer::from_raw(width, rows, numbers()).map(Image::ImageRgb16),
        (ColorType::Rgba, Sixteen) => ImageBuffer::from_raw(width, rows, numbers()).map(Image::ImageRgba16),
        (ColorType::Grayscale, Eight) => ImageBuffer::from_raw(width, rows, bytes).map(Image::ImageLuma8),
        (ColorType::GrayscaleAlpha, Eight) => {
            ImageBuffer::from_raw(width, rows, bytes).map(Image::ImageLumaA8)
        }
        (ColorType::Rgb, Eight) => ImageBuffer::from_raw(width, rows, bytes).map(Image::ImageRgb8),
        (ColorType::Rgba, Eight) => ImageBuffer::from_raw(width, rows, bytes).map(Image::ImageRgba8),
        _ => None,
    }
}

fn fault(error: png::DecodingError) -> Fault {
    still::fault(&match error {
        png::DecodingError::IoError(error) => ImageError::IoError(error),
        error => ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(ImageFormat::Png), error)),
    })
}
