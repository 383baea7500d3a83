//! How well documents are named and their fields read.
//!
//! The documents with a known class are captured once, and their page texts judged by the shipped rules: as they are
//! shipped, and split (the confidences fitted on one half, judged on the other), so that no figure rests on documents it
//! was fitted to. A class that no rule knows must be left to a person. Receipts of other sets whose fields are known are
//! judged for their fields too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use platen_capture::classify::RuleSet;
use platen_capture::classify::judge::{self, Tally, Verdicts};
use platen_model::{DocumentType, Example, PageRecord, PageText};
use platen_testdata::Sample;

use super::contender::Tools;
use super::manifest::Entry;
use super::report::{Report, figure, per_cent};
use super::targets::Targets;
use super::{manifest, records};

/// The key fields of receipts.
const KEY_FIELDS: [&str; 3] = ["total", "date", "company"];
/// The ways in which the truth writes dates.
const DATE_FORMATS: [&str; 8] =
    ["%d-%m-%y", "%d/%m/%y", "%d %b %y", "%d-%m-%Y", "%d/%m/%Y", "%d/%b/%Y", "%d %b %Y", "%Y-%m-%d"];

/// Measures on the classified set of the corpus, writes the tables, and holds them against the targets.
///
/// # Errors
///
/// When the set cannot be read, or the agent fails.
pub fn measure(
    tools: &Tools,
    scratch: &Path,
    report: &mut Report,
    targets: &mut Targets,
) -> Result<(), String> {
    report.section("Naming documents and reading their fields");
    let rules = RuleSet::shipped();
    let own = judge::judge(&samples(tools, &scratch.join("samples"))?, &rules);
    tell_samples(&own, report);
    let Some(corpus) = manifest::corpus() else {
        report.paragraph(
            "There is no corpus beside the checkout: classification is measured on the samples alone.",
        );
        return Ok(());
    };
    let classified = examples(&corpus.join("classify"), &rules, tools, &scratch.join("classify"), |entry| {
        !entry["class"].is_empty()
    })?;
    let receipts = examples(&corpus.join("ocr"), &rules, tools, &scratch.join("receipts"), |entry| {
        entry["kind"] == "scan-receipt"
    })?;

    let shipped = judge::judge(&classified, &rules);
    let split = judge::split_judged(&classified, &rules).map_err(|error| error.to_string())?;
    tell(&shipped, &split, report);
    let read = judge::judge(&classified, &rules).and(judge::judge(&receipts, &rules));
    tell_fields(&read, report);

    let percent = |share: Option<f64>| share.map(|share| share * 100.0);
    targets.at_least("decided without a person", percent(split.share_automatic()), 70.0, " %");
    targets.at_least("of these right", percent(split.share_right()), 98.0, " %");
    targets.at_most("calibration error (ECE)", split.calibration_error(), 0.05, "");
    let (exact, all) = KEY_FIELDS
        .iter()
        .map(|name| read.field(name))
        .fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1));
    let share = (all > 0).then(|| 100.0 * exact as f64 / all as f64);
    targets.at_least("key fields of receipts read exactly", share, 85.0, " %");
    targets.at_most("deciding, milliseconds a page", shipped.ms_a_page(), 5.0, " ms");
    Ok(())
}

