//! Policies through the real router: what is asked of people, what is told of decisions, what is kept of policies.

use std::collections::BTreeMap;
use std::path::PathBuf;

use platen_model::{
    Decision, Digest, LineItem, PageRecord, PageText, PartRole, PolicyRef, Reason, Rect, TenantId, Verdict,
    Word,
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::payload;
use crate::auth::users::hash_password;
use crate::auth::{Role, Scope, Scopes};
use crate::contract_tests::token;
use crate::journey_tests::{Agent, Server};
use crate::signing::harness::{cookie, hidden};
use crate::store::people;
use crate::testing::{also_on_postgres, decision, part, tenant};
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
pub(crate) struct Site {
    pub(crate) server: Server,
    agent: Agent,
    reviewer: String,
    pub(crate) admin: String,
    policy: PathBuf,
    _folder: tempfile::TempDir,
}

impl Site {
    pub(crate) async fn start() -> Self {
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

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(&self.admin, Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Sends a document that was read like this, and lets it go as far as it goes.
    pub(crate) async fn send(&self, document_type: &str, fields: &[(&str, &str)]) -> String {
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
    let error = app.renew_policies().await.expect_err("a typing error");
    assert!(error.contains("document_typ"), "{error}");
    assert_eq!(app.policy(&tenant()).reference().version, "first");
    let second = POLICY.replace("'first'", "'second'").replace("'rest'", "'all the rest'");
    std::fs::write(&site.policy, &second).expect("written");
    assert!(app.renew_policies().await.expect("sound").is_some());
    assert!(app.renew_policies().await.expect("sound").is_none(), "nothing new");
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
    assert_eq!(site.server.app.policy(&tenant()).reference().version, "first");
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
    assert!(!read.source.is_empty() && read.source == site.get(&wrong).await["source"], "{}", read.source);
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

/// A page with these lines, as a sure reader gives it.
fn page(lines: &[&str]) -> PageText {
    let mut words = Vec::new();
    for (line, text) in (0u32..).zip(lines) {
        let mut x = 150;
        for word in text.split(' ') {
            let w = 14 * u32::try_from(word.chars().count()).expect("short");
            let rect = Rect { x, y: 200 + 60 * line, w, h: 26 };
            words.push(Word { text: word.into(), confidence: 0.97, rect, line, block: 0 });
            x += w + 12;
        }
    }
    let (width_px, height_px, mean_confidence) = (1654, 2339, 0.97);
    PageText::new(vec![PageRecord {
        width_px,
        height_px,
        dpi: 200,
        mean_confidence,
        words,
        ..PageRecord::default()
    }])
}

impl Site {
    /// Sends a document of this text and decision.
    async fn send_text(&self, text: &PageText, decision: Decision) -> String {
        let mut manifest = self.server.prepare(&self.agent, "unknown").await;
        let text = serde_json::to_vec(text).expect("plain data");
        self.server.upload(&self.agent, &text, "application/json").await;
        manifest.parts.retain(|part| part.role != PartRole::PageText);
        manifest.parts.push(part(PartRole::PageText, &text, "application/json"));
        manifest.decision = decision;
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        let answer = self.server.commit(&self.agent, &bytes, &self.agent.key.sign(&bytes)).await;
        assert_eq!(answer.status(), 202);
        jobs::run_until_idle(&self.server.app).await.expect("jobs");
        format!("/v1/documents/{}", manifest.document_id)
    }

    /// A reviewer's correction, which answers as the API does.
    async fn correct(&self, document: &str, correction: Value) -> (u16, Value) {
        let version = self.get(document).await["version"].clone();
        let request = self.server.client.patch(format!("{}{document}", self.server.url));
        let request = request.bearer_auth(&self.reviewer).header("if-match", format!("\"{version}\""));
        let answer = request.json(&correction).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }
}

const ORDER: [&str; 5] = [
    "PURCHASE ORDER",
    "Order number: 4500-71932",
    "Order date: 9 February 2026",
    "Order total: EUR 774.00",
    "IBAN: DE02 1203 0000 0000 2020 51",
];

#[tokio::test]
async fn a_corrected_type_reads_its_own_fields_and_keeps_what_people_said() {
    let site = Site::start().await;
    let mut taken_wrongly =
        decision("receipt", &[("date", "2026-02-09"), ("company", "PURCHASE ORDER"), ("note", "x")]);
    taken_wrongly.verdict = Verdict::Review;
    let values = |shown: &Value| -> BTreeMap<String, String> {
        let fields = shown["fields"].as_object().expect("fields").clone();
        fields
            .into_iter()
            .map(|(name, field)| (name, field["value"].as_str().expect("text").to_owned()))
            .collect()
    };
    let check = |shown: &Value| {
        assert_eq!(shown["document_type"], "purchase_order");
        let values = values(shown);
        let value = |name: &str| values.get(name).map(String::as_str);
        assert_eq!(
            (value("order_number"), value("total")),
            (Some("4500-71932"), Some("774.00 EUR")),
            "{shown:#}"
        );
        assert_eq!(value("iban"), Some("DE02120300000000202051"));
        assert_eq!(value("company"), None, "that was the other type's");
        assert_eq!(value("note"), Some("a person wrote this"));
        assert_eq!(value("order_date"), Some("2026-02-08"), "said together with the type");
    };
    let said = json!({ "fields": { "note": "a person wrote this" } });
    let right = json!({ "document_type": "purchase_order", "fields": { "order_date": "2026-02-08" } });

    let corrected = site.send_text(&page(&ORDER), taken_wrongly.clone()).await;
    assert_eq!(site.correct(&corrected, said.clone()).await.0, 200);
    let (status, shown) = site.correct(&corrected, right.clone()).await;
    assert_eq!(status, 200, "{shown}");
    check(&shown);
    assert!(shown["fields"]["total"]["confidence"].as_f64() < Some(1.0), "read, not said: {shown:#}");
    assert!(shown["fields"]["total"]["rect"].is_object());
    let event = site.last_event(&corrected, "corrected").await;
    assert_eq!(event["read"]["total"]["value"], "774.00 EUR", "the event says what was read");

    let approved = site.send_text(&page(&ORDER), taken_wrongly).await;
    assert_eq!(site.correct(&approved, said).await.0, 200);
    let mut approval = right;
    approval["action"] = json!("approve");
    let (status, shown) = site.review(&site.reviewer, &approved, approval).await;
    assert_eq!(status, 200, "{shown}");
    check(&shown);
    site.is_whole().await;
    let (store, blobs) = (&site.server.app.store, &site.server.app.keep.blobs);
    integrity::rebuild(store, blobs).await.expect("rows").expect("rebuilt");
    check(&site.get(&corrected).await);
}

#[tokio::test]
async fn a_document_set_aside_for_what_it_is_goes_on_or_is_rejected_as_a_person_says() {
    let site = Site::start().await;
    let strange = Decision { verdict: Verdict::Quarantine, confidence: 0.02, ..decision("unknown", &[]) };
    let first = site.send_text(&page(&["LETTER", "Dear Ms Lind,"]), strange.clone()).await;
    let shown = site.get(&first).await;
    assert_eq!(shown["status"], "quarantined");
    let told = site.last_event(&first, "quarantined").await;
    assert!(told["help"].as_str().is_some_and(|help| help.contains("correct its type")), "{told}");
    // A retry by itself changes nothing about what it is.
    let retried = site.ask(&site.reviewer, Method::POST, &format!("{first}/retry"), None).await;
    assert_eq!(retried.0, 200);
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    assert_eq!(site.get(&first).await["status"], "quarantined");

    assert_eq!(site.correct(&first, json!({ "document_type": "letter" })).await.0, 200);
    assert_eq!(site.ask(&site.reviewer, Method::POST, &format!("{first}/retry"), None).await.0, 200);
    jobs::run_until_idle(&site.server.app).await.expect("jobs");
    let shown = site.get(&first).await;
    assert_eq!((&shown["status"], &shown["route"]), (&json!("archived"), &json!("rest")), "{shown:#}");

    let second = site.send_text(&page(&["??"]), strange).await;
    let rejection = json!({ "action": "reject", "comment": "a blank sheet" });
    let (status, shown) = site.review(&site.reviewer, &second, rejection).await;
    assert_eq!((status, &shown["status"]), (200, &json!("rejected")), "{shown}");
    site.is_whole().await;
}

#[tokio::test]
async fn the_page_of_a_document_set_aside_for_what_it_is_lets_a_person_settle_it() {
    let site = Site::start().await;
    let app = &site.server.app;
    let password = hash_password("correct horse").expect("a hash");
    people::put_user(&app.store, &crate::testing::tenant(), "ada", "reviewer", &password)
        .await
        .expect("a user");
    let http =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
    let url = |path: &str| format!("{}{path}", site.server.url);
    let login = http.get(url("/login")).send().await.expect("an answer");
    let before = cookie(&login);
    let csrf = hidden(&login.text().await.expect("text"), "csrf");
    let form = [("csrf", csrf.as_str()), ("username", "ada"), ("password", "correct horse")];
    let session =
        http.post(url("/login")).header("cookie", before).form(&form).send().await.expect("an answer");
    let session = cookie(&session);
    let page_of = async |document: &str| {
        let path = document.replace("/v1/", "/");
        let answer = http.get(url(&path)).header("cookie", &session).send().await.expect("an answer");
        answer.text().await.expect("text")
    };
    let settle = async |document: &str, version: &str, action: &str, document_type: &str, comment: &str| {
        let shown = page_of(document).await;
        let version = if version.is_empty() { hidden(&shown, "version") } else { version.to_owned() };
        let csrf = hidden(&shown, "csrf");
        let form = [
            ("csrf", csrf.as_str()),
            ("version", &version),
            ("action", action),
            ("document_type", document_type),
            ("comment", comment),
        ];
        let path = format!("{}/settle", document.replace("/v1/", "/"));
        let request = http.post(url(&path)).header("cookie", &session).form(&form);
        let status = request.send().await.expect("an answer").status().as_u16();
        jobs::run_until_idle(app).await.expect("jobs");
        status
    };
    let strange = Decision { verdict: Verdict::Quarantine, confidence: 0.02, ..decision("unknown", &[]) };
    let first = site.send_text(&page(&["LETTER", "Dear Ms Lind,"]), strange.clone()).await;
    assert!(page_of(&first).await.contains("id=\"settle\""));
    assert_eq!(settle(&first, "", "correct", "unknown", "").await, 422, "that says nothing");
    assert_eq!(settle(&first, "1", "correct", "letter", "").await, 412, "it has changed since");
    assert_eq!(settle(&first, "", "correct", "letter", "").await, 303);
    assert_eq!(site.get(&first).await["status"], "archived");
    assert!(!page_of(&first).await.contains("id=\"settle\""));

    let second = site.send_text(&page(&["??"]), strange).await;
    assert_eq!(settle(&second, "", "reject", "letter", " ").await, 422, "without a word why");
    assert_eq!(settle(&second, "", "reject", "letter", "a blank sheet").await, 303);
    assert_eq!(site.get(&second).await["status"], "rejected");
    site.is_whole().await;
}

#[tokio::test]
async fn rows_and_reasons_are_told_of_a_document() {
    let site = Site::start().await;
    let mut told = decision("letter", &[]);
    let rect = Rect { x: 1, y: 2, w: 3, h: 4 };
    told.line_items.push(LineItem {
        description: "Terracotta pot".into(),
        quantity: Some("12".into()),
        unit_price: Some("4.50 EUR".into()),
        amount: "54.00 EUR".into(),
        confidence: 0.9,
        page: 0,
        rect,
    });
    told.reasons.push(Reason {
        rule: "letter/greeting".into(),
        document_type: told.document_type.clone(),
        weight: 1.5,
        seen: "Dear Ms Lind".into(),
        page: 0,
        rect: Some(rect),
    });
    let document = site.send_text(&page(&["LETTER"]), told).await;
    let shown = site.get(&document).await;
    assert_eq!(shown["line_items"][0]["amount"], "54.00 EUR");
    assert_eq!(
        (&shown["reasons"][0]["rule"], &shown["reasons"][0]["seen"]),
        (&json!("letter/greeting"), &json!("Dear Ms Lind"))
    );
    site.is_whole().await;
}

#[tokio::test]
async fn the_people_of_all_tenants_are_shown_to_the_administrator_of_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let policy = folder.path().join("routing.toml");
    let people = "[clerk]\naddress = 'clerk@example.com'";
    std::fs::write(folder.path().join("people.toml"), people).expect("written");
    std::fs::write(&policy, format!("directory = 'people.toml'\n{POLICY}")).expect("written");
    let server = Server::start_with(|config| config.routing = Some(policy.clone())).await;
    server.enrol("default").await;
    let admin = token(&server, "default", Scope::ALL.into_iter().collect()).await;
    let sha256 = server.app.policy(&tenant()).reference().sha256;
    let shown = async || -> Value {
        let request = server.client.get(format!("{}/v1/policies/{sha256}", server.url));
        request.bearer_auth(&admin).send().await.expect("an answer").json().await.expect("JSON")
    };
    assert_eq!(shown().await["directory"], people);
    server.enrol("other").await;
    let told = shown().await;
    assert!(told["directory"].is_null() && told["policy"].is_string(), "{told}");
}

#[tokio::test]
async fn inv12_a_tenant_with_a_policy_of_its_own_goes_by_it_and_nobody_else_sees_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (site, own) = (folder.path().join("routing.toml"), folder.path().join("other.toml"));
    let people = "[clerk]\naddress = 'clerk@other.example.com'";
    std::fs::write(folder.path().join("people.toml"), people).expect("written");
    std::fs::write(&site, POLICY).expect("written");
    let text = POLICY.replace("'first'", "'own'").replace("'rest'", "'their own way'");
    std::fs::write(&own, format!("directory = 'people.toml'\n{text}")).expect("written");
    let other: TenantId = "other".parse().expect("a name");
    let server = Server::start_with(|config| {
        config.routing = Some(site.clone());
        config.tenant_routing.insert(other.clone(), own.clone());
    });
    let server = server.await;
    for name in ["default", "other"] {
        server.enrol(name).await;
    }
    let app = &server.app;
    let (ours, theirs) = (app.policy(&tenant()), app.policy(&other));
    assert_eq!((&*ours.reference().version, &*theirs.reference().version), ("first", "own"));
    let get = async |name: &str, path: &str| -> Value {
        let token = token(&server, name, Scope::ALL.into_iter().collect()).await;
        let request = server.client.get(format!("{}/v1/policies{path}", server.url));
        request.bearer_auth(token).send().await.expect("an answer").json().await.expect("JSON")
    };
    let versions = async |name: &str| -> Vec<String> {
        let listed = get(name, "").await;
        let items = listed["items"].as_array().expect("a list").clone();
        items.iter().map(|item| format!("{} {}", item["version"], item["in_force"])).collect()
    };
    assert_eq!(versions("default").await, ["\"first\" true"]);
    assert_eq!(versions("other").await, ["\"own\" true"]);
    let (ours, theirs) = (ours.reference().sha256, theirs.reference().sha256);
    let shown = get("other", &format!("/{theirs}")).await;
    assert_eq!(shown["directory"], people, "they are its own");
    for (name, sha256) in [("default", theirs), ("other", ours)] {
        assert_eq!(get(name, &format!("/{sha256}")).await["status"], 404, "{name}");
    }
    // One that is not sound holds up all of them.
    std::fs::write(&site, POLICY.replace("'first'", "'second'")).expect("written");
    std::fs::write(&own, "no policy").expect("written");
    let error = app.renew_policies().await.expect_err("a typing error");
    assert!(error.contains("tenant other") && error.contains("other.toml"), "{error}");
    assert_eq!(app.policy(&tenant()).reference().sha256, ours);
    std::fs::write(&own, &text).expect("written");
    assert!(app.renew_policies().await.expect("sound").is_some());
    assert_eq!(app.policy(&tenant()).reference().version, "second");
    assert_eq!(versions("other").await, ["\"own\" true", "\"own\" false"]);
    let found = integrity::check(&app.store, &app.keep.blobs, None).await.expect("readable");
    assert_eq!(found.wrong, Vec::<String>::new());
}

also_on_postgres! {
    inv12_a_tenant_with_a_policy_of_its_own_goes_by_it_and_nobody_else_sees_it,
    a_corrected_type_reads_its_own_fields_and_keeps_what_people_said,
    what_people_say_of_documents_is_kept_as_examples_of_their_tenant,
    a_policy_that_is_not_sound_never_replaces_the_one_in_force_and_every_one_is_kept,
    a_dry_run_tells_what_a_policy_would_change_and_changes_nothing,
}
