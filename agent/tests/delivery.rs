//! Delivery against a cloud that keeps strictly to the contract and misbehaves when told to: what was put in
//! arrives once and unaltered, and leaves the spool only against a receipt.

#[path = "delivery/network.rs"]
mod network;
#[path = "delivery/stand_in.rs"]
mod stand_in;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use platen_agent::claim::{Ledger, NoStop, Release, claim};
use platen_agent::config::Cloud as CloudConfig;
use platen_agent::config::Source;
use platen_agent::deliver::access::Badge;
use platen_agent::deliver::courier::carry;
use platen_agent::deliver::dispatch::Policy;
use platen_agent::deliver::pace::Bandwidth;
use platen_agent::deliver::windows::Windows;
use platen_agent::deliver::wire::Wire;
use platen_agent::deliver::{Delivery, Dispatcher, Load, Tools, Trouble};
use platen_agent::outbox::{Arrival, Lane, Outbox};
use platen_agent::spool::{Spool, SpooledDocument};
use platen_agent::watch::{Offer, Scope, listing};
use platen_capture::{CapturedDocument, Inspection, Kind};
use platen_model::keys::{PublicKey, SigningKey};
use platen_model::{
    Decision, DeviceId, Digest, DocumentId, DocumentManifest, DocumentType, PageRecord, PageText, PolicyRef,
    Verdict, durable,
};
use stand_in::{Cloud, Fault};

const CHUNK_BYTES: u64 = 1_000;

struct Office {
    folder: tempfile::TempDir,
    spool: Spool,
    outbox: Outbox,
    id: DocumentId,
    tools: Arc<Tools>,
    wire: Wire,
    cloud: Arc<Cloud>,
}

impl Office {
    fn document(&self) -> SpooledDocument {
        self.spool.open_document(self.id).expect("the document is in the spool")
    }

    async fn deliver(&self) -> Result<(), Trouble> {
        match self.carry(Load::Everything).await? {
            Delivery::Whole(receipt) => {
                self.outbox.delivered(&receipt, Timestamp::now()).expect("the outbox")
            }
            Delivery::OriginalsOwed => panic!("everything was sent"),
        }
        Ok(())
    }

    async fn carry(&self, load: Load) -> Result<Delivery, Trouble> {
        let lease = self.outbox.lease(Lane::Documents, true, Timestamp::now()).expect("the outbox");
        let lease = lease.expect("the document is due");
        carry(Arc::clone(&self.tools), self.wire.clone(), lease, load).await.1
    }
}

/// An office with one finished document in its spool, whose original has `bytes` bytes.
async fn office(bytes: usize) -> Office {
    office_behind(bytes, &CloudConfig::default(), str::to_owned).await
}

/// The same with these settings. `front` stands before the cloud whose address it is given, and answers its own.
async fn office_behind(bytes: usize, config: &CloudConfig, front: impl FnOnce(&str) -> String) -> Office {
    office_in_chunks(bytes, CHUNK_BYTES, config, front).await
}

/// The same, whose requests have at most so many bytes.
async fn office_in_chunks(
    bytes: usize,
    chunk_bytes: u64,
    config: &CloudConfig,
    front: impl FnOnce(&str) -> String,
) -> Office {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let device = DeviceId::new();
    let key = SigningKey::generate().expect("randomness");
    let id = store_one(&folder, &spool, device, bytes);
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    outbox.enqueue(&[Arrival::plain(id)], Timestamp::now()).expect("enqueued");
    let cloud = stand_in::start(device, key.public()).await;
    let url = front(&cloud.url);
    cloud.public_url.lock().expect("unpoisoned").clone_from(&url);
    let wire = Wire::new(config, &url, Duration::from_secs(30)).expect("a client");
    let badge = Badge { url, device, key, receipt_key: cloud.receipt_key() };
    let tools = Tools::new(spool.clone(), outbox.clone(), badge, chunk_bytes, Bandwidth::new(None));
    Office { folder, spool, outbox, id, tools: Arc::new(tools), wire, cloud }
}

