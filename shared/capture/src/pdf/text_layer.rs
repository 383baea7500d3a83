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
//! - **Chinese and Japanese** words that touch are one stretch without spaces. Where they stand one below another, each is
//!   a text object of its own, as large as its box.
//! - **A character that stands alone** ("A", "7", "約") is lost by PDFium where it is shown by itself:
//!   a space keeps it company.
//! - **A word divided by a line end** ends in the plain hyphen, whichever was recognised. poppler reads such words as one,
//!   pdf.js finds them so, and PDFium's text has them as one, with a mark (U+FFFE) in it; after a soft hyphen, or one
//!   replaced by `/ActualText`, poppler and pdf.js do not.
//!
//! A page that is kept as it came may lean, and so do its words then: the layer is turned with them. How far they lean is
//! seen by the lines themselves.
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
/// Lines that rise or fall by less than this part of their length are taken for level: a third of a degree.
const LEAN_MIN: f32 = 0.006;
/// No page leans by more.
const LEAN_MAX: f32 = 0.3;
/// By fewer lines nobody can say how a page leans.
const LEANING_LINES_MIN: usize = 3;
/// A line tells by so many words, the first and last of which are so many of their heights apart.
const LEANING_WORDS_MIN: usize = 3;
/// See [`LEANING_WORDS_MIN`].
const LEANING_HEIGHTS_MIN: f32 = 10.0;
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
    let mut shown: Vec<Shown<'_>> = (0..words.len()).filter_map(|at| Shown::new(words, at)).collect();
    let lean = lean(&shown);
    if let Some(lean) = lean {
        shown.iter_mut().for_each(|word| word.straighten(lean));
        let (sine, cosine) = lean.atan().sin_cos();
        let height = scale.height_px * scale.points;
        let turn = [cosine, -sine, sine, cosine, -height * sine, height * (1.0 - cosine)];
        content.save_state().transform(turn);
    }
    for line in lines(&shown) {
        // As one stretch, a column would be as wide as a character and as high as the page.
        let words_together = if is_column(line) { 1 } else { line.len() };
        for words in line.chunks(words_together) {
            write_line(content, words, scale, codes);
        }
    }
    if lean.is_some() {
        content.restore_state();
    }
}

fn lines<'s, 'w>(shown: &'s [Shown<'w>]) -> impl Iterator<Item = &'s [Shown<'w>]> {
    shown.chunk_by(|one, next| (one.word.block, one.word.line) == (next.word.block, next.word.line))
}

