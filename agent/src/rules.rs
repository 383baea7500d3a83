//! `platen-agent rules`: checks classification rules, and shows on real scans what they see.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use platen_capture::classify::RuleSet;
use platen_capture::{Input, Workshop, capture};
use platen_model::{Decision, durable};
use uuid::Uuid;

use crate::Complaint;

/// Reads the rules of a folder, or of one file with the shipped ones.
///
/// # Errors
///
/// A complaint with file and line where they break the format.
pub fn load(place: &Path) -> Result<RuleSet, Complaint> {
    RuleSet::load(place).map_err(|error| {
        Complaint::new(
            error.to_string(),
            "nothing was changed",
            "correct that place, then: platen-agent rules check",
        )
    })
}

/// The rules in force: those of the configured folder, or the shipped ones.
pub fn in_force(folder: Option<&Path>) -> Result<RuleSet, Complaint> {
    folder.map_or_else(|| Ok(RuleSet::shipped()), load)
}

/// Captures a scan with the workshop's rules and explains each document found: which rules spoke, what they
/// saw, where, and how much it counted. Nothing is kept.
pub fn explain(scan: &Path, workshop: &Workshop) -> Result<String, Complaint> {
    let safe = "the scan is untouched";
    let unread = |error: std::io::Error| {
        Complaint::new(format!("{}: {error}", scan.display()), safe, "check the name and your rights")
    };
    let (sha256, _) = durable::digest_file(scan).map_err(unread)?;
    let file_name = scan.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let work: PathBuf = std::env::temp_dir().join(format!("platen-rules-{}", Uuid::now_v7()));
    durable::create_folder(&work).map_err(unread)?;
    let input = Input { path: scan.to_owned(), file_name, sha256 };
    let captured = capture(&[input], &work, workshop, &|_, _| {});
    // Page images of a trial; whatever stays, the system clears its temporary folder.
    let _ = durable::remove_folder(&work);
    let captured = captured.map_err(|failure| {
        Complaint::new(format!("{}: {failure}", scan.display()), safe, failure.class.what_helps())
    })?;
    let documents = captured.documents.iter().map(|document| to_text(scan, &document.decision));
    Ok(documents.collect())
}

fn to_text(scan: &Path, decision: &Decision) -> String {
    let mut text = String::new();
    let mut line = |words: String| writeln!(text, "{words}").expect("memory takes every line");
    let kind = &decision.document_type;
    line(format!(
        "{}: {kind}, confidence {:.2}, {:?}",
        scan.display(),
        decision.confidence,
        decision.verdict
    ));
    for reason in &decision.reasons {
        let place = reason.rect.map(|at| format!(" at {},{}", at.x, at.y)).unwrap_or_default();
        let page = reason.page + 1;
        line(format!("  {:+.2}  {}  {:?} on page {page}{place}", reason.weight, reason.rule, reason.seen));
    }
    for (name, field) in &decision.fields {
        line(format!(
            "  {name} = {} (read {:?}, confidence {:.2})",
            field.value, field.text, field.confidence
        ));
    }
    text
}
