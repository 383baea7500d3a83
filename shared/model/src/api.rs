//! Bodies of the HTTP API that both sides, and other people's programs, read and write.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Status};
use crate::keys::PublicKey;
use crate::{
    Blank, CorrelationId, DeviceId, Digest, DocumentId, DocumentType, EnvelopeId, Field, LineItem, Reason,
    Recipient, TenantId, Violation,
};

/// A document as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Document {
    /// Its id.
    pub document_id: DocumentId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// The source (hot folder, integrator) by name.
    pub source: String,
    /// The device that captured it.
    pub device_id: Option<DeviceId>,
    /// The name its first original had.
    pub file_name: String,
    /// The media type of its first original.
    pub mime_type: String,
    /// `sha256:` and the digest of its first original.
    pub checksum: String,
    /// Number of pages.
    pub page_count: u32,
    /// Mean word confidence, 0 to 1.
    pub ocr_confidence: f32,
    /// Its type.
    pub document_type: DocumentType,
    /// How sure of the type, 0 to 1.
    pub confidence: f32,
    /// Why: what its pages lack, then the evidence of the rules, strongest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// Values read, by name.
    pub fields: BTreeMap<String, Field>,
    /// The rows of its tables of goods and services, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub line_items: Vec<LineItem>,
    /// The route policy chose.
    pub route: Option<String>,
    /// Labels set by policy.
    pub policy_tags: Vec<String>,
    /// The department.
    pub department: Option<String>,
    /// The retention class.
    pub retention_class: Option<String>,
    /// `none`, `requested`, `approved` or `rejected`.
    pub reviewer_status: String,
    /// The rules of validation it does not keep: what is to be mended before it may be signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
    /// The current envelope.
    pub envelope_id: Option<EnvelopeId>,
    /// Where it is.
    pub status: Status,
    /// The number of events in its chain; also its `ETag`.
    pub version: u64,
    /// The trace.
    pub correlation_id: CorrelationId,
    /// How often its current step was tried again.
    pub retry_count: u32,
    /// How many of its originals are still to come: its device sends them when its link is cheap. Until then there is
    /// no evidence package.
    #[serde(default)]
    pub originals_outstanding: u32,
    /// When the cloud took it.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A page of a list; `next` is the cursor of the page after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Pass as `after` to go on; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An event as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShownEvent {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// The digest of the event's bytes without this field: the `previous` of the event after it.
    pub hash: Digest,
}

/// `POST /v1/documents/{id}/review`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Review {
    /// Let it go on, perhaps corrected.
    Approve {
        /// The right type, where it was wrong.
        #[serde(default)]
        document_type: Option<DocumentType>,
        /// Right values by field name.
        #[serde(default)]
        fields: BTreeMap<String, String>,
        /// A note.
        #[serde(default)]
        comment: Option<String>,
        /// Why it may go on although it does not keep rules of validation. It needs the right the policy asks for.
        #[serde(default)]
        override_reason: Option<String>,
    },
    /// Stop it.
    Reject {
        /// Why.
        comment: String,
    },
}

/// An envelope as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Envelope {
    /// Our key.
    pub envelope_id: EnvelopeId,
    /// The document.
    pub document_id: DocumentId,
    /// The provider.
    pub provider: String,
    /// The provider's id, once known.
    pub provider_reference: Option<String>,
    /// `created, sent, viewed, completed, declined, expired` or `voided`.
    pub status: String,
    /// Who signs, approves and gets a copy.
    pub recipients: Vec<Recipient>,
    /// Where they do.
    pub blanks: Vec<Blank>,
    /// When it ends unsigned, where its route says so.
    pub expires_at: Option<Timestamp>,
    /// When our key was stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// `POST /v1/devices/enroll`: a one-time code for an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EnrollRequest {
    /// The code an administrator made.
    pub code: String,
    /// The device's public key.
    pub public_key: PublicKey,
    /// A name for people, usually the host's.
    pub name: String,
}

/// The identity a device is given. Repeating the request with the same code and key gives the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrollResponse {
    /// Its id: the `client_id` for tokens.
    pub device_id: DeviceId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// The key the cloud signs receipts with.
    pub receipt_key: PublicKey,
}

/// The answer of `POST /oauth/token` (RFC 6749, 5.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Token {
    /// The bearer token.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until it ends.
    pub expires_in: u64,
    /// What it allows, separated by blanks.
    #[serde(default)]
    pub scope: String,
}
