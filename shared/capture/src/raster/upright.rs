//! Which way up a page lies.
//!
//! A cheap measure of our own settles nearly all pages: lines of text show whether the page lies on its side,
//! and the letters on them ([`lettering`]) which side of a line is up. Only where that is unsure is Tesseract's
//! orientation model asked (half a second a page), and not before a few lines were read: where they read well as
//! they lie, nothing is to be turned. A page is never turned on the word of one witness: several of our own must
//! agree, or model and measure, or reading it both ways must show which is right.

use image::{GrayImage, imageops};
use platen_model::{Failure, Rect, Word};

use super::ink::Ink;
use super::lettering;
use super::neighbours;
use super::reading::{self, TextSize};
use super::skew::{Glance, Lines};
use super::turn::gray_by_quarters;
use crate::ocr::{self, Engines, Layout};

/// From this contrast on, lines of text are there.
const LINES_SEEN: f32 = 1.35;
/// Lines one way must be this much clearer than the other way.
const LINES_CLEARER: f32 = 1.2;
/// And this much, for a page to be taken for one on its side without a second opinion.
const LINES_CLEAREST: f32 = 1.35;
/// From this part of the letters on that have their nearest neighbour beside them, lines run across the page; where so many
/// have it above or below, down the page.
const BESIDE: f32 = 0.75;
/// Pages come upright as a rule: the letters need only not deny it.
const UP_ENOUGH: f32 = 1.0;
/// From this sum of the letters' witnesses on, a turn is worth a second opinion.
const LIKELY_UP: f32 = 1.0;
/// From this sum on a turn is sure, when this many of them agree.
const SURELY_UP: f32 = 3.5;
const WITNESSES: usize = 2;
/// Tesseract's margin from which its word counts.
const MODEL_MARGIN: f32 = 1.5;
/// The model is shown pages of at least twice this resolution in a reduced copy: it sees as much, and Tesseract holds
/// several copies of what it is shown.
const MODEL_DPI: u32 = 250;
/// From this sum on, which way up a page on its side is, is sure: it must be turned one way or the other.
const SURELY_UP_SIDEWAYS: f32 = 2.5;
/// A page must read better one way than the other by this factor, and by so many letters more.
const READS_BETTER: f64 = 1.4;
const READS_MORE: f64 = 5.0;
/// The longer side of the copy that is read to compare two ways, in pixels: half as much again at most.
const COMPARED_PX: u32 = 1_800;
/// A sample of the text is so many characters wide, and so many high, which are three lines or so.
const SAMPLE_CHARACTERS: (f32, f32) = (30.0, 7.0);
/// The largest page of which a sample is read first, in pixels: beside a larger one (A3 at 600 dpi) the reading model and
/// the orientation model would not both stay within a worker's memory.
const SAMPLED_PX_MAX: u64 = 48_000_000;
/// A page lies as it should where so many letters of its sample are read clearly, see [`Clear`].
const CLEAR_LETTERS: usize = 20;

/// What shows that a sample was not read upside down: a part of all that was read there is in words that are so long and
/// read with such confidence.
#[derive(Clone, Copy, Debug)]
struct Clear {
    confidence: f32,
    letters: usize,
    share: f32,
}

impl Clear {
    /// Of what is read upside down, one letter in ten is in such words.
    const LATIN: Self = Self { confidence: 0.75, letters: 3, share: 0.4 };
    /// Words of one letter are usual in scripts without blanks; upside down, one letter in five is read as some other.
    const OTHERS: Self = Self { confidence: 0.8, letters: 1, share: 0.6 };

    fn of(languages: &str) -> Self {
        if is_latin(languages) { Self::LATIN } else { Self::OTHERS }
    }

    fn is_met(self, words: &[Word]) -> bool {
        let letters = |word: &Word| word.text.chars().filter(|letter| letter.is_alphabetic()).count();
        let is_clear = |word: &&Word| word.confidence >= self.confidence && letters(word) >= self.letters;
        let all: usize = words.iter().map(letters).sum();
        let clear: usize = words.iter().filter(is_clear).map(letters).sum();
        clear >= CLEAR_LETTERS && clear as f32 >= all as f32 * self.share
    }
}

/// The outcome: the turn to apply, and the skew that remains after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Upright {
    /// Clockwise, 0, 90, 180 or 270.
    pub(super) rotation_deg: u32,
    /// Clockwise.
    pub(super) skew_deg: f32,
}

impl Upright {
    /// Neither turned nor skewed.
    pub(super) const AS_IT_LIES: Self = Self { rotation_deg: 0, skew_deg: 0.0 };
}

