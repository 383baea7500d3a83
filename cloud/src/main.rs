//! `platen-cloud`: the server and its administration. Exit status: 0 done, 1 failed, 2 usage or configuration.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use platen_cloud::admin::{self, Supplied};
use platen_cloud::auth::Role;
use platen_cloud::config::Config;
use platen_cloud::signing::secret::Secret;
use platen_cloud::store::limits::Own;
use platen_model::{ClientId, DeviceId, DocumentId, TenantId};

/// Receives documents, keeps the evidence, routes to review and signing.
#[derive(Parser)]
#[command(name = "platen-cloud", version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, default_value = "/etc/platen/cloud.toml")]
    config: PathBuf,
    /// The tenant a command is about.
    #[arg(long, global = true, default_value = "default")]
    tenant: TenantId,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until SIGTERM.
    Serve {
        /// Print the configuration as it takes effect, and end.
        #[arg(long)]
        print_config: bool,
    },
    /// Bring the database's schema up to date.
    Migrate,
    /// Verify every event chain and every blob, and name what is wrong.
    Check,
    /// Sign what all chains are now, and print it: whoever keeps it elsewhere can show later what was removed.
    Checkpoint,
    /// Remove blobs that no event names and whose time is over. The server does so by itself now and then.
    Garbage,
    /// The keys that receipts and checkpoints are signed with.
    #[command(subcommand)]
    Key(SiteKey),
    /// Jobs that were given up.
    #[command(subcommand)]
    Job(Job),
    /// Make the documents' rows anew from their events. The server must not run.
    Rebuild,
    /// Check an evidence package offline: every digest, the event chain, the signatures. Ends with 1 where any
    /// check fails.
    Verify {
        /// The package.
        package: PathBuf,
        /// That a signed checkpoint covers it: what `GET /v1/documents/{id}/inclusion-proof` answers, as a file.
        #[arg(long)]
        proof: Option<PathBuf>,
    },
    /// Tenants.
    #[command(subcommand)]
    Tenant(Tenant),
    /// Users.
    #[command(subcommand)]
    User(User),
    /// Clients of the API.
    #[command(subcommand)]
    Client(Client),
    /// Devices.
    #[command(subcommand)]
    Device(Device),
    /// The built-in signing provider.
    #[command(subcommand)]
    Desk(Desk),
    /// The routing policy.
    #[command(subcommand)]
    Policy(Policy),
    /// What people said documents are.
    #[command(subcommand)]
    Examples(Examples),
    /// Print the API's OpenAPI document.
    Openapi,
    /// Process documents for a supervisor. Started by the server itself.
    #[command(hide = true)]
    Worker {
        #[arg(long)]
        memory_mb: u64,
    },
}

#[derive(Subcommand)]
enum Tenant {
    /// Add a tenant.
    Add { name: TenantId },
    /// List the tenants.
    List,
    /// Show how much the tenant of --tenant may send; give it limits of its own, or with --reset the site's again.
    Limits {
        /// Largest part or file, in bytes.
        #[arg(long)]
        part_bytes: Option<u64>,
        /// Most pages of a document.
        #[arg(long)]
        document_pages: Option<u32>,
        /// Most documents in a minute.
        #[arg(long)]
        documents_per_minute: Option<u32>,
        /// The site's limits again, but for those that are named beside it.
        #[arg(long)]
        reset: bool,
    },
}

