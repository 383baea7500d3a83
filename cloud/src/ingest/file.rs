//! One file in one request, from a program: `multipart/form-data` with `file` and `metadata`. One that was uploaded in
//! pieces before is named by its digest instead, in JSON.
//!
//! The file is written as it comes, digested, and looked at by a worker before anything is kept: what it is is told by
//! its bytes, never by its name or its header (415), and what could not be captured is refused at once, with the reason
//! (422). Then it is a document like any other: a manifest of our own names it, its first event and its first job
//! are one commit, and the job captures it ([`crate::jobs::capture`]).
//!
//! The bytes are the tenant's if the tenant has a document of them already: then that document is the answer, unless
//! the metadata says `again`.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use multer::{Constraints, Field, Multipart, SizeLimit};
use platen_capture::worker::protocol::{Reply, Request};
use platen_capture::{Kind, Passwords, decode};
use platen_model::manifest::MANIFEST_VERSION;
use platen_model::{
    CaptureId, CorrelationId, Decision, Digest, DocumentId, DocumentManifest, DocumentType, Failure,
    FailureClass, Part, PartRole, TenantId, Verdict, crash, durable,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;
use uuid::Uuid;

use super::commit::{MANIFEST_MIME, receipt};
use super::documents::Taken;
use super::tus::landing::head_of;
use super::{idempotency, limits, tus};
use crate::app::App;
use crate::auth::Caller;
use crate::blobs::off_the_reactor;
use crate::http::read::unpaused;
use crate::http::trace::Trace;
use crate::jobs::capture::LANGUAGES_LABEL;
use crate::refusal::Refusal;
use crate::store::blobs::{self as visibility, Visible};
use crate::store::record::Record;
use crate::store::{documents, events};

/// Largest metadata, in bytes.
const METADATA_BYTES: usize = 64 << 10;
/// Most labels, and the longest of their names and values, in characters.
const LABELS: usize = 50;
const LABEL_CHARACTERS: usize = 255;
/// The name of the source of what names none.
const SOURCE: &str = "api";
/// Longest name of a file, in characters; a longer one is cut.
const NAME_CHARACTERS: usize = 255;
/// Longest time a worker is waited for that looks at a file. What it would have refused is then set aside later.
const LOOK_TIME: Duration = Duration::from_secs(20);

/// What is sent, as the contract shows it.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it is the form in the contract; `Form` is what came of it")]
pub(super) struct SentFile {
    /// The file: PDF, TIFF, JPEG, JPEG 2000, PNG, WebP, BMP or GIF.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// What is said of it.
    metadata: Option<Metadata>,
}

/// A file that was uploaded before, by its digest, and what is said of it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UploadedFile {
    /// The digest of the upload, which has ended.
    upload: Digest,
    /// The file's name.
    #[schema(nullable = false, max_length = 255)]
    file_name: Option<String>,
    /// What is said of it.
    #[serde(default)]
    metadata: Metadata,
}

/// What a program says of the file it sends. All of it may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Metadata {
    /// Where it comes from, by a name for people; `api` by default.
    #[schema(nullable = false, min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f]+$")]
    source: Option<String>,
    /// The department it belongs to.
    #[schema(nullable = false, min_length = 1, max_length = 255, pattern = r"^[^\x00-\x1f\x7f]+$")]
    department: Option<String>,
    /// Its type, where the sender knows it; else the rules find out.
    #[schema(nullable = false, pattern = r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    document_type: Option<String>,
    /// The languages to read it in, as Tesseract names them.
    #[schema(nullable = false, max_length = 100, pattern = r"^[a-z]{3}[a-z_]*(\+[a-z]{3}[a-z_]*)*$")]
    languages: Option<String>,
    /// Free labels.
    labels: BTreeMap<String, String>,
    /// Make a new document even of a file that is here already.
    again: bool,
}

/// A form that came whole. The file is removed with it, unless it became a blob.
pub(crate) struct Form {
    waiting: Waiting,
    /// It was uploaded before: its bytes are a blob, and not among the incoming files yet.
    is_uploaded: bool,
    metadata: Metadata,
}

#[cfg(test)]
impl Form {
    /// The file's name and length.
    pub(crate) fn file(&self) -> (&str, u64) {
        (&self.waiting.file_name, self.waiting.bytes)
    }
}

