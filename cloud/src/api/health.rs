//! `/healthz`: the process answers. `/readyz`: it can also read its database and write its blobs.

use axum::extract::State;
use axum::http::StatusCode;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::refusal::Refusal;

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(healthy)).routes(routes!(ready))
}

/// Whether the process answers.
#[utoipa::path(get, path = "/healthz", tag = "operation",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")))]
async fn healthy() -> &'static str {
    "ok\n"
}

/// Whether it can also read its database and write its blobs.
#[utoipa::path(get, path = "/readyz", tag = "operation",
    responses((status = 200, description = "It can.", body = String, content_type = "text/plain")))]
async fn ready(State(app): State<App>) -> Result<&'static str, Refusal> {
    let not_ready = |error: String| {
        tracing::error!(error, "not ready");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "not-ready", error).help("the server's log says more")
    };
    sqlx::query("SELECT COUNT(*) FROM tenants")
        .fetch_one(app.store.reading())
        .await
        .map_err(|_| not_ready("the database does not answer".into()))?;
    if !app.keep.blobs.is_ready().await {
        return Err(not_ready("the blob storage does not answer".into()));
    }
    Ok("ready\n")
}
