//! The bytes of a document, verified against their digest before the first of them is sent.

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use platen_capture::export::{self, Format};
use platen_model::{Digest, PageText, PartRole, TenantId};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::documents::find;
use crate::app::App;
use crate::auth::Caller;
use crate::refusal::Refusal;
use crate::store::record::Record;
use crate::ui::frame::encode;

/// The routes of this module.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/documents/{id}/content/{what}", get(content))
        .route("/v1/documents/{id}/ocr", get(ocr))
}

async fn content(
    State(app): State<App>,
    caller: Caller,
    Path((id, what)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let record = find(&app, caller.tenant(), &id).await?;
    let (sha256, name) =
        named(&record, &what).ok_or_else(|| Refusal::not_found(format!("{what} of this document")))?;
    stream(&app, caller.tenant(), sha256, &name).await
}

/// What a part of the content is called, and its digest.
fn named(record: &Record, what: &str) -> Option<(Digest, String)> {
    let file_name = &record.document.file_name;
    let stem = file_name.rsplit_once('.').map_or(file_name.as_str(), |(stem, _)| stem);
    match what {
        "original" => record.part(PartRole::Original).map(|part| (part.sha256, file_name.clone())),
        "normalized" => record.part(PartRole::Normalized).map(|part| (part.sha256, format!("{stem}.pdf"))),
        "signed" => record.signed_sha256.map(|sha256| (sha256, format!("{stem}-signed.pdf"))),
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    format: Option<String>,
}

/// `GET /v1/documents/{id}/ocr?format=json|txt|hocr|alto`
async fn ocr(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) = asked.map_err(|error| Refusal::bad_request(error.body_text()))?;
    let record = find(&app, caller.tenant(), &id).await?;
    let part =
        record.part(PartRole::PageText).ok_or_else(|| Refusal::not_found("page text of this document"))?;
    let bytes = app.keep.get(caller.tenant(), part.sha256).await?;
    let asked = asked.format.as_deref().unwrap_or(Format::Json.name());
    let format = Format::named(asked).ok_or_else(|| {
        let names = Format::ALL.map(Format::name).join(", ");
        Refusal::bad_request(format!("`format={asked}`: there are {names}"))
    })?;
    if format == Format::Json {
        // As the device sent it, whose digest the manifest names.
        return Ok(([(header::CONTENT_TYPE, format.mime())], bytes).into_response());
    }
    let text: PageText = serde_json::from_slice(&bytes).map_err(Refusal::internal)?;
    let mut written = Vec::new();
    export::write(&text, &record.document.file_name, format, &mut written).map_err(Refusal::internal)?;
    // Markup made of what was sent to us is saved, never shown as a page of ours.
    let saved = HeaderValue::from_static("attachment");
    let mut response = ([(header::CONTENT_TYPE, format.mime())], written).into_response();
    if matches!(format, Format::Hocr | Format::Alto) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, saved);
    }
    Ok(response)
}
