//! A tenant's feed: every place from 1 to the last that was given away has one event, and a document's events stand there
//! in the order of its chain.
//!
//! No hash covers an event's place. An event that is moved to a place that was never given away leaves a gap; two of one
//! document that change places break their order. Two of different documents, changed so that each document keeps its
//! order, are seen only if one of them was covered by the last checkpoint and the other was not.

use platen_model::TenantId;
use sqlx::{AnyConnection, Row as _};

use super::Link;
use crate::store::{DbRow, StoreError};

/// The most places that are named.
const NAMED: i64 = 100;

/// The places of a feed that should have an event and have none, and the events that have a place they cannot have.
pub(super) async fn check(reading: &mut AnyConnection, tenant: &TenantId) -> Result<Vec<String>, StoreError> {
    let given = sqlx::query("SELECT position FROM feeds WHERE tenant_id = $1")
        .bind(tenant.as_str())
        .fetch_optional(&mut *reading)
        .await?;
    let given: i64 = given.map_or(0, |row| row.get("position"));
    let row = sqlx::query(
        "SELECT COUNT(*) AS count, COALESCE(MIN(position), 1) AS first, COALESCE(MAX(position), 0) AS last
         FROM events WHERE tenant_id = $1",
    )
    .bind(tenant.as_str())
    .fetch_one(&mut *reading)
    .await?;
    let (count, first, last): (i64, i64, i64) = (row.get("count"), row.get("first"), row.get("last"));
    // No two events of a tenant have the same place: so many of them between these ends leave none free.
    if (count, first, last) == (given, 1, given) {
        return Ok(Vec::new());
    }
    let mut wrong = gaps(reading, tenant).await?;
    wrong.extend(strays(reading, tenant, given).await?);
    if last != given {
        wrong.push(format!("the feed of {tenant} gave away {given} places; its last event has place {last}"));
    }
    Ok(wrong)
}

/// Places right before an event that have none.
async fn gaps(reading: &mut AnyConnection, tenant: &TenantId) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT e.position FROM events e WHERE e.tenant_id = $1 AND e.position > 1 AND NOT EXISTS
           (SELECT 1 FROM events b WHERE b.tenant_id = e.tenant_id AND b.position = e.position - 1)
         ORDER BY e.position LIMIT $2",
    )
    .bind(tenant.as_str())
    .bind(NAMED)
    .fetch_all(reading)
    .await?;
    let gap = |place: i64| format!("the event at place {place} of the feed of {tenant} is missing");
    Ok(rows.iter().map(|row| gap(row.get::<i64, _>("position") - 1)).collect())
}

/// Events at places that were never given away.
async fn strays(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    given: i64,
) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT document_id, sequence, position FROM events
         WHERE tenant_id = $1 AND (position > $2 OR position < 1) ORDER BY position LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(given)
    .bind(NAMED)
    .fetch_all(reading)
    .await?;
    let stray = |row: &DbRow| {
        let (document, sequence): (String, i64) = (row.get("document_id"), row.get("sequence"));
        let place: i64 = row.get("position");
        format!(
            "event {sequence} of document {document} has place {place} of the feed, which was never given away"
        )
    };
    Ok(rows.iter().map(stray).collect())
}

/// The first event of a chain whose place in the feed is not behind that of the event before it, as a sentence.
pub(super) fn misplaced(chain: &[Link]) -> Option<String> {
    chain.windows(2).find_map(|pair| {
        let [before, after] = pair else { return None };
        (after.position <= before.position).then(|| {
            format!(
                "its event {} has place {} of the feed, and the event before it place {}",
                after.sequence, after.position, before.position
            )
        })
    })
}
