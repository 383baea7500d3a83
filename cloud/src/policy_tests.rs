//! Policies through the real router: what is asked of people, what is told of decisions, what is kept of policies.

use std::path::PathBuf;

use platen_model::{Digest, PolicyRef};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::payload;
use crate::auth::{Role, Scope, Scopes};
use crate::contract_tests::token;
use crate::journey_tests::{Agent, Server};
use crate::testing::{also_on_postgres, decision};
use crate::{integrity, jobs};

const POLICY: &str = "version = 'first'
[validation.type.invoice]
required = ['total']
formats = { total = 'money' }
[[validation.check]]
name = 'within order'
field = 'total'
holds = 'document.fields.total.number <= document.fields.order_total.number'
message = 'The total is over the order.'
remedy = 'Ask who ordered it.'
[[route]]
name = 'invoices'
when = 'document.document_type == \"invoice\"'
provider = 'desk'
signers = [{ field = 'approver' }]
[[route]]
name = 'rest'
when = 'true'
";

/// A site with a policy, and tokens of people with roles.
struct Site {
    server: Server,
    agent: Agent,
    reviewer: String,
    admin: String,
    policy: PathBuf,
    _folder: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = folder.path().join("routing.toml");
        std::fs::write(&policy, POLICY).expect("written");
        let server = Server::start_with(|config| config.routing = Some(policy.clone())).await;
        let agent = server.enrol("default").await;
        let reviewer = token(&server, "default", Scopes::of_role(Role::Reviewer)).await;
        let admin = token(&server, "default", Scope::ALL.into_iter().collect()).await;
        Self { server, agent, reviewer, admin, policy, _folder: folder }
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.server.client.request(method, format!("{}{path}", self.server.url));
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        let answer = request.bearer_auth(token).header("if-match", "*").send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(&self.admin, Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Sends a document that was read like this, and lets it go as far as it goes.
    async fn send(&self, document_type: &str, fields: &[(&str, &str)]) -> String {
        let mut manifest = self.server.prepare(&self.agent, document_type).await;
        manifest.decision = decision(document_type, fields);
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        let answer = self.server.commit(&self.agent, &bytes, &self.agent.key.sign(&bytes)).await;
        assert_eq!(answer.status(), 202);
        jobs::run_until_idle(&self.server.app).await.expect("jobs");
        format!("/v1/documents/{}", manifest.document_id)
    }

    async fn review(&self, token: &str, document: &str, review: Value) -> (u16, Value) {
        let answer = self.ask(token, Method::POST, &format!("{document}/review"), Some(review)).await;
        jobs::run_until_idle(&self.server.app).await.expect("jobs");
        answer
    }

    async fn last_event(&self, document: &str, name: &str) -> Value {
        let events = self.get(&format!("{document}/events")).await;
        let events = events["items"].as_array().expect("a list").clone();
        events.into_iter().rfind(|event| event["event"] == name).unwrap_or_default()
    }

    async fn is_whole(&self) {
        let found = integrity::check(&self.server.app.store, &self.server.app.keep.blobs, None).await;
        assert_eq!(found.expect("readable").wrong, Vec::<String>::new());
    }
}

#[tokio::test]
async fn inv9_a_document_that_breaks_a_rule_is_not_signed_until_it_is_mended() {
    let site = Site::start().await;
    let fields = [("total", "120.00 EUR"), ("order_total", "100.00 EUR"), ("approver", "a@example.com")];
    let document = site.send("invoice", &fields).await;
    let shown = site.get(&document).await;
    assert_eq!(
        (&shown["status"], &shown["violations"].as_array().map(Vec::len)),
        (&json!("in_review"), &Some(1))
    );
    let expected = json!({ "field": "total", "rule": "within order", "message": "The total is over the order.",
        "remedy": "Ask who ordered it." });
    assert_eq!(shown["violations"][0], expected);
    let asked = site.last_event(&document, "review_requested").await;
    assert_eq!((&asked["violations"][0], &asked["policy"]["version"]), (&expected, &json!("first")));

    let (status, problem) = site.review(&site.admin, &document, json!({ "action": "approve" })).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["errors"]["fields.total"], "The total is over the order. Ask who ordered it.");
    let worse = json!({ "action": "approve", "fields": { "total": "", "approver": "the boss" } });
    let (status, problem) = site.review(&site.reviewer, &document, worse).await;
    assert_eq!(
        (status, problem["errors"].as_object().map(serde_json::Map::len)),
        (422, Some(2)),
        "{problem}"
    );

