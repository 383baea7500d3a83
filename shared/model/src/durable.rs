//! Writes that survive a power cut, and the only renames and removals in the product.
//!
//! Order, always: write under a temporary name, check the length, fsync the file, rename, fsync the folder.
//! A reader never sees half a file, and what was acknowledged is there after the power comes back.
//! The clippy configuration forbids `rename` and `remove_*` elsewhere, so this file is where to look when
//! something is gone.
#![expect(clippy::disallowed_methods, reason = "this is the module that owns them")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::Digest;
use crate::digest::copy_and_digest;

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

/// Makes a folder's entries (new names, renames, removals) durable.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Creates a folder and its parents, each one durable in the folder above it.
pub fn create_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_folder(parent)?;
    }
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_folder(parent),
        None => sync_folder(Path::new(".")),
    }
}

/// Writes `bytes` to `path`, replacing what was there in one step.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<Durable> {
    write_from(path, &mut &bytes[..])
}

/// Writes everything `source` yields to `path`, replacing what was there in one step.
///
/// The digest is taken of the bytes read; the length of the file on disk is checked against their number.
pub fn write_from(path: &Path, source: &mut impl Read) -> io::Result<Durable> {
    replace(path, source, OpenOptions::new().write(true).create(true).truncate(true))
}

/// Writes `bytes` to `path` like [`write`], for nobody but the owner to read at any moment (mode 0600).
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<Durable> {
    let mut options = OpenOptions::new();
    replace(path, &mut &bytes[..], options.write(true).create(true).truncate(true).mode(0o600))
}

fn replace(path: &Path, source: &mut impl Read, options: &OpenOptions) -> io::Result<Durable> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::other("a file needs a name"))?;
    let mut temporary = std::ffi::OsString::from(".tmp-");
    temporary.push(name);
    let temporary = folder.join(temporary);
    let mut file = options.open(&temporary)?;
    let written = write_and_sync(&mut file, source).and_then(|durable| {
        fs::rename(&temporary, path)?;
        sync_folder(folder)?;
        Ok(durable)
    });
    if written.is_err() {
        // A half-written temporary file is of no use to anyone; failing to remove it changes nothing.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Copies `source` into `file` and fsyncs it. The caller still has to give it its name durably.
pub fn write_and_sync(file: &mut File, source: &mut impl Read) -> io::Result<Durable> {
    let (sha256, bytes) = copy_and_digest(source, file)?;
    file.flush()?;
    let on_disk = file.metadata()?.len();
    if on_disk != bytes {
        return Err(io::Error::other(format!("wrote {bytes} bytes, but the file holds {on_disk}")));
    }
    file.sync_all()?;
    Ok(Durable { sha256, bytes })
}

/// Renames a file or folder within one file system, durable in both parent folders.
///
/// Everything inside a renamed folder must have been fsynced before.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    let target = to.parent().unwrap_or(Path::new("."));
    sync_folder(target)?;
    match from.parent() {
        Some(origin) if origin != target => sync_folder(origin),
        _ => Ok(()),
    }
}

/// Removes a file; a file that is not there is no error. The removal is durable.
pub fn remove_file(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(path.parent().unwrap_or(Path::new("."))),
    }
}

/// Removes a folder and everything in it; a folder that is not there is no error. The removal is durable.
///
/// The folder is renamed out of sight first, so that a crash half-way leaves no half folder under its name.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().ok_or_else(|| io::Error::other("a folder needs a name"))?;
    let mut doomed = std::ffi::OsString::from(".gone-");
    doomed.push(name);
    let doomed = parent.join(doomed);
    match fs::rename(path, &doomed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => other?,
    }
    match fs::remove_dir_all(&doomed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(parent),
    }
}

/// Reads a file and answers its digest and length.
pub fn digest_file(path: &Path) -> io::Result<(Digest, u64)> {
    Digest::of_reader(&mut File::open(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

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
