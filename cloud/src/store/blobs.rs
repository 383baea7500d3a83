//! The `blobs` table: which tenant may see which bytes (INV-12). The bytes themselves are in [`crate::blobs`].

use platen_model::{Digest, TenantId};
use sqlx::{Any, Executor, Row as _};

use super::{StoreError, now_ms, word};

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

/// Makes a blob, which must be in the folder already, visible to a tenant. Repeating it changes nothing.
pub async fn grant<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
    blob: &Visible,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO blobs (tenant_id, sha256, bytes, mime, created_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, sha256) DO NOTHING",
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
