//! Who is let in, until when, and what the audit says of it.

use platen_model::api::EnrollRequest;
use platen_model::keys::{Claims, PublicKey, SigningKey};
use platen_model::{DeviceId, Digest};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::auth::users::{self, Login, hash_password};
use crate::auth::{Scope, Scopes, clients};
use crate::journey_tests::{Agent, Server};
use crate::store::tokens::{self, TokenRow};
use crate::store::{audit, now_ms, people};
use crate::testing::{also_on_postgres, tenant};

async fn enrol(server: &Server, code: &str, key: &SigningKey) -> StatusCode {
    let request = EnrollRequest { code: code.into(), public_key: key.public(), name: "test".into() };
    let answer = server.client.post(format!("{}/v1/devices/enroll", server.url)).json(&request).send().await;
    answer.expect("an answer").status()
}

fn key() -> SigningKey {
    SigningKey::generate().expect("randomness")
}

async fn actions(server: &Server) -> Vec<(String, String)> {
    let entries = audit::list(&server.app.store, &tenant(), None, 100).await.expect("readable");
    entries.into_iter().map(|entry| (entry.action, entry.subject)).collect()
}

async fn asks(server: &Server, agent: &Agent) -> StatusCode {
    server.ask(agent, Method::GET, "/v1/limits").send().await.expect("an answer").status()
}

#[tokio::test]
async fn an_enrolment_code_is_for_one_key_and_ends() {
    let server = Server::start().await;
    let (store, first) = (&server.app.store, key());
    let later = now_ms() + 60_000;
    people::add_code(store, &tenant(), "test", Digest::of(b"one"), later).await.expect("a code");
    people::add_code(store, &tenant(), "test", Digest::of(b"two"), now_ms() - 1).await.expect("a code");
    assert_eq!(enrol(&server, "one", &first).await, StatusCode::OK);
    assert_eq!(enrol(&server, "one", &first).await, StatusCode::OK, "its answer may have been lost");
    assert_eq!(enrol(&server, "one", &key()).await, StatusCode::FORBIDDEN, "it was used");
    assert_eq!(enrol(&server, "two", &key()).await, StatusCode::FORBIDDEN, "its time is over");
    assert_eq!(enrol(&server, "three", &key()).await, StatusCode::FORBIDDEN, "there is none");
    let devices = people::devices(store, &tenant(), None, 10).await.expect("readable");
    assert_eq!(devices.len(), 1);
}

#[tokio::test]
async fn of_two_devices_that_use_one_code_at_once_one_is_enrolled() {
    let server = Server::start().await;
    let store = &server.app.store;
    let code = Digest::of(b"one");
    people::add_code(store, &tenant(), "test", code, now_ms() + 60_000).await.expect("a code");
    let mut write = store.begin().await.expect("a write");
    let first = people::enrol(&mut write, code, "first", &key().public()).await.expect("readable");
    assert!(first.is_some());
    // The other comes before the first is committed.
    let other = store.clone();
    let second = tokio::spawn(async move {
        let mut write = other.begin().await.expect("a write");
        let found = people::enrol(&mut write, code, "second", &key().public()).await.expect("readable");
        write.commit().await.expect("committed");
        found.is_some()
    });
    tokio::task::yield_now().await;
    write.commit().await.expect("committed");
    assert!(!second.await.expect("ended"), "the code was used");
    assert_eq!(people::devices(store, &tenant(), None, 10).await.expect("readable").len(), 1);
}

#[tokio::test]
async fn a_device_replaces_its_key_and_neither_the_old_one_nor_its_tokens_hold() {
    let server = Server::start().await;
    let mut agent = server.enrol("default").await;
    let new = key();
    let path = format!("/v1/devices/{}/key", agent.id);
    let answer = server.ask(&agent, Method::PUT, &path).json(&json!({ "public_key": new.public() }));
    assert_eq!(answer.send().await.expect("an answer").status(), StatusCode::NO_CONTENT);
    assert_eq!(asks(&server, &agent).await, StatusCode::UNAUTHORIZED, "a token of the old key");
    let refused = server.ask_token(&server.assertion(&agent)).await.status();
    assert_eq!(refused, StatusCode::UNAUTHORIZED, "the old key");
    agent.key = new;
    let answer = server.ask_token(&server.assertion(&agent)).await;
    agent.token = answer.json::<platen_model::api::Token>().await.expect("a token").access_token;
    assert_eq!(asks(&server, &agent).await, StatusCode::OK);
    let other = server.enrol("default").await;
    let stolen = server.ask(&other, Method::PUT, &path).json(&json!({ "public_key": key().public() }));
    assert_eq!(stolen.send().await.expect("an answer").status(), StatusCode::FORBIDDEN);
    assert!(actions(&server).await.contains(&("device.key".into(), agent.id.to_string())));
}

#[tokio::test]
async fn a_token_that_was_given_while_its_holder_was_revoked_opens_nothing() {
    let server = Server::start().await;
    let (store, agent) = (&server.app.store, server.enrol("default").await);
    let scopes: Scopes = [Scope::DocumentsWrite].into_iter().collect();
    let (client, _) =
        clients::add_by_hand(&server.app, &tenant(), "till", &scopes, None).await.expect("a client");
    let mut write = store.begin().await.expect("a write");
    people::revoke_device(&mut write, &tenant(), agent.id).await.expect("revoked");
    crate::store::clients::revoke(&mut write, &tenant(), client).await.expect("revoked");
    write.commit().await.expect("committed");
    for holder in [agent.id.to_string(), client.to_string()] {
        // As a request leaves it that was answered beside the revocation.
        let row = TokenRow { tenant: tenant(), holder: holder.clone(), scopes: scopes.to_string() };
        let digest = Digest::of(holder.as_bytes());
        assert!(tokens::issue(store, &row, digest, now_ms() + 60_000, None).await.expect("kept"));
        let late = Agent { id: agent.id, key: key(), token: holder };
        assert_eq!(asks(&server, &late).await, StatusCode::UNAUTHORIZED);
    }
}

