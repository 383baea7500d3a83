//! DocuSign eSignature, REST v2.1: a draft (`created`) with our key as `transactionId` and custom field, then `sent`.
//!
//! Numbers and truths are strings there. Access is a JWT signed by the integration's RSA key, exchanged for a bearer of
//! an hour. One envelope may be asked about once in fifteen minutes, whatever hints say. An expired envelope is
//! `voided` with a reason, so reasons are read. Places are points from the top left corner; a signature's size is fixed.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use platen_model::{Blank, BlankKind, EnvelopeId, Recipient, Role, TenantId};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::line::{
    Effect, file, json as send_json, json_if_there, lacks, list, redacted, redacted_body, text,
};
use super::{AccountConfig, Base, CALL_DEADLINE, SETTLES_WITHIN, hook, unless_ended};
use crate::signing::provider::{
    Answer, Callback, Callbacks, Capabilities, Card, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference,
};

/// The most often one envelope may be asked about.
const POLL: Duration = Duration::from_secs(15 * 60);
/// The reason of envelopes whose time is over.
const EXPIRED: &str = "expired";
/// The custom field with our key: `transactionId` is forgotten after seven days.
const KEY: &str = "platen_envelope";
/// What its own errors have.
const OWN_ERROR: &str = "errorCode";
/// How long its callbacks are repeated at most, and so how old one may be.
const CALLBACK_AGE_SECONDS: i64 = 15 * 24 * 3600;
/// What its bearer is renewed before its end, in seconds.
const RENEW_BEFORE: u64 = 300;
/// Members of its answers and callbacks that let somebody sign.
const SECRET: [&str; 3] = ["recipientSigningUri", "embeddedRecipientStartURL", "accessCode"];
/// The most headers with signatures that are looked at.
const SIGNATURES_MAX: usize = 100;

/// What it can do.
pub(super) const CAN: Capabilities = Capabilities {
    drafts: true,
    lookup: Lookup::Exact,
    callbacks: Callbacks::Signed,
    approvers: true,
    copies_max: 50,
    ordered: true,
    coordinates: true,
    // Its time is in whole days, so ours is kept by us; its own ends what we no longer know of.
    expires: false,
    incremental: false,
    audit_trail: true,
    void: true,
    tells_withdrawn: true,
    remind: true,
    sms: false,
    // 3000 an hour.
    calls_a_minute: 50,
    call_deadline: CALL_DEADLINE,
    settles_within: SETTLES_WITHIN,
    poll_every: POLL,
    rest_between_polls: POLL,
};

/// An account.
#[derive(Debug)]
pub(super) struct Docusign {
    base: Base,
    bearer: Mutex<Option<Bearer>>,
}

#[derive(Debug)]
struct Bearer {
    token: Zeroizing<String>,
    until: Instant,
}

impl Docusign {
    /// The account of this configuration.
    pub(super) fn new(http: &reqwest::Client, config: &AccountConfig) -> Self {
        let usual = if config.test_mode { "https://demo.docusign.net" } else { "https://www.docusign.net" };
        Self { base: Base::new(http, config, usual), bearer: Mutex::new(None) }
    }

    /// Where tokens come from: the API's own address in tests, else DocuSign's account server.
    fn oauth(&self) -> String {
        if self.base.url.starts_with("http://") {
            self.base.url.clone()
        } else if self.base.config.test_mode {
            "https://account-d.docusign.com".into()
        } else {
            "https://account.docusign.com".into()
        }
    }

    async fn to(
        &self,
        method: reqwest::Method,
        path: &str,
    ) -> Result<reqwest::RequestBuilder, ProviderError> {
        let account = self.base.config.account_id.as_deref().unwrap_or_default();
        let url = self.base.at(&format!("/restapi/v2.1/accounts/{account}{path}"));
        Ok(self.base.http.request(method, url).bearer_auth(self.bearer().await?.as_str()))
    }

