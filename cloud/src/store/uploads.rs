//! The `uploads` table: resumable uploads under way. `received` counts only bytes that are fsynced.

use std::collections::BTreeSet;

use platen_model::{Digest, TenantId, UploadId};
use sqlx::Row as _;

use super::{Store, StoreError, Write, from_ms, now_ms, word};

/// An upload under way.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its id.
    pub upload_id: UploadId,
    /// The digest its bytes must have.
    pub sha256: Digest,
    /// Their media type.
    pub mime: String,
    /// Their number.
    pub bytes: u64,
    /// How many of them are durable here.
    pub received: u64,
    /// When it may be forgotten.
    pub expires_at: jiff::Timestamp,
}

/// Keeps a new upload.
pub async fn insert(write: &mut Write, tenant: &TenantId, upload: &Upload) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO uploads (upload_id, tenant_id, sha256, mime, bytes, received, expires_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(upload.upload_id.to_string())
    .bind(tenant.as_str())
    .bind(upload.sha256.to_string())
    .bind(&upload.mime)
    .bind(upload.bytes as i64)
    .bind(upload.received as i64)
    .bind(upload.expires_at.as_millisecond())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// An upload of this tenant.
pub async fn find(store: &Store, tenant: &TenantId, upload: UploadId) -> Result<Option<Upload>, StoreError> {
    let row = sqlx::query("SELECT * FROM uploads WHERE tenant_id = $1 AND upload_id = $2")
        .bind(tenant.as_str())
        .bind(upload.to_string())
        .fetch_optional(store.writing())
        .await?;
    row.map(|row| {
        Ok(Upload {
            upload_id: word(row.get("upload_id"))?,
            sha256: word(row.get("sha256"))?,
            mime: row.get("mime"),
            bytes: row.get::<i64, _>("bytes").unsigned_abs(),
            received: row.get::<i64, _>("received").unsigned_abs(),
            expires_at: from_ms(row.get("expires_ms")),
        })
    })
    .transpose()
}

/// Bytes of an upload that wait beside the blobs, where nodes share the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where they begin in the upload.
    pub begins: u64,
    /// Their number.
    pub bytes: u64,
    /// Their name in the storage.
    pub name: String,
}

/// Keeps a new upload whose bytes are to come as one piece by another way.
pub async fn insert_presigned(
    write: &mut Write,
    tenant: &TenantId,
    upload: &Upload,
    piece: &Piece,
) -> Result<(), StoreError> {
    insert(write, tenant, upload).await?;
    add_piece(write, tenant, upload.upload_id, piece).await
}

async fn add_piece(
    write: &mut Write,
    tenant: &TenantId,
    upload: UploadId,
    piece: &Piece,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO upload_pieces (upload_id, tenant_id, begins, bytes, name) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(upload.to_string())
    .bind(tenant.as_str())
    .bind(piece.begins as i64)
    .bind(piece.bytes as i64)
    .bind(&piece.name)
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// Records that an upload is a blob by now: its row stays a while, to answer a client whose answer was lost.
pub async fn finished(
    store: &Store,
    tenant: &TenantId,
    upload: UploadId,
    expires_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE uploads SET expires_ms = $1 WHERE tenant_id = $2 AND upload_id = $3 AND expires_ms > $1",
    )
    .bind(expires_ms)
    .bind(tenant.as_str())
    .bind(upload.to_string())
    .execute(store.writing())
    .await?;
    Ok(())
}

/// How many uploads of the tenant are under way, and the bytes they announced.
pub async fn under_way(write: &mut Write, tenant: &TenantId) -> Result<(u64, u64), StoreError> {
    let row = sqlx::query(UNDER_WAY).bind(tenant.as_str()).fetch_one(&mut **write).await?;
    Ok((row.get::<i64, _>("count").unsigned_abs(), row.get::<i64, _>("bytes").unsigned_abs()))
}

pub(super) const UNDER_WAY: &str =
    "SELECT COUNT(*) AS count, CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes
     FROM uploads WHERE tenant_id = $1 AND received < bytes";

