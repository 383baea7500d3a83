//! Documents of which a person has said what they are: what rules are fitted to and tested with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{DocumentType, PageText};

/// A document with what a person says it is. One JSON file holds one example (`*.example.json`).
///
/// An example is made where a reviewer corrects or confirms a document, or by hand from a captured one. It carries the
/// page text and no picture, so that it can be judged again without reading the page anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Its name in reports: a document id, or the name of its file.
    pub name: String,
    /// What it is; `unknown` where it is none of the types the rules know, so that abstaining is right.
    pub document_type: DocumentType,
    /// The values that must be read, by field name, in their normal form. Fields that are not named are not judged; an
    /// empty value says that the document has no such field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The name the file had, weak evidence for its type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file_name: String,
    /// The hot folder or program it came by, weak evidence for its type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// The day of its capture, after which nothing on it can have happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captured_on: Option<jiff::civil::Date>,
    /// What was read from its pages.
    pub text: PageText,
}

impl Example {
    /// What the name of an example's file ends in.
    pub const FILE_ENDING: &str = ".example.json";
}
