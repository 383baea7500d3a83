//! The copy of a page that Tesseract reads.
//!
//! Tesseract brings every line of text to a height of 36 pixels before it reads it, so a page scanned finer than
//! that costs time and adds nothing: layout analysis walks over every pixel, and the network's work grows with
//! the length of the scaled line. So the copy is made just large enough for the characters that were measured,
//! a little narrower than high (the network reads condensed letters as well, and has fewer columns to look
//! at), and it is made larger where they are small. Nothing done here shows in the page's image; boxes are
//! answered in the page's own pixels.

use std::borrow::Cow;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::GrayImage;
use platen_model::{CheckBox, Failure, FailureClass, Rect, Stage, Word};

use super::encode::Lettering;
use super::ink::Ink;
use super::{check_boxes, litter, underline, unread};
use crate::ocr::{Engines, Layout};

/// Below this, a stated resolution is a program's default more often than a scanner's setting.
const SCANNER_DPI_MIN: u32 = 120;
/// Capitals higher than this on the copy gain nothing by it.
const CAPITAL_PX: f64 = 30.0;
/// Text is made narrower until its characters are as wide as those of capitals of this height.
const CONDENSED_PX: f64 = 27.0;
/// On a narrow page the copy has capitals of this height and letters of their own width: receipts are set in
/// fonts that are condensed already.
const NARROW_CAPITAL_PX: f64 = 28.0;
/// Capitals lower than this are read in a larger copy.
const SMALL_CAPITAL_PX: f64 = 20.0;
/// The most by which the copy is larger than the page. More makes Tesseract take specks for letters.
const ENLARGED_MAX: f64 = 1.5;
/// The least part of the page's size that the copy has.
const REDUCED_MIN: f64 = 0.1;
/// A page that is narrower than this many capitals are high has no columns, but it may look to Tesseract as if it
/// had: the prices of a receipt belong to their lines.
const NARROW_CAPITALS: f32 = 37.0;

/// How large the text on a page is, as far as it decides how the page is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextSize {
    /// The height of capitals, where there were enough characters to measure.
    capital_px: Option<f32>,
    /// The resolution, where the file states one that a scanner would. Tesseract lays out a page better by its
    /// own estimate than by a resolution that is merely a default.
    stated_dpi: Option<u32>,
}

impl TextSize {
    pub(super) fn of(ink: &Ink, lines_are_vertical: bool, stated_dpi: Option<u32>) -> Self {
        Self {
            capital_px: ink.capital_height_px(lines_are_vertical),
            stated_dpi: stated_dpi.filter(|dpi| *dpi >= SCANNER_DPI_MIN),
        }
    }

    /// What decides how a page of this width may be coded.
    pub(super) fn lettering(&self, dpi: u32, width: u32) -> Lettering {
        let is_narrow = self.layout(width) == Layout::Lines;
        Lettering { dpi, capital_px: self.capital_px, is_narrow }
    }

    /// How a page of this width is laid out, as far as that can be told before it is read.
    fn layout(&self, width: u32) -> Layout {
        match self.capital_px {
            Some(height) if (width as f32) < height * NARROW_CAPITALS => Layout::Lines,
            _ => Layout::Page,
        }
    }

    /// The size of the copy as a part of the page's: along the lines, and across them.
    fn reading_scale(&self, layout: Layout) -> (f64, f64) {
        let Some(height) = self.capital_px.map(f64::from) else { return (1.0, 1.0) };
        let (along, across, smallest) = match layout {
            Layout::Page => (CONDENSED_PX, CAPITAL_PX, SMALL_CAPITAL_PX),
            Layout::Lines => (NARROW_CAPITAL_PX, NARROW_CAPITAL_PX, NARROW_CAPITAL_PX),
        };
        let most = (smallest / height).clamp(1.0, ENLARGED_MAX);
        let scale = |wanted: f64| (wanted / height).clamp(REDUCED_MIN, most);
        (scale(along), scale(across))
    }
}

/// What stands on a page.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The words in reading order.
    pub(super) words: Vec<Word>,
    /// The boxes to tick.
    pub(super) check_boxes: Vec<CheckBox>,
}

impl Content {
    /// Where all of it stands.
    pub(super) fn rects(&mut self) -> impl Iterator<Item = &mut Rect> {
        let words = self.words.iter_mut().map(|word| &mut word.rect);
        words.chain(self.check_boxes.iter_mut().map(|found| &mut found.rect))
    }
}

/// Reads a page at the size that suits the recogniser.
pub(super) fn read(
    page: &GrayImage,
    text: TextSize,
    languages: &str,
    engines: &mut Engines,
) -> Result<Content, Failure> {
    let layout = text.layout(page.width());
    let (along, across) = text.reading_scale(layout);
    let mut copy = sized(page, along, across)?;
    let dpi = text.stated_dpi.map(|dpi| (f64::from(dpi) * across).round() as u32);
    let ink = Ink::of(&copy);
    let check_boxes = check_boxes::find(&ink);
    underline::take_out(&mut copy, &ink);
    let mut words = engines.read(&copy, dpi, layout, languages)?;
    let mut found = Vec::new();
    for region in unread::regions(&ink, copy.dimensions(), &words) {
        let read = engines.read_region(region.rect, languages)?;
        found.push((region, read));
    }
    unread::put_in(&mut words, found);
    litter::take_out(&mut words);
    let mut content = Content { words, check_boxes };
    for rect in content.rects() {
        *rect = placed(*rect, copy.dimensions(), page.dimensions());
    }
    Ok(content)
}

/// Reads some lines of a page at the size that suits the recogniser, for how well they read: boxes are those on the copy.
pub(super) fn read_lines(
    part: &GrayImage,
    text: TextSize,
    languages: &str,
    engines: &mut Engines,
) -> Result<Vec<Word>, Failure> {
    let (along, across) = text.reading_scale(Layout::Page);
    let copy = sized(part, along, across)?;
    engines.read(&copy, None, Layout::Lines, languages)
}

fn sized(page: &GrayImage, along: f64, across: f64) -> Result<Cow<'_, GrayImage>, Failure> {
    let side = |length: u32, factor: f64| ((f64::from(length) * factor).round() as u32).max(1);
    let (width, height) = (side(page.width(), along), side(page.height(), across));
    if (width, height) == page.dimensions() {
        return Ok(Cow::Borrowed(page));
    }
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(FailureClass::Internal, Stage::Page, format!("cannot resize the page: {error}"))
    };
    let source = ImageRef::new(page.width(), page.height(), page.as_raw(), PixelType::U8)
        .map_err(|error| failed(&error))?;
    let mut copy = Image::new(width, height, PixelType::U8);
    let bicubic = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(&source, &mut copy, &bicubic).map_err(|error| failed(&error))?;
    let copy = GrayImage::from_raw(width, height, copy.into_vec());
    Ok(Cow::Owned(copy.expect("the copy has a byte for each of its pixels")))
}

/// A box found on the copy, in the pixels of the page.
fn placed(rect: Rect, copy: (u32, u32), page: (u32, u32)) -> Rect {
    let at = |value: u32, copy: u32, page: u32| {
        ((f64::from(value) * f64::from(page) / f64::from(copy)).round() as u32).min(page)
    };
    let (x, y) = (at(rect.x, copy.0, page.0), at(rect.y, copy.1, page.1));
    let (right, bottom) = (at(rect.x + rect.w, copy.0, page.0), at(rect.y + rect.h, copy.1, page.1));
    Rect { x, y, w: right - x, h: bottom - y }
}
