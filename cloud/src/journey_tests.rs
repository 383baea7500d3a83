//! The path of a document through the real router, database and blob folder, over a loopback port.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_capture::worker::Pool;
use platen_model::api::{EnrollRequest, EnrollResponse, Token};
use platen_model::keys::{Claims, SigningKey};
use platen_model::manifest::SignedReceipt;
use platen_model::{DeviceId, Digest, DocumentManifest, PageText, PartRole, Receipt};
use reqwest::{Method, RequestBuilder, Response, StatusCode};

use crate::app::App;
use crate::auth::users::{self, Login};
use crate::config::Config;
use crate::store::{now_ms, people};
use crate::testing::{Base, database, decision, manifest, part, tenant};
use crate::{http, integrity, jobs};

/// A server over a folder of its own.
pub(crate) struct Server {
    pub(crate) app: App,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    _folder: tempfile::TempDir,
    _base: Base,
}

/// An enrolled device.
pub(crate) struct Agent {
    pub(crate) id: DeviceId,
    pub(crate) key: SigningKey,
    pub(crate) token: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts one whose configuration differs.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let at = |name: &str| folder.path().join(name);
        let base = database(folder.path());
        let mut config = Config {
            public_url: url.clone(),
            database: base.address.clone(),
            blobs: format!("file:{}", at("blobs").display()),
            keys: at("keys"),
            mail: at("mail"),
            ..Config::default()
        };
        change(&mut config);
        let app = App::open_with(config, Pool::in_process(1)).await.expect("a new site");
        people::add_tenant(&app.store, &tenant()).await.expect("a tenant");
        let router = http::router(app.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { app, url, client: reqwest::Client::new(), _folder: folder, _base: base }
    }

    pub(crate) async fn enrol(&self, tenant_name: &str) -> Agent {
        let tenant = tenant_name.parse().expect("a name");
        people::add_tenant(&self.app.store, &tenant).await.expect("a tenant");
        let code = format!("code-{}", DeviceId::new()).to_uppercase();
        let ends = now_ms() + 60_000;
        people::add_code(&self.app.store, &tenant, "test", Digest::of(code.as_bytes()), ends)
            .await
            .expect("a code");
        let key = SigningKey::generate().expect("randomness");
        let request = EnrollRequest { code, public_key: key.public(), name: "test".into() };
        let mut ids = Vec::new();
        for _ in 0..2 {
            let answer =
                self.client.post(format!("{}/v1/devices/enroll", self.url)).json(&request).send().await;
            let identity: EnrollResponse = answer.expect("an answer").json().await.expect("an identity");
            ids.push(identity.device_id);
        }
        assert_eq!(ids[0], ids[1], "the same code and key give the same identity");
        let mut agent = Agent { id: ids[0], key, token: String::new() };
        let assertion = self.assertion(&agent);
        let answer = self.ask_token(&assertion).await;
        agent.token = answer.json::<Token>().await.expect("a token").access_token;
        assert_eq!(self.ask_token(&assertion).await.status(), StatusCode::UNAUTHORIZED, "once only");
        agent
    }

    pub(crate) fn assertion(&self, agent: &Agent) -> String {
        let (sub, iat) = (agent.id.to_string(), now_ms() / 1000);
        let aud = format!("{}/oauth/token", self.url);
        agent.key.jwt(&Claims {
            iss: sub.clone(),
            sub,
            aud,
            iat,
            exp: iat + 60,
            jti: DeviceId::new().to_string(),
        })
    }

    pub(crate) async fn ask_token(&self, assertion: &str) -> Response {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        self.client.post(format!("{}/oauth/token", self.url)).form(&form).send().await.expect("an answer")
    }

