#![expect(clippy::disallowed_methods, reason = "what is not durable is what these tests are about")]

use std::fs;
use std::io::Write as _;

use super::*;

/// A disk of a test's own, or `None`, said plainly, where this machine has no FUSE.
fn disk() -> Option<(tempfile::TempDir, LossyDisk)> {
    let folder = tempfile::tempdir().expect("a folder");
    match LossyDisk::mount(folder.path()) {
        Ok(disk) => Some((folder, disk)),
        Err(error) => {
            println!("not run: no FUSE here ({error})");
            None
        }
    }
}

#[test]
fn what_was_synced_survives_and_what_was_not_may_be_lost() {
    let Some((folder, mut disk)) = disk() else { return };
    let at = |name: &str| folder.path().join(name);
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..40 {
        let mut random = Sequence::new(seed);
        platen_model::durable::write(&at("whole"), &vec![1; 10_000]).expect("written durably");
        fs::write(at("loose"), vec![2; 10_000]).expect("written");
        let mut file = fs::File::options().write(true).open(at("whole")).expect("there");
        file.write_all(&[3; 5_000]).expect("written over");
        drop(file);
        disk.cut(&mut random).expect("power comes back");
        let whole = fs::read(at("whole")).expect("its name was synced");
        assert_eq!(whole.len(), 10_000, "seed {seed}");
        assert!(whole[8_192..].iter().all(|byte| *byte == 1), "seed {seed}: a block nobody touched");
        assert!(whole[..4_096].iter().all(|byte| *byte == whole[0]), "seed {seed}: half a block");
        match fs::read(at("loose")) {
            Ok(_) => kept += 1,
            Err(_) => lost += 1,
        }
        let _ = fs::remove_file(at("loose"));
        let root = fs::File::open(folder.path()).expect("a folder");
        root.sync_all().expect("the removal is durable");
    }
    assert!(kept > 0 && lost > 0, "{kept} kept, {lost} lost");
}

#[test]
fn a_rename_between_folders_is_kept_in_both_or_in_neither_and_never_before_what_it_rests_on() {
    let Some((folder, mut disk)) = disk() else { return };
    let at = |name: &str| folder.path().join(name);
    for seed in 0..40 {
        let mut random = Sequence::new(seed);
        for name in ["a", "b"] {
            platen_model::durable::create_folder(&at(name)).expect("a folder");
        }
        platen_model::durable::write(&at("a/one"), b"1").expect("written durably");
        fs::rename(at("a/one"), at("b/one")).expect("renamed");
        fs::rename(at("b/one"), at("b/two")).expect("renamed");
        disk.cut(&mut random).expect("power comes back");
        let there = ["a/one", "b/one", "b/two"].map(|name| at(name).exists());
        assert_eq!(there.iter().filter(|there| **there).count(), 1, "seed {seed}: {there:?}");
        for name in ["a", "b"] {
            platen_model::durable::remove_folder(&at(name)).expect("removed");
        }
    }
}

#[test]
fn whoever_runs_on_over_a_cut_gets_errors() {
    let Some((folder, mut disk)) = disk() else { return };
    let mut file = fs::File::create(folder.path().join("log")).expect("a file");
    disk.cut(&mut Sequence::new(1)).expect("power comes back");
    file.write_all(b"too late").expect_err("its disk is gone");
}

#[test]
fn a_folder_is_listed_and_emptied_like_any_other() {
    let Some((folder, _disk)) = disk() else { return };
    let deep = folder.path().join("deep");
    fs::create_dir(&deep).expect("a folder");
    for number in 0..2_000 {
        fs::write(deep.join(format!("file-{number}")), b"x").expect("written");
    }
    fs::hard_link(deep.join("file-7"), folder.path().join("seven")).expect("a second name");
    assert_eq!(fs::read_dir(&deep).expect("listed").count(), 2_000);
    platen_model::durable::remove_folder(&deep).expect("removed");
    assert_eq!(fs::read(folder.path().join("seven")).expect("its other name stays"), b"x");
}
