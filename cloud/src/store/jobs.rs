//! The `jobs` table: work to do, written in the same transaction as the event that asks for it.
//!
//! A job has one row from the moment it is wanted until it is done; its id is made of what it is about, so
//! wanting it twice is wanting it once. A node takes a job with a lease and counts the lease: only who holds the
//! newest one can record how the job ended. A job whose lease ran out is taken again, and that counts as a
//! failure: every step may be repeated (INV-5), but one that kills its node must not do so for ever. A job that
//! failed too often stays as `dead` with its last troubles, where a person sees it and replays it (INV-13).
//!
//! Of the tenants with something due, the one with the fewest jobs at work is served first.

use platen_model::{DocumentId, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;
use utoipa::ToSchema;

use super::{Store, StoreError, Write, from_ms, json, now_ms, to_json, word};

/// Troubles that are kept of a job, the newest ones.
const TROUBLES: usize = 5;
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
    /// How often it failed so far.
    pub failures: u32,
    /// The number of this lease.
    pub lease: i64,
    /// What went wrong before, oldest first.
    pub troubles: Vec<Trouble>,
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
    /// How often it failed.
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
    .bind(now_ms())
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
    let now = now_ms();
    sqlx::query(
        "INSERT INTO jobs (job_id, tenant_id, document_id, kind, argument, state, run_at_ms, created_ms)
         VALUES ($1, $2, $3, $4, $5, 'ready', $6, $7)
         ON CONFLICT (job_id) DO UPDATE SET
           again = CASE jobs.state WHEN 'leased' THEN 1 ELSE 0 END,
           failures = CASE jobs.state WHEN 'dead' THEN 0 ELSE jobs.failures END,
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
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Leases a due job for `lease_ms` to a node: of the tenant with the fewest jobs at work the one that is due
/// longest. None of the kind `but`: the node has no hand free for it.
pub async fn lease(
    store: &Store,
    node: &str,
    lease_ms: i64,
    but: Option<&str>,
) -> Result<Option<Job>, StoreError> {
    let now = now_ms();
    let mut write = store.begin().await?;
    // Nodes look one after the other, so that the count of jobs at work is true and no two take the same.
    write.hold(TURN).await?;
    take_back_lost(&mut write, now).await?;
    let row = sqlx::query(
        "UPDATE jobs SET state = 'leased', node = $1, lease = lease + 1, lease_until_ms = $2, again = 0
         WHERE job_id = (
           SELECT j.job_id FROM tenants t JOIN jobs j ON j.job_id = (
             SELECT job_id FROM jobs WHERE tenant_id = t.tenant_id AND state = 'ready' AND run_at_ms <= $3
               AND kind <> $4 ORDER BY run_at_ms LIMIT 1)
           ORDER BY (SELECT COUNT(*) FROM jobs l WHERE l.tenant_id = t.tenant_id AND l.state = 'leased'),
             j.run_at_ms LIMIT 1)
         RETURNING job_id, tenant_id, document_id, kind, argument, failures, lease, troubles",
    )
    .bind(node)
    .bind(now + lease_ms)
    .bind(now)
    .bind(but.unwrap_or_default())
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

/// Leases that ran out belong to nodes that are gone or stuck.
async fn take_back_lost(write: &mut Write, now: i64) -> Result<(), StoreError> {
    let rows = sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = failures + 1, run_at_ms = $1,
           last_error = 'its node went away: the lease ran out'
         WHERE state = 'leased' AND lease_until_ms <= $1 RETURNING job_id, node, troubles",
    )
    .bind(now)
    .fetch_all(&mut **write)
    .await?;
    for row in rows {
        let node: Option<String> = row.get("node");
        let mut troubles: Vec<Trouble> = json(row.get("troubles"))?;
        let (node, error) = (node.unwrap_or_default(), "the lease ran out".to_owned());
        add(&mut troubles, Trouble { at: from_ms(now), node, class: "lost".into(), error });
        sqlx::query("UPDATE jobs SET troubles = $1 WHERE job_id = $2")
            .bind(to_json(&troubles))
            .bind(row.get::<String, _>("job_id"))
            .execute(&mut **write)
            .await?;
    }
    Ok(())
}

fn add(troubles: &mut Vec<Trouble>, trouble: Trouble) {
    troubles.push(trouble);
    troubles.drain(..troubles.len().saturating_sub(TROUBLES));
}

/// Keeps a lease for another `lease_ms`; `false` where somebody else has the job by now.
pub async fn renew(store: &Store, job: &Job, lease_ms: i64) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE jobs SET lease_until_ms = $1 WHERE job_id = $2 AND lease = $3 AND state = 'leased'",
    )
    .bind(now_ms() + lease_ms)
    .bind(&job.job_id)
    .bind(job.lease)
    .execute(store.writing())
    .await?;
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
        .bind(now_ms())
        .bind(&job.job_id)
        .bind(job.lease)
        .execute(&mut *write)
        .await?;
    }
    write.commit().await?;
    Ok(())
}

