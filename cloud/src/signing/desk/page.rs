//! The signing page: what a signer sees and does, by the token in the link.
//!
//! This part knows no HTTP: it takes what was sent and answers what to show. A token that fits nothing and a
//! token whose envelope has ended look different only to someone who once had a right one.

use askama::Template;
use platen_model::{Digest, TenantId};

use super::book::{Deed, EnvelopeRow, SignerRow};
use super::invitation::Token;
use super::{CONSENT, Desk, state};
use crate::signing::provider::{EnvelopeState, ProviderError, Reference};
use crate::signing::workplace::{from_ms, now_ms};
use crate::ui::words;

/// The longest name or reason that is kept, in characters.
const TEXT_MAX: usize = 1_000;

/// Where a request came from, as far as it can be known.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// The network address.
    pub remote_address: String,
    /// What the browser calls itself.
    pub user_agent: String,
}

/// A signer at the desk: a link that fits.
#[derive(Debug)]
pub struct Visit {
    /// The tenant that asks.
    pub tenant: TenantId,
    /// The envelope.
    pub reference: Reference,
    envelope: EnvelopeRow,
    signers: Vec<SignerRow>,
    position: i64,
    token: Token,
}

/// The page with the document and the two buttons.
#[derive(Debug, Template)]
#[template(path = "sign.html")]
pub struct SignPage {
    tenant: String,
    signer: String,
    title: String,
    token: String,
    pages: Vec<u32>,
    page_count: u32,
    expires: String,
    consent: &'static str,
    name: String,
    message: Option<String>,
}

/// The page after it.
#[derive(Debug, Template)]
#[template(path = "sign_end.html")]
pub struct EndPage {
    tenant: String,
    title: String,
    heading: String,
    text: String,
    download: Option<String>,
}

/// Which of the two to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is this signer's turn.
    Now,
    /// Someone before has not signed.
    NotYet,
    /// Nothing is left to do for this signer.
    Over,
}

impl Desk {
    /// The visit a token opens; `None` if it fits nothing.
    pub async fn visit(&self, token: &str) -> Result<Option<Visit>, ProviderError> {
        let token = Token::given(token);
        let Some((tenant, reference, position)) = self.book.by_token(&token).await? else { return Ok(None) };
        let (envelope, signers) = self.book.read(&tenant, &reference).await?;
        Ok(Some(Visit { tenant, reference, envelope, signers, position, token }))
    }

    /// Notes that the signer has the document before their eyes.
    pub async fn viewed(&self, visit: &Visit) -> Result<(), ProviderError> {
        self.book.note_viewed(&visit.reference, visit.position).await
    }

    /// Signs. Pressed twice, or after the end, it changes nothing.
    pub async fn sign(&self, visit: &Visit, name: &str, visitor: &Visitor) -> Result<(), ProviderError> {
        let name = tidy(name);
        let deed = Deed {
            name: &name,
            consent: CONSENT,
            remote_address: &tidy(&visitor.remote_address),
            user_agent: &tidy(&visitor.user_agent),
        };
        // Who signs has seen it, even if the first answer to the page was lost.
        self.book.note_viewed(&visit.reference, visit.position).await?;
        self.book.sign(&visit.reference, visit.position, &deed).await?;
        // The signature is kept from here on. A seal that fails now is made at the next look.
        if let Err(error) = self.finish(&visit.tenant, &visit.reference).await {
            tracing::warn!(%error, envelope = %visit.reference, "the seal of a signature is not made yet");
        }
        Ok(())
    }

    /// Declines, with the signer's reason.
    pub async fn decline(&self, visit: &Visit, reason: &str, visitor: &Visitor) -> Result<(), ProviderError> {
        let deed = Deed {
            name: "",
            consent: "",
            remote_address: &tidy(&visitor.remote_address),
            user_agent: &tidy(&visitor.user_agent),
        };
        self.book.decline(&visit.reference, visit.position, &tidy(reason), &deed).await
    }
}

impl Visit {
    fn signer(&self) -> Option<&SignerRow> {
        self.signers.iter().find(|signer| signer.position == self.position)
    }

    /// Digest of the PDF this signer is to see: with the seals of those before.
    pub fn pdf(&self) -> Option<Digest> {
        let sealed = self.signers.iter().filter_map(|signer| signer.sealed_sha256.as_ref()).next_back();
        sealed.unwrap_or(&self.envelope.pdf_sha256).parse().ok()
    }

    /// The document's name.
    pub fn title(&self) -> &str {
        &self.envelope.title
    }

    /// The document.
    pub fn document_id(&self) -> &str {
        &self.envelope.document_id
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Turn {
        let open = matches!(state(&self.envelope, &self.signers, now_ms()), EnvelopeState::Open { .. });
        if !open || self.signer().is_none_or(|signer| signer.signed_ms.is_some()) {
            return Turn::Over;
        }
        let before = self.signers.iter().filter(|signer| signer.position < self.position);
        if before.clone().all(|signer| signer.signed_ms.is_some()) { Turn::Now } else { Turn::NotYet }
    }

    /// The page with the document. `message` says what was wrong with what was sent.
    pub fn sign_page(&self, page_count: u32, name: &str, message: Option<String>) -> SignPage {
        SignPage {
            tenant: self.tenant.to_string(),
            signer: self.signer().map(|signer| signer.address.clone()).unwrap_or_default(),
            title: self.envelope.title.clone(),
            token: self.token.as_str().to_owned(),
            pages: (1..=page_count).collect(),
            page_count,
            expires: words::minute(from_ms(self.envelope.expires_ms)),
            consent: CONSENT,
            name: name.to_owned(),
            message,
        }
    }

    /// The page that says how it ended for this signer.
    pub fn end_page(&self) -> EndPage {
        let signer = self.signer();
        let signed_ms = signer.and_then(|signer| signer.signed_ms);
        let sealed = signer.is_some_and(|signer| signer.sealed_sha256.is_some());
        let (heading, text) = match (state(&self.envelope, &self.signers, now_ms()), signed_ms) {
            (EnvelopeState::Declined { .. }, _) => (
                "Declined",
                "The refusal was recorded, with its reason. Nothing was signed further.".to_owned(),
            ),
            (EnvelopeState::Voided { .. }, None) => (
                "Withdrawn",
                format!("{} has withdrawn this document. There is nothing to sign.", self.tenant),
            ),
            (EnvelopeState::Expired, None) => (
                "The time to sign has run out",
                format!("Ask {} to send the document again if you still want to sign it.", self.tenant),
            ),
            (_, Some(at)) => {
                ("Signed", format!("Your signature was recorded on {}.", words::second(from_ms(at))))
            }
            (_, None) => (
                "Not your turn yet",
                "Someone else signs before you. You will get a message when it is your turn.".to_owned(),
            ),
        };
        let download =
            (signed_ms.is_some() && sealed).then(|| format!("/sign/{}/document.pdf", self.token.as_str()));
        EndPage {
            tenant: self.tenant.to_string(),
            title: self.envelope.title.clone(),
            heading: heading.to_owned(),
            text,
            download,
        }
    }
}

/// What a person typed, on one line and no longer than the limit.
pub(super) fn tidy(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect();
    line.trim().to_owned()
}
