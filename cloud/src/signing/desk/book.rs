//! The desk's book: envelopes and what their signers did, each deed written once.

use platen_capture::pdf::Place;
use platen_model::{Blank, BlankKind, Digest, Role, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyPool;

use super::identity::Identity;
use super::invitation::Token;
use super::proofs::PinRow;
use crate::signing::provider::{Order, PageSize, ProviderError, Reference};
use crate::signing::workplace::{from_ms, internal, now_ms};

/// The desk's tables. What proves who signers are is in [`super::proofs`].
#[derive(Clone, Debug)]
pub(super) struct Book {
    pub(super) database: AnyPool,
}

/// An envelope.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct EnvelopeRow {
    pub(super) envelope_id: String,
    pub(super) tenant_id: String,
    pub(super) document_id: String,
    pub(super) title: String,
    pub(super) pdf_sha256: String,
    pub(super) created_ms: i64,
    pub(super) expires_ms: i64,
    pub(super) void_reason: Option<String>,
    pub(super) identity: String,
    pub(super) certificate_sha256: Option<String>,
    pub(super) completed_sha256: Option<String>,
    pub(super) lacking: Option<String>,
}

impl EnvelopeRow {
    /// What of the means to check its seals later could not be had; `None` where they were not looked for.
    pub(super) fn lacking(&self) -> Option<Vec<String>> {
        self.completed_sha256.as_ref()?;
        Some(self.lacking.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
    }

    /// The level of its seals, in words.
    pub(super) fn level(&self) -> String {
        match self.lacking() {
            None => "PAdES B-B".into(),
            Some(lacking) if lacking.is_empty() => "PAdES B-LT".into(),
            Some(lacking) => format!("PAdES B-T, and not B-LT: {}", lacking.join("; ")),
        }
    }
}

/// A signer of an envelope.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct SignerRow {
    pub(super) position: i64,
    pub(super) address: String,
    pub(super) invited_ms: Option<i64>,
    pub(super) viewed_ms: Option<i64>,
    pub(super) signed_ms: Option<i64>,
    pub(super) declined_ms: Option<i64>,
    pub(super) decline_reason: Option<String>,
    pub(super) name: Option<String>,
    pub(super) consent: Option<String>,
    pub(super) remote_address: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) sealed_sha256: Option<String>,
    pub(super) turn: i64,
    pub(super) role: String,
    pub(super) known_name: Option<String>,
    pub(super) blanks: String,
    pub(super) drawn: Option<String>,
    pub(super) entries: Option<String>,
    pub(super) seal_order: Option<i64>,
    pub(super) codes_day: i64,
    pub(super) codes_sent: i64,
    pub(super) code_tag: Option<String>,
    pub(super) browser_sha256: Option<String>,
    pub(super) proved_ms: Option<i64>,
    pub(super) phone: Option<String>,
}

impl SignerRow {
    /// Whether the envelope waits for this one.
    pub(super) fn acts(&self) -> bool {
        self.role != "cc"
    }

    /// Whether this one signs, and does not only approve.
    pub(super) fn signs(&self) -> bool {
        self.role == "signer"
    }

    /// Whether the envelope waits for this one at this turn, and the invitation has not gone out.
    pub(super) fn is_uninvited_at(&self, turn: Option<i64>) -> bool {
        self.acts() && Some(self.turn) == turn && self.signed_ms.is_none() && self.invited_ms.is_none()
    }

    /// What is to be filled in.
    pub(super) fn blanks(&self) -> Vec<Gap> {
        serde_json::from_str(&self.blanks).unwrap_or_default()
    }

