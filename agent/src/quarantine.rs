//! `platen-agent quarantine` and `platen-agent outbox`: what waits for a person, and what a person can do.
//!
//! Reading needs nothing but the spool. Changing goes through the daemon where one runs, and takes its lock
//! where none does, so that the two never change the same folder.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use platen_model::CaptureId;
use serde::Serialize;

use crate::Complaint;
use crate::claim::ledger::forget_in;
use crate::instance::{self, Ask, Partly};
use crate::spool::{Quarantined, Spool};
use crate::vault::Vault;

/// A capture in quarantine as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct QuarantineLine {
    /// The capture.
    pub capture_id: CaptureId,
    /// The source by name.
    pub source: String,
    /// The names of its files; what is not UTF-8 is replaced.
    pub files: Vec<String>,
    /// The class of the failure.
    pub class: &'static str,
    /// The stage it failed at.
    pub stage: String,
    /// What was wrong.
    pub message: String,
    /// How often it was tried.
    pub attempts: u32,
    /// What would help.
    pub help: String,
    /// Whether only another file would, and trying this one again never will.
    pub wants_another_file: bool,
    /// When it was given up.
    pub at: jiff::Timestamp,
}

impl From<Quarantined> for QuarantineLine {
    fn from(one: Quarantined) -> Self {
        Self {
            capture_id: one.capture_id,
            source: one.record.as_ref().map(|record| record.source.clone()).unwrap_or_default(),
            files: one.file_names(),
            class: one.reason.failure.class.as_str(),
            stage: one.reason.failure.stage.to_string(),
            message: one.reason.failure.message.clone(),
            attempts: one.reason.attempts,
            help: one.reason.help,
            wants_another_file: one.reason.failure.class.wants_another_file(),
            at: one.reason.at,
        }
    }
}

impl QuarantineLine {
    /// The capture as lines for a person.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let then = if self.wants_another_file {
            "; put the new file into the hot folder, then platen-agent quarantine discard"
        } else {
            ", then platen-agent quarantine retry"
        };
        writeln!(
            text,
            "{}  {}  {}: {} ({})\n  safe: the files lie untouched in the quarantine\n  try: {}{then} {}",
            self.capture_id,
            self.files.join(", "),
            self.stage,
            self.message,
            self.class,
            self.help,
            self.capture_id
        )
        .expect("memory takes every line");
        text
    }
}

/// What is in quarantine, oldest first.
pub fn list(vault: &Vault) -> Result<Vec<QuarantineLine>, Complaint> {
    let listed = Spool::looking(vault).quarantine_list();
    listed
        .map(|list| list.into_iter().map(QuarantineLine::from).collect())
        .map_err(|error| trouble(vault.state(), &error))
}

/// One capture in quarantine.
pub fn show(vault: &Vault, id: CaptureId) -> Result<QuarantineLine, Complaint> {
    let shown = Spool::looking(vault).quarantine_show(id);
    shown.map(QuarantineLine::from).map_err(|error| trouble(vault.state(), &error))
}

/// Gives captures another chance: one, or all for `None`. Answers how many.
pub fn retry(vault: &Vault, id: Option<CaptureId>) -> Result<u64, Complaint> {
    let by_hand = || {
        let spool = Spool::looking(vault);
        let ids = match id {
            Some(id) => vec![id],
            None => spool.quarantined_ids()?,
        };
        each(&ids, |id| spool.quarantine_retry(id)).map(|count| count as u64)
    };
    ask_or_do(vault.state(), &Ask::QuarantineRetry { id }, by_hand)
}

/// Throws a capture in quarantine away. There is no way back.
pub fn discard(vault: &Vault, id: CaptureId) -> Result<(), Complaint> {
    let by_hand = || {
        let spool = Spool::looking(vault);
        spool.quarantine_show(id)?;
        // First: where only this is done, its bytes may come again and it can be discarded again.
        forget_in(vault.state(), id)?;
        spool.quarantine_discard(id)?;
        Ok(1)
    };
    ask_or_do(vault.state(), &Ask::QuarantineDiscard { id }, by_hand).map(drop)
}

/// Does something with each of these captures: one that fails holds up no other. Answers how many went well.
///
/// # Errors
///
/// Where some did not: how many, and why the first. As [`Partly`] where others did.
pub(crate) fn each(ids: &[CaptureId], act: impl Fn(CaptureId) -> io::Result<()>) -> io::Result<usize> {
    let failed: Vec<(CaptureId, io::Error)> =
        ids.iter().filter_map(|id| act(*id).err().map(|error| (*id, error))).collect();
    let well = ids.len() - failed.len();
    match failed.first() {
        None => Ok(well),
        Some((_, error)) if ids.len() == 1 => Err(io::Error::new(error.kind(), error.to_string())),
        Some((id, error)) => {
            let message =
                format!("{well} are tried again, {} cannot be; the first, {id}: {error}", failed.len());
            match well {
                0 => Err(io::Error::new(error.kind(), message)),
                _ => Err(io::Error::other(Partly(message))),
            }
        }
    }
}

/// Asks the daemon for something that answers a number, or does it under the daemon's lock.
pub(crate) fn ask_or_do(
    state: &Path,
    ask: &Ask,
    by_hand: impl FnOnce() -> io::Result<u64>,
) -> Result<u64, Complaint> {
    let done = match instance::ask(state, ask) {
        Ok(Some(answer)) => Ok(answer.as_u64().unwrap_or_default()),
        Ok(None) => match instance::lock(state) {
            Ok(Some(_lock)) => by_hand(),
            Ok(None) => Err(io::Error::other("the agent is just starting or stopping; ask again")),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    };
    done.map_err(|error| trouble(state, &error))
}

pub(crate) fn trouble(state: &Path, error: &io::Error) -> Complaint {
    let (safe, help) = if Partly::is(error) {
        ("what could be done is done, the others are as they were", "platen-agent quarantine list")
    } else if error.kind() == io::ErrorKind::TimedOut {
        ("it goes on with what it was asked for; nothing is lost", "look in a while: platen-agent status")
    } else {
        let help = "check the id, and run as the user the agent runs as, for example with sudo -u platen";
        ("nothing was changed", help)
    };
    Complaint::new(format!("state folder {}: {error}", state.display()), safe, help)
}

#[cfg(test)]
mod tests {
    use platen_model::{Failure, FailureClass, Stage};

    use super::*;
    use crate::spool::Reason;

    #[test]
    fn what_is_advised_can_help() {
        let check = |class, then: &str| {
            let reason = Reason::new(Failure::new(class, Stage::Inspect, "it is so"), 1);
            let line =
                QuarantineLine::from(Quarantined { capture_id: CaptureId::new(), record: None, reason });
            let text = line.to_text();
            assert!(text.ends_with(&format!("{then} {}\n", line.capture_id)), "{text}");
        };
        for class in FailureClass::ALL {
            check(
                class,
                match class.wants_another_file() {
                    true => "; put the new file into the hot folder, then platen-agent quarantine discard",
                    false => ", then platen-agent quarantine retry",
                },
            );
        }
    }
}
