//! The page of one document: everything known about it, in the order a person asks.

use std::collections::BTreeMap;

use askama::Template;
use jiff::Timestamp;
use platen_capture::classify::layout::can_be_taught;
use platen_model::api::{Document, Envelope};
use platen_model::event::{Event, EventBody, Status};
use platen_model::{
    Blank, BlankKind, Decision, Digest, LineItem, PageText, PartRole, Problem, Recipient, Rect, Role,
    SetAside, SignatureFinding, SignatureVerdict, Violation,
};

use super::form_view::FormView;
use super::frame::{Choice, Frame};
use super::words;
use crate::api::versions::{MadeBy, Version, versions};
use crate::machine;
use crate::signing::desk::front::{Front, Pin, Seat};
use crate::signing::plan::Plan;
use crate::store::envelopes::is_overdue;

/// The size assumed for a page without page text: letter at 200 dots per inch, in pixels.
const UNKNOWN_SIZE_PX: (u32, u32) = (1_700, 2_200);

/// The page, ready to be rendered.
#[derive(Debug, Template)]
#[template(path = "document.html")]
pub struct DocumentPage {
    frame: Frame,
    id: String,
    trace: String,
    version: u64,
    name: String,
    status: String,
    tone: &'static str,
    document_type: String,
    /// It was read and classified; before that nobody knows what it is.
    is_read: bool,
    confidence: u32,
    received: String,
    department: Option<String>,
    /// What was just done, said once.
    message: Option<String>,
    trouble: Option<Trouble>,
    /// The originals that are still to come, in words.
    outstanding: Option<String>,
    pages: Vec<PageView>,
    reviewable: bool,
    retryable: bool,
    /// It was set aside because of what it is; a person may say what that is, or reject it.
    settleable: bool,
    /// A person may correct it.
    correctable: bool,
    /// Why what was typed was refused.
    complaint: Option<ComplaintView>,
    /// Where the reader is in the review queue, if there.
    queue: Option<String>,
    /// The document's type, that of the fields that are shown, and the department as it is and as it was typed.
    was_type: String,
    shown_type: String,
    was_department: String,
    typed_department: String,
    /// A field that was added by half: what was typed of its name and its value.
    unfinished: Option<(String, String)>,
    comment: String,
    override_reason: String,
    review_reasons: Vec<String>,
    types: Vec<Choice>,
    fields: Vec<FieldView>,
    /// The fields of the review: those there are, and those that must be there.
    asked: Vec<FieldView>,
    /// The rules of validation it does not keep that are about no field.
    violations: Vec<Violation>,
    /// It does not keep all rules of validation.
    invalid: bool,
    line_items: Vec<LineItem>,
    /// The reader may let it go on all the same.
    may_override: bool,
    /// The reader may review: decide, correct, send on its way, sign on the spot, and show where fields stand.
    may_review: bool,
    reasons: Vec<ReasonView>,
    envelope: Option<EnvelopeView>,
    seats: Vec<SeatView>,
    /// The level of the desk's seals, in words.
    seals: Option<String>,
    /// Who has not been sent a copy yet, though all have signed.
    copies_waiting: Vec<String>,
    signatures: Option<SignaturesView>,
    /// The digest of the PDF that came back broken, where the document waits because of it.
    returned: Option<Digest>,
    plan: Option<PlanView>,
    files: Vec<FileView>,
    /// The document stands for a batch whose division was undone.
    is_whole: bool,
    /// The documents it takes the place of.
    replaces: Vec<RelatedView>,
    /// The documents that take its place.
    replaced_by: Vec<RelatedView>,
    /// What was made of it, version by version, where there is more than one.
    versions: Vec<VersionView>,
    /// It may be captured anew.
    anew: bool,
    /// The pages that were left out, by where they are in what was scanned, and why.
    set_aside: Vec<String>,
    events: Vec<EventView>,
    head: Digest,
}

/// Why a form was refused, and what happened since it was shown.
#[derive(Debug)]
struct ComplaintView {
    what: String,
    help: String,
    errors: Vec<(String, String)>,
    since: Vec<EventView>,
}

#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) what: String,
    pub(super) help: String,
}

#[derive(Debug)]
struct PageView {
    number: usize,
    width: u32,
    height: u32,
    confidence: u32,
    marks: Vec<Mark>,
    text: String,
    /// A field can be taught on it.
    teachable: bool,
}

