//! The words that go over the network, and the client that carries them. Nothing is decided here: a request goes out,
//! an answer comes back or it does not.

use std::time::Duration;

use jiff::Timestamp;
use platen_model::Problem;
use reqwest::header::{HeaderName, HeaderValue};

use super::trouble::cause_of;
use crate::config::Cloud;

/// How long a connection may take to come about.
const CONNECT_SECONDS: u64 = 10;
/// A request may take so much longer than its set time: a second for each so many bytes it sends. At 56 kbit/s with a
/// third of the packets lost more than this gets through.
const SLOWEST_BYTES_PER_S: u64 = 1_000;
/// Most bytes of an answer that are read: receipts and problems are small.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Most of the cloud's complaints of single fields that are said one by one.
const ERRORS_SAID: usize = 5;

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks.
    Head,
    /// Begins.
    Post,
    /// Goes on.
    Patch,
    /// Replaces.
    Put,
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Headers; names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, up to a limit.
    pub body: Vec<u8>,
}

/// That no answer came: whether the request arrived, nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cut(pub String);

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// A header's value as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim().parse().ok()
    }

    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The time on the server's clock.
    pub fn date(&self) -> Option<Timestamp> {
        // RFC 9110, 5.6.7: `Sun, 06 Nov 1994 08:49:37 GMT`.
        self.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|date| date.timestamp())
    }

    /// What the cloud says is wrong, as the end of a sentence; empty where it says nothing.
    pub fn problem(&self) -> String {
        match serde_json::from_slice::<Problem>(&self.body) {
            Ok(problem) => {
                let errors = problem.errors.iter().take(ERRORS_SAID);
                let errors: String = errors.map(|(field, wrong)| format!("; {field}: {wrong}")).collect();
                let more = match problem.errors.len().saturating_sub(ERRORS_SAID) {
                    0 => String::new(),
                    count => format!("; and {count} more"),
                };
                format!(", {}: {}; {}{errors}{more}", problem.title, problem.detail, problem.help)
            }
            Err(_) => String::new(),
        }
    }

    /// Whether the cloud complains of this field of what it was sent.
    pub fn complains_of(&self, field: &str) -> bool {
        serde_json::from_slice::<Problem>(&self.body).is_ok_and(|problem| problem.errors.contains_key(field))
    }
}

/// The client.
#[derive(Clone, Debug)]
pub struct Wire {
    client: reqwest::Client,
    timeout: Duration,
}

impl Wire {
    /// A client for the cloud of this configuration at this address. A request ends after `timeout`, and the time its
    /// body takes on a slow line, without its whole answer; a line on which nothing gets through, after `timeout`.
    ///
    /// # Errors
    ///
    /// Where the proxy, the certificates or TLS cannot be set up; a sentence.
    pub fn new(cloud: &Cloud, url: &str, timeout: Duration) -> Result<Self, String> {
        // A second call finds the provider installed by the first, which is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .tcp_user_timeout(timeout)
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS).min(timeout))
            // A signed manifest goes where it is meant to go.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("platen-agent/", env!("CARGO_PKG_VERSION")));
        // A proxy has no way to this machine's own loopback address.
        let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let is_here = matches!(host.as_deref(), Some("127.0.0.1" | "localhost" | "[::1]"));
        builder = match cloud.proxy.as_deref() {
            Some("direct") => builder.no_proxy(),
            Some(proxy) => {
                let proxy = reqwest::Proxy::all(proxy).map_err(|error| format!("cloud.proxy: {error}"))?;
                builder.no_proxy().proxy(proxy)
            }
            None if is_here => builder.no_proxy(),
            // The environment's: HTTPS_PROXY, HTTP_PROXY, NO_PROXY.
            None => builder,
        };
        if let Some(file) = &cloud.ca_file {
            let wrong = |error: String| format!("cloud.ca_file {}: {error}", file.display());
            let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        builder.build().map(|client| Self { client, timeout }).map_err(|error| cause_of(&error))
    }

    /// Sends a request and waits for its whole answer.
    pub async fn exchange(&self, request: Request) -> Result<Answer, Cut> {
        let method = match request.method {
            Method::Head => reqwest::Method::HEAD,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Put => reqwest::Method::PUT,
        };
        let mut sent = self.client.request(method, &request.url);
        for (name, value) in &request.headers {
            let value = HeaderValue::from_str(value).map_err(|error| Cut(format!("{name}: {error}")))?;
            sent = sent.header(HeaderName::from_static(name), value);
        }
        if request.method != Method::Head {
            let body_s = request.body.len() as u64 / SLOWEST_BYTES_PER_S;
            sent = sent.timeout(self.timeout + Duration::from_secs(body_s)).body(request.body);
        }
        Self::answer(sent.send().await).await
    }

    /// Fetches an address.
    pub async fn get(&self, url: &str) -> Result<Answer, Cut> {
        Self::answer(self.client.get(url).send().await).await
    }

    async fn answer(response: reqwest::Result<reqwest::Response>) -> Result<Answer, Cut> {
        let cut = |error: reqwest::Error| Cut(cause_of(&error));
        let mut response = response.map_err(cut)?;
        let status = response.status().as_u16();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        let headers = headers.collect();
        let mut body = Vec::new();
        while body.len() < ANSWER_BYTES_MAX
            && let Some(bytes) = response.chunk().await.map_err(cut)?
        {
            body.extend_from_slice(&bytes);
        }
        Ok(Answer { status, headers, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cloud_complains_of_is_said_field_by_field() {
        let refusal = |errors: usize| {
            let errors: serde_json::Map<_, _> =
                (0..errors).map(|index| (format!("field_{index}"), "is wrong".into())).collect();
            let problem = serde_json::json!({
                "type": "urn:platen:problem:invalid", "title": "invalid", "status": 422, "detail": "not sound",
                "safe": "nothing was changed", "help": "correct it", "errors": errors,
            });
            Answer { status: 422, headers: Vec::new(), body: problem.to_string().into_bytes() }
        };
        assert_eq!(refusal(0).problem(), ", invalid: not sound; correct it");
        assert_eq!(refusal(1).problem(), ", invalid: not sound; correct it; field_0: is wrong");
        let many = refusal(8).problem();
        assert!(many.ends_with("; field_4: is wrong; and 3 more"), "{many}");
        assert!(refusal(1).complains_of("field_0") && !refusal(1).complains_of("field_1"));
        assert!(!Answer::default().complains_of("field_0"));
    }
}
