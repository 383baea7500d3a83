//! Events: the only way a document changes, and the states they lead to.
//!
//! An event is appended to its document's own hash chain and never changed (INV-6). Which event may follow
//! which state is decided by the cloud's state machine; here are only the words.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Blank, Decision, Digest, DocumentId, DocumentType, EnvelopeId, Field, FormRef, Part, PolicyRef,
    Recipient, ReturnedPdf, SignatureFinding, Violation,
};

/// Where a document is. Every document is in exactly one of these (INV-14).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its bytes and manifest are durable in the cloud.
    Received,
    /// Its page text is known.
    OcrComplete,
    /// Its type and fields are known.
    Classified,
    /// It waits for a person.
    InReview,
    /// It passed validation, or a person approved it.
    Validated,
    /// Policy said where it goes.
    Routed,
    /// Our key for the envelope is stored; the provider may or may not know of it yet.
    EnvelopeCreated,
    /// The provider has it and has invited the signer.
    Sent,
    /// The signer has looked at it.
    Viewed,
    /// Everyone has signed.
    Signed,
    /// Its signed form (where its route has one) and its evidence are kept. An end.
    Archived,
    /// A signer refused. An end until a person acts.
    Declined,
    /// The time to sign ran out. An end until a person acts.
    Expired,
    /// The envelope was withdrawn. An end until a person acts.
    Voided,
    /// A reviewer rejected it. An end.
    Rejected,
    /// It could not be carried on; reason and bytes are kept.
    Quarantined,
    /// Its content was removed by retention; its tombstone remains. An end.
    Deleted,
}

impl Status {
    /// The state as written in JSON, in the database and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::OcrComplete => "ocr_complete",
            Self::Classified => "classified",
            Self::InReview => "in_review",
            Self::Validated { .. } => "validated",
            Self::Routed => "routed",
            Self::EnvelopeCreated => "envelope_created",
            Self::Sent => "sent",
            Self::Viewed => "viewed",
            Self::Signed => "signed",
            Self::Archived => "archived",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Voided => "voided",
            Self::Rejected => "rejected",
            Self::Quarantined => "quarantined",
            Self::Deleted => "deleted",
        }
    }

    /// All states, in the order of a document's life.
    pub const ALL: [Self; 17] = [
        Self::Received,
        Self::OcrComplete,
        Self::Classified,
        Self::InReview,
        Self::Validated,
        Self::Routed,
        Self::EnvelopeCreated,
        Self::Sent,
        Self::Viewed,
        Self::Signed,
        Self::Archived,
        Self::Declined,
        Self::Expired,
        Self::Voided,
        Self::Rejected,
        Self::Quarantined,
        Self::Deleted,
    ];
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Status {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("no state is called {text:?}"))
    }
}

