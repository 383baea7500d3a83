//! The kernel's hints that a folder changed. They only make the next listing sooner; losing one costs nothing.

use std::path::Path;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Keeps the kernel's hints coming for as long as it lives.
#[derive(Debug)]
pub struct Notices {
    _watcher: Option<RecommendedWatcher>,
}

/// Wakes `wake` whenever something happens in `folder`. Where the kernel refuses (too many watches, a
/// network folder), the periodic listing alone does the work, and a line in the log says so.
pub fn listen(folder: &Path, wake: Arc<Notify>) -> Notices {
    let hint = move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| matters(event.kind)) {
            wake.notify_one();
        }
    };
    let made = notify::recommended_watcher(hint)
        .and_then(|mut watcher| watcher.watch(folder, RecursiveMode::NonRecursive).map(|()| watcher));
    match made {
        Ok(watcher) => Notices { _watcher: Some(watcher) },
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "no notices for this folder; it is listed periodically");
            Notices { _watcher: None }
        }
    }
}

/// Whether an event can mean that a file came, went or changed. Our own listing opens the folder, which the
/// kernel reports too: waking up for that would never end.
fn matters(kind: EventKind) -> bool {
    !kind.is_access() || kind == EventKind::Access(AccessKind::Close(AccessMode::Write))
}
