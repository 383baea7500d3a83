//! What the pages' buttons do: what the API does, from a form. A review names the version it was made on, and where it is
//! refused its form is shown again.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use platen_model::api::Review;
use platen_model::{Digest, DocumentId};
use serde::Deserialize;

use super::draft::Draft;
use super::session::SignedIn;
use super::{Occasion, PageResult, frame, show};
use crate::api::corrections::{self, Correction};
use crate::api::{self, review as decisions};
use crate::app::App;
use crate::auth::{Caller, Role, User};
use crate::http::read::Form;
use crate::refusal::Refusal;
use crate::signing;
use crate::store::record::Record;

/// A form with nothing but the session's token.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Token {
    #[serde(default)]
    pub(super) csrf: String,
}

/// What was asked of a document with a form.
enum Done {
    /// It was decided on.
    Decided,
    /// It was corrected, and waits as before.
    Corrected,
    /// Nothing yet: the fields of the type that was chosen are to be seen first.
    Unseen,
}

/// `POST /documents/{id}/review`: the form's fields are many and named by the document, so all are read. A refusal shows
/// the document again, with all that was typed.
pub(super) async fn review(
    State(app): State<App>,
    who: SignedIn,
    Path(id): Path<String>,
    Form(form): Form<BTreeMap<String, String>>,
) -> PageResult {
    who.0.must_be(Role::Reviewer)?;
    let record = find(&app, &who.0, &id).await?;
    let draft = Draft::of_form(&form, &record.document);
    let action = form.get("action").map_or("", String::as_str);
    let done = match must_be_of_this_session(&who.0, &form) {
        Ok(()) => reviewed(&app, &who.0.clone().into(), &record, &draft, action).await,
        Err(refusal) => Err(refusal),
    };
    let next = match done {
        Err(refusal) => return show_again(&app, &who, &id, draft, refusal).await,
        Ok(Done::Unseen) => {
            let message = "These are the fields of that type, as they were read. Look at them, then approve.";
            let occasion = Occasion { draft, message: Some(message.to_owned()), complaint: None };
            return show(&app, &who, &id, occasion).await;
        }
        Ok(Done::Decided) => draft.queue.as_deref().map_or_else(|| format!("/documents/{id}"), after),
        Ok(Done::Corrected) => {
            let place = draft.queue.as_deref().map(|queue| format!("&queue={}", frame::encode(queue)));
            format!("/documents/{id}?corrected=1{}", place.unwrap_or_default())
        }
    };
    Ok(Redirect::to(&next).into_response())
}

/// The next document of the review queue that stood behind this one.
fn after(document: &str) -> String {
    match document.parse::<DocumentId>() {
        Ok(document) => format!("/review?after={document}"),
        Err(_) => "/review".to_owned(),
    }
}

/// Cookies are not sent along with forms of other sites, so a token that is not this session's is of one that ended.
fn must_be_of_this_session(user: &User, form: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let token = form.get("csrf").map(String::as_str);
    user.must_have_sent(token).map_err(|_| {
        Refusal::forbidden("you have signed in anew since this page was shown")
            .help("look at it once more, then send it again")
    })
}

async fn reviewed(
    app: &App,
    caller: &Caller,
    record: &Record,
    draft: &Draft,
    action: &str,
) -> Result<Done, Refusal> {
    let document = record.document.document_id;
    let version = draft.version.ok_or_else(|| Refusal::bad_request("the form names no version"))?;
    if matches!(action, "approve" | "correct") {
        draft.check()?;
    }
    match action {
        "approve" if draft.is_unseen => Ok(Done::Unseen),
        "approve" => {
            approved(app, caller, record, draft, version).await?;
            Ok(Done::Decided)
        }
        "correct" => {
            if !draft.changes_it() {
                let detail = "nothing is changed in the form, so there is nothing to correct";
                return Err(
                    Refusal::invalid(detail, BTreeMap::new()).help("change what is wrong, or approve it")
                );
            }
            let correction = draft.correction();
            correction.check()?;
            corrections::apply(app, caller, record, correction, version).await?;
            Ok(Done::Corrected)
        }
        "reject" if draft.comment.is_empty() => {
            let errors = BTreeMap::from([("comment".to_owned(), "say why you reject it".to_owned())]);
            Err(Refusal::invalid("a rejection needs a comment", errors).help("write one"))
        }
        "reject" => {
            let review = Review::Reject { comment: draft.comment.clone() };
            decisions::decide(app, caller, document, review, Some(version)).await?;
            Ok(Done::Decided)
        }
        _ => Err(Refusal::bad_request("the form names no action")),
    }
}

/// An approval says nothing of departments, so another one is a correction, written together with it.
async fn approved(
    app: &App,
    caller: &Caller,
    record: &Record,
    draft: &Draft,
    version: u64,
) -> Result<(), Refusal> {
    if draft.department.is_none() {
        let document = record.document.document_id;
        return decisions::decide(app, caller, document, draft.approval(), Some(version)).await.map(|_| ());
    }
    let correction = Correction { department: draft.department.clone(), ..Correction::default() };
    correction.check()?;
    let decided = decisions::decide_on_corrected(app, caller, record, correction, draft.approval(), version);
    decided.await.map(|_| ())
}

