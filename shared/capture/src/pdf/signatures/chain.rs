//! Whether a signer's certificate leads to one that is trusted.

use der::Decode as _;
use der::pem::{LineEnding, encode_string};
use jiff::Timestamp;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    anchor_from_trusted_cert,
};
use x509_cert::Certificate;

use super::cms::{Signed, timestamp};

/// Purposes of a certificate that go with signing documents: e-mail protection, document signing (RFC 9336, and as
/// Microsoft and Adobe call it), and any.
const DOCUMENTS: [&[usize]; 5] = [
    &[1, 3, 6, 1, 5, 5, 7, 3, 4],
    &[1, 3, 6, 1, 5, 5, 7, 3, 36],
    &[1, 3, 6, 1, 4, 1, 311, 10, 3, 12],
    &[1, 2, 840, 113583, 1, 1, 5],
    &[2, 5, 29, 37, 0],
];
/// Time-stamping.
const TIMES: [&[usize]; 1] = [&[1, 3, 6, 1, 5, 5, 7, 3, 8]];

/// The certificates that are trusted.
pub(super) struct Roots(Vec<CertificateDer<'static>>);

/// A certificate without purposes may be used for all; one with some must have one of these.
struct Purpose(&'static [&'static [usize]]);

impl ExtendedKeyUsageValidator for Purpose {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        let mut has_some = false;
        for purpose in purposes {
            has_some = true;
            if self.0.contains(&purpose?.to_decoded_oid().as_slice()) {
                return Ok(());
            }
        }
        if has_some { Err(Error::UnknownIssuer) } else { Ok(()) }
    }
}

impl Roots {
    /// Reads them from PEM. What is no certificate is left out: it then is not trusted.
    pub(super) fn read(pem: &str) -> Self {
        Self(CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect())
    }

    /// Why a signer is trusted, and the trusted certificate as PEM; an error says why not.
    pub(super) fn lead(
        &self,
        signed: &Signed,
        at: Timestamp,
        is_time_stamp: bool,
    ) -> Result<(String, String), String> {
        let der = signed.certificate_der().ok_or("the signer's certificate cannot be read")?;
        if let Some(root) = self.0.iter().find(|root| **root == der) {
            let validity = &signed.certificate.tbs_certificate.validity;
            let from = timestamp(validity.not_before.to_unix_duration());
            let to = timestamp(validity.not_after.to_unix_duration());
            return match (from, to) {
                (Some(from), Some(to)) if from <= at && at <= to => {
                    Ok(("the signer's certificate is trusted itself".into(), pem(root)?))
                }
                _ => Err("the signer's certificate was not valid at the time".into()),
            };
        }
        let key = EndEntityCert::try_from(&der).map_err(|error| error.to_string())?;
        let anchors: Vec<(TrustAnchor<'_>, &CertificateDer<'_>)> =
            self.0.iter().filter_map(|root| Some((anchor_from_trusted_cert(root).ok()?, root))).collect();
        let trusted: Vec<TrustAnchor<'_>> = anchors.iter().map(|(anchor, _)| anchor.clone()).collect();
        let since = std::time::Duration::from_secs(at.as_second().try_into().unwrap_or_default());
        let path = key.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &trusted,
            &signed.certificates,
            UnixTime::since_unix_epoch(since),
            Purpose(if is_time_stamp { &TIMES } else { &DOCUMENTS }),
            None,
            None,
        );
        let path = path.map_err(|error| match error {
            Error::UnknownIssuer => "its certificate leads to none that is trusted here".to_owned(),
            Error::CertExpired { .. } | Error::CertNotValidYet { .. } => {
                "a certificate of its chain was not valid at the time".to_owned()
            }
            other => format!("its certificate leads to none that is trusted here: {other}"),
        })?;
        let found = anchors.iter().find(|(anchor, _)| {
            anchor.subject == path.anchor().subject
                && anchor.subject_public_key_info == path.anchor().subject_public_key_info
        });
        let (_, root) = found.ok_or("its certificate leads to none that is trusted here")?;
        let name = Certificate::from_der(root).map(|root| root.tbs_certificate.subject.to_string());
        Ok((format!("the chain ends at {}", name.unwrap_or_default()), pem(root)?))
    }
}

fn pem(der: &CertificateDer<'_>) -> Result<String, String> {
    encode_string("CERTIFICATE", LineEnding::LF, der).map_err(|error| error.to_string())
}
