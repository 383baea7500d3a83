//! What the pages ask the database beyond what the API asks. Every question names the tenant (INV-12).

use std::time::{Duration, Instant};

use platen_model::api::{Document, Page};
use platen_model::event::Status;
use platen_model::{DocumentId, DocumentType, TenantId};
use sqlx::Row as _;

use super::list_page::Filter;
use crate::store::record::Record;
use crate::store::search::Question;
use crate::store::{DbRow, Store, StoreError, documents, json, word};

/// Documents on one page of the list.
const PAGE: u32 = 50;

/// How long a person waits for a page to be filled.
const PATIENCE: Duration = Duration::from_millis(300);

/// Documents that are counted at most in one state: a count that reads a million rows keeps everybody waiting.
pub(super) const COUNTED: u64 = 1_000;
/// Documents of the review queue that are read at first, as few of them are not for whoever asks, and then at once.
const WAITING: [u32; 2] = [5, 50];
/// Documents of the review queue that are looked through for one page: each may ask the policy.
pub(super) const LOOKED_THROUGH: u32 = 500;
/// Document types that are listed at most.
const TYPES: i64 = 200;

/// How many documents are in a state, up to [`COUNTED`] and one.
pub(super) async fn count(store: &Store, tenant: &TenantId, status: Status) -> Result<u64, StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS count FROM
           (SELECT 1 FROM documents WHERE tenant_id = $1 AND status = $2 LIMIT $3) counted",
    )
    .bind(tenant.as_str())
    .bind(status.as_str())
    .bind(COUNTED as i64 + 1)
    .fetch_one(store.reading())
    .await?;
    Ok(row.get::<i64, _>("count").unsigned_abs())
}

/// The same for each state that has any, in the order of a document's life.
pub(super) async fn counts(store: &Store, tenant: &TenantId) -> Result<Vec<(Status, u64)>, StoreError> {
    let mut counts = Vec::new();
    for status in Status::ALL {
        counts.push((status, count(store, tenant, status).await?));
    }
    counts.retain(|(_, count)| *count > 0);
    Ok(counts)
}

/// The document types the tenant's documents have. From each the index leads to the next, so that the number of
/// documents does not matter.
pub(super) async fn types(store: &Store, tenant: &TenantId) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "WITH RECURSIVE kinds (kind) AS (
           SELECT MIN(document_type) FROM documents WHERE tenant_id = $1
           UNION ALL
           SELECT (SELECT MIN(d.document_type) FROM documents d WHERE d.tenant_id = $2 AND d.document_type > kind)
           FROM kinds WHERE kind IS NOT NULL)
         SELECT kind FROM kinds WHERE kind IS NOT NULL LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(tenant.as_str())
    .bind(TYPES)
    .fetch_all(store.reading())
    .await?;
    Ok(rows.iter().map(|row| row.get("kind")).collect())
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
    Ok(row.and_then(|row| readable(&row)).map(|record| record.document))
}

/// A record of a row. One that cannot be read closes no page on which others are shown: `check` tells of it.
fn readable(row: &DbRow) -> Option<Record> {
    let record = json(row.get("record"));
    record.inspect_err(|error| tracing::warn!(%error, "a document that waits for review cannot be read")).ok()
}

/// What comes next in the review queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This document.
    Found(DocumentId),
    /// Nothing.
    Nothing,
    /// Nothing down to this document: those behind it were not looked at.
    Further(DocumentId),
}

/// The document that waits longest for review behind a place in the queue, among those that are for a person. So many are
/// looked through at most.
pub(super) async fn next_in_review(
    store: &Store,
    tenant: &TenantId,
    mut after: Option<DocumentId>,
    at_most: u32,
    is_for_them: impl Fn(&Record) -> bool,
) -> Result<Next, StoreError> {
    let [mut wanted, then] = WAITING;
    let mut left = at_most;
    while left > 0 {
        wanted = wanted.min(left);
        let rows = sqlx::query(
            "SELECT document_id, record FROM documents WHERE tenant_id = $1 AND status = 'in_review' AND document_id > $2
             ORDER BY document_id LIMIT $3",
        )
        .bind(tenant.as_str())
        .bind(after.map(|after| after.to_string()).unwrap_or_default())
        .bind(i64::from(wanted))
        .fetch_all(store.reading())
        .await?;
        for row in &rows {
            let document = word(row.get("document_id"))?;
            if readable(row).is_some_and(|record| is_for_them(&record)) {
                return Ok(Next::Found(document));
            }
            after = Some(document);
        }
        if rows.len() < wanted as usize {
            return Ok(Next::Nothing);
        }
        left -= wanted;
        wanted = then;
    }
    Ok(after.map_or(Next::Nothing, Next::Further))
}

/// The documents that fit a filter, newest first. A page of a search that is hard may be short: then more are read, for
/// [`PATIENCE`].
pub(super) async fn list(
    store: &Store,
    tenant: &TenantId,
    filter: &Filter,
) -> Result<Page<Document>, StoreError> {
    let typed = filter.q.trim_start();
    let mut filter = documents::Filter {
        status: filter.status(),
        document_type: Some(&filter.document_type)
            .filter(|name| !name.is_empty())
            .map(|name| DocumentType(name.clone())),
        search: (!typed.is_empty()).then(|| Question::of_typing(typed)),
        after: filter.after.parse().ok(),
        limit: PAGE,
    };
    let until = Instant::now() + PATIENCE;
    let mut together = Page { items: Vec::new(), next: None };
    loop {
        let page = documents::list(store, tenant, &filter).await?;
        let has_time = Instant::now() < until;
        match add(&mut together, &mut filter, page) {
            true if has_time => {}
            _ => return Ok(together),
        }
    }
}

/// Adds a page to those before, and narrows the filter to what follows: whether anything is still wanted and there.
fn add(together: &mut Page<Document>, filter: &mut documents::Filter, page: Page<Document>) -> bool {
    filter.limit = filter.limit.saturating_sub(page.items.len() as u32);
    filter.after = page.next.as_deref().and_then(|next| next.parse().ok());
    together.items.extend(page.items);
    together.next = page.next;
    filter.limit > 0 && filter.after.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn short_pages_of_a_hard_search_become_one_that_goes_on_where_the_last_of_them_does() {
        // How many documents are on each page, and which limits are asked for one after the other.
        let check = |pages: &[usize], limits: &[u32], has_next: bool| {
            let mut filter = documents::Filter { limit: 5, ..documents::Filter::default() };
            let (mut together, mut asked) = (Page { items: Vec::new(), next: None }, Vec::new());
            for (index, number) in pages.iter().enumerate() {
                asked.push(filter.limit);
                let next = (index + 1 < pages.len()).then(|| DocumentId::new().to_string());
                let page = Page { items: vec![record("nda", &[]).document; *number], next: next.clone() };
                let goes_on = add(&mut together, &mut filter, page);
                assert_eq!(together.next, next, "{pages:?}");
                if !goes_on {
                    break;
                }
                assert_eq!(filter.after.map(|after| after.to_string()), next, "{pages:?}");
            }
            assert_eq!((asked.as_slice(), together.next.is_some()), (limits, has_next), "{pages:?}");
        };
        check(&[5, 1], &[5], true);
        check(&[0, 2, 0, 3, 1], &[5, 5, 3, 3], true);
        check(&[0, 2, 0], &[5, 5, 3], false);
        check(&[5], &[5], false);
    }
}
