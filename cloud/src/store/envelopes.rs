//! The `envelopes` table: each envelope as the events of its document left it.
//!
//! The row is written by the `EnvelopeCreated` event itself, so our key is stored before anybody can call the
//! provider with it (INV-10).

use std::collections::BTreeMap;

use platen_model::api::Envelope;
use platen_model::event::{Event, EventBody};
use platen_model::{Digest, DocumentId, EnvelopeId, TenantId};
use sqlx::{AnyConnection, Row as _};

use super::record::Record;
use super::{Store, StoreError, Write, from_ms, json, to_json, word};

/// What an event means for the envelopes of its document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// There is a new one, for the PDF of this digest.
    Made(Envelope, Digest),
    /// One came further.
    Moved {
        /// Which.
        envelope_id: EnvelopeId,
        /// Its new state.
        status: &'static str,
        /// The provider's name for it, where it was told.
        reference: Option<String>,
        /// When.
        at: jiff::Timestamp,
    },
}

/// What an event means for the envelopes of its document; `record` is the document after it.
pub(crate) fn change(record: &Record, event: &Event) -> Option<Change> {
    let (status, reference) = match &event.body {
        EventBody::EnvelopeCreated { envelope_id, provider, document_sha256 } => {
            let envelope = Envelope {
                envelope_id: *envelope_id,
                document_id: event.document_id,
                provider: provider.clone(),
                provider_reference: None,
                status: "created".into(),
                recipients: record.recipients.clone(),
                blanks: record.blanks.clone(),
                // As its row can hold it.
                expires_at: record.expires_at.map(|at| from_ms(at.as_millisecond())),
                created_at: event.at,
                updated_at: event.at,
            };
            return Some(Change::Made(envelope, *document_sha256));
        }
        EventBody::Sent { provider_reference } => ("sent", Some(provider_reference.clone())),
        EventBody::Viewed { .. } | EventBody::RecipientSigned { .. } => ("viewed", None),
        EventBody::Signed { .. } => ("completed", None),
        EventBody::Declined { .. } => ("declined", None),
        EventBody::Expired => ("expired", None),
        EventBody::Voided { .. } => ("voided", None),
        _ => return None,
    };
    let envelope_id = record.document.envelope_id?;
    Some(Change::Moved { envelope_id, status, reference, at: event.at })
}

/// The envelopes that a document's events lead to, each with the digest of its PDF.
pub(crate) fn all_of<'a>(
    steps: impl IntoIterator<Item = (&'a Event, &'a Record)>,
) -> BTreeMap<EnvelopeId, (Envelope, Digest)> {
    let mut all = BTreeMap::new();
    for change in steps.into_iter().filter_map(|(event, record)| change(record, event)) {
        match change {
            Change::Made(envelope, pdf) => {
                all.insert(envelope.envelope_id, (envelope, pdf));
            }
            Change::Moved { envelope_id, status, reference, at } => {
                let Some((envelope, _)) = all.get_mut(&envelope_id) else { continue };
                envelope.status = status.into();
                envelope.provider_reference = reference.or(envelope.provider_reference.take());
                envelope.updated_at = at;
            }
        }
    }
    all
}

/// Brings the envelope up to date with an event of its document.
pub(crate) async fn project(
    write: &mut Write,
    tenant: &TenantId,
    record: &Record,
    event: &Event,
) -> Result<(), StoreError> {
    match change(record, event) {
        None => {}
        Some(Change::Made(envelope, pdf)) => {
            sqlx::query(
                "INSERT INTO envelopes (envelope_id, tenant_id, document_id, provider, status, signers, blanks,
                 expires_ms, document_sha256, created_ms, updated_ms)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            )
            .bind(envelope.envelope_id.to_string())
            .bind(tenant.as_str())
            .bind(envelope.document_id.to_string())
            .bind(&envelope.provider)
            .bind(&envelope.status)
            .bind(to_json(&envelope.recipients))
            .bind(to_json(&envelope.blanks))
            .bind(envelope.expires_at.map(jiff::Timestamp::as_millisecond))
            .bind(pdf.to_string())
            .bind(envelope.created_at.as_millisecond())
            .bind(envelope.updated_at.as_millisecond())
            .execute(&mut **write)
            .await?;
        }
        Some(Change::Moved { envelope_id, status, reference, at }) => {
            sqlx::query(
                "UPDATE envelopes SET status = $1, provider_reference = COALESCE($2, provider_reference),
                   updated_ms = $3 WHERE tenant_id = $4 AND envelope_id = $5",
            )
            .bind(status)
            .bind(reference)
            .bind(at.as_millisecond())
            .bind(tenant.as_str())
            .bind(envelope_id.to_string())
            .execute(&mut **write)
            .await?;
        }
    }
    Ok(())
}

