//! The letters that a PDF page draws, each with its character, its place and the box of its ink.
//!
//! The page is interpreted as the renderer does it, but nothing is drawn. What a letter is, is what its font says of it;
//! whether it is seen at all is told here by how it is drawn, and where that does not tell, by who sees the picture.

use std::collections::HashMap;

use hayro::hayro_interpret::font::{Glyph, GlyphRun, Type3Glyph};
use hayro::hayro_interpret::hayro_cmap::BfString;
use hayro::hayro_interpret::{
    BlendMode, CacheKey as _, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, Paint, SoftMask, interpret_page,
};
use hayro::kurbo::{Affine, BezPath, Point, Rect, Shape as _, Vec2};
use hayro_syntax::page::Page;
use platen_model::joining::is_right_to_left;

/// The most letters of a page; more are no text that somebody reads.
pub(super) const LETTERS_MAX: usize = 1_000_000;
/// The most images over letters that are looked at. Some devices write one for each 16 rows.
const COVERS_MAX: usize = 1_024;
/// Units of a font's size in which glyphs are described.
const UNITS: f64 = 1_000.0;
/// Glyphs so many times as large as their font's size have their own.
const OUTGROWN: f64 = 2.0;
/// By so much the size of such a font is larger than the longer side of one of its letters.
const EM_OF_LETTER: f64 = 1.3;

/// A glyph with its character, in pixels.
pub(super) struct Letter {
    pub(super) text: String,
    /// Where the pen stood before it, and after it.
    pub(super) start: Point,
    pub(super) end: Point,
    /// The direction of its line.
    pub(super) along: Vec2,
    /// The font's size.
    pub(super) em: f64,
    /// The box of its ink.
    pub(super) ink: Rect,
}

