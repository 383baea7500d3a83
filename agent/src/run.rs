//! `platen-agent run`: the supervisor.
//!
//! It names the parts, starts each as a task of its own and ends when one of them cannot go on or a signal
//! comes. It parses no document and decides nothing itself: see `sources` (watch, settle, claim),
//! `captures` (capture, spool) and `deliveries` (outbox, deliver, release). Ending needs no goodbye: whatever
//! is cut off is repeated at the next start from what is on disk.

mod aside;
mod board;
mod captures;
mod control;
mod deliveries;
mod gate;
mod pressure;
mod reports;
mod sources;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use platen_capture::classify::RuleSet;
use platen_capture::worker::{Pool, Program};
use platen_capture::{Workshop, ocr};
use platen_model::{DeviceId, TenantId};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::claim::{Ledger, Released, recover};
use crate::config::{self, Config};
use crate::deliver::access::Badge;
use crate::deliver::dispatch::Policy;
use crate::deliver::metered::Metered;
use crate::deliver::pace::Bandwidth;
use crate::deliver::windows::Windows;
use crate::deliver::wire::Wire;
use crate::deliver::{Dispatcher, Tools};
use crate::identity::Identity;
use crate::outbox::Outbox;
use crate::outbox::ledger::Priorities;
use crate::spool::{KnownClasses, Spool};
use crate::status::BLANK_LOOKED_AT;
use crate::vault::Vault;
use crate::watch::Tick;
use crate::{Complaint, doctor, identity, instance};
use board::Board;
use deliveries::Desk;
use gate::Gate;
use pressure::Pressure;
use sources::SourceWatch;

/// How often it is looked whether the device was enrolled anew.
const IDENTITY_LOOK: Duration = Duration::from_secs(2);

/// What all parts share.
#[derive(Debug)]
struct Floor {
    config: Config,
    spool: Spool,
    outbox: Outbox,
    priorities: Priorities,
    workshop: Workshop,
    device: DeviceId,
    /// What is missing in the sandbox of the workers.
    sandbox_trouble: Option<String>,
    board: Board,
    ledger: Ledger,
    /// Since when the state folder is encrypted, where it is.
    encrypted_since: Option<Timestamp>,
    gate: Gate,
    pressure: Pressure,
    quarantined: KnownClasses,
    /// Captures that were handed over and have not ended.
    in_capture: AtomicUsize,
    /// Released captures on their way to the workers.
    to_capture: mpsc::UnboundedSender<Released>,
    /// Wakes the deliveries.
    to_deliver: Notify,
    /// A document in the spool may be missing in the outbox.
    outbox_is_behind: AtomicBool,
    /// A person asked for a try at once, whatever the link was like.
    retry_asked: AtomicBool,
    stop: CancellationToken,
    started: Instant,
}

impl Floor {
    /// Bytes that scans may yet take.
    fn room(&self) -> io::Result<u64> {
        self.pressure.room(&self.config.state, &self.spool, &self.config.spool)
    }

    /// Scans that are claimed, and documents that the cloud does not have yet.
    fn on_their_way(&self) -> usize {
        self.in_capture.load(Ordering::Acquire) + self.outbox.counts().waiting
    }

