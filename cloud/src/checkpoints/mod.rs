//! Checkpoints: what all of a tenant's chains were at one place of its feed, signed.
//!
//! A document's chain shows that no event in it was changed, but not that its end, or a whole document, was cut
//! off. A checkpoint is the root of a Merkle tree over the heads of all chains; it names the checkpoint before it
//! and is signed with a key of the site (`checkpoint.pk8` in the folder of keys). Whoever holds an old checkpoint,
//! or a time-stamp of it ([`timestamps`]), can show that anything it covers was removed or replaced.
//!
//! A leaf is `<document id>:<hash of its last event>`; leaves are in the order of the ids. That one of them is in the tree
//! is shown to others by its path ([`proofs`]).

use futures_util::TryStreamExt as _;
use jiff::Timestamp;
use platen_capture::pdf::signatures::stamp;
use platen_model::keys::{PublicKey, SigningKey};
use platen_model::{Digest, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row as _};

use crate::store::{Store, StoreError, audit, from_ms, json, now_ms, to_json};

pub mod merkle;
pub mod proofs;
pub mod published;
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
    /// The end of the tenant's audit, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<audit::Head>,
    /// What the tenant's audit held before its entries were numbered. It never changes; checkpoints from before they said it
    /// do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unnumbered: Option<audit::Head>,
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

/// As [`make`], unless another node is making one at this moment.
pub async fn make_alone(
    store: &Store,
    tenant: &TenantId,
    key: &SigningKey,
) -> Result<Option<Kept>, StoreError> {
    match store.alone(format!("checkpoint of {tenant}")).await? {
        Some(_turn) => make(store, tenant, key).await,
        None => Ok(None),
    }
}