/// A file in the incoming folder.
struct Waiting {
    path: PathBuf,
    file_name: String,
    sha256: Digest,
    bytes: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // One that became a blob is not here any more. What is left over after a crash goes at the next start.
        let _ = durable::remove_file(&self.path);
    }
}

/// Takes a file in.
pub(super) async fn send(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    content_type: &str,
    body: Body,
) -> Result<Response, Refusal> {
    let tenant = caller.tenant();
    let limits = limits::of(app, tenant).await?;
    let form = read(app, content_type, body, limits.part_bytes).await?;
    take(app, caller, headers, &limits, form).await
}

/// Takes in a file that was uploaded before.
pub(super) async fn send_uploaded(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refusal> {
    let limits = limits::of(app, caller.tenant()).await?;
    let form = named(app, caller.tenant(), body, limits.part_bytes).await?;
    take(app, caller, headers, &limits, form).await
}

async fn take(
    app: &App,
    caller: &Caller,
    headers: &HeaderMap,
    limits: &limits::TenantLimits,
    form: Form,
) -> Result<Response, Refusal> {
    let tenant = caller.tenant();
    let key = idempotency::key_of(headers, caller, fingerprint(&form))?;
    // Before anything is looked at: a repetition costs nothing, and says what was said before.
    if let Some(record) = known(app, tenant, key.as_ref(), &form).await? {
        return Ok(answer(app, StatusCode::OK, record));
    }
    // Before a worker and the disk are asked for anything; whoever commits counts once more.
    limits::must_be_in_time(&mut app.store.begin().await?, tenant, limits).await?;
    if form.is_uploaded {
        fetch(app, tenant, &form.waiting).await?;
    }
    let (kind, pages) = look(app, &form.waiting).await?;
    if pages > limits.document_pages {
        let complaint =
            format!("has {pages} pages; the limit is {} (limits.document_pages)", limits.document_pages);
        return Err(Refusal::invalid("the file has too many pages", [("file".to_owned(), complaint)].into())
            .help("split the document, or have the limit raised"));
    }
    let manifest = manifest(app, &form, kind, pages);
    let Waiting { path, sha256, bytes, .. } = &form.waiting;
    let blob = Visible { sha256: *sha256, bytes: *bytes, mime: kind.mime().into() };
    app.keep.adopt(tenant, path, &blob).await?;
    let manifest_bytes = serde_json::to_vec(&manifest).map_err(Refusal::internal)?;
    let manifest_sha256 = app.keep.put(tenant, manifest_bytes, MANIFEST_MIME).await?;
    crash::point("the manifest is kept");

    let mut write = app.store.begin().await?;
    // Once more, where nobody can come between: the same may have been sent twice at once.
    if let Some(document) = idempotency::earlier(&mut write, tenant, key.as_ref()).await? {
        drop(write);
        return Ok(answer(app, StatusCode::OK, found(app, tenant, document).await?));
    }
    write.hold(format!("original {tenant} {sha256}")).await?;
    let record = match twin(&mut write, tenant, &form).await? {
        Some(record) => record,
        None => {
            limits::must_be_in_time(&mut write, tenant, limits).await?;
            write.hold(manifest.document_id).await?;
            let record =
                events::receive(&mut write, tenant, &manifest, manifest_sha256, Vec::new(), caller.actor())
                    .await?;
            idempotency::keep(app, &mut write, tenant, key.as_ref(), manifest.document_id).await?;
            write.commit().await?;
            crash::point("the document is committed");
            app.wake.notify_one();
            return Ok(answer(app, StatusCode::ACCEPTED, record));
        }
    };
    idempotency::keep(app, &mut write, tenant, key.as_ref(), record.document.document_id).await?;
    write.commit().await?;
    Ok(answer(app, StatusCode::OK, record))
}

/// The document that a form is about already: by its key, or by its bytes.
async fn known(
    app: &App,
    tenant: &TenantId,
    key: Option<&crate::store::idempotency::Key>,
    form: &Form,
) -> Result<Option<Record>, Refusal> {
    let mut write = app.store.begin().await?;
    if let Some(document) = idempotency::earlier(&mut write, tenant, key).await? {
        drop(write);
        return Ok(Some(found(app, tenant, document).await?));
    }
    let Some(record) = twin(&mut write, tenant, form).await? else { return Ok(None) };
    idempotency::keep(app, &mut write, tenant, key, record.document.document_id).await?;
    write.commit().await?;
    Ok(Some(record))
}

/// The tenant's document of the same bytes.
async fn twin(
    write: &mut crate::store::Write,
    tenant: &TenantId,
    form: &Form,
) -> Result<Option<Record>, Refusal> {
    if form.metadata.again {
        return Ok(None);
    }
    Ok(documents::of_original(write, tenant, form.waiting.sha256).await?)
}

async fn found(app: &App, tenant: &TenantId, document: DocumentId) -> Result<Record, Refusal> {
    let record = documents::find(app.store.reading(), tenant, document).await?;
    record.ok_or_else(|| Refusal::not_found(format!("document {document}")))
}

fn answer(app: &App, status: StatusCode, record: Record) -> Response {
    let receipt = receipt(app, &record);
    let location = format!("/v1/documents/{}", record.document.document_id);
    (status, [(header::LOCATION, location)], Json(Taken { document: record.document, receipt }))
        .into_response()
}

/// What a repetition must be the same as.
fn fingerprint(form: &Form) -> Digest {
    let Waiting { file_name, sha256, .. } = &form.waiting;
    let all = serde_json::json!({ "file": sha256, "file_name": file_name, "metadata": form.metadata });
    Digest::of(all.to_string().as_bytes())
}

/// Reads the form, the file to the incoming folder.
pub(crate) async fn read(app: &App, content_type: &str, body: Body, largest: u64) -> Result<Form, Refusal> {
    let boundary = multer::parse_boundary(content_type)
        .map_err(|error| Refusal::bad_request(format!("Content-Type: {error}")))?;
    // The parts beside the file, and what is written around them.
    let around = (METADATA_BYTES * 2) as u64;
    let sizes = SizeLimit::new()
        .whole_stream(largest.saturating_add(around))
        .for_field("metadata", METADATA_BYTES as u64);
    let constraints = Constraints::new().allowed_fields(vec!["file", "metadata"]).size_limit(sizes);
    let pause = Duration::from_secs(app.config.limits.request_seconds);
    let stream = unpaused(body, pause);
    let mut multipart = Multipart::with_constraints(stream, boundary, constraints);
    let (mut waiting, mut metadata) = (None, None);
    let twice = |name: &str| Refusal::bad_request(format!("the form has `{name}` twice"));
    while let Some(field) = multipart.next_field().await.map_err(|error| refused(error, largest))? {
        match field.name() {
            Some("file") if waiting.is_some() => return Err(twice("file")),
            Some("file") => waiting = Some(write(app, field, largest).await?),
            Some("metadata") if metadata.is_some() => return Err(twice("metadata")),
            Some("metadata") => {
                let bytes = field.bytes().await.map_err(|error| refused(error, largest))?;
                metadata = Some(metadata_of(app, &bytes)?);
            }
            _ => {
                return Err(Refusal::bad_request(
                    "the form has a part that is neither `file` nor `metadata`",
                ));
            }
        }
    }
    let complain = |complaint: &str| {
        Refusal::invalid("the form is not sound", [("file".to_owned(), complaint.to_owned())].into())
    };
    let waiting = waiting.ok_or_else(|| complain("is missing"))?;
    if waiting.bytes == 0 {
        return Err(complain("has no bytes"));
    }
    Ok(Form { waiting, is_uploaded: false, metadata: metadata.unwrap_or_default() })
}

/// Reads the JSON that names an upload.
async fn named(app: &App, tenant: &TenantId, body: &[u8], largest: u64) -> Result<Form, Refusal> {
    let value: serde_json::Value = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is no JSON: {error}")))?;
    let wrong = app.contract.body::<UploadedFile>(&value);
    if !wrong.is_empty() {
        return Err(Refusal::invalid("the body is not sound", wrong));
    }
    let named: UploadedFile = serde_json::from_value(value).map_err(Refusal::bad_request_of)?;
    let metadata = must_be_sound(named.metadata)?;
    let blob = visibility::visible(app.store.reading(), tenant, named.upload).await?;
    let complain = |complaint: &str| {
        Refusal::invalid("the upload cannot be taken", [("upload".to_owned(), complaint.to_owned())].into())
    };
    let blob = blob.ok_or_else(|| {
        complain("is not here").help("upload all of the file to /v1/uploads, then name it by its digest")
    })?;
    if blob.bytes == 0 {
        return Err(complain("has no bytes"));
    }
    if blob.bytes > largest {
        return Err(over(largest));
    }
    let waiting = Waiting {
        path: incoming(app),
        file_name: plain_name(named.file_name.as_deref().unwrap_or_default()),
        sha256: blob.sha256,
        bytes: blob.bytes,
    };
    Ok(Form { waiting, is_uploaded: true, metadata })
}

/// A new name in the incoming folder.
fn incoming(app: &App) -> PathBuf {
    app.keep.blobs.incoming().join(format!("file-{}", Uuid::now_v7()))
}

/// Copies an upload to where files that are sent come: all that follows is the same for both.
async fn fetch(app: &App, tenant: &TenantId, waiting: &Waiting) -> Result<(), Refusal> {
    let (mut file, _) = app.keep.open(tenant, waiting.sha256).await?;
    let to = waiting.path.clone();
    off_the_reactor(move || Ok(std::io::copy(&mut file, &mut File::create_new(to)?)?)).await?;
    Ok(())
}

/// Reads the metadata, and says which fields are wrong.
pub(crate) fn metadata_of(app: &App, bytes: &[u8]) -> Result<Metadata, Refusal> {
    let value: serde_json::Value = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::bad_request(format!("`metadata` is no JSON: {error}")))?;
    let wrong = app.contract.body::<Metadata>(&value);
    if !wrong.is_empty() {
        let errors = wrong.into_iter().map(|(field, complaint)| (format!("metadata.{field}"), complaint));
        return Err(Refusal::invalid("the metadata is not sound", errors.collect()));
    }
    must_be_sound(serde_json::from_slice(bytes).map_err(|error| unsound("metadata", error.to_string()))?)
}

