//! The cloud under load, on this machine, on both databases: how many documents are committed in a second, how long one
//! takes, and whether lists and searches stay as quick when there are a thousand times as many documents.
//!
//! ```sh
//! cargo bench -p platen-cloud --bench load -- [--quick] [--only commits|lists] [--on SQLite|PostgreSQL]
//!     [--write docs/benchmarks.md]
//! ```
//!
//! The server's own router answers over a loopback port, with its jobs at work beside it; the clients are in the same
//! process, so that both share the machine's processors. Rows for the lists are made by the store's own functions, up to ten
//! thousand; more are copies of those under other ids, made inside the database. The first thousand are never copied: what
//! few documents have stays as rare as it is.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_capture::worker::Pool;
use platen_cloud::app::App;
use platen_cloud::auth::{Scope, Scopes};
use platen_cloud::config::{Config, Limits};
use platen_cloud::store::tokens::{self, TokenRow};
use platen_cloud::store::{Engine, documents, events, now_ms, people, search};
use platen_cloud::{http, jobs};
use platen_model::api::{EnrollRequest, EnrollResponse, Token};
use platen_model::event::{Actor, EventBody, Status};
use platen_model::keys::{Claims, SigningKey};
use platen_model::{
    CaptureId, CorrelationId, Decision, DeviceId, Digest, DocumentId, DocumentManifest, DocumentType, Field,
    PageRecord, PageText, Part, PartRole, PolicyRef, Rect, TenantId, Verdict, Word,
};
use platen_tests::bench::report::{Report, figure};
use platen_tests::random::Sequence;
use platen_tests::servers::Postgres;
use reqwest::Client;
use tokio::sync::{Semaphore, watch};

/// Documents under way at once.
const AT_ONCE: usize = 16;
/// Documents that are made by the store's own functions; more are copies of those.
const MADE_ONE_BY_ONE: u64 = 10_000;
/// The first documents, which are not copied.
const SINGULAR: u64 = 1_000;
/// Copies that are made of a document at once.
const COPIES: u64 = 10;
/// Requests of each kind whose time is taken.
const ASKED: usize = 200;
/// Documents made in one transaction.
const BATCH: u64 = 500;
/// Longest time documents may take to come to rest.
const REST: Duration = Duration::from_secs(1_200);
/// Where the tables stand in the document.
const BEGIN: &str = "<!-- cloud: made by `cargo bench -p platen-cloud`, do not edit -->";
const END: &str = "<!-- end of cloud -->";

type Outcome<T> = Result<T, String>;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let after = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1).cloned();
    let only = after("--only");
    let on = after("--on");
    let engines: Vec<(&str, bool)> = [("SQLite", false), ("PostgreSQL", true)]
        .into_iter()
        .filter(|(name, _)| on.as_deref().is_none_or(|on| on == *name))
        .collect();
    let runtime = tokio::runtime::Runtime::new().map_err(text)?;
    let mut report = Report::default();
    let _ = rustls::crypto::ring::default_provider().install_default();
    if only.as_deref() != Some("lists") {
        runtime.block_on(commits(quick, &engines, &mut report))?;
    }
    if only.as_deref() != Some("commits") {
        runtime.block_on(lists(quick, &engines, &mut report))?;
    }
    match after("--write") {
        Some(document) => report.write_between(Path::new(&document), BEGIN, END),
        None => Ok(()),
    }
}

/// A server with its database, over a folder of its own.
struct Site {
    app: App,
    url: String,
    client: Client,
    stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
    _database: Option<Postgres>,
}

