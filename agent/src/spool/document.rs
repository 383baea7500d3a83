//! Finished documents: stored whole, delivered, and removed only against a receipt (INV-3).

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use platen_capture::{CapturedDocument, Inspection};
use platen_model::durable::Durable;
use platen_model::keys::PublicKey;
use platen_model::manifest::{MANIFEST_VERSION, SignedReceipt};
use platen_model::{
    CaptureId, DeviceId, Digest, DocumentId, DocumentManifest, PageText, Part, PartRole, Receipt, durable,
};

use super::capture::{CaptureRecord, WORK_FOLDER, stored_name};
use super::folders::{Spool, ids_in, read_json, write_json};

/// The exact bytes that are sent as the manifest.
const MANIFEST_FILE: &str = "manifest.json";
/// The searchable PDF.
const PDF_FILE: &str = "normalized.pdf";
/// The words of all pages.
const TEXT_FILE: &str = "page-text.json";
/// The same while it is written.
const TEXT_DRAFT_FILE: &str = "page-text.draft";
/// A capture's documents: made in the folder for unfinished work, final once it lies in the capture's own.
const FINISHED_FOLDER: &str = "documents";
/// The cloud's receipt, once there is one.
const RECEIPT_FILE: &str = "receipt.json";

/// A document in the spool.
#[derive(Clone, Debug)]
pub struct SpooledDocument {
    folder: PathBuf,
    /// The manifest's exact bytes: what is signed, sent and named in the receipt.
    pub manifest_bytes: Vec<u8>,
    /// What they say.
    pub manifest: DocumentManifest,
}

/// Proof that the cloud has a document: its signed receipt names this manifest and these parts, and lies
/// durably beside the document. Only [`SpooledDocument::accept`] and [`SpooledDocument::receipted`] make one.
#[derive(Clone, Debug)]
pub struct Receipted {
    document_id: DocumentId,
    digest: Digest,
    since: Timestamp,
}

impl Receipted {
    /// Digest of the receipt's text.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// When the cloud committed the document.
    pub fn since(&self) -> Timestamp {
        self.since
    }
}

/// A receipt that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReceipt {
    /// The signature is not by the key learned at enrolment.
    #[error("its signature is not by the cloud this device enrolled with")]
    Signature,
    /// It is not readable.
    #[error("it cannot be read")]
    Unreadable,
    /// It speaks of something else.
    #[error("it names another document, or other digests than were sent")]
    OtherBytes,
}

impl Spool {
    /// Stores the documents of a capture and removes its folder.
    ///
    /// They are made inside the capture's folder and become final together, by one rename. A capture that
    /// fails before it leaves no document behind; one that is stopped after it is finished by
    /// [`Spool::finish_storing`] and never read again. So each document has one manifest for ever (INV-5).
    pub fn store_documents(
        &self,
        record: &CaptureRecord,
        inspections: &[Inspection],
        documents: &[CapturedDocument],
        device: DeviceId,
    ) -> io::Result<Vec<DocumentId>> {
        let capture = self.capture(record.capture_id);
        let making = capture.join(WORK_FOLDER).join(FINISHED_FOLDER);
        durable::remove_folder(&making)?;
        durable::create_folder(&making)?;
        for (index, document) in (0u32..).zip(documents) {
            let id = record.capture_id.document(index);
            let folder = making.join(id.to_string());
            write_document(&folder, id, &capture, record, inspections, document, device)?;
        }
        durable::rename(&making, &capture.join(FINISHED_FOLDER))?;
        Ok(self.finish_storing(record.capture_id)?.unwrap_or_default())
    }

    /// Moves the final documents of a capture to their place and removes its folder. Answers the documents;
    /// `None` where the capture has none yet, and must be read.
    pub fn finish_storing(&self, id: CaptureId) -> io::Result<Option<Vec<DocumentId>>> {
        let capture = self.capture(id);
        let finished = capture.join(FINISHED_FOLDER);
        if !finished.try_exists()? {
            return Ok(None);
        }
        for document in ids_in::<DocumentId>(&finished)? {
            durable::rename(&finished.join(document.to_string()), &self.document(document))?;
        }
        // None of them can be delivered and gone: they reach the outbox only after this.
        let documents = (0..).map(|index| id.document(index)).take_while(|it| self.document(*it).exists());
        let documents = documents.collect();
        if let Err(error) = durable::remove_folder(&capture) {
            tracing::warn!(capture = %id, %error, "its folder cannot be removed; the next start does it");
        }
        Ok(Some(documents))
    }

    /// Opens a document.
    pub fn open_document(&self, id: DocumentId) -> io::Result<SpooledDocument> {
        let folder = self.document(id);
        let manifest_bytes = std::fs::read(folder.join(MANIFEST_FILE))?;
        let manifest = serde_json::from_slice(&manifest_bytes)?;
        Ok(SpooledDocument { folder, manifest_bytes, manifest })
    }

    /// Removes a delivered document. Needs the proof; there is no other way out of the spool.
    pub fn remove_delivered(&self, proof: &Receipted) -> io::Result<()> {
        durable::remove_folder(&self.document(proof.document_id))
    }
}

impl SpooledDocument {
    /// The file that holds the manifest's `index`-th part.
    pub fn part_file(&self, index: usize) -> PathBuf {
        match self.manifest.parts[index].role {
            PartRole::Original => self.folder.join(stored_name(index)),
            PartRole::Normalized => self.folder.join(PDF_FILE),
            PartRole::PageText => self.folder.join(TEXT_FILE),
        }
    }

