//! How a signer proves to be who was invited: by the link alone, or by a one-time code as well.
//!
//! The code goes to the same address as the link, in a message of its own, when the page asks for it; so a link that was
//! passed on, or read in a log, is not enough. It holds for ten minutes and five tries, and then for the one browser
//! that gave it. Kept of it is a digest under the tenant's key: six digits could be guessed from a plain one.

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use super::page::Visit;
use super::{Desk, mail};
use crate::auth::random_token;
use crate::signing::provider::ProviderError;
use crate::signing::workplace::{internal, now_ms};

/// How long a code holds, in milliseconds.
const CODE_HOLDS_MS: i64 = 10 * 60 * 1000;
/// The shortest time between two codes, in milliseconds.
const CODE_REST_MS: i64 = 30 * 1000;
/// Tries of one code.
const TRIES_MAX: i64 = 5;

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

impl Desk {
    /// Sends a new code to the signer of a visit, unless one was sent a moment ago.
    pub async fn send_code(&self, visit: &Visit) -> Result<(), ProviderError> {
        let mut bytes = [0; 4];
        SystemRandom::new().fill(&mut bytes).map_err(|_| internal("no randomness"))?;
        // The remainder favours low codes by less than one in four thousand.
        let code = format!("{:06}", u32::from_be_bytes(bytes) % 1_000_000);
        let tag = self.code_tag(visit, &code)?;
        let (position, now) = (visit.position(), now_ms());
        if !self.book.keep_code(&visit.reference, position, &tag, now - CODE_REST_MS).await? {
            return Ok(());
        }
        let message = mail::Letter {
            to: visit.address(),
            subject: &format!("Your code for \"{}\"", visit.title()),
            text: &format!(
                "Your code is {code}\r\n\r\nType it on the page where you sign \"{}\". It holds for ten minutes.\r\n\
                 If you did not ask for it, somebody else has your link: tell {}.\r\n",
                visit.title(),
                visit.tenant
            ),
            id: format!("{}.{position}.code.{now}", visit.reference),
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

    fn code_tag(&self, visit: &Visit, code: &str) -> Result<String, ProviderError> {
        let tag = hmac::sign(&self.secret(&visit.tenant)?, self.code_text(visit, code).as_bytes());
        Ok(tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn code_text(&self, visit: &Visit, code: &str) -> String {
        format!("platen desk code {} {} {code}", visit.reference, visit.position())
    }
}
