//! Hot folders: what lies in them, and which of it is whole.
//!
//! The listing is the truth. A notice from the kernel only makes the next listing sooner: notices get lost,
//! and network folders send none. Nothing here opens, changes or removes a file.
//!
//! - [`listing`]: what lies in a folder now, less what is none of our business
//! - [`settle`]: the pure decision whether a file is whole
//! - [`batch`]: files that belong together
//! - [`tray`]: one hot folder over time
//! - [`notices`]: the kernel's hints

pub mod batch;
pub mod listing;
pub mod notices;
pub mod settle;
pub mod tray;

pub use listing::{Identity, Sight};
pub use settle::{Tick, Verdict};
pub use tray::{Offer, Tray};
