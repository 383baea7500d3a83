//! `/devices`: how the scanning devices stand, and what they are asked to do.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;
use platen_model::CaptureId;
use platen_model::device::OrderKind;
use serde::Deserialize;

use super::actions::allow;
use super::devices_page::{DevicesPage, Material};
use super::session::SignedIn;
use super::{PageResult, html};
use crate::api;
use crate::app::App;
use crate::auth::Role;
use crate::http::read::Form;
use crate::refusal::Refusal;
use crate::store::{devices, people};

/// Devices that are shown at most; the API lists all.
const SHOWN: u32 = 1_000;

/// `GET /devices`.
pub(super) async fn list(State(app): State<App>, who: SignedIn) -> PageResult {
    let tenant = &who.0.tenant;
    let material = Material {
        devices: people::devices(&app.store, tenant, None, SHOWN).await?,
        reports: devices::reports(&app.store, tenant).await?,
        orders: devices::orders(&app.store, tenant).await?,
        may_order: who.0.role >= Role::Reviewer,
        now: Timestamp::now(),
    };
    html(&DevicesPage::new(who.frame(&app, "devices").await?, material))
}

/// The form that asks a device for something.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    csrf: String,
    /// `retry`, or `originals`.
    #[serde(default)]
    order: String,
    /// One capture; all where it is empty.
    #[serde(default)]
    capture: String,
}

/// `POST /devices/{id}/orders`.
pub(super) async fn order(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Form(asked): Form<Asked>,
) -> PageResult {
    allow(&user, Some(&asked.csrf))?;
    let kind = match (asked.order.as_str(), asked.capture.as_str()) {
        ("retry", "") => OrderKind::RetryAllCaptures,
        ("retry", capture) => {
            let capture_id: CaptureId =
                capture.parse().map_err(|_| Refusal::bad_request("the form names no capture"))?;
            OrderKind::RetryCapture { capture_id }
        }
        ("originals", _) => OrderKind::SendOriginals,
        _ => return Err(Refusal::bad_request("the form names no order").into()),
    };
    api::devices::give(&app, &user.into(), &id, kind).await?;
    Ok(Redirect::to("/devices").into_response())
}
