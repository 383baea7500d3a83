//! The `jobs` table: work to do, written in the same transaction as the event that asks for it.
//!
//! A job has one row from the moment it is wanted until it is done; its id is made of what it is about, so
//! wanting it twice is wanting it once. A node takes a job with a lease and counts the lease: only who holds the
//! newest one can record how the job ended. A job whose lease ran out is taken again, and that counts as a
//! failure: every step may be repeated (INV-5), but one that kills its node must not do so for ever, so who takes it
//! learns how often in a row that happened ([`Job::lost`]). A job that failed too often stays as `dead` with its last
//! troubles, where a person sees it and replays it (INV-13).
//!
//! Jobs run in lanes ([`Lane`]), so that a node whose hands for long jobs are full asks for others only. Of the tenants
//! with something due in a lane, the one with the fewest jobs at work in it is served first. All times of leases are by
//! the database's clock: nodes whose clocks differ take nothing from each other.

use platen_model::{DocumentId, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;
use sqlx::{Any, Executor, Row as _};
use utoipa::ToSchema;

use super::{Store, StoreError, Write, from_ms, json, to_json, word};
use crate::jobs::kinds;

/// Troubles that are kept of a job, the newest ones.
const TROUBLES: usize = 5;
/// The class of trouble of a job whose lease ran out.
const LOST: &str = "lost";
/// The name under which nodes take turns at looking for work.
const TURN: &str = "jobs";

/// A job to be enqueued.
#[derive(Clone, Debug)]
pub struct New {
    /// What to do: one of [`crate::jobs::kinds`] or a kind of the signing module.
    pub kind: String,
    /// The document it is about.
    pub document: Option<DocumentId>,
    /// What else the step needs; part of the job's identity.
    pub argument: String,
    /// Not before this time, in milliseconds since 1970; 0 is at once.
    pub run_at_ms: i64,
}

impl New {
    /// A job about a document, due at once.
    pub fn of_document(kind: &str, document: DocumentId) -> Self {
        Self { kind: kind.into(), document: Some(document), argument: String::new(), run_at_ms: 0 }
    }
}

/// What jobs of a kind ask of the node they run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A moment.
    Quick,
    /// As long as its document is: hours.
    Long,
    /// The patience of somebody else's server.
    Deliver,
}

impl Lane {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Quick, Self::Long, Self::Deliver];

    /// The lane of a kind of job.
    pub fn of(kind: &str) -> Self {
        match kind {
            kinds::CAPTURE => Self::Long,
            kinds::DELIVER => Self::Deliver,
            _ => Self::Quick,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Long => "long",
            Self::Deliver => "deliver",
        }
    }
}

/// A job that was leased.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub job_id: String,
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The document it is about.
    pub document: Option<DocumentId>,
    /// What to do.
    pub kind: String,
    /// What else the step needs.
    pub argument: String,
    /// How often it failed so far; see [`Job::failures_with`].
    pub failures: u32,
    /// The number of this lease.
    pub lease: i64,
    /// What went wrong before, oldest first.
    pub troubles: Vec<Trouble>,
}

impl Job {
    /// How often in a row its node went away with it, up to the number of troubles that are kept.
    pub fn lost(&self) -> usize {
        self.troubles.iter().rev().take_while(|trouble| trouble.class == LOST).count()
    }

    /// How often it has failed together with a failure of this class.
    pub fn failures_with(&self, class: &str) -> u32 {
        failures_with(self.failures, &self.troubles, class)
    }
}

/// How many failures count after one of this class. Where none of the troubles that are kept is of it, it is the first: how
/// often a job may fail depends on the class, and a database that was away for minutes leaves nothing to be held against
/// what nobody foresaw. Classes that take turns are counted together, so that even they come to an end.
fn failures_with(before: u32, troubles: &[Trouble], class: &str) -> u32 {
    let goes_on = troubles.iter().any(|trouble| trouble.class == class);
    if goes_on { before.saturating_add(1) } else { 1 }
}