#[derive(Subcommand)]
enum SiteKey {
    /// Make a new one; what the one before signed stays good, and devices need not be enrolled again. The server takes it at
    /// its next start.
    Renew {
        /// What it signs.
        signs: Signs,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Signs {
    /// The receipts that devices get for their documents.
    Receipt,
    /// The checkpoints of tenants' chains.
    Checkpoint,
}

#[derive(Subcommand)]
enum Job {
    /// List them with their reasons.
    List,
    /// Send one on its way again, and its document with it.
    Replay { id: String },
}

#[derive(Subcommand)]
enum User {
    /// Add a user, or give one a new role and password.
    Add {
        name: String,
        /// viewer, reviewer or admin.
        #[arg(long)]
        role: Role,
        /// The file that holds the password; asked for, or read from standard input, where absent.
        #[arg(long)]
        password_file: Option<PathBuf>,
    },
    /// List the users.
    List,
    /// Remove a user and end their sessions.
    Remove { name: String },
}

#[derive(Subcommand)]
enum Client {
    /// Add a client of the API; its secret is printed once.
    Add {
        name: String,
        /// What it may do, separated by blanks: documents:write, documents:read, review, signatures, webhooks, admin,
        /// metrics.
        #[arg(long)]
        scope: String,
        /// An Ed25519 public key in base64, for private_key_jwt instead of a secret.
        #[arg(long)]
        public_key: Option<String>,
    },
    /// List the clients.
    List,
    /// Revoke a client; its tokens end at once.
    Revoke { id: ClientId },
}

#[derive(Subcommand)]
enum Device {
    /// Print a code that enrols one device.
    Code {
        /// Minutes until the code ends.
        #[arg(long, default_value_t = 60)]
        ttl: u32,
    },
    /// List the devices.
    List,
    /// Revoke a device; its tokens end at once.
    Revoke { id: DeviceId },
}

#[derive(Subcommand)]
enum Desk {
    /// The key of the tenant's seal.
    #[command(subcommand)]
    Key(Key),
}

#[derive(Subcommand)]
enum Key {
    /// Make seals with a supplied key from now on: one in a PKCS#12 file, or one in a token that PKCS#11 speaks to.
    Import {
        /// The PKCS#12 file. It is read once and not needed afterwards.
        #[arg(required_unless_present = "pkcs11", conflicts_with = "pkcs11", requires = "password")]
        file: Option<PathBuf>,
        /// Where its password is: "file:/path", "env:NAME" or "credential:NAME".
        #[arg(long, value_parser = secret)]
        password: Option<Secret>,
        /// The key in a token: "pkcs11:token=office;object=seal?module-path=/usr/lib/p11.so&pin-source=file:/path".
        #[arg(long, requires = "certificates")]
        pkcs11: Option<String>,
        /// The certificates of that key as PEM, its own first.
        #[arg(long)]
        certificates: Option<PathBuf>,
    },
    /// Show its certificate.
    Show,
}

#[derive(Subcommand)]
enum Policy {
    /// Check a policy file.
    Check { file: PathBuf },
    /// Say where a document would go.
    Test {
        file: PathBuf,
        /// The document as `GET /v1/documents/{id}` shows it.
        #[arg(long)]
        on: PathBuf,
    },
    /// Say why a document goes where it goes: of each route which part of its condition holds, and what it saw.
    Explain { document: DocumentId },
    /// Say what a policy file would change for the tenant's documents. Nothing is written.
    DryRun {
        file: PathBuf,
        /// Only documents received since then: `30d`, `12h`, or a time by RFC 3339.
        #[arg(long)]
        since: Option<String>,
        /// Print at most so many of the changes; all are counted.
        #[arg(long, default_value_t = 50)]
        show: usize,
    },
}

#[derive(Subcommand)]
enum Examples {
    /// Write the tenant's examples as files that `platen-agent rules fit` and `rules check` read.
    Export { folder: PathBuf },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Workers enter their sandbox before anything else is set up.
    if let Command::Worker { memory_mb } = arguments.command {
        return ended(platen_capture::worker::serve(memory_mb).map(|()| String::new()));
    }
    if matches!(arguments.command, Command::Openapi) {
        return ended(Ok::<_, String>(format!("{:#}", platen_cloud::http::openapi())));
    }
    if let Command::Verify { package, proof } = &arguments.command {
        return match admin::verify(package, proof.as_deref()) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(error) => ended(Err(error)),
        };
    }
    // A policy can be checked where nothing is installed: with the accounts that need no configuration.
    let needs_none = matches!(arguments.command, Command::Policy(Policy::Check { .. } | Policy::Test { .. }))
        && !arguments.config.exists();
    let loaded = match needs_none {
        true => Ok(Config::default()),
        false => Config::load(&arguments.config, std::env::vars()),
    };
    let config = match loaded {
        Ok(config) => config,
        Err(error) => {
            eprintln!("platen-cloud: {error}");
            return ExitCode::from(2);
        }
    };
    match &arguments.command {
        Command::Policy(Policy::Check { file }) => return ended(admin::check_policy(&config, file)),
        Command::Policy(Policy::Test { file, on }) => return ended(admin::test_policy(&config, file, on)),
        _ => {}
    }
    start_log();
    match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(arguments.command, config, &arguments.tenant));
            // A capture may still be at work; its job was given back, and its end is waited for by nobody.
            runtime.shutdown_background();
            ended(outcome)
        }
        Err(error) => ended(Err(error)),
    }
}

