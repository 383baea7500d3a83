//! Claims about what verification finds.

use std::io::Cursor;

use jiff::Timestamp;
use platen_model::event::Actor;
use platen_model::keys::SigningKey;
use platen_model::manifest::{MANIFEST_VERSION, SignedReceipt};
use platen_model::{
    CaptureId, CorrelationId, Decision, DeviceId, DocumentId, DocumentType, EnvelopeId, Part, PolicyRef,
    Verdict,
};

use super::super::package::{Content, Packer};
use super::*;

/// What a package of a signed one-page scan is made of.
struct Story {
    files: Vec<(String, Vec<u8>)>,
    bodies: Vec<EventBody>,
    decision: Decision,
    document_id: DocumentId,
}

impl Story {
    /// The same scan, to which something else happened.
    fn retold(mut self, bodies: Vec<EventBody>) -> Self {
        self.put(entry::EVENTS, chain(self.document_id, &bodies));
        Self { bodies, ..self }
    }

    fn put(&mut self, name: &str, bytes: Vec<u8>) {
        let file = self.files.iter_mut().find(|(file, _)| file == name).expect("it is in the story");
        file.1 = bytes;
    }

    fn report(&self) -> Report {
        verify(Cursor::new(pack(self)), &Pool::in_process(1))
    }
}

/// The lines of events with these bodies.
fn chain(document_id: DocumentId, bodies: &[EventBody]) -> Vec<u8> {
    let mut events = Vec::new();
    let mut previous = Event::origin(document_id);
    for (sequence, body) in (1..).zip(bodies.iter().cloned()) {
        let (at, actor) = (Timestamp::UNIX_EPOCH, Actor::System);
        let bytes = Event { document_id, sequence, at, actor, body, previous }.to_bytes();
        previous = Digest::of(&bytes);
        events.extend(bytes);
        events.push(b'\n');
    }
    events
}

fn sent(document_sha256: Digest) -> EventBody {
    EventBody::EnvelopeCreated { envelope_id: EnvelopeId::new(), provider: "desk".into(), document_sha256 }
}

fn part(role: PartRole, bytes: &[u8], file_name: Option<&str>) -> Part {
    let (sha256, length) = (Digest::of(bytes), bytes.len() as u64);
    let file_name = file_name.map(str::to_owned);
    Part {
        role,
        sha256,
        bytes: length,
        mime: "application/octet-stream".into(),
        file_name,
        copy_of_signed: false,
    }
}

fn story() -> Story {
    story_of(false)
}

