//! The signing page: what a signer sees and does, by the token in the link.
//!
//! This part knows no HTTP: it takes what was sent and answers what to show. A token that fits nothing and a
//! token whose envelope has ended look different only to someone who once had a right one.

use askama::Template;
use platen_capture::pdf::POINTS_MAX;
use platen_model::{BlankKind, Digest, TenantId};

use super::book::{Deed, EnvelopeRow, Filled, Gap, SignerRow};
use super::identity::Identity;
use super::invitation::Token;
use super::proofs::PinRow;
use super::{CONSENT, Desk, newest, state, turn};
use crate::signing::provider::{EnvelopeState, ProviderError, Reference};
use crate::signing::workplace::{from_ms, now_ms};
use crate::ui::words;

/// The longest name or reason that is kept, in characters.
const TEXT_MAX: usize = 1_000;
/// The longest text that is filled in, in characters.
const ENTRY_MAX: usize = 200;

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
    /// Its name, as signers see it.
    pub sender: String,
    /// The envelope.
    pub reference: Reference,
    envelope: EnvelopeRow,
    signers: Vec<SignerRow>,
    pin: Option<PinRow>,
    position: i64,
    token: Token,
}

/// What a signer sent: the signature and what else was filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The typed name.
    pub name: String,
    /// The signature as it was drawn: lines of points, in thousandths of the drawing's width and height.
    pub strokes: Vec<Vec<[u16; 2]>>,
    /// Texts and ticks by the number of their gap.
    pub entries: Vec<(usize, Option<String>)>,
}

impl Signature {
    /// A typed name and nothing else.
    pub fn typed(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Reads a drawing as the page's script sends it. What is none, or is too long, is as if nothing had been drawn.
    pub fn strokes(text: &str) -> Vec<Vec<[u16; 2]>> {
        let strokes: Vec<Vec<[u16; 2]>> = serde_json::from_str(text).unwrap_or_default();
        let points: usize = strokes.iter().map(Vec::len).sum();
        let on_paper = strokes.iter().flatten().flatten().all(|at| *at <= 1_000);
        if on_paper && points <= POINTS_MAX { strokes } else { Vec::new() }
    }
}

/// A place on a page, as the page shows it.
#[derive(Debug)]
struct Spot {
    what: &'static str,
    /// In thousandths of the page, from its top left corner.
    x: u32,
    y: u32,
    w: u32,
    h: u32,
}

/// A page of the document.
#[derive(Debug)]
struct Sheet {
    number: u32,
    spots: Vec<Spot>,
}

/// Something to fill in beside the name.
#[derive(Debug)]
struct Question {
    gap: usize,
    label: String,
    tick: bool,
}

/// The page that asks for the code.
#[derive(Debug, Template)]
#[template(path = "sign_code.html")]
pub struct CodePage {
    tenant: String,
    title: String,
    address: String,
    token: String,
    sent: bool,
    message: Option<String>,
}

/// What a browser has to give first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The code that was sent.
    Code,
    /// The PIN that the sender handed over.
    Pin,
}

/// The page that asks for the PIN.
#[derive(Debug, Template)]
#[template(path = "sign_pin.html")]
pub struct PinPage {
    tenant: String,
    title: String,
    token: String,
    locked: bool,
    message: Option<String>,
}

