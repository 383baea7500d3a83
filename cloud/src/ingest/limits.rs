//! How much a tenant may send: the site's limits, or the tenant's own (INV-13).

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use platen_model::TenantId;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::refusal::Refusal;
use crate::store::{Write, limits as rows, uploads};

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(shown))
}

/// What holds for a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct TenantLimits {
    /// Largest part or file, in bytes. Over it: 413.
    pub part_bytes: u64,
    /// Most pages of a document. Over it: 422.
    pub document_pages: u32,
    /// Most documents in a minute. Over it: 429.
    pub documents_per_minute: u32,
}

/// What the caller's tenant may send.
#[utoipa::path(get, path = "/v1/limits", tag = "documents", operation_id = "limits",
    security(("oauth2" = ["documents:write"]), ("session" = [])),
    responses((status = 200, description = "The limits.", body = TenantLimits)))]
async fn shown(State(app): State<App>, caller: Caller) -> Result<Json<TenantLimits>, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    Ok(Json(of(&app, caller.tenant()).await?))
}

/// What holds for a tenant.
pub(crate) async fn of(app: &App, tenant: &TenantId) -> Result<TenantLimits, Refusal> {
    let (site, own) = (&app.config.limits, rows::own(&app.store, tenant).await?);
    Ok(TenantLimits {
        part_bytes: own.part_bytes.unwrap_or(site.part_bytes),
        document_pages: own.document_pages.unwrap_or(site.document_pages),
        documents_per_minute: own.documents_per_minute.unwrap_or(site.documents_per_minute),
    })
}

/// Refuses another upload where the tenant has as many under way as it may, or announced as many bytes, in the write that
/// would begin it.
pub(super) async fn must_have_room(
    app: &App,
    write: &mut Write,
    tenant: &TenantId,
    bytes: u64,
) -> Result<(), Refusal> {
    let limits = &app.config.limits;
    // Of two at once the second sees the first.
    write.hold(format!("uploads of {tenant}")).await?;
    let (count, announced) = uploads::under_way(write, tenant).await?;
    let full = |detail: String| {
        Refusal::new(StatusCode::INSUFFICIENT_STORAGE, "too-many-uploads", detail)
            .safe("every upload under way goes on")
            .help("finish or terminate uploads, or wait until they expire; then begin this one again")
    };
    if count >= u64::from(limits.open_uploads) {
        let most = limits.open_uploads;
        return Err(full(format!(
            "{count} uploads are under way; the limit is {most} (limits.open_uploads)"
        )));
    }
    if announced.saturating_add(bytes) > limits.open_upload_bytes {
        let most = limits.open_upload_bytes;
        return Err(full(format!(
            "uploads under way announced {announced} bytes; with {bytes} more they are over {most} \
             (limits.open_upload_bytes)"
        )));
    }
    Ok(())
}

/// Refuses a new document over the tenant's rate, in the write that would take it.
pub(super) async fn must_be_in_time(
    write: &mut Write,
    tenant: &TenantId,
    limits: &TenantLimits,
) -> Result<(), Refusal> {
    let per_minute = limits.documents_per_minute;
    let Some(wait) = rows::wait_ms(write, tenant, per_minute).await? else { return Ok(()) };
    let detail =
        format!("the tenant may send {per_minute} documents in a minute (limits.documents_per_minute)");
    let after = Duration::from_millis(wait.unsigned_abs().next_multiple_of(1_000));
    Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail)
        .help("send it again after the seconds that Retry-After names; what was uploaded stays")
        .retry_after(after))
}
