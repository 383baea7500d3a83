//! The `jobs` table: work to do, written in the same transaction as the event that asks for it.
//!
//! A job has one row from the moment it is wanted until it is done; its id is made of what it is about, so
//! wanting it twice is wanting it once. A job whose lease ran out is taken again: every step may be repeated
//! (INV-5). A job that failed too often stays as `dead`, where a person sees it (INV-13).

use platen_model::{DocumentId, TenantId};
use sqlx::Row as _;

use super::{Store, StoreError, Write, now_ms, word};

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

/// Leases the job that is due longest, for `lease_ms`.
pub async fn lease(store: &Store, lease_ms: i64) -> Result<Option<Job>, StoreError> {
    let now = now_ms();
    let mut write = store.begin().await?;
    let row = sqlx::query(store.engine().pick(
        "UPDATE jobs SET state = 'leased', lease_until_ms = $1, again = 0 WHERE job_id =
           (SELECT job_id FROM jobs WHERE (state = 'ready' AND run_at_ms <= $2)
              OR (state = 'leased' AND lease_until_ms <= $2) ORDER BY run_at_ms LIMIT 1)
         RETURNING job_id, tenant_id, document_id, kind, argument, failures",
        "UPDATE jobs SET state = 'leased', lease_until_ms = $1, again = 0 WHERE job_id =
           (SELECT job_id FROM jobs WHERE (state = 'ready' AND run_at_ms <= $2)
              OR (state = 'leased' AND lease_until_ms <= $2) ORDER BY run_at_ms LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING job_id, tenant_id, document_id, kind, argument, failures",
    ))
    .bind(now + lease_ms)
    .bind(now)
    .fetch_optional(&mut *write)
    .await?;
    write.commit().await?;
    row.map(|row| {
        Ok(Job {
            job_id: row.get("job_id"),
            tenant: word(row.get("tenant_id"))?,
            document: row.get::<Option<String>, _>("document_id").map(|id| word(&id)).transpose()?,
            kind: row.get("kind"),
            argument: row.get("argument"),
            failures: u32::try_from(row.get::<i64, _>("failures")).unwrap_or(u32::MAX),
        })
    })
    .transpose()
}

/// Keeps a lease for another `lease_ms`.
pub async fn renew(store: &Store, job: &Job, lease_ms: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE jobs SET lease_until_ms = $1 WHERE job_id = $2 AND state = 'leased'")
        .bind(now_ms() + lease_ms)
        .bind(&job.job_id)
        .execute(store.writing())
        .await?;
    Ok(())
}

/// The job is done: its row leaves, unless it was asked for again meanwhile.
pub async fn finish(store: &Store, job: &Job) -> Result<(), StoreError> {
    let mut write = store.begin().await?;
    sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = 0, last_error = NULL, run_at_ms = $1
         WHERE job_id = $2 AND again = 1",
    )
    .bind(now_ms())
    .bind(&job.job_id)
    .execute(&mut *write)
    .await?;
    sqlx::query("DELETE FROM jobs WHERE job_id = $1 AND state = 'leased'")
        .bind(&job.job_id)
        .execute(&mut *write)
        .await?;
    write.commit().await?;
    Ok(())
}

/// The job wants to run again at a time; that is no failure.
pub async fn postpone(store: &Store, job: &Job, run_at_ms: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = 0, last_error = NULL,
           run_at_ms = CASE again WHEN 1 THEN $1 ELSE $2 END, again = 0 WHERE job_id = $3",
    )
    .bind(now_ms())
    .bind(run_at_ms)
    .bind(&job.job_id)
    .execute(store.writing())
    .await?;
    Ok(())
}

/// The job failed and is tried again at a time.
pub async fn fail(store: &Store, job: &Job, error: &str, run_at_ms: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE jobs SET state = 'ready', failures = failures + 1, last_error = $1, run_at_ms = $2 WHERE job_id = $3",
    )
    .bind(error)
    .bind(run_at_ms)
    .bind(&job.job_id)
    .execute(store.writing())
    .await?;
    Ok(())
}

/// The job is given up; its row stays to be seen.
pub async fn bury(write: &mut Write, job: &Job, error: &str) -> Result<(), StoreError> {
    sqlx::query("UPDATE jobs SET state = 'dead', failures = failures + 1, last_error = $1 WHERE job_id = $2")
        .bind(error)
        .bind(&job.job_id)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// Milliseconds until the next job is due, if there is one.
pub async fn next_due_ms(store: &Store) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query(
        "SELECT MIN(CASE state WHEN 'leased' THEN lease_until_ms ELSE run_at_ms END) AS due
         FROM jobs WHERE state <> 'dead'",
    )
    .fetch_one(store.reading())
    .await?;
    Ok(row.get::<Option<i64>, _>("due").map(|due| (due - now_ms()).max(0)))
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
