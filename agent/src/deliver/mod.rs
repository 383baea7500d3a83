//! Delivery: parts by digest, then one signed manifest, then a receipt.
//!
//! ```text
//! for each part: HEAD blob -> there, or tus upload (resumed where it was cut)
//! POST manifest -> signed receipt -> checked against what was sent -> kept in the document's folder
//! ```
//!
//! Everything may be repeated for ever. The danger is believing an answer too early: a document counts as
//! delivered only with a [`crate::spool::Receipted`], which no status code makes.

pub mod backoff;
pub mod commit;
pub mod courier;
pub mod token;
pub mod trouble;
pub mod upload;

pub use courier::Courier;
pub use trouble::Trouble;
