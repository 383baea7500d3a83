//! The contract: what is checked in is what the code makes, and it says of each operation what a client must know.

use platen_model::event::{Actor, EventBody};
use platen_model::keys::SigningKey;
use platen_model::{
    ClientId, Digest, DocumentId, DocumentManifest, EnvelopeId, PageText, PartRole, Problem, Recipient,
};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::users::{self, Login};
use crate::auth::{Role, SESSION_COOKIE, Scope, Scopes, clients};
use crate::http;
use crate::journey_tests::{Server, header};
use crate::store::tokens::{self, TokenRow};
use crate::store::webhooks;
use crate::store::{self, now_ms, people};
use crate::testing::tenant;

/// All operations: path, verb, and what the contract says of them.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        item.as_object()
            .into_iter()
            .flatten()
            .map(move |(verb, operation)| (path.as_str(), verb.as_str(), operation))
    })
}

#[test]
fn the_contract_that_is_checked_in_is_the_one_the_code_makes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    let made = format!("{:#}\n", http::openapi());
    if std::env::var_os("PLATEN_RENEW").is_some() {
        std::fs::write(path, &made).expect("written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/openapi.json is not what the code makes; look whether clients can live with the difference, then renew \
         it: PLATEN_RENEW=1 cargo nextest run --workspace -E 'test(the_contract_that)'"
    );
}

#[test]
fn every_operation_says_what_it_is_for_who_may_call_it_and_how_it_may_be_refused() {
    let document = http::openapi();
    let mut ids = std::collections::BTreeSet::new();
    for (path, verb, operation) in operations(&document) {
        let name = format!("{verb} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name} has no summary");
        assert!(ids.insert(operation["operationId"].to_string()), "{name} shares its id with another");
        assert!(operation["responses"]["5XX"].is_object(), "{name}");
        let open = ["/healthz", "/readyz", "/oauth/token", "/v1/devices/enroll"].contains(&path)
            || path.starts_with("/v1/webhooks/")
            || verb == "options";
        assert_eq!(open, operation["security"].is_null(), "{name}: who may call it?");
    }
}

/// The body an operation takes, where it takes JSON; `document` is named where a body names one.
fn sample(operation: &str, document: DocumentId) -> Option<Value> {
    Some(match operation {
        "review" => json!({ "action": "reject", "comment": "no" }),
        "void" | "hold" | "pause_signing" => json!({ "reason": "not now" }),
        "accept_returned" => json!({ "sha256": Digest::of(b"x"), "reason": "seen" }),
        "create_envelope" => json!({
            "document_id": document,
            "provider": "desk",
            "recipients": [{ "address": "ada@example.com", "role": "signer", "order": 1 }],
        }),
        "set_pin" => json!({ "pin": "4711" }),
        "add_endpoint" => json!({ "url": "https://example.com/", "events": [] }),
        "change_endpoint" => json!({ "events": [] }),
        "add_client" => json!({ "name": "x", "scopes": ["documents:read"] }),
        "correct" => json!({ "department": "legal" }),
        "dry_run_policy" => json!({ "policy": "version = '1'" }),
        "presign_upload" => json!({ "sha256": Digest::of(b"x"), "bytes": 1, "mime": "image/tiff" }),
        "reprocess" => json!({}),
        "supply_text" => serde_json::to_value(PageText::new(Vec::new())).expect("plain data"),
        "add_user" => json!({ "name": "ada", "role": "viewer", "password": "correct horse" }),
        "change_user" => json!({ "role": "viewer" }),
        "add_credential" | "make_enrolment_code" => json!({}),
        "report_status" => json!({ "agent": "x", "free_bytes": 1, "outbox": { "waiting": 0 } }),
        "give_order" => json!({ "order": "retry_all_captures" }),
        "rotate_device_key" => json!({ "public_key": SigningKey::generate().expect("randomness").public() }),
        _ => return None,
    })
}

