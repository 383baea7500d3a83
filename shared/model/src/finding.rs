//! What was found of the digital signatures in a PDF that came back from signing.
//!
//! The same words in the event that takes the PDF in, on the document's page, in the evidence package, and in what
//! `platen-cloud verify` says when it looks again: a finding holds all that is needed to come to it once more.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// What the signatures in a PDF are worth, all together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SignatureVerdict {
    /// Every signature holds over what it covers, nothing stands outside them, and who signed is known by a certificate
    /// this cloud trusts.
    Valid,
    /// The same, but of somebody's certificate it is not known who stands behind it.
    ChainUnknown,
    /// There is no digital signature in it: the provider only stamps what was signed.
    NoSignature,
    /// There are signatures, but of a kind that cannot be checked here.
    Unchecked,
    /// A signature does not hold, or something stands in the PDF that is under none.
    Broken,
}

impl SignatureVerdict {
    /// The verdict in words, for people.
    pub fn as_words(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::ChainUnknown => "integrity only: chain unknown",
            Self::NoSignature => "no signature",
            Self::Unchecked => "not checked: a kind of signature that is not known here",
            Self::Broken => "broken",
        }
    }
}

/// Whose word a time is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SignatureClock {
    /// The signer's own clock.
    #[default]
    Claimed,
    /// A time-stamp authority's.
    Stamped,
    /// That of a time-stamp whose authority is not known here.
    StampedByUnknown,
}

/// How much of a PDF a signature covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SignatureCoverage {
    /// All of the file but the signature itself.
    WholeFile,
    /// All of the file as it was then; later signatures, or the means to check them, were added.
    Revision,
    /// Not what a signature has to cover.
    #[default]
    Part,
}

/// One signature or time-stamp in a PDF.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FoundSignature {
    /// Who signed, as the certificate calls them; empty where there is none to read.
    pub signer: String,
    /// It is a time-stamp over the whole document, not a person's signature.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_time_stamp: bool,
    /// What it covers.
    pub coverage: SignatureCoverage,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at: Option<Timestamp>,
    /// By whose clock.
    #[serde(default)]
    pub clock: SignatureClock,
    /// Why the signer's certificate is trusted, or why it is not, as a sentence.
    pub chain: String,
    /// The trusted certificate that its chain ends at, as PEM; absent where the chain is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// The same for the authority of its time-stamp, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp_anchor: Option<String>,
    /// What is wrong with it, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Why it cannot be checked here, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchecked: Option<String>,
}

impl FoundSignature {
    /// What it says, for people.
    fn in_words(&self) -> String {
        let what = if self.is_time_stamp { "Time-stamp" } else { "Signature" };
        let mut line = match self.signer.as_str() {
            "" => what.to_owned(),
            signer => format!("{what} of {signer}"),
        };
        if let Some(at) = self.signed_at {
            let clock = match self.clock {
                SignatureClock::Claimed => "by the signer's own clock",
                SignatureClock::Stamped => "by a time-stamp",
                SignatureClock::StampedByUnknown => "by a time-stamp of an authority that is not known here",
            };
            line += &format!(" at {}, {clock}", at.strftime("%Y-%m-%d %H:%M:%S UTC"));
        }
        let rest = [self.fault.as_deref(), self.unchecked.as_deref()].into_iter().flatten().next();
        match rest {
            Some(wrong) => line + ": " + wrong,
            None if self.coverage == SignatureCoverage::WholeFile => {
                line + "; over the whole file; " + &self.chain
            }
            None => line + "; over the file as it was then; " + &self.chain,
        }
    }
}

/// What was found of a PDF that came back from signing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignatureFinding {
    /// What it comes to.
    pub verdict: SignatureVerdict,
    /// The time that certificates were held against.
    pub checked_at: Timestamp,
    /// The provider only ever adds to the PDF, and seals it: then it has to begin with what was sent.
    pub incremental: bool,
    /// What was sent is its unchanged beginning.
    pub begins_with_sent: bool,
    /// Its signatures and time-stamps, in the order they were made.
    pub signatures: Vec<FoundSignature>,
    /// What is wrong with the PDF as a whole, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

impl SignatureFinding {
    /// Everything that is wrong, a sentence each.
    pub fn all_faults(&self) -> impl Iterator<Item = &str> {
        let of_signatures = self.signatures.iter().filter_map(|found| found.fault.as_deref());
        self.faults.iter().map(String::as_str).chain(of_signatures)
    }

    /// What it says, a line each, for people.
    pub fn in_words(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.signatures.iter().map(FoundSignature::in_words).collect();
        lines.push(match (self.begins_with_sent, self.signatures.is_empty()) {
            (true, false) => "What was sent is its unchanged beginning: everything else was added.".into(),
            (true, true) => "It is what was sent, and no digital signature was added.".into(),
            (false, _) => "The provider wrote the PDF anew: what was sent is not its beginning.".into(),
        });
        lines.extend(self.faults.iter().cloned());
        lines
    }

    /// Whether another look came to the same. Why nobody known stands behind a certificate may be said otherwise, for
    /// the reason may lie in a certificate that is not at hand any more.
    pub fn is_as(&self, other: &Self) -> bool {
        let comparable = |finding: &Self| {
            let mut finding = finding.clone();
            finding
                .signatures
                .iter_mut()
                .filter(|found| found.anchor.is_none())
                .for_each(|found| found.chain.clear());
            finding
        };
        comparable(self) == comparable(other)
    }

    /// The trusted certificates that its chains end at, as PEM, each once.
    pub fn anchors(&self) -> Vec<&str> {
        let mut anchors: Vec<&str> = self
            .signatures
            .iter()
            .flat_map(|found| [&found.anchor, &found.stamp_anchor])
            .flatten()
            .map(String::as_str)
            .collect();
        anchors.sort_unstable();
        anchors.dedup();
        anchors
    }
}

/// A PDF that came back from signing and was not taken for signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReturnedPdf {
    /// Its digest: it is kept.
    pub sha256: Digest,
    /// Who signed, as the provider says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signers: Vec<String>,
    /// What was found.
    pub finding: SignatureFinding,
}
