//! Examples: what people said documents are, with the text they saw, for fitting and testing the rules.

use std::str::FromStr as _;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use platen_capture::classify::day_of;
use platen_model::api::Page;
use platen_model::{DocumentId, Example, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::blobs::{BlobError, Keep};
use crate::http::paging::Limit;
use crate::http::read::Asked;
use crate::refusal::Refusal;
use crate::store::examples::{self, Sourced, Told};

/// Examples in one answer where the caller does not say, and the most there may be: each carries its page text.
const EXAMPLES: (u32, u32) = (20, 100);

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// An example with who made it.
#[derive(Debug, Serialize, ToSchema)]
struct ShownExample {
    /// The document it was made of.
    document_id: DocumentId,
    /// Who said what it is, as `user:ada`.
    told_by: String,
    /// When.
    told_at: Timestamp,
    /// The example: the content of a file `*.example.json`.
    example: Example,
}

/// Which page of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The `next` of an earlier answer.
    #[param(format = Uuid)]
    after: Option<String>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Lists the tenant's examples: documents that a person approved or corrected, with the text that was read. An example
/// goes with its document.
#[utoipa::path(get, path = "/v1/examples", tag = "review", operation_id = "list_examples", params(Which),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "A page of the list.", body = Page<ShownExample>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Which>,
) -> Result<Json<Page<ShownExample>>, Refusal> {
    caller.must(Scope::Admin)?;
    let (usual, most) = EXAMPLES;
    let limit = Limit::of(Some(asked.limit.unwrap_or(usual).min(most)));
    let after = asked.after.as_deref().map(DocumentId::from_str).transpose();
    let after = after.map_err(Refusal::bad_request_of)?;
    let found = examples::list(&app.store, caller.tenant(), after, limit.to_read()).await?;
    let page = limit.page(found, |sourced| sourced.told.document_id.to_string());
    let mut items = Vec::with_capacity(page.items.len());
    for sourced in page.items {
        let Told { document_id, by: told_by, at: told_at, .. } = sourced.told.clone();
        if let Some(example) = example(&app.keep, caller.tenant(), sourced).await? {
            items.push(ShownExample { document_id, told_by, told_at, example });
        }
    }
    Ok(Json(Page { items, next: page.next }))
}

/// What was told, with the text it was told of; `None` where that is gone.
pub async fn example(keep: &Keep, tenant: &TenantId, sourced: Sourced) -> Result<Option<Example>, BlobError> {
    let Sourced { told, source, received_at } = sourced;
    let bytes = match keep.get(tenant, told.page_text).await {
        Err(BlobError::Missing(_)) => return Ok(None),
        bytes => bytes?,
    };
    let text = serde_json::from_slice(&bytes).map_err(|_| BlobError::Damaged(told.page_text))?;
    let (name, Told { document_type, fields, file_name, .. }) = (told.document_id.to_string(), told);
    let captured_on = day_of(received_at);
    Ok(Some(Example { name, document_type, fields, file_name, source, captured_on, text }))
}
