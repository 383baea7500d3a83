//! The decisions of signing, as pure functions: when to call, when to look first, and which events follow.
//!
//! Two rules keep an envelope single (INV-10). A call is marked in our books before it is made. A mark without
//! an outcome means the outcome is unknown: nobody may call again until the call can no longer take effect,
//! and then only after the provider, asked by our key, says it has nothing. The third rule keeps documents
//! right (INV-11): events follow from the provider's state and the document's, never from a callback, so
//! that callbacks may be lost, doubled or out of order.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use platen_model::event::{EventBody, Status};
use platen_model::{Digest, EnvelopeId, ReturnedPdf, SignatureFinding, SignatureVerdict};

use super::provider::{Capabilities, EnvelopeState, Lookup, ProviderError, Reference};

/// A call to create an envelope that was begun and whose outcome is not in our books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallMark {
    /// Which call it is, from 1.
    pub attempt: u32,
    /// When it was begun.
    pub at: Timestamp,
    /// The draft it made, once that is known.
    pub draft: Option<Reference>,
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
    /// There is a draft of ours: ask its recipients.
    SendDraft(Reference),
    /// A call may still take effect: come back then.
    WaitUntil(Timestamp),
    /// The outcome is unknown and this provider cannot be asked: a person must decide.
    AskPerson,
}

/// Decides how to send an envelope, from the mark of the last call.
///
/// A call without an outcome that could only make a draft may be made again even where nothing can be looked up:
/// nobody ever hears of the draft that was lost.
pub fn sending(mark: Option<&CallMark>, now: Timestamp, can: &Capabilities) -> Sending {
    let Some(mark) = mark else { return Sending::Call { attempt: 1 } };
    if let Some(draft) = &mark.draft {
        return Sending::SendDraft(draft.clone());
    }
    let index_lags = match can.lookup {
        Lookup::After(time) => time,
        Lookup::Exact | Lookup::Never => Duration::ZERO,
    };
    let settles = can.call_deadline + can.settles_within + index_lags;
    let settled = mark.at + SignedDuration::try_from(settles).unwrap_or(SignedDuration::MAX);
    let attempt = mark.attempt + 1;
    match can.lookup {
        _ if now < settled => Sending::WaitUntil(settled),
        Lookup::Exact | Lookup::After(_) => Sending::LookUpThenCall { attempt },
        Lookup::Never if can.drafts => Sending::Call { attempt },
        Lookup::Never => Sending::AskPerson,
    }
}

/// What the outcome of a call to create means for our books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AfterCall {
    /// The provider has it.
    Taken(Reference),
    /// It certainly has not: remove the mark, try again later, after this time where one is known.
    Unmark(Option<Duration>),
    /// Nobody knows: leave the mark, try again later.
    KeepMark,
    /// It never will: set the document aside for a person.
    SetAside(String),
}

/// Reads the outcome of a call to create.
pub fn after_call(outcome: Result<Reference, ProviderError>) -> AfterCall {
    match outcome {
        Ok(reference) => AfterCall::Taken(reference),
        Err(ProviderError::NotTaken(_) | ProviderError::Down(_)) => AfterCall::Unmark(None),
        Err(ProviderError::Later { after, .. }) => AfterCall::Unmark(Some(after)),
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
    Event(Box<EventBody>),
    /// It is a draft still: ask its recipients.
    Send,
    /// Its time is over, and the provider does not end it: withdraw it.
    Withdraw,
    /// All have signed: fetch the signed PDF, look at it, keep it, then append what [`completed`] says.
    FetchSigned {
        /// Who signed.
        signers: Vec<String>,
    },
}

/// Where the document is, for [`following`].
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its state.
    pub status: Status,
    /// The recipients known to have done their part.
    pub signed_by: &'a [String],
    /// The time to sign is over.
    pub is_over: bool,
}

