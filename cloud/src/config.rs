//! The configuration: one TOML file, overrides from the environment, and no key we do not know.
//!
//! `PLATEN_CLOUD_PUBLIC_URL=…` overrides `public_url`; two underscores enter a table
//! (`PLATEN_CLOUD_LIMITS__PART_BYTES`). The danger is a server that listens where it should not, so
//! [`Config::check`] refuses to go beyond loopback without TLS.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use platen_model::TenantId;
use serde::{Deserialize, Serialize};

use crate::signing::connectors::AccountConfig;
use crate::signing::desk::identity::Identity;
use crate::signing::desk::mail::Smtp;
use crate::signing::desk::sms::Sms;
use toml::{Table, Value};

/// The start of the names of environment variables that override keys.
const ENVIRONMENT: &str = "PLATEN_CLOUD_";

/// Longest name that signers see, in characters: a certificate's name has 64 with what is added.
const NAME_CHARACTERS: usize = 50;

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {message}")]
pub struct ConfigError {
    /// File and line, or the environment.
    pub place: String,
    /// What is wrong with it.
    pub message: String,
}

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Where people, agents and providers reach us, without a slash at the end.
    pub public_url: String,
    /// The database: `sqlite:/path/to/file` or `postgres://user:password@host/database`.
    pub database: String,
    /// The blobs: `file:/path/to/folder` or `s3://bucket/prefix`.
    pub blobs: String,
    /// The local folder of unfinished uploads, where the blobs are in a bucket.
    pub scratch: PathBuf,
    /// The folder of keys, readable by this program only.
    pub keys: PathBuf,
    /// The folder outgoing mail is written to, where there is no `[smtp]`.
    pub mail: PathBuf,
    /// The mail server.
    pub smtp: Option<Smtp>,
    /// The built-in signing provider.
    pub desk: Desk,
    /// The routing policy; the built-in one where absent.
    pub routing: Option<PathBuf>,
    /// The routing policies of tenants that do not go by that one.
    pub tenant_routing: BTreeMap<TenantId, PathBuf>,
    /// The folder of classification rules for what is captured here; those that are part of the program where absent.
    pub rules: Option<PathBuf>,
    /// A proxy in front of us terminates TLS, so that we may listen beyond loopback without it. What comes from this machine
    /// may come through it from anywhere then: `/metrics` needs a token of the scope `metrics` from here as well.
    pub behind_proxy: bool,
    /// Certificate and key, to terminate TLS ourselves.
    pub tls: Option<Tls>,
    /// Origins whose pages may call the API from a browser, for example `https://app.example.com`. None by default.
    pub allowed_origins: Vec<String>,
    /// Private networks that outgoing webhooks may be sent to, by plain http as well, for example `10.0.0.0/8`. None by
    /// default.
    pub webhook_networks: Vec<String>,
    /// Accounts at signing providers.
    pub signing: Vec<AccountConfig>,
    /// A file of certificates, as PEM: who leads to one of them is known where a signed PDF comes back.
    pub signature_roots: Option<PathBuf>,
    /// The authority that time-stamps checkpoints (RFC 3161), for example `http://timestamp.example.com`. None by default.
    pub timestamp_url: Option<String>,
    /// Worker processes for documents.
    pub workers: usize,
    /// How what comes as a file only is captured, and the limits of a worker.
    pub capture: platen_capture::Options,
    /// The limits.
    pub limits: Limits,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, ours first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The built-in signing provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Desk {
    /// Who asks for signatures, by the name that signers see in messages, on pages and in certificates that are made from
    /// then on: `Halden & Partners`. The tenant's short name where absent.
    pub name: Option<String>,
    /// The names of tenants that do not go by that one.
    pub tenant_names: BTreeMap<TenantId, String>,
    /// How signers prove who they are: `link`, or `code` for a one-time code by mail as well.
    pub identity: Identity,
    /// The most codes that are sent to a signer on one day (UTC).
    pub codes_a_day: u32,
    /// The gateway that codes go through to signers with a telephone number.
    pub sms: Option<Sms>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            name: None,
            tenant_names: BTreeMap::new(),
            identity: Identity::default(),
            codes_a_day: 10,
            sms: None,
        }
    }
}