/// Claims a file from a hot folder and stores a document as the capture path would.
fn store_one(folder: &tempfile::TempDir, spool: &Spool, device: DeviceId, bytes: usize) -> DocumentId {
    let inbox = folder.path().join("inbox");
    std::fs::create_dir(&inbox).expect("a hot folder");
    let scan: Vec<u8> = (0..bytes).map(|index| (index * 7 % 251) as u8).collect();
    std::fs::write(inbox.join("scan.tif"), scan).expect("a scan");
    let source = Source::new("desk", &inbox);
    let files = listing::list(&inbox, &Scope::of(&source), |_| false).expect("a listing").files;
    let offer = Offer { files, markers: Vec::new(), stack: None, why: "a test" };
    let ledger = Ledger::open(folder.path()).expect("a ledger");
    let claimed = claim(spool, &source, &offer).expect("readable").expect("unchanged");
    let Release::Done(released) = claimed.release(&ledger, &NoStop) else {
        panic!("the source can be removed")
    };

    let pdf = released.folder.join("document-1.pdf");
    let written = durable::write(&pdf, b"%PDF-1.7 small").expect("a PDF");
    let policy = PolicyRef { name: "classification".into(), version: "1".into(), sha256: Digest::of(b"") };
    let decision = Decision {
        document_type: DocumentType::unknown(),
        confidence: 0.0,
        verdict: Verdict::Review,
        reasons: Vec::new(),
        fields: BTreeMap::new(),
        line_items: Vec::new(),
        policy,
    };
    let document = CapturedDocument {
        copy_of_signed: false,
        pdfa: platen_capture::PdfA::A2b,
        pdfa_breaches: Vec::new(),
        department: None,
        batch: None,
        text: PageText::new(vec![PageRecord::default()]),
        blank_pages: 0,
        decision,
        pdf,
        pdf_sha256: written.sha256(),
        pdf_bytes: written.bytes(),
    };
    let inspection = Inspection::plain(Kind::Tiff, 1);
    let ids = spool.store_documents(&released.record, &[inspection], &[document], device, Timestamp::now());
    ids.expect("stored")[0]
}

/// What the cloud holds is what the spool held, once.
fn check_arrived(office: &Office) {
    let document = office.document();
    let cloud = office.cloud.lock();
    assert_eq!(cloud.manifests, std::slice::from_ref(&document.manifest_bytes), "one document, once");
    for (index, part) in document.manifest.parts.iter().enumerate() {
        let kept = std::fs::read(document.part_file(index)).expect("a part");
        assert_eq!(cloud.blobs.get(&part.sha256), Some(&kept), "{:?}", part.role);
    }
    assert!(cloud.faults.is_empty(), "every fault was met");
}

#[tokio::test]
async fn a_document_arrives_whole_and_leaves_the_spool_against_its_receipt() {
    let office = office(3_500).await;
    office.deliver().await.expect("delivered");
    check_arrived(&office);
    let receipt = office.document().receipted(&office.cloud.receipt_key()).expect("the receipt is kept");
    office.spool.remove_delivered(&receipt).expect("removed");
    assert_eq!(office.spool.document_ids().expect("ids"), []);
}

#[tokio::test]
async fn the_receipt_of_a_key_that_followed_on_the_known_one_is_believed() {
    let office = office(100).await;
    office.cloud.will(&[Fault::RenewedKey]);
    office.deliver().await.expect("delivered");
    check_arrived(&office);
    office.document().receipted(&office.cloud.receipt_key()).expect("after a restart too");
}

