//! Checking an evidence package offline, and saying plainly what was checked.
//!
//! Nothing here trusts the index or the order of the ZIP: the index only says what should be there, the event
//! chain says what it must be. What cannot be known from the package alone (whose a key is, whether later
//! events exist) is reported as a note, never passed over.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek};

use platen_capture::worker::pool::Pool;
use platen_model::event::{Event, EventBody};
use platen_model::manifest::{Receipt, part_to_sign};
use platen_model::{Digest, DocumentManifest, Part, PartRole};
use zip::ZipArchive;

use crate::api::versions::versions;
use crate::checkpoints::proofs::InclusionProof;
use crate::signing::returned;

use super::package::{DeviceSignature, Index, KeyedReceipt, PACKAGE_VERSION, entry};

mod inclusion;

/// The largest manifest, event list or index that is read into memory, in bytes.
const TEXT_BYTES_MAX: u64 = 256 << 20;

/// One statement that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is claimed, as a sentence.
    pub claim: String,
    /// `Err` with what was found instead.
    pub outcome: Result<(), String>,
}

/// What was found out about a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The statements, in the order they were checked.
    pub checks: Vec<Check>,
    /// What this program cannot know, and how to find out.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether every statement holds.
    pub fn holds(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.outcome.is_ok())
    }

    fn check(&mut self, claim: impl Into<String>, outcome: Result<(), String>) {
        self.checks.push(Check { claim: claim.into(), outcome });
    }

    fn check_equal<T: PartialEq + fmt::Debug>(&mut self, claim: impl Into<String>, found: &T, right: &T) {
        let differs = || format!("found {}, expected {}", plain(found), plain(right));
        let outcome = if found == right { Ok(()) } else { Err(differs()) };
        self.check(claim, outcome);
    }
}

/// A value for people: what may be missing by itself, or as `nothing`.
fn plain(value: &impl fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.strip_prefix("Some(").and_then(|inner| inner.strip_suffix(')')) {
        Some(inner) => inner.to_owned(),
        None if text == "None" => "nothing".to_owned(),
        None => text,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            match &check.outcome {
                Ok(()) => writeln!(f, "ok      {}", check.claim)?,
                Err(found) => writeln!(f, "FAILED  {}\n        {found}", check.claim)?,
            }
        }
        for note in &self.notes {
            writeln!(f, "note    {note}")?;
        }
        let verdict = if self.holds() { "every check holds" } else { "DO NOT RELY ON THIS PACKAGE" };
        writeln!(f, "\n{verdict}")
    }
}

/// Digests of all files by name, and the bytes of those that are text.
struct Unpacked {
    digests: BTreeMap<String, (Digest, u64)>,
    texts: BTreeMap<String, Vec<u8>>,
}

