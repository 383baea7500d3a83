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
        /// Whether some of it was done. Earlier releases did not say so.
        #[serde(default)]
        partly: bool,
    },
}

/// Some of what was asked for was done, some could not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Partly(pub String);

impl Partly {
    /// Whether an error is one of these.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// Asks the daemon of a state folder; `None` where none runs.
///
/// # Errors
///
/// As [`io::ErrorKind::TimedOut`] where the daemon takes long: it goes on with what it was asked for. As [`Partly`] where it
/// could do some of it.
pub fn ask(state: &Path, ask: &Ask) -> io::Result<Option<serde_json::Value>> {
    ask_within(ANSWER_TIME, state, ask)
}

fn ask_within(time: Duration, state: &Path, ask: &Ask) -> io::Result<Option<serde_json::Value>> {
    let mut stream = match UnixStream::connect(socket(state)) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(time))?;
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).map_err(|error| match error.kind() {
        // What the kernel says of a time that is over.
        io::ErrorKind::WouldBlock => {
            let message = format!("the agent has not answered within {} s", time.as_secs());
            io::Error::new(io::ErrorKind::TimedOut, message)
        }
        _ => error,
    })?;
    match serde_json::from_str(&answer)? {
        Say::Done { answer } => Ok(Some(answer)),
        Say::Failed { message, partly: true } => Err(io::Error::other(Partly(message))),
        Say::Failed { message, partly: false } => Err(io::Error::other(message)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::quarantine::{each, trouble};

    /// What is said to be safe after this error.
    fn safe(error: &io::Error) -> String {
        trouble(Path::new("state"), error).safe
    }

    #[test]
    fn an_agent_that_takes_long_is_not_said_to_have_changed_nothing() {
        let state = tempfile::tempdir().expect("a folder");
        let _daemon = UnixListener::bind(socket(state.path())).expect("a socket");
        let asked = ask_within(Duration::from_millis(50), state.path(), &Ask::QuarantineRetry { id: None });
        let error = asked.expect_err("nobody answers");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(safe(&error).contains("goes on"), "{error}");
    }

    #[test]
    fn what_was_done_in_part_is_not_said_to_be_nothing() {
        let ids = [CaptureId::new(), CaptureId::new()];
        let fails = |failing: &[CaptureId]| {
            let failing = failing.to_vec();
            let act = move |id| if failing.contains(&id) { Err(io::Error::other("no")) } else { Ok(()) };
            each(&ids, act).expect_err("some fail")
        };
        let partly = fails(&ids[..1]);
        assert!(Partly::is(&partly) && partly.to_string().starts_with("1 are tried again"), "{partly}");
        assert!(!safe(&partly).contains("nothing"), "{}", safe(&partly));
        let whole = fails(&ids);
        assert!(!Partly::is(&whole) && safe(&whole).contains("nothing was changed"), "{whole}");

        // The same over the socket.
        let said = Say::Failed { message: "1 are tried again".into(), partly: true };
        let state = tempfile::tempdir().expect("a folder");
        let daemon = UnixListener::bind(socket(state.path())).expect("a socket");
        let asked = std::thread::scope(|scope| {
            scope.spawn(move || {
                let (mut stream, _) = daemon.accept().expect("a question");
                let mut question = String::new();
                BufReader::new(&stream).read_line(&mut question).expect("a line");
                let mut answer = serde_json::to_vec(&said).expect("JSON");
                answer.push(b'\n');
                stream.write_all(&answer).expect("answered");
            });
            ask(state.path(), &Ask::QuarantineRetry { id: None })
        });
        assert!(Partly::is(&asked.expect_err("some fail")));
    }
}