    pub(crate) fn ask(&self, agent: &Agent, method: Method, path: &str) -> RequestBuilder {
        let path = path.strip_prefix(&self.url).unwrap_or(path);
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&agent.token);
        request.header("tus-resumable", "1.0.0")
    }

    pub(crate) async fn begin_upload(&self, agent: &Agent, bytes: &[u8], mime: &str) -> String {
        let digest = STANDARD.encode(Digest::of(bytes).to_string());
        let answer = self
            .ask(agent, Method::POST, "/v1/uploads")
            .header("upload-length", bytes.len())
            .header("upload-metadata", format!("sha256 {digest},mime {}", STANDARD.encode(mime)))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::CREATED);
        header(&answer, "location")
    }

    pub(crate) fn patch(&self, agent: &Agent, upload: &str, offset: usize, bytes: &[u8]) -> RequestBuilder {
        self.ask(agent, Method::PATCH, upload)
            .header("content-type", "application/offset+octet-stream")
            .header("upload-offset", offset)
            .body(bytes.to_vec())
    }

    pub(crate) async fn upload(&self, agent: &Agent, bytes: &[u8], mime: &str) {
        let upload = self.begin_upload(agent, bytes, mime).await;
        let answer = self.patch(agent, &upload, 0, bytes).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }

    pub(crate) async fn commit(&self, agent: &Agent, bytes: &[u8], signature: &str) -> Response {
        self.ask(agent, Method::POST, "/v1/documents")
            .header("content-type", "application/vnd.platen.manifest+json")
            .header("platen-signature", format!("{} {signature}", agent.id))
            .body(bytes.to_vec())
            .send()
            .await
            .expect("an answer")
    }

    /// Uploads all parts of a document and answers its manifest.
    pub(crate) async fn prepare(&self, agent: &Agent, document_type: &str) -> DocumentManifest {
        let text = serde_json::to_vec(&PageText::new(Vec::new())).expect("plain data");
        let parts: [(PartRole, &[u8], &str); 3] = [
            (PartRole::Original, b"the scan", "image/tiff"),
            (PartRole::Normalized, b"%PDF-", "application/pdf"),
            (PartRole::PageText, &text, "application/json"),
        ];
        for (_, bytes, mime) in parts {
            self.upload(agent, bytes, mime).await;
        }
        let parts = parts.map(|(role, bytes, mime)| part(role, bytes, mime)).to_vec();
        manifest(agent.id, decision(document_type, &[]), parts)
    }
}

