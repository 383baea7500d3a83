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
use crate::testing::{decision, manifest, part, tenant};
use crate::{http, integrity, jobs};

/// A server over a folder of its own.
struct Server {
    app: App,
    url: String,
    client: reqwest::Client,
    _folder: tempfile::TempDir,
}

/// An enrolled device.
struct Agent {
    id: DeviceId,
    key: SigningKey,
    token: String,
}

impl Server {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let at = |name: &str| folder.path().join(name);
        let config = Config {
            public_url: url.clone(),
            database: format!("sqlite:{}", at("cloud.db").display()),
            blobs: format!("file:{}", at("blobs").display()),
            keys: at("keys"),
            mail: at("mail"),
            ..Config::default()
        };
        let app = App::open_with(config, Pool::in_process(1)).await.expect("a new site");
        people::add_tenant(&app.store, &tenant()).await.expect("a tenant");
        let router = http::router(app.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { app, url, client: reqwest::Client::new(), _folder: folder }
    }

    async fn enrol(&self, tenant_name: &str) -> Agent {
        let tenant = tenant_name.parse().expect("a name");
        people::add_tenant(&self.app.store, &tenant).await.expect("a tenant");
        let code = format!("code-{}", DeviceId::new());
        let ends = now_ms() + 60_000;
        people::add_code(&self.app.store, &tenant, Digest::of(code.as_bytes()), ends).await.expect("a code");
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

    fn assertion(&self, agent: &Agent) -> String {
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

    async fn ask_token(&self, assertion: &str) -> Response {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        self.client.post(format!("{}/oauth/token", self.url)).form(&form).send().await.expect("an answer")
    }

    fn ask(&self, agent: &Agent, method: Method, path: &str) -> RequestBuilder {
        let path = path.strip_prefix(&self.url).unwrap_or(path);
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&agent.token);
        request.header("tus-resumable", "1.0.0")
    }

    async fn begin_upload(&self, agent: &Agent, bytes: &[u8], mime: &str) -> String {
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

    fn patch(&self, agent: &Agent, upload: &str, offset: usize, bytes: &[u8]) -> RequestBuilder {
        self.ask(agent, Method::PATCH, upload)
            .header("content-type", "application/offset+octet-stream")
            .header("upload-offset", offset)
            .body(bytes.to_vec())
    }

    async fn upload(&self, agent: &Agent, bytes: &[u8], mime: &str) {
        let upload = self.begin_upload(agent, bytes, mime).await;
        let answer = self.patch(agent, &upload, 0, bytes).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }

    async fn commit(&self, agent: &Agent, bytes: &[u8], signature: &str) -> Response {
        self.ask(agent, Method::POST, "/v1/documents")
            .header("content-type", "application/vnd.platen.manifest+json")
            .header("platen-signature", format!("{} {signature}", agent.id))
            .body(bytes.to_vec())
            .send()
            .await
            .expect("an answer")
    }

    /// Uploads all parts of a document and answers its manifest.
    async fn prepare(&self, agent: &Agent, document_type: &str) -> DocumentManifest {
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

fn header(answer: &Response, name: &str) -> String {
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
        let key = server.app.receipt_key.public();
        key.verify(receipt.receipt.as_bytes(), &receipt.signature).expect("signed by the cloud");
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
    manifest.device_id = stranger.id;
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
    let check = async || integrity::check(store, blobs).await.expect("readable").wrong.join("; ");
    assert_eq!(check().await, "");
    sqlx::query("UPDATE documents SET record = replace(record, 'scan.tif', 'x.tif')")
        .execute(store.writing())
        .await
        .expect("an altered row");
    assert!(check().await.contains("its row is not what its events say"));
    assert_eq!(integrity::rebuild(store, blobs).await.expect("readable"), Ok(1));
    assert_eq!(read().await, before);
    assert_eq!(check().await, "");

    let scan = blobs.path(Digest::of(b"the scan"));
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
    assert!(matches!(users::login(app, "ada", "correct horse").await, Ok(Login::Open(_))));
    assert!(matches!(users::login(app, "nobody", "correct horse").await, Ok(Login::Wrong)));
    for _ in 0..app.config.limits.login_failures {
        assert!(matches!(users::login(app, "ada", "wrong").await, Ok(Login::Wrong)));
    }
    assert!(matches!(users::login(app, "ada", "correct horse").await, Ok(Login::Locked(_))));
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
