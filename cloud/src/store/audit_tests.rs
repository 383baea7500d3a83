//! Entries from before they were numbered: no chain holds them, checkpoints do.

use platen_model::DeviceId;
use platen_model::keys::SigningKey;

use super::*;
use crate::blobs::{Blobs, Keep};
use crate::checkpoints;
use crate::store::people;
use crate::testing::{Base, also_on_postgres, database, decision, manifest, receive, tenant};

struct Trial {
    keep: Keep,
    key: SigningKey,
    _folder: tempfile::TempDir,
    _base: Base,
}

impl Trial {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let base = database(folder.path());
        let store = base.open().await;
        people::add_tenant(&store, &tenant()).await.expect("a tenant");
        let address = format!("file:{}", folder.path().join("blobs").display());
        let blobs = Blobs::open(&address.parse().expect("an address"), folder.path()).expect("a folder");
        let key = SigningKey::generate().expect("randomness");
        Self { keep: Keep { blobs, store }, key, _folder: folder, _base: base }
    }

    /// An entry as it was made before entries had numbers.
    async fn enter(&self, id: &str, action: &str) {
        sqlx::query(
            "INSERT INTO audit (audit_id, tenant_id, at_ms, actor, action, subject, detail)
             VALUES ($1, $2, 1, 'user:ada', $3, 'till', '')",
        )
        .bind(id)
        .bind(tenant().as_str())
        .bind(action)
        .execute(self.keep.store.writing())
        .await
        .expect("a row");
    }

    /// The two entries that are from before, and no other.
    async fn put_back(&self) {
        self.run("DELETE FROM audit WHERE number = 0").await;
        self.enter("00000000-0000-7000-8000-000000000001", "client.add").await;
        self.enter("00000000-0000-7000-8000-000000000002", "client.revoke").await;
    }

    async fn run(&self, sql: &'static str) -> u64 {
        sqlx::query(sql).execute(self.keep.store.writing()).await.expect(sql).rows_affected()
    }

    /// An entry as they are made now.
    async fn add(&self) {
        assert!(
            people::put_user(&self.keep.store, &tenant(), "ada", "viewer", "no hash").await.expect("added")
        );
    }

    async fn checkpoint(&self) {
        let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
        receive(&self.keep, &manifest, &self.key).await;
        let made = checkpoints::make(&self.keep.store, &tenant(), &self.key).await;
        made.expect("made").expect("something happened");
    }

    async fn wrong(&self) -> String {
        let mut reading = self.keep.store.reading().acquire().await.expect("a connection");
        checkpoints::check(&mut reading, &tenant(), None).await.expect("readable").join("; ")
    }
}

#[tokio::test]
async fn inv6_entries_from_before_they_were_numbered_are_held_by_checkpoints() {
    let trial = Trial::new().await;
    trial.put_back().await;
    trial.add().await;
    trial.checkpoint().await;
    trial.checkpoint().await;
    assert_eq!(trial.wrong().await, "");
    for damage in [
        "UPDATE audit SET actor = 'user:eve' WHERE action = 'client.add'",
        "UPDATE audit SET at_ms = 2 WHERE action = 'client.revoke'",
        "DELETE FROM audit WHERE action = 'client.revoke'",
        "INSERT INTO audit (audit_id, tenant_id, at_ms, actor, action, subject, detail)
         VALUES ('00000000-0000-7000-8000-000000000003', 'default', 1, 'user:eve', 'client.add', 'till', '')",
    ] {
        assert_eq!(trial.run(damage).await, 1, "{damage}");
        let found = trial.wrong().await;
        assert!(found.contains("entries without a number in the audit of default"), "{damage}: {found}");
        trial.put_back().await;
        assert_eq!(trial.wrong().await, "", "it was put back");
    }
    trial.run("DELETE FROM audit WHERE action = 'client.revoke'").await;
    trial.checkpoint().await;
    let found = trial.wrong().await;
    assert!(found.contains("not what the one before it says"), "a later checkpoint mends nothing: {found}");
}

#[tokio::test]
async fn inv6_where_none_was_from_before_an_entry_without_a_number_is_seen() {
    let trial = Trial::new().await;
    trial.add().await;
    assert_eq!(trial.wrong().await, "");
    trial.enter(&Uuid::now_v7().to_string(), "client.add").await;
    let found = trial.wrong().await;
    assert!(found.contains("has no number"), "it is younger than one that has: {found}");
    trial.run("DELETE FROM audit WHERE number = 0").await;
    trial.checkpoint().await;
    assert_eq!(trial.wrong().await, "");
    trial.enter("00000000-0000-7000-8000-000000000001", "client.add").await;
    let found = trial.wrong().await;
    assert!(found.contains("are not those that were signed in the checkpoint"), "{found}");
}

also_on_postgres!(
    inv6_entries_from_before_they_were_numbered_are_held_by_checkpoints,
    inv6_where_none_was_from_before_an_entry_without_a_number_is_seen,
);