#[derive(Debug)]
struct Mark {
    kind: &'static str,
    label: String,
    x: u32,
    y: u32,
    w: u32,
    h: u32,
}

#[derive(Clone, Debug)]
struct FieldView {
    number: usize,
    name: String,
    label: String,
    value: String,
    /// The value before anything was typed.
    was: String,
    confidence: u32,
    corrected: bool,
    violations: Vec<Violation>,
}

impl FieldView {
    fn of(number: usize, name: &str, value: &str) -> Self {
        Self {
            number,
            name: name.to_owned(),
            label: words::title_case(name),
            value: value.to_owned(),
            was: value.to_owned(),
            confidence: 0,
            corrected: false,
            violations: Vec::new(),
        }
    }
}

#[derive(Debug)]
struct ReasonView {
    rule: String,
    document_type: String,
    weight: String,
    against: bool,
    seen: String,
    page: u32,
}

#[derive(Debug)]
struct EnvelopeView {
    status: String,
    tone: &'static str,
    provider: String,
    recipients: Vec<RecipientView>,
    places: Vec<PlaceView>,
    since: String,
    open: bool,
    /// It is open long after its time.
    overdue: bool,
}

/// A signer at the desk.
#[derive(Debug)]
struct SeatView {
    position: u32,
    address: String,
    state: &'static str,
    /// What is asked beside the link, and what of it needs somebody.
    notes: Vec<&'static str>,
    waited_for: bool,
}

/// What was found of the digital signatures in the PDF that came back.
#[derive(Debug)]
struct SignaturesView {
    verdict: &'static str,
    tone: &'static str,
    lines: Vec<String>,
}

#[derive(Debug)]
struct RecipientView {
    what: &'static str,
    address: String,
}

impl RecipientView {
    fn of(recipient: &Recipient) -> Self {
        let what = match recipient.role {
            Role::Signer => "Signer",
            Role::Approver => "Approver",
            Role::Cc => "Copy to",
        };
        Self { what, address: recipient.address.clone() }
    }
}

#[derive(Debug)]
struct FileView {
    href: String,
    label: String,
    note: String,
}

#[derive(Debug)]
struct RelatedView {
    id: String,
    name: String,
    document_type: String,
    pages: u32,
    status: String,
    tone: &'static str,
}

#[derive(Debug)]
struct VersionView {
    number: u32,
    at: String,
    how: &'static str,
    current: bool,
    has_pdf: bool,
}

#[derive(Debug)]
struct EventView {
    tone: &'static str,
    at: String,
    what: String,
    who: String,
}

/// How the document will be signed, for a person who has to approve it first.
#[derive(Debug)]
struct PlanView {
    route: String,
    provider: String,
    recipients: Vec<RecipientView>,
    places: Vec<PlaceView>,
}

#[derive(Debug)]
struct PlaceView {
    what: String,
    page: u32,
    why: String,
}

impl PlaceView {
    fn of(blank: &Blank, recipients: &[Recipient]) -> Self {
        let who = recipients.get(blank.recipient as usize).map_or("", |recipient| recipient.address.as_str());
        let kind = match blank.kind {
            BlankKind::Signature => "Signature",
            BlankKind::Initials => "Initials",
            BlankKind::Date => "Date",
            BlankKind::Name => "Name",
            BlankKind::Text => "Text",
            BlankKind::Checkbox => "Box to tick",
        };
        Self { what: format!("{kind} of {who}"), page: blank.page.saturating_add(1), why: blank.why.clone() }
    }
}

/// What the page is made of.
#[derive(Debug)]
pub struct Material<'a> {
    /// The document.
    pub document: &'a Document,
    /// Its page text, where it has one.
    pub text: Option<&'a PageText>,
    /// Its events in order.
    pub events: &'a [Event],
    /// Its current envelope.
    pub envelope: Option<&'a Envelope>,
    /// The form about it.
    pub form: &'a FormView,
    /// Why that was refused.
    pub complaint: Option<&'a Problem>,
    /// The reader may let it go on all the same.
    pub may_override: bool,
    /// What the desk says of its envelope, where that is there.
    pub front: &'a Front,
    /// The reader may review: decide, correct, send on its way, sign on the spot, and show where fields stand.
    pub may_review: bool,
    /// It was set aside because of what it is.
    pub settleable: bool,
    /// How it will be signed, where it has no envelope yet.
    pub plan: Option<&'a Plan>,
    /// What it takes the place of, where a division was undone; `None` where it is no such document.
    pub replaces: Option<&'a [Document]>,
    /// What takes its place.
    pub replaced_by: &'a [Document],
    /// The document types the rules know.
    pub types: &'a [String],
    /// What was just done.
    pub message: Option<String>,
}