    let request =
        site.server.client.patch(format!("{}{document}", site.server.url)).bearer_auth(&site.reviewer);
    let request = request.header("if-match", format!("\"{}\"", shown["version"]));
    let answer = request.json(&json!({ "fields": { "total": "much" } })).send().await.expect("an answer");
    let corrected: Value = answer.json().await.expect("JSON");
    let rules =
        corrected["violations"].as_array().expect("a list").iter().map(|violation| violation["rule"].clone());
    assert_eq!(rules.collect::<Vec<_>>(), ["format", "within order"], "{corrected}");
    let mended = json!({ "action": "approve", "fields": { "total": "100.00 EUR" } });
    let (status, shown) = site.review(&site.reviewer, &document, mended).await;
    assert_eq!((status, &shown["violations"]), (200, &Value::Null), "{shown}");
    assert_eq!(site.get(&document).await["route"], "invoices");
    assert_eq!(site.last_event(&document, "approved").await["overridden"], Value::Null);
    site.is_whole().await;
}

#[tokio::test]
async fn who_has_the_right_may_override_a_rule_and_says_why() {
    let site = Site::start().await;
    let document = site.send("invoice", &[("approver", "a@example.com")]).await;
    assert_eq!(site.get(&document).await["violations"][0]["rule"], "required");
    let all_the_same = json!({ "action": "approve", "override_reason": "The total is on the order." });
    let (status, problem) = site.review(&site.reviewer, &document, all_the_same.clone()).await;
    assert_eq!(
        (status, problem["detail"].as_str().is_some_and(|text| text.contains("may not override"))),
        (422, true)
    );
    let (status, shown) = site.review(&site.admin, &document, all_the_same).await;
    assert_eq!(status, 200, "{shown}");
    let approved = site.last_event(&document, "approved").await;
    assert_eq!(approved["override_reason"], "The total is on the order.");
    assert_eq!(approved["overridden"][0]["field"], "total");
    assert_eq!(site.get(&document).await["route"], "invoices", "it went on");

    // Nobody can be asked to sign: no right helps with that.
    let lost = site.send("invoice", &[("total", "1.00 EUR")]).await;
    let lost_shown = site.get(&lost).await;
    assert_eq!(lost_shown["violations"][0]["rule"], "signers");
    let all_the_same = json!({ "action": "approve", "override_reason": "Somebody will." });
    let (status, problem) = site.review(&site.admin, &lost, all_the_same).await;
    assert_eq!(status, 422, "{problem}");
    let named = json!({ "action": "approve", "fields": { "approver": "a@example.com" } });
    assert_eq!(site.review(&site.reviewer, &lost, named).await.0, 200);
    assert_eq!(site.get(&lost).await["route"], "invoices");
    site.is_whole().await;
}

#[tokio::test]
async fn a_document_says_of_each_route_why_it_takes_it_or_not() {
    let site = Site::start().await;
    let document = site.send("letter", &[]).await;
    let told = site.get(&format!("{document}/routing")).await;
    assert_eq!(told["route"], "rest");
    assert_eq!(told["routes"][0]["outcome"], "no_match");
    let part = &told["routes"][0]["parts"][0];
    assert_eq!(
        (&part["holds"], &part["values"]["document.document_type"]),
        (&json!(false), &json!("\"letter\""))
    );
}

