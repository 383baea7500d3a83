//! A page's samples as PDF filters code them.
//!
//! Profile `exact`: black and white pages lose nothing, in CCITT group 4 or JBIG2, whichever is shorter; gray and
//! colour pages become JPEG of measured quality; and what the scanner coded itself stands as it is, if it can. Profile
//! `compact`: gray and colour pages are taken apart into layers, where that makes them smaller.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::GrayImage;
use platen_model::{Failure, FailureClass, Stage};

use crate::codec::jpeg::Raw;
use crate::codec::layers::{Coarse, Ink, Layers};
use crate::codec::{ccitt, jbig2, jpeg, layers};
use crate::decode::{Chroma, Original, Picture, Samples};
use crate::inspection::{ImageCodec, PageImage, Strokes};
use crate::options::Profile;

/// The JPEG quality of what lies below sharp strokes: soft slopes, and no edge that is read.
const BELOW_QUALITY: u8 = 40;

/// Codes a page of this resolution, or passes the scanner's own coding through.
///
/// # Errors
///
/// A fault of our own: every page that could be decoded can be coded.
pub fn encode(picture: Picture, dpi: u32, profile: Profile) -> Result<(PageImage, Vec<u8>), Failure> {
    let size = picture.dimensions();
    let Picture { samples, chroma, original, .. } = picture;
    let layered = match (profile, &samples) {
        (Profile::Compact, Samples::Gray(_) | Samples::Rgb(_)) => in_layers(&samples, dpi)?,
        (Profile::Compact, Samples::Bitonal(_)) | (Profile::Exact, _) => None,
    };
    let ours = |layered: Option<_>| layered.map_or_else(|| plain(&samples, chroma), Ok);
    match (original, profile) {
        (Some(original), Profile::Exact) => Ok(untouched(original, size)),
        (Some(original), Profile::Compact) => {
            let (own, other) = (untouched(original, size), ours(layered)?);
            Ok(if other.0.all_bytes() < own.0.bytes { other } else { own })
        }
        (None, _) => ours(layered),
    }
}

/// Codes samples as they are.
///
/// # Errors
///
/// A fault of our own.
pub fn plain(samples: &Samples, chroma: Chroma) -> Result<(PageImage, Vec<u8>), Failure> {
    match samples {
        Samples::Bitonal(image) => Ok(bitonal(image)),
        Samples::Gray(image) => continuous(image.as_raw(), image.dimensions(), 1, chroma),
        Samples::Rgb(image) => continuous(image.as_raw(), image.dimensions(), 3, chroma),
    }
}

/// A page that is passed through as it was coded.
fn untouched(original: Original, size: (u32, u32)) -> (PageImage, Vec<u8>) {
    let (codec, components, bits, shared, bytes) = match original {
        Original::Jpeg { bytes, components } => (ImageCodec::Jpeg, components, 8, 0, bytes),
        Original::CcittG4(bytes) => (ImageCodec::CcittG4, 1, 1, 0, bytes),
        Original::Jbig2 { shared, own } => {
            let count = shared.len() as u64;
            (ImageCodec::Jbig2, 1, 1, count, [shared, own].concat())
        }
    };
    let image = PageImage::plain(codec, size, components, bits, bytes.len() as u64);
    (PageImage { shared_bytes: shared, ..image }, bytes)
}

/// Without loss, in the shorter coding.
fn bitonal(image: &GrayImage) -> (PageImage, Vec<u8>) {
    let (group_4, jbig2) = (ccitt::encoded(image), jbig2::encoded(image));
    let (codec, bytes) =
        if jbig2.len() < group_4.len() { (ImageCodec::Jbig2, jbig2) } else { (ImageCodec::CcittG4, group_4) };
    (PageImage::plain(codec, image.dimensions(), 1, 1, bytes.len() as u64), bytes)
}

/// JPEG, or what loses nothing where a side is longer than JPEG can say.
fn continuous(
    samples: &[u8],
    size: (u32, u32),
    channels: usize,
    chroma: Chroma,
) -> Result<(PageImage, Vec<u8>), Failure> {
    let (codec, bytes) = match (u16::try_from(size.0), u16::try_from(size.1)) {
        (Ok(width), Ok(height)) => {
            let (bytes, _) = jpeg::measured(Raw { samples, width, height, channels }, chroma)
                .map_err(|error| failed(&error))?;
            (ImageCodec::Jpeg, bytes)
        }
        _ => (ImageCodec::Flate, deflated(samples).map_err(|error| failed(&error))?),
    };
    Ok((PageImage::plain(codec, size, channels as u8, 8, bytes.len() as u64), bytes))
}

/// The page in layers; `None` where it does not come apart.
fn in_layers(samples: &Samples, dpi: u32) -> Result<Option<(PageImage, Vec<u8>)>, Failure> {
    let Some(Layers { below, mask, ink }) = layers::taken_apart(samples, dpi) else { return Ok(None) };
    let (mut image, mut bytes) = coarse(&below)?;
    let (mask, mask_bytes) = bitonal(&mask);
    bytes.extend(mask_bytes);
    let (colour, colours) = match &ink {
        Ink::Same(colour) => (Some(*colour), None),
        Ink::Picture(picture) => {
            let (colours, coded) = coarse(picture)?;
            bytes.extend(coded);
            (None, Some(colours))
        }
    };
    image.strokes = Some(Box::new(Strokes { mask, colour, colours }));
    Ok(Some((image, bytes)))
}

fn coarse(picture: &Coarse) -> Result<(PageImage, Vec<u8>), Failure> {
    let side = |pixels: u32| u16::try_from(pixels).map_err(|error| failed(&error));
    let raw = Raw {
        samples: &picture.samples,
        width: side(picture.width)?,
        height: side(picture.height)?,
        channels: picture.channels,
    };
    let bytes = jpeg::encoded(raw, Chroma::Halved, BELOW_QUALITY).map_err(|error| failed(&error))?;
    let size = (picture.width, picture.height);
    Ok((PageImage::plain(ImageCodec::Jpeg, size, picture.channels as u8, 8, bytes.len() as u64), bytes))
}

fn deflated(samples: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(samples)?;
    encoder.finish()
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::new(FailureClass::Internal, Stage::Page, format!("cannot code the page: {error}"))
}
