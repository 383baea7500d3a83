//! The `policies` table: every policy that was in force, by the digest that events name.

use std::collections::BTreeSet;

use jiff::Timestamp;
use platen_model::{Digest, PolicyRef};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Store, StoreError, from_ms, now_ms, word};
use crate::policy::{Policy, Source};

/// A policy that is or was in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The policy, named exactly.
    pub reference: PolicyRef,
    /// The texts it was made of.
    pub source: Source,
    /// When it was first put in force.
    pub first: Timestamp,
    /// When it last was.
    pub last: Timestamp,
}

/// Notes that a policy is put in force.
pub async fn note(store: &Store, policy: &Policy) -> Result<(), StoreError> {
    let (PolicyRef { name, version, sha256 }, source) = (policy.reference(), policy.source());
    sqlx::query(
        "INSERT INTO policies (sha256, name, version, policy, directory, first_ms, last_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (sha256) DO UPDATE SET last_ms = excluded.last_ms",
    )
    .bind(sha256.to_string())
    .bind(name)
    .bind(version)
    .bind(&source.policy)
    .bind(source.directory.as_deref())
    .bind(now_ms())
    .bind(now_ms())
    .execute(store.writing())
    .await?;
    Ok(())
}

/// A policy by its digest.
pub async fn find(store: &Store, sha256: Digest) -> Result<Option<Kept>, StoreError> {
    let row = sqlx::query("SELECT * FROM policies WHERE sha256 = $1")
        .bind(sha256.to_string())
        .fetch_optional(store.reading())
        .await?;
    row.map(|row| read(&row)).transpose()
}

/// The policies that were in force, the one that was put in force last first: at most `limit`, after one of them.
pub async fn list(store: &Store, after: Option<Digest>, limit: u32) -> Result<Vec<Kept>, StoreError> {
    let after = after.map(|sha256| sha256.to_string());
    let rows = sqlx::query(
        "SELECT p.* FROM policies p LEFT JOIN policies a ON a.sha256 = $1
         WHERE a.sha256 IS NULL OR p.last_ms < a.last_ms OR (p.last_ms = a.last_ms AND p.sha256 < a.sha256)
         ORDER BY p.last_ms DESC, p.sha256 DESC LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    rows.iter().map(read).collect()
}

/// The digests of all that are kept, and a sentence for each whose texts do not have its digest.
pub async fn check(store: &Store) -> Result<(BTreeSet<Digest>, Vec<String>), StoreError> {
    let (mut there, mut wrong) = (BTreeSet::new(), Vec::new());
    let rows = sqlx::query("SELECT * FROM policies ORDER BY sha256").fetch_all(store.reading()).await?;
    for row in rows {
        let name: String = row.get("sha256");
        match read(&row) {
            Ok(kept) if kept.source.sha256() == kept.reference.sha256 => {
                there.insert(kept.reference.sha256);
            }
            Ok(_) => wrong
                .push(format!("policy {name} was changed: its texts do not have the digest that names it")),
            Err(error) => wrong.push(format!("policy {name}: {error}")),
        }
    }
    Ok((there, wrong))
}

fn read(row: &AnyRow) -> Result<Kept, StoreError> {
    let sha256 = word(row.get("sha256"))?;
    Ok(Kept {
        reference: PolicyRef { name: row.get("name"), version: row.get("version"), sha256 },
        source: Source { policy: row.get("policy"), directory: row.get("directory") },
        first: from_ms(row.get("first_ms")),
        last: from_ms(row.get("last_ms")),
    })
}
