//! `platen-agent status`: what lies where, and whether anything is stuck.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use platen_model::SourcePage;
use serde::{Deserialize, Serialize};

use crate::instance::{self, Ask};
use crate::outbox::Outbox;
use crate::outbox::ledger::Health;
use crate::spool::{BlankAside, KnownClasses, Spool};
use crate::vault::Vault;
use crate::watch::tray::{FileState, TrayCount};

/// How many files of a source are shown to a person one by one.
const SOURCE_FILES_SHOWN: usize = 10;
/// How many documents without their blank pages are shown to a person one by one.
const BLANK_ASIDE_SHOWN: usize = 10;
/// So many of the newest documents in the spool are looked at for blank pages that were set aside.
pub(crate) const BLANK_LOOKED_AT: usize = 1_000;

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
    /// How many of them are of which class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quarantined_by_class: BTreeMap<String, usize>,
    /// Documents in the spool without blank pages of their scans, newest first; not all, where there are many.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blank_aside: Vec<BlankAside>,
    /// Free space where the spool lies, in bytes.
    pub free_bytes: u64,
    /// Whether the state folder is encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<EncryptionStatus>,
    /// What is missing in the sandbox of the worker processes, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox_trouble: Option<String>,
}

/// Encryption at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncryptionStatus {
    /// Since when what is stored is encrypted.
    pub since: Timestamp,
    /// Captures and documents that were stored before, and may be plain.
    pub older: usize,
}

impl EncryptionStatus {
    /// What is known of a spool that is encrypted since then.
    pub fn of(spool: &Spool, since: Timestamp) -> io::Result<Self> {
        let documents = spool.document_ids()?.into_iter().map(|id| id.claimed_at());
        let captures = spool.capture_ids()?.into_iter().chain(spool.quarantined_ids()?);
        let claimed = documents.chain(captures.map(|id| id.document(0).claimed_at()));
        Ok(Self { since, older: claimed.filter(|at| *at < since).count() })
    }
}

/// One hot folder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// The files in it.
    pub files: TrayCount,
    /// Those that a person may wonder about, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<FileState>,
    /// How changes are noticed.
    #[serde(default)]
    pub watched_by: WatchedBy,
    /// How long a file stands still before it counts as whole where nothing else shows that it is, in milliseconds.
    #[serde(default)]
    pub quiet_ms: u64,
    /// The same for a file to which a page may be added when it seems whole (TIFF, PDF), in milliseconds.
    #[serde(default)]
    pub growable_quiet_ms: u64,
    /// Whether that was learned from the pauses of its writers.
    #[serde(default)]
    pub quiet_is_learned: bool,
    /// Whether it is to be learned, and too little was seen yet.
    #[serde(default)]
    pub quiet_is_unknown: bool,
    /// Files in folders inside it, which are not taken because it is not `nested`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files_inside: usize,
    /// Files taken today (UTC).
    #[serde(default)]
    pub taken_today: u32,
    /// Files since the agent was started whose bytes had been taken before.
    #[serde(default)]
    pub duplicates: u64,
    /// The last of them, and the capture that has its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_duplicate: Option<String>,
    /// The source is silent when it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
    /// What keeps it from being watched or its files from being taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

/// How changes in a hot folder are noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum WatchedBy {
    /// By the kernel's events, and a listing now and then.
    #[default]
    Events,
    /// By listings alone.
    Polling {
        /// Why.
        why: String,
    },
}

impl std::fmt::Display for WatchedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Events => f.write_str("events"),
            Self::Polling { why } => write!(f, "polling ({why})"),
        }
    }
}

