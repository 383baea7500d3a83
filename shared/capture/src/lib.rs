//! From the bytes of a scan to pages, documents and a searchable PDF/A.
//!
//! Three verbs do the work, each inside a sandboxed [`worker`] process (INV-7):
//!
//! ```text
//! inspect(file)            -> what it is: kind, pages, dpi, encrypted?, digitally signed?
//! page(file, n, options)   -> one finished page: encoded image, words with boxes and confidence, measures
//! bind(pages)              -> the searchable PDF/A
//! ```
//!
//! Between them stand pure decisions: [`separate`] (pages to documents) and [`classify`] (page text to type,
//! confidence, fields, reasons). [`capture()`] names the stages in order: read it first.
//!
//! This crate talks to no network and no database, and never changes an input.

pub mod classify;
mod codec;
pub mod collate;
pub mod decode;
pub mod export;
pub mod inspection;
pub mod ocr;
pub mod options;
mod pages;
pub mod passwords;
pub mod pdf;
pub mod raster;
pub mod separate;
pub mod stages;
pub mod worker;

pub use collate::Collation;
pub use inspection::{Inspection, Kind};
pub use options::{Clean, Effort, Limits, Options, PdfA, Profile};
pub use passwords::Passwords;
pub use separate::Separation;
pub use stages::{Captured, CapturedDocument, Input, Workshop, capture};
