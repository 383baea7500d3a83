//! How much comes in a day: what tells for how many days the disk will do.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Days that are remembered.
const DAYS: i64 = 14;
/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Bytes that came in, day by day (UTC).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Intake {
    /// Bytes by the day's number since 1970.
    days: BTreeMap<i64, u64>,
}

impl Intake {
    /// Counts bytes that came in now.
    pub(super) fn add(&mut self, bytes: u64, now: Timestamp) {
        let today = now.as_millisecond().div_euclid(DAY_MS);
        let day = self.days.entry(today).or_default();
        *day = day.saturating_add(bytes);
        // A day in the future was written under another clock.
        self.days.retain(|day, _| (today - DAYS..=today).contains(day));
    }

    /// For how many days so many bytes will do, if it goes on as in the last two weeks. `None` before a day is over,
    /// and where nothing came.
    pub(super) fn days_left(&self, free_bytes: u64, now: Timestamp) -> Option<u64> {
        let first = *self.days.keys().next()?;
        let elapsed_ms = now.as_millisecond() - first * DAY_MS;
        let bytes: u64 = self.days.values().fold(0, |sum, bytes| sum.saturating_add(*bytes));
        if elapsed_ms < DAY_MS || bytes == 0 {
            return None;
        }
        let days = u128::from(free_bytes) * elapsed_ms as u128 / u128::from(bytes) / DAY_MS as u128;
        Some(u64::try_from(days).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_lasts_as_long_as_the_last_days_say() {
        let day = |day: i64| Timestamp::from_millisecond(day * DAY_MS).expect("a time");
        let mut intake = Intake::default();
        assert_eq!(intake.days_left(1_000, day(0)), None, "nothing came");
        intake.add(100, day(20_000));
        assert_eq!(intake.days_left(1_000, day(20_000)), None, "too early to tell");
        intake.add(300, day(20_001));
        assert_eq!(intake.days_left(1_000, day(20_002)), Some(5), "200 a day");
        intake.add(0, day(20_030));
        assert_eq!(intake.days_left(1_000, day(20_030)), None, "old days are forgotten");
    }
}
