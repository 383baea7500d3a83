//! INV-1 under a power cut: the claim is stopped after each of its steps, and recovered.

use std::cell::Cell;
use std::fs;
use std::path::Path;

use platen_model::durable;

use super::*;
use crate::claim::release::duplicate_of;
use crate::claim::take::claim_in_steps;
use crate::claim::{Ledger, Steps, claim};
use crate::config::{After, Source};
use crate::watch::{Offer, Scope, Sight, listing};

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
    ledger: Ledger,
}

fn place(after: After) -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let inbox = folder.path().join("inbox");
    fs::create_dir(&inbox).expect("a hot folder");
    let source = Source { after, ..Source::new("desk", inbox) };
    let spool = Spool::open(folder.path()).expect("a spool");
    let ledger = Ledger::open(folder.path()).expect("a ledger");
    Place { _folder: folder, source, spool, ledger }
}

fn listed(place: &Place) -> Vec<Sight> {
    let resting = |sight: &Sight| place.ledger.is_left("desk", sight);
    let listing = listing::list(&place.source.folder, &Scope::of(&place.source), resting).expect("a listing");
    // Where markers may lie, those that rest are listed too.
    listing.files.into_iter().filter(|sight| !resting(sight)).collect()
}

fn offer(place: &Place) -> Offer {
    let is_marker = |sight: &Sight| Path::new(&sight.name).extension().is_some_and(|it| it == "xml");
    let (markers, files) = listed(place).into_iter().partition(is_marker);
    Offer { files, markers, stack: None, why: "a test" }
}

/// What is in the hot folder, then the originals of each capture in the spool.
fn state(place: &Place) -> (Vec<String>, Vec<Vec<Vec<u8>>>) {
    let names = listed(place);
    let names = names.iter().map(|sight| sight.name.to_string_lossy().into_owned()).collect();
    let mut captures = Vec::new();
    for id in place.spool.capture_ids().expect("ids") {
        let record = CaptureRecord::read(&place.spool, &place.spool.capture(id)).expect("a record");
        let read = |file: &crate::spool::ClaimedFile| {
            fs::read(place.spool.capture(id).join(&file.stored)).expect("an original")
        };
        captures.push(record.files.iter().map(read).collect());
    }
    (names, captures)
}

/// How many sources lie under a name of ours.
fn hidden(place: &Place) -> usize {
    let names = fs::read_dir(&place.source.folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().starts_with(".platen-")).count()
}

fn write(place: &Place, name: &str, bytes: &[u8]) {
    fs::write(place.source.folder.join(name), bytes).expect("the scanner writes");
}

/// Claims and releases what lies in the hot folder, stopping after `steps` steps; whether it came to its end.
fn carry(place: &Place, steps: u32) -> bool {
    let stop = StopAfter(Cell::new(steps));
    let offer = offer(place);
    match claim_in_steps(&place.spool, &place.source, &offer, CaptureId::new(), jiff::Timestamp::now(), &stop)
    {
        Ok(Some(claimed)) => {
            matches!(claimed.release(&place.ledger, &stop), Release::Done(_) | Release::Duplicate { .. })
        }
        Ok(None) => panic!("nothing changed, so something is claimed"),
        Err(_) => false,
    }
}

