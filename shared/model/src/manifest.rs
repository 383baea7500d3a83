//! The wire contract between agent and cloud: the manifest that commits a document, and the receipt that answers it.
//!
//! The agent uploads parts by digest, then posts the manifest's exact bytes with the header
//! `Platen-Signature: <device id> <base64 Ed25519 signature over those bytes>`. The cloud keeps the bytes.
//! Its [`Receipt`] names the same digests and carries the cloud's own signature; only such a receipt lets
//! the document leave the agent's spool (INV-3).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::keys::{KeyError, PublicKey};
use crate::succession::Succession;
use crate::{CaptureId, CorrelationId, Decision, DeviceId, Digest, DocumentId, SourcePage};

/// The version of the manifest written by this release.
pub const MANIFEST_VERSION: u32 = 1;
/// The header that carries the device's signature of the manifest.
pub const SIGNATURE_HEADER: &str = "platen-signature";

/// The header with which a device says that originals follow later, over a cheaper link: `Platen-Deferred: originals`.
///
/// The manifest is the same, and names the originals' digests; the receipt names those that are not there yet, and the
/// device keeps the document. Once they are uploaded it posts the same manifest without this header, and the receipt
/// of that names all. Only originals may follow later, and only where none of them is what is signed
/// ([`DocumentManifest::may_defer_originals`]).
pub const DEFERRED_HEADER: &str = "platen-deferred";

/// What a part is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PartRole {
    /// A file as the scanner wrote it, byte for byte. A batch has several, in page order.
    Original,
    /// The searchable PDF/A made from it.
    Normalized,
    /// [`crate::PageText`] as JSON.
    PageText,
}

/// One uploaded byte string.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it is.
    pub role: PartRole,
    /// Its digest: its name in the cloud's blob store.
    pub sha256: Digest,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its media type.
    pub mime: String,
    /// For an original: the name it had in the hot folder. Data only, never a path we open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// For a searchable PDF: it is an unsigned copy of a digitally signed original. It is never the one that is signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub copy_of_signed: bool,
}

/// The PDF among a document's parts that may be signed: the searchable one, but where that is a copy of a digitally
/// signed PDF the original itself, whose signatures a further one leaves valid.
pub fn part_to_sign(parts: &[Part]) -> Option<&Part> {
    let normalized = parts.iter().find(|part| part.role == PartRole::Normalized)?;
    if !normalized.copy_of_signed {
        return Some(normalized);
    }
    let mut originals = parts.iter().filter(|part| part.role == PartRole::Original);
    // Of several files no one is the document.
    let original = originals.next().filter(|part| part.mime == "application/pdf")?;
    originals.next().is_none().then_some(original)
}

/// A source file as it was claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// The file's name in its folder; bytes that are not UTF-8 are replaced, the spool keeps the raw name.
    pub file_name: String,
    /// Digest of the bytes.
    pub sha256: Digest,
    /// Length in bytes.
    pub bytes: u64,
}

/// The manifest: everything the cloud needs to take a document over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DocumentManifest {
    /// [`MANIFEST_VERSION`] of the writer.
    pub version: u32,
    /// The document's id, made by the agent; the cloud's idempotency key.
    pub document_id: DocumentId,
    /// The claim it came from.
    pub capture_id: CaptureId,
    /// The trace.
    pub correlation_id: CorrelationId,
    /// The device that made it; absent where a program sent a raw file over the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// The configured source (hot folder) by name.
    pub source: String,
    /// The department set by the source's configuration, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// When the file was claimed.
    pub claimed_at: Timestamp,
    /// When the document was finished.
    pub captured_at: Timestamp,
    /// Number of pages in the normalized PDF.
    pub page_count: u32,
    /// Mean word confidence, 0 to 1.
    pub ocr_confidence: f32,
    /// What it was taken to be, and why.
    pub decision: Decision,
    /// The parts, originals first, each uploaded before this manifest.
    pub parts: Vec<Part>,
    /// Free labels from the source's configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Where it lay in the batch it was scanned in, where that was divided. The originals are those of the whole
    /// batch, so that the division can be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchPlace>,
    /// The capture whose documents this one takes the place of: a person undid the division.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejoins: Option<CaptureId>,
}

