//! A disk that loses power: a file system in memory, mounted through FUSE, that keeps at a [`LossyDisk::cut`] what
//! was fsynced, and of the rest a random part.
//!
//! What POSIX leaves open is decided against the program. A file's fsync makes its bytes and length durable, not
//! its name. A folder's fsync makes durable what was done to its names until then, and what that rests on in other
//! folders. At a cut each file becomes a mixture, block by block, of what was written and what was durable, with
//! the length of either; and each folder keeps the first few of the operations that were not synced. A rename
//! from one folder to another is kept in both or in neither, as journaling file systems do.
//!
//! Whoever still runs on the disk when it is cut gets errors from then on.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use crate::random::Sequence;

/// What reaches the disk, or does not, as a whole.
const BLOCK: usize = 4096;
/// How long the kernel may believe what it was told: only it changes anything.
const BELIEVED: Duration = Duration::from_secs(3600);
const ROOT: u64 = 1;
/// The size the disk claims to have, in blocks.
const BLOCKS: u64 = 1 << 22;

/// The disk. It is unmounted when this is dropped.
#[derive(Debug)]
pub struct LossyDisk {
    at: PathBuf,
    shared: Arc<Mutex<Disk>>,
    mount: Option<BackgroundSession>,
}

/// What a cut did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lost {
    /// Files that had bytes that were not synced.
    pub files: usize,
    /// Operations on names that were lost.
    pub names: usize,
}

impl LossyDisk {
    /// An empty disk, mounted at a folder that is there.
    ///
    /// # Errors
    ///
    /// Where this machine, or this user, has no FUSE.
    pub fn mount(at: &Path) -> io::Result<Self> {
        let mut disk = Disk { generation: 0, next: ROOT, nodes: BTreeMap::new(), unsynced: Vec::new() };
        disk.add(Content::Folder { now: BTreeMap::new(), durable: BTreeMap::new() }, 0o755);
        let mut disk = Self { at: at.to_owned(), shared: Arc::new(Mutex::new(disk)), mount: None };
        disk.put_up()?;
        Ok(disk)
    }

    /// Power goes, and comes back: everything that runs on it must have been killed before.
    ///
    /// # Errors
    ///
    /// Where it cannot be mounted again.
    pub fn cut(&mut self, random: &mut Sequence) -> io::Result<Lost> {
        let lost = lock(&self.shared).cut(random);
        self.take_down();
        self.put_up()?;
        Ok(lost)
    }

    fn put_up(&mut self) -> io::Result<()> {
        let generation = lock(&self.shared).generation;
        let view = View { disk: Arc::clone(&self.shared), generation, listings: Mutex::default() };
        self.mount = Some(fuser::spawn_mount(view, &self.at, &Config::default())?);
        Ok(())
    }

    fn take_down(&mut self) {
        // Detached: a child of a killed program may hold it for a moment.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.at).output();
        self.mount = None;
    }
}

impl Drop for LossyDisk {
    fn drop(&mut self) {
        self.take_down();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

type Names = BTreeMap<OsString, u64>;

#[derive(Debug)]
enum Content {
    File {
        now: Vec<u8>,
        durable: Vec<u8>,
    },
    Folder {
        now: Names,
        durable: Names,
    },
    /// What programs on this machine call each other by; only its name is on the disk.
    Socket,
}

#[derive(Debug)]
struct Node {
    content: Content,
    permissions: u16,
    modified: SystemTime,
    links: u32,
}

/// Something that was done to names: in each folder, the name and what it stands for from then on.
#[derive(Clone, Debug)]
struct Change(Vec<(u64, OsString, Option<u64>)>);

impl Change {
    fn folders(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|(folder, _, _)| *folder)
    }
}

#[derive(Debug)]
struct Disk {
    /// How often power went.
    generation: u64,
    next: u64,
    nodes: BTreeMap<u64, Node>,
    /// In the order in which they were done.
    unsynced: Vec<Change>,
}

impl Disk {
    fn add(&mut self, content: Content, permissions: u32) -> u64 {
        let number = self.next;
        self.next += 1;
        let permissions = (permissions & 0o7777) as u16;
        self.nodes.insert(number, Node { content, permissions, modified: SystemTime::now(), links: 1 });
        number
    }

