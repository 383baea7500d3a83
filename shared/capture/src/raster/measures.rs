//! Single steps of page processing, so that each can be timed and judged alone.
//!
//! Benchmarks and tables use this; the capture path does not. Each function is the very step that
//! [`finish_page`](super::finish_page) takes, with nothing around it.

use std::borrow::Cow;

use image::GrayImage;
use platen_model::{Barcode, Failure, Photo};

use super::ink::Ink;
use super::skew::Glance;
use super::{barcode, blank, clean, photo, turn, upright};
use crate::decode::{Picture, Samples};
use crate::ocr::Engines;

/// The marks found on a page: what everything else is measured on.
#[derive(Debug)]
pub struct Marks(Ink);

impl Marks {
    /// Finds them.
    pub fn of(page: &GrayImage) -> Self {
        Self(Ink::of(page))
    }

    /// The clockwise rotation of the lines of text on a page that lies upright, in degrees; 0 where there is no
    /// telling.
    pub fn skew_deg(&self) -> f32 {
        Glance::across(&self.0).lines().skew_deg
    }

    /// The clockwise turn that makes `page`, on which these marks were found, upright, in degrees.
    ///
    /// # Errors
    ///
    /// A language that is not installed, or a fault inside Tesseract.
    pub fn turn_deg(
        &self,
        page: &GrayImage,
        dpi: u32,
        languages: &str,
        engines: &mut Engines,
    ) -> Result<u32, Failure> {
        upright::find(page, dpi, &self.0, languages, engines).map(|upright| upright.rotation_deg)
    }

    /// The bar codes on `page`, on which these marks were found.
    pub fn barcodes(&self, page: &GrayImage, dpi: u32) -> Vec<Barcode> {
        barcode::find(page, dpi, &self.0)
    }

    /// Whether `page`, on which these marks were found, is blank.
    pub fn are_of_blank(&self, page: &GrayImage) -> bool {
        blank::is_blank(page, &self.0)
    }

    /// Whether there is something on the page that only its colour shows.
    pub fn have_colour(&self, samples: &Samples) -> bool {
        blank::has_colour(samples, &self.0)
    }

    /// The copy of an upright page that is read.
    pub fn cleaned<'a>(&self, page: &'a GrayImage) -> Cow<'a, GrayImage> {
        let lay = clean::Lay { rotation_deg: 0, skew_deg: 0.0, size: page.dimensions() };
        clean::for_reading(page, &self.0, lay)
    }

    /// Takes a clockwise skew out of an upright page. Answers its samples and the gray copy.
    pub fn straightened(&self, samples: Samples, skew_deg: f32) -> (Samples, GrayImage) {
        let size = match &samples {
            Samples::Bitonal(image) | Samples::Gray(image) => image.dimensions(),
            Samples::Rgb(image) => image.dimensions(),
        };
        turn::straightened_to_read(samples, skew_deg, turn::size_for(&self.0, size, 0, skew_deg))
    }
}

/// Takes the perspective out of a photo of a sheet, and tells what was seen of the sheet.
pub fn rectified(picture: Picture) -> (Picture, Option<Photo>) {
    photo::rectified(picture)
}

/// Turns a page clockwise by a multiple of 90 degrees.
pub fn turned_by_quarters(samples: Samples, clockwise_deg: u32) -> Samples {
    turn::by_quarters(samples, clockwise_deg)
}
