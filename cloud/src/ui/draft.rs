//! What a person typed in the form about a document.
//!
//! Each input travels with the value it was shown with, and counts only where it differs from that: what somebody else
//! corrected meanwhile is not undone by a form that never saw it. Where the form is refused it is shown again from here, so
//! that nothing that was typed is lost.

use std::collections::BTreeMap;

use platen_model::DocumentType;
use platen_model::api::{Document, Review};

use crate::api::corrections::Correction;
use crate::refusal::Refusal;

/// What was typed, by what it says of the document.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// The version the person looked at.
    pub version: Option<u64>,
    /// Behind which document the review queue stood, where the reader works through it.
    pub queue: Option<String>,
    /// The type that stood in the form.
    pub chosen: Option<DocumentType>,
    /// The same, where it is another than the document has.
    pub document_type: Option<DocumentType>,
    /// The fields that were shown are those of another type than was chosen.
    pub is_unseen: bool,
    /// The fields that were changed.
    pub fields: BTreeMap<String, String>,
    /// A name and a value for another field, where one of them is missing: neither counts, and neither is lost.
    pub unfinished: Option<(String, String)>,
    /// Another department.
    pub department: Option<String>,
    /// The comment.
    pub comment: String,
    /// Why it may go on although rules are not kept.
    pub override_reason: String,
}

impl Draft {
    /// What a form says of a document as it is now.
    pub fn of_form(form: &BTreeMap<String, String>, document: &Document) -> Self {
        let text = |name: &str| form.get(name).map(|value| value.trim()).unwrap_or_default();
        let given = |name: &str| Some(text(name)).filter(|value| !value.is_empty()).map(str::to_owned);
        let is_new = |value: &String, shown: &str, now: &str| {
            let shown = form.get(shown).map_or(now, |shown| shown.trim());
            value != shown && value != now
        };
        let department = document.department.as_deref().unwrap_or_default();
        let own = &document.document_type.0;
        let chosen = given("document_type");
        let seen = form.get("shown_type").unwrap_or(own);
        Self {
            version: text("version").parse().ok(),
            queue: form.get("queue").cloned(),
            is_unseen: chosen.as_ref().is_some_and(|chosen| chosen != seen),
            document_type: chosen.clone().filter(|chosen| is_new(chosen, "was_type", own)).map(DocumentType),
            chosen: chosen.map(DocumentType),
            fields: fields(form, document),
            unfinished: Some(added(form)).filter(|(name, value)| name.is_empty() != value.is_empty()),
            department: given("department").filter(|value| is_new(value, "was_department", department)),
            comment: text("comment").to_owned(),
            override_reason: text("override_reason").to_owned(),
        }
    }

    /// Refuses one with a field that is only half told.
    pub fn check(&self) -> Result<(), Refusal> {
        let complaint = match &self.unfinished {
            None => return Ok(()),
            Some((name, _)) if name.is_empty() => "give the field a name".to_owned(),
            Some((name, _)) => format!("give {} a value", super::words::title_case(name)),
        };
        let errors = BTreeMap::from([("another_field".to_owned(), complaint)]);
        Err(Refusal::invalid("a field was added by half", errors).help("complete it, or empty it"))
    }

    /// Whether it says anything of the document that is not known of it.
    pub fn changes_it(&self) -> bool {
        self.document_type.is_some() || !self.fields.is_empty() || self.department.is_some()
    }

    /// What it corrects.
    pub fn correction(&self) -> Correction {
        Correction {
            document_type: self.document_type.clone(),
            fields: self.fields.clone(),
            department: self.department.clone(),
        }
    }

    /// The approval with what was corrected, and nothing that was not.
    pub fn approval(&self) -> Review {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Review::Approve {
            document_type: self.document_type.clone(),
            fields: self.fields.clone(),
            comment: given(&self.comment),
            override_reason: given(&self.override_reason),
        }
    }
}

