//! Whether the words that a file brings with it may stand for a page, or the page has to be recognised.
//!
//! The words of a born-digital page are exact, where they are what a person sees. They may also be a stamp on a scan,
//! letters hidden under a picture, or what a font with a wrong table of characters makes of them. So the page's
//! picture decides: its marks must lie in the boxes of the words, and a word counts only where its box holds ink on paper.

use image::GrayImage;
use platen_model::Word;

use super::ink::Ink;

/// The part of the page's text-like marks that must lie in words. Logos, signs and drawings are not in them.
const MARKS_IN_WORDS: f32 = 0.85;
/// The part of the words that must be seen.
const WORDS_SEEN: f32 = 0.98;
/// A word is seen where the samples in its box differ by this.
const CONTRAST_MIN: u8 = 48;
/// A box with less than this part of it in the second colour is painted over.
const SECOND_SHARE: f32 = 0.03;
/// The least part of the characters that are letters or digits in text of any kind.
const LETTERS_MIN: f32 = 0.6;
/// The part of Latin letters that are vowels, in any language that is written with them.
const VOWELS: std::ops::RangeInclusive<f32> = 0.2..=0.65;
/// Fewer Latin letters say nothing by their vowels.
const LATIN_MIN: usize = 100;

/// The words as far as they are seen, if they are what stands on the page. A word that is not seen was painted over,
/// and what somebody blacked out must not come back as text.
pub(super) fn as_seen(words: Vec<Word>, page: &GrayImage, ink: &Ink) -> Option<Vec<Word>> {
    let count = words.len();
    let words: Vec<Word> = words.into_iter().filter(|word| is_seen(word, page)).collect();
    let most_are_seen = words.len() as f32 >= count as f32 * WORDS_SEEN;
    (most_are_seen && is_language(&words) && cover(&words, ink)).then_some(words)
}

/// Whether the characters could be text at all.
pub(crate) fn is_language(words: &[Word]) -> bool {
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

/// Whether a word's box holds both ink and paper. A mark like a stop or a dash fills its own box, so words of one or two
/// characters are looked at with what is around them.
fn is_seen(word: &Word, page: &GrayImage) -> bool {
    let is_short = word.text.chars().count() < 3;
    let room = if is_short { word.rect.h.max(word.rect.w) / 2 + 2 } else { 0 };
    let columns = word.rect.x.saturating_sub(room)..(word.rect.x + word.rect.w + room).min(page.width());
    let rows = word.rect.y.saturating_sub(room)..(word.rect.y + word.rect.h + room).min(page.height());
    let samples = || rows.clone().flat_map(|y| columns.clone().map(move |x| page.get_pixel(x, y)[0]));
    let (Some(darkest), Some(lightest)) = (samples().min(), samples().max()) else { return false };
    let middle = u8::midpoint(darkest, lightest);
    let (dark, all) = samples()
        .fold((0usize, 0usize), |(dark, all), sample| (dark + usize::from(sample < middle), all + 1));
    lightest - darkest >= CONTRAST_MIN && dark.min(all - dark) as f32 >= all as f32 * SECOND_SHARE
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
