use std::collections::BTreeMap;

use platen_model::{Decision, Digest, DocumentType, EnvelopeId, PolicyRef, Verdict};

use super::*;

fn policy() -> PolicyRef {
    PolicyRef { name: "p".into(), version: "1".into(), sha256: Digest::of(b"p") }
}

fn decision() -> Decision {
    Decision {
        document_type: DocumentType::unknown(),
        confidence: 0.0,
        verdict: Verdict::Review,
        reasons: Vec::new(),
        fields: BTreeMap::new(),
        line_items: Vec::new(),
        policy: policy(),
    }
}

fn part(role: PartRole) -> Part {
    let (sha256, mime) = (Digest::of(b"bytes"), "x/y".into());
    Part { role, sha256, bytes: 5, mime, file_name: None, copy_of_signed: false }
}

/// One event of each kind.
fn events() -> Vec<EventBody> {
    let sha256 = Digest::of(b"bytes");
    let text = || "x".to_owned();
    let decision = decision();
    vec![
        EventBody::Received { manifest_sha256: sha256, parts: Vec::new(), awaiting: Vec::new() },
        EventBody::OcrComplete { page_text_sha256: sha256, ocr_confidence: 1.0, page_count: 1 },
        EventBody::Classified { decision: decision.clone() },
        EventBody::ReviewRequested { reasons: Vec::new(), violations: Vec::new(), policy: None },
        EventBody::Approved {
            read: None,
            document_type: None,
            fields: BTreeMap::new(),
            comment: None,
            override_reason: None,
            overridden: Vec::new(),
        },
        EventBody::Rejected { comment: text() },
        EventBody::Validated { policy: None },
        EventBody::Routed {
            route: text(),
            policy: policy(),
            provider: Some(text()),
            recipients: Vec::new(),
            blanks: Vec::new(),
            expires_at: None,
            remind_every_s: None,
            tags: Vec::new(),
            retention_class: None,
        },
        EventBody::EnvelopeCreated {
            envelope_id: EnvelopeId::new(),
            provider: text(),
            document_sha256: sha256,
        },
        EventBody::Sent { provider_reference: text() },
        EventBody::Viewed { signer: text() },
        EventBody::Signed {
            signers: Vec::new(),
            signed_sha256: sha256,
            finding: None,
            accepted_because: None,
        },
        EventBody::Declined { signer: text(), reason: text() },
        EventBody::Expired,
        EventBody::Voided { reason: text() },
        EventBody::Archived { evidence_sha256: sha256 },
        EventBody::Quarantined { reason: text(), help: text(), returned: None },
        EventBody::Retried,
        EventBody::OriginalsArrived { originals: vec![sha256] },
        EventBody::RecipientSigned { signer: text() },
        EventBody::Corrected {
            read: None,
            document_type: None,
            fields: BTreeMap::new(),
            department: None,
            violations: Vec::new(),
        },
        EventBody::Captured { parts: Vec::new(), decision: decision.clone() },
        EventBody::TextSupplied { part: part(PartRole::PageText), decision },
        EventBody::Reprocessed { reason: None },
        EventBody::FormRecognised { forms: Vec::new(), fields: BTreeMap::new() },
    ]
}

/// State, event, state that follows, for a document whose route asks for signatures. All else is refused.
const FOLLOWS: &str = "
    received quarantined quarantined
    received ocr_complete ocr_complete
    validated review_requested in_review
    routed review_requested in_review
    in_review corrected in_review
    rejected corrected rejected
    declined corrected declined
    expired corrected expired
    voided corrected voided
    ocr_complete classified classified
    ocr_complete quarantined quarantined
    classified form_recognised classified
    classified review_requested in_review
    classified validated validated
    classified quarantined quarantined
    in_review approved validated
    in_review rejected rejected
    in_review quarantined quarantined
    validated routed routed
    validated quarantined quarantined
    routed envelope_created envelope_created
    routed quarantined quarantined
    envelope_created sent sent
    envelope_created expired expired
    envelope_created voided voided
    envelope_created quarantined quarantined
    sent viewed viewed
    sent recipient_signed viewed
    sent signed signed
    sent declined declined
    sent expired expired
    sent voided voided
    sent quarantined quarantined
    viewed viewed viewed
    viewed recipient_signed viewed
    viewed signed signed
    viewed declined declined
    viewed expired expired
    viewed voided voided
    viewed quarantined quarantined
    signed archived archived
    signed quarantined quarantined
    declined retried validated
    expired retried validated
    voided retried validated
    quarantined retried received
    in_review reprocessed received
    rejected reprocessed received
    declined reprocessed received
    expired reprocessed received
    voided reprocessed received
    quarantined reprocessed received
    in_review text_supplied received
    declined text_supplied received
    expired text_supplied received
    voided text_supplied received
    quarantined text_supplied received
";

/// What differs while its pages are yet to be captured.
const WHILE_RAW: &str = "
    received ocr_complete -
    received captured received
";

/// What differs where its route asks for no signature.
const WITHOUT_SIGNATURE: &str = "
    routed envelope_created -
    routed archived archived
    archived routed routed
    archived reprocessed received
    archived text_supplied received
