//! How a signer proves to be who was invited: by the link alone, or by a one-time code or a PIN as well.
//!
//! The code goes to the same address as the link, in a message of its own, when the page asks for it; so a link that was
//! passed on, or read in a log, is not enough. Where a signer has a telephone number it goes there, and is always asked
//! for: then the mailbox is not enough either. It holds for ten minutes and five tries, and then for the one browser
//! that gave it. Kept of it is a digest under the tenant's key: six digits could be guessed from a plain one.
//!
//! A PIN is the sender's: set for one signer, and handed over by another way than the mailbox. It is kept as a hash
//! that takes its time (argon2id), and after five wrong tries it opens nothing until the sender sets a new one, which
//! both of them can see.

use platen_model::{EnvelopeId, TenantId};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use super::book::Book;
use super::page::Visit;
use super::proofs::CodeKept;
use super::{Desk, mail};
use crate::auth::random_token;
use crate::auth::users::{hash_secret, is_secret};
use crate::signing::provider::{ProviderError, Reference};
use crate::signing::workplace::{internal, now_ms};

/// How long a code holds, in milliseconds.
const CODE_HOLDS_MS: i64 = 10 * 60 * 1000;
/// The shortest time between two codes, in milliseconds.
const CODE_REST_MS: i64 = 30 * 1000;
/// So much of a document's name goes into a message by telephone, in characters.
const SMS_TITLE_MAX: usize = 60;
/// Tries of one code.
const TRIES_MAX: i64 = 5;

/// Shortest and longest PIN, in characters.
const PIN_MIN: usize = 4;
const PIN_MAX: usize = 64;

/// What proves a signer's identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Having the link.
    #[default]
    Link,
    /// Having the link, and a code that was sent to the address.
    Code,
}

impl Identity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::Code => "code",
        }
    }
}

/// What became of a code that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeSent {
    /// It was sent, now or a moment ago.
    Sent,
    /// No more are sent today (`desk.codes_a_day`).
    UsedUp,
}

/// What became of a code that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It is right: the browser keeps this secret from now on.
    Proved(String),
    /// It is wrong.
    Wrong,
    /// It was tried too often, or is too old: a new one is needed.
    Spent,
}

/// What is kept of a PIN.
#[derive(Clone)]
pub struct PinHash(String);

impl std::fmt::Debug for PinHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PinHash")
    }
}

impl Desk {
    /// Sends a new code to the signer of a visit, unless one was sent a moment ago or there were enough of them today.
    pub async fn send_code(&self, visit: &Visit) -> Result<CodeSent, ProviderError> {
        let mut bytes = [0; 4];
        SystemRandom::new().fill(&mut bytes).map_err(|_| internal("no randomness"))?;
        // The remainder favours low codes by less than one in four thousand.
        let code = format!("{:06}", u32::from_be_bytes(bytes) % 1_000_000);
        let tag = self.code_tag(visit, &code)?;
        let (position, now) = (visit.position(), now_ms());
        let codes_max = self.codes_a_day;
        match self.book.keep_code(&visit.reference, position, &tag, now - CODE_REST_MS, codes_max).await? {
            CodeKept::Kept => {}
            CodeKept::Resting => return Ok(CodeSent::Sent),
            CodeKept::UsedUp => {
                let (envelope, address) = (&visit.reference, visit.address());
                tracing::warn!(%envelope, address, codes_max, "a signer asks for more codes than a day has");
                return Ok(CodeSent::UsedUp);
            }
        }
        if let Err(error) = self.carry_code(visit, &code, now).await {
            // It never went out: who asks again is not told that it did.
            self.book.drop_code(&visit.reference, position, &tag).await?;
            return Err(error);
        }
        Ok(CodeSent::Sent)
    }

    /// Carries a code to whoever it is for: to the telephone where a number is known, else to the address.
    async fn carry_code(&self, visit: &Visit, code: &str, now: i64) -> Result<(), ProviderError> {
        let (title, sender) = (visit.title(), &visit.sender);
        if let Some(phone) = visit.phone() {
            let Some(gateway) = &self.sms else {
                return Err(internal("there is no gateway for codes by telephone (`[desk.sms]`)"));
            };
            let short: String = mail::one_line(title).chars().take(SMS_TITLE_MAX).collect();
            let text =
                format!("{code} is your code to sign \"{short}\" for {sender}. It holds for ten minutes.");
            return gateway.send(phone, &text).await;
        }
        let message = mail::Letter {
            to: visit.address(),
            subject: &format!("Your code for \"{title}\""),
            text: &format!(
                "Your code is {code}\r\n\r\nType it on the page where you sign \"{title}\". It holds for ten minutes.\r\n\
                 If you did not ask for it, somebody else has your link: tell {sender}.\r\n",
            ),
            id: format!("{}.{}.code.{now}", visit.reference, visit.position()),
        };
        self.post.send(&message).await
    }

