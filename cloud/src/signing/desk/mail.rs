//! The post: messages as files in a folder, or to a mail server.
//!
//! A folder suits a machine whose own mail program empties it, and tests. A server is spoken to by `lettre`, with TLS.
//! A message has the same id each time it is sent, so one that is sent again after a crash is shown once by most
//! programs; one that was not taken is sent again at the next look at its envelope.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use platen_model::durable;
use serde::{Deserialize, Serialize};

use crate::signing::provider::ProviderError;
use crate::signing::secret::Secret;
use crate::signing::workplace::internal;

/// A mail server: `[smtp]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    /// `smtps://host:465` (TLS from the start), `smtp://host:587?tls=required` (STARTTLS), or `smtp://127.0.0.1:25`.
    pub url: String,
    /// The user, where the server wants one.
    #[serde(default)]
    pub user: Option<String>,
    /// The user's password.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The sender's address, where it is not `platen@` and this installation's host.
    #[serde(default)]
    pub from: Option<String>,
}

impl Smtp {
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let plain = self.url.starts_with("smtp://") && !self.url.contains("tls=required");
        let is_here =
            ["smtp://127.0.0.1", "smtp://localhost", "smtp://[::1]"].iter().any(|s| self.url.starts_with(s));
        if plain && !is_here {
            return Err(
                "`smtp.url` would send links to sign in the clear: use smtps:// or ?tls=required".into()
            );
        }
        if self.user.is_some() != self.password.is_some() {
            return Err("`smtp.user` and `smtp.password` go together".into());
        }
        if matches!(self.password, Some(Secret::Vault { .. })) {
            return Err(
                "`smtp.password` cannot be in Vault: let Vault's agent write a file, and name that".into()
            );
        }
        AsyncSmtpTransport::<Tokio1Executor>::from_url(&self.url)
            .map(drop)
            .map_err(|error| format!("`smtp.url`: {error}"))
    }
}

/// A message.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// To whom.
    pub to: &'a str,
    /// What about.
    pub subject: &'a str,
    /// What it says; lines end in CR LF.
    pub text: &'a str,
    /// The same each time it is sent.
    pub id: String,
}

/// Where messages go.
#[derive(Clone, Debug)]
pub struct Post {
    /// The sender's address.
    pub from: String,
    /// How.
    pub way: Way,
}

/// How messages go.
#[derive(Clone, Debug)]
pub enum Way {
    /// As files in this folder, one `.eml` each.
    Folder(PathBuf),
    /// To a server.
    Server(Smtp),
}

impl Post {
    /// Sends a message. It is out of our hands once this answers.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<(), ProviderError> {
        let bytes = letter.to_eml(&self.from, Timestamp::now());
        match &self.way {
            Way::Folder(folder) => {
                let safe = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
                let name: String = letter.id.chars().map(safe).collect();
                let (folder, path) = (folder.clone(), folder.join(format!("{name}.eml")));
                let written = tokio::task::spawn_blocking(move || {
                    durable::create_folder(&folder)?;
                    durable::write_private(&path, &bytes)
                });
                written.await.map_err(internal)?.map(drop).map_err(internal)
            }
            Way::Server(smtp) => {
                let address = |text: &str| text.parse().map_err(|error| internal(format!("{text}: {error}")));
                let envelope = Envelope::new(Some(address(&self.from)?), vec![address(letter.to)?]);
                let envelope = envelope.map_err(internal)?;
                let mut server =
                    AsyncSmtpTransport::<Tokio1Executor>::from_url(&smtp.url).map_err(internal)?;
                if let (Some(user), Some(password)) = (&smtp.user, &smtp.password) {
                    let password = password.local()?.to_string();
                    server = server.credentials(Credentials::new(user.clone(), password));
                }
                let sent = server.build().send_raw(&envelope, &bytes).await;
                sent.map(drop).map_err(|error| match error.is_permanent() {
                    // It will say so again: a person has to correct the address.
                    true => ProviderError::Refused(format!("the mail server refuses {}: {error}", letter.to)),
                    false => internal(format!("the mail server: {error}")),
                })
            }
        }
    }
}

impl Letter<'_> {
    /// The message (RFC 5322).
    fn to_eml(&self, from: &str, at: Timestamp) -> Vec<u8> {
        let date = at.strftime("%a, %d %b %Y %H:%M:%S +0000");
        let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let head = format!(
            "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}@{domain}>\r\n\
             Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
            from = one_line(from),
            to = one_line(self.to),
            subject = encoded_word(&one_line(self.subject)),
            id = one_line(&self.id),
            domain = one_line(domain),
        );
        let mut message = head.into_bytes();
        message.extend_from_slice(self.text.as_bytes());
        message
    }
}

/// Text that cannot end a header line and begin another, and fits on one.
pub(super) fn one_line(text: &str) -> String {
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

    fn eml(subject: &str) -> String {
        let letter = Letter {
            to: "ada@example.com",
            subject,
            text: "Sign here:\r\nhttps://a.b/c\r\n",
            id: "1.0".into(),
        };
        let bytes = letter.to_eml("platen@office.example", Timestamp::UNIX_EPOCH);
        String::from_utf8(bytes).expect("UTF-8")
    }

    #[test]
    fn a_document_name_cannot_add_a_header_to_the_message() {
        let eml = eml("nda.pdf\r\nBcc: mallory@example.com");
        let (head, body) = eml.split_once("\r\n\r\n").expect("head and body");
        assert!(!head.lines().any(|line| line.starts_with("Bcc:")), "{head}");
        assert!(body.contains("\r\nhttps://a.b/c\r\n"), "{body}");
    }

    #[test]
    fn a_name_beyond_ascii_is_encoded_and_no_line_is_too_long() {
        let eml = eml(&"Änderungsvertrag über Möbel ".repeat(6));
        let (head, _) = eml.split_once("\r\n\r\n").expect("head and body");
        assert!(head.is_ascii());
        assert!(head.lines().all(|line| line.len() <= 90), "{head}");
        assert!(eml.contains("Subject: =?utf-8?B?"), "{eml}");
    }

    #[test]
    fn a_server_that_would_be_spoken_to_in_the_clear_is_refused() {
        let smtp = |url: &str| Smtp { url: url.into(), user: None, password: None, from: None };
        for url in ["smtps://mail.example:465", "smtp://mail.example:587?tls=required", "smtp://127.0.0.1:25"]
        {
            smtp(url).check().expect(url);
        }
        let error = smtp("smtp://mail.example").check().expect_err("in the clear");
        assert!(error.contains("in the clear"), "{error}");
        smtp("http://mail.example").check().expect_err("no mail server");
        Smtp { user: Some("a".into()), ..smtp("smtps://mail.example") }.check().expect_err("no password");
        let password = Secret::try_from("vault:secret/data/platen#mail".to_owned()).ok();
        Smtp { user: Some("a".into()), password, ..smtp("smtps://mail.example") }
            .check()
            .expect_err("in Vault");
    }
}
