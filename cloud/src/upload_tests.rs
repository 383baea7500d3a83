//! Uploads that last long, end, or are too many: what is recorded when, what leaves when, and how it is refused.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_model::{Digest, UploadId};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::ingest::tus;
use crate::journey_tests::{Agent, Server, header};
use crate::store::limits::{self, Own};
use crate::store::{now_ms, uploads};
use crate::testing::{also_on_postgres, tenant};

/// The rows there are, as `received` and `expires_ms`.
async fn rows(server: &Server) -> Vec<(i64, i64)> {
    let rows = sqlx::query_as("SELECT received, expires_ms FROM uploads ORDER BY upload_id");
    rows.fetch_all(server.app.store.reading()).await.expect("readable")
}

async fn begin(server: &Server, agent: &Agent, bytes: &[u8]) -> Response {
    let digest = STANDARD.encode(Digest::of(bytes).to_string());
    let request = server.ask(agent, Method::POST, "/v1/uploads");
    let request = request.header("upload-length", bytes.len());
    request.header("upload-metadata", format!("sha256 {digest}")).send().await.expect("an answer")
}

async fn check_refused(answer: Response, status: u16, words: &str) {
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(header(&answer, "tus-resumable"), "1.0.0", "refusals say what is spoken");
    let problem: Value = answer.json().await.expect("a problem");
    assert!(problem["detail"].to_string().contains(words), "{words}: {problem}");
}

#[tokio::test]
async fn every_upload_whose_time_is_over_is_forgotten_in_one_go() {
    let server = Server::start().await;
    let store = &server.app.store;
    let mut write = store.begin().await.expect("a write");
    for number in 0..250i64 {
        let upload = uploads::Upload {
            upload_id: UploadId::new(),
            sha256: Digest::of(b"x"),
            mime: "text/plain".into(),
            bytes: 1,
            received: 0,
            expires_at: crate::store::from_ms(now_ms() - 1_000 - number % 3),
        };
        uploads::insert(&mut write, &tenant(), &upload).await.expect("kept");
    }
    write.commit().await.expect("committed");
    let agent = server.enrol("default").await;
    let lasting = server.begin_upload(&agent, b"hello", "text/plain").await;
    tus::sweep(&server.app).await.expect("swept");
    assert_eq!(rows(&server).await.len(), 1);
    let answer = server.ask(&agent, Method::HEAD, &lasting).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn an_upload_that_became_a_blob_leaves_after_an_hour_and_answers_till_then() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let upload = server.begin_upload(&agent, b"hello", "text/plain").await;
    let answer = server.patch(&agent, &upload, 0, b"hello").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let hour = now_ms() + 3_600_000;
    let [(received, expires_ms)] = rows(&server).await[..] else { panic!("one row") };
    assert!(received == 5 && expires_ms <= hour, "{expires_ms} {hour}");
    let answer = server.ask(&agent, Method::HEAD, &upload).send().await.expect("an answer");
    assert_eq!(header(&answer, "upload-offset"), "5");
    let past = sqlx::query("UPDATE uploads SET expires_ms = expires_ms - 3700000");
    past.execute(server.app.store.writing()).await.expect("a row");
    tus::sweep(&server.app).await.expect("swept");
    assert!(rows(&server).await.is_empty());
    let blob = format!("/v1/blobs/{}", Digest::of(b"hello"));
    let answer = server.ask(&agent, Method::HEAD, &blob).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK, "the blob stays");
}