/// Who caused an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Actor {
    /// An enrolled device.
    Device(String),
    /// A client of the API, by id.
    Client(String),
    /// A person, by user name.
    User(String),
    /// A signer, by address.
    Signer(String),
    /// A signing provider, by name.
    Provider(String),
    /// The cloud itself.
    System,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device(id) => write!(f, "device:{id}"),
            Self::Client(id) => write!(f, "client:{id}"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::Signer(address) => write!(f, "signer:{address}"),
            Self::Provider(name) => write!(f, "provider:{name}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventBody {
    /// The manifest was committed; all its parts are durable, but for originals that follow later.
    Received {
        /// Digest of the manifest's bytes.
        manifest_sha256: Digest,
        /// The parts.
        parts: Vec<Part>,
        /// The originals that are still to come: their device sends them when its link is cheap.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        awaiting: Vec<Digest>,
    },
    /// The originals that were still to come are durable: nothing of the document is missing any more.
    OriginalsArrived {
        /// Their digests.
        originals: Vec<Digest>,
    },
    /// What came without them was given pages, text and a searchable PDF, or was given them anew. What was made of it
    /// before stays, as an earlier version.
    Captured {
        /// The searchable PDF and the page text.
        parts: Vec<Part>,
        /// What the rules take it to be.
        decision: Decision,
    },
    /// A program outside supplied the page text. What was read before stays, as an earlier version.
    TextSupplied {
        /// The page text.
        part: Part,
        /// What the rules take the document to be by this text.
        decision: Decision,
    },
    /// It is to be captured anew, from its originals.
    Reprocessed {
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The page text is in place.
    OcrComplete {
        /// Digest of the page text.
        page_text_sha256: Digest,
        /// Mean word confidence, 0 to 1.
        ocr_confidence: f32,
        /// Number of pages.
        page_count: u32,
    },
    /// Type and fields were decided by rules.
    Classified {
        /// The decision with its reasons.
        decision: Decision,
    },
    /// It is a copy of a printed form that people taught fields of: these were read where they had shown it.
    FormRecognised {
        /// The copies they were taught on.
        forms: Vec<FormRef>,
        /// The values, in the place of what the rules had read.
        fields: BTreeMap<String, Field>,
    },
    /// A person is asked.
    ReviewRequested {
        /// Why, each as a sentence.
        reasons: Vec<String>,
        /// The rules of validation it does not keep, which are among the reasons.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        violations: Vec<Violation>,
        /// The policy that asks for a person; absent where a person held it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<PolicyRef>,
    },
    /// A person approved the document, perhaps with corrections.
    Approved {
        /// The corrected type, where it was corrected.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        document_type: Option<DocumentType>,
        /// What was read from its pages by the corrected type, in the place of what was read by the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read: Option<BTreeMap<String, Field>>,
        /// Corrected field values by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
        /// What the person wrote.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// Why it may go on although it does not keep rules of validation. Only where it does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        override_reason: Option<String>,
        /// The rules it does not keep, and that the person overrode.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        overridden: Vec<Violation>,
    },
    /// A person rejected the document.
    Rejected {
        /// What the person wrote.
        comment: String,
    },
    /// The document passed validation without a person.
    Validated {
        /// The policy it was held against.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy: Option<PolicyRef>,
    },
    /// Policy said where it goes.
    Routed {
        /// The route's name in the policy.
        route: String,
        /// The policy that decided.
        policy: PolicyRef,
        /// The provider and account, or `None` where the route archives without a signature.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
        /// Who signs, approves and gets a copy.
        #[serde(default, alias = "signers")]
        recipients: Vec<Recipient>,
        /// Where they do.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        blanks: Vec<Blank>,
        /// When an unsigned envelope ends, where the route says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_at: Option<Timestamp>,
        /// How often recipients are reminded, in seconds, where the route says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_every_s: Option<u32>,
        /// Labels set by the route.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tags: Vec<String>,
        /// The retention class set by the route.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retention_class: Option<String>,
    },
    /// Our key for the envelope is stored; the provider is called after this (INV-10).
    EnvelopeCreated {
        /// Our key.
        envelope_id: EnvelopeId,
        /// The provider.
        provider: String,
        /// Digest of the PDF that is to be signed.
        document_sha256: Digest,
    },
    /// The provider took the envelope.
    Sent {
        /// The provider's own id for it.
        provider_reference: String,
    },
    /// A signer opened the document.
    Viewed {
        /// The signer's address.
        signer: String,
    },
    /// One of several recipients has signed or approved; others have yet to.
    RecipientSigned {
        /// The recipient's address.
        signer: String,
    },
    /// All signers have signed, and the signed PDF is kept.
    Signed {
        /// The signers' addresses.
        signers: Vec<String>,
        /// Digest of the signed PDF.
        signed_sha256: Digest,
        /// What was found of its digital signatures; absent in what was signed before they were looked at.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        finding: Option<Box<SignatureFinding>>,
        /// Why a person took it for signed although its signatures are broken; absent where nobody had to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        accepted_because: Option<String>,
    },
    /// A signer refused.
    Declined {
        /// The signer's address.
        signer: String,
        /// The reason given.
        reason: String,
    },
    /// The time to sign ran out.
    Expired,
    /// The envelope was withdrawn.
    Voided {
        /// Why.
        reason: String,
    },
    /// The evidence is complete and kept.
    Archived {
        /// Digest of the evidence package.
        evidence_sha256: Digest,
    },
    /// The document cannot be carried on.
    Quarantined {
        /// Why, in one sentence.
        reason: String,
        /// What would help.
        help: String,
        /// The PDF that came back from signing and was not taken for signed, where that is why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        returned: Option<Box<ReturnedPdf>>,
    },
    /// A person sent it on its way again after an end that allows it.
    Retried,
    /// What is known of it was corrected while it waits for a person.
    Corrected {
        /// The right type, where it was wrong.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        document_type: Option<DocumentType>,
        /// What was read from its pages by the corrected type, in the place of what was read by the one before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        read: Option<BTreeMap<String, Field>>,
        /// Right values by field name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        fields: BTreeMap<String, String>,
        /// The right department.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        department: Option<String>,
        /// The rules of validation it does not keep with this correction.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        violations: Vec<Violation>,
    },
}

impl EventBody {
    /// The event's name as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Received { .. } => "received",
            Self::OriginalsArrived { .. } => "originals_arrived",
            Self::Captured { .. } => "captured",
            Self::TextSupplied { .. } => "text_supplied",
            Self::Reprocessed { .. } => "reprocessed",
            Self::OcrComplete { .. } => "ocr_complete",
            Self::Classified { .. } => "classified",
            Self::FormRecognised { .. } => "form_recognised",
            Self::ReviewRequested { .. } => "review_requested",
            Self::Approved { .. } => "approved",
            Self::Rejected { .. } => "rejected",
            Self::Validated { .. } => "validated",
            Self::Routed { .. } => "routed",
            Self::EnvelopeCreated { .. } => "envelope_created",
            Self::Sent { .. } => "sent",
            Self::Viewed { .. } => "viewed",
            Self::RecipientSigned { .. } => "recipient_signed",
            Self::Signed { .. } => "signed",
            Self::Declined { .. } => "declined",
            Self::Expired => "expired",
            Self::Voided { .. } => "voided",
            Self::Archived { .. } => "archived",
            Self::Quarantined { .. } => "quarantined",
            Self::Retried => "retried",
            Self::Corrected { .. } => "corrected",
        }
    }
}

/// One event as kept: the link of a hash chain.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// The document.
    pub document_id: DocumentId,
    /// Position in the document's chain, from 1.
    pub sequence: u64,
    /// When it was appended.
    pub at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
    /// The hash of the event before it; the digest of the document's id for the first.
    pub previous: Digest,
}

impl Event {
    /// The event's exact bytes: what is stored, hashed and exported.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an event is plain data with string keys")
    }

    /// The `previous` of a document's first event.
    pub fn origin(document_id: DocumentId) -> Digest {
        Digest::of(document_id.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_back_as_it_was_written() {
        let document_id = DocumentId::new();
        let event = Event {
            document_id,
            sequence: 2,
            at: Timestamp::UNIX_EPOCH,
            actor: Actor::Signer("ada@example.com".into()),
            body: EventBody::Declined { signer: "ada@example.com".into(), reason: "not mine".into() },
            previous: Event::origin(document_id),
        };
        let bytes = event.to_bytes();
        let read: Event = serde_json::from_slice(&bytes).expect("our own JSON");
        assert_eq!(read, event);
        assert_eq!(read.to_bytes(), bytes);
    }

    #[test]
    fn every_state_is_known_by_its_name() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).expect("a string"), status.as_str());
        }
    }
}
