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
            let room = free_bytes(&floor.config.state)
                .map_err(|error| format!("cannot tell how much space is free: {error}"))
                .and_then(|free| room_for(offer.bytes(), free, floor.config.spool.min_free_mb));
            if let Err(trouble) = room {
                self.trouble = Some(trouble);
                continue;
            }
            match claim(&floor.spool, &self.source, &offer) {
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

/// Whether a claim of so many bytes leaves enough space free beside the spool; if not, why the scans wait in
/// their hot folder. Pure.
fn room_for(bytes: u64, free_bytes: u64, min_free_mb: u64) -> Result<(), String> {
    if free_bytes >= min_free_mb.saturating_mul(1 << 20).saturating_add(bytes) {
        return Ok(());
    }
    Err(format!(
        "scans wait here: {} MiB are free for the spool, the next takes {} MiB, and {min_free_mb} MiB stay \
         free (spool.min_free_mb); free some space on that disk",
        free_bytes >> 20,
        bytes.div_ceil(1 << 20)
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_scan_waits_in_its_hot_folder_rather_than_fill_the_disk() {
        let check =
            |bytes, free, fits| assert_eq!(room_for(bytes, free, 512).is_ok(), fits, "{bytes} {free}");
        check(0, 512 * MIB, true);
        check(1, 512 * MIB, false);
        check(100 * MIB, 612 * MIB, true);
        check(u64::MAX, u64::MAX - 1, false);
        let trouble = room_for(3 * MIB, 5 * MIB, 512).expect_err("there is no room");
        assert!(trouble.contains("spool.min_free_mb") && trouble.contains("5 MiB are free"), "{trouble}");
        assert_eq!(room_for(MIB, MIB, 0), Ok(()));
    }
}
