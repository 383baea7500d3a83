//! Claims about how signers prove who they are: codes by mail and by telephone, and PINs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use askama::Template as _;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use platen_model::Recipient;

use super::identity::{CodeSent, Proof};
use super::mail::Way;
use super::page::{Asked, Signature};
use super::tests::{ADA, BOB, desk, desk_with, letters, letters_to, visit, visitor};
use super::*;
use crate::signing::secret::Secret;
use crate::signing::trial::Trial;

/// Sets the first signer's PIN.
async fn set_pin(trial: &Trial, order: &Order, pin: &str) -> Result<(), ProviderError> {
    let pin = Desk::hash_pin(pin).await?;
    let mut connection = trial.place.database.acquire().await.expect("a connection");
    Desk::set_pin(&mut connection, &trial.tenant, order.envelope_id, 0, &pin, "user:eve").await
}

/// What came to a gateway: the header with the secret, and the body.
type Messages = Arc<Mutex<Vec<(String, serde_json::Value)>>>;

/// A gateway for messages by telephone that answers its first requests with these statuses, then with 202.
async fn gateway(first: &[u16]) -> (Sms, Messages, tempfile::TempDir) {
    type Site = State<(Messages, Arc<Mutex<Vec<u16>>>)>;
    let messages = Messages::default();
    let first: Vec<u16> = first.iter().rev().copied().collect();
    let state = (Arc::clone(&messages), Arc::new(Mutex::new(first)));
    let take = async |State((messages, first)): Site, headers: HeaderMap, body: String| {
        let secret = headers["x-api-key"].to_str().expect("text").to_owned();
        let body = serde_json::from_str(&body).expect("JSON");
        messages.lock().expect("nobody panicked").push((secret, body));
        let status = first.lock().expect("nobody panicked").pop().unwrap_or(202);
        StatusCode::from_u16(status).expect("a status")
    };
    let router = axum::Router::new().route("/send", axum::routing::post(take)).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/send", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("key"), "first").expect("write");
    let secret = Secret::File(folder.path().join("key"));
    let sms = Sms {
        url,
        content_type: "application/json".into(),
        body: r#"{"recipients": ["{to}"], "message": "{text}"}"#.into(),
        headers: BTreeMap::from([("x-api-key".to_owned(), secret)]),
    };
    sms.check().expect("a sound gateway");
    (sms, messages, folder)
}

#[tokio::test]
async fn where_a_code_is_asked_for_the_link_alone_opens_nothing() {
    let trial = Trial::new().await;
    let desk = desk_with(&trial, Identity::Code);
    let order = trial.order(&[ADA]);
    desk.create(&order).await.expect("taken");
    let again = async || visit(&desk, &trial, &order, 0).await;
    assert_eq!(again().await.unproved(None), Some(Asked::Code));
    assert_eq!(desk.prove(&again().await, "123456").await, Ok(Proof::Spent), "none was sent");
    desk.send_code(&again().await).await.expect("sent");
    desk.send_code(&again().await).await.expect("a moment later nothing more is sent");
    let codes: Vec<String> = letters(&trial)
        .iter()
        .filter_map(|letter| letter.split("Your code is ").nth(1).map(|rest| rest[..6].to_owned()))
        .collect();
    let [code] = &codes[..] else { panic!("one code: {codes:?}") };
    let wrong = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(desk.prove(&again().await, wrong).await, Ok(Proof::Wrong));
    let spaced = format!(" {} {} ", &code[..3], &code[3..]);
    let Ok(Proof::Proved(secret)) = desk.prove(&again().await, &spaced).await else {
        panic!("the right code")
    };
    assert_eq!(again().await.unproved(Some(&secret)), None);
    for other in [Some("another browser"), None] {
        assert_eq!(again().await.unproved(other), Some(Asked::Code));
    }
    assert_eq!(desk.prove(&again().await, code).await, Ok(Proof::Spent), "a code counts once");

    sqlx::query("UPDATE desk_signers SET code_sent_ms = 0")
        .execute(&trial.place.database)
        .await
        .expect("later");
    desk.send_code(&again().await).await.expect("sent");
    for _ in 0..5 {
        assert_eq!(desk.prove(&again().await, "x").await, Ok(Proof::Wrong));
    }
    assert_eq!(desk.prove(&again().await, "x").await, Ok(Proof::Spent), "five tries are enough");
}

