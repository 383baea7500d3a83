//! Signing over HTTP: providers' callbacks and the envelopes of the API.

use axum::Json;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use platen_model::api::Envelope;
use platen_model::event::{Actor, Event, EventBody, Status};
use platen_model::{Digest, DocumentId, EnvelopeId, TenantId};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::accounts;
use super::desk::{self, Desk};
use super::inbox::{self, BODY_BYTES_MAX, Received, Refused};
use super::ordering;
use super::provider::{Callback, Provider, ProviderError, Reference};
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Body, Named, Whole};
use crate::jobs::kinds;
use crate::refusal::Refusal;
use crate::store::{StoreError, audit, documents, envelopes, events, jobs, people};

/// The longest reason of a person, in characters.
const REASON_MAX: usize = 1_000;

/// The routes of signing in the API.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(callback))
        .routes(routes!(envelope))
        .routes(routes!(void))
        .routes(routes!(accept))
        .routes(routes!(remind))
        .routes(routes!(put_pin))
        .merge(accounts::routes())
        .merge(ordering::routes())
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Takes a provider's callback.
///
/// It is checked as the provider prescribes, kept as it came, and answered at once; it is only a hint, and the
/// provider is asked for the truth.
#[utoipa::path(post, path = "/v1/webhooks/signature-events/{provider}/{account}", tag = "signatures",
    operation_id = "signature_event",
    params(("provider" = String, Path, description = "The provider."),
        ("account" = String, Path, description = "The account at the provider.")),
    request_body(content_type = "application/json", content = Object, description = "What the provider sends."),
    responses((status = 200, description = "It is kept."),
        (status = 401, description = "It is not believed.", body = platen_model::Problem,
            content_type = "application/problem+json")))]
async fn callback(
    State(app): State<App>,
    Named((provider, account)): Named<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<&'static str, Refusal> {
    let unknown = || Refusal::not_found(format!("signing account {provider}/{account}"));
    let (adapter, tenant) = called(&app, &provider, &account).await?.ok_or_else(unknown)?;
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    let query = query.unwrap_or_default();
    let callback = Callback { headers: &headers, query: &query, body: &body, received_at: Timestamp::now() };
    match inbox::receive(&app.store, adapter, &tenant, &callback).await {
        Ok(Received::Hint(_)) => app.wake.notify_one(),
        Ok(Received::Kept | Received::Repeated) => {}
        Err(Refused::Forged(forged)) => {
            tracing::warn!(provider, account, %forged, "a callback was refused");
            let detail = format!("the callback is not believed: {forged}");
            let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "callback-not-believed", detail);
            return Err(refusal.help("check the account's webhook secret and the sender's clock"));
        }
        Err(Refused::Books(error)) => return Err(Refusal::internal(error)),
    }
    Ok(adapter.thanks())
}

/// Whose callbacks come to this address: an account of the configuration, or a built-in provider for a tenant.
async fn called<'a>(
    app: &'a App,
    provider: &str,
    account: &str,
) -> Result<Option<(&'a dyn Provider, TenantId)>, StoreError> {
    let courier = &app.signing.courier;
    if let Some(found) = courier.accounts().get(&format!("{provider}/{account}")) {
        let tenants = people::tenants(&app.store).await?;
        let tenant = tenants.into_iter().find(|tenant| found.provider.serves(tenant));
        return Ok(tenant.map(|tenant| (found.provider.as_ref(), tenant)));
    }
    let Ok(tenant) = account.parse::<TenantId>() else { return Ok(None) };
    if !people::tenants(&app.store).await?.contains(&tenant) {
        return Ok(None);
    }
    Ok(courier.account(&tenant, provider).map(|found| (found.provider.as_ref(), tenant)))
}

/// Asks for the provider to be asked, now.
pub async fn follow(app: &App, tenant: &TenantId, document: DocumentId) -> Result<(), StoreError> {
    let mut write = app.store.begin().await?;
    jobs::enqueue(&mut write, tenant, jobs::New::of_document(kinds::FOLLOW_ENVELOPE, document)).await?;
    write.commit().await?;
    app.wake.notify_one();
    Ok(())
}

/// One envelope as it is now.
#[utoipa::path(get, path = "/v1/signatures/envelopes/{id}", tag = "signatures",
    params(("id" = EnvelopeId, Path, description = "The envelope.")),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "The envelope.", body = Envelope)))]
async fn envelope(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Envelope>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    find(&app, caller.tenant(), &id).await.map(Json)
}

