//! The `documents` table: each document as its events left it.

use jiff::Timestamp;
use platen_model::api::{Document, Page};
use platen_model::event::Status;
use platen_model::{CorrelationId, Digest, DocumentId, DocumentType, PartRole, TenantId};
use sqlx::Row as _;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Executor};

use super::finds::{Bounds, Search};
use super::record::Record;
use super::search::{self, Question};
use super::{Store, StoreError, Write, json, to_json};

/// The most documents that are told of one capture.
pub const RELATED_MAX: i64 = 200;
/// Documents that are looked at for one of the same bytes.
const TWINS: i64 = 20;

/// What a list shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only documents in this state.
    pub status: Option<Status>,
    /// Only documents of this type.
    pub document_type: Option<DocumentType>,
    /// Only documents in which this is found; among all of the tenant's in the order in which they were received.
    pub search: Option<Question>,
    /// Go on after this document (older ones follow).
    pub after: Option<DocumentId>,
    /// At most so many.
    pub limit: u32,
}

/// A document of this tenant.
pub async fn find<'e>(
    executor: impl Executor<'e, Database = Any>,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Option<Record>, StoreError> {
    let row = sqlx::query(
        "SELECT record, (SELECT COALESCE(MAX(failures), 0) FROM jobs WHERE jobs.document_id = d.document_id) AS failures
         FROM documents d WHERE tenant_id = $1 AND document_id = $2",
    )
    .bind(tenant.as_str())
    .bind(document.to_string())
    .fetch_optional(executor)
    .await?;
    row.map(|row| read(&row)).transpose()
}

/// The trace a document belongs to.
pub async fn trace(
    store: &Store,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query("SELECT trace FROM documents WHERE tenant_id = $1 AND document_id = $2")
        .bind(tenant.as_str())
        .bind(document.to_string())
        .fetch_optional(store.reading())
        .await?;
    Ok(row.map(|row| row.get("trace")))
}

/// The tenant's newest document that is these bytes: they are its only original, they are here, and no other document was
/// made of them as well, as of a batch that was divided.
pub async fn of_original(
    write: &mut Write,
    tenant: &TenantId,
    sha256: Digest,
) -> Result<Option<Record>, StoreError> {
    let rows = sqlx::query(OF_ORIGINAL)
        .bind(tenant.as_str())
        .bind(sha256.to_string())
        .bind(tenant.as_str())
        .bind(TWINS)
        .fetch_all(&mut **write)
        .await?;
    let mut records = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    records.retain(|record| {
        let mut originals = record.parts.iter().filter(|part| part.role == PartRole::Original);
        let only = originals.next().filter(|_| originals.next().is_none());
        only.is_some_and(|part| part.sha256 == sha256)
    });
    let is_whole = |record: &&Record| {
        let trace = &record.document.correlation_id;
        let of_trace = records.iter().filter(|other| other.document.correlation_id == *trace).count();
        of_trace == 1 && !record.awaiting.contains(&sha256) && record.document.status != Status::Deleted
    };
    Ok(records.iter().find(is_whole).cloned())
}

/// The rows of `blob_references` come first: left to itself SQLite reads all of the tenant's documents in their order.
pub(super) const OF_ORIGINAL: &str =
    "SELECT d.record, 0 AS failures FROM blob_references r CROSS JOIN documents d
     WHERE r.tenant_id = $1 AND r.sha256 = $2 AND d.document_id = r.document_id AND d.tenant_id = $3
     ORDER BY r.document_id DESC LIMIT $4";

/// The tenant's documents, newest first, by the time their capture was made; what is searched for among all of them in the
/// order in which it was received.
pub async fn list(store: &Store, tenant: &TenantId, filter: &Filter) -> Result<Page<Document>, StoreError> {
    let Page { items, next } = records(store, tenant, filter, None).await?;
    Ok(Page { items: items.into_iter().map(|record| record.document).collect(), next })
}

/// The same with everything that is known of them; only those received since a time, where one is given: the last received
/// first.
pub async fn records(
    store: &Store,
    tenant: &TenantId,
    filter: &Filter,
    since: Option<Timestamp>,
) -> Result<Page<Record>, StoreError> {
    match &filter.search {
        None => listed(store, tenant, filter, since).await,
        Some(question) if question.is_empty() => Ok(Page { items: Vec::new(), next: None }),
        Some(question) => {
            let bounds = Bounds::of(store.engine());
            Search { store, tenant, filter, question, bounds }.page().await
        }
    }
}

