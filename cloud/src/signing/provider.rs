//! What a signing provider is to us: the one trait, and the words it is spoken in.
//!
//! A provider is a thin translator between its own API and these few questions. It decides nothing: when to
//! call, when to look up and what follows is said once for all providers in [`super::lifecycle`]. The danger
//! is the call whose outcome is unknown. A provider must therefore say of every failure which of three kinds
//! it is ([`ProviderError`]), and must never claim [`ProviderError::NotTaken`] unless it is certain.

use std::borrow::Cow;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use platen_model::{Blank, Digest, DocumentId, EnvelopeId, PageRecord, Recipient, Role, TenantId};

/// The most signers of an envelope: so many seals have room on the first page.
pub const SIGNERS_MAX: usize = 12;

/// Whether, and when, an envelope can be looked up by our key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// At once and exactly.
    Exact,
    /// Exactly, but what was made is found only so long after it was made: an index lags.
    After(Duration),
    /// Not at all. An unknown outcome goes to a person, unless only a draft can be lost.
    Never,
}

/// How far a callback can be believed once its check holds. State always comes from the API (INV-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callbacks {
    /// Signed over its whole body.
    Signed,
    /// Something signed that is not its body: whoever saw one can make others.
    Partial,
    /// A secret in a header, the same each time.
    Shared,
    /// There are none: its envelopes are asked about on a timer.
    None,
}

/// What a provider can do. A route that needs more is refused when its policy is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// An envelope is made as a draft that nobody hears of, and sent by a second call that may be repeated.
    pub drafts: bool,
    /// Whether an envelope can be looked up by our key.
    pub lookup: Lookup,
    /// How its callbacks are proved.
    pub callbacks: Callbacks,
    /// It knows recipients who approve without signing.
    pub approvers: bool,
    /// The most recipients who only get a copy.
    pub copies_max: usize,
    /// Recipients can be asked one after the other.
    pub ordered: bool,
    /// What is to be filled in is placed by coordinates.
    pub coordinates: bool,
    /// It ends an envelope by itself when its time is over; otherwise we withdraw it then.
    pub expires: bool,
    /// It only ever adds to the PDF, and seals it: what comes back begins with the bytes that were sent.
    pub incremental: bool,
    /// It keeps an audit trail or certificate that can be fetched.
    pub audit_trail: bool,
    /// An open envelope can be withdrawn.
    pub void: bool,
    /// Its state tells an envelope that was withdrawn from an open one.
    pub tells_withdrawn: bool,
    /// Signers can be reminded.
    pub remind: bool,
    /// Signers can be asked for a code that goes to their telephone.
    pub sms: bool,
    /// The most calls in a minute, over all envelopes of an account.
    pub calls_a_minute: u32,
    /// Longest time one call may take before we call its outcome unknown.
    pub call_deadline: Duration,
    /// How long after the deadline a call may still take effect; until then a lookup proves nothing.
    pub settles_within: Duration,
    /// How often an envelope's state is asked for when no callback hints at news.
    pub poll_every: Duration,
    /// Shortest time between two questions for the state of one envelope, whatever callbacks say.
    pub rest_between_polls: Duration,
}

impl Capabilities {
    /// What a route asks for that the provider lacks, as a sentence; `None` where it lacks nothing.
    pub fn lacks(&self, recipients: &[Recipient]) -> Option<String> {
        let copies = recipients.iter().filter(|recipient| recipient.role == Role::Cc).count();
        let asked_in_turn = recipients.iter().filter(|recipient| recipient.role.acts());
        let first = asked_in_turn.clone().next().map_or(1, |recipient| recipient.order);
        let in_turn = asked_in_turn.clone().any(|recipient| recipient.order != first);
        if !self.approvers && recipients.iter().any(|recipient| recipient.role == Role::Approver) {
            Some("knows no approvers: let them approve in Platen (`approvals`), or make them signers".into())
        } else if copies > self.copies_max {
            Some(format!("sends at most {} copies, and the route names {copies}", self.copies_max))
        } else if !self.sms && recipients.iter().any(|recipient| recipient.phone.is_some()) {
            Some(
                "sends no codes by telephone: leave `phone` out (the desk sends them, with `[desk.sms]`)"
                    .into(),
            )
        } else if in_turn && !self.ordered {
            Some("cannot ask recipients one after the other: give them the same `order`".into())
        } else {
            None
        }
    }
}

/// The size of a page as it is shown, in points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PageSize {
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
}

impl PageSize {
    /// The size of a page that was read.
    pub fn of(page: &PageRecord) -> Self {
        let points = |px: u32| px as f32 * 72.0 / page.dpi.max(1) as f32;
        Self { w: points(page.width_px), h: points(page.height_px) }
    }
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
    /// Who signs, approves and gets a copy, by order; at least one signs, at most [`SIGNERS_MAX`] do.
    pub recipients: Vec<Recipient>,
    /// What they fill in, and where.
    pub blanks: Vec<Blank>,
    /// The sizes of the pages.
    pub pages: Vec<PageSize>,
    /// When the envelope ends unsigned.
    pub expires_at: Timestamp,
}

