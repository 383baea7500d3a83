//! After a crash: which captures are whole, which of their sources still have to go, and which are finished.

use std::io;

use platen_model::{CaptureId, Failure, FailureClass, Stage};

use super::ledger::Ledger;
use super::release::{Release, Released};
use super::take::{Claimed, NoStop};
use crate::spool::{CaptureRecord, Reason, Spool};

/// What the spool held.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Captures to work on, oldest first.
    pub released: Vec<Released>,
    /// Captures whose sources could not be taken away yet, with the reason.
    pub unreleased: Vec<(Claimed, io::Error)>,
}

/// Clears away half-written captures, finishes the release of whole ones and the storing of finished ones.
///
/// # Errors
///
/// Where the spool itself cannot be read. A single damaged capture goes into quarantine as it is.
pub fn recover(spool: &Spool, ledger: &Ledger) -> io::Result<Recovered> {
    spool.clear_unfinished()?;
    spool.finish_retrying()?;
    spool.finish_quarantining()?;
    let mut recovered = Recovered::default();
    for id in spool.capture_ids()? {
        if spool.finish_storing(id)?.is_some() {
            tracing::info!(capture = %id, "its documents were final before the last stop");
            continue;
        }
        let claimed = match prove(spool, id) {
            Ok(claimed) => claimed,
            Err(error) => {
                set_apart(spool, ledger, id, &error)?;
                continue;
            }
        };
        match claimed.release(ledger, &NoStop) {
            Release::Done(released) => recovered.released.push(*released),
            Release::Duplicate { of, .. } => tracing::info!(capture = %id, %of, "a duplicate"),
            Release::Undone(_) => tracing::info!(capture = %id, "its source grew; it will be claimed again"),
            Release::Stuck(claimed, error) => recovered.unreleased.push((*claimed, error)),
        }
    }
    Ok(recovered)
}

/// Releases a capture that came into the spool by itself: given another chance, or made anew of a document. `None` where
/// it has left the spool again.
///
/// Nobody would come again for sources that cannot be taken away: it goes on without. They are duplicates where they are
/// scanned once more.
///
/// # Errors
///
/// Where the capture is damaged: then it is in quarantine. Where the spool or the ledger cannot be written, it is still
/// among the captures, and has to be tried again.
pub(crate) fn take_up(spool: &Spool, ledger: &Ledger, id: CaptureId) -> io::Result<Option<Released>> {
    let claimed = match prove(spool, id) {
        Ok(claimed) => claimed,
        Err(error) => {
            set_apart(spool, ledger, id, &error)?;
            return Err(error);
        }
    };
    match claimed.release(ledger, &NoStop) {
        Release::Done(released) => Ok(Some(*released)),
        Release::Undone(_) | Release::Duplicate { .. } => Ok(None),
        Release::Stuck(claimed, error) => {
            tracing::warn!(capture = %id, %error, "its sources stay where they are; its copy goes on");
            claimed.release_without_sources(ledger)
        }
    }
}

/// Puts a damaged capture where a person sees it. Nothing of it is removed, nor a source that is still there. A whole
/// file with its bytes is no duplicate of it.
fn set_apart(spool: &Spool, ledger: &Ledger, id: CaptureId, error: &io::Error) -> io::Result<()> {
    tracing::error!(capture = %id, %error, "a capture in the spool is damaged; it goes into quarantine");
    ledger.forget(id)?;
    let message =
        format!("the spool's copy is damaged ({error}); scan it again unless it is still in the hot folder");
    let failure = Failure::new(FailureClass::Internal, Stage::Claim, message);
    spool.put_in_quarantine(id, &Reason::new(failure, 0))
}

/// Reads the spool's copies again: only equal digests prove that a capture is whole.
fn prove(spool: &Spool, id: CaptureId) -> io::Result<Claimed> {
    let folder = spool.capture(id);
    let record = CaptureRecord::read(spool, &folder)?;
    for file in &record.files {
        let found = spool.durably().digest_file(&folder.join(&file.stored))?;
        if found != (file.sha256, file.bytes) {
            let message =
                format!("{} has digest {}, but was claimed with {}", file.stored, found.0, file.sha256);
            return Err(io::Error::other(message));
        }
    }
    Ok(Claimed::proven(spool, record, folder))
}

#[cfg(test)]
mod tests;
