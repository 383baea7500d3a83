//! The pages people use: the list, a document, the review queue, and what says that something failed.
//!
//! Pages are rendered on the server from templates that are part of the program; there is no script and no
//! build step, so everything works with a keyboard and under a policy that allows no script at all. Nothing
//! here decides anything: a button proposes the same event the HTTP API would. The danger is a request the
//! person did not mean: every form carries the session's token, and a review names the version it was made on.

pub mod document_page;
pub mod frame;
pub mod list_page;
pub mod words;

use axum::Router;

use crate::app::App;

/// The routes of the pages.
pub fn routes() -> Router<App> {
    Router::new()
}

#[cfg(test)]
mod tests;
