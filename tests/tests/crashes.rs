//! A stream of scans while agent and cloud are killed again and again, and the outbox's files are damaged between
//! two lives of the agent: every scan arrives, once, byte for byte, and every queue is empty in the end.
//!
//! `PLATEN_KILLS` sets another number of kills, `PLATEN_KILL_SEED` repeats a run's decisions. (The moments stay
//! the machine's own: two runs with one seed kill at the same times, not at the same instructions.)

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use platen_model::Digest;
use platen_tests::ends::ROUTING;
use platen_tests::random::Sequence;
use platen_tests::site::Part;
use platen_tests::{Programs, Site, wait};

const KILLS: u64 = 200;
/// The longest time between two kills, in milliseconds: about what one scan takes from glass to receipt.
const LONGEST_LIFE_MS: u64 = 900;
const DEADLINE: Duration = Duration::from_secs(300);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A scan of its own kind: a small page with nothing on it but one speck, whose place is its number. Cheap to read.
fn scan(number: u64) -> Vec<u8> {
    let mut picture = image::GrayImage::from_pixel(200, 120, image::Luma([255]));
    let place = u32::try_from(number).expect("a small number");
    picture.put_pixel(place % 200, place / 200, image::Luma([250]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a PNG in memory");
    bytes.into_inner()
}

/// Damages one file of the agent's database: cuts it off, flips bytes, or takes it away. Answers what it did.
fn damage(outbox: &Path, random: &mut Sequence) -> Option<String> {
    let mut files = Vec::new();
    files_under(outbox, &mut files);
    files.sort();
    let file = files.get(random.below(files.len() as u64) as usize)?;
    let mut bytes = std::fs::read(file).ok()?;
    let what = match random.below(3) {
        _ if bytes.is_empty() => return None,
        0 => {
            bytes.truncate(random.below(bytes.len() as u64) as usize);
            "cut off"
        }
        1 => {
            for _ in 0..=random.below(20) {
                let place = random.below(bytes.len() as u64) as usize;
                bytes[place] ^= 1 << random.below(8);
            }
            "flipped"
        }
        _ => {
            platen_model::durable::remove_file(file).ok()?;
            return Some(format!("{} removed", file.display()));
        }
    };
    std::fs::write(file, bytes).ok()?;
    Some(format!("{} {what}", file.display()))
}

fn files_under(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files_under(&entry.path(), found),
            _ => found.push(entry.path()),
        }
    }
}

fn plain_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn inv2_killed_at_two_hundred_random_moments_with_a_damaged_outbox_every_scan_arrives_once() {
    let seed = number("PLATEN_KILL_SEED");
    let seed = seed.unwrap_or_else(|| platen_model::DocumentId::new().as_uuid().as_u64_pair().1);
    let kills = number("PLATEN_KILLS").unwrap_or(KILLS);
    println!("PLATEN_KILL_SEED={seed}");
    let mut random = Sequence::new(seed);

    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("site");
    let mut site = Site::found(&root, Programs::of_this_build(), 0, ROUTING).await.expect("a site");
    let quick = |text: String| text.replace("quiet_ms = 500", "quiet_ms = 50\nrescan_ms = 200");
    site.configure(Part::Agent, quick).expect("configured");
    site.start(Part::Agent).expect("the agent starts");
    let person = site.person().await.expect("the clerk signs in");

    let mut scans: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut damages = Vec::new();
    for kill in 0..kills {
        let bytes = scan(kill);
        scans.insert(Digest::of(&bytes), kill);
        std::fs::write(site.inbox().join(format!("scan-{kill:05}.png")), bytes).expect("a scan");
        // Not synchronisation: the random moment is what is tested.
        tokio::time::sleep(Duration::from_millis(random.below(LONGEST_LIFE_MS))).await;
        let parts: &[Part] = match random.below(10) {
            0..6 => &[Part::Agent],
            6..9 => &[Part::Cloud],
            _ => &[Part::Agent, Part::Cloud],
        };
        for part in parts {
            site.kill(*part);
        }
        if parts.contains(&Part::Agent) && random.below(4) == 0 {
            damages.extend(damage(&root.join("agent/outbox"), &mut random));
        }
        for part in parts.iter().rev() {
            site.start(*part).expect("it starts again");
        }
    }

    let arrived = wait::until("every scan to arrive", DEADLINE, || async {
        let documents = person.documents().await.ok()?;
        let status = site.agent_command(&["status", "--json"]).ok()?;
        let idle = plain_files(&site.inbox()) == 0
            && std::fs::read_dir(root.join("agent/spool/captures")).ok()?.next().is_none();
        (idle && documents.len() >= scans.len()).then_some((documents, status))
    })
    .await;
    let told = |what: &str| {
        format!(
            "seed {seed}: {what}\n{} damages: {damages:#?}\n{}\n{}\nquarantine: {:?}",
            damages.len(),
            site.last_lines("agent"),
            site.last_lines("cloud"),
            site.quarantine(),
        )
    };
    let (documents, status) = arrived.unwrap_or_else(|error| panic!("{}", told(&error)));
    println!("{} scans, {} damages of the outbox\n{status}", scans.len(), damages.len());

    let mut missing = scans.clone();
    for document in &documents {
        let original = person.content(document.document_id, "original").await.expect("the original is kept");
        let digest = Digest::of(&original);
        assert!(scans.contains_key(&digest), "{}", told("a document that nobody scanned"));
        assert!(missing.remove(&digest).is_some(), "{}", told("a scan arrived twice"));
    }
    assert!(missing.is_empty(), "{}", told(&format!("lost: {missing:?}")));
    assert_eq!(site.quarantine().expect("a list").len(), 0, "{}", told("in quarantine"));
    let no_retry = site.agent_command(&["outbox", "retry", "--all"]).expect("the daemon answers");
    assert!(no_retry.contains('0'), "{}", told(&format!("something still waits: {no_retry}")));
    site.cloud_command(&["check"]).unwrap_or_else(|error| panic!("{}", told(&error)));
}
