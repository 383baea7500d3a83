//! `/v1/users`: the people of a tenant. Made, given a role, disabled and removed by its administrators.
//!
//! A person whose role, password or right to sign in changes is signed out everywhere. The last administrator who can
//! sign in stays one: a tenant nobody administers could only be helped from the command line.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use platen_model::api::Page;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::users::{PASSWORD_CHARACTERS, hash_password};
use super::{Caller, Role, Scope, Scopes};
use crate::app::App;
use crate::http::paging::{self, Limit};
use crate::http::read::{Asked, Body, Named};
use crate::refusal::Refusal;
use crate::store::people::{self as rows, Listed};
use crate::store::{Write, audit, from_ms, now_ms};

/// The routes of this module.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(one, change, remove))
}

/// A person as the API shows them.
#[derive(Debug, Serialize, ToSchema)]
struct ShownUser {
    /// The name they sign in with.
    name: String,
    /// What they may do.
    role: Role,
    /// Whether they may sign in.
    enabled: bool,
    /// Since when they may not, where they may not.
    disabled_at: Option<Timestamp>,
    /// When they were added.
    created_at: Timestamp,
}

/// A person to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// The name to sign in with. It is taken once in the whole site.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._@-]{0,99}$")]
    name: String,
    /// What they may do.
    role: Role,
    /// The password.
    #[schema(min_length = 8, max_length = 1000)]
    password: String,
}

/// What to change; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UserChange {
    /// What they may do.
    #[schema(nullable = false)]
    role: Option<Role>,
    /// Whether they may sign in.
    #[schema(nullable = false)]
    enabled: Option<bool>,
    /// A new password.
    #[schema(nullable = false, min_length = 8, max_length = 1000)]
    password: Option<String>,
}

/// Which page of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The `next` of an earlier answer.
    #[param(min_length = 1, max_length = 255)]
    after: Option<String>,
    /// At most so many items.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Lists the tenant's people, by name.
#[utoipa::path(get, path = "/v1/users", tag = "identity", operation_id = "list_users", params(Which),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "A page of the list.", body = Page<ShownUser>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Which>,
) -> Result<Json<Page<ShownUser>>, Refusal> {
    caller.must(Scope::Admin)?;
    let (limit, after) = (Limit::of(asked.limit), asked.after.unwrap_or_default());
    let found = rows::users(&app.store, caller.tenant(), &after, limit.to_read()).await?;
    let page = limit.page(found, |user| user.name.clone());
    Ok(Json(paging::shown(page, ShownUser::from)))
}

/// Adds a person.
#[utoipa::path(post, path = "/v1/users", tag = "identity", operation_id = "add_user",
    security(("oauth2" = ["admin"]), ("session" = [])), request_body = NewUser,
    responses((status = 201, description = "They can sign in.", body = ShownUser,
            headers(("Location" = String, description = "Their address."))),
        (status = 409, description = "The name is taken.", body = platen_model::Problem,
            content_type = "application/problem+json")))]
async fn add(State(app): State<App>, caller: Caller, Body(new): Body<NewUser>) -> Result<Response, Refusal> {
    caller.must(Scope::Admin)?;
    caller.must_have_all(&Scopes::of_role(new.role))?;
    let hash = hashed(new.password).await?;
    let user =
        Listed { name: new.name, role: new.role.as_str().into(), created_ms: now_ms(), disabled_ms: 0 };
    let mut write = app.store.begin().await?;
    if !rows::add_user(&mut write, caller.tenant(), &user, &hash).await? {
        return Err(Refusal::conflict(format!("the name {} is taken", user.name)).help("choose another name"));
    }
    note(&mut write, &caller, "user.add", &user, &user.role).await?;
    write.commit().await?;
    let location = format!("/v1/users/{}", user.name);
    let headers = [(header::LOCATION, location)];
    Ok((StatusCode::CREATED, headers, Json(ShownUser::from(user))).into_response())
}

