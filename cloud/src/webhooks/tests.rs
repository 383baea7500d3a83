//! Deliveries to a receiver that runs, checked by the library its authors publish for receivers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use platen_model::event::Actor;
use reqwest::Method;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::auth::users::{self, Login};
use crate::contract_tests::token;
use crate::jobs;
use crate::journey_tests::Server;
use crate::store::{documents, jobs as rows, people};
use crate::testing::tenant;

/// A program that is told of events: what it was sent, and what it answers.
#[derive(Clone, Default)]
struct Receiver {
    seen: Arc<Mutex<Vec<(HeaderMap, Bytes)>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Receiver {
    /// Starts it; answers its URL.
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let router = Router::new().route("/hook", post(take)).with_state(receiver.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    /// What it answers next; 204 when it was told nothing.
    fn answers(&self, statuses: &[u16]) {
        self.answers.lock().expect("unpoisoned").extend(statuses);
    }

    fn seen(&self) -> Vec<(HeaderMap, Bytes)> {
        std::mem::take(&mut *self.seen.lock().expect("unpoisoned"))
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    receiver.seen.lock().expect("unpoisoned").push((headers, body));
    let answer = receiver.answers.lock().expect("unpoisoned").pop_front().unwrap_or(204);
    StatusCode::from_u16(answer).expect("a status")
}

/// A site that may call this machine, with an administrator's token.
struct Site {
    server: Server,
    admin: String,
}

impl Site {
    async fn start(networks: &[&str]) -> Self {
        let networks = networks.iter().map(|network| (*network).to_owned()).collect();
        let server = Server::start_with(|config| config.webhook_networks = networks).await;
        let admin = token(&server, "default", crate::auth::Scope::ALL.into_iter().collect()).await;
        Self { server, admin }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.server.url);
        let request = self.server.client.request(method, url).bearer_auth(&self.admin);
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Makes an endpoint; answers its id and secret.
    async fn endpoint(&self, url: &str, events: &[&str]) -> (String, String) {
        let new = json!({ "url": url, "events": events });
        let (status, made) = self.ask(Method::POST, "/v1/webhook-endpoints", Some(new)).await;
        assert_eq!(status, 201, "{made}");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        (text(&made["endpoint"]["endpoint_id"]), text(&made["secret"]))
    }

    /// Commits a document of a new device, and runs all jobs.
    async fn document(&self) -> String {
        let agent = self.server.enrol("default").await;
        let manifest = self.server.prepare(&agent, "nda").await;
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        let answer = self.server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
        assert_eq!(answer.status(), 202);
        self.run().await;
        manifest.document_id.to_string()
    }

    /// Runs every job, as if its time had come.
    async fn run(&self) {
        sqlx::query("UPDATE jobs SET run_at_ms = 0 WHERE kind = 'deliver'")
            .execute(self.server.app.store.writing())
            .await
            .expect("rows");
        jobs::run_until_idle(&self.server.app).await.expect("jobs");
    }

    /// The deliveries, newest first.
    async fn deliveries(&self) -> Vec<Value> {
        let (status, page) = self.ask(Method::GET, "/v1/deliveries", None).await;
        assert_eq!(status, 200);
        page["items"].as_array().expect("a list").clone()
    }
}

#[tokio::test]
async fn an_event_is_sent_to_who_asked_for_it_and_the_receivers_library_believes_it() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    let (_, secret) = site.endpoint(&url, &["received", "classified"]).await;
    let document = site.document().await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 2, "two of its events were asked for");
    for (headers, body) in &seen {
        Webhook::new(&secret).expect("a secret").verify(body, headers).expect("signed");
        let forged = [&body[..], b" "].concat();
        Webhook::new(&secret).expect("a secret").verify(&forged, headers).expect_err("changed");
        assert!(headers["traceparent"].to_str().expect("text").starts_with("00-"));
    }
    let first: Value = serde_json::from_slice(&seen[0].1).expect("JSON");
    assert_eq!(
        (&first["type"], &first["data"]["document_id"]),
        (&json!("document.received"), &json!(document))
    );
    let deliveries = site.deliveries().await;
    assert!(deliveries.iter().all(|one| one["state"] == "delivered" && one["response_status"] == 204));
    site.run().await;
    assert!(receiver.seen().is_empty(), "once is enough");
}

#[tokio::test]
async fn a_delivery_that_waits_is_on_the_page_of_jobs_with_where_it_goes_and_what_went_wrong() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    site.endpoint(&url, &["received"]).await;
    receiver.answers(&[500]);
    site.document().await;
    let trouble = site.deliveries().await[0]["trouble"].as_str().expect("a trouble").to_owned();
    let (app, hash) = (&site.server.app, users::hash_password("correct horse").expect("a hash"));
    people::put_user(&app.store, &tenant(), "chief", "admin", &hash).await.expect("a user");
    let Login::Open(session) = users::login(app, "chief", "correct horse").await.expect("an outcome") else {
        panic!("the chief is let in");
    };
    let request = site.server.client.get(format!("{}/jobs?state=ready", site.server.url));
    let answer = request.header("cookie", format!("platen_session={session}")).send().await;
    let page = answer.expect("an answer").text().await.expect("text");
    assert!(page.contains(&format!("to {url}")), "{page}");
    assert!(!trouble.is_empty() && page.contains(&trouble), "{trouble}: {page}");
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_under_the_same_id_then_given_up_and_can_be_replayed() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    let (endpoint, _) = site.endpoint(&url, &["received"]).await;
    let tries = super::PAUSES.len() + 1;
    receiver.answers(&vec![500; tries]);
    site.document().await;
    for _ in 1..tries + 3 {
        site.run().await;
    }
    let seen = receiver.seen();
    assert_eq!(seen.len(), tries);
    assert!(seen.iter().all(|(headers, _)| headers["webhook-id"] == seen[0].0["webhook-id"]));
    let delivery = site.deliveries().await.remove(0);
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("failed"), &json!(tries)));
    assert_eq!(delivery["trouble"], "it answered 500 Internal Server Error");
    let (_, shown) = site.ask(Method::GET, &format!("/v1/webhook-endpoints/{endpoint}"), None).await;
    assert!(
        shown["enabled"] == true && shown["failing_since"].is_string(),
        "it has not failed for days: {shown}"
    );

    let id = delivery["delivery_id"].as_str().expect("an id");
    let (status, _) = site.ask(Method::POST, &format!("/v1/deliveries/{id}/replay"), None).await;
    assert_eq!(status, 202);
    site.run().await;
    let (headers, _) = receiver.seen().remove(0);
    assert_eq!(headers["webhook-id"], id, "a repetition can be told");
    assert_eq!(site.deliveries().await[0]["state"], "delivered");
    let (_, shown) = site.ask(Method::GET, &format!("/v1/webhook-endpoints/{endpoint}"), None).await;
    assert!(shown["failing_since"].is_null());
}

