//! Proof that nothing was altered, and the way back from the events.
//!
//! [`check`] reads every chain, row, checkpoint and blob and names what is wrong; it changes nothing. [`rebuild`]
//! makes the projections anew from events and manifests, document by document in the order in which they were received, in
//! one transaction: either all of it, or nothing.
//!
//! What each kind of damage is seen by: a changed event by its hash, a missing or added one by its place in chain
//! and [`feed`], one cut off the end by the feed's counter and the last checkpoint, a row of a projection by folding
//! the events again (what is searched, by reading its pages again), a byte by the digest that is its blob's name, a
//! blob's row by the events that name it, a device's signature by the manifest and the keys of [`devices`], a policy's text
//! by its digest, a time-stamp by the feed's counter and its own signature, an entry of the audit by its own chain. A
//! blob's row that no event names is seen by its age ([`unexplained`](crate::blobs::garbage::unexplained)).
//!
//! A blob's media type is held against nothing: it is the word of whoever brought its bytes first, and another's manifest
//! may have another.

use std::collections::BTreeSet;

use platen_model::event::{Event, EventBody};
use platen_model::keys::PublicKey;
use platen_model::{DeviceId, Digest, DocumentId, DocumentManifest, PageText, PolicyRef, TenantId};
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use crate::api::versions::versions;
use crate::blobs::{BlobError, Blobs};
use crate::checkpoints;
use crate::evidence::signature;
use crate::machine;
use crate::store::record::Record;
use crate::store::{
    DbRow, Engine, Store, StoreError, Write, blobs as visibility, documents, envelopes, examples, people,
    policies, search, word,
};

mod devices;
mod feed;

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

/// Reads everything and compares it with what the events say. `keys` are the site's keys for checkpoints, now and before,
/// where they are known.
///
/// Chain and rows of a document are read at one moment, and what is missed because it came or left since is asked for once
/// more, so that a server at work beside it raises no alarm.
pub async fn check<'k>(
    store: &Store,
    blobs: &Blobs,
    keys: impl IntoIterator<Item = &'k PublicKey>,
) -> Result<Findings, StoreError> {
    let keys: Vec<&PublicKey> = keys.into_iter().collect();
    let mut findings = Findings::default();
    let (policies, strange) = policies::check(store).await?;
    findings.wrong.extend(strange);
    for tenant in people::tenants(store).await? {
        let mut moment = store.moment().await?;
        findings.wrong.extend(feed::check(&mut moment, &tenant).await?);
        findings.wrong.extend(checkpoints::check(&mut moment, &tenant, keys.iter().copied()).await?);
        drop(moment);
        let (documents, strange) = document_ids(store, &tenant).await?;
        findings.wrong.extend(strange);
        let mut moment = store.moment().await?;
        // Behind the documents: whatever sent one of them is enrolled by then.
        let known = Known { policies: &policies, keys: devices::Keys::of(&mut moment, &tenant).await? };
        drop(moment);
        for document in documents {
            findings.documents += 1;
            let wrong = check_document(store, blobs, &known, &tenant, document, &mut findings.events).await?;
            findings.wrong.extend(wrong.into_iter().map(|wrong| format!("document {document}: {wrong}")));
        }
    }
    match search::without_place(store).await? {
        0 => {}
        count => {
            findings.wrong.push(format!("{count} rows of `search_words` belong to no document; {REBUILD}"))
        }
    }
    let rows = sqlx::query("SELECT DISTINCT sha256, bytes FROM blobs ORDER BY sha256");
    for row in rows.fetch_all(store.reading()).await? {
        match word(row.get("sha256")) {
            Ok(sha256) => {
                findings.blobs += 1;
                findings.wrong.extend(check_blob(store, blobs, sha256, row.get("bytes")).await?);
            }
            Err(error) => findings.wrong.push(format!("a row of `blobs`: {error}")),
        }
    }
    Ok(findings)
}

const REBUILD: &str = "run `platen-cloud rebuild`, unless events are missing";

/// What all documents of a tenant are held against.
struct Known<'p> {
    /// The policies whose texts are kept.
    policies: &'p BTreeSet<Digest>,
    /// The keys of the tenant's devices.
    keys: devices::Keys,
}

