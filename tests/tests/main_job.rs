//! The main job, end to end: real scans, real HTTP, real SQLite, real files, real Tesseract.

use std::time::Duration;

use platen_model::event::Status;
use platen_model::{Digest, PageText};
use platen_tests::ends::{Procession, ROUTING};
use platen_tests::random::Sequence;
use platen_tests::site::Part;
use platen_tests::{Programs, Signer, Site};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_reaches_its_expected_end_and_its_evidence_verifies() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut site = Site::found(&folder.path().join("site"), Programs::of_this_build(), 0, ROUTING)
        .await
        .expect("a site");
    site.start(Part::Agent).expect("the agent starts");
    let person = site.person().await.expect("the clerk signs in");
    let mut signer = Signer::reading(&site.mail()).expect("a signer");
    let mut procession = Procession::scan(&site, platen_testdata::samples()).expect("samples are scanned");

    let outcome = procession.follow(&site, &person, &mut signer, DEADLINE, |_| {}).await;
    let table = procession.table(&person).await.join("\n");
    if let Err(laggards) = outcome {
        panic!("{laggards}\n{table}\n{}\n{}", site.last_lines("agent"), site.last_lines("cloud"));
    }
    println!("{table}");

    for followed in &procession.followed {
        let name = &followed.sample.name;
        let expected = &followed.sample.expected;
        let Some(document) = followed.documents.first() else { continue };
        // A document in review may be of any type: that is why a person is asked.
        if document.status != Status::InReview {
            assert_eq!(document.document_type.0, expected.document_type, "{name}");
            for (field, value) in &expected.fields {
                let read = document.fields.get(field).map(|field| field.value.as_str());
                assert_eq!(read, Some(value.as_str()), "{name}: field {field}");
            }
        }
        assert_eq!(document.page_count, expected.pages, "{name}");

        let original = person.content(document.document_id, "original").await.expect("the original is kept");
        let scanned = std::fs::read(&followed.sample.paths()[0]).expect("the sample is there");
        assert_eq!(
            Digest::of(&original),
            Digest::of(&scanned),
            "{name}: the original is byte for byte as scanned"
        );

        let read = person.text(document.document_id, "json").await.expect("page text");
        let read: PageText = serde_json::from_str(&read).expect("page text");
        let words: usize = read.pages.iter().map(|page| page.words.len()).sum();
        let alto = person.text(document.document_id, "alto").await.expect("ALTO");
        assert_eq!(alto.matches("<String ").count(), words, "{name}: ALTO has every word");
        let hocr = person.text(document.document_id, "hocr").await.expect("hOCR");
        assert_eq!(hocr.matches("\"ocrx_word\"").count(), words, "{name}: hOCR has every word");

        if document.status == Status::Archived {
            let evidence = person.content(document.document_id, "evidence").await.expect("evidence is kept");
            let path = folder.path().join(format!("{name}.zip"));
            std::fs::write(&path, evidence).expect("write");
            let path = path.display().to_string();
            site.cloud_command(&["verify", &path]).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let events = person.events(document.document_id).await.expect("events");
        let has_signature = events.iter().any(|event| event["event"] == "signed");
        if has_signature {
            let signed =
                person.content(document.document_id, "signed").await.expect("the signed PDF is kept");
            let normalized =
                person.content(document.document_id, "normalized").await.expect("the PDF is kept");
            assert!(signed.starts_with(&normalized), "{name}: a signature is an incremental update");
            check_signature(name, folder.path(), &signed);
        }
    }
    assert!(std::fs::read_dir(site.inbox()).expect("the hot folder").all(|entry| {
        // What was claimed is moved aside or gone; nothing waits.
        entry.expect("an entry").file_type().expect("a type").is_dir()
    }));
    site.cloud_command(&["check"]).expect("every chain and every blob is whole");
    site.stop(Part::Agent).expect("the agent ends well when asked");
    site.stop(Part::Cloud).expect("the cloud ends well when asked");
}

/// poppler's own verdict on the signature.
fn check_signature(name: &str, folder: &std::path::Path, signed: &[u8]) {
    let path = folder.join(format!("{name}.signed.pdf"));
    std::fs::write(&path, signed).expect("write");
    let output = std::process::Command::new("pdfsig")
        .arg("-nocert")
        .arg(&path)
        .output()
        .expect("pdfsig (poppler-utils)");
    let verdict = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(verdict.contains("Signature is Valid"), "{name}: {verdict}");
    assert!(verdict.contains("Total document signed"), "{name}: {verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_ten_random_moments_everything_still_arrives_once() {
    // Moments come from the clock's low bits; a failure prints them, and PLATEN_KILL_SEED repeats them.
    let seed = std::env::var("PLATEN_KILL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| platen_model::DocumentId::new().as_uuid().as_u64_pair().1);
    println!("PLATEN_KILL_SEED={seed}");
    let mut random = Sequence::new(seed);

    let folder = tempfile::tempdir().expect("a folder");
    let mut site = Site::found(&folder.path().join("site"), Programs::of_this_build(), 0, ROUTING)
        .await
        .expect("a site");
    site.start(Part::Agent).expect("the agent starts");
    let person = site.person().await.expect("the clerk signs in");
    let mut signer = Signer::reading(&site.mail()).expect("a signer");
    let mut procession = Procession::scan(&site, platen_testdata::samples()).expect("samples are scanned");

    for _ in 0..10 {
        let moment = Duration::from_millis(200 + random.below(4_000));
        // Not synchronisation: the random moment is what is tested.
        tokio::time::sleep(moment).await;
        signer.sign_what_arrived().await;
        let part = if random.below(2) == 0 { Part::Agent } else { Part::Cloud };
        site.kill(part);
        site.start(part).expect("it starts again");
        if part == Part::Cloud {
            site.wait_until_ready().await.expect("the cloud is ready again");
        }
    }

    let outcome = procession.follow(&site, &person, &mut signer, DEADLINE, |_| {}).await;
    if let Err(laggards) = outcome {
        panic!("seed {seed}: {laggards}\n{}\n{}", site.last_lines("agent"), site.last_lines("cloud"));
    }
    for followed in &procession.followed {
        for document in &followed.documents {
            let events = person.events(document.document_id).await.expect("events");
            let count = |name: &str| events.iter().filter(|event: &&Value| event["event"] == name).count();
            assert!(
                count("envelope_created") <= 1,
                "seed {seed}: {} has two envelopes",
                followed.sample.name
            );
            assert!(count("signed") <= 1, "seed {seed}: {} was signed twice", followed.sample.name);
            assert!(count("received") == 1, "seed {seed}: {} was received twice", followed.sample.name);
        }
    }
    site.cloud_command(&["check"]).expect("every chain and every blob is whole");
}
