//! Claims about jobs, on either engine.

use platen_capture::worker::Pool;
use platen_model::event::Actor;
use platen_model::keys::SigningKey;
use platen_model::{DeviceId, DocumentId, TenantId};

use super::*;
use crate::config::{Config, Limits};
use crate::store::jobs::{self as rows, Lane};
use crate::store::people;
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
        self.want_of(tenant, "test", argument).await;
    }

    async fn want_of(&self, tenant: &TenantId, kind: &str, argument: &str) {
        let new = rows::New { kind: kind.into(), document: None, argument: argument.into(), run_at_ms: 0 };
        let mut write = self.app.store.begin().await.expect("a write");
        rows::enqueue(&mut write, tenant, new).await.expect("wanted");
        write.commit().await.expect("committed");
    }

    async fn lease(&self, node: &str, ms: i64) -> Option<Job> {
        self.lease_in(&Lane::ALL, node, ms).await
    }

    async fn lease_in(&self, lanes: &[Lane], node: &str, ms: i64) -> Option<Job> {
        rows::lease(&self.app.store, node, ms, lanes).await.expect("readable")
    }

    async fn replay(&self, tenant: &TenantId, job_id: &str) -> bool {
        let mut write = self.app.store.begin().await.expect("a write");
        let done = replay(&mut write, tenant, job_id, Actor::System).await.expect("an answer");
        write.commit().await.expect("committed");
        done
    }

    async fn status(&self, document: DocumentId) -> Status {
        let found = documents::find(self.app.store.reading(), &tenant(), document).await;
        found.expect("readable").expect("there").document.status
    }

    async fn dead(&self, tenant: &TenantId) -> Vec<rows::Listed> {
        let dead = Some(rows::State::Dead);
        rows::list(&self.app.store, tenant, dead, None, 10).await.expect("readable")
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
async fn captures_at_work_are_not_held_against_what_takes_a_moment() {
    let site = site().await;
    let small: TenantId = "small".parse().expect("a name");
    people::add_tenant(&site.app.store, &small).await.expect("a tenant");
    for number in 0..2 {
        site.want_of(&tenant(), kinds::CAPTURE, &number.to_string()).await;
        site.lease_in(&[Lane::Long], "a", 60_000).await.expect("a capture");
    }
    site.want(&tenant(), "one").await;
    for number in 0..3 {
        site.want(&small, &number.to_string()).await;
    }
    let mut tenants = Vec::new();
    for _ in 0..2 {
        tenants.push(site.lease("a", 60_000).await.expect("a job").tenant);
    }
    assert!(tenants.contains(&tenant()), "{tenants:?}");
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
async fn a_step_that_holds_a_write_while_its_lease_is_renewed_goes_on_and_keeps_it() {
    let site = site().await;
    site.want(&tenant(), "x").await;
    let job = site.lease("a", 60_000).await.expect("a job");
    let store = &site.app.store;
    let ends = async || {
        let found = sqlx::query_scalar::<_, i64>("SELECT lease_until_ms FROM jobs");
        found.fetch_one(store.reading()).await.expect("a job")
    };
    let before = ends().await;
    let step = async {
        let mut write = store.begin().await.expect("a write");
        // Its own row as well, as a step has that asks for its own kind of job.
        let new = rows::New { kind: "test".into(), document: None, argument: "x".into(), run_at_ms: 0 };
        rows::enqueue(&mut write, &tenant(), new).await.expect("wanted");
        // Longer than a third of the lease.
        tokio::time::sleep(Duration::from_millis(60)).await;
        write.commit().await.expect("committed");
        while ends().await == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        "done"
    };
    let held = while_leased(store, &job, 90, step);
    let ended = tokio::time::timeout(Duration::from_secs(20), held).await;
    assert_eq!(ended.expect("neither waits for the other"), Some("done"));
}

#[tokio::test]
async fn a_step_whose_lease_is_anothers_is_stopped() {
    let site = site().await;
    site.want(&tenant(), "x").await;
    let lost = site.lease("a", -1).await.expect("a job");
    site.lease("b", 60_000).await.expect("the same job");
    let held = while_leased(&site.app.store, &lost, 3, std::future::pending::<()>());
    let ended = tokio::time::timeout(Duration::from_secs(20), held).await;
    assert_eq!(ended.expect("it does not go on for ever"), None);
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
    assert_eq!(site.status(manifest.document_id).await, Status::Quarantined);
    let stranger: TenantId = "other".parse().expect("a name");
    assert!(site.dead(&stranger).await.is_empty());
    let found = site.dead(&tenant).await;
    let errors: Vec<&str> = found[0].troubles.iter().map(|trouble| trouble.error.as_str()).collect();
    assert_eq!(errors, ["first", "second"]);
    assert_eq!((found.len(), found[0].document_id), (1, Some(manifest.document_id)));

    let job_id = &found[0].job_id;
    assert!(!site.replay(&stranger, job_id).await, "no such job");
    assert!(site.replay(&tenant, job_id).await);
    assert_eq!(site.status(manifest.document_id).await, Status::Received);
    assert!(site.dead(&tenant).await.is_empty());
    assert_eq!(site.lease("a", 60_000).await.expect("again").failures, 0);
}

impl Site {
    /// Leases the one job, and lets it fail; answers how often it has failed by its next lease. `None` where it is dead.
    async fn fail(&self, error: StepError) -> Option<u32> {
        let job = self.lease("a", 60_000).await.expect("a job");
        settle(&self.app, &job, Err(error)).await.expect("recorded");
        sqlx::query("UPDATE jobs SET run_at_ms = 0").execute(self.app.store.writing()).await.expect("a row");
        let dead = self.dead(&tenant()).await;
        let listed = rows::find(self.app.store.reading(), &tenant(), &job.job_id).await.expect("readable");
        dead.is_empty().then(|| listed.expect("there").failures)
    }
}

#[tokio::test]
async fn what_a_busy_database_cost_is_not_held_against_what_nobody_foresaw() {
    let site = site().await;
    site.want(&tenant(), "x").await;
    for number in 1..=15 {
        assert_eq!(site.fail(StepError::Busy("a failover".into())).await, Some(number));
    }
    // Two attempts are its limit.
    assert_eq!(site.fail(StepError::later("odd")).await, Some(1));
    assert_eq!(site.fail(StepError::later("odd")).await, None, "and that is the second");
}

#[tokio::test]
async fn inv13_a_job_whose_failures_take_turns_comes_to_an_end() {
    let site = site().await;
    site.want(&tenant(), "x").await;
    let mut left = 20;
    while site.fail(StepError::later("odd")).await.is_some() {
        site.fail(StepError::Busy("a failover".into())).await.expect("many are allowed");
        left -= 1;
        assert!(left > 0, "it never ends");
    }
}

/// Leases the one job until its node was lost with it so often; `lose` is how.
async fn check_poison(site: &Site, document: DocumentId, lose: impl AsyncFn()) {
    for _ in 0..LOST_AT_MOST {
        let job = site.lease("a", 60_000).await.expect("the job");
        assert!(job.lost() < LOST_AT_MOST);
        lose().await;
        assert_eq!(site.status(document).await, Status::Received, "it is tried again");
    }
    let job = site.lease("b", 60_000).await.expect("the job");
    one(site.app.clone(), job).await;
    assert_eq!(site.status(document).await, Status::Quarantined, "its step was not run");
    let dead = site.dead(&tenant()).await;
    let reason = dead[0].reason.as_deref().unwrap_or_default();
    assert!(dead.len() == 1 && reason.contains("took its node with it"), "{dead:?}");
    assert!(dead[0].troubles.iter().all(|trouble| trouble.class == "lost"), "{dead:?}");
    assert!(site.replay(&tenant(), &dead[0].job_id).await);
    assert_eq!(site.lease("b", 60_000).await.expect("again").lost(), 0, "a person's word begins anew");
}

#[tokio::test]
async fn inv13_a_job_that_takes_its_node_with_it_again_and_again_is_given_up_with_its_document() {
    let site = site().await;
    let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
    receive(&site.app.keep, &manifest, &SigningKey::generate().expect("randomness")).await;
    check_poison(&site, manifest.document_id, async || {
        let ended = sqlx::query("UPDATE jobs SET lease_until_ms = 0 WHERE state = 'leased'");
        ended.execute(site.app.store.writing()).await.expect("a row");
    })
    .await;
}

#[tokio::test]
async fn inv13_a_job_that_was_at_work_when_its_process_died_counts_that_at_the_next_start() {
    let site = site().await;
    let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
    receive(&site.app.keep, &manifest, &SigningKey::generate().expect("randomness")).await;
    check_poison(&site, manifest.document_id, async || {
        assert_eq!(rows::free_all(&site.app.store).await.expect("freed"), 1);
    })
    .await;
}

/// How many of `first` are at work where nothing else is, and how many of `second` beside them; whatever they are, so many
/// hands are left for what takes a moment.
fn check_hands(
    (all, workers): (usize, usize),
    [first, second]: [Lane; 2],
    expected: [usize; 2],
    left: usize,
) {
    let hands = Hands::of(all, workers);
    let take = |lane| std::iter::from_fn(|| hands.take(lane)).collect::<Vec<_>>();
    let (first, second) = (take(first), take(second));
    let what = format!("{all} hands, {workers} workers");
    assert_eq!([first.len(), second.len()], expected, "{what}");
    assert_eq!(all - first.len() - second.len(), left, "{what}");
    assert_eq!(hands.free(), [Lane::Quick], "{what}");
    drop(second);
    assert_eq!(hands.free().len(), if expected[1] > 0 { 2 } else { 1 }, "{what}: a hand comes back");
}

#[test]
fn captures_and_deliveries_leave_a_hand_for_what_takes_a_moment_and_one_for_each_other() {
    use Lane::{Deliver, Long};
    // As it is by default.
    check_hands((4, 2), [Long, Deliver], [2, 1], 1);
    check_hands((4, 2), [Deliver, Long], [2, 1], 1);
    check_hands((3, 2), [Long, Deliver], [1, 1], 1);
    check_hands((3, 2), [Deliver, Long], [1, 1], 1);
    check_hands((8, 2), [Long, Deliver], [2, 2], 4);
    check_hands((8, 16), [Long, Deliver], [6, 1], 1);
    check_hands((8, 16), [Deliver, Long], [2, 5], 1);
    // Too few for all three.
    check_hands((2, 2), [Long, Deliver], [1, 0], 1);
    check_hands((2, 2), [Deliver, Long], [1, 0], 1);
    check_hands((1, 2), [Long, Deliver], [1, 0], 0);
}

#[tokio::test]
async fn a_node_asks_only_for_jobs_of_the_lanes_it_has_hands_for() {
    let site = site().await;
    let mut write = site.app.store.begin().await.expect("a write");
    for kind in [kinds::CAPTURE, kinds::DELIVER, "test"] {
        let new = rows::New { kind: kind.into(), document: None, argument: String::new(), run_at_ms: 0 };
        rows::enqueue(&mut write, &tenant(), new).await.expect("wanted");
    }
    write.commit().await.expect("committed");
    let store = &site.app.store;
    assert!(site.lease_in(&[], "a", 60_000).await.is_none());
    assert_eq!(rows::next_due_ms(store, &[]).await.expect("readable"), None);
    assert_eq!(rows::next_due_ms(store, &[Lane::Long]).await.expect("readable"), Some(0));
    let long = site.lease_in(&[Lane::Long], "a", 60_000).await.expect("the capture");
    assert_eq!(long.kind, kinds::CAPTURE);
    assert!(site.lease_in(&[Lane::Long], "a", 60_000).await.is_none());
    let mut others = Vec::new();
    while let Some(job) = site.lease_in(&[Lane::Quick, Lane::Deliver], "a", 60_000).await {
        others.push(job.kind);
    }
    others.sort();
    assert_eq!(others, [kinds::DELIVER, "test"]);
}

#[tokio::test]
async fn a_replay_and_an_event_of_the_same_document_wait_for_each_other() {
    let site = site().await;
    let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
    receive(&site.app.keep, &manifest, &SigningKey::generate().expect("randomness")).await;
    let (store, tenant, document) = (&site.app.store, tenant(), manifest.document_id);
    let job = site.lease("a", 60_000).await.expect("a job");
    let mut write = store.begin().await.expect("a write");
    assert!(rows::bury(&mut write, &job, None, "given up").await.expect("buried"));
    write.commit().await.expect("committed");
    // An event that will ask for the very job that is dead, and a replay of that job, begun between the two.
    let mut event = store.begin().await.expect("a write");
    event.hold(document).await.expect("held");
    let (other, theirs, id) = (store.clone(), tenant.clone(), job.job_id.clone());
    let replaying = tokio::spawn(async move {
        let mut write = other.begin().await?;
        let done = replay(&mut write, &theirs, &id, Actor::System).await?;
        write.commit().await?;
        Ok::<bool, events::AppendError>(done)
    });
    if store.engine() == Engine::Postgres {
        // Until the replay waits for something that this write has.
        let waiting = "SELECT COUNT(*) AS count FROM pg_locks WHERE NOT granted";
        let mut tries = 0;
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(store.reading()).await.expect("a count") == 0 {
            tries += 1;
            assert!(tries < 10_000, "the replay never came to the document");
            tokio::task::yield_now().await;
        }
    }
    rows::enqueue(&mut event, &tenant, rows::New::of_document(&job.kind, document))
        .await
        .expect("no deadlock");
    event.commit().await.expect("committed");
    assert!(!replaying.await.expect("ended").expect("no deadlock"), "the event raised it before");
}

#[tokio::test]
async fn inv14_a_start_gives_documents_their_jobs_back_page_by_page_and_leaves_those_that_have_one() {
    let site = site().await;
    let key = SigningKey::generate().expect("randomness");
    let mut lost = Vec::new();
    for number in 0..4 {
        let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
        receive(&site.app.keep, &manifest, &key).await;
        if number > 0 {
            lost.push(manifest.document_id);
        }
    }
    let store = &site.app.store;
    for document in &lost {
        let gone = sqlx::query("DELETE FROM jobs WHERE document_id = $1").bind(document.to_string());
        gone.execute(store.writing()).await.expect("a row");
    }
    let without = async |after: &str| {
        let found = documents::without_job(store, &tenant(), Status::Received, after).await;
        let ids = found.expect("readable").into_iter().map(|(id, _)| id.parse().expect("an id"));
        ids.collect::<Vec<DocumentId>>()
    };
    lost.sort();
    assert_eq!(without("").await, lost);
    assert_eq!(without(&lost[0].to_string()).await, lost[1..]);
    recover(&site.app).await.expect("recovered");
    assert!(without("").await.is_empty());
}

impl Site {
    /// Receives a document, and damages its row.
    async fn receive_damaged(&self) -> DocumentId {
        let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
        receive(&self.app.keep, &manifest, &SigningKey::generate().expect("randomness")).await;
        let damaged = sqlx::query("UPDATE documents SET record = '{}' WHERE document_id = $1");
        let damaged = damaged.bind(manifest.document_id.to_string());
        damaged.execute(self.app.store.writing()).await.expect("a row");
        manifest.document_id
    }
}

#[tokio::test]
async fn inv13_a_job_whose_document_cannot_be_read_is_given_up_all_the_same() {
    let site = site().await;
    let document = site.receive_damaged().await;
    for _ in 0..2 {
        let job = site.lease("a", 60_000).await.expect("a job");
        one(site.app.clone(), job).await;
        sqlx::query("UPDATE jobs SET run_at_ms = 0").execute(site.app.store.writing()).await.expect("a row");
    }
    let dead = site.dead(&tenant()).await;
    assert_eq!(dead.len(), 1);
    let reason = dead[0].reason.as_deref().unwrap_or_default();
    assert!(dead[0].document_id == Some(document) && reason.contains("damaged row"), "{dead:?}");
    assert!(site.lease("a", 60_000).await.is_none(), "it is not tried for ever");
}

#[tokio::test]
async fn inv14_a_document_that_cannot_be_read_keeps_no_other_from_its_job_at_a_start() {
    let site = site().await;
    let damaged = site.receive_damaged().await;
    let sound = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
    receive(&site.app.keep, &sound, &SigningKey::generate().expect("randomness")).await;
    sqlx::query("DELETE FROM jobs").execute(site.app.store.writing()).await.expect("rows");
    recover(&site.app).await.expect("the server starts");
    let job = site.lease("a", 60_000).await.expect("a job");
    assert_eq!(job.document, Some(sound.document_id));
    assert!(site.lease("a", 60_000).await.is_none(), "not of {damaged}");
}

also_on_postgres!(
    inv13_a_job_whose_document_cannot_be_read_is_given_up_all_the_same,
    inv14_a_document_that_cannot_be_read_keeps_no_other_from_its_job_at_a_start,
    what_a_busy_database_cost_is_not_held_against_what_nobody_foresaw,
    inv13_a_job_whose_failures_take_turns_comes_to_an_end,
    inv13_a_job_that_takes_its_node_with_it_again_and_again_is_given_up_with_its_document,
    inv13_a_job_that_was_at_work_when_its_process_died_counts_that_at_the_next_start,
    a_node_asks_only_for_jobs_of_the_lanes_it_has_hands_for,
    a_replay_and_an_event_of_the_same_document_wait_for_each_other,
    inv14_a_start_gives_documents_their_jobs_back_page_by_page_and_leaves_those_that_have_one,
    a_tenant_with_a_thousand_jobs_does_not_keep_another_waiting,
    captures_at_work_are_not_held_against_what_takes_a_moment,
    a_lease_that_ran_out_is_anothers_and_its_old_holder_can_end_nothing,
    a_step_that_holds_a_write_while_its_lease_is_renewed_goes_on_and_keeps_it,
    a_step_whose_lease_is_anothers_is_stopped,
    a_node_that_stops_gives_its_jobs_back_at_once,
    a_job_that_is_asked_for_while_it_runs_runs_once_more,
    inv13_a_job_given_up_is_seen_with_its_troubles_and_replayed_with_its_document,
);
