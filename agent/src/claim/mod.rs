//! The claim: a file's way from its hot folder into the spool (INV-1).
//!
//! ```text
//! copy into .tmp-<id>, digest, fsync -> capture.json -> rename -> compare the source again -> release.json -> the source goes
//! ```
//!
//! Bytes that were taken before are no second scan: their capture is released like any other, but ends as a
//! *duplicate*, with a pointer to the first in `release.json`, and leaves the spool again. See [`ledger`].
//!
//! This module is the only one that takes files out of a hot folder, and it does so only with a [`Claimed`]
//! in hand. The danger is a crash between two steps; [`recover`] finishes each of them, and the tests stop
//! after every single one.

pub mod ledger;
mod reach;
pub mod recover;
pub mod release;
pub mod take;

pub use ledger::{Ledger, Missing};
pub use reach::open_inside;
pub use recover::{Recovered, recover};
pub use release::{Release, Released};
pub use take::{Claimed, NoStop, Steps, claim, claim_as};
