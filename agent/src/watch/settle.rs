//! Whether a file is whole: a pure decision over what was seen of it, with its reason.
//!
//! A scanner tells nobody that it has finished. Two things together make a file whole: it *stands still*, and it
//! *ends as its format demands*. How long it must stand still depends on what else was seen: a moment where the
//! writer said so itself (a rename into place, a marker, a file closed in a format that nobody appends to); else the
//! quiet time of the source, which is learned from the pauses of its writers ([`super::habits`]).
//!
//! A file that stands still but does not end properly is never taken for whole. It is shown as stalled; after
//! `give_up_ms` it is taken as it is, and capture puts it into quarantine with the class it deserves.
//!
//! Everything is measured by our own monotonic clock: the clocks of scanners and file servers are wrong too often to
//! be compared with ours, and ours may be set while we run.

use platen_capture::decode::Ending;

use super::listing::Sight;

/// A moment on the monotonic clock, in milliseconds since the agent started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub u64);

impl Tick {
    /// Milliseconds from `earlier` to this moment.
    pub fn since_ms(self, earlier: Tick) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How long a file stands still, in milliseconds, before it is looked at, and before a sure sign is believed: a server
/// may rename a file into place a moment before it has set its time.
pub const BRIEF_MS: u64 = 200;
/// How long a file in a format that nobody appends to stands still, in milliseconds, where nobody saw it closed.
pub const ENDED_MS: u64 = 2_000;
/// How long a file that was seen closed stands still, in milliseconds, at a source whose writers do not come back.
pub const CLOSED_MS: u64 = 1_000;

/// What the kernel told of a file since it was last seen to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// It was written to.
    Written,
    /// Its writer closed it.
    Closed,
    /// It was renamed into place.
    Renamed,
}

/// How long is waited for what, at one source and at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The quiet time, in milliseconds.
    pub quiet_ms: u64,
    /// That of a file to which a page may be added when it seems whole, in milliseconds.
    pub growable_quiet_ms: u64,
    /// How long a file that does not end properly may stand still, in milliseconds.
    pub give_up_ms: u64,
    /// Whether a file that was closed is finished, as this source's writers have shown.
    pub trusts_closing: bool,
    /// Whether a file without its marker is never whole.
    pub needs_marker: bool,
}

/// What is remembered of a file between two listings.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// How it looked last.
    pub sight: Sight,
    /// When it first looked so.
    pub still_since: Tick,
    /// What the kernel told since.
    pub signal: Option<Signal>,
    /// How it ends, once it was looked at since.
    pub ending: Option<Ending>,
    /// Its marker, where there is one.
    pub marker: Option<Sight>,
    /// Why it could not be taken.
    pub hindrance: Option<Hindrance>,
}

/// Why a file could not be taken, and when that is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hindrance {
    /// The reason.
    pub why: String,
    /// The moment.
    pub until: Tick,
    /// How often it was tried.
    pub failures: u32,
}

impl Watched {
    /// A file seen for the first time.
    pub fn first(sight: Sight, now: Tick) -> Self {
        Self { sight, still_since: now, signal: None, ending: None, marker: None, hindrance: None }
    }

    /// The file seen again. Answers how long it had stood still where it has changed, in milliseconds.
    pub fn again(&mut self, sight: Sight, now: Tick) -> Option<u64> {
        if self.sight == sight {
            return None;
        }
        let paused_ms = now.since_ms(self.still_since);
        *self = Self::first(sight, now);
        Some(paused_ms)
    }

    /// Whether it is of a kind to which a page may be added when it seems whole.
    pub fn may_grow(&self) -> bool {
        matches!(self.ending, Some(Ending::Properly { may_grow: true } | Ending::Unknown))
    }

    /// Whether it ended as if nothing more would come.
    pub fn seemed_whole(&self) -> bool {
        matches!(self.ending, Some(Ending::Properly { .. }))
    }
}

