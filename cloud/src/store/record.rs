//! What is known of a document: the fold of its events over what its manifest said.
//!
//! A record is always the same for the same manifest and events; that is what makes `platen-cloud rebuild`
//! possible. So nothing may be put here that an event does not say.

use std::collections::BTreeMap;

use jiff::Timestamp;
use platen_model::api::Document;
use platen_model::event::{Actor, Event, EventBody, Status};
use platen_model::{
    Blank, CorrelationId, Decision, Digest, DocumentManifest, DocumentType, Field, Part, PartRole, Recipient,
    TenantId, Violation,
};
use serde::{Deserialize, Serialize};

use crate::machine::State;

/// Everything the cloud knows of one document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// As the API shows it.
    pub document: Document,
    /// Digest of the manifest's bytes, which are kept as a blob.
    pub manifest_sha256: Digest,
    /// The parts.
    pub parts: Vec<Part>,
    /// The originals that are still to come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaiting: Vec<Digest>,
    /// When the last of those that followed later came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_since: Option<Timestamp>,
    /// The trace of the documents it takes the place of: their division was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<CorrelationId>,
    /// The decision of the rules, before any correction by a person.
    pub decision: Option<Decision>,
    /// What was read of it because people had taught it on another copy of its form.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub taught: BTreeMap<String, Field>,
    /// What people said of it since it was classified, by field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub said: BTreeMap<String, String>,
    /// The provider its route names.
    pub provider: Option<String>,
    /// Who signs, approves and gets a copy by its route.
    #[serde(alias = "signers")]
    pub recipients: Vec<Recipient>,
    /// Where they do.
    #[serde(default)]
    pub blanks: Vec<Blank>,
    /// Who of them has done their part in the current envelope.
    #[serde(default)]
    pub signed_by: Vec<String>,
    /// Who declined, and how often an envelope expired, since a person last sent the document on its way.
    #[serde(default)]
    pub ends: Ends,
    /// Who approved it since it was last changed, each once.
    #[serde(default)]
    pub approved_by: Vec<String>,
    /// The rules of validation that it does not keep, and that somebody with the right overrode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<Violation>,
    /// When an unsigned envelope ends.
    pub expires_at: Option<Timestamp>,
    /// How often its recipients are reminded, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_every_s: Option<u32>,
    /// Digest of the signed PDF.
    pub signed_sha256: Option<Digest>,
    /// Digest of a PDF that came back from signing and was not taken for signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned_sha256: Option<Digest>,
    /// Digest of the evidence package.
    pub evidence_sha256: Option<Digest>,
    /// Why it was quarantined and what would help, while it is.
    pub trouble: Option<(String, String)>,
    /// Why a person was asked, each as a sentence.
    pub review_reasons: Vec<String>,
    /// Where a retry goes back to.
    pub resume: Option<Status>,
    /// Whether its pages are yet to be captured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raw: bool,
    /// What the capture in the cloud takes it to be, once there was one; before, its manifest says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Decision>,
    /// What its receipt names, where that is not what its parts are by now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipted: Vec<Digest>,
    /// Hash of the newest event: the head of the chain.
    pub head: Digest,
}

