//! Withdrawing an envelope because a person says so.
//!
//! The danger is a second envelope beside one that is open still: what was not withdrawn, or may yet come into being, is
//! not given up.

use std::time::Duration;

use jiff::Timestamp;
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{DocumentId, EnvelopeId, TenantId};

use super::super::lifecycle::{Sending, sending};
use super::super::provider::{EnvelopeState, Lookup, ProviderError, Reference};
use super::{Account, Case, Courier};

impl Courier {
    /// Withdraws an envelope of a document at its provider, where it is the document's open one: an earlier one has
    /// ended, and stays as it is. The event follows from the provider's state, unless the document was set aside: then
    /// nothing else follows any more, and `actor`'s word ends it.
    pub async fn void(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        named: EnvelopeId,
        reason: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let nothing = || ProviderError::Refused("the document has no open envelope".into());
        let case = self.ledger.case(tenant, document).await?.ok_or_else(nothing)?;
        if case.envelope.as_ref().is_some_and(|current| current.envelope_id != named) {
            return Ok(());
        }
        match (case.status, case.resume) {
            (Status::Sent | Status::Viewed, _) => {}
            (Status::Quarantined, Some(Status::EnvelopeCreated | Status::Sent | Status::Viewed)) => {
                return self.give_up(&case, reason, actor, now).await;
            }
            _ => return Err(nothing()),
        }
        let reference = case.envelope.as_ref().and_then(|envelope| envelope.reference.clone());
        let (Some(reference), Some(account)) = (reference, self.account_of(&case)) else {
            return Err(nothing());
        };
        let can = account.provider.capabilities();
        if !can.void {
            let name = account.provider.name();
            return Err(ProviderError::Refused(format!("{name} cannot withdraw an envelope")));
        }
        account.gate.call(can.call_deadline, account.provider.void(tenant, &reference, reason)).await?;
        self.poll_envelope(tenant, document, now).await?;
        Ok(())
    }

    /// Ends an envelope of a document that was set aside: at its provider too, where it can be found and is open there.
    async fn give_up(
        &self,
        case: &Case,
        reason: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let tenant = &case.tenant_id;
        if let (Some(envelope), Some(account)) = (&case.envelope, self.account_of(case)) {
            let can = account.provider.capabilities();
            let mark = self.ledger.call_mark(envelope.envelope_id).await?;
            let reference = match (&envelope.reference, sending(mark.as_ref(), now, &can)) {
                (Some(reference), _) => Some(reference.clone()),
                (None, Sending::SendDraft(draft)) => Some(draft),
                (None, Sending::WaitUntil(at)) => {
                    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
                    let reason = "a call to the provider may still make the envelope".into();
                    return Err(ProviderError::Later { after: wait, reason });
                }
                (None, _) if can.lookup == Lookup::Never => None,
                (None, _) => {
                    let find = account.provider.find(tenant, envelope.envelope_id, envelope.created_at);
                    account.gate.call(can.call_deadline, find).await?
                }
            };
            if let Some(reference) = reference.filter(|_| can.void) {
                let void = account.provider.void(tenant, &reference, reason);
                match account.gate.call(can.call_deadline, void).await {
                    Ok(()) => {}
                    Err(ProviderError::Refused(why)) => has_ended(account, tenant, &reference, why).await?,
                    Err(error) => return Err(error),
                }
            }
        }
        let body = EventBody::Voided { reason: reason.to_owned() };
        match self.ledger.append(case, actor, body).await? {
            true => Ok(()),
            false => {
                Err(ProviderError::Refused("the document has changed meanwhile: look at it again".into()))
            }
        }
    }
}

/// Whether an envelope whose withdrawal was refused has ended all the same; an error where it is open still, and a new one
/// would be a second.
async fn has_ended(
    account: &Account,
    tenant: &TenantId,
    reference: &Reference,
    why: String,
) -> Result<(), ProviderError> {
    let can = account.provider.capabilities();
    if !can.tells_withdrawn {
        return Ok(());
    }
    match account.gate.call(can.call_deadline, account.provider.state(tenant, reference)).await {
        Ok(EnvelopeState::Open { .. } | EnvelopeState::Draft) => Err(ProviderError::Refused(why)),
        // It has ended there, or is not known there: nothing to withdraw.
        Ok(_) | Err(ProviderError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
