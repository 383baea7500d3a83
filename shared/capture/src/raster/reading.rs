//! The copy of a page that Tesseract reads.
//!
//! Tesseract brings every line of text to a height of 36 pixels before it reads it, so a page scanned finer than
//! that costs time and adds nothing: layout analysis walks over every pixel, and the network's work grows with
//! the length of the scaled line. So the copy is made just large enough for the characters that were measured,
//! a little narrower than high (the network reads condensed letters as well, and has fewer columns to look
//! at), and it is made larger where they are small. Nothing done here shows in the page's image; boxes are
//! answered in the page's own pixels.
//!
//! Tesseract takes no picture with a side of more than 32,767 pixels. A till receipt may be longer: it is read in
//! strips, which are cut between its lines.

use std::borrow::Cow;
use std::ops::Range;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{GrayImage, imageops};
use platen_model::{CheckBox, Failure, FailureClass, Rect, Stage, Word};

use super::clean::tint;
use super::coverage::Coverage;
use super::encode::Lettering;
use super::ink::Ink;
use super::upright::Upright;
use super::{check_boxes, fine_print, lettering, litter, rows, underline, unread};
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
/// Letters of this height on the copy can just be read. Where large letters decide about its size, as on a cover, it is made
/// large enough for the small print...
const FINE_PX: f64 = 9.0;
/// ...but not of more pixels than this: Tesseract's memory grows with them.
const FINE_COPY_PX: f64 = 20e6;
/// The least part of the page's size that the copy has.
const REDUCED_MIN: f64 = 0.1;
/// Text that is narrower than this many capitals are high has no columns, but it may look to Tesseract as if it
/// had: the prices of a receipt belong to their lines...
const NARROW_CAPITALS: f32 = 37.0;
/// ...where such a part of its lines goes on behind a wide blank. A book in large print is as narrow, and prose is read
/// with half the errors where Tesseract may find out what is text.
const GAPPED: f32 = 0.15;
/// The highest copy that is read in one piece, in pixels.
const STRIP_PX: u32 = 12_000;
/// A strip is cut in so much of its length, at its end, where the least text stands.
const CUT_SHARE: u32 = 4;
/// The widest copy that Tesseract takes, in pixels.
const WIDEST_PX: f64 = 32_000.0;

/// How large the text on a page is, as far as it decides how the page is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextSize {
    /// The height of capitals, where there were enough characters to measure.
    capital_px: Option<f32>,
    /// The height of letters in small print, where there are much smaller ones than most of the ink is in.
    fine_px: Option<f32>,
    /// How wide its lines are, in pixels.
    width_px: u32,
    /// The part of the lines that goes on behind a wide blank.
    gapped_share: f32,
    /// The resolution, where the file states one that a scanner would. Tesseract lays out a page better by its
    /// own estimate than by a resolution that is merely a default.
    stated_dpi: Option<u32>,
    /// The most by which the copy is larger than the page.
    enlarged_max: f64,
}

impl TextSize {
    /// `upright` is how the page lies on which these marks were found.
    pub(super) fn of(ink: &Ink, upright: Upright, stated_dpi: Option<u32>) -> Self {
        let lines_are_vertical = upright.rotation_deg % 180 == 90;
        let capital_px = ink.capital_height_px(lines_are_vertical);
        let width_px = lettering::width(ink, lines_are_vertical, upright.skew_deg) * ink.reduction;
        let may_be_narrow = capital_px.is_some_and(|height| (width_px as f32) < height * NARROW_CAPITALS);
        let gapped = || lettering::gapped_share(ink, lines_are_vertical, upright.skew_deg);
        Self {
            capital_px,
            width_px,
            fine_px: capital_px
                .and_then(|capital_px| fine_print::height_px(ink, lines_are_vertical, capital_px)),
            gapped_share: if may_be_narrow { gapped() } else { 0.0 },
            stated_dpi: stated_dpi.filter(|dpi| *dpi >= SCANNER_DPI_MIN),
            enlarged_max: ENLARGED_MAX,
        }
    }

    /// The same, of a page whose copy is not to be larger: it was smoothed, so that small letters are no clearer there,
    /// and what is left of its grain would be taken for some.
    pub(super) fn not_enlarged(self) -> Self {
        Self { enlarged_max: 1.0, ..self }
    }

