//! The kernel's hints that something happened in a folder. They make the next listing sooner, and tell when a writer
//! closed a file or renamed it into place. Losing any of them costs time, never a file: see [`super::settle`].

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::event::{AccessKind, AccessMode, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::settle::Signal;

/// The most files whose hints are kept between two listings. With more, all are let go: the quiet time does then.
const HEARD_MAX: usize = 100_000;

/// Keeps the kernel's hints coming for as long as it lives.
#[derive(Debug)]
pub struct Notices {
    _watcher: RecommendedWatcher,
    root: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    heard: Mutex<Heard>,
}

/// What was heard since it was last asked for.
#[derive(Debug, Default)]
pub struct Heard {
    /// The last thing heard of each file, by its path within the source.
    pub signals: HashMap<OsString, Signal>,
    /// More was heard than was kept: the absence of a hint means nothing.
    pub lost_some: bool,
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, root: &Path, path: &Path, signal: Signal) {
        let Ok(name) = path.strip_prefix(root) else { return };
        let mut heard = self.heard();
        if heard.signals.len() >= HEARD_MAX {
            heard.signals.clear();
            heard.lost_some = true;
        }
        heard.signals.insert(name.as_os_str().to_owned(), signal);
    }
}

impl Notices {
    /// Whether hints still come. They end when the folder itself is removed or replaced.
    pub fn are_alive(&self) -> bool {
        !self.shared.ended.load(Ordering::Relaxed)
    }

    /// What was heard since the last time. To be asked *after* listing: what the listing shows was written before, and
    /// so its hints are mostly here.
    pub fn take(&self) -> Heard {
        std::mem::take(&mut *self.shared.heard())
    }

    /// Whether anything was heard of this file, without taking it away.
    pub fn heard_of(&self, path: &Path) -> bool {
        let name = path.strip_prefix(&self.root).unwrap_or(path);
        self.shared.heard().signals.contains_key(name.as_os_str())
    }
}

/// Wakes `wake` whenever a file comes or is finished in `folder`. `None` where the kernel refuses (no such folder, too
/// many watches): periodic listing alone does the work then.
pub fn listen(folder: &Path, nested: bool, wake: Arc<Notify>) -> Option<Notices> {
    let shared = Arc::new(Shared::default());
    let (ear, root) = (Arc::clone(&shared), folder.to_owned());
    let hint = move |event: notify::Result<Event>| {
        let Ok(event) = event else { return };
        let is_root = event.paths.first().is_some_and(|path| path == &root);
        if is_root && event.kind == EventKind::Remove(RemoveKind::Folder) {
            ear.ended.store(true, Ordering::Relaxed);
        }
        if event.need_rescan() {
            ear.heard().lost_some = true;
        }
        if let Some(signal) = signal_of(event.kind) {
            // A rename names where from and where to; the latter is last.
            let path = event.paths.last();
            path.into_iter().for_each(|path| ear.note(&root, path, signal));
        }
        if wakes(event.kind) || event.need_rescan() {
            wake.notify_one();
        }
    };
    let mode = if nested { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive };
    let watching = |mut watcher: RecommendedWatcher| watcher.watch(folder, mode).map(|()| watcher);
    // Followed, a link in the folder could lead a watch over the whole file system, or back into the folder, whose
    // files then come under other names.
    let config = notify::Config::default().with_follow_symlinks(false);
    match RecommendedWatcher::new(hint, config).and_then(watching) {
        Ok(watcher) => Some(Notices { _watcher: watcher, root: folder.to_owned(), shared }),
        Err(error) => {
            tracing::debug!(folder = %folder.display(), %error, "no notices; the folder is listed periodically");
            None
        }
    }
}

fn signal_of(kind: EventKind) -> Option<Signal> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Signal::Closed),
        EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => Some(Signal::Renamed),
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
            Some(Signal::Written)
        }
        _ => None,
    }
}

/// Whether an event can mean that a file came or was finished. That one is being written is seen soon enough, and a
/// listing for each block would cost more than the scan; our own listing opens the folder, which the kernel reports too.
fn wakes(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(change) => !matches!(change, ModifyKind::Data(_)),
        _ => true,
    }
}
