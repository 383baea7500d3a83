//! Whatever is damaged, `check` says so and names it: one thing at a time, anywhere, on either engine.

use std::collections::BTreeMap;
use std::time::Duration;

use platen_capture::worker::Pool;
use platen_model::event::{Actor, EventBody};
use platen_model::keys::SigningKey;
use platen_model::{DeviceId, EnvelopeId, PartRole, PolicyRef, Recipient};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sqlx::AssertSqlSafe;

use super::*;
use crate::app::App;
use crate::blobs::garbage;
use crate::checkpoints::timestamps;
use crate::config::Config;
use crate::keys::{public_checkpoint_keys, renew_checkpoint_key};
use crate::store::events;
use crate::testing::{also_on_postgres, database, decision, manifest, part, receive, tenant};

/// What identifies the rows of a table, what a report must name, and the columns that may be changed.
struct Table {
    name: &'static str,
    key: &'static str,
    named_by: &'static str,
    texts: &'static [&'static str],
    /// Signatures by their last bytes.
    tokens: &'static [&'static str],
    numbers: &'static [&'static str],
}

const TABLES: [Table; 12] = [
    Table {
        name: "events",
        key: "document_id, sequence",
        named_by: "document_id",
        texts: &["document_id", "hash", "bytes"],
        tokens: &[],
        numbers: &["sequence", "position"],
    },
    Table {
        name: "documents",
        key: "document_id",
        named_by: "document_id",
        texts: &["document_id", "status", "document_type", "file_name", "record", "trace", "head"],
        tokens: &[],
        numbers: &["version", "created_ms", "updated_ms"],
    },
    Table {
        name: "envelopes",
        key: "envelope_id",
        named_by: "document_id",
        texts: &[
            "envelope_id",
            "document_id",
            "provider",
            "provider_reference",
            "status",
            "signers",
            "blanks",
            "document_sha256",
        ],
        tokens: &[],
        numbers: &["created_ms", "updated_ms"],
    },
    Table {
        name: "blob_references",
        key: "tenant_id, sha256, document_id",
        named_by: "document_id",
        texts: &["sha256", "document_id"],
        tokens: &[],
        numbers: &[],
    },
    Table {
        name: "blobs",
        key: "tenant_id, sha256",
        named_by: "sha256",
        // Not `mime`: it is the word of whoever brought the bytes first, and manifests may say another.
        texts: &["sha256"],
        tokens: &[],
        numbers: &["bytes"],
    },
    Table {
        name: "manifest_signatures",
        key: "document_id",
        named_by: "document_id",
        texts: &["document_id", "device_id", "public_key", "signature"],
        tokens: &[],
        numbers: &[],
    },
    Table {
        name: "checkpoints",
        key: "tenant_id, number",
        named_by: "'checkpoint'",
        texts: &["bytes", "public_key", "signature"],
        tokens: &[],
        numbers: &["number"],
    },
    Table {
        name: "feeds",
        key: "tenant_id",
        named_by: "'feed'",
        texts: &[],
        tokens: &[],
        numbers: &["position", "checkpoints", "stamps"],
    },
    Table {
        name: "policies",
        key: "sha256",
        named_by: "sha256",
        texts: &["sha256", "policy"],
        tokens: &[],
        numbers: &[],
    },
    Table {
        name: "checkpoint_stamps",
        key: "tenant_id, number",
        named_by: "'stamp'",
        texts: &[],
        tokens: &["token"],
        numbers: &["number"],
    },
    Table {
        name: "audit",
        key: "audit_id",
        named_by: "'audit'",
        texts: &["audit_id", "actor", "action", "subject", "detail", "hash"],
        tokens: &[],
        numbers: &["at_ms", "number"],
    },
    Table {
        name: "audit_heads",
        key: "tenant_id",
        named_by: "'audit'",
        texts: &["hash"],
        tokens: &[],
        numbers: &["number"],
    },
];

/// One damage: to which table, which row, and which of the ways.
#[derive(Clone, Copy, Debug)]
struct Damage {
    table: usize,
    row: i64,
    way: usize,
}

pub(super) async fn run(app: &App, sql: String) -> u64 {
    let done = sqlx::query(AssertSqlSafe(sql.clone())).execute(app.store.writing()).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}")).rows_affected()
}

