//! What `process` says of each document: the fields other programs read.

use std::collections::BTreeMap;
use std::path::PathBuf;

use platen_capture::PdfA;
use platen_model::{Aside, Digest, Failure, Field, PageRecord, PolicyRef, Reason, SetAside, Verdict};
use serde::{Deserialize, Serialize};

/// One document, or one input that failed. Fields are added over time, never renamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// The input as it was named on the command line.
    pub source: PathBuf,
    /// Digest of the input's bytes, where it could be read.
    pub source_sha256: Option<Digest>,
    /// Which of the input's documents this is, from 1.
    pub document: u32,
    /// The number of documents found in the input.
    pub documents: u32,
    /// The pages of the PDF in order.
    pub pages: Vec<PageRecord>,
    /// Number of blank pages that were set aside; they remain in the input.
    pub blank_pages: u32,
    /// All pages that were set aside, and why.
    #[serde(default)]
    pub set_aside: Vec<SetAside>,
    /// The document type, `unknown` where the rules are not sure.
    pub document_type: String,
    /// The department that its cover sheet names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// How sure of the type, 0 to 1.
    pub confidence: f32,
    /// What should happen next by the type's thresholds.
    pub verdict: Option<Verdict>,
    /// Values read, by name.
    pub fields: BTreeMap<String, Field>,
    /// The evidence for the type, strongest first.
    pub reasons: Vec<Reason>,
    /// The classification rules that decided.
    pub policy: Option<PolicyRef>,
    /// What is to be known of the input as a whole, as sentences: that it is signed, was locked or broken, or holds more
    /// than its pages.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The input is a digitally signed PDF. The searchable PDF is an unsigned copy, marked as one.
    #[serde(default)]
    pub copy_of_signed: bool,
    /// The signed PDF beside the copy, byte for byte as it came.
    #[serde(default)]
    pub signed_pdf: Option<PathBuf>,
    /// The searchable PDF.
    pub pdf: Option<PathBuf>,
    /// Its digest.
    pub pdf_sha256: Option<Digest>,
    /// The archival standard that it claims.
    #[serde(default)]
    pub pdfa: Option<PdfA>,
    /// Why it does not claim the one that was asked for, a sentence each.
    #[serde(default)]
    pub pdfa_breaches: Vec<String>,
    /// Why there is no PDF.
    pub error: Option<RecordedError>,
}

/// A failure, with what a person can do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedError {
    /// Class, stage and message.
    #[serde(flatten)]
    pub failure: Failure,
    /// What helps.
    pub help: String,
}

impl ProcessRecord {
    /// What a person should know of single pages, a sentence each. Pages set aside are counted as in the input, the
    /// others as in the PDF.
    pub fn remarks(&self) -> Vec<String> {
        let noted = (1..).zip(&self.pages).flat_map(|(number, page): (u32, _)| {
            page.notes.iter().map(move |note| format!("page {number}: {note}"))
        });
        let aside = self.set_aside.iter().map(|SetAside { page, why }| {
            let (number, what) = (u64::from(page.page) + 1, why.as_words());
            let keep = match why {
                Aside::Blank => "--keep-blank keeps it",
                Aside::Sheet | Aside::SheetBack => "--separate off undoes that",
            };
            format!("page {number} of the input is {what} and set aside ({keep})")
        });
        let doubts = self.reasons.iter().filter(|reason| reason.rule == Reason::SEPARATION);
        let doubts = doubts.map(|reason| reason.seen.clone());
        let claim = (!self.pdfa_breaches.is_empty()).then(|| {
            format!(
                "the PDF does not claim PDF/A, for pages are kept as they came: {}",
                self.pdfa_breaches.join(" ")
            )
        });
        self.notes.iter().cloned().chain(noted).chain(doubts).chain(aside).chain(claim).collect()
    }

    /// The record of an input that could not be processed.
    pub fn failed(source: PathBuf, source_sha256: Option<Digest>, failure: Failure) -> Self {
        let help = failure.class.what_helps().to_owned();
        Self {
            source,
            source_sha256,
            document: 1,
            documents: 0,
            pages: Vec::new(),
            blank_pages: 0,
            set_aside: Vec::new(),
            document_type: "unknown".into(),
            department: None,
            confidence: 0.0,
            verdict: None,
            fields: BTreeMap::new(),
            reasons: Vec::new(),
            policy: None,
            notes: Vec::new(),
            copy_of_signed: false,
            signed_pdf: None,
            pdf: None,
            pdf_sha256: None,
            pdfa: None,
            pdfa_breaches: Vec::new(),
            error: Some(RecordedError { failure, help }),
        }
    }
}