fn unsound(field: &str, complaint: String) -> Refusal {
    Refusal::invalid("the metadata is not sound", [(field.to_owned(), complaint)].into())
}

/// Refuses metadata for what no schema says.
fn must_be_sound(metadata: Metadata) -> Result<Metadata, Refusal> {
    if let Some(languages) = &metadata.languages {
        // The first attempt would fail, and so would every other.
        platen_capture::ocr::require(languages)
            .map_err(|failure| unsound("metadata.languages", failure.message))?;
    }
    let too_long = |text: &String| text.chars().count() > LABEL_CHARACTERS;
    if metadata.labels.len() > LABELS
        || metadata.labels.iter().any(|(name, text)| too_long(name) || too_long(text))
    {
        let complaint = format!("are more than {LABELS}, or longer than {LABEL_CHARACTERS} characters");
        return Err(unsound("metadata.labels", complaint));
    }
    Ok(metadata)
}

/// What a form that cannot be read is refused with.
fn refused(error: multer::Error, largest: u64) -> Refusal {
    use multer::Error as E;
    match error {
        E::StreamSizeExceeded { .. } => over(largest),
        E::FieldSizeExceeded { .. } => {
            let detail = format!("`metadata` is over the limit of {METADATA_BYTES} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail).help("say less of the file")
        }
        E::UnknownField { .. } => {
            Refusal::bad_request("the form has a part that is neither `file` nor `metadata`")
        }
        E::StreamReadFailed(_) | E::IncompleteStream | E::IncompleteFieldData { .. } => {
            let detail = format!("the body did not come whole: {error}");
            Refusal::new(StatusCode::REQUEST_TIMEOUT, "cut-off", detail).help("send it again")
        }
        error => Refusal::bad_request(format!("the form cannot be read: {error}")),
    }
}

fn over(largest: u64) -> Refusal {
    tus::too_large(largest.saturating_add(1), largest)
}

/// Writes the file of a form, durable, and digests it.
async fn write(app: &App, mut field: Field<'_>, largest: u64) -> Result<Waiting, Refusal> {
    let path = incoming(app);
    let file_name = plain_name(field.file_name().unwrap_or_default());
    let mut waiting = Waiting { path, file_name, sha256: Digest::of(b""), bytes: 0 };
    let mut options = tokio::fs::File::options();
    options.create_new(true).write(true);
    let mut file = options.open(&waiting.path).await.map_err(Refusal::internal)?;
    let mut hasher = Sha256::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| refused(error, largest))? {
        waiting.bytes += chunk.len() as u64;
        if waiting.bytes > largest {
            return Err(over(largest));
        }
        hasher.update(&chunk);
        file.write_all(&chunk).await.map_err(Refusal::internal)?;
    }
    file.flush().await.map_err(Refusal::internal)?;
    file.sync_all().await.map_err(Refusal::internal)?;
    waiting.sha256 = Digest::from_bytes(hasher.finalize().into());
    Ok(waiting)
}

