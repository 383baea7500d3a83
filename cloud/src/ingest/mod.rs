//! Taking documents in: parts by resumable upload ([`tus`]), then the manifest that commits them ([`commit`]).
//!
//! Everything here may be repeated for ever. An answer of success is given only after an fsync or a commit
//! (INV-4); what is not acknowledged may be gone.

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

pub mod commit;
pub mod tus;

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    tus::routes().merge(commit::routes())
}
