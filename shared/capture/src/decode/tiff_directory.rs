//! The chain of image file directories in a TIFF or BigTIFF file.
//!
//! Each page is a directory, each directory names the next. This walk reads the few entries that decide how a
//! page is decoded, without decoding any. Hostile files let the chain run in circles or past the end: a circle
//! ends the walk, an end before its time is `truncated`.

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};

use platen_model::FailureClass;

use super::tiff_source::Patch;
use super::{Fault, within_page_limit};
use crate::options::Limits;

const IMAGE_WIDTH: u16 = 256;
const IMAGE_LENGTH: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
const ORIENTATION: u16 = 274;
const SAMPLES_PER_PIXEL: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTE_COUNTS: u16 = 279;
const X_RESOLUTION: u16 = 282;
const Y_RESOLUTION: u16 = 283;
const PLANAR: u16 = 284;
const T4_OPTIONS: u16 = 292;
const RESOLUTION_UNIT: u16 = 296;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;

/// The most entries of a directory. Real ones have some dozens.
const ENTRIES_MAX: u64 = 4_096;
/// The most strips or tiles of a page whose place is checked.
const CHUNKS_MAX: u64 = 1 << 20;

/// What a directory says of its page; TIFF 6.0 defaults where it is silent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Directory {
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) bits: u64,
    pub(super) samples: u64,
    pub(super) compression: u64,
    pub(super) photometric: u64,
    /// Whether the leftmost pixel of a byte is in its lowest bit.
    pub(super) low_bit_first: bool,
    pub(super) planar: bool,
    /// As in EXIF, 1 to 8.
    pub(super) orientation: u8,
    /// Dots an inch along both axes.
    pub(super) resolution: Option<(f64, f64)>,
    /// The byte behind the last one of the page's data.
    pub(super) data_end: u64,
    /// Where each strip begins and how many bytes it has; none for tiles.
    pub(super) strips: Vec<(u64, u64)>,
    pub(super) rows_per_strip: u64,
    /// Group 3 only: bit 0 says that rows refer to the one before them.
    pub(super) t4_options: u64,
}

/// The places of a file's directories, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    known: Vec<u64>,
    /// Whether the last known one is the last.
    ends: bool,
}

impl Chain {
    /// Reads all directories, in order. Answers their number.
    pub(super) fn walk(
        &mut self,
        file: impl Read + Seek,
        limits: &Limits,
        mut each: impl FnMut(u64, &Directory) -> Result<(), Fault>,
    ) -> Result<u32, Fault> {
        let mut walk = Walk::begin(file)?;
        *self = Self::default();
        let mut seen = HashSet::new();
        let mut next = walk.first;
        while next != 0 && seen.insert(next) {
            let (tags, after) = walk.tags(next, self.known.len())?;
            self.known.push(next);
            within_page_limit(self.known.len() as u64, limits)?;
            each(self.known.len() as u64, &walk.interpret(&tags)?)?;
            next = after;
        }
        self.ends = true;
        within_page_limit(self.known.len() as u64, limits)
    }

    /// The directory of one page (from 0), and how its file would name it as the first. The way to it is walked
    /// at most once.
    pub(super) fn directory(
        &mut self,
        file: impl Read + Seek,
        page: u32,
    ) -> Result<(Directory, Patch), Fault> {
        let mut walk = Walk::begin(file)?;
        if self.known.is_empty() && walk.first != 0 {
            self.known.push(walk.first);
        }
        while self.known.len() <= page as usize && !self.ends {
            let Some(&last) = self.known.last() else { break };
            match walk.step_over(last, self.known.len() - 1)? {
                0 => self.ends = true,
                next => self.known.push(next),
            }
        }
        let Some(&offset) = self.known.get(page as usize) else {
            let message = format!("page {} is not there; the file has {}", page + 1, self.known.len());
            return Err(Fault::corrupt(message));
        };
        let (tags, _) = walk.tags(offset, page as usize)?;
        Ok((walk.interpret(&tags)?, walk.as_first(offset)))
    }
}

