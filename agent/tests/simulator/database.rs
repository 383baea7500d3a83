//! The outbox's database on the disk that loses power: what the contract of `outbox::store` allows, and its worst.
//!
//! A log of batches, each with its length and digest; a flush syncs it. After a crash the whole batches of the
//! beginning count. Now and then it does not open, or a value has a flipped bit, as happens to the real one.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use platen_agent::outbox::store::{Change, Engine, Pair, Store};
use platen_model::Digest;
use platen_model::disk::{self, Disk as _};

use crate::disk::SimDisk;
use crate::random::Random;

const HEADER_BYTES: usize = 4 + 32;

#[derive(Debug)]
pub(crate) struct LogEngine {
    pub(crate) disk: SimDisk,
    /// What goes wrong at the next openings; nothing for `None`.
    pub(crate) faults: Arc<Mutex<Option<Random>>>,
}

#[derive(Debug)]
struct LogStore {
    disk: SimDisk,
    path: PathBuf,
    pairs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// An error leaves the database unusable, as it does the real one.
    failed: Mutex<bool>,
}

impl Engine for LogEngine {
    fn open(&self, folder: &Path) -> io::Result<Box<dyn Store>> {
        let path = folder.join("log");
        let bytes = match disk::read(&self.disk, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes?,
        };
        let mut pairs = BTreeMap::new();
        let mut rest = &bytes[..];
        while let Some((batch, after)) = frame(rest) {
            for change in batch {
                apply(&mut pairs, change);
            }
            rest = after;
        }
        if !rest.is_empty() {
            // What the crash left of the last batch must not stand before the next one.
            let whole = &bytes[..bytes.len() - rest.len()];
            platen_model::durable::on(&self.disk).write(&path, whole)?;
        }
        if let Some(random) = &mut *self.faults.lock().expect("no panic") {
            if random.chance(60) {
                return Err(io::Error::other("the database does not open"));
            }
            if random.chance(60)
                && let Some(value) = pairs.values_mut().next()
            {
                let index = random.index(value.len());
                value[index] ^= 1 << random.below(8);
            }
        }
        let (disk, pairs) = (self.disk.clone(), Mutex::new(pairs));
        Ok(Box::new(LogStore { disk, path, pairs, failed: Mutex::new(false) }))
    }
}

fn frame(bytes: &[u8]) -> Option<(Vec<Change>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (digest, rest) = rest.split_first_chunk::<32>()?;
    let (body, after) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    if Digest::of(body).as_bytes() != digest {
        return None;
    }
    let mut changes = Vec::new();
    let mut body = body;
    while let Some((put, rest)) = body.split_first() {
        let (key, rest) = counted(rest)?;
        let (value, rest) = counted(rest)?;
        changes.push(if *put == 1 { Change::Put(key, value) } else { Change::Remove(key) });
        body = rest;
    }
    Some((changes, after))
}

fn counted(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (bytes, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
    Some((bytes.to_vec(), rest))
}

fn apply(pairs: &mut BTreeMap<Vec<u8>, Vec<u8>>, change: Change) {
    match change {
        Change::Put(key, value) => drop(pairs.insert(key, value)),
        Change::Remove(key) => drop(pairs.remove(&key)),
    }
}

impl LogStore {
    fn guarded<T>(&self, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut failed = self.failed.lock().expect("no panic");
        if *failed {
            return Err(io::Error::other("the database has failed before"));
        }
        work().inspect_err(|_| *failed = true)
    }
}

impl Store for LogStore {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.guarded(|| {
            self.disk.step()?;
            Ok(self.pairs.lock().expect("no panic").get(key).cloned())
        })
    }

    fn write(&self, changes: Vec<Change>) -> io::Result<()> {
        let mut body = Vec::new();
        let count = |bytes: &[u8]| u32::try_from(bytes.len()).expect("small").to_le_bytes();
        for change in &changes {
            let (put, key, value) = match change {
                Change::Put(key, value) => (1, key, &value[..]),
                Change::Remove(key) => (0, key, &[][..]),
            };
            body.push(put);
            body.extend_from_slice(&count(key));
            body.extend_from_slice(key);
            body.extend_from_slice(&count(value));
            body.extend_from_slice(value);
        }
        let mut framed = Vec::with_capacity(HEADER_BYTES + body.len());
        framed.extend_from_slice(&count(&body));
        framed.extend_from_slice(Digest::of(&body).as_bytes());
        framed.extend_from_slice(&body);
        self.guarded(|| self.disk.append(&self.path, &framed))?;
        let mut pairs = self.pairs.lock().expect("no panic");
        changes.into_iter().for_each(|change| apply(&mut pairs, change));
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.guarded(|| {
            if self.disk.exists(&self.path)? {
                self.disk.sync_file(&self.path)?;
                self.disk.sync_folder(self.path.parent().expect("a folder"))?;
            }
            Ok(())
        })
    }

    fn after(&self, key: Option<&[u8]>, limit: usize) -> io::Result<Vec<Pair>> {
        self.guarded(|| {
            self.disk.step()?;
            let from = key.map_or(Bound::Unbounded, |key| Bound::Excluded(key.to_vec()));
            let pairs = self.pairs.lock().expect("no panic");
            let range = pairs.range((from, Bound::Unbounded)).take(limit);
            Ok(range.map(|(key, value)| (key.clone(), value.clone())).collect())
        })
    }

    fn bytes_on_disk(&self) -> io::Result<u64> {
        Ok(self.pairs.lock().expect("no panic").len() as u64)
    }
}
