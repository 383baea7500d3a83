//! A whole cloud at work on a port of its own, for claims about signing: real HTTP, real database, real files.

use std::time::Duration;

use platen_capture::worker::Pool;
use platen_model::event::{Actor, Status};
use platen_model::keys::SigningKey;
use platen_model::{DeviceId, Digest, DocumentId, PageRecord, PageText, Part, PartRole, TenantId};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::trial::one_page_pdf;
use crate::app::App;
use crate::auth::users::hash_password;
use crate::checkpoints;
use crate::checkpoints::proofs::InclusionProof;
use crate::config::Config;
use crate::evidence::{self, DeviceSignature};
use crate::store::record::Record;
use crate::store::{documents, envelopes, events, people};
use crate::testing;

/// How long anything here may take before the test gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A cloud at work on a port of its own.
pub(super) struct Cloud {
    pub(super) app: App,
    pub(super) url: String,
    pub(super) http: reqwest::Client,
    pub(super) tenant: TenantId,
    pub(super) stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    pub(super) folder: tempfile::TempDir,
    _base: testing::Base,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

/// A cloud whose every document goes to this provider and signer.
pub(super) async fn cloud(provider: &str, signer: &str, minimum_confidence: f32) -> Cloud {
    let routing = format!(
        "version = \"test\"\n[validation]\nminimum_confidence = {minimum_confidence}\n\
         [[route]]\nname = \"all\"\nwhen = 'true'\nprovider = \"{provider}\"\nsigners = [\"{signer}\"]\n"
    );
    cloud_with(&routing, |_| {}).await
}

/// A cloud with this routing policy, and a configuration that is changed before it starts.
pub(super) async fn cloud_with(routing: &str, change: impl FnOnce(&mut Config)) -> Cloud {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let base = testing::database(folder.path());
    std::fs::write(path("routing.toml"), routing).expect("write");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let mut config = Config {
        public_url: url.clone(),
        database: base.address.clone(),
        blobs: format!("file:{}", path("blobs").display()),
        keys: path("keys"),
        mail: path("mail"),
        routing: Some(path("routing.toml")),
        ..Config::default()
    };
    change(&mut config);
    let app = App::open_with(config, Pool::in_process(2)).await.expect("it opens");
    let tenant = testing::tenant();
    people::add_tenant(&app.store, &tenant).await.expect("a tenant");
    let password = hash_password("correct horse").expect("a hash");
    people::put_user(&app.store, &tenant, "ada", "admin", &password).await.expect("a user");
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let (stop, stopped) = watch::channel(false);
    let mut cloud = Cloud {
        app,
        url,
        http: http.expect("a client"),
        tenant,
        stop,
        tasks: Vec::new(),
        folder,
        _base: base,
    };
    cloud.go_to_work(listener, stopped);
    cloud
}

impl Cloud {
    fn go_to_work(&mut self, listener: tokio::net::TcpListener, stopped: watch::Receiver<bool>) {
        let service = crate::http::router(self.app.clone())
            .into_make_service_with_connect_info::<std::net::SocketAddr>();
        self.tasks = vec![
            tokio::spawn(async move { axum::serve(listener, service).await.expect("it serves") }),
            tokio::spawn(crate::jobs::run(self.app.clone(), stopped)),
        ];
    }

    /// Ends the process, as far as a process can end within one, and starts it anew on the same disk and address.
    pub(super) async fn restart(&mut self) {
        let _ = self.stop.send(true);
        for task in self.tasks.drain(..).rev() {
            task.abort();
            let _ = task.await;
        }
        let config = self.app.config.clone();
        let address = self.url.trim_start_matches("http://").to_owned();
        self.app = App::open_with(config, Pool::in_process(2)).await.expect("it opens again");
        let (stop, stopped) = watch::channel(false);
        self.stop = stop;
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_reuseaddr(true).expect("set");
        socket.bind(address.parse().expect("an address")).expect("the address is free again");
        self.go_to_work(socket.listen(64).expect("it listens"), stopped);
    }

    /// Ends the work on jobs; requests are answered as before.
    pub(super) async fn rest(&mut self) {
        let _ = self.stop.send(true);
        let jobs = self.tasks.pop().expect("it is at work");
        jobs.await.expect("it ends");
    }

    /// Signs Ada, the administrator, in; answers her cookie.
    pub(super) async fn signed_in(&self) -> String {
        let login = self.http.get(format!("{}/login", self.url)).send().await.expect("an answer");
        let cookie = cookie(&login);
        let csrf = hidden(&login.text().await.expect("text"), "csrf");
        let form = [("csrf", csrf.as_str()), ("username", "ada"), ("password", "correct horse")];
        let answer = self.http.post(format!("{}/login", self.url)).header("cookie", cookie).form(&form);
        let answer = answer.send().await.expect("an answer");
        assert_eq!(answer.status(), 303);
        self::cookie(&answer)
    }

