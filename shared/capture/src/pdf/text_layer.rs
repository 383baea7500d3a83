//! The invisible words over a page's picture.
//!
//! Each text line becomes one text object at its baseline, in reading order. A word is stretched to the width
//! of its box, and a real space fills the gap to the next, so that what a viewer selects covers what a person
//! sees and what it copies has the spaces a person reads. The words are as recognised: nothing is corrected.
//!
//! What viewers do with the layer was tried, not guessed; `tests/tests/viewers.rs` holds it for poppler, for PDFium, and for
//! pdf.js in Chromium with its own search:
//!
//! - **Right-to-left lines** are written as they are seen, from their left end, in one stretch: viewers take such lines
//!   from paper and turn them round themselves. pdf.js only puts together what is parted by narrow gaps, so words
//!   are widened until no gap is wide.
//! - **Chinese and Japanese** words that touch are one stretch without spaces.
//! - **A character that stands alone** ("A", "7", "約") is lost by PDFium where it is shown by itself:
//!   a space keeps it company.
//! - **A word divided by a line end** ends in the plain hyphen, whichever was recognised. poppler reads such words as one,
//!   pdf.js finds them so, and PDFium's text has them as one, with a mark (U+FFFE) in it; after a soft hyphen, or one
//!   replaced by `/ActualText`, poppler and pdf.js do not.
//!
//! MuPDF finds what stands on one line, but nothing in right-to-left script: it does not turn such lines round.

use pdf_writer::types::TextRenderingMode;
use pdf_writer::{Content, Name, Str};
use platen_model::Word;
use platen_model::joining::{divided, is_blank_between, is_right_to_left};

use super::glyphless::{ADVANCE, ASCENT, Codes, DESCENT};

/// The name of the font in a page's resources.
pub(super) const FONT: Name<'_> = Name(b"F1");

