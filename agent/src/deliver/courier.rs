//! The courier: one document from the spool to the cloud, up to the checked receipt.

use std::time::Duration;

use platen_model::keys::{PublicKey, SigningKey};
use platen_model::{CorrelationId, DeviceId};
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use super::token::Tokens;
use super::trouble::Trouble;
use super::{commit, upload};
use crate::outbox::Outbox;
use crate::spool::{Receipted, SpooledDocument};

/// How long a connection may take to come about.
const CONNECT_SECONDS: u64 = 10;

/// Who delivers, and where to.
#[derive(Debug)]
pub struct Courier {
    pub(super) client: reqwest::Client,
    pub(super) url: String,
    pub(super) device: DeviceId,
    pub(super) key: SigningKey,
    pub(super) receipt_key: PublicKey,
    pub(super) chunk_bytes: u64,
    tokens: Tokens,
}

/// What a courier is made from.
#[derive(Debug)]
pub struct Badge {
    /// The cloud's address, without a slash at its end.
    pub url: String,
    /// Who we are.
    pub device: DeviceId,
    /// Our key.
    pub key: SigningKey,
    /// The key the cloud signs receipts with.
    pub receipt_key: PublicKey,
}

impl Courier {
    /// A courier. `chunk_bytes` bounds one upload request, `request_s` its time.
    ///
    /// # Errors
    ///
    /// Where TLS cannot be set up.
    pub fn new(badge: Badge, chunk_bytes: u64, request_s: u64) -> Result<Self, reqwest::Error> {
        let client = http_client(&badge.url, Duration::from_secs(request_s))?;
        let Badge { url, device, key, receipt_key } = badge;
        Ok(Self { client, url, device, key, receipt_key, chunk_bytes, tokens: Tokens::default() })
    }

    /// Delivers a document. What was uploaded before, in this attempt or an earlier one, is not sent again.
    pub async fn deliver(&self, document: &SpooledDocument, outbox: &Outbox) -> Result<Receipted, Trouble> {
        for index in 0..document.manifest.parts.len() {
            upload::send_part(self, document, index, outbox).await?;
        }
        commit::commit(self, document).await
    }

    /// The key receipts are checked with.
    pub fn receipt_key(&self) -> &PublicKey {
        &self.receipt_key
    }

    /// Sends a request with the token in force and the document's trace.
    pub(super) async fn send(
        &self,
        method: Method,
        url: &str,
        trace: &CorrelationId,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Trouble> {
        let token = self.tokens.get(&self.client, &self.url, self.device, &self.key).await?;
        let request =
            self.client.request(method, url).bearer_auth(token).header("traceparent", trace.as_str());
        let response = fill(request).send().await.map_err(|error| Trouble::of_request(&error))?;
        if response.status() == StatusCode::UNAUTHORIZED {
            self.tokens.forget().await;
        }
        Ok(response)
    }
}

/// The agent's HTTP client: rustls with ring, no redirects (a signed manifest goes where it is meant to go).
///
/// # Errors
///
/// Where TLS cannot be set up.
pub fn http_client(url: &str, timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    // A second call finds the provider installed by the first, which is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("platen-agent/", env!("CARGO_PKG_VERSION")));
    // A proxy has no way to this machine's own loopback address.
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    match host.as_deref() {
        Some("127.0.0.1" | "localhost" | "[::1]") => builder.no_proxy().build(),
        _ => builder.build(),
    }
}