/// One person.
#[utoipa::path(get, path = "/v1/users/{name}", tag = "identity", operation_id = "get_user",
    params(("name" = String, Path, description = "Their name.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "The person.", body = ShownUser)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<Json<ShownUser>, Refusal> {
    caller.must(Scope::Admin)?;
    let mut write = app.store.begin().await?;
    Ok(Json(find(&mut write, &caller, &name).await?.into()))
}

/// Changes a person's role, password, or right to sign in. They are signed out everywhere.
#[utoipa::path(patch, path = "/v1/users/{name}", tag = "identity", operation_id = "change_user",
    params(("name" = String, Path, description = "Their name.")),
    security(("oauth2" = ["admin"]), ("session" = [])), request_body = UserChange,
    responses((status = 200, description = "The person as they are now.", body = ShownUser),
        (status = 409, description = "It is the last administrator.", body = platen_model::Problem,
            content_type = "application/problem+json")))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Named(name): Named<String>,
    Body(change): Body<UserChange>,
) -> Result<Json<ShownUser>, Refusal> {
    caller.must(Scope::Admin)?;
    let hash = match change.password {
        Some(password) => Some(hashed(password).await?),
        None => None,
    };
    let mut write = app.store.begin().await?;
    write.hold(users_of(&caller)).await?;
    let mut user = find(&mut write, &caller, &name).await?;
    // Who sets a password can sign in with it, and who lets somebody in again may have set it before: neither what they were
    // nor what they become is more than the caller is. To keep somebody out takes no more than to administer.
    if hash.is_some() || change.enabled == Some(true) {
        caller.must_have_all(&Scopes::of_role(role_of(&user)?))?;
    }
    let was_administrator = is_administrator(&user);
    if let Some(role) = change.role {
        caller.must_have_all(&Scopes::of_role(role))?;
        user.role = role.as_str().into();
    }
    if let Some(enabled) = change.enabled
        && enabled != (user.disabled_ms == 0)
    {
        user.disabled_ms = if enabled { 0 } else { now_ms() };
    }
    rows::change_user(&mut write, caller.tenant(), &user, hash.as_deref()).await?;
    if was_administrator {
        must_have_an_administrator(&mut write, &caller).await?;
    }
    let able = if user.disabled_ms == 0 { "enabled" } else { "disabled" };
    let password = if hash.is_some() { ", new password" } else { "" };
    note(&mut write, &caller, "user.change", &user, &format!("{}, {able}{password}", user.role)).await?;
    write.commit().await?;
    Ok(Json(user.into()))
}

/// Removes a person and signs them out. What they did stays in the events and in the audit.
#[utoipa::path(delete, path = "/v1/users/{name}", tag = "identity", operation_id = "remove_user",
    params(("name" = String, Path, description = "Their name.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 204, description = "They are gone.")))]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Named(name): Named<String>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Admin)?;
    let mut write = app.store.begin().await?;
    write.hold(users_of(&caller)).await?;
    let user = find(&mut write, &caller, &name).await?;
    rows::remove_user(&mut write, caller.tenant(), &name).await?;
    if is_administrator(&user) {
        must_have_an_administrator(&mut write, &caller).await?;
    }
    note(&mut write, &caller, "user.remove", &user, "").await?;
    write.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<Listed> for ShownUser {
    fn from(user: Listed) -> Self {
        Self {
            role: user.role.parse().unwrap_or(Role::Viewer),
            enabled: user.disabled_ms == 0,
            disabled_at: (user.disabled_ms != 0).then(|| from_ms(user.disabled_ms)),
            created_at: from_ms(user.created_ms),
            name: user.name,
        }
    }
}

async fn hashed(password: String) -> Result<String, Refusal> {
    let hash = tokio::task::spawn_blocking(move || hash_password(&password)).await;
    hash.map_err(Refusal::internal)?.map_err(|_| {
        let complaint = format!("has fewer than {PASSWORD_CHARACTERS} characters");
        Refusal::invalid("the password cannot be used", [("password".to_owned(), complaint)].into())
    })
}

async fn find(write: &mut Write, caller: &Caller, name: &str) -> Result<Listed, Refusal> {
    let found = rows::find_user(write, caller.tenant(), name).await?;
    found.ok_or_else(|| Refusal::not_found(format!("user {name}")))
}

fn role_of(user: &Listed) -> Result<Role, Refusal> {
    user.role.parse().map_err(Refusal::internal)
}

fn is_administrator(user: &Listed) -> bool {
    user.role == Role::Admin.as_str() && user.disabled_ms == 0
}

fn users_of(caller: &Caller) -> String {
    format!("users of {}", caller.tenant())
}

async fn must_have_an_administrator(write: &mut Write, caller: &Caller) -> Result<(), Refusal> {
    if rows::administrators(write, caller.tenant()).await? > 0 {
        return Ok(());
    }
    Err(Refusal::conflict("this is the tenant's last administrator").help("make somebody else one first"))
}

async fn note(
    write: &mut Write,
    caller: &Caller,
    action: &str,
    user: &Listed,
    detail: &str,
) -> Result<(), Refusal> {
    Ok(audit::add(write, caller.tenant(), &caller.name(), action, &user.name, detail).await?)
}
