//! What this crate's tests share: records, and a database on either engine.
//!
//! A test that needs a database asks [`database`] for one; by itself that is SQLite. Naming the test in
//! `also_on_postgres!` at the end of its file runs it once more, on a PostgreSQL server of its own.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use platen_model::event::Actor;
use platen_model::keys::SigningKey;
use platen_model::{
    CaptureId, CorrelationId, Decision, DeviceId, Digest, DocumentManifest, DocumentType, Field, Part,
    PartRole, PolicyRef, TenantId, Verdict,
};

use platen_tests::servers::Postgres;

use crate::blobs::Keep;
use crate::evidence::{DeviceSignature, signature};
use crate::store::record::Record;
use crate::store::{Address, Engine, Store, Write, events};

thread_local! {
    /// The engine of the test on this thread.
    static ENGINE: Cell<Engine> = const { Cell::new(Engine::Sqlite) };
}

/// A new, empty database, and the server it is on: keep it as long as the database is used.
#[derive(Debug)]
pub(crate) struct Base {
    /// As the configuration takes it.
    pub(crate) address: String,
    _server: Option<Postgres>,
}

impl Base {
    /// Opens it, with its schema.
    pub(crate) async fn open(&self) -> Store {
        let address: Address = self.address.parse().expect("an address");
        let store = Store::open(&address).await.expect("a database");
        store.migrate().await.expect("the schema");
        store
    }
}

/// A database on the engine of the test; files go to `folder`.
pub(crate) fn database(folder: &Path) -> Base {
    match ENGINE.get() {
        Engine::Sqlite => {
            Base { address: format!("sqlite:{}", folder.join("cloud.db").display()), _server: None }
        }
        Engine::Postgres => {
            let server = Postgres::start();
            Base { address: server.url(), _server: Some(server) }
        }
    }
}

/// Runs a test with every database it asks for on PostgreSQL.
pub(crate) fn on_postgres(test: impl FnOnce()) {
    ENGINE.set(Engine::Postgres);
    test();
}

/// Runs these tests of the module a second time, on PostgreSQL.
macro_rules! also_on_postgres {
    ($($test:ident),* $(,)?) => {
        mod on_postgres {
            $(#[test] fn $test() { crate::testing::on_postgres(super::$test) })*
        }
    };
}
pub(crate) use also_on_postgres;

/// The tenant of tests.
pub(crate) fn tenant() -> TenantId {
    "default".parse().expect("a name")
}

/// A decision with these fields, sure of itself.
pub(crate) fn decision(document_type: &str, fields: &[(&str, &str)]) -> Decision {
    let field =
        |value: &str| Field { value: value.into(), text: value.into(), confidence: 0.9, page: 0, rect: None };
    Decision {
        document_type: DocumentType(document_type.into()),
        confidence: 0.9,
        verdict: Verdict::Auto,
        reasons: Vec::new(),
        fields: fields.iter().map(|(name, value)| ((*name).to_owned(), field(value))).collect(),
        line_items: Vec::new(),
        policy: PolicyRef {
            name: "classification".into(),
            version: "1".into(),
            sha256: Digest::of(b"rules"),
        },
    }
}

/// A manifest over these parts.
pub(crate) fn manifest(device_id: DeviceId, decision: Decision, parts: Vec<Part>) -> DocumentManifest {
    let capture_id = CaptureId::new();
    DocumentManifest {
        batch: None,
        rejoins: None,
        version: platen_model::manifest::MANIFEST_VERSION,
        document_id: capture_id.document(0),
        capture_id,
        correlation_id: CorrelationId::of_capture(capture_id),
        device_id: Some(device_id),
        source: "front-desk".into(),
        department: Some("office".into()),
        claimed_at: Timestamp::UNIX_EPOCH,
        captured_at: Timestamp::UNIX_EPOCH,
        page_count: 1,
        ocr_confidence: 0.9,
        decision,
        parts,
        labels: BTreeMap::new(),
    }
}

/// Receives a manifest as a device sends it: its bytes kept, the document's first event, the device's signature. A device that
/// is not enrolled is, with this key.
pub(crate) async fn receive(keep: &Keep, manifest: &DocumentManifest, key: &SigningKey) -> Record {
    let bytes = serde_json::to_vec(manifest).expect("plain data");
    let signature = key.sign(&bytes);
    let sha256 = keep.put(&tenant(), bytes, "application/json").await.expect("kept");
    let mut write = keep.store.begin().await.expect("a write");
    let device_id = manifest.device_id.expect("a device's");
    enrol(&mut write, device_id, key).await;
    let actor = Actor::Device(device_id.to_string());
    let record =
        events::receive(&mut write, &tenant(), manifest, sha256, Vec::new(), actor).await.expect("received");
    let signature = DeviceSignature { device_id, public_key: key.public(), signature };
    signature::keep(&mut *write, &tenant(), manifest.document_id, &signature).await.expect("kept");
    write.commit().await.expect("committed");
    record
}

async fn enrol(write: &mut Write, device: DeviceId, key: &SigningKey) {
    sqlx::query(
        "INSERT INTO devices (device_id, tenant_id, name, public_key, created_ms) VALUES ($1, $2, 'test', $3, 0)
         ON CONFLICT (device_id) DO NOTHING",
    )
    .bind(device.to_string())
    .bind(tenant().as_str())
    .bind(key.public().0)
    .execute(&mut **write)
    .await
    .expect("enrolled");
}

/// A part of these bytes.
pub(crate) fn part(role: PartRole, bytes: &[u8], mime: &str) -> Part {
    let file_name = (role == PartRole::Original).then(|| "scan.tif".to_owned());
    Part {
        role,
        sha256: Digest::of(bytes),
        bytes: bytes.len() as u64,
        mime: mime.into(),
        file_name,
        copy_of_signed: false,
    }
}

/// A classified record.
pub(crate) fn record(document_type: &str, fields: &[(&str, &str)]) -> Record {
    let decision = decision(document_type, fields);
    let manifest = manifest(DeviceId::new(), decision.clone(), Vec::new());
    let mut record = Record::of_manifest(&tenant(), &manifest, Digest::of(b"manifest"));
    record.document.document_type = decision.document_type.clone();
    record.document.confidence = decision.confidence;
    record.document.fields = decision.fields.clone();
    record.decision = Some(decision);
    record
}