impl Site {
    async fn start(on_postgres: bool) -> Outcome<Self> {
        let folder = tempfile::tempdir().map_err(text)?;
        let at = |name: &str| folder.path().join(name);
        let database = on_postgres.then(Postgres::start_durable);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
        let url = format!("http://{}", listener.local_addr().map_err(text)?);
        let address = match &database {
            Some(server) => server.url(),
            None => format!("sqlite:{}", at("cloud.db").display()),
        };
        let config = Config {
            public_url: url.clone(),
            database: address,
            blobs: format!("file:{}", at("blobs").display()),
            scratch: at("scratch"),
            keys: at("keys"),
            mail: at("mail"),
            limits: Limits { documents_per_minute: u32::MAX, ..Limits::default() },
            ..Config::default()
        };
        let app = App::open_with(config, Pool::in_process(1)).await?;
        people::add_tenant(&app.store, &tenant()).await.map_err(text)?;
        let router = http::router(app.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let (stop, _) = watch::channel(false);
        Ok(Self { app, url, client: Client::new(), stop, _folder: folder, _database: database })
    }

    async fn enrol(&self) -> Outcome<Device> {
        let code = DeviceId::new().to_string();
        let digest = Digest::of(code.as_bytes());
        people::add_code(&self.app.store, &tenant(), "load", digest, now_ms() + 60_000)
            .await
            .map_err(text)?;
        let key = SigningKey::generate().map_err(text)?;
        let request = EnrollRequest { code, public_key: key.public(), name: "load".into() };
        let answer = self.client.post(format!("{}/v1/devices/enroll", self.url)).json(&request).send().await;
        let identity: EnrollResponse = answer.map_err(text)?.json().await.map_err(text)?;
        let (sub, iat) = (identity.device_id.to_string(), now_ms() / 1000);
        let (iss, aud) = (sub.clone(), format!("{}/oauth/token", self.url));
        let claims = Claims { iss, sub, aud, iat, exp: iat + 60, jti: DeviceId::new().to_string() };
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &key.jwt(&claims)),
        ];
        let answer = self.client.post(format!("{}/oauth/token", self.url)).form(&form).send().await;
        let token: Token = answer.map_err(text)?.json().await.map_err(text)?;
        Ok(Device { id: identity.device_id, key, token: token.access_token })
    }
}

struct Device {
    id: DeviceId,
    key: SigningKey,
    token: String,
}

fn tenant() -> TenantId {
    "default".parse().expect("a name")
}

// ---- documents a second

/// What sending documents came to.
struct Sent {
    errors: usize,
    seconds: f64,
    to_rest_seconds: f64,
    commit_ms: Vec<f64>,
    whole_ms: Vec<f64>,
}

async fn commits(quick: bool, engines: &[(&str, bool)], report: &mut Report) -> Outcome<()> {
    report.section("The cloud: documents committed");
    let count = if quick { 200 } else { 2_000 };
    report.paragraph(&format!(
        "{count} documents of three parts (20 KB original, 20 KB PDF, page text), each part an upload of its own and then \
         the signed manifest, {AT_ONCE} under way at once; jobs at work beside them until every document is archived with \
         its evidence. SQLite and PostgreSQL commit to stable storage; blobs are files, fsynced. Clients and server share \
         {} processors.",
        std::thread::available_parallelism().map_or(0, usize::from)
    ));
    let mut table = Vec::new();
    for &(name, on_postgres) in engines {
        let sent = send(on_postgres, count).await?;
        let documents = sent.commit_ms.len() as f64;
        table.push(vec![
            name.to_owned(),
            figure(Some(documents / sent.seconds), 1),
            figure(Some(at(&sent.commit_ms, 0.5)), 1),
            figure(Some(at(&sent.commit_ms, 0.99)), 1),
            figure(Some(at(&sent.whole_ms, 0.5)), 1),
            figure(Some(at(&sent.whole_ms, 0.99)), 1),
            figure(Some(documents / sent.to_rest_seconds), 1),
            sent.errors.to_string(),
        ]);
    }
    let head = [
        "",
        "documents / s",
        "commit p50 ms",
        "commit p99 ms",
        "with uploads p50 ms",
        "with uploads p99 ms",
        "archived / s",
        "errors",
    ];
    report.table(&head, &table);
    Ok(())
}

