//! The words that a PDF page brings with it.
//!
//! A page made by a program holds its letters exactly, and recognising its picture can only be worse. Here they are
//! put together to words with their boxes, in the order in which the page draws them. Only letters that are drawn
//! stand for the page: an invisible layer is somebody's recognition, of a quality that nobody knows. Whether the words are good
//! enough to stand for the page is for the caller, who sees its picture.

use hayro::hayro_interpret::font::{Glyph, GlyphRun};
use hayro::hayro_interpret::hayro_cmap::BfString;
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, SoftMask, interpret_page,
};
use hayro::kurbo::{Affine, BezPath, Point, Rect, Shape as _, Vec2};
use hayro_syntax::page::Page;
use platen_model::{PageRecord, TextSource, Word};

use crate::raster::is_language;

/// Units of a font's size in which glyphs are described.
const UNITS: f64 = 1_000.0;
/// A page with fewer letters is not a page of text.
const LETTERS_MIN: usize = 40;
/// The most letters of a page; more are no text that somebody reads.
const LETTERS_MAX: usize = 1_000_000;
/// Of so many letters one may have no character.
const UNKNOWN_ONE_IN: usize = 100;
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
    let reader = Reader::of(page, size, false);
    let letters = reader.letters.iter().filter(|letter| !letter.is_space()).count();
    // A page whose lines run up or down lies on its side, which is for the picture to tell.
    let level = reader.letters.iter().filter(|letter| !letter.is_space() && letter.along.x > 0.99).count();
    let is_text = (LETTERS_MIN..LETTERS_MAX).contains(&letters) && level * 10 >= letters * 9;
    (is_text && reader.unknown * UNKNOWN_ONE_IN <= letters).then(|| composed(&reader.letters, reader.paper))
}

/// The words of a record for which its page has none of its own that a search would find, drawn or hidden. The record
/// is of the page turned as it says.
pub(crate) fn lacking(page: &Page<'_>, record: &PageRecord) -> Vec<Word> {
    if record.text_source == TextSource::Embedded {
        return Vec::new();
    }
    let (wide, high) = (record.width_px, record.height_px);
    let size = if record.rotation_deg % 180 == 90 { (high, wide) } else { (wide, high) };
    let reader = Reader::of(page, size, true);
    let mut own = composed(&reader.letters, reader.paper);
    if !is_language(&own) {
        // What the page says of its letters is not what they are, and no search finds it.
        return record.words.clone();
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
    record.words.iter().filter(|word| !is_covered(word)).cloned().collect()
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

/// A glyph with its character, in pixels.
struct Letter {
    text: String,
    /// Where the pen stood before it, and after it.
    start: Point,
    end: Point,
    /// The direction of its line.
    along: Vec2,
    /// The font's size.
    em: f64,
    /// The box of its ink.
    ink: Rect,
}

impl Letter {
    fn is_space(&self) -> bool {
        self.text.chars().all(char::is_whitespace)
    }
}

/// Collects the letters that are drawn.
struct Reader {
    paper: Rect,
    /// Whether letters count that nobody sees.
    hidden_too: bool,
    letters: Vec<Letter>,
    /// Glyphs whose character is not known for certain.
    unknown: usize,
}

impl Reader {
    /// The letters of a page as they stand on a picture of it of `size` pixels.
    fn of(page: &Page<'_>, size: (u32, u32), hidden_too: bool) -> Self {
        let (width, height) = page.render_dimensions();
        let scale = Affine::scale_non_uniform(
            f64::from(size.0) / f64::from(width),
            f64::from(size.1) / f64::from(height),
        );
        let paper = Rect::new(0.0, 0.0, size.0.into(), size.1.into());
        let mut reader = Self { paper, hidden_too, letters: Vec::new(), unknown: 0 };
        let cache = InterpreterCache::new();
        let transform = scale * Affine::new(page.initial_transform(true).as_coeffs());
        let mut context = Context::new(transform, paper, &cache, page.xref(), InterpreterSettings::default());
        interpret_page(page, &mut context, &mut reader);
        reader
    }
}

impl<'a> Device<'a> for Reader {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        if (matches!(mode, DrawMode::Invisible) && !self.hidden_too) || self.letters.len() > LETTERS_MAX {
            return;
        }
        for placed in run.glyphs() {
            let Glyph::Outline(glyph) = &**placed else {
                self.unknown += 1;
                continue;
            };
            let place = props.transform * placed.transform();
            let outline = glyph.outline();
            let advance = glyph.advance_width().map_or(outline.bounding_box().x1, f64::from);
            let (start, end) = (place * Point::ORIGIN, place * Point::new(advance, 0.0));
            let line = place * Point::new(UNITS, 0.0) - start;
            let up = place * Point::new(0.0, UNITS) - start;
            let em = up.hypot();
            if !(em.is_finite() && line.hypot() > 0.0 && self.paper.contains(start)) {
                continue;
            }
            let Some(text) = glyph.as_unicode().and_then(certain) else {
                self.unknown += 1;
                continue;
            };
            let ink = if outline.elements().is_empty() {
                Rect::from_points(start, end)
            } else {
                (place * outline).bounding_box()
            };
            self.letters.push(Letter { text, start, end, along: line.normalize(), em, ink });
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn pop_clip(&mut self) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn pop_transparency_group(&mut self) {}
}

/// The characters of a glyph, ligatures taken apart; `None` where a font says nothing that can be text. Scripts that
/// run from right to left are drawn in an order that is not the order of reading, and are left to recognition.
fn certain(text: BfString) -> Option<String> {
    let text = match text {
        BfString::Char(character) => character.to_string(),
        BfString::String(text) => text,
    };
    let mut certain = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\u{FB00}' => certain.push_str("ff"),
            '\u{FB01}' => certain.push_str("fi"),
            '\u{FB02}' => certain.push_str("fl"),
            '\u{FB03}' => certain.push_str("ffi"),
            '\u{FB04}' => certain.push_str("ffl"),
            '\u{AD}' => certain.push('-'),
            '\u{FFFD}' | '\u{E000}'..='\u{F8FF}' | '\u{590}'..='\u{8FF}' => return None,
            blank if blank.is_whitespace() => certain.push(' '),
            control if control.is_control() => return None,
            other => certain.push(other),
        }
    }
    (!certain.is_empty()).then_some(certain)
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
        let ink = ink.intersect(self.paper);
        let at = |value: f64| value.max(0.0) as u32;
        let (x, y) = (at(ink.x0.floor()), at(ink.y0.floor()));
        let rect = platen_model::Rect {
            x,
            y,
            w: at(ink.x1.ceil()).saturating_sub(x).max(1),
            h: at(ink.y1.ceil()).saturating_sub(y).max(1),
        };
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