/// The documents of a list that are wanted, captured, with what the list says of them.
fn examples(
    folder: &Path,
    rules: &RuleSet,
    tools: &Tools,
    out: &Path,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<Vec<Example>, String> {
    let entries: Vec<Entry> =
        manifest::entries(&folder.join("manifest.csv"))?.into_iter().filter(|entry| wanted(entry)).collect();
    let files: Vec<PathBuf> = entries.iter().map(|entry| folder.join(&entry["file"])).collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let pages = records::pages(&files, tools, out)?;
    let known: Vec<&DocumentType> = rules.document_types().collect();
    let example = |(entry, pages): (&Entry, Option<_>)| {
        let class = if entry["class"].is_empty() { "receipt" } else { &entry["class"] };
        let class = DocumentType(class.into());
        let document_type = if known.contains(&&class) { class } else { DocumentType::unknown() };
        // The file's name names its class in some sets: it must not help.
        Some(Example {
            name: entry["file"].clone(),
            document_type,
            fields: fields(&entry["fields"]),
            file_name: String::new(),
            source: String::new(),
            captured_on: None,
            text: PageText::new(pages?),
        })
    };
    Ok(entries.iter().zip(pages).filter_map(example).collect())
}

/// The project's own samples, captured, with what is known of them.
fn samples(tools: &Tools, out: &Path) -> Result<Vec<Example>, String> {
    let samples: Vec<Sample> =
        platen_testdata::samples().into_iter().filter(|sample| !sample.is_quarantined()).collect();
    let files: Vec<PathBuf> = samples.iter().flat_map(Sample::paths).collect();
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let mut pages = records::pages(&files, tools, out)?.into_iter();
    let examples = samples.into_iter().map(|sample| {
        // A sample may be several files, one for each page.
        let of_sample: Vec<PageRecord> =
            pages.by_ref().take(sample.expected.files.len()).flatten().flatten().collect();
        Example {
            name: sample.name,
            document_type: DocumentType(sample.expected.document_type),
            fields: sample.expected.fields,
            file_name: String::new(),
            source: String::new(),
            captured_on: None,
            text: PageText::new(of_sample),
        }
    });
    Ok(examples.collect())
}

/// The key fields of a receipt in their normal form.
fn fields(json: &str) -> BTreeMap<String, String> {
    let fields: BTreeMap<String, serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    let key = |name: &&str| {
        let value = fields.get(*name)?.as_str()?;
        let value = if *name == "date" { iso(value)? } else { value.to_owned() };
        Some(((*name).to_owned(), value))
    };
    KEY_FIELDS.iter().filter_map(key).collect()
}

fn iso(date: &str) -> Option<String> {
    DATE_FORMATS.iter().find_map(|format| Date::strptime(format, date).ok()).map(|date| date.to_string())
}

fn tell(shipped: &Verdicts, split: &Verdicts, report: &mut Report) {
    let rows: Vec<Vec<String>> = shipped
        .by_type()
        .into_iter()
        .map(|(kind, tally)| {
            let Tally { examples, right, abstained, taken_wrongly } = tally;
            let decided = right + taken_wrongly;
            let precision = (decided > 0).then(|| right as f64 / decided as f64);
            let recall = (examples > 0 && !kind.is_unknown()).then(|| right as f64 / examples as f64);
            vec![
                if kind.is_unknown() { "none that the rules know".into() } else { kind.0 },
                examples.to_string(),
                per_cent(precision, 0),
                per_cent(recall, 0),
                abstained.to_string(),
                taken_wrongly.to_string(),
            ]
        })
        .collect();
    report.table(&["type", "documents", "precision", "recall", "left to a person", "taken wrongly"], &rows);
    let row = |name: &str, verdicts: &Verdicts| {
        vec![
            name.to_owned(),
            verdicts.judged.len().to_string(),
            per_cent(verdicts.share_automatic(), 1),
            per_cent(verdicts.share_right(), 1),
            figure(verdicts.calibration_error(), 3),
            figure(verdicts.ms_a_page(), 2),
        ]
    };
    report.table(
        &["", "documents", "decided without a person", "of these right", "calibration error", "ms / page"],
        &[row("as shipped", shipped), row("fitted on one half, judged on the other", split)],
    );
}

fn tell_samples(own: &Verdicts, report: &mut Report) {
    let rows: Vec<Vec<String>> = own
        .judged
        .iter()
        .map(|judged| {
            let wrong: Vec<&str> = judged.wrong_fields().map(|(name, ..)| name).collect();
            let (known, decision) = (judged.fields.len(), &judged.decision);
            vec![
                judged.name.clone(),
                judged.truth.to_string(),
                if judged.is_automatic() {
                    decision.document_type.to_string()
                } else {
                    "left to a person".into()
                },
                format!("{} of {known}", known - wrong.len()),
                wrong.join(", "),
            ]
        })
        .collect();
    report.paragraph(
        "Platen's own samples (`testdata/`), printed and scanned by a program, as they are captured:",
    );
    report.table(&["sample", "is", "decided", "fields read exactly", "others"], &rows);
    report.paragraph("Documents of the corpus:");
}

fn tell_fields(read: &Verdicts, report: &mut Report) {
    let rows: Vec<Vec<String>> = KEY_FIELDS
        .iter()
        .map(|name| {
            let (exact, all) = read.field(name);
            let share = (all > 0).then(|| exact as f64 / all as f64);
            vec![(*name).to_owned(), all.to_string(), exact.to_string(), per_cent(share, 1)]
        })
        .collect();
    report.table(&["field of receipts", "known", "read exactly", ""], &rows);
    report.paragraph("Exactly: but for case, blanks and punctuation between words. Documents are read by Platen itself: what was misread counts.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_truth_become_iso_dates() {
        for (written, date) in [
            ("24-03-2018", "2018-03-24"),
            ("25/FEB/2017", "2017-02-25"),
            ("28 MAR 18", "2018-03-28"),
            ("12-03-18", "2018-03-12"),
        ] {
            assert_eq!(iso(written).as_deref(), Some(date), "{written}");
        }
    }
}
