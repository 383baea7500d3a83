//! Whether a file ends as its format says it must: the cheap look at a file that somebody may still be writing.
//!
//! It reads markers, chunk lengths, directories and cross-reference offsets, no pixels. It answers a different question
//! from [`Document::inspect`](super::Document::inspect): not "can pages be made of this?" but "would the writer have
//! stopped here?". A file may end properly and still be corrupt; that is for capture to find out.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

use platen_model::{Failure, FailureClass, Stage};
use serde::{Deserialize, Serialize};

use super::document::head;
use super::tiff::Tiff;
use super::tiff_source::At;
use super::{Fault, guarded, sniff};
use crate::Kind;
use crate::options::Limits;

/// How many bytes before its end a PDF is searched for the offset of its last cross-reference.
const PDF_TAIL_BYTES: usize = 2_048;
/// How many bytes may follow a PDF that are no part of one: padding, or what a web server or a spooler appended.
const PDF_JUNK_BYTES: usize = 64 << 10;
/// How many bytes are read where that offset points.
const PDF_SECTION_BYTES: usize = 40;

/// How a file ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ends", rename_all = "snake_case")]
pub enum Ending {
    /// As its format demands.
    Properly {
        /// Whether writers of this format add pages to a file that was complete (TIFF, PDF).
        may_grow: bool,
    },
    /// Before its format says it should, or in a way the format does not allow.
    Unfinished {
        /// What is missing, as a lower-case fragment.
        why: String,
    },
    /// Its format is not one we know: nothing can be said.
    Unknown,
}

impl Ending {
    /// Looks at a file.
    ///
    /// # Errors
    ///
    /// Only where the file cannot be read: what is wrong with its bytes is an [`Ending::Unfinished`].
    pub fn of(file: File, limits: &Limits) -> Result<Self, Failure> {
        match guarded(|| look(file, limits)) {
            Ok(ending) => Ok(ending),
            Err(fault) if fault.class == FailureClass::Internal => Err(fault.at(Stage::Inspect)),
            Err(fault) => Ok(Self::Unfinished { why: fault.message }),
        }
    }
}

fn look(file: File, limits: &Limits) -> Result<Ending, Fault> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(unfinished("it has no bytes"));
    }
    let head = head(&file)?;
    let Ok(kind) = sniff(&head) else { return Ok(Ending::Unknown) };
    let mut reader = BufReader::with_capacity(64 << 10, At::beginning(&file)?);
    match kind {
        Kind::Tiff => {
            drop(reader);
            Ok(tiff(file, limits))
        }
        Kind::Pdf => pdf(&mut reader, &head, length),
        Kind::Jpeg => jpeg(&mut reader),
        Kind::Png => png(&mut reader, length),
        Kind::Webp | Kind::Bmp => Ok(declared(kind, &head, length)),
        Kind::Gif => gif(&mut reader, length),
        Kind::Jpeg2000 => jpeg2000(&mut reader, length),
    }
}

fn unfinished(why: impl Into<String>) -> Ending {
    Ending::Unfinished { why: why.into() }
}

fn properly(may_grow: bool) -> Ending {
    Ending::Properly { may_grow }
}

fn tiff(file: File, limits: &Limits) -> Ending {
    // No page limit here: a file that is too large is whole too.
    let limits = Limits { pages: u32::MAX, page_pixels: u64::MAX, ..limits.clone() };
    match Tiff::open(file).and_then(|mut tiff| tiff.count_pages(&limits)) {
        Ok(_) => properly(true),
        Err(fault) => unfinished(fault.message),
    }
}

