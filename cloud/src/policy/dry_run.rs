//! What another policy would change: both are asked about the same documents, and nothing is written.
//!
//! Whether a person would be asked is judged by what the rules had read; where the document would go, by what is known of
//! it now, with what people corrected. That is how it happens: a person is asked first, and then it is routed.

use std::sync::Arc;

use jiff::Timestamp;
use platen_model::api::Document;
use platen_model::event::Status;
use platen_model::{DocumentId, DocumentType, PageText, PolicyRef, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Policy, span};
use crate::blobs::{BlobError, Keep};
use crate::store::documents;
use crate::store::record::Record;

/// Documents that are looked at in one go, where the caller does not say.
pub const DOCUMENTS: u32 = 200;

/// What a policy would do with a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fate {
    /// Whether a person would be asked.
    pub review: bool,
    /// Why, each as a sentence.
    pub reasons: Vec<String>,
    /// The route; none where none takes it.
    pub route: Option<String>,
    /// The signing account; none archives without a signature.
    pub provider: Option<String>,
    /// The addresses of those who sign, approve and get a copy, by order.
    pub recipients: Vec<String>,
    /// How many people must have approved it first.
    pub approvals: u32,
    /// The retention class.
    pub retention_class: Option<String>,
    /// The labels.
    pub tags: Vec<String>,
    /// Why it would be set aside.
    pub problem: Option<String>,
}

/// A document with which another policy would do something else.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Change {
    /// The document.
    pub document_id: DocumentId,
    /// The name its first original had.
    pub file_name: String,
    /// Its type as it is now.
    pub document_type: DocumentType,
    /// What the policy in force does.
    pub before: Fate,
    /// What the other would do.
    pub after: Fate,
}

/// How many documents a policy changes something for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// Documents that were looked at.
    pub documents: u64,
    /// With which something else would be done.
    pub changed: u64,
    /// Which another route, or none, would take.
    pub other_route: u64,
    /// Which would be signed by others, or in another order.
    pub other_recipients: u64,
    /// Which a person would see, and does not now.
    pub more_review: u64,
    /// Which a person sees now, and would not.
    pub less_review: u64,
    /// Which would be set aside, and are not now.
    pub more_problems: u64,
}

impl Counts {
    /// Counts a document.
    pub fn add(&mut self, before: &Fate, after: &Fate) {
        self.documents += 1;
        self.changed += u64::from(before != after);
        self.other_route += u64::from(before.route != after.route);
        self.other_recipients += u64::from(before.recipients != after.recipients);
        self.more_review += u64::from(!before.review && after.review);
        self.less_review += u64::from(before.review && !after.review);
        self.more_problems += u64::from(before.problem.is_none() && after.problem.is_some());
    }

    /// Counts what another run counted.
    pub fn add_all(&mut self, other: &Self) {
        self.documents += other.documents;
        self.changed += other.changed;
        self.other_route += other.other_route;
        self.other_recipients += other.other_recipients;
        self.more_review += other.more_review;
        self.less_review += other.less_review;
        self.more_problems += other.more_problems;
    }
}

impl Policy {
    /// What it would do with a document, whatever became of it.
    pub fn fate(&self, record: &Record, text: Option<&PageText>) -> Fate {
        let judgement = self.judge(&as_read(record), text);
        let mut fate = Fate {
            review: !judgement.is_clear(),
            reasons: judgement.reasons(),
            route: None,
            provider: None,
            recipients: Vec::new(),
            approvals: 0,
            retention_class: None,
            tags: Vec::new(),
            problem: None,
        };
        match self.route(&record.document) {
            Ok(chosen) => {
                fate.route = Some(chosen.route.name.clone());
                fate.provider = chosen.route.provider.clone();
                fate.recipients =
                    chosen.recipients.iter().map(|recipient| recipient.address.clone()).collect();
                fate.approvals = chosen.route.approvals;
                fate.retention_class = chosen.route.retention_class.clone();
                fate.tags = chosen.route.tags.clone();
            }
            Err(error) => fate.problem = Some(error.to_string()),
        }
        fate
    }
}