/// One failure of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = JobTrouble)]
pub struct Trouble {
    /// When.
    pub at: jiff::Timestamp,
    /// The node it happened on.
    pub node: String,
    /// The class of error.
    pub class: String,
    /// What happened.
    pub error: String,
}

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobState)]
pub enum State {
    /// It waits for its time, or for a free hand.
    Ready,
    /// A node is at work on it.
    Leased,
    /// It was given up; somebody may replay it.
    Dead,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ready, Self::Leased, Self::Dead];

    /// The state's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Leased => "leased",
            Self::Dead => "dead",
        }
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("no job is {text:?}"))
    }
}

/// A job as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its id.
    pub job_id: String,
    /// What is to be done.
    pub kind: String,
    /// What becomes of it.
    pub state: State,
    /// The document it is about.
    pub document_id: Option<DocumentId>,
    /// What else the step needs.
    pub argument: String,
    /// How often it failed of late.
    pub failures: u32,
    /// What went wrong last, or why it was given up.
    pub reason: Option<String>,
    /// When it is due.
    pub run_at: jiff::Timestamp,
    /// The node that is at work on it, or was last.
    pub node: Option<String>,
    /// Until when that node must be heard of, while it is at work.
    pub lease_until: Option<jiff::Timestamp>,
    /// The last failures, oldest first.
    pub troubles: Vec<Trouble>,
    /// When it was asked for.
    pub created_at: jiff::Timestamp,
}

/// Makes a tenant's jobs of this kind due that wait for their time without having failed.
pub async fn hurry(write: &mut Write, tenant: &TenantId, kind: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE jobs SET run_at_ms = $1
         WHERE tenant_id = $2 AND kind = $3 AND state = 'ready' AND failures = 0 AND run_at_ms > $1",
    )
    .bind(write.now_ms().await?)
    .bind(tenant.as_str())
    .bind(kind)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Asks for a job. One that waits runs at the earlier of both times, one that runs will run once more, and a
