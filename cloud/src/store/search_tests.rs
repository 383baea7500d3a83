//! The same documents are found by both engines, by their words, names and fields, and by nobody else's question.

use std::collections::BTreeMap;

use platen_model::event::{Actor, EventBody, Status};
use platen_model::keys::SigningKey;
use platen_model::{
    CaptureId, CorrelationId, DeviceId, DocumentManifest, DocumentType, PageRecord, PageText, PartRole, Rect,
    Word,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::blobs::{Blobs, Keep};
use crate::integrity;
use crate::store::documents::{self, Filter};
use crate::store::finds::{Bounds, Search, Way};
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
        self.add_as(CaptureId::new(), name, text).await
    }

    /// The same, of this capture.
    async fn add_as(&self, capture_id: CaptureId, name: &str, text: &str) -> DocumentManifest {
        let text = serde_json::to_vec(&page_text(text)).expect("plain data");
        self.keep.put(&tenant(), text.clone(), "application/json").await.expect("kept");
        self.keep.put(&tenant(), b"scan".to_vec(), "image/tiff").await.expect("kept");
        let mut original = part(PartRole::Original, b"scan", "image/tiff");
        original.file_name = Some(name.into());
        let parts = vec![original, part(PartRole::PageText, &text, "application/json")];
        let mut manifest = manifest(DeviceId::new(), decision("nda", &[]), parts);
        (manifest.capture_id, manifest.document_id) = (capture_id, capture_id.document(0));
        manifest.correlation_id = CorrelationId::of_capture(capture_id);
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

/// Documents that are captured in one order and received in another: some of two types and two states, with words that most
/// or few of them have. The number of each, by its file name, says which.
const MANY: usize = 40;

fn words_of_number(number: usize) -> String {
    let mut words = vec!["common"];
    words.push(if number.is_multiple_of(2) { "even" } else { "odd" });
    words.extend(
        [(3, "third"), (7, "seventh")]
            .iter()
            .filter(|(n, _)| number.is_multiple_of(*n))
            .map(|(_, word)| *word),
    );
    words.extend((number == 1).then_some("first even"));
    words.join(" ")
}

fn is_quarantined(number: usize) -> bool {
    matches!(number % 8, 0 | 1 | 3)
}

fn document_type_of(number: usize) -> &'static str {
    if number % 5 == 2 { "invoice" } else { "nda" }
}

/// The place of a number in the order of captures.
fn captured(number: usize) -> usize {
    (number * 11) % MANY
}

async fn add_many(trial: &Trial) {
    let mut captures: Vec<CaptureId> = (0..MANY).map(|_| CaptureId::new()).collect();
    captures.sort_by_key(|capture| capture.document(0));
    for number in 0..MANY {
        let (capture, name) = (captures[captured(number)], format!("{number}.tif"));
        let document = trial.add_as(capture, &name, &words_of_number(number)).await.document_id;
        let decision = decision(document_type_of(number), &[]);
        trial.append(document, EventBody::Classified { decision }).await;
        if is_quarantined(number) {
            let (reason, help) = ("a doubt".into(), "look at it".into());
            trial.append(document, EventBody::Quarantined { reason, help, returned: None }).await;
        }
    }
}

/// All pages of a search: the numbers they show, and how many there were.
async fn pages(trial: &Trial, filter: &Filter, question: &Question, bounds: Bounds) -> Vec<Vec<usize>> {
    let (mut filter, mut pages) = (filter.clone(), Vec::new());
    loop {
        let search = Search { store: trial.store(), tenant: &tenant(), filter: &filter, question, bounds };
        let page = search.page().await.expect("a page");
        assert!(page.items.len() <= filter.limit as usize, "{filter:?} {bounds:?}");
        let number = |record: &Record| {
            record.document.file_name.trim_end_matches(".tif").parse::<usize>().expect("its number")
        };
        pages.push(page.items.iter().map(number).collect());
        assert!(pages.len() <= MANY + 2, "it has no end: {filter:?} {bounds:?}");
        let Some(next) = page.next else { return pages };
        filter.after = Some(next.parse().expect("a document"));
    }
}

