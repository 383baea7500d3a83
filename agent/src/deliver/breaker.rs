//! The circuit breaker: while the cloud cannot be used, one document at a time tries whether it can be again.
//!
//! ```text
//! closed     some documents at once
//! open       nothing is sent until its time is over
//! half open  one document is on its way as a probe; its end closes or opens the circuit
//! ```
//!
//! What opens it fails every document alike: no connection, no access, a cloud that asks for a rest, or server errors
//! one after the other. No document is charged with it.

use jiff::{SignedDuration, Timestamp};

use super::backoff::{LONGEST_ASKED_MS, next_try};

/// Server errors in a row, of whichever documents, that open the circuit.
pub const SERVER_ERRORS_MAX: u32 = 5;
/// The longest wait before a link that is down is tried again.
pub const LINK_WAIT_MS: u64 = 30 * 1_000;

/// The circuit.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Failures in a row that opened it; 0 while it is closed.
    failures: u32,
    until: Option<Timestamp>,
    server_errors: u32,
    /// Since when it is open, and why.
    down: Option<(Timestamp, String)>,
    last_answer: Option<Timestamp>,
}

impl Breaker {
    /// How many documents may be on their way.
    pub fn places(&self, at_once: usize, now: Timestamp) -> usize {
        match self.wait_ms(now) {
            _ if self.failures == 0 => at_once,
            0 => 1,
            _ => 0,
        }
    }

    /// How long it is open yet, in milliseconds.
    pub fn wait_ms(&self, now: Timestamp) -> u64 {
        let wait = self.until.map_or(0, |until| until.duration_since(now).as_millis());
        // A longer one was set under another clock.
        u64::try_from(wait).ok().filter(|wait| *wait <= LONGEST_ASKED_MS).unwrap_or(0)
    }

    /// The cloud answered as it should.
    pub fn answered(&mut self, now: Timestamp) {
        *self = Self { last_answer: Some(now), ..Self::default() };
    }

    /// The cloud answered with an error of its own.
    pub fn server_error(&mut self, reason: &str, seed: u64, now: Timestamp) {
        self.server_errors += 1;
        if self.server_errors >= SERVER_ERRORS_MAX || self.failures > 0 {
            self.open(reason, seed, None, now);
        }
    }

    /// The cloud cannot be used; it may have asked for a wait.
    pub fn open(&mut self, reason: &str, seed: u64, asked_ms: Option<u64>, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.until = Some(next_try(self.failures, now, seed, LINK_WAIT_MS, asked_ms));
        let since = self.down.as_ref().map_or(now, |(since, _)| *since);
        self.down = Some((since, reason.to_owned()));
    }

    /// A person, or the network, gives reason to try at once.
    pub fn try_now(&mut self, now: Timestamp) {
        if self.until.is_some() {
            self.until = Some(now);
        }
    }

    /// Since when it is open, and why.
    pub fn down(&self) -> Option<(Timestamp, &str)> {
        self.down.as_ref().map(|(since, reason)| (*since, reason.as_str()))
    }

    /// When the cloud last answered as it should.
    pub fn last_answer(&self) -> Option<Timestamp> {
        self.last_answer
    }
}

/// A moment so many milliseconds after another.
pub(super) fn later(now: Timestamp, ms: u64) -> Timestamp {
    let wait = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn an_open_circuit_lets_one_probe_through_and_closes_with_an_answer() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.places(4, at(0)), 4);
        breaker.open("connection refused", 7, None, at(0));
        assert_eq!(breaker.places(4, at(0)), 0);
        assert_eq!(breaker.places(4, at(2)), 1, "half open");
        breaker.open("connection refused", 7, None, at(2));
        assert_eq!(breaker.down(), Some((at(0), "connection refused")), "down since the first failure");
        assert!(breaker.wait_ms(at(2)) >= 1_000, "the wait grows");
        breaker.answered(at(60));
        assert_eq!((breaker.places(4, at(60)), breaker.down()), (4, None));
    }

    #[test]
    fn what_the_cloud_asks_for_is_waited_and_a_clock_set_back_does_not_prolong_it() {
        let mut breaker = Breaker::default();
        breaker.open("busy", 7, Some(120_000), at(10_000));
        assert_eq!(breaker.places(4, at(10_119)), 0);
        assert_eq!(breaker.places(4, at(10_120)), 1);
        assert_eq!(breaker.places(4, at(0)), 1, "three hours ahead was another clock");
    }

    #[test]
    fn single_server_errors_belong_to_their_documents_but_many_in_a_row_open_the_circuit() {
        let mut breaker = Breaker::default();
        for count in 1..SERVER_ERRORS_MAX {
            breaker.server_error("500", 7, at(0));
            assert_eq!(breaker.places(4, at(0)), 4, "{count}");
        }
        breaker.server_error("500", 7, at(0));
        assert_eq!(breaker.places(4, at(0)), 0);
    }
}
