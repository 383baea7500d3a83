//! Hot folders with a real agent process: whatever writes into them, however, every file ends in exactly one named
//! state, byte for byte as its writer left it, none taken early and none twice.

use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use platen_model::{Digest, durable};
use platen_tests::desk::{Desk, check_kept, files_in};
use platen_tests::lossy_disk::LossyDisk;
use platen_tests::writers::{Kind, RHYTHMS, tiff_of_pages};
use platen_tests::{Programs, wait};

const DEADLINE: Duration = Duration::from_secs(240);
/// Files at once.
const MANY: u32 = 10_000;

fn desk(folder: &Path, source: &str) -> Desk {
    let inbox = folder.join("inbox");
    let config = format!("[[source]]\nname = \"desk\"\nfolder = {inbox:?}\n{source}\n");
    Desk::set_up(folder, Programs::of_this_build(), &config).expect("a desk")
}

/// Lets every rhythm write at once into a source with these settings.
async fn check_rhythms(settings: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let source = format!("quiet_ms = 4000\ngive_up_ms = 60000\nafter = \"done\"\n{settings}");
    let mut desk = desk(folder.path(), &source);
    desk.start().expect("the agent starts");
    let inbox = desk.inbox();
    let writers: Vec<_> = (1u32..)
        .zip(RHYTHMS)
        .map(|(seed, rhythm)| {
            let inbox = inbox.clone();
            tokio::task::spawn_blocking(move || rhythm.bring(&inbox, seed))
        })
        .collect();
    let mut written = Vec::new();
    for writer in writers {
        written.push(writer.await.expect("it does not panic").expect("it writes"));
    }
    let kept = desk.settled(DEADLINE).await.expect("all is taken");
    check_kept(&kept, &written, &desk);
    assert!(kept.iter().all(|one| one.state == "document"), "{kept:?}");
    assert_eq!(std::fs::read_dir(inbox.join("done")).expect("done").count(), written.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_writers_of_every_rhythm_are_waited_for_where_events_arrive() {
    check_rhythms("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_writers_of_every_rhythm_are_waited_for_where_no_events_arrive() {
    check_rhythms("events = \"never\"").await;
}

/// Where Debian keeps the library that lies about the time.
fn faketime() -> std::path::PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("a system");
    let library = |entry: std::fs::DirEntry| entry.path().join("faketime/libfaketime.so.1");
    let found = folders.flatten().map(library).find(|library| library.is_file());
    found.expect("faketime is a need of the tests: packaging/build-deps.sh --test installs it")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_by_years_has_no_file_taken_early_or_twice_and_none_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = folder.path().join("clock");
    let jump = |by: &str| durable::write(&clock, format!("{by}\n").as_bytes()).expect("the clock is set");
    jump("+0");
    let variables = [
        format!("LD_PRELOAD={}", faketime().display()),
        format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ];
    let wrapper: Vec<&str> = std::iter::once("env").chain(variables.iter().map(String::as_str)).collect();
    let source = "quiet_ms = 3000\ngive_up_ms = 60000\nafter = \"done\"\ndone_days = 1";
    let mut desk = desk(folder.path(), source).behind(&wrapper);
    desk.start().expect("the agent starts");
    let inbox = desk.inbox();
    let writers: Vec<_> = (1u32..)
        .zip(RHYTHMS)
        .map(|(seed, rhythm)| {
            let inbox = inbox.clone();
            tokio::task::spawn_blocking(move || rhythm.bring(&inbox, seed))
        })
        .collect();
    // While they write, the agent's clock is set on and back, as by a battery that is empty and a server that is wrong.
    let jumps = ["+3650d", "-3650d", "+1d", "-2h", "+0"];
    let mut written = Vec::new();
    for (number, writer) in writers.into_iter().enumerate() {
        jump(jumps[number % jumps.len()]);
        written.push(writer.await.expect("it does not panic").expect("it writes"));
    }
    jump("+7300d");
    let late = Kind::Pdf.made(77);
    std::fs::write(inbox.join("late.pdf"), &late).expect("write");
    written.push(("late.pdf".into(), Digest::of(&late)));
    let kept = desk.settled(DEADLINE).await.expect("all is taken");
    check_kept(&kept, &written, &desk);
    assert!(kept.iter().all(|one| one.state == "document"), "{kept:?}");
    // By its clock all of them are twenty years old; but that clock has not proven itself.
    assert_eq!(std::fs::read_dir(inbox.join("done")).expect("done").count(), written.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_files_at_once_are_each_taken_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = desk(folder.path(), "quiet_ms = 1000");
    let bytes = |index: u32| format!("letter {index}").into_bytes();
    for index in 0..MANY / 2 {
        // Half of them are there before the agent.
        std::fs::write(desk.inbox().join(format!("{index:05}.txt")), bytes(index)).expect("write");
    }
    desk.start().expect("the agent starts");
    for index in MANY / 2..MANY {
        std::fs::write(desk.inbox().join(format!("{index:05}.txt")), bytes(index)).expect("write");
    }
    let empty = wait::until("the hot folder to be empty", DEADLINE, || async {
        files_in(&desk.inbox()).is_empty().then_some(())
    });
    empty.await.unwrap_or_else(|error| panic!("{error}\n{}\n{}", desk.source(), desk.last_lines()));
    // What becomes of them is not waited for: whatever it is, the spool has each once.
    desk.kill();
    let kept = desk.kept().expect("the spool is whole");
    let written: Vec<_> =
        (0..MANY).map(|index| (format!("{index:05}.txt"), Digest::of(&bytes(index)))).collect();
    check_kept(&kept, &written, &desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_scan_is_named_and_what_is_odd_is_taken_for_what_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = "quiet_ms = 500\ngive_up_ms = 2000\nnested = true\n\
                    [[source.subfolder]]\npath = \"invoices\"\ndepartment = \"purchasing\"\n";
    let mut desk = desk(folder.path(), settings);
    let inbox = desk.inbox();
    std::fs::create_dir_all(inbox.join("invoices/march")).expect("folders");
    std::fs::create_dir_all(inbox.join("@eaDir")).expect("a file server's own");
    let secret = folder.path().join("secret.pdf");
    std::fs::write(&secret, Kind::Pdf.made(1)).expect("outside");
    symlink(&secret, inbox.join("link.pdf")).expect("a link");
    symlink(folder.path(), inbox.join("elsewhere")).expect("a link to a folder");
    let pipe = std::process::Command::new("mkfifo").arg(inbox.join("pipe.pdf")).status().expect("mkfifo");
    assert!(pipe.success());
    std::fs::write(inbox.join("orphan.done"), b"").expect("a marker alone");

    let mut written = Vec::new();
    let mut write = |name: &std::ffi::OsStr, bytes: Vec<u8>| {
        std::fs::write(inbox.join(name), &bytes).expect("write");
        written.push((name.to_string_lossy().into_owned(), Digest::of(&bytes)));
    };
    write("scan.pdf".as_ref(), Kind::Pdf.made(2));
    write("invoices/scan.pdf".as_ref(), Kind::Pdf.made(3));
    write("invoices/march/scan.pdf".as_ref(), Kind::Pdf.made(4));
    write(std::ffi::OsStr::from_bytes(b"not\xffutf-8 \n.pdf"), Kind::Pdf.made(5));
    write(format!("{}.pdf", "long".repeat(62)).as_ref(), Kind::Pdf.made(6));
    write("empty.pdf".as_ref(), Vec::new());
    write("cut.jpg".as_ref(), Kind::Jpeg.made(7)[..900].to_vec());
    for ignored in ["scan.pdf.part", "~scan.pdf", "._scan.pdf", "Thumbs.db", "@eaDir/scan.pdf"] {
        std::fs::write(inbox.join(ignored), Kind::Pdf.made(8)).expect("write");
    }
    desk.start().expect("the agent starts");

    // Those that are ignored stay, and the marker.
    let kept = desk.settled_but_for(6, DEADLINE).await.expect("all is taken");
    check_kept(&kept, &written, &desk);
    let state = |seed: &Digest| kept.iter().find(|one| one.sha256 == *seed).map(|one| one.state.clone());
    assert_eq!(state(&Digest::of(b"")).as_deref(), Some("quarantine empty"));
    assert_eq!(state(&written[6].1).as_deref(), Some("quarantine truncated"));
    for (name, part) in [
        ("link.pdf", "symbolic link"),
        ("elsewhere", "symbolic link"),
        ("pipe.pdf", "pipe"),
        ("orphan.done", "marker"),
    ] {
        let (state, why) = desk.told(name).unwrap_or_else(|| panic!("{name} is told: {}", desk.source()));
        assert_eq!(state, "unfit", "{name}");
        assert!(why.contains(part), "{name}: {why}");
    }
    let departments = std::fs::read_dir(desk.state().join("spool/documents")).expect("documents").flatten();
    let purchasing = departments
        .filter(|entry| {
            std::fs::read_to_string(entry.path().join("manifest.json"))
                .is_ok_and(|it| it.contains("purchasing"))
        })
        .count();
    assert_eq!(purchasing, 2, "the subfolder sets the department");

    // The same bytes again, under another name: a success with a pointer.
    std::fs::write(desk.inbox().join("again.pdf"), Kind::Pdf.made(2)).expect("write");
    let duplicate = wait::until("the duplicate to be told", DEADLINE, || async {
        let source = desk.source();
        source["last_duplicate"]
            .as_str()
            .filter(|told| told.starts_with("again.pdf has the bytes of capture"))
            .map(drop)
    });
    duplicate.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()));
    assert_eq!(desk.kept().expect("the spool").len(), kept.len());
    assert_eq!(std::fs::read(&secret).expect("untouched"), Kind::Pdf.made(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_stay_where_they_lie_are_taken_once_and_again_when_they_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut desk = desk(folder.path(), "quiet_ms = 500\nafter = \"leave\"");
    let file = desk.inbox().join("scan.pdf");
    std::fs::write(&file, Kind::Pdf.made(1)).expect("write");
    desk.start().expect("the agent starts");
    let taken = |count: usize| {
        let desk = &desk;
        wait::until("the file to be taken", DEADLINE, move || async move {
            let kept = desk.kept().ok()?;
            (kept.len() == count && kept.iter().all(|one| one.state == "document")).then_some(kept)
        })
    };
    taken(1).await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()));
    desk.kill();
    desk.start().expect("it starts again");
    std::fs::write(&file, Kind::Pdf.made(2)).expect("it changes");
    let kept = {
        let desk = &desk;
        let both = wait::until("the changed file to be taken", DEADLINE, move || async move {
            let kept = desk.kept().ok()?;
            (kept.len() == 2 && kept.iter().all(|one| one.state == "document")).then_some(kept)
        });
        both.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()))
    };
    let written = [1, 2].map(|seed| ("scan.pdf".to_owned(), Digest::of(&Kind::Pdf.made(seed))));
    check_kept(&kept, &written, &desk);
    assert_eq!(std::fs::read(&file).expect("it stays"), Kind::Pdf.made(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_go_and_come_while_it_runs_cost_time_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let desk = desk(folder.path(), "quiet_ms = 500\nevents = \"never\"\npoll_ms = 300");
    // Root may do anything, so it gives that up first.
    let root = rustix::process::geteuid().is_root();
    let plain: &[&str] = &["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"];
    let mut desk = desk.behind(if root { plain } else { &[] });
    desk.start().expect("the agent starts");
    let inbox = desk.inbox();
    let allow =
        |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
    let trouble = |part: &'static str| {
        let desk = &desk;
        let told = wait::until("the trouble to be told", DEADLINE, move || async move {
            desk.source()["trouble"].as_str().filter(|trouble| trouble.contains(part)).map(drop)
        });
        async move {
            told.await
                .unwrap_or_else(|error| panic!("{part}: {error}; {}\n{}", desk.source(), desk.last_lines()))
        }
    };

    let locked = inbox.join("locked.pdf");
    std::fs::write(folder.path().join("locked.pdf"), Kind::Pdf.made(1)).expect("write");
    allow(&folder.path().join("locked.pdf"), 0o000);
    durable::rename(&folder.path().join("locked.pdf"), &locked).expect("moved in");
    trouble("cannot take locked.pdf").await;
    assert_eq!(desk.told("locked.pdf").map(|(state, _)| state).as_deref(), Some("unfit"));
    allow(&locked, 0o644);
    desk.settled(DEADLINE).await.expect("it is taken");

    std::fs::write(inbox.join("stays.pdf"), Kind::Pdf.made(2)).expect("write");
    allow(&inbox, 0o555);
    trouble("cannot remove stays.pdf").await;
    allow(&inbox, 0o755);
    desk.settled(DEADLINE).await.expect("it is removed");

    allow(&inbox, 0o000);
    trouble("cannot list the folder").await;
    allow(&inbox, 0o755);
    std::fs::write(inbox.join("after.pdf"), Kind::Pdf.made(3)).expect("write");
    let kept = desk.settled(DEADLINE).await.expect("it is taken");
    let written = [1, 2, 3].map(|seed| (format!("{seed}.pdf"), Digest::of(&Kind::Pdf.made(seed))));
    check_kept(&kept, &written, &desk);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mount_that_may_change_without_events_is_polled() {
    let folder = tempfile::tempdir().expect("a folder");
    let mount = folder.path().join("share");
    std::fs::create_dir(&mount).expect("a mount point");
    let share = match LossyDisk::mount(&mount) {
        Ok(share) => share,
        Err(error) => return println!("not run: this machine has no FUSE ({error})"),
    };
    let inbox = mount.join("inbox");
    std::fs::create_dir(&inbox).expect("a hot folder");
    let config = format!("[[source]]\nname = \"desk\"\nfolder = {inbox:?}\nquiet_ms = 500\n");
    let mut desk = Desk::set_up(folder.path(), Programs::of_this_build(), &config).expect("a desk");
    desk.start().expect("the agent starts");
    let watched = wait::until("it to be watched", DEADLINE, || async {
        let source = desk.source();
        source["watched_by"].to_string().contains("poll").then_some(source)
    });
    let source = watched.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.source()));
    assert!(source["watched_by"].to_string().to_lowercase().contains("fuse"), "{source}");
    let bytes = Kind::Pdf.made(1);
    std::fs::write(inbox.join("scan.pdf"), &bytes).expect("write");
    let taken = wait::until("it to be taken", DEADLINE, || async {
        let kept = desk.kept().ok()?;
        (files_in(&inbox).is_empty() && kept.iter().all(|one| one.state == "document") && !kept.is_empty())
            .then_some(kept)
    });
    let kept = taken.await.unwrap_or_else(|error| panic!("{error}\n{}", desk.last_lines()));
    check_kept(&kept, &[("scan.pdf".into(), Digest::of(&bytes))], &desk);
    drop(desk);
    drop(share);
}

