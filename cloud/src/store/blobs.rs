//! The `blobs` table: which tenant may see which bytes (INV-12). The bytes themselves are in
//! [`crate::blobs`]. And the `blob_references` table: which of them events name.

use std::collections::BTreeSet;

use platen_model::event::EventBody;
use platen_model::{Digest, DocumentId, TenantId};
use sqlx::{Any, AnyConnection, Executor, Row as _};

use super::{StoreError, Write, now_ms, word};

/// A blob a tenant may see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible {
    /// Its digest.
    pub sha256: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its media type.
    pub mime: String,
}

/// The name to hold for whoever names blobs of the tenant in an event, or forgets them.
pub fn lock_of(tenant: &TenantId) -> String {
    format!("blobs of {tenant}")
}

/// Makes a blob, which must be stored already, visible to a tenant. Repeating it only puts the time off at which
/// it may become garbage.
pub async fn grant<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
    blob: &Visible,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO blobs (tenant_id, sha256, bytes, mime, created_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, sha256) DO UPDATE SET created_ms = excluded.created_ms",
    )
    .bind(tenant.as_str())
    .bind(blob.sha256.to_string())
    .bind(blob.bytes as i64)
    .bind(&blob.mime)
    .bind(now_ms())
    .execute(executor)
    .await?;
    Ok(())
}

/// What a tenant may know of a blob; `None` where it is not theirs, whether it exists or not.
pub async fn visible<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
    sha256: Digest,
) -> Result<Option<Visible>, StoreError> {
    let row = sqlx::query("SELECT sha256, bytes, mime FROM blobs WHERE tenant_id = $1 AND sha256 = $2")
        .bind(tenant.as_str())
        .bind(sha256.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(|row| {
        Ok(Visible {
            sha256: word(row.get("sha256"))?,
            bytes: row.get::<i64, _>("bytes").unsigned_abs(),
            mime: row.get("mime"),
        })
    })
    .transpose()
}

/// Whether any tenant may see a blob: what becomes of its bytes is asked for all tenants at once.
pub(crate) async fn is_seen<'e>(
    executor: impl Executor<'e, Database = Any>,
    sha256: Digest,
) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT sha256 FROM blobs WHERE sha256 = $1 LIMIT 1")
        .bind(sha256.to_string())
        .fetch_optional(executor)
        .await?;
    Ok(row.is_some())
}

/// The blobs an event names, as far as its words are digests.
pub(crate) fn named_in(body: &EventBody) -> BTreeSet<Digest> {
    fn collect(value: &serde_json::Value, found: &mut BTreeSet<Digest>) {
        match value {
            serde_json::Value::String(text) => found.extend(text.parse::<Digest>().ok()),
            serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            serde_json::Value::Object(values) => values.values().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    collect(&serde_json::to_value(body).unwrap_or_default(), &mut found);
    found
}

/// Notes that a document's event names these blobs.
pub(crate) async fn refer(
    write: &mut Write,
    tenant: &TenantId,
    document: DocumentId,
    blobs: &BTreeSet<Digest>,
) -> Result<(), StoreError> {
    for sha256 in blobs {
        sqlx::query(
            "INSERT INTO blob_references (tenant_id, sha256, document_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(tenant.as_str())
        .bind(sha256.to_string())
        .bind(document.to_string())
        .execute(&mut **write)
        .await?;
    }
    Ok(())
}

/// The blobs a document's events name, as noted.
pub(crate) async fn referred(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<BTreeSet<Digest>, StoreError> {
    let rows = sqlx::query("SELECT sha256 FROM blob_references WHERE tenant_id = $1 AND document_id = $2")
        .bind(tenant.as_str())
        .bind(document.to_string())
        .fetch_all(reading)
        .await?;
    rows.iter().map(|row| word(row.get("sha256"))).collect()
}
