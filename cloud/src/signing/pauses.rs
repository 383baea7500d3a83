//! Pauses: an operator stops a route, or an account, and lets it go on later. Documents wait where they are.

use platen_model::TenantId;
use sqlx::Row as _;

use crate::jobs::kinds;
use crate::store::{Store, StoreError, audit, jobs, now_ms};

/// What can be paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A route of the policy, by its name.
    Route,
    /// An account at a provider, by its name in policies.
    Account,
}

impl Kind {
    /// The word in addresses and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Account => "account",
        }
    }
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Of what.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Why, in the operator's words.
    pub reason: String,
    /// Who paused it.
    pub by: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: i64,
}

/// Pauses a route or an account. One that is paused stays so, for the first reason given.
pub async fn pause(
    store: &Store,
    tenant: &TenantId,
    kind: Kind,
    name: &str,
    reason: &str,
    by: &str,
) -> Result<(), StoreError> {
    let mut write = store.begin().await?;
    sqlx::query(
        "INSERT INTO signing_pauses (tenant_id, kind, name, reason, by_actor, since_ms)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, kind, name) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(kind.as_str())
    .bind(name)
    .bind(reason)
    .bind(by)
    .bind(now_ms())
    .execute(&mut *write)
    .await?;
    audit::add(&mut write, tenant, by, "signing.pause", &format!("{} {name}", kind.as_str()), reason).await?;
    Ok(write.commit().await?)
}

/// Lets a route or an account go on; its documents are looked at now.
pub async fn resume(
    store: &Store,
    tenant: &TenantId,
    kind: Kind,
    name: &str,
    by: &str,
) -> Result<(), StoreError> {
    let mut write = store.begin().await?;
    sqlx::query("DELETE FROM signing_pauses WHERE tenant_id = $1 AND kind = $2 AND name = $3")
        .bind(tenant.as_str())
        .bind(kind.as_str())
        .bind(name)
        .execute(&mut *write)
        .await?;
    jobs::hurry(&mut write, tenant, kinds::CREATE_ENVELOPE).await?;
    audit::add(&mut write, tenant, by, "signing.resume", &format!("{} {name}", kind.as_str()), "").await?;
    Ok(write.commit().await?)
}

/// The tenant's pauses, the oldest first.
pub async fn list(store: &Store, tenant: &TenantId) -> Result<Vec<Pause>, StoreError> {
    let rows = sqlx::query("SELECT * FROM signing_pauses WHERE tenant_id = $1 ORDER BY since_ms, kind, name")
        .bind(tenant.as_str())
        .fetch_all(store.reading())
        .await?;
    let pause = |row: &sqlx::any::AnyRow| Pause {
        kind: row.get("kind"),
        name: row.get("name"),
        reason: row.get("reason"),
        by: row.get("by_actor"),
        since_ms: row.get("since_ms"),
    };
    Ok(rows.iter().map(pause).collect())
}

/// Why nothing is sent on this route or through this account now; `None` where it is.
pub(super) async fn why(
    store: &Store,
    tenant: &TenantId,
    route: &str,
    account: &str,
) -> Result<Option<String>, StoreError> {
    let row: Option<(String, String, String, String)> = sqlx::query_as(
        "SELECT kind, name, by_actor, reason FROM signing_pauses
         WHERE tenant_id = $1 AND ((kind = 'route' AND name = $2) OR (kind = 'account' AND name = $3))
         ORDER BY since_ms LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(route)
    .bind(account)
    .fetch_optional(store.reading())
    .await?;
    Ok(row.map(|(kind, name, by, reason)| format!("{kind} \"{name}\" was paused by {by}: {reason}")))
}
