//! Codes by telephone: through whatever gateway an office has, as one HTTP request of its own making.
//!
//! `[desk.sms]` says the address, the headers (each a secret by its name) and the body, in which `{to}` and `{text}` stand
//! for number and message, written as the body's kind wants them. A gateway that is out of reach, or says so, is asked
//! twice more; a message that comes twice carries the same code. What it answers is not looked at beyond its status.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};

use crate::signing::provider::ProviderError;
use crate::signing::secret::Secret;
use crate::signing::workplace::internal;

/// The longest time the gateway may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// The pauses before it is asked again.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// A gateway: `[desk.sms]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sms {
    /// Where messages are posted to.
    pub url: String,
    /// What kind of body it takes: `application/json`, `application/x-www-form-urlencoded`, or any other as plain text.
    #[serde(default = "json")]
    pub content_type: String,
    /// The body, with `{to}` and `{text}` in it.
    pub body: String,
    /// Headers by name; what they say is a secret.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
}

fn json() -> String {
    "application/json".into()
}

impl Sms {
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let url: Url = self.url.parse().map_err(|error| format!("`desk.sms.url`: {error}"))?;
        let is_here = url.host_str().is_some_and(|host| ["127.0.0.1", "localhost", "[::1]"].contains(&host));
        if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
            return Err("`desk.sms.url` would send codes in the clear: use https://".into());
        }
        if !self.body.contains("{to}") || !self.body.contains("{text}") {
            return Err("`desk.sms.body` says with {to} and {text} where number and message stand".into());
        }
        if self.content_type == json() {
            let example = self.written("+4930123456", "a \"code\"");
            serde_json::from_str::<serde_json::Value>(&example)
                .map_err(|error| format!("`desk.sms.body` is no JSON: {error}"))?;
        }
        for name in self.headers.keys() {
            name.parse::<HeaderName>().map_err(|error| format!("`desk.sms.headers`: {name}: {error}"))?;
        }
        HeaderValue::from_str(&self.content_type)
            .map_err(|error| format!("`desk.sms.content_type`: {error}"))?;
        Ok(())
    }

    /// Sends a message to a number. The gateway has it once this answers.
    pub(super) async fn send(&self, to: &str, text: &str) -> Result<(), ProviderError> {
        // Whoever is first sets it for the process; it is the same everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(ANSWER_TIME)
            .build()
            .map_err(internal)?;
        let mut pauses = PAUSES.iter();
        loop {
            let (why, may_again) = match self.post(&client, to, text).await? {
                Ok(status) if status.is_success() => return Ok(()),
                Ok(status) => (
                    format!("it answers {status}"),
                    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
                ),
                Err(error) => (error, true),
            };
            let Some(pause) = pauses.next().filter(|_| may_again) else {
                return Err(internal(format!("the SMS gateway does not take the message: {why}")));
            };
            tokio::time::sleep(*pause).await;
        }
    }

    async fn post(
        &self,
        client: &Client,
        to: &str,
        text: &str,
    ) -> Result<Result<StatusCode, String>, ProviderError> {
        let mut request = client.post(&self.url).header("content-type", &self.content_type);
        for (name, secret) in &self.headers {
            let value = secret.text(client).await?;
            let mut value =
                HeaderValue::from_str(&value).map_err(|_| internal(format!("{secret} is no header")))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        let sent = request.body(self.written(to, text)).send().await;
        Ok(sent.map(|answer| answer.status()).map_err(|error| error.without_url().to_string()))
    }

    fn written(&self, to: &str, text: &str) -> String {
        let coded = |text: &str| match self.content_type.as_str() {
            "application/json" => {
                let quoted = serde_json::Value::from(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
            "application/x-www-form-urlencoded" => {
                let pair = serde_urlencoded::to_string([("", text)]).unwrap_or_default();
                pair[1..].to_owned()
            }
            _ => text.to_owned(),
        };
        // In one pass: what is filled in is no template.
        let mut written = String::new();
        let mut rest = self.body.as_str();
        while let Some(at) = rest.find('{') {
            let (before, from) = rest.split_at(at);
            written.push_str(before);
            rest = if let Some(after) = from.strip_prefix("{to}") {
                written.push_str(&coded(to));
                after
            } else if let Some(after) = from.strip_prefix("{text}") {
                written.push_str(&coded(text));
                after
            } else {
                written.push('{');
                &from[1..]
            };
        }
        written + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(content_type: &str, body: &str) -> Sms {
        Sms {
            url: "https://sms.example/send".into(),
            content_type: content_type.into(),
            body: body.into(),
            headers: BTreeMap::new(),
        }
    }

    #[test]
    fn number_and_message_are_written_as_the_body_wants_them_and_are_no_template() {
        let (to, text) = ("+49301", "say \"{to}\" & go");
        let json = gateway("application/json", r#"{"a":{"to":"{to}"},"t":"{text}"}"#);
        json.check().expect("sound");
        let written: serde_json::Value = serde_json::from_str(&json.written(to, text)).expect("JSON");
        assert_eq!((&written["a"]["to"], &written["t"]), (&to.into(), &text.into()));
        let form = gateway("application/x-www-form-urlencoded", "to={to}&text={text}");
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_str(&form.written(to, text)).expect("a form");
        assert_eq!(pairs, [("to".into(), to.into()), ("text".into(), text.to_owned())]);
        assert_eq!(gateway("text/plain", "{to}: {text}").written(to, text), format!("{to}: {text}"));
    }

    #[test]
    fn a_gateway_that_would_hear_codes_in_the_clear_or_no_message_is_refused() {
        let sound = gateway("application/json", r#"{"to":"{to}","text":"{text}"}"#);
        sound.check().expect("sound");
        for wrong in [
            Sms { url: "http://sms.example/send".into(), ..sound.clone() },
            Sms { url: "sms.example".into(), ..sound.clone() },
            Sms { body: r#"{"to":"{to}"}"#.into(), ..sound.clone() },
            Sms { body: "{to} {text}".into(), ..sound.clone() },
            Sms {
                headers: BTreeMap::from([("not a name".into(), Secret::Env("X".into()))]),
                ..sound.clone()
            },
        ] {
            wrong.check().expect_err(&wrong.body);
        }
        Sms { url: "http://127.0.0.1:8025/".into(), ..sound }.check().expect("it stays here");
    }
}
