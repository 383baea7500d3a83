//! The outbox itself: records and their order, changed together, durable before anyone relies on it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use platen_model::DocumentId;
use platen_model::disk::{Disk, Machine};
use platen_model::keys::PublicKey;

use super::entry::{Delivered, Entry, PRIORITY_NORMAL, id_of, key_of, seal, unseal};
use super::index::{Counts, Index, Lane};
use super::intake::Intake;
use super::shelf::{Shelf, Volume};
use super::store::{Change, Engine, Store};
use crate::deliver::backoff::LONGEST_ASKED_MS;
use crate::spool::{Receipted, Spool, SpooledDocument};
use crate::vault::Vault;

/// A database is written anew when it takes this many times the space it took when it was new.
const ROTATED_AT_GROWTH: u64 = 3;
/// Records read or written in one go.
const PAGE: usize = 1_000;
/// The key of the bytes that come in a day.
const INTAKE_KEY: &[u8] = b"m/intake";

/// Priorities by the name of the source; others have the normal one.
pub type Priorities = BTreeMap<String, u8>;

/// When a database that has grown is written anew.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Not while it is smaller than this.
    pub from_bytes: u64,
    /// Changes between two looks at its size.
    pub weighed_every: usize,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { from_bytes: 32 << 20, weighed_every: 500 }
    }
}

/// A document that comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The document.
    pub document_id: DocumentId,
    /// Its priority.
    pub priority: u8,
    /// Length of all its parts; 0 where unknown.
    pub bytes: u64,
}

impl Arrival {
    /// A document of the normal priority and of unknown length.
    pub fn plain(document_id: DocumentId) -> Self {
        Self { document_id, priority: PRIORITY_NORMAL, bytes: 0 }
    }

    /// A document of the spool.
    pub fn of(document: &SpooledDocument, priorities: &Priorities) -> Self {
        let manifest = &document.manifest;
        let priority = priorities.get(&manifest.source).copied().unwrap_or(PRIORITY_NORMAL);
        Self { document_id: manifest.document_id, priority, bytes: manifest.bytes() }
    }
}

/// The outbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    shelf: Shelf,
    /// `None` only while one is exchanged for another.
    volume: Option<Volume>,
    index: Index,
    intake: Intake,
    /// Changes since the last look at the database's size.
    unweighed: usize,
    /// Its size when it was new.
    fresh_bytes: u64,
    rotation: Rotation,
    /// Why it cannot be used; it is rebuilt before it is used again.
    trouble: Option<io::Error>,
    /// What was found at the last opening, or while it was in use.
    rebuilt: Option<String>,
}

/// What is known of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Health {
    /// Space it takes, in bytes.
    pub bytes_on_disk: u64,
    /// Databases that were set aside, oldest first.
    pub set_aside: Vec<String>,
    /// Why it was last rebuilt from the spool, since this agent runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<String>,
    /// Why it cannot be used now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// The right to deliver a document, which nobody else has until this is dropped. Leases live in memory: one agent
/// holds the state folder's lock, and they end with it.
#[derive(Debug)]
pub struct Lease {
    entry: Entry,
    inner: Arc<Mutex<Inner>>,
}

