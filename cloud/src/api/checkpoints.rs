//! `GET /v1/checkpoints`: the signed statements of what all of a tenant's chains were, for whoever keeps them elsewhere.

use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use platen_model::Digest;
use platen_model::api::Page;
use platen_model::keys::PublicKey;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::checkpoints::{self, Kept};
use crate::http::paging::{self, Limit};
use crate::http::read::Asked;
use crate::refusal::Refusal;

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// A checkpoint as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Checkpoint)]
struct ShownCheckpoint {
    /// Its number, from 1.
    number: i64,
    /// When it was made.
    at: Timestamp,
    /// The last place of the event feed that it covers.
    position: i64,
    /// The number of documents.
    documents: u64,
    /// The Merkle root (RFC 6962) over the heads of their chains, `<document id>:<hash>` in the order of the ids.
    root: Digest,
    /// The exact text that is signed: JSON, which names the checkpoint before it by the digest of its text.
    statement: String,
    /// The site's key.
    public_key: PublicKey,
    /// Its Ed25519 signature of the text, in base64.
    signature: String,
    /// A time-stamp token (RFC 3161) about the text's SHA-256, in base64, where an authority gave one.
    time_stamp: Option<String>,
}

impl From<(Kept, Option<Vec<u8>>)> for ShownCheckpoint {
    fn from((kept, token): (Kept, Option<Vec<u8>>)) -> Self {
        Self {
            number: kept.checkpoint.number,
            at: kept.checkpoint.at,
            position: kept.checkpoint.position,
            documents: kept.checkpoint.documents,
            root: kept.checkpoint.root,
            statement: kept.bytes,
            public_key: kept.key,
            signature: kept.signature,
            time_stamp: token.map(|token| STANDARD.encode(token)),
        }
    }
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
    responses((status = 200, description = "A page of the list.", body = Page<ShownCheckpoint>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Which>,
) -> Result<Json<Page<ShownCheckpoint>>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let limit = Limit::of(asked.limit);
    let after = asked.after.as_deref().unwrap_or("0").parse().map_err(Refusal::bad_request_of)?;
    let found = checkpoints::after(&app.store, caller.tenant(), after, limit.to_read()).await?;
    let page = limit.page(found, |(kept, _)| kept.checkpoint.number.to_string());
    Ok(Json(paging::shown(page, Into::into)))
}
