//! What the outbox asks of a database, and nothing more.
//!
//! [`sled::SledEngine`] keeps the contract on this machine. The simulator keeps it on a disk that loses power; one
//! suite of tests holds both to it (`agent/tests/simulator/contract.rs`):
//!
//! - what was written is seen at once, all of one [`Store::write`] or nothing of it;
//! - after a crash the database holds some prefix of the writes, never less than what was flushed;
//! - or it does not open, answers an error, or answers other bytes than were written. Records carry a checksum of
//!   their own against the last ([`super::entry`]), and all three mean the same: it is set aside.

pub mod sled;

use std::fmt::Debug;
use std::io;
use std::path::Path;

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The key has this value.
    Put(Vec<u8>, Vec<u8>),
    /// The key is gone.
    Remove(Vec<u8>),
}

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An open database of keys in order.
pub trait Store: Debug + Send {
    /// A key's value.
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>>;
    /// Makes all of these changes or none.
    fn write(&self, changes: Vec<Change>) -> io::Result<()>;
    /// Makes every change so far durable.
    fn flush(&self) -> io::Result<()>;
    /// The next pairs in the order of their keys, from the first on or after a key; at most `limit`.
    fn after(&self, key: Option<&[u8]>, limit: usize) -> io::Result<Vec<Pair>>;
    /// Space it takes, in bytes.
    fn bytes_on_disk(&self) -> io::Result<u64>;
}

/// What opens databases.
pub trait Engine: Debug + Send + Sync {
    /// Opens the database of a folder, making what is missing. The folder above it is there.
    fn open(&self, folder: &Path) -> io::Result<Box<dyn Store>>;
}
