//! The bytes of a PDF, without the pictures that no page at hand shows.
//!
//! What reads PDFs here wants a file as one piece of memory, and a scan of a thousand pages is nearly all pictures, of
//! which each page needs its own. So the memory is as long as the file, but the data of pictures and of attached files
//! are holes in it, which take none until a page needs them: memory that was never written to costs nothing (as long as
//! the system gives it in small pages, which is seen to here). What was filled stays up to [`FILLED_BYTES`]; then
//! everything is read anew but the holes.
//!
//! A hole is found without the table of objects, which may be wrong or missing: a stream whose dictionary says that it
//! is a picture, up to its `endstream`. Whatever is not surely one is read like the rest, so that a strange file costs
//! memory and nothing else.
//!
//! The danger is a hole that is taken for data. So whoever is given a page has had all holes filled that can be reached
//! from it, whether the page shows them or not.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use hayro_syntax::object::{Array, Dict, MaybeRef, Name, ObjRef, Object};
use hayro_syntax::page::Page;
use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};

use super::Fault;

/// Data of fewer bytes are not worth a hole.
const HOLE_MIN: usize = 16 << 10;
/// How many bytes of filled holes are kept for the next page.
const FILLED_BYTES: usize = 48 << 20;
/// The file is read in pieces of so many bytes: what is read of a picture before it is known to be one is memory.
const PIECE: usize = 8 << 10;
/// The end of a picture that does not state its length is looked for in pieces of so many bytes.
const SEARCHED_PIECE: usize = 256 << 10;
/// The longest dictionary of a picture.
const DICTIONARY_MAX: usize = 4 << 10;
/// How far from the end of its dictionary a stream's data may begin.
const LEAD_MAX: usize = 64;
/// With more objects that a page leads to, all holes are filled.
const OBJECTS_MAX: usize = 200_000;

const STREAM: &[u8] = b"stream";
const END_OF_STREAM: &[u8] = b"endstream";
const END_OF_OBJECT: &[u8] = b"endobj";

/// A file, and the holes in its bytes.
#[derive(Debug)]
pub(super) struct Source {
    file: File,
    length: usize,
    /// In the order in which they stand in the file.
    holes: Vec<Hole>,
}

#[derive(Debug)]
struct Hole {
    begin: usize,
    end: usize,
    filled: bool,
}

impl Hole {
    fn bytes(&self) -> usize {
        self.end - self.begin
    }
}

impl Source {
    /// Reads a file but its pictures.
    pub(super) fn read(file: File) -> Result<(Self, Vec<u8>), Fault> {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        let scan = Scan { file: &file, bytes: &mut bytes, loaded: 0, endless_from: length };
        let holes = in_small_pages(|| scan.holes())?;
        Ok((Self { file, length, holes }, bytes))
    }

    /// The file's length in bytes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The holes that can be reached from a page of the PDF in these bytes.
    pub(super) fn holes_of(&self, page: &Page<'_>, bytes: &[u8]) -> Vec<usize> {
        if self.holes.is_empty() {
            return Vec::new();
        }
        let Some(dictionaries) = dictionaries_of_streams(page) else {
            return (0..self.holes.len()).collect();
        };
        let behind = |dictionary: &[u8]| {
            let at = dictionary.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
            let end = (at + dictionary.len()).min(bytes.len());
            let next = self.holes.partition_point(|hole| hole.begin < end);
            self.holes.get(next).filter(|hole| hole.begin - end <= LEAD_MAX).map(|_| next)
        };
        let mut holes: Vec<usize> = dictionaries.into_iter().filter_map(behind).collect();
        holes.sort_unstable();
        holes.dedup();
        holes
    }

    /// Whether one of these holes has no data yet.
    pub(super) fn lacks(&self, holes: &[usize]) -> bool {
        holes.iter().any(|&hole| !self.holes[hole].filled)
    }

    /// The same bytes with these holes filled, or other ones where too many are.
    pub(super) fn filled(&mut self, bytes: Option<Vec<u8>>, holes: &[usize]) -> Result<Vec<u8>, Fault> {
        let lacking: usize =
            holes.iter().map(|&hole| &self.holes[hole]).filter(|hole| !hole.filled).map(Hole::bytes).sum();
        let filled: usize = self.holes.iter().filter(|hole| hole.filled).map(Hole::bytes).sum();
        let mut bytes = match bytes {
            Some(bytes) if filled == 0 || filled + lacking <= FILLED_BYTES => bytes,
            // Before there are others.
            bytes => {
                drop(bytes);
                self.anew()?
            }
        };
        in_small_pages(|| {
            for &hole in holes {
                let hole = &mut self.holes[hole];
                if !hole.filled {
                    self.file.read_exact_at(&mut bytes[hole.begin..hole.end], hole.begin as u64)?;
                    hole.filled = true;
                }
            }
            Ok(bytes)
        })
    }