/// The job wants to run again at a time; that is no failure.
pub async fn postpone(store: &Store, job: &Job, run_at_ms: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = 0, last_error = NULL, troubles = '[]',
           run_at_ms = CASE again WHEN 1 THEN $1 ELSE $2 END, again = 0
         WHERE job_id = $3 AND lease = $4 AND state = 'leased'",
    )
    .bind(now_ms())
    .bind(run_at_ms)
    .bind(&job.job_id)
    .bind(job.lease)
    .execute(store.writing())
    .await?;
    Ok(())
}

/// The job failed and is tried again at a time.
pub async fn fail(store: &Store, job: &Job, trouble: Trouble, run_at_ms: i64) -> Result<(), StoreError> {
    let mut troubles = job.troubles.clone();
    let error = trouble.error.clone();
    add(&mut troubles, trouble);
    sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = failures + 1, last_error = $1, troubles = $2, run_at_ms = $3
         WHERE job_id = $4 AND lease = $5 AND state = 'leased'",
    )
    .bind(error)
    .bind(to_json(&troubles))
    .bind(run_at_ms)
    .bind(&job.job_id)
    .bind(job.lease)
    .execute(store.writing())
    .await?;
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
    let failed = i64::from(trouble.is_some());
    troubles.extend(trouble);
    troubles.drain(..troubles.len().saturating_sub(TROUBLES));
    let done = sqlx::query(
        "UPDATE jobs SET state = 'dead', failures = failures + $1, last_error = $2, troubles = $3
         WHERE job_id = $4 AND lease = $5 AND state = 'leased'",
    )
    .bind(failed)
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
    let done =
        sqlx::query("UPDATE jobs SET state = 'ready', run_at_ms = $1 WHERE state = 'leased' AND node = $2")
            .bind(now_ms())
            .bind(node)
            .execute(store.writing())
            .await?;
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
    let rows = sqlx::query(
        "SELECT * FROM jobs WHERE tenant_id = $1 AND job_id > $2 AND ($3 IS NULL OR state = $3)
         ORDER BY job_id LIMIT $4",
    )
    .bind(tenant.as_str())
    .bind(after.unwrap_or_default())
    .bind(state.map(State::as_str))
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    rows.iter().map(listed).collect()
}

/// A job of the tenant.
pub async fn find(store: &Store, tenant: &TenantId, job_id: &str) -> Result<Option<Listed>, StoreError> {
    let row = sqlx::query("SELECT * FROM jobs WHERE tenant_id = $1 AND job_id = $2")
        .bind(tenant.as_str())
        .bind(job_id)
        .fetch_optional(store.reading())
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

/// Raises a dead job of the tenant, due at once, and answers the document it is about; `None` where there is no
/// such dead job.
pub async fn raise(
    write: &mut Write,
    tenant: &TenantId,
    job_id: &str,
) -> Result<Option<Option<DocumentId>>, StoreError> {
    let row = sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = 0, run_at_ms = $1
         WHERE tenant_id = $2 AND job_id = $3 AND state = 'dead' RETURNING document_id",
    )
    .bind(now_ms())
    .bind(tenant.as_str())
    .bind(job_id)
    .fetch_optional(&mut **write)
    .await?;
    row.map(|row| about(&row)).transpose()
}

/// Milliseconds until the next job is due, if there is one; none of the kind `but`.
pub async fn next_due_ms(store: &Store, but: Option<&str>) -> Result<Option<i64>, StoreError> {
    let mut due = None;
    for earliest in [
        "SELECT MIN(run_at_ms) AS due FROM jobs WHERE state = 'ready' AND kind <> $1",
        "SELECT MIN(lease_until_ms) AS due FROM jobs WHERE state = 'leased' AND kind <> $1",
    ] {
        let row = sqlx::query(earliest).bind(but.unwrap_or_default()).fetch_one(store.reading()).await?;
        due = [due, row.get::<Option<i64>, _>("due")].into_iter().flatten().min();
    }
    Ok(due.map(|due| (due - now_ms()).max(0)))
}

/// Frees all leases. Only for the one process that holds the database's lock: a lease it finds at its start
/// belongs to a process that is gone.
pub async fn free_all(store: &Store) -> Result<u64, StoreError> {
    let done =
        sqlx::query("UPDATE jobs SET state = 'ready', run_at_ms = $1, again = 0 WHERE state = 'leased'")
            .bind(now_ms())
            .execute(store.writing())
            .await?;
    Ok(done.rows_affected())
}

/// Whether a document has a job that is not dead.
pub async fn has_live(write: &mut Write, document: DocumentId) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS count FROM jobs WHERE document_id = $1 AND state <> 'dead'")
        .bind(document.to_string())
        .fetch_one(&mut **write)
        .await?;
    Ok(row.get::<i64, _>("count") > 0)
}

fn about(row: &AnyRow) -> Result<Option<DocumentId>, StoreError> {
    row.get::<Option<String>, _>("document_id").map(|id| word(&id)).transpose()
}

fn failures(row: &AnyRow) -> u32 {
    u32::try_from(row.get::<i64, _>("failures")).unwrap_or(u32::MAX)
}
