//! Encrypted records: values of the outbox's database, and lines of the ledger.
//!
//! ```text
//! tag, 1 byte; nonce, 24 bytes; XChaCha20-Poly1305 of the value, bound to its key
//! ```
//!
//! A value without the tag is plain: it was there before. Keys of the database are ids of documents, and stay plain:
//! the names of the spool's folders say the same.

use std::io;
use std::path::Path;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::key::Key;
use crate::outbox::store::{Change, Engine, Pair, Store};

/// The first byte of an encrypted value. The outbox's own begin with their version, the ledger's with a brace.
const TAG: u8 = 0xe1;
/// Bytes of a nonce.
const NONCE_BYTES: usize = 24;

impl Key {
    /// A value, encrypted and bound to the name it is kept under.
    pub(crate) fn seal(&self, name: &[u8], value: &[u8]) -> io::Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        SystemRandom::new().fill(&mut nonce).map_err(|_| io::Error::other("no randomness"))?;
        let payload = Payload { msg: value, aad: name };
        let sealed = XChaCha20Poly1305::new(&self.records.into()).encrypt(&nonce.into(), payload);
        let sealed = sealed.map_err(|_| io::Error::other("a record cannot be encrypted"))?;
        let mut all = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        all.push(TAG);
        all.extend_from_slice(&nonce);
        all.extend_from_slice(&sealed);
        Ok(all)
    }

    /// The value again; a plain one as it is.
    pub(crate) fn unseal(&self, name: &[u8], value: Vec<u8>) -> io::Result<Vec<u8>> {
        let Some(sealed) = value.strip_prefix(&[TAG]) else { return Ok(value) };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "an encrypted record does not decrypt");
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(damaged)?;
        let payload = Payload { msg: sealed, aad: name };
        let opened = XChaCha20Poly1305::new(&self.records.into()).decrypt(&(*nonce).into(), payload);
        opened.map_err(|_| damaged())
    }
}

/// Opens databases whose values are encrypted.
#[derive(Debug)]
pub struct SealedEngine {
    inner: Arc<dyn Engine>,
    key: Arc<Key>,
}

impl SealedEngine {
    /// One over another engine.
    pub fn over(inner: Arc<dyn Engine>, key: Arc<Key>) -> Self {
        Self { inner, key }
    }
}

impl Engine for SealedEngine {
    fn open(&self, folder: &Path) -> io::Result<Box<dyn Store>> {
        let inner = self.inner.open(folder)?;
        Ok(Box::new(SealedStore { inner, key: Arc::clone(&self.key) }))
    }
}

#[derive(Debug)]
struct SealedStore {
    inner: Box<dyn Store>,
    key: Arc<Key>,
}

impl Store for SealedStore {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.inner.get(key)?.map(|value| self.key.unseal(key, value)).transpose()
    }

    fn write(&self, changes: Vec<Change>) -> io::Result<()> {
        let seal = |change| match change {
            Change::Put(key, value) => {
                let value = self.key.seal(&key, &value)?;
                Ok(Change::Put(key, value))
            }
            remove @ Change::Remove(_) => Ok(remove),
        };
        self.inner.write(changes.into_iter().map(seal).collect::<io::Result<_>>()?)
    }

    fn flush(&self) -> io::Result<()> {
        self.inner.flush()
    }

    fn after(&self, key: Option<&[u8]>, limit: usize) -> io::Result<Vec<Pair>> {
        let pairs = self.inner.after(key, limit)?.into_iter();
        pairs.map(|(key, value)| self.key.unseal(&key, value).map(|value| (key, value))).collect()
    }

    fn bytes_on_disk(&self) -> io::Result<u64> {
        self.inner.bytes_on_disk()
    }
}