impl DocumentPage {
    /// The page of this document.
    pub fn new(frame: Frame, material: &Material<'_>) -> Self {
        let Material { document, events, .. } = *material;
        let decision = decision(events);
        let planned = || material.plan.map(|plan| plan.blanks.as_slice());
        let blanks = material.envelope.map(|envelope| envelope.blanks.as_slice()).or_else(planned);
        let blanks = blanks.unwrap_or_default();
        let FormView { known, draft, violations, is_correctable } = material.form;
        let selected = &known.document_type.0;
        let asked = asked(fields(known, events), &draft.fields, violations);
        let unknown = "unknown".to_owned();
        let types = material.types.iter().chain((!material.types.contains(&unknown)).then_some(&unknown));
        Self {
            frame,
            id: document.document_id.to_string(),
            trace: document.correlation_id.to_string(),
            version: document.version,
            name: document.file_name.clone(),
            status: words::label(document.status),
            tone: words::tone(document.status),
            document_type: words::title_case(&document.document_type.0),
            is_read: decision.is_some() || document.confidence > 0.0,
            confidence: words::percent(document.confidence),
            received: words::minute(document.created_at),
            department: document.department.clone(),
            message: material.message.clone(),
            trouble: trouble(document.status, events),
            outstanding: outstanding(document),
            pages: pages(document, decision, material.text, blanks),
            reviewable: document.status == Status::InReview,
            retryable: matches!(
                document.status,
                Status::Declined | Status::Expired | Status::Voided | Status::Quarantined
            ),
            settleable: material.settleable,
            correctable: *is_correctable,
            complaint: material.complaint.map(|problem| complaint(problem, material.form, events)),
            queue: draft.queue.clone(),
            was_type: document.document_type.0.clone(),
            shown_type: selected.clone(),
            was_department: document.department.clone().unwrap_or_default(),
            typed_department: draft.department.clone().or(document.department.clone()).unwrap_or_default(),
            unfinished: draft.unfinished.clone(),
            comment: draft.comment.clone(),
            override_reason: draft.override_reason.clone(),
            review_reasons: review_reasons(events),
            types: types.map(|name| Choice::new(name, &words::title_case(name), name == selected)).collect(),
            fields: fields(document, events),
            asked,
            violations: violations.iter().filter(|one| one.field.is_none()).cloned().collect(),
            invalid: !violations.is_empty(),
            line_items: document.line_items.clone(),
            may_override: material.may_override,
            may_review: material.may_review,
            reasons: decision.map(reasons).unwrap_or_default(),
            envelope: material.envelope.map(|envelope| envelope_view(envelope, document.status)),
            seats: material.front.seats.iter().map(seat_view).collect(),
            seals: material.front.seals.clone(),
            copies_waiting: material.front.copies_waiting.clone(),
            signatures: finding(events).map(signatures_view),
            returned: returned(events).filter(|_| document.status == Status::Quarantined),
            plan: material.plan.map(plan_view),
            files: files(document, events),
            is_whole: material.replaces.is_some(),
            replaces: material.replaces.unwrap_or_default().iter().map(related_view).collect(),
            replaced_by: material.replaced_by.iter().map(related_view).collect(),
            versions: version_views(events),
            anew: machine::waits_for_a_person(document.status)
                || (document.status == Status::Archived && document.envelope_id.is_none()),
            set_aside: material.text.map(set_aside).unwrap_or_default(),
            events: events.iter().map(event_view).collect(),
            head: events
                .last()
                .map_or_else(|| Event::origin(document.document_id), |event| Digest::of(&event.to_bytes())),
        }
    }
}

fn decision(events: &[Event]) -> Option<&Decision> {
    events.iter().rev().find_map(|event| match &event.body {
        EventBody::Classified { decision } => Some(decision),
        _ => None,
    })
}

/// Why a person is asked, but for the rules of validation: those stand beside what they are about, as they are now.
fn review_reasons(events: &[Event]) -> Vec<String> {
    let requested = events.iter().rev().find_map(|event| match &event.body {
        EventBody::ReviewRequested { reasons, violations, .. } => Some((reasons, violations)),
        _ => None,
    });
    let Some((reasons, violations)) = requested else { return Vec::new() };
    let is_rule = |reason: &String| violations.iter().any(|violation| violation.message == *reason);
    reasons.iter().filter(|reason| !is_rule(reason)).cloned().collect()
}

