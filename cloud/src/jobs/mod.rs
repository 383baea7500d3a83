//! Jobs: what carries a document on between requests. Leased, repeatable, and never silently lost.
//!
//! [`run`] takes due rows one by one and calls the step of their kind. A step looks where its document is
//! before it does anything, so running it twice is running it once (INV-5); SIGKILL anywhere only means that
//! the lease is taken over, by this node or another. A failing step is tried again after a growing, jittered
//! pause, how long and how often by the class of its error ([`retry`]); then the job stays as `dead` and its
//! document is quarantined with the reason (INV-13), until somebody replays it ([`replay`]). A node that stops
//! finishes what it can within `limits.shutdown_seconds` and gives the rest back. A job that took its node with it
//! [`LOST_AT_MOST`] times in a row is given up as well: it may be what kills them.
//!
//! A new kind of job: name it, handle it in [`steps::run`] (kinds of signing: in `signing::run`), and let
//! [`crate::machine::wanted`] or a transaction of your own enqueue it with [`crate::store::jobs::enqueue`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{DocumentId, TenantId, crash};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::app::App;
use crate::store::jobs::{Job, Lane, Trouble};
use crate::store::{self, Engine, Store, StoreError, documents, events};
use crate::webhooks;

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
/// How often in a row a job may take its node with it.
const LOST_AT_MOST: usize = 5;
/// Deliveries to other servers under way at once, so that slow ones leave hands free for documents.
const DELIVERIES_AT_ONCE: usize = 2;

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
            error @ events::AppendError::Unreadable(_) => Self::SetAside {
                reason: error.to_string(),
                help: "look for a number in it that is none; then correct the document or send it again"
                    .into(),
            },
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

/// The free hands of this node, by lane.
struct Hands {
    quick: Arc<Semaphore>,
    /// What long jobs and deliveries share.
    slow: Arc<Semaphore>,
    long: Arc<Semaphore>,
    deliver: Arc<Semaphore>,
}

/// A hand at work, free again when dropped.
struct Hand {
    _of_lane: OwnedSemaphorePermit,
    _slow: Option<OwnedSemaphorePermit>,
}

impl Hands {
    /// So many for all, of which long jobs and deliveries together leave one for what takes a moment. Of theirs each leaves
    /// one to the other. Two are too few for all three: there, a delivery waits for a capture. One does all in turn.
    fn of(all: usize, workers: usize) -> Self {
        let slow = all.saturating_sub(1).max(1);
        let of_lane = |wanted: usize| Arc::new(Semaphore::new(wanted.min(slow.saturating_sub(1)).max(1)));
        Self {
            quick: Arc::new(Semaphore::new(all)),
            slow: Arc::new(Semaphore::new(slow)),
            long: of_lane(workers),
            deliver: of_lane(DELIVERIES_AT_ONCE),
        }
    }

    fn of_lane(&self, lane: Lane) -> &Arc<Semaphore> {
        match lane {
            Lane::Quick => &self.quick,
            Lane::Long => &self.long,
            Lane::Deliver => &self.deliver,
        }
    }

    /// What a lane shares with another.
    fn shared(&self, lane: Lane) -> Option<&Arc<Semaphore>> {
        (lane != Lane::Quick).then_some(&self.slow)
    }

    /// The lanes that have a free hand.
    fn free(&self) -> Vec<Lane> {
        let is_free = |hands: &Arc<Semaphore>| hands.available_permits() > 0;
        let lanes = Lane::ALL.into_iter();
        lanes.filter(|lane| is_free(self.of_lane(*lane)) && self.shared(*lane).is_none_or(is_free)).collect()
    }

    /// A hand of a lane that has a free one: only the dispatcher takes them.
    fn take(&self, lane: Lane) -> Option<Hand> {
        let take = |hands: &Arc<Semaphore>| Arc::clone(hands).try_acquire_owned().ok();
        let of_lane = take(self.of_lane(lane))?;
        let slow = match self.shared(lane) {
            Some(shared) => Some(take(shared)?),
            None => None,
        };
        Some(Hand { _of_lane: of_lane, _slow: slow })
    }
}

