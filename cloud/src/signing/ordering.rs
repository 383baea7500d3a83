//! `POST /v1/signatures/envelopes`: an envelope that a program orders, in the place of a route of the policy.
//!
//! Only what passed validation or was approved can be sent (INV-9), and what its route asks of people first is asked
//! here as well. The order is the same events that a route leads to, in one transaction: retried where the document had
//! come to an end, routed "by API", our key stored. So sending, following and evidence know no other way, and the answer
//! names the envelope at once. An account that cannot do what is ordered is refused, never given less.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use platen_model::api::Envelope;
use platen_model::event::{EventBody, Status};
use platen_model::manifest::part_to_sign;
use platen_model::{Digest, DocumentId, EnvelopeId, PageText, Recipient};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::desk::{self, Desk};
use super::http::refusal;
use super::placement::{self, PlaceRule};
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Body, expected_version};
use crate::ingest::idempotency;
use crate::jobs::steps::unapproved;
use crate::policy::{can_serve, is_address, telephone};
use crate::refusal::Refusal;
use crate::store::record::Record;
use crate::store::{documents, envelopes, events};

/// The name of the route in events of such an envelope.
const ROUTE: &str = "by API";
/// The most recipients and places of an order.
const LIST_MAX: usize = 100;
/// The longest address or name of a recipient, in characters.
const TEXT_MAX: usize = 320;
/// The longest time an envelope may be open.
const OPEN_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create))
}

/// An envelope to be made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EnvelopeOrder {
    /// The document. It passed validation, or was approved.
    document_id: DocumentId,
    /// The account, by its name in policies.
    #[schema(max_length = 200, example = "desk")]
    provider: String,
    /// Who signs, approves and gets a copy.
    #[schema(min_items = 1, max_items = 100)]
    recipients: Vec<Recipient>,
    /// Where they sign; beside the usual labels, or at the foot of the last page, where there are none.
    #[serde(default)]
    #[schema(max_items = 100)]
    places: Vec<PlaceRule>,
    /// PINs that recipients are asked for beside the link, at the desk only. They are told them by another way.
    #[serde(default)]
    #[schema(max_items = 100)]
    pins: Vec<OrderedPin>,
    /// When it ends unsigned; after 30 days where absent.
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// A PIN for a recipient.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OrderedPin {
    /// Which of the recipients, from 1.
    #[schema(minimum = 1)]
    recipient: u32,
    /// Four or more letters and digits.
    #[schema(min_length = 4, max_length = 64, pattern = r"^[!-~]+$")]
    pin: String,
}

impl std::fmt::Debug for OrderedPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a PIN for recipient {}", self.recipient)
    }
}

