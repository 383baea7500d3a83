//! What lies in a hot folder now.
//!
//! Only plain files count. Symbolic links, devices, pipes and sockets are never followed or opened, only named:
//! whoever may write into a hot folder must not be able to make us read elsewhere. Nested folders are walked to a
//! limited depth, without following links either.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use regex::RegexSet;
use serde::{Deserialize, Serialize};

use crate::config::{After, Source};

/// How deep folders may lie in a source. Deeper ones are named as odd, and not looked into.
const DEPTH_MAX: usize = 16;
/// The most files that one listing holds, those that rest not counted. The others are seen once some of these are taken.
const FILES_MAX: usize = 200_000;
/// The most files in folders inside a source that are counted.
const INSIDE_MAX: usize = 1_000;
/// The most odd things that one listing names.
const ODD_MAX: usize = 1_000;
/// The folder inside a hot folder for [`After::Done`], and for markers that have bytes.
pub const DONE_FOLDER: &str = "done";

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
    pub fn of(metadata: &Metadata) -> Self {
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
    /// Its path within the source, which need not be UTF-8.
    pub name: OsString,
    /// Which file it is.
    pub identity: Identity,
    /// Length in bytes.
    pub bytes: u64,
}

/// What one look at a source showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The plain files that may be scans, by name.
    pub files: Vec<Sight>,
    /// What is never taken, and why, by name.
    pub odd: BTreeMap<OsString, String>,
    /// Something in it could not be looked at, or was too much: what is not listed may be there all the same.
    pub has_gaps: bool,
    /// The nested folders with nothing at all in them, by name. A share that is not mounted looks like this.
    pub empty: BTreeSet<OsString>,
}

/// A walk through a source.
struct Walk<'w> {
    most: usize,
    scope: &'w Scope,
    is_resting: &'w dyn Fn(&Sight) -> bool,
    listing: Listing,
    /// Files that do not rest.
    moving: usize,
    /// There are more files than one listing holds.
    is_cut: bool,
}

/// What a source wants listed.
#[derive(Clone, Debug)]
pub struct Scope {
    nested: bool,
    ignore: RegexSet,
    skips_done: bool,
    has_markers: bool,
}

impl Scope {
    /// The scope of a source.
    pub fn of(source: &Source) -> Self {
        let pattern = |glob: &String| {
            let escaped = regex::escape(glob).replace(r"\*", ".*").replace(r"\?", ".");
            format!("(?is)^{escaped}$")
        };
        let ignore = RegexSet::new(source.ignore.iter().map(pattern));
        Self {
            nested: source.nested,
            // An escaped pattern is valid; one that is too large for a program matches nothing.
            ignore: ignore.unwrap_or_default(),
            has_markers: !source.marker.suffixes.is_empty(),
            skips_done: source.after == After::Done || !source.marker.suffixes.is_empty(),
        }
    }

    fn is_ignored(&self, name: &OsStr) -> bool {
        is_not_ours(name) || self.ignore.is_match(&name.to_string_lossy())
    }
}

/// Lists a source. Files that rest (taken, and left where they lie) are passed over, unless their markers could lie
/// beside them.
///
/// # Errors
///
/// Where the folder itself cannot be listed. One inside it that cannot is named as odd.
pub fn list(folder: &Path, scope: &Scope, is_resting: impl Fn(&Sight) -> bool) -> io::Result<Listing> {
    list_at_most(FILES_MAX, folder, scope, &is_resting)
}

