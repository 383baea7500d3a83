//! `POST /oauth/token`: client credentials (RFC 6749, 4.4), by secret or by `private_key_jwt` (RFC 7523).
//!
//! Devices and clients ask the same way; a device has only its key. An assertion works once, for this server only. Who
//! is not known is answered as who is known but wrong.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_model::api::Token;
use platen_model::keys::{CLOCK_LEEWAY_SECONDS, Claims, PublicKey};
use platen_model::{ClientId, DeviceId, Digest, TenantId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Scopes, random_token};
use crate::app::App;
use crate::http::read::Whole;
use crate::refusal::Refusal;
use crate::store::clients::{self, Proof};
use crate::store::tokens::{self, Issue, TokenRow};
use crate::store::{StoreError, audit, now_ms, people};

/// How long an access token lasts.
pub(super) const TOKEN_SECONDS: u64 = 15 * 60;
/// The one kind of assertion we take.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(token))
}

/// What is asked of `POST /oauth/token`.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes a form for the contract; `token` reads it field by field")]
struct TokenRequest {
    /// The one grant that is offered.
    grant_type: Grant,
    /// The client, where it has a secret. `Authorization: Basic` does as well.
    client_id: Option<String>,
    /// The client's secret.
    client_secret: Option<String>,
    /// `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`, where the client has a key.
    client_assertion_type: Option<String>,
    /// A JWT (`EdDSA`) whose issuer and subject are the client's or device's id and whose audience is this address. It
    /// works once.
    client_assertion: Option<String>,
    /// The scopes wanted, separated by blanks; all the client may have where it is absent.
    scope: Option<String>,
}

/// The grants.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "see `TokenRequest`")]
enum Grant {
    ClientCredentials,
}

/// A refusal in OAuth's own form (RFC 6749, 5.2).
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
struct OAuthError {
    /// `invalid_request`, `invalid_client`, `invalid_scope` or `unsupported_grant_type`.
    error: &'static str,
    /// For people.
    error_description: &'static str,
}

/// Who asks, once it has proved it.
struct Holder {
    id: String,
    tenant: TenantId,
    scopes: Scopes,
    jti: Option<(String, i64)>,
    /// What it proved it with.
    proof: Proof,
}

/// Gives a token.
///
/// It lasts 15 minutes. Refusals are OAuth's own (RFC 6749, 5.2), as clients expect.
#[utoipa::path(post, path = "/oauth/token", tag = "identity",
    request_body(content_type = "application/x-www-form-urlencoded", content = TokenRequest),
    responses((status = 200, description = "The token.", body = Token),
        (status = 400, description = "The request is not one of OAuth's.", body = OAuthError),
        (status = 401, description = "The client is not who it says.", body = OAuthError)))]
