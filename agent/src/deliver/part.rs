//! One part to the cloud: by digest, resumable (tus 1.0: core, creation, checksum).
//!
//! ```text
//! ask -> there
//!     -> check -> resume -> chunk, chunk, … -> there
//!              -> create -^        | cut
//!                 resume <---------+
//! ```
//!
//! Pure but for the spool, which is read, and the outbox, which remembers the upload's address.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use platen_model::{Digest, Part};
use reqwest::Url;

use super::journey::Tools;
use super::trouble::{Trouble, damaged, unreadable};
use super::wire::{Answer, Cut, Method, Request};
use crate::spool::SpooledDocument;

/// The protocol version.
const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
/// tus checksum extension: the chunk's digest was another than we said.
const CHECKSUM_MISMATCH: u16 = 460;
/// How often one part may be cut off or refused without a single byte of progress in between, in one attempt.
const STANDSTILLS_MAX: u32 = 2;
/// How often one part is sent anew in one attempt because its bytes arrived as others.
const BEGUN_ANEW_MAX: u32 = 1;

/// One part on its way.
#[derive(Debug)]
pub(super) struct PartJourney {
    index: usize,
    state: State,
    standstills: u32,
    begun_anew: u32,
    furthest: u64,
    asked_at: Timestamp,
}

#[derive(Clone, Debug)]
enum State {
    Ask,
    Check,
    Resume { url: String },
    Create,
    Chunk { url: String, offset: u64, length: u64, checked: bool },
    There,
}

impl PartJourney {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            state: State::Ask,
            standstills: 0,
            begun_anew: 0,
            furthest: 0,
            asked_at: Timestamp::UNIX_EPOCH,
        }
    }

    /// The next request; `None` once the cloud has the part.
    pub(super) fn next(
        &mut self,
        document: &SpooledDocument,
        tools: &Tools,
        now: Timestamp,
    ) -> Result<Option<Request>, Trouble> {
        let part = &document.manifest.parts[self.index];
        self.asked_at = now;
        loop {
            let base = &tools.badge.url;
            let request = |method, url: String| Request {
                method,
                url,
                headers: vec![(TUS.0, TUS.1.to_owned())],
                body: Vec::new(),
            };
            match &mut self.state {
                State::There => return Ok(None),
                State::Ask => {
                    return Ok(Some(request(Method::Head, format!("{base}/v1/blobs/{}", part.sha256))));
                }
                State::Check => {
                    self.check(document)?;
                    self.resume(document, tools)?;
                }
                State::Resume { url } => return Ok(Some(request(Method::Head, url.clone()))),
                State::Create => {
                    let mut request = request(Method::Post, format!("{base}/v1/uploads"));
                    let hex = STANDARD.encode(part.sha256.to_string());
                    request.headers.extend([
                        ("upload-length", part.bytes.to_string()),
                        ("upload-metadata", format!("sha256 {hex},mime {}", STANDARD.encode(&part.mime))),
                    ]);
                    return Ok(Some(request));
                }
                State::Chunk { offset, .. } if *offset >= part.bytes => {
                    remember(document, tools, part, None, now)?;
                    self.state = State::There;
                }
                State::Chunk { url, offset, length, checked } => {
                    let next = tools.next_chunk();
                    (*length, *checked) = (next.bytes.min(part.bytes - *offset), next.checked);
                    let chunk = document.read_part(self.index, *offset, *length);
                    let chunk = chunk.map_err(|error| unreadable(&error))?;
                    let mut request = request(Method::Patch, url.clone());
                    request.headers.extend([
                        ("upload-offset", offset.to_string()),
                        ("content-type", "application/offset+octet-stream".to_owned()),
                    ]);
                    if *checked {
                        let checksum = STANDARD.encode(Digest::of(&chunk).as_bytes());
                        request.headers.push(("upload-checksum", format!("sha256 {checksum}")));
                    }
                    request.body = chunk;
                    return Ok(Some(request));
                }
            }
        }
    }

    /// Goes on with what came back.
    pub(super) fn answered(
        &mut self,
        answer: Result<Answer, Cut>,
        document: &SpooledDocument,
        tools: &Tools,
        now: Timestamp,
    ) -> Result<(), Trouble> {
        let part = &document.manifest.parts[self.index];
        match self.state.clone() {
            State::There | State::Check => Ok(()),
            State::Ask => {
                let answer = answer?;
                match answer.status {
                    200 | 204 => self.state = State::There,
                    404 => self.state = State::Check,
                    _ => return Err(Trouble::of_answer("asking for a part", &answer)),
                }
                Ok(())
            }
            State::Resume { url } => {
                let answer = answer?;
                self.state = match answer.status {
                    200..300 => match answer.number("upload-offset") {
                        Some(offset) if offset <= part.bytes => {
                            self.reached(offset);
                            State::Chunk { url, offset, length: 0, checked: true }
                        }
                        _ => {
                            return Err(Trouble::Later("the cloud did not say how far the upload is".into()));
                        }
                    },
                    403 | 404 | 410 => State::Create,
                    _ => return Err(Trouble::of_answer("resuming an upload", &answer)),
                };
                Ok(())
            }
            State::Create => {
                let answer = answer?;
                if answer.status != 201 {
                    return Err(Trouble::of_answer("beginning an upload", &answer));
                }
                let url = location(&answer, &tools.badge.url)?;
                remember(document, tools, part, Some(&url), now)?;
                self.state = State::Chunk { url, offset: 0, length: 0, checked: true };
                Ok(())
            }
            State::Chunk { url, offset, length, .. } => {
                let took = now.duration_since(self.asked_at).as_millis();
                let is_another = answer.as_ref().is_ok_and(|answer| answer.status == 422);
                if is_another && self.begun_anew < BEGUN_ANEW_MAX {
                    // All bytes came, but not as they were sent. A chunk went without its checksum, or was cut on its
                    // way: then the cloud keeps what came of it, unchecked. Once more, after a look at our own copy.
                    tools.chunk_was_corrupted();
                    self.begun_anew += 1;
                    self.check(document)?;
                    self.state = State::Create;
                    return Ok(());
                }
                let is_too_large = answer.as_ref().is_ok_and(|answer| answer.status == 413);
                if is_too_large && tools.chunk_was_too_large(length) {
                    // A proxy's limit, not the cloud's: that was asked for the whole part when the upload began.
                    return self.resume(document, tools);
                }
                match of_chunk(answer, offset, length, part) {
                    Ok(reached) => {
                        tools.chunk_got_through(length, u64::try_from(took).unwrap_or(0));
                        self.reached(reached);
                        self.state = State::Chunk { url, offset: reached, length: 0, checked: true };
                        Ok(())
                    }
                    Err(trouble @ (Trouble::Person(_) | Trouble::Busy { .. })) => Err(trouble),
                    Err(trouble) => {
                        tools.chunk_was_cut();
                        self.standstills += 1;
                        if self.standstills > STANDSTILLS_MAX {
                            return Err(trouble);
                        }
                        self.resume(document, tools)
                    }
                }
            }
        }
    }

    /// Holds our own copy against its digest.
    fn check(&self, document: &SpooledDocument) -> Result<(), Trouble> {
        match document.damage_of(self.index) {
            Ok(None) => Ok(()),
            Ok(Some(damage)) => Err(damaged(&damage)),
            Err(error) => Err(unreadable(&error)),
        }
    }

    fn reached(&mut self, offset: u64) {
        if offset > self.furthest {
            (self.furthest, self.standstills) = (offset, 0);
        }
    }

    /// Goes on from wherever an earlier attempt ended.
    fn resume(&mut self, document: &SpooledDocument, tools: &Tools) -> Result<(), Trouble> {
        let entry = tools.outbox.get(document.manifest.document_id);
        let entry = entry.map_err(|error| Trouble::own(format!("the outbox cannot be read: {error}")))?;
        let part = document.manifest.parts[self.index].sha256.to_string();
        // An address that was kept for another cloud is not this one's.
        let ours = |url: &String| same_origin(url, &tools.badge.url);
        let known = entry.and_then(|entry| entry.uploads.get(&part).cloned()).filter(ours);
        self.state = known.map_or(State::Create, |url| State::Resume { url });
        Ok(())
    }
}

