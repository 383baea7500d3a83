//! What the agent remembers of pages that were set aside: which they were, and how to have them back.
//!
//! `set-aside.json` lies in a document's folder, written before its manifest, where pages were left out of its PDF. It
//! stays here: what the cloud knows of these pages stands in the page text.

use std::io;

use platen_model::{Aside, DocumentId, SetAside, SourcePage};
use serde::{Deserialize, Serialize};

use super::capture::CaptureRecord;
use super::folders::Spool;
use crate::watch::tray::Stack;

/// The file in a document's folder.
pub(super) const ASIDE_FILE: &str = "set-aside.json";

/// The pages that were left out of a document, and how its scan was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AsideRecord {
    /// The pages.
    pub(super) pages: Vec<SetAside>,
    /// Tesseract languages, where its source set them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) languages: Option<String>,
    /// The sides of a stack of paper, where its files are that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stack: Option<Stack>,
}

impl AsideRecord {
    pub(super) fn of(capture: &CaptureRecord, pages: &[SetAside]) -> Option<Self> {
        let (languages, stack) = (capture.languages.clone(), capture.stack);
        (!pages.is_empty()).then(|| Self { pages: pages.to_vec(), languages, stack })
    }
}

/// A document without the blank pages of its scan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlankAside {
    /// The document.
    pub document_id: DocumentId,
    /// The name it came under.
    pub file_name: String,
    /// Its blank pages, where they are in what was scanned.
    pub pages: Vec<SourcePage>,
}

impl Spool {
    pub(super) fn aside(&self, id: DocumentId) -> io::Result<Option<AsideRecord>> {
        match self.read_json(&self.document(id).join(ASIDE_FILE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some),
        }
    }

    /// The blank pages that were set aside of a document in the spool; `None` where there are none.
    ///
    /// # Errors
    ///
    /// Where a record cannot be read.
    pub fn blank_aside(&self, id: DocumentId) -> io::Result<Option<BlankAside>> {
        let Some(record) = self.aside(id)? else { return Ok(None) };
        let blank = record.pages.iter().filter(|aside| aside.why == Aside::Blank).map(|aside| aside.page);
        let pages: Vec<SourcePage> = blank.collect();
        if pages.is_empty() {
            return Ok(None);
        }
        let file_name = self.open_document(id)?.manifest.file_name().to_owned();
        Ok(Some(BlankAside { document_id: id, file_name, pages }))
    }

    /// Of the newest documents in the spool, at most so many, those without blank pages of their scan; newest first.
    ///
    /// # Errors
    ///
    /// Where the spool cannot be listed.
    pub fn newest_blank_aside(&self, looked_at: usize) -> io::Result<Vec<BlankAside>> {
        let ids = self.document_ids()?;
        // A document may be delivered and released while we look.
        Ok(ids
            .into_iter()
            .rev()
            .take(looked_at)
            .filter_map(|id| self.blank_aside(id).ok().flatten())
            .collect())
    }
}
