//! The gate: whether a file ends as its format demands, asked of a worker process (INV-7).
//!
//! It has a worker of its own, so that a look at a small file never waits for the pages of a book.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::time::Duration;

use platen_capture::Limits;
use platen_capture::decode::Ending;
use platen_capture::worker::{Pool, Program, Reply, Request};

/// The longest look at one file. It reads a file of gigabytes at the speed of the disk at worst.
const LOOK_TIME: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Gate {
    pool: Pool,
    limits: Limits,
}

impl Gate {
    pub(super) fn new(limits: &Limits) -> Self {
        Self { pool: Pool::new(Program::this(limits), 1, limits.clone()), limits: limits.clone() }
    }

    /// How a file ends. A worker that cannot say (it crashed over the file, or took too long) leaves it open: then
    /// the file only has to stand still, and capture meets the same trouble in a way that is counted and told.
    pub(super) fn ending(&self, file: &File) -> Ending {
        let request = Request::Ending { limits: self.limits.clone() };
        match self.pool.lease().call_within(LOOK_TIME, &request, &[file.as_fd()]) {
            Ok(Reply::Ends(ending)) => ending,
            Ok(other) => {
                tracing::error!(?other, "the worker answered something else");
                Ending::Unknown
            }
            Err(failure) => {
                tracing::warn!(%failure, "how a file ends cannot be told");
                Ending::Unknown
            }
        }
    }
}
