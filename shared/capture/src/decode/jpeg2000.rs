//! JPEG 2000 files and bare codestreams (ITU-T T.800), through `hayro-jpeg2000`.
//!
//! The decoder holds all of a picture in numbers of four bytes, once for each colour, and three times more for the colour
//! at work where the picture is not cut into tiles: 27 bytes a pixel. So one of more than [`PIXELS_MAX`] pixels is decoded
//! in a coarser resolution, which the coding has ready, and the page says so.

use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image};
use platen_model::FailureClass;

use super::picture::Picture;
use super::{Fault, colours, within_pixel_limit};
use crate::options::Limits;

/// Larger pictures are decoded in half their resolution, or half of that. An A3 page at 300 dpi is not one.
const PIXELS_MAX: u64 = 18_000_000;
const INCHES_PER_METRE: f64 = 0.0254;

/// Checks the headers: size within limits, and that the file is whole.
pub(super) fn inspect(file: &[u8], limits: &Limits) -> Result<(), Fault> {
    open(file, limits, None, false).map(drop)
}

/// Decodes the picture, on white where it is transparent: by the rules of its coding, or else as far as it can be.
pub(super) fn page(file: &[u8], limits: &Limits) -> Result<Picture, Fault> {
    match decoded(file, limits, true) {
        Err(fault) if fault.class == FailureClass::Corrupt => {
            decoded(file, limits, false).map(Picture::damaged)
        }
        decoded => decoded,
    }
}

fn decoded(file: &[u8], limits: &Limits, strict: bool) -> Result<Picture, Fault> {
    let whole = open(file, limits, None, strict)?;
    let (full, wanted) = ((whole.width(), whole.height()), fitting((whole.width(), whole.height())));
    let image = if wanted == full { whole } else { open(file, limits, Some(asked(full, wanted)), strict)? };
    let size = (image.width(), image.height());
    let channels = usize::from(match image.color_space() {
        ColorSpace::Gray => 1,
        ColorSpace::RGB => 3,
        ColorSpace::CMYK => 4,
        ColorSpace::Icc { num_channels, .. } | ColorSpace::Unknown { num_channels } => *num_channels,
    });
    let channels = channels + usize::from(image.has_alpha());
    let mut context = DecoderContext::default();
    let data = image.decode(&mut context).map_err(|error| fault(&error))?.data_u8();
    drop(context);
    let samples = colours::samples(size, data, channels, image.has_alpha()).ok_or_else(|| {
        Fault::new(FailureClass::Unsupported, format!("a JPEG 2000 picture of {channels} channels"))
    })?;
    let mut picture = Picture::new(samples);
    picture.remarks.extend(remark(full, size));
    let coarser = f64::from(size.0) / f64::from(full.0);
    Ok(match resolution(file) {
        Some((horizontal, vertical)) => {
            picture.with_stated_resolution(horizontal * coarser, vertical * coarser)
        }
        None => picture,
    })
}

/// The size in which a picture of this size is decoded.
pub(super) fn fitting((mut width, mut height): (u32, u32)) -> (u32, u32) {
    while u64::from(width) * u64::from(height) > PIXELS_MAX {
        (width, height) = (width.div_ceil(2), height.div_ceil(2));
    }
    (width, height)
}

/// What the decoder is asked for, to give a picture of this size: it halves as often as the size that is asked for fits into
/// the full one, and rounds up.
pub(super) fn asked(full: (u32, u32), (width, _): (u32, u32)) -> (u32, u32) {
    let halvings = (f64::from(full.0) / f64::from(width)).log2().round() as u32;
    ((full.0 >> halvings).max(1), (full.1 >> halvings).max(1))
}

/// What a page says whose picture is coarser than it could be.
pub(super) fn remark(full: (u32, u32), shown: (u32, u32)) -> Option<String> {
    (shown != full).then(|| {
        format!(
            "This page is shown with {} x {} of its {} x {} pixels: a JPEG 2000 picture of more than {PIXELS_MAX} is \
             decoded in a coarser resolution. The original has all of them.",
            shown.0, shown.1, full.0, full.1
        )
    })
}

fn open<'f>(
    file: &'f [u8],
    limits: &Limits,
    size: Option<(u32, u32)>,
    strict: bool,
) -> Result<Image<'f>, Fault> {
    let settings = DecodeSettings { target_resolution: size, strict, ..DecodeSettings::default() };
    let image = Image::new(file, &settings).map_err(|error| fault(&error))?;
    within_pixel_limit(image.width().into(), image.height().into(), limits)?;
    // The end marker is the same as in JPEG, and packets cannot hold it (T.800, annex A).
    if !has_end(file) {
        let message = "the JPEG 2000 picture has no end: part of it is missing";
        return Err(Fault::new(FailureClass::Truncated, message));
    }
    Ok(image)
}

/// Whether the end-of-codestream marker comes behind the first data: metadata before them may hold a JPEG thumbnail.
fn has_end(file: &[u8]) -> bool {
    const START_OF_DATA: [u8; 2] = [0xff, 0x93];
    const END_OF_CODESTREAM: [u8; 2] = [0xff, 0xd9];
    let codestream = file.windows(4).position(|four| four == [0xff, 0x4f, 0xff, 0x51]).unwrap_or(0);
    let data = file[codestream..].windows(2).position(|pair| pair == START_OF_DATA);
    let data = data.map_or(codestream, |at| codestream + at);
    file[data..].windows(2).any(|pair| pair == END_OF_CODESTREAM)
}

fn fault(error: &hayro_jpeg2000::DecodeError) -> Fault {
    Fault::corrupt(format!("cannot decode the JPEG 2000 picture: {error}"))
}

/// The resolution box (T.800, I.5.3.7), of capture before that of display, in dots an inch.
fn resolution(file: &[u8]) -> Option<(f64, f64)> {
    let boxes = inside(inside(file, *b"jp2h")?, *b"res ")?;
    let of = inside(boxes, *b"resc").or_else(|| inside(boxes, *b"resd"))?;
    let [v1, v2, v3, v4, h1, h2, h3, h4, vertical, horizontal] = *of.first_chunk()?;
    let axis = |above: [u8; 2], below: [u8; 2], exponent: u8| {
        let per_metre = f64::from(u16::from_be_bytes(above)) / f64::from(u16::from_be_bytes(below));
        per_metre * 10f64.powi(exponent.cast_signed().into()) * INCHES_PER_METRE
    };
    Some((axis([h1, h2], [h3, h4], horizontal), axis([v1, v2], [v3, v4], vertical)))
}

/// What the first box of this type holds.
fn inside(mut boxes: &[u8], wanted: [u8; 4]) -> Option<&[u8]> {
    loop {
        let length = u32::from_be_bytes(*boxes.first_chunk()?) as usize;
        let kind = boxes.get(4..8)?;
        // Longer boxes, and the one that reaches to the end, are not before these.
        let body = boxes.get(8..length)?;
        if kind == wanted {
            return Some(body);
        }
        boxes = &boxes[length..];
    }
}
