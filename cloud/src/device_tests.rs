//! What devices tell of themselves: kept, shown to their own tenant alone, and answered with orders.

use platen_model::device::{ORDERS_OPEN, Orders};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::auth::{Scope, Scopes};
use crate::contract_tests::token;
use crate::journey_tests::{Agent, Server};

fn report(quarantined: u64, done: &[Value]) -> Value {
    let capture = json!({
        "capture_id": "0198c0de-0000-7000-8000-000000000000", "source": "desk", "files": "a.tif", "class": "corrupt",
        "stage": "inspect", "message": "no directory", "attempts": 1, "help": "scan it again",
        "at": "2026-03-02T12:00:00Z",
    });
    json!({
        "agent": "0.1.0", "free_bytes": 1 << 30, "outbox": { "waiting": 3, "oldest_s": 60 },
        "sources": [{ "name": "desk", "files": 2, "taken_today": 5, "silence": "usually 40 by now, none today" }],
        "quarantined": quarantined, "quarantine": if quarantined > 0 { json!([capture]) } else { json!([]) },
        "troubles": [], "done": done,
    })
}

async fn tell(server: &Server, agent: &Agent, body: &Value) -> (StatusCode, Orders) {
    let path = format!("/v1/devices/{}/status", agent.id);
    let answer = server.ask(agent, Method::PUT, &path).json(body).send().await.expect("an answer");
    (answer.status(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn inv12_a_device_tells_how_it_stands_and_is_asked_by_its_own_tenant_alone() {
    let server = Server::start().await;
    let (agent, other) = (server.enrol("default").await, server.enrol("default").await);
    server.enrol("other").await;
    let all: Scopes = [Scope::DocumentsRead, Scope::Review].into_iter().collect();
    let (own, stranger) = (token(&server, "default", all.clone()).await, token(&server, "other", all).await);
    let path = format!("{}/v1/devices/{}", server.url, agent.id);
    let status = async |token: &str| {
        let answer = server.client.get(format!("{path}/status")).bearer_auth(token).send().await;
        let answer = answer.expect("an answer");
        (answer.status(), answer.json::<Value>().await.expect("JSON"))
    };
    let order = async |token: &str, body: Value| {
        let answer = server.client.post(format!("{path}/orders")).bearer_auth(token).json(&body).send().await;
        answer.expect("an answer").status()
    };
    assert_eq!(status(&own).await.0, StatusCode::NOT_FOUND, "it has not told anything yet");
    assert_eq!(tell(&server, &agent, &report(1, &[])).await, (StatusCode::OK, Orders::default()));
    let (code, told) = status(&own).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(told["report"]["quarantine"][0]["class"], "corrupt");
    assert_eq!(status(&stranger).await.0, StatusCode::NOT_FOUND);
    let foreign = server.ask(&other, Method::PUT, &format!("/v1/devices/{}/status", agent.id));
    let foreign = foreign.json(&report(0, &[])).send().await.expect("an answer");
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "nobody speaks for another device");

    let retry = json!({ "order": "retry_capture", "capture_id": "0198c0de-0000-7000-8000-000000000000" });
    assert_eq!(order(&stranger, retry.clone()).await, StatusCode::NOT_FOUND);
    assert_eq!(order(&own, retry).await, StatusCode::ACCEPTED);
    assert_eq!(tell(&server, &other, &report(0, &[])).await.1, Orders::default(), "not for it");
    // Given until it is confirmed, and not after.
    let (_, given) = tell(&server, &agent, &report(1, &[])).await;
    assert_eq!(tell(&server, &agent, &report(1, &[])).await.1, given);
    assert_eq!(given.orders.len(), 1);
    let done = json!({ "order_id": given.orders[0].order_id, "outcome": "it is tried again" });
    // Another device confirms nothing of this one's.
    assert_eq!(tell(&server, &other, &report(0, std::slice::from_ref(&done))).await.0, StatusCode::OK);
    assert_eq!(tell(&server, &agent, &report(1, &[])).await.1, given);
    assert_eq!(tell(&server, &agent, &report(0, &[done])).await.1, Orders::default());

    for _ in 0..ORDERS_OPEN {
        assert_eq!(order(&own, json!({ "order": "retry_all_captures" })).await, StatusCode::ACCEPTED);
    }
    assert_eq!(order(&own, json!({ "order": "send_originals" })).await, StatusCode::CONFLICT);
}

crate::testing::also_on_postgres!(inv12_a_device_tells_how_it_stands_and_is_asked_by_its_own_tenant_alone,);
