//! What a seal key signs with: the digest and the signature algorithm that go with its kind.
//!
//! The weakest that is taken is RSA with 2,048 bits; each kind has one digest, as long as its key is strong.

use der::asn1::{Any, ObjectIdentifier};
use ring::digest;
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ECDSA_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The kinds of keys that seals are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ECDSA on P-256, with SHA-256.
    P256,
    /// ECDSA on P-384, with SHA-384.
    P384,
    /// RSA (PKCS#1 v1.5), with SHA-256.
    Rsa,
}

impl Kind {
    /// The kind of a certified key; an error says what is taken.
    pub(super) fn of(key: &SubjectPublicKeyInfoOwned) -> Result<Self, String> {
        let curve = || key.algorithm.parameters.as_ref()?.decode_as::<ObjectIdentifier>().ok();
        match (key.algorithm.oid, curve()) {
            (EC_KEY, Some(P_256)) => Ok(Self::P256),
            (EC_KEY, Some(P_384)) => Ok(Self::P384),
            (RSA, _) => Ok(Self::Rsa),
            _ => Err("the key is of another kind than RSA, P-256 or P-384".into()),
        }
    }

    /// The digest of content in parts.
    pub(super) fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = digest::Context::new(match self {
            Self::P256 | Self::Rsa => &digest::SHA256,
            Self::P384 => &digest::SHA384,
        });
        parts.iter().for_each(|part| context.update(part));
        context.finish().as_ref().to_vec()
    }

    /// The digest's algorithm, as a signature names it.
    pub(super) fn digest_algorithm(self) -> AlgorithmIdentifierOwned {
        let oid = match self {
            Self::P256 | Self::Rsa => SHA_256,
            Self::P384 => SHA_384,
        };
        AlgorithmIdentifierOwned { oid, parameters: None }
    }

    /// The signature's algorithm, as a signature names it.
    pub(super) fn signature_algorithm(self) -> AlgorithmIdentifierOwned {
        let (oid, parameters) = match self {
            Self::P256 => (ECDSA_SHA_256, None),
            Self::P384 => (ECDSA_SHA_384, None),
            // With which digest is said beside it (RFC 3370, 3.2).
            Self::Rsa => (RSA, Some(Any::null())),
        };
        AlgorithmIdentifierOwned { oid, parameters }
    }

    /// Whether a signature of `message` is by the key of this certificate.
    pub(super) fn is_by(self, key: &SubjectPublicKeyInfoOwned, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1,
            Self::Rsa => &signature::RSA_PKCS1_2048_8192_SHA256,
        };
        let key = UnparsedPublicKey::new(algorithm, key.subject_public_key.raw_bytes());
        key.verify(message, signature).is_ok()
    }
}
