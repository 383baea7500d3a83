//! Foxit eSign (eSign Genie): a draft folder (`sendNow: false`), then `sendDraftFolder`.
//!
//! It cannot be searched for our key, but what a lost call may leave behind is a draft nobody hears of. Errors come with
//! status 200 and `"result": "error"`. Read from excerpts of its guide and from clients others wrote: **unconfirmed**
//! are the unit of coordinates (taken for points), and where a callback carries its signature (`signature_carrier`).

use std::borrow::Cow;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use platen_model::{BlankKind, EnvelopeId, TenantId};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::line::{
    Effect, file, id, instead_of_file, json as send_json, lacks, list, redacted, redacted_body, text,
};
use super::{AccountConfig, Base, CALL_DEADLINE, SETTLES_WITHIN, hook, unless_ended};
use crate::signing::provider::{
    Answer, Callback, Callbacks, Capabilities, Card, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference,
};

/// What it can do.
pub(super) const CAN: Capabilities = Capabilities {
    drafts: true,
    lookup: Lookup::Never,
    callbacks: Callbacks::Signed,
    // Rights to fill in or to view come near to approving and copies, and are not the same.
    approvers: false,
    copies_max: 0,
    ordered: true,
    coordinates: true,
    expires: false,
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
    rest_between_polls: Duration::from_secs(2),
};

/// Members of its answers and callbacks that let somebody sign.
const SECRET: [&str; 4] = ["embeddedToken", "embeddedSessionURL", "folderAccessURL", "contractAccessURL"];

/// Where a callback carries its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    /// In a header of this name.
    Header(String),
    /// In this member of the query.
    Query(String),
}

/// An account.
#[derive(Debug)]
pub(super) struct Foxit {
    base: Base,
    carrier: Carrier,
    bearer: Mutex<Option<(Zeroizing<String>, Instant)>>,
}

impl Foxit {
    /// The account of this configuration.
    pub(super) fn new(http: &reqwest::Client, config: &AccountConfig) -> Self {
        let base = Base::new(http, config, "https://na1.foxitesign.foxit.com");
        let carrier = config.carrier().unwrap_or(Carrier::Header(String::new()));
        Self { base, carrier, bearer: Mutex::new(None) }
    }

    async fn bearer(&self) -> Result<Zeroizing<String>, ProviderError> {
        let mut bearer = self.bearer.lock().await;
        if let Some((token, _)) = bearer.as_ref().filter(|(_, until)| *until > Instant::now()) {
            return Ok(token.clone());
        }
        let secret = self.base.token().await?;
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", self.base.config.client_id.as_deref().unwrap_or_default()),
            ("client_secret", secret.as_str()),
            ("scope", "read-write"),
        ];
        let request = self.base.http.post(self.base.at("/api/oauth2/access_token")).form(&form);
        let answer = send_json(request, Effect::Asks).await.map_err(|error| match error {
            ProviderError::Refused(reason) => ProviderError::NotTaken(format!("no token: {reason}")),
            error => error,
        })?;
        let token = Zeroizing::new(text(&answer, "access_token").to_owned());
        if token.is_empty() {
            return Err(ProviderError::NotTaken("no token: the client id or secret is wrong".into()));
        }
        // It names a year; a secret that was rotated should show within the hour.
        let seconds = answer["expires_in"].as_u64().unwrap_or(3600).min(3600);
        *bearer = Some((token.clone(), Instant::now() + Duration::from_secs(seconds)));
        Ok(token)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value, ProviderError> {
        let request = self.base.http.post(self.base.at(path)).bearer_auth(self.bearer().await?.as_str());
        said(send_json(request.json(body), Effect::Acts).await?)
    }

    async fn get(&self, path: &str) -> Result<reqwest::RequestBuilder, ProviderError> {
        Ok(self.base.http.get(self.base.at(path)).bearer_auth(self.bearer().await?.as_str()))
    }

    async fn folder(&self, reference: &Reference) -> Result<Value, ProviderError> {
        let request = self.get("/api/folders/myfolder").await?.query(&[("folderId", &reference.0)]);
        Ok(said(send_json(request, Effect::Asks).await?)?["folder"].take())
    }

