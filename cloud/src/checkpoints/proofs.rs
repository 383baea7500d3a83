//! That a document is covered by a checkpoint: the way from its chain to the signed root.
//!
//! A package of evidence shows what happened to a document; this shows, without anything of other documents, that the
//! tenant's signed (and time-stamped) statement of that day holds the very chain. The tree is walked once for each proof,
//! in memory that grows with the logarithm of the number of documents, one proof at a time.

use platen_model::event::{Event, EventBody};
use platen_model::{Digest, DocumentId, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row as _};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::merkle::AuditPath;
use super::published::Published;
use super::{Checkpoint, leaf, newest, numbered, timestamps, tree_at};
use crate::store::{Store, StoreError, json};

/// Walking a large tree keeps a processor busy: so many walks at once.
static TURNS: Semaphore = Semaphore::const_new(1);

/// That a checkpoint covers a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InclusionProof {
    /// The document.
    pub document_id: DocumentId,
    /// The number of its last event that the checkpoint covers.
    pub sequence: u64,
    /// The hash of that event. The tree's leaf is `<document id>:<hash>`.
    pub hash: Digest,
    /// The exact texts of its events from the newest `archived` on, up to that one: an evidence package holds those before.
    pub continued: Vec<String>,
    /// The way from the leaf to the checkpoint's root (RFC 9162, 2.1.3).
    #[serde(flatten)]
    pub path: AuditPath,
    /// The checkpoint.
    pub checkpoint: Published,
}

impl InclusionProof {
    /// The checkpoint's statement, if its signature holds and it covers what the proof says.
    ///
    /// # Errors
    ///
    /// What does not hold, as a sentence.
    pub fn statement(&self) -> Result<Checkpoint, String> {
        let statement = self.checkpoint.statement()?;
        if self.path.tree_size != statement.documents {
            return Err(format!(
                "the proof is about {} documents, the checkpoint about {}",
                self.path.tree_size, statement.documents
            ));
        }
        let root = self.path.root_of(leaf(&self.document_id.to_string(), &self.hash.to_string()).as_bytes());
        match root == Some(statement.root) {
            true => Ok(statement),
            false => Err("the path does not lead to the checkpoint's root".into()),
        }
    }
}

/// The proof that a checkpoint covers a document: the one of this number, or the newest; `None` where there is no such
/// checkpoint, or it was made before the document came.
///
/// # Errors
///
/// The database failed, or what is in it is not what was signed.
pub async fn prove(
    store: &Store,
    tenant: &TenantId,
    document: DocumentId,
    number: Option<i64>,
) -> Result<Option<InclusionProof>, StoreError> {
    let _turn = TURNS.acquire().await.map_err(|closed| StoreError::Damaged(closed.to_string()))?;
    let mut moment = store.moment().await?;
    let kept = match number {
        Some(number) => numbered(&mut moment, tenant, number).await?,
        None => newest(&mut moment, tenant).await?,
    };
    let Some(kept) = kept else { return Ok(None) };
    let position = kept.checkpoint.position;
    let Some((sequence, hash)) = head_at(&mut moment, tenant, document, position).await? else {
        return Ok(None);
    };
    let followed = leaf(&document.to_string(), &hash);
    let tree = tree_at(&mut moment, tenant, position, Some(&followed)).await?;
    let damaged = || {
        let number = kept.checkpoint.number;
        StoreError::Damaged(format!(
            "checkpoint {number} of {tenant} covers something else than what is there now"
        ))
    };
    let path = tree.path().filter(|_| tree.root() == kept.checkpoint.root).ok_or_else(damaged)?;
    let token = timestamps::token_of(&mut moment, tenant, kept.checkpoint.number).await?;
    let continued = continued(&mut moment, tenant, document, sequence).await?;
    let hash = hash.parse().map_err(|_| damaged())?;
    let checkpoint = (kept, token).into();
    Ok(Some(InclusionProof { document_id: document, sequence, hash, continued, path, checkpoint }))
}

/// The texts of a document's events from the newest `archived` on, up to this one.
async fn continued(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    document: DocumentId,
    last: u64,
) -> Result<Vec<String>, StoreError> {
    let rows = sqlx::query(
        "SELECT bytes FROM events WHERE tenant_id = $1 AND document_id = $2 AND sequence <= $3 ORDER BY sequence DESC",
    )
    .bind(tenant.as_str())
    .bind(document.to_string())
    .bind(last.cast_signed())
    .fetch_all(reading)
    .await?;
    let mut texts = Vec::new();
    for row in &rows {
        let text: String = row.get("bytes");
        let event: Event = json(&text)?;
        texts.push(text);
        if matches!(event.body, EventBody::Archived { .. }) {
            texts.reverse();
            return Ok(texts);
        }
    }
    Ok(Vec::new())
}

/// Number and hash of a document's last event up to a place of the feed.
async fn head_at(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    document: DocumentId,
    position: i64,
) -> Result<Option<(u64, String)>, StoreError> {
    let row = sqlx::query(
        "SELECT sequence, hash FROM events WHERE tenant_id = $1 AND document_id = $2 AND position <= $3
         ORDER BY sequence DESC LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(document.to_string())
    .bind(position)
    .fetch_optional(reading)
    .await?;
    Ok(row.map(|row| (row.get::<i64, _>("sequence").unsigned_abs(), row.get("hash"))))
}
