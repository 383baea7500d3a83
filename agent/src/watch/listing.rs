//! What lies in a hot folder now.
//!
//! Only plain files count. Folders, symbolic links, pipes and sockets are never followed or opened: whoever
//! may write into a hot folder must not be able to make us read elsewhere.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Which file it is, and in which state: two files, or one file changed, differ in this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The inode on it. Numbers are used again after a file is removed, so never enough alone.
    pub inode: u64,
    /// Length in bytes.
    pub bytes: u64,
    /// Time of last change of the contents, in nanoseconds since 1970.
    pub changed_ns: i128,
}

impl Identity {
    /// The identity in a file's metadata.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
        }
    }

    /// Whether both are the same inode on the same device.
    pub fn same_inode(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// A file as one listing showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Its name, which need not be UTF-8.
    pub name: OsString,
    /// Which file it is.
    pub identity: Identity,
    /// Length in bytes.
    pub bytes: u64,
}

/// The plain files in a folder that may be scans, by name.
pub fn list(folder: &Path) -> io::Result<Vec<Sight>> {
    let mut sights = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_not_ours(&name) {
            continue;
        }
        // `symlink_metadata`: a link is a link here, whatever it points at.
        match entry.path().symlink_metadata() {
            Ok(metadata) if metadata.is_file() => {
                let identity = Identity::of(&metadata);
                sights.push(Sight { name, identity, bytes: identity.bytes });
            }
            Ok(_) => {}
            // Renamed or removed since the folder was read: the next listing will tell.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    sights.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sights)
}

/// Whether a name is that of a file in the making, or of a file system's own housekeeping.
pub fn is_not_ours(name: &OsStr) -> bool {
    let name = name.as_bytes().to_ascii_lowercase();
    let starts = [b".".as_slice(), b"~"];
    let ends =
        [b"~".as_slice(), b".tmp", b".temp", b".part", b".partial", b".crdownload", b".filepart", b".lock"];
    let whole = [b"thumbs.db".as_slice(), b"desktop.ini"];
    starts.iter().any(|sign| name.starts_with(sign))
        || ends.iter().any(|sign| name.ends_with(sign))
        || whole.contains(&name.as_slice())
}

#[cfg(test)]
impl Sight {
    /// A sight for tests of pure decisions.
    pub(crate) fn made_up(name: &str, bytes: u64, changed_ns: u64) -> Self {
        let identity = Identity { device: 1, inode: 1, bytes, changed_ns: changed_ns.into() };
        Self { name: name.into(), identity, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_in_the_making_are_left_alone() {
        for name in ["~scan.tif", "scan.tif~", "a.TMP", "a.pdf.part", "._scan.pdf", ".DS_Store", "Thumbs.db"]
        {
            assert!(is_not_ours(OsStr::new(name)), "{name}");
        }
        for name in ["scan.tif", "part.pdf", "a.tmp.pdf", "ä ö.jpg"] {
            assert!(!is_not_ours(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn only_plain_files_are_listed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("b.tif"), b"bb").expect("write");
        std::fs::write(path("a.tif"), b"a").expect("write");
        std::fs::create_dir(path("done")).expect("a folder inside");
        std::os::unix::fs::symlink(path("a.tif"), path("link.tif")).expect("a link");
        let socket = std::os::unix::net::UnixListener::bind(path("pipe.tif")).expect("a socket");

        let sights = list(folder.path()).expect("the folder can be read");
        let names: Vec<_> = sights.iter().map(|sight| (sight.name.to_str(), sight.bytes)).collect();
        assert_eq!(names, [(Some("a.tif"), 1), (Some("b.tif"), 2)]);
        drop(socket);
    }
}
