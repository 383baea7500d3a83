//! One part to the cloud: by digest, resumable (tus 1.0: core, creation, checksum).

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_model::{Digest, Part, durable};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, StatusCode, Url};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::courier::Courier;
use super::trouble::Trouble;
use crate::outbox::Outbox;
use crate::spool::SpooledDocument;

/// The protocol version.
const TUS: (&str, &str) = ("Tus-Resumable", "1.0.0");
/// tus checksum extension: the chunk's digest was another than we said.
const CHECKSUM_MISMATCH: u16 = 460;
/// How often one part may be cut off or refused without a single byte of progress in between, in one attempt.
const STANDSTILLS_MAX: u32 = 2;

/// Makes sure that the cloud has a part's bytes.
pub(super) async fn send_part(
    courier: &Courier,
    document: &SpooledDocument,
    index: usize,
    outbox: &Outbox,
) -> Result<(), Trouble> {
    let part = &document.manifest.parts[index];
    let delivery = Delivery { courier, document, part, outbox };
    if delivery.is_there().await? {
        return Ok(());
    }
    let file = document.part_file(index);
    let path = file.clone();
    let digested = tokio::task::spawn_blocking(move || durable::digest_file(&path)).await;
    let digested = digested.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    let (sha256, _) = digested.map_err(|error| damaged(&file, &error.to_string()))?;
    if sha256 != part.sha256 {
        return Err(damaged(&file, &format!("its digest is {sha256}, not {}", part.sha256)));
    }
    delivery.upload(&file).await
}

fn damaged(file: &Path, what: &str) -> Trouble {
    Trouble::Person(format!("the spool is damaged: {}: {what}", file.display()))
}

struct Delivery<'d> {
    courier: &'d Courier,
    document: &'d SpooledDocument,
    part: &'d Part,
    outbox: &'d Outbox,
}

