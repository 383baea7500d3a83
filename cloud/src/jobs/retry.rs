//! How long to wait and how often to try, by the class of an error. Pure.

use super::StepError;
use crate::store;

/// What is done about one class of error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its name, as people see it.
    pub class: &'static str,
    /// The pause after the first failure, in milliseconds; it doubles with each.
    pub first_pause_ms: u64,
    /// The longest pause, in milliseconds.
    pub longest_pause_ms: u64,
    /// How often it is tried in all.
    pub attempts: u32,
}

/// The policy for an error, where an unforeseen one is tried `attempts` times.
///
/// Our own storage is tried soon and often: it is back in seconds. Another's service is tried for a day: a weekend
/// of theirs must not cost us every document. What nobody foresaw is tried a few times only.
pub fn policy(error: &StepError, attempts: u32) -> Policy {
    let (minute, hour) = (60_000, 3_600_000);
    let (class, first_pause_ms, longest_pause_ms, attempts) = match error {
        StepError::Busy(_) => ("busy", 100, minute, attempts.saturating_mul(8)),
        StepError::Away(_) => ("away", 2_000, hour, attempts.saturating_mul(4)),
        StepError::Later(_) => ("unforeseen", 500, 15 * minute, attempts),
        StepError::SetAside { .. } => ("for good", 0, 0, 1),
    };
    Policy { class, first_pause_ms, longest_pause_ms, attempts }
}

impl Policy {
    /// The pause after so many failures: doubling, with up to half of it taken off by `jitter` (0 to 1).
    pub fn pause_ms(&self, failures: u32, jitter: f64) -> u64 {
        let full = self.first_pause_ms.saturating_mul(1 << failures.min(20)).min(self.longest_pause_ms);
        full - (full as f64 / 2.0 * jitter.clamp(0.0, 1.0)) as u64
    }
}

/// Some number from 0 to 1 that differs between jobs and moments, so that they do not come back in step.
pub(super) fn jitter(job_id: &str) -> f64 {
    let digest = platen_model::Digest::of(format!("{job_id}{}", store::now_ms()).as_bytes());
    f64::from(digest.as_bytes()[0]) / 255.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_and_ends_growing() {
        let policy = policy(&StepError::Later(String::new()), 8);
        assert_eq!(policy.pause_ms(0, 0.0), policy.first_pause_ms);
        assert_eq!(policy.pause_ms(3, 0.0), 8 * policy.first_pause_ms);
        assert_eq!(policy.pause_ms(3, 1.0), 4 * policy.first_pause_ms);
        assert_eq!(policy.pause_ms(60, 0.0), policy.longest_pause_ms);
    }

    #[test]
    fn what_comes_back_by_itself_is_tried_longer_than_what_nobody_foresaw() {
        let waits = |error: StepError| {
            let policy = policy(&error, 8);
            (0..policy.attempts - 1).map(|failures| policy.pause_ms(failures, 0.0)).sum::<u64>() / 60_000
        };
        let unforeseen = waits(StepError::Later(String::new()));
        assert!(waits(StepError::Busy(String::new())) > 10 * unforeseen.max(1));
        assert!(waits(StepError::Away(String::new())) > 18 * 60);
    }
}
