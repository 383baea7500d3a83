//! `/v1/clients`: the programs of a tenant. Secrets are shown once, when they are made; several credentials may hold at
//! once, so that one is replaced without a gap (key rotation).

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use platen_model::api::Page;
use platen_model::keys::PublicKey;
use platen_model::{ClientId, Digest, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::devices::is_key;
use super::{Caller, Scope, Scopes, random_token};
use crate::app::App;
use crate::http::paging::{Limit, Paging};
use crate::http::read::{Asked, Body, Named};
use crate::refusal::Refusal;
use crate::store::clients::{self as rows, ClientRow, Credential, Proof};
use crate::store::{audit, from_ms, now_ms};

/// Most credentials of a client at once.
const CREDENTIALS: usize = 10;
/// The start of every secret, so that scanners of repositories can tell them.
const SECRET_PREFIX: &str = "platen_";

/// The routes of this module.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(one, revoke))
        .routes(routes!(add_credential))
        .routes(routes!(remove_credential))
}

/// A client as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct Client {
    /// Its id: the `client_id` for tokens.
    client_id: ClientId,
    /// Its name, for people.
    name: String,
    /// What it may ask for.
    scopes: Vec<String>,
    /// What it proves itself with; never the secrets themselves.
    credentials: Vec<ShownCredential>,
    /// When it was made.
    created_at: Timestamp,
    /// When it was revoked, if it was.
    revoked_at: Option<Timestamp>,
}

/// A credential as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
struct ShownCredential {
    /// Its id.
    credential_id: Uuid,
    /// `secret` or `key`.
    kind: &'static str,
    /// The public key, for a key.
    public_key: Option<PublicKey>,
    /// When it was made.
    created_at: Timestamp,
    /// When it ends, if it does.
    expires_at: Option<Timestamp>,
}

/// A client to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewClient {
    /// Its name, for people.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it may ask for; not more than who makes it has.
    #[schema(min_items = 1, max_items = 20, value_type = Vec<GrantableScope>)]
    scopes: Vec<String>,
    /// An Ed25519 key, for `private_key_jwt`; without one it gets a secret.
    public_key: Option<PublicKey>,
}

/// The scopes a tenant's administrator can give.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it names the words of the contract; `Scopes` reads them")]
enum GrantableScope {
    #[schema(rename = "documents:write")]
    DocumentsWrite,
    #[schema(rename = "documents:read")]
    DocumentsRead,
    #[schema(rename = "review")]
    Review,
    #[schema(rename = "signatures")]
    Signatures,
    #[schema(rename = "webhooks")]
    Webhooks,
    #[schema(rename = "admin")]
    Admin,
}

/// A credential to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCredential {
    /// An Ed25519 key; without one a secret is made.
    public_key: Option<PublicKey>,
    /// When all that were there before end, in hours; by default they stay.
    #[schema(minimum = 0, maximum = 8760)]
    retire_others_after_hours: Option<u32>,
}

/// What was made.
#[derive(Debug, Serialize, ToSchema)]
struct Made {
    /// The client.
    client: Client,
    /// The new secret. It is shown this once.
    client_secret: Option<String>,
}

/// Lists the tenant's clients.
#[utoipa::path(get, path = "/v1/clients", tag = "identity", operation_id = "list_clients", params(Paging),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "A page of the list.", body = Page<Client>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Asked(asked): Asked<Paging>,
) -> Result<Json<Page<Client>>, Refusal> {
    caller.must(Scope::Admin)?;
    let (limit, after) = (Limit::of(asked.limit), asked.after.map(ClientId::from_uuid));
    let found = rows::list(&app.store, caller.tenant(), after, limit.to_read()).await?;
    let Page { items: found, next } = limit.page(found, |client| client.client_id.to_string());
    let mut items = Vec::new();
    for client in found {
        items.push(shown(&app, client).await?);
    }
    Ok(Json(Page { items, next }))
}

/// Makes a client.
#[utoipa::path(post, path = "/v1/clients", tag = "identity", operation_id = "add_client",
    security(("oauth2" = ["admin"]), ("session" = [])), request_body = NewClient,
    responses((status = 201, description = "It is there; its secret is shown this once.", body = Made,
        headers(("Location" = String, description = "Its address.")))))]