/// Where a document lay in the batch it was scanned in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BatchPlace {
    /// Which of the batch's documents it is, from 1.
    pub document: u32,
    /// The number of documents the batch was divided into.
    pub documents: u32,
    /// Where each of its pages is in the originals.
    pub pages: Vec<SourcePage>,
    /// The languages it was read in, as Tesseract names them.
    pub languages: String,
    /// The two originals are the fronts and the backs of a stack, put together leaf by leaf: whether the backs came
    /// last page first. Absent where the originals follow each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backs_reversed: Option<bool>,
}

impl DocumentManifest {
    /// The first part of a role.
    pub fn part(&self, role: PartRole) -> Option<&Part> {
        self.parts.iter().find(|part| part.role == role)
    }

    /// Whether its originals may follow later: not where one of them is what is signed.
    pub fn may_defer_originals(&self) -> bool {
        part_to_sign(&self.parts).is_some_and(|part| part.role == PartRole::Normalized)
    }

    /// Length of all parts in bytes.
    pub fn bytes(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.bytes))
    }

    /// The name a person knows the document by: its first original's.
    pub fn file_name(&self) -> &str {
        self.part(PartRole::Original).and_then(|part| part.file_name.as_deref()).unwrap_or("document")
    }
}

/// What the cloud answers once a document is durable (INV-4). Signed: see [`SignedReceipt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Receipt {
    /// The document.
    pub document_id: DocumentId,
    /// Digest of the manifest's bytes as received.
    pub manifest_sha256: Digest,
    /// Digests of all parts, in the manifest's order.
    pub parts: Vec<Digest>,
    /// Of these, the originals that are still to come. Only with none the document may leave the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaiting: Vec<Digest>,
    /// When the cloud committed it, or the last of its originals.
    pub committed_at: Timestamp,
}

/// A receipt with the cloud's signature over its exact JSON text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedReceipt {
    /// The receipt as JSON text; the signature covers these bytes.
    pub receipt: String,
    /// Base64 Ed25519 signature by the cloud's receipt key.
    pub signature: String,
    /// The links from the cloud's former receipt keys to this one: a device knows the key of its enrolment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub successions: Vec<Succession>,
}

impl SignedReceipt {
    /// Whether it is signed by a key that is known, or by one that followed on it.
    ///
    /// # Errors
    ///
    /// [`KeyError::BadSignature`] where it is not.
    pub fn verify(&self, known: &PublicKey) -> Result<(), KeyError> {
        Succession::last(known, &self.successions).verify(self.receipt.as_bytes(), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(role: PartRole, mime: &str) -> Part {
        let sha256 = Digest::of(mime.as_bytes());
        Part { role, sha256, bytes: 1, mime: mime.into(), file_name: None, copy_of_signed: false }
    }

    /// What is signed of these originals, where the searchable PDF is a copy of a signed one or is not.
    #[track_caller]
    fn check(originals: &[&str], copy_of_signed: bool, signed: Option<(PartRole, &str)>) {
        let mut parts: Vec<Part> = originals.iter().map(|mime| part(PartRole::Original, mime)).collect();
        parts.push(Part { copy_of_signed, ..part(PartRole::Normalized, "application/pdf") });
        parts.push(part(PartRole::PageText, "application/json"));
        let found = part_to_sign(&parts).map(|part| (part.role, part.mime.as_str()));
        assert_eq!(found, signed, "{originals:?}, copy of a signed one: {copy_of_signed}");
    }

    #[test]
    fn inv8_a_copy_of_a_signed_pdf_is_never_signed_in_its_place() {
        let (original, normalized) = (PartRole::Original, PartRole::Normalized);
        check(&["image/tiff"], false, Some((normalized, "application/pdf")));
        check(&["application/pdf"], false, Some((normalized, "application/pdf")));
        check(&["application/pdf"], true, Some((original, "application/pdf")));
        check(&["application/pdf", "application/pdf"], true, None);
        check(&["image/tiff", "application/pdf"], true, None);
        check(&["image/tiff"], true, None);
        check(&[], true, None);
        assert_eq!(part_to_sign(&[part(original, "application/pdf")]), None, "nothing was made of it");
    }
}
