//! The bytes of a document, verified against their digest before the first of them is sent.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platen_capture::export;
use platen_model::{Digest, DocumentId, PageText, PartRole, TenantId};
use serde::Deserialize;
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents::find;
use super::versions;
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Asked, Named, has_already};
use crate::refusal::Refusal;
use crate::store::record::Record;
use crate::ui::frame::encode;
use crate::ui::words::originals;

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(content)).routes(routes!(ocr))
}

/// The bytes of a document.
///
/// `original` as it came, `normalized` as a searchable PDF/A, `signed` as its signers left it, `returned`
/// as it came back from signing where that is no sound signature, `evidence` as a ZIP
/// file that anyone can check offline. They are verified against their digest before the first of them is sent.
#[utoipa::path(get, path = "/v1/documents/{id}/content/{what}", tag = "content",
    params(("id" = DocumentId, Path, description = "The document."),
        ("what" = inline(Which), Path, description = "Which of its contents."), OfVersion,
        ("If-None-Match" = Option<String>, Header, description = "An `ETag` that the caller has already.")),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses(
        (status = 200, description = "The bytes.", content_type = "*/*", body = Vec<u8>,
            headers(("ETag" = String, description = "Their digest."))),
        (status = 304, description = "They are as the caller has them.")))]
async fn content(
    State(app): State<App>,
    caller: Caller,
    Named((id, what)): Named<(String, String)>,
    Asked(asked): Asked<OfVersion>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let record = find(&app, caller.tenant(), &id).await?;
    let record = as_of(&app, caller.tenant(), record, asked.version).await?;
    let found = named(&record, &what).filter(|(sha256, _)| !record.awaiting.contains(sha256));
    let (sha256, name) = found.ok_or_else(|| nothing(&record, &what))?;
    let etag = format!("\"{sha256}\"");
    if has_already(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    stream(&app, caller.tenant(), sha256, &name).await
}

/// Why this content is not there.
fn nothing(record: &Record, what: &str) -> Refusal {
    let refusal = Refusal::not_found(format!("{what} of this document"));
    if record.awaiting.is_empty() || !matches!(what, "original" | "evidence") {
        return refusal;
    }
    let outstanding = originals(record.awaiting.len());
    refusal.help(format!("{outstanding} will follow from the device, when its link is cheap: ask again then"))
}

/// Which version of what was made of it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OfVersion {
    /// Its number; the last one by default. Of `original`, `signed` and `evidence` there is one only.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// The record with the parts of an earlier version, where one is named.
async fn as_of(
    app: &App,
    tenant: &TenantId,
    mut record: Record,
    number: Option<u32>,
) -> Result<Record, Refusal> {
    let Some(number) = number else { return Ok(record) };
    let found = versions::of(app, tenant, record.document.document_id).await?;
    let found = found.into_iter().find(|version| version.number == number);
    let version = found.ok_or_else(|| Refusal::not_found(format!("version {number} of this document")))?;
    record.parts.retain(|part| part.role == PartRole::Original);
    record.parts.extend(version.parts);
    Ok(record)
}

/// The contents a document may have.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it names the words of the path in the contract; `named` reads them")]
enum Which {
    Original,
    Normalized,
    Signed,
    Returned,
    Evidence,
}

/// What a part of the content is called, and its digest.
fn named(record: &Record, what: &str) -> Option<(Digest, String)> {
    let file_name = &record.document.file_name;
    let stem = file_name.rsplit_once('.').map_or(file_name.as_str(), |(stem, _)| stem);
    match what {
        "original" => record.part(PartRole::Original).map(|part| (part.sha256, file_name.clone())),
        "normalized" => record.part(PartRole::Normalized).map(|part| (part.sha256, format!("{stem}.pdf"))),
        "signed" => record.signed_sha256.map(|sha256| (sha256, format!("{stem}-signed.pdf"))),
        "returned" => record.returned_sha256.map(|sha256| (sha256, format!("{stem}-returned.pdf"))),
        "evidence" => record.evidence_sha256.map(|sha256| (sha256, format!("{stem}-evidence.zip"))),
        _ => None,
    }
}

/// Sends a blob as a file. Nothing we were sent is ever shown as a page of ours: the type is fixed, a browser
/// may not guess, and what is not a PDF or a picture is offered for saving only.
pub async fn stream(app: &App, tenant: &TenantId, sha256: Digest, name: &str) -> Result<Response, Refusal> {
    let (file, blob) = app.keep.open(tenant, sha256).await?;
    let shown = matches!(blob.mime.as_str(), "application/pdf" | "image/png" | "image/jpeg" | "image/webp");
    let how = if shown { "inline" } else { "attachment" };
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && c != '"' && c != '\\' { c } else { '_' }).collect();
    // RFC 6266: the plain name for old readers, the exact one in UTF-8 for all others.
    let disposition = format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{}", encode(name));
    let body = Body::from_stream(ReaderStream::new(tokio::fs::File::from_std(file)));
    let mut response = body.into_response();
    let headers = response.headers_mut();
    for (key, value) in [
        (header::CONTENT_TYPE, blob.mime),
        (header::CONTENT_LENGTH, blob.bytes.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
        (header::ETAG, format!("\"{sha256}\"")),
        (header::CACHE_CONTROL, "private, no-cache".to_owned()),
    ] {
        headers.insert(key, HeaderValue::from_str(&value).map_err(Refusal::internal)?);
    }
    Ok(response)
}

/// In which form.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct InForm {
    /// `json` where it is absent.
    #[param(inline)]
    format: Option<Format>,
    /// Which version of it; the last one by default.
    #[param(minimum = 1)]
    version: Option<u32>,
}

/// The forms of a page text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Format {
    /// Words with their places and confidences.
    #[default]
    Json,
    /// The words in reading order; a form feed between pages.
    Txt,
    /// hOCR: HTML with places.
    Hocr,
    /// ALTO: XML with places.
    Alto,
}

impl From<Format> for export::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Txt => Self::Txt,
            Format::Hocr => Self::Hocr,
            Format::Alto => Self::Alto,
        }
    }
}

/// What was read on a document's pages.
#[utoipa::path(get, path = "/v1/documents/{id}/ocr", tag = "content",
    params(("id" = DocumentId, Path, description = "The document."), InForm),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "The page text.",
        content((PageText = "application/json"), (String = "text/plain"), (String = "application/xhtml+xml"),
            (String = "application/xml")))))]
async fn ocr(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    Asked(asked): Asked<InForm>,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let record = find(&app, caller.tenant(), &id).await?;
    let record = as_of(&app, caller.tenant(), record, asked.version).await?;
    let part =
        record.part(PartRole::PageText).ok_or_else(|| Refusal::not_found("page text of this document"))?;
    let bytes = app.keep.get(caller.tenant(), part.sha256).await?;
    let format: export::Format = asked.format.unwrap_or_default().into();
    if format == export::Format::Json {
        // As the device sent it, whose digest the manifest names.
        return Ok(([(header::CONTENT_TYPE, format.mime())], bytes).into_response());
    }
    let text: PageText = serde_json::from_slice(&bytes).map_err(Refusal::internal)?;
    let mut written = Vec::new();
    export::write(&text, &record.document.file_name, format, &mut written).map_err(Refusal::internal)?;
    // Markup made of what was sent to us is saved, never shown as a page of ours.
    let saved = HeaderValue::from_static("attachment");
    let mut response = ([(header::CONTENT_TYPE, format.mime())], written).into_response();
    if matches!(format, export::Format::Hocr | export::Format::Alto) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, saved);
    }
    Ok(response)
}
