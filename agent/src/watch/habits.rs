//! What a source has shown of itself: how long its writers pause, whether they come back to a file they have closed,
//! and how much it scans by which hour of which day.
//!
//! Pure; kept as one small JSON file a source. Losing it costs caution for a while, never a scan: a source that
//! nothing is known of is waited for longest.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use platen_model::{Digest, durable};
use serde::{Deserialize, Serialize};

/// The version of the file written by this release.
const HABITS_VERSION: u32 = 1;
/// The quiet time, in milliseconds, of a source that little is known of, or whose writers come back.
pub const CAUTIOUS_QUIET_MS: u64 = 45_000;
/// The shortest and the longest quiet time that is learned, in milliseconds.
const QUIET_MS: (u64, u64) = (2_000, 300_000);
/// Files that must have been taken before anything is concluded.
const LEARNING_FILES: u64 = 10;
/// Files to which a page may be added that must have been taken before their writers are known not to come back.
const LEARNING_GROWABLE: u64 = 30;
/// The quiet time over the longest pause seen.
const PAUSES_IN_QUIET: u64 = 3;
/// Over how many of the last files pauses count.
const PAUSE_FILES: u64 = 500;
/// The most pauses remembered.
const PAUSES_MAX: usize = 32;
/// Days whose scans are remembered.
const DAYS_MAX: usize = 70;
/// Like days that must be known before silence means anything.
const LIKE_DAYS: usize = 3;
/// A day with less than this part of the usual scans was as good as silent.
const FEWEST_PART: u32 = 10;
/// Scans that must be usual by now before silence means anything.
const USUAL_MIN: u32 = 5;

/// A pause that a writer made, or its return to a file that had seemed whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pause {
    /// Its length, in milliseconds.
    ms: u64,
    /// Whether the file had seemed whole.
    after_end: bool,
    /// The number of files taken before it.
    at_file: u64,
}

/// The habits of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Habits {
    version: u32,
    taken: u64,
    /// Those of them to which a page might have been added when they seemed whole.
    #[serde(default)]
    taken_growable: u64,
    pauses: VecDeque<Pause>,
    /// Scans taken by day and hour, both in UTC.
    days: BTreeMap<Date, [u32; 24]>,
}

impl Habits {
    /// Where the habits of a source are kept.
    pub fn file(state: &Path, source: &str) -> PathBuf {
        // A source may be named like a path: its file is named by a digest.
        let digest = Digest::of(source.as_bytes()).to_string();
        let short: String = digest.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        state.join("sources").join(format!("{short}.json"))
    }

    /// Reads them; what cannot be read is as good as unknown.
    pub fn read(file: &Path) -> Self {
        let kept = std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        kept.filter(|habits| habits.version == HABITS_VERSION).unwrap_or_default()
    }

