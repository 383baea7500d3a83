//! One office: a cloud and an agent as processes, over the files of one folder.
//!
//! Either may be killed at any moment and started again; the folder is all that stays.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use platen_model::keys::{Claims, SigningKey};
use platen_model::{DocumentId, durable};

use crate::person::{Person, http_client};
use crate::programs::Programs;
use crate::wait;

/// The user the pages are looked at with.
pub const USER: &str = "clerk";
/// Her password: this site listens on loopback only and is thrown away.
pub const PASSWORD: &str = "correct horse battery staple";

/// Which of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `platen-cloud serve`
    Cloud,
    /// `platen-agent run`
    Agent,
}

impl Part {
    fn config(self) -> &'static str {
        match self {
            Self::Cloud => "cloud.toml",
            Self::Agent => "agent.toml",
        }
    }
}

/// The office.
#[derive(Debug)]
pub struct Site {
    root: PathBuf,
    programs: Programs,
    url: String,
    cloud: Option<Child>,
    agent: Option<Child>,
}

impl Site {
    /// Lays out a new site in `root` with this routing policy: configuration, user, enrolled device. Leaves both stopped.
    ///
    /// `port` 0 takes any free port.
    pub async fn found(root: &Path, programs: Programs, port: u16, routing: &str) -> Result<Self, String> {
        let root = std::path::absolute(root).map_err(|error| format!("{}: {error}", root.display()))?;
        for folder in ["inbox", "mail", "agent", "cloud", "log"] {
            durable::create_folder(&root.join(folder)).map_err(|error| format!("{folder}: {error}"))?;
        }
        let port = if port == 0 { free_port()? } else { port };
        let url = format!("http://127.0.0.1:{port}");
        let mut site = Self { root, programs, url, cloud: None, agent: None };
        site.write("routing.toml", routing)?;
        site.write("cloud.toml", &site.cloud_config(port))?;
        site.write("agent.toml", &site.agent_config())?;
        site.write("password", PASSWORD)?;

        site.cloud_command(&["migrate"])?;
        site.cloud_command(&[
            "user",
            "add",
            USER,
            "--role",
            "admin",
            "--password-file",
            &site.path("password"),
        ])?;
        let code = site.cloud_command(&["device", "code"])?;
        let code = code.lines().last().unwrap_or_default().trim().to_owned();
        site.start(Part::Cloud)?;
        site.wait_until_ready().await?;
        site.agent_command(&["enroll", "--url", &site.url, "--code", &code])?;
        Ok(site)
    }

    fn cloud_config(&self, port: u16) -> String {
        format!(
            "listen = \"127.0.0.1:{port}\"\n\
             public_url = \"{}\"\n\
             database = \"sqlite:{}\"\n\
             blobs = \"file:{}\"\n\
             keys = \"{}\"\n\
             mail = \"{}\"\n\
             routing = \"{}\"\n",
            self.url,
            self.path("cloud/cloud.db"),
            self.path("cloud/blobs"),
            self.path("cloud/keys"),
            self.path("mail"),
            self.path("routing.toml"),
        )
    }

    fn agent_config(&self) -> String {
        format!(
            "state = \"{}\"\n\
             \n\
             [capture]\n\
             languages = \"eng+deu\"\n\
             \n\
             [[source]]\n\
             name = \"front-desk\"\n\
             folder = \"{}\"\n\
             department = \"office\"\n\
             quiet_ms = 500\n\
             give_up_ms = 5000\n\
             batch = {{ pattern = '^(?P<batch>.+)_p(?P<page>[0-9]+)\\.[a-z]+$', gap_ms = 2000 }}\n",
            self.path("agent"),
            self.path("inbox"),
        )
    }

    /// The hot folder.
    pub fn inbox(&self) -> PathBuf {
        self.root.join("inbox")
    }

    /// The folder invitations are written to.
    pub fn mail(&self) -> PathBuf {
        self.root.join("mail")
    }

