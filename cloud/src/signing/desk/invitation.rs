//! The invitation: a secret link, and the message that carries it.
//!
//! The link's token is made from a secret key and the place in the envelope, not drawn at random: after a
//! crash the same invitation can be written again, and the database holds only the token's digest. Whoever
//! reads the database can sign for nobody; whoever has the message can.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use platen_model::{Digest, EnvelopeId};
use ring::hmac;

use super::mail::one_line;

/// The secret part of a signing link.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token of the signer at `position` (from 0) of an envelope.
    pub fn of(secret: &hmac::Key, envelope: EnvelopeId, position: u32) -> Self {
        let place = format!("platen desk invitation {envelope} {position}");
        Self(URL_SAFE_NO_PAD.encode(hmac::sign(secret, place.as_bytes())))
    }

    /// What someone sent as a token.
    pub fn given(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// What is kept of it, and looked up by.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// The token as it stands in the link.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(secret)")
    }
}

/// The message that asks someone to sign, approve, or gives a copy.
#[derive(Clone, Debug)]
pub struct Invitation<'a> {
    /// Who asks, by the name that signers see.
    pub sender: &'a str,
    /// The document's name.
    pub title: &'a str,
    /// The signing link.
    pub link: &'a str,
    /// When the link ends.
    pub expires_at: Timestamp,
    /// What the recipient is to do.
    pub role: &'a str,
}

impl Invitation<'_> {
    /// What the message is about.
    pub fn subject(&self) -> String {
        let verb = match self.role {
            "cc" => "Signed",
            "approver" => "Please approve",
            _ => "Please sign",
        };
        format!("{verb}: {}", self.title)
    }

    /// What it says.
    pub fn text(&self) -> String {
        let (sender, title, link) = (self.sender, one_line(self.title), self.link);
        let until = self.expires_at.strftime("%Y-%m-%d %H:%M UTC");
        let verb = match self.role {
            "cc" => {
                return format!("All have signed \"{title}\" for {sender}. Your copy is here:\r\n{link}\r\n");
            }
            "approver" => "approve",
            _ => "sign",
        };
        format!(
            "{sender} asks you to {verb} \"{title}\".\r\n\r\n\
             Read it and {verb} it, or decline, here:\r\n{link}\r\n\r\n\
             The link is for you alone: whoever has it can {verb} in your name. It ends on {until}.\r\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_signer_has_a_token_of_their_own_and_it_is_the_same_after_a_crash() {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let envelope = EnvelopeId::new();
        let first = Token::of(&secret, envelope, 0);
        assert_eq!(first, Token::of(&secret, envelope, 0));
        assert_ne!(first, Token::of(&secret, envelope, 1));
        assert_ne!(first, Token::of(&secret, EnvelopeId::new(), 0));
        assert_eq!(Token::given(first.as_str()).digest(), first.digest());
        assert_eq!(first.as_str().len(), 43);
    }
}
