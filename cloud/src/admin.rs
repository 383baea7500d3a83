//! The commands of an administrator. Each answers what to print, or a sentence that says what failed.
//!
//! They work on the database itself and may run beside the server: SQLite lets one write at a time.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use platen_capture::worker::pool::{Pool, Program};
use platen_model::event::Actor;
use platen_model::keys::PublicKey;
use platen_model::{ClientId, DeviceId, Digest, PolicyRef, TenantId};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::app::{App, open_blobs, open_store};
use crate::auth::users::hash_password;
use crate::auth::{Role, Scopes, clients};
use crate::blobs::{self, Blobs, Keep};
use crate::checkpoints::proofs::InclusionProof;
use crate::config::Config;
use crate::keys::{public_checkpoint_keys, renew_checkpoint_key, renew_receipt_key};
use crate::store::audit::HAND;
use crate::store::{self, Address, audit, clients as rows, now_ms, people};
use crate::{checkpoints, chores, http, ingest, integrity, jobs};

/// The tenant that everybody starts with.
pub const DEFAULT_TENANT: &str = "default";

mod examples;
mod policies;
mod seal_keys;
#[cfg(test)]
mod tests;

pub use examples::export_examples;
pub use policies::{check_policy, dry_run, explain, test_policy};
pub use seal_keys::{Supplied, import_key, show_key};

/// `serve`: until SIGTERM or SIGINT.
pub async fn serve(config: Config) -> Result<(), String> {
    config.must_have_languages()?;
    let lock = lock(&config)?;
    let app = App::open(config).await?;
    jobs::recover(&app).await.map_err(text)?;
    ingest::tus::landing::clear_incoming(&app).await.map_err(|refusal| refusal.problem().detail.clone())?;
    let (stop, stopped) = watch::channel(false);
    let chores = tokio::spawn(chores::run(app.clone()));
    let mut terminate = signal(SignalKind::terminate()).map_err(text)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(text)?;
    let renewing = tokio::spawn(renew_policies(app.clone(), signal(SignalKind::hangup()).map_err(text)?));
    let working = tokio::spawn(jobs::run(app.clone(), stopped.clone()));
    let mut serving = tokio::spawn(http::serve(app.clone(), stopped));
    let ended = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = &mut serving => Some(ended),
    };
    tracing::info!("stopping: finishing what is under way");
    // Everybody listens until the end of this function; nobody is left to tell when this fails.
    let _ = stop.send(true);
    let ended = match ended {
        Some(ended) => ended,
        None => serving.await,
    };
    chores.abort();
    renewing.abort();
    working.await.map_err(text)?;
    app.store.close().await;
    drop(lock);
    ended.map_err(text)?.map_err(|error| format!("cannot serve on {}: {error}", app.config.listen))
}

/// SIGHUP: the policy files as they are now. Those in force stay where one is not sound.
async fn renew_policies(app: App, mut hangup: Signal) {
    while hangup.recv().await.is_some() {
        match app.renew_policies().await {
            Ok(Some(in_force)) => {
                for (tenant, policy) in in_force.all() {
                    let PolicyRef { version, sha256, .. } = policy.reference();
                    let tenant = tenant.map_or("every other", TenantId::as_str);
                    tracing::info!(tenant, version, %sha256, "the policy file is in force");
                }
            }
            Ok(None) => tracing::info!("the policy file is the one in force"),
            Err(error) => {
                tracing::error!(error, "the policy file is not sound; the one before stays in force")
            }
        }
    }
}