/// The last `startxref` must point at a cross-reference inside the file, with `%%EOF` behind it (ISO 32000-1, 7.5.5).
fn pdf(reader: &mut (impl Read + Seek), head: &[u8], length: u64) -> Result<Ending, Fault> {
    let tail = tail(reader, length, (PDF_TAIL_BYTES + PDF_JUNK_BYTES) as u64)?;
    let near = tail.len().saturating_sub(PDF_TAIL_BYTES);
    let eof = rfind(&tail[near..], b"%%EOF").map(|eof| near + eof).or_else(|| end_before_junk(&tail));
    let Some(eof) = eof else { return Ok(unfinished("it has no %%EOF at its end")) };
    let Some(start) = rfind(&tail[..eof], b"startxref") else {
        return Ok(unfinished("it does not say where its cross-reference is (startxref)"));
    };
    let number = tail[start + b"startxref".len()..eof].trim_ascii();
    let offset = std::str::from_utf8(number).ok().and_then(|number| number.parse::<u64>().ok());
    // Offsets count from `%PDF-`, which bytes of a mail program or a spooler may precede.
    let lead = head.windows(5).position(|window| window == b"%PDF-").unwrap_or(0) as u64;
    let Some(offset) = offset.filter(|offset| *offset > 0) else {
        return Ok(unfinished("the offset of its cross-reference is no number"));
    };
    for begin in [offset, offset.saturating_add(lead)] {
        if begin < length && is_cross_reference(reader, begin)? {
            return Ok(properly(true));
        }
    }
    Ok(unfinished(format!("there is no cross-reference at byte {offset}, where it says")))
}

/// Where the last `%%EOF` of a file that ends with these bytes stands, if nothing of a PDF follows it: an update that was
/// cut off begins with an object.
pub(super) fn end_before_junk(tail: &[u8]) -> Option<usize> {
    let begin = tail.len().saturating_sub(PDF_JUNK_BYTES);
    let eof = begin + rfind(&tail[begin..], b"%%EOF")?;
    let begins_object = |bytes: &[u8]| bytes[0].is_ascii_digit() && bytes.ends_with(b" obj");
    (!tail[eof..].windows(5).any(begins_object)).then_some(eof)
}

fn is_cross_reference(reader: &mut (impl Read + Seek), begin: u64) -> Result<bool, Fault> {
    reader.seek(SeekFrom::Start(begin))?;
    let mut section = Vec::new();
    reader.take(PDF_SECTION_BYTES as u64).read_to_end(&mut section)?;
    let section = section.trim_ascii_start();
    // A table, or the object of a stream: `12 0 obj`.
    let is_object = section.first().is_some_and(u8::is_ascii_digit) && rfind(section, b"obj").is_some();
    Ok(section.starts_with(b"xref") || is_object)
}

fn rfind(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted)
}

/// Walks segments and entropy-coded data up to the end-of-image marker (ITU-T T.81, annex B). A thumbnail's end inside
/// an application segment is stepped over with its segment.
pub(super) fn jpeg(reader: &mut (impl BufRead + Seek)) -> Result<Ending, Fault> {
    const CUT: &str = "it ends before its end-of-image marker";
    reader.seek(SeekFrom::Start(2))?;
    while let Some(marker) = next_marker(reader)? {
        match marker {
            0xd9 => return Ok(properly(false)),
            // Stuffed zeros and restarts belong to the data; TEM stands alone.
            0x00 | 0x01 | 0xd0..=0xd8 => {}
            _ => {
                let mut length = [0u8; 2];
                if reader.read_exact(&mut length).is_err() {
                    return Ok(unfinished(CUT));
                }
                reader.seek_relative(u16::from_be_bytes(length).saturating_sub(2).into())?;
            }
        }
    }
    Ok(unfinished(CUT))
}

/// The byte that follows the next run of `0xff`; `None` at the end.
fn next_marker(reader: &mut impl BufRead) -> Result<Option<u8>, Fault> {
    let mut in_run = false;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let sought = |byte: &u8| (*byte == 0xff) != in_run;
        let (found, used) = match buffer.iter().position(sought) {
            Some(place) => (Some(buffer[place]), place + 1),
            None => (None, buffer.len()),
        };
        reader.consume(used);
        match found {
            Some(0xff) => in_run = true,
            Some(marker) => return Ok(Some(marker)),
            None => {}
        }
    }
}

