//! `/healthz`: the process answers. `/readyz`: it can also read its database and write its blobs.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::app::App;
use crate::refusal::Refusal;

/// The routes of this module.
pub fn routes() -> Router<App> {
    Router::new().route("/healthz", get(async || "ok\n")).route("/readyz", get(ready))
}

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
