//! Devices: enrolment by a one-time code, the list, key rotation, revocation. Tokens are [`super::tokens`]'.
//!
//! The device makes its own key and never sends it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use platen_model::api::{EnrollRequest, EnrollResponse, Page};
use platen_model::keys::PublicKey;
use platen_model::{DeviceId, Digest, TenantId};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Caller, Scope, Who};
use crate::app::App;
use crate::http::paging::{self, Limit, Paging};
use crate::http::read::{Asked, Body, Named};
use crate::refusal::Refusal;
use crate::store::people::DeviceRow;
use crate::store::{audit, from_ms, now_ms, people};

/// The longest name of a device, in characters.
const NAME_CHARACTERS: usize = 200;
/// Minutes a code lasts where nobody says.
const CODE_MINUTES: u32 = 60;
/// The letters of an enrolment code: none that is taken for another.
const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Letters in a code: 100 bits.
const CODE_LETTERS: usize = 20;

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(enroll))
        .routes(routes!(code))
        .routes(routes!(list))
        .routes(routes!(one, revoke))
        .routes(routes!(rotate))
}

/// Gives a device an identity for a one-time code.
///
/// The device makes its own key and never sends it. Repeating the request with the same code and key gives the same
/// answer.
#[utoipa::path(post, path = "/v1/devices/enroll", tag = "identity", request_body = EnrollRequest,
    responses((status = 200, description = "The identity.", body = EnrollResponse),
        (status = 403, description = "The code is unknown, used, or its time is over.", body = platen_model::Problem,
            content_type = "application/problem+json")))]
async fn enroll(State(app): State<App>, Body(request): Body<EnrollRequest>) -> Result<Response, Refusal> {
    must_be_key(&request.public_key)?;
    let name: String = request.name.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS).collect();
    // People copy it by hand, and it has capitals only.
    let code = Digest::of(request.code.trim().to_uppercase().as_bytes());
    let mut write = app.store.begin().await?;
    let device = people::enrol(&mut write, code, &name, &request.public_key).await?;
    if let Some(device) = &device {
        let subject = device.device_id.to_string();
        audit::add(&mut write, &device.tenant, "device", "device.enrol", &subject, &device.name).await?;
    }
    write.commit().await?;
    let device = device.ok_or_else(|| {
        Refusal::new(StatusCode::FORBIDDEN, "bad-code", "the code is unknown, used, or its time is over")
            .help("get a new code with `platen-cloud device code`")
    })?;
    tracing::info!(device = %device.device_id, name = device.name, "a device is enrolled");
    let identity = EnrollResponse {
        device_id: device.device_id,
        tenant_id: device.tenant,
        receipt_key: app.receipt_key.key.public(),
    };
    Ok(Json(identity).into_response())
}

/// A device as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct ShownDevice {
    /// Its id.
    device_id: DeviceId,
    /// Its name, for people.
    name: String,
    /// Its key: what an evidence package names.
    public_key: PublicKey,
    /// When it was enrolled.
    created_at: Timestamp,
    /// When it was revoked, if it was.
    revoked_at: Option<Timestamp>,
}

/// Lists the tenant's devices, oldest first.
#[utoipa::path(get, path = "/v1/devices", tag = "identity", operation_id = "list_devices", params(Paging),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "A page of the list.", body = Page<ShownDevice>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Json<Page<ShownDevice>>, Refusal> {
    caller.must(Scope::Admin)?;
    let (limit, after) = (Limit::of(asked.limit), asked.after.map(DeviceId::from_uuid));
    let found = people::devices(&app.store, caller.tenant(), after, limit.to_read()).await?;
    Ok(Json(paging::shown(limit.page(found, |device| device.device_id.to_string()), shown)))
}