/// The story of a scan, or of a PDF that had signatures when it came: then the original itself is signed.
fn story_of(signed_before: bool) -> Story {
    let capture_id = CaptureId::new();
    let (document_id, device_id) = (capture_id.document(0), DeviceId::new());
    let (original, normalized, text) = (b"II*\0scan".to_vec(), b"%PDF-1.7 pages".to_vec(), b"{}".to_vec());
    let signed = b"%PDF-1.7 pages and a signature".to_vec();
    let mut parts = vec![
        part(PartRole::Original, &original, Some("Änderung 7.tif")),
        part(PartRole::Normalized, &normalized, None),
        part(PartRole::PageText, &text, None),
    ];
    if signed_before {
        parts[0].mime = "application/pdf".into();
        parts[1].copy_of_signed = true;
    }
    let policy = PolicyRef { name: "classification".into(), version: "1".into(), sha256: Digest::of(b"") };
    let document_type = DocumentType("nda".into());
    let decision = Decision {
        document_type,
        confidence: 0.9,
        verdict: Verdict::Auto,
        reasons: vec![],
        fields: BTreeMap::new(),
        line_items: Vec::new(),
        policy,
    };
    let told = decision.clone();
    let manifest = DocumentManifest {
        batch: None,
        rejoins: None,
        version: MANIFEST_VERSION,
        document_id,
        capture_id,
        correlation_id: CorrelationId::of_capture(capture_id),
        device_id: Some(device_id),
        source: "desk".into(),
        department: None,
        claimed_at: Timestamp::UNIX_EPOCH,
        captured_at: Timestamp::UNIX_EPOCH,
        page_count: 1,
        ocr_confidence: 0.9,
        decision,
        parts: parts.clone(),
        labels: BTreeMap::new(),
    };
    let manifest = serde_json::to_vec(&manifest).expect("plain data");
    let (device, cloud) =
        (SigningKey::generate().expect("randomness"), SigningKey::generate().expect("randomness"));
    let device_signature =
        DeviceSignature { device_id, public_key: device.public(), signature: device.sign(&manifest) };
    let receipt = Receipt {
        awaiting: Vec::new(),
        document_id,
        manifest_sha256: Digest::of(&manifest),
        parts: parts.iter().map(|part| part.sha256).collect(),
        committed_at: Timestamp::UNIX_EPOCH,
    };
    let receipt = serde_json::to_string(&receipt).expect("plain data");
    let signature = cloud.sign(receipt.as_bytes());
    let receipt = KeyedReceipt {
        receipt_key: cloud.public(),
        signed: SignedReceipt { receipt, signature, successions: Vec::new() },
    };

    let bodies = vec![
        EventBody::Received { manifest_sha256: Digest::of(&manifest), parts, awaiting: Vec::new() },
        sent(Digest::of(if signed_before { &original } else { &normalized })),
        EventBody::Signed {
            signers: vec!["ada@example.com".into()],
            signed_sha256: Digest::of(&signed),
            finding: None,
            accepted_because: None,
        },
    ];
    let events = chain(document_id, &bodies);
    let files = vec![
        (entry::original(1, "Änderung 7.tif"), original),
        (entry::NORMALIZED.into(), normalized),
        (entry::PAGE_TEXT.into(), text),
        (entry::SIGNED.into(), signed),
        (entry::MANIFEST.into(), manifest),
        (entry::MANIFEST_SIGNATURE.into(), serde_json::to_vec(&device_signature).expect("plain data")),
        (entry::RECEIPT.into(), serde_json::to_vec(&receipt).expect("plain data")),
        (entry::EVENTS.into(), events),
    ];
    Story { files, bodies, decision: told, document_id }
}

fn pack(story: &Story) -> Vec<u8> {
    let tenant = "office".parse().expect("a tenant");
    let mut packer = Packer::new(Cursor::new(Vec::new()), tenant, story.document_id);
    for (name, bytes) in &story.files {
        packer.add(name.as_str(), Content::Bytes(bytes.clone())).expect("memory cannot fail");
    }
    packer.finish().expect("memory cannot fail").into_inner()
}

#[test]
fn a_whole_package_verifies_and_is_the_same_bytes_each_time() {
    let story = story();
    let package = pack(&story);
    let report = verify(Cursor::new(&package), &Pool::in_process(1));
    assert!(report.holds(), "{report}");
    assert_eq!(package, pack(&story));
}

#[test]
fn a_flipped_bit_in_any_byte_of_any_file_is_found() {
    let story = story();
    let package = pack(&story);
    for (name, bytes) in &story.files {
        let at = package.windows(bytes.len()).position(|part| part == bytes).expect("files are stored");
        for offset in 0..bytes.len() {
            let mut flipped = package.clone();
            flipped[at + offset] ^= 1;
            assert!(!verify(Cursor::new(&flipped), &Pool::in_process(1)).holds(), "byte {offset} of {name}");
        }
    }
}

/// Whoever alters a file can alter the index too. The chain still tells.
fn check_forgery(name: &str, forge: impl Fn(&mut Vec<u8>)) {
    let mut story = story();
    let (_, bytes) = story.files.iter_mut().find(|(file, _)| file == name).expect("it is in the story");
    forge(bytes);
    let report = verify(Cursor::new(pack(&story)), &Pool::in_process(1));
    assert!(!report.holds(), "{name}: {report}");
}

