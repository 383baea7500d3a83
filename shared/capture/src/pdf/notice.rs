//! A page that stands where one is missing, and says so in letters.
//!
//! A document must never look complete when it is not. So a page that cannot be decoded leaves a page in its place
//! which nobody takes for a scan: a heading, why it is there, and where the original is. It holds no words that
//! could be searched or classified, for they are ours and not the document's.

use hayro::hayro_interpret::InterpreterSettings;
use hayro::hayro_syntax::Pdf;
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::{PixmapSettings, RenderCache, RenderSettings};
use image::{GrayImage, Luma};
use pdf_writer::{Content, Name, Rect, Ref, Str};
use platen_model::{Failure, FailureClass, Lack, PageRecord, Stage};

use super::lettering::windows_1252;
use crate::decode::{Chroma, Samples};
use crate::raster::{FinishedPage, encode};

/// The size of the page in points: A4.
const SIZE: (f32, f32) = (595.0, 842.0);
/// Its resolution.
const DPI: u32 = 150;
/// The margin in points.
const MARGIN: f32 = 72.0;
/// The size of the heading in points.
const HEADING: f32 = 20.0;
/// The size of the paragraphs in points.
const PLAIN: f32 = 12.0;
/// The width of a usual letter as a part of the font's size; lines are broken by it.
const LETTER_WIDTH: f32 = 0.52;
/// The most characters of one paragraph.
const CHARACTERS_MAX: usize = 600;

/// Makes the page: a heading, then paragraphs.
///
/// # Errors
///
/// A fault of our own.
pub fn notice(lines: &[String]) -> Result<FinishedPage, Failure> {
    let (image, bytes) = encode::plain(&Samples::Bitonal(drawn(written(lines))?), Chroma::Full)?;
    let record = PageRecord {
        width_px: image.width,
        height_px: image.height,
        dpi: DPI,
        lacks: Some(Lack::Image),
        ..PageRecord::default()
    };
    Ok(FinishedPage { record, image, bytes })
}

/// The page as a PDF in the renderer's own font.
fn written(lines: &[String]) -> Vec<u8> {
    let [catalog, pages, page, contents, font] = [1, 2, 3, 4, 5].map(Ref::new);
    let mut content = Content::new();
    let mut baseline = SIZE.1 - MARGIN;
    for (index, line) in lines.iter().enumerate() {
        let size = if index == 0 { HEADING } else { PLAIN };
        let width = ((SIZE.0 - 2.0 * MARGIN) / (size * LETTER_WIDTH)) as usize;
        for row in broken(line, width) {
            let row: Vec<u8> = row.chars().map(windows_1252).collect();
            baseline -= size * 1.4;
            content.begin_text().set_font(Name(b"F1"), size).next_line(MARGIN, baseline);
            content.show(Str(&row)).end_text();
        }
        baseline -= size;
    }
    let mut pdf = pdf_writer::Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    let mut writer = pdf.page(page);
    writer.parent(pages).media_box(Rect::new(0.0, 0.0, SIZE.0, SIZE.1)).contents(contents);
    writer.resources().fonts().pair(Name(b"F1"), font);
    drop(writer);
    pdf.stream(contents, &content.finish());
    pdf.type1_font(font).base_font(Name(b"Helvetica")).encoding_predefined(Name(b"WinAnsiEncoding"));
    pdf.finish()
}

/// A paragraph in rows of at most `width` characters; a longer word is cut.
fn broken(paragraph: &str, width: usize) -> Vec<String> {
    let shown: String = paragraph.chars().filter(|c| !c.is_control()).take(CHARACTERS_MAX).collect();
    let mut rows: Vec<String> = Vec::new();
    for word in shown.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for piece in letters.chunks(width.max(1)) {
            let piece: String = piece.iter().collect();
            match rows.last_mut() {
                Some(row) if row.chars().count() + 1 + piece.chars().count() <= width => {
                    row.push(' ');
                    row.push_str(&piece);
                }
                _ => rows.push(piece),
            }
        }
    }
    rows
}

/// The page in black and white.
fn drawn(pdf: Vec<u8>) -> Result<GrayImage, Failure> {
    let failed = |message: &str| Failure::new(FailureClass::Internal, Stage::Page, message);
    let pdf = Pdf::new(pdf).map_err(|_| failed("the notice cannot be opened"))?;
    let page = pdf.pages().first().ok_or_else(|| failed("the notice has no page"))?;
    let scale = DPI as f32 / 72.0;
    let pixels = hayro::render(
        page,
        &RenderCache::new(),
        &InterpreterSettings::default(),
        &RenderSettings::default(),
        &PixmapSettings { x_scale: scale, y_scale: scale, bg_color: WHITE },
    );
    let (width, height) = (u32::from(pixels.width()), u32::from(pixels.height()));
    let samples = pixels.data_as_u8_slice();
    // Black on opaque white: any of its colours is its lightness.
    Ok(GrayImage::from_fn(width, height, |x, y| {
        let at = (y as usize * width as usize + x as usize) * 4;
        Luma([if samples.get(at).is_some_and(|&sample| sample < 128) { 0 } else { 255 }])
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_broken_between_words_and_within_words_that_are_too_long() {
        assert_eq!(broken("the original is kept", 12), ["the original", "is kept"]);
        assert_eq!(broken("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
        assert_eq!(broken("", 5), Vec::<String>::new());
    }

    #[test]
    fn a_notice_has_letters_but_no_words() {
        let lines = ["Page 2 could not be shown", "It is cut off."].map(String::from);
        let page = notice(&lines).expect("it is made");
        assert_eq!((page.record.lacks, page.record.words.len()), (Some(Lack::Image), 0));
        let drawn = drawn(written(&lines)).expect("it is drawn");
        assert_eq!((page.image.width, page.image.height), drawn.dimensions());
        let black = drawn.pixels().filter(|pixel| pixel[0] == 0).count();
        assert!((500..50_000).contains(&black), "{black} pixels are black");
    }
}
