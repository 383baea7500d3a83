//! A way to a file in a hot folder that no link can lead astray.
//!
//! Whoever may write into a hot folder may put a link in place of a folder between our listing and our opening, and
//! have us read, move or remove something elsewhere. So the folders on the way are opened one after the other without
//! following links, and the file is then named through the open folder: `/proc/self/fd/N/name` cannot be redirected.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// A file's place: the folder it lies in, held open, and its name there.
#[derive(Debug)]
pub(super) struct Place {
    folder: File,
    name: OsString,
}

impl Place {
    /// Reaches the folder of a file by its path within `root`. `None` where the way leads over a link, or is gone, be it
    /// the root itself.
    pub(super) fn reach(root: &Path, inside: &OsStr) -> io::Result<Option<Self>> {
        let inside = Path::new(inside);
        let mut parts: Vec<&OsStr> = Vec::new();
        for part in inside.components() {
            match part {
                Component::Normal(part) => parts.push(part),
                // Not from a listing of ours.
                _ => return Ok(None),
            }
        }
        let Some(name) = parts.pop() else { return Ok(None) };
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        // The source itself may be reached over a link: the administrator has set it.
        let mut folder = match rustix::fs::open(root, flags, Mode::empty()) {
            Ok(folder) => File::from(folder),
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        for part in parts {
            match rustix::fs::openat(&folder, part, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(inner) => folder = File::from(inner),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Some(Self { folder, name: name.to_owned() }))
    }

    /// Another name in the same folder.
    pub(super) fn beside(&self, name: OsString) -> io::Result<Self> {
        Ok(Self { folder: self.folder.try_clone()?, name })
    }

    /// Gives the file another name in its folder. Not durable by itself: whatever a power cut leaves of it is found by
    /// either name.
    pub(super) fn rename_to(&self, to: &Self) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.folder, &self.name, &self.folder, &to.name)?)
    }

    /// Gives the file another name in its folder, unless something has that name or may come to have it meanwhile. Answers
    /// whether it was given: never on file systems that know neither exclusive renaming nor second names, where a scan
    /// that comes between a look and the renaming would be overwritten.
    pub(super) fn rename_unless_taken(&self, to: &Self) -> io::Result<bool> {
        use rustix::fs::{AtFlags, RenameFlags, linkat, renameat_with, unlinkat};
        let (folder, from, to) = (&self.folder, &self.name, &to.name);
        match renameat_with(folder, from, folder, to, RenameFlags::NOREPLACE) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            // A file system without this kind of renaming: a second name first.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                match linkat(folder, from, folder, to, AtFlags::empty()) {
                    Ok(()) => Ok(unlinkat(folder, from, AtFlags::empty()).map(|()| true)?),
                    Err(Errno::EXIST | Errno::PERM | Errno::NOSYS | Errno::NOTSUP | Errno::MLINK) => {
                        Ok(false)
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the file a name that nothing but its own capture gives, unless something has it. Answers whether it was given.
    pub(super) fn rename_to_own(&self, to: &Self) -> io::Result<bool> {
        match rustix::fs::statat(&self.folder, &to.name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(false),
            Err(Errno::NOENT) => self.rename_to(to).map(|()| true),
            Err(error) => Err(error.into()),
        }
    }

    /// A path to the file that goes through the open folder.
    pub(super) fn path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.folder.as_raw_fd().to_string()).join(&self.name)
    }

    /// Opens it, if it is a plain file, without following a link and without waiting for a pipe's other end.
    pub(super) fn open(&self) -> io::Result<Option<File>> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        match OpenOptions::new().read(true).custom_flags(flags).open(self.path()) {
            Ok(file) => Ok(file.metadata()?.is_file().then_some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Opens a plain file of a source by its path within it. `None` where there is no such file (any more).
///
/// # Errors
///
/// Where it may not be opened, or the file system fails.
pub fn open_inside(root: &Path, inside: &OsStr) -> io::Result<Option<File>> {
    match Place::reach(root, inside)? {
        Some(place) => place.open(),
        None => Ok(None),
    }
}

/// The longest name a file can have, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The name of a claimed file in `done`: the capture's id and its own name, cut in the middle where both are too long.
pub(super) fn done_name(capture: &str, inside: &OsStr) -> OsString {
    let base = Path::new(inside).file_name().unwrap_or(inside).as_bytes();
    let room = NAME_BYTES_MAX - capture.len() - 1;
    let mut name = format!("{capture}-").into_bytes();
    if base.len() <= room {
        name.extend(base);
    } else {
        // The end has the extension.
        name.extend(&base[..room / 2]);
        name.extend(&base[base.len() - (room - room / 2)..]);
    }
    OsStr::from_bytes(&name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_leads_out_of_a_source() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("sub")).expect("folders");
        std::fs::write(folder.path().join("secret"), b"secret").expect("a file outside");
        std::fs::write(root.join("sub/a.pdf"), b"scan").expect("a file inside");
        symlink(folder.path().join("secret"), root.join("link.pdf")).expect("a link to a file");
        symlink(folder.path(), root.join("out")).expect("a link to a folder");
        symlink("sub", root.join("within")).expect("a link within");

        let opens = |inside: &str| open_inside(&root, OsStr::new(inside)).expect("no trouble").is_some();
        assert!(opens("sub/a.pdf"));
        for never in [
            "link.pdf",
            "out/secret",
            "within/a.pdf",
            "../secret",
            "sub/../../secret",
            "/etc/passwd",
            "",
            "sub",
        ] {
            assert!(!opens(never), "{never}");
        }
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().expect("a folder");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.path().join("pipe.pdf"),
            rustix::fs::FileType::Fifo,
            Mode::from_raw_mode(0o600),
            0,
        )
        .expect("a pipe");
        assert!(open_inside(folder.path(), OsStr::new("pipe.pdf")).expect("no trouble").is_none());
    }

    #[test]
    fn a_name_in_done_is_never_too_long_and_keeps_its_end() {
        let capture = platen_model::CaptureId::new().to_string();
        let long = format!("sub/{}.pdf", "x".repeat(251));
        let name = done_name(&capture, OsStr::new(&long));
        assert_eq!(name.len(), NAME_BYTES_MAX);
        assert!(name.as_bytes().ends_with(b"x.pdf") && name.as_bytes().starts_with(capture.as_bytes()));
        assert_eq!(done_name("id", OsStr::new("sub/a.pdf")), "id-a.pdf");
    }
}
