//! `POST /v1/documents`: the manifest that commits a document.
//!
//! The device's signature covers the manifest's exact bytes, which are kept as they came. The document, its
//! first event and its first job are one commit; the receipt is given only after it (INV-4). A repetition gets
//! the same receipt (INV-5): it is made of what the events say, and Ed25519 signs the same bytes with the same
//! signature.
//!
//! A device whose bytes are dear may leave the originals for later (`Platen-Deferred`). The document goes on without
//! them, up to its archive; the receipt names what is awaited. The same manifest once more, when they are here, gives
//! the event of their arrival and a receipt that awaits nothing: only with that one the device lets its copy go.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platen_model::event::{Actor, EventBody};
use platen_model::manifest::{DEFERRED_HEADER, MANIFEST_VERSION, SIGNATURE_HEADER, SignedReceipt};
use platen_model::{DeviceId, Digest, DocumentId, DocumentManifest, PartRole, Receipt, crash};

use super::documents::Taken;
use super::{idempotency, limits};
use crate::app::App;
use crate::auth::Caller;
use crate::evidence::{DeviceSignature, signature};
use crate::keys::ReceiptKey;
use crate::refusal::Refusal;
use crate::store::record::Record;
use crate::store::{blobs as visibility, documents, events, people::DeviceRow};

/// The media type of a manifest.
pub const MANIFEST_MIME: &str = "application/vnd.platen.manifest+json";
/// Most parts in a manifest: a batch of one-page files as long as a document may be, and what was made of it.
const PARTS: usize = 6_000;
/// Longest page text, in bytes: it is read into memory as a whole.
const PAGE_TEXT_BYTES: u64 = 256 << 20;
/// The one word of [`DEFERRED_HEADER`].
const DEFERRED: &str = "originals";
/// Longest name of a source, department or file, in characters.
const NAME_CHARACTERS: usize = 255;

