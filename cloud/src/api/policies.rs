//! Policies over HTTP: why a document goes where it goes, what was in force when, and what another policy would change.

use std::collections::BTreeMap;
use std::str::FromStr as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use jiff::Timestamp;
use platen_model::api::Page;
use platen_model::{Digest, DocumentId, PolicyRef, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::documents::find;
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::paging::{self, Limit};
use crate::http::read::{Asked, Body, Named};
use crate::policy::dry_run::{self, DryRun, Within};
use crate::policy::explain::Routing;
use crate::policy::in_force::InForce;
use crate::policy::{Policy, Source};
use crate::refusal::Refusal;
use crate::signing::offers;
use crate::store::policies::Scopes;
use crate::store::{people, policies};

/// Largest policy that may be tried, in bytes.
const POLICY_BYTES: usize = 4 << 20;

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    let tried =
        OpenApiRouter::new().routes(routes!(dry_run_route)).layer(DefaultBodyLimit::max(POLICY_BYTES));
    OpenApiRouter::new().routes(routes!(routing)).routes(routes!(list)).routes(routes!(one)).merge(tried)
}

/// Why a document goes where it goes, by the policy in force: each route with its condition taken apart.
#[utoipa::path(get, path = "/v1/documents/{id}/routing", tag = "policies", operation_id = "explain_routing",
    params(("id" = DocumentId, Path, description = "The document.")),
    security(("oauth2" = ["documents:read"]), ("session" = [])),
    responses((status = 200, description = "What the policy makes of it as it is now.", body = Routing)))]
async fn routing(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Routing>, Refusal> {
    caller.must(Scope::DocumentsRead)?;
    let record = find(&app, caller.tenant(), &id).await?;
    let text = app.keep.page_text(caller.tenant(), &record).await?;
    Ok(Json(app.policy(caller.tenant()).explain(&record, text.as_ref())))
}

/// A policy that is or was in force.
#[derive(Debug, Serialize, ToSchema)]
struct ShownPolicy {
    /// The policy, named as events name it.
    #[serde(flatten)]
    reference: PolicyRef,
    /// Whether it is in force at the node that answers.
    in_force: bool,
    /// When it was first put in force.
    first_in_force: Timestamp,
    /// When it was last put in force: at the start of a node, or when its file was read again.
    last_in_force: Timestamp,
    /// The policy file. Only where one policy is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    /// The directory of people, where the policy names one. Only where one policy is asked for, and where it is the tenant's own or
    /// the installation has one tenant: the people of the site's policy are those of all tenants.
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
}

impl ShownPolicy {
    fn new(in_force: &InForce, tenant: &TenantId, kept: policies::Kept) -> Self {
        Self {
            in_force: *in_force.of(tenant).reference() == kept.reference,
            reference: kept.reference,
            first_in_force: kept.first,
            last_in_force: kept.last,
            policy: Some(kept.source.policy),
            directory: kept.source.directory,
        }
    }

    fn without_texts(self) -> Self {
        Self { policy: None, directory: None, ..self }
    }
}

/// Whose policies a caller sees: its tenant's, and the site's where its tenant goes by that.
fn seen_by<'a>(in_force: &InForce, caller: &'a Caller) -> Scopes<'a> {
    Scopes { tenant: caller.tenant(), with_site: !in_force.has_own(caller.tenant()) }
}

/// Which page of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The `next` of an earlier answer.
    #[param(pattern = "^[0-9a-f]{64}$")]
    after: Option<String>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Lists the policies that are or were in force for the tenant, the newest first.