/// What the page's own marks say.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Own {
    /// Sure: this turn makes it upright.
    Sure(u32),
    /// The first of these turns makes it upright, or else the second, but that needs a second witness.
    Likely(u32, u32),
    /// One of these turns makes it upright, and nothing says which.
    Either(u32, u32),
    /// It lies as it should, or this one of the ways that are left makes it upright.
    Unsure(&'static [u32]),
}

/// Finds the turn that makes the page upright, and its skew.
pub(super) fn find(
    page: &GrayImage,
    dpi: u32,
    ink: &Ink,
    languages: &str,
    engines: &mut Engines,
) -> Result<Upright, Failure> {
    let (own, lines) = own(ink);
    let own = match own {
        // The letters' witnesses speak of Latin letters.
        own if is_latin(languages) || !lettering::is_enough(ink) => own,
        Own::Sure(0) => Own::Unsure(&[180]),
        Own::Sure(180) => Own::Likely(180, 0),
        Own::Sure(turn) | Own::Likely(turn @ (90 | 270), _) => Own::Either(turn, (turn + 180) % 360),
        own => own,
    };
    let rotation_deg = match own {
        Own::Sure(turn) => turn,
        Own::Likely(..) | Own::Either(..) | Own::Unsure(_) => {
            Second { page, dpi, ink, languages, engines }.opinion(own)?
        }
    };
    // The lines that were looked at may turn out not to be the ones that count.
    let on_its_side = rotation_deg % 180 == 90;
    let lines = match lines {
        (side, lines) if side == on_its_side => lines,
        _ => {
            let across = Glance::across(ink);
            if on_its_side { Glance::down(ink, &across).lines() } else { across.lines() }
        }
    };
    Ok(Upright { rotation_deg, skew_deg: lines.skew_deg })
}

/// What the page's own marks say, with the lines it was said of and whether these run down the page.
fn own(ink: &Ink) -> (Own, (bool, Lines)) {
    let clearer = |one: &Glance, other: &Glance, by: f32| {
        one.contrast > LINES_SEEN && one.contrast > other.contrast * by
    };
    let across = Glance::across(ink);
    // Columns of short entries may stand out more clearly than their rows: the letters know better.
    let beside = neighbours::beside(ink);
    if beside.is_some_and(|beside| beside >= BESIDE) {
        return upright_or_not(ink, &across);
    }
    let down = Glance::down(ink, &across);
    let stacked = beside.is_some_and(|beside| beside <= 1.0 - BESIDE);
    if !stacked && clearer(&across, &down, LINES_CLEARER) {
        upright_or_not(ink, &across)
    } else if stacked || clearer(&down, &across, LINES_CLEARER) {
        // Seen after a quarter turn clockwise.
        let lines = down.lines();
        let upness = lettering::upness(ink, true, lines);
        let (turn, other) = if upness.sum() > 0.0 { (90, 270) } else { (270, 90) };
        let is_sideways = stacked || clearer(&down, &across, LINES_CLEAREST);
        let is_sure = upness.sum().abs() > SURELY_UP_SIDEWAYS && upness.agreeing() >= WITNESSES;
        let own = match (is_sideways, is_sure) {
            (true, true) if clearer(&across, &down, LINES_CLEARER) => Own::Likely(turn, other),
            (true, true) => Own::Sure(turn),
            (true, false) if upness.sum().abs() > LIKELY_UP => Own::Likely(turn, other),
            (true, false) => Own::Either(turn, other),
            (false, true) => Own::Likely(turn, 0),
            (false, false) => Own::Unsure(&[90, 270]),
        };
        (own, (true, lines))
    } else if lettering::is_enough(ink) {
        (Own::Unsure(&[90, 180, 270]), (false, across.lines()))
    } else {
        // A picture, or a word or two: nobody can say, and it is as it is.
        (Own::Sure(0), (false, across.lines()))
    }
}

/// What the letters say of a page whose lines run across it.
fn upright_or_not(ink: &Ink, across: &Glance) -> (Own, (bool, Lines)) {
    let lines = across.lines();
    let upness = lettering::upness(ink, false, lines);
    let own = match upness.sum() {
        up if up > UP_ENOUGH && upness.agreeing() >= WITNESSES => Own::Sure(0),
        up if up > 0.0 && !lettering::is_enough(ink) => Own::Sure(0),
        up if up < -SURELY_UP && upness.agreeing() >= WITNESSES => Own::Sure(180),
        up if up < -LIKELY_UP => Own::Likely(180, 0),
        _ => Own::Unsure(&[180]),
    };
    (own, (false, lines))
}

/// Tesseract's opinion on a page, where the page's own marks did not suffice.
struct Second<'a> {
    page: &'a GrayImage,
    dpi: u32,
    ink: &'a Ink,
    languages: &'a str,
    engines: &'a mut Engines,
}

