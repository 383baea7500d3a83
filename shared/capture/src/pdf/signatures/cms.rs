//! Whether a CMS signature (RFC 5652) holds over what it is about.

use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use der::asn1::{Any, ObjectIdentifier, OctetString};
use der::{Decode, Encode as _, Reader as _, SliceReader, Tag, Tagged as _};
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::{EndEntityCert, ring};
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectKeyIdentifier;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_TIME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.5");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
pub(super) const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
pub(super) const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const RSA_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ECDSA_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ED_25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Why a signature is not taken for one that holds.
#[derive(Debug)]
pub(super) enum Fault {
    /// It does not hold.
    Broken(String),
    /// It is of a kind that cannot be checked here.
    Unchecked(String),
}

/// What is signed: two parts, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Content<'a>(pub(super) &'a [u8], pub(super) &'a [u8]);

impl Content<'_> {
    /// Its digest by an algorithm; `None` where that is not known here.
    pub(super) fn digest(self, algorithm: ObjectIdentifier) -> Option<Vec<u8>> {
        let Self(before, after) = self;
        Some(match algorithm {
            SHA_256 => Sha256::new().chain_update(before).chain_update(after).finalize().to_vec(),
            SHA_384 => Sha384::new().chain_update(before).chain_update(after).finalize().to_vec(),
            SHA_512 => Sha512::new().chain_update(before).chain_update(after).finalize().to_vec(),
            _ => return None,
        })
    }
}

/// A signature that holds.
pub(super) struct Signed {
    /// The signer's certificate.
    pub(super) certificate: Certificate,
    /// All certificates that came with it, as DER.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    /// When it was made, by the signer's word.
    pub(super) claimed_at: Option<Timestamp>,
    /// What is signed, where it stands in the message itself.
    pub(super) content: Option<Vec<u8>>,
    /// The signer's part of the message.
    pub(super) signer: SignerInfo,
}

impl Signed {
    /// The signer's name, as the certificate says it.
    pub(super) fn name(&self) -> String {
        let subject = &self.certificate.tbs_certificate.subject;
        let parts = subject.0.iter().flat_map(|part| part.0.iter());
        let common = parts.filter(|part| part.oid == COMMON_NAME).find_map(|part| match part.value.tag() {
            Tag::BmpString => None,
            _ => String::from_utf8(part.value.value().to_vec()).ok(),
        });
        common.unwrap_or_else(|| subject.to_string())
    }

    /// The signer's certificate, as DER.
    pub(super) fn certificate_der(&self) -> Option<CertificateDer<'static>> {
        self.certificate.to_der().ok().map(CertificateDer::from)
    }
}

/// Checks a signature; `detached` is what it is about where that does not stand in the message.
pub(super) fn check(message: &[u8], detached: Option<Content<'_>>) -> Result<Signed, Fault> {
    let signed = parse(message)?;
    let attached = match (&signed.encap_content_info.econtent, detached) {
        (Some(content), None) => {
            let content: OctetString = content.decode_as().map_err(unreadable)?;
            Some(content.into_bytes())
        }
        (None, Some(_)) => None,
        (None, None) => return Err(Fault::Broken("a time-stamp is empty".into())),
        (Some(_), Some(_)) => {
            return Err(Fault::Unchecked("a signature brings what it signs along".into()));
        }
    };
    let content = match (&attached, detached) {
        (Some(bytes), _) => Content(bytes, &[]),
        (None, content) => content.unwrap_or(Content(&[], &[])),
    };
    let [signer] = signed.signer_infos.0.as_slice() else {
        return Err(Fault::Unchecked("a signature is by several signers at once".into()));
    };
    let certificates: Vec<&Certificate> = signed
        .certificates
        .iter()
        .flat_map(|set| set.0.iter())
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate),
            CertificateChoices::Other(_) => None,
        })
        .collect();
    let of_signer = |certificate: &&&Certificate| is_of(certificate, &signer.sid);
    let certificate = *certificates
        .iter()
        .find(of_signer)
        .ok_or_else(|| Fault::Broken("a signature comes without its signer's certificate".into()))?;
    let claimed_at = holds(signer, certificate, signed.encap_content_info.econtent_type, content)?;
    let as_der = |certificate: &&Certificate| certificate.to_der().ok().map(CertificateDer::from);
    Ok(Signed {
        certificate: certificate.clone(),
        certificates: certificates.iter().filter_map(as_der).collect(),
        claimed_at,
        content: attached,
        signer: signer.clone(),
    })
}

