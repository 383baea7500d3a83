//! Writing an evidence package, file after file, in constant memory.

use std::fs::File;
use std::io::{self, Read, Seek, Write};

use platen_model::keys::PublicKey;
use platen_model::manifest::SignedReceipt;
use platen_model::{DeviceId, Digest, DocumentId, TenantId};
use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The version of the package's layout written by this release.
pub const PACKAGE_VERSION: u32 = 1;

/// Names of the files in a package.
pub mod entry {
    /// The normalized PDF.
    pub const NORMALIZED: &str = "normalized.pdf";
    /// The signed PDF.
    pub const SIGNED: &str = "signed.pdf";
    /// The page text.
    pub const PAGE_TEXT: &str = "page-text.json";
    /// The manifest's exact bytes.
    pub const MANIFEST: &str = "manifest.json";
    /// The device's signature of it: [`super::DeviceSignature`].
    pub const MANIFEST_SIGNATURE: &str = "manifest-signature.json";
    /// The cloud's receipt: [`super::KeyedReceipt`].
    pub const RECEIPT: &str = "receipt.json";
    /// The events, one a line.
    pub const EVENTS: &str = "events.jsonl";
    /// The tenant's seal certificate.
    pub const CERTIFICATE: &str = "seal-certificate.pem";
    /// Digest and length of all others.
    pub const INDEX: &str = "index.json";

    /// An original, numbered from 1. Its name is reduced to characters that are safe in every file system;
    /// the name it really had stands in the manifest.
    pub fn original(number: usize, file_name: &str) -> String {
        let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
        let name: String = file_name.chars().map(safe).take(100).collect();
        format!("originals/{number}-{name}")
    }

    /// What a signing provider recorded.
    pub fn provider(name: &str) -> String {
        format!("provider/{}.json", name.replace('/', "-"))
    }

    /// The certificate or audit trail a signing provider made.
    pub fn provider_certificate(name: &str) -> String {
        format!("provider/{}-certificate.pdf", name.replace('/', "-"))
    }
}

/// The device's signature of the manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSignature {
    /// The device.
    pub device_id: DeviceId,
    /// Its public key, as enrolled.
    pub public_key: PublicKey,
    /// Its signature of the manifest's bytes.
    pub signature: String,
}

/// The cloud's receipt, and the key to check it with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedReceipt {
    /// The cloud's receipt key.
    pub receipt_key: PublicKey,
    /// The receipt, with its signature.
    #[serde(flatten)]
    pub signed: SignedReceipt,
}

/// The package's table of contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// [`PACKAGE_VERSION`] of the writer.
    pub version: u32,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The document.
    pub document_id: DocumentId,
    /// All files but this one, in their order.
    pub files: Vec<IndexedFile>,
}

/// One file of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedFile {
    /// Its name.
    pub name: String,
    /// Digest of its bytes.
    pub sha256: Digest,
    /// Their number.
    pub bytes: u64,
}

/// What goes into a file of the package.
#[derive(Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Everything from the file's current position on.
    File(File),
}

/// A package could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The file system failed.
    #[error("cannot write the evidence package: {0}")]
    Io(#[from] io::Error),
    /// The ZIP writer failed.
    #[error("cannot write the evidence package: {0}")]
    Zip(#[from] zip::result::ZipError),
}

/// Writes a package. Call [`Packer::add`] in the same order for the same document.
pub struct Packer<W: Write + Seek> {
    zip: ZipWriter<W>,
    index: Index,
}

impl<W: Write + Seek> Packer<W> {
    /// Begins a package about one document.
    pub fn new(target: W, tenant_id: TenantId, document_id: DocumentId) -> Self {
        let index = Index { version: PACKAGE_VERSION, tenant_id, document_id, files: Vec::new() };
        Self { zip: ZipWriter::new(target), index }
    }

    /// Adds a file.
    pub fn add(&mut self, name: impl Into<String>, content: Content) -> Result<(), PackageError> {
        let name = name.into();
        // Images and PDFs are compressed already, and a stored file has the same bytes with every compressor.
        self.zip.start_file(&name, options())?;
        let mut source: Box<dyn Read> = match content {
            Content::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            Content::File(file) => Box::new(file),
        };
        let (sha256, bytes) = platen_model::digest::copy_and_digest(&mut source, &mut self.zip)?;
        self.index.files.push(IndexedFile { name, sha256, bytes });
        Ok(())
    }

    /// Adds the index and ends the package. The caller makes it durable.
    pub fn finish(mut self) -> Result<W, PackageError> {
        self.zip.start_file(entry::INDEX, options())?;
        self.zip.write_all(&serde_json::to_vec_pretty(&self.index).map_err(io::Error::other)?)?;
        Ok(self.zip.finish()?)
    }
}

impl<W: Write + Seek> std::fmt::Debug for Packer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").field("index", &self.index).finish_non_exhaustive()
    }
}

/// The same for each file and each time: no compression, no clock, room for files over 4 GiB.
fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(zip::DateTime::default())
        .unix_permissions(0o644)
        .large_file(true)
}
