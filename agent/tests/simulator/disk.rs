//! A disk in memory that loses power.
//!
//! Everything is done at once for whoever looks, and is safe only once it was synced. When the power goes,
//!
//! - of the names that were made, changed and removed since, any may be there and any may not, in any order, as long
//!   as what was done to the same name stays in order (a rename is one such change: both its ends or none);
//! - of the bytes written since, any beginning may be there, with blocks in it that were never written;
//! - what was synced is there.
//!
//! That is at most what a journaling file system promises, and on purpose no more. It can also be full, and it counts
//! its operations so that the power can go at any one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use platen_model::disk::{Disk, Draft, Readers, Stored};

use crate::random::Random;

/// A disk loses or keeps this many bytes at a time.
const BLOCK: usize = 512;
const ROOT: usize = 0;

#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    random: Random,
    nodes: Vec<Node>,
    /// Changes of names that are not synced.
    pending: Vec<Change>,
    full: bool,
    dead: bool,
    operations: u64,
    dies_at: Option<u64>,
}

#[derive(Clone, Debug)]
enum Node {
    File { now: Vec<u8>, safe: Vec<u8> },
    Folder { now: Names, safe: Names },
}

type Names = BTreeMap<OsString, usize>;
type Place = (usize, OsString);

#[derive(Clone, Debug)]
enum Change {
    Named(Place, usize),
    Removed(Place),
    Moved { from: Place, to: Place, node: usize },
}

impl Change {
    fn places(&self) -> Vec<&Place> {
        match self {
            Self::Named(place, _) | Self::Removed(place) => vec![place],
            Self::Moved { from, to, .. } => vec![from, to],
        }
    }
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl SimDisk {
    pub(crate) fn new(random: Random) -> Self {
        let root = Node::Folder { now: Names::new(), safe: Names::new() };
        let inner = Inner {
            random,
            nodes: vec![root],
            pending: Vec::new(),
            full: false,
            dead: false,
            operations: 0,
            dies_at: None,
        };
        Self(Arc::new(Mutex::new(inner)))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nothing panics while it holds the disk")
    }

    /// Lets the power go at the `operations`-th operation from now; never for `None`.
    pub(crate) fn die_after(&self, operations: Option<u64>) {
        let mut inner = self.lock();
        inner.dies_at = operations.map(|operations| inner.operations + operations);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.lock().dead
    }

    pub(crate) fn operations(&self) -> u64 {
        self.lock().operations
    }

    pub(crate) fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// Something else that takes a step of the machine's life, during which the power may go.
    pub(crate) fn step(&self) -> io::Result<()> {
        self.lock().step(false)
    }

    /// The power comes back: what is left?
    pub(crate) fn come_back(&self) {
        self.lock().come_back();
    }

    /// Appends to a file, making it where it is missing.
    pub(crate) fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        let node = match inner.find(path) {
            Ok(node) => node,
            Err(_) => inner.make(path, Node::File { now: Vec::new(), safe: Vec::new() })?,
        };
        inner.write(node, bytes).map(drop)
    }

    /// Fsyncs a file.
    pub(crate) fn sync_file(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        let node = inner.find(path)?;
        inner.sync_node(node)
    }
}

