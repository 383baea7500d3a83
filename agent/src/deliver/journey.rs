//! The journey of one document from the spool to the cloud, up to the checked receipt.
//!
//! ```text
//! open -> a receipt lies there already -> delivered
//!      -> part, part, … -> commit -> the receipt is checked, kept -> delivered
//! ```
//!
//! A journey sends nothing: it says which request is next, and goes on with what came back. It reads the spool and
//! writes the outbox. So the agent carries it over a real network, and the simulator over one that cuts, doubles and
//! corrupts, through the same code. It may be abandoned at any point and begun again: what the cloud has is not sent
//! again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use platen_model::PartRole;
use platen_model::manifest::{DEFERRED_HEADER, SIGNATURE_HEADER, SignedReceipt};
use serde::Deserialize;

use super::access::{Access, Badge};
use super::dispatch::Delivery;
use super::pace::{Bandwidth, Chunk, ChunkSize};
use super::part::PartJourney;
use super::trouble::{Trouble, of_another, unreadable};
use super::wire::{Answer, Cut, Method, Request};
use crate::outbox::{Lease, Outbox};
use crate::spool::{Acceptance, Spool, SpooledDocument};

/// The media type of a manifest.
pub const MANIFEST_TYPE: &str = "application/vnd.platen.manifest+json";

/// The field of a manifest that names the device which delivers it, as the cloud complains of it.
const DEVICE_FIELD: &str = "device_id";

/// What all journeys share.
#[derive(Debug)]
pub struct Tools {
    /// Where documents lie.
    pub spool: Spool,
    /// Where uploads under way are remembered.
    pub outbox: Outbox,
    /// Who we are.
    pub badge: Badge,
    shared: Mutex<Shared>,
}

#[derive(Debug)]
struct Shared {
    access: Access,
    chunk: ChunkSize,
    bandwidth: Bandwidth,
}

/// How much of a document is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// All parts.
    Everything,
    /// All but the originals, which follow over a cheaper link.
    WithoutOriginals,
}

/// What is next.
#[derive(Debug)]
pub enum Next {
    /// Send this, then call [`Journey::answered`].
    Send(Request),
    /// It has ended.
    Ended(Result<Delivery, Trouble>),
}

/// One attempt.
#[derive(Debug)]
pub struct Journey {
    lease: Lease,
    load: Load,
    state: State,
    document: Option<SpooledDocument>,
    /// The token of the request that is out; `None` for a request that asks for one.
    token: Option<String>,
    /// Whether a new token was fetched because one was refused.
    renewed: bool,
    /// Whether the cloud refused the manifest once, and all parts were asked for again.
    asked_again: bool,
    failed: Option<Trouble>,
}

#[derive(Debug)]
enum State {
    Open,
    Part(PartJourney, usize),
    Commit,
    Ended(Option<Delivery>),
}

/// What matters of the answer to a manifest.
#[derive(Deserialize)]
struct Accepted {
    receipt: SignedReceipt,
}

impl Tools {
    /// Tools for a cloud; `chunk_bytes` bounds one upload request.
    pub fn new(spool: Spool, outbox: Outbox, badge: Badge, chunk_bytes: u64, bandwidth: Bandwidth) -> Self {
        let chunk = ChunkSize::new(chunk_bytes.min(bandwidth.chunk_bytes()));
        Self {
            spool,
            outbox,
            badge,
            shared: Mutex::new(Shared { access: Access::default(), chunk, bandwidth }),
        }
    }

    /// How long a request with so many bytes has to wait for its turn, in milliseconds.
    pub fn turn_ms(&self, bytes: usize, now: Timestamp) -> u64 {
        self.lock().bandwidth.take(bytes, now)
    }

    pub(super) fn next_chunk(&self) -> Chunk {
        self.lock().chunk.next()
    }

    pub(super) fn chunk_was_corrupted(&self) {
        self.lock().chunk.was_corrupted();
    }

    pub(super) fn chunk_got_through(&self, bytes: u64, took_ms: u64) {
        self.lock().chunk.got_through(bytes, took_ms);
    }

