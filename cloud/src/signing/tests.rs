//! Claims about signing from the first event to the evidence: real HTTP, real database, real files.

use std::collections::BTreeSet;
use std::sync::Arc;

use platen_model::event::Status;
use platen_model::{Digest, TenantId};
use platen_tests::browser::Browser;

use super::harness::{cloud, cookie, hidden};
use super::inbox::{self, Received};
use super::provider::{Callback, Provider as _};
use super::sandbox::{CallbackBody, SIGNATURE_HEADER};
use super::trial::pdfsig;
use crate::jobs::kinds;
use crate::store::{envelopes, people};
use crate::testing;

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
    let picture = async |known: &str| {
        let request = cloud.http.get(format!("{link}/pages/1.png")).header("if-none-match", known);
        let answer = request.send().await.expect("an answer");
        let header = |name: &str| answer.headers()[name].to_str().expect("text").to_owned();
        assert_eq!(header("cache-control"), "private, no-cache");
        let (status, etag) = (answer.status().as_u16(), header("etag"));
        (status, etag, answer.bytes().await.expect("bytes"))
    };
    let (status, unsigned, png) = picture("\"other\"").await;
    assert!(status == 200 && png.starts_with(b"\x89PNG"));
    assert_eq!(picture(&unsigned).await, (304, unsigned.clone(), Default::default()));
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
    let (status, signed, png) = picture(&unsigned).await;
    assert!(status == 200 && signed != unsigned && png.starts_with(b"\x89PNG"), "with the seal on it");
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
async fn a_link_shows_the_document_while_it_may_be_signed_and_nothing_of_it_after_another_end() {
    for ending in ["declined", "expired", "voided"] {
        let cloud = cloud("desk", "ada@example.com", 0.5).await;
        let document = cloud.receive().await;
        let envelope = cloud.until(document, Status::Sent).await.document.envelope_id.expect("an envelope");
        let link = cloud.links_to("ada@example.com").remove(0);
        let shown = async || {
            let status = async |name: &str| {
                let answer = cloud.http.get(format!("{link}/{name}")).send().await;
                answer.expect("an answer").status().as_u16()
            };
            [status("pages/1.png").await, status("document.pdf").await]
        };
        assert_eq!(shown().await, [200, 200], "{ending}: not yet");
        match ending {
            "declined" => {
                let form = [("reason", "not mine")];
                let declined = cloud.http.post(format!("{link}/decline")).form(&form).send().await;
                assert_eq!(declined.expect("an answer").status(), 303);
            }
            "expired" => {
                let past = "UPDATE desk_envelopes SET expires_ms = 1";
                sqlx::query(past).execute(cloud.app.store.writing()).await.expect("time passes");
            }
            _ => {
                let path = format!("/v1/signatures/envelopes/{envelope}/void");
                let reason = serde_json::json!({ "reason": "a mistake" });
                assert_eq!(cloud.operate(reqwest::Method::POST, &path, Some(reason)).await.0, 200);
            }
        }
        assert_eq!(shown().await, [410, 410], "{ending}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_is_drawn_in_a_browser_stands_as_lines_in_the_pdf() {
    let cloud = cloud("desk", "ada@example.com", 0.5).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    let link = cloud.links_to("ada@example.com").remove(0);
    let browser = Browser::start().await.expect("Chromium");
    browser.open(&link).await.expect("the page");
    let size = browser.evaluate("document.getElementById('canvas').getBoundingClientRect().toJSON()").await;
    let size = size.expect("the field's size");
    let side = |name: &str| size[name].as_f64().expect("a number");
    let (half_w, half_h) = ((side("width") / 2.0) as i32, (side("height") / 2.0) as i32);
    // A V over the whole field, and a line under it.
    let v = [[-half_w + 4, -half_h + 4], [0, half_h - 4], [half_w - 4, -half_h + 4]];
    let line = [[-half_w / 2, 0], [half_w / 2, 0]];
    browser.draw("#canvas", &[&v, &line]).await.expect("drawn");
    browser.type_into("input[name=name]", "Ada Lovelace").await.expect("typed");
    browser.click("input[name=consent]").await.expect("agreed");
    if let Some(folder) = std::env::var_os("PLATEN_SCREENSHOTS") {
        let path = std::path::Path::new(&folder).join("drawn-signature.png");
        browser.screenshot(&path).await.expect("a picture");
    }
    browser.click("form button.primary").await.expect("pressed");
    let record = cloud.until(document, Status::Archived).await;
    assert!(browser.text("h1").await.expect("a heading").contains("Signed"));

    let (drawn,): (String,) = sqlx::query_as("SELECT drawn FROM desk_signers")
        .fetch_one(cloud.app.store.reading())
        .await
        .expect("a row");
    let strokes: Vec<Vec<[i32; 2]>> = serde_json::from_str(&drawn).expect("lines of points");
    assert_eq!(strokes.len(), 2, "{drawn}");
    let near = |[x, y]: [i32; 2], [to_x, to_y]: [i32; 2]| (x - to_x).abs() < 40 && (y - to_y).abs() < 80;
    let ends = |stroke: &Vec<[i32; 2]>| (stroke[0], stroke[stroke.len() - 1]);
    let (first, second) = (ends(&strokes[0]), ends(&strokes[1]));
    assert!(near(first.0, [0, 0]) && near(first.1, [1000, 0]), "{drawn}");
    assert!(strokes[0].iter().any(|point| near(*point, [500, 1000])), "down to the foot: {drawn}");
    assert!(near(second.0, [250, 500]) && near(second.1, [750, 500]), "{drawn}");

    let signed =
        cloud.app.keep.get(&cloud.tenant, record.signed_sha256.expect("signed")).await.expect("kept");
    assert!(pdfsig(&signed).contains("Signature is Valid"));
    let path = cloud.folder.path().join("signed.pdf");
    std::fs::write(&path, &signed).expect("write");
    let mut qpdf = std::process::Command::new("qpdf");
    qpdf.args(["--qdf", "--object-streams=disable"]).arg(path).arg("-");
    let plain = qpdf.output().expect("qpdf is a build need").stdout;
    let plain = String::from_utf8_lossy(&plain).into_owned();
    // The form with the drawing: its lines are there, segment by segment, and no picture is.
    let segments: usize = strokes.iter().map(|stroke| stroke.len() - 1).sum();
    let form = plain.split("endstream").find(|part| part.contains("/Form") && part.contains(" l\n"));
    let found = form.expect("a drawing").matches(" l\n").count();
    assert!(found >= segments, "{found} lines for {segments} segments");
    assert!(!plain.contains("/Subtype /Image"), "nothing of it is a picture");
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
    // Genuine, and another tenant's; genuine, and of yesterday.
    let other: TenantId = "harbour".parse().expect("a tenant");
    people::add_tenant(&cloud.app.store, &other).await.expect("another tenant");
    assert_eq!(send(&url.replace("/default", "/harbour"), &signature, &bytes).await, 401);
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let (old, same) =
        cloud.app.signing.sandbox.callback(&cloud.tenant, &body, yesterday).expect("a callback");
    assert_eq!((send(&url, &old, &same).await, &same), (401, &bytes));
    let of_nobody = CallbackBody { id: "new".into(), kind: "order.created".into(), ..body.clone() };
    let made = cloud.app.signing.sandbox.callback(&cloud.tenant, &of_nobody, jiff::Timestamp::now());
    let (unknown, unknown_bytes) = made.expect("a callback");
    for _ in 0..3 {
        assert_eq!(send(&url, &signature, &bytes).await, 200);
    }
    let (kept, repeats): (i64, i64) =
        sqlx::query_as("SELECT COUNT(*), CAST(SUM(repeats) AS BIGINT) FROM callbacks")
            .fetch_one(cloud.app.store.reading())
            .await
            .expect("a count");
    assert_eq!((kept, repeats), (1, 2));
    assert_eq!(send(&url, &unknown, &unknown_bytes).await, 200, "of a kind that is not known, and kept");
    // It is about no envelope of ours, and shown for that.
    let (_, accounts) = cloud.operate(reqwest::Method::GET, "/v1/signatures/accounts", None).await;
    let idle = &accounts["idle_callbacks"];
    let shown = idle.as_array().expect("a list").iter().map(|callback| {
        (callback["kind"].as_str(), callback["reference"].as_str(), callback["repeats"].as_u64())
    });
    let shown: BTreeSet<_> = shown.collect();
    let expected =
        [(Some("envelope.completed"), Some("sbx_none"), Some(2)), (Some("order.created"), None, Some(0))];
    assert_eq!(shown, BTreeSet::from(expected));
    let jobs = cloud.page("/jobs").await;
    assert!(jobs.contains("sandbox: order.created"), "{jobs}");
    assert!(
        jobs.contains("sandbox: envelope.completed about <code>sbx_none</code>, and 2 times more"),
        "{jobs}"
    );
    cloud.until(document, Status::Archived).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_whose_taking_was_cut_off_is_taken_when_it_comes_again() {
    let cloud = cloud("sandbox", "silent@example.com", 0.5).await;
    let document = cloud.receive().await;
    let envelope = cloud.until(document, Status::Sent).await.document.envelope_id.expect("an envelope");
    let found = envelopes::find(&cloud.app.store, &cloud.tenant, envelope).await.expect("readable");
    let reference = found.and_then(|(envelope, _)| envelope.provider_reference).expect("sent");
    let body = CallbackBody { id: "evt".into(), kind: "envelope.viewed".into(), reference };
    let sandbox = Arc::clone(&cloud.app.signing.sandbox);
    let now = jiff::Timestamp::now();
    let (signature, bytes) = sandbox.callback(&cloud.tenant, &body, now).expect("a callback");
    let headers = [(SIGNATURE_HEADER.to_owned(), signature)];
    let callback = Callback { headers: &headers, query: "", body: &bytes, received_at: now };
    let hint = sandbox.verify(&cloud.tenant, &callback).expect("ours");

    let mut write = cloud.app.store.begin().await.expect("a transaction");
    let taken = inbox::take(&mut write, &*sandbox, &cloud.tenant, &callback, hint).await;
    assert_eq!(taken.expect("taken"), Received::Hint(document));
    let statement = "SELECT run_at_ms, again FROM jobs WHERE document_id = $1 AND kind = $2";
    let (run_at, again): (i64, i64) = sqlx::query_as(statement)
        .bind(document.to_string())
        .bind(kinds::FOLLOW_ENVELOPE)
        .fetch_one(&mut *write)
        .await
        .expect("a job");
    let due = again == 1 || run_at <= jiff::Timestamp::now().as_millisecond();
    assert!(due, "it is due in the same transaction");
    // The process ends before the commit.
    drop(write);

    let again = async || inbox::receive(&cloud.app.store, &*sandbox, &cloud.tenant, &callback).await;
    assert_eq!(again().await.expect("taken"), Received::Hint(document), "nothing was kept of the first");
    assert_eq!(again().await.expect("taken"), Received::Repeated);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_is_open_long_after_its_time_shows_where_people_look() {
    let cloud = cloud("desk", "ada@example.com", 0.5).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    let own = format!("/documents/{document}");
    let figure = async || {
        let figures = cloud.http.get(format!("{}/metrics", cloud.url)).send().await.expect("an answer");
        let figures = figures.text().await.expect("text");
        let line = figures.lines().find(|line| line.starts_with("platen_envelopes_overdue "));
        line.expect("the figure").rsplit(' ').next().expect("a number").to_owned()
    };
    assert!(!cloud.page("/jobs").await.contains("id=\"overdue\""), "its time is not over");
    assert!(!cloud.page(&own).await.contains("open long after its time"));
    assert_eq!(figure().await, "0");
    // Its route says no end: thirty days and one more have passed.
    let month = 32 * 24 * 3600 * 1000_i64;
    sqlx::query("UPDATE envelopes SET created_ms = created_ms - $1")
        .bind(month)
        .execute(cloud.app.store.writing())
        .await
        .expect("time passes");
    let jobs = cloud.page("/jobs").await;
    assert!(jobs.contains("id=\"overdue\"") && jobs.contains(&own) && jobs.contains("nda.tif"), "{jobs}");
    assert!(cloud.page(&own).await.contains("open long after its time"));
    assert_eq!(figure().await, "1");
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
    let login = get("/login", "").await;
    let login_cookie = cookie(&login);
    let csrf = hidden(&login.text().await.expect("text"), "csrf");
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
    let (csrf, version) = (hidden(&review, "csrf"), hidden(&review, "version"));
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
    a_link_shows_the_document_while_it_may_be_signed_and_nothing_of_it_after_another_end,
    a_callback_that_is_forged_is_refused_and_one_that_is_repeated_changes_nothing,
    a_callback_whose_taking_was_cut_off_is_taken_when_it_comes_again,
    an_envelope_that_is_open_long_after_its_time_shows_where_people_look,
    pages_need_a_login_and_a_review_needs_the_forms_token,
);
