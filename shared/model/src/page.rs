//! What is known of a page after it was straightened and read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::joining;

/// The version of the page-text file format written by this release.
pub const PAGE_TEXT_VERSION: u32 = 1;

/// A box in pixels of the output page, origin top left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub w: u32,
    /// Height.
    pub h: u32,
}

/// One recognised word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Word {
    /// The word's characters in logical order.
    pub text: String,
    /// The recogniser's confidence, 0 to 1.
    pub confidence: f32,
    /// Where it stands on the output page.
    #[serde(flatten)]
    pub rect: Rect,
    /// The text line it belongs to, counted from 0 on its page in reading order.
    pub line: u32,
    /// The block (column, paragraph group, table cell) it belongs to, from 0 on its page in reading order.
    pub block: u32,
}

impl Word {
    /// Its words, each with its share of the box.
    fn apart(self) -> Vec<Self> {
        let characters = self.text.chars().count().max(1) as u64;
        let across = |at: usize| (u64::from(self.rect.w) * at as u64 / characters) as u32;
        let mut words = Vec::new();
        for text in self.text.split_whitespace() {
            // Where it stands in the text, in characters.
            let begin = self.text[..text.as_ptr() as usize - self.text.as_ptr() as usize].chars().count();
            let (left, right) = (across(begin), across(begin + text.chars().count()));
            let rect = Rect { x: self.rect.x.saturating_add(left), w: right - left, ..self.rect };
            words.push(Self { text: text.to_owned(), rect, ..self });
        }
        words
    }
}

/// A bar code found on a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Barcode {
    /// The symbology by its usual name: `code-39`, `code-128`, `qr`, `data-matrix`, or `patch` for a patch code.
    pub symbology: String,
    /// The decoded text; for a patch code its name, for example `T`.
    pub text: String,
    /// Where it stands.
    #[serde(flatten)]
    pub rect: Rect,
}

/// A box to tick that is drawn on a page.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CheckBox {
    /// Whether there is a mark in it.
    pub ticked: bool,
    /// How certain that is, 0.5 to 1: a faint speck in a box may be the end of a pen's stroke.
    pub confidence: f32,
    /// Where it stands.
    #[serde(flatten)]
    pub rect: Rect,
}

/// Where a page's words come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TextSource {
    /// They were recognised on the page's image.
    #[default]
    Recognised,
    /// The file brought them: the page was made by a program, and its words are exact.
    Embedded,
}

/// What a page of a document lacks because it could not be processed as others are. Its notes say why, and a person
/// has to look at its document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// Its words: the image is there, but nothing on it was read.
    Text,
    /// Its image and its words: it could not be decoded. What stands in its place says so in letters.
    Image,
    /// What it stands for is in parts of the file that are no pages (attached files, or a form that only a script draws), or
    /// was not found in it at all, or a part of it could not be decoded.
    Content,
}

/// What became of a page of an incoming PDF, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Incoming {
    /// It stands in the PDF as it came: its own content, with text added where it has none. Otherwise it is shown as
    /// a picture, made upright and straight.
    pub kept: bool,
    /// Why, as a sentence.
    pub reason: String,
}

/// What was seen of the sheet in a photo of one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Photo {
    /// How sure it is that the sheet's edges were found, 0 to 1; 0 where none were seen.
    pub confidence: f32,
    /// The perspective was taken out. Otherwise the page is the photo as it came.
    pub corrected: bool,
}