#[tokio::test]
async fn a_policy_that_is_not_sound_never_replaces_the_one_in_force_and_every_one_is_kept() {
    let site = Site::start().await;
    let app = &site.server.app;
    let document = site.send("letter", &[]).await;
    std::fs::write(&site.policy, POLICY.replace("document_type ==", "document_typ ==")).expect("written");
    let error = app.renew_policy().await.expect_err("a typing error");
    assert!(error.contains("document_typ"), "{error}");
    assert_eq!(app.policy().reference().version, "first");
    let second = POLICY.replace("'first'", "'second'").replace("'rest'", "'all the rest'");
    std::fs::write(&site.policy, &second).expect("written");
    assert!(app.renew_policy().await.expect("sound").is_some());
    assert!(app.renew_policy().await.expect("sound").is_none(), "nothing new");
    let other = site.send("letter", &[]).await;
    assert_eq!(site.get(&other).await["route"], "all the rest");

    let page = site.get("/v1/policies").await;
    let versions: Vec<&Value> =
        page["items"].as_array().expect("a list").iter().map(|kept| &kept["version"]).collect();
    assert_eq!(versions, ["second", "first"]);
    assert_eq!((&page["items"][0]["in_force"], &page["items"][1]["in_force"]), (&json!(true), &json!(false)));
    let first = site.get("/v1/policies?limit=1").await;
    let rest = site.get(&format!("/v1/policies?after={}", first["next"].as_str().expect("more"))).await;
    assert_eq!(rest["items"][0]["version"], "first");
    // The policy that an event names can be read.
    let routed = site.last_event(&document, "routed").await;
    let named: PolicyRef = serde_json::from_value(routed["policy"].clone()).expect("a policy");
    let kept = site.get(&format!("/v1/policies/{}", named.sha256)).await;
    assert_eq!((kept["policy"].as_str(), named.sha256), (Some(POLICY), Digest::of(POLICY.as_bytes())));
    let nobody = site.ask(&site.reviewer, Method::GET, "/v1/policies", None).await;
    assert_eq!(nobody.0, 403);
}

#[tokio::test]
async fn a_dry_run_tells_what_a_policy_would_change_and_changes_nothing() {
    let site = Site::start().await;
    let invoice = site.send("invoice", &[("total", "9.00 EUR"), ("approver", "a@example.com")]).await;
    for _ in 0..3 {
        site.send("letter", &[]).await;
    }
    let events = site.get("/v1/events?limit=500").await;
    let policies = site.get("/v1/policies").await;
    let trial = POLICY.replace("'first'", "'trial'").replace("['total']", "['total', 'number']");
    let run =
        async |body: Value| site.ask(&site.admin, Method::POST, "/v1/policies/dry-run", Some(body)).await;
    let (status, told) = run(json!({ "policy": trial })).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!((&told["counts"]["documents"], &told["counts"]["more_review"]), (&json!(4), &json!(1)));
    let change = &told["items"][0];
    assert_eq!(format!("/v1/documents/{}", change["document_id"].as_str().expect("an id")), invoice);
    assert_eq!((&change["before"]["review"], &change["after"]["review"]), (&json!(false), &json!(true)));
    assert_eq!(change["after"]["reasons"][0], "The required field \"number\" was not found.");

    // Piece by piece it looks at the same documents.
    let (mut after, mut seen) = (Value::Null, 0);
    for _ in 0..4 {
        let mut body = json!({ "policy": trial, "limit": 1, "since": "1h" });
        if !after.is_null() {
            body["after"] = after;
        }
        let (_, told) = run(body).await;
        seen += told["counts"]["documents"].as_u64().expect("a count");
        after = told["next"].clone();
    }
    assert_eq!((seen, after), (4, Value::Null));

    let (status, problem) = run(json!({ "policy": "version = '1'" })).await;
    assert_eq!((status, problem["errors"]["policy"].is_string()), (422, true), "{problem}");
    assert_eq!(run(json!({ "policy": trial, "since": "soon" })).await.0, 422);
    assert_eq!(site.get("/v1/events?limit=500").await, events);
    assert_eq!(site.get("/v1/policies").await, policies);
    assert_eq!(site.server.app.policy().reference().version, "first");
}

#[test]
fn the_schema_of_the_approval_payload_is_the_one_the_code_makes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas/approval-1.json");
    let made = format!("{:#}\n", payload::schema());
    if std::env::var_os("PLATEN_RENEW").is_some() {
        std::fs::write(path, &made).expect("written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/schemas/approval-1.json is not what the code makes; what breaks its readers needs a new version; otherwise \
         renew it: PLATEN_RENEW=1 cargo nextest run --workspace -E 'test(the_schema_of)'"
    );
}

/// Holds a payload against the schema that is checked in.
pub(crate) fn check_payload(payload: &Value) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schemas/approval-1.json");
    let schema = std::fs::read_to_string(path).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let complaints: Vec<String> = validator.iter_errors(payload).map(|error| error.to_string()).collect();
    assert!(complaints.is_empty(), "{complaints:?}: {payload:#}");
    for part in ["document_id", "initiator", "metadata", "digests"] {
        let mut less = payload.clone();
        less.as_object_mut().expect("an object").remove(part);
        assert!(!validator.is_valid(&less), "without {part} it is no payload");
    }
    let mut other = payload.clone();
    other["version"] = json!(2);
    assert!(!validator.is_valid(&other), "another version has another schema");
}

