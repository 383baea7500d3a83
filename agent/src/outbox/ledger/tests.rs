//! The outbox over sled: order, durability, rebuilding, bounded space.

use super::*;
use crate::outbox::store::sled::SledEngine;
use platen_model::CaptureId;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

fn ids(outbox: &Outbox) -> Vec<DocumentId> {
    outbox.entries(usize::MAX).expect("the outbox").iter().map(|entry| entry.document_id).collect()
}

fn put_in(outbox: &Outbox, ids: &[DocumentId]) {
    let arrivals: Vec<Arrival> = ids.iter().map(|id| Arrival::plain(*id)).collect();
    outbox.enqueue(&arrivals, now()).expect("enqueued");
}

fn no_key() -> PublicKey {
    PublicKey(String::new())
}

#[test]
fn a_record_is_there_after_opening_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let id = CaptureId::new().document(0);
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    put_in(&outbox, &[id]);
    outbox.change(id, now(), |entry| entry.attempt_count = 7).expect("changed");
    drop(outbox);
    let outbox = Outbox::open(folder.path()).expect("again");
    assert_eq!(outbox.get(id).expect("the outbox").map(|entry| entry.attempt_count), Some(7));
    assert_eq!(outbox.health().expect("health").rebuilt, None);
}

#[test]
fn documents_are_leased_by_priority_then_in_the_order_of_their_claims() {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    let mut claimed: Vec<DocumentId> = (0..20).map(|_| CaptureId::new().document(0)).collect();
    claimed.reverse();
    put_in(&outbox, &claimed);
    claimed.sort();
    assert_eq!(ids(&outbox), claimed);
    outbox.change(claimed[9], now(), |entry| entry.priority = 1).expect("changed");
    let lease = |outbox: &Outbox| outbox.lease(Lane::Documents, true, now()).expect("the outbox");
    let first = lease(&outbox).expect("one is due");
    assert_eq!(first.id(), claimed[9], "priority goes before age");
    let second = lease(&outbox).expect("one is due");
    assert_eq!(second.id(), claimed[0], "what is leased is nobody else's");
    drop(first);
    assert_eq!(lease(&outbox).map(|lease| lease.id()), Some(claimed[9]), "until the lease ends");
}

#[test]
fn a_document_put_in_twice_is_there_once_and_keeps_its_attempts() {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    let id = CaptureId::new().document(0);
    put_in(&outbox, &[id]);
    outbox.change(id, now(), |entry| entry.attempt_count = 3).expect("changed");
    put_in(&outbox, &[id]);
    let counts: Vec<u32> =
        outbox.entries(9).expect("the outbox").iter().map(|entry| entry.attempt_count).collect();
    assert_eq!(counts, [3]);
}

#[test]
fn records_of_documents_that_left_the_spool_are_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    put_in(&outbox, &[CaptureId::new().document(0)]);
    outbox.reconcile(&spool, &no_key(), &Priorities::new(), now()).expect("reconciled");
    assert_eq!(ids(&outbox), []);
}

/// Fills an outbox, lets `harm` loose on its database's files, and expects it to be set aside and rebuilt.
fn check_rebuilt(harm: impl Fn(&Path)) {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let id = CaptureId::new().document(0);
    std::fs::create_dir(spool.document(id)).expect("a document's folder");
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    put_in(&outbox, &[id]);
    drop(outbox);
    harm(&folder.path().join("outbox/1"));
    let outbox = Outbox::open(folder.path()).expect("it opens all the same");
    outbox.reconcile(&spool, &no_key(), &Priorities::new(), now()).expect("reconciled");
    assert_eq!(ids(&outbox), [id]);
    let health = outbox.health().expect("health");
    assert_eq!(health.set_aside, ["outbox/broken-1"], "kept for whoever wants to know why");
    assert!(health.rebuilt.is_some_and(|why| why.contains("broken-1")));
    assert_eq!(outbox.verify(), (1, Vec::new()));
}

#[test]
fn inv2_a_database_of_garbage_is_set_aside_and_rebuilt() {
    check_rebuilt(|database| {
        for entry in std::fs::read_dir(database).expect("the database") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                std::fs::write(path, b"rubbish rubbish rubbish").expect("a disk fails");
            }
        }
    });
}

/// An outbox one of whose databases was set aside before.
fn check_rebuilt_twice(harm: impl Fn(&Path)) {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let id = CaptureId::new().document(0);
    std::fs::create_dir(spool.document(id)).expect("a document's folder");
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    lock(&outbox.inner).broken(&io::Error::other("the disk failed"));
    outbox.begin_anew().expect("begun anew");
    put_in(&outbox, &[id]);
    drop(outbox);
    let databases = folder.path().join("outbox");
    harm(&databases);
    // Twice: what the first start makes of it must be whole for the second.
    for _ in 0..2 {
        let outbox = Outbox::open(folder.path()).expect("it opens all the same");
        outbox.reconcile(&spool, &no_key(), &Priorities::new(), now()).expect("reconciled");
        assert_eq!(ids(&outbox), [id]);
        assert_eq!(outbox.verify(), (1, Vec::new()));
    }
}

#[test]
fn inv2_whatever_becomes_of_the_file_that_names_the_database_the_outbox_opens() {
    let current = |databases: &Path| databases.join("current");
    let named = "2 2\n";
    for bit in 0..named.len() * 8 {
        check_rebuilt_twice(|databases| {
            let mut bytes = std::fs::read(current(databases)).expect("it is there");
            assert_eq!(bytes, named.as_bytes());
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(current(databases), bytes).expect("written");
        });
    }
    for length in 0..named.len() {
        check_rebuilt_twice(|databases| {
            std::fs::write(current(databases), &named[..length]).expect("written");
        });
    }
    check_rebuilt_twice(|databases| {
        platen_model::durable::remove_file(&current(databases)).expect("removed")
    });
    // It names the one that was set aside, which somebody put back, broken.
    check_rebuilt_twice(|databases| {
        std::fs::create_dir(databases.join("1")).expect("a folder");
        std::fs::write(databases.join("1/db"), b"rubbish").expect("a file");
        std::fs::write(databases.join("1/conf"), b"rubbish").expect("a file");
        std::fs::write(current(databases), "1 1\n").expect("written");
    });
}

