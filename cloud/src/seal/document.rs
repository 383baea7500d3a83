//! A seal in a PDF: prepared by a worker, digested and filled in here.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::AsFd as _;

use platen_capture::pdf::SealRoom;
use platen_capture::pdf::signatures::revocation::Question;
use platen_capture::worker::pool::Pool;
use platen_capture::worker::protocol::{Reply, Request, SealInfo};
use platen_model::{Failure, FailureClass, Stage};

use super::{SealError, SealKey, Stamper, cms};

/// Room for a CMS signature but for its certificates, in bytes: at most 512 are the signature itself, the rest is names.
const SIGNATURE_BYTES: u32 = 3_072;
/// Room for a time-stamp, which brings the certificates of its authority, in bytes.
const STAMP_BYTES: u32 = 20_480;

/// Room for a CMS signature by `key`, in bytes, with a time-stamp or without.
fn room_bytes(key: &SealKey, is_stamped: bool) -> u32 {
    // PEM is a third longer than the DER that goes in.
    let certificates = u32::try_from(key.chain_pem().len()).unwrap_or(u32::MAX / 4);
    SIGNATURE_BYTES + certificates + if is_stamped { STAMP_BYTES } else { 0 }
}

/// The PDF with a visible signature field and a seal by `key`, as an incremental update of `pdf`.
///
/// Blocks while a worker prepares it and a token signs it: call it where blocking is allowed.
pub fn seal_pdf(
    pool: &Pool,
    key: &SealKey,
    pdf: &[u8],
    mut seal: SealInfo,
    stamper: Option<&Stamper<'_>>,
) -> Result<Vec<u8>, SealError> {
    seal.room_bytes = room_bytes(key, stamper.is_some());
    let (reply, prepared) = updated(pool, &Request::PrepareSeal { seal }, pdf, None)?;
    match reply {
        Reply::Prepared(room) => fill(key, prepared, &room, stamper),
        other => Err(misfit(&other)),
    }
}

/// Who can be asked whether the certificates of a PDF's signatures were revoked; `roots` (PEM) are trusted.
///
/// Blocks while a worker reads it: call it where blocking is allowed.
pub fn revocation_questions(pool: &Pool, pdf: &[u8], roots: &str) -> Result<Vec<Question>, SealError> {
    let request = Request::RevocationQuestions { roots: roots.to_owned() };
    match pool.call(&request, &[laid(pdf)?.as_fd()])? {
        Reply::Questions(questions) => Ok(questions),
        other => Err(misfit(&other)),
    }
}

/// The PDF with what is needed to check its signatures later behind it, as an incremental update of `pdf`: certificates,
/// and of `answers` about revocation those that hold now. With it what is missing, a sentence each.
///
/// Blocks while a worker makes it: call it where blocking is allowed.
pub fn add_validation(
    pool: &Pool,
    pdf: &[u8],
    answers: &[u8],
    roots: &str,
) -> Result<(Vec<u8>, Vec<String>), SealError> {
    let request = Request::AddValidation { roots: roots.to_owned(), at: jiff::Timestamp::now() };
    match updated(pool, &request, pdf, Some(answers))? {
        (Reply::Added { lacking }, bytes) => Ok((bytes, lacking)),
        (other, _) => Err(misfit(&other)),
    }
}

/// What a worker answers, and the PDF it wrote, which begins with the bytes it was given.
fn updated(
    pool: &Pool,
    request: &Request,
    pdf: &[u8],
    beside: Option<&[u8]>,
) -> Result<(Reply, Vec<u8>), SealError> {
    let (source, beside) = (laid(pdf)?, beside.map(laid).transpose()?);
    let mut target = tempfile::tempfile()?;
    let mut files = vec![source.as_fd(), target.as_fd()];
    files.extend(beside.as_ref().map(File::as_fd));
    let reply = pool.call(request, &files)?;
    let mut bytes = Vec::new();
    target.rewind()?;
    target.read_to_end(&mut bytes)?;
    if !bytes.starts_with(pdf) {
        return Err(SealError::Unfit("it does not begin with the document's own bytes"));
    }
    Ok((reply, bytes))
}

fn laid(bytes: &[u8]) -> Result<File, SealError> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn misfit(reply: &Reply) -> SealError {
    let message = format!("the worker answered something else: {reply:?}");
    Failure::new(FailureClass::Internal, Stage::Seal, message).into()
}

/// Signs everything but the gap, and writes the signature into the gap as hexadecimal digits.
fn fill(
    key: &SealKey,
    mut prepared: Vec<u8>,
    room: &SealRoom,
    stamper: Option<&Stamper<'_>>,
) -> Result<Vec<u8>, SealError> {
    let (open, close) = gap(&prepared, room)?;
    let digest = key.kind().digest(&[&prepared[..open], &prepared[close..]]);
    let signature = cms::sign_detached(key, &digest, stamper)?;
    let hex = signature.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    if hex.len() > close - open - 2 {
        return Err(SealError::Unfit("the signature does not fit the room made for it"));
    }
    // Digits that stay unused are zeros: padding, which readers skip (ISO 32000-2, 12.8.1).
    prepared[open + 1..open + 1 + hex.len()].copy_from_slice(hex.as_bytes());
    Ok(prepared)
}