/// A site with three documents at different places of their lives, and two checkpoints.
async fn found(config: Config) -> App {
    let app = App::open_with(config, Pool::in_process(1)).await.expect("a new site");
    for name in ["default", "other"] {
        people::add_tenant(&app.store, &name.parse().expect("a name")).await.expect("a tenant");
    }
    for user in ["ada", "eve"] {
        people::put_user(&app.store, &tenant(), user, "viewer", "no hash").await.expect("a user");
    }
    let key = SigningKey::generate().expect("randomness");
    for length in [1, 5, 9] {
        let bytes = format!("scan {length}").into_bytes();
        app.keep.put(&tenant(), bytes.clone(), "image/tiff").await.expect("kept");
        let parts =
            [PartRole::Original, PartRole::PageText].map(|role| part(role, &bytes, "image/tiff")).to_vec();
        let manifest = manifest(DeviceId::new(), decision("nda", &[("party", "Acme")]), parts);
        receive(&app.keep, &manifest, &key).await;
        for body in life(&bytes, app.policy(&tenant()).reference()).into_iter().take(length) {
            let mut write = app.store.begin().await.expect("a write");
            events::append(&mut write, &tenant(), manifest.document_id, Actor::System, body)
                .await
                .expect("may follow");
            write.commit().await.expect("committed");
        }
        if length > 1 {
            checkpoints::make(&app.store, &tenant(), &app.checkpoint_key).await.expect("made").expect("new");
        }
    }
    let folder = app.keep.blobs.incoming();
    let url = timestamps::tests::authority(folder.clone(), None).await;
    assert_eq!(timestamps::stamp(&app.store, &tenant(), &url).await.expect("stamped"), 2);
    for file in std::fs::read_dir(folder).expect("a folder").flatten() {
        platen_model::durable::remove_file(&file.path()).expect("removed");
    }
    for table in &TABLES {
        run(&app, format!("CREATE TABLE kept_{0} AS SELECT * FROM {0}", table.name)).await;
    }
    app
}

fn life(pdf: &[u8], policy: &PolicyRef) -> Vec<EventBody> {
    let pdf = Digest::of(pdf);
    vec![
        EventBody::OcrComplete { page_text_sha256: pdf, ocr_confidence: 0.5, page_count: 1 },
        EventBody::Classified { decision: decision("nda", &[]) },
        EventBody::Validated { policy: None },
        EventBody::Routed {
            route: "all".into(),
            policy: policy.clone(),
            provider: Some("sandbox".into()),
            recipients: vec![Recipient::signer("ada@example.com", 1)],
            blanks: Vec::new(),
            expires_at: Some("2030-01-02T03:04:05.123456789Z".parse().expect("a time")),
            remind_every_s: None,
            tags: Vec::new(),
            retention_class: None,
        },
        EventBody::EnvelopeCreated {
            envelope_id: EnvelopeId::new(),
            provider: "sandbox".into(),
            document_sha256: pdf,
        },
        EventBody::Sent { provider_reference: "sbx_1".into() },
        EventBody::Viewed { signer: "ada@example.com".into() },
        EventBody::Signed {
            signers: vec!["ada@example.com".into()],
            signed_sha256: pdf,
            finding: None,
            accepted_because: None,
        },
        EventBody::Archived { evidence_sha256: pdf },
    ]
}

