//! The seal key: a P-256 key with a self-signed certificate, one for each tenant.
//!
//! Kept as one PEM file (certificate, then PKCS#8 key) that only its owner can read, so that key and
//! certificate are never apart. It is made once: every seal ever given is checked against its certificate,
//! so an existing file is never replaced, not even a damaged one.

use std::io;
use std::path::Path;

use der::{DecodePem as _, Encode as _};
use platen_model::durable;
use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use x509_cert::Certificate;

use super::SealError;

/// The object identifier of the extended key usage "document signing" (RFC 9336).
const DOCUMENT_SIGNING: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 36];
/// How long a new certificate is valid. Nothing renews it by itself yet.
const VALIDITY_YEARS: i32 = 20;
const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";

/// A tenant's private key and certificate.
pub struct SealKey {
    pair: EcdsaKeyPair,
    certificate: Certificate,
    certificate_pem: String,
}

impl SealKey {
    /// The key kept in `path`; made there, durably and once, if the file does not exist.
    ///
    /// `name` becomes the common name of a new certificate: what PDF viewers show as the signer.
    pub fn open(path: &Path, name: &str) -> Result<Self, SealError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = new_key(name)?;
                durable::write_private(path, text.as_bytes())
                    .map_err(|source| SealError::KeyFile { path: path.into(), source })?;
                text
            }
            Err(source) => return Err(SealError::KeyFile { path: path.into(), source }),
        };
        Self::from_pem(&text).map_err(|reason| SealError::BadKeyFile { path: path.into(), reason })
    }

    /// A key that is kept nowhere.
    pub fn passing(name: &str) -> Result<Self, SealError> {
        Self::from_pem(&new_key(name)?).map_err(SealError::Signature)
    }

    fn from_pem(text: &str) -> Result<Self, String> {
        let (certificate_pem, _) = text.split_once(KEY_BEGINS).ok_or("no private key in it")?;
        let certificate = Certificate::from_pem(certificate_pem.trim())
            .map_err(|error| format!("the certificate: {error}"))?;
        let key = KeyPair::from_pem(&text[certificate_pem.len()..])
            .map_err(|error| format!("the private key: {error}"))?;
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_ASN1_SIGNING,
            key.serialized_der(),
            &SystemRandom::new(),
        )
        .map_err(|error| format!("the private key: {error}"))?;
        let certified = &certificate.tbs_certificate.subject_public_key_info.subject_public_key;
        if certified.raw_bytes() != ring::signature::KeyPair::public_key(&pair).as_ref() {
            return Err("the certificate is for another key".into());
        }
        Ok(Self { pair, certificate, certificate_pem: certificate_pem.trim().to_owned() + "\n" })
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The certificate as PEM, for people who want to trust or archive it.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The certificate's DER bytes.
    pub(super) fn certificate_der(&self) -> Result<Vec<u8>, SealError> {
        self.certificate.to_der().map_err(|error| SealError::Signature(error.to_string()))
    }

    /// The ECDSA signature with SHA-256 of `bytes`, as a DER `ECDSA-Sig-Value`.
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let signature = self.pair.sign(&SystemRandom::new(), bytes);
        let signature =
            signature.map_err(|_| SealError::Signature("the operating system gave no randomness".into()))?;
        Ok(signature.as_ref().to_vec())
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealKey({})", self.certificate.tbs_certificate.subject)
    }
}

fn new_key(name: &str) -> Result<String, SealError> {
    let failed = |error: rcgen::Error| SealError::Signature(error.to_string());
    let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut params = CertificateParams::new([]).map_err(failed)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::ContentCommitment];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::Other(DOCUMENT_SIGNING.into())];
    // A day of grace for clocks that run late.
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let from = today.yesterday().unwrap_or(today);
    let date = |date: jiff::civil::Date, years: i32| {
        let day = if date.month() == 2 { date.day().min(28) } else { date.day() };
        rcgen::date_time_ymd(i32::from(date.year()) + years, date.month().unsigned_abs(), day.unsigned_abs())
    };
    params.not_before = date(from, 0);
    params.not_after = date(today, VALIDITY_YEARS);
    let certificate = params.self_signed(&pair).map_err(failed)?;
    Ok(format!("{}{}", certificate.pem(), pair.serialize_pem()).replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seal.pem");
        let first = SealKey::open(&path, "Harbour Office").expect("made");
        let again = SealKey::open(&path, "Another Name").expect("read");
        assert_eq!(first.certificate(), again.certificate());
        assert_eq!(again.certificate().tbs_certificate.subject.to_string(), "CN=Harbour Office");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_file_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seal.pem");
        let one = new_key("One").expect("a key");
        let two = new_key("Two").expect("a key");
        let (certificate, _) = one.split_once(KEY_BEGINS).expect("both parts");
        let (_, key) = two.split_once(KEY_BEGINS).expect("both parts");
        for damaged in ["", "-----BEGIN", certificate, &format!("{certificate}{KEY_BEGINS}{key}")] {
            std::fs::write(&path, damaged).expect("write");
            let error = SealKey::open(&path, "x").expect_err("must be refused");
            assert!(matches!(error, SealError::BadKeyFile { .. }), "{error}");
            assert_eq!(std::fs::read_to_string(&path).expect("there"), damaged);
        }
    }
}