impl Delivery<'_> {
    async fn is_there(&self) -> Result<bool, Trouble> {
        let url = format!("{}/v1/blobs/{}", self.courier.url, self.part.sha256);
        let response = self.send(Method::HEAD, &url, |request| request).await?;
        match response.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(Trouble::of_answer("asking for a part", response).await),
        }
    }

    /// Uploads from wherever an earlier attempt ended. A cut is resumed at once as long as bytes get through.
    async fn upload(&self, file: &Path) -> Result<(), Trouble> {
        let mut standstills = 0;
        let mut furthest = 0;
        let (mut url, mut offset) = self.resume_or_create().await?;
        while offset < self.part.bytes {
            let sent = match self.send_chunk(file, &url, offset).await {
                Ok(sent) => sent,
                Err(trouble @ Trouble::Person(_)) => return Err(trouble),
                Err(trouble) => {
                    standstills += 1;
                    if standstills > STANDSTILLS_MAX {
                        return Err(trouble);
                    }
                    (url, offset) = self.resume_or_create().await?;
                    offset
                }
            };
            offset = sent;
            if offset > furthest {
                (furthest, standstills) = (offset, 0);
            }
        }
        self.remember(None)
    }

    async fn resume_or_create(&self) -> Result<(String, u64), Trouble> {
        let entry = self.outbox.get(self.document.manifest.document_id);
        let entry = entry.map_err(|error| Trouble::later(format!("the outbox cannot be read: {error}")))?;
        let known = entry.and_then(|entry| entry.uploads.get(&self.part.sha256.to_string()).cloned());
        if let Some(url) = known
            && let Some(offset) = self.offset_of(&url).await?
        {
            return Ok((url, offset));
        }
        let url = self.create().await?;
        self.remember(Some(&url))?;
        Ok((url, 0))
    }

    /// How far an upload has come; `None` where the cloud has forgotten it.
    async fn offset_of(&self, url: &str) -> Result<Option<u64>, Trouble> {
        let response = self.send(Method::HEAD, url, |request| request).await?;
        match response.status() {
            status if status.is_success() => match upload_offset(&response) {
                Some(offset) => Ok(Some(offset)),
                None => Err(Trouble::later("the cloud did not say how far the upload is")),
            },
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => Ok(None),
            _ => Err(Trouble::of_answer("resuming an upload", response).await),
        }
    }

    async fn create(&self) -> Result<String, Trouble> {
        let hex = STANDARD.encode(self.part.sha256.to_string());
        let metadata = format!("sha256 {hex},mime {}", STANDARD.encode(&self.part.mime));
        let url = format!("{}/v1/uploads", self.courier.url);
        let response = self
            .send(Method::POST, &url, |request| {
                request.header("Upload-Length", self.part.bytes).header("Upload-Metadata", metadata)
            })
            .await?;
        if response.status() != StatusCode::CREATED {
            return Err(Trouble::of_answer("beginning an upload", response).await);
        }
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let base = Url::parse(&url).map_err(|error| Trouble::later(format!("{url}: {error}")))?;
        match location.and_then(|location| base.join(location).ok()) {
            // The token must not be sent to a place that somebody else put into an answer.
            Some(joined) if joined.origin() == base.origin() => Ok(joined.into()),
            _ => Err(Trouble::later("the cloud began an upload without saying where")),
        }
    }

    /// Sends one chunk and answers the new offset.
    async fn send_chunk(&self, file: &Path, url: &str, offset: u64) -> Result<u64, Trouble> {
        let length = self.courier.chunk_bytes.min(self.part.bytes - offset);
        let chunk =
            read_chunk(file, offset, length).await.map_err(|error| damaged(file, &error.to_string()))?;
        let checksum = format!("sha256 {}", STANDARD.encode(Digest::of(&chunk).as_bytes()));
        let response = self
            .send(Method::PATCH, url, |request| {
                request
                    .header("Upload-Offset", offset)
                    .header(CONTENT_TYPE, "application/offset+octet-stream")
                    .header("Upload-Checksum", checksum)
                    .body(chunk)
            })
            .await?;
        match response.status() {
            StatusCode::NO_CONTENT => match upload_offset(&response) {
                Some(new) if new > offset && new <= self.part.bytes => Ok(new),
                _ => Err(Trouble::later("the cloud answered an offset that cannot be")),
            },
            // Another offset than we thought, a chunk damaged on its way, or a forgotten upload: ask again.
            status
                if matches!(status, StatusCode::CONFLICT | StatusCode::NOT_FOUND | StatusCode::GONE)
                    || status.as_u16() == CHECKSUM_MISMATCH =>
            {
                Err(Trouble::later(format!("an upload was refused: {status}")))
            }
            _ => Err(Trouble::of_answer("sending a part", response).await),
        }
    }

    fn remember(&self, url: Option<&str>) -> Result<(), Trouble> {
        let part = self.part.sha256.to_string();
        self.outbox
            .change(self.document.manifest.document_id, |entry| {
                match url {
                    Some(url) => entry.uploads.insert(part, url.to_owned()),
                    None => entry.uploads.remove(&part),
                };
            })
            .map_err(|error| Trouble::later(format!("the outbox cannot be written: {error}")))
    }

    async fn send(
        &self,
        method: Method,
        url: &str,
        fill: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Trouble> {
        let trace = &self.document.manifest.correlation_id;
        self.courier.send(method, url, trace, |request| fill(request.header(TUS.0, TUS.1))).await
    }
}

fn upload_offset(response: &reqwest::Response) -> Option<u64> {
    response.headers().get("Upload-Offset")?.to_str().ok()?.parse().ok()
}

async fn read_chunk(file: &Path, offset: u64, length: u64) -> std::io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(file).await?;
    file.seek(std::io::SeekFrom::Start(offset)).await?;
    let mut chunk = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
    file.read_exact(&mut chunk).await?;
    Ok(chunk)
}
