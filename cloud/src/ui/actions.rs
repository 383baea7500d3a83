//! What the pages' buttons do: what the API does, from a form. A review names the version it was made on.

use std::collections::BTreeMap;

use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse, Redirect};
use platen_model::api::Review;
use platen_model::{Digest, DocumentType};
use serde::Deserialize;

use super::PageResult;
use super::session::SignedIn;
use crate::api::corrections::{self, Correction};
use crate::api::{self, review as decisions};
use crate::app::App;
use crate::auth::{Caller, Role, User};
use crate::refusal::Refusal;
use crate::signing;
use crate::store::record::Record;

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
    let version = given("version").and_then(|version| version.parse().ok());
    let version = version.ok_or_else(|| Refusal::bad_request("the form names no version"))?;
    let review = match given("action") {
        Some("approve") => approval(&record, &form),
        Some("reject") => {
            let comment = given("comment").ok_or_else(|| {
                let errors = BTreeMap::from([("comment".to_owned(), "say why you reject it".to_owned())]);
                Refusal::invalid("a rejection needs a comment", errors).help("go back and write one")
            })?;
            Review::Reject { comment: comment.to_owned() }
        }
        _ => return Err(Refusal::bad_request("the form names no action").into()),
    };
    decisions::decide(&app, &user.into(), record.document.document_id, review, Some(version)).await?;
    let next = if form.contains_key("queue") { "/review".to_owned() } else { format!("/documents/{id}") };
    Ok(Redirect::to(&next).into_response())
}

/// The approval with what was corrected, and nothing that was not. A field that was not read may be filled in.
fn approval(record: &Record, form: &BTreeMap<String, String>) -> Review {
    let document = &record.document;
    let document_type = form.get("document_type").filter(|name| **name != document.document_type.0);
    let corrected = form.iter().filter_map(|(name, value)| {
        let (name, value) = (name.strip_prefix("field.")?, value.trim());
        let before = document.fields.get(name).map_or("", |field| field.value.as_str());
        (value != before).then(|| (name.to_owned(), value.to_owned()))
    });
    let given = |name: &str| {
        form.get(name).map(|text| text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Review::Approve {
        document_type: document_type.map(|name| DocumentType(name.clone())),
        fields: corrected.collect(),
        comment: given("comment"),
        override_reason: given("override_reason"),
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

/// The form that settles what a document is that was set aside because of it.
#[derive(Debug, Deserialize)]
pub(super) struct Settlement {
    #[serde(default)]
    csrf: String,
    version: u64,
    action: String,
    #[serde(default)]
    document_type: String,
    #[serde(default)]
    comment: String,
}

/// `POST /documents/{id}/settle`: it is what the person says and goes on, or it is rejected.
pub(super) async fn settle(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Settlement>,
) -> PageResult {
    allow(&user, Some(&form.csrf))?;
    let record = find(&app, &user, &id).await?;
    let document = record.document.document_id;
    let wrong = |field: &str, why: &str| {
        let errors = BTreeMap::from([(field.to_owned(), why.to_owned())]);
        Refusal::invalid("it cannot be settled like this", errors).help("go back and fill in what is missing")
    };
    match form.action.as_str() {
        "correct" => {
            let document_type = DocumentType(form.document_type.trim().to_owned());
            if document_type.0.is_empty() || document_type.is_unknown() {
                return Err(wrong("document_type", "say what it is").into());
            }
            let correction = Correction { document_type: Some(document_type), ..Correction::default() };
            let caller = user.into();
            let corrected = corrections::apply(&app, &caller, &record, correction, form.version).await?;
            decisions::retry(&app, &caller, document, Some(corrected.version)).await?;
        }
        "reject" => {
            if form.comment.trim().is_empty() {
                return Err(wrong("comment", "say why you reject it").into());
            }
            let review = Review::Reject { comment: form.comment.trim().to_owned() };
            decisions::decide(&app, &user.into(), document, review, Some(form.version)).await?;
        }
        _ => return Err(Refusal::bad_request("the form names no action").into()),
    }
    Ok(Redirect::to(&format!("/documents/{id}")).into_response())
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
