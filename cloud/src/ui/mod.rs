//! The pages people use: the list, a document, the review queue, and what says that something failed.
//!
//! Pages are rendered on the server from templates that are part of the program; there is no script and no
//! build step, so everything works with a keyboard and under a policy that allows no script at all. Nothing
//! here decides anything: a button proposes the same event the HTTP API would. The danger is a request the
//! person did not mean: every form carries the session's token, and a review names the version it was made on.

use std::sync::LazyLock;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use platen_capture::classify::RuleSet;
use platen_model::api::Document;
use platen_model::event::Event;
use platen_model::{DocumentId, PageText, PartRole, Problem, TenantId};
use serde::Deserialize;

use crate::api;
use crate::app::App;
use crate::auth::{Caller, Role, Scopes};
use crate::blobs::BlobError;
use crate::refusal::Refusal;
use crate::signing::{self, desk::front::Front};
use crate::store::record::Record;
use crate::store::{documents, envelopes, events};
use draft::Draft;
use form_view::FormView;
use lookup::Next;
use session::SignedIn;

mod actions;
mod at_the_desk;
mod devices;
mod devices_page;
pub mod document_page;
mod draft;
mod form_view;
mod forms_pages;
pub mod frame;
mod jobs_page;
pub mod list_page;
mod lookup;
pub mod pictures;
pub mod session;
pub mod words;

/// A page, or the page that says why there is none.
pub type PageResult = Result<Response, PageError>;

/// The routes of the pages.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(async || Redirect::to("/documents")))
        .route("/login", get(session::login_page).post(session::login))
        .route("/logout", post(session::logout))
        .route("/documents", get(list))
        .route("/documents/{id}", get(document))
        .route("/documents/{id}/pages/{page}", get(picture))
        .route("/documents/{id}/aside/{number}", get(aside_picture))
        .route("/documents/{id}/teach/{page}", get(forms_pages::page).post(forms_pages::teach))
        .route("/forms", get(forms_pages::list))
        .route("/forms/{id}/remove", post(forms_pages::remove))
        .route("/documents/{id}/review", post(actions::review))
        .route("/documents/{id}/retry", post(actions::retry))
        .route("/documents/{id}/settle", post(actions::settle))
        .route("/documents/{id}/void", post(actions::void))
        .route("/documents/{id}/accept", post(actions::accept))
        .route("/documents/{id}/desk/{position}/link", post(at_the_desk::link))
        .route("/documents/{id}/desk/{position}/pin", post(at_the_desk::pin))
        .route("/documents/{id}/reprocess", post(actions::reprocess))
        .route("/jobs", get(jobs_page::page))
        .route("/jobs/{id}/replay", post(jobs_page::replay))
        .route("/review", get(review))
        .route("/devices", get(devices::list))
        .route("/devices/{id}/orders", post(devices::order))
        .route("/assets/platen.css", get(frame::style))
        .route("/assets/icon.svg", get(frame::icon))
        .route("/assets/sign.js", get(frame::sign_script))
}

/// `GET /documents`.
async fn list(State(app): State<App>, who: SignedIn, Query(filter): Query<list_page::Filter>) -> PageResult {
    let tenant = &who.0.tenant;
    let found = lookup::list(&app.store, tenant, &filter).await?;
    let oldest = lookup::oldest_in_review(&app.store, tenant).await?;
    let material = list_page::Material {
        documents: found.items,
        next: found.next,
        counts: lookup::counts(&app.store, tenant).await?,
        types: lookup::types(&app.store, tenant).await?,
        oldest_waiting: oldest.map(|document| document.created_at),
        filter,
    };
    html(&list_page::ListPage::new(who.frame(&app, "documents").await?, material))
}

/// `GET /documents/{id}`.
async fn document(
    State(app): State<App>,
    who: SignedIn,
    Path(id): Path<String>,
    Query(done): Query<Done>,
) -> PageResult {
    let taught = |field: String| {
        format!(
            "{} was taught. It is read there on every copy of this form from now on.",
            words::title_case(&field)
        )
    };
    let corrected = || "It was corrected, and waits as before.".to_owned();
    let message = done.taught.map(taught).or_else(|| done.corrected.map(|_| corrected()));
    let draft = Draft { queue: done.queue, ..Draft::default() };
    show(&app, &who, &id, Occasion { draft, message, complaint: None }).await
}

