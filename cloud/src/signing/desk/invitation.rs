//! The invitation: a secret link, and the message that carries it.
//!
//! The link's token is made from a secret key and the place in the envelope, not drawn at random: after a
//! crash the same invitation can be written again, and the database holds only the token's digest. Whoever
//! reads the database can sign for nobody; whoever has the message can.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use platen_model::{Digest, EnvelopeId};
use ring::hmac;

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

/// A message that asks someone to sign.
#[derive(Clone, Debug)]
pub struct Invitation<'a> {
    /// The sender's address.
    pub from: &'a str,
    /// The signer's address.
    pub to: &'a str,
    /// The tenant's name.
    pub tenant: &'a str,
    /// The document's name.
    pub title: &'a str,
    /// The signing link.
    pub link: &'a str,
    /// When the link ends.
    pub expires_at: Timestamp,
    /// When the envelope was made: the same at every repetition.
    pub at: Timestamp,
    /// Our key of the envelope and the signer's position, for the message's id.
    pub id: String,
}

impl Invitation<'_> {
    /// The message (RFC 5322), the same bytes for the same invitation.
    pub fn to_eml(&self) -> Vec<u8> {
        let until = self.expires_at.strftime("%Y-%m-%d %H:%M UTC");
        let text = format!(
            "{tenant} asks you to sign \"{title}\".\r\n\r\n\
             Read it and sign it, or decline, here:\r\n{link}\r\n\r\n\
             The link is for you alone: whoever has it can sign in your name. It ends on {until}.\r\n",
            tenant = self.tenant,
            title = one_line(self.title),
            link = self.link,
        );
        let date = self.at.strftime("%a, %d %b %Y %H:%M:%S +0000");
        let subject = encoded_word(&format!("Please sign: {}", one_line(self.title)));
        let domain = self.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let head = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@{domain}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
            from = one_line(self.from),
            to = one_line(self.to),
            id = self.id,
            domain = one_line(domain),
        );
        let mut message = head.into_bytes();
        message.extend_from_slice(text.as_bytes());
        message
    }
}

/// Text that cannot end a header line and begin another, and fits on one.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
}

/// A header's text: as it is where it is ASCII, else in encoded words (RFC 2047) of at most 75 characters.
fn encoded_word(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut part = String::new();
    for letter in text.chars() {
        // 45 bytes are 60 characters in base64; the frame takes 12 more.
        if part.len() + letter.len_utf8() > 45 {
            words.push(std::mem::take(&mut part));
        }
        part.push(letter);
    }
    words.push(part);
    let words: Vec<String> =
        words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation(title: &str) -> String {
        let invitation = Invitation {
            from: "platen@office.example",
            to: "ada@example.com",
            tenant: "office",
            title,
            link: "https://office.example/sign/abc",
            expires_at: Timestamp::UNIX_EPOCH,
            at: Timestamp::UNIX_EPOCH,
            id: "1.0".into(),
        };
        assert_eq!(invitation.to_eml(), invitation.to_eml());
        String::from_utf8(invitation.to_eml()).expect("UTF-8")
    }

    #[test]
    fn a_document_name_cannot_add_a_header_to_the_message() {
        let eml = invitation("nda.pdf\r\nBcc: mallory@example.com");
        let (head, body) = eml.split_once("\r\n\r\n").expect("head and body");
        assert!(!head.lines().any(|line| line.starts_with("Bcc:")), "{head}");
        assert!(body.contains("\r\nhttps://office.example/sign/abc\r\n"), "{body}");
    }

    #[test]
    fn a_name_beyond_ascii_is_encoded_and_no_line_is_too_long() {
        let eml = invitation(&"Änderungsvertrag über Möbel ".repeat(6));
        let (head, _) = eml.split_once("\r\n\r\n").expect("head and body");
        assert!(head.is_ascii());
        assert!(eml.lines().all(|line| line.len() <= 998), "{eml}");
        assert!(head.lines().all(|line| line.len() <= 90), "{head}");
        assert!(eml.contains("Subject: =?utf-8?B?"), "{eml}");
    }

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