    /// Now, on the monotonic clock.
    fn tick(&self) -> Tick {
        Tick(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Why the agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// The device was enrolled anew while it ran: it is to begin anew, as that device.
    EnrolledAnew,
}

/// Runs until SIGTERM or SIGINT, or until the device is enrolled anew.
///
/// # Errors
///
/// A complaint where the agent cannot start, or a part of it cannot go on. Whatever was taken is in the spool.
pub fn run(config: Config, rules: RuleSet) -> Result<Ended, Complaint> {
    require_languages(&config)?;
    let state = config.state.clone();
    let unusable = |error: io::Error| unusable(&state, &error);
    let Some(_lock) = instance::lock(&state).map_err(unusable)? else {
        return Err(Complaint::new(
            format!("another agent runs with the state folder {}", state.display()),
            "that agent goes on undisturbed",
            "stop it first, or give this one a state folder of its own",
        ));
    };
    let vault = Vault::open(&config)?;
    let (identity, key) = identity::require(&state)?;
    require_tenant(&config, &identity.tenant_id)?;
    let url = config.cloud.url.clone().unwrap_or_else(|| identity.url.clone());
    let wire = Wire::new(&config.cloud, &url, Duration::from_secs(config.outbox.request_s))
        .map_err(|error| unusable(io::Error::other(error)))?;
    let receipt_key = identity.receipt_key.clone();
    let badge = Badge { url, device: identity.device_id, key, receipt_key };

    // From here on all is encrypted that is written, where it is so configured.
    if vault.begin(Timestamp::now()).map_err(unusable)? {
        tracing::info!("the state folder is encrypted from now on");
    }
    let spool = Spool::open_in(&vault).map_err(unusable)?.trusting(&identity.earlier_receipt_keys);
    let ledger = Ledger::open_in(&vault).map_err(unusable)?;
    let recovered = recover(&spool, &ledger).map_err(unusable)?;
    let outbox = Outbox::open_in(&vault).map_err(unusable)?;
    let encrypted_since = vault.since().map_err(unusable)?;
    let priorities = config.priorities();
    outbox.reconcile(&spool, &badge.receipt_key, &priorities, Timestamp::now()).map_err(unusable)?;
    let desk = desk(&config.outbox, &spool, &outbox, badge, wire);

    let limits = config.capture.limits.clone();
    let pool = Pool::new(Program::this(&limits), config.workers.number(), limits);
    let workshop = Workshop::new(pool, rules, config.capture.clone());
    let sandbox_trouble = match doctor::sandbox_of(&workshop.pool) {
        Ok(sandbox) => doctor::fix_of(sandbox),
        // A scan that meets the same failure is kept and named; it may be the moment's.
        Err(failure) => Some(failure.to_string()),
    };
    if let Some(trouble) = &sandbox_trouble {
        tracing::warn!(%trouble, "the sandbox of the workers is not whole");
    }
    let blank_aside = spool.newest_blank_aside(BLANK_LOOKED_AT).map_err(unusable)?;
    let (to_capture, captures) = mpsc::unbounded_channel();
    let floor = Arc::new(Floor {
        board: Board::new(&config.sources, blank_aside),
        ledger,
        encrypted_since,
        gate: Gate::new(&config.capture.limits),
        pressure: Pressure::default(),
        quarantined: KnownClasses::default(),
        in_capture: AtomicUsize::new(0),
        config,
        spool,
        outbox,
        priorities,
        workshop,
        device: identity.device_id,
        sandbox_trouble,
        to_capture,
        to_deliver: Notify::new(),
        outbox_is_behind: AtomicBool::new(false),
        retry_asked: AtomicBool::new(false),
        stop: CancellationToken::new(),
        started: Instant::now(),
    });
    for released in recovered.released {
        tracing::info!(capture = %released.record.capture_id, "goes on after the last stop");
        floor.hand_to_capture(released);
    }
    let watches = SourceWatch::all(&floor, recovered.unreleased)?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(unusable)?;
    let ended = runtime.block_on(supervise(Arc::clone(&floor), desk, captures, watches, identity));
    // Pages in work are abandoned: the spool has their capture, and the next start repeats it.
    runtime.shutdown_background();
    ended
}

/// Whoever delivers, by the configuration, which was checked when it was read.
fn desk(config: &config::Outbox, spool: &Spool, outbox: &Outbox, badge: Badge, wire: Wire) -> Desk {
    let windows = |texts| Windows::parse(texts, TimeZone::system()).unwrap_or_else(|_| Windows::always());
    let policy = Policy {
        at_once: config.at_once,
        keep: SignedDuration::from_secs(config.keep_delivered_s.cast_signed()),
        windows: windows(&config.windows),
    };
    let metered = Metered::new(
        config.metered,
        config.metered_command.clone(),
        config.metered_interfaces.clone(),
        windows(&config.originals_windows),
    );
    let bandwidth = Bandwidth::new(config.bandwidth_kb_s.map(|kib| kib.saturating_mul(1 << 10)));
    let tools = Tools::new(spool.clone(), outbox.clone(), badge, config.chunk_bytes, bandwidth);
    Desk { tools: Arc::new(tools), wire, dispatcher: Dispatcher::new(policy), metered }
}

impl Floor {
    fn hand_to_capture(&self, released: Released) {
        // The receiver lives as long as the supervisor; after that, the next start finds it in the spool.
        self.in_capture.fetch_add(1, Ordering::AcqRel);
        self.hand_back(released);
    }

    /// The same for one that was handed over before, and has not ended.
    fn hand_back(&self, released: Released) {
        let _ = self.to_capture.send(released);
    }
}

/// Refuses a configuration that would send documents to a tenant this device cannot speak for.
pub(crate) fn require_tenant(config: &Config, ours: &TenantId) -> Result<(), Complaint> {
    let named = config.sources.iter().flat_map(|source| source.tenants().map(move |tenant| (source, tenant)));
    let Some((source, theirs)) = named.into_iter().find(|(_, tenant)| *tenant != ours) else { return Ok(()) };
    Err(Complaint::new(
        format!("source {} is for tenant {theirs}, but this device is enrolled in {ours}", source.name),
        "scans stay in their hot folders; nothing was taken",
        "give that tenant an agent with a state folder of its own, and enroll it there",
    ))
}

/// Refuses a configuration with which no source can be read. One that can is watched, whatever the others lack.
fn require_languages(config: &Config) -> Result<(), Complaint> {
    if config.sources.iter().any(|source| config.lacks_language(source).is_none()) {
        return Ok(());
    }
    for (place, languages) in config.languages() {
        ocr::require(languages).map_err(|failure| {
            Complaint::new(
                format!("{place}: {}", failure.message),
                "scans stay in their hot folders; nothing was taken",
                format!("{}; platen-agent doctor says what is missing", failure.class.what_helps()),
            )
        })?;
    }
    Ok(())
}

async fn supervise(
    floor: Arc<Floor>,
    desk: Desk,
    captures: mpsc::UnboundedReceiver<Released>,
    watches: Vec<SourceWatch>,
    identity: Identity,
) -> Result<Ended, Complaint> {
    let state = floor.config.state.clone();
    let mut parts: JoinSet<io::Result<()>> = JoinSet::new();
    for watch in watches {
        parts.spawn(sources::watch(Arc::clone(&floor), watch));
    }
    parts.spawn(captures::work_off(Arc::clone(&floor), captures));
    parts.spawn(reports::report_all(Arc::clone(&floor), Arc::clone(&desk.tools), desk.wire.clone()));
    parts.spawn(deliveries::deliver_all(Arc::clone(&floor), desk));
    parts.spawn(control::answer(Arc::clone(&floor)));
    tracing::info!(sources = floor.config.sources.len(), state = %state.display(), "the agent runs");

    let mut terminate = signal(SignalKind::terminate()).map_err(|error| unusable(&state, &error))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| unusable(&state, &error))?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(Ended::Stopped),
        _ = interrupt.recv() => Ok(Ended::Stopped),
        () = enrolled_anew(&state, &identity) => {
            tracing::info!("this device was enrolled anew; the agent begins anew as that device");
            Ok(Ended::EnrolledAnew)
        }
        Some(part) = parts.join_next() => match part {
            Ok(Ok(())) => Ok(Ended::Stopped),
            Ok(Err(error)) => Err(unusable(&state, &error)),
            Err(error) => Err(unusable(&state, &io::Error::other(error))),
        },
    };
    floor.stop.cancel();
    tracing::info!("the agent stops");
    ended
}

/// Ends once another identity lies in the state folder than the one that is in force.
async fn enrolled_anew(state: &Path, in_force: &Identity) {
    loop {
        tokio::time::sleep(IDENTITY_LOOK).await;
        // One that cannot be read now says nothing: the agent goes on as it is.
        if matches!(Identity::read(state), Ok(Some(found)) if found != *in_force) {
            return;
        }
    }
}

fn unusable(state: &Path, error: &io::Error) -> Complaint {
    Complaint::new(
        format!("cannot work in {}: {error}", state.display()),
        "scans that were taken are in its spool, the others in their hot folders",
        "platen-agent doctor tries every operation and says what is missing",
    )
}
