//! A stream of scans while agent and cloud are killed again and again, and the outbox's files are damaged between
//! two lives of the agent: every scan arrives, once, byte for byte, and every queue is empty in the end.
//!
//! And a scan each for the named points at which either program can be made to die ([`crash`]); and a stream of
//! scans over a disk that loses at each power cut what was not fsynced ([`LossyDisk`]).
//!
//! `PLATEN_KILLS` and `PLATEN_CUTS` set another number of kills and cuts, `PLATEN_KILL_SEED` repeats a run's decisions. (The moments stay
//! the machine's own: two runs with one seed kill at the same times, not at the same instructions.)

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use platen_model::{Digest, crash, durable};
use platen_tests::ends::ROUTING;
use platen_tests::random::Sequence;
use platen_tests::site::Part;
use platen_tests::{LossyDisk, Person, Programs, Site, wait};

const KILLS: u64 = 200;
const CUTS: u64 = 40;
/// The longest time between two kills, in milliseconds: about what one scan takes from glass to receipt.
const LONGEST_LIFE_MS: u64 = 900;
const DEADLINE: Duration = Duration::from_secs(120);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Random decisions, and their seed, which is printed.
fn seeded() -> (u64, Sequence) {
    let seed = number("PLATEN_KILL_SEED");
    let seed = seed.unwrap_or_else(|| platen_model::DocumentId::new().as_uuid().as_u64_pair().1);
    println!("PLATEN_KILL_SEED={seed}");
    (seed, Sequence::new(seed))
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
            durable::remove_file(file).ok()?;
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

/// What still lies in the inbox and on its way to a document.
fn under_way(site: &Site) -> Vec<PathBuf> {
    let mut files = Vec::new();
    files_under(&site.root().join("agent/spool/captures"), &mut files);
    let inbox = std::fs::read_dir(site.inbox()).into_iter().flatten().flatten();
    // Hidden files are no scans: a probe whose agent was killed.
    let is_hidden = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with('.');
    let scans = inbox.filter(|entry| !is_hidden(entry)).map(|entry| entry.path());
    files.extend(scans.filter(|path| path.is_file()));
    files
}

/// A site whose agent takes a file as soon as it is still.
async fn quick_site(root: &Path) -> Site {
    let site = Site::found(root, Programs::of_this_build(), 0, ROUTING).await.expect("a site");
    let quick = |text: String| text.replace("quiet_ms = 500", "quiet_ms = 50\nrescan_ms = 200");
    site.configure(Part::Agent, quick).expect("configured");
    // What a cloud that died had leased is soon free again.
    site.configure(Part::Cloud, |text| format!("{text}[limits]\nlease_seconds = 2\n")).expect("configured");
    site
}

/// Every scan in the cloud, once, byte for byte; nothing left on its way, nothing in quarantine, all evidence whole.
struct Stream {
    site: Site,
    person: Person,
    scans: BTreeMap<Digest, u64>,
}

impl Stream {
    async fn begin(root: &Path) -> Self {
        let site = quick_site(root).await;
        let person = site.person().await.expect("the clerk signs in");
        Self { site, person, scans: BTreeMap::new() }
    }

    fn scan(&mut self, number: u64) {
        let bytes = scan(number);
        self.scans.insert(Digest::of(&bytes), number);
        // Durably: what its scanner did not bring to the disk is nobody's to keep.
        durable::write(&self.site.inbox().join(format!("scan-{number:05}.png")), &bytes).expect("a scan");
    }

    /// Waits until all have arrived and checks it. `told` says what was done to them.
    async fn check_arrives(&self, told: &str) {
        let told = |what: &str| {
            format!(
                "{what}\n{told}\nunder way: {:#?}\n{}\n{}\nquarantine: {:?}\n{}",
                under_way(&self.site),
                self.site.last_lines("agent"),
                self.site.last_lines("cloud"),
                self.site.quarantine(),
                self.site.agent_command(&["status", "--json"]).unwrap_or_else(|error| error),
            )
        };
        let arrived = wait::until("every scan to arrive", DEADLINE, || async {
            let documents = self.person.documents().await.ok()?;
            let idle = under_way(&self.site).is_empty();
            let status = self.site.agent_command(&["status", "--json"]).ok()?;
            let status: serde_json::Value = serde_json::from_str(&status).ok()?;
            let waits = &status["outbox"];
            let sent = waits["waiting"] == 0 && waits["needs_person"] == 0;
            (idle && sent && documents.len() >= self.scans.len()).then_some(documents)
        });
        let documents = arrived.await.unwrap_or_else(|error| panic!("{}", told(&error)));
        let mut missing = self.scans.clone();
        for document in &documents {
            let original = self.person.content(document.document_id, "original").await;
            let digest = Digest::of(&original.expect("the original is kept"));
            assert!(self.scans.contains_key(&digest), "{}", told("a document that nobody scanned"));
            assert!(missing.remove(&digest).is_some(), "{}", told("a scan arrived twice"));
        }
        assert!(missing.is_empty(), "{}", told(&format!("lost: {missing:?}")));
        assert_eq!(self.site.quarantine().expect("a list").len(), 0, "{}", told("in quarantine"));
        self.site.cloud_command(&["check"]).unwrap_or_else(|error| panic!("{}", told(&error)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inv2_killed_at_two_hundred_random_moments_with_a_damaged_outbox_every_scan_arrives_once() {
    let kills = number("PLATEN_KILLS").unwrap_or(KILLS);
    let (seed, mut random) = seeded();
    let folder = tempfile::tempdir().expect("a folder");
    let mut stream = Stream::begin(&folder.path().join("site")).await;
    let outbox = stream.site.root().join("agent/outbox");
    stream.site.start(Part::Agent).expect("the agent starts");
    let mut damages = Vec::new();
    for kill in 0..kills {
        stream.scan(kill);
        // Not synchronisation: the random moment is what is tested.
        tokio::time::sleep(Duration::from_millis(random.below(LONGEST_LIFE_MS))).await;
        let parts: &[Part] = match random.below(10) {
            0..6 => &[Part::Agent],
            6..9 => &[Part::Cloud],
            _ => &[Part::Agent, Part::Cloud],
        };
        for part in parts {
            stream.site.kill(*part);
        }
        if parts.contains(&Part::Agent) && random.below(4) == 0 {
            damages.extend(damage(&outbox, &mut random));
        }
        for part in parts.iter().rev() {
            stream.site.start(*part).expect("it starts again");
        }
    }
    stream.check_arrives(&format!("seed {seed}, {} damages: {damages:#?}", damages.len())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_named_point_both_programs_carry_on_and_every_scan_arrives_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut stream = Stream::begin(&folder.path().join("site")).await;
    let agent = crash::AGENT.iter().map(|point| (Part::Agent, *point));
    let points = agent.chain(crash::CLOUD.iter().map(|point| (Part::Cloud, *point)));
    for (number, (part, point)) in (0..).zip(points) {
        let other = if part == Part::Agent { Part::Cloud } else { Part::Agent };
        for either in [part, other] {
            stream.site.kill(either);
        }
        stream.site.start_with(part, &[(crash::VARIABLE, point)]).expect("it starts");
        stream.site.start(other).expect("it starts");
        stream.scan(number);
        let ended = stream.site.ended(part, Duration::from_secs(60)).await;
        let ended = ended.unwrap_or_else(|| panic!("{part:?} never came to {point:?}"));
        assert_eq!(ended.signal(), Some(9), "{part:?} at {point:?} ended with {ended}");
        stream.site.start(part).expect("it starts again");
    }
    stream.check_arrives("each point once").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn power_goes_forty_times_and_what_was_acknowledged_is_there_every_scan_arrives_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut disk = match LossyDisk::mount(folder.path()) {
        Ok(disk) => disk,
        Err(error) => return println!("not run: no FUSE here ({error})"),
    };
    let (seed, mut random) = seeded();
    let mut stream = Stream::begin(&folder.path().join("site")).await;
    let mut lost = Vec::new();
    for cut in 0..number("PLATEN_CUTS").unwrap_or(CUTS) {
        stream.scan(cut);
        stream.site.start(Part::Agent).expect("it starts");
        // Not synchronisation: the random moment is what is tested.
        tokio::time::sleep(Duration::from_millis(random.below(LONGEST_LIFE_MS * 2))).await;
        for part in [Part::Agent, Part::Cloud] {
            stream.site.kill(part);
        }
        lost.push(disk.cut(&mut random).expect("power comes back"));
        stream.site.start(Part::Cloud).expect("it starts");
    }
    stream.site.start(Part::Agent).expect("it starts");
    stream.site.wait_until_ready().await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    // Her session may have been one of the things that were not yet on the disk.
    stream.person = stream.site.person().await.expect("the clerk signs in again");
    let files: usize = lost.iter().map(|lost| lost.files).sum();
    let names: usize = lost.iter().map(|lost| lost.names).sum();
    println!("{} cuts met {files} files not synced, and took {names} changes of names back", lost.len());
    assert!(files > 0 && names > 0, "the disk lost nothing: the test tests nothing");
    stream.check_arrives(&format!("seed {seed}, {} cuts", lost.len())).await;
}