/// Why an envelope is withdrawn.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Void {
    /// The reason, for the signers.
    #[schema(max_length = 1000, pattern = r"\S")]
    reason: String,
}

/// Withdraws an envelope. Repeating it changes nothing.
///
/// One whose document was set aside meanwhile is given up: it ends here, and at its provider where it is found there.
#[utoipa::path(post, path = "/v1/signatures/envelopes/{id}/void", tag = "signatures",
    params(("id" = EnvelopeId, Path, description = "The envelope.")),
    security(("oauth2" = ["signatures"]), ("session" = [])), request_body = Void,
    responses((status = 200, description = "The envelope as it is now.", body = Envelope)))]
async fn void(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    Body(void): Body<Void>,
) -> Result<Json<Envelope>, Refusal> {
    caller.must(Scope::Signatures)?;
    let envelope = find(&app, caller.tenant(), &id).await?;
    let (document, named) = (envelope.document_id, envelope.envelope_id);
    withdraw(&app, caller.tenant(), document, named, &void.reason, caller.actor()).await?;
    find(&app, caller.tenant(), &id).await.map(Json)
}

/// Why a PDF counts as signed although it came back broken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Acceptance {
    /// The digest of the PDF that came back, as it was looked at (`returned`).
    sha256: Digest,
    /// The reason. It becomes part of the document's history and evidence.
    #[schema(max_length = 1000, pattern = r"\S")]
    reason: String,
}

/// Takes the PDF that came back for signed although its signatures are broken.
///
/// The document waits for a person because of it. What is broken stays said, on its page and in its evidence.
#[utoipa::path(post, path = "/v1/signatures/envelopes/{id}/accept", tag = "signatures",
    operation_id = "accept_returned",
    params(("id" = EnvelopeId, Path, description = "The envelope.")),
    security(("oauth2" = ["signatures"]), ("session" = [])), request_body = Acceptance,
    responses((status = 200, description = "The envelope as it is now.", body = Envelope),
        (status = 409, description = "No such PDF came back.", body = platen_model::Problem,
            content_type = "application/problem+json")))]
async fn accept(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    Body(acceptance): Body<Acceptance>,
) -> Result<Json<Envelope>, Refusal> {
    caller.must(Scope::Signatures)?;
    let envelope = find(&app, caller.tenant(), &id).await?;
    let Acceptance { sha256, reason } = acceptance;
    take_for_signed(&app, caller.tenant(), envelope.document_id, sha256, &reason, caller.actor()).await?;
    find(&app, caller.tenant(), &id).await.map(Json)
}

/// Reminds those who have not signed yet.
#[utoipa::path(post, path = "/v1/signatures/envelopes/{id}/remind", tag = "signatures",
    params(("id" = EnvelopeId, Path, description = "The envelope.")),
    security(("oauth2" = ["signatures"]), ("session" = [])),
    responses((status = 204, description = "They were reminded.")))]
async fn remind(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Signatures)?;
    let envelope = find(&app, caller.tenant(), &id).await?;
    let unknown = || Refusal::conflict("the provider does not know this envelope yet");
    let reference = Reference(envelope.provider_reference.ok_or_else(unknown)?);
    let courier = &app.signing.courier;
    courier.remind(caller.tenant(), &envelope.provider, &reference).await.map_err(refusal)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A PIN.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPin {
    /// Four or more letters and digits. The signer is told it by another way than by mail.
    #[schema(min_length = 4, max_length = 64, pattern = r"^[!-~]+$")]
    pin: String,
}

/// Asks a signer at the desk for a PIN as well.
///
/// It replaces one that was set before, and opens one that is locked after too many wrong tries.
#[utoipa::path(put, path = "/v1/signatures/envelopes/{id}/recipients/{number}/pin", tag = "signatures",
    operation_id = "set_pin",
    params(("id" = EnvelopeId, Path, description = "The envelope."),
        ("number" = u32, Path, minimum = 1, maximum = 100, description = "Which of its recipients, from 1.")),
    security(("oauth2" = ["signatures"]), ("session" = [])), request_body = NewPin,
    responses((status = 204, description = "It is asked for from now on.")))]