impl Lease {
    /// The record as it was when the lease began.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The document.
    pub fn id(&self) -> DocumentId {
        self.entry.document_id
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.inner).index.end_lease(self.entry.document_id);
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outbox {
    /// Opens the outbox of a state folder. A database that will not open, or in which a record is damaged, is set
    /// aside and begun anew: the next [`Outbox::reconcile`] fills it from the spool, without a person and without
    /// loss (INV-2).
    pub fn open(state: &Path) -> io::Result<Self> {
        Self::open_in(&Vault::plain(state))
    }

    /// The same in a state folder that may be encrypted. What was written plain before leaves the disk: whoever opens it
    /// first, and however often that is cut off.
    pub fn open_in(vault: &Vault) -> io::Result<Self> {
        // The folder's own files hold numbers, and what failed: they are plain.
        let disk = Arc::new(Machine);
        let now = Timestamp::now();
        let outbox = Self::open_on(disk, vault.engine(), vault.state(), Rotation::default(), now)?;
        if vault.owes_rewriting()? {
            // However small the database is.
            lock(&outbox.inner).rotate()?;
            vault.note_rewritten()?;
        }
        Ok(outbox)
    }

    /// The same with another disk, another database and another clock.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        engine: Arc<dyn Engine>,
        state: &Path,
        rotation: Rotation,
        now: Timestamp,
    ) -> io::Result<Self> {
        let shelf = Shelf::at(disk, engine, state);
        let mut rebuilt = None;
        let whole = match shelf.open()? {
            None => None,
            // Read once as a whole: damage shows here, not in the middle of the night.
            Some(Ok(volume)) => match read_all(&*volume.store, now) {
                Ok((index, intake)) => Some((volume, index, intake)),
                Err(error) => {
                    let number = volume.number;
                    drop(volume);
                    rebuilt = Some(set_aside(&shelf, number, &error)?);
                    None
                }
            },
            Some(Err((number, error))) => {
                rebuilt = Some(set_aside(&shelf, number, &error)?);
                None
            }
        };
        let (volume, index, intake) = match whole {
            Some(whole) => whole,
            None => (begin_in_use(&shelf)?, Index::default(), Intake::default()),
        };
        let fresh_bytes = volume.store.bytes_on_disk()?.min(rotation.from_bytes);
        let volume = Some(volume);
        let inner = Inner {
            shelf,
            volume,
            index,
            intake,
            unweighed: 0,
            fresh_bytes,
            rotation,
            trouble: None,
            rebuilt,
        };
        Ok(Self { inner: Arc::new(Mutex::new(inner)) })
    }

    /// Makes the outbox agree with the spool: documents it does not know are put in (delivered where a receipt lies
    /// beside them), records of documents that are gone are dropped. A record that says "waiting" where a receipt
    /// lies in the spool is put right when its document's turn comes, so a start does not read every document.
    pub fn reconcile(
        &self,
        spool: &Spool,
        receipt_key: &PublicKey,
        priorities: &Priorities,
        now: Timestamp,
    ) -> io::Result<()> {
        // Known before the listing: what is put in while we list must not be taken for gone.
        let known = lock(&self.inner).index.ids();
        let present = spool.document_ids()?;
        let unknown: Vec<DocumentId> =
            present.iter().filter(|id| known.binary_search(id).is_err()).copied().collect();
        for page in unknown.chunks(PAGE) {
            let entries = page.iter().map(|id| found(spool, *id, receipt_key, priorities, now));
            let entries = entries.collect::<io::Result<Vec<_>>>()?;
            self.put_in(entries, None, now)?;
        }
        let gone: Vec<DocumentId> =
            known.iter().filter(|id| present.binary_search(id).is_err()).copied().collect();
        for page in gone.chunks(PAGE) {
            let mut inner = lock(&self.inner);
            let old = page.iter().filter_map(|id| inner.get(*id).transpose());
            let old = old.collect::<io::Result<Vec<_>>>()?;
            inner.commit(old.into_iter().map(|old| (Some(old), None)).collect(), None, now)?;
        }
        Ok(())
    }

    /// Puts documents in; those it already knows stay as they are. They are in it durably when this returns.
    pub fn enqueue(&self, arrivals: &[Arrival], now: Timestamp) -> io::Result<()> {
        for page in arrivals.chunks(PAGE) {
            let entry = |arrival: &Arrival| Entry {
                priority: arrival.priority,
                bytes: arrival.bytes,
                ..Entry::new(arrival.document_id, now)
            };
            let bytes = page.iter().map(|arrival| arrival.bytes).sum();
            self.put_in(page.iter().map(entry).collect(), Some(bytes), now)?;
        }
        Ok(())
    }