/// Does the damage; answers what it was and what a report must name, or nothing where there is no such row.
async fn damage(app: &App, damage: Damage) -> Option<(String, String)> {
    let Table { name, key, named_by, texts, .. } = &TABLES[damage.table];
    let rows = sqlx::query(AssertSqlSafe(format!("SELECT {named_by} FROM {name} ORDER BY {key}")));
    let rows = rows.fetch_all(app.store.reading()).await.expect("readable");
    let row = damage.row % i64::try_from(rows.len()).expect("few").max(1);
    let named: String = rows.get(usize::try_from(row).expect("small"))?.get(0);
    let one = format!("({key}) IN (SELECT {key} FROM kept_{name} ORDER BY {key} LIMIT 1 OFFSET {row})");
    let changes = changes(app, &TABLES[damage.table]);
    let (sql, may_be_none) = match damage.way % (changes.len() + 2) {
        0 => (format!("DELETE FROM {name} WHERE {one}"), false),
        1 => {
            // A row more: a copy under another name.
            let all = all_columns(app, name).await;
            let other = |column: &String| match (texts.first(), column.as_str()) {
                (Some(first), column) if column == *first => format!("{column} || 'x'"),
                (_, "tenant_id") if matches!(*name, "feeds" | "audit_heads") => "'other'".into(),
                (_, "number" | "sequence" | "position") => format!("{column} + 1000"),
                (_, column) => column.into(),
            };
            let copy: Vec<String> = all.iter().map(other).collect();
            let (all, copy) = (all.join(", "), copy.join(", "));
            (format!("INSERT INTO {name} ({all}) SELECT {copy} FROM kept_{name} WHERE {one}"), false)
        }
        way => {
            let (column, value) = &changes[way - 2];
            let is_other = format!("{column} IS DISTINCT FROM {value}");
            (format!("UPDATE {name} SET {column} = {value} WHERE {one} AND {is_other}"), value == "0")
        }
    };
    match run(app, sql.clone()).await {
        0 if may_be_none => None,
        count => {
            assert_eq!(count, 1, "{sql}");
            Some((sql, named))
        }
    }
}

/// What may become of the columns of a table, each with what is put there.
fn changes(app: &App, table: &Table) -> Vec<(&'static str, String)> {
    let texts = table.texts.iter().map(|column| (*column, format!("COALESCE({column}, '') || 'x'")));
    let ended = app.store.engine().pick(
        "CAST(substr(?, 1, length(?) - 4) || x'00000000' AS BLOB)",
        r"substring(? from 1 for length(?) - 4) || '\x00000000'::bytea",
    );
    let tokens = table.tokens.iter().map(|column| (*column, ended.replace('?', column)));
    let numbers = table.numbers.iter().flat_map(|column| {
        [format!("{column} + 1000"), format!("{column} - 1000"), "0".into()].map(|value| (*column, value))
    });
    texts.chain(tokens).chain(numbers).collect()
}

async fn all_columns(app: &App, table: &str) -> Vec<String> {
    use sqlx::Column as _;
    let rows = sqlx::query(AssertSqlSafe(format!("SELECT * FROM kept_{table} LIMIT 1")));
    let row = rows.fetch_one(app.store.reading()).await.expect("a row");
    row.columns().iter().map(|column| column.name().to_owned()).collect()
}

pub(super) async fn wrong(app: &App) -> String {
    let key = app.checkpoint_key.public();
    let found = check(&app.store, &app.keep.blobs, Some(&key)).await;
    found.map_or_else(|error| error.to_string(), |found| found.wrong.join("\n"))
}

async fn check_damage(app: &App, done: Damage) -> Result<(), TestCaseError> {
    let Some((sql, named)) = damage(app, done).await else { return Ok(()) };
    let found = wrong(app).await;
    let name = TABLES[done.table].name;
    run(app, format!("DELETE FROM {name}")).await;
    run(app, format!("INSERT INTO {name} SELECT * FROM kept_{name}")).await;
    prop_assert!(found.contains(&named), "{sql}\n  must be reported with {named}, found: {found:?}");
    Ok(())
}

async fn check_bytes(app: &App, folder: &std::path::Path) {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten().filter(|entry| entry.path().is_dir())
    {
        for file in std::fs::read_dir(entry.path()).expect("a folder").flatten() {
            files.insert(file.path(), std::fs::read(file.path()).expect("readable"));
        }
    }
    for (path, bytes) in &files {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a digest");
        let mut flipped = bytes.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let longer = [bytes.as_slice(), b"x"].concat();
        for damaged in [flipped, bytes[1..].to_vec(), longer, Vec::new()] {
            std::fs::write(path, damaged).expect("written");
            let found = wrong(app).await;
            assert!(found.contains(name), "{name}: {found}");
        }
        platen_model::durable::remove_file(path).expect("removed");
        assert!(wrong(app).await.contains(name), "{name} is missing");
        std::fs::write(path, bytes).expect("put back");
    }
    assert!(files.len() >= 6);
}

