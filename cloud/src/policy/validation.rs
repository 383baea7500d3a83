//! Validation: what must hold before a document may be signed without a person, and is not yet so.
//!
//! Two kinds of objection. A *doubt* is settled by a person who looks: an unsure type, a page without text. A
//! [`Violation`] is a rule of the policy that the document does not keep, whoever looks: a required field is missing, a
//! total is over its order, a page is lacking. It is to be mended before the document may go on, or overridden by
//! somebody with the right, who says why. Everything here is pure: the same policy, document and page text give the same
//! answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use platen_capture::classify::normal;
use platen_model::api::Document;
use platen_model::{Field, PageText, Violation};
use regex::Regex;
use serde::Deserialize;

use super::conditions::{Answer, Condition, Facts, amount, is_iso_date};
use crate::auth::{Scope, Scopes};

/// Most checks in a policy.
const CHECKS: usize = 1_000;

/// What `[validation]` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ValidationText {
    minimum_confidence: f32,
    minimum_ocr_confidence: Option<f32>,
    minimum_page_ocr_confidence: Option<f32>,
    override_by: OverrideBy,
    required: BTreeMap<String, Vec<String>>,
    #[serde(rename = "type")]
    types: BTreeMap<String, TypeText>,
    check: Vec<CheckText>,
}

impl Default for ValidationText {
    fn default() -> Self {
        Self {
            minimum_confidence: 0.5,
            minimum_ocr_confidence: None,
            minimum_page_ocr_confidence: None,
            override_by: OverrideBy::Admin,
            required: BTreeMap::new(),
            types: BTreeMap::new(),
            check: Vec::new(),
        }
    }
}

/// Who may let a document go on that does not keep the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OverrideBy {
    Nobody,
    Reviewer,
    Admin,
}

/// What `[validation.type.NAME]` says.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TypeText {
    required: Vec<String>,
    formats: BTreeMap<String, FormatText>,
    pages: Option<PagesText>,
    minimum_confidence: Option<f32>,
    minimum_field_confidence: Option<FieldConfidence>,
    minimum_ocr_confidence: Option<f32>,
    minimum_page_ocr_confidence: Option<f32>,
}