/// One server process per database file: leases found at its start belong to nobody. A database server has any
/// number of nodes, so there is nothing to lock.
fn lock(config: &Config) -> Result<Option<File>, String> {
    let Address::File(path) = config.database.parse().map_err(text)? else { return Ok(None) };
    let mut path = path.into_os_string();
    path.push(".lock");
    let path = PathBuf::from(path);
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        platen_model::durable::create_folder(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let file = File::options().create(true).append(true).open(&path);
    let file = file.map_err(|error| format!("{}: {error}", path.display()))?;
    file.try_lock()
        .map_err(|error| format!("{}: another server uses this database ({error})", path.display()))?;
    Ok(Some(file))
}

/// `migrate`: the schema, and the tenant everybody starts with.
pub async fn migrate(config: &Config, tenant: &TenantId) -> Result<String, String> {
    let store = open_store(config).await?;
    people::add_tenant(&store, tenant).await.map_err(text)?;
    Ok("the schema is up to date".into())
}

/// `check`: an error names what is wrong.
pub async fn check(config: &Config) -> Result<String, String> {
    let (store, kept) = storage(config).await?;
    let keys = public_checkpoint_keys(config)?;
    let mut found = integrity::check(&store, &kept, &keys).await.map_err(text)?;
    let delay = Duration::from_secs(config.limits.garbage_seconds);
    found.wrong.extend(blobs::garbage::unexplained(&store, delay).await.map_err(text)?);
    let seen = format!("{} documents, {} events, {} blobs", found.documents, found.events, found.blobs);
    if found.wrong.is_empty() {
        return Ok(format!("{seen}: every chain and every blob is whole"));
    }
    Err(format!("{seen}: {} wrong\n  {}", found.wrong.len(), found.wrong.join("\n  ")))
}

/// `rebuild`: the projections from the events.
pub async fn rebuild(config: &Config) -> Result<String, String> {
    let _lock = lock(config)?;
    let (store, blobs) = storage(config).await?;
    let count = integrity::rebuild(&store, &blobs).await.map_err(text)?;
    count.map(|count| format!("{count} documents were rebuilt from their events"))
}

/// `checkpoint`: one of each tenant's chains, now; prints those that were made, to be kept elsewhere.
pub async fn checkpoint(config: &Config) -> Result<String, String> {
    let app = App::open(config.clone()).await?;
    let mut made = Vec::new();
    for tenant in people::tenants(&app.store).await.map_err(text)? {
        let kept = checkpoints::make(&app.store, &tenant, &app.checkpoint_key).await.map_err(text)?;
        made.extend(kept.map(|kept| format!("{}\n{} {}", kept.bytes, kept.key.0, kept.signature)));
        if let Some(url) = &app.config.timestamp_url {
            checkpoints::timestamps::stamp(&app.store, &tenant, url).await.map_err(text)?;
        }
    }
    Ok(if made.is_empty() { "nothing happened since the last checkpoints".into() } else { made.join("\n") })
}

/// `key renew checkpoint`: prints the public half of the new key.
pub fn renew_key_of_checkpoints(config: &Config) -> Result<String, String> {
    let key = renew_checkpoint_key(config)?;
    Ok(format!(
        "{}\ncheckpoints are signed with it from the server's next start on; the key before stays known",
        key.0
    ))
}

/// `key renew receipt`: prints the public half of the new key.
pub fn renew_key_of_receipts(config: &Config) -> Result<String, String> {
    let key = renew_receipt_key(config)?;
    Ok(format!(
        "{}\nreceipts are signed with it from the server's next start on; devices believe it by what the key before says of it; \
         where several servers share these keys, start all of them anew, and enrol devices afterwards",
        key.0
    ))
}

/// `garbage`: removes blobs that no event names, after their time.
pub async fn garbage(config: &Config) -> Result<String, String> {
    let (store, blobs) = storage(config).await?;
    let keep = Keep { blobs, store };
    let delay = Duration::from_secs(config.limits.garbage_seconds);
    let done = blobs::garbage::collect(&keep, delay).await.map_err(text)?;
    Ok(format!("{} blobs of tenants were forgotten, {} objects removed", done.forgotten, done.removed))
}

/// `job list`: the tenant's jobs that were given up.
pub async fn list_jobs(config: &Config, tenant: &TenantId) -> Result<String, String> {
    let store = open_store(config).await?;
    let dead =
        store::jobs::list(&store, tenant, Some(store::jobs::State::Dead), None, 1_000).await.map_err(text)?;
    let shown = |dead: &store::jobs::Listed| {
        let reason = dead.reason.as_deref().unwrap_or_default();
        let mut lines = vec![format!("{}\n  {reason}", dead.job_id)];
        let trouble = |t: &store::jobs::Trouble| format!("  {}  {}  {}: {}", t.at, t.node, t.class, t.error);
        lines.extend(dead.troubles.iter().map(trouble));
        lines.join("\n")
    };
    Ok(if dead.is_empty() {
        "no job was given up".into()
    } else {
        dead.iter().map(shown).collect::<Vec<_>>().join("\n")
    })
}

/// `job replay`: sends a job that was given up on its way again.
pub async fn replay_job(config: &Config, tenant: &TenantId, job: &str) -> Result<String, String> {
    let store = open_store(config).await?;
    let mut write = store.begin().await.map_err(text)?;
    if !jobs::replay(&mut write, tenant, job, Actor::System).await.map_err(text)? {
        return Err(format!("{tenant} has no job {job} that was given up (`platen-cloud job list`)"));
    }
    audit::add(&mut write, tenant, HAND, "job.replay", job, "").await.map_err(text)?;
    write.commit().await.map_err(text)?;
    Ok(format!("{job} will run again"))
}

/// `tenant add`.
pub async fn add_tenant(config: &Config, tenant: &TenantId) -> Result<String, String> {
    let store = open_store(config).await?;
    people::add_tenant(&store, tenant).await.map_err(text)?;
    Ok(format!("tenant {tenant} is there"))
}

/// Refuses a tenant that nobody added: a mistyped one must not become one. `default` is there from the beginning.
async fn must_be_there(store: &store::Store, tenant: &TenantId) -> Result<(), String> {
    if tenant.as_str() == DEFAULT_TENANT {
        return people::add_tenant(store, tenant).await.map_err(text);
    }
    if people::tenants(store).await.map_err(text)?.contains(tenant) {
        return Ok(());
    }
    Err(format!(
        "there is no tenant {tenant}; `platen-cloud tenant list` names those there are, `tenant add` adds one"
    ))
}

/// `tenant limits`: gives a tenant limits of its own where they are named, and prints what holds.
pub async fn tenant_limits(
    config: &Config,
    tenant: &TenantId,
    named: store::limits::Own,
    reset: bool,
) -> Result<String, String> {
    let store = open_store(config).await?;
    must_be_there(&store, tenant).await?;
    if reset || named != store::limits::Own::default() {
        let before = if reset { None } else { Some(store::limits::own(&store, tenant).await.map_err(text)?) };
        let own = named.or(before.unwrap_or_default());
        let mut write = store.begin().await.map_err(text)?;
        store::limits::put(&mut write, tenant, &own).await.map_err(text)?;
        audit::add(&mut write, tenant, HAND, "tenant.limits", tenant.as_str(), &format!("{own:?}"))
            .await
            .map_err(text)?;
        write.commit().await.map_err(text)?;
    }
    let (own, site) = (store::limits::own(&store, tenant).await.map_err(text)?, &config.limits);
    let line = |name: &str, own: Option<u64>, site: u64| match own {
        Some(own) => format!("{name}  {own}"),
        None => format!("{name}  {site}  (the site's)"),
    };
    let (pages, rate) = (own.document_pages.map(u64::from), own.documents_per_minute.map(u64::from));
    Ok([
        line("part_bytes", own.part_bytes, site.part_bytes),
        line("document_pages", pages, site.document_pages.into()),
        line("documents_per_minute", rate, site.documents_per_minute.into()),
    ]
    .join("\n"))
}

/// `user add`: the password from a file, or from standard input (of a terminal: one line, asked for).
pub async fn add_user(
    config: &Config,
    tenant: &TenantId,
    name: &str,
    role: Role,
    password_file: Option<&Path>,
) -> Result<String, String> {
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!(
            "{name:?} is not a name to sign in with: it has no spaces and no control characters"
        ));
    }
    // Before anybody is asked for a password.
    let store = open_store(config).await?;
    must_be_there(&store, tenant).await?;
    let password = match password_file {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => password_from_input(name).map_err(|error| format!("the password: {error}"))?,
    };
    let hash = hash_password(password.trim_end_matches(['\r', '\n']))?;
    if !people::put_user(&store, tenant, name, role.as_str(), &hash).await.map_err(text)? {
        return Err(format!("the name {name} belongs to another tenant; nothing was changed"));
    }
    Ok(format!("user {name} of {tenant} is {}", role.as_str()))
}

