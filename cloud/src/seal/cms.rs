//! The signature: CMS `SignedData` (RFC 5652), detached, with the attributes PAdES asks for.
//!
//! Signed attributes are content type, message digest and signing certificate (RFC 5035). There is no
//! signing-time attribute: PAdES keeps the claimed time in the signature dictionary's `/M`
//! (ETSI EN 319 142-1, 6.3). The certificates travel inside, so a verifier needs nothing else.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{Any, ObjectIdentifier, OctetString, SetOfVec};
use der::{Decode as _, Encode as _, Sequence};
use platen_model::Digest;
use x509_cert::attr::Attribute;

use super::{SealError, SealKey};

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const TIME_STAMP_TOKEN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.14");

/// Gets a time-stamp token (RFC 3161) for a digest; an error says why there is none.
pub type Stamper<'a> = dyn Fn(Digest) -> Result<Vec<u8>, String> + 'a;

/// RFC 5035, 3: the hash algorithm defaults to SHA-256 and is then left out.
#[derive(Sequence)]
struct SigningCertificateV2 {
    certificates: Vec<EssCertIdV2>,
}

#[derive(Sequence)]
struct EssCertIdV2 {
    certificate_hash: OctetString,
}

/// The DER bytes of a detached signature by `key` over content whose digest, of the key's kind, is `content`.
///
/// With a `stamper` it carries a time-stamp over the signature (PAdES B-T).
pub fn sign_detached(
    key: &SealKey,
    content: &[u8],
    stamper: Option<&Stamper<'_>>,
) -> Result<Vec<u8>, SealError> {
    build(key, content, stamper).map_err(|error| SealError::Signature(error.to_string()))?
}

fn build(
    key: &SealKey,
    content: &[u8],
    stamper: Option<&Stamper<'_>>,
) -> der::Result<Result<Vec<u8>, SealError>> {
    let certificate_der = match key.certificate_der() {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(error)),
    };
    let signing_certificate = SigningCertificateV2 {
        certificates: vec![EssCertIdV2 {
            certificate_hash: OctetString::new(Digest::of(&certificate_der).as_bytes().as_slice())?,
        }],
    };
    let signed_attributes = SetOfVec::try_from(vec![
        attribute(CONTENT_TYPE, Any::encode_from(&DATA)?)?,
        attribute(MESSAGE_DIGEST, Any::encode_from(&OctetString::new(content)?)?)?,
        attribute(SIGNING_CERTIFICATE_V2, Any::encode_from(&signing_certificate)?)?,
    ])?;
    // What is signed is the DER of the attributes as an explicit SET OF, not as tagged in the message
    // (RFC 5652, 5.4).
    let signature = match key.sign(&signed_attributes.to_der()?) {
        Ok(signature) => signature,
        Err(error) => return Ok(Err(error)),
    };
    let unsigned_attributes = match stamper.map(|stamper| stamper(Digest::of(&signature))).transpose() {
        Ok(None) => None,
        Ok(Some(token)) => {
            Some(SetOfVec::try_from(vec![attribute(TIME_STAMP_TOKEN, Any::from_der(&token)?)?])?)
        }
        Err(why) => return Ok(Err(SealError::TimeStamp(why))),
    };
    let digest_algorithm = key.kind().digest_algorithm();
    let subject = &key.certificate().tbs_certificate;
    let signer = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: subject.issuer.clone(),
            serial_number: subject.serial_number.clone(),
        }),
        digest_alg: digest_algorithm.clone(),
        signed_attrs: Some(signed_attributes),
        signature_algorithm: key.kind().signature_algorithm(),
        signature: OctetString::new(signature)?,
        unsigned_attrs: unsigned_attributes,
    };
    let signed_data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![digest_algorithm])?,
        encap_content_info: EncapsulatedContentInfo { econtent_type: DATA, econtent: None },
        certificates: Some(CertificateSet(SetOfVec::try_from(
            key.chain().iter().cloned().map(CertificateChoices::Certificate).collect::<Vec<_>>(),
        )?)),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(vec![signer])?),
    };
    let content = Any::encode_from(&signed_data)?;
    ContentInfo { content_type: SIGNED_DATA, content }.to_der().map(Ok)
}

fn attribute(oid: ObjectIdentifier, value: Any) -> der::Result<Attribute> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}
