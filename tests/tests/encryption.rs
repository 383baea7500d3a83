//! A stolen device gives nothing away: the whole state folder of a real agent is searched for what was scanned, what was
//! read, and what it was called. And a wrong key harms nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use platen_model::{Digest, durable};
use platen_testdata::{Outcome, Sample};
use platen_tests::desk::Desk;
use platen_tests::ends::ROUTING;
use platen_tests::site::Part;
use platen_tests::{Programs, Site, wait};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(120);
/// Bytes of each piece of a file that is looked for.
const PIECE: usize = 48;
/// What is not of a scan, and not encrypted: docs/encryption.md says so.
const OPEN: [&str; 2] = ["device.key", "identity.json"];

/// The name of a file that is none.
const QUARANTINED: &str = "payroll-of-march.tif";

fn as_numbers(name: &str) -> String {
    name.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(",")
}

fn sample() -> Sample {
    let goes_through = |sample: &Sample| {
        matches!(&sample.expected.outcome, Outcome::Document { verdict } if verdict == "auto")
            && sample.paths().len() == 1
    };
    platen_testdata::samples().into_iter().find(goes_through).expect("such a sample")
}

/// A site whose cloud is away, so that what is scanned stays in the spool.
async fn site_without_cloud(root: &Path) -> Site {
    let mut site = Site::found(root, Programs::of_this_build(), 0, ROUTING).await.expect("a site");
    site.kill(Part::Cloud);
    site
}

/// Encrypts the agent's state folder with this key from its next start on.
fn encrypt(site: &Site, key: &str) {
    durable::write(&site.root().join("spool.key"), key.as_bytes()).expect("a key");
    let file = site.root().join("spool.key").display().to_string();
    let encrypted = |text: String| match text.contains("[encryption]") {
        true => text,
        false => format!("{text}[encryption]\nkey_file = \"{file}\"\n"),
    };
    site.configure(Part::Agent, encrypted).expect("configured");
}

fn status(site: &Site) -> Option<Value> {
    serde_json::from_str(&site.agent_command(&["status", "--json"]).ok()?).ok()
}

async fn until_waiting(site: &Site, waiting: u64, quarantined: u64) {
    let stored = wait::until("the scans to be in the spool", DEADLINE, || async {
        let status = status(site)?;
        let stored = status["outbox"]["waiting"] == waiting && status["quarantined"] == quarantined;
        (stored && status["captures"]["in_spool"] == 0).then_some(())
    });
    stored.await.unwrap_or_else(|error| panic!("{error}\n{:?}\n{}", status(site), site.last_lines("agent")));
}

fn files_under(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_under(&entry.path(), found),
            Ok(kind) if kind.is_file() => {
                drop(found.insert(entry.path(), std::fs::read(entry.path()).expect("a file")))
            }
            _ => {}
        }
    }
}

fn state_files(site: &Site) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    files_under(&site.root().join("agent"), &mut files);
    files.retain(|path, _| !OPEN.contains(&path.file_name().expect("a name").to_string_lossy().as_ref()));
    files
}

/// Where these bytes are found in the state folder, by content or by name.
fn places(files: &BTreeMap<PathBuf, Vec<u8>>, needle: &[u8]) -> Vec<String> {
    let has = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let found = files.iter().filter(|(path, bytes)| has(bytes) || has(path.as_os_str().as_encoded_bytes()));
    found.map(|(path, _)| path.display().to_string()).collect()
}

fn pieces(what: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let piece = |part: usize| {
        let at = (bytes.len() - PIECE) * part / 4;
        (format!("{what} at {at}"), bytes[at..at + PIECE].to_vec())
    };
    (1..4).map(piece).collect()
}

