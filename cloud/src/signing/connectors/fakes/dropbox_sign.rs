//! Dropbox Sign, held against its published OpenAPI document.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, body::Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Envelope, LINK, Person, Site, Stage, TOKEN, form, pdf};

type Memory = State<Arc<Site>>;

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/signature_request/send", post(create))
        .route("/signature_request/list", get(list))
        .route("/signature_request/{id}", get(one))
        .route("/signature_request/files/{id}", get(file))
        .route("/signature_request/cancel/{id}", post(cancel))
        .route("/signature_request/remind/{id}", post(remind))
}

fn error(status: StatusCode, name: &str) -> Response {
    (status, Json(json!({ "error": { "error_msg": name, "error_name": name } }))).into_response()
}

async fn create(State(site): Memory, headers: HeaderMap, body: Bytes) -> Response {
    let basic = format!("Basic {}", STANDARD.encode(format!("{TOKEN}:")));
    if headers.get("authorization").is_none_or(|said| *said != *basic) {
        return error(StatusCode::UNAUTHORIZED, "unauthorized");
    }
    let form = form(&headers, body).await;
    let value = |name: &str| {
        let found = form.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let mut people: Vec<Person> = Vec::new();
    while let Some(address) = value(&format!("signers[{}][email_address]", people.len())) {
        let name = value(&format!("signers[{}][name]", people.len())).expect("a name");
        people.push(Person { address, name, role: "signer".into(), ..Person::default() });
    }
    let order: serde_json::Map<String, Value> = form
        .iter()
        .filter(|(name, _)| !name.starts_with("files"))
        .map(|(name, value)| (name.clone(), json!(String::from_utf8_lossy(value))))
        .collect();
    let envelope = Envelope {
        id: String::new(),
        key: value("metadata[platen_envelope]").expect("our key"),
        stage: Stage::Open,
        people,
        order: Value::Object(order),
        reminders: 0,
        sendings: 0,
        looks: 0,
    };
    let made = site.add(|number| format!("{number:040x}"), envelope);
    Json(json!({ "signature_request": shown(&made) })).into_response()
}

fn shown(envelope: &Envelope) -> Value {
    let signatures: Vec<Value> = (0..)
        .zip(&envelope.people)
        .map(|(order, person): (u32, _)| {
            json!({
                "signature_id": format!("{order:032x}"),
                "signer_email_address": person.address,
                "signer_name": person.name,
                "order": order,
                "status_code": match person {
                    Person { signed: true, .. } => "signed",
                    Person { declined: Some(_), .. } => "declined",
                    _ => "awaiting_signature",
                },
                "decline_reason": person.declined,
                "signed_at": person.signed.then_some(1_767_000_000),
                "last_viewed_at": person.viewed.then_some(1_767_000_000),
            })
        })
        .collect();
    let over = if envelope.stage == Stage::Expired { 1_500_000_000 } else { 4_000_000_000_u64 };
    json!({
        "signature_request_id": envelope.id,
        "title": "nda.tif",
        "metadata": { "platen_envelope": envelope.key },
        "created_at": 1_767_000_000,
        "expires_at": over,
        "is_complete": envelope.stage == Stage::Completed,
        "is_declined": envelope.stage == Stage::Declined,
        "has_error": false,
        "signing_url": LINK,
        "details_url": LINK,
        "signatures": signatures,
    })
}

async fn list(State(site): Memory, Query(query): Query<Vec<(String, String)>>) -> Json<Value> {
    let wanted = query.iter().find(|(name, _)| name == "query").expect("a query").1.clone();
    let found: Vec<Value> = site
        .all()
        .iter()
        .filter(|envelope| wanted == format!("metadata:{}", envelope.key))
        .map(shown)
        .collect();
    let info = json!({ "num_pages": 1, "num_results": found.len(), "page": 1, "page_size": 100 });
    Json(json!({ "list_info": info, "signature_requests": found }))
}

async fn one(State(site): Memory, Path(id): Path<String>) -> Response {
    match site.get(&id) {
        // What was cancelled is gone.
        Some(envelope) if !matches!(envelope.stage, Stage::Voided(_)) => {
            Json(json!({ "signature_request": shown(&envelope) })).into_response()
        }
        _ => error(StatusCode::NOT_FOUND, "not_found"),
    }
}

async fn file(State(site): Memory, Path(id): Path<String>) -> Response {
    match site.get(&id) {
        Some(envelope) if envelope.stage == Stage::Completed => pdf(&site).into_response(),
        _ => error(StatusCode::CONFLICT, "conflict"),
    }
}

async fn cancel(State(site): Memory, Path(id): Path<String>) -> Response {
    let is_open = site.get(&id).is_some_and(|envelope| envelope.stage == Stage::Open);
    if !is_open {
        return error(StatusCode::GONE, "deleted");
    }
    site.change(&id, |envelope| envelope.stage = Stage::Voided(String::new()));
    StatusCode::OK.into_response()
}

async fn remind(State(site): Memory, Path(id): Path<String>, Json(body): Json<Value>) -> Response {
    let address = body["email_address"].as_str().expect("an address").to_owned();
    site.change(&id, |envelope| {
        assert!(envelope.people.iter().any(|person| person.address == address && !person.signed));
        envelope.reminders += 1;
    });
    Json(json!({ "signature_request": shown(&site.get(&id).expect("a request")) })).into_response()
}