    /// What was filled in.
    pub(super) fn entries(&self) -> Vec<Filled> {
        self.entries.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The signature as it was drawn.
    pub(super) fn drawn(&self) -> Vec<Vec<[u16; 2]>> {
        self.drawn.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    pub(super) fn position(&self) -> u32 {
        u32::try_from(self.position).unwrap_or(0)
    }
}

/// What is to be filled in, and where.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Gap {
    /// With what.
    pub(super) kind: BlankKind,
    /// The page, from 0.
    pub(super) page: u32,
    /// Where on it.
    pub(super) place: Place,
}

impl Gap {
    /// A blank, in fractions of a page of this size.
    pub(super) fn of(blank: &Blank, page: PageSize) -> Self {
        let across = |points: f32| (points / page.w.max(1.0)).clamp(0.0, 1.0);
        let up = |points: f32| (1.0 - points / page.h.max(1.0)).clamp(0.0, 1.0);
        let place = Place {
            left: across(blank.x),
            bottom: up(blank.y + blank.h),
            right: across(blank.x + blank.w),
            top: up(blank.y),
        };
        Self { kind: blank.kind, page: blank.page, place }
    }
}

/// Something that was filled in, at one of the signer's [`Gap`]s.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Filled {
    /// Which gap, from 0.
    pub(super) gap: usize,
    /// The text; `None` is a tick.
    pub(super) text: Option<String>,
}

/// What a signer did, and from where.
#[derive(Clone, Debug)]
pub(super) struct Deed<'a> {
    pub(super) drawn: &'a [Vec<[u16; 2]>],
    pub(super) entries: &'a [Filled],
    pub(super) name: &'a str,
    pub(super) consent: &'a str,
    pub(super) remote_address: &'a str,
    pub(super) user_agent: &'a str,
}

impl Book {
    pub(super) fn new(database: AnyPool) -> Self {
        Self { database }
    }

    /// Opens an envelope with its signers, all in one step; one that is open already stays as it is.
    pub(super) async fn open(
        &self,
        order: &Order,
        pdf: Digest,
        identity: Identity,
        token: impl Fn(u32) -> Digest,
    ) -> Result<(), ProviderError> {
        let mut step = self.database.begin().await.map_err(internal)?;
        let opened = sqlx::query(
            "INSERT INTO desk_envelopes
             (envelope_id, tenant_id, document_id, title, pdf_sha256, created_ms, expires_ms, identity)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (envelope_id) DO NOTHING",
        )
        .bind(order.envelope_id.to_string())
        .bind(order.tenant_id.as_str())
        .bind(order.document_id.to_string())
        .bind(&order.title)
        .bind(pdf.to_string())
        .bind(now_ms())
        .bind(order.expires_at.as_millisecond())
        .bind(identity.as_str())
        .execute(&mut *step)
        .await
        .map_err(internal)?;
        if opened.rows_affected() == 1 {
            for (position, recipient) in (0u32..).zip(&order.recipients) {
                let blanks = order.blanks.iter().filter(|blank| blank.recipient == position);
                let gaps: Vec<Gap> = blanks.map(|blank| Gap::of(blank, order.page(blank.page))).collect();
                sqlx::query(
                    "INSERT INTO desk_signers
                     (envelope_id, position, address, token_sha256, turn, role, known_name, blanks, phone)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                )
                .bind(order.envelope_id.to_string())
                .bind(i64::from(position))
                .bind(&recipient.address)
                .bind(token(position).to_string())
                .bind(i64::from(recipient.order))
                .bind(role(recipient.role))
                .bind(&recipient.name)
                .bind(serde_json::to_string(&gaps).map_err(internal)?)
                .bind(&recipient.phone)
                .execute(&mut *step)
                .await
                .map_err(internal)?;
            }
        }
        step.commit().await.map_err(internal)
    }

    pub(super) async fn holds(
        &self,
        tenant: &TenantId,
        reference: &Reference,
    ) -> Result<bool, ProviderError> {
        Ok(self.envelope(tenant, reference).await?.is_some())
    }

    async fn envelope(
        &self,
        tenant: &TenantId,
        reference: &Reference,
    ) -> Result<Option<EnvelopeRow>, ProviderError> {
        sqlx::query_as("SELECT * FROM desk_envelopes WHERE envelope_id = $1 AND tenant_id = $2")
            .bind(&reference.0)
            .bind(tenant.as_str())
            .fetch_optional(&self.database)
            .await
            .map_err(internal)
    }

    /// An envelope and its signers in order.
    pub(super) async fn read(
        &self,
        tenant: &TenantId,
        reference: &Reference,
    ) -> Result<(EnvelopeRow, Vec<SignerRow>), ProviderError> {
        let envelope = self.envelope(tenant, reference).await?;
        let envelope = envelope
            .ok_or_else(|| ProviderError::Refused(format!("there is no desk envelope {reference}")))?;
        let signers = sqlx::query_as("SELECT * FROM desk_signers WHERE envelope_id = $1 ORDER BY position")
            .bind(&reference.0)
            .fetch_all(&self.database)
            .await
            .map_err(internal)?;
        Ok((envelope, signers))
    }

