//! The HTTP server: one router out of each module's routes, the frame around every answer, and the listeners.
//!
//! Nothing leaves without the security headers, nothing is refused without a problem document, and no request
//! but an upload or a download may take longer than `limits.request_seconds`.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::refusal::Refusal;
use crate::{api, auth, ingest, signing, ui, webhooks};
use trace::Trace;

pub mod connections;
pub mod contract;
mod cors;
mod docs;
pub mod metrics;
pub mod paging;
pub mod read;
pub mod tls;
pub mod trace;

/// The routes of the API, each with its part of the contract. A module adds its routes here, once.
fn api_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(auth::routes())
        .merge(ingest::routes())
        .merge(api::routes())
        .merge(signing::routes())
        .merge(webhooks::routes())
}

/// The OpenAPI document of [`router`], as it is served and as it is checked in.
pub fn openapi() -> serde_json::Value {
    contract::finished(api_routes().into_openapi())
}

/// All routes, framed.
pub fn router(app: App) -> Router {
    let limit = DefaultBodyLimit::max(app.config.limits.manifest_bytes);
    let (api, collected) = api_routes().split_for_parts();
    let document = contract::finished(collected);
    let page = docs::page(&document);
    let text: Arc<str> = format!("{document:#}\n").into();
    let router = Router::new()
        .merge(api)
        .merge(ui::routes())
        .merge(signing::pages())
        .route("/openapi.json", get(async move || contract::answer(&text)))
        .route("/docs", get(async move || docs::answer(&page)))
        .route("/metrics", get(metrics::answer))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(limit);
    let router = cors::around(router, &app.config)
        .layer(middleware::from_fn_with_state(app.clone(), frame))
        .with_state(app);
    // In front of the routes: which of them is meant may be said by a header.
    Router::new().fallback_service(router).layer(middleware::from_fn(overridden))
}

/// Takes the method that tus lets a header name, for clients whose surroundings know only GET and POST.
async fn overridden(mut request: Request, next: Next) -> Response {
    let named =
        request.headers().get("x-http-method-override").map(|method| Method::from_bytes(method.as_bytes()));
    if request.method() == Method::POST
        && request.uri().path().starts_with("/v1/uploads/")
        && let Some(Ok(method)) = named
    {
        *request.method_mut() = method;
    }
    next.run(request).await
}

/// Serves until `stop` says so, then lets requests under way finish for `limits.shutdown_seconds`.
pub async fn serve(app: App, stop: watch::Receiver<bool>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind(app.config.listen).await?;
    tracing::info!(listen = %listener.local_addr()?, url = app.config.public_url, "listening");
    let tls = app.config.tls.as_ref().map(tls::acceptor).transpose()?;
    let limits = &app.config.limits;
    let bounds = connections::Bounds {
        connections: limits.connections,
        head: Duration::from_secs(limits.head_seconds),
        patience: Duration::from_secs(limits.shutdown_seconds),
    };
    connections::serve(listener, tls, router(app), bounds, stopped(stop)).await;
    Ok(())
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

/// What surrounds every request: its marks, a deadline, the security headers, a line in the log, the figures.
async fn frame(State(app): State<App>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let route = request.extensions().get::<MatchedPath>().map(|route| route.as_str().to_owned());
    let trace = Trace::of(request.headers());
    let _under_way = app.metrics.begin();
    let started = std::time::Instant::now();
    let answering = trace.clone().scope(answered_in_time(&app, &method, &path, request, next));
    let mut response = answering.await;
    let (status, took) = (response.status().as_u16(), started.elapsed());
    // The rest of a signing link is a secret: whoever has it can sign.
    let shown = if path.starts_with("/sign/") { "/sign/…" } else { path.as_str() };
    let (request_id, correlation_id) = (&trace.request_id, &trace.traceparent);
    let ms = took.as_millis() as u64;
    tracing::info!(%method, path = shown, status, ms, request_id, %correlation_id, "request");
    app.metrics.answered(&method, route.as_deref().unwrap_or("none"), status, took);
    let headers = response.headers_mut();
    trace.mark(headers);
    for (name, value) in ui::frame::SECURITY_HEADERS {
        let name = HeaderName::from_static(name);
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if app.config.is_secure() {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

async fn answered_in_time(app: &App, method: &Method, path: &str, request: Request, next: Next) -> Response {
    if let Err(refusal) = must_have_no_nul(request.uri()) {
        return refusal.into_response();
    }
    if is_upload(method, path) || is_download(method, path) {
        return next.run(request).await;
    }
    let limit = Duration::from_secs(app.config.limits.request_seconds);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timed-out", "the request took too long")
            .help("try again; it may be repeated (limits.request_seconds)")
            .into_response(),
    }
}

/// PostgreSQL takes no NUL in a text, and there is nothing here that has one in its name.
fn must_have_no_nul(uri: &Uri) -> Result<(), Refusal> {
    if uri.path().contains("%00") {
        return Err(Refusal::not_found("such address"));
    }
    let pairs = uri.query().unwrap_or_default().split('&');
    let with_nul = pairs.filter(|pair| pair.contains("%00"));
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let errors: BTreeMap<_, _> = with_nul.map(|pair| (name(pair), "has a NUL".to_owned())).collect();
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Refusal::invalid("the query is not what this address takes", errors)),
    }
}

/// A file is read and verified as a whole before the first byte of it leaves.
fn is_download(method: &Method, path: &str) -> bool {
    *method == Method::GET && path.starts_with("/v1/documents/") && path.contains("/content/")
}

fn is_upload(method: &Method, path: &str) -> bool {
    let takes_bytes = path.starts_with("/v1/uploads") || path == "/v1/documents";
    takes_bytes && (*method == Method::PATCH || *method == Method::POST)
}
