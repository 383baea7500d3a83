//! Paper: text, lines and shapes set on a page, at the printer's resolution.
//!
//! A [`Sheet`] grows from top to bottom. Whatever is set on it is also noted as text, in reading order, so that
//! the ground truth cannot differ from the picture. Lengths are in millimetres, type sizes in points.

use std::collections::BTreeMap;

use ab_glyph::{Font, FontVec, PxScale};
use image::{Rgb, RgbImage};
use imageproc::drawing::{draw_filled_circle_mut, draw_filled_rect_mut, draw_text_mut, text_size};
use imageproc::rect::Rect;
use platen_testdata::scanner::{PAPER, SHEET_DPI};

/// Millimetres in an inch.
const INCH_MM: f32 = 25.4;
/// The colour of ordinary printing.
pub(crate) const BLACK: Rgb<u8> = Rgb([28, 28, 30]);
/// Line spacing as a multiple of the type size.
const LEADING: f32 = 1.28;

/// A cut of type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Face {
    Sans,
    SansBold,
    Serif,
    SerifBold,
    Mono,
}

/// The type cases, read once.
pub(crate) struct Fonts(BTreeMap<Face, FontVec>);

impl Fonts {
    /// Reads the fonts from Debian's package; nothing of them is copied into the project.
    pub(crate) fn load() -> Result<Self, String> {
        let files = [
            (Face::Sans, "LiberationSans-Regular.ttf"),
            (Face::SansBold, "LiberationSans-Bold.ttf"),
            (Face::Serif, "LiberationSerif-Regular.ttf"),
            (Face::SerifBold, "LiberationSerif-Bold.ttf"),
            (Face::Mono, "LiberationMono-Regular.ttf"),
        ];
        let mut fonts = BTreeMap::new();
        for (face, file) in files {
            let path = format!("/usr/share/fonts/truetype/liberation/{file}");
            let bytes = std::fs::read(&path).map_err(|error| {
                format!("cannot read {path}: {error}; install the package fonts-liberation")
            })?;
            let font = FontVec::try_from_vec(bytes).map_err(|error| format!("{path}: {error}"))?;
            fonts.insert(face, font);
        }
        Ok(Self(fonts))
    }
}

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) face: Face,
    pub(crate) size_pt: f32,
    pub(crate) ink: Rgb<u8>,
}

impl Style {
    /// Black type.
    pub(crate) const fn new(face: Face, size_pt: f32) -> Self {
        Self { face, size_pt, ink: BLACK }
    }

    /// The same type in another colour.
    pub(crate) const fn inked(self, ink: Rgb<u8>) -> Self {
        Self { ink, ..self }
    }

    fn line_mm(self) -> f32 {
        self.size_pt * LEADING * INCH_MM / 72.0
    }
}

/// Where text stands between the given edges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Align {
    /// Starts at the given place.
    Left,
    /// Ends at the given place.
    Right,
}

/// One column of a row of cells.
pub(crate) type Column = (f32, Align);

/// One page.
pub(crate) struct Sheet<'f> {
    /// The printed page.
    pub(crate) image: RgbImage,
    /// Where the next line begins, from the top edge.
    pub(crate) y: f32,
    /// The left edge of the text.
    pub(crate) left: f32,
    /// The right edge of the text.
    pub(crate) right: f32,
    fonts: &'f Fonts,
    lines: Vec<String>,
}

impl<'f> Sheet<'f> {
    /// An A4 page (ISO 216).
    pub(crate) fn a4(fonts: &'f Fonts) -> Self {
        Self::new(fonts, 210.0, 297.0, 22.0)
    }

    /// A US Letter page.
    pub(crate) fn letter(fonts: &'f Fonts) -> Self {
        Self::new(fonts, 215.9, 279.4, 23.0)
    }

    /// A page of any size with equal margins on all sides.
    pub(crate) fn new(fonts: &'f Fonts, width: f32, height: f32, margin: f32) -> Self {
        let image = RgbImage::from_pixel(px(width) as u32, px(height) as u32, PAPER);
        Self { image, y: margin, left: margin, right: width - margin, fonts, lines: Vec::new() }
    }

