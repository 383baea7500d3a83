//! The ledger: what was taken before, by its bytes, and what was left where it lies.
//!
//! ```text
//! {"entry":"taken","key":"9f…","capture":"0198…"}                        these bytes are this capture
//! {"entry":"left","source":"desk","name":…,"bytes":1234,"changed_ns":…}  this file is not taken again
//! {"entry":"forgotten","capture":"0198…"}                                a person threw it away: its bytes may come again
//! ```
//!
//! {"entry":"sealed","box":"4Rx…"}                                        one of these, encrypted
//!
//! One file of JSON lines, `ledger.jsonl`, appended and fsynced before anything depends on a line, written anew at
//! start. A line that a power cut left half is the last one, and nothing depended on it. Losing the whole file loses
//! no scan: files that were left are taken once more, and bytes that came before are no longer known as such.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_model::{CaptureId, Digest, durable};
use serde::{Deserialize, Serialize};

use crate::spool::CaptureRecord;
use crate::vault::{Key, Vault};
use crate::watch::{Identity, Sight};

/// The ledger's name in the state folder.
const LEDGER_FILE: &str = "ledger.jsonl";
/// The first line: the version of what follows.
const VERSION_LINE: &str = r#"{"entry":"ledger","version":1}"#;
/// The most captures whose bytes are known. The oldest are let go.
const TAKEN_MAX: usize = 200_000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Line {
    Ledger { version: u32 },
    Taken { key: Digest, capture: CaptureId },
    Left { source: String, name: OsString, bytes: u64, changed_ns: i128 },
    Forgotten { capture: CaptureId },
    Sealed { r#box: String },
}

/// The ledger of one agent.
#[derive(Debug)]
pub struct Ledger {
    inner: Mutex<Inner>,
    /// How many lines are durable. Whoever holds it makes durable what all have written so far: of many who wait, one
    /// fsync is enough.
    durable: Mutex<u64>,
}

#[derive(Debug)]
struct Inner {
    key: Option<Arc<Key>>,
    file: Arc<File>,
    path: PathBuf,
    /// Lines written since it was opened.
    written: u64,
    /// Its length without a line that could not be written whole.
    length: u64,
    taken: HashMap<Digest, CaptureId>,
    left: HashMap<String, HashMap<OsString, (u64, i128)>>,
}

/// What identifies a capture's bytes: those of its files, in order.
pub fn key_of(record: &CaptureRecord) -> Digest {
    match record.files.as_slice() {
        [file] => file.sha256,
        files => {
            let all: Vec<u8> = files.iter().flat_map(|file| *file.sha256.as_bytes()).collect();
            Digest::of(&all)
        }
    }
}

impl Ledger {
    /// Opens the ledger in a state folder, and writes it anew without what no longer counts.
    ///
    /// # Errors
    ///
    /// Where it cannot be read or written. Lines that make no sense are passed over with a warning.
    pub fn open(state: &Path) -> io::Result<Self> {
        Self::open_in(&Vault::plain(state))
    }

    /// The same in a state folder that may be encrypted. Without the key of lines that are, nothing is written.
    pub fn open_in(vault: &Vault) -> io::Result<Self> {
        let (state, key) = (vault.state(), vault.key());
        let path = state.join(LEDGER_FILE);
        let mut taken: HashMap<Digest, CaptureId> = HashMap::new();
        let mut keys: HashMap<CaptureId, Digest> = HashMap::new();
        let mut left: HashMap<String, HashMap<OsString, (u64, i128)>> = HashMap::new();
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
            Ok(file) => {
                for line in BufReader::new(file).split(b'\n') {
                    let line = line?;
                    if line.is_empty() {
                        continue;
                    }
                    match read_line(&line, key)? {
                        Ok(Line::Taken { key, capture }) => {
                            taken.insert(key, capture);
                            keys.insert(capture, key);
                        }
                        Ok(Line::Left { source, name, bytes, changed_ns }) => {
                            left.entry(source).or_default().insert(name, (bytes, changed_ns));
                        }
                        Ok(Line::Forgotten { capture }) => {
                            let key = keys.remove(&capture);
                            if key.is_some_and(|key| taken.get(&key) == Some(&capture)) {
                                key.and_then(|key| taken.remove(&key));
                            }
                        }
                        Ok(Line::Ledger { version: 1 } | Line::Sealed { .. }) => {}
                        Ok(Line::Ledger { version }) => {
                            let message =
                                format!("{}: written by a newer release (version {version})", path.display());
                            return Err(io::Error::other(message));
                        }
                        Err(error) => tracing::warn!(%error, "a line of the ledger cannot be read"),
                    }
                }
            }
        }
        if let Some(excess) = taken.len().checked_sub(TAKEN_MAX) {
            let mut oldest: Vec<(CaptureId, Digest)> =
                taken.iter().map(|(key, capture)| (*capture, *key)).collect();
            oldest.sort_unstable();
            for (_, key) in &oldest[..excess] {
                taken.remove(key);
            }
        }
        let mut text = Vec::from(VERSION_LINE);
        text.push(b'\n');
        for (digest, capture) in &taken {
            push(&mut text, &Line::Taken { key: *digest, capture: *capture }, key)?;
        }
        for (source, names) in &left {
            for (name, (bytes, changed_ns)) in names {
                let (source, name) = (source.clone(), name.clone());
                push(&mut text, &Line::Left { source, name, bytes: *bytes, changed_ns: *changed_ns }, key)?;
            }
        }
        durable::write(&path, &text)?;
        let file = Arc::new(OpenOptions::new().append(true).open(&path)?);
        let inner =
            Inner { key: key.cloned(), file, path, written: 0, length: text.len() as u64, taken, left };
        Ok(Self { inner: Mutex::new(inner), durable: Mutex::new(0) })
    }

    /// The capture that has these bytes, if it is another; else they are this one's from now on.
    ///
    /// # Errors
    ///
    /// Where it cannot be written down; then nothing has changed.
    pub fn take(&self, key: Digest, capture: CaptureId) -> io::Result<Option<CaptureId>> {
        let line = {
            let mut inner = self.lock();
            match inner.taken.get(&key) {
                Some(known) if *known == capture => return Ok(None),
                Some(known) => return Ok(Some(*known)),
                None => {
                    let line = inner.put(&Line::Taken { key, capture })?;
                    inner.taken.insert(key, capture);
                    line
                }
            }
        };
        self.make_durable(line).inspect_err(|_| {
            self.lock().taken.remove(&key);
        })?;
        Ok(None)
    }

    /// A file of these measures stays where it lies.
    ///
    /// # Errors
    ///
    /// Where it cannot be written down.
    pub fn leave(&self, source: &str, name: &OsStr, identity: &Identity) -> io::Result<()> {
        let (bytes, changed_ns) = (identity.bytes, identity.changed_ns);
        let line = {
            let mut inner = self.lock();
            if inner.left.get(source).and_then(|names| names.get(name)) == Some(&(bytes, changed_ns)) {
                return Ok(());
            }
            inner.put(&Line::Left { source: source.to_owned(), name: name.to_owned(), bytes, changed_ns })?
        };
        self.make_durable(line)?;
        let mut inner = self.lock();
        inner.left.entry(source.to_owned()).or_default().insert(name.to_owned(), (bytes, changed_ns));
        Ok(())
    }

    /// Whether this file was taken and left, and has not changed since. Length and time tell: the numbers of devices
    /// and inodes change when a share is mounted anew.
    pub fn is_left(&self, source: &str, sight: &Sight) -> bool {
        let known = (sight.identity.bytes, sight.identity.changed_ns);
        self.lock().left.get(source).and_then(|names| names.get(&sight.name)) == Some(&known)
    }

    /// The bytes of a capture are no longer kept: they may be taken again.
    ///
    /// # Errors
    ///
    /// Where it cannot be written down.
    pub fn forget(&self, capture: CaptureId) -> io::Result<()> {
        let line = {
            // Even where nothing is known of it: a line that could not be made durable may yet lie on the disk.
            self.lock().put(&Line::Forgotten { capture })?
        };
        self.make_durable(line)?;
        self.lock().taken.retain(|_, known| *known != capture);
        Ok(())
    }

    /// Returns once this line and those before it are durable.
    fn make_durable(&self, line: u64) -> io::Result<()> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if *durable >= line {
            return Ok(());
        }
        let (file, written) = {
            let inner = self.lock();
            (Arc::clone(&inner.file), inner.written)
        };
        file.sync_data()?;
        *durable = written;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down in the ledger of a state folder, without opening it, that a capture's bytes are no longer kept.
///
/// # Errors
///
/// Where it cannot be written down.
pub fn forget_in(state: &Path, capture: CaptureId) -> io::Result<()> {
    // A line that a power cut left half would swallow this one; an empty line is passed over.
    let mut line = Vec::from(b"\n");
    // An id alone says nothing of what was scanned.
    push(&mut line, &Line::Forgotten { capture }, None)?;
    let mut file = OpenOptions::new().append(true).create(true).open(state.join(LEDGER_FILE))?;
    file.write_all(&line)?;
    file.sync_data()
}

impl Inner {
    /// Writes a line, and answers its number. It is durable only after [`Ledger::make_durable`].
    fn put(&mut self, line: &Line) -> io::Result<u64> {
        let mut text = Vec::new();
        push(&mut text, line, self.key.as_ref())?;
        match (&*self.file).write_all(&text) {
            Ok(()) => {
                self.length += text.len() as u64;
                self.written += 1;
                Ok(self.written)
            }
            Err(error) => {
                // Half a line would spoil the next one; a disk that cannot even do this is told by the next attempt.
                let _ = self.file.set_len(self.length);
                Err(io::Error::new(error.kind(), format!("{}: {error}", self.path.display())))
            }
        }
    }
}

fn push(text: &mut Vec<u8>, line: &Line, key: Option<&Arc<Key>>) -> io::Result<()> {
    match key {
        None => serde_json::to_writer(&mut *text, line)?,
        Some(key) => {
            let sealed = key.seal(LEDGER_FILE.as_bytes(), &serde_json::to_vec(line)?)?;
            serde_json::to_writer(&mut *text, &Line::Sealed { r#box: STANDARD.encode(sealed) })?;
        }
    }
    text.push(b'\n');
    Ok(())
}

/// A line; the inner error is of one that makes no sense, the outer one of a line whose key is missing.
fn read_line(line: &[u8], key: Option<&Arc<Key>>) -> io::Result<io::Result<Line>> {
    let sealed = match serde_json::from_slice::<Line>(line) {
        Ok(Line::Sealed { r#box }) => r#box,
        plain => return Ok(plain.map_err(io::Error::from)),
    };
    let Some(key) = key else {
        return Err(io::Error::other(format!("{LEDGER_FILE} is encrypted, and no key is configured")));
    };
    let opened = STANDARD.decode(sealed).map_err(io::Error::other);
    let opened = opened.and_then(|sealed| key.unseal(LEDGER_FILE.as_bytes(), sealed));
    Ok(opened.and_then(|line| serde_json::from_slice(&line).map_err(io::Error::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_and_left_is_known_after_a_restart() {
        let state = tempfile::tempdir().expect("a folder");
        let (first, second) = (CaptureId::new(), CaptureId::new());
        let key = Digest::of(b"scan");
        let sight = Sight::made_up("sub/a.pdf", 4, 7);
        for round in 0..3 {
            let ledger = Ledger::open(state.path()).expect("opened");
            assert_eq!(ledger.take(key, first).expect("noted"), None, "round {round}: its own bytes");
            assert_eq!(ledger.take(key, second).expect("noted"), Some(first));
            ledger.leave("desk", &sight.name, &sight.identity).expect("noted");
            assert!(ledger.is_left("desk", &sight));
            assert!(!ledger.is_left("attic", &sight));
            assert!(!ledger.is_left("desk", &Sight::made_up("sub/a.pdf", 5, 7)), "it changed");
            // What a power cut leaves of a line.
            let mut file =
                OpenOptions::new().append(true).open(state.path().join(LEDGER_FILE)).expect("there");
            file.write_all(b"{\"entry\":\"tak").expect("half a line");
        }
    }

    #[test]
    fn bytes_that_a_person_threw_away_may_come_again() {
        let state = tempfile::tempdir().expect("a folder");
        let (first, second) = (CaptureId::new(), CaptureId::new());
        let key = Digest::of(b"scan");
        let ledger = Ledger::open(state.path()).expect("opened");
        assert_eq!(ledger.take(key, first).expect("noted"), None);
        ledger.forget(first).expect("noted");
        assert_eq!(ledger.take(key, second).expect("noted"), None);
        drop(ledger);
        let mut file = OpenOptions::new().append(true).open(state.path().join(LEDGER_FILE)).expect("there");
        file.write_all(b"{\"entry\":\"tak").expect("half a line");
        forget_in(state.path(), second).expect("noted");
        let ledger = Ledger::open(state.path()).expect("opened");
        assert_eq!(ledger.take(key, first).expect("noted"), None);
    }
}