    fn put_in(&self, entries: Vec<Entry>, came: Option<u64>, now: Timestamp) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        let mut changes = Vec::new();
        for entry in entries {
            if inner.get(entry.document_id)?.is_none() {
                changes.push((None, Some(entry)));
            }
        }
        inner.commit(changes, came, now)
    }

    /// Changes a record, durably. A record that is gone stays gone.
    pub fn change(&self, id: DocumentId, now: Timestamp, change: impl FnOnce(&mut Entry)) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        let Some(old) = inner.get(id)? else { return Ok(()) };
        let mut new = old.clone();
        change(&mut new);
        inner.commit(vec![(Some(old), Some(new))], None, now)
    }

    /// Notes that the cloud has a document. Needs the proof.
    pub fn delivered(&self, proof: &Receipted, now: Timestamp) -> io::Result<()> {
        self.change(proof.document_id(), now, |entry| {
            entry.delivered = Some(Delivered { receipt_sha256: proof.digest(), at: now });
            entry.last_error = None;
            entry.needs_person = false;
            entry.originals_owed = false;
            entry.uploads.clear();
        })
    }

    /// Drops the record of a document that has left the spool.
    pub fn forget(&self, id: DocumentId, now: Timestamp) -> io::Result<()> {
        let mut inner = lock(&self.inner);
        let Some(old) = inner.get(id)? else { return Ok(()) };
        inner.commit(vec![(Some(old), None)], None, now)
    }

    /// Leases the next document that is due in a lane; a large one only where `large_too`.
    pub fn lease(&self, lane: Lane, large_too: bool, now: Timestamp) -> io::Result<Option<Lease>> {
        let mut inner = lock(&self.inner);
        inner.index.promote(now, SignedDuration::from_millis(LONGEST_ASKED_MS.cast_signed()));
        let Some(id) = inner.index.lease(lane, large_too) else { return Ok(None) };
        match inner.get(id) {
            Ok(Some(entry)) => Ok(Some(Lease { entry, inner: Arc::clone(&self.inner) })),
            Ok(None) => {
                inner.index.end_lease(id);
                Err(inner.broken(&io::Error::other("a record of the outbox is missing")))
            }
            Err(error) => {
                inner.index.end_lease(id);
                Err(error)
            }
        }
    }

    /// A document that was delivered in the future: under a clock that was set back since.
    pub fn delivered_ahead(&self, now: Timestamp) -> Option<DocumentId> {
        lock(&self.inner).index.delivered_after(now)
    }

    /// A delivered document whose retention time is over.
    pub fn expired(&self, keep: SignedDuration, now: Timestamp) -> Option<DocumentId> {
        let until = now.checked_sub(keep).unwrap_or(Timestamp::MIN);
        lock(&self.inner).index.delivered_until(until)
    }

    /// How long until something is to be done in these lanes or with what was delivered, in milliseconds; `None` where
    /// nothing is.
    pub fn idle_ms(&self, lanes: &[Lane], keep: SignedDuration, now: Timestamp) -> Option<u64> {
        let inner = lock(&self.inner);
        let due = lanes.iter().filter_map(|lane| inner.index.next_due_ms(*lane));
        let over = inner.index.first_delivered_ms();
        let over = over.map(|at| at.saturating_add(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX)));
        let next = due.chain(over).min()?;
        Some(u64::try_from(next.saturating_sub(now.as_millisecond())).unwrap_or(0))
    }

    /// Asks for documents to be tried now, by a person's wish: one, or all that wait for their time. Answers how many.
    pub fn retry(&self, id: Option<DocumentId>, now: Timestamp) -> io::Result<usize> {
        let ids = match id {
            Some(id) => vec![id],
            None => lock(&self.inner).index.delayed(),
        };
        let mut count = 0;
        for page in ids.chunks(PAGE) {
            let mut inner = lock(&self.inner);
            let mut changes = Vec::new();
            for id in page {
                let Some(old) = inner.get(*id)?.filter(Entry::is_waiting) else { continue };
                let new = Entry { next_try: now, needs_person: false, ..old.clone() };
                changes.push((Some(old), Some(new)));
            }
            count += changes.len();
            inner.commit(changes, None, now)?;
        }
        Ok(count)
    }

    /// One record.
    pub fn get(&self, id: DocumentId) -> io::Result<Option<Entry>> {
        lock(&self.inner).get(id)
    }

    /// The records in the order of delivery, at most `limit`.
    pub fn entries(&self, limit: usize) -> io::Result<Vec<Entry>> {
        let mut inner = lock(&self.inner);
        let ids = inner.index.in_order(limit);
        ids.into_iter().filter_map(|id| inner.get(id).transpose()).collect()
    }

    /// Asks for the originals that are owed now, by a person's wish, whatever their bytes cost. It holds for these documents
    /// alone, and ends with each of them: one that cannot go makes no later ones dear. Answers of how many documents they
    /// are.
    pub fn order_originals(&self, now: Timestamp) -> io::Result<usize> {
        let owing = lock(&self.inner).index.owing_originals();
        let mut count = 0;
        for page in owing.chunks(PAGE) {
            let mut inner = lock(&self.inner);
            for id in page {
                let Some(entry) = inner.get(*id)? else { continue };
                count += usize::from(inner.index.order(&entry, now));
            }
        }
        Ok(count)
    }

    /// In numbers.
    pub fn counts(&self) -> Counts {
        lock(&self.inner).index.counts()
    }

    /// The oldest document that waits; its id tells when it was claimed.
    pub fn oldest_waiting(&self) -> Option<DocumentId> {
        lock(&self.inner).index.oldest_waiting()
    }

    /// For how many days so many free bytes will do, by what came in the last days.
    pub fn days_left(&self, free_bytes: u64, now: Timestamp) -> Option<u64> {
        lock(&self.inner).intake.days_left(free_bytes, now)
    }

    /// Reads every record and checks it. Answers how many there are and what is wrong, as sentences.
    pub fn verify(&self) -> (usize, Vec<String>) {
        let inner = lock(&self.inner);
        let mut found = Vec::new();
        found.extend(inner.trouble.iter().map(|trouble| format!("the outbox cannot be used: {trouble}")));
        let Ok(volume) = inner.volume() else { return (0, found) };
        let mut count = 0;
        let walked = walk(&*volume.store, |key, value| {
            count += 1;
            if let Some(id) = id_of(key)
                && let Err(error) = Entry::of_value(id, value)
            {
                found.push(format!("{id}: {error}"));
            }
            Ok(())
        });
        found.extend(walked.err().map(|error| format!("the outbox cannot be read: {error}")));
        (count, found)
    }

    /// How the database is.
    pub fn health(&self) -> io::Result<Health> {
        let inner = lock(&self.inner);
        Ok(Health {
            bytes_on_disk: inner.volume().and_then(|volume| volume.store.bytes_on_disk()).unwrap_or(0),
            set_aside: inner.shelf.broken()?,
            rebuilt: inner.rebuilt.clone(),
            trouble: inner.trouble.as_ref().map(ToString::to_string),
        })
    }

    /// Why the database cannot be used, where it cannot.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.inner).trouble.as_ref().map(ToString::to_string)
    }

    /// Sets a database that failed in use aside and begins a new one, empty: reconcile it. Leases stay.
    pub fn begin_anew(&self) -> io::Result<()> {
        lock(&self.inner).begin_anew()
    }
}