/// How sure values must be read.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum FieldConfidence {
    /// The required fields.
    Required(f32),
    /// These fields.
    Named(BTreeMap<String, f32>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum FormatText {
    Name(String),
    Pattern(PatternText),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternText {
    pattern: String,
    message: Option<String>,
    remedy: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PagesText {
    Exactly(u32),
    Name(String),
    Table(PagesTable),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PagesTable {
    min: Option<u32>,
    max: Option<u32>,
    field: Option<String>,
}

/// What `[[validation.check]]` says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckText {
    name: String,
    #[serde(default)]
    types: Vec<String>,
    holds: String,
    field: Option<String>,
    message: String,
    #[serde(default)]
    remedy: Option<String>,
}

/// The rules, compiled.
#[derive(Debug)]
pub(super) struct Validation {
    minimum_confidence: f32,
    ocr: OcrQuality,
    override_by: OverrideBy,
    types: BTreeMap<String, TypeRules>,
    checks: Vec<Check>,
}

#[derive(Debug, Default)]
struct TypeRules {
    required: Vec<String>,
    formats: BTreeMap<String, Format>,
    pages: Option<Pages>,
    minimum_confidence: Option<f32>,
    minimum_field_confidence: Option<FieldConfidence>,
    ocr: OcrQuality,
}

/// The least mean confidence of words, of the document and of each page.
#[derive(Clone, Copy, Debug, Default)]
struct OcrQuality {
    document: Option<f32>,
    page: Option<f32>,
}

#[derive(Debug)]
enum Format {
    Date,
    Money,
    Number,
    Iban,
    VatId,
    TaxId,
    Phone,
    Email,
    Pattern { whole: Regex, message: Option<String>, remedy: Option<String> },
}

#[derive(Debug)]
enum Pages {
    Between(u32, u32),
    Field(String),
    Printed,
}

#[derive(Debug)]
struct Check {
    name: String,
    types: Vec<String>,
    holds: Condition,
    field: Option<String>,
    message: String,
    remedy: String,
}

impl Validation {
    /// Compiles and checks the rules; an error says which one is wrong.
    pub(super) fn compile(text: ValidationText) -> Result<Self, String> {
        let ocr = OcrQuality::new(text.minimum_ocr_confidence, text.minimum_page_ocr_confidence)?;
        is_share("minimum_confidence", Some(text.minimum_confidence))?;
        if text.check.len() > CHECKS {
            return Err(format!("there are at most {CHECKS} checks"));
        }
        let mut types = BTreeMap::new();
        for (name, rules) in text.types {
            let rules = TypeRules::compile(rules).map_err(|error| format!("type {name:?}: {error}"))?;
            types.insert(name, rules);
        }
        // The older way to say what is required.
        for (name, required) in text.required {
            types.entry(name).or_insert_with(TypeRules::default).required.extend(required);
        }
        let mut checks = Vec::new();
        let mut names = BTreeSet::new();
        for check in text.check {
            if !names.insert(check.name.clone()) {
                return Err(format!("two checks are called {:?}", check.name));
            }
            let name = check.name.clone();
            checks.push(Check::compile(check).map_err(|error| format!("check {name:?}: {error}"))?);
        }
        let ValidationText { minimum_confidence, override_by, .. } = text;
        Ok(Self { minimum_confidence, ocr, override_by, types, checks })
    }

    /// Whether somebody with these scopes may let a document go on that does not keep the rules.
    pub(super) fn may_override(&self, scopes: &Scopes) -> bool {
        match self.override_by {
            OverrideBy::Nobody => false,
            OverrideBy::Reviewer => scopes.has(Scope::Review),
            OverrideBy::Admin => scopes.has(Scope::Admin),
        }
    }

    /// The least confidence a type is believed with.
    pub(super) fn minimum_confidence(&self, document_type: &str) -> f32 {
        let own = self.types.get(document_type).and_then(|rules| rules.minimum_confidence);
        own.unwrap_or(self.minimum_confidence)
    }

    /// The fields that were read less surely than the rules ask for, each with the least that they ask.
    pub(super) fn unsure_fields<'d>(&'d self, document: &'d Document) -> Vec<(&'d str, &'d Field, f32)> {
        let Some(rules) = self.types.get(&document.document_type.0) else { return Vec::new() };
        let asked: Vec<(&str, f32)> = match &rules.minimum_field_confidence {
            None => Vec::new(),
            Some(FieldConfidence::Required(least)) => {
                rules.required.iter().map(|name| (name.as_str(), *least)).collect()
            }
            Some(FieldConfidence::Named(named)) => {
                named.iter().map(|(name, least)| (name.as_str(), *least)).collect()
            }
        };
        let read = asked.into_iter().filter_map(|(name, least)| {
            let field = document.fields.get(name).filter(|field| !field.value.trim().is_empty())?;
            Some((name, field, least))
        });
        read.filter(|(_, field, least)| field.confidence < *least).collect()
    }

    /// The rules the document does not keep. Without a page text nothing is said about pages' words.
    pub(super) fn violations(
        &self,
        document: &Document,
        facts: &Facts,
        text: Option<&PageText>,
    ) -> Vec<Violation> {
        let none = TypeRules::default();
        let rules = self.types.get(&document.document_type.0).unwrap_or(&none);
        let mut found = Vec::new();
        found.extend(rules.required.iter().filter(|name| value(document, name).is_none()).map(missing));
        for (name, format) in &rules.formats {
            found.extend(value(document, name).and_then(|value| format.violation(name, value)));
        }
        found.extend(rules.pages.as_ref().and_then(|pages| pages.violation(document, text)));
        found.extend(rules.ocr.or(self.ocr).violations(document, text));
        found.extend(self.checks.iter().filter_map(|check| check.violation(document, facts)));
        found
    }
}

/// The value of a field, where there is one.
fn value<'d>(document: &'d Document, name: &str) -> Option<&'d str> {
    document.fields.get(name).map(|field| field.value.trim()).filter(|value| !value.is_empty())
}

