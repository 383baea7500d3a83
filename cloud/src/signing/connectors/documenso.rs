//! Documenso, API v2: a draft with our key as `externalId`, then `distribute`.
//!
//! Places are per cent of the page. Its search for a key is fuzzy, so the answer is compared. Expiry there is each
//! recipient's own and leaves the envelope open, so we keep the time and cancel. Callbacks carry only a shared secret.
//! The file of a document that is not completed is served without complaint, so the status is asked first.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use platen_model::{Blank, BlankKind, EnvelopeId, Role, TenantId};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::line::{
    Effect, file, id, json as send_json, json_if_there, lacks, list, redacted, redacted_body, text,
};
use super::{AccountConfig, Base, CALL_DEADLINE, SETTLES_WITHIN, hook};
use crate::signing::provider::{
    Answer, Callback, Callbacks, Capabilities, Card, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference,
};

/// What it can do.
pub(super) const CAN: Capabilities = Capabilities {
    drafts: true,
    lookup: Lookup::Exact,
    callbacks: Callbacks::Shared,
    approvers: true,
    copies_max: 50,
    ordered: true,
    coordinates: true,
    expires: false,
    incremental: false,
    audit_trail: true,
    void: true,
    tells_withdrawn: true,
    remind: true,
    sms: false,
    calls_a_minute: 600,
    call_deadline: CALL_DEADLINE,
    settles_within: SETTLES_WITHIN,
    poll_every: Duration::from_secs(300),
    rest_between_polls: Duration::from_secs(1),
};
/// What its own errors have.
const OWN_ERROR: &str = "code";
/// Members of its answers that let somebody sign.
const SECRET: [&str; 2] = ["token", "signingUrl"];

/// An account.
#[derive(Debug)]
pub(super) struct Documenso(Base);

impl Documenso {
    /// The account of this configuration.
    pub(super) fn new(http: &reqwest::Client, config: &AccountConfig) -> Self {
        Self(Base::new(http, config, "https://app.documenso.com"))
    }

    async fn get(&self, path: &str) -> Result<reqwest::RequestBuilder, ProviderError> {
        let url = self.0.at(&format!("/api/v2{path}"));
        Ok(self.0.http.get(url).header("authorization", self.0.token().await?.as_str()))
    }

    async fn post(&self, path: &str) -> Result<reqwest::RequestBuilder, ProviderError> {
        let url = self.0.at(&format!("/api/v2{path}"));
        Ok(self.0.http.post(url).header("authorization", self.0.token().await?.as_str()))
    }

    /// The envelope as the API shows it; `None` where it was deleted.
    async fn envelope(&self, reference: &Reference) -> Result<Option<Value>, ProviderError> {
        json_if_there(self.get(&format!("/envelope/{reference}")).await?, OWN_ERROR).await
    }

    async fn place(&self, order: &Order) -> Result<Reference, ProviderError> {
        let payload = payload(order);
        let part = Part::bytes(order.pdf.clone()).file_name("document.pdf").mime_str("application/pdf");
        let part = part.map_err(|error| ProviderError::NotTaken(error.to_string()))?;
        let form = Form::new().text("payload", payload.to_string()).part("files", part);
        let answer = send_json(self.post("/envelope/create").await?.multipart(form), Effect::Acts).await?;
        id(&answer["id"]).map(Reference).ok_or_else(|| lacks("the envelope's id", Effect::Acts))
    }

    async fn distribute(&self, reference: &Reference) -> Result<(), ProviderError> {
        let request = self.post("/envelope/distribute").await?.json(&json!({ "envelopeId": reference.0 }));
        match send_json(request, Effect::Acts).await {
            Ok(_) => Ok(()),
            // Perhaps it was sent before, and is further by now.
            Err(ProviderError::Refused(reason)) => match self.where_it_is(reference).await? {
                EnvelopeState::Draft => Err(ProviderError::Refused(reason)),
                _ => Ok(()),
            },
            Err(error) => Err(error),
        }
    }

