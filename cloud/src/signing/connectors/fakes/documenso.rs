//! Documenso, from its published routes (reference 2.2 to 2.8).

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, body::Bytes};
use serde_json::{Value, json};

use super::{Envelope, LINK, Person, Site, Stage, TOKEN, form, pdf};

type Memory = State<Arc<Site>>;

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/v2/envelope/create", post(create))
        .route("/api/v2/envelope/distribute", post(distribute))
        .route("/api/v2/envelope", get(find))
        .route("/api/v2/envelope/{id}", get(one))
        .route(
            "/api/v2/envelope/{id}/audit-log",
            get(async || Json(json!({ "data": [{ "id": "1", "type": "DOCUMENT_CREATED" }] }))),
        )
        .route("/api/v2/envelope/{id}/certificate/download", get(async |State(site): Memory| pdf(&site)))
        .route("/api/v2/envelope/item/{id}/download", get(async |State(site): Memory| pdf(&site)))
        .route("/api/v2/envelope/cancel", post(cancel))
        .route("/api/v2/envelope/delete", post(cancel))
        .route("/api/v2/envelope/redistribute", post(redistribute))
}

fn is_known(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|said| said == TOKEN)
}

fn refused(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "message": code, "code": code }))).into_response()
}

async fn create(State(site): Memory, headers: HeaderMap, body: Bytes) -> Response {
    if !is_known(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let form = form(&headers, body).await;
    let value = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice());
    let payload: Value = serde_json::from_slice(value("payload").expect("a payload")).expect("JSON");
    assert!(value("files").is_some_and(|file| file.starts_with(b"%PDF-")), "a file");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let people = payload["recipients"].as_array().expect("recipients").iter().map(|person| Person {
        address: text(&person["email"]),
        name: text(&person["name"]),
        role: text(&person["role"]),
        ..Person::default()
    });
    let envelope = Envelope {
        id: String::new(),
        key: text(&payload["externalId"]),
        stage: Stage::Draft,
        people: people.collect(),
        order: payload.clone(),
        reminders: 0,
        sendings: 0,
        looks: 0,
    };
    let made = site.add(|number| format!("envelope_{number}"), envelope);
    Json(json!({ "id": made.id })).into_response()
}

async fn distribute(State(site): Memory, Json(body): Json<Value>) -> Response {
    let id = body["envelopeId"].as_str().expect("an id");
    let Some(envelope) = site.get(id) else { return StatusCode::NOT_FOUND.into_response() };
    // A signer without a place to sign cannot be asked.
    for person in envelope.order["recipients"].as_array().expect("recipients") {
        let signs =
            person["fields"].as_array().expect("fields").iter().any(|field| field["type"] == "SIGNATURE");
        if person["role"] == "SIGNER" && !signs {
            return refused("MISSING_SIGNATURE_FIELD");
        }
    }
    if envelope.stage != Stage::Open && site.send(id) != Some(true) {
        return refused("ENVELOPE_COMPLETED");
    }
    Json(json!({ "success": true, "id": id, "recipients": [{ "signingUrl": LINK }] })).into_response()
}

fn shown(envelope: &Envelope) -> Value {
    let recipients: Vec<Value> = (1..)
        .zip(&envelope.people)
        .map(|(number, person): (u32, _)| {
            json!({
                "id": number,
                "email": person.address,
                "role": person.role,
                "token": LINK,
                "readStatus": if person.viewed { "OPENED" } else { "NOT_OPENED" },
                "sendStatus": if envelope.stage == Stage::Draft { "NOT_SENT" } else { "SENT" },
                "signingStatus": match (person.signed, &person.declined) {
                    (true, _) => "SIGNED",
                    (_, Some(_)) => "REJECTED",
                    _ => "NOT_SIGNED",
                },
                "rejectionReason": person.declined,
            })
        })
        .collect();
    json!({
        "id": envelope.id,
        "externalId": envelope.key,
        "status": match &envelope.stage {
            Stage::Draft => "DRAFT",
            // It knows no expired envelopes, only expired recipients.
            Stage::Open | Stage::Expired => "PENDING",
            Stage::Completed => "COMPLETED",
            Stage::Declined => "REJECTED",
            Stage::Voided(_) => "CANCELLED",
        },
        "recipients": recipients,
        "envelopeItems": [{ "id": "item_1" }],
    })
}

async fn one(State(site): Memory, headers: HeaderMap, Path(id): Path<String>) -> Response {
    if !is_known(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match site.get(&id) {
        Some(envelope) => Json(shown(&envelope)).into_response(),
        None => {
            let error = json!({ "message": "Envelope not found", "code": "NOT_FOUND" });
            (StatusCode::NOT_FOUND, Json(error)).into_response()
        }
    }
}

/// Its search is fuzzy: here it answers everything.
async fn find(State(site): Memory, Query(query): Query<Vec<(String, String)>>) -> Json<Value> {
    assert!(query.iter().any(|(name, _)| name == "query"), "a search");
    let mut data: Vec<Value> = vec![json!({ "id": "envelope_other", "externalId": "something-else" })];
    data.extend(site.all().iter().map(shown));
    Json(json!({ "data": data, "count": data.len(), "currentPage": 1, "perPage": 100, "totalPages": 1 }))
}

async fn cancel(State(site): Memory, Json(body): Json<Value>) -> Response {
    let reason = body["reason"].as_str().unwrap_or_default().to_owned();
    let id = body["envelopeId"].as_str().expect("an id");
    match site.change(id, |envelope| envelope.stage = Stage::Voided(reason)) {
        Some(()) => Json(json!({ "success": true })).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn redistribute(State(site): Memory, Json(body): Json<Value>) -> Json<Value> {
    assert!(!body["recipients"].as_array().expect("recipients").is_empty());
    site.change(body["envelopeId"].as_str().expect("an id"), |envelope| envelope.reminders += 1);
    Json(json!({ "success": true }))
}
