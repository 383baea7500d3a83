//! The words every part of Platen uses.
//!
//! Agent and cloud know each other only through this crate and HTTP: ids, digests, the manifest that
//! commits a document, the receipt that answers it, page text, events and API bodies. It parses no
//! document and talks to nobody. The one thing it does to the world is [`durable`]: the writes that
//! every acknowledgement rests on, kept in one place so that they can be got right once, over any [`disk`].
//!
//! Conventions: digests are lower-case hex SHA-256; times are RFC 3339 UTC; ids are UUIDv7;
//! confidences run from 0 to 1; boxes are in pixels of the output page, origin top left.

pub mod api;
pub mod approval;
pub mod crash;
pub mod device;
pub mod digest;
pub mod disk;
pub mod document;
pub mod durable;
pub mod event;
pub mod example;
pub mod failure;
pub mod finding;
pub mod ids;
pub mod joining;
pub mod keys;
pub mod manifest;
pub mod page;
pub mod problem;
pub mod signing;
pub mod succession;
pub mod violation;

pub use approval::Approval;
pub use digest::Digest;
pub use document::{Decision, DocumentType, Field, FormRef, LineItem, PolicyRef, Reason, Verdict};
pub use example::Example;
pub use failure::{Failure, FailureClass, Stage};
pub use finding::{
    FoundSignature, ReturnedPdf, SignatureClock, SignatureCoverage, SignatureFinding, SignatureVerdict,
};
pub use ids::{CaptureId, ClientId, CorrelationId, DeviceId, DocumentId, EnvelopeId, TenantId, UploadId};
pub use manifest::{BatchPlace, DocumentManifest, Part, PartRole, Receipt, SourceFile};
pub use page::{
    Aside, Barcode, CheckBox, Incoming, Lack, PageRecord, PageText, Photo, Rect, SetAside, SourcePage,
    TextSource, Word,
};
pub use problem::Problem;
pub use signing::{Blank, BlankKind, Recipient, Role};
pub use violation::Violation;