/// Asks for a token by an assertion of a key.
async fn by_key(server: &Server, client: &str, key: &SigningKey) -> StatusCode {
    let iat = now_ms() / 1000;
    let claims = Claims {
        iss: client.into(),
        sub: client.into(),
        aud: format!("{}/oauth/token", server.url),
        iat,
        exp: iat + 60,
        jti: DeviceId::new().to_string(),
    };
    server.ask_token(&key.jwt(&claims)).await.status()
}

async fn by_secret(server: &Server, client: &str, secret: &str) -> StatusCode {
    let form = [("grant_type", "client_credentials")];
    let request = server.client.post(format!("{}/oauth/token", server.url)).form(&form);
    request.basic_auth(client, Some(secret)).send().await.expect("an answer").status()
}

#[tokio::test]
async fn a_client_proves_itself_by_a_key_and_old_credentials_end_when_new_ones_retire_them() {
    let server = Server::start().await;
    let scopes: Scopes = [Scope::DocumentsRead, Scope::Admin].into_iter().collect();
    let (first, key_of_first) = (key(), key().public());
    let public: Option<PublicKey> = Some(first.public());
    let (client, secret) =
        clients::add_by_hand(&server.app, &tenant(), "till", &scopes, public).await.expect("a client");
    assert!(secret.is_none(), "a client with a key has no secret");
    let client = client.to_string();
    assert_eq!(by_key(&server, &client, &first).await, StatusCode::OK);
    assert_eq!(by_key(&server, &client, &key()).await, StatusCode::UNAUTHORIZED, "another's key");

    let admin = crate::contract_tests::token(&server, "default", scopes.clone()).await;
    let add = async |body: Value| {
        let url = format!("{}/v1/clients/{client}/credentials", server.url);
        let answer = server.client.post(url).bearer_auth(&admin).json(&body).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json::<Value>().await.expect("JSON")
    };
    let made = add(json!({ "retire_others_after_hours": 1 })).await;
    let secret = made["client_secret"].as_str().expect("shown once").to_owned();
    assert_eq!(by_secret(&server, &client, &secret).await, StatusCode::OK);
    assert_eq!(by_key(&server, &client, &first).await, StatusCode::OK, "for an hour both hold");
    let kept = &made["client"]["credentials"];
    let ends: Vec<bool> =
        kept.as_array().expect("a list").iter().map(|one| one["expires_at"].is_string()).collect();
    assert_eq!(ends, [true, false], "{kept}");
    add(json!({ "public_key": key_of_first, "retire_others_after_hours": 0 })).await;
    assert_eq!(by_key(&server, &client, &first).await, StatusCode::UNAUTHORIZED, "ended at once");
    assert_eq!(by_secret(&server, &client, &secret).await, StatusCode::UNAUTHORIZED, "ended at once");
}

#[tokio::test]
async fn the_audit_tells_of_signing_out_of_tries_while_locked_and_of_wrong_secrets_but_not_each() {
    let server = Server::start_with(|config| config.limits.login_failures = 2).await;
    let (app, store) = (&server.app, &server.app.store);
    let hash = hash_password("correct horse").expect("long enough");
    people::put_user(store, &tenant(), "ada", "admin", &hash).await.expect("a user");
    let Login::Open(token) = users::login(app, "ada", "correct horse").await.expect("an answer") else {
        panic!("the right password opens");
    };
    users::logout(app, &token).await.expect("signed out");
    users::logout(app, &token).await.expect("nobody is signed in any more");
    for _ in 0..2 {
        assert_eq!(users::login(app, "ada", "wrong").await.expect("an answer"), Login::Wrong);
    }
    for _ in 0..3 {
        let locked = users::login(app, "ada", "correct horse").await.expect("an answer");
        assert!(matches!(locked, Login::Locked(_)));
    }
    let scopes: Scopes = [Scope::DocumentsRead].into_iter().collect();
    let (client, _) = clients::add_by_hand(app, &tenant(), "till", &scopes, None).await.expect("a client");
    for _ in 0..3 {
        assert_eq!(by_secret(&server, &client.to_string(), "wrong").await, StatusCode::UNAUTHORIZED);
    }
    let told = actions(&server).await;
    let count = |action: &str, subject: &str| {
        told.iter().filter(|(told, about)| told == action && about == subject).count()
    };
    assert_eq!(count("user.add", "ada"), 1);
    assert_eq!(count("sign-in", "ada"), 1);
    assert_eq!(count("sign-out", "ada"), 1);
    assert_eq!(count("sign-in.wrong", "ada"), 2);
    assert_eq!(count("sign-in.locked", "ada"), 1, "a stranger does not fill the audit");
    assert_eq!(count("token.refused", &client.to_string()), 1);
}

also_on_postgres!(
    an_enrolment_code_is_for_one_key_and_ends,
    of_two_devices_that_use_one_code_at_once_one_is_enrolled,
    a_token_that_was_given_while_its_holder_was_revoked_opens_nothing,
    a_client_proves_itself_by_a_key_and_old_credentials_end_when_new_ones_retire_them,
    the_audit_tells_of_signing_out_of_tries_while_locked_and_of_wrong_secrets_but_not_each,
);