async fn add(
    State(app): State<App>,
    caller: Caller,
    Body(new): Body<NewClient>,
) -> Result<Response, Refusal> {
    caller.must(Scope::Admin)?;
    let scopes: Scopes = new.scopes.join(" ").parse().map_err(Refusal::bad_request_of)?;
    caller.must_have_all(&scopes)?;
    let name: String = new.name.chars().filter(|c| !c.is_control()).collect();
    let made = make(&app, caller.tenant(), &caller.name(), &name, &scopes, new.public_key).await?;
    let location = format!("/v1/clients/{}", made.client.client_id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(made)).into_response())
}

/// Makes a client and, unless it has a key, its secret. Answers its id and the secret.
pub async fn add_by_hand(
    app: &App,
    tenant: &TenantId,
    name: &str,
    scopes: &Scopes,
    key: Option<PublicKey>,
) -> Result<(ClientId, Option<String>), Refusal> {
    let made = make(app, tenant, "command line", name, scopes, key).await?;
    Ok((made.client.client_id, made.client_secret))
}

async fn make(
    app: &App,
    tenant: &TenantId,
    actor: &str,
    name: &str,
    scopes: &Scopes,
    key: Option<PublicKey>,
) -> Result<Made, Refusal> {
    let client = ClientRow {
        client_id: ClientId::new(),
        tenant: tenant.clone(),
        name: name.to_owned(),
        scopes: scopes.to_string(),
        created_ms: now_ms(),
        revoked_ms: 0,
    };
    let (credential, secret) = new_credential(key)?;
    let mut write = app.store.begin().await?;
    rows::add(&mut write, &client).await?;
    rows::add_credential(&mut write, tenant, client.client_id, &credential).await?;
    let subject = client.client_id.to_string();
    audit::add(&mut write, tenant, actor, "client.add", &subject, &client.scopes).await?;
    write.commit().await?;
    Ok(Made { client: shown(app, client).await?, client_secret: secret })
}

/// One client.
#[utoipa::path(get, path = "/v1/clients/{id}", tag = "identity", operation_id = "get_client",
    params(("id" = ClientId, Path, description = "The client.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 200, description = "The client.", body = Client)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<Json<Client>, Refusal> {
    caller.must(Scope::Admin)?;
    Ok(Json(shown(&app, find(&app, caller.tenant(), &id).await?).await?))
}

/// Revokes a client. Its tokens end at once; it stays listed.
#[utoipa::path(delete, path = "/v1/clients/{id}", tag = "identity", operation_id = "revoke_client",
    params(("id" = ClientId, Path, description = "The client.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 204, description = "It is revoked.")))]
async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Admin)?;
    let client = find(&app, caller.tenant(), &id).await?;
    let mut write = app.store.begin().await?;
    rows::revoke(&mut write, caller.tenant(), client.client_id).await?;
    audit::add(
        &mut write,
        caller.tenant(),
        &caller.name(),
        "client.revoke",
        &client.client_id.to_string(),
        "",
    )
    .await?;
    write.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a client another credential: the first half of replacing one.
#[utoipa::path(post, path = "/v1/clients/{id}/credentials", tag = "identity", operation_id = "add_credential",
    params(("id" = ClientId, Path, description = "The client.")),
    security(("oauth2" = ["admin"]), ("session" = [])), request_body = NewCredential,
    responses((status = 201, description = "It holds; a secret is shown this once.", body = Made)))]
