//! The databases of an outbox: one in use, made anew when it has grown, set aside when it is broken.
//!
//! ```text
//! outbox/current        the number of the one in use, twice: a flipped bit or a cut must not name another
//! outbox/<number>/      a database; one that `current` does not name was being made, or is done with
//! outbox/broken-<number>/   set aside, for whoever wants to know why; the newest three are kept
//! outbox/broken-<number>/why.json   why, where the disk took it: a full one may not
//! ```
//!
//! A database gives no space back, so it is followed by a new one with what is left: filled, flushed, and only then
//! named in `current`. Whenever that is cut off, `current` names a whole one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platen_model::disk::{self, Disk};
use platen_model::durable;
use serde::{Deserialize, Serialize};

use super::store::{Engine, Store};

/// The databases' folder in the state folder.
const FOLDER: &str = "outbox";
/// The file that names the one in use.
const CURRENT: &str = "current";
/// How databases that were set aside are called.
pub(crate) const BROKEN: &str = "broken-";
/// The file in one of these that says why.
const WHY_FILE: &str = "why.json";
/// How many of those are kept.
const BROKEN_KEPT: usize = 3;

/// Where the databases lie.
#[derive(Debug)]
pub(super) struct Shelf {
    disk: Arc<dyn Disk>,
    engine: Arc<dyn Engine>,
    folder: PathBuf,
}

/// A database in use.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) number: u64,
    pub(super) store: Box<dyn Store>,
}

/// Why a database was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Why {
    /// What failed.
    pub(crate) error: String,
    /// Whether that was for want of space: then nothing is wrong with the disk.
    pub(crate) is_full: bool,
}

impl Why {
    /// What is noted of a database that was set aside; `None` where nothing is.
    pub(crate) fn read(database: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(database.join(WHY_FILE)).ok()?).ok()
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn unnamed() -> io::Error {
    io::Error::other(format!("{FOLDER}/{CURRENT} names no database that is there"))
}

impl Shelf {
    pub(super) fn at(disk: Arc<dyn Disk>, engine: Arc<dyn Engine>, state: &Path) -> Self {
        Self { disk, engine, folder: state.join(FOLDER) }
    }

    /// Opens the database in use; `None` where there is none. Removes those that were being made when the agent was
    /// stopped, and sets aside what `current` no longer tells apart.
    pub(super) fn open(&self) -> io::Result<Option<Result<Volume, (u64, io::Error)>>> {
        durable::on(&*self.disk).create_folder(&self.folder)?;
        let numbers = self.numbers("")?;
        let Some(newest) = numbers.last().copied() else { return Ok(None) };
        let current = self.current()?.filter(|current| numbers.contains(current));
        for number in numbers.into_iter().filter(|number| *number != current.unwrap_or(newest)) {
            match current {
                Some(_) => durable::on(&*self.disk).remove_folder(&self.folder.join(number.to_string()))?,
                None => drop(self.set_aside(number, &unnamed())?),
            }
        }
        let Some(number) = current else {
            return Ok(Some(Err((newest, unnamed()))));
        };
        let folder = self.folder.join(number.to_string());
        let opened = self.engine.open(&folder);
        Ok(Some(opened.map(|store| Volume { number, store }).map_err(|error| (number, error))))
    }

    /// A new database, not yet in use.
    pub(super) fn begin(&self) -> io::Result<Volume> {
        let number = self.unused()?;
        let folder = self.folder.join(number.to_string());
        durable::on(&*self.disk).create_folder(&folder)?;
        let store = self.engine.open(&folder)?;
        self.disk.sync_folder(&folder)?;
        Ok(Volume { number, store })
    }

    /// Takes a database into use. Everything in it must have been flushed.
    pub(super) fn put_in_use(&self, volume: &Volume) -> io::Result<()> {
        let path = self.folder.join(CURRENT);
        let twice = format!("{0} {0}\n", volume.number);
        durable::on(&*self.disk).write(&path, twice.as_bytes()).map(drop)
    }

    /// Removes a database that is done with. Failing that does no harm: the next start does it.
    pub(super) fn remove(&self, number: u64) {
        let removed = durable::on(&*self.disk).remove_folder(&self.folder.join(number.to_string()));
        if let Err(error) = removed {
            tracing::warn!(number, %error, "an old database of the outbox cannot be removed yet");
        }
    }

    /// Sets a closed database aside, with what was wrong with it, and answers its new name.
    pub(super) fn set_aside(&self, number: u64, why: &io::Error) -> io::Result<String> {
        let durably = durable::on(&*self.disk);
        // Another one may have been set aside under its number, where somebody tampered with the folder.
        let is_taken = self.numbers(BROKEN)?.contains(&number);
        let name = format!("{BROKEN}{}", if is_taken { self.unused()? } else { number });
        let from = self.folder.join(number.to_string());
        if self.disk.exists(&from)? {
            durably.rename(&from, &self.folder.join(&name))?;
            let why = Why { error: why.to_string(), is_full: is_full(why) };
            let noted = durably.write(&self.folder.join(&name).join(WHY_FILE), &serde_json::to_vec(&why)?);
            if let Err(error) = noted {
                tracing::warn!(kept = %name, %error, "why it was set aside cannot be noted");
            }
        }
        let broken = self.numbers(BROKEN)?;
        for number in broken.iter().take(broken.len().saturating_sub(BROKEN_KEPT)) {
            durably.remove_folder(&self.folder.join(format!("{BROKEN}{number}")))?;
        }
        Ok(format!("{FOLDER}/{name}"))
    }

    /// The names of what was set aside, oldest first.
    pub(super) fn broken(&self) -> io::Result<Vec<String>> {
        Ok(self.numbers(BROKEN)?.iter().map(|number| format!("{FOLDER}/{BROKEN}{number}")).collect())
    }

    fn current(&self) -> io::Result<Option<u64>> {
        match disk::read(&*self.disk, &self.folder.join(CURRENT)) {
            Ok(bytes) => Ok(String::from_utf8(bytes).ok().and_then(|text| {
                let (number, again) = text.strip_suffix('\n')?.split_once(' ')?;
                if number == again { number.parse().ok() } else { None }
            })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A number that is none of a database, whole or broken.
    fn unused(&self) -> io::Result<u64> {
        let used = self.numbers("")?.into_iter().chain(self.numbers(BROKEN)?).chain(self.current()?);
        Ok(used.max().map_or(1, |last| last + 1))
    }

    /// The numbers of the folders with this prefix, in order.
    fn numbers(&self, prefix: &str) -> io::Result<Vec<u64>> {
        let names = match self.disk.list(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            names => names?,
        };
        let number = |name: &std::ffi::OsString| name.to_str()?.strip_prefix(prefix)?.parse().ok();
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}