impl Unpacked {
    fn digest(&self, name: &str) -> Option<Digest> {
        self.digests.get(name).map(|(sha256, _)| *sha256)
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, String> {
        let bytes = self.texts.get(name).ok_or_else(|| format!("{name} is missing"))?;
        serde_json::from_slice(bytes).map_err(|error| format!("{name} cannot be read: {error}"))
    }
}

/// Checks a package. A package that cannot even be opened fails its first check; there is no other error. The signed
/// PDF is read by a worker of the pool.
pub fn verify(package: impl Read + Seek, workers: &Pool) -> Report {
    verify_with(package, None, workers)
}

/// As [`verify`]; and whether the checkpoint of a proof, where there is one, covers the package.
pub fn verify_with(package: impl Read + Seek, proof: Option<&InclusionProof>, workers: &Pool) -> Report {
    let mut report = Report::default();
    let opened = ZipArchive::new(package).map_err(|error| error.to_string());
    let unpacked = opened.and_then(|mut zip| unpack(&mut zip).map(|unpacked| (zip, unpacked)));
    let (mut zip, unpacked) = match unpacked {
        Ok(whole) => {
            report.check("the package is a whole ZIP file", Ok(()));
            whole
        }
        Err(found) => {
            report.check("the package is a whole ZIP file", Err(found));
            return report;
        }
    };
    let index = check_index(&unpacked, &mut report);
    let events = check_chain(&unpacked, index.as_ref(), &mut report);
    check_capture(&unpacked, &events, &mut report);
    check_signing(&unpacked, &events, &mut report);
    check_signatures(&mut zip, &unpacked, &events, workers, &mut report);
    if let Some(proof) = proof {
        inclusion::check(&unpacked, &events, proof, &mut report);
    }
    report
        .notes
        .push("whether events were added after this package was made is known only to the cloud".into());
    report
}

fn unpack(zip: &mut ZipArchive<impl Read + Seek>) -> Result<Unpacked, String> {
    let mut unpacked = Unpacked { digests: BTreeMap::new(), texts: BTreeMap::new() };
    for number in 0..zip.len() {
        let mut file = zip.by_index(number).map_err(|error| error.to_string())?;
        let name = file.name().map_err(|error| error.to_string())?.into_owned();
        let is_text = name.ends_with(".json") || name.ends_with(".jsonl");
        let found = if is_text {
            let mut bytes = Vec::new();
            let read = (&mut file).take(TEXT_BYTES_MAX + 1).read_to_end(&mut bytes);
            read.map_err(|error| format!("{name}: {error}"))?;
            if bytes.len() as u64 > TEXT_BYTES_MAX {
                return Err(format!("{name} is longer than {TEXT_BYTES_MAX} bytes"));
            }
            let found = (Digest::of(&bytes), bytes.len() as u64);
            unpacked.texts.insert(name.clone(), bytes);
            found
        } else {
            Digest::of_reader(&mut file).map_err(|error| format!("{name}: {error}"))?
        };
        if unpacked.digests.insert(name.clone(), found).is_some() {
            return Err(format!("{name} is in it twice"));
        }
    }
    Ok(unpacked)
}

fn check_index(unpacked: &Unpacked, report: &mut Report) -> Option<Index> {
    let index: Index = match unpacked.parse(entry::INDEX) {
        Ok(index) => index,
        Err(found) => {
            report.check("the index can be read", Err(found));
            return None;
        }
    };
    report.check_equal("the package is of a version this program knows", &index.version, &PACKAGE_VERSION);
    for file in &index.files {
        let found = unpacked.digests.get(&file.name);
        let outcome = match found {
            Some(found) if *found == (file.sha256, file.bytes) => Ok(()),
            Some((sha256, bytes)) => Err(format!("found {bytes} bytes with sha256 {sha256}")),
            None => Err("it is missing".into()),
        };
        report.check(format!("{} has {} bytes with sha256 {}", file.name, file.bytes, file.sha256), outcome);
    }
    let listed = |name: &String| name == entry::INDEX || index.files.iter().any(|file| file.name == *name);
    let strangers: Vec<&String> = unpacked.digests.keys().filter(|name| !listed(name)).collect();
    let outcome = if strangers.is_empty() { Ok(()) } else { Err(format!("also found {strangers:?}")) };
    report.check("nothing else is in the package", outcome);
    Some(index)
}

fn check_chain(unpacked: &Unpacked, index: Option<&Index>, report: &mut Report) -> Vec<Event> {
    let mut events = Vec::new();
    let mut walk = || -> Result<(), String> {
        let bytes = unpacked.texts.get(entry::EVENTS).ok_or("events.jsonl is missing")?;
        let bytes = bytes.strip_suffix(b"\n").ok_or("the last line is cut off")?;
        let mut previous = None;
        for (number, line) in (1u64..).zip(bytes.split(|byte| *byte == b'\n')) {
            let event: Event =
                serde_json::from_slice(line).map_err(|error| format!("line {number}: {error}"))?;
            let expected = previous.unwrap_or_else(|| Event::origin(event.document_id));
            if event.previous != expected {
                return Err(format!("event {number} does not follow from the one before it"));
            }
            if event.sequence != number {
                return Err(format!("event {number} calls itself {}", event.sequence));
            }
            if index.is_some_and(|index| index.document_id != event.document_id) {
                return Err(format!("event {number} is about another document"));
            }
            previous = Some(Digest::of(line));
            events.push(event);
        }
        Ok(())
    };
    let outcome = walk();
    report.check(format!("the chain of {} events is unbroken", events.len()), outcome);
    events
}

/// The manifest, its parts, the device's signature and the cloud's receipt.
fn check_capture(unpacked: &Unpacked, events: &[Event], report: &mut Report) {
    let received = events.iter().find_map(|event| match &event.body {
        EventBody::Received { manifest_sha256, parts, awaiting } => Some((*manifest_sha256, parts, awaiting)),
        _ => None,
    });
    let Some((manifest_sha256, parts, awaiting)) = received else {
        report.check("the events begin with `received`", Err("there is no such event".into()));
        return;
    };
    if !awaiting.is_empty() {
        let followed = events.iter().find_map(|event| match &event.body {
            EventBody::OriginalsArrived { originals } => Some(originals),
            _ => None,
        });
        report.check_equal("the originals that were to follow have arrived", &followed, &Some(awaiting));
    }
    let last = versions(events).pop();
    let made = last.iter().flat_map(|version| &version.parts);
    let originals_of = parts.iter().filter(|part| part.role == PartRole::Original);
    let anew = events
        .iter()
        .any(|event| matches!(event.body, EventBody::Captured { .. } | EventBody::TextSupplied { .. }));
    let came =
        |part: &Part| if anew && part.role != PartRole::Original { "was made last" } else { "was received" };
    let mut originals = 0;
    for part in originals_of.chain(made) {
        let name = match part.role {
            PartRole::Original => {
                originals += 1;
                entry::original(originals, part.file_name.as_deref().unwrap_or("document"))
            }
            PartRole::Normalized => entry::NORMALIZED.to_owned(),
            PartRole::PageText => entry::PAGE_TEXT.to_owned(),
        };
        report.check_equal(
            format!("{name} is what {}", came(part)),
            &unpacked.digest(&name),
            &Some(part.sha256),
        );
    }
    if unpacked.digests.contains_key(entry::MANIFEST) {
        report.check_equal(
            "the manifest is what was received",
            &unpacked.digest(entry::MANIFEST),
            &Some(manifest_sha256),
        );
        let agrees = unpacked.parse::<DocumentManifest>(entry::MANIFEST).and_then(|manifest| {
            if manifest.parts == *parts { Ok(()) } else { Err("it names other parts".to_owned()) }
        });
        report.check("the manifest names the same parts as the event", agrees);
    } else {
        report.check("the manifest is what was received", Err("manifest.json is missing".into()));
    }
    check_device_signature(unpacked, report);
    check_receipt(unpacked, manifest_sha256, parts.iter().map(|part| part.sha256).collect(), report);
}

fn check_device_signature(unpacked: &Unpacked, report: &mut Report) {
    if !unpacked.digests.contains_key(entry::MANIFEST_SIGNATURE) {
        let note = "no device signed the manifest: the document was sent by a program over the API";
        report.notes.push(note.into());
        return;
    }
    let signature = unpacked.parse::<DeviceSignature>(entry::MANIFEST_SIGNATURE);
    let manifest = unpacked.texts.get(entry::MANIFEST).map(Vec::as_slice).unwrap_or_default();
    match signature {
        Ok(signed) => {
            let outcome = signed.public_key.verify(manifest, &signed.signature);
            report.check(
                format!("device {} signed the manifest", signed.device_id),
                outcome.map_err(|error| error.to_string()),
            );
            report.notes.push(format!(
                "compare the device's public key {} with the one `platen-cloud device list` shows",
                signed.public_key.0
            ));
        }
        Err(found) => report.check("the device's signature can be read", Err(found)),
    }
}

fn check_receipt(unpacked: &Unpacked, manifest: Digest, parts: Vec<Digest>, report: &mut Report) {
    if !unpacked.digests.contains_key(entry::RECEIPT) {
        report.notes.push("the package holds no receipt of the cloud".into());
        return;
    }
    let checked = unpacked.parse::<KeyedReceipt>(entry::RECEIPT).and_then(|keyed| {
        let signed = &keyed.signed;
        keyed
            .receipt_key
            .verify(signed.receipt.as_bytes(), &signed.signature)
            .map_err(|error| error.to_string())?;
        let receipt: Receipt = serde_json::from_str(&signed.receipt).map_err(|error| error.to_string())?;
        if receipt.manifest_sha256 != manifest || receipt.parts != parts {
            Err("it names other bytes".to_owned())
        } else if !receipt.awaiting.is_empty() {
            Err("it still awaits originals".to_owned())
        } else {
            Ok(keyed)
        }
    });
    match checked {
        Ok(keyed) => {
            report.check("the cloud's receipt is signed and names these bytes", Ok(()));
            let note = format!("compare the receipt key {} with your cloud's", keyed.receipt_key.0);
            report.notes.push(note);
        }
        Err(found) => report.check("the cloud's receipt is signed and names these bytes", Err(found)),
    }
}

/// The signing of a document: the last that came back, and what had been sent for it.
struct Signing<'e> {
    /// The events up to the envelope's.
    before: &'e [Event],
    /// Digest of what was sent.
    sent: Digest,
    /// The event of what came back.
    signed: &'e Event,
}

