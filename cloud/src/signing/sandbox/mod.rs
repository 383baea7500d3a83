//! The sandbox: a signing provider that is simulated, deterministic and honest about it.
//!
//! The signer's address decides what happens ([`script`]): `signs@`, `declines@`, `expires@`, `slow@`, `twice@`
//! (each callback comes twice) and `silent@` (none comes). What it signs, it seals with a certificate whose
//! name says "sandbox". Its callbacks travel over real HTTP to our own public address ([`clock`]), signed like
//! any provider's. All it must remember is in the database, so it survives a kill as a real provider would.

pub mod clock;
pub mod script;

use jiff::Timestamp;
use platen_capture::pdf::Place;
use platen_capture::worker::protocol::SealInfo;
use platen_model::{Digest, EnvelopeId, TenantId};
use ring::hmac;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::hmac as callback_signature;
use super::provider::{
    Answer, Callback, Callbacks, Capabilities, Card, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference,
};
use super::workplace::{SealOf, Workplace, from_ms, internal, now_ms};

/// The provider's name.
pub const NAME: &str = "sandbox";
/// The header that carries a callback's signature.
pub const SIGNATURE_HEADER: &str = "sandbox-signature";

/// What it can do.
pub const CAN: Capabilities = Capabilities {
    drafts: false,
    lookup: Lookup::Exact,
    callbacks: Callbacks::Signed,
    approvers: true,
    copies_max: 25,
    ordered: true,
    coordinates: true,
    expires: true,
    incremental: true,
    audit_trail: false,
    void: true,
    tells_withdrawn: true,
    remind: false,
    sms: false,
    calls_a_minute: 100_000,
    call_deadline: Duration::from_secs(60),
    // It commits before it answers, on this machine.
    settles_within: Duration::ZERO,
    poll_every: Duration::from_secs(2),
    rest_between_polls: Duration::ZERO,
};
static CARD: Card = Card::of_all(NAME, CAN);

/// The provider.
#[derive(Clone, Debug)]
pub struct Sandbox {
    place: Workplace,
}

/// The body of a callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackBody {
    /// The same at each repetition.
    pub id: String,
    /// What happened, for example `envelope.viewed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The sandbox's id of the envelope.
    pub reference: String,
}

/// What is kept of an envelope.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    reference: String,
    envelope_id: String,
    tenant_id: String,
    pdf_sha256: String,
    signers: String,
    created_ms: i64,
    void_reason: Option<String>,
    signed_sha256: Option<String>,
    callbacks_sent: i64,
}

impl Row {
    fn signers(&self) -> Vec<String> {
        serde_json::from_str(&self.signers).unwrap_or_default()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(now_ms() - self.created_ms).unwrap_or(0)
    }

    fn state(&self) -> EnvelopeState {
        match &self.void_reason {
            Some(reason) => EnvelopeState::Voided { reason: reason.clone() },
            None => script::state_at(&self.signers(), self.elapsed_ms()),
        }
    }
}

impl Sandbox {
    /// A sandbox in this workplace.
    pub fn new(place: Workplace) -> Self {
        Self { place }
    }

    fn secret(&self, tenant: &TenantId) -> Result<hmac::Key, ProviderError> {
        Ok(self.place.keys.of(tenant).map_err(internal)?.derive("sandbox callbacks"))
    }

    async fn row(&self, tenant: &TenantId, reference: &Reference) -> Result<Row, ProviderError> {
        let row = sqlx::query_as::<_, Row>(
            "SELECT * FROM sandbox_envelopes WHERE reference = $1 AND tenant_id = $2",
        )
        .bind(&reference.0)
        .bind(tenant.as_str())
        .fetch_optional(&self.place.database)
        .await
        .map_err(internal)?;
        row.ok_or_else(|| ProviderError::Refused(format!("there is no sandbox envelope {reference}")))
    }

    async fn take(&self, order: &Order) -> Result<Reference, ProviderError> {
        let pdf = self.place.shelf.put(&order.tenant_id, order.pdf.clone()).await?;
        let signers = serde_json::to_string(&order.addresses()).map_err(internal)?;
        sqlx::query(
            "INSERT INTO sandbox_envelopes (reference, envelope_id, tenant_id, pdf_sha256, signers, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (envelope_id) DO NOTHING",
        )
        .bind(format!("sbx_{}", EnvelopeId::new().as_uuid().simple()))
        .bind(order.envelope_id.to_string())
        .bind(order.tenant_id.as_str())
        .bind(pdf.to_string())
        .bind(signers)
        .bind(now_ms())
        .execute(&self.place.database)
        .await
        .map_err(internal)?;
        let found = self.look_up(&order.tenant_id, order.envelope_id).await?;
        found.ok_or_else(|| ProviderError::Refused("the envelope's key belongs to another tenant".into()))
    }

    async fn look_up(&self, tenant: &TenantId, key: EnvelopeId) -> Result<Option<Reference>, ProviderError> {
        let found: Option<(String,)> = sqlx::query_as(
            "SELECT reference FROM sandbox_envelopes WHERE envelope_id = $1 AND tenant_id = $2",
        )
        .bind(key.to_string())
        .bind(tenant.as_str())
        .fetch_optional(&self.place.database)
        .await
        .map_err(internal)?;
        Ok(found.map(|(reference,)| Reference(reference)))
    }