#[test]
fn inv2_a_flipped_byte_in_a_record_is_found_at_the_start() {
    check_rebuilt(|database| {
        let engine = SledEngine;
        let store = engine.open(database).expect("it opens");
        let (key, mut value) = store.after(None, 1).expect("readable").remove(0);
        value[20] ^= 1;
        store.write(vec![Change::Put(key, value)]).expect("written");
        store.flush().expect("flushed");
    });
}

#[test]
fn inv2_a_database_that_fails_in_use_is_rebuilt_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let spool = Spool::open(folder.path()).expect("a spool");
    let capture = CaptureId::new();
    let all = [capture.document(0), capture.document(1)];
    all.iter().for_each(|id| std::fs::create_dir(spool.document(*id)).expect("a folder"));
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    put_in(&outbox, &all);
    let lease = outbox.lease(Lane::Documents, true, now()).expect("the outbox").expect("one is due");
    lock(&outbox.inner).broken(&io::Error::other("the disk failed"));
    outbox.get(all[0]).expect_err("nothing is believed of a broken database");
    outbox.begin_anew().expect("begun anew");
    outbox.reconcile(&spool, &no_key(), &Priorities::new(), now()).expect("reconciled");
    assert_eq!(outbox.counts().waiting, 2);
    let other = outbox.lease(Lane::Documents, true, now()).expect("the outbox").expect("one is due");
    assert_ne!(other.id(), lease.id(), "a lease outlives the database");
    assert!(outbox.lease(Lane::Documents, true, now()).expect("the outbox").is_none());
}

#[test]
fn a_start_in_the_middle_of_a_rotation_finds_one_whole_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = Outbox::open(folder.path()).expect("an outbox");
    let id = CaptureId::new().document(0);
    put_in(&outbox, &[id]);
    // Filled but not yet in use when the power goes.
    let unfinished = lock(&outbox.inner).shelf.begin().expect("a new database");
    unfinished.store.write(vec![Change::Put(vec![1], vec![2])]).expect("written");
    drop(unfinished);
    drop(outbox);
    let outbox = Outbox::open(folder.path()).expect("again");
    assert_eq!(ids(&outbox), [id]);
    assert!(!folder.path().join("outbox/2").exists());
}

/// Enqueues and delivers so many documents, and answers the largest and the last size of the database's folder.
fn churn(documents: usize, rotation: Rotation) -> (u64, u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let outbox = Outbox::open_on(Arc::new(Machine), Arc::new(SledEngine), folder.path(), rotation, now())
        .expect("an outbox");
    let capture = CaptureId::new();
    let mut largest = 0;
    for page in 0..documents / 1_000 {
        let number = |index: usize| u32::try_from(page * 1_000 + index).expect("few");
        let ids: Vec<DocumentId> = (0..1_000).map(|index| capture.document(number(index))).collect();
        put_in(&outbox, &ids);
        let mut inner = lock(&outbox.inner);
        for deliver in [true, false] {
            let old = ids.iter().filter_map(|id| inner.get(*id).expect("readable")).collect::<Vec<_>>();
            let change = |old: Entry| {
                let delivered = Delivered { receipt_sha256: platen_model::Digest::of(b"r"), at: now() };
                let new = Entry { delivered: Some(delivered), ..old.clone() };
                (Some(old), deliver.then_some(new))
            };
            inner.commit(old.into_iter().map(change).collect(), None, now()).expect("committed");
        }
        drop(inner);
        largest = largest.max(size_of(&folder.path().join("outbox")));
    }
    assert_eq!(outbox.counts(), Counts::default(), "all were delivered and forgotten");
    (largest, size_of(&folder.path().join("outbox")))
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries
        .map(|entry| match entry.metadata().expect("metadata") {
            metadata if metadata.is_dir() => size_of(&entry.path()),
            metadata => metadata.len(),
        })
        .sum()
}

#[test]
fn a_database_that_has_grown_is_followed_by_a_small_one_while_it_is_in_use() {
    let (largest, last) = churn(20_000, Rotation { from_bytes: 4 << 20, weighed_every: 500 });
    assert!(last < 8 << 20, "{} MiB are left", last >> 20);
    assert!(largest < 12 << 20, "{} MiB at its largest, with two databases side by side", largest >> 20);
}

#[test]
fn a_million_documents_put_in_and_delivered_leave_a_small_database() {
    let (largest, last) = churn(1_000_000, Rotation::default());
    assert!(last < 64 << 20, "{} MiB are left", last >> 20);
    assert!(largest < 96 << 20, "{} MiB at its largest, with two databases side by side", largest >> 20);
}

#[test]
fn a_database_that_is_set_aside_says_whether_the_disk_was_full() {
    for (kind, is_full) in [(io::ErrorKind::StorageFull, true), (io::ErrorKind::InvalidData, false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(folder.path()).expect("an outbox");
        lock(&outbox.inner).broken(&io::Error::new(kind, "it failed"));
        outbox.begin_anew().expect("begun anew");
        let why = crate::outbox::shelf::Why::read(&folder.path().join("outbox/broken-1"));
        let why = why.expect("noted");
        assert_eq!((why.error.as_str(), why.is_full), ("it failed", is_full));
    }
}
