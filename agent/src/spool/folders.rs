//! The spool's folders, and the listing of what is in them.

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use platen_model::disk::{self, Disk, Machine};
use platen_model::durable::{self, On};
use platen_model::{CaptureId, DocumentId};

/// Names that were being written or removed when the agent was stopped.
const UNFINISHED: [&str; 2] = [".tmp-", ".gone-"];

/// The spool.
#[derive(Clone, Debug)]
pub struct Spool {
    root: PathBuf,
    /// Every byte of a document in the spool is read and written through this.
    disk: Arc<dyn Disk>,
}

impl Spool {
    /// Opens the spool under a state folder, making what is missing.
    pub fn open(state: &Path) -> io::Result<Self> {
        Self::open_on(Arc::new(Machine), state)
    }

    /// The same on another disk.
    pub fn open_on(disk: Arc<dyn Disk>, state: &Path) -> io::Result<Self> {
        let spool = Self { disk, ..Self::at(state) };
        for folder in [spool.captures(), spool.documents(), spool.quarantine()] {
            spool.durably().create_folder(&folder)?;
        }
        Ok(spool)
    }

    /// The spool under a state folder for looking at: makes nothing, and is empty where there is none.
    pub fn at(state: &Path) -> Self {
        Self { root: state.join("spool"), disk: Arc::new(Machine) }
    }

    /// The disk it lies on.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Durable operations on that disk.
    pub fn durably(&self) -> On<'_> {
        durable::on(&*self.disk)
    }

    /// Clears away what was half-written or half-removed when the agent was stopped. Only for the one
    /// instance that holds the state folder's lock.
    pub fn clear_unfinished(&self) -> io::Result<()> {
        for folder in [self.captures(), self.documents(), self.quarantine()] {
            for name in self.disk.list(&folder)? {
                if UNFINISHED.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                    self.durably().remove_folder(&folder.join(name))?;
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
        self.ids_in(&self.captures())
    }

    /// The documents in the spool, oldest first. Each is final and may be delivered.
    pub fn document_ids(&self) -> io::Result<Vec<DocumentId>> {
        self.ids_in(&self.documents())
    }

    /// The captures in quarantine, oldest first.
    pub fn quarantined_ids(&self) -> io::Result<Vec<CaptureId>> {
        self.ids_in(&self.quarantine())
    }

    pub(super) fn ids_in<Id: FromStr + Ord>(&self, folder: &Path) -> io::Result<Vec<Id>> {
        let names = match self.disk.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names?,
        };
        let id = |name: &std::ffi::OsString| name.to_str().and_then(|name| name.parse::<Id>().ok());
        let mut ids: Vec<Id> = names.iter().filter_map(id).collect();
        ids.sort();
        Ok(ids)
    }

    /// Reads one of the spool's JSON files, naming it in the error.
    pub(crate) fn read_json<T: serde::de::DeserializeOwned>(&self, path: &Path) -> io::Result<T> {
        read_json_on(&*self.disk, path)
    }

    /// Writes one of the spool's JSON files durably.
    pub(crate) fn write_json(&self, path: &Path, value: &impl serde::Serialize) -> io::Result<()> {
        self.durably().write(path, &serde_json::to_vec_pretty(value)?).map(drop)
    }
}

/// Reads one of the spool's JSON files on this machine's disk, naming it in the error.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<T> {
    read_json_on(&Machine, path)
}

fn read_json_on<T: serde::de::DeserializeOwned>(on: &dyn Disk, path: &Path) -> io::Result<T> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let bytes = disk::read(on, path).map_err(named)?;
    serde_json::from_slice(&bytes).map_err(|error| named(error.into()))
}

/// Writes one of the spool's JSON files durably on this machine's disk.
pub(crate) fn write_json(path: &Path, value: &impl serde::Serialize) -> io::Result<()> {
    durable::write(path, &serde_json::to_vec_pretty(value)?).map(drop)
}