async fn token(State(app): State<App>, headers: HeaderMap, Whole(body): Whole) -> Result<Response, Refusal> {
    let fields: std::collections::HashMap<String, String> = form_fields(&body).into_iter().collect();
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "client_credentials" {
        return Ok(refused("unsupported_grant_type", "only client_credentials is offered"));
    }
    let basic = basic(&headers);
    let (id, secret) = match &basic {
        Some((id, secret)) => (id.as_str(), secret.as_str()),
        None => (field("client_id"), field("client_secret")),
    };
    let holder = if field("client_assertion").is_empty() {
        by_secret(&app, id, secret).await?
    } else if field("client_assertion_type") == ASSERTION_TYPE {
        by_assertion(&app, field("client_assertion")).await?
    } else {
        return Ok(refused("invalid_client", "client_assertion_type must be jwt-bearer (RFC 7523)"));
    };
    let Some(holder) = holder else {
        let description =
            "no such client, or its secret or assertion is wrong, expired or made for someone else";
        return Ok(refused("invalid_client", description));
    };
    let Ok(wanted) = field("scope").parse::<Scopes>() else {
        return Ok(refused("invalid_scope", "there is no such scope"));
    };
    if !wanted.are_within(&holder.scopes) {
        return Ok(refused("invalid_scope", "the client may not have that scope"));
    }
    let scopes = if wanted.is_empty() { holder.scopes } else { wanted };
    let token = random_token()?;
    let row = TokenRow { tenant: holder.tenant, holder: holder.id, scopes: scopes.to_string() };
    let jti = holder.jti.as_ref().map(|(jti, forget)| (jti.as_str(), *forget));
    let expires = now_ms() + TOKEN_SECONDS as i64 * 1000;
    let digest = Digest::of(token.as_bytes());
    match tokens::issue(&app.store, &row, digest, expires, &holder.proof, jti).await? {
        Issue::Done => {}
        Issue::UsedBefore => return Ok(refused("invalid_client", "the assertion was used before")),
        Issue::ProofEnded => return Ok(refused("invalid_client", "what it was asked for with has ended")),
    }
    let answer = Token {
        access_token: token,
        token_type: "Bearer".into(),
        expires_in: TOKEN_SECONDS,
        scope: row.scopes,
    };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// The client of an id and a secret.
async fn by_secret(app: &App, id: &str, secret: &str) -> Result<Option<Holder>, StoreError> {
    let Ok(id) = id.parse::<ClientId>() else { return Ok(None) };
    let Some(client) = clients::by_id(&app.store, id).await?.filter(|client| client.revoked_ms == 0) else {
        return Ok(None);
    };
    // A secret is 256 random bits, so its digest cannot be guessed step by step.
    let offered = Proof::Secret(Digest::of(secret.as_bytes()));
    let known = clients::credentials(&app.store, &client.tenant, id).await?;
    if !known.iter().any(|credential| credential.proof == offered) {
        tracing::warn!(client = %id, "a wrong secret");
        let (subject, detail) = (id.to_string(), "a wrong secret");
        let mut write = app.store.begin().await?;
        audit::add_seldom(&mut write, &client.tenant, "somebody", "token.refused", &subject, detail).await?;
        write.commit().await?;
        return Ok(None);
    }
    let scopes = client.scopes.parse().map_err(StoreError::Damaged)?;
    Ok(Some(Holder { id: id.to_string(), tenant: client.tenant, scopes, proof: offered, jti: None }))
}

/// The device or client that signed an assertion.
async fn by_assertion(app: &App, assertion: &str) -> Result<Option<Holder>, StoreError> {
    let Some(subject) = PublicKey::unverified_subject(assertion) else { return Ok(None) };
    // The id as it is kept: a subject may write it otherwise, and what ends its tokens would not find them.
    let Ok(id) = subject.parse::<DeviceId>().map(|id| id.to_string()) else { return Ok(None) };
    let Some((tenant, keys, scopes)) = signers(app, &id).await? else { return Ok(None) };
    let audience = format!("{}/oauth/token", app.config.public_url);
    let verified = |key: PublicKey| {
        let claims: Claims = key.verify_jwt(assertion, &audience, now_ms() / 1000).ok()?;
        (claims.iss == claims.sub).then_some((Proof::Key(key), claims))
    };
    let Some((proof, claims)) = keys.into_iter().find_map(verified) else { return Ok(None) };
    // Remembered until the assertion could not be used any more in any case.
    let forget = (claims.exp + 2 * CLOCK_LEEWAY_SECONDS) * 1000;
    Ok(Some(Holder { id, tenant, scopes, proof, jti: Some((claims.jti, forget)) }))
}

/// The tenant, the keys and the scopes of the device or client of an id.
async fn signers(app: &App, id: &str) -> Result<Option<(TenantId, Vec<PublicKey>, Scopes)>, StoreError> {
    if let Ok(device) = id.parse::<DeviceId>()
        && let Some(device) = people::device(&app.store, device).await?
    {
        let is_known = device.revoked_ms == 0;
        return Ok(is_known.then(|| (device.tenant, vec![device.public_key], Scopes::of_device())));
    }
    let Ok(id) = id.parse::<ClientId>() else { return Ok(None) };
    let Some(client) = clients::by_id(&app.store, id).await?.filter(|client| client.revoked_ms == 0) else {
        return Ok(None);
    };
    let credentials = clients::credentials(&app.store, &client.tenant, id).await?;
    let keys = credentials.into_iter().filter_map(|credential| match credential.proof {
        Proof::Key(key) => Some(key),
        Proof::Secret(_) => None,
    });
    let scopes = client.scopes.parse().map_err(StoreError::Damaged)?;
    Ok(Some((client.tenant, keys.collect(), scopes)))
}

fn refused(error: &'static str, description: &'static str) -> Response {
    let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    let body = OAuthError { error, error_description: description };
    let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let how = header::HeaderValue::from_static("Basic realm=\"platen\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
    }
    response
}

/// Id and secret of `Authorization: Basic` (RFC 6749, 2.3.1: both are form-encoded; ours have no letter that changes).
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
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