/// Runs jobs until `stop` says so, then waits for those at work and gives back what takes too long.
pub async fn run(app: App, mut stop: watch::Receiver<bool>) {
    let clock = tokio::spawn(crate::signing::run_clock(app.clone()));
    let mut at_work = JoinSet::new();
    let hands = Hands::of(app.config.limits.jobs_at_once, app.config.workers);
    while !*stop.borrow() {
        while at_work.try_join_next().is_some() {}
        let lanes = if at_work.len() < app.config.limits.jobs_at_once { hands.free() } else { Vec::new() };
        let job = if lanes.is_empty() {
            Ok(None)
        } else {
            store::jobs::lease(&app.store, &app.node, lease_ms(&app), &lanes).await
        };
        match job {
            Ok(Some(job)) => {
                let hand = hands.take(Lane::of(&job.kind));
                let app = app.clone();
                at_work.spawn(async move {
                    one(app, job).await;
                    drop(hand);
                });
                continue;
            }
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "cannot look for jobs"),
        }
        // When all hands are busy only a finished job makes room; a due job must not make this loop spin.
        let due = match lanes.is_empty() {
            true => None,
            false => store::jobs::next_due_ms(&app.store, &lanes).await.ok().flatten(),
        };
        let pause = due.map_or(IDLE, |ms| Duration::from_millis(ms.unsigned_abs().max(5)).min(IDLE));
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
    while let Some(job) = store::jobs::lease(&app.store, &app.node, lease_ms(app), &Lane::ALL).await? {
        one(app.clone(), job).await;
    }
    Ok(())
}

/// How long a lease lasts; it is renewed at a third of it.
fn lease_ms(app: &App) -> i64 {
    i64::try_from(app.config.limits.lease_seconds).unwrap_or(i64::MAX / 1000) * 1000
}

/// A job's work, in a span that says whose trace it belongs to.
async fn one(app: App, job: Job) {
    let trace = match job.document {
        Some(document) => documents::trace(&app.store, &job.tenant, document).await.ok().flatten(),
        None => None,
    };
    let correlation_id = trace.map(tracing::field::display);
    let span = tracing::info_span!("job", kind = job.kind, tenant = %job.tenant, correlation_id);
    work(app, job).instrument(span).await;
}

async fn work(app: App, job: Job) {
    let Some(outcome) = attempt(&app, &job).await else {
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

/// Runs the step, unless it has taken too many nodes with it; `None` where the lease was lost.
async fn attempt(app: &App, job: &Job) -> Option<Result<Outcome, StepError>> {
    if job.lost() < LOST_AT_MOST {
        return perform(app, job).await;
    }
    Some(Err(StepError::SetAside {
        reason: format!("the step `{}` took its node with it {LOST_AT_MOST} times in a row", job.kind),
        help: "look into the server's log and the machine's for what ended it, then send it on its way again (retry)"
            .into(),
    }))
}

/// Runs the step under its limits, renewing the lease; `None` where that was lost.
async fn perform(app: &App, job: &Job) -> Option<Result<Outcome, StepError>> {
    let (limit, key) = match Lane::of(&job.kind) {
        Lane::Long => (app.config.limits.capture_seconds, "limits.capture_seconds"),
        Lane::Quick | Lane::Deliver => (app.config.limits.job_seconds, "limits.job_seconds"),
    };
    let limit = Duration::from_secs(limit);
    // A panic is a failure like others: counted, and in the end seen. Uncaught it would be tried for ever.
    let step = tokio::time::timeout(limit, AssertUnwindSafe(steps::run(app, job)).catch_unwind());
    Some(match while_leased(&app.store, job, lease_ms(app), step).await? {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(StepError::Later("it panicked; the log says where".into())),
        Err(_) => Err(StepError::Later(format!("passed the limit of {} s ({key})", limit.as_secs()))),
    })
}

/// Does a job's work, and renews its lease beside it; `None` where that was lost.
///
/// The work goes on while the lease is renewed: it may have in hand what the renewal waits for, the one connection that
/// writes or its own row.
async fn while_leased<T>(
    store: &Store,
    job: &Job,
    lease_ms: i64,
    work: impl Future<Output = T>,
) -> Option<T> {
    let third = Duration::from_millis((lease_ms / 3).unsigned_abs());
    let renewing = async {
        loop {
            tokio::time::sleep(third).await;
            match store::jobs::renew(store, job, lease_ms).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, job = job.job_id, "cannot renew a lease"),
            }
        }
    };
    tokio::select! {
        // Work that has ended counts, whatever became of its lease in the same moment.
        biased;
        outcome = work => Some(outcome),
        () = renewing => None,
    }
}