#[test]
fn inv1_a_power_cut_after_any_step_loses_nothing_and_claims_nothing_twice() {
    for after in [After::Remove, After::Done, After::Leave] {
        let mut steps = 0;
        loop {
            let place = place(after);
            write(&place, "a.tif", b"page one");
            write(&place, "b.tif", b"page two");
            let finished = carry(&place, steps);

            let recovered = recover(&place.spool, &place.ledger).expect("recovery");
            assert!(recovered.unreleased.is_empty());
            assert_eq!(hidden(&place), 0, "after {steps} steps");
            let (left, captures) = state(&place);
            let both = vec![b"page one".to_vec(), b"page two".to_vec()];
            // Either the claim never happened, or it happened whole and the sources are gone.
            let untouched = left == ["a.tif", "b.tif"] && captures.is_empty();
            let claimed = left.is_empty() && captures == [both];
            assert!(untouched || claimed, "after {steps} steps: {left:?} {captures:?}");
            assert_eq!(recovered.released.len(), captures.len(), "after {steps} steps");

            if finished {
                assert!(claimed && steps >= 9, "the last round carries everything through every step");
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
    let seen = offer(&place);
    let claimed = claim(&place.spool, &place.source, &seen);
    let claimed = claimed.expect("it can be read").expect("it did not change yet");
    write(&place, "a.tif", b"half and the rest");
    assert!(matches!(claimed.release(&place.ledger, &crate::claim::NoStop), Release::Undone(_)));
    assert_eq!(state(&place), (vec!["a.tif".to_owned()], vec![]));

    assert!(carry(&place, u32::MAX));
    assert_eq!(state(&place), (vec![], vec![vec![b"half and the rest".to_vec()]]));
}

#[test]
fn a_file_that_changed_since_it_was_offered_is_not_claimed() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"old");
    let seen = offer(&place);
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
    assert!(!carry(&place, 8), "one step is missing");
    assert_eq!(state(&place).0, Vec::<String>::new(), "the source is gone");
    write(&place, "a.tif", b"second");
    recover(&place.spool, &place.ledger).expect("recovery");
    assert_eq!(state(&place), (vec!["a.tif".to_owned()], vec![vec![b"first".to_vec()]]));
}

#[test]
fn a_damaged_capture_goes_into_quarantine_as_it_is_and_its_source_is_not_taken() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"whole");
    assert!(!carry(&place, 3), "stopped before the sources were compared");
    let id = place.spool.capture_ids().expect("ids")[0];
    fs::write(place.spool.capture(id).join("original-0000"), b"rot").expect("a disk fails");
    let recovered = recover(&place.spool, &place.ledger).expect("recovery");
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
    let mut seen = offer(&place);
    // A name no file can have: the first file is copied before the second cannot be opened.
    seen.files[1].name = "b\0.tif".into();
    claim(&place.spool, &place.source, &seen).expect_err("the second cannot be read");
    assert_eq!(fs::read_dir(place.spool.captures()).expect("folder").count(), 0);
    assert_eq!(state(&place).0, ["a.tif", "b.tif"], "the sources are untouched");
}

#[test]
fn the_same_bytes_again_are_a_duplicate_with_a_pointer_whenever_the_power_is_cut() {
    for after in [After::Remove, After::Done, After::Leave] {
        let mut steps = 0;
        loop {
            let place = place(after);
            write(&place, "a.tif", b"page");
            assert!(carry(&place, u32::MAX));
            let first = place.spool.capture_ids().expect("ids");
            write(&place, "b.tif", b"page");
            let finished = carry(&place, steps);
            recover(&place.spool, &place.ledger).expect("recovery");
            let (left, _) = state(&place);
            let ids = place.spool.capture_ids().expect("ids");
            assert_eq!(ids, first, "after {steps} steps: the first capture stays the only one");
            assert!(left.is_empty() || left == ["b.tif"], "after {steps} steps: {left:?}");
            if finished {
                assert!(left.is_empty(), "{after:?}: the duplicate is taken too");
                break;
            }
            steps += 1;
        }
    }
}

#[test]
fn a_marker_goes_where_its_scan_goes_and_none_that_says_something_is_removed() {
    let check = |after, marker: &[u8], stays: &[&str], done: usize| {
        let place = place(after);
        write(&place, "a.tif", b"page");
        write(&place, "a.xml", marker);
        assert!(carry(&place, u32::MAX));
        let files = fs::read_dir(&place.source.folder).expect("a folder").flatten();
        let mut files: Vec<_> =
            files.filter(|entry| entry.path().is_file()).map(|entry| entry.file_name()).collect();
        files.sort();
        assert_eq!(files, stays, "{after:?}");
        let aside = fs::read_dir(place.source.folder.join("done")).map_or(0, Iterator::count);
        assert_eq!(aside, done, "{after:?}");
    };
    check(After::Remove, b"", &[], 0);
    check(After::Remove, b"<index/>", &[], 1);
    check(After::Done, b"<index/>", &[], 2);
    check(After::Leave, b"<index/>", &["a.tif", "a.xml"], 0);
}

#[test]
fn a_scan_in_a_folder_inside_is_taken_with_what_holds_there() {
    let mut place = place(After::Done);
    place.source.nested = true;
    place.source.subfolders = vec![crate::config::Subfolder {
        path: "invoices".into(),
        department: Some("purchasing".into()),
        ..Default::default()
    }];
    fs::create_dir(place.source.folder.join("invoices")).expect("a folder inside");
    write(&place, "invoices/a.tif", b"page");
    assert!(carry(&place, u32::MAX));
    let id = place.spool.capture_ids().expect("ids")[0];
    let record = CaptureRecord::read(&place.spool, &place.spool.capture(id)).expect("a record");
    assert_eq!(record.department.as_deref(), Some("purchasing"));
    assert_eq!(
        (record.files[0].name.to_str(), record.files[0].display_name()),
        (Some("invoices/a.tif"), "a.tif".into())
    );
    let done = place.source.folder.join("done").join(format!("{id}-a.tif"));
    assert_eq!(fs::read(done).expect("moved aside"), b"page");
}

