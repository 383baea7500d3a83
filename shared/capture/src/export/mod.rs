//! A document's text in the formats that others read.
//!
//! All of them are made from [`PageText`] alone, the same bytes each time: [`write`] serves `platen-agent process` and
//! a server that is asked for a document's text. Boxes are in pixels of the page's image, as they are in ours.

mod alto;
mod hocr;

use std::io::{self, Write};

use platen_model::PageText;
use serde::{Deserialize, Serialize};

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// [`PageText`] as JSON.
    Json,
    /// hOCR 1.2: XHTML with the boxes in `title`.
    Hocr,
    /// ALTO 4, an XML format of libraries and archives.
    Alto,
    /// Plain text: a line for each line, a form feed between pages.
    Txt,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Json, Self::Hocr, Self::Alto, Self::Txt];

    /// The format of this name: `json`, `hocr`, `alto` or `txt`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Hocr => "hocr",
            Self::Alto => "alto",
            Self::Txt => "txt",
        }
    }

    /// The media type.
    pub fn mime(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Hocr => "application/xhtml+xml; charset=utf-8",
            Self::Alto => "application/xml; charset=utf-8",
            Self::Txt => "text/plain; charset=utf-8",
        }
    }

    /// How the names of files end that hold it.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Hocr => "hocr",
            Self::Alto => "alto.xml",
            Self::Txt => "txt",
        }
    }
}

/// Writes a document's text. `file_name` is the name its image is known by.
///
/// # Errors
///
/// What `target` answers.
pub fn write(text: &PageText, file_name: &str, format: Format, target: &mut impl Write) -> io::Result<()> {
    match format {
        Format::Json => serde_json::to_writer(target, text)?,
        Format::Hocr => hocr::write(text, file_name, target)?,
        Format::Alto => alto::write(text, file_name, target)?,
        Format::Txt => target.write_all(text.text().as_bytes())?,
    }
    Ok(())
}

/// Text as it stands in XML, in elements and in attributes. Characters that XML 1.0 has no way to write become U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The box around boxes, which are not empty.
fn around(words: &[platen_model::Word]) -> platen_model::Rect {
    let rects = || words.iter().map(|word| word.rect);
    let x = rects().map(|rect| rect.x).min().unwrap_or_default();
    let y = rects().map(|rect| rect.y).min().unwrap_or_default();
    let right = rects().map(|rect| rect.x + rect.w).max().unwrap_or_default();
    let bottom = rects().map(|rect| rect.y + rect.h).max().unwrap_or_default();
    platen_model::Rect { x, y, w: right - x, h: bottom - y }
}

#[cfg(test)]
mod tests;
