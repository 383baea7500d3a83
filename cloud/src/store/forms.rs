//! The `forms` table: the copies of printed forms that people taught fields on.

use jiff::Timestamp;
use platen_capture::classify::layout::{Fingerprint, Template};
use platen_model::{DocumentId, DocumentType, TenantId};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use uuid::Uuid;

use super::{Store, StoreError, Write, from_ms, json, to_json, word};

/// Most copies of a tenant: each is compared with each document.
pub const FORMS: usize = 500;

/// A copy of a printed form.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// Its id.
    pub form_id: Uuid,
    /// Its name for people.
    pub name: String,
    /// What the document was that it was taught on.
    pub document_type: DocumentType,
    /// How it is told, and where its fields stand.
    pub template: Template,
    /// The document it is a copy of.
    pub document: DocumentId,
    /// Who taught it last, as `user:ada`.
    pub taught_by: String,
    /// When it was first taught.
    pub created: Timestamp,
    /// When it was last taught.
    pub updated: Timestamp,
}

/// Keeps a form, in the place of what it was before.
pub async fn put(write: &mut Write, tenant: &TenantId, form: &Form) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO forms
         (form_id, tenant_id, name, document_type, template, document_id, taught_by, created_ms, updated_ms, fingerprint)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (form_id) DO UPDATE SET name = excluded.name, template = excluded.template,
           taught_by = excluded.taught_by, updated_ms = excluded.updated_ms",
    )
    .bind(form.form_id.to_string())
    .bind(tenant.as_str())
    .bind(&form.name)
    .bind(&form.document_type.0)
    .bind(to_json(&form.template))
    .bind(form.document.to_string())
    .bind(&form.taught_by)
    .bind(form.created.as_millisecond())
    .bind(form.updated.as_millisecond())
    .bind(to_json(&form.template.fingerprint))
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// All copies of the tenant, in the order in which they were last taught: of two that say something of one field, the later
/// counts.
pub async fn all(reading: &mut AnyConnection, tenant: &TenantId) -> Result<Vec<Form>, StoreError> {
    let rows = sqlx::query("SELECT * FROM forms WHERE tenant_id = $1 ORDER BY updated_ms, form_id")
        .bind(tenant.as_str())
        .fetch_all(reading)
        .await?;
    rows.iter().map(read).collect()
}

/// Whether a tenant was taught anything.
pub async fn any(store: &Store, tenant: &TenantId) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM forms WHERE tenant_id = $1 LIMIT 1")
        .bind(tenant.as_str())
        .fetch_optional(store.reading())
        .await?;
    Ok(row.is_some())
}

/// The copies that a document with this fingerprint is another one of, in the same order. Only they are read as a whole.
pub async fn like(store: &Store, tenant: &TenantId, own: &Fingerprint) -> Result<Vec<Form>, StoreError> {
    let rows = sqlx::query(
        "SELECT form_id, fingerprint FROM forms WHERE tenant_id = $1 ORDER BY updated_ms, form_id",
    )
    .bind(tenant.as_str())
    .fetch_all(store.reading())
    .await?;
    let mut found = Vec::new();
    for row in rows {
        let fingerprint: Fingerprint = json(row.get("fingerprint"))?;
        if !fingerprint.is_same_form(own) {
            continue;
        }
        let form = sqlx::query("SELECT * FROM forms WHERE tenant_id = $1 AND form_id = $2")
            .bind(tenant.as_str())
            .bind(row.get::<String, _>("form_id"))
            .fetch_optional(store.reading())
            .await?;
        found.extend(form.map(|row| read(&row)).transpose()?);
    }
    Ok(found)
}

/// All copies, for who only looks.
pub async fn list(store: &Store, tenant: &TenantId) -> Result<Vec<Form>, StoreError> {
    let mut reading = store.reading().acquire().await?;
    all(&mut reading, tenant).await
}

/// Removes a form; answers whether the tenant had it.
pub async fn remove(write: &mut Write, tenant: &TenantId, form: Uuid) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM forms WHERE tenant_id = $1 AND form_id = $2")
        .bind(tenant.as_str())
        .bind(form.to_string())
        .execute(&mut **write)
        .await?;
    Ok(done.rows_affected() > 0)
}

fn read(row: &AnyRow) -> Result<Form, StoreError> {
    Ok(Form {
        form_id: word(row.get("form_id"))?,
        name: row.get("name"),
        document_type: DocumentType(row.get("document_type")),
        template: json(row.get("template"))?,
        document: word(row.get("document_id"))?,
        taught_by: row.get("taught_by"),
        created: from_ms(row.get("created_ms")),
        updated: from_ms(row.get("updated_ms")),
    })
}
