//! The audit: who signed in and who administered what. Entries are only ever added; the path of documents has its own
//! record in [`super::events`].
//!
//! Each entry of a tenant is numbered, and its hash is over its fields and the hash of the one before it. The newest number
//! and hash stand in `audit_heads` as well, and in each checkpoint that is made after it, so that neither a change nor a
//! missing entry nor a missing end goes unseen ([`check`]).

use futures_util::TryStreamExt as _;
use platen_model::{Digest, TenantId};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row as _};
use uuid::Uuid;

use super::{DbRow, Store, StoreError, Write, now_ms, word};

/// Who acts when it is somebody with a shell on the server.
pub const HAND: &str = "command line";

/// How long something is not told again that strangers may do as often as they like, in milliseconds.
const SELDOM_MS: i64 = 60_000;

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id, which sorts by time.
    pub audit_id: Uuid,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who: `user:ada`, `client:<id>`, `device:<id>` or `command line`.
    pub actor: String,
    /// What, for example `client.add`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// What else one would ask.
    pub detail: String,
}

/// The end of a tenant's audit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last entry.
    pub number: i64,
    /// Its hash, in hex.
    pub hash: String,
}

/// The end of a tenant's audit; `None` where it has none.
pub async fn head(reading: &mut AnyConnection, tenant: &TenantId) -> Result<Option<Head>, StoreError> {
    let row = sqlx::query("SELECT number, hash FROM audit_heads WHERE tenant_id = $1")
        .bind(tenant.as_str())
        .fetch_optional(reading)
        .await?;
    Ok(row.map(|row| Head { number: row.get("number"), hash: row.get("hash") }))
}

/// What a tenant's entries that have no number lead to, chained in the order of their ids: how many they are, and the last
/// hash. They are from before entries were numbered, and no more will come.
pub async fn unnumbered(reading: &mut AnyConnection, tenant: &TenantId) -> Result<Head, StoreError> {
    let mut rows = sqlx::query("SELECT * FROM audit WHERE tenant_id = $1 AND number < 1 ORDER BY audit_id")
        .bind(tenant.as_str())
        .fetch(reading);
    let mut last = Head::default();
    while let Some(row) = rows.try_next().await? {
        let hash = Link::of(&row).digest(tenant, &last.hash).to_string();
        last = Head { number: last.number + 1, hash };
    }
    Ok(last)
}

/// An entry as its row has it.
struct Link {
    number: i64,
    audit_id: String,
    at_ms: i64,
    actor: String,
    action: String,
    subject: String,
    detail: String,
    hash: String,
}

impl Link {
    fn of(row: &DbRow) -> Self {
        Self {
            number: row.get("number"),
            audit_id: row.get("audit_id"),
            at_ms: row.get("at_ms"),
            actor: row.get("actor"),
            action: row.get("action"),
            subject: row.get("subject"),
            detail: row.get("detail"),
            hash: row.get("hash"),
        }
    }

    /// What its hash must be, behind the one before it.
    fn digest(&self, tenant: &TenantId, before: &str) -> Digest {
        let Self { number, audit_id, at_ms, actor, action, subject, detail, .. } = self;
        let all =
            serde_json::json!([before, tenant, number, audit_id, at_ms, actor, action, subject, detail]);
        Digest::of(all.to_string().as_bytes())
    }
}

/// What is wrong with a tenant's audit, each as a sentence. `signed` is its end as the newest checkpoint has it.
pub async fn check(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    signed: Option<&Head>,
) -> Result<Vec<String>, StoreError> {
    const PAGE: i64 = 500;
    let (mut last, mut wrong) = (Head::default(), Vec::new());
    loop {
        let rows = sqlx::query(
            "SELECT * FROM audit WHERE tenant_id = $1 AND number > $2 ORDER BY number, audit_id LIMIT $3",
        )
        .bind(tenant.as_str())
        .bind(last.number)
        .bind(PAGE)
        .fetch_all(&mut *reading)
        .await?;
        let ends = (rows.len() as i64) < PAGE;
        for row in &rows {
            let link = Link::of(row);
            let name = format!("entry {} of the audit of {tenant} ({})", link.number, link.audit_id);
            if link.number != last.number + 1 {
                wrong.push(format!(
                    "{name} does not follow on entry {}: one is missing or added",
                    last.number
                ));
            } else if link.digest(tenant, &last.hash).to_string() != link.hash {
                wrong.push(format!("{name} was changed: it does not have the hash kept beside it"));
            }
            if signed.is_some_and(|signed| signed.number == link.number && signed.hash != link.hash) {
                wrong.push(format!("{name} is not the one that was signed in the checkpoint"));
            }
            last = Head { number: link.number, hash: link.hash };
        }
        if ends || !wrong.is_empty() {
            break;
        }
    }
    let kept = head(reading, tenant).await?.unwrap_or_default();
    if wrong.is_empty() && kept != last {
        wrong.push(format!(
            "the audit of {tenant} ends with entry {}; its head counts {}: its end was cut off, or its head changed",
            last.number, kept.number
        ));
    }
    if wrong.is_empty() && signed.is_some_and(|signed| signed.number > last.number) {
        wrong.push(format!("the audit of {tenant} is shorter than when it was signed in the checkpoint"));
    }
    Ok(wrong)
}

