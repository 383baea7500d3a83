//! What can go wrong with a delivery, sorted by what has to happen next.

use std::io;

use super::wire::{Answer, Cut};

/// What is said of a proxy that answers 407.
const PROXY_LOGIN: &str = "the proxy wants a name and a password (cloud.proxy)";

/// A delivery that did not come to its end. The document stays in the spool in any case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The cloud cannot be reached: every other document would fail alike.
    #[error("{0}")]
    Link(String),
    /// The cloud asks for a rest: every document waits.
    #[error("{message}")]
    Busy {
        /// What it said.
        message: String,
        /// How long it asked us to wait, in milliseconds.
        asked_ms: Option<u64>,
    },
    /// The cloud does not let this device in: every document waits.
    #[error("{0}")]
    Access(String),
    /// The cloud failed.
    #[error("{0}")]
    Server(String),
    /// It did not work now, but may by itself.
    #[error("{0}")]
    Later(String),
    /// The cloud refused: time alone will not heal it.
    #[error("{0}")]
    Person(String),
    /// It is this machine's own trouble, which says nothing of the cloud: the spool is damaged, or cannot be read now.
    #[error("{message}")]
    Own {
        /// What failed.
        message: String,
        /// Whether time alone will not heal it.
        needs_person: bool,
    },
}

impl From<Cut> for Trouble {
    fn from(cut: Cut) -> Self {
        Self::Link(cut.0)
    }
}

impl Trouble {
    /// How long the cloud asked us to wait, in milliseconds.
    pub fn asked_ms(&self) -> Option<u64> {
        match self {
            Self::Busy { asked_ms, .. } => *asked_ms,
            _ => None,
        }
    }

    /// Trouble of this machine's that may pass.
    pub(super) fn own(message: String) -> Self {
        Self::Own { message, needs_person: false }
    }

    /// Whether time alone will not heal it.
    pub fn needs_person(&self) -> bool {
        matches!(self, Self::Person(_) | Self::Own { needs_person: true, .. })
    }

    /// An answer that is not the one hoped for to `what`.
    pub fn of_answer(what: &str, answer: &Answer) -> Self {
        let status = answer.status;
        let message = format!("{what}: {status}{}", answer.problem());
        let asked_ms = answer.number("retry-after").map(|seconds| seconds.saturating_mul(1_000));
        match status {
            // Refused for what was sent: the same bytes will be refused again.
            400 | 403 | 409 | 413 | 415 | 422 => Self::Person(message),
            407 => Self::Link(format!("{PROXY_LOGIN}: {message}")),
            429 => Self::Busy { message, asked_ms },
            503 if asked_ms.is_some() => Self::Busy { message, asked_ms },
            500.. => Self::Server(message),
            // Everything else is an expired token or a wrong address: it may be put right.
            _ => Self::Later(message),
        }
    }
}

/// The spool does not hold what it should.
pub(super) fn damaged(what: &str) -> Trouble {
    Trouble::Own { message: format!("the spool is damaged: {what}"), needs_person: true }
}

/// The spool cannot be read: for a person where what lies there is wrong, else it may be the machine's moment (no file
/// handles, no memory, a disk that is away).
pub(super) fn unreadable(error: &io::Error) -> Trouble {
    use io::ErrorKind::{InvalidData, NotFound, Other, UnexpectedEof};
    match error.kind() {
        InvalidData | NotFound | Other | UnexpectedEof => damaged(&error.to_string()),
        _ => Trouble::own(format!("the spool cannot be read: {error}")),
    }
}

/// Whether an answer is by somebody who stands between us and the cloud; if so, who, as a sentence.
///
/// The cloud sends no redirects and no web pages to a device. Nothing such an answer says may be believed: a captive
/// portal's 200 does not mean that a part is there.
pub fn of_another(answer: &Answer) -> Option<String> {
    let login = "log in to that network with a browser";
    if answer.status == 511 {
        return Some(format!("the network asks for a login before it lets anything through (511); {login}"));
    }
    if (300..400).contains(&answer.status) {
        let place = answer.header("location").unwrap_or("elsewhere");
        return Some(format!(
            "another machine answers in the cloud's place, as captive portals do, and sends us to {place}; {login}, \
             or correct cloud.url"
        ));
    }
    let kind = answer.header("content-type").unwrap_or_default();
    // A proxy before the cloud says 413 with a page of its own where a request is too large for it.
    let is_portals = answer.status < 500 && !matches!(answer.status, 407 | 413);
    if is_portals && kind.starts_with("text/html") {
        return Some(format!(
            "another machine answers in the cloud's place with a web page, as captive portals do; {login}, or \
             correct cloud.url"
        ));
    }
    None
}

