//! Encrypted files: a disk over another disk.
//!
//! ```text
//! magic, 8 bytes; name of the key, 8 bytes; nonce, 19 bytes
//! chunks of 64 KiB, each with a tag of 16 bytes; the last one may be shorter, or empty
//! ```
//!
//! The STREAM construction over XChaCha20-Poly1305: a chunk's nonce is the file's, its number, and whether it is the
//! last. So a chunk that is changed, moved, missing or cut off the end is found when it is read, and a file of any
//! length is read and written, also from the middle, with one chunk in memory. A file without the magic is plain: it
//! was there before.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use aead_stream::{NewStream as _, StreamBE32, StreamPrimitive as _};
use chacha20poly1305::XChaCha20Poly1305;
use platen_model::disk::{Disk, Draft, Readers, Stored};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::key::{Key, NAME_BYTES};

/// How an encrypted file begins.
pub(super) const MAGIC: [u8; 8] = *b"\xf1PLATEN1";
/// Bytes of a file's nonce.
const NONCE_BYTES: usize = 19;
/// Bytes before the first chunk.
const HEADER_BYTES: u64 = (MAGIC.len() + NAME_BYTES + NONCE_BYTES) as u64;
/// Plain bytes of a chunk.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes of a chunk's tag.
const TAG_BYTES: u64 = 16;
/// Bytes of a whole chunk in the file.
const SEALED_CHUNK_BYTES: u64 = CHUNK_BYTES as u64 + TAG_BYTES;

type Stream = StreamBE32<XChaCha20Poly1305>;

/// A disk whose files are encrypted.
#[derive(Clone, Debug)]
pub struct SealedDisk {
    inner: Arc<dyn Disk>,
    key: Arc<Key>,
}

impl SealedDisk {
    /// One over another disk.
    pub fn over(inner: Arc<dyn Disk>, key: Arc<Key>) -> Self {
        Self { inner, key }
    }
}

/// Whether a file system of this type keeps its bytes in memory: tmpfs or ramfs.
pub(super) fn is_memory(kind: rustix::fs::FsWord) -> bool {
    const TMPFS: rustix::fs::FsWord = 0x0102_1994;
    const RAMFS: rustix::fs::FsWord = 0x8584_58f6_u32 as rustix::fs::FsWord;
    [TMPFS, RAMFS].contains(&kind)
}

fn stream(key: &Key, nonce: &[u8; NONCE_BYTES]) -> Stream {
    Stream::new(&key.files.into(), &(*nonce).into())
}

fn damaged(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("an encrypted file {what}"))
}

/// The plain bytes in so many encrypted ones; `None` where no file has that length.
fn plain_length(sealed: u64) -> Option<u64> {
    let chunks = sealed.checked_sub(HEADER_BYTES)?;
    let (whole, rest) = (chunks / SEALED_CHUNK_BYTES, chunks % SEALED_CHUNK_BYTES);
    let whole_bytes = whole * CHUNK_BYTES as u64;
    match rest {
        // The last chunk is a whole one.
        0 if whole > 0 => Some(whole_bytes),
        rest => rest.checked_sub(TAG_BYTES).map(|last| whole_bytes + last),
    }
}

/// An encrypted file opened for reading.
struct SealedFile {
    inner: Box<dyn Stored>,
    stream: Stream,
    length: u64,
    position: u64,
    /// The number of the chunk that is held, and its plain bytes.
    held: Option<(u64, Vec<u8>)>,
}

impl SealedFile {
    fn last_chunk(&self) -> u64 {
        self.length.saturating_sub(1) / CHUNK_BYTES as u64
    }