/// What is wrong with a tenant's entries that have no number, each as a sentence. `signed` is what the newest checkpoint says
/// of them, where it says something.
pub async fn check_unnumbered(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    signed: Option<&Head>,
) -> Result<Vec<String>, StoreError> {
    // Ids begin with the time they were made at.
    let row = sqlx::query(
        "SELECT COUNT(*) AS count, MIN(audit_id) AS first FROM audit WHERE tenant_id = $1 AND number < 1
           AND (hash <> '' OR number < 0
             OR audit_id > (SELECT MIN(audit_id) FROM audit WHERE tenant_id = $1 AND number = 1))",
    )
    .bind(tenant.as_str())
    .fetch_one(&mut *reading)
    .await?;
    let mut wrong = Vec::new();
    if row.get::<i64, _>("count") > 0 {
        let first: String = row.get("first");
        wrong.push(format!(
            "an entry of the audit of {tenant} ({first}) has no number, and is not from before entries had one: it was \
             added, or its number was taken away"
        ));
    }
    let there = unnumbered(reading, tenant).await?;
    if signed.is_some_and(|signed| *signed != there) {
        wrong.push(format!(
            "the {} entries without a number in the audit of {tenant} are not those that were signed in the checkpoint: \
             one was changed, removed or added",
            there.number
        ));
    }
    Ok(wrong)
}

/// Adds an entry, in the transaction of what it speaks of, best as its last statement: from here to the commit the tenant's
/// other entries wait.
pub async fn add(
    write: &mut Write,
    tenant: &TenantId,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<(), StoreError> {
    // Entries of a tenant follow each other: the second waits for the first.
    write.hold(format!("audit of {tenant}")).await?;
    let before = head(&mut *write, tenant).await?.unwrap_or_default();
    let mut link = Link {
        number: before.number + 1,
        audit_id: Uuid::now_v7().to_string(),
        at_ms: now_ms(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        detail: detail.to_owned(),
        hash: String::new(),
    };
    link.hash = link.digest(tenant, &before.hash).to_string();
    sqlx::query(
        "INSERT INTO audit (audit_id, tenant_id, at_ms, actor, action, subject, detail, number, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&link.audit_id)
    .bind(tenant.as_str())
    .bind(link.at_ms)
    .bind(actor)
    .bind(action)
    .bind(subject)
    .bind(detail)
    .bind(link.number)
    .bind(&link.hash)
    .execute(&mut **write)
    .await?;
    sqlx::query(
        "INSERT INTO audit_heads (tenant_id, number, hash) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET number = excluded.number, hash = excluded.hash",
    )
    .bind(tenant.as_str())
    .bind(link.number)
    .bind(&link.hash)
    .execute(&mut **write)
    .await?;
    tracing::info!(%tenant, actor, action, subject, detail, "audit");
    Ok(())
}

/// As [`add`], but at most once a minute for one action and subject: for what a stranger can do as often as they like.
pub async fn add_seldom(
    write: &mut Write,
    tenant: &TenantId,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<(), StoreError> {
    let since = now_ms() - SELDOM_MS;
    // Ids begin with the time they were made at.
    let after = format!("{:08x}-{:04x}", since >> 16, since & 0xffff);
    let row = sqlx::query(
        "SELECT COUNT(*) AS count FROM audit WHERE tenant_id = $1 AND audit_id > $2 AND action = $3 AND subject = $4",
    )
    .bind(tenant.as_str())
    .bind(after)
    .bind(action)
    .bind(subject)
    .fetch_one(&mut **write)
    .await?;
    if row.get::<i64, _>("count") > 0 {
        return Ok(());
    }
    add(write, tenant, actor, action, subject, detail).await
}

/// The tenant's entries before this one, newest first.
pub async fn list(
    store: &Store,
    tenant: &TenantId,
    before: Option<Uuid>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    // "z" sorts behind every id.
    let before = before.map_or_else(|| "z".to_owned(), |id| id.to_string());
    let rows = sqlx::query(
        "SELECT * FROM audit WHERE tenant_id = $1 AND audit_id < $2 ORDER BY audit_id DESC LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(before)
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Entry {
                audit_id: word(&row.get::<String, _>("audit_id"))?,
                at_ms: row.get("at_ms"),
                actor: row.get("actor"),
                action: row.get("action"),
                subject: row.get("subject"),
                detail: row.get("detail"),
            })
        })
        .collect()
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
