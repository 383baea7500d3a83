//! `platen-agent rules`: checks classification rules, shows on real scans what they see, and judges and fits them on
//! examples.
//!
//! Examples are files `NAME.example.json` in a folder: those that reviewers made, as `platen-cloud examples export` writes
//! them, and those made here of scans. They hold what was read from the pages, so judging them again takes milliseconds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use platen_capture::classify::calibration::FitError;
use platen_capture::classify::{CALIBRATION, RuleSet, judge};
use platen_capture::{CapturedDocument, Input, Workshop, capture};
use platen_model::{Decision, DocumentType, Example, durable};
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

/// Name, version, digest and types of rules, in a line, and what their confidences rest on.
pub fn summary(rules: &RuleSet) -> String {
    let types: Vec<String> = rules.document_types().map(ToString::to_string).collect();
    let policy = &rules.policy;
    let rests = match rules.calibration().examples() {
        0 => "confidences are fitted to no examples".to_owned(),
        count => format!("confidences are fitted to {count} examples"),
    };
    format!("{} {} ({}): {}\n{rests}\n", policy.name, policy.version, policy.sha256, types.join(", "))
}

/// How rules did on examples.
pub struct Judgement {
    /// The report.
    pub text: String,
    /// Examples that were decided wrongly without a person.
    pub wrong: usize,
    /// Fields of examples decided without a person that were read wrongly, or not at all.
    pub wrong_fields: usize,
}

/// Decides the examples of a folder, and says which end wrongly.
pub fn judged(folder: &Path, rules: &RuleSet) -> Result<Judgement, Complaint> {
    let verdicts = judge::judge(&read_examples(folder)?, rules);
    let mut text = verdicts.to_string();
    let (mut wrong, mut wrong_fields) = (0, 0);
    for judged in &verdicts.judged {
        if judged.is_wrong() {
            wrong += 1;
            let Decision { document_type, confidence, reasons, .. } = &judged.decision;
            let why: Vec<&str> = reasons.iter().take(3).map(|reason| reason.rule.as_str()).collect();
            writeln!(
                text,
                "WRONG {}: it is {}, decided {document_type} at {confidence:.2} by {}",
                judged.name,
                judged.truth,
                why.join(", ")
            )
            .expect("memory takes every line");
        }
        if !judged.is_automatic() {
            let Decision { document_type, confidence, .. } = &judged.decision;
            writeln!(
                text,
                "left to a person: {}, {}: {document_type} at {confidence:.2}",
                judged.name, judged.truth
            )
            .expect("memory takes every line");
        }
        for (name, wanted, read) in judged.wrong_fields() {
            wrong_fields += usize::from(judged.is_automatic());
            let read = read.map_or("nothing".to_owned(), |read| format!("{read:?}"));
            writeln!(text, "field {name} of {}: wanted {wanted:?}, read {read}", judged.name)
                .expect("memory takes every line");
        }
    }
    Ok(Judgement { text, wrong, wrong_fields })
}

/// Fits confidences to the examples of a folder, tries the fit on halves, and writes it into a folder of rules.
pub fn fitted(folder: &Path, rules: &RuleSet, write: Option<&Path>) -> Result<String, Complaint> {
    let examples = read_examples(folder)?;
    let unfit = |error: FitError| {
        Complaint::new(error.to_string(), "nothing was changed", "add examples, or mend the rules")
    };
    let tried = judge::split_judged(&examples, rules).map_err(unfit)?;
    let calibration = judge::fit(&examples, rules).map_err(unfit)?;
    let toml = toml::to_string(&calibration).expect("numbers are TOML");
    let mut text =
        format!("fitted on one half of {} examples, judged on the other:\n{tried}\n{toml}", examples.len());
    if let Some(to) = write {
        let file = to.join(CALIBRATION);
        durable::write(&file, toml.as_bytes()).map_err(|error| {
            Complaint::new(
                format!("{}: {error}", file.display()),
                "the rules are as they were",
                "check the folder",
            )
        })?;
        writeln!(text, "written to {}", file.display()).expect("memory takes every line");
    }
    Ok(text)
}

