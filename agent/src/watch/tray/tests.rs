use std::collections::HashMap;

use super::*;
use crate::config::{Batch, Duplex};
use crate::watch::settle::{ENDED_MS, Signal};

fn source() -> Source {
    let pattern = r"^(?<batch>\w+)-(?<page>\d+)\.tif$".into();
    Source {
        quiet_ms: Some(300),
        give_up_ms: 3_000,
        batch: Some(Batch { pattern, gap_ms: 500 }),
        ..Source::new("desk", "in")
    }
}

fn whole() -> Ending {
    Ending::Properly { may_grow: true }
}

/// Drives a tray through looks of (moment, names with lengths), each file that it asks about ending as `ending` says of
/// its length; answers the last view.
fn drive(tray: &mut Tray, looks: &[(u64, &[(&str, u64)])], ending: impl Fn(u64) -> Ending) -> View {
    let mut view = View::default();
    for (moment, files) in looks {
        let files = files.iter().map(|(name, bytes)| Sight::made_up(name, *bytes, *bytes)).collect();
        let listing = Listing { files, ..Listing::default() };
        tray.take_in(listing, &Heard::default(), |_| false, Tick(*moment));
        view = tray.view(Tick(*moment));
        for sight in std::mem::take(&mut view.unexamined) {
            tray.examined(&sight, ending(sight.bytes));
        }
        view = tray.view(Tick(*moment));
    }
    view
}

fn names(view: &View) -> Vec<Vec<String>> {
    let names =
        |offer: &Offer| offer.files.iter().map(|sight| sight.name.to_string_lossy().into_owned()).collect();
    view.offers.iter().map(names).collect()
}

fn check(looks: &[(u64, &[(&str, u64)])], offered: &[&[&str]]) {
    let mut tray = Tray::new(&source(), Habits::default()).expect("a pattern");
    let view = drive(&mut tray, looks, |_| whole());
    assert_eq!(names(&view), offered, "{looks:?}");
}

#[test]
fn a_file_is_offered_once_it_stood_still() {
    check(&[(0, &[("a.pdf", 5)])], &[]);
    check(&[(0, &[("a.pdf", 5)]), (299, &[("a.pdf", 5)])], &[]);
    check(&[(0, &[("a.pdf", 5)]), (300, &[("a.pdf", 5)])], &[&["a.pdf"]]);
}

#[test]
fn a_name_that_is_told_does_nothing_to_a_terminal() {
    let mut tray = Tray::new(&source(), Habits::default()).expect("a pattern");
    let odd = BTreeMap::from([("odd\x1b[2J".into(), "it is a pipe, not a file".to_owned())]);
    let files = vec![Sight::made_up("new\nsource desk: 9 ready", 5, 5)];
    tray.take_in(Listing { files, odd, ..Listing::default() }, &Heard::default(), |_| false, Tick(0));
    let told: Vec<String> = tray.view(Tick(0)).told.into_iter().map(|file| file.file).collect();
    assert_eq!(told, ["odd\u{fffd}[2J", "new\u{fffd}source desk: 9 ready"]);
}

#[test]
fn a_file_that_went_away_and_came_back_stands_still_anew() {
    check(&[(0, &[("a.pdf", 5)]), (150, &[]), (300, &[("a.pdf", 5)]), (550, &[("a.pdf", 5)])], &[]);
}

#[test]
fn a_batch_waits_for_its_last_page_and_comes_as_one() {
    let both: &[(&str, u64)] = &[("n-1.tif", 5), ("n-2.tif", 6)];
    check(&[(0, &[("n-1.tif", 5)]), (400, &[("n-1.tif", 5)])], &[]);
    check(&[(0, &[("n-1.tif", 5)]), (400, both), (800, both)], &[]);
    check(&[(0, &[("n-1.tif", 5)]), (400, both), (900, both)], &[&["n-1.tif", "n-2.tif"]]);
}

#[test]
fn files_beside_a_batch_do_not_wait_for_it() {
    let look: &[(&str, u64)] = &[("n-1.tif", 5), ("x.pdf", 6)];
    check(&[(0, look), (300, look)], &[&["x.pdf"]]);
}

#[test]
fn a_file_that_ends_too_early_is_looked_at_again_after_each_change() {
    let mut tray = Tray::new(&source(), Habits::default()).expect("a tray");
    let cut_below_9 = |bytes| if bytes < 9 { Ending::Unfinished { why: "cut".into() } } else { whole() };
    let looks: &[(u64, &[(&str, u64)])] =
        &[(0, &[("a.pdf", 5)]), (300, &[("a.pdf", 5)]), (2_900, &[("a.pdf", 5)])];
    let view = drive(&mut tray, looks, cut_below_9);
    assert_eq!((names(&view), view.count.stalled), (vec![], 1));
    let view = drive(&mut tray, &[(2_950, &[("a.pdf", 9)]), (3_250, &[("a.pdf", 9)])], cut_below_9);
    assert_eq!(names(&view), [["a.pdf"]]);
}

