//! `platen-agent outbox`: what is not yet the cloud's, and what a person can do about it.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use platen_model::{CaptureId, DocumentId, DocumentManifest};

use super::entry::Entry;
use super::ledger::{Outbox, Priorities};
use crate::Complaint;
use crate::identity::Identity;
use crate::instance::{self, Ask};
use crate::quarantine::{ask_or_do, trouble};
use crate::spool::Spool;
use crate::vault::Vault;

/// The records in the order of delivery: the daemon's, or the database's where none runs.
pub fn list(vault: &Vault, limit: usize) -> Result<Vec<Entry>, Complaint> {
    let listed = match instance::ask(vault.state(), &Ask::Outbox { limit }) {
        Ok(Some(answer)) => serde_json::from_value(answer).map_err(io::Error::from),
        Ok(None) => open_alone(vault).and_then(|outbox| outbox.entries(limit)),
        Err(error) => Err(error),
    };
    listed.map_err(|error| trouble(vault.state(), &error))
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
            &Spool::open_in(vault)?,
            &identity.receipt_key,
            &Priorities::new(),
            Timestamp::now(),
        )?;
    }
    Ok(outbox)
}
