//! Words that were read where nothing is written.
//!
//! The edge of a page, a table's rules, specks and bar codes look like strokes to the recogniser, and it answers
//! strokes: `|`, `_`, or `*` that it does not believe in itself. They are in the way of whoever searches, selects
//! or classifies, so they go. Whatever has a letter or a digit stays, however unsure.

use platen_model::Word;

/// Marks without a letter or digit stay from this confidence on.
const MARK_CONFIDENCE: f32 = 0.6;

/// Takes the litter out of a page's words.
pub(super) fn take_out(words: &mut Vec<Word>) {
    words.retain(|word| !is_litter(word));
    number_lines(words);
}

fn is_litter(word: &Word) -> bool {
    if word.text.chars().any(char::is_alphanumeric) {
        return false;
    }
    let rule = word.text.chars().all(|c| matches!(c, '|' | '¦' | '_'));
    rule || word.confidence < MARK_CONFIDENCE
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

#[cfg(test)]
mod tests {
    use super::*;
    use platen_model::Rect;

    fn word(text: &str, confidence: f32, line: u32, block: u32) -> Word {
        Word { text: text.into(), confidence, rect: Rect::default(), line, block }
    }

    #[test]
    fn strokes_of_rules_and_edges_go_and_words_stay_however_unsure() {
        let mut words = vec![
            word("|", 0.95, 0, 0),
            word("Total", 0.1, 1, 1),
            word("—", 0.9, 1, 1),
            word("&", 0.9, 1, 1),
            word("*", 0.2, 1, 1),
            word("__", 0.8, 2, 1),
            word("7", 0.05, 3, 2),
        ];
        take_out(&mut words);
        let left: Vec<(&str, u32, u32)> =
            words.iter().map(|word| (word.text.as_str(), word.line, word.block)).collect();
        assert_eq!(left, [("Total", 0, 0), ("—", 0, 0), ("&", 0, 0), ("7", 1, 1)]);
    }
}
