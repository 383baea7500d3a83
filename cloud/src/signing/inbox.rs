//! Callbacks: checked, kept as they came, answered at once. What they say is not believed; it is asked about.
//!
//! A callback that cannot be proved to be the provider's is refused and not kept, so that nobody can fill the
//! disk. One that is genuine but of a kind we do not know is kept for a person to see. A repetition is counted
//! and changes nothing.

use jiff::Timestamp;
use platen_model::{DocumentId, TenantId};
use sqlx::Row as _;

use super::books::failed;
use super::courier::LedgerError;
use super::provider::{Callback, Forged, Hint, Provider};
use crate::jobs::kinds;
use crate::store::{Store, StoreError, Write, from_ms, jobs};

/// The largest callback that is read, in bytes.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Headers that are never kept.
const SECRET_HEADERS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What became of a callback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// New: the provider will be asked about this document now.
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

/// A callback that was kept and led to nothing: of a kind we do not know, or about no envelope of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// The account it came from.
    pub provider: String,
    /// The provider's name of the event.
    pub kind: String,
    /// The provider's id of the envelope, where it names one.
    pub reference: Option<String>,
    /// When it came first.
    pub received_at: Timestamp,
    /// How often it came again.
    pub repeats: u64,
}

/// The tenant's callbacks that led to nothing since `since`, newest first; at most `limit` of them.
pub async fn idle(
    store: &Store,
    tenant: &TenantId,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<Idle>, StoreError> {
    let rows = sqlx::query(
        "SELECT c.provider, c.kind, c.reference, c.received_ms, c.repeats FROM callbacks c
         WHERE c.tenant_id = $1 AND c.received_ms >= $2 AND (c.reference IS NULL OR NOT EXISTS
           (SELECT 1 FROM envelopes e WHERE e.tenant_id = c.tenant_id AND e.provider = c.provider
              AND e.provider_reference = c.reference))
         ORDER BY c.received_ms DESC, c.callback_id LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(since.as_millisecond())
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    let idle = |row: &sqlx::any::AnyRow| Idle {
        provider: row.get("provider"),
        kind: row.get("kind"),
        reference: row.get("reference"),
        received_at: from_ms(row.get("received_ms")),
        repeats: u64::try_from(row.get::<i64, _>("repeats")).unwrap_or(0),
    };
    Ok(rows.iter().map(idle).collect())
}

/// Checks and keeps a callback. It is durable once this answers, and so is the job that asks the provider.
pub async fn receive(
    store: &Store,
    provider: &dyn Provider,
    tenant: &TenantId,
    callback: &Callback<'_>,
) -> Result<Received, Refused> {
    let hint = provider.verify(tenant, callback)?;
    let mut write = store.begin().await.map_err(failed)?;
    let received = take(&mut write, provider, tenant, callback, hint).await.map_err(failed)?;
    write.commit().await.map_err(failed)?;
    Ok(received)
}

/// Keeps a callback and asks for the job that follows from it, in one transaction: a crash leaves both or neither, and
/// what is sent again after it is not taken for a repetition.
pub(super) async fn take(
    write: &mut Write,
    provider: &dyn Provider,
    tenant: &TenantId,
    callback: &Callback<'_>,
    hint: Hint,
) -> Result<Received, StoreError> {
    if !keep(write, provider, tenant, callback, &hint).await? {
        return Ok(Received::Repeated);
    }
    let Some(reference) = hint.reference else { return Ok(Received::Kept) };
    let document: Option<(String,)> = sqlx::query_as(
        "SELECT document_id FROM envelopes WHERE tenant_id = $1 AND provider = $2 AND provider_reference = $3",
    )
    .bind(tenant.as_str())
    .bind(provider.name())
    .bind(&reference.0)
    .fetch_optional(&mut **write)
    .await?;
    match document.and_then(|(id,)| id.parse().ok()) {
        Some(document) => {
            jobs::enqueue(write, tenant, jobs::New::of_document(kinds::FOLLOW_ENVELOPE, document)).await?;
            Ok(Received::Hint(document))
        }
        // Perhaps it came before our own call was answered. The timer will ask.
        None => Ok(Received::Kept),
    }
}

async fn keep(
    write: &mut Write,
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
    .fetch_one(&mut **write)
    .await?;
    Ok(repeats == 0)
}
