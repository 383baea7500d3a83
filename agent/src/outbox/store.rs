//! The records in sled, and how they are made good from the spool.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use jiff::Timestamp;
use platen_model::keys::PublicKey;
use platen_model::{DocumentId, durable};
use sled::{Config, Db};

use super::entry::{Delivered, Entry};
use crate::spool::{Receipted, Spool};

/// The database's folder in the state folder.
const FOLDER: &str = "outbox";
/// Memory sled may keep pages in. The records are few and small.
const CACHE_BYTES: u64 = 8 << 20;
/// A database larger than this is written anew at start: sled keeps the space of removed records.
const FOLDER_BYTES_MAX: u64 = 64 << 20;
/// How many databases that would not open are kept for whoever wants to know why.
const BROKEN_KEPT: usize = 3;

/// The outbox.
#[derive(Debug)]
pub struct Outbox {
    db: Db,
}

impl Outbox {
    /// Opens the outbox of a state folder. A database that will not open is set aside and begun anew: the
    /// next [`Outbox::reconcile`] fills it from the spool, without a person and without loss (INV-2).
    pub fn open(state: &Path) -> io::Result<Self> {
        let folder = state.join(FOLDER);
        match open_and_read(&folder) {
            Ok((db, entries)) if size_of(&folder)? > FOLDER_BYTES_MAX => {
                drop(db);
                set_aside(state, "outbox.large")?;
                let fresh = Self { db: open_db(&folder)? };
                for entry in &entries {
                    fresh.insert(entry)?;
                }
                fresh.flush()?;
                remove_all_but(state, "outbox.large", 0)?;
                Ok(fresh)
            }
            Ok((db, _)) => Ok(Self { db }),
            Err(error) => {
                let aside = set_aside(state, "outbox.broken")?;
                tracing::error!(%error, kept = %aside, "the outbox would not open; it is rebuilt from the spool");
                remove_all_but(state, "outbox.broken", BROKEN_KEPT)?;
                Ok(Self { db: open_db(&folder)? })
            }
        }
    }

    /// Makes the outbox agree with the spool: documents it does not know are put in, records of documents
    /// that are gone are dropped, and a kept receipt counts whatever the record says.
    pub fn reconcile(&self, spool: &Spool, receipt_key: &PublicKey, now: Timestamp) -> io::Result<()> {
        let present = spool.document_ids()?;
        for id in &present {
            let known = self.get(*id)?;
            let mut entry = known.clone().unwrap_or_else(|| Entry::new(*id, now));
            if entry.is_waiting()
                && let Some(receipt) = spool.open_document(*id).ok().and_then(|it| it.receipted(receipt_key))
            {
                entry.delivered = Some(Delivered { receipt_sha256: receipt.digest(), at: now });
            }
            if known.as_ref() != Some(&entry) {
                self.insert(&entry)?;
            }
        }
        for entry in self.entries()? {
            if present.binary_search(&entry.document_id).is_err() {
                self.remove(entry.document_id)?;
            }
        }
        self.flush()
    }

    /// Puts documents in; those it already knows stay as they are. They are in it durably when this returns.
    pub fn enqueue(&self, ids: &[DocumentId], now: Timestamp) -> io::Result<()> {
        for id in ids {
            if self.get(*id)?.is_none() {
                self.insert(&Entry::new(*id, now))?;
            }
        }
        self.flush()
    }

    /// Changes a record, durably. A record that is gone stays gone.
    pub fn change(&self, id: DocumentId, change: impl FnOnce(&mut Entry)) -> io::Result<()> {
        if let Some(mut entry) = self.get(id)? {
            change(&mut entry);
            self.insert(&entry)?;
            self.flush()?;
        }
        Ok(())
    }

    /// Notes that the cloud has a document. Needs the proof.
    pub fn delivered(&self, id: DocumentId, proof: &Receipted, now: Timestamp) -> io::Result<()> {
        self.change(id, |entry| {
            entry.delivered = Some(Delivered { receipt_sha256: proof.digest(), at: now });
            entry.last_error = None;
            entry.needs_person = false;
            entry.uploads.clear();
        })
    }

    /// Drops the record of a document that has left the spool.
    pub fn forget(&self, id: DocumentId) -> io::Result<()> {
        self.remove(id)?;
        self.flush()
    }

    /// Asks for a document to be tried now, by a person's wish; all waiting ones for `None`. Answers how many.
    pub fn retry(&self, id: Option<DocumentId>, now: Timestamp) -> io::Result<usize> {
        let mut count = 0;
        for mut entry in self.entries()? {
            if entry.is_waiting() && id.is_none_or(|id| id == entry.document_id) {
                entry.next_try = now;
                entry.needs_person = false;
                self.insert(&entry)?;
                count += 1;
            }
        }
        self.flush()?;
        Ok(count)
    }

    /// One record.
    pub fn get(&self, id: DocumentId) -> io::Result<Option<Entry>> {
        match guarded(|| self.db.get(key(id)))? {
            None => Ok(None),
            Some(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        }
    }

    /// All records in the order of delivery.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        read_all(&self.db)
    }

    fn insert(&self, entry: &Entry) -> io::Result<()> {
        let bytes = serde_json::to_vec(entry)?;
        guarded(|| self.db.insert(key(entry.document_id), bytes)).map(drop)
    }

    fn remove(&self, id: DocumentId) -> io::Result<()> {
        guarded(|| self.db.remove(key(id))).map(drop)
    }

    fn flush(&self) -> io::Result<()> {
        guarded(|| self.db.flush()).map(drop)
    }
}

fn key(id: DocumentId) -> [u8; 16] {
    id.as_uuid().into_bytes()
}

fn open_db(folder: &Path) -> io::Result<Db> {
    guarded(|| Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None).open())
}

/// Opens and reads everything once: damage shows here, not in the middle of the night.
fn open_and_read(folder: &Path) -> io::Result<(Db, Vec<Entry>)> {
    let db = open_db(folder)?;
    let entries = read_all(&db)?;
    Ok((db, entries))
}

fn read_all(db: &Db) -> io::Result<Vec<Entry>> {
    let mut entries = guarded(|| db.iter().values().collect::<Result<Vec<_>, _>>())?
        .iter()
        .map(|bytes| Ok(serde_json::from_slice(bytes)?))
        .collect::<io::Result<Vec<Entry>>>()?;
    entries.sort_by_key(|entry| (entry.priority, entry.document_id));
    Ok(entries)
}

/// sled 0.34 answers some damage with a panic. Here a panic is an error like any other.
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

fn set_aside(state: &Path, prefix: &str) -> io::Result<String> {
    let name = format!("{prefix}-{}", uuid::Uuid::now_v7());
    durable::rename(&state.join(FOLDER), &state.join(&name))?;
    Ok(name)
}

/// Removes the oldest folders of this prefix until `keep` are left; their names sort by age.
fn remove_all_but(state: &Path, prefix: &str, keep: usize) -> io::Result<()> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(state)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    found.sort();
    for folder in found.iter().take(found.len().saturating_sub(keep)) {
        durable::remove_folder(folder)?;
    }
    Ok(())
}

fn size_of(folder: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        sum += if metadata.is_dir() { size_of(&entry.path())? } else { metadata.len() };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
