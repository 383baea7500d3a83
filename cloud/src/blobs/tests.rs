//! Claims about blobs, in a folder and in a bucket of a real S3-speaking server.

use std::time::Duration;

use object_store::memory::InMemory;
use platen_model::event::Actor;
use platen_model::{DeviceId, PartRole};
use platen_tests::servers::S3;

use super::garbage::{Collected, collect, unexplained};
use super::*;
use crate::store::{events, people};
use crate::testing::{Base, also_on_postgres, database, decision, manifest, part, tenant};

/// Larger than one piece, so that a bucket gets it in several.
fn large() -> Vec<u8> {
    (0..PIECE + PIECE / 2).map(|index| (index * 31 % 251) as u8).collect()
}

/// A bucket's blobs; the environment of the test process cannot be changed, so the address is given here.
fn bucket(server: &S3, scratch: &Path) -> Blobs {
    let _ = rustls::crypto::ring::default_provider().install_default();
    server.make_bucket("platen");
    let mut builder =
        AmazonS3Builder::new().with_bucket_name("platen").with_checksum_algorithm(Checksum::SHA256);
    for (key, value) in server.environment() {
        builder = builder.with_config(key.to_ascii_lowercase().parse().expect("a key"), value);
    }
    let objects = Arc::new(builder.build().expect("a bucket"));
    let prefix = Name::from("office/blobs");
    Blobs { objects, prefix, folder: None, signer: None, incoming: scratch.to_owned() }
}

async fn check_storage(blobs: &Blobs, damage: impl AsyncFn(Digest)) {
    let small = blobs.put(b"small".to_vec()).await.expect("kept");
    assert_eq!(blobs.put(b"small".to_vec()).await.expect("kept twice"), small);
    let waiting = blobs.incoming().join("upload");
    std::fs::write(&waiting, large()).expect("written");
    let sha256 = Digest::of(&large());
    blobs.adopt(&waiting, sha256).await.expect("adopted");
    assert!(!waiting.exists());
    assert_eq!(blobs.get(sha256).await.expect("there"), large());
    let mut read = Vec::new();
    blobs.open_verified(sha256).await.expect("there").read_to_end(&mut read).expect("readable");
    assert_eq!(read, large());
    assert_eq!(blobs.look(sha256).await.expect("an answer").expect("there").bytes, large().len() as u64);

    std::fs::write(&waiting, b"other bytes").expect("written");
    let refused = blobs.adopt(&waiting, Digest::of(b"promised")).await;
    assert!(matches!(refused, Err(BlobError::Mismatch { .. })), "{refused:?}");
    assert!(!waiting.exists());
    let missing = blobs.get(Digest::of(b"promised")).await;
    assert!(matches!(missing, Err(BlobError::Missing(_))), "{missing:?}");

    let mut listed: Vec<Digest> =
        blobs.list().map_ok(|listed| listed.sha256).try_collect().await.expect("a list");
    listed.sort();
    let mut expected = vec![small, sha256];
    expected.sort();
    assert_eq!(listed, expected);

    damage(small).await;
    assert!(matches!(blobs.get(small).await, Err(BlobError::Damaged(_))));
    assert!(matches!(blobs.open_verified(small).await, Err(BlobError::Damaged(_))));
    blobs.put(b"small".to_vec()).await.expect("healed");
    assert_eq!(blobs.get(small).await.expect("whole"), b"small");
    blobs.remove(small).await.expect("removed");
    blobs.remove(small).await.expect("removed twice");
    assert!(matches!(blobs.open_verified(small).await, Err(BlobError::Missing(_))));
}

#[tokio::test]
async fn a_folder_keeps_blobs_whole_and_says_when_they_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = Address::Folder(folder.path().join("blobs"));
    let blobs = Blobs::open(&address, folder.path()).expect("a folder");
    let damage = async |sha256: Digest| {
        let name = sha256.to_string();
        let path = folder.path().join("blobs").join(&name[..2]).join(&name);
        std::fs::write(path, b"smell").expect("written");
    };
    check_storage(&blobs, damage).await;
}

#[tokio::test]
async fn a_bucket_keeps_blobs_whole_and_says_when_they_are_not() {
    let (server, folder) = (S3::start(), tempfile::tempdir().expect("a folder"));
    let blobs = bucket(&server, folder.path());
    let objects = Arc::clone(&blobs.objects);
    let damage = async |sha256: Digest| {
        objects.put(&blobs.name(sha256), b"smell".to_vec().into()).await.expect("written");
    };
    check_storage(&blobs, damage).await;
}

