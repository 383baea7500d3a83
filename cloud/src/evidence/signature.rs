//! The device's signature of its manifest, from the moment it is received until the evidence is packed.

use platen_model::keys::PublicKey;
use platen_model::{DocumentId, TenantId};
use sqlx::{Any, Executor, Row as _};

use super::DeviceSignature;
use crate::store::{StoreError, word};

/// Keeps a verified signature. Call it in the transaction of the document's first event; repeating it
/// changes nothing.
pub async fn keep<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
    document: DocumentId,
    signature: &DeviceSignature,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO manifest_signatures (document_id, tenant_id, device_id, public_key, signature)
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (document_id) DO NOTHING",
    )
    .bind(document.to_string())
    .bind(tenant.as_str())
    .bind(signature.device_id.to_string())
    .bind(&signature.public_key.0)
    .bind(&signature.signature)
    .execute(executor)
    .await?;
    Ok(())
}

/// The signature of a document's manifest; `None` where no device sent it.
pub async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Option<DeviceSignature>, StoreError> {
    let row = sqlx::query("SELECT * FROM manifest_signatures WHERE tenant_id = $1 AND document_id = $2")
        .bind(tenant.as_str())
        .bind(document.to_string())
        .fetch_optional(executor)
        .await?;
    row.map(|row| {
        Ok(DeviceSignature {
            device_id: word(row.get("device_id"))?,
            public_key: PublicKey(row.get("public_key")),
            signature: row.get("signature"),
        })
    })
    .transpose()
}
