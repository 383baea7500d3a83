//! `GET /v1/audit`: who signed in and who administered what.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use platen_model::api::Page;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Caller, Scope};
use crate::app::App;
use crate::http::paging::{self, Limit, Paging};
use crate::http::read::Asked;
use crate::refusal::Refusal;
use crate::store::{audit, from_ms};

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// An entry as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct AuditEntry {
    /// Its id.
    audit_id: Uuid,
    /// When.
    at: Timestamp,
    /// Who: `user:ada`, `client:<id>`, `device:<id>` or `command line`.
    actor: String,
    /// What, for example `client.add`, `sign-in` or `sign-in.wrong`.
    action: String,
    /// To what.
    subject: String,
    /// What else one would ask.
    detail: String,
}

/// Lists sign-ins and administration, newest first.
#[utoipa::path(get, path = "/v1/audit", tag = "identity", operation_id = "list_audit", params(Paging),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "A page of the audit.", body = Page<AuditEntry>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Json<Page<AuditEntry>>, Refusal> {
    caller.must(Scope::Admin)?;
    let limit = Limit::of(asked.limit);
    let found = audit::list(&app.store, caller.tenant(), asked.after, limit.to_read()).await?;
    let page = limit.page(found, |entry| entry.audit_id.to_string());
    Ok(Json(paging::shown(page, |entry| AuditEntry {
        audit_id: entry.audit_id,
        at: from_ms(entry.at_ms),
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
    })))
}
