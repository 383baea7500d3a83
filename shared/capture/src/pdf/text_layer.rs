//! The invisible words over a page's picture.
//!
//! Each text line becomes one text object at its baseline, in reading order. A word is stretched to the width
//! of its box, and a real space fills the gap to the next, so that what a viewer selects covers what a person
//! sees and what it copies has the spaces a person reads. The words are as recognised: nothing is corrected.
//!
//! The danger is right-to-left script: viewers take the characters of a line as they stand on paper and turn
//! them round themselves, so such a word is written as it is seen, from its left end.

use pdf_writer::types::TextRenderingMode;
use pdf_writer::{Content, Name, Str};
use platen_model::Word;

use super::glyphless::{ADVANCE, ASCENT, Codes, DESCENT};

/// The name of the font in a page's resources.
pub(super) const FONT: Name<'_> = Name(b"F1");

/// The least gap between two words, as a share of the font size. Less is taken for one word by some viewers.
const GAP_MIN: f32 = 0.2;
/// The font size where boxes have no height, in pixels.
const SIZE_MIN: f32 = 2.0;

/// From pixels, origin top left, to points, origin bottom left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// Points in a pixel.
    pub(super) points: f32,
    /// Height of the page in pixels.
    pub(super) height_px: f32,
}

/// Writes the words of a page. The font must stand in the page's resources under [`FONT`] if any was written.
pub(super) fn write(content: &mut Content, words: &[Word], scale: Scale, codes: &mut Codes) {
    let words: Vec<Shown<'_>> = words.iter().filter_map(Shown::new).collect();
    for line in
        words.chunk_by(|one, next| (one.word.block, one.word.line) == (next.word.block, next.word.line))
    {
        write_line(content, line, scale, codes);
    }
}

/// A word with the characters that can be shown, in the order in which they stand on paper.
struct Shown<'w> {
    word: &'w Word,
    characters: Vec<char>,
    right_to_left: bool,
}

impl<'w> Shown<'w> {
    fn new(word: &'w Word) -> Option<Self> {
        let mut characters: Vec<char> =
            word.text.chars().filter(|c| !c.is_control() && !c.is_whitespace() && *c != '\u{FEFF}').collect();
        let right_to_left = characters.iter().any(|character| is_right_to_left(*character));
        if right_to_left {
            characters.reverse();
            // Numbers and Latin letters inside such a word still run from left to right.
            for run in characters.chunk_by_mut(|one, next| is_left_to_right(*one) && is_left_to_right(*next))
            {
                if is_left_to_right(run[0]) {
                    run.reverse();
                }
            }
        }
        (!characters.is_empty()).then_some(Self { word, characters, right_to_left })
    }

    fn left(&self) -> f32 {
        self.word.rect.x as f32
    }

    fn right(&self) -> f32 {
        (self.word.rect.x + self.word.rect.w.max(1)) as f32
    }
}

