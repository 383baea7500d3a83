//! Places at which a program can be made to die, for tests of what a crash leaves behind.
//!
//! With `PLATEN_CRASH_AT` set to a point's name the process kills itself the first time it comes there, as SIGKILL
//! would: nothing is flushed, nothing unwinds. Only builds with debug assertions know the variable; in others
//! [`point`] is nothing.

/// The variable that names the point.
pub const VARIABLE: &str = "PLATEN_CRASH_AT";

/// The agent's points, in the order in which a scan comes to them.
pub const AGENT: &[&str] = &[
    "the temporary folder is made",
    "a file is copied",
    "the record is written",
    "the capture has its name",
    "the sources are compared",
    "the ledger knows the bytes",
    "the release is marked",
    "a source is hidden",
    "a source is gone",
    "a document is made",
    "the documents are final",
    "a document has its place",
    "the capture is gone",
    "the outbox has the documents",
    "an answer has come",
    "the receipt is kept",
    "the delivery is noted",
];

/// The cloud's points, in the order in which a document comes to them.
pub const CLOUD: &[&str] = &[
    "an upload is begun",
    "bytes are written",
    "the offset is recorded",
    "a part is a blob",
    "the manifest is kept",
    "the document is committed",
    "a step is done",
    "a step is noted",
];

/// The agent's points that only a document comes to whose originals follow later.
pub const AGENT_DEFERRED: &[&str] = &["the first receipt is kept", "the originals are owed"];

/// The agent's point that only a document comes to which waited while its device was enrolled anew.
pub const AGENT_ENROLLED_ANEW: &[&str] = &["the document is handed over"];

/// The cloud's point that only a document comes to whose originals follow later.
pub const CLOUD_DEFERRED: &[&str] = &["the originals are committed"];

/// The cloud's point that only a document comes to which came as a file only.
pub const CLOUD_CAPTURED: &[&str] = &["a document is captured"];

/// Dies here where that is asked for.
#[inline]
pub fn point(name: &str) {
    if cfg!(debug_assertions) {
        let lists = [AGENT, CLOUD, AGENT_DEFERRED, AGENT_ENROLLED_ANEW, CLOUD_DEFERRED, CLOUD_CAPTURED];
        debug_assert!(lists.iter().any(|list| list.contains(&name)), "{name:?} is in no list");
        if std::env::var_os(VARIABLE).is_some_and(|at| at == name) {
            die();
        }
    }
}

fn die() {
    use rustix::process::{Signal, getpid, kill_process};
    // `abort` would leave a core file, `exit` runs what a crash does not.
    let _ = kill_process(getpid(), Signal::KILL);
    std::process::abort();
}
