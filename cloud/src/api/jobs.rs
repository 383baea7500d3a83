//! `/v1/jobs`: what is to be done, what is being done, and what was given up, for administrators.
//!
//! Inside, a job's id is made of what it is about, and may hold any sign; outside it is that in base64url.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use platen_model::DocumentId;
use platen_model::api::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::http::paging::{self, Limit};
use crate::http::read::{Asked, Named};
use crate::jobs;
use crate::refusal::Refusal;
use crate::store::audit;
use crate::store::jobs::{self as rows, Listed, State as JobState, Trouble};

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one)).routes(routes!(replay))
}

/// A job as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct ShownJob {
    /// Its id.
    job_id: String,
    /// What is to be done.
    kind: String,
    /// What becomes of it.
    state: JobState,
    /// The document it is about, where it is about one.
    document_id: Option<DocumentId>,
    /// How often it failed since it was asked for, or replayed.
    failures: u32,
    /// What went wrong last, or why it was given up.
    reason: Option<String>,
    /// The last failures, oldest first.
    troubles: Vec<Trouble>,
    /// The node that is at work on it, or was last.
    node: Option<String>,
    /// Until when that node must be heard of, while it is at work: then another takes the job.
    lease_until: Option<Timestamp>,
    /// When it is due.
    run_at: Timestamp,
    /// When it was asked for.
    created_at: Timestamp,
}

impl From<Listed> for ShownJob {
    fn from(job: Listed) -> Self {
        Self {
            job_id: outside(&job.job_id),
            kind: job.kind,
            state: job.state,
            document_id: job.document_id,
            failures: job.failures,
            reason: job.reason,
            troubles: job.troubles,
            node: job.node,
            lease_until: job.lease_until,
            run_at: job.run_at,
            created_at: job.created_at,
        }
    }
}

/// Which jobs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// Only those in this state.
    #[param(inline)]
    state: Option<JobState>,
    /// The `next` of an earlier answer.
    #[param(pattern = "^[A-Za-z0-9_-]{1,2000}$")]
    after: Option<String>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Lists the tenant's jobs: those that wait, those at work, and those that were given up. Jobs that are done are gone.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", operation_id = "list_jobs", params(Which),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "A page of the list.", body = Page<ShownJob>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Which>,
) -> Result<Json<Page<ShownJob>>, Refusal> {
    caller.must(Scope::Admin)?;
    let limit = Limit::of(asked.limit);
    let after = asked.after.as_deref().map(inside).transpose()?;
    let found =
        rows::list(&app.store, caller.tenant(), asked.state, after.as_deref(), limit.to_read()).await?;
    let page = limit.page(found, |job| outside(&job.job_id));
    Ok(Json(paging::shown(page, ShownJob::from)))
}

/// One job.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "get_job",
    params(("id" = String, Path, description = "The job.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "The job.", body = ShownJob)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<ShownJob>, Refusal> {
    caller.must(Scope::Admin)?;
    let missing = || Refusal::not_found(format!("job {id}"));
    let job_id = inside(&id).map_err(|_| missing())?;
    let found = rows::find(app.store.reading(), caller.tenant(), &job_id).await?;
    found.map(|job| Json(job.into())).ok_or_else(missing)
}

/// Sends a job that was given up on its way again, and its document with it.
#[utoipa::path(post, path = "/v1/jobs/{id}/replay", tag = "jobs", operation_id = "replay_job",
    params(("id" = String, Path, description = "The job.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 202, description = "It will run."),
        (status = 409, description = "It was not given up.", body = platen_model::Problem,
            content_type = "application/problem+json")))]
async fn replay(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Admin)?;
    let job_id = inside(&id).map_err(|_| Refusal::not_found(format!("job {id}")))?;
    again(&app, &caller, &job_id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Replays a job, for whoever may.
pub async fn again(app: &App, caller: &Caller, job_id: &str) -> Result<(), Refusal> {
    let tenant = caller.tenant();
    let mut write = app.store.begin().await?;
    if !jobs::replay(&mut write, tenant, job_id, caller.actor()).await? {
        drop(write);
        return Err(match rows::find(app.store.reading(), tenant, job_id).await? {
            Some(_) => Refusal::conflict("the job was not given up").help("only such jobs are replayed"),
            None => Refusal::not_found(format!("job {}", outside(job_id))),
        });
    }
    audit::add(&mut write, tenant, &caller.name(), "job.replay", job_id, "").await?;
    write.commit().await?;
    app.wake.notify_one();
    Ok(())
}

/// A job's id as others see it.
pub(crate) fn outside(job_id: &str) -> String {
    URL_SAFE_NO_PAD.encode(job_id)
}

/// A job's id as we know it.
pub(crate) fn inside(id: &str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(id).ok();
    // Whatever is in it: PostgreSQL takes no NUL in a text.
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.contains('\0'));
    text.ok_or_else(|| Refusal::bad_request("this is no job's id"))
}