/// What a policy would change for some documents.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DryRun {
    /// The policy that was tried.
    pub policy: PolicyRef,
    /// The policy it was compared with: the one in force.
    pub before: PolicyRef,
    /// For how many of the documents that were looked at it changes something.
    pub counts: Counts,
    /// Those documents, newest first.
    pub items: Vec<Change>,
    /// Pass as `after` to go on; absent where all documents were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which documents a dry run looks at.
#[derive(Clone, Copy, Debug)]
pub struct Within {
    /// Only those received since then.
    pub since: Option<Timestamp>,
    /// Only those after this one; older ones follow.
    pub after: Option<DocumentId>,
    /// At most so many.
    pub limit: u32,
}

/// A time, or a span back from now.
pub fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let back =
        span(text).ok_or_else(|| format!("{text:?}: write \"30d\", \"12h\", or a time by RFC 3339"))?;
    Timestamp::now().checked_sub(back).map_err(|error| error.to_string())
}

/// Asks two policies about a tenant's documents. Nothing is written.
pub async fn run(
    keep: &Keep,
    tenant: &TenantId,
    (before, after): (&Arc<Policy>, &Arc<Policy>),
    within: Within,
) -> Result<DryRun, BlobError> {
    let filter = documents::Filter { after: within.after, limit: within.limit, ..Default::default() };
    let page = documents::records(&keep.store, tenant, &filter, within.since).await?;
    let (mut counts, mut items) = (Counts::default(), Vec::new());
    for record in page.items {
        // What the rules have yet to see has no fate yet, and what was deleted has none any more.
        if record.decision.is_none() || record.document.status == Status::Deleted {
            continue;
        }
        let text = keep.page_text(tenant, &record).await?;
        let (before, after) = (Arc::clone(before), Arc::clone(after));
        // Conditions of a policy that nobody tried yet may take long: not on the threads that answer others.
        let work = move || {
            let mut one = Counts::default();
            let change = compare(&before, &after, &record, text.as_ref(), &mut one);
            (one, change)
        };
        let (one, change) = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?;
        counts.add_all(&one);
        items.extend(change);
    }
    let (policy, before) = (after.reference().clone(), before.reference().clone());
    Ok(DryRun { policy, before, counts, items, next: page.next })
}

/// What `after` would do otherwise than `before`; `None` where both do the same. Counts it either way.
pub fn compare(
    before: &Policy,
    after: &Policy,
    record: &Record,
    text: Option<&PageText>,
    counts: &mut Counts,
) -> Option<Change> {
    let (before, after) = (before.fate(record, text), after.fate(record, text));
    counts.add(&before, &after);
    let Document { document_id, file_name, document_type, .. } = &record.document;
    (before != after).then(|| Change {
        document_id: *document_id,
        file_name: file_name.clone(),
        document_type: document_type.clone(),
        before,
        after,
    })
}

/// The document as the rules had read it, before people corrected it.
fn as_read(record: &Record) -> Record {
    let mut record = record.clone();
    if let Some(decision) = &record.decision {
        record.document.document_type = decision.document_type.clone();
        record.document.confidence = decision.confidence;
        record.document.fields = decision.fields.clone();
        record.document.fields.extend(record.taught.clone());
    }
    record
}

/// For a person at a terminal.
impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { documents, changed, other_route, other_recipients, .. } = self;
        let Self { more_review, less_review, more_problems, .. } = self;
        writeln!(f, "{documents} documents looked at, something changes for {changed}:")?;
        writeln!(f, "  {other_route} take another route, {other_recipients} go to others")?;
        writeln!(f, "  {more_review} are shown to a person and were not, {less_review} no longer are")?;
        write!(f, "  {more_problems} would be set aside and were not")
    }
}

/// For a person at a terminal.
impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}  {}  {}", self.document_id, self.document_type, self.file_name)?;
        writeln!(f, "  before: {}", self.before)?;
        write!(f, "  after:  {}", self.after)
    }
}

impl std::fmt::Display for Fate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.route, &self.problem) {
            (_, Some(problem)) => write!(f, "set aside: {problem}")?,
            (route, None) => write!(f, "{}", route.as_deref().unwrap_or("no route"))?,
        }
        if let Some(provider) = &self.provider {
            write!(f, ", at {provider} for {}", self.recipients.join(", "))?;
        }
        if self.review {
            write!(f, "; a person sees it: {}", self.reasons.join(" "))?;
        }
        Ok(())
    }
}
