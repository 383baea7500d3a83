//! Resumable uploads: tus 1.0 (<https://tus.io/protocols/resumable-upload>) with creation, checksum,
//! termination and expiration.
//!
//! What came is durable before its offset is recorded, and recorded before it is answered; what nobody recorded was
//! never acknowledged. Where bytes wait until they are a blob, and how that goes on when a process or a node is lost,
//! is [`landing`]'s. Only bytes that were sent by this tenant ever become a blob of this tenant (INV-12).
//!
//! The danger is a client whose connection broke without our knowing, so that it comes back while its earlier
//! request still waits here for bytes. The newer request ends the older one, which keeps what came, and only then
//! is its own turn: the offset it is told is the last byte that is here. A body that pauses for longer than
//! `limits.request_seconds` counts as cut off as well.
//!
//! What came of a cut body is kept, checksum or not. Half a chunk cannot be compared with the checksum of a whole
//! one; but all bytes of a part are compared with its digest before they become a blob, and a line that is cut
//! every few seconds would never carry a chunk if its halves were thrown away.

use std::str::FromStr as _;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use platen_model::{Digest, TenantId, UploadId, crash};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::limits;
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Named, must_be};
use crate::refusal::Refusal;
use crate::store::blobs as visibility;
use crate::store::uploads::{self, Upload};
use headers::Announced;
use turn::Turn;

pub mod headers;
pub mod landing;
mod turn;

/// The version of tus.
const VERSION: &str = "1.0.0";
/// The media type of a PATCH.
const OFFSET_STREAM: &str = "application/offset+octet-stream";

/// The versions of tus that are spoken here.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the word of a header in the contract; `speaks_tus` reads it")]
enum TusVersion {
    #[schema(rename = "1.0.0")]
    One,
}

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, options))
        .routes(routes!(offset, append, terminate, options_of_one))
        .routes(routes!(has_blob))
        // Parts have a limit of their own, which `create` holds.
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::map_response(spoken))
}

/// Every answer says which version of tus is spoken, refusals as well; to who speaks another, which ones are known.
async fn spoken(mut response: Response) -> Response {
    let is_of_version = response.status() == StatusCode::PRECONDITION_FAILED;
    let headers = response.headers_mut();
    headers.insert("tus-resumable", HeaderValue::from_static(VERSION));
    if is_of_version {
        headers.insert("tus-version", HeaderValue::from_static(VERSION));
    }
    response
}

/// What this server speaks of tus.
#[utoipa::path(options, path = "/v1/uploads", tag = "uploads", operation_id = "tus_options",
    responses((status = 204, description = "Version, extensions and limits, as headers.")))]
async fn options(State(app): State<App>) -> Response {
    let largest = app.config.limits.part_bytes;
    tus(StatusCode::NO_CONTENT)
        .with("tus-version", VERSION)
        .with("tus-extension", "creation,creation-with-upload,checksum,termination,expiration")
        .with("tus-checksum-algorithm", "sha256")
        .with("tus-max-size", largest)
        .response()
}

/// What this server speaks of tus.
#[utoipa::path(options, path = "/v1/uploads/{id}", tag = "uploads", operation_id = "tus_options_of_upload",
    params(("id" = String, Path, description = "The upload.")),
    responses((status = 204, description = "Version, extensions and limits, as headers.")))]
async fn options_of_one(state: State<App>) -> Response {
    options(state).await
}

/// Whether bytes of a digest are already here, for this tenant.
#[utoipa::path(head, path = "/v1/blobs/{sha256}", tag = "uploads",
    params(("sha256" = Digest, Path, description = "The digest.")),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 200, description = "They are.")))]
async fn has_blob(
    State(app): State<App>,
    caller: Caller,
    Named(sha256): Named<String>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    let sha256 = Digest::from_str(&sha256).map_err(|_| Refusal::not_found("such blob"))?;
    let found = visibility::visible(app.store.reading(), caller.tenant(), sha256).await?;
    found.map(|_| StatusCode::OK).ok_or_else(|| Refusal::not_found("such blob"))
}

