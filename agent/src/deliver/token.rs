//! Access tokens: OAuth 2 client credentials with a signed assertion (RFC 6749, RFC 7523). No shared secret.

use std::time::{Duration, Instant};

use platen_model::DeviceId;
use platen_model::api::Token;
use platen_model::keys::{Claims, MAX_TOKEN_SECONDS, SigningKey};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::trouble::Trouble;

/// A token is renewed this long before it ends.
const RENEW_BEFORE: Duration = Duration::from_secs(30);

/// No token is used longer than this, whatever the cloud says of it.
const TOKEN_SECONDS_MAX: u64 = 60 * 60;

/// The token in force.
#[derive(Debug, Default)]
pub struct Tokens {
    current: Mutex<Option<(String, Instant)>>,
}

impl Tokens {
    /// The token in force, or a new one.
    pub async fn get(
        &self,
        client: &reqwest::Client,
        url: &str,
        device: DeviceId,
        key: &SigningKey,
    ) -> Result<String, Trouble> {
        let mut current = self.current.lock().await;
        if let Some((token, ends)) = current.as_ref()
            && Instant::now() + RENEW_BEFORE < *ends
        {
            return Ok(token.clone());
        }
        let endpoint = format!("{url}/oauth/token");
        let assertion = key.jwt(&claims(device, &endpoint));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ];
        let response = client.post(&endpoint).form(&form).send().await;
        let response = response.map_err(|error| Trouble::of_request(&error))?;
        if !response.status().is_success() {
            // Not the document's fault: whatever the status, all documents wait for the device to be let in.
            let trouble = Trouble::of_answer("the cloud gave this device no access", response).await;
            let help = "check that the device is enrolled and not revoked, and that its clock is right";
            return Err(match trouble {
                Trouble::Person(message) => Trouble::later(format!("{message} ({help})")),
                other => other,
            });
        }
        let token: Token = response.json().await.map_err(|error| Trouble::of_request(&error))?;
        let ends = Instant::now() + Duration::from_secs(token.expires_in.min(TOKEN_SECONDS_MAX));
        *current = Some((token.access_token.clone(), ends));
        Ok(token.access_token)
    }

    /// Forgets the token: the cloud did not accept it.
    pub async fn forget(&self) {
        *self.current.lock().await = None;
    }
}

fn claims(device: DeviceId, endpoint: &str) -> Claims {
    let now = jiff::Timestamp::now().as_second();
    Claims {
        iss: device.to_string(),
        sub: device.to_string(),
        aud: endpoint.to_owned(),
        iat: now,
        exp: now + MAX_TOKEN_SECONDS / 2,
        jti: Uuid::now_v7().to_string(),
    }
}
