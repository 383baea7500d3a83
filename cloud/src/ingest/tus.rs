//! Resumable uploads: tus 1.0 (<https://tus.io/protocols/resumable-upload>) with creation, checksum,
//! termination and expiration.
//!
//! Bytes are appended to a file of the incoming folder and fsynced before the offset is recorded, and the
//! offset is recorded before it is answered. What the file holds beyond the recorded offset was never
//! acknowledged and is cut off before the next byte is written. A file that holds less than the recorded offset
//! (or is gone, after a crash while the upload became a blob) sends the upload back to its beginning: only
//! bytes that are here, and were sent by this tenant, ever become a blob of this tenant (INV-12).
//!
//! The danger is a client whose connection broke without our knowing, so that it comes back while its earlier
//! request still waits here for bytes. The newer request ends the older one, which keeps what came, and only then
//! is its own turn: the offset it is told is the last byte that is here. A body that pauses for longer than
//! `limits.request_seconds` counts as cut off as well.
//!
//! What came of a cut body is kept, checksum or not. Half a chunk cannot be compared with the checksum of a whole
//! one; but all bytes of a part are compared with its digest before they become a blob, and a line that is cut
//! every few seconds would never carry a chunk if its halves were thrown away.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use platen_model::{Digest, TenantId, UploadId, crash, durable};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::blobs::{BlobError, off_the_reactor};
use crate::http::read::{Named, must_be};
use crate::refusal::Refusal;
use crate::store::blobs::{self as visibility, Visible};
use crate::store::uploads::{self, Upload};

/// The media type of a PATCH.
const OFFSET_STREAM: &str = "application/offset+octet-stream";
/// The status of a failed checksum, by the checksum extension.
const CHECKSUM_MISMATCH: u16 = 460;
/// Longest media type of a part.
const MIME_CHARACTERS: usize = 100;

/// The versions of tus that are spoken here.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is the word of a header in the contract; `speaks_tus` reads it")]
enum TusVersion {
    #[schema(rename = "1.0.0")]
    One,
}

/// How long a request waits for the one before it to let go of an upload.
const TURN_TIME: Duration = Duration::from_secs(20);

/// The longest pause of a body whose client has come back with another request.
const LAST_BYTES_TIME: Duration = Duration::from_millis(100);

/// The uploads some request is at work on at this moment.
static AT_WORK: LazyLock<Mutex<BTreeMap<UploadId, Holder>>> = LazyLock::new(Mutex::default);

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create, options))
        .routes(routes!(offset, append, terminate, options_of_one))
        .routes(routes!(has_blob))
        // Parts have a limit of their own, which `create` holds.
        .layer(DefaultBodyLimit::disable())
}

/// What this server speaks of tus.
#[utoipa::path(options, path = "/v1/uploads", tag = "uploads", operation_id = "tus_options",
    responses((status = 204, description = "Version, extensions and limits, as headers.")))]
async fn options(State(app): State<App>) -> Response {
    let largest = app.config.limits.part_bytes;
    tus(StatusCode::NO_CONTENT)
        .with("tus-version", "1.0.0")
        .with("tus-extension", "creation,checksum,termination,expiration")
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

/// Begins an upload (tus 1.0, creation).
#[utoipa::path(post, path = "/v1/uploads", tag = "uploads", operation_id = "create_upload",
    params(
        ("Tus-Resumable" = inline(TusVersion), Header, description = "The protocol's version."),
        ("Upload-Length" = u64, Header, description = "Bytes that will come.", maximum = 9007199254740991i64),
        ("Upload-Metadata" = String, Header, pattern = "^sha256 [A-Za-z0-9+/]{86}==(,mime [A-Za-z0-9+/]*={0,2})?$",
            description = "Pairs of a key and base64: `sha256`, the digest of the bytes in hex, and `mime`, their \
                media type.")),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 201, description = "It is begun.",
        headers(("Location" = String, description = "Its address."),
            ("Upload-Expires" = String, description = "When it ends unless more comes."))),
        (status = 412, description = "Another version of tus.", body = platen_model::Problem,
            content_type = "application/problem+json"),
        (status = 413, description = "The part is over the limit.", body = platen_model::Problem,
            content_type = "application/problem+json"),
        (status = 422, description = "It is empty, but its digest is not that of no bytes.",
            body = platen_model::Problem, content_type = "application/problem+json")))]
