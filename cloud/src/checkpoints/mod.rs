//! Checkpoints: what all of a tenant's chains were at one place of its feed, signed.
//!
//! A document's chain shows that no event in it was changed, but not that its end, or a whole document, was cut
//! off. A checkpoint is the root of a Merkle tree over the heads of all chains; it names the checkpoint before it
//! and is signed with a key of the site (`checkpoint.pk8` in the folder of keys). Whoever holds an old checkpoint,
//! or a time-stamp of it ([`timestamps`]), can show that anything it covers was removed or replaced.
//!
//! A leaf is `<document id>:<hash of its last event>`; leaves are in the order of the ids.

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use platen_capture::pdf::signatures::stamp;
use platen_model::keys::{PublicKey, SigningKey};
use platen_model::{Digest, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row as _};

use crate::store::{Store, StoreError, from_ms, json, now_ms, to_json};

pub mod merkle;
pub mod timestamps;

use merkle::Tree;

/// The version of the format.
const VERSION: u32 = 1;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The version of this format.
    pub checkpoint_version: u32,
    /// The tenant.
    pub tenant_id: TenantId,
    /// Its number, from 1.
    pub number: i64,
    /// When it was made.
    pub at: Timestamp,
    /// The digest of the bytes of the one before it.
    pub previous: Option<Digest>,
    /// The last place of the feed that it covers.
    pub position: i64,
    /// The number of documents.
    pub documents: u64,
    /// The root over the heads of their chains.
    pub root: Digest,
}

/// A checkpoint with its proof, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What is signed.
    pub checkpoint: Checkpoint,
    /// Its exact bytes.
    pub bytes: String,
    /// The key that signed it.
    pub key: PublicKey,
    /// The signature over the bytes.
    pub signature: String,
}

/// Makes a checkpoint of a tenant if anything happened since the last one.
pub async fn make(store: &Store, tenant: &TenantId, key: &SigningKey) -> Result<Option<Kept>, StoreError> {
    let mut moment = store.moment().await?;
    let last = newest(&mut moment, tenant).await?;
    let Some(position) = feed_position(&mut moment, tenant).await? else { return Ok(None) };
    if last.as_ref().is_some_and(|last| last.checkpoint.position == position) {
        return Ok(None);
    }
    let tree = tree_at(&mut moment, tenant, position).await?;
    drop(moment);
    let checkpoint = Checkpoint {
        checkpoint_version: VERSION,
        tenant_id: tenant.clone(),
        number: last.as_ref().map_or(1, |last| last.checkpoint.number + 1),
        at: from_ms(now_ms()),
        previous: last.map(|last| Digest::of(last.bytes.as_bytes())),
        position,
        documents: tree.leaves(),
        root: tree.root(),
    };
    let bytes = to_json(&checkpoint);
    let signature = key.sign(bytes.as_bytes());
    let kept = Kept { checkpoint, bytes, key: key.public(), signature };
    Ok(keep(store, tenant, &kept).await?.then_some(kept))
}

/// Keeps a checkpoint; `false` where another node was first.
async fn keep(store: &Store, tenant: &TenantId, kept: &Kept) -> Result<bool, StoreError> {
    let mut write = store.begin().await?;
    let done = sqlx::query(
        "INSERT INTO checkpoints (tenant_id, number, bytes, public_key, signature) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(kept.checkpoint.number)
    .bind(&kept.bytes)
    .bind(&kept.key.0)
    .bind(&kept.signature)
    .execute(&mut *write)
    .await?;
    // Counted beside them, so that the last one cannot leave unseen.
    sqlx::query("UPDATE feeds SET checkpoints = $1 WHERE tenant_id = $2 AND checkpoints < $1")
        .bind(kept.checkpoint.number)
        .bind(tenant.as_str())
        .execute(&mut *write)
        .await?;
    write.commit().await?;
    Ok(done.rows_affected() == 1)
}

/// All checkpoints of a tenant that are there, oldest first, whatever is in them.
pub async fn all(
    reading: &mut AnyConnection,
    tenant: &TenantId,
) -> Result<Vec<(i64, Result<Kept, StoreError>)>, StoreError> {
    let rows = sqlx::query("SELECT * FROM checkpoints WHERE tenant_id = $1 ORDER BY number")
        .bind(tenant.as_str())
        .fetch_all(reading)
        .await?;
    Ok(rows.iter().map(|row| (row.get("number"), read(row))).collect())
}

async fn newest(reading: &mut AnyConnection, tenant: &TenantId) -> Result<Option<Kept>, StoreError> {
    let row = sqlx::query("SELECT * FROM checkpoints WHERE tenant_id = $1 ORDER BY number DESC LIMIT 1")
        .bind(tenant.as_str())
        .fetch_optional(reading)
        .await?;
    row.map(|row| read(&row)).transpose()
}

fn read(row: &sqlx::any::AnyRow) -> Result<Kept, StoreError> {
    let bytes: String = row.get("bytes");
    let (key, signature) = (PublicKey(row.get("public_key")), row.get("signature"));
    Ok(Kept { checkpoint: json(&bytes)?, bytes, key, signature })
}

async fn feed_position(reading: &mut AnyConnection, tenant: &TenantId) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query("SELECT position FROM feeds WHERE tenant_id = $1")
        .bind(tenant.as_str())
        .fetch_optional(reading)
        .await?;
    Ok(row.map(|row| row.get("position")))
}