impl Second<'_> {
    /// Asks the orientation model, and believes it where it agrees with the page's own marks or where reading
    /// proves it right.
    fn opinion(mut self, own: Own) -> Result<u32, Failure> {
        let (turn, other) = match own {
            Own::Sure(turn) => return Ok(turn),
            // Its lines say that it must be turned, and the model which way.
            Own::Either(turn, other) => match self.model() {
                Some(said) if said == turn || said == other => return Ok(said),
                _ => (turn, other),
            },
            // The letters' witnesses may err about other letters than Latin ones.
            Own::Likely(180, 0) if !is_latin(self.languages) && self.reads_as_it_lies()? => return Ok(0),
            Own::Likely(turn, other) => match self.model() {
                Some(said) if said == turn => return Ok(turn),
                _ => (turn, other),
            },
            Own::Unsure(_) if self.reads_as_it_lies()? => return Ok(0),
            Own::Unsure(ways) => match self.model() {
                Some(said) if ways.contains(&said) => (said, 0),
                _ => return Ok(0),
            },
        };
        let long = self.page.width().max(self.page.height());
        let by = (f64::from(long) / f64::from(COMPARED_PX)).round() as u32;
        let small = match by {
            0 | 1 => self.page.clone(),
            by => image::imageops::thumbnail(self.page, self.page.width() / by, self.page.height() / by),
        };
        let one = self.legible(&small, turn)?;
        let two = self.legible(&small, other)?;
        Ok(match (one, two) {
            (one, two) if one > two * READS_BETTER + READS_MORE => turn,
            (one, two) if two > one * READS_BETTER + READS_MORE => other,
            _ => 0,
        })
    }

    /// Whether a few lines of the page read well as they lie. That takes a tenth of the model's time.
    fn reads_as_it_lies(&mut self) -> Result<bool, Failure> {
        if u64::from(self.page.width()) * u64::from(self.page.height()) > SAMPLED_PX_MAX {
            return Ok(false);
        }
        let Some(Rect { x, y, w, h }) = sample(self.ink) else { return Ok(false) };
        let part = imageops::crop_imm(self.page, x, y, w, h).to_image();
        let text = TextSize::of(self.ink, Upright::AS_IT_LIES, None);
        let words = reading::read_lines(&part, text, self.languages, self.engines)?;
        Ok(Clear::of(self.languages).is_met(&words))
    }

    /// The turn that the orientation model would make, where it is sure enough to be heard.
    fn model(&mut self) -> Option<u32> {
        let said = match self.dpi / MODEL_DPI {
            0 | 1 => self.engines.orientation(self.page, self.dpi),
            by => {
                let (width, height) = (self.page.width() / by, self.page.height() / by);
                self.engines.orientation(&image::imageops::thumbnail(self.page, width, height), self.dpi / by)
            }
        }?;
        (said.margin >= MODEL_MARGIN).then_some(said.clockwise_deg)
    }

    /// How much of a reduced copy is read with confidence after this turn.
    fn legible(&mut self, small: &GrayImage, turn_deg: u32) -> Result<f64, Failure> {
        let dpi = (self.dpi * small.width() / self.page.width().max(1)).max(70);
        let turned = gray_by_quarters(small.clone(), turn_deg);
        Ok(legible(&self.engines.read(&turned, Some(dpi), Layout::Page, self.languages)?))
    }
}

/// Where on the page, if it lies as it should, its text stands closest.
fn sample(ink: &Ink) -> Option<Rect> {
    let character = ink.character_height_px(false)? / ink.reduction as f32;
    let side = |characters: f32, most: u32| ((character * characters) as u32).clamp(1, most);
    let (wide, high) = (side(SAMPLE_CHARACTERS.0, ink.width), side(SAMPLE_CHARACTERS.1, ink.height));
    let columns = ink.width.div_ceil(wide);
    let mut counts = vec![0u32; (columns * ink.height.div_ceil(high)) as usize];
    for (_, mark) in ink.text_like() {
        counts[(mark.y0 / high * columns + mark.x0 / wide) as usize] += 1;
    }
    let (fullest, _) = (0u32..).zip(counts).max_by_key(|&(_, count)| count)?;
    let (x, y) = (fullest % columns * wide, fullest / columns * high);
    let scaled = |from: u32, length: u32, most: u32| (length.min(most - from)) * ink.reduction;
    Some(Rect {
        x: x * ink.reduction,
        y: y * ink.reduction,
        w: scaled(x, wide, ink.width),
        h: scaled(y, high, ink.height),
    })
}