    async fn look_up(&self, key: EnvelopeId) -> Result<Option<Reference>, ProviderError> {
        let key = key.to_string();
        let query = [
            ("query", key.as_str()),
            ("type", "DOCUMENT"),
            ("perPage", "100"),
            ("orderByColumn", "createdAt"),
            ("orderByDirection", "asc"),
        ];
        let found = send_json(self.get("/envelope").await?.query(&query), Effect::Asks).await?;
        let ours = list(&found["data"]).find(|envelope| text(envelope, "externalId") == key);
        Ok(ours.and_then(|envelope| id(&envelope["id"])).map(Reference))
    }

    async fn where_it_is(&self, reference: &Reference) -> Result<EnvelopeState, ProviderError> {
        Ok(match self.envelope(reference).await? {
            Some(envelope) => state(&envelope),
            None => EnvelopeState::Voided { reason: "it was deleted at Documenso".into() },
        })
    }

    async fn signed(&self, reference: &Reference) -> Result<Vec<u8>, ProviderError> {
        let envelope = self.envelope(reference).await?;
        let envelope =
            envelope.ok_or_else(|| ProviderError::Refused("it was deleted at Documenso".into()))?;
        if text(&envelope, "status") != "COMPLETED" {
            return Err(ProviderError::NotTaken("it is not completed".into()));
        }
        let item = list(&envelope["envelopeItems"]).next().and_then(|item| id(&item["id"]));
        let item = item.ok_or_else(|| lacks("the file's id", Effect::Asks))?;
        file(self.get(&format!("/envelope/item/{item}/download?version=signed")).await?).await
    }

    async fn cancel(&self, reference: &Reference, reason: &str) -> Result<(), ProviderError> {
        let body = match self.where_it_is(reference).await? {
            EnvelopeState::Draft => ("/envelope/delete", json!({ "envelopeId": reference.0 })),
            EnvelopeState::Open { .. } => {
                ("/envelope/cancel", json!({ "envelopeId": reference.0, "reason": reason }))
            }
            _ => return Ok(()),
        };
        send_json(self.post(body.0).await?.json(&body.1), Effect::Acts).await.map(drop)
    }

    async fn redistribute(&self, reference: &Reference) -> Result<(), ProviderError> {
        let envelope = self.envelope(reference).await?.unwrap_or_default();
        let waiting: Vec<&Value> = list(&envelope["recipients"])
            .filter(|recipient| acts(recipient) && text(recipient, "signingStatus") == "NOT_SIGNED")
            .filter(|recipient| text(recipient, "sendStatus") == "SENT")
            .map(|recipient| &recipient["id"])
            .collect();
        if waiting.is_empty() {
            return Err(ProviderError::Refused("nobody's turn has come".into()));
        }
        let body = json!({ "envelopeId": reference.0, "recipients": waiting });
        send_json(self.post("/envelope/redistribute").await?.json(&body), Effect::Acts).await.map(drop)
    }
}

/// The body of a draft.
fn payload(order: &Order) -> Value {
    let recipients: Vec<Value> = (0u32..)
        .zip(&order.recipients)
        .map(|(index, recipient)| {
            let fields: Vec<Value> = order
                .blanks
                .iter()
                .filter(|blank| blank.recipient == index && recipient.role.acts())
                .map(|blank| field(order, blank))
                .collect();
            json!({
                "email": recipient.address,
                "name": recipient.display_name(),
                "role": match recipient.role {
                    Role::Signer => "SIGNER",
                    Role::Approver => "APPROVER",
                    Role::Cc => "CC",
                },
                "signingOrder": recipient.order,
                "fields": fields,
            })
        })
        .collect();
    json!({
        "title": order.title.chars().take(255).collect::<String>(),
        "type": "DOCUMENT",
        "externalId": order.envelope_id.to_string(),
        "recipients": recipients,
        "meta": {
            "signingOrder": if order.in_turn() { "SEQUENTIAL" } else { "PARALLEL" },
            "distributionMethod": "EMAIL",
            // The time is kept by us: here it would end single recipients and leave the envelope open.
            "envelopeExpirationPeriod": { "disabled": true },
        },
    })
}

