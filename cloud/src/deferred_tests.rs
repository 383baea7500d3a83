//! Documents whose originals follow later: what the receipts name, what goes on meanwhile, what waits.

use std::io::Cursor;
use std::time::Duration;

use futures_util::StreamExt as _;
use platen_model::manifest::SignedReceipt;
use platen_model::{CaptureId, CorrelationId, Digest, DocumentManifest, PageText, PartRole, Receipt};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::auth::Scope;
use crate::blobs::garbage;
use crate::journey_tests::{Agent, Server};
use crate::store::limits::{self, Own};
use crate::testing::{decision, manifest, part, tenant};
use crate::{evidence, integrity, jobs};

const SCAN: &[u8] = b"the scan, large and dear";

/// Uploads everything but the original, and answers the manifest and its bytes.
async fn without_original(
    server: &Server,
    agent: &Agent,
    copy_of_signed: bool,
) -> (DocumentManifest, Vec<u8>) {
    let text = serde_json::to_vec(&PageText::new(Vec::new())).expect("plain data");
    server.upload(agent, b"%PDF-", "application/pdf").await;
    server.upload(agent, &text, "application/json").await;
    let mut parts = vec![
        part(PartRole::Original, SCAN, "application/pdf"),
        part(PartRole::Normalized, b"%PDF-", "application/pdf"),
        part(PartRole::PageText, &text, "application/json"),
    ];
    parts[1].copy_of_signed = copy_of_signed;
    let manifest = manifest(agent.id, decision("nda", &[]), parts);
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    (manifest, bytes)
}

/// Posts a manifest, with these words about what follows later.
async fn commit(server: &Server, agent: &Agent, bytes: &[u8], deferred: Option<&str>) -> Response {
    let mut request = server
        .ask(agent, Method::POST, "/v1/documents")
        .header("content-type", "application/vnd.platen.manifest+json")
        .header("platen-signature", format!("{} {}", agent.id, agent.key.sign(bytes)));
    if let Some(word) = deferred {
        request = request.header("platen-deferred", word);
    }
    request.body(bytes.to_vec()).send().await.expect("an answer")
}

/// The receipt of an answer, its signature checked.
async fn receipt(server: &Server, answer: Response) -> (SignedReceipt, Receipt) {
    let body: Value = answer.json().await.expect("JSON");
    let signed: SignedReceipt = serde_json::from_value(body["receipt"].clone()).expect("a receipt");
    let key = server.app.receipt_key.key.public();
    key.verify(signed.receipt.as_bytes(), &signed.signature).expect("signed by the cloud");
    let receipt = serde_json::from_str(&signed.receipt).expect("a receipt");
    (signed, receipt)
}

async fn read(server: &Server, agent: &Agent, path: &str) -> (StatusCode, Vec<u8>) {
    let answer = server.ask(agent, Method::GET, path).send().await.expect("an answer");
    (answer.status(), answer.bytes().await.expect("a body").to_vec())
}

async fn wrong(server: &Server) -> Vec<String> {
    let key = server.app.checkpoint_key.public();
    let found = integrity::check(&server.app.store, &server.app.keep.blobs, Some(&key)).await;
    found.expect("readable").wrong
}

