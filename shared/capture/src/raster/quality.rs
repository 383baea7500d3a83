//! How well a page could be read, and why it could not.
//!
//! A score for every page, and sentences for the pages that need them: they tell a person what to do about the
//! scan, so they name one or two causes that can be measured, and say nothing of a page that was read well. The
//! recogniser's confidence decides whether there is a problem; the image says what it may be.

mod lean;

use image::GrayImage;
use platen_model::Word;

use super::clean::light::Paper;
use super::coverage::Coverage;
use super::grain::Grain;
use super::ink::Ink;
use lean::Lean;

/// Pages read with at least this confidence have no notes.
const CONFIDENT: f32 = 0.80;
/// Nothing can be made of a page read with less confidence than this: its words score 0.
const HOPELESS: f32 = 0.40;
/// Words score 1 from this confidence on: clean print.
const CERTAIN: f32 = 0.95;
/// The part of the score that the words decide; the image decides the rest.
const WORDS_PART: f32 = 0.7;
/// Edges wider than this part of a capital's height blur the letters.
const BLURRED: f32 = 0.22;
/// Ink whose step to the paper is less than this part of full scale is pale.
const PALE: f32 = 0.30;
/// What is said of pale print on grainy paper.
const GRAINY: &str =
    "The text is hardly darker than the grain of the paper. Scan with more light or more contrast.";
/// Capitals lower than this are too small to read well.
const SMALL_PX: f32 = 14.0;
/// More of the paper in shadow than this is uneven light.
const SHADOWED: f32 = 0.35;
/// Lines that lean by more than this still, in degrees, are read worse than straight ones.
const LEANING_DEG: f32 = 1.5;
/// Lines that differ in their skew by more than this, in degrees, are those of a bent sheet.
const BENT_DEG: f32 = 1.2;
/// Pages of fewer words say little by their confidence.
const WORDS_MIN: usize = 8;
/// Where more marks than this look like letters, a page of few words or none was read poorly.
const UNREAD_MARKS_MIN: usize = 40;
/// A page of which much was not read scores at most this.
const LACKING: f32 = 0.6;
/// Of the rows of the page one in so many is looked at.
const ROW_STEP: usize = 16;
/// Smaller steps between neighbouring samples are noise.
const NOISE: u8 = 4;
/// Edges lower than this are noise or shine through from the back.
const EDGE_MIN: u8 = 20;
/// Fewer edges than this are too few to judge by.
const EDGES_MIN: usize = 60;

/// What is judged of a page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quality {
    /// How well the page could be read, 0 to 1.
    pub(super) score: f32,
    /// What a person should know, as sentences.
    pub(super) notes: Vec<String>,
}

/// What was read of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading<'a> {
    /// The words, where they stand on the page.
    pub(super) words: &'a [Word],
    /// Their mean confidence, 0 to 1.
    pub(super) confidence: f32,
    /// The languages it was read in.
    pub(super) languages: &'a str,
    /// How much of the text the words are.
    pub(super) coverage: Coverage,
}

/// Judges a page that is not blank, as it was read. `ink` are the marks found on it before it was turned by
/// `rotation_deg`; `grain` was taken out of both.
pub(super) fn judge(
    page: &GrayImage,
    ink: &Ink,
    rotation_deg: u32,
    grain: Option<Grain>,
    reading: Reading<'_>,
) -> Quality {
    let capital_px = ink.capital_height_px(rotation_deg % 180 == 90);
    let image = Image { edges: Edges::of(page), capital_px, grain };
    Quality { score: score(&image, reading), notes: notes(page, &image, reading, ink) }
}

/// The measures of a page's image.
#[derive(Clone, Copy, Debug)]
struct Image {
    /// Its edges, where there are enough to judge by.
    edges: Option<Edges>,
    /// The height of capitals, where there are enough characters to measure.
    capital_px: Option<f32>,
    /// The grain that was taken out of it. Then the edges are not those that the page has.
    grain: Option<Grain>,
}

impl Image {
    /// The width of an edge as a part of a capital's height.
    fn blur(&self) -> Option<f32> {
        let edges = self.edges.filter(|_| self.grain.is_none());
        Some(edges?.width_px / self.capital_px?)
    }

    /// How much darker than the paper the print is, as a part of full scale.
    fn contrast(&self) -> Option<f32> {
        self.grain.map(Grain::contrast).or(self.edges.map(|edges| edges.contrast))
    }
}

fn score(image: &Image, reading: Reading<'_>) -> f32 {
    let words = (reading.confidence - HOPELESS) / (CERTAIN - HOPELESS);
    let sharpness = image.blur().map_or(1.0, |blur| 1.5 - blur / BLURRED * 0.75);
    let contrast = image.contrast().map_or(1.0, |contrast| contrast / PALE * 0.5);
    let size = image.capital_px.map_or(1.0, |height| height / SMALL_PX * 0.75);
    let image = sharpness.min(contrast).min(size).clamp(0.0, 1.0);
    let score = words.clamp(0.0, 1.0) * WORDS_PART + image * (1.0 - WORDS_PART);
    match reading.coverage.lacks_much() {
        true => (score * (1.0 - reading.coverage.unread_share())).min(LACKING),
        false => score,
    }
}