/// Decides which event brings a document from what is `known` of it towards the provider's `state`.
///
/// Asking again after the event was appended answers the next one, and in the end [`Following::Nothing`].
pub fn following(known: Known<'_>, state: &EnvelopeState, can: &Capabilities) -> Following {
    if !matches!(known.status, Status::Sent | Status::Viewed) {
        return Following::Nothing;
    }
    // Where we must end it ourselves, what we withdrew after its time has expired.
    let ends_here = known.is_over && !can.expires;
    match state {
        // Nobody was asked, and nobody is any more.
        EnvelopeState::Draft if known.is_over && can.void => Following::Withdraw,
        EnvelopeState::Draft if known.is_over => event(EventBody::Expired),
        EnvelopeState::Draft => Following::Send,
        EnvelopeState::Open { viewed_by, signed_by } => {
            let seen = viewed_by.last().or(signed_by.last());
            let next = signed_by.iter().find(|signer| !known.signed_by.contains(signer));
            match (seen, next) {
                (Some(signer), _) if known.status == Status::Sent => {
                    event(EventBody::Viewed { signer: signer.clone() })
                }
                (_, Some(signer)) => event(EventBody::RecipientSigned { signer: signer.clone() }),
                _ if ends_here && can.void => Following::Withdraw,
                _ if ends_here => event(EventBody::Expired),
                _ => Following::Nothing,
            }
        }
        EnvelopeState::Voided { .. } if ends_here => event(EventBody::Expired),
        EnvelopeState::Completed { signers } => Following::FetchSigned { signers: signers.clone() },
        EnvelopeState::Declined { signer, reason } => {
            event(EventBody::Declined { signer: signer.clone(), reason: reason.clone() })
        }
        EnvelopeState::Expired => event(EventBody::Expired),
        EnvelopeState::Voided { reason } => event(EventBody::Voided { reason: reason.clone() }),
    }
}

fn event(body: EventBody) -> Following {
    Following::Event(Box::new(body))
}

/// The event of a signed PDF that came back: it is signed, or it goes to a person because its signatures are broken.
pub fn completed(signers: Vec<String>, pdf: Digest, finding: SignatureFinding) -> EventBody {
    if finding.verdict != SignatureVerdict::Broken {
        let finding = Some(Box::new(finding));
        return EventBody::Signed { signers, signed_sha256: pdf, finding, accepted_because: None };
    }
    let faults: Vec<&str> = finding.all_faults().collect();
    EventBody::Quarantined {
        reason: format!("what came back as signed is broken: {}", faults.join("; ")),
        help:
            "compare the PDF that came back with the one the provider shows; a retry fetches it once more. \
               You may also accept it as it is, or withdraw its envelope and have it signed anew"
                .into(),
        returned: Some(Box::new(ReturnedPdf { sha256: pdf, signers, finding })),
    }
}

