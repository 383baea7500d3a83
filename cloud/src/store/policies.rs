//! The `policies` table: every policy that was in force, by the digest that events name.

use std::collections::BTreeSet;

use jiff::Timestamp;
use platen_model::{Digest, PolicyRef, TenantId};
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
    /// When it was first put in force, for whoever asks.
    pub first: Timestamp,
    /// When it last was.
    pub last: Timestamp,
    /// Whether it was the tenant's own.
    pub is_own: bool,
}

/// Whose policies are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Scopes<'a> {
    /// Those this tenant had of its own.
    pub tenant: &'a TenantId,
    /// And those of the site.
    pub with_site: bool,
}

impl Scopes<'_> {
    /// Two names of scopes; one of them twice where there is but one.
    fn names(&self) -> [&str; 2] {
        [self.tenant.as_str(), if self.with_site { SITE } else { self.tenant.as_str() }]
    }
}

/// The scope of a policy that is the site's.
const SITE: &str = "";

/// Notes that a policy is put in force: for a tenant, or for all that have none of their own.
pub async fn note(store: &Store, tenant: Option<&TenantId>, policy: &Policy) -> Result<(), StoreError> {
    let (PolicyRef { name, version, sha256 }, source) = (policy.reference(), policy.source());
    let mut write = store.begin().await?;
    sqlx::query(
        "INSERT INTO policies (sha256, name, version, policy, directory) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (sha256) DO NOTHING",
    )
    .bind(sha256.to_string())
    .bind(name)
    .bind(version)
    .bind(&source.policy)
    .bind(source.directory.as_deref())
    .execute(&mut *write)
    .await?;
    sqlx::query(
        "INSERT INTO policy_scopes (scope, sha256, first_ms, last_ms) VALUES ($1, $2, $3, $3)
         ON CONFLICT (scope, sha256) DO UPDATE SET last_ms = excluded.last_ms",
    )
    .bind(tenant.map_or(SITE, TenantId::as_str))
    .bind(sha256.to_string())
    .bind(now_ms())
    .execute(&mut *write)
    .await?;
    Ok(write.commit().await?)
}

/// A policy by its digest, if it is or was in force for whoever asks.
pub async fn find(store: &Store, scopes: &Scopes<'_>, sha256: Digest) -> Result<Option<Kept>, StoreError> {
    let [own, site] = scopes.names();
    let row = sqlx::query(
        "SELECT p.*, MIN(s.first_ms) AS first_ms, MAX(s.last_ms) AS last_ms, MAX(s.scope) AS scope
         FROM policies p JOIN policy_scopes s ON s.sha256 = p.sha256
         WHERE p.sha256 = $1 AND s.scope IN ($2, $3) GROUP BY p.sha256",
    )
    .bind(sha256.to_string())
    .bind(own)
    .bind(site)
    .fetch_optional(store.reading())
    .await?;
    row.map(|row| read(&row)).transpose()
}

/// The policies that were in force for whoever asks, the one that was put in force last first: at most `limit`, after one of
/// them.
pub async fn list(
    store: &Store,
    scopes: &Scopes<'_>,
    after: Option<Digest>,
    limit: u32,
) -> Result<Vec<Kept>, StoreError> {
    let [own, site] = scopes.names();
    let rows = sqlx::query(
        "WITH seen AS (SELECT sha256, MIN(first_ms) AS first_ms, MAX(last_ms) AS last_ms, MAX(scope) AS scope
           FROM policy_scopes WHERE scope IN ($2, $3) GROUP BY sha256)
         SELECT p.*, s.first_ms, s.last_ms, s.scope FROM seen s JOIN policies p ON p.sha256 = s.sha256
         LEFT JOIN seen a ON a.sha256 = $1
         WHERE a.sha256 IS NULL OR s.last_ms < a.last_ms OR (s.last_ms = a.last_ms AND s.sha256 < a.sha256)
         ORDER BY s.last_ms DESC, s.sha256 DESC LIMIT $4",
    )
    .bind(after.map(|sha256| sha256.to_string()))
    .bind(own)
    .bind(site)
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    rows.iter().map(read).collect()
}

/// Whether a policy is kept, with the texts that its digest names.
pub async fn is_kept(store: &Store, sha256: Digest) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT * FROM policies WHERE sha256 = $1")
        .bind(sha256.to_string())
        .fetch_optional(store.reading())
        .await?;
    Ok(row.is_some_and(|row| source(&row).sha256() == sha256))
}

/// The digests of all that are kept, and a sentence for each whose texts do not have its digest.
pub async fn check(store: &Store) -> Result<(BTreeSet<Digest>, Vec<String>), StoreError> {
    let (mut there, mut wrong) = (BTreeSet::new(), Vec::new());
    let rows = sqlx::query("SELECT * FROM policies ORDER BY sha256").fetch_all(store.reading()).await?;
    for row in rows {
        let name: String = row.get("sha256");
        match word::<Digest>(&name) {
            Ok(sha256) if source(&row).sha256() == sha256 => {
                there.insert(sha256);
            }
            Ok(_) => wrong
                .push(format!("policy {name} was changed: its texts do not have the digest that names it")),
            Err(error) => wrong.push(format!("policy {name}: {error}")),
        }
    }
    Ok((there, wrong))
}

fn source(row: &AnyRow) -> Source {
    Source { policy: row.get("policy"), directory: row.get("directory") }
}

fn read(row: &AnyRow) -> Result<Kept, StoreError> {
    let sha256 = word(row.get("sha256"))?;
    Ok(Kept {
        reference: PolicyRef { name: row.get("name"), version: row.get("version"), sha256 },
        source: source(row),
        first: from_ms(row.get("first_ms")),
        last: from_ms(row.get("last_ms")),
        is_own: row.get::<String, _>("scope") != SITE,
    })
}
