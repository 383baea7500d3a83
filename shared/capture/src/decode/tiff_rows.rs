//! The rows of a strip or tile of a TIFF page, unpacked one at a time.
//!
//! Whatever the coding, no more than a row is held, beside what the decoder needs to go on: a strip may be the whole
//! page.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Take};

use platen_model::FailureClass;
use weezl::{BitOrder, LzwStatus};

use super::Fault;
use super::inflate::{self, Inflated};
use super::tiff_directory::Directory;
use super::tiff_source::At;

pub(super) const NONE: u64 = 1;
pub(super) const LZW: u64 = 5;
pub(super) const DEFLATE: u64 = 8;
pub(super) const PACK_BITS: u64 = 32_773;
pub(super) const OLD_DEFLATE: u64 = 32_946;

/// Of [`Directory::predictor`]: samples are differences to those of the pixel before.
pub(super) const DIFFERENCES: u64 = 2;

/// The bytes of a strip or tile as they stand in the file.
type Bytes<'f> = BufReader<Ordered<Take<At<'f>>>>;

/// The rows.
pub(super) struct Rows<'f> {
    unpacked: Box<dyn Read + 'f>,
    row: Vec<u8>,
    /// How samples are had back, where rows hold differences.
    differences: Option<Differences>,
    /// Whether the coding ends with a check sum.
    has_check_sum: bool,
}

#[derive(Clone, Copy)]
struct Differences {
    /// Samples of a pixel.
    samples: usize,
    /// Whether a sample has two bytes.
    is_wide: bool,
    little_endian: bool,
}

impl<'f> Rows<'f> {
    /// The rows of `row_bytes` bytes of the strip or tile that stands at a place of the file and is so many bytes
    /// long. `samples` is how many of them a pixel has there.
    pub(super) fn of(
        file: &'f File,
        page: &Directory,
        (offset, count): (u64, u64),
        row_bytes: usize,
        samples: usize,
    ) -> Result<Self, Fault> {
        let mut source = At::beginning(file)?;
        source.seek(SeekFrom::Start(offset))?;
        let source = Ordered { source: source.take(count), reversed: page.low_bit_first };
        let bytes: Bytes<'f> = BufReader::new(source);
        let unpacked: Box<dyn Read + 'f> = match page.compression {
            LZW => Box::new(Lzw {
                source: bytes,
                decoder: weezl::decode::Decoder::with_tiff_size_switch(BitOrder::Msb, 8),
            }),
            DEFLATE | OLD_DEFLATE => Box::new(Inflated::zlib(bytes)),
            PACK_BITS => Box::new(PackBits { source: bytes, run: Run::Copied(0) }),
            _ => Box::new(bytes),
        };
        let differs =
            page.predictor == DIFFERENCES && matches!(page.compression, LZW | DEFLATE | OLD_DEFLATE);
        let differences = differs.then_some(Differences {
            samples,
            is_wide: page.bits == 16,
            little_endian: page.little_endian,
        });
        let has_check_sum = matches!(page.compression, DEFLATE | OLD_DEFLATE);
        Ok(Self { unpacked, row: vec![0; row_bytes], differences, has_check_sum })
    }

    /// The next row.
    pub(super) fn next(&mut self) -> Result<&[u8], Fault> {
        self.unpacked.read_exact(&mut self.row).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Fault::new(FailureClass::Truncated, "the page's data end before its last row")
            }
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Fault::corrupt("the page's data break the rules of their coding")
            }
            _ => Fault::from(error),
        })?;
        if let Some(differences) = self.differences {
            differences.undo(&mut self.row);
        }
        Ok(&self.row)
    }
}

impl Rows<'_> {
    /// Reads what is behind the last row that is needed, where a check sum may be; `false` where it is not that of the data.
    pub(super) fn ends_soundly(mut self) -> bool {
        if !self.has_check_sum {
            return true;
        }
        match io::copy(&mut self.unpacked.by_ref().take(inflate::BEHIND_BYTES), &mut io::sink()) {
            Ok(_) => true,
            // Some programs leave the check sum out.
            Err(error) => error.kind() == io::ErrorKind::UnexpectedEof,
        }
    }
}

impl Differences {
    fn undo(self, row: &mut [u8]) {
        if !self.is_wide {
            for at in self.samples..row.len() {
                row[at] = row[at].wrapping_add(row[at - self.samples]);
            }
            return;
        }
        let (words, _) = row.as_chunks_mut::<2>();
        let value = |word: [u8; 2]| match self.little_endian {
            true => u16::from_le_bytes(word),
            false => u16::from_be_bytes(word),
        };
        for at in self.samples..words.len() {
            let sum = value(words[at]).wrapping_add(value(words[at - self.samples]));
            words[at] = if self.little_endian { sum.to_le_bytes() } else { sum.to_be_bytes() };
        }
    }
}

/// Bytes with their highest bit first, however the file has them.
struct Ordered<R> {
    source: R,
    reversed: bool,
}

impl<R: Read> Read for Ordered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if self.reversed {
            buffer[..count].iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        Ok(count)
    }
}

struct Lzw<'f> {
    source: Bytes<'f>,
    decoder: weezl::decode::Decoder,
}

impl Read for Lzw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let input = self.source.fill_buf()?;
            let has_ended = input.is_empty();
            let result = self.decoder.decode_bytes(input, buffer);
            self.source.consume(result.consumed_in);
            if result.consumed_out > 0 || buffer.is_empty() {
                return Ok(result.consumed_out);
            }
            match result.status {
                Ok(LzwStatus::Done) => return Ok(0),
                Ok(_) if has_ended => return Ok(0),
                Ok(_) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
    }
}

/// Macintosh PackBits (TIFF 6.0, section 9).
struct PackBits<'f> {
    source: Bytes<'f>,
    run: Run,
}

/// What is left of a run.
enum Run {
    /// So many bytes as they are.
    Copied(usize),
    /// One byte so many times.
    Repeated(u8, usize),
}

impl PackBits<'_> {
    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.source.fill_buf()?.first().copied();
        self.source.consume(usize::from(byte.is_some()));
        Ok(byte)
    }
}

impl Read for PackBits<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.run {
                Run::Copied(left) if *left > 0 => {
                    let count = (*left).min(buffer.len());
                    let read = self.source.read(&mut buffer[..count])?;
                    *left -= read;
                    return Ok(read);
                }
                Run::Repeated(byte, left) if *left > 0 => {
                    let count = (*left).min(buffer.len());
                    buffer[..count].fill(*byte);
                    *left -= count;
                    return Ok(count);
                }
                _ => {}
            }
            let Some(head) = self.byte()? else { return Ok(0) };
            self.run = match head.cast_signed() {
                // Says nothing.
                -128 => Run::Copied(0),
                length @ 0.. => Run::Copied(usize::from(length.unsigned_abs()) + 1),
                length => match self.byte()? {
                    Some(byte) => Run::Repeated(byte, usize::from(length.unsigned_abs()) + 1),
                    None => return Ok(0),
                },
            };
        }
    }
}