fn parse(message: &[u8]) -> Result<SignedData, Fault> {
    // The room of a signature is larger than itself, and ends in zeros.
    let mut reader = SliceReader::new(message).map_err(unreadable)?;
    let content = ContentInfo::decode(&mut reader).map_err(unreadable)?;
    let length = usize::try_from(u32::from(reader.position())).unwrap_or(message.len());
    if message[length..].iter().any(|byte| *byte != 0) {
        return Err(Fault::Broken("something was written behind a signature".into()));
    }
    if content.content_type != SIGNED_DATA {
        return Err(Fault::Broken("a signature is no signed message".into()));
    }
    content.content.decode_as().map_err(unreadable)
}

fn is_of(certificate: &Certificate, signer: &SignerIdentifier) -> bool {
    let known = &certificate.tbs_certificate;
    match signer {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            known.issuer == id.issuer && known.serial_number == id.serial_number
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            known.get::<SubjectKeyIdentifier>().ok().flatten().is_some_and(|(_, found)| found == *id)
        }
    }
}

/// Checks a signer's part; answers when it was made, by the signer's word.
fn holds(
    signer: &SignerInfo,
    certificate: &Certificate,
    kind: ObjectIdentifier,
    content: Content<'_>,
) -> Result<Option<Timestamp>, Fault> {
    let algorithm = signer.digest_alg.oid;
    let digest = content.digest(algorithm).ok_or_else(|| {
        Fault::Unchecked(match algorithm {
            SHA_1 => "a signature rests on SHA-1, which proves nothing any more".into(),
            other => format!("the digest algorithm {other} is not known here"),
        })
    })?;
    let mut claimed_at = None;
    let message = match &signer.signed_attrs {
        None => {
            let Content(before, after) = content;
            [before, after].concat()
        }
        Some(attributes) => {
            let value = |oid: ObjectIdentifier| {
                let found = attributes.iter().find(|attribute| attribute.oid == oid)?;
                found.values.get(0)
            };
            let signed_digest: Option<OctetString> =
                value(MESSAGE_DIGEST).and_then(|value| value.decode_as().ok());
            if signed_digest.is_none_or(|signed| signed.as_bytes() != digest) {
                return Err(Fault::Broken("the bytes of the PDF are not those that were signed".into()));
            }
            let signed_kind: Option<ObjectIdentifier> =
                value(CONTENT_TYPE).and_then(|value| value.decode_as().ok());
            if signed_kind.is_some_and(|signed| signed != kind) {
                return Err(Fault::Broken("a signature is about content of another kind".into()));
            }
            if let Some(named) = value(SIGNING_CERTIFICATE_V2) {
                is_named(named, certificate)?;
            }
            claimed_at = value(SIGNING_TIME).and_then(time);
            // What is signed is the DER of an explicit SET OF (RFC 5652, 5.4).
            attributes.to_der().map_err(unreadable)?
        }
    };
    let der = CertificateDer::from(certificate.to_der().map_err(unreadable)?);
    let key = EndEntityCert::try_from(&der)
        .map_err(|error| Fault::Unchecked(format!("the signer's certificate cannot be used: {error}")))?;
    let algorithms = algorithms(signer.signature_algorithm.oid, algorithm);
    if algorithms.is_empty() {
        let oid = signer.signature_algorithm.oid;
        return Err(Fault::Unchecked(format!("the signature algorithm {oid} is not known here")));
    }
    let mut known = false;
    for algorithm in algorithms {
        match key.verify_signature(algorithm, &message, signer.signature.as_bytes()) {
            Ok(()) => return Ok(claimed_at),
            Err(webpki::Error::InvalidSignatureForPublicKey) => known = true,
            Err(_) => {}
        }
    }
    Err(match known {
        true => Fault::Broken("the signature is not by the key of its certificate".into()),
        false => Fault::Unchecked("the signer's key is of a kind that is not known here".into()),
    })
}

