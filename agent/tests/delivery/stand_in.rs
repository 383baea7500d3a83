//! A small cloud that keeps strictly to the delivery contract and can be told to misbehave.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{head, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_model::keys::{PublicKey, SigningKey};
use platen_model::manifest::SignedReceipt;
use platen_model::succession::Succession;
use platen_model::{DeviceId, Digest, DocumentManifest, Receipt};

/// What the cloud does wrong with its next request of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Takes half of a chunk, then answers 500.
    HalfAChunk,
    /// Takes half of a chunk, one bit of it another, then answers 500.
    FlippedHalf,
    /// Does what it should, then answers 500: the answer is lost.
    LostAnswer,
    /// Answers 503 with `Retry-After: 7`.
    Busy,
    /// Forgets all uploads under way.
    Amnesia,
    /// Signs the receipt with another key.
    ForeignReceipt,
    /// Signs the receipt with another key, which followed on the one that is known.
    RenewedKey,
    /// Names another digest in the receipt.
    WrongReceipt,
    /// Refuses the manifest.
    Refusal,
}

pub(crate) struct Cloud {
    pub(crate) url: String,
    /// The address it is known by, where something stands before it.
    pub(crate) public_url: Mutex<String>,
    pub(crate) device: DeviceId,
    device_key: PublicKey,
    key: SigningKey,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) blobs: HashMap<Digest, Vec<u8>>,
    uploads: Vec<Option<Upload>>,
    pub(crate) manifests: Vec<Vec<u8>>,
    pub(crate) faults: VecDeque<Fault>,
    /// Bytes of part bodies that arrived, counted with repetition.
    pub(crate) bytes_taken: u64,
    /// The longest body that what stands before the cloud lets through, in bytes.
    pub(crate) longest_body: Option<usize>,
    assertions: Vec<String>,
}

struct Upload {
    sha256: Digest,
    length: u64,
    bytes: Vec<u8>,
}

/// Starts the cloud on a free port of the loopback address, for one device.
pub(crate) async fn start(device: DeviceId, device_key: PublicKey) -> Arc<Cloud> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let key = SigningKey::generate().expect("randomness");
    let public_url = Mutex::new(url.clone());
    let cloud = Arc::new(Cloud { url, public_url, device, device_key, key, inner: Mutex::default() });
    let router = Router::new()
        .route("/oauth/token", post(token))
        .route("/v1/blobs/{sha256}", head(blob))
        .route("/v1/uploads", post(create))
        .route("/v1/uploads/{id}", head(offset).patch(patch))
        .route("/v1/documents", post(commit))
        .with_state(Arc::clone(&cloud));
    tokio::spawn(async move { axum::serve(listener, router).await });
    cloud
}

impl Cloud {
    pub(crate) fn receipt_key(&self) -> PublicKey {
        self.key.public()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn will(&self, faults: &[Fault]) {
        self.lock().faults.extend(faults);
    }
}

impl Inner {
    /// The next fault, where it is one of these.
    fn fault(&mut self, kinds: &[Fault]) -> Option<Fault> {
        let next = self.faults.front().copied().filter(|fault| kinds.contains(fault))?;
        self.faults.pop_front();
        Some(next)
    }
}

type Shared = State<Arc<Cloud>>;

fn busy() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")]).into_response()
}

/// A request must carry the token, a trace, and for uploads the protocol's version; else it is refused.
fn refusal(headers: &HeaderMap, tus: bool) -> Option<Response> {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|found| found == value);
    if !is("authorization", "Bearer token-1") {
        return Some(StatusCode::UNAUTHORIZED.into_response());
    }
    if !headers.contains_key("traceparent") || (tus && !is("tus-resumable", "1.0.0")) {
        return Some(StatusCode::PRECONDITION_FAILED.into_response());
    }
    None
}

