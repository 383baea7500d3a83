//! What the parts tell about themselves, for `status`. Nothing is decided from it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use platen_model::CaptureId;

use jiff::Timestamp;

use crate::config::Source;
use crate::deliver::breaker::Breaker;
use crate::status::{InWork, LinkStatus, SourceStatus};

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
}

impl Board {
    pub(super) fn new(sources: &[Source]) -> Self {
        let status = |source: &Source| SourceStatus { name: source.name.clone(), ..SourceStatus::default() };
        let sources = sources.iter().map(|source| (source.name.clone(), status(source))).collect();
        Self { inner: Mutex::new(Inner { sources, ..Inner::default() }) }
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

    pub(super) fn work_ended(&self, id: CaptureId) {
        self.lock().in_work.remove(&id);
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
