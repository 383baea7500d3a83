//! What people decide: review and retry. The web pages propose the same events through [`decide`] and [`retry`].

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use axum::{Json, Router};
use platen_model::DocumentId;
use platen_model::api::{Document, Review};
use platen_model::event::EventBody;

use crate::app::App;
use crate::auth::{Role, User};
use crate::http::{Whole, read_json};
use crate::refusal::Refusal;
use crate::store::{documents, events};

/// Longest comment and longest corrected value, in characters.
const TEXT_CHARACTERS: usize = 4_000;

/// The routes of this module.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/documents/{id}/review", post(review_route))
        .route("/v1/documents/{id}/retry", post(retry_route))
}

async fn review_route(
    State(app): State<App>,
    user: User,
    Path(id): Path<String>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Json<Document>, Refusal> {
    user.must_have_sent(headers.get("x-csrf-token").and_then(|value| value.to_str().ok()))?;
    let review: Review = read_json(&headers, &body)?;
    decide(&app, &user, parse(&id)?, review, expected_version(&headers)?).await.map(Json)
}

async fn retry_route(
    State(app): State<App>,
    user: User,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Document>, Refusal> {
    user.must_have_sent(headers.get("x-csrf-token").and_then(|value| value.to_str().ok()))?;
    retry(&app, &user, parse(&id)?, expected_version(&headers)?).await.map(Json)
}

/// Approves or rejects a document that waits for review. `version` is the one the person saw, where known.
pub async fn decide(
    app: &App,
    user: &User,
    document: DocumentId,
    review: Review,
    version: Option<u64>,
) -> Result<Document, Refusal> {
    let too_long = |text: &str| text.chars().count() > TEXT_CHARACTERS;
    let body = match review {
        Review::Approve { document_type, fields, comment } => {
            if fields.values().chain(&comment).any(|text| too_long(text)) {
                return Err(Refusal::bad_request(format!("texts have at most {TEXT_CHARACTERS} characters")));
            }
            EventBody::Approved { document_type, fields, comment }
        }
        Review::Reject { comment } if comment.trim().is_empty() || too_long(&comment) => {
            return Err(Refusal::bad_request("a rejection says why, in at most 4000 characters"));
        }
        Review::Reject { comment } => EventBody::Rejected { comment },
    };
    act(app, user, document, body, version).await
}

/// Sends a document on its way again after an end that allows it.
pub async fn retry(
    app: &App,
    user: &User,
    document: DocumentId,
    version: Option<u64>,
) -> Result<Document, Refusal> {
    act(app, user, document, EventBody::Retried, version).await
}

async fn act(
    app: &App,
    user: &User,
    document: DocumentId,
    body: EventBody,
    version: Option<u64>,
) -> Result<Document, Refusal> {
    user.must_be(Role::Reviewer)?;
    let mut write = app.store.begin().await?;
    if let Some(seen) = version {
        write.hold(document).await?;
        let now = documents::find(&mut *write, &user.tenant, document).await?;
        let now = now.ok_or_else(|| Refusal::not_found(format!("document {document}")))?.document.version;
        if now != seen {
            let detail = format!("the document is at version {now}; the decision was made on version {seen}");
            return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", detail)
                .help("look at the document again, then decide"));
        }
    }
    let record = events::append(&mut write, &user.tenant, document, user.actor(), body).await?;
    write.commit().await?;
    app.wake.notify_one();
    Ok(record.document)
}

fn parse(id: &str) -> Result<DocumentId, Refusal> {
    id.parse().map_err(|_| Refusal::not_found(format!("document {id}")))
}

fn expected_version(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    let version = value.trim().trim_matches('"').parse();
    version.map(Some).map_err(|_| Refusal::bad_request("If-Match is the ETag of the document"))
}
