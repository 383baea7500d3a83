//! Writes that survive a power cut, and the only renames and removals in the product.
//!
//! Order, always: write under a temporary name, check the length, fsync the file, rename, fsync the folder.
//! A reader never sees half a file, and what was acknowledged is there after the power comes back.
//! The clippy configuration forbids `rename` and `remove_*` elsewhere, so this file is where to look when
//! something is gone. Each operation exists twice: on any [`Disk`] ([`on`]), and as a function for this
//! machine's.

use std::io::{self, Read};
use std::path::Path;

use crate::Digest;
use crate::digest::copy_and_digest;
use crate::disk::{Disk, Draft, Machine, Readers};

/// Proof that bytes are on stable storage under their final name. Only this module makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durable {
    sha256: Digest,
    bytes: u64,
}

impl Durable {
    /// The digest of the bytes that are safe.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }

    /// Their number.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Durable operations on a disk.
#[derive(Clone, Copy, Debug)]
pub struct On<'d>(&'d dyn Disk);

/// Durable operations on this disk.
pub fn on(disk: &dyn Disk) -> On<'_> {
    On(disk)
}

impl On<'_> {
    /// Creates a folder and its parents, each one durable in the folder above it.
    pub fn create_folder(self, folder: &Path) -> io::Result<()> {
        if self.0.is_folder(folder) {
            return Ok(());
        }
        if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.create_folder(parent)?;
        }
        match self.0.create_folder(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => self.0.sync_folder(parent),
            None => self.0.sync_folder(Path::new(".")),
        }
    }

    /// Writes `bytes` to `path`, replacing what was there in one step.
    pub fn write(self, path: &Path, bytes: &[u8]) -> io::Result<Durable> {
        self.replace(path, &mut &bytes[..], Readers::Usual)
    }

    /// Writes everything `source` yields to `path`, replacing what was there in one step.
    ///
    /// The digest is taken of the bytes read; the length of the file on disk is checked against their number.
    pub fn write_from(self, path: &Path, source: &mut impl Read) -> io::Result<Durable> {
        self.replace(path, source, Readers::Usual)
    }

    fn replace(self, path: &Path, source: &mut impl Read, readers: Readers) -> io::Result<Durable> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let name = path.file_name().ok_or_else(|| io::Error::other("a file needs a name"))?;
        let mut temporary = std::ffi::OsString::from(".tmp-");
        temporary.push(name);
        let temporary = folder.join(temporary);
        let mut file = self.0.create(&temporary, readers)?;
        let written = write_and_sync(&mut *file, source).and_then(|durable| {
            drop(file);
            self.0.rename(&temporary, path)?;
            self.0.sync_folder(folder)?;
            Ok(durable)
        });
        if written.is_err() {
            // A half-written temporary file is of no use to anyone; failing to remove it changes nothing.
            let _ = self.0.remove_file(&temporary);
        }
        written
    }

    /// Renames a file or folder within one file system, durable in both parent folders.
    ///
    /// Everything inside a renamed folder must have been fsynced before.
    pub fn rename(self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to).map_err(|error| {
            let what = format!("{} cannot be renamed to {}: {error}", from.display(), to.display());
            io::Error::new(error.kind(), what)
        })?;
        let target = to.parent().unwrap_or(Path::new("."));
        self.0.sync_folder(target)?;
        match from.parent() {
            Some(origin) if origin != target => self.0.sync_folder(origin),
            _ => Ok(()),
        }
    }

    /// Removes a file; a file that is not there is no error. The removal is durable.
    pub fn remove_file(self, path: &Path) -> io::Result<()> {
        match self.0.remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.0.sync_folder(path.parent().unwrap_or(Path::new("."))),
        }
    }

    /// Removes a folder and everything in it; a folder that is not there is no error. The removal is durable.
    ///
    /// The folder is renamed out of sight first, and durably so: a crash half-way must leave no half folder
    /// under its name.
    pub fn remove_folder(self, path: &Path) -> io::Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        let name = path.file_name().ok_or_else(|| io::Error::other("a folder needs a name"))?;
        let mut doomed = std::ffi::OsString::from(".gone-");
        doomed.push(name);
        let doomed = parent.join(doomed);
        let mut renamed = self.0.rename(path, &doomed);
        if renamed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::DirectoryNotEmpty) {
            // Left by an earlier removal that was cut off.
            self.0.remove_tree(&doomed)?;
            renamed = self.0.rename(path, &doomed);
        }
        match renamed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => {
                renamed?;
                self.0.sync_folder(parent)?;
            }
        }
        match self.0.remove_tree(&doomed) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.0.sync_folder(parent),
        }
    }

    /// Reads a file and answers its digest and length.
    pub fn digest_file(self, path: &Path) -> io::Result<(Digest, u64)> {
        Digest::of_reader(&mut self.0.open(path)?)
    }
}

