//! Jobs: what carries a document on between requests. Leased, repeatable, and never silently lost.
//!
//! [`run`] takes due rows one by one and calls the step of their kind. A step looks where its document is
//! before it does anything, so running it twice is running it once (INV-5); SIGKILL anywhere only means that
//! the lease is taken over. A failing step is tried again after a growing, jittered pause; after
//! `limits.job_attempts` the job stays as `dead` and its document is quarantined with the reason (INV-13).
//!
//! A new kind of job: name it, handle it in [`steps::run`] (kinds of signing: in `signing::run`), and let
//! [`crate::machine::wanted`] or a transaction of your own enqueue it with [`crate::store::jobs::enqueue`].

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::App;
use crate::store::jobs::Job;
use crate::store::{self, Engine, StoreError, events};

pub mod steps;

/// The kinds of jobs the path of a document asks for.
pub mod kinds {
    /// Takes the page text over.
    pub const READ_TEXT: &str = "read_text";
    /// Takes the decision over.
    pub const CLASSIFY: &str = "classify";
    /// Decides whether a person is asked.
    pub const DECIDE: &str = "decide";
    /// Asks the policy where it goes.
    pub const ROUTE: &str = "route";
    /// Makes the envelope at the provider (signing).
    pub const CREATE_ENVELOPE: &str = "create_envelope";
    /// Follows the envelope until it ends (signing).
    pub const FOLLOW_ENVELOPE: &str = "follow_envelope";
    /// Builds and keeps the evidence (signing).
    pub const ARCHIVE: &str = "archive";
}

/// How long a lease lasts; it is renewed at a third of it.
const LEASE: Duration = Duration::from_secs(30);
/// The longest the dispatcher sleeps without looking.
const IDLE: Duration = Duration::from_secs(2);
/// The pause after the first failure; it doubles with each.
const FIRST_PAUSE_MS: u64 = 500;
/// The longest pause.
const LONGEST_PAUSE_MS: u64 = 15 * 60 * 1000;

/// How a step ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do.
    Done,
    /// Run again after this time; that is no failure.
    Again(Duration),
}

/// How a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It may go better later.
    #[error("{0}")]
    Later(String),
    /// It never will: set the document aside for a person.
    #[error("{reason}")]
    SetAside {
        /// Why, in one sentence.
        reason: String,
        /// What would help.
        help: String,
    },
}

impl StepError {
    /// A failure that may go better later.
    pub fn later(error: impl std::fmt::Display) -> Self {
        Self::Later(error.to_string())
    }
}

impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::later(error)
    }
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        Self::later(error)
    }
}

impl From<events::AppendError> for StepError {
    fn from(error: events::AppendError) -> Self {
        Self::later(error)
    }
}

impl From<crate::blobs::BlobError> for StepError {
    fn from(error: crate::blobs::BlobError) -> Self {
        Self::later(error)
    }
}

