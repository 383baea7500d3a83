//! The promise of the store: whatever is proposed in whatever order, chain and rows agree (INV-6).

use std::collections::BTreeMap;
use std::path::Path;

use platen_capture::worker::Pool;
use platen_model::event::{Actor, EventBody};
use platen_model::keys::SigningKey;
use platen_model::{DeviceId, Digest, EnvelopeId, FormRef, PartRole, PolicyRef, Recipient, Violation};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::app::App;
use crate::config::Config;
use crate::store::events::AppendError;
use crate::store::{documents, events, people};
use crate::testing::{Base, database, decision, manifest, part, receive, tenant};
use crate::{integrity, machine};

/// One event of each kind but the first, routed with and without a provider.
fn bodies(policy: &PolicyRef) -> Vec<EventBody> {
    let routed = |provider: Option<&str>| EventBody::Routed {
        route: "all".into(),
        policy: policy.clone(),
        provider: provider.map(str::to_owned),
        recipients: provider.map(|_| Recipient::signer("ada@example.com", 1)).into_iter().collect(),
        blanks: Vec::new(),
        expires_at: Some("2030-01-02T03:04:05.123456789Z".parse().expect("a time")),
        remind_every_s: None,
        tags: vec!["tag".into()],
        retention_class: None,
    };
    let pdf = Digest::of(b"pdf");
    let violation = Violation {
        field: Some("party".into()),
        rule: Violation::FORMAT.into(),
        message: "It is not of its form.".into(),
        remedy: "Compare it.".into(),
    };
    vec![
        EventBody::OcrComplete { page_text_sha256: pdf, ocr_confidence: 0.5, page_count: 2 },
        EventBody::Classified { decision: decision("nda", &[("party", "ACME")]) },
        EventBody::FormRecognised {
            forms: vec![FormRef { form_id: uuid::Uuid::now_v7(), name: "a form".into(), sha256: pdf }],
            fields: decision("nda", &[("party", "Acme")]).fields,
        },
        EventBody::ReviewRequested {
            reasons: vec!["doubt".into()],
            violations: vec![violation.clone()],
            policy: None,
        },
        EventBody::Validated { policy: None },
        EventBody::Approved {
            read: None,
            document_type: None,
            fields: BTreeMap::from([("party".to_owned(), "Acme Ltd".to_owned())]),
            comment: None,
            override_reason: Some("known".into()),
            overridden: vec![violation.clone()],
        },
        EventBody::Rejected { comment: "no".into() },
        routed(Some("desk")),
        routed(None),
        EventBody::EnvelopeCreated {
            envelope_id: EnvelopeId::new(),
            provider: "desk".into(),
            document_sha256: pdf,
        },
        EventBody::Sent { provider_reference: "r".into() },
        EventBody::Viewed { signer: "ada@example.com".into() },
        EventBody::Signed {
            signers: vec!["ada@example.com".into()],
            signed_sha256: pdf,
            finding: None,
            accepted_because: None,
        },
        EventBody::Declined { signer: "ada@example.com".into(), reason: "no".into() },
        EventBody::Expired,
        EventBody::Voided { reason: "late".into() },
        EventBody::Archived { evidence_sha256: pdf },
        EventBody::Quarantined { reason: "broken".into(), help: "mend it".into(), returned: None },
        EventBody::Retried,
        EventBody::OriginalsArrived { originals: vec![pdf] },
        EventBody::Captured {
            parts: vec![part(PartRole::PageText, b"captured", "application/json")],
            decision: decision("invoice", &[("number", "1")]),
        },
        EventBody::TextSupplied {
            part: part(PartRole::PageText, b"supplied", "application/json"),
            decision: decision("letter", &[]),
        },
        EventBody::Reprocessed { reason: Some("read badly".into()) },
        EventBody::Corrected {
            read: None,
            document_type: None,
            fields: BTreeMap::from([("party".to_owned(), "ACME Inc".to_owned())]),
            department: Some("legal".into()),
            violations: vec![violation],
        },
    ]
}

