//! The outbox: which documents are not yet the cloud's, and when each is tried next.
//!
//! One sled database of small records. It is an index and may be lost: the spool is the truth (INV-2), and
//! [`Outbox::reconcile`] makes the two agree at every start. A record is flushed before anything depends on
//! it. This module never talks to the network and never reads a PDF. Its promises are in `promises.md`.

pub mod command;
pub mod entry;
pub mod store;

pub use entry::{Delivered, Entry};
pub use store::Outbox;
