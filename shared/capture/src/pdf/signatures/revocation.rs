//! Whether certificates were revoked: who can be asked about them, and what the answers say.
//!
//! [`Web::questions`] names for each certificate that another one vouches for where lists of revoked certificates (CRLs,
//! RFC 5280) and answers about it alone (OCSP, RFC 6960) are to be had. Fetching them is somebody else's: a worker has no
//! network. What was fetched is hostile until shown otherwise, so [`Web::settle`] holds each answer against the issuer's
//! key, the certificate it is about and the time; what is not by the issuer, has run out or covers something else
//! counts for nothing. A certificate that is trusted itself, or vouches for itself, is asked about by nobody.

use std::collections::BTreeSet;

use der::asn1::{Null, ObjectIdentifier, OctetString};
use der::{Decode as _, Encode as _, Header, Reader as _, SliceReader};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};
use spki::AlgorithmIdentifierOwned;
use webpki::EndEntityCert;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AuthorityInfoAccessSyntax, BasicConstraints, CrlDistributionPoints, ExtendedKeyUsage,
};
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspRequest, OcspResponse, OcspResponseStatus, TbsRequest, Version,
};

use super::cms::{SHA_1, algorithms, timestamp};

/// The most answers that are looked at.
const ANSWERS_MAX: usize = 64;
/// The most addresses that are asked for a certificate, of each kind.
const ADDRESSES_MAX: usize = 3;
/// How far ahead of ours the clock of an authority may be, in seconds.
const CLOCK_SLACK: i64 = 300;

const OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
const OCSP_BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const OCSP_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.9");
const ISSUING_DISTRIBUTION_POINT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.28");
/// That a list only says what changed since another: never critical in vain.
const DELTA: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.27");

/// Who can be asked about a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Whose certificate it is.
    pub subject: String,
    /// Where lists of revoked certificates are, by HTTP.
    pub lists: Vec<String>,
    /// Where it can be asked about alone, by HTTP.
    pub responders: Vec<String>,
    /// What to ask there: an OCSP request as DER.
    pub request: Vec<u8>,
}

/// What a file needs to be checked later, and what of that is missing.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// All certificates, as DER.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// Lists of revoked certificates that say a certificate is not among them.
    pub(crate) lists: BTreeSet<Vec<u8>>,
    /// Answers that say a certificate is good.
    pub(crate) answers: BTreeSet<Vec<u8>>,
    /// What nobody could say, a sentence each.
    pub(crate) lacking: Vec<String>,
}

/// Certificates, and who vouches for whom among them.
pub(crate) struct Web {
    all: Vec<Known>,
    roots: BTreeSet<Vec<u8>>,
}

struct Known {
    der: Vec<u8>,
    certificate: Certificate,
}

/// What an answer says of a certificate.
#[derive(PartialEq, Eq)]
enum Word {
    Good,
    Revoked,
}

/// Something that was fetched.
enum Answer {
    List(Box<CertificateList>),
    Alone(Box<BasicOcspResponse>, Vec<u8>),
}

impl Web {
    /// Of these certificates, and of the trusted ones (`roots`, as PEM) that they lead to.
    pub(crate) fn new(certificates: BTreeSet<Vec<u8>>, roots: &str) -> Self {
        let known =
            |der: Vec<u8>| Certificate::from_der(&der).ok().map(|certificate| Known { der, certificate });
        let roots = CertificateDer::pem_slice_iter(roots.as_bytes()).filter_map(Result::ok);
        let roots: BTreeSet<Vec<u8>> = roots.map(|root| root.to_vec()).collect();
        let mut others: Vec<Known> = roots.difference(&certificates).cloned().filter_map(known).collect();
        let mut web = Self { all: certificates.into_iter().filter_map(known).collect(), roots };
        while let Some(next) = others.iter().position(|other| web.all.iter().any(|one| vouches(other, one))) {
            web.all.push(others.swap_remove(next));
        }
        web
    }

