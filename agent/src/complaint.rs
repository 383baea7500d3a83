//! What a command says when it cannot go on: what failed, what is still safe, what to do.

use std::fmt;

/// One complaint, shown to a person on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What failed, as a lower-case fragment.
    pub failed: String,
    /// What is still safe.
    pub safe: String,
    /// What to do.
    pub help: String,
}

impl Complaint {
    /// A complaint of three parts.
    pub fn new(failed: impl Into<String>, safe: impl Into<String>, help: impl Into<String>) -> Self {
        Self { failed: failed.into(), safe: safe.into(), help: help.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  safe: {}\n  try: {}", self.failed, self.safe, self.help)
    }
}

impl std::error::Error for Complaint {}
