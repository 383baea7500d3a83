//! The signatures that a PDF's form holds, and which bytes they cover.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use lopdf::{Dictionary, Document, Object, ObjectId};
use platen_model::SignatureCoverage;

use super::Unchanged;
use super::cms::Fault;
use super::sameness::{self, Sameness};

/// What no signature can be without, in plain bytes: it says where those are that it does not cover.
const BYTE_RANGE: &[u8] = b"/ByteRange";
/// How deep form fields may lie in one another.
const FIELDS_DEPTH_MAX: usize = 16;
/// The most form fields that are looked at.
const FIELDS_MAX: usize = 20_000;

/// A signature as it stands in the file.
pub(super) struct Held {
    /// Where the gap of the signature begins and ends, its angle brackets included.
    pub(super) open: usize,
    pub(super) close: usize,
    /// Where what it covers ends.
    pub(super) end: usize,
    /// The bytes in the gap.
    pub(super) cms: Vec<u8>,
    pub(super) is_time_stamp: bool,
    pub(super) claimed_at: Option<Timestamp>,
    sub_filter: String,
    /// It certifies the document and forbids any change.
    is_final: bool,
}

/// All signatures that stand in the document's form; an error says why one cannot be one.
pub(super) fn all(document: &Document, bytes: &[u8]) -> Vec<Result<Held, String>> {
    let mut values = Vec::new();
    let form = document.catalog().ok().and_then(|it| document.get_dict_in_dict(it, b"AcroForm").ok());
    let fields = form.and_then(|form| array(document, form, b"Fields"));
    let mut left = FIELDS_MAX;
    for field in fields.into_iter().flatten() {
        collect(document, field, false, FIELDS_DEPTH_MAX, &mut left, &mut values);
    }
    let unreadable = || "a signature field holds nothing that can be read".to_owned();
    values.into_iter().map(|value| Held::read(document, value.ok_or_else(unreadable)?, bytes)).collect()
}

/// Whether there are more signatures than these, wherever they stand: a damaged PDF may have lost the way to one.
pub(super) fn are_more_than(held: usize, document: &Document, bytes: &[u8]) -> bool {
    let is_signature = |object: &&Object| {
        let value = object.as_dict().ok();
        value.is_some_and(|value| value.has(b"ByteRange") && value.has(b"Contents"))
    };
    let is_spoken_of = || bytes.windows(BYTE_RANGE.len()).any(|part| part == BYTE_RANGE);
    document.objects.values().filter(is_signature).count() > held || (held == 0 && is_spoken_of())
}

/// The values of signature fields, a field's parts included.
fn collect<'d>(
    document: &'d Document,
    field: &'d Object,
    is_signature: bool,
    depth: usize,
    left: &mut usize,
    values: &mut Vec<Option<&'d Dictionary>>,
) {
    if depth == 0 || *left == 0 {
        return;
    }
    *left -= 1;
    let Some(field) = dictionary(document, field) else { return };
    let is_signature = match field.get(b"FT").and_then(Object::as_name) {
        Ok(kind) => kind == b"Sig",
        Err(_) => is_signature,
    };
    if is_signature && field.get(b"V").is_ok_and(|value| !value.is_null()) {
        values.push(document.get_dict_in_dict(field, b"V").ok());
    }
    for kid in array(document, field, b"Kids").into_iter().flatten() {
        collect(document, kid, is_signature, depth - 1, left, values);
    }
}

impl Held {
    fn read(document: &Document, value: &Dictionary, bytes: &[u8]) -> Result<Self, String> {
        let numbers: Vec<i64> = array(document, value, b"ByteRange")
            .ok_or("a signature does not say which bytes it covers")?
            .iter()
            .map(|number| number.as_i64().unwrap_or(-1))
            .collect();
        let odd = || format!("a signature covers the odd range of bytes {numbers:?}");
        let [0, before, after, rest] = numbers[..] else { return Err(odd()) };
        let place = |number: i64| usize::try_from(number).map_err(|_| odd());
        let (open, close, rest) = (place(before)?, place(after)?, place(rest)?);
        let end = close.checked_add(rest).filter(|end| *end <= bytes.len()).ok_or_else(odd)?;
        let gap = bytes.get(open..close).ok_or_else(odd)?;
        let [b'<', digits @ .., b'>'] = gap else {
            return Err("a signature leaves out more of the file than itself".into());
        };
        let cms = unhex(digits).ok_or("a signature leaves out more of the file than itself")?;
        // A decrypting reader decrypts what never was encrypted, so there the two differ.
        let contents = value.get(b"Contents").and_then(|it| document.dereference(it)).ok();
        let contents = contents.and_then(|(_, it)| it.as_str().ok()).unwrap_or_default();
        if contents != cms && !document.was_encrypted() {
            return Err("a signature stands elsewhere than where it says".into());
        }
        let sub_filter = value.get(b"SubFilter").and_then(Object::as_name).unwrap_or_default();
        let sub_filter = String::from_utf8_lossy(sub_filter).into_owned();
        let claimed = value.get(b"M").and_then(Object::as_str).ok();
        Ok(Self {
            open,
            close,
            end,
            cms,
            is_time_stamp: sub_filter == "ETSI.RFC3161",
            claimed_at: claimed.and_then(|text| pdf_date(&String::from_utf8_lossy(text))),
            is_final: level(document, value) == Some(1),
            sub_filter,
        })
    }