#[tokio::test]
async fn inv4_of_a_long_body_what_came_is_recorded_while_more_comes() {
    const RECORDED: usize = 8 << 20;
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let bytes: Vec<u8> = (0..RECORDED + 100_000).map(|index| (index % 251) as u8).collect();
    let upload = server.begin_upload(&agent, &bytes, "text/plain").await;
    // A body that stops before its end and does not say so.
    let (feed, body) = tokio::sync::mpsc::unbounded_channel::<Result<Vec<u8>, std::io::Error>>();
    feed.send(Ok(bytes[..RECORDED + 50_000].to_vec())).expect("taken");
    let body = futures_util::stream::unfold(body, async |mut body| Some((body.recv().await?, body)));
    let request = server.ask(&agent, Method::PATCH, &upload);
    let request =
        request.header("content-type", "application/offset+octet-stream").header("upload-offset", 0);
    let sending = tokio::spawn(request.body(reqwest::Body::wrap_stream(Box::pin(body))).send());
    let recorded = async {
        loop {
            let [(received, _)] = rows(&server).await[..] else { panic!("one row") };
            if received > 0 {
                break received;
            }
        }
    };
    let recorded = tokio::time::timeout(std::time::Duration::from_secs(60), recorded).await;
    let recorded = usize::try_from(recorded.expect("before the end of the body")).expect("a length");
    assert!((RECORDED..=RECORDED + 50_000).contains(&recorded), "{recorded}");
    // The server dies: nothing of the request is left but what is on the disk. Another goes on from there.
    sending.abort();
    drop(feed);
    let store = &server.app.store;
    let id = upload.rsplit('/').next().expect("an id").parse().expect("an id");
    let kept = uploads::find(store, &tenant(), id).await.expect("readable").expect("there");
    assert!(kept.received >= RECORDED as u64);
    let offset = async {
        loop {
            let answer = server.ask(&agent, Method::HEAD, &upload).send().await.expect("an answer");
            let at: usize = header(&answer, "upload-offset").parse().expect("a number");
            let rest = server.patch(&agent, &upload, at, &bytes[at..]).send().await.expect("an answer");
            if rest.status() == StatusCode::NO_CONTENT {
                break at;
            }
        }
    };
    let offset = tokio::time::timeout(std::time::Duration::from_secs(60), offset).await;
    assert!(offset.expect("it goes on") >= RECORDED);
    assert_eq!(server.app.keep.get(&tenant(), Digest::of(&bytes)).await.expect("a blob"), bytes);
}

#[tokio::test]
async fn an_upload_whose_recorded_pieces_are_gone_begins_anew_and_says_so() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let offset = async |upload: &str| {
        let answer = server.ask(&agent, Method::HEAD, upload).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
        header(&answer, "upload-offset")
    };
    let upload = server.begin_upload(&agent, b"hello", "text/plain").await;
    let id = upload.rsplit('/').next().expect("an id").parse().expect("an id");
    let row = uploads::find(&server.app.store, &tenant(), id).await.expect("readable").expect("there");
    // Two pieces of an upload, as any node records them; the bytes of the second are lost.
    for (begins, bytes) in [(0, &b"hel"[..]), (3, b"lo")] {
        let name = server.app.keep.blobs.put_piece(bytes.to_vec()).await.expect("kept");
        let piece = uploads::Piece { begins, bytes: bytes.len() as u64, name: name.clone() };
        let further = uploads::Upload { received: begins + piece.bytes, ..row.clone() };
        let recorded = uploads::advance(&server.app.store, &tenant(), &further, begins, &[piece]).await;
        assert!(recorded.expect("a write"));
        if begins == 0 {
            assert_eq!(offset(&upload).await, "3");
        } else {
            server.app.keep.blobs.remove_piece(&name).await.expect("lost");
        }
    }
    assert_eq!(offset(&upload).await, "0", "what is not there is not acknowledged");
    let answer = server.patch(&agent, &upload, 0, b"hello").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(server.app.keep.get(&tenant(), Digest::of(b"hello")).await.expect("a blob"), b"hello");
}

/// The socket that clients of a PostgreSQL server look for in its folder.
const SOCKET: &str = ".s.PGSQL.5432";

