//! What a source may say of its scans, with a real agent: folders inside it that differ, and feeders that scan one side.

use std::path::Path;
use std::time::Duration;

use image::{GrayImage, imageops};
use platen_model::{DocumentManifest, Verdict};
use platen_tests::desk::Desk;
use platen_tests::scans::{letter, pdf_of};
use platen_tests::{Programs, wait};

const DEADLINE: Duration = Duration::from_secs(240);

fn desk(folder: &Path, source: &str) -> Desk {
    let inbox = folder.join("inbox");
    let config = format!("[[source]]\nname = \"feeder\"\nfolder = {inbox:?}\nquiet_ms = 500\n{source}\n");
    Desk::set_up(folder, Programs::of_this_build(), &config).expect("a desk")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_inside_a_source_sets_what_is_different_for_its_scans() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = "nested = true\ndepartment = \"office\"\nlabels = { floor = \"2\" }\n\
                  [[source.subfolder]]\npath = \"legal/incoming\"\ndepartment = \"legal\"\ndocument_type = \"contract\"\n\
                  labels = { desk = \"7\" }\n";
    let mut desk = desk(folder.path(), source);
    let letter = letter();
    let inside = desk.inbox().join("legal/incoming/today");
    std::fs::create_dir_all(&inside).expect("folders");
    let page = imageops::crop_imm(&letter, 0, 0, letter.width(), letter.height() / 2).to_image();
    pdf_of(&desk.inbox(), "plain.pdf", &[&letter]);
    pdf_of(&inside, "deep.pdf", &[&page]);
    desk.start().expect("the agent starts");
    let kept = desk.settled(DEADLINE).await.expect("all is taken");
    assert_eq!(kept.len(), 2, "{kept:?}");
    let documents = desk.documents();
    let of = |name: &str| {
        let is_it = |document: &&DocumentManifest| {
            document
                .parts
                .iter()
                .any(|part| part.file_name.as_deref().is_some_and(|file| file.ends_with(name)))
        };
        documents.iter().find(is_it).unwrap_or_else(|| panic!("no {name}: {documents:?}"))
    };
    let (plain, deep) = (of("plain.pdf"), of("deep.pdf"));
    assert_eq!(plain.department.as_deref(), Some("office"));
    assert_eq!(plain.decision.document_type.0, "letter");
    assert_eq!(deep.department.as_deref(), Some("legal"));
    assert_eq!(deep.decision.document_type.0, "contract");
    assert!(deep.decision.reasons.iter().any(|reason| reason.rule == "source/document_type"), "{deep:?}");
    assert!(!desk.inbox().join("legal/incoming/today/deep.pdf").exists(), "it was released");
}

/// Pages that are told apart by their heights.
fn leaves() -> [GrayImage; 4] {
    let letter = letter();
    [10, 9, 8, 7].map(|tenths| {
        imageops::crop_imm(&letter, 0, 0, letter.width(), letter.height() * tenths / 10).to_image()
    })
}

const DUPLEX: &str = "[source.duplex]\nbacks_reversed = true\nwithin_ms = 120000\n";

#[tokio::test(flavor = "multi_thread")]
async fn fronts_and_backs_of_a_feeder_become_one_document_in_reading_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = desk(folder.path(), DUPLEX);
    let [one, two, three, four] = leaves();
    desk.start().expect("the agent starts");
    // The fronts wait in their folder for the backs.
    pdf_of(&desk.inbox(), "scan-1.pdf", &[&one, &three]);
    pdf_of(&desk.inbox(), "scan-2.pdf", &[&four, &two]);
    desk.settled(DEADLINE).await.expect("all is taken");
    let documents = desk.documents();
    assert_eq!(documents.len(), 1, "{documents:?}\n{}", desk.last_lines());
    let heights: Vec<u32> = desk.page_text(&documents[0]).pages.iter().map(|page| page.height_px).collect();
    assert_eq!(heights.len(), 4, "{heights:?}");
    assert!(heights.is_sorted_by(|upper, lower| upper > lower), "front, back, front, back: {heights:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaves_whose_sides_do_not_match_go_to_a_person_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = desk(folder.path(), DUPLEX);
    let [one, two, three, _] = leaves();
    desk.start().expect("the agent starts");
    // The fronts wait in their folder for the backs.
    pdf_of(&desk.inbox(), "scan-1.pdf", &[&one, &three]);
    pdf_of(&desk.inbox(), "scan-2.pdf", &[&two]);
    let kept = desk.settled(DEADLINE).await.expect("all is taken");
    assert_eq!(kept.len(), 2, "both files are kept: {kept:?}");
    let documents = desk.documents();
    assert!(!documents.is_empty(), "{kept:?}\n{}", desk.last_lines());
    for document in &documents {
        assert_eq!(document.decision.verdict, Verdict::Review, "{document:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_languages_are_not_installed_says_so_at_its_start_and_takes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = desk(folder.path(), "languages = \"eng+nosuch\"");
    pdf_of(&desk.inbox(), "plain.pdf", &[&letter()]);
    desk.start().expect("the program starts");
    let ended = wait::until("the agent to end", DEADLINE, || {
        let said = desk.last_lines();
        async move { said.contains("tesseract-ocr-nosuch").then_some(said) }
    });
    let said = ended.await.expect("it ends");
    assert!(said.contains("source \"feeder\": languages") && said.contains("nothing was taken"), "{said}");
    assert!(desk.inbox().join("plain.pdf").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_language_is_not_installed_waits_and_is_named_while_the_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let attic = folder.path().join("attic");
    std::fs::create_dir(&attic).expect("a folder");
    let more = format!("[[source]]\nname = \"attic\"\nfolder = {attic:?}\nlanguages = \"eng+nosuch\"\n");
    let mut desk = desk(folder.path(), &more);
    pdf_of(&attic, "waits.pdf", &[&letter()]);
    pdf_of(&desk.inbox(), "plain.pdf", &[&letter()]);
    desk.start().expect("the agent starts");
    let taken = wait::until("the other source to be read", DEADLINE, || {
        let is_taken = !desk.inbox().join("plain.pdf").exists();
        async move { is_taken.then_some(()) }
    });
    taken.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()));
    assert!(attic.join("waits.pdf").exists(), "it stays where it lies");
    let status = desk.command(&[], &["status"]).expect("a status");
    assert!(status.contains("attic") && status.contains("tesseract-ocr-nosuch"), "{status}");
    let said = desk.last_lines();
    assert!(said.contains("a source needs attention") && said.contains("tesseract-ocr-nosuch"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_folder_that_is_missing_is_said_once_in_the_log_and_taken_from_when_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = desk(folder.path(), "poll_ms = 10\nrescan_ms = 10");
    platen_model::durable::remove_folder(&desk.inbox()).expect("removed");
    desk.start().expect("the agent starts");
    let missed = wait::until("the folder to be missed", DEADLINE, || {
        let told =
            desk.command(&[], &["status"]).is_ok_and(|status| status.contains("cannot list the folder"));
        async move { told.then_some(()) }
    });
    missed.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()));
    // Many looks later.
    for _ in 0..20 {
        desk.command(&[], &["status"]).expect("a status");
    }
    let watched = desk.last_lines().matches("cannot be looked at").count();
    assert_eq!(watched, 1, "{}", desk.last_lines());
    std::fs::create_dir(desk.inbox()).expect("a folder");
    pdf_of(&desk.inbox(), "plain.pdf", &[&letter()]);
    assert_eq!(desk.settled(DEADLINE).await.expect("all is taken").len(), 1, "{}", desk.last_lines());
}