    /// The certificates to be asked about, each with the one that vouches for it where that is known.
    fn asked(&self) -> impl Iterator<Item = (&Known, Option<&Known>)> {
        let ends = |one: &&Known| !self.roots.contains(&one.der) && !vouches(one, one);
        self.all.iter().filter(ends).map(|one| (one, self.all.iter().find(|other| vouches(other, one))))
    }

    /// Who can be asked about them.
    pub(crate) fn questions(&self) -> Vec<Question> {
        let question = |(one, issuer): (&Known, Option<&Known>)| Question {
            subject: name(one),
            lists: lists_of(&one.certificate),
            responders: responders_of(&one.certificate),
            request: issuer.and_then(|issuer| request(one, issuer)).unwrap_or_default(),
        };
        self.asked().map(question).collect()
    }

    /// What these answers, DER after DER, say at a time.
    pub(crate) fn settle(&self, answers: &[u8], at: Timestamp) -> Settled {
        let read: Vec<(&[u8], Answer)> = split(answers)
            .into_iter()
            .take(ANSWERS_MAX)
            .filter_map(|der| Some((der, Answer::read(der)?)))
            .collect();
        let mut settled = Settled {
            certificates: self.all.iter().map(|one| one.der.clone()).collect(),
            ..Settled::default()
        };
        for (one, issuer) in self.asked() {
            let subject = name(one);
            let Some(issuer) = issuer else {
                settled.lacking.push(format!(
                    "the certificate that vouches for {subject} is not known here (`signature_roots`)"
                ));
                continue;
            };
            let mut words =
                read.iter().filter_map(|(der, answer)| Some((*der, answer, answer.says(one, issuer, at)?)));
            if words.clone().any(|(.., word)| word == Word::Revoked) {
                settled.lacking.push(format!("{subject} was revoked"));
            } else if let Some((der, answer, _)) = words.next() {
                match answer {
                    Answer::List(_) => settled.lists.insert(der.to_vec()),
                    Answer::Alone(..) => settled.answers.insert(der.to_vec()),
                };
            } else if lists_of(&one.certificate).is_empty() && responders_of(&one.certificate).is_empty() {
                settled.lacking.push(format!("{subject} names nobody who can be asked about it"));
            } else {
                settled.lacking.push(format!("nobody said whether {subject} was revoked"));
            }
        }
        settled
    }
}

impl Answer {
    fn read(der: &[u8]) -> Option<Self> {
        if let Ok(list) = CertificateList::from_der(der) {
            return Some(Self::List(Box::new(list)));
        }
        let response = OcspResponse::from_der(der).ok()?;
        let bytes =
            response.response_bytes.filter(|_| response.response_status == OcspResponseStatus::Successful)?;
        let basic = bytes.response.into_bytes();
        let read = BasicOcspResponse::from_der(&basic).ok().filter(|_| bytes.response_type == OCSP_BASIC)?;
        Some(Self::Alone(Box::new(read), basic))
    }

    /// What it says of a certificate, where it may be believed about it at that time.
    fn says(&self, one: &Known, issuer: &Known, at: Timestamp) -> Option<Word> {
        match self {
            Self::List(list) => list_says(list, one, issuer, at),
            Self::Alone(response, der) => response_says(response, der, one, issuer, at),
        }
    }
}

fn list_says(list: &CertificateList, one: &Known, issuer: &Known, at: Timestamp) -> Option<Word> {
    let tbs = &list.tbs_cert_list;
    if tbs.issuer != one.certificate.tbs_certificate.issuer || tbs.signature != list.signature_algorithm {
        return None;
    }
    let times = (tbs.this_update.to_unix_duration(), tbs.next_update.map(|next| next.to_unix_duration()));
    if !is_current(timestamp(times.0), times.1.and_then(timestamp), at) {
        return None;
    }
    for extension in tbs.crl_extensions.iter().flatten() {
        match extension.extn_id {
            DELTA => return None,
            ISSUING_DISTRIBUTION_POINT => {
                let point = IssuingDistributionPoint::from_der(extension.extn_value.as_bytes()).ok()?;
                let is_of_another_kind = match is_authority(&one.certificate) {
                    true => point.only_contains_user_certs,
                    false => point.only_contains_ca_certs,
                };
                let is_partial = point.indirect_crl
                    || point.only_contains_attribute_certs
                    || point.only_some_reasons.is_some()
                    || point.distribution_point.as_ref().is_some_and(|it| !is_where(it, &one.certificate));
                if is_of_another_kind || is_partial {
                    return None;
                }
            }
            _ if extension.critical => return None,
            _ => {}
        }
    }
    let der = list.to_der().ok()?;
    let signature = list.signature.as_bytes()?;
    is_signed(issuer, signed_part(&der)?, &list.signature_algorithm, signature).then_some(())?;
    let serial = &one.certificate.tbs_certificate.serial_number;
    let revoked = tbs.revoked_certificates.iter().flatten().any(|entry| entry.serial_number == *serial);
    Some(if revoked { Word::Revoked } else { Word::Good })
}

