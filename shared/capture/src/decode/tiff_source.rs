//! A file as something to read from, without a position that others could move.
//!
//! A descriptor that was passed between processes shares its position with the sender; reading at a place of our
//! own choice cannot be disturbed. For TIFF decoders it can also show any page as the file's first: they would
//! otherwise walk the chain of directories from the beginning for each page.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt as _;

use super::Fault;

/// Bytes of a header that are shown in place of those in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patch {
    /// Where they begin.
    pub(super) at: usize,
    /// How many of `bytes` count.
    pub(super) length: usize,
    pub(super) bytes: [u8; 8],
}

impl Patch {
    /// Changes a piece of the file that begins at `offset`.
    pub(super) fn apply(&self, offset: u64, piece: &mut [u8]) {
        for (index, byte) in self.bytes[..self.length].iter().enumerate() {
            let place =
                ((self.at + index) as u64).checked_sub(offset).and_then(|at| usize::try_from(at).ok());
            if let Some(target) = place.and_then(|place| piece.get_mut(place)) {
                *target = *byte;
            }
        }
    }
}

/// A reader with its own position.
#[derive(Debug)]
pub(super) struct At<'f> {
    file: &'f File,
    length: u64,
    position: u64,
    patch: Option<Patch>,
}

impl<'f> At<'f> {
    /// Reads the file from its first byte.
    pub(super) fn beginning(file: &'f File) -> Result<Self, Fault> {
        Ok(Self { file, length: file.metadata()?.len(), position: 0, patch: None })
    }

    /// Reads it with other bytes in its header.
    pub(super) fn patched(file: &'f File, patch: Patch) -> Result<Self, Fault> {
        Ok(Self { patch: Some(patch), ..Self::beginning(file)? })
    }
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position)?;
        if let Some(patch) = &self.patch {
            patch.apply(self.position, &mut buffer[..count]);
        }
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
