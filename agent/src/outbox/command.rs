//! `platen-agent outbox`: what is not yet the cloud's, and what a person can do about it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use platen_model::{CaptureId, DocumentId, DocumentManifest, PartRole};
use serde::Serialize;

use super::entry::Entry;
use super::ledger::{Outbox, Priorities};
use crate::Complaint;
use crate::identity::Identity;
use crate::instance::{self, Ask};
use crate::names::shown;
use crate::quarantine::{ask_or_do, trouble};
use crate::spool::Spool;
use crate::status::clock;
use crate::vault::Vault;

/// The records in the order of delivery: the daemon's, or the database's where none runs.
pub fn list(vault: &Vault, limit: usize) -> Result<Vec<Listed>, Complaint> {
    let listed: io::Result<Vec<Entry>> = match instance::ask(vault.state(), &Ask::Outbox { limit }) {
        Ok(Some(answer)) => serde_json::from_value(answer).map_err(io::Error::from),
        Ok(None) => open_alone(vault).and_then(|outbox| outbox.entries(limit)),
        Err(error) => Err(error),
    };
    let spool = Spool::looking(vault);
    let listed = listed.map(|entries| entries.into_iter().map(|entry| Listed::of(&spool, entry)).collect());
    listed.map_err(|error| trouble(vault.state(), &error))
}

/// A record, with what people know the document by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The record.
    #[serde(flatten)]
    pub entry: Entry,
    /// The name of its first file; absent where its manifest cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The source it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

impl Listed {
    fn of(spool: &Spool, entry: Entry) -> Self {
        // Released since it was listed, or damaged: the record is shown all the same.
        let manifest = spool.open_document(entry.document_id).ok().map(|document| document.manifest);
        let original = |manifest: &DocumentManifest| {
            let mut originals = manifest.parts.iter().filter(|part| part.role == PartRole::Original);
            originals.next()?.file_name.clone()
        };
        Self { file_name: manifest.as_ref().and_then(original), source: manifest.map(|it| it.source), entry }
    }

    /// The record as lines for a person.
    pub fn to_text(&self, now: Timestamp, zone: &TimeZone) -> String {
        let entry = &self.entry;
        let state = match (&entry.delivered, entry.needs_person) {
            (Some(delivered), _) => format!("delivered at {}", clock(delivered.at, now, zone)),
            (None, true) => "needs a person".to_owned(),
            (None, false) if entry.originals_owed => "in the cloud but for its originals".to_owned(),
            (None, false) if entry.next_try <= now => "waiting".to_owned(),
            (None, false) => format!("waiting, next try {}", clock(entry.next_try, now, zone)),
        };
        let failed = match entry.attempt_count {
            0 => String::new(),
            count => format!(", failed attempts: {count}"),
        };
        let error = entry.last_error.as_ref().map(|error| format!("\n  {error}")).unwrap_or_default();
        let name = self.file_name.as_ref().map(|name| shown(OsStr::new(name)));
        let source = self.source.as_ref().map(|source| format!(" from {source}")).unwrap_or_default();
        let name = name.unwrap_or_else(|| "(unknown)".to_owned());
        format!("{}  {name}{source}  {state}{failed}{error}\n", entry.document_id)
    }
}

/// One document's manifest.
pub fn show(vault: &Vault, id: DocumentId) -> Result<DocumentManifest, Complaint> {
    let document = Spool::looking(vault).open_document(id);
    document.map(|document| document.manifest).map_err(|error| trouble(vault.state(), &error))
}

/// Asks for documents to be tried now: one, or all for `None`. Answers how many.
pub fn retry(vault: &Vault, id: Option<DocumentId>) -> Result<u64, Complaint> {
    let by_hand = || Ok(open_outbox(vault)?.retry(id, Timestamp::now())? as u64);
    ask_or_do(vault.state(), &Ask::OutboxRetry { id }, by_hand)
}

/// Asks the daemon for the originals that wait for a cheap link. Answers of how many documents they are.
pub fn originals(vault: &Vault) -> Result<u64, Complaint> {
    let not_running = || Err(io::Error::other("the agent is not running; start it first"));
    ask_or_do(vault.state(), &Ask::OutboxOriginals, not_running)
}

/// Captures the whole batch of a document again as one document. Answers the capture.
pub fn rejoin(vault: &Vault, id: DocumentId) -> Result<CaptureId, Complaint> {
    capture_again(vault, &Ask::Rejoin { id }, |spool| spool.rejoin(id))
}

/// Captures what a document was scanned with again, with its blank pages. Answers the capture.
pub fn restore(vault: &Vault, id: DocumentId) -> Result<CaptureId, Complaint> {
    capture_again(vault, &Ask::Restore { id }, |spool| spool.restore(id))
}