    fn node(&mut self, number: u64) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&number).ok_or(Errno::ENOENT)
    }

    fn names(&mut self, folder: u64) -> Result<&mut Names, Errno> {
        match &mut self.node(folder)?.content {
            Content::Folder { now, .. } => Ok(now),
            Content::File { .. } | Content::Socket => Err(Errno::ENOTDIR),
        }
    }

    fn bytes(&mut self, file: u64) -> Result<&mut Vec<u8>, Errno> {
        match &mut self.node(file)?.content {
            Content::File { now, .. } => Ok(now),
            Content::Folder { .. } => Err(Errno::EISDIR),
            Content::Socket => Err(Errno::ENXIO),
        }
    }

    fn find(&mut self, folder: u64, name: &OsStr) -> Result<u64, Errno> {
        self.names(folder)?.get(name).copied().ok_or(Errno::ENOENT)
    }

    fn attributes(&mut self, number: u64) -> Result<FileAttr, Errno> {
        let node = self.node(number)?;
        let (kind, size) = match &node.content {
            Content::File { now, .. } => (FileType::RegularFile, now.len() as u64),
            Content::Folder { .. } => (FileType::Directory, 0),
            Content::Socket => (FileType::Socket, 0),
        };
        Ok(FileAttr {
            ino: INodeNo(number),
            size,
            blocks: size.div_ceil(512),
            atime: node.modified,
            mtime: node.modified,
            ctime: node.modified,
            crtime: node.modified,
            kind,
            perm: node.permissions,
            nlink: node.links,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            rdev: 0,
            blksize: BLOCK as u32,
            flags: 0,
        })
    }

    /// Does something to names, now; durable it is only after a folder's fsync.
    fn change(&mut self, change: Change) -> Result<(), Errno> {
        for (folder, name, stands_for) in change.0.iter().cloned() {
            let old = match stands_for {
                Some(node) => self.names(folder)?.insert(name, node),
                None => self.names(folder)?.remove(&name),
            };
            if let Some(node) = stands_for {
                self.node(node)?.links += 1;
            }
            if let Some(node) = old {
                self.node(node)?.links -= 1;
            }
            self.node(folder)?.modified = SystemTime::now();
        }
        self.unsynced.push(change);
        Ok(())
    }

    fn make(&mut self, folder: u64, name: &OsStr, content: Content, mode: u32) -> Result<FileAttr, Errno> {
        if self.names(folder)?.contains_key(name) {
            return Err(Errno::EEXIST);
        }
        let number = self.add(content, mode);
        self.node(number)?.links = 0;
        self.change(Change(vec![(folder, name.into(), Some(number))]))?;
        self.attributes(number)
    }

    fn must_be_empty(&mut self, number: u64) -> Result<(), Errno> {
        if self.names(number)?.is_empty() { Ok(()) } else { Err(Errno::ENOTEMPTY) }
    }

    fn rename(&mut self, from: (u64, &OsStr), to: (u64, &OsStr), over: bool) -> Result<(), Errno> {
        let moved = self.find(from.0, from.1)?;
        match self.find(to.0, to.1) {
            Ok(_) if !over => return Err(Errno::EEXIST),
            Ok(there) if there == moved => return Ok(()),
            Ok(there) => match (self.names(moved).is_ok(), self.names(there).is_ok()) {
                (true, true) => self.must_be_empty(there)?,
                (true, false) => return Err(Errno::ENOTDIR),
                (false, true) => return Err(Errno::EISDIR),
                (false, false) => {}
            },
            Err(_) => {}
        }
        let gone = (from.0, from.1.to_owned(), None);
        self.change(Change(vec![(to.0, to.1.to_owned(), Some(moved)), gone]))
    }

    fn sync_file(&mut self, number: u64) -> Result<(), Errno> {
        if let Content::File { now, durable } = &mut self.node(number)?.content {
            durable.clone_from(now);
        }
        Ok(())
    }

    /// Makes durable what was done to a folder's names, and what that rests on.
    fn sync_folder(&mut self, folder: u64) {
        let mut needed = BTreeSet::from([folder]);
        let mut kept: Vec<bool> = Vec::new();
        for change in self.unsynced.iter().rev() {
            let is_needed = change.folders().any(|folder| needed.contains(&folder));
            if is_needed {
                needed.extend(change.folders());
            }
            kept.push(is_needed);
        }
        kept.reverse();
        let (mut synced, mut rest) = (Vec::new(), Vec::new());
        for (change, is_kept) in std::mem::take(&mut self.unsynced).into_iter().zip(kept) {
            if is_kept { synced.push(change) } else { rest.push(change) }
        }
        self.unsynced = rest;
        for change in synced {
            self.make_durable(change);
        }
    }

    fn make_durable(&mut self, change: Change) {
        for (folder, name, stands_for) in change.0 {
            if let Some(Node { content: Content::Folder { durable, .. }, .. }) = self.nodes.get_mut(&folder) {
                match stands_for {
                    Some(node) => durable.insert(name, node),
                    None => durable.remove(&name),
                };
            }
        }
    }

    fn cut(&mut self, random: &mut Sequence) -> Lost {
        let mut lost = Lost::default();
        self.generation += 1;
        // What comes after a lost change in a folder is lost too.
        let mut ended = BTreeSet::new();
        for change in std::mem::take(&mut self.unsynced) {
            if change.folders().any(|folder| ended.contains(&folder)) || random.below(3) == 0 {
                ended.extend(change.folders());
                lost.names += 1;
            } else {
                self.make_durable(change);
            }
        }
        for node in self.nodes.values_mut() {
            match &mut node.content {
                Content::Socket => {}
                Content::Folder { now, durable } => now.clone_from(durable),
                Content::File { now, durable } => {
                    if now != durable {
                        lost.files += 1;
                        *durable = mixture(now, durable, random);
                        now.clone_from(durable);
                    }
                }
            }
        }
        self.forget_unreachable();
        lost
    }

    /// Removes what no name leads to any more, and counts the names of the rest.
    fn forget_unreachable(&mut self) {
        let mut links = BTreeMap::from([(ROOT, 1u32)]);
        let mut to_visit = vec![ROOT];
        while let Some(number) = to_visit.pop() {
            let Ok(names) = self.names(number) else { continue };
            for node in names.values().copied().collect::<Vec<_>>() {
                let count = links.entry(node).or_default();
                *count += 1;
                if *count == 1 {
                    to_visit.push(node);
                }
            }
        }
        self.nodes.retain(|number, _| links.contains_key(number));
        for (number, node) in &mut self.nodes {
            node.links = links[number];
        }
    }
}

