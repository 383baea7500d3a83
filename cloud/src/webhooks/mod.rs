//! Outgoing webhooks: a tenant's own programs are told of events, by Standard Webhooks 1.0.
//!
//! With each event, in its transaction, every endpoint that wants it gets a delivery and a job ([`announce`]). The job
//! ([`send`]) signs and sends it; what is not answered with 2xx is tried again over days ([`PAUSES`]), always under the
//! same `webhook-id`, and in the end stays as `failed`, to be replayed. While an endpoint fails only one delivery at a time
//! tries it ([`probes`]). One that takes nothing for days ([`DEAD_AFTER`]) or answers 410 is disabled, with the reason on
//! it and in the audit. Nothing is lost by that: the feed (`GET /v1/events`) keeps everything.
//!
//! The danger is the URL, which a tenant names: [`guard`] keeps it away from what only we can reach.
//!
//! [`announce`]: crate::store::webhooks

use std::time::Duration;

use ipnet::IpNet;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

mod deliveries;
mod endpoints;
pub mod guard;
mod probes;
mod send;
mod sign;

pub use send::{deliver, give_up, resume};

/// The names of all events, in the order of a document's life.
pub const EVENTS: [&str; 25] = [
    "received",
    "originals_arrived",
    "captured",
    "text_supplied",
    "reprocessed",
    "ocr_complete",
    "classified",
    "form_recognised",
    "review_requested",
    "corrected",
    "approved",
    "rejected",
    "validated",
    "routed",
    "envelope_created",
    "sent",
    "viewed",
    "recipient_signed",
    "signed",
    "declined",
    "expired",
    "voided",
    "archived",
    "quarantined",
    "retried",
];
/// Most endpoints of a tenant.
pub const ENDPOINTS: usize = 20;
/// The pauses after each failed attempt: three and a half days in all.
const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(5 * 3600),
    Duration::from_secs(10 * 3600),
    Duration::from_secs(14 * 3600),
    Duration::from_secs(24 * 3600),
    Duration::from_secs(24 * 3600),
];
/// How long every attempt must have failed before a delivery that is given up takes its endpoint with it.
const DEAD_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);
/// How long every attempt must have failed for an endpoint to be disabled, whatever becomes of its deliveries: while it
/// fails few of them are tried, and none might come to its end.
const SURELY_DEAD_AFTER: Duration = Duration::from_secs(4 * 24 * 3600);
/// Longest time an endpoint may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long deliveries that ended are listed.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    endpoints::routes().merge(deliveries::routes())
}

/// What deliveries are made with.
#[derive(Debug)]
pub struct Webhooks {
    client: reqwest::Client,
    plain: reqwest::Client,
    guard: guard::Guard,
    site: sign::Site,
    probes: probes::Probes,
}

impl Webhooks {
    /// With the site's key, and the private networks that endpoints may be in.
    pub fn open(key: &[u8], networks: &[IpNet]) -> Result<Self, String> {
        // Whoever is first sets it for the process; it is the same everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guard = guard::Guard::new(networks);
        let client = |guard: guard::Guard| {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .timeout(ANSWER_TIME)
                .dns_resolver(guard)
                .user_agent(concat!("Platen/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(|error| format!("outgoing webhooks: {error}"))
        };
        Ok(Self {
            client: client(guard.clone())?,
            plain: client(guard.only_allowed())?,
            guard,
            site: sign::Site::new(key),
            probes: probes::Probes::default(),
        })
    }

    /// What calls this address. What nothing encrypts stays within the networks that were allowed.
    fn client(&self, url: &reqwest::Url) -> &reqwest::Client {
        if url.scheme() == "https" { &self.client } else { &self.plain }
    }
}

/// Forgets deliveries that ended long ago. A chore.
pub async fn forget(app: &App) -> Result<u64, crate::store::StoreError> {
    let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
    let before = crate::store::now_ms() - kept;
    let mut forgotten = 0;
    // Bit by bit: whoever writes beside it waits for one bit at most.
    loop {
        match crate::store::webhooks::forget(&app.store, before).await? {
            0 => return Ok(forgotten),
            some => forgotten += some,
        }
    }
}

#[cfg(test)]
mod tests;