/// The event of our key being stored.
pub fn created(envelope_id: EnvelopeId, provider: &str, document_sha256: Digest) -> EventBody {
    EventBody::EnvelopeCreated { envelope_id, provider: provider.to_owned(), document_sha256 }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::signing::provider::Callbacks;

    pub(crate) const CAN: Capabilities = Capabilities {
        drafts: false,
        lookup: Lookup::Exact,
        callbacks: Callbacks::Signed,
        approvers: true,
        copies_max: 1,
        ordered: true,
        coordinates: true,
        expires: true,
        incremental: false,
        audit_trail: false,
        void: true,
        tells_withdrawn: true,
        remind: true,
        sms: false,
        calls_a_minute: 60,
        call_deadline: Duration::from_secs(30),
        settles_within: Duration::from_secs(60),
        poll_every: Duration::from_secs(1),
        rest_between_polls: Duration::ZERO,
    };
    const BLIND: Capabilities = Capabilities { lookup: Lookup::Never, ..CAN };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn mark(draft: Option<&str>) -> CallMark {
        CallMark { attempt: 1, at: at(1000), draft: draft.map(|id| Reference(id.into())) }
    }

    #[track_caller]
    fn check_sending(mark: Option<CallMark>, second: i64, can: &Capabilities, expected: Sending) {
        assert_eq!(sending(mark.as_ref(), at(second), can), expected);
    }

    #[test]
    fn a_call_without_an_outcome_is_looked_up_only_once_it_can_no_longer_take_effect() {
        check_sending(None, 1000, &CAN, Sending::Call { attempt: 1 });
        check_sending(Some(mark(None)), 1000, &CAN, Sending::WaitUntil(at(1090)));
        check_sending(Some(mark(None)), 1089, &CAN, Sending::WaitUntil(at(1090)));
        check_sending(Some(mark(None)), 1090, &CAN, Sending::LookUpThenCall { attempt: 2 });
        check_sending(Some(mark(None)), 1090, &BLIND, Sending::AskPerson);
    }

    #[test]
    fn an_index_that_lags_is_given_its_time() {
        let lags = Capabilities { lookup: Lookup::After(Duration::from_secs(300)), ..CAN };
        check_sending(Some(mark(None)), 1389, &lags, Sending::WaitUntil(at(1390)));
        check_sending(Some(mark(None)), 1390, &lags, Sending::LookUpThenCall { attempt: 2 });
    }

    #[test]
    fn a_lost_draft_may_be_made_again_and_a_known_one_is_sent() {
        let drafts = Capabilities { drafts: true, ..BLIND };
        check_sending(Some(mark(None)), 1089, &drafts, Sending::WaitUntil(at(1090)));
        check_sending(Some(mark(None)), 1090, &drafts, Sending::Call { attempt: 2 });
        check_sending(Some(mark(Some("d"))), 1000, &drafts, Sending::SendDraft(Reference("d".into())));
    }

    fn known(status: Status, signed_by: &[String], is_over: bool) -> Known<'_> {
        Known { status, signed_by, is_over }
    }

    #[test]
    fn a_document_that_has_reached_an_end_is_not_moved_by_its_provider() {
        for status in Status::ALL {
            let follows = following(known(status, &[], false), &EnvelopeState::Expired, &CAN);
            assert_eq!(
                follows != Following::Nothing,
                matches!(status, Status::Sent | Status::Viewed),
                "{status}"
            );
        }
    }

    #[test]
    fn a_second_look_is_no_second_event() {
        let (ada, bob) = ("ada@example.com".to_owned(), "bob@example.com".to_owned());
        let state = EnvelopeState::Open { viewed_by: vec![ada.clone()], signed_by: vec![ada.clone()] };
        let viewed = event(EventBody::Viewed { signer: ada.clone() });
        let signed = event(EventBody::RecipientSigned { signer: ada.clone() });
        assert_eq!(following(known(Status::Sent, &[], false), &state, &CAN), viewed);
        assert_eq!(following(known(Status::Viewed, &[], false), &state, &CAN), signed);
        assert_eq!(following(known(Status::Viewed, &[bob, ada], false), &state, &CAN), Following::Nothing);
    }

    #[test]
    fn where_the_provider_keeps_no_time_we_do() {
        let open = EnvelopeState::Open { viewed_by: vec![], signed_by: vec![] };
        let voided = EnvelopeState::Voided { reason: "over".into() };
        let timeless = Capabilities { expires: false, ..CAN };
        let stubborn = Capabilities { void: false, ..timeless };
        let after = known(Status::Sent, &[], true);
        assert_eq!(following(known(Status::Sent, &[], false), &open, &timeless), Following::Nothing);
        assert_eq!(following(after, &open, &CAN), Following::Nothing);
        assert_eq!(following(known(Status::Sent, &[], false), &EnvelopeState::Draft, &CAN), Following::Send);
        assert_eq!(following(after, &EnvelopeState::Draft, &CAN), Following::Withdraw, "it is not sent now");
        assert_eq!(following(after, &EnvelopeState::Draft, &stubborn), event(EventBody::Expired));
        assert_eq!(following(after, &open, &timeless), Following::Withdraw);
        assert_eq!(following(after, &open, &stubborn), event(EventBody::Expired));
        assert_eq!(following(after, &voided, &timeless), event(EventBody::Expired));
    }
}
