//! What a document is taken to be, how surely, and why.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, Rect};

/// A document type by its name in the classification rules (`nda`, `invoice`, ...). `unknown` is a normal answer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct DocumentType(pub String);

impl DocumentType {
    /// "I do not know": no rule spoke clearly enough.
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// Whether this is [`DocumentType::unknown`].
    pub fn is_unknown(&self) -> bool {
        self.0 == "unknown"
    }
}

impl fmt::Display for DocumentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What should happen to a document, judged by its confidence and its type's thresholds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Sure enough to go on without a person.
    Auto,
    /// A person should look.
    Review,
    /// So little fits that it is set aside until somebody says what it is.
    Quarantine,
}

/// One piece of evidence for or against a type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reason {
    /// The rule that spoke, by its name in the rule file, for example `nda/title`.
    pub rule: String,
    /// The document type it speaks for.
    pub document_type: DocumentType,
    /// What it adds to that type's score; negative speaks against.
    pub weight: f32,
    /// The words it saw, as recognised.
    pub seen: String,
    /// The page they stand on, from 0.
    pub page: u32,
    /// Where on the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rect: Option<Rect>,
}

impl Reason {
    /// The name in place of a rule's where a page was not read, so that a person has to.
    pub const PAGE_WITHOUT_TEXT: &str = "page/without-text";
    /// The name in place of a rule's where a page could not be decoded.
    pub const PAGE_MISSING: &str = "page/missing";
    /// The name in place of a rule's where the file holds more than its pages show.
    pub const CONTENT_ELSEWHERE: &str = "page/content-elsewhere";
    /// The name in place of a rule's where a sheet in front of the document names its type.
    pub const SHEET_TYPE: &str = "sheet/type";
    /// The name in place of a rule's where the rows of a table do not add up to the total that was read.
    pub const TOTAL_DIFFERS: &str = "fields/total";
    /// The name in place of a rule's where a document may have been parted from its batch at the wrong page.
    pub const SEPARATION: &str = "separation/doubt";

    /// Whether this is not evidence for a type, but something a page lacks.
    pub fn is_lack(&self) -> bool {
        [Self::PAGE_WITHOUT_TEXT, Self::PAGE_MISSING, Self::CONTENT_ELSEWHERE].contains(&self.rule.as_str())
    }

    /// Whether a person has to look because of it, however sure the type is.
    pub fn is_doubt(&self) -> bool {
        self.is_lack() || [Self::SEPARATION, Self::TOTAL_DIFFERS].contains(&self.rule.as_str())
    }
}

/// A value read from the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Field {
    /// The value in its normal form: dates as `2026-03-31`, money as `1234.56 EUR`, numbers without blanks.
    pub value: String,
    /// The value as it was read.
    pub text: String,
    /// How sure we are, 0 to 1.
    pub confidence: f32,
    /// The page it stands on, from 0.
    pub page: u32,
    /// Where on the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rect: Option<Rect>,
}

/// A copy of a printed form that fields were taught on, named so exactly that what it read can be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FormRef {
    /// Its id.
    pub form_id: uuid::Uuid,
    /// Its name for people.
    pub name: String,
    /// The digest of its template.
    pub sha256: Digest,
}

/// One row of a table of goods or services.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineItem {
    /// What it is, as read.
    pub description: String,
    /// How many: a plain number (`2000`, `2.5`) where quantity and price give the amount, else as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<String>,
    /// The price of one, `0.31 EUR`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_price: Option<String>,
    /// The row's amount, `620.00 EUR`.
    pub amount: String,
    /// How sure we are, 0 to 1.
    pub confidence: f32,
    /// The page it stands on, from 0.
    pub page: u32,
    /// Where on the page.
    pub rect: Rect,
}

/// A policy file, named so exactly that the decision can be repeated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyRef {
    /// The policy's name, for example `classification`.
    pub name: String,
    /// Its version, as the file states it.
    pub version: String,
    /// The digest of the policy's bytes.
    pub sha256: Digest,
}

/// The outcome of classification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// The type, or `unknown`.
    pub document_type: DocumentType,
    /// How sure, 0 to 1.
    pub confidence: f32,
    /// What should happen next by the type's thresholds.
    pub verdict: Verdict,
    /// What pages of it lack, then the evidence, strongest first.
    pub reasons: Vec<Reason>,
    /// The values read, by field name.
    pub fields: BTreeMap<String, Field>,
    /// The rows of its tables of goods and services, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub line_items: Vec<LineItem>,
    /// The rules that decided.
    pub policy: PolicyRef,
}

impl Decision {
    /// Sends the document to a person because of the way it was parted from its batch, said in a sentence.
    pub fn doubt_separation(&mut self, seen: impl Into<String>) {
        self.verdict = Verdict::Review;
        let doubt = Reason {
            rule: Reason::SEPARATION.into(),
            document_type: self.document_type.clone(),
            weight: 0.0,
            seen: seen.into(),
            page: 0,
            rect: None,
        };
        self.reasons.insert(0, doubt);
    }
}
