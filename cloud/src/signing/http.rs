//! Signing over HTTP: providers' callbacks and the envelopes of the API.

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use platen_model::api::Envelope;
use platen_model::{DocumentId, EnvelopeId, TenantId};
use serde::Deserialize;

use super::inbox::{self, BODY_BYTES_MAX, Received, Refused};
use super::provider::{Callback, ProviderError, Reference};
use crate::app::App;
use crate::auth::{Caller, Role, User};
use crate::http::{Whole, read_json};
use crate::jobs::kinds;
use crate::refusal::Refusal;
use crate::store::{StoreError, envelopes, jobs};

/// The routes of signing, the desk's public pages among them.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v1/webhooks/signature-events/{provider}/{account}", post(callback))
        .route("/v1/signatures/envelopes/{id}", get(envelope))
        .route("/v1/signatures/envelopes/{id}/void", post(void))
        .route("/v1/signatures/envelopes/{id}/remind", post(remind))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(super::desk::http::routes())
}

/// Takes a callback: checked, kept, answered. The provider is asked by a job.
async fn callback(
    State(app): State<App>,
    Path((provider, account)): Path<(String, String)>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<StatusCode, Refusal> {
    let unknown = || Refusal::not_found(format!("signing account {provider}/{account}"));
    let tenant: TenantId = account.parse().map_err(|_| unknown())?;
    let known = crate::store::people::tenants(&app.store).await?.contains(&tenant);
    let adapter =
        app.signing.courier.providers.get(provider.as_str()).filter(|_| known).ok_or_else(unknown)?;
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let callback = Callback { headers: &headers, body: &body, received_at: Timestamp::now() };
    match inbox::receive(app.store.writing(), adapter.as_ref(), &tenant, &callback).await {
        Ok(Received::Hint(document)) => follow(&app, &tenant, document).await?,
        Ok(Received::Kept | Received::Repeated) => {}
        Err(Refused::Forged(forged)) => {
            tracing::warn!(provider, account, %forged, "a callback was refused");
            let detail = format!("the callback is not believed: {forged}");
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "callback-not-believed", detail);
            return Err(refusal.help("check the account's webhook secret and the sender's clock"));
        }
        Err(Refused::Books(error)) => return Err(Refusal::internal(error)),
    }
    Ok(StatusCode::OK)
}

/// Asks for the provider to be asked, now.
pub async fn follow(app: &App, tenant: &TenantId, document: DocumentId) -> Result<(), StoreError> {
    let mut write = app.store.begin().await?;
    jobs::enqueue(&mut write, tenant, jobs::New::of_document(kinds::FOLLOW_ENVELOPE, document)).await?;
    write.commit().await?;
    app.wake.notify_one();
    Ok(())
}

/// `GET /v1/signatures/envelopes/{id}`.
async fn envelope(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<Envelope>, Refusal> {
    find(&app, caller.tenant(), &id).await.map(Json)
}

/// The body of `POST .../void`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Void {
    /// Why.
    reason: String,
}

/// `POST /v1/signatures/envelopes/{id}/void`. Repeating it changes nothing.
async fn void(
    State(app): State<App>,
    user: User,
    Path(id): Path<String>,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Json<Envelope>, Refusal> {
    may_act(&user, &headers)?;
    let void: Void = read_json(&headers, &body)?;
    let envelope = find(&app, &user.tenant, &id).await?;
    withdraw(&app, &user.tenant, envelope.document_id, &void.reason).await?;
    find(&app, &user.tenant, &id).await.map(Json)
}

/// `POST /v1/signatures/envelopes/{id}/remind`.
async fn remind(
    State(app): State<App>,
    user: User,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Refusal> {
    may_act(&user, &headers)?;
    let envelope = find(&app, &user.tenant, &id).await?;
    let provider = app.signing.courier.providers.get(envelope.provider.as_str());
    let (Some(provider), Some(reference)) = (provider, envelope.provider_reference) else {
        return Err(Refusal::conflict("the provider does not know this envelope yet"));
    };
    provider.remind(&user.tenant, &Reference(reference)).await.map_err(refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

fn may_act(user: &User, headers: &HeaderMap) -> Result<(), Refusal> {
    user.must_be(Role::Reviewer)?;
    user.must_have_sent(headers.get("x-csrf-token").and_then(|value| value.to_str().ok()))
}

/// Withdraws a document's envelope at its provider.
pub async fn withdraw(
    app: &App,
    tenant: &TenantId,
    document: DocumentId,
    reason: &str,
) -> Result<(), Refusal> {
    app.signing.courier.void(tenant, document, reason, Timestamp::now()).await.map_err(refusal)?;
    app.wake.notify_one();
    Ok(())
}

async fn find(app: &App, tenant: &TenantId, id: &str) -> Result<Envelope, Refusal> {
    let unknown = || Refusal::not_found(format!("envelope {id}"));
    let key: EnvelopeId = id.parse().map_err(|_| unknown())?;
    let found = envelopes::find(&app.store, tenant, key).await?;
    found.map(|(envelope, _)| envelope).ok_or_else(unknown)
}

pub(super) fn refusal(error: ProviderError) -> Refusal {
    match error {
        ProviderError::Refused(detail) => Refusal::conflict(detail),
        ProviderError::NotTaken(detail) | ProviderError::Unknown(detail) => {
            Refusal::new(StatusCode::BAD_GATEWAY, "provider-failed", detail)
                .safe("the document and its envelope are as they were, or as the provider says")
                .help("try again; the request may be repeated")
        }
    }
}