async fn token(State(cloud): Shared, body: String) -> Response {
    let fields: HashMap<String, String> = body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%3A", ":")))
        .collect();
    let right = fields.get("grant_type").is_some_and(|it| it == "client_credentials")
        && fields
            .get("client_assertion_type")
            .is_some_and(|it| it == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let assertion = fields.get("client_assertion").cloned().unwrap_or_default();
    let public_url = cloud.public_url.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let audience = format!("{public_url}/oauth/token");
    let now = jiff::Timestamp::now().as_second();
    let Ok(claims) = cloud.device_key.verify_jwt(&assertion, &audience, now) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let mut inner = cloud.lock();
    let fresh = !inner.assertions.contains(&claims.jti);
    inner.assertions.push(claims.jti);
    if !right || !fresh || claims.iss != claims.sub || claims.sub != cloud.device.to_string() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    axum::Json(serde_json::json!({"access_token": "token-1", "token_type": "Bearer", "expires_in": 900}))
        .into_response()
}

async fn blob(State(cloud): Shared, Path(sha256): Path<Digest>, headers: HeaderMap) -> Response {
    if let Some(refusal) = refusal(&headers, true) {
        return refusal;
    }
    let mut inner = cloud.lock();
    if inner.fault(&[Fault::Busy]).is_some() {
        return busy();
    }
    if inner.blobs.contains_key(&sha256) { StatusCode::OK } else { StatusCode::NOT_FOUND }.into_response()
}

async fn create(State(cloud): Shared, headers: HeaderMap) -> Response {
    if let Some(refusal) = refusal(&headers, true) {
        return refusal;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let metadata: HashMap<&str, &str> =
        text("upload-metadata").split(',').filter_map(|pair| pair.split_once(' ')).collect();
    let sha256 = metadata.get("sha256").and_then(|coded| STANDARD.decode(coded).ok());
    let sha256 = sha256.and_then(|hex| String::from_utf8(hex).ok()).and_then(|hex| hex.parse().ok());
    let (Some(sha256), Ok(length), true) =
        (sha256, text("upload-length").parse(), metadata.contains_key("mime"))
    else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let mut inner = cloud.lock();
    inner.uploads.push(Some(Upload { sha256, length, bytes: Vec::new() }));
    let location = format!("/v1/uploads/{}", inner.uploads.len() - 1);
    (StatusCode::CREATED, [("location", location)]).into_response()
}

async fn offset(State(cloud): Shared, Path(id): Path<usize>, headers: HeaderMap) -> Response {
    if let Some(refusal) = refusal(&headers, true) {
        return refusal;
    }
    match cloud.lock().uploads.get(id) {
        Some(Some(upload)) => {
            (StatusCode::OK, [("upload-offset", upload.bytes.len().to_string())]).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn patch(State(cloud): Shared, Path(id): Path<usize>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = refusal(&headers, true) {
        return refusal;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let checksum = format!("sha256 {}", STANDARD.encode(Digest::of(&body).as_bytes()));
    let inner = &mut *cloud.lock();
    if inner.longest_body.is_some_and(|longest| body.len() > longest) {
        let page = "<html><head><title>413 Request Entity Too Large</title></head></html>";
        return (StatusCode::PAYLOAD_TOO_LARGE, [("content-type", "text/html")], page).into_response();
    }
    let fault = inner.fault(&[Fault::HalfAChunk, Fault::FlippedHalf, Fault::LostAnswer, Fault::Amnesia]);
    if fault == Some(Fault::Amnesia) {
        inner.uploads.iter_mut().for_each(|upload| *upload = None);
    }
    let Some(Some(upload)) = inner.uploads.get_mut(id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if text("content-type") != "application/offset+octet-stream" {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    if text("upload-offset") != upload.bytes.len().to_string() {
        return StatusCode::CONFLICT.into_response();
    }
    if text("upload-checksum") != checksum {
        return StatusCode::from_u16(460).expect("a status").into_response();
    }
    let is_cut = matches!(fault, Some(Fault::HalfAChunk | Fault::FlippedHalf));
    let taken = if is_cut { body.len() / 2 } else { body.len() };
    upload.bytes.extend_from_slice(&body[..taken]);
    if fault == Some(Fault::FlippedHalf) {
        *upload.bytes.last_mut().expect("half a chunk") ^= 1;
    }
    inner.bytes_taken += taken as u64;
    let reached = upload.bytes.len() as u64;
    if reached > upload.length {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    if reached == upload.length {
        if Digest::of(&upload.bytes) != upload.sha256 {
            inner.uploads[id] = None;
            return StatusCode::UNPROCESSABLE_ENTITY.into_response();
        }
        inner.blobs.insert(upload.sha256, upload.bytes.clone());
    }
    if fault.is_some() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    (StatusCode::NO_CONTENT, [("upload-offset", reached.to_string())]).into_response()
}

async fn commit(State(cloud): Shared, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(refusal) = refusal(&headers, false) {
        return refusal;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (device, signature) = text("platen-signature").split_once(' ').unwrap_or_default();
    let signed = device == cloud.device.to_string() && cloud.device_key.verify(&body, signature).is_ok();
    let Ok(manifest) = serde_json::from_slice::<DocumentManifest>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let named = text("content-type") == "application/vnd.platen.manifest+json"
        && text("idempotency-key") == manifest.document_id.to_string();
    let inner = &mut *cloud.lock();
    let whole = manifest.parts.iter().all(|part| inner.blobs.contains_key(&part.sha256));
    if !signed || !named || !whole {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let fault = inner.fault(&[
        Fault::LostAnswer,
        Fault::ForeignReceipt,
        Fault::WrongReceipt,
        Fault::RenewedKey,
        Fault::Refusal,
    ]);
    if fault == Some(Fault::Refusal) {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let repeated = inner.manifests.contains(&body.to_vec());
    if !repeated && manifest.device_id != Some(cloud.device) {
        let problem = serde_json::json!({
            "type": "urn:platen:problem:invalid", "title": "invalid", "status": 422, "detail": "not sound",
            "safe": "nothing was changed", "help": "correct it",
            "errors": { "device_id": "is not the device that sent it" },
        });
        return (StatusCode::UNPROCESSABLE_ENTITY, axum::Json(problem)).into_response();
    }
    if !repeated {
        inner.manifests.push(body.to_vec());
    }
    if fault == Some(Fault::LostAnswer) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let sha256 = if fault == Some(Fault::WrongReceipt) { Digest::of(b"other") } else { Digest::of(&body) };
    let receipt = Receipt {
        document_id: manifest.document_id,
        manifest_sha256: sha256,
        parts: manifest.parts.iter().map(|part| part.sha256).collect(),
        awaiting: Vec::new(),
        committed_at: jiff::Timestamp::now(),
    };
    let receipt = serde_json::to_string(&receipt).expect("plain values");
    let other = SigningKey::generate().expect("randomness");
    let is_others = matches!(fault, Some(Fault::ForeignReceipt | Fault::RenewedKey));
    let key = if is_others { &other } else { &cloud.key };
    let signature = key.sign(receipt.as_bytes());
    let link = || Succession::new(&cloud.key, other.public());
    let successions = (fault == Some(Fault::RenewedKey)).then(link).into_iter().collect();
    let signed = SignedReceipt { receipt, signature, successions };
    let status = if repeated { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, axum::Json(serde_json::json!({"document": {}, "receipt": signed}))).into_response()
}