fn write_line(content: &mut Content, line: &[Shown<'_>], scale: Scale, codes: &mut Codes) {
    let fit = Fit::of(line);
    let size = fit.size * scale.points;
    content.begin_text();
    content.set_font(FONT, size);
    content.set_text_rendering_mode(TextRenderingMode::Invisible);
    let baseline = (scale.height_px - fit.baseline) * scale.points;
    if line.iter().any(|word| word.right_to_left) {
        write_right_to_left(content, line, fit, scale, baseline, codes);
    } else {
        write_left_to_right(content, line, fit, scale, baseline, codes);
    }
    content.end_text();
}

/// Each word is followed by a space that ends where the next begins, so one start places the whole line.
fn write_left_to_right(
    content: &mut Content,
    line: &[Shown<'_>],
    fit: Fit,
    scale: Scale,
    baseline: f32,
    codes: &mut Codes,
) {
    let mut at = line[0].left();
    content.set_text_matrix([1.0, 0.0, 0.0, 1.0, at * scale.points, baseline]);
    for (index, word) in line.iter().enumerate() {
        let next = line.get(index + 1).map(Shown::left);
        if next.is_some_and(|next| next <= at) {
            // The boxes do not stand in a row: the word ends as its own box does, and the next gets a new start.
            show(content, &word.characters, (word.right() - at).max(1.0), fit.size, codes);
            show(content, &[' '], fit.size * GAP_MIN, fit.size, codes);
            at = next.unwrap_or(at);
            content.set_text_matrix([1.0, 0.0, 0.0, 1.0, at * scale.points, baseline]);
            continue;
        }
        let end = match next {
            Some(next) => word.right().min(next - fit.size * GAP_MIN).max(at + (next - at) * 0.5),
            None => word.right().max(at + 1.0),
        };
        show(content, &word.characters, end - at, fit.size, codes);
        if let Some(next) = next {
            show(content, &[' '], next - end, fit.size, codes);
            at = next;
        }
    }
}

/// Each word gets its own start, and its space stands at its left, where the reader's eye goes next.
fn write_right_to_left(
    content: &mut Content,
    line: &[Shown<'_>],
    fit: Fit,
    scale: Scale,
    baseline: f32,
    codes: &mut Codes,
) {
    for (index, word) in line.iter().enumerate() {
        let gap = fit.size * GAP_MIN;
        let start = if index + 1 < line.len() { word.left() - gap } else { word.left() };
        content.set_text_matrix([1.0, 0.0, 0.0, 1.0, start * scale.points, baseline]);
        if index + 1 < line.len() {
            show(content, &[' '], gap, fit.size, codes);
        }
        show(content, &word.characters, word.right() - word.left(), fit.size, codes);
    }
}

/// Shows characters over `width` pixels.
fn show(content: &mut Content, characters: &[char], width: f32, size: f32, codes: &mut Codes) {
    let natural = characters.len() as f32 * size * f32::from(ADVANCE) / 1000.0;
    content.set_horizontal_scaling(100.0 * width / natural);
    let bytes: Vec<u8> = characters.iter().flat_map(|c| codes.code(*c).to_be_bytes()).collect();
    content.show(Str(&bytes));
}

/// Baseline and font size of a line, in pixels from the top.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fit {
    baseline: f32,
    size: f32,
}

impl Fit {
    /// Chosen so that the font's box covers the words' boxes, whatever letters they have.
    fn of(line: &[Shown<'_>]) -> Self {
        let (ascent, descent) = (f32::from(ASCENT) / 1000.0, -f32::from(DESCENT) / 1000.0);
        let mut tops: Vec<f32> = line.iter().map(|shown| shown.word.rect.y as f32).collect();
        let mut bottoms: Vec<f32> =
            line.iter().map(|shown| (shown.word.rect.y + shown.word.rect.h) as f32).collect();
        let mut on_baseline: Vec<f32> = line
            .iter()
            .filter(|shown| shown.characters.iter().any(|c| c.is_alphanumeric()))
            .filter(|shown| !shown.characters.iter().any(|c| goes_below(*c)))
            .map(|shown| (shown.word.rect.y + shown.word.rect.h) as f32)
            .collect();
        // Quartiles, not extremes: one box that caught a speck must not swell the whole line.
        let top = pick(&mut tops, 1, 4);
        let bottom = pick(&mut bottoms, 3, 4);
        let baseline = match on_baseline.len() {
            0 => bottom - (bottom - top) * descent,
            _ => pick(&mut on_baseline, 1, 2),
        };
        let size = ((baseline - top) / ascent).max((bottom - baseline) / descent).max(SIZE_MIN);
        // A word of x-height letters alone has a low box: its line is a little higher than it.
        Self { baseline, size: size.min(2.0 * (bottom - top).max(SIZE_MIN)) }
    }
}

/// The value at `part` of `of` parts of the sorted values, which are not empty.
fn pick(values: &mut [f32], part: usize, of: usize) -> f32 {
    values.sort_by(f32::total_cmp);
    values[(values.len() - 1) * part / of]
}

fn goes_below(character: char) -> bool {
    matches!(
        character,
        'g' | 'j' | 'p' | 'q' | 'y' | 'Q' | 'ç' | 'ş' | ',' | ';' | '(' | ')' | '[' | ']' | '_' | '|' | '/'
    )
}

/// Letters of scripts that run from right to left (Hebrew, Arabic, Syriac, Thaana, N'Ko and their kin).
fn is_right_to_left(character: char) -> bool {
    matches!(u32::from(character),
        0x0590..=0x065F | 0x066A..=0x06EF | 0x06FA..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFE
        | 0x10800..=0x10FFF | 0x1E800..=0x1EFFF)
}

fn is_left_to_right(character: char) -> bool {
    character.is_alphanumeric() && !is_right_to_left(character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use platen_model::Rect;

    fn word(text: &str, x: u32, y: u32, w: u32, h: u32) -> Word {
        Word { text: text.into(), confidence: 0.9, rect: Rect { x, y, w, h }, line: 0, block: 0 }
    }

    fn written(words: &[Word]) -> String {
        let mut content = Content::new();
        let scale = Scale { points: 0.24, height_px: 1000.0 };
        write(&mut content, words, scale, &mut Codes::default());
        String::from_utf8_lossy(&content.finish()).into_owned()
    }

    #[test]
    fn a_line_is_one_text_object_with_real_spaces() {
        let text = written(&[word("To", 100, 100, 60, 40), word("be", 180, 100, 60, 40)]);
        assert_eq!(text.matches("BT").count(), 1);
        assert_eq!(text.matches("Tm").count(), 1);
        assert_eq!(text.matches("Tj").count(), 3);
    }

    #[test]
    fn the_baseline_is_that_of_the_words_without_descenders() {
        let words = [word("page", 0, 110, 80, 40), word("Home", 100, 100, 80, 40)];
        let shown: Vec<Shown<'_>> = words.iter().filter_map(Shown::new).collect();
        assert_eq!(Fit::of(&shown).baseline, 140.0);
    }

    #[test]
    fn hebrew_is_written_as_it_stands_on_paper_and_numbers_in_it_are_not_turned() {
        let hebrew = word("ב-1999", 0, 0, 10, 10);
        let shown = Shown::new(&hebrew).expect("it has characters");
        assert_eq!(shown.characters.iter().collect::<String>(), "1999-ב");
    }

    #[test]
    fn words_without_a_character_or_a_width_do_no_harm() {
        let text = written(&[word(" \u{0}", 0, 0, 10, 10), word("x", 5, 5, 0, 0), word("y", 5, 5, 0, 0)]);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