/// Captures that are not finished.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CaptureStatus {
    /// In the spool in all.
    pub in_spool: usize,
    /// Those being worked on.
    pub in_work: Vec<InWork>,
    /// Those that met a failure that passes, and are tried again in a while.
    #[serde(default)]
    pub waiting: usize,
    /// What the first of them met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
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
    /// Of the waiting ones, those that lack only their originals, which wait for a cheap link.
    #[serde(default)]
    pub originals_owed: usize,
    /// Age of the oldest waiting one, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_s: Option<i64>,
    /// For how many days the disk will do, by what came in the last two weeks; absent until that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_days: Option<u64>,
    /// How its database is.
    #[serde(default)]
    pub database: Health,
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
    /// When the next upload window opens; absent while one is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_at: Option<Timestamp>,
    /// Why originals are held back: bytes are dear. Absent where they may be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl SourceStatus {
    /// How long files stand still here before they count as whole.
    fn quiet_time(&self) -> String {
        let seconds = |ms| format!("{:.1} s", Duration::from_millis(ms).as_secs_f32());
        let how = match (self.quiet_is_learned, self.quiet_is_unknown) {
            (true, _) => " (learned)",
            (_, true) => " (until it is learned)",
            _ => "",
        };
        let quiet = format!("quiet time {}{how}", seconds(self.quiet_ms));
        if self.growable_quiet_ms <= self.quiet_ms {
            return quiet;
        }
        format!("{quiet}, {} for TIFF and PDF", seconds(self.growable_quiet_ms))
    }

    /// The hot folder as lines for a person.
    fn lines(&self) -> Vec<String> {
        let TrayCount { ready, growing, waiting, stalled, unfit } = self.files;
        let counts = [(growing, "growing"), (waiting, "waiting"), (stalled, "stalled"), (unfit, "unfit")];
        let counts: String = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, state)| format!(", {count} {state}"))
            .collect();
        let duplicates = match self.duplicates {
            0 => String::new(),
            count => format!(", {count} duplicates"),
        };
        let mut lines = vec![format!(
            "source {}: {ready} ready{counts}; {} taken today{duplicates}; by {}, {}",
            self.name,
            self.taken_today,
            self.watched_by,
            self.quiet_time(),
        )];
        lines.extend(self.silence.iter().map(|silence| format!("  silent: {silence}")));
        lines.extend(self.trouble.iter().map(|trouble| format!("  {trouble}")));
        let told = self.told.iter().take(SOURCE_FILES_SHOWN);
        lines.extend(told.map(|file| {
            let ready = file.ready_in_ms.map(|ms| {
                let seconds = i64::try_from(ms.div_ceil(1_000)).unwrap_or(i64::MAX);
                format!("; ready in about {}", length(seconds))
            });
            format!("  {}: {}, {}{}", file.file, file.state, file.why, ready.unwrap_or_default())
        }));
        if let Some(more) = self.told.len().checked_sub(SOURCE_FILES_SHOWN).filter(|more| *more > 0) {
            lines.push(format!("  and {more} more; see: platen-agent status --json"));
        }
        if self.files_inside > 0 {
            lines.push(format!("  {} files in folders inside (nested = true takes them)", self.files_inside));
        }
        lines
    }
}

impl OutboxStatus {
    /// The numbers of an outbox, with so much space on its disk that scans may take.
    pub fn of(outbox: &Outbox, free_bytes: u64, now: Timestamp) -> io::Result<Self> {
        let counts = outbox.counts();
        let age = |id: platen_model::DocumentId| now.duration_since(id.claimed_at()).as_secs().max(0);
        Ok(Self {
            waiting: counts.waiting,
            needs_person: counts.needs_person,
            delivered: counts.delivered,
            originals_owed: counts.originals_owed,
            oldest_s: outbox.oldest_waiting().map(age),
            disk_days: outbox.days_left(free_bytes, now),
            database: outbox.health()?,
        })
    }
}

/// Asks the daemon how it stands, or looks at the disk where none runs.
pub fn status(vault: &Vault) -> io::Result<Status> {
    match instance::ask(vault.state(), &Ask::Status)? {
        Some(answer) => Ok(serde_json::from_value(answer)?),
        None => from_disk(vault),
    }
}

fn from_disk(vault: &Vault) -> io::Result<Status> {
    let spool = Spool::looking(vault);
    let documents = spool.document_ids()?;
    // Delivered ones are kept for a while.
    let mut delivered = 0;
    for id in &documents {
        delivered += usize::from(spool.has_receipt(*id)?);
    }
    let waiting = documents.len() - delivered;
    Ok(Status {
        captures: CaptureStatus { in_spool: spool.capture_ids()?.len(), ..CaptureStatus::default() },
        outbox: OutboxStatus { waiting, delivered, ..OutboxStatus::default() },
        quarantined: spool.quarantined_ids()?.len(),
        quarantined_by_class: KnownClasses::default().by_class(&spool)?,
        blank_aside: spool.newest_blank_aside(BLANK_LOOKED_AT)?,
        free_bytes: free_bytes(vault.state())?,
        encryption: vault.since()?.map(|since| EncryptionStatus::of(&spool, since)).transpose()?,
        ..Status::default()
    })
}

