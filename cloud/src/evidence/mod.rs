//! The evidence package: everything that proves what happened to one document, in one ZIP file.
//!
//! It is made to be checked by someone who trusts nobody and has no network: [`verify()`] recomputes every
//! digest, walks the event chain, and checks the signatures of the device that captured the document and
//! of the cloud that took it. The package of one document in one state is always the same bytes, so that
//! its digest can stand in the `archived` event.
//!
//! ```text
//! originals/1-scan.tif      as the scanner wrote it           named by `received`
//! normalized.pdf            the searchable PDF/A              named by `received`
//! page-text.json            what was read                     named by `received`
//! signed.pdf                what came back from signing       named by `signed`
//! manifest.json             the manifest's exact bytes        named by `received`
//! manifest-signature.json   the device, its key, its signature
//! receipt.json              the cloud's receipt and key
//! events.jsonl              each event's exact bytes, one a line
//! provider/sandbox.json     what the signing provider recorded, without secrets
//! seal-certificate.pem      the tenant's seal certificate
//! index.json                digest and length of every file above
//! ```

mod package;
pub mod signature;
mod verify;

pub use package::{
    Content, DeviceSignature, Index, IndexedFile, KeyedReceipt, PACKAGE_VERSION, PackageError, Packer, entry,
};
pub use verify::{Check, Report, verify, verify_with};