async fn run(command: Command, config: Config, tenant: &TenantId) -> Result<String, String> {
    match command {
        Command::Serve { print_config: true } => toml::to_string(&config).map_err(|error| error.to_string()),
        Command::Serve { print_config: false } => admin::serve(config).await.map(|()| String::new()),
        Command::Migrate => admin::migrate(&config, tenant).await,
        Command::Check => admin::check(&config).await,
        Command::Rebuild => admin::rebuild(&config).await,
        Command::Checkpoint => admin::checkpoint(&config).await,
        Command::Garbage => admin::garbage(&config).await,
        Command::Key(SiteKey::Renew { signs: Signs::Receipt }) => admin::renew_key_of_receipts(&config),
        Command::Key(SiteKey::Renew { signs: Signs::Checkpoint }) => admin::renew_key_of_checkpoints(&config),
        Command::Job(Job::List) => admin::list_jobs(&config, tenant).await,
        Command::Job(Job::Replay { id }) => admin::replay_job(&config, tenant, &id).await,
        Command::Tenant(Tenant::Add { name }) => admin::add_tenant(&config, &name).await,
        Command::User(User::Add { name, role, password_file }) => {
            admin::add_user(&config, tenant, &name, role, password_file.as_deref()).await
        }
        Command::Device(Device::Code { ttl }) => admin::device_code(&config, tenant, ttl).await,
        Command::User(User::List) => admin::list_users(&config, tenant).await,
        Command::User(User::Remove { name }) => admin::remove_user(&config, tenant, &name).await,
        Command::Tenant(Tenant::Limits { part_bytes, document_pages, documents_per_minute, reset }) => {
            let named = Own { part_bytes, document_pages, documents_per_minute };
            admin::tenant_limits(&config, tenant, named, reset).await
        }
        Command::Tenant(Tenant::List) => admin::list_tenants(&config).await,
        Command::Client(Client::Add { name, scope, public_key }) => {
            admin::add_client(&config, tenant, &name, &scope, public_key).await
        }
        Command::Client(Client::List) => admin::list_clients(&config, tenant).await,
        Command::Client(Client::Revoke { id }) => admin::revoke_client(&config, tenant, id).await,
        Command::Device(Device::Revoke { id }) => admin::revoke_device(&config, tenant, id).await,
        Command::Device(Device::List) => admin::list_devices(&config, tenant).await,
        Command::Desk(Desk::Key(Key::Show)) => admin::show_key(&config, tenant),
        Command::Desk(Desk::Key(Key::Import { file, password, pkcs11, certificates })) => {
            let from = match (&file, &password, &pkcs11, &certificates) {
                (Some(file), Some(password), ..) => Supplied::File { file, password },
                (_, _, Some(address), Some(certificates)) => Supplied::Token { address, certificates },
                _ => return Err("a key is in a file with a password, or in a token with certificates".into()),
            };
            admin::import_key(&config, tenant, from).await
        }
        Command::Examples(Examples::Export { folder }) => {
            admin::export_examples(&config, tenant, &folder).await
        }
        Command::Policy(Policy::Explain { document }) => admin::explain(&config, tenant, document).await,
        Command::Policy(Policy::DryRun { file, since, show }) => {
            admin::dry_run(&config, tenant, &file, since.as_deref(), show).await
        }
        Command::Policy(Policy::Check { .. } | Policy::Test { .. })
        | Command::Verify { .. }
        | Command::Openapi
        | Command::Worker { .. } => Err("handled before the configuration is read".into()),
    }
}

fn secret(text: &str) -> Result<Secret, String> {
    Secret::try_from(text.to_owned())
}

/// Logs go to standard error, `RUST_LOG` chooses; what a command answers goes to standard output.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn ended(outcome: Result<String, impl std::fmt::Display>) -> ExitCode {
    match outcome {
        Ok(text) => {
            if !text.is_empty() {
                println!("{}", text.trim_end());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("platen-cloud: {error}");
            ExitCode::FAILURE
        }
    }
}