/// Whether most words of a line stand below the one before, as in vertical Chinese and Japanese.
fn is_column(line: &[Shown<'_>]) -> bool {
    let below = line.windows(2).filter(|pair| pair[1].stands_below(&pair[0])).count();
    below * 2 > line.len() - 1
}

/// How far the lines of a page fall for each pixel to the right; `None` where they are level, or few.
fn lean(shown: &[Shown<'_>]) -> Option<f32> {
    let mut slopes: Vec<f32> = lines(shown).filter_map(slope).collect();
    if slopes.len() < LEANING_LINES_MIN {
        return None;
    }
    let lean = pick(&mut slopes, 1, 2);
    (LEAN_MIN..LEAN_MAX).contains(&lean.abs()).then_some(lean)
}

/// How far a line falls for each pixel to the right, by where its words stand on it.
fn slope(line: &[Shown<'_>]) -> Option<f32> {
    let standing = line.iter().filter(|word| word.stands_on_baseline());
    let points: Vec<(f32, f32)> =
        standing.clone().map(|word| ((word.left + word.right) / 2.0, word.bottom)).collect();
    let height = standing.map(|word| word.bottom - word.top).fold(0.0, f32::max);
    let (least, most) =
        points.iter().fold((f32::MAX, f32::MIN), |(least, most), (x, _)| (least.min(*x), most.max(*x)));
    if points.len() < LEANING_WORDS_MIN || most - least < height * LEANING_HEIGHTS_MIN {
        return None;
    }
    let count = points.len() as f32;
    let mean = |of: fn(&(f32, f32)) -> f32| points.iter().map(of).sum::<f32>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let (both, across) = points.iter().fold((0.0, 0.0), |(both, across), point| {
        (both + (point.0 - x) * (point.1 - y), across + (point.0 - x).powi(2))
    });
    Some(both / across)
}

/// A word with the characters that can be shown, in the order in which they stand on paper.
struct Shown<'w> {
    word: &'w Word,
    characters: Vec<char>,
    right_to_left: bool,
    /// Its box, in pixels: as it stands on the page, or as it would if the page did not lean.
    left: f32,
    right: f32,
    top: f32,
    bottom: f32,
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
        let platen_model::Rect { x, y, w, h } = word.rect;
        let (left, right) = (x as f32, (x + w.max(1)) as f32);
        let (top, bottom) = (y as f32, (y + h) as f32);
        (!characters.is_empty()).then_some(Self { word, characters, right_to_left, left, right, top, bottom })
    }

    /// Moves its box to where it would stand if the page did not lean: turned about the page's upper left corner.
    fn straighten(&mut self, lean: f32) {
        let (sine, cosine) = lean.atan().sin_cos();
        let (x, y) = ((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0);
        let (width, height) = (self.right - self.left, self.bottom - self.top);
        // The box of a word that leans is higher than the word.
        let height = (height - width * sine.abs()).max(height / 2.0);
        let (x, y) = (x * cosine + y * sine, y * cosine - x * sine);
        (self.left, self.right) = (x - width / 2.0, x + width / 2.0);
        (self.top, self.bottom) = (y - height / 2.0, y + height / 2.0);
    }

    /// Whether it shares most of its width with a word, and not its height.
    fn stands_below(&self, other: &Self) -> bool {
        let shared = self.right.min(other.right) - self.left.max(other.left);
        let narrower = (self.right - self.left).min(other.right - other.left);
        let step = (self.top + self.bottom - other.top - other.bottom) / 2.0;
        let lower = (self.bottom - self.top).min(other.bottom - other.top);
        shared > narrower / 2.0 && step > lower / 2.0
    }

    /// Whether the lower edge of its box is the line that it stands on.
    fn stands_on_baseline(&self) -> bool {
        self.characters.iter().any(|c| c.is_alphanumeric()) && !self.characters.iter().any(|c| goes_below(*c))
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
        order.sort_by(|one, other| one.left.total_cmp(&other.left));
    }
    let mut stretches: Vec<Stretch> = Vec::new();
    for (at, shown) in order.iter().enumerate() {
        let next = order.get(at + 1);
        let blank_follows = next.is_some_and(|next| {
            let gap = next.left - shown.right;
            is_blank_between(shown.word, next.word) || !(-size..=size * TOUCHING).contains(&gap)
        });
        match stretches.last_mut() {
            Some(last) if !last.blank_follows => {
                last.characters.extend(&shown.characters);
                last.right = shown.right.max(last.right);
                last.blank_follows = blank_follows;
            }
            _ => stretches.push(Stretch {
                characters: shown.characters.clone(),
                left: shown.left,
                right: shown.right,
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
                // Where there is hardly room for the gap, the word has half of what there is.
                let room = (next - fit.size * GAP_MIN).max(at + (next - at) * 0.5);
                stretch.right.max(widened).min(room)
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
        let mut tops: Vec<f32> = line.iter().map(|shown| shown.top).collect();
        let mut bottoms: Vec<f32> = line.iter().map(|shown| shown.bottom).collect();
        let mut on_baseline: Vec<f32> =
            line.iter().filter(|shown| shown.stands_on_baseline()).map(|shown| shown.bottom).collect();
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

    /// How wide what is shown is, in pixels, by its scaling: each character has a thousandth of the advance in sizes.
    fn widths(text: &str) -> Vec<f32> {
        let (mut size, mut scaling, mut widths) = (0.0, 100.0, Vec::new());
        for line in text.lines() {
            let number = |at: usize| line.split(' ').nth(at).and_then(|number| number.parse::<f32>().ok());
            match line.rsplit(' ').next() {
                Some("Tf") => size = number(1).expect("a size"),
                Some("Tz") => scaling = number(0).expect("a scaling"),
                Some("Tj") => {
                    // Two bytes each, of which some are written as a backslash and what stands for them.
                    let escaped = line.matches('\\').count();
                    let digits =
                        line.split('\\').skip(1).filter(|rest| rest.starts_with(char::is_numeric)).count();
                    let bytes = line.len() - "() Tj".len() - escaped - 2 * digits;
                    let natural = bytes as f32 / 2.0 * size * f32::from(ADVANCE) / 1000.0;
                    widths.push(natural * scaling / 100.0 / 0.24);
                }
                _ => {}
            }
        }
        widths
    }

    #[test]
    fn a_word_before_a_wide_gap_is_as_wide_as_its_box_and_the_blank_fills_the_gap() {
        let text = written(&[word("Total", 100, 100, 120, 40), word("110.00", 1_220, 100, 140, 40)]);
        let found = widths(&text);
        let expected = [120.0, 1_000.0, 140.0];
        assert!(found.iter().zip(expected).all(|(found, width)| (found - width).abs() < 1.0), "{text}");
        // Words that overlap share what there is.
        let text = written(&[word("over", 100, 100, 120, 40), word("lap", 200, 100, 60, 40)]);
        assert!((widths(&text)[..2].iter().sum::<f32>() - 100.0).abs() < 1.0, "{text}");
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
    fn words_that_stand_one_below_another_are_each_as_large_as_their_own_boxes() {
        let column = [("契約", 100, 80), ("書", 185, 40), ("第一条", 230, 120), ("甲", 355, 40)];
        let words = column.map(|(text, y, height)| word(text, 500, y, 40, height));
        let text = written(&words);
        let numbers = |operator: &str| -> Vec<Vec<f32>> {
            let lines = text.lines().filter(|line| line.ends_with(operator));
            lines.map(|line| line.split(' ').filter_map(|number| number.parse().ok()).collect()).collect()
        };
        let (places, sizes) = (numbers(" Tm"), numbers(" Tf"));
        assert_eq!((text.matches("BT").count(), places.len(), sizes.len()), (4, 4, 4), "{text}");
        for (((_, y, height), place), size) in column.iter().zip(&places).zip(&sizes) {
            let (foot, points) = ((1_000 - y - height) as f32 * 0.24, *height as f32 * 0.24);
            let [.., left, low] = place[..] else { panic!("{text}") };
            assert!((left - 120.0).abs() < 0.1 && (low - foot).abs() < 0.1, "{y}: {place:?}");
            assert!(size[0] >= points && size[0] < points * 1.5, "{y}: {size:?} for a box of {points}");
        }
    }

    #[test]
    fn the_layer_of_a_page_that_leans_leans_with_it_and_that_of_a_level_one_is_level() {
        let lines = |lean: f32| -> Vec<Word> {
            let at = |line: u32, column: u32| {
                let (x, width) = (100 + column * 180, 150);
                let fallen = (x as f32 + width as f32 / 2.0) * lean;
                let taller = (width as f32 * lean.abs()) as u32;
                let y = (1_000 + line * 100).saturating_add_signed(fallen as i32) - taller / 2;
                let rect = Rect { x, y, w: width, h: 40 + taller };
                Word { text: "lease".into(), confidence: 0.9, rect, line, block: 0 }
            };
            (0..5).flat_map(|line| (0..8).map(move |column| at(line, column))).collect()
        };
        let numbers = |text: &str, operator: &str| -> Vec<f32> {
            let line = text.lines().find(|line| line.ends_with(operator)).expect("the operator");
            line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
        };
        for lean in [0.05, -0.035, 0.1] {
            let text = written(&lines(lean));
            let [cosine, minus_sine, .., e, f] = numbers(&text, " cm")[..] else { panic!("{text}") };
            assert!((-minus_sine / cosine - lean).abs() < 0.004, "{lean}: {text}");
            // The first line begins where its first word stands, at the foot of its letters.
            let [.., u, v] = numbers(&text, " Tm")[..] else { panic!("{text}") };
            let (x, y) = (cosine * u - minus_sine * v + e, minus_sine * u + cosine * v + f);
            let foot = 1_040.0 + (100.0 + 75.0) * lean;
            assert!((x / 0.24 - 100.0).abs() < 8.0, "{lean}: it begins at {x}");
            assert!((1_000.0 - y / 0.24 - foot).abs() < 12.0, "{lean}: it stands at {y}");
            assert_eq!(text.matches(" Tm").count(), 5, "{text}");
        }
        for lean in [0.0, 0.003] {
            assert!(!written(&lines(lean)).contains(" cm"), "{lean}");
        }
    }

    #[test]
    fn words_without_a_character_or_a_width_do_no_harm() {
        let text = written(&[word(" \u{0}", 0, 0, 10, 10), word("x", 5, 5, 0, 0), word("y", 5, 5, 0, 0)]);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }
}
