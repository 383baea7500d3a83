//! `GET /metrics`: figures of this process and its database, as OpenMetrics text for Prometheus and its kin.
//!
//! They speak of the whole site and of no tenant, so they are shown to this machine, and to clients with the scope
//! `metrics`, which only the server's administrator can give (`platen-cloud client add --scope metrics`). With `behind_proxy`
//! only to those: what comes from this machine may have come through the proxy from anywhere.

use std::net::SocketAddr;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::Mutex;

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::refusal::Refusal;
use crate::signing::desk::COPIES_FOR_MS;
use crate::signing::gate::Passage;
use crate::store::{self, StoreError};

/// The media type of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What to do where they are not shown.
const WAY_IN: &str = "send a token with the scope `metrics`: `platen-cloud client add --scope metrics` makes a client that \
    gets one; without a token they are shown to this machine alone, and not where `behind_proxy` is set";
/// What a count may take to be made each time.
const QUICK: Duration = Duration::from_millis(250);
/// How many times as long as it took to count a count stands.
const STANDS: u32 = 60;
/// Bounds of the durations, in seconds.
const SECONDS: [f64; 9] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    method: String,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAccount {
    account: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Called {
    account: String,
    outcome: &'static str,
}

/// What is counted and measured.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<OfRoute, Histogram>,
    under_way: Gauge<i64, AtomicI64>,
    documents: Family<InState, Gauge>,
    jobs: Family<InState, Gauge>,
    uploads: Gauge,
    provider_calls: Family<Called, Gauge>,
    gates: Family<OfAccount, Gauge>,
    overdue: Gauge,
    codes_used_up: Gauge,
    mail_waiting: Gauge,
    /// Until when the figures of the database stand; whoever counts holds it.
    counted: Mutex<Option<Instant>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("platen");
        let requests = Family::default();
        registry.register("http_requests", "Requests answered", requests.clone());
        let seconds: Family<OfRoute, Histogram> = Family::new_with_constructor(|| Histogram::new(SECONDS));
        registry.register_with_unit(
            "http_request_duration",
            "Time to an answer's head",
            Unit::Seconds,
            seconds.clone(),
        );
        let under_way = Gauge::default();
        registry.register("http_requests_under_way", "Requests being answered", under_way.clone());
        let documents = Family::default();
        registry.register("documents", "Documents by status", documents.clone());
        let jobs = Family::default();
        registry.register("jobs", "Jobs by state; dead ones wait for a person", jobs.clone());
        let uploads = Gauge::default();
        registry.register("uploads", "Resumable uploads under way", uploads.clone());
        let provider_calls = Family::default();
        registry.register(
            "signing_calls",
            "Calls to signing accounts since the start, by outcome; over_budget and held_back were put off",
            provider_calls.clone(),
        );
        let gates = Family::default();
        registry.register("signing_gate_closed", "1 while an account is left alone", gates.clone());
        let overdue = Gauge::default();
        registry.register("envelopes_overdue", "Open envelopes whose time is over by a day", overdue.clone());
        let codes_used_up = Gauge::default();
        registry.register(
            "desk_codes_used_up",
            "Signers of the desk who have had all their codes of today",
            codes_used_up.clone(),
        );
        let mail_waiting = Gauge::default();
        registry.register(
            "desk_mail_waiting",
            "People of the desk to whom a message is owed that could not be sent yet",
            mail_waiting.clone(),
        );
        Self {
            registry,
            requests,
            seconds,
            under_way,
            documents,
            jobs,
            uploads,
            provider_calls,
            gates,
            overdue,
            codes_used_up,
            mail_waiting,
            counted: Mutex::default(),
        }
    }
}

impl Metrics {
    /// A request begins; it counts as under way until the answer is dropped.
    pub fn begin(&self) -> UnderWay {
        self.under_way.inc();
        UnderWay(self.under_way.clone())
    }

    /// A request was answered. `route` is the pattern, never the path: paths have no end.
    pub fn answered(&self, method: &Method, route: &str, status: u16, took: Duration) {
        // Anybody can invent methods.
        let known = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ];
        let method = if known.contains(method) { method.to_string() } else { "other".to_owned() };
        let of_route = OfRoute { method: method.clone(), route: route.to_owned() };
        self.seconds.get_or_create(&of_route).observe(took.as_secs_f64());
        let answered = Answered { method, route: route.to_owned(), status: u32::from(status) };
        self.requests.get_or_create(&answered).inc();
    }
}

impl Metrics {
    /// Counts what is in the database anew, unless the last count still stands. One that was not quick does, the longer the
    /// longer it took, so that whoever asks often costs no more than a sixtieth of the time.
    async fn count(&self, app: &App) -> Result<(), StoreError> {
        let mut stands = self.counted.lock().await;
        let began = Instant::now();
        if stands.is_some_and(|until| began < until) {
            return Ok(());
        }
        let documents = store::figures::documents(&app.store).await?;
        let jobs = store::figures::jobs(&app.store).await?;
        self.documents.clear();
        for (state, count) in documents {
            self.documents.get_or_create(&InState { state }).set(count);
        }
        self.jobs.clear();
        for (state, count) in jobs {
            self.jobs.get_or_create(&InState { state }).set(count);
        }
        self.uploads.set(store::figures::uploads(&app.store).await?);
        self.overdue.set(store::envelopes::count_overdue(&app.store).await?);
        let codes_a_day = app.config.desk.codes_a_day;
        self.codes_used_up.set(store::figures::codes_used_up(&app.store, codes_a_day).await?);
        self.mail_waiting.set(store::figures::mail_waiting(&app.store, COPIES_FOR_MS).await?);
        let took = began.elapsed();
        *stands = (took > QUICK).then(|| Instant::now() + took * STANDS);
        Ok(())
    }
}

/// A request under way.
#[derive(Debug)]
pub struct UnderWay(Gauge<i64, AtomicI64>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// `GET /metrics`.
pub(super) async fn answer(State(app): State<App>, request: Request) -> Result<Response, Refusal> {
    let (mut parts, _) = request.into_parts();
    // A proxy on this machine need not say that it is one.
    if app.config.behind_proxy || !is_of_this_machine(&parts.extensions, &parts.headers) {
        let caller = Caller::from_request_parts(&mut parts, &app).await;
        caller.and_then(|caller| caller.must(Scope::Metrics)).map_err(|refusal| refusal.help(WAY_IN))?;
    }
    let metrics = &app.metrics;
    metrics.count(&app).await?;
    for (name, account) in app.signing.courier.accounts() {
        let counts = account.gate.counts();
        for (outcome, count) in [
            ("answered", counts.answered),
            ("failed", counts.failed),
            ("over_budget", counts.over_budget),
            ("held_back", counts.held_back),
        ] {
            let called = Called { account: name.clone(), outcome };
            metrics.provider_calls.get_or_create(&called).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let closed = matches!(account.gate.passage(), Passage::Closed(_));
        metrics.gates.get_or_create(&OfAccount { account: name.clone() }).set(i64::from(closed));
    }
    let mut text = String::new();
    encode(&mut text, &metrics.registry).map_err(Refusal::internal)?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

/// Whether a request comes from this machine itself and not through a proxy on it.
fn is_of_this_machine(extensions: &axum::http::Extensions, headers: &axum::http::HeaderMap) -> bool {
    let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    !forwarded && peer.is_some_and(|peer| peer.is_loopback())
}
