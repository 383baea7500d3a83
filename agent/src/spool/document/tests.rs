//! The documents of one capture become final together, and each has one manifest for ever.

use std::fs;

use platen_capture::Kind;
use platen_model::{BatchPlace, Decision, DocumentType, PageRecord, PageText, PolicyRef, Verdict};

use super::*;
use crate::claim::{Ledger, recover};
use crate::config::After;
use crate::spool::capture::{CAPTURE_VERSION, fresh_work_folder};
use crate::spool::{ClaimedFile, Reason};
use crate::vault::{Key, Vault};
use crate::watch::listing::Identity;
use crate::watch::tray::Stack;

/// A spool with one claimed and released capture whose reading gave two documents.
struct Place {
    _folder: tempfile::TempDir,
    spool: Spool,
    record: CaptureRecord,
    documents: Vec<CapturedDocument>,
}

fn place() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let capture_id = CaptureId::new();
    let capture = spool.capture(capture_id);
    let original = durable::write_from(&capture_file(&capture, &stored_name(0)), &mut &b"scan"[..]);
    let original = original.expect("an original");
    let file = ClaimedFile {
        name: "a.tif".into(),
        stored: stored_name(0),
        sha256: original.sha256(),
        bytes: original.bytes(),
        identity: Identity { device: 0, inode: 0, bytes: original.bytes(), changed_ns: 0 },
    };
    let record = CaptureRecord {
        version: CAPTURE_VERSION,
        capture_id,
        correlation_id: platen_model::CorrelationId::of_capture(capture_id),
        source: "desk".into(),
        department: None,
        document_type: None,
        languages: None,
        labels: std::collections::BTreeMap::new(),
        stack: None,
        folder: folder.path().join("inbox"),
        after: After::Remove,
        claimed_at: Timestamp::now(),
        files: vec![file],
        markers: Vec::new(),
        rejoins: None,
        keep_blank: false,
    };
    record.write(&spool, &capture).expect("the record");
    let place = Place { _folder: folder, spool, record, documents: Vec::new() };
    Place { documents: place.read("first reading"), ..place }
}

fn capture_file(capture: &Path, name: &str) -> PathBuf {
    durable::create_folder(capture).expect("the capture's folder");
    capture.join(name)
}

impl Place {
    /// What a reading of the capture gives: two documents whose bytes tell which reading it was.
    fn read(&self, reading: &str) -> Vec<CapturedDocument> {
        let work = self.spool.capture(self.record.capture_id).join(WORK_FOLDER);
        let document = |number: u32| {
            let pdf = capture_file(&work, &format!("document-{number}.pdf"));
            let bytes = format!("{reading}, {number}");
            let written = durable::write(&pdf, bytes.as_bytes()).expect("a PDF");
            CapturedDocument {
                copy_of_signed: false,
                pdfa: platen_capture::PdfA::A2b,
                pdfa_breaches: Vec::new(),
                text: PageText::new(vec![PageRecord::default()]),
                blank_pages: 0,
                decision: decision(),
                department: None,
                batch: None,
                pdf,
                pdf_sha256: written.sha256(),
                pdf_bytes: written.bytes(),
            }
        };
        vec![document(0), document(1)]
    }

    fn store(&self, documents: &[CapturedDocument]) -> io::Result<Vec<DocumentId>> {
        let inspection = Inspection::plain(Kind::Tiff, 2);
        self.spool.store_documents(&self.record, &[inspection], documents, DeviceId::new(), Timestamp::now())
    }

    fn normalized(&self, index: u32) -> Vec<u8> {
        let folder = self.spool.document(self.record.capture_id.document(index));
        fs::read(folder.join(PDF_FILE)).expect("a document's PDF")
    }
}

fn decision() -> Decision {
    Decision {
        document_type: DocumentType("letter".into()),
        confidence: 1.0,
        verdict: Verdict::Auto,
        fields: std::collections::BTreeMap::new(),
        reasons: Vec::new(),
        line_items: Vec::new(),
        policy: PolicyRef { name: "none".into(), version: "0".into(), sha256: Digest::of(b"") },
    }
}

