//! `POST /v1/documents`: by the body's media type a device's manifest ([`commit`]), or one file and what is said of
//! it ([`file`]).

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use platen_model::DocumentManifest;
use platen_model::api::Document;
use platen_model::manifest::SignedReceipt;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commit::{self, MANIFEST_MIME};
use super::file::{self, SentFile, UploadedFile};
use crate::app::App;
use crate::auth::{Caller, Scope, Who};
use crate::http::read::whole_unpaused;
use crate::refusal::Refusal;

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(send))
}

/// A document that was taken in.
#[derive(Debug, Serialize, ToSchema)]
pub struct Taken {
    /// The document.
    pub document: Document,
    /// The cloud's signed receipt: what it has, by digest.
    pub receipt: SignedReceipt,
}

/// Sends a document.
///
/// From agents: the manifest that names its uploaded parts, signed by the device (`Platen-Signature`). Repeating it
/// gives the same receipt. With `Platen-Deferred: originals` the originals may still be missing; the receipt names them
/// under `awaiting`. Repeating the manifest once they are uploaded completes the document.
///
/// From other programs: one file as `multipart/form-data`, `file` and, as JSON, `metadata`. What it is is seen by its
/// bytes. One that was uploaded before, in pieces (`/v1/uploads`), is named as `application/json` by the digest it was
/// uploaded under, and taken in the same way. It is captured afterwards; follow the document, or the events. A file that the tenant has already is answered
/// with the document it is (200). `Idempotency-Key` makes a repetition safe for 30 days.
#[utoipa::path(post, path = "/v1/documents", tag = "documents", operation_id = "commit",
    params(
        ("Platen-Signature" = Option<String>, Header,
            description = "The device's id and its signature of the manifest's exact bytes, in base64."),
        ("Platen-Deferred" = Option<String>, Header, pattern = "^originals$",
            description = "The originals follow later."),
        ("Idempotency-Key" = Option<String>, Header, pattern = r#"^"[A-Za-z0-9_.:-]{1,255}"$"#,
            description = "A name for this request, in quotes.")),
    request_body(content((DocumentManifest = "application/vnd.platen.manifest+json"),
        (SentFile = "multipart/form-data"), (UploadedFile = "application/json"))),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses(
        (status = 202, description = "It is durable and on its way.", body = Taken,
            headers(("Location" = String, description = "Its address."))),
        (status = 200, description = "It was here already.", body = Taken,
            headers(("Location" = String, description = "Its address."))),
        (status = 409, description = "The id is taken, by another manifest or another tenant.",
            body = platen_model::Problem, content_type = "application/problem+json")))]
async fn send(State(app): State<App>, caller: Caller, request: Request) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    let headers = request.headers().clone();
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mime = named.split(';').next().unwrap_or_default().trim();
    if mime.eq_ignore_ascii_case("multipart/form-data") {
        // A file comes whole; but a word that is none is wrong here as well.
        commit::says_deferred(&headers)?;
        return file::send(&app, &caller, &headers, named, request.into_body()).await;
    }
    if mime.eq_ignore_ascii_case("application/json") {
        commit::says_deferred(&headers)?;
        let body = whole_unpaused(request.into_body(), &app).await?;
        return file::send_uploaded(&app, &caller, &headers, &body).await;
    }
    if !mime.eq_ignore_ascii_case(MANIFEST_MIME) {
        let detail = format!(
            "the body is {mime:?}; this address takes {MANIFEST_MIME}, multipart/form-data and application/json"
        );
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", detail)
            .help("set Content-Type"));
    }
    let Who::Device(device) = caller.who() else {
        return Err(Refusal::forbidden("only a device can send a manifest")
            .help("send the file itself as multipart/form-data, name an upload in application/json, or enrol a device"));
    };
    let body = whole_unpaused(request.into_body(), &app).await?;
    commit::commit(&app, &caller, device, &headers, &body).await
}
