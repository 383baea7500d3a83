//! Back-pressure: whether there is room for another scan. Where there is none, scans wait where they are, in their hot
//! folders, and `status` says why; they are taken as soon as there is room again.

use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::config;
use crate::spool::Spool;
use crate::status::free_bytes;

/// How long a measure of the whole spool holds. What is claimed meanwhile is added to it.
const MEASURE_TIME: Duration = Duration::from_secs(10);

/// What is known of the room there is.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    measured: Option<Measured>,
    /// Bytes of claims under way, which the disk does not show yet, or not all of.
    reserved: u64,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    at: Instant,
    spool_bytes: u64,
}

/// Room kept for a claim until this is dropped.
#[derive(Debug)]
pub(super) struct Reserved<'p> {
    pressure: &'p Pressure,
    bytes: u64,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut inner = self.pressure.lock();
        inner.reserved = inner.reserved.saturating_sub(self.bytes);
    }
}

/// What the decision is made from.
#[derive(Clone, Copy, Debug)]
struct Room {
    /// Free on the disk, less what claims under way take.
    free_bytes: u64,
    spool_bytes: u64,
    waiting: usize,
}

impl Pressure {
    /// Keeps room for a claim of so many more bytes, while `waiting` scans and documents are on their way to the cloud;
    /// if there is none, why the scans wait.
    pub(super) fn room_for(
        &self,
        bytes: u64,
        waiting: usize,
        state: &Path,
        spool: &Spool,
        limits: &config::Spool,
    ) -> Result<Reserved<'_>, String> {
        let mut inner = self.lock();
        let room = inner
            .measure(state, spool, limits)
            .map_err(|error| format!("scans wait here: it cannot be told how much space is free: {error}"))?;
        decide(bytes, Room { waiting, ..room }, limits)?;
        inner.reserved = inner.reserved.saturating_add(bytes);
        if let Some(measured) = &mut inner.measured {
            measured.spool_bytes = measured.spool_bytes.saturating_add(bytes);
        }
        Ok(Reserved { pressure: self, bytes })
    }

    /// Bytes that may be claimed before scans have to wait.
    pub(super) fn room(&self, state: &Path, spool: &Spool, limits: &config::Spool) -> io::Result<u64> {
        let room = self.lock().measure(state, spool, limits)?;
        let on_disk = room.free_bytes.saturating_sub(limits.min_free_mb.saturating_mul(1 << 20));
        let in_spool =
            limits.max_mb.map(|max_mb| max_mb.saturating_mul(1 << 20).saturating_sub(room.spool_bytes));
        Ok(on_disk.min(in_spool.unwrap_or(u64::MAX)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn measure(&mut self, state: &Path, spool: &Spool, limits: &config::Spool) -> io::Result<Room> {
        let spool_bytes = match (limits.max_mb, self.measured) {
            (None, _) => 0,
            (_, Some(measured)) if measured.at.elapsed() < MEASURE_TIME => measured.spool_bytes,
            _ => {
                let spool_bytes = [spool.captures(), spool.documents(), spool.quarantine()]
                    .iter()
                    .map(|folder| bytes_in(folder))
                    .sum::<io::Result<u64>>()?;
                self.measured = Some(Measured { at: Instant::now(), spool_bytes });
                spool_bytes
            }
        };
        let free_bytes = free_bytes(state)?.saturating_sub(self.reserved);
        Ok(Room { free_bytes, spool_bytes, waiting: 0 })
    }
}

/// What files take in a folder, in bytes. What vanishes meanwhile counts nothing; a file under two names counts twice.
fn bytes_in(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0u64;
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes = bytes.saturating_add(bytes_in(&entry.path())?),
            Ok(metadata) => bytes = bytes.saturating_add(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// Pure.
fn decide(bytes: u64, room: Room, limits: &config::Spool) -> Result<(), String> {
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    let min_free = limits.min_free_mb.saturating_mul(1 << 20);
    if room.free_bytes < min_free.saturating_add(bytes) {
        return Err(format!(
            "scans wait here: {} MiB are free for the spool, the next takes {} MiB, and {} MiB stay free \
             (spool.min_free_mb); free some space on that disk",
            room.free_bytes >> 20,
            mib(bytes),
            limits.min_free_mb
        ));
    }
    if let Some(max_mb) = limits.max_mb
        && room.spool_bytes.saturating_add(bytes) > max_mb.saturating_mul(1 << 20)
    {
        return Err(format!(
            "scans wait here: the spool holds {} MiB, the next takes {} MiB, and it may hold {max_mb} MiB \
             (spool.max_mb); it empties as documents are delivered",
            mib(room.spool_bytes),
            mib(bytes)
        ));
    }
    if room.waiting >= limits.max_waiting {
        return Err(format!(
            "scans wait here: {} documents are on their way, as many as may be (spool.max_waiting); they become fewer as \
             documents are delivered",
            room.waiting
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn check(bytes: u64, free_bytes: u64, spool_bytes: u64, waiting: usize, refused_by: Option<&str>) {
        let limits = config::Spool { min_free_mb: 512, max_mb: Some(100), max_waiting: 10 };
        let decided = decide(bytes, Room { free_bytes, spool_bytes, waiting }, &limits);
        match (decided, refused_by) {
            (Ok(()), None) => {}
            (Err(why), Some(limit)) => assert!(why.contains(limit), "{why}"),
            (decided, _) => panic!("{bytes} {free_bytes} {spool_bytes} {waiting}: {decided:?}"),
        }
    }

    #[test]
    fn a_scan_waits_in_its_hot_folder_rather_than_fill_the_disk_or_the_spool_or_the_outbox() {
        check(0, 512 * MIB, 0, 0, None);
        check(1, 512 * MIB, 0, 0, Some("spool.min_free_mb"));
        check(100 * MIB, 612 * MIB, 0, 0, None);
        check(u64::MAX, u64::MAX - 1, 0, 0, Some("spool.min_free_mb"));
        check(MIB, 900 * MIB, 99 * MIB, 0, None);
        check(MIB + 1, 900 * MIB, 99 * MIB, 0, Some("spool.max_mb"));
        check(1, 900 * MIB, 0, 9, None);
        check(1, 900 * MIB, 0, 10, Some("spool.max_waiting"));
    }

    #[test]
    fn what_is_claimed_since_the_last_measure_counts() {
        let state = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(state.path()).expect("a spool");
        let limits = config::Spool { min_free_mb: 0, max_mb: Some(1), max_waiting: 10 };
        let pressure = Pressure::default();
        let room_for = |bytes| pressure.room_for(bytes, 0, state.path(), &spool, &limits).map(drop);
        room_for(MIB / 2).expect("half of it");
        room_for(MIB / 2).expect("the other half");
        room_for(1).expect_err("it is used up");
        assert_eq!(pressure.room(state.path(), &spool, &limits).expect("a measure"), 0);
    }

    #[test]
    fn claims_under_way_share_the_free_space_of_the_disk() {
        let state = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(state.path()).expect("a spool");
        let limits = config::Spool { min_free_mb: 0, max_mb: None, max_waiting: 10 };
        let pressure = Pressure::default();
        let most_of_it = free_bytes(state.path()).expect("a measure") / 3 * 2;
        let room_for = || pressure.room_for(most_of_it, 0, state.path(), &spool, &limits);
        let first = room_for().expect("there is room for one");
        room_for().expect_err("not for two at once");
        drop(first);
        room_for().expect("the first came to nothing");
    }
}
