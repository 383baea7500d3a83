//! `capture.json`: what was claimed, from where, and what exactly it was.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use platen_capture::Input;
use platen_model::disk::Machine;
use platen_model::{CaptureId, CorrelationId, Digest, DocumentType, FailureClass, durable};
use serde::{Deserialize, Serialize};

use super::folders::Spool;
use crate::config::After;
use crate::names::shown;
use crate::watch::Identity;
use crate::watch::tray::Stack;

/// The version of `capture.json` written by this release.
pub const CAPTURE_VERSION: u32 = 1;
/// The file in a capture's folder.
pub const CAPTURE_FILE: &str = "capture.json";
/// Where a capture's unfinished pages and documents live.
pub(super) const WORK_FOLDER: &str = "work";
/// How often a capture failed for reasons that may pass.
const ATTEMPTS_FILE: &str = "attempts.json";

/// One claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaptureRecord {
    /// [`CAPTURE_VERSION`] of the writer.
    pub version: u32,
    /// Its id.
    pub capture_id: CaptureId,
    /// Its trace.
    pub correlation_id: CorrelationId,
    /// The source by name.
    pub source: String,
    /// The department the source belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The type of its documents, where the source sets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_type: Option<DocumentType>,
    /// Tesseract languages, where the source sets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub languages: Option<String>,
    /// Labels that go with its documents.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The sides of a stack of paper, where its files are that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<Stack>,
    /// The hot folder the files lay in.
    pub folder: PathBuf,
    /// What becomes of them there.
    pub after: After,
    /// When they were claimed.
    pub claimed_at: Timestamp,
    /// The files in page order.
    pub files: Vec<ClaimedFile>,
    /// The capture that is taken again as one document, because it should not have been divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejoins: Option<CaptureId>,
    /// Its blank pages stay in, because a person wants them back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_blank: bool,
    /// The marker files that said they were whole. They go where the files go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub markers: Vec<ClaimedMarker>,
}

/// A marker file as it was seen when its scan was claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedMarker {
    /// Its path within the hot folder, byte for byte.
    pub name: OsString,
    /// Which file it was.
    pub identity: Identity,
}

/// One claimed file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimedFile {
    /// Its path within the hot folder, byte for byte.
    pub name: OsString,
    /// Its name in the spool.
    pub stored: String,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// Length in bytes.
    pub bytes: u64,
    /// Which file it was in the hot folder.
    pub identity: Identity,
}

impl ClaimedFile {
    /// The name for people ([`shown`]), without the folders it lay in.
    pub fn display_name(&self) -> String {
        let base = Path::new(&self.name).file_name().unwrap_or(&self.name);
        shown(base)
    }
}

/// The name of a capture's or document's `index`-th original in the spool.
pub fn stored_name(index: usize) -> String {
    format!("original-{index:04}")
}

impl CaptureRecord {
    /// Reads the record in a capture's folder.
    pub fn read(spool: &Spool, folder: &Path) -> io::Result<Self> {
        let record: Self = spool.read_json(&folder.join(CAPTURE_FILE))?;
        if record.version > CAPTURE_VERSION {
            let message = format!(
                "{}: written by a newer release (version {})",
                folder.join(CAPTURE_FILE).display(),
                record.version
            );
            return Err(io::Error::other(message));
        }
        Ok(record)
    }

    /// Writes the record into its folder, durably.
    pub fn write(&self, spool: &Spool, folder: &Path) -> io::Result<()> {
        spool.write_json(&folder.join(CAPTURE_FILE), self)
    }

    /// The files as inputs of the capture path. From an encrypted spool they are plain copies in the folder for
    /// unfinished pages, which lies in memory.
    pub fn inputs(&self, spool: &Spool, folder: &Path, work: &Path) -> io::Result<Vec<Input>> {
        let input = |file: &ClaimedFile| {
            let mut path = folder.join(&file.stored);
            if spool.work().is_some() {
                let mut stored = spool.disk().open(&path)?;
                path = work.join(&file.stored);
                durable::on(&Machine).write_from(&path, &mut stored)?;
            }
            let source = self.source.clone();
            Ok(Input { path, file_name: file.display_name(), source, sha256: file.sha256 })
        };
        self.files.iter().map(input).collect()
    }
}

/// The folder for unfinished pages, empty: an earlier attempt may have left some.
pub fn fresh_work_folder(spool: &Spool, capture: &Path) -> io::Result<PathBuf> {
    remove_work_folder(spool, capture)?;
    let work = spool.work_of(capture);
    durable::create_folder(&work)?;
    Ok(work)
}

/// Removes the folder for unfinished pages.
pub fn remove_work_folder(spool: &Spool, capture: &Path) -> io::Result<()> {
    if spool.work().is_some() {
        durable::remove_folder(&spool.work_of(capture))?;
    }
    spool.durably().remove_folder(&capture.join(WORK_FOLDER))
}

/// The failures of a capture that might have passed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// Their number.
    pub failed: u32,
    /// The class of the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<FailureClass>,
}

impl Attempts {
    /// What is noted for a capture; nothing is noted before the first failure.
    pub fn read(spool: &Spool, capture: &Path) -> Self {
        spool.read_json(&capture.join(ATTEMPTS_FILE)).unwrap_or_default()
    }

    /// Notes it.
    pub fn write(&self, spool: &Spool, capture: &Path) -> io::Result<()> {
        spool.write_json(&capture.join(ATTEMPTS_FILE), self)
    }

    /// Forgets it: a person asked for a fresh start.
    pub fn forget(spool: &Spool, capture: &Path) -> io::Result<()> {
        spool.durably().remove_file(&capture.join(ATTEMPTS_FILE))
    }
}