/// Makes an envelope for a validated document and sends it.
///
/// The document takes this way in the place of the one its policy would choose; `approvals` of that route are still
/// asked for. A document that was archived without a signature, declined, expired or withdrawn may be sent as well.
#[utoipa::path(post, path = "/v1/signatures/envelopes", tag = "signatures", operation_id = "create_envelope",
    params(
        ("If-Match" = Option<String>, Header, min_length = 1, pattern = r#"^(\*|"[0-9]{1,18}")$"#,
            description = "The `ETag` of the document's version that was seen."),
        ("Idempotency-Key" = Option<String>, Header, pattern = r#"^"[A-Za-z0-9_.:-]{1,255}"$"#,
            description = "A name for this request, in quotes.")),
    security(("oauth2" = ["signatures"]), ("session" = [])), request_body = EnvelopeOrder,
    responses(
        (status = 201, description = "It is on its way to the provider.", body = Envelope,
            headers(("Location" = String, description = "Its address."))),
        (status = 200, description = "It was made before, by the same request.", body = Envelope,
            headers(("Location" = String, description = "Its address."))),
        (status = 409, description = "The document cannot be sent now.", body = platen_model::Problem,
            content_type = "application/problem+json")))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body(mut order): Body<EnvelopeOrder>,
) -> Result<Response, Refusal> {
    caller.must(Scope::Signatures)?;
    let mut sent = serde_json::to_value(&order).map_err(Refusal::internal)?;
    // No part of what a key stands for: a digest of so short a secret would give it away.
    sent["pins"] = order.pins.len().into();
    let fingerprint = Digest::of(format!("envelope\n{sent}").as_bytes());
    let key = idempotency::key_of(&headers, &caller, fingerprint)?;
    let tenant = caller.tenant();
    check(&app, &caller, &order)?;
    for phone in order.recipients.iter_mut().filter_map(|recipient| recipient.phone.as_mut()) {
        // As it is dialled, however it was written.
        *phone = telephone(phone).map_err(Refusal::bad_request)?;
    }
    let envelope_id = EnvelopeId::new();
    let mut pins = Vec::new();
    for ordered in &order.pins {
        let pin = Desk::hash_pin(&ordered.pin).await.map_err(refusal)?;
        pins.push((ordered.recipient.saturating_sub(1), pin));
    }
    let mut write = app.store.begin().await?;
    if let Some(earlier) = idempotency::earlier::<EnvelopeId>(&mut write, tenant, key.as_ref()).await? {
        drop(write);
        return answer(&app, &caller, earlier, StatusCode::OK).await;
    }
    let document = order.document_id;
    write.hold(document).await?;
    let record = documents::find(&mut *write, tenant, document).await?;
    let record = record.ok_or_else(|| Refusal::not_found(format!("document {document}")))?;
    if let Some(seen) = expected_version(&headers)?.filter(|seen| *seen != record.document.version) {
        let now = record.document.version;
        let detail = format!("the document is at version {now}; the envelope was ordered for version {seen}");
        return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", detail)
            .help("look at the document again, then order"));
    }
    let first = first_event(&record)?;
    let policy = app.policy(tenant);
    let text = app.keep.page_text(tenant, &record).await?;
    let violations = record.not_overridden(policy.violations(&record.document, text.as_ref()));
    if let Some(violation) = violations.first() {
        return Err(Refusal::conflict(violation.message.clone())
            .help("correct the document or have the rule overridden, then order the envelope again"));
    }
    if let Some(reason) = policy.route(&record.document).ok().and_then(|it| unapproved(&record, it.route)) {
        return Err(
            Refusal::conflict(reason).help("have the document approved, then order the envelope again")
        );
    }
    let pdf =
        part_to_sign(&record.parts).ok_or_else(|| Refusal::conflict("the document has no PDF to sign"))?;
    let text = text.unwrap_or_else(|| PageText::new(Vec::new()));
    let routed = EventBody::Routed {
        route: ROUTE.into(),
        policy: policy.reference().clone(),
        provider: Some(order.provider.clone()),
        blanks: placement::place(&order.places, &order.recipients, &text),
        recipients: order.recipients,
        expires_at: order.expires_at,
        remind_every_s: None,
        tags: record.document.policy_tags.clone(),
        retention_class: record.document.retention_class.clone(),
    };
    let created =
        EventBody::EnvelopeCreated { envelope_id, provider: order.provider, document_sha256: pdf.sha256 };
    for body in first.into_iter().chain([routed, created]) {
        events::append(&mut write, tenant, document, caller.actor(), body).await?;
    }
    for (position, pin) in &pins {
        let by = caller.actor().to_string();
        Desk::set_pin(&mut write, tenant, envelope_id, *position, pin, &by).await.map_err(refusal)?;
    }
    idempotency::keep(&app, &mut write, tenant, key.as_ref(), envelope_id).await?;
    write.commit().await?;
    app.wake.notify_one();
    answer(&app, &caller, envelope_id, StatusCode::CREATED).await
}

async fn answer(
    app: &App,
    caller: &Caller,
    envelope: EnvelopeId,
    status: StatusCode,
) -> Result<Response, Refusal> {
    let found = envelopes::find(&app.store, caller.tenant(), envelope).await?;
    let (envelope, _) = found.ok_or_else(|| Refusal::internal("an envelope that was made is not there"))?;
    let location = format!("/v1/signatures/envelopes/{}", envelope.envelope_id);
    Ok((status, [(header::LOCATION, location)], Json(envelope)).into_response())
}

