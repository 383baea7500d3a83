//! Claims about what happens when signing does not go straight, over the whole cloud: refusals, ends of time, pauses,
//! restarts, and files that come back broken.

use jiff::{SignedDuration, Timestamp};
use platen_capture::pdf::Place;
use platen_capture::worker::Pool;
use platen_capture::worker::protocol::SealInfo;
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{Digest, DocumentId, durable};
use platen_tests::browser::Browser;
use reqwest::Method;
use serde_json::json;

use super::connectors::Kind;
use super::connectors::fakes::{Fake, Stage, Trouble, WEBHOOK_SECRET};
use super::desk::COPIES_FOR_MS;
use super::desk::mail::Smtp;
use super::harness::{Cloud, cloud, cloud_with, hidden};
use super::http::follow;
use super::offers;
use super::trial::one_page_pdf;
use crate::evidence;
use crate::jobs::{Outcome, StepError, kinds};
use crate::policy::{Policy, Source};
use crate::seal::{SealKey, seal_pdf};
use crate::store::jobs::Job;
use crate::store::{events, figures};
use crate::testing;

/// A policy with one route to this provider, with these lines in it.
fn route(provider: &str, lines: &str) -> String {
    format!(
        "version = \"test\"\n[validation]\nminimum_confidence = 0.5\n\
         [[route]]\nname = \"all\"\nwhen = 'true'\nprovider = \"{provider}\"\n{lines}\n"
    )
}