impl Inner {
    fn volume(&self) -> io::Result<&Volume> {
        self.volume.as_ref().ok_or_else(|| io::Error::other("the outbox is closed"))
    }

    fn usable(&self) -> io::Result<&Volume> {
        match &self.trouble {
            Some(trouble) => Err(io::Error::other(format!("the outbox cannot be used: {trouble}"))),
            None => self.volume(),
        }
    }

    fn get(&mut self, id: DocumentId) -> io::Result<Option<Entry>> {
        let value = self.usable()?.store.get(&key_of(id));
        let entry = value.and_then(|value| value.map(|value| Entry::of_value(id, &value)).transpose());
        entry.map_err(|error| self.broken(&error))
    }

    /// Makes changes durable, then follows them in the order.
    fn commit(
        &mut self,
        changes: Vec<(Option<Entry>, Option<Entry>)>,
        came: Option<u64>,
        now: Timestamp,
    ) -> io::Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut batch: Vec<Change> = Vec::with_capacity(changes.len() + 1);
        for (old, new) in &changes {
            batch.extend(match (old, new) {
                (_, Some(new)) => Some(Change::Put(key_of(new.document_id), new.to_value())),
                (Some(old), None) => Some(Change::Remove(key_of(old.document_id))),
                (None, None) => None,
            });
        }
        if let Some(came) = came {
            self.intake.add(came, now);
            let json = serde_json::to_vec(&self.intake)?;
            batch.push(Change::Put(INTAKE_KEY.to_vec(), seal(INTAKE_KEY, &json)));
        }
        let store = &self.usable()?.store;
        let written = store.write(batch).and_then(|()| store.flush());
        written.map_err(|error| self.broken(&error))?;
        self.unweighed += changes.len();
        for (old, new) in changes {
            self.index.change(old.as_ref(), new.as_ref(), now);
        }
        if self.unweighed >= self.rotation.weighed_every {
            self.unweighed = 0;
            if let Err(error) = self.rotate_if_grown() {
                tracing::warn!(%error, "the outbox cannot be written anew; it goes on growing");
            }
        }
        Ok(())
    }

    fn broken(&mut self, error: &io::Error) -> io::Error {
        self.trouble.get_or_insert_with(|| io::Error::new(error.kind(), error.to_string()));
        io::Error::new(error.kind(), error.to_string())
    }

    fn rotate_if_grown(&mut self) -> io::Result<()> {
        let old = self.volume()?;
        let bytes = old.store.bytes_on_disk()?;
        if bytes <= self.rotation.from_bytes.max(self.fresh_bytes.saturating_mul(ROTATED_AT_GROWTH)) {
            return Ok(());
        }
        self.rotate()
    }

    fn rotate(&mut self) -> io::Result<()> {
        let old = self.volume()?;
        let bytes = old.store.bytes_on_disk()?;
        let fresh = self.shelf.begin()?;
        let mut page = Vec::with_capacity(PAGE);
        walk(&*old.store, |key, value| {
            page.push(Change::Put(key.to_vec(), value.to_vec()));
            if page.len() == PAGE { fresh.store.write(std::mem::take(&mut page)) } else { Ok(()) }
        })?;
        fresh.store.write(page)?;
        fresh.store.flush()?;
        self.shelf.put_in_use(&fresh)?;
        self.fresh_bytes = fresh.store.bytes_on_disk()?;
        tracing::info!(before = bytes, after = self.fresh_bytes, "the outbox's database was written anew");
        if let Some(old) = self.volume.replace(fresh) {
            let number = old.number;
            drop(old);
            self.shelf.remove(number);
        }
        Ok(())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        if let Some(volume) = self.volume.take() {
            let number = volume.number;
            drop(volume);
            let asked = io::Error::other("it was asked for");
            self.rebuilt = Some(set_aside(&self.shelf, number, self.trouble.as_ref().unwrap_or(&asked))?);
        }
        self.volume = Some(begin_in_use(&self.shelf)?);
        self.index = self.index.emptied();
        self.trouble = None;
        Ok(())
    }
}

