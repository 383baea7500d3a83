//! From a picture as the scanner made it to an upright, straight page with its words.

use std::fs::File;

use platen_model::{Failure, FailureClass, PageRecord, Stage};

use crate::Kind;
use crate::inspection::PageImage;
use crate::ocr::Engines;
use crate::options::Options;

/// One finished page.
#[derive(Debug)]
pub struct FinishedPage {
    /// Its measures and words.
    pub record: PageRecord,
    /// The measures of its image.
    pub image: PageImage,
    /// Its image, coded as `image` says.
    pub bytes: Vec<u8>,
}

/// Decodes, orients, straightens and reads one page, and codes its image for the PDF.
pub fn finish_page(
    _input: &File,
    _kind: Kind,
    _page: u32,
    _options: &Options,
    _engines: &mut Engines,
) -> Result<FinishedPage, Failure> {
    Err(Failure::new(FailureClass::Unsupported, Stage::Page, "no page processing yet"))
}
