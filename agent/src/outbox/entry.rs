//! One record of the outbox.

use std::collections::BTreeMap;

use jiff::Timestamp;
use platen_model::{Digest, DocumentId};
use serde::{Deserialize, Serialize};

/// The priority of everything that was given none. Lower goes first.
pub const PRIORITY_NORMAL: u8 = 100;

/// A document that is to be delivered, or was and is still kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The document.
    pub document_id: DocumentId,
    /// Lower goes first; among equals the oldest.
    pub priority: u8,
    /// When it was put in.
    pub enqueued_at: Timestamp,
    /// Failed attempts so far.
    pub attempt_count: u32,
    /// Not to be tried before this.
    pub next_try: Timestamp,
    /// What the last attempt failed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The cloud refused it in a way that time alone will not heal. It is kept, and tried on rarely.
    #[serde(default)]
    pub needs_person: bool,
    /// Uploads under way: the part's digest and the upload's address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uploads: BTreeMap<String, String>,
    /// The cloud's receipt, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

impl Entry {
    /// A document that was never tried.
    pub fn new(document_id: DocumentId, now: Timestamp) -> Self {
        Self {
            document_id,
            priority: PRIORITY_NORMAL,
            enqueued_at: now,
            attempt_count: 0,
            next_try: now,
            last_error: None,
            needs_person: false,
            uploads: BTreeMap::new(),
            delivered: None,
        }
    }

    /// Whether it still has to be delivered.
    pub fn is_waiting(&self) -> bool {
        self.delivered.is_none()
    }

    /// Whether it should be tried now.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.is_waiting() && self.next_try <= now
    }
}