    /// The size of the copy that is read of a page of this size.
    #[cfg(test)]
    pub(super) fn copy_size(&self, page: (u32, u32)) -> (u32, u32) {
        let (along, across) = self.reading_scale(self.layout(), page);
        let side = |length: u32, factor: f64| (f64::from(length) * factor).round() as u32;
        (side(page.0, along), side(page.1, across))
    }

    /// What decides how the page may be coded.
    pub(super) fn lettering(&self, dpi: u32) -> Lettering {
        let is_narrow = self.layout() == Layout::Lines;
        Lettering { dpi, capital_px: self.capital_px, is_narrow }
    }

    /// How a page is laid out, as far as that can be told before it is read.
    fn layout(&self) -> Layout {
        match self.capital_px {
            Some(height)
                if (self.width_px as f32) < height * NARROW_CAPITALS && self.gapped_share >= GAPPED =>
            {
                Layout::Lines
            }
            _ => Layout::Page,
        }
    }

    /// The size of the copy as a part of the page's: along the lines, and across them.
    fn reading_scale(&self, layout: Layout, (width, height): (u32, u32)) -> (f64, f64) {
        let pixels = f64::from(width) * f64::from(height);
        let Some(height) = self.capital_px.map(f64::from) else { return (1.0, 1.0) };
        let (along, across, smallest) = match layout {
            Layout::Page => (CONDENSED_PX, CAPITAL_PX, SMALL_CAPITAL_PX),
            Layout::Lines => (NARROW_CAPITAL_PX, NARROW_CAPITAL_PX, NARROW_CAPITAL_PX),
        };
        let most = (smallest / height).clamp(1.0, self.enlarged_max);
        let fine = match self.fine_px.map(f64::from) {
            Some(fine) => (FINE_PX / fine).min((FINE_COPY_PX / pixels).sqrt()).min(1.0),
            None => 0.0,
        };
        let scale = |wanted: f64| (wanted / height).max(fine).clamp(REDUCED_MIN, most);
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
    /// How much of its text the words are.
    pub(super) coverage: Coverage,
}

impl Content {
    /// Where all of it stands.
    pub(super) fn rects(&mut self) -> impl Iterator<Item = &mut Rect> {
        let words = self.words.iter_mut().map(|word| &mut word.rect);
        words.chain(self.check_boxes.iter_mut().map(|found| &mut found.rect))
    }

    /// Puts what stands on a strip that begins at this row behind that of the strips above it.
    fn append(&mut self, mut strip: Self, top: u32) {
        strip.rects().for_each(|rect| rect.y += top);
        let (lines, blocks) = self.words.last().map_or((0, 0), |word| (word.line + 1, word.block + 1));
        self.words.extend(strip.words.into_iter().map(|word| Word {
            line: word.line + lines,
            block: word.block + blocks,
            ..word
        }));
        self.check_boxes.extend(strip.check_boxes);
        self.coverage = self.coverage.and(strip.coverage);
    }
}

/// Reads a page at the size that suits the recogniser.
pub(super) fn read(
    page: &GrayImage,
    text: TextSize,
    languages: &str,
    engines: &mut Engines,
) -> Result<Content, Failure> {
    let layout = text.layout();
    let (along, across) = text.reading_scale(layout, page.dimensions());
    let along = along.min(WIDEST_PX / f64::from(page.width()));
    let copy = sized(page, along, across)?;
    let dpi = text.stated_dpi.map(|dpi| (f64::from(dpi) * across).round() as u32);
    let how = How { dpi, layout, languages };
    let mut content = Content::default();
    let size = copy.dimensions();
    if size.1 <= STRIP_PX {
        content = how.read(copy, engines)?;
    } else {
        for rows in strips(&copy) {
            let strip = imageops::crop_imm(&*copy, 0, rows.start, size.0, rows.end - rows.start).to_image();
            content.append(how.read(Cow::Owned(strip), engines)?, rows.start);
        }
    }
    for rect in content.rects() {
        *rect = placed(*rect, size, page.dimensions());
    }
    Ok(content)
}

/// How a copy is read.
#[derive(Clone, Copy, Debug)]
struct How<'l> {
    /// Its resolution, where it is known for certain.
    dpi: Option<u32>,
    layout: Layout,
    languages: &'l str,
}

