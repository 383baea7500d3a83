//! The page of jobs, for administrators: what was given up and why, with a button that sends it on its way again; and
//! what waits or is at work.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect};
use jiff::Timestamp;
use platen_model::TenantId;
use serde::Deserialize;

use super::actions::Token;
use super::frame::{Frame, encode};
use super::session::SignedIn;
use super::{PageResult, html, words};
use crate::api::jobs::{again, inside, outside};
use crate::app::App;
use crate::auth::Role;
use crate::http::paging::Limit;
use crate::http::read::Form;
use crate::jobs::kinds;
use crate::refusal::Refusal;
use crate::signing::accounts::{IDLE_MAX, IDLE_SHOWN};
use crate::signing::inbox::{self, Idle};
use crate::store::envelopes::{self, Overdue};
use crate::store::jobs::{self, Listed, State as JobState};
use crate::store::webhooks::{self, Delivery};

/// Overdue envelopes that are listed; those that wait longest come first.
const OVERDUE_ROWS: u32 = 50;

/// The query of `/jobs`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Which {
    state: String,
    after: String,
    replayed: String,
}

#[derive(Debug, Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    frame: Frame,
    waiting: u64,
    at_work: u64,
    dead: u64,
    only_dead: bool,
    message: Option<&'static str>,
    rows: Vec<Row>,
    next: Option<String>,
    overdue: Vec<OverdueRow>,
    idle: Vec<IdleRow>,
}

/// A callback that led to nothing.
#[derive(Debug)]
struct IdleRow {
    account: String,
    kind: String,
    about: String,
    at: String,
    repeats: u64,
}

impl From<Idle> for IdleRow {
    fn from(idle: Idle) -> Self {
        Self {
            account: idle.provider,
            kind: idle.kind,
            about: idle.reference.unwrap_or_default(),
            at: words::minute(idle.received_at),
            repeats: idle.repeats,
        }
    }
}

/// An envelope that is open long after its time.
#[derive(Debug)]
struct OverdueRow {
    document: String,
    name: String,
    provider: String,
    ended: String,
}

impl From<Overdue> for OverdueRow {
    fn from(overdue: Overdue) -> Self {
        Self {
            document: overdue.document_id.to_string(),
            name: overdue.file_name,
            provider: overdue.provider,
            ended: words::minute(overdue.ended_at),
        }
    }
}

#[derive(Debug)]
struct Row {
    id: String,
    kind: String,
    /// The endpoint that is to be told of an event.
    endpoint: Option<String>,
    state: &'static str,
    tone: &'static str,
    document: Option<String>,
    reason: String,
    failures: u32,
    troubles: Vec<String>,
    node: String,
    lease_until: String,
    created: String,
}

impl From<Listed> for Row {
    fn from(job: Listed) -> Self {
        let (state, tone) = match job.state {
            JobState::Ready => ("waits", "wait"),
            JobState::Leased => ("at work", "busy"),
            JobState::Dead => ("given up", "bad"),
        };
        let trouble = |trouble: &jobs::Trouble| {
            format!(
                "{} on {} ({}): {}",
                words::second(trouble.at),
                trouble.node,
                trouble.class,
                trouble.error
            )
        };
        Self {
            id: outside(&job.job_id),
            kind: words::title_case(&job.kind),
            endpoint: None,
            state,
            tone,
            document: job.document_id.map(|document| document.to_string()),
            reason: job.reason.unwrap_or_default(),
            failures: job.failures,
            troubles: job.troubles.iter().map(trouble).collect(),
            node: job.node.unwrap_or_default(),
            lease_until: job.lease_until.map(words::second).unwrap_or_default(),
            created: words::second(job.created_at),
        }
    }
}

/// `GET /jobs`.
pub(super) async fn page(State(app): State<App>, who: SignedIn, Query(which): Query<Which>) -> PageResult {
    who.0.must_be(Role::Admin)?;
    let tenant = &who.0.tenant;
    let state = which.state.parse().unwrap_or(JobState::Dead);
    let after = inside(&which.after).unwrap_or_default();
    let limit = Limit::of(None);
    let found = jobs::list(&app.store, tenant, Some(state), Some(&after), limit.to_read()).await?;
    let page = limit.page(found, |job| outside(&job.job_id));
    let counts = jobs::counts(&app.store, tenant).await?;
    let endpoints = webhooks::list(app.store.reading(), tenant).await?;
    let (next, mut rows) = (page.next, Vec::new());
    for job in page.items {
        let delivery = delivery_of(&app, tenant, &job).await?;
        let mut row = Row::from(job);
        if let Some(delivery) = delivery {
            let endpoint = endpoints.iter().find(|one| one.endpoint_id == delivery.endpoint_id);
            row.endpoint = endpoint.map(|endpoint| endpoint.url.clone());
            // Its attempts are the delivery's own; the job itself went well each time.
            if row.reason.is_empty() {
                row.reason = delivery.trouble;
            }
        }
        rows.push(row);
    }
    let count = |state| counts.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
    let since = Timestamp::now() - IDLE_SHOWN;
    html(&JobsPage {
        idle: inbox::idle(&app.store, tenant, since, IDLE_MAX)
            .await?
            .into_iter()
            .map(IdleRow::from)
            .collect(),
        waiting: count(JobState::Ready),
        at_work: count(JobState::Leased),
        dead: count(JobState::Dead),
        only_dead: state == JobState::Dead,
        message: (!which.replayed.is_empty()).then_some("The job will run again."),
        rows,
        next: next.map(|after| format!("/jobs?state={}&after={}", state.as_str(), encode(&after))),
        overdue: envelopes::overdue(&app.store, tenant, OVERDUE_ROWS)
            .await?
            .into_iter()
            .map(OverdueRow::from)
            .collect(),
        frame: who.frame(&app, "jobs").await?,
    })
}

/// What is to be delivered by a job that delivers.
async fn delivery_of(app: &App, tenant: &TenantId, job: &Listed) -> Result<Option<Delivery>, Refusal> {
    let id = job.argument.parse().ok().filter(|_| job.kind == kinds::DELIVER);
    match id {
        Some(id) => Ok(webhooks::delivery(app.store.reading(), tenant, id).await?),
        None => Ok(None),
    }
}

/// `POST /jobs/{id}/replay`.
pub(super) async fn replay(
    State(app): State<App>,
    SignedIn(user): SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Token>,
) -> PageResult {
    user.must_be(Role::Admin)?;
    user.must_have_sent(Some(&form.csrf))?;
    again(&app, &user.into(), &inside(&id)?).await?;
    Ok(Redirect::to("/jobs?replayed=1").into_response())
}
