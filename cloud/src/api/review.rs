//! What people decide: review and retry. The web pages propose the same events through [`decide`] and [`retry`].

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use platen_model::api::{Document, Review};
use platen_model::event::{EventBody, Status};
use platen_model::{DocumentId, DocumentType, Violation};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::corrections::{Correction, event_of, read_as};
use super::documents::shown;
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Body, Named, expected_version};
use crate::refusal::Refusal;
use crate::store::record::Record;
use crate::store::{documents, events};

/// Longest comment and longest corrected value, in characters.
pub(super) const TEXT_CHARACTERS: usize = 4_000;

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(review_route)).routes(routes!(retry_route))
}

/// Approves, with or without corrections, or rejects a document that waits for review.
#[utoipa::path(post, path = "/v1/documents/{id}/review", operation_id = "review", tag = "review",
    params(("id" = DocumentId, Path, description = "The document."),
        ("If-Match" = Option<String>, Header, min_length = 1, pattern = r#"^(\*|"[0-9]{1,18}")$"#,
            description = "The `ETag` of the version the person saw.")),
    security(("oauth2" = ["review"]), ("session" = [])), request_body = Review,
    responses((status = 200, description = "The document as it is now.", body = Document,
        headers(("ETag" = String, description = "Its new version.")))))]
async fn review_route(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
    Body(review): Body<Review>,
) -> Result<Response, Refusal> {
    caller.must(Scope::Review)?;
    decide(&app, &caller, parse(&id)?, review, expected_version(&headers)?).await.map(shown)
}

/// Sends a document on its way again after an end that allows it.
#[utoipa::path(post, path = "/v1/documents/{id}/retry", operation_id = "retry", tag = "review",
    params(("id" = DocumentId, Path, description = "The document."),
        ("If-Match" = Option<String>, Header, min_length = 1, pattern = r#"^(\*|"[0-9]{1,18}")$"#,
            description = "The `ETag` of the version the person saw.")),
    security(("oauth2" = ["review"]), ("session" = [])),
    responses((status = 200, description = "The document as it is now.", body = Document,
        headers(("ETag" = String, description = "Its new version.")))))]
async fn retry_route(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    caller.must(Scope::Review)?;
    retry(&app, &caller, parse(&id)?, expected_version(&headers)?).await.map(shown)
}

/// Approves or rejects a document that waits for review. `version` is the one the person saw, where known.
pub async fn decide(
    app: &App,
    caller: &Caller,
    document: DocumentId,
    review: Review,
    version: Option<u64>,
) -> Result<Document, Refusal> {
    let body = body_of(app, caller, document, review, None).await?;
    act(app, caller, document, body, version).await
}

/// Decides on a document of which more is corrected than an approval can say: both are written, or neither is. What others
/// approved was not yet corrected, and stays approved where this is refused.
pub async fn decide_on_corrected(
    app: &App,
    caller: &Caller,
    record: &Record,
    correction: Correction,
    review: Review,
    version: u64,
) -> Result<Document, Refusal> {
    caller.must(Scope::Review)?;
    let document = record.document.document_id;
    let decision = body_of(app, caller, document, review, correction.department.as_ref()).await?;
    let correction = event_of(app, caller, record, correction).await?;
    append_all(app, caller, document, vec![correction, decision], Some(version)).await
}

/// The event that a review asks for, of a document whose department is corrected to this one before.
async fn body_of(
    app: &App,
    caller: &Caller,
    document: DocumentId,
    review: Review,
    department: Option<&String>,
) -> Result<EventBody, Refusal> {
    let too_long = |text: &str| text.chars().count() > TEXT_CHARACTERS;
    Ok(match review {
        Review::Approve { document_type, fields, comment, override_reason } => {
            if fields.values().chain(&comment).chain(&override_reason).any(|text| too_long(text)) {
                return Err(Refusal::bad_request(format!("texts have at most {TEXT_CHARACTERS} characters")));
            }
            let reason = override_reason.filter(|reason| !reason.trim().is_empty());
            let approval = Approval { document_type, fields, override_reason: reason };
            approval.event(app, caller, document, comment, department).await?
        }
        Review::Reject { comment } if comment.trim().is_empty() || too_long(&comment) => {
            return Err(Refusal::bad_request("a rejection says why, in at most 4000 characters"));
        }
        Review::Reject { comment } => EventBody::Rejected { comment },
    })
}

/// What a person approves.
struct Approval {
    document_type: Option<DocumentType>,
    fields: BTreeMap<String, String>,
    override_reason: Option<String>,
}