    /// Writes them durably.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        if let Some(folder) = file.parent() {
            durable::create_folder(folder)?;
        }
        let kept = Self { version: HABITS_VERSION, ..self.clone() };
        durable::write(file, &serde_json::to_vec(&kept)?).map(drop)
    }

    /// A file changed after it had stood still for so long.
    pub fn note_pause(&mut self, ms: u64, after_end: bool) {
        if ms == 0 {
            return;
        }
        if self.pauses.len() >= PAUSES_MAX {
            // The shortest goes: it decides nothing.
            let shortest = (0..self.pauses.len()).min_by_key(|&index| self.pauses[index].ms);
            shortest.and_then(|index| self.pauses.remove(index));
        }
        self.pauses.push_back(Pause { ms, after_end, at_file: self.taken });
    }

    /// Files were taken, and so many of them of a kind to which a page may be added when it seems whole.
    pub fn note_taken(&mut self, files: u32, growable: u32, now: Timestamp) {
        self.taken += u64::from(files);
        self.taken_growable += u64::from(growable);
        let taken = self.taken;
        self.pauses.retain(|pause| taken.saturating_sub(pause.at_file) < PAUSE_FILES);
        let moment = now.to_zoned(TimeZone::UTC);
        let hour = usize::try_from(moment.hour()).unwrap_or(0).min(23);
        let scans = &mut self.days.entry(moment.date()).or_default()[hour];
        *scans = scans.saturating_add(files);
        while self.days.len() > DAYS_MAX {
            self.days.pop_first();
        }
    }

    /// Whether enough was seen to conclude a quiet time from.
    pub fn has_learned(&self) -> bool {
        self.taken >= LEARNING_FILES
    }

    /// The quiet time, in milliseconds.
    pub fn quiet_ms(&self) -> u64 {
        if !self.has_learned() {
            return CAUTIOUS_QUIET_MS;
        }
        let longest = self.pauses.iter().map(|pause| pause.ms).max().unwrap_or(0);
        let quiet_ms = longest.saturating_mul(PAUSES_IN_QUIET).clamp(QUIET_MS.0, QUIET_MS.1);
        if self.writers_come_back() { quiet_ms.max(CAUTIOUS_QUIET_MS) } else { quiet_ms }
    }

    /// The quiet time of a file to which a page may be added when it seems whole (TIFF, PDF), in milliseconds. What
    /// quick files of other kinds have shown says nothing of these: someone may stand at the glass and turn pages.
    pub fn growable_quiet_ms(&self) -> u64 {
        let quiet_ms = self.quiet_ms();
        if self.taken_growable < LEARNING_GROWABLE { quiet_ms.max(CAUTIOUS_QUIET_MS) } else { quiet_ms }
    }

    /// Whether a file that was closed, and is complete, will not be written to again.
    pub fn trusts_closing(&self) -> bool {
        self.taken_growable >= LEARNING_GROWABLE && !self.writers_come_back()
    }

    fn writers_come_back(&self) -> bool {
        self.pauses.iter().any(|pause| pause.after_end)
    }

    /// Scans taken today so far.
    pub fn taken_today(&self, now: Timestamp) -> u32 {
        let today = now.to_zoned(TimeZone::UTC).date();
        self.days.get(&today).map_or(0, |hours| hours.iter().sum())
    }

    /// Whether the source is silent when it never was: "usually 40 scans by this hour, none today". Compared are the
    /// same days of the weeks before, of which none may have been as silent.
    pub fn silence(&self, now: Timestamp) -> Option<String> {
        let moment = now.to_zoned(TimeZone::UTC);
        let today = moment.date();
        if self.taken_today(now) > 0 {
            return None;
        }
        let hour = usize::try_from(moment.hour()).unwrap_or(0).min(23);
        let first = self.days.keys().next()?;
        let mut usual = Vec::new();
        for weeks in 1..=DAYS_MAX as i64 / 7 {
            let Ok(like) = today.checked_sub((7 * weeks).days()) else { break };
            if like < *first {
                break;
            }
            // Whole hours that have passed by now; a day that is missing had no scan.
            usual.push(self.days.get(&like).map_or(0, |hours| hours[..hour].iter().sum::<u32>()));
        }
        usual.sort_unstable();
        let median = *usual.get(usual.len() / 2)?;
        let never_silent = usual.first().is_some_and(|fewest| fewest.saturating_mul(FEWEST_PART) >= median);
        (usual.len() >= LIKE_DAYS && never_silent && median >= USUAL_MIN)
            .then(|| format!("usually {median} scans by {hour}:00 UTC on this day of the week, none today"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn after(files: u32, pauses: &[(u64, bool)]) -> Habits {
        let mut habits = Habits::default();
        habits.note_taken(files, files, at("2026-03-02T09:00:00Z"));
        pauses.iter().for_each(|&(ms, after_end)| habits.note_pause(ms, after_end));
        habits
    }

    #[test]
    fn a_source_that_little_is_known_of_is_waited_for_longest() {
        let check = |habits: Habits, quiet_ms, trusts| {
            assert_eq!((habits.quiet_ms(), habits.trusts_closing()), (quiet_ms, trusts), "{habits:?}");
        };
        check(Habits::default(), CAUTIOUS_QUIET_MS, false);
        check(after(9, &[(100, false)]), CAUTIOUS_QUIET_MS, false);
        check(after(10, &[(100, false)]), 2_000, false);
        check(after(30, &[(100, false)]), 2_000, true);
        check(after(30, &[(4_000, false), (100, false)]), 12_000, true);
        check(after(30, &[(1_000, true)]), CAUTIOUS_QUIET_MS, false);
        check(after(30, &[(30_000, false)]), 90_000, true);
        check(after(30, &[(900_000, false)]), 300_000, true);
    }

    #[test]
    fn quick_pictures_do_not_make_a_page_by_page_document_quick() {
        let mut habits = Habits::default();
        habits.note_taken(100, 0, at("2026-03-02T09:00:00Z"));
        let told = |habits: &Habits| (habits.quiet_ms(), habits.growable_quiet_ms(), habits.trusts_closing());
        assert_eq!(told(&habits), (2_000, CAUTIOUS_QUIET_MS, false));
        habits.note_taken(29, 29, at("2026-03-02T09:10:00Z"));
        assert_eq!(told(&habits), (2_000, CAUTIOUS_QUIET_MS, false));
        habits.note_taken(1, 1, at("2026-03-02T09:20:00Z"));
        assert_eq!(told(&habits), (2_000, 2_000, true));
    }

    #[test]
    fn a_pause_is_forgotten_after_many_files_without_one() {
        let mut habits = after(30, &[(30_000, true)]);
        for _ in 0..PAUSE_FILES {
            habits.note_taken(1, 1, at("2026-03-02T09:00:00Z"));
        }
        assert_eq!((habits.quiet_ms(), habits.trusts_closing()), (2_000, true));
    }

    #[test]
    fn a_long_pause_is_not_pushed_out_by_short_ones() {
        let mut habits = after(10, &[(30_000, false)]);
        (0..1_000).for_each(|_| habits.note_pause(50, false));
        assert_eq!(habits.quiet_ms(), 90_000);
    }

    #[test]
    fn silence_is_told_where_it_never_was() {
        let mut habits = Habits::default();
        // Mondays from the second of March; 40 scans between eight and ten.
        for day in ["02", "09", "16", "23"] {
            habits.note_taken(25, 25, at(&format!("2026-03-{day}T08:10:00Z")));
            habits.note_taken(15, 15, at(&format!("2026-03-{day}T09:50:00Z")));
        }
        assert_eq!(habits.silence(at("2026-03-30T07:59:00Z")), None, "nothing is usual that early");
        let told = habits.silence(at("2026-03-30T10:05:00Z")).expect("it is silent");
        assert_eq!(told, "usually 40 scans by 10:00 UTC on this day of the week, none today");
        assert_eq!(habits.silence(at("2026-03-31T10:05:00Z")), None, "no Tuesday is known");
        habits.note_taken(1, 1, at("2026-03-30T09:00:00Z"));
        assert_eq!(habits.silence(at("2026-03-30T10:05:00Z")), None, "one scan came");
        assert!(habits.silence(at("2026-04-06T10:05:00Z")).is_none(), "last Monday was as good as silent");
    }

    #[test]
    fn a_clock_that_jumps_raises_no_alarm() {
        let mut habits = Habits::default();
        for day in ["02", "09", "16", "23"] {
            habits.note_taken(40, 40, at(&format!("2026-03-{day}T08:00:00Z")));
        }
        for jump in ["1970-01-05T12:00:00Z", "2038-01-18T12:00:00Z"] {
            assert_eq!(habits.silence(at(jump)), None, "{jump}");
        }
    }

    #[test]
    fn habits_outlive_the_agent_and_a_damaged_file_means_caution() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = Habits::file(folder.path(), "../../front desk");
        assert!(file.starts_with(folder.path().join("sources")), "{}", file.display());
        let habits = after(10, &[(4_000, false)]);
        habits.write(&file).expect("written");
        assert_eq!(Habits::read(&file).quiet_ms(), habits.quiet_ms());
        std::fs::write(&file, b"{").expect("a disk fails");
        assert_eq!(Habits::read(&file).quiet_ms(), CAUTIOUS_QUIET_MS);
    }
}
