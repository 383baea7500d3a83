//! Signatures of callbacks: `t=<seconds>,v1=<hex HMAC-SHA256 over "t.body">`.
//!
//! The form several providers use; our own sandbox speaks it too. The time stamp is inside what is signed,
//! so that an old callback cannot be given a new time. Comparison takes the same time whether the first or
//! the last byte differs (ring's `hmac::verify`).

use std::fmt::Write as _;

use jiff::Timestamp;
use ring::hmac;

use super::provider::Forged;

/// How far a callback's time stamp may be from our clock, in seconds, in either direction.
pub const TOLERANCE_SECONDS: i64 = 300;

/// The header's value for a body sent `at`.
pub fn sign(secret: &hmac::Key, at: Timestamp, body: &[u8]) -> String {
    let tag = tag(secret, at.as_second(), body);
    let hex = tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    format!("t={},v1={hex}", at.as_second())
}

/// Whether the header's value is by this secret, over this body, and of now.
pub fn verify(secret: &hmac::Key, header: &str, body: &[u8], now: Timestamp) -> Result<(), Forged> {
    let mut seconds = None;
    let mut signature = None;
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => seconds = value.parse::<i64>().ok(),
            Some(("v1", value)) => signature = unhex(value),
            _ => {}
        }
    }
    let (Some(seconds), Some(signature)) = (seconds, signature) else { return Err(Forged::Unsigned) };
    hmac::verify(secret, &message(seconds, body), &signature).map_err(|_| Forged::BadSignature)?;
    if seconds.abs_diff(now.as_second()) > TOLERANCE_SECONDS.unsigned_abs() {
        return Err(Forged::Stale);
    }
    Ok(())
}

fn tag(secret: &hmac::Key, seconds: i64, body: &[u8]) -> hmac::Tag {
    hmac::sign(secret, &message(seconds, body))
}

fn message(seconds: i64, body: &[u8]) -> Vec<u8> {
    let mut message = format!("{seconds}.").into_bytes();
    message.extend_from_slice(body);
    message
}

/// Bytes written in hexadecimal.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_body_by_the_right_secret_at_the_right_time_is_believed() {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let other = hmac::Key::new(hmac::HMAC_SHA256, b"other");
        let at = |second| Timestamp::from_second(second).expect("in range");
        let header = sign(&secret, at(1000), b"body");
        assert_eq!(verify(&secret, &header, b"body", at(1000)), Ok(()));
        assert_eq!(verify(&secret, &header, b"body", at(1300)), Ok(()));
        assert_eq!(verify(&secret, &header, b"body", at(1301)), Err(Forged::Stale));
        assert_eq!(verify(&secret, &header, b"body", at(699)), Err(Forged::Stale));
        assert_eq!(verify(&secret, &header, b"bodY", at(1000)), Err(Forged::BadSignature));
        assert_eq!(verify(&other, &header, b"body", at(1000)), Err(Forged::BadSignature));
        let moved = header.replace("t=1000", "t=1200");
        assert_eq!(verify(&secret, &moved, b"body", at(1200)), Err(Forged::BadSignature));
        for unsigned in ["", "t=1000", "v1=00", "t=x,v1=00", "t=1000,v1=0", "t=1000,v1=zz", "t=1000,v1=é0"] {
            assert_eq!(verify(&secret, unsigned, b"body", at(1000)), Err(Forged::Unsigned), "{unsigned}");
        }
    }
}
