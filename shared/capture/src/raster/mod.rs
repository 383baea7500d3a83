//! From a picture as the scanner made it to an upright, straight page with its words.
//!
//! [`finish_page`] names the stages in order. What is measured, is measured on the page's marks ([`ink`]); what
//! is changed, is changed on the page itself, and as little as possible: a page that lies straight and upright
//! keeps every sample, and a scanner's plain JPEG keeps its very bytes. Recognition works on a copy; nothing
//! done for its sake shows in the page's image.

mod as_scanned;
mod as_shown;
mod barcode;
mod blank;
mod check_boxes;
mod clean;
mod coverage;
mod embedded;
pub mod encode;
mod fine_print;
mod grain;
mod incoming;
mod ink;
mod lettering;
mod litter;
pub mod measures;
mod neighbours;
mod paper;
mod photo;
mod quality;
mod reading;
mod resolution;
mod rows;
mod shear;
mod skew;
mod turn;
mod underline;
mod unread;
mod upright;

use std::borrow::Cow;
use std::collections::BTreeMap;

use image::GrayImage;
use platen_model::{Failure, Lack, PageRecord, TextSource, Word};
use rustix::time::{ClockId, clock_gettime};

use crate::decode::{Document, Makeup, Picture};
use crate::inspection::PageImage;
use crate::ocr::Engines;
use crate::options::{Clean, Effort, Options};
pub use as_scanned::{as_picture, as_scanned};
pub use as_shown::as_shown;
use clean::Lay;
pub(crate) use embedded::{certain, is_language};
use grain::Grain;
use ink::Ink;
use quality::Reading;
use reading::{Content, TextSize};
pub(crate) use turn::by_quarters;
use upright::Upright;

/// A skew below this many degrees is left alone: nobody sees it, Tesseract reads it, and the samples stay true.
const STRAIGHT_DEG: f32 = 0.15;

/// A page with less skew than this is read as it lies. Tesseract follows lines that lean a little, and the letters
/// of a coarse scan lose more by being interpolated than by leaning.
const READ_AS_IT_LIES_DEG: f32 = 0.5;

/// One finished page.
#[derive(Debug)]
pub struct FinishedPage {
    /// Its measures and words.
    pub record: PageRecord,
    /// The measures of its image.
    pub image: PageImage,
    /// Its image, coded as `image` says.
    pub bytes: Vec<u8>,
}

