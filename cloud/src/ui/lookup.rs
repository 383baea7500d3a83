//! What the pages ask the database beyond what the API asks. Every question names the tenant (INV-12).

use platen_model::api::{Document, Page};
use platen_model::event::Status;
use platen_model::{DocumentType, TenantId};
use sqlx::Row as _;

use super::list_page::Filter;
use crate::store::record::Record;
use crate::store::search::Question;
use crate::store::{Store, StoreError, documents, json, word};

/// Documents on one page of the list.
const PAGE: u32 = 50;

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
    let typed = filter.q.trim_start();
    let filter = documents::Filter {
        status: filter.status(),
        document_type: Some(&filter.document_type)
            .filter(|name| !name.is_empty())
            .map(|name| DocumentType(name.clone())),
        search: (!typed.is_empty()).then(|| Question::of_typing(typed)),
        after: filter.after.parse().ok(),
        limit: PAGE,
    };
    documents::list(store, tenant, &filter).await
}