/// Asks the daemon for a capture, or makes it under the daemon's lock, to be found by its next start.
fn capture_again(
    vault: &Vault,
    ask: &Ask,
    by_hand: impl FnOnce(Spool) -> io::Result<CaptureId>,
) -> Result<CaptureId, Complaint> {
    let done = match instance::ask(vault.state(), ask) {
        Ok(Some(answer)) => serde_json::from_value(answer).map_err(io::Error::from),
        Ok(None) => match instance::lock(vault.state()) {
            Ok(Some(_lock)) => {
                vault.begin(Timestamp::now()).and_then(|_| Spool::open_in(vault)).and_then(by_hand)
            }
            Ok(None) => Err(io::Error::other("the agent is just starting or stopping; ask again")),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    done.map_err(|error| trouble(vault.state(), &error))
}

/// Copies one document with its originals into a folder under `target`, and answers that folder.
pub fn export(vault: &Vault, id: DocumentId, target: &Path) -> Result<PathBuf, Complaint> {
    let exported = Spool::looking(vault).open_document(id).and_then(|document| document.export(target));
    exported.map_err(|error| trouble(vault.state(), &error))
}

/// Reads every document in the spool and compares it with its manifest, and every record of the outbox. Answers the number of documents
/// read and what is wrong, as sentences.
pub fn verify(vault: &Vault) -> Result<(usize, Vec<String>), Complaint> {
    let verified = || {
        let spool = Spool::looking(vault);
        let ids = spool.document_ids()?;
        let mut found = Vec::new();
        for id in &ids {
            match spool.open_document(*id) {
                Ok(document) => found.extend(document.damage()),
                // Delivered and released while we were reading.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => found.push(format!("{id}: {error}")),
            }
        }
        let (_, records) = match instance::ask(vault.state(), &Ask::OutboxVerify)? {
            Some(answer) => serde_json::from_value::<(usize, Vec<String>)>(answer)?,
            None => {
                let outbox = open_alone(vault)?;
                let (count, mut records) = outbox.verify();
                records.extend(outbox.health()?.rebuilt.map(|why| format!("the outbox was rebuilt: {why}")));
                (count, records)
            }
        };
        found.extend(records);
        Ok((ids.len(), found))
    };
    verified().map_err(|error: io::Error| trouble(vault.state(), &error))
}

fn open_alone(vault: &Vault) -> io::Result<Outbox> {
    match instance::lock(vault.state())? {
        Some(_lock) => open_outbox(vault),
        None => Err(io::Error::other("the agent is just starting or stopping; ask again")),
    }
}

fn open_outbox(vault: &Vault) -> io::Result<Outbox> {
    vault.begin(Timestamp::now())?;
    let outbox = Outbox::open_in(vault)?;
    if let Some(identity) = Identity::read(vault.state())? {
        outbox.reconcile(
            &Spool::open_in(vault)?.trusting(&identity.earlier_receipt_keys),
            &identity.receipt_key,
            &Priorities::new(),
            Timestamp::now(),
        )?;
    }
    Ok(outbox)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::Delivered;
    use platen_model::Digest;

    #[test]
    fn a_document_is_listed_by_its_file_its_source_and_the_clock_on_the_wall() {
        let now: Timestamp = "2026-03-02T09:30:00.123456789Z".parse().expect("a moment");
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        let waiting = Entry::new(CaptureId::new().document(0), now);
        let id = waiting.document_id;
        let check = |entry: Entry, file_name: Option<&str>, expected: &str| {
            let source = file_name.map(|_| "desk".to_owned());
            let listed = Listed { entry, file_name: file_name.map(str::to_owned), source };
            assert_eq!(listed.to_text(now, &zone), format!("{id}  {expected}\n"));
        };
        check(waiting.clone(), Some("a.tif"), "a.tif from desk  waiting");
        check(waiting.clone(), None, "(unknown)  waiting");
        check(waiting.clone(), Some("a\x1b[2J.tif"), "a\u{fffd}[2J.tif from desk  waiting");
        let next_try = "2026-03-02T09:45:07Z".parse().expect("a moment");
        let last_error = Some("no".to_owned());
        let failed = Entry { next_try, attempt_count: 2, last_error, ..waiting.clone() };
        check(failed, Some("a.tif"), "a.tif from desk  waiting, next try 10:45, failed attempts: 2\n  no");
        let delivered = Some(Delivered { receipt_sha256: Digest::of(b"r"), at: now });
        check(Entry { delivered, ..waiting }, Some("a.tif"), "a.tif from desk  delivered at 10:30");
    }
}
