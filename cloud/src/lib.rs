//! The cloud: receives documents, keeps the evidence, asks a person where there is doubt, routes to signing.
//!
//! ```text
//! ingest ──> store (events, projections, jobs: one transaction) <── jobs (steps)
//!   │            ▲                                                     │
//!   └─> blobs    └── machine (which event may follow)                  └─> policy, signing, seal, evidence
//! ```
//!
//! Read [`machine`] for what may happen to a document, [`store::events`] for how it is written down, and
//! [`jobs::steps`] for what happens by itself. [`app::App`] holds what everything works with.
//!
//! - **To add routes**: give the module a `routes() -> OpenApiRouter<App>` whose handlers say with `#[utoipa::path]`
//!   what they take and answer, and merge it in [`http`]; then renew `docs/openapi.json` (its test says how). A handler
//!   takes `State(app): State<App>`, an [`auth::Caller`] which it asks for a scope first, the extractors of
//!   [`http::read`], and answers `Result<_, refusal::Refusal>`.
//! - **To add a kind of job**: name it (a string), handle it in [`jobs::steps::run`] or `signing::run`, and
//!   enqueue it with [`store::jobs::enqueue`] in the transaction that wants it. Jobs that follow from a state
//!   are named in [`machine::wanted`] and enqueued by [`store::events::append`] itself.
//! - **To change a document**: [`store::Store::begin`], [`store::events::append`], commit. In a step:
//!   [`jobs::steps::document_at`] and [`jobs::steps::propose`].
//! - **To keep bytes**: [`blobs::Keep::put`] answers their digest once they are durable and the tenant's.

pub mod admin;
pub mod api;
pub mod app;
pub mod auth;
pub mod blobs;
pub mod checkpoints;
pub mod chores;
pub mod config;
pub mod evidence;
pub mod forms;
pub mod http;
pub mod ingest;
pub mod integrity;
pub mod jobs;
pub mod keys;
pub mod machine;
pub mod policy;
pub mod refusal;
pub mod seal;
pub mod signing;
pub mod store;
pub mod ui;
pub mod webhooks;

#[cfg(test)]
mod contract_tests;
#[cfg(test)]
mod deferred_tests;
#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod forms_tests;
#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod generated_client_tests;
#[cfg(test)]
mod history_tests;
#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod ingest_tests;
#[cfg(test)]
mod journey_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod related_tests;
#[cfg(test)]
mod schemathesis_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod upload_tests;
