//! The order of the outbox, in memory: pure, and as fast among a million documents as among one.
//!
//! Every record has exactly one place: ready or delayed in one of the lanes, or delivered. Ready ones are ordered by
//! priority, then age (ids begin with the time of their claim); large ones stand in a queue of their own, so that
//! small ones can be found beside them. A leased document is out of all queues until its lease ends.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use platen_model::DocumentId;
use serde::{Deserialize, Serialize};

use super::entry::Entry;

/// Most delayed documents that become ready in one look: the rest in the next one.
const PROMOTED_MAX: usize = 1_000;

/// What is still to be sent of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Everything, or everything but the originals.
    Documents,
    /// The originals that a person wants to go now, whatever their bytes cost.
    Ordered,
    /// The other originals, which wait for a cheap link.
    Originals,
}

impl Lane {
    /// All of them, in the order in which they are worked off.
    pub const ALL: [Self; 3] = [Self::Documents, Self::Ordered, Self::Originals];
    /// Those that go while bytes are dear.
    pub const DEAR: [Self; 2] = [Self::Documents, Self::Ordered];
}

/// The outbox in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Documents the cloud does not have, or not with their originals.
    pub waiting: usize,
    /// Of these, those that lack only their originals.
    pub originals_owed: usize,
    /// Of these, those the cloud refused.
    pub needs_person: usize,
    /// Of these, those on their way now.
    pub under_way: usize,
    /// Delivered, and kept for their retention time.
    pub delivered: usize,
}

type Ready = (u8, DocumentId);

/// One lane's queues.
#[derive(Debug, Default)]
struct Queues {
    small: BTreeSet<Ready>,
    large: BTreeSet<Ready>,
    /// Next try in milliseconds since 1970, priority, document, whether it is large.
    delayed: BTreeSet<(i64, u8, DocumentId, bool)>,
}

/// The order.
#[derive(Debug, Default)]
pub(super) struct Index {
    documents: Queues,
    ordered: Queues,
    originals: Queues,
    /// The documents whose originals a person wants to go, until they have, or a person is needed.
    orders: BTreeSet<DocumentId>,
    delivered: BTreeSet<(i64, DocumentId)>,
    /// What is leased, with the place it has once its lease ends.
    leased: BTreeMap<DocumentId, Option<Place>>,
    needs_person: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Waiting { lane: Lane, priority: u8, next_try_ms: i64, large: bool },
    Delivered { at_ms: i64 },
}

impl Place {
    fn of(entry: &Entry, is_ordered: bool) -> Self {
        match &entry.delivered {
            Some(delivered) => Self::Delivered { at_ms: delivered.at.as_millisecond() },
            None => Self::Waiting {
                lane: match entry.originals_owed {
                    false => Lane::Documents,
                    true if is_ordered => Lane::Ordered,
                    true => Lane::Originals,
                },
                priority: entry.priority,
                next_try_ms: entry.next_try.as_millisecond(),
                large: entry.is_large(),
            },
        }
    }
}

impl Index {
    /// Follows a change of a record; `None` where there was or will be none.
    pub(super) fn change(&mut self, old: Option<&Entry>, new: Option<&Entry>, now: Timestamp) {
        if let Some(old) = old {
            self.needs_person -= usize::from(counts_as_refused(old));
            if !self.leased.contains_key(&old.document_id) {
                self.take_out(old.document_id, self.place_of(old));
            }
        }
        if let Some(new) = new {
            self.needs_person += usize::from(counts_as_refused(new));
        }
        let Some(id) = new.or(old).map(|entry| entry.document_id) else { return };
        if !new.is_some_and(may_go) {
            self.orders.remove(&id);
        }
        let place = new.map(|new| self.place_of(new));
        match (self.leased.get_mut(&id), place) {
            (Some(later), place) => *later = place,
            (None, Some(place)) => self.put_in(id, place, now),
            (None, None) => {}
        }
    }

