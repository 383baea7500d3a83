//! Encryption at rest: without the key, what lies in the state folder tells nothing of what was scanned.
//!
//! ```text
//! file.rs      every file of the spool, as a stream of authenticated chunks: a disk over another disk
//! records.rs   every value of the outbox's database, and the lines of the ledger
//! key.rs       the key: from systemd's credentials or a file, told apart by a short name of its own
//! marker.rs    encryption.json: with which key it was begun, when, and how far it is
//! ```
//!
//! Digests everywhere are those of the plain bytes, so nothing else in the agent knows of this. What was there before
//! encryption was set up stays readable and goes its way; what is written from then on is encrypted. Names of
//! folders and files in the spool are ids and numbers, and are not hidden; neither are lengths, times and the number of
//! documents.
//!
//! Workers get plain bytes through open descriptors, as ever. They come from the work folder, which then has to lie in
//! memory (tmpfs): page images and copies of originals never touch the disk.
//!
//! The danger is working on with no key or another one: everything would look damaged, and be set aside or rebuilt
//! over. So the marker is read before anything else, and a key that is missing or not the one refuses the start.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use platen_model::Digest;
use platen_model::disk::{Disk, Machine};

use crate::Complaint;
use crate::config::Config;
use crate::outbox::store::Engine;
use crate::outbox::store::sled::SledEngine;

pub mod file;
mod key;
mod marker;
pub mod records;

pub use file::SealedDisk;
pub use key::Key;
pub use records::SealedEngine;

/// The state folder, and what opens it.
#[derive(Clone, Debug)]
pub struct Vault {
    state: PathBuf,
    sealed: Option<Sealed>,
}

#[derive(Clone, Debug)]
struct Sealed {
    key: Arc<Key>,
    /// Where plain bytes may be for a while.
    work: PathBuf,
}

impl Vault {
    /// A state folder without encryption.
    pub fn plain(state: &Path) -> Self {
        Self { state: state.to_owned(), sealed: None }
    }

    /// One that is encrypted with this key; plain bytes are in `work` for a while.
    pub fn sealed(state: &Path, key: Key, work: &Path) -> Self {
        let sealed = Sealed { key: Arc::new(key), work: work.to_owned() };
        Self { state: state.to_owned(), sealed: Some(sealed) }
    }

    /// The state folder of this configuration. Nothing in it is changed.
    ///
    /// # Errors
    ///
    /// A complaint where the key cannot be read, or is not the one the folder was encrypted with, or where the folder is
    /// encrypted and no key is configured.
    pub fn open(config: &Config) -> Result<Self, Complaint> {
        let refused = |what: String, help: &str| {
            Err(Complaint::new(
                what,
                "nothing was read or changed; all that is in the spool is as it was",
                help,
            ))
        };
        let state = &config.state;
        let begun = match marker::read(state) {
            Ok(begun) => begun,
            Err(error) => return refused(error.to_string(), "run as the user the agent runs as"),
        };
        let key = match key::of(&config.encryption) {
            Ok(key) => key,
            Err(error) => {
                let help =
                    "make the key readable for the agent's user; docs/encryption.md says how keys are kept";
                return refused(error, help);
            }
        };
        match (key, begun) {
            (None, None) if marker::seems_sealed(state) => refused(
                format!("{} holds encrypted files, but no key is configured", state.display()),
                "set encryption.key_file or encryption.credential to the key it was encrypted with",
            ),
            (None, None) => Ok(Self::plain(state)),
            (None, Some(begun)) => refused(
                format!(
                    "{} is encrypted (since {}, with key {}), but no key is configured",
                    state.display(),
                    begun.since,
                    begun.key
                ),
                "set encryption.key_file or encryption.credential to that key",
            ),
            (Some(key), Some(begun)) if begun.key != key.name() => refused(
                format!(
                    "{} is encrypted with key {}, but the configured key is {}",
                    state.display(),
                    begun.key,
                    key.name()
                ),
                "configure the key it was encrypted with; a lost key cannot be replaced",
            ),
            (Some(key), _) => match work_folder(config) {
                Ok(work) => Ok(Self::sealed(state, key, &work)),
                Err(error) => {
                    refused(error, "set encryption.work to a folder on a tmpfs, such as /run/platen-agent")
                }
            },
        }
    }

