//! Undoing what was decided about pages: the scan of a document is captured again, as one document. A division is
//! undone by [`Spool::rejoin`], and [`Spool::restore`] brings back blank pages that were set aside.
//!
//! Each document of a divided batch lies in the spool with all the originals, so that any one of them suffices. The
//! new capture links to the same bytes and says which capture it takes the place of; its document says so in its
//! manifest and goes to a person, who rejects the parts. Nothing is removed: the parts may have been delivered.
//!
//! It is read in the same languages, and two sides of a stack are put together in the same way. The type that its
//! folder sets is left to the person.

use std::io;

use jiff::Timestamp;
use platen_model::{Aside, CaptureId, CorrelationId, DocumentId, PartRole};

use super::capture::{CAPTURE_VERSION, CaptureRecord, ClaimedFile, stored_name};
use super::document::SpooledDocument;
use super::folders::Spool;
use crate::config::After;
use crate::watch::Identity;
use crate::watch::tray::Stack;

/// No file in a hot folder is this one, so none is taken away.
const NO_FILE: Identity = Identity { device: 0, inode: 0, bytes: 0, changed_ns: 0 };

/// How a scan is captured again.
struct Way {
    languages: Option<String>,
    stack: Option<Stack>,
    keep_blank: bool,
}

impl Spool {
    /// Makes a capture of the whole batch that a document was divided from. It is found by the next start of the
    /// agent, or handed on by a running one.
    ///
    /// # Errors
    ///
    /// Where the document is not in the spool, was not divided from anything, or its batch was rejoined before.
    pub fn rejoin(&self, id: DocumentId) -> io::Result<CaptureId> {
        let document = self.open_document(id)?;
        let Some(batch) = &document.manifest.batch else {
            return Err(io::Error::other("it is all of what was scanned: there is nothing to put together"));
        };
        let stack = batch.backs_reversed.map(|backs_reversed| Stack::Both { backs_reversed });
        let way = Way { languages: Some(batch.languages.clone()), stack, keep_blank: false };
        self.capture_again(&document, way)
    }

    /// Makes a capture of all that a document was scanned with, in which blank pages stay.
    ///
    /// # Errors
    ///
    /// Where the document is not in the spool, none of its blank pages was set aside, or what it was scanned with was
    /// put together before.
    pub fn restore(&self, id: DocumentId) -> io::Result<CaptureId> {
        let document = self.open_document(id)?;
        let aside = self.aside(id)?.filter(|aside| aside.pages.iter().any(|page| page.why == Aside::Blank));
        let Some(aside) = aside else {
            return Err(io::Error::other("no blank page of it was set aside: there is nothing to restore"));
        };
        let read_in = document.manifest.batch.as_ref().map(|batch| batch.languages.clone());
        let way = Way { languages: read_in.or(aside.languages), stack: aside.stack, keep_blank: true };
        self.capture_again(&document, way)
    }

    fn capture_again(&self, document: &SpooledDocument, way: Way) -> io::Result<CaptureId> {
        let manifest = &document.manifest;
        let whole = manifest.capture_id;
        if self.is_rejoined(whole)? {
            return Err(io::Error::other(format!("capture {whole} was put together before")));
        }
        let capture = CaptureId::new();
        let temporary = self.captures().join(format!(".tmp-{capture}"));
        self.durably().create_folder(&temporary)?;
        let mut files = Vec::new();
        for (index, part) in manifest.parts.iter().enumerate() {
            if part.role != PartRole::Original {
                continue;
            }
            let stored = stored_name(files.len());
            // The same bytes, fsynced at the claim. They are read and compared before the capture is worked on.
            self.disk().link(&document.part_file(index), &temporary.join(&stored))?;
            let name = part.file_name.clone().unwrap_or_else(|| stored.clone());
            files.push(ClaimedFile {
                name: name.into(),
                stored,
                sha256: part.sha256,
                bytes: part.bytes,
                identity: NO_FILE,
            });
        }
        let record = CaptureRecord {
            version: CAPTURE_VERSION,
            capture_id: capture,
            correlation_id: CorrelationId::of_capture(capture),
            source: manifest.source.clone(),
            department: manifest.department.clone(),
            document_type: None,
            languages: way.languages,
            labels: manifest.labels.clone(),
            stack: way.stack,
            folder: self.document(manifest.document_id),
            after: After::Remove,
            claimed_at: Timestamp::now(),
            files,
            markers: Vec::new(),
            rejoins: Some(whole),
            keep_blank: way.keep_blank,
        };
        // Its write fsyncs the folder with the links in it.
        record.write(self, &temporary)?;
        self.durably().rename(&temporary, &self.capture(capture))?;
        Ok(capture)
    }

    /// Whether a capture in the spool, or a document of one, takes the place of this one.
    fn is_rejoined(&self, whole: CaptureId) -> io::Result<bool> {
        let quarantined = self.quarantined_ids()?.into_iter().map(|id| self.quarantined(id));
        for folder in self.capture_ids()?.into_iter().map(|id| self.capture(id)).chain(quarantined) {
            if CaptureRecord::read(self, &folder).is_ok_and(|record| record.rejoins == Some(whole)) {
                return Ok(true);
            }
        }
        for id in self.document_ids()? {
            if self.open_document(id).is_ok_and(|document| document.manifest.rejoins == Some(whole)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
