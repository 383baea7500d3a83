//! The kernel's hints that a folder changed. They only make the next listing sooner; losing one costs nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, AccessMode, RemoveKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Keeps the kernel's hints coming for as long as it lives.
#[derive(Debug)]
pub struct Notices {
    _watcher: RecommendedWatcher,
    ended: Arc<AtomicBool>,
}

impl Notices {
    /// Whether hints still come. They end when the folder itself is removed or replaced.
    pub fn are_alive(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }
}

/// Wakes `wake` whenever something happens in `folder`. `None` where the kernel refuses (no such folder, too
/// many watches, a network folder): the periodic listing alone does the work then.
pub fn listen(folder: &Path, wake: Arc<Notify>) -> Option<Notices> {
    let ended = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ended);
    let hint = move |event: notify::Result<Event>| {
        let Ok(event) = event else { return };
        if event.kind == EventKind::Remove(RemoveKind::Folder) {
            flag.store(true, Ordering::Relaxed);
        }
        if matters(event.kind) {
            wake.notify_one();
        }
    };
    let watching = |mut watcher: RecommendedWatcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive).map(|()| watcher)
    };
    match notify::recommended_watcher(hint).and_then(watching) {
        Ok(watcher) => Some(Notices { _watcher: watcher, ended }),
        Err(error) => {
            tracing::debug!(folder = %folder.display(), %error, "no notices; the folder is listed periodically");
            None
        }
    }
}

/// Whether an event can mean that a file came, went or changed. Our own listing opens the folder, which the
/// kernel reports too: waking up for that would never end.
fn matters(kind: EventKind) -> bool {
    !kind.is_access() || kind == EventKind::Access(AccessKind::Close(AccessMode::Write))
}
