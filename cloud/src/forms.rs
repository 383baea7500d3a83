//! Printed forms: a person shows on one copy where a field stands, and it is read there on every copy that comes after.
//!
//! What is taught is kept with the copy it was taught on ([`crate::store::forms`]); a form that was taught on several copies
//! is known by any of them. A document is compared when it is classified, so that what is read of it is an event of its
//! own and nothing that happened before changes with what is taught later. The danger is reading the wrong place of
//! another form: the layout must agree and the words around the place be found again, or there is no value
//! ([`platen_capture::classify::layout`]).

use std::collections::BTreeMap;

use jiff::Timestamp;
use platen_capture::classify::layout::{TaughtField, Template, ValueKind};
use platen_model::event::EventBody;
use platen_model::{Digest, Field, FormRef, PageRecord, PageText, Rect};
use uuid::Uuid;

use crate::api::corrections::{self, Correction};
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::machine;
use crate::refusal::Refusal;
use crate::store::forms::{self, FORMS, Form};
use crate::store::record::Record;
use crate::store::to_json;

/// Longest name of a form, in characters.
const NAME_CHARACTERS: usize = 255;
/// How far a box may reach beyond its words to the right, as a share of the page's width: the next copy's value may be
/// longer.
const ROOM: f32 = 0.25;

/// What a person shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// The field's name.
    pub field: String,
    /// What its words hold; of a box to tick there is no choice.
    pub kind: ValueKind,
    /// The page, from 0.
    pub page: u32,
    /// What was shown there.
    pub shown: Shown,
}

/// What a person points at on a page.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// The words that are a field's value, by their places among the page's words.
    Words(Vec<usize>),
    /// A box to tick, by its place among those of the page.
    CheckBox(usize),
}

impl Lesson {
    /// The field on a copy of its form; `None` where nothing is shown.
    fn on(&self, page: &PageRecord) -> Option<TaughtField> {
        let (kind, rect) = match &self.shown {
            Shown::Words(words) => (self.kind, around(page, words)?),
            Shown::CheckBox(place) => (ValueKind::CheckBox, page.check_boxes.get(*place)?.rect),
        };
        Some(TaughtField { kind, page: self.page, rect })
    }
}

/// What the forms that a document is a copy of read of it; `None` where nothing is read.
pub fn recognise(forms: &[Form], text: &PageText) -> Option<EventBody> {
    let (mut used, mut fields) = (Vec::new(), BTreeMap::new());
    for form in forms {
        let read = form.template.read(text);
        if !read.is_empty() {
            let sha256 = Digest::of(to_json(&form.template).as_bytes());
            used.push(FormRef { form_id: form.form_id, name: form.name.clone(), sha256 });
        }
        fields.extend(read);
    }
    (!fields.is_empty()).then_some(EventBody::FormRecognised { forms: used, fields })
}

/// Teaches a field on a document, and answers what it reads there. A document that waits for a person gets the value too.
pub async fn teach(app: &App, caller: &Caller, record: &Record, lesson: &Lesson) -> Result<Field, Refusal> {
    caller.must(Scope::Review)?;
    let wrong = |name: &str, why: String| {
        let errors = BTreeMap::from([(name.to_owned(), why)]);
        Refusal::invalid("the field cannot be taught", errors).help("go back and show it again")
    };
    if !is_name(&lesson.field) {
        let why = "is small letters, digits and _, and begins with a letter";
        return Err(wrong("field", why.into()));
    }
    let text = app.keep.page_text(caller.tenant(), record).await?;
    let text = text.ok_or_else(|| wrong("page", "the document has no page text".into()))?;
    let page = text.pages.get(lesson.page as usize);
    let field = page.and_then(|page| lesson.on(page));
    let field =
        field.ok_or_else(|| wrong("word", "choose the words that are its value, or one box".into()))?;

    let document = record.document.document_id;
    let mut write = app.store.begin().await?;
    write.hold(format!("forms of {}", caller.tenant())).await?;
    let all = forms::all(&mut write, caller.tenant()).await?;
    let known = all.iter().find(|form| form.document == document);
    if known.is_none() && all.len() >= FORMS {
        let detail = format!("{FORMS} forms are taught already, which is the limit");
        return Err(Refusal::conflict(detail).help("remove forms that are not used any more"));
    }
    let now = Timestamp::now();
    let new = || Form {
        form_id: Uuid::now_v7(),
        name: record.document.file_name.chars().take(NAME_CHARACTERS).collect(),
        document_type: record.document.document_type.clone(),
        template: Template::of(&text),
        document,
        taught_by: String::new(),
        created: now,
        updated: now,
    };
    let mut form = known.cloned().unwrap_or_else(new);
    if !form.template.fingerprint.tells() {
        return Err(wrong("page", "too few printed words are on it to know the form again".into()));
    }
    let kind = field.kind;
    form.template.teach(&lesson.field, field).map_err(|why| wrong("field", why))?;
    let read = form.template.read(&text).remove(&lesson.field);
    let read = read.ok_or_else(|| {
        wrong("word", format!("no value of the kind \"{}\" can be read there", kind_name(kind)))
    })?;
    form.taught_by = caller.name();
    form.updated = now;
    forms::put(&mut write, caller.tenant(), &form).await?;
    write.commit().await?;
    if machine::waits_for_a_person(record.document.status) {
        let fields = BTreeMap::from([(lesson.field.clone(), read.value.clone())]);
        let correction = Correction { fields, ..Correction::default() };
        corrections::apply(app, caller, record, correction, record.document.version).await?;
    }
    Ok(read)
}