/// What is wrong with one document, each as a sentence.
async fn check_document(
    store: &Store,
    blobs: &Blobs,
    known: &Known<'_>,
    tenant: &TenantId,
    document: DocumentId,
    events: &mut u64,
) -> Result<Vec<String>, StoreError> {
    let mut moment = store.moment().await?;
    let chain = chain_of(&mut moment, tenant, document).await?;
    let kept = documents::find_sound(&mut moment, tenant, document).await;
    let rows = envelopes::rows_of(&mut moment, tenant, document).await;
    let example = examples::find(&mut moment, tenant, document).await;
    let referred = visibility::referred(&mut moment, tenant, document).await;
    let signed = signature::find(&mut *moment, tenant, document).await;
    let misplaced = feed::misplaced(&chain);
    let replayed = match replay(blobs, tenant, document, chain).await {
        Ok(replayed) => replayed,
        Err(wrong) => return Ok(vec![wrong]),
    };
    let words = words_of(blobs, &replayed).await.unwrap_or_default();
    let findable = search::is_sound(&mut moment, store.engine(), tenant, &replayed.record, &words).await?;
    drop(moment);
    *events += replayed.record.document.version;
    let mut wrong: Vec<String> = misplaced.into_iter().collect();
    if !findable {
        wrong.push(format!("what is searched for it is not what its events and pages say; {REBUILD}"));
    }
    for (event, _) in &replayed.steps {
        let Some(PolicyRef { sha256, .. }) = policy_of(&event.body) else { continue };
        // One that was put in force since they were read is asked for by itself.
        if !known.policies.contains(sha256) && !policies::is_kept(store, *sha256).await? {
            let sequence = event.sequence;
            wrong.push(format!("the policy {sha256} that its event {sequence} was decided by is not kept"));
        }
    }
    if !kept.is_ok_and(|kept| kept.as_ref() == Some(&replayed.record)) {
        wrong.push(format!("its row is not what its events say; {REBUILD}"));
    }
    let told = envelopes::all_of(replayed.steps.iter().map(|(event, record)| (event, record)));
    if !rows.is_ok_and(|rows| rows == told) {
        wrong.push(format!("the rows of its envelopes are not what its events say; {REBUILD}"));
    }
    let told = replayed.steps.iter().fold(None, |told, (event, record)| examples::told(told, record, event));
    if !example.is_ok_and(|example| example == told) {
        wrong.push(format!("the example made of it is not what its events say; {REBUILD}"));
    }
    wrong.extend(known.keys.fault(replayed.device, &replayed.manifest, signed));
    let digests = digests_of(&replayed);
    if !referred.is_ok_and(|referred| referred == digests) {
        wrong.push(format!("the rows of the blobs it names are not what its events say; {REBUILD}"));
    }
    // Only what stands for the document itself: an event also names policies and pages that are no blobs.
    let record = &replayed.record;
    let events = replayed.steps.iter().map(|(event, _)| event);
    let earlier = versions(events).into_iter().flat_map(|version| version.parts).map(|part| part.sha256);
    let here = record.parts.iter().map(|part| part.sha256).filter(|sha256| !record.awaiting.contains(sha256));
    let parts = here.chain(earlier);
    let made = [Some(record.manifest_sha256), record.signed_sha256, record.evidence_sha256];
    for sha256 in parts.chain(made.into_iter().flatten()).collect::<BTreeSet<Digest>>() {
        if visibility::visible(store.reading(), tenant, sha256).await?.is_none() {
            wrong.push(format!("its blob {sha256} has no row: the tenant cannot read it"));
        }
    }
    Ok(wrong)
}

/// What is wrong with a blob whose row said that it has so many bytes, as a sentence.
async fn check_blob(
    store: &Store,
    blobs: &Blobs,
    sha256: Digest,
    expected: i64,
) -> Result<Option<String>, StoreError> {
    let found = blobs.open_verified(sha256).await.and_then(|file| Ok(file.metadata()?.len()));
    if matches!(found, Err(BlobError::Missing(_))) && !is_missed(store, blobs, sha256).await? {
        return Ok(None);
    }
    Ok(match found {
        Err(error) => Some(error.to_string()),
        Ok(bytes) if bytes.cast_signed() != expected => {
            Some(format!("blob {sha256} has {bytes} bytes; its row says something else"))
        }
        Ok(_) => None,
    })
}

/// Whether a blob is not there that some row speaks of still: hours may have passed since its row was read, and garbage may
/// have left meanwhile.
async fn is_missed(store: &Store, blobs: &Blobs, sha256: Digest) -> Result<bool, StoreError> {
    // The row before and behind the blob: what was garbage may also have come again.
    Ok(visibility::is_seen(store.reading(), sha256).await?
        && !matches!(blobs.look(sha256).await, Ok(Some(_)))
        && visibility::is_seen(store.reading(), sha256).await?)
}

/// The routing policy that an event was decided by.
fn policy_of(body: &EventBody) -> Option<&PolicyRef> {
    match body {
        EventBody::Routed { policy, .. } => Some(policy),
        EventBody::Validated { policy } | EventBody::ReviewRequested { policy, .. } => policy.as_ref(),
        _ => None,
    }
}