    /// Envelopes that all have signed since then (milliseconds since 1970), of which somebody has no copy yet; at most
    /// `limit`, the oldest first.
    pub(super) async fn without_copies(
        &self,
        since_ms: i64,
        limit: u32,
    ) -> Result<Vec<(TenantId, Reference)>, ProviderError> {
        let found: Vec<(String, String)> = sqlx::query_as(
            "SELECT e.tenant_id, e.envelope_id FROM desk_envelopes e
             WHERE e.void_reason IS NULL
             AND EXISTS (SELECT 1 FROM desk_signers c WHERE c.envelope_id = e.envelope_id
                 AND c.role = 'cc' AND c.invited_ms IS NULL)
             AND EXISTS (SELECT 1 FROM desk_signers s WHERE s.envelope_id = e.envelope_id AND s.signed_ms >= $1)
             AND NOT EXISTS (SELECT 1 FROM desk_signers o WHERE o.envelope_id = e.envelope_id
                 AND o.role <> 'cc' AND (o.signed_ms IS NULL OR o.declined_ms IS NOT NULL))
             ORDER BY e.created_ms, e.envelope_id LIMIT $2",
        )
        .bind(since_ms)
        .bind(i64::from(limit))
        .fetch_all(&self.database)
        .await
        .map_err(internal)?;
        let read = |(tenant, reference): (String, String)| {
            Ok((tenant.parse().map_err(internal)?, Reference(reference)))
        };
        found.into_iter().map(read).collect()
    }

    /// Whose link this is: the envelope and the signer's position.
    pub(super) async fn by_token(
        &self,
        token: &Token,
    ) -> Result<Option<(TenantId, Reference, i64)>, ProviderError> {
        let found: Option<(String, String, i64)> = sqlx::query_as(
            "SELECT e.tenant_id, s.envelope_id, s.position FROM desk_signers s
             JOIN desk_envelopes e ON e.envelope_id = s.envelope_id WHERE s.token_sha256 = $1",
        )
        .bind(token.digest().to_string())
        .fetch_optional(&self.database)
        .await
        .map_err(internal)?;
        let Some((tenant, reference, position)) = found else { return Ok(None) };
        Ok(Some((tenant.parse().map_err(internal)?, Reference(reference), position)))
    }

    /// Notes that a signer is reminded now; answers when that began. One that is not known to have gone out goes on, under
    /// the time it has.
    pub(super) async fn begin_reminder(
        &self,
        reference: &Reference,
        position: i64,
    ) -> Result<i64, ProviderError> {
        let (begun_ms,): (i64,) = sqlx::query_as(
            "UPDATE desk_signers SET reminding_ms = COALESCE(reminding_ms, $1)
             WHERE envelope_id = $2 AND position = $3 RETURNING reminding_ms",
        )
        .bind(now_ms())
        .bind(&reference.0)
        .bind(position)
        .fetch_one(&self.database)
        .await
        .map_err(internal)?;
        Ok(begun_ms)
    }

    /// Notes when a signer was first invited, and that no reminder is under way.
    pub(super) async fn note_invited(
        &self,
        reference: &Reference,
        position: i64,
    ) -> Result<(), ProviderError> {
        self.note(
            "UPDATE desk_signers SET invited_ms = COALESCE(invited_ms, $1), reminding_ms = NULL
             WHERE envelope_id = $2 AND position = $3",
            reference,
            position,
        )
        .await
    }

    /// Notes the first time a signer opened the document.
    pub(super) async fn note_viewed(
        &self,
        reference: &Reference,
        position: i64,
    ) -> Result<(), ProviderError> {
        self.note(
            "UPDATE desk_signers SET viewed_ms = $1 WHERE envelope_id = $2 AND position = $3 AND viewed_ms IS NULL",
            reference,
            position,
        )
        .await
    }

    async fn note(
        &self,
        statement: &'static str,
        reference: &Reference,
        position: i64,
    ) -> Result<(), ProviderError> {
        let query = sqlx::query(statement).bind(now_ms()).bind(&reference.0).bind(position);
        query.execute(&self.database).await.map_err(internal)?;
        Ok(())
    }

