//! The database on this machine: sled 0.34.
//!
//! Four things of sled are known and met here. It answers some damage with a panic: here a panic is an error like
//! any other. Its flush waits for the kernel's write-back (`sync_file_range`), which says nothing about the disk's
//! own cache or the file's length: the file is fsynced after it. It never gives space back: see [`super::super::shelf`].
//! Its threads may hold the file for a moment after the last handle is dropped: who opens it again waits for them.

use std::any::Any;
use std::fs::{File, TryLockError};
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use sled::{Batch, Config, Db};

use super::{Change, Engine, Pair, Store};

/// Memory sled may keep pages in. The records are small, and read rarely.
const CACHE_BYTES: u64 = 8 << 20;
/// sled's one file in its folder.
const FILE: &str = "db";
/// How long a database that was closed may take to let go of its file.
const CLOSING_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether it has: the lock of a file tells nobody when it ends.
const CLOSING_LOOK: Duration = Duration::from_millis(2);

/// Opens sled databases.
#[derive(Clone, Copy, Debug, Default)]
pub struct SledEngine;

impl Engine for SledEngine {
    fn open(&self, folder: &Path) -> io::Result<Box<dyn Store>> {
        wait_until_closed(&folder.join(FILE))?;
        let config = Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
        let db = guarded(|| config.open())?;
        Ok(Box::new(SledStore { db: Some(db), file: File::open(folder.join(FILE))? }))
    }
}

#[derive(Debug)]
struct SledStore {
    /// Taken only by `drop`.
    db: Option<Db>,
    file: File,
}

impl SledStore {
    fn with<T>(&self, work: impl FnOnce(&Db) -> sled::Result<T>) -> io::Result<T> {
        let db = self.db.as_ref().ok_or_else(|| io::Error::other("the database is closed"))?;
        guarded(|| work(db))
    }
}

impl Store for SledStore {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.with(|db| db.get(key)).map(|value| value.map(|value| value.to_vec()))
    }

    fn write(&self, changes: Vec<Change>) -> io::Result<()> {
        let mut batch = Batch::default();
        for change in changes {
            match change {
                Change::Put(key, value) => batch.insert(key, value),
                Change::Remove(key) => batch.remove(key),
            }
        }
        self.with(|db| db.apply_batch(batch))
    }

    fn flush(&self) -> io::Result<()> {
        self.with(|db| db.flush())?;
        self.file.sync_all()
    }

    fn after(&self, key: Option<&[u8]>, limit: usize) -> io::Result<Vec<Pair>> {
        let from = key.map_or(Bound::Unbounded, Bound::Excluded);
        let pairs = self.with(|db| {
            let range = db.range::<&[u8], _>((from, Bound::Unbounded));
            range.take(limit).collect::<sled::Result<Vec<_>>>()
        })?;
        Ok(pairs.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect())
    }

    fn bytes_on_disk(&self) -> io::Result<u64> {
        self.with(|db| db.size_on_disk())
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        // sled writes once more when it is dropped, and a damaged database may panic at that too.
        let db = self.db.take();
        let _ = guarded(|| {
            drop(db);
            Ok(())
        });
    }
}

/// Waits for the lock that sled holds on its file while it has it open.
fn wait_until_closed(file: &Path) -> io::Result<()> {
    let file = match File::open(file) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let until = Instant::now() + CLOSING_MAX;
    loop {
        match file.try_lock() {
            Ok(()) => return file.unlock(),
            Err(TryLockError::WouldBlock) if Instant::now() < until => thread::sleep(CLOSING_LOOK),
            Err(error) => return Err(error.into()),
        }
    }
}

fn guarded<T>(work: impl FnOnce() -> sled::Result<T>) -> io::Result<T> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(io::Error::other),
        Err(panic) => Err(io::Error::other(panic_message(panic.as_ref()))),
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("sled gave up: {}", text.unwrap_or("no message"))
}
