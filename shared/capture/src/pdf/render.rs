//! A page of a PDF as a picture, for people to look at before they decide.
//!
//! Any PDF may come here, not only ours. It is drawn by `hayro` in this process, which the sandbox holds;
//! nothing is fetched, and no script in the PDF is run.

use std::fs::File;
use std::io::Cursor;

use hayro::hayro_interpret::InterpreterSettings;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use image::{ImageFormat, RgbaImage};
use platen_model::{Failure, FailureClass, Stage};

use crate::decode::{self, Fault};

/// The widest picture, in pixels.
const WIDTH_MAX: u32 = 10_000;
/// The highest picture, in pixels. A page that would be higher is shown narrower.
const HEIGHT_MAX: f32 = 20_000.0;

/// A page (from 0) of a PDF as a PNG `width_px` wide, and the number of pages.
///
/// # Errors
///
/// [`FailureClass::Locked`] without a password, [`FailureClass::Corrupt`] where it is no PDF,
/// [`FailureClass::NoPages`] where the page does not exist, [`FailureClass::TooLarge`] where the picture would be.
pub fn render(source: &File, page: u32, width_px: u32) -> Result<(Vec<u8>, u32), Failure> {
    if !(1..=WIDTH_MAX).contains(&width_px) {
        let message = format!("a picture {width_px} pixels wide is outside the limit of 1 to {WIDTH_MAX}");
        return Err(failed(FailureClass::TooLarge, message));
    }
    let unreadable = |fault: Fault| fault.at(Stage::Render);
    let file =
        source.try_clone().map_err(|error| Failure::of_io(Stage::Render, "cannot read the PDF", &error))?;
    let mut pdf = decode::open_pdf(file).map_err(unreadable)?;
    let count = pdf.count();
    if page >= count {
        let message = format!("page {} does not exist; the PDF has {count}", u64::from(page) + 1);
        return Err(failed(FailureClass::NoPages, message).on_page(page));
    }
    let shown = pdf.whole_page(page).map_err(|fault| unreadable(fault).on_page(page))?;

    let (width, height) = shown.render_dimensions();
    if !(width >= 1.0 && height >= 1.0 && width.is_finite() && height.is_finite()) {
        return Err(
            failed(FailureClass::Corrupt, format!("the page is {width} by {height} points")).on_page(page)
        );
    }
    // Half a pixel more, for the size is cut off to whole pixels.
    let scale = ((width_px as f32 + 0.5) / width).min(HEIGHT_MAX / height).max(1.0 / width.min(height));
    if height * scale > HEIGHT_MAX + 1.0 || width * scale > WIDTH_MAX as f32 + 1.0 {
        return Err(
            failed(FailureClass::TooLarge, format!("the page is {width} by {height} points")).on_page(page)
        );
    }
    let pixels = hayro::render(
        shown,
        &RenderCache::new(),
        &InterpreterSettings::default(),
        &RenderSettings::default(),
        &PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE },
    );
    let (width, height) = (u32::from(pixels.width()), u32::from(pixels.height()));
    // The ground is opaque white, so the alpha is 255 throughout and the premultiplied colours are the colours.
    let picture = RgbaImage::from_raw(width, height, pixels.data_as_u8_slice().to_vec())
        .ok_or_else(|| failed(FailureClass::Internal, "the picture has a wrong size".into()))?;
    let mut png = Cursor::new(Vec::new());
    image::DynamicImage::ImageRgba8(picture)
        .to_rgb8()
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| failed(FailureClass::Internal, format!("cannot write the PNG: {error}")))?;
    Ok((png.into_inner(), count))
}

fn failed(class: FailureClass, message: String) -> Failure {
    Failure::new(class, Stage::Render, message)
}
