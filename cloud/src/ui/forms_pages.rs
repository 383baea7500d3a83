//! Teaching: the page on which a person shows where a field stands, and the list of what was taught.
//!
//! Each word of the page, and each box to tick that is drawn on it, is an input that lies over the picture, so that teaching
//! works with a keyboard and without a script.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect};
use platen_capture::classify::layout::can_be_taught;
use platen_model::{CheckBox, PageRecord, Rect, Word};
use uuid::Uuid;

use super::actions::{Token, allow};
use super::frame::{Choice, Frame};
use super::session::SignedIn;
use super::{PageResult, html, page_text, words};
use crate::api;
use crate::app::App;
use crate::auth::Role;
use crate::forms::{self, KINDS, Lesson, Shown};
use crate::http::read::Form;
use crate::refusal::Refusal;
use crate::store::{audit, forms as rows};

/// Most words, and most boxes, of a page that can be chosen.
const WORDS: usize = 3_000;

#[derive(Debug, Template)]
#[template(path = "teach.html")]
struct TeachPage {
    frame: Frame,
    id: String,
    name: String,
    page: u32,
    pages: u32,
    width: u32,
    height: u32,
    words: Vec<PlaceView>,
    check_boxes: Vec<PlaceView>,
    fields: Vec<String>,
    kinds: Vec<Choice>,
}

/// What can be chosen on the page.
#[derive(Debug)]
struct PlaceView {
    place: usize,
    text: String,
    rect: Rect,
}

/// `GET /documents/{id}/teach/{page}`, pages counted from 1.
pub(super) async fn page(
    State(app): State<App>,
    who: SignedIn,
    Path((id, number)): Path<(String, u32)>,
) -> PageResult {
    who.0.must_be(Role::Reviewer)?;
    let record = api::documents::find(&app, &who.0.tenant, &id).await?;
    let text = page_text(&app, &who.0.tenant, &record).await?;
    let missing = || Refusal::not_found(format!("page {number} with a text"));
    let text = text.ok_or_else(missing)?;
    let index = number.checked_sub(1).ok_or_else(missing)?;
    let page = text.pages.get(index as usize).ok_or_else(missing)?;
    if !can_be_taught(index as usize, text.pages.len()) {
        let detail = format!("page {number} lies in the middle of a long document, where nothing is read");
        return Err(Refusal::conflict(detail).help("teach on one of the first or the last pages").into());
    }
    let PageRecord { width_px, height_px, words, check_boxes, .. } = page;
    let word = |(place, word): (usize, &Word)| PlaceView { place, text: word.text.clone(), rect: word.rect };
    let check_box = |(place, found): (usize, &CheckBox)| {
        let text = if found.ticked { "a box that is ticked" } else { "a box that is not ticked" };
        PlaceView { place, text: text.to_owned(), rect: found.rect }
    };
    html(&TeachPage {
        id: record.document.document_id.to_string(),
        name: record.document.file_name.clone(),
        page: number,
        pages: u32::try_from(text.pages.len()).unwrap_or(u32::MAX),
        width: *width_px,
        height: *height_px,
        words: words.iter().enumerate().take(WORDS).map(word).collect(),
        check_boxes: check_boxes.iter().enumerate().take(WORDS).map(check_box).collect(),
        fields: record.document.fields.keys().cloned().collect(),
        kinds: KINDS
            .iter()
            .map(|&(_, name)| Choice::new(name, &words::title_case(name), name == "text"))
            .collect(),
        frame: who.frame(&app, "documents").await?,
    })
}

/// `POST /documents/{id}/teach/{page}`: the words are as many fields of one name.
pub(super) async fn teach(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path((id, number)): Path<(String, u32)>,
    Form(form): Form<Vec<(String, String)>>,
) -> PageResult {
    let given = |name: &str| form.iter().find(|(one, _)| one == name).map(|(_, value)| value.trim());
    allow(&user, given("csrf"))?;
    let wrong = |name: &str| Refusal::bad_request(format!("the form has no `{name}` that can be read"));
    let kind = KINDS.iter().find(|(_, name)| Some(*name) == given("kind")).ok_or_else(|| wrong("kind"))?.0;
    let chosen = |of: &str| {
        let places = form.iter().filter(|(name, _)| name == of).map(|(_, value)| value.parse::<usize>());
        places.collect::<Result<Vec<_>, _>>().map_err(|_| wrong(of))
    };
    let shown = match (chosen("word")?, chosen("box")?.as_slice()) {
        (words, []) => Shown::Words(words),
        (words, [one]) if words.is_empty() => Shown::CheckBox(*one),
        _ => return Err(Refusal::bad_request("choose either words or one box to tick").into()),
    };
    let lesson = Lesson {
        field: given("field").unwrap_or_default().to_owned(),
        kind,
        page: number.checked_sub(1).ok_or_else(|| wrong("page"))?,
        shown,
    };
    let record = api::documents::find(&app, &user.tenant, &id).await?;
    forms::teach(&app, &user.into(), &record, &lesson).await?;
    Ok(Redirect::to(&format!("/documents/{id}?taught={}", super::frame::encode(&lesson.field)))
        .into_response())
}

#[derive(Debug, Template)]
#[template(path = "forms.html")]
struct FormsPage {
    frame: Frame,
    forms: Vec<FormView>,
}

#[derive(Debug)]
struct FormView {
    id: String,
    name: String,
    document: String,
    document_type: String,
    fields: Vec<String>,
    taught: String,
}

/// `GET /forms`.
pub(super) async fn list(State(app): State<App>, who: SignedIn) -> PageResult {
    who.0.must_be(Role::Admin)?;
    let found = rows::list(&app.store, &who.0.tenant).await?;
    let view = |form: rows::Form| FormView {
        id: form.form_id.to_string(),
        name: form.name,
        document: form.document.to_string(),
        document_type: words::title_case(&form.document_type.0),
        fields: form.template.fields.keys().map(|name| words::title_case(name)).collect(),
        taught: format!("{} by {}", words::minute(form.updated), form.taught_by.trim_start_matches("user:")),
    };
    html(&FormsPage {
        forms: found.into_iter().rev().map(view).collect(),
        frame: who.frame(&app, "forms").await?,
    })
}

/// `POST /forms/{id}/remove`.
pub(super) async fn remove(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Token>,
) -> PageResult {
    user.must_be(Role::Admin)?;
    user.must_have_sent(Some(&form.csrf))?;
    let missing = || Refusal::not_found(format!("form {id}"));
    let form_id: Uuid = id.parse().map_err(|_| missing())?;
    let mut write = app.store.begin().await?;
    if !rows::remove(&mut write, &user.tenant, form_id).await? {
        return Err(missing().into());
    }
    audit::add(&mut write, &user.tenant, &format!("user:{}", user.name), "form.remove", &id, "").await?;
    write.commit().await?;
    Ok(Redirect::to("/forms").into_response())
}