async fn add_credential(
    State(app): State<App>,
    caller: Caller,
    Named(id): Named<String>,
    Body(new): Body<NewCredential>,
) -> Result<Response, Refusal> {
    caller.must(Scope::Admin)?;
    let client = find(&app, caller.tenant(), &id).await?;
    let before = rows::credentials(&app.store, caller.tenant(), client.client_id).await?;
    if client.revoked_ms != 0 {
        return Err(Refusal::conflict("the client is revoked").help("make a new one"));
    }
    // Whoever has a client's secret has its scopes.
    caller.must_have_all(&client.scopes.parse().map_err(Refusal::internal)?)?;
    if before.len() >= CREDENTIALS {
        return Err(Refusal::conflict(format!("it has {CREDENTIALS} credentials, the limit"))
            .help("take one away first"));
    }
    let (credential, secret) = new_credential(new.public_key)?;
    let mut write = app.store.begin().await?;
    if let Some(hours) = new.retire_others_after_hours {
        let ends = now_ms() + i64::from(hours) * 3_600_000;
        rows::retire(&mut write, caller.tenant(), client.client_id, ends).await?;
    }
    rows::add_credential(&mut write, caller.tenant(), client.client_id, &credential).await?;
    let detail = credential.credential_id.to_string();
    let subject = client.client_id.to_string();
    audit::add(&mut write, caller.tenant(), &caller.name(), "client.credential.add", &subject, &detail)
        .await?;
    write.commit().await?;
    let made = Made { client: shown(&app, client).await?, client_secret: secret };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// Takes a credential away. Tokens of the client end at once.
#[utoipa::path(delete, path = "/v1/clients/{id}/credentials/{credential}", tag = "identity",
    operation_id = "remove_credential",
    params(("id" = ClientId, Path, description = "The client."),
        ("credential" = Uuid, Path, description = "The credential.")),
    security(("oauth2" = ["admin"]), ("session" = [])),
    responses((status = 204, description = "It is gone.")))]
async fn remove_credential(
    State(app): State<App>,
    caller: Caller,
    Named((id, credential)): Named<(String, String)>,
) -> Result<StatusCode, Refusal> {
    caller.must(Scope::Admin)?;
    let client = find(&app, caller.tenant(), &id).await?;
    let missing = || Refusal::not_found("such credential");
    let key: Uuid = credential.parse().map_err(|_| missing())?;
    let mut write = app.store.begin().await?;
    if !rows::remove_credential(&mut write, caller.tenant(), client.client_id, key).await? {
        return Err(missing());
    }
    let subject = client.client_id.to_string();
    audit::add(
        &mut write,
        caller.tenant(),
        &caller.name(),
        "client.credential.remove",
        &subject,
        &credential,
    )
    .await?;
    write.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn new_credential(key: Option<PublicKey>) -> Result<(Credential, Option<String>), Refusal> {
    let of = |proof| Credential { credential_id: Uuid::now_v7(), proof, created_ms: now_ms(), expires_ms: 0 };
    match key {
        Some(key) if is_key(&key) => Ok((of(Proof::Key(key)), None)),
        Some(_) => {
            let errors = [("public_key".to_owned(), "is not an Ed25519 key in base64".to_owned())];
            Err(Refusal::invalid("the key cannot be used", errors.into()))
        }
        None => {
            let secret = format!("{SECRET_PREFIX}{}", random_token()?);
            Ok((of(Proof::Secret(Digest::of(secret.as_bytes()))), Some(secret)))
        }
    }
}

async fn shown(app: &App, client: ClientRow) -> Result<Client, Refusal> {
    let at = |ms: i64| (ms != 0).then(|| from_ms(ms));
    let credentials = rows::credentials(&app.store, &client.tenant, client.client_id).await?;
    let credentials = credentials.into_iter().map(|credential| {
        let (kind, public_key) = match credential.proof {
            Proof::Secret(_) => ("secret", None),
            Proof::Key(key) => ("key", Some(key)),
        };
        ShownCredential {
            credential_id: credential.credential_id,
            kind,
            public_key,
            created_at: from_ms(credential.created_ms),
            expires_at: at(credential.expires_ms),
        }
    });
    Ok(Client {
        client_id: client.client_id,
        name: client.name,
        scopes: client.scopes.split_whitespace().map(str::to_owned).collect(),
        credentials: credentials.collect(),
        created_at: from_ms(client.created_ms),
        revoked_at: at(client.revoked_ms),
    })
}

async fn find(app: &App, tenant: &TenantId, id: &str) -> Result<ClientRow, Refusal> {
    let missing = || Refusal::not_found(format!("client {id}"));
    let key: ClientId = id.parse().map_err(|_| missing())?;
    rows::find(&app.store, tenant, key).await?.ok_or_else(missing)
}