    /// A person wants the originals of this document to go now. Answers whether they are owed, and time alone may bring them
    /// to the cloud.
    pub(super) fn order(&mut self, entry: &Entry, now: Timestamp) -> bool {
        if !entry.originals_owed || !may_go(entry) {
            return false;
        }
        let (id, before) = (entry.document_id, self.place_of(entry));
        self.orders.insert(id);
        let place = self.place_of(entry);
        match self.leased.get_mut(&id) {
            Some(later) => *later = Some(place),
            None => {
                self.take_out(id, before);
                self.put_in(id, place, now);
            }
        }
        true
    }

    fn place_of(&self, entry: &Entry) -> Place {
        Place::of(entry, self.orders.contains(&entry.document_id))
    }

    fn queues(&mut self, lane: Lane) -> &mut Queues {
        match lane {
            Lane::Documents => &mut self.documents,
            Lane::Ordered => &mut self.ordered,
            Lane::Originals => &mut self.originals,
        }
    }

    fn all_queues(&self) -> [&Queues; 3] {
        [&self.documents, &self.ordered, &self.originals]
    }

    fn take_out(&mut self, id: DocumentId, place: Place) {
        match place {
            Place::Delivered { at_ms } => drop(self.delivered.remove(&(at_ms, id))),
            Place::Waiting { lane, priority, next_try_ms, large } => {
                let queues = self.queues(lane);
                // A delayed one may have become ready since.
                let ready = if large { &mut queues.large } else { &mut queues.small };
                if !ready.remove(&(priority, id)) {
                    queues.delayed.remove(&(next_try_ms, priority, id, large));
                }
            }
        }
    }

    fn put_in(&mut self, id: DocumentId, place: Place, now: Timestamp) {
        match place {
            Place::Delivered { at_ms } => drop(self.delivered.insert((at_ms, id))),
            Place::Waiting { lane, priority, next_try_ms, large } => {
                let queues = self.queues(lane);
                if next_try_ms > now.as_millisecond() {
                    queues.delayed.insert((next_try_ms, priority, id, large));
                } else if large {
                    queues.large.insert((priority, id));
                } else {
                    queues.small.insert((priority, id));
                }
            }
        }
    }

    /// Makes those ready whose time has come, and those that a clock set back would let wait for longer than
    /// `longest`: no wait is longer, so such a time was written under another clock.
    pub(super) fn promote(&mut self, now: Timestamp, longest: SignedDuration) {
        let now_ms = now.as_millisecond();
        let far_ms = now.checked_add(longest).unwrap_or(Timestamp::MAX).as_millisecond();
        for queues in [&mut self.documents, &mut self.ordered, &mut self.originals] {
            for _ in 0..PROMOTED_MAX {
                let due = queues.delayed.first().copied().filter(|(at, ..)| *at <= now_ms);
                let due = due.or_else(|| queues.delayed.last().copied().filter(|(at, ..)| *at > far_ms));
                let Some(due) = due else { break };
                queues.delayed.remove(&due);
                let (_, priority, id, large) = due;
                let ready = if large { &mut queues.large } else { &mut queues.small };
                ready.insert((priority, id));
            }
        }
    }

    /// Leases the next ready document of a lane; a large one only where `large_too`.
    pub(super) fn lease(&mut self, lane: Lane, large_too: bool) -> Option<DocumentId> {
        let queues = self.queues(lane);
        let small = queues.small.first().copied();
        let large = queues.large.first().copied().filter(|_| large_too);
        let next = match (small, large) {
            (Some(small), Some(large)) => small.min(large),
            (small, large) => small.or(large)?,
        };
        let is_large = !queues.small.remove(&next);
        if is_large {
            queues.large.remove(&next);
        }
        let (priority, id) = next;
        let place = Place::Waiting { lane, priority, next_try_ms: i64::MIN, large: is_large };
        self.leased.insert(id, Some(place));
        Some(id)
    }

    /// Puts a document back to the place its record says. What is due is found by the next [`Index::promote`].
    pub(super) fn end_lease(&mut self, id: DocumentId) {
        if let Some(Some(place)) = self.leased.remove(&id) {
            self.put_in(id, place, Timestamp::MIN);
        }
    }

