//! The API of documents: lists, content, events, and what people decide.

use axum::Router;

use crate::app::App;

pub mod content;
pub mod documents;
pub mod health;
pub mod review;

/// The routes of this module.
pub fn routes() -> Router<App> {
    documents::routes().merge(content::routes()).merge(review::routes()).merge(health::routes())
}
