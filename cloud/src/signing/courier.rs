//! The steps of signing: each one short, each one repeatable at any time by any worker (INV-5).
//!
//! ```text
//! create_envelope   our key into the chain
//! send_envelope     mark, (look up), call, the provider's reference into the chain
//! poll_envelope     the provider's state into the chain, again and again until an end
//! ```
//!
//! A step reads where the document is, does at most one thing that others can see, and proposes the event
//! that says so. A proposal made on an old version is refused by the ledger, and the step looks again. So two
//! workers on one document, a kill between any two lines, and callbacks in any order all end alike.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{Blank, Digest, DocumentId, EnvelopeId, PageText, Recipient, TenantId};

use super::gate::{Clock, Gate};
use super::lifecycle::{
    AfterCall, CallMark, Following, Known, Sending, after_call, completed, following, sending,
};
use super::provider::{
    EnvelopeState, Lookup, Order, PageSize, Provider, ProviderError, Reference, SIGNERS_MAX,
};
use super::returned::Examiner;
use super::workplace::Shelf;
use crate::store::envelopes::OVERDUE_MS;

mod withdrawal;

/// How long a step waits before it tries again what did not work.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long a step waits while its route or account is paused.
const PAUSED_LOOK: Duration = Duration::from_secs(15);
/// An envelope that is open so long after its time needs a person.
const OVERDUE_AFTER: Duration = Duration::from_millis(OVERDUE_MS.unsigned_abs());
/// A provider that answers for so long with something else than the signed PDF will go on to do so.
const NO_PDF_FOR: Duration = Duration::from_secs(3600);
/// Why we withdraw what has no end at its provider.
const OVER: &str = "its time to be signed is over";
/// What helps where the provider will never answer for an envelope it took.
const LOST: &str = "look for the envelope at the provider, then send the document on its way again (retry); where it is \
                    gone for good, withdraw it here and retry for a new one";
/// A step that finds the document moved this often under its hands gives way to the others.
const LOOKS_MAX: u32 = 8;

/// A document on its way to a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The document.
    pub document_id: DocumentId,
    /// The number of events in its chain when it was read.
    pub version: u64,
    /// Where it is.
    pub status: Status,
    /// Where it was when it was set aside.
    pub resume: Option<Status>,
    /// The name the signer sees.
    pub title: String,
    /// The route the policy chose.
    pub route: String,
    /// The account its route names.
    pub provider: Option<String>,
    /// Who signs, approves and gets a copy.
    pub recipients: Vec<Recipient>,
    /// What they fill in, and where.
    pub blanks: Vec<Blank>,
    /// Who of them is known to have done their part.
    pub signed_by: Vec<String>,
    /// The PDF to sign.
    pub pdf_sha256: Digest,
    /// Its page text, where it has one: it says how large the pages are.
    pub page_text_sha256: Option<Digest>,
    /// Its current envelope.
    pub envelope: Option<CaseEnvelope>,
}

/// The envelope of a [`Case`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseEnvelope {
    /// Our key.
    pub envelope_id: EnvelopeId,
    /// The provider's id, once known.
    pub reference: Option<Reference>,
    /// When our key was stored.
    pub created_at: Timestamp,
    /// When it ends unsigned.
    pub expires_at: Timestamp,
    /// How often its recipients are reminded.
    pub remind_every: Option<Duration>,
}

/// A step failed for a reason of our own. It may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The database or the storage is busy or away: it goes better soon.
    #[error("{0}")]
    Busy(String),
    /// Something that is kept cannot be read, or could not be looked at.
    #[error("{0}")]
    Broken(String),
}

/// To whom a provider's word is passed on nothing happened there.
impl From<LedgerError> for ProviderError {
    fn from(error: LedgerError) -> Self {
        Self::NotTaken(error.to_string())
    }
}