    /// The signed PDF, made when it is first asked for. Two askers get the same: the first one kept counts.
    async fn signed(&self, tenant: &TenantId, reference: &Reference) -> Result<Vec<u8>, ProviderError> {
        let row = self.row(tenant, reference).await?;
        let EnvelopeState::Completed { signers } = row.state() else {
            return Err(ProviderError::NotTaken(format!("{reference} is not completed yet")));
        };
        if row.signed_sha256.is_none() {
            let pdf: Digest = row.pdf_sha256.parse().map_err(internal)?;
            let signed = self.place.seal(tenant, pdf, SealOf::Sandbox, seal_info(&row, &signers)).await?;
            sqlx::query(
                "UPDATE sandbox_envelopes SET signed_sha256 = $1 WHERE reference = $2 AND signed_sha256 IS NULL",
            )
            .bind(signed.to_string())
            .bind(&reference.0)
            .execute(&self.place.database)
            .await
            .map_err(internal)?;
        }
        let row = self.row(tenant, reference).await?;
        let signed = row.signed_sha256.unwrap_or_default().parse().map_err(internal)?;
        Ok(self.place.shelf.get(tenant, signed).await?)
    }

    async fn withdraw(
        &self,
        tenant: &TenantId,
        reference: &Reference,
        reason: &str,
    ) -> Result<(), ProviderError> {
        let row = self.row(tenant, reference).await?;
        if matches!(row.state(), EnvelopeState::Open { .. }) {
            sqlx::query(
                "UPDATE sandbox_envelopes SET void_reason = $1 WHERE reference = $2 AND void_reason IS NULL",
            )
            .bind(reason)
            .bind(&reference.0)
            .execute(&self.place.database)
            .await
            .map_err(internal)?;
        }
        Ok(())
    }
}

fn seal_info(row: &Row, signers: &[String]) -> SealInfo {
    let life = script::life(signers);
    let signed_after_ms = life.last().map_or(0, |moment| moment.after_ms);
    let at = from_ms(row.created_ms + i64::try_from(signed_after_ms).unwrap_or(0));
    let mut lines = vec!["Signed in the sandbox: no legal effect".to_owned()];
    lines.extend(signers.iter().cloned());
    lines.push(at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    SealInfo {
        name: signers.join(", "),
        reason: "Simulated signature".into(),
        at,
        lines,
        page: 0,
        place: Place::thousandths([60, 30, 340, 90]),
        strokes: Vec::new(),
        entries: Vec::new(),
        room_bytes: 0,
    }
}

impl Provider for Sandbox {
    fn card(&self) -> &Card {
        &CARD
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference> {
        Box::pin(self.take(order))
    }

    fn find<'a>(
        &'a self,
        tenant: &'a TenantId,
        key: EnvelopeId,
        _: Timestamp,
    ) -> Answer<'a, Option<Reference>> {
        Box::pin(self.look_up(tenant, key))
    }

    fn state<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, EnvelopeState> {
        Box::pin(async move { Ok(self.row(tenant, reference).await?.state()) })
    }

    fn signed_pdf<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, Vec<u8>> {
        Box::pin(self.signed(tenant, reference))
    }

    fn void<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference, reason: &'a str) -> Answer<'a, ()> {
        Box::pin(self.withdraw(tenant, reference, reason))
    }

    fn remind<'a>(&'a self, _tenant: &'a TenantId, _reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(async { Err(ProviderError::Refused("the sandbox sends no reminders".into())) })
    }

    fn record<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, serde_json::Value> {
        Box::pin(async move {
            let row = self.row(tenant, reference).await?;
            let life = script::life(&row.signers());
            let happened: Vec<serde_json::Value> = life
                .iter()
                .take_while(|moment| moment.after_ms <= row.elapsed_ms())
                .map(|moment| {
                    let at = from_ms(row.created_ms + i64::try_from(moment.after_ms).unwrap_or(0));
                    serde_json::json!({ "event": moment.event, "at": at })
                })
                .collect();
            Ok(serde_json::json!({
                "provider": "sandbox",
                "note": "simulated: no legal effect",
                "reference": row.reference,
                "external_id": row.envelope_id,
                "signers": row.signers(),
                "created_at": from_ms(row.created_ms),
                "voided": row.void_reason,
                "events": happened,
            }))
        })
    }

    fn verify(&self, tenant: &TenantId, callback: &Callback<'_>) -> Result<Hint, Forged> {
        let header = callback.header(SIGNATURE_HEADER).ok_or(Forged::Unsigned)?;
        // Without the secret nothing can be believed.
        let secret = self.secret(tenant).map_err(|_| Forged::BadSignature)?;
        callback_signature::verify(&secret, header, callback.body, callback.received_at)?;
        let body: CallbackBody = serde_json::from_slice(callback.body).map_err(|_| Forged::Unreadable)?;
        let known = body.kind.starts_with("envelope.");
        Ok(Hint { reference: known.then_some(Reference(body.reference)), kind: body.kind, id: body.id })
    }
}

impl Sandbox {
    /// The headers and body of a callback, as they are sent to us.
    pub fn callback(
        &self,
        tenant: &TenantId,
        body: &CallbackBody,
        at: Timestamp,
    ) -> Result<(String, Vec<u8>), ProviderError> {
        let bytes = serde_json::to_vec(body).map_err(internal)?;
        Ok((callback_signature::sign(&self.secret(tenant)?, at, &bytes), bytes))
    }
}

#[cfg(test)]
mod tests;
