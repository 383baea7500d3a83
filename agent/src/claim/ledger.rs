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
//! One file of JSON lines, `ledger.jsonl`, appended and fsynced before anything depends on a line, written anew at start
//! and whenever most of its lines no longer count. A line that a power cut left half is the last one, and nothing depended
//! on it. Losing the whole file loses no scan: files that were left are taken once more, and bytes that came before are no
//! longer known as such.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_model::{CaptureId, Digest, durable};
use serde::{Deserialize, Serialize};

use crate::spool::CaptureRecord;
use crate::vault::{Key, Vault};
use crate::watch::{Identity, Sight};

mod taken;

use taken::Taken;

/// The ledger's name in the state folder.
const LEDGER_FILE: &str = "ledger.jsonl";
/// The first line: the version of what follows.
const VERSION_LINE: &str = r#"{"entry":"ledger","version":1}"#;
/// The most captures whose bytes are known. The oldest are let go.
const TAKEN_MAX: usize = 200_000;
/// The file is written anew once it has this many more lines than twice those that count.
const LINES_SPARE: usize = 10_000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Line {
    Ledger { version: u32 },
    Taken { key: Digest, capture: CaptureId },
    // Nanoseconds in 64 bits, until 2262: what is tagged within reads none of 128 back.
    Left { source: String, name: OsString, bytes: u64, changed_ns: i64 },
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
    path: PathBuf,
    /// Open for appending; `None` after the file was exchanged for another, until the next line.
    file: Option<Arc<File>>,
    /// Lines written since it was opened.
    written: u64,
    /// Its length without a line that could not be written whole.
    length: u64,
    /// The lines in it.
    lines: usize,
    taken: Taken,
    left: HashMap<String, HashMap<OsString, Left>>,
}

/// A file that was taken and left where it lies.
#[derive(Debug)]
struct Left {
    bytes: u64,
    changed_ns: i128,
    /// When its name was last listed.
    seen: Instant,
}

/// Which files that were left count as gone.
#[derive(Clone, Copy, Debug)]
pub struct Missing<'a> {
    /// Those not listed since then.
    pub since: Instant,
    /// The folders inside the source that are empty.
    pub empty: &'a BTreeSet<OsString>,
    /// Of those that lay in one of these, the ones not listed since then.
    pub in_empty_since: Instant,
}

