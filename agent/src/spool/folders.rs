//! The spool's folders, and the listing of what is in them.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use platen_model::{CaptureId, DocumentId, durable};

/// Names that were being written or removed when the agent was stopped.
const UNFINISHED: [&str; 2] = [".tmp-", ".gone-"];

/// The spool.
#[derive(Clone, Debug)]
pub struct Spool {
    root: PathBuf,
}

impl Spool {
    /// Opens the spool under a state folder, making what is missing.
    pub fn open(state: &Path) -> io::Result<Self> {
        let spool = Self::at(state);
        for folder in [spool.captures(), spool.documents(), spool.quarantine()] {
            durable::create_folder(&folder)?;
        }
        Ok(spool)
    }

    /// The spool under a state folder for looking at: makes nothing, and is empty where there is none.
    pub fn at(state: &Path) -> Self {
        Self { root: state.join("spool") }
    }

    /// Clears away what was half-written or half-removed when the agent was stopped. Only for the one
    /// instance that holds the state folder's lock.
    pub fn clear_unfinished(&self) -> io::Result<()> {
        for folder in [self.captures(), self.documents(), self.quarantine()] {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if UNFINISHED.iter().any(|prefix| name.starts_with(prefix)) {
                    durable::remove_folder(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// The folder of captures.
    pub fn captures(&self) -> PathBuf {
        self.root.join("captures")
    }

    /// The folder of documents.
    pub fn documents(&self) -> PathBuf {
        self.root.join("documents")
    }

    /// The folder of what needs a person.
    pub fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// One capture's folder.
    pub fn capture(&self, id: CaptureId) -> PathBuf {
        self.captures().join(id.to_string())
    }

    /// One document's folder.
    pub fn document(&self, id: DocumentId) -> PathBuf {
        self.documents().join(id.to_string())
    }

    /// One quarantined capture's folder.
    pub fn quarantined(&self, id: CaptureId) -> PathBuf {
        self.quarantine().join(id.to_string())
    }

    /// The captures in the spool, oldest first.
    pub fn capture_ids(&self) -> io::Result<Vec<CaptureId>> {
        ids_in(&self.captures())
    }

    /// The documents in the spool, oldest first. Each is final and may be delivered.
    pub fn document_ids(&self) -> io::Result<Vec<DocumentId>> {
        ids_in(&self.documents())
    }

    /// The captures in quarantine, oldest first.
    pub fn quarantined_ids(&self) -> io::Result<Vec<CaptureId>> {
        ids_in(&self.quarantine())
    }
}

pub(super) fn ids_in<Id: FromStr + Ord>(folder: &Path) -> io::Result<Vec<Id>> {
    let mut ids = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ids),
        entries => entries?,
    };
    for entry in entries {
        ids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<Id>().ok()));
    }
    ids.sort();
    Ok(ids)
}

/// Reads one of the spool's JSON files, naming it in the error.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let bytes = std::fs::read(path).map_err(named)?;
    serde_json::from_slice(&bytes).map_err(|error| named(error.into()))
}

/// Writes one of the spool's JSON files durably.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> io::Result<()> {
    durable::write(path, &serde_json::to_vec_pretty(value)?).map(drop)
}
