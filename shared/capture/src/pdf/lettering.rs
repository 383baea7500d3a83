//! Text as filled outlines, for the visible signature.
//!
//! PDF/A forbids a font that is not embedded, and a signature that brings a font of its own would add it again
//! with each signature. So the letters are drawn as shapes: the renderer's own sans-serif font is asked for
//! their outlines. It knows Western European letters; Central European ones lose their mark (`Ł` becomes
//! `L`), others become `?`. The exact name stands in the signature's `/Name`.

use hayro::hayro_interpret::font::{Glyph, GlyphRun};
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache,
    InterpreterSettings, SoftMask, interpret_page,
};
use hayro::hayro_syntax::Pdf;
use hayro::kurbo::{Affine, BezPath, PathEl, Point, Rect, Shape as _};
use pdf_writer::{Content, Name, Ref, Str};

/// The font size at which outlines are made, and with it their units.
pub(super) const UNITS: f64 = 1000.0;

/// A line of text as one shape, its baseline starting at the origin, in thousandths of the font size.
#[derive(Debug)]
pub(super) struct Lettering {
    path: BezPath,
    /// How far it reaches to the right.
    pub(super) width: f64,
}

impl Lettering {
    /// The shape of a line. Text that cannot be shown at all gives an empty shape.
    pub(super) fn of(text: &str) -> Self {
        let mut outlines = Outlines::default();
        let bytes: Vec<u8> = text.chars().filter(|c| !c.is_control()).map(windows_1252).collect();
        if let Ok(pdf) = Pdf::new(one_line(&bytes))
            && let Some(page) = pdf.pages().first()
        {
            let everywhere = Rect::new(-UNITS, -UNITS, 1e7, 1e7);
            let cache = InterpreterCache::new();
            let settings = InterpreterSettings::default();
            let mut context = Context::new(Affine::IDENTITY, everywhere, &cache, page.xref(), settings);
            interpret_page(page, &mut context, &mut outlines);
        }
        let width = if outlines.0.elements().is_empty() { 0.0 } else { outlines.0.bounding_box().x1 };
        Self { path: outlines.0, width }
    }

    /// Its path as PDF operators, to be filled, in whole units.
    pub(super) fn write(&self, content: &mut Content) {
        let mut last = Point::ORIGIN;
        let round = |point: Point| (point.x.round() as f32, point.y.round() as f32);
        for element in self.path.elements() {
            match *element {
                PathEl::MoveTo(to) => {
                    let (x, y) = round(to);
                    content.move_to(x, y);
                    last = to;
                }
                PathEl::LineTo(to) => {
                    let (x, y) = round(to);
                    content.line_to(x, y);
                    last = to;
                }
                PathEl::QuadTo(by, to) => {
                    let (one, two) = (last.lerp(by, 2.0 / 3.0), to.lerp(by, 2.0 / 3.0));
                    cubic(content, round(one), round(two), round(to));
                    last = to;
                }
                PathEl::CurveTo(one, two, to) => {
                    cubic(content, round(one), round(two), round(to));
                    last = to;
                }
                PathEl::ClosePath => {
                    content.close_path();
                }
            }
        }
        if !self.path.elements().is_empty() {
            content.fill_nonzero();
        }
    }
}

fn cubic(content: &mut Content, one: (f32, f32), two: (f32, f32), to: (f32, f32)) {
    content.cubic_to(one.0, one.1, two.0, two.1, to.0, to.1);
}

/// A PDF that shows one line in the standard sans-serif font.
fn one_line(text: &[u8]) -> Vec<u8> {
    let [catalog, pages, page, contents, font] = [1, 2, 3, 4, 5].map(Ref::new);
    let mut content = Content::new();
    content.begin_text().set_font(Name(b"F1"), UNITS as f32).show(Str(text)).end_text();
    let mut pdf = pdf_writer::Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    let media = pdf_writer::Rect::new(0.0, 0.0, UNITS as f32, UNITS as f32);
    let mut writer = pdf.page(page);
    writer.parent(pages).media_box(media).contents(contents);
    writer.resources().fonts().pair(Name(b"F1"), font);
    drop(writer);
    pdf.stream(contents, &content.finish());
    pdf.type1_font(font).base_font(Name(b"Helvetica")).encoding_predefined(Name(b"WinAnsiEncoding"));
    pdf.finish()
}

/// Collects the outlines of all glyphs shown, and nothing else.
#[derive(Default)]
struct Outlines(BezPath);

impl<'a> Device<'a> for Outlines {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        for placed in run.glyphs() {
            if let Glyph::Outline(glyph) = &**placed {
                self.0.extend((props.transform * placed.transform() * glyph.outline()).iter());
            }
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn draw_image(&mut self, _: Image<'a, '_>, _: ImageDrawProps<'a>) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn pop_clip(&mut self) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn pop_transparency_group(&mut self) {}
}

/// The base letters of U+0100 to U+017F (Latin Extended-A).
const EXTENDED_A: &[u8; 128] = b"AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlLlLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

/// The code of a character in Windows-1252 (ISO 32000-1, annex D, `WinAnsiEncoding`), or of the nearest letter.
pub(super) fn windows_1252(character: char) -> u8 {
    match character {
        ' '..='~' | '\u{A0}'..='ÿ' => u32::from(character) as u8,
        '€' => 0x80,
        '‚' => 0x82,
        '„' => 0x84,
        '…' => 0x85,
        'Š' => 0x8A,
        'Œ' => 0x8C,
        'Ž' => 0x8E,
        '‘' => 0x91,
        '’' => 0x92,
        '“' => 0x93,
        '”' => 0x94,
        '•' => 0x95,
        '–' => 0x96,
        '—' => 0x97,
        '™' => 0x99,
        'š' => 0x9A,
        'œ' => 0x9C,
        'ž' => 0x9E,
        'Ÿ' => 0x9F,
        'Ș' => b'S',
        'ș' => b's',
        'Ț' => b'T',
        'ț' => b't',
        '\u{100}'..='\u{17F}' => EXTENDED_A[(u32::from(character) - 0x100) as usize],
        _ => b'?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_have_shapes_and_more_letters_are_wider() {
        let (short, long) = (Lettering::of("l"), Lettering::of("Müller"));
        assert!(short.width > 50.0 && short.width < 400.0, "{}", short.width);
        assert!(long.width > 2000.0 && long.width < 4000.0, "{}", long.width);
        assert!(Lettering::of("").path.elements().is_empty());
    }

    #[test]
    fn letters_stand_upright_on_the_baseline() {
        let bounds = Lettering::of("H").path.bounding_box();
        assert!(bounds.y0.abs() < 5.0 && bounds.y1 > 650.0 && bounds.y1 < 800.0, "{bounds:?}");
    }

    #[test]
    fn names_beyond_western_europe_stay_readable() {
        let shown: Vec<u8> = "Łukasz Żółty, Škoda, Ağaoğlu, Țîrț, Ю".chars().map(windows_1252).collect();
        assert_eq!(shown, b"Lukasz Z\xF3lty, \x8Akoda, Agaoglu, T\xEErt, ?");
    }
}
