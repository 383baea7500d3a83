//! A cloud that is told to stop (SIGTERM) while a job is at work and an upload stands open: it ends in its time, and the next
//! start goes on where it was.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use platen_model::Digest;
use platen_model::event::Status;
use platen_tests::ends::ROUTING;
use platen_tests::site::{Part, device_token};
use platen_tests::{Programs, Site, wait};

const DEADLINE: Duration = Duration::from_secs(120);
/// How long the server may take for what is under way.
const PATIENCE: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_with_a_job_and_an_upload_open_the_cloud_ends_in_time_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let programs = Programs::of_this_build();
    let mut site = Site::found(&folder.path().join("site"), programs, 0, ROUTING).await.expect("a site");
    site.stop(Part::Cloud).expect("it stops");
    let patient = |text: String| format!("{text}[limits]\nshutdown_seconds = {PATIENCE}\n");
    site.configure(Part::Cloud, patient).expect("configured");
    site.start(Part::Cloud).expect("it starts");
    site.wait_until_ready().await.expect("ready");
    let token = device_token(&site, site.url()).await.expect("a token");
    let http = reqwest::Client::new();
    let url = site.url().to_owned();
    let ask = |method: reqwest::Method, path: &str| {
        let request = http.request(method, format!("{url}{path}")).bearer_auth(&token);
        request.header("tus-resumable", "1.0.0")
    };

    // An upload whose client sends half of its bytes, and neither more nor an end.
    let bytes: Vec<u8> = (0..1_000u32).flat_map(u32::to_le_bytes).collect();
    let digest = STANDARD.encode(Digest::of(&bytes).to_string());
    let begun = ask(reqwest::Method::POST, "/v1/uploads")
        .header("upload-length", bytes.len())
        .header("upload-metadata", format!("sha256 {digest}"))
        .send()
        .await
        .expect("an answer");
    let location = begun.headers()["location"].to_str().expect("text").to_owned();
    let path = location.strip_prefix(&url).expect("an address of ours").to_owned();
    let address = url.strip_prefix("http://").expect("loopback").to_owned();
    let mut open = TcpStream::connect(&address).expect("a connection");
    let half = bytes.len() / 2;
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ntus-resumable: 1.0.0\r\n\
         content-type: application/offset+octet-stream\r\nupload-offset: 0\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    open.write_all(head.as_bytes()).expect("sent");
    open.write_all(&bytes[..half]).expect("sent");

    // A file whose capture takes longer than the server has.
    let scan = include_bytes!("../../testdata/samples/contract-halden.tif").to_vec();
    let form = reqwest::multipart::Form::new()
        .part("file", reqwest::multipart::Part::bytes(scan).file_name("contract.tif"));
    let sent = ask(reqwest::Method::POST, "/v1/documents").multipart(form).send().await.expect("an answer");
    assert_eq!(sent.status().as_u16(), 202, "{}", sent.text().await.unwrap_or_default());
    let at_work = wait::until("a job to be at work", DEADLINE, || async {
        let figures = http.get(format!("{url}/metrics")).send().await.ok()?.text().await.ok()?;
        figures.contains("platen_jobs{state=\"leased\"} 1").then_some(())
    });
    at_work.await.expect("the capture begins");

    let told = Instant::now();
    site.stop(Part::Cloud).unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("cloud")));
    let took = told.elapsed();
    assert!(took < Duration::from_secs(PATIENCE + 15), "it took {took:?}\n{}", site.last_lines("cloud"));
    let mut rest = Vec::new();
    // The connection is gone, whatever was said on it before.
    let _ = open.read_to_end(&mut rest);

    site.start(Part::Cloud).expect("it starts again");
    site.wait_until_ready().await.expect("ready");
    let offset = ask(reqwest::Method::HEAD, &path).send().await.expect("an answer");
    let offset: usize = offset.headers()["upload-offset"].to_str().expect("text").parse().expect("a number");
    assert!(offset <= half, "{offset} of {half}");
    let rest = ask(reqwest::Method::PATCH, &path)
        .header("content-type", "application/offset+octet-stream")
        .header("upload-offset", offset)
        .body(bytes[offset..].to_vec());
    assert_eq!(rest.send().await.expect("an answer").status().as_u16(), 204, "the upload goes on");
    let person = site.person().await.expect("the clerk signs in");
    let captured = wait::until("the document to be captured", DEADLINE, || async {
        let documents = person.documents().await.ok()?;
        let [document] = &documents[..] else { return None };
        (!matches!(document.status, Status::Received | Status::OcrComplete)).then_some(document.status)
    });
    let status = captured.await.unwrap_or_else(|error| panic!("{error}\n{}", site.last_lines("cloud")));
    assert_ne!(status, Status::Quarantined, "a stop is no failure");
}
