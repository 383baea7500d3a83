//! Whether the words that a file brings with it may stand for a page, or the page has to be recognised.
//!
//! The words of a born-digital page are exact, where they are what a person sees. They may also be a stamp on a scan,
//! letters hidden under a picture, or what a font with a wrong table of characters makes of them. So the page's
//! picture decides: its marks must lie in the boxes of the words, and a word counts only where its box holds ink on paper.
//!
//! On a page that was drawn by a program words may stand for a part of it: what lies outside of them, a chart or letters that
//! are shapes, is read beside them, and counts where it reads with certainty ([`certain`]).

use image::{GrayImage, Luma};
use platen_model::{Rect, Word};

use super::ink::Ink;
use super::litter;

/// The part of the page's text-like marks that must lie in words. Logos, signs and drawings are not in them.
const MARKS_IN_WORDS: f32 = 0.85;
/// The part of the words that must be seen.
const WORDS_SEEN: f32 = 0.98;
/// On a page that was drawn by a program, so many must be for the others to be no sign of a lie.
const WORDS_SEEN_IN_PART: f32 = 0.75;
/// Fewer marks outside of the words are nothing to read.
const REST_MIN: u32 = 3;
/// A line is certain where its words are this sure, by their letters...
const SURE: f32 = 0.75;
/// ...and one of them is as sure, and as long as this: dots and rings read as letters, and not as words.
const SURE_LETTERS: usize = 3;
/// From here on letters are words, or most of one: they are those of Chinese, Japanese and Korean.
const IDEOGRAPHS: char = '\u{2E80}';
/// A word that is less sure than this is not certain in any line.
const SURE_WORD: f32 = 0.5;
/// A word is seen where the samples in its box differ by this.
const CONTRAST_MIN: u8 = 48;
/// A letter is there at all where they differ by this.
const TRACE: u8 = 16;
/// A box with less than this part of it in the second colour is painted over.
const SECOND_SHARE: f32 = 0.03;
/// The least part of the characters that are letters or digits in text of any kind.
const LETTERS_MIN: f32 = 0.6;
/// The part of Latin letters that are vowels, in any language that is written with them.
const VOWELS: std::ops::RangeInclusive<f32> = 0.2..=0.65;
/// Fewer Latin letters say nothing by their vowels.
const LATIN_MIN: usize = 100;

/// A page's own words.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) words: Vec<Word>,
    /// Something is on the page beside them that may be read.
    pub(super) has_rest: bool,
    /// Nothing was painted over, and little is beside them.
    pub(super) is_all: bool,
}

/// The words as far as they are seen, if they are what stands on the page, or on a part of one that was `drawn` by a program.
/// A word that is not seen was painted over, and what somebody blacked out must not come back as text.
pub(super) fn as_seen(words: Vec<Word>, page: &GrayImage, ink: &Ink, drawn: bool) -> Option<Own> {
    let count = words.len();
    let words: Vec<Word> = words.into_iter().filter(|word| is_seen(word, page)).collect();
    let are_seen = |part: f32| !words.is_empty() && words.len() as f32 >= count as f32 * part;
    if !is_language(&words) || !are_seen(WORDS_SEEN_IN_PART) {
        return None;
    }
    let Marks { all, in_words } = marks(&words, ink);
    let is_all = are_seen(WORDS_SEEN) && in_words as f32 >= all as f32 * MARKS_IN_WORDS;
    let has_rest = !is_all && all - in_words >= REST_MIN;
    (is_all || drawn).then_some(Own { words, has_rest, is_all })
}

impl Own {
    /// The page without them.
    pub(super) fn rest(&self, page: &GrayImage) -> GrayImage {
        let mut rest = page.clone();
        for word in &self.words {
            paint_over(&mut rest, word.rect);
        }
        rest
    }

