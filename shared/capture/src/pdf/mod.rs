//! The searchable PDF: written, shown, and made ready for a signature.

use std::fs::File;

use platen_model::{Failure, FailureClass, PageRecord, Stage};
use serde::{Deserialize, Serialize};

use crate::inspection::PageImage;
use crate::worker::protocol::{BindInfo, SealInfo};

/// A PDF being written.
#[derive(Debug)]
pub struct Binder {}

impl Binder {
    /// Begins a PDF.
    pub fn begin(_info: BindInfo) -> Self {
        Self {}
    }

    /// Adds a page.
    pub fn add_page(
        &mut self,
        _image: &PageImage,
        _record: &PageRecord,
        _source: File,
    ) -> Result<(), Failure> {
        Err(Failure::new(FailureClass::Unsupported, Stage::Bind, "no PDF writer yet"))
    }

    /// Ends it and answers its bytes.
    pub fn finish(self) -> Result<Vec<u8>, Failure> {
        Err(Failure::new(FailureClass::Unsupported, Stage::Bind, "no PDF writer yet"))
    }
}

/// Where the signature goes in a prepared PDF.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealRoom {
    /// The `/ByteRange`: offset and length of the bytes before and after the signature.
    pub byte_range: [u64; 4],
}

/// A page of a PDF as a PNG of the given width, and the number of pages.
pub fn render(_source: &File, _page: u32, _width_px: u32) -> Result<(Vec<u8>, u32), Failure> {
    Err(Failure::new(FailureClass::Unsupported, Stage::Render, "no renderer yet"))
}

/// The PDF with an incremental update that holds an empty signature, and where to write it.
pub fn prepare_seal(_source: &File, _seal: &SealInfo) -> Result<(Vec<u8>, SealRoom), Failure> {
    Err(Failure::new(FailureClass::Unsupported, Stage::Seal, "no seal yet"))
}
