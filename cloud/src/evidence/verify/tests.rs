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
    document_id: DocumentId,
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
    let capture_id = CaptureId::new();
    let (document_id, device_id) = (capture_id.document(0), DeviceId::new());
    let (original, normalized, text) = (b"II*\0scan".to_vec(), b"%PDF-1.7 pages".to_vec(), b"{}".to_vec());
    let signed = b"%PDF-1.7 pages and a signature".to_vec();
    let parts = vec![
        part(PartRole::Original, &original, Some("Änderung 7.tif")),
        part(PartRole::Normalized, &normalized, None),
        part(PartRole::PageText, &text, None),
    ];
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
        EventBody::EnvelopeCreated {
            envelope_id: EnvelopeId::new(),
            provider: "desk".into(),
            document_sha256: Digest::of(&normalized),
        },
        EventBody::Signed {
            signers: vec!["ada@example.com".into()],
            signed_sha256: Digest::of(&signed),
            finding: None,
            accepted_because: None,
        },
    ];
    let mut events = Vec::new();
    let mut previous = Event::origin(document_id);
    for (sequence, body) in (1..).zip(bodies) {
        let (at, actor) = (Timestamp::UNIX_EPOCH, Actor::System);
        let bytes = Event { document_id, sequence, at, actor, body, previous }.to_bytes();
        previous = Digest::of(&bytes);
        events.extend(bytes);
        events.push(b'\n');
    }
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
    Story { files, document_id }
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
        let mut files = whole.files.clone();
        files.remove(number);
        let story = Story { files, document_id: whole.document_id };
        let report = verify(Cursor::new(pack(&story)), &Pool::in_process(1));
        assert_eq!(report.holds(), optional, "{name}: {report}");
        assert!(!optional || report.to_string().contains("note    "), "{name}: {report}");
    }
}