    /// An empty order in which the same documents are leased, and the same originals wanted.
    pub(super) fn emptied(&self) -> Self {
        let leased = self.leased.keys().map(|id| (*id, None)).collect();
        Self { leased, orders: self.orders.clone(), ..Self::default() }
    }

    /// The documents that wait for their time.
    pub(super) fn delayed(&self) -> Vec<DocumentId> {
        let queues = self.all_queues().into_iter();
        queues.flat_map(|queues| queues.delayed.iter().map(|(_, _, id, _)| *id)).collect()
    }

    /// The documents that lack only their originals.
    pub(super) fn owing_originals(&self) -> Vec<DocumentId> {
        let leased = self.leased.iter().filter(|(_, place)| place.as_ref().is_some_and(owes));
        let queued = [&self.ordered, &self.originals].into_iter().flat_map(|queues| {
            let ready = queues.small.iter().chain(&queues.large).map(|(_, id)| *id);
            ready.chain(queues.delayed.iter().map(|(_, _, id, _)| *id))
        });
        queued.chain(leased.map(|(id, _)| *id)).collect()
    }

    /// The document that was delivered first, if that was at or before `until`.
    pub(super) fn delivered_until(&self, until: Timestamp) -> Option<DocumentId> {
        self.delivered.first().filter(|(at, _)| *at <= until.as_millisecond()).map(|(_, id)| *id)
    }

    /// The document that was delivered last, if that is in the future.
    pub(super) fn delivered_after(&self, now: Timestamp) -> Option<DocumentId> {
        self.delivered.last().filter(|(at, _)| *at > now.as_millisecond()).map(|(_, id)| *id)
    }

    /// When the first delayed document is due; now where one is ready.
    pub(super) fn next_due_ms(&self, lane: Lane) -> Option<i64> {
        let queues = match lane {
            Lane::Documents => &self.documents,
            Lane::Ordered => &self.ordered,
            Lane::Originals => &self.originals,
        };
        if !queues.small.is_empty() || !queues.large.is_empty() {
            return Some(i64::MIN);
        }
        queues.delayed.first().map(|(at, ..)| *at)
    }

    /// When the first delivered document was delivered.
    pub(super) fn first_delivered_ms(&self) -> Option<i64> {
        self.delivered.first().map(|(at, _)| *at)
    }

    /// In numbers.
    pub(super) fn counts(&self) -> Counts {
        let length = |queues: &Queues| queues.small.len() + queues.large.len() + queues.delayed.len();
        let leased =
            |is: fn(&Place) -> bool| self.leased.values().flatten().filter(|place| is(place)).count();
        let leased_waiting = leased(|place| matches!(place, Place::Waiting { .. }));
        let owed = length(&self.ordered) + length(&self.originals);
        Counts {
            waiting: length(&self.documents) + owed + leased_waiting,
            originals_owed: owed + leased(owes),
            needs_person: self.needs_person,
            under_way: self.leased.len(),
            delivered: self.delivered.len() + leased(|place| matches!(place, Place::Delivered { .. })),
        }
    }

    /// The oldest document that waits. Reads all of them: for people, not for the loop.
    pub(super) fn oldest_waiting(&self) -> Option<DocumentId> {
        let oldest_of = |queues: &Queues| {
            let ready = queues.small.iter().chain(&queues.large).map(|(_, id)| *id);
            ready.chain(queues.delayed.iter().map(|(_, _, id, _)| *id)).min()
        };
        let leased = self.leased.iter().filter(|(_, place)| matches!(place, Some(Place::Waiting { .. })));
        let queued = self.all_queues().into_iter().filter_map(oldest_of);
        queued.chain(leased.map(|(id, _)| *id).min()).min()
    }

