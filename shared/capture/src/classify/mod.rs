//! What a document is: weighted evidence from its words, with reasons.

use std::collections::BTreeMap;

use platen_model::{Decision, Digest, DocumentType, PageText, PolicyRef, Verdict};

/// The classification rules of all document types.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Their name, version and digest.
    pub policy: PolicyRef,
}

impl RuleSet {
    /// The rules shipped with this release.
    pub fn shipped() -> Self {
        let sha256 = Digest::of(b"");
        Self { policy: PolicyRef { name: "classification".into(), version: "0".into(), sha256 } }
    }
}

/// Decides what a document is. Pure: the same text and rules give the same decision.
pub fn classify(_text: &PageText, _file_name: &str, rules: &RuleSet) -> Decision {
    Decision {
        document_type: DocumentType::unknown(),
        confidence: 0.0,
        verdict: Verdict::Review,
        reasons: Vec::new(),
        fields: BTreeMap::new(),
        policy: rules.policy.clone(),
    }
}
