//! Which way up a page lies.
//!
//! A cheap measure of our own settles most pages: lines of text show whether the page lies on its side, and
//! letters that reach above their neighbours (`b d f h k l t` and capitals) outnumber those that reach below
//! (`g p q y`) in every language of Latin script. Only where that is unsure is Tesseract's orientation model
//! asked (about a second a page), and a page is never turned on the word of one witness: model and measure
//! must agree, or reading it both ways must show which is right.

use image::GrayImage;
use platen_model::{Failure, Word};

use super::ink::{Ink, Mark};
use super::skew::{self, Lines};
use super::turn::gray_by_quarters;
use crate::ocr::{Engines, Layout};

/// From this contrast on, lines of text are there.
const LINES_SEEN: f32 = 1.35;
/// Lines one way must be this much clearer than the other way.
const LINES_CLEARER: f32 = 1.25;
/// Standard deviations by which letters that reach up must outnumber those that reach down.
const CLEARLY_UP: f32 = 4.0;
/// Tesseract's margin from which its word counts.
const MODEL_MARGIN: f32 = 1.5;
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
    let (across, down) = (skew::horizontal(ink), skew::vertical(ink));
    let own = if is_latin(languages) { own(ink, across, down) } else { Own::Unsure };
    let rotation_deg = match own {
        Own::Sure(turn) => turn,
        Own::Likely(turn) => settle(Some(turn), page, dpi, languages, engines)?,
        Own::Unsure => settle(None, page, dpi, languages, engines)?,
    };
    let lines = if rotation_deg % 180 == 0 { across } else { down };
    let skew_deg = if lines.contrast >= skew::TRUSTED { lines.skew_deg } else { 0.0 };
    Ok(Upright { rotation_deg, skew_deg })
}

fn own(ink: &Ink, across: Lines, down: Lines) -> Own {
    let lies_flat = across.contrast > LINES_SEEN && across.contrast > down.contrast * LINES_CLEARER;
    let on_its_side = down.contrast > LINES_SEEN && down.contrast > across.contrast * LINES_CLEARER;
    if lies_flat {
        match up_or_down(ink, false, across.skew_deg) {
            up if up > CLEARLY_UP => Own::Sure(0),
            up if up < -CLEARLY_UP => Own::Likely(180),
            _ => Own::Unsure,
        }
    } else if on_its_side {
        // Seen after a quarter turn clockwise.
        match up_or_down(ink, true, down.skew_deg) {
            up if up > CLEARLY_UP => Own::Likely(90),
            up if up < -CLEARLY_UP => Own::Likely(270),
            _ => Own::Unsure,
        }
    } else {
        Own::Unsure
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
    let model = engines.orientation(page, dpi).filter(|turn| turn.margin >= MODEL_MARGIN);
    let model = model.map(|turn| turn.clockwise_deg);
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

/// By how many standard deviations letters that reach up outnumber those that reach down. `on_its_side` looks
/// at the page as if turned a quarter clockwise.
fn up_or_down(ink: &Ink, on_its_side: bool, skew_deg: f32) -> f32 {
    let slope = skew_deg.to_radians().tan();
    let mut letters: Vec<Letter> =
        ink.text_like().map(|(_, mark)| Letter::of(mark, ink.height, on_its_side, slope)).collect();
    if letters.len() < 30 {
        return 0.0;
    }
    let mut heights: Vec<f32> = letters.iter().map(|letter| letter.bottom - letter.top).collect();
    heights.sort_by(f32::total_cmp);
    let usual = heights[heights.len() / 2];
    letters.retain(|letter| (0.5..2.6).contains(&((letter.bottom - letter.top) / usual)));
    letters.sort_by(|a, b| a.middle().total_cmp(&b.middle()));

    let (mut up, mut down) = (0.0f32, 0.0f32);
    let reach = usual * 6.0;
    for (index, letter) in letters.iter().enumerate() {
        let near = |other: &&Letter| (other.x - letter.x).abs() < reach;
        let before =
            letters[..index].iter().rev().take_while(|o| letter.middle() - o.middle() < usual).filter(near);
        let after =
            letters[index + 1..].iter().take_while(|o| o.middle() - letter.middle() < usual).filter(near);
        let line: Vec<&Letter> = before.chain(after).collect();
        if line.len() < 3 {
            continue;
        }
        let top = median(line.iter().map(|letter| letter.top));
        let bottom = median(line.iter().map(|letter| letter.bottom));
        let (above, below) = (top - letter.top, letter.bottom - bottom);
        let (reaches, level) = (usual * 0.22, usual * 0.14);
        if above > reaches && below.abs() < level {
            up += 1.0;
        } else if below > reaches && above.abs() < level {
            down += 1.0;
        }
    }
    if up + down < 20.0 { 0.0 } else { (up - down) / (up + down).sqrt() }
}

/// A mark with the page's skew taken out of its place.
struct Letter {
    x: f32,
    top: f32,
    bottom: f32,
}

impl Letter {
    fn of(mark: &Mark, page_height: u32, on_its_side: bool, slope: f32) -> Self {
        let [x0, x1, y0, y1] = [mark.x0, mark.x1, mark.y0, mark.y1].map(|edge| edge as f32);
        let height = page_height as f32;
        let (left, right, top, bottom) =
            if on_its_side { (height - y1, height - y0, x0, x1) } else { (x0, x1, y0, y1) };
        let x = (left + right) / 2.0;
        Self { x, top: top - x * slope, bottom: bottom - x * slope }
    }

    fn middle(&self) -> f32 {
        (self.top + self.bottom) / 2.0
    }
}

fn median(values: impl Iterator<Item = f32>) -> f32 {
    let mut values: Vec<f32> = values.collect();
    values.sort_by(f32::total_cmp);
    values[values.len() / 2]
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
