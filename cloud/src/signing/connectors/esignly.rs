//! eSignly: one call makes and sends a request; everything else is polled.
//!
//! **Unconfirmed**: only excerpts of its documentation could be read. It has no drafts, no key of ours, no callbacks and
//! no coordinates that are described, so it does the least: an unknown outcome always goes to a person, and a route that
//! places signatures by coordinates, names an approver or a copy, or asks in turn, is refused when its policy is loaded.

use std::time::Duration;

use jiff::Timestamp;
use platen_model::{EnvelopeId, TenantId};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::line::{Effect, file, id, instead_of_file, json as send_json, lacks, list, redacted, text};
use super::{AccountConfig, Base, CALL_DEADLINE, SETTLES_WITHIN};
use crate::signing::provider::{
    Answer, Callback, Callbacks, Capabilities, Card, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference,
};

/// What it can do.
pub(super) const CAN: Capabilities = Capabilities {
    drafts: false,
    lookup: Lookup::Never,
    callbacks: Callbacks::None,
    approvers: false,
    copies_max: 0,
    ordered: false,
    coordinates: false,
    expires: false,
    incremental: false,
    audit_trail: false,
    void: true,
    // How it shows the end of a request is unconfirmed.
    tells_withdrawn: false,
    remind: true,
    sms: false,
    calls_a_minute: 20,
    call_deadline: CALL_DEADLINE,
    settles_within: SETTLES_WITHIN,
    poll_every: Duration::from_secs(900),
    rest_between_polls: Duration::from_secs(30),
};

/// An account.
#[derive(Debug)]
pub(super) struct Esignly(Base);

impl Esignly {
    /// The account of this configuration.
    pub(super) fn new(http: &reqwest::Client, config: &AccountConfig) -> Self {
        Self(Base::new(http, config, "https://api.esignly.com"))
    }

    async fn submit(&self, order: &Order) -> Result<Reference, ProviderError> {
        let part = Part::bytes(order.pdf.clone()).file_name("document.pdf").mime_str("application/pdf");
        let part = part.map_err(|error| ProviderError::NotTaken(error.to_string()))?;
        let mut form = Form::new()
            .text("api_key", self.0.token().await?.to_string())
            .text("title", order.title.clone())
            .text("subject", format!("Please sign: {}", order.title))
            .text("message", "Please read and sign the document.")
            .text("sign_pos", "0")
            .text("is_chain", "0")
            .part("upl", part);
        for recipient in order.acting() {
            form = form.text("signer_email[]", recipient.address.clone());
            form = form.text("signer_role[]", recipient.display_name().to_owned());
        }
        let request = self.0.http.post(self.0.at("/v1/docSignRequest/")).multipart(form);
        let answer = said(send_json(request, Effect::Acts).await?, Effect::Acts)?;
        request_id(&answer["signature_request"])
            .map(Reference)
            .ok_or_else(|| lacks("the request's id", Effect::Acts))
    }

    async fn ask(&self, path: &str, reference: &Reference, effect: Effect) -> Result<Value, ProviderError> {
        let token = self.0.token().await?;
        let form = [("api_key", token.as_str()), ("request_id", reference.0.as_str())];
        said(send_json(self.0.http.post(self.0.at(path)).form(&form), effect).await?, effect)
    }

    async fn signed(&self, reference: &Reference) -> Result<Vec<u8>, ProviderError> {
        let now = state(&self.ask("/v1/checkSignStatus", reference, Effect::Asks).await?);
        if !matches!(now, EnvelopeState::Completed { .. }) {
            return Err(ProviderError::NotTaken("it is not completed".into()));
        }
        let token = self.0.token().await?;
        let form = [("api_key", token.as_str()), ("request_id", reference.0.as_str())];
        let bytes = file(self.0.http.post(self.0.at("/v1/downloadDoc")).form(&form)).await?;
        match instead_of_file(&bytes) {
            Some(answer) => said(answer, Effect::Asks).and(Ok(bytes)),
            None => Ok(bytes),
        }
    }
}

/// The id of a request: its own member, or the end of the address of its details.
fn request_id(request: &Value) -> Option<String> {
    id(&request["request_id"]).or_else(|| {
        let address = text(request, "details_url").trim_end_matches('/');
        address.rsplit('/').next().filter(|end| !end.is_empty()).map(str::to_owned)
    })
}

/// An answer, or the error it carries in its body. Codes of the account's plan and key are no fault of the document's.
fn said(answer: Value, effect: Effect) -> Result<Value, ProviderError> {
    let code = id(&answer["error_code"]).or_else(|| id(&answer["code"])).unwrap_or_default();
    match code.as_str() {
        "" | "200" | "0" => Ok(answer),
        "401" | "402" | "403" | "404" | "405" | "407" | "408" | "410" | "411" => {
            Err(ProviderError::NotTaken(format!("the account is refused: error {code}")))
        }
        _ if effect == Effect::Asks => Err(ProviderError::NotTaken(format!("error {code}"))),
        _ => Err(ProviderError::Refused(format!("error {code}: {}", text(&answer, "message")))),
    }
}

fn state(answer: &Value) -> EnvelopeState {
    let signatures = || list(&answer["signatures"]);
    let who = |codes: &[&str]| {
        signatures()
            .filter(|signature| codes.contains(&text(signature, "status_code")))
            .map(|signature| text(signature, "signer_email_address").to_owned())
            .collect()
    };
    if answer["signature_request"]["is_complete"] == json!(true) {
        return EnvelopeState::Completed { signers: who(&["SENT", "VIEWED", "SIGNED"]) };
    }
    EnvelopeState::Open { viewed_by: who(&["VIEWED", "SIGNED"]), signed_by: who(&["SIGNED"]) }
}

impl Provider for Esignly {
    fn card(&self) -> &Card {
        &self.0.card
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference> {
        Box::pin(self.submit(order))
    }

    fn find<'a>(&'a self, _: &'a TenantId, _: EnvelopeId, _: Timestamp) -> Answer<'a, Option<Reference>> {
        Box::pin(async { Err(ProviderError::NotTaken("eSignly cannot be searched for a key".into())) })
    }

    fn state<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, EnvelopeState> {
        Box::pin(async move { Ok(state(&self.ask("/v1/checkSignStatus", reference, Effect::Asks).await?)) })
    }

    fn signed_pdf<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Vec<u8>> {
        Box::pin(self.signed(reference))
    }

    fn void<'a>(&'a self, _: &'a TenantId, reference: &'a Reference, _: &'a str) -> Answer<'a, ()> {
        // The path is written so by its maker.
        Box::pin(async move { self.ask("/v1/cancelSignReqest/", reference, Effect::Acts).await.map(drop) })
    }

    fn remind<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(async move { self.ask("/v1/sendReminder", reference, Effect::Acts).await.map(drop) })
    }

    fn record<'a>(&'a self, _: &'a TenantId, reference: &'a Reference) -> Answer<'a, Value> {
        Box::pin(async move {
            let answer = self.ask("/v1/checkSignStatus", reference, Effect::Asks).await?;
            Ok(redacted(answer, &["auth_key", "details_url", "system_details"]))
        })
    }

    fn verify(&self, _: &TenantId, _: &Callback<'_>) -> Result<Hint, Forged> {
        Err(Forged::NotExpected)
    }
}
