//! Claims about signing from the first event to the evidence: real HTTP, real database, real files.

use std::time::Duration;

use platen_capture::worker::Pool;
use platen_model::event::{Actor, Status};
use platen_model::keys::SigningKey;
use platen_model::{DeviceId, Digest, DocumentId, PageRecord, PageText, Part, PartRole, TenantId};
use tokio::sync::watch;

use super::sandbox::{CallbackBody, SIGNATURE_HEADER};
use super::trial::{one_page_pdf, pdfsig};
use crate::app::App;
use crate::auth::users::hash_password;
use crate::config::Config;
use crate::evidence::{self, DeviceSignature};
use crate::store::record::Record;
use crate::store::{documents, events, people};
use crate::testing;

/// How long anything here may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cloud at work on a port of its own.
struct Cloud {
    app: App,
    url: String,
    http: reqwest::Client,
    tenant: TenantId,
    stop: watch::Sender<bool>,
    folder: tempfile::TempDir,
    _base: testing::Base,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// A cloud whose every document goes to this provider and signer.
async fn cloud(provider: &str, signer: &str, minimum_confidence: f32) -> Cloud {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let base = testing::database(folder.path());
    let routing = format!(
        "version = \"test\"\n[validation]\nminimum_confidence = {minimum_confidence}\n\
         [[route]]\nname = \"all\"\nwhen = 'true'\nprovider = \"{provider}\"\nsigners = [\"{signer}\"]\n"
    );
    std::fs::write(path("routing.toml"), routing).expect("write");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let config = Config {
        public_url: url.clone(),
        database: base.address.clone(),
        blobs: format!("file:{}", path("blobs").display()),
        keys: path("keys"),
        mail: path("mail"),
        routing: Some(path("routing.toml")),
        ..Config::default()
    };
    let app = App::open_with(config, Pool::in_process(2)).await.expect("it opens");
    let tenant = testing::tenant();
    people::add_tenant(&app.store, &tenant).await.expect("a tenant");
    let password = hash_password("correct horse").expect("a hash");
    people::put_user(&app.store, &tenant, "ada", "admin", &password).await.expect("a user");
    let service =
        crate::http::router(app.clone()).into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(crate::jobs::run(app.clone(), stopped));
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    Cloud { app, url, http: http.expect("a client"), tenant, stop, folder, _base: base }
}

impl Cloud {
    /// Receives a document as a device would have sent it.
    async fn receive(&self) -> DocumentId {
        let page = PageRecord { width_px: 1654, height_px: 2339, dpi: 200, ..PageRecord::default() };
        let text = serde_json::to_vec(&PageText::new(vec![page])).expect("plain data");
        let mut parts = Vec::new();
        for (role, bytes, mime) in [
            (PartRole::Original, b"II*\0scan".to_vec(), "image/tiff"),
            (PartRole::Normalized, one_page_pdf(), "application/pdf"),
            (PartRole::PageText, text, "application/json"),
        ] {
            let length = bytes.len() as u64;
            let sha256 = self.app.keep.put(&self.tenant, bytes, mime).await.expect("kept");
            let file_name = (role == PartRole::Original).then(|| "nda.tif".to_owned());
            parts.push(Part {
                role,
                sha256,
                bytes: length,
                mime: mime.into(),
                file_name,
                copy_of_signed: false,
            });
        }
        let device_id = DeviceId::new();
        let manifest = testing::manifest(device_id, testing::decision("nda", &[("party", "ACME")]), parts);
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        let key = SigningKey::generate().expect("randomness");
        let signature = key.sign(&bytes);
        let sha256 =
            self.app.keep.put(&self.tenant, bytes, "application/json").await.expect("the manifest is kept");
        let mut write = self.app.store.begin().await.expect("a transaction");
        events::receive(&mut write, &self.tenant, &manifest, sha256, Vec::new(), Actor::System)
            .await
            .expect("received");
        let signature = DeviceSignature { device_id, public_key: key.public(), signature };
        evidence::signature::keep(&mut *write, &self.tenant, manifest.document_id, &signature)
            .await
            .expect("the signature is kept");
        write.commit().await.expect("committed");
        self.app.wake.notify_one();
        manifest.document_id
    }

    async fn record(&self, document: DocumentId) -> Record {
        let found = documents::find(self.app.store.reading(), &self.tenant, document).await;
        found.expect("no failure of ours").expect("the document is there")
    }