    /// The file but its pictures, once more.
    fn anew(&mut self) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; self.length];
        let mut from = 0;
        in_small_pages(|| {
            for hole in &mut self.holes {
                self.file.read_exact_at(&mut bytes[from..hole.begin], from as u64)?;
                (from, hole.filled) = (hole.end, false);
            }
            self.file.read_exact_at(&mut bytes[from..], from as u64)?;
            Ok(bytes)
        })
    }
}

/// Does what writes to memory between holes. Where the system gives memory by 2 MiB, the first byte behind a hole would
/// bring most of the hole with it; this has it give pages for a moment. That it knows no such thing is no fault.
fn in_small_pages<T>(work: impl FnOnce() -> T) -> T {
    let were_off = transparent_huge_pages_are_disabled().unwrap_or(true);
    let _ = disable_transparent_huge_pages(true);
    let done = work();
    let _ = disable_transparent_huge_pages(were_off);
    done
}

/// A file being read for the first time.
struct Scan<'s> {
    file: &'s File,
    bytes: &'s mut [u8],
    /// Everything before is read, or a hole.
    loaded: usize,
    /// Behind this no stream ends any more.
    endless_from: usize,
}

impl Scan<'_> {
    fn holes(mut self) -> Result<Vec<Hole>, Fault> {
        let mut holes: Vec<Hole> = Vec::new();
        let mut looked = 0;
        loop {
            let found = position(&self.bytes[looked..self.loaded], STREAM).map(|at| looked + at);
            let is_last = self.loaded == self.bytes.len();
            match found {
                // What follows the keyword decides.
                Some(at) if is_last || at + STREAM.len() + 2 <= self.loaded => {
                    looked = at + STREAM.len();
                    let floor = holes.last().map_or(0, |hole| hole.end);
                    if let Some(hole) = self.hole(at, floor)? {
                        looked = hole.end;
                        self.loaded = self.loaded.max(hole.end);
                        holes.push(hole);
                    }
                }
                None if is_last => return Ok(holes),
                _ => {
                    looked =
                        found.unwrap_or_else(|| looked.max(self.loaded.saturating_sub(STREAM.len() - 1)));
                    let next = (self.loaded + PIECE).min(self.bytes.len());
                    self.file.read_exact_at(&mut self.bytes[self.loaded..next], self.loaded as u64)?;
                    self.loaded = next;
                }
            }
        }
    }

    /// The hole of the stream whose keyword stands at `at`, if it is to be one. Nothing before `floor` belongs to it.
    fn hole(&mut self, at: usize, floor: usize) -> io::Result<Option<Hole>> {
        let begin = match &self.bytes[at + STREAM.len()..] {
            [b'\r', b'\n', ..] => at + STREAM.len() + 2,
            [b'\n' | b'\r', ..] => at + STREAM.len() + 1,
            _ => return Ok(None),
        };
        let before = &self.bytes[floor.max(at.saturating_sub(DICTIONARY_MAX))..at];
        let object = before.windows(3).rposition(|three| three == b"obj");
        let Some(dictionary) = object.map(|object| before[object + 3..].trim_ascii()) else {
            return Ok(None);
        };
        let whole = dictionary.starts_with(b"<<") && dictionary.ends_with(b">>");
        let lead = begin - at + before.len() - before.trim_ascii_end().len();
        if !whole || lead > LEAD_MAX || !is_set_aside(dictionary) {
            return Ok(None);
        }
        let stated = length_of(dictionary).and_then(|length| begin.checked_add(length));
        let end = match stated {
            Some(end) if self.ends_at(end)? => end,
            _ => match self.end_behind(begin)? {
                Some(end) => end,
                None => return Ok(None),
            },
        };
        let hole = Hole { begin, end, filled: false };
        Ok((hole.bytes() >= HOLE_MIN).then_some(hole))
    }

    fn ends_at(&self, end: usize) -> io::Result<bool> {
        let mut tail = [0; 24];
        let Some(room) = self.bytes.len().checked_sub(end) else { return Ok(false) };
        let tail = &mut tail[..room.min(24)];
        self.file.read_exact_at(tail, end as u64)?;
        Ok(tail.trim_ascii_start().starts_with(END_OF_STREAM))
    }

    /// Where the keyword stands that ends a stream. `None` where its object ends before: the keyword is missing, and the next
    /// one belongs to another object.
    fn end_behind(&mut self, begin: usize) -> io::Result<Option<usize>> {
        if begin >= self.endless_from {
            return Ok(None);
        }
        let mut piece = vec![0; SEARCHED_PIECE];
        let mut from = begin;
        while from < self.bytes.len() {
            let piece = &mut piece[..(self.bytes.len() - from).min(SEARCHED_PIECE)];
            self.file.read_exact_at(piece, from as u64)?;
            let end = position(piece, END_OF_STREAM);
            if position(&piece[..end.unwrap_or(piece.len())], END_OF_OBJECT).is_some() {
                return Ok(None);
            }
            if let Some(at) = end {
                return Ok(Some(from + at));
            }
            if from + piece.len() == self.bytes.len() {
                break;
            }
            // The keyword may lie across two pieces.
            from += piece.len() - (END_OF_STREAM.len() - 1);
        }
        self.endless_from = begin;
        Ok(None)
    }
}

