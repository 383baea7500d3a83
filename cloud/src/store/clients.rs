//! The `clients` and `client_credentials` tables: programs of a tenant, and what they prove themselves with.

use platen_model::keys::PublicKey;
use platen_model::{ClientId, Digest, TenantId};
use sqlx::Row as _;
use uuid::Uuid;

use super::{DbRow, Store, StoreError, Write, now_ms, word};

/// A client.
#[derive(Clone, Debug)]
pub struct ClientRow {
    /// Its id.
    pub client_id: ClientId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, for people.
    pub name: String,
    /// What it may ask for, as words.
    pub scopes: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it was revoked, in milliseconds since 1970; 0 while it is not.
    pub revoked_ms: i64,
}

/// What a client proves itself with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A secret, of which only the digest is kept.
    Secret(Digest),
    /// A key, of which the client keeps the private half.
    Key(PublicKey),
}

impl Proof {
    /// What is kept of it: its kind, and its value.
    pub(super) fn kept(&self) -> (&'static str, String) {
        match self {
            Self::Secret(digest) => ("secret", digest.to_string()),
            Self::Key(key) => ("key", key.0.clone()),
        }
    }
}

/// One of a client's credentials.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its id.
    pub credential_id: Uuid,
    /// The proof.
    pub proof: Proof,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends, in milliseconds since 1970; 0 for never.
    pub expires_ms: i64,
}

/// Adds a client.
pub async fn add(write: &mut Write, client: &ClientRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO clients (client_id, tenant_id, name, scopes, created_ms) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(client.client_id.to_string())
    .bind(client.tenant.as_str())
    .bind(&client.name)
    .bind(&client.scopes)
    .bind(client.created_ms)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// The tenant's clients after this one, oldest first.
pub async fn list(
    store: &Store,
    tenant: &TenantId,
    after: Option<ClientId>,
    limit: u32,
) -> Result<Vec<ClientRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM clients WHERE tenant_id = $1 AND client_id > $2 ORDER BY client_id LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(after.map_or_else(String::new, |id| id.to_string()))
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    rows.iter().map(read).collect()
}

/// A client of this tenant.
pub async fn find(
    store: &Store,
    tenant: &TenantId,
    client: ClientId,
) -> Result<Option<ClientRow>, StoreError> {
    let found = by_id(store, client).await?;
    Ok(found.filter(|found| found.tenant == *tenant))
}

/// The client of an id: the answer says which tenant it is, so this alone takes none.
pub async fn by_id(store: &Store, client: ClientId) -> Result<Option<ClientRow>, StoreError> {
    let row = sqlx::query("SELECT * FROM clients WHERE client_id = $1")
        .bind(client.to_string())
        .fetch_optional(store.reading())
        .await?;
    row.map(|row| read(&row)).transpose()
}

/// Revokes a client: its tokens end at once. Answers whether the tenant has it.
pub async fn revoke(write: &mut Write, tenant: &TenantId, client: ClientId) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "UPDATE clients SET revoked_ms = CASE revoked_ms WHEN 0 THEN $1 ELSE revoked_ms END
         WHERE tenant_id = $2 AND client_id = $3",
    )
    .bind(now_ms())
    .bind(tenant.as_str())
    .bind(client.to_string())
    .execute(&mut **write)
    .await?;
    super::tokens::end_all(write, tenant, &client.to_string()).await?;
    Ok(done.rows_affected() == 1)
}

/// Adds a credential to a client of this tenant.
pub async fn add_credential(
    write: &mut Write,
    tenant: &TenantId,
    client: ClientId,
    credential: &Credential,
) -> Result<(), StoreError> {
    let (kind, value) = credential.proof.kept();
    sqlx::query(
        "INSERT INTO client_credentials
         (credential_id, client_id, tenant_id, kind, value, created_ms, expires_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(credential.credential_id.to_string())
    .bind(client.to_string())
    .bind(tenant.as_str())
    .bind(kind)
    .bind(value)
    .bind(credential.created_ms)
    .bind(credential.expires_ms)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Lets the credentials that a client has end at this time, unless they end before.
pub async fn retire(
    write: &mut Write,
    tenant: &TenantId,
    client: ClientId,
    ends_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE client_credentials SET expires_ms = $1
         WHERE tenant_id = $2 AND client_id = $3 AND (expires_ms = 0 OR expires_ms > $4)",
    )
    .bind(ends_ms)
    .bind(tenant.as_str())
    .bind(client.to_string())
    .bind(ends_ms)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Takes a credential away; tokens it gave end at once. Answers whether it was there.
pub async fn remove_credential(
    write: &mut Write,
    tenant: &TenantId,
    client: ClientId,
    credential: Uuid,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "DELETE FROM client_credentials WHERE tenant_id = $1 AND client_id = $2 AND credential_id = $3",
    )
    .bind(tenant.as_str())
    .bind(client.to_string())
    .bind(credential.to_string())
    .execute(&mut **write)
    .await?;
    super::tokens::end_all(write, tenant, &client.to_string()).await?;
    Ok(done.rows_affected() == 1)
}

/// A client's credentials that have not ended, oldest first.
pub async fn credentials(
    store: &Store,
    tenant: &TenantId,
    client: ClientId,
) -> Result<Vec<Credential>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM client_credentials WHERE tenant_id = $1 AND client_id = $2
         AND (expires_ms = 0 OR expires_ms > $3) ORDER BY credential_id",
    )
    .bind(tenant.as_str())
    .bind(client.to_string())
    .bind(now_ms())
    .fetch_all(store.reading())
    .await?;
    rows.iter()
        .map(|row| {
            let value: String = row.get("value");
            let proof = match row.get::<String, _>("kind").as_str() {
                "secret" => Proof::Secret(word(&value)?),
                _ => Proof::Key(PublicKey(value)),
            };
            Ok(Credential {
                credential_id: word(&row.get::<String, _>("credential_id"))?,
                proof,
                created_ms: row.get("created_ms"),
                expires_ms: row.get("expires_ms"),
            })
        })
        .collect()
}

fn read(row: &DbRow) -> Result<ClientRow, StoreError> {
    Ok(ClientRow {
        client_id: word(&row.get::<String, _>("client_id"))?,
        tenant: word(&row.get::<String, _>("tenant_id"))?,
        name: row.get("name"),
        scopes: row.get("scopes"),
        created_ms: row.get("created_ms"),
        revoked_ms: row.get("revoked_ms"),
    })
}
