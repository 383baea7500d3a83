//! Claims about jobs, on either engine.

use platen_capture::worker::Pool;
use platen_model::event::Actor;
use platen_model::keys::SigningKey;
use platen_model::{DeviceId, TenantId};

use super::*;
use crate::config::{Config, Limits};
use crate::store::{jobs as rows, people};
use crate::testing::{Base, also_on_postgres, database, decision, manifest, receive, tenant};

struct Site {
    app: App,
    _folder: tempfile::TempDir,
    _base: Base,
}

async fn site() -> Site {
    let folder = tempfile::tempdir().expect("a folder");
    let base = database(folder.path());
    let at = |name: &str| folder.path().join(name);
    let config = Config {
        database: base.address.clone(),
        blobs: format!("file:{}", at("blobs").display()),
        keys: at("keys"),
        mail: at("mail"),
        limits: Limits { job_attempts: 2, shutdown_seconds: 0, ..Limits::default() },
        ..Config::default()
    };
    let app = App::open_with(config, Pool::in_process(1)).await.expect("a new site");
    people::add_tenant(&app.store, &tenant()).await.expect("a tenant");
    Site { app, _folder: folder, _base: base }
}

impl Site {
    async fn want(&self, tenant: &TenantId, argument: &str) {
        let new = rows::New { kind: "test".into(), document: None, argument: argument.into(), run_at_ms: 0 };
        let mut write = self.app.store.begin().await.expect("a write");
        rows::enqueue(&mut write, tenant, new).await.expect("wanted");
        write.commit().await.expect("committed");
    }

    async fn lease(&self, node: &str, ms: i64) -> Option<Job> {
        rows::lease(&self.app.store, node, ms, None).await.expect("readable")
    }
}

#[tokio::test]
async fn a_tenant_with_a_thousand_jobs_does_not_keep_another_waiting() {
    let site = site().await;
    let small: TenantId = "small".parse().expect("a name");
    people::add_tenant(&site.app.store, &small).await.expect("a tenant");
    for number in 0..20 {
        site.want(&tenant(), &number.to_string()).await;
    }
    site.want(&small, "one").await;
    let mut tenants = Vec::new();
    for _ in 0..3 {
        tenants.push(site.lease("a", 60_000).await.expect("a job").tenant);
    }
    assert!(tenants[..2].contains(&small), "{tenants:?}");
    assert_eq!(tenants[2], tenant());
}

#[tokio::test]
async fn a_lease_that_ran_out_is_anothers_and_its_old_holder_can_end_nothing() {
    let site = site().await;
    site.want(&tenant(), "x").await;
    let lost = site.lease("a", -1).await.expect("a job");
    let taken = site.lease("b", 60_000).await.expect("the same job");
    assert_eq!((taken.job_id.as_str(), taken.failures), (lost.job_id.as_str(), 1));
    assert_eq!(taken.troubles[0].node, "a");
    let store = &site.app.store;
    rows::finish(store, &lost).await.expect("no effect");
    assert!(!rows::renew(store, &lost, 60_000).await.expect("readable"));
    assert!(rows::renew(store, &taken, 60_000).await.expect("readable"));
    rows::finish(store, &taken).await.expect("done");
    assert!(site.lease("a", 60_000).await.is_none());
}

#[tokio::test]
async fn a_node_that_stops_gives_its_jobs_back_at_once() {
    let site = site().await;
    site.want(&tenant(), "x").await;
    let held = site.lease(&site.app.node, 60_000).await.expect("a job");
    assert!(site.lease("b", 60_000).await.is_none());
    let mut at_work = JoinSet::new();
    at_work.spawn(std::future::pending());
    wind_up(&site.app, at_work).await;
    assert_eq!(site.lease("b", 60_000).await.expect("the job").job_id, held.job_id);
}

#[tokio::test]
async fn a_job_that_is_asked_for_while_it_runs_runs_once_more() {
    let site = site().await;
    site.want(&tenant(), "x").await;
    let job = site.lease("a", 60_000).await.expect("a job");
    site.want(&tenant(), "x").await;
    assert!(site.lease("b", 60_000).await.is_none(), "not beside it");
    rows::finish(&site.app.store, &job).await.expect("done");
    let again = site.lease("b", 60_000).await.expect("once more");
    rows::finish(&site.app.store, &again).await.expect("done");
    assert!(site.lease("b", 60_000).await.is_none());
}

#[tokio::test]
async fn inv13_a_job_given_up_is_seen_with_its_troubles_and_replayed_with_its_document() {
    let site = site().await;
    let (app, tenant) = (&site.app, tenant());
    let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
    receive(&app.keep, &manifest, &SigningKey::generate().expect("randomness")).await;
    for error in ["first", "second"] {
        let job = site.lease("a", 60_000).await.expect("a job");
        settle(app, &job, Err(StepError::later(error))).await.expect("recorded");
        sqlx::query("UPDATE jobs SET run_at_ms = 0").execute(app.store.writing()).await.expect("a row");
    }
    let status = async || {
        let found = documents::find(app.store.reading(), &tenant, manifest.document_id).await;
        found.expect("readable").expect("there").document.status
    };
    assert_eq!(status().await, Status::Quarantined);
    let stranger: TenantId = "other".parse().expect("a name");
    let dead = async |tenant| {
        rows::list(&app.store, tenant, Some(rows::State::Dead), None, 10).await.expect("readable")
    };
    assert!(dead(&stranger).await.is_empty());
    let found = dead(&tenant).await;
    let errors: Vec<&str> = found[0].troubles.iter().map(|trouble| trouble.error.as_str()).collect();
    assert_eq!(errors, ["first", "second"]);
    assert_eq!((found.len(), found[0].document_id), (1, Some(manifest.document_id)));

    let job_id = &found[0].job_id;
    assert!(!replay(&app.store, &stranger, job_id, Actor::System).await.expect("no such job"));
    assert!(replay(&app.store, &tenant, job_id, Actor::System).await.expect("replayed"));
    assert_eq!(status().await, Status::Received);
    assert!(dead(&tenant).await.is_empty());
    assert_eq!(site.lease("a", 60_000).await.expect("again").failures, 0);
}

also_on_postgres!(
    a_tenant_with_a_thousand_jobs_does_not_keep_another_waiting,
    a_lease_that_ran_out_is_anothers_and_its_old_holder_can_end_nothing,
    a_node_that_stops_gives_its_jobs_back_at_once,
    a_job_that_is_asked_for_while_it_runs_runs_once_more,
    inv13_a_job_given_up_is_seen_with_its_troubles_and_replayed_with_its_document,
);