/// A token of a client of this tenant with these scopes.
pub(crate) async fn token(server: &Server, tenant: &str, scopes: Scopes) -> String {
    let (token, tenant) = (ClientId::new().to_string(), tenant.parse().expect("a name"));
    let row = TokenRow { tenant, holder: token.clone(), scopes: scopes.to_string() };
    let digest = Digest::of(token.as_bytes());
    let mut write = server.app.store.begin().await.expect("a write");
    tokens::keep(&mut write, &row, digest, now_ms() + 600_000).await.expect("a token");
    write.commit().await.expect("committed");
    token
}

/// PostgreSQL takes no NUL in a text: what has one is refused before it gets there.
#[tokio::test]
async fn what_has_a_nul_is_refused_like_anything_that_is_not_there_or_not_sound() {
    let server = Server::start().await;
    let token = token(&server, "default", Scopes::of_role(Role::Admin)).await;
    let check = async |method: Method, path: &str, body: Value, expected: u16| {
        let request = server.client.request(method, format!("{}{path}", server.url)).bearer_auth(&token);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), expected, "{path}");
        assert!(header(&answer, "content-type").starts_with("application/problem+json"), "{path}");
    };
    check(Method::GET, "/v1/users/a%00b", Value::Null, 404).await;
    check(Method::GET, "/v1/users?after=%00", Value::Null, 422).await;
    check(Method::GET, "/v1/documents?type=a%00b", Value::Null, 422).await;
    check(Method::GET, "/documents?status=a%00b", Value::Null, 422).await;
    let named = json!({ "name": "a\u{0}b", "role": "viewer", "password": "correct horse" });
    check(Method::POST, "/v1/users", named, 422).await;
    let login = users::login(&server.app, "a\0b", "correct horse").await.expect("an answer");
    assert_eq!(login, Login::Wrong);
}

