//! Files that hold one picture: JPEG, PNG, WebP, BMP, GIF, through the `image` crate.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Rgb, RgbImage, Rgba};
use platen_model::FailureClass;

use super::jpeg::{Headers, Inks};
use super::picture::{Original, Picture, Samples};
use super::{Fault, jpeg, within_pixel_limit};
use crate::Kind;
use crate::options::Limits;

/// The most memory a decoder may take for its own tables beside the picture.
const DECODER_BYTES_MAX: u64 = 512 << 20;

/// Checks the headers: size within limits, and for JPEG that the file is whole.
pub(super) fn inspect(file: &[u8], kind: Kind, limits: &Limits) -> Result<(), Fault> {
    whole(file, kind)?;
    open(file, kind, limits).map(drop)
}

/// Decodes the picture, turned as its metadata say, on white where it is transparent.
pub(super) fn page(file: &[u8], kind: Kind, limits: &Limits) -> Result<Picture, Fault> {
    let (picture, orientation) = decoded(file, kind, limits)?;
    Ok(picture.oriented(orientation))
}

/// A JPEG as it stands in a PDF: shown as its samples lie, whatever its metadata say, and with four components as `inks`. One
/// without its end is decoded too, for what counts is whether its data are there.
pub(super) fn jpeg_as_stored(file: &[u8], inks: Inks, limits: &Limits) -> Result<Picture, Fault> {
    open(file, Kind::Jpeg, limits)?;
    let headers = jpeg::headers(file)?;
    from_jpeg(file, headers, jpeg::decoded_as(file, headers, inks)?)
}

fn from_jpeg(file: &[u8], headers: Headers, (samples, is_whole): (Samples, bool)) -> Result<Picture, Fault> {
    let mut picture = Picture::new(samples);
    picture.chroma = headers.chroma;
    if !is_whole {
        return Ok(picture.damaged());
    }
    picture.original = (headers.fits_a_pdf() && jpeg::has_end(file))
        .then(|| Original::Jpeg { bytes: file.to_vec(), components: headers.components });
    Ok(picture)
}

fn decoded(file: &[u8], kind: Kind, limits: &Limits) -> Result<(Picture, Orientation), Fault> {
    whole(file, kind)?;
    let mut decoder = open(file, kind, limits)?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = if kind == Kind::Jpeg {
        drop(decoder);
        from_jpeg(file, jpeg::headers(file)?, jpeg::decoded(file)?)?
    } else {
        Picture::new(samples(DynamicImage::from_decoder(decoder).map_err(|error| fault(&error))?, kind))
    };
    if let Some((horizontal, vertical)) = resolution(file, kind) {
        picture = picture.with_stated_resolution(horizontal, vertical);
    }
    Ok((picture, orientation))
}

fn whole(file: &[u8], kind: Kind) -> Result<(), Fault> {
    if kind == Kind::Jpeg {
        jpeg::headers(file)?;
        if !jpeg::has_end(file) {
            return Err(Fault::new(
                FailureClass::Truncated,
                "the JPEG has no end: part of the picture is missing",
            ));
        }
    }
    Ok(())
}

fn open<'f>(file: &'f [u8], kind: Kind, limits: &Limits) -> Result<impl ImageDecoder + 'f, Fault> {
    let format = match kind {
        Kind::Jpeg => ImageFormat::Jpeg,
        Kind::Png => ImageFormat::Png,
        Kind::Webp => ImageFormat::WebP,
        Kind::Bmp => ImageFormat::Bmp,
        Kind::Gif => ImageFormat::Gif,
        Kind::Tiff | Kind::Pdf | Kind::Jpeg2000 => return Err(Fault::corrupt("not a file of one picture")),
    };
    let reader = ImageReader::with_format(Cursor::new(file), format);
    let mut decoder = reader.into_decoder().map_err(|error| fault(&error))?;
    let (width, height) = decoder.dimensions();
    within_pixel_limit(width.into(), height.into(), limits)?;
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(decoder.total_bytes().saturating_add(DECODER_BYTES_MAX));
    decoder.set_limits(allowed).map_err(|error| fault(&error))?;
    Ok(decoder)
}

fn samples(image: DynamicImage, kind: Kind) -> Samples {
    match image {
        // Programs that know of no opacity leave the fourth byte zero.
        DynamicImage::ImageRgba8(image)
            if kind == Kind::Bmp && image.pixels().all(|Rgba([_, _, _, alpha])| *alpha == 0) =>
        {
            Samples::Rgb(DynamicImage::ImageRgba8(image).into_rgb8())
        }
        DynamicImage::ImageLuma8(image) => Samples::Gray(image),
        DynamicImage::ImageLuma16(_) => Samples::Gray(image.into_luma8()),
        DynamicImage::ImageRgb8(image) => Samples::Rgb(image),
        image if image.color().has_alpha() => Samples::Rgb(on_white(image)),
        image => Samples::Rgb(image.into_rgb8()),
    }
}

fn on_white(image: DynamicImage) -> RgbImage {
    let image = image.into_rgba8();
    let mut flat = RgbImage::new(image.width(), image.height());
    for (Rgb(target), Rgba([red, green, blue, alpha])) in flat.pixels_mut().zip(image.pixels()) {
        let alpha = u32::from(*alpha);
        *target = [red, green, blue]
            .map(|&sample| ((u32::from(sample) * alpha + 255 * (255 - alpha) + 127) / 255) as u8);
    }
    flat
}

/// What the file says of its resolution, in dots an inch.
fn resolution(file: &[u8], kind: Kind) -> Option<(f64, f64)> {
    match kind {
        Kind::Jpeg => jpeg::headers(file).ok()?.resolution,
        Kind::Png => png_resolution(file),
        Kind::Bmp => bmp_resolution(file),
        _ => None,
    }
}

const INCHES_PER_METRE: f64 = 0.0254;

/// The `pHYs` chunk (PNG, third edition, 11.3.4.3).
fn png_resolution(file: &[u8]) -> Option<(f64, f64)> {
    let mut rest = file.get(8..)?;
    loop {
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        match (rest.get(4..8)?, rest.get(8..)?.get(..length)?) {
            (b"pHYs", [x1, x2, x3, x4, y1, y2, y3, y4, 1]) => {
                let axis = |bytes| f64::from(u32::from_be_bytes(bytes)) * INCHES_PER_METRE;
                return Some((axis([*x1, *x2, *x3, *x4]), axis([*y1, *y2, *y3, *y4])));
            }
            (b"IDAT", _) => return None,
            _ => rest = rest.get(12 + length..)?,
        }
    }
}

/// `biXPelsPerMeter` and `biYPelsPerMeter` of the header.
fn bmp_resolution(file: &[u8]) -> Option<(f64, f64)> {
    let axis = |at: usize| {
        let bytes = file.get(at..)?.first_chunk()?;
        Some(f64::from(i32::from_le_bytes(*bytes)) * INCHES_PER_METRE)
    };
    Some((axis(38)?, axis(42)?))
}

pub(super) fn fault(error: &ImageError) -> Fault {
    let class = match error {
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            FailureClass::Truncated
        }
        ImageError::Unsupported(_) => FailureClass::Unsupported,
        ImageError::Limits(_) => FailureClass::TooLarge,
        _ => FailureClass::Corrupt,
    };
    Fault::new(class, format!("cannot decode the picture: {error}"))
}
