//! DocuSign, held against its published Swagger document.

use std::sync::{Arc, OnceLock};

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Form, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};

use super::{Envelope, LINK, Person, Site, Stage, pdf};

type Memory = State<Arc<Site>>;
/// The account's id.
pub(super) const ACCOUNT: &str = "11111111-2222-4333-8444-555555555555";
/// The stage of a draft that was taken away.
const DELETED: &str = "deleted";
const BEARER: &str = "bearer-of-an-hour";

/// The integration's key, made by openssl for this run of the tests.
pub(super) fn key_pem() -> &'static str {
    static PEM: OnceLock<String> = OnceLock::new();
    PEM.get_or_init(|| {
        let made = std::process::Command::new("openssl").args(["genrsa", "-traditional", "2048"]).output();
        String::from_utf8(made.expect("openssl is a build need").stdout).expect("PEM")
    })
}

/// The public half of [`key_pem`], as PKCS#1.
fn public_key() -> Vec<u8> {
    use rustls::pki_types::pem::PemObject as _;
    let key = rustls::pki_types::PrivatePkcs1KeyDer::from_pem_slice(key_pem().as_bytes()).expect("PEM");
    let pair = ring::signature::RsaKeyPair::from_der(key.secret_pkcs1_der()).expect("RSA");
    pair.public().as_ref().to_vec()
}

pub(super) fn router() -> Router<Arc<Site>> {
    let base = "/restapi/v2.1/accounts/{account}/envelopes";
    let at = |rest: &str| format!("{base}{rest}");
    Router::new()
        .route("/oauth/token", post(token))
        .route(base, post(create).get(find))
        .route(&at("/{id}"), get(one).put(update))
        .route("/restapi/v2.1/accounts/{account}/folders/{folder}", put(move_to))
        .route(&at("/{id}/documents/{document}"), get(document))
        .route(&at("/{id}/audit_events"), get(async || Json(json!({ "auditEvents": [] }))))
}

async fn token(Form(form): Form<Vec<(String, String)>>) -> Response {
    let value = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    assert_eq!(value("grant_type").as_deref(), Some("urn:ietf:params:oauth:grant-type:jwt-bearer"));
    let assertion = value("assertion").expect("an assertion");
    let (message, signature) = assertion.rsplit_once('.').expect("a JWT");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("Base64");
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key());
    if key.verify(message.as_bytes(), &signature).is_err() {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    }
    let claims = message.split('.').nth(1).expect("claims");
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("Base64")).expect("JSON");
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("client-7"), &json!("user-7")));
    assert!(!claims["aud"].as_str().expect("an audience").contains("://"), "no scheme");
    Json(json!({ "access_token": BEARER, "token_type": "Bearer", "expires_in": 3600 })).into_response()
}