/// What went wrong, where the document stands still because of it.
pub(super) fn trouble(status: Status, events: &[Event]) -> Option<Trouble> {
    let passing = |event: &Event| matches!(event.body, EventBody::Retried | EventBody::Corrected { .. });
    let last = events.iter().rev().find(|event| !passing(event))?;
    let help = "The original and everything received are kept unaltered.";
    match (&last.body, status) {
        (EventBody::Quarantined { reason, help, .. }, Status::Quarantined) => {
            Some(Trouble { what: words::as_sentence(reason), help: words::as_sentence(help) })
        }
        (EventBody::Declined { .. } | EventBody::Expired | EventBody::Voided { .. }, _)
            if matches!(status, Status::Declined | Status::Expired | Status::Voided) =>
        {
            Some(Trouble { what: words::sentence(last), help: help.into() })
        }
        _ => None,
    }
}

fn outstanding(document: &Document) -> Option<String> {
    let count = document.originals_outstanding as usize;
    (count > 0).then(|| words::originals(count))
}

fn pages(
    document: &Document,
    decision: Option<&Decision>,
    text: Option<&PageText>,
    blanks: &[Blank],
) -> Vec<PageView> {
    let records = text.map(|text| text.pages.as_slice()).unwrap_or_default();
    let count = records.len().max(document.page_count as usize);
    (0..count)
        .map(|index| {
            let record = records.get(index);
            let (width, height) =
                record.map_or(UNKNOWN_SIZE_PX, |record| (record.width_px, record.height_px));
            PageView {
                number: index + 1,
                width,
                height,
                confidence: record.map_or(0, |record| words::percent(record.mean_confidence)),
                marks: marks(document, decision, index as u32)
                    .into_iter()
                    .chain(blank_marks(blanks, index as u32, record.map_or(72, |record| record.dpi)))
                    .collect(),
                text: record.map(|record| record.text()).unwrap_or_default(),
                teachable: record.is_some_and(|record| !record.words.is_empty())
                    && can_be_taught(index, records.len()),
            }
        })
        .collect()
}

/// Boxes around what the decision rests on: evidence first, so that fields lie above it.
fn marks(document: &Document, decision: Option<&Decision>, page: u32) -> Vec<Mark> {
    let mark = |kind, label: String, rect: &Rect| {
        // A little air, so that the line does not run through the letters.
        let air = 5;
        let (x, y) = (rect.x.saturating_sub(air), rect.y.saturating_sub(air));
        Mark { kind, label, x, y, w: rect.w.saturating_add(2 * air), h: rect.h.saturating_add(2 * air) }
    };
    let reasons = decision
        .iter()
        .flat_map(|decision| &decision.reasons)
        .filter(|reason| reason.page == page)
        .filter_map(|reason| {
            reason.rect.as_ref().map(|rect| mark("reason", format!("{}: {}", reason.rule, reason.seen), rect))
        });
    let fields =
        document.fields.iter().filter(|(_, field)| field.page == page).filter_map(|(name, field)| {
            let label = format!("{}: {}", words::title_case(name), field.value);
            field.rect.as_ref().map(|rect| mark("field", label, rect))
        });
    reasons.chain(fields).collect()
}

/// Boxes where recipients sign.
fn blank_marks(blanks: &[Blank], page: u32, dpi: u32) -> impl Iterator<Item = Mark> {
    let pixels = move |points: f32| (points * dpi as f32 / 72.0).round().max(0.0) as u32;
    blanks.iter().filter(move |blank| blank.page == page).map(move |blank| Mark {
        kind: "blank",
        label: blank.why.clone(),
        x: pixels(blank.x),
        y: pixels(blank.y),
        w: pixels(blank.w),
        h: pixels(blank.h),
    })
}

fn plan_view(plan: &Plan) -> PlanView {
    PlanView {
        route: plan.route.clone(),
        provider: plan.provider.clone(),
        recipients: plan.recipients.iter().map(RecipientView::of).collect(),
        places: plan.blanks.iter().map(|blank| PlaceView::of(blank, &plan.recipients)).collect(),
    }
}

