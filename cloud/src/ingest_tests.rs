//! Taking in what programs send: a file in one request, repetitions, duplicates, limits; and what becomes of it.

use platen_model::event::Actor;
use platen_model::{DeviceId, Digest, DocumentType, PageRecord, PageText, PartRole, Rect, Verdict, Word};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::auth::Scope;
use crate::auth::users::{self, Login};
use crate::config::Config;
use crate::contract_tests::token;
use crate::ingest::tus::landing;
use crate::journey_tests::{Server, header};
use crate::store::limits::{self, Own};
use crate::store::{Engine, events, people};
use crate::testing::{decision, manifest, part, tenant};
use crate::{integrity, jobs};

/// A receipt, as a telephone would send it.
const RECEIPT: &[u8] = include_bytes!("../../testdata/samples/receipt-colbert.jpg");
const LOCKED: &[u8] = include_bytes!("../../testdata/samples/letter-locked.pdf");

/// The line between the parts of a form.
const BOUNDARY: &str = "a-line-that-is-in-no-file";

/// A form: the name of each part, what its header says more, and its bytes.
fn form(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, more, bytes) in parts {
        let head = format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// A server and a program's token.
struct Site {
    server: Server,
    token: String,
}

impl Site {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let server = Server::start_with(change).await;
        let scopes = [Scope::DocumentsWrite, Scope::DocumentsRead, Scope::Review].into_iter().collect();
        let token = token(&server, "default", scopes).await;
        Self { server, token }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.server.client.request(method, format!("{}{path}", self.server.url)).bearer_auth(&self.token)
    }

    async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path).send().await.expect("an answer").json().await.expect("JSON")
    }

    fn sending(&self, file: &[u8], name: &str, metadata: Value) -> RequestBuilder {
        // The header lies on purpose: what a file is is seen by its bytes.
        let of_file = format!("; filename=\"{name}\"\r\ncontent-type: text/html");
        let json = "\r\ncontent-type: application/json";
        let metadata = metadata.to_string();
        self.posting(form(&[("metadata", json, metadata.as_bytes()), ("file", &of_file, file)]))
    }

    fn posting(&self, body: Vec<u8>) -> RequestBuilder {
        let mime = format!("multipart/form-data; boundary={BOUNDARY}");
        self.ask(Method::POST, "/v1/documents").header("content-type", mime).body(body)
    }

    async fn send(&self, file: &[u8], name: &str, metadata: Value) -> Response {
        self.sending(file, name, metadata).send().await.expect("an answer")
    }

    async fn count(&self) -> usize {
        self.get("/v1/documents").await["items"].as_array().expect("a list").len()
    }
}

async fn problem(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.expect("a problem"))
}

