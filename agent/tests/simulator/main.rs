//! The simulator: the real claim, spool, outbox and delivery, on a disk that loses power, over a network that cuts, doubles
//! and corrupts, under a clock that jumps. Everything follows from a seed.
//!
//! What must hold, whatever happened: no document lost, none stored twice by the cloud, digests equal, all queues
//! empty in the end. A failure names its seed; `PLATEN_SIMULATOR_SEED=<seed>` replays exactly that one,
//! `PLATEN_SIMULATOR_SEEDS=<number>` runs so many others.
//!
//! Beside it, the contract of the outbox's database is held against the database of the simulator and sled.

mod cloud;
mod contract;
mod database;
mod disk;
mod network;
mod office;
mod random;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use office::{Office, Trial};

/// Seeds of an ordinary run.
const SEEDS: u64 = 10_000;

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs a trial; a violation or a panic is an error that names it.
fn run(trial: Trial) -> Result<u64, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| Office::run(trial)));
    let outcome = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    });
    outcome.map_err(|what| format!("{trial:?}: {what}"))
}

/// Runs trials on all cores and fails with the first that is violated.
fn check(trials: u64, trial: impl Fn(u64) -> Trial + Sync, replay: &str) {
    let next = AtomicU64::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failed = std::thread::scope(|scope| {
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= trials {
                    return None;
                }
                if let Err(what) = run(trial(number)) {
                    next.store(trials, Ordering::Relaxed);
                    return Some(what);
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().filter_map(|worker| worker.join().expect("caught")).next()
    });
    if let Some(what) = failed {
        panic!("{what}\nreplay it with {replay}");
    }
}

#[test]
fn whatever_happens_every_document_arrives_once_and_unaltered() {
    let stormy = |seed| Trial { seed, storm: true, dies_at: None };
    if let Some(seed) = variable("PLATEN_SIMULATOR_SEED") {
        run(stormy(seed)).unwrap_or_else(|what| panic!("{what}"));
        return;
    }
    let seeds = variable("PLATEN_SIMULATOR_SEEDS").unwrap_or(SEEDS);
    check(seeds, stormy, "PLATEN_SIMULATOR_SEED=<its seed>");
}

#[test]
fn a_power_cut_at_every_single_operation_loses_nothing() {
    // A plain spool, and an encrypted one.
    for seed in [1, 3] {
        let calm = |dies_at| Trial { seed, storm: false, dies_at };
        let operations = run(calm(None)).expect("without a power cut");
        assert!(operations > 300, "a life of {operations} operations shows little");
        check(operations, |at| calm(Some(at + 1)), "the same test; it is the same each time");
    }
}

#[test]
fn the_same_seed_gives_the_same_life() {
    for seed in 0..5 {
        let trial = Trial { seed, storm: true, dies_at: None };
        assert_eq!(run(trial), run(trial));
    }
}