fn fields(document: &Document, events: &[Event]) -> Vec<FieldView> {
    let is_corrected = |name: &str| {
        events.iter().any(|event| match &event.body {
            EventBody::Approved { fields, .. } | EventBody::Corrected { fields, .. } => {
                fields.contains_key(name)
            }
            _ => false,
        })
    };
    let view = |(number, (name, field)): (usize, (&String, &platen_model::Field))| FieldView {
        confidence: words::percent(field.confidence),
        corrected: is_corrected(name),
        ..FieldView::of(number, name, &field.value)
    };
    (1..).zip(&document.fields).map(view).collect()
}

/// The fields a person is asked about, each with the rules it does not keep: those there are, those that were typed, and
/// those that must be there.
fn asked(
    known: Vec<FieldView>,
    typed: &BTreeMap<String, String>,
    violations: &[Violation],
) -> Vec<FieldView> {
    let mut asked = known;
    for (name, value) in typed {
        let place = place_of(&mut asked, name);
        asked[place].value.clone_from(value);
    }
    for violation in violations {
        let Some(name) = &violation.field else { continue };
        let place = place_of(&mut asked, name);
        asked[place].violations.push(violation.clone());
    }
    asked
}

/// Where a field is among those asked about; an empty one is added where it is not.
fn place_of(asked: &mut Vec<FieldView>, name: &str) -> usize {
    asked.iter().position(|field| field.name == name).unwrap_or_else(|| {
        asked.push(FieldView::of(asked.len() + 1, name, ""));
        asked.len() - 1
    })
}

/// What is said over a form that was refused. What stands beside its field already is not said twice.
fn complaint(problem: &Problem, form: &FormView, events: &[Event]) -> ComplaintView {
    let is_shown = |place: &String| form.violations.iter().any(|violation| violation.place() == *place);
    let errors: Vec<_> = problem.errors.iter().filter(|(place, _)| !is_shown(place)).collect();
    let help = match form.violations.is_empty() {
        false if errors.len() < problem.errors.len() => "Mend what is marked in the form.".to_owned(),
        // What programs are told to look at is what stands below.
        _ if problem.help.contains('`') => String::new(),
        _ => words::as_sentence(&problem.help),
    };
    let seen = form.draft.version.unwrap_or(u64::MAX);
    ComplaintView {
        what: words::as_sentence(&problem.detail),
        help,
        errors: errors.into_iter().map(|(place, why)| (label_of(place), words::as_sentence(why))).collect(),
        since: events.iter().filter(|event| event.sequence > seen).map(event_view).collect(),
    }
}

/// The place of an error, as the form calls it; nothing where it is about all of it.
fn label_of(place: &str) -> String {
    if place.starts_with('(') {
        String::new()
    } else {
        words::title_case(place.trim_start_matches("fields."))
    }
}

fn reasons(decision: &Decision) -> Vec<ReasonView> {
    let view = |reason: &platen_model::Reason| ReasonView {
        rule: reason.rule.clone(),
        document_type: words::title_case(&reason.document_type.0),
        weight: format!("{:+.2}", reason.weight),
        against: reason.weight < 0.0,
        seen: reason.seen.clone(),
        page: reason.page.saturating_add(1),
    };
    decision.reasons.iter().map(view).collect()
}

fn envelope_view(envelope: &Envelope, document: Status) -> EnvelopeView {
    let status = envelope.status.as_str();
    // One that was set aside while it was being made can only be given up.
    let open =
        matches!(status, "sent" | "viewed") || (status == "created" && document == Status::Quarantined);
    let tone = match status {
        "completed" => "good",
        "declined" | "expired" | "voided" => "person",
        _ => "wait",
    };
    EnvelopeView {
        status: envelope.status.clone(),
        tone,
        provider: envelope.provider.clone(),
        recipients: envelope.recipients.iter().map(RecipientView::of).collect(),
        places: envelope.blanks.iter().map(|blank| PlaceView::of(blank, &envelope.recipients)).collect(),
        since: words::minute(envelope.updated_at),
        open,
        overdue: is_overdue(envelope, Timestamp::now()),
    }
}

