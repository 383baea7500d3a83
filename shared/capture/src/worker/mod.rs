//! Worker processes: the only place where document bytes are parsed (INV-7).
//!
//! The supervisor starts its own program again as `… worker`, with one end of a Unix socket as standard
//! input, and sends requests. Files travel as open descriptors, so a worker needs no path: the sandbox takes
//! the whole file system away from it but for Tesseract's language data, and the network with it. One
//! thread, a memory limit, a deadline; replaced after a number of pages. A crash costs one request.
//!
//! - [`protocol`]: what is said, and how it is framed
//! - [`pool`]: the supervisor's side
//! - [`workbench`]: the worker's side, [`serve()`]
//! - [`sandbox`]: what a worker gives up before it reads its first request

pub mod pool;
pub mod protocol;
pub mod sandbox;
pub mod workbench;

pub use pool::{Lease, Pool, Program};
pub use protocol::{Reply, Request};
pub use workbench::serve;
