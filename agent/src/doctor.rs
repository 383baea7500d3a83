//! `platen-agent doctor`: every operation the agent will need, tried, with the fix where it fails.
//!
//! It leaves nothing behind and touches no scan.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use platen_capture::worker::sandbox::{Sandbox, language_data_folders};
use platen_capture::worker::{Pool, Program, Reply, Request};
use platen_model::keys::CLOCK_LEEWAY_SECONDS;
use platen_model::{Failure, FailureClass, Stage, TenantId, durable};
use serde::Serialize;
use uuid::Uuid;

use crate::config::{Cloud, Config, Source};
use crate::deliver::Trouble;
use crate::deliver::access::{Access, Badge};
use crate::deliver::trouble::of_another;
use crate::deliver::wire::Wire;
use crate::identity::{self, Identity, key_file};
use crate::names::for_shell;
use crate::outbox::shelf::{BROKEN, Why};
use crate::spool::Spool;
use crate::status::{EncryptionStatus, free_bytes};
use crate::vault::Vault;
use crate::watch::Scope;
use crate::watch::listing::files_inside;
use crate::{rules, run};

/// Less free space than this is reported.
const FREE_BYTES_LOW: u64 = 1 << 30;
/// The longest time of a request to the cloud.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was tried.
    pub tried: String,
    /// Whether it works.
    pub works: bool,
    /// What was seen.
    pub seen: String,
    /// What to do where it does not work, or could work better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    fn good(tried: impl Into<String>, seen: impl Into<String>) -> Self {
        Self { tried: tried.into(), works: true, seen: seen.into(), fix: None }
    }

    fn bad(tried: impl Into<String>, seen: impl ToString, fix: impl Into<String>) -> Self {
        Self { tried: tried.into(), works: false, seen: seen.to_string(), fix: Some(fix.into()) }
    }

    /// The finding as lines for a person.
    pub fn to_text(&self) -> String {
        let sign = if self.works { "ok  " } else { "FAIL" };
        let fix = self.fix.as_ref().map(|fix| format!("\n       try: {fix}")).unwrap_or_default();
        format!("{sign}  {}: {}{fix}", self.tried, self.seen)
    }
}

/// Tries everything.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = vec![try_folder("state folder", &config.state), try_space(&config.state)];
    findings.extend(try_outbox(&config.state));
    findings.push(try_encryption(config));
    if config.sources.is_empty() {
        let fix = "add a [[source]] with name and folder to the configuration";
        findings.push(Finding::bad("hot folders", "none is configured", fix));
    }
    for source in &config.sources {
        findings.push(try_folder(&format!("hot folder {}", source.name), &source.folder));
        findings.extend(try_inside(source));
    }
    findings.extend(passwords_files(config).into_iter().map(try_passwords));
    findings.extend(languages(config).into_iter().map(|(language, places)| try_language(language, &places)));
    findings.push(try_rules(config));
    findings.push(try_worker(config));
    findings.extend(try_cloud(config).await);
    findings
}

/// Creates, writes, fsyncs, renames and removes a file, and lists the folder.
fn try_folder(name: &str, folder: &Path) -> Finding {
    let tried = format!("{name} {}", folder.display());
    // The name of a file in the making: no watch would take it.
    let probe = folder.join(format!(".platen-doctor-{}.tmp", Uuid::now_v7()));
    let renamed = probe.with_extension("renamed.tmp");
    let steps = || -> io::Result<()> {
        durable::write(&probe, b"probe")?;
        durable::rename(&probe, &renamed)?;
        durable::remove_file(&renamed)?;
        std::fs::read_dir(folder)?.try_for_each(|entry| entry.map(drop))
    };
    match steps() {
        Ok(()) => Finding::good(tried, "can be listed, written, renamed in and removed from, durably"),
        Err(error) => {
            // Whatever step failed, nothing of ours should stay.
            let _ = durable::remove_file(&probe);
            let _ = durable::remove_file(&renamed);
            let fix = match error.kind() {
                io::ErrorKind::NotFound => format!("sudo install -d -o platen {}", for_shell(folder)),
                io::ErrorKind::PermissionDenied => {
                    format!("sudo setfacl -m u:platen:rwx {}", for_shell(folder))
                }
                io::ErrorKind::StorageFull => "free some space on that disk".to_owned(),
                _ => "check that disk or network share".to_owned(),
            };
            Finding::bad(tried, error, fix)
        }
    }
}

