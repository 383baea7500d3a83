//! `platen-agent process` alone: what anyone will judge the page processing by.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use platen_tests::Programs;
use serde_json::Value;

struct Processed {
    output: Output,
    folder: tempfile::TempDir,
}

impl Processed {
    fn records(&self) -> Vec<Value> {
        let lines = String::from_utf8_lossy(&self.output.stdout).into_owned();
        lines.lines().map(|line| serde_json::from_str(line).expect("one JSON object a line")).collect()
    }

    fn errors(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn process(files: &[PathBuf]) -> Processed {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Programs::of_this_build()
        .agent()
        .args(["process", "--json", "--lang", "eng+deu", "--out"])
        .arg(folder.path())
        .args(files)
        .output()
        .expect("the agent starts");
    Processed { output, folder }
}

fn said_by(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).arg("-").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; see packaging/build-deps.sh"));
    assert!(
        output.status.success(),
        "{program} {}: {}",
        file.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

#[test]
fn every_good_sample_becomes_a_straight_searchable_pdf_that_other_readers_accept() {
    let samples: Vec<_> =
        platen_testdata::samples().into_iter().filter(|sample| !sample.is_quarantined()).collect();
    let files: Vec<PathBuf> = samples.iter().flat_map(|sample| sample.paths()).collect();
    let processed = process(&files);
    assert!(processed.output.status.success(), "{}", processed.errors());
    let records = processed.records();
    assert_eq!(records.len(), files.len(), "one document a file");

    for sample in &samples {
        for (position, file) in sample.paths().iter().enumerate() {
            let record = records
                .iter()
                .find(|record| record["source"].as_str().is_some_and(|source| Path::new(source) == file))
                .unwrap_or_else(|| panic!("no record of {}", file.display()));
            let stem = file.file_stem().expect("a stem").to_string_lossy().into_owned();
            let pdf = processed.path(&format!("{stem}.pdf"));
            let qpdf = Command::new("qpdf").arg("--check").arg(&pdf).output().expect("qpdf");
            assert!(qpdf.status.success(), "{stem}: {}", String::from_utf8_lossy(&qpdf.stdout));

            let text = std::fs::read_to_string(processed.path(&format!("{stem}.txt"))).expect("the text");
            let found = said_by("pdftotext", &["-enc", "UTF-8", "-raw"], &pdf);
            let (mut ours, mut theirs) = (words(&text), words(&found));
            ours.sort_unstable();
            theirs.sort_unstable();
            assert_eq!(theirs, ours, "{stem}: pdftotext finds the words of our text");

            // Where the sample is one file per page, this file is that page.
            let pages = record["pages"].as_array().expect("pages");
            for (index, page) in pages.iter().filter(|page| page["blank"] == false).enumerate() {
                let page_number = if sample.expected.files.len() > 1 { position } else { index };
                let skew = page["skew_deg"].as_f64().expect("skew_deg");
                let wanted = f64::from(sample.expected.skew_deg[page_number]);
                assert!(
                    (skew - wanted).abs() < 0.25,
                    "{stem} page {index}: skew {skew}, scanned at {wanted}"
                );
                let turn = page["rotation_deg"].as_u64().expect("rotation_deg");
                assert_eq!(
                    turn,
                    u64::from(sample.expected.rotation_deg[page_number]),
                    "{stem} page {index}: turn"
                );
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_what_to_do_and_the_others_are_done() {
    let samples = platen_testdata::samples();
    let bad: Vec<_> = samples.iter().filter(|sample| sample.is_quarantined()).collect();
    let good = samples.iter().find(|sample| !sample.is_quarantined()).expect("a good sample");
    let mut files: Vec<PathBuf> = bad.iter().flat_map(|sample| sample.paths()).collect();
    files.push(good.paths()[0].clone());
    let before: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).expect("a sample")).collect();

    let processed = process(&files);
    assert_eq!(processed.output.status.code(), Some(1));
    let errors = processed.errors();
    for sample in &bad {
        let platen_testdata::Outcome::Quarantined { class } = &sample.expected.outcome else { continue };
        let name = &sample.expected.files[0];
        let about = errors.lines().any(|line| line.contains(name.as_str()));
        assert!(about && errors.contains(class.as_str()), "{name} ({class}) is not explained in:\n{errors}");
    }
    assert!(errors.contains("safe"), "says what is still safe:\n{errors}");
    let stem = good.paths()[0].file_stem().expect("a stem").to_string_lossy().into_owned();
    assert!(processed.path(&format!("{stem}.pdf")).is_file(), "the good file is done");
    let after: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).expect("a sample")).collect();
    assert!(before == after, "inputs are never changed");
}

#[test]
fn wrong_usage_ends_with_status_2() {
    let output =
        Programs::of_this_build().agent().args(["process", "--no-such-flag"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    let output = Programs::of_this_build().agent().args(["process"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
}
