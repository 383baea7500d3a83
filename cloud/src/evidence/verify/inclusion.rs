//! Whether a signed checkpoint covers what a package says happened.

use platen_model::Digest;
use platen_model::event::Event;

use super::{Report, Unpacked, entry};
use crate::checkpoints::proofs::InclusionProof;

pub(super) fn check(unpacked: &Unpacked, events: &[Event], proof: &InclusionProof, report: &mut Report) {
    let number = proof.checkpoint.number;
    let statement = proof.statement();
    let claim = format!("the document's chain is in checkpoint {number}, which is signed");
    report.check(claim, statement.as_ref().map(drop).map_err(Clone::clone));
    let Ok(statement) = statement else { return };
    let of_package = events.first().is_none_or(|event| event.document_id == proof.document_id);
    let outcome = if of_package { Ok(()) } else { Err(format!("it is about {}", proof.document_id)) };
    report.check("the proof is about this package's document", outcome);
    let covered = proof.sequence.min(events.len() as u64);
    let claim = format!("the checkpoint covers {covered} of the package's {} events", events.len());
    report.check(claim, is_covered(unpacked, proof));
    let at = statement.at;
    report.notes.push(format!(
        "the checkpoint is of tenant {} and was made at {at}, as its site says; compare the site's key {} with \
         that of a checkpoint you kept",
        statement.tenant_id, proof.checkpoint.public_key.0
    ));
    match proof.checkpoint.stamped_at() {
        Ok(Some(at)) => {
            report.check("the checkpoint's time-stamp is about its statement", Ok(()));
            report.notes.push(format!(
                "the time-stamp says {at}; whose it is, `openssl ts -verify` tells with the authority's certificate"
            ));
        }
        Ok(None) => report.notes.push("no authority stamped the checkpoint".into()),
        Err(found) => report.check("the checkpoint's time-stamp is about its statement", Err(found)),
    }
}

/// Whether the events of the package, and those that the proof adds, lead to the one in the checkpoint.
fn is_covered(unpacked: &Unpacked, proof: &InclusionProof) -> Result<(), String> {
    let events = unpacked.texts.get(entry::EVENTS).map(Vec::as_slice).unwrap_or_default();
    let lines = events.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut hashes: Vec<Digest> = lines.map(Digest::of).collect();
    if let Some(first) = proof.continued.first() {
        let first: Event = read(first)?;
        if hashes.last() != Some(&first.previous) {
            return Err(
                "the proof goes on from another package: a newer one was made, or this one is newer".into()
            );
        }
    }
    for text in &proof.continued {
        let event = read(text)?;
        if hashes.last() != Some(&event.previous) || event.sequence != hashes.len() as u64 + 1 {
            return Err(format!(
                "event {} of the proof does not follow from the one before it",
                event.sequence
            ));
        }
        hashes.push(Digest::of(text.as_bytes()));
    }
    let place = usize::try_from(proof.sequence).ok().and_then(|sequence| sequence.checked_sub(1));
    match place.and_then(|place| hashes.get(place)) {
        Some(hash) if *hash == proof.hash => Ok(()),
        Some(hash) => {
            Err(format!("event {} has the hash {hash}, the proof says {}", proof.sequence, proof.hash))
        }
        None => Err(format!("event {} is neither in the package nor in the proof", proof.sequence)),
    }
}

fn read(text: &str) -> Result<Event, String> {
    serde_json::from_str(text).map_err(|error| format!("an event of the proof cannot be read: {error}"))
}
