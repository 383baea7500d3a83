//! Which documents go now, and what becomes of each when its attempt has ended.
//!
//! It decides over the outbox and a clock that it is given; sending is somebody else's. So the same decisions are
//! made in the agent and in the simulator.

use std::collections::BTreeMap;
use std::io;

use jiff::{SignedDuration, Timestamp};
use platen_model::keys::PublicKey;
use platen_model::{DocumentId, crash};

use super::backoff::{LONGEST_WAIT_MS, REFUSED_WAIT_MS, next_try, seed_of};
use super::breaker::{Breaker, later};
use super::journey::Load;
use super::trouble::Trouble;
use super::windows::Windows;
use crate::outbox::{Lane, Lease, Outbox};
use crate::spool::{Receipted, Spool};

/// How long nothing is removed after a removal that failed.
const REMOVAL_REST_MS: u64 = 60 * 1_000;
/// How much later than the next probe a document is due on which the last one failed.
const PROBE_MS: u64 = 1_000;
/// Of how many documents it is known how often they ended a link.
const CUTS_KNOWN: usize = 1_000;
/// Most delivered documents that are removed in one look.
const REMOVED_MAX: usize = 100;

/// What was decided once, by the configuration.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Documents on their way at once.
    pub at_once: usize,
    /// How long a delivered document is kept.
    pub keep: SignedDuration,
    /// When something may be sent.
    pub windows: Windows,
}

/// How an attempt ended that did what it could.
#[derive(Debug)]
pub enum Delivery {
    /// The cloud has everything.
    Whole(Receipted),
    /// The cloud has everything but the originals, which wait for a cheap link.
    OriginalsOwed,
}

/// Decides.
#[derive(Debug)]
pub struct Dispatcher {
    policy: Policy,
    breaker: Breaker,
    under_way: usize,
    large_under_way: usize,
    /// How often a document's attempt was the one that ended a link that worked, since it last got through.
    cuts: BTreeMap<DocumentId, u32>,
    /// After a removal that failed.
    removals_rest_until: Option<Timestamp>,
}