    /// What Ada, at work on the site's API, is answered: the status and the body.
    pub(super) async fn operate(&self, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        self.operate_with(&[], method, path, body).await
    }

    /// The same, with these headers.
    pub(super) async fn operate_with(
        &self,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let cookie = self.signed_in().await;
        let url = format!("{}{path}", self.url);
        let list = self.http.get(format!("{}/documents", self.url)).header("cookie", &cookie).send().await;
        let csrf = hidden(&list.expect("an answer").text().await.expect("text"), "csrf");
        let request = self.http.request(method, url).header("cookie", cookie).header("x-csrf-token", csrf);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// All envelopes a document had: status and first address, oldest first.
    pub(super) async fn envelopes(&self, document: DocumentId) -> Vec<(String, String)> {
        let all = envelopes::of_document(&self.app.store, &self.tenant, document).await.expect("readable");
        all.into_iter().map(|envelope| (envelope.status, envelope.recipients[0].address.clone())).collect()
    }

    /// How often an event happened to a document.
    pub(super) async fn count(&self, document: DocumentId, event: &str) -> usize {
        self.names_of_events(document).await.iter().filter(|name| *name == event).count()
    }

    /// Looks until something is so.
    pub(super) async fn until_so(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let started = std::time::Instant::now();
        while !is_so().await {
            assert!(started.elapsed() < PATIENCE, "{what}: it never was so");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// The links in the mails that went out to an address, in no order.
    pub(super) fn links_to(&self, address: &str) -> Vec<String> {
        let Ok(letters) = std::fs::read_dir(self.folder.path().join("mail")) else { return Vec::new() };
        let letters =
            letters.map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("text"));
        let to = format!("To: {address}\r\n");
        let link = |letter: String| {
            let link = letter.split_whitespace().find(|word| word.contains("/sign/")).map(str::to_owned);
            link.filter(|_| letter.contains(&to))
        };
        letters.filter_map(link).collect()
    }

    /// A page as Ada sees it.
    pub(super) async fn page(&self, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.url)).header("cookie", self.signed_in().await);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.expect("text")
    }

    /// Receives a document as a device would have sent it.
    pub(super) async fn receive(&self) -> DocumentId {
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

    pub(super) async fn record(&self, document: DocumentId) -> Record {
        let found = documents::find(self.app.store.reading(), &self.tenant, document).await;
        found.expect("no failure of ours").expect("the document is there")
    }

    /// Looks until the document is in this state.
    pub(super) async fn until(&self, document: DocumentId, status: Status) -> Record {
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

    pub(super) async fn names_of_events(&self, document: DocumentId) -> Vec<String> {
        let chain = events::of_document(&self.app.store, &self.tenant, document).await.expect("a chain");
        let name = |event: &events::Stored| {
            let event: platen_model::event::Event = serde_json::from_str(&event.bytes).expect("an event");
            event.body.name().to_owned()
        };
        chain.iter().map(name).collect()
    }

    pub(super) async fn check_evidence(&self, record: &Record) {
        let sha256 = record.evidence_sha256.expect("archived with evidence");
        let package = self.app.keep.get(&self.tenant, sha256).await.expect("the evidence is kept");
        assert_eq!(Digest::of(&package), sha256);
        let made = checkpoints::make(&self.app.store, &self.tenant, &self.app.checkpoint_key).await;
        made.expect("a checkpoint");
        let document = record.document.document_id;
        let proof = checkpoints::proofs::prove(&self.app.store, &self.tenant, document, None).await;
        let proof = proof.expect("a proof").expect("it is covered");
        let check = |proof: &InclusionProof| {
            evidence::verify_with(std::io::Cursor::new(&package), Some(proof), &Pool::in_process(1))
        };
        let report = check(&proof);
        assert!(report.holds(), "{report}");
        for said in ["signed the manifest", "the checkpoint covers"] {
            assert!(report.to_string().contains(said), "{report}");
        }
        let another = InclusionProof { sequence: proof.sequence - 1, ..proof.clone() };
        assert!(!check(&another).holds(), "the proof of another event");
        let cut = InclusionProof { continued: Vec::new(), ..proof };
        assert!(!check(&cut).holds(), "what leads from the package to the checkpoint is missing");
    }
}

/// The cookie an answer sets.
pub(crate) fn cookie(answer: &reqwest::Response) -> String {
    let set = answer.headers()["set-cookie"].to_str().expect("text");
    set.split(';').next().expect("a pair").to_owned()
}

/// The value of a hidden field.
pub(crate) fn hidden(page: &str, name: &str) -> String {
    let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("a hidden field");
    rest.split('"').next().expect("a value").to_owned()
}