/// Few documents are read for a page of some searches, all finds for one of others; page by page they find the same.
#[test]
fn whatever_is_asked_within_whatever_bounds_all_pages_together_show_each_find_once() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let trial = runtime.block_on(Trial::start());
    runtime.block_on(add_many(&trial));
    let all = ["common", "even", "odd", "third", "seventh", "first", "thi*", "\"common even\"", "nowhere"];
    let words = proptest::sample::subsequence(all.to_vec(), 1..=3);
    let narrowed = (any::<Option<bool>>(), proptest::option::of(prop_oneof!["invoice", "nda"]));
    let bounds = (1..50u32, 1..6u32, 1..50u32, 1..50u32, 0..50u32).prop_map(
        |(newest, frequent, stretch, walked, finds)| Bounds { newest, frequent, stretch, walked, finds },
    );
    let asked = (words, narrowed, bounds, prop_oneof![1..6u32, Just(50)]);
    let mut runner = TestRunner::new(ProptestConfig { cases: 300, ..ProptestConfig::default() });
    let outcome = runner.run(&asked, |(words, (status, document_type), bounds, limit)| {
        let status = status.and_then(|is_quarantined| is_quarantined.then_some(Status::Quarantined));
        let fits = |number: &usize| {
            let text = words_of_number(*number);
            let has = |word: &&str| match *word {
                "thi*" => text.contains("third"),
                phrase => format!(" {text} ").contains(&format!(" {} ", phrase.trim_matches('"'))),
            };
            words.iter().all(has)
                && (status.is_none() || is_quarantined(*number))
                && document_type.as_ref().is_none_or(|kind| kind == document_type_of(*number))
        };
        let mut expected: Vec<usize> = (0..MANY).filter(fits).collect();
        let is_narrowed = status.is_some() || document_type.is_some();
        expected
            .sort_by_key(|number| std::cmp::Reverse(if is_narrowed { captured(*number) } else { *number }));
        let document_type = document_type.map(DocumentType);
        let filter = Filter { status, document_type, limit, ..Filter::default() };
        let pages = runtime.block_on(pages(&trial, &filter, &Question::of(&words.join(" ")), bounds));
        prop_assert_eq!(pages.concat(), expected);
        Ok(())
    });
    outcome.expect("it holds for all questions");
}

#[tokio::test]
async fn finds_of_a_rare_word_are_all_on_the_first_page_and_only_frequent_words_seldom_together_leave_it_short()
 {
    let trial = Trial::start().await;
    add_many(&trial).await;
    let bounds = Bounds { newest: 10, frequent: 2, stretch: 20, walked: 5, finds: 10 };
    let check = async |words: &str, status: Option<Status>, expected: &[&[usize]]| {
        let filter = Filter { status, limit: 50, ..Filter::default() };
        assert_eq!(
            pages(&trial, &filter, &Question::of(words), bounds).await,
            expected,
            "{words} {status:?}"
        );
    };
    check("first", None, &[&[1]]).await;
    check("first", Some(Status::Quarantined), &[&[1]]).await;
    check("first common odd", None, &[&[1]]).await;
    check("nowhere", None, &[&[]]).await;
    check("nowhere", Some(Status::Quarantined), &[&[]]).await;
    check("odd even", None, &[&[], &[1], &[]]).await;
}

#[tokio::test]
async fn a_document_that_is_received_between_two_statements_hides_no_other() {
    let trial = Trial::start().await;
    for number in 0..4 {
        trial.add(&format!("{number}.tif"), "common").await;
    }
    let (filter, question) = (Filter { limit: 50, ..Filter::default() }, Question::of("common"));
    let (tenant, bounds) = (tenant(), Bounds::of(trial.store().engine()));
    let search =
        Search { store: trial.store(), tenant: &tenant, filter: &filter, question: &question, bounds };
    let reading = trial.store().reading();
    let end = search.end_of_newest(3).query().fetch_one(reading).await.expect("a document");
    let end: String = end.get("document_id");
    trial.add("late.tif", "common").await;
    let finds = search.finds(Way::AmongNewest(Some(&end)));
    let found = finds.query().fetch_all(reading).await.expect("finds");
    let found: Vec<Record> = found.iter().map(|row| documents::read(row).expect("a record")).collect();
    let names: Vec<&str> = found.iter().map(|record| record.document.file_name.as_str()).collect();
    assert_eq!(names, ["late.tif", "3.tif", "2.tif", "1.tif"], "down to where the next page begins");
}

crate::testing::also_on_postgres!(
    a_document_that_is_received_between_two_statements_hides_no_other,
    whatever_is_asked_within_whatever_bounds_all_pages_together_show_each_find_once,
    finds_of_a_rare_word_are_all_on_the_first_page_and_only_frequent_words_seldom_together_leave_it_short,
    a_document_is_found_by_words_phrases_and_beginnings_of_its_text_and_by_its_names,
    what_events_say_of_fields_and_type_is_found_and_a_rebuild_finds_all_again,
    what_was_found_is_read_page_by_page_and_nothing_comes_twice,
    a_huge_text_is_kept_within_the_limits_and_its_first_and_late_words_are_found,
    any_text_can_be_kept_and_is_found_by_each_of_its_words,
);