impl Letter {
    pub(super) fn is_space(&self) -> bool {
        is_blank(&self.text)
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// Whether a character is one of those that fonts of signs choose themselves: a bullet, an arrow, a box to tick. From
/// U+F600 on they are Adobe's, for figures and small capitals.
pub(super) fn is_private(character: char) -> bool {
    matches!(character, '\u{E000}'..='\u{F5FF}' | '\u{F0000}'..='\u{10FFFD}')
}

/// Collects the letters that are drawn.
pub(super) struct Reader {
    pub(super) paper: Rect,
    /// Whether letters count that nobody sees, and those of scripts that are not drawn in the order of reading.
    every_letter: bool,
    pub(super) letters: Vec<Letter>,
    /// Glyphs whose character is not known for certain.
    pub(super) unknown: usize,
    /// The boxes of those of them that have ink.
    pub(super) strange: Vec<Rect>,
    /// The boxes of glyphs that are drawn by instructions, in units of their font's size.
    drawn: HashMap<u128, Option<Rect>>,
    /// The boxes that everything is clipped to, the innermost last.
    clips: Vec<Rect>,
    /// Whether what is drawn covers what is below, for each group that is being drawn.
    groups: Vec<bool>,
    /// How many images were laid over letters.
    covers: usize,
}

impl Reader {
    /// The letters of a page that are seen, as they stand on a picture of it of `size` pixels.
    pub(super) fn of_seen(page: &Page<'_>, size: (u32, u32)) -> Self {
        Self::of(page, size, false)
    }

    /// All of its letters that a search would find, drawn or hidden, in whatever order they are read.
    pub(super) fn of_all(page: &Page<'_>, size: (u32, u32)) -> Self {
        Self::of(page, size, true)
    }

    fn of(page: &Page<'_>, size: (u32, u32), every_letter: bool) -> Self {
        let (width, height) = page.render_dimensions();
        let scale = Affine::scale_non_uniform(
            f64::from(size.0) / f64::from(width),
            f64::from(size.1) / f64::from(height),
        );
        let paper = Rect::new(0.0, 0.0, size.0.into(), size.1.into());
        let mut reader = Self {
            paper,
            every_letter,
            letters: Vec::new(),
            unknown: 0,
            strange: Vec::new(),
            drawn: HashMap::new(),
            clips: Vec::new(),
            groups: Vec::new(),
            covers: 0,
        };
        let cache = InterpreterCache::new();
        let transform = scale * Affine::new(page.initial_transform(true).as_coeffs());
        let mut context = Context::new(transform, paper, &cache, page.xref(), InterpreterSettings::default());
        interpret_page(page, &mut context, &mut reader);
        reader
    }

    /// How a glyph stands that is placed so.
    fn stand<'a>(&mut self, glyph: &Glyph<'a>, place: Affine, paint: &Paint<'a>) -> Stand {
        match glyph {
            Glyph::Outline(glyph) => {
                let outline = glyph.outline();
                let advance = glyph.advance_width().map_or(outline.bounding_box().x1, f64::from);
                let ink = (!outline.elements().is_empty()).then(|| (place * outline).bounding_box());
                Stand::of(place, advance, ink)
            }
            Glyph::Type3(glyph) => {
                let drawn = self.drawn.entry(glyph.cache_key());
                let ink = *drawn.or_insert_with(|| Extent::of(glyph, paint));
                let advance = glyph.advance_width().or_else(|| ink.map(|ink| ink.x1 as f32)).unwrap_or(0.0);
                let ink = ink.map(|ink| place.transform_rect_bbox(ink));
                Stand::of(place, advance.into(), ink).grown()
            }
        }
    }

    /// Notes a glyph, where it is one of those that count.
    fn take(&mut self, stand: Stand, text: Option<BfString>) {
        let Stand { start, end, line, em, ink } = stand;
        if !(em.is_finite() && line.hypot() > 0.0 && self.paper.contains(start)) {
            return;
        }
        let Some(text) = text.and_then(certain) else {
            self.unknown += 1;
            self.strange.extend(ink.filter(|_| self.strange.len() < LETTERS_MAX));
            return;
        };
        if !self.every_letter {
            if ink.is_none() && !is_blank(&text) {
                // A font without ink is as hidden as letters that are not drawn.
                return;
            }
            if text.chars().any(is_right_to_left) {
                // Drawn in an order that is not the order of reading, it is left to recognition.
                self.unknown += 1;
                self.strange.extend(ink.filter(|_| self.strange.len() < LETTERS_MAX));
                return;
            }
        }
        let ink = ink.unwrap_or_else(|| Rect::from_points(start, end));
        self.letters.push(Letter { text, start, end, along: line.normalize(), em, ink });
    }
}

impl<'a> Device<'a> for Reader {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        let is_hidden = matches!(mode, DrawMode::Invisible) || is_clear(&props.paint);
        if (is_hidden && !self.every_letter) || self.letters.len() > LETTERS_MAX {
            return;
        }
        for placed in run.glyphs() {
            let stand = self.stand(placed, props.transform * placed.transform(), &props.paint);
            self.take(stand, placed.as_unicode());
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        let covers = is_solid(&image) && self.groups.iter().all(|covers| *covers);
        let is_bare = self.letters.is_empty() && self.strange.is_empty();
        if self.every_letter || !covers || is_bare || self.covers >= COVERS_MAX {
            return;
        }
        self.covers += 1;
        // Programs that recognise a scan may hide the words under it.
        let whole = Rect::new(0.0, 0.0, image.width().into(), image.height().into());
        let into_image = props.transform.inverse();
        let clip = self.clips.last().copied().unwrap_or(self.paper);
        let is_covered = |ink: Rect| clip.contains(ink.center()) && whole.contains(into_image * ink.center());
        self.letters.retain(|letter| !is_covered(letter.ink));
        self.strange.retain(|ink| !is_covered(*ink));
    }

    fn push_clip_path(&mut self, clip: &ClipPath) {
        let area = clip.path.bounding_box();
        self.clips.push(self.clips.last().map_or(area, |outer| outer.intersect(area)));
    }