impl Dispatcher {
    /// Nothing is on its way yet.
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            breaker: Breaker::default(),
            under_way: 0,
            large_under_way: 0,
            cuts: BTreeMap::new(),
            removals_rest_until: None,
        }
    }

    /// The documents to begin now, and how much of each is sent: without a `cheap` link, the originals wait, but for those
    /// that a person wants to go. Large documents leave a place free for small ones.
    pub fn begin(&mut self, outbox: &Outbox, cheap: bool, now: Timestamp) -> io::Result<Vec<(Lease, Load)>> {
        let mut begun = Vec::new();
        while self.under_way < self.places(now) {
            let (lane, lease) = match self.lease(outbox, cheap, now) {
                Ok(Some(leased)) => leased,
                Ok(None) => break,
                // What is leased has its place, and only an attempt that ends gives it back. The trouble comes again at
                // the next look.
                Err(_) if !begun.is_empty() => break,
                Err(error) => return Err(error),
            };
            self.under_way += 1;
            self.large_under_way += usize::from(lease.entry().is_large());
            let is_whole = cheap || lane == Lane::Ordered;
            begun.push((lease, if is_whole { Load::Everything } else { Load::WithoutOriginals }));
        }
        Ok(begun)
    }

    fn lease(&self, outbox: &Outbox, cheap: bool, now: Timestamp) -> io::Result<Option<(Lane, Lease)>> {
        let large_too = self.large_under_way + 1 < self.policy.at_once.max(2);
        for lane in lanes(cheap) {
            if let Some(lease) = outbox.lease(*lane, large_too, now)? {
                return Ok(Some((*lane, lease)));
            }
        }
        Ok(None)
    }

    fn places(&self, now: Timestamp) -> usize {
        if self.policy.windows.is_open(now) { self.breaker.places(self.policy.at_once, now) } else { 0 }
    }

    /// Writes down how an attempt ended.
    pub fn ended(
        &mut self,
        outbox: &Outbox,
        lease: Lease,
        outcome: Result<Delivery, Trouble>,
        now: Timestamp,
    ) -> io::Result<()> {
        self.under_way -= 1;
        self.large_under_way -= usize::from(lease.entry().is_large());
        let id = lease.id();
        let seed = seed_of(id);
        if !matches!(outcome, Err(Trouble::Link(_))) {
            self.cuts.remove(&id);
        }
        let trouble = match outcome {
            Ok(Delivery::Whole(receipt)) => {
                self.breaker.answered(now);
                tracing::info!(document = %id, receipt = %receipt.digest(), "delivered");
                outbox.delivered(&receipt, now)?;
                crash::point("the delivery is noted");
                return Ok(());
            }
            Ok(Delivery::OriginalsOwed) => {
                self.breaker.answered(now);
                tracing::info!(document = %id, "delivered but for its originals, which wait for a cheap link");
                outbox.change(id, now, |entry| {
                    entry.originals_owed = true;
                    entry.attempt_count = 0;
                    entry.next_try = now;
                    entry.last_error = None;
                    entry.needs_person = false;
                })?;
                crash::point("the originals are owed");
                return Ok(());
            }
            Err(trouble) => trouble,
        };
        let reason = trouble.to_string();
        match &trouble {
            Trouble::Link(_) | Trouble::Access(_) | Trouble::Busy { .. } => {
                let was_closed = self.breaker.down().is_none();
                if was_closed {
                    tracing::warn!(%reason, "nothing can be delivered for now; documents wait in the spool");
                }
                self.breaker.open(&reason, seed, trouble.asked_ms(), now);
                return match trouble {
                    Trouble::Link(_) => self.let_others_try(outbox, &lease, was_closed, now),
                    _ => Ok(()),
                };
            }
            Trouble::Server(_) => self.breaker.server_error(&reason, seed, now),
            Trouble::Later(_) | Trouble::Person(_) => self.breaker.answered(now),
            // Nothing was heard of the cloud: where it is away, the next document finds out.
            Trouble::Own { .. } => {}
        }
        let failures = lease.entry().attempt_count.saturating_add(1);
        let needs_person = trouble.needs_person();
        let next = match needs_person {
            true => later(now, REFUSED_WAIT_MS),
            false => next_try(failures, now, seed, LONGEST_WAIT_MS, None),
        };
        tracing::warn!(document = %id, %trouble, needs_person, attempt = failures, "not delivered");
        outbox.change(id, now, |entry| {
            entry.attempt_count = failures;
            entry.next_try = next;
            entry.needs_person = needs_person;
            entry.last_error = Some(reason);
        })
    }

    /// It may be this document that the link does not survive: the next probe is another one, where there is one. Who
    /// breaks a link that works for others waits longer each time.
    fn let_others_try(
        &mut self,
        outbox: &Outbox,
        lease: &Lease,
        was_closed: bool,
        now: Timestamp,
    ) -> io::Result<()> {
        if outbox.counts().waiting < 2 {
            return Ok(());
        }
        let cuts = self.cuts.get(&lease.id()).copied().unwrap_or(0).saturating_add(u32::from(was_closed));
        if was_closed && (self.cuts.len() < CUTS_KNOWN || self.cuts.contains_key(&lease.id())) {
            self.cuts.insert(lease.id(), cuts);
        }
        let after_next_probe = later(now, self.breaker.wait_ms(now).saturating_add(PROBE_MS));
        let own = next_try(cuts.max(1), now, seed_of(lease.id()), LONGEST_WAIT_MS, None);
        outbox.change(lease.id(), now, |entry| entry.next_try = after_next_probe.max(own))
    }

    /// Removes delivered documents after their time, each against its receipt, checked once more (INV-3). One that cannot
    /// be read or removed is named, kept for as long again, and holds up no other.
    pub fn remove_expired(
        &mut self,
        spool: &Spool,
        outbox: &Outbox,
        receipt_key: &PublicKey,
        now: Timestamp,
    ) -> io::Result<()> {
        for _ in 0..REMOVED_MAX {
            let Some(id) = outbox.delivered_ahead(now) else { break };
            // Its time of retention begins anew, lest it last until the other clock's day.
            outbox.change(id, now, |entry| {
                if let Some(delivered) = &mut entry.delivered {
                    delivered.at = now;
                }
            })?;
        }
        // Where nothing is kept for long, the same one would be met again at once.
        if self.removals_rest_until.is_some_and(|until| now < until && until <= later(now, REMOVAL_REST_MS)) {
            return Ok(());
        }
        for _ in 0..REMOVED_MAX {
            let Some(id) = outbox.expired(self.policy.keep, now) else { break };
            let removed = match spool.open_document(id) {
                Ok(document) => match document.receipted(receipt_key) {
                    Some(receipt) => spool.remove_delivered(&receipt),
                    // Without a receipt that holds it is not delivered, whatever the record says.
                    None => {
                        outbox.change(id, now, |entry| entry.delivered = None)?;
                        continue;
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
            match removed {
                Ok(()) => outbox.forget(id, now)?,
                Err(error) => {
                    tracing::error!(document = %id, %error, "a delivered document cannot be removed after its time");
                    outbox.change(id, now, |entry| {
                        if let Some(delivered) = &mut entry.delivered {
                            delivered.at = now;
                        }
                    })?;
                    self.removals_rest_until = Some(later(now, REMOVAL_REST_MS));
                    break;
                }
            }
        }
        Ok(())
    }

    /// How long until there may be something to do without being called, in milliseconds; `None` where nothing is.
    pub fn idle_ms(&self, outbox: &Outbox, cheap: bool, now: Timestamp) -> Option<u64> {
        let lanes = if self.places(now) > self.under_way { lanes(cheap) } else { &[] };
        let breaker = Some(self.breaker.wait_ms(now)).filter(|wait| *wait > 0);
        let window = self.opens_at(now).map(|at| at.duration_since(now).as_millis());
        let window = window.and_then(|ms| u64::try_from(ms).ok());
        let due = outbox.idle_ms(lanes, self.policy.keep, now);
        due.into_iter().chain(breaker).chain(window).min()
    }

    /// When the next upload window opens; `None` while one is open.
    pub fn opens_at(&self, now: Timestamp) -> Option<Timestamp> {
        let windows = &self.policy.windows;
        (!windows.is_open(now)).then(|| windows.opens_at(now))
    }

    /// The circuit, for the status and for whoever has reason to try at once.
    pub fn breaker(&mut self) -> &mut Breaker {
        &mut self.breaker
    }
}

/// What goes over a link like this.
fn lanes(cheap: bool) -> &'static [Lane] {
    if cheap { &Lane::ALL } else { &Lane::DEAR }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::outbox::Arrival;
    use crate::outbox::ledger::Rotation;
    use crate::outbox::store::sled::SledEngine;
    use crate::outbox::store::{Change, Engine, Pair, Store};
    use platen_model::CaptureId;
    use platen_model::disk::Machine;

    /// Who is on the way, one at a time, over a link that only `survives` documents get through.
    fn probes(outbox: &Outbox, survives: impl Fn(DocumentId) -> bool, rounds: usize) -> Vec<DocumentId> {
        let policy = Policy { at_once: 1, keep: SignedDuration::from_hours(1), windows: Windows::always() };
        let mut dispatcher = Dispatcher::new(policy);
        let mut now = Timestamp::now();
        let mut tried = Vec::new();
        while tried.len() < rounds {
            for (lease, _) in dispatcher.begin(outbox, true, now).expect("the outbox works") {
                let id = lease.id();
                tried.push(id);
                let outcome = match survives(id) {
                    true => Ok(Delivery::OriginalsOwed),
                    false => Err(Trouble::Link("connection reset".into())),
                };
                dispatcher.ended(outbox, lease, outcome, now).expect("the outbox works");
            }
            now = later(now, dispatcher.idle_ms(outbox, true, now).unwrap_or(1_000).max(1));
        }
        tried
    }

    #[test]
    fn a_document_that_breaks_the_link_does_not_keep_others_from_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(folder.path()).expect("an outbox");
        let ids: Vec<DocumentId> = (0..5).map(|_| CaptureId::new().document(0)).collect();
        let arrivals: Vec<Arrival> = ids.iter().map(|id| Arrival::plain(*id)).collect();
        outbox.enqueue(&arrivals, Timestamp::now()).expect("enqueued");
        let tried = probes(&outbox, |id| id != ids[0], 12);
        let last = ids.iter().map(|id| tried.iter().position(|one| one == id)).max().flatten();
        assert!(last.is_some_and(|last| last < 9), "each was tried soon: {tried:?}");
        assert!(ids.iter().all(|id| tried.contains(id)), "{tried:?}");
    }

    #[test]
    fn while_the_link_is_down_documents_take_turns_as_probes() {
        let folder = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(folder.path()).expect("an outbox");
        let ids: Vec<DocumentId> = (0..2).map(|_| CaptureId::new().document(0)).collect();
        let arrivals: Vec<Arrival> = ids.iter().map(|id| Arrival::plain(*id)).collect();
        outbox.enqueue(&arrivals, Timestamp::now()).expect("enqueued");
        let tried = probes(&outbox, |_| false, 6);
        assert!(tried.windows(2).all(|pair| pair[0] != pair[1]), "{tried:?}");
    }

    #[test]
    fn a_document_that_is_damaged_here_says_nothing_of_the_cloud() {
        let folder = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(folder.path()).expect("an outbox");
        let ids: Vec<DocumentId> = (0..6).map(|_| CaptureId::new().document(0)).collect();
        let arrivals: Vec<Arrival> = ids.iter().map(|id| Arrival::plain(*id)).collect();
        let now = Timestamp::now();
        outbox.enqueue(&arrivals, now).expect("enqueued");
        let policy = Policy { at_once: 4, keep: SignedDuration::from_hours(1), windows: Windows::always() };
        let mut dispatcher = Dispatcher::new(policy);
        for (lease, _) in dispatcher.begin(&outbox, true, now).expect("the outbox works") {
            let trouble = Trouble::Link("connection refused".into());
            dispatcher.ended(&outbox, lease, Err(trouble), now).expect("the outbox works");
        }
        let since = dispatcher.breaker().down().map(|(since, _)| since);
        assert!(since.is_some(), "the link is down");

        let probe_at = later(now, dispatcher.breaker().wait_ms(now));
        let mut probes = dispatcher.begin(&outbox, true, probe_at).expect("the outbox works");
        assert_eq!(probes.len(), 1, "one at a time");
        let (lease, _) = probes.remove(0);
        let id = lease.id();
        let trouble = Trouble::Own { message: "the spool is damaged".into(), needs_person: true };
        dispatcher.ended(&outbox, lease, Err(trouble), probe_at).expect("the outbox works");
        assert_eq!(dispatcher.breaker().down().map(|(since, _)| since), since, "it still is");
        assert!(dispatcher.breaker().last_answer().is_none());
        let entry = outbox.get(id).expect("the outbox").expect("an entry");
        assert!(entry.needs_person && entry.attempt_count == 1, "a person is told");
        let next = dispatcher.begin(&outbox, true, probe_at).expect("the outbox works");
        assert_eq!(next.len(), 1, "another document tries the link, and only one");
    }

    #[test]
    fn while_bytes_are_dear_only_the_originals_go_that_were_asked_for_and_no_later_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(folder.path()).expect("an outbox");
        let (asked, later_one, new) =
            (CaptureId::new().document(0), CaptureId::new().document(0), CaptureId::new().document(0));
        let now = Timestamp::now();
        let owe = |id: DocumentId| {
            outbox.enqueue(&[Arrival::plain(id)], now).expect("enqueued");
            outbox.change(id, now, |entry| entry.originals_owed = true).expect("changed");
        };
        let policy = Policy { at_once: 4, keep: SignedDuration::from_hours(1), windows: Windows::always() };
        let mut dispatcher = Dispatcher::new(policy);
        owe(asked);
        assert!(dispatcher.begin(&outbox, false, now).expect("the outbox works").is_empty(), "nobody asked");
        assert_eq!(outbox.order_originals(now).expect("the outbox works"), 1);
        let mut at = now;
        // It fails again and again, and is tried after its waits.
        for _ in 0..3 {
            let mut begun = dispatcher.begin(&outbox, false, at).expect("the outbox works");
            let (lease, load) = begun.pop().expect("it was asked for");
            assert_eq!((lease.id(), load), (asked, Load::Everything));
            dispatcher.ended(&outbox, lease, Err(Trouble::Server("500".into())), at).expect("noted");
            assert!(begun.is_empty());
            owe(later_one);
            outbox.enqueue(&[Arrival::plain(new)], at).expect("enqueued");
            for (lease, load) in dispatcher.begin(&outbox, false, at).expect("the outbox works") {
                assert_eq!((lease.id(), load), (new, Load::WithoutOriginals));
                dispatcher.ended(&outbox, lease, Ok(Delivery::OriginalsOwed), at).expect("noted");
            }
            let idle = dispatcher.idle_ms(&outbox, false, at).expect("it is tried again");
            assert!(idle > 0, "nothing else is to be done");
            at = later(at, idle);
        }
        // Refused by the cloud it goes to a person, and the wish ends with it.
        let (lease, _) = dispatcher.begin(&outbox, false, at).expect("the outbox works").remove(0);
        dispatcher.ended(&outbox, lease, Err(Trouble::Person("422".into())), at).expect("noted");
        assert_eq!(dispatcher.idle_ms(&outbox, false, at), None);
        assert_eq!(
            outbox.order_originals(at).expect("the outbox works"),
            2,
            "the later ones, once asked for"
        );
        let begun = dispatcher.begin(&outbox, false, at).expect("the outbox works");
        // Ids of one millisecond, and so the turns of what came in it, follow each other in any order.
        let ids: BTreeSet<DocumentId> = begun.iter().map(|(lease, _)| lease.id()).collect();
        assert_eq!(ids, BTreeSet::from([later_one, new]));
    }

    /// A database in which only so many more reads go well.
    #[derive(Clone, Debug)]
    struct Failing(Arc<AtomicUsize>);

    #[derive(Debug)]
    struct FailingStore(Box<dyn Store>, Failing);

    impl Engine for Failing {
        fn open(&self, folder: &Path) -> io::Result<Box<dyn Store>> {
            Ok(Box::new(FailingStore(SledEngine.open(folder)?, self.clone())))
        }
    }

    impl Store for FailingStore {
        fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
            let Some(left) = self.1.0.load(Ordering::Acquire).checked_sub(1) else {
                return Err(io::Error::other("the disk fails"));
            };
            self.1.0.store(left, Ordering::Release);
            self.0.get(key)
        }

        fn write(&self, changes: Vec<Change>) -> io::Result<()> {
            self.0.write(changes)
        }

        fn flush(&self) -> io::Result<()> {
            self.0.flush()
        }

        fn after(&self, key: Option<&[u8]>, limit: usize) -> io::Result<Vec<Pair>> {
            self.0.after(key, limit)
        }

        fn bytes_on_disk(&self) -> io::Result<u64> {
            self.0.bytes_on_disk()
        }
    }

    /// Three documents for three places, of which the outbox can be read for `reads` only. Answers how many begin then, and
    /// how many more once it works again.
    fn begun_over_trouble(reads: usize) -> (Option<usize>, usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let (engine, now) = (Arc::new(Failing(Arc::clone(&left))), Timestamp::now());
        let opened = Outbox::open_on(Arc::new(Machine), engine, folder.path(), Rotation::default(), now);
        let outbox = opened.expect("an outbox");
        let arrivals: Vec<Arrival> = (0..3).map(|_| Arrival::plain(CaptureId::new().document(0))).collect();
        outbox.enqueue(&arrivals, now).expect("enqueued");
        let policy = Policy { at_once: 3, keep: SignedDuration::from_hours(1), windows: Windows::always() };
        let mut dispatcher = Dispatcher::new(policy);

        left.store(reads, Ordering::Release);
        let begun = dispatcher.begin(&outbox, true, now).ok();
        left.store(usize::MAX, Ordering::Release);
        outbox.begin_anew().expect("begun anew");
        outbox.enqueue(&arrivals, now).expect("enqueued again");
        let more = dispatcher.begin(&outbox, true, now).expect("the outbox works");
        (begun.as_ref().map(Vec::len), more.len())
    }

    #[test]
    fn an_outbox_that_fails_while_documents_are_begun_costs_no_place() {
        assert_eq!(begun_over_trouble(0), (None, 3), "an error takes no place");
        assert_eq!(
            begun_over_trouble(2),
            (Some(2), 1),
            "what was leased goes, and has the only places taken"
        );
        assert_eq!(begun_over_trouble(3), (Some(3), 0));
    }
}