";

type Table = BTreeMap<(String, String), String>;

/// Reads a table over another; a dash takes a row away.
fn table(rows: &str, mut table: Table) -> Table {
    for line in rows.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(state), Some(event), Some(next)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if next == "-" {
            table.remove(&(state, event)).expect("a row to take away");
        } else {
            table.insert((state, event), next);
        }
    }
    table
}

#[test]
fn every_pair_of_state_and_event_is_in_the_table_or_refused() {
    let all = table(FOLLOWS, Table::new());
    for (signs, raw) in [(true, false), (true, true), (false, false), (false, true)] {
        let mut expected = all.clone();
        if !signs {
            expected = table(WITHOUT_SIGNATURE, expected);
        }
        if raw {
            expected = table(WHILE_RAW, expected);
            // Of what was never captured there is no PDF that a text could be of.
            expected.retain(|(_, event), _| event != "text_supplied");
        }
        for status in Status::ALL {
            for event in events() {
                let state =
                    State { status, resume: Some(Status::Received), signs, awaits_originals: false, raw };
                let expected = expected.get(&(status.as_str().to_owned(), event.name().to_owned()));
                let found = apply(Some(state), &event).map(|state| state.status.as_str().to_owned());
                let refused = Refused { status: Some(status), event: event.name() };
                let expected = expected.cloned().ok_or(refused);
                assert_eq!(found, expected, "{status} + {} (signs: {signs}, raw: {raw})", event.name());
            }
        }
    }
}

#[test]
fn a_file_alone_is_to_be_captured_and_a_capture_is_done_once() {
    let sha256 = Digest::of(b"bytes");
    let received = |parts| EventBody::Received { manifest_sha256: sha256, parts, awaiting: Vec::new() };
    let (file, text) = (part(PartRole::Original), part(PartRole::PageText));
    let alone = apply(None, &received(vec![file.clone()])).expect("a file");
    assert!(alone.raw && wanted(alone) == Some("capture"));
    let read = apply(None, &received(vec![file, text])).expect("with its text");
    assert!(!read.raw && wanted(read) == Some("read_text"));
    let captured = EventBody::Captured { parts: Vec::new(), decision: decision() };
    let after = apply(Some(alone), &captured).expect("captured");
    assert!(!after.raw && wanted(after) == Some("read_text"));
    apply(Some(after), &captured).expect_err("once");
}

#[test]
fn inv10_what_a_signer_may_still_have_does_not_begin_anew() {
    let anew = EventBody::Reprocessed { reason: None };
    for resume in Status::ALL {
        let aside = State {
            status: Status::Quarantined,
            resume: Some(resume),
            signs: true,
            awaits_originals: false,
            raw: false,
        };
        let outside =
            [Status::EnvelopeCreated, Status::Sent, Status::Viewed, Status::Signed].contains(&resume);
        assert_eq!(apply(Some(aside), &anew).is_err(), outside, "{resume}");
    }
    let signed =
        State { status: Status::Archived, resume: None, signs: true, awaits_originals: false, raw: false };
    apply(Some(signed), &anew).expect_err("its signatures are on what it is");
    let again = apply(Some(State { signs: false, ..signed }), &anew).expect("nobody signed it");
    assert_eq!(
        again,
        State { status: Status::Received, resume: None, signs: false, awaits_originals: false, raw: true }
    );
}

#[test]
fn a_document_begins_with_its_receipt_and_nothing_else() {
    for event in events() {
        assert_eq!(apply(None, &event).is_ok(), event.name() == "received", "{}", event.name());
    }
}

#[test]
fn inv9_a_document_is_routed_only_when_it_is_validated() {
    let routed = &events()[7];
    for status in Status::ALL {
        let state = State { status, resume: None, signs: false, awaits_originals: false, raw: false };
        // Nothing comes into an archive without a signature but through a route.
        let was_validated = matches!(status, Status::Validated | Status::Archived);
        assert_eq!(apply(Some(state), routed).is_ok(), was_validated, "{status}");
        let signed = State { signs: true, ..state };
        assert_eq!(apply(Some(signed), routed).is_ok(), status == Status::Validated, "{status}");
    }
}

#[test]
fn a_route_without_a_provider_archives_and_cannot_make_an_envelope() {
    let state =
        State { status: Status::Routed, resume: None, signs: false, awaits_originals: false, raw: false };
    let (envelope, archived) = (&events()[8], &events()[15]);
    apply(Some(state), envelope).expect_err("nobody is asked to sign");
    assert_eq!(apply(Some(state), archived).map(|state| state.status), Ok(Status::Archived));
    apply(Some(State { signs: true, ..state }), archived).expect_err("it must be signed first");
}