fn position(bytes: &[u8], of: &[u8]) -> Option<usize> {
    bytes.windows(of.len()).position(|window| window == of)
}

/// Whether a stream with this dictionary is a picture or an attached file, and nothing that the file's structure needs.
fn is_set_aside(dictionary: &[u8]) -> bool {
    let says = |key: &[u8], value: &[u8]| {
        let values = behind(dictionary, key).map(<[u8]>::trim_ascii_start);
        let mut values = values.filter_map(|rest| rest.strip_prefix(value));
        values.any(|rest| rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
    };
    (says(b"/Subtype", b"/Image") || says(b"/Type", b"/EmbeddedFile"))
        && !says(b"/Type", b"/ObjStm")
        && !says(b"/Type", b"/XRef")
}

/// The length that a dictionary states itself, and not in another object.
fn length_of(dictionary: &[u8]) -> Option<usize> {
    let value =
        behind(dictionary, b"/Length").find(|rest| rest.first().is_some_and(u8::is_ascii_whitespace))?;
    let value = value.trim_ascii_start();
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = value[digits..].trim_ascii_start();
    let is_direct = rest.first().is_none_or(|byte| !byte.is_ascii_digit());
    let number = std::str::from_utf8(&value[..digits]).ok().filter(|_| is_direct)?;
    number.parse().ok()
}

/// What stands behind each place of a key.
fn behind<'d>(dictionary: &'d [u8], key: &[u8]) -> impl Iterator<Item = &'d [u8]> {
    let places = dictionary.windows(key.len()).enumerate().filter(move |(_, window)| *window == key);
    places.map(move |(at, _)| &dictionary[at + key.len()..])
}

