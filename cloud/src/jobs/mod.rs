//! Jobs: what carries a document on between requests. Leased, repeatable, and never silently lost.
//!
//! [`run`] takes due rows one by one and calls the step of their kind. A step looks where its document is
//! before it does anything, so running it twice is running it once (INV-5); SIGKILL anywhere only means that
//! the lease is taken over, by this node or another. A failing step is tried again after a growing, jittered
//! pause, how long and how often by the class of its error ([`retry`]); then the job stays as `dead` and its
//! document is quarantined with the reason (INV-13), until somebody replays it ([`replay`]). A node that stops
//! finishes what it can within `limits.shutdown_seconds` and gives the rest back.
//!
//! A new kind of job: name it, handle it in [`steps::run`] (kinds of signing: in `signing::run`), and let
//! [`crate::machine::wanted`] or a transaction of your own enqueue it with [`crate::store::jobs::enqueue`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{DocumentId, TenantId, crash};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::app::App;
use crate::store::jobs::{Job, Trouble};
use crate::store::{self, Engine, Store, StoreError, documents, events};

pub mod capture;
pub mod retry;
pub mod steps;

/// The kinds of jobs the path of a document asks for.
pub mod kinds {
    /// Captures what came as a file only, or anew.
    pub const CAPTURE: &str = "capture";
    /// Takes the page text over.
    pub const READ_TEXT: &str = "read_text";
    /// Takes the decision over.
    pub const CLASSIFY: &str = "classify";
    /// Decides whether a person is asked.
    pub const DECIDE: &str = "decide";
    /// Asks the policy where it goes.
    pub const ROUTE: &str = "route";
    /// After a refusal or an expiry: asks the policy whether others are asked instead.
    pub const GO_ON: &str = "go_on";
    /// Tells an endpoint of an event.
    pub const DELIVER: &str = "deliver";
    /// Makes the envelope at the provider (signing).
    pub const CREATE_ENVELOPE: &str = "create_envelope";
    /// Follows the envelope until it ends (signing).
    pub const FOLLOW_ENVELOPE: &str = "follow_envelope";
    /// Builds and keeps the evidence (signing).
    pub const ARCHIVE: &str = "archive";
}

/// The longest the dispatcher sleeps without looking.
const IDLE: Duration = Duration::from_secs(2);

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
    /// It may go better later, for a reason nobody foresaw.
    #[error("{0}")]
    Later(String),
    /// Our own database or storage is busy or away: it goes better soon.
    #[error("{0}")]
    Busy(String),
    /// Somebody else's service is away: it goes better when they are back.
    #[error("{0}")]
    Away(String),
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
        match error {
            StoreError::Database(_) => Self::Busy(error.to_string()),
            error => Self::later(error),
        }
    }
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::from(error).into()
    }
}

impl From<events::AppendError> for StepError {
    fn from(error: events::AppendError) -> Self {
        match error {
            events::AppendError::Store(error) => error.into(),
            error => Self::later(error),
        }
    }
}

impl From<crate::blobs::BlobError> for StepError {
    fn from(error: crate::blobs::BlobError) -> Self {
        use crate::blobs::BlobError as B;
        match error {
            B::Store(error) => error.into(),
            B::Io(_) | B::Storage(_) => Self::Busy(error.to_string()),
            B::Missing(_) | B::Damaged(_) | B::Mismatch { .. } => Self::later(error),
        }
    }
}

/// Whether a kind of job may take as long as its document is: hours.
fn is_long(kind: &str) -> bool {
    kind == kinds::CAPTURE
}

/// Long jobs at once, so that hands stay free for what takes a moment.
fn long_at_once(app: &App) -> usize {
    app.config.workers.min(app.config.limits.jobs_at_once.saturating_sub(1)).max(1)
}