#[test]
fn originals_may_arrive_at_any_time_and_only_the_archive_waits_for_them() {
    let arrived = EventBody::OriginalsArrived { originals: vec![Digest::of(b"original")] };
    for status in Status::ALL {
        for signs in [false, true] {
            let resume = (status == Status::Quarantined).then_some(Status::Routed);
            let before = State { status, resume, signs, awaits_originals: true, raw: false };
            let after = apply(Some(before), &arrived);
            assert_eq!(after, Ok(State { awaits_originals: false, ..before }), "{status}");
            let waits = status == Status::Signed || (status == Status::Routed && !signs);
            let asks_for = |state| wanted(state);
            assert_eq!(
                asks_for(before).is_none(),
                waits || asks_for(State { awaits_originals: false, ..before }).is_none()
            );
            let archived = EventBody::Archived { evidence_sha256: Digest::of(b"evidence") };
            apply(Some(before), &archived).expect_err("evidence without the originals");
        }
    }
    let received = EventBody::Received {
        manifest_sha256: Digest::of(b"manifest"),
        parts: Vec::new(),
        awaiting: vec![Digest::of(b"original")],
    };
    assert!(apply(None, &received).expect("a first event").awaits_originals);
}

#[test]
fn a_retry_goes_back_to_where_the_document_was_quarantined() {
    let (quarantined, retried) = (&events()[16], &events()[17]);
    for status in Status::ALL.into_iter().filter(|status| !is_end(*status)) {
        let before = State { status, resume: None, signs: true, awaits_originals: false, raw: false };
        let aside = apply(Some(before), quarantined).expect("still on its way");
        assert_eq!(apply(Some(aside), retried), Ok(before), "{status}");
    }
}

#[test]
fn what_came_back_broken_is_signed_by_a_persons_reason_only_and_an_envelope_set_aside_can_be_given_up() {
    let sha256 = Digest::of(b"bytes");
    let signed = |accepted_because: Option<&str>| EventBody::Signed {
        signers: Vec::new(),
        signed_sha256: sha256,
        finding: None,
        accepted_because: accepted_because.map(str::to_owned),
    };
    let voided = EventBody::Voided { reason: "gone".into() };
    for resume in Status::ALL {
        let (status, resume) = (Status::Quarantined, Some(resume));
        let aside = State { status, resume, signs: true, awaits_originals: false, raw: false };
        let next = |event: &EventBody| apply(Some(aside), event).ok().map(|state| state.status);
        let asked = matches!(resume, Some(Status::Sent | Status::Viewed));
        assert_eq!(next(&signed(Some("seen"))), asked.then_some(Status::Signed), "{resume:?}");
        assert_eq!(next(&signed(None)), None, "{resume:?}");
        let made = asked || resume == Some(Status::EnvelopeCreated);
        assert_eq!(next(&voided), made.then_some(Status::Voided), "{resume:?}");
    }
    for status in Status::ALL.into_iter().filter(|status| *status != Status::Quarantined) {
        let state = State { status, resume: None, signs: true, awaits_originals: false, raw: false };
        apply(Some(state), &signed(Some("seen"))).expect_err("nothing came back broken");
    }
}

#[test]
fn inv14_every_state_is_an_end_or_waits_for_a_person_or_has_a_job() {
    for status in Status::ALL {
        for signs in [false, true] {
            let job =
                wanted(State { status, resume: None, signs, awaits_originals: false, raw: false }).is_some();
            let rests = is_end(status) || status == Status::InReview;
            // Others may be asked in the place of who declined, or the same again after an expiry, if the route says so.
            let may_go_on = matches!(status, Status::Declined | Status::Expired);
            assert_eq!(job, !rests || may_go_on, "{status}");
        }
    }
}

#[test]
fn a_correction_forgets_no_retry_and_comes_neither_before_the_rules_nor_after_it_is_sent() {
    let corrected = EventBody::Corrected {
        read: None,
        document_type: None,
        fields: BTreeMap::new(),
        department: None,
        violations: Vec::new(),
    };
    let aside = State {
        status: Status::Quarantined,
        resume: Some(Status::Routed),
        signs: true,
        awaits_originals: false,
        raw: false,
    };
    assert_eq!(apply(Some(aside), &corrected), Ok(aside));
    let unread = State { resume: Some(Status::Received), ..aside };
    apply(Some(unread), &corrected).expect_err("the rules would undo it");
    let sent = State { status: Status::Sent, resume: None, signs: true, awaits_originals: false, raw: false };
    apply(Some(sent), &corrected).expect_err("its signers have it as it was");
}

#[test]
fn what_was_set_aside_for_what_it_is_may_be_rejected_and_nothing_else_that_was() {
    let rejected = EventBody::Rejected { comment: "a blank sheet".into() };
    for resume in Status::ALL {
        let aside = State {
            status: Status::Quarantined,
            resume: Some(resume),
            signs: false,
            awaits_originals: false,
            raw: false,
        };
        let after = apply(Some(aside), &rejected).map(|state| state.status).ok();
        assert_eq!(after, (resume == Status::Classified).then_some(Status::Rejected), "{resume}");
    }
}

#[test]
fn endpoints_can_ask_for_every_event_there_is() {
    let mut named: Vec<&str> = events().iter().map(EventBody::name).collect();
    let mut known = crate::webhooks::EVENTS.to_vec();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}