    async fn bearer(&self) -> Result<Zeroizing<String>, ProviderError> {
        let mut bearer = self.bearer.lock().await;
        if let Some(known) = bearer.as_ref().filter(|known| known.until > Instant::now()) {
            return Ok(known.token.clone());
        }
        let assertion = self.assertion().await?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.as_str()),
        ];
        let request = self.base.http.post(format!("{}/oauth/token", self.oauth())).form(&form);
        let answer = send_json(request, Effect::Asks).await.map_err(no_token)?;
        let token = Zeroizing::new(text(&answer, "access_token").to_owned());
        if token.is_empty() {
            return Err(lacks("a token", Effect::Asks));
        }
        let seconds = answer["expires_in"].as_u64().unwrap_or(3600).saturating_sub(RENEW_BEFORE);
        let until = Instant::now() + Duration::from_secs(seconds);
        *bearer = Some(Bearer { token: token.clone(), until });
        Ok(token)
    }

    /// A JWT (RFC 7519) by the integration's key, RS256.
    async fn assertion(&self) -> Result<Zeroizing<String>, ProviderError> {
        let trouble = |what: &str| ProviderError::NotTaken(format!("the account's `private_key` {what}"));
        let config = &self.base.config;
        let secret = config.private_key.as_ref().ok_or_else(|| trouble("is missing"))?;
        let pem = secret.text(&self.base.http).await?;
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| trouble("is no PEM key"))?;
        let pair = match &key {
            PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
            _ => return Err(trouble("is no RSA key")),
        };
        let pair = pair.map_err(|_| trouble("is no RSA key"))?;
        let now = Timestamp::now().as_second();
        let audience = self.oauth();
        let claims = json!({
            "iss": config.client_id,
            "sub": config.user_id,
            "aud": audience.split("://").nth(1),
            "iat": now,
            "exp": now + 3600,
            "scope": "signature impersonation",
        });
        let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encoded(&json!({ "alg": "RS256", "typ": "JWT" })), encoded(&claims));
        let mut signature = vec![0; pair.public().modulus_len()];
        let random = ring::rand::SystemRandom::new();
        pair.sign(&RSA_PKCS1_SHA256, &random, message.as_bytes(), &mut signature)
            .map_err(|_| trouble("cannot sign"))?;
        Ok(Zeroizing::new(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    async fn place(&self, order: &Order) -> Result<Reference, ProviderError> {
        let request = self.to(reqwest::Method::POST, "/envelopes").await?.json(&definition(order));
        let answer = send_json(request, Effect::Acts).await?;
        match text(&answer, "envelopeId") {
            "" => Err(lacks("the envelope's id", Effect::Acts)),
            id => Ok(Reference(id.to_owned())),
        }
    }

    async fn update(&self, reference: &Reference, path: &str, body: Value) -> Result<(), ProviderError> {
        let request = self.to(reqwest::Method::PUT, &format!("/envelopes/{reference}{path}")).await?;
        send_json(request.json(&body), Effect::Acts).await.map(drop)
    }

    async fn set_sent(&self, reference: &Reference) -> Result<(), ProviderError> {
        match self.update(reference, "", json!({ "status": "sent" })).await {
            // Perhaps it was sent before.
            Err(ProviderError::Refused(reason)) => match self.where_it_is(reference).await? {
                EnvelopeState::Draft => Err(ProviderError::Refused(reason)),
                _ => Ok(()),
            },
            answer => answer,
        }
    }

    /// Takes away a draft: only what was sent can be voided. It is gone from its bin after a day.
    async fn discard(&self, reference: &Reference) -> Result<(), ProviderError> {
        let request = self.to(reqwest::Method::PUT, "/folders/recyclebin").await?;
        send_json(request.json(&json!({ "envelopeIds": [reference.0] })), Effect::Acts).await.map(drop)
    }

    async fn look_up(&self, key: EnvelopeId, since: Timestamp) -> Result<Option<Reference>, ProviderError> {
        let key = key.to_string();
        let by_transaction = [("transaction_ids", key.clone()), ("include", "custom_fields".into())];
        let by_field = [
            ("from_date", since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ("custom_field", format!("{KEY}={key}")),
            ("include", "custom_fields".into()),
        ];
        for query in [&by_transaction[..], &by_field[..]] {
            let request = self.to(reqwest::Method::GET, "/envelopes").await?.query(query);
            let found = send_json(request, Effect::Asks).await?;
            let oldest = list(&found["envelopes"])
                .filter(|envelope| is_ours(envelope, &key))
                .min_by_key(|envelope| text(envelope, "createdDateTime").to_owned());
            if let Some(envelope) = oldest {
                return Ok(Some(Reference(text(envelope, "envelopeId").to_owned())));
            }
        }
        Ok(None)
    }

    async fn where_it_is(&self, reference: &Reference) -> Result<EnvelopeState, ProviderError> {
        let request = self.to(reqwest::Method::GET, &format!("/envelopes/{reference}")).await?;
        let found = json_if_there(request.query(&[("include", "recipients")]), OWN_ERROR).await?;
        Ok(match found {
            Some(envelope) => state(&envelope),
            None => EnvelopeState::Voided { reason: "it was deleted at DocuSign".into() },
        })
    }

    async fn document(&self, reference: &Reference, id: &str) -> Result<Vec<u8>, ProviderError> {
        let path = format!("/envelopes/{reference}/documents/{id}");
        file(self.to(reqwest::Method::GET, &path).await?.header("accept", "application/pdf")).await
    }
}

/// A token that is refused is the account's trouble.
fn no_token(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Refused(reason) if reason.contains("consent_required") => ProviderError::NotTaken(
            "DocuSign asks for a one-time consent: open its oauth/auth address for this integration key"
                .into(),
        ),
        ProviderError::Refused(reason) => ProviderError::NotTaken(format!("no token: {reason}")),
        error => error,
    }
}

fn is_ours(envelope: &Value, key: &str) -> bool {
    text(envelope, "transactionId").eq_ignore_ascii_case(key)
        || list(&envelope["customFields"]["textCustomFields"])
            .any(|field| text(field, "name") == KEY && text(field, "value") == key)
}

fn definition(order: &Order) -> Value {
    let (mut signers, mut copies) = (Vec::new(), Vec::new());
    for (index, recipient) in (0u32..).zip(&order.recipients) {
        let mut entry = json!({
            "recipientId": (index + 1).to_string(),
            "routingOrder": recipient.order.to_string(),
            "email": recipient.address,
            "name": recipient.display_name(),
        });
        if recipient.role == Role::Cc {
            copies.push(entry);
        } else {
            entry["tabs"] = tabs(order, index, recipient);
            signers.push(entry);
        }
    }
    let days = (order.expires_at.as_second() - Timestamp::now().as_second() + 86_399) / 86_400;
    let subject: String = format!("Please sign: {}", order.title).chars().take(100).collect();
    json!({
        "status": "created",
        "emailSubject": subject,
        "transactionId": order.envelope_id.to_string(),
        "documents": [{
            "documentId": "1",
            "name": order.title,
            "fileExtension": "pdf",
            "documentBase64": STANDARD.encode(&order.pdf),
        }],
        "recipients": { "signers": signers, "carbonCopies": copies },
        "customFields": { "textCustomFields": [
            { "name": KEY, "value": order.envelope_id.to_string(), "show": "false", "required": "false" },
        ] },
        "notification": {
            "useAccountDefaults": "false",
            "expirations": {
                "expireEnabled": "true",
                "expireAfter": days.clamp(1, 999).to_string(),
                "expireWarn": "0",
            },
        },
    })
}

fn tabs(order: &Order, index: u32, recipient: &Recipient) -> Value {
    let mut tabs: Map<String, Value> = Map::new();
    let mut add = |kind: &str, tab: Value| {
        if let Value::Array(tabs) = tabs.entry(kind).or_insert_with(|| Value::Array(Vec::new())) {
            tabs.push(tab);
        }
    };
    let mut is_placed = false;
    for blank in order.blanks.iter().filter(|blank| blank.recipient == index) {
        is_placed = true;
        let mut tab = place(blank);
        let kind = match blank.kind {
            BlankKind::Signature => "signHereTabs",
            BlankKind::Initials => "initialHereTabs",
            BlankKind::Date => "dateSignedTabs",
            BlankKind::Name => "fullNameTabs",
            BlankKind::Text => {
                tab["width"] = json!((blank.w.round() as i64).to_string());
                "textTabs"
            }
            BlankKind::Checkbox => "checkboxTabs",
        };
        add(kind, tab);
    }
    if recipient.role == Role::Approver && !is_placed {
        let foot = Blank {
            recipient: index,
            kind: BlankKind::Checkbox,
            page: u32::try_from(order.pages.len().saturating_sub(1)).unwrap_or(0),
            x: 36.0 + 90.0 * index as f32,
            y: 12.0,
            w: 80.0,
            h: 24.0,
            why: String::new(),
        };
        add("approveTabs", place(&foot));
    }
    Value::Object(tabs)
}

fn place(blank: &Blank) -> Value {
    let points = |length: f32| (length.round() as i64).to_string();
    json!({
        "documentId": "1",
        "pageNumber": (blank.page + 1).to_string(),
        "xPosition": points(blank.x),
        "yPosition": points(blank.y),
    })
}

fn state(envelope: &Value) -> EnvelopeState {
    let signers = || list(&envelope["recipients"]["signers"]);
    let who = |has: &dyn Fn(&str) -> bool| {
        signers()
            .filter(|signer| has(text(signer, "status")))
            .map(|signer| text(signer, "email").to_owned())
            .collect()
    };
    match text(envelope, "status") {
        "created" => EnvelopeState::Draft,
        "completed" => EnvelopeState::Completed { signers: who(&|_| true) },
        "declined" => {
            let declined = signers().find(|signer| text(signer, "status") == "declined");
            let member = |name| declined.map(|signer| text(signer, name).to_owned()).unwrap_or_default();
            EnvelopeState::Declined { signer: member("email"), reason: member("declinedReason") }
        }
        "voided" if text(envelope, "voidedReason").to_lowercase().contains(EXPIRED) => EnvelopeState::Expired,
        "timedout" => EnvelopeState::Expired,
        "voided" | "deleted" => EnvelopeState::Voided { reason: text(envelope, "voidedReason").to_owned() },
        _ => EnvelopeState::Open {
            viewed_by: who(&|status| matches!(status, "delivered" | "signed" | "completed")),
            signed_by: who(&|status| matches!(status, "signed" | "completed")),
        },
    }
}

impl Provider for Docusign {
    fn card(&self) -> &Card {
        &self.base.card
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference> {
        Box::pin(self.place(order))
    }

    fn send<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(self.set_sent(reference))
    }

    fn find<'a>(
        &'a self,
        _: &'a TenantId,
        key: EnvelopeId,
        since: Timestamp,
    ) -> Answer<'a, Option<Reference>> {
        Box::pin(self.look_up(key, since))
    }

    fn state<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, EnvelopeState> {
        Box::pin(self.where_it_is(reference))
    }

    fn signed_pdf<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Vec<u8>> {
        Box::pin(self.document(reference, "combined"))
    }

    fn void<'a>(&'a self, _: &'a TenantId, reference: &'a Reference, reason: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            // 200 characters are its limit.
            let reason: String = reason.chars().take(200).collect();
            let body = json!({ "status": "voided", "voidedReason": reason });
            match self.update(reference, "", body).await {
                Err(ProviderError::Refused(reason)) => match self.where_it_is(reference).await? {
                    EnvelopeState::Draft => self.discard(reference).await,
                    state => unless_ended(reason, std::future::ready(Ok(state))).await,
                },
                answer => answer,
            }
        })
    }

    fn remind<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(self.update(reference, "?resend_envelope=true", json!({})))
    }

    fn record<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Value> {
        Box::pin(async move {
            let request = self.to(reqwest::Method::GET, &format!("/envelopes/{reference}")).await?;
            let request = request.query(&[("include", "recipients,custom_fields")]);
            let envelope = json_if_there(request, OWN_ERROR).await?;
            let path = format!("/envelopes/{reference}/audit_events");
            let audit = json_if_there(self.to(reqwest::Method::GET, &path).await?, OWN_ERROR).await?;
            let record = json!({ "envelope": envelope, "audit_events": audit });
            Ok(redacted(record, &SECRET))
        })
    }

    fn certificate<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async move { self.document(reference, "certificate").await.map(Some) })
    }

    fn redact<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        redacted_body(body, &SECRET)
    }

    fn verify(&self, _: &TenantId, callback: &Callback<'_>) -> Result<Hint, Forged> {
        let is_tag = |name: &str| name.starts_with("x-docusign-signature-");
        let tags: Vec<Vec<u8>> = callback
            .headers
            .iter()
            .filter(|(name, _)| is_tag(name))
            .take(SIGNATURES_MAX)
            .filter_map(|(_, value)| hook::unbase64(value))
            .collect();
        if tags.is_empty() {
            return Err(Forged::Unsigned);
        }
        let secrets = self.base.webhook_secrets();
        if !tags.iter().any(|tag| hook::is_signed(&secrets, callback.body, tag)) {
            return Err(Forged::BadSignature);
        }
        let body: Value = serde_json::from_slice(callback.body).map_err(|_| Forged::Unreadable)?;
        let (kind, data) = (text(&body, "event"), &body["data"]);
        let generated = text(&body, "generatedDateTime");
        if kind.is_empty() {
            return Err(Forged::Unreadable);
        }
        if let Ok(at) = generated.parse::<Timestamp>() {
            hook::is_recent(at.as_second(), callback.received_at.as_second(), CALLBACK_AGE_SECONDS)?;
        }
        let envelope = text(data, "envelopeId");
        let reference = (!envelope.is_empty()).then(|| Reference(envelope.to_owned()));
        let changed = text(&data["envelopeSummary"], "statusChangedDateTime");
        let key = hook::key(&[kind, envelope, text(data, "recipientId"), changed, generated]);
        Ok(Hint { reference, kind: kind.to_owned(), id: key })
    }
}
