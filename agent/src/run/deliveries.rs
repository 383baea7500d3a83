//! The outbox worked off: [`Dispatcher`] decides, [`carry`] sends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::Floor;
use crate::deliver::courier::carry;
use crate::deliver::metered::Metered;
use crate::deliver::wire::Wire;
use crate::deliver::{Delivery, Dispatcher, Tools, Trouble};
use crate::outbox::Lease;

/// The longest time between two looks at the outbox.
const LONGEST_IDLE: Duration = Duration::from_secs(30);
/// The shortest time between two looks that nobody asked for.
const SHORTEST_IDLE: Duration = Duration::from_millis(50);
/// The wait after the outbox or the spool could not be written: a full disk, most often.
const DISK_WAIT: Duration = Duration::from_secs(5);

/// Whoever delivers.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) tools: Arc<Tools>,
    pub(super) wire: Wire,
    pub(super) dispatcher: Dispatcher,
    pub(super) metered: Metered,
}

type Attempts = JoinSet<(Lease, Result<Delivery, Trouble>)>;

/// Delivers until the agent stops. Trouble with the disk is waited out: everything is in the spool.
pub(super) async fn deliver_all(floor: Arc<Floor>, mut desk: Desk) -> io::Result<()> {
    let mut attempts = Attempts::new();
    loop {
        desk.metered.ask().await;
        let now = Timestamp::now();
        let dear = desk.metered.dear(now);
        let cheap = dear.is_none();
        let idle = match look(&floor, &mut desk, &mut attempts, cheap, now) {
            Ok(()) => desk.dispatcher.idle_ms(&floor.outbox, cheap, now).map(Duration::from_millis),
            Err(error) => {
                tracing::error!(%error, "the outbox cannot be worked off for now");
                Some(DISK_WAIT)
            }
        };
        let opens_at = desk.dispatcher.opens_at(now);
        floor.board.link(desk.dispatcher.breaker(), opens_at, dear);
        let idle = idle.unwrap_or(LONGEST_IDLE).clamp(SHORTEST_IDLE, LONGEST_IDLE);
        tokio::select! {
            () = floor.stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(idle) => {}
            () = floor.to_deliver.notified() => {
                if floor.retry_asked.swap(false, Ordering::AcqRel) {
                    desk.dispatcher.breaker().try_now(Timestamp::now());
                }
            }
            Some(ended) = attempts.join_next() => {
                let (lease, outcome) = ended.map_err(io::Error::other)?;
                if let Err(error) = desk.dispatcher.ended(&floor.outbox, lease, outcome, Timestamp::now()) {
                    // A receipt lies in the spool; an attempt not counted is only tried again sooner.
                    tracing::error!(%error, "the outbox cannot be written; it is made good from the spool");
                }
            }
        }
    }
}

fn look(
    floor: &Arc<Floor>,
    desk: &mut Desk,
    attempts: &mut Attempts,
    cheap: bool,
    now: Timestamp,
) -> io::Result<()> {
    let receipt_key = &desk.tools.badge.receipt_key;
    let broken = floor.outbox.trouble().is_some();
    if broken {
        floor.outbox.begin_anew()?;
    }
    if floor.outbox_is_behind.swap(false, Ordering::AcqRel) || broken {
        let made_good = floor.outbox.reconcile(&floor.spool, receipt_key, &floor.priorities, now);
        if let Err(error) = made_good {
            floor.outbox_is_behind.store(true, Ordering::Release);
            return Err(error);
        }
    }
    for (lease, load) in desk.dispatcher.begin(&floor.outbox, cheap, now)? {
        attempts.spawn(carry(Arc::clone(&desk.tools), desk.wire.clone(), lease, load));
    }
    desk.dispatcher.remove_expired(&floor.spool, &floor.outbox, receipt_key, now)
}