/// Runs jobs until `stop` says so, then waits for those at work.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let clock = tokio::spawn(crate::signing::run_clock(app.clone()));
    let mut at_work = JoinSet::new();
    while !*stop.borrow() {
        while at_work.try_join_next().is_some() {}
        let room = at_work.len() < app.config.limits.jobs_at_once;
        let job = if room { store::jobs::lease(&app.store, lease_ms()).await } else { Ok(None) };
        match job {
            Ok(Some(job)) => {
                at_work.spawn(one(app.clone(), job));
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot look for jobs"),
        }
        let due = store::jobs::next_due_ms(&app.store).await.ok().flatten();
        // When all hands are busy only a finished job makes room; a due job must not make this loop spin.
        let pause =
            due.filter(|_| room).map_or(IDLE, |ms| Duration::from_millis(ms.unsigned_abs().max(5)).min(IDLE));
        tokio::select! {
            _ = stop.changed() => {}
            () = app.wake.notified() => {}
            _ = at_work.join_next(), if !at_work.is_empty() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    clock.abort();
    while at_work.join_next().await.is_some() {}
}

/// Runs all jobs that are due, and those they lead to, until none is: for tests and commands.
pub async fn run_until_idle(app: &App) -> Result<(), StoreError> {
    while let Some(job) = store::jobs::lease(&app.store, lease_ms()).await? {
        one(app.clone(), job).await;
    }
    Ok(())
}

fn lease_ms() -> i64 {
    LEASE.as_millis() as i64
}

async fn one(app: App, job: Job) {
    let limit = Duration::from_secs(app.config.limits.job_seconds);
    // A panic is a failure like others: counted, and in the end seen. Uncaught it would be tried for ever.
    let step = tokio::time::timeout(limit, AssertUnwindSafe(steps::run(&app, &job)).catch_unwind());
    tokio::pin!(step);
    let outcome = loop {
        tokio::select! {
            outcome = &mut step => break outcome,
            () = tokio::time::sleep(LEASE / 3) => {
                if let Err(error) = store::jobs::renew(&app.store, &job, lease_ms()).await {
                    tracing::warn!(%error, job = job.job_id, "cannot renew a lease");
                }
            }
        }
    };
    let outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(StepError::Later("it panicked; the log says where".into())),
        Err(_) => {
            Err(StepError::Later(format!("passed the limit of {} s (limits.job_seconds)", limit.as_secs())))
        }
    };
    if let Err(error) = settle(&app, &job, outcome).await {
        // The row stays leased; it is taken again when the lease runs out.
        tracing::error!(%error, job = job.job_id, "cannot record how a job ended");
    }
    app.wake.notify_one();
}

async fn settle(
    app: &App,
    job: &Job,
    outcome: Result<Outcome, StepError>,
) -> Result<(), events::AppendError> {
    let attempts = job.failures + 1;
    match outcome {
        Ok(Outcome::Done) => store::jobs::finish(&app.store, job).await?,
        Ok(Outcome::Again(after)) => {
            let at = store::now_ms() + after.as_millis() as i64;
            store::jobs::postpone(&app.store, job, at).await?;
        }
        Err(StepError::SetAside { reason, help }) => give_up(app, job, reason, help).await?,
        Err(StepError::Later(error)) if attempts >= app.config.limits.job_attempts => {
            let reason = format!("the step `{}` failed {attempts} times; the last time: {error}", job.kind);
            let help = "remove the cause, then send the document on its way again (retry)".to_owned();
            give_up(app, job, reason, help).await?;
        }
        Err(StepError::Later(error)) => {
            let pause = pause_ms(job.failures, jitter(&job.job_id));
            tracing::warn!(error, job = job.job_id, attempts, pause_ms = pause, "a job failed; trying again");
            store::jobs::fail(&app.store, job, &error, store::now_ms() + pause as i64).await?;
        }
    }
    Ok(())
}

async fn give_up(app: &App, job: &Job, reason: String, help: String) -> Result<(), events::AppendError> {
    tracing::error!(reason, job = job.job_id, "a job is given up");
    let mut write = app.store.begin().await?;
    store::jobs::bury(&mut write, job, &reason).await?;
    if let Some(document) = job.document {
        events::quarantine(&mut write, &job.tenant, document, reason, help).await?;
    }
    write.commit().await?;
    Ok(())
}

/// The pause after so many failures: doubling, with up to half of it taken off by `jitter` (0 to 1).
fn pause_ms(failures: u32, jitter: f64) -> u64 {
    let full = FIRST_PAUSE_MS.saturating_mul(1 << failures.min(20)).min(LONGEST_PAUSE_MS);
    full - (full as f64 / 2.0 * jitter.clamp(0.0, 1.0)) as u64
}

/// Some number from 0 to 1 that differs between jobs and moments, so that they do not come back in step.
fn jitter(job_id: &str) -> f64 {
    let digest = platen_model::Digest::of(format!("{job_id}{}", store::now_ms()).as_bytes());
    f64::from(digest.as_bytes()[0]) / 255.0
}

/// At the start of the one server process: frees leases of a process that is gone, and asks again for the
/// job of every document that should have one but has not (INV-14).
pub async fn recover(app: &App) -> Result<(), StoreError> {
    // On a database server other nodes are at work: there a lease is freed by its end alone.
    let alone = app.store.engine() == Engine::Sqlite;
    let freed = if alone { store::jobs::free_all(&app.store).await? } else { 0 };
    if freed > 0 {
        tracing::info!(freed, "leases of an earlier process were freed");
    }
    let mut orphans = 0u32;
    for tenant in store::people::tenants(&app.store).await? {
        for record in store::documents::on_their_way(&app.store, &tenant).await? {
            let document = record.document.document_id;
            let Some(kind) = record.state().and_then(crate::machine::wanted) else { continue };
            let mut write = app.store.begin().await?;
            if !store::jobs::has_live(&mut write, document).await? {
                store::jobs::enqueue(&mut write, &tenant, store::jobs::New::of_document(kind, document))
                    .await?;
                orphans += 1;
            }
            write.commit().await?;
        }
    }
    if orphans > 0 {
        tracing::warn!(orphans, "documents without a job were given theirs back");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_and_ends_growing() {
        assert_eq!(pause_ms(0, 0.0), FIRST_PAUSE_MS);
        assert_eq!(pause_ms(3, 0.0), 8 * FIRST_PAUSE_MS);
        assert_eq!(pause_ms(3, 1.0), 4 * FIRST_PAUSE_MS);
        assert_eq!(pause_ms(60, 0.0), LONGEST_PAUSE_MS);
    }
}
