//! The HTTP server: one router out of each module's routes, the frame around every answer, and the listeners.
//!
//! Nothing leaves without the security headers, nothing is refused without a problem document, and no request
//! but an upload or a download may take longer than `limits.request_seconds`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::app::App;
use crate::refusal::Refusal;
use crate::{api, auth, ingest, signing, ui};

pub mod tls;

/// All routes, framed. A module adds its routes here, once.
pub fn router(app: App) -> Router {
    let limit = DefaultBodyLimit::max(app.config.limits.manifest_bytes);
    Router::new()
        .merge(auth::devices::routes())
        .merge(ingest::routes())
        .merge(api::routes())
        .merge(signing::routes())
        .merge(ui::routes())
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(limit)
        .layer(middleware::from_fn_with_state(app.clone(), frame))
        .with_state(app)
}

/// Serves until `stop` says so, then lets requests under way finish.
pub async fn serve(app: App, stop: watch::Receiver<bool>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(app.config.listen).await?;
    tracing::info!(listen = %listener.local_addr()?, url = app.config.public_url, "listening");
    let tls = app.config.tls.clone();
    // A signature at the desk records where it came from.
    let service = router(app).into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        Some(files) => {
            // Only listeners of axum's own can tell the address of a connection; tapping makes ours one of them.
            let listener = tls::Listener::new(listener, &files)?.tap_io(|_| {});
            axum::serve(listener, service).with_graceful_shutdown(stopped(stop)).await
        }
        None => axum::serve(listener, service).with_graceful_shutdown(stopped(stop)).await,
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if stop.changed().await.is_err() {
            return;
        }
    }
}

async fn no_route() -> Refusal {
    Refusal::not_found("such address")
}

async fn no_method(method: Method) -> Refusal {
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("{method} is not possible here"),
    )
    .help("the `Allow` header names what is")
}

/// What surrounds every request: a deadline, the security headers, a line in the log.
async fn frame(State(app): State<App>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let trace = request.headers().get("traceparent").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let started = std::time::Instant::now();
    let mut response = if is_upload(&method, &path) {
        next.run(request).await
    } else {
        let limit = Duration::from_secs(app.config.limits.request_seconds);
        match tokio::time::timeout(limit, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timed-out", "the request took too long")
                .help("try again; it may be repeated (limits.request_seconds)")
                .into_response(),
        }
    };
    let status = response.status().as_u16();
    let ms = started.elapsed().as_millis() as u64;
    // The rest of a signing link is a secret: whoever has it can sign.
    let path = if path.starts_with("/sign/") { "/sign/…" } else { path.as_str() };
    tracing::info!(%method, path, status, ms, correlation_id = trace, "request");
    let headers = response.headers_mut();
    for (name, value) in ui::frame::SECURITY_HEADERS {
        let name = HeaderName::from_static(name);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

fn is_upload(method: &Method, path: &str) -> bool {
    path.starts_with("/v1/uploads") && (*method == Method::PATCH || *method == Method::POST)
}

/// A body in one piece, within the limit of its route: `limits.manifest_bytes` where it has none of its own.
#[derive(Clone, Debug)]
pub struct Whole(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Refusal;
    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        Bytes::from_request(request, state).await.map(Self).map_err(|error| {
            let name =
                if error.status() == StatusCode::PAYLOAD_TOO_LARGE { "too-large" } else { "bad-request" };
            Refusal::new(error.status(), name, error.body_text())
                .help("send a smaller body; manifests have the limit limits.manifest_bytes")
        })
    }
}

/// Reads a JSON body, or says which field is wrong.
pub fn read_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Refusal> {
    must_be(headers, "application/json")?;
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("the body: {error}")))
}

/// Refuses bodies of another media type with 415.
pub fn must_be(headers: &HeaderMap, mime: &str) -> Result<(), Refusal> {
    let named = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = named.split(';').next().unwrap_or_default().trim();
    if named.eq_ignore_ascii_case(mime) {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        format!("the body is {named:?}, but this address takes {mime}"),
    )
    .help("set Content-Type"))
}
