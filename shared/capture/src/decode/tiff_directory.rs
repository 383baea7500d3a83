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

const NEW_SUBFILE_TYPE: u16 = 254;
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
const PREDICTOR: u16 = 317;
const COLOR_MAP: u16 = 320;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;
const JPEG_TABLES: u16 = 347;

/// Of [`NEW_SUBFILE_TYPE`]: a copy of another image, in a lower resolution.
const REDUCED: u64 = 1;
/// Of [`NEW_SUBFILE_TYPE`]: it says what of another image is to be seen.
const MASK: u64 = 4;
/// Of [`PHOTOMETRIC`]: the same. The format demands both.
const TRANSPARENCY_MASK: u64 = 4;
/// The entries of the largest palette that is read: three colours of 8 bits.
const PALETTE_MAX: u64 = 3 << 8;
/// The most bytes of tables that JPEG strips share.
const TABLES_MAX: u64 = 1 << 16;

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
    /// Width and height of a tile, and where each stands; none for strips.
    pub(super) tile: Option<(u64, u64)>,
    pub(super) tiles: Vec<(u64, u64)>,
    /// What samples of several bytes begin with.
    pub(super) little_endian: bool,
    pub(super) predictor: u64,
    /// What the first sample means that is no colour; `None` where nothing is said.
    pub(super) extra_sample: Option<u64>,
    pub(super) sample_format: u64,
    /// Reds, greens and blues of a palette.
    pub(super) colour_map: Vec<u64>,
    /// What all JPEG strips share.
    pub(super) jpeg_tables: Vec<u8>,
    /// Group 3 only: bit 0 says that rows refer to the one before them.
    pub(super) t4_options: u64,
}

/// The places of the directories that are pages.
#[derive(Clone, Debug, Default)]
pub(super) struct Chain {
    pages: Vec<u64>,
    /// How many others there are: small copies of pages.
    thumbnails: u32,
    is_read: bool,
}

/// A directory that was met.
struct Met {
    offset: u64,
    size: (u64, u64),
    is_reduced: bool,
    is_mask: bool,
}

impl Met {
    /// Whether it is a small copy of a page that is there too. One that merely says so is a page.
    fn is_thumbnail(&self, all: &[Self]) -> bool {
        let (width, height) = self.size;
        self.is_reduced
            && all.iter().any(|other| !other.is_reduced && other.size.0 > width && other.size.1 > height)
    }
}

impl Chain {
    /// Reads all directories, and gives those of pages, in order. Answers how many pages there are.
    pub(super) fn walk(
        &mut self,
        file: impl Read + Seek,
        limits: &Limits,
        mut each: impl FnMut(u64, &Directory) -> Result<(), Fault>,
    ) -> Result<u32, Fault> {
        let mut walk = Walk::begin(file)?;
        self.read(&mut walk, limits)?;
        for (number, &offset) in (1..).zip(&self.pages) {
            each(number, &walk.directory(offset, self.pages.len())?)?;
        }
        within_page_limit(self.pages.len() as u64, limits)
    }

    /// How many small copies of pages were met; known after [`walk`](Self::walk).
    pub(super) fn thumbnails(&self) -> u32 {
        self.thumbnails
    }

    /// The directory of one page (from 0), and how its file would name it as the first. The way to it is walked
    /// at most once.
    pub(super) fn directory(
        &mut self,
        file: impl Read + Seek,
        page: u32,
        limits: &Limits,
    ) -> Result<(Directory, Patch), Fault> {
        let mut walk = Walk::begin(file)?;
        self.read(&mut walk, limits)?;
        let Some(&offset) = self.pages.get(page as usize) else {
            let message = format!("page {} is not there; the file has {}", page + 1, self.pages.len());
            return Err(Fault::corrupt(message));
        };
        Ok((walk.directory(offset, page as usize)?, walk.as_first(offset)))
    }

