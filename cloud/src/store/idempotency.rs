//! The `idempotency_keys` table: requests that may be sent again, and what came of them the first time: the id of a
//! document (hence the column's name) or of an envelope. What was sent tells which.

use std::fmt::Display;
use std::str::FromStr;

use platen_model::{Digest, TenantId};
use sqlx::Row as _;

use super::{Store, StoreError, Write, now_ms, word};

/// A key as a caller sent it, with what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Who sent it.
    pub holder: String,
    /// The key.
    pub name: String,
    /// The digest of what was sent under it.
    pub fingerprint: Digest,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// Nothing: it is this request's.
    New,
    /// The same was sent under it before, and this came of it.
    Same(T),
    /// Something else was sent under it.
    Other,
}

/// What is known of a key. Others wait until the end of this write before they ask for the same one.
pub async fn find<T>(write: &mut Write, tenant: &TenantId, key: &Key) -> Result<Known<T>, StoreError>
where
    T: FromStr<Err: Display>,
{
    write.hold(format!("idempotency {tenant} {} {}", key.holder, key.name)).await?;
    let row = sqlx::query(
        "SELECT fingerprint, document_id FROM idempotency_keys
         WHERE tenant_id = $1 AND holder = $2 AND name = $3 AND expires_ms > $4",
    )
    .bind(tenant.as_str())
    .bind(&key.holder)
    .bind(&key.name)
    .bind(now_ms())
    .fetch_optional(&mut **write)
    .await?;
    let Some(row) = row else { return Ok(Known::New) };
    if row.get::<String, _>("fingerprint") != key.fingerprint.to_string() {
        return Ok(Known::Other);
    }
    Ok(Known::Same(word(row.get("document_id"))?))
}

/// Keeps what came of a key, in the write of it.
pub async fn keep(
    write: &mut Write,
    tenant: &TenantId,
    key: &Key,
    outcome: &impl Display,
    expires_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO idempotency_keys (tenant_id, holder, name, fingerprint, document_id, expires_ms)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (tenant_id, holder, name) DO UPDATE SET fingerprint = excluded.fingerprint,
           document_id = excluded.document_id, expires_ms = excluded.expires_ms",
    )
    .bind(tenant.as_str())
    .bind(&key.holder)
    .bind(&key.name)
    .bind(key.fingerprint.to_string())
    .bind(outcome.to_string())
    .bind(expires_ms)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Forgets keys whose time is over: housekeeping.
pub async fn forget(store: &Store) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM idempotency_keys WHERE expires_ms < $1")
        .bind(now_ms())
        .execute(store.writing())
        .await?;
    Ok(())
}