impl Desk {
    /// Who asks for signatures, by the name that signers see.
    pub fn name_of(&self, tenant: &TenantId) -> String {
        self.tenant_names.get(tenant).or(self.name.as_ref()).cloned().unwrap_or_else(|| tenant.to_string())
    }

    /// Names go into the subjects of messages and into certificates, which have room for so much.
    fn check_names(&self) -> Result<(), String> {
        let is_sound = |name: &String| {
            let letters = name.chars().count();
            (1..=NAME_CHARACTERS).contains(&letters)
                && name.trim() == name
                && !name.chars().any(char::is_control)
        };
        match self.name.iter().chain(self.tenant_names.values()).find(|name| !is_sound(name)) {
            Some(name) => Err(format!(
                "`desk.name`: {name:?} is not one line of 1 to {NAME_CHARACTERS} characters without blanks around it"
            )),
            None => Ok(()),
        }
    }
}

/// The limits (INV-13).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest uploaded part or file, in bytes. A tenant may have a limit of its own.
    pub part_bytes: u64,
    /// Most pages of a document. A tenant may have a limit of its own.
    pub document_pages: u32,
    /// Most documents a tenant may send in a minute. A tenant may have a limit of its own.
    pub documents_per_minute: u32,
    /// Most uploads a tenant may have under way at once.
    pub open_uploads: u32,
    /// Most bytes that all uploads of a tenant under way may have announced.
    pub open_upload_bytes: u64,
    /// How long an `Idempotency-Key` is remembered, in seconds.
    pub idempotency_seconds: u64,
    /// Largest manifest or other JSON body, in bytes.
    pub manifest_bytes: usize,
    /// How long an unfinished upload is kept after its last byte, in seconds.
    pub upload_seconds: u64,
    /// Longest time a request may take, uploads and downloads apart, in seconds.
    pub request_seconds: u64,
    /// Longest time a connection may take for the head of a request, in seconds.
    pub head_seconds: u64,
    /// Most connections at once; further ones wait.
    pub connections: usize,
    /// How long a blob that no event names is kept, in seconds.
    pub garbage_seconds: u64,
    /// How often checkpoints are made, in seconds.
    pub checkpoint_seconds: u64,
    /// How often a job is tried before its document is set aside.
    pub job_attempts: u32,
    /// Longest time one step of a job may take, in seconds.
    pub job_seconds: u64,
    /// Longest time the capture of one document may take, in seconds.
    pub capture_seconds: u64,
    /// Jobs at work at once.
    pub jobs_at_once: usize,
    /// How long a node that falls silent keeps its jobs from others, in seconds.
    pub lease_seconds: u64,
    /// How long a server that stops waits for its jobs before it gives them back, in seconds.
    pub shutdown_seconds: u64,
    /// Wrong passwords before a user is locked out.
    pub login_failures: u32,
    /// How long a user stays locked out, in seconds.
    pub lockout_seconds: u64,
    /// How long a session lasts, in seconds.
    pub session_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        let state = Path::new("/var/lib/platen/cloud");
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8460)),
            public_url: "http://127.0.0.1:8460".into(),
            database: format!("sqlite:{}", state.join("cloud.db").display()),
            blobs: format!("file:{}", state.join("blobs").display()),
            scratch: state.join("scratch"),
            keys: state.join("keys"),
            mail: state.join("mail"),
            smtp: None,
            desk: Desk::default(),
            routing: None,
            tenant_routing: BTreeMap::new(),
            rules: None,
            behind_proxy: false,
            tls: None,
            allowed_origins: Vec::new(),
            webhook_networks: Vec::new(),
            signing: Vec::new(),
            signature_roots: None,
            timestamp_url: None,
            workers: 2,
            capture: platen_capture::Options::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            part_bytes: 4 << 30,
            document_pages: 10_000,
            documents_per_minute: 6_000,
            open_uploads: 10_000,
            open_upload_bytes: 1 << 40,
            idempotency_seconds: 30 * 24 * 3600,
            manifest_bytes: 4 << 20,
            upload_seconds: 7 * 24 * 3600,
            request_seconds: 60,
            head_seconds: 60,
            connections: 10_000,
            garbage_seconds: 14 * 24 * 3600,
            checkpoint_seconds: 3600,
            job_attempts: 8,
            job_seconds: 300,
            capture_seconds: 4 * 3600,
            jobs_at_once: 4,
            lease_seconds: 30,
            shutdown_seconds: 20,
            login_failures: 5,
            lockout_seconds: 300,
            session_seconds: 12 * 3600,
        }
    }
}