/// Commits the document of a manifest.
pub(super) async fn commit(
    app: &App,
    caller: &Caller,
    device: &DeviceRow,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refusal> {
    let signature = must_be_signed(device, headers, body)?;
    let manifest: DocumentManifest = serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the manifest: {error}")))?;
    let limits = limits::of(app, &device.tenant).await?;
    must_be_sound(sender(app, device, &manifest, body).await?, &manifest)?;
    let deferred = is_deferred(headers, &manifest)?;
    let missing = must_have_parts(app, device, &manifest, deferred).await?;

    let manifest_sha256 = app.keep.put(&device.tenant, body.to_vec(), MANIFEST_MIME).await?;
    crash::point("the manifest is kept");
    let key = idempotency::key_of(headers, caller, manifest_sha256)?;
    let mut write = app.store.begin().await?;
    // The id in the manifest tells a repetition by itself; a key only must not have stood for something else.
    idempotency::earlier::<DocumentId>(&mut write, &device.tenant, key.as_ref()).await?;
    write.hold(manifest.document_id).await?;
    let known = documents::find(&mut *write, &device.tenant, manifest.document_id).await?;
    let (status, record) = match known {
        Some(record) if record.manifest_sha256 != manifest_sha256 => {
            return Err(Refusal::conflict("this document was committed before, with another manifest")
                .help("a changed document needs a new id"));
        }
        Some(record) if missing.is_empty() && !record.awaiting.is_empty() => {
            let actor = Actor::Device(device.device_id.to_string());
            let body = EventBody::OriginalsArrived { originals: record.awaiting };
            let record =
                events::append(&mut write, &device.tenant, manifest.document_id, actor, body).await?;
            idempotency::keep(app, &mut write, &device.tenant, key.as_ref(), manifest.document_id).await?;
            write.commit().await?;
            crash::point("the originals are committed");
            app.wake.notify_one();
            (StatusCode::OK, record)
        }
        Some(record) => {
            idempotency::keep(app, &mut write, &device.tenant, key.as_ref(), manifest.document_id).await?;
            write.commit().await?;
            (StatusCode::OK, record)
        }
        None => {
            if documents::is_taken(&mut write, manifest.document_id).await? {
                return Err(Refusal::conflict("this document id is taken").help("use a new id"));
            }
            // Only what is new: a document that is here stays here when the limit is lowered.
            must_be_short(&manifest, limits.document_pages)?;
            limits::must_be_in_time(&mut write, &device.tenant, &limits).await?;
            let record = {
                let actor = Actor::Device(device.device_id.to_string());
                events::receive(&mut write, &device.tenant, &manifest, manifest_sha256, missing, actor)
                    .await?
            };
            signature::keep(&mut *write, &device.tenant, manifest.document_id, &signature).await?;
            idempotency::keep(app, &mut write, &device.tenant, key.as_ref(), manifest.document_id).await?;
            write.commit().await?;
            crash::point("the document is committed");
            app.wake.notify_one();
            (StatusCode::ACCEPTED, record)
        }
    };
    let receipt = receipt(app, &record);
    let location = format!("/v1/documents/{}", record.document.document_id);
    let body = Json(Taken { document: record.document, receipt });
    Ok((status, [(header::LOCATION, location)], body).into_response())
}

/// The device that a manifest may name: the one that sent it. One that was committed before is repeated by whatever
/// device of the tenant holds it: a machine that was enrolled anew may not know that its document arrived, and another
/// manifest for the same document would be refused.
async fn sender(
    app: &App,
    device: &DeviceRow,
    manifest: &DocumentManifest,
    body: &[u8],
) -> Result<DeviceId, Refusal> {
    let Some(named) = manifest.device_id.filter(|named| *named != device.device_id) else {
        return Ok(device.device_id);
    };
    let known = documents::find(app.store.reading(), &device.tenant, manifest.document_id).await?;
    let is_known = known.is_some_and(|record| record.manifest_sha256 == Digest::of(body));
    Ok(if is_known { named } else { device.device_id })
}

/// The receipt of a committed document: the same each time, as long as it awaits the same originals.
pub(crate) fn receipt(app: &App, record: &Record) -> SignedReceipt {
    let receipt = Receipt {
        document_id: record.document.document_id,
        manifest_sha256: record.manifest_sha256,
        parts: record.receipted(),
        awaiting: record.awaiting.clone(),
        committed_at: record.whole_since.unwrap_or(record.document.created_at),
    };
    let receipt = serde_json::to_string(&receipt).expect("a receipt is plain data");
    let ReceiptKey { key, successions } = &app.receipt_key;
    let signature = key.sign(receipt.as_bytes());
    SignedReceipt { receipt, signature, successions: successions.clone() }
}

/// The device's signature of the body, which is part of the evidence.
fn must_be_signed(device: &DeviceRow, headers: &HeaderMap, body: &[u8]) -> Result<DeviceSignature, Refusal> {
    let refuse = |detail: &str| {
        Refusal::new(StatusCode::FORBIDDEN, "bad-signature", detail)
            .help("sign the exact bytes of the manifest with the enrolled device's key")
    };
    let header = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
    let header = header.ok_or_else(|| refuse("the header Platen-Signature is missing"))?;
    let (by, signature) =
        header.split_once(' ').ok_or_else(|| refuse("Platen-Signature is a device id and a signature"))?;
    if by != device.device_id.to_string() {
        return Err(refuse("Platen-Signature names another device than the token"));
    }
    device
        .public_key
        .verify(body, signature.trim())
        .map_err(|_| refuse("the signature does not hold for these bytes"))?;
    Ok(DeviceSignature {
        device_id: device.device_id,
        public_key: device.public_key.clone(),
        signature: signature.trim().to_owned(),
    })
}

/// Lists every complaint, so that a client's author needs to try only once.
pub(crate) fn must_be_sound(device: DeviceId, manifest: &DocumentManifest) -> Result<(), Refusal> {
    let mut errors = BTreeMap::new();
    let mut complain = |wrong: bool, field: String, complaint: &str| {
        if wrong {
            errors.insert(field, complaint.to_owned());
        }
    };
    let unit = |number: f32| (0.0..=1.0).contains(&number);
    let name = |text: &str| text.chars().count() <= NAME_CHARACTERS && !text.chars().any(char::is_control);
    complain(manifest.version != MANIFEST_VERSION, "version".into(), "this server reads version 1");
    complain(manifest.device_id != Some(device), "device_id".into(), "is not the device that sent it");
    complain(manifest.source.is_empty() || !name(&manifest.source), "source".into(), "is not a name");
    complain(manifest.department.as_deref().is_some_and(|d| !name(d)), "department".into(), "is not a name");
    complain(manifest.page_count == 0, "page_count".into(), "a document has pages");
    let kind = &manifest.decision.document_type.0;
    complain(kind.is_empty() || !name(kind), "decision.document_type".into(), "is not a name");
    complain(!unit(manifest.ocr_confidence), "ocr_confidence".into(), "is not from 0 to 1");
    complain(!unit(manifest.decision.confidence), "decision.confidence".into(), "is not from 0 to 1");
    // What JSON writes as a number beyond all measure is read as infinite, and cannot be written again.
    let again = serde_json::to_vec(manifest).and_then(|bytes| serde_json::from_slice(&bytes));
    let is_readable = again.is_ok_and(|again: DocumentManifest| again == *manifest);
    complain(!is_readable, "(all of it)".into(), "a number in it is beyond all measure");
    complain(manifest.parts.len() > PARTS, "parts".into(), "are too many");
    for (field, value) in &manifest.decision.fields {
        complain(
            !unit(value.confidence),
            format!("decision.fields.{field}.confidence"),
            "is not from 0 to 1",
        );
    }
    for (role, one) in [(PartRole::Original, false), (PartRole::Normalized, true), (PartRole::PageText, true)]
    {
        let count = manifest.parts.iter().filter(|part| part.role == role).count();
        let word = serde_json::to_value(role).unwrap_or_default();
        let word = word.as_str().unwrap_or_default().to_owned();
        complain(count == 0, format!("parts ({word})"), "is missing");
        complain(one && count > 1, format!("parts ({word})"), "may be there only once");
    }
    for (index, part) in manifest.parts.iter().enumerate() {
        let too_long = part.role == PartRole::PageText && part.bytes > PAGE_TEXT_BYTES;
        complain(too_long, format!("parts[{index}].bytes"), "is over 256 MiB, the limit of a page text");
        complain(!part.mime.contains('/'), format!("parts[{index}].mime"), "is not a media type");
        complain(
            part.file_name.as_deref().is_some_and(|file| !name(file)),
            format!("parts[{index}].file_name"),
            "is too long or has control characters",
        );
    }
    if errors.is_empty() { Ok(()) } else { Err(Refusal::invalid("the manifest is not sound", errors)) }
}

fn must_be_short(manifest: &DocumentManifest, most_pages: u32) -> Result<(), Refusal> {
    if manifest.page_count <= most_pages {
        return Ok(());
    }
    let complaint = format!("is over {most_pages}, the limit (limits.document_pages)");
    Err(Refusal::invalid("the document has too many pages", [("page_count".to_owned(), complaint)].into()))
}

/// Whether the sender says that originals follow later.
pub(super) fn says_deferred(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(DEFERRED_HEADER).map(|word| word.as_bytes()) {
        None => Ok(false),
        Some(word) if word == DEFERRED.as_bytes() => Ok(true),
        Some(_) => Err(Refusal::bad_request("Platen-Deferred knows one word: originals")),
    }
}

/// Whether the device leaves the originals for later.
fn is_deferred(headers: &HeaderMap, manifest: &DocumentManifest) -> Result<bool, Refusal> {
    let is_said = says_deferred(headers)?;
    if is_said && !manifest.may_defer_originals() {
        let detail = "an original of this document is what is signed: it cannot follow later";
        return Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "not-deferrable", detail)
            .help("upload the originals, then repeat without Platen-Deferred"));
    }
    Ok(is_said)
}

/// All parts must be here, visible to the tenant, with the length the manifest says. Answers the originals that are
/// not, which may be so only where they are `deferred`.
async fn must_have_parts(
    app: &App,
    device: &DeviceRow,
    manifest: &DocumentManifest,
    deferred: bool,
) -> Result<Vec<Digest>, Refusal> {
    let mut errors = BTreeMap::new();
    let mut follow = Vec::new();
    for (index, part) in manifest.parts.iter().enumerate() {
        let field = format!("parts[{index}]");
        match visibility::visible(app.store.reading(), &device.tenant, part.sha256).await? {
            None if deferred && part.role == PartRole::Original => follow.push(part.sha256),
            None => drop(errors.insert(field, missing(part.sha256))),
            Some(blob) if blob.bytes != part.bytes => {
                drop(errors.insert(field, format!("has {} bytes here, not {}", blob.bytes, part.bytes)));
            }
            Some(_) => {}
        }
    }
    if errors.is_empty() {
        return Ok(follow);
    }
    Err(Refusal::invalid("not all parts are here", errors)
        .help("upload the parts named in `errors`, then repeat"))
}

fn missing(sha256: Digest) -> String {
    format!("{sha256} is not uploaded")
}
