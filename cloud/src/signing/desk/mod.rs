//! The desk: the built-in provider. A link, a page, a button, a sealed PDF.
//!
//! What a signer did is one row, written once: a second press of the button changes nothing. The seal is made
//! from that row afterwards, so a crash between the two loses nothing and is repaired by the next look at the
//! envelope. Each signer's seal is an incremental update of the PDF before it, so that all earlier seals
//! stay valid. The danger is the link: whoever has it can sign, therefore only its digest is kept, it ends
//! with the envelope, and it appears in no log and no event.

mod book;
pub mod http;
pub mod invitation;
pub mod page;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use platen_capture::pdf::Place;
use platen_capture::worker::protocol::SealInfo;
use platen_model::{Digest, EnvelopeId, TenantId, durable};
use ring::hmac;

use super::provider::{
    Answer, Callback, Callbacks, Capabilities, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference, SIGNERS_MAX,
};
use super::workplace::{SealOf, Workplace, from_ms, internal, now_ms};
use crate::seal::ROOM_BYTES;
use book::{Book, EnvelopeRow, SignerRow};
use invitation::{Invitation, Token};

/// What the signer agrees to. The exact text is kept with the signature.
pub const CONSENT: &str = "I have read this document and sign it electronically. I intend this to be my \
                           signature, as binding as if written by hand.";
/// The provider's name.
pub const NAME: &str = "desk";
/// What it can do.
pub const CAN: Capabilities = Capabilities {
    drafts: false,
    lookup: Lookup::Exact,
    callbacks: Callbacks::None,
    approvers: false,
    copies_max: 0,
    ordered: true,
    coordinates: true,
    expires: true,
    audit_trail: false,
    void: true,
    remind: true,
    calls_a_minute: 100_000,
    call_deadline: Duration::from_secs(60),
    // It commits before it answers, on this machine.
    settles_within: Duration::ZERO,
    poll_every: Duration::from_secs(30),
    rest_between_polls: Duration::ZERO,
};
/// Seals that stand side by side on the first page.
const SEALS_IN_A_ROW: u16 = 3;

/// Where invitations go.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The folder that messages are written into, one `.eml` file each.
    pub folder: PathBuf,
    /// The sender's address.
    pub from: String,
}

/// The provider.
#[derive(Clone, Debug)]
pub struct Desk {
    place: Workplace,
    book: Book,
    outgoing: Outgoing,
}

impl Desk {
    /// A desk in this workplace.
    pub fn new(place: Workplace, outgoing: Outgoing) -> Self {
        let book = Book::new(place.database.clone());
        Self { place, book, outgoing }
    }

    fn secret(&self, tenant: &TenantId) -> Result<hmac::Key, ProviderError> {
        Ok(self.place.keys.of(tenant).map_err(internal)?.derive("desk invitations"))
    }

    /// The link of a signer, for the person at the front desk who opens it on the spot.
    pub fn link(
        &self,
        tenant: &TenantId,
        envelope: EnvelopeId,
        position: u32,
    ) -> Result<String, ProviderError> {
        let token = Token::of(&self.secret(tenant)?, envelope, position);
        Ok(format!("{}/sign/{}", self.place.public_url, token.as_str()))
    }

    async fn take(&self, order: &Order) -> Result<Reference, ProviderError> {
        let count = order.acting().count();
        if !(1..=SIGNERS_MAX).contains(&count) {
            let reason = format!("an envelope has 1 to {SIGNERS_MAX} signers, this one has {count}");
            return Err(ProviderError::Refused(reason));
        }
        let pdf = self.place.shelf.put(&order.tenant_id, order.pdf.clone()).await;
        let pdf = pdf.map_err(ProviderError::NotTaken)?;
        let secret = self.secret(&order.tenant_id)?;
        let token = |position| Token::of(&secret, order.envelope_id, position).digest();
        self.book.open(order, pdf, token).await?;
        let reference = Reference(order.envelope_id.to_string());
        self.invite_next(&order.tenant_id, &reference, false).await?;
        Ok(reference)
    }

    /// Invites the signer whose turn it is, unless that was done; `again` does it in any case.
    async fn invite_next(
        &self,
        tenant: &TenantId,
        reference: &Reference,
        again: bool,
    ) -> Result<(), ProviderError> {
        let (envelope, signers) = self.book.read(tenant, reference).await?;
        let Some(signer) = signers.iter().find(|signer| signer.signed_ms.is_none()) else { return Ok(()) };
        if !is_open(&envelope, &signers) || (signer.invited_ms.is_some() && !again) {
            return Ok(());
        }
        let key: EnvelopeId = envelope.envelope_id.parse().map_err(internal)?;
        let link = self.link(tenant, key, signer.position())?;
        let invitation = Invitation {
            from: &self.outgoing.from,
            to: &signer.address,
            tenant: tenant.as_str(),
            title: &envelope.title,
            link: &link,
            expires_at: from_ms(envelope.expires_ms),
            at: from_ms(envelope.created_ms),
            id: format!("{key}.{}", signer.position),
        };
        let message = invitation.to_eml();
        let path = self.outgoing.folder.join(format!("{key}-{}.eml", signer.position));
        let folder = self.outgoing.folder.clone();
        let written = tokio::task::spawn_blocking(move || {
            durable::create_folder(&folder)?;
            durable::write_private(&path, &message)
        });
        written.await.map_err(internal)?.map_err(internal)?;
        // After the file: a message that is written twice is the same file, one never written is a lost signer.
        self.book.note_invited(reference, signer.position).await
    }

    async fn look_up(&self, tenant: &TenantId, key: EnvelopeId) -> Result<Option<Reference>, ProviderError> {
        let reference = Reference(key.to_string());
        if !self.book.holds(tenant, &reference).await? {
            return Ok(None);
        }
        self.invite_next(tenant, &reference, false).await?;
        Ok(Some(reference))
    }