impl Config {
    /// Reads the file, applies the environment's overrides, and checks the outcome.
    pub fn load(
        path: &Path,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let at = |message: String| ConfigError { place: path.display().to_string(), message };
        let text = std::fs::read_to_string(path).map_err(|error| at(error.to_string()))?;
        Self::parse(&text, &path.display().to_string(), environment)
    }

    /// Like [`Config::load`], from text; `name` stands for the file in errors.
    pub fn parse(
        text: &str,
        name: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        // Once for itself: only here an error still knows its line.
        toml::from_str::<Self>(text).map_err(|error| located(name, text, &error))?;
        let mut table: Table = toml::from_str(text).map_err(|error| located(name, text, &error))?;
        let mut overridden = Vec::new();
        for (variable, value) in environment {
            let Some(key) = variable.strip_prefix(ENVIRONMENT) else { continue };
            let steps: Vec<String> = key.to_lowercase().split("__").map(str::to_owned).collect();
            set(&mut table, &steps, &value);
            overridden.push(variable);
        }
        let config: Self = table.try_into().map_err(|error: toml::de::Error| ConfigError {
            place: format!("environment ({})", overridden.join(", ")),
            message: error.message().to_owned(),
        })?;
        config.check().map_err(|message| ConfigError { place: name.to_owned(), message })?;
        Ok(config)
    }

    /// What must hold between keys.
    fn check(&self) -> Result<(), String> {
        if !self.listen.ip().is_loopback() && self.tls.is_none() && !self.behind_proxy {
            return Err(format!(
                "`listen = \"{}\"` is open to the network but nothing encrypts it: give [tls] a certificate \
                 and key, or say `behind_proxy = true` where a proxy terminates TLS",
                self.listen
            ));
        }
        if self.public_url.ends_with('/') || !self.public_url.starts_with("http") {
            return Err("`public_url` is an http or https address without a slash at the end".into());
        }
        for network in &self.webhook_networks {
            network.parse::<IpNet>().map_err(|error| format!("`webhook_networks`: {network:?}: {error}"))?;
        }
        if let Some(smtp) = &self.smtp {
            smtp.check()?;
        }
        if let Some(sms) = &self.desk.sms {
            sms.check()?;
        }
        self.desk.check_names()?;
        for (at, account) in self.signing.iter().enumerate() {
            account.check()?;
            if self.signing[..at].iter().any(|other| other.name() == account.name()) {
                return Err(format!("[[signing]] {} is there twice", account.name()));
            }
        }
        Ok(())
    }

    /// Refuses languages that no document could be read in here.
    pub fn must_have_languages(&self) -> Result<(), String> {
        let found = platen_capture::ocr::require(&self.capture.languages);
        found.map_err(|failure| format!("`languages` in [capture]: {}", failure.message))
    }

    /// The networks of `webhook_networks`.
    pub fn webhook_networks(&self) -> Vec<IpNet> {
        self.webhook_networks.iter().filter_map(|network| network.parse().ok()).collect()
    }

