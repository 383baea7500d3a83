//! Who is let in, until when, and what the audit says of it.

use platen_model::api::EnrollRequest;
use platen_model::keys::{Claims, PublicKey, SigningKey};
use platen_model::{DeviceId, Digest};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::auth::users::{self, Login, hash_password};
use crate::auth::{Role, Scope, Scopes, clients};
use crate::journey_tests::{Agent, Server};
use crate::store::clients::Proof;
use crate::store::tokens::{self, Issue, TokenRow};
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
    people::add_code(store, &tenant(), "test", Digest::of(b"ONE"), later).await.expect("a code");
    people::add_code(store, &tenant(), "test", Digest::of(b"TWO"), now_ms() - 1).await.expect("a code");
    assert_eq!(enrol(&server, "ONE", &first).await, StatusCode::OK);
    assert_eq!(
        enrol(&server, "one", &first).await,
        StatusCode::OK,
        "its answer may have been lost; typed by hand"
    );
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
        let mut write = store.begin().await.expect("a write");
        tokens::keep(&mut write, &row, digest, now_ms() + 60_000).await.expect("kept");
        write.commit().await.expect("committed");
        let late = Agent { id: agent.id, key: key(), token: holder };
        assert_eq!(asks(&server, &late).await, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn a_token_of_a_replaced_key_ends_however_the_device_wrote_its_id() {
    let server = Server::start().await;
    let mut agent = server.enrol("default").await;
    let written = agent.id.to_string().to_uppercase();
    let answer = server.ask_token(&agent.key.jwt(&claims(&server, &written))).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let of_old = answer.json::<platen_model::api::Token>().await.expect("a token").access_token;
    let path = format!("/v1/devices/{}/key", agent.id);
    let replace = async |agent: &Agent| {
        let answer = server.ask(agent, Method::PUT, &path).json(&json!({ "public_key": key().public() }));
        answer.send().await.expect("an answer").status()
    };
    assert_eq!(replace(&agent).await, StatusCode::NO_CONTENT);
    agent.token = of_old;
    assert_eq!(replace(&agent).await, StatusCode::UNAUTHORIZED, "who had the old key takes nothing over");
}

#[tokio::test]
async fn no_token_and_no_session_comes_of_what_was_taken_away_while_it_was_tried() {
    let server = Server::start().await;
    let (store, agent) = (&server.app.store, server.enrol("default").await);
    let scopes: Scopes = [Scope::DocumentsRead].into_iter().collect();
    let (client, secret) =
        clients::add_by_hand(&server.app, &tenant(), "till", &scopes, None).await.expect("a client");
    let secret = Proof::Secret(Digest::of(secret.expect("shown once").as_bytes()));
    let issue = async |holder: String, proof: &Proof| {
        let row = TokenRow { tenant: tenant(), holder, scopes: scopes.to_string() };
        let digest = Digest::of(DeviceId::new().to_string().as_bytes());
        tokens::issue(store, &row, digest, now_ms() + 60_000, proof, None).await.expect("an answer")
    };
    let of_device = Proof::Key(agent.key.public());
    assert_eq!(issue(agent.id.to_string(), &of_device).await, Issue::Done);
    assert_eq!(issue(client.to_string(), &secret).await, Issue::Done);
    let mut write = store.begin().await.expect("a write");
    people::replace_key(&mut write, &tenant(), agent.id, &key().public()).await.expect("replaced");
    let credentials = crate::store::clients::credentials(store, &tenant(), client).await.expect("readable");
    let first = credentials[0].credential_id;
    crate::store::clients::remove_credential(&mut write, &tenant(), client, first).await.expect("removed");
    write.commit().await.expect("committed");
    assert_eq!(issue(agent.id.to_string(), &of_device).await, Issue::ProofEnded);
    assert_eq!(issue(client.to_string(), &secret).await, Issue::ProofEnded);

    let hash = hash_password("correct horse").expect("long enough");
    people::put_user(store, &tenant(), "ada", "admin", &hash).await.expect("a user");
    let tried = people::user(store, "ada").await.expect("readable").expect("a user");
    let name = Digest::of(b"ada");
    let open = async |token: &[u8]| {
        let ends = now_ms() + 60_000;
        people::open_session(store, &tried, name, Digest::of(token), ends).await.expect("an answer")
    };
    assert!(open(b"before").await);
    let other = hash_password("battery staple").expect("long enough");
    people::put_user(store, &tenant(), "ada", "admin", &other).await.expect("a user");
    assert!(!open(b"after").await, "the password was changed while it was tried");
}

#[tokio::test]
async fn nobody_gives_more_than_they_have_by_a_clients_secret_or_a_persons_password() {
    let server = Server::start().await;
    let app = &server.app;
    let metrics: Scopes = [Scope::Metrics].into_iter().collect();
    let (client, _) = clients::add_by_hand(app, &tenant(), "watch", &metrics, None).await.expect("a client");
    let hash = hash_password("correct horse").expect("long enough");
    people::put_user(&app.store, &tenant(), "ada", "admin", &hash).await.expect("a user");
    let only_admin =
        crate::contract_tests::token(&server, "default", [Scope::Admin].into_iter().collect()).await;
    let all = crate::contract_tests::token(&server, "default", Scopes::of_role(Role::Admin)).await;
    let ask = async |token: &str, method: Method, path: &str, body: Value| {
        let request = server.client.request(method, format!("{}{path}", server.url)).bearer_auth(token);
        request.json(&body).send().await.expect("an answer").status().as_u16()
    };
    let of_client = format!("/v1/clients/{client}/credentials");
    let bob = json!({ "name": "bob", "role": "reviewer", "password": "battery staple" });
    for (token, expected) in [(&only_admin, 403), (&all, 201)] {
        assert_eq!(ask(token, Method::POST, "/v1/users", bob.clone()).await, expected);
    }
    for token in [&only_admin, &all] {
        assert_eq!(
            ask(token, Method::POST, &of_client, json!({})).await,
            403,
            "metrics are the whole site's"
        );
    }
    let password = json!({ "password": "another one" });
    assert_eq!(ask(&only_admin, Method::PATCH, "/v1/users/ada", password.clone()).await, 403);
    assert_eq!(ask(&all, Method::PATCH, "/v1/users/ada", password).await, 200);
}

#[tokio::test]
async fn who_only_administers_keeps_anybody_out_and_lets_nobody_in_who_may_more() {
    let server = Server::start().await;
    let store = &server.app.store;
    people::add_tenant(store, &tenant()).await.expect("a tenant");
    let hash = hash_password("correct horse").expect("long enough");
    for (name, role) in [("ada", "admin"), ("eve", "reviewer")] {
        people::put_user(store, &tenant(), name, role, &hash).await.expect("a user");
    }
    let only_admin = [Scope::Admin].into_iter().collect();
    let token = crate::contract_tests::token(&server, "default", only_admin).await;
    let change = async |change: Value| {
        let request = server.client.patch(format!("{}/v1/users/eve", server.url)).bearer_auth(&token);
        request.json(&change).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(change(json!({ "enabled": false })).await, 200, "she has left");
    assert_eq!(change(json!({ "enabled": true })).await, 403);
    assert_eq!(change(json!({ "enabled": false, "password": "battery staple" })).await, 403);
    assert_eq!(change(json!({ "role": "reviewer" })).await, 403, "nobody is given more than the caller has");
    let eve = server.client.get(format!("{}/v1/users/eve", server.url)).bearer_auth(&token);
    let eve: Value = eve.send().await.expect("an answer").json().await.expect("a person");
    assert_eq!(eve["enabled"], json!(false), "{eve}");
}

#[tokio::test]
async fn a_tenant_that_a_client_administers_may_disable_its_people_and_the_last_administrator_stays() {
    let server = Server::start().await;
    let store = &server.app.store;
    people::add_tenant(store, &tenant()).await.expect("a tenant");
    let hash = hash_password("correct horse").expect("long enough");
    people::put_user(store, &tenant(), "bob", "reviewer", &hash).await.expect("a user");
    let token = crate::contract_tests::token(&server, "default", Scopes::of_role(Role::Admin)).await;
    let disable = async |name: &str| {
        let request = server.client.patch(format!("{}/v1/users/{name}", server.url)).bearer_auth(&token);
        request.json(&json!({ "enabled": false })).send().await.expect("an answer").status()
    };
    assert_eq!(disable("bob").await, StatusCode::OK, "there is no administrator, nor was there one");
    people::put_user(store, &tenant(), "ada", "admin", &hash).await.expect("a user");
    assert_eq!(disable("ada").await, StatusCode::CONFLICT);
}

/// What an assertion says that is signed now, for a device or client that is written like this.
fn claims(server: &Server, subject: &str) -> Claims {
    let iat = now_ms() / 1000;
    Claims {
        iss: subject.into(),
        sub: subject.into(),
        aud: format!("{}/oauth/token", server.url),
        iat,
        exp: iat + 60,
        jti: DeviceId::new().to_string(),
    }
}

/// Asks for a token by an assertion of a key.
async fn by_key(server: &Server, client: &str, key: &SigningKey) -> StatusCode {
    server.ask_token(&key.jwt(&claims(server, client))).await.status()
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
    who_only_administers_keeps_anybody_out_and_lets_nobody_in_who_may_more,
    a_token_of_a_replaced_key_ends_however_the_device_wrote_its_id,
    no_token_and_no_session_comes_of_what_was_taken_away_while_it_was_tried,
    an_enrolment_code_is_for_one_key_and_ends,
    of_two_devices_that_use_one_code_at_once_one_is_enrolled,
    a_token_that_was_given_while_its_holder_was_revoked_opens_nothing,
    a_client_proves_itself_by_a_key_and_old_credentials_end_when_new_ones_retire_them,
    the_audit_tells_of_signing_out_of_tries_while_locked_and_of_wrong_secrets_but_not_each,
);
