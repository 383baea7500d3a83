//! A signature that is kept must be by a key of the device that sent the document.

use platen_model::event::Actor;
use platen_model::keys::SigningKey;
use platen_model::{DeviceId, DocumentId};
use sqlx::Row as _;

use crate::app::App;
use crate::evidence::{DeviceSignature, signature};
use crate::integrity::tests::{longest, run, site, wrong};
use crate::store::{audit, documents, events};
use crate::testing::{also_on_postgres, decision, manifest, receive, tenant};

fn key() -> SigningKey {
    SigningKey::generate().expect("randomness")
}

/// A signature of a document's manifest that holds, by this key.
async fn sign(app: &App, document: DocumentId, key: &SigningKey) -> DeviceSignature {
    let record = documents::find(app.store.reading(), &tenant(), document).await.expect("readable");
    let record = record.expect("a document");
    let manifest = app.keep.get(&tenant(), record.manifest_sha256).await.expect("kept");
    let device_id = DeviceId::new();
    DeviceSignature { device_id, public_key: key.public(), signature: key.sign(&manifest) }
}

/// Puts a signature by this key in the place of the one that is kept.
async fn replace(app: &App, document: DocumentId, key: &SigningKey) {
    let DeviceSignature { public_key, signature, .. } = sign(app, document, key).await;
    let sql = format!(
        "UPDATE manifest_signatures SET public_key = '{}', signature = '{signature}' WHERE document_id = '{document}'",
        public_key.0
    );
    assert_eq!(run(app, sql).await, 1);
}

/// Lets a device take another key, as it does over HTTP.
async fn take(app: &App, device: DeviceId, key: &SigningKey) {
    take_as(app, device, &device.to_string(), key).await;
}

/// The same, with the device written like this in the audit.
async fn take_as(app: &App, device: DeviceId, written: &str, key: &SigningKey) {
    let (id, public) = (device.to_string(), key.public().0);
    let row = format!("UPDATE devices SET public_key = '{public}' WHERE device_id = '{id}'");
    assert_eq!(run(app, row).await, 1);
    let mut write = app.store.begin().await.expect("a write");
    audit::add(&mut write, &tenant(), &format!("device:{id}"), "device.key", written, &public)
        .await
        .expect("noted");
    write.commit().await.expect("committed");
}

/// Receives a document from a device; answers its id.
async fn from(app: &App, device: DeviceId, key: &SigningKey) -> DocumentId {
    let manifest = manifest(device, decision("nda", &[]), Vec::new());
    receive(&app.keep, &manifest, key).await;
    manifest.document_id
}

#[tokio::test(flavor = "multi_thread")]
async fn inv6_a_signature_by_a_strangers_key_or_of_another_device_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let document: DocumentId = longest(&app).await.parse().expect("an id");
    run(&app, "CREATE TABLE kept_devices AS SELECT * FROM devices".into()).await;
    let row = format!("WHERE document_id = '{document}'");
    let device = sqlx::query("SELECT device_id FROM manifest_signatures WHERE document_id = $1")
        .bind(document.to_string())
        .fetch_one(app.store.reading())
        .await
        .expect("a signature")
        .get::<String, _>("device_id");
    let check = async |found: &str| {
        let all = wrong(&app).await;
        assert!(all.contains(&format!("document {document}: ")) && all.contains(found), "{found}: {all}");
        for table in ["manifest_signatures", "devices"] {
            run(&app, format!("DELETE FROM {table}")).await;
            run(&app, format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await;
        }
        assert_eq!(wrong(&app).await, "", "everything was put back");
    };
    let strange = format!("a key that device {device} is not known to have had");
    replace(&app, document, &key()).await;
    check(&strange).await;
    let other = format!("(SELECT device_id FROM devices WHERE device_id <> '{device}' LIMIT 1)");
    run(&app, format!("UPDATE manifest_signatures SET device_id = {other} {row}")).await;
    check(&format!("; device {device} sent it")).await;
    run(&app, format!("UPDATE devices SET public_key = 'x' WHERE device_id = '{device}'")).await;
    check(&strange).await;
    run(&app, format!("DELETE FROM devices WHERE device_id = '{device}'")).await;
    check(&strange).await;
    run(&app, format!("DELETE FROM manifest_signatures {row}")).await;
    check("is missing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_device_signed_with_former_keys_is_good_and_what_a_stranger_signed_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let (device, first, second, third) = (DeviceId::new(), key(), key(), key());
    let mut documents = vec![from(&app, device, &first).await, from(&app, device, &first).await];
    assert_eq!(wrong(&app).await, "");
    take(&app, device, &second).await;
    documents.push(from(&app, device, &second).await);
    take(&app, device, &third).await;
    documents.push(from(&app, device, &third).await);
    documents.push(from(&app, device, &first).await);
    assert_eq!(wrong(&app).await, "", "each key was the device's once");
    for (document, theirs) in documents.iter().zip([&first, &first, &second, &third]) {
        replace(&app, *document, &key()).await;
        let found = wrong(&app).await;
        let told = format!("document {document}: its manifest is signed with a key that device {device}");
        assert!(found.contains(&told) && found.lines().count() == 1, "{told}: {found}");
        replace(&app, *document, theirs).await;
        assert_eq!(wrong(&app).await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_wrote_its_id_in_capitals_when_it_replaced_its_key_has_had_both() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let (device, first, second) = (DeviceId::new(), key(), key());
    from(&app, device, &first).await;
    take_as(&app, device, &device.to_string().to_uppercase(), &second).await;
    from(&app, device, &second).await;
    assert_eq!(wrong(&app).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_device_sent_without_a_manifest_needs_no_signature() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_base, app) = site(folder.path()).await;
    let device = DeviceId::new();
    let mut manifest = manifest(device, decision("nda", &[]), Vec::new());
    manifest.device_id = None;
    let bytes = serde_json::to_vec(&manifest).expect("plain data");
    let sha256 = app.keep.put(&tenant(), bytes, "application/json").await.expect("kept");
    let mut write = app.store.begin().await.expect("a write");
    let actor = Actor::Device(device.to_string());
    events::receive(&mut write, &tenant(), &manifest, sha256, Vec::new(), actor).await.expect("received");
    write.commit().await.expect("committed");
    assert_eq!(wrong(&app).await, "");
    let document = manifest.document_id;
    let signed = sign(&app, document, &key()).await;
    signature::keep(app.store.writing(), &tenant(), document, &signed).await.expect("kept");
    let found = wrong(&app).await;
    assert!(
        found.contains(&format!("document {document}: a signature of its manifest was added")),
        "{found}"
    );
}

also_on_postgres!(
    inv6_a_signature_by_a_strangers_key_or_of_another_device_is_seen,
    what_a_device_signed_with_former_keys_is_good_and_what_a_stranger_signed_is_not,
);
