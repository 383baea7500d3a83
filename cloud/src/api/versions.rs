//! Versions of what was made of a document: the searchable PDF and the page text, by the device, by the cloud, or with
//! a text from a program outside. Making a new one never touches an earlier one.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use platen_capture::classify::{Origin, classify, day_of};
use platen_model::api::{Document, Page};
use platen_model::event::{Actor, Event, EventBody};
use platen_model::{DocumentId, DocumentManifest, PageText, Part, PartRole, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents::{find, shown};
use super::review::{append, parse};
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Body, Named, expected_version};
use crate::jobs::capture::may_capture;
use crate::refusal::Refusal;
use crate::store::events;

/// Largest page text that a program may supply, in bytes.
const TEXT_BYTES: usize = 32 << 20;

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    let supplied = OpenApiRouter::new().routes(routes!(supply_text)).layer(DefaultBodyLimit::max(TEXT_BYTES));
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(reprocess)).merge(supplied)
}

/// How a version came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MadeBy {
    /// The device that scanned it made it.
    Device,
    /// It was captured in the cloud.
    Cloud,
    /// Its page text was supplied by a program outside; the PDF is the one before.
    TextSupplied,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Version {
    /// Its number, from 1.
    pub number: u32,
    /// How it came about.
    pub made_by: MadeBy,
    /// When.
    pub at: Timestamp,
    /// The searchable PDF and the page text.
    pub parts: Vec<Part>,
    /// Whether it is the one that counts: the last.
    pub current: bool,
}

impl Version {
    /// Its part of a role.
    pub fn part(&self, role: PartRole) -> Option<&Part> {
        self.parts.iter().find(|part| part.role == role)
    }
}

/// The versions that a document's events tell of, oldest first.
pub fn versions<'e>(events: impl IntoIterator<Item = &'e Event>) -> Vec<Version> {
    let mut found: Vec<Version> = Vec::new();
    for event in events {
        let made = |part: &&Part| part.role != PartRole::Original;
        let (made_by, parts) = match &event.body {
            EventBody::Received { parts, .. } if parts.iter().any(|part| made(&part)) => {
                let device = matches!(event.actor, Actor::Device(_));
                let made_by = if device { MadeBy::Device } else { MadeBy::Cloud };
                (made_by, parts.iter().filter(made).cloned().collect())
            }
            EventBody::Captured { parts, .. } => (MadeBy::Cloud, parts.clone()),
            EventBody::TextSupplied { part, .. } => {
                let pdf = found.last().and_then(|before| before.part(PartRole::Normalized)).cloned();
                (MadeBy::TextSupplied, pdf.into_iter().chain([part.clone()]).collect::<Vec<_>>())
            }
            _ => continue,
        };
        let number = u32::try_from(found.len()).unwrap_or(u32::MAX).saturating_add(1);
        found.push(Version { number, made_by, at: event.at, parts, current: false });
    }
    if let Some(last) = found.last_mut() {
        last.current = true;
    }
    found
}

/// The versions of a document of the tenant.
pub(super) async fn of(app: &App, tenant: &TenantId, document: DocumentId) -> Result<Vec<Version>, Refusal> {
    let chain = events::of_document(&app.store, tenant, document).await?;
    let events = chain.iter().map(|event| serde_json::from_str(&event.bytes));
    let events: Vec<Event> = events.collect::<Result<_, _>>().map_err(Refusal::internal)?;
    Ok(versions(&events))
}

/// The versions of what was made of a document, oldest first.
#[utoipa::path(get, path = "/v1/documents/{id}/versions", tag = "content", operation_id = "versions",
    params(("id" = DocumentId, Path, description = "The document.")),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "All of them.", body = Page<Version>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Page<Version>>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let record = find(&app, caller.tenant(), &id).await?;
    let items = of(&app, caller.tenant(), record.document.document_id).await?;
    Ok(Json(Page { items, next: None }))
}

/// Why it is captured anew.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Anew {
    /// The reason.
    #[schema(nullable = false, min_length = 1, max_length = 1000)]
    reason: Option<String>,
}

/// Captures a document anew, from its originals. What was made of it before stays as an earlier version.
///
/// It must wait for a person, or be archived without a signature; then it goes its way from the beginning.
#[utoipa::path(post, path = "/v1/documents/{id}/reprocess", tag = "review", operation_id = "reprocess",
    params(("id" = DocumentId, Path, description = "The document."),
        ("If-Match" = Option<String>, Header, min_length = 1, pattern = r#"^(\*|"[0-9]{1,18}")$"#,
            description = "The `ETag` of the version that was looked at.")),
    security(("oauth2" = ["review"]), ("session" = [])), request_body = Anew,
    responses((status = 202, description = "It will be captured.", body = Document,
        headers(("ETag" = String, description = "Its new version.")))))]