#[test]
fn a_folder_that_became_a_link_is_not_followed_when_its_scan_is_taken_away() {
    let mut place = place(After::Remove);
    place.source.nested = true;
    let (inside, outside) = (place.source.folder.join("sub"), place.source.folder.with_file_name("outside"));
    fs::create_dir(&inside).expect("a folder inside");
    write(&place, "sub/a.tif", b"page");
    let claimed = claim(&place.spool, &place.source, &offer(&place)).expect("read").expect("whole");
    // The same inode, reached over a link by the same name.
    durable::rename(&inside, &outside).expect("moved out");
    std::os::unix::fs::symlink(&outside, &inside).expect("a link in its place");
    assert!(matches!(claimed.release(&place.ledger, &crate::claim::NoStop), Release::Done(_)));
    assert_eq!(fs::read(outside.join("a.tif")).expect("untouched"), b"page");
}

#[test]
fn inv1_bytes_that_left_the_spool_again_make_no_duplicate_of_the_next_file_that_has_them() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"first");
    // Stopped once the ledger knows the bytes; before the next start the writer goes on.
    assert!(!carry(&place, 5));
    write(&place, "a.tif", b"first and more");
    recover(&place.spool, &place.ledger).expect("recovery");
    assert_eq!(state(&place), (vec!["a.tif".to_owned()], vec![]));
    write(&place, "a.tif", b"first");
    assert!(carry(&place, u32::MAX));
    assert_eq!(state(&place), (vec![], vec![vec![b"first".to_vec()]]));
}

#[test]
fn inv1_a_whole_file_is_no_duplicate_of_a_damaged_capture() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"whole");
    assert!(!carry(&place, 5), "stopped once the ledger knows the bytes");
    let id = place.spool.capture_ids().expect("ids")[0];
    fs::write(place.spool.capture(id).join("original-0000"), b"rot").expect("a disk fails");
    recover(&place.spool, &place.ledger).expect("recovery");
    assert!(carry(&place, u32::MAX));
    assert_eq!(state(&place), (vec![], vec![vec![b"whole".to_vec()]]));
}

#[test]
fn a_new_scan_that_took_the_name_just_before_it_was_released_gets_it_back() {
    for third in [None, Some(b"third".as_slice())] {
        let place = place(After::Remove);
        write(&place, "a.tif", b"first");
        assert!(!carry(&place, 7), "stopped when the source had its hidden name");
        let inbox = &place.source.folder;
        let entries = fs::read_dir(inbox).expect("a folder").map(|entry| entry.expect("an entry").path());
        let paths: Vec<_> = entries.collect();
        assert_eq!((hidden(&place), paths.len()), (1, 1), "nothing else is there");
        // As if the scanner had renamed a new file into place between our look and our renaming.
        let new = inbox.join("new.tif");
        fs::write(&new, b"second").expect("the scanner writes");
        durable::rename(&new, &paths[0]).expect("the scanner renames");
        if let Some(bytes) = third {
            write(&place, "a.tif", bytes);
        }
        let recovered = recover(&place.spool, &place.ledger).expect("recovery");
        assert!(recovered.unreleased.is_empty());
        assert_eq!(hidden(&place), 0);
        let names = listed(&place).into_iter().map(|sight| sight.name);
        let mut left: Vec<Vec<u8>> = names.map(|name| fs::read(inbox.join(name)).expect("a file")).collect();
        left.sort();
        let expected: Vec<&[u8]> = [Some(b"second".as_slice()), third].into_iter().flatten().collect();
        assert_eq!(left, expected, "every new scan is there to be taken");
        assert_eq!(state(&place).1, [[b"first".to_vec()]]);
    }
}

#[test]
fn bytes_are_no_duplicate_of_a_claim_that_may_yet_be_undone() {
    let place = place(After::Remove);
    let claimed = |name: &str| {
        write(&place, name, b"the same");
        let mut seen = offer(&place);
        seen.files.retain(|sight| sight.name == name);
        claim(&place.spool, &place.source, &seen).expect("it can be read").expect("it did not change")
    };
    let first = claimed("a.tif");
    let second = claimed("b.tif");
    let first = match first.release(&place.ledger, &StopAfter(Cell::new(1))) {
        Release::Stuck(first, _) => first,
        other => panic!("the ledger knows the bytes, but the release is not marked: {other:?}"),
    };
    let second = match second.release(&place.ledger, &crate::claim::NoStop) {
        Release::Stuck(second, error) => {
            assert_eq!(error.kind(), io::ErrorKind::ResourceBusy, "{error}");
            second
        }
        other => panic!("nobody is sure to keep these bytes yet: {other:?}"),
    };
    write(&place, "a.tif", b"the same and more");
    assert!(matches!(first.release(&place.ledger, &crate::claim::NoStop), Release::Undone(_)));
    assert!(matches!(second.release(&place.ledger, &crate::claim::NoStop), Release::Done(_)));
    assert_eq!(state(&place), (vec!["a.tif".to_owned()], vec![vec![b"the same".to_vec()]]));
}

