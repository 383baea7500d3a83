//! Batches of paper: sheets that the agent prints, put between real letters, scanned, divided, and put together again.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use image::{DynamicImage, GrayImage, imageops};
use platen_model::{CaptureId, DocumentManifest, PartRole, Verdict};
use platen_testdata::scanner::{Pixels, Settings, Tone, scan};
use platen_tests::desk::Desk;
use platen_tests::scans::{DPI, letter, pdf_of};
use platen_tests::{Programs, viewers, wait};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(240);

fn agent(arguments: &[&str], files: &[&Path]) -> Output {
    Programs::of_this_build().agent().args(arguments).args(files).output().expect("the agent starts")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A sheet that the agent prints with these arguments, as a scanner sees it.
fn sheet(arguments: &[&str]) -> GrayImage {
    let folder = tempfile::tempdir().expect("a folder");
    let pdf = folder.path().join("sheet.pdf");
    let printed = agent(&[&["sheet"], arguments].concat(), &[&pdf]);
    assert!(printed.status.success(), "{}", said(&printed));
    let picture = folder.path().join("sheet");
    let shown =
        Command::new("pdftoppm").args(["-r", "300", "-png", "-singlefile"]).arg(&pdf).arg(&picture).status();
    assert!(shown.expect("pdftoppm starts").success());
    let picture = image::open(picture.with_extension("png")).expect("a picture").to_rgb8();
    match scan(&picture, &Settings::office(Tone::Gray, DPI, 0.8, 7)) {
        Pixels::Gray(page) => page,
        Pixels::Colour(page) => DynamicImage::from(page).to_luma8(),
    }
}

const NDA: [&str; 6] = ["--type", "nda", "--department", "legal", "--field", "number=4711"];

#[test]
fn a_batch_is_divided_by_its_printed_sheets_and_what_they_say_is_heeded() {
    let folder = tempfile::tempdir().expect("a folder");
    let (letter, sheet) = (letter(), sheet(&NDA));
    let scanned = pdf_of(folder.path(), "batch.pdf", &[&letter, &sheet, &letter]);
    let out = folder.path().join("out");
    let out_text = out.display().to_string();
    let done = agent(&["process", "--json", "--export", "hocr,alto", "--out", &out_text], &[&scanned]);
    assert!(done.status.success(), "{}", said(&done));
    let records: Vec<Value> = String::from_utf8_lossy(&done.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("one JSON object a line"))
        .collect();
    assert_eq!(records.len(), 2, "{}", said(&done));
    assert_eq!(records[1]["document_type"], "nda");
    assert_eq!(records[1]["department"], "legal");
    assert_eq!(records[1]["fields"]["number"]["value"], "4711");
    assert_eq!(records[0]["department"], Value::Null);
    assert!(said(&done).contains("page 2 of the input is a separator and set aside"), "{}", said(&done));
    for number in [1, 2] {
        for extension in ["pdf", "txt", "json", "hocr", "alto.xml"] {
            let result = out.join(format!("batch-{number}.{extension}"));
            assert!(result.is_file(), "no {}", result.display());
        }
        assert_eq!(viewers::hocr_faults(&out.join(format!("batch-{number}.hocr"))), "");
    }

    let whole = agent(&["process", "--json", "--separate", "off", "--out", &out_text], &[&scanned]);
    let record: Value = serde_json::from_slice(&whole.stdout).expect("one document");
    assert_eq!(record["pages"].as_array().map(Vec::len), Some(3), "{}", said(&whole));
}

#[test]
fn sheets_alone_are_refused_and_wrong_choices_are_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let sheet = sheet(&["--patch", "2"]);
    let scanned = pdf_of(folder.path(), "lone.pdf", &[&sheet]);
    let out = folder.path().join("out").display().to_string();
    let done = agent(&["process", "--out", &out], &[&scanned]);
    assert_eq!(done.status.code(), Some(1));
    assert!(said(&done).contains("nothing but separator sheets"), "{}", said(&done));

    for (arguments, complaint) in [
        (["--separate", "off", "--every", "2"], "--separate off leaves nothing"),
        (["--separator", "(", "--every", "2"], "separation.code.text"),
        (["--expect", "1", "--every", "0"], "--every"),
    ] {
        let refused = agent(&[&["process", "--out", &out], &arguments[..]].concat(), &[&scanned]);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {}", said(&refused));
        assert!(said(&refused).contains(complaint), "{arguments:?}: {}", said(&refused));
    }
    let pdf = folder.path().join("sheet.pdf");
    let refused = agent(&["sheet", "--type", "ndaa"], &[&pdf]);
    assert!(said(&refused).contains("ndaa") && said(&refused).contains("invoice"), "{}", said(&refused));
    let refused = agent(&["sheet", "--field", "no value"], &[&pdf]);
    assert!(!refused.status.success() && said(&refused).contains("name=value"), "{}", said(&refused));
    assert!(!pdf.exists());
    // A name without a folder.
    let mut here = Programs::of_this_build().agent();
    let printed = here.args(["sheet", "sheet.pdf"]).current_dir(folder.path()).output().expect("it starts");
    assert!(printed.status.success() && pdf.is_file(), "{}", said(&printed));
}

