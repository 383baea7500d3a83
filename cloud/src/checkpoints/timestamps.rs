//! Time-stamps of checkpoints (RFC 3161), where the configuration names an authority (`timestamp_url`).
//!
//! A checkpoint is signed by the site itself; that it was so *then* only somebody else can say. The authority is sent
//! the digest of a checkpoint's bytes, and nothing else. Its token is kept beside the checkpoint and may come later: an
//! authority that is away delays nothing, and is asked again by the next chore.
//!
//! What is checked here is that a token speaks of these bytes and of this request, and that its signature holds by the
//! certificate it brings along, so that no other is kept. Whose that is, is for whoever relies on it:
//! `openssl ts -verify -token_in -in TOKEN -digest DIGEST -CAfile THEIRS`.

use std::time::Duration;

use der::asn1::{Any, ObjectIdentifier, OctetString, Uint};
use der::{Decode as _, Encode as _, Sequence};
use platen_capture::pdf::signatures::stamp::{Imprint, read_sound};
use platen_model::{Digest, TenantId};
use ring::rand::{SecureRandom as _, SystemRandom};
use spki::AlgorithmIdentifierOwned;
use sqlx::{AnyConnection, Row as _};

use crate::store::{Store, StoreError};

const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// Longest time an authority may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(20);
/// Largest answer that is read, in bytes.
const ANSWER_BYTES: usize = 64 << 10;
/// Checkpoints that are stamped in one go; what is left is for the next.
const AT_ONCE: i64 = 20;

/// Why there is no time-stamp yet.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// The authority did not answer, or refused.
    #[error("the time-stamp authority: {0}")]
    Authority(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for StampError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// `TimeStampReq`, as far as it is used: no policy, no extensions.
#[derive(Sequence)]
struct Request {
    version: u8,
    imprint: Imprint,
    nonce: Uint,
    certificate: bool,
}

/// Gets time-stamps for the tenant's newest checkpoints that have none; answers how many.
pub async fn stamp(store: &Store, tenant: &TenantId, url: &str) -> Result<u32, StampError> {
    let rows = sqlx::query(
        "SELECT c.number, c.bytes FROM checkpoints c WHERE c.tenant_id = $1 AND NOT EXISTS
           (SELECT 1 FROM checkpoint_stamps s WHERE s.tenant_id = c.tenant_id AND s.number = c.number)
         ORDER BY c.number DESC LIMIT $2",
    )
    .bind(tenant.as_str())
    .bind(AT_ONCE)
    .fetch_all(store.reading())
    .await?;
    let mut stamped = 0;
    for row in rows {
        let bytes: String = row.get("bytes");
        let token = ask(url, Digest::of(bytes.as_bytes())).await.map_err(StampError::Authority)?;
        let mut write = store.begin().await?;
        let done = sqlx::query(
            "INSERT INTO checkpoint_stamps (tenant_id, number, token) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(tenant.as_str())
        .bind(row.get::<i64, _>("number"))
        .bind(token)
        .execute(&mut *write)
        .await?;
        // Counted beside them, so that none can leave unseen.
        sqlx::query("UPDATE feeds SET stamps = stamps + $1 WHERE tenant_id = $2")
            .bind(done.rows_affected() as i64)
            .bind(tenant.as_str())
            .execute(&mut *write)
            .await?;
        write.commit().await?;
        stamped += 1;
    }
    Ok(stamped)
}

/// The token of a checkpoint, where it has one.
pub async fn token_of(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    number: i64,
) -> Result<Option<Vec<u8>>, StoreError> {
    let row = sqlx::query("SELECT token FROM checkpoint_stamps WHERE tenant_id = $1 AND number = $2")
        .bind(tenant.as_str())
        .bind(number)
        .fetch_optional(reading)
        .await?;
    Ok(row.map(|row| row.get("token")))
}

/// How many time-stamps a tenant's checkpoints have, and how many of those are of no checkpoint.
pub(super) async fn count(reading: &mut AnyConnection, tenant: &TenantId) -> Result<(i64, i64), StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS there, COUNT(*) - COUNT(c.number) AS strange FROM checkpoint_stamps s
         LEFT JOIN checkpoints c ON c.tenant_id = s.tenant_id AND c.number = s.number WHERE s.tenant_id = $1",
    )
    .bind(tenant.as_str())
    .fetch_one(reading)
    .await?;
    Ok((row.get("there"), row.get("strange")))
}

/// Asks an authority about a digest, and answers its token.
pub async fn ask(url: &str, sha256: Digest) -> Result<Vec<u8>, String> {
    let (request, nonce) = request(sha256)?;
    // Whoever is first sets it for the process; it is the same everywhere.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .timeout(ANSWER_TIME)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| error.to_string())?;
    let sent = client.post(url).header("content-type", "application/timestamp-query").body(request).send();
    let mut answer = sent.await.map_err(|error| error.to_string())?;
    if !answer.status().is_success() {
        return Err(format!("it answered {}", answer.status()));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| error.to_string())? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_BYTES {
            return Err(format!("its answer has more than {ANSWER_BYTES} bytes"));
        }
    }
    let token = token_in(&bytes)?;
    let stamp = read_sound(&token, sha256)?;
    if stamp.nonce.as_deref() != Some(&nonce) {
        return Err("its token answers another request".into());
    }
    Ok(token)
}

fn request(sha256: Digest) -> Result<(Vec<u8>, Vec<u8>), String> {
    let mut nonce = [0u8; 16];
    SystemRandom::new().fill(&mut nonce).map_err(|_| "the operating system gave no randomness")?;
    let made = || -> der::Result<(Vec<u8>, Vec<u8>)> {
        let algorithm = AlgorithmIdentifierOwned { oid: SHA_256, parameters: Some(Any::null()) };
        let imprint = Imprint { algorithm, digest: OctetString::new(sha256.as_bytes().as_slice())? };
        let nonce = Uint::new(&nonce)?;
        let as_sent = nonce.as_bytes().to_vec();
        Ok((Request { version: 1, imprint, nonce, certificate: true }.to_der()?, as_sent))
    };
    made().map_err(|error| error.to_string())
}

/// The token in a `TimeStampResp`; an error says why there is none.
fn token_in(answer: &[u8]) -> Result<Vec<u8>, String> {
    let unreadable = |error: der::Error| format!("its answer cannot be read: {error}");
    let parts = Vec::<Any>::from_der(answer).map_err(unreadable)?;
    let [status, rest @ ..] = &parts[..] else { return Err("its answer is empty".into()) };
    let status: Vec<Any> = status.decode_as().map_err(unreadable)?;
    let code: u8 = status.first().ok_or("its answer has no status")?.decode_as().map_err(unreadable)?;
    // 0: granted; 1: granted with changes.
    match (code, rest) {
        (0 | 1, [token, ..]) => token.to_der().map_err(unreadable),
        (code, _) => Err(format!("it refused with status {code}")),
    }
}

#[cfg(test)]
#[path = "timestamps_tests.rs"]
pub(crate) mod tests;