    async fn place(&self, order: &Order) -> Result<Reference, ProviderError> {
        let answer = self.post("/api/folders/createfolder", &folder(order)).await?;
        id(&answer["folder"]["folderId"]).map(Reference).ok_or_else(|| lacks("the folder's id", Effect::Acts))
    }

    async fn send_draft(&self, reference: &Reference) -> Result<(), ProviderError> {
        match self.post("/api/folders/sendDraftFolder", &json!({ "folderId": number(reference) })).await {
            // Perhaps it was sent before.
            Err(ProviderError::Refused(reason)) => match state(&self.folder(reference).await?) {
                EnvelopeState::Draft => Err(ProviderError::Refused(reason)),
                _ => Ok(()),
            },
            answer => answer.map(drop),
        }
    }

    async fn signed(&self, reference: &Reference) -> Result<Vec<u8>, ProviderError> {
        // Before it is executed the file is served as it is.
        if text(&self.folder(reference).await?, "folderStatus") != "EXECUTED" {
            return Err(ProviderError::NotTaken("it is not executed".into()));
        }
        let query = [("folderId", reference.0.as_str()), ("docNumber", "1")];
        let bytes = file(self.get("/api/folders/document/download").await?.query(&query)).await?;
        match instead_of_file(&bytes) {
            Some(answer) => said(answer).and(Ok(bytes)),
            None => Ok(bytes),
        }
    }
}

/// Its ids are numbers.
fn number(reference: &Reference) -> Value {
    reference.0.parse::<u64>().map_or_else(|_| json!(reference.0), |number| json!(number))
}

/// An answer, or the error it carries under a status of success.
fn said(answer: Value) -> Result<Value, ProviderError> {
    if text(&answer, "result") == "error" {
        let reason = text(&answer, "error_description");
        return Err(ProviderError::Refused(if reason.is_empty() { "it says no" } else { reason }.to_owned()));
    }
    Ok(answer)
}

fn folder(order: &Order) -> Value {
    let key = order.envelope_id.to_string();
    let mut parties = Vec::new();
    let mut fields = Vec::new();
    let acting = (0u32..).zip(&order.recipients).filter(|(_, recipient)| recipient.role.acts());
    for (number, (index, recipient)) in (1..).zip(acting) {
        let name = recipient.display_name();
        let (first, last) = name.rsplit_once(' ').unwrap_or((name, "-"));
        parties.push(json!({
            "firstName": first,
            "lastName": last,
            "emailId": recipient.address,
            "permission": "FILL_FIELDS_AND_SIGN",
            "sequence": number,
            "workflowSequence": recipient.order,
        }));
        for blank in order.blanks.iter().filter(|blank| blank.recipient == index) {
            let count = fields.len() + 1;
            let points = |length: f32| length.round() as i64;
            fields.push(json!({
                "type": match blank.kind {
                    BlankKind::Signature => "signature",
                    BlankKind::Initials => "initial",
                    BlankKind::Date => "date",
                    BlankKind::Name | BlankKind::Text => "text",
                    BlankKind::Checkbox => "checkbox",
                },
                "x": points(blank.x),
                "y": points(blank.y),
                "width": points(blank.w),
                "height": points(blank.h),
                "pageNumber": blank.page + 1,
                "documentNumber": 1,
                "party": number,
                "required": blank.kind != BlankKind::Checkbox,
                "name": format!("blank{count}"),
            }));
        }
    }
    json!({
        "folderName": order.title,
        "inputType": "base64",
        "base64FileString": [STANDARD.encode(&order.pdf)],
        "fileNames": ["document.pdf"],
        "sendNow": false,
        "signInSequence": order.in_turn(),
        "processTextTags": false,
        "processAcroFields": false,
        "parties": parties,
        "fields": fields,
        "custom_field1": { "name": "platen_envelope", "value": key },
        "metadata": { "platen_envelope": key },
    })
}

