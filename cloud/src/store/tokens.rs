//! Access tokens of devices and clients, as digests; and the assertions that were used, so that each works once.

use platen_model::{Digest, TenantId};
use sqlx::Row as _;

use super::clients::Proof;
use super::{Store, StoreError, Write, now_ms, word};

/// A token that lasts.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// The tenant.
    pub tenant: TenantId,
    /// The id of the device or client that holds it.
    pub holder: String,
    /// What it allows, as words.
    pub scopes: String,
}

/// How it went with a token that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issue {
    /// It lasts.
    Done,
    /// The assertion was used before.
    UsedBefore,
    /// The holder lost what it proved itself with while that was looked at.
    ProofEnded,
}

/// Keeps a token that was asked for with a proof. Where that was an assertion, `jti` is its id and when it may be forgotten.
///
/// The proof is looked at once more here: whoever takes it away ends the tokens there are, and this one might come after.
pub async fn issue(
    store: &Store,
    token: &TokenRow,
    digest: Digest,
    expires_ms: i64,
    proof: &Proof,
    jti: Option<(&str, i64)>,
) -> Result<Issue, StoreError> {
    let mut write = store.begin().await?;
    write.hold(lock_of(&token.holder)).await?;
    if !still_holds(&mut write, token, proof).await? {
        return Ok(Issue::ProofEnded);
    }
    for cleaning in CLEANING {
        sqlx::query(cleaning).bind(now_ms()).execute(&mut *write).await?;
    }
    if let Some((jti, forget_ms)) = jti {
        let fresh = sqlx::query(
            "INSERT INTO used_assertions (holder, jti, expires_ms) VALUES ($1, $2, $3)
             ON CONFLICT (holder, jti) DO NOTHING",
        )
        .bind(&token.holder)
        .bind(jti)
        .bind(forget_ms)
        .execute(&mut *write)
        .await?;
        if fresh.rows_affected() == 0 {
            return Ok(Issue::UsedBefore);
        }
    }
    keep(&mut write, token, digest, expires_ms).await?;
    write.commit().await?;
    Ok(Issue::Done)
}

/// Keeps a token, whoever holds it.
pub async fn keep(
    write: &mut Write,
    token: &TokenRow,
    digest: Digest,
    expires_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO access_tokens (token_sha256, tenant_id, holder, scopes, expires_ms)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(digest.to_string())
    .bind(token.tenant.as_str())
    .bind(&token.holder)
    .bind(&token.scopes)
    .bind(expires_ms)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Whether this is still what the device or client of a token proves itself with.
async fn still_holds(write: &mut Write, token: &TokenRow, proof: &Proof) -> Result<bool, StoreError> {
    let (kind, value) = proof.kept();
    let row = sqlx::query(
        "SELECT (SELECT COUNT(*) FROM devices d
                 WHERE d.tenant_id = $1 AND d.device_id = $2 AND d.revoked_ms = 0
                   AND $3 = 'key' AND d.public_key = $4)
              + (SELECT COUNT(*) FROM client_credentials k JOIN clients c ON c.client_id = k.client_id
                 WHERE k.tenant_id = $5 AND k.client_id = $6 AND c.revoked_ms = 0
                   AND k.kind = $7 AND k.value = $8 AND (k.expires_ms = 0 OR k.expires_ms > $9)) AS count",
    )
    .bind(token.tenant.as_str())
    .bind(&token.holder)
    .bind(kind)
    .bind(&value)
    .bind(token.tenant.as_str())
    .bind(&token.holder)
    .bind(kind)
    .bind(&value)
    .bind(now_ms())
    .fetch_one(&mut **write)
    .await?;
    Ok(row.get::<i64, _>("count") > 0)
}

fn lock_of(holder: &str) -> String {
    format!("tokens of {holder}")
}

/// What forgets what is over.
pub(super) const CLEANING: [&str; 2] =
    ["DELETE FROM used_assertions WHERE expires_ms < $1", "DELETE FROM access_tokens WHERE expires_ms < $1"];

/// What is known of a token, while it lasts: the answer says which tenant it is, so this alone takes none.
pub async fn find(store: &Store, digest: Digest) -> Result<Option<TokenRow>, StoreError> {
    let row = sqlx::query(
        "SELECT tenant_id, holder, scopes FROM access_tokens WHERE token_sha256 = $1 AND expires_ms > $2",
    )
    .bind(digest.to_string())
    .bind(now_ms())
    .fetch_optional(store.reading())
    .await?;
    row.map(|row| {
        Ok(TokenRow {
            tenant: word(&row.get::<String, _>("tenant_id"))?,
            holder: row.get("holder"),
            scopes: row.get("scopes"),
        })
    })
    .transpose()
}

/// Ends all tokens of a holder, in the write that takes away what they were given for.
pub(super) async fn end_all(write: &mut Write, tenant: &TenantId, holder: &str) -> Result<(), StoreError> {
    write.hold(lock_of(holder)).await?;
    sqlx::query("DELETE FROM access_tokens WHERE tenant_id = $1 AND holder = $2")
        .bind(tenant.as_str())
        .bind(holder)
        .execute(&mut **write)
        .await?;
    Ok(())
}