    /// The documents in the order of delivery, delivered ones last; at most `limit`.
    pub(super) fn in_order(&self, limit: usize) -> Vec<DocumentId> {
        let leased = self.leased.iter().filter(|(_, place)| place.is_some()).map(|(id, _)| *id);
        let lanes = self.all_queues().into_iter().flat_map(|queues| {
            // The two queues of a lane are merged; each is in order by itself.
            let mut small = queues.small.iter().peekable();
            let mut large = queues.large.iter().peekable();
            let ready = std::iter::from_fn(move || match (small.peek(), large.peek()) {
                (Some(one), Some(other)) if other < one => large.next(),
                (None, _) => large.next(),
                _ => small.next(),
            });
            ready.map(|(_, id)| *id).chain(queues.delayed.iter().map(|(_, _, id, _)| *id))
        });
        let delivered = self.delivered.iter().map(|(_, id)| *id);
        leased.chain(lanes).chain(delivered).take(limit).collect()
    }

    /// All documents, sorted by id.
    pub(super) fn ids(&self) -> Vec<DocumentId> {
        let mut ids = self.in_order(usize::MAX);
        ids.sort_unstable();
        ids
    }
}

fn owes(place: &Place) -> bool {
    matches!(place, Place::Waiting { lane: Lane::Ordered | Lane::Originals, .. })
}

/// Whether time alone may bring a document to the cloud.
fn may_go(entry: &Entry) -> bool {
    entry.is_waiting() && !entry.needs_person
}

fn counts_as_refused(entry: &Entry) -> bool {
    entry.needs_person && entry.is_waiting()
}