#[tokio::test]
async fn a_file_in_one_request_is_captured_classified_and_found_and_keeps_its_bytes() {
    let site = Site::start().await;
    let metadata = json!({ "source": "till", "department": "sales", "labels": { "shop": "7" } });
    let answer = site.send(RECEIPT, "C:\\scans\\bon.jpg", metadata).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let location = header(&answer, "location");
    let taken: Value = answer.json().await.expect("JSON");
    assert_eq!(taken["document"]["status"], "received");
    assert_eq!(taken["document"]["mime_type"], "image/jpeg", "by its bytes");
    assert_eq!(
        (&taken["document"]["file_name"], &taken["document"]["source"]),
        (&json!("bon.jpg"), &json!("till"))
    );

    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    let document = site.get(&location).await;
    assert_eq!(document["document_type"], "receipt", "{document}");
    assert!(document["page_count"] == 1 && document["ocr_confidence"].as_f64() > Some(0.5), "{document}");
    let found = site.get("/v1/documents?q=colbert").await;
    assert_eq!(found["items"][0]["document_id"], document["document_id"]);
    let original =
        site.ask(Method::GET, &format!("{location}/content/original")).send().await.expect("bytes");
    assert_eq!(original.bytes().await.expect("bytes"), RECEIPT);
    let pdf = site.ask(Method::GET, &format!("{location}/content/normalized")).send().await.expect("bytes");
    assert!(pdf.bytes().await.expect("bytes").starts_with(b"%PDF-"));
    let events = site.get(&format!("{location}/events")).await;
    let names: Vec<&str> = events["items"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    assert_eq!(names[..4], ["received", "captured", "ocr_complete", "classified"]);
    let app = &site.server.app;
    let checked = integrity::check(&app.store, &app.keep.blobs, None).await.expect("readable");
    assert!(checked.wrong.is_empty(), "{:?}", checked.wrong);
}

#[tokio::test]
async fn a_file_that_was_uploaded_in_pieces_is_taken_in_by_its_digest_as_one_that_is_sent() {
    let site = Site::start().await;
    let digest = Digest::of(RECEIPT).to_string();
    let name = |upload: &str, more: Value| {
        let mut body = json!({ "upload": upload, "file_name": "C:\\scans\\bon.jpg" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        site.ask(Method::POST, "/v1/documents").json(&body)
    };
    let (status, refused) = problem(name(&digest, json!({})).send().await.expect("an answer")).await;
    assert_eq!((status, &refused["errors"]["upload"]), (422, &json!("is not here")), "{refused}");

    site.server
        .app
        .keep
        .put(&tenant(), RECEIPT.to_vec(), "application/octet-stream")
        .await
        .expect("uploaded");
    let unsound = name(&digest, json!({ "metadata": { "colour": "blue" } }));
    assert_eq!(problem(unsound.send().await.expect("an answer")).await.0, 422);
    let metadata = json!({ "metadata": { "source": "till", "labels": { "shop": "7" } } });
    let key = "\"bon-1\"";
    let send = async || {
        let request = name(&digest, metadata.clone()).header("idempotency-key", key);
        request.send().await.expect("an answer")
    };
    let answer = send().await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let location = header(&answer, "location");
    let document = site.get(&location).await;
    assert_eq!(
        (&document["file_name"], &document["source"], &document["mime_type"]),
        (&json!("bon.jpg"), &json!("till"), &json!("image/jpeg")),
        "{document}"
    );
    let again = send().await;
    assert_eq!((again.status(), header(&again, "location")), (StatusCode::OK, location.clone()));
    assert_eq!(site.send(RECEIPT, "bon.jpg", json!({})).await.status(), StatusCode::OK, "the same bytes");
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    assert_eq!(site.get(&location).await["document_type"], "receipt");

    let text = b"no picture at all".to_vec();
    let unfit = Digest::of(&text).to_string();
    site.server.app.keep.put(&tenant(), text, "image/jpeg").await.expect("uploaded");
    let answer = name(&unfit, json!({})).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "it is looked at as one that is sent");
    let other = "elsewhere".parse().expect("a name");
    people::add_tenant(&site.server.app.store, &other).await.expect("a tenant");
    let theirs = b"%PDF-1.4 of another tenant".to_vec();
    let digest = Digest::of(&theirs).to_string();
    site.server.app.keep.put(&other, theirs, "application/pdf").await.expect("uploaded");
    let (status, refused) = problem(name(&digest, json!({})).send().await.expect("an answer")).await;
    assert_eq!((status, &refused["errors"]["upload"]), (422, &json!("is not here")), "INV-12: {refused}");
}

#[tokio::test]
async fn a_language_that_is_not_installed_is_refused_with_the_package_to_install() {
    let site = Site::start().await;
    let answer = site.send(RECEIPT, "bon.jpg", json!({ "languages": "eng+xyz" })).await;
    let (status, refused) = problem(answer).await;
    let complaint = refused["errors"]["metadata.languages"].as_str().unwrap_or_default();
    assert!(status == 422 && complaint.contains("tesseract-ocr-xyz"), "{refused}");
    assert_eq!(site.count().await, 0);
}

#[tokio::test]
async fn a_document_belongs_to_the_trace_of_who_sent_it_and_so_does_what_is_done_with_it() {
    let site = Site::start().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c";
    let sent = site.sending(RECEIPT, "bon.jpg", json!({}));
    let answer = sent.header("traceparent", format!("{trace}-b7ad6b7169203331-01")).send().await;
    let answer = answer.expect("an answer");
    let location = header(&answer, "location");
    let document = site.get(&location).await;
    let correlation = document["correlation_id"].as_str().expect("an id").to_owned();
    assert!(correlation.starts_with(trace), "{correlation}");
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(log.clone()).finish();
    let told = tracing::subscriber::set_default(subscriber);
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    drop(told);
    let text = log.text();
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("event=\"captured\"")).collect();
    assert!(lines.len() == 1 && lines[0].contains("job{"), "{text}");
    let span = lines[0].split("job{").nth(1).and_then(|rest| rest.split('}').next()).unwrap_or_default();
    assert!(span.contains(&correlation) && span.contains("capture"), "{span}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("not poisoned")).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> tracing_subscriber::fmt::MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_sender_may_name_the_type_and_the_receipt_names_what_was_sent() {
    let site = Site::start().await;
    let answer =
        site.send(RECEIPT, "bon.jpg", json!({ "document_type": "expense", "languages": "eng" })).await;
    let location = header(&answer, "location");
    let receipt = async |answer: Response| answer.json::<Value>().await.expect("JSON")["receipt"].clone();
    let first = receipt(answer).await;
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    let document = site.get(&location).await;
    assert_eq!((&document["document_type"], &document["confidence"]), (&json!("expense"), &json!(1.0)));
    // Long after it was captured, the receipt is still of what was sent.
    let again = site.send(RECEIPT, "bon.jpg", json!({})).await;
    assert_eq!((again.status(), receipt(again).await), (StatusCode::OK, first));
}

#[tokio::test]
async fn what_cannot_be_captured_is_refused_at_once_with_the_reason_and_leaves_nothing() {
    let site = Site::start().await;
    let check = async |file: &[u8], status: u16, words: &str| {
        let (found, problem) = problem(site.send(file, "x.pdf", json!({})).await).await;
        assert_eq!(found, status, "{problem}");
        assert!(problem.to_string().contains(words), "{words}: {problem}");
    };
    check(b"PK\x03\x04 a spreadsheet", 415, "ZIP archive").await;
    check(b"<html>", 415, "HTML").await;
    check(b"", 422, "no bytes").await;
    check(LOCKED, 422, "password").await;
    check(&RECEIPT[..500], 422, "file").await;
    let (status, refused) = problem(site.send(RECEIPT, "x", json!({ "colour": "red" })).await).await;
    assert_eq!(status, 422, "{refused}");
    let (status, _) = problem(site.send(RECEIPT, "x", json!({ "languages": "../../etc" })).await).await;
    assert_eq!(status, 422);
    let twice =
        site.posting(form(&[("file", "", b"a"), ("file", "", b"b")])).send().await.expect("an answer");
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST);
    let strange = site.posting(form(&[("colour", "", b"red")])).send().await.expect("an answer");
    assert_eq!(strange.status(), StatusCode::BAD_REQUEST);
    let cut = site.posting(form(&[("file", "", RECEIPT)])[..9_000].to_vec()).send().await.expect("an answer");
    assert_eq!(cut.status(), StatusCode::REQUEST_TIMEOUT);
    let none = site.ask(Method::POST, "/v1/documents").header("content-type", "multipart/form-data");
    assert_eq!(none.body("x").send().await.expect("an answer").status(), StatusCode::BAD_REQUEST);
    let other = site.ask(Method::POST, "/v1/documents").header("content-type", "image/jpeg");
    assert_eq!(
        other.body(RECEIPT).send().await.expect("an answer").status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(site.count().await, 0);
    let incoming = site.server.app.keep.blobs.incoming();
    assert_eq!(std::fs::read_dir(incoming).expect("a folder").count(), 0, "nothing is left over");
}

#[tokio::test]
async fn the_same_bytes_are_answered_with_where_they_are_unless_they_are_meant_again() {
    let site = Site::start().await;
    let first = header(&site.send(RECEIPT, "a.jpg", json!({})).await, "location");
    let twin = site.send(RECEIPT, "b.jpg", json!({ "source": "other" })).await;
    assert_eq!((twin.status(), header(&twin, "location")), (StatusCode::OK, first.clone()));
    let again = site.send(RECEIPT, "b.jpg", json!({ "again": true })).await;
    assert_eq!(again.status(), StatusCode::ACCEPTED);
    assert_ne!(header(&again, "location"), first);
    let other = "other".parse().expect("a name");
    people::add_tenant(&site.server.app.store, &other).await.expect("a tenant");
    let stranger = token(&site.server, "other", [Scope::DocumentsWrite].into_iter().collect()).await;
    let request = site.server.client.post(format!("{}/v1/documents", site.server.url)).bearer_auth(stranger);
    let request = request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"));
    let answer = request.body(form(&[("file", "", RECEIPT)])).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::ACCEPTED, "INV-12: nobody learns what others have");
    // Two at once, of new bytes: one of them makes the document.
    let other = include_bytes!("../../testdata/samples/letter-marlow.jpg");
    let (one, two) = tokio::join!(site.send(other, "1.jpg", json!({})), site.send(other, "2.jpg", json!({})));
    let mut statuses = [one.status().as_u16(), two.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!((statuses, header(&one, "location")), ([200, 202], header(&two, "location")));
}

#[tokio::test]
async fn inv5_a_request_repeated_under_its_key_makes_one_document_and_another_body_is_refused() {
    let site = Site::start().await;
    let send = async |key: &'static str, metadata: Value| {
        let request = site.sending(RECEIPT, "a.jpg", metadata).header("idempotency-key", key);
        request.send().await.expect("an answer")
    };
    let meant = || json!({ "again": true });
    let (one, two) = tokio::join!(send("\"k 1\"", meant()), send("\"k 1\"", meant()));
    let mut statuses = [one.status().as_u16(), two.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!((statuses, header(&one, "location")), ([200, 202], header(&two, "location")));
    let later = send("\"k 1\"", meant()).await;
    assert_eq!((later.status(), header(&later, "location")), (StatusCode::OK, header(&one, "location")));
    let (status, refused) = problem(send("\"k 1\"", json!({ "again": true, "source": "else" })).await).await;
    assert_eq!((status, &refused["type"]), (422, &json!("urn:platen:problem:idempotency-key-conflict")));
    assert_eq!(send("a key", meant()).await.status(), StatusCode::BAD_REQUEST);
    // A key is of who sent it.
    let other = token(&site.server, "default", [Scope::DocumentsWrite].into_iter().collect()).await;
    let mut request = site.sending(RECEIPT, "a.jpg", meant()).build().expect("a request");
    let bearer = format!("Bearer {other}").parse().expect("a header");
    request.headers_mut().insert("authorization", bearer);
    request.headers_mut().insert("idempotency-key", "\"k 1\"".parse().expect("a header"));
    let answer = site.server.client.execute(request).await.expect("an answer");
    assert_ne!(header(&answer, "location"), header(&one, "location"));
    // Its time is over.
    sqlx::query("UPDATE idempotency_keys SET expires_ms = 1")
        .execute(site.server.app.store.writing())
        .await
        .expect("rows");
    assert_eq!(send("\"k 1\"", meant()).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_manifest_under_a_key_that_stood_for_another_is_refused() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let commit = async |document_type: &str| {
        let manifest = server.prepare(&agent, document_type).await;
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        let signature = format!("{} {}", agent.id, agent.key.sign(&bytes));
        let request = server.ask(&agent, Method::POST, "/v1/documents").header("idempotency-key", "\"k\"");
        let request = request.header("content-type", "application/vnd.platen.manifest+json");
        request.header("platen-signature", signature).body(bytes).send().await.expect("an answer").status()
    };
    assert_eq!(commit("nda").await, StatusCode::ACCEPTED);
    assert_eq!(commit("invoice").await, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn inv5_a_known_manifest_is_repeated_by_another_device_of_its_tenant_and_a_new_one_only_by_its_own() {
    let server = Server::start().await;
    let (one, other, foreign) =
        (server.enrol("default").await, server.enrol("default").await, server.enrol("elsewhere").await);
    let manifest = server.prepare(&one, "nda").await;
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    let refused = async |by| {
        let (status, problem) = problem(server.commit(by, &bytes, &by.key.sign(&bytes)).await).await;
        assert_eq!((status, problem["errors"]["device_id"].is_string()), (422, true), "{problem}");
    };
    refused(&other).await;
    let first = server.commit(&one, &bytes, &one.key.sign(&bytes)).await;
    assert_eq!(first.status(), StatusCode::ACCEPTED);
    let again = server.commit(&other, &bytes, &other.key.sign(&bytes)).await;
    assert_eq!(again.status(), StatusCode::OK);
    let receipt = async |answer: Response| answer.json::<Value>().await.expect("JSON")["receipt"].clone();
    assert_eq!(receipt(first).await, receipt(again).await);
    refused(&foreign).await;
}

#[tokio::test]
async fn inv13_a_tenants_own_limits_are_answered_with_413_422_and_429_and_when_to_come_again() {
    let site = Site::start().await;
    let limit = async |own: Own| {
        let mut write = site.server.app.store.begin().await.expect("a write");
        limits::put(&mut write, &tenant(), &own).await.expect("kept");
        write.commit().await.expect("committed");
    };
    limit(Own { part_bytes: Some(1_000), ..Own::default() }).await;
    let (status, refused) = problem(site.send(RECEIPT, "a.jpg", json!({})).await).await;
    assert_eq!((status, refused["detail"].to_string().contains("1000")), (413, true), "{refused}");
    let upload = site.ask(Method::POST, "/v1/uploads").header("tus-resumable", "1.0.0");
    let digest = "c2hhMjU2";
    let upload = upload.header("upload-length", "1001").header("upload-metadata", format!("sha256 {digest}"));
    assert_eq!(upload.send().await.expect("an answer").status(), StatusCode::BAD_REQUEST, "no digest");
    limit(Own { document_pages: Some(1), ..Own::default() }).await;
    let contract = include_bytes!("../../testdata/samples/contract-halden.tif");
    let (status, refused) = problem(site.send(contract, "a.tif", json!({})).await).await;
    assert_eq!((status, refused["errors"]["file"].to_string().contains("pages")), (422, true), "{refused}");
    limit(Own { documents_per_minute: Some(2), ..Own::default() }).await;
    assert_eq!(site.get("/v1/limits").await["documents_per_minute"], 2);
    for _ in 0..2 {
        assert_eq!(
            site.send(RECEIPT, "a.jpg", json!({ "again": true })).await.status(),
            StatusCode::ACCEPTED
        );
    }
    let unseen = include_bytes!("../../testdata/samples/contract-halden.tif");
    let blob = format!("/v1/blobs/{}", Digest::of(unseen));
    assert_eq!(site.send(unseen, "a.tif", json!({})).await.status(), StatusCode::TOO_MANY_REQUESTS);
    let kept = site.ask(Method::HEAD, &blob).send().await.expect("an answer");
    assert_eq!(kept.status(), StatusCode::NOT_FOUND, "what is over the rate is not kept");
    let refused = site.send(RECEIPT, "a.jpg", json!({ "again": true })).await;
    let after: u64 = header(&refused, "retry-after").parse().expect("seconds");
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!((1..=60).contains(&after), "{after}");
    let twin = site.send(RECEIPT, "a.jpg", json!({})).await;
    assert_eq!(twin.status(), StatusCode::OK, "what is here already may be asked for");
    sqlx::query("UPDATE documents SET created_ms = created_ms - 60000")
        .execute(site.server.app.store.writing())
        .await
        .expect("rows");
    assert_eq!(site.send(RECEIPT, "a.jpg", json!({ "again": true })).await.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn inv13_of_two_documents_at_once_the_second_counts_the_first() {
    let site = Site::start().await;
    let app = &site.server.app;
    let first = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
    let bytes = serde_json::to_vec(&first).expect("plain data");
    let sha256 = app.keep.put(&tenant(), bytes, "application/json").await.expect("kept");
    let mut write = app.store.begin().await.expect("a write");
    assert_eq!(limits::wait_ms(&mut write, &tenant(), 1).await.expect("readable"), None);
    // The second comes after the first was counted, and before it is there.
    let store = app.store.clone();
    let second = tokio::spawn(async move {
        let mut write = store.begin().await.expect("a write");
        limits::wait_ms(&mut write, &tenant(), 1).await.expect("readable")
    });
    if app.store.engine() == Engine::Postgres {
        let waiting = "SELECT COUNT(*) AS count FROM pg_locks WHERE NOT granted";
        let mut tries = 0;
        while !second.is_finished()
            && sqlx::query_scalar::<_, i64>(waiting).fetch_one(app.store.reading()).await.expect("a count")
                == 0
        {
            tries += 1;
            assert!(tries < 10_000, "it neither waits nor ends");
            tokio::task::yield_now().await;
        }
    }
    events::receive(&mut write, &tenant(), &first, sha256, Vec::new(), Actor::System)
        .await
        .expect("received");
    write.commit().await.expect("committed");
    assert!(second.await.expect("ended").is_some(), "one document in a minute is the limit");
}

#[tokio::test]
async fn inv13_what_has_more_pages_than_may_be_once_it_is_captured_is_set_aside_with_the_limit() {
    let site = Site::start().await;
    let contract = include_bytes!("../../testdata/samples/contract-halden.tif");
    let answer = site.send(contract, "a.tif", json!({})).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let location = header(&answer, "location");
    let mut write = site.server.app.store.begin().await.expect("a write");
    let own = Own { document_pages: Some(1), ..Own::default() };
    limits::put(&mut write, &tenant(), &own).await.expect("kept");
    write.commit().await.expect("committed");
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    let document = site.get(&location).await;
    assert_eq!(document["status"], "quarantined", "{document}");
    let events = site.get(&format!("{location}/events")).await;
    let last = events["items"].as_array().expect("a list").last().expect("an event").to_string();
    assert!(last.contains("limits.document_pages"), "{last}");
}

#[tokio::test]
async fn inv8_a_document_captured_anew_has_a_further_version_and_the_one_before_as_it_was() {
    let site = Site::start().await;
    let agent = site.server.enrol("default").await;
    let mut manifest = site.server.prepare(&agent, "unknown").await;
    site.server.upload(&agent, RECEIPT, "image/jpeg").await;
    manifest.parts[0] = part(PartRole::Original, RECEIPT, "image/jpeg");
    (manifest.decision.verdict, manifest.decision.document_type) = (Verdict::Review, DocumentType::unknown());
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    let committed = site.server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
    let receipt = committed.json::<Value>().await.expect("JSON")["receipt"].clone();
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    let path = format!("/v1/documents/{}", manifest.document_id);
    assert_eq!(site.get(&path).await["status"], "in_review");
    let content = async |query: &str| {
        let answer = site.ask(Method::GET, &format!("{path}/content/normalized{query}")).send().await;
        answer.expect("an answer").bytes().await.expect("bytes")
    };
    assert_eq!(content("").await, "%PDF-");
    let anew = json!({ "reason": "read badly" });
    let answer = site.ask(Method::POST, &format!("{path}/reprocess")).json(&anew).send().await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::ACCEPTED);
    let twice = site.ask(Method::POST, &format!("{path}/reprocess")).json(&anew).send().await;
    assert_eq!(twice.expect("an answer").status(), StatusCode::CONFLICT, "it is under way");
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    let document = site.get(&path).await;
    assert_eq!(document["document_type"], "receipt", "{document}");
    assert!(content("").await.len() > 1_000);
    assert_eq!(content("?version=1").await, "%PDF-");
    let versions = site.get(&format!("{path}/versions")).await;
    let shown: Vec<(u64, &str, bool)> = versions["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| {
            let current = it["current"].as_bool().expect("a truth");
            (it["number"].as_u64().expect("a number"), it["made_by"].as_str().expect("a word"), current)
        })
        .collect();
    assert_eq!(shown, [(1, "device", false), (2, "cloud", true)]);
    let hash = users::hash_password("correct horse").expect("a hash");
    people::put_user(&site.server.app.store, &tenant(), "ada", "reviewer", &hash).await.expect("a user");
    let Login::Open(session) =
        users::login(&site.server.app, "ada", "correct horse").await.expect("an outcome")
    else {
        panic!("she is let in");
    };
    let own = format!("{}/documents/{}", site.server.url, manifest.document_id);
    let page = site.server.client.get(own).header("cookie", format!("platen_session={session}")).send().await;
    let page = page.expect("an answer").text().await.expect("text");
    assert!(
        page.contains("captured in the cloud") && page.contains("content/normalized?version=1"),
        "{page}"
    );
    let again = site.server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
    assert_eq!(again.json::<Value>().await.expect("JSON")["receipt"], receipt);
    let app = &site.server.app;
    let checked = integrity::check(&app.store, &app.keep.blobs, None).await.expect("readable");
    assert!(checked.wrong.is_empty(), "{:?}", checked.wrong);
}

/// Carries a document on until it is archived, approving it where a person is asked; answers its evidence.
async fn evidence(site: &Site, location: &str) -> Vec<u8> {
    for _ in 0..3 {
        jobs::run_until_idle(&site.server.app).await.expect("jobs");
        let document = site.get(location).await;
        match document["status"].as_str() {
            Some("archived") => {
                let answer = site.ask(Method::GET, &format!("{location}/content/evidence")).send().await;
                return answer.expect("an answer").bytes().await.expect("bytes").to_vec();
            }
            Some("in_review") => {
                let request = site.ask(Method::POST, &format!("{location}/review"));
                let request = request.header("if-match", format!("\"{}\"", document["version"]));
                let answer = request.json(&json!({ "action": "approve" })).send().await.expect("an answer");
                assert!(answer.status().is_success(), "{}", answer.text().await.unwrap_or_default());
            }
            _ => panic!("{document}"),
        }
    }
    panic!("it is never archived");
}

#[tokio::test]
async fn the_evidence_of_what_was_captured_here_once_and_anew_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let routing = folder.path().join("routing.toml");
    std::fs::write(&routing, "version = \"1\"\n[[route]]\nname = \"keep\"\nwhen = 'true'\n")
        .expect("written");
    let site = Site::start_with(|config| config.routing = Some(routing)).await;
    let workers = platen_capture::worker::Pool::in_process(1);
    let holds = |package: Vec<u8>| {
        let report = crate::evidence::verify(std::io::Cursor::new(package.clone()), &workers);
        assert!(report.holds(), "{report}");
        let mut damaged = package;
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        assert!(!crate::evidence::verify(std::io::Cursor::new(damaged), &workers).holds());
    };
    let location = header(&site.send(RECEIPT, "bon.jpg", json!({})).await, "location");
    let first = evidence(&site, &location).await;
    let anew = site.ask(Method::POST, &format!("{location}/reprocess")).json(&json!({ "reason": "again" }));
    assert_eq!(anew.send().await.expect("an answer").status(), StatusCode::ACCEPTED);
    let second = evidence(&site, &location).await;
    assert_ne!(first, second, "what happened since is in it");
    holds(first);
    holds(second);
}

#[tokio::test]
async fn what_the_readme_says_to_type_works() {
    let site = Site::start_with(|_| {}).await;
    let readme = include_str!("../../README.md");
    let block = readme.split("```sh\n").find(|block| block.contains("platen-cloud client add erp"));
    let block = block.and_then(|block| block.split("```").next()).expect("it tells how to talk to the cloud");
    let (first, rest) = block.split_once('\n').expect("lines");
    let scopes = first.split('"').nth(1).expect("scopes").parse().expect("scopes there are");
    let made = crate::auth::clients::add_by_hand(&site.server.app, &tenant(), "erp", &scopes, None).await;
    let (client, secret) = made.expect("a client");
    let folder = tempfile::tempdir().expect("a folder");
    // What a file is is seen by its bytes.
    std::fs::write(folder.path().join("scan.pdf"), RECEIPT).expect("written");
    let mut shell = tokio::process::Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", rest]).current_dir(folder.path());
    shell.env("client_id", client.to_string()).env("client_secret", secret.expect("a secret"));
    shell.env("url", &site.server.url).env("no_proxy", "*");
    let output = shell.output().await.expect("bash, curl and jq are needs of the tests");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let taken: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(
        (&taken["document"]["source"], &taken["document"]["status"]),
        (&json!("erp"), &json!("received"))
    );
    let location = format!("/v1/documents/{}", taken["document"]["document_id"].as_str().expect("an id"));
    let again = site.get(&location).await;
    assert_eq!(again["department"], "sales");
}

#[tokio::test]
async fn a_text_from_a_recogniser_outside_is_a_further_version_and_classified_anew() {
    let site = Site::start().await;
    let location = header(&site.send(RECEIPT, "a.jpg", json!({})).await, "location");
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    let supply = async |text: &Value| {
        let request = site.ask(Method::POST, &format!("{location}/ocr-result")).json(text);
        request.send().await.expect("an answer").status()
    };
    let mut text = site.get(&format!("{location}/ocr")).await;
    if site.get(&location).await["status"] != "archived" {
        let reject = json!({ "action": "reject", "comment": "read badly" });
        let answer = site.ask(Method::POST, &format!("{location}/review")).json(&reject).send().await;
        assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    }
    let word = text["pages"][0]["words"][0].clone();
    let mut surety = word.clone();
    surety["text"] = json!("zanzibar");
    text["pages"][0]["words"].as_array_mut().expect("words").push(surety);
    assert_eq!(supply(&json!({ "version": 1, "pages": [] })).await, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(supply(&text).await, StatusCode::ACCEPTED);
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    let found = site.get("/v1/documents?q=zanzibar").await;
    assert_eq!(found["items"].as_array().expect("a list").len(), 1);
    let versions = site.get(&format!("{location}/versions")).await;
    assert_eq!(versions["items"][1]["made_by"], "text_supplied");
    assert_eq!(
        versions["items"][0]["parts"][0], versions["items"][1]["parts"][0],
        "the PDF is the one before"
    );
}

/// The text of one page with two words, of which the page says this.
fn two_words(mean_confidence: f32) -> PageText {
    let word =
        |text: &str| Word { text: text.into(), confidence: 0.9, rect: Rect::default(), line: 0, block: 0 };
    let words = vec![word("two"), word("words")];
    PageText::new(vec![PageRecord { words, mean_confidence, ..PageRecord::default() }])
}

#[tokio::test]
async fn a_number_beyond_all_measure_in_a_page_text_closes_neither_its_document_nor_the_list() {
    let site = Site::start().await;
    let agent = site.server.enrol("default").await;
    // What a device sends is kept as it is: it was signed.
    let text = serde_json::to_vec(&two_words(3e38)).expect("plain data");
    let parts: [(PartRole, &[u8], &str); 3] = [
        (PartRole::Original, b"the scan", "image/tiff"),
        (PartRole::Normalized, b"%PDF-", "application/pdf"),
        (PartRole::PageText, &text, "application/json"),
    ];
    for (_, bytes, mime) in parts {
        site.server.upload(&agent, bytes, mime).await;
    }
    let parts = parts.map(|(role, bytes, mime)| part(role, bytes, mime)).to_vec();
    let sent = manifest(agent.id, decision("nda", &[]), parts);
    let bytes = serde_json::to_vec(&sent).expect("plain data");
    assert_eq!(site.server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await.status(), 202);
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    let location = format!("/v1/documents/{}", sent.document_id);
    let document = site.get(&location).await;
    assert_eq!(document["ocr_confidence"], 1.0, "{document}");
    assert_eq!(site.count().await, 1);
    let app = &site.server.app;
    let rebuilt = integrity::rebuild(&app.store, &app.keep.blobs).await.expect("readable");
    assert!(rebuilt.is_ok(), "{rebuilt:?}");

    // What a program supplies is refused, and it is told where.
    let sound = serde_json::to_value(two_words(0.9)).expect("plain data");
    for (place, number) in [
        ("pages.0.mean_confidence", 3e38),
        ("pages.0.mean_confidence", -0.1),
        ("pages.0.quality", 1e39),
        ("pages.0.words.1.confidence", 1.5),
        ("pages.0.skew_deg", 1e39),
    ] {
        let mut text = sound.clone();
        let pointer = format!("/{}", place.replace('.', "/"));
        *text.pointer_mut(&pointer).expect("it is there") = json!(number);
        let request = site.ask(Method::POST, &format!("{location}/ocr-result")).json(&text);
        let (status, problem) = problem(request.send().await.expect("an answer")).await;
        assert_eq!(status, 422, "{place}: {problem}");
        assert!(problem["errors"][place].is_string(), "{place}: {problem}");
    }
}

#[tokio::test]
async fn an_upload_may_bring_its_first_bytes_along() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let begin = |bytes: &[u8], length: usize, checksum: &[u8]| {
        use base64::Engine as _;
        let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
        let digest = encode(platen_model::Digest::of(b"hello world").to_string().as_bytes());
        let checksum = encode(platen_model::Digest::of(checksum).as_bytes());
        server
            .ask(&agent, Method::POST, "/v1/uploads")
            .header("upload-length", length)
            .header("upload-metadata", format!("sha256 {digest}"))
            .header("upload-checksum", format!("sha256 {checksum}"))
            .header("content-type", "application/offset+octet-stream")
            .body(bytes.to_vec())
    };
    let some = begin(b"hello", 11, b"hello").send().await.expect("an answer");
    assert_eq!((some.status(), header(&some, "upload-offset")), (StatusCode::CREATED, "5".into()));
    let rest =
        server.patch(&agent, &header(&some, "location"), 5, b" world").send().await.expect("an answer");
    assert_eq!(rest.status(), StatusCode::NO_CONTENT);
    let all = begin(b"hello world", 11, b"hello world").send().await.expect("an answer");
    assert_eq!((all.status(), header(&all, "upload-offset")), (StatusCode::CREATED, "11".into()));
    let wrong = begin(b"hello", 11, b"other").send().await.expect("an answer");
    assert_eq!(wrong.status().as_u16(), 460);
    let more = begin(b"hello world", 5, b"hello world").send().await.expect("an answer");
    assert_eq!(more.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM uploads")
        .fetch_one(server.app.store.reading())
        .await
        .expect("a number");
    assert_eq!(left, 2, "what was refused is gone");
    let options = server.ask(&agent, Method::OPTIONS, "/v1/uploads").send().await.expect("an answer");
    assert!(header(&options, "tus-extension").contains("creation-with-upload"));
}

// Where one node is alone, uploads wait in files.
#[test]
fn pieces_that_nobody_recorded_are_removed_after_a_day_and_others_stay() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    crate::testing::on_postgres(|| runtime.block_on(pieces_are_swept()));
}

async fn pieces_are_swept() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let upload = server.begin_upload(&agent, b"hello world", "text/plain").await;
    let answer = server.patch(&agent, &upload, 0, b"hello").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let blobs = &server.app.keep.blobs;
    for _ in 0..2 {
        blobs.put_piece(b"stray".to_vec()).await.expect("stored");
    }
    let folder = blobs.incoming().with_file_name("pieces");
    let names = || std::fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let young = names().max().expect("the last piece");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 86_400);
    for path in names().filter(|path| *path != young) {
        std::fs::File::options()
            .append(true)
            .open(path)
            .and_then(|file| file.set_modified(old))
            .expect("aged");
    }
    assert_eq!(landing::sweep_pieces(&server.app).await.expect("swept"), 1);
    assert_eq!(names().count(), 2);
    let rest = server.patch(&agent, &upload, 5, b" world").send().await.expect("an answer");
    assert_eq!(rest.status(), StatusCode::NO_CONTENT);
    assert_eq!(names().collect::<Vec<_>>(), [young], "what is a blob needs no pieces");
}

#[tokio::test]
async fn tus_answers_its_options_and_a_browser_its_question_where_an_origin_is_named() {
    let server =
        Server::start_with(|config| config.allowed_origins = vec!["https://app.example".into()]).await;
    let named = "authorization,content-type,tus-resumable";
    let ask = async |asks: Option<&str>| {
        let request = server.client.request(Method::OPTIONS, format!("{}/v1/uploads", server.url));
        let request = request.header("origin", "https://app.example");
        let request = request.header("access-control-request-headers", named);
        let request = asks
            .into_iter()
            .fold(request, |request, method| request.header("access-control-request-method", method));
        request.send().await.expect("an answer")
    };
    let tus = ask(None).await;
    assert_eq!((header(&tus, "tus-version"), tus.status()), ("1.0.0".into(), StatusCode::NO_CONTENT));
    assert_eq!(header(&tus, "access-control-allow-origin"), "https://app.example");
    let browser = ask(Some("PATCH")).await;
    assert!(header(&browser, "access-control-allow-methods").contains("PATCH"));
    assert_eq!(header(&browser, "access-control-allow-headers"), named, "`*` would leave authorization out");
    assert!(!header(&browser, "x-content-type-options").is_empty(), "framed like every answer");
    assert!(!browser.headers().contains_key("tus-version"));
}

crate::testing::also_on_postgres!(
    inv13_of_two_documents_at_once_the_second_counts_the_first,
    a_file_in_one_request_is_captured_classified_and_found_and_keeps_its_bytes,
    the_same_bytes_are_answered_with_where_they_are_unless_they_are_meant_again,
    inv5_a_known_manifest_is_repeated_by_another_device_of_its_tenant_and_a_new_one_only_by_its_own,
    inv5_a_request_repeated_under_its_key_makes_one_document_and_another_body_is_refused,
    inv13_a_tenants_own_limits_are_answered_with_413_422_and_429_and_when_to_come_again,
    inv8_a_document_captured_anew_has_a_further_version_and_the_one_before_as_it_was,
    an_upload_may_bring_its_first_bytes_along,
    a_number_beyond_all_measure_in_a_page_text_closes_neither_its_document_nor_the_list,
);
