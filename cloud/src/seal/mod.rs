//! Seals: the tenant's own digital signature on a PDF (PAdES baseline B-B, ETSI EN 319 142-1; B-T with a time-stamp, and
//! with its certificates in the file for later).
//!
//! [`SealKey`] is the tenant's key and certificate, made once and kept for good, or supplied ([`supplied`]): in a file, or
//! in a token that is spoken to through PKCS#11. [`cms`] writes the signature itself. [`seal_pdf`] puts the two into a document: a worker prepares the PDF with an empty signature,
//! because only a worker may parse document bytes (INV-7); here the bytes are only digested and the gap is
//! filled. The danger is in altering what was signed: the sealed PDF must begin with the exact bytes of
//! the unsealed one (INV-8), and that is checked before anything is written.

mod algorithm;
pub mod cms;
mod document;
mod key;
mod keyring;
pub mod supplied;
mod token;

pub use algorithm::Kind;
pub use cms::Stamper;
pub use document::{add_validation, revocation_questions, seal_pdf};
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
    /// The key file does not hold a key and its certificate.
    #[error("{path} does not hold a key and its certificate: {reason}")]
    BadKeyFile {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A key, certificate or signature could not be made.
    #[error("cannot make the signature: {0}")]
    Signature(String),
    /// The token that holds the key does not sign; it may later.
    #[error("the token that holds the seal's key: {0}")]
    Token(String),
    /// The certificate is not valid now.
    #[error(
        "the seal's certificate is valid from {from} to {to}: supply a new one (`platen-cloud desk key import`)"
    )]
    NotValid {
        /// When it begins to be.
        from: jiff::Timestamp,
        /// When it ends.
        to: jiff::Timestamp,
    },
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
