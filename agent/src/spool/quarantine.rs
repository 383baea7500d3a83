//! Captures that could not be carried on, kept whole beside the reason, for a person.

use std::io;

use jiff::Timestamp;
use platen_model::{CaptureId, Failure};
use serde::{Deserialize, Serialize};

use super::capture::{Attempts, CaptureRecord, remove_work_folder};
use super::folders::Spool;

/// The file that says why.
const REASON_FILE: &str = "reason.json";
/// The version of `reason.json` written by this release.
const REASON_VERSION: u32 = 1;

/// Why a capture is in quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// `REASON_VERSION` of the writer.
    pub version: u32,
    /// What failed.
    pub failure: Failure,
    /// How often it was tried.
    pub attempts: u32,
    /// What would help.
    pub help: String,
    /// When it was given up.
    pub at: Timestamp,
}

/// A capture in quarantine.
#[derive(Clone, Debug, Serialize)]
pub struct Quarantined {
    /// What was claimed.
    pub record: CaptureRecord,
    /// Why it is here.
    pub reason: Reason,
}

impl Reason {
    /// The reason for a failure after this many attempts.
    pub fn new(failure: Failure, attempts: u32) -> Self {
        let help = failure.class.what_helps().to_owned();
        Self { version: REASON_VERSION, failure, attempts, help, at: Timestamp::now() }
    }
}

impl Spool {
    /// Moves a capture into quarantine. The reason is durable before the move: a crash between the two is
    /// finished by [`Spool::finish_quarantining`].
    pub fn put_in_quarantine(&self, id: CaptureId, reason: &Reason) -> io::Result<()> {
        let folder = self.capture(id);
        self.write_json(&folder.join(REASON_FILE), reason)?;
        self.move_to_quarantine(id)
    }

    /// Moves on the captures that were on their way into quarantine when the agent was stopped.
    pub fn finish_quarantining(&self) -> io::Result<()> {
        for id in self.capture_ids()? {
            if self.disk().exists(&self.capture(id).join(REASON_FILE))? {
                self.move_to_quarantine(id)?;
            }
        }
        Ok(())
    }

    fn move_to_quarantine(&self, id: CaptureId) -> io::Result<()> {
        remove_work_folder(self, &self.capture(id))?;
        self.durably().rename(&self.capture(id), &self.quarantined(id))
    }

    /// What is in quarantine, oldest first. A capture whose files cannot be read is skipped with a warning.
    pub fn quarantine_list(&self) -> io::Result<Vec<Quarantined>> {
        let mut list = Vec::new();
        for id in self.quarantined_ids()? {
            match self.quarantine_show(id) {
                Ok(quarantined) => list.push(quarantined),
                Err(error) => tracing::warn!(capture = %id, %error, "a quarantined capture cannot be read"),
            }
        }
        Ok(list)
    }

    /// One capture in quarantine.
    pub fn quarantine_show(&self, id: CaptureId) -> io::Result<Quarantined> {
        let folder = self.quarantined(id);
        Ok(Quarantined {
            record: CaptureRecord::read(self, &folder)?,
            reason: self.read_json(&folder.join(REASON_FILE))?,
        })
    }

    /// Gives a capture back to the capture path, with a fresh count of attempts. It keeps its id, and with
    /// it the ids of its documents (INV-5).
    pub fn quarantine_retry(&self, id: CaptureId) -> io::Result<()> {
        let folder = self.quarantined(id);
        Attempts::forget(self, &folder)?;
        // The reason goes first: with it, the capture would be moved straight back.
        self.durably().remove_file(&folder.join(REASON_FILE))?;
        self.durably().rename(&folder, &self.capture(id))
    }

    /// Gives back the captures whose retry was cut short: in quarantine, but without a reason.
    pub fn finish_retrying(&self) -> io::Result<()> {
        for id in self.quarantined_ids()? {
            if !self.disk().exists(&self.quarantined(id).join(REASON_FILE))? {
                self.durably().rename(&self.quarantined(id), &self.capture(id))?;
            }
        }
        Ok(())
    }

    /// Throws a quarantined capture away, by a person's explicit wish. There is no way back.
    pub fn quarantine_discard(&self, id: CaptureId) -> io::Result<()> {
        self.quarantine_show(id)?;
        self.durably().remove_folder(&self.quarantined(id))
    }
}
