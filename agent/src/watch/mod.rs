//! Hot folders: what lies in them, and which of it is whole.
//!
//! The listing is the truth. A notice from the kernel only makes the next listing sooner, or a verdict quicker:
//! notices get lost, and network folders send none. Nothing here opens, changes or removes a scan.
//!
//! - [`listing`]: what lies in a folder now, less what is none of our business
//! - [`settle`]: the pure decision whether a file is whole, and why
//! - [`habits`]: what a source's writers have shown: their pauses, and their days
//! - [`markers`]: files that say that another is whole
//! - [`batch`], [`duplex`]: files that belong together
//! - [`tray`]: one hot folder over time
//! - [`notices`], [`probe`]: the kernel's hints, and whether they can be relied on

pub mod batch;
pub mod duplex;
pub mod habits;
pub mod listing;
pub mod markers;
pub mod notices;
pub mod probe;
pub mod settle;
pub mod tray;

pub use habits::Habits;
pub use listing::{Identity, Listing, Scope, Sight};
pub use settle::{Patience, Signal, Tick, Verdict};
pub use tray::{Offer, Tray};
