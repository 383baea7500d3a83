//! `encryption.json` in the state folder: with which key it is encrypted, since when, and whether the outbox's database was
//! written anew since: what was in it before is plain on the disk until then.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use platen_model::durable;
use serde::{Deserialize, Serialize};

use super::file::MAGIC;

/// The marker's name.
const FILE: &str = "encryption.json";
/// The version of it written by this release.
const VERSION: u32 = 1;
/// Files that are looked at where the marker is missing.
const SAMPLES: usize = 100;

/// What it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    version: u32,
    /// The name of the key.
    pub(super) key: String,
    /// What was stored before may be plain.
    pub(super) since: Timestamp,
    /// The database holds nothing plain any more. Earlier releases did not say so.
    #[serde(default)]
    pub(super) rewritten: bool,
}

pub(super) fn read(state: &Path) -> io::Result<Option<Begun>> {
    let path = state.join(FILE);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(named(error)),
        Ok(bytes) => {
            let begun: Begun = serde_json::from_slice(&bytes).map_err(|error| named(error.into()))?;
            if begun.version > VERSION {
                return Err(named(io::Error::other("written by a newer release")));
            }
            Ok(Some(begun))
        }
    }
}

/// Writes it where it is not there yet. Answers whether that was so.
pub(super) fn begin(state: &Path, key: String, since: Timestamp) -> io::Result<bool> {
    if read(state)?.is_some() {
        return Ok(false);
    }
    durable::create_folder(state)?;
    write(state, &Begun { version: VERSION, key, since, rewritten: false })?;
    Ok(true)
}

/// Notes that the database was written anew.
pub(super) fn note_rewritten(state: &Path) -> io::Result<()> {
    match read(state)? {
        Some(begun) => write(state, &Begun { rewritten: true, ..begun }),
        None => Ok(()),
    }
}

fn write(state: &Path, begun: &Begun) -> io::Result<()> {
    durable::write(&state.join(FILE), &serde_json::to_vec_pretty(begun)?).map(drop)
}

/// Whether some record in the spool is encrypted: a marker that somebody removed must not let us take it for damage.
pub(super) fn seems_sealed(state: &Path) -> bool {
    let spool = state.join("spool");
    let records =
        [("documents", "manifest.json"), ("captures", "capture.json"), ("quarantine", "capture.json")];
    records.iter().any(|(folder, record)| {
        let entries = std::fs::read_dir(spool.join(folder)).into_iter().flatten().flatten();
        entries.take(SAMPLES).any(|entry| begins_sealed(&entry.path().join(record)).unwrap_or(false))
    })
}

fn begins_sealed(path: &PathBuf) -> io::Result<bool> {
    let mut first = [0; MAGIC.len()];
    std::fs::File::open(path)?.read_exact(&mut first)?;
    Ok(first == MAGIC)
}
