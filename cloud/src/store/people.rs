//! Tenants, users, sessions, devices and what lets them in. Secrets are stored only as digests.

use platen_model::keys::PublicKey;
use platen_model::{DeviceId, Digest, TenantId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{Store, StoreError, Write, now_ms, word};

/// A user as stored.
#[derive(Clone, Debug)]
pub struct UserRow {
    /// The name the user signs in with.
    pub name: String,
    /// The user's tenant.
    pub tenant: TenantId,
    /// The user's role, by its word.
    pub role: String,
    /// The argon2id hash of the password, in PHC form.
    pub password_hash: String,
    /// Wrong passwords since the last right one.
    pub failures: u32,
    /// Until when no password is tried, in milliseconds since 1970.
    pub locked_until_ms: i64,
}

/// A session as stored, with its user.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// The user's tenant.
    pub tenant: TenantId,
    /// The user's name.
    pub user: String,
    /// The user's role, by its word.
    pub role: String,
    /// The token forms carry.
    pub csrf: String,
}

/// An enrolled device.
#[derive(Clone, Debug)]
pub struct DeviceRow {
    /// Its id.
    pub device_id: DeviceId,
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name, for people.
    pub name: String,
    /// Its public key.
    pub public_key: PublicKey,
    /// When it was enrolled, in milliseconds since 1970.
    pub created_ms: i64,
}

/// Adds a tenant; one that is there stays.
pub async fn add_tenant(store: &Store, tenant: &TenantId) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO tenants (tenant_id, created_ms) VALUES ($1, $2) ON CONFLICT (tenant_id) DO NOTHING",
    )
    .bind(tenant.as_str())
    .bind(now_ms())
    .execute(store.writing())
    .await?;
    Ok(())
}

/// All tenants.
pub async fn tenants(store: &Store) -> Result<Vec<TenantId>, StoreError> {
    let rows =
        sqlx::query("SELECT tenant_id FROM tenants ORDER BY tenant_id").fetch_all(store.reading()).await?;
    rows.iter().map(|row| word(row.get("tenant_id"))).collect()
}

/// Adds a user, or gives the user of this name in this tenant a new role and password and ends their sessions:
/// a password is changed because somebody else may know it.
///
/// Answers whether that was possible: a name belongs to one tenant.
pub async fn put_user(
    store: &Store,
    tenant: &TenantId,
    name: &str,
    role: &str,
    password_hash: &str,
) -> Result<bool, StoreError> {
    let mut write = store.begin().await?;
    let done = sqlx::query(
        "INSERT INTO users (name, tenant_id, role, password_hash, created_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET role = excluded.role, password_hash = excluded.password_hash,
           failures = 0, locked_until_ms = 0 WHERE users.tenant_id = excluded.tenant_id",
    )
    .bind(name)
    .bind(tenant.as_str())
    .bind(role)
    .bind(password_hash)
    .bind(now_ms())
    .execute(&mut *write)
    .await?;
    sqlx::query("DELETE FROM sessions WHERE tenant_id = $1 AND user_name = $2")
        .bind(tenant.as_str())
        .bind(name)
        .execute(&mut *write)
        .await?;
    write.commit().await?;
    Ok(done.rows_affected() == 1)
}

/// The user of a name: the answer says which tenant it is, so this alone takes none.
pub async fn user(store: &Store, name: &str) -> Result<Option<UserRow>, StoreError> {
    let row =
        sqlx::query("SELECT * FROM users WHERE name = $1").bind(name).fetch_optional(store.writing()).await?;
    row.map(|row| {
        Ok(UserRow {
            name: row.get("name"),
            tenant: word(row.get("tenant_id"))?,
            role: row.get("role"),
            password_hash: row.get("password_hash"),
            failures: u32::try_from(row.get::<i64, _>("failures")).unwrap_or(u32::MAX),
            locked_until_ms: row.get("locked_until_ms"),
        })
    })
    .transpose()
}