async fn create(State(app): State<App>, caller: Caller, headers: HeaderMap) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    let tenant = caller.tenant().clone();
    speaks_tus(&headers)?;
    let bytes: u64 = number(&headers, "upload-length")?;
    let largest = app.config.limits.part_bytes;
    if bytes > largest {
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            format!("{bytes} bytes are over the limit of {largest} (limits.part_bytes)"),
        )
        .help("split the document, or raise the limit"));
    }
    let metadata = metadata(&headers)?;
    let sha256 = metadata.get("sha256").and_then(|hex| hex.parse::<Digest>().ok());
    let sha256 =
        sha256.ok_or_else(|| Refusal::bad_request("Upload-Metadata needs `sha256`: 64 hex digits"))?;
    let mime = metadata.get("mime").cloned().unwrap_or_else(|| "application/octet-stream".into());
    if mime.len() > MIME_CHARACTERS || HeaderValue::from_str(&mime).is_err() || !mime.contains('/') {
        return Err(Refusal::bad_request("Upload-Metadata: `mime` is not a media type"));
    }
    let upload =
        Upload { upload_id: UploadId::new(), sha256, mime, bytes, received: 0, expires_at: expiry(&app) };
    // File and folder are fsynced, then the row is committed: the address we answer is there after a power cut.
    let path = file_of(&app, upload.upload_id);
    off_the_reactor(move || Ok(durable::write(&path, b"")?)).await?;
    uploads::insert(&app.store, &tenant, &upload).await?;
    crash::point("an upload is begun");
    if bytes == 0 {
        complete(&app, &tenant, &upload).await?;
    }
    let location = format!("{}/v1/uploads/{}", app.config.public_url, upload.upload_id);
    Ok(tus(StatusCode::CREATED)
        .with("location", location)
        .with("upload-expires", http_date(upload.expires_at))
        .response())
}

/// How far an upload is.
#[utoipa::path(head, path = "/v1/uploads/{id}", tag = "uploads", operation_id = "upload_offset",
    params(("id" = inline(UploadId), Path, description = "The upload.")),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 200, description = "Where it stands.",
        headers(("Upload-Offset" = u64, description = "Bytes that are durable here."),
            ("Upload-Length" = u64, description = "Bytes there will be.")))))]
async fn offset(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    let mut upload = find(&app, caller.tenant(), &id).await?;
    let _turn = Turn::take(upload.upload_id).await?;
    // Once more: the request before us may have moved the offset.
    upload = find(&app, caller.tenant(), &id).await?;
    settle(&app, caller.tenant(), &mut upload).await?;
    Ok(tus(StatusCode::OK)
        .with("upload-offset", upload.received)
        .with("upload-length", upload.bytes)
        .with("upload-expires", http_date(upload.expires_at))
        .with("cache-control", "no-store")
        .response())
}

/// Forgets an upload (tus 1.0, termination).
#[utoipa::path(delete, path = "/v1/uploads/{id}", tag = "uploads", operation_id = "terminate_upload",
    params(("id" = inline(UploadId), Path, description = "The upload.")),
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 204, description = "It is gone.")))]
async fn terminate(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Response, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    let tenant = caller.tenant().clone();
    let upload = find(&app, &tenant, &id).await?;
    let _turn = Turn::take(upload.upload_id).await?;
    forget(&app, &tenant, upload.upload_id).await?;
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
    speaks_tus(&headers)?;
    let at: u64 = number(&headers, "upload-offset")?;
    let checksum = checksum(&headers)?;
    // On a task of its own: when the client goes away this request is dropped, but what came must be kept.
    let work = async move { append_whole(&app, caller.tenant().clone(), &id, at, checksum, body).await };
    tokio::spawn(work).await.map_err(Refusal::internal)?
}