/// Whether this can be the name of a field in conditions.
fn is_name(name: &str) -> bool {
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.len() <= 64 && name.chars().all(rest)
}

/// The kinds of values that words have, with their names.
pub const KINDS: [(ValueKind, &str); 9] = [
    (ValueKind::Text, "text"),
    (ValueKind::Date, "date"),
    (ValueKind::Money, "money"),
    (ValueKind::Identifier, "identifier"),
    (ValueKind::Iban, "iban"),
    (ValueKind::VatId, "vat_id"),
    (ValueKind::TaxId, "tax_id"),
    (ValueKind::Phone, "phone"),
    (ValueKind::Email, "email"),
];

fn kind_name(kind: ValueKind) -> &'static str {
    KINDS.iter().find(|(one, _)| *one == kind).map_or("check_box", |(_, name)| name)
}

/// The box around words of a page, with a little air, and to the right the room up to the next word on their line. `None`
/// where there are none.
fn around(page: &PageRecord, words: &[usize]) -> Option<Rect> {
    let chosen: Vec<_> = words.iter().map(|place| page.words.get(*place)).collect::<Option<_>>()?;
    let left = chosen.iter().map(|word| word.rect.x).min()?;
    let top = chosen.iter().map(|word| word.rect.y).min()?;
    let right = chosen.iter().map(|word| word.rect.x.saturating_add(word.rect.w)).max()?;
    let bottom = chosen.iter().map(|word| word.rect.y.saturating_add(word.rect.h)).max()?;
    let air = (bottom - top) / 4;
    let beside = page
        .words
        .iter()
        .map(|word| word.rect)
        .filter(|rect| rect.x >= right && rect.y < bottom && rect.y.saturating_add(rect.h) > top);
    let room = (page.width_px as f32 * ROOM) as u32;
    let next = beside.map(|rect| rect.x.saturating_sub(air)).min().unwrap_or(page.width_px);
    let end = next.min(right.saturating_add(room)).clamp(right, page.width_px.max(right));
    let (x, y) = (left.saturating_sub(air), top.saturating_sub(air));
    let bottom = bottom.saturating_add(air).min(page.height_px);
    Some(Rect { x, y, w: end - x, h: bottom.saturating_sub(y) })
}

#[cfg(test)]
mod tests {
    use platen_model::Word;

    use super::*;

    #[test]
    fn the_box_reaches_from_its_words_to_the_next_word_of_their_line() {
        let word = |x, y, w| Word {
            text: "x".into(),
            confidence: 0.9,
            rect: Rect { x, y, w, h: 40 },
            line: 0,
            block: 0,
        };
        let words = vec![word(100, 100, 50), word(160, 100, 50), word(300, 104, 50), word(100, 300, 50)];
        let page = PageRecord { width_px: 1000, height_px: 1000, words, ..PageRecord::default() };
        let check = |words: &[usize], expected: Option<(u32, u32, u32, u32)>| {
            let found = around(&page, words).map(|rect| (rect.x, rect.y, rect.w, rect.h));
            assert_eq!(found, expected, "{words:?}");
        };
        check(&[0, 1], Some((90, 90, 200, 60)));
        check(&[3], Some((90, 290, 310, 60)));
        check(&[], None);
        check(&[9], None);
    }

    #[test]
    fn names_of_fields_can_be_asked_for_in_conditions() {
        for (name, expected) in
            [("total", true), ("cost_centre_2", true), ("Total", false), ("2nd", false), ("", false)]
        {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }
}
