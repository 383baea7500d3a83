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
/// From this sum on, which way up a page on its side is, is sure: it must be turned one way or the other.
const SURELY_UP_SIDEWAYS: f32 = 2.5;
/// A page must read better one way than the other by this factor, and by so many letters more.
const READS_BETTER: f64 = 1.4;
const READS_MORE: f64 = 5.0;
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
    /// The first of these turns makes it upright, or else the second, but that needs a second witness.
    Likely(u32, u32),
    /// One of these turns makes it upright, and nothing says which.
    Either(u32, u32),
    /// It lies as it should, or this one of the ways that are left makes it upright.
    Unsure(&'static [u32]),
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
    let own = match own {
        Own::Sure(turn) if turn != 0 && !is_latin(languages) => Own::Likely(turn, (turn + 180) % 360),
        own => own,
    };
    let rotation_deg = match own {
        Own::Sure(turn) => turn,
        Own::Likely(..) | Own::Either(..) | Own::Unsure(_) => {
            Second { page, dpi, languages, engines }.opinion(own)?
        }
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
            up if up > UP_ENOUGH || up > 0.0 && !lettering::is_enough(ink) => Own::Sure(0),
            up if up < -SURELY_UP && upness.agreeing() >= WITNESSES => Own::Sure(180),
            up if up < -LIKELY_UP => Own::Likely(180, 0),
            _ => Own::Unsure(&[180]),
        };
        (own, (false, lines))
    } else if clearer(down, across, LINES_CLEARER) {
        // Seen after a quarter turn clockwise.
        let lines = down.lines();
        let upness = lettering::upness(ink, true, lines);
        let (turn, other) = if upness.sum() > 0.0 { (90, 270) } else { (270, 90) };
        let is_sideways = clearer(down, across, LINES_CLEAREST);
        let is_sure = upness.sum().abs() > SURELY_UP_SIDEWAYS && upness.agreeing() >= WITNESSES;
        let own = match (is_sideways, is_sure) {
            (true, true) => Own::Sure(turn),
            (true, false) if upness.sum().abs() > LIKELY_UP => Own::Likely(turn, other),
            (true, false) => Own::Either(turn, other),
            (false, true) => Own::Likely(turn, 0),
            (false, false) => Own::Unsure(&[90, 270]),
        };
        (own, (true, lines))
    } else if lettering::is_enough(ink) {
        (Own::Unsure(&[90, 180, 270]), (false, across.lines()))
    } else {
        // A picture, or a word or two: nobody can say, and it is as it is.
        (Own::Sure(0), (false, across.lines()))
    }
}

/// Tesseract's opinion on a page, where the page's own marks did not suffice.
struct Second<'a> {
    page: &'a GrayImage,
    dpi: u32,
    languages: &'a str,
    engines: &'a mut Engines,
}

impl Second<'_> {
    /// Asks the orientation model, and believes it where it agrees with the page's own marks or where reading
    /// proves it right.
    fn opinion(mut self, own: Own) -> Result<u32, Failure> {
        let (turn, other) = match own {
            Own::Sure(turn) => return Ok(turn),
            Own::Either(turn, other) => (turn, other),
            Own::Likely(turn, other) => match self.model() {
                Some(said) if said == turn => return Ok(turn),
                _ => (turn, other),
            },
            Own::Unsure(ways) => match self.model() {
                Some(said) if ways.contains(&said) => (said, 0),
                _ => return Ok(0),
            },
        };
        let long = self.page.width().max(self.page.height());
        let by = long.div_ceil(COMPARED_PX);
        let small = match by {
            0 | 1 => self.page.clone(),
            by => image::imageops::thumbnail(self.page, self.page.width() / by, self.page.height() / by),
        };
        let one = self.legible(&small, turn)?;
        let two = self.legible(&small, other)?;
        Ok(match (one, two) {
            (one, two) if one > two * READS_BETTER + READS_MORE => turn,
            (one, two) if two > one * READS_BETTER + READS_MORE => other,
            _ => 0,
        })
    }

    /// The turn that the orientation model would make, where it is sure enough to be heard.
    fn model(&mut self) -> Option<u32> {
        let said = match self.dpi / MODEL_DPI {
            0 | 1 => self.engines.orientation(self.page, self.dpi),
            by => {
                let (width, height) = (self.page.width() / by, self.page.height() / by);
                self.engines.orientation(&image::imageops::thumbnail(self.page, width, height), self.dpi / by)
            }
        }?;
        (said.margin >= MODEL_MARGIN).then_some(said.clockwise_deg)
    }

    /// How much of a reduced copy is read with confidence after this turn.
    fn legible(&mut self, small: &GrayImage, turn_deg: u32) -> Result<f64, Failure> {
        let dpi = (self.dpi * small.width() / self.page.width().max(1)).max(70);
        let turned = gray_by_quarters(small.clone(), turn_deg);
        Ok(legible(&self.engines.read(&turned, Some(dpi), Layout::Page, self.languages)?))
    }
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