async fn append_whole(
    app: &App,
    tenant: TenantId,
    id: &str,
    at: u64,
    checksum: Option<[u8; 32]>,
    body: Body,
) -> Result<Response, Refusal> {
    let turn = Turn::take(find(app, &tenant, id).await?.upload_id).await?;
    // Once more: somebody may have moved the offset before it was our turn.
    let mut upload = find(app, &tenant, id).await?;
    settle(app, &tenant, &mut upload).await?;
    if at != upload.received {
        let detail = format!("the upload stands at {}, the request begins at {at}", upload.received);
        return Err(Refusal::conflict(detail).help("ask for the offset with HEAD and go on from there"));
    }
    if upload.received == upload.bytes {
        // It is a blob by now; there is no file to write to any more.
        return Ok(stands_at(&upload));
    }
    let came = write_body(app, &upload, &turn, body).await?;
    if let Some(promised) = checksum
        && came.cut.is_none()
        && came.sha256 != promised
    {
        let status = StatusCode::from_u16(CHECKSUM_MISMATCH).unwrap_or(StatusCode::BAD_REQUEST);
        return Err(Refusal::new(
            status,
            "checksum-mismatch",
            "the bytes do not have the checksum they came with",
        )
        .safe("the bytes before them are kept; none of these are")
        .help("send them again from the same offset"));
    }
    upload.received += came.bytes;
    upload.expires_at = expiry(app);
    let expires = upload.expires_at.as_millisecond();
    uploads::advance(&app.store, &tenant, upload.upload_id, upload.received, expires).await?;
    crash::point("the offset is recorded");
    if let Some(error) = came.cut.filter(|_| upload.received < upload.bytes) {
        // 408: what was sent is not wrong, so a device that was only slow tries again by itself.
        let detail = format!("the body was cut off: {error}");
        return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "cut-off", detail)
            .safe(format!("the upload stands at {}", upload.received))
            .help("ask for the offset with HEAD and go on from there"));
    }
    if upload.received == upload.bytes {
        complete(app, &tenant, &upload).await?;
    }
    Ok(stands_at(&upload))
}

/// The answer to a PATCH: how far the upload is now.
fn stands_at(upload: &Upload) -> Response {
    tus(StatusCode::NO_CONTENT)
        .with("upload-offset", upload.received)
        .with("upload-expires", http_date(upload.expires_at))
        .response()
}

/// What came of a body.
struct Came {
    bytes: u64,
    sha256: [u8; 32],
    cut: Option<String>,
}

/// Writes the body behind the recorded offset and fsyncs it; a body that is too long is refused. One that
/// pauses for longer than `limits.request_seconds`, or whose client has come back with another request, counts as
/// cut off.
async fn write_body(app: &App, upload: &Upload, turn: &Turn, body: Body) -> Result<Came, Refusal> {
    let path = file_of(app, upload.upload_id);
    let mut options = tokio::fs::File::options();
    options.write(true);
    let mut file = options.open(&path).await.map_err(Refusal::internal)?;
    file.set_len(upload.received).await.map_err(Refusal::internal)?;
    file.seek(std::io::SeekFrom::Start(upload.received)).await.map_err(Refusal::internal)?;
    let mut stream = body.into_data_stream();
    let mut hasher = Sha256::new();
    let (mut bytes, mut cut) = (0u64, None);
    let mut pause = Duration::from_secs(app.config.limits.request_seconds);
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = tokio::time::timeout(pause, stream.next()) => chunk,
            () = turn.holder.asked.cancelled(), if pause > LAST_BYTES_TIME => {
                // What lies in the connection already is kept; no more will come of it.
                pause = LAST_BYTES_TIME;
                continue;
            }
        };
        let Ok(chunk) = chunk else {
            cut = Some(if turn.holder.asked.is_cancelled() {
                "the client has come back with another request".into()
            } else {
                format!("nothing came for {} s (limits.request_seconds)", pause.as_secs())
            });
            break;
        };
        let Some(chunk) = chunk else { break };
        match chunk {
            Ok(chunk) => {
                bytes += chunk.len() as u64;
                if upload.received + bytes > upload.bytes {
                    let detail = format!("more bytes came than the {} that were announced", upload.bytes);
                    return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail)
                        .help("ask for the offset with HEAD and send the rest"));
                }
                hasher.update(&chunk);
                file.write_all(&chunk).await.map_err(Refusal::internal)?;
            }
            Err(error) => {
                cut = Some(error.to_string());
                break;
            }
        }
    }
    file.flush().await.map_err(Refusal::internal)?;
    file.sync_all().await.map_err(Refusal::internal)?;
    crash::point("bytes are written");
    Ok(Came { bytes, sha256: hasher.finalize().into(), cut })
}

