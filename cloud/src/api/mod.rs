//! The API of documents: lists, content, events, and what people decide.

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

mod checkpoints;
pub mod content;
pub mod corrections;
pub mod devices;
pub mod documents;
pub mod examples;
pub mod health;
pub mod jobs;
pub mod payload;
mod policies;
pub mod review;
pub mod versions;

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    documents::routes()
        .merge(content::routes())
        .merge(checkpoints::routes())
        .merge(review::routes())
        .merge(corrections::routes())
        .merge(devices::routes())
        .merge(versions::routes())
        .merge(jobs::routes())
        .merge(policies::routes())
        .merge(payload::routes())
        .merge(examples::routes())
        .merge(health::routes())
}