/// What a file holds that was not synced: of each block the new or the old, and the length of either.
fn mixture(now: &[u8], durable: &[u8], random: &mut Sequence) -> Vec<u8> {
    let length = if random.below(2) == 0 { now.len() } else { durable.len() };
    let mut mixed = vec![0; length];
    for (index, block) in mixed.chunks_mut(BLOCK).enumerate() {
        let from = if random.below(2) == 0 { now } else { durable };
        let from = from.get(index * BLOCK..).unwrap_or_default();
        let count = from.len().min(block.len());
        block[..count].copy_from_slice(&from[..count]);
    }
    mixed
}

/// The disk as one mount shows it, until power goes.
#[derive(Debug)]
struct View {
    disk: Arc<Mutex<Disk>>,
    generation: u64,
    /// What open folders held when they were opened: a listing is not disturbed by what is removed meanwhile.
    listings: Mutex<BTreeMap<u64, Listing>>,
}

/// The entries of a folder.
type Listing = Vec<(u64, FileType, OsString)>;

impl View {
    fn with<T>(&self, work: impl FnOnce(&mut Disk) -> Result<T, Errno>) -> Result<T, Errno> {
        let mut disk = lock(&self.disk);
        if disk.generation == self.generation { work(&mut disk) } else { Err(Errno::EIO) }
    }

