//! Signing: an envelope at a provider, made once and only once, followed to its end.
//!
//! [`provider`] is the one trait all providers are spoken to in: the built-in [`desk`] and [`sandbox`], and
//! [`connectors`] for the accounts of the configuration. [`placement`] says where recipients sign; [`lifecycle`] holds
//! the decisions, pure and the same for all of them; [`courier`] carries them out, one repeatable step at a time, each
//! call through the [`gate`] of its account. The danger is the
//! second envelope: a call whose outcome was lost must never be repeated before the provider was asked by our
//! key (INV-10). And a callback is only a hint: it is checked, kept and answered at once, and then the
//! provider is asked for the truth (INV-11).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use platen_capture::worker::pool::Pool;
use platen_model::{Digest, TenantId};

use crate::app::App;
use crate::blobs::Keep;
use crate::config::Config;
use crate::jobs::{Outcome, StepError, kinds};
use crate::seal::KeyRing;
use crate::store::jobs::Job;
use crate::webhooks::guard::Guard;
use books::Books;
use courier::{Courier, LedgerError, StepEnd};
use desk::Desk;
use desk::mail::{Post, Way};
use provider::{Capabilities, Provider};
use returned::Examiner;
use sandbox::Sandbox;
use workplace::{Shelf, Workplace};

pub mod accounts;
mod archive;
mod books;
pub mod connectors;
pub mod courier;
pub mod desk;
pub mod gate;
pub mod hmac;
pub mod http;
pub mod inbox;
pub mod lifecycle;
mod ordering;
pub mod pauses;
pub mod placement;
pub mod plan;
pub mod provider;
pub mod returned;
mod revocation;
pub mod sandbox;
pub mod secret;
pub mod workplace;

pub use desk::http::routes as pages;
pub use http::routes;

/// The signing accounts of an installation and what they can do, by the names policies use.
pub type Offers = BTreeMap<String, Capabilities>;

/// What this configuration offers.
pub fn offers(config: &Config) -> Offers {
    let built_in =
        [(desk::NAME.to_owned(), desk::can(&config.desk)), (sandbox::NAME.to_owned(), sandbox::CAN)];
    let accounts = config.signing.iter().map(|account| (account.name(), account.capabilities()));
    built_in.into_iter().chain(accounts).collect()
}

/// The providers and what they work with.
#[derive(Debug)]
pub struct Signing {
    /// Carries documents to the providers.
    pub courier: Courier,
    /// The built-in provider.
    pub desk: Arc<Desk>,
    /// The simulated provider.
    pub sandbox: Arc<Sandbox>,
    /// The tenants' keys.
    pub keys: Arc<KeyRing>,
}

impl Signing {
    /// Puts the providers together.
    pub fn open(config: &Config, keep: &Keep, workers: &Arc<Pool>) -> Result<Self, String> {
        let keys = Arc::new(KeyRing::new(config.keys.join("tenants")).with_names(config.desk.clone()));
        let shelf: Arc<dyn Shelf> = Arc::new(keep.clone());
        let place = Workplace {
            database: keep.store.writing().clone(),
            shelf: Arc::clone(&shelf),
            workers: Arc::clone(workers),
            keys: Arc::clone(&keys),
            timestamp_url: config.timestamp_url.clone(),
            roots: config.signature_roots.clone(),
            guard: Guard::new(&config.webhook_networks()),
            public_url: config.public_url.trim_end_matches('/').to_owned(),
        };
        let host = config.public_url.split("://").nth(1).unwrap_or("localhost");
        let host = host.split(['/', ':']).next().unwrap_or("localhost");
        let sender = config.smtp.as_ref().and_then(|smtp| smtp.from.clone());
        let way = match &config.smtp {
            Some(smtp) => Way::Server(smtp.clone()),
            None => Way::Folder(config.mail.clone()),
        };
        let post = Post { from: sender.unwrap_or_else(|| format!("platen@{host}")), way };
        let desk = Arc::new(Desk::new(place.clone(), post, &config.desk));
        let sandbox = Arc::new(Sandbox::new(place));
        let mut all: Vec<Arc<dyn Provider>> = vec![Arc::clone(&desk) as _, Arc::clone(&sandbox) as _];
        all.extend(connectors::open(&config.signing)?);
        let ledger = Arc::new(Books::new(keep.store.clone()));
        let examiner = Examiner::new(Arc::clone(workers), Arc::clone(&keys), config.signature_roots.clone())?;
        Ok(Self { courier: Courier::new(ledger, shelf, examiner, all), desk, sandbox, keys })
    }
}

/// Blobs are kept as PDFs: that is all signing puts there.
impl Shelf for Keep {
    fn put<'a>(&'a self, tenant: &'a TenantId, bytes: Vec<u8>) -> BoxFuture<'a, Result<Digest, LedgerError>> {
        Box::pin(
            async move { Keep::put(self, tenant, bytes, "application/pdf").await.map_err(books::failed) },
        )
    }

    fn get<'a>(
        &'a self,
        tenant: &'a TenantId,
        sha256: Digest,
    ) -> BoxFuture<'a, Result<Vec<u8>, LedgerError>> {
        Box::pin(async move { Keep::get(self, tenant, sha256).await.map_err(books::failed) })
    }
}

/// Runs a job of one of the kinds that are signing's.
pub async fn run(app: &App, job: &Job) -> Result<Outcome, StepError> {
    let Some(document) = job.document else { return Ok(Outcome::Done) };
    let (courier, tenant, now) = (&app.signing.courier, &job.tenant, Timestamp::now());
    let end = match job.kind.as_str() {
        kinds::CREATE_ENVELOPE => {
            courier.create_envelope(tenant, document).await.map_err(broken)?;
            courier.send_envelope(tenant, document, now).await
        }
        kinds::FOLLOW_ENVELOPE => courier.poll_envelope(tenant, document, now).await,
        kinds::ARCHIVE => {
            archive::archive(app, tenant, document).await?;
            Ok(StepEnd::Done)
        }
        other => return Err(StepError::Later(format!("signing knows no job called {other}"))),
    };
    Ok(match end.map_err(broken)? {
        StepEnd::Done => Outcome::Done,
        StepEnd::At(at) => {
            let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
            Outcome::Again(wait)
        }
    })
}

/// What runs beside the jobs for as long as they run: the sandbox's clock.
pub async fn run_clock(app: App) {
    // Another part of this process may have installed it already; that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build() {
        Ok(http) => app.signing.sandbox.run_clock(http).await,
        Err(error) => {
            tracing::error!(%error, "the sandbox sends no callbacks; its envelopes are still polled")
        }
    }
}

fn broken(error: LedgerError) -> StepError {
    match error {
        LedgerError::Busy(why) => StepError::Busy(why),
        LedgerError::Broken(why) => StepError::Later(why),
    }
}

#[cfg(test)]
pub(crate) mod harness;
#[cfg(test)]
mod histories;
#[cfg(test)]
mod journeys;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod trial;
