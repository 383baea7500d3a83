//! Fields taught by example, through the real router and database: read on the tenant's own copies that come after.

use platen_capture::classify::layout::ValueKind;
use platen_model::{DocumentManifest, PageRecord, PageText, PartRole, Rect, Word};
use serde_json::Value;

use crate::auth::{Caller, Role, User};
use crate::forms::{self, Lesson, Shown};
use crate::journey_tests::{Agent, Server};
use crate::refusal::Refusal;
use crate::store::record::Record;
use crate::store::{documents, events, forms as rows};
use crate::testing::{also_on_postgres, decision, manifest, part, tenant};
use crate::{integrity, jobs};

/// A page of a printed form, filled in with a mark and a day.
fn form(mark: &str, day: &str) -> PageText {
    let lines = [
        "APPLICATION FOR A PARKING PERMIT".to_owned(),
        "City of Harlow Department of Traffic".to_owned(),
        format!("Registration mark of the vehicle: {mark}"),
        "Permit wanted for the northern quarter until further notice".to_owned(),
        format!("Wanted from this day onwards: {day}"),
        "The statements above are complete and true".to_owned(),
    ];
    let mut words = Vec::new();
    for (line, text) in (0u32..).zip(&lines) {
        let mut x = 200;
        for word in text.split(' ') {
            let w = 20 * u32::try_from(word.len()).expect("short");
            let rect = Rect { x, y: 200 + 120 * line, w, h: 40 };
            words.push(Word { text: word.into(), confidence: 0.95, rect, line, block: 0 });
            x += w + 20;
        }
    }
    let page = PageRecord {
        width_px: 1654,
        height_px: 2339,
        dpi: 200,
        mean_confidence: 0.95,
        words,
        ..PageRecord::default()
    };
    PageText::new(vec![page])
}

/// Where a word stands on the page.
fn place(text: &PageText, word: &str) -> usize {
    text.pages[0].words.iter().position(|one| one.text == word).expect("the word is there")
}

/// Sends a document with this text, and lets it go as far as it goes.
async fn send(server: &Server, agent: &Agent, text: &PageText) -> DocumentManifest {
    let text = serde_json::to_vec(text).expect("plain data");
    let parts: [(PartRole, &[u8], &str); 3] = [
        (PartRole::Original, b"the scan", "image/tiff"),
        (PartRole::Normalized, b"%PDF-", "application/pdf"),
        (PartRole::PageText, &text, "application/json"),
    ];
    for (_, bytes, mime) in parts {
        server.upload(agent, bytes, mime).await;
    }
    let parts = parts.map(|(role, bytes, mime)| part(role, bytes, mime)).to_vec();
    let manifest = manifest(agent.id, decision("unknown", &[("mark", "misread")]), parts);
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    let answer = server.commit(agent, &bytes, &agent.key.sign(&bytes)).await;
    assert!(answer.status().is_success(), "{:?}", answer.text().await);
    jobs::run_until_idle(&server.app).await.expect("jobs");
    manifest
}

async fn record(server: &Server, tenant: &str, manifest: &DocumentManifest) -> Record {
    let tenant = tenant.parse().expect("a name");
    let found = documents::find(server.app.store.reading(), &tenant, manifest.document_id).await;
    found.expect("readable").expect("the document")
}

fn person(role: Role) -> Caller {
    User { tenant: tenant(), name: "ada".into(), role, csrf: String::new() }.into()
}

async fn teach(
    server: &Server,
    record: &Record,
    role: Role,
    (field, kind, words): (&str, ValueKind, &[usize]),
) -> Result<String, Refusal> {
    let lesson = Lesson { field: field.into(), kind, page: 0, shown: Shown::Words(words.to_vec()) };
    forms::teach(&server.app, &person(role), record, &lesson).await.map(|field| field.value)
}

