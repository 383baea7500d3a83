//! What keeps a document from being signed by itself: a rule of the policy that it does not keep.

use serde::{Deserialize, Serialize};

/// A rule of validation that a document does not keep.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Violation {
    /// The field it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The rule: one of the constants here, or the name of a check in the policy.
    pub rule: String,
    /// What is wrong, as a sentence.
    pub message: String,
    /// What a person can do about it, as a sentence.
    pub remedy: String,
}

impl Violation {
    /// A field that must be there is not.
    pub const REQUIRED: &str = "required";
    /// A field is not of the form it should have.
    pub const FORMAT: &str = "format";
    /// Pages are missing, or there are too many.
    pub const PAGES: &str = "pages";
    /// Too little of its words could be read surely.
    pub const OCR_QUALITY: &str = "ocr_quality";
    /// It cannot be said who signs it.
    pub const SIGNERS: &str = "signers";

    /// Whether this is the same rule about the same field as another, whatever the words.
    pub fn is_of(&self, other: &Self) -> bool {
        self.rule == other.rule && self.field == other.field
    }

    /// Where it is, for a list of complaints: `fields.total`, or the rule where it is about no field.
    pub fn place(&self) -> String {
        self.field.as_ref().map_or_else(|| self.rule.clone(), |field| format!("fields.{field}"))
    }
}
