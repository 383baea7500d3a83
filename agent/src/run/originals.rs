//! A person's wish that originals go now, whatever their bytes cost.
//!
//! It holds for the documents that owed them when it was said, and ends with the last of these: one that cannot go must
//! not make all later ones dear.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use platen_model::DocumentId;

use crate::outbox::Outbox;

/// The documents whose originals were asked for and have not gone yet.
#[derive(Debug, Default)]
pub(super) struct OriginalsOrder(Mutex<VecDeque<DocumentId>>);

impl OriginalsOrder {
    /// Asks for the originals that are owed now. Answers of how many documents they are.
    pub(super) fn ask(&self, outbox: &Outbox) -> io::Result<usize> {
        let mut owing = VecDeque::new();
        for id in outbox.owing_originals() {
            if is_to_go(outbox, id)? {
                owing.push_back(id);
            }
        }
        let count = owing.len();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = owing;
        Ok(count)
    }

    /// Whether some that were asked for are still to go.
    pub(super) fn is_open(&self, outbox: &Outbox) -> bool {
        let mut owing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only as far as the first that is to go: this is asked at every look, and there may be very many.
        while let Some(id) = owing.front() {
            // An outbox that cannot be read says nothing of it.
            if is_to_go(outbox, *id).unwrap_or(true) {
                return true;
            }
            owing.pop_front();
        }
        false
    }
}

/// Whether a document owes its originals, and time alone may bring them to the cloud.
fn is_to_go(outbox: &Outbox, id: DocumentId) -> io::Result<bool> {
    let entry = outbox.get(id)?;
    Ok(entry.is_some_and(|entry| entry.is_waiting() && entry.originals_owed && !entry.needs_person))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use platen_model::{CaptureId, Digest};

    use super::*;
    use crate::outbox::{Arrival, Delivered};

    #[test]
    fn the_wish_ends_with_the_documents_it_was_said_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(folder.path()).expect("an outbox");
        let now = Timestamp::now();
        let ids: Vec<DocumentId> = (0..3).map(|_| CaptureId::new().document(0)).collect();
        let owe = |id: DocumentId| {
            outbox.enqueue(&[Arrival::plain(id)], now).expect("enqueued");
            outbox.change(id, now, |entry| entry.originals_owed = true).expect("changed");
        };
        let order = OriginalsOrder::default();
        assert!(!order.is_open(&outbox), "nobody asked");
        ids[..2].iter().for_each(|id| owe(*id));
        assert_eq!(order.ask(&outbox).expect("the outbox works"), 2);
        owe(ids[2]);
        assert!(order.is_open(&outbox));

        let refused = outbox.change(ids[0], now, |entry| entry.needs_person = true);
        refused.expect("changed");
        assert!(order.is_open(&outbox), "the other one is still to go");
        let delivered = outbox.change(ids[1], now, |entry| {
            entry.originals_owed = false;
            entry.delivered = Some(Delivered { receipt_sha256: Digest::of(b"receipt"), at: now });
        });
        delivered.expect("changed");
        assert!(!order.is_open(&outbox), "neither the refused one nor the later one keeps it open");
        assert_eq!(order.ask(&outbox).expect("the outbox works"), 1, "the later one, once it is asked for");
        assert!(order.is_open(&outbox));
    }
}
