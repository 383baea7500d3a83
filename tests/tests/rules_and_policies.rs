//! What an administrator does with rules and policies at the command line, with the real programs.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use platen_model::event::Status;
use platen_model::{DocumentType, Example, PageRecord, PageText, Rect, Word};
use platen_tests::ends::ROUTING;
use platen_tests::site::Part;
use platen_tests::{Programs, Site, wait};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(240);

/// A page of these lines as a sure reader gives it.
fn page(text: &str) -> PageText {
    let mut words = Vec::new();
    for (line, text) in (0u32..).zip(text.lines()) {
        let mut x = 100;
        for word in text.split_whitespace() {
            let w = 14 * word.chars().count() as u32;
            words.push(Word {
                text: word.into(),
                confidence: 0.96,
                rect: Rect { x, y: 150 + 40 * line, w, h: 26 },
                line,
                block: 0,
            });
            x += w + 14;
        }
    }
    let (width_px, height_px, mean_confidence) = (1654, 2339, 0.96);
    PageText::new(vec![PageRecord {
        width_px,
        height_px,
        dpi: 200,
        mean_confidence,
        words,
        ..PageRecord::default()
    }])
}

fn invoice(number: u32, total: &str) -> String {
    format!(
        "INVOICE\nInvoice number: 17-{number}\nInvoice date: 3 March 2025\nBill to: Halden Ltd\nPayment terms: net 30\n\
         Description Quantity Unit price Amount\nTotal due EUR {total}\nPlease remit to IBAN DE02 1203 0000 0000 2020 51\n"
    )
}

fn write(folder: &Path, name: &str, text: &str, document_type: &str, fields: &[(&str, &str)]) {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let example = Example {
        name: name.into(),
        document_type: DocumentType(document_type.into()),
        fields: fields.collect::<BTreeMap<_, _>>(),
        file_name: String::new(),
        source: String::new(),
        captured_on: None,
        text: page(text),
    };
    let json = serde_json::to_vec(&example).expect("plain data");
    std::fs::write(folder.join(format!("{name}{}", Example::FILE_ENDING)), json).expect("written");
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Programs::of_this_build().agent().args(arguments).output().expect("the agent runs");
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (status.code(), text)
}

#[test]
fn rules_are_judged_on_examples_and_a_wrong_field_is_a_mistake_like_a_wrong_type() {
    let folder = tempfile::tempdir().expect("a folder");
    let examples = folder.path().display().to_string();
    let check = |code: i32, says: &str| {
        let (status, text) = run(&["rules", "check", "--examples", &examples]);
        assert_eq!(status, Some(code), "{text}");
        assert!(text.contains(says), "{text}");
    };
    write(
        folder.path(),
        "one",
        &invoice(1, "774.00"),
        "invoice",
        &[("total", "774.00 EUR"), ("due_date", "")],
    );
    write(folder.path(), "two", "a few words\n", "letter", &[("date", "2026-01-01")]);
    check(0, "left to a person: two");
    write(folder.path(), "three", &invoice(3, "774.00"), "invoice", &[("total", "747.00 EUR")]);
    check(1, "field total of three: wanted \"747.00 EUR\", read \"774.00 EUR\"");
    write(folder.path(), "three", &invoice(3, "774.00"), "receipt", &[]);
    check(1, "WRONG three: it is receipt, decided invoice");
    let (status, text) = run(&["rules", "check", "--examples", "/nowhere"]);
    assert!(status != Some(0) && text.contains("/nowhere"), "{text}");
}

#[test]
fn confidences_are_fitted_to_examples_and_written_beside_the_rules() {
    let folder = tempfile::tempdir().expect("a folder");
    let (examples, rules) = (folder.path().join("examples"), folder.path().join("rules"));
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/capture/rules");
    for folder in [&examples, &rules] {
        std::fs::create_dir(folder).expect("a folder");
    }
    for file in std::fs::read_dir(shipped).expect("readable") {
        let file = file.expect("a file").path();
        if !file.ends_with("calibration.toml") {
            std::fs::copy(&file, rules.join(file.file_name().expect("a name"))).expect("copied");
        }
    }
    let place = |path: &Path| path.display().to_string();
    let unfitted = run(&["rules", "check", &place(&rules)]).1;
    assert!(unfitted.contains("fitted to no examples"), "{unfitted}");
    let fit =
        || run(&["rules", "fit", &place(&examples), "--rules", &place(&rules), "--write", &place(&rules)]);

    write(&examples, "one", &invoice(1, "774.00"), "invoice", &[]);
    let (status, text) = fit();
    assert!(status != Some(0) && text.contains("too few"), "{text}");
    assert!(!rules.join("calibration.toml").exists(), "nothing is written");
    for number in 0..30 {
        write(&examples, &format!("{number:02}-invoice"), &invoice(number, "774.00"), "invoice", &[]);
        write(&examples, &format!("{number:02}-note"), "invoice\n", "unknown", &[]);
        // One more in between, so that both kinds are in both halves.
        write(&examples, &format!("{number:02}-other"), "invoice\nDear Ms Lind\n", "unknown", &[]);
    }
    let (status, text) = fit();
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("fitted on one half of 91 examples") && text.contains("of these right"), "{text}");
    let fitted = run(&["rules", "check", &place(&rules)]).1;
    assert!(fitted.contains("fitted to 91 examples"), "{fitted}");
    let digest = |text: &str| text.split_once('(').map(|(_, rest)| rest[..64].to_owned());
    assert_ne!(digest(&fitted), digest(&unfitted), "the calibration is part of the policy");
}