/// The name of a file as it is shown: data only, never a path.
pub(crate) fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS).collect();
    let name = name.trim();
    if name.is_empty() { "document".into() } else { name.into() }
}

/// What a file is and how many pages it has, by its bytes; refuses what could not be captured.
async fn look(app: &App, waiting: &Waiting) -> Result<(Kind, u32), Refusal> {
    let kind = decode::kind_of(&head_of(&waiting.path).await?).map_err(unfit)?;
    let looking = async {
        // Taken along to the thread that waits for a worker, which goes on when nobody waits for it any more.
        let turn = Arc::clone(&app.looks).acquire_owned().await.map_err(Refusal::internal)?;
        inspect(app, &waiting.path, turn).await
    };
    let found = tokio::time::timeout(LOOK_TIME, looking).await;
    match found {
        Ok(Ok(Ok(pages))) => Ok((kind, pages)),
        Ok(Ok(Err(failure))) => match failure.class {
            // Ours, or the moment's: the capture has more time, and tries again.
            FailureClass::Internal | FailureClass::TimedOut | FailureClass::OutOfMemory => Ok((kind, 0)),
            _ => Err(unfit(failure)),
        },
        Ok(Err(refusal)) => Err(refusal),
        // All workers are at work.
        Err(_) => Ok((kind, 0)),
    }
}