fn seat_view(seat: &Seat) -> SeatView {
    let pin = match seat.pin {
        Pin::None => None,
        Pin::Set => Some("a PIN is asked for"),
        Pin::Given => Some("gave the PIN"),
        Pin::Locked => Some("the PIN is locked after too many wrong tries: set a new one"),
    };
    let codes = seat.codes_used_up.then_some("has had all codes of today");
    let mail = seat.mail_waits.then_some("the message to them could not be sent yet, and is tried again");
    SeatView {
        position: seat.position,
        address: seat.address.clone(),
        state: seat.state,
        notes: mail.into_iter().chain(pin).chain(codes).collect(),
        waited_for: seat.waited_for,
    }
}

/// What was found of the PDF that came back last.
fn finding(events: &[Event]) -> Option<&SignatureFinding> {
    events.iter().rev().find_map(|event| match &event.body {
        EventBody::Signed { finding, .. } => finding.as_deref(),
        EventBody::Quarantined { returned, .. } => returned.as_deref().map(|returned| &returned.finding),
        _ => None,
    })
}

/// The PDF that came back last and was not taken for signed.
fn returned(events: &[Event]) -> Option<Digest> {
    events.iter().rev().find_map(|event| match &event.body {
        EventBody::Quarantined { returned: Some(returned), .. } => Some(returned.sha256),
        _ => None,
    })
}

fn signatures_view(finding: &SignatureFinding) -> SignaturesView {
    let tone = match finding.verdict {
        SignatureVerdict::Valid => "good",
        SignatureVerdict::ChainUnknown | SignatureVerdict::NoSignature | SignatureVerdict::Unchecked => {
            "person"
        }
        SignatureVerdict::Broken => "bad",
    };
    SignaturesView { verdict: finding.verdict.as_words(), tone, lines: finding.in_words() }
}

fn files(document: &Document, events: &[Event]) -> Vec<FileView> {
    let file = |name: &str, label: &str, note: &str| FileView {
        href: format!("/v1/documents/{}/content/{name}", document.document_id),
        label: label.into(),
        note: note.into(),
    };
    let has = |wanted: fn(&EventBody) -> bool| events.iter().any(|event| wanted(&event.body));
    let mut files = Vec::new();
    if document.originals_outstanding == 0 {
        files.push(file("original", "Original", "as it came"));
    }
    if !versions(events).is_empty() {
        files.push(file("normalized", "Searchable PDF", "PDF/A with invisible text"));
    }
    if has(|body| matches!(body, EventBody::Signed { .. })) {
        files.push(file("signed", "Signed PDF", "as it came back from signing"));
    }
    if document.status == Status::Quarantined && returned(events).is_some() {
        files.push(file("returned", "Returned PDF", "as it came back, and not taken for signed"));
    }
    if has(|body| matches!(body, EventBody::Archived { .. })) {
        files.push(file("evidence", "Evidence package", "check it with platen-cloud verify"));
    }
    files
}

fn related_view(document: &Document) -> RelatedView {
    RelatedView {
        id: document.document_id.to_string(),
        name: document.file_name.clone(),
        document_type: words::title_case(&document.document_type.0),
        pages: document.page_count,
        status: words::label(document.status),
        tone: words::tone(document.status),
    }
}

/// What was made of it, the newest first; nothing where there is one version only.
fn version_views(events: &[Event]) -> Vec<VersionView> {
    let found = versions(events);
    if found.len() < 2 {
        return Vec::new();
    }
    let view = |version: &Version| VersionView {
        number: version.number,
        at: words::minute(version.at),
        how: match version.made_by {
            MadeBy::Device => "by the scanning device",
            MadeBy::Cloud => "captured in the cloud",
            MadeBy::TextSupplied => "with a text from a program",
        },
        current: version.current,
        has_pdf: version.part(PartRole::Normalized).is_some(),
    };
    found.iter().rev().map(view).collect()
}

/// Where the pages that were set aside are, in the words of whoever opens the scan, and why they were.
fn set_aside(text: &PageText) -> Vec<String> {
    let is_one_file = text.set_aside.iter().all(|aside| aside.page.source == 0);
    let line = |SetAside { page, why }: &SetAside| {
        let (number, why) = (u64::from(page.page) + 1, why.as_words());
        if is_one_file {
            format!("Page {number} of the scan: {why}")
        } else {
            format!("Page {number} of file {}: {why}", u64::from(page.source) + 1)
        }
    };
    text.set_aside.iter().map(line).collect()
}

fn event_view(event: &Event) -> EventView {
    EventView {
        tone: words::event_tone(&event.body),
        at: words::second(event.at),
        what: words::sentence(event),
        who: words::actor(&event.actor),
    }
}
