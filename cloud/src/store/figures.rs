//! Figures of the whole site for its operator: counts over all tenants, and nothing that tells one from another.

use sqlx::Row as _;

use super::{Store, StoreError};

/// An envelope is overdue so long after its time is over, in milliseconds.
const OVERDUE_MS: i64 = 24 * 3600 * 1000;

/// How many documents are in each state.
pub async fn documents(store: &Store) -> Result<Vec<(String, i64)>, StoreError> {
    by_state(store, "SELECT status AS state, COUNT(*) AS count FROM documents GROUP BY status").await
}

/// How many jobs are in each state.
pub async fn jobs(store: &Store) -> Result<Vec<(String, i64)>, StoreError> {
    by_state(store, "SELECT state, COUNT(*) AS count FROM jobs GROUP BY state").await
}

/// How many uploads are under way.
pub async fn uploads(store: &Store) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS count FROM uploads").fetch_one(store.reading()).await?;
    Ok(row.get("count"))
}

/// How many envelopes are open though their time is over by a day: their providers, or our way to them, need a person.
pub async fn overdue_envelopes(store: &Store) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS count FROM envelopes
         WHERE status IN ('created', 'sent', 'viewed') AND expires_ms < $1",
    )
    .bind(super::now_ms() - OVERDUE_MS)
    .fetch_one(store.reading())
    .await?;
    Ok(row.get("count"))
}

async fn by_state(store: &Store, sql: &'static str) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query(sql).fetch_all(store.reading()).await?;
    Ok(rows.iter().map(|row| (row.get("state"), row.get("count"))).collect())
}
