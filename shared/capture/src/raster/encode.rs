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

/// The JPEG quality of a compact page that is not taken apart: its letters can still be read as well.
const COARSE_QUALITY: u8 = 35;
/// The resolution at which a capital of ten points is so many pixels high, as dots an inch for each pixel.
const DPI_PER_CAPITAL_PX: f32 = 10.3;
/// Rows are coded in group 4 to see what it would take: so many together, of every so many.
const PROBED_ROWS: usize = 64;
/// See [`PROBED_ROWS`].
const PROBE_EVERY: usize = 512;
/// Where group 4 promises to take so many times the bytes of JBIG2, it is not tried.
const PROBE_MARGIN: f64 = 1.2;

/// What is known of the text on a page, as far as it decides how the page may be coded.
#[derive(Clone, Copy, Debug)]
pub struct Lettering {
    /// Dots an inch.
    pub dpi: u32,
    /// The height of its capitals in pixels, where there were enough characters to measure.
    pub capital_px: Option<f32>,
    /// It is as narrow as a receipt.
    pub is_narrow: bool,
}

impl Lettering {
    /// Of a page of which no more than its resolution is known.
    pub fn unknown(dpi: u32) -> Self {
        Self { dpi, capital_px: None, is_narrow: false }
    }

    /// The resolution that counts for letters. A stated or assumed one may be far too high: what matters is how many
    /// dots a letter has.
    fn fineness_dpi(&self) -> u32 {
        let by_letters = self.capital_px.map(|height| (height * DPI_PER_CAPITAL_PX) as u32);
        by_letters.map_or(self.dpi, |dpi| dpi.min(self.dpi)).max(1)
    }
}

/// Codes a page with this text, or passes the scanner's own coding through.
///
/// # Errors
///
/// A fault of our own: every page that could be decoded can be coded.
pub fn encode(
    picture: Picture,
    lettering: Lettering,
    profile: Profile,
) -> Result<(PageImage, Vec<u8>), Failure> {
    let size = picture.dimensions();
    let Picture { samples, chroma, original, .. } = picture;
    let coarse = match (profile, &samples) {
        // The print of receipts is faint and uneven, and there is little of it: made black or white it loses more than
        // is saved.
        (Profile::Compact, Samples::Gray(image)) if lettering.is_narrow => {
            coarsely(image.as_raw(), image.dimensions(), 1)?
        }
        (Profile::Compact, Samples::Rgb(image)) if lettering.is_narrow => {
            coarsely(image.as_raw(), image.dimensions(), 3)?
        }
        (Profile::Compact, Samples::Gray(_) | Samples::Rgb(_)) => {
            match layers::taken_apart(&samples, lettering.fineness_dpi()) {
                Some(layers) => {
                    // Nothing more is asked of the page: it need not be held while its layers are coded.
                    drop(samples);
                    return Ok(shorter(original, size, in_layers(layers)?));
                }
                None => None,
            }
        }
        (Profile::Compact, Samples::Bitonal(_)) | (Profile::Exact, _) => None,
    };
    match (original, profile) {
        (Some(original), Profile::Exact) => Ok(untouched(original, size)),
        (original, _) => {
            let ours = coarse.map_or_else(|| plain(&samples, chroma), Ok)?;
            Ok(shorter(original, size, ours))
        }
    }
}

/// What the scanner coded, where what was made of it is no shorter.
fn shorter(original: Option<Original>, size: (u32, u32), ours: (PageImage, Vec<u8>)) -> (PageImage, Vec<u8>) {
    match original.map(|original| untouched(original, size)) {
        Some(own) if ours.0.all_bytes() >= own.0.bytes => own,
        _ => ours,
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
    let jbig2 = jbig2::encoded(image);
    let group_4 = may_be_shorter_in_group_4(image, jbig2.len()).then(|| ccitt::encoded(image));
    let (codec, bytes) = match group_4 {
        Some(group_4) if group_4.len() <= jbig2.len() => (ImageCodec::CcittG4, group_4),
        _ => (ImageCodec::Jbig2, jbig2),
    };
    (PageImage::plain(codec, image.dimensions(), 1, 1, bytes.len() as u64), bytes)
}

/// Whether group 4 may take fewer bytes than JBIG2 did, by an eighth of the rows.
fn may_be_shorter_in_group_4(image: &GrayImage, jbig2_bytes: usize) -> bool {
    let width = image.width() as usize;
    let rows = image.height() as usize;
    let mut probe = Vec::new();
    for first in (PROBE_EVERY / 2..rows).step_by(PROBE_EVERY) {
        let behind = (first + PROBED_ROWS).min(rows);
        probe.extend_from_slice(&image.as_raw()[first * width..behind * width]);
    }
    let probed = probe.len() / width.max(1);
    let Some(probe) = GrayImage::from_raw(image.width(), probed as u32, probe).filter(|_| probed > 0) else {
        return true;
    };
    let group_4_bytes = ccitt::encoded(&probe).len() as f64 * rows as f64 / probed as f64;
    group_4_bytes < jbig2_bytes as f64 * PROBE_MARGIN
}

/// As a JPEG that shows its quality and can be read; `None` where a side is longer than JPEG can say.
fn coarsely(
    samples: &[u8],
    size: (u32, u32),
    channels: usize,
) -> Result<Option<(PageImage, Vec<u8>)>, Failure> {
    let (Ok(width), Ok(height)) = (u16::try_from(size.0), u16::try_from(size.1)) else { return Ok(None) };
    let raw = Raw { samples, width, height, channels };
    let bytes = jpeg::encoded(raw, Chroma::Halved, COARSE_QUALITY).map_err(|error| failed(&error))?;
    Ok(Some((PageImage::plain(ImageCodec::Jpeg, size, channels as u8, 8, bytes.len() as u64), bytes)))
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

/// The page in layers.
fn in_layers(Layers { below, mask, ink }: Layers) -> Result<(PageImage, Vec<u8>), Failure> {
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
    Ok((image, bytes))
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