#[tokio::test(flavor = "multi_thread")]
async fn quick_scans_do_not_make_a_slow_page_turner_be_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nothing is set: what is waited for is what was learned.
    let mut desk = desk(folder.path(), "");
    desk.start().expect("the agent starts");
    let mut written = Vec::new();
    for seed in 1..=12 {
        let (name, bytes) = (format!("quick-{seed}.jpg"), Kind::Jpeg.made(seed));
        std::fs::write(desk.inbox().join(&name), &bytes).expect("write");
        written.push((name, Digest::of(&bytes)));
    }
    let kept = desk.settled(DEADLINE).await.expect("all is taken");
    assert_eq!(kept.len(), 12, "the agent has learned from a dozen quick scans");
    // A person at the glass: the file is a whole TIFF after each page, and the next page takes half a minute.
    let slow = desk.inbox().join("slow.tif");
    std::fs::write(&slow, tiff_of_pages(99, 1)).expect("the first page");
    tokio::time::sleep(Duration::from_secs(30)).await;
    let both = tiff_of_pages(99, 2);
    std::fs::write(&slow, &both).expect("the second page");
    written.push(("slow.tif".into(), Digest::of(&both)));
    let kept = desk.settled(DEADLINE).await.expect("all is taken");
    check_kept(&kept, &written, &desk);
}
