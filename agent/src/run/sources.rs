//! One hot folder: listed, settled, claimed, released.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::Floor;
use crate::Complaint;
use crate::claim::{Claimed, NoStop, Release, claim};
use crate::config::Source;
use crate::status::free_bytes;
use crate::watch::listing::list;
use crate::watch::notices::{self, Notices};
use crate::watch::{Offer, Tray};

/// No scan is taken while less than this is free beside the spool: a full disk there would stop the captures
/// that are already taken. The scans wait in their hot folders, and `status` says so.
const FREE_BYTES_MIN: u64 = 256 << 20;
/// The shortest time between two listings, whatever the kernel's notices say.
const LISTING_PAUSE: Duration = Duration::from_millis(50);

/// A hot folder under watch.
#[derive(Debug)]
pub(super) struct SourceWatch {
    source: Source,
    tray: Tray,
    /// Claimed, but a source file could not be removed yet. While one is here, its files are not claimed again.
    unreleased: Vec<Claimed>,
    /// The last trouble of releasing or claiming.
    trouble: Option<String>,
}

impl SourceWatch {
    /// A watch for each configured source, with the captures that wait for their release.
    pub(super) fn all(floor: &Floor, unreleased: Vec<(Claimed, io::Error)>) -> Result<Vec<Self>, Complaint> {
        let mut watches = Vec::new();
        for source in &floor.config.sources {
            let tray = Tray::new(source).map_err(|error| {
                let failed = format!("source {}: {error}", source.name);
                Complaint::new(failed, "nothing was taken", "correct batch.pattern")
            })?;
            watches.push(Self { source: source.clone(), tray, unreleased: Vec::new(), trouble: None });
        }
        for (claimed, error) in unreleased {
            let folder = &claimed.record().folder;
            match watches.iter_mut().find(|watch| &watch.source.folder == folder) {
                Some(watch) => watch.unreleased.push(claimed),
                // Its bytes are safe in the spool; it goes on when its folder is configured again.
                None => tracing::error!(
                    capture = %claimed.record().capture_id, folder = %folder.display(), %error,
                    "a claimed scan cannot be taken out of a folder that is no longer a source"
                ),
            }
        }
        Ok(watches)
    }

    /// Looks once: releases what waits, lists, claims what is whole. Answers when to look again.
    pub(super) fn look(&mut self, floor: &Floor) -> Duration {
        self.trouble = None;
        for claimed in std::mem::take(&mut self.unreleased) {
            self.release(floor, claimed);
        }
        let listed = list(&self.source.folder);
        let now = floor.tick();
        match listed {
            Ok(listing) => {
                let offers = self.tray.look(listing, now);
                self.claim_all(floor, offers);
            }
            Err(error) => self.trouble = Some(format!("cannot list the folder: {error}")),
        }
        let now = floor.tick();
        floor.board.source(&self.source.name, self.tray.count(now), self.trouble.clone());
        let rescan = self.source.rescan_ms;
        let next = self.tray.next_look_ms(now).map_or(rescan, |next| next.min(rescan));
        Duration::from_millis(next.max(1)).max(LISTING_PAUSE)
    }

    fn claim_all(&mut self, floor: &Floor, offers: Vec<Offer>) {
        for offer in offers {
            if floor.stop.is_cancelled() || self.is_claimed(&offer) {
                continue;
            }
            match free_bytes(&floor.config.state) {
                Ok(free) if free >= FREE_BYTES_MIN => {}
                Ok(free) => {
                    let free = free >> 20;
                    self.trouble = Some(format!("scans wait here: only {free} MiB are free for the spool"));
                    return;
                }
                Err(error) => {
                    self.trouble = Some(format!("cannot tell how much space is free: {error}"));
                    return;
                }
            }
            match claim(&floor.spool, &self.source, &offer, &NoStop) {
                Ok(Some(claimed)) => self.release(floor, claimed),
                Ok(None) => offer.files.iter().for_each(|file| self.tray.forget(&file.name)),
                Err(error) => {
                    let name = offer.files.first().map(|file| file.name.to_string_lossy().into_owned());
                    self.trouble = Some(format!("cannot take {}: {error}", name.unwrap_or_default()));
                }
            }
        }
    }

    fn release(&mut self, floor: &Floor, claimed: Claimed) {
        match claimed.release(&NoStop) {
            Release::Done(released) => {
                let record = &released.record;
                for file in &record.files {
                    self.tray.forget(&file.name);
                    tracing::info!(
                        capture = %record.capture_id, source = %record.source, file = %file.display_name(),
                        bytes = file.bytes, sha256 = %file.sha256, "claimed"
                    );
                }
                floor.hand_to_capture(released);
            }
            Release::Undone => {}
            Release::Stuck(claimed, error) => {
                let name = claimed.record().files.first().map(|file| file.display_name());
                self.trouble = Some(format!("cannot remove {}: {error}", name.unwrap_or_default()));
                self.unreleased.push(*claimed);
            }
        }
    }

    fn is_claimed(&self, offer: &Offer) -> bool {
        let claimed =
            |name| self.unreleased.iter().any(|one| one.record().files.iter().any(|file| &file.name == name));
        offer.files.iter().any(|file| claimed(&file.name))
    }
}

/// Watches a hot folder until the agent stops.
pub(super) async fn watch(floor: Arc<Floor>, mut watch: SourceWatch) -> io::Result<()> {
    let wake = Arc::new(Notify::new());
    let mut notices: Option<Notices> = None;
    loop {
        // Listened to before it is listed, so that nothing falls between the two.
        if notices.as_ref().is_none_or(|notices| !notices.are_alive()) {
            notices = notices::listen(&watch.source.folder, Arc::clone(&wake));
        }
        let shared = Arc::clone(&floor);
        let look = move || {
            let next = watch.look(&shared);
            (watch, next)
        };
        let next;
        (watch, next) = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?;
        tokio::select! {
            () = floor.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(next) => {}
            () = wake.notified() => {
                // A file being written sends a notice for every block: let some gather.
                tokio::time::sleep(LISTING_PAUSE).await;
            }
        }
    }
}
