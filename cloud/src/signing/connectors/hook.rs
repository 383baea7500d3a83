//! What the checks of callbacks share: secrets compared in constant time, ages, and a key that tells repetitions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_model::Digest;
use ring::hmac;
use zeroize::Zeroizing;

pub(super) use crate::signing::hmac::unhex;
use crate::signing::provider::Forged;

/// Whether `tag` is the HMAC-SHA256 of `message` by one of the secrets.
pub(super) fn is_signed(secrets: &[Zeroizing<String>], message: &[u8], tag: &[u8]) -> bool {
    secrets.iter().any(|secret| {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message, tag).is_ok()
    })
}

/// Whether a text is one of the secrets, compared in a time that does not tell how much of it is right.
pub(super) fn is_secret(secrets: &[Zeroizing<String>], text: &str) -> bool {
    // ring compares tags in constant time; under a key that is new each time they tell nothing of the texts.
    let key = hmac::Key::generate(hmac::HMAC_SHA256, &ring::rand::SystemRandom::new());
    let Ok(key) = key else { return false };
    let tag = hmac::sign(&key, text.as_bytes());
    // No early end: every secret is compared.
    secrets
        .iter()
        .fold(false, |found, secret| hmac::verify(&key, secret.as_bytes(), tag.as_ref()).is_ok() | found)
}

/// Bytes written in Base64.
pub(super) fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.trim()).ok()
}

/// Refuses what was signed too long ago, or in the future.
pub(super) fn is_recent(signed_second: i64, now_second: i64, tolerance: i64) -> Result<(), Forged> {
    let apart = signed_second.abs_diff(now_second);
    if apart > tolerance.unsigned_abs() { Err(Forged::Stale) } else { Ok(()) }
}

/// A key over what tells one callback from another.
pub(super) fn key(parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Digest::of(&bytes).to_string()
}
