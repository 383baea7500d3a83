//! Copying a whole file, or a whole batch, into the spool.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use platen_model::disk::Readers;
use platen_model::{CaptureId, CorrelationId, crash, durable};

use super::reach::open_inside;
use crate::config::Source;
use crate::spool::capture::{CAPTURE_VERSION, stored_name};
use crate::spool::{CaptureRecord, ClaimedFile, ClaimedMarker, Spool};
use crate::watch::{Identity, Offer, Sight};

/// Proof that a capture is in the spool: every byte, its name and its record will survive a power cut.
///
/// Made only by [`claim`], and by [`super::recover`] after it has read the spool's copies again.
#[derive(Debug)]
pub struct Claimed {
    spool: Spool,
    record: CaptureRecord,
    folder: PathBuf,
}

impl Claimed {
    pub(super) fn proven(spool: &Spool, record: CaptureRecord, folder: PathBuf) -> Self {
        Self { spool: spool.clone(), record, folder }
    }

    /// What was claimed.
    pub fn record(&self) -> &CaptureRecord {
        &self.record
    }

    /// Gives it up: its copies leave the spool, its sources were not touched.
    ///
    /// # Errors
    ///
    /// Where the copies cannot be removed; the next start of the agent takes the capture on.
    pub fn undo(self) -> io::Result<()> {
        self.spool.durably().remove_folder(&self.folder)
    }

    pub(super) fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Where it lies in the spool.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Told after each durable step. The product goes on; tests stop here, as a power cut would.
pub trait Steps {
    /// `step` is done and durable.
    ///
    /// # Errors
    ///
    /// To stop here.
    fn passed(&self, step: &str) -> io::Result<()>;
}

/// Goes on, but for a [`crash::point`].
#[derive(Debug, Clone, Copy)]
pub struct NoStop;

impl Steps for NoStop {
    fn passed(&self, step: &str) -> io::Result<()> {
        crash::point(step);
        Ok(())
    }
}

/// Copies the offered files into the spool. The sources stay where they are until
/// [`Claimed::release`].
///
/// `Ok(None)` where a file changed or went away since it was offered: nothing was claimed.
///
/// # Errors
///
/// Where reading or writing failed; the sources are untouched and may be offered again. What was copied is
/// removed: a full disk must not become fuller by every attempt, and a capture that has its name must not be
/// found by [`super::recover`] beside the one of the next attempt.
pub fn claim(spool: &Spool, source: &Source, offer: &Offer) -> io::Result<Option<Claimed>> {
    claim_as(spool, source, offer, CaptureId::new(), Timestamp::now())
}

/// The same under this id, at this time.
///
/// # Errors
///
/// As [`claim`].
pub fn claim_as(
    spool: &Spool,
    source: &Source,
    offer: &Offer,
    id: CaptureId,
    now: Timestamp,
) -> io::Result<Option<Claimed>> {
    let claimed = claim_in_steps(spool, source, offer, id, now, &NoStop);
    if !matches!(claimed, Ok(Some(_))) {
        for folder in [spool.captures().join(format!(".tmp-{id}")), spool.capture(id)] {
            if let Err(error) = spool.durably().remove_folder(&folder) {
                tracing::warn!(folder = %folder.display(), %error, "cannot be removed");
            }
        }
    }
    claimed
}

/// The claim by itself, which leaves behind what a power cut would.
pub(super) fn claim_in_steps(
    spool: &Spool,
    source: &Source,
    offer: &Offer,
    id: CaptureId,
    now: Timestamp,
    steps: &dyn Steps,
) -> io::Result<Option<Claimed>> {
    let temporary = spool.captures().join(format!(".tmp-{id}"));
    spool.durably().create_folder(&temporary)?;
    let Some(record) = copy_all(spool, source, offer, (id, now), &temporary, steps)? else { return Ok(None) };
    record.write(spool, &temporary)?;
    steps.passed("the record is written")?;
    let folder = spool.capture(id);
    spool.durably().rename(&temporary, &folder)?;
    steps.passed("the capture has its name")?;
    Ok(Some(Claimed::proven(spool, record, folder)))
}

fn copy_all(
    spool: &Spool,
    source: &Source,
    offer: &Offer,
    (id, now): (CaptureId, Timestamp),
    temporary: &Path,
    steps: &dyn Steps,
) -> io::Result<Option<CaptureRecord>> {
    steps.passed("the temporary folder is made")?;
    let mut files = Vec::new();
    for (index, sight) in offer.files.iter().enumerate() {
        let Some(mut file) = open_inside(&source.folder, &sight.name)? else { return Ok(None) };
        if Identity::of(&file.metadata()?) != sight.identity {
            return Ok(None);
        }
        let stored = stored_name(index);
        let mut copy = spool.disk().create(&temporary.join(&stored), Readers::Usual)?;
        let durable = durable::write_and_sync(&mut *copy, &mut file)?;
        if durable.bytes() != sight.identity.bytes || Identity::of(&file.metadata()?) != sight.identity {
            return Ok(None);
        }
        let (sha256, bytes) = (durable.sha256(), durable.bytes());
        files.push(ClaimedFile { name: sight.name.clone(), stored, sha256, bytes, identity: sight.identity });
        steps.passed("a file is copied")?;
    }
    let marker = |sight: &Sight| ClaimedMarker { name: sight.name.clone(), identity: sight.identity };
    // Of a batch, the folder of its first file decides.
    let first = offer.files.first().map(|sight| Path::new(&sight.name)).unwrap_or(Path::new(""));
    let place = source.place(first);
    Ok(Some(CaptureRecord {
        rejoins: None,
        keep_blank: false,
        version: CAPTURE_VERSION,
        capture_id: id,
        correlation_id: CorrelationId::of_capture(id),
        source: source.name.clone(),
        department: place.department,
        document_type: place.document_type,
        languages: place.languages,
        labels: place.labels,
        stack: offer.stack,
        folder: source.folder.clone(),
        after: source.after,
        claimed_at: now,
        files,
        markers: offer.markers.iter().map(marker).collect(),
    }))
}
