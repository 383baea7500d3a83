//! `/v1/signatures/accounts`: what each account can do and how it fares, and the operator's switch for it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::courier::Account;
use super::gate::Passage;
use super::inbox::{self, Idle};
use super::pauses::{self, Kind};
use super::provider::{Callbacks, Lookup};
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::read::{Body, Named};
use crate::refusal::Refusal;
use crate::store::from_ms;

/// How far back callbacks that led to nothing are shown.
pub const IDLE_SHOWN: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The most of them that are shown.
pub const IDLE_MAX: u32 = 100;

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(pause, resume))
}

/// The signing accounts of the tenant, and what is paused.
#[derive(Debug, Serialize, ToSchema)]
struct Accounts {
    /// The accounts, by name.
    accounts: Vec<ShownAccount>,
    /// Routes and accounts on which nothing is sent now.
    paused: Vec<ShownPause>,
    /// Callbacks of the last 30 days that led to nothing: of kinds that are not known, or about no envelope of ours. The
    /// newest 100, newest first.
    idle_callbacks: Vec<ShownCallback>,
}

/// A callback as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct ShownCallback {
    /// The account it came from.
    account: String,
    /// The provider's name of the event.
    kind: String,
    /// The provider's id of the envelope, where it names one.
    reference: Option<String>,
    /// When it came first.
    at: Timestamp,
    /// How often it came again.
    repeats: u64,
}

impl From<Idle> for ShownCallback {
    fn from(idle: Idle) -> Self {
        let Idle { provider, kind, reference, received_at, repeats } = idle;
        Self { account: provider, kind, reference, at: received_at, repeats }
    }
}

/// An account as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct ShownAccount {
    /// Its name in policies.
    name: String,
    /// `open`, `trying` or `closed`: a provider that failed several times is left alone for a while.
    gate: &'static str,
    /// When a closed gate lets a call pass again.
    closed_until: Option<Timestamp>,
    /// What it can do.
    can: Can,
    /// Calls since this process started.
    calls: Calls,
}

/// What a provider can do.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "a table of what is and is not there")]
struct Can {
    /// Envelopes are made as drafts and sent by a second call.
    drafts: bool,
    /// Whether an envelope is found by our key: `exact`, `delayed` or `never`.
    lookup: &'static str,
    /// How callbacks are proved: `signed`, `partial`, `shared` or `none`.
    callbacks: &'static str,
    /// It knows approvers.
    approvers: bool,
    /// The most recipients of a copy.
    copies_max: usize,
    /// Recipients can be asked one after the other.
    ordered: bool,
    /// Places to sign are given by coordinates.
    coordinates: bool,
    /// It ends envelopes by itself.
    expires: bool,
    /// It only ever adds to the PDF that it is sent.
    incremental: bool,
    /// It keeps an audit trail.
    audit_trail: bool,
    /// Envelopes can be withdrawn.
    void: bool,
    /// Recipients can be reminded.
    remind: bool,
    /// Recipients can be asked for a code that goes to their telephone.
    sms: bool,
}

/// What passed an account's gate.
#[derive(Debug, Serialize, ToSchema)]
struct Calls {
    /// Calls that were answered.
    answered: u64,
    /// Calls that did not reach the provider, or whose outcome is unknown.
    failed: u64,
    /// Calls put off because the minute's budget was used up.
    over_budget: u64,
    /// Calls put off because the gate was closed.
    held_back: u64,
}

/// A pause as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct ShownPause {
    /// `route` or `account`.
    kind: String,
    /// Its name.
    name: String,
    /// Why.
    reason: String,
    /// Who paused it.
    by: String,
    /// Since when.
    since: Timestamp,
}

/// What is paused, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PauseRequest {
    /// Why, for whoever wonders later.
    #[schema(max_length = 1000, pattern = r"\S")]
    reason: String,
}