/// Whether scans lie where nobody looks for them. They may do so on purpose.
fn try_inside(source: &Source) -> Option<Finding> {
    let count = files_inside(&source.folder, &Scope::of(source));
    let tried = format!("folders inside hot folder {}", source.name);
    let seen = format!("{count} files in them are not taken");
    let fix = Some("nested = true takes them".to_owned());
    (count > 0).then(|| Finding { fix, ..Finding::good(tried, seen) })
}

/// Every file of passwords that some locked PDF is tried with.
fn passwords_files(config: &Config) -> BTreeSet<&Path> {
    let own = config.sources.iter().filter_map(|source| source.passwords_file.as_deref());
    own.chain(config.capture.passwords_file.as_deref()).collect()
}

fn try_passwords(file: &Path) -> Finding {
    let tried = format!("passwords_file {}", file.display());
    match std::fs::File::open(file).and_then(|file| file.metadata()) {
        Ok(found) if found.is_file() => Finding::good(tried, "can be read"),
        Ok(_) => Finding::bad(tried, "is not a file", "name a file with one password a line"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let fix = format!(
                "correct `passwords_file`, or make it: sudo install -m 640 -g platen /dev/null {}",
                for_shell(file)
            );
            Finding::bad(tried, error, fix)
        }
        Err(error) => Finding::bad(tried, error, format!("sudo setfacl -m u:platen:r {}", for_shell(file))),
    }
}

fn try_space(state: &Path) -> Finding {
    match free_bytes(state) {
        Ok(free) if free >= FREE_BYTES_LOW => {
            Finding::good("space for the spool", format!("{} MiB", free >> 20))
        }
        Ok(free) => {
            let fix = "free some space, or move `state` to a larger disk";
            Finding::bad("space for the spool", format!("only {} MiB", free >> 20), fix)
        }
        Err(error) => Finding::bad("space for the spool", error, "create the state folder"),
    }
}

/// What became of the outbox's databases. None is opened: a running agent has it, and an open one would be changed.
fn try_outbox(state: &Path) -> Option<Finding> {
    let tried = "the outbox's database";
    let folder = state.join("outbox");
    let aside =
        std::fs::read_dir(&folder).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut aside: Vec<String> = aside.filter(|name| name.starts_with(BROKEN)).collect();
    if aside.is_empty() {
        return Some(Finding::good(tried, "none was ever set aside"));
    }
    aside.sort();
    let why: Vec<Option<Why>> = aside.iter().map(|name| Why::read(&folder.join(name))).collect();
    let told = aside.iter().zip(&why).map(|(name, why)| match why {
        Some(why) => format!("{name} ({})", why.error),
        None => name.clone(),
    });
    let seen = format!("rebuilt from the spool; kept: {}", told.collect::<Vec<_>>().join(", "));
    // Where nothing is noted it may have been either: a full disk does not take the note.
    let causes = match why.iter().all(|why| why.as_ref().is_some_and(|why| why.is_full)) {
        true => "see that there is space on that disk",
        false if why.iter().all(Option::is_some) => "check that disk and its cables (smartctl -a)",
        false => "see that there is space on that disk, and check it and its cables (smartctl -a)",
    };
    let fix = Some(format!("{causes}; what is kept in outbox/ may be removed"));
    Some(Finding { fix, ..Finding::good(tried, seen) })
}

/// Whether the state folder opens with the configured key, and since when it is encrypted.
fn try_encryption(config: &Config) -> Finding {
    let tried = "encryption at rest";
    let vault = match Vault::open(config) {
        Ok(vault) => vault,
        Err(complaint) => return Finding::bad(tried, complaint.failed, complaint.help),
    };
    let Some(key) = vault.key() else {
        return Finding::good(tried, "not configured: what lies in the state folder is plain");
    };
    let spool = Spool::looking(&vault);
    match vault.since().and_then(|since| since.map(|since| EncryptionStatus::of(&spool, since)).transpose()) {
        Ok(None) => {
            Finding::good(tried, format!("begins with the agent's next start, with key {}", key.name()))
        }
        Ok(Some(EncryptionStatus { since, older })) => {
            let seen = format!("since {since}, with key {}; {older} items from before", key.name());
            let fix = (older > 0).then(|| "items from before are plain until they are delivered".to_owned());
            Finding { fix, ..Finding::good(tried, seen) }
        }
        Err(error) => Finding::bad(tried, error, "run as the user the agent runs as"),
    }
}