/// How much was read with confidence. Tesseract reads lines that run down a page too: words of some letters which are
/// higher than wide prove the page to lie on its side, however well they were read.
fn legible(words: &[Word]) -> f64 {
    let letters = |word: &Word| word.text.chars().filter(|c| c.is_alphanumeric()).count();
    words
        .iter()
        .filter(|word| word.confidence > 0.6 && (word.rect.w > word.rect.h || letters(word) < 3))
        .map(|word| f64::from(word.confidence) * letters(word) as f64)
        .sum()
}

/// Whether all of these Tesseract languages, or scripts, are written in Latin script.
fn is_latin(languages: &str) -> bool {
    const OTHERS: &[&str] = &[
        "amh", "ara", "asm", "bel", "ben", "bod", "bul", "chi", "chr", "dzo", "ell", "fas", "grc", "guj",
        "heb", "hin", "hye", "iku", "jpn", "kan", "kat", "kaz", "khm", "kir", "kor", "lao", "mal", "mar",
        "mkd", "mon", "mya", "nep", "ori", "pan", "pus", "rus", "san", "sin", "snd", "srp", "syr", "tam",
        "tat", "tel", "tgk", "tha", "tir", "uig", "ukr", "urd", "yid",
    ];
    const LATIN_SCRIPTS: &[&str] = &["Latin", "Fraktur", "Vietnamese"];
    languages.split('+').all(|language| match ocr::script(language) {
        Some(script) => LATIN_SCRIPTS.contains(&script),
        // Serbian in Latin letters, as `srp_latn`, is written as German is.
        None => language.ends_with("_latn") || !OTHERS.iter().any(|other| language.starts_with(other)),
    })
}

#[cfg(test)]
mod tests {
    use image::Luma;
    use imageproc::drawing::draw_filled_rect_mut;
    use imageproc::rect::Rect as Area;

    use super::*;

    #[test]
    fn the_sample_lies_where_the_text_of_a_page_stands_closest() {
        let mut page = GrayImage::from_pixel(1_000, 1_400, Luma([255]));
        let mut line = |y: i32, letters: std::ops::Range<i32>| {
            for letter in letters {
                draw_filled_rect_mut(&mut page, Area::at(letter * 20, y).of_size(12, 18), Luma([0]));
            }
        };
        // A heading of its own, and a paragraph below it at the right.
        line(100, 5..15);
        (0..12).for_each(|row| line(800 + row * 30, 25..48));
        let Rect { x, y, w, h } = sample(&Ink::of(&page)).expect("there is text");
        let middle = (x + w / 2, y + h / 2);
        assert!((500..960).contains(&middle.0) && (800..1_160).contains(&middle.1), "{middle:?}");
        assert!(x + w <= 1_000 && y + h <= 1_400, "{x} + {w}, {y} + {h}");
        assert_eq!(sample(&Ink::of(&GrayImage::from_pixel(300, 300, Luma([255])))), None);
    }

    #[test]
    fn a_script_counts_as_latin_by_its_own_name_and_a_language_by_the_letters_it_is_written_in() {
        for latin in
            ["eng", "eng+deu", "script/Latin", "Latin", "script/Fraktur+lat", "srp_latn", "script/Vietnamese"]
        {
            assert!(is_latin(latin), "{latin}");
        }
        for other in
            ["script/Cyrillic", "Cyrillic", "eng+script/Greek", "rus", "srp", "chi_sim", "script/Arabic+eng"]
        {
            assert!(!is_latin(other), "{other}");
        }
    }

    #[test]
    fn only_enough_long_words_that_are_read_with_confidence_show_that_a_page_lies_as_it_should() {
        let read = |text: &str, confidence: f32, times: usize| {
            vec![Word { text: text.into(), confidence, rect: Rect::default(), line: 0, block: 0 }; times]
        };
        let is_clear = |words: &[Word]| Clear::of("eng+deu").is_met(words);
        assert!(is_clear(&[read("paper", 0.9, 6), read("jadad", 0.3, 4)].concat()));
        assert!(!is_clear(&read("paper", 0.9, 2)), "two words are few");
        assert!(!is_clear(&read("paper", 0.5, 20)), "nothing is read with confidence");
        assert!(!is_clear(&read("no", 0.9, 30)), "two letters are read anywhere");
        assert!(
            !is_clear(&[read("paper", 0.9, 5), read("jadad", 0.3, 30)].concat()),
            "most of it is not read"
        );
        assert!(!is_clear(&[]));
        let is_clear = |words: &[Word]| Clear::of("jpn").is_met(words);
        assert!(is_clear(&[read("紙", 0.9, 30), read("へ", 0.3, 10)].concat()));
        assert!(!is_clear(&[read("紙", 0.9, 30), read("へ", 0.3, 30)].concat()), "half of it is not read");
    }
}
