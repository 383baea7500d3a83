//! Figures of the whole site for its operator: counts over all tenants, and nothing that tells one from another.

use sqlx::Row as _;

use super::{Store, StoreError};

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

/// How many signers of the desk have had all their codes of today.
pub async fn codes_used_up(store: &Store, codes_a_day: u32) -> Result<i64, StoreError> {
    let row =
        sqlx::query("SELECT COUNT(*) AS count FROM desk_signers WHERE codes_day = $1 AND codes_sent >= $2")
            .bind(super::now_ms().div_euclid(24 * 3600 * 1000))
            .bind(i64::from(codes_a_day))
            .fetch_one(store.reading())
            .await?;
    Ok(row.get("count"))
}

/// To how many people of the desk a message is owed that could not be sent yet: invitations of those whose turn it is, and
/// copies of what all have signed, the last within `copies_for_ms`.
pub async fn mail_waiting(store: &Store, copies_for_ms: i64) -> Result<i64, StoreError> {
    let now_ms = super::now_ms();
    let row = sqlx::query(
        "SELECT COUNT(*) AS count FROM desk_signers s JOIN desk_envelopes e ON e.envelope_id = s.envelope_id
         WHERE s.invited_ms IS NULL AND s.signed_ms IS NULL AND e.void_reason IS NULL
           AND ((s.role <> 'cc' AND e.expires_ms > $1)
             OR (s.role = 'cc' AND EXISTS (SELECT 1 FROM desk_signers d
               WHERE d.envelope_id = s.envelope_id AND d.signed_ms >= $2)))
           AND NOT EXISTS (SELECT 1 FROM desk_signers o WHERE o.envelope_id = s.envelope_id
               AND (o.declined_ms IS NOT NULL
                 OR (o.role <> 'cc' AND o.signed_ms IS NULL AND (s.role = 'cc' OR o.turn < s.turn))))",
    )
    .bind(now_ms)
    .bind(now_ms - copies_for_ms)
    .fetch_one(store.reading())
    .await?;
    Ok(row.get("count"))
}

async fn by_state(store: &Store, sql: &'static str) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query(sql).fetch_all(store.reading()).await?;
    Ok(rows.iter().map(|row| (row.get("state"), row.get("count"))).collect())
}