/// dead one is raised.
pub async fn enqueue(write: &mut Write, tenant: &TenantId, new: New) -> Result<(), StoreError> {
    let about = new.document.map_or_else(|| tenant.to_string(), |document| document.to_string());
    let now = write.now_ms().await?;
    sqlx::query(
        "INSERT INTO jobs (job_id, tenant_id, document_id, kind, argument, state, run_at_ms, created_ms, lane)
         VALUES ($1, $2, $3, $4, $5, 'ready', $6, $7, $8)
         ON CONFLICT (job_id) DO UPDATE SET
           again = CASE jobs.state WHEN 'leased' THEN 1 ELSE 0 END,
           failures = CASE jobs.state WHEN 'dead' THEN 0 ELSE jobs.failures END,
           troubles = CASE jobs.state WHEN 'dead' THEN '[]' ELSE jobs.troubles END,
           run_at_ms = CASE jobs.state WHEN 'leased' THEN jobs.run_at_ms WHEN 'dead' THEN excluded.run_at_ms
             ELSE CASE WHEN jobs.run_at_ms < excluded.run_at_ms THEN jobs.run_at_ms ELSE excluded.run_at_ms END END,
           state = CASE jobs.state WHEN 'dead' THEN 'ready' ELSE jobs.state END",
    )
    .bind(format!("{about}/{}/{}", new.kind, new.argument))
    .bind(tenant.as_str())
    .bind(new.document.map(|document| document.to_string()))
    .bind(&new.kind)
    .bind(&new.argument)
    .bind(new.run_at_ms.max(now))
    .bind(now)
    .bind(Lane::of(&new.kind).as_str())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Leases a due job of one of these lanes for `lease_ms` to a node: of the tenant with the fewest jobs at work in its lane
/// the one that is due longest.
pub async fn lease(
    store: &Store,
    node: &str,
    lease_ms: i64,
    lanes: &[Lane],
) -> Result<Option<Job>, StoreError> {
    let mut write = store.begin().await?;
    // Nodes look one after the other, so that the count of jobs at work is true and no two take the same.
    write.hold(TURN).await?;
    let now = write.now_ms().await?;
    take_back(&mut write, now, Some(now)).await?;
    let [first, second, third] = names(lanes);
    let row = sqlx::query(LEASE)
        .bind(node)
        .bind(now + lease_ms)
        .bind(now)
        .bind(first)
        .bind(second)
        .bind(third)
        .fetch_optional(&mut *write)
        .await?;
    write.commit().await?;
    row.map(|row| {
        Ok(Job {
            job_id: row.get("job_id"),
            tenant: word(row.get("tenant_id"))?,
            document: about(&row)?,
            kind: row.get("kind"),
            argument: row.get("argument"),
            failures: failures(&row),
            lease: row.get("lease"),
            troubles: json(row.get("troubles"))?,
        })
    })
    .transpose()
}

/// Of each tenant and lane the first due job is looked up by its index, and those at work are counted by it. What takes hours
/// in its own lane is not held against what takes a moment.
pub(super) const LEASE: &str =
    "UPDATE jobs SET state = 'leased', node = $1, lease = lease + 1, lease_until_ms = $2, again = 0
     WHERE job_id = (
       SELECT j.job_id FROM tenants t
       CROSS JOIN (SELECT $4 AS lane UNION ALL SELECT $5 AS lane UNION ALL SELECT $6 AS lane) l
       JOIN jobs j ON j.job_id = (
         SELECT job_id FROM jobs WHERE tenant_id = t.tenant_id AND state = 'ready' AND lane = l.lane
           AND run_at_ms <= $3 ORDER BY run_at_ms LIMIT 1)
       ORDER BY (SELECT COUNT(*) FROM jobs h WHERE h.tenant_id = t.tenant_id AND h.state = 'leased' AND h.lane = l.lane),
         j.run_at_ms LIMIT 1)
     RETURNING job_id, tenant_id, document_id, kind, argument, failures, lease, troubles";

/// The names of lanes as a statement takes them: a lane that is not wanted is none that a job has.
fn names(lanes: &[Lane]) -> [&'static str; 3] {
    Lane::ALL.map(|lane| if lanes.contains(&lane) { lane.as_str() } else { "" })
}

/// Takes back what is leased, where the lease ended by `ended_by`, or all: its nodes are gone or stuck. It counts as a
/// failure. Answers how many there were.
async fn take_back(write: &mut Write, now: i64, ended_by: Option<i64>) -> Result<u64, StoreError> {
    let rows = sqlx::query(
        "UPDATE jobs SET state = 'ready', run_at_ms = $1, last_error = 'its node went away: the lease ran out'
         WHERE state = 'leased' AND lease_until_ms <= $2 RETURNING job_id, node, failures, troubles",
    )
    .bind(now)
    .bind(ended_by.unwrap_or(i64::MAX))
    .fetch_all(&mut **write)
    .await?;
    for row in &rows {
        let node: Option<String> = row.get("node");
        let mut troubles: Vec<Trouble> = json(row.get("troubles"))?;
        let (node, error) = (node.unwrap_or_default(), "the lease ran out".to_owned());
        let failures = failures_with(failures(row), &troubles, LOST);
        add(&mut troubles, Trouble { at: from_ms(now), node, class: LOST.into(), error });
        sqlx::query("UPDATE jobs SET failures = $1, troubles = $2 WHERE job_id = $3")
            .bind(i64::from(failures))
            .bind(to_json(&troubles))
            .bind(row.get::<String, _>("job_id"))
            .execute(&mut **write)
            .await?;
    }
    Ok(rows.len() as u64)
}

fn add(troubles: &mut Vec<Trouble>, trouble: Trouble) {
    troubles.push(trouble);
    troubles.drain(..troubles.len().saturating_sub(TROUBLES));
}

/// Keeps a lease for another `lease_ms`; `false` where somebody else has the job by now.
pub async fn renew(store: &Store, job: &Job, lease_ms: i64) -> Result<bool, StoreError> {
    let mut write = store.begin().await?;
    let done = sqlx::query(
        "UPDATE jobs SET lease_until_ms = $1 WHERE job_id = $2 AND lease = $3 AND state = 'leased'",
    )
    .bind(write.now_ms().await? + lease_ms)
    .bind(&job.job_id)
    .bind(job.lease)
    .execute(&mut *write)
    .await?;
    write.commit().await?;
    Ok(done.rows_affected() == 1)
}

/// The job is done: its row leaves, unless it was asked for again meanwhile.
pub async fn finish(store: &Store, job: &Job) -> Result<(), StoreError> {
    let mut write = store.begin().await?;
    let left =
        sqlx::query("DELETE FROM jobs WHERE job_id = $1 AND lease = $2 AND state = 'leased' AND again = 0")
            .bind(&job.job_id)
            .bind(job.lease)
            .execute(&mut *write)
            .await?;
    if left.rows_affected() == 0 {
        sqlx::query(
            "UPDATE jobs SET state = 'ready', failures = 0, last_error = NULL, troubles = '[]', again = 0,
               run_at_ms = $1 WHERE job_id = $2 AND lease = $3 AND state = 'leased'",
        )
        .bind(write.now_ms().await?)
        .bind(&job.job_id)
        .bind(job.lease)
        .execute(&mut *write)
        .await?;
    }
    write.commit().await?;
    Ok(())
}

/// The job wants to run again after so many milliseconds; that is no failure.
pub async fn postpone(store: &Store, job: &Job, after_ms: i64) -> Result<(), StoreError> {
    let mut write = store.begin().await?;
    let now = write.now_ms().await?;
    sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = 0, last_error = NULL, troubles = '[]',
           run_at_ms = CASE again WHEN 1 THEN $1 ELSE $2 END, again = 0
         WHERE job_id = $3 AND lease = $4 AND state = 'leased'",
    )
    .bind(now)
    .bind(now + after_ms)
    .bind(&job.job_id)
    .bind(job.lease)
    .execute(&mut *write)
    .await?;
    write.commit().await?;
    Ok(())
}