/// What was just done, where a form sends its reader on.
#[derive(Debug, Deserialize)]
struct Done {
    /// The field that was taught.
    taught: Option<String>,
    /// It was corrected.
    corrected: Option<String>,
    /// Where the reader is in the review queue.
    queue: Option<String>,
}

/// Where the reader is in the review queue.
#[derive(Debug, Deserialize)]
struct Place {
    /// The document before.
    after: Option<String>,
}

/// `GET /review`: the document that waits longest for this person, from a place on, or a page that says that none does.
async fn review(State(app): State<App>, who: SignedIn, Query(place): Query<Place>) -> PageResult {
    let caller = Caller::from(who.0.clone());
    let after = place.after.as_deref().and_then(|after| after.parse().ok());
    let is_for_them = |record: &Record| api::review::awaits_others(&app, &caller, record).is_none();
    let looked_through = lookup::LOOKED_THROUGH;
    let next = lookup::next_in_review(&app.store, &who.0.tenant, after, looked_through, is_for_them).await?;
    match next {
        Next::Found(document) => {
            let draft = Draft { queue: Some(place.after.unwrap_or_default()), ..Draft::default() };
            let occasion = Occasion { draft, message: None, complaint: None };
            show(&app, &who, &document.to_string(), occasion).await
        }
        Next::Nothing | Next::Further(_) => html(&NothingToReview {
            frame: who.frame(&app, "review").await?,
            further: match next {
                Next::Further(document) => Some(document),
                _ => None,
            },
            looked_through,
            is_at_the_end: after.is_some(),
        }),
    }
}

/// What a document's page is shown for, beside the document.
#[derive(Debug, Default)]
struct Occasion {
    /// What was typed already.
    draft: Draft,
    /// What was just done.
    message: Option<String>,
    /// Why what was typed was refused.
    complaint: Option<Problem>,
}

/// The page text of a document; `None` where it has none that can be read.
async fn page_text(app: &App, tenant: &TenantId, record: &Record) -> Result<Option<PageText>, PageError> {
    match app.keep.page_text(tenant, record).await {
        Err(BlobError::Damaged(_)) => Ok(None),
        text => Ok(text?),
    }
}

async fn show(app: &App, who: &SignedIn, id: &str, occasion: Occasion) -> PageResult {
    let Occasion { draft, message, complaint } = occasion;
    let tenant = &who.0.tenant;
    let record = api::documents::find(app, tenant, id).await?;
    let document_id = record.document.document_id;
    let text = page_text(app, tenant, &record).await?;
    let chain = events::of_document(&app.store, tenant, document_id).await?;
    let chain: Vec<Event> =
        chain.iter().filter_map(|event| serde_json::from_str(&event.bytes).ok()).collect();
    let envelope = match record.document.envelope_id {
        Some(key) => envelopes::find(&app.store, tenant, key).await?.map(|(envelope, _)| envelope),
        None => None,
    };
    let policy = app.policy(tenant);
    let plan = match (&envelope, text.as_ref()) {
        (None, Some(text)) => signing::plan::plan(&policy, &record, text),
        _ => None,
    };
    let replaces = match &record.replaces {
        Some(trace) => Some(documents::of_trace(&app.store, tenant, trace).await?),
        None => None,
    };
    let replaced_by = documents::replacing(&app.store, tenant, &record.document.correlation_id).await?;
    let front = match &envelope {
        Some(envelope) if envelope.provider == signing::desk::NAME => {
            app.signing.desk.front(tenant, envelope.envelope_id).await.map_err(signing::http::refusal)?
        }
        _ => Front::default(),
    };
    let form = FormView::of(app, &who.0.clone().into(), &record, text.as_ref(), &draft).await?;
    let material = document_page::Material {
        document: &record.document,
        text: text.as_ref(),
        events: &chain,
        envelope: envelope.as_ref(),
        form: &form,
        complaint: complaint.as_ref(),
        may_review: who.0.role >= Role::Reviewer,
        settleable: crate::machine::awaits_a_type(record.document.status, record.resume),
        may_override: policy.may_override(&Scopes::of_role(who.0.role)),
        front: &front,
        plan: plan.as_ref(),
        replaces: replaces.as_deref(),
        replaced_by: &replaced_by,
        types: &types_to_choose(app, who, [&record.document, &form.known]).await?,
        message,
    };
    let here = if draft.queue.is_some() { "review" } else { "documents" };
    html(&document_page::DocumentPage::new(who.frame(app, here).await?, &material))
}