    /// Looks until the document is in this state.
    async fn until(&self, document: DocumentId, status: Status) -> Record {
        let started = std::time::Instant::now();
        loop {
            let record = self.record(document).await;
            if record.document.status == status {
                return record;
            }
            let now = record.document.status;
            assert!(started.elapsed() < PATIENCE, "still {now}, not {status}: {:?}", record.trouble);
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn names_of_events(&self, document: DocumentId) -> Vec<String> {
        let chain = events::of_document(&self.app.store, &self.tenant, document).await.expect("a chain");
        let name = |event: &events::Stored| {
            let event: platen_model::event::Event = serde_json::from_str(&event.bytes).expect("an event");
            event.body.name().to_owned()
        };
        chain.iter().map(name).collect()
    }

    async fn check_evidence(&self, record: &Record) {
        let sha256 = record.evidence_sha256.expect("archived with evidence");
        let package = self.app.keep.get(&self.tenant, sha256).await.expect("the evidence is kept");
        assert_eq!(Digest::of(&package), sha256);
        let report = evidence::verify(std::io::Cursor::new(&package));
        assert!(report.holds(), "{report}");
        assert!(report.to_string().contains("signed the manifest"), "{report}");
    }
}

async fn check_sandbox(local_part: &str, end: Status) {
    let cloud = cloud("sandbox", &format!("{local_part}@example.com"), 0.5).await;
    let document = cloud.receive().await;
    let record = cloud.until(document, end).await;
    let names = cloud.names_of_events(document).await;
    let count = |name: &str| names.iter().filter(|known| *known == name).count();
    assert_eq!(count("envelope_created"), 1, "{local_part}: {names:?}");
    assert_eq!(count("sent"), 1, "{local_part}: {names:?}");
    assert!(count("viewed") <= 1 && count("signed") <= 1, "{local_part}: {names:?}");
    if end == Status::Archived {
        cloud.check_evidence(&record).await;
        let signed = record.signed_sha256.expect("a signed PDF");
        let signed = cloud.app.keep.get(&cloud.tenant, signed).await.expect("it is kept");
        let said = pdfsig(&signed);
        assert!(said.contains("Signature is Valid") && said.contains("Sandbox of default"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sandbox_address_reaches_its_end_through_the_whole_cloud() {
    tokio::join!(
        check_sandbox("signs", Status::Archived),
        check_sandbox("twice", Status::Archived),
        check_sandbox("silent", Status::Archived),
        check_sandbox("slow", Status::Archived),
        check_sandbox("declines", Status::Declined),
        check_sandbox("expires", Status::Expired),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_signed_at_the_desk_over_http_and_pressing_twice_is_once() {
    let cloud = cloud("desk", "ada@example.com", 0.5).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    let letter = std::fs::read_dir(cloud.folder.path().join("mail")).expect("mail").next().expect("a letter");
    let letter = std::fs::read_to_string(letter.expect("an entry").path()).expect("text");
    let link = letter.split_whitespace().find(|word| word.contains("/sign/")).expect("a link").to_owned();
    let page = cloud.http.get(&link).send().await.expect("an answer").text().await.expect("text");
    assert!(page.contains("nda.tif") && page.contains("pages/1.png"), "{page}");
    let picture = cloud.http.get(format!("{link}/pages/1.png")).send().await.expect("an answer");
    assert!(picture.bytes().await.expect("bytes").starts_with(b"\x89PNG"));
    cloud.until(document, Status::Viewed).await;

    let without_consent = cloud.http.post(&link).form(&[("name", "Ada L.")]).send().await;
    assert_eq!(without_consent.expect("an answer").status(), 422);
    let form = [("name", "Ada L."), ("consent", "yes")];
    let press = || cloud.http.post(&link).form(&form).send();
    let (one, two) = tokio::join!(press(), press());
    assert_eq!(
        (one.expect("an answer").status(), two.expect("an answer").status()),
        (303.try_into().expect("a status"), 303.try_into().expect("a status"))
    );

    let record = cloud.until(document, Status::Archived).await;
    cloud.check_evidence(&record).await;
    let signed = cloud.http.get(format!("{link}/document.pdf")).send().await.expect("an answer");
    let signed = signed.bytes().await.expect("bytes");
    assert_eq!(Some(Digest::of(&signed)), record.signed_sha256);
    let said = pdfsig(&signed);
    assert_eq!(said.matches("Signature is Valid").count(), 1, "{said}");
    let end = cloud.http.get(&link).send().await.expect("an answer").text().await.expect("text");
    assert!(end.contains("Signed") && end.contains("document.pdf"), "{end}");
    let stranger = cloud.http.get(format!("{}/sign/{}", cloud.url, "A".repeat(43))).send().await;
    assert_eq!(stranger.expect("an answer").status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_is_forged_is_refused_and_one_that_is_repeated_changes_nothing() {
    let cloud = cloud("sandbox", "silent@example.com", 0.5).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    let url = format!("{}/v1/webhooks/signature-events/sandbox/{}", cloud.url, cloud.tenant);
    let body =
        CallbackBody { id: "evt".into(), kind: "envelope.completed".into(), reference: "sbx_none".into() };
    let made = cloud.app.signing.sandbox.callback(&cloud.tenant, &body, jiff::Timestamp::now());
    let (signature, bytes) = made.expect("a callback");
    let send = async |url: &str, signature: &str, bytes: &[u8]| {
        let request = cloud.http.post(url).header(SIGNATURE_HEADER, signature).body(bytes.to_vec());
        request.send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(send(&url, &signature, b"{}").await, 401);
    assert_eq!(send(&url, "t=1,v1=00", &bytes).await, 401);
    assert_eq!(send(&url.replace("/default", "/nobody"), &signature, &bytes).await, 404);
    assert_eq!(send(&url.replace("/sandbox/", "/nobody/"), &signature, &bytes).await, 404);
    assert_eq!(send(&url.replace("/sandbox/", "/desk/"), &signature, &bytes).await, 401);
    for _ in 0..3 {
        assert_eq!(send(&url, &signature, &bytes).await, 200);
    }
    let (kept, repeats): (i64, i64) =
        sqlx::query_as("SELECT COUNT(*), CAST(SUM(repeats) AS BIGINT) FROM callbacks")
            .fetch_one(cloud.app.store.reading())
            .await
            .expect("a count");
    assert_eq!((kept, repeats), (1, 2));
    cloud.until(document, Status::Archived).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_need_a_login_and_a_review_needs_the_forms_token() {
    let cloud = cloud("sandbox", "signs@example.com", 0.99).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::InReview).await;
    let get = |path: &str, cookie: &str| {
        let request = cloud.http.get(format!("{}{path}", cloud.url)).header("cookie", cookie);
        async move { request.send().await.expect("an answer") }
    };
    let own = format!("/documents/{document}");
    for path in ["/documents", "/review", &own, &format!("{own}/pages/1.png")] {
        let answer = get(path, "").await;
        assert_eq!(answer.status(), 303, "{path}");
        let location = answer.headers()["location"].to_str().expect("text").to_owned();
        assert!(location.starts_with("/login"), "{path}: {location}");
    }
    let value = |page: &str, name: &str| {
        let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("a hidden field");
        rest.split('"').next().expect("a value").to_owned()
    };
    let cookie = |answer: &reqwest::Response| {
        let set = answer.headers()["set-cookie"].to_str().expect("text");
        set.split(';').next().expect("a pair").to_owned()
    };
    let login = get("/login", "").await;
    let login_cookie = cookie(&login);
    let csrf = value(&login.text().await.expect("text"), "csrf");
    let sign_in = |password: &str| {
        let form = [("csrf", csrf.clone()), ("username", "ada".into()), ("password", password.to_owned())];
        cloud.http.post(format!("{}/login", cloud.url)).header("cookie", &login_cookie).form(&form).send()
    };
    assert_eq!(sign_in("wrong").await.expect("an answer").status(), 401);
    let answer = sign_in("correct horse").await.expect("an answer");
    assert_eq!(answer.status(), 303);
    let session = cookie(&answer);

    let list = get("/documents", &session).await;
    assert!(list.headers().contains_key("content-security-policy"));
    let list = list.text().await.expect("text");
    assert!(list.contains("nda.tif") && list.contains("1 document needs review"), "{list}");
    let picture = get(&format!("{own}/pages/1.png"), &session).await;
    assert!(picture.bytes().await.expect("bytes").starts_with(b"\x89PNG"));
    let review = get("/review", &session).await.text().await.expect("text");
    let (csrf, version) = (value(&review, "csrf"), value(&review, "version"));
    let send = |csrf: &str, version: &str| {
        let form = [
            ("csrf", csrf),
            ("version", version),
            ("queue", "1"),
            ("action", "approve"),
            ("document_type", "nda"),
            ("field.party", "ACME Ltd"),
        ];
        let request = cloud.http.post(format!("{}{own}/review", cloud.url)).header("cookie", &session);
        request.form(&form).send()
    };
    assert_eq!(send("", &version).await.expect("an answer").status(), 403);
    assert_eq!(send(&csrf, "1").await.expect("an answer").status(), 412);
    let approved = send(&csrf, &version).await.expect("an answer");
    assert_eq!(approved.headers()["location"], "/review");
    let record = cloud.until(document, Status::Archived).await;
    assert_eq!(record.document.fields["party"].value, "ACME Ltd");
    let empty = get("/review", &session).await.text().await.expect("text");
    assert!(empty.contains("Nothing waits for review"), "{empty}");
}

testing::also_on_postgres!(
    every_sandbox_address_reaches_its_end_through_the_whole_cloud,
    a_document_is_signed_at_the_desk_over_http_and_pressing_twice_is_once,
    a_callback_that_is_forged_is_refused_and_one_that_is_repeated_changes_nothing,
    pages_need_a_login_and_a_review_needs_the_forms_token,
);
