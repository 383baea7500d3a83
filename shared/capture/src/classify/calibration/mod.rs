//! From scores to a confidence that means something.
//!
//! A score is a sum of weights and means nothing by itself. [`strength`] makes one number of what speaks for the best
//! type, how far the second best is behind, and how well the pages were read. A [`Calibration`] turns that number into
//! the share of documents that were right at such a strength, as labelled examples show it: of the documents at 0.95,
//! about 95 of 100 are right. It is fitted by [`fit`] (`platen-agent rules fit`) and kept beside the rules, so that
//! version and digest of the policy cover it.
//!
//! Two ways of fitting. *Platt*: a logistic curve with two constants, for tens to hundreds of examples; the examples
//! count as slightly fewer than all right and more than none, so that ten easy documents do not make a certainty.
//! *Isotonic*: a rising line through the measured shares, for many hundreds, where the curve's shape would be a guess.

mod fit;

use serde::{Deserialize, Serialize};

pub use fit::{EXAMPLES_FEWEST, FitError, ISOTONIC_FROM, Method, fit};

/// Weight of the best score.
const BY_SCORE: f32 = 0.75;
/// Weight of the distance to the second best.
const BY_MARGIN: f32 = 0.65;
/// Strength of a document for which nothing speaks.
const NOTHING: f32 = -4.6;
/// Evidence beyond this adds nothing: a long document holds more of every phrase.
const ENOUGH_SCORE: f32 = 8.0;
/// Distance beyond this adds nothing.
const ENOUGH_MARGIN: f32 = 5.0;
/// Mean confidence of the words from which a page counts as well read.
const WELL_READ: f32 = 0.75;
/// What a reading at half of that takes from the strength.
const BY_POOR_READING: f32 = 6.0;
/// No confidence is beyond these: no number of examples proves certainty.
const BOUNDS: (f32, f32) = (0.001, 0.999);

/// How strongly a document speaks for its best type, in log-odds before calibration.
///
/// `best` and `second` are scores, `second` 0 where there is none; `words` is the mean confidence of the words.
pub(super) fn strength(best: f32, second: f32, words: f32) -> f32 {
    let margin = (best - second.max(0.0)).clamp(0.0, ENOUGH_MARGIN);
    // A poor reading makes every conclusion from it poorer.
    let unread = 1.0 - (words / WELL_READ).clamp(0.0, 1.0);
    NOTHING + BY_SCORE * best.min(ENOUGH_SCORE) + BY_MARGIN * margin - BY_POOR_READING * 2.0 * unread
}

/// How strengths become confidences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Calibration {
    /// `1 / (1 + exp(-(scale * strength + shift)))`.
    Platt {
        /// How fast confidence grows with strength; above 0.
        scale: f32,
        /// The log-odds at strength 0.
        shift: f32,
        /// The number of examples it was fitted to.
        examples: u32,
    },
    /// Straight lines between points, level beyond the outermost.
    Isotonic {
        /// Strength and the share that was right there, both rising.
        points: Vec<(f32, f32)>,
        /// The number of examples it was fitted to.
        examples: u32,
    },
}

impl Default for Calibration {
    /// Strengths as they are: for rules that nobody fitted.
    fn default() -> Self {
        Self::Platt { scale: 1.0, shift: 0.0, examples: 0 }
    }
}

impl Calibration {
    /// How sure a document of this strength is, 0 to 1.
    pub(super) fn confidence(&self, strength: f32) -> f32 {
        let share = match self {
            Self::Platt { scale, shift, .. } => 1.0 / (1.0 + (-(scale * strength + shift)).exp()),
            Self::Isotonic { points, .. } => along(points, strength),
        };
        share.clamp(BOUNDS.0, BOUNDS.1)
    }

    /// What is wrong with one that was written by hand.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Platt { scale, shift, .. } => {
                let fits = scale.is_finite() && *scale > 0.0 && shift.is_finite();
                fits.then_some(()).ok_or_else(|| "`scale` is a number above 0, `shift` a number".to_owned())
            }
            Self::Isotonic { points, .. } => {
                let rises = points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
                let shares = points.iter().all(|(at, share)| at.is_finite() && (0.0..=1.0).contains(share));
                let fits = !points.is_empty() && rises && shares;
                fits.then_some(())
                    .ok_or_else(|| "`points` are pairs that rise, with shares between 0 and 1".to_owned())
            }
        }
    }

    /// The number of examples it was fitted to.
    pub fn examples(&self) -> u32 {
        match self {
            Self::Platt { examples, .. } | Self::Isotonic { examples, .. } => *examples,
        }
    }
}

/// The height of a line of points at a place.
fn along(points: &[(f32, f32)], at: f32) -> f32 {
    let next = points.partition_point(|(place, _)| *place <= at);
    match (next.checked_sub(1).map(|before| points[before]), points.get(next).copied()) {
        (Some((left, low)), Some((right, high))) => low + (high - low) * (at - left) / (right - left),
        (Some((_, only)), None) | (None, Some((_, only))) => only,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests;