/// What steps need of the books. Everything else about storage is none of their business.
pub trait Ledger: Send + Sync {
    /// Where a document is; `None` if the tenant has no such document.
    fn case<'a>(
        &'a self,
        tenant: &'a TenantId,
        document: DocumentId,
    ) -> BoxFuture<'a, Result<Option<Case>, LedgerError>>;

    /// Appends an event; the step that follows is asked for in the same transaction. Answers `false`, and
    /// does nothing, when the document is no longer at the version the case was read at.
    fn append<'a>(
        &'a self,
        case: &'a Case,
        actor: Actor,
        body: EventBody,
    ) -> BoxFuture<'a, Result<bool, LedgerError>>;

    /// The mark of a call whose outcome is not known.
    fn call_mark(&self, envelope: EnvelopeId) -> BoxFuture<'_, Result<Option<CallMark>, LedgerError>>;

    /// Marks a call before it is made. `false` when another worker marked this attempt first.
    fn mark_call(
        &self,
        envelope: EnvelopeId,
        attempt: u32,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<bool, LedgerError>>;

    /// Removes the mark of an attempt that certainly had no effect.
    fn unmark_call(&self, envelope: EnvelopeId, attempt: u32) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Keeps the draft that an attempt made. The first one kept counts; answers that one.
    fn keep_draft(
        &self,
        envelope: EnvelopeId,
        draft: Reference,
    ) -> BoxFuture<'_, Result<Reference, LedgerError>>;

    /// Notes that the provider is asked for the state now, unless it was within `rest`: then it answers when it may
    /// be asked.
    fn note_poll(
        &self,
        envelope: EnvelopeId,
        now: Timestamp,
        rest: Duration,
    ) -> BoxFuture<'_, Result<Option<Timestamp>, LedgerError>>;

    /// Notes that the provider answered with something else than the signed PDF; answers since when it does.
    fn note_no_pdf(
        &self,
        envelope: EnvelopeId,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Timestamp, LedgerError>>;

    /// Notes that an envelope's recipients are reminded now, unless they were within `every`.
    fn note_reminder(
        &self,
        envelope: EnvelopeId,
        now: Timestamp,
        every: Duration,
    ) -> BoxFuture<'_, Result<bool, LedgerError>>;

    /// Why nothing is sent on this case's route or through its account now, if an operator paused it.
    fn paused<'a>(&'a self, case: &'a Case) -> BoxFuture<'a, Result<Option<String>, LedgerError>>;
}

/// What a step answers to whoever runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepEnd {
    /// Nothing is left for it to do.
    Done,
    /// Run it again at that time.
    At(Timestamp),
}

/// An account at a provider, and the gate before it.
#[derive(Clone, Debug)]
pub struct Account {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// Every call to it passes here.
    pub gate: Arc<Gate>,
}

/// Carries documents to their providers and back.
#[derive(Clone)]
pub struct Courier {
    ledger: Arc<dyn Ledger>,
    shelf: Arc<dyn Shelf>,
    examiner: Examiner,
    accounts: BTreeMap<String, Account>,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier").field("accounts", &self.accounts.keys()).finish_non_exhaustive()
    }
}