/// That the signed attributes name the signer's certificate by its digest (RFC 5035).
fn is_named(value: &Any, certificate: &Certificate) -> Result<(), Fault> {
    let certificates: Vec<Any> = value.decode_as().map_err(unreadable)?;
    let first: Vec<Any> = match certificates.first() {
        Some(list) => list.decode_as().map_err(unreadable)?,
        None => Vec::new(),
    };
    let fields: Vec<Any> = match first.first() {
        Some(first) => first.decode_as().map_err(unreadable)?,
        None => return Err(Fault::Broken("a signature names no certificate".into())),
    };
    // The algorithm is left out where it is SHA-256.
    let (algorithm, digest) = match &fields[..] {
        [digest, ..] if digest.tag() == Tag::OctetString => (SHA_256, digest),
        [algorithm, digest, ..] => {
            let algorithm: spki::AlgorithmIdentifierOwned = algorithm.decode_as().map_err(unreadable)?;
            (algorithm.oid, digest)
        }
        _ => return Err(Fault::Broken("a signature names no certificate".into())),
    };
    let der = certificate.to_der().map_err(unreadable)?;
    match Content(&der, &[]).digest(algorithm) {
        None => Err(Fault::Unchecked(format!("the digest algorithm {algorithm} is not known here"))),
        Some(expected) if expected == digest.value() => Ok(()),
        Some(_) => Err(Fault::Broken("a signature names another certificate than its signer's".into())),
    }
}

/// A time in a message: `UTCTime` or `GeneralizedTime`.
fn time(value: &Any) -> Option<Timestamp> {
    let time = x509_cert::time::Time::from_der(&value.to_der().ok()?).ok()?;
    timestamp(time.to_unix_duration())
}

/// A time since 1970.
pub(super) fn timestamp(since: std::time::Duration) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(since.as_secs()).ok()?).ok()
}

/// The algorithms a signature can be by, from what it names and the digest it goes with.
pub(super) fn algorithms(
    named: ObjectIdentifier,
    digest: ObjectIdentifier,
) -> Vec<&'static dyn SignatureVerificationAlgorithm> {
    let digest = match named {
        RSA_SHA_256 | ECDSA_SHA_256 => SHA_256,
        RSA_SHA_384 | ECDSA_SHA_384 => SHA_384,
        RSA_SHA_512 => SHA_512,
        _ => digest,
    };
    match (named, digest) {
        (RSA | RSA_SHA_256, SHA_256) => vec![ring::RSA_PKCS1_2048_8192_SHA256],
        (RSA | RSA_SHA_384, SHA_384) => vec![ring::RSA_PKCS1_2048_8192_SHA384],
        (RSA | RSA_SHA_512, SHA_512) => vec![ring::RSA_PKCS1_2048_8192_SHA512],
        (RSA_PSS, SHA_256) => vec![ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY],
        (RSA_PSS, SHA_384) => vec![ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY],
        (RSA_PSS, SHA_512) => vec![ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY],
        (EC_KEY | ECDSA_SHA_256, SHA_256) => vec![ring::ECDSA_P256_SHA256, ring::ECDSA_P384_SHA256],
        (EC_KEY | ECDSA_SHA_384, SHA_384) => vec![ring::ECDSA_P256_SHA384, ring::ECDSA_P384_SHA384],
        (ED_25519, _) => vec![ring::ED25519],
        _ => Vec::new(),
    }
}

fn unreadable(error: der::Error) -> Fault {
    Fault::Unchecked(format!("a signature is written in a way that cannot be read here: {error}"))
}
