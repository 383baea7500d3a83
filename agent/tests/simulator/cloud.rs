//! A cloud that keeps to the delivery contract, in memory, and watches whether the agent does.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use platen_agent::deliver::wire::{Answer, Method, Request};
use platen_model::keys::{PublicKey, SigningKey};
use platen_model::manifest::SignedReceipt;
use platen_model::{DeviceId, Digest, DocumentId, DocumentManifest, PartRole, Receipt};

pub(crate) const URL: &str = "https://cloud.example";
const TOKEN_SECONDS: i64 = 900;

#[derive(Debug)]
pub(crate) struct Cloud {
    key: SigningKey,
    device: DeviceId,
    device_key: PublicKey,
    pub(crate) blobs: BTreeMap<Digest, Vec<u8>>,
    pub(crate) documents: BTreeMap<DocumentId, Committed>,
    uploads: Vec<Option<Upload>>,
    /// Tokens with the second they end at.
    tokens: Vec<(String, i64)>,
    assertions: BTreeSet<String>,
    /// Receipts that awaited originals.
    pub(crate) deferred: u64,
    /// What must never happen, and did.
    pub(crate) violations: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) manifest: Vec<u8>,
    pub(crate) parts: Vec<Digest>,
    pub(crate) at: Timestamp,
}

#[derive(Debug)]
struct Upload {
    sha256: Digest,
    length: u64,
    bytes: Vec<u8>,
}

impl Cloud {
    pub(crate) fn new(key: SigningKey, device: DeviceId, device_key: PublicKey) -> Self {
        Self {
            key,
            device,
            device_key,
            blobs: BTreeMap::new(),
            documents: BTreeMap::new(),
            uploads: Vec::new(),
            tokens: Vec::new(),
            assertions: BTreeSet::new(),
            deferred: 0,
            violations: Vec::new(),
        }
    }

    /// Restarts: what was acknowledged stays, uploads under way may be forgotten.
    pub(crate) fn restart(&mut self) {
        self.uploads.iter_mut().for_each(|upload| *upload = None);
        self.tokens.clear();
    }

    /// Whether a document is here with every part's bytes.
    pub(crate) fn has_whole(&self, id: DocumentId) -> bool {
        let here = |parts: &Vec<Digest>| parts.iter().all(|part| self.blobs.contains_key(part));
        self.documents.get(&id).is_some_and(|document| here(&document.parts))
    }

    pub(crate) fn answer(&mut self, request: &Request, now: Timestamp) -> Answer {
        let mut answer = self.route(request, now);
        let date = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        answer.headers.push(("date".into(), date));
        answer
    }

    fn route(&mut self, request: &Request, now: Timestamp) -> Answer {
        let Some(path) = request.url.strip_prefix(URL) else { return status(404) };
        if path == "/oauth/token" {
            return self.token(request, now);
        }
        let token = header(request, "authorization").strip_prefix("Bearer ").unwrap_or_default();
        let alive = |(known, ends): &(String, i64)| known == token && *ends > now.as_second();
        if !self.tokens.iter().any(alive) {
            return status(401);
        }
        if path == "/v1/documents" {
            return self.commit(request, now);
        }
        if header(request, "tus-resumable") != "1.0.0" {
            return status(412);
        }
        if let Some(digest) = path.strip_prefix("/v1/blobs/") {
            let known = digest.parse().is_ok_and(|digest: Digest| self.blobs.contains_key(&digest));
            return status(if known { 200 } else { 404 });
        }
        if path == "/v1/uploads" {
            return self.create(request);
        }
        let index = path.strip_prefix("/v1/uploads/").and_then(|index| index.parse().ok());
        match (index, request.method) {
            (Some(index), Method::Head) => self.offset(index),
            (Some(index), Method::Patch) => self.append(index, request),
            _ => status(404),
        }
    }

