//! INV-1 under a power cut: the claim is stopped after each of its steps, and recovered.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use super::*;
use crate::claim::take::claim_in_steps;
use crate::claim::{Steps, claim};
use crate::config::{After, Source};
use crate::watch::{Offer, listing};

/// Stops after a number of steps, as a power cut would.
struct StopAfter(Cell<u32>);

impl Steps for StopAfter {
    fn passed(&self, step: &str) -> io::Result<()> {
        match self.0.get() {
            0 => Err(io::Error::other(format!("power cut after {step:?}"))),
            left => {
                self.0.set(left - 1);
                Ok(())
            }
        }
    }
}

struct Place {
    _folder: tempfile::TempDir,
    source: Source,
    spool: Spool,
}

fn place(after: After) -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let inbox = folder.path().join("inbox");
    fs::create_dir(&inbox).expect("a hot folder");
    let source = Source {
        name: "desk".into(),
        folder: inbox,
        department: None,
        quiet_ms: 0,
        rescan_ms: 1000,
        after,
        batch: None,
    };
    let spool = Spool::open(folder.path()).expect("a spool");
    Place { _folder: folder, source, spool }
}

fn offer(folder: &Path) -> Offer {
    Offer { files: listing::list(folder).expect("a listing") }
}

/// What is in the hot folder, then the originals of each capture in the spool.
fn state(place: &Place) -> (Vec<String>, Vec<Vec<Vec<u8>>>) {
    let names = listing::list(&place.source.folder).expect("a listing");
    let names = names.iter().map(|sight| sight.name.to_string_lossy().into_owned()).collect();
    let mut captures = Vec::new();
    for id in place.spool.capture_ids().expect("ids") {
        let record = CaptureRecord::read(&place.spool.capture(id)).expect("a record");
        let read = |file: &crate::spool::ClaimedFile| {
            fs::read(place.spool.capture(id).join(&file.stored)).expect("an original")
        };
        captures.push(record.files.iter().map(read).collect());
    }
    (names, captures)
}

fn write(place: &Place, name: &str, bytes: &[u8]) {
    fs::write(place.source.folder.join(name), bytes).expect("the scanner writes");
}

/// Claims and releases what lies in the hot folder, stopping after `steps` steps; whether it came to its end.
fn carry(place: &Place, steps: u32) -> bool {
    let stop = StopAfter(Cell::new(steps));
    let offer = offer(&place.source.folder);
    match claim_in_steps(&place.spool, &place.source, &offer, CaptureId::new(), &stop) {
        Ok(Some(claimed)) => matches!(claimed.release(&stop), Release::Done(_)),
        Ok(None) => panic!("nothing changed, so something is claimed"),
        Err(_) => false,
    }
}

#[test]
fn inv1_a_power_cut_after_any_step_loses_nothing_and_claims_nothing_twice() {
    for after in [After::Remove, After::Done] {
        let mut steps = 0;
        loop {
            let place = place(after);
            write(&place, "a.tif", b"page one");
            write(&place, "b.tif", b"page two");
            let finished = carry(&place, steps);

            let recovered = recover(&place.spool).expect("recovery");
            assert!(recovered.unreleased.is_empty());
            let (left, captures) = state(&place);
            let both = vec![b"page one".to_vec(), b"page two".to_vec()];
            // Either the claim never happened, or it happened whole and the sources are gone.
            let untouched = left == ["a.tif", "b.tif"] && captures.is_empty();
            let claimed = left.is_empty() && captures == [both];
            assert!(untouched || claimed, "after {steps} steps: {left:?} {captures:?}");
            assert_eq!(recovered.released.len(), captures.len(), "after {steps} steps");

            if finished {
                assert!(claimed && steps >= 8, "the last round carries everything through every step");
                break;
            }
            steps += 1;
        }
    }
}

#[test]
fn a_file_that_grew_while_it_was_claimed_is_claimed_again_whole() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"half");
    let seen = offer(&place.source.folder);
    let claimed = claim(&place.spool, &place.source, &seen);
    let claimed = claimed.expect("it can be read").expect("it did not change yet");
    write(&place, "a.tif", b"half and the rest");
    assert!(matches!(claimed.release(&crate::claim::NoStop), Release::Undone));
    assert_eq!(state(&place), (vec!["a.tif".to_owned()], vec![]));

    assert!(carry(&place, u32::MAX));
    assert_eq!(state(&place), (vec![], vec![vec![b"half and the rest".to_vec()]]));
}

#[test]
fn a_file_that_changed_since_it_was_offered_is_not_claimed() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"old");
    let seen = offer(&place.source.folder);
    write(&place, "a.tif", b"new bytes");
    let claimed = claim(&place.spool, &place.source, &seen).expect("no trouble");
    assert!(claimed.is_none());
    assert_eq!(fs::read_dir(place.spool.captures()).expect("folder").count(), 0, "nothing is left behind");
}

#[test]
fn a_new_scan_under_the_name_of_a_released_one_is_left_alone() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"first");
    // Stopped right after the source was removed; the scanner uses the name again, perhaps the inode too.
    assert!(!carry(&place, 6), "one step is missing");
    assert_eq!(state(&place).0, Vec::<String>::new(), "the source is gone");
    write(&place, "a.tif", b"second");
    recover(&place.spool).expect("recovery");
    assert_eq!(state(&place), (vec!["a.tif".to_owned()], vec![vec![b"first".to_vec()]]));
}

#[test]
fn a_damaged_capture_goes_into_quarantine_as_it_is_and_its_source_is_not_taken() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"whole");
    assert!(!carry(&place, 3), "stopped before the sources were compared");
    let id = place.spool.capture_ids().expect("ids")[0];
    fs::write(place.spool.capture(id).join("original-0000"), b"rot").expect("a disk fails");
    let recovered = recover(&place.spool).expect("recovery");
    assert!(recovered.released.is_empty() && recovered.unreleased.is_empty());
    assert_eq!(state(&place), (vec!["a.tif".to_owned()], vec![]));
    let kept = place.spool.quarantine_show(id).expect("it is in quarantine");
    assert!(kept.reason.failure.message.contains("damaged"), "{:?}", kept.reason);
    let rot = fs::read(place.spool.quarantined(id).join("original-0000")).expect("nothing is removed");
    assert_eq!(rot, b"rot");
}

#[test]
fn a_claim_that_fails_leaves_nothing_of_its_copies_behind() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"page one");
    write(&place, "b.tif", b"page two");
    let mut seen = offer(&place.source.folder);
    // A name no file can have: the first file is copied before the second cannot be opened.
    seen.files[1].name = "b\0.tif".into();
    claim(&place.spool, &place.source, &seen).expect_err("the second cannot be read");
    assert_eq!(fs::read_dir(place.spool.captures()).expect("folder").count(), 0);
    assert_eq!(state(&place).0, ["a.tif", "b.tif"], "the sources are untouched");
}