/// The rows of a document's envelopes as they are, for comparison with [`all_of`].
pub(crate) async fn rows_of(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<BTreeMap<EnvelopeId, (Envelope, Digest)>, StoreError> {
    let rows = sqlx::query("SELECT * FROM envelopes WHERE tenant_id = $1 AND document_id = $2")
        .bind(tenant.as_str())
        .bind(document.to_string())
        .fetch_all(reading)
        .await?;
    rows.iter()
        .map(|row| {
            let envelope = read(row)?;
            Ok((envelope.envelope_id, (envelope, word(row.get("document_sha256"))?)))
        })
        .collect()
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

/// How long an envelope is open where its route does not say, in milliseconds.
pub const OPEN_MS: i64 = 30 * 24 * 3600 * 1000;
/// An envelope is overdue so long after its time is over, in milliseconds: its provider, or our way to it, needs a
/// person.
pub const OVERDUE_MS: i64 = 24 * 3600 * 1000;

/// Whether an open envelope of a document that waits for its signers is overdue.
pub fn is_overdue(envelope: &Envelope, now: jiff::Timestamp) -> bool {
    let open = matches!(envelope.status.as_str(), "created" | "sent" | "viewed");
    let ends =
        envelope.expires_at.map_or(envelope.created_at.as_millisecond() + OPEN_MS, |at| at.as_millisecond());
    open && ends < now.as_millisecond() - OVERDUE_MS
}

/// An overdue envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Its document.
    pub document_id: DocumentId,
    /// The document's name.
    pub file_name: String,
    /// The provider.
    pub provider: String,
    /// When its time was over.
    pub ended_at: jiff::Timestamp,
}

/// The longest overdue envelopes of a tenant, at most `limit`.
pub async fn overdue(store: &Store, tenant: &TenantId, limit: u32) -> Result<Vec<Overdue>, StoreError> {
    let rows = sqlx::query(
        "SELECT e.document_id, d.file_name, e.provider, COALESCE(e.expires_ms, e.created_ms + $1) AS ends_ms
         FROM envelopes e JOIN documents d ON d.document_id = e.document_id
         WHERE e.tenant_id = $2 AND e.status IN ('created', 'sent', 'viewed')
           AND d.status IN ('envelope_created', 'sent', 'viewed')
           AND COALESCE(e.expires_ms, e.created_ms + $1) < $3
         ORDER BY ends_ms, e.document_id LIMIT $4",
    )
    .bind(OPEN_MS)
    .bind(tenant.as_str())
    .bind(super::now_ms() - OVERDUE_MS)
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    let read = |row: &sqlx::any::AnyRow| {
        Ok(Overdue {
            document_id: word(row.get("document_id"))?,
            file_name: row.get("file_name"),
            provider: row.get("provider"),
            ended_at: from_ms(row.get("ends_ms")),
        })
    };
    rows.iter().map(read).collect()
}

/// How many envelopes of all tenants are overdue.
pub async fn count_overdue(store: &Store) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS count FROM envelopes e JOIN documents d ON d.document_id = e.document_id
         WHERE e.status IN ('created', 'sent', 'viewed') AND d.status IN ('envelope_created', 'sent', 'viewed')
           AND COALESCE(e.expires_ms, e.created_ms + $1) < $2",
    )
    .bind(OPEN_MS)
    .bind(super::now_ms() - OVERDUE_MS)
    .fetch_one(store.reading())
    .await?;
    Ok(row.get("count"))
}

fn read(row: &sqlx::any::AnyRow) -> Result<Envelope, StoreError> {
    Ok(Envelope {
        envelope_id: word(row.get("envelope_id"))?,
        document_id: word(row.get("document_id"))?,
        provider: row.get("provider"),
        provider_reference: row.get("provider_reference"),
        status: row.get("status"),
        recipients: json(row.get("signers"))?,
        blanks: json(row.get("blanks"))?,
        expires_at: row.get::<Option<i64>, _>("expires_ms").map(from_ms),
        created_at: from_ms(row.get("created_ms")),
        updated_at: from_ms(row.get("updated_ms")),
    })
}
