//! What the pages' buttons do: propose an event, or ask a provider. The state machine decides.

use std::collections::BTreeMap;

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use platen_model::event::EventBody;
use platen_model::{DocumentId, DocumentType};
use serde::Deserialize;

use super::PageResult;
use super::session::SignedIn;
use crate::app::App;
use crate::auth::{Role, User};
use crate::refusal::Refusal;
use crate::signing;
use crate::store::record::Record;
use crate::store::{documents, events};

/// A form with nothing but the session's token.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Token {
    #[serde(default)]
    pub(super) csrf: String,
}

/// `POST /documents/{id}/review`: the form's fields are many and named by the document, so all are read.
pub(super) async fn review(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<BTreeMap<String, String>>,
) -> PageResult {
    let given = |name: &str| form.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    allow(&user, given("csrf"))?;
    let record = find(&app, &user, &id).await?;
    if given("version") != Some(record.document.version.to_string().as_str()) {
        let refusal = Refusal::conflict("somebody has worked on this document since you opened it");
        return Err(refusal.help("open the document again and look before you decide").into());
    }
    let body = match given("action") {
        Some("approve") => approval(&record, &form),
        Some("reject") => {
            let comment = given("comment").ok_or_else(|| {
                let errors = BTreeMap::from([("comment".to_owned(), "say why you reject it".to_owned())]);
                Refusal::invalid("a rejection needs a comment", errors).help("go back and write one")
            })?;
            EventBody::Rejected { comment: comment.to_owned() }
        }
        _ => return Err(Refusal::bad_request("the form names no action").into()),
    };
    propose(&app, &user, &record, body).await?;
    let next = if form.contains_key("queue") { "/review".to_owned() } else { format!("/documents/{id}") };
    Ok(Redirect::to(&next).into_response())
}

/// The approval with what was corrected, and nothing that was not.
fn approval(record: &Record, form: &BTreeMap<String, String>) -> EventBody {
    let document = &record.document;
    let document_type = form.get("document_type").filter(|name| **name != document.document_type.0);
    let corrected = document.fields.iter().filter_map(|(name, field)| {
        let value = form.get(&format!("field.{name}"))?.trim();
        (value != field.value).then(|| (name.clone(), value.to_owned()))
    });
    let comment = form.get("comment").map(|comment| comment.trim()).filter(|comment| !comment.is_empty());
    EventBody::Approved {
        document_type: document_type.map(|name| DocumentType(name.clone())),
        fields: corrected.collect(),
        comment: comment.map(str::to_owned),
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
    propose(&app, &user, &record, EventBody::Retried).await?;
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
    signing::http::withdraw(&app, &user.tenant, record.document.document_id, reason).await?;
    Ok(Redirect::to(&format!("/documents/{id}")).into_response())
}

fn allow(user: &User, csrf: Option<&str>) -> Result<(), Refusal> {
    user.must_be(Role::Reviewer)?;
    user.must_have_sent(csrf)
}

async fn propose(app: &App, user: &User, record: &Record, body: EventBody) -> Result<(), Refusal> {
    let mut write = app.store.begin().await?;
    events::append(&mut write, &user.tenant, record.document.document_id, user.actor(), body).await?;
    write.commit().await?;
    app.wake.notify_one();
    Ok(())
}

/// The document of an id in a path, if it is this person's tenant's.
pub(super) async fn find(app: &App, user: &User, id: &str) -> Result<Record, Refusal> {
    let unknown = || Refusal::not_found(format!("document {id}"));
    let document: DocumentId = id.parse().map_err(|_| unknown())?;
    documents::find(app.store.reading(), &user.tenant, document).await?.ok_or_else(unknown)
}