/// The document's page once more, with what was typed and why it was refused; the refusal alone where there is no page.
async fn show_again(app: &App, who: &SignedIn, id: &str, draft: Draft, refusal: Refusal) -> PageResult {
    let problem = refusal.problem().clone();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let occasion = Occasion { draft, message: None, complaint: Some(problem) };
    match show(app, who, id, occasion).await {
        Ok(page) => Ok((status, page).into_response()),
        Err(_) => Err(refusal.into()),
    }
}

/// `POST /documents/{id}/retry`.
pub(super) async fn retry(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Token>,
) -> PageResult {
    allow(&user, Some(&form.csrf))?;
    let record = find(&app, &user, &id).await?;
    decisions::retry(&app, &user.into(), record.document.document_id, None).await?;
    Ok(Redirect::to(&format!("/documents/{id}")).into_response())
}

/// `POST /documents/{id}/settle`: it is what the person says and goes on, or it is rejected.
pub(super) async fn settle(
    State(app): State<App>,
    who: SignedIn,
    Path(id): Path<String>,
    Form(form): Form<BTreeMap<String, String>>,
) -> PageResult {
    who.0.must_be(Role::Reviewer)?;
    let record = find(&app, &who.0, &id).await?;
    let draft = Draft::of_form(&form, &record.document);
    let action = form.get("action").map_or("", String::as_str);
    let done = match must_be_of_this_session(&who.0, &form) {
        Ok(()) => settled(&app, &who.0.clone().into(), &record, &draft, action).await,
        Err(refusal) => Err(refusal),
    };
    match done {
        Ok(()) => Ok(Redirect::to(&format!("/documents/{id}")).into_response()),
        Err(refusal) => show_again(&app, &who, &id, draft, refusal).await,
    }
}

async fn settled(
    app: &App,
    caller: &Caller,
    record: &Record,
    draft: &Draft,
    action: &str,
) -> Result<(), Refusal> {
    if action != "correct" {
        return match action {
            "reject" => reviewed(app, caller, record, draft, action).await.map(|_| ()),
            _ => Err(Refusal::bad_request("the form names no action")),
        };
    }
    let version = draft.version.ok_or_else(|| Refusal::bad_request("the form names no version"))?;
    let Some(document_type) = draft.chosen.clone().filter(|chosen| !chosen.is_unknown()) else {
        let errors = BTreeMap::from([("document_type".to_owned(), "say what it is".to_owned())]);
        let refusal = Refusal::invalid("it cannot be settled like this", errors);
        return Err(refusal.help("choose another type, or reject it"));
    };
    // A person's word is wanted also where the rules were right.
    let correction = Correction { document_type: Some(document_type), ..Correction::default() };
    let corrected = corrections::apply(app, caller, record, correction, version).await?;
    let document = record.document.document_id;
    decisions::retry(app, caller, document, Some(corrected.version)).await.map(|_| ())
}

/// `POST /documents/{id}/reprocess`.
pub(super) async fn reprocess(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Token>,
) -> PageResult {
    allow(&user, Some(&form.csrf))?;
    let record = find(&app, &user, &id).await?;
    api::versions::begin_anew(&app, &user.into(), record.document.document_id, None, None).await?;
    Ok(Redirect::to(&format!("/documents/{id}")).into_response())
}

/// The form that withdraws an envelope.
#[derive(Debug, Deserialize)]
pub(super) struct Void {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    reason: String,
}

/// `POST /documents/{id}/void`.
pub(super) async fn void(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Void>,
) -> PageResult {
    allow(&user, Some(&form.csrf))?;
    let record = find(&app, &user, &id).await?;
    let reason = if form.reason.trim().is_empty() { "withdrawn" } else { form.reason.trim() };
    let actor = Caller::from(user.clone()).actor();
    let nothing = || Refusal::conflict("the document has no open envelope");
    let (document, envelope) =
        (record.document.document_id, record.document.envelope_id.ok_or_else(nothing)?);
    signing::http::withdraw(&app, &user.tenant, document, envelope, reason, actor).await?;
    Ok(Redirect::to(&format!("/documents/{id}")).into_response())
}

/// The form that takes a PDF for signed that came back broken.
#[derive(Debug, Deserialize)]
pub(super) struct Acceptance {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    reason: String,
    /// The digest of the PDF that was looked at.
    sha256: Digest,
}

/// `POST /documents/{id}/accept`.
pub(super) async fn accept(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Acceptance>,
) -> PageResult {
    allow(&user, Some(&form.csrf))?;
    let document = find(&app, &user, &id).await?.document.document_id;
    let actor = Caller::from(user.clone()).actor();
    signing::http::take_for_signed(&app, &user.tenant, document, form.sha256, &form.reason, actor).await?;
    Ok(Redirect::to(&format!("/documents/{id}")).into_response())
}

pub(super) fn allow(user: &User, csrf: Option<&str>) -> Result<(), Refusal> {
    user.must_be(Role::Reviewer)?;
    user.must_have_sent(csrf)
}

/// The document of an id in a path, if it is this person's tenant's.
pub(super) async fn find(app: &App, user: &User, id: &str) -> Result<Record, Refusal> {
    api::documents::find(app, &user.tenant, id).await
}