/// Begins an upload (tus 1.0, creation), and takes its first bytes where they come along (creation-with-upload).
#[utoipa::path(post, path = "/v1/uploads", tag = "uploads", operation_id = "create_upload",
    params(
        ("Tus-Resumable" = inline(TusVersion), Header, description = "The protocol's version."),
        ("Upload-Length" = u64, Header, description = "Bytes that will come.", maximum = 9007199254740991i64),
        ("Upload-Metadata" = String, Header, pattern = "^sha256 [A-Za-z0-9+/]{86}==(,mime [A-Za-z0-9+/]*={0,2})?$",
            description = "Pairs of a key and base64: `sha256`, the digest of the bytes in hex, which is asked for \
                before any byte comes, and `mime`, their media type."),
        ("Upload-Checksum" = Option<String>, Header, pattern = "^sha256 [A-Za-z0-9+/]{43}=$",
            description = "The digest of the bytes that come along, in base64.")),
    request_body(content_type = "application/offset+octet-stream", content = Option<Vec<u8>>,
        description = "The first bytes, or none."),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 201, description = "It is begun.",
        headers(("Location" = String, description = "Its address."),
            ("Upload-Offset" = u64, description = "Bytes that are durable here, where some came along."),
            ("Upload-Expires" = String, description = "When it ends unless more comes."))),
        (status = 412, description = "Another version of tus.", body = platen_model::Problem,
            content_type = "application/problem+json"),
        (status = 413, description = "The part is over the limit, or more came than was announced.",
            body = platen_model::Problem, content_type = "application/problem+json"),
        (status = 422, description = "The bytes do not have the digest that was announced.",
            body = platen_model::Problem, content_type = "application/problem+json"),
        (status = 460, description = "The bytes do not have the checksum they came with.",
            body = platen_model::Problem, content_type = "application/problem+json"),
        (status = 507, description = "As many uploads as may be are under way, or as many bytes.",
            body = platen_model::Problem, content_type = "application/problem+json")))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    let tenant = caller.tenant().clone();
    let Announced { bytes, sha256, mime } = headers::announced(&headers)?;
    let largest = limits::of(&app, &tenant).await?.part_bytes;
    if bytes > largest {
        return Err(too_large(bytes, largest));
    }
    let checksum = headers::checksum(&headers)?;
    let comes_along = headers.contains_key(header::CONTENT_TYPE);
    if comes_along {
        must_be(&headers, OFFSET_STREAM)?;
    }
    let upload =
        Upload { upload_id: UploadId::new(), sha256, mime, bytes, received: 0, expires_at: expiry(&app) };
    // Durable before the row is committed: the address we answer is there after a power cut.
    landing::begin(&app, &upload).await?;
    if let Err(refusal) = keep(&app, &tenant, &upload).await {
        landing::forget(&app, &tenant, upload.upload_id).await?;
        return Err(refusal);
    }
    crash::point("an upload is begun");
    let location = format!("{}/v1/uploads/{}", app.config.public_url, upload.upload_id);
    let created = tus(StatusCode::CREATED).with("location", location);
    if !comes_along {
        if bytes == 0 {
            landing::complete(&app, &tenant, &upload).await?;
        }
        return Ok(created.with("upload-expires", http_date(upload.expires_at)).response());
    }
    let id = upload.upload_id.to_string();
    let (node, owner) = (app.clone(), tenant.clone());
    let work = async move { append_whole(&node, owner, &id, 0, checksum, body).await };
    let taken = tokio::spawn(work).await.map_err(Refusal::internal)?;
    match taken {
        Ok(upload) => Ok(created
            .with("upload-offset", upload.received)
            .with("upload-expires", http_date(upload.expires_at))
            .response()),
        Err(refusal) => {
            // Who is refused does not learn the address: nobody would ever go on with it.
            if let Some(left) = uploads::find(&app.store, &tenant, upload.upload_id).await? {
                let _turn = Turn::take(left.upload_id).await?;
                landing::forget(&app, &tenant, left.upload_id).await?;
            }
            Err(refusal)
        }
    }
}

/// Keeps the row of a new upload, where there is room for one.
async fn keep(app: &App, tenant: &TenantId, upload: &Upload) -> Result<(), Refusal> {
    let mut write = app.store.begin().await?;
    limits::must_have_room(app, &mut write, tenant, upload.bytes).await?;
    uploads::insert(&mut write, tenant, upload).await?;
    Ok(write.commit().await?)
}

/// 413, for a part or a file that is over the tenant's limit.
pub(super) fn too_large(bytes: u64, largest: u64) -> Refusal {
    let detail = format!("{bytes} bytes are over the limit of {largest} (limits.part_bytes)");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
        .help("split the document, or have the limit raised")
}

