//! Taking the sources of a claimed capture out of the hot folder.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;

use platen_model::{CaptureId, Digest, durable};
use serde::{Deserialize, Serialize};

use super::ledger::{Ledger, key_of};
use super::reach::{Place, done_name};
use super::take::{Claimed, NoStop, Steps};
use crate::config::After;
use crate::spool::{CaptureRecord, ClaimedFile};
use crate::watch::Identity;
use crate::watch::listing::DONE_FOLDER;

/// The file that says: the sources were compared once more, and may go.
const RELEASE_FILE: &str = "release.json";
/// The version of `release.json` written by this release.
const RELEASE_VERSION: u32 = 1;

/// What `release.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct Marked {
    version: u32,
    /// The capture that has the same bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    duplicate_of: Option<CaptureId>,
}

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
    Done(Box<Released>),
    /// The sources are gone, and the spool's copy with them: another capture has the same bytes.
    Duplicate {
        /// What was claimed.
        record: Box<CaptureRecord>,
        /// The capture that has its bytes.
        of: CaptureId,
    },
    /// A source had changed since it was copied: the claim was premature and is undone. The file is watched
    /// on and will be claimed again when it is whole.
    Undone(Box<CaptureRecord>),
    /// A source cannot be removed. The capture stays in the spool with its proof; trying again is safe.
    Stuck(Box<Claimed>, io::Error),
}

/// What lies under a claimed file's name now.
enum Found {
    /// Nothing, or something that is no plain file.
    Gone,
    /// The very file, byte for byte.
    Same(Place),
    /// The same inode with other bytes or another time: it was written to.
    Changed,
    /// Another file under the same name.
    Other,
}

/// How far a release came.
enum Way {
    Whole,
    Duplicate(CaptureId),
    Premature,
}

impl Claimed {
    /// Removes the sources, moves them to `done` or notes that they stay, after comparing each with the spool's copy
    /// once more.
    pub fn release(self, ledger: &Ledger, steps: &dyn Steps) -> Release {
        match self.try_release(ledger, steps) {
            Ok(Way::Whole) => Release::Done(Box::new(self.to_released())),
            Ok(Way::Duplicate(of)) => Release::Duplicate { record: Box::new(self.record().clone()), of },
            Ok(Way::Premature) => Release::Undone(Box::new(self.record().clone())),
            Err(error) => Release::Stuck(Box::new(self), error),
        }
    }

    /// Lets the capture go on while its sources stay where they are: where nobody watches their folder any more, nobody
    /// will come to take them away. `None` for a duplicate, which has left the spool.
    ///
    /// # Errors
    ///
    /// Where the spool or the ledger cannot be written; nothing is lost by trying again.
    pub fn release_without_sources(&self, ledger: &Ledger) -> io::Result<Option<Released>> {
        let marked = self.mark(ledger, &NoStop)?;
        match marked.duplicate_of {
            Some(_) => self.spool().durably().remove_folder(self.folder()).map(|()| None),
            None => Ok(Some(self.to_released())),
        }
    }

    fn to_released(&self) -> Released {
        Released { record: self.record().clone(), folder: self.folder().to_owned() }
    }

    fn try_release(&self, ledger: &Ledger, steps: &dyn Steps) -> io::Result<Way> {
        let record = self.record();
        let spool = self.spool();
        if !spool.disk().exists(&self.folder().join(RELEASE_FILE))? {
            for file in &record.files {
                match find(record, file)? {
                    Found::Changed => {
                        // An attempt that was stopped may have noted the bytes. They leave the spool now, and must
                        // not make a duplicate of the next file that has them.
                        ledger.forget(record.capture_id)?;
                        spool.durably().remove_folder(self.folder())?;
                        return Ok(Way::Premature);
                    }
                    // Gone or replaced by someone else: our copy is the only one left, so it goes on.
                    Found::Same(_) | Found::Gone | Found::Other => {}
                }
            }
            steps.passed("the sources are compared")?;
        }
        let marked = self.mark(ledger, steps)?;
        for (index, file) in record.files.iter().enumerate() {
            self.finish_hidden(index, file)?;
            if let Found::Same(place) = find(record, file)? {
                self.take_away(&place, index, file, ledger, steps)?;
                steps.passed("a source is gone")?;
            }
        }
        for marker in &record.markers {
            let Some(place) = Place::reach(&record.folder, &marker.name)? else { continue };
            let Some(file) = place.open()? else { continue };
            if Identity::of(&file.metadata()?) == marker.identity {
                self.take_marker_away(&place, &marker.name, &marker.identity)?;
            }
        }
        match marked.duplicate_of {
            Some(of) => {
                spool.durably().remove_folder(self.folder())?;
                Ok(Way::Duplicate(of))
            }
            None => Ok(Way::Whole),
        }
    }

    /// Says for good that the spool's copy counts, and whether it is a duplicate.
    fn mark(&self, ledger: &Ledger, steps: &dyn Steps) -> io::Result<Marked> {
        let (spool, record) = (self.spool(), self.record());
        let marker = self.folder().join(RELEASE_FILE);
        if spool.disk().exists(&marker)? {
            return spool.read_json(&marker);
        }
        let duplicate_of = duplicate_of(record, ledger, |of| self.is_sure(of))?;
        steps.passed("the ledger knows the bytes")?;
        // From here on a file under the old name that differs is a new scan, never ours: a removed
        // file's inode number is soon used again, so without this mark the two could not be told apart.
        let marked = Marked { version: RELEASE_VERSION, duplicate_of };
        spool.write_json(&marker, &marked)?;
        steps.passed("the release is marked")?;
        Ok(marked)
    }

