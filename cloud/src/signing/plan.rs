//! How a document will be signed, before anything is sent: shown to whoever has to approve it.

use platen_model::event::Status;
use platen_model::{Blank, PageText, Recipient};

use super::placement;
use crate::policy::Policy;
use crate::store::record::Record;

/// What the policy would do with a document now.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The route.
    pub route: String,
    /// The account.
    pub provider: String,
    /// Who signs, approves and gets a copy.
    pub recipients: Vec<Recipient>,
    /// Where they do.
    pub blanks: Vec<Blank>,
}

/// The plan for a document that waits for a person, or is on its way to its route; `None` where it is further, would go
/// to the archive without a signature, or has no route.
pub fn plan(policy: &Policy, record: &Record, text: &PageText) -> Option<Plan> {
    let status = record.document.status;
    if !matches!(status, Status::Classified | Status::InReview | Status::Validated | Status::Routed) {
        return None;
    }
    let chosen = policy.route(&record.document).ok()?;
    let provider = chosen.route.provider.clone()?;
    let recipients = policy.instead(&chosen, &record.document, &record.ends.declined_by).ok()?;
    let blanks = placement::place(&chosen.route.places, &recipients, text);
    Some(Plan { route: chosen.route.name.clone(), provider, recipients, blanks })
}
