//! Removal of what nobody refers to any more, after a delay.
//!
//! Two steps, each safe to repeat and to run on several nodes. First tenants forget: a row of `blobs` leaves when
//! no event names the blob, no table of [`PINS`] does, and it was not offered again for the whole delay. Then
//! storage: an object leaves when no tenant has a row for it and it is older than the delay.
//!
//! Whoever is about to name a blob in an event holds [`visibility::lock_of`] its tenant, as the first step does;
//! whoever makes a blob visible holds the blob's name, as the second does, and looks for the object afterwards.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use platen_model::{Digest, TenantId};
use sqlx::{AssertSqlSafe, Row as _};

use super::{BlobError, Keep};
use crate::store::blobs as visibility;
use crate::store::{Store, StoreError};

/// Tables beside the events whose rows name blobs that must stay for their tenant: tables, column of digests, which has an
/// index, and column of tenants.
const PINS: [(&str, &str, &str); 7] = [
    ("sandbox_envelopes p", "p.pdf_sha256", "p.tenant_id"),
    ("sandbox_envelopes p", "p.signed_sha256", "p.tenant_id"),
    ("desk_envelopes p", "p.pdf_sha256", "p.tenant_id"),
    (
        "desk_signers p JOIN desk_envelopes e ON e.envelope_id = p.envelope_id",
        "p.sealed_sha256",
        "e.tenant_id",
    ),
    ("desk_envelopes p", "p.certificate_sha256", "p.tenant_id"),
    ("desk_envelopes p", "p.completed_sha256", "p.tenant_id"),
    ("page_pictures p", "p.png_sha256", "p.tenant_id"),
];
/// Garbage is looked for more often than this; a clock may be wrong by as much.
const OVERDUE: Duration = Duration::from_secs(24 * 3600);
/// Rows that are looked at at once, and the most that are forgotten in one write.
const BATCH: i64 = 500;
const WRITTEN_AT_ONCE: usize = 100;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Rows that made a blob visible to a tenant.
    pub forgotten: u64,
    /// Objects in the folder or bucket.
    pub removed: u64,
}

/// Removes what has been garbage for longer than `delay`.
pub async fn collect(keep: &Keep, delay: Duration) -> Result<Collected, BlobError> {
    let before = Timestamp::now().as_millisecond() - i64::try_from(delay.as_millis()).unwrap_or(i64::MAX / 2);
    let mut done = Collected::default();
    for tenant in crate::store::people::tenants(&keep.store).await? {
        let mut after = String::new();
        while let Some((last, candidates)) = candidates(&keep.store, &tenant, before, &after).await? {
            for some in candidates.chunks(WRITTEN_AT_ONCE) {
                done.forgotten += forget(keep, &tenant, before, some).await?;
            }
            after = last;
        }
    }
    let mut objects = keep.blobs.list();
    while let Some(object) = objects.try_next().await? {
        if object.written_at.as_millisecond() < before && remove(keep, object.sha256).await? {
            done.removed += 1;
        }
    }
    Ok(done)
}

/// The rows of `blobs` that nothing explains, each as a sentence: no event names them, and they should have been forgotten a
/// day ago, or are from a time to come.
///
/// Whoever adds such a row lets a tenant read what may be another's. Within the delay it cannot be told from an upload
/// that is not committed yet.
pub async fn unexplained(store: &Store, delay: Duration) -> Result<Vec<String>, StoreError> {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
    let (now, day) = (Timestamp::now().as_millisecond(), ms(OVERDUE));
    let mut wrong = Vec::new();
    for tenant in crate::store::people::tenants(store).await? {
        let mut after = String::new();
        while let Some((last, overdue)) = candidates(store, &tenant, now - ms(delay) - day, &after).await? {
            let told = |sha256: &String| {
                format!(
                    "the row of `blobs` that lets {tenant} read {sha256}: no event names it; it was added, or garbage was \
                     not removed for long (`platen-cloud garbage` removes it)"
                )
            };
            wrong.extend(overdue.iter().map(told));
            after = last;
        }
        let ahead = sqlx::query("SELECT sha256 FROM blobs WHERE tenant_id = $1 AND created_ms > $2");
        for row in ahead.bind(tenant.as_str()).bind(now + day).fetch_all(store.reading()).await? {
            let sha256: String = row.get("sha256");
            wrong.push(format!("the row of `blobs` that lets {tenant} read {sha256} is from a time to come"));
        }
    }
    Ok(wrong)
}