/// The event that brings the document to where it can be routed; none where it is there.
fn first_event(record: &Record) -> Result<Option<EventBody>, Refusal> {
    let refused = |why: String, help: &str| Err(Refusal::conflict(why).help(help.to_owned()));
    match (record.document.status, record.resume) {
        (Status::Validated, _) => Ok(None),
        (Status::Archived, _) if record.provider.is_none() => Ok(None),
        (Status::Declined | Status::Expired | Status::Voided, _)
        | (Status::Quarantined, Some(Status::Validated)) => Ok(Some(EventBody::Retried)),
        (Status::InReview, _) => {
            refused("the document waits for review".into(), "have it approved, then order the envelope again")
        }
        (status @ (Status::EnvelopeCreated | Status::Sent | Status::Viewed), _) => refused(
            format!("the document is {status}: it has an open envelope"),
            "withdraw that envelope first, or wait for its end",
        ),
        (status, _) => refused(
            format!("the document is {status}: only what passed validation can be sent to be signed"),
            "look at the document's state",
        ),
    }
}

/// Refuses what is wrong with an order, field by field, and what its account cannot do.
fn check(app: &App, caller: &Caller, order: &EnvelopeOrder) -> Result<(), Refusal> {
    let mut errors = BTreeMap::new();
    let Some(account) = app.signing.courier.account(caller.tenant(), &order.provider) else {
        errors.insert("provider".to_owned(), "there is no such account".to_owned());
        return Err(invalid(errors));
    };
    if order.recipients.len() > LIST_MAX || order.places.len() > LIST_MAX {
        errors.insert("recipients".into(), format!("at most {LIST_MAX} recipients and as many places"));
    }
    for (number, recipient) in order.recipients.iter().enumerate() {
        let texts = recipient.name.iter().chain([&recipient.address]);
        let wrong = is_address(&recipient.address).err().or_else(|| {
            let long = texts.into_iter().any(|text| text.chars().count() > TEXT_MAX);
            long.then(|| format!("an address or name has at most {TEXT_MAX} characters"))
        });
        let wrong = wrong.or_else(|| recipient.phone.as_deref().and_then(|phone| telephone(phone).err()));
        let wrong = wrong.or_else(|| (recipient.order == 0).then(|| "`order` counts from 1".to_owned()));
        errors.extend(wrong.map(|wrong| (format!("recipients[{number}]"), wrong)));
    }
    for (number, place) in order.places.iter().enumerate() {
        let wrong = place.check(order.recipients.len()).err();
        errors.extend(wrong.map(|wrong| (format!("places[{number}]"), wrong)));
    }
    for (number, pin) in order.pins.iter().enumerate() {
        let recipient = pin.recipient.checked_sub(1).and_then(|at| order.recipients.get(at as usize));
        let wrong = match recipient {
            None => Some(format!("there is no recipient {}", pin.recipient)),
            Some(recipient) if !recipient.role.acts() => {
                Some("who gets a copy is asked for nothing".to_owned())
            }
            Some(_) if order.provider != desk::NAME => Some("PINs are asked for at the desk only".to_owned()),
            Some(_) => None,
        };
        errors.extend(wrong.map(|wrong| (format!("pins[{number}]"), wrong)));
    }
    let now = Timestamp::now();
    if order.expires_at.is_some_and(|at| at <= now || at.duration_since(now) > OPEN_MAX) {
        errors.insert("expires_at".into(), "a time within the next 366 days".into());
    }
    if errors.is_empty() {
        let can = account.provider.capabilities();
        let served = can_serve(&can, &order.recipients, !order.places.is_empty(), order.expires_at.is_some());
        errors.extend(served.err().map(|why| ("provider".to_owned(), format!("{} {why}", order.provider))));
    }
    if errors.is_empty() { Ok(()) } else { Err(invalid(errors)) }
}

fn invalid(errors: BTreeMap<String, String>) -> Refusal {
    Refusal::invalid("the order cannot be carried out", errors)
}

#[cfg(test)]
#[path = "ordering_tests.rs"]
mod tests;