fn response_says(
    response: &BasicOcspResponse,
    der: &[u8],
    one: &Known,
    issuer: &Known,
    at: Timestamp,
) -> Option<Word> {
    let id = certificate_id(one, issuer)?;
    let found = response.tbs_response_data.responses.iter().find(|single| {
        let its = &single.cert_id;
        its.hash_algorithm.oid == SHA_1
            && its.issuer_name_hash == id.issuer_name_hash
            && its.issuer_key_hash == id.issuer_key_hash
            && its.serial_number == id.serial_number
    })?;
    let since = timestamp(found.this_update.0.to_unix_duration());
    let until = found.next_update.as_ref().and_then(|next| timestamp(next.0.to_unix_duration()));
    // One without an end is as of now, and no older than what clocks may differ.
    let until = until.or_else(|| since.and_then(|since| later(since, CLOCK_SLACK)));
    if !is_current(since, until, at) {
        return None;
    }
    let (signed, signature) = (signed_part(der)?, response.signature.as_bytes()?);
    let by = |who: &Known| is_signed(who, signed, &response.signature_algorithm, signature);
    let by_another = || {
        response.certs.iter().flatten().any(|certificate| {
            let Ok(der) = certificate.to_der() else { return false };
            let who = Known { der, certificate: certificate.clone() };
            may_answer(&who.certificate, at) && vouches(issuer, &who) && by(&who)
        })
    };
    (by(issuer) || by_another()).then_some(())?;
    match found.cert_status {
        CertStatus::Good(Null) => Some(Word::Good),
        CertStatus::Revoked(_) => Some(Word::Revoked),
        CertStatus::Unknown(_) => None,
    }
}

/// Whether an answer that holds from one moment to another holds now. Without an end it does not.
fn is_current(since: Option<Timestamp>, until: Option<Timestamp>, at: Timestamp) -> bool {
    let from = since.and_then(|since| later(since, -CLOCK_SLACK));
    from.is_some_and(|from| from <= at) && until.is_some_and(|until| at <= until)
}

fn later(at: Timestamp, seconds: i64) -> Option<Timestamp> {
    at.checked_add(jiff::SignedDuration::from_secs(seconds)).ok()
}

/// Whether a certificate is for answers of an authority, and valid.
fn may_answer(certificate: &Certificate, at: Timestamp) -> bool {
    let tbs = &certificate.tbs_certificate;
    let usage = tbs.get::<ExtendedKeyUsage>().ok().flatten();
    let validity = &tbs.validity;
    let from = timestamp(validity.not_before.to_unix_duration());
    let to = timestamp(validity.not_after.to_unix_duration());
    usage.is_some_and(|(_, usage)| usage.0.contains(&OCSP_SIGNING))
        && from.is_some_and(|from| from <= at)
        && to.is_some_and(|to| at <= to)
}

/// Whether `issuer` signed the certificate of `one`.
fn vouches(issuer: &Known, one: &Known) -> bool {
    let (by, of) = (&issuer.certificate.tbs_certificate, &one.certificate);
    by.subject == of.tbs_certificate.issuer
        && signed_part(&one.der)
            .zip(of.signature.as_bytes())
            .is_some_and(|(tbs, signature)| is_signed(issuer, tbs, &of.signature_algorithm, signature))
}

