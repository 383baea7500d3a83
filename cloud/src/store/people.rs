//! Tenants, users, sessions, devices and what lets them in. Secrets are stored only as digests.

use platen_model::keys::PublicKey;
use platen_model::{DeviceId, Digest, TenantId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::audit::HAND;
use super::{Store, StoreError, Write, audit, now_ms, word};

/// How long wrong passwords are remembered, in milliseconds.
const FAILURES_MS: i64 = 24 * 3_600_000;

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
    /// Since when the user may not sign in, in milliseconds since 1970; 0 while they may.
    pub disabled_ms: i64,
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
    /// When it was revoked, in milliseconds since 1970; 0 while it is not.
    pub revoked_ms: i64,
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

/// Adds a user from the command line, or gives the user of this name in this tenant a new role and password and ends their
/// sessions: a password is changed because somebody else may know it. The audit says so.
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
           disabled_ms = 0
         WHERE users.tenant_id = excluded.tenant_id",
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
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    audit::add(&mut write, tenant, HAND, "user.add", name, role).await?;
    write.commit().await?;
    Ok(true)
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
            disabled_ms: row.get("disabled_ms"),
        })
    })
    .transpose()
}

/// A user as lists show one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: String,
    /// The role, by its word.
    pub role: String,
    /// When they were added, in milliseconds since 1970.
    pub created_ms: i64,
    /// Since when they may not sign in, in milliseconds since 1970; 0 while they may.
    pub disabled_ms: i64,
}

/// The users of a tenant whose names come after this one, by name.
pub async fn users(
    store: &Store,
    tenant: &TenantId,
    after: &str,
    limit: u32,
) -> Result<Vec<Listed>, StoreError> {
    let rows = sqlx::query(
        "SELECT name, role, created_ms, disabled_ms FROM users WHERE tenant_id = $1 AND name > $2
         ORDER BY name LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    Ok(rows.iter().map(listed).collect())
}

/// Adds a user; answers whether the name was free, in the whole site.
pub async fn add_user(
    write: &mut Write,
    tenant: &TenantId,
    user: &Listed,
    password_hash: &str,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO users (name, tenant_id, role, password_hash, created_ms) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO NOTHING",
    )
    .bind(&user.name)
    .bind(tenant.as_str())
    .bind(&user.role)
    .bind(password_hash)
    .bind(user.created_ms)
    .execute(&mut **write)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// A user of this tenant.
pub async fn find_user(
    write: &mut Write,
    tenant: &TenantId,
    name: &str,
) -> Result<Option<Listed>, StoreError> {
    let row = sqlx::query(
        "SELECT name, role, created_ms, disabled_ms FROM users WHERE tenant_id = $1 AND name = $2",
    )
    .bind(tenant.as_str())
    .bind(name)
    .fetch_optional(&mut **write)
    .await?;
    Ok(row.as_ref().map(listed))
}

/// Gives a user of this tenant another role, lets them sign in or not, and perhaps another password. Their sessions end:
/// whoever they are now signs in anew.
pub async fn change_user(
    write: &mut Write,
    tenant: &TenantId,
    user: &Listed,
    password_hash: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE users SET role = $1, disabled_ms = $2, password_hash = COALESCE($3, password_hash)
         WHERE tenant_id = $4 AND name = $5",
    )
    .bind(&user.role)
    .bind(user.disabled_ms)
    .bind(password_hash)
    .bind(tenant.as_str())
    .bind(&user.name)
    .execute(&mut **write)
    .await?;
    write.hold(sessions_of(&user.name)).await?;
    sqlx::query("DELETE FROM sessions WHERE tenant_id = $1 AND user_name = $2")
        .bind(tenant.as_str())
        .bind(&user.name)
        .execute(&mut **write)
        .await?;
    Ok(())
}

/// How many of the tenant's users may administer and sign in.
pub async fn administrators(write: &mut Write, tenant: &TenantId) -> Result<u64, StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS count FROM users WHERE tenant_id = $1 AND role = 'admin' AND disabled_ms = 0",
    )
    .bind(tenant.as_str())
    .fetch_one(&mut **write)
    .await?;
    Ok(row.get::<i64, _>("count").unsigned_abs())
}

fn listed(row: &AnyRow) -> Listed {
    Listed {
        name: row.get("name"),
        role: row.get("role"),
        created_ms: row.get("created_ms"),
        disabled_ms: row.get("disabled_ms"),
    }
}

