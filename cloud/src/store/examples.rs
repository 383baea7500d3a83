//! The `examples` table: what people said documents are, as their events told it.
//!
//! An approval confirms the type and every value that was shown; a correction tells what it corrects. Of a document whose
//! type nobody knows, nothing is learnt. The text is kept by its digest: it is the one the person saw, whatever is read of
//! the pages later.

use std::collections::BTreeMap;

use jiff::Timestamp;
use platen_model::api::Document;
use platen_model::event::{Actor, Event, EventBody, Status};
use platen_model::{Digest, DocumentId, DocumentType, PartRole, TenantId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

use super::record::Record;
use super::{Store, StoreError, Write, from_ms, json, to_json, word};

/// What a person said of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The document.
    pub document_id: DocumentId,
    /// What it is.
    pub document_type: DocumentType,
    /// The values it has, by field; an empty value says that it has no such field.
    pub fields: BTreeMap<String, String>,
    /// The name its first original had.
    pub file_name: String,
    /// The digest of the page text the person saw.
    pub page_text: Digest,
    /// Who said so, as `user:ada`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What a person said of a document, with where the document came from.
#[derive(Clone, Debug)]
pub struct Sourced {
    /// What was said.
    pub told: Told,
    /// The hot folder or program the document came by.
    pub source: String,
    /// When it came.
    pub received_at: Timestamp,
}

/// What is told of a document after an event; `before` is what was told until then, `record` the document after it.
pub(crate) fn told(before: Option<Told>, record: &Record, event: &Event) -> Option<Told> {
    let document = &record.document;
    if document.status == Status::Deleted {
        return None;
    }
    let fields = match (&event.actor, &event.body) {
        (Actor::User(_) | Actor::Client(_), EventBody::Approved { fields, .. }) => {
            let shown = document.fields.iter().filter(|(_, field)| !field.value.is_empty());
            let shown = shown.map(|(name, field)| (name.clone(), field.value.clone()));
            shown.chain(fields.clone()).collect()
        }
        (Actor::User(_) | Actor::Client(_), EventBody::Corrected { document_type, fields, .. })
            if document_type.is_some() || !fields.is_empty() =>
        {
            let before = before.iter().flat_map(|told| told.fields.clone());
            before.chain(fields.clone()).collect()
        }
        _ => return before,
    };
    let page_text = record.part(PartRole::PageText)?.sha256;
    if document.document_type.is_unknown() {
        return before;
    }
    Some(Told {
        document_id: document.document_id,
        document_type: document.document_type.clone(),
        fields,
        file_name: document.file_name.clone(),
        page_text,
        by: event.actor.to_string(),
        at: event.at,
    })
}

/// Brings the example of a document up to date with an event.
pub(crate) async fn project(
    write: &mut Write,
    tenant: &TenantId,
    record: &Record,
    event: &Event,
) -> Result<(), StoreError> {
    let document = record.document.document_id;
    let before = find(write, tenant, document).await?;
    let after = told(before.clone(), record, event);
    if after == before {
        return Ok(());
    }
    sqlx::query("DELETE FROM examples WHERE tenant_id = $1 AND document_id = $2")
        .bind(tenant.as_str())
        .bind(document.to_string())
        .execute(&mut **write)
        .await?;
    let Some(told) = after else { return Ok(()) };
    sqlx::query(
        "INSERT INTO examples
         (tenant_id, document_id, document_type, fields, file_name, page_text_sha256, told_by, told_ms)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(tenant.as_str())
    .bind(document.to_string())
    .bind(&told.document_type.0)
    .bind(to_json(&told.fields))
    .bind(&told.file_name)
    .bind(told.page_text.to_string())
    .bind(&told.by)
    .bind(told.at.as_millisecond())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// What was told of a document.
pub(crate) async fn find(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Option<Told>, StoreError> {
    let row = sqlx::query("SELECT * FROM examples WHERE tenant_id = $1 AND document_id = $2")
        .bind(tenant.as_str())
        .bind(document.to_string())
        .fetch_optional(reading)
        .await?;
    row.map(|row| read(&row)).transpose()
}

/// The tenant's examples, by their documents' ids, at most `limit`, after one of them.
pub async fn list(
    store: &Store,
    tenant: &TenantId,
    after: Option<DocumentId>,
    limit: u32,
) -> Result<Vec<Sourced>, StoreError> {
    let rows = sqlx::query(
        "SELECT e.*, d.record AS record FROM examples e JOIN documents d ON d.document_id = e.document_id
         WHERE e.tenant_id = $1 AND e.document_id > $2 ORDER BY e.document_id LIMIT $3",
    )
    .bind(tenant.as_str())
    .bind(after.map(|document| document.to_string()).unwrap_or_default())
    .bind(i64::from(limit))
    .fetch_all(store.reading())
    .await?;
    let sourced = |row: &AnyRow| {
        let Document { source, created_at, .. } = json::<Record>(row.get("record"))?.document;
        Ok(Sourced { told: read(row)?, source, received_at: created_at })
    };
    rows.iter().map(sourced).collect()
}

fn read(row: &AnyRow) -> Result<Told, StoreError> {
    Ok(Told {
        document_id: word(row.get("document_id"))?,
        document_type: DocumentType(row.get("document_type")),
        fields: json(row.get("fields"))?,
        file_name: row.get("file_name"),
        page_text: word(row.get("page_text_sha256"))?,
        by: row.get("told_by"),
        at: from_ms(row.get("told_ms")),
    })
}

#[cfg(test)]
mod tests {
    use platen_model::{Part, Violation};

    use super::*;
    use crate::testing::{part, record};

    #[test]
    fn a_document_that_is_deleted_has_no_example_and_machines_make_none() {
        let mut record = record("invoice", &[("total", "1.00 EUR")]);
        let text: Part = part(PartRole::PageText, b"text", "application/json");
        record.parts = vec![text.clone()];
        let approved = |actor: Actor| Event {
            document_id: record.document.document_id,
            sequence: 1,
            at: Timestamp::UNIX_EPOCH,
            actor,
            body: EventBody::Approved {
                read: None,
                document_type: None,
                fields: BTreeMap::new(),
                comment: None,
                override_reason: None,
                overridden: Vec::<Violation>::new(),
            },
            previous: Event::origin(record.document.document_id),
        };
        assert_eq!(told(None, &record, &approved(Actor::System)), None);
        let found = told(None, &record, &approved(Actor::User("ada".into()))).expect("told");
        assert_eq!((found.page_text, found.fields["total"].as_str()), (text.sha256, "1.00 EUR"));
        record.document.status = Status::Deleted;
        assert_eq!(told(Some(found), &record, &approved(Actor::System)), None);
    }
}