pub(crate) fn header(answer: &Response, name: &str) -> String {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn bytes_of(manifest: &DocumentManifest) -> Vec<u8> {
    serde_json::to_vec(manifest).expect("plain data")
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_and_becomes_a_blob_of_its_tenant_only() {
    let server = Server::start().await;
    let (agent, stranger) = (server.enrol("default").await, server.enrol("other").await);
    let upload = server.begin_upload(&agent, b"hello world", "text/plain").await;
    let blob = format!("/v1/blobs/{}", Digest::of(b"hello world"));
    let status = async |request: RequestBuilder| request.send().await.expect("an answer").status().as_u16();

    assert_eq!(status(server.patch(&agent, &upload, 0, b"hello")).await, 204);
    assert_eq!(status(server.patch(&agent, &upload, 3, b"lo")).await, 409, "not where it stands");
    let wrong = server.patch(&agent, &upload, 5, b" wxyzd");
    let wrong =
        wrong.header("upload-checksum", format!("sha256 {}", STANDARD.encode(Digest::of(b"x").as_bytes())));
    assert_eq!(status(wrong).await, 460);
    let answer = server.ask(&agent, Method::HEAD, &upload).send().await.expect("an answer");
    assert_eq!(
        (header(&answer, "upload-offset"), header(&answer, "upload-length")),
        ("5".into(), "11".into())
    );
    assert_eq!(status(server.ask(&agent, Method::HEAD, &blob)).await, 404, "not whole yet");
    assert_eq!(status(server.patch(&agent, &upload, 5, b" world and more")).await, 413);
    assert_eq!(status(server.patch(&agent, &upload, 5, b" world")).await, 204);
    assert_eq!(status(server.ask(&agent, Method::HEAD, &blob)).await, 200);
    assert_eq!(status(server.ask(&stranger, Method::HEAD, &blob)).await, 404, "INV-12");
    assert_eq!(status(server.ask(&stranger, Method::HEAD, &upload)).await, 404, "INV-12");
    assert_eq!(status(server.ask(&agent, Method::DELETE, &upload)).await, 204);
    assert_eq!(status(server.ask(&agent, Method::HEAD, &upload)).await, 404);
}

/// The head of a PATCH that announces 100 bytes.
fn patch_head(server: &Server, agent: &Agent, upload: &str, offset: usize, more: &str) -> String {
    let address = server.url.strip_prefix("http://").expect("loopback");
    let path = upload.strip_prefix(&server.url).expect("an address of ours");
    format!(
        "PATCH {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ntus-resumable: 1.0.0\r\n\
         content-type: application/offset+octet-stream\r\nupload-offset: {offset}\r\n{more}\
         content-length: 100\r\n\r\n",
        agent.token
    )
}

/// Sends the head of a PATCH and less of its body than the head announces, then closes the connection.
async fn send_cut(server: &Server, agent: &Agent, upload: &str, offset: usize, bytes: &[u8], more: &str) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = server.url.strip_prefix("http://").expect("loopback");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    let head = patch_head(server, agent, upload, offset, more);
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(bytes).await.expect("sent");
    stream.shutdown().await.expect("closed");
    // Whatever the answer is: its end means that the server knows of ours.
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn a_cut_patch_keeps_what_came_and_the_offset_asked_for_next_is_behind_it() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let bytes: Vec<u8> = (0..=104).collect();
    let upload = server.begin_upload(&agent, &bytes, "text/plain").await;
    let offset = async || {
        let answer = server.ask(&agent, Method::HEAD, &upload).send().await.expect("an answer");
        header(&answer, "upload-offset")
    };
    // The cut request may come to its turn after the question: until then the old offset is the truth.
    let settled = async |before: &str| {
        let moved = async { while offset().await == before {} };
        tokio::time::timeout(std::time::Duration::from_secs(30), moved).await.expect("what came is kept");
        offset().await
    };
    send_cut(&server, &agent, &upload, 0, &bytes[..5], "").await;
    assert_eq!(settled("0").await, "5");
    let promised = format!("upload-checksum: sha256 {}\r\n", STANDARD.encode([0; 32]));
    send_cut(&server, &agent, &upload, 5, &bytes[5..50], &promised).await;
    assert_eq!(settled("5").await, "50", "half a chunk cannot be compared, and is kept");
    let rest =
        async || server.patch(&agent, &upload, 50, &bytes[50..]).send().await.expect("an answer").status();
    assert_eq!(rest().await, StatusCode::NO_CONTENT);
    assert_eq!(rest().await, StatusCode::CONFLICT);
    let empty = server.patch(&agent, &upload, bytes.len(), b"").send().await.expect("an answer");
    assert_eq!(empty.status(), StatusCode::NO_CONTENT, "a repetition of the end changes nothing");
    let kept = server.app.keep.get(&tenant(), Digest::of(&bytes)).await.expect("a blob");
    assert_eq!(kept, bytes);
}

#[tokio::test]
async fn a_client_that_comes_back_ends_its_own_request_that_still_waits_for_bytes() {
    use tokio::io::AsyncWriteExt as _;
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let bytes: Vec<u8> = (0..=104).collect();
    let upload = server.begin_upload(&agent, &bytes, "text/plain").await;
    // The old connection is not closed: the server cannot know that nobody is there any more.
    let mut stale = tokio::net::TcpStream::connect(server.url.strip_prefix("http://").expect("loopback"))
        .await
        .expect("a connection");
    stale.write_all(patch_head(&server, &agent, &upload, 0, "").as_bytes()).await.expect("sent");
    stale.write_all(&bytes[..40]).await.expect("sent");
    let came_back = async {
        loop {
            let answer = server.ask(&agent, Method::HEAD, &upload).send().await.expect("an answer");
            match header(&answer, "upload-offset").as_str() {
                // The old request had not yet come to its turn.
                "0" => {}
                offset => break offset.to_owned(),
            }
        }
    };
    let offset = tokio::time::timeout(std::time::Duration::from_secs(10), came_back).await;
    assert_eq!(offset.expect("long before the pause counts as a cut"), "40");
    let rest = server.patch(&agent, &upload, 40, &bytes[40..]).send().await.expect("an answer");
    assert_eq!(rest.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn inv12_an_upload_without_its_file_begins_anew_and_gives_nobody_a_strangers_blob() {
    let server = Server::start().await;
    let (agent, stranger) = (server.enrol("default").await, server.enrol("other").await);
    let bytes = b"hello world";
    server.upload(&agent, bytes, "text/plain").await;
    // As a crash leaves it: the row says all came, the file is gone, and the tenant has no blob.
    let upload = server.begin_upload(&stranger, bytes, "text/plain").await;
    let id = upload.rsplit('/').next().expect("an id");
    sqlx::query("UPDATE uploads SET received = bytes WHERE upload_id = $1")
        .bind(id)
        .execute(server.app.store.writing())
        .await
        .expect("a row");
    platen_model::durable::remove_file(&server.app.keep.blobs.incoming().join(id)).expect("removed");
    let answer = server.ask(&stranger, Method::HEAD, &upload).send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), header(&answer, "upload-offset")), (200, "0".into()));
    let blob = format!("/v1/blobs/{}", Digest::of(bytes));
    let has = async || server.ask(&stranger, Method::HEAD, &blob).send().await.expect("an answer").status();
    assert_eq!(has().await, StatusCode::NOT_FOUND);
    let again = server.patch(&stranger, &upload, 0, bytes).send().await.expect("an answer");
    assert_eq!(again.status(), StatusCode::NO_CONTENT);
    assert_eq!(has().await, StatusCode::OK);
}

