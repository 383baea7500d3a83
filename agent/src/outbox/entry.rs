//! One record of the outbox.
//!
//! ```text
//! key    'd' and the document's id, 16 bytes
//! value  version, 1 byte; checksum, 8 bytes; JSON without what has its default
//! ```
//!
//! The checksum covers key and JSON: a byte that flipped on the disk is found when the record is read, not believed.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;
use platen_model::{Digest, DocumentId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The priority of everything that was given none. Lower goes first.
pub const PRIORITY_NORMAL: u8 = 100;
/// The version of records written by this release.
const RECORD_VERSION: u8 = 1;
/// The first byte of the keys of records.
const KEY_TAG: u8 = b'd';
/// Bytes of a record's checksum.
const CHECKSUM_BYTES: usize = 8;
/// A document of more bytes is large: it leaves room for small ones beside it.
pub const LARGE_BYTES: u64 = 4 << 20;

/// A document that is to be delivered, or was and is still kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The document.
    pub document_id: DocumentId,
    /// Lower goes first; among equals the oldest.
    pub priority: u8,
    /// Length of all parts in bytes; 0 where unknown.
    pub bytes: u64,
    /// When it was put in.
    pub enqueued_at: Timestamp,
    /// Failed attempts so far.
    pub attempt_count: u32,
    /// Not to be tried before this.
    pub next_try: Timestamp,
    /// What the last attempt failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The cloud refused it in a way that time alone will not heal. It is kept, and tried on rarely.
    pub needs_person: bool,
    /// Uploads under way: the part's digest and the upload's address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uploads: BTreeMap<String, String>,
    /// The cloud has everything but the originals, which wait for a cheap link.
    pub originals_owed: bool,
    /// The cloud's receipt, once there is one for everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<Delivered>,
}

/// That the cloud has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Digest of the receipt.
    pub receipt_sha256: Digest,
    /// When the receipt was kept.
    pub at: Timestamp,
}

/// The JSON of a record: short, since there may be a million.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default = "normal", skip_serializing_if = "is_normal")]
    priority: u8,
    #[serde(default, skip_serializing_if = "is_zero")]
    bytes: u64,
    enqueued_ms: i64,
    #[serde(default, skip_serializing_if = "is_zero_count")]
    attempt_count: u32,
    /// Absent where it is the time of enqueuing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_try_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    needs_person: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    uploads: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    originals_owed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivered: Option<Delivered>,
}

fn normal() -> u8 {
    PRIORITY_NORMAL
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_normal(priority: &u8) -> bool {
    *priority == PRIORITY_NORMAL
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero_count(number: &u32) -> bool {
    *number == 0
}

/// The key of a document's record.
pub(super) fn key_of(id: DocumentId) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(KEY_TAG);
    key.extend_from_slice(id.as_uuid().as_bytes());
    key
}

/// The document of a key; `None` for a key that is no record's.
pub(super) fn id_of(key: &[u8]) -> Option<DocumentId> {
    let (tag, id) = key.split_first()?;
    (*tag == KEY_TAG).then(|| Uuid::from_slice(id).ok().map(DocumentId::from_uuid))?
}

/// A checked value: version, checksum over key and content, content.
pub(super) fn seal(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + CHECKSUM_BYTES + content.len());
    value.push(RECORD_VERSION);
    value.extend_from_slice(&checksum(key, content));
    value.extend_from_slice(content);
    value
}

/// The content of a checked value.
pub(super) fn unseal<'v>(key: &[u8], value: &'v [u8]) -> io::Result<&'v [u8]> {
    let damaged = |what| io::Error::new(io::ErrorKind::InvalidData, format!("a record of the outbox {what}"));
    let (version, rest) = value.split_first().ok_or_else(|| damaged("is empty"))?;
    if *version != RECORD_VERSION {
        return Err(damaged("is damaged, or was written by another release"));
    }
    match rest.split_at_checked(CHECKSUM_BYTES) {
        Some((sum, content)) if sum == checksum(key, content) => Ok(content),
        _ => Err(damaged("is damaged: its checksum does not hold")),
    }
}

