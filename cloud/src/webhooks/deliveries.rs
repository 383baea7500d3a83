//! `/v1/deliveries`: what was sent to endpoints, and what came of it.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use platen_model::api::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::paging::{self, Limit};
use crate::http::read::{Asked, Named};
use crate::refusal::Refusal;
use crate::store::webhooks::{self as rows, Delivery, State as DeliveryState};
use crate::store::{audit, from_ms};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(replay))
}

/// A delivery as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct ShownDelivery {
    /// Its id: what the receiver sees as `webhook-id`.
    delivery_id: Uuid,
    /// Where it goes.
    endpoint_id: Uuid,
    /// The event's name.
    event: String,
    /// The event's place in the feed: `GET /v1/events?after=` one less begins with it.
    position: i64,
    /// Where it is.
    state: DeliveryState,
    /// How often it was tried.
    attempts: u32,
    /// The status of the last answer, where one came.
    response_status: Option<u16>,
    /// What went wrong the last time.
    trouble: Option<String>,
    /// When the event happened.
    created_at: Timestamp,
    /// When it was last tried.
    tried_at: Option<Timestamp>,
}

impl From<Delivery> for ShownDelivery {
    fn from(delivery: Delivery) -> Self {
        Self {
            delivery_id: delivery.delivery_id,
            endpoint_id: delivery.endpoint_id,
            event: delivery.event,
            position: delivery.position,
            state: delivery.state,
            attempts: delivery.attempts,
            response_status: (delivery.status != 0).then_some(delivery.status),
            trouble: Some(delivery.trouble).filter(|trouble| !trouble.is_empty()),
            created_at: from_ms(delivery.created_ms),
            tried_at: (delivery.tried_ms != 0).then(|| from_ms(delivery.tried_ms)),
        }
    }
}

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only to this endpoint.
    endpoint: Option<Uuid>,
    /// Only in this state.
    #[param(inline)]
    state: Option<DeliveryState>,
    /// The `next` of an earlier answer.
    after: Option<Uuid>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Lists deliveries, newest first. Those that ended stay for 90 days.
#[utoipa::path(get, path = "/v1/deliveries", tag = "webhooks", operation_id = "list_deliveries", params(Which),
    security(("oauth2" = ["webhooks"]), ("session" = [])),
    responses((status = 200, description = "A page of the list.", body = Page<ShownDelivery>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Which>,
) -> Result<Json<Page<ShownDelivery>>, Refusal> {
    caller.must(Scope::Webhooks)?;
    let limit = Limit::of(asked.limit);
    let Which { endpoint, state, after, .. } = asked;
    let filter = rows::Filter { endpoint, state, after, limit: limit.to_read() };
    let found = rows::deliveries(&app.store, caller.tenant(), &filter).await?;
    let page = limit.page(found, |delivery| delivery.delivery_id.to_string());
    Ok(Json(paging::shown(page, Into::into)))
}

/// One delivery.
#[utoipa::path(get, path = "/v1/deliveries/{id}", tag = "webhooks", operation_id = "get_delivery",
    params(("id" = Uuid, Path, description = "The delivery.")),
    security(("oauth2" = ["webhooks"]), ("session" = [])),
    responses((status = 200, description = "The delivery.", body = ShownDelivery)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<ShownDelivery>, Refusal> {
    caller.must(Scope::Webhooks)?;
    let found = rows::delivery(app.store.reading(), caller.tenant(), parse(&id)?).await?;
    found.map(|delivery| Json(delivery.into())).ok_or_else(|| missing(&id))
}

/// Sends a delivery once more, whatever became of it, under the same `webhook-id`.
#[utoipa::path(post, path = "/v1/deliveries/{id}/replay", tag = "webhooks", operation_id = "replay_delivery",
    params(("id" = Uuid, Path, description = "The delivery.")),
    security(("oauth2" = ["webhooks"]), ("session" = [])),
    responses((status = 202, description = "It will be tried at once.", body = ShownDelivery)))]
async fn replay(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<(axum::http::StatusCode, Json<ShownDelivery>), Refusal> {
    caller.must(Scope::Webhooks)?;
    let delivery_id = parse(&id)?;
    let found = rows::delivery(app.store.reading(), caller.tenant(), delivery_id).await?;
    let endpoint = found.ok_or_else(|| missing(&id))?.endpoint_id;
    let mut write = app.store.begin().await?;
    // As an attempt does when it is recorded.
    write.hold(endpoint).await?;
    let found = rows::delivery(&mut *write, caller.tenant(), delivery_id).await?;
    let mut delivery = found.ok_or_else(|| missing(&id))?;
    let endpoint = rows::find(&mut *write, caller.tenant(), endpoint).await?;
    if endpoint.is_some_and(|endpoint| !endpoint.disabled.is_empty()) {
        return Err(Refusal::conflict("its endpoint is disabled").help("enable the endpoint first"));
    }
    delivery.state = DeliveryState::Waiting;
    delivery.attempts = 0;
    rows::record(&mut write, caller.tenant(), &delivery).await?;
    rows::ask_for(&mut write, caller.tenant(), delivery_id).await?;
    audit::add(&mut write, caller.tenant(), &caller.name(), "webhook.replay", &id, "").await?;
    write.commit().await?;
    app.wake.notify_one();
    Ok((axum::http::StatusCode::ACCEPTED, Json(delivery.into())))
}

fn parse(id: &str) -> Result<Uuid, Refusal> {
    id.parse().map_err(|_| missing(id))
}

fn missing(id: &str) -> Refusal {
    Refusal::not_found(format!("delivery {id}"))
}