    async fn where_it_is(
        &self,
        tenant: &TenantId,
        reference: &Reference,
    ) -> Result<EnvelopeState, ProviderError> {
        self.finish(tenant, reference).await?;
        let (envelope, signers) = self.book.read(tenant, reference).await?;
        Ok(state(&envelope, &signers, now_ms()))
    }

    /// Does what a signature calls for and was not done yet: seals it into the PDF, invites the next signer.
    async fn finish(&self, tenant: &TenantId, reference: &Reference) -> Result<(), ProviderError> {
        let (envelope, signers) = self.book.read(tenant, reference).await?;
        let mut pdf: Digest = envelope.pdf_sha256.parse().map_err(internal)?;
        for signer in signers.iter().take_while(|signer| signer.signed_ms.is_some()) {
            pdf = match &signer.sealed_sha256 {
                Some(sealed) => sealed.parse().map_err(internal)?,
                None => {
                    let seal = seal_info(signer);
                    let sealed = self.place.seal(tenant, pdf, SealOf::Tenant, seal).await?;
                    // Another may have sealed at the same time: the one kept first counts.
                    self.book.keep_sealed(reference, signer.position, sealed).await?
                }
            };
        }
        self.invite_next(tenant, reference, false).await
    }

    async fn signed(&self, tenant: &TenantId, reference: &Reference) -> Result<Vec<u8>, ProviderError> {
        self.finish(tenant, reference).await?;
        let (_, signers) = self.book.read(tenant, reference).await?;
        let all_sealed = signers.iter().all(|signer| signer.sealed_sha256.is_some());
        match signers.last().and_then(|signer| signer.sealed_sha256.as_ref()) {
            Some(sealed) if all_sealed => {
                let sealed = sealed.parse().map_err(internal)?;
                self.place.shelf.get(tenant, sealed).await.map_err(ProviderError::NotTaken)
            }
            _ => Err(ProviderError::NotTaken("not everyone has signed".into())),
        }
    }
}

/// Whether a signer may still act, time aside.
fn is_open(envelope: &EnvelopeRow, signers: &[SignerRow]) -> bool {
    envelope.void_reason.is_none() && signers.iter().all(|signer| signer.declined_ms.is_none())
}

/// The envelope's state at `now` (milliseconds since 1970). A signature in time counts even if its seal is late.
fn state(envelope: &EnvelopeRow, signers: &[SignerRow], now: i64) -> EnvelopeState {
    if let Some(signer) = signers.iter().find(|signer| signer.declined_ms.is_some()) {
        let reason = signer.decline_reason.clone().unwrap_or_default();
        return EnvelopeState::Declined { signer: signer.address.clone(), reason };
    }
    let addresses = |has: fn(&SignerRow) -> bool| {
        signers.iter().filter(|signer| has(signer)).map(|signer| signer.address.clone()).collect()
    };
    if signers.iter().all(|signer| signer.signed_ms.is_some()) {
        return EnvelopeState::Completed { signers: addresses(|_| true) };
    }
    if let Some(reason) = &envelope.void_reason {
        return EnvelopeState::Voided { reason: reason.clone() };
    }
    if now >= envelope.expires_ms {
        return EnvelopeState::Expired;
    }
    EnvelopeState::Open {
        viewed_by: addresses(|signer| signer.viewed_ms.is_some()),
        signed_by: addresses(|signer| signer.signed_ms.is_some()),
    }
}

/// Where a signer's seal stands on the first page: rows of three, the first at the bottom, none over another.
/// Left, bottom, right, top in thousandths of the page.
fn seal_place(position: u32) -> [u16; 4] {
    // No envelope has so many signers that the grid leaves the page.
    let place = u16::try_from(position).unwrap_or(0) % SIGNERS_MAX as u16;
    let (column, row) = (place % SEALS_IN_A_ROW, place / SEALS_IN_A_ROW);
    let (left, bottom) = (60 + 300 * column, 30 + 65 * row);
    [left, bottom, left + 280, bottom + 60]
}

fn seal_info(signer: &SignerRow) -> SealInfo {
    let at = from_ms(signer.signed_ms.unwrap_or_default());
    let name = signer.name.clone().unwrap_or_default();
    let lines = vec![
        format!("Signed by {name}"),
        signer.address.clone(),
        at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    ];
    let place = Place::thousandths(seal_place(signer.position()));
    let reason = "Signed electronically at the desk".into();
    let (strokes, entries) = (Vec::new(), Vec::new());
    SealInfo { name, reason, at, lines, page: 0, place, strokes, entries, room_bytes: ROOM_BYTES }
}

impl Provider for Desk {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        CAN
    }

    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference> {
        Box::pin(self.take(order))
    }

    fn send<'a>(&'a self, _: &'a TenantId, _: &'a Reference) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
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
        Box::pin(self.where_it_is(tenant, reference))
    }

    fn signed_pdf<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, Vec<u8>> {
        Box::pin(self.signed(tenant, reference))
    }

    fn void<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference, reason: &'a str) -> Answer<'a, ()> {
        Box::pin(async move { self.book.void(tenant, reference, reason).await })
    }

    fn remind<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(self.invite_next(tenant, reference, true))
    }

    fn record<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, serde_json::Value> {
        Box::pin(async move {
            let (envelope, signers) = self.book.read(tenant, reference).await?;
            Ok(book::record(&envelope, &signers))
        })
    }

    fn verify(&self, _tenant: &TenantId, _callback: &Callback<'_>) -> Result<Hint, Forged> {
        Err(Forged::NotExpected)
    }
}

#[cfg(test)]
mod tests;