#[test]
fn a_source_learns_the_pauses_of_its_writers() {
    let learning = Source { quiet_ms: None, batch: None, ..source() };
    let mut tray = Tray::new(&learning, Habits::default()).expect("a tray");
    assert_eq!(tray.patience().quiet_ms, 45_000);
    let seen = |step: u64| [0, 1_000].map(|later| (step * 30_000 + later, vec![("a.tif", step + 1)]));
    let looks: Vec<(u64, Vec<(&str, u64)>)> = (0..5).flat_map(seen).collect();
    let looks: Vec<(u64, &[(&str, u64)])> = looks.iter().map(|(at, files)| (*at, files.as_slice())).collect();
    let view = drive(&mut tray, &looks, |_| whole());
    assert_eq!(
        names(&view),
        Vec::<Vec<String>>::new(),
        "a writer that pauses for 30 s does not get its file cut"
    );
    for index in 0..12 {
        let name = OsString::from(format!("{index}.tif"));
        tray.taken([&name].into_iter(), Timestamp::UNIX_EPOCH);
    }
    assert_eq!(tray.patience().quiet_ms, 90_000, "three times the longest pause");
    assert!(!tray.patience().trusts_closing);
}

#[test]
fn ten_thousand_files_at_once_are_looked_into_and_offered() {
    let plain = Source { batch: None, ..source() };
    let mut tray = Tray::new(&plain, Habits::default()).expect("a tray");
    let names: Vec<String> = (0..10_000).map(|index| format!("{index:05}.tif")).collect();
    let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 7)).collect();
    let view = drive(&mut tray, &[(0, &files), (300, &files)], |_| whole());
    assert_eq!((view.offers.len(), view.count.ready), (10_000, 10_000));
}

#[test]
fn what_was_heard_makes_a_verdict_quicker_and_a_resting_file_is_none() {
    let plain = Source { quiet_ms: Some(60_000), batch: None, ..source() };
    let mut tray = Tray::new(&plain, Habits::default()).expect("a tray");
    let files =
        vec![Sight::made_up("a.jpg", 5, 0), Sight::made_up("b.jpg", 5, 0), Sight::made_up("c.jpg", 5, 0)];
    let heard = Heard { signals: HashMap::from([("a.jpg".into(), Signal::Closed)]), lost_some: false };
    let listing = Listing { files, ..Listing::default() };
    let at = |moment: u64, tray: &mut Tray, heard: &Heard| {
        tray.take_in(listing.clone(), heard, |sight| sight.name == "c.jpg", Tick(moment));
        for sight in tray.view(Tick(moment)).unexamined {
            tray.examined(&sight, Ending::Properly { may_grow: false });
        }
        super::tests::names(&tray.view(Tick(moment)))
    };
    assert_eq!(at(0, &mut tray, &heard), Vec::<Vec<String>>::new());
    assert_eq!(at(BRIEF_MS, &mut tray, &Heard::default()), [["a.jpg"]]);
    assert_eq!(at(ENDED_MS, &mut tray, &Heard::default()), [["a.jpg"], ["b.jpg"]]);
}

#[test]
fn the_sides_of_a_stack_are_offered_together() {
    let duplex = Some(Duplex { within_ms: 5_000, ..Duplex::default() });
    let stack = Source { batch: None, duplex, ..source() };
    let mut tray = Tray::new(&stack, Habits::default()).expect("a tray");
    let view = drive(&mut tray, &[(0, &[("1.pdf", 5)]), (400, &[("1.pdf", 5)])], |_| whole());
    assert_eq!((names(&view), view.count.waiting), (vec![], 1));
    let both: &[(&str, u64)] = &[("1.pdf", 5), ("2.pdf", 6)];
    let view = drive(&mut tray, &[(500, both), (900, both)], |_| whole());
    assert_eq!(names(&view), [["1.pdf", "2.pdf"]]);
    assert_eq!(view.offers[0].stack, Some(Stack::Both { backs_reversed: true }));
    let view = drive(&mut tray, &[(1_000, &[("3.pdf", 5)]), (7_000, &[("3.pdf", 5)])], |_| whole());
    assert_eq!((names(&view), view.offers[0].stack), (vec![vec!["3.pdf".to_owned()]], Some(Stack::Half)));
}

#[test]
fn each_growing_file_says_when_it_is_ready_unless_it_is_cut_off() {
    let ready_in = |ending: Ending| {
        let mut tray = Tray::new(&source(), Habits::default()).expect("a pattern");
        let view = drive(&mut tray, &[(0, &[("a.pdf", 5)]), (250, &[("a.pdf", 5)])], |_| ending.clone());
        assert_eq!(view.told[0].state, "growing");
        view.told[0].ready_in_ms
    };
    assert_eq!(ready_in(whole()), Some(50));
    assert_eq!(ready_in(Ending::Unfinished { why: "no end".into() }), None);
}