fn state(folder: &Value) -> EnvelopeState {
    let parties = || list(&folder["folderRecipientParties"]);
    let address = |party: &Value| {
        let own = text(party, "emailId");
        let own = if own.is_empty() { text(&party["partyDetails"], "emailId") } else { own };
        own.to_owned()
    };
    let happened = |word: &str| -> Vec<String> {
        list(&folder["folderHistory"])
            .filter(|entry| text(entry, "action").eq_ignore_ascii_case(word))
            .map(|entry| text(entry, "user").to_owned())
            .collect()
    };
    match text(folder, "folderStatus") {
        "DRAFT" => EnvelopeState::Draft,
        "EXECUTED" => EnvelopeState::Completed { signers: parties().map(address).collect() },
        "EXPIRED" => EnvelopeState::Expired,
        // A recipient's refusal and a sender's withdrawal share a status: who did it tells.
        "CANCELLED" | "CANCELED" => {
            let by = text(&folder["cancelling_party"], "emailId");
            let reason = text(folder, "reason_for_cancelling").to_owned();
            match parties().any(|party| !by.is_empty() && address(party).eq_ignore_ascii_case(by)) {
                true => EnvelopeState::Declined { signer: by.to_owned(), reason },
                false => EnvelopeState::Voided { reason },
            }
        }
        "DELETED" => EnvelopeState::Voided { reason: "it was deleted at Foxit".into() },
        _ => EnvelopeState::Open { viewed_by: happened("Viewed"), signed_by: happened("Signed") },
    }
}

impl Provider for Foxit {
    fn card(&self) -> &Card {
        &self.base.card
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference> {
        Box::pin(self.place(order))
    }

    fn send<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(self.send_draft(reference))
    }

    fn find<'a>(&'a self, _: &'a TenantId, _: EnvelopeId, _: Timestamp) -> Answer<'a, Option<Reference>> {
        Box::pin(async { Err(ProviderError::NotTaken("Foxit cannot be searched for a key".into())) })
    }

    fn state<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, EnvelopeState> {
        Box::pin(async move { Ok(state(&self.folder(reference).await?)) })
    }

    fn signed_pdf<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Vec<u8>> {
        Box::pin(self.signed(reference))
    }

    fn void<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference, reason: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            let body = json!({ "folderId": number(reference), "reason_for_cancellation": reason });
            match self.post("/api/folders/cancelFolder", &body).await {
                Err(ProviderError::Refused(reason)) => {
                    unless_ended(reason, self.state(tenant, reference)).await
                }
                answer => answer.map(drop),
            }
        })
    }

    fn remind<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(async move {
            let body = json!({ "folderId": number(reference) });
            self.post("/api/folders/signaturereminder", &body).await.map(drop)
        })
    }

    fn record<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Value> {
        Box::pin(async move {
            let history = self.get("/api/folders/viewActivityHistory").await?;
            let history = send_json(history.query(&[("folderId", &reference.0)]), Effect::Asks).await?;
            let record = json!({ "folder": self.folder(reference).await?, "history": history });
            Ok(redacted(record, &SECRET))
        })
    }

    fn redact<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        redacted_body(body, &SECRET)
    }

    fn verify(&self, _: &TenantId, callback: &Callback<'_>) -> Result<Hint, Forged> {
        let said = match &self.carrier {
            Carrier::Header(name) => callback.header(name).map(str::to_owned),
            Carrier::Query(name) => {
                let pairs = serde_urlencoded::from_str::<Vec<(String, String)>>(callback.query);
                let value = pairs.unwrap_or_default().into_iter().find(|(key, _)| key == name);
                // A plus that was not escaped arrives as a blank.
                value.map(|(_, value)| value.replace(' ', "+"))
            }
        };
        let tag =
            said.as_deref().and_then(hook::unbase64).filter(|tag| !tag.is_empty()).ok_or(Forged::Unsigned)?;
        if !hook::is_signed(&self.base.webhook_secrets(), callback.body, &tag) {
            return Err(Forged::BadSignature);
        }
        let body: Value = serde_json::from_slice(callback.body).map_err(|_| Forged::Unreadable)?;
        let (kind, data) = (text(&body, "event_name"), &body["data"]);
        if kind.is_empty() {
            return Err(Forged::Unreadable);
        }
        let folder = id(&data["folder"]["folderId"]);
        let party = ["signing_party", "viewing_party", "cancelling_party"]
            .iter()
            .map(|name| text(&data[*name], "emailId"))
            .find(|address| !address.is_empty());
        let status = text(&data["folder"], "folderStatus");
        let key =
            hook::key(&[folder.as_deref().unwrap_or_default(), kind, party.unwrap_or_default(), status]);
        Ok(Hint { reference: folder.map(Reference), kind: kind.to_owned(), id: key })
    }
}
