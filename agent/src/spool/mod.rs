//! The spool: every scan between its hot folder and the cloud. The spool is the truth (INV-2).
//!
//! ```text
//! spool/captures/<capture id>/     capture.json, original-0000 …, release.json once the sources may go,
//!                                  documents/ once they are final, until each is moved to its place
//! spool/documents/<document id>/   manifest.json, original-0000 …, normalized.pdf, page-text.json, set-aside.json where
//!                                  pages were left out, receipt.json once delivered
//! spool/quarantine/<capture id>/   a capture that failed, and reason.json
//! ```
//!
//! Each folder is written under a temporary name, its files and itself fsynced, then renamed: a folder under
//! its own name is whole. The danger is removal; it needs a [`crate::claim::Claimed`] (sources), the stored
//! documents (captures) or a [`document::Receipted`] (documents).

mod aside;
pub mod capture;
pub mod document;
pub mod folders;
pub mod quarantine;
mod rejoin;

pub use aside::BlankAside;
pub use capture::{CaptureRecord, ClaimedFile, ClaimedMarker};
pub use document::{Acceptance, Receipted, SpooledDocument};
pub use folders::Spool;
pub use quarantine::{KnownClasses, Quarantined, Reason};