fn list_at_most(
    most: usize,
    folder: &Path,
    scope: &Scope,
    is_resting: &dyn Fn(&Sight) -> bool,
) -> io::Result<Listing> {
    let listing = Listing::default();
    let mut walk = Walk { most, scope, is_resting, listing, moving: 0, is_cut: false };
    walk.enter(folder, OsStr::new(""), 0)?;
    let Walk { mut listing, is_cut, .. } = walk;
    if is_cut {
        let why =
            format!("there are more than {most} files; the others are seen once some of these are taken");
        listing.odd.insert("…".into(), why);
        listing.has_gaps = true;
    }
    listing.files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

/// How many files lie in folders inside a source that is not nested: they are never taken. Counted up to a limit, and
/// only where they can be seen.
pub fn files_inside(folder: &Path, scope: &Scope) -> usize {
    if scope.nested {
        return 0;
    }
    let inside = Scope { nested: true, ..scope.clone() };
    let listing = list_at_most(INSIDE_MAX, folder, &inside, &|sight| !is_inside(&sight.name));
    listing.map_or(0, |listing| listing.files.iter().filter(|sight| is_inside(&sight.name)).count())
}

fn is_inside(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'/')
}

impl Walk<'_> {
    fn enter(&mut self, folder: &Path, inside: &OsStr, depth: usize) -> io::Result<()> {
        let scope = self.scope;
        let mut is_empty = depth > 0;
        for entry in std::fs::read_dir(folder)? {
            is_empty = false;
            if self.moving >= self.most {
                self.is_cut = true;
                return Ok(());
            }
            let entry = entry?;
            let base = entry.file_name();
            if scope.is_ignored(&base) || (depth == 0 && scope.skips_done && base == DONE_FOLDER) {
                continue;
            }
            let name = if inside.is_empty() { base } else { [inside, &base].join(OsStr::new("/")) };
            // Not followed: a link is a link here, whatever it points at.
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Renamed or removed since the folder was read: the next listing will tell.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.listing.has_gaps = true;
                    self.listing.set_apart(name, format!("it cannot be looked at: {error}"));
                    continue;
                }
            };
            let kind = metadata.file_type();
            if kind.is_file() {
                let identity = Identity::of(&metadata);
                self.file(Sight { name, identity, bytes: identity.bytes });
            } else if !kind.is_dir() {
                self.listing.set_apart(name, oddity(kind).to_owned());
            } else if scope.nested {
                if depth + 1 >= DEPTH_MAX {
                    self.listing.set_apart(name, format!("it lies deeper than {DEPTH_MAX} folders"));
                } else if let Err(error) = self.enter(&entry.path(), &name, depth + 1) {
                    self.listing.has_gaps = true;
                    self.listing.set_apart(name, format!("this folder cannot be listed: {error}"));
                }
            }
        }
        if is_empty {
            self.listing.empty.insert(inside.to_owned());
        }
        Ok(())
    }

    fn file(&mut self, sight: Sight) {
        let is_resting = (self.is_resting)(&sight);
        self.moving += usize::from(!is_resting);
        if !is_resting || self.scope.has_markers {
            self.listing.files.push(sight);
        }
    }
}

impl Listing {
    fn set_apart(&mut self, name: OsString, why: String) {
        if self.odd.len() < ODD_MAX {
            self.odd.insert(name, why);
        }
    }
}

fn oddity(kind: FileType) -> &'static str {
    if kind.is_symlink() {
        "it is a symbolic link, which is never followed; put the file itself here"
    } else if kind.is_fifo() {
        "it is a pipe, not a file"
    } else if kind.is_socket() {
        "it is a socket, not a file"
    } else {
        "it is a device, not a file"
    }
}