/// The job failed and is tried again after so many milliseconds.
pub async fn fail(store: &Store, job: &Job, trouble: Trouble, after_ms: i64) -> Result<(), StoreError> {
    let mut troubles = job.troubles.clone();
    let (failures, error) = (job.failures_with(&trouble.class), trouble.error.clone());
    add(&mut troubles, trouble);
    let mut write = store.begin().await?;
    sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = $1, last_error = $2, troubles = $3, run_at_ms = $4
         WHERE job_id = $5 AND lease = $6 AND state = 'leased'",
    )
    .bind(i64::from(failures))
    .bind(error)
    .bind(to_json(&troubles))
    .bind(write.now_ms().await? + after_ms)
    .bind(&job.job_id)
    .bind(job.lease)
    .execute(&mut *write)
    .await?;
    write.commit().await?;
    Ok(())
}

/// The job is given up; its row stays to be seen. `false` where somebody else has the job by now.
pub async fn bury(
    write: &mut Write,
    job: &Job,
    trouble: Option<Trouble>,
    reason: &str,
) -> Result<bool, StoreError> {
    let mut troubles = job.troubles.clone();
    let failures = trouble.as_ref().map_or(job.failures, |trouble| job.failures_with(&trouble.class));
    trouble.into_iter().for_each(|trouble| add(&mut troubles, trouble));
    let done = sqlx::query(
        "UPDATE jobs SET state = 'dead', failures = $1, last_error = $2, troubles = $3
         WHERE job_id = $4 AND lease = $5 AND state = 'leased'",
    )
    .bind(i64::from(failures))
    .bind(reason)
    .bind(to_json(&troubles))
    .bind(&job.job_id)
    .bind(job.lease)
    .execute(&mut **write)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Gives back what a node has leased: it stops, and others may go on at once.
pub async fn release(store: &Store, node: &str) -> Result<u64, StoreError> {
    let mut write = store.begin().await?;
    let done =
        sqlx::query("UPDATE jobs SET state = 'ready', run_at_ms = $1 WHERE state = 'leased' AND node = $2")
            .bind(write.now_ms().await?)
            .bind(node)
            .execute(&mut *write)
            .await?;
    write.commit().await?;
    Ok(done.rows_affected())
}

/// The tenant's jobs after the one of this id, by id, at most `limit`; only those in a state, where one is named.
pub async fn list(
    store: &Store,
    tenant: &TenantId,
    state: Option<State>,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Listed>, StoreError> {
    let mut query = sqlx::query(match state {
        None => LIST,
        Some(_) => LIST_OF_STATE,
    })
    .bind(tenant.as_str())
    .bind(after.unwrap_or_default())
    .bind(i64::from(limit));
    if let Some(state) = state {
        query = query.bind(state.as_str());
    }
    query.fetch_all(store.reading()).await?.iter().map(listed).collect()
}

pub(super) const LIST: &str =
    "SELECT * FROM jobs WHERE tenant_id = $1 AND job_id > $2 ORDER BY job_id LIMIT $3";
pub(super) const LIST_OF_STATE: &str =
    "SELECT * FROM jobs WHERE tenant_id = $1 AND job_id > $2 AND state = $4 ORDER BY job_id LIMIT $3";

/// A job of the tenant.
pub async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
    job_id: &str,
) -> Result<Option<Listed>, StoreError> {
    let row = sqlx::query("SELECT * FROM jobs WHERE tenant_id = $1 AND job_id = $2")
        .bind(tenant.as_str())
        .bind(job_id)
        .fetch_optional(executor)
        .await?;
    row.map(|row| listed(&row)).transpose()
}

/// How many of the tenant's jobs are in each state.
pub async fn counts(store: &Store, tenant: &TenantId) -> Result<Vec<(State, u64)>, StoreError> {
    let rows = sqlx::query("SELECT state, COUNT(*) AS count FROM jobs WHERE tenant_id = $1 GROUP BY state")
        .bind(tenant.as_str())
        .fetch_all(store.reading())
        .await?;
    rows.iter().map(|row| Ok((word(row.get("state"))?, row.get::<i64, _>("count").unsigned_abs()))).collect()
}

fn listed(row: &AnyRow) -> Result<Listed, StoreError> {
    let state: State = word(row.get("state"))?;
    let lease_until = from_ms(row.get("lease_until_ms"));
    Ok(Listed {
        job_id: row.get("job_id"),
        kind: row.get("kind"),
        state,
        document_id: about(row)?,
        argument: row.get("argument"),
        failures: failures(row),
        reason: row.get("last_error"),
        run_at: from_ms(row.get("run_at_ms")),
        node: row.get("node"),
        lease_until: (state == State::Leased).then_some(lease_until),
        troubles: json(row.get("troubles"))?,
        created_at: from_ms(row.get("created_ms")),
    })
}

/// Raises a dead job of the tenant, due at once; answers whether there was such a job. Whoever changes its document as
/// well holds the document's name before.
pub async fn raise(write: &mut Write, tenant: &TenantId, job_id: &str) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = 0, troubles = '[]', run_at_ms = $1
         WHERE tenant_id = $2 AND job_id = $3 AND state = 'dead'",
    )
    .bind(write.now_ms().await?)
    .bind(tenant.as_str())
    .bind(job_id)
    .execute(&mut **write)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Milliseconds until the next job of one of these lanes is due, or a lease runs out; `None` where nothing is.
