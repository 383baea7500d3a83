//! What is corrected or held while a document waits for a person: PATCH and hold.
//!
//! Both append an event; nothing is overwritten. A correction must name the version it was made on (`If-Match`), so that
//! two people never undo each other without knowing.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use platen_capture::classify::{Origin, classify_as, day_of};
use platen_model::api::Document;
use platen_model::event::EventBody;
use platen_model::{DocumentId, DocumentType, Field};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents::shown;
use super::review::{TEXT_CHARACTERS, act, parse, violations};
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Body, Named, expected_version};
use crate::refusal::Refusal;
use crate::store::record::Record;

/// Longest name of a field or a department, in characters.
const NAME_CHARACTERS: usize = 255;

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(correct)).routes(routes!(hold))
}

/// What to correct; what is absent stays as it is.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// The right type.
    #[schema(nullable = false)]
    pub document_type: Option<DocumentType>,
    /// Right values by field name.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// The right department.
    #[schema(nullable = false, min_length = 1, max_length = 255)]
    pub department: Option<String>,
}

impl Correction {
    /// Refuses one that corrects nothing, or is too long to be kept.
    pub fn check(&self) -> Result<(), Refusal> {
        let Self { document_type, fields, department } = self;
        let mut errors = BTreeMap::new();
        if document_type.is_none() && fields.is_empty() && department.is_none() {
            errors.insert("(all of it)".to_owned(), "corrects nothing".to_owned());
        }
        for (name, value) in fields {
            if name.chars().count() > NAME_CHARACTERS || value.chars().count() > TEXT_CHARACTERS {
                errors.insert(format!("fields.{name}"), "is too long".to_owned());
            }
        }
        if let Some(name) = department
            && !(1..=NAME_CHARACTERS).contains(&name.chars().count())
        {
            errors.insert("department".to_owned(), "has 1 to 255 characters".to_owned());
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Refusal::invalid("the correction is not sound", errors)),
        }
    }
}

/// Corrects what is known of a document that waits for a person.
#[utoipa::path(patch, path = "/v1/documents/{id}", tag = "review", operation_id = "correct",
    params(("id" = DocumentId, Path, description = "The document."),
        ("If-Match" = String, Header, min_length = 1, pattern = r#"^(\*|"[0-9]{1,18}")$"#,
            description = "The `ETag` of the version that was looked at.")),
    security(("oauth2" = ["review"]), ("session" = [])), request_body = Correction,
    responses((status = 200, description = "The document as it is now.", body = Document,
        headers(("ETag" = String, description = "Its new version.")))))]
async fn correct(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
    Body(correction): Body<Correction>,
) -> Result<Response, Refusal> {
    caller.must(Scope::Review)?;
    let Some(version) = expected_version(&headers)? else {
        super::documents::find(&app, caller.tenant(), &id).await?;
        let detail = "a correction names the version it was made on";
        return Err(Refusal::new(StatusCode::PRECONDITION_REQUIRED, "if-match-required", detail)
            .help("send the document's ETag as If-Match"));
    };
    correction.check()?;
    let record = super::documents::find(&app, caller.tenant(), &id).await?;
    apply(&app, &caller, &record, correction, version).await.map(shown)
}

/// Corrects what is known of a document as it was at this version.
pub async fn apply(
    app: &App,
    caller: &Caller,
    record: &Record,
    correction: Correction,
    version: u64,
) -> Result<Document, Refusal> {
    let body = event_of(app, caller, record, correction).await?;
    act(app, caller, record.document.document_id, body, Some(version)).await
}

/// The event that says what was corrected of a document, with the rules that it does not keep then.
pub(super) async fn event_of(
    app: &App,
    caller: &Caller,
    record: &Record,
    correction: Correction,
) -> Result<EventBody, Refusal> {
    let Correction { document_type, fields, department } = correction;
    let read = read_as(app, caller, record, document_type.as_ref()).await?;
    let corrected = record.corrected(document_type.as_ref(), read.as_ref(), &fields, department.as_ref());
    let violations = violations(app, caller, record, &corrected).await?;
    Ok(EventBody::Corrected { document_type, read, fields, department, violations })
}

/// What its pages hold by another type than it was taken for; `None` where the type stays, or there is no text.
pub(crate) async fn read_as(
    app: &App,
    caller: &Caller,
    record: &Record,
    document_type: Option<&DocumentType>,
) -> Result<Option<BTreeMap<String, Field>>, Refusal> {
    let Some(wanted) = document_type.filter(|wanted| **wanted != record.document.document_type) else {
        return Ok(None);
    };
    let text = app.keep.page_text(caller.tenant(), record).await?;
    let Some(text) = text.filter(|text| text.pages.iter().any(|page| !page.words.is_empty())) else {
        return Ok(None);
    };
    let (wanted, rules, received_at) = (wanted.clone(), Arc::clone(&app.rules), record.document.created_at);
    let work = move || {
        let origin = Origin { day: day_of(received_at), ..Origin::default() };
        classify_as(&text, &wanted, &origin, &rules).fields
    };
    tokio::task::spawn_blocking(work).await.map(Some).map_err(Refusal::internal)
}

/// Why a document is held.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Hold {
    /// The reason; who reviews it reads it.
    #[schema(max_length = 1000, pattern = r"\S")]
    reason: String,
}

/// Holds a document before anybody is asked to sign it. It goes on when a person approves it.
#[utoipa::path(post, path = "/v1/documents/{id}/hold", tag = "review", operation_id = "hold",
    params(("id" = DocumentId, Path, description = "The document."),
        ("If-Match" = Option<String>, Header, min_length = 1, pattern = r#"^(\*|"[0-9]{1,18}")$"#,
            description = "The `ETag` of the version that was looked at.")),
    security(("oauth2" = ["review"]), ("session" = [])), request_body = Hold,
    responses((status = 200, description = "The document as it is now.", body = Document,
        headers(("ETag" = String, description = "Its new version.")))))]
async fn hold(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
    Body(hold): Body<Hold>,
) -> Result<Response, Refusal> {
    caller.must(Scope::Review)?;
    let record = super::documents::find(&app, caller.tenant(), &id).await?;
    let violations = violations(&app, &caller, &record, &record.document).await?;
    let reasons = vec![format!("held: {}", hold.reason.trim())];
    let body = EventBody::ReviewRequested { reasons, violations, policy: None };
    act(&app, &caller, parse(&id)?, body, expected_version(&headers)?).await.map(shown)
}