#[tokio::test]
async fn a_start_removes_what_no_upload_waits_for() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let upload = server.begin_upload(&agent, b"hello", "text/plain").await;
    let incoming = server.app.keep.blobs.incoming();
    for left in ["evidence-1", ".tmp-x", "0190-half"] {
        std::fs::write(incoming.join(left), b"half").expect("written");
    }
    crate::ingest::tus::landing::clear_incoming(&server.app).await.expect("cleared");
    let left: Vec<_> = std::fs::read_dir(&incoming).expect("a folder").collect();
    assert_eq!(left.len(), 1);
    let answer = server.patch(&agent, &upload, 0, b"hello").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn lists_and_feed_read_piece_by_piece_hold_everything_once() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    for _ in 0..3 {
        let bytes = bytes_of(&server.prepare(&agent, "nda").await);
        server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
    }
    let store = &server.app.store;
    sqlx::query("UPDATE documents SET created_ms = 0, updated_ms = 0")
        .execute(store.writing())
        .await
        .expect("rows");
    for (list, key, count) in [("/v1/documents", "document_id", 3), ("/v1/events", "hash", 3)] {
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let address = format!("{list}?limit=1{after}");
            let answer = server.ask(&agent, Method::GET, &address).send().await.expect("an answer");
            let page: serde_json::Value = answer.json().await.expect("JSON");
            let items = page["items"].as_array().expect("a list");
            seen.extend(items.iter().map(|item| item[key].to_string()));
            match page["next"].as_str() {
                Some(next) if !items.is_empty() => after = format!("&after={next}"),
                _ => break,
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), count, "{list}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_the_promised_ones_are_refused_and_not_kept() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let upload = server.begin_upload(&agent, b"right", "text/plain").await;
    let answer = server.patch(&agent, &upload, 0, b"wrong").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(header(&answer, "content-type"), "application/problem+json");
    let answer = server.ask(&agent, Method::HEAD, &upload).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn inv5_a_manifest_may_be_repeated_but_not_changed() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let mut manifest = server.prepare(&agent, "nda").await;
    let bytes = bytes_of(&manifest);
    let signature = agent.key.sign(&bytes);

    let refused = server.commit(&agent, &bytes, &agent.key.sign(b"other")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let mut receipts = Vec::new();
    for expected in [StatusCode::ACCEPTED, StatusCode::OK] {
        let answer = server.commit(&agent, &bytes, &signature).await;
        assert_eq!(answer.status(), expected);
        let body: serde_json::Value = answer.json().await.expect("JSON");
        let receipt: SignedReceipt = serde_json::from_value(body["receipt"].clone()).expect("a receipt");
        receipt.verify(&server.app.receipt_key.key.public()).expect("signed by the cloud");
        let inner: Receipt = serde_json::from_str(&receipt.receipt).expect("a receipt");
        assert_eq!(inner.manifest_sha256, Digest::of(&bytes));
        receipts.push(receipt);
    }
    assert_eq!(receipts[0], receipts[1]);
    manifest.page_count = 2;
    let bytes = bytes_of(&manifest);
    let changed = server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
    assert_eq!(changed.status(), StatusCode::CONFLICT);

    manifest.ocr_confidence = 7.0;
    manifest.source.clear();
    let bytes = bytes_of(&manifest);
    let problem: platen_model::Problem =
        server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await.json().await.expect("a problem");
    let named: Vec<&str> = problem.errors.keys().map(String::as_str).collect();
    assert_eq!(named, ["ocr_confidence", "source"]);
}

#[tokio::test]
async fn a_manifest_cannot_name_parts_of_another_tenant() {
    let server = Server::start().await;
    let (agent, stranger) = (server.enrol("default").await, server.enrol("other").await);
    let mut manifest = server.prepare(&agent, "nda").await;
    manifest.device_id = Some(stranger.id);
    let bytes = bytes_of(&manifest);
    let answer = server.commit(&stranger, &bytes, &stranger.key.sign(&bytes)).await;
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: platen_model::Problem = answer.json().await.expect("a problem");
    assert_eq!(problem.errors.len(), 3, "{problem:?}");
}

#[tokio::test]
async fn check_names_what_was_altered_and_rebuild_makes_the_rows_anew() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let manifest = server.prepare(&agent, "unknown").await;
    let bytes = bytes_of(&manifest);
    server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
    jobs::run_until_idle(&server.app).await.expect("jobs");
    let path = format!("/v1/documents/{}", manifest.document_id);
    let read = async || -> serde_json::Value {
        server.ask(&agent, Method::GET, &path).send().await.expect("an answer").json().await.expect("JSON")
    };
    let before = read().await;
    assert_eq!((&before["status"], &before["version"]), (&"in_review".into(), &4.into()));

    let (store, blobs) = (&server.app.store, &server.app.keep.blobs);
    let check = async || {
        integrity::check(store, blobs, Some(&server.app.checkpoint_key.public()))
            .await
            .expect("readable")
            .wrong
            .join("; ")
    };
    assert_eq!(check().await, "");
    sqlx::query("UPDATE documents SET record = replace(record, 'scan.tif', 'x.tif')")
        .execute(store.writing())
        .await
        .expect("an altered row");
    assert!(check().await.contains("its row is not what its events say"));
    assert_eq!(integrity::rebuild(store, blobs).await.expect("readable"), Ok(1));
    assert_eq!(read().await, before);
    assert_eq!(check().await, "");

    let name = Digest::of(b"the scan").to_string();
    let scan = server._folder.path().join("blobs").join(&name[..2]).join(&name);
    std::fs::write(&scan, b"the scam").expect("a flipped byte");
    assert!(check().await.contains("is damaged"));
    std::fs::write(&scan, b"the scan").expect("put back");

    let mut write = store.begin().await.expect("a write");
    sqlx::query("UPDATE events SET bytes = replace(bytes, 'nobody', 'somebody') || ' ' WHERE sequence = 2")
        .execute(&mut *write)
        .await
        .expect("a changed event");
    write.commit().await.expect("committed");
    assert!(check().await.contains("event 2 was changed"));
    sqlx::query("DELETE FROM events WHERE sequence = 2").execute(store.writing()).await.expect("removed");
    assert!(check().await.contains("event 2 is missing"));
    sqlx::query("DELETE FROM events").execute(store.writing()).await.expect("removed");
    assert!(check().await.contains("it has no events"));
}

