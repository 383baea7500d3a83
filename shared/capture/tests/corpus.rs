//! Real files of every kind, and hostile ones, against what is expected of each.
//!
//! They lie in a corpus beside the checkout (`../shared/corpus`), which is not part of the project. Where it is absent
//! these tests check nothing and say so.

mod manifest;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use manifest::{Entry, corpus};
use platen_capture::decode::{Document, Samples};
use platen_capture::ocr::Engines;
use platen_capture::{Effort, Inspection, Limits, Options, raster};
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

/// The part of the words that are known on first pages of a kind which must be read.
const FOUND_MIN: f64 = 0.85;

/// The words that are known to stand on a file's first page: the longest of its text.
fn known_words(entry: &Entry) -> Vec<String> {
    let fields: serde_json::Value = serde_json::from_str(&entry["fields"]).unwrap_or_default();
    let words = fields["words_page1"].as_array().cloned().unwrap_or_default();
    words.iter().filter_map(|word| Some(word.as_str()?.to_owned())).collect()
}

/// The text of a file's first page, read as a worker reads it.
fn text_of(path: &Path) -> Result<String, Failure> {
    let options = Options::default();
    let mut document = Document::open(File::open(path).expect("it is in the manifest"), &options.limits)?;
    let page = raster::finish_page(&mut document, 0, &options, Effort::Whole, &mut Engines::default())?;
    Ok(page.record.text())
}

/// Reads the first page of every file of these kinds, and checks that of each kind the known words are found.
fn check_words(kinds: &[&str]) {
    let Some((folder, entries)) = corpus("formats") else { return };
    for kind in kinds {
        let of_kind: Vec<&Entry> = entries.iter().filter(|entry| entry["kind"] == *kind).collect();
        let (mut found, mut known, mut missing) = (0, 0, Vec::new());
        for entry in of_kind.iter().filter(|entry| !entry["expected"].contains("refus")) {
            let words = known_words(entry);
            let text = text_of(&folder.join(&entry["file"]));
            let text = text.unwrap_or_else(|failure| panic!("{}: {failure}", entry["file"]));
            known += words.len();
            for word in words {
                match text.contains(&word) {
                    true => found += 1,
                    false => missing.push(format!("{}: {word}", entry["file"])),
                }
            }
        }
        assert!(known > 0, "there is nothing to look for on files of the kind {kind}");
        let share = f64::from(found) / known as f64;
        assert!(share >= FOUND_MIN, "{kind}: {found} of {known} words are read; missing {missing:?}");
    }
}

#[test]
fn the_words_on_tiffs_are_read_whatever_their_coding() {
    check_words(&["tiff-multipage", "tiff"]);
}

#[test]
fn the_words_on_pictures_are_read_whatever_their_format() {
    check_words(&["image"]);
}

#[test]
fn the_words_on_pdfs_of_scans_are_read_whatever_the_coding_of_their_images() {
    check_words(&["pdf-multipage", "pdf"]);
}

#[test]
fn the_words_that_pdfs_bring_are_found() {
    check_words(&["pdf-with-text", "pdf-signed"]);
}