/// A cloud whose every document goes to an account at this fake, for these signers.
async fn cloud_at(fake: &Fake, signers: &str) -> Cloud {
    let folder = tempfile::tempdir().expect("a folder").keep();
    let account = super::connectors::AccountConfig { tenant: testing::tenant(), ..fake.account(&folder) };
    let routing = route(&account.name(), &format!("signers = {signers}"));
    cloud_with(&routing, move |config| config.signing = vec![account]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_declines_is_replaced_once_by_the_fallback() {
    let routing = route(
        "sandbox",
        "signers = [\"declines@example.com\"]\non_decline = { address = \"signs@example.com\" }",
    );
    let cloud = cloud_with(&routing, |_| {}).await;
    let document = cloud.receive().await;
    let record = cloud.until(document, Status::Archived).await;
    let as_text = |(status, address): &(String, String)| format!("{status} {address}");
    let envelopes: Vec<String> = cloud.envelopes(document).await.iter().map(as_text).collect();
    assert_eq!(envelopes, ["declined declines@example.com", "completed signs@example.com"]);
    assert_eq!(cloud.count(document, "retried").await, 1);
    cloud.check_evidence(&record).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_who_declines_as_well_is_not_replaced_again() {
    let routing = route(
        "sandbox",
        "signers = [\"declines@example.com\"]\non_decline = { address = \"declines@example.org\" }",
    );
    let cloud = cloud_with(&routing, |_| {}).await;
    let document = cloud.receive().await;
    cloud.until_so("both declined", async || cloud.count(document, "declined").await == 2).await;
    // The step that asks the policy what follows has run, and there is no other.
    cloud.until_so("nothing is left to do", async || no_jobs(&cloud).await).await;
    assert_eq!(cloud.record(document).await.document.status, Status::Declined);
    assert_eq!(cloud.envelopes(document).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn signers_are_reminded_as_often_as_the_route_says_until_their_time_is_over() {
    let lines = "signers = [\"ada@example.com\"]\nexpires_after = \"10d\"\nremind_every = \"2d\"";
    let cloud = cloud_with(&route("desk", lines), |_| {}).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    let letter = || {
        let letters = std::fs::read_dir(&cloud.app.config.mail).expect("a folder");
        letters.map(|letter| letter.expect("readable").path()).next()
    };
    cloud.until_so("she is asked", async || letter().is_some()).await;
    let sent = Timestamp::now();
    let counted_from: i64 = sqlx::query_scalar("SELECT reminded_ms FROM envelope_reminders")
        .fetch_one(cloud.app.store.reading())
        .await
        .expect("their time runs");
    assert!((0..60_000).contains(&(sent.as_millisecond() - counted_from)), "from the sending on");
    // A reminder is the letter once more.
    let look = async |days: i64| {
        letter().iter().for_each(|path| durable::remove_file(path).expect("removed"));
        let now = sent + SignedDuration::from_hours(24 * days) + SignedDuration::from_secs(60);
        let courier = &cloud.app.signing.courier;
        courier.poll_envelope(&cloud.tenant, document, now).await.expect("the books can be read");
        letter().is_some()
    };
    for (days, reminded) in [(1, false), (2, true), (2, false), (3, false), (4, true), (9, true), (9, false)]
    {
        assert_eq!(look(days).await, reminded, "after {days} days");
    }
    assert!(!look(11).await, "their time is over");
    for wrong in ["remind_every = \"1m\"", "remind_every = \"often\"", "remind_every = \"900d\""] {
        let policy = route("desk", &format!("signers = [\"a@b.c\"]\n{wrong}"));
        let source = Source { policy, directory: None };
        let error = Policy::of_source(source, "policy", &offers(&cloud.app.config));
        assert!(error.is_err_and(|error| error.to_string().contains("remind_every")), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_expires_is_sent_anew_as_often_as_its_route_says_and_the_first_stays_in_the_history()
{
    let routing = route("sandbox", "signers = [\"expires@example.com\"]\nresend = 1");
    let cloud = cloud_with(&routing, |_| {}).await;
    let document = cloud.receive().await;
    cloud.until_so("it expired twice", async || cloud.count(document, "expired").await == 2).await;
    cloud.until_so("nothing is left to do", async || no_jobs(&cloud).await).await;
    assert_eq!(cloud.record(document).await.document.status, Status::Expired);
    let envelopes = cloud.envelopes(document).await;
    assert_eq!(envelopes.len(), 2, "{envelopes:?}");
    assert!(envelopes.iter().all(|(status, _)| status == "expired"), "{envelopes:?}");
    let names = cloud.names_of_events(document).await;
    let signing = names.iter().skip_while(|name| *name != "routed").map(String::as_str).collect::<Vec<_>>();
    let once = ["routed", "envelope_created", "sent", "expired"];
    assert_eq!(signing, [&once[..], &["retried"], &once[..]].concat(), "each way of it, in order");
    // A person sends it on its way once more: it counts from the beginning.
    let (status, _) = cloud.operate(Method::POST, &format!("/v1/documents/{document}/retry"), None).await;
    assert!(status < 300, "{status}");
    cloud.until_so("it expired four times", async || cloud.count(document, "expired").await == 4).await;
}

/// Whether no step waits or is at work.
async fn no_jobs(cloud: &Cloud) -> bool {
    let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM jobs WHERE state <> 'dead'")
        .fetch_one(cloud.app.store.reading())
        .await
        .expect("a count");
    count == 0
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_a_route_or_an_account_is_paused_and_nothing_is_lost() {
    for switch in ["route/all", "account/sandbox"] {
        let mut cloud = cloud("sandbox", "signs@example.com", 0.5).await;
        let pause = format!("/v1/signatures/pauses/{switch}");
        let reason = json!({ "reason": "their prices are wrong today" });
        let (status, body) = cloud.operate(Method::PUT, &pause, Some(reason)).await;
        assert_eq!(status, 204, "{body}");
        let documents = [cloud.receive().await, cloud.receive().await];
        for document in documents {
            cloud.until(document, Status::EnvelopeCreated).await;
        }
        // Each was looked at, found paused, and put off.
        let put_off = async |cloud: &Cloud| {
            let later = Timestamp::now().as_millisecond() + 5_000;
            let (count,): (i64,) =
                sqlx::query_as("SELECT COUNT(*) FROM jobs WHERE kind = 'create_envelope' AND run_at_ms > $1")
                    .bind(later)
                    .fetch_one(cloud.app.store.reading())
                    .await
                    .expect("a count");
            count == 2
        };
        cloud.until_so("both wait", async || put_off(&cloud).await).await;
        let (_, shown) = cloud.operate(Method::GET, "/v1/signatures/accounts", None).await;
        assert_eq!(shown["paused"][0]["reason"], "their prices are wrong today", "{shown}");
        // A pause outlives the process.
        cloud.restart().await;
        cloud.until_so("both wait", async || put_off(&cloud).await).await;
        let sent = async || {
            let count: (i64,) = sqlx::query_as("SELECT COUNT(*) FROM sandbox_envelopes")
                .fetch_one(cloud.app.store.reading())
                .await
                .expect("a count");
            count.0
        };
        assert_eq!(sent().await, 0, "{switch}: nothing was sent");
        let (status, body) = cloud.operate(Method::DELETE, &pause, None).await;
        assert_eq!(status, 204, "{body}");
        for document in documents {
            cloud.until(document, Status::Archived).await;
        }
        assert_eq!(sent().await, 2, "{switch}: each once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paused_for_longer_than_its_time_is_sent_when_it_goes_on_with_its_time_anew() {
    let lines = "signers = [\"signs@example.com\"]\nexpires_after = \"10d\"";
    let mut cloud = cloud_with(&route("sandbox", lines), |_| {}).await;
    let pause = "/v1/signatures/pauses/route/all";
    let reason = json!({ "reason": "their prices are wrong today" });
    assert_eq!(cloud.operate(Method::PUT, pause, Some(reason)).await.0, 204);
    let document = cloud.receive().await;
    cloud.until(document, Status::EnvelopeCreated).await;
    cloud.rest().await;
    let after_days = async |cloud: &Cloud, days: i64| {
        let now = Timestamp::now() + SignedDuration::from_hours(24 * days);
        let courier = &cloud.app.signing.courier;
        courier.send_envelope(&cloud.tenant, document, now).await.expect("the books can be read");
        cloud.record(document).await.document.status
    };
    assert_eq!(after_days(&cloud, 11).await, Status::EnvelopeCreated, "it waits");
    assert_eq!(cloud.operate(Method::DELETE, pause, None).await.0, 204);
    assert_eq!(after_days(&cloud, 11).await, Status::Expired, "nobody could sign that one any more");
    // Its route says nothing of sending anew what expires: nobody was asked, so that is no second time.
    cloud.restart().await;
    let record = cloud.until(document, Status::Archived).await;
    assert!(record.expires_at.is_some_and(|at| at > Timestamp::now() + SignedDuration::from_hours(9 * 24)));
    let statuses: Vec<String> =
        cloud.envelopes(document).await.into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["expired", "completed"]);
    assert_eq!((cloud.count(document, "sent").await, cloud.count(document, "retried").await), (1, 1));
    cloud.check_evidence(&record).await;
}

/// A signer at the desk presses a button of the page behind the link; answers the status.
async fn at_the_desk(cloud: &Cloud, link: &str, button: &str, fields: &[(&str, &str)]) -> u16 {
    let pressed = cloud.http.post(format!("{link}{button}")).form(fields).send().await;
    pressed.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_all_have_signed_in_person_is_signed_though_the_mail_to_one_of_them_never_went() {
    let server = platen_tests::servers::Mail::start();
    let smtp = Smtp { url: server.url(), user: None, password: None, from: None };
    let recipients = "recipients = [{ address = \"ada@example.com\", order = 1 }, \
                      { address = \"later@example.com\", order = 1 }, \
                      { address = \"later@example.org\", role = \"cc\", order = 2 }]";
    let mut cloud = cloud_with(&route("desk", recipients), |config| config.smtp = Some(smtp)).await;
    let document = cloud.receive().await;
    let envelope = cloud.until(document, Status::Sent).await.document.envelope_id.expect("an envelope");
    assert_eq!(server.letters().len(), 1, "Ada's");
    let page = cloud.page(&format!("/documents/{document}")).await;
    assert!(
        page.contains("later@example.com</strong> not asked yet · the message to them could not be"),
        "{page}"
    );
    let waiting = figures::mail_waiting(&cloud.app.store, COPIES_FOR_MS).await.expect("a count");
    assert_eq!(waiting, 1, "the copy is not owed yet");
    cloud.rest().await;
    for (position, name) in [(0, "Ada"), (1, "Lara")] {
        let link = cloud.app.signing.desk.link(&cloud.tenant, envelope, position).expect("a link");
        assert_eq!(at_the_desk(&cloud, &link, "", &[("name", name), ("consent", "yes")]).await, 303);
    }
    // The time is over before anybody looks.
    let late = Timestamp::now() + SignedDuration::from_hours(24 * 31);
    let courier = &cloud.app.signing.courier;
    courier.send_envelope(&cloud.tenant, document, late).await.expect("the books can be read");
    courier.poll_envelope(&cloud.tenant, document, late).await.expect("the books can be read");
    assert_eq!(cloud.record(document).await.document.status, Status::Signed);
    let page = cloud.page(&format!("/documents/{document}")).await;
    assert!(
        page.contains("later@example.org</strong> gets a copy · the message to them could not be"),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_serves_nothing_of_what_its_signer_signed_once_that_came_to_nothing() {
    for ending in ["declined", "voided"] {
        let recipients = "recipients = [{ address = \"ada@example.com\", order = 1 }, \
                          { address = \"bob@example.com\", order = 1 }]";
        let cloud = cloud_with(&route("desk", recipients), |_| {}).await;
        let document = cloud.receive().await;
        let envelope = cloud.until(document, Status::Sent).await.document.envelope_id.expect("an envelope");
        let link = |position| cloud.app.signing.desk.link(&cloud.tenant, envelope, position).expect("a link");
        let (ada, bob) = (link(0), link(1));
        let get = async |rest: &str| {
            let answer = cloud.http.get(format!("{ada}{rest}")).send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.unwrap_or_default())
        };
        assert_eq!(at_the_desk(&cloud, &ada, "", &[("name", "Ada"), ("consent", "yes")]).await, 303);
        assert_eq!(get("/document.pdf").await.0, 200, "she may keep what she signed");
        if ending == "declined" {
            assert_eq!(at_the_desk(&cloud, &bob, "/decline", &[("reason", "not mine")]).await, 303);
            cloud.until(document, Status::Declined).await;
        } else {
            assert_eq!(press(&cloud, document, "void", &[("reason", "a mistake")]).await, 303);
            cloud.until(document, Status::Voided).await;
        }
        for rest in ["/document.pdf", "/pages/1.png"] {
            let (status, page) = get(rest).await;
            assert_eq!(status, 410, "{ending} {rest}: {page}");
        }
        let (status, page) = get("").await;
        assert!(status == 200 && page.contains("is on record") && !page.contains("document.pdf"), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_in_a_form_of_a_page_is_refused_in_words_and_changes_nothing() {
    let cloud = cloud("desk", "ada@example.com", 0.5).await;
    let document = cloud.receive().await;
    let envelope = cloud.until(document, Status::Sent).await.document.envelope_id.expect("an envelope");
    let nul = "a\0b";
    for (button, field) in
        [("void", "reason"), ("accept", "reason"), ("review", "document_type"), ("retry", "x")]
    {
        let sha256 = Digest::of(b"").to_string();
        let status = press(&cloud, document, button, &[(field, nul), ("sha256", &sha256)]).await;
        assert_eq!(status, 422, "{button}");
    }
    let link = cloud.app.signing.desk.link(&cloud.tenant, envelope, 0).expect("a link");
    for (button, field) in
        [("", "name"), ("", "text.0"), ("/decline", "reason"), ("/prove", "code"), ("/pin", "pin")]
    {
        let fields = [("name", "Ada"), ("consent", "yes"), (field, nul)];
        assert_eq!(at_the_desk(&cloud, &link, button, &fields).await, 422, "{button} {field}");
    }
    let login = [("csrf", "x"), ("username", nul), ("password", "x")];
    assert_eq!(at_the_desk(&cloud, &format!("{}/login", cloud.url), "", &login).await, 422);
    let cookie = cloud.signed_in().await;
    let own = format!("{}/documents/{document}", cloud.url);
    let page = cloud.page(&format!("/documents/{document}")).await;
    let form = [("csrf", hidden(&page, "csrf")), ("reason", nul.to_owned())];
    let pressed = cloud.http.post(format!("{own}/void")).header("cookie", cookie).form(&form).send().await;
    let page = pressed.expect("an answer").text().await.expect("text");
    assert!(page.contains("reason&#34; has a NUL in it") && page.contains("<html"), "{page}");
    assert_eq!(cloud.record(document).await.document.status, Status::Sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_at_docusign_that_is_not_sent_can_be_given_up() {
    let fake = Fake::start(Kind::Docusign).await;
    let cloud = cloud_at(&fake, "[\"ada@example.com\"]").await;
    let pause = "/v1/signatures/pauses/route/all";
    assert_eq!(cloud.operate(Method::PUT, pause, Some(json!({ "reason": "wait" }))).await.0, 204);
    let document = cloud.receive().await;
    cloud.until(document, Status::EnvelopeCreated).await;
    // The draft is made, and its sending refused.
    fake.site.trouble(Trouble::None);
    fake.site.trouble(Trouble::Refuses);
    assert_eq!(cloud.operate(Method::DELETE, pause, None).await.0, 204);
    cloud.until(document, Status::Quarantined).await;
    assert_eq!(fake.site.only().stage, Stage::Draft);
    assert_eq!(press(&cloud, document, "void", &[("reason", "the signer is wrong")]).await, 303);
    cloud.until(document, Status::Voided).await;
    assert_eq!(press(&cloud, document, "retry", &[]).await, 303);
    cloud.until(document, Status::Sent).await;
    let asked: Vec<u32> = fake.site.all().iter().map(|envelope| envelope.sendings).collect();
    assert_eq!(asked, [0, 1], "nobody heard of the draft");
}

#[tokio::test(flavor = "multi_thread")]
async fn docusign_is_asked_about_an_envelope_once_in_fifteen_minutes_whatever_comes_and_goes() {
    let fake = Fake::start(Kind::Docusign).await;
    let mut cloud = cloud_at(&fake, "[\"ada@example.com\"]").await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    let looks = || fake.site.only().looks;
    cloud.until_so("it is asked once", async || looks() == 1).await;
    fake.site.view("ada@example.com");
    let call_back = async |cloud: &Cloud, number: i64| {
        let body = json!({
            "event": "recipient-delivered",
            "generatedDateTime": Timestamp::now().to_string(),
            "data": { "envelopeId": fake.site.only().id, "recipientId": number.to_string() },
        });
        let body = body.to_string();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, WEBHOOK_SECRET.as_bytes());
        let tag = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            ring::hmac::sign(&key, body.as_bytes()),
        );
        let url = format!("{}/v1/webhooks/signature-events/docusign/main", cloud.url);
        let sent = cloud.http.post(url).header("x-docusign-signature-1", tag).body(body).send().await;
        assert_eq!(sent.expect("an answer").status(), 200);
    };
    // Each hint makes the step run, and the step finds that it may not ask yet.
    let put_off = async |cloud: &Cloud| {
        let (run_at, again): (i64, i64) = sqlx::query_as(
            "SELECT run_at_ms, again FROM jobs WHERE kind = 'follow_envelope' AND state = 'ready'",
        )
        .fetch_optional(cloud.app.store.reading())
        .await
        .expect("readable")
        .unwrap_or_default();
        again == 0 && run_at > Timestamp::now().as_millisecond() + 600_000
    };
    call_back(&cloud, 1).await;
    cloud.until_so("it is put off", async || put_off(&cloud).await).await;
    assert_eq!(looks(), 1);
    cloud.restart().await;
    call_back(&cloud, 2).await;
    cloud.until_so("it is put off", async || put_off(&cloud).await).await;
    assert_eq!(looks(), 1, "a restart is no reason to ask again");
    assert_eq!(cloud.record(document).await.document.status, Status::Sent);
    sqlx::query("UPDATE envelope_calls SET polled_ms = polled_ms - $1")
        .bind(15 * 60 * 1000_i64)
        .execute(cloud.app.store.writing())
        .await
        .expect("fifteen minutes pass");
    call_back(&cloud, 3).await;
    cloud.until(document, Status::Viewed).await;
    assert_eq!(looks(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_at_docusign_is_withdrawn_when_its_own_time_is_over() {
    let fake = Fake::start(Kind::Docusign).await;
    let cloud = cloud_at(&fake, "[\"ada@example.com\"]").await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    cloud.until_so("it is asked once", async || fake.site.only().looks == 1).await;
    let look = async |days: i64| {
        let now = Timestamp::now() + SignedDuration::from_hours(24 * days);
        let courier = &cloud.app.signing.courier;
        courier.poll_envelope(&cloud.tenant, document, now).await.expect("the books can be read");
        (fake.site.only().stage, cloud.record(document).await.document.status)
    };
    // Its route says no end: thirty days.
    assert_eq!(look(29).await, (Stage::Open, Status::Sent));
    let reason = "its time to be signed is over".to_owned();
    assert_eq!(look(31).await, (Stage::Voided(reason), Status::Expired));
}

/// A page that was sealed by somebody unknown here.
fn sealed_by_a_stranger() -> Vec<u8> {
    let seal = SealInfo {
        name: "Stranger".into(),
        reason: "Completed".into(),
        at: Timestamp::now(),
        lines: vec!["Completed".into()],
        page: 0,
        place: Place::thousandths([100, 100, 400, 200]),
        strokes: Vec::new(),
        entries: Vec::new(),
        room_bytes: 0,
    };
    let key = SealKey::passing("Stranger").expect("a key");
    seal_pdf(&Pool::in_process(1), &key, &one_page_pdf(), seal, None).expect("sealed")
}

/// A sealed page, and the same with a letter changed under the seal.
fn sound_and_broken() -> (Vec<u8>, Vec<u8>) {
    let sound = sealed_by_a_stranger();
    let mut broken = sound.clone();
    let at = broken.windows(8).position(|part| part == b"MediaBox").expect("the page");
    broken[at + 10] = b'9';
    (sound, broken)
}

/// A cloud, and a document of which a broken PDF came back.
async fn come_back_broken(fake: &Fake, broken: &[u8]) -> (Cloud, DocumentId) {
    let cloud = cloud_at(fake, "[\"ada@example.com\"]").await;
    fake.site.returns(broken.to_vec());
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    fake.site.sign("ada@example.com");
    follow(&cloud.app, &cloud.tenant, document).await.expect("asked for");
    cloud.until(document, Status::Quarantined).await;
    (cloud, document)
}

/// Presses a button of a document's page, as Ada; answers the status.
async fn press(cloud: &Cloud, document: DocumentId, button: &str, fields: &[(&str, &str)]) -> u16 {
    let cookie = cloud.signed_in().await;
    let own = format!("{}/documents/{document}", cloud.url);
    let page = cloud.http.get(&own).header("cookie", &cookie).send().await.expect("an answer");
    let csrf = hidden(&page.text().await.expect("text"), "csrf");
    let form = [&[("csrf", csrf.as_str())], fields].concat();
    let pressed =
        cloud.http.post(format!("{own}/{button}")).header("cookie", cookie).form(&form).send().await;
    pressed.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_take_what_came_back_broken_for_signed_and_that_stays_said() {
    let fake = Fake::start(Kind::Docuseal).await;
    let (_, broken) = sound_and_broken();
    let (cloud, document) = come_back_broken(&fake, &broken).await;
    let envelope = cloud.record(document).await.document.envelope_id.expect("an envelope");
    let path = format!("/v1/signatures/envelopes/{envelope}/accept");
    let accept = async |sha256: Digest, reason: &str| {
        cloud.operate(Method::POST, &path, Some(json!({ "sha256": sha256, "reason": reason }))).await
    };
    let (status, refused) = accept(Digest::of(b"another"), "seen").await;
    assert_eq!(status, 409, "{refused}");
    assert_eq!(accept(Digest::of(&broken), " ").await.0, 422, "a reason is wanted");
    let browser = Browser::start().await.expect("Chromium");
    browser.open(&format!("{}/login", cloud.url)).await.expect("the page");
    browser.type_into("input[name=username]", "ada").await.expect("typed");
    browser.type_into("input[name=password]", "correct horse").await.expect("typed");
    browser.click("main form button").await.expect("signed in");
    let is_in = async || browser.text("h1").await.is_ok_and(|heading| heading.contains("Documents"));
    cloud.until_so("she is signed in", is_in).await;
    browser.open(&format!("{}/documents/{document}", cloud.url)).await.expect("the page");
    browser.click("#signatures summary").await.expect("unfolded");
    browser.type_into("#signatures input[name=reason]", "compared with the paper").await.expect("typed");
    if let Some(folder) = std::env::var_os("PLATEN_SCREENSHOTS") {
        let path = std::path::Path::new(&folder).join("came-back-broken.png");
        browser.screenshot(&path).await.expect("a picture");
    }
    browser.click("#signatures button").await.expect("accepted");
    let record = cloud.until(document, Status::Archived).await;
    assert_eq!(record.signed_sha256, Some(Digest::of(&broken)));
    assert_eq!(accept(Digest::of(&broken), "again").await.0, 409, "once");
    let page = cloud.page(&format!("/documents/{document}")).await;
    for said in ["Taken for signed by ada@example.com", "compared with the paper", "broken"] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("Accept it although"), "{page}");
    let (_, audit) = cloud.operate(Method::GET, "/v1/audit", None).await;
    assert!(audit.to_string().contains("signing.accept"), "{audit}");
    cloud.check_evidence(&record).await;
    let package = cloud.app.keep.get(&cloud.tenant, record.evidence_sha256.expect("archived")).await;
    let report = evidence::verify(std::io::Cursor::new(package.expect("kept")), &Pool::in_process(1));
    assert!(
        report.to_string().contains("took it for signed all the same: compared with the paper"),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_back_broken_can_be_withdrawn_and_signed_anew() {
    let fake = Fake::start(Kind::Docuseal).await;
    let (_, broken) = sound_and_broken();
    let (cloud, document) = come_back_broken(&fake, &broken).await;
    let accept = [("reason", ""), ("sha256", &Digest::of(&broken).to_string())];
    assert_eq!(press(&cloud, document, "accept", &accept).await, 400, "a reason is wanted");
    assert_eq!(press(&cloud, document, "void", &[("reason", "nobody should rely on it")]).await, 303);
    let record = cloud.until(document, Status::Voided).await;
    assert_eq!((record.signed_sha256, record.returned_sha256), (None, None));
    assert_eq!(press(&cloud, document, "retry", &[]).await, 303);
    cloud.until(document, Status::Sent).await;
    let statuses: Vec<String> =
        cloud.envelopes(document).await.into_iter().map(|(status, _)| status).collect();
    assert_eq!(statuses, ["voided", "sent"]);
    assert_eq!(fake.site.count(), 2, "asked anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_withdraws_an_earlier_envelope_withdraws_nothing_of_the_open_one() {
    let cloud = cloud("desk", "ada@example.com", 0.5).await;
    let document = cloud.receive().await;
    let earlier = cloud.until(document, Status::Sent).await.document.envelope_id.expect("an envelope");
    let withdraw = async |envelope| {
        let path = format!("/v1/signatures/envelopes/{envelope}/void");
        cloud.operate(Method::POST, &path, Some(json!({ "reason": "a mistake" }))).await
    };
    assert_eq!(withdraw(earlier).await.0, 200);
    cloud.until(document, Status::Voided).await;
    assert_eq!(press(&cloud, document, "retry", &[]).await, 303);
    let open = cloud.until(document, Status::Sent).await.document.envelope_id.expect("an envelope");
    assert_ne!(open, earlier);
    let (status, answer) = withdraw(earlier).await;
    assert_eq!((status, &answer["status"]), (200, &json!("voided")), "it is answered as it is: {answer}");
    assert_eq!(cloud.record(document).await.document.status, Status::Sent);
    let shown = cloud.operate(Method::GET, &format!("/v1/signatures/envelopes/{open}"), None).await;
    assert_eq!(shown.1["status"], "sent", "{}", shown.1);
    assert_eq!(withdraw(open).await.0, 200);
    cloud.until(document, Status::Voided).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_of_which_nobody_can_say_whether_it_was_made_is_given_up_by_a_person_and_made_anew() {
    let fake = Fake::start(Kind::Esignly).await;
    fake.site.trouble(Trouble::LosesAnswer);
    let cloud = cloud_at(&fake, "[\"ada@example.com\"]").await;
    let document = cloud.receive().await;
    cloud.until_so("its answer is lost", async || fake.site.count() == 1).await;
    let settle = async || {
        for statement in [
            "UPDATE envelope_calls SET at_ms = 0",
            "UPDATE jobs SET run_at_ms = 0 WHERE kind = 'create_envelope' AND state = 'ready'",
        ] {
            sqlx::query(statement).execute(cloud.app.store.writing()).await.expect("time passes");
        }
        cloud.app.wake.notify_one();
        cloud.record(document).await.document.status == Status::Quarantined
    };
    cloud.until_so("a person is asked", settle).await;
    // A retry alone comes to the same question.
    assert_eq!(press(&cloud, document, "retry", &[]).await, 303);
    cloud.until_so("and again", async || cloud.count(document, "quarantined").await == 2).await;
    assert_eq!(fake.site.count(), 1, "nobody was asked twice");
    assert_eq!(press(&cloud, document, "void", &[("reason", "withdrawn at the provider")]).await, 303);
    cloud.until(document, Status::Voided).await;
    assert_eq!(press(&cloud, document, "retry", &[]).await, 303);
    cloud.until(document, Status::Sent).await;
    assert_eq!(fake.site.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_that_its_provider_does_not_withdraw_is_not_given_up_while_it_is_open_there() {
    let fake = Fake::start(Kind::Docusign).await;
    let cloud = cloud_at(&fake, "[\"ada@example.com\"]").await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    // It is not asked about again for a quarter of an hour, so that the next call is ours.
    cloud.until_so("it is asked once", async || fake.site.only().looks == 1).await;
    let aside =
        EventBody::Quarantined { reason: "it is lost".into(), help: "look for it".into(), returned: None };
    let mut write = cloud.app.store.begin().await.expect("a transaction");
    events::append(&mut write, &cloud.tenant, document, Actor::System, aside).await.expect("set aside");
    write.commit().await.expect("committed");

    fake.site.trouble(Trouble::Refuses);
    assert_eq!(press(&cloud, document, "void", &[("reason", "lost")]).await, 409);
    assert_eq!(
        cloud.record(document).await.document.status,
        Status::Quarantined,
        "a new one would be a second"
    );
    assert_eq!(press(&cloud, document, "void", &[("reason", "lost")]).await, 303);
    cloud.until(document, Status::Voided).await;
    assert!(matches!(fake.site.only().stage, Stage::Voided(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envelope_with_an_address_that_is_refused_is_given_up_and_its_other_links_end_with_it() {
    let server = platen_tests::servers::Mail::start();
    let smtp = Smtp { url: server.url(), user: None, password: None, from: None };
    let signers =
        "recipients = [{ address = \"ada@example.com\" }, { address = \"refused@example.com\", order = 1 }]";
    let cloud = cloud_with(&route("desk", signers), |config| config.smtp = Some(smtp)).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Quarantined).await;
    let letters = server.letters();
    let link =
        letters.iter().flat_map(|letter| letter.split_whitespace()).find(|word| word.contains("/sign/"));
    let link = link.expect("Ada was invited").to_owned();
    let shown = async || cloud.http.get(&link).send().await.expect("an answer").text().await.expect("text");
    assert!(shown().await.contains("ada@example.com"));
    assert_eq!(press(&cloud, document, "void", &[("reason", "the address is wrong")]).await, 303);
    cloud.until(document, Status::Voided).await;
    assert!(shown().await.contains("has withdrawn this document"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_file_that_comes_back_broken_goes_to_a_person_and_is_kept_for_them() {
    let fake = Fake::start(Kind::Docuseal).await;
    let cloud = cloud_at(&fake, "[\"ada@example.com\"]").await;
    let (sound, broken) = sound_and_broken();
    fake.site.returns(broken.clone());
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    fake.site.sign("ada@example.com");
    let hint = async || follow(&cloud.app, &cloud.tenant, document).await.expect("asked for");
    hint().await;
    let record = cloud.until(document, Status::Quarantined).await;
    let (reason, _) = record.trouble.clone().expect("a reason");
    assert!(reason.contains("not those that were signed"), "{reason}");
    assert_eq!(record.signed_sha256, None, "it is not taken for signed");
    let page = cloud.page(&format!("/documents/{document}")).await;
    assert!(page.contains("Digital signatures") && page.contains("broken"), "{page}");
    let cookie = cloud.signed_in().await;
    let url = format!("{}/v1/documents/{document}/content/returned", cloud.url);
    let kept = cloud.http.get(url).header("cookie", cookie).send().await.expect("an answer");
    assert_eq!(kept.bytes().await.expect("bytes").to_vec(), broken);

    // The file was spoilt on its way: the provider's own is sound, and a retry fetches it.
    fake.site.returns(sound);
    let (status, body) = cloud.operate(Method::POST, &format!("/v1/documents/{document}/retry"), None).await;
    assert!(status < 300, "{body}");
    let record = cloud.until(document, Status::Archived).await;
    assert_eq!(cloud.envelopes(document).await.len(), 1, "nobody was asked again");
    let page = cloud.page(&format!("/documents/{document}")).await;
    assert!(page.contains("integrity only: chain unknown"), "{page}");
    cloud.check_evidence(&record).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_file_that_is_none_for_an_hour_goes_to_a_person_and_is_fetched_once_it_can_be() {
    let fake = Fake::start(Kind::Docuseal).await;
    let cloud = cloud_at(&fake, "[\"ada@example.com\"]").await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    fake.site.returns(b"<html>come back later</html>".to_vec());
    fake.site.sign("ada@example.com");
    let started = Timestamp::now();
    let look = async |minutes: i64| {
        let now = started + SignedDuration::from_mins(minutes);
        let courier = &cloud.app.signing.courier;
        courier.poll_envelope(&cloud.tenant, document, now).await.expect("the books can be read");
        cloud.record(document).await.document.status
    };
    for minutes in [1, 2, 50] {
        assert!(matches!(look(minutes).await, Status::Sent | Status::Viewed), "after {minutes} minutes");
    }
    assert_eq!(look(70).await, Status::Quarantined);
    let (reason, _) = cloud.record(document).await.trouble.expect("a reason");
    assert!(reason.contains("is no PDF"), "{reason}");
    fake.site.returns(one_page_pdf());
    assert_eq!(press(&cloud, document, "retry", &[]).await, 303);
    sqlx::query("UPDATE envelope_calls SET polled_ms = NULL")
        .execute(cloud.app.store.writing())
        .await
        .expect("time passes");
    follow(&cloud.app, &cloud.tenant, document).await.expect("asked for");
    cloud.until(document, Status::Archived).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_only_stamps_is_said_to_on_the_page_and_in_the_evidence() {
    let fake = Fake::start(Kind::Docuseal).await;
    let cloud = cloud_at(&fake, "[\"ada@example.com\"]").await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    fake.site.sign("ada@example.com");
    follow(&cloud.app, &cloud.tenant, document).await.expect("asked for");
    let record = cloud.until(document, Status::Archived).await;
    let page = cloud.page(&format!("/documents/{document}")).await;
    assert!(page.contains("no signature"), "{page}");
    let package = cloud.app.keep.get(&cloud.tenant, record.evidence_sha256.expect("archived")).await;
    let report = evidence::verify(std::io::Cursor::new(package.expect("kept")), &Pool::in_process(1));
    assert!(report.holds(), "{report}");
    assert!(report.to_string().contains("what was found of them: no signature"), "{report}");
}

/// A step of a document, as it is leased.
fn job_of(cloud: &Cloud, kind: &str, document: DocumentId) -> Job {
    Job {
        job_id: format!("{document}/{kind}/"),
        tenant: cloud.tenant.clone(),
        document: Some(document),
        kind: kind.into(),
        argument: String::new(),
        failures: 0,
        lease: 0,
        troubles: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_waits_for_a_provider_that_is_away_as_long_as_others_services_are_waited_for() {
    let fake = Fake::start(Kind::Docuseal).await;
    let mut cloud = cloud_at(&fake, "[\"ada@example.com\"]").await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    cloud.rest().await;
    fake.site.sign("ada@example.com");
    let is_signed = async || {
        let asked = cloud.app.signing.courier.poll_envelope(&cloud.tenant, document, Timestamp::now()).await;
        asked.expect("the books can be read");
        cloud.record(document).await.document.status == Status::Signed
    };
    cloud.until_so("it is signed", is_signed).await;
    let archive = job_of(&cloud, kinds::ARCHIVE, document);
    for trouble in [Trouble::Out, Trouble::TooMany, Trouble::Unauthorized] {
        fake.site.trouble(trouble);
        let outcome = super::run(&cloud.app, &archive).await;
        assert!(matches!(outcome, Err(StepError::Away(_))), "{trouble:?}: {outcome:?}");
        assert_eq!(cloud.record(document).await.document.status, Status::Signed, "{trouble:?}");
    }
    let outcome = super::run(&cloud.app, &archive).await;
    assert!(matches!(outcome, Ok(Outcome::Done)), "{outcome:?}");
    assert_eq!(cloud.record(document).await.document.status, Status::Archived);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_to_the_steps_of_signing_what_it_is_to_all_others() {
    let mut cloud = cloud("sandbox", "silent@example.com", 0.5).await;
    let document = cloud.receive().await;
    cloud.until(document, Status::Sent).await;
    cloud.rest().await;
    cloud.app.store.close().await;
    for kind in [kinds::CREATE_ENVELOPE, kinds::FOLLOW_ENVELOPE, kinds::ARCHIVE] {
        let outcome = super::run(&cloud.app, &job_of(&cloud, kind, document)).await;
        assert!(matches!(outcome, Err(StepError::Busy(_))), "{kind}: {outcome:?}");
    }
}

testing::also_on_postgres!(
    a_database_that_is_away_is_to_the_steps_of_signing_what_it_is_to_all_others,
    who_declines_is_replaced_once_by_the_fallback,
    an_envelope_that_expires_is_sent_anew_as_often_as_its_route_says_and_the_first_stays_in_the_history,
    nothing_is_sent_while_a_route_or_an_account_is_paused_and_nothing_is_lost,
    what_was_paused_for_longer_than_its_time_is_sent_when_it_goes_on_with_its_time_anew,
    what_all_have_signed_in_person_is_signed_though_the_mail_to_one_of_them_never_went,
    a_link_serves_nothing_of_what_its_signer_signed_once_that_came_to_nothing,
    a_nul_in_a_form_of_a_page_is_refused_in_words_and_changes_nothing,
    who_withdraws_an_earlier_envelope_withdraws_nothing_of_the_open_one,
    docusign_is_asked_about_an_envelope_once_in_fifteen_minutes_whatever_comes_and_goes,
    a_signed_file_that_is_none_for_an_hour_goes_to_a_person_and_is_fetched_once_it_can_be,
);