#[tokio::test]
async fn cuts_lost_answers_and_forgotten_uploads_do_no_harm() {
    for faults in [
        vec![Fault::HalfAChunk],
        vec![Fault::LostAnswer],
        vec![Fault::Amnesia],
        // What is kept of a cut chunk is not checked: it shows at the end, and the part is sent anew.
        vec![Fault::FlippedHalf],
        vec![Fault::HalfAChunk, Fault::LostAnswer, Fault::HalfAChunk, Fault::Amnesia],
    ] {
        let office = office(5_000).await;
        office.cloud.will(&faults);
        office.deliver().await.unwrap_or_else(|trouble| panic!("{faults:?}: {trouble}"));
        check_arrived(&office);
    }
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_cut_and_sends_no_byte_twice() {
    let office = office(5_000).await;
    office.cloud.will(&[Fault::HalfAChunk; 3]);
    office.deliver().await.expect("each cut came after some progress");
    let document = office.document();
    let all: u64 = document.manifest.parts.iter().map(|part| part.bytes).sum();
    assert_eq!(office.cloud.lock().bytes_taken, all);
}

#[tokio::test]
async fn a_proxy_that_takes_only_small_requests_gets_small_ones() {
    let office = office_in_chunks(200_000, 4 << 20, &CloudConfig::default(), str::to_owned).await;
    office.cloud.lock().longest_body = Some(30_000);
    office.deliver().await.expect("in small pieces");
    check_arrived(&office);
}

#[tokio::test]
async fn a_delivered_document_that_cannot_be_read_is_kept_and_holds_up_no_other() {
    let office = office(100).await;
    office.deliver().await.expect("delivered");
    let manifest = office.spool.document(office.id).join("manifest.json");
    std::fs::write(&manifest, b"rot").expect("a disk fails");
    let other = DocumentId::from_uuid(uuid::Uuid::now_v7());
    office.outbox.enqueue(&[Arrival::plain(other)], Timestamp::now()).expect("enqueued");

    let keep = SignedDuration::from_hours(1);
    let policy = Policy { at_once: 4, keep, windows: Windows::always() };
    let mut dispatcher = Dispatcher::new(policy);
    let later = Timestamp::now() + SignedDuration::from_hours(2);
    let key = office.cloud.receipt_key();
    dispatcher.remove_expired(&office.spool, &office.outbox, &key, later).expect("nothing else is harmed");
    assert!(manifest.exists(), "it is kept");
    assert_eq!(office.outbox.expired(keep, later), None, "and looked at again after its time");
    let begun = dispatcher.begin(&office.outbox, true, later).expect("the outbox works");
    assert_eq!(begun.iter().map(|(lease, _)| lease.id()).collect::<Vec<_>>(), [other]);
}

#[tokio::test]
async fn a_removal_that_failed_rests_a_minute_and_is_then_tried_again() {
    let office = office(100).await;
    office.deliver().await.expect("delivered");
    let manifest = office.spool.document(office.id).join("manifest.json");
    let bytes = std::fs::read(&manifest).expect("a manifest");
    std::fs::write(&manifest, b"rot").expect("a disk fails");

    // Nothing is kept, so that its time is over again at once.
    let policy = Policy { at_once: 4, keep: SignedDuration::ZERO, windows: Windows::always() };
    let mut dispatcher = Dispatcher::new(policy);
    let (key, failed) = (office.cloud.receipt_key(), Timestamp::now() + SignedDuration::from_secs(1));
    let mut remove = |seconds: i64| {
        let now = failed + SignedDuration::from_secs(seconds);
        dispatcher.remove_expired(&office.spool, &office.outbox, &key, now).expect("nothing else is harmed");
        office.spool.document_ids().expect("ids").len()
    };
    assert_eq!(remove(0), 1, "it cannot be read");
    std::fs::write(&manifest, bytes).expect("the disk is mended");
    assert_eq!(remove(59), 1, "it rests");
    assert_eq!(remove(61), 0);
}

#[tokio::test]
async fn a_lost_answer_to_the_manifest_is_answered_again_with_the_same_receipt() {
    let office = office(100).await;
    let parts = office.document().manifest.parts.clone();
    // The parts are there already, so that the fault meets the manifest.
    for (index, part) in parts.iter().enumerate() {
        let bytes = std::fs::read(office.document().part_file(index)).expect("a part");
        office.cloud.lock().blobs.insert(part.sha256, bytes);
    }
    office.cloud.will(&[Fault::LostAnswer]);
    let trouble = office.deliver().await.expect_err("the answer was lost");
    assert!(matches!(trouble, Trouble::Server(_)), "{trouble}");
    assert_eq!(office.cloud.lock().bytes_taken, 0, "what is there is not sent");
    office.deliver().await.expect("the second time");
    check_arrived(&office);
}

#[tokio::test]
async fn what_the_cloud_asks_for_is_passed_on() {
    let office = office(100).await;
    office.cloud.will(&[Fault::Busy]);
    match office.deliver().await {
        Err(Trouble::Busy { asked_ms, .. }) => assert_eq!(asked_ms, Some(7_000)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn inv3_a_receipt_that_names_other_bytes_is_no_proof() {
    for fault in [Fault::WrongReceipt, Fault::ForeignReceipt, Fault::Refusal] {
        let office = office(100).await;
        // A refusal is met twice: after the first, every part is asked for once more.
        office.cloud.will(if fault == Fault::Refusal {
            &[Fault::Refusal; 2]
        } else {
            std::slice::from_ref(&fault)
        });
        let trouble = office.deliver().await.expect_err("no proof");
        assert!(matches!(trouble, Trouble::Person(_)), "{fault:?}: {trouble}");
        assert!(office.document().receipted(&office.cloud.receipt_key()).is_none(), "{fault:?}");
        assert!(office.outbox.get(office.id).expect("the outbox").expect("an entry").is_waiting());
    }
}

#[tokio::test]
async fn damage_in_the_spool_is_seen_before_it_is_sent() {
    let office = office(100).await;
    let original = office.document().part_file(0);
    std::fs::write(&original, [0u8; 100]).expect("a disk fails");
    let trouble = office.deliver().await.expect_err("the bytes are not what was claimed");
    assert!(trouble.to_string().contains("damaged"), "{trouble}");
    assert_eq!(office.cloud.lock().bytes_taken, 0);
    assert_eq!(office.document().damage().len(), 1);
}

#[tokio::test]
async fn inv2_a_kept_receipt_counts_even_when_the_database_is_lost() {
    let office = office(100).await;
    office.carry(Load::Everything).await.expect("delivered, but not yet noted");
    let Office { folder, spool, outbox, id, cloud, tools, .. } = office;
    drop((outbox, tools));
    durable::remove_folder(&folder.path().join("outbox")).expect("the database is lost");
    let outbox = Outbox::open(folder.path()).expect("a new one");
    outbox
        .reconcile(&spool, &cloud.receipt_key(), &Default::default(), Timestamp::now())
        .expect("reconciled");
    let entry = outbox.get(id).expect("the outbox").expect("an entry");
    assert!(!entry.is_waiting(), "it will not be delivered twice");
}

#[tokio::test]
async fn inv5_a_document_from_before_the_device_was_enrolled_anew_goes_as_it_is_under_its_new_name() {
    let office = office(2_500).await;
    let before = handed_over_to_another(&office);
    // A part was on its way when the device became another.
    office.cloud.will(&[Fault::HalfAChunk, Fault::Amnesia]);
    office.deliver().await.expect("delivered");
    let after = office.document();
    assert_eq!(after.manifest.device_id, Some(office.cloud.device));
    let named_as_before = DocumentManifest { device_id: before.device_id, ..after.manifest.clone() };
    assert_eq!(named_as_before, before, "id, digests and all else stayed");
    assert_eq!(office.cloud.lock().manifests, [after.manifest_bytes], "one manifest is committed");
}

#[tokio::test]
async fn inv5_a_document_that_arrived_before_the_device_was_enrolled_anew_keeps_its_manifest() {
    let office = office(2_500).await;
    handed_over_to_another(&office);
    let known = office.document().manifest_bytes;
    // Its receipt was lost on its way.
    office.cloud.lock().manifests.push(known.clone());
    office.deliver().await.expect("delivered");
    assert_eq!(office.document().manifest_bytes, known);
    assert_eq!(office.cloud.lock().manifests, [known]);
}

#[tokio::test]
async fn inv3_what_the_cloud_from_before_receipted_is_delivered_and_not_sent_to_the_next() {
    let office = office(2_500).await;
    office.deliver().await.expect("delivered");
    let document = |keys: &[PublicKey]| {
        office.spool.clone().trusting(keys).open_document(office.id).expect("the document is in the spool")
    };
    let next = SigningKey::generate().expect("randomness").public();
    assert!(document(&[]).receipted(&next).is_none(), "nobody knows that cloud");
    let receipt = document(&[office.cloud.receipt_key()]).receipted(&next).expect("it was ours");
    assert_eq!(receipt.document_id(), office.id);
}

/// The document as it would be had another device captured it.
fn handed_over_to_another(office: &Office) -> DocumentManifest {
    let mut document = office.document();
    document.hand_over_to(DeviceId::new()).expect("written");
    document.manifest
}
