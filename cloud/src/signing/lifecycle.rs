//! The decisions of signing, as pure functions: when to call, when to look first, and which events follow.
//!
//! Two rules keep an envelope single (INV-10). A call is marked in our books before it is made. A mark without
//! an outcome means the outcome is unknown: nobody may call again until the call can no longer take effect,
//! and then only after the provider, asked by our key, says it has nothing. The third rule keeps documents
//! right (INV-11): events follow from the provider's state and the document's, never from a callback, so
//! that callbacks may be lost, doubled or out of order.

use jiff::{SignedDuration, Timestamp};
use platen_model::event::{EventBody, Status};
use platen_model::{Digest, EnvelopeId};

use super::provider::{Capabilities, EnvelopeState, ProviderError, Reference};

/// A call to create an envelope that was begun and whose outcome is not in our books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallMark {
    /// Which call it is, from 1.
    pub attempt: u32,
    /// When it was begun.
    pub at: Timestamp,
}

/// What to do about an envelope the provider has not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Mark this call, then make it.
    Call {
        /// The number to mark it with.
        attempt: u32,
    },
    /// Look the envelope up by our key; if there is none, mark this call and make it.
    LookUpThenCall {
        /// The number to mark it with.
        attempt: u32,
    },
    /// A call may still take effect: come back then.
    WaitUntil(Timestamp),
    /// The outcome is unknown and this provider cannot be asked: a person must decide.
    AskPerson,
}

/// Decides how to send an envelope, from the mark of the last call.
pub fn sending(mark: Option<CallMark>, now: Timestamp, can: &Capabilities) -> Sending {
    let Some(mark) = mark else { return Sending::Call { attempt: 1 } };
    let settled = mark.at
        + SignedDuration::try_from(can.call_deadline).unwrap_or(SignedDuration::MAX)
        + SignedDuration::try_from(can.settles_within).unwrap_or(SignedDuration::MAX);
    if now < settled {
        Sending::WaitUntil(settled)
    } else if can.find_by_key {
        Sending::LookUpThenCall { attempt: mark.attempt + 1 }
    } else {
        Sending::AskPerson
    }
}

/// What the outcome of a call to create means for our books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterCall {
    /// The provider has it.
    Sent(Reference),
    /// It certainly has not: remove the mark, try again later.
    Unmark,
    /// Nobody knows: leave the mark, try again later.
    KeepMark,
    /// It never will: set the document aside for a person.
    SetAside(String),
}

/// Reads the outcome of a call to create.
pub fn after_call(outcome: Result<Reference, ProviderError>) -> AfterCall {
    match outcome {
        Ok(reference) => AfterCall::Sent(reference),
        Err(ProviderError::NotTaken(_)) => AfterCall::Unmark,
        Err(ProviderError::Unknown(_)) => AfterCall::KeepMark,
        Err(ProviderError::Refused(reason)) => AfterCall::SetAside(reason),
    }
}

/// What follows from the provider's state.
#[derive(Clone, Debug, PartialEq)]
pub enum Following {
    /// Nothing new.
    Nothing,
    /// Append this event.
    Event(EventBody),
    /// All have signed: fetch the signed PDF, keep it, then append [`signed`].
    FetchSigned {
        /// Who signed.
        signers: Vec<String>,
    },
}

/// Decides which event brings a document from `status` towards the provider's `state`.
///
/// Asking again after the event was appended answers the next one, and in the end [`Following::Nothing`].
pub fn following(status: Status, state: &EnvelopeState) -> Following {
    if !matches!(status, Status::Sent | Status::Viewed) {
        return Following::Nothing;
    }
    match state {
        EnvelopeState::Open { viewed_by } => match viewed_by.last() {
            Some(signer) if status == Status::Sent => {
                Following::Event(EventBody::Viewed { signer: signer.clone() })
            }
            _ => Following::Nothing,
        },
        EnvelopeState::Completed { signers } => Following::FetchSigned { signers: signers.clone() },
        EnvelopeState::Declined { signer, reason } => {
            Following::Event(EventBody::Declined { signer: signer.clone(), reason: reason.clone() })
        }
        EnvelopeState::Expired => Following::Event(EventBody::Expired),
        EnvelopeState::Voided { reason } => Following::Event(EventBody::Voided { reason: reason.clone() }),
    }
}

/// The event of a complete signature.
pub fn signed(signers: Vec<String>, signed_sha256: Digest) -> EventBody {
    EventBody::Signed { signers, signed_sha256 }
}

/// The event of our key being stored.
pub fn created(envelope_id: EnvelopeId, provider: &str, document_sha256: Digest) -> EventBody {
    EventBody::EnvelopeCreated { envelope_id, provider: provider.to_owned(), document_sha256 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const CAN: Capabilities = Capabilities {
        find_by_key: true,
        webhooks: true,
        void: true,
        remind: true,
        call_deadline: Duration::from_secs(30),
        settles_within: Duration::from_secs(60),
        poll_every: Duration::from_secs(1),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_call_without_an_outcome_is_looked_up_only_once_it_can_no_longer_take_effect() {
        let mark = Some(CallMark { attempt: 1, at: at(1000) });
        assert_eq!(sending(None, at(1000), &CAN), Sending::Call { attempt: 1 });
        assert_eq!(sending(mark, at(1000), &CAN), Sending::WaitUntil(at(1090)));
        assert_eq!(sending(mark, at(1089), &CAN), Sending::WaitUntil(at(1090)));
        assert_eq!(sending(mark, at(1090), &CAN), Sending::LookUpThenCall { attempt: 2 });
        let blind = Capabilities { find_by_key: false, ..CAN };
        assert_eq!(sending(mark, at(1090), &blind), Sending::AskPerson);
    }

    #[test]
    fn a_document_that_has_reached_an_end_is_not_moved_by_its_provider() {
        for status in Status::ALL {
            let moved = following(status, &EnvelopeState::Expired) != Following::Nothing;
            assert_eq!(moved, matches!(status, Status::Sent | Status::Viewed), "{status}");
        }
    }

    #[test]
    fn a_second_look_is_no_second_event() {
        let state = EnvelopeState::Open { viewed_by: vec!["ada@example.com".into()] };
        let viewed = EventBody::Viewed { signer: "ada@example.com".into() };
        assert_eq!(following(Status::Sent, &state), Following::Event(viewed));
        assert_eq!(following(Status::Viewed, &state), Following::Nothing);
    }
}