/// The types a person can choose from: those the rules know, those the tenant's documents have, this one's and that which
/// was chosen.
async fn types_to_choose(app: &App, who: &SignedIn, own: [&Document; 2]) -> Result<Vec<String>, PageError> {
    let mut types = lookup::types(&app.store, &who.0.tenant).await?;
    types.extend(RULE_TYPES.iter().cloned());
    types.extend(own.map(|document| document.document_type.0.clone()));
    types.retain(|name| name != "unknown");
    types.sort();
    types.dedup();
    Ok(types)
}

/// The types the shipped classification rules know. Agents may have rules of their own; what those find shows
/// with the first document of that type.
static RULE_TYPES: LazyLock<Vec<String>> =
    LazyLock::new(|| RuleSet::shipped().document_types().map(|name| name.0.clone()).collect());

/// `GET /documents/{id}/pages/{n}.png`.
async fn picture(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path((id, page)): Path<(String, String)>,
) -> PageResult {
    let record = api::documents::find(&app, &user.tenant, &id).await?;
    let normalized = record.part(PartRole::Normalized).map(|part| part.sha256);
    let pdf = record.signed_sha256.or(normalized);
    let pdf = pdf.ok_or_else(|| Refusal::not_found("picture: the document has no PDF"))?;
    Ok(pictures::answer(&app, &user.tenant, pdf, record.document.page_count, &page).await?)
}

/// `GET /documents/{id}/aside/{n}.png`: the n-th of the pages that were set aside, as it was scanned.
async fn aside_picture(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path((id, name)): Path<(String, String)>,
) -> PageResult {
    let record = api::documents::find(&app, &user.tenant, &id).await?;
    let text = page_text(&app, &user.tenant, &record).await?;
    let number = name.strip_suffix(".png").and_then(|number| number.parse::<usize>().ok());
    let aside = number.and_then(|number| text?.set_aside.get(number.checked_sub(1)?).copied());
    let missing = || Refusal::not_found(format!("page {name} among those set aside"));
    let page = aside.ok_or_else(missing)?.page;
    let mut originals = record.parts.iter().filter(|part| part.role == PartRole::Original);
    let original = originals.nth(page.source as usize).ok_or_else(missing)?;
    Ok(pictures::answer_scan(&app, &user.tenant, original.sha256, page.page).await?)
}

#[derive(Debug, Template)]
#[template(path = "review_empty.html")]
struct NothingToReview {
    frame: frame::Frame,
    /// The last that was looked at, where more are behind it.
    further: Option<DocumentId>,
    /// So many were looked at then.
    looked_through: u32,
    /// Only those before were left out.
    is_at_the_end: bool,
}

/// A rendered template as an answer.
pub fn html(page: &impl Template) -> PageResult {
    let text = page.render().map_err(Refusal::internal)?;
    Ok(Html(text).into_response())
}

/// A refusal as a page for people: what failed, what is safe, what to do.
#[derive(Clone, Debug)]
pub struct PageError(Refusal);

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    problem: &'a Problem,
    way_on: Option<(&'static str, &'static str)>,
}

impl<E: Into<Refusal>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let problem = self.0.problem();
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let way_on = Some(("/documents", "All documents"));
        match (ProblemPage { problem, way_on }).render() {
            Ok(page) => (status, Html(page)).into_response(),
            Err(_) => self.0.into_response(),
        }
    }
}

#[cfg(test)]
mod review_tests;
#[cfg(test)]
mod tests;