/// Records a wrong password and answers how many there are now; locks the user until `locked_until_ms` once
/// there are `limit` of them.
pub async fn count_failure(
    store: &Store,
    user: &UserRow,
    limit: u32,
    locked_until_ms: i64,
) -> Result<u32, StoreError> {
    let row = sqlx::query(
        "UPDATE users SET failures = failures + 1,
           locked_until_ms = CASE WHEN failures + 1 >= $1 THEN $2 ELSE locked_until_ms END
         WHERE tenant_id = $3 AND name = $4 RETURNING failures",
    )
    .bind(i64::from(limit))
    .bind(locked_until_ms)
    .bind(user.tenant.as_str())
    .bind(&user.name)
    .fetch_one(store.writing())
    .await?;
    Ok(u32::try_from(row.get::<i64, _>("failures")).unwrap_or(u32::MAX))
}

/// Opens a session and forgets the user's wrong passwords.
pub async fn open_session(
    store: &Store,
    user: &UserRow,
    token: Digest,
    csrf: &str,
    expires_ms: i64,
) -> Result<(), StoreError> {
    let mut write = store.begin().await?;
    sqlx::query("DELETE FROM sessions WHERE expires_ms < $1").bind(now_ms()).execute(&mut *write).await?;
    sqlx::query("UPDATE users SET failures = 0, locked_until_ms = 0 WHERE tenant_id = $1 AND name = $2")
        .bind(user.tenant.as_str())
        .bind(&user.name)
        .execute(&mut *write)
        .await?;
    sqlx::query(
        "INSERT INTO sessions (token_sha256, tenant_id, user_name, csrf, expires_ms) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(token.to_string())
    .bind(user.tenant.as_str())
    .bind(&user.name)
    .bind(csrf)
    .bind(expires_ms)
    .execute(&mut *write)
    .await?;
    write.commit().await?;
    Ok(())
}

/// The session of a token, while it lasts.
pub async fn session(store: &Store, token: Digest) -> Result<Option<SessionRow>, StoreError> {
    let row = sqlx::query(
        "SELECT s.tenant_id, s.user_name, s.csrf, u.role FROM sessions s JOIN users u ON u.name = s.user_name
         WHERE s.token_sha256 = $1 AND s.expires_ms > $2",
    )
    .bind(token.to_string())
    .bind(now_ms())
    .fetch_optional(store.reading())
    .await?;
    row.map(|row| {
        Ok(SessionRow {
            tenant: word(row.get("tenant_id"))?,
            user: row.get("user_name"),
            role: row.get("role"),
            csrf: row.get("csrf"),
        })
    })
    .transpose()
}

/// Ends a session.
pub async fn close_session(store: &Store, token: Digest) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM sessions WHERE token_sha256 = $1")
        .bind(token.to_string())
        .execute(store.writing())
        .await?;
    Ok(())
}

/// Keeps an enrolment code.
pub async fn add_code(
    store: &Store,
    tenant: &TenantId,
    code: Digest,
    expires_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO enrolment_codes (code_sha256, tenant_id, expires_ms) VALUES ($1, $2, $3)")
        .bind(code.to_string())
        .bind(tenant.as_str())
        .bind(expires_ms)
        .execute(store.writing())
        .await?;
    Ok(())
}