pub async fn next_due_ms(store: &Store, lanes: &[Lane]) -> Result<Option<i64>, StoreError> {
    let now = store.now_ms().await?;
    let mut due = None;
    for name in names(lanes).into_iter().filter(|name| !name.is_empty()) {
        let row = sqlx::query(NEXT_DUE).bind(name).fetch_one(store.reading()).await?;
        due = [due, row.get::<Option<i64>, _>("due")].into_iter().flatten().min();
    }
    let row = sqlx::query(NEXT_END).fetch_one(store.reading()).await?;
    let due = [due, row.get::<Option<i64>, _>("due")].into_iter().flatten().min();
    Ok(due.map(|due| (due - now).max(0)))
}

pub(super) const NEXT_DUE: &str =
    "SELECT MIN(run_at_ms) AS due FROM jobs WHERE state = 'ready' AND lane = $1";
pub(super) const NEXT_END: &str = "SELECT MIN(lease_until_ms) AS due FROM jobs WHERE state = 'leased'";

/// Takes all leases back. Only for the one process that holds the database's lock: a lease it finds at its start
/// belongs to a process that is gone, perhaps because of what it was at work on.
pub async fn free_all(store: &Store) -> Result<u64, StoreError> {
    let mut write = store.begin().await?;
    let now = write.now_ms().await?;
    let freed = take_back(&mut write, now, None).await?;
    write.commit().await?;
    Ok(freed)
}

fn about(row: &AnyRow) -> Result<Option<DocumentId>, StoreError> {
    row.get::<Option<String>, _>("document_id").map(|id| word(&id)).transpose()
}

fn failures(row: &AnyRow) -> u32 {
    u32::try_from(row.get::<i64, _>("failures")).unwrap_or(u32::MAX)
}