#[cfg(test)]
mod tests {
    use super::*;
    use platen_model::CaptureId;
    use proptest::prelude::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).expect("a time")
    }

    fn entry(id: DocumentId, priority: u8, large: bool, next_try_ms: i64) -> Entry {
        let bytes = if large { u64::MAX } else { 1 };
        Entry { priority, bytes, next_try: at(next_try_ms), ..Entry::new(id, at(0)) }
    }

    #[test]
    fn a_wait_written_under_another_clock_ends_with_the_longest_wait() {
        let mut index = Index::default();
        let id = CaptureId::new().document(0);
        index.change(None, Some(&entry(id, 1, false, 1_000_000_000)), at(0));
        index.promote(at(0), SignedDuration::from_secs(3600));
        assert_eq!(index.lease(Lane::Documents, true), Some(id));
    }

    #[test]
    fn a_large_document_leaves_room_for_the_small_ones_behind_it() {
        let mut index = Index::default();
        let capture = CaptureId::new();
        let mut ids = [capture.document(0), capture.document(1)];
        ids.sort();
        index.change(None, Some(&entry(ids[0], 9, true, 0)), at(0));
        index.change(None, Some(&entry(ids[1], 9, false, 0)), at(0));
        assert_eq!(index.lease(Lane::Documents, false), Some(ids[1]));
        assert_eq!(index.lease(Lane::Documents, false), None);
        assert_eq!(index.lease(Lane::Documents, true), Some(ids[0]));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set { which: usize, priority: u8, large: bool, next_try_ms: i64, owed: bool, refused: bool },
        Deliver { which: usize, at_ms: i64 },
        Remove { which: usize },
        Order,
        Lease { lane: Lane, large_too: bool },
        EndLease { which: usize },
        Pass { ms: i64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        let which = 0usize..6;
        prop_oneof![
            (which.clone(), 0u8..3, any::<bool>(), 0i64..300, any::<bool>(), any::<bool>()).prop_map(
                |(which, priority, large, next_try_ms, owed, refused)| Step::Set {
                    which,
                    priority,
                    large,
                    next_try_ms,
                    owed,
                    refused
                }
            ),
            (which.clone(), 0i64..300).prop_map(|(which, at_ms)| Step::Deliver { which, at_ms }),
            which.clone().prop_map(|which| Step::Remove { which }),
            Just(Step::Order),
            (prop::sample::select(Lane::ALL.to_vec()), any::<bool>())
                .prop_map(|(lane, large_too)| Step::Lease { lane, large_too }),
            which.prop_map(|which| Step::EndLease { which }),
            (0i64..100).prop_map(|ms| Step::Pass { ms }),
        ]
    }

    proptest! {
        /// Beside a plain list of records: the same next document, the same numbers, after any steps.
        #[test]
        fn the_order_is_that_of_a_plain_sorted_list(steps in prop::collection::vec(step(), 1..60)) {
            let capture = CaptureId::new();
            let ids: Vec<DocumentId> = (0..6).map(|index| capture.document(index)).collect();
            let mut index = Index::default();
            let mut model: BTreeMap<DocumentId, Entry> = BTreeMap::new();
            let mut leased: BTreeSet<DocumentId> = BTreeSet::new();
            let mut ordered: BTreeSet<DocumentId> = BTreeSet::new();
            let mut now_ms = 0;
            for step in steps {
                let set = |index: &mut Index, model: &mut BTreeMap<DocumentId, Entry>, new: Option<Entry>, id| {
                    let old = model.remove(&id);
                    index.change(old.as_ref(), new.as_ref(), at(now_ms));
                    model.extend(new.map(|new| (id, new)));
                };
                match step {
                    Step::Set { which, priority, large, next_try_ms, owed, refused } => {
                        let mut new = entry(ids[which], priority, large, next_try_ms);
                        new.originals_owed = owed;
                        new.needs_person = refused;
                        set(&mut index, &mut model, Some(new), ids[which]);
                    }
                    Step::Deliver { which, at_ms } => {
                        let Some(mut new) = model.get(&ids[which]).cloned() else { continue };
                        let receipt_sha256 = platen_model::Digest::of(b"");
                        new.delivered = Some(super::super::Delivered { receipt_sha256, at: at(at_ms) });
                        set(&mut index, &mut model, Some(new), ids[which]);
                    }
                    Step::Remove { which } => set(&mut index, &mut model, None, ids[which]),
                    Step::Order => {
                        for entry in model.values() {
                            let is_owed = entry.is_waiting() && entry.originals_owed && !entry.needs_person;
                            prop_assert_eq!(index.order(entry, at(now_ms)), is_owed);
                            ordered.extend(is_owed.then_some(entry.document_id));
                        }
                    }
                    Step::Lease { lane, large_too } => {
                        index.promote(at(now_ms), SignedDuration::from_secs(3600));
                        let lane_of = |it: &Entry| match it.originals_owed {
                            false => Lane::Documents,
                            true if ordered.contains(&it.document_id) => Lane::Ordered,
                            true => Lane::Originals,
                        };
                        let fits = |it: &&Entry| {
                            it.is_waiting() && lane_of(it) == lane && it.next_try <= at(now_ms)
                                && (large_too || !it.is_large()) && !leased.contains(&it.document_id)
                        };
                        let expected = model.values().filter(fits).min_by_key(|it| (it.priority, it.document_id));
                        let expected = expected.map(|it| it.document_id);
                        prop_assert_eq!(index.lease(lane, large_too), expected);
                        leased.extend(expected);
                    }
                    Step::EndLease { which } => {
                        index.end_lease(ids[which]);
                        leased.remove(&ids[which]);
                    }
                    Step::Pass { ms } => now_ms += ms,
                }
                // An order ends with its document, and where a person is needed.
                ordered.retain(|id| model.get(id).is_some_and(|it| it.is_waiting() && !it.needs_person));
                let counts = index.counts();
                let number = |is: &dyn Fn(&Entry) -> bool| model.values().filter(|it| is(it)).count();
                prop_assert_eq!(counts.waiting, number(&|it| it.is_waiting()));
                prop_assert_eq!(counts.originals_owed, number(&|it| it.is_waiting() && it.originals_owed));
                prop_assert_eq!(counts.needs_person, number(&|it| it.is_waiting() && it.needs_person));
                let oldest = model.values().filter(|it| it.is_waiting()).map(|it| it.document_id).min();
                prop_assert_eq!(index.oldest_waiting(), oldest);
            }
        }
    }
}