/// The signing that the events end in. Envelopes that were declined, expired or withdrawn are history: what they were about
/// may have been captured anew since.
fn signing(events: &[Event]) -> Option<Signing<'_>> {
    let at = events.iter().rposition(|event| matches!(event.body, EventBody::Signed { .. }))?;
    let (before, rest) = events.split_at(at);
    let envelope = |event: &Event| match &event.body {
        EventBody::EnvelopeCreated { document_sha256, .. } => Some(*document_sha256),
        _ => None,
    };
    let made = before.iter().rposition(|event| envelope(event).is_some())?;
    Some(Signing { before: &before[..made], sent: envelope(&before[made])?, signed: rest.first()? })
}

/// What a document was made of after these events: its originals, and the last of what was made of them.
fn parts_after(events: &[Event]) -> Vec<Part> {
    let originals = events.iter().find_map(|event| match &event.body {
        EventBody::Received { parts, .. } => Some(parts),
        _ => None,
    });
    let originals = originals.into_iter().flatten().filter(|part| part.role == PartRole::Original).cloned();
    originals.chain(versions(events).pop().into_iter().flat_map(|version| version.parts)).collect()
}

/// What was sent to signing, and what came back.
fn check_signing(unpacked: &Unpacked, events: &[Event], report: &mut Report) {
    let Some(signing) = signing(events) else {
        match events.iter().any(|event| matches!(event.body, EventBody::Signed { .. })) {
            true => report.check("what came back had been sent to signing", Err("no event says so".into())),
            false => report.notes.push("the document was archived without a signature".into()),
        }
        return;
    };
    let parts = parts_after(signing.before);
    match part_to_sign(&parts) {
        Some(part) => {
            let name = match part.role {
                // It is the only one: of several no one is signed.
                PartRole::Original => entry::original(1, part.file_name.as_deref().unwrap_or("document")),
                _ => entry::NORMALIZED.to_owned(),
            };
            let claim = format!("what was sent to signing is {name}");
            report.check_equal(claim, &unpacked.digest(&name), &Some(signing.sent));
        }
        None => report.check("what was sent to signing is in the package", Err("nothing could be".into())),
    }
    if let EventBody::Signed { signed_sha256, .. } = &signing.signed.body {
        let claim = "signed.pdf is what came back from signing";
        report.check_equal(claim, &unpacked.digest(entry::SIGNED), &Some(*signed_sha256));
    }
}