#[test]
fn inv6_check_finds_whatever_is_changed_missing_or_added_and_names_it() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = runtime.block_on(site(folder.path()));
    assert_eq!(runtime.block_on(wrong(&app)), "");
    // Each way to damage each table once, then any of them to any row.
    for (table, columns) in TABLES.iter().enumerate() {
        for way in 0..changes(&app, columns).len() + 2 {
            let damage = Damage { table, row: way as i64, way };
            let outcome = runtime.block_on(check_damage(&app, damage));
            outcome.unwrap_or_else(|failure| panic!("{failure}"));
        }
    }
    let damages =
        (0..TABLES.len(), 0..64i64, 0..64usize).prop_map(|(table, row, way)| Damage { table, row, way });
    let mut runner = TestRunner::new(ProptestConfig { cases: 180, ..ProptestConfig::default() });
    let outcome = runner.run(&damages, |damage| runtime.block_on(check_damage(&app, damage)));
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(runtime.block_on(wrong(&app)), "", "everything was put back");
    runtime.block_on(check_bytes(&app, &folder.path().join("blobs")));
    assert_eq!(runtime.block_on(wrong(&app)), "", "everything was put back");
}

#[tokio::test(flavor = "multi_thread")]
async fn inv6_an_end_cut_off_without_a_trace_is_seen_by_the_checkpoint_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    // Somebody who knows the schema removes the feed's last event and everything that counts it.
    run(&app, "DELETE FROM events WHERE position = (SELECT MAX(position) FROM events)".into()).await;
    run(&app, "UPDATE feeds SET position = position - 1".into()).await;
    assert_eq!(rebuild(&app.store, &app.keep.blobs).await.expect("readable"), Ok(3));
    let found = wrong(&app).await;
    assert!(found.contains("events were removed or replaced"), "{found}");
}

/// The id of the longest document of a site.
pub(super) async fn longest(app: &App) -> String {
    let sql = "SELECT document_id FROM events GROUP BY document_id ORDER BY COUNT(*) DESC LIMIT 1";
    sqlx::query_scalar(sql).fetch_one(app.store.reading()).await.expect("a document")
}