    /// Where the pages are.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder everything is in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Puts a copy of a file into the hot folder, as a scanner would: created, written, closed.
    pub fn scan(&self, file: &Path) -> Result<(), String> {
        let name = file.file_name().ok_or("a scan has a name")?;
        std::fs::copy(file, self.inbox().join(name))
            .map(drop)
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Where the cloud listens.
    pub fn cloud_address(&self) -> SocketAddr {
        let address = self.url.trim_start_matches("http://").parse();
        address.expect("a site's address is a number and a port")
    }

    /// Changes the text of a program's configuration. It counts from the next start on.
    pub fn configure(&self, part: Part, change: impl FnOnce(String) -> String) -> Result<(), String> {
        let name = part.config();
        let old =
            std::fs::read_to_string(self.root.join(name)).map_err(|error| format!("{name}: {error}"))?;
        self.write(name, &change(old))
    }

    /// Starts one of the programs; its log goes to `log/`, appended.
    pub fn start(&mut self, part: Part) -> Result<(), String> {
        self.start_with(part, &[])
    }

    /// The same, with these variables in its environment.
    pub fn start_with(&mut self, part: Part, variables: &[(&str, &str)]) -> Result<(), String> {
        let (mut command, name, verb) = match part {
            Part::Cloud => (self.programs.cloud(), "cloud", "serve"),
            Part::Agent => (self.programs.agent(), "agent", "run"),
        };
        let log = self.root.join("log").join(format!("{name}.log"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| format!("{}: {error}", log.display()))?;
        let child = command
            .args([verb, "--config", &self.path(part.config())])
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|error| format!("platen-{name}: {error}"))?;
        *self.slot(part) = Some(child);
        Ok(())
    }

    /// Kills a program with SIGKILL, as a power cut would end it, and waits until it is gone.
    pub fn kill(&mut self, part: Part) {
        if let Some(mut child) = self.slot(part).take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Waits until a program has ended by itself and answers how; `None` where it still runs after `deadline`.
    pub async fn ended(&mut self, part: Part, deadline: Duration) -> Option<ExitStatus> {
        let child = self.slot(part).as_mut()?;
        let ended = wait::until("a program to end", deadline, || {
            let status = child.try_wait().ok().flatten();
            async move { status }
        });
        let status = ended.await.ok()?;
        *self.slot(part) = None;
        Some(status)
    }

    /// Asks a program to read its files again (SIGHUP).
    pub fn reload(&mut self, part: Part) -> Result<(), String> {
        let child = self.slot(part).as_ref().ok_or("it does not run")?;
        send(child, rustix::process::Signal::HUP)
    }

    /// Asks a program to end (SIGTERM) and answers whether it ended well.
    pub fn stop(&mut self, part: Part) -> Result<(), String> {
        let Some(mut child) = self.slot(part).take() else { return Ok(()) };
        send(&child, rustix::process::Signal::TERM)?;
        let status = child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("{part:?} ended with {status}")) }
    }

    /// Waits until the cloud answers that it is ready.
    pub async fn wait_until_ready(&mut self) -> Result<(), String> {
        let http = http_client()?;
        let url = format!("{}/readyz", self.url);
        let ready = wait::until("the cloud to be ready", Duration::from_secs(60), || async {
            let answer = http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        ready.map_err(|error| format!("{error}\n{}", self.last_lines("cloud")))
    }

    /// Signs in at the pages.
    pub async fn person(&self) -> Result<Person, String> {
        Person::sign_in(&self.url, USER, PASSWORD).await
    }

    /// What the agent holds in quarantine.
    pub fn quarantine(&self) -> Result<Vec<serde_json::Value>, String> {
        let list = self.agent_command(&["quarantine", "list", "--json"])?;
        serde_json::from_str(&list).map_err(|error| format!("quarantine list: {error}: {list}"))
    }

    /// Runs an administration command of the cloud and answers what it printed.
    pub fn cloud_command(&self, arguments: &[&str]) -> Result<String, String> {
        self.command(self.programs.cloud(), "cloud.toml", arguments)
    }

    /// Runs a command of the agent and answers what it printed.
    pub fn agent_command(&self, arguments: &[&str]) -> Result<String, String> {
        self.command(self.programs.agent(), "agent.toml", arguments)
    }

    fn command(&self, mut command: Command, config: &str, arguments: &[&str]) -> Result<String, String> {
        let output = command
            .args(arguments)
            .args(["--config", &self.path(config)])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| error.to_string())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!(
            "{arguments:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))
    }

    /// The last lines of a program's log, for a failure's message.
    pub fn last_lines(&self, name: &str) -> String {
        let log =
            std::fs::read_to_string(self.root.join("log").join(format!("{name}.log"))).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn slot(&mut self, part: Part) -> &mut Option<Child> {
        match part {
            Part::Cloud => &mut self.cloud,
            Part::Agent => &mut self.agent,
        }
    }

    fn path(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        durable::write(&self.root.join(name), text.as_bytes())
            .map(drop)
            .map_err(|error| format!("{name}: {error}"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.kill(Part::Agent);
        self.kill(Part::Cloud);
    }
}

fn send(child: &Child, signal: rustix::process::Signal) -> Result<(), String> {
    let pid =
        i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).ok_or("no process id")?;
    rustix::process::kill_process(pid, signal).map_err(|error| error.to_string())
}

/// An access token of the site's device, as the agent gets its own. `audience` is the cloud's public address.
pub async fn device_token(site: &Site, audience: &str) -> Result<String, String> {
    let read = |name: &str| {
        let path = site.root.join("agent").join(name);
        std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let key = SigningKey::from_pkcs8(&read("device.key")?).map_err(|error| error.to_string())?;
    let identity: serde_json::Value =
        serde_json::from_slice(&read("identity.json")?).map_err(|error| error.to_string())?;
    let device = identity["device_id"].as_str().unwrap_or_default().to_owned();
    let now = jiff::Timestamp::now().as_second();
    let claims = Claims {
        iss: device.clone(),
        sub: device,
        aud: format!("{audience}/oauth/token"),
        iat: now,
        exp: now + 60,
        jti: DocumentId::new().to_string(),
    };
    let form = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &key.jwt(&claims)),
    ];
    let answer = http_client()?.post(format!("{}/oauth/token", site.url)).form(&form).send().await;
    let answer: serde_json::Value =
        answer.map_err(|error| error.to_string())?.json().await.map_err(|error| error.to_string())?;
    answer["access_token"].as_str().map(str::to_owned).ok_or_else(|| format!("no token: {answer}"))
}

/// A port nobody listens on now. Another process may take it before we do; then the start fails and says so.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}