    /// Looks at a code that was given.
    pub async fn prove(&self, visit: &Visit, code: &str) -> Result<Proof, ProviderError> {
        let (reference, position) = (&visit.reference, visit.position());
        if !self.book.count_try(reference, position, TRIES_MAX, now_ms() - CODE_HOLDS_MS).await? {
            return Ok(Proof::Spent);
        }
        let code: String = code.chars().filter(char::is_ascii_digit).take(7).collect();
        let key = self.secret(&visit.tenant)?;
        let kept = visit.code_tag().and_then(crate::signing::hmac::unhex).unwrap_or_default();
        if hmac::verify(&key, self.code_text(visit, &code).as_bytes(), &kept).is_err() {
            return Ok(Proof::Wrong);
        }
        let secret = random_token().map_err(|_| internal("no randomness"))?;
        self.book.note_proved(reference, position, platen_model::Digest::of(secret.as_bytes())).await?;
        Ok(Proof::Proved(secret))
    }

    /// Sets the PIN of the signer at `position` (from 0) of an envelope, through a connection; `by` is who sets it.
    pub async fn set_pin(
        connection: &mut AnyConnection,
        tenant: &TenantId,
        envelope: EnvelopeId,
        position: u32,
        pin: &PinHash,
        by: &str,
    ) -> Result<(), ProviderError> {
        let reference = Reference(envelope.to_string());
        Book::set_pin(connection, tenant, &reference, position.into(), &pin.0, by).await
    }

    /// What is kept of a PIN.
    ///
    /// # Errors
    ///
    /// What a PIN has to be.
    pub async fn hash_pin(pin: &str) -> Result<PinHash, ProviderError> {
        let length = pin.chars().count();
        if !(PIN_MIN..=PIN_MAX).contains(&length) || pin.chars().any(|c| !c.is_ascii_graphic()) {
            let what = format!("a PIN has {PIN_MIN} to {PIN_MAX} letters and digits, without blanks");
            return Err(ProviderError::Refused(what));
        }
        let pin = pin.to_owned();
        let hash = tokio::task::spawn_blocking(move || hash_secret(&pin)).await.map_err(internal)?;
        hash.map(PinHash).map_err(internal)
    }

    /// Looks at a PIN that was given by a browser that may have proved something before.
    pub async fn prove_pin(
        &self,
        visit: &Visit,
        browser: Option<&str>,
        pin: &str,
    ) -> Result<Proof, ProviderError> {
        let (reference, position) = (&visit.reference, visit.position());
        let Some(hash) = visit.pin_hash() else { return Ok(Proof::Spent) };
        if !self.book.count_pin_try(reference, position).await? {
            let address = visit.address();
            tracing::warn!(envelope = %reference, address, "a PIN is locked after too many wrong tries");
            return Ok(Proof::Spent);
        }
        let given: String = pin.trim().chars().take(PIN_MAX + 1).collect();
        if !is_secret(&given, hash).await.map_err(internal)? {
            return Ok(Proof::Wrong);
        }
        // A browser that gave the code as well keeps what it got for it.
        let secret = match browser.filter(|browser| visit.asks_for_code() && visit.gave_code(Some(browser))) {
            Some(browser) => browser.to_owned(),
            None => random_token().map_err(|_| internal("no randomness"))?,
        };
        let kept = platen_model::Digest::of(secret.as_bytes());
        self.book.note_pin_given(reference, position, hash, kept).await?;
        Ok(Proof::Proved(secret))
    }

    fn code_tag(&self, visit: &Visit, code: &str) -> Result<String, ProviderError> {
        let tag = hmac::sign(&self.secret(&visit.tenant)?, self.code_text(visit, code).as_bytes());
        Ok(tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn code_text(&self, visit: &Visit, code: &str) -> String {
        format!("platen desk code {} {} {code}", visit.reference, visit.position())
    }
}
