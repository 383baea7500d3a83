//! What is asked often, or of tables that grow without end, is found by an index: in an empty database, so that nothing
//! depends on what the planner was told of the rows.

use platen_model::event::Status;
use platen_model::{DocumentId, DocumentType};
use uuid::Uuid;

use super::documents::{Filter, Wording};
use super::finds::{Bounds, Search, Way};
use super::search::Question;
use super::*;
use crate::blobs::garbage;
use crate::testing::{also_on_postgres, database, tenant};
use crate::{checkpoints, ui};

/// What is small, or made by the statement itself: tenants, lanes, the finds of a search.
const SMALL: [&str; 5] = ["t", "l", "h", "counted", "CONSTANT"];

async fn plan(store: &Store, sql: &str) -> Vec<String> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
    let rows = rows.fetch_all(store.reading()).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter().map(|row| row.get("detail")).collect()
}

async fn check_plan(store: &Store, what: &str, sql: &str) -> Vec<String> {
    let plan = plan(store, sql).await;
    for step in &plan {
        let scanned = step.strip_prefix("SCAN ").filter(|_| !step.contains("VIRTUAL TABLE"));
        let name = scanned.and_then(|rest| rest.split(' ').next());
        assert!(name.is_none_or(|name| SMALL.contains(&name)), "{what} reads a whole table: {plan:#?}");
    }
    plan
}

fn filters() -> Vec<Filter> {
    let after = Some(DocumentId::new());
    let all = [None, Some(Status::InReview)].into_iter().flat_map(|status| {
        [None, Some(DocumentType("nda".into()))].into_iter().flat_map(move |document_type| {
            let filter = Filter { status, document_type, limit: 50, ..Filter::default() };
            [Filter { after, ..filter.clone() }, filter]
        })
    });
    all.collect()
}

#[tokio::test]
async fn no_list_and_no_chore_reads_a_table_that_grows() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = database(folder.path()).open().await;
    let (tenant, question) = (tenant(), Question::of("two words"));
    for filter in filters() {
        let list = check_plan(&store, "a list", &Wording::of_list(&tenant, &filter, None).sql).await;
        assert!(!list.iter().any(|step| step.contains("TEMP B-TREE")), "a list is sorted: {list:#?}");
        let bounds = Bounds::of(Engine::Sqlite);
        let search = Search { store: &store, tenant: &tenant, filter: &filter, question: &question, bounds };
        let end = DocumentId::new().to_string();
        let newest = Way::AmongNewest(Some(&end));
        for (what, wording) in [
            ("the end of the newest", search.end_of_newest(bounds.newest)),
            ("finds among the newest", search.finds(newest)),
            ("finds by words", search.finds(Way::ByWords)),
            ("the end of a walk", search.end_of_walk()),
            ("a walk", search.walk(Some(&end))),
            ("whether a word is frequent", search.count_among_newest(Some(&end))),
            ("whether finds are few", search.count_by_words()),
        ] {
            let plan = check_plan(&store, what, &wording.sql).await;
            assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{what} is sorted: {plan:#?}");
        }
        check_plan(&store, "finds of a state or type", &search.narrowed_finds().sql).await;
    }
    let since = Filter { after: Some(DocumentId::new()), limit: 50, ..Filter::default() };
    let since = Wording::of_list(&tenant, &since, Some(jiff::Timestamp::UNIX_EPOCH)).sql;
    let since = check_plan(&store, "what came since", &since).await;
    assert!(since.iter().any(|step| step.contains("documents_by_time")), "{since:#?}");
    assert!(!since.iter().any(|step| step.contains("TEMP B-TREE")), "{since:#?}");
    for state in [None, Some(webhooks::State::Failed)] {
        for endpoint in [None, Some(Uuid::now_v7())] {
            let filter = webhooks::Filter { endpoint, state, after: Some(Uuid::now_v7()), limit: 50 };
            let list = check_plan(&store, "deliveries", &webhooks::wording(&tenant, &filter).0).await;
            assert!(!list.iter().any(|step| step.contains("TEMP B-TREE")), "{list:#?}");
        }
    }
    let [assertions, tokens] = tokens::CLEANING;
    let (looking, forgetting) = (garbage::looking(), garbage::forgetting());
    for (what, sql) in [
        ("the document of a file", documents::OF_ORIGINAL),
        ("documents without a job", documents::WITHOUT_JOB),
        ("the next job", jobs::LEASE),
        ("when a job is due", jobs::NEXT_DUE),
        ("when a lease ends", jobs::NEXT_END),
        ("jobs", jobs::LIST),
        ("jobs of a state", jobs::LIST_OF_STATE),
        ("uploads that ended", uploads::EXPIRED),
        ("uploads under way", uploads::UNDER_WAY),
        ("old deliveries", webhooks::FORGET),
        ("deliveries that are put off", webhooks::PUT_OFF),
        ("garbage", &looking),
        ("garbage that is forgotten", &forgetting),
        ("old pictures", ui::pictures::FORGET),
        ("the bytes of old pictures", ui::pictures::LET_GO),
        ("used assertions", assertions),
        ("ended tokens", tokens),
        ("heads of chains", checkpoints::HEADS),
        ("ended sessions", "DELETE FROM sessions WHERE expires_ms < $1"),
        ("sessions of a user", "DELETE FROM sessions WHERE tenant_id = $1 AND user_name = $2"),
    ] {
        check_plan(&store, what, sql).await;
    }
}

#[tokio::test]
async fn what_reads_a_whole_table_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = database(folder.path()).open().await;
    let read = plan(&store, "SELECT * FROM jobs WHERE argument = $1").await;
    assert!(read.iter().any(|step| step == "SCAN jobs"), "{read:?}");
}

#[tokio::test]
async fn a_commit_is_durable_and_each_query_planned_for_what_it_asks() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = database(folder.path());
    let store = base.open().await;
    let said = async |sql: &'static str| -> String {
        let row = sqlx::query(sql).fetch_one(store.reading()).await.expect("a setting");
        row.try_get::<String, _>(0).unwrap_or_else(|_| row.get::<i64, _>(0).to_string())
    };
    match store.engine() {
        Engine::Sqlite => assert_eq!(said("PRAGMA synchronous").await, "2", "that is FULL"),
        Engine::Postgres => {
            assert_eq!(said("SHOW synchronous_commit").await, "on");
            assert_eq!(said("SHOW plan_cache_mode").await, "force_custom_plan");
        }
    }
}

also_on_postgres!(a_commit_is_durable_and_each_query_planned_for_what_it_asks);
