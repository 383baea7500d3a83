//! One hot folder over time: listings in, whole files, batches and stacks out.
//!
//! Pure but for the regular expressions it holds: it is given listings, hints and moments, and touches no disk, so
//! tests drive it through a day of scanning without waiting for one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use jiff::Timestamp;
use platen_capture::decode::Ending;
use serde::{Deserialize, Serialize};

use super::batch::BatchRule;
use super::duplex::{DuplexRule, Half};
use super::habits::Habits;
use super::listing::{Listing, Sight};
use super::markers::{self, Sorted};
use super::notices::Heard;
use super::settle::{BRIEF_MS, Hindrance, Patience, Tick, Verdict, Watched, judge};
use crate::config::{Marker, Source};
use crate::names::shown;

/// The most files whose state is told one by one.
const TOLD_MAX: usize = 50;
/// The first and the longest wait before a file that could not be taken is tried again, in milliseconds.
const HINDERED_MS: (u64, u64) = (500, 10_000);
/// A file is looked at again after this part of the time it has stood still: its pauses are known to a quarter.
const LOOKS_IN_STILLNESS: u64 = 4;

/// What a stack of paper from a feeder that scans one side is, where it is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stack {
    /// A file of fronts, then a file of backs.
    Both {
        /// Whether the backs come last page first.
        backs_reversed: bool,
    },
    /// One side, whose other side did not come.
    Half,
}

/// Files that are whole and belong to one capture, in page order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The files as they were last seen.
    pub files: Vec<Sight>,
    /// Their markers.
    pub markers: Vec<Sight>,
    /// The sides of a stack of paper.
    pub stack: Option<Stack>,
    /// Why they count as whole.
    pub why: &'static str,
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
    quiet_ms: Option<u64>,
    give_up_ms: u64,
    marker: Marker,
    batch: Option<BatchRule>,
    duplex: Option<DuplexRule>,
    files: BTreeMap<OsString, Watched>,
    odd: BTreeMap<OsString, String>,
    /// What its writers have shown.
    pub habits: Habits,
}

/// How many files of a tray are in which state, for `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrayCount {
    /// Whole, to be claimed.
    pub ready: usize,
    /// Still moving, or not yet sure to be whole.
    pub growing: usize,
    /// Whole, and waiting for the rest of their batch or for their other sides.
    pub waiting: usize,
    /// Standing still, but not whole.
    pub stalled: usize,
    /// Not to be taken as they lie there.
    pub unfit: usize,
}

/// The state of one file, for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileState {
    /// Its path within the source, as it is [`shown`] to people.
    pub file: String,
    /// `growing`, `waiting`, `stalled` or `unfit`.
    pub state: String,
    /// The reason.
    pub why: String,
    /// When it is ready if nothing changes, in milliseconds; absent where that cannot be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_in_ms: Option<u64>,
}

/// A look at the tray: what can be taken, what is to be looked into, how the rest stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What can be taken.
    pub offers: Vec<Offer>,
    /// Files that stand still and whose ending is not known.
    pub unexamined: Vec<Sight>,
    /// How many are in which state.
    pub count: TrayCount,
    /// Those that a person may wonder about, the worst first.
    pub told: Vec<FileState>,
    /// When something could change without a notice, in milliseconds.
    pub next_look_ms: Option<u64>,
}

impl Tray {
    /// The tray of a configured source.
    pub fn new(source: &Source, habits: Habits) -> Result<Self, regex::Error> {
        Ok(Self {
            quiet_ms: source.quiet_ms,
            give_up_ms: source.give_up_ms,
            marker: source.marker.clone(),
            batch: source.batch.as_ref().map(BatchRule::new).transpose()?,
            duplex: source.duplex.as_ref().map(DuplexRule::new).transpose()?,
            files: BTreeMap::new(),
            odd: BTreeMap::new(),
            habits,
        })
    }

    /// How long is waited for what.
    pub fn patience(&self) -> Patience {
        let quiet_ms = self.quiet_ms.unwrap_or_else(|| self.habits.quiet_ms());
        Patience {
            quiet_ms,
            growable_quiet_ms: self.quiet_ms.unwrap_or_else(|| self.habits.growable_quiet_ms()),
            give_up_ms: self.give_up_ms.max(quiet_ms),
            trusts_closing: self.quiet_ms.is_none() && self.habits.trusts_closing(),
            needs_marker: self.marker.required,
        }
    }

