//! What devices tell of themselves, and what they are asked to do. Who they are is [`crate::auth::devices`]'.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use platen_model::DeviceId;
use platen_model::device::{DeviceReport, ORDERS_OPEN, Order, OrderKind, Orders};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::devices::find;
use crate::auth::{Caller, Scope, Who};
use crate::http::read::{Body, Named};
use crate::refusal::Refusal;
use crate::store::{audit, devices, from_ms};

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(report, status)).routes(routes!(order))
}

/// Takes a device's report of itself.
///
/// Only the device itself can. The answer holds the orders that are open for it; it confirms each in a later report.
#[utoipa::path(put, path = "/v1/devices/{id}/status", tag = "devices", operation_id = "report_status",
    params(("id" = DeviceId, Path, description = "The device.")),
    security(("oauth2" = ["documents:write"])), request_body = DeviceReport,
    responses((status = 200, description = "It is kept; these orders are open.", body = Orders)))]
async fn report(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    Body(report): Body<DeviceReport>,
) -> Result<Json<Orders>, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    let device = find(&app, caller.tenant(), &id).await?;
    if !matches!(caller.who(), Who::Device(own) if own.device_id == device.device_id) {
        return Err(Refusal::forbidden("only the device itself can tell how it stands"));
    }
    let mut write = app.store.begin().await?;
    devices::report(&mut write, &device.tenant, device.device_id, &report).await?;
    let orders = devices::open_orders(&mut write, &device.tenant, device.device_id).await?;
    write.commit().await?;
    Ok(Json(Orders { orders }))
}

/// What a device told last.
#[derive(Debug, Serialize, ToSchema)]
struct Told {
    /// When its report came.
    received_at: Timestamp,
    /// The report.
    report: DeviceReport,
}

/// What a device told of itself last.
#[utoipa::path(get, path = "/v1/devices/{id}/status", tag = "devices", operation_id = "device_status",
    params(("id" = DeviceId, Path, description = "The device.")),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "Its last report.", body = Told)))]
async fn status(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Told>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let device = find(&app, caller.tenant(), &id).await?;
    let found = devices::report_of(&app.store, caller.tenant(), device.device_id).await?;
    let found = found.ok_or_else(|| Refusal::not_found(format!("report of device {id}")))?;
    Ok(Json(Told { received_at: from_ms(found.received_ms), report: found.report }))
}

/// Asks a device to do something. It learns of it with its next report.
#[utoipa::path(post, path = "/v1/devices/{id}/orders", tag = "devices", operation_id = "give_order",
    params(("id" = DeviceId, Path, description = "The device.")),
    security(("oauth2" = ["review"]), ("session" = [])), request_body = OrderKind,
    responses((status = 202, description = "It is kept for the device.", body = Order),
        (status = 409, description = "As many orders as may be are open for it.",
            body = platen_model::Problem, content_type = "application/problem+json")))]
async fn order(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    Body(kind): Body<OrderKind>,
) -> Result<Response, Refusal> {
    let order = give(&app, &caller, &id, kind).await?;
    Ok((StatusCode::ACCEPTED, Json(order)).into_response())
}

/// Keeps an order for a device.
pub(crate) async fn give(app: &App, caller: &Caller, id: &str, kind: OrderKind) -> Result<Order, Refusal> {
    caller.must(Scope::Review)?;
    let device = find(app, caller.tenant(), id).await?;
    let mut write = app.store.begin().await?;
    let given = devices::order(&mut write, &device.tenant, device.device_id, kind, &caller.name()).await?;
    let order = given.ok_or_else(|| {
        Refusal::conflict(format!("{ORDERS_OPEN} orders are open for this device"))
            .help("wait until it has reported; it takes them with its next report")
    })?;
    let detail = serde_json::to_string(&kind).unwrap_or_default();
    audit::add(&mut write, &device.tenant, &caller.name(), "device.order", id, &detail).await?;
    write.commit().await?;
    Ok(order)
}
