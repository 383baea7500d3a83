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
use crate::claim::{NoStop, Release, recover};
use crate::instance::{self, Ask, Say};
use crate::quarantine::each;
use crate::spool::BlankAside;
use crate::status::{CaptureStatus, EncryptionStatus, OutboxStatus, Status, free_bytes};

/// The longest question, in bytes.
const QUESTION_BYTES_MAX: u64 = 4 << 10;
/// The longest time a question may take to arrive, and its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(10);

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
        Err(error) => Say::Failed { message: error.to_string() },
    };
    let mut bytes = serde_json::to_vec(&say)?;
    bytes.push(b'\n');
    // A caller who does not take the answer does not need it.
    timeout(PATIENCE, write.write_all(&bytes)).await?
}

fn act(floor: &Floor, ask: &Ask) -> io::Result<serde_json::Value> {
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
        Ask::OutboxOriginals => Ok(send_originals(floor).into()),
        Ask::QuarantineDiscard { id } => {
            floor.ledger.forget(*id)?;
            floor.spool.quarantine_discard(*id)?;
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
pub(super) fn send_originals(floor: &Floor) -> usize {
    floor.originals_asked.store(true, std::sync::atomic::Ordering::Release);
    floor.to_deliver.notify_one();
    floor.outbox.counts().originals_owed
}

/// Gives a capture in quarantine another chance.
pub(super) fn retry_capture(floor: &Floor, id: CaptureId) -> io::Result<()> {
    floor.quarantined.forget(id);
    floor.spool.quarantine_retry(id)?;
    take_up(floor, id)
}

/// The same for several: one that cannot be tried holds up no other. Answers how many could.
///
/// # Errors
///
/// Where some could not: how many, and why the first.
pub(super) fn retry_captures(floor: &Floor, ids: &[CaptureId]) -> io::Result<usize> {
    each(ids, |id| retry_capture(floor, id))
}

/// Works on a capture that came into the spool by itself.
fn take_up(floor: &Floor, id: CaptureId) -> io::Result<()> {
    let claimed = match recover::prove(&floor.spool, id) {
        Ok(claimed) => claimed,
        Err(error) => {
            recover::set_apart(&floor.spool, &floor.ledger, id, &error)?;
            return Err(error);
        }
    };
    match claimed.release(&floor.ledger, &NoStop) {
        Release::Done(released) => floor.hand_to_capture(*released),
        // Its sources went when it was first claimed, so there is nothing to undo or to be stuck on.
        Release::Undone(_) | Release::Duplicate { .. } => {}
        Release::Stuck(_, error) => return Err(error),
    }
    Ok(())
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
