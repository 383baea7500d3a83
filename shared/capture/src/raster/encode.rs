//! A page's samples as one PDF filter codes them.
//!
//! Black and white pages become CCITT group 4, which loses nothing; gray and colour pages become JPEG of high
//! quality, unless the scanner's own JPEG can stand as it is.

use std::convert::Infallible;

use fax::encoder::Encoder;
use fax::{Color, VecWriter};
use image::{ExtendedColorType, GrayImage};
use platen_model::{Failure, FailureClass, Stage};

use crate::decode::{OriginalJpeg, Samples};
use crate::inspection::{ImageCodec, PageImage};

/// JPEG quality at which text keeps its edges and the file a sensible size.
const JPEG_QUALITY: u8 = 85;

/// Codes a page.
pub(super) fn encode(samples: &Samples) -> Result<(PageImage, Vec<u8>), Failure> {
    match samples {
        Samples::Bitonal(image) => {
            let bytes = group_4(image);
            Ok((measures(ImageCodec::CcittG4, image.dimensions(), 1, 1, &bytes), bytes))
        }
        Samples::Gray(image) => {
            let bytes = jpeg(image.as_raw(), image.dimensions(), ExtendedColorType::L8)?;
            Ok((measures(ImageCodec::Jpeg, image.dimensions(), 1, 8, &bytes), bytes))
        }
        Samples::Rgb(image) => {
            let bytes = jpeg(image.as_raw(), image.dimensions(), ExtendedColorType::Rgb8)?;
            Ok((measures(ImageCodec::Jpeg, image.dimensions(), 3, 8, &bytes), bytes))
        }
    }
}

/// The measures of a JPEG that is passed through.
pub(super) fn untouched(jpeg: &OriginalJpeg, size: (u32, u32)) -> PageImage {
    measures(ImageCodec::Jpeg, size, jpeg.components, 8, &jpeg.bytes)
}

fn measures(codec: ImageCodec, size: (u32, u32), components: u8, bits: u8, bytes: &[u8]) -> PageImage {
    PageImage { codec, width: size.0, height: size.1, components, bits, bytes: bytes.len() as u64 }
}

fn group_4(image: &GrayImage) -> Vec<u8> {
    let width = image.width();
    let mut encoder = Encoder::new(VecWriter::new());
    for row in image.as_raw().chunks_exact(width as usize) {
        let pixels = row.iter().map(|&sample| if sample < 128 { Color::Black } else { Color::White });
        let written: Result<(), Infallible> = encoder.encode_line(pixels, width);
        match written {
            Ok(()) => {}
        }
    }
    match encoder.finish() {
        Ok(writer) => writer.finish(),
    }
}

fn jpeg(samples: &[u8], (width, height): (u32, u32), colours: ExtendedColorType) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY)
        .encode(samples, width, height, colours)
        .map_err(|error| {
            Failure::new(
                FailureClass::Internal,
                Stage::Page,
                format!("cannot code the page as JPEG: {error}"),
            )
        })?;
    Ok(bytes)
}
