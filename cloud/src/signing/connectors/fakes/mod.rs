//! Fakes of the providers for tests: real HTTP, a memory, and trouble on order.
//!
//! Each speaks its provider's API as the reference describes it. Where the provider publishes its interface as
//! OpenAPI, every request and every answer is held against that ([`super::published`]), so that neither the connector
//! nor the fake can invent anything.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::published::Published;
use super::{AccountConfig, Kind};
use crate::signing::secret::Secret;

mod documenso;
mod docuseal;
mod docusign;
mod dropbox_sign;
mod esignly;
mod foxit;

/// The token every fake wants.
pub(in crate::signing) const TOKEN: &str = "api_0123456789abcdef";
/// What callbacks are proved with.
pub(in crate::signing) const WEBHOOK_SECRET: &str = "whsec_bm90IGEgc2VjcmV0";
/// What looks like a secret in answers: it must never reach a record or the inbox.
pub(in crate::signing) const LINK: &str = "https://sign.example/s/LET-ME-SIGN";

/// What goes wrong with the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::signing) enum Trouble {
    /// None: the trouble is for a request after this one.
    None,
    /// It is done, and the answer is lost: 502.
    LosesAnswer,
    /// It is not done: 503.
    Out,
    /// It is not done: 429, come again in seven seconds.
    TooMany,
    /// It is not done: the token is refused.
    Unauthorized,
    /// It is not done, and never will be: 400.
    Refuses,
    /// It never arrives: a proxy knows no way to the provider, 404.
    NoWay,
    /// The same, by a proxy that says so in JSON.
    NoWayInJson,
}

/// Where an envelope is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::signing) enum Stage {
    Draft,
    Open,
    Completed,
    Declined,
    Expired,
    Voided(String),
}

/// A recipient at the provider.
#[derive(Clone, Debug, Default)]
pub(in crate::signing) struct Person {
    pub(in crate::signing) address: String,
    pub(in crate::signing) name: String,
    pub(in crate::signing) role: String,
    pub(in crate::signing) viewed: bool,
    pub(in crate::signing) signed: bool,
    pub(in crate::signing) declined: Option<String>,
}

impl Person {
    fn acts(&self) -> bool {
        !matches!(self.role.as_str(), "cc" | "CC")
    }
}

/// An envelope at the provider.
#[derive(Clone, Debug)]
pub(in crate::signing) struct Envelope {
    pub(in crate::signing) id: String,
    pub(in crate::signing) key: String,
    pub(in crate::signing) stage: Stage,
    pub(in crate::signing) people: Vec<Person>,
    /// What was asked for, as it came.
    pub(in crate::signing) order: Value,
    pub(in crate::signing) reminders: u32,
    /// How often its recipients were asked.
    pub(in crate::signing) sendings: u32,
    /// How often its state was asked for.
    pub(in crate::signing) looks: u32,
}