impl Order {
    /// The recipients that the envelope waits for.
    pub fn acting(&self) -> impl Iterator<Item = &Recipient> {
        self.recipients.iter().filter(|recipient| recipient.role.acts())
    }

    /// The addresses of [`Order::acting`].
    pub fn addresses(&self) -> Vec<String> {
        self.acting().map(|recipient| recipient.address.clone()).collect()
    }

    /// Whether recipients are asked one after the other.
    pub fn in_turn(&self) -> bool {
        let mut orders = self.acting().map(|recipient| recipient.order);
        let first = orders.next();
        orders.any(|order| Some(order) != first)
    }

    /// The size of a page; A4 where it is not known.
    pub fn page(&self, index: u32) -> PageSize {
        self.pages.get(index as usize).copied().unwrap_or(PageSize { w: 595.28, h: 841.89 })
    }
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
    /// Made, but nobody was asked yet: it has to be sent.
    Draft,
    /// Waiting for signers.
    Open {
        /// Who has looked at it, in order.
        viewed_by: Vec<String>,
        /// Who has done their part, in order.
        signed_by: Vec<String>,
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
    /// What stood after the `?` of the address; empty where nothing did.
    pub query: &'a str,
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
    /// Nothing happened: it could not be reached, or says it is out of order. Five of these, or of
    /// [`ProviderError::Unknown`], in a short time and it is left alone for a while.
    #[error("out of reach: {0}")]
    Down(String),
    /// Nothing happened, and it says when to come again (429), or our own budget does.
    #[error("not taken, to be tried again in {} s: {reason}", .after.as_secs())]
    Later {
        /// When.
        after: Duration,
        /// Why.
        reason: String,
    },
    /// It may or may not have happened (time-out, lost answer, 5xx): look it up before trying again.
    #[error("outcome unknown: {0}")]
    Unknown(String),
    /// The provider said no, and will say so again.
    #[error("refused: {0}")]
    Refused(String),
}

/// What a provider answers.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, ProviderError>>;

/// What an account is: its name, whose it is, what it can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// Its name in policies and URLs: the provider's, and the account's after a slash where it has accounts.
    pub name: Cow<'static, str>,
    /// The tenant whose it is; every tenant's where there is none.
    pub tenant: Option<TenantId>,
    /// What it can do.
    pub can: Capabilities,
}

impl Card {
    /// The card of a provider that serves every tenant.
    pub const fn of_all(name: &'static str, can: Capabilities) -> Self {
        Self { name: Cow::Borrowed(name), tenant: None, can }
    }
}

/// One signing provider account.
pub trait Provider: Send + Sync + std::fmt::Debug {
    /// What it is.
    fn card(&self) -> &Card;

    /// Whether this tenant may use it.
    fn serves(&self, tenant: &TenantId) -> bool {
        self.card().tenant.as_ref().is_none_or(|owner| owner == tenant)
    }

    /// Its name in policies and URLs.
    fn name(&self) -> &str {
        &self.card().name
    }

    /// What it can do.
    fn capabilities(&self) -> Capabilities {
        self.card().can
    }

    /// Creates the envelope with our key in it, as a draft where it can ([`Capabilities::drafts`]); where it cannot,
    /// the first recipients are asked at once.
    fn create<'a>(&'a self, order: &'a Order) -> Answer<'a, Reference>;

    /// Asks the first recipients of a draft. One that was sent before stays as it is; where there are no drafts, each
    /// was.
    fn send<'a>(&'a self, _tenant: &'a TenantId, _reference: &'a Reference) -> Answer<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    /// The envelope that carries our key, if there is one; the oldest, if there are several. `since` is when it was
    /// made at the earliest.
    fn find<'a>(
        &'a self,
        tenant: &'a TenantId,
        key: EnvelopeId,
        since: Timestamp,
    ) -> Answer<'a, Option<Reference>>;

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

    /// The certificate or audit trail of an envelope that ended, as a PDF, where the provider keeps one apart from
    /// the signed PDF.
    fn certificate<'a>(
        &'a self,
        _tenant: &'a TenantId,
        _reference: &'a Reference,
    ) -> Answer<'a, Option<Vec<u8>>> {
        Box::pin(async { Ok(None) })
    }

    /// Headers of its callbacks that carry a secret, in lower case: they are never kept.
    fn secret_headers(&self) -> &'static [&'static str] {
        &[]
    }

    /// A callback's body without secrets: signing links and tokens are replaced. What else it says stays as it came.
    fn redact<'b>(&self, body: &'b [u8]) -> Cow<'b, [u8]> {
        Cow::Borrowed(body)
    }

    /// What a callback that was kept is answered with.
    fn thanks(&self) -> &'static str {
        ""
    }

    /// Checks and reads a callback for this tenant's account.
    ///
    /// # Errors
    ///
    /// [`Forged`], when it is not certain that the provider sent it.
    fn verify(&self, tenant: &TenantId, callback: &Callback<'_>) -> Result<Hint, Forged>;
}