    fn token(&mut self, request: &Request, now: Timestamp) -> Answer {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let assertion = body.rsplit_once("client_assertion=").map(|(_, assertion)| assertion.to_owned());
        let audience = format!("{URL}/oauth/token");
        let claims =
            assertion.and_then(|it| self.device_key.verify_jwt(&it, &audience, now.as_second()).ok());
        match claims {
            Some(claims) if self.assertions.insert(claims.jti.clone()) => {}
            _ => return status(401),
        }
        let token = format!("token-{}", self.assertions.len());
        let json =
            format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{TOKEN_SECONDS}}}"#);
        self.tokens.push((token, now.as_second() + TOKEN_SECONDS));
        Answer { status: 200, headers: Vec::new(), body: json.into_bytes() }
    }

    fn create(&mut self, request: &Request) -> Answer {
        let metadata = header(request, "upload-metadata");
        let pairs: BTreeMap<&str, &str> =
            metadata.split(',').filter_map(|pair| pair.split_once(' ')).collect();
        let sha256 = pairs.get("sha256").and_then(|coded| STANDARD.decode(coded).ok());
        let sha256 = sha256.and_then(|hex| String::from_utf8(hex).ok()).and_then(|hex| hex.parse().ok());
        let (Some(sha256), Ok(length)) = (sha256, header(request, "upload-length").parse()) else {
            return status(400);
        };
        if length == 0 && sha256 == Digest::of(b"") {
            self.blobs.insert(sha256, Vec::new());
        }
        self.uploads.push(Some(Upload { sha256, length, bytes: Vec::new() }));
        let location = format!("/v1/uploads/{}", self.uploads.len() - 1);
        Answer { status: 201, headers: vec![("location".into(), location)], body: Vec::new() }
    }

    fn offset(&self, index: usize) -> Answer {
        match self.uploads.get(index) {
            Some(Some(upload)) => at_offset(200, upload),
            _ => status(404),
        }
    }

    fn append(&mut self, index: usize, request: &Request) -> Answer {
        let Some(place) = self.uploads.get_mut(index) else { return status(404) };
        let Some(upload) = place else { return status(404) };
        if header(request, "upload-offset") != upload.bytes.len().to_string() {
            return status(409);
        }
        let checksum = STANDARD.encode(Digest::of(&request.body).as_bytes());
        if header(request, "upload-checksum") != format!("sha256 {checksum}") {
            return status(460);
        }
        upload.bytes.extend_from_slice(&request.body);
        if upload.bytes.len() as u64 > upload.length {
            self.violations.push("more bytes were sent than were announced".into());
            return status(413);
        }
        let answer = at_offset(204, upload);
        if upload.bytes.len() as u64 == upload.length {
            if Digest::of(&upload.bytes) != upload.sha256 {
                self.violations.push("checked chunks made a part of another digest".into());
                *place = None;
                return status(422);
            }
            self.blobs.insert(upload.sha256, upload.bytes.clone());
        }
        answer
    }

    fn commit(&mut self, request: &Request, now: Timestamp) -> Answer {
        let (device, signature) = header(request, "platen-signature").split_once(' ').unwrap_or_default();
        let signed = self.device_key.verify(&request.body, signature).is_ok();
        if device != self.device.to_string() || !signed {
            return status(403);
        }
        let Ok(manifest) = serde_json::from_slice::<DocumentManifest>(&request.body) else {
            return status(400);
        };
        let deferred = header(request, "platen-deferred") == "originals";
        let missing: Vec<_> =
            manifest.parts.iter().filter(|part| !self.blobs.contains_key(&part.sha256)).collect();
        if !missing.iter().all(|part| deferred && part.role == PartRole::Original) {
            return status(422);
        }
        let awaiting: Vec<Digest> = missing.iter().map(|part| part.sha256).collect();
        self.deferred += u64::from(!awaiting.is_empty());
        let id = manifest.document_id;
        let parts: Vec<Digest> = manifest.parts.iter().map(|part| part.sha256).collect();
        let fresh = Committed { manifest: request.body.clone(), parts: parts.clone(), at: now };
        let known = self.documents.entry(id).or_insert(fresh);
        if known.manifest != request.body {
            self.violations.push(format!("{id} was committed with two manifests"));
            return status(409);
        }
        let receipt = Receipt {
            document_id: id,
            manifest_sha256: Digest::of(&request.body),
            parts,
            awaiting,
            committed_at: known.at,
        };
        let receipt = serde_json::to_string(&receipt).expect("plain values");
        let signature = self.key.sign(receipt.as_bytes());
        let receipt = SignedReceipt { receipt, signature, successions: Vec::new() };
        let body = serde_json::json!({"document": {}, "receipt": receipt}).to_string();
        Answer { status: 202, headers: Vec::new(), body: body.into_bytes() }
    }
}

fn status(status: u16) -> Answer {
    Answer { status, ..Answer::default() }
}

fn at_offset(status: u16, upload: &Upload) -> Answer {
    let offset = upload.bytes.len().to_string();
    Answer { status, headers: vec![("upload-offset".into(), offset)], body: Vec::new() }
}

fn header<'r>(request: &'r Request, name: &str) -> &'r str {
    request.headers.iter().find(|(found, _)| *found == name).map_or("", |(_, value)| value.as_str())
}