#[test]
fn a_forged_file_with_a_forged_index_is_found() {
    for name in [
        entry::NORMALIZED,
        entry::SIGNED,
        entry::PAGE_TEXT,
        entry::MANIFEST,
        entry::MANIFEST_SIGNATURE,
        entry::RECEIPT,
    ] {
        check_forgery(name, |bytes| *bytes.last_mut().expect("not empty") ^= 1);
    }
    check_forgery(entry::EVENTS, |bytes| {
        let at = bytes.windows(4).position(|part| part == b"desk").expect("the provider's name");
        bytes[at] = b'D';
    });
}

#[test]
fn an_event_or_a_file_that_was_left_out_is_missed() {
    let whole = story();
    for (number, (name, _)) in whole.files.iter().enumerate() {
        let optional = name == entry::MANIFEST_SIGNATURE || name == entry::RECEIPT;
        let mut story = story();
        story.files = whole.files.clone();
        story.files.remove(number);
        story.document_id = whole.document_id;
        let report = story.report();
        assert_eq!(report.holds(), optional, "{name}: {report}");
        assert!(!optional || report.to_string().contains("note    "), "{name}: {report}");
    }
}

#[test]
fn of_a_pdf_that_was_signed_before_it_came_the_original_itself_is_what_was_sent() {
    let mut story = story_of(true);
    let report = story.report();
    assert!(report.holds(), "{report}");
    assert!(report.to_string().contains("what was sent to signing is originals/1-"), "{report}");
    let original = entry::original(1, "Änderung 7.tif");
    story.put(&original, b"another".to_vec());
    assert!(!story.report().holds());
    // Its searchable copy is what was not sent.
    let story = story_of(true);
    let copy = story.files.iter().find(|(name, _)| name == entry::NORMALIZED).expect("there");
    let mut bodies = story.bodies.clone();
    bodies[1] = sent(Digest::of(&copy.1));
    let report = story.retold(bodies).report();
    assert!(!report.holds(), "{report}");
}

#[test]
fn an_envelope_that_came_to_nothing_is_history_once_the_document_was_captured_anew() {
    let mut story = story();
    let [received, first, signed] = &story.bodies[..] else { panic!("three events") };
    let (normalized, text) = (b"%PDF-1.7 pages, read again".to_vec(), b"{ }".to_vec());
    let declined = EventBody::Declined { signer: "ada@example.com".into(), reason: "no".into() };
    let captured = EventBody::Captured {
        parts: vec![part(PartRole::Normalized, &normalized, None), part(PartRole::PageText, &text, None)],
        decision: story.decision.clone(),
    };
    let anew = EventBody::Reprocessed { reason: None };
    let unsigned = vec![received.clone(), first.clone(), declined, anew, captured];
    let again = [unsigned.clone(), vec![sent(Digest::of(&normalized)), signed.clone()]].concat();
    let stale = [unsigned.clone(), vec![first.clone(), signed.clone()]].concat();
    let unsent = vec![received.clone(), signed.clone()];
    story.put(entry::NORMALIZED, normalized);
    story.put(entry::PAGE_TEXT, text);

    let story = story.retold(again);
    assert!(story.report().holds(), "{}", story.report());
    let story = story.retold(stale);
    assert!(!story.report().holds(), "what was sent is not what it was made of by then");
    let mut story = story.retold(unsigned);
    story.files.retain(|(name, _)| name != entry::SIGNED);
    let report = story.report();
    assert!(report.holds() && report.to_string().contains("without a signature"), "{report}");
    assert!(!self::story().retold(unsent).report().holds(), "it came back, and nothing had been sent");
}

#[test]
fn values_are_told_as_people_write_them() {
    let check = |value: Option<u8>, said: &str| assert_eq!(super::plain(&value), said);
    check(Some(7), "7");
    check(None, "nothing");
    assert_eq!(super::plain(&7), "7");
}