/// Removes a user and ends their sessions; answers whether there was one.
pub async fn remove_user(write: &mut Write, tenant: &TenantId, name: &str) -> Result<bool, StoreError> {
    let mut removed = 0;
    write.hold(sessions_of(name)).await?;
    for sql in [
        "DELETE FROM sessions WHERE tenant_id = $1 AND user_name = $2",
        "DELETE FROM users WHERE tenant_id = $1 AND name = $2",
    ] {
        let done = sqlx::query(sql).bind(tenant.as_str()).bind(name).execute(&mut **write).await?;
        removed = done.rows_affected();
    }
    Ok(removed == 1)
}

/// Until when no password is tried for the name of this digest, in milliseconds since 1970.
pub async fn locked_until(store: &Store, name: Digest) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT locked_until_ms FROM lockouts WHERE name_sha256 = $1")
        .bind(name.to_string())
        .fetch_optional(store.writing())
        .await?;
    Ok(row.map_or(0, |row| row.get("locked_until_ms")))
}

/// Records a wrong password for a name, whether anybody has it or not, and answers how many there are now; locks the
/// name until `locked_until_ms` once there are `limit` of them. What was long ago is forgotten. The audit of the tenant
/// of `user`, where somebody has the name, says so.
pub async fn count_failure(
    store: &Store,
    user: Option<&UserRow>,
    name: Digest,
    limit: u32,
    locked_until_ms: i64,
) -> Result<u32, StoreError> {
    let now = now_ms();
    let mut write = store.begin().await?;
    sqlx::query("DELETE FROM lockouts WHERE last_ms < $1 AND locked_until_ms < $2")
        .bind(now - FAILURES_MS)
        .bind(now)
        .execute(&mut *write)
        .await?;
    let row = sqlx::query(
        "INSERT INTO lockouts (name_sha256, failures, locked_until_ms, last_ms) VALUES ($1, 1, 0, $2)
         ON CONFLICT (name_sha256) DO UPDATE SET failures = lockouts.failures + 1, last_ms = excluded.last_ms
         RETURNING failures",
    )
    .bind(name.to_string())
    .bind(now)
    .fetch_one(&mut *write)
    .await?;
    let failures = u32::try_from(row.get::<i64, _>("failures")).unwrap_or(u32::MAX);
    if failures >= limit {
        sqlx::query("UPDATE lockouts SET locked_until_ms = $1 WHERE name_sha256 = $2")
            .bind(locked_until_ms)
            .bind(name.to_string())
            .execute(&mut *write)
            .await?;
    }
    if let Some(user) = user {
        let detail = format!("{failures} in a row");
        audit::add(&mut write, &user.tenant, "somebody", "sign-in.wrong", &user.name, &detail).await?;
    }
    write.commit().await?;
    Ok(failures)
}

/// Opens a session, forgets the wrong passwords of the name it was opened with, and says so in the audit. `false` where the
/// user was changed while the password was tried: who changes a user ends the sessions there are, and this one might come
/// after.
pub async fn open_session(
    store: &Store,
    user: &UserRow,
    name: Digest,
    token: Digest,
    expires_ms: i64,
) -> Result<bool, StoreError> {
    let mut write = store.begin().await?;
    write.hold(sessions_of(&user.name)).await?;
    let still = sqlx::query(
        "SELECT COUNT(*) AS count FROM users
         WHERE tenant_id = $1 AND name = $2 AND password_hash = $3 AND disabled_ms = 0",
    )
    .bind(user.tenant.as_str())
    .bind(&user.name)
    .bind(&user.password_hash)
    .fetch_one(&mut *write)
    .await?;
    if still.get::<i64, _>("count") == 0 {
        return Ok(false);
    }
    sqlx::query("DELETE FROM sessions WHERE expires_ms < $1").bind(now_ms()).execute(&mut *write).await?;
    sqlx::query("DELETE FROM lockouts WHERE name_sha256 = $1")
        .bind(name.to_string())
        .execute(&mut *write)
        .await?;
    sqlx::query(
        "INSERT INTO sessions (token_sha256, tenant_id, user_name, expires_ms) VALUES ($1, $2, $3, $4)",
    )
    .bind(token.to_string())
    .bind(user.tenant.as_str())
    .bind(&user.name)
    .bind(expires_ms)
    .execute(&mut *write)
    .await?;
    audit::add(&mut write, &user.tenant, &format!("user:{}", user.name), "sign-in", &user.name, "").await?;
    write.commit().await?;
    Ok(true)
}

