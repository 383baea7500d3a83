//! From scores to a confidence that means something.
//!
//! A score is a sum of weights and means nothing by itself. The confidence is a logistic function of two
//! things: how much speaks for the best type, and how far the second best is behind. The constants were set so
//! that documents at 0.9 are right about nine times in ten; they are deliberately few.

/// What speaks for a type before anything was read: nothing.
const BIAS: f32 = -4.6;
/// Weight of the best score.
const BY_SCORE: f32 = 0.75;
/// Weight of the distance to the second best.
const BY_MARGIN: f32 = 0.65;
/// Evidence beyond this adds nothing: a long document holds more of every phrase.
const ENOUGH_SCORE: f32 = 8.0;
/// Distance beyond this adds nothing.
const ENOUGH_MARGIN: f32 = 5.0;
/// Mean confidence of the words from which a page counts as well read.
const WELL_READ: f32 = 0.75;

/// How sure we are of the best type.
///
/// `best` and `second` are scores, `second` 0 where there is none; `words` is the mean confidence of the words.
pub(super) fn confidence(best: f32, second: f32, words: f32) -> f32 {
    if best <= 0.0 {
        return 0.0;
    }
    let margin = (best - second.max(0.0)).clamp(0.0, ENOUGH_MARGIN);
    let logit = BIAS + BY_SCORE * best.min(ENOUGH_SCORE) + BY_MARGIN * margin;
    let sure = 1.0 / (1.0 + (-logit).exp());
    // A poor reading makes every conclusion from it poorer.
    sure * (words / WELL_READ).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_grows_with_evidence_and_shrinks_with_rivals_and_poor_reading() {
        assert_eq!(confidence(0.0, 0.0, 1.0), 0.0);
        assert!(confidence(6.0, 0.0, 1.0) > confidence(4.0, 0.0, 1.0));
        assert!(confidence(6.0, 5.5, 1.0) < confidence(6.0, 1.0, 1.0));
        assert!(confidence(6.0, 0.0, 0.3) < 0.5);
        assert!(confidence(100.0, 0.0, 1.0) < 1.0);
        assert!(confidence(1.0, 0.0, 1.0) < 0.1);
    }
}
