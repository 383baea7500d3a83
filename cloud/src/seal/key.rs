//! The seal key: a private key and its certificate, one for each tenant.
//!
//! Kept as one text file that only its owner can read, so that key and certificate are never apart: the certificate and
//! those it leads to as PEM, then the key, as PKCS#8 in PEM or as the `pkcs11:` address of a key that never leaves its
//! token ([`super::token`]). Where there is none, one is made: P-256, with a self-signed certificate. Every seal ever
//! given is checked against its certificate, so an existing file is never replaced by one that was made, not even a
//! damaged one; a key that somebody supplies takes its place, and its certificate stays ([`super::KeyRing::supply`]).

use std::io;
use std::path::Path;

use der::{Encode as _, pem};
use jiff::Timestamp;
use platen_model::durable;
use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use x509_cert::Certificate;
use zeroize::Zeroizing;

use super::SealError;
use super::algorithm::Kind;
use super::token::{SCHEME, TokenKey};

/// The object identifier of the extended key usage "document signing" (RFC 9336).
const DOCUMENT_SIGNING: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 3, 36];
/// How long a new certificate is valid. Nothing renews it by itself yet.
const VALIDITY_YEARS: i32 = 20;
const KEY_BEGINS: &str = "-----BEGIN PRIVATE KEY-----";

/// Where the private key is.
enum Holder {
    Ecdsa(EcdsaKeyPair),
    Rsa(Box<RsaKeyPair>),
    Token(TokenKey),
}

/// A tenant's private key and certificate.
pub struct SealKey {
    holder: Holder,
    kind: Kind,
    /// Ours, then those it leads to as far as they are known.
    chain: Vec<Certificate>,
    certificate_pem: String,
    chain_pem: String,
}

impl SealKey {
    /// The key kept in `path`; made there, durably and once, if the file does not exist.
    ///
    /// `name` becomes the common name of a new certificate: what PDF viewers show as the signer.
    pub fn open(path: &Path, name: &str) -> Result<Self, SealError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = new_key(name)?;
                durable::write_private(path, text.as_bytes())
                    .map_err(|source| SealError::KeyFile { path: path.into(), source })?;
                text
            }
            Err(source) => return Err(SealError::KeyFile { path: path.into(), source }),
        };
        Self::from_text(&text).map_err(|reason| SealError::BadKeyFile { path: path.into(), reason })
    }

    /// A key that is kept nowhere.
    pub fn passing(name: &str) -> Result<Self, SealError> {
        Self::from_text(&new_key(name)?).map_err(SealError::Signature)
    }

    /// Reads what a key file holds; an error says what is wrong with it.
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        let key_at = [KEY_BEGINS, SCHEME].iter().filter_map(|start| text.find(start)).min();
        let (chain_pem, key) = text.split_at(key_at.ok_or("no private key in it")?);
        let chain = Certificate::load_pem_chain(chain_pem.trim().as_bytes())
            .map_err(|error| format!("the certificates: {error}"))?;
        let own = chain.first().ok_or("no certificate in it")?;
        let certified = &own.tbs_certificate.subject_public_key_info;
        let kind = Kind::of(certified)?;
        let holder = match key.trim().starts_with(SCHEME) {
            true => Holder::Token(TokenKey::at(key)?),
            false => local(kind, key)?,
        };
        let public = match &holder {
            Holder::Ecdsa(pair) => Some(ring::signature::KeyPair::public_key(pair).as_ref()),
            Holder::Rsa(pair) => Some(ring::signature::KeyPair::public_key(&**pair).as_ref()),
            // A token is asked when it signs, and its signature is looked at then.
            Holder::Token(_) => None,
        };
        if public.is_some_and(|public| public != certified.subject_public_key.raw_bytes()) {
            return Err("the certificate is for another key".into());
        }
        let pem = |certificate: &Certificate| pem_of(certificate).map_err(|error| error.to_string());
        let certificate_pem = pem(own)?;
        let chain_pem = chain.iter().map(pem).collect::<Result<String, String>>()?;
        Ok(Self { holder, kind, certificate_pem, chain_pem, chain })
    }

    /// What its file holds when it signs with the key at this `pkcs11:` address.
    pub(super) fn text_of_token(chain_pem: &str, address: &str) -> String {
        format!("{}\n{}\n", chain_pem.trim(), address.trim())
    }

    /// The kind of key.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.chain[0]
    }

    /// The certificate, then those it leads to as far as they are known.
    pub fn chain(&self) -> &[Certificate] {
        &self.chain
    }

    /// The certificate as PEM, for people who want to trust it.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// [`SealKey::chain`] as PEM, for the archive.
    pub fn chain_pem(&self) -> &str {
        &self.chain_pem
    }

    /// When its certificate begins and ends to be valid.
    pub fn validity(&self) -> (Timestamp, Timestamp) {
        let validity = &self.certificate().tbs_certificate.validity;
        let at = |time: &x509_cert::time::Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
            Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
        };
        (at(&validity.not_before), at(&validity.not_after))
    }

    /// The certificate's DER bytes.
    pub(super) fn certificate_der(&self) -> Result<Vec<u8>, SealError> {
        self.certificate().to_der().map_err(|error| SealError::Signature(error.to_string()))
    }

    /// The signature of `bytes`, in the form that goes with [`Kind::signature_algorithm`].
    ///
    /// Blocks where a token is asked: call it where blocking is allowed.
    pub(super) fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let (from, to) = self.validity();
        let now = Timestamp::now();
        if now < from || now > to {
            return Err(SealError::NotValid { from, to });
        }
        let no_randomness = |_| SealError::Signature("the operating system gave no randomness".into());
        let signature = match &self.holder {
            Holder::Ecdsa(pair) => {
                pair.sign(&SystemRandom::new(), bytes).map_err(no_randomness)?.as_ref().to_vec()
            }
            Holder::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature)
                    .map_err(no_randomness)?;
                signature
            }
            Holder::Token(key) => key.sign(self.kind, bytes).map_err(SealError::Token)?,
        };
        let certified = &self.certificate().tbs_certificate.subject_public_key_info;
        if !self.kind.is_by(certified, bytes, &signature) {
            return Err(SealError::Token("it signs with another key than that of the certificate".into()));
        }
        Ok(signature)
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealKey({})", self.certificate().tbs_certificate.subject)
    }
}

