//! The digital signatures in a PDF that came back from signing, and what they are worth.
//!
//! [`check_signatures`] reads the PDF as the signers left it and answers a [`SignatureFinding`]. Of each signature:
//! whether it holds over the bytes it names ([`cms`]), whether those are all of the file but itself ([`held`]), whether
//! what the pages show was changed afterwards ([`sameness`]), and whether its certificate leads to one that is trusted
//! ([`chain`]). A signature proves nothing of what it does not cover, therefore whatever stands after the last one is
//! compared with what was there before: only the means to check signatures later (a `/DSS`) may have been added.
//!
//! It decides nothing on its own clock and asks no network: the same file, trusted certificates and time give the same
//! finding, so that it can be repeated from an evidence package. The danger is to call something sound that is not:
//! what cannot be read is a fault, and what is of an unknown kind is called unchecked, never valid. Revocation is not
//! asked about here: [`revocation`] is about what goes into a file for others to check.

mod chain;
mod cms;
mod held;
pub mod revocation;
mod sameness;
pub mod stamp;

use std::collections::BTreeSet;
use std::fs::File;

use jiff::Timestamp;
use lopdf::Document;
use platen_model::{
    Failure, FoundSignature, SignatureClock, SignatureCoverage, SignatureFinding, SignatureVerdict,
};

use chain::Roots;
use cms::{Content, Fault};
use held::Held;

/// The most signatures that are looked at.
const SIGNATURES_MAX: usize = 100;

/// What is found of the signatures in `returned`, which was made of `sent`.
///
/// `roots` are the certificates that are trusted, as PEM; `at` is the time that certificates must be valid at, unless a
/// time-stamp says another; `incremental` is whether the PDF has to begin with the bytes of `sent`.
///
/// # Errors
///
/// Only where a file cannot be read from the disk: what is wrong with the PDF is what was found.
pub fn check_signatures(
    returned: &File,
    sent: &File,
    roots: &str,
    at: Timestamp,
    incremental: bool,
) -> Result<SignatureFinding, Failure> {
    let (bytes, sent) = (super::seal::read(returned)?, super::seal::read(sent)?);
    let mut finding = SignatureFinding {
        verdict: SignatureVerdict::Broken,
        checked_at: at,
        incremental,
        begins_with_sent: bytes.starts_with(&sent),
        signatures: Vec::new(),
        faults: Vec::new(),
    };
    if incremental && !finding.begins_with_sent {
        finding.faults.push("the PDF does not begin with the bytes that were sent".into());
    }
    match Document::load_mem(&bytes) {
        Err(error) => finding.faults.push(format!("the PDF cannot be read: {error}")),
        Ok(document) => look(&document, &bytes, &sent, &Roots::read(roots), &mut finding),
    }
    finding.verdict = verdict(&finding);
    Ok(finding)
}

/// The certificates that come with a document's signatures, and with the time-stamps those carry, as DER.
pub(super) fn certificates(document: &Document, bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    let held = held::all(document, bytes).into_iter().flatten();
    held.flat_map(|held| {
        let covered = Content(&bytes[..held.open], &bytes[held.close..held.end]);
        let signed = match held.is_time_stamp {
            true => stamp::check(&held.cms, covered).map(|(signed, _)| signed),
            false => cms::check(&held.cms, Some(covered)),
        };
        let stamped = signed.as_ref().ok().and_then(stamp::of_signature).and_then(Result::ok);
        let authority = stamped.map(|(authority, _)| authority.certificates).unwrap_or_default();
        signed.map(|signed| signed.certificates).unwrap_or_default().into_iter().chain(authority)
    })
    .map(|certificate| certificate.to_vec())
    .collect()
}