/// Scans, reads, and answers what must not be found, each with a name: bytes of scan, PDF, text and manifest, and names.
async fn scan_and_stop(site: &mut Site) -> Vec<(String, Vec<u8>)> {
    let sample = sample();
    site.scan(&sample.paths()[0]).expect("scanned");
    let broken: Vec<u8> =
        b"II*\0".iter().copied().chain((0..600u32).flat_map(|n| (n * n).to_le_bytes())).collect();
    durable::write(&site.inbox().join(QUARANTINED), &broken).expect("a file that is none");
    site.start(Part::Agent).expect("it starts");
    until_waiting(site, 1, 1).await;
    let list: Value =
        serde_json::from_str(&site.agent_command(&["outbox", "list", "--json"]).expect("a list"))
            .expect("JSON");
    let id = list[0]["document_id"].as_str().expect("an id").to_owned();
    site.kill(Part::Agent);

    // An export is plain: it was asked for.
    let export = site.root().join("export");
    site.agent_command(&["outbox", "export", &id, &export.display().to_string()]).expect("exported");
    let exported = |name: &str| std::fs::read(export.join(&id).join(name)).expect("exported");
    let scan = std::fs::read(&sample.paths()[0]).expect("the sample");
    assert_eq!(Digest::of(&exported("original-0000")), Digest::of(&scan));
    let text: Value = serde_json::from_slice(&exported("page-text.json")).expect("JSON");
    let mut words: Vec<String> = Vec::new();
    for page in text["pages"].as_array().expect("pages") {
        let read = page["words"].as_array().expect("words").iter().filter_map(|word| word["text"].as_str());
        words.extend(read.filter(|word| word.len() >= 8).map(str::to_owned));
    }
    assert!(words.len() >= 3, "a page with words: {words:?}");
    let mut needles = pieces("the scan", &scan);
    needles.extend(pieces("the PDF", &exported("normalized.pdf")));
    needles.extend(pieces("the text", &exported("page-text.json")));
    needles.extend(pieces("the manifest", &exported("manifest.json")));
    needles.extend(pieces("the file in quarantine", &broken));
    needles.extend(words.into_iter().take(5).map(|word| (format!("the word {word}"), word.into_bytes())));
    let name = sample.paths()[0].file_name().expect("a name").to_string_lossy().into_owned();
    needles.push(("the scan's name".into(), name.into_bytes()));
    needles.push(("a PDF's beginning".into(), b"%PDF-1.".to_vec()));
    needles
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_device_gives_nothing_away() {
    let folder = tempfile::tempdir().expect("a folder");
    for encrypted in [false, true] {
        let mut site = site_without_cloud(&folder.path().join(format!("encrypted-{encrypted}"))).await;
        if encrypted {
            encrypt(&site, &"5a".repeat(32));
        }
        let needles = scan_and_stop(&mut site).await;
        let files = state_files(&site);
        assert!(files.keys().any(|path| path.ends_with("db")), "the database is among them");
        for (what, needle) in &needles {
            let found = places(&files, needle);
            // Without a key each is found: the search itself works.
            assert_eq!(found.is_empty(), encrypted, "encrypted: {encrypted}; {what}: {found:?}");
        }
        let mut is_named = false;
        for bytes in files.values() {
            // Whatever the form of a name: its bytes as numbers, as records of claims have them.
            let numbers: String = String::from_utf8_lossy(bytes).split_whitespace().collect();
            is_named |= numbers.contains(&as_numbers(QUARANTINED)) || numbers.contains(QUARANTINED);
        }
        assert_ne!(is_named, encrypted, "encrypted: {encrypted}; the name in quarantine");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_missing_key_harms_nothing_and_the_right_one_delivers_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let memory = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    let mut site = site_without_cloud(&folder.path().join("site")).await;
    let scan = |number: u8| {
        let picture =
            image::GrayImage::from_fn(200, 120, |x, _| image::Luma([255 - u8::from(x == u32::from(number))]));
        let mut bytes = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a PNG");
        bytes.into_inner()
    };
    // The first one is stored plain.
    durable::write(&site.inbox().join("first.png"), &scan(1)).expect("scanned");
    site.start(Part::Agent).expect("it starts");
    until_waiting(&site, 1, 0).await;
    site.stop(Part::Agent).expect("it stops");
    encrypt(&site, &"5a".repeat(32));
    let work = format!("[encryption]\nwork = \"{}\"\n", memory.path().display());
    site.configure(Part::Agent, |text| text.replace("[encryption]\n", &work)).expect("configured");
    durable::write(&site.inbox().join("second.png"), &scan(2)).expect("scanned");
    site.start(Part::Agent).expect("it starts");
    until_waiting(&site, 2, 0).await;
    let told = site.agent_command(&["status"]).expect("a status");
    assert!(
        told.contains("encryption: since") && told.contains("1 captures and documents from before"),
        "{told}"
    );
    site.kill(Part::Agent);

    let before = state_files(&site);
    for wrong in [Some("a5".repeat(32)), None] {
        let key = site.root().join("spool.key");
        match &wrong {
            Some(other) => drop(durable::write(&key, other.as_bytes()).expect("another key")),
            None => durable::remove_file(&key).expect("no key"),
        }
        site.start(Part::Agent).expect("started");
        let ended = site.ended(Part::Agent, DEADLINE).await.expect("it ends by itself");
        assert!(!ended.success());
        let log = site.last_lines("agent");
        assert!(log.contains("nothing was read or changed"), "{log}");
        site.agent_command(&["outbox", "verify"]).expect_err("no command works either");
        assert_eq!(state_files(&site), before, "{wrong:?}: nothing was touched");
    }
    encrypt(&site, &"5a".repeat(32));
    site.agent_command(&["outbox", "verify"]).expect("all is whole");

    site.start(Part::Cloud).expect("it starts");
    site.wait_until_ready().await.expect("ready");
    site.start(Part::Agent).expect("it starts");
    let person = site.person().await.expect("the clerk signs in");
    let arrived = wait::until("both to arrive", DEADLINE, || async {
        person.documents().await.ok().filter(|documents| documents.len() == 2)
    });
    let documents = arrived.await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("agent")));
    for document in documents {
        let number = if document.file_name == "first.png" { 1 } else { 2 };
        let original = person.content(document.document_id, "original").await.expect("the original");
        assert_eq!(original, scan(number), "{}", document.file_name);
    }
    let mut left = BTreeMap::new();
    files_under(memory.path(), &mut left);
    assert!(left.is_empty(), "plain copies of what is finished: {:?}", left.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_in_an_encrypted_document_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut site = site_without_cloud(&folder.path().join("site")).await;
    encrypt(&site, &"5a".repeat(32));
    site.scan(&sample().paths()[0]).expect("scanned");
    site.start(Part::Agent).expect("it starts");
    until_waiting(&site, 1, 0).await;
    site.kill(Part::Agent);
    site.agent_command(&["outbox", "verify"]).expect("all is whole");
    let files = state_files(&site);
    let (path, bytes) = files.iter().find(|(path, _)| path.ends_with("original-0000")).expect("an original");
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(path, &flipped).expect("a flipped byte");
    let told = site.agent_command(&["outbox", "verify"]).expect_err("it is damaged");
    assert!(told.contains("original-0000") && told.contains("does not decrypt"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_systemd_hands_over_encrypts_like_one_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let credentials = folder.path().join("credentials");
    std::fs::create_dir(&credentials).expect("a folder");
    durable::write(&credentials.join("spool-key"), "5a".repeat(32).as_bytes()).expect("a key");
    let inbox = folder.path().join("inbox");
    let config = format!(
        "[encryption]\ncredential = \"spool-key\"\n[[source]]\nname = \"desk\"\nfolder = {inbox:?}\nquiet_ms = 500\n"
    );
    let desk = Desk::set_up(folder.path(), Programs::of_this_build(), &config).expect("a desk");
    // As systemd does it (`LoadCredential=`, or `LoadCredentialEncrypted=` sealed by a TPM): a folder that is named.
    let folder_of = format!("CREDENTIALS_DIRECTORY={}", credentials.display());
    let mut desk = desk.behind(&["env", &folder_of]);
    desk.start().expect("the agent starts");
    let letter = b"a letter that nobody else may read, and that is no scan".to_vec();
    std::fs::write(desk.inbox().join("letter.txt"), &letter).expect("write");
    let status = wait::until("it to be kept", DEADLINE, || async {
        let status = desk.command(&["env", &folder_of], &["status", "--json"]).ok()?;
        let status: Value = serde_json::from_str(&status).ok()?;
        (status["quarantined"] == 1).then_some(status)
    });
    let status = status.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()));
    assert!(status["encryption"].is_object(), "{status}");
    desk.kill();
    let mut files = BTreeMap::new();
    files_under(&desk.state(), &mut files);
    assert!(files.keys().any(|path| path.ends_with("original-0000")), "it is there: {:?}", files.keys());
    assert_eq!(places(&files, &letter), Vec::<String>::new());
    let refused = desk.command(&["env", "-u", "CREDENTIALS_DIRECTORY"], &["outbox", "verify"]);
    let refused = refused.expect_err("without the credential nothing is read");
    assert!(refused.contains("CREDENTIALS_DIRECTORY"), "{refused}");
}
