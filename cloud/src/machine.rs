//! The state machine: which event may follow which state. Pure, total, and the only place that says so.
//!
//! Handlers, jobs and webhooks only propose events; [`apply`] answers the state that follows or refuses. The
//! rule that must never break is INV-9: the only way into [`Status::Routed`] is from [`Status::Validated`], or
//! from an archive that was reached through it, and the only ways into that are validation and a person's approval.

use platen_model::event::{EventBody, Status};
use platen_model::{Part, PartRole};

/// What the machine remembers of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Where the document is.
    pub status: Status,
    /// Where it was when it was quarantined: a retry goes back there.
    pub resume: Option<Status>,
    /// Whether its route asks for signatures.
    pub signs: bool,
    /// Whether originals are still to come. Everything goes on without them but the archive: evidence is whole or is
    /// none.
    pub awaits_originals: bool,
    /// Whether its pages are yet to be captured: it came as a file only, or is to be captured anew.
    pub raw: bool,
}

/// An event that may not happen now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a document that is {} cannot take the event `{event}`", .status.map_or("not there", Status::as_str))]
pub struct Refused {
    /// Where the document is; `None` before its first event.
    pub status: Option<Status>,
    /// The event's name.
    pub event: &'static str,
}

/// The state after an event, or a refusal that changes nothing.
pub fn apply(state: Option<State>, event: &EventBody) -> Result<State, Refused> {
    use EventBody as E;
    use Status as S;
    let refused = Refused { status: state.map(|state| state.status), event: event.name() };
    let Some(now) = state else {
        return match event {
            E::Received { parts, awaiting, .. } => Ok(State {
                status: S::Received,
                resume: None,
                signs: false,
                awaits_originals: !awaiting.is_empty(),
                raw: is_raw(parts),
            }),
            _ => Err(refused),
        };
    };
    let status = match (now.status, event) {
        (S::Received, E::Captured { .. }) if now.raw => S::Received,
        (S::Received, E::OcrComplete { .. }) if !now.raw => S::OcrComplete,
        (status, E::Reprocessed { .. }) if may_begin_anew(now, status) && !now.awaits_originals => {
            S::Received
        }
        // A program's text does not bring back what a person has rejected.
        (status, E::TextSupplied { .. })
            if may_begin_anew(now, status) && status != S::Rejected && !now.raw =>
        {
            S::Received
        }
        (S::OcrComplete, E::Classified { .. }) => S::Classified,
        (S::Classified, E::FormRecognised { .. }) => S::Classified,
        // After classification by a person who holds it: until an envelope is made nobody outside knows of it.
        (S::Classified | S::Validated | S::Routed, E::ReviewRequested { .. }) => S::InReview,
        (S::Classified, E::Validated { .. }) => S::Validated,
        (S::InReview, E::Approved { .. }) => S::Validated,
        (S::InReview, E::Rejected { .. }) => S::Rejected,
        // It was set aside because of what it is, which a person may settle in one way or the other.
        (status, E::Rejected { .. }) if awaits_a_type(status, now.resume) => S::Rejected,
        (S::Validated, E::Routed { .. }) => S::Routed,
        // It passed validation on its way to the archive, and somebody wants it signed after all.
        (S::Archived, E::Routed { provider: Some(_), .. }) if !now.signs => S::Routed,
        (S::Routed, E::EnvelopeCreated { .. }) if now.signs => S::EnvelopeCreated,
        (S::Routed, E::Archived { .. }) if !now.signs && !now.awaits_originals => S::Archived,
        (S::EnvelopeCreated, E::Sent { .. }) => S::Sent,
        (S::Sent | S::Viewed, E::Viewed { .. } | E::RecipientSigned { .. }) => S::Viewed,
        (S::Sent | S::Viewed, E::Signed { accepted_because: None, .. }) => S::Signed,
        (S::Sent | S::Viewed, E::Declined { .. }) => S::Declined,
        // Also before it was sent: it may have waited for its provider beyond its own time.
        (S::EnvelopeCreated | S::Sent | S::Viewed, E::Expired) => S::Expired,
        (S::EnvelopeCreated | S::Sent | S::Viewed, E::Voided { .. }) => S::Voided,
        // A person has looked at what came back, and says why it counts.
        (S::Quarantined, E::Signed { accepted_because: Some(_), .. }) if has_come_back(now) => S::Signed,
        // A person gives up an envelope that cannot be carried on.
        (S::Quarantined, E::Voided { .. }) if has_open_envelope(now) => S::Voided,
        (S::Signed, E::Archived { .. }) if !now.awaits_originals => S::Archived,
        (S::Declined | S::Expired | S::Voided, E::Retried) => S::Validated,
        (S::Quarantined, E::Retried) => now.resume.ok_or(refused)?,
        // What the rules have yet to say would undo it.
        (S::Quarantined, E::Corrected { .. }) if !now.resume.is_some_and(is_classified) => {
            return Err(refused);
        }
        // At any time, also after an end: the device keeps its copy until they are here.
        (status, E::OriginalsArrived { .. }) if now.awaits_originals => status,
        (status, E::Corrected { .. }) if waits_for_a_person(status) => status,
        (status, E::Quarantined { .. }) if !is_end(status) => S::Quarantined,
        _ => return Err(refused),
    };
    let resume = match (now.status, status) {
        (S::Quarantined, S::Quarantined) => now.resume,
        (before, S::Quarantined) => Some(before),
        _ => None,
    };
    let signs = match event {
        E::Routed { provider, .. } => provider.is_some(),
        // Whatever it was routed to was for what it was before.
        E::Reprocessed { .. } | E::TextSupplied { .. } => false,
        _ => now.signs,
    };
    let raw = match event {
        E::Captured { .. } | E::TextSupplied { .. } => false,
        E::Reprocessed { .. } => true,
        _ => now.raw,
    };
    let awaits_originals = now.awaits_originals && !matches!(event, E::OriginalsArrived { .. });
    Ok(State { status, resume, signs, awaits_originals, raw })
}