    /// Writes a signature down, if it may be given now. Pressed twice, the first one stays.
    pub(super) async fn sign(
        &self,
        reference: &Reference,
        position: i64,
        deed: &Deed<'_>,
    ) -> Result<(), ProviderError> {
        let now = now_ms();
        sqlx::query(
            "UPDATE desk_signers SET signed_ms = $1, name = $2, consent = $3, remote_address = $4,
               user_agent = $5, drawn = $9, entries = $10
             WHERE envelope_id = $6 AND position = $7 AND signed_ms IS NULL AND role <> 'cc'
             AND NOT EXISTS (SELECT 1 FROM desk_signers o WHERE o.envelope_id = desk_signers.envelope_id
                 AND (o.declined_ms IS NOT NULL
                   OR (o.turn < desk_signers.turn AND o.role <> 'cc' AND o.signed_ms IS NULL)))
             AND EXISTS (SELECT 1 FROM desk_envelopes e WHERE e.envelope_id = desk_signers.envelope_id
                 AND e.void_reason IS NULL AND e.expires_ms > $8)",
        )
        .bind(now)
        .bind(deed.name)
        .bind(deed.consent)
        .bind(deed.remote_address)
        .bind(deed.user_agent)
        .bind(&reference.0)
        .bind(position)
        .bind(now)
        .bind(serde_json::to_string(deed.drawn).map_err(internal)?)
        .bind(serde_json::to_string(deed.entries).map_err(internal)?)
        .execute(&self.database)
        .await
        .map_err(internal)?;
        Ok(())
    }

    /// Writes a refusal down, if the signer has not signed and the envelope is open.
    pub(super) async fn decline(
        &self,
        reference: &Reference,
        position: i64,
        reason: &str,
        deed: &Deed<'_>,
    ) -> Result<(), ProviderError> {
        let now = now_ms();
        sqlx::query(
            "UPDATE desk_signers SET declined_ms = $1, decline_reason = $2, remote_address = $3, user_agent = $4
             WHERE envelope_id = $5 AND position = $6 AND signed_ms IS NULL
             AND NOT EXISTS (SELECT 1 FROM desk_signers o WHERE o.envelope_id = desk_signers.envelope_id
                 AND o.declined_ms IS NOT NULL)
             AND EXISTS (SELECT 1 FROM desk_envelopes e WHERE e.envelope_id = desk_signers.envelope_id
                 AND e.void_reason IS NULL AND e.expires_ms > $7)",
        )
        .bind(now)
        .bind(reason)
        .bind(deed.remote_address)
        .bind(deed.user_agent)
        .bind(&reference.0)
        .bind(position)
        .bind(now)
        .execute(&self.database)
        .await
        .map_err(internal)?;
        Ok(())
    }

    /// Withdraws an envelope that not everyone has signed and nobody has declined.
    pub(super) async fn void(
        &self,
        tenant: &TenantId,
        reference: &Reference,
        reason: &str,
    ) -> Result<(), ProviderError> {
        sqlx::query(
            "UPDATE desk_envelopes SET void_reason = $1
             WHERE envelope_id = $2 AND tenant_id = $3 AND void_reason IS NULL AND expires_ms > $4
             AND EXISTS (SELECT 1 FROM desk_signers s
                 WHERE s.envelope_id = desk_envelopes.envelope_id AND s.role <> 'cc' AND s.signed_ms IS NULL)
             AND NOT EXISTS (SELECT 1 FROM desk_signers s
                 WHERE s.envelope_id = desk_envelopes.envelope_id AND s.declined_ms IS NOT NULL)",
        )
        .bind(reason)
        .bind(&reference.0)
        .bind(tenant.as_str())
        .bind(now_ms())
        .execute(&self.database)
        .await
        .map_err(internal)?;
        Ok(())
    }