#[tokio::test]
async fn a_pin_opens_the_document_for_the_browser_that_gave_it_and_locks_after_five_wrong_tries() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let order = trial.order(&[ADA, BOB]);
    let reference = desk.create(&order).await.expect("taken");
    let again = async || visit(&desk, &trial, &order, 0).await;
    let set = async |pin: &str| set_pin(&trial, &order, pin).await;
    for bad in ["", "123", "12 34", &"1".repeat(65)] {
        assert!(matches!(set(bad).await, Err(ProviderError::Refused(_))), "{bad:?}");
    }
    assert_eq!(again().await.unproved(None), None, "there is no PIN yet");
    set("4711").await.expect("set");
    assert_eq!(again().await.unproved(None), Some(Asked::Pin));
    assert_eq!(visit(&desk, &trial, &order, 1).await.unproved(None), None, "it is Ada's alone");
    assert_eq!(desk.prove_pin(&again().await, None, "0000").await, Ok(Proof::Wrong));
    let Ok(Proof::Proved(secret)) = desk.prove_pin(&again().await, None, " 4711 ").await else {
        panic!("the right PIN")
    };
    assert_eq!(again().await.unproved(Some(&secret)), None);
    assert_eq!(again().await.unproved(Some("another browser")), Some(Asked::Pin));
    for _ in 0..5 {
        assert_eq!(desk.prove_pin(&again().await, None, "0000").await, Ok(Proof::Wrong));
    }
    assert_eq!(desk.prove_pin(&again().await, None, "4711").await, Ok(Proof::Spent), "locked");
    let page = again().await.pin_page(None).render().expect("a page");
    assert!(page.contains("locked") && !page.contains("name=\"pin\""), "{page}");
    set("another-pin").await.expect("set");
    assert_eq!(again().await.unproved(Some(&secret)), Some(Asked::Pin), "the new one is to be given");
    let proved = desk.prove_pin(&again().await, None, "another-pin").await;
    assert!(matches!(proved, Ok(Proof::Proved(_))), "{proved:?}");
    let record = desk.record(&trial.tenant, &reference).await.expect("a record");
    assert!(record["signers"][0]["pin_given_at"].is_string() && record["signers"][1]["pin_set_at"].is_null());
    assert!(!record.to_string().contains("argon2"), "{record}");
}

#[tokio::test]
async fn what_was_proved_before_a_signature_stays_as_it_was_whatever_is_proved_afterwards() {
    let trial = Trial::new().await;
    let desk = desk_with(&trial, Identity::Code);
    let order = trial.order(&[ADA]);
    let reference = desk.create(&order).await.expect("taken");
    set_pin(&trial, &order, "4711").await.expect("set");
    let again = async || visit(&desk, &trial, &order, 0).await;
    let prove = async || {
        let earlier = letters(&trial);
        sqlx::query("UPDATE desk_signers SET code_sent_ms = 0")
            .execute(&trial.place.database)
            .await
            .expect("a moment passes");
        desk.send_code(&again().await).await.expect("sent");
        let all = letters(&trial);
        let newest = all.iter().filter(|letter| !earlier.contains(letter));
        let code = newest.filter_map(|letter| letter.split("Your code is ").nth(1)).next().expect("a code");
        let proved = desk.prove(&again().await, &code[..6]).await;
        let Ok(Proof::Proved(browser)) = proved else { panic!("the code: {proved:?}") };
        let given = desk.prove_pin(&again().await, Some(&browser), "4711").await;
        assert!(matches!(given, Ok(Proof::Proved(_))), "{given:?}");
        browser
    };
    prove().await;
    desk.sign(&again().await, &Signature::typed("Ada"), &visitor()).await.expect("signed");
    // The signature and all before it are of some time ago.
    for statement in
        ["UPDATE desk_signers SET proved_ms = 7, invited_ms = 7", "UPDATE desk_pins SET given_ms = 7"]
    {
        sqlx::query(statement).execute(&trial.place.database).await.expect("time passes");
    }
    let browser = prove().await;
    assert_eq!(again().await.unproved(Some(&browser)), None, "the document is there to be fetched");
    let refused = set_pin(&trial, &order, "another-pin").await.expect_err("there is nothing left to prove");
    assert!(matches!(refused, ProviderError::Refused(_)), "{refused}");
    let record = desk.record(&trial.tenant, &reference).await.expect("a record");
    for fact in ["identity_proved_at", "pin_given_at"] {
        assert_eq!(record["signers"][0][fact], "1970-01-01T00:00:00.007Z", "{fact}");
    }
}