#[test]
fn an_address_that_is_neither_a_folder_nor_a_bucket_is_refused() {
    assert_eq!("file:/a/b".parse(), Ok(Address::Folder("/a/b".into())));
    let bucket = |name: &str, prefix: &str| Address::Bucket { name: name.into(), prefix: prefix.into() };
    assert_eq!("s3://office".parse(), Ok(bucket("office", "")));
    assert_eq!("s3://office/a/b".parse(), Ok(bucket("office", "a/b")));
    assert!("/a/b".parse::<Address>().expect_err("no scheme").contains("s3://bucket/prefix"));
}

struct Trial {
    keep: Keep,
    _folder: tempfile::TempDir,
    _base: Base,
}

async fn trial() -> Trial {
    let folder = tempfile::tempdir().expect("a folder");
    let base = database(folder.path());
    let store = base.open().await;
    people::add_tenant(&store, &tenant()).await.expect("a tenant");
    let (objects, incoming) = (Arc::new(InMemory::new()), folder.path().to_owned());
    let blobs = Blobs { objects, prefix: Name::default(), folder: None, signer: None, incoming };
    Trial { keep: Keep { blobs, store }, _folder: folder, _base: base }
}

impl Trial {
    async fn put(&self, bytes: &[u8]) -> Digest {
        self.keep.put(&tenant(), bytes.to_vec(), "text/plain").await.expect("kept")
    }

    /// Lets so much time pass, as far as rows tell.
    async fn age(&self, ms: i64) {
        let query = sqlx::query("UPDATE blobs SET created_ms = created_ms - $1").bind(ms);
        query.execute(self.keep.store.writing()).await.expect("rows");
    }

    async fn there(&self, sha256: Digest) -> (bool, bool) {
        let visible =
            visibility::visible(self.keep.store.reading(), &tenant(), sha256).await.expect("readable");
        (visible.is_some(), self.keep.blobs.look(sha256).await.expect("an answer").is_some())
    }
}

#[tokio::test]
async fn inv6_a_row_that_lets_a_tenant_read_what_no_event_of_theirs_names_is_seen_after_the_delay() {
    let trial = trial().await;
    let sha256 = trial.put(b"put there by nobody that is known").await;
    let (hour, minute) = (Duration::from_secs(3600), 60_000);
    let found = async || unexplained(&trial.keep.store, hour).await.expect("readable").join("; ");
    trial.age(20 * 60 * minute).await;
    assert_eq!(found().await, "", "it may be of an upload that is yet to be committed");
    trial.age(6 * 60 * minute).await;
    let told = found().await;
    assert!(told.contains(&sha256.to_string()) && told.contains("no event names it"), "{told}");
    trial.age(-60 * 60 * minute).await;
    let told = found().await;
    assert!(told.contains(&sha256.to_string()) && told.contains("a time to come"), "{told}");
}

#[tokio::test]
async fn garbage_is_what_no_event_names_and_leaves_only_after_its_delay() {
    let trial = trial().await;
    let (kept, left) = (trial.put(b"an original").await, trial.put(b"never committed").await);
    let parts = vec![part(PartRole::Original, b"an original", "text/plain")];
    let manifest = manifest(DeviceId::new(), decision("nda", &[]), parts);
    let sha256 = trial.put(&serde_json::to_vec(&manifest).expect("plain data")).await;
    let mut write = trial.keep.store.begin().await.expect("a write");
    events::receive(&mut write, &tenant(), &manifest, sha256, Vec::new(), Actor::System)
        .await
        .expect("received");
    write.commit().await.expect("committed");

    let (hour, minute) = (Duration::from_secs(3600), 60_000);
    trial.age(50 * minute).await;
    assert_eq!(collect(&trial.keep, hour).await.expect("done"), Collected::default());
    trial.put(b"never committed").await;
    trial.age(20 * minute).await;
    assert_eq!(collect(&trial.keep, hour).await.expect("done"), Collected::default(), "it was offered again");
    trial.age(50 * minute).await;
    let done = collect(&trial.keep, hour).await.expect("done");
    assert_eq!(done, Collected { forgotten: 1, removed: 0 }, "the object itself is young");
    assert_eq!(trial.there(left).await, (false, true));
    let done = collect(&trial.keep, Duration::ZERO).await.expect("done");
    assert_eq!(done, Collected { forgotten: 0, removed: 1 });
    assert_eq!(trial.there(left).await, (false, false));
    for named in [kept, sha256] {
        assert_eq!(trial.there(named).await, (true, true));
    }
}