/// Proposes events to a new document: each pick as it is, or the next after it that may follow.
async fn check(app: &App, picks: Vec<(usize, bool)>) -> Result<(), TestCaseError> {
    let tenant = tenant();
    let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
    let document = manifest.document_id;
    for bytes in [b"captured", b"supplied"] {
        app.keep.put(&tenant, bytes.to_vec(), "application/json").await.expect("kept");
    }
    let mut record = receive(&app.keep, &manifest, &SigningKey::generate().expect("randomness")).await;
    for (pick, fitting) in picks {
        let mut bodies = bodies(app.policy(&tenant).reference());
        let count = bodies.len();
        bodies.rotate_left(pick % count);
        let fits = |body: &EventBody| machine::apply(record.state(), body).is_ok();
        let body = bodies.iter().find(|body| !fitting || fits(body)).unwrap_or(&bodies[0]).clone();
        let may = machine::apply(record.state(), &body);
        let mut write = app.store.begin().await.expect("a write");
        match (events::append(&mut write, &tenant, document, Actor::System, body).await, may) {
            (Ok(after), Ok(state)) => {
                prop_assert_eq!(after.state(), Some(state));
                prop_assert_eq!(after.document.version, record.document.version + 1);
                record = after;
            }
            (Err(AppendError::Refused(found)), Err(expected)) => prop_assert_eq!(found, expected),
            (found, expected) => prop_assert!(false, "{expected:?}, but {found:?}"),
        }
        // A refusal is committed as well: it must have written nothing.
        write.commit().await.expect("committed");
    }
    let found = integrity::check(&app.store, &app.keep.blobs, None).await.expect("readable");
    prop_assert!(found.wrong.is_empty(), "{:?}", found.wrong);
    let kept = documents::find(app.store.reading(), &tenant, document).await.expect("readable");
    prop_assert_eq!(kept.as_ref(), Some(&record));
    let rebuilt = integrity::rebuild(&app.store, &app.keep.blobs).await.expect("readable");
    prop_assert!(rebuilt.is_ok(), "{rebuilt:?}");
    let kept = documents::find(app.store.reading(), &tenant, document).await.expect("readable");
    prop_assert_eq!(kept, Some(record));
    Ok(())
}

/// A new site in a folder, on a database, with a tenant.
async fn site(folder: &Path, base: &Base) -> App {
    let config = Config {
        database: base.address.clone(),
        blobs: format!("file:{}", folder.join("blobs").display()),
        keys: folder.join("keys"),
        mail: folder.join("mail"),
        ..Config::default()
    };
    let app = App::open_with(config, Pool::in_process(1)).await.expect("a new site");
    people::add_tenant(&app.store, &tenant()).await.expect("a tenant");
    app
}

#[tokio::test]
async fn inv6_an_event_that_could_not_be_read_again_is_refused_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let base = database(folder.path());
    let app = site(folder.path(), &base).await;
    let manifest = manifest(DeviceId::new(), decision("nda", &[]), Vec::new());
    let record = receive(&app.keep, &manifest, &SigningKey::generate().expect("randomness")).await;
    for ocr_confidence in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
        let page_text_sha256 = Digest::of(b"text");
        let body = EventBody::OcrComplete { page_text_sha256, ocr_confidence, page_count: 1 };
        let mut write = app.store.begin().await.expect("a write");
        let refused = events::append(&mut write, &tenant(), manifest.document_id, Actor::System, body).await;
        assert!(matches!(refused, Err(AppendError::Unreadable("ocr_complete"))), "{refused:?}");
        // A refusal that is committed wrote nothing.
        write.commit().await.expect("committed");
    }
    let kept = documents::find(app.store.reading(), &tenant(), manifest.document_id).await;
    assert_eq!(kept.expect("readable"), Some(record));
    let found = integrity::check(&app.store, &app.keep.blobs, None).await.expect("readable");
    assert!(found.wrong.is_empty(), "{:?}", found.wrong);
}

#[test]
fn inv6_whatever_is_proposed_chain_and_rows_agree() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let base = database(folder.path());
    let app = runtime.block_on(site(folder.path(), &base));
    let picks = prop::collection::vec((0..64usize, prop::bool::weighted(0.7)), 0..16);
    let mut runner = TestRunner::new(ProptestConfig { cases: 48, ..ProptestConfig::default() });
    let outcome = runner.run(&picks, |picks| runtime.block_on(check(&app, picks)));
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

crate::testing::also_on_postgres!(
    inv6_whatever_is_proposed_chain_and_rows_agree,
    inv6_an_event_that_could_not_be_read_again_is_refused_and_changes_nothing,
);
