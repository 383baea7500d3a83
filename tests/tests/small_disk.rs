//! A disk that is full, with a real agent: nothing is lost, nothing is given up, one is told, and it goes on by itself.
//!
//! The agent's state lies on a small disk of its own, in a mount namespace that ends with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use platen_model::Digest;
use platen_tests::desk::{Desk, Kept, check_kept, files_in};
use platen_tests::random::Sequence;
use platen_tests::{Programs, wait};

const DEADLINE: Duration = Duration::from_secs(240);

/// A picture of more than a megabyte that nothing makes shorter.
fn photo() -> Vec<u8> {
    let mut random = Sequence::new(7);
    let picture = image::GrayImage::from_fn(1_200, 1_200, |_, _| image::Luma([random.below(256) as u8]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95);
    picture.write_with_encoder(encoder).expect("memory takes it");
    bytes.into_inner()
}

struct SmallDisk {
    _folder: tempfile::TempDir,
    desk: Desk,
    at: PathBuf,
}

impl SmallDisk {
    /// Starts an agent whose state lies on a disk of so many MiB, with this configuration for its spool.
    fn start(mib: u32, spool: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let inbox = folder.path().join("inbox");
        let at = folder.path().join("small");
        std::fs::create_dir(&at).expect("a mount point");
        let config = format!(
            "[spool]\n{spool}\n[[source]]\nname = \"desk\"\nfolder = {inbox:?}\nquiet_ms = 500\nevents = \"never\"\n"
        );
        let desk = Desk::set_up(folder.path(), Programs::of_this_build(), &config).expect("a desk");
        // The agent's identity lies there too.
        let script = format!(
            "mount -t tmpfs -o size={mib}m platen \"$0\" && cp \"$1\"/identity.json \"$0\" && shift && exec \"$@\""
        );
        let (disk, seed) = (at.display().to_string(), desk.state().display().to_string());
        let state = format!("PLATEN_STATE={disk}");
        let wrapper =
            ["env", &state, "unshare", "--map-root-user", "--mount", "sh", "-c", &script, &disk, &seed];
        let mut desk = desk.behind(&wrapper);
        desk.start().expect("the agent starts");
        Self { _folder: folder, desk, at }
    }

    /// The disk, seen from outside.
    fn root(&self) -> PathBuf {
        let root = Path::new("/proc").join(self.desk.pid().to_string()).join("root");
        root.join(self.at.strip_prefix("/").expect("a path"))
    }

    fn kept(&self) -> Option<Vec<Kept>> {
        self.desk.kept_in(&self.root().join("spool")).ok()
    }

    /// Runs a command of the agent on that disk.
    fn command(&self, arguments: &[&str]) -> Result<String, String> {
        let (pid, state) = (self.desk.pid().to_string(), format!("PLATEN_STATE={}", self.at.display()));
        let inside =
            ["env", &state, "nsenter", "--preserve-credentials", "--user", "--mount", "--target", &pid];
        self.desk.command(&inside, arguments)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_scans_where_they_are_until_there_is_room() {
    let mut small = SmallDisk::start(16, "min_free_mb = 2");
    let inbox = small.desk.inbox();
    let bytes = |index: u8| vec![index; 1_500_000];
    let written: Vec<_> = (1..=12).map(|index| (format!("{index}.bin"), Digest::of(&bytes(index)))).collect();
    for index in 1..=12 {
        std::fs::write(inbox.join(format!("{index}.bin")), bytes(index)).expect("write");
    }
    let mut taken: Vec<Kept> = Vec::new();
    let mut waited = false;
    while taken.len() < written.len() {
        // Whole files either lie in the hot folder or are in the spool; some wait, for there is no room for all.
        let full = wait::until("what fits to be in quarantine", DEADLINE, || async {
            let kept = small.kept()?;
            let settled = !kept.is_empty() && kept.iter().all(|one| one.state.starts_with("quarantine"));
            let status = small.command(&["status", "--json"]).ok()?;
            let left = files_in(&inbox).len();
            let waits = status.contains("scans wait here");
            (settled && (waits || left == 0)).then_some((kept, left))
        });
        let (kept, left) = full.await.unwrap_or_else(|error| panic!("{error}\n{}", small.desk.last_lines()));
        waited |= left > 0;
        assert!(files_in(&inbox).values().all(|bytes| *bytes == 1_500_000), "what waits is untouched");
        let list = small.command(&["quarantine", "list", "--json"]).expect("a list");
        let list: serde_json::Value = serde_json::from_str(&list).expect("JSON");
        let of_kept = |one: &&serde_json::Value| {
            let sha256 =
                written.iter().find(|(name, _)| one["files"][0] == name.as_str()).map(|(_, sha256)| *sha256);
            kept.iter().any(|one| Some(one.sha256) == sha256)
        };
        for one in list.as_array().expect("an array").iter().filter(of_kept) {
            let id = one["capture_id"].as_str().expect("an id");
            small.command(&["quarantine", "discard", id]).expect("a person makes room");
        }
        taken.extend(kept);
    }
    assert!(waited, "the disk was full for a while");
    assert!(!small.desk.has_ended(), "the agent goes on by itself");
    check_kept(&taken, &written, &small.desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_meets_a_full_disk_is_tried_again_by_itself_and_never_given_up() {
    let mut small = SmallDisk::start(24, "min_free_mb = 0");
    let filler = small.root().join("filler");
    let ready = wait::until("the agent to be up", DEADLINE, || async { small.kept() });
    ready.await.unwrap_or_else(|error| panic!("{error}\n{}", small.desk.last_lines()));
    // Somebody else fills the disk up to the last blocks: there is room for the scan, but not for what is made of it.
    std::fs::write(&filler, []).expect("a file");
    let bytes = photo();
    let room = bytes.len() as u64 + (512 << 10);
    let mut file = std::fs::OpenOptions::new().append(true).open(&filler).expect("a file");
    let free = || {
        let space = rustix::fs::statvfs(small.root()).expect("a measure");
        space.f_bavail * space.f_frsize
    };
    while free() > room + (4 << 10) {
        let most = usize::try_from((free() - room).min(1 << 20)).expect("a small number");
        std::io::Write::write_all(&mut file, &vec![0; most]).expect("there is room");
    }
    drop(file);
    std::fs::write(small.desk.inbox().join("scan.jpg"), &bytes).expect("write");
    let waits = wait::until("the capture to meet the full disk", DEADLINE, || async {
        let status = small.command(&["status"]).ok()?;
        status.contains("tried again in a while").then_some(())
    });
    waits.await.unwrap_or_else(|error| {
        panic!("{error}\n{:?}\n{}", small.command(&["status"]), small.desk.last_lines())
    });
    let kept = small.kept().expect("the spool is whole");
    assert!(kept.iter().all(|one| one.state == "capture"), "it is not given up: {kept:?}");
    platen_model::durable::remove_file(&filler).expect("somebody makes room");
    let done = wait::until("the document", DEADLINE, || async {
        small.kept().filter(|kept| kept.iter().any(|one| one.state == "document"))
    });
    let kept = done.await.unwrap_or_else(|error| panic!("{error}\n{}", small.desk.last_lines()));
    check_kept(&kept, &[("scan.jpg".into(), Digest::of(&bytes))], &small.desk);
    assert!(files_in(&small.desk.inbox()).is_empty() && !small.desk.has_ended());
}
