//! What the pages ask the database beyond what the API asks. Every question names the tenant (INV-12).

use platen_model::api::{Document, Page};
use platen_model::event::Status;
use platen_model::{DocumentId, TenantId};
use sqlx::Row as _;

use super::list_page::Filter;
use crate::store::record::Record;
use crate::store::{Store, StoreError, json, word};

/// Documents on one page of the list.
const PAGE: usize = 50;

/// How many documents are in each state that has any, in the order of a document's life.
pub(super) async fn counts(store: &Store, tenant: &TenantId) -> Result<Vec<(Status, u64)>, StoreError> {
    let rows =
        sqlx::query("SELECT status, COUNT(*) AS count FROM documents WHERE tenant_id = $1 GROUP BY status")
            .bind(tenant.as_str())
            .fetch_all(store.reading())
            .await?;
    let mut counts = rows
        .iter()
        .map(|row| Ok((word(row.get("status"))?, row.get::<i64, _>("count").unsigned_abs())))
        .collect::<Result<Vec<(Status, u64)>, StoreError>>()?;
    counts.sort();
    Ok(counts)
}

/// The document types the tenant's documents have.
pub(super) async fn types(store: &Store, tenant: &TenantId) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT DISTINCT document_type FROM documents WHERE tenant_id = $1 ORDER BY document_type",
    )
    .bind(tenant.as_str())
    .fetch_all(store.reading())
    .await?;
    Ok(rows.iter().map(|row| row.get("document_type")).collect())
}

/// The document that waits longest for review.
pub(super) async fn oldest_in_review(
    store: &Store,
    tenant: &TenantId,
) -> Result<Option<Document>, StoreError> {
    let row = sqlx::query(
        "SELECT record FROM documents WHERE tenant_id = $1 AND status = 'in_review'
         ORDER BY document_id LIMIT 1",
    )
    .bind(tenant.as_str())
    .fetch_optional(store.reading())
    .await?;
    row.map(|row| Ok(json::<Record>(row.get("record"))?.document)).transpose()
}

/// The documents that fit a filter, newest first.
pub(super) async fn list(
    store: &Store,
    tenant: &TenantId,
    filter: &Filter,
) -> Result<Page<Document>, StoreError> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let after = filter.after.parse::<DocumentId>().ok().map(|id| id.to_string());
    let rows = sqlx::query(
        "SELECT record FROM documents WHERE tenant_id = $1 AND ($2 IS NULL OR status = $2)
         AND ($3 IS NULL OR document_type = $3) AND ($4 IS NULL OR document_id < $4)
         AND ($5 IS NULL OR LOWER(file_name) LIKE '%' || LOWER($5) || '%' ESCAPE '\\')
         ORDER BY document_id DESC LIMIT $6",
    )
    .bind(tenant.as_str())
    .bind(filter.status().map(Status::as_str))
    .bind(given(&filter.document_type))
    .bind(after)
    .bind(given(&literally(filter.q.trim())))
    .bind(PAGE as i64 + 1)
    .fetch_all(store.reading())
    .await?;
    let items = rows
        .iter()
        .take(PAGE)
        .map(|row| Ok(json::<Record>(row.get("record"))?.document))
        .collect::<Result<Vec<Document>, StoreError>>()?;
    let next = items.last().filter(|_| rows.len() > PAGE).map(|document| document.document_id.to_string());
    Ok(Page { items, next })
}

/// A text as `LIKE` finds it letter by letter.
fn literally(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}