fn is_signed(by: &Known, message: &[u8], algorithm: &AlgorithmIdentifierOwned, signature: &[u8]) -> bool {
    let der = CertificateDer::from(by.der.as_slice());
    let Ok(key) = EndEntityCert::try_from(&der) else { return false };
    let known = algorithms(algorithm.oid, super::cms::SHA_256);
    known.into_iter().any(|algorithm| key.verify_signature(algorithm, message, signature).is_ok())
}

/// The first part of a signed object: what the signature is over, as it stands there.
fn signed_part(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    Header::decode(&mut reader).ok()?;
    reader.tlv_bytes().ok()
}

/// Objects that stand one after the other. What cannot be told apart any more is left out.
fn split(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut all = Vec::new();
    while let Some(first) = SliceReader::new(rest).ok().and_then(|mut reader| reader.tlv_bytes().ok()) {
        all.push(first);
        rest = &rest[first.len()..];
    }
    all
}

fn name(one: &Known) -> String {
    one.certificate.tbs_certificate.subject.to_string()
}

fn is_authority(certificate: &Certificate) -> bool {
    let constraints = certificate.tbs_certificate.get::<BasicConstraints>().ok().flatten();
    constraints.is_some_and(|(_, constraints)| constraints.ca)
}

/// Whether a list's own place is one of those that the certificate names.
fn is_where(point: &DistributionPointName, certificate: &Certificate) -> bool {
    let DistributionPointName::FullName(names) = point else { return false };
    let named = lists_of(certificate);
    names.iter().filter_map(address).any(|address| named.contains(&address))
}

/// Where lists are that may name this certificate.
fn lists_of(certificate: &Certificate) -> Vec<String> {
    let points = certificate.tbs_certificate.get::<CrlDistributionPoints>().ok().flatten();
    let points = points.map(|(_, points)| points.0).unwrap_or_default();
    let whole = points.iter().filter(|point| point.reasons.is_none() && point.crl_issuer.is_none());
    let names = whole.filter_map(|point| match &point.distribution_point {
        Some(DistributionPointName::FullName(names)) => Some(names),
        _ => None,
    });
    names.flatten().filter_map(address).take(ADDRESSES_MAX).collect()
}

/// Who answers about this certificate alone.
fn responders_of(certificate: &Certificate) -> Vec<String> {
    let access = certificate.tbs_certificate.get::<AuthorityInfoAccessSyntax>().ok().flatten();
    let access = access.map(|(_, access)| access.0).unwrap_or_default();
    let ocsp = access.iter().filter(|access| access.access_method == OCSP);
    ocsp.filter_map(|access| address(&access.access_location)).take(ADDRESSES_MAX).collect()
}

fn address(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(uri) if uri.as_str().starts_with("http") => {
            Some(uri.as_str().to_owned())
        }
        _ => None,
    }
}

/// How responders call a certificate. By SHA-1, for all of them know it (RFC 9654): it names, and proves nothing.
fn certificate_id(one: &Known, issuer: &Known) -> Option<CertId> {
    let by = &issuer.certificate.tbs_certificate;
    let digest = |bytes: &[u8]| OctetString::new(Sha1::digest(bytes).as_slice()).ok();
    Some(CertId {
        hash_algorithm: AlgorithmIdentifierOwned { oid: SHA_1, parameters: Some(der::asn1::Any::null()) },
        issuer_name_hash: digest(&by.subject.to_der().ok()?)?,
        issuer_key_hash: digest(by.subject_public_key_info.subject_public_key.raw_bytes())?,
        serial_number: one.certificate.tbs_certificate.serial_number.clone(),
    })
}

fn request(one: &Known, issuer: &Known) -> Option<Vec<u8>> {
    let request_list =
        vec![x509_ocsp::Request { req_cert: certificate_id(one, issuer)?, single_request_extensions: None }];
    let tbs_request =
        TbsRequest { version: Version::V1, requestor_name: None, request_list, request_extensions: None };
    OcspRequest { tbs_request, optional_signature: None }.to_der().ok()
}
