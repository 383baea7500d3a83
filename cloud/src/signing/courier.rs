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
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{Digest, DocumentId, EnvelopeId, TenantId};

use super::lifecycle::{AfterCall, CallMark, Following, Sending, after_call, following, sending};
use super::provider::{Order, Provider, ProviderError, Reference};
use super::workplace::Shelf;

/// How long a step waits before it tries again what did not work.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// What helps where the provider will never answer for an envelope it took.
const LOST: &str = "look for the envelope at the provider, then send the document on its way again (retry)";
/// A step that finds the document moved this often under its hands gives way to the others.
const LOOKS_MAX: u32 = 8;

/// A document on its way to a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The tenant.
    pub tenant_id: TenantId,
    /// The document.
    pub document_id: DocumentId,
    /// The number of events in its chain when it was read.
    pub version: u64,
    /// Where it is.
    pub status: Status,
    /// The name the signer sees.
    pub title: String,
    /// The provider its route names.
    pub provider: Option<String>,
    /// The signers' addresses in order.
    pub signers: Vec<String>,
    /// The PDF to sign.
    pub pdf_sha256: Digest,
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
    /// When it ends unsigned.
    pub expires_at: Timestamp,
}

/// A step failed for a reason of our own: database or disk. It may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub String);

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
}

/// What a step answers to whoever runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepEnd {
    /// Nothing is left for it to do.
    Done,
    /// Run it again at that time.
    At(Timestamp),
}

/// Carries documents to their providers and back.
#[derive(Clone)]
pub struct Courier {
    /// The books.
    pub ledger: Arc<dyn Ledger>,
    /// Where PDFs are.
    pub shelf: Arc<dyn Shelf>,
    /// The providers by name.
    pub providers: BTreeMap<&'static str, Arc<dyn Provider>>,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier").field("providers", &self.providers.keys()).finish_non_exhaustive()
    }
}

impl Courier {
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