#[tokio::test]
async fn inv12_a_taught_field_is_read_on_the_copies_of_its_own_tenant_that_come_after() {
    let server = Server::start().await;
    let (agent, stranger) = (server.enrol("default").await, server.enrol("other").await);
    let text = form("HK-4471-B", "2026-03-31");
    let first = send(&server, &agent, &text).await;
    let shown = record(&server, "default", &first).await;
    let mark = place(&text, "HK-4471-B");
    let value = teach(&server, &shown, Role::Reviewer, ("mark", ValueKind::Identifier, &[mark])).await;
    assert_eq!(value.expect("taught"), "HK-4471-B");
    let corrected = record(&server, "default", &first).await;
    assert_eq!(
        corrected.document.fields["mark"].value, "HK-4471-B",
        "it waits for a person, and a person said it"
    );

    let second = send(&server, &agent, &form("BX-90-112", "2026-04-01")).await;
    let read = record(&server, "default", &second).await;
    let field = &read.document.fields["mark"];
    assert_eq!(field.value, "BX-90-112");
    assert!(field.confidence < 1.0 && field.rect.is_some(), "{field:?}");
    let chain = events::of_document(&server.app.store, &tenant(), second.document_id).await.expect("events");
    let names: Vec<String> = chain
        .iter()
        .map(|event| serde_json::from_str::<Value>(&event.bytes).expect("JSON")["event"].to_string())
        .collect();
    assert!(names.contains(&"\"form_recognised\"".to_owned()), "{names:?}");

    let kept =
        serde_json::to_string(&rows::list(&server.app.store, &tenant()).await.expect("readable")[0].template);
    let kept = kept.expect("plain data");
    assert!(!kept.contains("PARKING") && !kept.contains("parking") && !kept.contains("Harlow"), "{kept}");

    let theirs = send(&server, &stranger, &form("QQ-1-7", "2026-04-02")).await;
    assert_eq!(record(&server, "other", &theirs).await.document.fields["mark"].value, "misread");
    let letter =
        PageText::new(vec![PageRecord { words: text.pages[0].words[..6].to_vec(), ..text.pages[0].clone() }]);
    let other = send(&server, &agent, &letter).await;
    assert_eq!(
        record(&server, "default", &other).await.document.fields["mark"].value,
        "misread",
        "no such form"
    );
    let found = integrity::check(&server.app.store, &server.app.keep.blobs, None).await.expect("readable");
    assert_eq!(found.wrong, Vec::<String>::new());
}

#[tokio::test]
async fn a_field_may_be_taught_on_several_copies_and_the_last_word_counts() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let (one, two) = (form("HK-4471-B", "2026-03-31"), form("BX-90-112", "2026-04-01"));
    let first = send(&server, &agent, &one).await;
    let wrong = place(&one, "2026-03-31");
    let shown = record(&server, "default", &first).await;
    teach(&server, &shown, Role::Reviewer, ("mark", ValueKind::Text, &[wrong])).await.expect("taught");
    let second = send(&server, &agent, &two).await;
    let shown = record(&server, "default", &second).await;
    assert_eq!(shown.document.fields["mark"].value, "2026-04-01", "as it was shown");
    let right = place(&two, "BX-90-112");
    teach(&server, &shown, Role::Admin, ("mark", ValueKind::Identifier, &[right])).await.expect("taught");
    let third = send(&server, &agent, &form("QQ-1-7", "2026-04-02")).await;
    assert_eq!(record(&server, "default", &third).await.document.fields["mark"].value, "QQ-1-7");
}

#[tokio::test]
async fn what_cannot_be_read_or_found_again_is_not_taught() {
    let server = Server::start().await;
    let agent = server.enrol("default").await;
    let text = form("HK-4471-B", "2026-03-31");
    let sent = send(&server, &agent, &text).await;
    let shown = record(&server, "default", &sent).await;
    let mark = place(&text, "HK-4471-B");
    let check = async |role: Role, lesson: (&str, ValueKind, &[usize]), status: u16, named: &str| {
        let refusal = teach(&server, &shown, role, lesson).await.expect_err(named);
        let problem = refusal.problem();
        let is_named = named.is_empty() || problem.errors.contains_key(named);
        assert_eq!((problem.status, is_named), (status, true), "{problem:?}");
    };
    check(Role::Viewer, ("mark", ValueKind::Text, &[mark]), 403, "").await;
    check(Role::Reviewer, ("Mark!", ValueKind::Text, &[mark]), 422, "field").await;
    check(Role::Reviewer, ("mark", ValueKind::Date, &[mark]), 422, "word").await;
    check(Role::Reviewer, ("mark", ValueKind::Text, &[]), 422, "word").await;
    check(Role::Reviewer, ("mark", ValueKind::Text, &[999]), 422, "word").await;
    assert_eq!(rows::list(&server.app.store, &tenant()).await.expect("readable"), []);
    let unchanged = record(&server, "default", &sent).await;
    assert_eq!(unchanged, shown);
    let note =
        PageText::new(vec![PageRecord { words: text.pages[0].words[..4].to_vec(), ..text.pages[0].clone() }]);
    let sent = send(&server, &agent, &note).await;
    let shown = record(&server, "default", &sent).await;
    let refusal =
        teach(&server, &shown, Role::Reviewer, ("title", ValueKind::Text, &[0])).await.expect_err("a note");
    assert!(refusal.problem().errors.contains_key("page"), "{:?}", refusal.problem());
}

also_on_postgres! {
    inv12_a_taught_field_is_read_on_the_copies_of_its_own_tenant_that_come_after,
}
