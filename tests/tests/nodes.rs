//! Two clouds over one PostgreSQL and one bucket: they share the work, and either may be killed at any moment.
//!
//! `PLATEN_KILLS` sets another number of kills, `PLATEN_KILL_SEED` repeats a run's decisions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use platen_model::{Digest, DocumentId};
use platen_tests::random::Sequence;
use platen_tests::servers::{Postgres, S3};
use platen_tests::{Programs, wait};
use reqwest::Method;
use serde_json::Value;

const DOCUMENTS: u64 = 30;
const KILLS: u64 = 16;
const LONGEST_LIFE_MS: u64 = 1_500;
const DEADLINE: Duration = Duration::from_secs(180);
/// Everything is archived as it is.
const ROUTING: &str = "version = \"nodes-1\"\n[[route]]\nname = \"keep\"\nwhen = 'true'\n";

/// One cloud process.
struct Node {
    name: &'static str,
    url: String,
    config: PathBuf,
    child: Option<Child>,
}

/// Both, and what they share.
struct Nodes {
    root: PathBuf,
    programs: Programs,
    environment: Vec<(&'static str, String)>,
    nodes: [Node; 2],
    client: (String, String),
    http: reqwest::Client,
    _database: Postgres,
    _bucket: S3,
}

impl Nodes {
    async fn found(root: &Path) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (database, bucket) = (Postgres::start(), S3::start());
        bucket.make_bucket("platen");
        std::fs::write(root.join("routing.toml"), ROUTING).expect("written");
        let node = |name: &'static str| {
            let port = free_port();
            let at = |what: &str| root.join(what).display().to_string();
            let config = format!(
                "listen = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"\ndatabase = {:?}\n\
                 blobs = \"s3://platen/blobs\"\nscratch = {:?}\nkeys = {:?}\nmail = {:?}\nrouting = {:?}\nworkers = 1\n\
                 [limits]\nlease_seconds = 2\n",
                database.url(),
                at(&format!("scratch-{name}")),
                at("keys"),
                at("mail"),
                at("routing.toml"),
            );
            let path = root.join(format!("{name}.toml"));
            std::fs::write(&path, config).expect("written");
            Node { name, url: format!("http://127.0.0.1:{port}"), config: path, child: None }
        };
        let nodes = [node("one"), node("two")];
        let environment = bucket.environment();
        let programs = Programs::of_this_build();
        let mut site = Self {
            root: root.to_owned(),
            programs,
            environment,
            nodes,
            client: Default::default(),
            http: reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a client"),
            _database: database,
            _bucket: bucket,
        };
        // Both at once, at the very first start: schema and keys are made by one of them.
        site.start(0);
        site.start(1);
        for node in 0..2 {
            site.until_ready(node).await;
        }
        site.command(&["migrate"]);
        let made = site.command(&["client", "add", "erp", "--scope", "documents:write documents:read admin"]);
        let words: Vec<&str> = made.split_whitespace().collect();
        let secret = words.iter().find(|word| word.starts_with("platen_")).expect("a secret").to_string();
        let id = words.iter().find(|word| word.parse::<DocumentId>().is_ok()).expect("an id").to_string();
        site.client = (id, secret);
        site
    }

    fn command(&self, arguments: &[&str]) -> String {
        let mut command = self.programs.cloud();
        command.args(arguments).arg("--config").arg(&self.nodes[0].config);
        let output = command.envs(self.environment.iter().cloned()).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn start(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        let log = self.root.join(format!("{}.log", node.name));
        let log = File::options().create(true).append(true).open(log).expect("a log");
        let mut command = self.programs.cloud();
        command.args(["serve", "--config"]).arg(&node.config).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        node.child = Some(command.spawn().expect("it starts"));
    }

    /// SIGKILL, as a power cut.
    fn kill(&mut self, node: usize) {
        if let Some(mut child) = self.nodes[node].child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    async fn until_ready(&self, node: usize) {
        let url = format!("{}/readyz", self.nodes[node].url);
        let ready = wait::until("a node to be ready", DEADLINE, || async {
            let answer = self.http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        });
        ready.await.unwrap_or_else(|error| panic!("{error}\n{}", self.log(node)));
    }

    fn log(&self, node: usize) -> String {
        std::fs::read_to_string(self.root.join(format!("{}.log", self.nodes[node].name))).unwrap_or_default()
    }

    fn caller(&self) -> Caller {
        let urls = [self.nodes[0].url.clone(), self.nodes[1].url.clone()];
        Caller { http: self.http.clone(), urls, client: self.client.clone() }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.kill(0);
        self.kill(1);
    }
}

/// A program that talks to whichever node answers.
#[derive(Clone)]
struct Caller {
    http: reqwest::Client,
    urls: [String; 2],
    client: (String, String),
}

impl Caller {
    async fn token(&self, node: usize) -> Option<String> {
        let request = self.http.post(format!("{}/oauth/token", self.urls[node]));
        let request = request.basic_auth(&self.client.0, Some(&self.client.1));
        let form = [("grant_type", "client_credentials")];
        let answer: Value = request.form(&form).send().await.ok()?.json().await.ok()?;
        Some(answer["access_token"].as_str()?.to_owned())
    }

    /// Sends a file to one node or the other until one of them says that it has it; answers the document.
    async fn deliver(&self, number: u64, file: &[u8], mut node: usize) -> String {
        let started = std::time::Instant::now();
        loop {
            assert!(started.elapsed() < DEADLINE, "file {number} is not taken");
            node = 1 - node;
            if let Some(document) = self.try_to_deliver(number, file, node).await {
                return document;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn try_to_deliver(&self, number: u64, file: &[u8], node: usize) -> Option<String> {
        let token = self.token(node).await?;
        let mut body = format!(
            "--line\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{number}.png\"\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(file);
        body.extend_from_slice(b"\r\n--line--\r\n");
        let request = self.http.post(format!("{}/v1/documents", self.urls[node])).bearer_auth(token);
        let request = request.header("content-type", "multipart/form-data; boundary=line");
        let request = request.header("idempotency-key", format!("\"file-{number}\""));
        let answer = request.body(body).send().await.ok()?;
        let status = answer.status().as_u16();
        assert!(matches!(status, 200 | 202 | 408 | 429 | 500..), "file {number}: {status}");
        let taken: Value = answer.json().await.ok()?;
        Some(taken["document"]["document_id"].as_str()?.to_owned())
    }

    async fn get(&self, node: usize, path: &str) -> Value {
        let token = self.token(node).await.expect("a token");
        let request = self.http.get(format!("{}{path}", self.urls[node])).bearer_auth(token);
        request.send().await.expect("an answer").json().await.expect("JSON")
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn seeded() -> Sequence {
    let seed = number("PLATEN_KILL_SEED");
    let seed = seed.unwrap_or_else(|| DocumentId::new().as_uuid().as_u64_pair().1);
    println!("PLATEN_KILL_SEED={seed}");
    Sequence::new(seed)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("bound").port()
}

/// A page with a bar and a speck of its own. Cheap to read.
fn page(number: u64) -> Vec<u8> {
    let mut picture = image::GrayImage::from_pixel(300, 200, image::Luma([255]));
    for x in 40..260 {
        for y in 90..96 {
            picture.put_pixel(x, y, image::Luma([0]));
        }
    }
    let place = u32::try_from(number).expect("a small number");
    picture.put_pixel(place % 300, place / 300, image::Luma([200]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a PNG in memory");
    bytes.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_the_work_and_either_may_be_killed_at_any_moment_without_loss_or_double_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut random = seeded();
    let mut nodes = Nodes::found(folder.path()).await;
    let caller = nodes.caller();
    let done = Arc::new(AtomicBool::new(false));
    let (sender, all_sent) = (caller.clone(), Arc::clone(&done));
    let first = random.below(2) as usize;
    let sending = tokio::spawn(async move {
        let mut documents = BTreeMap::new();
        for number in 0..DOCUMENTS {
            let file = page(number);
            let document = sender.deliver(number, &file, (first + number as usize) % 2).await;
            documents.insert(document, Digest::of(&file));
        }
        all_sent.store(true, Ordering::SeqCst);
        documents
    });
    // The kills go on while documents come in, and after that while they are carried on.
    for _ in 0..number("PLATEN_KILLS").unwrap_or(KILLS) {
        tokio::time::sleep(Duration::from_millis(random.below(LONGEST_LIFE_MS))).await;
        let node = random.below(2) as usize;
        nodes.kill(node);
        nodes.start(node);
    }
    let documents =
        sending.await.unwrap_or_else(|error| panic!("{error}\n{}\n{}", nodes.log(0), nodes.log(1)));
    assert!(done.load(Ordering::SeqCst));
    assert_eq!(documents.len() as u64, DOCUMENTS, "no file is two documents, and none is another's");
    for node in 0..2 {
        nodes.until_ready(node).await;
    }
    let at_rest = wait::until("every document to come to rest", DEADLINE, || async {
        let page = caller.get(0, "/v1/documents?limit=500").await;
        let items = page["items"].as_array()?.clone();
        let rests =
            |it: &Value| matches!(it["status"].as_str(), Some("archived" | "in_review" | "quarantined"));
        items.iter().all(rests).then_some(items)
    });
    let at_rest = at_rest.await.unwrap_or_else(|error| panic!("{error}\n{}\n{}", nodes.log(0), nodes.log(1)));
    let known: BTreeSet<&str> = at_rest.iter().filter_map(|it| it["document_id"].as_str()).collect();
    assert_eq!(
        known,
        documents.keys().map(String::as_str).collect(),
        "those that were acknowledged, no others"
    );
    for (document, sha256) in &documents {
        let events = caller.get(1, &format!("/v1/documents/{document}/events")).await;
        let names: Vec<&str> = events["items"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|it| it["event"].as_str())
            .collect();
        let once: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(once.len(), names.len(), "no step was done twice: {names:?}");
        assert!(names.contains(&"captured") && !names.contains(&"quarantined"), "{names:?}");
        let token = caller.token(1).await.expect("a token");
        let original =
            caller.http.get(format!("{}/v1/documents/{document}/content/original", caller.urls[1]));
        let original =
            original.bearer_auth(token).send().await.expect("an answer").bytes().await.expect("bytes");
        assert_eq!(Digest::of(&original), *sha256);
    }
    let dead = caller.get(0, "/v1/jobs?state=dead").await;
    assert_eq!(dead["items"].as_array().map(Vec::len), Some(0), "{dead}");
    for node in 0..2 {
        assert!(nodes.log(node).contains("event=\"captured\""), "node {node} had no share of the work");
    }
    nodes.command(&["check"]);
}

/// Sends a PATCH that announces all of the upload and brings less, and keeps the line open.
fn send_some(url: &str, path: &str, token: &str, announced: usize, bytes: &[u8]) -> TcpStream {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("a connection");
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ntus-resumable: 1.0.0\r\n\
         content-type: application/offset+octet-stream\r\nupload-offset: 0\r\ncontent-length: {announced}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(bytes).expect("sent");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_node_dies_goes_on_at_the_other_from_the_last_byte_that_was_durable() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut nodes = Nodes::found(folder.path()).await;
    let caller = nodes.caller();
    let token = caller.token(0).await.expect("a token");
    let mut random = seeded();
    let bytes: Vec<u8> = (0..20 << 20).map(|_| random.below(256) as u8).collect();
    let encode = |text: String| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    let ask = |node: usize, method: Method, path: &str| {
        let request = caller.http.request(method, format!("{}{path}", caller.urls[node])).bearer_auth(&token);
        request.header("tus-resumable", "1.0.0")
    };
    let begin = ask(0, Method::POST, "/v1/uploads").header("upload-length", bytes.len());
    let begin = begin.header("upload-metadata", format!("sha256 {}", encode(Digest::of(&bytes).to_string())));
    let begun = begin.send().await.expect("an answer");
    let location = begun.headers()["location"].to_str().expect("an address").to_owned();
    let path = location.strip_prefix(&caller.urls[0]).expect("an address of the node").to_owned();
    let offset = async |node: usize| {
        let answer = ask(node, Method::HEAD, &path).send().await.ok()?;
        answer.headers().get("upload-offset")?.to_str().ok()?.parse::<usize>().ok()
    };
    let line = send_some(&caller.urls[0], &path, &token, bytes.len(), &bytes[..18 << 20]);
    let recorded = wait::until("two pieces to be durable", DEADLINE, || async {
        offset(1).await.filter(|offset| *offset >= 16 << 20)
    });
    let recorded = recorded.await.unwrap_or_else(|error| panic!("{error}\n{}", nodes.log(0)));
    nodes.kill(0);
    drop(line);
    let at = offset(1).await.expect("the other node knows it");
    assert_eq!(at, recorded, "nothing that was durable is lost with its node");
    let patch = ask(1, Method::PATCH, &path).header("content-type", "application/offset+octet-stream");
    let patch = patch.header("upload-offset", at).body(bytes[at..].to_vec());
    assert_eq!(patch.send().await.expect("an answer").status().as_u16(), 204);
    let has = ask(1, Method::HEAD, &format!("/v1/blobs/{}", Digest::of(&bytes))).send().await;
    assert_eq!(has.expect("an answer").status().as_u16(), 200, "all bytes are there, in their order");
    nodes.start(0);
    nodes.until_ready(0).await;
    assert_eq!(offset(0).await, Some(bytes.len()), "the node that died knows it as well");
    nodes.command(&["check"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_go_to_the_bucket_itself_are_a_part_once_they_are_what_was_announced() {
    let folder = tempfile::tempdir().expect("a folder");
    let nodes = Nodes::found(folder.path()).await;
    let caller = nodes.caller();
    let token = caller.token(0).await.expect("a token");
    let ask = |node: usize, method: Method, path: &str| {
        caller.http.request(method, format!("{}{path}", caller.urls[node])).bearer_auth(&token)
    };
    let presign = async |bytes: &[u8], length: usize| {
        let announced =
            serde_json::json!({ "sha256": Digest::of(bytes), "bytes": length, "mime": "image/tiff" });
        let answer =
            ask(0, Method::POST, "/v1/presigned-uploads").json(&announced).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 201);
        let begun: Value = answer.json().await.expect("JSON");
        let path = format!("/v1/presigned-uploads/{}/complete", begun["upload_id"].as_str().expect("an id"));
        (begun["url"].as_str().expect("an address").to_owned(), path)
    };
    // The other node completes: nothing of it is in a process.
    let complete = async |path: &str| {
        let answer =
            ask(1, Method::POST, path).header("content-length", "0").send().await.expect("an answer");
        answer.status().as_u16()
    };
    let put = async |url: &str, bytes: &[u8]| {
        let answer = caller.http.put(url).body(bytes.to_vec()).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.status());
    };
    let bytes = page(1);
    let (url, path) = presign(&bytes, bytes.len()).await;
    assert_eq!(complete(&path).await, 409, "nothing is there");
    put(&url, &bytes[1..]).await;
    assert_eq!(complete(&path).await, 409, "not all is there");
    put(&url, &bytes).await;
    assert_eq!((complete(&path).await, complete(&path).await), (204, 204), "it may be repeated");
    let has = async |bytes: &[u8]| {
        let answer = ask(0, Method::HEAD, &format!("/v1/blobs/{}", Digest::of(bytes))).send().await;
        answer.expect("an answer").status().as_u16()
    };
    assert_eq!(has(&bytes).await, 200);
    let (url, path) = presign(b"right", 5).await;
    put(&url, b"wrong").await;
    assert_eq!((complete(&path).await, complete(&path).await), (422, 404), "nothing of it is kept");
    assert_eq!((has(b"right").await, has(b"wrong").await), (404, 404));
    nodes.command(&["check"]);
}