    /// Puts what was read on the rest of the page behind them, as far as it is certain.
    pub(super) fn add(&mut self, read: Vec<Word>) {
        let (lines, blocks) = self.words.last().map_or((0, 0), |word| (word.line + 1, word.block + 1));
        let read = certain(&read).cloned();
        self.words.extend(read.map(|word| Word {
            line: word.line + lines,
            block: word.block + blocks,
            ..word
        }));
        litter::number_lines(&mut self.words);
    }
}

/// Fills a box, and a little around it, with what it stands on.
fn paint_over(page: &mut GrayImage, rect: Rect) {
    let room = rect.h / 8 + 1;
    let (left, right) = (rect.x.saturating_sub(room), (rect.x + rect.w + room).min(page.width()));
    let (top, bottom) = (rect.y.saturating_sub(room), (rect.y + rect.h + room).min(page.height()));
    if left >= right || top >= bottom {
        return;
    }
    let across = (left..right).flat_map(|x| [(x, top), (x, bottom - 1)]);
    let down = (top..bottom).flat_map(|y| [(left, y), (right - 1, y)]);
    let mut around: Vec<u8> = across.chain(down).map(|(x, y)| page.get_pixel(x, y)[0]).collect();
    let middle = around.len() / 2;
    let paper = *around.select_nth_unstable(middle).1;
    for y in top..bottom {
        for x in left..right {
            page.put_pixel(x, y, Luma([paper]));
        }
    }
}

/// The words of a page that were read with certainty, or not read at all but told by the page: those of lines that are sure
/// and have a word in them.
pub(crate) fn certain(words: &[Word]) -> impl Iterator<Item = &Word> {
    let lines = words.chunk_by(|one, next| (one.block, one.line) == (next.block, next.line));
    lines.filter(|line| is_certain(line)).flatten().filter(|word| word.confidence >= SURE_WORD)
}

fn is_certain(line: &[Word]) -> bool {
    let length = |word: &Word| word.text.chars().filter(|letter| letter.is_alphanumeric()).count();
    let is_word = |word: &Word| {
        let is_long = length(word) >= SURE_LETTERS;
        is_long || word.text.chars().any(|letter| letter >= IDEOGRAPHS && letter.is_alphabetic())
    };
    let (sum, letters) = line.iter().fold((0.0, 0.0), |(sum, letters), word| {
        let length = length(word) as f32;
        (sum + word.confidence * length, letters + length)
    });
    sum >= letters * SURE && line.iter().any(|word| word.confidence >= SURE && is_word(word))
}

/// Whether one of these letters, which a page draws, can be seen on it.
pub(super) fn any_is_there(letters: &[Rect], page: &GrayImage) -> bool {
    letters.iter().any(|letter| {
        let room = letter.h.max(letter.w) / 2 + 2;
        let columns = letter.x.saturating_sub(room)..(letter.x + letter.w + room).min(page.width());
        let rows = letter.y.saturating_sub(room)..(letter.y + letter.h + room).min(page.height());
        let samples = rows.flat_map(|y| columns.clone().map(move |x| page.get_pixel(x, y)[0]));
        let (darkest, lightest) = samples.fold((u8::MAX, 0), |(darkest, lightest): (u8, u8), sample| {
            (darkest.min(sample), lightest.max(sample))
        });
        lightest.saturating_sub(darkest) >= TRACE
    })
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

/// The page's marks that look like text.
struct Marks {
    all: u32,
    in_words: u32,
}

fn marks(words: &[Word], ink: &Ink) -> Marks {
    let mut marks = Marks { all: 0, in_words: 0 };
    for (_, mark) in ink.text_like() {
        let middle = |a: u32, b: u32| (a + b) * ink.reduction / 2;
        let (x, y) = (middle(mark.x0, mark.x1), middle(mark.y0, mark.y1));
        let holds = |word: &Word| {
            let margin = word.rect.h / 4;
            (word.rect.x.saturating_sub(margin)..=word.rect.x + word.rect.w + margin).contains(&x)
                && (word.rect.y.saturating_sub(margin)..=word.rect.y + word.rect.h + margin).contains(&y)
        };
        marks.all += 1;
        marks.in_words += u32::from(words.iter().any(holds));
    }
    marks
}
