//! One hot folder: listed, settled, claimed, released.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use platen_capture::decode::Ending;
use tokio::sync::Notify;

use super::Floor;
use super::aside::Aside;
use super::pressure::Reserved;
use crate::Complaint;
use crate::claim::{Claimed, Missing, NoStop, Release, claim, open_inside};
use crate::config::{Events, Source};
use crate::names::shown;
use crate::spool::Spool;
use crate::spool::capture::stored_name;
use crate::status::{SourceStatus, WatchedBy};
use crate::watch::listing::{files_inside, list};
use crate::watch::notices::{self, Heard, Notices};
use crate::watch::probe::{self, Doubt};
use crate::watch::{Habits, Identity, Offer, Scope, Sight, Tray};

/// The shortest time between two listings, whatever the kernel's notices say.
const LISTING_PAUSE: Duration = Duration::from_millis(50);
/// The same in times of what a listing takes: a folder of very many files must not keep a core busy.
const LISTING_COSTS: u32 = 10;
/// The time between two listings that nothing asked for, in times of what one takes.
const RESCAN_COSTS: u32 = 100;
/// How long files are looked into, or claimed, before the folder is listed again.
const WORK_TIME: Duration = Duration::from_secs(1);
/// How many claims are made at once. A claim is mostly waiting for the disk, and a disk makes many things durable in the
/// time of one.
const CLAIMS_AT_ONCE: usize = 16;
/// The first and the longest wait before a source that cannot be removed is tried again.
const RELEASE_WAIT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// How often habits are kept, silence is weighed and old files are removed from `done`.
const CHORES_EVERY: Duration = Duration::from_secs(60);
/// How long a file that was left where it lies is missing before it is forgotten.
const LEFT_MISSING: Duration = Duration::from_secs(60 * 60);
/// The same of one whose folder is empty: a share that is not mounted, perhaps over holidays.
const LEFT_MISSING_IN_EMPTY: Duration = Duration::from_secs(60 * 24 * 3600);

/// A hot folder under watch.
#[derive(Debug)]
pub(super) struct SourceWatch {
    source: Source,
    scope: Scope,
    tray: Tray,
    /// Claimed, but a source file could not be removed yet. While one is here, its files are not claimed again.
    unreleased: Vec<Unreleased>,
    /// Why the last of these could not be.
    unremoved: Option<String>,
    habits_file: PathBuf,
    aside: Aside,
    chores_done: Option<Instant>,
    status: SourceStatus,
    watched: Watched,
}

/// A claim whose sources could not be taken away.
#[derive(Debug)]
struct Unreleased {
    claimed: Claimed,
    tries: u32,
    /// Each try reads the sources again, and those of a file server are far away.
    again_at: Instant,
}

impl Unreleased {
    fn after(claimed: Claimed, tries: u32) -> Self {
        let wait = match tries {
            // Most often another claim of the same bytes, or a file that was open for a moment.
            0 | 1 => Duration::ZERO,
            _ => RELEASE_WAIT.0.saturating_mul(1 << (tries - 2).min(16)).min(RELEASE_WAIT.1),
        };
        Self { claimed, tries, again_at: Instant::now() + wait }
    }
}

/// How changes are noticed.
#[derive(Debug)]
struct Watched {
    notices: Option<Arc<Notices>>,
    /// The folder that the notices are of: another may be mounted over it.
    root: Option<(u64, u64)>,
    doubt: Doubt,
    /// Once events were found wanting they are not trusted again until the agent is started anew.
    distrusted: bool,
    /// There is something to compare changes with.
    listed_before: bool,
    /// What was last said of it in the log.
    announced: Option<WatchedBy>,
}

/// How far a claim came.
enum Taken {
    /// As far as its release.
    Released(Release),
    /// Its copy does not end as its source did: it was given up.
    NotWhole,
    /// A file changed or went away since it was offered.
    Changed,
    /// Nothing was claimed.
    Failed(io::Error),
}

