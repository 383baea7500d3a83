//! Dropbox Sign (HelloSign), API v3: one call makes and sends a request; our key stands in its metadata.
//!
//! There are no drafts, and the list that finds a key is an index that lags: an unknown outcome waits before it is
//! looked up. Positions are points, sizes are in units of 1/80 inch. Its callbacks prove only their time and kind, not
//! their body, so nothing but an id is taken from them. A cancelled request vanishes: "not found" is its end.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use platen_model::{Blank, BlankKind, EnvelopeId, Role, TenantId};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::line::{Effect, file, json as send_json, json_if_there, lacks, list, redacted, text};
use super::{AccountConfig, Base, CALL_DEADLINE, SETTLES_WITHIN, hook, unless_ended};
use crate::signing::provider::{
    Answer, Callback, Callbacks, Capabilities, Card, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference,
};

/// How long its index may lag. Not published: a generous guess.
const INDEX_LAGS: Duration = Duration::from_secs(600);
/// Its callbacks are repeated for more than a day (5 min to 20 h after the first).
const CALLBACK_AGE_SECONDS: i64 = 2 * 24 * 3600;
/// What its own errors have.
const OWN_ERROR: &str = "error";
/// Pages of the list that are looked through.
const PAGES_MAX: u32 = 20;
/// The most copies it sends, by its interface.
const COPIES_MAX: usize = 25;
/// Members of its answers that let somebody sign or fetch.
const SECRET: [&str; 4] = ["signing_url", "files_url", "details_url", "final_copy_uri"];
/// The metadata key that holds our key.
const KEY: &str = "platen_envelope";

/// What it can do.
pub(super) fn can(test_mode: bool) -> Capabilities {
    Capabilities {
        drafts: false,
        lookup: Lookup::After(INDEX_LAGS),
        callbacks: Callbacks::Partial,
        approvers: false,
        copies_max: COPIES_MAX,
        ordered: true,
        coordinates: true,
        expires: true,
        // It is appended to the signed PDF.
        incremental: false,
        audit_trail: false,
        void: true,
        tells_withdrawn: true,
        remind: true,
        sms: false,
        calls_a_minute: if test_mode { 8 } else { 80 },
        call_deadline: CALL_DEADLINE,
        settles_within: SETTLES_WITHIN,
        poll_every: Duration::from_secs(600),
        rest_between_polls: Duration::from_secs(2),
    }
}

/// An account.
#[derive(Debug)]
pub(super) struct DropboxSign(Base);

impl DropboxSign {
    /// The account of this configuration.
    pub(super) fn new(http: &reqwest::Client, config: &AccountConfig) -> Self {
        Self(Base::new(http, config, "https://api.hellosign.com/v3"))
    }

    async fn get(&self, path: &str) -> Result<reqwest::RequestBuilder, ProviderError> {
        Ok(self.0.http.get(self.0.at(path)).basic_auth(self.0.token().await?.as_str(), Some("")))
    }

    async fn post(&self, path: &str) -> Result<reqwest::RequestBuilder, ProviderError> {
        Ok(self.0.http.post(self.0.at(path)).basic_auth(self.0.token().await?.as_str(), Some("")))
    }

    async fn request(&self, reference: &Reference) -> Result<Option<Value>, ProviderError> {
        let request = self.get(&format!("/signature_request/{reference}")).await?;
        let found = json_if_there(request, OWN_ERROR).await?;
        Ok(found.map(|mut found| found["signature_request"].take()))
    }

    async fn submit(&self, order: &Order) -> Result<Reference, ProviderError> {
        let part = Part::bytes(order.pdf.clone()).file_name("document.pdf").mime_str("application/pdf");
        let part = part.map_err(|error| ProviderError::NotTaken(error.to_string()))?;
        let mut form = Form::new().part("files[0]", part);
        for (name, value) in members(order, self.0.config.test_mode) {
            form = form.text(name, value);
        }
        let request = self.post("/signature_request/send").await?.multipart(form);
        let answer = send_json(request, Effect::Acts).await?;
        match text(&answer["signature_request"], "signature_request_id") {
            "" => Err(lacks("the request's id", Effect::Acts)),
            id => Ok(Reference(id.to_owned())),
        }
    }

    async fn look_up(&self, key: EnvelopeId) -> Result<Option<Reference>, ProviderError> {
        let key = key.to_string();
        let mut oldest: Option<(u64, String)> = None;
        for page in 1..=PAGES_MAX {
            let query = [
                ("query", format!("metadata:{key}")),
                ("page_size", "100".into()),
                ("page", page.to_string()),
            ];
            let found =
                send_json(self.get("/signature_request/list").await?.query(&query), Effect::Asks).await?;
            for request in list(&found["signature_requests"]) {
                let made = request["created_at"].as_u64().unwrap_or(u64::MAX);
                let is_older = oldest.as_ref().is_none_or(|(known, _)| made < *known);
                if text(&request["metadata"], KEY) == key && is_older {
                    oldest = Some((made, text(request, "signature_request_id").to_owned()));
                }
            }
            if u64::from(page) >= found["list_info"]["num_pages"].as_u64().unwrap_or(1) {
                break;
            }
        }
        Ok(oldest.map(|(_, id)| Reference(id)))
    }