/// Every language that some scan is read in, and where it is configured.
fn languages(config: &Config) -> BTreeMap<&str, Vec<String>> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (place, languages) in config.languages() {
        for language in languages.split('+') {
            places.entry(language).or_default().push(place.clone());
        }
    }
    places
}

/// Whether the rules can be used: the agent refuses to start with others.
fn try_rules(config: &Config) -> Finding {
    let tried = "the classification rules";
    match rules::in_force(config.rules.as_deref()) {
        Ok(rules) => Finding::good(tried, format!("{} {}", rules.policy.name, rules.policy.version)),
        Err(complaint) => Finding::bad(tried, complaint.failed, complaint.help),
    }
}

/// Whether the sources are for the tenant that this device is enrolled in: the agent refuses to start for another.
fn try_tenants(config: &Config, ours: &TenantId) -> Option<Finding> {
    let complaint = run::require_tenant(config, ours).err()?;
    Some(Finding::bad("the tenants of the sources", complaint.failed, complaint.help))
}

fn try_language(language: &str, places: &[String]) -> Finding {
    let tried = format!("language {language}");
    let file = format!("{language}.traineddata");
    match language_data_folders().iter().map(|folder| folder.join(&file)).find(|path| path.is_file()) {
        Some(path) => Finding::good(tried, path.display().to_string()),
        None => {
            let package = language.replace('_', "-");
            Finding::bad(
                tried,
                format!("{file} is missing, for {}", places.join(", ")),
                format!("sudo apt-get install tesseract-ocr-{package}"),
            )
        }
    }
}

/// Starts a worker and asks it what its sandbox holds.
fn try_worker(config: &Config) -> Finding {
    let tried = "a sandboxed worker";
    let limits = config.capture.limits.clone();
    match sandbox_of(&Pool::new(Program::this(&limits), 1, limits)) {
        Ok(sandbox) => {
            let seen = format!("starts and answers; {}", said_of(sandbox));
            // It works either way: documents are opened with what this kernel has.
            Finding { fix: fix_of(sandbox), ..Finding::good(tried, seen) }
        }
        Err(failure) => {
            let fix =
                "check the limits on processes and memory of this user; without workers no scan is read";
            Finding::bad(tried, failure, fix)
        }
    }
}

/// What the sandbox of this pool's workers holds, as a worker says.
pub(crate) fn sandbox_of(pool: &Pool) -> Result<Sandbox, Failure> {
    match pool.call(&Request::Sandbox, &[])? {
        Reply::Held(sandbox) => Ok(sandbox),
        other => {
            let message = format!("the worker answered something else: {other:?}");
            Err(Failure::new(FailureClass::Internal, Stage::Inspect, message))
        }
    }
}

fn said_of(sandbox: Sandbox) -> String {
    let said = |part, held| if held { format!("{part} holds") } else { format!("{part} is missing") };
    format!("{}, {}", said("Landlock", sandbox.files), said("seccomp", sandbox.system_calls))
}

/// What a person should do about a sandbox in which something is missing.
pub(crate) fn fix_of(sandbox: Sandbox) -> Option<String> {
    let missing = match (sandbox.files, sandbox.system_calls) {
        (true, true) => return None,
        (false, true) => "a worker in hostile hands could open files of this user: enable Landlock",
        (true, false) => "a worker in hostile hands could use the network: enable seccomp",
        (false, false) => {
            "a worker in hostile hands could open files and use the network: enable Landlock and seccomp"
        }
    };
    Some(format!("{missing} in the kernel (Linux 5.13 or later; landlock among `lsm=` of its command line)"))
}