#[tokio::test]
async fn a_reminder_does_not_change_when_a_signer_was_first_asked() {
    let trial = Trial::new().await;
    let desk = desk(&trial);
    let reference = desk.create(&trial.order(&[ADA])).await.expect("taken");
    let statement = "UPDATE desk_signers SET invited_ms = 7";
    sqlx::query(statement).execute(&trial.place.database).await.expect("time passes");
    desk.remind(&trial.tenant, &reference).await.expect("reminded");
    let record = desk.record(&trial.tenant, &reference).await.expect("a record");
    assert_eq!(record["signers"][0]["invited_at"], "1970-01-01T00:00:00.007Z");
}

#[tokio::test]
async fn where_both_are_asked_for_a_pin_comes_after_the_code_and_from_the_same_browser() {
    let trial = Trial::new().await;
    let desk = desk_with(&trial, Identity::Code);
    let order = trial.order(&[ADA]);
    desk.create(&order).await.expect("taken");
    set_pin(&trial, &order, "4711").await.expect("set");
    let again = async || visit(&desk, &trial, &order, 0).await;
    assert_eq!(again().await.unproved(None), Some(Asked::Code));
    desk.send_code(&again().await).await.expect("sent");
    let letters = letters(&trial);
    let code = letters.iter().find_map(|letter| letter.split("Your code is ").nth(1)).expect("a code");
    let Ok(Proof::Proved(browser)) = desk.prove(&again().await, &code[..6]).await else { panic!("the code") };
    assert_eq!(again().await.unproved(Some(&browser)), Some(Asked::Pin));
    let proved = desk.prove_pin(&again().await, Some(&browser), "4711").await;
    assert_eq!(proved, Ok(Proof::Proved(browser.clone())));
    assert_eq!(again().await.unproved(Some(&browser)), None);
}

#[tokio::test]
async fn a_signer_has_so_many_codes_a_day_and_a_new_day_has_new_ones() {
    let trial = Trial::new().await;
    let desk = desk_with(&trial, Identity::Code);
    let order = trial.order(&[ADA, BOB]);
    desk.create(&order).await.expect("taken");
    let ask = async |position| {
        // The rest between two codes is over.
        let statement = "UPDATE desk_signers SET code_sent_ms = 0";
        sqlx::query(statement).execute(&trial.place.database).await.expect("later");
        desk.send_code(&visit(&desk, &trial, &order, position).await).await.expect("answered")
    };
    let codes_a_day = config::Desk::default().codes_a_day;
    for _ in 0..codes_a_day {
        assert_eq!(ask(0).await, CodeSent::Sent);
    }
    let sent = || letters(&trial).iter().filter(|letter| letter.contains("Your code is ")).count();
    assert_eq!((ask(0).await, ask(0).await), (CodeSent::UsedUp, CodeSent::UsedUp));
    assert_eq!(sent(), codes_a_day as usize, "nothing more was sent");
    assert_eq!(ask(1).await, CodeSent::Sent, "another signer has codes of their own");
    sqlx::query("UPDATE desk_signers SET codes_day = codes_day - 1")
        .execute(&trial.place.database)
        .await
        .expect("the next day");
    assert_eq!(ask(0).await, CodeSent::Sent);
}