#[tokio::test]
async fn inv12_every_route_asks_who_it_is_for_its_scope_and_shows_nothing_of_another_tenant() {
    let server = Server::start().await;
    let (agent, _) = (server.enrol("default").await, server.enrol("other").await);
    let endpoint = webhooks::Endpoint {
        endpoint_id: Uuid::now_v7(),
        tenant: tenant(),
        url: "https://example.com/".into(),
        events: Vec::new(),
        secret_number: 1,
        former_until_ms: 0,
        disabled: String::new(),
        failing_ms: 0,
        created_ms: 0,
    };
    let mut write = server.app.store.begin().await.expect("a write");
    webhooks::add(&mut write, &endpoint).await.expect("added");
    write.commit().await.expect("committed");
    let manifest = server.prepare(&agent, "nda").await;
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
    let envelope = sent_to_the_sandbox(&server, &manifest).await;
    let filter = webhooks::Filter { limit: 1, ..webhooks::Filter::default() };
    let deliveries = webhooks::deliveries(&server.app.store, &tenant(), &filter).await.expect("a list");
    let delivery = deliveries[0].delivery_id.to_string();
    let upload = server.begin_upload(&agent, b"begun", "text/plain").await;
    let client = clients::add_by_hand(&server.app, &tenant(), "ours", &Scopes::of_device(), None).await;
    let client = client.expect("a client").0.to_string();
    let found = store::jobs::list(&server.app.store, &tenant(), None, None, 1).await.expect("a list");
    let job = crate::api::jobs::outside(&found[0].job_id);
    let hash = crate::auth::users::hash_password("correct horse").expect("a hash");
    people::put_user(&server.app.store, &tenant(), "clerk", "admin", &hash).await.expect("a user");
    let all: Scopes = Scope::ALL.into_iter().collect();
    let powerless = token(&server, "default", [Scope::Metrics].into_iter().collect()).await;
    let (stranger, own) = (token(&server, "other", all.clone()).await, token(&server, "default", all).await);

    let document = http::openapi();
    for (path, verb, operation) in
        operations(&document).filter(|(.., operation)| !operation["security"].is_null())
    {
        let id = match path {
            _ if path.starts_with("/v1/documents/") => manifest.document_id.to_string(),
            _ if path.starts_with("/v1/devices/") => agent.id.to_string(),
            _ if path.starts_with("/v1/clients/") => client.clone(),
            _ if path.starts_with("/v1/webhook-endpoints/") => endpoint.endpoint_id.to_string(),
            _ if path.starts_with("/v1/deliveries/") => delivery.clone(),
            _ if path.starts_with("/v1/jobs/") => job.clone(),
            _ if path.starts_with("/v1/uploads/") || path.starts_with("/v1/presigned-uploads/") => {
                upload.rsplit('/').next().unwrap_or_default().to_owned()
            }
            _ if path.starts_with("/v1/signatures/envelopes/") => envelope.to_string(),
            // Nobody has such a thing: the same answer must come.
            _ => DocumentId::new().to_string(),
        };
        let filled = path
            .replace("{id}", &id)
            .replace("{name}", "clerk")
            .replace("{what}", "original")
            .replace("{kind}", "account")
            .replace("{name}", "nobody")
            .replace("{number}", "1")
            .replace("{credential}", &ClientId::new().to_string())
            .replace("{sha256}", &Digest::of(b"the scan").to_string());
        let name = operation["operationId"].as_str().unwrap_or_default();
        let ask = async |token: Option<&str>| {
            let method = verb.to_uppercase().parse().expect("a method");
            let mut request = server.client.request(method, format!("{}{filled}", server.url));
            request = request
                .header("tus-resumable", "1.0.0")
                .header("upload-offset", "0")
                .header("if-match", "\"1\"");
            request = match sample(name, manifest.document_id) {
                Some(body) => request.json(&body),
                None => request.header("content-type", "application/offset+octet-stream"),
            };
            let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
            request.send().await.expect("an answer").status().as_u16()
        };
        assert_eq!(ask(None).await, 401, "{name}: nobody");
        assert_eq!(ask(Some("not-a-token")).await, 401, "{name}: a token nobody gave");
        assert_eq!(ask(Some(&powerless)).await, 403, "{name}: without its scope");
        // What a path or a body names is another tenant's.
        if path.contains('{') || name == "create_envelope" {
            assert_eq!(ask(Some(&stranger)).await, 404, "{name}: another tenant");
        }
    }
    // The ids were good: their own tenant finds them.
    for path in [
        format!("/v1/documents/{}", manifest.document_id),
        format!("/v1/clients/{client}"),
        format!("/v1/webhook-endpoints/{}", endpoint.endpoint_id),
        format!("/v1/deliveries/{delivery}"),
        format!("/v1/jobs/{job}"),
        format!("/v1/signatures/envelopes/{envelope}"),
        "/v1/users/clerk".to_owned(),
    ] {
        let answer = server.client.get(format!("{}{path}", server.url)).bearer_auth(&own).send().await;
        assert_eq!(answer.expect("an answer").status(), 200, "{path}");
    }
}

/// Carries a document on until it is sent, to the sandbox; answers its envelope.
async fn sent_to_the_sandbox(server: &Server, manifest: &DocumentManifest) -> EnvelopeId {
    let (app, envelope_id) = (&server.app, EnvelopeId::new());
    let page_text = manifest.part(PartRole::PageText).expect("a page text").sha256;
    let pdf = manifest.part(PartRole::Normalized).expect("a PDF").sha256;
    let provider = "sandbox".to_owned();
    for body in [
        EventBody::OcrComplete { page_text_sha256: page_text, ocr_confidence: 0.9, page_count: 1 },
        EventBody::Classified { decision: manifest.decision.clone() },
        EventBody::Validated { policy: Some(app.policy(&tenant()).reference().clone()) },
        EventBody::Routed {
            route: "all".into(),
            policy: app.policy(&tenant()).reference().clone(),
            provider: Some(provider.clone()),
            recipients: vec![Recipient::signer("ada@example.com", 1)],
            blanks: Vec::new(),
            expires_at: None,
            remind_every_s: None,
            tags: Vec::new(),
            retention_class: None,
        },
        EventBody::EnvelopeCreated { envelope_id, provider, document_sha256: pdf },
        EventBody::Sent { provider_reference: "sbx_1".into() },
    ] {
        let mut write = app.store.begin().await.expect("a write");
        let document = manifest.document_id;
        store::events::append(&mut write, &tenant(), document, Actor::System, body)
            .await
            .expect("may follow");
        write.commit().await.expect("committed");
    }
    envelope_id
}