/// The page with the document and the two buttons.
#[derive(Debug, Template)]
#[template(path = "sign.html")]
pub struct SignPage {
    approves: bool,
    questions: Vec<Question>,
    tenant: String,
    signer: String,
    title: String,
    token: String,
    pages: Vec<Sheet>,
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
        let pins = self.book.pins(&tenant, &reference).await?;
        let pin = pins.into_iter().find(|pin| pin.position == position);
        let sender = self.names.name_of(&tenant);
        Ok(Some(Visit { tenant, sender, reference, envelope, signers, pin, position, token }))
    }

    /// Notes that the signer has the document before their eyes.
    pub async fn viewed(&self, visit: &Visit) -> Result<(), ProviderError> {
        self.book.note_viewed(&visit.reference, visit.position).await
    }

    /// Signs. Pressed twice, or after the end, it changes nothing.
    pub async fn sign(
        &self,
        visit: &Visit,
        signature: &Signature,
        visitor: &Visitor,
    ) -> Result<(), ProviderError> {
        let name = tidy(&signature.name);
        let entries = visit.filled(signature);
        let deed = Deed {
            name: &name,
            drawn: &signature.strokes,
            entries: &entries,
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
            drawn: &[],
            entries: &[],
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
        newest(&self.envelope, &self.signers).map(|(_, pdf)| pdf).ok()
    }

    /// Whether this signer may have the document before their eyes: while it is their turn, and after they signed, until it
    /// comes to nothing; who gets a copy, once all have.
    pub fn may_see(&self) -> bool {
        let signed = self.signer().is_some_and(|signer| signer.signed_ms.is_some());
        let is_copy = self.signer().is_some_and(|signer| !signer.acts());
        match state(&self.envelope, &self.signers, now_ms()) {
            EnvelopeState::Completed { .. } => signed || is_copy,
            EnvelopeState::Open { .. } => signed || self.turn() == Turn::Now,
            _ => false,
        }
    }

    /// The signer's place in the envelope.
    pub(super) fn position(&self) -> i64 {
        self.position
    }

    /// The signer's address.
    pub(super) fn address(&self) -> &str {
        self.signer().map(|signer| signer.address.as_str()).unwrap_or_default()
    }

    /// What is kept of the newest code.
    pub(super) fn code_tag(&self) -> Option<&str> {
        self.signer().and_then(|signer| signer.code_tag.as_deref())
    }

    /// Whether a code is asked for.
    pub(super) fn asks_for_code(&self) -> bool {
        self.envelope.identity == Identity::Code.as_str() || self.phone().is_some()
    }

    /// The telephone number that codes go to, where it is not the address.
    pub(super) fn phone(&self) -> Option<&str> {
        self.signer()?.phone.as_deref()
    }

    /// Where codes go, as far as everybody who has the link may know.
    fn code_goes_to(&self) -> String {
        match self.phone() {
            // The last two digits are enough for whoever knows it.
            Some(phone) => {
                format!("your telephone, whose number ends in {}", &phone[phone.len().saturating_sub(2)..])
            }
            None => self.address().to_owned(),
        }
    }

    /// Whether this browser gave the code.
    pub(super) fn gave_code(&self, browser: Option<&str>) -> bool {
        is_browser(self.signer().and_then(|signer| signer.browser_sha256.as_deref()), browser)
    }

    /// What is kept of the PIN, where there is one.
    pub(super) fn pin_hash(&self) -> Option<&str> {
        self.pin.as_ref().map(|pin| pin.pin.as_str())
    }

    /// What this browser has yet to prove before it sees the document.
    pub fn unproved(&self, browser: Option<&str>) -> Option<Asked> {
        let gave_pin = |pin: &PinRow| is_browser(pin.browser_sha256.as_deref(), browser);
        if self.asks_for_code() && !self.gave_code(browser) {
            Some(Asked::Code)
        } else if self.pin.as_ref().is_some_and(|pin| !gave_pin(pin)) {
            Some(Asked::Pin)
        } else {
            None
        }
    }

    /// What was filled in, at gaps the signer has.
    fn filled(&self, signature: &Signature) -> Vec<Filled> {
        let gaps = self.signer().map(SignerRow::blanks).unwrap_or_default();
        let fits = |(gap, text): &(usize, Option<String>)| {
            let kind = gaps.get(*gap)?.kind;
            match (kind, text) {
                (BlankKind::Text, Some(text)) if !tidy(text).is_empty() => {
                    Some(Filled { gap: *gap, text: Some(tidy(text).chars().take(ENTRY_MAX).collect()) })
                }
                (BlankKind::Checkbox, None) => Some(Filled { gap: *gap, text: None }),
                _ => None,
            }
        };
        signature.entries.iter().filter_map(fits).collect()
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
        let Some(signer) = self.signer().filter(|signer| signer.acts()) else { return Turn::Over };
        if turn(&self.signers).is_some_and(|turn| turn < signer.turn) { Turn::NotYet } else { Turn::Now }
    }

    /// The page that asks for the PIN.
    pub fn pin_page(&self, message: Option<&str>) -> PinPage {
        PinPage {
            tenant: self.sender.clone(),
            title: self.envelope.title.clone(),
            token: self.token.as_str().to_owned(),
            locked: self.pin.as_ref().is_some_and(PinRow::is_locked),
            message: message.map(str::to_owned),
        }
    }

    /// The page that asks for the code.
    pub fn code_page(&self, sent: bool, message: Option<&str>) -> CodePage {
        CodePage {
            tenant: self.sender.clone(),
            title: self.envelope.title.clone(),
            address: self.code_goes_to(),
            token: self.token.as_str().to_owned(),
            sent,
            message: message.map(str::to_owned),
        }
    }

    /// What the signer is asked beside the name.
    fn questions(&self) -> Vec<Question> {
        let gaps = self.signer().map(SignerRow::blanks).unwrap_or_default();
        let question = |(gap, blank): (usize, &Gap)| match blank.kind {
            BlankKind::Text => {
                Some(Question { gap, label: format!("Text on page {}", blank.page + 1), tick: false })
            }
            BlankKind::Checkbox => {
                Some(Question { gap, label: format!("Tick the box on page {}", blank.page + 1), tick: true })
            }
            _ => None,
        };
        gaps.iter().enumerate().filter_map(question).collect()
    }

    fn sheet(&self, page: u32) -> Sheet {
        let gaps = self.signer().map(SignerRow::blanks).unwrap_or_default();
        let share = |part: f32| (part * 1_000.0).round() as u32;
        let spot = |gap: &Gap| Spot {
            what: match gap.kind {
                BlankKind::Signature => "Your signature",
                BlankKind::Initials => "Your initials",
                BlankKind::Date => "The date",
                BlankKind::Name => "Your name",
                BlankKind::Text => "Your text",
                BlankKind::Checkbox => "Your tick",
            },
            x: share(gap.place.left),
            y: share(1.0 - gap.place.top),
            w: share(gap.place.right - gap.place.left),
            h: share(gap.place.top - gap.place.bottom),
        };
        Sheet { number: page + 1, spots: gaps.iter().filter(|gap| gap.page == page).map(spot).collect() }
    }

    /// The page with the document. `message` says what was wrong with what was sent.
    pub fn sign_page(&self, page_count: u32, name: &str, message: Option<String>) -> SignPage {
        SignPage {
            tenant: self.sender.clone(),
            signer: self.signer().map(|signer| signer.address.clone()).unwrap_or_default(),
            title: self.envelope.title.clone(),
            token: self.token.as_str().to_owned(),
            approves: self.signer().is_some_and(|signer| !signer.signs()),
            questions: self.questions(),
            pages: (0..page_count).map(|page| self.sheet(page)).collect(),
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
        let all_done = turn(&self.signers).is_none();
        let is_copy = signer.is_some_and(|signer| !signer.acts());
        let sealed = match is_copy {
            true => all_done,
            false => signer.is_some_and(|signer| signer.sealed_sha256.is_some() || !signer.signs()),
        };
        // A signature of an envelope that came to nothing is on record all the same; whoever gave it is told.
        let deed = if signer.is_some_and(SignerRow::signs) { "signature" } else { "approval" };
        let on_record = signed_ms.map(|at| {
            let (at, sender) = (words::second(from_ms(at)), &self.sender);
            format!(" Your {deed} of {at} is on record; ask {sender} if you want a copy of the document.")
        });
        let on_record = on_record.unwrap_or_default();
        let (heading, text) = match (state(&self.envelope, &self.signers, now_ms()), signed_ms) {
            (EnvelopeState::Declined { .. }, _) => (
                "Declined",
                format!("The refusal was recorded, with its reason. Nothing was signed further.{on_record}"),
            ),
            (EnvelopeState::Voided { .. }, _) => (
                "Withdrawn",
                format!("{} has withdrawn this document. There is nothing to sign.{on_record}", self.sender),
            ),
            (EnvelopeState::Expired, None) => (
                "The time to sign has run out",
                format!("Ask {} to send the document again if you still want to sign it.", self.sender),
            ),
            (EnvelopeState::Expired, Some(_)) => {
                ("The time to sign has run out", format!("Not everybody has signed in time.{on_record}"))
            }
            (EnvelopeState::Completed { .. }, None) if is_copy => {
                ("Your copy", format!("All have signed this document for {}.", self.sender))
            }
            (_, Some(at)) if signer.is_some_and(|signer| !signer.signs()) => {
                ("Approved", format!("Your approval was recorded on {}.", words::second(from_ms(at))))
            }
            (_, Some(at)) => {
                ("Signed", format!("Your signature was recorded on {}.", words::second(from_ms(at))))
            }
            (_, None) => (
                "Not your turn yet",
                "Someone else signs before you. You will get a message when it is your turn.".to_owned(),
            ),
        };
        let download = ((signed_ms.is_some() || is_copy) && sealed && self.may_see())
            .then(|| format!("/sign/{}/document.pdf", self.token.as_str()));
        EndPage {
            tenant: self.sender.clone(),
            title: self.envelope.title.clone(),
            heading: heading.to_owned(),
            text,
            download,
        }
    }
}

/// Whether a browser is the one whose secret this digest is of.
fn is_browser(kept: Option<&str>, browser: Option<&str>) -> bool {
    let given = browser.map(|secret| Digest::of(secret.as_bytes()).to_string());
    kept.is_some() && kept == given.as_deref()
}

/// What a person typed, on one line and no longer than the limit.
pub(super) fn tidy(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MAX).collect();
    line.trim().to_owned()
}
