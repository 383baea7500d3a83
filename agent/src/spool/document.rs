//! Finished documents: stored whole, delivered, and removed only against a receipt (INV-3).

use std::io::{self, BufWriter, Read as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use platen_capture::{CapturedDocument, Inspection};
use platen_model::crash;
use platen_model::disk::{self, Disk as _, Machine, Readers, Stored};
use platen_model::durable::Durable;
use platen_model::keys::PublicKey;
use platen_model::manifest::{MANIFEST_VERSION, SignedReceipt};
use platen_model::{
    CaptureId, DeviceId, Digest, DocumentId, DocumentManifest, PageText, Part, PartRole, Receipt, durable,
};

use super::aside::{ASIDE_FILE, AsideRecord};
use super::capture::{CaptureRecord, WORK_FOLDER, remove_work_folder, stored_name};
use super::folders::Spool;

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
/// The cloud's receipt for everything but originals that follow later.
const FIRST_RECEIPT_FILE: &str = "receipt-without-originals.json";

/// A document in the spool.
#[derive(Clone, Debug)]
pub struct SpooledDocument {
    spool: Spool,
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
    /// The document.
    pub fn document_id(&self) -> DocumentId {
        self.document_id
    }

    /// Digest of the receipt's text.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// When the cloud committed the document.
    pub fn since(&self) -> Timestamp {
        self.since
    }
}

/// What a receipt that holds says.
#[derive(Clone, Debug)]
pub enum Acceptance {
    /// The cloud has everything.
    Whole(Receipted),
    /// The cloud has everything but some originals, and names the digests it waits for.
    OriginalsOwed,
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
        now: Timestamp,
    ) -> io::Result<Vec<DocumentId>> {
        let capture = self.capture(record.capture_id);
        let making = capture.join(WORK_FOLDER).join(FINISHED_FOLDER);
        self.durably().remove_folder(&making)?;
        self.durably().create_folder(&making)?;
        for (index, document) in (0u32..).zip(documents) {
            let id = record.capture_id.document(index);
            let making = Making { spool: self, folder: making.join(id.to_string()), capture: &capture };
            making.write(id, record, inspections, document, device, now)?;
            crash::point("a document is made");
        }
        self.durably().rename(&making, &capture.join(FINISHED_FOLDER))?;
        crash::point("the documents are final");
        Ok(self.finish_storing(record.capture_id)?.unwrap_or_default())
    }

    /// Moves the final documents of a capture to their place and removes its folder. Answers the documents;
    /// `None` where the capture has none yet, and must be read.
    pub fn finish_storing(&self, id: CaptureId) -> io::Result<Option<Vec<DocumentId>>> {
        let capture = self.capture(id);
        let finished = capture.join(FINISHED_FOLDER);
        if !self.disk().exists(&finished)? {
            return Ok(None);
        }
        for document in self.ids_in::<DocumentId>(&finished)? {
            self.durably().rename(&finished.join(document.to_string()), &self.document(document))?;
            crash::point("a document has its place");
        }
        // None of them can be delivered and gone: they reach the outbox only after this.
        let mut documents = Vec::new();
        for document in (0..).map(|index| id.document(index)) {
            if !self.disk().exists(&self.document(document))? {
                break;
            }
            documents.push(document);
        }
        // Where the spool is encrypted, this is another place, with plain copies of all that was scanned.
        if let Err(error) = remove_work_folder(self, &capture) {
            tracing::warn!(capture = %id, %error, "its unfinished pages cannot be removed; the next start does it");
        }
        if let Err(error) = self.durably().remove_folder(&capture) {
            tracing::warn!(capture = %id, %error, "its folder cannot be removed; the next start does it");
        }
        crash::point("the capture is gone");
        Ok(Some(documents))
    }

    /// Opens a document.
    pub fn open_document(&self, id: DocumentId) -> io::Result<SpooledDocument> {
        let folder = self.document(id);
        let manifest_bytes = disk::read(self.disk(), &folder.join(MANIFEST_FILE))?;
        let manifest = serde_json::from_slice(&manifest_bytes)?;
        Ok(SpooledDocument { spool: self.clone(), folder, manifest_bytes, manifest })
    }

    /// Whether a receipt lies beside a document; whether it proves anything is another question.
    pub fn has_receipt(&self, id: DocumentId) -> io::Result<bool> {
        self.disk().exists(&self.document(id).join(RECEIPT_FILE))
    }

    /// Removes a delivered document. Needs the proof; there is no other way out of the spool.
    pub fn remove_delivered(&self, proof: &Receipted) -> io::Result<()> {
        self.durably().remove_folder(&self.document(proof.document_id))
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

    /// Opens the manifest's `index`-th part for reading.
    pub fn open_part(&self, index: usize) -> io::Result<Box<dyn Stored>> {
        self.spool.disk().open(&self.part_file(index))
    }

    /// Reads a part's bytes from `offset` on.
    pub fn read_part(&self, index: usize, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut file = self.open_part(index)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Says in the manifest that this device delivers it. For a document that was captured before the device was enrolled
    /// anew, and that the cloud does not have: id, parts and everything else of it stay (INV-5).
    ///
    /// The manifest is replaced as a whole: after a crash it is one or the other, and either can be sent.
    pub fn hand_over_to(&mut self, device: DeviceId) -> io::Result<()> {
        let manifest = DocumentManifest { device_id: Some(device), ..self.manifest.clone() };
        let bytes = serde_json::to_vec(&manifest)?;
        self.spool.durably().write(&self.folder.join(MANIFEST_FILE), &bytes)?;
        crash::point("the document is handed over");
        (self.manifest, self.manifest_bytes) = (manifest, bytes);
        Ok(())
    }

    /// Compares a part's bytes with the manifest. Answers what is wrong, as a sentence.
    ///
    /// # Errors
    ///
    /// Where the machine cannot read it now, which says nothing of the part.
    pub fn damage_of(&self, index: usize) -> io::Result<Option<String>> {
        let (file, part) = (self.part_file(index), &self.manifest.parts[index]);
        Ok(match self.spool.durably().digest_file(&file) {
            Ok(found) if found == (part.sha256, part.bytes) => None,
            Ok((sha256, _)) => {
                Some(format!("{} has digest {sha256}, but was stored with {}", file.display(), part.sha256))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(format!("{} is missing", file.display()))
            }
            Err(error) => return Err(error),
        })
    }

    /// Checks a receipt against this document and keeps it durably.
    ///
    /// # Errors
    ///
    /// [`BadReceipt`] as the inner error where the receipt proves nothing; else writing failed.
    pub fn accept(&self, receipt: &SignedReceipt, key: &PublicKey) -> io::Result<Acceptance> {
        let acceptance = self.check(receipt, key).map_err(io::Error::other)?;
        let (file, point) = match acceptance {
            Acceptance::Whole(_) => (RECEIPT_FILE, "the receipt is kept"),
            Acceptance::OriginalsOwed => (FIRST_RECEIPT_FILE, "the first receipt is kept"),
        };
        self.spool.write_json(&self.folder.join(file), receipt)?;
        crash::point(point);
        Ok(acceptance)
    }

    /// The proof from a receipt that was kept earlier, checked again.
    pub fn receipted(&self, key: &PublicKey) -> Option<Receipted> {
        let receipt: SignedReceipt = self.spool.read_json(&self.folder.join(RECEIPT_FILE)).ok()?;
        // One of the cloud that this device was enrolled with when it was given: what was delivered there is delivered.
        std::iter::once(key).chain(self.spool.earlier_keys()).find_map(|key| {
            match self.check(&receipt, key) {
                Ok(Acceptance::Whole(proof)) => Some(proof),
                _ => None,
            }
        })
    }

    fn check(&self, signed: &SignedReceipt, key: &PublicKey) -> Result<Acceptance, BadReceipt> {
        signed.verify(key).map_err(|_| BadReceipt::Signature)?;
        let receipt: Receipt = serde_json::from_str(&signed.receipt).map_err(|_| BadReceipt::Unreadable)?;
        let parts: Vec<Digest> = self.manifest.parts.iter().map(|part| part.sha256).collect();
        let same = receipt.document_id == self.manifest.document_id
            && receipt.manifest_sha256 == Digest::of(&self.manifest_bytes)
            && receipt.parts == parts;
        if !same {
            return Err(BadReceipt::OtherBytes);
        }
        if !receipt.awaiting.is_empty() {
            let originals = self.manifest.parts.iter().filter(|part| part.role == PartRole::Original);
            let originals: Vec<Digest> = originals.map(|part| part.sha256).collect();
            let only_originals = receipt.awaiting.iter().all(|awaited| originals.contains(awaited));
            return if only_originals { Ok(Acceptance::OriginalsOwed) } else { Err(BadReceipt::OtherBytes) };
        }
        Ok(Acceptance::Whole(Receipted {
            document_id: receipt.document_id,
            digest: Digest::of(signed.receipt.as_bytes()),
            since: receipt.committed_at,
        }))
    }

    /// Every part whose file is missing or differs from the manifest, as sentences.
    pub fn damage(&self) -> Vec<String> {
        let sentence = |index| match self.damage_of(index) {
            Ok(damage) => damage,
            Err(error) => Some(format!("{} cannot be read: {error}", self.part_file(index).display())),
        };
        (0..self.manifest.parts.len()).filter_map(sentence).collect()
    }

    /// Copies the document's files into a folder of the same name under `target`.
    pub fn export(&self, target: &Path) -> io::Result<PathBuf> {
        let folder = target.join(self.manifest.document_id.to_string());
        durable::create_folder(&folder)?;
        let disk = self.spool.disk();
        for name in disk.list(&self.folder)? {
            durable::write_from(&folder.join(&name), &mut disk.open(&self.folder.join(&name))?)?;
        }
        Ok(folder)
    }
}

/// A document's folder while it is made: durable in the end but for its name.
struct Making<'s> {
    spool: &'s Spool,
    folder: PathBuf,
    capture: &'s Path,
}

impl Making<'_> {
    fn write(
        &self,
        id: DocumentId,
        record: &CaptureRecord,
        inspections: &[Inspection],
        document: &CapturedDocument,
        device: DeviceId,
        now: Timestamp,
    ) -> io::Result<()> {
        self.spool.durably().create_folder(&self.folder)?;
        let mut parts = Vec::new();
        for (index, (file, inspection)) in record.files.iter().zip(inspections).enumerate() {
            self.bring_in(&self.capture.join(&file.stored), &stored_name(index))?;
            parts.push(Part {
                role: PartRole::Original,
                sha256: file.sha256,
                bytes: file.bytes,
                mime: inspection.kind.mime().to_owned(),
                file_name: Some(file.display_name()),
                copy_of_signed: false,
            });
        }
        self.bring_in_made(document)?;
        let normalized =
            part(PartRole::Normalized, document.pdf_sha256, document.pdf_bytes, "application/pdf");
        parts.push(Part { copy_of_signed: document.copy_of_signed, ..normalized });
        let text = self.write_text(&document.text)?;
        parts.push(part(PartRole::PageText, text.sha256(), text.bytes(), "application/json"));
        if let Some(aside) = AsideRecord::of(record, &document.text.set_aside) {
            self.spool.write_json(&self.folder.join(ASIDE_FILE), &aside)?;
        }

        let manifest = DocumentManifest {
            version: MANIFEST_VERSION,
            document_id: id,
            capture_id: record.capture_id,
            correlation_id: record.correlation_id.clone(),
            device_id: Some(device),
            source: record.source.clone(),
            department: document.department.clone().or_else(|| record.department.clone()),
            claimed_at: record.claimed_at,
            captured_at: now,
            page_count: document.text.pages.len() as u32,
            ocr_confidence: document.text.mean_confidence(),
            decision: document.decision.clone(),
            parts,
            labels: record.labels.clone(),
            batch: document.batch.clone(),
            rejoins: record.rejoins,
        };
        // The manifest comes last, and its write fsyncs the folder with the links in it.
        let bytes = serde_json::to_vec(&manifest)?;
        self.spool.durably().write(&self.folder.join(MANIFEST_FILE), &bytes)?;
        Ok(())
    }

    /// Gives a file of the capture its place in the document. A link: the same bytes, fsynced when they were
    /// written, without writing them a second time.
    fn bring_in(&self, from: &Path, name: &str) -> io::Result<()> {
        self.spool.disk().link(from, &self.folder.join(name))
    }

    /// Gives the PDF its place: a link where it was made in the capture's folder, a copy where that was elsewhere.
    fn bring_in_made(&self, document: &CapturedDocument) -> io::Result<()> {
        if self.spool.work().is_none() {
            return self.bring_in(&document.pdf, PDF_FILE);
        }
        let mut made = Machine.open(&document.pdf)?;
        let written = self.spool.durably().write_from(&self.folder.join(PDF_FILE), &mut made)?;
        if (written.sha256(), written.bytes()) != (document.pdf_sha256, document.pdf_bytes) {
            return Err(io::Error::other("the PDF is another than was made"));
        }
        Ok(())
    }

    /// Writes the words of all pages. Their JSON goes through a file: beside the words of a thousand pages there
    /// is no room in memory for it.
    fn write_text(&self, text: &PageText) -> io::Result<Durable> {
        let (disk, durably) = (self.spool.disk(), self.spool.durably());
        let draft = self.folder.join(TEXT_DRAFT_FILE);
        let mut writer = BufWriter::new(disk.create(&draft, Readers::Usual)?);
        serde_json::to_writer(&mut writer, text)?;
        writer.flush()?;
        // An encrypted file can be read only once it was ended.
        writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync()?;
        let written = durably.write_from(&self.folder.join(TEXT_FILE), &mut disk.open(&draft)?)?;
        durably.remove_file(&draft)?;
        Ok(written)
    }
}

fn part(role: PartRole, sha256: Digest, bytes: u64, mime: &str) -> Part {
    Part { role, sha256, bytes, mime: mime.to_owned(), file_name: None, copy_of_signed: false }
}

#[cfg(test)]
mod tests;