    async fn where_it_is(&self, reference: &Reference) -> Result<EnvelopeState, ProviderError> {
        match self.request(reference).await? {
            Some(request) => state(&request, Timestamp::now().as_second()),
            None => Ok(EnvelopeState::Voided { reason: "it was cancelled at Dropbox Sign".into() }),
        }
    }
}

/// The members of the form, as `name[index][member]`.
fn members(order: &Order, test_mode: bool) -> Vec<(String, String)> {
    let mut members = vec![
        ("title".into(), order.title.chars().take(255).collect()),
        ("allow_decline".into(), "1".into()),
        ("use_text_tags".into(), "0".into()),
        (format!("metadata[{KEY}]"), order.envelope_id.to_string()),
        ("expires_at".into(), order.expires_at.as_second().to_string()),
        ("test_mode".into(), u8::from(test_mode).to_string()),
    ];
    let acting: Vec<(u32, &platen_model::Recipient)> =
        (0u32..).zip(&order.recipients).filter(|(_, recipient)| recipient.role.acts()).collect();
    let mut count = 0;
    for (number, (index, recipient)) in acting.iter().enumerate() {
        members.push((format!("signers[{number}][email_address]"), recipient.address.clone()));
        members.push((format!("signers[{number}][name]"), recipient.display_name().to_owned()));
        if order.in_turn() {
            members
                .push((format!("signers[{number}][order]"), recipient.order.saturating_sub(1).to_string()));
        }
        for blank in order.blanks.iter().filter(|blank| blank.recipient == *index) {
            let place = place(blank, number, count);
            members.extend(
                place
                    .into_iter()
                    .map(|(name, value)| (format!("form_fields_per_document[{count}][{name}]"), value)),
            );
            count += 1;
        }
    }
    let copies = order.recipients.iter().filter(|recipient| recipient.role == Role::Cc);
    members.extend(
        copies.enumerate().map(|(at, copy)| (format!("cc_email_addresses[{at}]"), copy.address.clone())),
    );
    members
}

fn place(blank: &Blank, signer: usize, count: usize) -> [(&'static str, String); 10] {
    let kind = match blank.kind {
        BlankKind::Signature => "signature",
        BlankKind::Initials => "initials",
        BlankKind::Date => "date_signed",
        BlankKind::Name | BlankKind::Text => "text",
        BlankKind::Checkbox => "checkbox",
    };
    let points = |length: f32| (length.round() as i64).to_string();
    // Sizes are in its older unit.
    let eightieths = |length: f32| ((length * 80.0 / 72.0).round() as i64).max(1).to_string();
    [
        ("document_index", "0".into()),
        ("api_id", format!("blank_{count}")),
        ("type", kind.into()),
        ("required", u8::from(blank.kind != BlankKind::Checkbox).to_string()),
        ("signer", signer.to_string()),
        ("page", (blank.page + 1).to_string()),
        ("x", points(blank.x)),
        ("y", points(blank.y)),
        ("width", eightieths(blank.w)),
        ("height", eightieths(blank.h)),
    ]
}

fn state(request: &Value, now_second: i64) -> Result<EnvelopeState, ProviderError> {
    let signatures = || list(&request["signatures"]);
    let who = |has: &dyn Fn(&Value) -> bool| {
        signatures()
            .filter(|signature| has(signature))
            .map(|signature| text(signature, "signer_email_address").to_owned())
            .collect()
    };
    if request["is_complete"] == json!(true) {
        return Ok(EnvelopeState::Completed { signers: who(&|_| true) });
    }
    if request["is_declined"] == json!(true) {
        let declined = signatures().find(|signature| text(signature, "status_code") == "declined");
        let member = |name| declined.map(|signature| text(signature, name).to_owned()).unwrap_or_default();
        return Ok(EnvelopeState::Declined {
            signer: member("signer_email_address"),
            reason: member("decline_reason"),
        });
    }
    if request["has_error"] == json!(true) {
        return Err(ProviderError::Refused("Dropbox Sign could not process the document".into()));
    }
    if request["expires_at"].as_i64().is_some_and(|second| second <= now_second) {
        return Ok(EnvelopeState::Expired);
    }
    Ok(EnvelopeState::Open {
        viewed_by: who(&|signature| !signature["last_viewed_at"].is_null()),
        signed_by: who(&|signature| text(signature, "status_code") == "signed"),
    })
}

/// The JSON of a callback: the field `json` of its form.
fn form_json(callback: &Callback<'_>) -> Option<Value> {
    let kind = callback.header("content-type")?;
    let text = match multer::parse_boundary(kind) {
        Ok(boundary) => {
            let body = callback.body.to_vec();
            let stream = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(body)]);
            let mut form = multer::Multipart::new(stream, boundary);
            // All of the body is here: nothing is waited for.
            let read = async {
                while let Some(field) = form.next_field().await.ok()? {
                    if field.name() == Some("json") {
                        return field.text().await.ok();
                    }
                }
                None
            };
            read.now_or_never()??
        }
        Err(_) => serde_urlencoded::from_bytes::<Vec<(String, String)>>(callback.body)
            .ok()?
            .into_iter()
            .find_map(|(name, value)| (name == "json").then_some(value))?,
    };
    serde_json::from_str(&text).ok()
}

