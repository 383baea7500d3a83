//! A link whose bytes are dear: the searchable PDF goes at once, the originals follow, and nothing leaves the agent
//! before the cloud has both. Agent and cloud are the real programs, killed in between.

use std::path::Path;
use std::time::Duration;

use platen_model::api::Document;
use platen_model::event::Status;
use platen_model::{Digest, crash};
use platen_testdata::{Outcome, Sample};
use platen_tests::site::Part;
use platen_tests::{Person, Programs, Site, wait};
use serde_json::Value;

const ROUTING: &str = include_str!("../../cloud/policies/default.toml");
const DEADLINE: Duration = Duration::from_secs(120);

/// A site whose link is dear for good: the program that is asked always says so.
async fn dear_site(root: &Path) -> (Site, Person) {
    let site = Site::found(root, Programs::of_this_build(), 0, ROUTING).await.expect("a site");
    let dear = |text: String| format!("{text}[outbox]\nmetered_command = [\"true\"]\nkeep_delivered_s = 0\n");
    site.configure(Part::Agent, dear).expect("configured");
    site.configure(Part::Cloud, |text| format!("{text}[limits]\nlease_seconds = 2\n")).expect("configured");
    let person = site.person().await.expect("the clerk signs in");
    (site, person)
}

/// Samples of one file that go through without a person.
fn samples(count: usize) -> Vec<Sample> {
    let goes_through = |sample: &Sample| {
        matches!(&sample.expected.outcome, Outcome::Document { verdict } if verdict == "auto")
            && sample.paths().len() == 1
    };
    platen_testdata::samples().into_iter().filter(goes_through).take(count).collect()
}

fn status(site: &Site) -> Option<Value> {
    serde_json::from_str(&site.agent_command(&["status", "--json"]).ok()?).ok()
}

fn documents_in_spool(site: &Site) -> usize {
    std::fs::read_dir(site.root().join("agent/spool/documents")).map_or(0, |entries| entries.count())
}

/// Waits until the cloud knows so many documents, each without its original, and the agent knows what it owes.
async fn until_owed(site: &Site, person: &Person, count: usize) -> Vec<Document> {
    let owed = wait::until("the originals to be owed", DEADLINE, || async {
        let documents = person.documents().await.ok()?;
        let owes = status(site)?["outbox"]["originals_owed"] == count;
        let lack = documents.iter().all(|document| document.originals_outstanding == 1);
        (owes && lack && documents.len() == count).then_some(documents)
    });
    owed.await.unwrap_or_else(|error| {
        panic!("{error}\n{:?}\n{}\n{}", status(site), site.last_lines("agent"), site.last_lines("cloud"))
    })
}

/// Waits until nothing is owed, and checks that each document is whole, archived, and proven by its evidence.
async fn check_whole(site: &Site, person: &Person, samples: &[Sample], told: &str) {
    let whole = wait::until("the originals to arrive", DEADLINE, || async {
        let documents = person.documents().await.ok()?;
        let archived = |it: &Document| it.status == Status::Archived && it.originals_outstanding == 0;
        let all = documents.len() == samples.len() && documents.iter().all(archived);
        (all && documents_in_spool(site) == 0).then_some(documents)
    });
    let documents = whole.await.unwrap_or_else(|error| {
        panic!(
            "{told}: {error}\n{:?}\n{}\n{}",
            status(site),
            site.last_lines("agent"),
            site.last_lines("cloud")
        )
    });
    for sample in samples {
        let path = &sample.paths()[0];
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let document = documents.iter().find(|document| document.file_name == name);
        let document = document.unwrap_or_else(|| panic!("{told}: {name} is missing"));
        let original = person.content(document.document_id, "original").await.expect("the original");
        assert_eq!(
            Digest::of(&original),
            Digest::of(&std::fs::read(path).expect("a sample")),
            "{told}: {name}"
        );
        let evidence = person.content(document.document_id, "evidence").await.expect("evidence");
        let package = site.root().join("evidence.zip");
        platen_model::durable::write(&package, &evidence).expect("written");
        let report = site.cloud_command(&["verify", &package.display().to_string()]).expect("it holds");
        assert!(report.contains("the originals that were to follow have arrived"), "{report}");
        let events = person.events(document.document_id).await.expect("events");
        let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
        assert_eq!((count("received"), count("originals_arrived"), count("archived")), (1, 1, 1), "{told}");
    }
    site.cloud_command(&["check"]).expect("every chain and every blob is whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn inv3_a_document_whose_originals_wait_for_a_cheap_link_stays_until_they_have_arrived() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut site, mut person) = dear_site(&folder.path().join("site")).await;
    let samples = samples(2);
    for sample in &samples {
        site.scan(&sample.paths()[0]).expect("scanned");
    }
    site.start(Part::Agent).expect("it starts");
    let documents = until_owed(&site, &person, samples.len()).await;
    assert_eq!(documents_in_spool(&site), samples.len(), "nothing leaves the spool");
    let text = site.agent_command(&["status"]).expect("a status");
    assert!(text.contains("2 lack only their originals") && text.contains("said to be metered"), "{text}");
    let page = person.page(&format!("/documents/{}", documents[0].document_id)).await.expect("a page");
    assert!(page.contains("1 original still to come"), "{page}");
    person.content(documents[0].document_id, "original").await.expect_err("it is not there yet");

    // Everything goes on but the archive, whoever is killed meanwhile and however often.
    for part in [Part::Agent, Part::Cloud] {
        site.kill(part);
        site.start(part).expect("it starts again");
    }
    site.wait_until_ready().await.expect("ready");
    let routed = wait::until("the documents to be routed", DEADLINE, || async {
        let documents = person.documents().await.ok()?;
        documents.iter().all(|document| document.status == Status::Routed).then_some(())
    });
    routed.await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("cloud")));
    until_owed(&site, &person, samples.len()).await;
    site.cloud_command(&["check"]).expect("nothing is wrong with what waits");

    let answer = site.agent_command(&["outbox", "originals"]).expect("asked for");
    assert!(answer.starts_with("the originals of 2 documents"), "{answer}");
    check_whole(&site, &person, &samples, "asked for by a person").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_of_its_two_receipts_a_document_is_whole_in_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut site, person) = dear_site(&folder.path().join("site")).await;
    let samples = samples(crash::AGENT_DEFERRED.len() + crash::CLOUD_DEFERRED.len());
    let mut scans = samples.iter();
    let mut scan =
        |site: &Site| site.scan(&scans.next().expect("enough samples").paths()[0]).expect("scanned");
    let died = async |site: &mut Site, part: Part, point: &str| {
        let ended = site.ended(part, Duration::from_secs(60)).await;
        assert!(ended.is_some(), "{part:?} never came to {point:?}\n{}", site.last_lines("agent"));
        site.start(part).expect("it starts again");
    };
    for point in crash::AGENT_DEFERRED {
        site.kill(Part::Agent);
        site.start_with(Part::Agent, &[(crash::VARIABLE, point)]).expect("it starts");
        scan(&site);
        died(&mut site, Part::Agent, point).await;
    }
    for point in crash::CLOUD_DEFERRED {
        site.kill(Part::Cloud);
        site.start_with(Part::Cloud, &[(crash::VARIABLE, point)]).expect("it starts");
        site.wait_until_ready().await.expect("ready");
        scan(&site);
        until_owed(&site, &person, samples.len()).await;
        site.agent_command(&["outbox", "originals"]).expect("asked for");
        died(&mut site, Part::Cloud, point).await;
    }
    check_whole(&site, &person, &samples, "each point once").await;
}