fn missing(name: &String) -> Violation {
    Violation {
        field: Some(name.clone()),
        rule: Violation::REQUIRED.into(),
        message: format!("The required field \"{name}\" was not found."),
        remedy: "Fill it in from the page; if the page does not say it, reject the document.".into(),
    }
}

fn is_share(name: &str, share: Option<f32>) -> Result<(), String> {
    match share {
        Some(share) if !(0.0..=1.0).contains(&share) => {
            Err(format!("`{name}` is a share from 0 to 1, like 0.7"))
        }
        _ => Ok(()),
    }
}

impl TypeRules {
    fn compile(text: TypeText) -> Result<Self, String> {
        is_share("minimum_confidence", text.minimum_confidence)?;
        match &text.minimum_field_confidence {
            Some(FieldConfidence::Required(least)) => is_share("minimum_field_confidence", Some(*least))?,
            Some(FieldConfidence::Named(named)) => named.iter().try_for_each(|(name, least)| {
                is_share(&format!("minimum_field_confidence.{name}"), Some(*least))
            })?,
            None => {}
        }
        let mut formats = BTreeMap::new();
        for (name, format) in text.formats {
            let format = Format::compile(format).map_err(|error| format!("format of {name:?}: {error}"))?;
            formats.insert(name, format);
        }
        Ok(Self {
            required: text.required,
            formats,
            pages: text.pages.map(Pages::compile).transpose()?,
            minimum_confidence: text.minimum_confidence,
            minimum_field_confidence: text.minimum_field_confidence,
            ocr: OcrQuality::new(text.minimum_ocr_confidence, text.minimum_page_ocr_confidence)?,
        })
    }
}

impl Format {
    fn compile(text: FormatText) -> Result<Self, String> {
        let table = match text {
            FormatText::Name(name) => {
                return Ok(match name.as_str() {
                    "date" => Self::Date,
                    "money" => Self::Money,
                    "number" => Self::Number,
                    "iban" => Self::Iban,
                    "vat_id" => Self::VatId,
                    "tax_id" => Self::TaxId,
                    "phone" => Self::Phone,
                    "email" => Self::Email,
                    _ => {
                        return Err(format!(
                            "there is no format {name:?}; there are date, money, number, iban, vat_id, tax_id, phone, email and \
                             {{ pattern = \"…\" }}"
                        ));
                    }
                });
            }
            FormatText::Pattern(table) => table,
        };
        let whole = Regex::new(&format!("^(?:{})$", table.pattern)).map_err(|error| error.to_string())?;
        Ok(Self::Pattern { whole, message: table.message, remedy: table.remedy })
    }

    fn violation(&self, name: &str, value: &str) -> Option<Violation> {
        let (fits, what, example) = match self {
            Self::Date => (is_iso_date(value), "a date", "Write it as year, month, day: 2026-03-31."),
            Self::Money => (
                amount(value).is_some_and(|(_, currency)| currency.is_some()),
                "an amount with its currency",
                "Write it as 1234.56 EUR.",
            ),
            Self::Number => (amount(value).is_some(), "a number", "Write it as 1234.56."),
            Self::Iban => (
                normal::is_iban(value),
                "an account number (IBAN) with a right check sum",
                "Compare it with the page, and write it without blanks.",
            ),
            Self::VatId => (
                normal::is_vat_id(value),
                "a tax number with its country and a right check sum",
                "Compare it with the page, and write it without blanks.",
            ),
            Self::TaxId => (
                normal::is_tax_id(value),
                "a tax number of a country, with a right check sum where it has one",
                "Compare it with the page, and write it without blanks.",
            ),
            Self::Phone => (
                normal::is_phone(value),
                "a telephone number with its country",
                "Write it without blanks: +442079460958.",
            ),
            Self::Email => {
                (normal::is_email(value), "an e-mail address", "Write it in lower case: ada@example.com.")
            }
            Self::Pattern { whole, .. } => {
                (whole.is_match(value), "of the form it should have", "Compare it with the page.")
            }
        };
        if fits {
            return None;
        }
        let (message, remedy) = match self {
            Self::Pattern { message, remedy, .. } => (message.clone(), remedy.clone()),
            _ => (None, None),
        };
        Some(Violation {
            field: Some(name.to_owned()),
            rule: Violation::FORMAT.into(),
            message: message.unwrap_or_else(|| format!("\"{value}\" in \"{name}\" is not {what}.")),
            remedy: remedy.unwrap_or_else(|| example.into()),
        })
    }
}

