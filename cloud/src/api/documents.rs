//! Documents and events, to be read.

use std::str::FromStr as _;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use platen_model::api::{Document, Page};
use platen_model::event::Status;
use platen_model::{DocumentId, DocumentType, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Caller;
use crate::refusal::Refusal;
use crate::store::record::Record;
use crate::store::{documents, events};

/// Items of a list where the caller does not say.
const LIMIT: u32 = 50;
/// Most items of a list.
const MOST: u32 = 500;

/// The routes of this module.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/documents", get(list))
        .route("/v1/documents/{id}", get(one))
        .route("/v1/documents/{id}/events", get(chain))
        .route("/v1/events", get(feed))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    status: Option<String>,
    #[serde(rename = "type")]
    document_type: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

type AskedQuery = Result<Query<Asked>, QueryRejection>;

async fn list(
    State(app): State<App>,
    caller: Caller,
    asked: AskedQuery,
) -> Result<Json<Page<Document>>, Refusal> {
    let Query(asked) = asked.map_err(|error| Refusal::bad_request(error.body_text()))?;
    let filter = documents::Filter {
        status: asked.status.map(|text| Status::from_str(&text)).transpose().map_err(Refusal::bad_request)?,
        document_type: asked.document_type.map(DocumentType),
        after: asked
            .after
            .map(|text| text.parse())
            .transpose()
            .map_err(|_| Refusal::bad_request("`after` is the `next` of an earlier answer"))?,
        limit: asked.limit.unwrap_or(LIMIT).clamp(1, MOST),
    };
    Ok(Json(documents::list(&app.store, caller.tenant(), &filter).await?))
}

async fn one(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Response, Refusal> {
    let record = find(&app, caller.tenant(), &id).await?;
    let etag = format!("\"{}\"", record.document.version);
    Ok(([(header::ETAG, etag)], Json(record.document)).into_response())
}

/// The events of a document, each with its exact fields and its hash.
async fn chain(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let record = find(&app, caller.tenant(), &id).await?;
    let chain = events::of_document(&app.store, caller.tenant(), record.document.document_id).await?;
    shown(&chain, None)
}

async fn feed(State(app): State<App>, caller: Caller, asked: AskedQuery) -> Result<Json<Value>, Refusal> {
    let Query(asked) = asked.map_err(|error| Refusal::bad_request(error.body_text()))?;
    let after = asked.after.as_deref().unwrap_or("0").parse();
    let after = after.map_err(|_| Refusal::bad_request("`after` is the `next` of an earlier answer"))?;
    let limit = asked.limit.unwrap_or(LIMIT).clamp(1, MOST);
    let found = events::feed(&app.store, caller.tenant(), after, limit).await?;
    // A feed has no end: there is always a place to go on from.
    let next = found.last().map_or(after, |event| event.position);
    shown(&found, Some(next.to_string()))
}

fn shown(events: &[events::Stored], next: Option<String>) -> Result<Json<Value>, Refusal> {
    let items = events
        .iter()
        .map(|event| {
            let mut value: Value = serde_json::from_str(&event.bytes)?;
            value["hash"] = json!(event.hash);
            Ok(value)
        })
        .collect::<Result<Vec<_>, serde_json::Error>>()
        .map_err(Refusal::internal)?;
    Ok(Json(json!({ "items": items, "next": next })))
}

/// A document of the tenant, or 404.
pub async fn find(app: &App, tenant: &TenantId, id: &str) -> Result<Record, Refusal> {
    let missing = || Refusal::not_found(format!("document {id}"));
    let document: DocumentId = id.parse().map_err(|_| missing())?;
    documents::find(app.store.reading(), tenant, document).await?.ok_or_else(missing)
}