    /// Keeps a signer's sealed PDF as the envelope's seal of this number. Of two workers only one does: the other made
    /// its seal on the same PDF, and it is dropped.
    pub(super) async fn keep_sealed(
        &self,
        reference: &Reference,
        position: i64,
        number: i64,
        sealed: Digest,
    ) -> Result<(), ProviderError> {
        let kept = sqlx::query(
            "UPDATE desk_signers SET sealed_sha256 = $1, seal_order = $2
             WHERE envelope_id = $3 AND position = $4 AND sealed_sha256 IS NULL
             AND NOT EXISTS (SELECT 1 FROM desk_signers o
                 WHERE o.envelope_id = desk_signers.envelope_id AND o.seal_order >= $2)",
        )
        .bind(sealed.to_string())
        .bind(number)
        .bind(&reference.0)
        .bind(position)
        .execute(&self.database)
        .await;
        match kept {
            Ok(_) => Ok(()),
            // The index refuses what two transactions at once would both have written.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(()),
            Err(error) => Err(internal(error)),
        }
    }

    /// Keeps the certificate of completion. The first one kept counts; answers that one.
    pub(super) async fn keep_certificate(
        &self,
        reference: &Reference,
        certificate: Digest,
    ) -> Result<Digest, ProviderError> {
        let (kept,): (String,) = sqlx::query_as(
            "UPDATE desk_envelopes SET certificate_sha256 = COALESCE(certificate_sha256, $1)
             WHERE envelope_id = $2 RETURNING certificate_sha256",
        )
        .bind(certificate.to_string())
        .bind(&reference.0)
        .fetch_one(&self.database)
        .await
        .map_err(internal)?;
        kept.parse().map_err(internal)
    }

    /// Keeps the PDF that all have signed, as it is handed out, and what it lacks to be checked later. The first one
    /// kept counts; none is kept while a signer has no seal, for it could not hold that one.
    pub(super) async fn keep_completed(
        &self,
        reference: &Reference,
        completed: Digest,
        lacking: &[String],
    ) -> Result<(), ProviderError> {
        sqlx::query(
            "UPDATE desk_envelopes SET completed_sha256 = $1, lacking = $2
             WHERE envelope_id = $3 AND completed_sha256 IS NULL
             AND NOT EXISTS (SELECT 1 FROM desk_signers s WHERE s.envelope_id = desk_envelopes.envelope_id
                 AND s.role = 'signer' AND s.sealed_sha256 IS NULL)",
        )
        .bind(completed.to_string())
        .bind(serde_json::to_string(lacking).map_err(internal)?)
        .bind(&reference.0)
        .execute(&self.database)
        .await
        .map_err(internal)?;
        Ok(())
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Signer => "signer",
        Role::Approver => "approver",
        Role::Cc => "cc",
    }
}

/// What the desk recorded, for the evidence: everything but the links.
pub(super) fn record(envelope: &EnvelopeRow, signers: &[SignerRow], pins: &[PinRow]) -> serde_json::Value {
    let time = |ms: Option<i64>| ms.map(from_ms);
    let pin = |signer: &SignerRow| pins.iter().find(|pin| pin.position == signer.position);
    let signers: Vec<serde_json::Value> = signers
        .iter()
        .map(|signer| {
            json!({
                "position": signer.position,
                "turn": signer.turn,
                "role": signer.role,
                "address": signer.address,
                "phone": signer.phone,
                "identity_proved_at": time(signer.proved_ms),
                "pin_set_at": time(pin(signer).map(|pin| pin.set_ms)),
                "pin_given_at": time(pin(signer).and_then(|pin| pin.given_ms)),
                "drawn": signer.drawn().len(),
                "entries": signer.entries().iter().map(|entry| &entry.text).collect::<Vec<_>>(),
                "invited_at": time(signer.invited_ms),
                "viewed_at": time(signer.viewed_ms),
                "signed_at": time(signer.signed_ms),
                "declined_at": time(signer.declined_ms),
                "decline_reason": signer.decline_reason,
                "name": signer.name,
                "consent": signer.consent,
                "remote_address": signer.remote_address,
                "user_agent": signer.user_agent,
                "sealed_sha256": signer.sealed_sha256,
            })
        })
        .collect();
    json!({
        "provider": "desk",
        "envelope_id": envelope.envelope_id,
        "tenant_id": envelope.tenant_id,
        "document_id": envelope.document_id,
        "title": envelope.title,
        "document_sha256": envelope.pdf_sha256,
        "created_at": from_ms(envelope.created_ms),
        "expires_at": from_ms(envelope.expires_ms),
        "voided": envelope.void_reason,
        "identity": envelope.identity,
        "seals": envelope.level(),
        "signers": signers,
    })
}