impl Provider for DropboxSign {
    fn card(&self) -> &Card {
        &self.0.card
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference> {
        Box::pin(self.submit(order))
    }

    fn find<'a>(&'a self, _: &'a TenantId, key: EnvelopeId, _: Timestamp) -> Answer<'a, Option<Reference>> {
        Box::pin(self.look_up(key))
    }

    fn state<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, EnvelopeState> {
        Box::pin(self.where_it_is(reference))
    }

    fn signed_pdf<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Vec<u8>> {
        Box::pin(async move {
            file(self.get(&format!("/signature_request/files/{reference}?file_type=pdf")).await?).await
        })
    }

    fn void<'a>(&'a self, _: &'a TenantId, reference: &'a Reference, _: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.post(&format!("/signature_request/cancel/{reference}")).await?;
            match send_json(request, Effect::Acts).await {
                Err(ProviderError::Refused(reason)) => {
                    unless_ended(reason, self.where_it_is(reference)).await
                }
                answer => answer.map(drop),
            }
        })
    }

    fn remind<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(async move {
            let request = self.request(reference).await?.unwrap_or_default();
            let waiting = list(&request["signatures"])
                .filter(|signature| text(signature, "status_code") == "awaiting_signature")
                .min_by_key(|signature| signature["order"].as_u64().unwrap_or(0));
            let waiting = waiting.ok_or_else(|| ProviderError::Refused("nobody is waited for".into()))?;
            let body = json!({ "email_address": text(waiting, "signer_email_address") });
            let request = self.post(&format!("/signature_request/remind/{reference}")).await?;
            send_json(request.json(&body), Effect::Acts).await.map(drop)
        })
    }

    fn record<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Value> {
        Box::pin(async move { Ok(redacted(self.request(reference).await?.unwrap_or_default(), &SECRET)) })
    }

    fn redact<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        // A form, not JSON: links are cut where they begin.
        let text = String::from_utf8_lossy(body);
        let mut kept = String::with_capacity(text.len());
        let mut rest = text.as_ref();
        // As they are, or as a form on one line writes them.
        let begin =
            |text: &str| ["https:", "https%3A", "https%3a"].iter().filter_map(|it| text.find(it)).min();
        while let Some(at) = begin(rest) {
            let end = rest[at..].find(['"', ' ', '\r', '\n', '&']).map_or(rest.len(), |end| at + end);
            let quoted = ["%22", "+"].iter().filter_map(|mark| Some(at + rest[at..].find(mark)?)).min();
            let end = quoted.filter(|_| rest[at..].starts_with("https%")).map_or(end, |quote| quote.min(end));
            kept += &rest[..at];
            kept += "[redacted]";
            rest = &rest[end..];
        }
        kept += rest;
        Cow::Owned(kept.into_bytes())
    }

    fn thanks(&self) -> &'static str {
        "Hello API Event Received"
    }

    fn verify(&self, _: &TenantId, callback: &Callback<'_>) -> Result<Hint, Forged> {
        let body = form_json(callback).ok_or(Forged::Unreadable)?;
        let event = &body["event"];
        let (kind, time) = (text(event, "event_type"), text(event, "event_time"));
        let tag =
            hook::unhex(text(event, "event_hash")).filter(|tag| !tag.is_empty()).ok_or(Forged::Unsigned)?;
        if !hook::is_signed(&self.0.webhook_secrets(), format!("{time}{kind}").as_bytes(), &tag) {
            return Err(Forged::BadSignature);
        }
        let second = time.parse::<i64>().map_err(|_| Forged::Unreadable)?;
        hook::is_recent(second, callback.received_at.as_second(), CALLBACK_AGE_SECONDS)?;
        let request = text(&body["signature_request"], "signature_request_id");
        let related = text(&event["event_metadata"], "related_signature_id");
        let reference = (!request.is_empty()).then(|| Reference(request.to_owned()));
        Ok(Hint { reference, kind: kind.to_owned(), id: hook::key(&[request, kind, time, related]) })
    }
}
