//! Whose turn it is to write to an upload, among the requests of this node.
//!
//! The newer request ends the older one, which keeps what came. Between nodes nobody waits: there the recorded offset
//! decides whose bytes count ([`crate::store::uploads::advance`]).

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use platen_model::UploadId;
use tokio_util::sync::CancellationToken;

use crate::refusal::Refusal;

/// How long a request waits for the one before it to let go of an upload.
const TURN_TIME: Duration = Duration::from_secs(20);

/// The uploads some request is at work on at this moment.
static AT_WORK: LazyLock<Mutex<BTreeMap<UploadId, Holder>>> = LazyLock::new(Mutex::default);

/// Who is at work on an upload.
#[derive(Clone, Default)]
pub(super) struct Holder {
    /// Somebody else wants the upload.
    pub(super) asked: CancellationToken,
    /// It was given back.
    ended: CancellationToken,
}

/// The right to write to an upload, given back when dropped.
pub(super) struct Turn {
    upload: UploadId,
    pub(super) holder: Holder,
}

impl Turn {
    /// The turn, where nobody has it; else who has.
    pub(super) fn if_free(upload: UploadId) -> Result<Self, Holder> {
        let mut at_work = AT_WORK.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(holder) = at_work.get(&upload) {
            return Err(holder.clone());
        }
        let holder = Holder::default();
        at_work.insert(upload, holder.clone());
        Ok(Self { upload, holder })
    }

    /// Asks whoever has the turn to end, and waits for it.
    pub(super) async fn take(upload: UploadId) -> Result<Self, Refusal> {
        let waited_for = async {
            loop {
                match Self::if_free(upload) {
                    Ok(turn) => return turn,
                    Err(holder) => {
                        holder.asked.cancel();
                        holder.ended.cancelled().await;
                    }
                }
            }
        };
        tokio::time::timeout(TURN_TIME, waited_for).await.map_err(|_| {
            Refusal::new(StatusCode::LOCKED, "locked", "another request is writing to this upload")
                .help("wait until it ends, then ask for the offset")
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        AT_WORK.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.upload);
        self.holder.ended.cancel();
    }
}