/// One finished page: its measures and its words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PageRecord {
    /// Position in its document, from 0.
    pub index: u32,
    /// Width of the output page in pixels.
    pub width_px: u32,
    /// Height of the output page in pixels.
    pub height_px: u32,
    /// Resolution of the output page, used for its size in points.
    pub dpi: u32,
    /// The clockwise turn (0, 90, 180, 270) that was applied to make it upright.
    pub rotation_deg: u32,
    /// The clockwise rotation found in the input, in degrees; what remained after `rotation_deg`.
    pub skew_deg: f32,
    /// No ink but dust: the page was not recognised.
    pub blank: bool,
    /// Mean of the words' confidences weighted by their length, 0 to 1; 0 where there are no words. Where much of the text was
    /// not read, that part counts with none.
    pub mean_confidence: f32,
    /// The words in reading order.
    pub words: Vec<Word>,
    /// Where the words come from.
    #[serde(default)]
    pub text_source: TextSource,
    /// How well the page could be read, 0 to 1, judged by its image and its words; 0 where nobody judged it.
    #[serde(default)]
    pub quality: f32,
    /// What it lacks, where it could not be processed as it should.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lacks: Option<Lack>,
    /// For a page of a PDF: what became of it, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incoming: Option<Incoming>,
    /// For a photo of a sheet, of which the four edges were looked for; absent for what was scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub photo: Option<Photo>,
    /// Where it came from; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePage>,
    /// The bar codes.
    #[serde(default)]
    pub barcodes: Vec<Barcode>,
    /// The boxes to tick that are drawn on it, from top to bottom; those that were read as characters are words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check_boxes: Vec<CheckBox>,
    /// What a person should know about this page's quality, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The processor time each stage took, in milliseconds, by the stage's name.
    #[serde(default)]
    pub timings_ms: BTreeMap<String, f64>,
}

impl PageRecord {
    /// The page's text in reading order: one line per text line, an empty line between blocks. Words are parted by
    /// blanks where their script has them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut previous: Option<&Word> = None;
        for word in &self.words {
            match previous {
                None => {}
                Some(last) if last.block != word.block => text.push_str("\n\n"),
                Some(last) if last.line != word.line => text.push('\n'),
                Some(last) if joining::is_blank_between(last, word) => text.push(' '),
                Some(_) => {}
            }
            text.push_str(&word.text);
            previous = Some(word);
        }
        if previous.is_some() {
            text.push('\n');
        }
        text
    }
}

/// The text of a whole document: the `page_text` part, as versioned JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PageText {
    /// [`PAGE_TEXT_VERSION`] of the writer.
    pub version: u32,
    /// The pages in order.
    pub pages: Vec<PageRecord>,
    /// The pages that were left out. They remain in the original, from which a person can restore them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set_aside: Vec<SetAside>,
}

/// A page that is in no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SetAside {
    /// Which page it is.
    #[serde(flatten)]
    pub page: SourcePage,
    /// Why it was left out.
    #[serde(default)]
    pub why: Aside,
}

/// Why a page was left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Aside {
    /// Nothing is on it.
    #[default]
    Blank,
    /// It only separates: the document that follows it begins there.
    Sheet,
    /// It is the blank back of such a sheet.
    SheetBack,
}

impl Aside {
    /// What it is, as it follows "the page is".
    pub fn as_words(self) -> &'static str {
        match self {
            Self::Blank => "blank",
            Self::Sheet => "a separator",
            Self::SheetBack => "the back of a separator",
        }
    }
}

/// A page as it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourcePage {
    /// The file among the capture's sources, from 0.
    pub source: u32,
    /// Its position in that file, from 0.
    pub page: u32,
}

impl PageText {
    /// The page text of these pages, numbered from 0 in their order.
    pub fn new(mut pages: Vec<PageRecord>) -> Self {
        for (index, page) in (0u32..).zip(&mut pages) {
            page.index = index;
        }
        Self { version: PAGE_TEXT_VERSION, pages, set_aside: Vec::new() }
    }

    /// Whether nothing is on any of its pages, of which it has at least one.
    pub fn is_blank(&self) -> bool {
        !self.pages.is_empty() && self.pages.iter().all(|page| page.blank)
    }

