//! The desk: the built-in provider. A link, a page, a button, a sealed PDF.
//!
//! What a signer did is one row, written once: a second press of the button changes nothing. The seal is made
//! from that row afterwards, so a crash between the two loses nothing and is repaired by the next look at the
//! envelope. Each signer's seal is an incremental update of the PDF before it, so that all earlier seals
//! stay valid; seals are numbered, and of two made on the same PDF one is kept. It stands where the envelope's blanks
//! say, with the signature as it was drawn, and what else was filled in stands in the same update. Approvers leave no
//! seal; copies go out when all have acted. In the end a certificate of completion says who did what, when and from
//! where, under the same seal. The danger is the link: whoever has it can sign, therefore only its digest is kept, it
//! ends with the envelope, it appears in no log and no event, and a code can be asked for beside it ([`identity`]).

mod book;
pub mod front;
pub mod http;
pub mod identity;
pub mod invitation;
pub mod mail;
pub mod page;
mod proofs;
pub mod sms;

use std::time::Duration;

use jiff::Timestamp;
use platen_capture::pdf::{Place, Section, certificate};
use platen_capture::worker::protocol::{Entry, SealInfo};
use platen_model::{BlankKind, Digest, EnvelopeId, TenantId};
use ring::hmac;

use super::provider::{
    Answer, Callback, Callbacks, Capabilities, Card, EnvelopeState, Forged, Hint, Lookup, Order, Provider,
    ProviderError, Reference, SIGNERS_MAX,
};
use super::workplace::{SealOf, Workplace, from_ms, internal, now_ms};
use crate::config;
use book::{Book, EnvelopeRow, SignerRow};
use identity::Identity;
use invitation::{Invitation, Token};
use mail::{Letter, Post};
use proofs::PinRow;
use sms::Sms;

/// What the signer agrees to. The exact text is kept with the signature.
pub const CONSENT: &str = "I have read this document and sign it electronically. I intend this to be my \
                           signature, as binding as if written by hand.";
/// The provider's name.
pub const NAME: &str = "desk";
/// What it can do; codes by telephone as well, where there is a gateway ([`can`]).
const CAN: Capabilities = Capabilities {
    drafts: false,
    lookup: Lookup::Exact,
    callbacks: Callbacks::None,
    approvers: true,
    copies_max: 25,
    ordered: true,
    coordinates: true,
    expires: true,
    incremental: true,
    audit_trail: true,
    void: true,
    tells_withdrawn: true,
    remind: true,
    sms: false,
    calls_a_minute: 100_000,
    call_deadline: Duration::from_secs(60),
    // It commits before it answers, on this machine.
    settles_within: Duration::ZERO,
    poll_every: Duration::from_secs(30),
    rest_between_polls: Duration::ZERO,
};

/// What it can do with this configuration.
pub fn can(config: &config::Desk) -> Capabilities {
    Capabilities { sms: config.sms.is_some(), ..CAN }
}

/// How long after the last signature a copy that could not be sent is tried again, in milliseconds: as long as mail
/// servers do.
pub const COPIES_FOR_MS: i64 = 5 * 24 * 3600 * 1000;
/// The most envelopes whose copies are tried again in one go.
const COPIES_AT_ONCE: u32 = 100;
/// Seals that stand side by side on the first page.
const SEALS_IN_A_ROW: u16 = 3;

/// The provider.
#[derive(Clone, Debug)]
pub struct Desk {
    place: Workplace,
    book: Book,
    post: Post,
    identity: Identity,
    codes_a_day: u32,
    sms: Option<Sms>,
    card: Card,
    names: config::Desk,
}

impl Desk {
    /// A desk in this workplace, with this post, where signers prove their identity as it is configured.
    pub fn new(place: Workplace, post: Post, config: &config::Desk) -> Self {
        let book = Book::new(place.database.clone());
        let config::Desk { identity, codes_a_day, sms, .. } = config.clone();
        let (card, names) = (Card::of_all(NAME, can(config)), config.clone());
        Self { place, book, post, identity, codes_a_day, sms, card, names }
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
        let pdf = self.place.shelf.put(&order.tenant_id, order.pdf.clone()).await?;
        let secret = self.secret(&order.tenant_id)?;
        let token = |position| Token::of(&secret, order.envelope_id, position).digest();
        self.book.open(order, pdf, self.identity, token).await?;
        let reference = Reference(order.envelope_id.to_string());
        // From here on it is open, and somebody may sign it: only an address that is refused is told of.
        match self.invite_rest(&order.tenant_id, &reference).await {
            Err(error) if is_refused(&error) => Err(error),
            Err(error) => {
                tracing::warn!(%reference, %error, "nobody was invited yet");
                Ok(reference)
            }
            Ok(()) => Ok(reference),
        }
    }