#[tokio::test(flavor = "multi_thread")]
async fn inv6_an_event_that_was_moved_out_of_the_feed_or_within_it_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let document = longest(&app).await;
    let place = async |sequence: i64| -> i64 {
        let sql = "SELECT position FROM events WHERE document_id = $1 AND sequence = $2";
        let place = sqlx::query_scalar(sql).bind(&document).bind(sequence).fetch_one(app.store.reading());
        place.await.expect("an event")
    };
    let put = async |sequence: i64, place: i64| {
        let one = format!("document_id = '{document}' AND sequence = {sequence}");
        assert_eq!(run(&app, format!("UPDATE events SET position = {place} WHERE {one}")).await, 1);
    };
    let (second, third) = (place(2).await, place(3).await);
    for stray in [0, -7] {
        put(2, stray).await;
        let found = wrong(&app).await;
        assert!(found.contains(&format!("event 2 of document {document} has place {stray}")), "{found}");
        assert!(found.contains(&format!("the event at place {second} of the feed")), "{found}");
        put(2, second).await;
    }
    assert_eq!(wrong(&app).await, "");
    // Neither hash nor count changes where two events change places.
    put(2, 0).await;
    put(3, second).await;
    put(2, third).await;
    let found = wrong(&app).await;
    assert!(found.contains(&format!("document {document}: its event 3 has place {second}")), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_that_leaves_while_blobs_are_read_is_not_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let bytes = b"an upload that nobody committed".to_vec();
    let expected = i64::try_from(bytes.len()).expect("few");
    let sha256 = app.keep.put(&tenant(), bytes.clone(), "text/plain").await.expect("kept");
    let found = async || check_blob(&app.store, &app.keep.blobs, sha256, expected).await.expect("readable");
    assert_eq!(found().await, None);
    // Its row was read; then it is forgotten and removed, before its bytes are looked at.
    run(&app, format!("UPDATE blobs SET created_ms = 1 WHERE sha256 = '{sha256}'")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let collected = garbage::collect(&app.keep, Duration::ZERO).await.expect("done");
    assert_eq!(collected, garbage::Collected { forgotten: 1, removed: 1 });
    assert_eq!(found().await, None);
    app.keep.put(&tenant(), bytes, "text/plain").await.expect("kept");
    app.keep.blobs.remove(sha256).await.expect("removed");
    assert_eq!(found().await, Some(format!("blob {sha256} is missing")), "its row is there still");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_put_in_force_while_documents_are_read_is_not_missed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let document: DocumentId = longest(&app).await.parse().expect("an id");
    let found = async || {
        // None was there when they were read.
        let (policies, mut events) = (BTreeSet::new(), 0);
        let (store, blobs) = (&app.store, &app.keep.blobs);
        let mut moment = store.moment().await.expect("a moment");
        let keys = devices::Keys::of(&mut moment, &tenant()).await.expect("readable");
        drop(moment);
        let known = Known { policies: &policies, keys };
        let wrong = check_document(store, blobs, &known, &tenant(), document, &mut events).await;
        wrong.expect("readable").join("\n")
    };
    assert_eq!(found().await, "");
    run(&app, "DELETE FROM policies".into()).await;
    assert!(found().await.contains("is not kept"));
}

/// The rows of all projections, as far as they say something: places only by their order.
async fn projections(app: &App) -> Vec<String> {
    let engine = app.store.engine();
    let words = engine.pick(
        "SELECT s.tenant || '|' || s.names || '|' || s.words FROM search_words s
         JOIN search_places p ON p.place = s.rowid ORDER BY p.place",
        "SELECT s.tenant::text || '|' || s.names::text || '|' || s.words::text FROM search_words s
         JOIN search_places p ON p.place = s.place ORDER BY p.place",
    );
    let tables = [
        "SELECT document_id || tenant_id || status || document_type || file_name || version || created_ms || updated_ms
           || record || trace || COALESCE(replaces, '-') || head FROM documents ORDER BY document_id",
        "SELECT envelope_id || tenant_id || document_id || provider || COALESCE(provider_reference, '-') || status
           || signers || document_sha256 || created_ms || updated_ms || blanks || COALESCE(expires_ms, 0)
         FROM envelopes ORDER BY envelope_id",
        "SELECT tenant_id || document_id || document_type || fields || file_name || page_text_sha256 || told_by || told_ms
         FROM examples ORDER BY document_id",
        "SELECT tenant_id || sha256 || document_id FROM blob_references ORDER BY tenant_id, sha256, document_id",
        "SELECT tenant_id || document_id FROM search_places ORDER BY place",
        words,
    ];
    let mut all = Vec::new();
    for sql in tables {
        let rows = sqlx::query(sql).fetch_all(app.store.reading()).await;
        let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
        all.extend(rows.iter().map(|row| row.get::<String, _>(0)));
    }
    all
}

pub(super) async fn site(folder: &std::path::Path) -> (crate::testing::Base, App) {
    let at = |name: &str| folder.join(name);
    let base = database(folder);
    let config = Config {
        database: base.address.clone(),
        blobs: format!("file:{}", at("blobs").display()),
        keys: at("keys"),
        mail: at("mail"),
        ..Config::default()
    };
    let app = found(config).await;
    (base, app)
}

/// A word as the engine's column of words holds it.
fn word_of(app: &App) -> &'static str {
    app.store.engine().pick("'hidden'", "'''hidden'':1'::tsvector")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_makes_every_projection_as_it_was_in_the_order_in_which_documents_came() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    // The device of this one made its id long before the others came.
    let mut early = manifest(DeviceId::new(), decision("nda", &[("party", "Initech")]), Vec::new());
    early.document_id = "00000000-0000-7000-8000-000000000001".parse().expect("an id");
    receive(&app.keep, &early, &SigningKey::generate().expect("randomness")).await;
    let before = projections(&app).await;
    assert!(before.len() > 15, "{before:#?}");
    for sql in [
        "UPDATE documents SET status = 'sent', head = 'x'".to_owned(),
        "UPDATE envelopes SET status = 'draft'".to_owned(),
        "DELETE FROM blob_references".to_owned(),
        format!("UPDATE search_words SET names = {}", word_of(&app)),
    ] {
        run(&app, sql).await;
    }

    assert_ne!(projections(&app).await, before);
    assert_eq!(rebuild(&app.store, &app.keep.blobs).await.expect("readable"), Ok(4));
    assert_eq!(projections(&app).await, before);
    assert_eq!(wrong(&app).await, "");
    run(&app, "DELETE FROM events WHERE sequence = 1".into()).await;
    let refused = rebuild(&app.store, &app.keep.blobs).await.expect("readable").expect_err("no beginning");
    assert!(refused.contains("event 1 is missing"), "{refused}");
    assert_eq!(projections(&app).await, before, "all or nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoints_of_a_key_that_was_renewed_stay_good_and_those_of_a_strangers_are_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let config = &app.config;
    let before = app.checkpoint_key.public();
    let now = renew_checkpoint_key(config).expect("renewed");
    assert_eq!(public_checkpoint_keys(config).expect("readable"), [before.clone(), now.clone()]);
    let anew = App::open_with(config.clone(), Pool::in_process(1)).await.expect("the site");
    assert_eq!(anew.checkpoint_key.public(), now);
    let key = SigningKey::generate().expect("randomness");
    receive(&app.keep, &manifest(DeviceId::new(), decision("nda", &[]), Vec::new()), &key).await;
    checkpoints::make(&app.store, &tenant(), &anew.checkpoint_key).await.expect("made").expect("new");
    let found = async |keys: Vec<PublicKey>| {
        let found = check(&app.store, &app.keep.blobs, &keys).await.expect("readable");
        found.wrong.join("\n")
    };
    assert_eq!(found(public_checkpoint_keys(config).expect("readable")).await, "");
    assert!(found(vec![now]).await.contains("another key"));
    assert!(found(vec![before, key.public()]).await.contains("another key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_appends_while_the_rows_are_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let key = SigningKey::generate().expect("randomness");
    let rebuilding = {
        let app = app.clone();
        tokio::spawn(async move { rebuild(&app.store, &app.keep.blobs).await.expect("readable") })
    };
    let mut received = 0;
    while received == 0 || !rebuilding.is_finished() {
        let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
        receive(&app.keep, &manifest, &key).await;
        received += 1;
    }
    rebuilding.await.expect("ended").expect("nothing in the way");
    assert_eq!(wrong(&app).await, "", "every document has its rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn inv6_what_is_searched_is_held_against_events_and_pages() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let document: String = sqlx::query_scalar("SELECT document_id FROM search_places ORDER BY place LIMIT 1")
        .fetch_one(app.store.reading())
        .await
        .expect("a document");
    let of_document = format!(
        "WHERE {} = (SELECT place FROM search_places WHERE document_id = '{document}')",
        app.store.engine().pick("rowid", "place")
    );
    let word = word_of(&app);
    for damage in [
        format!("UPDATE search_words SET names = {word} {of_document}"),
        format!("UPDATE search_words SET words = {word} {of_document}"),
        format!("UPDATE search_words SET tenant = {word} {of_document}"),
        format!("DELETE FROM search_words {of_document}"),
        format!("DELETE FROM search_places WHERE document_id = '{document}'"),
        format!("UPDATE search_places SET document_id = document_id || 'x' WHERE document_id = '{document}'"),
    ] {
        assert_eq!(run(&app, damage.clone()).await, 1, "{damage}");
        let found = wrong(&app).await;
        assert!(found.contains(&document), "{damage}: {found}");
        if damage.contains("|| 'x'") {
            let back = format!(
                "UPDATE search_places SET document_id = '{document}' WHERE document_id = '{document}x'"
            );
            run(&app, back).await;
        }
        assert_eq!(rebuild(&app.store, &app.keep.blobs).await.expect("readable"), Ok(3));
        assert_eq!(wrong(&app).await, "", "{damage}");
    }
}

also_on_postgres!(
    a_rebuild_makes_every_projection_as_it_was_in_the_order_in_which_documents_came,
    nobody_appends_while_the_rows_are_made_anew,
    inv6_what_is_searched_is_held_against_events_and_pages,
    inv6_check_finds_whatever_is_changed_missing_or_added_and_names_it,
    inv6_an_end_cut_off_without_a_trace_is_seen_by_the_checkpoint_before,
    inv6_an_event_that_was_moved_out_of_the_feed_or_within_it_is_named,
    garbage_that_leaves_while_blobs_are_read_is_not_missed,
    a_policy_that_was_put_in_force_while_documents_are_read_is_not_missed,
);