/// When to look again.
#[derive(Clone, Copy, Debug)]
struct Next {
    /// In any case.
    within: Duration,
    /// After a notice.
    pause: Duration,
}

/// Claims, and releases the claim if its copies end as their sources did: what was copied may be another state of the
/// file than what was looked into, and a file server may have shown an old time for new bytes.
fn take(floor: &Floor, source: &Source, tray: &Tray, offer: &Offer) -> Taken {
    let claimed = match claim(&floor.spool, source, offer) {
        Ok(Some(claimed)) => claimed,
        Ok(None) => return Taken::Changed,
        Err(error) => return Taken::Failed(error),
    };
    let seemed_whole = |sight: &Sight| tray.seemed_whole(&sight.name);
    match is_cut_off(&floor.spool, &claimed, offer, seemed_whole, |copy| floor.gate.ending(copy)) {
        Ok(false) => Taken::Released(claimed.release(&floor.ledger, &NoStop)),
        Ok(true) => given_up(claimed, Taken::NotWhole),
        Err(error) => given_up(claimed, Taken::Failed(error)),
    }
}

/// Whether a copy ends too early whose source seemed whole. A copy of which nothing can be said goes on: capture meets the
/// same trouble in a way that is counted and told, where another claim would meet it again for ever.
fn is_cut_off(
    spool: &Spool,
    claimed: &Claimed,
    offer: &Offer,
    seemed_whole: impl Fn(&Sight) -> bool,
    ending: impl Fn(&File) -> Ending,
) -> io::Result<bool> {
    for (index, _) in offer.files.iter().enumerate().filter(|(_, sight)| seemed_whole(sight)) {
        let copy = spool.open_for_worker(&claimed.folder().join(stored_name(index)))?;
        if matches!(ending(&copy), Ending::Unfinished { .. }) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn given_up(claimed: Claimed, why: Taken) -> Taken {
    claimed.undo().map_or_else(Taken::Failed, |()| why)
}

impl SourceWatch {
    /// A watch for each configured source, with the captures that wait for their release.
    pub(super) fn all(floor: &Floor, unreleased: Vec<(Claimed, io::Error)>) -> Result<Vec<Self>, Complaint> {
        let mut watches = Vec::new();
        for source in &floor.config.sources {
            let habits_file = Habits::file(&floor.config.state, &source.name);
            let tray = Tray::new(source, Habits::read(&habits_file)).map_err(|error| {
                let failed = format!("source {}: {error}", source.name);
                Complaint::new(failed, "nothing was taken", "correct batch.pattern or duplex.pattern")
            })?;
            watches.push(Self {
                scope: Scope::of(source),
                tray,
                unreleased: Vec::new(),
                unremoved: None,
                habits_file,
                aside: Aside::of(source),
                chores_done: None,
                status: SourceStatus { name: source.name.clone(), ..SourceStatus::default() },
                watched: Watched {
                    notices: None,
                    root: None,
                    doubt: Doubt::default(),
                    distrusted: source.events == Events::Never,
                    listed_before: false,
                    announced: None,
                },
                source: source.clone(),
            });
        }
        for (claimed, error) in unreleased {
            let folder = &claimed.record().folder;
            match watches.iter_mut().find(|watch| &watch.source.folder == folder) {
                Some(watch) => watch.unreleased.push(Unreleased::after(claimed, 1)),
                // Nobody watches that folder any more: what lies there stays, and its copy goes on.
                None => {
                    tracing::error!(
                        capture = %claimed.record().capture_id, folder = %folder.display(), %error,
                        "a claimed scan stays in a folder that is no longer a source; its copy goes on"
                    );
                    match claimed.release_without_sources(&floor.ledger) {
                        Ok(Some(released)) => floor.hand_to_capture(released),
                        Ok(None) => {}
                        Err(error) => tracing::error!(%error, "it goes on after the next start"),
                    }
                }
            }
        }
        Ok(watches)
    }

    /// Begins to listen, where that is not done or was of another folder, and finds out whether it can be relied on.
    fn listen(&mut self, wake: &Arc<Notify>) {
        let root = std::fs::metadata(&self.source.folder).ok().map(|of| (of.dev(), of.ino()));
        let alive = self.watched.notices.as_ref().is_some_and(|notices| notices.are_alive());
        if (alive && root == self.watched.root) || self.source.events == Events::Never {
            if self.source.events == Events::Never {
                self.status.watched_by = polling("so configured");
            }
            return;
        }
        self.watched.root = root;
        self.watched.listed_before = false;
        let folder = &self.source.folder;
        self.watched.notices = notices::listen(folder, self.source.nested, Arc::clone(wake)).map(Arc::new);
        self.status.watched_by = match (&self.watched.notices, probe::deaf_file_system(folder)) {
            _ if self.watched.distrusted => polling("changes came that no event announced"),
            (_, Err(error)) => polling(&format!("the folder cannot be looked at: {error}")),
            (None, _) => polling("the kernel gives no events for it"),
            (_, Ok(Some(kind))) => {
                polling(&format!("it is on {kind}, where other machines' changes make no events"))
            }
            (Some(notices), Ok(None)) => match probe::events_arrive(folder, notices) {
                Ok(true) => WatchedBy::Events,
                Ok(false) => polling("no event came of a file made to try it"),
                Err(error) => polling(&format!("no file can be made in it to try events: {error}")),
            },
        };
        // A folder that is missing is looked for at every listing.
        if self.watched.announced.as_ref() != Some(&self.status.watched_by) {
            tracing::info!(source = %self.source.name, watched_by = %self.status.watched_by, "watched");
            self.watched.announced = Some(self.status.watched_by.clone());
        }
    }

    /// Looks once: releases what waits, lists, looks into what stands still, claims what is whole.
    fn look(&mut self, floor: &Floor) -> Next {
        self.status.trouble = None;
        self.release_again(floor);
        let begun = Instant::now();
        let mut listing_cost = Duration::ZERO;
        let (mut more, mut empty) = (false, None);
        let name = &self.source.name;
        let resting = |sight: &Sight| floor.ledger.is_left(name, sight);
        // Looked for each time: once the data are installed, the scans that wait are taken.
        let listed = match floor.config.lacks_language(&self.source) {
            Some(failure) => Err(format!("no scan is taken from it: {}", failure.message)),
            None => list(&self.source.folder, &self.scope, resting)
                .map_err(|error| format!("cannot list the folder: {error}")),
        };
        match listed {
            Ok(mut listing) => {
                empty = (!listing.has_gaps).then(|| std::mem::take(&mut listing.empty));
                let heard = self.watched.notices.as_ref().map(|notices| notices.take()).unwrap_or_default();
                let changed = self.tray.take_in(listing, &heard, resting, floor.tick());
                self.weigh(&changed, &heard);
                listing_cost = begun.elapsed().min(WORK_TIME);
                more |= self.examine_all(floor);
                more |= self.claim_all(floor);
            }
            Err(trouble) => {
                self.watched.listed_before = false;
                self.status.trouble = Some(trouble);
            }
        }
        let view = self.tray.view(floor.tick());
        self.do_chores(floor, empty.as_ref());
        self.unremoved = self.unremoved.take().filter(|_| !self.unreleased.is_empty());
        self.status.trouble = self.status.trouble.take().or_else(|| self.unremoved.clone());
        self.tell(floor, view.count, view.told);
        let pause = LISTING_PAUSE.max(listing_cost * LISTING_COSTS);
        let idle_ms = match self.status.watched_by {
            WatchedBy::Events => self.source.rescan_ms,
            WatchedBy::Polling { .. } => self.source.poll_ms.min(self.source.rescan_ms),
        };
        let idle = Duration::from_millis(idle_ms.max(1)).max(listing_cost * RESCAN_COSTS);
        let release =
            self.unreleased.iter().map(|one| one.again_at.saturating_duration_since(Instant::now())).min();
        let next_look = view.next_look_ms.map(Duration::from_millis).into_iter().chain(release).min();
        let within = match next_look {
            _ if more => LISTING_PAUSE,
            Some(next) => idle.min(next).max(pause),
            None => idle,
        };
        Next { within, pause }
    }

    fn weigh(&mut self, changed: &[std::ffi::OsString], heard: &Heard) {
        // What was there at the first listing came before we listened.
        if std::mem::replace(&mut self.watched.listed_before, true)
            && self.status.watched_by == WatchedBy::Events
            && self.watched.doubt.weigh(changed, heard)
        {
            tracing::warn!(source = %self.source.name, "changes come that no event announces; it is polled from now on");
            self.watched.distrusted = true;
            self.status.watched_by = polling("changes came that no event announced");
        }
    }

    /// Looks into the files that stand still. Answers whether some are left for the next time.
    fn examine_all(&mut self, floor: &Floor) -> bool {
        let begun = Instant::now();
        let unexamined = self.tray.view(floor.tick()).unexamined;
        for sight in &unexamined {
            if floor.stop.is_cancelled() || begun.elapsed() > WORK_TIME {
                return true;
            }
            match open_inside(&self.source.folder, &sight.name) {
                Ok(Some(file)) => {
                    let ending = floor.gate.ending(&file);
                    // What was looked into must be what was listed, before and after.
                    if file.metadata().is_ok_and(|metadata| Identity::of(&metadata) == sight.identity) {
                        self.tray.examined(sight, ending);
                    }
                }
                Ok(None) => {}
                Err(error) => self.hinder(floor, sight, &error),
            }
        }
        false
    }

    /// Claims what is whole, some at once. Answers whether something is left for the next time.
    fn claim_all(&mut self, floor: &Floor) -> bool {
        let begun = Instant::now();
        let offers = self.tray.view(floor.tick()).offers;
        let offers: Vec<Offer> = offers.into_iter().filter(|offer| !self.is_claimed(offer)).collect();
        for some in offers.chunks(CLAIMS_AT_ONCE) {
            if floor.stop.is_cancelled() || begun.elapsed() > WORK_TIME {
                return true;
            }
            let some: Vec<(&Offer, Reserved<'_>)> =
                some.iter().filter_map(|offer| Some((offer, self.room(floor, offer)?))).collect();
            let (source, tray) = (&self.source, &self.tray);
            let taken: Vec<Taken> = std::thread::scope(|scope| {
                let begin = |offer| scope.spawn(move || take(floor, source, tray, offer));
                let claims: Vec<_> = some.iter().map(|(offer, _)| *offer).map(begin).collect();
                let panicked = |_| Taken::Failed(io::Error::other("the claim panicked; the log says where"));
                claims.into_iter().map(|claim| claim.join().unwrap_or_else(panicked)).collect()
            });
            for ((offer, _room), taken) in some.into_iter().zip(taken) {
                match taken {
                    Taken::Released(release) => self.released(floor, release, 0),
                    Taken::NotWhole => {
                        let name = offer.files.first().map(|file| shown(&file.name));
                        tracing::warn!(
                            file = name.unwrap_or_default(),
                            "its copy is not whole; it is watched on"
                        );
                        self.came_back(floor, offer);
                    }
                    Taken::Changed => self.came_back(floor, offer),
                    Taken::Failed(error) => {
                        offer.files.iter().for_each(|sight| self.hinder(floor, sight, &error));
                    }
                }
            }
        }
        false
    }

    /// Room for an offer; if there is none, that is told.
    fn room<'f>(&mut self, floor: &'f Floor, offer: &Offer) -> Option<Reserved<'f>> {
        let config = &floor.config;
        let waiting = floor.on_their_way();
        let room =
            floor.pressure.room_for(offer.bytes(), waiting, &config.state, &floor.spool, &config.spool);
        room.map_err(|why| self.status.trouble = Some(why)).ok()
    }

    fn came_back(&mut self, floor: &Floor, offer: &Offer) {
        let now = floor.tick();
        offer.files.iter().for_each(|sight| self.tray.came_back(&sight.name, now));
    }

    fn hinder(&mut self, floor: &Floor, sight: &Sight, error: &io::Error) {
        let name = shown(&sight.name);
        self.status.trouble = Some(format!("cannot take {name}: {error}"));
        self.tray.hinder(&sight.name, format!("it cannot be taken: {error}"), floor.tick());
    }

    /// Tries once more to take away the sources whose time has come.
    fn release_again(&mut self, floor: &Floor) {
        let now = Instant::now();
        for one in std::mem::take(&mut self.unreleased) {
            if one.again_at > now {
                self.unreleased.push(one);
            } else {
                self.released(floor, one.claimed.release(&floor.ledger, &NoStop), one.tries);
            }
        }
    }

    /// What came of a release that had failed so often before.
    fn released(&mut self, floor: &Floor, release: Release, tries: u32) {
        match release {
            Release::Done(released) => {
                let record = &released.record;
                self.tray.taken(record.files.iter().map(|file| &file.name), Timestamp::now());
                for file in &record.files {
                    tracing::info!(
                        capture = %record.capture_id, source = %record.source, file = %file.display_name(),
                        bytes = file.bytes, sha256 = %file.sha256, "claimed"
                    );
                }
                floor.hand_to_capture(*released);
            }
            Release::Duplicate { record, of } => {
                self.tray.taken(record.files.iter().map(|file| &file.name), Timestamp::now());
                let file = record.files.first().map(|file| file.display_name()).unwrap_or_default();
                tracing::info!(source = %record.source, %file, %of, "a duplicate: its bytes were taken before");
                self.status.duplicates += 1;
                self.status.last_duplicate = Some(format!("{file} has the bytes of capture {of}"));
            }
            Release::Undone(record) => {
                let file = record.files.first().map(|file| file.display_name()).unwrap_or_default();
                tracing::warn!(%file, "it was written to after it had been copied; it is watched on");
                let now = floor.tick();
                record.files.iter().for_each(|file| self.tray.came_back(&file.name, now));
            }
            Release::Stuck(claimed, error) => {
                let name = claimed.record().files.first().map(|file| file.display_name());
                self.unremoved = Some(format!("cannot remove {}: {error}", name.unwrap_or_default()));
                self.unreleased.push(Unreleased::after(*claimed, tries + 1));
            }
        }
    }

    fn is_claimed(&self, offer: &Offer) -> bool {
        let has = |one: &Unreleased, name| one.claimed.record().files.iter().any(|file| &file.name == name);
        let claimed = |name| self.unreleased.iter().any(|one| has(one, name));
        offer.files.iter().any(|file| claimed(&file.name))
    }

    /// What is done now and then, after a listing: with its empty folders, where it was whole.
    fn do_chores(&mut self, floor: &Floor, empty: Option<&BTreeSet<OsString>>) {
        if self.chores_done.is_some_and(|done| done.elapsed() < CHORES_EVERY) {
            return;
        }
        // Not at the first look: it would only write what was read.
        if self.chores_done.replace(Instant::now()).is_some() {
            self.keep_habits();
        }
        self.status.silence = self.tray.habits.silence(Timestamp::now());
        self.status.files_inside = files_inside(&self.source.folder, &self.scope);
        let ago = |time| Instant::now().checked_sub(time);
        if let Some(empty) = empty
            && let (Some(since), Some(in_empty_since)) = (ago(LEFT_MISSING), ago(LEFT_MISSING_IN_EMPTY))
        {
            floor.ledger.let_go_of_gone(&self.source.name, &Missing { since, empty, in_empty_since });
        }
        if let Err(error) = floor.ledger.tidy() {
            tracing::warn!(source = %self.source.name, %error, "the ledger cannot be written anew; it goes on growing");
        }
        if let Err(error) = self.aside.clear(Timestamp::now()) {
            self.status.trouble = Some(format!("cannot remove old files from done: {error}"));
        }
    }

    fn keep_habits(&self) {
        if let Err(error) = self.tray.habits.write(&self.habits_file) {
            tracing::warn!(source = %self.source.name, %error, "its habits cannot be kept");
        }
    }

    fn tell(
        &mut self,
        floor: &Floor,
        count: crate::watch::tray::TrayCount,
        told: Vec<crate::watch::tray::FileState>,
    ) {
        self.status.files = count;
        self.status.told = told;
        let patience = self.tray.patience();
        self.status.quiet_ms = patience.quiet_ms;
        self.status.growable_quiet_ms = patience.growable_quiet_ms;
        let is_to_be_learned = self.source.quiet_ms.is_none();
        self.status.quiet_is_learned = is_to_be_learned && self.tray.habits.has_learned();
        self.status.quiet_is_unknown = is_to_be_learned && !self.tray.habits.has_learned();
        self.status.taken_today = self.tray.habits.taken_today(Timestamp::now());
        floor.board.source(self.status.clone());
    }
}

fn polling(why: &str) -> WatchedBy {
    WatchedBy::Polling { why: why.to_owned() }
}

/// Watches a hot folder until the agent stops.
pub(super) async fn watch(floor: Arc<Floor>, mut watch: SourceWatch) -> io::Result<()> {
    let wake = Arc::new(Notify::new());
    loop {
        let (shared, waker) = (Arc::clone(&floor), Arc::clone(&wake));
        let look = move || {
            // Listened to before it is listed, so that nothing falls between the two.
            watch.listen(&waker);
            let next = watch.look(&shared);
            (watch, next)
        };
        let next;
        (watch, next) = tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?;
        tokio::select! {
            () = floor.stop.cancelled() => break,
            () = tokio::time::sleep(next.within) => {}
            () = wake.notified() => {
                // Notices come in crowds: let some gather.
                tokio::time::sleep(next.pause).await;
            }
        }
    }
    watch.keep_habits();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the copy of a file that seemed whole counts as cut off, where the worker finds that it ends like this.
    fn check(found: Ending, loses_copy: bool) -> io::Result<bool> {
        let folder = tempfile::tempdir().expect("a folder");
        let source = Source::new("desk", folder.path().join("inbox"));
        std::fs::create_dir(&source.folder).expect("a hot folder");
        std::fs::write(source.folder.join("a.tif"), b"page").expect("a scan");
        let spool = Spool::open(folder.path()).expect("a spool");
        let files = list(&source.folder, &Scope::of(&source), |_| false).expect("a listing").files;
        let offer = Offer { files, markers: Vec::new(), stack: None, why: "a test" };
        let claimed = claim(&spool, &source, &offer).expect("it can be read").expect("it did not change");
        if loses_copy {
            platen_model::durable::remove_file(&claimed.folder().join(stored_name(0))).expect("removed");
        }
        is_cut_off(&spool, &claimed, &offer, |_| true, |_| found.clone())
    }

    #[test]
    fn only_a_copy_that_ends_too_early_is_given_up_as_one() {
        let cut = Ending::Unfinished { why: "no end".into() };
        assert!(check(cut.clone(), false).expect("it is looked into"));
        assert!(!check(Ending::Properly { may_grow: true }, false).expect("it is looked into"));
        assert!(!check(Ending::Unknown, false).expect("a worker that cannot say leaves it open"));
        check(cut, true).expect_err("a copy that cannot be read is no copy that is cut off");
    }
}