/// The offset that a chunk brought the upload to.
fn of_chunk(answer: Result<Answer, Cut>, offset: u64, length: u64, part: &Part) -> Result<u64, Trouble> {
    let answer = answer?;
    match answer.status {
        204 => match answer.number("upload-offset") {
            Some(new) if new > offset && new <= part.bytes && new <= offset + length => Ok(new),
            _ => Err(Trouble::Later("the cloud answered an offset that cannot be".into())),
        },
        // Another offset than we thought, a chunk damaged or cut on its way, somebody else at work, or a forgotten
        // upload: ask how far it is.
        404 | 408 | 409 | 410 | 423 | CHECKSUM_MISMATCH => {
            Err(Trouble::Later(format!("an upload was refused: {}", answer.status)))
        }
        _ => Err(Trouble::of_answer("sending a part", &answer)),
    }
}

/// The address of a new upload. The token must not be sent to a place that somebody else put into an answer.
fn location(answer: &Answer, base: &str) -> Result<String, Trouble> {
    let uploads = Url::parse(&format!("{base}/v1/uploads"));
    let uploads = uploads.map_err(|error| Trouble::Later(format!("cloud.url {base}: {error}")))?;
    let joined = answer.header("location").and_then(|location| uploads.join(location).ok());
    match joined {
        Some(joined) if joined.origin() == uploads.origin() => Ok(joined.into()),
        _ => Err(Trouble::Later("the cloud began an upload without saying where".into())),
    }
}

fn same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => false,
    }
}

fn remember(
    document: &SpooledDocument,
    tools: &Tools,
    part: &Part,
    url: Option<&str>,
    now: Timestamp,
) -> Result<(), Trouble> {
    let part = part.sha256.to_string();
    let remembered = tools.outbox.change(document.manifest.document_id, now, |entry| {
        match url {
            Some(url) => entry.uploads.insert(part, url.to_owned()),
            None => entry.uploads.remove(&part),
        };
    });
    remembered.map_err(|error| Trouble::own(format!("the outbox cannot be written: {error}")))
}