fn is_known(headers: &HeaderMap, account: &str) -> bool {
    let bearer = format!("Bearer {BEARER}");
    account == ACCOUNT && headers.get("authorization").is_some_and(|said| *said == *bearer)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

async fn create(
    State(site): Memory,
    Path(account): Path<String>,
    headers: HeaderMap,
    Json(order): Json<Value>,
) -> Response {
    if !is_known(&headers, &account) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let list = |kind: &str, role: &str| -> Vec<Person> {
        let people = order["recipients"][kind].as_array().expect("a list").iter();
        people
            .map(|person| Person {
                address: text(&person["email"]),
                name: text(&person["name"]),
                role: role.into(),
                ..Person::default()
            })
            .collect()
    };
    let mut people = list("signers", "signer");
    people.extend(list("carbonCopies", "cc"));
    let stage = if order["status"] == "created" { Stage::Draft } else { Stage::Open };
    let key = text(&order["transactionId"]);
    let envelope = Envelope {
        id: String::new(),
        key,
        stage,
        people,
        order: order.clone(),
        reminders: 0,
        sendings: 0,
        looks: 0,
    };
    let id = |number| format!("aaaaaaaa-0000-4000-8000-{number:012}");
    let made = site.add(id, envelope);
    let answer =
        json!({ "envelopeId": made.id, "status": "created", "uri": format!("/envelopes/{}", made.id) });
    (StatusCode::CREATED, Json(answer)).into_response()
}

fn shown(envelope: &Envelope) -> Value {
    let signers: Vec<Value> = (1..)
        .zip(envelope.people.iter().filter(|person| person.role == "signer"))
        .map(|(number, person): (u32, _)| {
            json!({
                "recipientId": number.to_string(),
                "email": person.address,
                "name": person.name,
                "embeddedRecipientStartURL": LINK,
                "declinedReason": person.declined,
                "status": match person {
                    Person { declined: Some(_), .. } => "declined",
                    Person { signed: true, .. } => "completed",
                    Person { viewed: true, .. } => "delivered",
                    _ => "sent",
                },
            })
        })
        .map(|mut signer| {
            signer.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
            signer
        })
        .collect();
    let (status, reason) = match &envelope.stage {
        Stage::Draft => ("created", ""),
        Stage::Open => ("sent", ""),
        Stage::Completed => ("completed", ""),
        Stage::Declined => ("declined", ""),
        Stage::Expired => ("voided", "Envelope has expired."),
        Stage::Voided(reason) if reason == DELETED => ("deleted", ""),
        Stage::Voided(reason) => ("voided", reason.as_str()),
    };
    json!({
        "envelopeId": envelope.id,
        "status": status,
        "voidedReason": reason,
        "transactionId": envelope.key,
        "createdDateTime": "2026-01-02T03:04:05.0000000Z",
        "recipients": { "signers": signers },
        "customFields": envelope.order["customFields"],
    })
}

async fn find(State(site): Memory, Query(query): Query<Vec<(String, String)>>) -> Response {
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (transaction, field) = (value("transaction_ids"), value("custom_field"));
    if transaction.is_none() && value("from_date").is_none() {
        let error = json!({ "errorCode": "INVALID_REQUEST_PARAMETER", "message": "from_date is needed" });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    let all = site.all();
    let is_wanted = |envelope: &&Envelope| {
        transaction.as_ref().is_some_and(|key| *key == envelope.key)
            || field.as_ref().is_some_and(|field| field.split('=').nth(1) == Some(envelope.key.as_str()))
    };
    let found: Vec<Value> = all.iter().filter(is_wanted).map(shown).collect();
    Json(json!({ "resultSetSize": found.len().to_string(), "envelopes": found })).into_response()
}

async fn one(
    State(site): Memory,
    Path((account, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !is_known(&headers, &account) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    site.change(&id, |envelope| envelope.looks += 1);
    match site.get(&id) {
        Some(envelope) => Json(shown(&envelope)).into_response(),
        None => {
            let error = json!({ "errorCode": "ENVELOPE_DOES_NOT_EXIST", "message": "The envelope is gone." });
            (StatusCode::NOT_FOUND, Json(error)).into_response()
        }
    }
}

async fn update(
    State(site): Memory,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<Vec<(String, String)>>,
    Json(body): Json<Value>,
) -> Response {
    let stage = match site.get(&id) {
        Some(envelope) => envelope.stage,
        None => return StatusCode::NOT_FOUND.into_response(),
    };
    let no = |code: &str| {
        (StatusCode::BAD_REQUEST, Json(json!({ "errorCode": code, "message": code }))).into_response()
    };
    if query.contains(&("resend_envelope".into(), "true".into())) {
        site.change(&id, |envelope| envelope.reminders += 1);
    } else if body["status"] == "sent" {
        if site.send(&id) != Some(true) {
            return no("ENVELOPE_INVALID_STATUS");
        }
    } else if body["status"] == "voided" {
        // Only an envelope in process is voided; a draft is none.
        if stage != Stage::Open {
            return no("ENVELOPE_CANNOT_VOID_INVALID_STATE");
        }
        let reason = text(&body["voidedReason"]);
        site.change(&id, |envelope| envelope.stage = Stage::Voided(reason));
    } else {
        return no("INVALID_REQUEST_BODY");
    }
    Json(json!({ "envelopeId": id })).into_response()
}

/// The bin takes drafts as well; what is in process is voided by that.
async fn move_to(
    State(site): Memory,
    Path((account, folder)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if !is_known(&headers, &account) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    assert_eq!(folder, "recyclebin");
    for id in body["envelopeIds"].as_array().expect("a list") {
        site.change(&text(id), |envelope| match envelope.stage {
            Stage::Draft => envelope.stage = Stage::Voided(DELETED.into()),
            Stage::Open => envelope.stage = Stage::Voided("moved to the bin".into()),
            _ => {}
        });
    }
    Json(json!({ "folders": [] })).into_response()
}

async fn document(State(site): Memory, Path((_, id, document)): Path<(String, String, String)>) -> Response {
    match site.get(&id) {
        Some(_) if document == "combined" || document == "certificate" => pdf(&site).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