/// Records how many bytes are durable, with the pieces they are in, and puts the end of its life off. `false`, and
/// nothing changed, where the upload does not stand at `before` any more.
pub async fn advance(
    store: &Store,
    tenant: &TenantId,
    upload: &Upload,
    before: u64,
    pieces: &[Piece],
) -> Result<bool, StoreError> {
    let mut write = store.begin().await?;
    let done = sqlx::query(
        "UPDATE uploads SET received = $1, expires_ms = $2
         WHERE tenant_id = $3 AND upload_id = $4 AND received = $5",
    )
    .bind(upload.received as i64)
    .bind(upload.expires_at.as_millisecond())
    .bind(tenant.as_str())
    .bind(upload.upload_id.to_string())
    .bind(before as i64)
    .execute(&mut *write)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    for piece in pieces {
        add_piece(&mut write, tenant, upload.upload_id, piece).await?;
    }
    write.commit().await?;
    Ok(true)
}

/// The recorded pieces of an upload, in their order.
pub async fn pieces(store: &Store, tenant: &TenantId, upload: UploadId) -> Result<Vec<Piece>, StoreError> {
    let rows = sqlx::query(
        "SELECT begins, bytes, name FROM upload_pieces WHERE tenant_id = $1 AND upload_id = $2 ORDER BY begins",
    )
    .bind(tenant.as_str())
    .bind(upload.to_string())
    .fetch_all(store.writing())
    .await?;
    let piece = |row: &super::DbRow| Piece {
        begins: row.get::<i64, _>("begins").unsigned_abs(),
        bytes: row.get::<i64, _>("bytes").unsigned_abs(),
        name: row.get("name"),
    };
    Ok(rows.iter().map(piece).collect())
}

/// Forgets the pieces of an upload.
pub async fn remove_pieces(store: &Store, tenant: &TenantId, upload: UploadId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM upload_pieces WHERE tenant_id = $1 AND upload_id = $2")
        .bind(tenant.as_str())
        .bind(upload.to_string())
        .execute(store.writing())
        .await?;
    Ok(())
}

/// Whether a piece of this name is recorded, whoever's it is: housekeeping, not an answer to anybody.
pub async fn is_piece(store: &Store, name: &str) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS count FROM upload_pieces WHERE name = $1")
        .bind(name)
        .fetch_one(store.reading())
        .await?;
    Ok(row.get::<i64, _>("count") > 0)
}

/// Forgets an upload.
pub async fn remove(store: &Store, tenant: &TenantId, upload: UploadId) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM uploads WHERE tenant_id = $1 AND upload_id = $2")
        .bind(tenant.as_str())
        .bind(upload.to_string())
        .execute(store.writing())
        .await?;
    Ok(())
}

/// The uploads of all tenants: housekeeping, not an answer to anybody.
pub async fn all(store: &Store) -> Result<BTreeSet<UploadId>, StoreError> {
    let rows = sqlx::query("SELECT upload_id FROM uploads").fetch_all(store.reading()).await?;
    rows.iter().map(|row| word(row.get("upload_id"))).collect()
}

/// An upload of some tenant whose time is over, and when that was, in milliseconds since 1970.
pub type Expired = (i64, UploadId, TenantId);

/// The next uploads of all tenants whose time is over, after one of them: housekeeping, not an answer to anybody.
pub async fn expired(store: &Store, after: Option<&Expired>) -> Result<Vec<Expired>, StoreError> {
    let (after_ms, after_id) = after.map_or((i64::MIN, String::new()), |(ms, id, _)| (*ms, id.to_string()));
    let rows =
        sqlx::query(EXPIRED).bind(now_ms()).bind(after_ms).bind(after_id).fetch_all(store.reading()).await?;
    let read = |row: &super::DbRow| {
        Ok((row.get("expires_ms"), word(row.get("upload_id"))?, word(row.get("tenant_id"))?))
    };
    rows.iter().map(read).collect()
}

pub(super) const EXPIRED: &str = "SELECT expires_ms, upload_id, tenant_id FROM uploads
     WHERE expires_ms < $1 AND expires_ms >= $2 AND (expires_ms > $2 OR upload_id > $3)
     ORDER BY expires_ms, upload_id LIMIT 100";