async fn try_cloud(config: &Config) -> Vec<Finding> {
    let identity = Identity::read(&config.state);
    let enrolled = match &identity {
        Ok(Some(identity)) => {
            Finding::good("enrolment", format!("device {} of {}", identity.device_id, identity.tenant_id))
        }
        Ok(None) => Finding::bad("enrolment", "not enrolled", "platen-agent enroll --url URL --code CODE"),
        Err(error) => Finding::bad("enrolment", error, "run as the user the agent runs as, or enroll again"),
    };
    let identity = identity.ok().flatten();
    let mut findings = vec![enrolled];
    findings.extend(identity.as_ref().and_then(|identity| try_tenants(config, &identity.tenant_id)));
    let url = config.cloud.url.clone().or_else(|| identity.as_ref().map(|identity| identity.url.clone()));
    let Some(url) = url else { return findings };
    let reached = try_url(&config.cloud, &url).await;
    let answers = reached.first().is_some_and(|finding| finding.works);
    findings.extend(reached);
    if let Some(identity) = identity.filter(|_| answers) {
        findings.push(try_access(config, url, identity).await);
    }
    findings
}

/// Whether the cloud lets this device in: it may have been revoked since it was enrolled.
async fn try_access(config: &Config, url: String, identity: Identity) -> Finding {
    let tried = "access to the cloud";
    let anew = "ask the cloud's administrator whether this device was revoked, and for a new code: platen-agent enroll \
                --url URL --code CODE";
    // It would be made, and the cloud does not know it.
    if !key_file(&config.state).exists() {
        return Finding::bad(tried, "the device's key is not there, or not to be seen by this user", anew);
    }
    let key = match identity::key(&config.state) {
        Ok(key) => key,
        Err(error) => return Finding::bad(tried, error, "run as the user the agent runs as"),
    };
    let wire = match Wire::new(&config.cloud, &url, REQUEST_TIME) {
        Ok(wire) => wire,
        Err(error) => return Finding::bad(tried, error, "correct that value in the configuration"),
    };
    let badge = Badge { url, device: identity.device_id, key, receipt_key: identity.receipt_key };
    let mut access = Access::default();
    // A second time where the first showed that the clock is wrong.
    for _ in 0..2 {
        let now = Timestamp::now();
        let answered = match wire.exchange(access.request(&badge, now)).await {
            Ok(answer) => access.answered(&answer, now),
            Err(cut) => return Finding::bad(tried, cut, "try again: the cloud answered a moment ago"),
        };
        match answered {
            Ok(()) if access.token(now).is_some() => return Finding::good(tried, "this device is let in"),
            Ok(()) => {}
            Err(trouble @ Trouble::Access(_)) => return Finding::bad(tried, trouble, anew),
            Err(trouble) => return Finding::bad(tried, trouble, "try again in a while"),
        }
    }
    Finding::bad(tried, "the cloud gives no token", anew)
}