#[tokio::test]
async fn inv4_a_document_whose_part_was_collected_is_not_received() {
    let trial = trial().await;
    trial.put(b"an original").await;
    let parts = vec![part(PartRole::Original, b"an original", "text/plain")];
    let manifest = manifest(DeviceId::new(), decision("nda", &[]), parts);
    trial.age(1_000).await;
    collect(&trial.keep, Duration::ZERO).await.expect("done");
    let sha256 = trial.put(&serde_json::to_vec(&manifest).expect("plain data")).await;
    let mut write = trial.keep.store.begin().await.expect("a write");
    let refused = events::receive(&mut write, &tenant(), &manifest, sha256, Vec::new(), Actor::System).await;
    assert!(matches!(refused, Err(events::AppendError::NoBlob(_))), "{refused:?}");
}

#[tokio::test]
async fn what_another_tenant_may_still_see_stays_stored() {
    let trial = trial().await;
    let other: TenantId = "other".parse().expect("a name");
    people::add_tenant(&trial.keep.store, &other).await.expect("a tenant");
    let sha256 = trial.put(b"shared").await;
    trial.age(3_600_000).await;
    trial.keep.put(&other, b"shared".to_vec(), "text/plain").await.expect("kept");
    let done = collect(&trial.keep, Duration::from_secs(60)).await.expect("done");
    assert_eq!(done, Collected { forgotten: 1, removed: 0 });
    assert_eq!(trial.keep.get(&other, sha256).await.expect("theirs"), b"shared");
    assert!(matches!(trial.keep.get(&tenant(), sha256).await, Err(BlobError::Missing(_))));
}

#[tokio::test]
async fn what_was_removed_before_it_became_visible_is_not_made_visible() {
    let trial = trial().await;
    let sha256 = trial.keep.blobs.put(b"stored".to_vec()).await.expect("kept");
    trial.keep.blobs.remove(sha256).await.expect("removed");
    let blob = Visible { sha256, bytes: 6, mime: "text/plain".into() };
    assert!(!trial.keep.grant(&tenant(), &blob).await.expect("an answer"));
    assert_eq!(trial.there(sha256).await, (false, false), "no row for what is not there");
}

#[tokio::test]
async fn garbage_is_found_among_many_and_what_rows_beside_the_events_name_stays() {
    let trial = trial().await;
    let store = &trial.keep.store;
    // More than are looked at, and more than are forgotten, at once.
    let mut write = store.begin().await.expect("a write");
    for number in 0..1_300 {
        let blob =
            Visible { sha256: Digest::of(format!("{number}").as_bytes()), bytes: 1, mime: "x/y".into() };
        visibility::grant(&mut *write, &tenant(), &blob).await.expect("kept");
    }
    write.commit().await.expect("committed");
    let completed = trial.put(b"completed").await;
    sqlx::query(
        "INSERT INTO desk_envelopes (envelope_id, tenant_id, document_id, title, pdf_sha256, created_ms, expires_ms,
           completed_sha256) VALUES ('e', 'default', 'd', 't', 'p', 0, 0, $1)",
    )
    .bind(completed.to_string())
    .execute(store.writing())
    .await
    .expect("a row");
    // What keeps one tenant's bytes explains nobody else's row for them.
    let other: TenantId = "other".parse().expect("a name");
    people::add_tenant(store, &other).await.expect("a tenant");
    trial.keep.put(&other, b"completed".to_vec(), "text/plain").await.expect("kept");
    let picture = trial.put(b"picture").await;
    sqlx::query(
        "INSERT INTO page_pictures (tenant_id, pdf_sha256, page, width_px, png_sha256, made_ms)
         VALUES ('default', 'p', 0, 100, $1, $2)",
    )
    .bind(picture.to_string())
    .bind(crate::store::now_ms())
    .execute(store.writing())
    .await
    .expect("a row");
    trial.age(3_600_000).await;
    let minute = Duration::from_secs(60);
    assert_eq!(collect(&trial.keep, minute).await.expect("done").forgotten, 1_301);
    assert_eq!(trial.there(completed).await, (true, true));
    assert_eq!(trial.there(picture).await, (true, true));
    assert_eq!(crate::ui::pictures::forget(store).await.expect("done"), 0, "it is young");
    sqlx::query("UPDATE page_pictures SET made_ms = 1").execute(store.writing()).await.expect("a row");
    assert_eq!(crate::ui::pictures::forget(store).await.expect("done"), 1);
    assert_eq!(collect(&trial.keep, minute).await.expect("done").forgotten, 0, "its delay runs from now on");
    trial.age(3_600_000).await;
    assert_eq!(
        collect(&trial.keep, minute).await.expect("done").forgotten,
        1,
        "a picture is made again when wanted"
    );
}

also_on_postgres!(
    what_was_removed_before_it_became_visible_is_not_made_visible,
    garbage_is_found_among_many_and_what_rows_beside_the_events_name_stays,
    garbage_is_what_no_event_names_and_leaves_only_after_its_delay,
    inv4_a_document_whose_part_was_collected_is_not_received,
    what_another_tenant_may_still_see_stays_stored,
);
