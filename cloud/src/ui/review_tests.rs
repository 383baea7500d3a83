//! Reviews on the pages, through the real router: what two people see of each other's, and what is left of what they typed.

use platen_model::DocumentId;
use reqwest::header::LOCATION;
use reqwest::{Client, Response};
use tempfile::TempDir;

use crate::auth::users::hash_password;
use crate::jobs;
use crate::journey_tests::{Agent, Server};
use crate::signing::harness::{cookie, hidden};
use crate::store::record::Record;
use crate::store::{documents, people};
use crate::testing::{also_on_postgres, decision, tenant};
use crate::ui::lookup::{self, Next};

const POLICY: &str = "version = '1'
[validation.type.receipt]
required = ['total']
[[route]]
name = 'twice'
when = 'document.document_type == \"invoice\"'
approvals = 2
[[route]]
name = 'letters'
when = 'document.document_type == \"letter\" && document.department == \"legal\"'
[[route]]
name = 'rest'
when = 'document.document_type != \"letter\"'
";

/// A site whose people work with the pages.
struct Office {
    server: Server,
    agent: Agent,
    http: Client,
    _folder: TempDir,
}

impl Office {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let policy = folder.path().join("routing.toml");
        std::fs::write(&policy, POLICY).expect("written");
        let server = Server::start_with(|config| config.routing = Some(policy)).await;
        let agent = server.enrol("default").await;
        let http = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { server, agent, http, _folder: folder }
    }

    /// The session of a reviewer of this name.
    async fn sign_in(&self, name: &str) -> String {
        let password = hash_password("correct horse").expect("a hash");
        let store = &self.server.app.store;
        people::put_user(store, &tenant(), name, "reviewer", &password).await.expect("a user");
        let login = self.get("", "/login").await;
        let before = cookie(&login);
        let csrf = hidden(&login.text().await.expect("text"), "csrf");
        let form = [("csrf", csrf.as_str()), ("username", name), ("password", "correct horse")];
        cookie(&self.post(&before, "/login", &form).await)
    }

    /// Sends a document that was read like this, lets it go as far as it goes, and answers its page's address.
    async fn send(&self, document_type: &str, fields: &[(&str, &str)]) -> String {
        let mut manifest = self.server.prepare(&self.agent, document_type).await;
        manifest.decision = decision(document_type, fields);
        let bytes = serde_json::to_vec(&manifest).expect("plain data");
        let answer = self.server.commit(&self.agent, &bytes, &self.agent.key.sign(&bytes)).await;
        assert_eq!(answer.status(), 202);
        self.work().await;
        format!("/documents/{}", manifest.document_id)
    }

    async fn work(&self) {
        jobs::run_until_idle(&self.server.app).await.expect("jobs");
    }

    async fn get(&self, session: &str, path: &str) -> Response {
        let request = self.http.get(format!("{}{path}", self.server.url));
        request.header("cookie", session).send().await.expect("an answer")
    }

    async fn page(&self, session: &str, path: &str) -> String {
        self.get(session, path).await.text().await.expect("text")
    }

    async fn post(&self, session: &str, path: &str, form: &[(&str, &str)]) -> Response {
        let request = self.http.post(format!("{}{path}", self.server.url)).header("cookie", session);
        request.form(form).send().await.expect("an answer")
    }

    /// Sends the form of a page that this person saw, with what they typed.
    async fn send_form(&self, session: &str, page: &str, typed: &[(&str, &str)]) -> Response {
        let (csrf, version) = (hidden(page, "csrf"), hidden(page, "version"));
        let id = page.split_once("Document <code>").expect("an id").1.split('<').next().expect("an id");
        let mut form = vec![("csrf", csrf.as_str()), ("version", version.as_str())];
        form.extend(typed);
        let answer = self.post(session, &format!("/documents/{id}/review"), &form).await;
        self.work().await;
        answer
    }
}

