//! What the parts tell about themselves, for `status`. Nothing is decided from it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use platen_model::CaptureId;

use jiff::Timestamp;

use crate::config::Source;
use crate::deliver::breaker::Breaker;
use crate::spool::BlankAside;
use crate::status::{InWork, LinkStatus, SourceStatus};

/// The most documents whose blank pages are told, the newest.
const BLANK_ASIDE_MAX: usize = 100;

#[derive(Debug)]
pub(super) struct Board {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    sources: BTreeMap<String, SourceStatus>,
    in_work: BTreeMap<CaptureId, InWork>,
    /// Captures that are tried again in a while, and why they could not be carried on.
    waiting: BTreeMap<CaptureId, String>,
    link: LinkStatus,
    /// Documents without the blank pages of their scans, newest first.
    blank_aside: VecDeque<BlankAside>,
}

impl Board {
    /// `blank_aside`: what is known from before, newest first.
    pub(super) fn new(sources: &[Source], blank_aside: Vec<BlankAside>) -> Self {
        let status = |source: &Source| SourceStatus { name: source.name.clone(), ..SourceStatus::default() };
        let sources = sources.iter().map(|source| (source.name.clone(), status(source))).collect();
        let blank_aside = blank_aside.into_iter().take(BLANK_ASIDE_MAX).collect();
        Self { inner: Mutex::new(Inner { sources, blank_aside, ..Inner::default() }) }
    }

    pub(super) fn source(&self, told: SourceStatus) {
        let mut inner = self.lock();
        if let Some(status) = inner.sources.get_mut(&told.name) {
            if let Some(trouble) = told.trouble.as_ref().filter(|_| status.trouble != told.trouble) {
                tracing::warn!(source = %told.name, %trouble, "a source needs attention");
            }
            if let Some(silence) = told.silence.as_ref().filter(|_| status.silence.is_none()) {
                tracing::warn!(source = %told.name, %silence, "a source is silent");
            }
            *status = told;
        }
    }

    pub(super) fn work_begun(&self, id: CaptureId, file_name: String) {
        self.lock().waiting.remove(&id);
        let work = InWork { capture_id: id.to_string(), file_name, pages_done: 0, pages: 0 };
        self.lock().in_work.insert(id, work);
    }

    pub(super) fn pages_done(&self, id: CaptureId, done: usize, pages: usize) {
        if let Some(work) = self.lock().in_work.get_mut(&id) {
            (work.pages_done, work.pages) = (done, pages);
        }
    }

    /// A capture could not be carried on for a reason that passes.
    pub(super) fn capture_waits(&self, id: CaptureId, why: String) {
        self.lock().waiting.insert(id, why);
    }

    /// It was carried on, or somebody else has it now.
    pub(super) fn capture_waits_no_more(&self, id: CaptureId) {
        self.lock().waiting.remove(&id);
    }

    pub(super) fn work_ended(&self, id: CaptureId) {
        self.lock().in_work.remove(&id);
    }

    /// Blank pages of a new document were set aside.
    pub(super) fn blank_set_aside(&self, aside: BlankAside) {
        let mut inner = self.lock();
        inner.blank_aside.retain(|other| other.document_id != aside.document_id);
        inner.blank_aside.push_front(aside);
        inner.blank_aside.truncate(BLANK_ASIDE_MAX);
    }

    /// The documents whose blank pages were set aside, newest first.
    pub(super) fn blank_aside(&self) -> Vec<BlankAside> {
        self.lock().blank_aside.iter().cloned().collect()
    }

    /// How many captures are tried again in a while, and why the first could not be carried on.
    pub(super) fn waiting(&self) -> (usize, Option<String>) {
        let inner = self.lock();
        (inner.waiting.len(), inner.waiting.values().next().cloned())
    }

    pub(super) fn link(&self, breaker: &Breaker, opens_at: Option<Timestamp>, dear: Option<String>) {
        let down = breaker.down();
        self.lock().link = LinkStatus {
            opens_at,
            metered: dear,
            down_since: down.map(|(since, _)| since),
            reason: down.map(|(_, reason)| reason.to_owned()),
            last_answer: breaker.last_answer(),
        };
    }

    pub(super) fn read(&self) -> (Vec<SourceStatus>, Vec<InWork>, LinkStatus) {
        let inner = self.lock();
        let sources = inner.sources.values().cloned().collect();
        (sources, inner.in_work.values().cloned().collect(), inner.link.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