async fn send(on_postgres: bool, count: usize) -> Outcome<Sent> {
    let site = Arc::new(Site::start(on_postgres).await?);
    let device = Arc::new(site.enrol().await?);
    tokio::spawn(jobs::run(site.app.clone(), site.stop.subscribe()));
    let hands = Arc::new(Semaphore::new(AT_ONCE));
    let started = Instant::now();
    let mut under_way = tokio::task::JoinSet::new();
    for number in 0..count {
        let hand = Arc::clone(&hands).acquire_owned().await.map_err(text)?;
        let (site, device) = (Arc::clone(&site), Arc::clone(&device));
        under_way.spawn(async move {
            let outcome = one(&site, &device, number as u64).await;
            drop(hand);
            outcome
        });
    }
    let (mut commit_ms, mut whole_ms, mut errors) = (Vec::new(), Vec::new(), 0);
    while let Some(outcome) = under_way.join_next().await {
        match outcome.map_err(text)? {
            Ok((commit, whole)) => {
                commit_ms.push(commit);
                whole_ms.push(whole);
            }
            Err(error) => {
                eprintln!("{error}");
                errors += 1;
            }
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let limit = Instant::now() + REST;
    while documents::count(&site.app.store, &tenant(), Status::Archived).await.map_err(text)?
        < commit_ms.len() as u64
    {
        if Instant::now() > limit {
            return Err("the documents do not come to rest".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let to_rest_seconds = started.elapsed().as_secs_f64();
    let _ = site.stop.send(true);
    Ok(Sent { errors, seconds, to_rest_seconds, commit_ms, whole_ms })
}

/// Sends one document, and answers how long its commit took and all of it, in milliseconds.
async fn one(site: &Site, device: &Device, number: u64) -> Outcome<(f64, f64)> {
    let mut random = Sequence::new(number + 1);
    let mut noise = |length: usize| (0..length).map(|_| random.below(256) as u8).collect::<Vec<u8>>();
    let (tiff, pdf) =
        ([b"II*\0".to_vec(), noise(20_000)].concat(), [b"%PDF-1.7\n".to_vec(), noise(20_000)].concat());
    let page_text = serde_json::to_vec(&page_text(number)).map_err(text)?;
    let parts = [
        (PartRole::Original, tiff, "image/tiff"),
        (PartRole::Normalized, pdf, "application/pdf"),
        (PartRole::PageText, page_text, "application/json"),
    ];
    let started = Instant::now();
    for (_, bytes, mime) in &parts {
        let digest = STANDARD.encode(Digest::of(bytes).to_string());
        let request = site
            .client
            .post(format!("{}/v1/uploads", site.url))
            .bearer_auth(&device.token)
            .header("tus-resumable", "1.0.0")
            .header("upload-length", bytes.len())
            .header("upload-metadata", format!("sha256 {digest},mime {}", STANDARD.encode(mime)))
            .header("content-type", "application/offset+octet-stream");
        let answer = request.body(bytes.clone()).send().await.map_err(text)?;
        if answer.status().as_u16() != 201 {
            return Err(format!("an upload: {}", answer.status()));
        }
    }
    let named = parts.iter().map(|(role, bytes, mime)| part(*role, bytes, mime)).collect();
    let manifest = serde_json::to_vec(&manifest(device.id, number, named)).map_err(text)?;
    let signature = format!("{} {}", device.id, device.key.sign(&manifest));
    let request = site
        .client
        .post(format!("{}/v1/documents", site.url))
        .bearer_auth(&device.token)
        .header("content-type", "application/vnd.platen.manifest+json")
        .header("platen-signature", signature);
    let commit = Instant::now();
    let answer = request.body(manifest).send().await.map_err(text)?;
    let status = answer.status().as_u16();
    answer.bytes().await.map_err(text)?;
    if status != 202 {
        return Err(format!("a commit: {status}"));
    }
    Ok((commit.elapsed().as_secs_f64() * 1e3, started.elapsed().as_secs_f64() * 1e3))
}

// ---- lists

/// What is asked; `{middle}` is a document in the middle of the list, `{place}` its event's in the feed.
const QUESTIONS: [(&str, &str); 23] = [
    ("one document", "/v1/documents/{middle}"),
    ("list, newest", "/v1/documents?limit=50"),
    ("list, from the middle on", "/v1/documents?limit=50&after={middle}"),
    ("list, waiting for review", "/v1/documents?limit=50&status=in_review"),
    ("list, a state nothing is in", "/v1/documents?limit=50&status=voided"),
    ("list, invoices", "/v1/documents?limit=50&type=invoice"),
    ("list, a rare type", "/v1/documents?limit=50&type=rare"),
    ("list, rare and waiting", "/v1/documents?limit=50&type=rare&status=in_review"),
    ("search, everywhere", "/v1/documents?limit=50&q=everywhere"),
    ("search, everywhere, from the middle on", "/v1/documents?limit=50&q=everywhere&after={middle}"),
    ("search, a word of every sixteenth", "/v1/documents?limit=50&q=w50"),
    ("search, a word of every 150th", "/v1/documents?limit=50&q=w500"),
    ("search, two words of every sixteenth", "/v1/documents?limit=50&q=w50+w60"),
    ("search, once", "/v1/documents?limit=50&q=once"),
    ("search, everywhere and once", "/v1/documents?limit=50&q=everywhere+once"),
    ("search, nowhere", "/v1/documents?limit=50&q=nowhere"),
    ("search, two frequent words never together", "/v1/documents?limit=50&q=odd+even"),
    ("search, everywhere and waiting for review", "/v1/documents?limit=50&q=everywhere&status=in_review"),
    ("search, everywhere in a state nothing is in", "/v1/documents?limit=50&q=everywhere&status=voided"),
    ("search, every other one, and rare", "/v1/documents?limit=50&q=even&type=rare"),
    ("search, everywhere and invoices", "/v1/documents?limit=50&q=everywhere&type=invoice"),
    ("search, a phrase of a few", "/v1/documents?limit=50&q=%22fifty+of+them%22"),
    ("events, from the middle on", "/v1/events?limit=50&after={place}"),
];

async fn lists(quick: bool, engines: &[(&str, bool)], report: &mut Report) -> Outcome<()> {
    report.section("The cloud: lists and searches as documents grow");
    report.paragraph(&format!(
        "Milliseconds over HTTP, p50 / p99 of {ASKED} requests, one after the other, pages of 50. A third of the documents \
         are invoices, one in a hundred waits for review, twenty are of a rare type. \"Everywhere\" is a word of every \
         document, \"odd\" and \"even\" of every other, a phrase of thirty, \"once\" of one, \"nowhere\" of none; the rest are \
         spread by chance."
    ));
    let sizes: &[u64] = if quick { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
    for &(name, on_postgres) in engines {
        let site = Site::start(on_postgres).await?;
        let token = reader(&site).await?;
        let mut columns: Vec<Vec<String>> = Vec::new();
        let mut made = 0;
        for &size in sizes {
            let started = Instant::now();
            if size > MADE_ONE_BY_ONE {
                multiply(&site, made, size).await?;
            } else {
                fill(&site, made, size).await?;
            }
            settle(&site).await?;
            eprintln!("{name}: {} documents made in {:.0} s", size - made, started.elapsed().as_secs_f64());
            made = size;
            let (middle, place) = middle(&site).await?;
            let mut column = Vec::new();
            for (_, path) in QUESTIONS {
                let path = path.replace("{middle}", &middle).replace("{place}", &place.to_string());
                column.push(ask(&site, &token, &path).await?);
            }
            columns.push(column);
        }
        let row = |(row, (what, _)): (usize, &(&str, &str))| {
            let cells = columns.iter().map(|column| column[row].clone());
            std::iter::once((*what).to_owned()).chain(cells).collect()
        };
        let table: Vec<Vec<String>> = QUESTIONS.iter().enumerate().map(row).collect();
        let head: Vec<String> = std::iter::once(name.to_owned())
            .chain(sizes.iter().map(|size| format!("{size} documents")))
            .collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        report.table(&head, &table);
    }
    Ok(())
}

async fn reader(site: &Site) -> Outcome<String> {
    let token = DocumentId::new().to_string();
    let scopes: Scopes = [Scope::DocumentsRead].into_iter().collect();
    let row = TokenRow { tenant: tenant(), holder: token.clone(), scopes: scopes.to_string() };
    let digest = Digest::of(token.as_bytes());
    let mut write = site.app.store.begin().await.map_err(text)?;
    tokens::keep(&mut write, &row, digest, now_ms() + 24 * 3_600_000).await.map_err(text)?;
    write.commit().await.map_err(text)?;
    Ok(token)
}

/// Makes documents by the store's own functions, from this number up to that.
async fn fill(site: &Site, from: u64, to: u64) -> Outcome<()> {
    let (store, tenant, device) = (&site.app.store, tenant(), DeviceId::new());
    // One set of bytes for all: what lists read is rows.
    let empty = serde_json::to_vec(&PageText::new(Vec::new())).map_err(text)?;
    let parts = vec![part(PartRole::PageText, &empty, "application/json")];
    let sha256 = site.app.keep.put(&tenant, empty, "application/json").await.map_err(text)?;
    let numbers: Vec<u64> = (from..to).collect();
    for batch in numbers.chunks(BATCH as usize) {
        let mut write = store.begin().await.map_err(text)?;
        for &number in batch {
            let manifest = manifest(device, number, parts.clone());
            let document = manifest.document_id;
            events::receive(&mut write, &tenant, &manifest, sha256, Vec::new(), Actor::System)
                .await
                .map_err(text)?;
            search::update_text(&mut write, document, &search::Words::of(&words(number)))
                .await
                .map_err(text)?;
            if number % 100 == 0 || number < 20 {
                for body in waiting(&manifest) {
                    events::append(&mut write, &tenant, document, Actor::System, body).await.map_err(text)?;
                }
            } else if number % 3 != 2 {
                let body = waiting(&manifest).into_iter().take(2);
                for body in body {
                    events::append(&mut write, &tenant, document, Actor::System, body).await.map_err(text)?;
                }
            }
        }
        write.commit().await.map_err(text)?;
    }
    Ok(())
}

/// Copies documents under other ids, until there are so many.
async fn multiply(site: &Site, from: u64, to: u64) -> Outcome<()> {
    let store = &site.app.store;
    let run = async |sql: String| {
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(store.writing()).await.map(drop).map_err(text)
    };
    run("DROP TABLE IF EXISTS base".into()).await?;
    run(format!(
        "CREATE TABLE base AS SELECT document_id, place FROM search_places ORDER BY place
         LIMIT {} OFFSET {SINGULAR}",
        (to - from) / COPIES
    ))
    .await?;
    run("CREATE INDEX base_by_place ON base (place)".into()).await?;
    run("CREATE INDEX base_by_id ON base (document_id)".into()).await?;
    let last: i64 = sqlx::query_scalar("SELECT MAX(position) FROM events")
        .fetch_one(store.reading())
        .await
        .map_err(text)?;
    for copy in 1..=COPIES as i64 {
        // Another number for each copy, and for those of each call.
        let number = format!("b.place * 16 + {copy} + {}", from * 1_000);
        let end = store.engine().pick("printf('%012x', {number})", "lpad(to_hex({number}), 12, '0')");
        let id = format!("substr(b.document_id, 1, 24) || {}", end.replace("{number}", &number));
        run(format!(
            "INSERT INTO documents (document_id, tenant_id, status, document_type, file_name, version, created_ms,
               updated_ms, record, head)
             SELECT {id}, d.tenant_id, d.status, d.document_type, d.file_name, d.version, d.created_ms, d.updated_ms,
               replace(d.record, d.document_id, {id}), d.head FROM base b JOIN documents d ON d.document_id = b.document_id"
        ))
        .await?;
        run(format!(
            "INSERT INTO events (document_id, sequence, tenant_id, position, hash, bytes)
             SELECT {id}, e.sequence, e.tenant_id, e.position + {}, e.hash, e.bytes
             FROM base b JOIN events e ON e.document_id = b.document_id",
            copy * last
        ))
        .await?;
        run(format!(
            "INSERT INTO search_places (tenant_id, document_id) SELECT 'default', {id} FROM base b ORDER BY b.place"
        ))
        .await?;
        let place = store.engine().pick("rowid", "place");
        run(format!(
            "INSERT INTO search_words ({place}, tenant, names, words)
             SELECT p.place, s.tenant, s.names, s.words FROM base b JOIN search_words s ON s.{place} = b.place
             JOIN search_places p ON p.document_id = {id}"
        ))
        .await?;
    }
    Ok(())
}

/// What leads a document to a person.
fn waiting(manifest: &DocumentManifest) -> [EventBody; 3] {
    let page_text_sha256 = manifest.parts[0].sha256;
    [
        EventBody::OcrComplete { page_text_sha256, ocr_confidence: 0.9, page_count: 1 },
        EventBody::Classified { decision: manifest.decision.clone() },
        EventBody::ReviewRequested { reasons: vec!["a doubt".into()], violations: Vec::new(), policy: None },
    ]
}

/// The jobs that would carry the rows on are taken away, and the database learns what it holds as it does while a server
/// runs: by the server's chore on SQLite, by its own (autovacuum's, which is not waited for here) on PostgreSQL.
async fn settle(site: &Site) -> Outcome<()> {
    let store = &site.app.store;
    sqlx::query("DELETE FROM jobs").execute(store.writing()).await.map_err(text)?;
    match store.engine() {
        Engine::Sqlite => store.learn().await.map_err(text),
        Engine::Postgres => {
            sqlx::query("VACUUM ANALYZE").execute(store.writing()).await.map(drop).map_err(text)
        }
    }
}

/// A document in the middle of the list, and its event's place in the feed.
async fn middle(site: &Site) -> Outcome<(String, i64)> {
    let query =
        "SELECT document_id, position FROM events WHERE position = (SELECT MAX(position) / 2 FROM events)";
    sqlx::query_as(query).fetch_one(site.app.store.reading()).await.map_err(text)
}

/// Asks again and again, and answers p50 and p99 in milliseconds.
async fn ask(site: &Site, token: &str, path: &str) -> Outcome<String> {
    /// The first few fill caches.
    const WARM_UP: usize = 5;
    let mut times = Vec::new();
    let limit = Instant::now() + Duration::from_secs(60);
    for round in 0..ASKED + WARM_UP {
        let request = site.client.get(format!("{}{path}", site.url)).bearer_auth(token);
        let started = Instant::now();
        let answer = request.send().await.map_err(text)?;
        let status = answer.status();
        answer.bytes().await.map_err(text)?;
        if !status.is_success() {
            return Err(format!("{path}: {status}"));
        }
        if round >= WARM_UP {
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        if Instant::now() > limit {
            break;
        }
    }
    Ok(format!("{:.1} / {:.1}", at(&times, 0.5), at(&times, 0.99)))
}

// ---- documents

fn words(number: u64) -> String {
    let mut random = Sequence::new(number + 7);
    let mut words = String::from("everywhere dear sir or madam please find enclosed");
    for _ in 0..30 {
        // Some words are in many documents, most in few.
        let reach = 10u64.pow(1 + random.below(5) as u32);
        words.push_str(&format!(" w{}", random.below(reach)));
    }
    words.push_str(if number.is_multiple_of(2) { " even" } else { " odd" });
    if number == 500 {
        words.push_str(" once");
    }
    if number < 30 {
        words.push_str(" fifty of them");
    }
    words
}

fn page_text(number: u64) -> PageText {
    let words = words(number);
    let word = |(index, text): (u32, &str)| Word {
        text: text.to_owned(),
        confidence: 0.9,
        rect: Rect { x: 10, y: 20 * index, w: 60, h: 16 },
        line: index,
        block: 0,
    };
    let words: Vec<Word> = (0..).zip(words.split(' ')).map(word).collect();
    PageText::new(vec![PageRecord { words, width_px: 1_000, height_px: 1_400, ..PageRecord::default() }])
}

fn part(role: PartRole, bytes: &[u8], mime: &str) -> Part {
    let file_name = (role == PartRole::Original).then(|| "scan.tif".to_owned());
    let (sha256, length) = (Digest::of(bytes), bytes.len() as u64);
    Part { role, sha256, bytes: length, mime: mime.into(), file_name, copy_of_signed: false }
}

fn manifest(device: DeviceId, number: u64, parts: Vec<Part>) -> DocumentManifest {
    let capture_id = CaptureId::new();
    let kind = match number % 3 {
        _ if number < 20 => "rare",
        0 => "invoice",
        1 => "letter",
        _ => "contract",
    };
    let value = format!("RE-{number}");
    let field = Field { value: value.clone(), text: value, confidence: 0.9, page: 0, rect: None };
    DocumentManifest {
        version: 1,
        document_id: capture_id.document(0),
        capture_id,
        correlation_id: CorrelationId::of_capture(capture_id),
        device_id: Some(device),
        source: "front-desk".into(),
        department: Some("office".into()),
        claimed_at: jiff::Timestamp::now(),
        captured_at: jiff::Timestamp::now(),
        page_count: 1,
        ocr_confidence: 0.9,
        decision: Decision {
            document_type: DocumentType(kind.into()),
            confidence: 0.9,
            verdict: Verdict::Auto,
            reasons: Vec::new(),
            fields: [("number".to_owned(), field)].into(),
            line_items: Vec::new(),
            policy: PolicyRef { name: "load".into(), version: "1".into(), sha256: Digest::of(b"load") },
        },
        parts,
        labels: Default::default(),
        batch: None,
        rejoins: None,
    }
}

/// The time below which this part of all is.
fn at(times: &[f64], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = ((sorted.len() as f64 * part).ceil() as usize).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
