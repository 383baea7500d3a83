//! The words that a PDF page brings with it.
//!
//! A page made by a program holds its letters exactly, and recognising its picture can only be worse. Here they are
//! put together to words with their boxes, in the order in which the page draws them. Only letters that are drawn
//! stand for the page: an invisible layer is somebody's recognition, of a quality that nobody knows. Whether the words are good
//! enough to stand for the page is for the caller, who sees its picture.

use hayro::kurbo::{Point, Rect, Vec2};
use hayro_syntax::page::Page;
use platen_model::{PageRecord, TextSource, Word};

use super::pdf_letters::{LETTERS_MAX, Letter, Reader, is_private};
use crate::raster::{certain, is_language};

/// A page with fewer letters is not a page of text.
const LETTERS_MIN: usize = 40;
/// What is stamped on a scan has fewer letters, or fewer lines.
const WRITTEN_LETTERS_MIN: usize = 200;
const WRITTEN_LINES_MIN: u32 = 5;
/// Of so many letters one may have no character.
const UNKNOWN_ONE_IN: usize = 100;
/// To so many letters there may be one sign of a font of signs: a bullet, or a box to tick.
const SIGNS_ONE_IN: usize = 10;
/// A gap wider than this part of the font's size parts words.
const GAP: f64 = 0.14;
/// How far letters of a word may overlap, as a part of the font's size.
const OVERLAP: f64 = 0.4;
/// How far a letter of the same line may stand above or below the line, as a part of the font's size.
const RAISED: f64 = 0.5;
/// Lines further apart than this part of the font's size belong to different blocks.
const BLOCK_GAP: f64 = 2.0;
/// A word that was drawn twice, to make it bold, is found among so many words before it.
const REPEATED_WITHIN: usize = 64;
/// A recognised word of which this part lies in words of the page is one of them.
const COVERED: f64 = 0.3;

/// The words of a page as they stand on a picture of it of `size` pixels. `None` where the page has no text to speak
/// of, or where its letters cannot be told for certain.
pub(super) fn words(page: &Page<'_>, size: (u32, u32)) -> Option<Vec<Word>> {
    let reader = Reader::of_seen(page, size);
    let letters = reader.letters.iter().filter(|letter| !letter.is_space()).count();
    // A page whose lines run up or down lies on its side, which is for the picture to tell.
    let level = reader.letters.iter().filter(|letter| !letter.is_space() && letter.along.x > 0.99).count();
    let is_text = (LETTERS_MIN..LETTERS_MAX).contains(&letters) && level * 10 >= letters * 9;
    if !is_text || reader.unknown * UNKNOWN_ONE_IN > letters {
        return None;
    }
    let mut words = composed(&reader.letters, reader.paper);
    let signs = take_signs(&mut words);
    let unknown = reader.unknown + signs.among_letters;
    (unknown * UNKNOWN_ONE_IN <= letters && signs.alone * SIGNS_ONE_IN <= letters).then_some(words)
}

/// Where a page draws letters that nothing hides, on a picture of it of `size` pixels.
pub(super) fn letters(page: &Page<'_>, size: (u32, u32)) -> Vec<platen_model::Rect> {
    let reader = Reader::of_seen(page, size);
    let drawn = reader.letters.iter().filter(|letter| !letter.is_space()).map(|letter| letter.ink);
    drawn.chain(reader.strange).map(|ink| pixels(ink.intersect(reader.paper))).collect()
}

/// A box in whole pixels.
fn pixels(ink: Rect) -> platen_model::Rect {
    let at = |value: f64| value.max(0.0) as u32;
    let (x, y) = (at(ink.x0.floor()), at(ink.y0.floor()));
    let side = |end: f64, start: u32| at(end.ceil()).saturating_sub(start).max(1);
    platen_model::Rect { x, y, w: side(ink.x1, x), h: side(ink.y1, y) }
}

/// Whether a page that images cover is one of text all the same, for a program wrote over them at length. What is
/// stamped on scans is less: numbers of a bundle, lines of a fax, who received it and when. Letters that nobody sees
/// say nothing.
pub(super) fn is_written(page: &Page<'_>) -> bool {
    let (width, height) = page.render_dimensions();
    let size = (width.ceil().max(1.0) as u32, height.ceil().max(1.0) as u32);
    words(page, size).is_some_and(|words| {
        let letters: usize = words.iter().map(|word| word.text.chars().count()).sum();
        let lines = words.last().map_or(0, |word| word.line + 1);
        letters >= WRITTEN_LETTERS_MIN && lines >= WRITTEN_LINES_MIN
    })
}

/// How many private characters were met.
struct Signs {
    /// Those that stand alone, as bullets do.
    alone: usize,
    /// Those in a word or in a row, where they may stand for letters.
    among_letters: usize,
}

/// Takes the private characters out of words, and the words that have no others.
fn take_signs(words: &mut Vec<Word>) -> Signs {
    let mut signs = Signs { alone: 0, among_letters: 0 };
    words.retain_mut(|word| {
        let all = word.text.chars().count();
        let private = word.text.chars().filter(|character| is_private(*character)).count();
        if private == 1 && all == 1 {
            signs.alone += 1;
        } else if private > 0 {
            signs.among_letters += private;
            word.text.retain(|character| !is_private(character));
        }
        private < all
    });
    signs
}

/// Whether a word is a row of private characters, which say nothing: no search finds it.
fn is_unreadable(word: &Word) -> bool {
    word.text.chars().all(is_private) && word.text.chars().nth(1).is_some()
}