    fn empty(&self, reply: ReplyEmpty, work: impl FnOnce(&mut Disk) -> Result<(), Errno>) {
        match self.with(work) {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }

    fn entry(&self, reply: ReplyEntry, work: impl FnOnce(&mut Disk) -> Result<FileAttr, Errno>) {
        match self.with(work) {
            Ok(attributes) => reply.entry(&BELIEVED, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }
}

fn at_of(time: TimeOrNow) -> SystemTime {
    match time {
        TimeOrNow::SpecificTime(time) => time,
        TimeOrNow::Now => SystemTime::now(),
    }
}

impl Filesystem for View {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(reply, |disk| disk.find(parent.0, name).and_then(|number| disk.attributes(number)));
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        match self.with(|disk| disk.attributes(ino.0)) {
            Ok(attributes) => reply.attr(&BELIEVED, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = self.with(|disk| {
            if let Some(size) = size {
                let size = usize::try_from(size).map_err(|_| Errno::EFBIG)?;
                disk.bytes(ino.0)?.resize(size, 0);
                disk.node(ino.0)?.modified = SystemTime::now();
            }
            let node = disk.node(ino.0)?;
            if let Some(mode) = mode {
                node.permissions = (mode & 0o7777) as u16;
            }
            if let Some(time) = mtime {
                node.modified = at_of(time);
            }
            disk.attributes(ino.0)
        });
        match set {
            Ok(attributes) => reply.attr(&BELIEVED, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let content = Content::Folder { now: Names::new(), durable: Names::new() };
        self.entry(reply, |disk| disk.make(parent.0, name, content, mode & !umask));
    }

    fn mknod(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _rdev: u32,
        reply: ReplyEntry,
    ) {
        use rustix::fs::FileType as Kind;
        let content = match Kind::from_raw_mode(mode) {
            Kind::RegularFile => Content::File { now: Vec::new(), durable: Vec::new() },
            Kind::Socket => Content::Socket,
            _ => return reply.error(Errno::EPERM),
        };
        self.entry(reply, |disk| disk.make(parent.0, name, content, mode & !umask));
    }

    fn create(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let content = Content::File { now: Vec::new(), durable: Vec::new() };
        match self.with(|disk| disk.make(parent.0, name, content, mode & !umask)) {
            Ok(attributes) => {
                reply.created(&BELIEVED, &attributes, Generation(0), FileHandle(0), FopenFlags::empty());
            }
            Err(error) => reply.error(error),
        }
    }

    fn link(&self, _req: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.entry(reply, |disk| {
            if disk.find(parent.0, name).is_ok() {
                return Err(Errno::EEXIST);
            }
            disk.change(Change(vec![(parent.0, name.into(), Some(ino.0))]))?;
            disk.attributes(ino.0)
        });
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(reply, |disk| {
            let number = disk.find(parent.0, name)?;
            if disk.names(number).is_ok() {
                return Err(Errno::EISDIR);
            }
            disk.change(Change(vec![(parent.0, name.into(), None)]))
        });
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.empty(reply, |disk| {
            let number = disk.find(parent.0, name)?;
            disk.must_be_empty(number)?;
            disk.change(Change(vec![(parent.0, name.into(), None)]))
        });
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let over = !flags.contains(RenameFlags::RENAME_NOREPLACE);
        self.empty(reply, |disk| disk.rename((parent.0, name), (newparent.0, newname), over));
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.with(|disk| {
            let bytes = disk.bytes(ino.0)?;
            let from = bytes.len().min(usize::try_from(offset).map_err(|_| Errno::EFBIG)?);
            let to = bytes.len().min(from + size as usize);
            Ok(bytes[from..to].to_vec())
        });
        match read {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.with(|disk| {
            let bytes = disk.bytes(ino.0)?;
            let from = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
            let to = from.checked_add(data.len()).ok_or(Errno::EFBIG)?;
            if bytes.len() < to {
                bytes.resize(to, 0);
            }
            bytes[from..to].copy_from_slice(data);
            disk.node(ino.0)?.modified = SystemTime::now();
            Ok(data.len() as u32)
        });
        match written {
            Ok(count) => reply.written(count),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _req: &Request, _ino: INodeNo, _fh: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        self.empty(reply, |_| Ok(()));
    }

    fn fsync(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.empty(reply, |disk| disk.sync_file(ino.0));
    }

    fn fsyncdir(&self, _req: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        self.empty(reply, |disk| {
            disk.sync_folder(ino.0);
            Ok(())
        });
    }

    fn opendir(&self, _req: &Request, ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let listed = self.with(|disk| {
            let names: Vec<(OsString, u64)> =
                disk.names(ino.0)?.iter().map(|(name, number)| (name.clone(), *number)).collect();
            let mut listing = Vec::new();
            for (name, number) in names {
                listing.push((number, disk.attributes(number)?.kind, name));
            }
            Ok(listing)
        });
        match listed {
            Ok(listing) => {
                let mut listings = lock(&self.listings);
                let handle = listings.last_key_value().map_or(1, |(last, _)| last + 1);
                listings.insert(handle, listing);
                reply.opened(FileHandle(handle), FopenFlags::empty());
            }
            Err(error) => reply.error(error),
        }
    }

    fn readdir(&self, _req: &Request, _ino: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listings = lock(&self.listings);
        let Some(listing) = listings.get(&fh.0) else { return reply.error(Errno::EBADF) };
        for (at, (number, kind, name)) in (1u64..).zip(listing).skip(offset as usize) {
            if reply.add(INodeNo(*number), at, *kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn releasedir(
        &self,
        _req: &Request,
        _ino: INodeNo,
        fh: FileHandle,
        _flags: OpenFlags,
        reply: ReplyEmpty,
    ) {
        lock(&self.listings).remove(&fh.0);
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCK as u32, 255, BLOCK as u32);
    }
}

#[cfg(test)]
mod tests;
