//! A file as something to read from, without a position that others could move.
//!
//! A descriptor that was passed between processes shares its position with the sender; reading at a place of our
//! own choice cannot be disturbed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;

use super::Fault;

/// Bytes of a header that show another page as the file's first: a decoder would otherwise walk the chain of directories
/// from the beginning for each page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    /// Where they begin.
    pub(super) at: usize,
    /// How many of `bytes` count.
    pub(super) length: usize,
    pub(super) bytes: [u8; 8],
}

impl Patch {
    /// Changes the header of a file.
    pub(super) fn apply(&self, file: &mut [u8]) {
        if let Some(target) = file.get_mut(self.at..self.at + self.length) {
            target.copy_from_slice(&self.bytes[..self.length]);
        }
    }
}

/// A reader with its own position.
#[derive(Debug)]
pub(super) struct At<'f> {
    file: &'f File,
    length: u64,
    position: u64,
}

impl<'f> At<'f> {
    /// Reads the file from its first byte.
    pub(super) fn beginning(file: &'f File) -> Result<Self, Fault> {
        Ok(Self { file, length: file.metadata()?.len(), position: 0 })
    }
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for At<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
