//! The approval payload: one document on its way to approval and signature, in the form that other people's programs
//! read. The same in the API, in webhooks and in what is given to a workflow engine.
//!
//! Its JSON Schema is checked in as `docs/schemas/approval-1.json`. A version grows by additions only; what would break a
//! reader gets the next number.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Actor, Status};
use crate::{
    CorrelationId, Digest, DocumentId, DocumentType, EnvelopeId, PolicyRef, Role, TenantId, Violation,
};

/// The version of the payload written by this release.
pub const APPROVAL_VERSION: u32 = 1;

/// A document on its way to approval and signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approval {
    /// The version of this form: 1.
    pub version: u32,
    /// The document.
    pub document_id: DocumentId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// What it is.
    pub document_type: DocumentType,
    /// How sure of that, 0 to 1; 1 where a person said so.
    pub confidence: f32,
    /// Where it is.
    pub status: Status,
    /// The number of events this was made of: two payloads of the same document and number are the same.
    pub sequence: u64,
    /// Who sent it in.
    pub initiator: Initiator,
    /// Who signs, approves and gets a copy, in their order; empty before it has a route.
    pub approvers: Vec<Approver>,
    /// What a person or a rule decides by.
    pub metadata: ApprovalMetadata,
    /// The values read from it, by name, in their normal form.
    pub fields: BTreeMap<String, ApprovalField>,
    /// The rules of validation it does not keep.
    pub violations: Vec<Violation>,
    /// Who has looked at it and approved it, as `user:ada`.
    pub reviewed_by: Vec<String>,
    /// Where policy sent it; absent before it has a route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<ApprovalRoute>,
    /// The envelope it is signed in, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_id: Option<EnvelopeId>,
    /// The digests of its bytes.
    pub digests: ApprovalDigests,
    /// The trace.
    pub correlation_id: CorrelationId,
}

/// Who sent a document in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Initiator {
    /// The device, program or person.
    pub actor: Actor,
    /// The source (hot folder, integrator) by name.
    pub source: String,
}

/// Who signs, approves or gets a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approver {
    /// The address to write to.
    pub address: String,
    /// The name, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is asked of them.
    pub role: Role,
    /// When their turn comes, from 1; the same number means at the same time.
    pub order: u32,
    /// Whether they have done their part.
    pub done: bool,
}

/// What a person or a rule decides by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalMetadata {
    /// The name its first original had.
    pub file_name: String,
    /// The department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Number of pages.
    pub page_count: u32,
    /// When it was received.
    pub received_at: Timestamp,
    /// The amount it is about, as a decimal number: `1234.56`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = r"^-?[0-9]+(\.[0-9]+)?$"))]
    pub amount: Option<String>,
    /// The amount's currency, by ISO 4217.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(pattern = "^[A-Z]{3}$"))]
    pub currency: Option<String>,
}

/// A value read from a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalField {
    /// The value in its normal form.
    pub value: String,
    /// How sure we are, 0 to 1; 1 where a person said so.
    pub confidence: f32,
}

/// Where policy sent a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalRoute {
    /// The route's name.
    pub name: String,
    /// The policy that decided.
    pub policy: PolicyRef,
    /// The signing account; absent where the route archives without a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Labels.
    pub tags: Vec<String>,
    /// The retention class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_class: Option<String>,
    /// When an unsigned envelope ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// The digests of a document's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovalDigests {
    /// What the scanner wrote, file by file.
    pub originals: Vec<Digest>,
    /// The searchable PDF: what is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalized: Option<Digest>,
    /// The signed PDF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Digest>,
    /// The evidence package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Digest>,
}
