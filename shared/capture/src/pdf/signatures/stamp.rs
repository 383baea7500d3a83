//! Time-stamp tokens (RFC 3161): what one says, and whether it holds.

use cms::content_info::ContentInfo;
use cms::signed_data::SignedData;
use der::asn1::{Any, GeneralizedTime, ObjectIdentifier, OctetString, Uint};
use der::{Decode as _, Sequence, Tag, Tagged as _};
use jiff::Timestamp;
use platen_model::Digest;
use spki::AlgorithmIdentifierOwned;

use super::cms::{self as message, Content, Fault, SHA_256, Signed};

/// The content of a token: `id-ct-TSTInfo`.
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// The unsigned attribute of a signature that holds a token: `id-aa-timeStampToken`.
const TOKEN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.14");

/// `MessageImprint`: what a token is about.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Imprint {
    /// The digest's algorithm.
    pub algorithm: AlgorithmIdentifierOwned,
    /// The digest.
    pub digest: OctetString,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// What it is about.
    pub imprint: Imprint,
    /// When, as the authority wrote it: `20260131120000Z`.
    pub at: String,
    /// The number of the request it answers, where it says one: the bytes of a positive integer.
    pub nonce: Option<Vec<u8>>,
}

impl Stamp {
    /// Whether it is about bytes of this digest.
    pub fn is_about(&self, sha256: Digest) -> bool {
        self.imprint.algorithm.oid == SHA_256 && self.imprint.digest.as_bytes() == sha256.as_bytes()
    }
}

/// Reads a token, without looking at who signed it.
///
/// # Errors
///
/// Why it is none, as a sentence.
pub fn read(token: &[u8]) -> Result<Stamp, String> {
    let unreadable = |error: der::Error| format!("the token cannot be read: {error}");
    let content = ContentInfo::from_der(token).map_err(unreadable)?;
    let signed: SignedData = content.content.decode_as().map_err(unreadable)?;
    if signed.encap_content_info.econtent_type != TST_INFO {
        return Err("the token holds no time-stamp".into());
    }
    let info = signed.encap_content_info.econtent.ok_or("the token is empty")?;
    let info: OctetString = info.decode_as().map_err(unreadable)?;
    info_of(info.as_bytes())
}

fn info_of(info: &[u8]) -> Result<Stamp, String> {
    let unreadable = |error: der::Error| format!("the token cannot be read: {error}");
    // version, policy, imprint, serial, time; then what is optional, told apart by its tags.
    let fields = Vec::<Any>::from_der(info).map_err(unreadable)?;
    let [_, _, imprint, _, time, rest @ ..] = &fields[..] else {
        return Err("the token is too short".into());
    };
    if time.tag() != Tag::GeneralizedTime {
        return Err("the token has no time".into());
    }
    let nonce = rest.iter().find(|field| field.tag() == Tag::Integer);
    let nonce = nonce.map(|nonce| nonce.decode_as::<Uint>()).transpose().map_err(unreadable)?;
    Ok(Stamp {
        imprint: imprint.decode_as().map_err(unreadable)?,
        at: String::from_utf8_lossy(time.value()).into_owned(),
        nonce: nonce.map(|nonce| nonce.as_bytes().to_vec()),
    })
}

/// Reads a token about bytes of this digest, and checks that its signature holds by the key of the certificate it brings.
///
/// Whose that certificate is, is not asked, and a signature of a kind that is not known here is let pass.
///
/// # Errors
///
/// Why it is none, or does not hold, as a sentence.
pub fn read_sound(token: &[u8], sha256: Digest) -> Result<Stamp, String> {
    let stamp = read(token)?;
    if !stamp.is_about(sha256) {
        return Err("the token is about something else".into());
    }
    match message::check(token, None) {
        Err(Fault::Broken(_)) => Err("the token's signature does not hold: it was changed".into()),
        Ok(_) | Err(Fault::Unchecked(_)) => Ok(stamp),
    }
}

/// Checks a token over this content; answers who signed it, and when.
pub(super) fn check(token: &[u8], content: Content<'_>) -> Result<(Signed, Timestamp), Fault> {
    let signed = message::check(token, None)?;
    let stamp = info_of(signed.content.as_deref().unwrap_or_default()).map_err(Fault::Broken)?;
    let algorithm = stamp.imprint.algorithm.oid;
    match content.digest(algorithm) {
        None => {
            return Err(Fault::Unchecked(format!("the digest algorithm {algorithm} is not known here")));
        }
        Some(digest) if digest == stamp.imprint.digest.as_bytes() => {}
        Some(_) => return Err(Fault::Broken("a time-stamp is about something else".into())),
    }
    let at = moment(&stamp.at).ok_or_else(|| Fault::Broken("a time-stamp has no time".into()))?;
    Ok((signed, at))
}

/// Who signed the token that a signature carries, and when; an error where there is one and it does not hold.
pub(super) fn of_signature(signed: &Signed) -> Option<Result<(Signed, Timestamp), String>> {
    let attributes = signed.signer.unsigned_attrs.as_ref()?;
    let token = attributes.iter().find(|attribute| attribute.oid == TOKEN)?.values.get(0)?;
    let token = der::Encode::to_der(token).ok()?;
    match check(&token, Content(signed.signer.signature.as_bytes(), &[])) {
        Ok(stamp) => Some(Ok(stamp)),
        Err(Fault::Broken(fault)) => Some(Err(format!("the time-stamp of a signature: {fault}"))),
        Err(Fault::Unchecked(_)) => None,
    }
}

/// `20260131120000Z`; a fraction of a second is left out.
fn moment(text: &str) -> Option<Timestamp> {
    let whole = text.split(['.', 'Z']).next()?;
    let bytes = format!("{whole}Z").into_bytes();
    let time = Any::new(Tag::GeneralizedTime, bytes).ok()?.decode_as::<GeneralizedTime>().ok()?;
    message::timestamp(time.to_unix_duration())
}
