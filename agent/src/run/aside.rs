//! Old files in a source's folder `done`: removed after their days, and never because a clock jumped.

use std::io;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use platen_model::{CaptureId, durable};

use crate::config::Source;
use crate::watch::listing::DONE_FOLDER;

/// How long wall clock and monotonic clock must have agreed before anything is removed.
const AGREEMENT_TIME: Duration = Duration::from_secs(60 * 60);
/// By how much they may differ over that time. More means that somebody set the clock, or that the machine slept.
const DIFFERENCE_MAX: SignedDuration = SignedDuration::from_mins(5);
/// The most files that are removed at once.
const REMOVED_MAX: usize = 1_000;
/// The length of a capture's id at the beginning of a name.
const ID_BYTES: usize = 36;

/// What lies in `done`.
#[derive(Debug)]
pub(super) struct Aside {
    folder: PathBuf,
    days: Option<u32>,
    agreed_since: Option<(Instant, Timestamp)>,
}

impl Aside {
    pub(super) fn of(source: &Source) -> Self {
        Self { folder: source.folder.join(DONE_FOLDER), days: source.done_days, agreed_since: None }
    }

    /// Removes what is older than its days.
    pub(super) fn clear(&mut self, now: Timestamp) -> io::Result<()> {
        let Some(days) = self.days else { return Ok(()) };
        let (began, wall) = *self.agreed_since.get_or_insert((Instant::now(), now));
        if !clocks_agree(began.elapsed(), now.duration_since(wall)) {
            self.agreed_since = None;
            return Ok(());
        }
        if began.elapsed() < AGREEMENT_TIME {
            return Ok(());
        }
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        let mut removed = 0;
        for entry in entries {
            let entry = entry?;
            let old = entry.file_name().to_str().is_some_and(|name| is_old(name, days, now));
            // Not a folder, and nothing through a link: only what we have put here.
            if old && entry.file_type()?.is_file() && removed < REMOVED_MAX {
                durable::remove_file(&entry.path())?;
                removed += 1;
            }
        }
        Ok(())
    }
}

/// Whether both clocks went on alike.
fn clocks_agree(monotonic: Duration, wall: SignedDuration) -> bool {
    let monotonic = SignedDuration::try_from(monotonic).unwrap_or(SignedDuration::MAX);
    (wall - monotonic).abs() <= DIFFERENCE_MAX
}

/// Whether a file that was put aside under this name has had its days. The name begins with the id of its capture,
/// which carries the time of the claim.
fn is_old(name: &str, days: u32, now: Timestamp) -> bool {
    let id = name.get(..ID_BYTES).and_then(|id| CaptureId::from_str(id).ok());
    let claimed = id.and_then(|id| id.as_uuid().get_timestamp());
    let claimed = claimed.and_then(|at| Timestamp::from_second(i64::try_from(at.to_unix().0).ok()?).ok());
    claimed
        .is_some_and(|claimed| now.duration_since(claimed) > SignedDuration::from_hours(24 * i64::from(days)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_put_aside_long_ago_is_old() {
        let name = format!("{}-scan.pdf", CaptureId::new());
        let later = |days: i64| Timestamp::now() + SignedDuration::from_hours(24 * days);
        assert!(!is_old(&name, 30, later(29)) && is_old(&name, 30, later(31)));
        assert!(!is_old(&name, 30, later(-9_000)), "a clock that is behind");
        for foreign in
            ["scan.pdf", "", "0198c0de-0000-4000-8000-000000000000-scan.pdf", "ä".repeat(40).as_str()]
        {
            assert!(!is_old(foreign, 0, later(9_000)), "{foreign}");
        }
    }

    #[test]
    fn a_clock_that_was_set_is_seen() {
        let hour = Duration::from_secs(3_600);
        assert!(clocks_agree(hour, SignedDuration::from_secs(3_650)));
        for jumped in
            [SignedDuration::from_hours(24 * 3_650), SignedDuration::from_hours(-24), SignedDuration::ZERO]
        {
            assert!(!clocks_agree(hour, jumped), "{jumped:?}");
        }
    }

    #[test]
    fn nothing_is_removed_before_the_clock_has_proven_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let source = Source { done_days: Some(1), ..Source::new("desk", folder.path()) };
        std::fs::create_dir(folder.path().join("done")).expect("a folder");
        let kept = folder.path().join("done").join(format!("{}-scan.pdf", CaptureId::new()));
        std::fs::write(&kept, b"scan").expect("a file");
        let mut aside = Aside::of(&source);
        aside.clear(Timestamp::now()).expect("no trouble");
        aside.clear(Timestamp::now() + SignedDuration::from_hours(24 * 3_650)).expect("no trouble");
        assert!(kept.exists());
        // As if both clocks had gone on for long.
        let hours = |hours| Timestamp::now() + SignedDuration::from_hours(hours);
        aside.agreed_since =
            Instant::now().checked_sub(Duration::from_secs(7_200)).map(|at| (at, hours(24 * 365 - 2)));
        if aside.agreed_since.is_some() {
            aside.clear(hours(24 * 365)).expect("no trouble");
            assert!(!kept.exists());
        }
    }
}