/// All bytes are there: if they are the promised ones they become a blob, if not the upload is gone.
///
/// After a crash between any two lines [`settle`] finds either the file, and this is repeated, or no file and no
/// blob of the tenant's, and the upload begins anew.
async fn complete(app: &App, tenant: &TenantId, upload: &Upload) -> Result<(), Refusal> {
    let blob = Visible { sha256: upload.sha256, bytes: upload.bytes, mime: upload.mime.clone() };
    let adopted = app.keep.adopt(tenant, &file_of(app, upload.upload_id), &blob).await;
    if let Err(BlobError::Mismatch { expected, found }) = adopted {
        forget(app, tenant, upload.upload_id).await?;
        let errors = BTreeMap::from([("sha256".to_owned(), format!("announced {expected}, came {found}"))]);
        return Err(Refusal::invalid("the bytes do not have the digest that was announced", errors)
            .safe("nothing of this upload is kept; no other upload is touched")
            .help("upload the part again from its beginning"));
    }
    adopted?;
    crash::point("a part is a blob");
    Ok(())
}

/// Forgets uploads whose time is over. Called now and then while the server runs.
pub async fn sweep(app: &App) -> Result<(), Refusal> {
    for (tenant, upload) in uploads::expired(&app.store).await? {
        if let Ok(_turn) = Turn::if_free(upload) {
            forget(app, &tenant, upload).await?;
        }
    }
    Ok(())
}

