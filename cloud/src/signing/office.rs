//! Where the rest of the cloud meets signing: what is opened at the start, its routes, its steps.

use std::sync::Arc;

use axum::Router;
use platen_capture::worker::Pool;

use crate::app::App;
use crate::blobs::Keep;
use crate::config::Config;
use crate::jobs::{Outcome, StepError};
use crate::store::jobs::Job;

/// The providers and what they work with.
#[derive(Debug)]
pub struct Signing {}

impl Signing {
    /// Opens the providers.
    pub fn open(_config: &Config, _keep: &Keep, _pool: &Arc<Pool>) -> Result<Self, String> {
        Ok(Self {})
    }
}

/// The routes of signing.
pub fn routes() -> Router<App> {
    Router::new()
}

/// Runs the step of a job of signing.
pub async fn run(_app: &App, job: &Job) -> Result<Outcome, StepError> {
    Err(StepError::Later(format!("no step is called {:?}", job.kind)))
}
