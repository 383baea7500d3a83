//! DocuSeal: one call makes and sends a submission; our key is each submitter's `external_id`, with its number.
//!
//! Places are fractions of the page. There are no drafts, but `GET /submitters?external_id=` finds a key exactly and at
//! once. Keys are not unique there, so of several submissions the oldest counts. Callbacks are signed over time and
//! body. Links to files end after a while and carry their own right, so they are fetched without ours.

use std::time::Duration;

use jiff::Timestamp;
use platen_model::{Blank, BlankKind, EnvelopeId, Role, TenantId};
use serde_json::{Value, json};
use std::borrow::Cow;

use super::line::{
    Effect, file, id, json as send_json, json_if_there, lacks, list, redacted, redacted_body, text,
};
use super::{AccountConfig, Base, CALL_DEADLINE, SETTLES_WITHIN, hook};
use crate::signing::hmac::TOLERANCE_SECONDS;
use crate::signing::provider::{
    Answer, Callback, Callbacks, Capabilities, Card, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What it can do.
pub(super) const CAN: Capabilities = Capabilities {
    drafts: false,
    lookup: Lookup::Exact,
    callbacks: Callbacks::Signed,
    approvers: false,
    copies_max: 1,
    ordered: true,
    coordinates: true,
    expires: true,
    incremental: false,
    audit_trail: true,
    void: true,
    tells_withdrawn: true,
    remind: true,
    sms: false,
    // Its limit is not published.
    calls_a_minute: 30,
    call_deadline: CALL_DEADLINE,
    settles_within: SETTLES_WITHIN,
    poll_every: Duration::from_secs(300),
    rest_between_polls: Duration::from_secs(1),
};
/// What its own errors have.
const OWN_ERROR: &str = "error";
/// Members of its answers that let somebody sign, or fetch.
const SECRET: [&str; 5] = ["slug", "embed_src", "url", "audit_log_url", "combined_document_url"];

/// An account.
#[derive(Debug)]
pub(super) struct Docuseal(Base);

impl Docuseal {
    /// The account of this configuration.
    pub(super) fn new(http: &reqwest::Client, config: &AccountConfig) -> Self {
        Self(Base::new(http, config, "https://api.docuseal.com"))
    }

    async fn to(
        &self,
        method: reqwest::Method,
        path: &str,
    ) -> Result<reqwest::RequestBuilder, ProviderError> {
        let token = self.0.token().await?;
        Ok(self.0.http.request(method, self.0.at(path)).header("x-auth-token", token.as_str()))
    }

    async fn submission(&self, reference: &Reference) -> Result<Option<Value>, ProviderError> {
        let request = self.to(reqwest::Method::GET, &format!("/submissions/{reference}")).await?;
        json_if_there(request, OWN_ERROR).await
    }

    async fn submit(&self, order: &Order) -> Result<Reference, ProviderError> {
        let request = self.to(reqwest::Method::POST, "/submissions/pdf").await?.json(&body(order));
        let answer = send_json(request, Effect::Acts).await?;
        id(&answer["id"]).map(Reference).ok_or_else(|| lacks("the submission's id", Effect::Acts))
    }

    async fn look_up(&self, key: EnvelopeId) -> Result<Option<Reference>, ProviderError> {
        let first = external_id(key, 0);
        let request = self.to(reqwest::Method::GET, "/submitters").await?;
        let found =
            send_json(request.query(&[("external_id", first.as_str()), ("limit", "100")]), Effect::Asks)
                .await?;
        let ours = list(&found["data"]).filter(|submitter| text(submitter, "external_id") == first);
        let oldest = ours.filter_map(|submitter| submitter["submission_id"].as_u64()).min();
        Ok(oldest.map(|id| Reference(id.to_string())))
    }

    async fn where_it_is(&self, reference: &Reference) -> Result<EnvelopeState, ProviderError> {
        Ok(match self.submission(reference).await? {
            Some(submission) => state(&submission),
            None => EnvelopeState::Voided { reason: "it was deleted at DocuSeal".into() },
        })
    }

    async fn signed(&self, reference: &Reference) -> Result<Vec<u8>, ProviderError> {
        // Before the end previews are served in the file's place.
        if !matches!(self.where_it_is(reference).await?, EnvelopeState::Completed { .. }) {
            return Err(ProviderError::NotTaken("it is not completed".into()));
        }
        let path = format!("/submissions/{reference}/documents");
        let answer = send_json(self.to(reqwest::Method::GET, &path).await?, Effect::Asks).await?;
        let link = list(&answer["documents"]).next().map(|document| text(document, "url").to_owned());
        self.fetch(&link.unwrap_or_default()).await
    }

    /// Fetches a file by a link of its answer: from the provider's own hosts, or over TLS.
    async fn fetch(&self, link: &str) -> Result<Vec<u8>, ProviderError> {
        if !link.starts_with("https://") && !link.starts_with(&format!("{}/", self.0.url)) {
            return Err(lacks("where the file is", Effect::Asks));
        }
        file(self.0.http.get(link)).await
    }

    async fn remind_next(&self, reference: &Reference) -> Result<(), ProviderError> {
        let submission = self.submission(reference).await?.unwrap_or_default();
        let waiting: Vec<String> = list(&submission["submitters"])
            .filter(|submitter| matches!(text(submitter, "status"), "sent" | "opened"))
            .filter_map(|submitter| id(&submitter["id"]))
            .collect();
        if waiting.is_empty() {
            return Err(ProviderError::Refused("nobody's turn has come".into()));
        }
        for submitter in waiting {
            let request = self.to(reqwest::Method::PUT, &format!("/submitters/{submitter}")).await?;
            send_json(request.json(&json!({ "send_email": true })), Effect::Acts).await?;
        }
        Ok(())
    }
}

/// The key of a submitter: letters, digits and hyphens only.
fn external_id(key: EnvelopeId, number: usize) -> String {
    format!("{key}-{number}")
}

fn role(number: usize) -> String {
    format!("Signer {}", number + 1)
}

fn body(order: &Order) -> Value {
    let acting: Vec<(u32, &platen_model::Recipient)> =
        (0u32..).zip(&order.recipients).filter(|(_, recipient)| recipient.role.acts()).collect();
    let mut fields = Vec::new();
    let mut submitters = Vec::new();
    for (number, (index, recipient)) in acting.iter().enumerate() {
        let own = order.blanks.iter().filter(|blank| blank.recipient == *index);
        fields.extend(own.enumerate().map(|(count, blank)| field(order, blank, number, count)));
        submitters.push(json!({
            "role": role(number),
            "email": recipient.address,
            "name": recipient.display_name(),
            "order": recipient.order,
            "external_id": external_id(order.envelope_id, number),
            "send_email": true,
        }));
    }
    let mut body = json!({
        "name": order.title,
        "send_email": true,
        "order": if order.in_turn() { "preserved" } else { "random" },
        "expire_at": order.expires_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        // What looks like a tag in a scan is its text.
        "remove_tags": false,
        "documents": [{ "name": order.title, "file": STANDARD.encode(&order.pdf), "fields": fields }],
        "submitters": submitters,
    });
    if let Some(copy) = order.recipients.iter().find(|recipient| recipient.role == Role::Cc) {
        body["bcc_completed"] = json!(copy.address);
    }
    body
}

fn field(order: &Order, blank: &Blank, number: usize, count: usize) -> Value {
    let page = order.page(blank.page);
    let share = |length: f32, whole: f32| f64::from(length) / f64::from(whole.max(1.0));
    json!({
        "name": format!("{} {}", role(number), count + 1),
        "role": role(number),
        "type": match blank.kind {
            BlankKind::Signature => "signature",
            BlankKind::Initials => "initials",
            BlankKind::Date => "date",
            BlankKind::Name | BlankKind::Text => "text",
            BlankKind::Checkbox => "checkbox",
        },
        "required": blank.kind != BlankKind::Checkbox,
        "areas": [{
            "x": share(blank.x, page.w),
            "y": share(blank.y, page.h),
            "w": share(blank.w, page.w),
            "h": share(blank.h, page.h),
            "page": blank.page + 1,
        }],
    })
}

fn state(submission: &Value) -> EnvelopeState {
    let submitters = || list(&submission["submitters"]);
    let who = |has: &dyn Fn(&Value) -> bool| {
        submitters()
            .filter(|submitter| has(submitter))
            .map(|submitter| text(submitter, "email").to_owned())
            .collect()
    };
    if !submission["archived_at"].is_null() && text(submission, "status") != "completed" {
        return EnvelopeState::Voided { reason: "it was archived at DocuSeal".into() };
    }
    match text(submission, "status") {
        "completed" => EnvelopeState::Completed { signers: who(&|_| true) },
        "declined" => {
            let declined = submitters().find(|submitter| text(submitter, "status") == "declined");
            let signer = declined.map(|submitter| text(submitter, "email").to_owned()).unwrap_or_default();
            let reason = list(&submission["submission_events"])
                .find(|event| text(event, "event_type") == "decline_form")
                .map(|event| text(&event["data"], "reason").to_owned());
            EnvelopeState::Declined { signer, reason: reason.unwrap_or_default() }
        }
        "expired" => EnvelopeState::Expired,
        _ => EnvelopeState::Open {
            viewed_by: who(&|submitter| !submitter["opened_at"].is_null()),
            signed_by: who(&|submitter| text(submitter, "status") == "completed"),
        },
    }
}

impl Provider for Docuseal {
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
        Box::pin(self.signed(reference))
    }

    fn void<'a>(&'a self, _: &'a TenantId, reference: &'a Reference, _: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let open = EnvelopeState::Open { viewed_by: Vec::new(), signed_by: Vec::new() };
            let now = self.where_it_is(reference).await?;
            if std::mem::discriminant(&now) != std::mem::discriminant(&open) {
                return Ok(());
            }
            let request = self.to(reqwest::Method::DELETE, &format!("/submissions/{reference}")).await?;
            send_json(request, Effect::Acts).await.map(drop)
        })
    }

    fn remind<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(self.remind_next(reference))
    }

    fn record<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Value> {
        Box::pin(async move { Ok(redacted(self.submission(reference).await?.unwrap_or_default(), &SECRET)) })
    }

    fn certificate<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let submission = self.submission(reference).await?.unwrap_or_default();
            match text(&submission, "audit_log_url") {
                "" => Ok(None),
                link => self.fetch(link).await.map(Some),
            }
        })
    }

    fn redact<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        redacted_body(body, &SECRET)
    }

    fn verify(&self, _: &TenantId, callback: &Callback<'_>) -> Result<Hint, Forged> {
        let said = callback.header("x-docuseal-signature").ok_or(Forged::Unsigned)?;
        let (seconds, tag) = said.split_once('.').ok_or(Forged::Unsigned)?;
        let (Ok(second), Some(tag)) = (seconds.parse::<i64>(), hook::unhex(tag)) else {
            return Err(Forged::Unsigned);
        };
        let mut message = format!("{seconds}.").into_bytes();
        message.extend_from_slice(callback.body);
        if !hook::is_signed(&self.0.webhook_secrets(), &message, &tag) {
            return Err(Forged::BadSignature);
        }
        hook::is_recent(second, callback.received_at.as_second(), TOLERANCE_SECONDS)?;
        let body: Value = serde_json::from_slice(callback.body).map_err(|_| Forged::Unreadable)?;
        let (kind, data) = (text(&body, "event_type"), &body["data"]);
        if kind.is_empty() {
            return Err(Forged::Unreadable);
        }
        let submission = match kind.split_once('.') {
            Some(("form", _)) => id(&data["submission"]["id"]),
            Some(("submission", _)) => id(&data["id"]),
            _ => None,
        };
        let key = hook::key(&[kind, &data["id"].to_string(), &body["timestamp"].to_string()]);
        Ok(Hint { reference: submission.map(Reference), kind: kind.to_owned(), id: key })
    }
}
