//! Foxit eSign, built from the reference (section 4). **Unconfirmed** against the provider.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde_json::{Value, json};

use super::{Envelope, LINK, Person, Site, Stage, TOKEN, pdf};

type Memory = State<Arc<Site>>;
const BEARER: &str = "Bearer bearer-of-a-year";

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/api/oauth2/access_token", post(token))
        .route("/api/folders/createfolder", post(create))
        .route("/api/folders/sendDraftFolder", post(send))
        .route("/api/folders/myfolder", get(one))
        .route(
            "/api/folders/viewActivityHistory",
            get(async || Json(json!({ "details": { "activities": [] } }))),
        )
        .route("/api/folders/document/download", get(async |State(site): Memory| pdf(&site)))
        .route("/api/folders/cancelFolder", post(cancel))
        .route("/api/folders/signaturereminder", post(remind))
}

/// Its errors are answers of success.
fn error(reason: &str) -> Response {
    Json(json!({ "result": "error", "error_description": reason })).into_response()
}

async fn token(Form(form): Form<Vec<(String, String)>>) -> Response {
    let has = |name: &str, value: &str| form.iter().any(|(key, said)| key == name && said == value);
    if !has("client_id", "client-7") || !has("client_secret", TOKEN) || !has("scope", "read-write") {
        return error("bad client");
    }
    let token = BEARER.trim_start_matches("Bearer ");
    Json(json!({ "access_token": token, "token_type": "bearer", "expires_in": 31_536_000 })).into_response()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn create(State(site): Memory, headers: HeaderMap, Json(order): Json<Value>) -> Response {
    if headers.get("authorization").is_none_or(|said| said != BEARER) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    if order["parties"].as_array().is_none_or(Vec::is_empty) {
        return error("no parties");
    }
    let people = order["parties"].as_array().into_iter().flatten().map(|party| Person {
        address: text(&party["emailId"]),
        name: text(&party["firstName"]),
        role: text(&party["permission"]),
        ..Person::default()
    });
    let stage = if order["sendNow"] == true { Stage::Open } else { Stage::Draft };
    let envelope = Envelope {
        id: String::new(),
        key: text(&order["custom_field1"]["value"]),
        stage,
        people: people.collect(),
        order: order.clone(),
        reminders: 0,
        sendings: 0,
        looks: 0,
    };
    let made = site.add(|number| (7_000 + number).to_string(), envelope);
    Json(json!({ "result": "success", "folder": shown(&made) })).into_response()
}

fn shown(envelope: &Envelope) -> Value {
    let parties: Vec<Value> = envelope
        .people
        .iter()
        .map(|person| json!({ "partyDetails": { "emailId": person.address } }))
        .collect();
    let entry = |action: &str, person: &Person| json!({ "action": action, "user": person.address });
    let viewed = envelope.people.iter().filter(|person| person.viewed).map(|person| entry("Viewed", person));
    let signed = envelope.people.iter().filter(|person| person.signed).map(|person| entry("Signed", person));
    let declined = envelope.people.iter().find(|person| person.declined.is_some());
    let reason = match &envelope.stage {
        Stage::Voided(reason) => Some(reason.clone()),
        _ => declined.and_then(|person| person.declined.clone()),
    };
    json!({
        "folderId": envelope.id.parse::<u64>().expect("a number"),
        "folderStatus": match &envelope.stage {
            Stage::Draft => "DRAFT",
            Stage::Open if envelope.people.iter().any(|person| person.signed) => "PARTIALLY SIGNED",
            Stage::Open => "SHARED",
            Stage::Completed => "EXECUTED",
            Stage::Declined | Stage::Voided(_) => "CANCELLED",
            Stage::Expired => "EXPIRED",
        },
        "folderRecipientParties": parties,
        "folderHistory": viewed.chain(signed).collect::<Vec<_>>(),
        "folderAccessURL": LINK,
        "cancelling_party": declined.map(|person| json!({ "emailId": person.address })),
        "reason_for_cancelling": reason,
    })
}

fn folder_id(body: &Value) -> String {
    body["folderId"].as_u64().expect("a number").to_string()
}

async fn send(State(site): Memory, Json(body): Json<Value>) -> Response {
    match site.send(&folder_id(&body)) {
        Some(true) => Json(json!({ "result": "success" })).into_response(),
        _ => error("the folder is no draft"),
    }
}

async fn one(State(site): Memory, Query(query): Query<Vec<(String, String)>>) -> Response {
    let id = &query.iter().find(|(name, _)| name == "folderId").expect("an id").1;
    match site.get(id) {
        Some(envelope) => Json(json!({ "result": "success", "folder": shown(&envelope) })).into_response(),
        None => error("no such folder"),
    }
}

async fn cancel(State(site): Memory, Json(body): Json<Value>) -> Response {
    let reason = text(&body["reason_for_cancellation"]);
    site.change(&folder_id(&body), |envelope| envelope.stage = Stage::Voided(reason));
    Json(json!({ "result": "success" })).into_response()
}

async fn remind(State(site): Memory, Json(body): Json<Value>) -> Response {
    site.change(&folder_id(&body), |envelope| envelope.reminders += 1);
    Json(json!({ "result": "success" })).into_response()
}