#[tokio::test]
async fn inv12_no_page_shows_or_changes_anything_of_another_tenant() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    server.enrol("other").await;
    let manifest = server.prepare(&agent, "nda").await;
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
    let found = store::jobs::list(&server.app.store, &tenant(), None, None, 1).await.expect("a list");
    let job = crate::api::jobs::outside(&found[0].job_id);
    let form = Uuid::now_v7();
    let hash = crate::auth::users::hash_password("correct horse").expect("a hash");
    let (other, names) = ("other".parse().expect("a name"), ["clerk", "stranger"]);
    for (name, tenant) in names.into_iter().zip([tenant(), other]) {
        people::put_user(&server.app.store, &tenant, name, "admin", &hash).await.expect("a user");
    }
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.expect("a client");
    let session = async |name: &str| match users::login(&server.app, name, "correct horse").await {
        Ok(Login::Open(token)) => format!("{SESSION_COOKIE}={token}"),
        other => panic!("{other:?}"),
    };
    let (own, stranger) = (session("clerk").await, session("stranger").await);
    let get = async |cookie: &str, path: &str| {
        let answer = client.get(format!("{}{path}", server.url)).header("cookie", cookie).send().await;
        let answer = answer.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a page"))
    };
    let document = format!("/documents/{}", manifest.document_id);
    for path in ["", "/pages/1.png", "/aside/1", "/teach/1"] {
        let (status, page) = get(&stranger, &format!("{document}{path}")).await;
        assert_eq!(status, 404, "{path}: {page}");
    }
    assert_eq!(get(&own, &document).await.0, 200, "the address is a good one");
    let secrets = [manifest.document_id.to_string(), agent.id.to_string(), job.clone(), "scan.tif".into()];
    for path in ["/documents", "/documents?q=scan", "/review", "/jobs", "/devices", "/forms"] {
        let (status, page) = get(&stranger, path).await;
        assert_eq!(status, 200, "{path}");
        let shown = secrets.iter().find(|secret| page.contains(secret.as_str()));
        assert_eq!(shown, None, "{path} shows it");
    }
    assert!(get(&own, "/documents").await.1.contains(&secrets[0]), "its own tenant sees it");

    let (_, page) = get(&stranger, "/documents").await;
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let csrf = csrf.expect("a form's token");
    let body = [
        ("csrf", csrf),
        ("version", "1"),
        ("action", "reject"),
        ("comment", "no"),
        ("reason", "no"),
        ("pin", "4711"),
        ("order", "retry"),
        ("field", "party"),
        ("kind", "text"),
        ("word", "0"),
    ];
    let version = async || {
        let found = store::documents::find(server.app.store.reading(), &tenant(), manifest.document_id).await;
        found.expect("readable").expect("there").document.version
    };
    let before = version().await;
    for path in [
        format!("{document}/review"),
        format!("{document}/retry"),
        format!("{document}/void"),
        format!("{document}/reprocess"),
        format!("{document}/desk/0/link"),
        format!("{document}/desk/0/pin"),
        format!("/jobs/{job}/replay"),
        format!("/devices/{}/orders", agent.id),
        format!("/forms/{form}/remove"),
    ] {
        let request = client.post(format!("{}{path}", server.url)).header("cookie", &stranger).form(&body);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), 404, "{path}");
    }
    assert_eq!(version().await, before, "nothing happened");
}

