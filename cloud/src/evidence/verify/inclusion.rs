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
    let Some(place) = usize::try_from(proof.sequence).ok().and_then(|sequence| sequence.checked_sub(1))
    else {
        return Err(format!("there is no event {}", proof.sequence));
    };
    if let Some(hash) = hashes.get(place) {
        // What the proof goes on with is about an older package, of a document that was archived twice.
        return is_same(hash, proof);
    }
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
    match hashes.get(place) {
        Some(hash) => is_same(hash, proof),
        None => Err(format!("event {} is neither in the package nor in the proof", proof.sequence)),
    }
}

fn is_same(hash: &Digest, proof: &InclusionProof) -> Result<(), String> {
    if *hash == proof.hash {
        return Ok(());
    }
    Err(format!("event {} has the hash {hash}, the proof says {}", proof.sequence, proof.hash))
}

fn read(text: &str) -> Result<Event, String> {
    serde_json::from_str(text).map_err(|error| format!("an event of the proof cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    /// A proof about this event of a document.
    fn proof(sequence: u64, hash: Digest, continued: &[&str]) -> InclusionProof {
        let digest = Digest::of(b"any");
        let checkpoint = json!({
            "number": 1, "at": "2026-01-31T12:00:00Z", "position": 9, "documents": 1, "root": digest,
            "statement": "", "public_key": "", "signature": "", "time_stamp": null,
        });
        let proof = json!({
            "document_id": platen_model::DocumentId::new(), "sequence": sequence, "hash": hash, "continued": continued,
            "leaf_index": 0, "tree_size": 1, "audit_path": [], "checkpoint": checkpoint,
        });
        serde_json::from_value(proof).expect("a proof")
    }

    #[test]
    fn a_package_that_was_made_anew_is_held_by_a_checkpoint_from_before() {
        let events = b"one\ntwo\nthree\n".to_vec();
        let texts = BTreeMap::from([(entry::EVENTS.to_owned(), events)]);
        let unpacked = Unpacked { digests: BTreeMap::new(), texts };
        // The checkpoint was made after the package before, which ended with the first event.
        let is_covered = |proof: InclusionProof| is_covered(&unpacked, &proof);
        assert_eq!(is_covered(proof(2, Digest::of(b"two"), &["what was archived then"])), Ok(()));
        assert_eq!(is_covered(proof(3, Digest::of(b"three"), &[])), Ok(()));
        for wrong in [
            proof(2, Digest::of(b"another"), &[]),
            proof(0, Digest::of(b"one"), &[]),
            proof(4, Digest::of(b"four"), &[]),
            proof(4, Digest::of(b"four"), &["no event"]),
        ] {
            is_covered(wrong).expect_err("it is not");
        }
    }
}
