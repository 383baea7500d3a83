//! The list of documents, with its counters and its filter.

use askama::Template;
use jiff::Timestamp;
use platen_model::api::Document;
use platen_model::event::Status;
use serde::Deserialize;

use super::frame::{Choice, Frame, encode};
use super::lookup::COUNTED;
use super::words;

/// What the list is narrowed to; the query string of `/documents`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// What to search for, as the API takes it; the last word may go on.
    pub q: String,
    /// A status by its name, or empty.
    pub status: String,
    /// A document type by its name, or empty.
    #[serde(rename = "type")]
    pub document_type: String,
    /// The cursor of the page before.
    pub after: String,
}

impl Filter {
    /// Whether it leaves anything out.
    pub fn is_set(&self) -> bool {
        !(self.q.is_empty() && self.status.is_empty() && self.document_type.is_empty())
    }

    /// The status, where it is one.
    pub fn status(&self) -> Option<Status> {
        self.status.parse().ok()
    }

    fn href(&self, after: Option<&str>) -> String {
        let after = after.map(|after| format!("&after={}", encode(after))).unwrap_or_default();
        let (q, kind) = (encode(&self.q), encode(&self.document_type));
        format!("/documents?q={q}&status={}&type={kind}{after}", encode(&self.status))
    }
}

/// The page, ready to be rendered.
#[derive(Debug, Template)]
#[template(path = "documents.html")]
pub struct ListPage {
    frame: Frame,
    total: String,
    oldest_waiting: String,
    counters: Vec<Counter>,
    filter: Filter,
    statuses: Vec<Choice>,
    types: Vec<Choice>,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

#[derive(Debug)]
struct Counter {
    label: String,
    tone: &'static str,
    count: String,
    href: String,
    selected: bool,
}

#[derive(Debug)]
struct Row {
    id: String,
    name: String,
    document_type: String,
    confidence: u32,
    status: String,
    tone: &'static str,
    pages: u32,
    source: String,
    received: String,
}

/// What the page is made of.
#[derive(Debug)]
pub struct Material {
    /// What to narrow it to.
    pub filter: Filter,
    /// The documents, newest first.
    pub documents: Vec<Document>,
    /// The cursor of the next page.
    pub next: Option<String>,
    /// How many documents are in each state.
    pub counts: Vec<(Status, u64)>,
    /// The document types there are.
    pub types: Vec<String>,
    /// When the document that waits longest for review came in.
    pub oldest_waiting: Option<Timestamp>,
}

impl ListPage {
    /// The list.
    pub fn new(frame: Frame, material: Material) -> Self {
        let Material { filter, documents, next, counts, types, oldest_waiting } = material;
        let counters = counts.iter().filter(|(_, count)| *count > 0).map(|(status, count)| {
            let selected = filter.status == status.as_str();
            let status_filter = if selected { String::new() } else { status.as_str().to_owned() };
            let other = Filter { status: status_filter, ..filter.clone() };
            let (label, tone) = (words::label(*status), words::tone(*status));
            Counter { label, tone, count: counted(*count), href: other.href(None), selected }
        });
        let statuses = Status::ALL.iter().map(|status| {
            Choice::new(status.as_str(), &words::label(*status), filter.status == status.as_str())
        });
        let types = types
            .iter()
            .map(|name| Choice::new(name, &words::title_case(name), filter.document_type == *name));
        Self {
            frame,
            total: total(&counts),
            oldest_waiting: oldest_waiting.map(words::minute).unwrap_or_default(),
            counters: counters.collect(),
            statuses: statuses.collect(),
            types: types.collect(),
            rows: documents.iter().map(row).collect(),
            first: (!filter.after.is_empty()).then(|| filter.href(None)),
            next: next.map(|after| filter.href(Some(&after))),
            filter,
        }
    }
}

/// A number that was counted up to a limit.
fn counted(count: u64) -> String {
    if count > COUNTED { format!("over {COUNTED}") } else { count.to_string() }
}

fn total(counts: &[(Status, u64)]) -> String {
    let total: u64 = counts.iter().map(|(_, count)| *count.min(&COUNTED)).sum();
    if counts.iter().any(|(_, count)| *count > COUNTED) { format!("over {total}") } else { total.to_string() }
}

fn row(document: &Document) -> Row {
    Row {
        id: document.document_id.to_string(),
        name: document.file_name.clone(),
        document_type: words::title_case(&document.document_type.0),
        confidence: words::percent(document.confidence),
        status: words::label(document.status),
        tone: words::tone(document.status),
        pages: document.page_count,
        source: document.source.clone(),
        received: words::minute(document.created_at),
    }
}
