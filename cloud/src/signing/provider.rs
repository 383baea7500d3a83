//! What a signing provider is to us: the one trait, and the words it is spoken in.
//!
//! A provider is a thin translator between its own API and these few questions. It decides nothing: when to
//! call, when to look up and what follows is said once for all providers in [`super::lifecycle`]. The danger
//! is the call whose outcome is unknown. A provider must therefore say of every failure which of three kinds
//! it is ([`ProviderError`]), and must never claim [`ProviderError::NotTaken`] unless it is certain.

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use platen_model::{Digest, DocumentId, EnvelopeId, TenantId};

/// The most signers of an envelope: so many seals have room on the first page.
pub const SIGNERS_MAX: usize = 12;

/// What a provider can do. A route that needs more is refused when its policy is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// An envelope can be looked up by our key. Without it an unknown outcome goes to a person.
    pub find_by_key: bool,
    /// It calls back when something happens.
    pub webhooks: bool,
    /// An open envelope can be withdrawn.
    pub void: bool,
    /// Signers can be reminded.
    pub remind: bool,
    /// Longest time one call may take before we call its outcome unknown.
    pub call_deadline: Duration,
    /// How long after the deadline a call may still take effect; until then a lookup proves nothing.
    pub settles_within: Duration,
    /// Shortest time between two questions for the state of one envelope.
    pub poll_every: Duration,
}

/// What is to be signed, by whom, until when.
#[derive(Clone, Debug)]
pub struct Order {
    /// Our key: stored before the call, the same at every repetition (INV-10).
    pub envelope_id: EnvelopeId,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The document.
    pub document_id: DocumentId,
    /// The name the signer sees: the original's file name.
    pub title: String,
    /// Digest of the PDF to sign.
    pub pdf_sha256: Digest,
    /// Its bytes.
    pub pdf: Vec<u8>,
    /// The signers' addresses in order; at least one, at most [`SIGNERS_MAX`].
    pub signers: Vec<String>,
    /// When the envelope ends unsigned.
    pub expires_at: Timestamp,
}

/// The provider's own id of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference(pub String);

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where an envelope is at the provider. This, not any callback, is the truth (INV-11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvelopeState {
    /// Waiting for signers.
    Open {
        /// Who has looked at it, in order.
        viewed_by: Vec<String>,
    },
    /// All have signed, and the signed PDF can be fetched.
    Completed {
        /// Who signed, in order.
        signers: Vec<String>,
    },
    /// A signer refused.
    Declined {
        /// Who.
        signer: String,
        /// Why, in the signer's words.
        reason: String,
    },
    /// Its time ran out.
    Expired,
    /// It was withdrawn.
    Voided {
        /// Why.
        reason: String,
    },
}

/// A verified callback: which envelope something may have happened to. What happened, we ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    /// The provider's id of the envelope; absent where the event is of a kind we do not know.
    pub reference: Option<Reference>,
    /// The provider's name of the event, for people.
    pub kind: String,
    /// What tells this callback from every other: repetitions have the same.
    pub id: String,
}

/// A callback as it came.
#[derive(Clone, Copy, Debug)]
pub struct Callback<'a> {
    /// Header names in lower case, and their values.
    pub headers: &'a [(String, String)],
    /// The exact body.
    pub body: &'a [u8],
    /// When it came.
    pub received_at: Timestamp,
}

impl Callback<'_> {
    /// The value of a header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Why a callback is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forged {
    /// There is no signature, or not in the form the provider uses.
    #[error("it carries no signature")]
    Unsigned,
    /// The signature is not by the shared secret over these bytes.
    #[error("its signature does not hold")]
    BadSignature,
    /// It was signed too long ago, or in the future: perhaps a replay.
    #[error("its time stamp is not within the tolerance")]
    Stale,
    /// The signature holds, but the body is not what the provider sends.
    #[error("its body cannot be read")]
    Unreadable,
    /// This provider does not call back.
    #[error("this provider does not call back")]
    NotExpected,
}

/// Why a call failed: the kind decides whether it may be repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Certainly nothing happened at the provider: it may be tried again later.
    #[error("not taken: {0}")]
    NotTaken(String),
    /// It may or may not have happened (time-out, lost answer, 5xx): look it up before trying again.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// The provider said no, and will say so again.
    #[error("refused: {0}")]
    Refused(String),
}

/// What a provider answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

/// One signing provider account.
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// Its name in policies and URLs.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Creates the envelope with our key in it and invites the first signer.
    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference>;

    /// The envelope that carries our key, if there is one.
    fn find<'a>(&'a self, tenant: &'a TenantId, key: EnvelopeId) -> Answer<'a, Option<Reference>>;

    /// Where the envelope is.
    fn state<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, EnvelopeState>;

    /// The signed PDF of a completed envelope; the same bytes each time.
    fn signed_pdf<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, Vec<u8>>;

    /// Withdraws an open envelope. One that has ended stays as it is: ask for its state afterwards.
    fn void<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference, reason: &'a str) -> Answer<'a, ()>;

    /// Invites the signer whose turn it is once more.
    fn remind<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, ()>;

    /// What the provider itself recorded of the envelope, without secrets, for the evidence.
    fn record<'a>(&'a self, tenant: &'a TenantId, reference: &'a Reference) -> Answer<'a, serde_json::Value>;

    /// Checks and reads a callback for this tenant's account.
    ///
    /// # Errors
    ///
    /// [`Forged`], when it is not certain that the provider sent it.
    fn verify(&self, tenant: &TenantId, callback: &Callback<'_>) -> Result<Hint, Forged>;
}