/// Uses an enrolment code for a device with this key.
///
/// The first use makes the device; a repetition with the same key answers the same device, even after the
/// code's time, because its answer may have been lost. Anything else answers `None`.
pub async fn enrol(
    write: &mut Write,
    code: Digest,
    name: &str,
    public_key: &PublicKey,
) -> Result<Option<DeviceRow>, StoreError> {
    let row =
        sqlx::query("SELECT tenant_id, expires_ms, device_id FROM enrolment_codes WHERE code_sha256 = $1")
            .bind(code.to_string())
            .fetch_optional(&mut **write)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let tenant: TenantId = word(row.get("tenant_id"))?;
    if let Some(used) = row.get::<Option<String>, _>("device_id") {
        let device = sqlx::query("SELECT * FROM devices WHERE device_id = $1")
            .bind(used)
            .fetch_one(&mut **write)
            .await?;
        let device = read_device(&device)?;
        return Ok((device.public_key == *public_key).then_some(device));
    }
    if row.get::<i64, _>("expires_ms") <= now_ms() {
        return Ok(None);
    }
    let device = DeviceRow {
        device_id: DeviceId::new(),
        tenant,
        name: name.into(),
        public_key: public_key.clone(),
        created_ms: now_ms(),
    };
    sqlx::query(
        "INSERT INTO devices (device_id, tenant_id, name, public_key, created_ms) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(device.device_id.to_string())
    .bind(device.tenant.as_str())
    .bind(&device.name)
    .bind(&device.public_key.0)
    .bind(device.created_ms)
    .execute(&mut **write)
    .await?;
    sqlx::query("UPDATE enrolment_codes SET device_id = $1 WHERE code_sha256 = $2")
        .bind(device.device_id.to_string())
        .bind(code.to_string())
        .execute(&mut **write)
        .await?;
    Ok(Some(device))
}

/// The device of an id: the answer says which tenant it is, so this alone takes none.
pub async fn device(store: &Store, device: DeviceId) -> Result<Option<DeviceRow>, StoreError> {
    let row = sqlx::query("SELECT * FROM devices WHERE device_id = $1")
        .bind(device.to_string())
        .fetch_optional(store.reading())
        .await?;
    row.map(|row| read_device(&row)).transpose()
}

/// The tenant's devices, oldest first.
pub async fn devices(store: &Store, tenant: &TenantId) -> Result<Vec<DeviceRow>, StoreError> {
    let rows = sqlx::query("SELECT * FROM devices WHERE tenant_id = $1 ORDER BY created_ms")
        .bind(tenant.as_str())
        .fetch_all(store.reading())
        .await?;
    rows.iter().map(read_device).collect()
}

/// Gives a device an access token for its assertion; `false` where the assertion was used before.
pub async fn issue_token(
    store: &Store,
    device: &DeviceRow,
    (jti, jti_expires_ms): (&str, i64),
    (token, expires_ms): (Digest, i64),
) -> Result<bool, StoreError> {
    let mut write = store.begin().await?;
    for cleaning in [
        "DELETE FROM used_assertions WHERE expires_ms < $1",
        "DELETE FROM access_tokens WHERE expires_ms < $1",
    ] {
        sqlx::query(cleaning).bind(now_ms()).execute(&mut *write).await?;
    }
    let fresh = sqlx::query(
        "INSERT INTO used_assertions (device_id, jti, expires_ms) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(device.device_id.to_string())
    .bind(jti)
    .bind(jti_expires_ms)
    .execute(&mut *write)
    .await?;
    if fresh.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO access_tokens (token_sha256, tenant_id, device_id, expires_ms) VALUES ($1, $2, $3, $4)",
    )
    .bind(token.to_string())
    .bind(device.tenant.as_str())
    .bind(device.device_id.to_string())
    .bind(expires_ms)
    .execute(&mut *write)
    .await?;
    write.commit().await?;
    Ok(true)
}

/// The device an access token belongs to, while it lasts.
pub async fn token_owner(store: &Store, token: Digest) -> Result<Option<DeviceRow>, StoreError> {
    let row = sqlx::query(
        "SELECT d.* FROM access_tokens t JOIN devices d ON d.device_id = t.device_id
         WHERE t.token_sha256 = $1 AND t.expires_ms > $2",
    )
    .bind(token.to_string())
    .bind(now_ms())
    .fetch_optional(store.reading())
    .await?;
    row.map(|row| read_device(&row)).transpose()
}

fn read_device(row: &AnyRow) -> Result<DeviceRow, StoreError> {
    Ok(DeviceRow {
        device_id: word(row.get("device_id"))?,
        tenant: word(row.get("tenant_id"))?,
        name: row.get("name"),
        public_key: PublicKey(row.get("public_key")),
        created_ms: row.get("created_ms"),
    })
}