/// The examples of a folder, in order of their names.
fn read_examples(folder: &Path) -> Result<Vec<Example>, Complaint> {
    let safe = "nothing was changed";
    let unread = |place: &Path, error: String| {
        Complaint::new(
            format!("{}: {error}", place.display()),
            safe,
            "check the folder and its *.example.json files",
        )
    };
    let entries = std::fs::read_dir(folder).map_err(|error| unread(folder, error.to_string()))?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(|error| unread(folder, error.to_string()))?;
    files.retain(|file| file.to_string_lossy().ends_with(Example::FILE_ENDING));
    files.sort();
    if files.is_empty() {
        return Err(unread(folder, format!("it holds no file *{}", Example::FILE_ENDING)));
    }
    let read = |file: &PathBuf| {
        let bytes = std::fs::read(file).map_err(|error| unread(file, error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| unread(file, error.to_string()))
    };
    files.iter().map(read).collect()
}

/// What a person says of documents.
pub struct Said {
    document_type: DocumentType,
    fields: BTreeMap<String, String>,
}

impl Said {
    /// Of a type and `name=value` pairs.
    pub fn new(document_type: String, fields: &[String]) -> Result<Self, Complaint> {
        let pair = |text: &String| {
            let (name, value) =
                text.split_once('=').filter(|(name, _)| !name.trim().is_empty()).ok_or_else(|| {
                    Complaint::new(
                        format!("--field {text}: it has no name"),
                        "nothing was changed",
                        "write --field NAME=VALUE",
                    )
                })?;
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        };
        let fields = fields.iter().map(pair).collect::<Result<_, _>>()?;
        Ok(Self { document_type: DocumentType(document_type), fields })
    }
}

/// Captures a scan and makes an example of each of its documents.
pub fn example(scan: &Path, said: &Said, to: &Path, workshop: &Workshop) -> Result<String, Complaint> {
    let documents = captured(scan, workshop)?;
    durable::create_folder(to).map_err(|error| {
        Complaint::new(format!("{}: {error}", to.display()), "nothing was changed", "check the folder")
    })?;
    let file_name = scan.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = scan.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut text = String::new();
    for (number, document) in (1..).zip(&documents) {
        let name = if documents.len() == 1 { stem.clone() } else { format!("{stem}-{number}") };
        let example = Example {
            document_type: said.document_type.clone(),
            fields: said.fields.clone(),
            file_name: file_name.clone(),
            source: String::new(),
            captured_on: workshop.day,
            text: document.text.clone(),
            name,
        };
        let file = to.join(format!("{}{}", example.name, Example::FILE_ENDING));
        let json = serde_json::to_vec(&example).expect("an example is JSON");
        durable::write(&file, &json).map_err(|error| {
            Complaint::new(
                format!("{}: {error}", file.display()),
                "the scan is untouched",
                "check the folder",
            )
        })?;
        writeln!(text, "{}", file.display()).expect("memory takes every line");
    }
    Ok(text)
}

/// Captures a scan with the workshop's rules and explains each document found: which rules spoke, what they
/// saw, where, and how much it counted. Nothing is kept.
pub fn explain(scan: &Path, workshop: &Workshop) -> Result<String, Complaint> {
    let documents = captured(scan, workshop)?;
    Ok(documents.iter().map(|document| to_text(scan, &document.decision)).collect())
}

/// The documents of a scan, without their files.
fn captured(scan: &Path, workshop: &Workshop) -> Result<Vec<CapturedDocument>, Complaint> {
    let safe = "the scan is untouched";
    let unread = |error: std::io::Error| {
        Complaint::new(format!("{}: {error}", scan.display()), safe, "check the name and your rights")
    };
    let (sha256, _) = durable::digest_file(scan).map_err(unread)?;
    let file_name = scan.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let work: PathBuf = std::env::temp_dir().join(format!("platen-rules-{}", Uuid::now_v7()));
    durable::create_folder(&work).map_err(unread)?;
    let input = Input { path: scan.to_owned(), file_name, source: String::new(), sha256 };
    let captured = capture(&[input], &work, workshop, &|_, _| {});
    // Page images of a trial; whatever stays, the system clears its temporary folder.
    let _ = durable::remove_folder(&work);
    let captured = captured.map_err(|failure| {
        Complaint::new(format!("{}: {failure}", scan.display()), safe, failure.class.what_helps())
    })?;
    Ok(captured.documents)
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