#[tokio::test]
async fn an_endpoint_that_took_nothing_for_days_or_is_gone_is_disabled_and_says_why() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    let (gone, _) = site.endpoint(&url, &["received"]).await;
    receiver.answers(&[410]);
    site.document().await;
    let path = format!("/v1/webhook-endpoints/{gone}");
    let (_, shown) = site.ask(Method::GET, &path, None).await;
    assert_eq!(
        (&shown["enabled"], &shown["disabled_reason"]),
        (&json!(false), &json!("it answered 410 Gone"))
    );
    let (_, audit) = site.ask(Method::GET, "/v1/audit", None).await;
    assert_eq!(audit["items"][0]["action"], "webhook.disable");
    receiver.seen();
    site.document().await;
    assert!(receiver.seen().is_empty(), "nothing is sent any more");
    let (status, shown) = site.ask(Method::PATCH, &path, Some(json!({ "enabled": true }))).await;
    assert_eq!((status, &shown["enabled"]), (200, &json!(true)));
    receiver.answers(&vec![503; super::PAUSES.len() + 1]);
    site.document().await;
    sqlx::query("UPDATE webhook_endpoints SET failing_ms = 1")
        .execute(site.server.app.store.writing())
        .await
        .expect("a row");
    for _ in 0..super::PAUSES.len() {
        site.run().await;
    }
    let (_, shown) = site.ask(Method::GET, &path, None).await;
    assert!(shown["disabled_reason"].as_str().is_some_and(|why| why.contains("503")), "{shown}");
    assert_eq!(site.ask(Method::DELETE, &path, None).await.0, 204);
    assert!(site.deliveries().await.is_empty());
}

#[tokio::test]
async fn a_new_secret_signs_at_once_and_for_a_day_the_one_before_does_too() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    let (endpoint, before) = site.endpoint(&url, &["received"]).await;
    let path = format!("/v1/webhook-endpoints/{endpoint}/rotate-secret");
    let (_, rotated) = site.ask(Method::POST, &path, None).await;
    let now = rotated["secret"].as_str().expect("a secret").to_owned();
    assert_ne!(before, now);
    let believed = async || {
        site.document().await;
        let (headers, body) = receiver.seen().remove(0);
        [&before, &now].map(|secret| Webhook::new(secret).expect("a secret").verify(&body, &headers).is_ok())
    };
    assert_eq!(believed().await, [true, true]);
    sqlx::query("UPDATE webhook_endpoints SET former_until_ms = 1")
        .execute(site.server.app.store.writing())
        .await
        .expect("a row");
    assert_eq!(believed().await, [false, true]);
}