    /// Walks the chain, unless it is known.
    fn read(&mut self, walk: &mut Walk<impl Read + Seek>, limits: &Limits) -> Result<(), Fault> {
        if self.is_read {
            return Ok(());
        }
        let mut met: Vec<Met> = Vec::new();
        let mut seen = HashSet::new();
        let mut next = walk.first;
        while next != 0 && seen.insert(next) {
            let (tags, after) = walk.tags(next, met.len())?;
            let number = |walk: &mut Walk<_>, wanted: u16| {
                let entry = tags.iter().find(|(tag, _)| *tag == wanted);
                entry.and_then(|(_, entry)| walk.numbers(entry, 1).ok()?.first().copied()).unwrap_or(0)
            };
            let size = (number(walk, IMAGE_WIDTH), number(walk, IMAGE_LENGTH));
            let kind = number(walk, NEW_SUBFILE_TYPE);
            let is_mask = kind & MASK != 0 && number(walk, PHOTOMETRIC) == TRANSPARENCY_MASK;
            met.push(Met { offset: next, size, is_reduced: kind & REDUCED != 0, is_mask });
            // A page may have a small copy, and both a mask.
            within_page_limit((met.len() as u64).div_ceil(4), limits)?;
            next = after;
        }
        if met.iter().any(|one| !one.is_mask) {
            met.retain(|one| !one.is_mask);
        }
        let (thumbnails, pages): (Vec<&Met>, Vec<&Met>) = met.iter().partition(|one| one.is_thumbnail(&met));
        self.pages = pages.into_iter().map(|page| page.offset).collect();
        self.thumbnails = u32::try_from(thumbnails.len()).unwrap_or(u32::MAX);
        self.is_read = true;
        Ok(())
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

    /// What the directory at `offset`, that of page `number` (from 0), says.
    fn directory(&mut self, offset: u64, number: usize) -> Result<Directory, Fault> {
        let (tags, next) = self.tags(offset, number)?;
        self.interpret(&tags, [offset, next])
    }

    /// Reads what entries say. `directories` are the places of this directory and of the next.
    fn interpret(&mut self, tags: &[(u16, Entry)], directories: [u64; 2]) -> Result<Directory, Fault> {
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
        let several = |walk: &mut Self, tag: u16, most: u64| {
            entry(tag).and_then(|entry| walk.numbers(entry, most).ok()).unwrap_or_default()
        };
        let chunks = |walk: &mut Self, offsets: u16, counts: u16| -> Vec<(u64, u64)> {
            let offsets = several(walk, offsets, CHUNKS_MAX);
            let counts = several(walk, counts, CHUNKS_MAX);
            match (offsets.as_slice(), counts.as_slice()) {
                // Old programs do not say how long a page's only strip is.
                (&[begin], [] | [0]) => vec![(begin, walk.room_behind(begin, directories))],
                _ => offsets.into_iter().zip(counts).collect(),
            }
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
            tile: entry(TILE_WIDTH).map(|_| (one(self, TILE_WIDTH, 0), one(self, TILE_LENGTH, 0))),
            tiles,
            little_endian: self.little_endian,
            predictor: one(self, PREDICTOR, 1),
            extra_sample: entry(EXTRA_SAMPLES).map(|_| one(self, EXTRA_SAMPLES, 0)),
            sample_format: one(self, SAMPLE_FORMAT, 1),
            colour_map: several(self, COLOR_MAP, PALETTE_MAX),
            jpeg_tables: several(self, JPEG_TABLES, TABLES_MAX).into_iter().map(|byte| byte as u8).collect(),
        })
    }

    /// How many bytes there are from a place to one of these directories, or else to the end of the file.
    fn room_behind(&self, begin: u64, directories: [u64; 2]) -> u64 {
        let behind = directories.into_iter().filter(|at| (begin.saturating_add(1)..self.length).contains(at));
        behind.min().unwrap_or(self.length).saturating_sub(begin)
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