fn begin_in_use(shelf: &Shelf) -> io::Result<Volume> {
    let volume = shelf.begin()?;
    volume.store.flush()?;
    shelf.put_in_use(&volume)?;
    Ok(volume)
}

fn set_aside(shelf: &Shelf, number: u64, error: &io::Error) -> io::Result<String> {
    let aside = shelf.set_aside(number, error)?;
    tracing::error!(%error, kept = %aside, "the outbox's database is broken; it is rebuilt from the spool");
    Ok(format!("{error} (kept as {aside})"))
}

/// The record of a document that lies in the spool and is not known.
fn found(
    spool: &Spool,
    id: DocumentId,
    receipt_key: &PublicKey,
    priorities: &Priorities,
    now: Timestamp,
) -> io::Result<Entry> {
    let mut entry = Entry::new(id, now);
    let has_receipt = spool.has_receipt(id)?;
    // Manifests are read only where something depends on them: after the loss of the database there may be a million.
    if !has_receipt && priorities.is_empty() {
        return Ok(entry);
    }
    // One that cannot be read is put in all the same: its delivery says what is wrong with it.
    let Ok(document) = spool.open_document(id) else { return Ok(entry) };
    let arrival = Arrival::of(&document, priorities);
    (entry.priority, entry.bytes) = (arrival.priority, arrival.bytes);
    if let Some(receipt) = document.receipted(receipt_key) {
        entry.delivered = Some(Delivered { receipt_sha256: receipt.digest(), at: now });
    }
    Ok(entry)
}

/// Calls for every pair in the order of keys.
fn walk(store: &dyn Store, mut each: impl FnMut(&[u8], &[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut last: Option<Vec<u8>> = None;
    loop {
        let page = store.after(last.as_deref(), PAGE)?;
        for (key, value) in &page {
            each(key, value)?;
        }
        if page.len() < PAGE {
            return Ok(());
        }
        last = page.into_iter().next_back().map(|(key, _)| key);
    }
}

fn read_all(store: &dyn Store, now: Timestamp) -> io::Result<(Index, Intake)> {
    let mut index = Index::default();
    let mut intake = Intake::default();
    walk(store, |key, value| {
        if let Some(id) = id_of(key) {
            index.change(None, Some(&Entry::of_value(id, value)?), now);
        } else if key == INTAKE_KEY {
            intake = serde_json::from_slice(unseal(key, value)?)?;
        } else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the outbox holds a key of nobody"));
        }
        Ok(())
    })?;
    Ok((index, intake))
}

#[cfg(test)]
mod tests;
