//! Seals: the tenant's own digital signature on a PDF (PAdES baseline B-B, ETSI EN 319 142-1; B-T with a time-stamp, and
//! with its certificates in the file for later).
//!
//! [`SealKey`] is the tenant's key and certificate, made once and kept for good. [`cms`] writes the signature
//! itself. [`seal_pdf`] puts the two into a document: a worker prepares the PDF with an empty signature,
//! because only a worker may parse document bytes (INV-7); here the bytes are only digested and the gap is
//! filled. The danger is in altering what was signed: the sealed PDF must begin with the exact bytes of
//! the unsealed one (INV-8), and that is checked before anything is written.

pub mod cms;
mod document;
mod key;
mod keyring;

pub use cms::Stamper;
pub use document::{ROOM_BYTES, STAMPED_ROOM_BYTES, add_validation, seal_pdf};
pub use key::SealKey;
pub use keyring::{KeyRing, TenantKeys};

/// A document could not be sealed. The unsealed document is never touched.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file cannot be read, or a new one cannot be written.
    #[error("cannot keep the seal key in {path}: {source}")]
    KeyFile {
        /// The file.
        path: std::path::PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The key file does not hold a P-256 key and its certificate.
    #[error("{path} does not hold a P-256 key and its certificate: {reason}")]
    BadKeyFile {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key, certificate or signature could not be made.
    #[error("cannot make the signature: {0}")]
    Signature(String),
    /// There is no time-stamp; there may be one later.
    #[error("there is no time-stamp for the signature yet: {0}")]
    TimeStamp(String),
    /// The worker could not prepare the PDF.
    #[error(transparent)]
    Document(#[from] platen_model::Failure),
    /// What the worker prepared is not the same document with room for a signature.
    #[error("the prepared PDF is not fit to be sealed: {0}")]
    Unfit(&'static str),
    /// A temporary file could not be written or read.
    #[error("cannot pass the PDF to a worker: {0}")]
    Temporary(#[from] std::io::Error),
}