/// How far an upload is.
#[utoipa::path(head, path = "/v1/uploads/{id}", tag = "uploads", operation_id = "upload_offset",
    params(("id" = inline(UploadId), Path, description = "The upload."),
        ("Tus-Resumable" = inline(TusVersion), Header, description = "The protocol's version.")),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 200, description = "Where it stands.",
        headers(("Upload-Offset" = u64, description = "Bytes that are durable here."),
            ("Upload-Length" = u64, description = "Bytes there will be."),
            ("Upload-Metadata" = String, description = "What it was announced with."))),
        (status = 412, description = "Another version of tus.")))]
async fn offset(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    headers::speaks_tus(&headers)?;
    // On a task of its own: what came whole may have to be put together, which takes longer than a request may.
    let work = async move {
        let turn = Turn::take(find(&app, caller.tenant(), &id).await?.upload_id).await?;
        // Once more: the request before us may have moved the offset.
        let mut upload = find(&app, caller.tenant(), &id).await?;
        landing::settle(&app, caller.tenant(), &mut upload).await?;
        drop(turn);
        Ok::<_, Refusal>(upload)
    };
    let upload = tokio::spawn(work).await.map_err(Refusal::internal)??;
    Ok(tus(StatusCode::OK)
        .with("upload-offset", upload.received)
        .with("upload-length", upload.bytes)
        .with("upload-metadata", headers::metadata_of(&upload))
        .with("upload-expires", http_date(upload.expires_at))
        .with("cache-control", "no-store")
        .response())
}

/// Forgets an upload (tus 1.0, termination).
#[utoipa::path(delete, path = "/v1/uploads/{id}", tag = "uploads", operation_id = "terminate_upload",
    params(("id" = inline(UploadId), Path, description = "The upload."),
        ("Tus-Resumable" = inline(TusVersion), Header, description = "The protocol's version.")),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 204, description = "It is gone."),
        (status = 412, description = "Another version of tus.", body = platen_model::Problem,
            content_type = "application/problem+json")))]
async fn terminate(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    headers::speaks_tus(&headers)?;
    let tenant = caller.tenant().clone();
    let upload = find(&app, &tenant, &id).await?;
    let _turn = Turn::take(upload.upload_id).await?;
    landing::forget(&app, &tenant, upload.upload_id).await?;
    Ok(tus(StatusCode::NO_CONTENT).response())
}

/// Sends bytes of an upload.
#[utoipa::path(patch, path = "/v1/uploads/{id}", tag = "uploads", operation_id = "append_upload",
    params(("id" = inline(UploadId), Path, description = "The upload."),
        ("Tus-Resumable" = inline(TusVersion), Header, description = "The protocol's version."),
        ("Upload-Offset" = u64, Header, description = "Where these bytes begin.", maximum = 9007199254740991i64),
        ("Upload-Checksum" = Option<String>, Header, pattern = "^sha256 [A-Za-z0-9+/]{43}=$",
            description = "The digest of these bytes, in base64.")),
    request_body(content_type = "application/offset+octet-stream", content = Vec<u8>),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 204, description = "They are durable.",
        headers(("Upload-Offset" = u64, description = "Bytes that are durable here."))),
        (status = 409, description = "The upload stands elsewhere.", body = platen_model::Problem,
            content_type = "application/problem+json"),
        (status = 412, description = "Another version of tus.", body = platen_model::Problem,
            content_type = "application/problem+json"),
        (status = 423, description = "Another request is writing to it.", body = platen_model::Problem,
            content_type = "application/problem+json"),
        (status = 460, description = "The bytes do not have the checksum they came with.",
            body = platen_model::Problem, content_type = "application/problem+json")))]
async fn append(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    must_be(&headers, OFFSET_STREAM)?;
    headers::speaks_tus(&headers)?;
    let at: u64 = headers::number(&headers, "upload-offset")?;
    let checksum = headers::checksum(&headers)?;
    // On a task of its own: when the client goes away this request is dropped, but what came must be kept.
    let work = async move { append_whole(&app, caller.tenant().clone(), &id, at, checksum, body).await };
    let upload = tokio::spawn(work).await.map_err(Refusal::internal)??;
    Ok(stands_at(&upload))
}