fn location(answer: &Response) -> &str {
    answer.headers().get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_refused_review_keeps_what_was_typed_and_tells_what_others_did_meanwhile() {
    let office = Office::start().await;
    let (ada, bob) = (office.sign_in("ada").await, office.sign_in("bob").await);
    let document = office.send("receipt", &[("number", "7")]).await;
    let seen = office.page(&ada, &document).await;
    let typed = [("action", "reject"), ("field.number", "8"), ("was.number", "7"), ("comment", " ")];
    let answer = office.send_form(&ada, &seen, &typed).await;
    assert_eq!(answer.status(), 422);
    let again = answer.text().await.expect("text");
    assert!(again.contains("name=\"field.number\" value=\"8\""), "{again}");
    assert!(again.contains("A rejection needs a comment."), "{again}");

    let corrected = [("action", "correct"), ("field.total", "5.00 EUR")];
    let answer = office.send_form(&bob, &seen.replace(&hidden(&seen, "csrf"), "bob's"), &corrected).await;
    assert_eq!(answer.status(), 403, "a form of another session is shown, and does nothing");
    assert!(answer.text().await.expect("text").contains("value=\"5.00 EUR\""));
    let answer = office.send_form(&bob, &office.page(&bob, &document).await, &corrected).await;
    assert_eq!((answer.status().as_u16(), location(&answer)), (303, &*format!("{document}?corrected=1")));

    let typed = [
        ("action", "approve"),
        ("field.total", ""),
        ("was.total", ""),
        ("field.number", "8"),
        ("was.number", "7"),
        ("comment", "the number was wrong"),
    ];
    let answer = office.send_form(&ada, &seen, &typed).await;
    assert_eq!(answer.status(), 412);
    let again = answer.text().await.expect("text");
    assert!(again.contains("Since you opened it") && again.contains("by bob"), "{again}");
    assert!(again.contains("name=\"field.number\" value=\"8\"") && again.contains("the number was wrong"));
    assert!(again.contains("name=\"field.total\" value=\"5.00 EUR\""), "bob's word is not undone");
    let typed = [("action", "approve"), ("field.number", "8"), ("was.number", "7")];
    assert_eq!(location(&office.send_form(&ada, &again, &typed).await), document);
    assert!(office.page(&ada, &document).await.contains(">archived<"));

    let answer = office.post("", &format!("{document}/review"), &typed).await;
    let way_back = super::frame::encode(&document);
    assert_eq!(location(&answer), format!("/login?next={way_back}"), "whose session ended comes back");
}

#[tokio::test]
async fn a_value_without_a_name_is_refused_and_kept_and_what_was_corrected_is_told() {
    let office = Office::start().await;
    let ada = office.sign_in("ada").await;
    let document = office.send("receipt", &[("number", "7")]).await;
    let seen = office.page(&ada, &document).await;
    for action in ["approve", "correct"] {
        let typed = [("action", action), ("new_name", " "), ("new_value", "4711")];
        let answer = office.send_form(&ada, &seen, &typed).await;
        assert_eq!(answer.status(), 422, "{action}");
        let again = answer.text().await.expect("text");
        assert!(again.contains("Give the field a name.") && again.contains("value=\"4711\""), "{again}");
    }
    let nothing = office.send_form(&ada, &seen, &[("action", "correct")]).await;
    assert_eq!(nothing.status(), 422);
    let said = nothing.text().await.expect("text");
    assert!(said.contains("Nothing is changed in the form") && !said.contains("(all of it)"), "{said}");
    let typed = [("action", "correct"), ("new_name", "Order number"), ("new_value", "4711")];
    assert_eq!(office.send_form(&ada, &seen, &typed).await.status(), 303);
    let page = office.page(&ada, &document).await;
    assert!(page.contains("Corrected: Order number.") && page.contains("4711"), "{page}");
}

#[tokio::test]
async fn a_type_that_is_changed_shows_its_fields_before_it_is_approved() {
    let office = Office::start().await;
    let ada = office.sign_in("ada").await;
    let document = office.send("unknown", &[]).await;
    let seen = office.page(&ada, &document).await;
    assert!(!seen.contains("name=\"field.total\""));
    let changed = [
        ("action", "approve"),
        ("document_type", "receipt"),
        ("shown_type", "unknown"),
        ("was_type", "unknown"),
    ];
    let answer = office.send_form(&ada, &seen, &changed).await;
    assert_eq!(answer.status(), 200, "it is not approved unseen");
    let shown = answer.text().await.expect("text");
    assert!(shown.contains("name=\"field.total\" value=\"\""), "what must be there can be entered: {shown}");
    assert_eq!(
        (hidden(&shown, "shown_type"), hidden(&shown, "was_type")),
        ("receipt".into(), "unknown".into())
    );
    assert!(office.page(&ada, &document).await.contains(">needs review<"));
    let typed = [
        ("action", "approve"),
        ("document_type", "receipt"),
        ("shown_type", "receipt"),
        ("was_type", "unknown"),
        ("field.total", "5.00 EUR"),
        ("was.total", ""),
    ];
    assert_eq!(location(&office.send_form(&ada, &shown, &typed).await), document);
    let page = office.page(&ada, &document).await;
    assert!(page.contains(">archived<") && page.contains("5.00 EUR"), "{page}");
}

#[tokio::test]
async fn what_no_route_takes_is_corrected_on_its_page_and_sent_on() {
    let office = Office::start().await;
    let ada = office.sign_in("ada").await;
    let document = office.send("letter", &[("date", "2026-01-02")]).await;
    let seen = office.page(&ada, &document).await;
    assert!(seen.contains(">quarantined<") && seen.contains("name=\"field.date\""), "{seen}");
    let nothing = office.send_form(&ada, &seen, &[("action", "correct"), ("department", "office")]).await;
    assert_eq!(nothing.status(), 422, "that corrects nothing");
    let answer = office.send_form(&ada, &seen, &[("action", "correct"), ("department", "legal")]).await;
    assert_eq!(answer.status(), 303);
    let corrected = office.page(&ada, location(&answer)).await;
    assert!(corrected.contains("It was corrected") && corrected.contains(">quarantined<"), "{corrected}");
    let csrf = hidden(&corrected, "csrf");
    assert_eq!(office.post(&ada, &format!("{document}/retry"), &[("csrf", &csrf)]).await.status(), 303);
    office.work().await;
    assert!(office.page(&ada, &document).await.contains(">archived<"));
}

/// What is known of the document with this page.
async fn record_of(office: &Office, document: &str) -> Record {
    let id = document.trim_start_matches("/documents/").parse().expect("an id");
    let found = documents::find(office.server.app.store.reading(), &tenant(), id).await;
    found.expect("readable").expect("a document")
}

#[tokio::test]
async fn a_refused_approval_corrects_no_department_and_leaves_what_others_approved() {
    let office = Office::start().await;
    let (ada, bob) = (office.sign_in("ada").await, office.sign_in("bob").await);
    let document = office.send("invoice", &[("total", "5.00 EUR")]).await;
    let approve = ("action", "approve");
    office.send_form(&ada, &office.page(&ada, &document).await, &[approve]).await;
    let before = record_of(&office, &document).await;
    assert_eq!(before.approved_by, ["user:ada"]);

    let seen = office.page(&bob, &document).await;
    let as_receipt = [
        approve,
        ("department", "legal"),
        ("document_type", "receipt"),
        ("shown_type", "receipt"),
        ("was_type", "invoice"),
        ("field.total", ""),
        ("was.total", "5.00 EUR"),
    ];
    let answer = office.send_form(&bob, &seen, &as_receipt).await;
    assert_eq!(answer.status(), 422);
    assert!(answer.text().await.expect("text").contains("value=\"legal\""), "what was typed is kept");
    let after = record_of(&office, &document).await;
    assert_eq!((after.document.version, &after.approved_by), (before.document.version, &before.approved_by));
    assert_eq!(after.document.department, before.document.department);

    let answer = office.send_form(&bob, &seen, &[approve, ("department", "legal")]).await;
    assert_eq!(location(&answer), document);
    let after = record_of(&office, &document).await;
    assert_eq!(after.document.department.as_deref(), Some("legal"));
    assert_eq!(after.approved_by, ["user:bob"], "ada approved another department");
}

#[tokio::test]
async fn the_queue_passes_over_what_cannot_be_read_and_is_read_so_far_at_once() {
    let office = Office::start().await;
    let ada = office.sign_in("ada").await;
    let fields = [("total", "5.00 EUR")];
    let mut documents = Vec::new();
    for _ in 0..3 {
        documents.push(office.send("invoice", &fields).await);
    }
    documents.sort();
    let ids: Vec<DocumentId> =
        documents.iter().map(|page| page.trim_start_matches("/documents/").parse().expect("an id")).collect();
    let (store, tenant) = (&office.server.app.store, tenant());
    let is_third = |record: &Record| record.document.document_id == ids[2];
    let next = async |after, at_most| {
        let next = lookup::next_in_review(store, &tenant, after, at_most, is_third).await;
        next.expect("readable")
    };
    assert_eq!(next(None, 3).await, Next::Found(ids[2]));
    assert_eq!(next(None, 2).await, Next::Further(ids[1]));
    assert_eq!(next(Some(ids[1]), 2).await, Next::Found(ids[2]));
    assert_eq!(next(Some(ids[2]), 2).await, Next::Nothing);

    let damage = format!("UPDATE documents SET record = 'x' WHERE document_id = '{}'", ids[0]);
    sqlx::query(sqlx::AssertSqlSafe(damage)).execute(store.writing()).await.expect("a row");
    let page = office.page(&ada, "/review").await;
    assert!(page.contains(&format!("action=\"{}/review\"", documents[1])), "{page}");
}

#[tokio::test]
async fn the_queue_goes_on_behind_what_only_others_may_approve_and_what_is_left_for_later() {
    let office = Office::start().await;
    let (ada, bob) = (office.sign_in("ada").await, office.sign_in("bob").await);
    let fields = [("total", "5.00 EUR")];
    let mut documents = [office.send("invoice", &fields).await, office.send("invoice", &fields).await];
    documents.sort();
    let is_of = |page: &str, document: &String| page.contains(&format!("action=\"{document}/review\""));
    let first = office.page(&ada, "/review").await;
    assert!(is_of(&first, &documents[0]), "{first}");
    let next = format!("/review?after={}", documents[0].trim_start_matches("/documents/"));
    assert!(first.contains(&format!("href=\"{next}\"")), "it may be left for later");
    assert!(is_of(&office.page(&ada, &next).await, &documents[1]));
    let end = format!("/review?after={}", documents[1].trim_start_matches("/documents/"));
    assert!(office.page(&ada, &end).await.contains("That was the last one"));

    let approve = [("action", "approve"), ("queue", "")];
    assert_eq!(location(&office.send_form(&ada, &first, &approve).await), "/review");
    let second = office.page(&ada, "/review").await;
    assert!(is_of(&second, &documents[1]), "the first waits for somebody else");
    assert!(is_of(&office.page(&bob, "/review").await, &documents[0]));
    office.send_form(&ada, &second, &approve).await;
    assert!(office.page(&ada, "/review").await.contains("Nothing waits for you"));

    let first = office.page(&ada, &documents[0]).await;
    let twice = office.send_form(&ada, &first, &[("action", "approve")]).await;
    assert_eq!(twice.status(), 409);
    assert!(twice.text().await.expect("text").contains("You approved it already"));
    let corrected = [("action", "approve"), ("field.total", "6.00 EUR"), ("was.total", "5.00 EUR")];
    assert_eq!(
        office.send_form(&ada, &first, &corrected).await.status(),
        303,
        "a correction is never refused"
    );
}

also_on_postgres! {
    a_refused_approval_corrects_no_department_and_leaves_what_others_approved,
    the_queue_passes_over_what_cannot_be_read_and_is_read_so_far_at_once,
    a_refused_review_keeps_what_was_typed_and_tells_what_others_did_meanwhile,
    the_queue_goes_on_behind_what_only_others_may_approve_and_what_is_left_for_later,
}