/// Makes a folder's entries (new names, renames, removals) durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    Machine.sync_folder(folder)
}

/// [`On::create_folder`] on this machine.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    on(&Machine).create_folder(folder)
}

/// [`On::write`] on this machine.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<Durable> {
    on(&Machine).write(path, bytes)
}

/// [`On::write_from`] on this machine.
pub fn write_from(path: &Path, source: &mut impl Read) -> io::Result<Durable> {
    on(&Machine).write_from(path, source)
}

/// Writes `bytes` to `path` like [`write`], for nobody but the owner to read at any moment (mode 0600).
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<Durable> {
    on(&Machine).replace(path, &mut &bytes[..], Readers::OwnerOnly)
}

/// Copies `source` into `file` and fsyncs it. The caller still has to give it its name durably.
pub fn write_and_sync<D: Draft + ?Sized>(file: &mut D, source: &mut impl Read) -> io::Result<Durable> {
    let (sha256, bytes) = copy_and_digest(source, &mut *file)?;
    file.flush()?;
    let on_disk = file.length()?;
    if on_disk != bytes {
        return Err(io::Error::other(format!("wrote {bytes} bytes, but the file holds {on_disk}")));
    }
    file.sync()?;
    Ok(Durable { sha256, bytes })
}

/// [`On::rename`] on this machine.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    on(&Machine).rename(from, to)
}

/// [`On::remove_file`] on this machine.
pub fn remove_file(path: &Path) -> io::Result<()> {
    on(&Machine).remove_file(path)
}

/// [`On::remove_folder`] on this machine.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    on(&Machine).remove_folder(path)
}

/// [`On::digest_file`] on this machine.
pub fn digest_file(path: &Path) -> io::Result<(Digest, u64)> {
    on(&Machine).digest_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_write_replaces_in_one_step_and_names_its_digest() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("manifest.json");
        write(&path, b"old").expect("first");
        let durable = write(&path, b"new bytes").expect("second");
        assert_eq!(durable.sha256(), Digest::of(b"new bytes"));
        assert_eq!(durable.bytes(), 9);
        assert_eq!(fs::read(&path).expect("there"), b"new bytes");
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_source_that_fails_half_way_leaves_the_old_file_and_no_temporary_one() {
        struct Cut(u32);
        impl Read for Cut {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                if self.0 > 2 { Err(io::Error::other("cable pulled")) } else { Ok(buffer.len()) }
            }
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("scan.tif");
        write(&path, b"whole").expect("first");
        write_from(&path, &mut Cut(0)).expect_err("the source fails");
        assert_eq!(fs::read(&path).expect("there"), b"whole");
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1);
    }

    #[test]
    fn removing_what_is_not_there_is_no_error() {
        let folder = tempfile::tempdir().expect("a folder");
        remove_file(&folder.path().join("none")).expect("file");
        remove_folder(&folder.path().join("none")).expect("folder");
        let full = folder.path().join("full");
        create_folder(&full.join("a/b")).expect("create");
        write(&full.join("a/b/c"), b"x").expect("write");
        remove_folder(&full).expect("remove");
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 0);
    }
}
