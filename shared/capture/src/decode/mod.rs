//! Bytes of a file to pictures, one page at a time.
//!
//! A [`Document`] is an open file. [`Document::inspect`] says what it is, from its bytes alone, and refuses what no
//! page could be made of: it reads headers and directories, no pixels. [`Document::page`] decodes one page without
//! touching the others. Both hold the limits *before* they allocate, and both say precisely why they refuse (the classes of
//! [`FailureClass`]): a person has to decide by that whether to scan again.
//!
//! The danger: every byte here is hostile. A decoder that panics is caught and becomes `corrupt`; one that
//! crashes or starves takes the worker with it, which the supervisor names. Nothing here writes.

mod colours;
mod document;
mod ending;
mod exif;
mod fax;
mod frames;
mod inflate;
mod jpeg;
mod jpeg2000;
mod pdf;
pub(crate) mod pdf_annotations;
mod pdf_content;
mod pdf_features;
mod pdf_fields;
mod pdf_image;
mod pdf_layout;
mod pdf_letters;
mod pdf_pages;
mod pdf_source;
mod pdf_text;
mod picture;
mod png;
mod still;
mod tiff;
mod tiff_directory;
mod tiff_rows;
mod tiff_samples;
mod tiff_source;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use platen_model::{Failure, FailureClass, Stage};

use crate::Kind;
use crate::options::Limits;
use crate::passwords::Passwords;
pub use document::{Desk, Document, Makeup};
pub use ending::Ending;
pub(crate) use pdf::{Open as OpenPdf, decoded_within_limit};
pub(crate) use pdf_source::leads_away;
pub(crate) use pdf_text::lacking as lacking_words;
pub use picture::{Chroma, Original, Picture, Samples};

/// How many bytes of a file may come before `%PDF-` (ISO 32000-1, note to 7.5.2, and every reader since).
const PDF_LEAD_BYTES: usize = 1_024;

/// Why a file or page cannot be decoded; a [`Failure`] that does not know its stage yet.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    class: FailureClass,
    message: String,
}

impl Fault {
    fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }

    fn corrupt(message: impl Into<String>) -> Self {
        Self::new(FailureClass::Corrupt, message)
    }

    pub(crate) fn at(self, stage: Stage) -> Failure {
        Failure::new(self.class, stage, self.message)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        let class = match error.kind() {
            io::ErrorKind::UnexpectedEof => FailureClass::Truncated,
            _ => FailureClass::Internal,
        };
        Self::new(class, format!("cannot read the file: {error}"))
    }
}

/// The format of a file, by the bytes that begin it: two kilobytes are enough. Says what it looks like instead, where
/// it is none that is read.
///
/// Nothing is parsed here, so this alone may be asked outside a worker.
pub fn kind_of(head: &[u8]) -> Result<Kind, Failure> {
    sniff(head).map_err(|fault| fault.at(Stage::Inspect))
}

/// The format, by the bytes that begin it.
fn sniff(head: &[u8]) -> Result<Kind, Fault> {
    let pdf = || head.windows(5).take(PDF_LEAD_BYTES).any(|bytes| bytes == b"%PDF-");
    match head {
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Kind::Tiff),
        [0xff, 0xd8, 0xff, ..] => Ok(Kind::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(Kind::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Kind::Webp),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xff, 0x4f, 0xff, 0x51, ..] => Ok(Kind::Jpeg2000),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Kind::Gif),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Ok(Kind::Bmp),
        _ if pdf() => Ok(Kind::Pdf),
        _ => Err(Fault::new(FailureClass::Unsupported, unsupported(head))),
    }
}

/// What the bytes look like, for the person who wonders why we do not read them.
fn unsupported(head: &[u8]) -> String {
    let seen = match head {
        [_, _, _, _, b'f', b't', b'y', b'p', b'h' | b'm' | b'a', ..] => {
            // No safe decoder of HEVC is under a licence that we could pass on: what exists is C++ (libheif) or
            // AGPL (the `heic` crate).
            return "it is a HEIC or AVIF picture, as telephones take them, which is not read; let the camera \
                    save JPEG (on an iPhone: Settings, Camera, Formats, Most Compatible), or convert it to JPEG"
                .into();
        }
        [b'P', b'K', 3, 4, ..] => "a ZIP archive or an office document",
        [0xd0, 0xcf, 0x11, 0xe0, ..] => "an old office document",
        [b'{', b'\\', b'r', b't', b'f', ..] => "a rich text document",
        [b'%', b'!', b'P', b'S', ..] => "PostScript",
        [0x97, b'J', b'B', b'2', ..] => "a JBIG2 picture",
        _ if head.trim_ascii_start().starts_with(b"<") => "HTML or XML",
        _ if head.iter().all(|&byte| byte >= b' ' || byte.is_ascii_whitespace()) => "text",
        _ => "of no kind that we know",
    };
    format!("it is {seen}, not TIFF, JPEG, JPEG 2000, PNG, WebP, BMP, GIF or PDF")
}

/// Opens a PDF that needs no password, and nothing else.
pub(crate) fn open_pdf(file: std::fs::File) -> Result<OpenPdf, Fault> {
    guarded(|| {
        let head = document::head(&file)?;
        match sniff(&head) {
            Ok(Kind::Pdf) => OpenPdf::new(file, &Passwords::default()),
            _ if head.is_empty() => Err(Fault::new(FailureClass::Empty, "the file has no bytes")),
            _ => Err(Fault::corrupt("this is no PDF that can be read")),
        }
    })
}

fn within_file_limit(length: u64, limits: &Limits) -> Result<(), Fault> {
    if length <= limits.file_bytes {
        return Ok(());
    }
    let message =
        format!("{length} bytes are over the limit of {} (capture.limits.file_bytes)", limits.file_bytes);
    Err(Fault::new(FailureClass::TooLarge, message))
}

/// Holds a picture's size to the limit, before memory is taken for it.
fn within_pixel_limit(width: u64, height: u64, limits: &Limits) -> Result<(), Fault> {
    if width == 0 || height == 0 {
        return Err(Fault::corrupt(format!("a page of {width} x {height} pixels")));
    }
    if width.saturating_mul(height) <= limits.page_pixels {
        return Ok(());
    }
    let message = format!(
        "a page of {width} x {height} pixels is over the limit of {} (capture.limits.page_pixels)",
        limits.page_pixels
    );
    Err(Fault::new(FailureClass::TooLarge, message))
}

fn within_page_limit(pages: u64, limits: &Limits) -> Result<u32, Fault> {
    match u32::try_from(pages) {
        Ok(0) => Err(Fault::new(FailureClass::NoPages, "the file opens but holds no page")),
        Ok(pages) if pages <= limits.pages => Ok(pages),
        _ => Err(Fault::new(
            FailureClass::TooLarge,
            format!("more pages than the limit of {} (capture.limits.pages)", limits.pages),
        )),
    }
}

/// Runs a decoder; its panic says that the bytes were not what it was made for.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // Nothing that the closure changes is used after a panic: it only reads the file.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        Err(Fault::corrupt(format!("the decoder gave up: {said}")))
    })
}

#[cfg(test)]
mod tests;