async fn append_whole(
    app: &App,
    tenant: TenantId,
    id: &str,
    at: u64,
    checksum: Option<[u8; 32]>,
    body: Body,
) -> Result<Upload, Refusal> {
    let turn = Turn::take(find(app, &tenant, id).await?.upload_id).await?;
    // Once more: somebody may have moved the offset before it was our turn.
    let mut upload = find(app, &tenant, id).await?;
    landing::settle(app, &tenant, &mut upload).await?;
    if at != upload.received {
        return Err(elsewhere(at, upload.received));
    }
    if upload.received == upload.bytes {
        // It is a blob by now; there is nothing to write to any more.
        return Ok(upload);
    }
    if upload.received == 0 && !uploads::pieces(&app.store, &tenant, upload.upload_id).await?.is_empty() {
        return Err(
            Refusal::conflict("the bytes of this upload go to the bucket itself").help("PUT them there")
        );
    }
    upload.expires_at = expiry(app);
    let cut = landing::take(app, &tenant, &mut upload, &turn, body, checksum).await?;
    crash::point("the offset is recorded");
    if let Some(error) = cut.filter(|_| upload.received < upload.bytes) {
        // 408: what was sent is not wrong, so a device that was only slow tries again by itself.
        let detail = format!("the body was cut off: {error}");
        return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "cut-off", detail)
            .safe(format!("the upload stands at {}", upload.received))
            .help("ask for the offset with HEAD and go on from there"));
    }
    if upload.received == upload.bytes {
        landing::complete(app, &tenant, &upload).await?;
    }
    Ok(upload)
}

/// Takes over the bytes of an upload that went to the bucket itself. Repeating it changes nothing.
pub(super) async fn complete_presigned(app: &App, tenant: &TenantId, id: &str) -> Result<(), Refusal> {
    let _turn = Turn::take(find(app, tenant, id).await?.upload_id).await?;
    let mut upload = find(app, tenant, id).await?;
    if upload.received < upload.bytes {
        let pieces = uploads::pieces(&app.store, tenant, upload.upload_id).await?;
        let [piece] = &pieces[..] else {
            return Err(
                Refusal::conflict("this upload does not go to the bucket itself").help("go on with PATCH")
            );
        };
        let there = app.keep.blobs.piece_bytes(&piece.name).await?;
        if there != Some(upload.bytes) {
            let there = there.map_or("nothing".to_owned(), |bytes| format!("{bytes} bytes"));
            let detail = format!("{there} came of the {} bytes that were announced", upload.bytes);
            return Err(Refusal::conflict(detail).help("PUT them, then say so again"));
        }
        let whole = Upload { received: upload.bytes, ..upload.clone() };
        uploads::advance(&app.store, tenant, &whole, upload.received, &[]).await?;
        upload = find(app, tenant, id).await?;
    }
    landing::settle(app, tenant, &mut upload).await
}

/// 409: the request begins where the upload does not stand.
fn elsewhere(at: u64, received: u64) -> Refusal {
    Refusal::conflict(format!("the upload stands at {received}, the request begins at {at}"))
        .help("ask for the offset with HEAD and go on from there")
}

/// The answer to a PATCH: how far the upload is now.
fn stands_at(upload: &Upload) -> Response {
    tus(StatusCode::NO_CONTENT)
        .with("upload-offset", upload.received)
        .with("upload-expires", http_date(upload.expires_at))
        .response()
}

/// Forgets uploads whose time is over. Called now and then while the server runs.
pub async fn sweep(app: &App) -> Result<(), Refusal> {
    let mut after = None;
    loop {
        let found = uploads::expired(&app.store, after.as_ref()).await?;
        for (_, upload, tenant) in &found {
            if let Ok(_turn) = Turn::if_free(*upload) {
                landing::forget(app, tenant, *upload).await?;
            }
        }
        let Some(last) = found.into_iter().next_back() else { return Ok(()) };
        after = Some(last);
    }
}

async fn find(app: &App, tenant: &TenantId, id: &str) -> Result<Upload, Refusal> {
    let missing = || Refusal::not_found("such upload");
    let id = id.parse().map_err(|_| missing())?;
    let upload = uploads::find(&app.store, tenant, id).await?.ok_or_else(missing)?;
    if upload.expires_at < Timestamp::now() {
        return Err(
            Refusal::new(StatusCode::GONE, "gone", "the upload's time is over").help("begin a new one")
        );
    }
    Ok(upload)
}

pub(super) fn expiry(app: &App) -> Timestamp {
    let seconds = i64::try_from(app.config.limits.upload_seconds).unwrap_or(i64::MAX);
    Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A tus answer being made.
struct Tus(Response);

fn tus(status: StatusCode) -> Tus {
    Tus(status.into_response())
}

impl Tus {
    fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    fn response(self) -> Response {
        let mut response = self.0;
        response.headers_mut().remove(header::CONTENT_TYPE);
        response
    }
}