    fn hold(&mut self, chunk: u64) -> io::Result<&[u8]> {
        if self.held.as_ref().is_none_or(|(held, _)| *held != chunk) {
            self.held = None;
            self.inner.seek(SeekFrom::Start(HEADER_BYTES + chunk * SEALED_CHUNK_BYTES))?;
            let mut bytes = Vec::with_capacity(SEALED_CHUNK_BYTES as usize);
            (&mut self.inner).take(SEALED_CHUNK_BYTES).read_to_end(&mut bytes)?;
            let number = u32::try_from(chunk).map_err(|_| damaged("is longer than any"))?;
            let is_last = chunk == self.last_chunk();
            let opened = self.stream.decrypt_in_place(number, is_last, b"", &mut bytes);
            opened.map_err(|_| damaged("is damaged: a part of it does not decrypt"))?;
            self.held = Some((chunk, bytes));
        }
        Ok(self.held.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

impl Read for SealedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        // Of an empty file there is one empty chunk, which tells that it was not cut off.
        let chunk = (self.position / CHUNK_BYTES as u64).min(self.last_chunk());
        let (position, length) = (self.position, self.length);
        let held = self.hold(chunk)?;
        if position >= length {
            return Ok(0);
        }
        let from = (position - chunk * CHUNK_BYTES as u64) as usize;
        let rest = held.get(from..).ok_or_else(|| damaged("is shorter than its length says"))?;
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for SealedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// An encrypted file being written. Its last chunk is written by `sync`: before that nobody can read it.
struct SealedDraft {
    inner: Box<dyn Draft>,
    stream: Stream,
    /// The number of the next chunk.
    next: u32,
    /// Plain bytes of the next chunk, which may be the last.
    buffer: Vec<u8>,
    is_ended: bool,
}

impl SealedDraft {
    fn put_chunk(&mut self, is_last: bool) -> io::Result<()> {
        let mut bytes = std::mem::replace(&mut self.buffer, Vec::with_capacity(SEALED_CHUNK_BYTES as usize));
        let sealed = self.stream.encrypt_in_place(self.next, is_last, b"", &mut bytes);
        sealed.map_err(|_| io::Error::other("a chunk cannot be encrypted"))?;
        self.inner.write_all(&bytes)?;
        self.next = self.next.checked_add(1).ok_or_else(|| io::Error::other("the file is too long"))?;
        Ok(())
    }
}

impl Write for SealedDraft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_ended {
            return Err(io::Error::other("the file was ended by its sync"));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.buffer.len() == CHUNK_BYTES {
                self.put_chunk(false)?;
            }
            let (now, later) = rest.split_at(rest.len().min(CHUNK_BYTES - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            rest = later;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Draft for SealedDraft {
    fn length(&self) -> io::Result<u64> {
        let found = self.inner.length()?;
        if self.is_ended {
            return plain_length(found).ok_or_else(|| damaged("has a length that none has"));
        }
        let chunks = found.saturating_sub(HEADER_BYTES) / SEALED_CHUNK_BYTES;
        Ok(chunks * CHUNK_BYTES as u64 + self.buffer.len() as u64)
    }

    fn sync(&mut self) -> io::Result<()> {
        if !self.is_ended {
            let expected = self.length()?;
            self.put_chunk(true)?;
            self.inner.flush()?;
            self.is_ended = true;
            let found = self.length()?;
            if found != expected {
                return Err(damaged(format!("should hold {expected} bytes, but holds {found}")));
            }
        }
        self.inner.sync()
    }
}

impl Disk for SealedDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Stored>> {
        let mut inner = self.inner.open(path)?;
        let mut header = Vec::with_capacity(HEADER_BYTES as usize);
        (&mut inner).take(HEADER_BYTES).read_to_end(&mut header)?;
        let Some(rest) = header.strip_prefix(&MAGIC) else {
            inner.rewind()?;
            return Ok(inner);
        };
        let named = |what: &str| damaged(format!("{what}: {}", path.display()));
        let (name, nonce) = rest.split_at_checked(NAME_BYTES).ok_or_else(|| named("is cut off"))?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| named("is cut off"))?;
        if name != self.key.id {
            return Err(named("was encrypted with another key, or is damaged"));
        }
        let sealed = inner.seek(SeekFrom::End(0))?;
        let length = plain_length(sealed).ok_or_else(|| named("is cut off"))?;
        let stream = stream(&self.key, &nonce);
        Ok(Box::new(SealedFile { inner, stream, length, position: 0, held: None }))
    }

    fn create(&self, path: &Path, readers: Readers) -> io::Result<Box<dyn Draft>> {
        let mut nonce = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut nonce).map_err(|_| io::Error::other("no randomness"))?;
        let mut inner = self.inner.create(path, readers)?;
        inner.write_all(&MAGIC)?;
        inner.write_all(&self.key.id)?;
        inner.write_all(&nonce)?;
        let stream = stream(&self.key, &nonce);
        Ok(Box::new(SealedDraft { inner, stream, next: 0, buffer: Vec::new(), is_ended: false }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.inner.list(folder)
    }

    fn each_name(&self, folder: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        self.inner.each_name(folder, each)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.inner.is_folder(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.inner.create_folder(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_file(path)
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.inner.remove_tree(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.inner.sync_folder(folder)
    }
}