struct Walk<R> {
    file: R,
    length: u64,
    little_endian: bool,
    big_tiff: bool,
    first: u64,
}

/// One entry: type, number of values, and the bytes that hold them or say where they are.
struct Entry {
    kind: u16,
    count: u64,
    place: [u8; 8],
}

impl<R: Read + Seek> Walk<R> {
    fn begin(mut file: R) -> Result<Self, Fault> {
        let length = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let mut head = [0u8; 4];
        file.read_exact(&mut head)?;
        let little_endian = head[0] == b'I';
        let big_tiff = head.contains(&43);
        let mut walk = Self { file, length, little_endian, big_tiff, first: 0 };
        if big_tiff {
            walk.number(4)?; // size of an offset, always 8, and a zero
        }
        walk.first = walk.number(walk.offset_bytes())?;
        Ok(walk)
    }

    /// The header's place of the first directory, naming this one.
    fn as_first(&self, offset: u64) -> Patch {
        let mut bytes = if self.little_endian { offset.to_le_bytes() } else { offset.to_be_bytes() };
        let length = self.offset_bytes();
        if !self.little_endian {
            bytes.rotate_left(8 - length);
        }
        Patch { at: if self.big_tiff { 8 } else { 4 }, length, bytes }
    }

    fn offset_bytes(&self) -> usize {
        if self.big_tiff { 8 } else { 4 }
    }

    fn number(&mut self, bytes: usize) -> io::Result<u64> {
        let mut buffer = [0u8; 8];
        self.file.read_exact(&mut buffer[..bytes])?;
        Ok(self.value(&buffer[..bytes]))
    }