impl Courier {
    /// A courier between these books, PDFs and providers.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        shelf: Arc<dyn Shelf>,
        examiner: Examiner,
        providers: impl IntoIterator<Item = Arc<dyn Provider>>,
    ) -> Self {
        Self::with_clock(ledger, shelf, examiner, providers, &(Arc::new(Instant::now) as Clock))
    }

    /// The same, with gates that go by another clock.
    pub fn with_clock(
        ledger: Arc<dyn Ledger>,
        shelf: Arc<dyn Shelf>,
        examiner: Examiner,
        providers: impl IntoIterator<Item = Arc<dyn Provider>>,
        clock: &Clock,
    ) -> Self {
        let account = |provider: Arc<dyn Provider>| {
            let gate = Arc::new(Gate::with_clock(&provider.capabilities(), Arc::clone(clock)));
            (provider.name().to_owned(), Account { provider, gate })
        };
        Self { ledger, shelf, examiner, accounts: providers.into_iter().map(account).collect() }
    }

    /// The accounts that a tenant may use, by name.
    pub fn accounts_of<'a>(&'a self, tenant: &'a TenantId) -> impl Iterator<Item = (&'a str, &'a Account)> {
        let all = self.accounts.iter().map(|(name, account)| (name.as_str(), account));
        all.filter(move |(_, account)| account.provider.serves(tenant))
    }

    /// An account by its name, if this tenant may use it.
    pub fn account(&self, tenant: &TenantId, name: &str) -> Option<&Account> {
        self.accounts.get(name).filter(|account| account.provider.serves(tenant))
    }

    /// All accounts, by name.
    pub fn accounts(&self) -> &BTreeMap<String, Account> {
        &self.accounts
    }

    /// Stores our key, or lets a document without a provider go to the archive.
    pub async fn create_envelope(
        &self,
        tenant: &TenantId,
        document: DocumentId,
    ) -> Result<StepEnd, LedgerError> {
        for _ in 0..LOOKS_MAX {
            let Some(case) = self.ledger.case(tenant, document).await? else { return Ok(StepEnd::Done) };
            let (Status::Routed, Some(provider)) = (case.status, &case.provider) else {
                return Ok(StepEnd::Done);
            };
            let body = EventBody::EnvelopeCreated {
                envelope_id: EnvelopeId::new(),
                provider: provider.clone(),
                document_sha256: case.pdf_sha256,
            };
            if self.ledger.append(&case, Actor::System, body).await? {
                return Ok(StepEnd::Done);
            }
        }
        Ok(StepEnd::At(after(Timestamp::now(), RETRY_AFTER)))
    }

    /// Makes the envelope known to the provider, once, and asks its first recipients.
    pub async fn send_envelope(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        now: Timestamp,
    ) -> Result<StepEnd, LedgerError> {
        let Some(case) = self.ledger.case(tenant, document).await? else { return Ok(StepEnd::Done) };
        let (Status::EnvelopeCreated, Some(envelope)) = (case.status, &case.envelope) else {
            return Ok(StepEnd::Done);
        };
        let again = StepEnd::At(after(now, RETRY_AFTER));
        let Some(account) = self.account_of(&case) else { return self.no_account(&case).await };
        if let Some(why) = self.ledger.paused(&case).await? {
            tracing::info!(document = %case.document_id, why, "an envelope waits");
            return Ok(StepEnd::At(after(now, PAUSED_LOOK)));
        }
        let can = account.provider.capabilities();
        let mark = self.ledger.call_mark(envelope.envelope_id).await?;
        let mut looked_up = false;
        let attempt = match sending(mark.as_ref(), now, &can) {
            Sending::WaitUntil(at) => return Ok(StepEnd::At(at)),
            Sending::AskPerson => {
                let reason = "whether the provider took the envelope is not known, and it cannot be asked";
                let help = "look for the envelope at the provider and withdraw it there if it exists; then withdraw it \
                            here, and retry";
                return self.set_aside(&case, reason.into(), help).await;
            }
            Sending::SendDraft(draft) => return self.send_draft(&case, account, draft, now).await,
            Sending::Call { attempt } => attempt,
            Sending::LookUpThenCall { attempt } => {
                let find = account.provider.find(tenant, envelope.envelope_id, envelope.created_at);
                looked_up = true;
                match account.gate.call(can.call_deadline, find).await {
                    Ok(Some(reference)) => return self.taken(&case, account, reference, now).await,
                    Ok(None) => attempt,
                    Err(error) => return Ok(later(&case, "find", &error, now)),
                }
            }
        };
        // Nothing is under way, and nobody could sign it any more.
        if now >= envelope.expires_at {
            // What somebody may have signed has not expired, whatever was answered of it. Of a draft nobody hears.
            if !looked_up && !can.drafts && can.lookup != Lookup::Never {
                let find = account.provider.find(tenant, envelope.envelope_id, envelope.created_at);
                match account.gate.call(can.call_deadline, find).await {
                    Ok(Some(reference)) => return self.taken(&case, account, reference, now).await,
                    Ok(None) => {}
                    Err(error) => return Ok(later(&case, "find", &error, now)),
                }
            }
            return self.expired(&case, now).await;
        }
        let order = self.order(&case, envelope).await?;
        if let Some(reason) = unfit(&order) {
            return self
                .set_aside(&case, reason, "correct the route's recipients, then retry the document")
                .await;
        }
        if !self.ledger.mark_call(envelope.envelope_id, attempt, now).await? {
            return Ok(again);
        }
        let answer = account.gate.call(can.call_deadline, account.provider.create(&order)).await;
        let next = match &answer {
            Err(error) => later(&case, "create", error, now),
            Ok(_) => again,
        };
        match after_call(answer) {
            AfterCall::Taken(reference) => self.taken(&case, account, reference, now).await,
            AfterCall::Unmark(_) => {
                self.ledger.unmark_call(envelope.envelope_id, attempt).await?;
                Ok(next)
            }
            AfterCall::KeepMark => Ok(next),
            AfterCall::SetAside(reason) => {
                // It was not taken, so a retry may call at once.
                self.ledger.unmark_call(envelope.envelope_id, attempt).await?;
                self.set_aside(&case, reason, "correct the signers or the route, then retry the document")
                    .await
            }
        }
    }

    /// Brings the document to where the provider says its envelope is.
    pub async fn poll_envelope(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        now: Timestamp,
    ) -> Result<StepEnd, LedgerError> {
        let mut asked = None;
        for _ in 0..LOOKS_MAX {
            let Some(case) = self.ledger.case(tenant, document).await? else { return Ok(StepEnd::Done) };
            let open = matches!(case.status, Status::Sent | Status::Viewed);
            let (true, Some(envelope)) = (open, &case.envelope) else { return Ok(StepEnd::Done) };
            let Some(reference) = &envelope.reference else { return Ok(StepEnd::Done) };
            let Some(account) = self.account_of(&case) else { return self.no_account(&case).await };
            let can = account.provider.capabilities();
            let again = StepEnd::At(after(now, can.poll_every.max(Duration::from_millis(200))));
            // One answer is enough for all the events it leads to.
            let state = match asked.take() {
                Some(state) => state,
                None => {
                    let rest = can.rest_between_polls;
                    if let Some(at) = self.ledger.note_poll(envelope.envelope_id, now, rest).await? {
                        return Ok(StepEnd::At(at));
                    }
                    let state = account.provider.state(tenant, reference);
                    match account.gate.call(can.call_deadline, state).await {
                        Ok(state) => state,
                        Err(ProviderError::Refused(reason)) => {
                            return self.set_aside(&case, reason, LOST).await;
                        }
                        Err(error) => return Ok(later(&case, "state", &error, now)),
                    }
                }
            };
            let is_over = now >= envelope.expires_at;
            if now >= after(envelope.expires_at, OVERDUE_AFTER) {
                let name = account.provider.name();
                tracing::error!(%document, account = name, %reference, "an envelope is open long after its time");
            }
            let known = Known { status: case.status, signed_by: &case.signed_by, is_over };
            let body = match following(known, &state, &can) {
                Following::Nothing => {
                    self.remind_in_time(&case, account, now).await?;
                    return Ok(again);
                }
                Following::Event(body) => *body,
                Following::Send => {
                    let send = account.provider.send(tenant, reference);
                    return match account.gate.call(can.call_deadline, send).await {
                        Ok(()) => Ok(again),
                        Err(error) => Ok(later(&case, "send", &error, now)),
                    };
                }
                Following::Withdraw => {
                    let void = account.provider.void(tenant, reference, OVER);
                    if let Err(error) = account.gate.call(can.call_deadline, void).await {
                        let soon = later(&case, "void", &error, now);
                        // A no is repeated: it is asked no oftener than about the state.
                        return Ok(if matches!(error, ProviderError::Refused(_)) { again } else { soon });
                    }
                    // It may have been signed or declined a moment before: then that counts.
                    let state = account.provider.state(tenant, reference);
                    match account.gate.call(can.call_deadline, state).await {
                        Ok(ended @ (EnvelopeState::Completed { .. } | EnvelopeState::Declined { .. })) => {
                            asked = Some(ended);
                            continue;
                        }
                        Ok(EnvelopeState::Open { .. }) if can.tells_withdrawn => {
                            tracing::warn!(%document, %reference, "an envelope is open though it was withdrawn");
                            return Ok(again);
                        }
                        // Not every provider tells a withdrawn envelope from an open one; of a draft nobody hears.
                        Ok(_) => EventBody::Expired,
                        Err(error) => return Ok(later(&case, "state", &error, now)),
                    }
                }
                Following::FetchSigned { signers } => {
                    let fetch = account.provider.signed_pdf(tenant, reference);
                    // A provider may say "completed" before its file is ready.
                    let pdf = match account.gate.call(can.call_deadline, fetch).await {
                        Ok(pdf) if pdf.starts_with(b"%PDF-") => pdf,
                        Ok(_) => return self.no_pdf(&case, envelope, now, again).await,
                        Err(ProviderError::Refused(reason)) => {
                            return self.set_aside(&case, reason, LOST).await;
                        }
                        Err(error) => return Ok(later(&case, "signed_pdf", &error, now)),
                    };
                    let sent = self.shelf.get(tenant, case.pdf_sha256).await?;
                    let found = self.examiner.examine(tenant, pdf.clone(), sent, can.incremental, now).await;
                    let finding = found.map_err(LedgerError::Broken)?;
                    let pdf = self.shelf.put(tenant, pdf).await?;
                    completed(signers, pdf, finding)
                }
            };
            let actor = Actor::Provider(account.provider.name().to_owned());
            self.ledger.append(&case, actor, body).await?;
            asked = Some(state);
        }
        Ok(StepEnd::At(after(now, RETRY_AFTER)))
    }

    /// Reminds the recipients of an open envelope where their route says so. It is noted before: a reminder is rather left
    /// out than sent twice.
    async fn remind_in_time(
        &self,
        case: &Case,
        account: &Account,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let Some(envelope) = &case.envelope else { return Ok(()) };
        let (Some(every), Some(reference)) = (envelope.remind_every, &envelope.reference) else {
            return Ok(());
        };
        let can = account.provider.capabilities();
        let is_due = now >= after(envelope.created_at, every) && now < envelope.expires_at && can.remind;
        if !is_due || self.ledger.paused(case).await?.is_some() {
            return Ok(());
        }
        if self.ledger.note_reminder(envelope.envelope_id, now, every).await? {
            let remind = account.provider.remind(&case.tenant_id, reference);
            if let Err(error) = account.gate.call(can.call_deadline, remind).await {
                let document = case.document_id;
                tracing::warn!(%document, %error, "the recipients of an envelope could not be reminded this time");
            }
        }
        Ok(())
    }

    /// Reminds the recipients whose turn it is.
    pub async fn remind(
        &self,
        tenant: &TenantId,
        name: &str,
        reference: &Reference,
    ) -> Result<(), ProviderError> {
        let nothing = || ProviderError::Refused(format!("there is no signing account {name}"));
        let account = self.account(tenant, name).ok_or_else(nothing)?;
        let can = account.provider.capabilities();
        if !can.remind {
            return Err(ProviderError::Refused(format!("{name} cannot remind its recipients")));
        }
        account.gate.call(can.call_deadline, account.provider.remind(tenant, reference)).await
    }

    fn account_of(&self, case: &Case) -> Option<&Account> {
        case.provider.as_ref().and_then(|name| self.account(&case.tenant_id, name))
    }

    /// What came as the signed PDF is none. Its file may not be ready; if that lasts, a person has to look.
    async fn no_pdf(
        &self,
        case: &Case,
        envelope: &CaseEnvelope,
        now: Timestamp,
        again: StepEnd,
    ) -> Result<StepEnd, LedgerError> {
        let (document, provider) = (case.document_id, case.provider.as_deref().unwrap_or_default());
        tracing::warn!(%document, provider, "what the provider sent as the signed PDF is no PDF");
        let since = self.ledger.note_no_pdf(envelope.envelope_id, now).await?;
        if now < after(since, NO_PDF_FOR) {
            return Ok(again);
        }
        let reason = "the provider says that all have signed, and what it sends as the signed PDF is no PDF";
        let help = "look at the envelope at the provider; when its file can be had there, send the document on its \
                    way again (retry)";
        self.set_aside(case, reason.into(), help).await
    }

    async fn no_account(&self, case: &Case) -> Result<StepEnd, LedgerError> {
        let name = case.provider.clone().unwrap_or_default();
        let reason = format!("there is no signing account called {name} for this tenant");
        self.set_aside(case, reason, "configure the account, then retry the document").await
    }

    async fn order(&self, case: &Case, envelope: &CaseEnvelope) -> Result<Order, LedgerError> {
        let pdf = self.shelf.get(&case.tenant_id, case.pdf_sha256).await?;
        let pages = match case.page_text_sha256 {
            Some(sha256) => {
                let bytes = self.shelf.get(&case.tenant_id, sha256).await?;
                let text: PageText =
                    serde_json::from_slice(&bytes).map_err(|error| LedgerError::Broken(error.to_string()))?;
                text.pages.iter().map(PageSize::of).collect()
            }
            None => Vec::new(),
        };
        Ok(Order {
            envelope_id: envelope.envelope_id,
            tenant_id: case.tenant_id.clone(),
            document_id: case.document_id,
            title: case.title.clone(),
            pdf_sha256: case.pdf_sha256,
            pdf,
            recipients: case.recipients.clone(),
            blanks: case.blanks.clone(),
            pages,
            expires_at: envelope.expires_at,
        })
    }

    /// The provider has the envelope: where that is only a draft, its recipients are asked now.
    async fn taken(
        &self,
        case: &Case,
        account: &Account,
        reference: Reference,
        now: Timestamp,
    ) -> Result<StepEnd, LedgerError> {
        if !account.provider.capabilities().drafts {
            return self.note_sent(case, reference, now).await;
        }
        let Some(envelope) = &case.envelope else { return Ok(StepEnd::Done) };
        // Kept before it is sent: of two drafts only this one ever is.
        let draft = self.ledger.keep_draft(envelope.envelope_id, reference).await?;
        self.send_draft(case, account, draft, now).await
    }

    async fn send_draft(
        &self,
        case: &Case,
        account: &Account,
        draft: Reference,
        now: Timestamp,
    ) -> Result<StepEnd, LedgerError> {
        let deadline = account.provider.capabilities().call_deadline;
        if let Some(envelope) = case.envelope.as_ref().filter(|envelope| now >= envelope.expires_at) {
            return self.end_draft(case, account, draft, envelope.expires_at, now).await;
        }
        match account.gate.call(deadline, account.provider.send(&case.tenant_id, &draft)).await {
            Ok(()) => self.note_sent(case, draft, now).await,
            Err(ProviderError::Refused(reason)) => {
                let help = "correct the signers or the route, then retry the document";
                self.set_aside(case, reason, help).await
            }
            Err(error) => Ok(later(case, "send", &error, now)),
        }
    }

    /// Ends a draft whose time is over: nobody is asked any more. A call to send it may have been made before, and its
    /// answer lost: what is no draft by now was sent, and ends as all others do.
    async fn end_draft(
        &self,
        case: &Case,
        account: &Account,
        draft: Reference,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> Result<StepEnd, LedgerError> {
        let can = account.provider.capabilities();
        // Until then the last call to send it may still take effect.
        let settled = after(expires_at, can.call_deadline + can.settles_within);
        if now < settled {
            return Ok(StepEnd::At(settled));
        }
        let state = account.provider.state(&case.tenant_id, &draft);
        match account.gate.call(can.call_deadline, state).await {
            Ok(EnvelopeState::Draft) => {}
            Ok(EnvelopeState::Voided { .. } | EnvelopeState::Expired) => {
                return self.expired(case, now).await;
            }
            Ok(_) => return self.note_sent(case, draft, now).await,
            Err(ProviderError::Refused(reason)) => return self.set_aside(case, reason, LOST).await,
            Err(error) => return Ok(later(case, "state", &error, now)),
        }
        if can.void {
            let void = account.provider.void(&case.tenant_id, &draft, OVER);
            match account.gate.call(can.call_deadline, void).await {
                Ok(()) => {}
                // It stays there as a draft, of which nobody hears.
                Err(ProviderError::Refused(reason)) => {
                    tracing::warn!(document = %case.document_id, %draft, reason, "a draft was not removed");
                }
                Err(error) => return Ok(later(case, "void", &error, now)),
            }
        }
        self.expired(case, now).await
    }

    async fn expired(&self, case: &Case, now: Timestamp) -> Result<StepEnd, LedgerError> {
        let ended = self.ledger.append(case, Actor::System, EventBody::Expired).await?;
        Ok(if ended { StepEnd::Done } else { StepEnd::At(after(now, RETRY_AFTER)) })
    }

    async fn note_sent(
        &self,
        case: &Case,
        reference: Reference,
        now: Timestamp,
    ) -> Result<StepEnd, LedgerError> {
        // The first reminder is due so long after the sending, which may come long after the envelope was made.
        if let Some((envelope, every)) =
            case.envelope.as_ref().and_then(|it| Some((it.envelope_id, it.remind_every?)))
        {
            self.ledger.note_reminder(envelope, now, every).await?;
        }
        let body = EventBody::Sent { provider_reference: reference.0 };
        let noted = self.ledger.append(case, Actor::System, body).await?;
        Ok(if noted { StepEnd::Done } else { StepEnd::At(after(now, RETRY_AFTER)) })
    }

    async fn set_aside(&self, case: &Case, reason: String, help: &str) -> Result<StepEnd, LedgerError> {
        let body = EventBody::Quarantined { reason, help: help.to_owned(), returned: None };
        self.ledger.append(case, Actor::System, body).await?;
        Ok(StepEnd::Done)
    }
}

/// Why an order cannot be given to any provider.
fn unfit(order: &Order) -> Option<String> {
    let count = order.acting().count();
    (!(1..=SIGNERS_MAX).contains(&count))
        .then(|| format!("an envelope has 1 to {SIGNERS_MAX} signers and approvers, this one has {count}"))
}

/// Says in the log why a call is tried again: a provider that fails for long must be noticed by somebody.
fn later(case: &Case, call: &str, error: &ProviderError, now: Timestamp) -> StepEnd {
    let provider = case.provider.as_deref().unwrap_or_default();
    tracing::warn!(document = %case.document_id, provider, call, %error, "a provider failed");
    let wait = match error {
        ProviderError::Later { after, .. } => (*after).max(RETRY_AFTER),
        _ => RETRY_AFTER,
    };
    StepEnd::At(after(now, wait))
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}