#[tokio::test]
async fn no_endpoint_leads_to_what_only_the_server_can_reach() {
    let site = Site::start(&[]).await;
    let (receiver, url) = Receiver::start().await;
    for refused in [url.as_str(), "https://169.254.169.254/", "https://[::1]/", "file:///etc/passwd"] {
        let new = json!({ "url": refused, "events": [] });
        let (status, problem) = site.ask(Method::POST, "/v1/webhook-endpoints", Some(new)).await;
        assert_eq!(status, 422, "{refused}");
        assert!(problem["errors"]["url"].is_string(), "{problem}");
    }
    // A name can be looked at only when it is called.
    site.endpoint(&url.replace("http://127.0.0.1", "https://localhost"), &["received"]).await;
    site.document().await;
    let delivery = site.deliveries().await.remove(0);
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("waiting"), &json!(1)));
    assert!(
        delivery["trouble"].as_str().is_some_and(|why| why.contains("not a public address")),
        "{delivery}"
    );
    assert!(receiver.seen().is_empty());
}

/// The endpoint as it is shown.
async fn shown(site: &Site, endpoint: &str) -> Value {
    site.ask(Method::GET, &format!("/v1/webhook-endpoints/{endpoint}"), None).await.1
}

#[tokio::test]
async fn what_cannot_be_made_for_a_reason_of_ours_is_tried_over_days_and_not_held_against_the_endpoint() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    let (endpoint, _) = site.endpoint(&url, &["routed"]).await;
    receiver.answers(&[503]);
    let document = site.document().await.parse().expect("an id");
    let app = &site.server.app;
    sqlx::query("UPDATE webhook_endpoints SET failing_ms = 0")
        .execute(app.store.writing())
        .await
        .expect("a row");
    assert_eq!(receiver.seen().len(), 1);
    // The payload is made of the document's manifest.
    let record = documents::find(app.store.reading(), &tenant(), document).await.expect("readable");
    let manifest = record.expect("there").manifest_sha256;
    let bytes = app.keep.blobs.get(manifest).await.expect("a blob");
    app.keep.blobs.remove(manifest).await.expect("removed");
    for attempts in 2..4 {
        site.run().await;
        let delivery = site.deliveries().await.remove(0);
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("waiting"), &json!(attempts)));
        let trouble = delivery["trouble"].as_str().unwrap_or_default();
        assert!(trouble.starts_with("it could not be made"), "{delivery}");
    }
    assert!(shown(&site, &endpoint).await["failing_since"].is_null());
    assert!(receiver.seen().is_empty());
    app.keep.blobs.put(bytes).await.expect("put back");
    site.run().await;
    assert_eq!(site.deliveries().await[0]["state"], "delivered");
    assert_eq!(receiver.seen().len(), 1);
}

#[tokio::test]
async fn inv13_a_delivery_whose_job_is_given_up_says_that_it_failed_and_can_be_replayed() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    site.endpoint(&url, &["received"]).await;
    receiver.answers(&[503]);
    site.document().await;
    let place = async |change: &'static str| {
        let moved = sqlx::query(change);
        moved.execute(site.server.app.store.writing()).await.expect("a row");
    };
    place("UPDATE webhook_deliveries SET position = position + 1000000").await;
    for _ in 0..site.server.app.config.limits.job_attempts {
        site.run().await;
    }
    let delivery = site.deliveries().await.remove(0);
    assert_eq!(delivery["state"], "failed", "{delivery}");
    assert!(delivery["trouble"].as_str().is_some_and(|why| why.contains("no event at place")), "{delivery}");
    place("UPDATE webhook_deliveries SET position = position - 1000000").await;
    let store = &site.server.app.store;
    let dead = rows::list(store, &tenant(), Some(rows::State::Dead), None, 10).await.expect("readable");
    let mut write = store.begin().await.expect("a write");
    let replayed = jobs::replay(&mut write, &tenant(), &dead[0].job_id, Actor::System).await;
    assert!(replayed.expect("an answer"));
    write.commit().await.expect("committed");
    site.run().await;
    assert_eq!(site.deliveries().await[0]["state"], "delivered");
}

#[tokio::test]
async fn while_an_endpoint_fails_one_delivery_tries_it_and_the_others_wait_without_an_attempt() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    site.endpoint(&url, &["received"]).await;
    receiver.answers(&[503; 3]);
    site.document().await;
    site.run().await;
    site.document().await;
    assert_eq!(receiver.seen().len(), 3, "all for the first");
    let states = async || {
        let deliveries = site.deliveries().await;
        let told = |one: &Value| (one["attempts"].clone(), one["state"].clone(), one["tried_at"].is_null());
        deliveries.iter().map(told).collect::<Vec<_>>()
    };
    let waits = json!("waiting");
    assert_eq!(states().await, [(json!(0), waits.clone(), true), (json!(3), waits, false)]);
    // It is back: the first finds out, and the second comes after it.
    site.run().await;
    site.run().await;
    let delivered = json!("delivered");
    assert_eq!(states().await, [(json!(1), delivered.clone(), false), (json!(4), delivered, false)]);
}

