//! How the words of a line, and the ends of lines, belong together.
//!
//! Recognisers answer words; text is more than words with blanks between them. Chinese and Japanese are written without
//! blanks, and a word that a line end divides is still one word to whoever searches for it.

use crate::Word;

/// The hyphens that divide a word at the end of a line.
const HYPHENS: [char; 3] = ['-', '\u{2010}', '\u{AD}'];

/// Whether a blank stands between two words of a line.
pub fn is_blank_between(before: &Word, after: &Word) -> bool {
    let ends = before.text.chars().next_back().is_some_and(is_written_without_blanks);
    let begins = after.text.chars().next().is_some_and(is_written_without_blanks);
    !(ends && begins)
}

/// The part of a word before its hyphen, where the word at `at` is the first part of one that the end of its line
/// divides: it ends in a hyphen after a letter, and the next line of its block begins with a small letter.
pub fn divided(words: &[Word], at: usize) -> Option<&str> {
    let (word, next) = (words.get(at)?, words.get(at + 1)?);
    if next.block != word.block || next.line == word.line {
        return None;
    }
    let part = word.text.strip_suffix(HYPHENS)?;
    let goes_on = next.text.chars().next().is_some_and(char::is_lowercase);
    (goes_on && part.chars().next_back().is_some_and(char::is_alphabetic)).then_some(part)
}

/// Han characters, kana, and the punctuation set among them. Korean puts blanks between words.
pub fn is_written_without_blanks(character: char) -> bool {
    matches!(u32::from(character),
        0x2E80..=0x303F | 0x3040..=0x30FF | 0x31F0..=0x31FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF
        | 0xF900..=0xFAFF | 0xFF01..=0xFF0F | 0xFF1A..=0xFF20 | 0xFF3B..=0xFF40 | 0xFF5B..=0xFF9F
        | 0x20000..=0x3FFFF)
}

/// Letters of scripts that run from right to left (Hebrew, Arabic, Syriac, Thaana, N'Ko and their kin).
pub fn is_right_to_left(character: char) -> bool {
    matches!(u32::from(character),
        0x0590..=0x065F | 0x066A..=0x06EF | 0x06FA..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFE
        | 0x10800..=0x10FFF | 0x1E800..=0x1EFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &[(&str, u32, u32)]) -> Vec<Word> {
        let word = |&(text, line, block): &(&str, u32, u32)| Word {
            text: text.into(),
            confidence: 1.0,
            rect: crate::Rect::default(),
            line,
            block,
        };
        text.iter().map(word).collect()
    }

    #[test]
    fn blanks_stand_between_words_but_not_in_chinese_and_japanese() {
        let check = |before: &str, after: &str| {
            let words = words(&[(before, 0, 0), (after, 0, 0)]);
            is_blank_between(&words[0], &words[1])
        };
        assert!(check("two", "words") && check("한국", "어") && check("版本", "2") && check("שלום", "עולם"));
        assert!(!check("保密", "协议") && !check("ひら", "がな") && !check("協議", "。"));
    }

    #[test]
    fn a_word_is_divided_only_where_its_next_line_goes_on_with_a_small_letter() {
        let check = |text: &[(&str, u32, u32)]| divided(&words(text), 0).map(str::to_owned);
        assert_eq!(check(&[("agree-", 0, 0), ("ment", 1, 0)]).as_deref(), Some("agree"));
        assert_eq!(check(&[("Straßen\u{AD}", 0, 0), ("bahn", 1, 0)]).as_deref(), Some("Straßen"));
        assert_eq!(check(&[("North-", 0, 0), ("South", 1, 0)]), None);
        assert_eq!(check(&[("agree-", 0, 0), ("ment", 0, 0)]), None);
        assert_eq!(check(&[("agree-", 0, 0), ("ment", 1, 1)]), None);
        assert_eq!(check(&[("1-", 0, 0), ("a", 1, 0)]), None);
    }
}
