//! The outbox: which documents are not yet the cloud's, and when each is tried next.
//!
//! Small records in sled ([`store`], [`shelf`]), and their order in memory ([`index`]): the next document is found
//! in the same time among one and among a million. It is an index and may be lost: the spool is the truth (INV-2),
//! and [`Outbox::reconcile`] makes the two agree at every start, and whenever the database fails while it is in
//! use. A record is flushed before anything depends on it. This module never talks to the network and never reads
//! a PDF. Its promises are in `promises.md`.

pub mod command;
pub mod entry;
pub mod index;
pub mod intake;
pub mod ledger;
pub mod shelf;
pub mod store;

pub use entry::{Delivered, Entry};
pub use index::{Counts, Lane};
pub use ledger::{Arrival, Lease, Outbox};
