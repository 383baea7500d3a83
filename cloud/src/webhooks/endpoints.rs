//! `/v1/webhook-endpoints`: where events are sent. The secret is shown when it is made, and at each rotation.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use platen_model::TenantId;
use platen_model::api::Page;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::{ENDPOINTS, EVENTS};
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Body, Named};
use crate::refusal::Refusal;
use crate::store::webhooks::{self as rows, Endpoint};
use crate::store::{audit, from_ms, now_ms};

/// How long the secret before signs as well after a rotation, in milliseconds.
const FORMER_MS: i64 = 24 * 3600 * 1000;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(one, change, remove))
        .routes(routes!(rotate_secret))
}

/// An endpoint as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct ShownEndpoint {
    /// Its id.
    endpoint_id: Uuid,
    /// Where events are sent.
    url: String,
    /// The events it is told of; none stands for all.
    events: Vec<String>,
    /// Whether anything is sent.
    enabled: bool,
    /// Why nothing is sent, where it was disabled.
    disabled_reason: Option<String>,
    /// Since when every attempt failed, where they do.
    failing_since: Option<Timestamp>,
    /// When it was made.
    created_at: Timestamp,
}

impl From<&Endpoint> for ShownEndpoint {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            endpoint_id: endpoint.endpoint_id,
            url: endpoint.url.clone(),
            events: endpoint.events.clone(),
            enabled: endpoint.disabled.is_empty(),
            disabled_reason: Some(endpoint.disabled.clone()).filter(|reason| !reason.is_empty()),
            failing_since: (endpoint.failing_ms != 0).then(|| from_ms(endpoint.failing_ms)),
            created_at: from_ms(endpoint.created_ms),
        }
    }
}

/// An endpoint with its secret.
#[derive(Debug, Serialize, ToSchema)]
struct WithSecret {
    /// The endpoint.
    endpoint: ShownEndpoint,
    /// The secret its deliveries are signed with: `whsec_` and base64, as Standard Webhooks has it.
    secret: String,
}

/// An endpoint to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewEndpoint {
    /// Where to send: an https address on the public internet.
    #[schema(min_length = 1, max_length = 2000)]
    url: String,
    /// The events to be told of, by name, for example `signed`; none stands for all.
    #[serde(default)]
    #[schema(max_items = 100)]
    events: Vec<String>,
}

/// What to change; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EndpointChange {
    /// Where to send.
    #[schema(nullable = false, min_length = 1, max_length = 2000)]
    url: Option<String>,
    /// The events to be told of; none stands for all.
    #[schema(nullable = false, max_items = 100)]
    events: Option<Vec<String>>,
    /// Whether to send.
    #[schema(nullable = false)]
    enabled: Option<bool>,
}

/// Lists the tenant's endpoints, oldest first. There are at most 20.
#[utoipa::path(get, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "list_endpoints",
    security(("oauth2" = ["webhooks"]), ("session" = [])),
    responses((status = 200, description = "All of them.", body = Page<ShownEndpoint>)))]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Page<ShownEndpoint>>, Refusal> {
    caller.must(Scope::Webhooks)?;
    let found = rows::list(app.store.reading(), caller.tenant()).await?;
    Ok(Json(Page { items: found.iter().map(ShownEndpoint::from).collect(), next: None }))
}

/// Makes an endpoint: from now on it is told of events.
#[utoipa::path(post, path = "/v1/webhook-endpoints", tag = "webhooks", operation_id = "add_endpoint",
    security(("oauth2" = ["webhooks"]), ("session" = [])), request_body = NewEndpoint,
    responses(
        (status = 201, description = "It is there, with its secret.", body = WithSecret,
            headers(("Location" = String, description = "Its address."))),
        (status = 409, description = "There are 20 already.", body = platen_model::Problem,
            content_type = "application/problem+json")))]
async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewEndpoint>,
) -> Result<Response, Refusal> {
    caller.must(Scope::Webhooks)?;
    must_be_sound(&app, Some(&new.url), Some(&new.events))?;
    let endpoint = Endpoint {
        endpoint_id: Uuid::now_v7(),
        tenant: caller.tenant().clone(),
        url: new.url,
        events: new.events,
        secret_number: 1,
        former_until_ms: 0,
        disabled: String::new(),
        failing_ms: 0,
        created_ms: now_ms(),
    };
    let subject = endpoint.endpoint_id.to_string();
    let mut write = app.store.begin().await?;
    write.hold(format!("endpoints of {}", caller.tenant())).await?;
    if rows::list(&mut *write, caller.tenant()).await?.len() >= ENDPOINTS {
        let detail = format!("there are {ENDPOINTS} endpoints, the limit");
        return Err(Refusal::conflict(detail).help("remove one first"));
    }
    rows::add(&mut write, &endpoint).await?;
    audit::add(&mut write, caller.tenant(), &caller.name(), "webhook.add", &subject, &endpoint.url).await?;
    write.commit().await?;
    let location = format!("/v1/webhook-endpoints/{subject}");
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(with_secret(&app, &endpoint)))
        .into_response())
}

