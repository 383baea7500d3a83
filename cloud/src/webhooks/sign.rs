//! Signatures of deliveries, by Standard Webhooks 1.0: `v1,` and base64 of HMAC-SHA256 over `id.seconds.body`.
//!
//! An endpoint's secret is made of the site's key, the endpoint's id and a number that grows at each rotation: nothing is
//! kept that would have to be kept secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use uuid::Uuid;

use crate::store::webhooks::Endpoint;

/// What all secrets of a site are made of.
pub(super) struct Site(hmac::Key);

impl Site {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    fn secret(&self, endpoint: Uuid, number: i64) -> hmac::Tag {
        hmac::sign(&self.0, format!("platen webhook secret {endpoint} {number}").as_bytes())
    }

    /// The secret that signs now, as receivers configure it.
    pub(super) fn shown_secret(&self, endpoint: &Endpoint) -> String {
        let secret = self.secret(endpoint.endpoint_id, endpoint.secret_number);
        format!("whsec_{}", STANDARD.encode(secret))
    }

    /// The value of `webhook-signature`: by the secret of now, and by the one before while that holds.
    pub(super) fn signature(&self, endpoint: &Endpoint, delivery: Uuid, seconds: i64, body: &[u8]) -> String {
        let mut message = format!("{delivery}.{seconds}.").into_bytes();
        message.extend_from_slice(body);
        let former = endpoint.former_until_ms > seconds.saturating_mul(1000);
        let numbers = [endpoint.secret_number, endpoint.secret_number - 1];
        let signatures = numbers.into_iter().take(1 + usize::from(former)).map(|number| {
            let secret = self.secret(endpoint.endpoint_id, number);
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref());
            format!("v1,{}", STANDARD.encode(hmac::sign(&key, &message)))
        });
        signatures.collect::<Vec<_>>().join(" ")
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site")
    }
}