impl Missing<'_> {
    fn may_come_back(&self, name: &OsStr, left: &Left) -> bool {
        let mut folders = Path::new(name).ancestors().skip(1);
        left.seen > self.in_empty_since && folders.any(|folder| self.empty.contains(folder.as_os_str()))
    }
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
        let path = vault.state().join(LEDGER_FILE);
        let mut inner = Inner {
            key: vault.key().cloned(),
            path,
            file: None,
            written: 0,
            length: 0,
            lines: 0,
            taken: Taken::at_most(TAKEN_MAX),
            left: HashMap::new(),
        };
        inner.read()?;
        inner.write_anew()?;
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
            if let Some(known) = inner.taken.get(key) {
                return Ok((known != capture).then_some(known));
            }
            let line = inner.put(&Line::Taken { key, capture })?;
            inner.taken.insert(key, capture);
            line
        };
        self.make_durable(line).inspect_err(|_| {
            self.lock().taken.forget(capture);
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
            let known = inner.left.get(source).and_then(|names| names.get(name));
            if known.is_some_and(|left| (left.bytes, left.changed_ns) == (bytes, changed_ns)) {
                return Ok(());
            }
            let line = inner.put(&Line::Left {
                source: source.to_owned(),
                name: name.to_owned(),
                bytes,
                changed_ns: in_64_bits(changed_ns),
            })?;
            inner.leave(source.to_owned(), name.to_owned(), bytes, changed_ns);
            line
        };
        self.make_durable(line).inspect_err(|_| {
            self.lock().left.get_mut(source).and_then(|names| names.remove(name));
        })
    }

    /// Whether this file, which was just listed, was taken and left, and has not changed since. Length and time tell: the
    /// numbers of devices and inodes change when a share is mounted anew.
    pub fn is_left(&self, source: &str, sight: &Sight) -> bool {
        let mut inner = self.lock();
        let known = inner.left.get_mut(source).and_then(|names| names.get_mut(&sight.name));
        known.is_some_and(|left| {
            left.seen = Instant::now();
            (left.bytes, left.changed_ns) == (sight.identity.bytes, sight.identity.changed_ns)
        })
    }

    /// Lets go of files of a source that were left and are gone: not listed since then, while others were. Where none is
    /// listed, another folder may lie in the source's place, as where a share is not mounted; so may it in the place of one
    /// inside it that is empty.
    pub fn let_go_of_gone(&self, source: &str, missing: &Missing<'_>) {
        let mut inner = self.lock();
        let Some(names) = inner.left.get_mut(source) else { return };
        let is_gone = |left: &Left| left.seen <= missing.since;
        if !names.values().all(is_gone) {
            names.retain(|name, left| !is_gone(left) || missing.may_come_back(name, left));
        }
    }

    /// Writes the file anew where most of its lines no longer count.
    ///
    /// # Errors
    ///
    /// Where it cannot be written; it holds on to what it has.
    pub fn tidy(&self) -> io::Result<()> {
        self.tidy_beyond(LINES_SPARE)
    }

    fn tidy_beyond(&self, spare: usize) -> io::Result<()> {
        let mut inner = self.lock();
        let counting = inner.taken.len() + inner.left.values().map(HashMap::len).sum::<usize>();
        if inner.lines > counting.saturating_mul(2).saturating_add(spare) {
            inner.write_anew()
        } else {
            Ok(())
        }
    }

    /// The bytes of a capture are no longer kept: they may be taken again.
    ///
    /// # Errors
    ///
    /// Where it cannot be written down.
    pub fn forget(&self, capture: CaptureId) -> io::Result<()> {
        let (line, key) = {
            let mut inner = self.lock();
            // Even where nothing is known of it: a line that could not be made durable may yet lie on the disk.
            let line = inner.put(&Line::Forgotten { capture })?;
            (line, inner.taken.forget(capture))
        };
        self.make_durable(line).inspect_err(|_| {
            if let Some(key) = key {
                self.lock().taken.insert(key, capture);
            }
        })
    }

    /// Returns once this line and those before it are durable.
    fn make_durable(&self, line: u64) -> io::Result<()> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if *durable >= line {
            return Ok(());
        }
        let (file, written) = {
            let mut inner = self.lock();
            (inner.file()?, inner.written)
        };
        file.sync_data()?;
        *durable = written;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time of a file as a line says it. One beyond that is never that of a file that was left.