/// `user list`: name, role and time of each.
pub async fn list_users(config: &Config, tenant: &TenantId) -> Result<String, String> {
    let store = open_store(config).await?;
    let users = people::users(&store, tenant, "", u32::MAX).await.map_err(text)?;
    let line = |user: &people::Listed| {
        let disabled = if user.disabled_ms == 0 { "" } else { "  (disabled)" };
        format!("{}  {}  {}{disabled}", user.name, user.role, store::from_ms(user.created_ms))
    };
    Ok(users.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// `user remove`: ends the user's sessions too.
pub async fn remove_user(config: &Config, tenant: &TenantId, name: &str) -> Result<String, String> {
    let store = open_store(config).await?;
    let mut write = store.begin().await.map_err(text)?;
    if !people::remove_user(&mut write, tenant, name).await.map_err(text)? {
        return Err(format!("{tenant} has no user {name}"));
    }
    audit::add(&mut write, tenant, HAND, "user.remove", name, "").await.map_err(text)?;
    write.commit().await.map_err(text)?;
    Ok(format!("user {name} of {tenant} is removed"))
}

/// `tenant list`.
pub async fn list_tenants(config: &Config) -> Result<String, String> {
    let store = open_store(config).await?;
    let tenants = people::tenants(&store).await.map_err(text)?;
    Ok(tenants.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// `client add`: prints the client's id and, unless it has a key, its secret.
pub async fn add_client(
    config: &Config,
    tenant: &TenantId,
    name: &str,
    scopes: &str,
    key: Option<String>,
) -> Result<String, String> {
    let scopes: Scopes = scopes.parse()?;
    if scopes.is_empty() {
        return Err(
            "a client without a scope can do nothing: --scope \"documents:write documents:read\"".into()
        );
    }
    let app = App::open(config.clone()).await?;
    must_be_there(&app.store, tenant).await?;
    let made = clients::add_by_hand(&app, tenant, name, &scopes, key.map(PublicKey)).await;
    let (id, secret) = made.map_err(|refusal| refusal.problem().detail.clone())?;
    let secret = secret.map(|secret| format!("\nclient_secret {secret}")).unwrap_or_default();
    Ok(format!("client_id {id}{secret}"))
}

/// `client list`: id, time, scopes and name of each.
pub async fn list_clients(config: &Config, tenant: &TenantId) -> Result<String, String> {
    let store = open_store(config).await?;
    let mut lines = Vec::new();
    let mut after = None;
    loop {
        let found = rows::list(&store, tenant, after, 100).await.map_err(text)?;
        let Some(last) = found.last() else { return Ok(lines.join("\n")) };
        after = Some(last.client_id);
        lines.extend(found.iter().map(|client| {
            let revoked = if client.revoked_ms == 0 { "" } else { "  (revoked)" };
            let at = store::from_ms(client.created_ms);
            format!("{}  {at}  [{}]  {}{revoked}", client.client_id, client.scopes, client.name)
        }));
    }
}

/// `client revoke`: its tokens end at once.
pub async fn revoke_client(config: &Config, tenant: &TenantId, id: ClientId) -> Result<String, String> {
    let store = open_store(config).await?;
    let mut write = store.begin().await.map_err(text)?;
    if !rows::revoke(&mut write, tenant, id).await.map_err(text)? {
        return Err(format!("{tenant} has no client {id}"));
    }
    audit::add(&mut write, tenant, HAND, "client.revoke", &id.to_string(), "").await.map_err(text)?;
    write.commit().await.map_err(text)?;
    Ok(format!("client {id} is revoked"))
}

/// `device revoke`: its tokens end at once.
pub async fn revoke_device(config: &Config, tenant: &TenantId, id: DeviceId) -> Result<String, String> {
    let store = open_store(config).await?;
    let device = people::device(&store, id).await.map_err(text)?;
    if device.is_none_or(|device| device.tenant != *tenant) {
        return Err(format!("{tenant} has no device {id}"));
    }
    let mut write = store.begin().await.map_err(text)?;
    people::revoke_device(&mut write, tenant, id).await.map_err(text)?;
    audit::add(&mut write, tenant, HAND, "device.revoke", &id.to_string(), "").await.map_err(text)?;
    write.commit().await.map_err(text)?;
    Ok(format!("device {id} is revoked"))
}

async fn note(
    store: &store::Store,
    tenant: &TenantId,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<(), String> {
    let mut write = store.begin().await.map_err(text)?;
    audit::add(&mut write, tenant, HAND, action, subject, detail).await.map_err(text)?;
    write.commit().await.map_err(text)
}

fn password_from_input(name: &str) -> std::io::Result<String> {
    let mut password = String::new();
    let input = std::io::stdin();
    if input.is_terminal() {
        eprint!("Password for {name} (it is shown as you type; --password-file reads it from a file): ");
        input.read_line(&mut password)?;
    } else {
        input.lock().read_to_string(&mut password)?;
    }
    Ok(password)
}

/// `device code`: prints a code that enrols one device.
pub async fn device_code(config: &Config, tenant: &TenantId, ttl_minutes: u32) -> Result<String, String> {
    let code = crate::auth::devices::new_code()?;
    let store = open_store(config).await?;
    must_be_there(&store, tenant).await?;
    let expires = now_ms() + i64::from(ttl_minutes) * 60_000;
    people::add_code(&store, tenant, HAND, Digest::of(code.as_bytes()), expires).await.map_err(text)?;
    Ok(code)
}

/// `device list`: id, time, public key and name of each device. The key is what an evidence package names.
pub async fn list_devices(config: &Config, tenant: &TenantId) -> Result<String, String> {
    let store = open_store(config).await?;
    let devices = people::devices(&store, tenant, None, u32::MAX).await.map_err(text)?;
    let line = |device: &people::DeviceRow| {
        let at = store::from_ms(device.created_ms);
        format!("{}  {at}  {}  {}", device.device_id, device.public_key.0, device.name)
    };
    Ok(devices.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// `verify`: checks an evidence package, prints the report, and answers whether every check holds.
pub fn verify(package: &Path, proof: Option<&Path>) -> Result<bool, String> {
    let failed = |path: &Path, error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let file = std::fs::File::open(package).map_err(|error| failed(package, error))?;
    let proof: Option<InclusionProof> = proof
        .map(|path| {
            let bytes = std::fs::read(path).map_err(|error| failed(path, error))?;
            let parsed = serde_json::from_slice(&bytes);
            parsed.map_err(|error| format!("{} is no inclusion proof: {error}", path.display()))
        })
        .transpose()?;
    let limits = platen_capture::Limits::default();
    let workers = Pool::new(Program::this(&limits), 1, limits);
    let report = crate::evidence::verify_with(std::io::BufReader::new(file), proof.as_ref(), &workers);
    print!("{report}");
    Ok(report.holds())
}

async fn storage(config: &Config) -> Result<(store::Store, Blobs), String> {
    let store = open_store(config).await?;
    Ok((store, open_blobs(config)?))
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
