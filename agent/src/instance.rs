//! One agent per state folder: the lock, and the socket other commands speak to it through.
//!
//! The daemon holds the lock for its whole life and answers on `control.sock`. A command that changes
//! something asks the daemon; where none runs, it takes the lock and does it itself, so the two never meet.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use platen_model::{CaptureId, DocumentId, durable};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// The longest wait for the daemon's answer.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// The lock on a state folder, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Refuses to work in a state folder that belongs to another user: what root made there, the agent's own user
/// could not change any more.
pub fn require_owner(state: &Path) -> io::Result<()> {
    let owner = std::fs::metadata(state)?.uid();
    if owner == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let message = format!("it belongs to user {owner}; run this as that user");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

/// Takes the lock; `None` where another agent holds it.
pub fn lock(state: &Path) -> io::Result<Option<Lock>> {
    durable::create_folder(state)?;
    require_owner(state)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(state.join("lock"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock { _file: file })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The daemon's socket.
pub fn socket(state: &Path) -> PathBuf {
    state.join("control.sock")
}

/// What the daemon may be asked. One JSON line each.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// How it stands.
    Status,
    /// The outbox's records in the order of delivery.
    Outbox {
        /// The most that are answered.
        limit: usize,
    },
    /// Read and check every record of the outbox.
    OutboxVerify,
    /// Try documents now.
    OutboxRetry {
        /// Which; all for `None`.
        id: Option<DocumentId>,
    },
    /// Send the originals that are owed now, whatever their bytes cost.
    OutboxOriginals,
    /// Throw a capture in quarantine away.
    QuarantineDiscard {
        /// Which.
        id: CaptureId,
    },
    /// Capture the whole batch of a document again, as one document.
    Rejoin {
        /// The document.
        id: DocumentId,
    },
    /// Capture what a document was scanned with again, with its blank pages.
    Restore {
        /// The document.
        id: DocumentId,
    },
    /// Give captures in quarantine another chance.
    QuarantineRetry {
        /// Which; all for `None`.
        id: Option<CaptureId>,
    },
}

/// The daemon's answer. One JSON line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum Say {
    /// What was asked for.
    Done {
        /// The answer.
        answer: serde_json::Value,
    },
    /// It did not work.
    Failed {
        /// Why.
        message: String,
    },
}

/// Asks the daemon of a state folder; `None` where none runs.
pub fn ask(state: &Path, ask: &Ask) -> io::Result<Option<serde_json::Value>> {
    let mut stream = match UnixStream::connect(socket(state)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(ANSWER_TIME))?;
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    match serde_json::from_str(&answer)? {
        Say::Done { answer } => Ok(Some(answer)),
        Say::Failed { message } => Err(io::Error::other(message)),
    }
}
