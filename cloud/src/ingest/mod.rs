//! Taking documents in: from devices parts by resumable upload ([`tus`]), then the manifest that commits them
//! ([`commit`]); from programs a whole file in one request ([`file`]).
//!
//! Everything here may be repeated for ever. An answer of success is given only after an fsync or a commit
//! (INV-4); what is not acknowledged may be gone.

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

pub mod commit;
pub mod documents;
pub(crate) mod file;
pub(crate) mod idempotency;
pub(crate) mod limits;
mod presigned;
pub mod tus;

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    tus::routes().merge(documents::routes()).merge(limits::routes()).merge(presigned::routes())
}
