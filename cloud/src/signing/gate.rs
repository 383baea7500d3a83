//! The gate before an account: a deadline for each call, a budget of calls, and a rest after failures.
//!
//! Five failures to reach a provider within [`WINDOW`], and its gate closes for [`REST`]: calls are refused here and
//! nothing is lost, for every step is tried again. Then one call may pass; if it succeeds the gate opens, else it
//! rests again. The budget keeps us under the provider's own limit over all envelopes of an account, so that one
//! busy hour does not end in its 429 for everybody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::provider::{Capabilities, ProviderError};

/// So many failures within [`WINDOW`] close the gate.
pub const FAILURES: usize = 5;
/// The time in which failures count together.
pub const WINDOW: Duration = Duration::from_secs(30);
/// How long a closed gate lets nothing pass.
pub const REST: Duration = Duration::from_secs(30);
/// The time the budget is for.
const MINUTE: Duration = Duration::from_secs(60);

/// Whether calls pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// They do.
    Open,
    /// One call is under way to see whether the provider is back.
    Trying,
    /// None does for this long.
    Closed(Duration),
}

/// What passed the gate since the start of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that failed to reach the provider, or whose outcome is unknown.
    pub failed: u64,
    /// Calls held back because the budget was used up.
    pub over_budget: u64,
    /// Calls held back because the gate was closed.
    pub held_back: u64,
}

/// What tells the time.
pub type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// The gate of one account.
pub struct Gate {
    clock: Clock,
    budget: usize,
    state: Mutex<State>,
    answered: AtomicU64,
    failed: AtomicU64,
    over_budget: AtomicU64,
    held_back: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    calls: VecDeque<Instant>,
    failures: VecDeque<Instant>,
    closed_until: Option<Instant>,
    trying: bool,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Gate {
    /// The gate of an account with these capabilities.
    pub fn new(can: &Capabilities) -> Self {
        Self::with_clock(can, Arc::new(Instant::now))
    }

    /// The same, by another clock.
    pub fn with_clock(can: &Capabilities, clock: Clock) -> Self {
        let counter = || AtomicU64::new(0);
        Self {
            clock,
            budget: can.calls_a_minute.max(1) as usize,
            state: Mutex::default(),
            answered: counter(),
            failed: counter(),
            over_budget: counter(),
            held_back: counter(),
        }
    }

    /// Makes a call if one may be made now. Longer than `deadline`, and its outcome is unknown.
    pub async fn call<T>(
        &self,
        deadline: Duration,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        let trial = self.admit((self.clock)())?;
        // A call that is dropped in the middle must not leave the gate waiting for its outcome for ever.
        let mut pass = Pass { gate: self, trial, failed: None };
        let answer = match tokio::time::timeout(deadline, call).await {
            Ok(answer) => answer,
            Err(_) => Err(ProviderError::Unknown(format!("no answer within {} s", deadline.as_secs()))),
        };
        pass.failed = Some(matches!(answer, Err(ProviderError::Unknown(_) | ProviderError::Down(_))));
        answer
    }

    /// Whether calls pass now.
    pub fn passage(&self) -> Passage {
        let (state, now) = (self.lock(), (self.clock)());
        match state.closed_until {
            None => Passage::Open,
            Some(until) if until > now => Passage::Closed(until - now),
            Some(_) => Passage::Trying,
        }
    }

    /// What passed so far.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            answered: read(&self.answered),
            failed: read(&self.failed),
            over_budget: read(&self.over_budget),
            held_back: read(&self.held_back),
        }
    }

    /// Lets a call pass, or says when to come again. Answers whether it is the one that tries a closed gate.
    fn admit(&self, now: Instant) -> Result<bool, ProviderError> {
        let mut state = self.lock();
        let held = |counter: &AtomicU64, after: Duration, reason: &str| {
            counter.fetch_add(1, Ordering::Relaxed);
            Err(ProviderError::Later { after, reason: reason.into() })
        };
        let trial = match state.closed_until {
            None => false,
            Some(until) if until > now => {
                let reason = "the provider failed several times and is left alone for a while";
                return held(&self.held_back, until - now, reason);
            }
            Some(_) if state.trying => {
                let reason = "another call is trying whether the provider is back";
                return held(&self.held_back, Duration::from_secs(1), reason);
            }
            Some(_) => true,
        };
        forget(&mut state.calls, now, MINUTE);
        if state.calls.len() >= self.budget {
            let free_in = state.calls.front().map_or(MINUTE, |first| MINUTE.saturating_sub(now - *first));
            let after = free_in.max(Duration::from_millis(100));
            return held(&self.over_budget, after, "the account's calls of this minute are used up");
        }
        state.calls.push_back(now);
        state.trying = trial;
        Ok(trial)
    }

    fn note(&self, trial: bool, failed: Option<bool>, now: Instant) {
        let mut state = self.lock();
        if trial {
            state.trying = false;
        }
        match failed {
            Some(false) => {
                self.answered.fetch_add(1, Ordering::Relaxed);
                if trial {
                    state.closed_until = None;
                    state.failures.clear();
                }
            }
            Some(true) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                forget(&mut state.failures, now, WINDOW);
                state.failures.push_back(now);
                if trial || state.failures.len() >= FAILURES {
                    state.closed_until = Some(now + REST);
                }
            }
            None => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way.
struct Pass<'a> {
    gate: &'a Gate,
    trial: bool,
    failed: Option<bool>,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let now = (self.gate.clock)();
        self.gate.note(self.trial, self.failed, now);
    }
}

