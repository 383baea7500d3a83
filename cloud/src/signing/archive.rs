//! The last step: the evidence package, built from what is kept, kept itself, and named by an event.
//!
//! The package of a document is the same bytes each time it is built, so a step repeated after a crash finds
//! the blob already there and appends the one event that was missing.

use std::fs::File;
use std::path::PathBuf;

use platen_model::event::{Actor, EventBody, Status};
use platen_model::{Digest, DocumentId, PartRole, TenantId, durable};
use uuid::Uuid;

use super::provider::{ProviderError, Reference};
use crate::app::App;
use crate::evidence::{Content, KeyedReceipt, Packer, entry, signature};
use crate::ingest::commit::receipt;
use crate::jobs::StepError;
use crate::store::blobs::Visible;
use crate::store::events::AppendError;
use crate::store::record::Record;
use crate::store::{documents, envelopes, events};

/// Builds and keeps a document's evidence, and appends `archived`.
pub(super) async fn archive(app: &App, tenant: &TenantId, document: DocumentId) -> Result<(), StepError> {
    let Some(record) = documents::find(app.store.reading(), tenant, document).await? else { return Ok(()) };
    let is_ready = match record.document.status {
        Status::Signed => true,
        Status::Routed => record.provider.is_none(),
        _ => false,
    };
    // Asked for again by their arrival.
    if !is_ready || !record.awaiting.is_empty() {
        return Ok(());
    }
    let contents = contents(app, tenant, &record).await?;
    // The name is new each time: two workers may build the same package, and both are right.
    let waiting = Waiting(app.keep.blobs.incoming().join(format!("evidence-{}", Uuid::now_v7())));
    let owner = tenant.clone();
    let packed = tokio::task::spawn_blocking(move || pack(waiting, owner, document, contents));
    let (waiting, package) = packed.await.map_err(StepError::later)??;
    app.keep.adopt(tenant, &waiting.0, &package).await?;

    let mut write = app.store.begin().await?;
    let body = EventBody::Archived { evidence_sha256: package.sha256 };
    match events::append(&mut write, tenant, document, Actor::System, body).await {
        Ok(_) => Ok(write.commit().await?),
        // Another worker was first.
        Err(AppendError::Refused(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A package that is being built, removed with this unless it became a blob.
struct Waiting(PathBuf);

impl Drop for Waiting {
    fn drop(&mut self) {
        // One that became a blob is not here any more. What is left over after a crash goes at the next start.
        let _ = durable::remove_file(&self.0);
    }
}

/// Builds a package. Its file is in the hands of whoever is at work on it: nobody removes it before it is made.
fn pack(
    waiting: Waiting,
    owner: TenantId,
    document: DocumentId,
    contents: Vec<(String, Content)>,
) -> Result<(Waiting, Visible), StepError> {
    // All that can fail here is the disk.
    fn failed(error: impl std::fmt::Display) -> StepError {
        StepError::Busy(error.to_string())
    }
    let target = File::options().create_new(true).read(true).write(true).open(&waiting.0);
    let mut packer = Packer::new(target.map_err(failed)?, owner, document);
    for (name, content) in contents {
        packer.add(name, content).map_err(failed)?;
    }
    let mut file = packer.finish().map_err(failed)?;
    std::io::Seek::rewind(&mut file).map_err(failed)?;
    let (sha256, bytes) = Digest::of_reader(&mut file).map_err(failed)?;
    Ok((waiting, Visible { sha256, bytes, mime: "application/zip".into() }))
}

/// Everything that goes into the package, in its order.
async fn contents(
    app: &App,
    tenant: &TenantId,
    record: &Record,
) -> Result<Vec<(String, Content)>, StepError> {
    let mut contents = Vec::new();
    let mut originals = 0;
    for part in &record.parts {
        let name = match part.role {
            PartRole::Original => {
                originals += 1;
                entry::original(originals, part.file_name.as_deref().unwrap_or("document"))
            }
            PartRole::Normalized => entry::NORMALIZED.to_owned(),
            PartRole::PageText => entry::PAGE_TEXT.to_owned(),
        };
        contents.push((name, Content::File(app.keep.open(tenant, part.sha256).await?.0)));
    }
    if let Some(signed) = record.signed_sha256 {
        let (file, _) = app.keep.open(tenant, signed).await?;
        contents.push((entry::SIGNED.to_owned(), Content::File(file)));
    }
    let manifest = app.keep.get(tenant, record.manifest_sha256).await?;
    contents.push((entry::MANIFEST.to_owned(), Content::Bytes(manifest)));
    let id = record.document.document_id;
    if let Some(signature) = signature::find(app.store.reading(), tenant, id).await? {
        contents.push((entry::MANIFEST_SIGNATURE.to_owned(), Content::Bytes(pretty(&signature)?)));
    }
    let receipt = KeyedReceipt { receipt_key: app.receipt_key.key.public(), signed: receipt(app, record) };
    contents.push((entry::RECEIPT.to_owned(), Content::Bytes(pretty(&receipt)?)));
    let mut chain = Vec::new();
    for event in events::of_document(&app.store, tenant, id).await? {
        chain.extend_from_slice(event.bytes.as_bytes());
        chain.push(b'\n');
    }
    contents.push((entry::EVENTS.to_owned(), Content::Bytes(chain)));
    contents.extend(provider_records(app, tenant, record).await?);
    let keys = app.signing.keys.of(tenant).map_err(StepError::later)?;
    let certificates = keys.seal_certificates().into_bytes();
    contents.push((entry::CERTIFICATE.to_owned(), Content::Bytes(certificates)));
    Ok(contents)
}

/// What the provider says of the envelope, and its certificate.
async fn provider_records(
    app: &App,
    tenant: &TenantId,
    record: &Record,
) -> Result<Vec<(String, Content)>, StepError> {
    let Some(id) = record.document.envelope_id else { return Ok(Vec::new()) };
    let Some((envelope, _)) = envelopes::find(&app.store, tenant, id).await? else { return Ok(Vec::new()) };
    let account = app.signing.courier.account(tenant, &envelope.provider);
    let (Some(account), Some(reference)) = (account, envelope.provider_reference) else {
        return Ok(Vec::new());
    };
    let (provider, reference) = (&account.provider, Reference(reference));
    let deadline = provider.capabilities().call_deadline;
    let recorded = account.gate.call(deadline, provider.record(tenant, &reference));
    let recorded = recorded.await.map_err(unheard)?;
    let mut records = vec![(entry::provider(&envelope.provider), Content::Bytes(pretty(&recorded)?))];
    let certificate = account.gate.call(deadline, provider.certificate(tenant, &reference));
    if let Some(pdf) = certificate.await.map_err(unheard)? {
        records.push((entry::provider_certificate(&envelope.provider), Content::Bytes(pdf)));
    }
    Ok(records)
}

/// What it means that a provider gave no answer: it is waited for, as long as others' services are, unless it said no.
fn unheard(error: ProviderError) -> StepError {
    match error {
        ProviderError::Refused(_) => StepError::later(error),
        ProviderError::NotTaken(_)
        | ProviderError::Down(_)
        | ProviderError::Later { .. }
        | ProviderError::Unknown(_) => StepError::Away(error.to_string()),
    }
}

fn pretty(value: &impl serde::Serialize) -> Result<Vec<u8>, StepError> {
    serde_json::to_vec_pretty(value).map_err(StepError::later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_that_does_not_become_a_blob_leaves_no_file_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("evidence-1");
        let build =
            |contents| pack(Waiting(path.clone()), crate::testing::tenant(), DocumentId::new(), contents);
        // A folder opens as a file does, and cannot be read as one.
        let unreadable = File::open(folder.path()).expect("a folder");
        let failed = build(vec![("a.pdf".to_owned(), Content::File(unreadable))]);
        assert!(matches!(failed, Err(StepError::Busy(_))));
        assert!(!path.exists(), "what is half");
        let (waiting, _) = build(Vec::new()).map_err(|error| error.to_string()).expect("packed");
        assert!(path.exists(), "while it is in somebody's hands");
        drop(waiting);
        assert!(!path.exists(), "what nobody wants");
    }
}