#[tokio::test]
async fn deliveries_that_may_not_call_a_failing_endpoint_are_put_off_together() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    site.endpoint(&url, &["received"]).await;
    receiver.answers(&[503; 10]);
    for _ in 0..5 {
        site.document().await;
    }
    let store = &site.server.app.store;
    let asked = async || {
        let row = sqlx::query("SELECT CAST(SUM(lease) AS BIGINT) AS asked FROM jobs WHERE kind = 'deliver'");
        sqlx::Row::get::<i64, _>(&row.fetch_one(store.reading()).await.expect("readable"), "asked")
    };
    let before = asked().await;
    receiver.seen();
    site.run().await;
    assert_eq!(receiver.seen().len(), 1, "the one that called it last");
    assert_eq!(asked().await - before, 2, "it, and one for the four others");
    let due = sqlx::query("SELECT COUNT(*) AS due FROM jobs WHERE kind = 'deliver' AND run_at_ms > $1")
        .bind(crate::store::now_ms() + 30_000)
        .fetch_one(store.reading())
        .await
        .expect("readable");
    assert_eq!(sqlx::Row::get::<i64, _>(&due, "due"), 5);
    assert!(site.deliveries().await.iter().all(|one| one["state"] == "waiting"));
}

#[tokio::test]
async fn a_delivery_whose_job_was_given_up_by_an_older_release_fails_with_the_schema_of_this_one() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    site.endpoint(&url, &["received"]).await;
    receiver.answers(&[503; 10]);
    for _ in 0..2 {
        site.document().await;
    }
    let deliveries = site.deliveries().await;
    let id = deliveries[1]["delivery_id"].as_str().expect("an id");
    let store = &site.server.app.store;
    for change in [
        format!("UPDATE jobs SET state = 'dead', last_error = 'given up' WHERE argument = '{id}'"),
        "DELETE FROM _sqlx_migrations WHERE version = 251".to_owned(),
    ] {
        let done = sqlx::query(sqlx::AssertSqlSafe(change)).execute(store.writing()).await;
        assert_eq!(done.expect("changed").rows_affected(), 1);
    }
    store.migrate().await.expect("the schema");
    let told = site.deliveries().await;
    let told: Vec<_> = told.iter().map(|one| (one["state"].as_str(), one["trouble"].as_str())).collect();
    assert_eq!(told, [(Some("waiting"), None), (Some("failed"), Some("given up"))]);
}

crate::testing::also_on_postgres!(
    deliveries_that_may_not_call_a_failing_endpoint_are_put_off_together,
    a_delivery_whose_job_was_given_up_by_an_older_release_fails_with_the_schema_of_this_one,
    what_cannot_be_made_for_a_reason_of_ours_is_tried_over_days_and_not_held_against_the_endpoint,
    inv13_a_delivery_whose_job_is_given_up_says_that_it_failed_and_can_be_replayed,
    while_an_endpoint_fails_one_delivery_tries_it_and_the_others_wait_without_an_attempt,
    an_event_is_sent_to_who_asked_for_it_and_the_receivers_library_believes_it,
    what_is_not_taken_is_tried_again_under_the_same_id_then_given_up_and_can_be_replayed,
    an_endpoint_that_took_nothing_for_days_or_is_gone_is_disabled_and_says_why,
);

#[tokio::test]
async fn events_of_a_routed_document_carry_the_approval_payload_as_it_was_then() {
    let site = Site::start(&["127.0.0.0/8"]).await;
    let (receiver, url) = Receiver::start().await;
    site.endpoint(&url, &["classified", "routed", "archived"]).await;
    site.document().await;
    let payloads: Vec<(String, Value)> = receiver
        .seen()
        .iter()
        .map(|(_, body)| {
            let body: Value = serde_json::from_slice(body).expect("JSON");
            (body["type"].as_str().unwrap_or_default().to_owned(), body["data"]["approval"].clone())
        })
        .collect();
    assert_eq!(payloads.len(), 3);
    for (event, payload) in payloads {
        if event == "document.classified" {
            assert_eq!(payload, Value::Null, "it has no route yet");
            continue;
        }
        crate::policy_tests::check_payload(&payload);
        // All was over before the first was sent.
        let (status, has_evidence) = match event.as_str() {
            "document.routed" => ("routed", false),
            _ => ("archived", true),
        };
        assert_eq!(
            (&payload["status"], payload["digests"]["evidence"].is_string()),
            (&json!(status), has_evidence)
        );
    }
}
