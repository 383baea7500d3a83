//! The outbox alone: order, durability, rebuilding.

use super::*;
use platen_model::CaptureId;

fn ids(outbox: &Outbox) -> Vec<DocumentId> {
    outbox.entries().expect("the outbox").iter().map(|entry| entry.document_id).collect()
}

#[test]
fn a_record_is_there_after_opening_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let id = CaptureId::new().document(0);
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    outbox.enqueue(&[id], Timestamp::now()).expect("enqueued");
    outbox.change(id, |entry| entry.attempt_count = 7).expect("changed");
    drop(outbox);
    let outbox = Outbox::open(folder.path()).expect("again");
    assert_eq!(outbox.get(id).expect("the outbox").map(|entry| entry.attempt_count), Some(7));
}

#[test]
fn records_come_in_the_order_of_their_claims() {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    let mut claimed: Vec<DocumentId> = (0..20).map(|_| CaptureId::new().document(0)).collect();
    claimed.reverse();
    outbox.enqueue(&claimed, Timestamp::now()).expect("enqueued");
    claimed.sort();
    assert_eq!(ids(&outbox), claimed);
    outbox.change(claimed[9], |entry| entry.priority = 1).expect("changed");
    assert_eq!(ids(&outbox)[0], claimed[9], "priority goes before age");
}

#[test]
fn a_document_put_in_twice_is_there_once_and_keeps_its_attempts() {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    let id = CaptureId::new().document(0);
    outbox.enqueue(&[id], Timestamp::now()).expect("enqueued");
    outbox.change(id, |entry| entry.attempt_count = 3).expect("changed");
    outbox.enqueue(&[id], Timestamp::now()).expect("again");
    assert_eq!(
        outbox.entries().expect("the outbox").iter().map(|it| it.attempt_count).collect::<Vec<_>>(),
        [3]
    );
}

#[test]
fn records_of_documents_that_left_the_spool_are_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    outbox.enqueue(&[CaptureId::new().document(0)], Timestamp::now()).expect("enqueued");
    outbox.reconcile(&spool, &PublicKey(String::new()), Timestamp::now()).expect("reconciled");
    assert_eq!(ids(&outbox), []);
}
