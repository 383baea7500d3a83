//! The project's own scans, and what each of them should become.
//!
//! `testdata/samples/` holds small scans of invented documents, made by this package's program
//! (`cargo run -p platen-testdata`) and committed, so that tests and the demonstration work from the same
//! bytes everywhere. Beside each scan stands `<name>.expected.json`: its type, its key fields, its text, its
//! skew, and the end it must reach. `testdata/pages/` holds pages whose reading order is easily got wrong, each with its text.
//! This library only reads those files, and has the [`scanner`] that they went through.

pub mod scanner;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The ending of the files that say what is expected.
pub const EXPECTED_SUFFIX: &str = ".expected.json";

/// The end a sample must reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// It becomes a document.
    Document {
        /// `auto`: sure enough to go on alone; `review`: a person must look.
        verdict: String,
    },
    /// It is kept, unread, with a reason.
    Quarantined {
        /// The class of failure, for example `locked`.
        class: String,
    },
}

/// What is expected of one sample. The lists run over the pages of the finished document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The file names, in page order; several where a scanner writes one file per page.
    pub files: Vec<String>,
    /// The document type by its name in the classification rules; `unknown` where none is honest.
    pub document_type: String,
    /// Key fields in their normal form. The document may well hold others.
    pub fields: BTreeMap<String, String>,
    /// The text as it was set, in reading order, a form feed between pages.
    pub text: String,
    /// Number of pages, blank ones not counted unless all are.
    pub pages: u32,
    /// Blank pages that are set aside.
    pub blank_pages: u32,
    /// The clockwise rotation of each page in degrees, beside `rotation_deg`.
    pub skew_deg: Vec<f32>,
    /// The clockwise turn (0, 90, 180, 270) which makes each page upright.
    pub rotation_deg: Vec<u32>,
    /// The end it must reach.
    pub outcome: Outcome,
}

/// One sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its name: the expectation's file name without [`EXPECTED_SUFFIX`].
    pub name: String,
    /// The folder its files are in.
    pub folder: PathBuf,
    /// What is expected of it.
    pub expected: Expected,
}

impl Sample {
    /// Its files, in page order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.expected.files.iter().map(|file| self.folder.join(file)).collect()
    }

    /// Whether it ends in quarantine.
    pub fn is_quarantined(&self) -> bool {
        matches!(self.expected.outcome, Outcome::Quarantined { .. })
    }
}

/// All committed samples, sorted by name.
pub fn samples() -> Vec<Sample> {
    samples_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("samples"))
}

/// A page of `testdata/pages/`, chosen for its reading order: the picture, and its text as it is to be read.
///
/// # Panics
///
/// When there is no page of this name.
pub fn page(name: &str) -> (PathBuf, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages");
    let text = folder.join(name).with_extension("txt");
    let text = fs::read_to_string(&text).unwrap_or_else(|error| panic!("cannot read {text:?}: {error}"));
    (folder.join(name).with_extension("png"), text)
}

/// All samples in a folder, sorted by name.
///
/// # Panics
///
/// When the folder, or an expectation in it, cannot be read: a test that silently runs over nothing is worse.
pub fn samples_in(folder: &Path) -> Vec<Sample> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("cannot list {folder:?}: {error}"));
    let mut samples: Vec<Sample> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|file| Some((file.strip_suffix(EXPECTED_SUFFIX)?.to_owned(), file)))
        .map(|(name, file)| {
            let path = folder.join(file);
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("cannot read {path:?}: {error}"));
            let expected = serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            Sample { name, folder: folder.to_owned(), expected }
        })
        .collect();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_its_files_and_one_measure_per_page() {
        let samples = samples();
        assert!(samples.len() >= 14, "only {} samples", samples.len());
        for sample in &samples {
            for path in sample.paths() {
                assert!(path.is_file(), "{} lacks {path:?}", sample.name);
            }
            let expected = &sample.expected;
            assert_eq!(expected.skew_deg.len(), expected.pages as usize, "{}", sample.name);
            assert_eq!(expected.rotation_deg.len(), expected.pages as usize, "{}", sample.name);
            let breaks = expected.text.matches('\u{c}').count();
            assert_eq!(breaks, (expected.pages as usize).saturating_sub(1), "{}", sample.name);
        }
    }

    #[test]
    fn the_samples_stay_small_enough_to_commit() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let entries = fs::read_dir(folder).expect("the samples are committed");
        let bytes: u64 = entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum();
        assert!(bytes < 10_000_000, "{bytes} bytes");
    }

    #[test]
    fn the_samples_cover_every_end_a_scan_can_reach() {
        let ends: Vec<Outcome> = samples().into_iter().map(|sample| sample.expected.outcome).collect();
        let document = |verdict: &str| Outcome::Document { verdict: verdict.into() };
        let quarantined = |class: &str| Outcome::Quarantined { class: class.into() };
        let quarantined = ["locked", "truncated", "corrupt"].map(quarantined);
        for end in [document("auto"), document("review")].into_iter().chain(quarantined) {
            assert!(ends.contains(&end), "no sample ends as {end:?}");
        }
    }
}