impl Inner {
    fn step(&mut self, needs_room: bool) -> io::Result<()> {
        self.operations += 1;
        if self.dies_at.is_some_and(|at| self.operations >= at) {
            self.dead = true;
        }
        if self.dead {
            return Err(io::Error::other("the power is gone"));
        }
        if needs_room && self.full {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }

    fn names(&mut self, node: usize) -> io::Result<&mut Names> {
        match &mut self.nodes[node] {
            Node::Folder { now, .. } => Ok(now),
            Node::File { .. } => Err(io::Error::from(io::ErrorKind::NotADirectory)),
        }
    }

    fn find(&mut self, path: &Path) -> io::Result<usize> {
        let mut node = ROOT;
        for name in path.iter().filter(|name| *name != "/") {
            node = *self.names(node)?.get(name).ok_or_else(missing)?;
        }
        Ok(node)
    }

    fn place(&mut self, path: &Path) -> io::Result<Place> {
        let name = path.file_name().ok_or_else(missing)?.to_owned();
        Ok((self.find(path.parent().ok_or_else(missing)?)?, name))
    }

    fn make(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        let place = self.place(path)?;
        self.nodes.push(node);
        let made = self.nodes.len() - 1;
        self.names(place.0)?.insert(place.1.clone(), made);
        self.pending.push(Change::Named(place, made));
        Ok(made)
    }

    fn write(&mut self, node: usize, bytes: &[u8]) -> io::Result<usize> {
        let room = self.step(true);
        let Node::File { now, .. } = &mut self.nodes[node] else { return Err(missing()) };
        if let Err(error) = room {
            // A disk that becomes full takes what still fits.
            now.extend_from_slice(&bytes[..bytes.len() / 2]);
            return Err(error);
        }
        now.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn sync_node(&mut self, node: usize) -> io::Result<()> {
        self.step(false)?;
        if let Node::File { now, safe } = &mut self.nodes[node] {
            safe.clone_from(now);
        }
        Ok(())
    }

    /// Makes these pending changes safe, and those they build upon.
    fn settle(&mut self, mut chosen: BTreeSet<usize>) {
        for later in (0..self.pending.len()).rev() {
            if chosen.contains(&later) {
                let places = self.pending[later].places();
                let earlier = (0..later).filter(|earlier| {
                    self.pending[*earlier].places().iter().any(|place| places.contains(place))
                });
                chosen.extend(earlier.collect::<Vec<_>>());
            }
        }
        let pending = std::mem::take(&mut self.pending);
        for (index, change) in pending.into_iter().enumerate() {
            if !chosen.contains(&index) {
                self.pending.push(change);
                continue;
            }
            match change {
                Change::Named(place, node) => self.safe(place, Some(node)),
                Change::Removed(place) => self.safe(place, None),
                Change::Moved { from, to, node } => {
                    self.safe(from, None);
                    self.safe(to, Some(node));
                }
            }
        }
    }

    fn safe(&mut self, (folder, name): Place, node: Option<usize>) {
        if let Node::Folder { safe, .. } = &mut self.nodes[folder] {
            match node {
                Some(node) => drop(safe.insert(name, node)),
                None => drop(safe.remove(&name)),
            }
        }
    }

    fn come_back(&mut self) {
        let kept = [0, 300, 900, 1_000][self.random.index(4)];
        let chosen = (0..self.pending.len()).filter(|_| self.random.chance(kept)).collect();
        self.settle(chosen);
        self.pending.clear();
        for index in 0..self.nodes.len() {
            match &mut self.nodes[index] {
                Node::Folder { now, safe } => now.clone_from(safe),
                Node::File { now, safe } if now == safe => {}
                Node::File { now, safe } => {
                    if now.starts_with(safe) {
                        let torn = torn(&mut self.random, &now[safe.len()..]);
                        safe.extend_from_slice(&torn);
                    } else if self.random.chance(500) {
                        *safe = torn(&mut self.random, now);
                    }
                    now.clone_from(safe);
                }
            }
        }
        (self.dead, self.dies_at) = (false, None);
    }

    /// Removes a name and everything below it, one by one.
    fn remove_tree(&mut self, place: Place, node: usize) -> io::Result<()> {
        if let Node::Folder { now, .. } = &self.nodes[node] {
            for (name, child) in now.clone() {
                self.remove_tree((node, name), child)?;
            }
        }
        self.step(false)?;
        self.names(place.0)?.remove(&place.1);
        self.pending.push(Change::Removed(place));
        Ok(())
    }
}

/// What is left of bytes that were not synced.
fn torn(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    let mut left = bytes[..random.index(bytes.len() + 1)].to_vec();
    for block in left.chunks_mut(BLOCK) {
        if random.chance(200) {
            block.fill(0);
        }
    }
    left
}

struct Open {
    disk: SimDisk,
    node: usize,
    at: u64,
}

impl Read for Open {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.disk.lock();
        inner.step(false)?;
        let Node::File { now, .. } = &inner.nodes[self.node] else {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        };
        let rest = now.get(usize::try_from(self.at).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Open {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let inner = self.disk.lock();
        let Node::File { now, .. } = &inner.nodes[self.node] else { return Err(missing()) };
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => (now.len() as u64).checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

struct Writing {
    disk: SimDisk,
    node: usize,
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.lock().write(self.node, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Draft for Writing {
    fn length(&self) -> io::Result<u64> {
        match &self.disk.lock().nodes[self.node] {
            Node::File { now, .. } => Ok(now.len() as u64),
            Node::Folder { .. } => Err(missing()),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.lock().sync_node(self.node)
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Stored>> {
        let mut inner = self.lock();
        inner.step(false)?;
        let node = inner.find(path)?;
        Ok(Box::new(Open { disk: self.clone(), node, at: 0 }))
    }

    fn create(&self, path: &Path, _readers: Readers) -> io::Result<Box<dyn Draft>> {
        let mut inner = self.lock();
        inner.step(true)?;
        let node = match inner.find(path) {
            Ok(node) => {
                if let Node::File { now, .. } = &mut inner.nodes[node] {
                    now.clear();
                }
                node
            }
            Err(_) => inner.make(path, Node::File { now: Vec::new(), safe: Vec::new() })?,
        };
        Ok(Box::new(Writing { disk: self.clone(), node }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut inner = self.lock();
        inner.step(false)?;
        let node = inner.find(folder)?;
        Ok(inner.names(node)?.keys().cloned().collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut inner = self.lock();
        inner.step(false)?;
        Ok(inner.find(path).is_ok())
    }

    fn is_folder(&self, path: &Path) -> bool {
        let mut inner = self.lock();
        inner.find(path).is_ok_and(|node| matches!(inner.nodes[node], Node::Folder { .. }))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(true)?;
        if inner.find(path).is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        inner.make(path, Node::Folder { now: Names::new(), safe: Names::new() }).map(drop)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(true)?;
        let node = inner.find(from)?;
        let place = inner.place(to)?;
        if inner.names(place.0)?.insert(place.1.clone(), node).is_some() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        inner.pending.push(Change::Named(place, node));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(false)?;
        let node = inner.find(from)?;
        let (from, to) = (inner.place(from)?, inner.place(to)?);
        let there = inner.names(to.0)?.get(&to.1).copied();
        if let Some(there) = there
            && let Node::Folder { now, .. } = &inner.nodes[there]
            && !now.is_empty()
        {
            return Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty));
        }
        inner.names(from.0)?.remove(&from.1);
        inner.names(to.0)?.insert(to.1.clone(), node);
        inner.pending.push(Change::Moved { from, to, node });
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(false)?;
        inner.find(path)?;
        let place = inner.place(path)?;
        inner.names(place.0)?.remove(&place.1);
        inner.pending.push(Change::Removed(place));
        Ok(())
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        let node = inner.find(path)?;
        let place = inner.place(path)?;
        inner.remove_tree(place, node)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut inner = self.lock();
        inner.step(false)?;
        let node = inner.find(folder)?;
        let touches = |change: &Change| change.places().iter().any(|place| place.0 == node);
        let chosen = (0..inner.pending.len()).filter(|index| touches(&inner.pending[*index])).collect();
        inner.settle(chosen);
        Ok(())
    }
}