    /// The same with each word by itself: one that came with blanks in it is divided, and its box by its characters.
    /// Programs outside hold phrases for words.
    pub fn words_apart(mut self) -> Self {
        for page in &mut self.pages {
            if page.words.iter().any(|word| word.text.is_empty() || word.text.contains(char::is_whitespace)) {
                page.words = page.words.drain(..).flat_map(Word::apart).collect();
            }
        }
        self
    }

    /// The document as plain text: reading order, a form feed between pages.
    pub fn text(&self) -> String {
        self.pages.iter().map(PageRecord::text).collect::<Vec<_>>().join("\u{c}")
    }

    /// The mean confidence over all pages that hold words, weighted by their number; 0 where there are none. It is from 0
    /// to 1 whatever the pages say, for they are as their sender wrote them.
    pub fn mean_confidence(&self) -> f32 {
        let words: usize = self.pages.iter().map(|page| page.words.len()).sum();
        let sum: f32 =
            self.pages.iter().map(|page| from_0_to_1(page.mean_confidence) * page.words.len() as f32).sum();
        if words == 0 { 0.0 } else { from_0_to_1(sum / words as f32) }
    }
}

/// The nearest number from 0 to 1; 0 for what is no number.
fn from_0_to_1(number: f32) -> f32 {
    if number.is_nan() { 0.0 } else { number.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_blanks_in_it_is_taken_apart_with_its_box() {
        let word = |text: &str, x, w| Word {
            text: text.into(),
            confidence: 0.9,
            rect: Rect { x, y: 5, w, h: 20 },
            line: 3,
            block: 1,
        };
        let apart = |words: Vec<Word>| {
            PageText::new(vec![PageRecord { words, ..PageRecord::default() }])
                .words_apart()
                .pages
                .remove(0)
                .words
        };
        assert_eq!(
            apart(vec![
                word("Total", 0, 50),
                word("due  EUR 5", 100, 100),
                word(" ", 300, 10),
                word("", 310, 0)
            ]),
            [word("Total", 0, 50), word("due", 100, 30), word("EUR", 150, 30), word("5", 190, 10)]
        );
        assert_eq!(apart(vec![word("größer als", u32::MAX, 0)]).len(), 2);
    }

    fn word(text: &str, line: u32, block: u32) -> Word {
        Word { text: text.into(), confidence: 0.9, rect: Rect::default(), line, block }
    }

    #[test]
    fn text_keeps_lines_blocks_and_pages_apart() {
        let page = |words| PageRecord { words, ..PageRecord::default() };
        let text = PageText::new(vec![
            page(vec![word("Dear", 0, 0), word("Sir,", 0, 0), word("we", 1, 0), word("Total", 2, 1)]),
            page(vec![]),
            page(vec![word("End", 0, 0)]),
        ]);
        assert_eq!(text.text(), "Dear Sir,\nwe\n\nTotal\n\u{c}\u{c}End\n");
        assert_eq!(text.pages[2].index, 2);
    }

    #[test]
    fn a_mean_confidence_is_from_0_to_1_whatever_the_pages_say() {
        let mean = |pages: &[(f32, usize)]| {
            let page = |(mean_confidence, words): &(f32, usize)| PageRecord {
                mean_confidence: *mean_confidence,
                words: vec![word("a", 0, 0); *words],
                ..PageRecord::default()
            };
            PageText::new(pages.iter().map(page).collect()).mean_confidence()
        };
        assert_eq!(mean(&[(0.5, 1), (1.0, 1), (0.9, 0)]), 0.75);
        assert_eq!(mean(&[(0.5, 0)]), 0.0);
        for (said, expected) in
            [(3e38, 1.0), (f32::INFINITY, 1.0), (-3e38, 0.0), (f32::NEG_INFINITY, 0.0), (f32::NAN, 0.0)]
        {
            assert_eq!(mean(&[(said, 2)]), expected, "{said}");
        }
        assert_eq!(mean(&[(f32::NAN, 1), (1.0, 1)]), 0.5, "the other page counts as it did");
    }
}