#[tokio::test]
async fn a_client_is_let_in_by_its_secret_within_its_scopes_until_it_is_revoked() {
    let server = Server::start().await;
    let admin = token(&server, "default", Scope::ALL.into_iter().collect()).await;
    let ask = |method: Method, path: &str| {
        server.client.request(method, format!("{}{path}", server.url)).bearer_auth(&admin)
    };
    let new = json!({ "name": "erp", "scopes": ["documents:read"] });
    let made: Value = ask(Method::POST, "/v1/clients")
        .json(&new)
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let (id, secret) = (made["client"]["client_id"].as_str(), made["client_secret"].as_str());
    let (id, secret) = (id.expect("an id"), secret.expect("a secret"));
    let enter = async |secret: &str, scope: &str| {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let request = server.client.post(format!("{}/oauth/token", server.url)).basic_auth(id, Some(secret));
        let answer = request.form(&form).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let (status, token) = enter(secret, "").await;
    assert_eq!((status, &token["scope"]), (200, &json!("documents:read")));
    assert_eq!(enter("platen_wrong", "").await.1["error"], "invalid_client");
    assert_eq!(enter(secret, "admin").await.1["error"], "invalid_scope");
    let token = token["access_token"].as_str().expect("a token").to_owned();
    let list = async || {
        let request = server.client.get(format!("{}/v1/documents?limit=1", server.url));
        request.bearer_auth(&token).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(list().await, 200);
    // Rotation: both secrets hold until the first is retired.
    let rotate = ask(Method::POST, &format!("/v1/clients/{id}/credentials"));
    let rotated: Value = rotate.json(&json!({})).send().await.expect("an answer").json().await.expect("JSON");
    let second = rotated["client_secret"].as_str().expect("a secret");
    assert_eq!((enter(secret, "").await.0, enter(second, "").await.0), (200, 200));
    let gone = ask(Method::DELETE, &format!("/v1/clients/{id}")).send().await.expect("an answer");
    assert_eq!(gone.status(), 204);
    assert_eq!((list().await, enter(second, "").await.0), (401, 401));
    let audit: Value =
        ask(Method::GET, "/v1/audit").send().await.expect("an answer").json().await.expect("JSON");
    let actions = audit["items"].as_array().expect("a list").iter().map(|entry| entry["action"].clone());
    assert_eq!(
        actions.collect::<Vec<_>>(),
        ["client.revoke", "client.credential.add", "token.refused", "client.add"]
    );
}

#[tokio::test]
async fn people_are_made_changed_and_disabled_by_administrators_but_the_last_of_them_stays() {
    let server = Server::start().await;
    let admin = token(&server, "default", Scope::ALL.into_iter().collect()).await;
    let ask = async |method: Method, path: &str, body: Value| {
        let request =
            server.client.request(method, format!("{}/v1/users{path}", server.url)).bearer_auth(&admin);
        let answer = request.json(&body).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    let person = |name: &str, role: &str| json!({ "name": name, "role": role, "password": "correct horse" });
    for name in ["ada", "bob", "eve"] {
        assert_eq!(ask(Method::POST, "", person(name, "admin")).await.0, 201, "{name}");
    }
    assert_eq!(ask(Method::POST, "", person("ada", "viewer")).await.0, 409, "the name is taken");
    assert_eq!(
        ask(Method::POST, "", json!({ "name": "x", "role": "king", "password": "short" })).await.0,
        422
    );
    let (_, page) = ask(Method::GET, "?limit=2", json!({})).await;
    assert_eq!((page["items"][1]["name"].as_str(), page["next"].as_str()), (Some("bob"), Some("bob")));
    let (_, page) = ask(Method::GET, "?limit=2&after=bob", json!({})).await;
    assert_eq!((page["items"][0]["name"].as_str(), page["next"].as_str()), (Some("eve"), None));

    let sign_in = async |name: &str| {
        matches!(users::login(&server.app, name, "correct horse").await.expect("an outcome"), Login::Open(_))
    };
    assert!(sign_in("bob").await);
    let sessions = async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM sessions WHERE user_name = 'bob'");
        count.fetch_one(server.app.store.reading()).await.expect("a number")
    };
    assert_eq!(sessions().await, 1);
    let (status, bob) = ask(Method::PATCH, "/bob", json!({ "enabled": false })).await;
    assert_eq!((status, &bob["enabled"], &bob["role"]), (200, &json!(false), &json!("admin")));
    assert_eq!((sessions().await, sign_in("bob").await), (0, false));
    assert_eq!(ask(Method::PATCH, "/bob", json!({ "enabled": true })).await.0, 200);
    assert!(sign_in("bob").await);
    assert_eq!(ask(Method::PATCH, "/bob", json!({ "role": "viewer" })).await.0, 200);
    assert_eq!(ask(Method::DELETE, "/eve", json!({})).await.0, 204);
    for (method, body) in [
        (Method::PATCH, json!({ "role": "viewer" })),
        (Method::PATCH, json!({ "enabled": false })),
        (Method::DELETE, json!({})),
    ] {
        assert_eq!(ask(method, "/ada", body).await.0, 409, "the last administrator");
    }
    assert_eq!(ask(Method::GET, "/eve", json!({})).await.0, 404);
}

#[tokio::test]
async fn inv13_a_job_that_was_given_up_is_listed_with_its_reason_and_replayed() {
    let server = Server::start().await;
    let admin = token(&server, "default", Scope::ALL.into_iter().collect()).await;
    let agent = server.enrol("default").await;
    let mut manifest = server.prepare(&agent, "nda").await;
    // Not a page text: reading it fails for good.
    server.upload(&agent, b"no JSON", "application/json").await;
    manifest.parts[2] =
        crate::testing::part(platen_model::PartRole::PageText, b"no JSON", "application/json");
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
    crate::jobs::run_until_idle(&server.app).await.expect("jobs");
    let ask = async |method: Method, path: &str| {
        let request = server.client.request(method, format!("{}/v1/jobs{path}", server.url));
        let answer = request.bearer_auth(&admin).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    let (_, page) = ask(Method::GET, "?state=dead").await;
    let dead = &page["items"][0];
    assert_eq!((&dead["kind"], &dead["document_id"]), (&json!("read_text"), &json!(manifest.document_id)));
    assert!(dead["reason"].as_str().is_some_and(|reason| reason.contains("page text")), "{dead}");
    let id = format!("/{}", dead["job_id"].as_str().expect("an id"));
    // The same on the page of administrators, which others do not get.
    let hash = users::hash_password("correct horse").expect("a hash");
    let sign_in = async |name: &str, role: &str| {
        people::put_user(&server.app.store, &tenant(), name, role, &hash).await.expect("a user");
        let Login::Open(session) =
            users::login(&server.app, name, "correct horse").await.expect("an outcome")
        else {
            panic!("{name} is let in");
        };
        format!("platen_session={session}")
    };
    let (chief, clerk) = (sign_in("chief", "admin").await, sign_in("clerk", "reviewer").await);
    let look = async |cookie: &str, path: &str| {
        let request = server.client.get(format!("{}{path}", server.url)).header("cookie", cookie);
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    assert_eq!(look(&clerk, "/jobs").await.0, 403);
    let (_, list) = look(&clerk, "/documents").await;
    assert!(!list.contains("href=\"/jobs\""), "nobody is shown a door that is shut");
    let (status, page) = look(&chief, "/jobs").await;
    assert!(status == 200 && page.contains("page text cannot be read"), "{page}");
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let form = [("csrf", csrf.expect("a token"))];
    let replay = async |form: &[(&str, &str)]| {
        let request = server.client.post(format!("{}/jobs{id}/replay", server.url)).header("cookie", &chief);
        request.form(form).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(replay(&[("csrf", "forged")]).await, 403);
    assert_eq!(replay(&form).await, 200, "it leads back to the page");
    let (_, page) = look(&chief, "/jobs?state=ready").await;
    assert!(page.contains("Read text") && page.contains("waits"), "{page}");
    crate::jobs::run_until_idle(&server.app).await.expect("jobs");
    assert_eq!(ask(Method::POST, &format!("{id}/replay")).await.0, 202);
    assert_eq!(ask(Method::POST, &format!("{id}/replay")).await.0, 409, "it is on its way");
    let (_, job) = ask(Method::GET, &id).await;
    assert_eq!((&job["state"], &job["failures"]), (&json!("ready"), &json!(0)));
    assert_eq!(ask(Method::GET, "/nothing").await.0, 404);
}

#[tokio::test]
async fn a_refusal_names_every_wrong_field_and_the_request() {
    let server = Server::start().await;
    let admin = token(&server, "default", Scope::ALL.into_iter().collect()).await;
    let query = server.client.get(format!("{}/v1/documents?limit=0&status=lost&color=red", server.url));
    let answer = query.bearer_auth(&admin).header("x-request-id", "mine-1").send().await.expect("an answer");
    assert_eq!(answer.headers()["x-request-id"], "mine-1");
    assert!(answer.headers().contains_key("traceparent"));
    let problem: Problem = answer.json().await.expect("a problem");
    assert_eq!((problem.status, problem.instance.as_deref()), (422, Some("urn:platen:request:mine-1")));
    assert!(problem.errors.len() >= 3, "{problem:?}");
    let body = json!({ "name": "", "scopes": ["root"], "more": 1 });
    let answer =
        server.client.post(format!("{}/v1/clients", server.url)).bearer_auth(&admin).json(&body).send().await;
    let problem: Problem = answer.expect("an answer").json().await.expect("a problem");
    assert!(problem.errors.contains_key("name") && problem.errors.contains_key("scopes.0"), "{problem:?}");
}

#[tokio::test]
async fn the_contract_is_there_for_programs_and_for_people_and_foreign_pages_get_nothing() {
    let server = Server::start().await;
    let get = async |path: &str| {
        let request =
            server.client.get(format!("{}{path}", server.url)).header("origin", "https://evil.example");
        request.send().await.expect("an answer")
    };
    let answer = get("/openapi.json").await;
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    assert_eq!(answer.json::<Value>().await.expect("JSON"), http::openapi());
    let page = get("/docs").await.text().await.expect("text");
    assert!(page.contains("/v1/documents/{id}/review") && !page.contains("<script"), "self-contained");
    // Here nothing tells the address of the connection: so it counts as a stranger's.
    let refused = get("/metrics").await;
    assert_eq!(refused.status(), 401);
    let problem: Problem = refused.json().await.expect("a problem");
    assert!(problem.help.contains("platen-cloud client add --scope metrics"), "{problem:?}");
    let figures = token(&server, "default", [Scope::Metrics].into_iter().collect()).await;
    let answer = server.client.get(format!("{}/metrics", server.url)).bearer_auth(&figures).send().await;
    let text = answer.expect("an answer").text().await.expect("text");
    assert!(
        text.contains("platen_http_requests_total{method=\"GET\",route=\"/docs\",status=\"200\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_correction_names_the_version_it_was_made_on_and_a_held_document_goes_on_when_it_is_approved() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let mut manifest = server.prepare(&agent, "unknown").await;
    manifest.decision.verdict = platen_model::Verdict::Review;
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    server.commit(&agent, &bytes, &agent.key.sign(&bytes)).await;
    crate::jobs::run_until_idle(&server.app).await.expect("jobs");
    let reviewer =
        token(&server, "default", [Scope::Review, Scope::DocumentsRead].into_iter().collect()).await;
    let path = format!("{}/v1/documents/{}", server.url, manifest.document_id);
    let get = || server.client.get(&path).bearer_auth(&reviewer);
    let answer = get().send().await.expect("an answer");
    let etag = answer.headers()["etag"].clone();
    let before: Value = answer.json().await.expect("JSON");
    let again = get().header("if-none-match", etag.clone()).send().await.expect("an answer");
    assert_eq!(again.status(), 304);

    let correct = async |etag: Option<&reqwest::header::HeaderValue>, body: Value| {
        let request = server.client.patch(&path).bearer_auth(&reviewer).json(&body);
        let request = etag.into_iter().fold(request, |request, etag| request.header("if-match", etag));
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let right = json!({ "document_type": "nda", "fields": { "party": "ACME" }, "department": "legal" });
    assert_eq!(correct(None, right.clone()).await.0, 428);
    assert_eq!(correct(Some(&etag), json!({})).await.0, 422, "corrects nothing");
    assert_eq!(before["status"], "in_review", "the rules were in doubt");
    let (status, after) = correct(Some(&etag), right.clone()).await;
    assert_eq!(
        (status, &after["document_type"], &after["department"]),
        (200, &json!("nda"), &json!("legal"))
    );
    assert_eq!(after["fields"]["party"]["value"], "ACME");
    assert_eq!(after["status"], "in_review");
    assert_eq!(correct(Some(&etag), right).await.0, 412, "somebody was quicker");
    let approve = server.client.post(format!("{path}/review")).bearer_auth(&reviewer);
    let approved = approve.json(&json!({ "action": "approve" })).send().await.expect("an answer");
    assert_eq!(approved.json::<Value>().await.expect("JSON")["status"], "validated");
    // Before the route is taken somebody has second thoughts.
    let hold = || server.client.post(format!("{path}/hold")).bearer_auth(&reviewer);
    let held = hold().json(&json!({ "reason": "wait for Ada" })).send().await.expect("an answer");
    assert_eq!(held.json::<Value>().await.expect("JSON")["status"], "in_review");
    let again = hold().json(&json!({ "reason": "and Bob" })).send().await.expect("an answer");
    assert_eq!(again.status(), 409, "it is held already");
}

/// All references in a part of the document.
fn references(part: &Value) -> Vec<&str> {
    match part {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn every_reference_of_the_contract_leads_somewhere() {
    let document = http::openapi();
    for reference in references(&document) {
        let found = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        assert!(found.is_some(), "{reference}");
    }
}

/// Where two types have one name, one of them is shown in the place of both.
#[test]
fn no_two_types_of_the_contract_share_a_name() {
    let sources = ["src", "../shared/model/src"]
        .map(|folder| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    let shown = regex::Regex::new(
        r"#\[derive\([^)]*\bToSchema\b[^)]*\)\](?P<more>(?:\s*(?:#\[[^\n]*\]|//[^\n]*))*)\s*(?:pub(?:\([a-z]+\))?\s+)?(?:struct|enum)\s+(?P<name>\w+)",
    );
    let (shown, named) = (shown.expect("sound"), regex::Regex::new(r"schema\(as = (\w+)").expect("sound"));
    let (mut folders, mut names) = (Vec::from(sources), Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("readable");
            names.extend(shown.captures_iter(&text).map(|found| {
                let other = named.captures(&found["more"]).map(|found| found[1].to_owned());
                other.unwrap_or_else(|| found["name"].to_owned())
            }));
        }
    }
    names.sort();
    assert!(names.len() > 50, "the sources are not read: {names:?}");
    let twice: Vec<&[String]> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(twice.is_empty(), "{twice:?}");
}

crate::testing::also_on_postgres!(
    inv12_every_route_asks_who_it_is_for_its_scope_and_shows_nothing_of_another_tenant,
    a_client_is_let_in_by_its_secret_within_its_scopes_until_it_is_revoked,
    a_refusal_names_every_wrong_field_and_the_request,
    people_are_made_changed_and_disabled_by_administrators_but_the_last_of_them_stays,
    inv13_a_job_that_was_given_up_is_listed_with_its_reason_and_replayed,
    a_correction_names_the_version_it_was_made_on_and_a_held_document_goes_on_when_it_is_approved,
);
