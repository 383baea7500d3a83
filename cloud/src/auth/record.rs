//! `GET /v1/audit`: who signed in and who administered what.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use platen_model::api::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{Caller, Scope};
use crate::app::App;
use crate::http::read::Asked;
use crate::refusal::Refusal;
use crate::store::{audit, from_ms};

/// Items of a list where the caller does not say.
const LIMIT: u32 = 50;

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

/// Which page of the audit.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct From {
    /// The `next` of an earlier answer.
    after: Option<Uuid>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Lists sign-ins and administration, newest first.
#[utoipa::path(get, path = "/v1/audit", tag = "identity", operation_id = "list_audit", params(From),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "A page of the audit.", body = Page<AuditEntry>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<From>,
) -> Result<Json<Page<AuditEntry>>, Refusal> {
    caller.must(Scope::Admin)?;
    let limit = asked.limit.unwrap_or(LIMIT);
    let mut found = audit::list(&app.store, caller.tenant(), asked.after, limit + 1).await?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let next = found.last().filter(|_| more).map(|entry| entry.audit_id.to_string());
    let items = found.into_iter().map(|entry| AuditEntry {
        audit_id: entry.audit_id,
        at: from_ms(entry.at_ms),
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
    });
    Ok(Json(Page { items: items.collect(), next }))
}