/// Whether these parts are a file of which nothing was made yet.
pub fn is_raw(parts: &[Part]) -> bool {
    let has = |role| parts.iter().any(|part| part.role == role);
    has(PartRole::Original) && !has(PartRole::PageText)
}

/// Whether a document may go back to its beginning: it rests, and nobody outside was asked to sign what it is now.
fn may_begin_anew(now: State, status: Status) -> bool {
    use Status as S;
    match status {
        S::Archived => !now.signs,
        S::Quarantined => !now
            .resume
            .is_some_and(|resume| matches!(resume, S::EnvelopeCreated | S::Sent | S::Viewed | S::Signed)),
        status => waits_for_a_person(status),
    }
}

/// Whether it was set aside while its signers were asked: what came back may be the reason.
fn has_come_back(now: State) -> bool {
    matches!(now.resume, Some(Status::Sent | Status::Viewed))
}

/// Whether it was set aside with an envelope that has not ended.
fn has_open_envelope(now: State) -> bool {
    matches!(now.resume, Some(Status::EnvelopeCreated | Status::Sent | Status::Viewed))
}

/// Whether a person's word is wanted, and no step of ours is under way that it could cross.
pub fn waits_for_a_person(status: Status) -> bool {
    use Status as S;
    matches!(status, S::InReview | S::Rejected | S::Quarantined | S::Declined | S::Expired | S::Voided)
}

/// Whether a document was set aside because of what the rules take it for: a person says what it is, or rejects it.
pub fn awaits_a_type(status: Status, resume: Option<Status>) -> bool {
    status == Status::Quarantined && resume == Some(Status::Classified)
}

/// Whether the rules have said what the document is, where it goes on from this state.
fn is_classified(status: Status) -> bool {
    !matches!(status, Status::Received | Status::OcrComplete)
}

/// Whether nothing happens any more unless a person acts.
pub fn is_end(status: Status) -> bool {
    use Status as S;
    matches!(
        status,
        S::Archived | S::Declined | S::Expired | S::Voided | S::Rejected | S::Quarantined | S::Deleted
    )
}

/// The job that carries a document on from a state; `None` at an end, where a person is asked, and where only the
/// originals are missing, which are their device's to send (INV-14).
pub fn wanted(state: State) -> Option<&'static str> {
    use crate::jobs::kinds;
    match state.status {
        Status::Received if state.raw => Some(kinds::CAPTURE),
        Status::Received => Some(kinds::READ_TEXT),
        Status::OcrComplete => Some(kinds::CLASSIFY),
        Status::Classified => Some(kinds::DECIDE),
        Status::Validated => Some(kinds::ROUTE),
        Status::Routed if state.signs => Some(kinds::CREATE_ENVELOPE),
        // Their device owes them and the document's page says so; their arrival asks for the archive.
        Status::Routed | Status::Signed if state.awaits_originals => None,
        Status::Routed => Some(kinds::ARCHIVE),
        Status::EnvelopeCreated => Some(kinds::CREATE_ENVELOPE),
        Status::Sent | Status::Viewed => Some(kinds::FOLLOW_ENVELOPE),
        Status::Signed => Some(kinds::ARCHIVE),
        Status::Declined | Status::Expired => Some(kinds::GO_ON),
        _ => None,
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