impl Approval {
    /// The event, where the document keeps the rules of validation with it, or where the caller may override those it does
    /// not keep and says why.
    async fn event(
        self,
        app: &App,
        caller: &Caller,
        document: DocumentId,
        comment: Option<String>,
        department: Option<&String>,
    ) -> Result<EventBody, Refusal> {
        let Self { document_type, fields, override_reason } = self;
        let record = documents::find(app.store.reading(), caller.tenant(), document).await?;
        let record = record.filter(|record| record.document.status == Status::InReview);
        let read = match &record {
            Some(record) => read_as(app, caller, record, document_type.as_ref()).await?,
            None => None,
        };
        let violations = match record {
            Some(record) => {
                let corrected = record.corrected(document_type.as_ref(), read.as_ref(), &fields, department);
                let found = violations(app, caller, &record, &corrected).await?;
                let is_changed = document_type.is_some() || !fields.is_empty() || department.is_some();
                if is_changed { found } else { record.not_overridden(found) }
            }
            // Where it is none, or does not wait for review, it is refused for that.
            None => Vec::new(),
        };
        let may = app.policy(caller.tenant()).may_override(caller.scopes());
        let hopeless = |violation: &Violation| violation.rule == Violation::SIGNERS;
        let refuse = |detail: &str, help: &str| {
            let complaint = |violation: &Violation| {
                (violation.place(), format!("{} {}", violation.message, violation.remedy))
            };
            let errors = violations.iter().map(complaint).collect();
            Err(Refusal::invalid(detail, errors).help(help))
        };
        let overridden = match &override_reason {
            _ if violations.is_empty() => Vec::new(),
            Some(_) if !may => {
                let detail = "it does not keep the rules of validation, and you may not override them";
                return refuse(detail, "mend what `errors` names, or ask an administrator");
            }
            Some(_) if violations.iter().any(hopeless) => {
                let detail = "nobody can be asked to sign it: that cannot be overridden";
                return refuse(detail, "mend what `errors` names");
            }
            Some(_) => violations,
            None => {
                let detail = "it does not keep the rules of validation";
                let help = "mend what `errors` names; who has the right may say in `override_reason` why it may go on";
                return refuse(detail, help);
            }
        };
        let override_reason = override_reason.filter(|_| !overridden.is_empty());
        Ok(EventBody::Approved { document_type, read, fields, comment, override_reason, overridden })
    }
}

/// The rules a document would not keep if it were like this.
pub(super) async fn violations(
    app: &App,
    caller: &Caller,
    record: &Record,
    document: &Document,
) -> Result<Vec<Violation>, Refusal> {
    let text = app.keep.page_text(caller.tenant(), record).await?;
    Ok(app.policy(caller.tenant()).violations(document, text.as_ref()))
}

/// Sends a document on its way again after an end that allows it.
pub async fn retry(
    app: &App,
    caller: &Caller,
    document: DocumentId,
    version: Option<u64>,
) -> Result<Document, Refusal> {
    act(app, caller, document, EventBody::Retried, version).await
}

/// Appends an event that a person, or a program for one, decided on.
pub(super) async fn act(
    app: &App,
    caller: &Caller,
    document: DocumentId,
    body: EventBody,
    version: Option<u64>,
) -> Result<Document, Refusal> {
    caller.must(Scope::Review)?;
    // What is changed by an approval starts the count of them anew, so a correction is never refused.
    if let EventBody::Approved { document_type: None, fields, .. } = &body
        && fields.is_empty()
    {
        must_be_another(app, caller, document).await?;
    }
    append(app, caller, document, body, version).await
}

/// Appends an event for a caller whose scope was asked for.
pub(super) async fn append(
    app: &App,
    caller: &Caller,
    document: DocumentId,
    body: EventBody,
    version: Option<u64>,
) -> Result<Document, Refusal> {
    append_all(app, caller, document, vec![body], version).await
}

/// The same with several, of which the last says what the document is then.
async fn append_all(
    app: &App,
    caller: &Caller,
    document: DocumentId,
    bodies: Vec<EventBody>,
    version: Option<u64>,
) -> Result<Document, Refusal> {
    let mut write = app.store.begin().await?;
    if let Some(seen) = version {
        write.hold(document).await?;
        let now = documents::find(&mut *write, caller.tenant(), document).await?;
        let now = now.ok_or_else(|| Refusal::not_found(format!("document {document}")))?.document.version;
        if now != seen {
            let detail = format!("the document is at version {now}; the decision was made on version {seen}");
            return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "changed-meanwhile", detail)
                .help("look at the document again, then decide"));
        }
    }
    let mut record = None;
    for body in bodies {
        record = Some(events::append(&mut write, caller.tenant(), document, caller.actor(), body).await?);
    }
    write.commit().await?;
    app.wake.notify_one();
    let record = record.ok_or_else(|| Refusal::internal("nothing was to be appended"))?;
    Ok(record.document)
}

/// Refuses a second approval by the person who gave the first, where a route asks for several people's.
async fn must_be_another(app: &App, caller: &Caller, document: DocumentId) -> Result<(), Refusal> {
    let record = documents::find(app.store.reading(), caller.tenant(), document).await?;
    match record.and_then(|record| awaits_others(app, caller, &record)) {
        Some(needed) => {
            let detail = format!("you approved it already; the route asks for {needed} people's approval");
            Err(Refusal::conflict(detail).help("ask somebody else to approve it, or reject it"))
        }
        None => Ok(()),
    }
}

/// How many people's approval a document in review needs, where this caller gave theirs and others have yet to.
pub fn awaits_others(app: &App, caller: &Caller, record: &Record) -> Option<u32> {
    let is_in_review = record.document.status == Status::InReview;
    if !is_in_review || !record.approved_by.contains(&caller.actor().to_string()) {
        return None;
    }
    let needed =
        app.policy(caller.tenant()).route(&record.document).map_or(0, |chosen| chosen.route.approvals);
    let there = u32::try_from(record.approved_by.len()).unwrap_or(u32::MAX);
    (there < needed).then_some(needed)
}

/// The id in a path, or 404.
pub(super) fn parse(id: &str) -> Result<DocumentId, Refusal> {
    id.parse().map_err(|_| Refusal::not_found(format!("document {id}")))
}
