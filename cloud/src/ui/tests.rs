//! Claims about the pages, on a document made for them.

use std::collections::BTreeMap;

use askama::Template as _;
use jiff::Timestamp;
use platen_model::api::{Document, Envelope};
use platen_model::device::{DeviceReport, ReportedCapture};
use platen_model::event::{Actor, Event, EventBody, Status};
use platen_model::keys::PublicKey;
use platen_model::{
    Aside, CaptureId, CorrelationId, Decision, DeviceId, Digest, DocumentType, EnvelopeId, FailureClass,
    Field, PageRecord, PageText, PolicyRef, Problem, Reason, Recipient, Rect, SetAside, SourcePage, Verdict,
    Violation, Word,
};

use super::draft::Draft;
use super::form_view::FormView;
use super::frame::Frame;
use super::{devices_page, document_page, list_page};
use crate::refusal::Refusal;
use crate::signing::desk::front::Front;
use crate::store::devices::Reported;
use crate::store::people::DeviceRow;

const HOSTILE: &str = "<script>alert('1')</script>\"><img src=x>";

fn frame() -> Frame {
    let (user, tenant, csrf) = ("ada".into(), "office".into(), "token".into());
    Frame { user, tenant, csrf, waiting: 2, administers: true, here: "documents" }
}

fn document(status: Status, name: &str) -> Document {
    let capture = CaptureId::new();
    let number = Field {
        value: name.into(),
        text: "RE-2041".into(),
        confidence: 0.93,
        page: 0,
        rect: Some(Rect { x: 1100, y: 310, w: 260, h: 42 }),
    };
    Document {
        document_id: capture.document(0),
        tenant_id: "office".parse().expect("a tenant"),
        source: "front desk".into(),
        device_id: None,
        file_name: name.into(),
        mime_type: "image/tiff".into(),
        checksum: format!("sha256:{}", Digest::of(b"")),
        page_count: 1,
        ocr_confidence: 0.9,
        document_type: DocumentType("invoice".into()),
        confidence: 0.58,
        reasons: Vec::new(),
        fields: BTreeMap::from([("invoice_number".to_owned(), number)]),
        line_items: Vec::new(),
        route: None,
        policy_tags: vec![],
        department: Some("purchasing".into()),
        retention_class: None,
        reviewer_status: "requested".into(),
        violations: Vec::new(),
        envelope_id: None,
        status,
        version: 4,
        correlation_id: CorrelationId::of_capture(capture),
        retry_count: 0,
        originals_outstanding: 0,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn events(document: &Document, seen: &str) -> Vec<Event> {
    let reason = Reason {
        rule: "invoice/title".into(),
        document_type: DocumentType("invoice".into()),
        weight: 0.4,
        seen: seen.into(),
        page: 0,
        rect: Some(Rect { x: 180, y: 200, w: 400, h: 70 }),
    };
    let decision = Decision {
        document_type: document.document_type.clone(),
        confidence: document.confidence,
        verdict: Verdict::Review,
        reasons: vec![reason],
        fields: document.fields.clone(),
        line_items: Vec::new(),
        policy: PolicyRef { name: "classification".into(), version: "1".into(), sha256: Digest::of(b"") },
    };
    let bodies = vec![
        EventBody::Received { manifest_sha256: Digest::of(b""), parts: vec![], awaiting: vec![] },
        EventBody::OcrComplete { page_text_sha256: Digest::of(b""), ocr_confidence: 0.9, page_count: 1 },
        EventBody::Classified { decision },
        EventBody::ReviewRequested {
            reasons: vec![format!("Only 58 % sure of {seen}.")],
            violations: Vec::new(),
            policy: None,
        },
    ];
    let mut previous = Event::origin(document.document_id);
    let mut events = Vec::new();
    for (sequence, body) in (1..).zip(bodies) {
        let (at, actor) = (Timestamp::UNIX_EPOCH, Actor::System);
        let event = Event { document_id: document.document_id, sequence, at, actor, body, previous };
        previous = Digest::of(&event.to_bytes());
        events.push(event);
    }
    events
}

fn document_page(status: Status, name: &str) -> String {
    document_page_without(status, name, &[])
}

/// The page of a document from which these pages, of these files, were set aside: the first as a separator, others as
/// blank.
fn document_page_without(status: Status, name: &str, aside: &[(u32, u32)]) -> String {
    document_page_with(status, name, aside, &Beside::default())
}

/// What stands beside a document: others that it takes the place of, or that take its place; rules it does not keep.
#[derive(Default)]
struct Beside<'b> {
    replaces: Option<&'b [Document]>,
    replaced_by: &'b [Document],
    violations: &'b [Violation],
    may_override: bool,
    /// It was received, and nothing more.
    unread: bool,
    /// The reader may look, and no more.
    only_reads: bool,
    draft: Draft,
    more_pages: usize,
    complaint: Option<&'b Problem>,
}

/// The page of a document that takes the place of some and whose place others take.
fn document_page_among(
    status: Status,
    name: &str,
    aside: &[(u32, u32)],
    (replaces, replaced_by): (Option<&[Document]>, &[Document]),
) -> String {
    document_page_with(status, name, aside, &Beside { replaces, replaced_by, ..Beside::default() })
}

fn document_page_with(status: Status, name: &str, aside: &[(u32, u32)], beside: &Beside<'_>) -> String {
    let mut document = document(status, name);
    let mut events = events(&document, name);
    if beside.unread {
        document.confidence = 0.0;
        events.truncate(1);
    }
    let word = |text: &str, line, rect| Word { text: text.into(), confidence: 0.9, rect, line, block: line };
    let words = vec![
        word(name, 0, Rect { x: 180, y: 200, w: 400, h: 70 }),
        word("Total", 1, Rect { x: 180, y: 900, w: 100, h: 30 }),
    ];
    let page = PageRecord { width_px: 1654, height_px: 2339, dpi: 200, words, ..PageRecord::default() };
    let mut text = PageText::new(vec![page; 1 + beside.more_pages]);
    let set_aside = |&(source, page): &(u32, u32)| SetAside {
        page: SourcePage { source, page },
        why: if page == 0 { Aside::Sheet } else { Aside::Blank },
    };
    text.set_aside = aside.iter().map(set_aside).collect();
    let envelope = Envelope {
        envelope_id: EnvelopeId::new(),
        document_id: document.document_id,
        provider: "desk".into(),
        provider_reference: None,
        status: "sent".into(),
        recipients: vec![Recipient::signer(name, 1)],
        blanks: Vec::new(),
        expires_at: None,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    let form = FormView {
        known: document.clone(),
        draft: beside.draft.clone(),
        violations: beside.violations.to_vec(),
        is_correctable: crate::machine::waits_for_a_person(status),
    };
    let material = document_page::Material {
        document: &document,
        text: Some(&text),
        events: &events,
        envelope: (status == Status::Sent).then_some(&envelope),
        form: &form,
        complaint: beside.complaint,
        may_override: beside.may_override,
        front: &Front::default(),
        may_review: !beside.only_reads,
        settleable: status == Status::Quarantined,
        plan: None,
        replaces: beside.replaces,
        replaced_by: beside.replaced_by,
        types: &["nda".to_owned(), "invoice".to_owned()],
        message: None,
    };
    document_page::DocumentPage::new(frame(), &material).render().expect("the template fits its data")
}

#[test]
fn words_from_a_scan_or_a_file_name_never_become_markup() {
    for status in [Status::InReview, Status::Sent, Status::Quarantined] {
        let page = document_page(status, HOSTILE);
        assert!(!page.contains("<script") && !page.contains("<img src=x"), "{page}");
        assert!(page.contains("alert("), "the words themselves are shown");
    }
    let material = list_page::Material {
        filter: list_page::Filter { q: HOSTILE.into(), ..Default::default() },
        documents: vec![document(Status::Sent, HOSTILE)],
        next: Some(HOSTILE.into()),
        counts: vec![(Status::Sent, 1)],
        types: vec![HOSTILE.into()],
        oldest_waiting: None,
    };
    let page = list_page::ListPage::new(frame(), material).render().expect("the template fits its data");
    assert!(!page.contains("<script") && !page.contains("<img src=x"), "{page}");
}

#[test]
fn only_a_document_that_waits_for_review_offers_one() {
    for status in Status::ALL {
        let page = document_page(status, "scan.tif");
        assert_eq!(page.contains("value=\"approve\""), status == Status::InReview, "{status}");
        let waits =
            matches!(status, Status::Declined | Status::Expired | Status::Voided | Status::Quarantined);
        assert_eq!(page.contains("/retry\""), waits, "{status}");
    }
}

#[test]
fn whoever_may_only_look_is_offered_nothing_to_send() {
    for status in Status::ALL {
        let beside = Beside { only_reads: true, ..Beside::default() };
        let page = document_page_with(status, "scan.tif", &[], &beside);
        assert!(!page.contains("method=\"post\" action=\"/documents"), "{status}: {page}");
        assert!(!page.contains("/teach/"), "{status}");
        assert!(page.contains("Only 58 % sure"), "{status}: what is known is shown all the same");
    }
}

#[test]
fn what_helps_is_said_word_for_word() {
    let mut events = events(&document(Status::Quarantined, "scan.tif"), "x");
    let last = events.last_mut().expect("an event");
    let (reason, help) = ("no data for `xyz`", "install the package tesseract-ocr-chi-sim, then retry");
    last.body = EventBody::Quarantined { reason: reason.into(), help: help.into(), returned: None };
    let trouble = document_page::trouble(Status::Quarantined, &events).expect("it stands still");
    assert_eq!(trouble.what, "No data for `xyz`.");
    assert_eq!(trouble.help, "Install the package tesseract-ocr-chi-sim, then retry.");
}

#[test]
fn a_device_offers_a_retry_where_one_can_help() {
    let (device_id, capture) = (DeviceId::new(), CaptureId::new());
    let check = |class: FailureClass, revoked_ms: i64, offered: bool| {
        let device = DeviceRow {
            device_id,
            tenant: "office".parse().expect("a tenant"),
            name: "front desk".into(),
            public_key: PublicKey("key".into()),
            created_ms: 0,
            revoked_ms,
        };
        let held = ReportedCapture {
            capture_id: capture,
            source: "inbox".into(),
            files: "scan.tif".into(),
            class: class.as_str().into(),
            stage: "open".into(),
            message: "it is cut off".into(),
            attempts: 1,
            help: class.what_helps().into(),
            at: Timestamp::UNIX_EPOCH,
        };
        let report = DeviceReport { quarantined: 1, quarantine: vec![held], ..DeviceReport::default() };
        let material = devices_page::Material {
            devices: vec![device],
            reports: vec![Reported { device_id, received_ms: 0, report }],
            orders: Vec::new(),
            may_order: true,
            now: Timestamp::UNIX_EPOCH,
        };
        let page = devices_page::DevicesPage::new(frame(), material).render().expect("the template fits");
        assert_eq!(page.contains("value=\"retry\""), offered, "{class}, revoked {revoked_ms}: {page}");
        assert!(page.contains(&format!("<code class=\"faint\">{capture}</code>")), "what commands ask for");
        page
    };
    check(FailureClass::Locked, 0, true);
    check(FailureClass::Internal, 0, true);
    check(FailureClass::Internal, 1, false);
    for class in FailureClass::ALL.into_iter().filter(|class| class.wants_another_file()) {
        let page = check(class, 0, false);
        assert!(page.contains(&format!("platen-agent quarantine discard {capture}")), "{page}");
    }
}

#[test]
fn a_document_that_was_not_read_is_not_said_to_be_unknown() {
    let check = |read: bool, said: &str| {
        let page = document_page_with(
            Status::Received,
            "scan.tif",
            &[],
            &Beside { unread: !read, ..Beside::default() },
        );
        assert!(page.contains(said), "{said}: {page}");
        assert_eq!(page.contains("not read yet"), !read);
    };
    check(true, "Invoice, 58 % sure");
    check(false, "It was not read yet.");
}

#[test]
fn people_are_told_which_field_is_wrong_and_nothing_of_what_programs_are() {
    let errors = BTreeMap::from([
        ("(all of it)".to_owned(), "corrects nothing".to_owned()),
        ("another_field".to_owned(), "give the field a name".to_owned()),
    ]);
    let refusal = Refusal::invalid("the correction is not sound", errors);
    let draft = Draft { unfinished: Some((String::new(), "4711".into())), ..Draft::default() };
    let beside = Beside { draft, complaint: Some(refusal.problem()), ..Beside::default() };
    let page = document_page_with(Status::InReview, "scan.tif", &[], &beside);
    assert!(page.contains("<strong>Another field:</strong> Give the field a name."), "{page}");
    assert!(page.contains("name=\"new_value\" maxlength=\"4000\" value=\"4711\""), "{page}");
    assert!(!page.contains("(all of it)") && !page.contains("`errors`"), "{page}");
}

#[test]
fn pages_that_were_set_aside_are_named_with_the_original_that_keeps_them() {
    let check = |aside: &[(u32, u32)], named: &[&str]| {
        let page = document_page_without(Status::Validated, "scan.tif", aside);
        let panel = page.split_once("id=\"set-aside\"").map(|(_, rest)| rest.split("</section>").next());
        let Some(panel) = panel.flatten() else {
            return assert!(named.is_empty(), "{aside:?} are not shown");
        };
        let listed: Vec<&str> =
            panel.split("<summary>").skip(1).filter_map(|item| item.split("</summary>").next()).collect();
        assert_eq!(listed, named);
        for number in 1..=named.len() {
            assert!(panel.contains(&format!("/aside/{number}.png\"")), "page {number} can be looked at");
        }
        assert!(panel.contains("/content/original"), "the original can be opened");
    };
    check(&[], &[]);
    check(&[(0, 2), (0, 5)], &["Page 3 of the scan: blank", "Page 6 of the scan: blank"]);
    check(
        &[(0, 2), (1, 0)],
        &["Page 3 of file 1: blank", &format!("Page 1 of file 2: {}", Aside::Sheet.as_words())],
    );
}

#[test]
fn a_division_that_was_undone_is_told_on_both_sides() {
    let other = document(Status::InReview, HOSTILE);
    let others = [other.clone(), document(Status::Rejected, "other.tif")];
    let link = format!("href=\"/documents/{}\"", other.document_id);
    let page = document_page_among(Status::InReview, "scan.tif", &[], (Some(&others), &[]));
    let told = page.split_once("id=\"replaces\"").map(|(_, rest)| rest.split("</div>").next());
    let told = told.flatten().expect("what it takes the place of");
    assert!(told.contains(&link) && told.contains("other.tif") && told.contains(">rejected<"), "{told}");
    assert!(!page.contains("<img src=x"), "names are no markup");
    assert!(!page.contains("id=\"replaced-by\""));

    let page = document_page_among(Status::InReview, "scan.tif", &[], (Some(&[]), &[]));
    assert!(page.contains("have not come here"), "{page}");

    let page = document_page_among(Status::InReview, "scan.tif", &[], (None, &others[..1]));
    let told = page.split_once("id=\"replaced-by\"").map(|(_, rest)| rest.split("</div>").next());
    assert!(told.flatten().is_some_and(|told| told.contains(&link)), "{page}");
    assert!(!page.contains("id=\"replaces\""));
    let page = document_page(Status::InReview, "scan.tif");
    assert!(!page.contains("id=\"replaces\"") && !page.contains("id=\"replaced-by\""));
}

#[test]
fn every_form_that_changes_something_carries_the_token_against_forged_requests() {
    for status in Status::ALL {
        let page = document_page(status, "scan.tif");
        let forms = page.matches("method=\"post\"").count();
        assert!(forms >= 1);
        assert_eq!(page.matches("name=\"csrf\" value=\"token\"").count(), forms, "{status}");
    }
}

#[test]
fn a_rule_that_is_not_kept_stands_beside_its_field_with_the_remedy() {
    let violation = |field: Option<&str>, message: &str| Violation {
        field: field.map(str::to_owned),
        rule: Violation::REQUIRED.into(),
        message: message.into(),
        remedy: HOSTILE.into(),
    };
    let violations = [
        violation(Some("invoice_number"), "wrong number"),
        violation(Some("total"), "no total"),
        violation(None, "a page"),
    ];
    let page = |may_override: bool| {
        let beside = Beside { violations: &violations, may_override, ..Beside::default() };
        document_page_with(Status::InReview, "scan.tif", &[], &beside)
    };
    let shown = page(false);
    let after = |what: &str| shown.split_once(what).map_or("", |(_, rest)| rest).to_owned();
    let number = after("name=\"field.invoice_number\"");
    let number = number.split("<label>").next().unwrap_or_default();
    assert!(number.contains("aria-invalid") && number.contains("wrong number"), "{number}");
    assert!(
        after("name=\"field.total\" value=\"\"").contains("no total"),
        "what is missing can be filled in: {shown}"
    );
    assert!(shown.contains("a page") && !shown.contains("<script"), "{shown}");
    assert!(!shown.contains("override_reason"), "who may not override is not asked why");
    assert!(page(true).contains("name=\"override_reason\""));
    assert!(!document_page(Status::InReview, "scan.tif").contains("aria-invalid"));
}

#[test]
fn a_refused_form_is_shown_with_what_was_typed_and_what_happened_since() {
    let draft = Draft {
        version: Some(3),
        queue: Some(String::new()),
        fields: BTreeMap::from([
            ("invoice_number".to_owned(), "RE-2042".to_owned()),
            ("order_number".to_owned(), HOSTILE.to_owned()),
        ]),
        comment: "It is on the second page".into(),
        ..Draft::default()
    };
    let refusal = Refusal::bad_request("the document is at version 4").help("look again");
    let beside = Beside { draft, complaint: Some(refusal.problem()), ..Beside::default() };
    let page = document_page_with(Status::InReview, "RE-2041", &[], &beside);
    let part = |from: &str, to: &str| {
        let rest = page.split_once(from).map_or("", |(_, rest)| rest);
        rest.split(to).next().unwrap_or_default().to_owned()
    };
    let said = part("id=\"refused\"", "</div>");
    assert!(said.contains("The document is at version 4.") && said.contains("Look again."), "{said}");
    assert!(
        said.contains("Sent to review") && !said.contains("Classified"),
        "only what it has not seen: {said}"
    );
    let number = part("name=\"field.invoice_number\"", "<label>");
    assert!(number.contains("value=\"RE-2042\"") && number.contains("value=\"RE-2041\""), "{number}");
    assert!(page.contains("name=\"field.order_number\"") && !page.contains("<img src=x"), "{page}");
    assert!(page.contains(">It is on the second page</textarea>"), "{page}");
    assert!(page.contains("name=\"queue\"") && page.contains("/review?after="), "the queue goes on");
}

#[test]
fn whatever_waits_for_a_person_can_be_corrected_on_its_page() {
    for status in Status::ALL {
        let page = document_page(status, "scan.tif");
        let waits = crate::machine::waits_for_a_person(status);
        assert_eq!(page.contains("value=\"correct\""), waits, "{status}");
        assert_eq!(page.contains("name=\"field.invoice_number\""), waits, "{status}");
        assert_eq!(page.contains("name=\"department\""), waits, "{status}");
    }
}

#[test]
fn a_field_can_be_taught_where_pages_are_read() {
    let page = document_page_with(
        Status::InReview,
        "scan.tif",
        &[],
        &Beside { more_pages: 11, ..Beside::default() },
    );
    for number in 1..=12 {
        let is_offered = page.contains(&format!("/teach/{number}\""));
        assert_eq!(is_offered, number <= 8 || number > 10, "page {number}");
    }
}