/// Why the page was read poorly, or why a person should look at it.
fn notes(page: &GrayImage, image: &Image, reading: Reading<'_>, ink: &Ink) -> Vec<String> {
    // A stamp and a date are few words, and may be read with little confidence without a fault of the page's. Where many
    // marks look like letters and few words were read, the page itself is to blame.
    let is_poor = reading.confidence < CONFIDENT
        && (reading.words.len() >= WORDS_MIN || ink.text_like().nth(UNREAD_MARKS_MIN).is_some());
    if reading.words.is_empty() {
        let mut notes = vec![match reading.coverage.is_of_text() {
            true => "This page seems to hold text that could not be read. Lay the sheet straight.".to_owned(),
            false => "No text was found on this page.".to_owned(),
        }];
        if is_poor {
            notes.extend(causes(page, image, reading));
        }
        return notes;
    }
    let missing = reading.coverage.lacks_much().then(|| "Part of the text could not be read.".to_owned());
    let mut notes: Vec<String> = missing.into_iter().collect();
    if !is_poor {
        return notes;
    }
    notes.extend(causes(page, image, reading));
    if notes.is_empty() {
        notes.push(if is_handwritten(ink) {
            "Much of the page seems to be handwritten; handwriting is not read well.".into()
        } else {
            format!(
                "The text was read with little confidence. It may be in another language than `{}`, in an unusual \
                 typeface, or written by hand.",
                reading.languages
            )
        });
    }
    notes
}

/// What of the image makes reading hard.
fn causes(page: &GrayImage, image: &Image, reading: Reading<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(height) = image.capital_px.filter(|height| *height < SMALL_PX) {
        notes.push(format!(
            "The text is small for its resolution: capitals are {height:.0} pixels high. Scan at 300 dpi or more."
        ));
    }
    if image.blur().is_some_and(|blur| blur > BLURRED) {
        notes.push("The page is blurred.".into());
    }
    if image.contrast().is_some_and(|contrast| contrast < PALE) {
        notes.push(match image.grain {
            Some(_) => GRAINY.into(),
            None => "The text is pale against the paper.".into(),
        });
    }
    if Paper::of(page).shadow_share > SHADOWED {
        notes.push("The light on the page is uneven.".into());
    }
    match Lean::of(reading.words) {
        Some(lean) if lean.spread_deg > BENT_DEG => {
            notes.push("The lines of text are bent or lie at different angles. Lay the sheet flat.".into());
        }
        Some(lean) if lean.skew_deg.abs() > LEANING_DEG => {
            let side = if lean.skew_deg > 0.0 { "clockwise" } else { "counter-clockwise" };
            let by = lean.skew_deg.abs();
            notes.push(format!("The text is still turned {side} by {by:.1}°. Lay the sheet straight."));
        }
        _ => {}
    }
    notes
}

/// Whether the marks are as different in height as handwriting is; letters of print come in a few heights.
fn is_handwritten(ink: &Ink) -> bool {
    let mut heights: Vec<u32> = ink.text_like().map(|(_, mark)| mark.height()).collect();
    if heights.len() < WORDS_MIN {
        return true;
    }
    heights.sort_unstable();
    let at = |part: usize| heights[heights.len() * part / 8] as f32;
    at(7) > at(4) * 2.2
}

/// The edges of print along rows of a page: from paper to ink.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Edges {
    /// How wide an edge is, in pixels: its height over its steepest step.
    width_px: f32,
    /// How high an edge is, as a part of full scale.
    contrast: f32,
}

impl Edges {
    fn of(page: &GrayImage) -> Option<Self> {
        let width = page.width() as usize;
        let mut edges: Vec<(u8, u8)> = Vec::new();
        for row in page.as_raw().chunks_exact(width.max(1)).skip(ROW_STEP / 2).step_by(ROW_STEP) {
            falls(row, &mut edges);
        }
        if edges.len() < EDGES_MIN {
            return None;
        }
        // The upper quarter: ink proper, not the grain of the paper.
        let at = edges.len() * 3 / 4;
        let usual = edges.select_nth_unstable(at).1.0;
        edges.retain(|(height, _)| u32::from(*height) * 10 >= u32::from(usual) * 6);
        let mut widths: Vec<f32> = edges
            .iter()
            .map(|(height, steepest)| f32::from(*height) / f32::from((*steepest).max(1)))
            .collect();
        let middle = widths.len() / 2;
        let width_px = *widths.select_nth_unstable_by(middle, f32::total_cmp).1;
        Some(Self { width_px, contrast: f32::from(usual) / 255.0 })
    }
}

/// The falls from light to dark in a row: how deep each is, and its steepest step.
fn falls(row: &[u8], found: &mut Vec<(u8, u8)>) {
    let (mut top, mut steepest) = (row.first().copied().unwrap_or(0), 0u8);
    for pair in row.windows(2) {
        let (before, here) = (pair[0], pair[1]);
        if here < before.saturating_add(NOISE) && here <= top {
            steepest = steepest.max(before.saturating_sub(here));
            continue;
        }
        let depth = top.saturating_sub(before);
        if depth >= EDGE_MIN {
            found.push((depth, steepest));
        }
        (top, steepest) = (here, 0);
    }
}

#[cfg(test)]
mod tests;