#[tokio::test]
async fn inv3_a_receipt_names_the_originals_that_are_still_to_come_and_the_next_one_none() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let (manifest, bytes) = without_original(&server, &agent, false).await;
    let path = format!("/v1/documents/{}", manifest.document_id);
    let document = async || -> Value {
        serde_json::from_slice(&read(&server, &agent, &path).await.1).expect("a document")
    };

    let refused = commit(&server, &agent, &bytes, None).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "nothing may be missing without a word");
    let refused = commit(&server, &agent, &bytes, Some("page_text")).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);

    let mut first = Vec::new();
    for status in [StatusCode::ACCEPTED, StatusCode::OK] {
        let answer = commit(&server, &agent, &bytes, Some("originals")).await;
        assert_eq!(answer.status(), status);
        first.push(receipt(&server, answer).await);
    }
    assert_eq!(first[0], first[1], "the same receipt each time");
    assert_eq!(first[0].1.awaiting, [Digest::of(SCAN)]);
    jobs::run_until_idle(&server.app).await.expect("jobs");
    let waits = document().await;
    assert_eq!((&waits["status"], &waits["originals_outstanding"]), (&"routed".into(), &1.into()));
    for what in ["original", "evidence"] {
        let (status, body) = read(&server, &agent, &format!("{path}/content/{what}")).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let problem: platen_model::Problem = serde_json::from_slice(&body).expect("a problem");
        assert!(problem.help.contains("1 original will follow"), "{problem:?}");
    }
    assert_eq!(read(&server, &agent, &format!("{path}/content/normalized")).await.0, StatusCode::OK);
    assert_eq!(wrong(&server).await, Vec::<String>::new());

    // Named by the first event, it is nobody's garbage between its arrival and the second receipt.
    server.upload(&agent, SCAN, "application/pdf").await;
    garbage::collect(&server.app.keep, Duration::ZERO).await.expect("collected");
    let mut second = Vec::new();
    for deferred in [None, None, Some("originals")] {
        let answer = commit(&server, &agent, &bytes, deferred).await;
        assert_eq!(answer.status(), StatusCode::OK);
        second.push(receipt(&server, answer).await);
    }
    assert!(second.iter().all(|receipt| *receipt == second[0]), "the same receipt each time");
    assert_eq!(second[0].1.awaiting, []);
    assert_eq!(second[0].1.parts, first[0].1.parts);
    jobs::run_until_idle(&server.app).await.expect("jobs");
    let whole = document().await;
    assert_eq!((&whole["status"], &whole["originals_outstanding"]), (&"archived".into(), &0.into()));
    assert_eq!(read(&server, &agent, &format!("{path}/content/original")).await.1, SCAN);
    let (_, package) = read(&server, &agent, &format!("{path}/content/evidence")).await;
    let report = evidence::verify(Cursor::new(package), &platen_capture::worker::Pool::in_process(1));
    assert!(report.holds(), "{report}");
    assert!(report.to_string().contains("the originals that were to follow have arrived"), "{report}");
    assert_eq!(wrong(&server).await, Vec::<String>::new());
    let rebuilt = integrity::rebuild(&server.app.store, &server.app.keep.blobs).await.expect("readable");
    assert_eq!(rebuilt, Ok(1));
    assert_eq!(document().await, whole);
}

/// Sends a file as another program does.
async fn send_file(server: &Server, bytes: &[u8]) -> StatusCode {
    let token =
        crate::contract_tests::token(server, "default", [Scope::DocumentsWrite].into_iter().collect());
    let mut body =
        b"--line\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n".to_vec();
    body.extend_from_slice(bytes);
    body.extend_from_slice(b"\r\n--line--\r\n");
    let request = server.client.post(format!("{}/v1/documents", server.url)).bearer_auth(token.await);
    let request = request.header("content-type", "multipart/form-data; boundary=line");
    request.body(body).send().await.expect("an answer").status()
}

#[tokio::test]
async fn bytes_that_are_awaited_or_of_a_divided_batch_are_no_document_that_is_here_already() {
    const PDF: &[u8] = include_bytes!("../../testdata/samples/nda-helix.pdf");
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let commit_of = async |scan: &[u8], batch: Option<CaptureId>, deferred: Option<&str>| {
        let (mut manifest, _) = without_original(&server, &agent, false).await;
        manifest.parts[0] = part(PartRole::Original, scan, "application/pdf");
        if let Some(capture) = batch {
            manifest.correlation_id = CorrelationId::of_capture(capture);
        }
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        assert_eq!(commit(&server, &agent, &bytes, deferred).await.status(), StatusCode::ACCEPTED);
    };
    commit_of(PDF, None, Some("originals")).await;
    assert_eq!(send_file(&server, PDF).await, StatusCode::ACCEPTED, "they were still to come: they are kept");
    let blob = server.ask(&agent, Method::HEAD, &format!("/v1/blobs/{}", Digest::of(PDF)));
    assert_eq!(blob.send().await.expect("an answer").status(), StatusCode::OK);

    let batch: &[u8] = include_bytes!("../../testdata/samples/receipt-colbert.jpg");
    server.upload(&agent, batch, "application/pdf").await;
    let capture = CaptureId::new();
    for _ in 0..2 {
        commit_of(batch, Some(capture), None).await;
    }
    assert_eq!(send_file(&server, batch).await, StatusCode::ACCEPTED, "neither of the two is all of it");
    assert_eq!(send_file(&server, batch).await, StatusCode::OK, "that one is");
}