/// What makes a row of `blobs b` garbage.
fn is_garbage(before: &str) -> String {
    let pins: String = PINS
        .iter()
        .map(|(tables, digest, tenant)| {
            format!(" AND NOT EXISTS (SELECT 1 FROM {tables} WHERE {digest} = b.sha256 AND {tenant} = b.tenant_id)")
        })
        .collect();
    format!(
        "b.created_ms < {before} AND NOT EXISTS
           (SELECT 1 FROM blob_references r WHERE r.tenant_id = b.tenant_id AND r.sha256 = b.sha256){pins}"
    )
}

/// The next rows of a tenant by their digests, each with whether it is garbage.
pub(crate) fn looking() -> String {
    format!(
        "SELECT b.sha256, CASE WHEN {} THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS garbage
         FROM blobs b WHERE b.tenant_id = $1 AND b.sha256 > $2 ORDER BY b.sha256 LIMIT $4",
        is_garbage("$3")
    )
}

/// Forgets a row, if it is garbage still.
pub(crate) fn forgetting() -> String {
    format!("DELETE FROM blobs AS b WHERE b.tenant_id = $1 AND b.sha256 = $2 AND {}", is_garbage("$3"))
}

/// Reads on in a tenant's blobs, beside whoever writes: the last digest that was read, and which of them look like
/// garbage; `None` at the end.
async fn candidates(
    store: &Store,
    tenant: &TenantId,
    before: i64,
    after: &str,
) -> Result<Option<(String, Vec<String>)>, StoreError> {
    let rows = sqlx::query(AssertSqlSafe(looking()))
        .bind(tenant.as_str())
        .bind(after)
        .bind(before)
        .bind(BATCH)
        .fetch_all(store.reading())
        .await?;
    let Some(last) = rows.last() else { return Ok(None) };
    let garbage = rows.iter().filter(|row| row.get::<i64, _>("garbage") == 1);
    Ok(Some((last.get("sha256"), garbage.map(|row| row.get("sha256")).collect())))
}

/// Forgets those of these blobs that are garbage still; answers how many.
async fn forget(
    keep: &Keep,
    tenant: &TenantId,
    before: i64,
    candidates: &[String],
) -> Result<u64, StoreError> {
    let mut write = keep.store.begin().await?;
    write.hold(visibility::lock_of(tenant)).await?;
    let mut forgotten = 0;
    for sha256 in candidates {
        let done = sqlx::query(AssertSqlSafe(forgetting()))
            .bind(tenant.as_str())
            .bind(sha256)
            .bind(before)
            .execute(&mut *write)
            .await?;
        forgotten += done.rows_affected();
    }
    write.commit().await?;
    Ok(forgotten)
}

/// Removes an object if no tenant may see it.
async fn remove(keep: &Keep, sha256: Digest) -> Result<bool, BlobError> {
    if visibility::is_seen(keep.store.reading(), sha256).await? {
        return Ok(false);
    }
    let mut write = keep.store.begin().await?;
    write.hold(sha256).await?;
    let is_garbage = !visibility::is_seen(&mut *write, sha256).await?;
    if is_garbage {
        // Inside the transaction, though it is no quick thing: nobody may make the blob visible meanwhile.
        keep.blobs.remove(sha256).await?;
    }
    drop(write);
    Ok(is_garbage)
}