/// Free space for ordinary users on a path's file system, in bytes.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let space = rustix::fs::statvfs(path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Pages in the words of whoever opens the scan.
fn places(pages: &[SourcePage]) -> String {
    let is_one_file = pages.iter().all(|page| page.source == 0);
    let place = |page: &SourcePage| {
        let number = u64::from(page.page) + 1;
        if is_one_file {
            format!("{number}")
        } else {
            format!("{number} of file {}", u64::from(page.source) + 1)
        }
    };
    let places: Vec<String> = pages.iter().map(place).collect();
    format!("page{} {}", if places.len() == 1 { "" } else { "s" }, places.join(", "))
}

/// A length of time as people say it: the largest unit that fits.
fn length(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{} s", seconds.max(0)),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A moment on the clock on the wall; with its date where that is not near.
pub(crate) fn clock(at: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let near = now.duration_since(at).as_hours().abs() < 20;
    at.to_zoned(zone.clone()).strftime(if near { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
}

impl Status {
    /// How it stands with what waits, in one line.
    fn headline(&self, now: Timestamp, zone: &TimeZone) -> String {
        let mut parts = vec![format!("{} waiting", self.outbox.waiting)];
        parts.extend(self.outbox.oldest_s.map(|age| format!("oldest {}", length(age))));
        parts.push(match (self.link.down_since, self.link.last_answer) {
            (Some(since), _) => {
                let reason = self.link.reason.as_deref().unwrap_or("unknown");
                format!("link down since {} ({reason})", clock(since, now, zone))
            }
            (None, Some(last)) => {
                format!("link up, last answer {} ago", length(now.duration_since(last).as_secs()))
            }
            (None, None) => "link not needed yet".into(),
        });
        parts.extend(self.outbox.disk_days.map(|days| format!("disk for {days} days")));
        parts.join(", ")
    }

    /// The status as lines for a person.
    pub fn to_text(&self, now: Timestamp) -> String {
        let mut text = String::new();
        let mut line = |words: String| writeln!(text, "{words}").expect("memory takes every line");
        if !self.running {
            line("the agent is not running; this is what lies on the disk".into());
        }
        for source in &self.sources {
            source.lines().into_iter().for_each(&mut line);
        }
        line(format!("captures: {} in the spool", self.captures.in_spool));
        if let Some(why) = &self.captures.waiting_for {
            line(format!("  {} tried again in a while ({why})", self.captures.waiting));
        }
        for work in &self.captures.in_work {
            line(format!("  {}: page {} of {}", work.file_name, work.pages_done, work.pages));
        }
        line(format!("outbox: {}", self.headline(now, &TimeZone::system())));
        if self.outbox.delivered > 0 {
            line(format!("  {} delivered and kept", self.outbox.delivered));
        }
        if self.outbox.originals_owed > 0 {
            let why = self.link.metered.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            line(format!(
                "  {} lack only their originals, which wait for a cheap link{why}; \
                 to send them now: platen-agent outbox originals",
                self.outbox.originals_owed
            ));
        }
        if let Some(opens_at) = self.link.opens_at {
            line(format!("  held until {} (outbox.windows)", clock(opens_at, now, &TimeZone::system())));
        }
        let database = &self.outbox.database;
        let rebuilt = database.rebuilt.iter().map(|why| format!("  rebuilt from the spool: {why}"));
        rebuilt
            .chain(database.trouble.iter().map(|why| format!("  cannot be used: {why}")))
            .for_each(&mut line);
        if self.outbox.needs_person > 0 {
            let count = self.outbox.needs_person;
            line(format!("  {count} refused by the cloud; see: platen-agent outbox list"));
        }
        if self.quarantined > 0 {
            let classes: Vec<String> =
                self.quarantined_by_class.iter().map(|(class, count)| format!("{count} {class}")).collect();
            let count = self.quarantined;
            line(format!("quarantine: {count} ({}); see: platen-agent quarantine list", classes.join(", ")));
        }
        if !self.blank_aside.is_empty() {
            line("blank pages set aside; to have them back: platen-agent outbox restore ID".into());
        }
        for aside in self.blank_aside.iter().take(BLANK_ASIDE_SHOWN) {
            line(format!("  {}: {} ({})", aside.file_name, places(&aside.pages), aside.document_id));
        }
        if let Some(more) = self.blank_aside.len().checked_sub(BLANK_ASIDE_SHOWN).filter(|more| *more > 0) {
            line(format!("  and {more} more; see: platen-agent status --json"));
        }
        line(format!("disk: {} MiB free", self.free_bytes >> 20));
        if let Some(encryption) = &self.encryption {
            let older = match encryption.older {
                0 => String::new(),
                count => {
                    format!("; {count} captures and documents from before may be plain until they are gone")
                }
            };
            line(format!("encryption: since {}{older}", clock(encryption.since, now, &TimeZone::system())));
        }
        if let Some(trouble) = &self.sandbox_trouble {
            line(format!("sandbox: {trouble}"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_delivered_and_kept_does_not_wait_while_the_agent_is_stopped() {
        let state = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(state.path()).expect("a spool");
        let ids: Vec<_> = (0..3).map(|_| platen_model::CaptureId::new().document(0)).collect();
        for id in &ids {
            std::fs::create_dir(spool.document(*id)).expect("a document's folder");
        }
        std::fs::write(spool.document(ids[1]).join("receipt.json"), b"{}").expect("a receipt");
        let OutboxStatus { waiting, delivered, .. } =
            from_disk(&Vault::plain(state.path())).expect("a status").outbox;
        assert_eq!((waiting, delivered), (2, 1));
    }

    #[test]
    fn blank_pages_are_told_by_their_places_in_the_scan() {
        let place = |source, page| SourcePage { source, page };
        let id = platen_model::CaptureId::new().document(0);
        let aside = |pages| BlankAside { document_id: id, file_name: "scan.tif".into(), pages };
        let told = vec![
            aside(vec![place(0, 1)]),
            aside(vec![place(0, 1), place(0, 3)]),
            aside(vec![place(0, 0), place(1, 4)]),
        ];
        let text = Status { blank_aside: told, ..Status::default() }.to_text(Timestamp::UNIX_EPOCH);
        for words in [
            "platen-agent outbox restore",
            &format!("  scan.tif: page 2 ({id})\n"),
            &format!("  scan.tif: pages 2, 4 ({id})\n"),
            &format!("  scan.tif: pages 1 of file 1, 5 of file 2 ({id})\n"),
        ] {
            assert!(text.contains(words), "{words:?} in {text}");
        }
        assert!(!Status::default().to_text(Timestamp::UNIX_EPOCH).contains("blank"));
    }

    #[test]
    fn a_source_says_how_long_its_files_stand_still_and_when_each_is_ready() {
        let check = |status: SourceStatus, words: &str| {
            let line = status.lines().remove(0);
            assert!(line.ends_with(words), "{words:?} in {line}");
        };
        let of =
            |quiet_ms, growable_quiet_ms| SourceStatus { quiet_ms, growable_quiet_ms, ..Default::default() };
        check(of(500, 500), ", quiet time 0.5 s");
        check(
            SourceStatus { quiet_is_unknown: true, ..of(45_000, 45_000) },
            ", quiet time 45.0 s (until it is learned)",
        );
        check(
            SourceStatus { quiet_is_learned: true, ..of(2_000, 45_000) },
            ", quiet time 2.0 s (learned), 45.0 s for TIFF and PDF",
        );
        let (file, state, why) = ("a.tif".into(), "growing".into(), "it may grow".into());
        let told = vec![FileState { file, state, why, ready_in_ms: Some(42_300) }];
        let lines = SourceStatus { told, files_inside: 3, ..of(2_000, 45_000) }.lines();
        assert_eq!(lines[1], "  a.tif: growing, it may grow; ready in about 43 s");
        assert_eq!(lines[2], "  3 files in folders inside (nested = true takes them)");
    }

    #[test]
    fn a_link_that_is_down_is_told_with_its_reason_and_the_age_of_what_waits() {
        let now = Timestamp::from_second(1_000).expect("a time");
        let ago = |seconds: i64| Timestamp::from_second(1_000 - seconds).expect("a time");
        let status = Status {
            running: true,
            outbox: OutboxStatus {
                waiting: 3,
                needs_person: 1,
                oldest_s: Some(7_300),
                disk_days: Some(9),
                ..Default::default()
            },
            link: LinkStatus {
                down_since: Some(ago(60)),
                reason: Some("connection refused".into()),
                ..LinkStatus::default()
            },
            ..Status::default()
        };
        let text = status.to_text(now);
        assert!(text.contains("1 refused by the cloud"), "{text}");
        let headline = status.headline(now, &TimeZone::UTC);
        assert_eq!(
            headline,
            "3 waiting, oldest 2 h, link down since 00:15 (connection refused), disk for 9 days"
        );
    }
}
