//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a request that may be sent again.
//!
//! A key is remembered with the document or envelope that came of it, in the same commit, for `limits.idempotency_seconds`. The same
//! body under it is answered with that; another body is refused with 422, as the draft has it. A request that
//! was refused is not remembered: nothing came of it, and it may be corrected under the same key. Two requests at once
//! under one key wait for each other at their commits, and the second is a repetition.

use std::fmt::Display;
use std::str::FromStr;

use axum::http::{HeaderMap, StatusCode};
use platen_model::{Digest, TenantId};

use crate::app::App;
use crate::auth::Caller;
use crate::refusal::Refusal;
use crate::store::idempotency::{self as rows, Key, Known};
use crate::store::{Write, now_ms};

/// The header.
const HEADER: &str = "idempotency-key";
/// Longest key, in characters.
const CHARACTERS: usize = 255;

/// The key a request carries, over what it sends.
pub(crate) fn key_of(
    headers: &HeaderMap,
    caller: &Caller,
    fingerprint: Digest,
) -> Result<Option<Key>, Refusal> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let name = value.to_str().ok().filter(|_| values.next().is_none()).and_then(parse);
    let name = name.ok_or_else(|| {
        Refusal::bad_request("Idempotency-Key is one string of 1 to 255 characters, best in quotes")
    })?;
    Ok(Some(Key { holder: caller.name(), name, fingerprint }))
}

/// The string of a structured field (RFC 9651, 3.3.3); a bare word, which many clients send, is one as well.
pub(crate) fn parse(value: &str) -> Option<String> {
    let value = value.trim();
    let Some(quoted) = value.strip_prefix('"') else {
        let bare = value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b',');
        return (bare && (1..=CHARACTERS).contains(&value.len())).then(|| value.to_owned());
    };
    let (mut name, mut letters) = (String::new(), quoted.chars());
    loop {
        match letters.next()? {
            '"' => break,
            '\\' => name.push(letters.next().filter(|letter| matches!(letter, '"' | '\\'))?),
            letter if letter == ' ' || letter.is_ascii_graphic() => name.push(letter),
            _ => return None,
        }
    }
    let rest = letters.as_str().trim_start();
    let ends = rest.is_empty() || rest.starts_with(';');
    (ends && (1..=CHARACTERS).contains(&name.len())).then_some(name)
}

/// What came of this key before: the id of a document or of an envelope. Refuses a key under which something else was
/// sent.
pub(crate) async fn earlier<T>(
    write: &mut Write,
    tenant: &TenantId,
    key: Option<&Key>,
) -> Result<Option<T>, Refusal>
where
    T: FromStr<Err: Display>,
{
    let Some(key) = key else { return Ok(None) };
    match rows::find(write, tenant, key).await? {
        Known::New => Ok(None),
        Known::Same(outcome) => Ok(Some(outcome)),
        Known::Other => {
            let detail = "another request was sent under this Idempotency-Key before";
            Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-conflict", detail)
                .help("use a new key for a new request; repeat a request with its exact body"))
        }
    }
}

/// Remembers what came of a key, in the write of it.
pub(crate) async fn keep(
    app: &App,
    write: &mut Write,
    tenant: &TenantId,
    key: Option<&Key>,
    outcome: impl Display,
) -> Result<(), Refusal> {
    let Some(key) = key else { return Ok(()) };
    let seconds = i64::try_from(app.config.limits.idempotency_seconds).unwrap_or(i64::MAX / 2_000);
    Ok(rows::keep(write, tenant, key, &outcome, now_ms() + seconds * 1_000).await?)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_key_is_a_quoted_string_or_a_bare_word_and_nothing_else() {
        let check =
            |value: &str, expected: Option<&str>| assert_eq!(parse(value).as_deref(), expected, "{value}");
        check("\"8e03978e-40d5\"", Some("8e03978e-40d5"));
        check("8e03978e-40d5", Some("8e03978e-40d5"));
        check(r#""a \"b\" \\ c""#, Some(r#"a "b" \ c"#));
        check("\"a\";v=1", Some("a"));
        check("\"a\" b", None);
        check("\"a", None);
        check("\"\"", None);
        check("", None);
        check("a,b", None);
        check(r#""a\n""#, None);
        check(&"a".repeat(256), None);
    }
}
