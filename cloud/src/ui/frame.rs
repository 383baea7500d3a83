//! What all pages share: the frame around them, small forms, and the files they are drawn with.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The frame of a page behind the login.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Who is signed in.
    pub user: String,
    /// The tenant's name.
    pub tenant: String,
    /// The session's token against forged requests.
    pub csrf: String,
    /// How many documents wait for review.
    pub waiting: u64,
    /// Whether the user may administer.
    pub administers: bool,
    /// Which entry of the navigation this is.
    pub here: &'static str,
}

/// One option of a choice.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
    /// It is the one chosen.
    pub selected: bool,
}

impl Choice {
    /// An option.
    pub fn new(value: &str, label: &str, selected: bool) -> Self {
        Self { value: value.to_owned(), label: label.to_owned(), selected }
    }
}

/// The style sheet.
const STYLE: &str = include_str!("../../templates/platen.css");
/// The script of the signing page.
const SIGN_SCRIPT: &str = include_str!("../../templates/sign.js");
/// The icon.
const ICON: &str = include_str!("../../templates/icon.svg");

/// `GET /assets/platen.css`.
pub async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

/// `GET /assets/sign.js`: the only script there is. It lets a signer draw.
pub async fn sign_script() -> Response {
    asset("text/javascript; charset=utf-8", SIGN_SCRIPT)
}

/// `GET /assets/icon.svg`.
pub async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(mime: &'static str, text: &'static str) -> Response {
    let headers = [(header::CONTENT_TYPE, mime), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, text).into_response()
}

/// Percent-encodes all but the unreserved characters (RFC 3986, 2.3), for use in a query.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Headers every page carries: no script at all, nothing from elsewhere, no framing, no guessing of types.
pub const SECURITY_HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    // For readers that do not know `frame-ancestors`.
    ("x-frame-options", "DENY"),
];