/// Decodes, orients, straightens and reads one page, and codes its image for the PDF. It is read where the effort
/// is [`Effort::Whole`]; a page that brings words which are what one sees keeps them, and lies as it was made.
///
/// # Errors
///
/// A page that cannot be decoded, a language that is not installed, or a fault of our own.
pub fn finish_page(
    input: &mut Document,
    page: u32,
    options: &Options,
    effort: Effort,
    engines: &mut Engines,
) -> Result<FinishedPage, Failure> {
    let mut clock = Clock::start();
    let mut picture = input.page(page, &options.limits)?;
    let decoded_size = picture.dimensions();
    let (remarks, is_incomplete) = (std::mem::take(&mut picture.remarks), picture.is_incomplete);
    clock.lap("decode");

    let makeup = input.makeup(page)?;
    let (picture, photo) = match makeup {
        Some(Makeup::Drawn) => (picture, None),
        _ => photo::rectified(picture),
    };
    clock.lap("photo");

    let gray = picture.samples.to_gray();
    let ink = Ink::of(&gray);
    // What is missing of a page may be what stood on it.
    let blank = !is_incomplete && blank::is_blank(&gray, &ink) && !blank::has_colour(&picture.samples, &ink);
    let dpi = resolution::of(gray.dimensions(), picture.dpi, ink.character_height_px(false));
    // A page that has but a few letters may look blank; its letters say that it is not.
    let blank = blank
        && !(gray.dimensions() == decoded_size
            && embedded::any_is_there(&input.letters(page, decoded_size), &gray));
    clock.lap("measure");

    let mut barcodes = if blank { Vec::new() } else { barcode::find(&gray, dpi, &ink) };
    let searched_size = gray.dimensions();
    clock.lap("barcodes");

    // From here on grain is in the way. What is blank is told by it, and bars may be finer.
    let matters = !blank && Grain::matters(gray.dimensions());
    let without_grain = matters.then(|| Grain::taken_out(&gray)).flatten();
    let (grain, gray, ink) = match without_grain {
        Some((grain, gray)) => {
            let ink = Ink::of(&gray);
            (Some(grain), gray, ink)
        }
        None => (None, gray, ink),
    };
    clock.lap("grain");

    let is_read = !blank && effort == Effort::Whole;
    let embedded = (is_read && gray.dimensions() == decoded_size)
        .then(|| input.words(page, decoded_size))
        .flatten()
        .and_then(|words| embedded::as_seen(words, &gray, &ink, makeup == Some(Makeup::Drawn)));
    clock.lap("embedded");

    let is_all_text = embedded.as_ref().is_some_and(|own| own.is_all);
    let incoming = makeup.map(|makeup| incoming::judged(makeup, is_all_text));
    let mut upright = if blank || embedded.is_some() {
        Upright::AS_IT_LIES
    } else {
        upright::find(&gray, dpi, &ink, &options.languages, engines)?
    };
    if incoming.as_ref().is_some_and(|incoming| incoming.kept) {
        // It lies as its program laid it; only quarters of a turn can be said of a page.
        upright.skew_deg = 0.0;
    }
    clock.lap("orient");

    let Straightened { mut picture, picture_lay, gray, gray_lay, lean_deg } =
        straighten(picture, gray, &ink, upright, grain);
    clock.lap("deskew");

    let is_kept = incoming.as_ref().is_some_and(|incoming| incoming.kept);
    if options.clean == Clean::Shown && embedded.is_none() && !is_kept {
        clean::shown(&mut picture, &ink, picture_lay);
        clock.lap("clean");
    }

    // Coded before it is read, so that a large colour page is not held while Tesseract works.
    let stated_dpi = picture.dpi;
    let size = picture.dimensions();
    barcode::move_along(&mut barcodes, searched_size, upright.rotation_deg, upright.skew_deg, size);
    let text = TextSize::of(&ink, upright, stated_dpi);
    let text = if grain.is_some() { text.not_enlarged() } else { text };
    let (image, bytes) = if is_kept {
        // The page itself goes into the PDF.
        drop(picture);
        (PageImage::none(size), Vec::new())
    } else {
        encode::encode(picture, text.lettering(dpi), options.profile)?
    };
    clock.lap("encode");

    let copy = match (&embedded, options.clean) {
        (Some(own), _) => own.has_rest.then(|| Cow::Owned(own.rest(&gray))),
        (None, _) if !is_read => None,
        (None, Clean::Off) => Some(Cow::Borrowed(&gray)),
        (None, Clean::Reading | Clean::Shown) => Some(clean::for_reading(&gray, &ink, gray_lay)),
    };
    clock.lap("clean");

    let text_source = embedded.as_ref().map_or(TextSource::Recognised, |_| TextSource::Embedded);
    let mut content = match (copy, embedded) {
        (Some(copy), None) => reading::read(&copy, text, &options.languages, engines)?,
        (copy, Some(mut own)) => {
            if let Some(copy) = copy {
                own.add(reading::read(&copy, text, &options.languages, engines)?.words);
            }
            Content { words: own.words, check_boxes: check_boxes::find(&ink), ..Content::default() }
        }
        (None, None) => Content::default(),
    };
    turn::straighten_rects(content.rects(), gray.dimensions(), size, lean_deg);
    let Content { words, mut check_boxes, coverage } = content;
    check_boxes::drop_others(&mut check_boxes, &barcodes, &words);
    clock.lap("recognise");

    let confidence = mean_confidence(&words);
    // Letters that were not read count as read without any confidence.
    let read_share = 1.0 - coverage.unread_share();
    let read = Reading { words: &words, confidence, languages: &options.languages, coverage };
    let quality = is_read.then(|| quality::judge(&gray, &ink, upright.rotation_deg, grain, read));
    let (quality, mut notes) = quality.map_or((0.0, Vec::new()), |quality| (quality.score, quality.notes));
    let is_kept_as_it_is = photo.is_some_and(|photo| !photo.corrected);
    notes.extend(is_kept_as_it_is.then(|| photo::EDGES_NOT_FOUND.to_owned()));
    notes.extend(remarks);
    clock.lap("judge");

    let record = PageRecord {
        index: page,
        width_px: size.0,
        height_px: size.1,
        dpi,
        rotation_deg: upright.rotation_deg,
        skew_deg: upright.skew_deg,
        blank,
        text_source,
        incoming,
        photo,
        mean_confidence: if coverage.lacks_much() { confidence * read_share } else { confidence },
        quality,
        words,
        barcodes,
        check_boxes,
        notes,
        lacks: is_incomplete.then_some(Lack::Content),
        timings_ms: clock.laps,
        ..PageRecord::default()
    };
    Ok(FinishedPage { record, image, bytes })
}