    /// Invites those whose turn it is and who were not yet, while they may sign; `again` reminds those who were. When all
    /// have acted, copies go out. One who cannot be invited keeps nobody else from it.
    async fn invite_next(
        &self,
        tenant: &TenantId,
        reference: &Reference,
        again: bool,
    ) -> Result<(), ProviderError> {
        let (envelope, signers) = self.book.read(tenant, reference).await?;
        let turn = turn(&signers);
        let is_late = turn.is_some() && now_ms() >= envelope.expires_ms;
        if !is_open(&envelope, &signers) || is_late {
            return Ok(());
        }
        let key: EnvelopeId = envelope.envelope_id.parse().map_err(internal)?;
        let sender = self.names.name_of(tenant);
        let mut failed: Option<ProviderError> = None;
        let is_next = |signer: &&SignerRow| match turn {
            Some(turn) => signer.acts() && signer.turn == turn && signer.signed_ms.is_none(),
            None => !signer.acts(),
        };
        for signer in signers.iter().filter(is_next) {
            if signer.invited_ms.is_some() && !(again && turn.is_some()) {
                continue;
            }
            // A reminder under the invitation's id would be taken for it, and not be shown.
            let id = match signer.invited_ms {
                None => format!("{key}.{}", signer.position),
                Some(_) => {
                    let begun_ms = self.book.begin_reminder(reference, signer.position).await?;
                    format!("{key}.{}.{begun_ms}", signer.position)
                }
            };
            let link = self.link(tenant, key, signer.position())?;
            let invitation = Invitation {
                sender: &sender,
                title: &envelope.title,
                link: &link,
                expires_at: from_ms(envelope.expires_ms),
                role: &signer.role,
            };
            let letter =
                Letter { to: &signer.address, subject: &invitation.subject(), text: &invitation.text(), id };
            match self.post.send(&letter).await {
                // After the message: one that is sent twice has the same id, one never sent is a lost signer.
                Ok(()) => self.book.note_invited(reference, signer.position).await?,
                // A refusal is for a person, so it is the one to be told of.
                Err(error) if is_refused(&error) || failed.is_none() => failed = Some(error),
                Err(_) => {}
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Invites whoever comes next. What does not come through now is sent at the next look, and hides nothing; only an
    /// address that is refused is for a person, and only while its owner is waited for.
    async fn invite_rest(&self, tenant: &TenantId, reference: &Reference) -> Result<(), ProviderError> {
        let Err(error) = self.invite_next(tenant, reference, false).await else { return Ok(()) };
        // What all have signed is signed, whether or not a copy can be sent.
        if is_refused(&error) && turn(&self.book.read(tenant, reference).await?.1).is_some() {
            return Err(error);
        }
        tracing::warn!(%reference, %error, "an invitation or a copy was not sent yet");
        Ok(())
    }

    /// Sends the copies that could not be sent when all had signed: nobody looks at such an envelope again. Answers how
    /// many envelopes still lack one.
    pub async fn send_copies(&self) -> Result<usize, ProviderError> {
        let since_ms = now_ms() - COPIES_FOR_MS;
        let mut waiting = 0;
        for (tenant, reference) in self.book.without_copies(since_ms, COPIES_AT_ONCE).await? {
            if let Err(error) = self.invite_next(&tenant, &reference, false).await {
                tracing::warn!(%reference, %error, "a copy was not sent yet");
                waiting += 1;
            }
        }
        Ok(waiting)
    }

    async fn look_up(&self, tenant: &TenantId, key: EnvelopeId) -> Result<Option<Reference>, ProviderError> {
        let reference = Reference(key.to_string());
        if !self.book.holds(tenant, &reference).await? {
            return Ok(None);
        }
        // Whoever cannot be invited now is at the next look at its state, or is said to be refused there.
        if let Err(error) = self.invite_next(tenant, &reference, false).await {
            tracing::warn!(%reference, %error, "an invitation was not sent");
        }
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

    /// Does what signatures call for and was not done yet: seals them into the PDF, invites whoever comes next.
    async fn finish(&self, tenant: &TenantId, reference: &Reference) -> Result<(), ProviderError> {
        loop {
            let (envelope, signers) = self.book.read(tenant, reference).await?;
            let unsealed = signers.iter().filter(|signer| signer.signs() && signer.sealed_sha256.is_none());
            let next = unsealed
                .filter_map(|signer| Some((signer.signed_ms?, signer.position, signer)))
                .min_by_key(|(signed_ms, position, _)| (*signed_ms, *position));
            let Some((_, _, signer)) = next else { break };
            let (number, base) = newest(&envelope, &signers)?;
            let seal = seal_info(signer);
            let sealed = self.place.seal(tenant, base, SealOf::Tenant, seal).await?;
            self.book.keep_sealed(reference, signer.position, number + 1, sealed).await?;
        }
        self.complete(tenant, reference).await?;
        self.invite_rest(tenant, reference).await
    }

    /// Where seals carry time-stamps: adds what is needed to check them later, once all have acted.
    async fn complete(&self, tenant: &TenantId, reference: &Reference) -> Result<(), ProviderError> {
        let (envelope, signers) = self.book.read(tenant, reference).await?;
        let (seals, sealed) = newest(&envelope, &signers)?;
        let is_due = self.place.timestamp_url.is_some()
            && envelope.completed_sha256.is_none()
            && all_sealed(&signers)
            && seals > 0;
        if is_due {
            let (completed, lacking) = self.place.add_validation(tenant, sealed).await?;
            if !lacking.is_empty() {
                tracing::warn!(%reference, ?lacking, "seals cannot be checked later by the file alone");
            }
            self.book.keep_completed(reference, completed, &lacking).await?;
        }
        Ok(())
    }

    async fn signed(&self, tenant: &TenantId, reference: &Reference) -> Result<Vec<u8>, ProviderError> {
        self.finish(tenant, reference).await?;
        let (envelope, signers) = self.book.read(tenant, reference).await?;
        if turn(&signers).is_some() {
            return Err(ProviderError::NotTaken("not everyone has signed".into()));
        }
        if !all_sealed(&signers) {
            return Err(ProviderError::NotTaken(
                "a signature was given just now: its seal is not made yet".into(),
            ));
        }
        let (_, sealed) = newest(&envelope, &signers)?;
        Ok(self.place.shelf.get(tenant, sealed).await?)
    }

    /// The certificate of completion, under the tenant's seal; the same bytes each time.
    async fn completion(&self, tenant: &TenantId, reference: &Reference) -> Result<Vec<u8>, ProviderError> {
        let (envelope, signers) = self.book.read(tenant, reference).await?;
        let kept = match &envelope.certificate_sha256 {
            Some(kept) => kept.parse().map_err(internal)?,
            None => {
                let (_, signed) = newest(&envelope, &signers)?;
                let pins = self.book.pins(tenant, reference).await?;
                let facts = sections(&envelope, &self.names.name_of(tenant), &signers, &pins, signed);
                let pdf = certificate("Certificate of completion", &facts);
                let pdf = self.place.shelf.put(tenant, pdf).await?;
                let sealed = self.place.seal(tenant, pdf, SealOf::Tenant, certificate_seal(&signers)).await?;
                self.book.keep_certificate(reference, sealed).await?
            }
        };
        Ok(self.place.shelf.get(tenant, kept).await?)
    }
}

/// The number of the newest seal, and the PDF with all there are; 0 and the document where there is none.
fn newest(envelope: &EnvelopeRow, signers: &[SignerRow]) -> Result<(i64, Digest), ProviderError> {
    let sealed =
        signers.iter().filter_map(|signer| Some((signer.seal_order?, signer.sealed_sha256.as_ref()?)));
    let (number, pdf) = sealed.max_by_key(|(number, _)| *number).unwrap_or((0, &envelope.pdf_sha256));
    let pdf = envelope.completed_sha256.as_ref().unwrap_or(pdf);
    Ok((number, pdf.parse().map_err(internal)?))
}

/// Whose turn it is: the lowest of those who have yet to act. `None` when all have.
fn turn(signers: &[SignerRow]) -> Option<i64> {
    let waited_for = signers.iter().filter(|signer| signer.acts() && signer.signed_ms.is_none());
    waited_for.map(|signer| signer.turn).min()
}

/// Whether all have acted, and each signature has its seal: the last may be given while the seals are looked at.
fn all_sealed(signers: &[SignerRow]) -> bool {
    turn(signers).is_none() && signers.iter().all(|signer| !signer.signs() || signer.sealed_sha256.is_some())
}

/// What the certificate says.
fn sections(
    envelope: &EnvelopeRow,
    sender: &str,
    signers: &[SignerRow],
    pins: &[PinRow],
    signed: Digest,
) -> Vec<Section> {
    let fact = |label: &str, value: String| (label.to_owned(), value);
    let time = |ms: Option<i64>| match ms {
        Some(ms) => from_ms(ms).strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        None => "-".to_owned(),
    };
    let mut sections = vec![Section {
        heading: "Document".into(),
        facts: vec![
            fact("Name", envelope.title.clone()),
            fact("Envelope", envelope.envelope_id.clone()),
            fact("SHA-256 before signing", envelope.pdf_sha256.clone()),
            fact("SHA-256 after signing", signed.to_string()),
            fact("Seals", envelope.level()),
            fact("Sent by", sender.to_owned()),
            fact("Sent at", time(Some(envelope.created_ms))),
        ],
    }];
    for signer in signers {
        let mut facts = vec![
            fact("Address", signer.address.clone()),
            fact("Role", signer.role.clone()),
            fact("Asked at", time(signer.invited_ms)),
        ];
        if signer.acts() {
            let mut identity = match (signer.proved_ms, &signer.phone) {
                (Some(at), Some(phone)) => {
                    format!("link, and a code sent to {phone} by telephone, given at {}", time(Some(at)))
                }
                (Some(at), None) => {
                    format!("link, and a code sent to the address, given at {}", time(Some(at)))
                }
                (None, _) => "link sent to the address".to_owned(),
            };
            let pin = pins.iter().find(|pin| pin.position == signer.position);
            if let Some(at) = pin.and_then(|pin| pin.given_ms) {
                identity += &format!("; a PIN from the sender, given at {}", time(Some(at)));
            }
            facts.extend([
                fact("Identity", identity),
                fact("Opened at", time(signer.viewed_ms)),
                fact("Acted at", time(signer.signed_ms)),
                fact("Consent", signer.consent.clone().unwrap_or_default()),
                fact("From", signer.remote_address.clone().unwrap_or_default()),
                fact("With", signer.user_agent.clone().unwrap_or_default()),
            ]);
        }
        let name = signer.name.clone().or(signer.known_name.clone());
        sections.push(Section { heading: name.unwrap_or_else(|| signer.address.clone()), facts });
    }
    sections
}

/// The seal of the certificate: a line at its foot.
fn certificate_seal(signers: &[SignerRow]) -> SealInfo {
    let at = from_ms(signers.iter().filter_map(|signer| signer.signed_ms).max().unwrap_or_default());
    SealInfo {
        name: "Platen".into(),
        reason: "Certificate of completion".into(),
        at,
        lines: vec!["Sealed when all had signed".into()],
        page: 0,
        place: Place::thousandths([94, 20, 400, 45]),
        strokes: Vec::new(),
        entries: Vec::new(),
        room_bytes: 0,
    }
}

fn is_refused(error: &ProviderError) -> bool {
    matches!(error, ProviderError::Refused(_))
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
        let acting = signers.iter().filter(|signer| signer.acts());
        acting.filter(|signer| has(signer)).map(|signer| signer.address.clone()).collect()
    };
    if turn(signers).is_none() {
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
    let gaps = signer.blanks();
    let (page, place) = match gaps.iter().find(|gap| gap.kind == BlankKind::Signature) {
        Some(gap) => (gap.page, gap.place),
        None => (0, Place::thousandths(seal_place(signer.position()))),
    };
    let day = at.strftime("%Y-%m-%d").to_string();
    let initials: String = name.split_whitespace().filter_map(|word| word.chars().next()).collect();
    let mut entries: Vec<Entry> = Vec::new();
    for gap in &gaps {
        let text = match gap.kind {
            BlankKind::Date => day.clone(),
            BlankKind::Name => name.clone(),
            BlankKind::Initials => initials.clone(),
            BlankKind::Signature | BlankKind::Text | BlankKind::Checkbox => continue,
        };
        entries.push(Entry { text: Some(text), page: gap.page, place: gap.place });
    }
    for filled in signer.entries() {
        let Some(gap) = gaps.get(filled.gap) else { continue };
        entries.push(Entry { text: filled.text, page: gap.page, place: gap.place });
    }
    let reason = "Signed electronically at the desk".into();
    let strokes = signer.drawn();
    SealInfo { name, reason, at, lines, page, place, strokes, entries, room_bytes: 0 }
}

impl Provider for Desk {
    fn card(&self) -> &Card {
        &self.card
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
            Ok(book::record(&envelope, &signers, &self.book.pins(tenant, reference).await?))
        })
    }

    fn certificate<'a>(
        &'a self,
        tenant: &'a TenantId,
        reference: &'a Reference,
    ) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async move { self.completion(tenant, reference).await.map(Some) })
    }

    fn verify(&self, _tenant: &TenantId, _callback: &Callback<'_>) -> Result<Hint, Forged> {
        Err(Forged::NotExpected)
    }
}

#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod validation_tests;