/// Makes a checkpoint of a tenant if anything happened since the last one.
pub async fn make(store: &Store, tenant: &TenantId, key: &SigningKey) -> Result<Option<Kept>, StoreError> {
    let mut moment = store.moment().await?;
    let last = newest(&mut moment, tenant).await?;
    let Some(position) = feed_position(&mut moment, tenant).await? else { return Ok(None) };
    if last.as_ref().is_some_and(|last| last.checkpoint.position == position) {
        return Ok(None);
    }
    let tree = tree_of_rows(&mut moment, tenant).await?;
    let audit = audit::head(&mut moment, tenant).await?;
    let unnumbered = audit::unnumbered(&mut moment, tenant).await?;
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
        audit,
        unnumbered: Some(unnumbered),
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

/// The tenant's checkpoints after this one, oldest first, each with its time-stamp where it has one.
pub async fn after(
    store: &Store,
    tenant: &TenantId,
    number: i64,
    limit: u32,
) -> Result<Vec<(Kept, Option<Vec<u8>>)>, StoreError> {
    let rows = sqlx::query(
        "SELECT c.*, s.token FROM checkpoints c
         LEFT JOIN checkpoint_stamps s ON s.tenant_id = c.tenant_id AND s.number = c.number
         WHERE c.tenant_id = $1 AND c.number > $2 ORDER BY c.number LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(number)
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    rows.iter().map(|row| Ok((read(row)?, row.get("token")))).collect()
}

/// The checkpoint of this number.
async fn numbered(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    number: i64,
) -> Result<Option<Kept>, StoreError> {
    let row = sqlx::query("SELECT * FROM checkpoints WHERE tenant_id = $1 AND number = $2")
        .bind(tenant.as_str())
        .bind(number)
        .fetch_optional(reading)
        .await?;
    row.map(|row| read(&row)).transpose()
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

/// The tree over the heads as they are now, by the rows of the documents: one row each, however many events there are.
/// [`check`] holds it against the events.
async fn tree_of_rows(reading: &mut AnyConnection, tenant: &TenantId) -> Result<Tree, StoreError> {
    let mut rows = sqlx::query(HEADS).bind(tenant.as_str()).fetch(reading);
    let mut tree = Tree::default();
    while let Some(row) = rows.try_next().await? {
        let (document, head): (String, String) = (row.get("document_id"), row.get("head"));
        tree.push(leaf(&document, &head).as_bytes());
    }
    Ok(tree)
}

/// The leaf of a document whose last event has this hash.
fn leaf(document: &str, hash: &str) -> String {
    format!("{document}:{hash}")
}

pub(crate) const HEADS: &str =
    "SELECT document_id, head FROM documents WHERE tenant_id = $1 ORDER BY document_id";

/// The tree over the heads as they were at a place of the feed, with the path of one leaf if it is asked for.
pub async fn tree_at(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    position: i64,
    followed: Option<&str>,
) -> Result<Tree, StoreError> {
    let mut rows = sqlx::query(
        "SELECT document_id, hash FROM events WHERE tenant_id = $1 AND position <= $2
         ORDER BY document_id, sequence",
    )
    .bind(tenant.as_str())
    .bind(position)
    .fetch(reading);
    let mut tree = Tree::default();
    let mut push = |document: &str, hash: &str| {
        let leaf = leaf(document, hash);
        if followed == Some(leaf.as_str()) {
            tree.push_followed(leaf.as_bytes());
        } else {
            tree.push(leaf.as_bytes());
        }
    };
    let mut head: Option<(String, String)> = None;
    while let Some(row) = rows.try_next().await? {
        let next: (String, String) = (row.get("document_id"), row.get("hash"));
        if let Some((document, hash)) = head.replace(next)
            && head.as_ref().is_some_and(|(other, _)| *other != document)
        {
            push(&document, &hash);
        }
    }
    if let Some((document, hash)) = head {
        push(&document, &hash);
    }
    Ok(tree)
}

/// What is wrong with a tenant's checkpoints, each as a sentence. `keys` are the site's own, now and before, where they are
/// known.
pub async fn check<'k>(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    keys: impl IntoIterator<Item = &'k PublicKey>,
) -> Result<Vec<String>, StoreError> {
    let keys: Vec<&PublicKey> = keys.into_iter().collect();
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
            fits(&kept, tenant, number, before.as_ref(), &keys)?;
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
    let counted = sqlx::query("SELECT checkpoints, stamps FROM feeds WHERE tenant_id = $1")
        .bind(tenant.as_str())
        .fetch_optional(&mut *reading)
        .await?;
    let (counted, stamps): (i64, i64) =
        counted.map_or((0, 0), |row| (row.get("checkpoints"), row.get("stamps")));
    if wrong.is_empty() && counted != count {
        wrong.push(format!("the feed of {tenant} counts {counted} checkpoints, {count} are there"));
    }
    let (there, strange) = timestamps::count(reading, tenant).await?;
    if there != stamps || strange > 0 {
        wrong.push(format!(
            "the feed of {tenant} counts {stamps} time-stamps of checkpoints; {there} are there, {strange} of them of no \
             checkpoint"
        ));
    }
    let signed = before.as_ref().map(|last| &last.checkpoint);
    wrong.extend(audit::check(reading, tenant, signed.and_then(|signed| signed.audit.as_ref())).await?);
    let unnumbered = signed.and_then(|signed| signed.unnumbered.as_ref());
    wrong.extend(audit::check_unnumbered(reading, tenant, unnumbered).await?);
    if let Some(last) = before {
        let Checkpoint { number, position, root, documents, at, .. } = last.checkpoint;
        let tree = tree_at(reading, tenant, position, None).await?;
        if (tree.root(), tree.leaves()) != (root, documents) {
            wrong.push(format!(
                "checkpoint {number} of {tenant}, signed at {at}, covers {documents} documents up to place \
                 {position} of the feed; what is there now is something else: events were removed or replaced"
            ));
        }
    }
    Ok(wrong)
}

/// Whether a checkpoint's time-stamp, where it has one, is about it and holds.
fn is_stamped(kept: &Kept, token: Option<&[u8]>) -> Result<(), String> {
    let Some(token) = token else { return Ok(()) };
    let stamp = stamp::read_sound(token, Digest::of(kept.bytes.as_bytes()));
    stamp.map(drop).map_err(|error| format!("its time-stamp: {error}"))
}

/// Whether a checkpoint is the one its place asks for, and signed.
fn fits(
    kept: &Kept,
    tenant: &TenantId,
    number: i64,
    before: Option<&Kept>,
    keys: &[&PublicKey],
) -> Result<(), String> {
    if !keys.is_empty() && !keys.contains(&&kept.key) {
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
    let (was, is) =
        (before.and_then(|before| before.checkpoint.unnumbered.as_ref()), &kept.checkpoint.unnumbered);
    if was.zip(is.as_ref()).is_some_and(|(was, is)| was != is) {
        return Err(
            "what it says of the audit before entries had numbers is not what the one before it says".into(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