/// Runs jobs until `stop` says so, then waits for those at work and gives back what takes too long.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let clock = tokio::spawn(crate::signing::run_clock(app.clone()));
    let mut at_work = JoinSet::new();
    let long = Arc::new(Semaphore::new(long_at_once(&app)));
    while !*stop.borrow() {
        while at_work.try_join_next().is_some() {}
        let room = at_work.len() < app.config.limits.jobs_at_once;
        let but = if long.available_permits() == 0 { Some(kinds::CAPTURE) } else { None };
        let job = if room {
            store::jobs::lease(&app.store, &app.node, lease_ms(&app), but).await
        } else {
            Ok(None)
        };
        match job {
            Ok(Some(job)) => {
                let permit = is_long(&job.kind).then(|| Arc::clone(&long).try_acquire_owned().ok()).flatten();
                let app = app.clone();
                at_work.spawn(async move {
                    one(app, job).await;
                    drop(permit);
                });
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot look for jobs"),
        }
        let due = store::jobs::next_due_ms(&app.store, but).await.ok().flatten();
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
    wind_up(&app, at_work).await;
}

/// Finishes or releases: a job that is cut off here is repeated elsewhere, as after a crash, only sooner.
async fn wind_up(app: &App, mut at_work: JoinSet<()>) {
    let patience = Duration::from_secs(app.config.limits.shutdown_seconds);
    let all = async { while at_work.join_next().await.is_some() {} };
    if tokio::time::timeout(patience, all).await.is_err() {
        at_work.shutdown().await;
    }
    match store::jobs::release(&app.store, &app.node).await {
        Ok(0) => {}
        Ok(released) => tracing::warn!(released, "jobs were given back unfinished"),
        Err(error) => tracing::error!(%error, "cannot give jobs back; their leases will run out"),
    }
}

/// Runs all jobs that are due, and those they lead to, until none is: for tests and commands.
pub async fn run_until_idle(app: &App) -> Result<(), StoreError> {
    while let Some(job) = store::jobs::lease(&app.store, &app.node, lease_ms(app), None).await? {
        one(app.clone(), job).await;
    }
    Ok(())
}

/// How long a lease lasts; it is renewed at a third of it.
fn lease_ms(app: &App) -> i64 {
    i64::try_from(app.config.limits.lease_seconds).unwrap_or(i64::MAX / 1000) * 1000
}

async fn one(app: App, job: Job) {
    let Some(outcome) = perform(&app, &job).await else {
        tracing::warn!(job = job.job_id, "the lease was lost: another node goes on");
        return;
    };
    crash::point("a step is done");
    if let Err(error) = settle(&app, &job, outcome).await {
        // The row stays leased; it is taken again when the lease runs out.
        tracing::error!(%error, job = job.job_id, "cannot record how a job ended");
    }
    crash::point("a step is noted");
    app.wake.notify_one();
}

/// Runs the step under its limits, renewing the lease; `None` where that was lost.
async fn perform(app: &App, job: &Job) -> Option<Result<Outcome, StepError>> {
    let (limit, key) = if is_long(&job.kind) {
        (app.config.limits.capture_seconds, "limits.capture_seconds")
    } else {
        (app.config.limits.job_seconds, "limits.job_seconds")
    };
    let limit = Duration::from_secs(limit);
    // A panic is a failure like others: counted, and in the end seen. Uncaught it would be tried for ever.
    let step = tokio::time::timeout(limit, AssertUnwindSafe(steps::run(app, job)).catch_unwind());
    tokio::pin!(step);
    let third = Duration::from_millis((lease_ms(app) / 3).unsigned_abs());
    let outcome = loop {
        tokio::select! {
            outcome = &mut step => break outcome,
            () = tokio::time::sleep(third) => {
                match store::jobs::renew(&app.store, job, lease_ms(app)).await {
                    Ok(true) => {}
                    Ok(false) => return None,
                    Err(error) => tracing::warn!(%error, job = job.job_id, "cannot renew a lease"),
                }
            }
        }
    };
    Some(match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(StepError::Later("it panicked; the log says where".into())),
        Err(_) => Err(StepError::Later(format!("passed the limit of {} s ({key})", limit.as_secs()))),
    })
}

async fn settle(
    app: &App,
    job: &Job,
    outcome: Result<Outcome, StepError>,
) -> Result<(), events::AppendError> {
    let error = match outcome {
        Ok(Outcome::Done) => return Ok(store::jobs::finish(&app.store, job).await?),
        Ok(Outcome::Again(after)) => {
            let at = store::now_ms() + after.as_millis() as i64;
            return Ok(store::jobs::postpone(&app.store, job, at).await?);
        }
        Err(StepError::SetAside { reason, help }) => return give_up(app, job, None, reason, help).await,
        Err(error) => error,
    };
    let policy = retry::policy(&error, app.config.limits.job_attempts);
    let (attempts, error) = (job.failures + 1, error.to_string());
    let trouble = Trouble {
        at: store::from_ms(store::now_ms()),
        node: app.node.clone(),
        class: policy.class.into(),
        error: error.clone(),
    };
    if attempts >= policy.attempts {
        let reason = format!("the step `{}` failed {attempts} times; the last time: {error}", job.kind);
        let help = "remove the cause, then send the document on its way again (retry)".to_owned();
        return give_up(app, job, Some(trouble), reason, help).await;
    }
    let pause = policy.pause_ms(job.failures, retry::jitter(&job.job_id));
    tracing::warn!(error, job = job.job_id, attempts, pause_ms = pause, "a job failed; trying again");
    store::jobs::fail(&app.store, job, trouble, store::now_ms() + pause as i64).await?;
    Ok(())
}

async fn give_up(
    app: &App,
    job: &Job,
    trouble: Option<Trouble>,
    reason: String,
    help: String,
) -> Result<(), events::AppendError> {
    tracing::error!(reason, job = job.job_id, "a job is given up");
    let mut write = app.store.begin().await?;
    if store::jobs::bury(&mut write, job, trouble, &reason).await? {
        if let Some(document) = job.document {
            events::quarantine(&mut write, &job.tenant, document, reason, help).await?;
        }
        write.commit().await?;
    }
    Ok(())
}

/// Sends a dead job on its way again, and its document with it; answers whether there was such a job.
///
/// A document in quarantine goes back to where it was, which asks for the job it needs there.
pub async fn replay(
    store: &Store,
    tenant: &TenantId,
    job_id: &str,
    actor: Actor,
) -> Result<bool, events::AppendError> {
    let mut write = store.begin().await?;
    let Some(document) = store::jobs::raise(&mut write, tenant, job_id).await? else { return Ok(false) };
    if let Some(document) = document {
        resume(&mut write, tenant, document, actor).await?;
    }
    write.commit().await?;
    Ok(true)
}

async fn resume(
    write: &mut store::Write,
    tenant: &TenantId,
    document: DocumentId,
    actor: Actor,
) -> Result<(), events::AppendError> {
    write.hold(document).await?;
    let record = documents::find(&mut **write, tenant, document).await?;
    if record.is_some_and(|record| record.document.status == Status::Quarantined) {
        events::append(write, tenant, document, actor, EventBody::Retried).await?;
    }
    Ok(())
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
mod tests;
