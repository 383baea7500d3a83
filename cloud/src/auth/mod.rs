//! Who is asking: devices by bearer token, people by session cookie. Every answer names the tenant (INV-12).
//!
//! Handlers of the API take a [`Caller`] and ask it for the scope they need; [`Device`] is for what only a device can
//! do, [`User`] for the pages. A session's cookie is sent by browsers whoever asks, so a caller that changes something
//! under a session must also carry the session's token. Secrets (tokens, codes, session cookies) are 256 random bits and stored only as digests.
//! Access tokens are opaque rows rather than self-signed: one look-up in a local file costs nothing here, and
//! a token that is a row can be taken away.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use platen_model::event::Actor;
use platen_model::{ClientId, DeviceId, Digest, TenantId};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::refusal::Refusal;
use crate::store;
use crate::store::people::DeviceRow;

pub mod clients;
pub mod devices;
mod people;
mod record;
mod scope;
mod tokens;
pub mod users;

pub use scope::{Scope, Scopes};

/// The routes of identity.
pub fn routes() -> utoipa_axum::router::OpenApiRouter<App> {
    tokens::routes()
        .merge(devices::routes())
        .merge(clients::routes())
        .merge(people::routes())
        .merge(record::routes())
}

/// The session cookie's name.
pub const SESSION_COOKIE: &str = "platen_session";

/// What a user may do. Each role may do all that those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Viewer,
    /// Review, retry.
    Reviewer,
    /// Everything.
    Admin,
}

impl Role {
    /// The role's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Reviewer => "reviewer",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Viewer, Self::Reviewer, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("no role is called {text:?}; there are viewer, reviewer and admin"))
    }
}

/// An enrolled device with a valid token.
#[derive(Clone, Debug)]
pub struct Device(pub DeviceRow);

/// A person with a session.
#[derive(Clone, Debug)]
pub struct User {
    /// The tenant.
    pub tenant: TenantId,
    /// The name.
    pub name: String,
    /// The role.
    pub role: Role,
    /// The token that this session's forms carry.
    pub csrf: String,
}

impl User {
    /// Refuses users whose role is not at least this one.
    pub fn must_be(&self, role: Role) -> Result<(), Refusal> {
        if self.role >= role {
            return Ok(());
        }
        Err(Refusal::forbidden(format!(
            "this needs the role {}, {} is {}",
            role.as_str(),
            self.name,
            self.role.as_str()
        )))
    }

    /// Refuses requests that do not carry this session's token: they may come from a foreign page.
    pub fn must_have_sent(&self, csrf: Option<&str>) -> Result<(), Refusal> {
        match csrf {
            Some(csrf) if Digest::of(csrf.as_bytes()) == Digest::of(self.csrf.as_bytes()) => Ok(()),
            _ => Err(Refusal::forbidden(
                "the session's token (X-CSRF-Token, or the form's field csrf) is missing",
            )),
        }
    }

    /// As the cause of an event.
    pub fn actor(&self) -> Actor {
        Actor::User(self.name.clone())
    }
}

/// Anyone who may use the API.
#[derive(Clone, Debug)]
pub struct Caller {
    tenant: TenantId,
    who: Who,
    scopes: Scopes,
}

/// Who a caller is.
#[derive(Clone, Debug)]
pub enum Who {
    /// A device.
    Device(DeviceRow),
    /// A program.
    Client(ClientId),
    /// A person.
    User(User),
}

impl Caller {
    /// The tenant whose data it may reach.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Who it is.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Refuses callers without a scope.
    pub fn must(&self, scope: Scope) -> Result<(), Refusal> {
        if self.scopes.has(scope) {
            return Ok(());
        }
        Err(Refusal::forbidden(format!("this needs the scope {}", scope.as_str()))
            .help("ask an administrator for the role or the scope it needs"))
    }

    /// Refuses to give what the caller does not have itself.
    pub fn must_have_all(&self, scopes: &Scopes) -> Result<(), Refusal> {
        match scopes.are_within(&self.scopes) {
            true => Ok(()),
            false => Err(Refusal::forbidden("nobody can give a scope they do not have")
                .help("ask somebody who has all of these scopes, or the server's administrator")),
        }
    }

