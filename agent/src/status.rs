//! `platen-agent status`: what lies where, and whether anything is stuck.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::instance::{self, Ask};
use crate::outbox::Entry;
use crate::spool::Spool;
use crate::watch::tray::TrayCount;

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whether the daemon runs; the rest then comes from it, else from the disk.
    pub running: bool,
    /// The hot folders.
    pub sources: Vec<SourceStatus>,
    /// Captures in the spool that are not finished.
    pub captures: CaptureStatus,
    /// The outbox.
    pub outbox: OutboxStatus,
    /// The link to the cloud.
    pub link: LinkStatus,
    /// Captures in quarantine.
    pub quarantined: usize,
    /// Free space where the spool lies, in bytes.
    pub free_bytes: u64,
    /// What is missing in the sandbox of the worker processes, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_trouble: Option<String>,
}

/// One hot folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// The files in it.
    pub files: TrayCount,
    /// What keeps it from being watched or its files from being taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// Captures that are not finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaptureStatus {
    /// In the spool in all.
    pub in_spool: usize,
    /// Those being worked on.
    pub in_work: Vec<InWork>,
}

/// A capture being worked on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InWork {
    /// The capture.
    pub capture_id: String,
    /// Its first file.
    pub file_name: String,
    /// Pages finished.
    pub pages_done: usize,
    /// Pages in all; 0 until known.
    pub pages: usize,
}

/// The outbox in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OutboxStatus {
    /// Documents the cloud does not have.
    pub waiting: usize,
    /// Of these, those the cloud refused.
    pub needs_person: usize,
    /// Delivered, and kept for their retention time.
    pub delivered: usize,
    /// Age of the oldest waiting one, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_s: Option<i64>,
}

/// The link to the cloud.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Since when it is down; absent while it is up or was not needed yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_since: Option<Timestamp>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the cloud last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer: Option<Timestamp>,
}

impl OutboxStatus {
    /// The numbers of these records.
    pub fn of(entries: &[Entry], now: Timestamp) -> Self {
        let waiting: Vec<&Entry> = entries.iter().filter(|entry| entry.is_waiting()).collect();
        let oldest = waiting.iter().map(|entry| entry.enqueued_at).min();
        Self {
            waiting: waiting.len(),
            needs_person: waiting.iter().filter(|entry| entry.needs_person).count(),
            delivered: entries.len() - waiting.len(),
            oldest_s: oldest.map(|oldest| now.duration_since(oldest).as_secs()),
        }
    }
}

/// Asks the daemon how it stands, or looks at the disk where none runs.
pub fn status(state: &Path) -> io::Result<Status> {
    match instance::ask(state, &Ask::Status)? {
        Some(answer) => Ok(serde_json::from_value(answer)?),
        None => from_disk(state),
    }
}

fn from_disk(state: &Path) -> io::Result<Status> {
    let spool = Spool::at(state);
    let documents = spool.document_ids()?.len();
    Ok(Status {
        captures: CaptureStatus { in_spool: spool.capture_ids()?.len(), in_work: Vec::new() },
        outbox: OutboxStatus { waiting: documents, ..OutboxStatus::default() },
        quarantined: spool.quarantined_ids()?.len(),
        free_bytes: free_bytes(state)?,
        ..Status::default()
    })
}

/// Free space for ordinary users on a path's file system, in bytes.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

impl Status {
    /// The status as lines for a person.
    pub fn to_text(&self, now: Timestamp) -> String {
        let mut text = String::new();
        let mut line = |words: String| writeln!(text, "{words}").expect("memory takes every line");
        if !self.running {
            line("the agent is not running; this is what lies on the disk".into());
        }
        for source in &self.sources {
            let files = source.files;
            let trouble = source.trouble.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
            line(format!(
                "source {}: {} ready, {} growing, {} empty{trouble}",
                source.name, files.ready, files.growing, files.empty
            ));
        }
        line(format!("captures: {} in the spool", self.captures.in_spool));
        for work in &self.captures.in_work {
            line(format!("  {}: page {} of {}", work.file_name, work.pages_done, work.pages));
        }
        let oldest = self.outbox.oldest_s.map(|age| format!(", oldest {age} s")).unwrap_or_default();
        line(format!(
            "outbox: {} waiting{oldest}, {} delivered and kept",
            self.outbox.waiting, self.outbox.delivered
        ));
        if self.outbox.needs_person > 0 {
            let count = self.outbox.needs_person;
            line(format!("  {count} refused by the cloud; see: platen-agent outbox list"));
        }
        match (&self.link.down_since, &self.link.last_answer) {
            (Some(since), _) => line(format!(
                "link: down for {} s ({})",
                now.duration_since(*since).as_secs(),
                self.link.reason.as_deref().unwrap_or("unknown")
            )),
            (None, Some(last)) => {
                line(format!("link: up, last answer {} s ago", now.duration_since(*last).as_secs()));
            }
            (None, None) => line("link: not needed yet".into()),
        }
        if self.quarantined > 0 {
            line(format!("quarantine: {}; see: platen-agent quarantine list", self.quarantined));
        }
        line(format!("disk: {} MiB free", self.free_bytes >> 20));
        if let Some(trouble) = &self.sandbox_trouble {
            line(format!("sandbox: {trouble}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use platen_model::CaptureId;

    #[test]
    fn a_link_that_is_down_is_told_with_its_reason_and_the_age_of_what_waits() {
        let now = Timestamp::from_second(1_000).expect("a time");
        let ago = |seconds: i64| Timestamp::from_second(1_000 - seconds).expect("a time");
        let capture = CaptureId::new();
        let mut entries: Vec<Entry> =
            (0..3).map(|index| Entry::new(capture.document(index), ago(12 - i64::from(index)))).collect();
        entries[1].needs_person = true;
        let status = Status {
            running: true,
            outbox: OutboxStatus::of(&entries, now),
            link: LinkStatus {
                down_since: Some(ago(60)),
                reason: Some("connection refused".into()),
                last_answer: None,
            },
            ..Status::default()
        };
        let text = status.to_text(now);
        for expected in
            ["3 waiting, oldest 12 s", "1 refused by the cloud", "link: down for 60 s (connection refused)"]
        {
            assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
        }
    }
}