/// Stands before a PostgreSQL server. Once `armed` it lets the next commit of recorded pieces through, and loses the answer
/// with the connection. Answers the folder of its socket.
fn loses_an_answer(server: PathBuf, armed: &Arc<AtomicBool>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = UnixListener::bind(folder.path().join(SOCKET)).expect("a socket");
    let armed = Arc::clone(armed);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (server, armed) = (server.join(SOCKET), Arc::clone(&armed));
            tokio::spawn(async move { pass_on(client, server, &armed).await });
        }
    });
    folder
}

async fn pass_on(mut client: UnixStream, server: PathBuf, armed: &AtomicBool) -> std::io::Result<()> {
    let has = |bytes: &[u8], words: &[u8]| bytes.windows(words.len()).any(|window| window == words);
    let mut server = UnixStream::connect(server).await?;
    let (mut asked, mut answered) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut records = false;
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let words = &asked[..length?];
                if words.is_empty() {
                    return Ok(());
                }
                server.write_all(words).await?;
                records |= has(words, b"INSERT INTO upload_pieces");
                if records && has(words, b"COMMIT") && armed.swap(false, Ordering::AcqRel) {
                    // It is committed when it is answered; who asked hears nothing of that.
                    let length = server.read(&mut answered).await?;
                    assert!(length > 0, "it answers");
                    return Ok(());
                }
            }
            length = server.read(&mut answered) => {
                let words = &answered[..length?];
                if words.is_empty() {
                    return Ok(());
                }
                client.write_all(words).await?;
            }
        }
    }
}

#[tokio::test]
async fn recorded_pieces_stay_where_the_answer_to_the_commit_is_lost() {
    let armed = Arc::new(AtomicBool::new(false));
    let mut between = None;
    let server = Server::start_with(|config| {
        if let Some((address, folder)) = config.database.clone().split_once("?host=") {
            let folder = between.insert(loses_an_answer(folder.into(), &armed));
            config.database = format!("{address}?host={}", folder.path().display());
        }
    });
    let server = server.await;
    if between.is_none() {
        return; // One file has no connection that could be lost.
    }
    let agent = server.enrol("default").await;
    let upload = server.begin_upload(&agent, b"hello world", "text/plain").await;
    armed.store(true, Ordering::Release);
    let answer = server.patch(&agent, &upload, 0, b"hello").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!armed.load(Ordering::Acquire), "an answer was lost");
    let answer = server.ask(&agent, Method::HEAD, &upload).send().await.expect("an answer");
    assert_eq!(header(&answer, "upload-offset"), "5", "it was recorded, and the bytes are there");
    let answer = server.patch(&agent, &upload, 5, b" world").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let blob = server.app.keep.get(&tenant(), Digest::of(b"hello world")).await.expect("a blob");
    assert_eq!(blob, b"hello world");
}

#[tokio::test]
async fn inv13_a_tenant_has_so_many_uploads_under_way_and_so_many_bytes_and_others_have_theirs() {
    let server = Server::start_with(|config| {
        config.limits.open_uploads = 2;
        config.limits.open_upload_bytes = 20;
    })
    .await;
    let (agent, other) = (server.enrol("default").await, server.enrol("other").await);
    let first = server.begin_upload(&agent, b"hello", "text/plain").await;
    check_refused(begin(&server, &agent, &[7; 16]).await, 507, "limits.open_upload_bytes").await;
    assert_eq!(begin(&server, &agent, &[7; 15]).await.status(), StatusCode::CREATED);
    check_refused(begin(&server, &agent, b"x").await, 507, "limits.open_uploads").await;
    assert_eq!(begin(&server, &other, b"x").await.status(), StatusCode::CREATED, "theirs");
    let waiting = std::fs::read_dir(server.app.keep.blobs.incoming()).expect("a folder").count();
    assert_eq!(waiting, if server.app.store.engine() == crate::store::Engine::Sqlite { 3 } else { 0 });
    let done = server.patch(&agent, &first, 0, b"hello").send().await.expect("an answer");
    assert_eq!(done.status(), StatusCode::NO_CONTENT);
    assert_eq!(begin(&server, &agent, b"x").await.status(), StatusCode::CREATED, "what ended makes room");
}