/// Why a request brought no answer, in words a person can use: "connection refused", not "error sending request".
pub(super) fn cause_of(error: &reqwest::Error) -> String {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(tls) = tls_error(cause) {
            return certificate(tls);
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => break,
        }
    }
    let innermost = cause.to_string();
    if error.is_timeout() {
        return "no answer came in time".to_owned();
    }
    // hyper-util has no other sign for it than these words.
    if innermost.contains("proxy authorization required") {
        return PROXY_LOGIN.to_owned();
    }
    if innermost.contains("lookup") || innermost.contains("resolve") {
        return format!("the cloud's name cannot be resolved ({innermost})");
    }
    // The operating system's words without its number.
    match innermost.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => innermost,
    }
}

/// The error of TLS in a cause. I/O errors may be wrapped in I/O errors, none of which counts what it wraps among its
/// sources.
fn tls_error<'e>(cause: &'e (dyn std::error::Error + 'static)) -> Option<&'e rustls::Error> {
    let wrapped =
        || Some(cause.downcast_ref::<std::io::Error>()?.get_ref()? as &(dyn std::error::Error + 'static));
    cause.downcast_ref().or_else(|| tls_error(wrapped()?))
}

fn certificate(error: &rustls::Error) -> String {
    use rustls::{CertificateError as C, Error as E};
    match error {
        E::InvalidCertificate(wrong) => {
            let what = match wrong {
                C::Expired | C::ExpiredContext { .. } => "has expired, or this device's clock is wrong",
                C::NotValidYet | C::NotValidYetContext { .. } => {
                    "is not valid yet: this device's clock is wrong"
                }
                C::NotValidForName | C::NotValidForNameContext { .. } => {
                    "is for another name: this is not the cloud, or cloud.url is wrong"
                }
                C::UnknownIssuer => {
                    "is by an issuer this device does not trust: somebody reads along, or cloud.ca_file is missing"
                }
                _ => return format!("the cloud's certificate is not accepted ({error})"),
            };
            format!("the cloud's certificate {what}")
        }
        E::InvalidMessage(_) => "what answers does not speak TLS".to_owned(),
        other => format!("TLS: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status, headers, body: Vec::new() }
    }

    #[test]
    fn a_refusal_needs_a_person_and_everything_else_is_tried_again() {
        let trouble = |status| Trouble::of_answer("x", &answer(status, &[("retry-after", "5")]));
        let message = |status: u16| format!("x: {status}");
        for status in [400, 403, 409, 413, 415, 422] {
            assert_eq!(trouble(status), Trouble::Person(message(status)));
        }
        for status in [401, 404, 408, 410, 425] {
            assert_eq!(trouble(status), Trouble::Later(message(status)));
        }
        for status in [500, 502, 504] {
            assert_eq!(trouble(status), Trouble::Server(message(status)));
        }
        for status in [429, 503] {
            assert_eq!(trouble(status), Trouble::Busy { message: message(status), asked_ms: Some(5_000) });
        }
    }

    #[test]
    fn a_captive_portal_is_told_from_the_cloud() {
        let html = ("content-type", "text/html; charset=utf-8");
        let portal = |status, headers: &[(&str, &str)]| of_another(&answer(status, headers)).is_some();
        assert!(portal(302, &[("location", "http://login.hotel/")]));
        assert!(portal(200, &[html]));
        assert!(portal(404, &[html]));
        assert!(portal(511, &[html]));
        assert!(!portal(502, &[html]), "a proxy in front of the cloud says that the cloud is down");
        assert!(!portal(413, &[html]), "a proxy in front of the cloud takes only small requests");
        assert!(!portal(200, &[("content-type", "application/json")]));
        assert!(!portal(404, &[]));
    }
}
