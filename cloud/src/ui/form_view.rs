//! The form about a document as it is shown: what is known by the type that is chosen, what was typed over it, and the rules
//! the document would not keep like that.

use std::collections::BTreeMap;

use platen_model::api::Document;
use platen_model::event::EventBody;
use platen_model::{PageText, Violation};

use super::draft::Draft;
use crate::api::corrections::read_as;
use crate::app::App;
use crate::auth::Caller;
use crate::machine;
use crate::refusal::Refusal;
use crate::store::record::Record;

/// What the form is made of.
#[derive(Clone, Debug)]
pub struct FormView {
    /// The document with the type that is chosen, before what was typed.
    pub known: Document,
    /// What was typed.
    pub draft: Draft,
    /// The rules of validation it would not keep, and that nobody overrode.
    pub violations: Vec<Violation>,
    /// A person may correct it now.
    pub is_correctable: bool,
}

impl FormView {
    /// The form about a document with this text.
    pub async fn of(
        app: &App,
        caller: &Caller,
        record: &Record,
        text: Option<&PageText>,
        draft: &Draft,
    ) -> Result<Self, Refusal> {
        let is_correctable = is_correctable(record);
        let document_type = draft.document_type.as_ref();
        let read = match text {
            Some(_) if is_correctable => read_as(app, caller, record, document_type).await?,
            _ => None,
        };
        let with = |fields: &BTreeMap<String, String>| {
            record.corrected(document_type, read.as_ref(), fields, draft.department.as_ref())
        };
        let policy = app.policy(caller.tenant());
        let found = match is_correctable {
            true => policy.violations(&with(&draft.fields), text),
            false => Vec::new(),
        };
        // What was overridden was overridden as the document is, not as it would be.
        let violations = if draft.changes_it() { found } else { record.not_overridden(found) };
        let mut known = with(&BTreeMap::new());
        known.department.clone_from(&record.document.department);
        Ok(Self { known, draft: draft.clone(), violations, is_correctable })
    }
}

/// Whether the machine takes a correction of it.
fn is_correctable(record: &Record) -> bool {
    let correction = EventBody::Corrected {
        document_type: None,
        read: None,
        fields: BTreeMap::new(),
        department: None,
        violations: Vec::new(),
    };
    record.state().is_some() && machine::apply(record.state(), &correction).is_ok()
}