/// The fields that were changed, and the one that was added. One that was not read may be filled in.
fn fields(form: &BTreeMap<String, String>, document: &Document) -> BTreeMap<String, String> {
    let changed = form.iter().filter_map(|(name, value)| {
        let (name, value) = (name.strip_prefix("field.")?, value.trim());
        let read = document.fields.get(name).map_or("", |field| field.value.as_str());
        let shown = form.get(&format!("was.{name}")).map_or(read, String::as_str);
        (value != shown.trim()).then(|| (name.to_owned(), value.to_owned()))
    });
    let added = Some(added(form)).filter(|(name, value)| !name.is_empty() && !value.is_empty());
    changed.chain(added).collect()
}

/// The field that was added, as far as it was told. Fields are shown by their names with blanks and a capital, so they may
/// be named like that.
fn added(form: &BTreeMap<String, String>) -> (String, String) {
    let text = |name: &str| form.get(name).map(|text| text.trim()).unwrap_or_default();
    let words: Vec<&str> = text("new_name").split_whitespace().collect();
    (words.join("_").to_lowercase(), text("new_value").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    fn draft(form: &[(&str, &str)]) -> Draft {
        let form = form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Draft::of_form(&form, &record("invoice", &[("total", "12.00 EUR")]).document)
    }

    #[test]
    fn what_was_only_shown_undoes_nothing_that_others_corrected_meanwhile() {
        let check = |form: &[(&str, &str)], fields: &[(&str, &str)]| {
            let found = draft(form).fields;
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, fields, "{form:?}");
        };
        check(&[("field.total", "10.00 EUR"), ("was.total", "10.00 EUR")], &[]);
        check(&[("field.total", "11.00 EUR"), ("was.total", "10.00 EUR")], &[("total", "11.00 EUR")]);
        check(&[("field.total", "12.00 EUR")], &[]);
        check(&[("field.total", " 13.00 EUR ")], &[("total", "13.00 EUR")]);
        check(&[("field.number", ""), ("was.number", "")], &[]);
        check(&[("new_name", "Order number"), ("new_value", "7")], &[("order_number", "7")]);
        check(&[("new_name", ""), ("new_value", "7")], &[]);
    }

    #[test]
    fn a_field_that_is_told_by_half_is_refused_and_kept() {
        let check = |name: &str, value: &str, complaint: Option<&str>| {
            let found = draft(&[("new_name", name), ("new_value", value)]);
            let refused =
                found.check().err().map(|refusal| refusal.problem().errors["another_field"].clone());
            assert_eq!(refused.as_deref(), complaint, "{name:?}: {value:?}");
            assert_eq!(found.unfinished.is_some(), complaint.is_some(), "what was typed is kept");
        };
        check("", "", None);
        check("Order number", "7", None);
        check(" ", "7", Some("give the field a name"));
        check("Order number", " ", Some("give Order number a value"));
    }

    #[test]
    fn a_type_counts_only_where_it_was_changed_and_is_unseen_until_its_fields_were_shown() {
        let check = |form: &[(&str, &str)], document_type: Option<&str>, is_unseen: bool| {
            let found = draft(form);
            let of_type = found.document_type.as_ref().map(|name| name.0.as_str());
            assert_eq!((of_type, found.is_unseen), (document_type, is_unseen), "{form:?}");
        };
        check(&[("document_type", "invoice")], None, false);
        check(&[("document_type", "nda")], Some("nda"), true);
        check(
            &[("document_type", "nda"), ("shown_type", "nda"), ("was_type", "invoice")],
            Some("nda"),
            false,
        );
        // Somebody else made it an invoice, and this form has left it the letter it was.
        check(&[("document_type", "letter"), ("shown_type", "letter"), ("was_type", "letter")], None, false);
    }

    #[test]
    fn a_department_is_changed_only_by_another() {
        let check = |department: &str, changed: Option<&str>| {
            assert_eq!(draft(&[("department", department)]).department.as_deref(), changed);
        };
        check("", None);
        check("office", None);
        check(" legal ", Some("legal"));
    }
}