/// Where the gap is, its angle brackets included: from, to. It must be empty, and the only part left unsigned.
fn gap(prepared: &[u8], room: &SealRoom) -> Result<(usize, usize), SealError> {
    let [start, before, after, rest] = room.byte_range;
    let length = prepared.len() as u64;
    let whole = start == 0 && before < after && after.checked_add(rest) == Some(length);
    if !whole {
        return Err(SealError::Unfit("the byte range does not cover the whole file"));
    }
    let (open, close) = (before as usize, after as usize);
    match &prepared[open..close] {
        [b'<', digits @ .., b'>'] if digits.iter().all(|digit| *digit == b'0') => Ok((open, close)),
        _ => Err(SealError::Unfit("the byte range does not leave out exactly the empty signature")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with an empty signature, as a worker would prepare it.
    fn prepared_pdf(room: usize) -> (Vec<u8>, SealRoom) {
        let mut pdf = b"%PDF-1.7\n".to_vec();
        let mut offsets = Vec::new();
        let mut gap = 0;
        let objects = [
            "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]/SigFlags 3>>>>".to_owned(),
            "<</Type/Pages/Count 1/Kids[3 0 R]>>".to_owned(),
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Annots[4 0 R]>>".to_owned(),
            "<</Type/Annot/Subtype/Widget/FT/Sig/T(Seal)/Rect[0 0 0 0]/F 132/P 3 0 R/V 5 0 R>>".to_owned(),
            format!(
                "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached/M(D:20260101000000Z)\
                 /ByteRange[0 0000000000 0000000000 0000000000]/Contents<{}>>>",
                "0".repeat(room * 2)
            ),
        ];
        for (number, object) in (1..).zip(&objects) {
            offsets.push(pdf.len());
            pdf.extend(format!("{number} 0 obj").bytes());
            gap = pdf.len() + object.find("/Contents").map_or(0, |at| at + "/Contents".len());
            pdf.extend(format!("{object}\nendobj\n").bytes());
        }
        let xref = pdf.len();
        pdf.extend(b"xref\n0 6\n0000000000 65535 f \n");
        for offset in offsets {
            pdf.extend(format!("{offset:010} 00000 n \n").bytes());
        }
        pdf.extend(format!("trailer<</Size 6/Root 1 0 R>>\nstartxref\n{xref}\n%%EOF\n").bytes());
        let after = gap + room * 2 + 2;
        let byte_range = [0, gap as u64, after as u64, (pdf.len() - after) as u64];
        let text = format!("{:010} {:010} {:010}", byte_range[1], byte_range[2], byte_range[3]);
        let at = pdf.windows(12).position(|part| part == b"/ByteRange[0").expect("it is there") + 13;
        pdf[at..at + text.len()].copy_from_slice(text.as_bytes());
        (pdf, SealRoom { byte_range })
    }

    /// What poppler's `pdfsig` says of a file.
    fn pdfsig(pdf: &[u8]) -> String {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(pdf).expect("write");
        let output = std::process::Command::new("pdfsig").arg(file.path()).output();
        let output = output.expect("pdfsig is a build need: install poppler-utils");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[test]
    fn poppler_finds_the_seal_valid_and_finds_one_changed_byte() {
        let key = SealKey::passing("Harbour Office").expect("a key");
        let (pdf, room) = prepared_pdf(room_bytes(&key, false) as usize);
        let mut sealed = fill(&key, pdf, &room, None).expect("sealed");
        let said = pdfsig(&sealed);
        assert!(said.contains("Signature is Valid"), "{said}");
        assert!(said.contains("Total document signed"), "{said}");
        assert!(said.contains("Signer Certificate Common Name: Harbour Office"), "{said}");
        let at = sealed.windows(8).position(|part| part == b"MediaBox").expect("it is there");
        sealed[at] = b'm';
        let said = pdfsig(&sealed);
        assert!(said.contains("Digest Mismatch"), "{said}");
    }

    #[test]
    fn a_byte_range_that_leaves_more_than_the_gap_unsigned_is_refused() {
        let key = SealKey::passing("x").expect("a key");
        let (pdf, room) = prepared_pdf(64);
        let [start, before, after, rest] = room.byte_range;
        for byte_range in [
            [start + 1, before - 1, after, rest],
            [start, before - 1, after, rest],
            [start, before, after + 1, rest - 1],
            [start, before, after, rest - 1],
            [start, before, after, u64::MAX],
        ] {
            let error = fill(&key, pdf.clone(), &SealRoom { byte_range }, None).expect_err("must be refused");
            assert!(matches!(error, SealError::Unfit(_)), "{error}");
        }
        let error = fill(&key, pdf, &room, None).expect_err("64 bytes are too few");
        assert!(error.to_string().contains("does not fit"), "{error}");
    }
}
