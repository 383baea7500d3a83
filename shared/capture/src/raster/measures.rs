//! Single steps of page processing, so that each can be timed and judged alone.
//!
//! Benchmarks and tables use this; the capture path does not. Each function is the very step that
//! [`finish_page`](super::finish_page) takes, with nothing around it.

use std::borrow::Cow;

use image::GrayImage;

use super::ink::Ink;
use super::skew::Glance;
use super::{blank, clean, turn};
use crate::decode::Samples;

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

    /// Whether `page`, on which these marks were found, is blank.
    pub fn are_of_blank(&self, page: &GrayImage) -> bool {
        blank::is_blank(page, &self.0)
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

/// Turns a page clockwise by a multiple of 90 degrees.
pub fn turned_by_quarters(samples: Samples, clockwise_deg: u32) -> Samples {
    turn::by_quarters(samples, clockwise_deg)
}
