//! The searchable PDF: written, shown, and made ready for a signature.
//!
//! [`Binder`] writes the PDF page by page: the page's picture, and over it an invisible text layer that can be
//! searched and selected. [`render()`] shows a page of any PDF as a picture. [`prepare_seal`] appends an empty
//! signature to a PDF without touching a byte of it (INV-8). [`check_signatures`] says what the signatures of a
//! PDF are worth that came back. All four run in a worker, for a PDF may be
//! hostile. Nothing here reads a clock or makes a random number: the same input gives the same bytes (INV-5).
//! How the archival standard is kept, clause by clause, stands in `pdfa.md` beside this file.

mod audit;
mod binder;
mod certificate;
mod glyphless;
mod guide;
mod keep;
mod lettering;
mod metadata;
mod notice;
mod output;
mod qr;
mod render;
mod revision;
mod seal;
mod sheet;
pub mod signatures;
mod text_layer;
mod validation;

pub use binder::{Binder, Bound};
pub use certificate::{Section, certificate};
pub use notice::notice;
pub use qr::qr_code;
pub use render::render;
pub use seal::{POINTS_MAX, Place, SealRoom, prepare_seal};
pub use sheet::{Paper, sheet};
pub use signatures::check_signatures;
pub use validation::{add_validation, revocation_questions};
