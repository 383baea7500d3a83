//! The front desk: what the office sees of an envelope's signers while they are asked.
//!
//! No links: a link is shown on its own page only, to somebody who may send, and that is written down.

use platen_model::{EnvelopeId, TenantId};

use super::book::SignerRow;
use super::proofs::PinRow;
use super::{Desk, is_open, turn};
use crate::signing::provider::{ProviderError, Reference};
use crate::signing::workplace::now_ms;

/// How a PIN is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// None is asked for.
    None,
    /// It was not given yet.
    Set,
    /// It was given.
    Given,
    /// It was tried too often.
    Locked,
}

/// A signer or approver, as the office sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// The place in the envelope, from 0.
    pub position: u32,
    /// The address.
    pub address: String,
    /// How far they are, in words.
    pub state: &'static str,
    /// Their PIN.
    pub pin: Pin,
    /// They have had all their codes of today.
    pub codes_used_up: bool,
    /// They may still act, so a link or a PIN is of use.
    pub waited_for: bool,
    /// It is their turn, and the message that says so has not gone out yet: it is tried again and again.
    pub mail_waits: bool,
}

/// An envelope, as the office sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// Those who sign or approve.
    pub seats: Vec<Seat>,
    /// The level of its seals, in words, once all are there.
    pub seals: Option<String>,
    /// Who has not been sent a copy yet, though all have signed.
    pub copies_waiting: Vec<String>,
}

impl Desk {
    /// What the office sees of an envelope; nothing where the desk does not hold it yet.
    pub async fn front(&self, tenant: &TenantId, envelope: EnvelopeId) -> Result<Front, ProviderError> {
        let reference = Reference(envelope.to_string());
        if !self.book.holds(tenant, &reference).await? {
            return Ok(Front::default());
        }
        let (row, signers) = self.book.read(tenant, &reference).await?;
        let pins = self.book.pins(tenant, &reference).await?;
        let open = is_open(&row, &signers) && row.expires_ms > now_ms();
        let turn = turn(&signers);
        let seats = signers.iter().filter(|signer| signer.acts()).map(|signer| Seat {
            position: signer.position(),
            address: signer.address.clone(),
            state: match signer {
                _ if signer.declined_ms.is_some() => "declined",
                _ if signer.signed_ms.is_some() && signer.signs() => "signed",
                _ if signer.signed_ms.is_some() => "approved",
                _ if signer.viewed_ms.is_some() => "opened it",
                _ if signer.invited_ms.is_some() => "was asked",
                _ => "not asked yet",
            },
            pin: pin(pins.iter().find(|pin| pin.position == signer.position)),
            codes_used_up: signer.has_had_codes(self.codes_a_day),
            waited_for: open && signer.signed_ms.is_none(),
            mail_waits: open && signer.is_uninvited_at(turn),
        });
        let seals = (turn.is_none() && signers.iter().any(|signer| signer.sealed_sha256.is_some()))
            .then(|| row.level());
        let is_waiting =
            |signer: &&SignerRow| turn.is_none() && !signer.acts() && signer.invited_ms.is_none();
        let copies_waiting = signers.iter().filter(is_waiting).map(|signer| signer.address.clone()).collect();
        Ok(Front { seats: seats.collect(), seals, copies_waiting })
    }
}

fn pin(row: Option<&PinRow>) -> Pin {
    match row {
        None => Pin::None,
        Some(row) if row.is_locked() => Pin::Locked,
        Some(row) if row.given_ms.is_some() => Pin::Given,
        Some(_) => Pin::Set,
    }
}