impl OcrQuality {
    fn new(document: Option<f32>, page: Option<f32>) -> Result<Self, String> {
        is_share("minimum_ocr_confidence", document)?;
        is_share("minimum_page_ocr_confidence", page)?;
        Ok(Self { document, page })
    }

    fn or(self, other: Self) -> Self {
        Self { document: self.document.or(other.document), page: self.page.or(other.page) }
    }

    fn violations(self, document: &Document, text: Option<&PageText>) -> Vec<Violation> {
        let violation = |message: String| Violation {
            field: None,
            rule: Violation::OCR_QUALITY.into(),
            message,
            remedy: "Compare what was read with the page; scan it again if the page is hard to read.".into(),
        };
        let percent = |share: f32| format!("{:.0} %", share * 100.0);
        let pages = text.map(|text| text.pages.as_slice()).unwrap_or_default();
        // A picture has no words to be unsure of.
        let has_words = pages.is_empty() || pages.iter().any(|page| !page.words.is_empty());
        let mut found = Vec::new();
        if let Some(least) = self.document
            && document.ocr_confidence < least
            && has_words
        {
            let (is, least) = (percent(document.ocr_confidence), percent(least));
            found.push(violation(format!(
                "Its words were read with {is} confidence; at least {least} is asked for."
            )));
        }
        if let Some(least) = self.page {
            let poor = pages
                .iter()
                .zip(1..)
                .filter(|(page, _)| !page.words.is_empty() && page.mean_confidence < least);
            let poor: Vec<String> = poor
                .map(|(page, number)| format!("page {number} ({})", percent(page.mean_confidence)))
                .collect();
            if !poor.is_empty() {
                let (poor, least) = (poor.join(", "), percent(least));
                found.push(violation(format!("Read with less than {least} confidence: {poor}.")));
            }
        }
        found
    }
}

impl Pages {
    fn compile(text: PagesText) -> Result<Self, String> {
        const WAYS: &str =
            "`pages` is a number, { min = 1, max = 3 }, { field = \"page_count\" } or \"printed\"";
        match text {
            PagesText::Exactly(count @ 1..) => Ok(Self::Between(count, count)),
            PagesText::Name(name) if name == "printed" => Ok(Self::Printed),
            PagesText::Table(PagesTable { min: None, max: None, field: Some(field) }) => {
                Ok(Self::Field(field))
            }
            PagesText::Table(PagesTable { min, max, field: None }) if min.or(max).is_some() => {
                let (min, max) = (min.unwrap_or(1), max.unwrap_or(u32::MAX));
                if min <= max { Ok(Self::Between(min, max)) } else { Err(WAYS.into()) }
            }
            _ => Err(WAYS.into()),
        }
    }

    fn violation(&self, document: &Document, text: Option<&PageText>) -> Option<Violation> {
        let there = document.page_count;
        let violation = |field: Option<&String>, message: String| Violation {
            field: field.cloned(),
            rule: Violation::PAGES.into(),
            message,
            remedy: "Look whether pages are missing or belong to another document, and scan it again whole."
                .into(),
        };
        match self {
            Self::Between(min, max) if (min..=max).contains(&&there) => None,
            Self::Between(min, max) => {
                let expected = match (min, max) {
                    (min, max) if min == max => pages(*min),
                    (min, &u32::MAX) => format!("at least {}", pages(*min)),
                    (min, max) => format!("{min} to {}", pages(*max)),
                };
                Some(violation(None, format!("It has {}; {expected} are expected.", pages(there))))
            }
            Self::Field(name) => {
                let read = value(document, name)?;
                match last_number(read) {
                    Some(expected) if expected == there => None,
                    Some(expected) => Some(violation(
                        Some(name),
                        format!("It has {}; its field \"{name}\" says {expected}.", pages(there)),
                    )),
                    None => Some(violation(
                        Some(name),
                        format!("\"{read}\" in \"{name}\" is no number of pages."),
                    )),
                }
            }
            Self::Printed => Printed::on(text?).complaint(there).map(|message| violation(None, message)),
        }
    }
}

