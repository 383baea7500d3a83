//! The daemon's side of `control.sock`: one question, one answer, one line each.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use platen_model::{CaptureId, durable};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

use super::Floor;
use crate::claim::{Ledger, recover};
use crate::instance::{self, Ask, Partly, Say};
use crate::quarantine::each;
use crate::spool::{BlankAside, Spool};
use crate::status::{CaptureStatus, EncryptionStatus, OutboxStatus, Status, free_bytes};

/// The longest question, in bytes.
const QUESTION_BYTES_MAX: u64 = 4 << 10;
/// The longest time a question may take to arrive, and its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);
/// The wait before a capture that could not be taken up is tried again: a full disk, most often.
const TAKE_UP_WAIT: Duration = Duration::from_secs(30);

/// Answers until the agent stops. Where the socket cannot be made the agent works on without it.
pub(super) async fn answer(floor: Arc<Floor>) -> io::Result<()> {
    let path = instance::socket(&floor.config.state);
    // We hold the lock, so a socket that lies there is a dead agent's.
    let listener = durable::remove_file(&path).and_then(|()| UnixListener::bind(&path));
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(socket = %path.display(), %error, "other commands cannot ask this agent");
            floor.stop.cancelled().await;
            return Ok(());
        }
    };
    loop {
        let accepted = tokio::select! {
            () = floor.stop.cancelled() => return durable::remove_file(&path),
            accepted = listener.accept() => accepted,
        };
        if let Ok((stream, _)) = accepted {
            let floor = Arc::clone(&floor);
            tokio::spawn(converse(floor, stream));
        }
    }
}

async fn converse(floor: Arc<Floor>, stream: UnixStream) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    timeout(PATIENCE, BufReader::new(read.take(QUESTION_BYTES_MAX)).read_line(&mut line)).await??;
    let ask: Ask = serde_json::from_str(&line)?;
    let done = tokio::task::spawn_blocking(move || act(&floor, &ask)).await.map_err(io::Error::other)?;
    let say = match done {
        Ok(answer) => Say::Done { answer },
        Err(error) => Say::Failed { message: error.to_string(), partly: Partly::is(&error) },
    };
    let mut bytes = serde_json::to_vec(&say)?;
    bytes.push(b'\n');
    // A caller who does not take the answer does not need it.
    timeout(PATIENCE, write.write_all(&bytes)).await?
}

fn act(floor: &Arc<Floor>, ask: &Ask) -> io::Result<serde_json::Value> {
    match ask {
        Ask::Status => Ok(serde_json::to_value(status(floor)?)?),
        Ask::Outbox { limit } => Ok(serde_json::to_value(floor.outbox.entries(*limit)?)?),
        Ask::OutboxVerify => Ok(serde_json::to_value(floor.outbox.verify())?),
        Ask::OutboxRetry { id } => {
            let count = floor.outbox.retry(*id, Timestamp::now())?;
            floor.retry_asked.store(true, std::sync::atomic::Ordering::Release);
            floor.to_deliver.notify_one();
            Ok(count.into())
        }
        Ask::OutboxOriginals => Ok(send_originals(floor)?.into()),
        Ask::QuarantineDiscard { id } => {
            discard(&floor.spool, &floor.ledger, *id)?;
            Ok(1.into())
        }
        Ask::Rejoin { id } => {
            let capture = floor.spool.rejoin(*id)?;
            take_up(floor, capture)?;
            Ok(serde_json::to_value(capture)?)
        }
        Ask::Restore { id } => {
            let capture = floor.spool.restore(*id)?;
            take_up(floor, capture)?;
            Ok(serde_json::to_value(capture)?)
        }
        Ask::QuarantineRetry { id } => {
            let ids = match id {
                Some(id) => vec![*id],
                None => floor.spool.quarantined_ids()?,
            };
            Ok(retry_captures(floor, &ids)?.into())
        }
    }
}

/// Sends the originals that are owed, whatever it costs. Answers of how many documents they are.
pub(super) fn send_originals(floor: &Floor) -> io::Result<usize> {
    let count = floor.outbox.order_originals(Timestamp::now())?;
    floor.to_deliver.notify_one();
    Ok(count)
}

/// Throws a capture in quarantine away, and its bytes may come again.
fn discard(spool: &Spool, ledger: &Ledger, id: CaptureId) -> io::Result<()> {
    // The bytes of what is not in quarantine are the cloud's, or on their way to it: they must not come again.
    spool.quarantine_show(id)?;
    // First: where only this is done, its bytes may come again and it can be discarded again.
    ledger.forget(id)?;
    spool.quarantine_discard(id)
}