#[tokio::test]
async fn a_manifest_that_is_repeated_gets_its_receipt_though_the_limit_of_pages_was_lowered() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let mut manifest = server.prepare(&agent, "nda").await;
    manifest.page_count = 500;
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    let first = receipt(&server, commit(&server, &agent, &bytes, None).await).await;
    let mut write = server.app.store.begin().await.expect("a write");
    let own = Own { document_pages: Some(100), ..Own::default() };
    limits::put(&mut write, &tenant(), &own).await.expect("kept");
    write.commit().await.expect("committed");
    assert_eq!(receipt(&server, commit(&server, &agent, &bytes, None).await).await, first);
    let mut other = server.prepare(&agent, "nda").await;
    other.page_count = 101;
    let bytes = serde_json::to_vec(&other).expect("plain data");
    let refused = commit(&server, &agent, &bytes, None).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Value = refused.json().await.expect("a problem");
    assert!(problem["errors"]["page_count"].to_string().contains("limits.document_pages"), "{problem}");
}

/// A device on a link that is cut without a word must not keep a connection for ever.
#[tokio::test]
async fn a_manifest_that_stops_coming_is_cut_off_after_the_time_of_a_request() {
    let server = Server::start_with(|config| config.limits.request_seconds = 1).await;
    let agent = server.enrol("default").await;
    let first = axum::body::Bytes::from_static(b"{");
    let body =
        futures_util::stream::iter([Ok::<_, std::io::Error>(first)]).chain(futures_util::stream::pending());
    let request = server
        .ask(&agent, Method::POST, "/v1/documents")
        .header("content-type", "application/vnd.platen.manifest+json")
        .body(reqwest::Body::wrap_stream(body));
    let answer = request.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    let problem: Value = answer.json().await.expect("a problem");
    assert!(problem["detail"].to_string().contains("limits.request_seconds"), "{problem}");
}

#[tokio::test]
async fn originals_that_are_there_are_not_awaited_and_one_that_is_to_be_signed_cannot_follow() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let (_, bytes) = without_original(&server, &agent, true).await;
    let refused = commit(&server, &agent, &bytes, Some("originals")).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: platen_model::Problem = refused.json().await.expect("a problem");
    assert!(problem.detail.contains("is what is signed"), "{problem:?}");

    server.upload(&agent, SCAN, "application/pdf").await;
    let (_, bytes) = without_original(&server, &agent, false).await;
    let answer = commit(&server, &agent, &bytes, Some("originals")).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    assert_eq!(receipt(&server, answer).await.1.awaiting, []);
}

#[tokio::test]
async fn originals_are_taken_after_the_document_has_come_to_an_end() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let (manifest, bytes) = without_original(&server, &agent, false).await;
    commit(&server, &agent, &bytes, Some("originals")).await;
    let (tenant, mut write) = (tenant(), server.app.store.begin().await.expect("a write"));
    let set_aside = crate::store::events::quarantine(
        &mut write,
        &tenant,
        manifest.document_id,
        "a reason".into(),
        "some help".into(),
    );
    assert!(set_aside.await.expect("set aside"));
    write.commit().await.expect("committed");

    server.upload(&agent, SCAN, "application/pdf").await;
    let answer = commit(&server, &agent, &bytes, None).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(receipt(&server, answer).await.1.awaiting, []);
    let path = format!("/v1/documents/{}", manifest.document_id);
    let document: Value = serde_json::from_slice(&read(&server, &agent, &path).await.1).expect("a document");
    assert_eq!(document["status"], "quarantined");
    assert_eq!(wrong(&server).await, Vec::<String>::new());
}

crate::testing::also_on_postgres!(
    inv3_a_receipt_names_the_originals_that_are_still_to_come_and_the_next_one_none,
    originals_that_are_there_are_not_awaited_and_one_that_is_to_be_signed_cannot_follow,
    originals_are_taken_after_the_document_has_come_to_an_end,
);