impl How<'_> {
    fn read(self, mut copy: Cow<'_, GrayImage>, engines: &mut Engines) -> Result<Content, Failure> {
        let ink = Ink::of(&copy);
        let check_boxes = check_boxes::find(&ink);
        let painted = check_boxes::paint::paint_over(&mut copy, &ink, &check_boxes, self.languages);
        underline::take_out(&mut copy, &ink);
        let mut words = self.words(&copy, &ink, engines)?;
        let mut coverage = Coverage::of(&ink, &words);
        if let Some((again, covered)) = self.again_without_tints(&copy, &ink, &words, engines)? {
            (words, coverage) = (again, covered);
        }
        check_boxes::paint::drop_ticks(&mut words, &painted);
        litter::take_out(&mut words);
        if self.layout == Layout::Page {
            rows::join(&mut words);
        }
        Ok(Content { words, check_boxes, coverage })
    }

    /// The words on a copy, with those that were passed over at first. `ink` is the copy's.
    fn words(self, copy: &GrayImage, ink: &Ink, engines: &mut Engines) -> Result<Vec<Word>, Failure> {
        let mut words = engines.read(copy, self.dpi, self.layout, self.languages)?;
        let mut found = Vec::new();
        for region in unread::regions(ink, copy.dimensions(), &words) {
            let read = engines.read_region(region.rect, self.languages)?;
            found.push((region, read));
        }
        unread::put_in(&mut words, found);
        Ok(words)
    }

    /// Reads a copy again with its tints made white, where that may be why letters were not read; `None` where it was not, or
    /// did not help.
    fn again_without_tints(
        self,
        copy: &GrayImage,
        ink: &Ink,
        words: &[Word],
        engines: &mut Engines,
    ) -> Result<Option<(Vec<Word>, Coverage)>, Failure> {
        let Some(capital) = ink.capital_height_px(false) else { return Ok(None) };
        if !tint::is_on(copy, capital) {
            return Ok(None);
        }
        let even = tint::evened(copy, capital);
        // The letters on a tint are no marks of their own where the tint is a mark.
        let ink = Ink::of(&even);
        if !Coverage::of(&ink, words).lacks_some() {
            return Ok(None);
        }
        let again = self.words(&even, &ink, engines)?;
        Ok(unread::are_worth_more(&again, words).then(|| {
            let covered = Coverage::of(&ink, &again);
            (again, covered)
        }))
    }
}

/// Rows of a copy that is too high to be read in one piece, cut where the least text stands.
fn strips(copy: &GrayImage) -> Vec<Range<u32>> {
    let ink = Ink::of(copy);
    let mut text = vec![0u32; ink.height as usize + 1];
    for (_, mark) in ink.text_like() {
        text[mark.y0 as usize..mark.y1 as usize].iter_mut().for_each(|marks| *marks += 1);
    }
    let mut strips = Vec::new();
    let mut from = 0;
    while copy.height() - from > STRIP_PX {
        let latest = (from + STRIP_PX) / ink.reduction;
        let earliest = latest - STRIP_PX / CUT_SHARE / ink.reduction;
        let cut = emptiest(&text[earliest as usize..latest as usize]) as u32 + earliest;
        strips.push(from..cut * ink.reduction);
        from = cut * ink.reduction;
    }
    strips.push(from..copy.height());
    strips
}

/// The middle of the longest stretch of rows with the least text.
fn emptiest(text: &[u32]) -> usize {
    let least = text.iter().min();
    let mut at = 0;
    let stretches = text.chunk_by(|one, other| one == other).map(|stretch| {
        at += stretch.len();
        (stretch, at - stretch.len() / 2)
    });
    let longest =
        stretches.filter(|(stretch, _)| stretch.first() == least).max_by_key(|(rows, _)| rows.len());
    longest.map_or(0, |(_, middle)| middle)
}

/// Reads some lines of a page at the size that suits the recogniser, for how well they read: boxes are those on the copy.
pub(super) fn read_lines(
    part: &GrayImage,
    text: TextSize,
    languages: &str,
    engines: &mut Engines,
) -> Result<Vec<Word>, Failure> {
    let (along, across) = text.reading_scale(Layout::Page, part.dimensions());
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
