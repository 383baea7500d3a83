//! Proof that nothing was altered, and the way back from the events.
//!
//! [`check`] reads every chain and every blob and names what is wrong; it changes nothing. [`rebuild`] makes the
//! projections anew from events and manifests, in one transaction: either all of it, or nothing.

use platen_model::event::Event;
use platen_model::{Digest, DocumentId, DocumentManifest, TenantId};
use sqlx::{AnyConnection, Row as _};

use crate::blobs::{Blobs, off_the_reactor};
use crate::machine;
use crate::store::record::Record;
use crate::store::{Store, StoreError, documents, envelopes, people, word};

/// What a check saw.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Documents whose chains were read.
    pub documents: u64,
    /// Events read.
    pub events: u64,
    /// Blobs read.
    pub blobs: u64,
    /// What is wrong, each as a sentence.
    pub wrong: Vec<String>,
}

/// Reads every chain, compares the projections with what the events say, and reads every blob.
///
/// Chain and row of a document are read at one moment, so that a server at work beside it raises no alarm.
pub async fn check(store: &Store, blobs: &Blobs) -> Result<Findings, StoreError> {
    let mut findings = Findings::default();
    for tenant in people::tenants(store).await? {
        for document in document_ids(store, &tenant).await? {
            findings.documents += 1;
            let mut moment = store.moment().await?;
            let chain = chain_of(&mut moment, &tenant, document).await?;
            let kept = documents::find(&mut *moment, &tenant, document).await?.map(|mut kept| {
                kept.document.retry_count = 0;
                kept
            });
            drop(moment);
            match replay(blobs, &tenant, document, chain).await {
                Ok(replayed) => {
                    findings.events += replayed.record.document.version;
                    if kept.as_ref() != Some(&replayed.record) {
                        findings.wrong.push(format!(
                            "document {document}: its row is not what its events say; run `platen-cloud rebuild`, \
                             unless events are missing"
                        ));
                    }
                }
                Err(wrong) => findings.wrong.push(format!("document {document}: {wrong}")),
            }
        }
    }
    let rows =
        sqlx::query("SELECT DISTINCT sha256 FROM blobs ORDER BY sha256").fetch_all(store.reading()).await?;
    for row in rows {
        let sha256: Digest = word(row.get("sha256"))?;
        findings.blobs += 1;
        let folder = blobs.clone();
        if let Err(error) = off_the_reactor(move || folder.open_verified(sha256)).await {
            findings.wrong.push(error.to_string());
        }
    }
    Ok(findings)
}

/// Makes `documents` and `envelopes` anew. Answers the number of documents, or what stands in the way.
pub async fn rebuild(store: &Store, blobs: &Blobs) -> Result<Result<u64, String>, StoreError> {
    let mut all = Vec::new();
    for tenant in people::tenants(store).await? {
        for document in document_ids(store, &tenant).await? {
            let mut reading = store.reading().acquire().await?;
            let chain = chain_of(&mut reading, &tenant, document).await?;
            match replay(blobs, &tenant, document, chain).await {
                Ok(replayed) => all.push((tenant.clone(), replayed)),
                Err(wrong) => return Ok(Err(format!("document {document}: {wrong}"))),
            }
        }
    }
    let mut write = store.begin().await?;
    for clearing in ["DELETE FROM envelopes", "DELETE FROM documents"] {
        sqlx::query(clearing).execute(&mut *write).await?;
    }
    for (tenant, replayed) in &all {
        documents::insert(&mut write, tenant, &replayed.record).await?;
        for (event, record) in &replayed.steps {
            envelopes::project(&mut write, tenant, record, event).await?;
        }
    }
    write.commit().await?;
    Ok(Ok(all.len() as u64))
}

/// A chain read back: the record it leads to, and the record after each event.
struct Replayed {
    record: Record,
    steps: Vec<(Event, Record)>,
}

/// An event as its row has it: sequence, hash, bytes.
type Link = (i64, String, String);

/// A document's rows of the chain, whatever is in them.
async fn chain_of(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Vec<Link>, StoreError> {
    let rows = sqlx::query(
        "SELECT sequence, hash, bytes FROM events WHERE tenant_id = $1 AND document_id = $2 ORDER BY sequence",
    )
    .bind(tenant.as_str())
    .bind(document.to_string())
    .fetch_all(reading)
    .await?;
    Ok(rows.iter().map(|row| (row.get("sequence"), row.get("hash"), row.get("bytes"))).collect())
}

/// Folds a document's chain anew, checking every link. An error says what is wrong with it.
async fn replay(
    blobs: &Blobs,
    tenant: &TenantId,
    document: DocumentId,
    chain: Vec<Link>,
) -> Result<Replayed, String> {
    let (blobs, tenant) = (blobs.clone(), tenant.clone());
    let folded = tokio::task::spawn_blocking(move || fold(&blobs, &tenant, document, &chain)).await;
    folded.unwrap_or_else(|error| Err(error.to_string()))
}

fn fold(blobs: &Blobs, tenant: &TenantId, document: DocumentId, chain: &[Link]) -> Result<Replayed, String> {
    use platen_model::event::EventBody;
    let mut record: Option<Record> = None;
    let mut steps = Vec::new();
    for (index, (sequence, hash, bytes)) in (1i64..).zip(chain) {
        if *sequence != index {
            return Err(format!("event {index} is missing"));
        }
        let digest = Digest::of(bytes.as_bytes());
        if digest.to_string() != *hash {
            return Err(format!(
                "event {index} was changed: its bytes do not have the hash kept beside them"
            ));
        }
        let event: Event = serde_json::from_str(bytes).map_err(|error| format!("event {index}: {error}"))?;
        if event.document_id != document || i64::try_from(event.sequence) != Ok(index) {
            return Err(format!("event {index} speaks of another document or place in the chain"));
        }
        let before = match (record.take(), &event.body) {
            (Some(record), _) => record,
            (None, EventBody::Received { manifest_sha256, .. }) => {
                let bytes = blobs.get(*manifest_sha256).map_err(|error| format!("its manifest: {error}"))?;
                let manifest: DocumentManifest =
                    serde_json::from_slice(&bytes).map_err(|error| format!("its manifest: {error}"))?;
                Record::of_manifest(tenant, &manifest, *manifest_sha256)
            }
            (None, body) => return Err(format!("it begins with `{}`, not with its receipt", body.name())),
        };
        if event.previous != before.head {
            return Err(format!("event {index} does not follow on event {}: the chain is broken", index - 1));
        }
        let state =
            machine::apply(before.state(), &event.body).map_err(|error| format!("event {index}: {error}"))?;
        let mut after = before;
        after.absorb(&event, state, digest);
        steps.push((event, after.clone()));
        record = Some(after);
    }
    record.map(|record| Replayed { record, steps }).ok_or_else(|| "it has no events".to_owned())
}

/// All documents that have events or a row: one that lost either must be seen.
async fn document_ids(store: &Store, tenant: &TenantId) -> Result<Vec<DocumentId>, StoreError> {
    let rows = sqlx::query(
        "SELECT document_id FROM events WHERE tenant_id = $1
         UNION SELECT document_id FROM documents WHERE tenant_id = $1 ORDER BY document_id",
    )
    .bind(tenant.as_str())
    .fetch_all(store.reading())
    .await?;
    rows.iter().map(|row| word(row.get("document_id"))).collect()
}
