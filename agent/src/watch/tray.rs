//! One hot folder over time: listings in, whole files and batches out.
//!
//! Pure but for the regular expression it holds: it is given listings and moments, and touches no disk, so
//! tests drive it through a day of scanning without waiting for one.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::batch::BatchRule;
use super::listing::Sight;
use super::settle::{Tick, Verdict, Watched, judge};
use crate::config::Source;

/// Files that are whole and belong to one capture, in page order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The files as they were last seen.
    pub files: Vec<Sight>,
}

impl Offer {
    /// Their length together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, sight| sum.saturating_add(sight.bytes))
    }
}

/// What is known of one hot folder.
#[derive(Debug)]
pub struct Tray {
    quiet_ms: u64,
    batch: Option<BatchRule>,
    files: BTreeMap<OsString, Watched>,
}

/// How many files of a tray are in which state, for `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TrayCount {
    /// Whole, to be claimed.
    pub ready: usize,
    /// Still moving, or waiting for the rest of their batch.
    pub growing: usize,
    /// Without bytes so far.
    pub empty: usize,
}

impl Tray {
    /// The tray of a configured source.
    pub fn new(source: &Source) -> Result<Self, regex::Error> {
        let batch = source.batch.as_ref().map(BatchRule::new).transpose()?;
        Ok(Self { quiet_ms: source.quiet_ms, batch, files: BTreeMap::new() })
    }

    /// Takes in a listing and answers what is whole. The same files are offered again at the next listing
    /// for as long as they lie there: the claim knows what it already has.
    pub fn look(&mut self, listing: Vec<Sight>, now: Tick) -> Vec<Offer> {
        let mut files = BTreeMap::new();
        for sight in listing {
            let watched = match self.files.remove(&sight.name) {
                Some(mut known) => {
                    known.again(sight, now);
                    known
                }
                None => Watched::first(sight, now),
            };
            files.insert(watched.sight.name.clone(), watched);
        }
        self.files = files;
        self.offers(now)
    }

    /// Forgets a file, so that it has to stand still anew.
    pub fn forget(&mut self, name: &std::ffi::OsStr) {
        self.files.remove(name);
    }

    /// The number of files in each state.
    pub fn count(&self, now: Tick) -> TrayCount {
        let mut count = TrayCount::default();
        for file in self.files.values() {
            match judge(file, now, self.quiet_ms) {
                Verdict::Ready => count.ready += 1,
                Verdict::Growing { .. } => count.growing += 1,
                Verdict::Empty { .. } => count.empty += 1,
            }
        }
        count
    }

    /// When a file could next become ready, in milliseconds: no later need the folder be listed again.
    pub fn next_look_ms(&self, now: Tick) -> Option<u64> {
        let rest = |file: &Watched| match judge(file, now, self.quiet_ms) {
            Verdict::Ready => self.batch.as_ref().map(|rule| rule.gap_ms),
            Verdict::Growing { ready_in_ms } => Some(ready_in_ms),
            Verdict::Empty { given_up_in_ms } => Some(given_up_in_ms),
        };
        self.files.values().filter_map(rest).min()
    }

    fn offers(&self, now: Tick) -> Vec<Offer> {
        let names = self.files.keys().cloned();
        let (batches, single) = match &self.batch {
            Some(rule) => rule.divide(names),
            None => (Vec::new(), names.collect()),
        };
        let gap_ms = self.batch.as_ref().map_or(0, |rule| rule.gap_ms);
        let whole_batches = batches.into_iter().filter(|batch| {
            batch.iter().all(|name| self.is_ready(name, now))
                && batch.iter().all(|name| now.since_ms(self.files[name].still_since) >= gap_ms)
        });
        let whole_files = single.into_iter().filter(|name| self.is_ready(name, now)).map(|name| vec![name]);
        whole_batches
            .chain(whole_files)
            .map(|names| Offer { files: names.iter().map(|name| self.files[name].sight.clone()).collect() })
            .collect()
    }

    fn is_ready(&self, name: &OsString, now: Tick) -> bool {
        judge(&self.files[name], now, self.quiet_ms) == Verdict::Ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{After, Batch};

    /// Runs `looks` of (moment, names with lengths) over a tray with a quiet time of 100 ms and batches
    /// with a gap of 500 ms; answers what the last look offered.
    fn check(looks: &[(u64, &[(&str, u64)])], offered: &[&[&str]]) {
        let pattern = r"^(?<batch>\w+)-(?<page>\d+)\.tif$".into();
        let source = Source {
            name: "desk".into(),
            folder: "in".into(),
            department: None,
            quiet_ms: 100,
            rescan_ms: 1000,
            after: After::Remove,
            batch: Some(Batch { pattern, gap_ms: 500 }),
        };
        let mut tray = Tray::new(&source).expect("a pattern");
        let mut last = Vec::new();
        for (moment, files) in looks {
            let listing = files.iter().map(|(name, bytes)| Sight::made_up(name, *bytes, 0)).collect();
            last = tray.look(listing, Tick(*moment));
        }
        let names = |offer: &Offer| -> Vec<String> {
            offer.files.iter().map(|sight| sight.name.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(last.iter().map(names).collect::<Vec<_>>(), offered, "{looks:?}");
    }

    #[test]
    fn a_file_is_offered_once_it_stood_still() {
        check(&[(0, &[("a.pdf", 5)])], &[]);
        check(&[(0, &[("a.pdf", 5)]), (99, &[("a.pdf", 5)])], &[]);
        check(&[(0, &[("a.pdf", 5)]), (100, &[("a.pdf", 5)])], &[&["a.pdf"]]);
    }

    #[test]
    fn a_file_that_went_away_and_came_back_stands_still_anew() {
        check(&[(0, &[("a.pdf", 5)]), (50, &[]), (100, &[("a.pdf", 5)]), (150, &[("a.pdf", 5)])], &[]);
    }

    #[test]
    fn a_batch_waits_for_its_last_page_and_comes_as_one() {
        let both: &[(&str, u64)] = &[("n-1.tif", 5), ("n-2.tif", 6)];
        check(&[(0, &[("n-1.tif", 5)]), (400, &[("n-1.tif", 5)])], &[]);
        check(&[(0, &[("n-1.tif", 5)]), (400, both), (600, both)], &[]);
        check(&[(0, &[("n-1.tif", 5)]), (400, both), (900, both)], &[&["n-1.tif", "n-2.tif"]]);
    }

    #[test]
    fn files_beside_a_batch_do_not_wait_for_it() {
        let look: &[(&str, u64)] = &[("n-1.tif", 5), ("x.pdf", 6)];
        check(&[(0, look), (100, look)], &[&["x.pdf"]]);
    }
}
