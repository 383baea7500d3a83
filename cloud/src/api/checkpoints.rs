//! `GET /v1/checkpoints`: the signed statements of what all of a tenant's chains were, for whoever keeps them elsewhere; and
//! `GET /v1/documents/{id}/inclusion-proof`: that one of them covers a document.

use axum::Json;
use axum::extract::State;
use platen_model::DocumentId;
use platen_model::api::Page;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents;
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::checkpoints::proofs::{self, InclusionProof};
use crate::checkpoints::{self, published::Published};
use crate::http::paging::{self, Limit};
use crate::http::read::{Asked, Named};
use crate::refusal::Refusal;

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(inclusion_proof))
}

/// Which checkpoints.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The `next` of an earlier answer, or the number of the last checkpoint that is known.
    #[param(pattern = "^[0-9]{1,18}$")]
    after: Option<String>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Lists the tenant's checkpoints, oldest first.
///
/// Each is a signed statement of what all of the tenant's documents were at one place of the event feed. Kept elsewhere, it
/// shows later whether anything it covers was removed or replaced.
#[utoipa::path(get, path = "/v1/checkpoints", tag = "events", operation_id = "list_checkpoints", params(Which),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "A page of the list.", body = Page<Published>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Which>,
) -> Result<Json<Page<Published>>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let limit = Limit::of(asked.limit);
    let after = asked.after.as_deref().unwrap_or("0").parse().map_err(Refusal::bad_request_of)?;
    let found = checkpoints::after(&app.store, caller.tenant(), after, limit.to_read()).await?;
    let page = limit.page(found, |(kept, _)| kept.checkpoint.number.to_string());
    Ok(Json(paging::shown(page, Into::into)))
}

/// Which checkpoint a proof is about.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct OfCheckpoint {
    /// Its number; the newest one where none is given.
    #[param(minimum = 1, maximum = 999_999_999)]
    checkpoint: Option<u32>,
}

/// Proves that a checkpoint covers a document.
///
/// The answer leads from the document's chain of events to the root of a signed checkpoint, and says nothing of other
/// documents. `platen-cloud verify PACKAGE --proof FILE` checks it, offline, with the document's evidence package.
#[utoipa::path(get, path = "/v1/documents/{id}/inclusion-proof", tag = "events", operation_id = "prove_inclusion",
    params(("id" = DocumentId, Path, description = "The document."), OfCheckpoint),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "The proof.", body = InclusionProof)))]
async fn inclusion_proof(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    Asked(asked): Asked<OfCheckpoint>,
) -> Result<Json<InclusionProof>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let record = documents::find(&app, caller.tenant(), &id).await?;
    let (document, number) = (record.document.document_id, asked.checkpoint.map(i64::from));
    let proof = proofs::prove(&app.store, caller.tenant(), document, number).await?;
    let none = || {
        Refusal::not_found("checkpoint that covers this document")
            .help("the newest one may be older than the document: ask again when the next one was made")
    };
    Ok(Json(proof.ok_or_else(none)?))
}