/// Walks the chunks of a PNG up to `IEND` and its check sum (ISO 15948, 5.3).
fn png(reader: &mut (impl Read + Seek), length: u64) -> Result<Ending, Fault> {
    let mut at = 8u64;
    while at + 12 <= length {
        reader.seek(SeekFrom::Start(at))?;
        let mut chunk = [0u8; 8];
        reader.read_exact(&mut chunk)?;
        let [a, b, c, d, name @ ..] = chunk;
        at = at.saturating_add(12 + u64::from(u32::from_be_bytes([a, b, c, d])));
        if &name == b"IEND" && at <= length {
            return Ok(properly(false));
        }
    }
    Ok(unfinished("it ends before its IEND chunk"))
}

/// Formats that say in their head how long they are.
fn declared(kind: Kind, head: &[u8], length: u64) -> Ending {
    let (at, more) = if kind == Kind::Webp { (4, 8) } else { (2, 0) };
    let Some(&[a, b, c, d]) = head.get(at..at + 4) else { return unfinished("it ends within its header") };
    let declared = u64::from(u32::from_le_bytes([a, b, c, d])) + more;
    if declared <= length {
        return properly(false);
    }
    unfinished(format!("it has {length} of the {declared} bytes that its header names"))
}

/// Walks the blocks of a GIF up to its trailer (GIF89a, appendix A): the trailer's byte also occurs among its data.
fn gif(reader: &mut (impl Read + Seek), length: u64) -> Result<Ending, Fault> {
    const CUT: &str = "it ends before its trailer";
    /// Bytes of the colour table that a packed field announces.
    fn table(packed: u8) -> u64 {
        if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) }
    }
    let Some([packed]) = bytes_at(reader, length, 10)? else { return Ok(unfinished(CUT)) };
    let mut at = 13 + table(packed);
    loop {
        // Each block begins with its kind; sub-blocks with their length follow, up to an empty one.
        at = match bytes_at(reader, length, at)? {
            Some([b';']) => return Ok(properly(false)),
            Some([b'!']) => at + 2,
            Some([b',']) => {
                let Some([packed]) = bytes_at(reader, length, at + 9)? else { return Ok(unfinished(CUT)) };
                at + 11 + table(packed)
            }
            Some([_]) => return Ok(unfinished("a block of it is of no kind that its format knows")),
            None => return Ok(unfinished(CUT)),
        };
        loop {
            let Some([size]) = bytes_at(reader, length, at)? else { return Ok(unfinished(CUT)) };
            at += 1 + u64::from(size);
            if size == 0 {
                break;
            }
        }
    }
}

