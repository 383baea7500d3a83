//! Access tokens of devices and clients, as digests; and the assertions that were used, so that each works once.

use platen_model::{Digest, TenantId};
use sqlx::Row as _;

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

/// Keeps a token. Where it was given for an assertion, `jti` is that assertion's id and when it may be forgotten;
/// `false` where the assertion was used before.
pub async fn issue(
    store: &Store,
    token: &TokenRow,
    digest: Digest,
    expires_ms: i64,
    jti: Option<(&str, i64)>,
) -> Result<bool, StoreError> {
    let mut write = store.begin().await?;
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
            return Ok(false);
        }
    }
    sqlx::query(
        "INSERT INTO access_tokens (token_sha256, tenant_id, holder, scopes, expires_ms)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(digest.to_string())
    .bind(token.tenant.as_str())
    .bind(&token.holder)
    .bind(&token.scopes)
    .bind(expires_ms)
    .execute(&mut *write)
    .await?;
    write.commit().await?;
    Ok(true)
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

/// Ends all tokens of a holder.
pub(super) async fn end_all(write: &mut Write, tenant: &TenantId, holder: &str) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM access_tokens WHERE tenant_id = $1 AND holder = $2")
        .bind(tenant.as_str())
        .bind(holder)
        .execute(&mut **write)
        .await?;
    Ok(())
}
