//! Devices: enrolment by a one-time code, tokens by `private_key_jwt` (RFC 7523).
//!
//! The device makes its own key and never sends it. It proves who it is with a short assertion signed by that
//! key; an assertion works once, for this server only.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use platen_model::Digest;
use platen_model::api::{EnrollRequest, EnrollResponse, Token};
use platen_model::keys::{CLOCK_LEEWAY_SECONDS, PublicKey};
use serde_json::json;

use super::random_token;
use crate::app::App;
use crate::http::{Whole, read_json};
use crate::refusal::Refusal;
use crate::store::{now_ms, people};

/// How long an access token lasts.
pub const TOKEN_SECONDS: u64 = 15 * 60;
/// What a device's token allows.
const SCOPE: &str = "documents:write documents:read";
/// The longest name of a device, in characters.
const NAME_CHARACTERS: usize = 200;
/// The one kind of assertion we take.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The routes of this module.
pub fn routes() -> Router<App> {
    Router::new().route("/v1/devices/enroll", post(enroll)).route("/oauth/token", post(token))
}

/// `POST /v1/devices/enroll`
async fn enroll(State(app): State<App>, headers: HeaderMap, Whole(body): Whole) -> Result<Response, Refusal> {
    let request: EnrollRequest = read_json(&headers, &body)?;
    if !is_key(&request.public_key) {
        return Err(Refusal::bad_request("`public_key` is not an Ed25519 key in base64"));
    }
    let name: String = request.name.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS).collect();
    let code = Digest::of(request.code.trim().as_bytes());
    let mut write = app.store.begin().await?;
    let device = people::enrol(&mut write, code, &name, &request.public_key).await?;
    write.commit().await?;
    let device = device.ok_or_else(|| {
        Refusal::new(StatusCode::FORBIDDEN, "bad-code", "the code is unknown, used, or its time is over")
            .help("get a new code with `platen-cloud device code`")
    })?;
    tracing::info!(device = %device.device_id, name = device.name, "a device is enrolled");
    let identity = EnrollResponse {
        device_id: device.device_id,
        tenant_id: device.tenant,
        receipt_key: app.receipt_key.public(),
    };
    Ok(Json(identity).into_response())
}

fn is_key(key: &PublicKey) -> bool {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(&key.0).is_ok_and(|bytes| bytes.len() == 32)
}

/// `POST /oauth/token`; failures are OAuth's own (RFC 6749, 5.2), as clients expect.
async fn token(State(app): State<App>, Whole(body): Whole) -> Result<Response, Refusal> {
    let mut fields = std::collections::HashMap::new();
    for (key, value) in form_fields(&body) {
        fields.insert(key, value);
    }
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" {
        return Ok(oauth_error("unsupported_grant_type", "only client_credentials is offered"));
    }
    if field("client_assertion_type") != ASSERTION_TYPE {
        return Ok(oauth_error("invalid_request", "client_assertion_type must be jwt-bearer (RFC 7523)"));
    }
    let assertion = field("client_assertion");
    let subject = PublicKey::unverified_subject(assertion).and_then(|subject| subject.parse().ok());
    let device = match subject {
        Some(id) => people::device(&app.store, id).await?,
        None => None,
    };
    let Some(device) = device else {
        return Ok(oauth_error("invalid_client", "no such client"));
    };
    let audience = format!("{}/oauth/token", app.config.public_url);
    let Ok(claims) = device.public_key.verify_jwt(assertion, &audience, now_ms() / 1000) else {
        return Ok(oauth_error(
            "invalid_client",
            "the assertion is malformed, expired or made for someone else",
        ));
    };
    if claims.iss != claims.sub {
        return Ok(oauth_error("invalid_client", "issuer and subject of the assertion differ"));
    }
    let token = random_token()?;
    let expires = now_ms() + TOKEN_SECONDS as i64 * 1000;
    // Remembered until the assertion could not be used any more in any case.
    let remembered = (claims.exp + 2 * CLOCK_LEEWAY_SECONDS) * 1000;
    let (jti, secret) = ((claims.jti.as_str(), remembered), (Digest::of(token.as_bytes()), expires));
    if !people::issue_token(&app.store, &device, jti, secret).await? {
        return Ok(oauth_error("invalid_client", "the assertion was used before"));
    }
    let answer = Token {
        access_token: token,
        token_type: "Bearer".into(),
        expires_in: TOKEN_SECONDS,
        scope: SCOPE.into(),
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

fn oauth_error(error: &str, description: &str) -> Response {
    let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    (status, Json(json!({ "error": error, "error_description": description }))).into_response()
}

/// The fields of an `application/x-www-form-urlencoded` body.
fn form_fields(body: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(body).into_owned();
    let uri = axum::http::Uri::builder().path_and_query(format!("/?{}", text.trim())).build();
    uri.ok()
        .and_then(|uri| axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok())
        .map(|fields| fields.0)
        .unwrap_or_default()
}