/// The bytes at a place; `None` where the file ends before.
fn bytes_at<const N: usize>(
    reader: &mut (impl Read + Seek),
    length: u64,
    at: u64,
) -> Result<Option<[u8; N]>, Fault> {
    if at.saturating_add(N as u64) > length {
        return Ok(None);
    }
    reader.seek(SeekFrom::Start(at))?;
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

/// JPEG 2000: the end-of-codestream marker, or boxes that fill the file exactly (ITU-T T.800, annex I).
fn jpeg2000(reader: &mut (impl Read + Seek), length: u64) -> Result<Ending, Fault> {
    if tail(reader, length, 2)? == [0xff, 0xd9] {
        return Ok(properly(false));
    }
    let mut at = 0u64;
    while at + 8 <= length {
        reader.seek(SeekFrom::Start(at))?;
        let mut bytes = [0u8; 16];
        let count = usize::try_from(length - at).map_or(16, |left| left.min(16));
        reader.read_exact(&mut bytes[..count])?;
        let [a, b, c, d, _, _, _, _, long @ ..] = bytes;
        at = match u32::from_be_bytes([a, b, c, d]) {
            1 => at.saturating_add(u64::from_be_bytes(long).max(16)),
            // 0: to the end of the file, which then has to be the end of a codestream.
            size if size < 8 => break,
            size => at + u64::from(size),
        };
        if at == length {
            return Ok(properly(false));
        }
    }
    Ok(unfinished("its codestream does not end"))
}

fn tail(reader: &mut (impl Read + Seek), length: u64, count: u64) -> Result<Vec<u8>, Fault> {
    reader.seek(SeekFrom::Start(length.saturating_sub(count)))?;
    let mut tail = Vec::new();
    reader.take(count).read_to_end(&mut tail)?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn ending(bytes: &[u8]) -> Ending {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("write");
        Ending::of(file, &Limits::default()).expect("it can be read")
    }

    /// A file of a format, whole, and cut after every byte (every 97th of a long one).
    fn check(name: &str, whole: &[u8], may_grow: bool) {
        assert_eq!(ending(whole), Ending::Properly { may_grow }, "{name}");
        for cut in (0..whole.len() - 1).step_by(1 + whole.len() / 400) {
            let ending = ending(&whole[..cut]);
            assert!(
                !matches!(ending, Ending::Properly { .. }),
                "{name} cut after {cut} bytes of {}",
                whole.len()
            );
        }
    }

    fn coded(format: image::ImageFormat) -> Vec<u8> {
        let picture = image::RgbImage::from_fn(64, 48, |x, y| {
            image::Rgb([(x * 3) as u8, (y * 5) as u8, (x * y) as u8])
        });
        let mut bytes = std::io::Cursor::new(Vec::new());
        image::DynamicImage::from(picture).write_to(&mut bytes, format).expect("it can be coded");
        bytes.into_inner()
    }

    #[test]
    fn a_picture_that_is_cut_anywhere_does_not_end_properly() {
        use image::ImageFormat::{Bmp, Gif, Jpeg, Png, Tiff, WebP};
        for format in [Jpeg, Png, Gif, Bmp, WebP, Tiff] {
            check(&format!("{format:?}"), &coded(format), format == Tiff);
        }
    }

    #[test]
    fn a_pdf_ends_where_its_cross_reference_is_reached() {
        let whole = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nxref\n0 1\ntrailer\n<<>>\nstartxref\n29\n%%EOF";
        check("PDF", whole, true);
        let led = [b"From a spooler\n".as_slice(), whole].concat();
        assert_eq!(ending(&led), Ending::Properly { may_grow: true }, "offsets count from %PDF-");
        let moved = String::from_utf8_lossy(whole).replace("startxref\n29", "startxref\n20");
        assert!(matches!(ending(moved.as_bytes()), Ending::Unfinished { .. }));
    }

    #[test]
    fn a_pdf_ends_before_what_is_no_part_of_it_but_not_before_an_update() {
        let whole = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nxref\n0 1\ntrailer\n<<>>\nstartxref\n29\n%%EOF\n";
        let with = |behind: &[u8]| ending(&[whole.as_slice(), behind].concat());
        for junk in [[0; 30_000], [b' '; 30_000], [b'x'; 30_000]] {
            assert_eq!(with(&junk), Ending::Properly { may_grow: true }, "{}", junk[0]);
        }
        assert!(matches!(with(&[b'x'; 70_000]), Ending::Unfinished { .. }), "too much to be sure");
        let update = [b"9 0 obj\n<</Length 90000>>\nstream\n".as_slice(), &[b'x'; 30_000]].concat();
        assert!(matches!(with(&update), Ending::Unfinished { .. }), "an update is being written");
    }

    #[test]
    fn the_end_of_a_thumbnail_is_not_the_end_of_its_picture() {
        let whole = coded(image::ImageFormat::Jpeg);
        let thumbnail = [0xff, 0xd8, 0xff, 0xd9];
        let mut with = vec![0xff, 0xd8, 0xff, 0xe1, 0, 6];
        with.extend(thumbnail);
        with.extend(&whole[2..]);
        assert_eq!(ending(&with), Ending::Properly { may_grow: false });
        assert!(matches!(ending(&with[..40]), Ending::Unfinished { .. }));
    }

    #[test]
    fn of_a_format_that_is_not_known_nothing_is_said() {
        assert_eq!(ending(b"Dear Sir or Madam"), Ending::Unknown);
        assert!(matches!(ending(b""), Ending::Unfinished { .. }));
    }
}