/// One device.
#[utoipa::path(get, path = "/v1/devices/{id}", tag = "identity", operation_id = "get_device",
    params(("id" = DeviceId, Path, description = "The device.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "The device.", body = ShownDevice)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<ShownDevice>, Refusal> {
    caller.must(Scope::Admin)?;
    Ok(Json(shown(find(&app, caller.tenant(), &id).await?)))
}

/// Revokes a device. Its tokens end at once; what it sent stays.
#[utoipa::path(delete, path = "/v1/devices/{id}", tag = "identity", operation_id = "revoke_device",
    params(("id" = DeviceId, Path, description = "The device.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 204, description = "It is revoked.")))]
async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Admin)?;
    let device = find(&app, caller.tenant(), &id).await?;
    let mut write = app.store.begin().await?;
    people::revoke_device(&mut write, caller.tenant(), device.device_id).await?;
    let subject = device.device_id.to_string();
    audit::add(&mut write, caller.tenant(), &caller.name(), "device.revoke", &subject, &device.name).await?;
    write.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A device's new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// The new key.
    public_key: PublicKey,
}

/// Replaces a device's key. Only the device itself can, with a token of its old key, and all its tokens end.
#[utoipa::path(put, path = "/v1/devices/{id}/key", tag = "identity", operation_id = "rotate_device_key",
    params(("id" = DeviceId, Path, description = "The device.")),
    security(("oauth2" = ["documents:write"])), request_body = NewKey,
    responses((status = 204, description = "The new key holds, the old one does not.")))]
async fn rotate(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    Body(new): Body<NewKey>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::DocumentsWrite)?;
    must_be_key(&new.public_key)?;
    let device = find(&app, caller.tenant(), &id).await?;
    if !matches!(caller.who(), Who::Device(own) if own.device_id == device.device_id) {
        return Err(Refusal::forbidden("only the device itself can replace its key"));
    }
    let mut write = app.store.begin().await?;
    people::replace_key(&mut write, caller.tenant(), device.device_id, &new.public_key).await?;
    let subject = device.device_id.to_string();
    audit::add(&mut write, caller.tenant(), &caller.name(), "device.key", &subject, &new.public_key.0)
        .await?;
    write.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What code to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeRequest {
    /// Minutes until it ends; 60 by default.
    #[schema(minimum = 1, maximum = 10080)]
    minutes: Option<u32>,
}

/// A code that enrols one device.
#[derive(Debug, Serialize, ToSchema)]
struct Code {
    /// The code. It is shown this once.
    code: String,
    /// When it ends.
    expires_at: Timestamp,
}

/// Makes a code that enrols one device.
#[utoipa::path(post, path = "/v1/devices/codes", tag = "identity", operation_id = "make_enrolment_code",
    security(("oauth2" = ["admin"]), ("session" = [])), request_body = CodeRequest,
    responses((status = 201, description = "The code.", body = Code)))]
async fn code(
    State(app): State<App>,
    caller: Caller,
    Body(asked): Body<CodeRequest>,
) -> Result<Response, Refusal> {
    caller.must(Scope::Admin)?;
    let code = new_code().map_err(Refusal::internal)?;
    let expires_ms = now_ms() + i64::from(asked.minutes.unwrap_or(CODE_MINUTES)) * 60_000;
    let digest = Digest::of(code.as_bytes());
    people::add_code(&app.store, caller.tenant(), &caller.name(), digest, expires_ms).await?;
    Ok((StatusCode::CREATED, Json(Code { code, expires_at: from_ms(expires_ms) })).into_response())
}

/// A code: letters in groups of five.
pub fn new_code() -> Result<String, String> {
    let mut bytes = [0u8; CODE_LETTERS];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the operating system gave no randomness")?;
    let letters: Vec<char> = bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    Ok(letters.chunks(5).map(String::from_iter).collect::<Vec<_>>().join("-"))
}

pub(super) fn is_key(key: &PublicKey) -> bool {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(&key.0).is_ok_and(|bytes| bytes.len() == 32)
}

fn must_be_key(key: &PublicKey) -> Result<(), Refusal> {
    if is_key(key) {
        return Ok(());
    }
    let errors = [("public_key".to_owned(), "is not an Ed25519 key in base64".to_owned())];
    Err(Refusal::invalid("the key cannot be used", errors.into()))
}

fn shown(device: DeviceRow) -> ShownDevice {
    ShownDevice {
        device_id: device.device_id,
        name: device.name,
        public_key: device.public_key,
        created_at: from_ms(device.created_ms),
        revoked_at: (device.revoked_ms != 0).then(|| from_ms(device.revoked_ms)),
    }
}

/// A device of this tenant, by the id in a path.
pub(crate) async fn find(app: &App, tenant: &TenantId, id: &str) -> Result<DeviceRow, Refusal> {
    let missing = || Refusal::not_found(format!("device {id}"));
    let key: DeviceId = id.parse().map_err(|_| missing())?;
    let found = people::device(&app.store, key).await?;
    found.filter(|device| device.tenant == *tenant).ok_or_else(missing)
}
