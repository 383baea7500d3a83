//! Ed25519 keys (RFC 8032) of devices and of the cloud, and the short-lived JWTs devices prove themselves with.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{self, Ed25519KeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};

/// A key could not be made or read, or a signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness for a new key")]
    NoRandomness,
    /// The bytes are not a PKCS#8 Ed25519 key, or not a public key.
    #[error("not an Ed25519 key")]
    BadKey,
    /// The signature does not match, is malformed, or is by another key.
    #[error("the signature does not hold")]
    BadSignature,
    /// A token is malformed, expired, not yet valid, or made for someone else.
    #[error("the token is malformed, expired or made for someone else")]
    BadToken,
}

/// A private Ed25519 key.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    pkcs8: Vec<u8>,
}

impl SigningKey {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        let pkcs8 =
            Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::NoRandomness)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// A key from its PKCS#8 bytes (RFC 5958).
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(bytes).map_err(|_| KeyError::BadKey)?;
        Ok(Self { pair, pkcs8: bytes.to_vec() })
    }

    /// The PKCS#8 bytes, to be kept in a file only its owner can read.
    pub fn to_pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(STANDARD.encode(self.pair.public_key().as_ref()))
    }

    /// The signature of these bytes, in base64.
    pub fn sign(&self, bytes: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(bytes))
    }

    /// A JWT (RFC 7519, `EdDSA`) with these claims.
    pub fn jwt(&self, claims: &Claims) -> String {
        let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"EdDSA","typ":"JWT"}"#);
        let body = serde_json::to_vec(claims).expect("claims are plain strings and numbers");
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(body));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey(public {})", self.public().0)
    }
}

/// A public Ed25519 key, as base64 of its 32 bytes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Za-z0-9+/]{43}=$"))]
#[serde(transparent)]
pub struct PublicKey(pub String);

impl PublicKey {
    /// Whether `signature` (base64) is this key's signature of `bytes`.
    pub fn verify(&self, bytes: &[u8], signature: &str) -> Result<(), KeyError> {
        let signature = STANDARD.decode(signature).map_err(|_| KeyError::BadSignature)?;
        self.verify_raw(bytes, &signature)
    }

    fn verify_raw(&self, bytes: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let key = STANDARD.decode(&self.0).map_err(|_| KeyError::BadKey)?;
        signature::UnparsedPublicKey::new(&signature::ED25519, key)
            .verify(bytes, signature)
            .map_err(|_| KeyError::BadSignature)
    }

    /// The claims of a JWT by this key that is valid at `now` (seconds since 1970) for `audience`.
    ///
    /// The algorithm is fixed: a header that names another is refused (RFC 8725, 3.1). Lifetimes over
    /// [`MAX_TOKEN_SECONDS`] are refused, a clock may differ by [`CLOCK_LEEWAY_SECONDS`].
    pub fn verify_jwt(&self, token: &str, audience: &str, now: i64) -> Result<Claims, KeyError> {
        let (message, signature) = token.rsplit_once('.').ok_or(KeyError::BadToken)?;
        let (header, body) = message.split_once('.').ok_or(KeyError::BadToken)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| KeyError::BadToken);
        let header: serde_json::Value =
            serde_json::from_slice(&decode(header)?).map_err(|_| KeyError::BadToken)?;
        if header["alg"] != "EdDSA" {
            return Err(KeyError::BadToken);
        }
        self.verify_raw(message.as_bytes(), &decode(signature)?)?;
        let claims: Claims = serde_json::from_slice(&decode(body)?).map_err(|_| KeyError::BadToken)?;
        let fresh = claims.iat <= now + CLOCK_LEEWAY_SECONDS
            && claims.exp > now - CLOCK_LEEWAY_SECONDS
            && claims.exp.saturating_sub(claims.iat) <= MAX_TOKEN_SECONDS;
        if fresh && claims.aud == audience { Ok(claims) } else { Err(KeyError::BadToken) }
    }

    /// The subject a token *claims*, before its signature is checked: only good for finding the key to check it with.
    pub fn unverified_subject(token: &str) -> Option<String> {
        let body = token.split('.').nth(1)?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        Some(claims.sub)
    }
}

/// The longest life of a client assertion.
pub const MAX_TOKEN_SECONDS: i64 = 300;
/// How far two clocks may be apart.
pub const CLOCK_LEEWAY_SECONDS: i64 = 60;

/// The claims of a `private_key_jwt` client assertion (RFC 7523).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer: the client.
    pub iss: String,
    /// Subject: the client again.
    pub sub: String,
    /// Audience: the token endpoint's URL.
    pub aud: String,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Expires at, seconds since 1970.
    pub exp: i64,
    /// Unique id of this assertion; the server refuses a second use.
    pub jti: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let sub = "device".to_owned();
        Claims { iss: sub.clone(), sub, aud: "here".into(), iat: 1000, exp: 1060, jti: "1".into() }
    }

    #[test]
    fn a_signature_holds_for_its_bytes_and_its_key_only() {
        let key = SigningKey::generate().expect("randomness");
        let other = SigningKey::generate().expect("randomness");
        let signature = key.sign(b"manifest");
        assert_eq!(key.public().verify(b"manifest", &signature), Ok(()));
        assert_eq!(key.public().verify(b"manifes", &signature), Err(KeyError::BadSignature));
        assert_eq!(other.public().verify(b"manifest", &signature), Err(KeyError::BadSignature));
        let again = SigningKey::from_pkcs8(key.to_pkcs8()).expect("its own bytes");
        assert_eq!(again.public(), key.public());
    }

    #[test]
    fn a_token_is_refused_when_late_early_foreign_or_unsigned() {
        let key = SigningKey::generate().expect("randomness");
        let token = key.jwt(&claims());
        let public = key.public();
        assert_eq!(public.verify_jwt(&token, "here", 1010), Ok(claims()));
        assert_eq!(public.verify_jwt(&token, "there", 1010), Err(KeyError::BadToken));
        assert_eq!(public.verify_jwt(&token, "here", 1121), Err(KeyError::BadToken));
        assert_eq!(public.verify_jwt(&token, "here", 900), Err(KeyError::BadToken));
        let long = key.jwt(&Claims { exp: 9000, ..claims() });
        assert_eq!(public.verify_jwt(&long, "here", 1010), Err(KeyError::BadToken));
        let unsigned = URL_SAFE_NO_PAD.encode(br#"{"alg":"none"}"#);
        let body = token.split('.').nth(1).expect("three parts");
        assert!(public.verify_jwt(&format!("{unsigned}.{body}."), "here", 1010).is_err());
    }
}