/// The least gap between two words, as a share of the font size. Less is taken for one word by some viewers.
const GAP_MIN: f32 = 0.2;
/// The widest gap between two words of a right-to-left line, as a share of the font size ...
const GAP_MAX: f32 = 0.5;
/// ... unless they stand so many font sizes apart: then they are in different columns.
const APART: f32 = 3.0;
/// Characters written without blanks touch if they are not further apart than this share of the font size.
const TOUCHING: f32 = 1.0;
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
    let shown: Vec<Shown<'_>> = (0..words.len()).filter_map(|at| Shown::new(words, at)).collect();
    for line in
        shown.chunk_by(|one, next| (one.word.block, one.word.line) == (next.word.block, next.word.line))
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
    fn new(words: &'w [Word], at: usize) -> Option<Self> {
        let word = &words[at];
        let mut characters: Vec<char> =
            word.text.chars().filter(|c| !c.is_control() && !c.is_whitespace() && *c != '\u{FEFF}').collect();
        if divided(words, at).is_some()
            && let Some(hyphen) = characters.last_mut()
        {
            *hyphen = '-';
        }
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

/// What is shown at once: a word, or words that touch.
struct Stretch {
    characters: Vec<char>,
    left: f32,
    right: f32,
    /// A blank stands between it and the next.
    blank_follows: bool,
}

/// The stretches of a line from its left end, or in reading order where that is not the same for all of it.
fn stretches(line: &[Shown<'_>], size: f32) -> Vec<Stretch> {
    let mut order: Vec<&Shown<'_>> = line.iter().collect();
    if line.iter().any(|word| word.right_to_left) {
        order.sort_by(|one, other| one.left().total_cmp(&other.left()));
    }
    let mut stretches: Vec<Stretch> = Vec::new();
    for (at, shown) in order.iter().enumerate() {
        let next = order.get(at + 1);
        let blank_follows = next.is_some_and(|next| {
            let gap = next.left() - shown.right();
            is_blank_between(shown.word, next.word) || !(-size..=size * TOUCHING).contains(&gap)
        });
        match stretches.last_mut() {
            Some(last) if !last.blank_follows => {
                last.characters.extend(&shown.characters);
                last.right = shown.right().max(last.right);
                last.blank_follows = blank_follows;
            }
            _ => stretches.push(Stretch {
                characters: shown.characters.clone(),
                left: shown.left(),
                right: shown.right(),
                blank_follows,
            }),
        }
    }
    stretches
}

/// Each stretch is followed by a space that ends where the next begins, so one start places the whole line.
fn write_line(content: &mut Content, line: &[Shown<'_>], scale: Scale, codes: &mut Codes) {
    let fit = Fit::of(line);
    let widest_gap = match line.iter().any(|word| word.right_to_left) {
        true => fit.size * GAP_MAX,
        false => f32::INFINITY,
    };
    content.begin_text();
    content.set_font(FONT, fit.size * scale.points);
    content.set_text_rendering_mode(TextRenderingMode::Invisible);
    let baseline = (scale.height_px - fit.baseline) * scale.points;
    let stretches = stretches(line, fit.size);
    let mut at = stretches[0].left;
    content.set_text_matrix([1.0, 0.0, 0.0, 1.0, at * scale.points, baseline]);
    for (index, stretch) in stretches.iter().enumerate() {
        let next = stretches.get(index + 1).map(|next| next.left);
        if next.is_some_and(|next| next <= at) {
            // The boxes do not stand in a row: the word ends as its own box does, and the next gets a new start.
            show(content, &stretch.characters, (stretch.right - at).max(1.0), fit.size, codes);
            show(content, &[' '], fit.size * GAP_MIN, fit.size, codes);
            at = next.unwrap_or(at);
            content.set_text_matrix([1.0, 0.0, 0.0, 1.0, at * scale.points, baseline]);
            continue;
        }
        let end = match next {
            Some(next) => {
                let widened = if next - stretch.right > fit.size * APART { 0.0 } else { next - widest_gap };
                stretch.right.max(widened).min(next - fit.size * GAP_MIN).max(at + (next - at) * 0.5)
            }
            None => stretch.right.max(at + 1.0),
        };
        if let [alone] = stretch.characters[..] {
            let width = end - at;
            let end = next.map_or(end + width, |next| next.min(end + width));
            show(content, &[alone, ' '], end - at, fit.size, codes);
            if let Some(next) = next.filter(|next| *next > end) {
                content.set_text_matrix([1.0, 0.0, 0.0, 1.0, next * scale.points, baseline]);
            }
        } else {
            show(content, &stretch.characters, end - at, fit.size, codes);
            if let Some(next) = next.filter(|next| *next > end) {
                show(content, &[' '], next - end, fit.size, codes);
            }
        }
        at = next.unwrap_or(at);
    }
    content.end_text();
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
        let shown: Vec<Shown<'_>> = (0..2).filter_map(|at| Shown::new(&words, at)).collect();
        assert_eq!(Fit::of(&shown).baseline, 140.0);
    }

    #[test]
    fn hebrew_is_written_as_it_stands_on_paper_and_numbers_in_it_are_not_turned() {
        let hebrew = [word("ב-1999", 0, 0, 10, 10)];
        let shown = Shown::new(&hebrew, 0).expect("it has characters");
        assert_eq!(shown.characters.iter().collect::<String>(), "1999-ב");
    }

    #[test]
    fn a_right_to_left_line_is_one_stretch_from_its_left_end() {
        let text =
            written(&[word("שלום", 300, 0, 60, 40), word("עולם", 200, 0, 60, 40), word("7", 100, 0, 20, 40)]);
        assert_eq!((text.matches("Tm").count(), text.matches("Tj").count()), (1, 4), "{text}");
    }

    #[test]
    fn chinese_words_that_touch_are_shown_at_once_and_others_are_not() {
        let text =
            written(&[word("保密", 0, 0, 80, 40), word("协", 82, 0, 40, 40), word("议", 300, 0, 40, 40)]);
        assert_eq!(text.matches("Tj").count(), 3, "{text}");
    }

    #[test]
    fn words_without_a_character_or_a_width_do_no_harm() {
        let text = written(&[word(" \u{0}", 0, 0, 10, 10), word("x", 5, 5, 0, 0), word("y", 5, 5, 0, 0)]);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
