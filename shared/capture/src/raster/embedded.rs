//! Whether the words that a file brings with it may stand for a page, or the page has to be recognised.
//!
//! The words of a born-digital page are exact, where they are what a person sees. They may also be a stamp on a scan,
//! letters hidden under a picture, or what a font with a wrong table of characters makes of them. So the page's
//! picture decides: its marks must lie in the boxes of the words, and the boxes must hold ink.

use image::GrayImage;
use platen_model::Word;

use super::ink::Ink;

/// The part of the page's text-like marks that must lie in words. Logos, signs and drawings are not in them.
const MARKS_IN_WORDS: f32 = 0.85;
/// The part of the words that must be seen.
const WORDS_SEEN: f32 = 0.98;
/// A word is seen where the samples in its box differ by this.
const CONTRAST_MIN: u8 = 48;
/// The least part of the characters that are letters or digits in text of any kind.
const LETTERS_MIN: f32 = 0.6;
/// The part of Latin letters that are vowels, in any language that is written with them.
const VOWELS: std::ops::RangeInclusive<f32> = 0.2..=0.65;
/// Fewer Latin letters say nothing by their vowels.
const LATIN_MIN: usize = 100;

/// Whether these words are what stands on the page.
pub(super) fn are_what_is_seen(words: &[Word], page: &GrayImage, ink: &Ink) -> bool {
    is_language(words) && are_seen(words, page) && cover(words, ink)
}

/// Whether the characters could be text at all.
fn is_language(words: &[Word]) -> bool {
    let (mut all, mut letters, mut latin, mut vowels) = (0usize, 0usize, 0usize, 0usize);
    for character in words.iter().flat_map(|word| word.text.chars()) {
        // Rows of dots lead to the page numbers of a table of contents, or wait to be filled in.
        all += usize::from(!matches!(character, '.' | '_' | '-' | '·'));
        letters += usize::from(character.is_alphanumeric());
        if character.is_ascii_alphabetic() {
            latin += 1;
            vowels += usize::from("aeiouyAEIOUY".contains(character));
        }
    }
    let share = |part: usize, of: usize| part as f32 / of.max(1) as f32;
    share(letters, all) >= LETTERS_MIN && (latin < LATIN_MIN || VOWELS.contains(&share(vowels, latin)))
}

fn are_seen(words: &[Word], page: &GrayImage) -> bool {
    let is_seen = |word: &&Word| {
        let (right, bottom) = (word.rect.x + word.rect.w, word.rect.y + word.rect.h);
        let (mut darkest, mut lightest) = (u8::MAX, u8::MIN);
        for y in word.rect.y..bottom.min(page.height()) {
            for x in word.rect.x..right.min(page.width()) {
                let sample = page.get_pixel(x, y)[0];
                (darkest, lightest) = (darkest.min(sample), lightest.max(sample));
            }
        }
        lightest.saturating_sub(darkest) >= CONTRAST_MIN
    };
    let seen = words.iter().filter(is_seen).count();
    seen as f32 >= words.len() as f32 * WORDS_SEEN
}

fn cover(words: &[Word], ink: &Ink) -> bool {
    let (mut marks, mut in_words) = (0u32, 0u32);
    for (_, mark) in ink.text_like() {
        let middle = |a: u32, b: u32| (a + b) * ink.reduction / 2;
        let (x, y) = (middle(mark.x0, mark.x1), middle(mark.y0, mark.y1));
        let holds = |word: &Word| {
            let margin = word.rect.h / 4;
            (word.rect.x.saturating_sub(margin)..=word.rect.x + word.rect.w + margin).contains(&x)
                && (word.rect.y.saturating_sub(margin)..=word.rect.y + word.rect.h + margin).contains(&y)
        };
        marks += 1;
        in_words += u32::from(words.iter().any(holds));
    }
    in_words as f32 >= marks as f32 * MARKS_IN_WORDS
}
