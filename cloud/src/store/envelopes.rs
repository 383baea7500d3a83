//! The `envelopes` table: each envelope as the events of its document left it.
//!
//! The row is written by the `EnvelopeCreated` event itself, so our key is stored before anybody can call the
//! provider with it (INV-10).

use platen_model::api::Envelope;
use platen_model::event::{Event, EventBody};
use platen_model::{Digest, DocumentId, EnvelopeId, TenantId};
use sqlx::Row as _;

use super::record::Record;
use super::{Store, StoreError, Write, from_ms, json, to_json, word};

/// Brings the envelope up to date with an event of its document.
pub(crate) async fn project(
    write: &mut Write,
    tenant: &TenantId,
    record: &Record,
    event: &Event,
) -> Result<(), StoreError> {
    let at = event.at.as_millisecond();
    if let EventBody::EnvelopeCreated { envelope_id, provider, document_sha256 } = &event.body {
        sqlx::query(
            "INSERT INTO envelopes (envelope_id, tenant_id, document_id, provider, status, signers,
             document_sha256, created_ms, updated_ms) VALUES ($1, $2, $3, $4, 'created', $5, $6, $7, $8)",
        )
        .bind(envelope_id.to_string())
        .bind(tenant.as_str())
        .bind(event.document_id.to_string())
        .bind(provider)
        .bind(to_json(&record.signers))
        .bind(document_sha256.to_string())
        .bind(at)
        .bind(at)
        .execute(&mut **write)
        .await?;
        return Ok(());
    }
    let (status, reference) = match &event.body {
        EventBody::Sent { provider_reference } => ("sent", Some(provider_reference)),
        EventBody::Viewed { .. } => ("viewed", None),
        EventBody::Signed { .. } => ("completed", None),
        EventBody::Declined { .. } => ("declined", None),
        EventBody::Expired => ("expired", None),
        EventBody::Voided { .. } => ("voided", None),
        _ => return Ok(()),
    };
    let Some(envelope) = record.document.envelope_id else { return Ok(()) };
    sqlx::query(
        "UPDATE envelopes SET status = $1, provider_reference = COALESCE($2, provider_reference), updated_ms = $3
         WHERE tenant_id = $4 AND envelope_id = $5",
    )
    .bind(status)
    .bind(reference)
    .bind(at)
    .bind(tenant.as_str())
    .bind(envelope.to_string())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// An envelope of this tenant, and the digest of the PDF it is for.
pub async fn find(
    store: &Store,
    tenant: &TenantId,
    envelope: EnvelopeId,
) -> Result<Option<(Envelope, Digest)>, StoreError> {
    let row = sqlx::query("SELECT * FROM envelopes WHERE tenant_id = $1 AND envelope_id = $2")
        .bind(tenant.as_str())
        .bind(envelope.to_string())
        .fetch_optional(store.reading())
        .await?;
    row.map(|row| Ok((read(&row)?, word(row.get("document_sha256"))?))).transpose()
}

/// The envelope a provider knows by its own reference.
pub async fn by_reference(
    store: &Store,
    tenant: &TenantId,
    provider: &str,
    reference: &str,
) -> Result<Option<Envelope>, StoreError> {
    let row = sqlx::query(
        "SELECT * FROM envelopes WHERE tenant_id = $1 AND provider = $2 AND provider_reference = $3",
    )
    .bind(tenant.as_str())
    .bind(provider)
    .bind(reference)
    .fetch_optional(store.reading())
    .await?;
    row.map(|row| read(&row)).transpose()
}

/// All envelopes a document ever had, oldest first.
pub async fn of_document(
    store: &Store,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Vec<Envelope>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM envelopes WHERE tenant_id = $1 AND document_id = $2 ORDER BY created_ms, envelope_id",
    )
    .bind(tenant.as_str())
    .bind(document.to_string())
    .fetch_all(store.reading())
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &sqlx::any::AnyRow) -> Result<Envelope, StoreError> {
    Ok(Envelope {
        envelope_id: word(row.get("envelope_id"))?,
        document_id: word(row.get("document_id"))?,
        provider: row.get("provider"),
        provider_reference: row.get("provider_reference"),
        status: row.get("status"),
        signers: json(row.get("signers"))?,
        created_at: from_ms(row.get("created_ms")),
        updated_at: from_ms(row.get("updated_ms")),
    })
}
