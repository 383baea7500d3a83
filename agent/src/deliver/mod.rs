//! Delivery: parts by digest, then one signed manifest, then a receipt.
//!
//! ```text
//! for each part: HEAD blob -> there, or tus upload (resumed where it was cut)
//! POST manifest -> signed receipt -> checked against what was sent -> kept in the document's folder
//! ```
//!
//! Everything may be repeated for ever. The danger is believing an answer too early: a document counts as
//! delivered only with a [`crate::spool::Receipted`], which no status code makes.
//!
//! Decisions and effects are apart. [`dispatch`] says which documents go and what becomes of each, [`journey`] which
//! request is next; both take the time as a value and speak to nobody. [`courier`] and [`wire`] are the edge.

pub mod access;
pub mod backoff;
pub mod breaker;
pub mod courier;
pub mod dispatch;
pub mod errand;
pub mod journey;
pub mod metered;
pub mod pace;
mod part;
pub mod trouble;
pub mod windows;
pub mod wire;

pub use dispatch::{Delivery, Dispatcher};
pub use journey::{Journey, Load, Tools};
pub use trouble::Trouble;
