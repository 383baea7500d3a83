//! A page's samples as one PDF filter codes them.
//!
//! Black and white pages become CCITT group 4, which loses nothing; gray and colour pages become JPEG of high
//! quality, unless the scanner's own coding can stand as it is.

use std::convert::Infallible;
use std::io::Write as _;

use fax::encoder::Encoder as FaxEncoder;
use fax::{Color, VecWriter};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::GrayImage;
use jpeg_encoder::{ColorType, Encoder as JpegEncoder, SamplingFactor};
use platen_model::{Failure, FailureClass, Stage};

use crate::decode::{Chroma, Original, Samples};
use crate::inspection::{ImageCodec, PageImage};

/// JPEG quality at which text keeps its edges and the file a sensible size.
const JPEG_QUALITY: u8 = 85;

/// Codes a page.
///
/// # Errors
///
/// A fault of our own: every page that could be decoded can be coded.
pub fn encode(samples: &Samples, chroma: Chroma) -> Result<(PageImage, Vec<u8>), Failure> {
    match samples {
        Samples::Bitonal(image) => {
            let bytes = group_4(image);
            Ok((measures(ImageCodec::CcittG4, image.dimensions(), 1, 1, &bytes), bytes))
        }
        Samples::Gray(image) => continuous(image.as_raw(), image.dimensions(), ColorType::Luma, chroma),
        Samples::Rgb(image) => continuous(image.as_raw(), image.dimensions(), ColorType::Rgb, chroma),
    }
}

/// A page that is passed through as it was coded.
pub fn untouched(original: Original, size: (u32, u32)) -> (PageImage, Vec<u8>) {
    let (codec, components, bits, bytes) = match original {
        Original::Jpeg { bytes, components } => (ImageCodec::Jpeg, components, 8, bytes),
        Original::CcittG4(bytes) => (ImageCodec::CcittG4, 1, 1, bytes),
    };
    (measures(codec, size, components, bits, &bytes), bytes)
}

fn measures(codec: ImageCodec, size: (u32, u32), components: u8, bits: u8, bytes: &[u8]) -> PageImage {
    PageImage { codec, width: size.0, height: size.1, components, bits, bytes: bytes.len() as u64 }
}

fn group_4(image: &GrayImage) -> Vec<u8> {
    let width = image.width();
    let mut encoder = FaxEncoder::new(VecWriter::new());
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

/// JPEG, or what loses nothing where a side is longer than JPEG can say.
fn continuous(
    samples: &[u8],
    size: (u32, u32),
    colours: ColorType,
    chroma: Chroma,
) -> Result<(PageImage, Vec<u8>), Failure> {
    let components = if matches!(colours, ColorType::Luma) { 1 } else { 3 };
    let (codec, bytes) = match (u16::try_from(size.0), u16::try_from(size.1)) {
        (Ok(width), Ok(height)) => {
            (ImageCodec::Jpeg, jpeg(samples, width, height, colours, chroma).map_err(|error| failed(&error))?)
        }
        _ => (ImageCodec::Flate, deflated(samples).map_err(|error| failed(&error))?),
    };
    Ok((measures(codec, size, components, 8, &bytes), bytes))
}

fn jpeg(
    samples: &[u8],
    width: u16,
    height: u16,
    colours: ColorType,
    chroma: Chroma,
) -> Result<Vec<u8>, jpeg_encoder::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes, JPEG_QUALITY);
    // Coloured letters and stamps have edges too: colours keep the resolution that the scanner gave them.
    encoder.set_sampling_factor(match chroma {
        Chroma::Full => SamplingFactor::F_1_1,
        Chroma::Halved => SamplingFactor::F_2_2,
    });
    // Tables made for the page would make it a fifth smaller, but this encoder then holds all coefficients at once
    // and writes one scan for each component, which some readers handle badly.
    encoder.set_optimized_huffman_tables(false);
    encoder.encode(samples, width, height, colours)?;
    Ok(bytes)
}

fn deflated(samples: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(samples)?;
    encoder.finish()
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(FailureClass::Internal, Stage::Page, format!("cannot code the page: {error}"))
}
