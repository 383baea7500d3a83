//! Files that hold one picture: JPEG, PNG, WebP, BMP, GIF, through the `image` crate.
//!
//! What may be as large as its picture, PNG and BMP, is read from the file while it is decoded, and never held.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Seek};

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Rgb, RgbImage, Rgba};
use platen_model::FailureClass;

use super::document::{head, read_all};
use super::jpeg::{Headers, Inks};
use super::picture::{Original, Picture, Samples};
use super::png::Png;
use super::tiff_source::At;
use super::{Fault, jpeg, within_pixel_limit};
use crate::Kind;
use crate::options::Limits;

/// The most memory a decoder may take for its own tables beside the picture.
pub(super) const DECODER_BYTES_MAX: u64 = 512 << 20;

/// Checks the headers: size within limits, and for JPEG that the file is whole.
pub(super) fn inspect(file: &[u8], kind: Kind, limits: &Limits) -> Result<(), Fault> {
    whole(file, kind)?;
    open(Cursor::new(file), kind, limits).map(drop)
}

/// Decodes the picture, turned as its metadata say, on white where it is transparent.
pub(super) fn page(file: &File, kind: Kind, limits: &Limits) -> Result<Picture, Fault> {
    let (picture, orientation) = decoded(file, kind, limits)?;
    Ok(picture.oriented(orientation))
}

/// A JPEG as it stands in a PDF: shown as its samples lie, whatever its metadata say, and with four components as `inks`. One
/// without its end is decoded too, for what counts is whether its data are there.
pub(super) fn jpeg_as_stored(file: &[u8], inks: Inks, limits: &Limits) -> Result<Picture, Fault> {
    open(Cursor::new(file), Kind::Jpeg, limits)?;
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

fn decoded(file: &File, kind: Kind, limits: &Limits) -> Result<(Picture, Orientation), Fault> {
    let (picture, resolution, orientation) = match kind {
        Kind::Png => {
            let mut decoder = open(BufReader::new(At::beginning(file)?), kind, limits)?;
            let orientation = orientation(&mut decoder);
            let png = Png::open(file)?;
            let resolution = png.resolution();
            let samples = match png.is_in_order() {
                true => png.samples()?,
                false => samples_of(decoder, kind)?,
            };
            (Picture::new(samples), resolution, orientation)
        }
        Kind::Bmp => {
            let mut decoder = open(BufReader::new(At::beginning(file)?), kind, limits)?;
            let orientation = orientation(&mut decoder);
            (Picture::new(samples_of(decoder, kind)?), bmp_resolution(&head(file)?), orientation)
        }
        _ => {
            let bytes = read_all(file)?;
            whole(&bytes, kind)?;
            let mut decoder = open(Cursor::new(bytes.as_slice()), kind, limits)?;
            let orientation = orientation(&mut decoder);
            if kind == Kind::Jpeg {
                drop(decoder);
                let headers = jpeg::headers(&bytes)?;
                (from_jpeg(&bytes, headers, jpeg::decoded(&bytes)?)?, headers.resolution, orientation)
            } else {
                (Picture::new(samples_of(decoder, kind)?), None, orientation)
            }
        }
    };
    let picture = match resolution {
        Some((horizontal, vertical)) => picture.with_stated_resolution(horizontal, vertical),
        None => picture,
    };
    Ok((picture, orientation))
}

fn orientation(decoder: &mut impl ImageDecoder) -> Orientation {
    decoder.orientation().unwrap_or(Orientation::NoTransforms)
}

fn samples_of(decoder: impl ImageDecoder, kind: Kind) -> Result<Samples, Fault> {
    Ok(samples(DynamicImage::from_decoder(decoder).map_err(|error| fault(&error))?, kind))
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

fn open<'f>(
    file: impl BufRead + Seek + 'f,
    kind: Kind,
    limits: &Limits,
) -> Result<impl ImageDecoder + 'f, Fault> {
    let format = match kind {
        Kind::Jpeg => ImageFormat::Jpeg,
        Kind::Png => ImageFormat::Png,
        Kind::Webp => ImageFormat::WebP,
        Kind::Bmp => ImageFormat::Bmp,
        Kind::Gif => ImageFormat::Gif,
        Kind::Tiff | Kind::Pdf | Kind::Jpeg2000 => return Err(Fault::corrupt("not a file of one picture")),
    };
    let reader = ImageReader::with_format(file, format);
    let mut decoder = reader.into_decoder().map_err(|error| fault(&error))?;
    let (width, height) = decoder.dimensions();
    within_pixel_limit(width.into(), height.into(), limits)?;
    let mut allowed = image::Limits::no_limits();
    allowed.max_alloc = Some(decoder.total_bytes().saturating_add(DECODER_BYTES_MAX));
    decoder.set_limits(allowed).map_err(|error| fault(&error))?;
    Ok(decoder)
}

/// A decoded picture as a page's samples, on white where it is transparent.
pub(super) fn samples(image: DynamicImage, kind: Kind) -> Samples {
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

const INCHES_PER_METRE: f64 = 0.0254;

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
