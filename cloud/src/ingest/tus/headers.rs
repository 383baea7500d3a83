//! The headers of tus, as a client wrote them.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_model::Digest;

use crate::refusal::Refusal;
use crate::store::uploads::Upload;

/// Longest media type of a part.
const MIME_CHARACTERS: usize = 100;

/// What a client says of an upload that it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    /// Bytes that will come.
    pub(crate) bytes: u64,
    /// The digest they will have.
    pub(crate) sha256: Digest,
    /// Their media type, as the client has it.
    pub(crate) mime: String,
}

/// Reads the headers of a creation.
pub(crate) fn announced(headers: &HeaderMap) -> Result<Announced, Refusal> {
    speaks_tus(headers)?;
    let bytes = number(headers, "upload-length")?;
    let metadata = metadata(headers)?;
    let sha256 = metadata.get("sha256").and_then(|hex| hex.parse::<Digest>().ok());
    let sha256 =
        sha256.ok_or_else(|| Refusal::bad_request("Upload-Metadata needs `sha256`: 64 hex digits"))?;
    let mime = metadata.get("mime").cloned().unwrap_or_else(|| "application/octet-stream".into());
    if mime.len() > MIME_CHARACTERS || HeaderValue::from_str(&mime).is_err() || !mime.contains('/') {
        return Err(Refusal::bad_request("Upload-Metadata: `mime` is not a media type"));
    }
    Ok(Announced { bytes, sha256, mime })
}

pub(crate) fn speaks_tus(headers: &HeaderMap) -> Result<(), Refusal> {
    match text(headers, "tus-resumable") {
        Some("1.0.0") => Ok(()),
        None => Err(Refusal::bad_request("the header Tus-Resumable is missing").help("speak tus 1.0.0")),
        Some(_) => {
            Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "tus-version", "Tus-Resumable must be 1.0.0")
                .help("speak tus 1.0.0"))
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(crate) fn number(headers: &HeaderMap, name: &str) -> Result<u64, Refusal> {
    let number = text(headers, name).and_then(|value| value.parse().ok()).filter(|n| *n <= i64::MAX as u64);
    number.ok_or_else(|| Refusal::bad_request(format!("the header {name} is missing or no number")))
}

fn metadata(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Refusal> {
    let wrong = || Refusal::bad_request("Upload-Metadata is not pairs of a key and base64");
    let mut pairs = BTreeMap::new();
    for pair in
        text(headers, "upload-metadata").unwrap_or_default().split(',').filter(|pair| !pair.is_empty())
    {
        let (key, value) = pair.trim().split_once(' ').unwrap_or((pair.trim(), ""));
        let value = STANDARD.decode(value).map_err(|_| wrong())?;
        pairs.insert(key.to_owned(), String::from_utf8(value).map_err(|_| wrong())?);
    }
    Ok(pairs)
}

/// What an upload was announced with, as `Upload-Metadata` says it.
pub(crate) fn metadata_of(upload: &Upload) -> String {
    let (sha256, mime) = (STANDARD.encode(upload.sha256.to_string()), STANDARD.encode(&upload.mime));
    format!("sha256 {sha256},mime {mime}")
}

pub(crate) fn checksum(headers: &HeaderMap) -> Result<Option<[u8; 32]>, Refusal> {
    let Some(value) = text(headers, "upload-checksum") else { return Ok(None) };
    let value = value.strip_prefix("sha256 ").and_then(|value| STANDARD.decode(value).ok());
    let value = value.and_then(|bytes| bytes.try_into().ok());
    value.map(Some).ok_or_else(|| Refusal::bad_request("Upload-Checksum: `sha256 ` and base64 of 32 bytes"))
}