/// One endpoint.
#[utoipa::path(get, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "get_endpoint",
    params(("id" = Uuid, Path, description = "The endpoint.")),
    security(("oauth2" = ["webhooks"]), ("session" = [])),
    responses((status = 200, description = "The endpoint.", body = ShownEndpoint)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<ShownEndpoint>, Refusal> {
    caller.must(Scope::Webhooks)?;
    let found = rows::find(app.store.reading(), caller.tenant(), parse(&id)?).await?;
    found.map(|endpoint| Json((&endpoint).into())).ok_or_else(|| missing(&id))
}

/// Changes an endpoint, or enables one that was disabled. What happened while it was is in the feed.
#[utoipa::path(patch, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "change_endpoint",
    params(("id" = Uuid, Path, description = "The endpoint.")),
    security(("oauth2" = ["webhooks"]), ("session" = [])), request_body = EndpointChange,
    responses((status = 200, description = "The endpoint as it is now.", body = ShownEndpoint)))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    Body(wanted): Body<EndpointChange>,
) -> Result<Json<ShownEndpoint>, Refusal> {
    caller.must(Scope::Webhooks)?;
    let endpoint_id = parse(&id)?;
    must_be_sound(&app, wanted.url.as_deref(), wanted.events.as_deref())?;
    let changed = changed(&app, &caller, endpoint_id, "webhook.change", |endpoint| {
        let EndpointChange { url, events, enabled } = wanted;
        if let Some(url) = url.filter(|url| *url != endpoint.url) {
            endpoint.url = url;
            // What the address before did not take is not held against this one.
            endpoint.failing_ms = 0;
        }
        endpoint.events = events.unwrap_or_else(|| endpoint.events.clone());
        match enabled {
            Some(true) => {
                endpoint.disabled.clear();
                endpoint.failing_ms = 0;
            }
            Some(false) => endpoint.disabled = "switched off".into(),
            None => {}
        }
    });
    Ok(Json((&changed.await?).into()))
}

/// Removes an endpoint, with the list of what was sent to it.
#[utoipa::path(delete, path = "/v1/webhook-endpoints/{id}", tag = "webhooks", operation_id = "remove_endpoint",
    params(("id" = Uuid, Path, description = "The endpoint.")),
    security(("oauth2" = ["webhooks"]), ("session" = [])),
    responses((status = 204, description = "It is gone.")))]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Webhooks)?;
    let endpoint_id = parse(&id)?;
    let mut write = app.store.begin().await?;
    write.hold(endpoint_id).await?;
    if !rows::remove(&mut write, caller.tenant(), endpoint_id).await? {
        return Err(missing(&id));
    }
    audit::add(&mut write, caller.tenant(), &caller.name(), "webhook.remove", &id, "").await?;
    write.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives an endpoint a new secret. For a day deliveries carry the signature of the one before as well.
#[utoipa::path(post, path = "/v1/webhook-endpoints/{id}/rotate-secret", tag = "webhooks",
    operation_id = "rotate_endpoint_secret",
    params(("id" = Uuid, Path, description = "The endpoint.")),
    security(("oauth2" = ["webhooks"]), ("session" = [])),
    responses((status = 200, description = "The endpoint with its new secret.", body = WithSecret)))]
async fn rotate_secret(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<WithSecret>, Refusal> {
    caller.must(Scope::Webhooks)?;
    let rotated = changed(&app, &caller, parse(&id)?, "webhook.rotate", |endpoint| {
        endpoint.secret_number += 1;
        endpoint.former_until_ms = now_ms() + FORMER_MS;
    });
    Ok(Json(with_secret(&app, &rotated.await?)))
}

async fn changed(
    app: &App,
    caller: &Caller,
    endpoint_id: Uuid,
    action: &str,
    change: impl FnOnce(&mut Endpoint),
) -> Result<Endpoint, Refusal> {
    let (tenant, subject): (&TenantId, _) = (caller.tenant(), endpoint_id.to_string());
    let mut write = app.store.begin().await?;
    write.hold(endpoint_id).await?;
    let found = rows::find(&mut *write, tenant, endpoint_id).await?;
    let mut endpoint = found.ok_or_else(|| missing(&subject))?;
    change(&mut endpoint);
    rows::change(&mut write, &endpoint).await?;
    audit::add(&mut write, tenant, &caller.name(), action, &subject, &endpoint.url).await?;
    write.commit().await?;
    Ok(endpoint)
}

/// Lists what is wrong with a URL and names of events.
fn must_be_sound(app: &App, url: Option<&str>, events: Option<&[String]>) -> Result<(), Refusal> {
    let mut errors = BTreeMap::new();
    if let Some(url) = url {
        let refused = match url.parse::<Url>() {
            Ok(url) => app.webhooks.guard.refuses(&url),
            Err(error) => Some(format!("is no URL: {error}")),
        };
        errors.extend(refused.map(|refused| ("url".to_owned(), refused)));
    }
    for (index, name) in events.unwrap_or_default().iter().enumerate() {
        if !EVENTS.contains(&name.as_str()) {
            let known = EVENTS.join(", ");
            errors.insert(format!("events.{index}"), format!("is no event; there are {known}"));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::invalid("the endpoint is not sound", errors)) }
}

fn with_secret(app: &App, endpoint: &Endpoint) -> WithSecret {
    WithSecret { endpoint: endpoint.into(), secret: app.webhooks.site.shown_secret(endpoint) }
}

fn parse(id: &str) -> Result<Uuid, Refusal> {
    id.parse().map_err(|_| missing(id))
}

fn missing(id: &str) -> Refusal {
    Refusal::not_found(format!("endpoint {id}"))
}