    /// Takes in a listing and what was heard until after it. Answers the names of files that came or changed.
    pub fn take_in(
        &mut self,
        listing: Listing,
        heard: &Heard,
        is_resting: impl Fn(&Sight) -> bool,
        now: Tick,
    ) -> Vec<OsString> {
        let Sorted { files, mut of, alone } = markers::sort(listing.files, &self.marker, is_resting);
        self.odd = listing.odd;
        self.odd.extend(alone);
        let mut changed = Vec::new();
        let mut before = std::mem::take(&mut self.files);
        for sight in files {
            let name = sight.name.clone();
            let signal = heard.signals.get(&name).copied();
            let mut watched = match before.remove(&name) {
                Some(mut known) => {
                    let seemed_whole = known.seemed_whole();
                    if let Some(paused_ms) = known.again(sight, now) {
                        self.habits.note_pause(paused_ms, seemed_whole);
                        changed.push(name.clone());
                    }
                    known
                }
                None => {
                    changed.push(name.clone());
                    Watched::first(sight, now)
                }
            };
            watched.signal = signal.or(watched.signal);
            watched.marker = of.remove(&name);
            self.files.insert(name, watched);
        }
        changed
    }

    /// Takes in how a file ends, if it still is the file that was looked into.
    pub fn examined(&mut self, sight: &Sight, ending: Ending) {
        if let Some(file) = self.files.get_mut(&sight.name).filter(|file| file.sight == *sight) {
            file.ending = Some(ending);
        }
    }

    /// Whether a file was seen to end properly.
    pub fn seemed_whole(&self, name: &OsStr) -> bool {
        self.files.get(name).is_some_and(Watched::seemed_whole)
    }

    /// Notes why a file could not be taken. It is tried again after a while.
    pub fn hinder(&mut self, name: &OsStr, why: String, now: Tick) {
        if let Some(file) = self.files.get_mut(name) {
            let failures = file.hindrance.as_ref().map_or(0, |hindrance| hindrance.failures);
            let wait_ms = HINDERED_MS.0.saturating_mul(1 << failures.min(16)).min(HINDERED_MS.1);
            let until = Tick(now.0.saturating_add(wait_ms));
            file.hindrance = Some(Hindrance { why, until, failures: failures + 1 });
        }
    }