/// The words of a record that were read with certainty and for which its page has none of its own that a search would find,
/// drawn or hidden. The record is of the page turned as it says.
pub(crate) fn lacking(page: &Page<'_>, record: &PageRecord) -> Vec<Word> {
    // The page's own are sure beyond doubt; beside them there may be what was read.
    let is_read = |word: &Word| record.text_source != TextSource::Embedded || word.confidence < 1.0;
    let read: Vec<Word> = certain(&record.words).filter(|word| is_read(word)).cloned().collect();
    if read.is_empty() {
        return read;
    }
    let (wide, high) = (record.width_px, record.height_px);
    let size = if record.rotation_deg % 180 == 90 { (high, wide) } else { (wide, high) };
    let reader = Reader::of_all(page, size);
    let mut own = composed(&reader.letters, reader.paper);
    own.retain(|word| !is_unreadable(word));
    if !is_language(&own) {
        // What the page says of its letters is not what they are, and no search finds it.
        return read;
    }
    for word in &mut own {
        word.rect = turned(word.rect, size, record.rotation_deg);
    }
    own.sort_by_key(|word| word.rect.y);
    let highest = own.iter().map(|word| word.rect.h).max().unwrap_or(0);
    let is_covered = |word: &Word| {
        let from = own.partition_point(|other| other.rect.y + highest < word.rect.y);
        let near = own[from..].iter().take_while(|other| other.rect.y < word.rect.y + word.rect.h);
        let covered: u64 = near.map(|other| common(word.rect, other.rect)).sum();
        covered as f64 >= COVERED * f64::from(word.rect.w) * f64::from(word.rect.h)
    };
    read.into_iter().filter(|word| !is_covered(word)).collect()
}

/// A box on a page of `size` pixels, after the page is turned clockwise.
fn turned(rect: platen_model::Rect, size: (u32, u32), by_deg: u32) -> platen_model::Rect {
    let platen_model::Rect { x, y, w, h } = rect;
    let right = size.0.saturating_sub(x + w);
    let below = size.1.saturating_sub(y + h);
    match by_deg % 360 {
        90 => platen_model::Rect { x: below, y: x, w: h, h: w },
        180 => platen_model::Rect { x: right, y: below, w, h },
        270 => platen_model::Rect { x: y, y: right, w: h, h: w },
        _ => rect,
    }
}

/// The pixels that two boxes share.
fn common(one: platen_model::Rect, other: platen_model::Rect) -> u64 {
    let side = |a: u32, long: u32, b: u32, other: u32| (a + long).min(b + other).saturating_sub(a.max(b));
    u64::from(side(one.x, one.w, other.x, other.w)) * u64::from(side(one.y, one.h, other.y, other.h))
}

/// A word being put together.
struct Begun<'l> {
    text: String,
    ink: Rect,
    last: &'l Letter,
}

/// Puts letters together to words, in the order in which they were drawn.
fn composed(letters: &[Letter], paper: Rect) -> Vec<Word> {
    let mut composer = Composer { paper, words: Vec::new(), line: 0, block: 0, previous: None };
    let mut begun: Option<Begun<'_>> = None;
    for letter in letters {
        if letter.is_space() {
            composer.take(begun.take());
            continue;
        }
        match &mut begun {
            Some(word) if goes_on(word.last, letter) => {
                word.text.push_str(&letter.text);
                word.ink = word.ink.union(letter.ink);
                word.last = letter;
            }
            _ => {
                composer.take(begun.take());
                composer.place(letter);
                begun = Some(Begun { text: letter.text.clone(), ink: letter.ink, last: letter });
            }
        }
    }
    composer.take(begun);
    composer.words
}

/// Whether a letter belongs to the word of the one before it.
fn goes_on(last: &Letter, letter: &Letter) -> bool {
    let step = letter.start - last.end;
    let em = last.em.max(letter.em);
    let gap = step.dot(last.along) / em;
    last.along.dot(letter.along) > 0.99
        && (-OVERLAP..GAP).contains(&gap)
        && step.cross(last.along).abs() < RAISED * em
}

struct Composer {
    paper: Rect,
    words: Vec<Word>,
    line: u32,
    block: u32,
    /// The start of the word before, the direction of its line, and the size of its font.
    previous: Option<(Point, Vec2, f64)>,
}

impl Composer {
    /// Decides whether a word that begins with this letter begins a line or a block.
    fn place(&mut self, letter: &Letter) {
        if let Some((start, along, em)) = self.previous {
            let em = em.max(letter.em);
            let step = letter.start - start;
            // Lines follow one another to the right of the direction of reading.
            let down = along.cross(step);
            let same_line =
                letter.along.dot(along) > 0.99 && down.abs() < RAISED * em && step.dot(along) > -em;
            if !same_line {
                self.line += 1;
                if !(0.0..BLOCK_GAP * em).contains(&down) {
                    self.block += 1;
                }
            }
        }
        self.previous = Some((letter.start, letter.along, letter.em));
    }

    fn take(&mut self, begun: Option<Begun<'_>>) {
        let Some(Begun { text, ink, .. }) = begun else { return };
        let rect = pixels(ink.intersect(self.paper));
        let is_repeated = |word: &Word| {
            let near = |a: u32, b: u32| a.abs_diff(b) * 8 <= rect.h;
            word.text == text && near(word.rect.x, rect.x) && near(word.rect.y, rect.y)
        };
        if self.words.iter().rev().take(REPEATED_WITHIN).any(is_repeated) {
            return;
        }
        self.words.push(Word { text, confidence: 1.0, rect, line: self.line, block: self.block });
    }
}
