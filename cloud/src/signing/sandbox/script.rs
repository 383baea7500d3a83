//! What a sandbox signer does, decided by the local part of the address, and when.
//!
//! The state of a sandbox envelope is a pure function of its signers and the time since it was sent. So it
//! is the same after a crash, and a test can name the outcome before it happens.

use crate::signing::provider::EnvelopeState;

/// How long a signer takes to open the document, and again to decide, in milliseconds.
const STEP_MS: u64 = 300;
/// The same for `slow@`.
const SLOW_STEP_MS: u64 = 2_000;
/// What a signer who declines gives as the reason.
pub const DECLINE_REASON: &str = "the sandbox signer declines@ always declines";

/// How often a callback is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callbacks {
    /// Once for each thing that happens.
    Once,
    /// Twice, with the same event id.
    Twice,
    /// Never.
    Never,
}

/// What a signer does in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    Signs,
    Declines,
    Expires,
}

/// Something that happens in an envelope's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds after it was sent.
    pub after_ms: u64,
    /// The name of the callback that tells of it.
    pub event: &'static str,
    /// The state from then on.
    pub state: EnvelopeState,
}

/// The whole life of an envelope with these signers, in order of time.
pub fn life(signers: &[String]) -> Vec<Moment> {
    let mut moments = Vec::new();
    let mut viewed_by = Vec::new();
    let mut after_ms = 0;
    for signer in signers {
        let step_ms = if local_part(signer) == "slow" { SLOW_STEP_MS } else { STEP_MS };
        let habit = habit(signer);
        after_ms += step_ms;
        if habit == Habit::Expires {
            moments.push(Moment { after_ms, event: "envelope.expired", state: EnvelopeState::Expired });
            return moments;
        }
        viewed_by.push(signer.clone());
        let signed_by = viewed_by[..viewed_by.len() - 1].to_vec();
        let state = EnvelopeState::Open { viewed_by: viewed_by.clone(), signed_by };
        moments.push(Moment { after_ms, event: "envelope.viewed", state });
        after_ms += step_ms;
        if habit == Habit::Declines {
            let state = EnvelopeState::Declined { signer: signer.clone(), reason: DECLINE_REASON.to_owned() };
            moments.push(Moment { after_ms, event: "envelope.declined", state });
            return moments;
        }
    }
    let state = EnvelopeState::Completed { signers: signers.to_vec() };
    moments.push(Moment { after_ms, event: "envelope.completed", state });
    moments
}

/// The state `elapsed_ms` after sending.
pub fn state_at(signers: &[String], elapsed_ms: u64) -> EnvelopeState {
    life(signers)
        .into_iter()
        .take_while(|moment| moment.after_ms <= elapsed_ms)
        .last()
        .map_or(EnvelopeState::Open { viewed_by: Vec::new(), signed_by: Vec::new() }, |moment| moment.state)
}

/// How often each callback is sent for these signers.
pub fn callbacks(signers: &[String]) -> Callbacks {
    let any = |name| signers.iter().any(|signer| local_part(signer) == name);
    if any("silent") {
        Callbacks::Never
    } else if any("twice") {
        Callbacks::Twice
    } else {
        Callbacks::Once
    }
}

fn habit(signer: &str) -> Habit {
    match local_part(signer) {
        "declines" => Habit::Declines,
        "expires" => Habit::Expires,
        _ => Habit::Signs,
    }
}

fn local_part(address: &str) -> &str {
    address.split_once('@').map_or(address, |(local, _)| local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(local_part: &str, events: &[&str], repeats: Callbacks) {
        let signers = vec![format!("{local_part}@example.com")];
        let life = life(&signers);
        let happened: Vec<&str> = life.iter().map(|moment| moment.event).collect();
        assert_eq!(happened, events, "{local_part}");
        assert_eq!(callbacks(&signers), repeats, "{local_part}");
        let last = life.last().expect("something happens");
        assert_eq!(state_at(&signers, last.after_ms), last.state);
        assert_eq!(state_at(&signers, u64::MAX), last.state, "and it stays so");
        assert_eq!(state_at(&signers, 0), EnvelopeState::Open { viewed_by: vec![], signed_by: vec![] });
    }

    #[test]
    fn the_address_decides_what_the_signer_does() {
        let signed = &["envelope.viewed", "envelope.completed"];
        check("signs", signed, Callbacks::Once);
        check("ada.lovelace", signed, Callbacks::Once);
        check("slow", signed, Callbacks::Once);
        check("twice", signed, Callbacks::Twice);
        check("silent", signed, Callbacks::Never);
        check("declines", &["envelope.viewed", "envelope.declined"], Callbacks::Once);
        check("expires", &["envelope.expired"], Callbacks::Once);
    }

    #[test]
    fn the_second_signer_is_asked_after_the_first_and_one_refusal_ends_it() {
        let signers = vec!["signs@a.example".to_owned(), "declines@b.example".to_owned()];
        let events: Vec<&str> = life(&signers).iter().map(|moment| moment.event).collect();
        assert_eq!(events, ["envelope.viewed", "envelope.viewed", "envelope.declined"]);
        assert!(
            matches!(state_at(&signers, u64::MAX), EnvelopeState::Declined { signer, .. } if signer == signers[1])
        );
    }
}
