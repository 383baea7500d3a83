//! What may be chosen about capture, and the limits that hold in any case (INV-13).

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The archival standard the PDF claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PdfA {
    /// PDF/A-2b (ISO 19005-2).
    #[default]
    #[serde(rename = "2b")]
    A2b,
    /// PDF/A-1b (ISO 19005-1).
    #[serde(rename = "1b")]
    A1b,
    /// Plain PDF.
    #[serde(rename = "off")]
    Off,
}

/// How page images are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// As faithful as the source.
    #[default]
    Exact,
    /// The text sharp and without loss, the rest coarse: a fraction of the bytes.
    Compact,
}

/// What scanner and light added to a page, and what of it is taken off: borders, punch holes, specks, shadows and what
/// shines through from the back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clean {
    /// Nothing.
    Off,
    /// It is taken off the copy that is read; the page's image stays as it was scanned.
    #[default]
    Reading,
    /// It is taken off the page's image too.
    Shown,
}

/// What may be chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Tesseract languages joined by `+`, for example `eng+deu`.
    pub languages: String,
    /// The archival standard.
    pub pdfa: PdfA,
    /// How page images are stored.
    pub profile: Profile,
    /// What is cleaned of each page.
    pub clean: Clean,
    /// A file of passwords to try on locked PDFs, one a line. It is read anew whenever a file is found locked, so that
    /// a password added later helps at the next attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passwords_file: Option<PathBuf>,
    /// Keep blank pages in the document instead of setting them aside.
    pub keep_blank_pages: bool,
    /// The limits.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            languages: "eng".into(),
            pdfa: PdfA::default(),
            profile: Profile::default(),
            clean: Clean::default(),
            passwords_file: None,
            keep_blank_pages: false,
            limits: Limits::default(),
        }
    }
}

/// How much is done with one page. A page whose processing fails is tried again with less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// Everything.
    #[default]
    Whole,
    /// It is made upright and straight, but not read.
    Unread,
    /// It is decoded, and coded for the PDF as it lies.
    AsScanned,
}

/// The limits. Reaching one of a file is a [`Failure`](platen_model::Failure) with its name in the message; reaching
/// one of a page leaves its document without that page's text or image, and a note with its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest input file, in bytes.
    pub file_bytes: u64,
    /// Most pages in one input.
    pub pages: u32,
    /// Most pixels on one page.
    pub page_pixels: u64,
    /// Longest time for one page, or one other request to a worker, in seconds. A page that fails is tried again
    /// with less to do, and may take as long once more.
    pub page_seconds: u64,
    /// Most words on one page.
    pub page_words: u32,
    /// Most pages of one capture that may fail. With more, it is no document with a gap but a broken file.
    pub failed_pages: u32,
    /// Address space of one worker, in MiB.
    pub worker_memory_mb: u64,
    /// Pages after which a worker is replaced by a fresh one.
    pub worker_pages: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 2 << 30,
            pages: 5_000,
            page_pixels: 250_000_000,
            page_seconds: 120,
            page_words: 20_000,
            failed_pages: 20,
            worker_memory_mb: 4_096,
            worker_pages: 500,
        }
    }
}

impl Limits {
    /// The deadline of one request.
    pub fn deadline(&self) -> Duration {
        Duration::from_secs(self.page_seconds)
    }
}
