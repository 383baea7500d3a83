//! The `tenant_limits` table, and what is counted against it.

use platen_model::TenantId;
use sqlx::Row as _;

use super::{Store, StoreError, Write, blobs, now_ms};

/// The time over which documents are counted, in milliseconds.
const MINUTE_MS: i64 = 60_000;

/// A tenant's own limits; the site's where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Largest part or file, in bytes.
    pub part_bytes: Option<u64>,
    /// Most pages of a document.
    pub document_pages: Option<u32>,
    /// Most documents in a minute.
    pub documents_per_minute: Option<u32>,
}

impl Own {
    /// These, and where there is none those.
    pub fn or(self, others: Self) -> Self {
        Self {
            part_bytes: self.part_bytes.or(others.part_bytes),
            document_pages: self.document_pages.or(others.document_pages),
            documents_per_minute: self.documents_per_minute.or(others.documents_per_minute),
        }
    }
}

/// The tenant's own limits.
pub async fn own(store: &Store, tenant: &TenantId) -> Result<Own, StoreError> {
    let row = sqlx::query("SELECT * FROM tenant_limits WHERE tenant_id = $1")
        .bind(tenant.as_str())
        .fetch_optional(store.reading())
        .await?;
    let Some(row) = row else { return Ok(Own::default()) };
    let number = |column: &str| row.get::<Option<i64>, _>(column);
    let small = |column: &str| number(column).map(|number| u32::try_from(number).unwrap_or(u32::MAX));
    Ok(Own {
        part_bytes: number("part_bytes").map(i64::unsigned_abs),
        document_pages: small("document_pages"),
        documents_per_minute: small("documents_per_minute"),
    })
}

/// Gives a tenant limits of its own, in place of those it had.
pub async fn put(write: &mut Write, tenant: &TenantId, own: &Own) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tenant_limits (tenant_id, part_bytes, document_pages, documents_per_minute)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (tenant_id) DO UPDATE SET part_bytes = excluded.part_bytes,
           document_pages = excluded.document_pages, documents_per_minute = excluded.documents_per_minute",
    )
    .bind(tenant.as_str())
    .bind(own.part_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)))
    .bind(own.document_pages.map(i64::from))
    .bind(own.documents_per_minute.map(i64::from))
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Milliseconds until the tenant may send another document; `None` where it may now. On every node the same.
pub async fn wait_ms(
    write: &mut Write,
    tenant: &TenantId,
    per_minute: u32,
) -> Result<Option<i64>, StoreError> {
    // As whoever receives a document does next: of two at once the second counts the first.
    write.hold(blobs::lock_of(tenant)).await?;
    let now = now_ms();
    if per_minute == 0 {
        return Ok(Some(MINUTE_MS));
    }
    // The document that must be a minute old before there is room for another.
    let row = sqlx::query(
        "SELECT created_ms FROM documents WHERE tenant_id = $1 AND created_ms > $2
         ORDER BY created_ms DESC LIMIT 1 OFFSET $3",
    )
    .bind(tenant.as_str())
    .bind(now - MINUTE_MS)
    .bind(i64::from(per_minute) - 1)
    .fetch_optional(&mut **write)
    .await?;
    Ok(row.map(|row| (row.get::<i64, _>("created_ms") + MINUTE_MS - now).max(1)))
}
