//! The audit: who signed in and who administered what. Entries are only ever added; the path of documents has its
//! own, stronger record in [`super::events`].

use platen_model::TenantId;
use sqlx::Row as _;
use uuid::Uuid;

use super::{Store, StoreError, Write, now_ms, word};

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id, which sorts by time.
    pub audit_id: Uuid,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who: `user:ada`, `client:<id>`, `device:<id>` or `command line`.
    pub actor: String,
    /// What, for example `client.add`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What else one would ask.
    pub detail: String,
}

/// Adds an entry, in the transaction of what it speaks of.
pub async fn add(
    write: &mut Write,
    tenant: &TenantId,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit (audit_id, tenant_id, at_ms, actor, action, subject, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(Uuid::now_v7().to_string())
    .bind(tenant.as_str())
    .bind(now_ms())
    .bind(actor)
    .bind(action)
    .bind(subject)
    .bind(detail)
    .execute(&mut **write)
    .await?;
    tracing::info!(%tenant, actor, action, subject, detail, "audit");
    Ok(())
}

/// The tenant's entries before this one, newest first.
pub async fn list(
    store: &Store,
    tenant: &TenantId,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    // "z" sorts behind every id.
    let before = before.map_or_else(|| "z".to_owned(), |id| id.to_string());
    let rows = sqlx::query(
        "SELECT * FROM audit WHERE tenant_id = $1 AND audit_id < $2 ORDER BY audit_id DESC LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                audit_id: word(&row.get::<String, _>("audit_id"))?,
                at_ms: row.get("at_ms"),
                actor: row.get("actor"),
                action: row.get("action"),
                subject: row.get("subject"),
                detail: row.get("detail"),
            })
        })
        .collect()
}
