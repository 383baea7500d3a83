//! RFC 9457 problem documents: what failed, what is safe, what to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A problem document (`application/problem+json`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A stable name, `urn:platen:problem:<name>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What failed, short and the same each time.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What failed this time.
    pub detail: String,
    /// What is still safe.
    pub safe: String,
    /// What to do.
    pub help: String,
    /// This refusal: `urn:platen:request:<id>`, the request's id in the server's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// For validation: each field's complaint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, String>,
}