    /// Whether cookies may insist on TLS.
    pub fn is_secure(&self) -> bool {
        self.public_url.starts_with("https:")
    }
}

fn located(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    ConfigError { place: format!("{name}:{line}"), message: error.message().to_owned() }
}

/// Sets a key; a value that reads as TOML is that, any other is a string.
fn set(table: &mut Table, steps: &[String], value: &str) {
    let Some((first, rest)) = steps.split_first() else { return };
    if rest.is_empty() {
        let read = toml::from_str::<Table>(&format!("value = {value}")).ok();
        let value =
            read.and_then(|mut read| read.remove("value")).unwrap_or_else(|| Value::String(value.into()));
        table.insert(first.clone(), value);
    } else if let Value::Table(inner) =
        table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()))
    {
        set(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let environment = environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Config::parse(text, "cloud.toml", environment).map_err(|error| error.to_string())
    }

    #[test]
    fn an_unknown_key_is_refused_with_file_and_line() {
        let error = parse("behind_proxy = true\n\n[limits]\nparts = 3\n", &[]).expect_err("unknown");
        assert!(error.starts_with("cloud.toml:4: unknown field `parts`"), "{error}");
        let error = parse("", &[("PLATEN_CLOUD_LIMITS__PARTS", "3")]).expect_err("unknown");
        assert!(error.contains("PLATEN_CLOUD_LIMITS__PARTS") && error.contains("parts"), "{error}");
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let environment =
            [("PLATEN_CLOUD_LIMITS__PART_BYTES", "5"), ("PLATEN_CLOUD_PUBLIC_URL", "https://a.b")];
        let config =
            parse("public_url = \"http://c.d\"\n[limits]\njob_attempts = 3", &environment).expect("fits");
        assert_eq!(config.public_url, "https://a.b");
        assert_eq!((config.limits.part_bytes, config.limits.job_attempts), (5, 3));
    }

    #[test]
    fn nothing_listens_beyond_loopback_without_tls_unless_a_proxy_is_named() {
        let error = parse("listen = \"0.0.0.0:80\"", &[]).expect_err("open");
        assert!(error.contains("behind_proxy"), "{error}");
        parse("listen = \"0.0.0.0:80\"\nbehind_proxy = true", &[]).expect("a proxy");
        parse("listen = \"[::1]:80\"", &[]).expect("loopback");
    }

    #[test]
    fn a_language_that_is_not_installed_is_named_with_its_key_and_its_package() {
        let config = parse("[capture]\nlanguages = \"eng+xyz\"", &[]).expect("sound");
        let error = config.must_have_languages().expect_err("not installed");
        assert!(error.contains("`languages` in [capture]") && error.contains("tesseract-ocr-xyz"), "{error}");
        Config::default().must_have_languages().expect("installed");
    }

    #[test]
    fn signers_see_the_name_of_the_office_or_of_their_tenant() {
        let text = "[desk]\nname = \"Halden & Partners\"\ntenant_names = { acme = \"Acme\" }";
        let desk = parse(text, &[]).expect("sound").desk;
        let name = |desk: &Desk, tenant: &str| desk.name_of(&tenant.parse().expect("a name"));
        assert_eq!(name(&desk, "default"), "Halden & Partners");
        assert_eq!(name(&desk, "acme"), "Acme");
        assert_eq!(name(&Desk::default(), "acme"), "acme");
        for unsound in ["", " Halden", "Halden\\nBcc: mallory", &"x".repeat(51)] {
            let error = parse(&format!("[desk]\nname = \"{unsound}\""), &[]).expect_err("unsound");
            assert!(error.contains("desk.name"), "{error}");
        }
    }

    #[test]
    fn what_is_printed_can_be_read_back() {
        let config = Config::default();
        let printed = toml::to_string(&config).expect("plain data");
        assert_eq!(parse(&printed, &[]), Ok(config));
    }
}