    fn pop_clip(&mut self) {
        self.clips.pop();
    }

    fn push_transparency_group(&mut self, opacity: f32, mask: Option<SoftMask<'a>>, mode: BlendMode) {
        self.groups.push(opacity >= 1.0 && mask.is_none() && mode == BlendMode::Normal);
    }

    fn pop_transparency_group(&mut self) {
        self.groups.pop();
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
}

/// Whether what is drawn with this leaves nothing to see.
fn is_clear(paint: &Paint<'_>) -> bool {
    matches!(paint, Paint::Color(colour) if colour.to_rgba().to_rgba8()[3] == 0)
}

/// Whether an image has no holes through which one sees what is below.
fn is_solid(image: &Image<'_, '_>) -> bool {
    let Image::Raster(image) = image else { return false };
    let entries = image.stream().dict();
    ["SMask", "Mask", "SMaskInData"].iter().all(|name| !entries.contains_key(name))
}

/// How a glyph stands on the page.
struct Stand {
    /// Where the pen stood before it, and after it.
    start: Point,
    end: Point,
    /// The font's size along its line.
    line: Vec2,
    /// The font's size.
    em: f64,
    /// The box of its ink, where it has any.
    ink: Option<Rect>,
}

impl Stand {
    fn of(place: Affine, advance: f64, ink: Option<Rect>) -> Self {
        let (start, end) = (place * Point::ORIGIN, place * Point::new(advance, 0.0));
        let line = place * Point::new(UNITS, 0.0) - start;
        let up = place * Point::new(0.0, UNITS) - start;
        Self { start, end, line, em: up.hypot(), ink }
    }

    /// The same with the size that its ink and advance tell, where they are far larger than its font says. Fonts of
    /// bitmaps are often so: a unit of theirs is a dot.
    fn grown(self) -> Self {
        let ink = self.ink.map_or(0.0, |ink| ink.width().max(ink.height()));
        let side = ink.max((self.end - self.start).hypot());
        let em = if side > OUTGROWN * self.em { EM_OF_LETTER * side } else { self.em };
        Self { em, ..self }
    }
}

/// The box of what the instructions of a glyph draw.
struct Extent(Option<Rect>);

impl Extent {
    /// In units of its font's size; `None` where it draws nothing.
    fn of<'a>(glyph: &Type3Glyph<'a>, paint: &Paint<'a>) -> Option<Rect> {
        let mut extent = Self(None);
        glyph.interpret(&mut extent, Affine::IDENTITY, Affine::IDENTITY, paint);
        extent.0
    }

    fn add(&mut self, drawn: Rect) {
        if drawn.is_finite() {
            self.0 = Some(self.0.map_or(drawn, |all| all.union(drawn)));
        }
    }
}

impl<'a> Device<'a> for Extent {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, _: &DrawMode) {
        if !path.elements().is_empty() {
            self.add((props.transform * path.clone()).bounding_box());
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        let whole = Rect::new(0.0, 0.0, image.width().into(), image.height().into());
        self.add(props.transform.transform_rect_bbox(whole));
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        for placed in run.glyphs() {
            // Glyphs that draw themselves by glyphs of their kind might do so without end.
            if let Glyph::Outline(glyph) = &**placed {
                let place = props.transform * placed.transform();
                self.add((place * glyph.outline()).bounding_box());
            }
        }
    }

    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn pop_clip(&mut self) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn pop_transparency_group(&mut self) {}
}

/// The characters of a glyph, ligatures taken apart; `None` where a font says nothing that can be text.
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
            '\u{FFFD}' | '\u{F600}'..='\u{F8FF}' => return None,
            blank if blank.is_whitespace() => certain.push(' '),
            control if control.is_control() => return None,
            other => certain.push(other),
        }
    }
    (!certain.is_empty()).then_some(certain)
}
