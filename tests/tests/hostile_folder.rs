//! Every hostile file of the corpus through the hot folder of a real agent: none stops it, none is lost, and each ends in
//! the class that is stated for it. The corpus lies beside the checkout and is not part of the project; where it is absent
//! nothing is checked, and the test says so.

use std::collections::BTreeMap;
use std::time::Duration;

use platen_model::Digest;
use platen_tests::Programs;
use platen_tests::bench::manifest;
use platen_tests::desk::Desk;

/// The largest of them is worked on for minutes where nothing limits it; this is enough to know.
const LIMITS: &str = "[capture.limits]\npage_seconds = 10\npages = 50\n";
const DEADLINE: Duration = Duration::from_secs(900);
/// The classes that a file can be in by what it is. `internal` would be our own fault.
const CLASSES: [&str; 9] = [
    "empty",
    "truncated",
    "corrupt",
    "locked",
    "unsupported",
    "too_large",
    "timed_out",
    "out_of_memory",
    "no_pages",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_file_ends_in_its_stated_class_and_the_agent_goes_on() {
    let Some(corpus) = manifest::corpus() else {
        return println!("not run: there is no corpus beside the checkout");
    };
    let corpus = corpus.join("hostile");
    let entries = manifest::entries(&corpus.join("manifest.csv")).expect("a list");
    let folder = tempfile::tempdir().expect("a folder");
    let inbox = folder.path().join("inbox");
    let source = "quiet_ms = 500\ngive_up_ms = 2000\n";
    let config = format!("{LIMITS}[[source]]\nname = \"desk\"\nfolder = {inbox:?}\n{source}");
    let mut desk = Desk::set_up(folder.path(), Programs::of_this_build(), &config).expect("a desk");
    let mut expected: BTreeMap<Digest, (String, String)> = BTreeMap::new();
    for entry in &entries {
        let name = &entry["file"];
        let bytes = std::fs::read(corpus.join(name)).expect("it is in the list");
        std::fs::write(desk.inbox().join(name), &bytes).expect("written");
        // Equal bytes are one scan: the second is a duplicate of the first.
        expected.insert(Digest::of(&bytes), (name.clone(), entry["expected"].clone()));
    }
    desk.start().expect("the agent starts");
    let kept = desk.settled(DEADLINE).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!desk.has_ended(), "{}", desk.last_lines());
    let mut wrong = Vec::new();
    let mut ends: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for one in &kept {
        ends.entry(one.sha256).or_default().push(one.state.clone());
    }
    for (sha256, (name, expected)) in &expected {
        let states = ends.remove(sha256).unwrap_or_default();
        let class = match states.first().map(|state| state.strip_prefix("quarantine ")) {
            None => {
                wrong.push(format!("{name}: it is nowhere"));
                continue;
            }
            Some(None) => None,
            Some(Some(class)) => Some(class),
        };
        let states_agree = states.iter().all(|state| *state == states[0]);
        let in_class = match class {
            None => {
                !expected.starts_with("must give a clear error") && !expected.contains("password is needed")
            }
            Some(class) if expected.contains("password is needed") => class == "locked",
            Some(class) => CLASSES.contains(&class) && !expected.starts_with("must process"),
        };
        if !states_agree || !in_class {
            wrong.push(format!("{name}: {states:?}, but: {expected}"));
        }
    }
    assert!(ends.is_empty(), "of nobody: {ends:?}");
    assert!(wrong.is_empty(), "of {}:\n{}\n{}", expected.len(), wrong.join("\n"), desk.last_lines());
    println!("{} hostile files, each in its class", expected.len());
}