/// A provider's memory.
#[derive(Debug, Default)]
pub(in crate::signing) struct Site {
    envelopes: Mutex<Vec<Envelope>>,
    troubles: Mutex<VecDeque<Trouble>>,
    complaints: Mutex<Vec<String>>,
    /// What is served as the signed file, where it is not a plain page.
    returns: Mutex<Option<Vec<u8>>>,
    url: OnceLock<String>,
    published: Option<Published>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site {
    /// The only envelope there is.
    pub(in crate::signing) fn only(&self) -> Envelope {
        let all = lock(&self.envelopes);
        assert_eq!(all.len(), 1, "one envelope at the provider");
        all[0].clone()
    }

    pub(in crate::signing) fn count(&self) -> usize {
        lock(&self.envelopes).len()
    }

    pub(in crate::signing) fn get(&self, id: &str) -> Option<Envelope> {
        lock(&self.envelopes).iter().find(|envelope| envelope.id == id).cloned()
    }

    pub(in crate::signing) fn all(&self) -> Vec<Envelope> {
        lock(&self.envelopes).clone()
    }

    pub(in crate::signing) fn url(&self) -> &str {
        self.url.get().expect("set at the start")
    }

    /// Takes an envelope in; answers its number, from 1.
    fn add(&self, id: impl Fn(usize) -> String, mut envelope: Envelope) -> Envelope {
        let mut all = lock(&self.envelopes);
        envelope.id = id(all.len() + 1);
        envelope.sendings = u32::from(envelope.stage == Stage::Open);
        all.push(envelope.clone());
        envelope
    }

    /// Changes an envelope; `None` if there is none.
    fn change<T>(&self, id: &str, change: impl FnOnce(&mut Envelope) -> T) -> Option<T> {
        lock(&self.envelopes).iter_mut().find(|envelope| envelope.id == id).map(change)
    }

    /// Asks the recipients of a draft; `false` if it is none.
    fn send(&self, id: &str) -> Option<bool> {
        self.change(id, |envelope| {
            let was_draft = envelope.stage == Stage::Draft;
            if was_draft {
                envelope.stage = Stage::Open;
                envelope.sendings += 1;
            }
            was_draft
        })
    }

    /// Everything is deleted.
    pub(in crate::signing) fn forget(&self) {
        lock(&self.envelopes).clear();
    }

    /// A person opens the only envelope.
    pub(in crate::signing) fn view(&self, address: &str) {
        self.person(address, |person| person.viewed = true);
    }

    /// A person signs the only envelope.
    pub(in crate::signing) fn sign(&self, address: &str) {
        self.person(address, |person| person.signed = true);
        let mut all = lock(&self.envelopes);
        if all[0].people.iter().filter(|person| person.acts()).all(|person| person.signed) {
            all[0].stage = Stage::Completed;
        }
    }

    /// A person declines the only envelope.
    pub(in crate::signing) fn decline(&self, address: &str, reason: &str) {
        self.person(address, |person| person.declined = Some(reason.into()));
        lock(&self.envelopes)[0].stage = Stage::Declined;
    }

    /// The time of the only envelope is over.
    pub(in crate::signing) fn expire(&self) {
        lock(&self.envelopes)[0].stage = Stage::Expired;
    }

    fn person(&self, address: &str, change: impl FnOnce(&mut Person)) {
        let mut all = lock(&self.envelopes);
        assert_eq!(all[0].stage, Stage::Open, "nobody was asked yet");
        let person = all[0].people.iter_mut().find(|person| person.address == address);
        change(person.expect("a recipient"));
    }

    /// Serves these bytes as the signed file from now on.
    pub(in crate::signing) fn returns(&self, pdf: Vec<u8>) {
        *lock(&self.returns) = Some(pdf);
    }

    pub(in crate::signing) fn trouble(&self, trouble: Trouble) {
        lock(&self.troubles).push_back(trouble);
    }
}

/// A fake at work.
pub(in crate::signing) struct Fake {
    pub(in crate::signing) kind: Kind,
    pub(in crate::signing) site: Arc<Site>,
}

impl Drop for Fake {
    /// Whatever a test was about: nothing that went over the line may be against the published interface.
    fn drop(&mut self) {
        let complaints = lock(&self.site.complaints).clone();
        if !std::thread::panicking() {
            assert!(complaints.is_empty(), "against the published interface:\n{}", complaints.join("\n"));
        }
    }
}

impl Fake {
    /// Starts the fake of a provider on a port of its own.
    pub(in crate::signing) async fn start(kind: Kind) -> Self {
        let published = match kind {
            Kind::Docusign => Published::load("docusign.json", "/restapi"),
            Kind::Docuseal => Published::load("docuseal.json", ""),
            Kind::DropboxSign => Published::load("dropboxsign.yaml", ""),
            // Documenso publishes its interface from its own code only, Foxit and eSignly none.
            Kind::Documenso | Kind::Foxit | Kind::Esignly => None,
        };
        let site = Arc::new(Site { published, ..Site::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        site.url.set(url).expect("set once");
        let router = match kind {
            Kind::Documenso => documenso::router(),
            Kind::Docuseal => docuseal::router(),
            Kind::Docusign => docusign::router(),
            Kind::DropboxSign => dropbox_sign::router(),
            Kind::Foxit => foxit::router(),
            Kind::Esignly => esignly::router(),
        };
        let router =
            router.with_state(Arc::clone(&site)).layer(from_fn_with_state(Arc::clone(&site), watched));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { kind, site }
    }

    /// An account there. Its secrets are files in this folder.
    pub(in crate::signing) fn account(&self, folder: &Path) -> AccountConfig {
        let secret = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("write");
            Secret::File(path)
        };
        let is_docusign = self.kind == Kind::Docusign;
        AccountConfig {
            provider: self.kind,
            account: "main".into(),
            tenant: "office".parse().expect("a tenant"),
            url: Some(self.site.url().to_owned()),
            token: (!is_docusign).then(|| secret("token", TOKEN)),
            webhook_secrets: vec![secret("webhook", WEBHOOK_SECRET)],
            calls_a_minute: Some(100_000),
            client_id: Some("client-7".into()),
            user_id: is_docusign.then(|| "user-7".into()),
            account_id: is_docusign.then(|| docusign::ACCOUNT.into()),
            private_key: is_docusign.then(|| secret("key.pem", docusign::key_pem())),
            test_mode: true,
            signature_carrier: None,
        }
    }
}

/// Records and checks what comes and goes, and makes the trouble that was ordered.
async fn watched(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 64 << 20).await.expect("a body");
    let method = parts.method.clone();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let kind = parts.headers.get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    if let Some(published) = &site.published {
        let found = published.request(method.as_str(), &target, kind.as_deref(), &bytes).await;
        lock(&site.complaints).extend(found);
    }
    // Tokens are got without trouble: it is for the calls that follow.
    let is_token = parts.uri.path().contains("oauth");
    let trouble = if is_token { None } else { lock(&site.troubles).pop_front() };
    match trouble {
        Some(Trouble::Out) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(Trouble::TooMany) => {
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "slow down").into_response();
        }
        Some(Trouble::Unauthorized) => return (StatusCode::UNAUTHORIZED, "who are you?").into_response(),
        Some(Trouble::Refuses) => return (StatusCode::BAD_REQUEST, "not this one").into_response(),
        Some(Trouble::NoWay) => return (StatusCode::NOT_FOUND, "404 page not found").into_response(),
        Some(Trouble::NoWayInJson) => {
            let body = r#"{"message":"no Route matched with those values"}"#;
            return (StatusCode::NOT_FOUND, body).into_response();
        }
        Some(Trouble::LosesAnswer | Trouble::None) | None => {}
    }
    let answer = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if trouble == Some(Trouble::LosesAnswer) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let (head, body) = answer.into_parts();
    let bytes: Bytes = to_bytes(body, 64 << 20).await.expect("a body");
    if let Some(published) = &site.published {
        let found = published.answer(method.as_str(), &target, head.status.as_u16(), &bytes);
        lock(&site.complaints).extend(found);
    }
    Response::from_parts(head, Body::from(bytes))
}

/// A signed file.
fn pdf(site: &Site) -> Response {
    let ordered = lock(&site.returns).clone();
    let bytes = ordered.unwrap_or_else(crate::signing::trial::one_page_pdf);
    ([("content-type", "application/pdf")], bytes).into_response()
}

/// The fields of a `multipart/form-data` body.
async fn form(headers: &axum::http::HeaderMap, body: Bytes) -> Vec<(String, Vec<u8>)> {
    let kind = headers["content-type"].to_str().expect("a type");
    super::published::form(kind, &body).await.expect("a form")
}
