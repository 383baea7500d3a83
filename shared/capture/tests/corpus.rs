//! Real files of every kind, and hostile ones, against what is expected of each.
//!
//! They lie in a corpus beside the checkout (`../shared/corpus`), which is not part of the project. Where it is absent
//! these tests check nothing and say so.

mod manifest;

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use manifest::corpus;
use platen_capture::decode::{Document, Samples};
use platen_capture::{Inspection, Limits};
use platen_model::{Failure, FailureClass};

/// What nothing in the corpus should come near, on any machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Inspects a file and decodes its pages, as far as they decode.
fn read(path: &PathBuf) -> Result<(Inspection, Vec<Samples>), Failure> {
    let limits = Limits::default();
    let mut document = Document::open(File::open(path).expect("it is in the manifest"), &limits)?;
    let inspection = document.inspect(&limits)?;
    // A bomb of thousands of pages is no better known by all of them.
    let pages = (0..inspection.pages.min(40)).map(|page| Ok(document.page(page, &limits)?.samples));
    let pages = pages.collect::<Result<Vec<_>, Failure>>()?;
    Ok((inspection, pages))
}

fn is_empty_of_ink(samples: &Samples) -> bool {
    let gray = samples.to_gray();
    gray.iter().all(|&sample| sample == gray[(0, 0)][0])
}

#[test]
fn every_format_gives_its_pages_or_says_clearly_why_not() {
    let Some((folder, entries)) = corpus("formats") else { return };
    let mut wrong = Vec::new();
    for entry in &entries {
        let (name, expected) = (&entry["file"], entry["expected"].as_str());
        let may_refuse = ["refus", "clear error"].iter().any(|word| expected.contains(word));
        match read(&folder.join(name)) {
            Ok((inspection, pages)) => {
                let count: Option<u32> = entry["pages"].parse().ok();
                if count.is_some_and(|count| count != inspection.pages) {
                    wrong.push(format!("{name}: {} pages and not {count:?}", inspection.pages));
                }
                if expected.contains("digitally signed") != inspection.digitally_signed {
                    wrong.push(format!("{name}: signed is {}", inspection.digitally_signed));
                }
                if !may_refuse && pages.first().is_some_and(is_empty_of_ink) {
                    wrong.push(format!("{name}: its first page is of one colour"));
                }
            }
            Err(failure) if may_refuse && failure.class != FailureClass::Internal => {}
            Err(failure) => wrong.push(format!("{name}: {failure}")),
        }
    }
    assert!(wrong.is_empty(), "of {} files:\n{}", entries.len(), wrong.join("\n"));
}

#[test]
fn nothing_hostile_crashes_hangs_or_is_called_our_own_fault() {
    let Some((folder, entries)) = corpus("hostile") else { return };
    let mut wrong = Vec::new();
    for entry in &entries {
        let (name, expected) = (&entry["file"], entry["expected"].as_str());
        let begun = Instant::now();
        let outcome = read(&folder.join(name));
        if begun.elapsed() > PATIENCE {
            wrong.push(format!("{name}: it took {:?}", begun.elapsed()));
        }
        match outcome {
            Ok(_) if expected.starts_with("must give a clear error") => {
                wrong.push(format!("{name}: it was read"));
            }
            Ok(_) if expected.contains("password is needed") => wrong.push(format!("{name}: it was open")),
            Ok(_) => {}
            Err(failure) if failure.class == FailureClass::Internal => {
                wrong.push(format!("{name}: {failure}"));
            }
            Err(failure)
                if expected.contains("password is needed") && failure.class != FailureClass::Locked =>
            {
                wrong.push(format!("{name}: {failure}"));
            }
            Err(failure) if expected.starts_with("must process (") => {
                wrong.push(format!("{name}: {failure}"));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "of {} files:\n{}", entries.len(), wrong.join("\n"));
}
