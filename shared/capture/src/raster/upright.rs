//! Which way up a page lies.
//!
//! A cheap measure of our own settles nearly all pages: lines of text show whether the page lies on its side,
//! and the letters on them ([`lettering`]) which side of a line is up. Only where that is unsure is Tesseract's
//! orientation model asked (about a second a page), and a page is never turned on the word of one witness:
//! several of our own must agree, or model and measure, or reading it both ways must show which is right.

use image::GrayImage;
use platen_model::{Failure, Word};

use super::ink::Ink;
use super::lettering;
use super::skew::{Glance, Lines};
use super::turn::gray_by_quarters;
use crate::ocr::{Engines, Layout};

/// From this contrast on, lines of text are there.
const LINES_SEEN: f32 = 1.35;
/// Lines one way must be this much clearer than the other way.
const LINES_CLEARER: f32 = 1.2;
/// And this much, for a page to be taken for one on its side without a second opinion.
const LINES_CLEAREST: f32 = 1.35;
/// Pages come upright as a rule: the letters need only not deny it.
const UP_ENOUGH: f32 = 1.0;
/// From this sum of the letters' witnesses on, a turn is worth a second opinion.
const LIKELY_UP: f32 = 1.0;
/// From this sum on a turn is sure, when this many of them agree.
const SURELY_UP: f32 = 3.5;
const WITNESSES: usize = 2;
/// Tesseract's margin from which its word counts.
const MODEL_MARGIN: f32 = 1.5;
/// The model is shown pages of at least twice this resolution in a reduced copy: it sees as much, and Tesseract holds
/// several copies of what it is shown.
const MODEL_DPI: u32 = 250;
/// A turned page must read better than the page as it came by this factor.
const READS_BETTER: f64 = 1.4;
/// The longer side of the copy that is read to compare two ways, in pixels.
const COMPARED_PX: u32 = 1_800;

/// The outcome: the turn to apply, and the skew that remains after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Upright {
    /// Clockwise, 0, 90, 180 or 270.
    pub(super) rotation_deg: u32,
    /// Clockwise.
    pub(super) skew_deg: f32,
}

/// What the page's own marks say.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Own {
    /// Sure: this turn makes it upright.
    Sure(u32),
    /// This turn would make it upright, but that needs a second witness.
    Likely(u32),
    /// No idea.
    Unsure,
}

/// Finds the turn that makes the page upright, and its skew.
pub(super) fn find(
    page: &GrayImage,
    dpi: u32,
    ink: &Ink,
    languages: &str,
    engines: &mut Engines,
) -> Result<Upright, Failure> {
    let (across, down) = (Glance::across(ink), Glance::down(ink));
    let (own, lines) = own(ink, &across, &down);
    let rotation_deg = match own {
        Own::Sure(turn) if turn == 0 || is_latin(languages) => turn,
        Own::Sure(turn) | Own::Likely(turn) => settle(Some(turn), page, dpi, languages, engines)?,
        Own::Unsure => settle(None, page, dpi, languages, engines)?,
    };
    // The lines that were looked at may turn out not to be the ones that count.
    let on_its_side = rotation_deg % 180 == 90;
    let lines = match lines {
        (side, lines) if side == on_its_side => lines,
        _ if on_its_side => down.lines(),
        _ => across.lines(),
    };
    Ok(Upright { rotation_deg, skew_deg: lines.skew_deg })
}

/// What the page's own marks say, with the lines it was said of and whether these run down the page.
fn own(ink: &Ink, across: &Glance, down: &Glance) -> (Own, (bool, Lines)) {
    let clearer = |one: &Glance, other: &Glance, by: f32| {
        one.contrast > LINES_SEEN && one.contrast > other.contrast * by
    };
    if clearer(across, down, LINES_CLEARER) {
        let lines = across.lines();
        let upness = lettering::upness(ink, false, lines);
        let own = match upness.sum() {
            up if up > UP_ENOUGH => Own::Sure(0),
            up if up < -SURELY_UP && upness.agreeing() >= WITNESSES => Own::Sure(180),
            up if up < -LIKELY_UP => Own::Likely(180),
            _ => Own::Unsure,
        };
        (own, (false, lines))
    } else if clearer(down, across, LINES_CLEARER) {
        // Seen after a quarter turn clockwise.
        let lines = down.lines();
        let upness = lettering::upness(ink, true, lines);
        let turn = if upness.sum() > 0.0 { 90 } else { 270 };
        let is_sure = clearer(down, across, LINES_CLEAREST) && upness.agreeing() >= WITNESSES;
        let own = match upness.sum().abs() {
            up if up > SURELY_UP && is_sure => Own::Sure(turn),
            up if up > LIKELY_UP => Own::Likely(turn),
            _ => Own::Unsure,
        };
        (own, (true, lines))
    } else {
        (Own::Unsure, (false, across.lines()))
    }
}

/// Asks the model, and believes it where it agrees with `likely` or where reading proves it right.
fn settle(
    likely: Option<u32>,
    page: &GrayImage,
    dpi: u32,
    languages: &str,
    engines: &mut Engines,
) -> Result<u32, Failure> {
    let model = match dpi / MODEL_DPI {
        0 | 1 => engines.orientation(page, dpi),
        by => {
            let coarse = image::imageops::thumbnail(page, page.width() / by, page.height() / by);
            engines.orientation(&coarse, dpi / by)
        }
    };
    let model = model.filter(|turn| turn.margin >= MODEL_MARGIN).map(|turn| turn.clockwise_deg);
    let candidate = match (likely, model) {
        (Some(turn), Some(said)) if turn == said => return Ok(turn),
        (Some(turn), _) => turn,
        (None, Some(said)) => said,
        (None, None) => 0,
    };
    if candidate == 0 {
        return Ok(0);
    }
    let long = page.width().max(page.height());
    let small = match long.div_ceil(COMPARED_PX) {
        0 | 1 => page.clone(),
        by => image::imageops::thumbnail(page, page.width() / by, page.height() / by),
    };
    let dpi = (dpi * small.width() / page.width().max(1)).max(70);
    let as_it_is = legible(&engines.read(&small, Some(dpi), Layout::Page, languages)?);
    let turned =
        legible(&engines.read(&gray_by_quarters(small, candidate), Some(dpi), Layout::Page, languages)?);
    Ok(if turned > as_it_is * READS_BETTER + 5.0 { candidate } else { 0 })
}

/// How much was read with confidence.
fn legible(words: &[Word]) -> f64 {
    words
        .iter()
        .filter(|word| word.confidence > 0.6)
        .map(|word| {
            f64::from(word.confidence) * word.text.chars().filter(|c| c.is_alphanumeric()).count() as f64
        })
        .sum()
}

/// Whether all of these Tesseract languages are written in Latin script.
fn is_latin(languages: &str) -> bool {
    const OTHERS: &[&str] = &[
        "amh", "ara", "asm", "bel", "ben", "bod", "bul", "chi", "chr", "dzo", "ell", "fas", "grc", "guj",
        "heb", "hin", "hye", "iku", "jpn", "kan", "kat", "kaz", "khm", "kir", "kor", "lao", "mal", "mar",
        "mkd", "mon", "mya", "nep", "ori", "pan", "pus", "rus", "san", "sin", "snd", "srp", "syr", "tam",
        "tat", "tel", "tgk", "tha", "tir", "uig", "ukr", "urd", "yid",
    ];
    languages.split('+').all(|language| !OTHERS.iter().any(|other| language.starts_with(other)))
}