async fn put_pin(
    State(app): State<App>,
    caller: Caller,
    Named((id, number)): Named<(String, String)>,
    Body(new): Body<NewPin>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Signatures)?;
    let envelope = find(&app, caller.tenant(), &id).await?;
    let nobody = || Refusal::not_found(format!("recipient {number} of this envelope"));
    let position = number.parse::<u32>().ok().and_then(|number| number.checked_sub(1)).ok_or_else(nobody)?;
    let recipient = envelope.recipients.get(position as usize).ok_or_else(nobody)?;
    if envelope.provider != desk::NAME || !recipient.role.acts() {
        return Err(Refusal::conflict("only signers and approvers at the desk are asked for a PIN"));
    }
    let by = caller.actor().to_string();
    set_pin(&app, caller.tenant(), &by, envelope.envelope_id, position, &new.pin).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets the PIN of the signer at a position (from 0) of an envelope at the desk, and writes down who did.
pub async fn set_pin(
    app: &App,
    tenant: &TenantId,
    by: &str,
    envelope: EnvelopeId,
    position: u32,
    pin: &str,
) -> Result<(), Refusal> {
    let pin = Desk::hash_pin(pin).await.map_err(refusal)?;
    let mut write = app.store.begin().await?;
    Desk::set_pin(&mut write, tenant, envelope, position, &pin, by).await.map_err(refusal)?;
    let subject = format!("envelope {envelope}");
    let detail = format!("recipient {}", position + 1);
    audit::add(&mut write, tenant, by, "signing.pin.set", &subject, &detail).await?;
    Ok(write.commit().await?)
}

/// Withdraws an envelope of a document at its provider; `actor` is who does.
pub async fn withdraw(
    app: &App,
    tenant: &TenantId,
    document: DocumentId,
    envelope: EnvelopeId,
    reason: &str,
    actor: Actor,
) -> Result<(), Refusal> {
    let courier = &app.signing.courier;
    courier.void(tenant, document, envelope, reason, actor, Timestamp::now()).await.map_err(refusal)?;
    app.wake.notify_one();
    Ok(())
}

/// Takes the PDF of this digest, which came back broken, for the signed one; `actor` is who says so.
pub async fn take_for_signed(
    app: &App,
    tenant: &TenantId,
    document: DocumentId,
    sha256: Digest,
    reason: &str,
    actor: Actor,
) -> Result<(), Refusal> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        return Err(Refusal::bad_request(format!("say why, in at most {REASON_MAX} characters")));
    }
    let mut write = app.store.begin().await?;
    // Held, so that what is accepted is what came back last.
    write.hold(document).await?;
    let record = documents::find(&mut *write, tenant, document).await?;
    let waits = record.is_some_and(|record| {
        record.document.status == Status::Quarantined && record.returned_sha256 == Some(sha256)
    });
    let events = match waits {
        true => events::of_document(&app.store, tenant, document).await?,
        false => Vec::new(),
    };
    let returned = events.iter().rev().find_map(|stored| {
        match serde_json::from_str::<Event>(&stored.bytes).ok()?.body {
            EventBody::Quarantined { returned, .. } => returned.filter(|returned| returned.sha256 == sha256),
            _ => None,
        }
    });
    let returned = returned.ok_or_else(|| {
        Refusal::conflict("the document does not wait because of this PDF")
            .help("look at the document again: it may have gone on, or something else has come back")
    })?;
    let body = EventBody::Signed {
        signers: returned.signers,
        signed_sha256: sha256,
        finding: Some(Box::new(returned.finding)),
        accepted_because: Some(reason.to_owned()),
    };
    let by = actor.to_string();
    events::append(&mut write, tenant, document, actor, body).await?;
    audit::add(&mut write, tenant, &by, "signing.accept", &format!("document {document}"), reason).await?;
    write.commit().await?;
    app.wake.notify_one();
    Ok(())
}

async fn find(app: &App, tenant: &TenantId, id: &str) -> Result<Envelope, Refusal> {
    let unknown = || Refusal::not_found(format!("envelope {id}"));
    let key: EnvelopeId = id.parse().map_err(|_| unknown())?;
    let found = envelopes::find(&app.store, tenant, key).await?;
    found.map(|(envelope, _)| envelope).ok_or_else(unknown)
}

pub(crate) fn refusal(error: ProviderError) -> Refusal {
    match error {
        ProviderError::Refused(detail) => Refusal::conflict(detail),
        ProviderError::Later { after, reason } => {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "provider-resting", reason)
                .safe("the document and its envelope are as they were")
                .help(format!("try again in {} seconds; the request may be repeated", after.as_secs().max(1)))
        }
        ProviderError::NotTaken(detail) | ProviderError::Down(detail) | ProviderError::Unknown(detail) => {
            Refusal::new(StatusCode::BAD_GATEWAY, "provider-failed", detail)
                .safe("the document and its envelope are as they were, or as the provider says")
                .help("try again; the request may be repeated")
        }
    }
}