#[test]
fn a_stack_put_together_again_keeps_the_order_of_its_sides_and_its_languages() {
    let place = place();
    let mut documents = place.documents.clone();
    for (number, document) in (1..).zip(&mut documents) {
        document.batch = Some(BatchPlace {
            document: number,
            documents: 2,
            pages: Vec::new(),
            languages: "deu".into(),
            backs_reversed: Some(true),
        });
    }
    let ids = place.store(&documents).expect("stored");
    let capture = place.spool.rejoin(ids[1]).expect("a capture");
    let record = CaptureRecord::read(&place.spool, &place.spool.capture(capture)).expect("its record");
    assert_eq!(record.rejoins, Some(place.record.capture_id));
    assert_eq!(record.stack, Some(Stack::Both { backs_reversed: true }));
    assert_eq!(record.languages.as_deref(), Some("deu"));
    let original = fs::read(place.spool.capture(capture).join(stored_name(0))).expect("the original");
    assert_eq!(original, b"scan");
    place.spool.rejoin(ids[0]).expect_err("once is enough");
}

#[test]
fn inv5_a_capture_that_fails_after_its_first_document_leaves_none_and_is_read_anew_on_retry() {
    let place = place();
    let mut second_is_missing = place.documents.clone();
    second_is_missing[1].pdf = place.spool.capture(place.record.capture_id).join("nowhere.pdf");
    place.store(&second_is_missing).expect_err("the second document cannot be stored");
    assert_eq!(place.spool.document_ids().expect("ids"), [], "nothing can be delivered");

    let id = place.record.capture_id;
    let failure = platen_model::Failure::new(
        platen_model::FailureClass::Internal,
        platen_model::Stage::Bind,
        "the disk is full",
    );
    place.spool.put_in_quarantine(id, &Reason::new(failure, 3)).expect("quarantine");
    place.spool.quarantine_retry(id).expect("retry");
    let ids = place.store(&place.read("second reading")).expect("stored");
    assert_eq!(ids, [id.document(0), id.document(1)]);
    assert_eq!(place.normalized(0), b"second reading, 0");
}

#[test]
fn inv5_documents_stopped_on_the_way_to_their_place_are_finished_and_never_made_anew() {
    let place = place();
    let id = place.record.capture_id;
    let last = place.spool.document_ids_in_order(id).pop().expect("two documents");
    // Something lies where the last one belongs: the first is moved, the last cannot be.
    let obstacle = place.spool.document(last).join("obstacle");
    durable::create_folder(&obstacle).expect("an obstacle");
    place.store(&place.documents).expect_err("stopped half-way");
    assert_eq!(place.spool.document_ids().expect("ids").len(), 2, "one document and the obstacle");
    durable::remove_folder(&place.spool.document(last)).expect("the obstacle goes");

    let ledger = Ledger::open(place._folder.path()).expect("a ledger");
    let recovered = recover(&place.spool, &ledger).expect("recovery");
    assert!(recovered.released.is_empty(), "it is not read a second time");
    assert_eq!(place.spool.capture_ids().expect("ids"), []);
    assert_eq!(place.normalized(0), b"first reading, 0");
    assert_eq!(place.normalized(1), b"first reading, 1");
}

impl Spool {
    /// The two documents of a capture in the order in which they are moved.
    fn document_ids_in_order(&self, id: CaptureId) -> Vec<DocumentId> {
        let mut ids = vec![id.document(0), id.document(1)];
        ids.sort();
        ids
    }
}

#[test]
fn an_encrypted_spool_keeps_no_plain_copy_of_what_is_finished() {
    let mut place = place();
    let state = place.record.folder.parent().expect("a state folder").to_owned();
    let memory = state.join("memory");
    fs::create_dir(&memory).expect("a folder");
    place.spool = Spool::looking(&Vault::sealed(&state, Key::from_bytes(&[7; 32]), &memory));
    let capture = place.spool.capture(place.record.capture_id);
    let work = fresh_work_folder(&place.spool, &capture).expect("a work folder");
    let inputs = place.record.inputs(&place.spool, &capture, &work).expect("a plain copy");
    assert!(inputs.iter().all(|input| input.path.starts_with(&memory) && input.path.exists()));
    place.store(&place.read("a reading")).expect("stored");
    assert_eq!(fs::read_dir(&memory).expect("a folder").count(), 0);
}