async fn inspect(
    app: &App,
    path: &Path,
    turn: OwnedSemaphorePermit,
) -> Result<Result<u32, Failure>, Refusal> {
    let (pool, path) = (Arc::clone(&app.pool), path.to_owned());
    let limits = app.config.capture.limits.clone();
    // A locked file may be opened by the passwords of the configuration: the capture knows them.
    let has_passwords = app.config.capture.passwords_file.is_some();
    let work = move || {
        let _turn = turn;
        let file = File::open(path)?;
        let request = Request::Inspect { limits, passwords: Passwords::default() };
        Ok(match pool.call(&request, &[file.as_fd()]) {
            Ok(Reply::Inspected(inspection)) => Ok(inspection.pages),
            Ok(_) => Ok(0),
            Err(failure) if failure.class == FailureClass::Locked && has_passwords => Ok(0),
            Err(failure) => Err(failure),
        })
    };
    Ok(off_the_reactor(work).await?)
}

/// What a file is refused with that cannot be captured.
fn unfit(failure: Failure) -> Refusal {
    let help = failure.class.what_helps();
    if failure.class == FailureClass::Unsupported {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Refusal::new(status, "unsupported-media-type", failure.message).help(help);
    }
    let errors = BTreeMap::from([("file".to_owned(), failure.message)]);
    Refusal::invalid(format!("the file cannot be captured ({})", failure.class), errors).help(help)
}

/// The manifest of what came in one request: nothing is known of it yet but what was said.
fn manifest(app: &App, form: &Form, kind: Kind, pages: u32) -> DocumentManifest {
    let capture_id = CaptureId::new();
    let Metadata { source, department, document_type, languages, labels, .. } = form.metadata.clone();
    let mut labels = labels;
    labels.extend(languages.map(|languages| (LANGUAGES_LABEL.to_owned(), languages)));
    let Waiting { file_name, sha256, bytes, .. } = &form.waiting;
    let now = Timestamp::now();
    DocumentManifest {
        version: MANIFEST_VERSION,
        document_id: capture_id.document(0),
        capture_id,
        // What comes of it belongs to the trace of who sent it.
        correlation_id: Trace::current()
            .map_or_else(|| CorrelationId::of_capture(capture_id), |trace| trace.onward()),
        device_id: None,
        source: source.unwrap_or_else(|| SOURCE.into()),
        department,
        claimed_at: now,
        captured_at: now,
        page_count: pages,
        ocr_confidence: 0.0,
        decision: Decision {
            document_type: document_type.map_or_else(DocumentType::unknown, DocumentType),
            confidence: 0.0,
            verdict: Verdict::Review,
            reasons: Vec::new(),
            fields: BTreeMap::new(),
            line_items: Vec::new(),
            policy: app.rules.policy.clone(),
        },
        parts: vec![Part {
            role: PartRole::Original,
            sha256: *sha256,
            bytes: *bytes,
            mime: kind.mime().into(),
            file_name: Some(file_name.clone()),
            copy_of_signed: false,
        }],
        labels,
        batch: None,
        rejoins: None,
    }
}