    /// What it may do.
    pub fn scopes(&self) -> &Scopes {
        &self.scopes
    }

    /// Its name in the audit.
    pub fn name(&self) -> String {
        match &self.who {
            Who::Device(device) => format!("device:{}", device.device_id),
            Who::Client(client) => format!("client:{client}"),
            Who::User(user) => format!("user:{}", user.name),
        }
    }

    /// As the cause of an event.
    pub fn actor(&self) -> Actor {
        match &self.who {
            Who::Device(device) => Actor::Device(device.device_id.to_string()),
            Who::Client(client) => Actor::Client(client.to_string()),
            Who::User(user) => user.actor(),
        }
    }
}

impl From<User> for Caller {
    fn from(user: User) -> Self {
        Self { tenant: user.tenant.clone(), scopes: Scopes::of_role(user.role), who: Who::User(user) }
    }
}

impl FromRequestParts<App> for Device {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let caller = <Caller as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        match caller.who {
            Who::Device(device) => Ok(Self(device)),
            _ => Err(Refusal::forbidden("only a device can do this").help("enrol one, and use its token")),
        }
    }
}

impl FromRequestParts<App> for User {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        session(parts, app).await?.ok_or_else(|| Refusal::unauthenticated("nobody is signed in"))
    }
}

/// For pages that send strangers to the login instead of refusing them.
impl OptionalFromRequestParts<App> for User {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Refusal> {
        session(parts, app).await
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Refusal;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return by_token(parts, app).await;
        }
        let user = <User as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        if !parts.method.is_safe() {
            user.must_have_sent(parts.headers.get("x-csrf-token").and_then(|value| value.to_str().ok()))?;
        }
        Ok(user.into())
    }
}

async fn by_token(parts: &Parts, app: &App) -> Result<Caller, Refusal> {
    let token = bearer(parts).ok_or_else(|| Refusal::unauthenticated("the request has no bearer token"))?;
    let ended = || Refusal::unauthenticated("the token is unknown or has ended");
    let token = store::tokens::find(&app.store, Digest::of(token.as_bytes())).await?.ok_or_else(ended)?;
    let scopes = token.scopes.parse().map_err(Refusal::internal)?;
    let device = match token.holder.parse::<DeviceId>() {
        Ok(id) => store::people::device(&app.store, id).await?,
        Err(_) => None,
    };
    // A token that was being given while its holder was revoked may have outlived that.
    let who = match device {
        Some(device) if device.revoked_ms != 0 => return Err(ended()),
        Some(device) => Who::Device(device),
        None => {
            let id: ClientId = token.holder.parse().map_err(Refusal::internal)?;
            if store::clients::by_id(&app.store, id).await?.is_some_and(|client| client.revoked_ms != 0) {
                return Err(ended());
            }
            Who::Client(id)
        }
    };
    Ok(Caller { tenant: token.tenant, who, scopes })
}

async fn session(parts: &Parts, app: &App) -> Result<Option<User>, Refusal> {
    let Some(token) = cookie(parts, SESSION_COOKIE) else { return Ok(None) };
    let Some(row) = store::people::session(&app.store, Digest::of(token.as_bytes())).await? else {
        return Ok(None);
    };
    let role = row.role.parse().map_err(Refusal::internal)?;
    Ok(Some(User { tenant: row.tenant, name: row.user, role, csrf: csrf_of(&token) }))
}

fn bearer(parts: &Parts) -> Option<String> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

/// The token of a session's forms: made of the session's own, so that there is nothing to keep.
fn csrf_of(session: &str) -> String {
    Digest::of(format!("platen form token of {session}").as_bytes()).to_string()
}

/// The value of a cookie.
pub fn cookie(parts: &Parts, name: &str) -> Option<String> {
    let cookies = parts.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// 256 random bits as text that fits into URLs and cookies.
pub fn random_token() -> Result<String, Refusal> {
    let mut bytes = [0u8; 32];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Refusal::internal("the operating system gave no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