fn look(document: &Document, bytes: &[u8], sent: &[u8], roots: &Roots, finding: &mut SignatureFinding) {
    let pages = document.get_pages().len();
    let pages_sent = Document::load_mem(sent).map(|sent| sent.get_pages().len()).unwrap_or_default();
    if pages < pages_sent {
        finding.faults.push(format!("{pages_sent} pages were sent, and {pages} came back"));
    }
    let mut all = held::all(document, bytes);
    if held::are_more_than(all.len(), document, bytes) {
        finding.faults.push("a signature stands in the PDF that none of its form's fields holds".into());
    }
    if all.is_empty() {
        if finding.incremental {
            finding.faults.push("the provider seals what it returns, and there is no seal".into());
        }
        return;
    }
    if document.xref_recovery.is_some() {
        finding.faults.push("the PDF's structure is broken: what readers see of it is a guess".into());
    }
    if all.len() > SIGNATURES_MAX {
        finding.faults.push(format!("it has {} signatures, over the limit of {SIGNATURES_MAX}", all.len()));
        all.truncate(SIGNATURES_MAX);
    }
    all.sort_by_key(|held| held.as_ref().map_or(usize::MAX, |held| held.end));
    let last_end = all.iter().flatten().map(|held| held.end).max().unwrap_or_default();
    let shown = sameness::of_pages(document);
    for held in all {
        let found = match held {
            Ok(held) => signature(document, bytes, &held, roots, finding.checked_at, &shown, last_end),
            Err(fault) => FoundSignature { fault: Some(fault), ..FoundSignature::default() },
        };
        finding.signatures.push(found);
    }
}

fn signature(
    document: &Document,
    bytes: &[u8],
    held: &Held,
    roots: &Roots,
    at: Timestamp,
    shown: &sameness::Sameness,
    last_end: usize,
) -> FoundSignature {
    let mut found = FoundSignature {
        is_time_stamp: held.is_time_stamp,
        signed_at: held.claimed_at,
        ..FoundSignature::default()
    };
    match held.coverage(document, bytes, shown, last_end) {
        Ok(coverage) => found.coverage = coverage,
        Err(fault) => found.fault = Some(fault),
    }
    let covered = Content(&bytes[..held.open], &bytes[held.close..held.end]);
    let outcome = match held.is_time_stamp {
        true => stamp::check(&held.cms, covered).map(|(signed, at)| (signed, Some(at))),
        // One that does not hold is broken, of whatever kind it says it is.
        false => cms::check(&held.cms, Some(covered))
            .and_then(|signed| held.is_known_kind().map(|()| (signed, None))),
    };
    let (signed, own_time) = match outcome {
        Ok(checked) => checked,
        Err(Fault::Broken(fault)) => {
            found.fault.get_or_insert(fault);
            return found;
        }
        Err(Fault::Unchecked(why)) => {
            found.unchecked = Some(why);
            return found;
        }
    };
    found.signer = signed.name();
    found.signed_at = found.signed_at.or(signed.claimed_at);
    // Certificates must have been valid at our own time, or at an authority's: a signer may claim any.
    let mut valid_at = at;
    let mut note_stamp = |authority: &cms::Signed, stamped_at: Timestamp| {
        found.signed_at = Some(stamped_at);
        found.clock = SignatureClock::StampedByUnknown;
        if let Ok((_, anchor)) = roots.lead(authority, stamped_at, true) {
            (found.clock, found.stamp_anchor) = (SignatureClock::Stamped, Some(anchor));
            valid_at = stamped_at;
        }
    };
    match (own_time, stamp::of_signature(&signed)) {
        (Some(own_time), _) => note_stamp(&signed, own_time),
        (None, Some(Ok((authority, stamped_at)))) => note_stamp(&authority, stamped_at),
        (None, Some(Err(fault))) => {
            found.fault.get_or_insert(fault);
        }
        (None, None) => {}
    }
    match roots.lead(&signed, valid_at, held.is_time_stamp) {
        Ok((chain, anchor)) => (found.chain, found.anchor) = (chain, Some(anchor)),
        Err(why) => found.chain = why,
    }
    found
}

fn verdict(finding: &SignatureFinding) -> SignatureVerdict {
    let of_people = || finding.signatures.iter().filter(|found| !found.is_time_stamp);
    if finding.all_faults().next().is_some() {
        SignatureVerdict::Broken
    } else if of_people().next().is_none() {
        SignatureVerdict::NoSignature
    } else if finding.signatures.iter().any(|found| found.unchecked.is_some()) {
        SignatureVerdict::Unchecked
    } else if of_people().any(|found| found.anchor.is_none()) {
        SignatureVerdict::ChainUnknown
    } else {
        SignatureVerdict::Valid
    }
}

/// What a signature covers, or what was changed of that later.
type Unchanged = Result<SignatureCoverage, String>;
