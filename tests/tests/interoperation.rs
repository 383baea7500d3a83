//! Other people's tus: our agent against `@tus/server`, `tus-js-client` against our cloud.
//!
//! Both come from npm, as `tests/interop/package-lock.json` names them; `packaging/build-deps.sh --test` installs
//! them. Everything is cut, killed and resumed on the way, since that is what the protocol is for.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use platen_model::{DeviceId, Digest, DocumentManifest};
use platen_tests::site::{Part, device_token};
use platen_tests::{Link, Programs, Site, Weather, wait};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(120);

/// A Node.js program of `tests/interop`, ended with its handle.
struct Script {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Script {
    /// Starts it in a folder from which it finds what was installed.
    fn start(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let installed = Programs::of_this_build().target().join("interop");
        let node = installed.join("node");
        assert!(node.exists(), "{} is not there; packaging/build-deps.sh --test installs it", node.display());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop").join(name);
        // Node looks for packages beside the script, and the sources hold none.
        let folder = installed.join("scripts");
        std::fs::create_dir_all(&folder).expect("a folder");
        let script = folder.join(format!("{}-{name}", std::process::id()));
        std::fs::copy(source, &script).expect("a script");
        let mut child = Command::new(node)
            .arg(&script)
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node.js starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, lines }
    }

    /// The next line it prints; `None` where it has ended.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("its output");
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("it prints JSON"))
    }

    /// Reads on until a line has this key, and answers its value.
    fn until(&mut self, key: &str) -> Value {
        loop {
            let line = self.line().unwrap_or_else(|| panic!("it ended before it said {key:?}"));
            if let Some(value) = line.get(key) {
                return value.clone();
            }
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// ---- our agent, their server

struct TheirServer {
    script: Script,
    address: SocketAddr,
    public_key: Value,
}

fn their_server(folder: &Path) -> TheirServer {
    let mut script = Script::start("tus-server.mjs", &[&folder.display().to_string(), "0"], &[]);
    let ready = script.line().expect("it says where it listens");
    let port = ready["port"].as_u64().expect("a port");
    let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
    TheirServer { script, address, public_key: ready["publicKey"].clone() }
}

/// The files of a folder whose names begin and end so.
fn files(folder: &Path, begin: &str, end: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(begin) && name.ends_with(end)
        })
        .collect();
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn our_agent_delivers_to_their_server_through_cuts_and_its_sudden_death() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for name in ["inbox", "state", "server"] {
        std::fs::create_dir(at(name)).expect("a folder");
    }
    let mut server = their_server(&at("server"));
    let weather = Weather { cut_every_bytes: Some(120_000), ..Weather::default() };
    let link = Link::to(server.address, weather).await.expect("a line");

    // As enrolment would have left it: their server enrolls nobody.
    let identity = json!({
        "url": link.url(), "device_id": DeviceId::new(), "tenant_id": "theirs", "receipt_key": server.public_key,
    });
    std::fs::write(at("state/identity.json"), identity.to_string()).expect("an identity");
    let config = format!(
        "state = {:?}\n[outbox]\nchunk_bytes = 50000\n[[source]]\nname = \"desk\"\nfolder = {:?}\nquiet_ms = 100\n",
        at("state"),
        at("inbox"),
    );
    std::fs::write(at("agent.toml"), config).expect("a configuration");
    let log = std::fs::File::create(at("agent.log")).expect("a log");
    let mut agent = Programs::of_this_build()
        .agent()
        .args(["run", "--config"])
        .arg(at("agent.toml"))
        .stderr(log)
        .spawn()
        .expect("the agent starts");

    let samples = platen_testdata::samples();
    let scanned: Vec<PathBuf> = ["invoice-lindner", "letter-marlow", "receipt-colbert"]
        .iter()
        .map(|name| samples.iter().find(|it| it.name == *name).expect("a sample").paths()[0].clone())
        .collect();
    for scan in &scanned {
        std::fs::copy(scan, at("inbox").join(scan.file_name().expect("a name"))).expect("a scan");
    }
    let some_arrived = || async { (link.bytes_up() > 150_000).then_some(()) };
    wait::until("the first bytes", DEADLINE, some_arrived).await.expect("the agent uploads");
    drop(server.script);
    server = their_server(&at("server"));
    link.lead_to(server.address);

    let all = || async { (files(&at("server"), "manifest-", ".json").len() == scanned.len()).then_some(()) };
    let arrived = wait::until("all manifests", DEADLINE, all).await;
    let _ = agent.kill();
    let _ = agent.wait();
    if let Err(error) = arrived {
        panic!("{error}\n{}", std::fs::read_to_string(at("agent.log")).expect("a log"));
    }
    drop(server);

    let mut originals = Vec::new();
    let mut parts = std::collections::BTreeSet::new();
    for manifest in files(&at("server"), "manifest-", ".json") {
        let manifest = std::fs::read(manifest).expect("a manifest");
        let manifest: DocumentManifest = serde_json::from_slice(&manifest).expect("a manifest");
        originals.push(manifest.parts[0].sha256);
        parts.extend(manifest.parts.iter().map(|part| (part.sha256, part.bytes)));
    }
    originals.sort();
    let mut expected: Vec<Digest> =
        scanned.iter().map(|scan| Digest::of(&std::fs::read(scan).expect("a sample"))).collect();
    expected.sort();
    assert_eq!(originals, expected, "each scan arrived once, byte for byte");
    let kept: Vec<Digest> = files(&at("server/uploads"), "", "")
        .iter()
        .filter(|path| path.extension().is_none())
        .map(|path| Digest::of(&std::fs::read(path).expect("an upload")))
        .collect();
    for (sha256, _) in &parts {
        assert!(kept.contains(sha256), "{sha256} is among their uploads");
    }
    let needed: u64 = parts.iter().map(|(_, bytes)| bytes).sum();
    println!("{needed} bytes in {} parts, {} sent, {} cuts", parts.len(), link.bytes_up(), link.cuts());
    assert!(link.cuts() >= 3, "the line was cut {} times", link.cuts());
}

