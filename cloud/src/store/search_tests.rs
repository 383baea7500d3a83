//! The same documents are found by both engines, by their words, names and fields, and by nobody else's question.

use std::collections::BTreeMap;

use platen_model::event::{Actor, EventBody, Status};
use platen_model::keys::SigningKey;
use platen_model::{DeviceId, DocumentManifest, PageRecord, PageText, PartRole, Rect, Word};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::blobs::{Blobs, Keep};
use crate::integrity;
use crate::store::documents::{self, Bounds, Filter};
use crate::store::{Store, events, people};
use crate::testing::{database, decision, manifest, part, receive, tenant};

/// A page text of these words.
fn page_text(text: &str) -> PageText {
    let word =
        |text: &str| Word { text: text.into(), confidence: 0.9, rect: Rect::default(), line: 0, block: 0 };
    PageText::new(vec![PageRecord { words: text.split(' ').map(word).collect(), ..PageRecord::default() }])
}

struct Trial {
    keep: Keep,
    _folder: tempfile::TempDir,
    _base: crate::testing::Base,
}

impl Trial {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let base = database(folder.path());
        let store = base.open().await;
        people::add_tenant(&store, &tenant()).await.expect("a tenant");
        let address = format!("file:{}", folder.path().join("blobs").display()).parse().expect("an address");
        let blobs = Blobs::open(&address, folder.path()).expect("a folder of blobs");
        Self { keep: Keep { blobs, store }, _folder: folder, _base: base }
    }

    fn store(&self) -> &Store {
        &self.keep.store
    }

    /// A document with this file name and text.
    async fn add(&self, name: &str, text: &str) -> DocumentManifest {
        let text = serde_json::to_vec(&page_text(text)).expect("plain data");
        self.keep.put(&tenant(), text.clone(), "application/json").await.expect("kept");
        self.keep.put(&tenant(), b"scan".to_vec(), "image/tiff").await.expect("kept");
        let mut original = part(PartRole::Original, b"scan", "image/tiff");
        original.file_name = Some(name.into());
        let parts = vec![original, part(PartRole::PageText, &text, "application/json")];
        let manifest = manifest(DeviceId::new(), decision("nda", &[]), parts);
        receive(&self.keep, &manifest, &SigningKey::generate().expect("randomness")).await;
        let text: PageText = serde_json::from_slice(&text).expect("as written");
        let mut write = self.store().begin().await.expect("a write");
        let body = EventBody::OcrComplete {
            page_text_sha256: manifest.parts[1].sha256,
            ocr_confidence: 0.9,
            page_count: 1,
        };
        let document = manifest.document_id;
        events::append(&mut write, &tenant(), document, Actor::System, body).await.expect("read");
        update_text(&mut write, document, &Words::of(&text.text())).await.expect("indexed");
        write.commit().await.expect("committed");
        manifest
    }

    async fn append(&self, document: DocumentId, body: EventBody) {
        let mut write = self.store().begin().await.expect("a write");
        events::append(&mut write, &tenant(), document, Actor::System, body).await.expect("fits");
        write.commit().await.expect("committed");
    }

    /// The file names that a question finds, newest first.
    async fn found(&self, question: &str) -> Vec<String> {
        self.found_by(&tenant(), Question::of(question)).await
    }

    async fn found_by(&self, tenant: &TenantId, question: Question) -> Vec<String> {
        let filter = Filter { search: Some(question), limit: 50, ..Filter::default() };
        let page = documents::list(self.store(), tenant, &filter).await.expect("a list");
        page.items.into_iter().map(|document| document.file_name).collect()
    }
}

#[tokio::test]
async fn a_document_is_found_by_words_phrases_and_beginnings_of_its_text_and_by_its_names() {
    let trial = Trial::start().await;
    trial.add("lease-2024.tif", "Mietvertrag für die Straße am Müllerweg 12, Größe 80 m²").await;
    trial.add("note.tif", "the quick brown fox, ada.lovelace@example.com, 1.234,50 EUR").await;
    let note = ["note.tif"];
    for (question, expected) in [
        ("quick", &note[..]),
        ("QUICK fox", &note),
        ("\"quick brown\"", &note),
        ("\"brown quick\"", &[]),
        ("qui", &[]),
        ("qui*", &note),
        ("1.234,50", &note),
        ("ada.lovelace@example.com", &note),
        ("ada lovelace@example.org", &[]),
        ("strasse mullerweg", &["lease-2024.tif"]),
        ("GRÖSSE", &["lease-2024.tif"]),
        ("note", &note),
        ("front desk", &["note.tif", "lease-2024.tif"]),
        ("lease 12", &["lease-2024.tif"]),
        ("quick lease", &[]),
        ("tenant-default", &[]),
        ("\" ' : * OR (", &[]),
        ("fox OR lease", &[]),
    ] {
        assert_eq!(trial.found(question).await, expected, "{question}");
    }
    assert_eq!(trial.found_by(&tenant(), Question::of_typing("quick bro")).await, note);
    let other: TenantId = "other".parse().expect("a name");
    people::add_tenant(trial.store(), &other).await.expect("a tenant");
    assert!(trial.found_by(&other, Question::of("quick")).await.is_empty(), "INV-12");
}