    fn value(&self, bytes: &[u8]) -> u64 {
        let join = |number, byte: &u8| number << 8 | u64::from(*byte);
        if self.little_endian { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) }
    }

    /// Goes to the directory at `offset`, that of page `number` (from 0); answers how many entries follow.
    fn entries(&mut self, offset: u64, number: usize) -> Result<u64, Fault> {
        if offset == 0 || offset >= self.length {
            let message = format!("page {} lies behind the end of the file", number + 1);
            return Err(Fault::new(FailureClass::Truncated, message));
        }
        self.file.seek(SeekFrom::Start(offset))?;
        let entries = self.number(if self.big_tiff { 8 } else { 2 })?;
        if entries == 0 || entries > ENTRIES_MAX {
            return Err(Fault::corrupt(format!("a TIFF directory of {entries} entries")));
        }
        Ok(entries)
    }

    /// The offset of the directory after the one at `offset`.
    fn step_over(&mut self, offset: u64, number: usize) -> Result<u64, Fault> {
        let entries = self.entries(offset, number)?;
        let entry_bytes = if self.big_tiff { 20 } else { 12 };
        self.file.seek_relative((entries * entry_bytes).cast_signed())?;
        Ok(self.number(self.offset_bytes()).unwrap_or(0))
    }

    /// Reads the entries of the directory at `offset`; answers them and the offset of the next.
    fn tags(&mut self, offset: u64, number: usize) -> Result<(Vec<(u16, Entry)>, u64), Fault> {
        let entries = self.entries(offset, number)?;
        let mut tags = Vec::new();
        for _ in 0..entries {
            let tag = self.number(2)? as u16;
            let kind = self.number(2)? as u16;
            let count = self.number(self.offset_bytes())?;
            let mut place = [0u8; 8];
            let bytes = self.offset_bytes();
            self.file.read_exact(&mut place[..bytes])?;
            tags.push((tag, Entry { kind, count, place }));
        }
        // A directory at the very end may lack the offset of the next; that ends the chain.
        let next = self.number(self.offset_bytes()).unwrap_or(0);
        Ok((tags, next))
    }

    fn interpret(&mut self, tags: &[(u16, Entry)]) -> Result<Directory, Fault> {
        let entry = |wanted: u16| tags.iter().find(|(tag, _)| *tag == wanted).map(|(_, entry)| entry);
        let one = |walk: &mut Self, tag: u16, default: u64| match entry(tag) {
            Some(entry) => {
                walk.numbers(entry, 1).ok().and_then(|numbers| numbers.first().copied()).unwrap_or(default)
            }
            None => default,
        };
        let (Some(_), Some(_)) = (entry(IMAGE_WIDTH), entry(IMAGE_LENGTH)) else {
            return Err(Fault::corrupt("a TIFF page without width or height"));
        };
        let chunks = |walk: &mut Self, offsets: u16, counts: u16| -> Vec<(u64, u64)> {
            let numbers = |walk: &mut Self, tag| {
                entry(tag).and_then(|entry| walk.numbers(entry, CHUNKS_MAX).ok()).unwrap_or_default()
            };
            numbers(walk, offsets).into_iter().zip(numbers(walk, counts)).collect()
        };
        let strips = chunks(self, STRIP_OFFSETS, STRIP_BYTE_COUNTS);
        let tiles = chunks(self, TILE_OFFSETS, TILE_BYTE_COUNTS);
        let ends = strips.iter().chain(&tiles).map(|(offset, count)| offset.saturating_add(*count));
        let data_end = ends.max().unwrap_or(0);
        let resolution = match (entry(X_RESOLUTION), entry(Y_RESOLUTION)) {
            (Some(x), Some(y)) => self.ratio(x).zip(self.ratio(y)),
            _ => None,
        };
        let per_inch = match one(self, RESOLUTION_UNIT, 2) {
            2 => Some(1.0),
            3 => Some(2.54),
            _ => None,
        };
        Ok(Directory {
            width: one(self, IMAGE_WIDTH, 0),
            height: one(self, IMAGE_LENGTH, 0),
            bits: one(self, BITS_PER_SAMPLE, 1),
            samples: one(self, SAMPLES_PER_PIXEL, 1),
            compression: one(self, COMPRESSION, 1),
            photometric: one(self, PHOTOMETRIC, 0),
            low_bit_first: one(self, FILL_ORDER, 1) == 2,
            planar: one(self, PLANAR, 1) == 2,
            orientation: u8::try_from(one(self, ORIENTATION, 1)).unwrap_or(1),
            resolution: per_inch.zip(resolution).map(|(unit, (x, y))| (x * unit, y * unit)),
            data_end,
            strips,
            rows_per_strip: one(self, ROWS_PER_STRIP, u64::MAX),
            t4_options: one(self, T4_OPTIONS, 0),
        })
    }

    /// The first values of an entry, at most `most`.
    fn numbers(&mut self, entry: &Entry, most: u64) -> Result<Vec<u64>, Fault> {
        let size: usize = match entry.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => return Err(Fault::corrupt(format!("a TIFF entry of type {}", entry.kind))),
        };
        let count = entry.count.min(most) as usize;
        let bytes = self.bytes(entry, size, count)?;
        Ok(bytes.chunks_exact(size).map(|value| self.value(value)).collect())
    }

    /// A rational number: two 32-bit integers.
    fn ratio(&mut self, entry: &Entry) -> Option<f64> {
        let bytes = self.bytes(entry, 8, 1).ok()?;
        let (above, below) = (self.value(bytes.get(..4)?), self.value(bytes.get(4..8)?));
        (below != 0).then(|| above as f64 / below as f64)
    }

    fn bytes(&mut self, entry: &Entry, size: usize, count: usize) -> Result<Vec<u8>, Fault> {
        let wanted = size * count;
        let inline = self.offset_bytes();
        if (entry.count as usize).saturating_mul(size) <= inline {
            return Ok(entry.place[..wanted.min(inline)].to_vec());
        }
        let offset = self.value(&entry.place[..inline]);
        if offset.saturating_add(wanted as u64) > self.length {
            return Err(Fault::new(FailureClass::Truncated, "a TIFF entry lies behind the end of the file"));
        }
        self.file.seek(SeekFrom::Start(offset))?;
        let mut bytes = vec![0u8; wanted];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
