//! The contract of the outbox's database, held against sled and against the simulator's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use platen_agent::outbox::store::sled::SledEngine;
use platen_agent::outbox::store::{Change, Engine, Store};
use platen_model::disk::Disk as _;

use crate::database::LogEngine;
use crate::disk::SimDisk;
use crate::random::Random;

fn all(store: &dyn Store) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut pairs = BTreeMap::new();
    let mut last: Option<Vec<u8>> = None;
    loop {
        let page = store.after(last.as_deref(), 3).expect("readable");
        let whole = page.len() == 3;
        assert!(page.windows(2).all(|two| two[0].0 < two[1].0), "in the order of keys");
        last = page.last().map(|(key, _)| key.clone());
        pairs.extend(page);
        if !whole {
            return pairs;
        }
    }
}

/// Random batches beside a plain map: seen at once, in order, and there after closing and opening.
fn check_keeps(engine: &dyn Engine, folder: &Path, seed: u64) {
    let mut random = Random::new(seed);
    let mut model = BTreeMap::new();
    let mut store = engine.open(folder).expect("a database");
    for round in 0..60 {
        let batch: Vec<Change> = (0..random.below(6))
            .map(|_| {
                let key = vec![b'k', random.below(20).to_le_bytes()[0]];
                if random.chance(300) { Change::Remove(key) } else { Change::Put(key, random.bytes(40)) }
            })
            .collect();
        for change in batch.clone() {
            match change {
                Change::Put(key, value) => drop(model.insert(key, value)),
                Change::Remove(key) => drop(model.remove(&key)),
            }
        }
        store.write(batch).expect("written");
        for index in 0..20 {
            let key = [b'k', index];
            assert_eq!(
                store.get(&key).expect("readable"),
                model.get(&key[..]).cloned(),
                "seed {seed}, {round}"
            );
        }
        if random.chance(200) {
            store.flush().expect("flushed");
            drop(store);
            store = engine.open(folder).expect("again");
        }
        assert_eq!(all(&*store), model, "seed {seed}, round {round}");
    }
}

#[test]
fn both_databases_keep_what_was_written_in_order_and_over_reopening() {
    for seed in 0..6 {
        let folder = tempfile::tempdir().expect("a folder");
        check_keeps(&SledEngine, &folder.path().join("1"), seed);
        let disk = SimDisk::new(Random::new(seed));
        disk.create_folder(Path::new("/1")).expect("a folder");
        let engine = LogEngine { disk, faults: Arc::default() };
        check_keeps(&engine, Path::new("/1"), seed);
    }
}

#[test]
fn after_a_power_cut_the_simulators_database_holds_a_prefix_that_was_flushed_at_least() {
    for seed in 0..300 {
        let disk = SimDisk::new(Random::new(seed));
        disk.create_folder(Path::new("/1")).expect("a folder");
        disk.sync_folder(Path::new("/")).expect("synced");
        let engine = LogEngine { disk: disk.clone(), faults: Arc::new(Mutex::new(None)) };
        let mut random = Random::new(seed ^ 0xff);
        let store = engine.open(Path::new("/1")).expect("a database");
        let mut flushed = 0;
        for number in 0u64..20 {
            let both = [b"a", b"b"].map(|key| Change::Put(key.to_vec(), number.to_le_bytes().to_vec()));
            store.write(both.to_vec()).expect("written");
            if random.chance(200) {
                store.flush().expect("flushed");
                flushed = number;
            }
        }
        drop(store);
        disk.come_back();
        let left = all(&*engine.open(Path::new("/1")).expect("it opens"));
        assert_eq!(left.get(&b"a"[..]), left.get(&b"b"[..]), "seed {seed}: half a batch");
        let number = |value: &Vec<u8>| u64::from_le_bytes(value[..].try_into().expect("eight bytes"));
        let newest = left.get(&b"a"[..]).map(number);
        assert!(
            newest.is_some_and(|newest| newest >= flushed) || flushed == 0,
            "seed {seed}: {newest:?} < {flushed}"
        );
    }
}