    pub(super) fn chunk_was_too_large(&self, bytes: u64) -> bool {
        self.lock().chunk.was_too_large(bytes)
    }

    pub(super) fn chunk_was_cut(&self) {
        self.lock().chunk.was_cut();
    }

    /// The token in force.
    pub(super) fn token(&self, now: Timestamp) -> Option<String> {
        self.lock().access.token(now).map(str::to_owned)
    }

    /// The request for a new one.
    pub(super) fn token_request(&self, now: Timestamp) -> Request {
        self.lock().access.request(&self.badge, now)
    }

    /// Takes the token out of an answer; without an error but without a token: ask once more.
    pub(super) fn token_answered(&self, answer: &Answer, now: Timestamp) -> Result<(), Trouble> {
        self.lock().access.answered(answer, now)
    }

    /// Forgets a token that the cloud did not accept.
    pub(super) fn forget_token(&self, token: &str) {
        self.lock().access.forget(token);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journey {
    /// A journey with this load for the holder of a lease.
    pub fn begin(lease: Lease, load: Load) -> Self {
        let (state, document) = (State::Open, None);
        Self { lease, load, state, document, token: None, renewed: false, asked_again: false, failed: None }
    }

    /// Gives the lease back when the journey has ended, or is given up.
    pub fn into_lease(self) -> Lease {
        self.lease
    }

    /// The document's id.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// What is next. Reads the disk; a large part is read as a whole once.
    pub fn next(&mut self, tools: &Tools, now: Timestamp) -> Next {
        if let Some(trouble) = self.failed.take() {
            return Next::Ended(Err(trouble));
        }
        match self.wanted(tools, now) {
            Err(trouble) => Next::Ended(Err(trouble)),
            Ok(None) => match std::mem::replace(&mut self.state, State::Ended(None)) {
                State::Ended(Some(delivery)) => Next::Ended(Ok(delivery)),
                _ => Next::Ended(Err(Trouble::own("the journey had ended before".into()))),
            },
            Ok(Some(mut request)) => {
                let shared = tools.lock();
                let Some(token) = shared.access.token(now) else {
                    self.token = None;
                    return Next::Send(shared.access.request(&tools.badge, now));
                };
                request.headers.push(("authorization", format!("Bearer {token}")));
                self.token = Some(token.to_owned());
                if let Some(document) = &self.document {
                    request
                        .headers
                        .push(("traceparent", document.manifest.correlation_id.as_str().to_owned()));
                }
                Next::Send(request)
            }
        }
    }

    /// Goes on with what came back.
    pub fn answered(&mut self, tools: &Tools, answer: Result<Answer, Cut>, now: Timestamp) {
        self.failed = self.go_on(tools, answer, now).err();
    }

    fn wanted(&mut self, tools: &Tools, now: Timestamp) -> Result<Option<Request>, Trouble> {
        loop {
            match &mut self.state {
                State::Open => self.open(tools)?,
                State::Ended(_) => return Ok(None),
                State::Part(part, index) => {
                    let Some(document) = &self.document else { return Ok(None) };
                    if let Some(request) = part.next(document, tools, now)? {
                        return Ok(Some(request));
                    }
                    let after = *index + 1;
                    self.state = self.part_from(after);
                }
                State::Commit => return Ok(self.document.as_ref().map(|it| commit(it, self.load, tools))),
            }
        }
    }

    fn open(&mut self, tools: &Tools) -> Result<(), Trouble> {
        let document = tools.spool.open_document(self.lease.id());
        let document = document.map_err(|error| unreadable(&error))?;
        // A receipt that was kept before the record could say so.
        let receipt = document.receipted(&tools.badge.receipt_key);
        if !document.manifest.may_defer_originals() {
            self.load = Load::Everything;
        }
        self.document = Some(document);
        self.state = match receipt {
            Some(receipt) => State::Ended(Some(Delivery::Whole(receipt))),
            None => self.part_from(0),
        };
        Ok(())
    }

    /// The first part from `index` on that this load carries; after the last, the commit.
    fn part_from(&self, index: usize) -> State {
        let parts = self.document.iter().flat_map(|document| &document.manifest.parts);
        let carried = |role| self.load == Load::Everything || role != PartRole::Original;
        let next = parts.enumerate().skip(index).find(|(_, part)| carried(part.role));
        next.map_or(State::Commit, |(index, _)| State::Part(PartJourney::new(index), index))
    }

    fn go_on(&mut self, tools: &Tools, answer: Result<Answer, Cut>, now: Timestamp) -> Result<(), Trouble> {
        if let Ok(answer) = &answer
            && let Some(another) = of_another(answer)
        {
            return Err(Trouble::Link(another));
        }
        let Some(token) = self.token.take() else {
            return tools.lock().access.answered(&answer?, now);
        };
        if let Ok(Answer { status: 401, .. }) = answer {
            tools.lock().access.forget(&token);
            if !std::mem::replace(&mut self.renewed, true) {
                // The token was at its end: the same request again, with a new one.
                return Ok(());
            }
            return Err(Trouble::Access(
                "the cloud does not accept the token it has just given (401)".into(),
            ));
        }
        match &mut self.state {
            State::Part(part, _) => match &self.document {
                Some(document) => part.answered(answer, document, tools, now),
                None => Ok(()),
            },
            State::Commit => self.committed(tools, &answer?),
            State::Open | State::Ended(_) => Ok(()),
        }
    }

    fn committed(&mut self, tools: &Tools, answer: &Answer) -> Result<(), Trouble> {
        let Some(document) = &mut self.document else { return Ok(()) };
        let device = tools.badge.device;
        if answer.status == 422
            && document.manifest.device_id != Some(device)
            && answer.complains_of(DEVICE_FIELD)
        {
            // Captured before the device was enrolled anew. The cloud does not have it: of a document it has, it takes the
            // manifest that it knows from any device of the tenant.
            tracing::info!(document = %document.manifest.document_id, %device, "handed over to the device enrolled now");
            document.hand_over_to(device).map_err(|error| unreadable(&error))?;
            return Ok(());
        }
        if answer.status == 422 && !std::mem::replace(&mut self.asked_again, true) {
            // Perhaps it lacks a part that it had a moment ago: every part is asked for once more.
            self.state = self.part_from(0);
            return Ok(());
        }
        if !matches!(answer.status, 200 | 202) {
            return Err(Trouble::of_answer("committing the document", answer));
        }
        // Cut short or garbled on its way: the cloud answers the same again.
        let accepted: Accepted = serde_json::from_slice(&answer.body)
            .map_err(|error| Trouble::Later(format!("the cloud's answer cannot be read: {error}")))?;
        let accepted = document.accept(&accepted.receipt, &tools.badge.receipt_key);
        self.state = State::Ended(Some(match accepted {
            Ok(Acceptance::Whole(receipt)) => Delivery::Whole(receipt),
            Ok(Acceptance::OriginalsOwed) => Delivery::OriginalsOwed,
            Err(error)
                if error.get_ref().is_none_or(|inner| !inner.is::<crate::spool::document::BadReceipt>()) =>
            {
                return Err(Trouble::Later(format!("the cloud's receipt cannot be kept: {error}")));
            }
            Err(error) => {
                return Err(Trouble::Person(format!(
                    "the cloud's receipt is not accepted, the document is kept: {error}"
                )));
            }
        }));
        Ok(())
    }
}

/// The manifest's exact bytes, signed.
fn commit(document: &SpooledDocument, load: Load, tools: &Tools) -> Request {
    let badge = &tools.badge;
    let signature = format!("{} {}", badge.device, badge.key.sign(&document.manifest_bytes));
    let mut headers = vec![
        ("content-type", MANIFEST_TYPE.to_owned()),
        (SIGNATURE_HEADER, signature),
        ("idempotency-key", document.manifest.document_id.to_string()),
    ];
    if load == Load::WithoutOriginals {
        headers.push((DEFERRED_HEADER, "originals".to_owned()));
    }
    let url = format!("{}/v1/documents", badge.url);
    Request { method: Method::Post, url, headers, body: document.manifest_bytes.clone() }
}