    /// Forgets files that were taken.
    pub fn taken<'n>(&mut self, names: impl Iterator<Item = &'n OsString>, at: Timestamp) {
        let (mut count, mut growable) = (0, 0);
        for name in names {
            let file = self.files.remove(name);
            count += 1;
            growable += u32::from(file.is_some_and(|file| file.may_grow()));
        }
        self.habits.note_taken(count, growable, at);
    }

    /// Notes that a file was written to after it had been taken for whole: it has to stand still anew.
    pub fn came_back(&mut self, name: &OsStr, now: Tick) {
        if let Some(file) = self.files.remove(name) {
            self.habits.note_pause(now.since_ms(file.still_since).max(1), true);
        }
    }

    /// Judges every file.
    pub fn view(&self, now: Tick) -> View {
        let patience = self.patience();
        let mut view = View::default();
        let mut ready: BTreeMap<&OsString, &'static str> = BTreeMap::new();
        for (name, file) in &self.files {
            let still_ms = now.since_ms(file.still_since);
            let verdict = judge(file, now, &patience);
            let next = match &verdict {
                Verdict::Ready { why } => {
                    ready.insert(name, why);
                    continue;
                }
                Verdict::Growing { ready_in_ms, .. } => {
                    view.count.growing += 1;
                    if file.ending.is_none() && file.sight.bytes > 0 && *ready_in_ms == 0 {
                        view.unexamined.push(file.sight.clone());
                    }
                    Some((*ready_in_ms).min((still_ms / LOOKS_IN_STILLNESS).max(BRIEF_MS)))
                }
                Verdict::Stalled { given_up_in_ms, .. } => {
                    view.count.stalled += 1;
                    given_up_in_ms.map(|rest| rest.min(still_ms / LOOKS_IN_STILLNESS))
                }
                Verdict::Unfit { retry_in_ms, .. } => {
                    view.count.unfit += 1;
                    *retry_in_ms
                }
            };
            view.wake_in(next);
            let is_cut_off = matches!(file.ending, Some(Ending::Unfinished { .. }));
            let ready_in_ms = match &verdict {
                Verdict::Growing { ready_in_ms, .. } if !is_cut_off && file.ending.is_some() => {
                    Some(*ready_in_ms)
                }
                _ => None,
            };
            view.tell_of(FileState {
                file: shown(name),
                state: verdict.as_str().to_owned(),
                why: verdict.why().to_owned(),
                ready_in_ms,
            });
        }
        view.count.unfit += self.odd.len();
        for (name, why) in &self.odd {
            view.tell(name, "unfit", why);
        }
        self.offer(ready, now, &mut view);
        view.told.sort_by_key(|file| {
            ["stalled", "unfit", "waiting"].iter().position(|it| *it == file.state).unwrap_or(9)
        });
        view.told.truncate(TOLD_MAX);
        view
    }

    fn offer(&self, mut ready: BTreeMap<&OsString, &'static str>, now: Tick, view: &mut View) {
        let mut singles: Vec<OsString> = self.files.keys().cloned().collect();
        if let Some(rule) = &self.batch {
            let batches;
            (batches, singles) = rule.divide(singles);
            for batch in batches {
                let still_ms =
                    batch.iter().map(|name| now.since_ms(self.files[name].still_since)).min().unwrap_or(0);
                let whole = batch.iter().all(|name| ready.contains_key(name));
                let rest_ms = rule.gap_ms.saturating_sub(still_ms);
                let why = batch.iter().filter_map(|name| ready.remove(name)).last();
                match why.filter(|_| whole && rest_ms == 0) {
                    Some(why) => view.offers.push(self.offer_of(&batch, why, None)),
                    None => {
                        view.wake_in(whole.then_some(rest_ms));
                        let waiting = batch.iter().filter(|_| why.is_some());
                        for name in waiting {
                            view.count.waiting += 1;
                            view.tell(name, "waiting", "the rest of its batch may still come");
                        }
                    }
                }
            }
        }
        if let Some(rule) = &self.duplex {
            let halves: Vec<Half<'_>> = ready
                .keys()
                .map(|name| {
                    let file = &self.files[*name];
                    Half { sight: &file.sight, still_ms: now.since_ms(file.still_since) }
                })
                .collect();
            let unfinished = singles.iter().filter(|name| !ready.contains_key(name));
            let paired = rule.pair(&halves, unfinished.map(|name| &self.files[name].sight));
            let both = Stack::Both { backs_reversed: rule.backs_reversed };
            for pair in &paired.pairs {
                view.offers.push(self.offer_of(pair, "both sides are there", Some(both)));
            }
            for name in &paired.alone {
                let why = "its other side did not come in time";
                view.offers.push(self.offer_of(std::slice::from_ref(name), why, Some(Stack::Half)));
            }
            for name in &paired.held {
                view.count.waiting += 1;
                view.tell(
                    name,
                    "waiting",
                    "a file that came before it is not whole yet, and may be its other side",
                );
            }
            for (name, left_ms) in &paired.waiting {
                view.count.waiting += 1;
                view.tell(name, "waiting", "its other side may still come");
                view.wake_in(Some(*left_ms));
            }
        } else {
            for (name, why) in ready {
                view.offers.push(self.offer_of(std::slice::from_ref(name), why, None));
            }
        }
        view.count.ready = view.offers.iter().map(|offer| offer.files.len()).sum();
    }

    fn offer_of(&self, names: &[OsString], why: &'static str, stack: Option<Stack>) -> Offer {
        let files: Vec<&Watched> = names.iter().map(|name| &self.files[name]).collect();
        Offer {
            files: files.iter().map(|file| file.sight.clone()).collect(),
            markers: files.iter().filter_map(|file| file.marker.clone()).collect(),
            stack,
            why,
        }
    }
}

impl View {
    fn wake_in(&mut self, ms: Option<u64>) {
        self.next_look_ms = [self.next_look_ms, ms].into_iter().flatten().min();
    }

    fn tell(&mut self, name: &OsStr, state: &str, why: &str) {
        let (file, state, why) = (shown(name), state.to_owned(), why.to_owned());
        self.tell_of(FileState { file, state, why, ready_in_ms: None });
    }

    fn tell_of(&mut self, file: FileState) {
        // What merely grows is told while there is room; what is stuck is told in any case, up to the limit.
        if self.told.len() < TOLD_MAX * if file.state == "growing" { 1 } else { 4 } {
            self.told.push(file);
        }
    }
}

#[cfg(test)]
mod tests;
