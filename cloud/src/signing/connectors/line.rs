//! The line to a provider's HTTP API, and what an answer means for the question that matters: did it happen?
//!
//! A request that only asks can be repeated, so all its failures are harmless. One that does something and gets no
//! clear answer may have done it: only a refused connection and a 429 prove that nothing happened. A refusal of our
//! credentials is the account's trouble and not the document's, so it is never a reason to set a document aside.

use std::borrow::Cow;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::signing::provider::ProviderError;

/// The largest JSON answer, in bytes.
const JSON_BYTES_MAX: usize = 8 << 20;
/// The largest file a provider may send, in bytes.
pub(super) const FILE_BYTES_MAX: usize = 512 << 20;
/// When to come again where a 429 does not say.
const PAUSE: Duration = Duration::from_secs(60);
/// The longest that a 429 is believed.
const PAUSE_MAX: Duration = Duration::from_secs(24 * 3600);
/// The most of an error's text that is passed on, in characters.
const DETAIL_CHARS: usize = 400;

/// What a request does at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: it asks.
    Asks,
    /// Something that a repetition might do twice.
    Acts,
}

/// The HTTP client all accounts share.
pub(super) fn client() -> Result<reqwest::Client, String> {
    // Another part of this process may have installed it already; that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("platen/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .build()
        .map_err(|error| error.to_string())
}

/// Sends a request and reads a JSON answer of success; `Null` where the body is empty.
pub(super) async fn json(request: RequestBuilder, effect: Effect) -> Result<Value, ProviderError> {
    let bytes = body(success(request, effect).await?, JSON_BYTES_MAX, effect).await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|_| unclear(effect, "its answer is no JSON".into()))
}

/// Sends a request that asks, and reads a JSON answer; `None` where the provider says that it knows no such thing: 404 or
/// 410 with its own error, which is JSON and has this member. Whoever else answers on the way, such as a proxy before a
/// provider that is being restarted, knows nothing of what is there.
pub(super) async fn json_if_there(
    request: RequestBuilder,
    own_error: &str,
) -> Result<Option<Value>, ProviderError> {
    let answer = send(request.header(ACCEPT, "application/json"), Effect::Asks).await?;
    let status = answer.status();
    if matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        let said = body(answer, JSON_BYTES_MAX, Effect::Asks).await?;
        let said: Value = serde_json::from_slice(&said).unwrap_or_default();
        return match said.get(own_error) {
            Some(_) => Ok(None),
            None => Err(down(format!("{status}, and not in the provider\u{2019}s words"))),
        };
    }
    let bytes = body(check(answer, Effect::Asks).await?, JSON_BYTES_MAX, Effect::Asks).await?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|_| unclear(Effect::Asks, "its answer is no JSON".into()))
}

/// Sends a request that asks, and reads a file.
pub(super) async fn file(request: RequestBuilder) -> Result<Vec<u8>, ProviderError> {
    body(success(request, Effect::Asks).await?, FILE_BYTES_MAX, Effect::Asks).await
}

/// The error in what was sent for a file: some providers say no in JSON, under a status of success.
pub(super) fn instead_of_file(bytes: &[u8]) -> Option<Value> {
    (!bytes.starts_with(b"%PDF-")).then(|| serde_json::from_slice(bytes).ok()).flatten()
}

async fn success(request: RequestBuilder, effect: Effect) -> Result<Response, ProviderError> {
    check(send(request, effect).await?, effect).await
}

async fn send(request: RequestBuilder, effect: Effect) -> Result<Response, ProviderError> {
    request.send().await.map_err(|error| {
        let detail = chain(&error.without_url());
        // Before a connection stands nothing can have happened.
        if effect == Effect::Asks || detail.is_connect {
            down(detail.text)
        } else {
            unclear(effect, detail.text)
        }
    })
}