/// Gives a capture in quarantine another chance.
pub(super) fn retry_capture(floor: &Arc<Floor>, id: CaptureId) -> io::Result<()> {
    floor.quarantined.forget(id);
    floor.spool.quarantine_retry(id)?;
    take_up(floor, id)
}

/// The same for several: one that cannot be tried holds up no other. Answers how many could.
///
/// # Errors
///
/// Where some could not: how many, and why the first.
pub(super) fn retry_captures(floor: &Arc<Floor>, ids: &[CaptureId]) -> io::Result<usize> {
    each(ids, |id| retry_capture(floor, id))
}

/// Works on a capture that came into the spool by itself; where that cannot be now, a little later.
///
/// # Errors
///
/// Where it went to a person.
fn take_up(floor: &Arc<Floor>, id: CaptureId) -> io::Result<()> {
    match try_take_up(floor, id) {
        TakenUp::Goes => Ok(()),
        TakenUp::ToPerson(error) => Err(error),
        TakenUp::Waits => {
            tokio::spawn(take_up_later(Arc::clone(floor), id));
            Ok(())
        }
    }
}

/// How a capture stands that was taken up.
enum TakenUp {
    /// It goes its way, or was a duplicate.
    Goes,
    /// It is in quarantine again.
    ToPerson(io::Error),
    /// It lies among the captures, and nobody else has it before the next start.
    Waits,
}

fn try_take_up(floor: &Floor, id: CaptureId) -> TakenUp {
    let error = match recover::take_up(&floor.spool, &floor.ledger, id) {
        Ok(released) => {
            floor.board.capture_waits_no_more(id);
            released.into_iter().for_each(|released| floor.hand_to_capture(released));
            return TakenUp::Goes;
        }
        Err(error) => error,
    };
    // What cannot be told counts as there: an attempt too many does no harm.
    if floor.spool.disk().exists(&floor.spool.capture(id)).unwrap_or(true) {
        tracing::warn!(capture = %id, %error, "it cannot be worked on yet; it is tried again");
        floor.board.capture_waits(id, error.to_string());
        return TakenUp::Waits;
    }
    floor.board.capture_waits_no_more(id);
    TakenUp::ToPerson(error)
}

/// Takes a capture up once that can be.
async fn take_up_later(floor: Arc<Floor>, id: CaptureId) {
    loop {
        tokio::select! {
            () = floor.stop.cancelled() => return,
            () = tokio::time::sleep(TAKE_UP_WAIT) => {}
        }
        let inner = Arc::clone(&floor);
        let tried = tokio::task::spawn_blocking(move || try_take_up(&inner, id)).await;
        if !matches!(tried, Ok(TakenUp::Waits)) {
            return;
        }
    }
}

/// How the agent stands.
pub(super) fn status(floor: &Floor) -> io::Result<Status> {
    let (sources, in_work, link) = floor.board.read();
    let (waiting, waiting_for) = floor.board.waiting();
    let free_bytes = free_bytes(&floor.config.state)?;
    Ok(Status {
        running: true,
        sources,
        captures: CaptureStatus { in_spool: floor.spool.capture_ids()?.len(), in_work, waiting, waiting_for },
        outbox: OutboxStatus::of(&floor.outbox, floor.room()?, Timestamp::now())?,
        link,
        quarantined: floor.spool.quarantined_ids()?.len(),
        quarantined_by_class: floor.quarantined.by_class(&floor.spool)?,
        blank_aside: blank_aside(floor)?,
        free_bytes,
        encryption: floor
            .encrypted_since
            .map(|since| EncryptionStatus::of(&floor.spool, since))
            .transpose()?,
        sandbox_trouble: floor.sandbox_trouble.clone(),
    })
}

/// What was set aside of documents that are still here: only of these it can be restored.
fn blank_aside(floor: &Floor) -> io::Result<Vec<BlankAside>> {
    let mut told = Vec::new();
    for aside in floor.board.blank_aside() {
        if floor.spool.disk().exists(&floor.spool.document(aside.document_id))? {
            told.push(aside);
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use platen_model::Digest;

    use super::*;

    #[test]
    fn inv5_bytes_of_what_is_not_in_quarantine_are_not_forgotten_by_discarding_it() {
        let state = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(state.path()).expect("a spool");
        let ledger = Ledger::open(state.path()).expect("a ledger");
        let (delivered, key) = (CaptureId::new(), Digest::of(b"scan"));
        assert_eq!(ledger.take(key, delivered).expect("noted"), None);
        discard(&spool, &ledger, delivered).expect_err("it is not in quarantine");
        assert_eq!(ledger.take(key, CaptureId::new()).expect("noted"), Some(delivered));
    }
}