// ---- their client, our cloud

struct Cloud {
    _folder: tempfile::TempDir,
    site: Site,
    token: String,
    file: PathBuf,
    sha256: Digest,
    bytes: u64,
}

async fn our_cloud() -> Cloud {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("site");
    let site = Site::found(&root, Programs::of_this_build(), 0, platen_tests::ends::ROUTING).await;
    let site = site.expect("a site");
    let file = folder.path().join("part");
    // Bytes that no compression shortens and no two places share.
    let content: Vec<u8> = (0u32..100_000).flat_map(|n| *Digest::of(&n.to_le_bytes()).as_bytes()).collect();
    std::fs::write(&file, &content).expect("a file");
    let token = device_token(&site, site.url()).await.expect("the device gets a token");
    Cloud { _folder: folder, site, token, file, sha256: Digest::of(&content), bytes: content.len() as u64 }
}

impl Cloud {
    fn client(&self, url: &str, more: &[&str]) -> Script {
        let endpoint = format!("{url}/v1/uploads");
        let file = self.file.display().to_string();
        let arguments = [&[endpoint.as_str(), file.as_str()], more].concat();
        Script::start("tus-client.mjs", &arguments, &[("TOKEN", &self.token)])
    }

    /// Our cloud makes a blob of bytes only after it has compared their digest with the announced one.
    async fn check_arrived(&self) {
        let http = reqwest::Client::new();
        let url = format!("{}/v1/blobs/{}", self.site.url(), self.sha256);
        let answer = http.head(url).bearer_auth(&self.token).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "the part is a blob of the cloud's");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_stops_half_way_and_goes_on_where_it_was() {
    let cloud = our_cloud().await;
    let mut first = cloud.client(cloud.site.url(), &["--chunk", "250000", "--stop-at", "1000000"]);
    let url = first.until("stopped");
    let url = url.as_str().expect("the upload's address").to_owned();
    drop(first);
    let mut second = cloud.client(cloud.site.url(), &["--chunk", "250000", "--resume", &url]);
    let at = second.until("at").as_u64().expect("an offset");
    assert!(at > 1_000_000, "it went on, and did not begin again: {at}");
    second.until("done");
    cloud.check_arrived().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_goes_on_after_our_cloud_was_killed_under_it() {
    let mut cloud = our_cloud().await;
    let mut client = cloud.client(cloud.site.url(), &["--chunk", "100000"]);
    let before = loop {
        let at = client.until("at").as_u64().expect("an offset");
        if at >= 500_000 {
            break at;
        }
    };
    cloud.site.kill(Part::Cloud);
    cloud.site.start(Part::Cloud).expect("it starts again");
    client.until("done");
    cloud.site.wait_until_ready().await.expect("it is ready");
    cloud.check_arrived().await;
    assert!(before < cloud.bytes, "it was killed in the middle");
}

#[tokio::test(flavor = "multi_thread")]
async fn their_client_sends_one_long_stream_over_a_line_that_is_cut_and_little_is_sent_twice() {
    let mut cloud = our_cloud().await;
    let weather =
        Weather { bytes_per_s: Some(4_000_000), cut_every_bytes: Some(400_000), ..Weather::default() };
    let link = Link::to(cloud.site.cloud_address(), weather).await.expect("a line");
    // The address of an upload is made of the cloud's public address, so the line must be that.
    let (old, new) = (cloud.site.url().to_owned(), link.url());
    cloud.site.kill(Part::Cloud);
    let public =
        |text: String| text.replace(&format!("public_url = \"{old}\""), &format!("public_url = \"{new}\""));
    cloud.site.configure(Part::Cloud, public).expect("configured");
    cloud.site.start(Part::Cloud).expect("it starts again");
    cloud.site.wait_until_ready().await.expect("it is ready");
    cloud.client(&link.url(), &[]).until("done");
    cloud.check_arrived().await;
    let (sent, needed) = (link.bytes_up(), cloud.bytes);
    println!("{needed} bytes needed, {sent} sent, {} cuts", link.cuts());
    assert!(link.cuts() >= 5, "the line was cut {} times", link.cuts());
    assert!(sent * 100 < needed * 115, "{sent} bytes were sent for {needed}");
}
