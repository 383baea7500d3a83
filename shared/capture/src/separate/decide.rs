//! What a document is, with what its sheet and its source say of it.
//!
//! A person who puts a cover sheet before a document has said what it is, and so the rules are not asked; nor are they where
//! the source sets the type of all its documents. They are where the sheet names no type, or one that they do not know.

use platen_model::{Decision, DocumentType, Field, PageText, Reason};

use super::{CodeValue, Group};
use crate::classify::{Origin, RuleSet, classify, classify_as};

/// The value that names the document's type.
const TYPE: &str = "type";
/// The value that names its department.
const DEPARTMENT: &str = "department";

/// Classifies a document of a batch, and answers the department that its sheet names. `set` is the type that the source
/// sets. Values of codes become fields, in place of those that were read from its words.
pub fn decide(
    text: &PageText,
    group: &Group,
    origin: &Origin<'_>,
    set: Option<&DocumentType>,
    rules: &RuleSet,
) -> (Decision, Option<String>) {
    let mut doubts = group.doubts.clone();
    let named = group.values.get(TYPE);
    let wanted = named.map(|named| DocumentType(named.value.clone()));
    let known = named.zip(wanted).filter(|(_, wanted)| rules.knows(wanted));
    let mut decision = match (known, set) {
        // Whoever laid a sheet before a document knows better than its source what it is.
        (Some((named, wanted)), _) => {
            let mut decision = classify_as(text, &wanted, origin, rules);
            let reason = Reason {
                rule: Reason::SHEET_TYPE.into(),
                document_type: wanted,
                weight: 1.0,
                seen: named.code.clone(),
                page: 0,
                rect: None,
            };
            decision.reasons.insert(0, reason);
            decision
        }
        (None, set) => {
            let unknown = named.map(|named| &named.value);
            doubts.extend(
                unknown.map(|value| format!("Its sheet names the type {value:?}, which no rule knows.")),
            );
            match set {
                Some(set) => classify_as(text, set, origin, rules),
                None => classify(text, origin, rules),
            }
        }
    };
    for (name, value) in &group.values {
        if ![TYPE, DEPARTMENT].contains(&name.as_str()) {
            decision.fields.insert(name.clone(), field(value, group));
        }
    }
    doubts.into_iter().for_each(|doubt| decision.doubt_separation(doubt));
    (decision, group.values.get(DEPARTMENT).map(|value| value.value.clone()))
}

/// The value as a field. One from a sheet that was dropped stands on no page of the document.
fn field(value: &CodeValue, group: &Group) -> Field {
    let page = group.pages.iter().position(|&page| page == value.page);
    Field {
        value: value.value.clone(),
        text: value.code.clone(),
        confidence: 1.0,
        page: page.unwrap_or_default() as u32,
        rect: page.map(|_| value.rect),
    }
}

#[cfg(test)]
mod tests {
    use platen_model::{PageRecord, Rect, Verdict, Word};

    use super::*;

    fn order() -> PageText {
        let lines = [
            "PURCHASE ORDER",
            "Order number: 4500-71932",
            "Order total: EUR 774.00",
            "IBAN DE02120300000000202051",
        ];
        let words = (0u32..).zip(lines).flat_map(|(line, text)| {
            (0u32..).zip(text.split(' ')).map(move |(place, text)| Word {
                text: text.into(),
                confidence: 0.96,
                rect: Rect { x: 100 + 220 * place, y: 150 + 60 * line, w: 200, h: 26 },
                line,
                block: 0,
            })
        });
        let words = words.collect();
        let page = PageRecord {
            width_px: 1654,
            height_px: 2339,
            words,
            mean_confidence: 0.96,
            ..PageRecord::default()
        };
        PageText::new(vec![page])
    }

    fn check(set: &str, sheet: Option<&str>, document_type: &str, verdict: Verdict, fields: &[&str]) {
        let mut group = Group { pages: vec![0], ..Group::default() };
        if let Some(sheet) = sheet {
            let rect = Rect { x: 1, y: 1, w: 9, h: 9 };
            let code = CodeValue { value: sheet.into(), code: format!("type={sheet}"), page: 9, rect };
            group.values.insert(TYPE.into(), code);
        }
        let set = DocumentType(set.into());
        let (decision, _) = decide(&order(), &group, &Origin::default(), Some(&set), &RuleSet::shipped());
        let read: Vec<&str> = decision.fields.keys().map(String::as_str).collect();
        assert_eq!(
            (decision.document_type.0.as_str(), decision.verdict, &read[..]),
            (document_type, verdict, fields),
            "{set}, {sheet:?}: {decision:#?}"
        );
    }

    #[test]
    fn the_fields_are_those_of_the_type_that_the_source_sets() {
        check("purchase_order", None, "purchase_order", Verdict::Auto, &["iban", "order_number", "total"]);
        check("letter", None, "letter", Verdict::Auto, &["iban"]);
        check("visitor_badge", None, "visitor_badge", Verdict::Auto, &["iban"]);
    }

    #[test]
    fn a_sheet_knows_better_than_the_source_unless_no_rule_knows_what_it_says() {
        check(
            "letter",
            Some("purchase_order"),
            "purchase_order",
            Verdict::Auto,
            &["iban", "order_number", "total"],
        );
        check("letter", Some("badge"), "letter", Verdict::Review, &["iban"]);
    }
}