fn sessions_of(user: &str) -> String {
    format!("sessions of {user}")
}

/// The session of a token, while it lasts.
pub async fn session(store: &Store, token: Digest) -> Result<Option<SessionRow>, StoreError> {
    let row = sqlx::query(
        "SELECT s.tenant_id, s.user_name, u.role FROM sessions s JOIN users u ON u.name = s.user_name
         WHERE s.token_sha256 = $1 AND s.expires_ms > $2 AND u.disabled_ms = 0",
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
        })
    })
    .transpose()
}

/// Ends a session, and says so in the audit where there was one.
pub async fn close_session(store: &Store, token: Digest) -> Result<(), StoreError> {
    let mut write = store.begin().await?;
    let row = sqlx::query("DELETE FROM sessions WHERE token_sha256 = $1 RETURNING tenant_id, user_name")
        .bind(token.to_string())
        .fetch_optional(&mut *write)
        .await?;
    if let Some(row) = row {
        let (tenant, user): (TenantId, String) = (word(row.get("tenant_id"))?, row.get("user_name"));
        audit::add(&mut write, &tenant, &format!("user:{user}"), "sign-out", &user, "").await?;
    }
    write.commit().await?;
    Ok(())
}

/// Keeps an enrolment code that somebody asked for, and says so in the audit.
pub async fn add_code(
    store: &Store,
    tenant: &TenantId,
    by: &str,
    code: Digest,
    expires_ms: i64,
) -> Result<(), StoreError> {
    let mut write = store.begin().await?;
    sqlx::query("INSERT INTO enrolment_codes (code_sha256, tenant_id, expires_ms) VALUES ($1, $2, $3)")
        .bind(code.to_string())
        .bind(tenant.as_str())
        .bind(expires_ms)
        .execute(&mut *write)
        .await?;
    audit::add(&mut write, tenant, by, "device.code", "", "").await?;
    write.commit().await?;
    Ok(())
}

/// Uses an enrolment code for a device with this key.
///
/// The first use makes the device; a repetition with the same key answers the same device, even after the
/// code's time, because its answer may have been lost. Anything else answers `None`. Of two that use it at once the
/// second waits, and sees what the first did.
pub async fn enrol(
    write: &mut Write,
    code: Digest,
    name: &str,
    public_key: &PublicKey,
) -> Result<Option<DeviceRow>, StoreError> {
    write.hold(format!("enrolment {code}")).await?;
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
        let is_known = device.public_key == *public_key && device.revoked_ms == 0;
        return Ok(is_known.then_some(device));
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
        revoked_ms: 0,
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

/// The tenant's devices after this one, oldest first.
pub async fn devices(
    store: &Store,
    tenant: &TenantId,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<Vec<DeviceRow>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM devices WHERE tenant_id = $1 AND device_id > $2 ORDER BY device_id LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(after.map_or_else(String::new, |id| id.to_string()))
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    rows.iter().map(read_device).collect()
}

/// Revokes a device: its tokens end at once.
pub async fn revoke_device(write: &mut Write, tenant: &TenantId, device: DeviceId) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE devices SET revoked_ms = CASE revoked_ms WHEN 0 THEN $1 ELSE revoked_ms END
         WHERE tenant_id = $2 AND device_id = $3",
    )
    .bind(now_ms())
    .bind(tenant.as_str())
    .bind(device.to_string())
    .execute(&mut **write)
    .await?;
    super::tokens::end_all(write, tenant, &device.to_string()).await
}

/// Gives a device another key: its tokens end at once.
pub async fn replace_key(
    write: &mut Write,
    tenant: &TenantId,
    device: DeviceId,
    key: &PublicKey,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE devices SET public_key = $1 WHERE tenant_id = $2 AND device_id = $3")
        .bind(&key.0)
        .bind(tenant.as_str())
        .bind(device.to_string())
        .execute(&mut **write)
        .await?;
    super::tokens::end_all(write, tenant, &device.to_string()).await
}

fn read_device(row: &AnyRow) -> Result<DeviceRow, StoreError> {
    Ok(DeviceRow {
        device_id: word(row.get("device_id"))?,
        tenant: word(row.get("tenant_id"))?,
        name: row.get("name"),
        public_key: PublicKey(row.get("public_key")),
        created_ms: row.get("created_ms"),
        revoked_ms: row.get("revoked_ms"),
    })
}