/// Lists the tenant's signing accounts and pauses.
#[utoipa::path(get, path = "/v1/signatures/accounts", tag = "signatures", operation_id = "signing_accounts",
    security(("oauth2" = ["signatures"]), ("session" = [])),
    responses((status = 200, description = "The accounts and pauses.", body = Accounts)))]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Accounts>, Refusal> {
    caller.must(Scope::Signatures)?;
    let accounts =
        app.signing.courier.accounts_of(caller.tenant()).map(|(name, account)| show(name, account));
    let pauses = pauses::list(&app.store, caller.tenant()).await?;
    let paused = pauses.into_iter().map(|pause| ShownPause {
        kind: pause.kind,
        name: pause.name,
        reason: pause.reason,
        by: pause.by,
        since: from_ms(pause.since_ms),
    });
    let since = Timestamp::now() - IDLE_SHOWN;
    let idle = inbox::idle(&app.store, caller.tenant(), since, IDLE_MAX).await?;
    Ok(Json(Accounts {
        accounts: accounts.collect(),
        paused: paused.collect(),
        idle_callbacks: idle.into_iter().map(ShownCallback::from).collect(),
    }))
}

/// Pauses a route or an account: its documents wait, nothing is sent, open envelopes are still followed.
#[utoipa::path(put, path = "/v1/signatures/pauses/{kind}/{name}", tag = "signatures",
    operation_id = "pause_signing",
    params(("kind" = String, Path, description = "`route` or `account`."),
        ("name" = String, Path, description = "Its name; a slash is written `%2F`.")),
    security(("oauth2" = ["signatures"]), ("session" = [])), request_body = PauseRequest,
    responses((status = 204, description = "It is paused.")))]
async fn pause(
    State(app): State<App>,
    caller: Caller,
    Named((kind, name)): Named<(String, String)>,
    Body(request): Body<PauseRequest>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Signatures)?;
    let kind = known(&app, &caller, &kind, &name)?;
    let by = caller.actor().to_string();
    pauses::pause(&app.store, caller.tenant(), kind, &name, &request.reason, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a paused route or account go on. Repeating it changes nothing.
#[utoipa::path(delete, path = "/v1/signatures/pauses/{kind}/{name}", tag = "signatures",
    operation_id = "resume_signing",
    params(("kind" = String, Path, description = "`route` or `account`."),
        ("name" = String, Path, description = "Its name; a slash is written `%2F`.")),
    security(("oauth2" = ["signatures"]), ("session" = [])),
    responses((status = 204, description = "It goes on.")))]
async fn resume(
    State(app): State<App>,
    caller: Caller,
    Named((kind, name)): Named<(String, String)>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Signatures)?;
    let kind = known(&app, &caller, &kind, &name)?;
    pauses::resume(&app.store, caller.tenant(), kind, &name, &caller.actor().to_string()).await?;
    app.wake.notify_one();
    Ok(StatusCode::NO_CONTENT)
}

/// The kind of a pause, where there is such a route or account. A pause that stops nothing is a typing error.
fn known(app: &App, caller: &Caller, kind: &str, name: &str) -> Result<Kind, Refusal> {
    let (kind, known) = match kind {
        "route" => (Kind::Route, app.policy(caller.tenant()).routes().any(|route| route.name == name)),
        "account" => (Kind::Account, app.signing.courier.account(caller.tenant(), name).is_some()),
        _ => return Err(Refusal::not_found(format!("kind of pause {kind}"))),
    };
    known.then_some(kind).ok_or_else(|| Refusal::not_found(format!("{} {name}", kind.as_str())))
}

fn show(name: &str, account: &Account) -> ShownAccount {
    let (can, counts) = (account.provider.capabilities(), account.gate.counts());
    let (gate, closed_until) = match account.gate.passage() {
        Passage::Open => ("open", None),
        Passage::Trying => ("trying", None),
        Passage::Closed(rest) => ("closed", Timestamp::now().checked_add(rest).ok()),
    };
    ShownAccount {
        name: name.to_owned(),
        gate,
        closed_until,
        can: Can {
            drafts: can.drafts,
            lookup: match can.lookup {
                Lookup::Exact => "exact",
                Lookup::After(_) => "delayed",
                Lookup::Never => "never",
            },
            callbacks: match can.callbacks {
                Callbacks::Signed => "signed",
                Callbacks::Partial => "partial",
                Callbacks::Shared => "shared",
                Callbacks::None => "none",
            },
            approvers: can.approvers,
            copies_max: can.copies_max,
            ordered: can.ordered,
            coordinates: can.coordinates,
            expires: can.expires,
            incremental: can.incremental,
            audit_trail: can.audit_trail,
            void: can.void,
            remind: can.remind,
            sms: can.sms,
        },
        calls: Calls {
            answered: counts.answered,
            failed: counts.failed,
            over_budget: counts.over_budget,
            held_back: counts.held_back,
        },
    }
}