    /// Whether a capture that has the same bytes will keep them: until its release is marked it may be undone.
    fn is_sure(&self, of: CaptureId) -> io::Result<bool> {
        let (spool, folder) = (self.spool(), self.spool().capture(of));
        Ok(!spool.disk().exists(&folder)? || spool.disk().exists(&folder.join(RELEASE_FILE))?)
    }

    fn take_away(
        &self,
        place: &Place,
        index: usize,
        file: &ClaimedFile,
        ledger: &Ledger,
        steps: &dyn Steps,
    ) -> io::Result<()> {
        if self.record().after == After::Leave {
            return ledger.leave(&self.record().source, &file.name, &file.identity);
        }
        // It was compared a moment ago, and reading takes its time: by now its name may be that of a new scan. A name
        // that no scanner gives is taken first, and what has it then is looked at once more.
        let hidden = place.beside(self.hidden_name(index))?;
        place.rename_to(&hidden)?;
        steps.passed("a source is hidden")?;
        self.end_hidden(&hidden, place, file)
    }

    /// Ends what a stop has left under its hidden name.
    fn finish_hidden(&self, index: usize, file: &ClaimedFile) -> io::Result<()> {
        let Some(place) = Place::reach(&self.record().folder, &file.name)? else { return Ok(()) };
        let hidden = place.beside(self.hidden_name(index))?;
        match hidden.path().symlink_metadata() {
            Ok(_) => self.end_hidden(&hidden, &place, file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The claimed file goes; another one gets its name back.
    fn end_hidden(&self, hidden: &Place, place: &Place, file: &ClaimedFile) -> io::Result<()> {
        let is_claimed = match hidden.open()? {
            Some(opened) => Identity::of(&opened.metadata()?) == file.identity,
            None => false,
        };
        if is_claimed {
            return match self.record().after {
                After::Remove | After::Leave => durable::remove_file(&hidden.path()),
                After::Done => self.set_aside(hidden, &file.name),
            };
        }
        tracing::info!(file = %file.display_name(), "a new file had come under its name; it is watched on");
        if hidden.rename_unless_taken(place)? {
            return Ok(());
        }
        // A third one has the name, or could be overwritten. Under another it is found as well.
        let name = done_name(&self.record().capture_id.to_string(), &file.name);
        match hidden.rename_to_own(&place.beside(name)?)? {
            true => Ok(()),
            false => Err(io::Error::other("two files came under one name; one lies beside it, hidden")),
        }
    }

    fn hidden_name(&self, index: usize) -> OsString {
        format!(".platen-{}-{index:04}", self.record().capture_id).into()
    }

    /// A marker goes with its scan. One that says something is kept: the spool has no copy of it.
    fn take_marker_away(&self, place: &Place, name: &OsStr, identity: &Identity) -> io::Result<()> {
        match self.record().after {
            After::Leave => Ok(()),
            After::Remove if identity.bytes == 0 => durable::remove_file(&place.path()),
            After::Remove | After::Done => self.set_aside(place, name),
        }
    }

    fn set_aside(&self, place: &Place, name: &OsStr) -> io::Result<()> {
        let root = &self.record().folder;
        durable::create_folder(&root.join(DONE_FOLDER))?;
        let name = done_name(&self.record().capture_id.to_string(), name);
        let inside = std::path::Path::new(DONE_FOLDER).join(name);
        match Place::reach(root, inside.as_os_str())? {
            Some(target) => durable::rename(&place.path(), &target.path()),
            None => Err(io::Error::other(format!("{DONE_FOLDER} is no folder, or a link"))),
        }
    }
}

/// The capture that has the same bytes and keeps them.
///
/// # Errors
///
/// Where that is not settled yet, as [`io::ErrorKind::ResourceBusy`].
pub(super) fn duplicate_of(
    record: &CaptureRecord,
    ledger: &Ledger,
    is_sure: impl Fn(CaptureId) -> io::Result<bool>,
) -> io::Result<Option<CaptureId>> {
    // What a person put together again has the bytes of the capture it replaces.
    if record.rejoins.is_some() {
        return Ok(None);
    }
    let take = || ledger.take(key_of(record), record.capture_id);
    let Some(of) = take()? else { return Ok(None) };
    // Asked once more: a claim that is undone is forgotten, then leaves the spool, where what is gone passes for carried on.
    if is_sure(of)? && take()? == Some(of) {
        return Ok(Some(of));
    }
    let message = format!("its bytes are those of capture {of}, whose own claim is under way");
    Err(io::Error::new(io::ErrorKind::ResourceBusy, message))
}

fn find(record: &CaptureRecord, claimed: &ClaimedFile) -> io::Result<Found> {
    let Some(place) = Place::reach(&record.folder, &claimed.name)? else { return Ok(Found::Gone) };
    let Some(mut file) = place.open()? else { return Ok(Found::Gone) };
    let identity = Identity::of(&file.metadata()?);
    if !identity.same_inode(&claimed.identity) {
        return Ok(Found::Other);
    }
    if identity == claimed.identity && Digest::of_reader(&mut file)? == (claimed.sha256, claimed.bytes) {
        return Ok(Found::Same(place));
    }
    Ok(Found::Changed)
}