/// Whether a name is that of a file in the making, or of a file system's own housekeeping.
pub fn is_not_ours(name: &OsStr) -> bool {
    let name = name.as_bytes().to_ascii_lowercase();
    let starts = [b".".as_slice(), b"~", b"@eadir", b"#recycle", b"$recycle.bin"];
    let ends = [
        b"~".as_slice(),
        b".tmp",
        b".temp",
        b".part",
        b".partial",
        b".crdownload",
        b".filepart",
        b".lock",
        b".swp",
        b".!ut",
    ];
    let whole = [b"thumbs.db".as_slice(), b"desktop.ini", b"system volume information", b"lost+found"];
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

    fn names(folder: &Path, source: &Source) -> (Vec<String>, Vec<String>) {
        let listing = list(folder, &Scope::of(source), |_| false).expect("the folder can be read");
        let files = listing.files.iter().map(|sight| sight.name.to_string_lossy().into_owned()).collect();
        (files, listing.odd.keys().map(|name| name.to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn files_in_the_making_are_left_alone() {
        for name in [
            "~scan.tif",
            "scan.tif~",
            "a.TMP",
            "a.pdf.part",
            "._scan.pdf",
            ".DS_Store",
            "Thumbs.db",
            "@eaDir",
        ] {
            assert!(is_not_ours(OsStr::new(name)), "{name}");
        }
        for name in ["scan.tif", "part.pdf", "a.tmp.pdf", "ä ö.jpg"] {
            assert!(!is_not_ours(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn files_that_rest_take_no_place_and_more_than_a_listing_holds_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..30 {
            std::fs::write(folder.path().join(format!("{number:02}.tif")), b"scan").expect("write");
        }
        let mut source = Source::new("desk", folder.path());
        source.marker.suffixes.clear();
        let scope = Scope::of(&source);
        let rests = |sight: &Sight| sight.name.as_os_str() < OsStr::new("20.tif");
        let listing = list_at_most(20, folder.path(), &scope, &rests).expect("the folder can be read");
        let names: Vec<_> =
            listing.files.iter().map(|sight| sight.name.to_string_lossy().into_owned()).collect();
        assert_eq!(names, (20..30).map(|number| format!("{number}.tif")).collect::<Vec<_>>());
        assert!(listing.odd.is_empty(), "{:?}", listing.odd);

        let listing = list_at_most(5, folder.path(), &scope, &rests).expect("the folder can be read");
        assert_eq!(listing.files.len(), 5);
        assert!(listing.odd.values().any(|why| why.contains("more than 5 files")), "{:?}", listing.odd);
    }

    #[test]
    fn files_in_folders_inside_are_counted_where_they_are_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut source = Source::new("desk", folder.path());
        let count = |source: &Source| files_inside(folder.path(), &Scope::of(source));
        for name in ["a.tif", "monday/b.tif", "monday/early/c.tif", "monday/d.tmp", "done/old.tif"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, b"scan").expect("write");
        }
        assert_eq!(count(&source), 2, "not what lies beside, is in the making, or is done with");
        source.nested = true;
        assert_eq!(count(&source), 0);
        assert_eq!(files_inside(Path::new("/nowhere/at-all"), &Scope::of(&Source::new("a", "b"))), 0);
    }

    #[test]
    fn only_plain_files_are_listed_and_the_rest_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("b.tif"), b"bb").expect("write");
        std::fs::write(path("a.tif"), b"a").expect("write");
        std::fs::create_dir(path("inner")).expect("a folder inside");
        std::fs::write(path("inner/c.tif"), b"c").expect("write");
        std::os::unix::fs::symlink("/etc", path("link")).expect("a link to a folder");
        std::os::unix::fs::symlink(path("a.tif"), path("link.tif")).expect("a link");
        let socket = std::os::unix::net::UnixListener::bind(path("pipe.tif")).expect("a socket");

        let mut source = Source::new("desk", folder.path());
        let odd = ["link", "link.tif", "pipe.tif"].map(str::to_owned).to_vec();
        assert_eq!(
            names(folder.path(), &source),
            (vec!["a.tif".to_owned(), "b.tif".to_owned()], odd.clone())
        );
        source.nested = true;
        source.ignore = vec!["B.*".into()];
        assert_eq!(names(folder.path(), &source), (vec!["a.tif".to_owned(), "inner/c.tif".to_owned()], odd));
        drop(socket);

        std::fs::create_dir_all(path("inner/share")).expect("a folder that is empty");
        std::fs::create_dir(path("other")).expect("a folder that is not");
        std::fs::write(path("other/.hidden"), b"x").expect("write");
        let listing = list(folder.path(), &Scope::of(&source), |_| false).expect("the folder can be read");
        assert_eq!(listing.empty, BTreeSet::from([OsString::from("inner/share")]));
    }
}