#[tokio::test]
async fn who_has_a_telephone_number_is_asked_for_a_code_that_goes_there_and_to_no_mailbox() {
    let (sms, messages, secrets) = gateway(&[503, 429]).await;
    let trial = Trial::new().await;
    let way = Way::Folder(trial.folder.path().join("mail"));
    let config = config::Desk { sms: Some(sms), codes_a_day: 2, ..config::Desk::default() };
    let desk = Desk::new(trial.place.clone(), Post { from: "desk@office.example".into(), way }, &config);
    let ada = Recipient { phone: Some("+493012345678".into()), ..Recipient::signer(ADA, 1) };
    let order = Order {
        title: "The \"nda\".pdf".into(),
        recipients: vec![ada, Recipient::signer(BOB, 2)],
        ..trial.order(&[])
    };
    let reference = desk.create(&order).await.expect("taken");
    let again = async || visit(&desk, &trial, &order, 0).await;
    assert_eq!(visit(&desk, &trial, &order, 1).await.unproved(None), None, "Bob has none");
    assert_eq!(again().await.unproved(None), Some(Asked::Code), "though links are enough for others");
    let page = again().await.code_page(false, None).render().expect("a page");
    assert!(page.contains("ends in 78") && !page.contains("3012345678"), "{page}");
    assert_eq!(desk.send_code(&again().await).await, Ok(CodeSent::Sent));
    let sent = messages.lock().expect("nobody panicked").clone();
    assert_eq!(sent.len(), 3, "asked again until it is taken");
    assert!(sent.iter().all(|message| *message == sent[0]), "the same each time: {sent:?}");
    let (secret, body) = &sent[0];
    assert_eq!((secret.as_str(), &body["recipients"][0]), ("first", &"+493012345678".into()));
    let text = body["message"].as_str().expect("text");
    assert!(text.contains("to sign \"The \"nda\".pdf\""), "{text}");
    assert_eq!(letters_to(&trial, ADA), 1, "the invitation, and no code");
    let proved = desk.prove(&again().await, &text[..6]).await;
    let Ok(Proof::Proved(browser)) = proved else { panic!("{proved:?}") };
    assert_eq!(again().await.unproved(Some(&browser)), None);
    desk.sign(&again().await, &Signature::typed("Ada"), &visitor()).await.expect("signed");
    let record = desk.record(&trial.tenant, &reference).await.expect("a record");
    assert_eq!(record["signers"][0]["phone"], "+493012345678");

    // The day has two, and the secret is read at every use.
    std::fs::write(secrets.path().join("key"), "second\n").expect("write");
    let later = async || {
        let statement = "UPDATE desk_signers SET code_sent_ms = 0";
        sqlx::query(statement).execute(&trial.place.database).await.expect("later");
        desk.send_code(&again().await).await
    };
    assert_eq!(later().await, Ok(CodeSent::Sent));
    assert_eq!(later().await, Ok(CodeSent::UsedUp));
    let sent = messages.lock().expect("nobody panicked").clone();
    assert_eq!((sent.len(), sent[3].0.as_str()), (4, "second"));
}

#[tokio::test]
async fn a_code_that_the_gateway_does_not_take_is_not_said_to_be_sent() {
    let (sms, messages, _secrets) = gateway(&[400]).await;
    let trial = Trial::new().await;
    let config = config::Desk { sms: Some(sms), ..config::Desk::default() };
    let way = Way::Folder(trial.folder.path().join("mail"));
    let desk = Desk::new(trial.place.clone(), Post { from: "desk@office.example".into(), way }, &config);
    let ada = Recipient { phone: Some("+493012345678".into()), ..Recipient::signer(ADA, 1) };
    let order = Order { recipients: vec![ada], ..trial.order(&[]) };
    desk.create(&order).await.expect("taken");
    let again = async || visit(&desk, &trial, &order, 0).await;
    let refused = desk.send_code(&again().await).await.expect_err("it says no");
    assert!(refused.to_string().contains("400"), "{refused}");
    assert_eq!(messages.lock().expect("nobody panicked").len(), 1, "a no is not asked about again");
    assert_eq!(desk.prove(&again().await, "000000").await, Ok(Proof::Spent), "there is none to give");
    assert_eq!(desk.send_code(&again().await).await, Ok(CodeSent::Sent), "and at once another");
    assert_eq!(messages.lock().expect("nobody panicked").len(), 2);
}

crate::testing::also_on_postgres!(
    where_a_code_is_asked_for_the_link_alone_opens_nothing,
    a_pin_opens_the_document_for_the_browser_that_gave_it_and_locks_after_five_wrong_tries,
    a_signer_has_so_many_codes_a_day_and_a_new_day_has_new_ones,
    what_was_proved_before_a_signature_stays_as_it_was_whatever_is_proved_afterwards,
    a_reminder_does_not_change_when_a_signer_was_first_asked,
);