/// The blobs a document's events name.
fn digests_of(replayed: &Replayed) -> BTreeSet<Digest> {
    replayed.steps.iter().flat_map(|(event, _)| visibility::named_in(&event.body)).collect()
}

/// A document's events, each with the document as it was after it. Its links are checked on the way.
pub async fn history(
    store: &Store,
    blobs: &Blobs,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Vec<(Event, Record)>, StoreError> {
    let mut reading = store.reading().acquire().await?;
    let chain = chain_of(&mut reading, tenant, document).await?;
    drop(reading);
    match replay(blobs, tenant, document, chain).await {
        Ok(replayed) => Ok(replayed.steps),
        Err(wrong) => Err(StoreError::Damaged(format!("document {document}: {wrong}"))),
    }
}

/// Makes `documents`, `envelopes` and `examples`, what is searched, and which blobs events name anew. Answers the number of
/// documents, or what stands in the way.
///
/// One document after the other is read and written, so that it takes no more memory for many. Nobody appends beside it:
/// on SQLite writers wait for a write, on PostgreSQL for the table of feeds, which every event counts on.
pub async fn rebuild(store: &Store, blobs: &Blobs) -> Result<Result<u64, String>, StoreError> {
    let tenants = people::tenants(store).await?;
    let mut write = store.begin().await?;
    if store.engine() == Engine::Postgres {
        sqlx::query("LOCK TABLE feeds IN EXCLUSIVE MODE").execute(&mut *write).await?;
    }
    for tenant in &tenants {
        if let Some(document) = without_beginning(&mut write, tenant).await? {
            return Ok(Err(format!("document {document}: event 1 is missing")));
        }
    }
    search::clear(&mut write).await?;
    for clearing in [
        "DELETE FROM envelopes",
        "DELETE FROM examples",
        "DELETE FROM documents",
        "DELETE FROM blob_references",
    ] {
        sqlx::query(clearing).execute(&mut *write).await?;
    }
    let mut count = 0;
    for tenant in &tenants {
        let mut after = 0;
        loop {
            let found = beginnings(&mut write, tenant, after).await?;
            let Some((last, _)) = found.last() else { break };
            after = *last;
            for (_, id) in &found {
                let document: DocumentId = word(id)?;
                let chain = chain_of(&mut write, tenant, document).await?;
                match replay(blobs, tenant, document, chain).await {
                    Ok(replayed) => put(&mut write, blobs, tenant, &replayed).await?,
                    Err(wrong) => return Ok(Err(format!("document {document}: {wrong}"))),
                }
                count += 1;
            }
        }
    }
    write.commit().await?;
    Ok(Ok(count))
}

/// Writes the rows of one document.
async fn put(
    write: &mut Write,
    blobs: &Blobs,
    tenant: &TenantId,
    replayed: &Replayed,
) -> Result<(), StoreError> {
    documents::insert(write, tenant, &replayed.record).await?;
    let document = replayed.record.document.document_id;
    visibility::refer(write, tenant, document, &digests_of(replayed)).await?;
    if let Some(words) = words_of(blobs, replayed).await {
        search::update_text(write, document, &words).await?;
    }
    for (event, record) in &replayed.steps {
        envelopes::project(write, tenant, record, event).await?;
        examples::project(write, tenant, record, event).await?;
    }
    Ok(())
}

/// The next documents of a tenant in the order of their first events, each with that event's place in the feed.
async fn beginnings(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    after: i64,
) -> Result<Vec<(i64, String)>, StoreError> {
    let rows = sqlx::query(
        "SELECT position, document_id FROM events WHERE tenant_id = $1 AND position > $2 AND sequence = 1
         ORDER BY position LIMIT 500",
    )
    .bind(tenant.as_str())
    .bind(after)
    .fetch_all(reading)
    .await?;
    Ok(rows.iter().map(|row| (row.get("position"), row.get("document_id"))).collect())
}

/// A document of the tenant that has rows, and no first event.
async fn without_beginning(
    reading: &mut AnyConnection,
    tenant: &TenantId,
) -> Result<Option<String>, StoreError> {
    let named = format!(
        "SELECT document_id FROM ({OF_TENANT}) named WHERE NOT EXISTS
           (SELECT 1 FROM events e WHERE e.document_id = named.document_id AND e.sequence = 1) LIMIT 1"
    );
    let row = sqlx::query(AssertSqlSafe(named)).bind(tenant.as_str()).fetch_optional(reading).await?;
    Ok(row.map(|row| row.get("document_id")))
}

/// The ids of all documents of a tenant that any row speaks of.
const OF_TENANT: &str = "SELECT document_id FROM events WHERE tenant_id = $1
     UNION SELECT document_id FROM documents WHERE tenant_id = $1
     UNION SELECT document_id FROM envelopes WHERE tenant_id = $1
     UNION SELECT document_id FROM examples WHERE tenant_id = $1
     UNION SELECT document_id FROM search_places WHERE tenant_id = $1
     UNION SELECT document_id FROM manifest_signatures WHERE tenant_id = $1
     UNION SELECT document_id FROM blob_references WHERE tenant_id = $1";

/// The words of a document that was read. A text that is missing or damaged stands in nobody's way here: `check` names it.
async fn words_of(blobs: &Blobs, replayed: &Replayed) -> Option<search::Words> {
    let read = |event: &Event| match event.body {
        EventBody::OcrComplete { page_text_sha256, .. } => Some(page_text_sha256),
        _ => None,
    };
    let sha256 = replayed.steps.iter().rev().find_map(|(event, _)| read(event))?;
    let bytes = blobs.get(sha256).await.ok()?;
    let read = move || {
        let text: PageText = serde_json::from_slice(&bytes).ok()?;
        Some(search::Words::of(&text.text()))
    };
    tokio::task::spawn_blocking(read).await.ok()?
}

/// A chain read back: the record it leads to, the record after each event, the manifest's bytes, and the device it names.
struct Replayed {
    record: Record,
    steps: Vec<(Event, Record)>,
    manifest: Vec<u8>,
    device: Option<DeviceId>,
}

/// An event as its row has it.
struct Link {
    sequence: i64,
    position: i64,
    hash: String,
    bytes: String,
}

/// A document's rows of the chain, whatever is in them.
async fn chain_of(
    reading: &mut AnyConnection,
    tenant: &TenantId,
    document: DocumentId,
) -> Result<Vec<Link>, StoreError> {
    let rows = sqlx::query(
        "SELECT sequence, position, hash, bytes FROM events WHERE tenant_id = $1 AND document_id = $2
         ORDER BY sequence",
    )
    .bind(tenant.as_str())
    .bind(document.to_string())
    .fetch_all(reading)
    .await?;
    let link = |row: &DbRow| Link {
        sequence: row.get("sequence"),
        position: row.get("position"),
        hash: row.get("hash"),
        bytes: row.get("bytes"),
    };
    Ok(rows.iter().map(link).collect())
}

/// Folds a document's chain anew, checking every link. An error says what is wrong with it.
async fn replay(
    blobs: &Blobs,
    tenant: &TenantId,
    document: DocumentId,
    chain: Vec<Link>,
) -> Result<Replayed, String> {
    let first = chain.first().ok_or("it has no events")?;
    let named = serde_json::from_str::<Event>(&first.bytes).ok().and_then(|event| match event.body {
        EventBody::Received { manifest_sha256, .. } => Some(manifest_sha256),
        _ => None,
    });
    let manifest = match named {
        Some(sha256) => blobs.get(sha256).await.map_err(|error| format!("its manifest: {error}"))?,
        None => Vec::new(),
    };
    let tenant = tenant.clone();
    let folded = tokio::task::spawn_blocking(move || fold(manifest, &tenant, document, &chain)).await;
    folded.unwrap_or_else(|error| Err(error.to_string()))
}

fn fold(
    manifest_bytes: Vec<u8>,
    tenant: &TenantId,
    document: DocumentId,
    chain: &[Link],
) -> Result<Replayed, String> {
    let (mut record, mut device): (Option<Record>, Option<DeviceId>) = (None, None);
    let mut steps = Vec::new();
    for (index, Link { sequence, hash, bytes, .. }) in (1i64..).zip(chain) {
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
                let manifest: DocumentManifest = serde_json::from_slice(&manifest_bytes)
                    .map_err(|error| format!("its manifest: {error}"))?;
                device = manifest.device_id;
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
    let record = record.ok_or("it has no events")?;
    Ok(Replayed { record, steps, manifest: manifest_bytes, device })
}

/// All documents that have events or rows: one that lost either must be seen. And what is no document's id.
async fn document_ids(
    store: &Store,
    tenant: &TenantId,
) -> Result<(Vec<DocumentId>, Vec<String>), StoreError> {
    let rows = sqlx::query(AssertSqlSafe(format!("{OF_TENANT} ORDER BY document_id")))
        .bind(tenant.as_str())
        .fetch_all(store.reading())
        .await?;
    let (mut ids, mut wrong) = (Vec::new(), Vec::new());
    for row in &rows {
        let text: String = row.get("document_id");
        match text.parse() {
            Ok(id) => ids.push(id),
            Err(_) => wrong.push(format!("{text:?} of {tenant} is no id of a document")),
        }
    }
    Ok((ids, wrong))
}

#[cfg(test)]
#[path = "damage_tests.rs"]
mod tests;