    /// The text set so far: an empty line between blocks.
    pub(crate) fn text(&self) -> String {
        let mut text = self.lines.join("\n").trim().to_owned();
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// Leaves white space and begins a new block.
    pub(crate) fn gap(&mut self, height: f32) {
        self.y += height;
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    /// One line from the left edge.
    pub(crate) fn line(&mut self, style: Style, text: &str) {
        self.row(style, &[(self.left, Align::Left)], &[text]);
    }

    /// One line that begins at a place.
    pub(crate) fn indented(&mut self, style: Style, x: f32, text: &str) {
        self.row(style, &[(x, Align::Left)], &[text]);
    }

    /// One line between the edges.
    pub(crate) fn centred(&mut self, style: Style, text: &str) {
        let x = (self.left + self.right - self.width(style, text)) / 2.0;
        self.row(style, &[(x, Align::Left)], &[text]);
    }

    /// Cells on one line, read across.
    pub(crate) fn row(&mut self, style: Style, columns: &[Column], cells: &[&str]) {
        for ((x, align), cell) in columns.iter().zip(cells) {
            let x = if *align == Align::Right { x - self.width(style, cell) } else { *x };
            self.draw(style, x, self.y, cell);
        }
        let cells: Vec<&str> = cells.iter().copied().filter(|cell| !cell.is_empty()).collect();
        self.lines.push(cells.join(" "));
        self.y += style.line_mm();
    }

    /// A paragraph, broken into lines between the edges, with white space after it.
    pub(crate) fn paragraph(&mut self, style: Style, text: &str) {
        let space = self.width(style, "n n") - self.width(style, "nn");
        let mut line = String::new();
        let mut used = 0.0;
        for word in text.split_whitespace() {
            let width = self.width(style, word);
            if !line.is_empty() && used + space + width > self.right - self.left {
                self.line(style, &std::mem::take(&mut line));
                used = 0.0;
            }
            if !line.is_empty() {
                line.push(' ');
                used += space;
            }
            line.push_str(word);
            used += width;
        }
        if !line.is_empty() {
            self.line(style, &line);
        }
        self.gap(style.line_mm() * 0.55);
    }

    /// Labels with their values, one pair on each line; the values start at `column`.
    pub(crate) fn pairs(&mut self, style: Style, column: f32, pairs: &[(&str, &str)]) {
        for (label, value) in pairs {
            self.row(style, &[(self.left, Align::Left), (column, Align::Left)], &[label, value]);
        }
    }

    /// A horizontal line between two places.
    pub(crate) fn rule(&mut self, from: f32, to: f32) {
        self.fill(from, self.y, to - from, 0.25, BLACK);
        self.y += 1.2;
    }

    /// The outline of a box whose top edge is at `y`.
    pub(crate) fn outline(&mut self, x: f32, y: f32, width: f32, height: f32) {
        let stroke = 0.22;
        self.fill(x, y, width, stroke, BLACK);
        self.fill(x, y + height, width + stroke, stroke, BLACK);
        self.fill(x, y, stroke, height, BLACK);
        self.fill(x + width, y, stroke, height, BLACK);
    }

    /// A filled rectangle.
    pub(crate) fn fill(&mut self, x: f32, y: f32, width: f32, height: f32, ink: Rgb<u8>) {
        let size = (px(width).max(1) as u32, px(height).max(1) as u32);
        draw_filled_rect_mut(&mut self.image, Rect::at(px(x), px(y)).of_size(size.0, size.1), ink);
    }

    /// A filled disc.
    pub(crate) fn disc(&mut self, x: f32, y: f32, radius: f32, ink: Rgb<u8>) {
        draw_filled_circle_mut(&mut self.image, (px(x), px(y)), px(radius), ink);
    }

    /// A tick in a box, drawn with a pen: down to the lower edge, and up beyond the upper one.
    pub(crate) fn tick(&mut self, x: f32, y: f32, side: f32, ink: Rgb<u8>) {
        let corners = [(0.15, 0.55), (0.42, 0.9), (1.15, -0.2)];
        for stroke in corners.windows(2) {
            let ((from_x, from_y), (to_x, to_y)) = (stroke[0], stroke[1]);
            for step in 0..=60u8 {
                let part = f32::from(step) / 60.0;
                let (along, down) = (from_x + (to_x - from_x) * part, from_y + (to_y - from_y) * part);
                self.disc(x + along * side, y + down * side, 0.22, ink);
            }
        }
    }

    /// A field of a printed form: a small caption in a box, and what was filled in below it.
    pub(crate) fn field(&mut self, x: f32, y: f32, width: f32, caption: &str, value: &str) {
        self.outline(x, y, width, 12.0);
        self.draw(Style::new(Face::Sans, 7.5), x + 1.5, y + 0.9, caption);
        self.draw(Style::new(Face::Sans, 11.0), x + 1.5, y + 5.6, value);
        self.lines.push(caption.to_owned());
        if !value.is_empty() {
            self.lines.push(value.to_owned());
        }
    }

    fn draw(&mut self, style: Style, x: f32, y: f32, text: &str) {
        let font = &self.fonts.0[&style.face];
        draw_text_mut(&mut self.image, style.ink, px(x), px(y), scale(font, style.size_pt), font, text);
    }

    fn width(&self, style: Style, text: &str) -> f32 {
        let font = &self.fonts.0[&style.face];
        let (width, _) = text_size(scale(font, style.size_pt), font, text);
        width as f32 * INCH_MM / SHEET_DPI as f32
    }
}

/// Millimetres to pixels of a sheet.
fn px(mm: f32) -> i32 {
    (mm * SHEET_DPI as f32 / INCH_MM).round() as i32
}

/// The pixel scale of a type size; the font crate counts points at 96 dots per inch.
fn scale(font: &FontVec, size_pt: f32) -> PxScale {
    let points = size_pt * SHEET_DPI as f32 / 96.0;
    font.pt_to_px_scale(points).unwrap_or(PxScale::from(points))
}
