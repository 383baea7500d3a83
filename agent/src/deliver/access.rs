//! Access tokens: OAuth 2 client credentials with a signed assertion (RFC 6749, RFC 7523). No shared secret.
//!
//! The assertion carries a time, and the cloud refuses one that is more than a minute off. A field device whose clock
//! is wrong would be shut out for ever; so where the cloud's `Date` shows that the clock is the reason, the cloud's
//! time is used for the next assertion, and for nothing else.

use jiff::{SignedDuration, Timestamp};
use platen_model::DeviceId;
use platen_model::api::Token;
use platen_model::keys::{CLOCK_LEEWAY_SECONDS, Claims, MAX_TOKEN_SECONDS, PublicKey, SigningKey};
use uuid::Uuid;

use super::trouble::Trouble;
use super::wire::{Answer, Method, Request};

/// A token is renewed this long before it ends.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(30);
/// No token is used longer than this, whatever the cloud says of it.
const TOKEN_SECONDS_MAX: u64 = 60 * 60;

/// Who delivers, and where to.
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

/// The token in force.
#[derive(Debug, Default)]
pub struct Access {
    current: Option<(String, Timestamp)>,
    /// How far the cloud's clock is ahead of ours, where that keeps us out.
    skew: SignedDuration,
}

impl Access {
    /// The token in force.
    pub fn token(&self, now: Timestamp) -> Option<&str> {
        let (token, ends) = self.current.as_ref()?;
        let left = ends.duration_since(now);
        // One that ends later than any may was taken under another clock.
        let longest = SignedDuration::from_secs(TOKEN_SECONDS_MAX.cast_signed());
        (left > RENEW_BEFORE && left <= longest).then_some(token)
    }

    /// The request for a new one.
    pub fn request(&self, badge: &Badge, now: Timestamp) -> Request {
        let endpoint = format!("{}/oauth/token", badge.url);
        let issued = now.checked_add(self.skew).unwrap_or(now).as_second();
        let claims = Claims {
            iss: badge.device.to_string(),
            sub: badge.device.to_string(),
            aud: endpoint.clone(),
            iat: issued,
            exp: issued + MAX_TOKEN_SECONDS / 2,
            jti: Uuid::now_v7().to_string(),
        };
        let body = format!(
            "grant_type=client_credentials&client_assertion_type=\
             urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={}",
            badge.key.jwt(&claims)
        );
        Request {
            method: Method::Post,
            url: endpoint,
            headers: vec![("content-type", "application/x-www-form-urlencoded".into())],
            body: body.into_bytes(),
        }
    }

    /// Takes the token out of an answer. Without an error but without a token: ask once more.
    pub fn answered(&mut self, answer: &Answer, now: Timestamp) -> Result<(), Trouble> {
        if answer.is_success() {
            let token: Token = serde_json::from_slice(&answer.body)
                .map_err(|error| Trouble::Access(format!("the cloud's token cannot be read: {error}")))?;
            let seconds = token.expires_in.min(TOKEN_SECONDS_MAX).cast_signed();
            let ends = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
            self.current = Some((token.access_token, ends));
            return Ok(());
        }
        // Not the document's fault: whatever the status, all documents wait for the device to be let in.
        let trouble = match Trouble::of_answer("the cloud gave this device no access", answer) {
            Trouble::Person(message) | Trouble::Later(message) => Trouble::Access(message),
            other => return Err(other),
        };
        let Some(theirs) = answer.date() else { return Err(trouble) };
        let skew = theirs.duration_since(now);
        let seconds = skew.as_secs().abs();
        let side = if skew.is_negative() { "ahead of" } else { "behind" };
        if (skew - self.skew).as_secs().abs() >= CLOCK_LEEWAY_SECONDS {
            // The clock is wrong, or was put right since.
            tracing::warn!(
                seconds,
                "this device's clock is {side} the cloud's; the cloud's is used to get in"
            );
            self.skew = skew;
            return Ok(());
        }
        Err(Trouble::Access(if seconds < CLOCK_LEEWAY_SECONDS {
            format!("{trouble}; check that the device is enrolled and not revoked")
        } else {
            format!("{trouble}; this device's clock is {seconds} s {side} the cloud's: set it")
        }))
    }

    /// Forgets a token that the cloud did not accept.
    pub fn forget(&mut self, token: &str) {
        self.current.take_if(|(current, _)| current == token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(date: &str) -> Answer {
        Answer { status: 401, headers: vec![("date".into(), date.into())], body: Vec::new() }
    }

    #[test]
    fn a_device_whose_clock_is_wrong_asks_again_with_the_clouds_time() {
        let key = SigningKey::generate().expect("randomness");
        let public = key.public();
        let receipt_key = public.clone();
        let badge = Badge { url: "https://cloud".into(), device: DeviceId::new(), key, receipt_key };
        let ours = Timestamp::UNIX_EPOCH;
        let mut access = Access::default();
        access.answered(&refusal("Sun, 06 Nov 1994 08:49:37 GMT"), ours).expect("once more");
        let body = String::from_utf8(access.request(&badge, ours).body).expect("text");
        let (_, assertion) = body.rsplit_once('=').expect("fields");
        public.verify_jwt(assertion, "https://cloud/oauth/token", 784_111_777).expect("the cloud's time");
        let trouble = access.answered(&refusal("Sun, 06 Nov 1994 08:49:38 GMT"), ours).expect_err("no use");
        assert!(trouble.to_string().contains("behind the cloud's: set it"), "{trouble}");
    }

    #[test]
    fn a_token_of_another_clock_is_not_used() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let access = Access { current: Some(("t".into(), at(1_000_000))), ..Access::default() };
        assert_eq!(access.token(at(999_000)), Some("t"));
        assert_eq!(access.token(at(999_999)), None);
        assert_eq!(access.token(at(0)), None);
    }
}