#[tokio::test]
async fn the_approval_payload_is_by_its_schema_wherever_the_document_is() {
    let site = Site::start().await;
    let fields = [("total", "120.50 EUR"), ("approver", "a@example.com")];
    let signed = site.send("invoice", &fields).await;
    let payload = site.get(&format!("{signed}/payload")).await;
    check_payload(&payload);
    assert_eq!(
        (&payload["metadata"]["amount"], &payload["metadata"]["currency"]),
        (&json!("120.50"), &json!("EUR"))
    );
    assert_eq!(payload["initiator"]["actor"], json!({ "kind": "device", "id": site.agent.id }));
    assert_eq!(payload["approvers"][0]["address"], "a@example.com");
    assert_eq!(payload["route"]["policy"]["version"], "first");
    for waiting in [site.send("invoice", &[("total", "many")]).await, site.send("unknown", &[]).await] {
        let payload = site.get(&format!("{waiting}/payload")).await;
        check_payload(&payload);
        assert_eq!((&payload["route"], &payload["status"]), (&Value::Null, &json!("in_review")));
    }
}

#[tokio::test]
async fn what_people_say_of_documents_is_kept_as_examples_of_their_tenant() {
    let site = Site::start().await;
    let examples = async || site.get("/v1/examples").await["items"].as_array().expect("a list").clone();
    let wrong = site.send("unknown", &[("total", "1.00 EUR"), ("number", "7")]).await;
    site.send("letter", &[]).await;
    assert_eq!(examples().await, Vec::<Value>::new(), "nobody said anything");
    // Approved with the type nobody knows: nothing is learnt from that.
    let strange = site.send("unknown", &[]).await;
    assert_eq!(site.review(&site.reviewer, &strange, json!({ "action": "approve" })).await.0, 200);
    assert_eq!(examples().await, Vec::<Value>::new());
    let approval = json!({ "action": "approve", "document_type": "receipt", "fields": { "number": "", "date": "2026-03-31" } });
    assert_eq!(site.review(&site.reviewer, &wrong, approval).await.0, 200);
    let found = examples().await;
    let example = &found[0]["example"];
    assert_eq!((found.len(), &example["document_type"]), (1, &json!("receipt")));
    assert_eq!(example["fields"], json!({ "total": "1.00 EUR", "number": "", "date": "2026-03-31" }));
    assert_eq!(format!("/v1/documents/{}", example["name"].as_str().expect("a name")), wrong);
    let read: platen_model::Example = serde_json::from_value(example.clone()).expect("what the agent reads");
    assert_eq!(read.document_type.0, "receipt");
    site.is_whole().await;
    integrity::rebuild(&site.server.app.store, &site.server.app.keep.blobs)
        .await
        .expect("rows")
        .expect("rebuilt");
    assert_eq!(examples().await, found, "it is made anew from events");

    site.server.enrol("other").await;
    let stranger = token(&site.server, "other", Scope::ALL.into_iter().collect()).await;
    let (_, theirs) = site.ask(&stranger, Method::GET, "/v1/examples", None).await;
    assert_eq!(theirs["items"], json!([]), "INV-12");
    assert_eq!(site.ask(&site.reviewer, Method::GET, "/v1/examples", None).await.0, 403);

    let folder = tempfile::tempdir().expect("a folder");
    let export = async || {
        let config = &site.server.app.config;
        crate::admin::export_examples(config, &crate::testing::tenant(), folder.path())
            .await
            .expect("exported")
    };
    export().await;
    export().await;
    let files: Vec<_> = std::fs::read_dir(folder.path())
        .expect("readable")
        .map(|file| file.expect("a file").path())
        .collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    assert!(file.to_string_lossy().ends_with(platen_model::Example::FILE_ENDING));
    let written: platen_model::Example =
        serde_json::from_slice(&std::fs::read(file).expect("readable")).expect("an example");
    assert_eq!(written, read);
}

also_on_postgres! {
    what_people_say_of_documents_is_kept_as_examples_of_their_tenant,
    a_policy_that_is_not_sound_never_replaces_the_one_in_force_and_every_one_is_kept,
    a_dry_run_tells_what_a_policy_would_change_and_changes_nothing,
}