async fn reprocess(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
    Body(anew): Body<Anew>,
) -> Result<Response, Refusal> {
    caller.must(Scope::Review)?;
    let document = begin_anew(&app, &caller, parse(&id)?, anew.reason, expected_version(&headers)?).await?;
    Ok((StatusCode::ACCEPTED, shown(document)).into_response())
}

/// Asks for a new capture, where one can be made here.
pub async fn begin_anew(
    app: &App,
    caller: &Caller,
    document: DocumentId,
    reason: Option<String>,
    version: Option<u64>,
) -> Result<Document, Refusal> {
    let record = find(app, caller.tenant(), &document.to_string()).await?;
    let bytes = app.keep.get(caller.tenant(), record.manifest_sha256).await?;
    let manifest: DocumentManifest = serde_json::from_slice(&bytes).map_err(Refusal::internal)?;
    may_capture(&manifest).map_err(|why| {
        Refusal::conflict(format!("it cannot be captured here: {why}")).help("use its agent")
    })?;
    append(app, caller, document, EventBody::Reprocessed { reason }, version).await
}

/// Supplies the page text of a document, read by a program outside, in place of the one it has.
///
/// It must wait for a person, or be archived without a signature; then it is classified anew, by this text. The text
/// before stays as an earlier version.
#[utoipa::path(post, path = "/v1/documents/{id}/ocr-result", tag = "content", operation_id = "supply_text",
    params(("id" = DocumentId, Path, description = "The document."),
        ("If-Match" = Option<String>, Header, min_length = 1, pattern = r#"^(\*|"[0-9]{1,18}")$"#,
            description = "The `ETag` of the version that was read.")),
    security(("oauth2" = ["documents:write"]), ("session" = [])), request_body = PageText,
    responses((status = 202, description = "It is taken over.", body = Document,
        headers(("ETag" = String, description = "Its new version.")))))]
async fn supply_text(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
    Body(text): Body<PageText>,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    let (tenant, document) = (caller.tenant(), parse(&id)?);
    let record = find(&app, tenant, &id).await?;
    let pages = text.pages.len();
    if pages != record.document.page_count as usize {
        let complaint = format!("are {pages}; the document has {}", record.document.page_count);
        let errors = BTreeMap::from([("pages".to_owned(), complaint)]);
        return Err(Refusal::invalid("the text is not of this document", errors));
    }
    if let Some((place, complaint)) = unsound(&text) {
        let errors = BTreeMap::from([(place, complaint.to_owned())]);
        return Err(Refusal::invalid("the text is not sound", errors));
    }
    let text = text.words_apart();
    let rules = std::sync::Arc::clone(&app.rules);
    let (file_name, source) = (record.document.file_name.clone(), record.document.source.clone());
    let received_at = record.document.created_at;
    let work = move || {
        let origin = Origin { file_name: &file_name, source: &source, day: day_of(received_at) };
        (classify(&text, &origin, &rules), serde_json::to_vec(&text))
    };
    let (decision, bytes) = tokio::task::spawn_blocking(work).await.map_err(Refusal::internal)?;
    let bytes = bytes.map_err(Refusal::internal)?;
    let length = bytes.len() as u64;
    let sha256 = app.keep.put(tenant, bytes, "application/json").await?;
    let part = Part {
        role: PartRole::PageText,
        sha256,
        bytes: length,
        mime: "application/json".into(),
        file_name: None,
        copy_of_signed: false,
    };
    let body = EventBody::TextSupplied { part, decision };
    let document = append(&app, &caller, document, body, expected_version(&headers)?).await?;
    Ok((StatusCode::ACCEPTED, shown(document)).into_response())
}

/// The first number of a text that is out of its range, and what it should be. JSON can hold numbers for which there is
/// no room here: they are read as infinite, and could not be written again.
fn unsound(text: &PageText) -> Option<(String, &'static str)> {
    let unit = |number: f32| (0.0..=1.0).contains(&number);
    text.pages.iter().enumerate().find_map(|(index, page)| {
        let photo = page.photo.map_or(0.0, |photo| photo.confidence);
        let word = page.words.iter().position(|word| !unit(word.confidence));
        let check_box = page.check_boxes.iter().position(|check_box| !unit(check_box.confidence));
        let place = match (word, check_box) {
            _ if !page.skew_deg.is_finite() => {
                return Some((format!("pages.{index}.skew_deg"), "is too large"));
            }
            _ if !unit(page.mean_confidence) => "mean_confidence".to_owned(),
            _ if !unit(page.quality) => "quality".to_owned(),
            _ if !unit(photo) => "photo.confidence".to_owned(),
            (Some(word), _) => format!("words.{word}.confidence"),
            (None, Some(check_box)) => format!("check_boxes.{check_box}.confidence"),
            (None, None) => return None,
        };
        Some((format!("pages.{index}.{place}"), "is not from 0 to 1"))
    })
}