/// A key that is in the file itself.
fn local(kind: Kind, text: &str) -> Result<Holder, String> {
    let failed = |error: &dyn std::fmt::Display| format!("the private key: {error}");
    let (_, der) = pem::decode_vec(text.trim().as_bytes()).map_err(|error| failed(&error))?;
    let der = Zeroizing::new(der);
    let random = SystemRandom::new();
    let ecdsa = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, &der, &random).map(Holder::Ecdsa);
    match kind {
        Kind::P256 => ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING),
        Kind::P384 => ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING),
        Kind::Rsa => RsaKeyPair::from_pkcs8(&der).map(|pair| Holder::Rsa(Box::new(pair))),
    }
    .map_err(|error| failed(&error))
}

/// A certificate as PEM.
pub(super) fn pem_of(certificate: &Certificate) -> der::Result<String> {
    let der = certificate.to_der()?;
    Ok(pem::encode_string("CERTIFICATE", pem::LineEnding::LF, &der)?)
}

fn new_key(name: &str) -> Result<Zeroizing<String>, SealError> {
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
    let key = Zeroizing::new(pair.serialize_pem());
    Ok(Zeroizing::new(format!("{}{}", certificate.pem(), *key).replace("\r\n", "\n")))
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
        let elsewhere = format!("{certificate}pkcs11:object=seal?module-path=relative.so");
        for damaged in ["", "-----BEGIN", certificate, &format!("{certificate}{KEY_BEGINS}{key}"), &elsewhere]
        {
            std::fs::write(&path, damaged).expect("write");
            let error = SealKey::open(&path, "x").expect_err("must be refused");
            assert!(matches!(error, SealError::BadKeyFile { .. }), "{error}");
            assert_eq!(std::fs::read_to_string(&path).expect("there"), damaged);
        }
    }
}