#[test]
fn a_claim_whose_folder_is_gone_for_good_goes_on() {
    let place = place(After::Done);
    write(&place, "a.tif", b"scan");
    assert!(!carry(&place, 3), "stopped before the sources were compared");
    durable::remove_folder(&place.source.folder).expect("an administrator removes it");
    let recovered = recover(&place.spool, &place.ledger).expect("recovery");
    assert_eq!((recovered.released.len(), recovered.unreleased.len()), (1, 0));
}

#[test]
fn a_capture_whose_record_is_damaged_is_shown_and_can_be_discarded() {
    let place = place(After::Remove);
    write(&place, "a.tif", b"whole");
    assert!(carry(&place, u32::MAX));
    let id = place.spool.capture_ids().expect("ids")[0];
    fs::write(place.spool.capture(id).join("capture.json"), b"rot").expect("a disk fails");
    recover(&place.spool, &place.ledger).expect("recovery");
    let listed = place.spool.quarantine_list().expect("a list");
    assert_eq!((listed.len(), listed[0].capture_id), (1, id));
    assert!(listed[0].record.is_none() && listed[0].reason.failure.message.contains("damaged"));
    let classes = crate::spool::KnownClasses::default();
    assert_eq!(classes.by_class(&place.spool).expect("a count")["internal"], 1);
    place.spool.quarantine_discard(id).expect("a person's wish");
    assert!(classes.by_class(&place.spool).expect("a count").is_empty());
}

/// A capture of `page` that was never released, as a person gives one back that was damaged.
fn unreleased(place: &Place) -> CaptureId {
    write(place, "a.tif", b"page");
    assert!(!carry(place, 3), "stopped before the sources were compared");
    place.spool.capture_ids().expect("ids")[0]
}

#[test]
fn a_capture_that_is_taken_up_goes_on_where_its_sources_cannot_be_taken_away() {
    let place = place(After::Done);
    let id = unreleased(&place);
    fs::write(place.source.folder.join("done"), b"no folder").expect("something in its place");
    let released = take_up(&place.spool, &place.ledger, id).expect("its copy is whole");
    assert_eq!(released.map(|released| released.record.capture_id), Some(id));
}

#[test]
fn a_capture_that_cannot_be_taken_up_yet_stays_where_it_can_be_tried_again() {
    let place = place(After::Remove);
    let id = unreleased(&place);
    let other = CaptureId::new();
    fs::create_dir(place.spool.capture(other)).expect("another claim of the same bytes is under way");
    assert_eq!(place.ledger.take(platen_model::Digest::of(b"page"), other).expect("noted"), None);
    take_up(&place.spool, &place.ledger, id).expect_err("whose bytes they are is not settled");
    assert!(place.spool.capture_ids().expect("ids").contains(&id), "nothing is lost");
    place.ledger.forget(other).expect("the other claim was undone");
    durable::remove_folder(&place.spool.capture(other)).expect("undone");
    let released = take_up(&place.spool, &place.ledger, id).expect("now it can be");
    assert_eq!(released.map(|released| released.record.capture_id), Some(id));
}

#[test]
fn nothing_is_a_duplicate_of_a_claim_that_is_undone_at_that_moment() {
    let place = place(After::Remove);
    let id = unreleased(&place);
    let record = CaptureRecord::read(&place.spool, &place.spool.capture(id)).expect("a record");
    let other = CaptureId::new();
    assert_eq!(place.ledger.take(platen_model::Digest::of(b"page"), other).expect("noted"), None);
    let duplicate = |undone: bool| {
        duplicate_of(&record, &place.ledger, |of| {
            assert_eq!(of, other);
            if undone {
                place.ledger.forget(other)?;
            }
            // Its folder is gone by now, as that of a capture that was carried on.
            Ok(true)
        })
    };
    assert_eq!(duplicate(false).expect("it is settled"), Some(other));
    let error = duplicate(true).expect_err("the other one's bytes are kept nowhere");
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    assert_eq!(duplicate(false).expect("it is settled"), None, "they are this one's now");
}
