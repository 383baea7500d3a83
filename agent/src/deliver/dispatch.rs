//! Which documents go now, and what becomes of each when its attempt has ended.
//!
//! It decides over the outbox and a clock that it is given; sending is somebody else's. So the same decisions are
//! made in the agent and in the simulator.

use std::io;

use jiff::{SignedDuration, Timestamp};
use platen_model::crash;
use platen_model::keys::PublicKey;

use super::backoff::{LONGEST_WAIT_MS, REFUSED_WAIT_MS, next_try, seed_of};
use super::breaker::{Breaker, later};
use super::journey::Load;
use super::trouble::Trouble;
use super::windows::Windows;
use crate::outbox::{Lane, Lease, Outbox};
use crate::spool::{Receipted, Spool};

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
}

impl Dispatcher {
    /// Nothing is on its way yet.
    pub fn new(policy: Policy) -> Self {
        Self { policy, breaker: Breaker::default(), under_way: 0, large_under_way: 0 }
    }

    /// The documents to begin now, and how much of each is sent: without a `cheap` link, the originals wait. Large
    /// documents leave a place free for small ones.
    pub fn begin(&mut self, outbox: &Outbox, cheap: bool, now: Timestamp) -> io::Result<Vec<(Lease, Load)>> {
        let mut begun = Vec::new();
        while self.under_way < self.places(now) {
            let large_too = self.large_under_way + 1 < self.policy.at_once.max(2);
            let mut lease = outbox.lease(Lane::Documents, large_too, now)?;
            if lease.is_none() && cheap {
                lease = outbox.lease(Lane::Originals, large_too, now)?;
            }
            let Some(lease) = lease else { break };
            self.under_way += 1;
            self.large_under_way += usize::from(lease.entry().is_large());
            begun.push((lease, if cheap { Load::Everything } else { Load::WithoutOriginals }));
        }
        Ok(begun)
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
                if self.breaker.down().is_none() {
                    tracing::warn!(%reason, "nothing can be delivered for now; documents wait in the spool");
                }
                self.breaker.open(&reason, seed, trouble.asked_ms(), now);
                return Ok(());
            }
            Trouble::Server(_) => self.breaker.server_error(&reason, seed, now),
            Trouble::Later(_) | Trouble::Person(_) => self.breaker.answered(now),
        }
        let failures = lease.entry().attempt_count.saturating_add(1);
        let needs_person = matches!(trouble, Trouble::Person(_));
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

    /// Removes delivered documents after their time, each against its receipt, checked once more (INV-3).
    pub fn remove_expired(
        &self,
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
        for _ in 0..REMOVED_MAX {
            let Some(id) = outbox.expired(self.policy.keep, now) else { break };
            match spool.open_document(id) {
                Ok(document) => match document.receipted(receipt_key) {
                    Some(receipt) => {
                        spool.remove_delivered(&receipt)?;
                        outbox.forget(id, now)?;
                    }
                    // Without a receipt that holds it is not delivered, whatever the record says.
                    None => outbox.change(id, now, |entry| entry.delivered = None)?,
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => outbox.forget(id, now)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How long until there may be something to do without being called, in milliseconds; `None` where nothing is.
    pub fn idle_ms(&self, outbox: &Outbox, cheap: bool, now: Timestamp) -> Option<u64> {
        let lanes: &[Lane] = match self.places(now) {
            places if places <= self.under_way => &[],
            _ if cheap => &[Lane::Documents, Lane::Originals],
            _ => &[Lane::Documents],
        };
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
