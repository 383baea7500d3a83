//! The agent: carries every scan from a scanner's hot folder to the cloud, once and unaltered.
//!
//! ```text
//! watch -> settle -> claim -> capture -> spool -> outbox -> deliver -> release
//! ```
//!
//! The agent itself only copies and hashes bytes; documents are parsed in sandboxed worker processes
//! (INV-7), which `platen-capture` keeps. `main.rs` is the table of contents; each command is a module here.

pub mod complaint;
pub mod process;

pub use complaint::Complaint;
