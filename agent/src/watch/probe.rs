//! Whether the kernel's events can be relied on in a folder.
//!
//! Two things are asked. What kind of file system is it? On SMB, NFS and FUSE the events of our own writes arrive, but
//! not those of other machines, so a probe of ours would prove nothing. And elsewhere: does the event of a file that we
//! make arrive? What no probe can show, time does: where listings keep showing changes that no event announced, the
//! source is polled from then on ([`Doubt`]).

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use platen_model::durable;
use uuid::Uuid;

use super::notices::{Heard, Notices};

/// How long the event of our own file is waited for.
const ARRIVAL: Duration = Duration::from_secs(2);
/// What the names of probes begin with.
const PROBE: &str = ".platen-probe-";
/// A probe older than this is nobody's.
const LEFTOVER: Duration = Duration::from_secs(60);
/// How many changes without an event end the trust in events.
const UNANNOUNCED_MAX: u32 = 3;

/// File systems whose changes other machines, or other programs, make without this kernel knowing.
const DEAF: &[(u64, &str)] = &[
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x564c, "NCP"),
    (0x786f_4256, "VirtualBox"),
    (0x7461_636f, "OCFS2"),
    (0x0116_1970, "GFS2"),
];

/// What kind of network or user-space file system a folder is on; `None` for a local one.
///
/// # Errors
///
/// Where the folder cannot be asked.
pub fn deaf_file_system(folder: &Path) -> io::Result<Option<&'static str>> {
    let kind = rustix::fs::statfs(folder)?.f_type;
    // The number is of another width and sign on some machines; the low 32 bits are the same on all.
    let kind = kind.cast_unsigned() & 0xffff_ffff;
    Ok(DEAF.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name))
}

/// Makes a file that no source takes, and answers whether its event arrives. It waits, and leaves nothing behind.
///
/// # Errors
///
/// Where no file can be made in the folder.
pub fn events_arrive(folder: &Path, notices: &Notices) -> io::Result<bool> {
    clear_leftovers(folder);
    let probe = folder.join(format!("{PROBE}{}.tmp", Uuid::now_v7()));
    let made = durable::write(&probe, b"probe");
    let until = Instant::now() + ARRIVAL;
    let arrived = made.is_ok()
        && loop {
            if notices.heard_of(&probe) {
                break true;
            }
            if Instant::now() >= until {
                break false;
            }
            std::thread::sleep(Duration::from_millis(5));
        };
    // What a power cut leaves of it is a hidden file in the making, which nobody takes and the next probe clears away.
    let removed = durable::remove_file(&probe);
    made.and(removed).map(|()| arrived)
}

/// Removes probes that an agent which was stopped in the middle of one has left. One that is young may be another agent's.
fn clear_leftovers(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.ends_with(".tmp")) else { continue };
        let is_ours = name.trim_start_matches(".tmp-").starts_with(PROBE);
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_ours && age().is_some_and(|age| age > LEFTOVER) {
            // Where it cannot be removed, it stays a hidden file that nobody takes.
            let _ = durable::remove_file(&entry.path());
        }
    }
}

/// Doubt in events, grown from changes that none announced. Pure.
#[derive(Debug, Default)]
pub struct Doubt {
    unannounced: HashSet<OsString>,
    missed: u32,
}

impl Doubt {
    /// Takes in what a listing showed to have changed, and what was heard until after it. Answers whether events are
    /// no longer to be trusted. An event may arrive a moment after the listing, so each change has until the next.
    pub fn weigh(&mut self, changed: &[OsString], heard: &Heard) -> bool {
        if heard.lost_some {
            self.unannounced.clear();
            return false;
        }
        let missed = self.unannounced.iter().filter(|name| !heard.signals.contains_key(*name)).count();
        self.missed += u32::try_from(missed).unwrap_or(u32::MAX).min(UNANNOUNCED_MAX);
        let not_heard = |name: &&OsString| !heard.signals.contains_key(*name);
        self.unannounced = changed.iter().filter(not_heard).cloned().collect();
        self.missed >= UNANNOUNCED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::settle::Signal;
    use std::sync::Arc;

    #[test]
    fn events_arrive_in_a_local_folder_and_the_probe_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let notices = super::super::notices::listen(folder.path(), false, Arc::default()).expect("notices");
        assert!(events_arrive(folder.path(), &notices).expect("a probe"));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
        // Notices of another folder are as good as none.
        let other = tempfile::tempdir().expect("a folder");
        assert!(!events_arrive(other.path(), &notices).expect("a probe"));
    }

    #[test]
    fn what_a_stopped_probe_left_is_cleared_away_by_the_next_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let old = std::time::SystemTime::now() - LEFTOVER * 2;
        for name in [".platen-probe-1.tmp", ".tmp-.platen-probe-2.tmp", ".platen-probe-3.pdf", "scan.tmp"] {
            let file = std::fs::File::create(folder.path().join(name)).expect("a file");
            file.set_modified(old).expect("aged");
        }
        std::fs::write(folder.path().join(".platen-probe-4.tmp"), b"probe").expect("a young one");
        clear_leftovers(folder.path());
        let left = std::fs::read_dir(folder.path()).expect("a folder");
        let mut left: Vec<_> = left.map(|entry| entry.expect("an entry").file_name()).collect();
        left.sort();
        assert_eq!(left, [".platen-probe-3.pdf", ".platen-probe-4.tmp", "scan.tmp"]);
    }

    #[test]
    fn a_link_back_into_a_nested_source_leads_no_watch_astray() {
        let folder = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("back")).expect("a link");
        let notices = super::super::notices::listen(folder.path(), true, Arc::default()).expect("notices");
        assert!(events_arrive(folder.path(), &notices).expect("a probe"));
    }

    #[test]
    fn proc_is_local_and_a_folder_that_is_gone_cannot_be_asked() {
        assert_eq!(deaf_file_system(Path::new("/proc")).expect("there"), None);
        deaf_file_system(Path::new("/no/such/folder")).expect_err("not there");
    }

    #[test]
    fn changes_that_no_event_announces_end_the_trust() {
        let names = |names: &[&str]| -> Vec<OsString> { names.iter().map(OsString::from).collect() };
        let heard = |of: &[&str]| Heard {
            signals: of.iter().map(|name| (OsString::from(name), Signal::Closed)).collect(),
            lost_some: false,
        };
        let mut doubt = Doubt::default();
        assert!(!doubt.weigh(&names(&["a", "b"]), &heard(&["a"])));
        assert!(!doubt.weigh(&names(&[]), &heard(&["b"])), "it came a moment later");
        assert!(!doubt.weigh(&names(&["c", "d"]), &heard(&[])));
        assert!(!doubt.weigh(&names(&["e"]), &heard(&[])), "two were missed");
        assert!(doubt.weigh(&names(&[]), &heard(&[])), "three were");
        let lost = Heard { lost_some: true, ..Heard::default() };
        let mut doubt = Doubt::default();
        for _ in 0..9 {
            assert!(!doubt.weigh(&names(&["a"]), &lost), "the queue ran over: silence means nothing");
        }
    }
}