fn in_64_bits(changed_ns: i128) -> i64 {
    i64::try_from(changed_ns).unwrap_or(if changed_ns < 0 { i64::MIN } else { i64::MAX })
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
    /// Takes in what the file says.
    fn read(&mut self) -> io::Result<()> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        for line in BufReader::new(file).split(b'\n') {
            let line = line?;
            if line.is_empty() {
                continue;
            }
            match read_line(&line, self.key.as_ref())? {
                Ok(Line::Taken { key, capture }) => self.taken.insert(key, capture),
                Ok(Line::Left { source, name, bytes, changed_ns }) => {
                    self.leave(source, name, bytes, changed_ns.into());
                }
                Ok(Line::Forgotten { capture }) => {
                    self.taken.forget(capture);
                }
                Ok(Line::Ledger { version: 1 } | Line::Sealed { .. }) => {}
                Ok(Line::Ledger { version }) => {
                    let message =
                        format!("{}: written by a newer release (version {version})", self.path.display());
                    return Err(io::Error::other(message));
                }
                Err(error) => tracing::warn!(%error, "a line of the ledger cannot be read"),
            }
        }
        Ok(())
    }

    /// Writes the file anew, durably, with what counts.
    fn write_anew(&mut self) -> io::Result<()> {
        let mut text = Vec::from(VERSION_LINE);
        text.push(b'\n');
        let mut lines = 1;
        let key = self.key.as_ref();
        for (digest, capture) in self.taken.iter() {
            push(&mut text, &Line::Taken { key: digest, capture }, key)?;
            lines += 1;
        }
        for (source, names) in &self.left {
            for (name, Left { bytes, changed_ns, .. }) in names {
                let (source, name) = (source.clone(), name.clone());
                let changed_ns = in_64_bits(*changed_ns);
                push(&mut text, &Line::Left { source, name, bytes: *bytes, changed_ns }, key)?;
                lines += 1;
            }
        }
        // Not to be written to any more, whether or not the next line finds the new one in its place.
        self.file = None;
        durable::write(&self.path, &text)?;
        self.lines = lines;
        self.file().map(drop)
    }

    fn file(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(OpenOptions::new().append(true).open(&self.path)?);
        self.length = file.metadata()?.len();
        self.file = Some(Arc::clone(&file));
        Ok(file)
    }

    fn leave(&mut self, source: String, name: OsString, bytes: u64, changed_ns: i128) {
        let left = Left { bytes, changed_ns, seen: Instant::now() };
        self.left.entry(source).or_default().insert(name, left);
    }

    /// Writes a line, and answers its number. It is durable only after [`Ledger::make_durable`].
    fn put(&mut self, line: &Line) -> io::Result<u64> {
        let mut text = Vec::new();
        push(&mut text, line, self.key.as_ref())?;
        let file = self.file()?;
        match (&*file).write_all(&text) {
            Ok(()) => {
                self.length += text.len() as u64;
                self.lines += 1;
                self.written += 1;
                Ok(self.written)
            }
            Err(error) => {
                // Half a line would spoil the next one; a disk that cannot even do this is told by the next attempt.
                let _ = file.set_len(self.length);
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
            assert_eq!(ledger.is_left("desk", &sight), round > 0, "round {round}: known from the one before");
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

    fn lines(state: &Path) -> usize {
        let text = std::fs::read_to_string(state.join(LEDGER_FILE)).expect("the ledger");
        text.lines().count()
    }

    #[test]
    fn what_was_left_in_a_folder_that_is_empty_now_is_known_again_when_its_share_is_back() {
        let state = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(state.path()).expect("opened");
        let sights = ["a.pdf", "share/b.pdf", "share/inner/c.pdf", "shared/d.pdf", "removed/e.pdf"]
            .map(|name| Sight::made_up(name, 4, 1));
        for sight in &sights {
            ledger.leave("desk", &sight.name, &sight.identity).expect("noted");
        }
        let (before, since) = (Instant::now(), Instant::now());
        assert!(ledger.is_left("desk", &sights[0]), "listed");
        let empty = BTreeSet::from(["share".into()]);
        let left = || sights.each_ref().map(|sight| ledger.is_left("desk", sight));
        let long_ago = before.checked_sub(std::time::Duration::from_secs(60)).expect("a running machine");
        ledger.let_go_of_gone("desk", &Missing { since, empty: &empty, in_empty_since: long_ago });
        assert_eq!(left(), [true, true, true, false, false], "the share may come back");
        let since = Instant::now();
        assert!(ledger.is_left("desk", &sights[0]), "listed");
        ledger.let_go_of_gone("desk", &Missing { since, empty: &empty, in_empty_since: since });
        assert_eq!(left(), [true, false, false, false, false], "not for ever");
    }

    #[test]
    fn what_was_left_and_is_gone_is_let_go_and_the_file_becomes_short_again() {
        let state = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(state.path()).expect("opened");
        let sights: Vec<Sight> =
            (0..20).map(|number| Sight::made_up(&format!("{number}.pdf"), 4, number)).collect();
        for sight in &sights {
            ledger.leave("desk", &sight.name, &sight.identity).expect("noted");
        }
        let (capture, key) = (CaptureId::new(), Digest::of(b"scan"));
        assert_eq!(ledger.take(key, capture).expect("noted"), None);
        let none = BTreeSet::new();
        let missing = |since| Missing { since, empty: &none, in_empty_since: since };
        ledger.let_go_of_gone("desk", &missing(Instant::now()));
        assert!(
            sights.iter().all(|sight| ledger.is_left("desk", sight)),
            "where none is listed, none is gone"
        );
        let gone = Instant::now();
        assert!(ledger.is_left("desk", &sights[3]), "listed");
        ledger.let_go_of_gone("desk", &missing(gone));
        let left: Vec<bool> = sights.iter().map(|sight| ledger.is_left("desk", sight)).collect();
        assert_eq!(left.iter().filter(|is_left| **is_left).count(), 1, "{left:?}");

        ledger.tidy_beyond(100).expect("nothing to do");
        assert_eq!(lines(state.path()), 22);
        ledger.tidy_beyond(0).expect("written anew");
        assert_eq!(lines(state.path()), 3);
        // What comes now goes into the new file.
        ledger.leave("desk", &sights[5].name, &sights[5].identity).expect("noted");
        drop(ledger);
        let ledger = Ledger::open(state.path()).expect("opened again");
        let left: Vec<usize> = (0..20).filter(|number| ledger.is_left("desk", &sights[*number])).collect();
        assert_eq!(left, [3, 5]);
        assert_eq!(ledger.take(key, CaptureId::new()).expect("noted"), Some(capture));
    }
}