/// The document that takes the place of those of a capture, once it is there.
async fn whole_of(desk: &Desk, capture: CaptureId) -> DocumentManifest {
    let is_whole = |manifest: &DocumentManifest| manifest.rejoins == Some(capture);
    let found =
        wait::until("the whole batch", DEADLINE, || async { desk.documents().into_iter().find(is_whole) });
    found.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_folder_divides_a_batch_and_a_person_undoes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let inbox = folder.path().join("inbox");
    let config = format!(
        "[[source]]\nname = \"desk\"\nfolder = {inbox:?}\ndepartment = \"office\"\nquiet_ms = 500\n\
         [source.separation]\nexpected = 1\n"
    );
    let mut desk = Desk::set_up(folder.path(), Programs::of_this_build(), &config).expect("a desk");
    let (letter, sheet) = (letter(), sheet(&NDA));
    pdf_of(&desk.inbox(), "batch.pdf", &[&letter, &sheet, &letter]);
    pdf_of(&desk.inbox(), "lone.pdf", &[&sheet]);
    desk.start().expect("the agent starts");
    let kept = desk.settled(DEADLINE).await.expect("all is taken");
    let states: Vec<&str> = kept.iter().map(|one| one.state.as_str()).collect();
    assert_eq!(states.iter().filter(|state| **state == "quarantine no_document").count(), 1, "{kept:?}");
    let parts = desk.documents();
    assert_eq!(parts.len(), 2, "{kept:?}");
    let batch = |document: usize| parts[document].batch.clone().expect("it lay in a batch");
    assert_eq!((batch(0).document, batch(0).documents), (1, 2));
    assert_eq!(batch(1).pages.iter().map(|place| place.page).collect::<Vec<_>>(), [2]);
    assert_eq!(parts[0].department.as_deref(), Some("office"));
    assert_eq!(parts[1].department.as_deref(), Some("legal"));
    assert_eq!(parts[1].decision.document_type.0, "nda");
    assert!(parts[0].decision.reasons.iter().all(|reason| !reason.is_doubt()), "{:?}", parts[0].decision);

    let id = parts[1].document_id.to_string();
    let rejoined = desk.command(&[], &["outbox", "rejoin", &id]).expect("a running agent does it");
    assert!(rejoined.contains("has the whole batch"), "{rejoined}");
    let whole = whole_of(&desk, parts[0].capture_id).await;
    assert_eq!((whole.page_count, &whole.batch), (3, &None));
    assert_eq!(whole.decision.verdict, Verdict::Review);
    let originals = |manifest: &DocumentManifest| {
        let originals = manifest.parts.iter().filter(|part| part.role == PartRole::Original);
        originals.map(|part| (part.sha256, part.file_name.clone())).collect::<Vec<_>>()
    };
    assert_eq!(originals(&whole), originals(&parts[0]));
    // Nothing was taken away: the parts may have been delivered.
    assert_eq!(desk.documents().len(), 3);

    let again = desk.command(&[], &["outbox", "rejoin", &id]).expect_err("it is done");
    assert!(again.contains("put together before"), "{again}");
    let of_whole = whole.document_id.to_string();
    let refused = desk.command(&[], &["outbox", "rejoin", &of_whole]).expect_err("it is whole");
    assert!(refused.contains("nothing to put together"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_division_undone_while_the_agent_rests_is_worked_on_when_it_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let inbox = folder.path().join("inbox");
    let config =
        format!("[separation]\nevery = 1\n[[source]]\nname = \"desk\"\nfolder = {inbox:?}\nquiet_ms = 500\n");
    let mut desk = Desk::set_up(folder.path(), Programs::of_this_build(), &config).expect("a desk");
    let letter = letter();
    let page = imageops::crop_imm(&letter, 0, 0, letter.width(), letter.height() / 3).to_image();
    pdf_of(&desk.inbox(), "batch.pdf", &[&page, &page]);
    desk.start().expect("the agent starts");
    desk.settled(DEADLINE).await.expect("it is taken");
    desk.kill();
    let parts = desk.documents();
    assert_eq!(parts.len(), 2, "{parts:?}\n{}", desk.last_lines());
    desk.command(&[], &["outbox", "rejoin", &parts[0].document_id.to_string()]).expect("no agent is needed");
    desk.start().expect("the agent starts");
    assert_eq!(whole_of(&desk, parts[0].capture_id).await.page_count, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn blank_pages_that_were_set_aside_are_told_by_status_and_had_back_by_a_person() {
    let folder = tempfile::tempdir().expect("a folder");
    let inbox = folder.path().join("inbox");
    let config = format!("[[source]]\nname = \"desk\"\nfolder = {inbox:?}\nquiet_ms = 500\n");
    let mut desk = Desk::set_up(folder.path(), Programs::of_this_build(), &config).expect("a desk");
    let letter = letter();
    let page = imageops::crop_imm(&letter, 0, 0, letter.width(), letter.height() / 3).to_image();
    let blank = GrayImage::from_pixel(page.width(), page.height(), image::Luma([250]));
    pdf_of(&desk.inbox(), "duplex.pdf", &[&page, &blank, &page, &blank]);
    pdf_of(&desk.inbox(), "simplex.pdf", &[&page]);
    desk.start().expect("the agent starts");
    desk.settled(DEADLINE).await.expect("it is taken");
    let (duplex, simplex): (Vec<_>, Vec<_>) =
        desk.documents().into_iter().partition(|manifest| manifest.file_name() == "duplex.pdf");
    assert_eq!((duplex.len(), duplex[0].page_count, simplex.len()), (1, 2, 1), "{}", desk.last_lines());
    let id = duplex[0].document_id.to_string();

    // While the agent runs, when it rests, and after it was started anew.
    let told = format!("  duplex.pdf: pages 2, 4 ({id})\n");
    let check_told = |desk: &Desk| {
        let status = desk.command(&[], &["status"]).expect("a status");
        assert!(status.contains(&told) && !status.contains("simplex.pdf"), "{status}");
    };
    check_told(&desk);
    desk.kill();
    check_told(&desk);
    desk.start().expect("it starts again");
    let up = wait::until("the agent to be up", DEADLINE, || async {
        desk.command(&[], &["status", "--json"])
            .ok()
            .filter(|status| status.contains("\"running\":true") || status.contains("\"running\": true"))
            .map(drop)
    });
    up.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()));
    check_told(&desk);

    let restored = desk.command(&[], &["outbox", "restore", &id]).expect("a running agent does it");
    assert!(restored.contains("keeps the blank pages"), "{restored}");
    let whole = whole_of(&desk, duplex[0].capture_id).await;
    assert_eq!((whole.page_count, whole.decision.verdict), (4, Verdict::Review));
    let again = desk.command(&[], &["outbox", "restore", &id]).expect_err("it is done");
    assert!(again.contains("put together before"), "{again}");
    let other = simplex[0].document_id.to_string();
    let refused = desk.command(&[], &["outbox", "restore", &other]).expect_err("nothing was set aside");
    assert!(refused.contains("no blank page"), "{refused}");
}
