//! Events: appended to a document's hash chain, read, and never changed (INV-6).
//!
//! [`append`] is the only way a document changes: state machine, chain, projection and the job that follows,
//! all in the caller's transaction. Either all of it is there after a crash, or nothing.

use jiff::Timestamp;
use platen_model::event::{Actor, Event, EventBody, Status};
use platen_model::{Digest, DocumentId, DocumentManifest, TenantId};
use sqlx::Row as _;

use super::record::Record;
use super::{Store, StoreError, Write, blobs, documents, envelopes, examples, jobs, search, webhooks};
use crate::machine::{self, Refused};

/// Why an event was not appended. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The state machine says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The tenant has no such document.
    #[error("no document {0}")]
    NoDocument(DocumentId),
    /// A part is not there, or not any more.
    #[error("the tenant has no blob {0}")]
    NoBlob(Digest),
    /// The event cannot be written so that it can be read: a number in it is none that JSON has.
    #[error("the event `{0}` holds what cannot be read back once it is written")]
    Unreadable(&'static str),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for AppendError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An event as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its place in the feed of its tenant, from 1 without gaps.
    pub position: i64,
    /// The digest of its bytes, as stored.
    pub hash: String,
    /// Its exact bytes.
    pub bytes: String,
}

/// Appends an event to a document's chain, and answers the document as it is then.
///
/// The caller commits. Proposing the same event twice is refused by the state machine the second time.
pub async fn append(
    write: &mut Write,
    tenant: &TenantId,
    document: DocumentId,
    actor: Actor,
    body: EventBody,
) -> Result<Record, AppendError> {
    write.hold(document).await?;
    let before =
        documents::find(&mut **write, tenant, document).await?.ok_or(AppendError::NoDocument(document))?;
    let mut record = before.clone();
    link(write, tenant, &mut record, actor, body).await?;
    documents::update(write, tenant, &record).await?;
    search::update_names(write, &before, &record).await?;
    Ok(record)
}

/// Appends the first event of a document: its row, its chain and its first job. The originals in `awaiting` may be
/// missing; no other part.
pub async fn receive(
    write: &mut Write,
    tenant: &TenantId,
    manifest: &DocumentManifest,
    manifest_sha256: Digest,
    awaiting: Vec<Digest>,
    actor: Actor,
) -> Result<Record, AppendError> {
    // From here to the commit no part can become garbage.
    write.hold(blobs::lock_of(tenant)).await?;
    let here = manifest.parts.iter().map(|part| part.sha256).filter(|sha256| !awaiting.contains(sha256));
    for sha256 in here.chain([manifest_sha256]) {
        if blobs::visible(&mut **write, tenant, sha256).await?.is_none() {
            return Err(AppendError::NoBlob(sha256));
        }
    }
    let mut record = Record::of_manifest(tenant, manifest, manifest_sha256);
    let body = EventBody::Received { manifest_sha256, parts: manifest.parts.clone(), awaiting };
    link(write, tenant, &mut record, actor, body).await?;
    documents::insert(write, tenant, &record).await?;
    Ok(record)
}

async fn link(
    write: &mut Write,
    tenant: &TenantId,
    record: &mut Record,
    actor: Actor,
    body: EventBody,
) -> Result<(), AppendError> {
    let state = machine::apply(record.state(), &body)?;
    let event = Event {
        document_id: record.document.document_id,
        sequence: record.document.version + 1,
        // Whole milliseconds: what lists and columns can hold, so that nothing is rounded differently later.
        at: super::from_ms(Timestamp::now().as_millisecond()),
        actor,
        body,
        previous: record.head,
    };
    let bytes = event.to_bytes();
    // An event is never changed (INV-6): one that cannot be read would close its document, every list it is in and the
    // way back from the events for ever.
    if !serde_json::from_slice::<Event>(&bytes).is_ok_and(|read| read == event) {
        return Err(AppendError::Unreadable(event.body.name()));
    }
    let hash = Digest::of(&bytes);
    let position = next_position(write, tenant).await?;
    sqlx::query(
        "INSERT INTO events (document_id, sequence, tenant_id, position, hash, bytes)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(event.document_id.to_string())
    .bind(event.sequence as i64)
    .bind(tenant.as_str())
    .bind(position)
    .bind(hash.to_string())
    .bind(String::from_utf8_lossy(&bytes).into_owned())
    .execute(&mut **write)
    .await?;
    record.absorb(&event, state, hash);
    blobs::refer(write, tenant, event.document_id, &blobs::named_in(&event.body)).await?;
    envelopes::project(write, tenant, record, &event).await?;
    examples::project(write, tenant, record, &event).await?;
    webhooks::announce(write, tenant, position, event.body.name()).await?;
    if let Some(kind) = machine::wanted(state) {
        jobs::enqueue(write, tenant, jobs::New::of_document(kind, event.document_id)).await?;
    }
    tracing::info!(
        document = %event.document_id,
        correlation_id = %record.document.correlation_id,
        event = event.body.name(),
        status = %state.status,
        "event"
    );
    Ok(())
}

/// The next place in the tenant's feed. From here to the commit the tenant's other writers wait: otherwise a
/// later place could be seen before an earlier one, and a reader that goes on after it would miss an event.
async fn next_position(write: &mut Write, tenant: &TenantId) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "INSERT INTO feeds (tenant_id, position) VALUES ($1, 1)
         ON CONFLICT (tenant_id) DO UPDATE SET position = feeds.position + 1 RETURNING position",
    )
    .bind(tenant.as_str())
    .fetch_one(&mut **write)
    .await?;
    Ok(row.get("position"))
}

/// A document's chain, oldest first.
pub async fn of_document(
    store: &Store,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Vec<Stored>, StoreError> {
    let rows = sqlx::query(
        "SELECT position, hash, bytes FROM events WHERE tenant_id = $1 AND document_id = $2 ORDER BY sequence",
    )
    .bind(tenant.as_str())
    .bind(document.to_string())
    .fetch_all(store.reading())
    .await?;
    Ok(rows.iter().map(stored).collect())
}

/// The event at a place of the tenant's feed.
pub async fn at(store: &Store, tenant: &TenantId, position: i64) -> Result<Option<Stored>, StoreError> {
    Ok(feed(store, tenant, position - 1, 1).await?.into_iter().find(|event| event.position == position))
}

/// The tenant's feed after a position, oldest first, at most `limit`.
pub async fn feed(
    store: &Store,
    tenant: &TenantId,
    after: i64,
    limit: u32,
) -> Result<Vec<Stored>, StoreError> {
    let rows = sqlx::query(
        "SELECT position, hash, bytes FROM events WHERE tenant_id = $1 AND position > $2 ORDER BY position LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    Ok(rows.iter().map(stored).collect())
}

fn stored(row: &sqlx::any::AnyRow) -> Stored {
    Stored { position: row.get("position"), hash: row.get("hash"), bytes: row.get("bytes") }
}

/// Quarantines a document if it is still on its way; answers whether it was.
pub async fn quarantine(
    write: &mut Write,
    tenant: &TenantId,
    document: DocumentId,
    reason: String,
    help: String,
) -> Result<bool, AppendError> {
    match append(
        write,
        tenant,
        document,
        Actor::System,
        EventBody::Quarantined { reason, help, returned: None },
    )
    .await
    {
        Ok(record) => Ok(record.document.status == Status::Quarantined),
        Err(AppendError::Refused(_) | AppendError::NoDocument(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
