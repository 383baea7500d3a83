//! Locked PDFs in hot folders: each folder has the passwords of its own papers, and no other's are tried on them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use platen_model::Digest;
use platen_testdata::samples;
use platen_tests::desk::{Desk, Kept};
use platen_tests::{Programs, wait};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);
/// What opens the sample.
const SAMPLE_PASSWORD: &str = "correct horse";

/// The locked letter of the samples, locked again with another password. Answers the digest of the file.
fn locked_letter(password: &str, target: &Path) -> Digest {
    let sample = samples().into_iter().find(|sample| sample.name == "letter-locked").expect("the sample");
    let locked = Command::new("qpdf")
        .arg(format!("--password={SAMPLE_PASSWORD}"))
        .args(["--encrypt", password, "owner", "256", "--"])
        .args([&sample.paths().remove(0), target])
        .status();
    assert!(locked.expect("qpdf starts").success(), "{}", target.display());
    Digest::of(&std::fs::read(target).expect("readable"))
}

/// Every file in and below a folder that holds this text.
fn holding(folder: &Path, text: &str) -> Vec<std::path::PathBuf> {
    let holds = |path: &Path| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(holding(&entry.path(), text)),
            Ok(kind) if kind.is_file() && holds(&entry.path()) => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_pdf_opens_with_its_folders_passwords_and_waits_for_the_right_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let of_legal = folder.path().join("legal.passwords");
    let of_office = folder.path().join("office.passwords");
    let config = format!(
        "[[source]]\nname = \"legal\"\nfolder = {:?}\npasswords_file = {of_legal:?}\nquiet_ms = 500\n\
         [[source]]\nname = \"office\"\nfolder = {:?}\npasswords_file = {of_office:?}\nquiet_ms = 500\n\
         [[source]]\nname = \"post\"\nfolder = {:?}\nquiet_ms = 500\n",
        folder.path().join("inbox/legal"),
        folder.path().join("inbox/office"),
        folder.path().join("inbox/post"),
    );
    let mut desk = Desk::set_up(folder.path(), Programs::of_this_build(), &config).expect("a desk");
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("write");
    write(&of_legal, "an older one\nparchment 7\n");
    write(&of_office, "an older one\n");
    for source in ["legal", "office", "post"] {
        std::fs::create_dir_all(desk.inbox().join(source)).expect("a hot folder");
    }
    let deed = locked_letter("parchment 7", &desk.inbox().join("legal/deed.pdf"));
    // What the other folder's passwords would open.
    let minutes = locked_letter("parchment 7", &desk.inbox().join("office/minutes.pdf"));
    let letter = locked_letter("parchment 7", &desk.inbox().join("post/letter.pdf"));
    desk.start().expect("the agent starts");

    let kept = desk.settled(DEADLINE).await.expect("all is taken");
    let state = |kept: &[Kept], sha256: Digest| {
        kept.iter().find(|one| one.sha256 == sha256).map(|one| one.state.clone())
    };
    assert_eq!(
        state(&kept, deed).as_deref(),
        Some("document"),
        "{kept:?}
{}",
        desk.last_lines()
    );
    assert_eq!(state(&kept, minutes).as_deref(), Some("quarantine locked"), "{kept:?}");
    assert_eq!(state(&kept, letter).as_deref(), Some("quarantine locked"), "{kept:?}");

    let list = desk.command(&[], &["quarantine", "list", "--json"]).expect("a list");
    let list: Vec<Value> = serde_json::from_str(&list).expect("JSON");
    let listed = list.iter().find(|one| one["files"][0] == "minutes.pdf").expect("it is listed");
    let (id, help) = (listed["capture_id"].as_str().expect("an id"), listed["help"].to_string());
    assert!(help.contains("passwords_file"), "it says where the password goes: {help}");

    // Another wrong one changes nothing; with the right one it goes through, while the agent runs.
    write(&of_office, "an older one\nparchment 8\n");
    desk.command(&[], &["quarantine", "retry", id]).expect("it is tried");
    let again = wait::until("it to be back in quarantine", DEADLINE, || async {
        let shown = desk.command(&[], &["quarantine", "show", id]).ok()?;
        shown.contains("locked").then_some(())
    });
    again.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()));
    write(&of_office, "an older one\nparchment 8\nparchment 7\n");
    desk.command(&[], &["quarantine", "retry", id]).expect("it is tried");
    let through = wait::until("it to be a document", DEADLINE, || async {
        let kept = desk.kept().ok()?;
        (state(&kept, minutes).as_deref() == Some("document")).then_some(kept)
    });
    let kept = through.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()));
    let left = state(&kept, letter);
    assert_eq!(
        left.as_deref(),
        Some("quarantine locked"),
        "a folder without passwords has none of the others"
    );

    // A password is in no record, no message and no log.
    assert_eq!(holding(&desk.state(), "parchment"), Vec::<std::path::PathBuf>::new());
    assert!(!desk.last_lines().contains("parchment"), "{}", desk.last_lines());
}
