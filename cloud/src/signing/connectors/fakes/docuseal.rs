//! DocuSeal, held against its published OpenAPI document.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{Envelope, LINK, Person, Site, Stage, TOKEN, pdf};

type Memory = State<Arc<Site>>;
const AT: &str = "2026-01-02T03:04:05.000Z";

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/submissions/pdf", post(create))
        .route("/submissions/{id}", get(one).delete(archive))
        .route("/submissions/{id}/documents", get(documents))
        .route("/submitters", get(submitters))
        .route("/submitters/{id}", put(remind))
        .route("/file/{name}", get(download))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn create(State(site): Memory, headers: HeaderMap, Json(order): Json<Value>) -> Response {
    if headers.get("x-auth-token").is_none_or(|said| said != TOKEN) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "Not authenticated" }))).into_response();
    }
    let submitters = order["submitters"].as_array().expect("submitters");
    let people = submitters.iter().map(|submitter| Person {
        address: text(&submitter["email"]),
        name: text(&submitter["name"]),
        role: text(&submitter["role"]),
        ..Person::default()
    });
    let envelope = Envelope {
        id: String::new(),
        key: text(&submitters[0]["external_id"]),
        stage: Stage::Open,
        people: people.collect(),
        order: order.clone(),
        reminders: 0,
        sendings: 0,
        looks: 0,
    };
    let made = site.add(|number| (100 + number).to_string(), envelope);
    let mut answer = shown(&site, &made);
    let kept =
        ["id", "name", "submitters", "source", "submitters_order", "status", "documents", "created_at"];
    answer.as_object_mut().expect("an object").retain(|name, _| kept.contains(&name.as_str()));
    for submitter in answer["submitters"].as_array_mut().expect("submitters") {
        let submitter = submitter.as_object_mut().expect("an object");
        submitter.remove("submission_id");
        submitter.remove("documents");
        submitter.insert("metadata".into(), json!({}));
        submitter.insert("preferences".into(), json!({}));
        submitter.insert("embed_src".into(), json!(LINK));
    }
    answer["expire_at"] = order["expire_at"].clone();
    answer["documents"] = json!([]);
    answer["schema"] = json!([]);
    answer["fields"] = json!([]);
    Json(answer).into_response()
}

fn number(envelope: &Envelope) -> u64 {
    envelope.id.parse().expect("a number")
}

fn submitter(envelope: &Envelope, index: usize) -> Value {
    let (person, open) = (&envelope.people[index], envelope.stage == Stage::Open);
    let at = |happened: bool| happened.then_some(AT);
    json!({
        "id": number(envelope) * 10 + index as u64,
        "submission_id": number(envelope),
        "uuid": "0b0b0b0b-0b0b-4b0b-8b0b-0b0b0b0b0b0b",
        "email": person.address,
        "slug": "LET-ME-SIGN",
        "sent_at": at(index == 0 || envelope.people[index - 1].signed),
        "opened_at": at(person.viewed),
        "completed_at": at(person.signed),
        "declined_at": at(person.declined.is_some()),
        "created_at": AT,
        "updated_at": AT,
        "name": person.name,
        "phone": null,
        "external_id": text(&envelope.order["submitters"][index]["external_id"]),
        "status": match person {
            Person { signed: true, .. } => "completed",
            Person { declined: Some(_), .. } => "declined",
            Person { viewed: true, .. } => "opened",
            _ if open && index == 0 => "sent",
            _ => "awaiting",
        },
        "values": [],
        "documents": [],
        "role": person.role,
    })
}

fn shown(site: &Site, envelope: &Envelope) -> Value {
    let submitters: Vec<Value> = (0..envelope.people.len()).map(|index| submitter(envelope, index)).collect();
    let refusal = (0..).zip(&envelope.people).find_map(|(index, person): (u64, _)| {
        let reason = person.declined.as_ref()?;
        Some(json!({
            "id": 1,
            "submitter_id": number(envelope) * 10 + index,
            "event_type": "decline_form",
            "event_timestamp": AT,
            "data": { "reason": reason },
        }))
    });
    json!({
        "id": number(envelope),
        "name": "nda.tif",
        "slug": "LET-ME-SIGN",
        "source": "api",
        "submitters_order": envelope.order["order"],
        "audit_log_url": format!("{}/file/audit.pdf", site.url()),
        "combined_document_url": null,
        "created_at": AT,
        "updated_at": AT,
        "archived_at": matches!(envelope.stage, Stage::Voided(_)).then_some(AT),
        "submitters": submitters,
        "created_by_user": { "id": 1, "first_name": "A", "last_name": "B", "email": "a@example.com" },
        "submission_events": refusal.into_iter().collect::<Vec<_>>(),
        "documents": [],
        "status": match &envelope.stage {
            Stage::Completed => "completed",
            Stage::Declined => "declined",
            Stage::Expired => "expired",
            _ => "pending",
        },
        "metadata": {},
        "completed_at": null,
    })
}

async fn one(State(site): Memory, Path(id): Path<String>) -> Response {
    match site.get(&id) {
        Some(envelope) => Json(shown(&site, &envelope)).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({ "status": 404, "error": "Not Found" }))).into_response(),
    }
}

async fn archive(State(site): Memory, Path(id): Path<String>) -> Json<Value> {
    site.change(&id, |envelope| envelope.stage = Stage::Voided(String::new()));
    Json(json!({ "id": id.parse::<u64>().expect("a number"), "archived_at": AT }))
}

async fn documents(State(site): Memory, Path(id): Path<String>) -> Json<Value> {
    let url = format!("{}/file/signed.pdf", site.url());
    Json(json!({ "id": id.parse::<u64>().expect("a number"), "documents": [{ "name": "nda", "url": url }] }))
}

/// Links carry their own right: a token sent along would be a leak.
async fn download(State(site): Memory, headers: HeaderMap) -> Response {
    assert!(!headers.contains_key("x-auth-token"), "the token goes nowhere but to the API");
    pdf(&site).into_response()
}

async fn submitters(State(site): Memory, Query(query): Query<Vec<(String, String)>>) -> Json<Value> {
    let wanted = query.iter().find(|(name, _)| name == "external_id").expect("a key").1.clone();
    let mut data = Vec::new();
    for envelope in site.all() {
        for index in 0..envelope.people.len() {
            let mut submitter = submitter(&envelope, index);
            submitter["preferences"] = json!({});
            submitter["metadata"] = json!({});
            submitter["submission_events"] = json!([]);
            data.extend((submitter["external_id"] == wanted.as_str()).then_some(submitter));
        }
    }
    // Newest first.
    data.reverse();
    Json(json!({ "data": data, "pagination": { "count": data.len(), "next": null, "prev": null } }))
}

async fn remind(State(site): Memory, Path(id): Path<String>, Json(body): Json<Value>) -> Json<Value> {
    assert_eq!(body["send_email"], true);
    let number: u64 = id.parse().expect("a number");
    let submission = (number / 10).to_string();
    site.change(&submission, |envelope| envelope.reminders += 1);
    let envelope = site.get(&submission).expect("a submission");
    let mut answer = submitter(&envelope, (number % 10) as usize);
    answer["preferences"] = json!({});
    answer["metadata"] = json!({});
    answer["embed_src"] = json!(LINK);
    Json(answer)
}
