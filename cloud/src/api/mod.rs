//! The API of documents: lists, content, events, and what people decide.

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

pub mod content;
mod corrections;
pub mod devices;
pub mod documents;
pub mod health;
pub mod jobs;
pub mod review;
pub mod versions;

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    documents::routes()
        .merge(content::routes())
        .merge(review::routes())
        .merge(corrections::routes())
        .merge(devices::routes())
        .merge(versions::routes())
        .merge(jobs::routes())
        .merge(health::routes())
}