/// An answer of success, or what its status means.
async fn check(answer: Response, effect: Effect) -> Result<Response, ProviderError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let after = pause(answer.headers());
    let detail = body(answer, JSON_BYTES_MAX, Effect::Asks).await.unwrap_or_default();
    let text: String = String::from_utf8_lossy(&detail).chars().take(DETAIL_CHARS).collect();
    let said = format!("{status}: {}", text.split_whitespace().collect::<Vec<_>>().join(" "));
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS => {
            ProviderError::Later { after, reason: "the provider\u{2019}s limit is reached".into() }
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            ProviderError::NotTaken(format!("the account's credentials are refused: {said}"))
        }
        _ if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => unclear(effect, said),
        // A file that is being made: ask again.
        StatusCode::CONFLICT | StatusCode::LOCKED | StatusCode::TOO_EARLY if effect == Effect::Asks => {
            ProviderError::NotTaken(said)
        }
        _ if status.is_redirection() => ProviderError::NotTaken(format!("`url` is not the API's: {said}")),
        _ => ProviderError::Refused(said),
    })
}

/// When an answer says to come again.
fn pause(headers: &HeaderMap) -> Duration {
    let said = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let seconds = said.and_then(|seconds| seconds.trim().parse().ok());
    seconds.map_or(PAUSE, Duration::from_secs).min(PAUSE_MAX)
}

async fn body(mut answer: Response, most: usize, effect: Effect) -> Result<Vec<u8>, ProviderError> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > most => {
                return Err(unclear(effect, format!("its answer is larger than {most} bytes")));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(unclear(effect, chain(&error.without_url()).text)),
        }
    }
}

/// A failure without a clear answer.
fn unclear(effect: Effect, text: String) -> ProviderError {
    match effect {
        Effect::Asks => down(text),
        Effect::Acts => ProviderError::Unknown(text),
    }
}

fn down(text: String) -> ProviderError {
    ProviderError::Down(text)
}

struct Chain {
    text: String,
    is_connect: bool,
}

/// An error with its causes: reqwest's own words say only "error sending request".
fn chain(error: &reqwest::Error) -> Chain {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text += ": ";
        text += &next.to_string();
        cause = next.source();
    }
    Chain { text, is_connect: error.is_connect() }
}

/// The text of a member of an answer; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

/// An id of an answer, whether it is written as a number or as text.
pub(super) fn id(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// The members of a list in an answer; none where there is no list.
pub(super) fn list(value: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// An answer of success that lacks what it must say.
pub(super) fn lacks(what: &str, effect: Effect) -> ProviderError {
    unclear(effect, format!("its answer does not say {what}"))
}

/// The same JSON without the members that give access: links to sign, tokens.
pub(super) fn redacted(mut value: Value, secret: &[&str]) -> Value {
    redact(&mut value, secret);
    value
}

/// The same for a callback's body. One that holds none of them, or is no JSON, stays byte for byte as it came.
pub(super) fn redacted_body<'b>(body: &'b [u8], secret: &[&str]) -> Cow<'b, [u8]> {
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return Cow::Borrowed(body) };
    match redact(&mut value, secret) {
        true => Cow::Owned(value.to_string().into_bytes()),
        false => Cow::Borrowed(body),
    }
}

/// Whether anything was there to be replaced.
fn redact(value: &mut Value, secret: &[&str]) -> bool {
    let mut found = false;
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if secret.contains(&name.as_str()) && !member.is_null() {
                    *member = Value::String("[redacted]".into());
                    found = true;
                } else {
                    found |= redact(member, secret);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| found |= redact(item, secret)),
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn a_provider_is_asked_again_when_it_says_and_within_a_day_whatever_it_says() {
        let check = |said: &'static str, expected: u64| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(said))]);
            assert_eq!(pause(&headers).as_secs(), expected, "{said}");
        };
        check("7", 7);
        check(" 86400", 86_400);
        check("86401", 86_400);
        check("18446744073709551615", 86_400);
        check("Fri, 31 Dec 2100 23:59:59 GMT", 60);
        assert_eq!(pause(&HeaderMap::new()), PAUSE);
    }
}