fn forget(times: &mut VecDeque<Instant>, now: Instant, older_than: Duration) {
    while times.front().is_some_and(|time| now - *time >= older_than) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::signing::lifecycle::tests::CAN;

    /// A gate whose time passes only when told to.
    struct Trial {
        gate: Gate,
        now: Arc<Mutex<Instant>>,
    }

    impl Trial {
        fn new(calls_a_minute: u32) -> Self {
            let now = Arc::new(Mutex::new(Instant::now()));
            let clock = Arc::clone(&now);
            let clock: Clock = Arc::new(move || *clock.lock().unwrap_or_else(PoisonError::into_inner));
            Self { gate: Gate::with_clock(&Capabilities { calls_a_minute, ..CAN }, clock), now }
        }

        fn pass(&self, time: Duration) {
            *self.now.lock().unwrap_or_else(PoisonError::into_inner) += time;
        }

        async fn call(&self, answer: Result<(), ProviderError>) -> Result<(), ProviderError> {
            self.gate.call(Duration::from_secs(5), async { answer }).await
        }

        async fn is_held(&self) -> bool {
            matches!(self.call(Ok(())).await, Err(ProviderError::Later { .. }))
        }
    }

    fn down() -> Result<(), ProviderError> {
        Err(ProviderError::Down("503".into()))
    }

    #[tokio::test]
    async fn five_failures_in_half_a_minute_close_the_gate_and_one_success_opens_it() {
        let trial = Trial::new(1_000);
        for _ in 0..FAILURES {
            assert_eq!(trial.call(down()).await, down());
        }
        assert!(trial.is_held().await);
        trial.pass(REST);
        assert_eq!(trial.gate.passage(), Passage::Trying);
        assert_eq!(trial.call(down()).await, down());
        assert!(trial.is_held().await, "the trial failed");
        trial.pass(REST);
        assert_eq!(trial.call(Ok(())).await, Ok(()));
        assert_eq!((trial.gate.passage(), trial.call(Ok(())).await), (Passage::Open, Ok(())));
        assert_eq!(trial.gate.counts(), Counts { answered: 2, failed: 6, over_budget: 0, held_back: 2 });
    }

    #[tokio::test]
    async fn failures_far_apart_and_answers_that_say_no_close_nothing() {
        let trial = Trial::new(1_000);
        for _ in 0..20 {
            assert_eq!(trial.call(down()).await, down());
            trial.pass(WINDOW / 4);
        }
        for _ in 0..20 {
            let no = Err(ProviderError::Refused("no such envelope".into()));
            assert_eq!(trial.call(no.clone()).await, no);
        }
        assert_eq!(trial.gate.passage(), Passage::Open);
    }

    #[tokio::test]
    async fn the_budget_of_a_minute_is_kept_and_comes_back() {
        let trial = Trial::new(3);
        for _ in 0..3 {
            assert_eq!(trial.call(Ok(())).await, Ok(()));
            trial.pass(Duration::from_secs(10));
        }
        let held = trial.call(Ok(())).await;
        let after = Duration::from_secs(30);
        assert!(matches!(held, Err(ProviderError::Later { after: said, .. }) if said == after), "{held:?}");
        trial.pass(after);
        assert_eq!(trial.call(Ok(())).await, Ok(()));
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_leaves_no_gate_waiting_for_it() {
        let trial = Trial::new(1_000);
        for _ in 0..FAILURES {
            assert_eq!(trial.call(down()).await, down());
        }
        trial.pass(REST);
        let hangs = trial.gate.call(REST, std::future::pending::<Result<(), ProviderError>>());
        assert!(hangs.now_or_never().is_none(), "it is dropped in the middle");
        assert_eq!(trial.call(Ok(())).await, Ok(()));
    }
}
