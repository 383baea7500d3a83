//! Deflate data, and how they end (RFC 1950, 1951).
//!
//! flate2's own readers are silent where the data are over before their stream is, and lose the last bytes of one whose
//! check sum is wrong. This one hands out all that was unpacked, and then says how it ended. An end that comes early is
//! damage only to who needs more: some programs leave out the check sum, or the code of the end.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};

/// How much is unpacked at once where only the end matters.
const PORTION_BYTES: usize = 64 << 10;
/// How much may be unpacked behind what is needed, to reach the check sum.
pub(super) const BEHIND_BYTES: u64 = 64 << 20;

/// How the data ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the code of the end, and the check sum where there has to be one.
    Soundly,
    /// Before that.
    Early,
    /// With what breaks the rules, or a check sum that is not that of the data.
    Broken,
}

/// Unpacks what it reads. Behind the last byte it answers an end of file where the data ended soundly, and `UnexpectedEof`
/// or `InvalidData` where they did not.
pub(super) struct Inflated<R> {
    source: R,
    decoder: Decompress,
    end: Option<End>,
}

impl<R: BufRead> Inflated<R> {
    /// Data with a header of zlib's and a check sum.
    pub(super) fn zlib(source: R) -> Self {
        Self { source, decoder: Decompress::new(true), end: None }
    }

    /// Data without either.
    fn bare(source: R) -> Self {
        Self { source, decoder: Decompress::new(false), end: None }
    }
}

impl<R: BufRead> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.end {
                _ if buffer.is_empty() => return Ok(0),
                None => {}
                Some(End::Soundly) => return Ok(0),
                Some(End::Early) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(End::Broken) => return Err(io::ErrorKind::InvalidData.into()),
            }
            let input = self.source.fill_buf()?;
            let is_over = input.is_empty();
            let flush = if is_over { FlushDecompress::Finish } else { FlushDecompress::None };
            let before = (self.decoder.total_in(), self.decoder.total_out());
            let status = self.decoder.decompress(input, buffer, flush);
            self.source.consume((self.decoder.total_in() - before.0) as usize);
            let count = (self.decoder.total_out() - before.1) as usize;
            self.end = match status {
                Ok(Status::StreamEnd) => Some(End::Soundly),
                Ok(_) if is_over && count == 0 => Some(End::Early),
                Ok(_) => None,
                Err(_) => Some(End::Broken),
            };
            if count > 0 {
                return Ok(count);
            }
        }
    }
}

/// How the data of a PDF's stream end, and how many bytes they have until there; no more than `most` are unpacked.
pub(super) fn end_of(data: &[u8], most: u64) -> (End, u64) {
    // Some programs leave the header out too.
    let has_header =
        matches!(data, [kind, flags, ..] if kind & 15 == 8 && u16::from_be_bytes([*kind, *flags]) % 31 == 0);
    let mut inflated = if has_header { Inflated::zlib(data) } else { Inflated::bare(data) };
    let mut portion = vec![0; PORTION_BYTES];
    let mut count = 0u64;
    while count < most {
        match inflated.read(&mut portion) {
            Ok(0) => return (End::Soundly, count),
            Ok(more) => count += more as u64,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return (End::Early, count),
            Err(_) => return (End::Broken, count),
        }
    }
    (End::Soundly, count)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, ZlibEncoder};

    use super::*;

    const COUNT: u64 = 200_000;

    fn plain() -> Vec<u8> {
        (0..COUNT as u32).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 29) as u8).collect()
    }

    fn zlib() -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&plain()).and_then(|()| encoder.finish()).expect("memory takes all")
    }

    #[track_caller]
    fn check(what: &str, data: &[u8], end: End, is_all: bool) {
        let (found, count) = end_of(data, u64::MAX);
        assert_eq!((found, count == COUNT), (end, is_all), "{what}: {count} bytes");
    }

    #[test]
    fn how_data_end_is_said_when_all_that_is_there_was_handed_out() {
        let whole = zlib();
        let length = whole.len();
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        let bare = encoder.write_all(&plain()).and_then(|()| encoder.finish()).expect("memory takes all");
        check("whole", &whole, End::Soundly, true);
        check("whole, without header and sum", &bare, End::Soundly, true);
        check("more behind it", &[&whole[..], b"\r\n"].concat(), End::Soundly, true);
        for missing in 1..=4 {
            check("without a part of its sum", &whole[..length - missing], End::Early, true);
        }
        for at in [length / 4, length / 2, length - 40] {
            check("cut", &whole[..at], End::Early, false);
        }
        check("nothing", &[], End::Early, false);
        let mut false_sum = whole.clone();
        false_sum[length - 1] ^= 1;
        check("a sum of other data", &false_sum, End::Broken, true);
        let mut overwritten = whole;
        overwritten[length / 2..length / 2 + 40].fill(0xff);
        let (end, _) = end_of(&overwritten, u64::MAX);
        assert_eq!(end, End::Broken);
    }

    #[test]
    fn no_more_is_unpacked_than_is_asked_for() {
        let (_, count) = end_of(&zlib(), 70_000);
        assert!((70_000..70_000 + PORTION_BYTES as u64).contains(&count), "{count}");
    }

    #[test]
    fn a_row_that_is_there_is_read_although_the_sum_behind_it_is_wrong() {
        let mut data = zlib();
        *data.last_mut().expect("a sum") ^= 1;
        let mut inflated = Inflated::zlib(&data[..]);
        let mut rows = vec![0; COUNT as usize];
        inflated.read_exact(&mut rows).expect("all rows");
        assert!(rows == plain());
        let error = inflated.read(&mut [0; 9]).expect_err("the sum is wrong");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
