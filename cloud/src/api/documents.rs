//! Documents and events, to be read.

use std::str::FromStr as _;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platen_model::api::{Document, Page, ShownEvent};
use platen_model::event::Status;
use platen_model::{DocumentId, DocumentType, TenantId};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::paging::LIMIT;
use crate::http::read::{Asked, Named, has_already};
use crate::refusal::Refusal;
use crate::store::record::Record;
use crate::store::search::Question;
use crate::store::{documents, events};

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(one))
        .routes(routes!(chain))
        .routes(routes!(feed))
}

/// Which documents.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Choice {
    /// Only documents in this state.
    #[param(inline)]
    status: Option<Status>,
    /// Only documents of this type.
    #[serde(rename = "type")]
    #[param(max_length = 255)]
    document_type: Option<String>,
    /// Only documents in whose pages, names or fields all of this is: words, `"phrases in quotes"`, and `begin*` for words
    /// that begin so. Case and accents do not matter.
    #[param(min_length = 1, max_length = 500)]
    q: Option<String>,
    /// The `next` of an earlier answer.
    #[param(format = Uuid)]
    after: Option<String>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Lists documents, newest first; what is searched for among all of them in the order in which it was received.
///
/// A page of what is searched for may hold fewer items than it could, or none, and still have a `next`: so much is read for
/// one page, and no more. That is so for words that are frequent and seldom in one document, or seldom in the state or type
/// that is asked for.
#[utoipa::path(get, path = "/v1/documents", tag = "documents", params(Choice),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "A page of the list.", body = Page<Document>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Choice>,
) -> Result<Json<Page<Document>>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let filter = documents::Filter {
        status: asked.status,
        document_type: asked.document_type.map(DocumentType),
        search: asked.q.as_deref().map(Question::of),
        after: asked
            .after
            .map(|text| DocumentId::from_str(&text))
            .transpose()
            .map_err(Refusal::bad_request_of)?,
        limit: asked.limit.unwrap_or(LIMIT),
    };
    Ok(Json(documents::list(&app.store, caller.tenant(), &filter).await?))
}

/// One document as it is now.
#[utoipa::path(get, path = "/v1/documents/{id}", tag = "documents",
    params(("id" = DocumentId, Path, description = "The document."),
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that the caller has already.")),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses(
        (status = 200, description = "The document.", body = Document,
            headers(("ETag" = String, description = "The document's version, for `If-Match`."))),
        (status = 304, description = "It is as the caller has it.")))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let record = find(&app, caller.tenant(), &id).await?;
    let etag = etag(&record.document);
    if has_already(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    Ok(shown(record.document))
}

/// A document as an answer, with its version as `ETag`.
pub fn shown(document: Document) -> Response {
    ([(header::ETAG, etag(&document))], Json(document)).into_response()
}

fn etag(document: &Document) -> String {
    format!("\"{}\"", document.version)
}

/// The events of a document, oldest first, each with its exact fields and its hash.
#[utoipa::path(get, path = "/v1/documents/{id}/events", tag = "events",
    params(("id" = DocumentId, Path, description = "The document.")),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "Its whole history.", body = Page<ShownEvent>)))]
async fn chain(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Value>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let record = find(&app, caller.tenant(), &id).await?;
    let chain = events::of_document(&app.store, caller.tenant(), record.document.document_id).await?;
    shown_events(&chain, None)
}

/// From where in the feed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct From {
    /// The `next` of an earlier answer; without it, from the beginning.
    #[param(pattern = "^[0-9]{1,18}$")]
    after: Option<String>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// The tenant's events, oldest first.
///
/// The feed has no end and keeps everything: `next` is always there, and asking with it again later answers what
/// has happened since.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(From),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "The events after a place in the feed.", body = Page<ShownEvent>)))]
async fn feed(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<From>,
) -> Result<Json<Value>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let after = asked.after.as_deref().unwrap_or("0").parse().map_err(Refusal::bad_request_of)?;
    let found = events::feed(&app.store, caller.tenant(), after, asked.limit.unwrap_or(LIMIT)).await?;
    let next = found.last().map_or(after, |event| event.position);
    shown_events(&found, Some(next.to_string()))
}

fn shown_events(events: &[events::Stored], next: Option<String>) -> Result<Json<Value>, Refusal> {
    let items = events
        .iter()
        .map(|event| {
            let mut value: Value = serde_json::from_str(&event.bytes)?;
            value["hash"] = json!(event.hash);
            Ok(value)
        })
        .collect::<Result<Vec<_>, serde_json::Error>>()
        .map_err(Refusal::internal)?;
    let mut page = json!({ "items": items });
    if let Some(next) = next {
        page["next"] = json!(next);
    }
    Ok(Json(page))
}

/// A document of the tenant, or 404.
pub async fn find(app: &App, tenant: &TenantId, id: &str) -> Result<Record, Refusal> {
    let missing = || Refusal::not_found(format!("document {id}"));
    let document: DocumentId = id.parse().map_err(|_| missing())?;
    documents::find(app.store.reading(), tenant, document).await?.ok_or_else(missing)
}