    /// Whether it is of a kind that can be checked here.
    pub(super) fn is_known_kind(&self) -> Result<(), Fault> {
        match self.sub_filter.as_str() {
            "adbe.pkcs7.detached" | "ETSI.CAdES.detached" => Ok(()),
            other => Err(Fault::Unchecked(format!("signatures of the kind {other:?} are not known here"))),
        }
    }

    /// What it covers, and that what came afterwards changed nothing of it.
    pub(super) fn coverage(
        &self,
        document: &Document,
        bytes: &[u8],
        shown: &Sameness,
        last_end: usize,
    ) -> Unchanged {
        if self.end == bytes.len() {
            return Ok(SignatureCoverage::WholeFile);
        }
        let covered = &bytes[..self.end];
        let then = Document::load_mem(covered).ok().filter(|then| then.xref_recovery.is_none());
        let then = then.ok_or("what a signature covers is no whole PDF")?;
        let (pages_then, pages) = (then.get_pages().len(), document.get_pages().len());
        if pages_then != pages {
            let message = format!("the PDF had {pages_then} pages when it was signed, and has {pages} now");
            return Err(message);
        }
        if sameness::of_pages(&then) != *shown {
            return Err("what the pages show was changed after it was signed".into());
        }
        let is_last = self.end == last_end;
        if (is_last || self.is_final) && sameness::of_all(&then) != sameness::of_all(document) {
            return Err(match is_last {
                true => "the PDF was changed after its last signature".into(),
                false => "the PDF was changed although its certification forbids that".into(),
            });
        }
        Ok(SignatureCoverage::Revision)
    }
}

/// The permission level of a certification (ISO 32000-1, 12.8.2.2).
fn level(document: &Document, value: &Dictionary) -> Option<i64> {
    array(document, value, b"Reference")?.iter().find_map(|reference| {
        let reference = dictionary(document, reference)?;
        let method = reference.get(b"TransformMethod").and_then(Object::as_name).ok()?;
        let parameters = document.get_dict_in_dict(reference, b"TransformParams").ok()?;
        (method == b"DocMDP").then(|| parameters.get(b"P").and_then(Object::as_i64).unwrap_or(2))
    })
}

fn dictionary<'d>(document: &'d Document, object: &'d Object) -> Option<&'d Dictionary> {
    document.dereference(object).ok()?.1.as_dict().ok()
}

fn array<'d>(document: &'d Document, dictionary: &'d Dictionary, key: &[u8]) -> Option<&'d Vec<Object>> {
    let (_, value): (Option<ObjectId>, &Object) = document.dereference(dictionary.get(key).ok()?).ok()?;
    value.as_array().ok()
}

/// Hexadecimal digits as bytes; white space between them is allowed (ISO 32000-1, 7.3.4.3).
fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.chunks(2).map(|pair| Some(value(pair[0])? << 4 | value(pair[1])?)).collect()
}

/// A date as PDFs write it: `D:20260131120000+01'00'`, all after the year optional.
fn pdf_date(text: &str) -> Option<Timestamp> {
    let text = text.strip_prefix("D:").unwrap_or(text);
    let digits: String = text.chars().take_while(char::is_ascii_digit).take(14).collect();
    let number = |from: usize, to: usize, otherwise: i8| match digits.get(from..to) {
        Some(part) => part.parse().ok(),
        None => Some(otherwise),
    };
    let year: i16 = digits.get(..4)?.parse().ok()?;
    let (month, day) = (number(4, 6, 1)?, number(6, 8, 1)?);
    let (hour, minute, second) = (number(8, 10, 0)?, number(10, 12, 0)?, number(12, 14, 0)?);
    let local = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let zone = &text[digits.len()..];
    let parts: Vec<i32> =
        zone.get(1..).unwrap_or_default().split('\'').filter_map(|part| part.parse().ok()).collect();
    let seconds = parts.first().unwrap_or(&0) * 3600 + parts.get(1).unwrap_or(&0) * 60;
    let offset = Offset::from_seconds(if zone.starts_with('-') { -seconds } else { seconds }).ok()?;
    offset.to_timestamp(local).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_every_length_and_zone() {
        let read = |text: &str| pdf_date(text).map(|at| at.to_string());
        for (text, expected) in [
            ("D:20260131120000Z", Some("2026-01-31T12:00:00Z")),
            ("D:20260131120000+01'30'", Some("2026-01-31T10:30:00Z")),
            ("D:20260131120000-05'00", Some("2026-01-31T17:00:00Z")),
            ("D:202601", Some("2026-01-01T00:00:00Z")),
            ("2026", Some("2026-01-01T00:00:00Z")),
            ("D:20261331120000Z", None),
            ("D:20260131120000+99'00'", None),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_gap_holds_hexadecimal_digits_and_nothing_else() {
        assert_eq!(unhex(b"00 fF\n1"), None);
        assert_eq!(unhex(b"00 fF\n"), Some(vec![0, 255]));
        assert_eq!(unhex(b"0g"), None);
    }
}