fn checksum(key: &[u8], content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Digest::of_parts(&[key, content]);
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest.as_bytes()[..CHECKSUM_BYTES]);
    sum
}

impl Entry {
    /// A document that was never tried.
    pub fn new(document_id: DocumentId, now: Timestamp) -> Self {
        Self {
            document_id,
            priority: PRIORITY_NORMAL,
            bytes: 0,
            enqueued_at: now,
            attempt_count: 0,
            next_try: now,
            last_error: None,
            needs_person: false,
            uploads: BTreeMap::new(),
            originals_owed: false,
            delivered: None,
        }
    }

    /// Whether the cloud does not have all of it.
    pub fn is_waiting(&self) -> bool {
        self.delivered.is_none()
    }

    /// Whether it is large.
    pub fn is_large(&self) -> bool {
        self.bytes > LARGE_BYTES
    }

    /// The record's value in the database.
    pub(super) fn to_value(&self) -> Vec<u8> {
        let stored = Stored {
            priority: self.priority,
            bytes: self.bytes,
            enqueued_ms: self.enqueued_at.as_millisecond(),
            attempt_count: self.attempt_count,
            next_try_ms: (self.next_try != self.enqueued_at).then(|| self.next_try.as_millisecond()),
            last_error: self.last_error.clone(),
            needs_person: self.needs_person,
            uploads: self.uploads.clone(),
            originals_owed: self.originals_owed,
            delivered: self.delivered.clone(),
        };
        let json = serde_json::to_vec(&stored).expect("plain values have a JSON form");
        seal(&key_of(self.document_id), &json)
    }

    /// The record of a value that was stored under this document's key.
    ///
    /// # Errors
    ///
    /// Where the bytes are not those that were written.
    pub(super) fn of_value(document_id: DocumentId, value: &[u8]) -> io::Result<Self> {
        let stored: Stored = serde_json::from_slice(unseal(&key_of(document_id), value)?)?;
        let at = |ms| Timestamp::from_millisecond(ms).map_err(io::Error::other);
        let enqueued_at = at(stored.enqueued_ms)?;
        Ok(Self {
            document_id,
            priority: stored.priority,
            bytes: stored.bytes,
            enqueued_at,
            attempt_count: stored.attempt_count,
            next_try: stored.next_try_ms.map_or(Ok(enqueued_at), at)?,
            last_error: stored.last_error,
            needs_person: stored.needs_person,
            uploads: stored.uploads,
            originals_owed: stored.originals_owed,
            delivered: stored.delivered,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platen_model::CaptureId;

    fn entry() -> Entry {
        let now = Timestamp::from_millisecond(1_700_000_000_123).expect("a time");
        let capture = CaptureId::from_uuid(Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001));
        Entry::new(capture.document(0), now)
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let mut full = entry();
        full.priority = 1;
        full.bytes = 1 << 40;
        full.attempt_count = 3;
        full.next_try = Timestamp::from_millisecond(1_700_000_005_000).expect("a time");
        full.last_error = Some("no".into());
        full.needs_person = true;
        full.uploads.insert("part".into(), "address".into());
        full.originals_owed = true;
        full.delivered = Some(Delivered { receipt_sha256: Digest::of(b"r"), at: full.next_try });
        for entry in [entry(), full] {
            let read = Entry::of_value(entry.document_id, &entry.to_value()).expect("our own bytes");
            assert_eq!(read, entry);
        }
        assert!(entry().to_value().len() < 60, "a million of them must fit");
    }

    #[test]
    fn what_the_daemon_tells_of_a_record_is_understood() {
        let json = serde_json::to_string(&entry()).expect("plain data");
        assert_eq!(serde_json::from_str::<Entry>(&json).expect("our own words"), entry());
    }

    #[test]
    fn a_flipped_byte_anywhere_in_a_record_is_found() {
        let entry = entry();
        let value = entry.to_value();
        for index in 0..value.len() {
            let mut flipped = value.clone();
            flipped[index] ^= 0x10;
            Entry::of_value(entry.document_id, &flipped).expect_err("a flipped byte");
        }
        Entry::of_value(CaptureId::new().document(0), &value).expect_err("another document's record");
    }
}