/// How envelopes of a document ended without a signature, since a person last sent it on its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ends {
    /// Who declined, in order.
    pub declined_by: Vec<String>,
    /// How many expired that had been sent.
    pub expired: u32,
    /// How many expired before they were sent, one after the other: nobody was asked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsent: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Record {
    /// The record before its first event.
    pub fn of_manifest(tenant: &TenantId, manifest: &DocumentManifest, manifest_sha256: Digest) -> Self {
        let original = manifest.part(PartRole::Original);
        let checksum = original.map(|part| format!("sha256:{}", part.sha256)).unwrap_or_default();
        let document = Document {
            document_id: manifest.document_id,
            tenant_id: tenant.clone(),
            source: manifest.source.clone(),
            device_id: manifest.device_id,
            file_name: manifest.file_name().to_owned(),
            mime_type: original.map(|part| part.mime.clone()).unwrap_or_default(),
            checksum,
            page_count: manifest.page_count,
            ocr_confidence: manifest.ocr_confidence,
            document_type: DocumentType::unknown(),
            confidence: 0.0,
            reasons: Vec::new(),
            fields: BTreeMap::new(),
            line_items: Vec::new(),
            route: None,
            policy_tags: Vec::new(),
            department: manifest.department.clone(),
            retention_class: None,
            reviewer_status: "none".into(),
            violations: Vec::new(),
            envelope_id: None,
            status: Status::Received,
            version: 0,
            correlation_id: manifest.correlation_id.clone(),
            retry_count: 0,
            originals_outstanding: 0,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        Self {
            document,
            manifest_sha256,
            parts: manifest.parts.clone(),
            awaiting: Vec::new(),
            whole_since: None,
            replaces: manifest.rejoins.map(CorrelationId::of_capture),
            decision: None,
            taught: BTreeMap::new(),
            said: BTreeMap::new(),
            provider: None,
            recipients: Vec::new(),
            blanks: Vec::new(),
            signed_by: Vec::new(),
            ends: Ends::default(),
            approved_by: Vec::new(),
            overridden: Vec::new(),
            expires_at: None,
            remind_every_s: None,
            signed_sha256: None,
            returned_sha256: None,
            evidence_sha256: None,
            trouble: None,
            review_reasons: Vec::new(),
            resume: None,
            raw: false,
            proposed: None,
            receipted: Vec::new(),
            head: Event::origin(manifest.document_id),
        }
    }

    /// The document with what a person corrects, as the event will say it.
    pub fn corrected(
        &self,
        document_type: Option<&DocumentType>,
        read: Option<&BTreeMap<String, Field>>,
        fields: &BTreeMap<String, String>,
        department: Option<&String>,
    ) -> Document {
        let mut corrected = self.clone();
        corrected.correct(document_type, read, fields);
        let Self { mut document, .. } = corrected;
        document.department = department.cloned().or(document.department.take());
        document
    }

    /// A person's word counts fully: what was corrected has confidence 1. `read` is what was read by the corrected type; it
    /// takes the place of what was read by the one before, but for what was taught of the form and what people said.
    fn correct(
        &mut self,
        to: Option<&DocumentType>,
        read: Option<&BTreeMap<String, Field>>,
        fields: &BTreeMap<String, String>,
    ) {
        let document = &mut self.document;
        if let Some(to) = to {
            document.document_type = to.clone();
            document.confidence = 1.0;
        }
        if let Some(read) = read {
            let kept = |name: &String| self.taught.contains_key(name) || self.said.contains_key(name);
            document.fields.retain(|name, _| kept(name));
            for (name, field) in read {
                document.fields.entry(name.clone()).or_insert_with(|| field.clone());
            }
        }
        for (name, value) in fields {
            let field = document.fields.entry(name.clone()).or_insert_with(|| Field {
                value: String::new(),
                text: String::new(),
                confidence: 1.0,
                page: 0,
                rect: None,
            });
            field.value.clone_from(value);
            field.confidence = 1.0;
        }
        self.said.extend(fields.clone());
    }

    /// The violations that nobody overrode.
    pub fn not_overridden(&self, mut violations: Vec<Violation>) -> Vec<Violation> {
        violations.retain(|violation| !self.overridden.iter().any(|other| other.is_of(violation)));
        violations
    }

    /// What the state machine knows of it; `None` before the first event.
    pub fn state(&self) -> Option<State> {
        (self.document.version > 0).then_some(State {
            status: self.document.status,
            resume: self.resume,
            signs: self.provider.is_some(),
            awaits_originals: !self.awaiting.is_empty(),
            raw: self.raw,
        })
    }

    /// The first part of a role.
    pub fn part(&self, role: PartRole) -> Option<&Part> {
        self.parts.iter().find(|part| part.role == role)
    }

    /// The digests its receipt names: of the parts it was received with.
    pub fn receipted(&self) -> Vec<Digest> {
        if self.receipted.is_empty() {
            self.parts.iter().map(|part| part.sha256).collect()
        } else {
            self.receipted.clone()
        }
    }

    /// Puts what was made anew in the place of what was made before.
    fn replace_made(&mut self, made: &[Part], decision: &Decision) {
        self.receipted = self.receipted();
        for part in made {
            self.parts.retain(|before| before.role != part.role);
            self.parts.push(part.clone());
        }
        self.proposed = Some(decision.clone());
    }

    /// Forgets what followed from what its pages said.
    fn begin_anew(&mut self) {
        let document = &mut self.document;
        document.reviewer_status = "none".into();
        document.violations = Vec::new();
        document.route = None;
        document.policy_tags = Vec::new();
        document.retention_class = None;
        document.envelope_id = None;
        self.provider = None;
        self.recipients = Vec::new();
        self.blanks = Vec::new();
        self.signed_by = Vec::new();
        self.ends = Ends::default();
        self.approved_by = Vec::new();
        self.overridden = Vec::new();
        self.expires_at = None;
        self.remind_every_s = None;
        self.signed_sha256 = None;
        self.returned_sha256 = None;
        self.evidence_sha256 = None;
        self.trouble = None;
        self.review_reasons = Vec::new();
    }

    /// Takes an event in. `state` is what [`crate::machine::apply`] answered, `hash` the digest of its bytes.
    pub fn absorb(&mut self, event: &Event, state: State, hash: Digest) {
        let document = &mut self.document;
        match &event.body {
            EventBody::Received { awaiting, .. } => {
                document.created_at = event.at;
                document.originals_outstanding = u32::try_from(awaiting.len()).unwrap_or(u32::MAX);
                self.awaiting.clone_from(awaiting);
            }
            EventBody::OriginalsArrived { .. } => {
                document.originals_outstanding = 0;
                self.awaiting.clear();
                self.whole_since = Some(event.at);
            }
            EventBody::Captured { parts, decision } => self.replace_made(parts, decision),
            EventBody::TextSupplied { part, decision } => {
                self.begin_anew();
                self.replace_made(std::slice::from_ref(part), decision);
            }
            EventBody::Reprocessed { .. } => self.begin_anew(),
            EventBody::OcrComplete { ocr_confidence, page_count, .. } => {
                document.ocr_confidence = *ocr_confidence;
                document.page_count = *page_count;
            }
            EventBody::Classified { decision } => {
                document.document_type = decision.document_type.clone();
                document.confidence = decision.confidence;
                document.reasons = decision.reasons.clone();
                document.fields = decision.fields.clone();
                document.line_items = decision.line_items.clone();
                self.decision = Some(decision.clone());
                self.taught.clear();
                self.said.clear();
            }
            EventBody::FormRecognised { fields, .. } => {
                document.fields.extend(fields.clone());
                self.taught = fields.clone();
            }
            EventBody::ReviewRequested { reasons, violations, .. } => {
                document.reviewer_status = "requested".into();
                document.violations = violations.clone();
                self.review_reasons = reasons.clone();
            }
            EventBody::Approved { document_type, read, fields, overridden, .. } => {
                document.reviewer_status = "approved".into();
                document.violations = Vec::new();
                // What others approved was not yet corrected.
                if document_type.is_some() || !fields.is_empty() {
                    self.approved_by.clear();
                    self.overridden.clear();
                }
                self.overridden.extend(overridden.iter().cloned());
                let who = event.actor.to_string();
                if !self.approved_by.contains(&who) {
                    self.approved_by.push(who);
                }
                self.correct(document_type.as_ref(), read.as_ref(), fields);
            }
            EventBody::Rejected { .. } => document.reviewer_status = "rejected".into(),
            EventBody::Routed {
                route,
                provider,
                recipients,
                blanks,
                expires_at,
                remind_every_s,
                tags,
                retention_class,
                ..
            } => {
                document.route = Some(route.clone());
                document.policy_tags = tags.clone();
                document.retention_class = retention_class.clone();
                document.envelope_id = None;
                self.provider = provider.clone();
                self.recipients = recipients.clone();
                self.blanks = blanks.clone();
                self.signed_by.clear();
                self.expires_at = *expires_at;
                self.remind_every_s = *remind_every_s;
            }
            EventBody::EnvelopeCreated { envelope_id, .. } => document.envelope_id = Some(*envelope_id),
            EventBody::Signed { signed_sha256, .. } => {
                self.signed_sha256 = Some(*signed_sha256);
                self.returned_sha256 = None;
                self.trouble = None;
            }
            EventBody::Archived { evidence_sha256 } => self.evidence_sha256 = Some(*evidence_sha256),
            EventBody::Quarantined { reason, help, returned } => {
                self.trouble = Some((reason.clone(), help.clone()));
                if let Some(returned) = returned {
                    self.returned_sha256 = Some(returned.sha256);
                }
            }
            EventBody::Retried => {
                self.trouble = None;
                if event.actor != Actor::System {
                    self.ends = Ends::default();
                }
            }
            EventBody::RecipientSigned { signer } => self.signed_by.push(signer.clone()),
            EventBody::Declined { signer, .. } => self.ends.declined_by.push(signer.clone()),
            EventBody::Expired if document.status == Status::EnvelopeCreated => self.ends.unsent += 1,
            EventBody::Expired => self.ends.expired += 1,
            EventBody::Sent { .. } => self.ends.unsent = 0,
            EventBody::Corrected { document_type, read, fields, department, violations } => {
                self.approved_by.clear();
                self.overridden.clear();
                document.violations = violations.clone();
                if department.is_some() {
                    document.department.clone_from(department);
                }
                self.correct(document_type.as_ref(), read.as_ref(), fields);
            }
            EventBody::Voided { .. } => {
                self.trouble = None;
                self.returned_sha256 = None;
            }
            EventBody::Validated { .. } | EventBody::Viewed { .. } => {}
        }
        self.document.status = state.status;
        self.document.version = event.sequence;
        self.document.updated_at = event.at;
        self.resume = state.resume;
        self.raw = state.raw;
        self.head = hash;
    }
}