/// The dictionaries of all streams that can be reached from a page; `None` where they are too many to tell.
fn dictionaries_of_streams<'p>(page: &Page<'p>) -> Option<Vec<&'p [u8]>> {
    let of = page.resources();
    let groups = [
        &of.ext_g_states,
        &of.color_spaces,
        &of.patterns,
        &of.shadings,
        &of.x_objects,
        &of.fonts,
        &of.properties,
    ];
    let mut pending: Vec<MaybeRef<Object<'p>>> =
        groups.into_iter().map(|group| MaybeRef::NotRef(Object::Dict(group.clone()))).collect();
    pending.extend(page.raw().get_raw::<Object<'p>>("Group"));
    // Instructions that say they are a picture.
    pending.extend(page.raw().get_raw::<Object<'p>>("Contents"));
    let annotations = page.raw().get::<Array<'p>>("Annots");
    let looks = annotations.iter().flat_map(Array::iter::<Dict<'p>>);
    pending.extend(looks.filter_map(|annotation| annotation.get_raw::<Object<'p>>("AP")));

    let mut seen: HashSet<ObjRef> = HashSet::new();
    let mut found = Vec::new();
    while let Some(value) = pending.pop() {
        let object = match value {
            MaybeRef::Ref(to) if seen.insert(to) => page.xref().get::<Object<'p>>(to.into()),
            MaybeRef::Ref(_) => None,
            MaybeRef::NotRef(object) => Some(object),
        };
        if seen.len() > OBJECTS_MAX {
            return None;
        }
        match object {
            Some(Object::Array(array)) => pending.extend(array.raw_iter()),
            Some(Object::Dict(dict)) if !leads_away(&dict) => {
                pending.extend(dict.entries().map(|(_, value)| value));
            }
            Some(Object::Stream(stream)) => {
                found.push(stream.dict().data());
                pending.extend(stream.dict().entries().map(|(_, value)| value));
            }
            _ => {}
        }
    }
    Some(found)
}

/// Objects through which the whole document could be reached.
pub(crate) fn leads_away(dict: &Dict<'_>) -> bool {
    let kind = dict.get::<Name<'_>>("Type");
    kind.is_some_and(|kind| {
        matches!(&*kind, b"Page" | b"Pages" | b"Catalog" | b"StructTreeRoot" | b"StructElem" | b"Annot")
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(bytes: &[u8]) -> (Source, Vec<u8>) {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("write");
        Source::read(file).expect("it is read")
    }

    /// An object that is a stream of these entries.
    fn stream(entries: &str, data: &[u8]) -> Vec<u8> {
        let mut object = format!("7 0 obj\n<<{entries}>>\nstream\r\n").into_bytes();
        object.extend(data);
        object.extend(b"\nendstream\nendobj\n");
        object
    }

    #[test]
    fn the_data_of_pictures_are_holes_however_they_state_their_length_and_nothing_else_is() {
        let picture = vec![7; HOLE_MIN * 3 + 5];
        let length = picture.len();
        let check = |entries: &str, is_hole: bool| {
            let object = stream(entries, &picture);
            let file =
                [b"%PDF-1.7\n".as_slice(), &object, b"endstream stream\n", &object, b"trailer"].concat();
            let (mut source, bytes) = read(&file);
            assert_eq!(source.holes.len(), if is_hole { 2 } else { 0 }, "{entries}");
            let first = file.windows(2).position(|pair| pair == [7, 7]).expect("the data");
            for hole in &source.holes {
                assert!(hole.begin >= first && file[hole.begin..hole.begin + length] == picture, "{entries}");
                assert!(bytes[hole.begin + PIECE..hole.end].iter().all(|byte| *byte == 0), "{entries}");
            }
            let all: Vec<usize> = (0..source.holes.len()).collect();
            assert_eq!(source.lacks(&all), is_hole);
            let filled = source.filled(Some(bytes), &all).expect("they are filled");
            assert!(filled == file && !source.lacks(&all), "{entries}");
            let others = source.anew().expect("it is read");
            assert!(others.len() == file.len() && source.lacks(&all) == is_hole, "{entries}");
            assert_eq!(source.filled(Some(others), &all).expect("they are filled"), file, "{entries}");
        };
        check(&format!("/Subtype/Image/Length {length}"), true);
        check(&format!("/Length {length}/Type /XObject /Subtype /Image"), true);
        check("/Subtype/Image/Length 9 0 R", true);
        check("/Subtype/Image/Length 12", true);
        check("/Subtype/Image", true);
        check(&format!("/Type/EmbeddedFile/Length1 3/Length {length}"), true);
        check(&format!("/Subtype/Image/Length {length}{}", " ".repeat(80)), true);
        check(&format!("/Subtype/Form/Resources<</ProcSet[/ImageC]>>/Length {length}"), false);
        check(&format!("/Subtype/ImageMap/Length {length}"), false);
        check(&format!("/Type/ObjStm/Subtype/Image/Length {length}"), false);
    }

    #[test]
    fn a_picture_without_its_end_or_far_from_its_dictionary_makes_no_hole_in_what_follows() {
        let data = vec![7; HOLE_MIN * 3];
        let whole = stream(&format!("/Subtype/Image/Length {}", data.len()), &data);
        let endless = [&whole[..whole.len() - b"\nendstream\nendobj\n".len()], b"\nendobj\n"].concat();
        let far = stream("/Subtype/Image", &data);
        let keyword = position(&far, STREAM).expect("the keyword");
        let far = [&far[..keyword], &[b' '; 80], &far[keyword..]].concat();
        for strange in [endless, far] {
            let file = [b"%PDF-1.7\n".as_slice(), &strange, &whole, b"trailer"].concat();
            let (source, bytes) = read(&file);
            assert_eq!(source.holes.len(), 1, "that of the picture behind it");
            assert!(bytes[..9 + strange.len()] == file[..9 + strange.len()]);
        }
        // None of many ends: the rest of the file is looked through once.
        let many = b"1 0 obj<</Subtype/Image>>stream\n".repeat(200_000);
        let (source, bytes) = read(&many);
        assert!(source.holes.is_empty() && bytes == many);
    }

    #[test]
    fn a_picture_that_is_cut_off_or_small_is_read_like_the_rest() {
        let whole = stream("/Subtype/Image", &vec![7; HOLE_MIN * 2]);
        for file in [&whole[..HOLE_MIN], &stream("/Subtype/Image", &[7; 100])] {
            let (source, bytes) = read(file);
            assert!(source.holes.is_empty() && bytes == file);
        }
    }
}