#[tokio::test]
async fn wrong_passwords_lock_a_user_out_and_the_right_one_opens_a_session() {
    let server = Server::start().await;
    let app = &server.app;
    let hash = users::hash_password("correct horse").expect("long enough");
    people::put_user(&app.store, &tenant(), "ada", "admin", &hash).await.expect("a user");
    let Ok(Login::Open(token)) = users::login(app, "ada", "correct horse").await else { panic!("refused") };
    let session = async || people::session(&app.store, Digest::of(token.as_bytes())).await.expect("readable");
    assert!(session().await.is_some());
    people::put_user(&app.store, &tenant(), "ada", "admin", &hash).await.expect("a user");
    assert!(session().await.is_none(), "a new password ends what was opened with the old one");
    // Nobody learns who exists: a name without a user is locked out all the same.
    for name in ["ada", "nobody"] {
        for _ in 0..app.config.limits.login_failures {
            assert!(matches!(users::login(app, name, "wrong").await, Ok(Login::Wrong)), "{name}");
        }
        assert!(matches!(users::login(app, name, "correct horse").await, Ok(Login::Locked(_))), "{name}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_refused_with_a_problem() {
    let server = Server::start().await;
    for (method, path, status) in [
        (Method::GET, "/nowhere", 404),
        (Method::PUT, "/v1/documents", 405),
        (Method::GET, "/v1/documents", 401),
    ] {
        let answer =
            server.client.request(method, format!("{}{path}", server.url)).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert_eq!(header(&answer, "content-type"), "application/problem+json", "{path}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
    }
}

crate::testing::also_on_postgres!(
    an_upload_goes_on_where_it_was_and_becomes_a_blob_of_its_tenant_only,
    a_cut_patch_keeps_what_came_and_the_offset_asked_for_next_is_behind_it,
    a_client_that_comes_back_ends_its_own_request_that_still_waits_for_bytes,
    inv12_an_upload_without_its_file_begins_anew_and_gives_nobody_a_strangers_blob,
    lists_and_feed_read_piece_by_piece_hold_everything_once,
    bytes_that_are_not_the_promised_ones_are_refused_and_not_kept,
    inv5_a_manifest_may_be_repeated_but_not_changed,
    a_manifest_cannot_name_parts_of_another_tenant,
    check_names_what_was_altered_and_rebuild_makes_the_rows_anew,
    wrong_passwords_lock_a_user_out_and_the_right_one_opens_a_session,
    what_does_not_exist_is_refused_with_a_problem,
);