///
/// A tenant with a policy of its own sees those it had of its own; another one sees the site's as well.
#[utoipa::path(get, path = "/v1/policies", tag = "policies", operation_id = "list_policies", params(Which),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "A page of the list.", body = Page<ShownPolicy>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Which>,
) -> Result<Json<Page<ShownPolicy>>, Refusal> {
    caller.must(Scope::Admin)?;
    let after = asked.after.as_deref().map(Digest::from_str).transpose().map_err(Refusal::bad_request_of)?;
    let limit = Limit::of(asked.limit);
    // Before the list is read: what is put in force meanwhile would not be in it, and nothing would seem to be.
    let in_force = app.policies();
    let found = policies::list(&app.store, &seen_by(&in_force, &caller), after, limit.to_read()).await?;
    let page = limit.page(found, |kept| kept.reference.sha256.to_string());
    Ok(Json(paging::shown(page, |kept| ShownPolicy::new(&in_force, caller.tenant(), kept).without_texts())))
}

/// A policy by the digest that events name, with its text.
#[utoipa::path(get, path = "/v1/policies/{sha256}", tag = "policies", operation_id = "get_policy",
    params(("sha256" = Digest, Path, description = "The digest.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "The policy.", body = ShownPolicy)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Named(sha256): Named<String>,
) -> Result<Json<ShownPolicy>, Refusal> {
    caller.must(Scope::Admin)?;
    let missing = || Refusal::not_found(format!("policy {sha256}"));
    let digest = Digest::from_str(&sha256).map_err(|_| missing())?;
    let in_force = app.policies();
    let seen = seen_by(&in_force, &caller);
    let kept = policies::find(&app.store, &seen, digest).await?.ok_or_else(missing)?;
    // The people of the site's policy are those of all its tenants.
    let is_own = kept.is_own || people::tenants(&app.store).await?.len() <= 1;
    let shown = ShownPolicy::new(&in_force, caller.tenant(), kept);
    Ok(Json(if is_own { shown } else { ShownPolicy { directory: None, ..shown } }))
}

/// A policy to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Trial {
    /// The policy file.
    #[schema(min_length = 1)]
    policy: String,
    /// The text of the directory of people, where the policy names one.
    #[schema(nullable = false)]
    directory: Option<String>,
    /// Only documents received since then: a time, or a span back from now, like `30d` or `12h`.
    #[schema(nullable = false, min_length = 2, max_length = 40)]
    since: Option<String>,
    /// Go on after this document: the `next` of an earlier answer.
    #[schema(nullable = false)]
    after: Option<DocumentId>,
    /// At most so many documents are looked at.
    #[schema(nullable = false, minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Tries a policy on the tenant's documents and says what it would change. Nothing is written, and nothing is sent.
///
/// Documents are looked at newest first, so many to a request; `next` is there until all were.
#[utoipa::path(post, path = "/v1/policies/dry-run", tag = "policies", operation_id = "dry_run_policy",
    security(("oauth2" = ["admin"]), ("session" = [])), request_body = Trial,
    responses((status = 200, description = "What would be done otherwise.", body = DryRun)))]
async fn dry_run_route(
    State(app): State<App>,
    caller: Caller,
    Body(trial): Body<Trial>,
) -> Result<Json<DryRun>, Refusal> {
    caller.must(Scope::Admin)?;
    let invalid = |name: &str, why: String| {
        Refusal::invalid("the policy cannot be tried", BTreeMap::from([(name.to_owned(), why)]))
    };
    let source = Source { policy: trial.policy, directory: trial.directory };
    let offers = offers(&app.config);
    let compiled = tokio::task::spawn_blocking(move || Policy::of_source(source, "policy", &offers)).await;
    let policy = compiled.map_err(Refusal::internal)?;
    let policy = Arc::new(policy.map_err(|error| invalid("policy", error.to_string()))?);
    let since =
        trial.since.as_deref().map(dry_run::since).transpose().map_err(|why| invalid("since", why))?;
    let within = Within { since, after: trial.after, limit: trial.limit.unwrap_or(dry_run::DOCUMENTS) };
    let in_force = app.policy(caller.tenant());
    Ok(Json(dry_run::run(&app.keep, caller.tenant(), (&in_force, &policy), within).await?))
}