#[test]
fn an_example_is_made_of_a_scan_and_judged_again_without_reading_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let samples = platen_testdata::samples();
    let sample = samples.iter().find(|sample| sample.expected.document_type == "receipt").expect("a receipt");
    let scan = sample.paths()[0].display().to_string();
    let to = folder.path().display().to_string();
    let (status, text) =
        run(&["rules", "example", &scan, "--type", "receipt", "--field", "total=61.50 GBP", "--to", &to]);
    assert_eq!(status, Some(0), "{text}");
    let file = text.trim();
    let example: Example =
        serde_json::from_slice(&std::fs::read(file).expect("written")).expect("an example");
    assert!(example.text.pages[0].words.len() > 10 && example.captured_on.is_some(), "{example:?}");
    let (status, text) = run(&["rules", "check", "--examples", &to]);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("field total: 1 of 1 exact"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_explained_tried_and_renewed_while_the_cloud_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("site");
    let mut site = Site::found(&root, Programs::of_this_build(), 0, ROUTING).await.expect("a site");
    site.start(Part::Agent).expect("the agent starts");
    let person = site.person().await.expect("the clerk signs in");
    let samples = platen_testdata::samples();
    let sample = samples.iter().find(|sample| sample.expected.document_type == "receipt").expect("a receipt");
    site.scan(&sample.paths()[0]).expect("scanned");
    let document = wait::until("the receipt to be routed", DEADLINE, || async {
        let documents = person.documents().await.ok()?;
        documents.into_iter().find(|document| document.route.is_some() && document.status != Status::Routed)
    });
    let document = document.await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("cloud")));
    let id = document.document_id.to_string();
    let route = document.route.clone().expect("it has a route");

    let explained = site.cloud_command(&["policy", "explain", &id]).expect("explained");
    assert!(explained.contains(&route) && explained.contains("document.document_type"), "{explained}");

    let other = ROUTING
        .replacen("version = \"", "version = \"other-", 1)
        .replace(&format!("\"{route}\""), "\"another way\"");
    assert_ne!(other, ROUTING);
    let file = root.join("other.toml");
    std::fs::write(&file, &other).expect("written");
    let place = file.display().to_string();
    let tried = site.cloud_command(&["policy", "dry-run", &place, "--since", "1h"]).expect("tried");
    assert!(tried.contains("1 documents looked at, something changes for 1"), "{tried}");
    assert!(
        tried.contains("1 take another route") && tried.contains("another way") && tried.contains(&id),
        "{tried}"
    );
    let in_force = async || -> String {
        let policies: Value = person.json("/v1/policies").await.expect("policies");
        let items = policies["items"].as_array().expect("a list");
        let one = items.iter().find(|one| one["in_force"] == true).expect("one is in force");
        one["version"].as_str().expect("text").to_owned()
    };
    let before = in_force().await;
    assert!(!before.starts_with("other-"), "nothing was put in force");

    let routing = root.join("routing.toml");
    std::fs::write(&routing, other.replace("document.document_type", "document.document_typ"))
        .expect("written");
    site.reload(Part::Cloud).expect("asked");
    let refused = wait::until("the log to say that it is not sound", DEADLINE, || async {
        site.last_lines("cloud").contains("is not sound").then_some(())
    });
    refused.await.expect("it is said");
    assert_eq!(in_force().await, before);
    std::fs::write(&routing, &other).expect("written");
    site.reload(Part::Cloud).expect("asked");
    let renewed = wait::until("the other policy to be in force", DEADLINE, || async {
        in_force().await.starts_with("other-").then_some(())
    });
    renewed.await.expect("it is in force");
    site.stop(Part::Cloud).expect("it ends well");
}