#[tokio::test]
async fn what_events_say_of_fields_and_type_is_found_and_a_rebuild_finds_all_again() {
    let trial = Trial::start().await;
    let document = trial.add("a.tif", "some words").await.document_id;
    trial
        .append(document, EventBody::Classified { decision: decision("invoice", &[("party", "ACME")]) })
        .await;
    trial
        .append(
            document,
            EventBody::ReviewRequested {
                reasons: vec!["doubt".into()],
                violations: Vec::new(),
                policy: None,
            },
        )
        .await;
    let fields = BTreeMap::from([("party".to_owned(), "Initech".to_owned())]);
    trial
        .append(
            document,
            EventBody::Approved {
                read: None,
                document_type: None,
                fields,
                comment: None,
                override_reason: None,
                overridden: Vec::new(),
            },
        )
        .await;
    let questions = [("invoice", 1), ("initech words", 1), ("nda", 0), ("zebra", 0)];
    for (question, expected) in questions {
        assert_eq!(trial.found(question).await.len(), expected, "{question}");
    }
    integrity::rebuild(trial.store(), &trial.keep.blobs).await.expect("done").expect("nothing in the way");
    for (question, expected) in questions {
        assert_eq!(trial.found(question).await.len(), expected, "{question}, rebuilt");
    }
}

#[tokio::test]
async fn what_was_found_is_read_page_by_page_and_nothing_comes_twice() {
    let trial = Trial::start().await;
    for number in 0..7 {
        trial.add(&format!("{number}.tif"), "common").await;
    }
    let (mut names, mut after) = (Vec::new(), None);
    loop {
        let filter = Filter { search: Some(Question::of("common")), limit: 3, after, ..Filter::default() };
        let page = documents::list(trial.store(), &tenant(), &filter).await.expect("a list");
        names.extend(page.items.into_iter().map(|document| document.file_name));
        let Some(next) = page.next else { break };
        after = Some(next.parse().expect("a document"));
    }
    assert_eq!(names, (0..7).rev().map(|number| format!("{number}.tif")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_huge_text_is_kept_within_the_limits_and_its_first_and_late_words_are_found() {
    let trial = Trial::start().await;
    // More words, and more new ones, than a row may hold.
    let text: String = (0..120_000).map(|number| format!("w{number} again ")).collect();
    trial.add("huge.tif", text.trim()).await;
    assert_eq!(trial.found("w7 w20000").await, ["huge.tif"]);
    assert!(trial.found("w119999").await.is_empty(), "behind the limit");
}

/// Whatever text and question there are: nothing fails, and a document is found by any words of its own.
#[test]
fn any_text_can_be_kept_and_is_found_by_each_of_its_words() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let trial = runtime.block_on(Trial::start());
    let document = runtime.block_on(trial.add("any.tif", "x")).document_id;
    let mut runner = TestRunner::new(ProptestConfig { cases: 64, ..ProptestConfig::default() });
    let outcome = runner.run(&("\\PC{0,60}", "\\PC{0,20}"), |(text, question)| {
        runtime.block_on(async {
            let words = Words::of(&text);
            let mut write = trial.store().begin().await.expect("a write");
            update_text(&mut write, document, &words).await.expect("indexed");
            write.commit().await.expect("committed");
            for word in words.0.iter().take(5) {
                prop_assert_eq!(trial.found(word).await, vec!["any.tif"], "{}", word);
            }
            trial.found(&question).await;
            Ok(())
        })
    });
    outcome.expect("it holds for every text");
}

#[tokio::test]
async fn a_search_within_a_state_finds_the_same_whether_few_or_many_are_in_it() {
    let trial = Trial::start().await;
    let mut expected = Vec::new();
    for number in 0..14 {
        let name = format!("{number}.tif");
        let document = trial.add(&name, if number == 3 { "other" } else { "common" }).await.document_id;
        // Some are near each other, and between others are more than are read at once.
        if matches!(number, 0 | 1 | 3 | 9 | 10) {
            let (reason, help) = ("a doubt".into(), "look at it".into());
            trial.append(document, EventBody::Quarantined { reason, help, returned: None }).await;
            expected.push(name);
        }
    }
    expected.retain(|name| name != "3.tif");
    expected.reverse();
    let question = Question::of("common");
    let check = async |bounds: Bounds, limit: u32| {
        let (mut names, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let status = Some(Status::Quarantined);
            let filter = Filter { status, limit, after, ..Filter::default() };
            let page = documents::found(trial.store(), &tenant(), &filter, &question, bounds).await;
            let page = page.expect("a page");
            assert!(page.items.len() <= limit as usize, "{bounds:?}");
            names.extend(page.items.into_iter().map(|record| record.document.file_name));
            pages += 1;
            assert!(pages < 30, "it has no end: {bounds:?}");
            let Some(next) = page.next else { break };
            after = Some(next.parse().expect("a document"));
        }
        assert_eq!(names, expected, "{bounds:?}, pages of {limit}");
    };
    for limit in [1, 2, 50] {
        for (few, finds) in [(100, 100), (0, 100), (0, 3), (0, 1)] {
            for newest in [1, 40, 1_000] {
                check(Bounds { few, finds, newest }, limit).await;
            }
        }
    }
}

crate::testing::also_on_postgres!(
    a_search_within_a_state_finds_the_same_whether_few_or_many_are_in_it,
    a_document_is_found_by_words_phrases_and_beginnings_of_its_text_and_by_its_names,
    what_events_say_of_fields_and_type_is_found_and_a_rebuild_finds_all_again,
    what_was_found_is_read_page_by_page_and_nothing_comes_twice,
    a_huge_text_is_kept_within_the_limits_and_its_first_and_late_words_are_found,
    any_text_can_be_kept_and_is_found_by_each_of_its_words,
);