async fn listed(
    store: &Store,
    tenant: &TenantId,
    filter: &Filter,
    since: Option<Timestamp>,
) -> Result<Page<Record>, StoreError> {
    let limit = filter.limit.max(1);
    let wording = Wording::of_list(tenant, filter, since);
    let rows = wording.query().fetch_all(store.reading()).await?;
    let more = rows.len() > limit as usize;
    let items = rows.iter().take(limit as usize).map(read).collect::<Result<Vec<_>, _>>()?;
    let next = items.last().filter(|_| more).map(|record| record.document.document_id.to_string());
    Ok(Page { items, next })
}

/// The documents that came of one capture, at most [`RELATED_MAX`].
pub async fn of_trace(
    store: &Store,
    tenant: &TenantId,
    trace: &CorrelationId,
) -> Result<Vec<Document>, StoreError> {
    related(
        store,
        tenant,
        trace,
        "SELECT record, 0 AS failures FROM documents WHERE tenant_id = $1 AND trace = $2
         ORDER BY document_id LIMIT $3",
    )
    .await
}

/// The documents that take the place of those that came of one capture, at most [`RELATED_MAX`].
pub async fn replacing(
    store: &Store,
    tenant: &TenantId,
    trace: &CorrelationId,
) -> Result<Vec<Document>, StoreError> {
    related(
        store,
        tenant,
        trace,
        "SELECT record, 0 AS failures FROM documents WHERE tenant_id = $1 AND replaces = $2
         ORDER BY document_id LIMIT $3",
    )
    .await
}

async fn related(
    store: &Store,
    tenant: &TenantId,
    trace: &CorrelationId,
    wording: &'static str,
) -> Result<Vec<Document>, StoreError> {
    let rows = sqlx::query(wording)
        .bind(tenant.as_str())
        .bind(trace.as_str())
        .bind(RELATED_MAX)
        .fetch_all(store.reading())
        .await?;
    rows.iter().map(|row| read(row).map(|record| record.document)).collect()
}

/// A statement that is put together, and its values in their order.
///
/// Only the conditions that are asked for are in it: one that may hold for any row would keep the indices from being used.
#[derive(Debug, Default)]
pub(super) struct Wording {
    pub(super) sql: String,
    pub(super) values: Vec<String>,
}

/// How often a document's jobs failed, as lists show it; `of` is how the statement names the document's row.
pub(super) fn failures(of: &str) -> String {
    format!("(SELECT COALESCE(MAX(failures), 0) FROM jobs WHERE jobs.document_id = {of}.document_id)")
}

impl Wording {
    /// Takes a value, and answers how the statement names it.
    pub(super) fn bind(&mut self, value: impl ToString) -> String {
        self.values.push(value.to_string());
        format!("${}", self.values.len())
    }

    pub(super) fn query(&self) -> sqlx::query::Query<'_, Any, sqlx::any::AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(self.sql.clone()));
        self.values.iter().fold(query, |query, value| query.bind(value.as_str()))
    }

    /// What narrows documents, as conditions of `d`.
    pub(super) fn narrowing(&mut self, filter: &Filter) -> String {
        let mut conditions = String::new();
        if let Some(status) = filter.status {
            conditions += &format!(" AND d.status = {}", self.bind(status));
        }
        if let Some(kind) = &filter.document_type {
            conditions += &format!(" AND d.document_type = {}", self.bind(&kind.0));
        }
        conditions
    }

    pub(super) fn of_list(tenant: &TenantId, filter: &Filter, since: Option<Timestamp>) -> Self {
        let mut wording = Self::default();
        let tenant = wording.bind(tenant);
        let mut conditions = wording.narrowing(filter);
        let after = filter.after.map(|after| wording.bind(after));
        let order = match since {
            None => {
                conditions += &after.map_or(String::new(), |after| format!(" AND d.document_id < {after}"));
                "d.document_id DESC"
            }
            Some(since) => {
                conditions += &format!(" AND d.created_ms >= {}", since.as_millisecond());
                conditions += &after.map_or(String::new(), |after| {
                    format!(
                        " AND (d.created_ms, d.document_id) <
                           ((SELECT created_ms FROM documents WHERE document_id = {after}), {after})"
                    )
                });
                "d.created_ms DESC, d.document_id DESC"
            }
        };
        wording.sql = format!(
            "SELECT d.record, {} AS failures FROM documents d WHERE d.tenant_id = {tenant}{conditions}
             ORDER BY {order} LIMIT {}",
            failures("d"),
            u64::from(filter.limit.max(1)) + 1
        );
        wording
    }
}

/// How many documents of the tenant are in a state.
pub async fn count(store: &Store, tenant: &TenantId, status: Status) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS count FROM documents WHERE tenant_id = $1 AND status = $2")
        .bind(tenant.as_str())
        .bind(status.as_str())
        .fetch_one(store.reading())
        .await?;
    Ok(row.get::<i64, _>("count").unsigned_abs())
}