/// A page that was turned upright and straightened.
struct Straightened {
    picture: Picture,
    picture_lay: Lay,
    /// The gray copy to read.
    gray: GrayImage,
    gray_lay: Lay,
    /// The clockwise skew that the gray copy still has.
    lean_deg: f32,
}

/// Turns the page upright and takes its skew out; a page that lies well stays as it is. The gray copy has no grain.
fn straighten(
    mut picture: Picture,
    mut gray: GrayImage,
    ink: &Ink,
    upright: Upright,
    grain: Option<Grain>,
) -> Straightened {
    let Upright { rotation_deg, skew_deg } = upright;
    if rotation_deg != 0 {
        picture.samples = turn::by_quarters(picture.samples, rotation_deg);
        picture.original = None;
        gray = turn::gray_by_quarters(gray, rotation_deg);
    }
    let as_it_lies = Lay { rotation_deg, skew_deg: 0.0, size: gray.dimensions() };
    let straight = Lay { skew_deg, ..as_it_lies };
    if skew_deg.abs() < STRAIGHT_DEG {
        return Straightened { picture, picture_lay: as_it_lies, gray, gray_lay: as_it_lies, lean_deg: 0.0 };
    }
    let size = turn::size_for(ink, gray.dimensions(), rotation_deg, skew_deg);
    picture.original = None;
    if skew_deg.abs() < READ_AS_IT_LIES_DEG {
        picture.samples = turn::straightened(picture.samples, skew_deg, size);
        return Straightened {
            picture,
            picture_lay: straight,
            gray,
            gray_lay: as_it_lies,
            lean_deg: skew_deg,
        };
    }
    drop(gray);
    let (samples, gray) = turn::straightened_to_read(picture.samples, skew_deg, size);
    picture.samples = samples;
    let gray = match grain {
        Some(grain) => grain.without(&gray),
        None => gray,
    };
    Straightened { picture, picture_lay: straight, gray, gray_lay: straight, lean_deg: 0.0 }
}

/// The mean of the words' confidences, weighted by their length.
fn mean_confidence(words: &[Word]) -> f32 {
    let (mut sum, mut letters) = (0.0, 0.0);
    for word in words {
        let length = word.text.chars().count() as f32;
        sum += word.confidence * length;
        letters += length;
    }
    if letters == 0.0 { 0.0 } else { sum / letters }
}

/// Times the stages by the processor time of this thread, on which all of a page's work is done: waiting for a busy
/// processor is no work of a stage.
struct Clock {
    last_ms: f64,
    laps: BTreeMap<String, f64>,
}

impl Clock {
    fn start() -> Self {
        Self { last_ms: thread_cpu_ms(), laps: BTreeMap::new() }
    }

    fn lap(&mut self, stage: &str) {
        let now_ms = thread_cpu_ms();
        *self.laps.entry(stage.to_owned()).or_default() += now_ms - self.last_ms;
        self.last_ms = now_ms;
    }
}

/// Processor time that this thread has used, in milliseconds.
fn thread_cpu_ms() -> f64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as f64 * 1e3 + used.tv_nsec as f64 / 1e6
}

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod passed_over_tests;
#[cfg(test)]
mod print_tests;
#[cfg(test)]
mod reading_tests;
#[cfg(test)]
mod strip_tests;
#[cfg(test)]
mod tests;