    /// Makes the envelope known to the provider, once.
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
        let Some(provider) = self.provider(&case) else {
            let name = case.provider.clone().unwrap_or_default();
            let reason = format!("this installation has no signing provider called {name}");
            return self.set_aside(&case, reason, "configure the provider, then retry the document").await;
        };
        let can = provider.capabilities();
        let mark = self.ledger.call_mark(envelope.envelope_id).await?;
        let attempt = match sending(mark, now, &can) {
            Sending::WaitUntil(at) => return Ok(StepEnd::At(at)),
            Sending::AskPerson => {
                let reason = "whether the provider took the envelope is not known, and it cannot be asked";
                let help =
                    "look for the envelope at the provider, withdraw it there if it exists, then retry";
                return self.set_aside(&case, reason.into(), help).await;
            }
            Sending::Call { attempt } => attempt,
            Sending::LookUpThenCall { attempt } => {
                match timed(can.call_deadline, provider.find(tenant, envelope.envelope_id)).await {
                    Ok(Some(reference)) => return self.note_sent(&case, reference, again).await,
                    Ok(None) => attempt,
                    Err(error) => return Ok(later(&case, "find", &error, again)),
                }
            }
        };
        let pdf = self.shelf.get(tenant, case.pdf_sha256).await.map_err(LedgerError)?;
        let order = Order {
            envelope_id: envelope.envelope_id,
            tenant_id: case.tenant_id.clone(),
            document_id: case.document_id,
            title: case.title.clone(),
            pdf_sha256: case.pdf_sha256,
            pdf,
            signers: case.signers.clone(),
            expires_at: envelope.expires_at,
        };
        if !self.ledger.mark_call(envelope.envelope_id, attempt, now).await? {
            return Ok(again);
        }
        let answer = timed(can.call_deadline, provider.create(&order)).await;
        if let Err(error) = &answer {
            later(&case, "create", error, again);
        }
        match after_call(answer) {
            AfterCall::Sent(reference) => self.note_sent(&case, reference, again).await,
            AfterCall::Unmark => {
                self.ledger.unmark_call(envelope.envelope_id, attempt).await?;
                Ok(again)
            }
            AfterCall::KeepMark => Ok(again),
            AfterCall::SetAside(reason) => {
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
        for _ in 0..LOOKS_MAX {
            let Some(case) = self.ledger.case(tenant, document).await? else { return Ok(StepEnd::Done) };
            let open = matches!(case.status, Status::Sent | Status::Viewed);
            let reference = case.envelope.as_ref().and_then(|envelope| envelope.reference.clone());
            let (true, Some(reference), Some(provider)) = (open, reference, self.provider(&case)) else {
                return Ok(StepEnd::Done);
            };
            let can = provider.capabilities();
            let again = StepEnd::At(after(now, can.poll_every.max(Duration::from_millis(200))));
            let state = match timed(can.call_deadline, provider.state(tenant, &reference)).await {
                Ok(state) => state,
                Err(ProviderError::Refused(reason)) => return self.set_aside(&case, reason, LOST).await,
                Err(error) => return Ok(later(&case, "state", &error, again)),
            };
            let body = match following(case.status, &state) {
                Following::Nothing => return Ok(again),
                Following::Event(body) => body,
                Following::FetchSigned { signers } => {
                    let fetched = timed(can.call_deadline, provider.signed_pdf(tenant, &reference)).await;
                    // A provider may say "completed" before its file is ready.
                    let pdf = match fetched {
                        Ok(pdf) if pdf.starts_with(b"%PDF-") => pdf,
                        Ok(_) => return Ok(again),
                        Err(ProviderError::Refused(reason)) => {
                            return self.set_aside(&case, reason, LOST).await;
                        }
                        Err(error) => return Ok(later(&case, "signed_pdf", &error, again)),
                    };
                    let signed = self.shelf.put(tenant, pdf).await.map_err(LedgerError)?;
                    super::lifecycle::signed(signers, signed)
                }
            };
            let actor = Actor::Provider(provider.name().to_owned());
            self.ledger.append(&case, actor, body).await?;
        }
        Ok(StepEnd::At(after(now, RETRY_AFTER)))
    }

    /// Withdraws a document's open envelope at its provider. The event follows from the provider's state.
    pub async fn void(
        &self,
        tenant: &TenantId,
        document: DocumentId,
        reason: &str,
        now: Timestamp,
    ) -> Result<(), ProviderError> {
        let broken = |error: LedgerError| ProviderError::NotTaken(error.0);
        let case = self.ledger.case(tenant, document).await.map_err(broken)?;
        let open = case.filter(|case| matches!(case.status, Status::Sent | Status::Viewed));
        let nothing = || ProviderError::Refused("the document has no open envelope".into());
        let case = open.ok_or_else(nothing)?;
        let reference = case.envelope.as_ref().and_then(|envelope| envelope.reference.clone());
        let (Some(reference), Some(provider)) = (reference, self.provider(&case)) else {
            return Err(nothing());
        };
        provider.void(tenant, &reference, reason).await?;
        self.poll_envelope(tenant, document, now).await.map_err(broken)?;
        Ok(())
    }

    fn provider(&self, case: &Case) -> Option<&Arc<dyn Provider>> {
        case.provider.as_ref().and_then(|name| self.providers.get(name.as_str()))
    }

    async fn note_sent(
        &self,
        case: &Case,
        reference: Reference,
        again: StepEnd,
    ) -> Result<StepEnd, LedgerError> {
        let body = EventBody::Sent { provider_reference: reference.0 };
        let noted = self.ledger.append(case, Actor::System, body).await?;
        Ok(if noted { StepEnd::Done } else { again })
    }

    async fn set_aside(&self, case: &Case, reason: String, help: &str) -> Result<StepEnd, LedgerError> {
        let body = EventBody::Quarantined { reason, help: help.to_owned() };
        self.ledger.append(case, Actor::System, body).await?;
        Ok(StepEnd::Done)
    }
}

/// Says in the log why a call is tried again: a provider that fails for long must be noticed by somebody.
fn later(case: &Case, call: &str, error: &ProviderError, again: StepEnd) -> StepEnd {
    let provider = case.provider.as_deref().unwrap_or_default();
    tracing::warn!(document = %case.document_id, provider, call, %error, "a provider failed");
    again
}

/// The answer of a call, or [`ProviderError::Unknown`] when it takes longer than its deadline.
async fn timed<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    match tokio::time::timeout(deadline, call).await {
        Ok(answer) => answer,
        Err(_) => Err(ProviderError::Unknown(format!("no answer within {} s", deadline.as_secs()))),
    }
}

fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now + SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)
}