pub(crate) async fn insert(write: &mut Write, tenant: &TenantId, record: &Record) -> Result<(), StoreError> {
    let document = &record.document;
    sqlx::query(
        "INSERT INTO documents
         (document_id, tenant_id, status, document_type, file_name, version, created_ms, updated_ms, record, trace,
          replaces, head)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(document.document_id.to_string())
    .bind(tenant.as_str())
    .bind(document.status.as_str())
    .bind(&document.document_type.0)
    .bind(&document.file_name)
    .bind(document.version as i64)
    .bind(document.created_at.as_millisecond())
    .bind(document.updated_at.as_millisecond())
    .bind(to_json(record))
    .bind(document.correlation_id.as_str())
    .bind(record.replaces.as_ref().map(CorrelationId::as_str))
    .bind(record.head.to_string())
    .execute(&mut **write)
    .await?;
    search::insert(write, tenant, record).await
}

pub(super) async fn update(write: &mut Write, tenant: &TenantId, record: &Record) -> Result<(), StoreError> {
    let document = &record.document;
    let mut kept = record.clone();
    // Counted from the jobs whenever a document is read; it is not part of what events say.
    kept.document.retry_count = 0;
    sqlx::query(
        "UPDATE documents SET status = $1, document_type = $2, version = $3, updated_ms = $4, record = $5, head = $6
         WHERE tenant_id = $7 AND document_id = $8",
    )
    .bind(document.status.as_str())
    .bind(&document.document_type.0)
    .bind(document.version as i64)
    .bind(document.updated_at.as_millisecond())
    .bind(to_json(&kept))
    .bind(record.head.to_string())
    .bind(tenant.as_str())
    .bind(document.document_id.to_string())
    .execute(&mut **write)
    .await?;
    Ok(())
}

/// The row of a document if every column says what its record says; [`StoreError::Damaged`] if one does not.
pub(crate) async fn find_sound(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Option<Record>, StoreError> {
    let row =
        sqlx::query("SELECT d.*, 0 AS failures FROM documents d WHERE tenant_id = $1 AND document_id = $2")
            .bind(tenant.as_str())
            .bind(document.to_string())
            .fetch_optional(reading)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let record = read(&row)?;
    let told = &record.document;
    let text = |column: &str| row.get::<String, _>(column);
    let number = |column: &str| row.get::<i64, _>(column);
    let agree = text("status") == told.status.as_str()
        && text("document_type") == told.document_type.0
        && text("file_name") == told.file_name
        && text("trace") == told.correlation_id.as_str()
        && text("head") == record.head.to_string()
        && row.get::<Option<String>, _>("replaces").as_deref()
            == record.replaces.as_ref().map(CorrelationId::as_str)
        && number("version") == told.version as i64
        && number("created_ms") == told.created_at.as_millisecond()
        && number("updated_ms") == told.updated_at.as_millisecond();
    if agree {
        Ok(Some(record))
    } else {
        Err(StoreError::Damaged("a column is not what the record says".into()))
    }
}

pub(super) fn read(row: &sqlx::any::AnyRow) -> Result<Record, StoreError> {
    let mut record: Record = json(row.get("record"))?;
    record.document.retry_count = u32::try_from(row.get::<i64, _>("failures")).unwrap_or(u32::MAX);
    Ok(record)
}

/// Some of the tenant's documents in a state that have no job, or only dead ones; those after this id, in their order. Each
/// with its id, for one that cannot be read keeps no other from being told.
pub async fn without_job(
    store: &Store,
    tenant: &TenantId,
    status: Status,
    after: &str,
) -> Result<Vec<(String, Result<Record, StoreError>)>, StoreError> {
    let rows = sqlx::query(WITHOUT_JOB)
        .bind(tenant.as_str())
        .bind(status.as_str())
        .bind(after)
        .fetch_all(store.reading())
        .await?;
    Ok(rows.iter().map(|row| (row.get("document_id"), read(row))).collect())
}

pub(super) const WITHOUT_JOB: &str = "SELECT document_id, record, 0 AS failures FROM documents d
     WHERE tenant_id = $1 AND status = $2 AND document_id > $3 AND NOT EXISTS
       (SELECT 1 FROM jobs j WHERE j.document_id = d.document_id AND j.state <> 'dead')
     ORDER BY document_id LIMIT 500";

/// Whether any tenant has a document of this id: ids are made by devices, and two must never share one.
pub(crate) async fn is_taken(write: &mut Write, document: DocumentId) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) AS count FROM documents WHERE document_id = $1")
        .bind(document.to_string())
        .fetch_one(&mut **write)
        .await?;
    Ok(row.get::<i64, _>("count") > 0)
}