async fn try_url(cloud: &Cloud, url: &str) -> Vec<Finding> {
    let tried = format!("the cloud at {url}");
    let fix =
        "check the address, the network, the proxy (cloud.proxy) and the cloud's certificate (cloud.ca_file)";
    let wire = match Wire::new(cloud, url, REQUEST_TIME) {
        Ok(wire) => wire,
        Err(error) => return vec![Finding::bad(tried, error, "correct that value in the configuration")],
    };
    let answer = match wire.get(&format!("{url}/healthz")).await {
        Ok(answer) => answer,
        Err(cut) => return vec![Finding::bad(tried, cut, fix)],
    };
    if let Some(another) = of_another(&answer) {
        return vec![Finding::bad(tried, another, fix)];
    }
    let reached = if answer.is_success() {
        Finding::good(tried, "answers")
    } else {
        Finding::bad(tried, answer.status, "check that this is a Platen cloud, and that it is healthy")
    };
    let clock = answer.date().map(|theirs| {
        let skew = Timestamp::now().duration_since(theirs).as_secs();
        if skew.abs() < CLOCK_LEEWAY_SECONDS {
            Finding::good("clock", format!("{skew} s from the cloud's"))
        } else {
            let fix = "set the clock, for example: sudo timedatectl set-ntp true";
            Finding::bad("clock", format!("{skew} s from the cloud's; the cloud's is used to get in"), fix)
        }
    });
    std::iter::once(reached).chain(clock).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Subfolder;

    #[test]
    fn the_languages_of_every_source_and_of_the_folders_inside_are_tried() {
        let mut config = Config::default();
        config.capture.languages = "deu+eng".into();
        let inside = Subfolder { languages: Some("tur".into()), ..Subfolder::default() };
        let source = Source::new("desk", "in");
        let source = Source { languages: Some("eng+fra".into()), subfolders: vec![inside], ..source };
        config.sources = vec![source, Source::new("attic", "other")];
        let tried = languages(&config);
        assert_eq!(tried.keys().copied().collect::<Vec<_>>(), ["deu", "eng", "fra", "tur"]);
        assert_eq!(tried["eng"], ["capture.languages", "source \"desk\": languages"]);
        let finding = try_language("xyz", &tried["fra"]);
        assert!(finding.seen.contains("xyz.traineddata is missing, for source \"desk\": languages"));
    }

    #[test]
    fn a_passwords_file_that_is_not_there_is_found_wherever_it_is_configured() {
        let folder = tempfile::tempdir().expect("a folder");
        let there = folder.path().join("there");
        std::fs::write(&there, "secret\n").expect("a file");
        let mut config = Config::default();
        config.capture.passwords_file = Some(there.clone());
        let gone = folder.path().join("not there");
        config.sources = vec![Source { passwords_file: Some(gone.clone()), ..Source::new("desk", "in") }];
        let findings: Vec<Finding> = passwords_files(&config).into_iter().map(try_passwords).collect();
        assert_eq!(findings.iter().map(|finding| finding.works).collect::<Vec<_>>(), [false, true]);
        let fix = findings[0].fix.clone().unwrap_or_default();
        assert!(fix.ends_with(&format!("'{}'", gone.display())), "quoted for its blank: {fix}");
        assert!(!try_passwords(folder.path()).works, "a folder holds no passwords");
    }

    #[test]
    fn scans_in_folders_inside_that_nobody_takes_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("monday")).expect("a folder inside");
        std::fs::write(folder.path().join("monday/scan.tif"), b"scan").expect("a scan");
        let mut source = Source::new("desk", folder.path());
        let told = try_inside(&source).expect("it is told").to_text();
        assert!(told.contains("1 files") && told.contains("nested = true"), "{told}");
        source.nested = true;
        assert_eq!(try_inside(&source), None);
    }

    #[test]
    fn what_the_agent_would_refuse_to_start_with_is_found() {
        let tenant = |name: &str| name.parse::<TenantId>().expect("a tenant's name");
        let (ours, theirs) = (tenant("ours"), tenant("theirs"));
        let mut config = Config::default();
        assert!(try_rules(&config).works, "those that come with it");
        config.rules = Some("/nowhere/at-all".into());
        assert!(!try_rules(&config).works);
        config.sources = vec![Source { tenant: Some(ours.clone()), ..Source::new("desk", "in") }];
        assert_eq!(try_tenants(&config, &ours), None);
        assert!(try_tenants(&config, &theirs).is_some_and(|finding| finding.seen.contains("desk")));
    }

    /// What is seen of a database that was set aside with this note, and what is to be done.
    fn check_aside(why: Option<&str>) -> (String, String) {
        let state = tempfile::tempdir().expect("a folder");
        let aside = state.path().join("outbox/broken-1");
        std::fs::create_dir_all(&aside).expect("a folder");
        if let Some(why) = why {
            std::fs::write(aside.join("why.json"), why).expect("a note");
        }
        let finding = try_outbox(state.path()).expect("an outbox");
        (finding.seen, finding.fix.unwrap_or_default())
    }

    #[test]
    fn a_database_that_was_set_aside_is_told_with_its_cause() {
        let (seen, fix) = check_aside(Some(r#"{"error":"No space left on device","is_full":true}"#));
        assert!(seen.contains("broken-1 (No space left on device)") && !seen.contains("damage"), "{seen}");
        assert!(fix.contains("space") && !fix.contains("smartctl"), "{fix}");
        let (_, fix) = check_aside(Some(r#"{"error":"a record is damaged","is_full":false}"#));
        assert!(fix.contains("smartctl") && !fix.contains("space"), "{fix}");
        let (_, fix) = check_aside(None);
        assert!(fix.contains("smartctl") && fix.contains("space"), "{fix}");
    }

    #[test]
    fn a_sandbox_that_lacks_something_is_told_with_what_to_enable() {
        let fix = |files, system_calls| fix_of(Sandbox { files, system_calls });
        assert_eq!(fix(true, true), None);
        assert!(fix(false, true).is_some_and(|fix| fix.contains("Landlock") && !fix.contains("seccomp")));
        assert!(fix(true, false).is_some_and(|fix| fix.contains("enable seccomp")));
        assert!(fix(false, false).is_some_and(|fix| fix.contains("Landlock and seccomp")));
    }
}
