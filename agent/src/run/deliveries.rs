//! The outbox worked off: some documents at once while the link is up, one at a time as a probe while it is down.

use std::collections::BTreeSet;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use platen_model::DocumentId;
use tokio::task::JoinSet;

use super::Floor;
use crate::deliver::backoff::{LINK_WAIT_MS, LONGEST_WAIT_MS, REFUSED_WAIT_MS, next_try, seed_of};
use crate::deliver::{Courier, Trouble};
use crate::outbox::Entry;
use crate::spool::Receipted;

/// Documents on their way at once.
const AT_ONCE: usize = 4;
/// The longest time between two looks at the outbox.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The link as the deliveries found it.
#[derive(Debug, Default)]
struct Link {
    failures: u32,
    next_try: Option<Timestamp>,
}

/// Delivers until the agent stops.
///
/// # Errors
///
/// Where the outbox cannot be read or written. The service manager starts the agent anew, which rebuilds it.
pub(super) async fn deliver_all(floor: Arc<Floor>, courier: Arc<Courier>) -> io::Result<()> {
    let mut link = Link::default();
    let mut under_way: BTreeSet<DocumentId> = BTreeSet::new();
    let mut tasks: JoinSet<(Entry, Result<Receipted, Trouble>)> = JoinSet::new();
    loop {
        let now = Timestamp::now();
        if floor.outbox_is_behind.swap(false, Ordering::AcqRel) {
            floor.outbox.reconcile(&floor.spool, courier.receipt_key(), now)?;
        }
        let entries = floor.outbox.entries()?;
        release_delivered(&floor, &courier, &entries, now)?;
        for entry in choose(&entries, &under_way, &link, now) {
            under_way.insert(entry.document_id);
            tasks.spawn(deliver_one(Arc::clone(&floor), Arc::clone(&courier), entry));
        }
        tokio::select! {
            () = floor.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = floor.to_deliver.notified() => {}
            Some(ended) = tasks.join_next() => {
                let (entry, outcome) = ended.map_err(io::Error::other)?;
                under_way.remove(&entry.document_id);
                note(&floor, &mut link, &entry, outcome)?;
            }
        }
    }
}

/// The documents to begin now. Pure.
fn choose(entries: &[Entry], under_way: &BTreeSet<DocumentId>, link: &Link, now: Timestamp) -> Vec<Entry> {
    let at_once = match link.next_try {
        None => AT_ONCE,
        Some(next) if next <= now => 1,
        Some(_) => 0,
    };
    let free = at_once.saturating_sub(under_way.len());
    let due = entries.iter().filter(|entry| entry.is_due(now) && !under_way.contains(&entry.document_id));
    due.take(free).cloned().collect()
}

async fn deliver_one(
    floor: Arc<Floor>,
    courier: Arc<Courier>,
    entry: Entry,
) -> (Entry, Result<Receipted, Trouble>) {
    let outcome = match floor.spool.open_document(entry.document_id) {
        // Caught, so that one document which meets a defect of ours does not stop all others.
        Ok(document) => AssertUnwindSafe(courier.deliver(&document, &floor.outbox))
            .catch_unwind()
            .await
            .unwrap_or_else(|_| Err(Trouble::Person("the agent panicked; its log says where".into()))),
        Err(error) => Err(Trouble::Person(format!("the spool is damaged: {error}"))),
    };
    (entry, outcome)
}

/// Writes down how a delivery ended.
fn note(
    floor: &Floor,
    link: &mut Link,
    entry: &Entry,
    outcome: Result<Receipted, Trouble>,
) -> io::Result<()> {
    let id = entry.document_id;
    let now = Timestamp::now();
    let failures = entry.attempt_count + 1;
    let trouble = match outcome {
        Err(Trouble::Link(reason)) => {
            link.failures += 1;
            link.next_try = Some(next_try(link.failures, now, seed_of(id), LINK_WAIT_MS, None));
            if link.failures == 1 {
                tracing::warn!(%reason, "the cloud cannot be reached; documents wait in the spool");
            }
            floor.board.link_down(now, &reason);
            return Ok(());
        }
        Ok(receipt) => {
            tracing::info!(document = %id, receipt = %receipt.digest(), "delivered");
            floor.outbox.delivered(id, &receipt, now)?;
            None
        }
        Err(trouble) => Some(trouble),
    };
    if link.failures > 0 {
        tracing::info!("the cloud answers again");
    }
    *link = Link::default();
    floor.board.link_up(now);
    let Some(trouble) = trouble else { return Ok(()) };
    let (needs_person, next) = match &trouble {
        Trouble::Later { asked_ms, .. } => {
            (false, next_try(failures, now, seed_of(id), LONGEST_WAIT_MS, *asked_ms))
        }
        _ => {
            let wait = SignedDuration::from_millis(REFUSED_WAIT_MS.cast_signed());
            (true, now.checked_add(wait).unwrap_or(Timestamp::MAX))
        }
    };
    tracing::warn!(document = %id, %trouble, needs_person, attempt = failures, "not delivered");
    floor.outbox.change(id, |entry| {
        entry.attempt_count = failures;
        entry.next_try = next;
        entry.needs_person = needs_person;
        entry.last_error = Some(trouble.to_string());
    })
}

/// Removes delivered documents after their time, each against its receipt, checked once more (INV-3).
fn release_delivered(floor: &Floor, courier: &Courier, entries: &[Entry], now: Timestamp) -> io::Result<()> {
    let keep = SignedDuration::from_secs(floor.config.outbox.keep_delivered_s.cast_signed());
    for entry in entries {
        let Some(delivered) = &entry.delivered else { continue };
        if now.duration_since(delivered.at) < keep {
            continue;
        }
        let id = entry.document_id;
        match floor.spool.open_document(id) {
            Ok(document) => match document.receipted(courier.receipt_key()) {
                Some(receipt) => {
                    floor.spool.remove_delivered(&receipt)?;
                    floor.outbox.forget(id)?;
                }
                // Without a receipt that holds it is not delivered, whatever the record says.
                None => floor.outbox.change(id, |entry| entry.delivered = None)?,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => floor.outbox.forget(id)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use platen_model::CaptureId;

    #[test]
    fn while_the_link_is_down_one_document_at_a_time_is_a_probe() {
        let now = Timestamp::from_second(1_000).expect("a time");
        let later = Timestamp::from_second(1_001).expect("a time");
        let capture = CaptureId::new();
        let entries: Vec<Entry> = (0..9).map(|index| Entry::new(capture.document(index), now)).collect();
        let check = |next_try, under_way: &[DocumentId], expected| {
            let link = Link { failures: 1, next_try };
            let under_way = under_way.iter().copied().collect();
            assert_eq!(choose(&entries, &under_way, &link, now).len(), expected, "{next_try:?}");
        };
        check(None, &[], AT_ONCE);
        check(None, &[entries[0].document_id], AT_ONCE - 1);
        check(Some(now), &[], 1);
        check(Some(now), &[entries[0].document_id], 0);
        check(Some(later), &[], 0);
    }
}
