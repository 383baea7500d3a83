//! The agent: carries every scan from a scanner's hot folder to the cloud, once and unaltered.
//!
//! ```text
//! watch -> settle -> claim -> capture -> spool -> outbox -> deliver -> release
//! ```
//!
//! The agent itself only copies and hashes bytes; documents are parsed in sandboxed worker processes
//! (INV-7), which `platen-capture` keeps. `main.rs` is the table of contents; each command is a module here.

pub mod claim;
pub mod complaint;
pub mod config;
pub mod deliver;
pub mod doctor;
pub mod enroll;
pub mod identity;
pub mod instance;
pub mod names;
pub mod outbox;
pub mod process;
pub mod quarantine;
pub mod rules;
pub mod run;
pub mod sheet;
pub mod spool;
pub mod status;
pub mod vault;
pub mod watch;

pub use complaint::Complaint;
