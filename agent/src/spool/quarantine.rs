//! Captures that could not be carried on, kept whole beside the reason, for a person.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use platen_model::{CaptureId, Failure, FailureClass, Stage};
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
    /// The capture.
    pub capture_id: CaptureId,
    /// What was claimed; `None` where the record itself is damaged.
    pub record: Option<CaptureRecord>,
    /// Why it is here.
    pub reason: Reason,
}

impl Quarantined {
    /// The names of its files for people; where the record is damaged, those that they have in the spool.
    pub fn file_names(&self) -> Vec<String> {
        match &self.record {
            Some(record) => record.files.iter().map(|file| file.display_name()).collect(),
            None => vec![format!("spool/quarantine/{}", self.capture_id)],
        }
    }
}

/// Of which class what lies in quarantine is. A reason does not change while it lies there, so each is read once, however
/// many there are and however often it is asked.
#[derive(Debug, Default)]
pub struct KnownClasses(Mutex<BTreeMap<CaptureId, FailureClass>>);

impl KnownClasses {
    /// How many captures are of which class.
    pub fn by_class(&self, spool: &Spool) -> io::Result<BTreeMap<String, usize>> {
        let ids = spool.quarantined_ids()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        let mut classes = BTreeMap::new();
        for id in ids {
            let class = before.get(&id).copied().unwrap_or_else(|| spool.quarantine_reason(id).failure.class);
            known.insert(id, class);
            *classes.entry(class.as_str().to_owned()).or_default() += 1;
        }
        Ok(classes)
    }

    /// A capture leaves; it may come back for another reason.
    pub fn forget(&self, id: CaptureId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
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

    /// What is in quarantine, oldest first.
    pub fn quarantine_list(&self) -> io::Result<Vec<Quarantined>> {
        let shown = |id| match self.quarantine_show(id) {
            // Tried again or discarded since the folder was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            shown => Some(shown),
        };
        self.quarantined_ids()?.into_iter().filter_map(shown).collect()
    }

    /// One capture in quarantine. What was damaged about it is no reason not to show it.
    pub fn quarantine_show(&self, id: CaptureId) -> io::Result<Quarantined> {
        let folder = self.quarantined(id);
        if !self.disk().exists(&folder)? {
            let message = format!("capture {id} is not in quarantine");
            return Err(io::Error::new(io::ErrorKind::NotFound, message));
        }
        let record = CaptureRecord::read(self, &folder).ok();
        Ok(Quarantined { capture_id: id, record, reason: self.quarantine_reason(id) })
    }

    /// Why a capture is in quarantine.
    fn quarantine_reason(&self, id: CaptureId) -> Reason {
        let read = self.read_json(&self.quarantined(id).join(REASON_FILE));
        read.unwrap_or_else(|error| {
            let message = format!("the reason cannot be read: {error}");
            Reason::new(Failure::new(FailureClass::Internal, Stage::Claim, message), 0)
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
