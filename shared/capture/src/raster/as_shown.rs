//! A page of a scan as a picture for people, as the scanner made it: to see a page that is in no PDF.
//!
//! Nothing is measured, turned or cleaned. Whoever looks must see what was scanned, and judge whether it was rightly
//! left out.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat};
use platen_model::{Failure, FailureClass, Stage};

use crate::decode::{Document, Samples};
use crate::options::Limits;

/// The widest picture, in pixels.
const WIDTH_MAX: u32 = 10_000;

/// A page (from 0) of a scan as a PNG that is `width_px` wide, or as wide as the page where that is less.
///
/// # Errors
///
/// A page that cannot be decoded, or a width out of bounds.
pub fn as_shown(input: &mut Document, page: u32, width_px: u32, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let failed = |class, message: String| Failure::new(class, Stage::Render, message).on_page(page);
    if !(1..=WIDTH_MAX).contains(&width_px) {
        let message = format!("a picture {width_px} pixels wide is outside the limit of 1 to {WIDTH_MAX}");
        return Err(failed(FailureClass::TooLarge, message));
    }
    // A file of one picture gives it whatever page is asked for.
    let pages = input.inspect(limits)?.pages;
    if page >= pages {
        let message = format!("page {} does not exist; the file has {pages}", u64::from(page) + 1);
        return Err(failed(FailureClass::NoPages, message));
    }
    let picture = match input.page(page, limits)?.samples {
        Samples::Bitonal(image) | Samples::Gray(image) => DynamicImage::ImageLuma8(image),
        Samples::Rgb(image) => DynamicImage::ImageRgb8(image),
    };
    let (width, height) = (picture.width(), picture.height());
    let picture = if width > width_px {
        let height = (u64::from(height) * u64::from(width_px) / u64::from(width)).max(1);
        picture.thumbnail_exact(width_px, u32::try_from(height).unwrap_or(u32::MAX))
    } else {
        picture
    };
    let mut png = Cursor::new(Vec::new());
    picture
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| failed(FailureClass::Internal, format!("cannot write the PNG: {error}")))?;
    Ok(png.into_inner())
}