    /// Notes that the folder is encrypted from now on. Answers whether it was not before.
    ///
    /// # Errors
    ///
    /// Where it cannot be written down; then nothing may be encrypted.
    pub fn begin(&self, now: Timestamp) -> io::Result<bool> {
        match &self.sealed {
            None => Ok(false),
            Some(sealed) => marker::begin(&self.state, sealed.key.name(), now),
        }
    }

    /// Whether the outbox's database may hold what was written before all was encrypted.
    ///
    /// # Errors
    ///
    /// Where that cannot be read.
    pub fn owes_rewriting(&self) -> io::Result<bool> {
        let begun = if self.sealed.is_some() { marker::read(&self.state)? } else { None };
        Ok(begun.is_some_and(|begun| !begun.rewritten))
    }

    /// Notes that it was written anew.
    ///
    /// # Errors
    ///
    /// Where it cannot be written down; then it is written anew once more.
    pub fn note_rewritten(&self) -> io::Result<()> {
        marker::note_rewritten(&self.state)
    }

    /// The state folder.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// The disk that what is in it is read and written through.
    pub fn disk(&self) -> Arc<dyn Disk> {
        match &self.sealed {
            None => Arc::new(Machine),
            Some(sealed) => Arc::new(SealedDisk::over(Arc::new(Machine), Arc::clone(&sealed.key))),
        }
    }

    /// What opens the outbox's databases.
    pub fn engine(&self) -> Arc<dyn Engine> {
        match &self.sealed {
            None => Arc::new(SledEngine),
            Some(sealed) => Arc::new(SealedEngine::over(Arc::new(SledEngine), Arc::clone(&sealed.key))),
        }
    }

    /// The key, where it is encrypted.
    pub fn key(&self) -> Option<&Arc<Key>> {
        self.sealed.as_ref().map(|sealed| &sealed.key)
    }

    /// Where plain bytes may be for a while: in memory. `None` where nothing is encrypted.
    pub fn work(&self) -> Option<&Path> {
        self.sealed.as_ref().map(|sealed| sealed.work.as_path())
    }

    /// Since when it is encrypted; `None` where it is not.
    ///
    /// # Errors
    ///
    /// Where that cannot be read.
    pub fn since(&self) -> io::Result<Option<Timestamp>> {
        Ok(marker::read(&self.state)?.map(|begun| begun.since))
    }
}

/// A folder of this state folder's own in the configured one, which has to lie in memory; or in one of the places that do
/// on any machine with systemd.
fn work_folder(config: &Config) -> Result<PathBuf, String> {
    let runtime = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
    let above = config.encryption.work.clone().or(runtime).unwrap_or_else(|| PathBuf::from("/dev/shm"));
    let user = rustix::process::geteuid().as_raw();
    let digest = Digest::of(config.state.as_os_str().as_encoded_bytes()).to_string();
    // Two agents of one user must not clear away each other's work.
    let folder = above.join(format!("platen-agent-{user}-{}", digest.get(..16).unwrap_or_default()));
    let unusable = |error: io::Error| format!("the work folder {} cannot be used: {error}", folder.display());
    make_private(&folder).map_err(unusable)?;
    let found = rustix::fs::statfs(&folder).map_err(|error| unusable(error.into()))?;
    if !file::is_memory(found.f_type) {
        return Err(format!(
            "the work folder {} is not in memory: plain bytes of scans would be written to a disk",
            folder.display()
        ));
    }
    Ok(folder)
}

fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let metadata = std::fs::symlink_metadata(folder)?;
    if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is no folder of this user"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
