//! Words that were read where nothing is written.
//!
//! The edge of a page, a table's rules, specks and bar codes look like strokes to the recogniser, and it answers
//! strokes: `|`, `_`, `*`, or a line of letters that it does not believe in itself. They are in the way of whoever
//! searches, selects or classifies, so they go. What may be a word stays, however unsure.

use platen_model::Word;

/// A line that was read with less confidence on average holds no text.
const LINE_CONFIDENCE: f32 = 0.3;
/// Marks without a letter or digit stay from this confidence on.
const MARK_CONFIDENCE: f32 = 0.6;

/// Takes the litter out of a page's words.
pub(super) fn take_out(words: &mut Vec<Word>) {
    let before = words.len();
    let mut kept = Vec::with_capacity(before);
    for line in words.chunk_by(|a, b| a.line == b.line) {
        if confidence(line) >= env("LINEC", LINE_CONFIDENCE) {
            kept.extend(line.iter().filter(|word| !is_litter(word)).cloned());
        }
    }
    *words = kept;
    number_lines(words);
}

fn is_litter(word: &Word) -> bool {
    if word.text.chars().any(char::is_alphanumeric) {
        return false;
    }
    let rule = word.text.chars().all(|c| matches!(c, '|' | '_' | '¦' | '—' | '~'));
    (rule && std::env::var("NORULE").is_err()) || word.confidence < env("MARKC", MARK_CONFIDENCE)
}

/// The mean of the words' confidences, weighted by their length.
fn confidence(words: &[Word]) -> f32 {
    let length = |word: &Word| word.text.chars().count() as f32;
    let sum: f32 = words.iter().map(|word| word.confidence * length(word)).sum();
    sum / words.iter().map(length).sum::<f32>().max(1.0)
}

/// Numbers lines and blocks anew, without gaps.
pub(super) fn number_lines(words: &mut [Word]) {
    let (mut block, mut line) = (0, 0);
    let mut last: Option<(u32, u32)> = None;
    for word in words {
        if let Some((last_block, last_line)) = last {
            block += u32::from(last_block != word.block);
            line += u32::from(last_line != word.line);
        }
        last = Some((word.block, word.line));
        (word.block, word.line) = (block, line);
    }
}
fn env(n: &str, d: f32) -> f32 {
    std::env::var(n).ok().and_then(|v| v.parse().ok()).unwrap_or(d)
}
