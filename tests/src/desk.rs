//! One agent alone: hot folders, a spool, and a cloud that cannot be reached, so that all it takes stays with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use platen_model::keys::SigningKey;
use platen_model::{DeviceId, Digest, DocumentManifest, PageText, durable};
use serde_json::{Value, json};

use crate::programs::Programs;
use crate::wait;

/// Where the cloud is said to be: a port on which nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9";

/// The desk.
#[derive(Debug)]
pub struct Desk {
    root: PathBuf,
    programs: Programs,
    /// What stands before the agent's own command line.
    wrapper: Vec<String>,
    agent: Option<Child>,
}

/// A file that the agent keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Digest of its bytes as they lie in the spool.
    pub sha256: Digest,
    /// `capture`, `document`, or `quarantine` and the class.
    pub state: String,
    /// The name it had, without folders.
    pub name: String,
}

impl Desk {
    /// Lays out a desk in `root`: an enrolled agent with this configuration beside its state folder.
    ///
    /// # Errors
    ///
    /// Where a file cannot be written.
    pub fn set_up(root: &Path, programs: Programs, config: &str) -> Result<Self, String> {
        let root = std::path::absolute(root).map_err(|error| format!("{}: {error}", root.display()))?;
        let desk = Self { root, programs, wrapper: Vec::new(), agent: None };
        for folder in [desk.state(), desk.inbox()] {
            durable::create_folder(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        let key = SigningKey::generate().map_err(|error| error.to_string())?;
        let identity = json!({
            "url": NOWHERE, "device_id": DeviceId::new(), "tenant_id": "default", "receipt_key": key.public(),
        });
        let config = format!("state = {:?}\n{config}", desk.state());
        for (file, text) in
            [(desk.state().join("identity.json"), identity.to_string()), (desk.config(), config)]
        {
            durable::write(&file, text.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok(desk)
    }

    /// Starts the agent behind another command: `setpriv …`, `unshare …`.
    #[must_use]
    pub fn behind(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(ToString::to_string).collect();
        self
    }

    /// The hot folder `inbox`, which the configuration may name as `inbox` beside the state folder.
    pub fn inbox(&self) -> PathBuf {
        self.root.join("inbox")
    }

    /// The agent's state folder.
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    fn config(&self) -> PathBuf {
        self.root.join("agent.toml")
    }

    /// The documents in the spool, by their captures and their places in their batches.
    ///
    /// # Panics
    ///
    /// Where the spool cannot be read.
    pub fn documents(&self) -> Vec<DocumentManifest> {
        let folder = self.state().join("spool/documents");
        let entries = std::fs::read_dir(folder).expect("the spool").flatten();
        let read = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("manifest.json")).ok();
        let manifests =
            entries.filter_map(read).map(|bytes| serde_json::from_slice(&bytes).expect("a manifest"));
        let mut manifests: Vec<DocumentManifest> = manifests.collect();
        manifests.sort_by_key(|manifest| {
            (manifest.capture_id, manifest.batch.as_ref().map(|batch| batch.document))
        });
        manifests
    }

    /// What was read from a document's pages.
    ///
    /// # Panics
    ///
    /// Where the spool does not hold it.
    pub fn page_text(&self, document: &DocumentManifest) -> PageText {
        let folder = self.state().join("spool/documents").join(document.document_id.to_string());
        let bytes = std::fs::read(folder.join("page-text.json")).expect("the page text");
        serde_json::from_slice(&bytes).expect("page text")
    }

    /// Starts the agent; its log is appended to a file.
    ///
    /// # Errors
    ///
    /// Where it cannot be started.
    pub fn start(&mut self) -> Result<(), String> {
        let log = self.root.join("agent.log");
        let log = File::options().create(true).append(true).open(&log).map_err(|error| error.to_string())?;
        let plain = self.programs.agent();
        let mut words = self.wrapper.iter().map(Into::into).chain([plain.get_program().to_owned()]);
        let mut command = Command::new(words.next().unwrap_or_default());
        let agent = command
            .args(words)
            .args(["run", "--config"])
            .arg(self.config())
            .env("PLATEN_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        self.agent = Some(agent);
        Ok(())
    }

    /// Kills the agent as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    /// The agent's process.
    pub fn pid(&self) -> u32 {
        self.agent.as_ref().map_or(0, Child::id)
    }

    /// Whether the agent has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.agent.as_mut().is_none_or(|agent| !matches!(agent.try_wait(), Ok(None)))
    }

    /// Runs a command of the agent and answers what it printed; `before` stands before it.
    ///
    /// # Errors
    ///
    /// What it said on standard error.
    pub fn command(&self, before: &[&str], arguments: &[&str]) -> Result<String, String> {
        let plain = self.programs.agent();
        let mut words = before.iter().map(Into::into).chain([plain.get_program().to_owned()]);
        let output = Command::new(words.next().unwrap_or_default())
            .args(words)
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .output()
            .map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// The status of the first source.
    pub fn source(&self) -> Value {
        let status = self.command(&[], &["status", "--json"]).unwrap_or_default();
        let status: Value = serde_json::from_str(&status).unwrap_or_default();
        status["sources"][0].clone()
    }

    /// The state and the reason that status tells of a file of the first source.
    pub fn told(&self, file: &str) -> Option<(String, String)> {
        let source = self.source();
        let told = source["told"].as_array()?.iter().find(|told| told["file"] == file)?;
        Some((told["state"].as_str()?.to_owned(), told["why"].as_str()?.to_owned()))
    }

    /// Every file that the agent keeps, each read and compared with what its record says.
    ///
    /// # Errors
    ///
    /// Where a file's bytes are not those of its record, or the spool moves while it is read; the latter passes.
    pub fn kept(&self) -> Result<Vec<Kept>, String> {
        self.kept_in(&self.state().join("spool"))
    }

    /// The same in a spool somewhere else.
    ///
    /// # Errors
    ///
    /// As [`kept`](Self::kept).
    pub fn kept_in(&self, spool: &Path) -> Result<Vec<Kept>, String> {
        let mut kept = Vec::new();
        for (place, record) in
            [("captures", "capture.json"), ("quarantine", "capture.json"), ("documents", "manifest.json")]
        {
            let entries = std::fs::read_dir(spool.join(place)).map_err(|error| error.to_string())?;
            for entry in entries.flatten() {
                let folder = entry.path();
                if entry.file_name().to_string_lossy().starts_with('.') {
                    continue;
                }
                let read = std::fs::read(folder.join(record)).map_err(|error| format!("{place}: {error}"))?;
                let record: Value =
                    serde_json::from_slice(&read).map_err(|error| format!("{place}: {error}"))?;
                let state = match place {
                    "captures" => "capture".to_owned(),
                    "documents" => "document".to_owned(),
                    _ => format!("quarantine {}", class_in(&folder)),
                };
                for file in originals(&record) {
                    let (found, _) = durable::digest_file(&folder.join(&file.stored))
                        .map_err(|error| format!("{place}: {error}"))?;
                    if found != file.sha256 {
                        return Err(format!(
                            "{}: {} has other bytes than recorded",
                            folder.display(),
                            file.stored
                        ));
                    }
                    kept.push(Kept { sha256: found, state: state.clone(), name: file.name });
                }
            }
        }
        kept.sort();
        Ok(kept)
    }

    /// Waits until nothing is being worked on and `inbox` holds no file, then answers what is kept.
    ///
    /// # Errors
    ///
    /// Where that does not come, with the end of the agent's log.
    pub async fn settled(&self, deadline: Duration) -> Result<Vec<Kept>, String> {
        self.settled_but_for(0, deadline).await
    }

    /// The same where some files stay in the hot folder.
    ///
    /// # Errors
    ///
    /// As [`settled`](Self::settled).
    pub async fn settled_but_for(&self, files: usize, deadline: Duration) -> Result<Vec<Kept>, String> {
        let settled = wait::until("the agent to take what is there", deadline, || async {
            let kept = self.kept().ok()?;
            let working = kept.iter().any(|one| one.state == "capture");
            (files_in(&self.inbox()).len() == files && !working).then_some(kept)
        });
        let left = || format!("{:?}", files_in(&self.inbox()).iter().take(20).collect::<Vec<_>>());
        settled
            .await
            .map_err(|error| format!("{error}; left: {}; {}\n{}", left(), self.source(), self.last_lines()))
    }

    /// The end of the agent's log.
    pub fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(self.root.join("agent.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    /// The time the agent's process has spent on a processor, in seconds, and its resident memory, in MiB.
    pub fn cost(&self) -> Option<(f64, f64)> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = resident.trim().trim_end_matches("kB").trim().parse().ok()?;
        // The kernel counts in hundredths of a second for programs, whatever its own clock.
        Some((ticks / 100.0, kib / 1024.0))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Original {
    stored: String,
    sha256: Digest,
    name: String,
}

/// The originals in a record of a capture or the manifest of a document.
fn originals(record: &Value) -> Vec<Original> {
    let files = record["files"].as_array().into_iter().flatten();
    let parts = record["parts"].as_array().into_iter().flatten().filter(|part| part["role"] == "original");
    let original = |(index, file): (usize, &Value)| {
        Some(Original {
            stored: format!("original-{index:04}"),
            sha256: serde_json::from_value(file["sha256"].clone()).ok()?,
            name: file["file_name"].as_str().unwrap_or_default().to_owned(),
        })
    };
    files.chain(parts).enumerate().filter_map(original).collect()
}

fn class_in(folder: &Path) -> String {
    let reason = std::fs::read(folder.join("reason.json")).unwrap_or_default();
    let reason: Value = serde_json::from_slice(&reason).unwrap_or_default();
    reason["failure"]["class"].as_str().unwrap_or("unknown").to_owned()
}

/// The plain files in a folder and those inside it, less `done`, by path and length.
pub fn files_in(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() && entry.file_name() != "done" => {
                files.extend(files_in(&entry.path()))
            }
            Ok(metadata) if metadata.is_file() => drop(files.insert(entry.path(), metadata.size())),
            _ => {}
        }
    }
    files
}

/// What is kept must be exactly what was written: nothing else, nothing twice, nothing missing.
///
/// # Panics
///
/// Where it is not, with the end of the agent's log.
pub fn check_kept(kept: &[Kept], written: &[(String, Digest)], desk: &Desk) {
    let names: BTreeMap<Digest, &str> =
        written.iter().map(|(name, sha256)| (*sha256, name.as_str())).collect();
    let mut seen = BTreeSet::new();
    for one in kept {
        assert!(names.contains_key(&one.sha256), "taken early: {one:?}\n{}", desk.last_lines());
        assert!(seen.insert(one.sha256), "taken twice: {one:?}\n{}", desk.last_lines());
    }
    let missing: Vec<&&str> =
        names.iter().filter(|(sha256, _)| !seen.contains(*sha256)).map(|(_, name)| name).collect();
    assert!(missing.is_empty(), "not taken: {missing:?}\n{}", desk.last_lines());
}