/// The last number of a text, as the 3 of "1 of 3".
fn last_number(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit()).rfind(|part| !part.is_empty())?.parse().ok()
}

static PAGE_OF: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)\b(?:page|seite|blatt|página|pagina|pág\.?|pag\.?|p\.)\s*(\d{1,3})\s*(?:of|von|de|sur|di|/)\s*(\d{1,3})\b";
    Regex::new(pattern).expect("a constant pattern")
});

/// What pages say of themselves: "page 1 of 3".
#[derive(Default)]
struct Printed {
    totals: BTreeSet<u32>,
    numbers: BTreeSet<u32>,
    /// Whether every page says which it is.
    all: bool,
}

impl Printed {
    /// The last such words of each page: those at its foot.
    fn on(text: &PageText) -> Self {
        let mut printed = Self { all: true, ..Self::default() };
        for page in &text.pages {
            let text = page.text();
            let said = PAGE_OF.captures_iter(&text).filter_map(|groups| {
                let (number, total): (u32, u32) = (groups[1].parse().ok()?, groups[2].parse().ok()?);
                (1..=total).contains(&number).then_some((number, total))
            });
            match said.last() {
                Some((number, total)) => {
                    printed.totals.insert(total);
                    printed.numbers.insert(number);
                }
                None => printed.all = false,
            }
        }
        printed
    }

    /// What is wrong with a document of so many pages, as a sentence.
    fn complaint(&self, there: u32) -> Option<String> {
        let lacking = |total: u32| {
            let lacking = (1..=total).filter(|number| !self.numbers.contains(number));
            lacking.map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
        };
        match self.totals.iter().collect::<Vec<_>>()[..] {
            [] => None,
            [&total] if total == there && (!self.all || lacking(total).is_empty()) => None,
            [&total] if lacking(total).is_empty() => {
                Some(format!("It has {}; its pages say that there are {total}.", pages(there)))
            }
            [&total] => Some(format!(
                "It has {}; its pages say that there are {total}, and none says that it is page {}.",
                pages(there),
                lacking(total)
            )),
            [first, .., last] => {
                Some(format!("Some of its pages say that there are {first}, others that there are {last}."))
            }
        }
    }
}

fn pages(count: u32) -> String {
    if count == 1 { "1 page".to_owned() } else { format!("{count} pages") }
}

impl Check {
    fn compile(text: CheckText) -> Result<Self, String> {
        let holds = Condition::compile(&text.holds).map_err(|error| format!("`holds`: {error}"))?;
        let field = text.field.or_else(|| holds.fields().first().cloned());
        let remedy =
            text.remedy.unwrap_or_else(|| "Compare the fields with the page, and correct them.".into());
        Ok(Self { name: text.name, types: text.types, holds, field, message: text.message, remedy })
    }

    /// A check of fields that are not there says nothing: what must be there is for `required` to say.
    fn violation(&self, document: &Document, facts: &Facts) -> Option<Violation> {
        if !self.types.is_empty() && !self.types.contains(&document.document_type.0) {
            return None;
        }
        let violation = |message: String| Violation {
            field: self.field.clone(),
            rule: self.name.clone(),
            message,
            remedy: self.remedy.clone(),
        };
        match self.holds.answer(facts) {
            Ok(Answer::Yes) => None,
            Ok(Answer::No) => Some(violation(self.message.clone())),
            Ok(Answer::Missing(what)) => {
                let absent = self.holds.fields().iter().any(|name| value(document, name).is_none());
                let message = format!("{} A value has no `{what}` to compare.", self.message);
                (!absent).then(|| violation(message))
            }
            Err(error) => Some(violation(format!("{} It could not be asked: {error}.", self.message))),
        }
    }
}

#[cfg(test)]
#[path = "validation_tests.rs"]
mod tests;
