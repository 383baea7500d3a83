//! Whether a file is whole: a pure decision over what was seen of it.
//!
//! A scanner tells nobody that it has finished. A file counts as whole when neither its length nor its time
//! of change moved for the quiet time, measured by our own monotonic clock: the clocks of scanners and file
//! servers are wrong too often to be compared with ours.

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

/// How many quiet times a file without bytes is waited for. Some scanners create the name long before the
/// first byte; taking it then would put every scan into quarantine.
pub const EMPTY_QUIET_TIMES: u64 = 15;

/// What is remembered of a file between two listings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// How it looked last.
    pub sight: Sight,
    /// When it first looked so.
    pub still_since: Tick,
}

impl Watched {
    /// A file seen for the first time.
    pub fn first(sight: Sight, now: Tick) -> Self {
        Self { sight, still_since: now }
    }

    /// The file seen again.
    pub fn again(&mut self, sight: Sight, now: Tick) {
        if self.sight != sight {
            *self = Self::first(sight, now);
        }
    }
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Whole: it stood still for its quiet time.
    Ready,
    /// It moved a moment ago.
    Growing {
        /// When it could be ready, if it stands still from now on, in milliseconds.
        ready_in_ms: u64,
    },
    /// It has no bytes yet.
    Empty {
        /// When it will be taken as it is, in milliseconds; it ends in quarantine then.
        given_up_in_ms: u64,
    },
}

/// Decides whether a file is whole.
pub fn judge(file: &Watched, now: Tick, quiet_ms: u64) -> Verdict {
    let still_ms = now.since_ms(file.still_since);
    let empty = file.sight.bytes == 0;
    let needed_ms = if empty { quiet_ms.saturating_mul(EMPTY_QUIET_TIMES) } else { quiet_ms };
    match needed_ms.saturating_sub(still_ms) {
        0 => Verdict::Ready,
        rest if empty => Verdict::Empty { given_up_in_ms: rest },
        rest => Verdict::Growing { ready_in_ms: rest },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const QUIET_MS: u64 = 2_000;

    /// A file seen at each (moment, length), judged at the last moment.
    fn history(seen: &[(u64, u64)]) -> Verdict {
        let mut file: Option<Watched> = None;
        let mut now = Tick(0);
        for &(moment, bytes) in seen {
            now = Tick(moment);
            let sight = Sight::made_up("scan.tif", bytes, bytes);
            match &mut file {
                None => file = Some(Watched::first(sight, now)),
                Some(file) => file.again(sight, now),
            }
        }
        judge(&file.expect("at least one look"), now, QUIET_MS)
    }

    #[test]
    fn a_scan_that_pauses_is_not_cut_in_two() {
        assert_eq!(
            history(&[(0, 10), (1_900, 10), (1_950, 20), (3_000, 20)]),
            Verdict::Growing { ready_in_ms: 950 }
        );
        assert_eq!(history(&[(0, 10), (1_900, 10), (1_950, 20), (3_950, 20)]), Verdict::Ready);
    }

    #[test]
    fn a_file_seen_for_the_first_time_is_never_ready() {
        assert_eq!(history(&[(9_999_999, 10)]), Verdict::Growing { ready_in_ms: QUIET_MS });
    }

    #[test]
    fn a_file_without_bytes_is_waited_for_longer() {
        assert_eq!(history(&[(0, 0), (2_000, 0)]), Verdict::Empty { given_up_in_ms: 28_000 });
        assert_eq!(history(&[(0, 0), (30_000, 0)]), Verdict::Ready);
        assert_eq!(history(&[(0, 0), (29_000, 1), (30_000, 1)]), Verdict::Growing { ready_in_ms: 1_000 });
    }

    #[test]
    fn a_change_of_time_alone_counts_as_a_change() {
        let mut file = Watched::first(Sight::made_up("a", 10, 1), Tick(0));
        file.again(Sight::made_up("a", 10, 2), Tick(1_999));
        assert_eq!(judge(&file, Tick(2_000), QUIET_MS), Verdict::Growing { ready_in_ms: 1_999 });
    }

    proptest! {
        #[test]
        fn nothing_is_ready_within_the_quiet_time_of_its_last_change(
            steps in prop::collection::vec((1u64..5_000, 0u64..4), 1..20)
        ) {
            let mut moment = 0;
            let mut changed_at = 0;
            let mut last = None;
            let mut seen = Vec::new();
            for (wait, bytes) in steps {
                moment += wait;
                if last != Some(bytes) {
                    changed_at = moment;
                    last = Some(bytes);
                }
                seen.push((moment, bytes));
            }
            let ready = history(&seen) == Verdict::Ready;
            prop_assert!(!ready || moment - changed_at >= QUIET_MS, "{seen:?}");
        }
    }
}
