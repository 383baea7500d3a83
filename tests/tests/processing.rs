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
    process_with(&[], files)
}

fn process_with(options: &[&str], files: &[PathBuf]) -> Processed {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Programs::of_this_build()
        .agent()
        .args(["process", "--json", "--lang", "eng+deu", "--out"])
        .arg(folder.path())
        .args(options)
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

            for (name, value) in
                sample.expected.fields.iter().filter(|(_, value)| ["yes", "no"].contains(&value.as_str()))
            {
                assert_eq!(record["fields"][name]["value"], **value, "{stem}: {name}");
            }

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
                let boxes = page["check_boxes"].as_array().cloned().unwrap_or_default();
                let ticked: Vec<bool> = boxes.iter().filter_map(|found| found["ticked"].as_bool()).collect();
                let drawn: &[bool] = if stem == "mandate-ostertal" { &[true, false] } else { &[] };
                assert_eq!(ticked, drawn, "{stem} page {index}: boxes to tick, and no letter taken for one");
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
fn a_locked_pdf_is_opened_by_a_password_from_a_file_and_only_by_it() {
    let locked = platen_testdata::samples().into_iter().find(|sample| sample.name == "letter-locked");
    let files = locked.expect("the sample is there").paths();
    let folder = tempfile::tempdir().expect("a folder");
    let secrets = folder.path().join("secrets.txt");
    let with = |lines: &str| {
        std::fs::write(&secrets, lines).expect("written");
        process_with(&["--password-file", secrets.to_str().expect("a plain name")], &files)
    };
    let refused = with("incorrect horse\n");
    assert!(!refused.output.status.success());
    assert_eq!(refused.records()[0]["error"]["class"], "locked");
    assert!(!refused.errors().contains("incorrect horse"), "a password was shown");

    let opened = with("incorrect horse\ncorrect horse\n");
    assert!(opened.output.status.success(), "{}", opened.errors());
    assert!(opened.records()[0]["notes"][0].as_str().is_some_and(|note| note.contains("with a password")));
    assert!(!words(&said_by("pdftotext", &["-raw"], &opened.path("letter-locked.pdf"))).is_empty());
}

#[test]
fn a_signed_pdf_is_carried_unaltered_beside_a_copy_that_says_it_is_one() {
    // The bytes of a signature are enough: whether it is valid is for those who have its certificate.
    let text = "BT /F1 14 Tf 72 700 Td (This contract is signed already and must not be altered.) Tj ET";
    let objects = [
        "<</Type/Catalog/Pages 2 0 R/AcroForm<</SigFlags 3/Fields[6 0 R]>>>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>"
            .to_owned(),
        format!("<</Length {}>>\nstream\n{text}\nendstream", text.len()),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
        "<</FT/Sig/T(s)/V<</Type/Sig/Filter/Adobe.PPKLite/ByteRange[0 1 2 3]/Contents<00>>>>>".to_owned(),
    ];
    let mut pdf = String::from("%PDF-1.7\n");
    for (number, object) in (1..).zip(&objects) {
        pdf.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    pdf.push_str("trailer\n<</Size 7/Root 1 0 R>>\nstartxref\n0\n%%EOF\n");
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("contract.pdf");
    std::fs::write(&source, &pdf).expect("written");

    let processed = process(std::slice::from_ref(&source));
    assert!(processed.output.status.success(), "{}", processed.errors());
    let record = &processed.records()[0];
    assert_eq!(record["copy_of_signed"], true);
    assert!(processed.errors().contains("unsigned copy"), "{}", processed.errors());
    assert_eq!(std::fs::read(processed.path("contract.signed.pdf")).expect("the original"), pdf.as_bytes());
    assert_eq!(std::fs::read(&source).expect("the input"), pdf.as_bytes());
    let packet =
        Command::new("pdfinfo").arg("-meta").arg(processed.path("contract.pdf")).output().expect("pdfinfo");
    let said = String::from_utf8_lossy(&packet.stdout);
    assert!(said.contains("Unsigned copy of a digitally signed document"), "{said}");
}

#[test]
fn wrong_usage_ends_with_status_2() {
    let output =
        Programs::of_this_build().agent().args(["process", "--no-such-flag"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    let output = Programs::of_this_build().agent().args(["process"]).output().expect("it starts");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_file_that_is_not_there_and_languages_that_are_none_are_not_said_to_be_our_fault() {
    let nowhere = process(&["/nowhere/nosuch.pdf".into()]);
    let errors = nowhere.errors();
    assert_eq!(nowhere.output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("there is no such file") && !errors.contains("report"), "{errors}");
    assert_eq!(nowhere.records()[0]["error"]["class"], "unreadable");

    let languages = |languages: &str| {
        let out = tempfile::tempdir().expect("a folder");
        let scan = platen_testdata::samples().remove(0).paths().remove(0);
        let mut agent = Programs::of_this_build().agent();
        agent.args(["process", "--lang", languages, "--out"]).arg(out.path()).arg(scan);
        let output = agent.output().expect("the agent starts");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (status, said) = languages("eng,deu");
    assert!(status == Some(2) && said.contains("write \"eng+deu\""), "{said}");
    let (status, said) = languages("eng+nosuch");
    assert!(
        status == Some(1) && said.contains("no_language") && said.contains("tesseract-ocr-nosuch"),
        "{said}"
    );
    assert!(said.contains("install the language data") && !said.contains("report"), "{said}");
}
