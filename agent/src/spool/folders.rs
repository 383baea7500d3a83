//! The spool's folders, and the listing of what is in them.

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use platen_model::disk::{self, Disk, Machine};
use platen_model::durable::{self, On};
use platen_model::keys::PublicKey;
use platen_model::{CaptureId, DocumentId};
use rustix::fs::{Mode, OFlags};

use super::capture::WORK_FOLDER;
use crate::vault::Vault;

/// Names that were being written or removed when the agent was stopped.
const UNFINISHED: [&str; 2] = [".tmp-", ".gone-"];

/// The spool.
#[derive(Clone, Debug)]
pub struct Spool {
    root: PathBuf,
    /// Every byte of a document in the spool is read and written through this.
    disk: Arc<dyn Disk>,
    /// Where page images and plain copies are, while a capture is worked on: in memory, where the disk is encrypted. In the
    /// capture's own folder where absent.
    work: Option<PathBuf>,
    /// The keys of clouds that the device was enrolled with before: their receipts go on to hold.
    earlier_keys: Arc<[PublicKey]>,
}

impl Spool {
    /// Opens the spool under a state folder, making what is missing.
    pub fn open(state: &Path) -> io::Result<Self> {
        Self::open_on(Arc::new(Machine), state)
    }

    /// Opens the spool of a state folder that may be encrypted.
    pub fn open_in(vault: &Vault) -> io::Result<Self> {
        let spool = Self::looking(vault);
        spool.make_folders()?;
        Ok(spool)
    }

    /// The same for looking at: makes nothing, and is empty where there is none.
    pub fn looking(vault: &Vault) -> Self {
        Self { disk: vault.disk(), work: vault.work().map(Path::to_owned), ..Self::at(vault.state()) }
    }

    /// The spool on another disk.
    pub fn open_on(disk: Arc<dyn Disk>, state: &Path) -> io::Result<Self> {
        let spool = Self { disk, ..Self::at(state) };
        spool.make_folders()?;
        Ok(spool)
    }

    fn make_folders(&self) -> io::Result<()> {
        let folders = [self.captures(), self.documents(), self.quarantine()];
        folders.iter().try_for_each(|folder| self.durably().create_folder(folder))
    }

    /// The spool under a state folder for looking at: makes nothing, and is empty where there is none.
    pub fn at(state: &Path) -> Self {
        Self { root: state.join("spool"), disk: Arc::new(Machine), work: None, earlier_keys: Arc::default() }
    }

    /// The same spool, in which receipts by these keys count beside those by the key in force.
    #[must_use]
    pub fn trusting(self, earlier_keys: &[PublicKey]) -> Self {
        Self { earlier_keys: earlier_keys.into(), ..self }
    }

    /// The keys of clouds that the device was enrolled with before.
    pub(super) fn earlier_keys(&self) -> &[PublicKey] {
        &self.earlier_keys
    }

    /// The disk it lies on.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// Durable operations on that disk.
    pub fn durably(&self) -> On<'_> {
        durable::on(&*self.disk)
    }

    /// Where plain bytes are while a capture is worked on, if not in its own folder.
    pub(super) fn work(&self) -> Option<&Path> {
        self.work.as_deref()
    }

    /// Opens a stored file for a worker: the file itself, or a plain copy in memory that nothing but its descriptor leads
    /// to.
    pub fn open_for_worker(&self, path: &Path) -> io::Result<File> {
        let Some(work) = &self.work else { return File::open(path) };
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let mut plain = File::from(rustix::fs::open(work, flags, Mode::RUSR | Mode::WUSR)?);
        io::copy(&mut self.disk.open(path)?, &mut plain)?;
        plain.rewind()?;
        Ok(plain)
    }

    /// The folder for a capture's unfinished pages.
    pub(super) fn work_of(&self, capture: &Path) -> PathBuf {
        match (&self.work, capture.file_name()) {
            (Some(work), Some(id)) => work.join(id),
            _ => capture.join(WORK_FOLDER),
        }
    }

    /// Clears away what was half-written or half-removed when the agent was stopped. Only for the one
    /// instance that holds the state folder's lock.
    pub fn clear_unfinished(&self) -> io::Result<()> {
        for folder in [self.captures(), self.documents(), self.quarantine()] {
            let mut unfinished = Vec::new();
            self.disk.each_name(&folder, &mut |name| {
                if UNFINISHED.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                    unfinished.push(name.to_owned());
                }
            })?;
            for name in unfinished {
                self.durably().remove_folder(&folder.join(name))?;
            }
        }
        if let Some(work) = &self.work {
            for id in Machine.list(work)?.iter().filter(|name| is_capture(name)) {
                durable::remove_folder(&work.join(id))?;
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
        let mut ids: Vec<Id> = Vec::new();
        let read = self.disk.each_name(folder, &mut |name| {
            ids.extend(name.to_str().and_then(|name| name.parse::<Id>().ok()));
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read?,
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Reads one of the spool's JSON files, naming it in the error.
    pub(crate) fn read_json<T: serde::de::DeserializeOwned>(&self, path: &Path) -> io::Result<T> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let bytes = disk::read(&*self.disk, path).map_err(named)?;
        serde_json::from_slice(&bytes).map_err(|error| named(error.into()))
    }

    /// Writes one of the spool's JSON files durably.
    pub(crate) fn write_json(&self, path: &Path, value: &impl serde::Serialize) -> io::Result<()> {
        self.durably().write(path, &serde_json::to_vec_pretty(value)?).map(drop)
    }
}

fn is_capture(name: &std::ffi::OsStr) -> bool {
    name.to_str().is_some_and(|name| name.parse::<CaptureId>().is_ok())
}