async fn settle(
    app: &App,
    job: &Job,
    outcome: Result<Outcome, StepError>,
) -> Result<(), events::AppendError> {
    let error = match outcome {
        Ok(Outcome::Done) => return Ok(store::jobs::finish(&app.store, job).await?),
        Ok(Outcome::Again(after)) => {
            return Ok(store::jobs::postpone(&app.store, job, after.as_millis() as i64).await?);
        }
        Err(StepError::SetAside { reason, help }) => return give_up(app, job, None, reason, help).await,
        Err(error) => error,
    };
    let policy = retry::policy(&error, app.config.limits.job_attempts);
    let (attempts, error) = (job.failures_with(policy.class), error.to_string());
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
    let pause = policy.pause_ms(attempts - 1, retry::jitter(&job.job_id));
    tracing::warn!(error, job = job.job_id, attempts, pause_ms = pause, "a job failed; trying again");
    store::jobs::fail(&app.store, job, trouble, pause as i64).await?;
    Ok(())
}

/// Gives a job up, and sets aside what it is about.
async fn give_up(
    app: &App,
    job: &Job,
    trouble: Option<Trouble>,
    reason: String,
    help: String,
) -> Result<(), events::AppendError> {
    tracing::error!(reason, job = job.job_id, "a job is given up");
    if let Some(document) = job.document {
        match give_up_with(app, job, document, trouble.clone(), &reason, help).await {
            Err(events::AppendError::Store(StoreError::Damaged(why))) => {
                tracing::error!(%document, why, "a document cannot be read, and so not be set aside");
            }
            outcome => return outcome,
        }
    }
    let mut write = app.store.begin().await?;
    if job.kind == kinds::DELIVER {
        webhooks::give_up(&mut write, job, &reason).await?;
    }
    if store::jobs::bury(&mut write, job, trouble, &reason).await? {
        write.commit().await?;
    }
    Ok(())
}

/// Gives a job up and quarantines its document: both, or nothing.
async fn give_up_with(
    app: &App,
    job: &Job,
    document: DocumentId,
    trouble: Option<Trouble>,
    reason: &str,
    help: String,
) -> Result<(), events::AppendError> {
    let mut write = app.store.begin().await?;
    // Before the job's row is touched, as an event does that asks for it.
    write.hold(document).await?;
    if store::jobs::bury(&mut write, job, trouble, reason).await? {
        events::quarantine(&mut write, &job.tenant, document, reason.to_owned(), help).await?;
        write.commit().await?;
    }
    Ok(())
}

/// Sends a dead job on its way again, and its document or delivery with it, in the caller's write, which is not to be
/// committed where there was no such job; answers whether there was.
///
/// A document in quarantine goes back to where it was, which asks for the job it needs there.
pub async fn replay(
    write: &mut store::Write,
    tenant: &TenantId,
    job_id: &str,
    actor: Actor,
) -> Result<bool, events::AppendError> {
    let Some(job) = store::jobs::find(&mut **write, tenant, job_id).await? else { return Ok(false) };
    // Before the job's row is touched, as an event does that asks for it.
    if let Some(document) = job.document_id {
        write.hold(document).await?;
    }
    if job.kind == kinds::DELIVER {
        webhooks::resume(write, tenant, &job.argument).await?;
    }
    if !store::jobs::raise(write, tenant, job_id).await? {
        return Ok(false);
    }
    if let Some(document) = job.document_id {
        let record = documents::find(&mut **write, tenant, document).await?;
        if record.is_some_and(|record| record.document.status == Status::Quarantined) {
            events::append(write, tenant, document, actor, EventBody::Retried).await?;
        }
    }
    Ok(true)
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
        for status in Status::ALL.into_iter().filter(|status| carries_itself_on(*status)) {
            let mut after = String::new();
            loop {
                let found = documents::without_job(&app.store, &tenant, status, &after).await?;
                let Some((last, _)) = found.last() else { break };
                after.clone_from(last);
                for (document, record) in &found {
                    let record = match record {
                        Ok(record) => record,
                        // The site's other documents must not wait for it.
                        Err(error) => {
                            tracing::warn!(document, %error, "a document without a job cannot be read");
                            continue;
                        }
                    };
                    let Some(kind) = record.state().and_then(crate::machine::wanted) else { continue };
                    let job = store::jobs::New::of_document(kind, record.document.document_id);
                    let mut write = app.store.begin().await?;
                    store::jobs::enqueue(&mut write, &tenant, job).await?;
                    write.commit().await?;
                    orphans += 1;
                }
            }
        }
    }
    if orphans > 0 {
        tracing::warn!(orphans, "documents without a job were given theirs back");
    }
    Ok(())
}

/// Whether a document in this state neither ended nor waits for a person.
fn carries_itself_on(status: Status) -> bool {
    status != Status::InReview && !crate::machine::is_end(status)
}

#[cfg(test)]
mod tests;
