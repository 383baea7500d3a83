//! Which endpoints that fail were called a moment ago, by this node.
//!
//! An endpoint that is away may take all of its time to say nothing, and a tenant's deliveries go one after the other: were
//! each of a dead endpoint's tried, the tenant's other endpoints would hear nothing for days. So while an endpoint fails,
//! one delivery at a time tries it, and those behind it come back later, the later the longer it has failed: many at once,
//! because each that asks by itself costs two commits, and tens of thousands may wait for one endpoint.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

/// The time in which no second delivery tries an endpoint that fails.
const BETWEEN: Duration = Duration::from_secs(60);
/// The longest that a delivery waits before it asks again.
const LONGEST: Duration = Duration::from_secs(3600);

/// What a delivery learns that may not call its endpoint now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// How long it waits.
    pub(super) wait: Duration,
    /// How long no other may call it either.
    pub(super) rest: Duration,
    /// But for the one that called it last.
    pub(super) but: Uuid,
}

/// The last calls to endpoints that fail: when, and for which delivery.
#[derive(Debug, Default)]
pub(super) struct Probes(Mutex<BTreeMap<Uuid, (Instant, Uuid)>>);

impl Probes {
    /// Takes the turn of calling an endpoint that has failed for so long; else how long to wait. The delivery that called it
    /// last has pauses of its own and may do so again.
    pub(super) fn take(&self, endpoint: Uuid, delivery: Uuid, failing: Duration) -> Result<(), Refused> {
        self.take_at(Instant::now(), endpoint, delivery, failing)
    }

    fn take_at(
        &self,
        now: Instant,
        endpoint: Uuid,
        delivery: Uuid,
        failing: Duration,
    ) -> Result<(), Refused> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.retain(|_, (at, _)| now.saturating_duration_since(*at) < BETWEEN);
        match last.get(&endpoint) {
            Some((at, by)) if *by != delivery => {
                let rest = BETWEEN.saturating_sub(now.saturating_duration_since(*at));
                Err(Refused { wait: rest.max((failing / 10).min(LONGEST)), rest, but: *by })
            }
            _ => {
                last.insert(endpoint, (now, delivery));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_delivery_in_a_minute_calls_an_endpoint_that_fails_and_the_others_wait_the_longer_the_longer_it_fails()
     {
        let (probes, start) = (Probes::default(), Instant::now());
        let (endpoint, first, second) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let take = |second_of_test, endpoint, delivery, failing| {
            let now = start + Duration::from_secs(second_of_test);
            let taken = probes.take_at(now, endpoint, delivery, Duration::from_secs(failing));
            taken.map_err(|refused| refused.wait)
        };
        assert_eq!(take(0, endpoint, first, 10), Ok(()));
        assert_eq!(take(5, endpoint, first, 15), Ok(()), "by its own pauses");
        assert_eq!(take(25, endpoint, second, 35), Err(Duration::from_secs(40)));
        assert_eq!(take(25, Uuid::from_u128(9), second, 35), Ok(()), "another endpoint");
        assert_eq!(take(26, endpoint, second, 3_000), Err(Duration::from_secs(300)));
        assert_eq!(take(27, endpoint, second, 300_000), Err(LONGEST));
        assert_eq!(take(65, endpoint, second, 3_000), Ok(()));
        assert_eq!(take(66, endpoint, first, 10), Err(Duration::from_secs(59)));
    }
}