fn field(order: &Order, blank: &Blank) -> Value {
    let page = order.page(blank.page);
    let share =
        |length: f32, whole: f32| (f64::from(length) / f64::from(whole.max(1.0)) * 100.0).clamp(0.0, 100.0);
    json!({
        "type": match blank.kind {
            BlankKind::Signature => "SIGNATURE",
            BlankKind::Initials => "INITIALS",
            BlankKind::Date => "DATE",
            BlankKind::Name => "NAME",
            BlankKind::Text => "TEXT",
            BlankKind::Checkbox => "CHECKBOX",
        },
        "page": blank.page + 1,
        "positionX": share(blank.x, page.w),
        "positionY": share(blank.y, page.h),
        "width": share(blank.w, page.w),
        "height": share(blank.h, page.h),
    })
}

/// Whether the envelope waits for a recipient.
fn acts(recipient: &Value) -> bool {
    matches!(text(recipient, "role"), "SIGNER" | "APPROVER")
}

fn state(envelope: &Value) -> EnvelopeState {
    let recipients = || list(&envelope["recipients"]).filter(|recipient| acts(recipient));
    let who = |has: &dyn Fn(&Value) -> bool| {
        recipients()
            .filter(|recipient| has(recipient))
            .map(|recipient| text(recipient, "email").to_owned())
            .collect()
    };
    match text(envelope, "status") {
        "DRAFT" => EnvelopeState::Draft,
        "COMPLETED" => EnvelopeState::Completed { signers: who(&|_| true) },
        "REJECTED" => {
            let rejected = recipients().find(|recipient| text(recipient, "signingStatus") == "REJECTED");
            let member =
                |name| rejected.map(|recipient| text(recipient, name).to_owned()).unwrap_or_default();
            EnvelopeState::Declined { signer: member("email"), reason: member("rejectionReason") }
        }
        "CANCELLED" => EnvelopeState::Voided { reason: "it was cancelled at Documenso".into() },
        _ => EnvelopeState::Open {
            viewed_by: who(&|recipient| text(recipient, "readStatus") == "OPENED"),
            signed_by: who(&|recipient| text(recipient, "signingStatus") == "SIGNED"),
        },
    }
}

impl Provider for Documenso {
    fn card(&self) -> &Card {
        &self.0.card
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference> {
        Box::pin(self.place(order))
    }

    fn send<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(self.distribute(reference))
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

    fn void<'a>(&'a self, _: &'a TenantId, reference: &'a Reference, reason: &'a str) -> Answer<'a, ()> {
        Box::pin(self.cancel(reference, reason))
    }

    fn remind<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(self.redistribute(reference))
    }

    fn record<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Value> {
        Box::pin(async move {
            let envelope = self.envelope(reference).await?.unwrap_or_default();
            let log = self.get(&format!("/envelope/{reference}/audit-log?perPage=100")).await?;
            let log = json_if_there(log, OWN_ERROR).await?;
            Ok(redacted(json!({ "envelope": envelope, "audit_log": log }), &SECRET))
        })
    }

    fn certificate<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            file(self.get(&format!("/envelope/{reference}/certificate/download")).await?).await.map(Some)
        })
    }

    fn secret_headers(&self) -> &'static [&'static str] {
        &["x-documenso-secret"]
    }

    fn redact<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        redacted_body(body, &SECRET)
    }

    fn verify(&self, _: &TenantId, callback: &Callback<'_>) -> Result<Hint, Forged> {
        let said =
            callback.header("x-documenso-secret").filter(|said| !said.is_empty()).ok_or(Forged::Unsigned)?;
        if !hook::is_secret(&self.0.webhook_secrets(), said) {
            return Err(Forged::BadSignature);
        }
        let body: Value = serde_json::from_slice(callback.body).map_err(|_| Forged::Unreadable)?;
        let (kind, payload) = (text(&body, "event"), &body["payload"]);
        if kind.is_empty() {
            return Err(Forged::Unreadable);
        }
        let reference = id(&payload["envelopeId"]).map(Reference);
        // Its time stamp is new at each attempt: what tells one from another is what it says of the recipients.
        let mut parts = vec![kind.to_owned(), payload["id"].to_string(), text(payload, "status").to_owned()];
        parts.extend(reference.iter().map(|reference| reference.0.clone()));
        for recipient in list(&payload["recipients"]) {
            let members =
                ["id", "readStatus", "sendStatus", "signingStatus", "signedAt", "expirationNotifiedAt"];
            parts.extend(members.iter().map(|member| recipient[*member].to_string()));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(Hint { reference, kind: kind.to_owned(), id: hook::key(&parts) })
    }
}