/// The digital signatures in the signed PDF: what was found of them when it came back is found again.
fn check_signatures(
    zip: &mut ZipArchive<impl Read + Seek>,
    unpacked: &Unpacked,
    events: &[Event],
    workers: &Pool,
    report: &mut Report,
) {
    let Some(Signing { sent, signed: event, .. }) = signing(events) else { return };
    let EventBody::Signed { signed_sha256: signed, finding, accepted_because, .. } = &event.body else {
        return;
    };
    let accepted = accepted_because.as_ref().map(|why| (&event.actor, why));
    let elsewhere = "look at the digital signatures inside signed.pdf with `pdfsig signed.pdf` as well";
    report.notes.push(elsewhere.into());
    let Some(finding) = finding else {
        report.notes.push("the digital signatures in signed.pdf were not looked at when it came back".into());
        return;
    };
    let mut look = || -> Result<(), String> {
        let (signed, sent) = (lay(zip, unpacked, *signed)?, lay(zip, unpacked, sent)?);
        let anchors = finding.anchors().concat();
        let again =
            returned::find(workers, &signed, &sent, &anchors, finding.checked_at, finding.incremental)?;
        if again.is_as(finding) {
            return Ok(());
        }
        let faults: Vec<&str> = again.all_faults().collect();
        Err(format!("found {}: {}", again.verdict.as_words(), faults.join("; ")))
    };
    let outcome = look();
    let verdict = finding.verdict.as_words();
    report.check(
        format!("the digital signatures in signed.pdf are what was found of them: {verdict}"),
        outcome,
    );
    report.notes.extend(finding.in_words());
    if let Some((who, why)) = accepted {
        report.notes.push(format!("signed.pdf is broken, and {who} took it for signed all the same: {why}"));
    }
}

/// The file of this digest, out of the package.
fn lay(zip: &mut ZipArchive<impl Read + Seek>, unpacked: &Unpacked, sha256: Digest) -> Result<File, String> {
    let found = unpacked.digests.iter().find(|(_, (digest, _))| *digest == sha256);
    let (name, _) = found.ok_or_else(|| format!("no file has the sha256 {sha256}"))?;
    let mut source = zip.by_name(name).map_err(|error| error.to_string())?;
    let laid = tempfile::tempfile().and_then(|mut file| io::copy(&mut source, &mut file).map(|_| file));
    laid.map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
mod tests;
