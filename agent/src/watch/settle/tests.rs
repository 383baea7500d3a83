use platen_capture::decode::Ending;
use proptest::prelude::*;

use super::*;

const PATIENCE: Patience = Patience {
    quiet_ms: 4_000,
    growable_quiet_ms: 4_000,
    give_up_ms: 60_000,
    trusts_closing: false,
    needs_marker: false,
};

fn ends(may_grow: bool) -> Option<Ending> {
    Some(Ending::Properly { may_grow })
}

fn cut() -> Option<Ending> {
    Some(Ending::Unfinished { why: "cut".into() })
}

/// A file that has stood still for a while.
fn still(still_ms: u64, signal: Option<Signal>, ending: Option<Ending>, patience: &Patience) -> Verdict {
    let mut file = Watched::first(Sight::made_up("scan.tif", 10, 0), Tick(1_000));
    (file.signal, file.ending) = (signal, ending);
    judge(&file, Tick(1_000 + still_ms), patience)
}

fn ready_after(signal: Option<Signal>, ending: Option<Ending>, patience: &Patience) -> Option<u64> {
    let is_ready = |at: &u64| matches!(still(*at, signal, ending.clone(), patience), Verdict::Ready { .. });
    let first = (0..=patience.give_up_ms).step_by(100).find(is_ready)?;
    assert!((first..patience.give_up_ms * 2).step_by(500).all(|at| is_ready(&at)), "ready once, ready later");
    Some(first)
}

#[test]
fn how_long_a_file_stands_still_depends_on_what_its_writer_showed() {
    let check = |signal, ending, expected| {
        assert_eq!(ready_after(signal, ending, &PATIENCE), Some(expected), "{signal:?}");
    };
    check(Some(Signal::Renamed), ends(true), BRIEF_MS);
    check(Some(Signal::Closed), ends(false), BRIEF_MS);
    check(Some(Signal::Closed), ends(true), PATIENCE.quiet_ms);
    check(Some(Signal::Written), ends(true), PATIENCE.quiet_ms);
    check(None, ends(false), ENDED_MS);
    check(None, ends(true), PATIENCE.quiet_ms);
    check(Some(Signal::Renamed), Some(Ending::Unknown), BRIEF_MS);
    check(None, Some(Ending::Unknown), PATIENCE.quiet_ms);
    let trusting = Patience { trusts_closing: true, ..PATIENCE };
    assert_eq!(ready_after(Some(Signal::Closed), ends(true), &trusting), Some(CLOSED_MS));
    assert_eq!(ready_after(None, ends(true), &trusting), Some(PATIENCE.quiet_ms));
}

#[test]
fn a_file_that_does_not_end_properly_stalls_and_is_given_up_only_at_the_limit() {
    for signal in [None, Some(Signal::Closed), Some(Signal::Renamed)] {
        assert_eq!(ready_after(signal, cut(), &PATIENCE), Some(PATIENCE.give_up_ms), "{signal:?}");
        assert!(matches!(still(3_900, signal, cut(), &PATIENCE), Verdict::Growing { .. }));
        let stalled = Verdict::Stalled { why: "cut".into(), given_up_in_ms: Some(20_000) };
        assert_eq!(still(40_000, signal, cut(), &PATIENCE), stalled);
    }
}

#[test]
fn a_file_that_was_not_looked_at_is_never_ready() {
    assert_eq!(ready_after(Some(Signal::Renamed), None, &PATIENCE), None);
}

#[test]
fn where_a_marker_is_required_nothing_else_counts() {
    let patience = Patience { needs_marker: true, ..PATIENCE };
    assert_eq!(ready_after(Some(Signal::Renamed), ends(false), &patience), None);
    let mut file = Watched::first(Sight::made_up("scan.tif", 10, 0), Tick(0));
    (file.ending, file.marker) = (ends(true), Some(Sight::made_up("scan.tif.done", 0, 0)));
    assert!(matches!(judge(&file, Tick(BRIEF_MS), &patience), Verdict::Ready { .. }));
    file.ending = cut();
    assert!(matches!(judge(&file, Tick(10_000), &patience), Verdict::Stalled { .. }), "a marker may lie");
}

#[test]
fn what_could_not_be_taken_is_tried_again_later() {
    let mut file = Watched::first(Sight::made_up("scan.tif", 10, 0), Tick(0));
    file.ending = ends(false);
    file.hindrance = Some(Hindrance { why: "permission denied".into(), until: Tick(9_000), failures: 1 });
    let unfit = Verdict::Unfit { why: "permission denied".into(), retry_in_ms: Some(1_000) };
    assert_eq!(judge(&file, Tick(8_000), &PATIENCE), unfit);
    assert!(matches!(judge(&file, Tick(9_000), &PATIENCE), Verdict::Ready { .. }));
}

#[test]
fn a_change_of_time_alone_counts_as_a_change() {
    let mut file = Watched::first(Sight::made_up("a", 10, 1), Tick(0));
    (file.ending, file.signal) = (ends(true), Some(Signal::Closed));
    assert_eq!(file.again(Sight::made_up("a", 10, 2), Tick(1_999)), Some(1_999));
    assert_eq!(file, Watched::first(Sight::made_up("a", 10, 2), Tick(1_999)), "all that was known is void");
}

proptest! {
    /// Whatever a writer does, its file is never ready within the shortest quiet time of its last change, and
    /// without a proper end not before the limit.
    #[test]
    fn nothing_is_ready_too_early(
        steps in prop::collection::vec((1u64..50_000, 0u64..4, 0u8..4, 0u8..4), 1..20)
    ) {
        let mut moment = 0;
        let mut file: Option<Watched> = None;
        for (wait, bytes, signal, ending) in steps {
            moment += wait;
            let now = Tick(moment);
            let sight = Sight::made_up("scan.tif", bytes, bytes);
            match &mut file {
                None => file = Some(Watched::first(sight, now)),
                Some(file) => drop(file.again(sight, now)),
            }
            let file = file.as_mut().expect("it was seen");
            file.signal = [None, Some(Signal::Written), Some(Signal::Closed), Some(Signal::Renamed)][usize::from(signal)];
            file.ending = [None, cut(), ends(true), ends(false)][usize::from(ending)].clone();
            let still_ms = now.since_ms(file.still_since);
            if let Verdict::Ready { .. } = judge(file, now, &PATIENCE) {
                let ended = file.seemed_whole() && bytes > 0;
                let shortest_ms = if ended { BRIEF_MS } else { PATIENCE.give_up_ms };
                prop_assert!(still_ms >= shortest_ms);
                prop_assert!(still_ms >= PATIENCE.quiet_ms || file.signal.is_some() || file.ending == ends(false));
            }
        }
    }
}
