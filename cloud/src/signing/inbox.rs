//! Callbacks: checked, kept as they came, answered at once. What they say is not believed; it is asked about.
//!
//! A callback that cannot be proved to be the provider's is refused and not kept, so that nobody can fill the
//! disk. One that is genuine but of a kind we do not know is kept for a person to see. A repetition is counted
//! and changes nothing.

use platen_model::{DocumentId, TenantId};
use sqlx::AnyPool;

use super::courier::LedgerError;
use super::provider::{Callback, Forged, Hint, Provider};

/// The largest callback that is read, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Headers that are never kept.
const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What became of a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// New: ask the provider about this document now.
    Hint(DocumentId),
    /// Kept, but it concerns no envelope of ours, or is of a kind we do not know.
    Kept,
    /// It came before.
    Repeated,
}

/// Why a callback was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is not believed.
    #[error("the callback is not believed: {0}")]
    Forged(#[from] Forged),
    /// Our own failure: the provider should send it again.
    #[error("the callback could not be kept: {0}")]
    Books(#[from] LedgerError),
}

/// Checks and keeps a callback. It is durable once this answers.
pub async fn receive(
    database: &AnyPool,
    provider: &dyn Provider,
    tenant: &TenantId,
    callback: &Callback<'_>,
) -> Result<Received, Refused> {
    let hint = provider.verify(tenant, callback)?;
    let is_new = keep(database, provider, tenant, callback, &hint).await.map_err(broken)?;
    if !is_new {
        return Ok(Received::Repeated);
    }
    let Some(reference) = hint.reference else { return Ok(Received::Kept) };
    let document: Option<(String,)> = sqlx::query_as(
        "SELECT document_id FROM envelopes WHERE tenant_id = $1 AND provider = $2 AND provider_reference = $3",
    )
    .bind(tenant.as_str())
    .bind(provider.name())
    .bind(&reference.0)
    .fetch_optional(database)
    .await
    .map_err(broken)?;
    match document.and_then(|(id,)| id.parse().ok()) {
        Some(document) => Ok(Received::Hint(document)),
        // Perhaps it came before our own call was answered. The timer will ask.
        None => Ok(Received::Kept),
    }
}

async fn keep(
    database: &AnyPool,
    provider: &dyn Provider,
    tenant: &TenantId,
    callback: &Callback<'_>,
    hint: &Hint,
) -> sqlx::Result<bool> {
    let is_public = |(name, _): &&(String, String)| {
        !SECRET_HEADERS.contains(&name.as_str()) && !provider.secret_headers().contains(&name.as_str())
    };
    let headers: Vec<&(String, String)> = callback.headers.iter().filter(is_public).collect();
    let headers = serde_json::to_string(&headers).unwrap_or_default();
    let (repeats,): (i64,) = sqlx::query_as(
        "INSERT INTO callbacks
         (tenant_id, provider, callback_id, kind, reference, received_ms, headers, query, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (tenant_id, provider, callback_id) DO UPDATE SET repeats = callbacks.repeats + 1
         RETURNING repeats",
    )
    .bind(tenant.as_str())
    .bind(provider.name())
    .bind(&hint.id)
    .bind(&hint.kind)
    .bind(hint.reference.as_ref().map(|reference| reference.0.as_str()))
    .bind(callback.received_at.as_millisecond())
    .bind(headers)
    .bind(callback.query)
    .bind(provider.redact(callback.body).as_ref())
    .fetch_one(database)
    .await?;
    Ok(repeats == 0)
}

fn broken(error: sqlx::Error) -> LedgerError {
    LedgerError(error.to_string())
}
