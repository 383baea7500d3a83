//! eSignly, built from the reference (section 5). **Unconfirmed** against the provider.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Form, Json, Router, body::Bytes};
use serde_json::{Value, json};

use super::{Envelope, LINK, Person, Site, Stage, TOKEN, form, pdf};

type Memory = State<Arc<Site>>;
type Asked = Form<Vec<(String, String)>>;

pub(super) fn router() -> Router<Arc<Site>> {
    Router::new()
        .route("/v1/docSignRequest/", post(create))
        .route("/v1/checkSignStatus", post(one))
        .route("/v1/downloadDoc", post(async |State(site): Memory| pdf(&site)))
        .route("/v1/cancelSignReqest/", post(cancel))
        .route("/v1/sendReminder", post(remind))
}

async fn create(State(site): Memory, headers: HeaderMap, body: Bytes) -> Response {
    let form = form(&headers, body).await;
    let all = |name: &str| -> Vec<String> {
        let found = form.iter().filter(|(key, _)| key == name);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect()
    };
    if all("api_key") != [TOKEN] {
        return Json(json!({ "error_code": 401, "message": "bad key" })).into_response();
    }
    let person = |address: String| Person { address, role: "signer".into(), ..Person::default() };
    let envelope = Envelope {
        id: String::new(),
        key: String::new(),
        stage: Stage::Open,
        people: all("signer_email[]").into_iter().map(person).collect(),
        order: Value::Null,
        reminders: 0,
        sendings: 0,
        looks: 0,
    };
    let made = site.add(|number| format!("req{number}"), envelope);
    Json(shown(&made)).into_response()
}

fn shown(envelope: &Envelope) -> Value {
    let signatures: Vec<Value> = envelope
        .people
        .iter()
        .map(|person| {
            let status = match (person.signed, person.viewed) {
                (true, _) => "SIGNED",
                (_, true) => "VIEWED",
                _ => "SENT",
            };
            json!({ "signer_email_address": person.address, "status_code": status })
        })
        .collect();
    json!({
        "signature_request": {
            "details_url": format!("{LINK}/{}", envelope.id),
            "is_complete": envelope.stage == Stage::Completed,
            "has_error": false,
        },
        "signatures": signatures,
        "auth_key": LINK,
    })
}

fn id(form: &[(String, String)]) -> String {
    assert!(form.contains(&("api_key".to_owned(), TOKEN.to_owned())), "every call carries the key");
    form.iter().find(|(name, _)| name == "request_id").expect("an id").1.clone()
}

async fn one(State(site): Memory, Form(form): Asked) -> Response {
    match site.get(&id(&form)) {
        Some(envelope) => Json(shown(&envelope)).into_response(),
        None => Json(json!({ "error_code": "404_4" })).into_response(),
    }
}

async fn cancel(State(site): Memory, Form(form): Asked) -> Json<Value> {
    site.change(&id(&form), |envelope| envelope.stage = Stage::Voided(String::new()));
    Json(json!({}))
}

async fn remind(State(site): Memory, Form(form): Asked) -> Json<Value> {
    site.change(&id(&form), |envelope| envelope.reminders += 1);
    Json(json!({}))
}