async fn forget(app: &App, tenant: &TenantId, upload: UploadId) -> Result<(), Refusal> {
    let path = file_of(app, upload);
    off_the_reactor(move || Ok(durable::remove_file(&path)?)).await?;
    Ok(uploads::remove(&app.store, tenant, upload).await?)
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

/// Brings an upload's row and its file together again where a crash parted them. Call it with the [`Turn`].
async fn settle(app: &App, tenant: &TenantId, upload: &mut Upload) -> Result<(), Refusal> {
    let whole = upload.received == upload.bytes;
    if whole && visibility::visible(app.store.reading(), tenant, upload.sha256).await?.is_some() {
        return Ok(());
    }
    let held = match tokio::fs::metadata(file_of(app, upload.upload_id)).await {
        Ok(file) => Some(file.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Refusal::internal(error)),
    };
    if held.is_none_or(|held| held < upload.received) {
        tracing::warn!(upload = %upload.upload_id, "the file of an upload is gone; it begins anew");
        let path = file_of(app, upload.upload_id);
        off_the_reactor(move || Ok(durable::write(&path, b"")?)).await?;
        upload.received = 0;
        let expires = upload.expires_at.as_millisecond();
        uploads::advance(&app.store, tenant, upload.upload_id, 0, expires).await?;
    } else if whole {
        // A crash between the last byte and the blob: finish now what was not finished then.
        complete(app, tenant, upload).await?;
    }
    Ok(())
}

/// Removes what earlier processes left in the incoming folder: files that no upload is waiting for. Only for
/// the one server process at its start, while nobody writes there.
pub async fn clear_incoming(app: &App) -> Result<(), Refusal> {
    let waited_for = uploads::all(&app.store).await?;
    let folder = app.keep.blobs.incoming();
    let removed = off_the_reactor(move || {
        let mut removed = 0u32;
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let upload = entry.file_name().to_str().and_then(|name| name.parse::<UploadId>().ok());
            if upload.is_none_or(|upload| !waited_for.contains(&upload)) {
                durable::remove_file(&entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    });
    let removed = removed.await?;
    if removed > 0 {
        tracing::info!(removed, "half-written files of an earlier process were removed");
    }
    Ok(())
}

fn file_of(app: &App, upload: UploadId) -> PathBuf {
    app.keep.blobs.incoming().join(upload.to_string())
}

fn expiry(app: &App) -> Timestamp {
    let seconds = i64::try_from(app.config.limits.upload_seconds).unwrap_or(i64::MAX);
    Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Who is at work on an upload.
#[derive(Clone, Default)]
struct Holder {
    /// Somebody else wants the upload.
    asked: CancellationToken,
    /// It was given back.
    ended: CancellationToken,
}

/// The right to write to an upload, given back when dropped.
struct Turn {
    upload: UploadId,
    holder: Holder,
}

impl Turn {
    /// The turn, where nobody has it; else who has.
    fn if_free(upload: UploadId) -> Result<Self, Holder> {
        let mut at_work = AT_WORK.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = at_work.get(&upload) {
            return Err(holder.clone());
        }
        let holder = Holder::default();
        at_work.insert(upload, holder.clone());
        Ok(Self { upload, holder })
    }

    /// Asks whoever has the turn to end, and waits for it.
    async fn take(upload: UploadId) -> Result<Self, Refusal> {
        let waited_for = async {
            loop {
                match Self::if_free(upload) {
                    Ok(turn) => return turn,
                    Err(holder) => {
                        holder.asked.cancel();
                        holder.ended.cancelled().await;
                    }
                }
            }
        };
        tokio::time::timeout(TURN_TIME, waited_for).await.map_err(|_| {
            Refusal::new(StatusCode::LOCKED, "locked", "another request is writing to this upload")
                .help("wait until it ends, then ask for the offset")
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        AT_WORK.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.upload);
        self.holder.ended.cancel();
    }
}

fn speaks_tus(headers: &HeaderMap) -> Result<(), Refusal> {
    match text(headers, "tus-resumable") {
        Some("1.0.0") => Ok(()),
        None => Err(Refusal::bad_request("the header Tus-Resumable is missing").help("speak tus 1.0.0")),
        Some(_) => {
            Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "tus-version", "Tus-Resumable must be 1.0.0")
                .help("speak tus 1.0.0"))
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn number(headers: &HeaderMap, name: &str) -> Result<u64, Refusal> {
    let number = text(headers, name).and_then(|value| value.parse().ok()).filter(|n| *n <= i64::MAX as u64);
    number.ok_or_else(|| Refusal::bad_request(format!("the header {name} is missing or no number")))
}

fn metadata(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Refusal> {
    let wrong = || Refusal::bad_request("Upload-Metadata is not pairs of a key and base64");
    let mut pairs = BTreeMap::new();
    for pair in
        text(headers, "upload-metadata").unwrap_or_default().split(',').filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        let value = STANDARD.decode(value).map_err(|_| wrong())?;
        pairs.insert(key.to_owned(), String::from_utf8(value).map_err(|_| wrong())?);
    }
    Ok(pairs)
}

fn checksum(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Refusal> {
    let Some(value) = text(headers, "upload-checksum") else { return Ok(None) };
    let value = value.strip_prefix("sha256 ").and_then(|value| STANDARD.decode(value).ok());
    let value = value.and_then(|bytes| bytes.try_into().ok());
    value.map(Some).ok_or_else(|| Refusal::bad_request("Upload-Checksum: `sha256 ` and base64 of 32 bytes"))
}

/// A tus answer being made.
struct Tus(Response);

fn tus(status: StatusCode) -> Tus {
    Tus(status.into_response()).with("tus-resumable", "1.0.0")
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