#[tokio::test]
async fn an_upload_whose_time_is_over_is_gone_and_a_part_over_the_tenants_limit_is_never_begun() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let upload = server.begin_upload(&agent, b"hello", "text/plain").await;
    let past = sqlx::query("UPDATE uploads SET expires_ms = $1").bind(now_ms() - 1);
    past.execute(server.app.store.writing()).await.expect("a row");
    let answer = server.patch(&agent, &upload, 0, b"hello").send().await.expect("an answer");
    check_refused(answer, 410, "time is over").await;
    let head = server.ask(&agent, Method::HEAD, &upload).send().await.expect("an answer");
    assert_eq!(head.status(), StatusCode::GONE);
    let mut write = server.app.store.begin().await.expect("a write");
    limits::put(&mut write, &tenant(), &Own { part_bytes: Some(4), ..Own::default() }).await.expect("kept");
    write.commit().await.expect("committed");
    check_refused(begin(&server, &agent, b"hello").await, 413, "limit of 4").await;
    assert_eq!(begin(&server, &agent, b"hell").await.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn who_speaks_another_version_of_tus_is_told_which_one_is_spoken() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let request = server.client.post(format!("{}/v1/uploads", server.url)).bearer_auth(&agent.token);
    let answer = request.header("tus-resumable", "0.2.2").send().await.expect("an answer");
    assert_eq!(header(&answer, "tus-version"), "1.0.0");
    check_refused(answer, 412, "1.0.0").await;
    let upload = server.begin_upload(&agent, b"hello", "text/plain").await;
    for method in [Method::HEAD, Method::DELETE] {
        let request = server.client.request(method, &upload).bearer_auth(&agent.token);
        let answer = request.header("tus-resumable", "0.2.2").send().await.expect("an answer");
        assert_eq!((header(&answer, "tus-version"), answer.status().as_u16()), ("1.0.0".into(), 412));
    }
    let nobody = server.client.head(format!("{}/v1/uploads/{}", server.url, UploadId::new()));
    let answer = nobody.send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), header(&answer, "tus-resumable")), (401, "1.0.0".into()));
}

#[tokio::test]
async fn an_upload_says_what_it_was_announced_with_and_a_header_may_name_the_method() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let upload = server.begin_upload(&agent, b"hello", "text/plain").await;
    let head = server.ask(&agent, Method::HEAD, &upload).send().await.expect("an answer");
    let (digest, mime) = (STANDARD.encode(Digest::of(b"hello").to_string()), STANDARD.encode("text/plain"));
    assert_eq!(header(&head, "upload-metadata"), format!("sha256 {digest},mime {mime}"));
    let request = server
        .ask(&agent, Method::POST, &upload)
        .header("x-http-method-override", "PATCH")
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", 0);
    let answer = request.body("hello").send().await.expect("an answer");
    assert_eq!((answer.status().as_u16(), header(&answer, "upload-offset")), (204, "5".into()));
    let elsewhere = server.ask(&agent, Method::POST, "/v1/limits").header("x-http-method-override", "GET");
    assert_eq!(elsewhere.send().await.expect("an answer").status(), StatusCode::METHOD_NOT_ALLOWED);
}

also_on_postgres!(
    an_upload_whose_recorded_pieces_are_gone_begins_anew_and_says_so,
    recorded_pieces_stay_where_the_answer_to_the_commit_is_lost,
    every_upload_whose_time_is_over_is_forgotten_in_one_go,
    an_upload_that_became_a_blob_leaves_after_an_hour_and_answers_till_then,
    inv4_of_a_long_body_what_came_is_recorded_while_more_comes,
    inv13_a_tenant_has_so_many_uploads_under_way_and_so_many_bytes_and_others_have_theirs,
    an_upload_whose_time_is_over_is_gone_and_a_part_over_the_tenants_limit_is_never_begun,
);
