//! Taking the sources of a claimed capture out of the hot folder.

use std::io;
use std::path::{Path, PathBuf};

use platen_model::{Digest, durable};

use super::take::{Claimed, Steps, open_plain};
use crate::config::After;
use crate::spool::{CaptureRecord, ClaimedFile};
use crate::watch::Identity;

/// The file that says: the sources were compared once more, and may go.
const RELEASE_FILE: &str = "release.json";
/// The folder inside a hot folder for [`After::Done`].
const DONE_FOLDER: &str = "done";

/// A capture whose sources have left the hot folder: it may be worked on.
#[derive(Debug, Clone)]
pub struct Released {
    /// What was claimed.
    pub record: CaptureRecord,
    /// Where it lies in the spool.
    pub folder: PathBuf,
}

/// How a release ended.
#[derive(Debug)]
pub enum Release {
    /// The sources are gone; the capture goes on.
    Done(Released),
    /// A source had changed since it was copied: the claim was premature and is undone. The file is watched
    /// on and will be claimed again when it is whole.
    Undone,
    /// A source cannot be removed. The capture stays in the spool with its proof; trying again is safe.
    Stuck(Box<Claimed>, io::Error),
}

/// What lies under a claimed file's name now.
enum Found {
    /// Nothing, or something that is no plain file.
    Gone,
    /// The very file, byte for byte.
    Same,
    /// The same inode with other bytes or another time: it was written to.
    Changed,
    /// Another file under the same name.
    Other,
}

impl Claimed {
    /// Removes the sources, or moves them to `done`, after comparing each with the spool's copy once more.
    pub fn release(self, steps: &dyn Steps) -> Release {
        match self.try_release(steps) {
            Ok(true) => {
                let folder = self.folder().to_owned();
                Release::Done(Released { record: self.record().clone(), folder })
            }
            Ok(false) => Release::Undone,
            Err(error) => Release::Stuck(Box::new(self), error),
        }
    }

    fn try_release(&self, steps: &dyn Steps) -> io::Result<bool> {
        let marker = self.folder().join(RELEASE_FILE);
        if !marker.exists() {
            for file in &self.record().files {
                match find(&self.record().folder, file)? {
                    Found::Changed => {
                        durable::remove_folder(self.folder())?;
                        return Ok(false);
                    }
                    // Gone or replaced by someone else: our copy is the only one left, so it goes on.
                    Found::Same | Found::Gone | Found::Other => {}
                }
            }
            steps.passed("the sources are compared")?;
            // From here on a file under the old name that differs is a new scan, never ours: a removed
            // file's inode number is soon used again, so without this mark the two could not be told apart.
            durable::write(&marker, b"{\"version\":1}")?;
            steps.passed("the release is marked")?;
        }
        for file in &self.record().files {
            if let Found::Same = find(&self.record().folder, file)? {
                self.take_away(file)?;
                steps.passed("a source is gone")?;
            }
        }
        Ok(true)
    }

    fn take_away(&self, file: &ClaimedFile) -> io::Result<()> {
        let source = self.record().folder.join(&file.name);
        match self.record().after {
            After::Remove => durable::remove_file(&source),
            After::Done => {
                let done = self.record().folder.join(DONE_FOLDER);
                durable::create_folder(&done)?;
                let mut name = std::ffi::OsString::from(format!("{}-", self.record().capture_id));
                name.push(&file.name);
                durable::rename(&source, &done.join(name))
            }
        }
    }
}

fn find(folder: &Path, claimed: &ClaimedFile) -> io::Result<Found> {
    let Some(mut file) = open_plain(&folder.join(&claimed.name))? else { return Ok(Found::Gone) };
    let identity = Identity::of(&file.metadata()?);
    if !identity.same_inode(&claimed.identity) {
        return Ok(Found::Other);
    }
    if identity == claimed.identity && Digest::of_reader(&mut file)? == (claimed.sha256, claimed.bytes) {
        return Ok(Found::Same);
    }
    Ok(Found::Changed)
}