/// The decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Whole, or given up: it is taken.
    Ready {
        /// By which sign.
        why: &'static str,
    },
    /// It moved a moment ago, or something is still to come.
    Growing {
        /// What is waited for.
        why: String,
        /// When it could be ready if nothing changes, in milliseconds.
        ready_in_ms: u64,
    },
    /// It has stood still for its quiet time, but is not whole.
    Stalled {
        /// What it lacks.
        why: String,
        /// When it is taken as it is, in milliseconds; `None` where it never is.
        given_up_in_ms: Option<u64>,
    },
    /// It cannot be taken as it lies there.
    Unfit {
        /// Why.
        why: String,
        /// When that is tried again, in milliseconds; `None` where it is not.
        retry_in_ms: Option<u64>,
    },
}

/// Decides whether a file is whole.
pub fn judge(file: &Watched, now: Tick, patience: &Patience) -> Verdict {
    if let Some(Hindrance { why, until, .. }) = file.hindrance.as_ref().filter(|one| one.until > now) {
        return Verdict::Unfit { why: why.clone(), retry_in_ms: Some(until.since_ms(now)) };
    }
    let still_ms = now.since_ms(file.still_since);
    if patience.needs_marker && file.marker.is_none() {
        let why = "its marker has not come".to_owned();
        return match patience.quiet_ms.saturating_sub(still_ms) {
            0 => Verdict::Stalled { why, given_up_in_ms: None },
            rest => Verdict::Growing { why, ready_in_ms: rest },
        };
    }
    let why = match &file.ending {
        _ if file.sight.bytes == 0 => "it has no bytes yet".to_owned(),
        None => {
            let why = "it moved a moment ago".to_owned();
            return Verdict::Growing { why, ready_in_ms: BRIEF_MS.saturating_sub(still_ms) };
        }
        Some(Ending::Unfinished { why }) => why.clone(),
        Some(Ending::Properly { may_grow }) => return whole(file, *may_grow, still_ms, patience),
        Some(Ending::Unknown) => return whole(file, true, still_ms, patience),
    };
    match (patience.give_up_ms.saturating_sub(still_ms), patience.quiet_ms.saturating_sub(still_ms)) {
        (0, _) => Verdict::Ready { why: "it does not end properly, and was waited for long enough" },
        (_, 0) => {
            let rest = patience.give_up_ms.saturating_sub(still_ms);
            Verdict::Stalled { why, given_up_in_ms: Some(rest) }
        }
        (rest, _) => Verdict::Growing { why, ready_in_ms: rest },
    }
}

fn whole(file: &Watched, may_grow: bool, still_ms: u64, patience: &Patience) -> Verdict {
    let quiet_ms = if may_grow { patience.growable_quiet_ms } else { patience.quiet_ms };
    let (needed_ms, why) = match (file.marker.is_some(), file.signal, may_grow) {
        (true, _, _) => (BRIEF_MS, "its marker is there"),
        (_, Some(Signal::Renamed), _) => (BRIEF_MS, "it was renamed into place"),
        (_, Some(Signal::Closed), false) => (BRIEF_MS, "it was closed, and is complete"),
        (_, Some(Signal::Closed), true) if patience.trusts_closing => {
            (CLOSED_MS, "it was closed, is complete, and this source's writers do not come back")
        }
        (_, _, false) => (ENDED_MS, "it is complete, in a format that nobody appends to"),
        (_, _, true) => (quiet_ms, "it stood still for the quiet time of its source"),
    };
    match needed_ms.min(quiet_ms).saturating_sub(still_ms) {
        0 => Verdict::Ready { why },
        rest => Verdict::Growing {
            why: format!("waiting for a sign that it is whole ({why})"),
            ready_in_ms: rest,
        },
    }
}

impl Verdict {
    /// `ready`, `growing`, `stalled` or `unfit`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ready { .. } => "ready",
            Self::Growing { .. } => "growing",
            Self::Stalled { .. } => "stalled",
            Self::Unfit { .. } => "unfit",
        }
    }

    /// The reason.
    pub fn why(&self) -> &str {
        match self {
            Self::Ready { why } => why,
            Self::Growing { why, .. } | Self::Stalled { why, .. } | Self::Unfit { why, .. } => why,
        }
    }
}

#[cfg(test)]
mod tests;