    /// Checks a receipt against this document and keeps it durably.
    ///
    /// # Errors
    ///
    /// [`BadReceipt`] as the inner error where the receipt proves nothing; else writing failed.
    pub fn accept(&self, receipt: &SignedReceipt, key: &PublicKey) -> io::Result<Receipted> {
        let proof = self.check(receipt, key).map_err(io::Error::other)?;
        write_json(&self.folder.join(RECEIPT_FILE), receipt)?;
        Ok(proof)
    }

    /// The proof from a receipt that was kept earlier, checked again.
    pub fn receipted(&self, key: &PublicKey) -> Option<Receipted> {
        let receipt: SignedReceipt = read_json(&self.folder.join(RECEIPT_FILE)).ok()?;
        self.check(&receipt, key).ok()
    }

    fn check(&self, signed: &SignedReceipt, key: &PublicKey) -> Result<Receipted, BadReceipt> {
        key.verify(signed.receipt.as_bytes(), &signed.signature).map_err(|_| BadReceipt::Signature)?;
        let receipt: Receipt = serde_json::from_str(&signed.receipt).map_err(|_| BadReceipt::Unreadable)?;
        let parts: Vec<Digest> = self.manifest.parts.iter().map(|part| part.sha256).collect();
        let same = receipt.document_id == self.manifest.document_id
            && receipt.manifest_sha256 == Digest::of(&self.manifest_bytes)
            && receipt.parts == parts;
        if !same {
            return Err(BadReceipt::OtherBytes);
        }
        Ok(Receipted {
            document_id: receipt.document_id,
            digest: Digest::of(signed.receipt.as_bytes()),
            since: receipt.committed_at,
        })
    }

    /// Every part whose file is missing or differs from the manifest, as sentences.
    pub fn damage(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (index, part) in self.manifest.parts.iter().enumerate() {
            let file = self.part_file(index);
            match durable::digest_file(&file) {
                Ok((sha256, bytes)) if (sha256, bytes) == (part.sha256, part.bytes) => {}
                Ok((sha256, _)) => found.push(format!(
                    "{} has digest {sha256}, but was stored with {}",
                    file.display(),
                    part.sha256
                )),
                Err(error) => found.push(format!("{} cannot be read: {error}", file.display())),
            }
        }
        found
    }

    /// Copies the document's files into a folder of the same name under `target`.
    pub fn export(&self, target: &Path) -> io::Result<PathBuf> {
        let folder = target.join(self.manifest.document_id.to_string());
        durable::create_folder(&folder)?;
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let mut source = std::fs::File::open(entry.path())?;
            durable::write_from(&folder.join(entry.file_name()), &mut source)?;
        }
        Ok(folder)
    }
}

/// Writes one document into a folder of its own, durable but for the folder's name.
fn write_document(
    folder: &Path,
    id: DocumentId,
    capture: &Path,
    record: &CaptureRecord,
    inspections: &[Inspection],
    document: &CapturedDocument,
    device: DeviceId,
) -> io::Result<()> {
    durable::create_folder(folder)?;

    let mut parts = Vec::new();
    for (index, (file, inspection)) in record.files.iter().zip(inspections).enumerate() {
        // A hard link: the same bytes, fsynced at the claim, without writing them a second time.
        std::fs::hard_link(capture.join(&file.stored), folder.join(stored_name(index)))?;
        parts.push(Part {
            role: PartRole::Original,
            sha256: file.sha256,
            bytes: file.bytes,
            mime: inspection.kind.mime().to_owned(),
            file_name: Some(file.display_name()),
        });
    }
    std::fs::hard_link(&document.pdf, folder.join(PDF_FILE))?;
    parts.push(part(PartRole::Normalized, document.pdf_sha256, document.pdf_bytes, "application/pdf"));
    let text = write_text(folder, &document.text)?;
    parts.push(part(PartRole::PageText, text.sha256(), text.bytes(), "application/json"));

    let manifest = DocumentManifest {
        version: MANIFEST_VERSION,
        document_id: id,
        capture_id: record.capture_id,
        correlation_id: record.correlation_id.clone(),
        device_id: device,
        source: record.source.clone(),
        department: record.department.clone(),
        claimed_at: record.claimed_at,
        captured_at: Timestamp::now(),
        page_count: document.text.pages.len() as u32,
        ocr_confidence: document.text.mean_confidence(),
        decision: document.decision.clone(),
        parts,
        labels: record.labels.clone(),
    };
    // The manifest comes last, and its write fsyncs the folder with the links in it.
    durable::write(&folder.join(MANIFEST_FILE), &serde_json::to_vec(&manifest)?)?;
    Ok(())
}

/// Writes the words of all pages. Their JSON goes through a file: beside the words of a thousand pages there is no room
/// in memory for it.
fn write_text(folder: &Path, text: &PageText) -> io::Result<Durable> {
    let draft = folder.join(TEXT_DRAFT_FILE);
    let mut writer = BufWriter::new(File::create(&draft)?);
    serde_json::to_writer(&mut writer, text)?;
    writer.flush()?;
    let written = durable::write_from(&folder.join(TEXT_FILE), &mut File::open(&draft)?)?;
    durable::remove_file(&draft)?;
    Ok(written)
}

fn part(role: PartRole, sha256: Digest, bytes: u64, mime: &str) -> Part {
    Part { role, sha256, bytes, mime: mime.to_owned(), file_name: None }
}

#[cfg(test)]
mod tests;
