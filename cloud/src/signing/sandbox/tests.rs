//! Claims about the sandbox, with a real database, real workers and poppler's verdict.

use super::*;
use crate::signing::trial::{Trial, pdfsig};

/// Moves an envelope into the past, as if that much time had gone by since it was sent.
async fn let_pass(trial: &Trial, ms: i64) {
    sqlx::query("UPDATE sandbox_envelopes SET created_ms = created_ms - $1")
        .bind(ms)
        .execute(&trial.place.database)
        .await
        .expect("an update");
}

async fn check(local_part: &str, end: impl Fn(String) -> EnvelopeState) {
    let trial = Trial::new().await;
    let sandbox = Sandbox::new(trial.place.clone());
    let signer = format!("{local_part}@example.com");
    let order = trial.order(&[&signer]);
    let reference = sandbox.create(&order).await.expect("taken");
    assert_eq!(sandbox.create(&order).await, Ok(reference.clone()), "one key, one envelope");
    assert_eq!(
        sandbox.find(&trial.tenant, order.envelope_id, jiff::Timestamp::UNIX_EPOCH).await,
        Ok(Some(reference.clone()))
    );
    let_pass(&trial, 3_600_000).await;
    // A new process finds the same.
    let sandbox = Sandbox::new(trial.place.clone());
    assert_eq!(sandbox.state(&trial.tenant, &reference).await, Ok(end(signer.clone())), "{local_part}");
    sandbox.void(&trial.tenant, &reference, "too late").await.expect("answered");
    assert_eq!(sandbox.state(&trial.tenant, &reference).await, Ok(end(signer)), "{local_part}");
}

#[tokio::test]
async fn each_address_ends_as_its_name_says_and_a_late_withdrawal_changes_nothing() {
    for local_part in ["signs", "slow", "twice", "silent", "someone.else"] {
        check(local_part, |signer| EnvelopeState::Completed { signers: vec![signer] }).await;
    }
    let reason = script::DECLINE_REASON;
    check("declines", |signer| EnvelopeState::Declined { signer, reason: reason.into() }).await;
    check("expires", |_| EnvelopeState::Expired).await;
}

#[tokio::test]
async fn the_signed_pdf_is_sealed_once_and_names_the_sandbox() {
    let trial = Trial::new().await;
    let sandbox = Sandbox::new(trial.place.clone());
    let order = trial.order(&["signs@example.com"]);
    let reference = sandbox.create(&order).await.expect("taken");
    assert!(sandbox.signed_pdf(&trial.tenant, &reference).await.is_err(), "not yet completed");
    let_pass(&trial, 3_600_000).await;
    let (one, two) = tokio::join!(
        sandbox.signed_pdf(&trial.tenant, &reference),
        sandbox.signed_pdf(&trial.tenant, &reference)
    );
    assert_eq!(one, two);
    let signed = one.expect("a signed PDF");
    assert!(signed.starts_with(&order.pdf));
    let said = pdfsig(&signed);
    assert!(said.contains("Signature is Valid") && said.contains("Sandbox of office"), "{said}");
}

#[tokio::test]
async fn a_callback_is_believed_with_its_own_signature_and_its_own_tenant_only() {
    let trial = Trial::new().await;
    let sandbox = Sandbox::new(trial.place.clone());
    let now = Timestamp::now();
    let body = CallbackBody { id: "evt_1".into(), kind: "envelope.viewed".into(), reference: "sbx_1".into() };
    let (signature, bytes) = sandbox.callback(&trial.tenant, &body, now).expect("a callback");
    let headers = |value: &str| vec![(SIGNATURE_HEADER.to_owned(), value.to_owned())];
    let given = headers(&signature);
    let callback = Callback { headers: &given, query: "", body: &bytes, received_at: now };
    let hint = Hint { reference: Some(Reference("sbx_1".into())), kind: body.kind, id: body.id };
    assert_eq!(sandbox.verify(&trial.tenant, &callback), Ok(hint));

    let other = "harbour".parse().expect("a tenant");
    assert_eq!(sandbox.verify(&other, &callback), Err(Forged::BadSignature));
    let changed = Callback { body: b"{}", ..callback };
    assert_eq!(sandbox.verify(&trial.tenant, &changed), Err(Forged::BadSignature));
    let late = Callback { received_at: now + jiff::SignedDuration::from_mins(6), ..callback };
    assert_eq!(sandbox.verify(&trial.tenant, &late), Err(Forged::Stale));
    let unsigned = Callback { headers: &[], ..callback };
    assert_eq!(sandbox.verify(&trial.tenant, &unsigned), Err(Forged::Unsigned));
}

crate::testing::also_on_postgres!(
    each_address_ends_as_its_name_says_and_a_late_withdrawal_changes_nothing,
    the_signed_pdf_is_sealed_once_and_names_the_sandbox,
    a_callback_is_believed_with_its_own_signature_and_its_own_tenant_only,
);
