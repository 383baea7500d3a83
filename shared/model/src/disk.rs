//! The few things that are done to a disk, as a trait.
//!
//! [`Machine`] does them. Whatever must hold across a power cut is written over this trait
//! ([`crate::durable::on`]), so that the same code also runs on a disk that loses power at any of these
//! operations. A disk may also keep its bytes in another form than it shows: whoever opens and creates files
//! only here never sees that.
#![expect(clippy::disallowed_methods, reason = "with `durable` this is the module that owns them")]

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A file opened for reading.
pub trait Stored: Read + Seek + Send {}

impl<T: Read + Seek + Send> Stored for T {}

/// A file being written.
pub trait Draft: Write + Send {
    /// How many bytes a reader would find in it, once everything written was flushed.
    fn length(&self) -> io::Result<u64>;
    /// Makes its bytes durable; its name is the folder's affair.
    fn sync(&mut self) -> io::Result<()>;
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Whoever the process's mask lets.
    Usual,
    /// Nobody but the owner, at any moment.
    OwnerOnly,
}

/// A disk. Every operation may fail, and none but the two called `sync` survives a power cut for certain.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Stored>>;
    /// Opens a file for writing, empty; makes it where it is missing.
    fn create(&self, path: &Path, readers: Readers) -> io::Result<Box<dyn Draft>>;
    /// The names in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;
    /// Shows each name in a folder, in no order, without holding all of them: a spool may have a million.
    fn each_name(&self, folder: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        self.list(folder)?.iter().for_each(|name| each(name));
        Ok(())
    }
    /// Whether something lies there.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Whether a folder lies there.
    fn is_folder(&self, path: &Path) -> bool;
    /// Creates one folder in a folder that is there.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Gives a file a second name.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames a file or folder in one step, over what was there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder and everything in it, one by one.
    fn remove_tree(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder's entries (new names, renames, removals) durable.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// All of a small file's bytes.
pub fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    disk.open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// This machine's disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine;

impl Draft for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Disk for Machine {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Stored>> {
        Ok(Box::new(File::open(path)?))
    }

    fn create(&self, path: &Path, readers: Readers) -> io::Result<Box<dyn Draft>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        if readers == Readers::OwnerOnly {
            options.mode(0o600);
        }
        Ok(Box::new(options.open(path)?))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn each_name(&self, folder: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            each(&entry?.file_name());
        }
        Ok(())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }
}