/// The tree over the heads as they were at a place of the feed.
pub async fn tree_at(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    position: i64,
) -> Result<Tree, StoreError> {
    let mut rows = sqlx::query(
        "SELECT document_id, hash FROM events WHERE tenant_id = $1 AND position <= $2
         ORDER BY document_id, sequence",
    )
    .bind(tenant.as_str())
    .bind(position)
    .fetch(reading);
    let mut tree = Tree::default();
    let mut head: Option<(String, String)> = None;
    while let Some(row) = rows.try_next().await? {
        let next: (String, String) = (row.get("document_id"), row.get("hash"));
        if let Some((document, hash)) = head.replace(next)
            && head.as_ref().is_some_and(|(other, _)| *other != document)
        {
            tree.push(format!("{document}:{hash}").as_bytes());
        }
    }
    if let Some((document, hash)) = head {
        tree.push(format!("{document}:{hash}").as_bytes());
    }
    Ok(tree)
}

/// What is wrong with a tenant's checkpoints, each as a sentence. `key` is the site's own, where it is known.
pub async fn check(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    key: Option<&PublicKey>,
) -> Result<Vec<String>, StoreError> {
    let mut wrong = Vec::new();
    let mut before: Option<Kept> = None;
    let found = all(reading, tenant).await?;
    let count = found.len() as i64;
    for (index, (number, kept)) in (1i64..).zip(found) {
        let name = format!("checkpoint {number} of {tenant}");
        if number != index {
            wrong.push(format!("checkpoint {index} of {tenant} is missing"));
            break;
        }
        let token = timestamps::token_of(reading, tenant, number).await?;
        match kept.map_err(|error| error.to_string()).and_then(|kept| {
            fits(&kept, tenant, number, before.as_ref(), key)?;
            is_stamped(&kept, token.as_deref())?;
            Ok(kept)
        }) {
            Ok(kept) => before = Some(kept),
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                return Ok(wrong);
            }
        }
    }
    let counted = sqlx::query("SELECT checkpoints FROM feeds WHERE tenant_id = $1")
        .bind(tenant.as_str())
        .fetch_optional(&mut *reading)
        .await?;
    let counted: i64 = counted.map_or(0, |row| row.get("checkpoints"));
    if wrong.is_empty() && counted != count {
        wrong.push(format!("the feed of {tenant} counts {counted} checkpoints, {count} are there"));
    }
    if let Some(last) = before {
        let Checkpoint { number, position, root, documents, at, .. } = last.checkpoint;
        let tree = tree_at(reading, tenant, position).await?;
        if (tree.root(), tree.leaves()) != (root, documents) {
            wrong.push(format!(
                "checkpoint {number} of {tenant}, signed at {at}, covers {documents} documents up to place \
                 {position} of the feed; what is there now is something else: events were removed or replaced"
            ));
        }
    }
    Ok(wrong)
}

/// Whether a checkpoint's time-stamp, where it has one, is about it.
fn is_stamped(kept: &Kept, token: Option<&[u8]>) -> Result<(), String> {
    let Some(token) = token else { return Ok(()) };
    let stamp = stamp::read(token).map_err(|error| format!("its time-stamp: {error}"))?;
    if !stamp.is_about(Digest::of(kept.bytes.as_bytes())) {
        return Err("its time-stamp is about other bytes".into());
    }
    Ok(())
}

/// Whether a checkpoint is the one its place asks for, and signed.
fn fits(
    kept: &Kept,
    tenant: &TenantId,
    number: i64,
    before: Option<&Kept>,
    key: Option<&PublicKey>,
) -> Result<(), String> {
    if key.is_some_and(|key| *key != kept.key) {
        return Err("it is signed with another key than this site's".into());
    }
    kept.key
        .verify(kept.bytes.as_bytes(), &kept.signature)
        .map_err(|_| "its signature does not hold: it was changed".to_owned())?;
    let previous = before.map(|before| Digest::of(before.bytes.as_bytes()));
    if kept.checkpoint.tenant_id != *tenant || kept.checkpoint.number != number {
        return Err("it speaks of another tenant or place".into());
    }
    if kept.checkpoint.previous != previous {
        return Err("it does not follow on the one before it".into());
    }
    Ok(())
}
