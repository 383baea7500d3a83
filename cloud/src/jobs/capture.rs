//! The step that captures in the cloud: the originals of a document to pages, text and a searchable PDF.
//!
//! For documents that came as a file only, and for those that are to be captured anew. It is the agent's own capture,
//! with workers of the same sandbox (INV-7). What it makes is added: an earlier version's bytes and events stay as they
//! are (INV-6). A capture that is cut off leaves a folder among the incoming files, which the next start removes; it is
//! repeated as a whole, and its event is appended once (INV-5).
//!
//! A file that was sent as one document stays one, whatever sheets are in it. Of a device's batch that was divided the
//! originals are those of all its documents: that is not captured anew here ([`may_capture`]).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use platen_capture::classify::{Origin, classify_as, day_of};
use platen_capture::{Captured, CapturedDocument, Collation, Input, Separation, Workshop};
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{Decision, DocumentManifest, Failure, FailureClass, Part, PartRole, Reason, crash};

use super::{Outcome, StepError, steps};
use crate::app::App;
use crate::blobs::off_the_reactor;
use crate::ingest::limits;
use crate::store::blobs::{self as visibility, Visible};
use crate::store::events::{self, AppendError};
use crate::store::jobs::Job;
use crate::store::record::Record;

/// The label of a manifest that says in which languages to read.
pub const LANGUAGES_LABEL: &str = "languages";
/// The name in place of a rule's where the program that sent a document named its type.
const SENDER_TYPE: &str = "sender/type";
/// What the names of folders of captures under way begin with.
pub const FOLDER_PREFIX: &str = "capture-";

/// `Received` -> `Received`, with pages, text and PDF.
pub(super) async fn run(app: &App, job: &Job) -> Result<Outcome, StepError> {
    let Some(record) = steps::document_at(app, job, Status::Received).await? else {
        return Ok(Outcome::Done);
    };
    if !record.raw {
        return Ok(Outcome::Done);
    }
    let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir_in(app.keep.blobs.incoming());
    let folder = folder.map_err(|error| StepError::Busy(format!("no folder to work in: {error}")))?;
    let bytes = app.keep.get(&job.tenant, record.manifest_sha256).await?;
    let manifest: DocumentManifest = serde_json::from_slice(&bytes).map_err(StepError::later)?;
    may_capture(&manifest)
        .map_err(|reason| steps::set_aside(reason, "capture it anew beside its scanner"))?;
    let inputs = fetch(app, job, &record, folder.path()).await?;
    let workshop = workshop(app, &manifest);
    // Work on a thread goes on when nobody waits for it any more, unless it is told: when the time is over or the node stops.
    let _stop = StopWhenDropped(Arc::clone(&workshop.stop));
    let place = folder.path().to_owned();
    let work = move || platen_capture::capture(&inputs, &place, &workshop, &|_, _| {});
    let captured = tokio::task::spawn_blocking(work).await.map_err(StepError::later)?;
    let Captured { documents, .. } = captured.map_err(as_step_error)?;
    let [document] = <[CapturedDocument; 1]>::try_from(documents).map_err(|found| {
        let reason = format!("its pages are {} documents, not one", found.len());
        steps::set_aside(&reason, "send each document by itself")
    })?;
    let most =
        limits::of(app, &job.tenant).await.map_err(|refusal| StepError::later(&refusal.problem().detail))?;
    let pages = document.text.pages.len();
    if pages > most.document_pages as usize {
        let most = most.document_pages;
        let reason = format!("it has {pages} pages; the limit is {most} (limits.document_pages)");
        return Err(steps::set_aside(&reason, "split the document, or have the limit raised, then retry"));
    }
    crash::point("a document is captured");
    let decision = decision(app, &manifest, &document);
    keep(app, job, &record, document, decision).await
}

/// Tells a capture to stop when whoever waited for it goes away.
struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes the originals into the folder, each verified against its digest.
async fn fetch(app: &App, job: &Job, record: &Record, folder: &Path) -> Result<Vec<Input>, StepError> {
    let mut inputs = Vec::new();
    for part in record.parts.iter().filter(|part| part.role == PartRole::Original) {
        let (mut file, _) = app.keep.open(&job.tenant, part.sha256).await?;
        let path: PathBuf = folder.join(format!("original-{}", inputs.len() + 1));
        let to = path.clone();
        off_the_reactor(move || Ok(std::io::copy(&mut file, &mut std::fs::File::create_new(to)?)?)).await?;
        let file_name = part.file_name.clone().unwrap_or_else(|| "document".into());
        inputs.push(Input { path, file_name, source: record.document.source.clone(), sha256: part.sha256 });
    }
    Ok(inputs)
}

/// Whether a document can be captured here; else why not.
pub fn may_capture(manifest: &DocumentManifest) -> Result<(), &'static str> {
    match &manifest.batch {
        Some(batch) if batch.documents > 1 => Err("its originals are those of a batch of several documents"),
        _ => Ok(()),
    }
}

/// What to capture with: the configuration's choices, in the languages that the sender named.
fn workshop(app: &App, manifest: &DocumentManifest) -> Workshop {
    let mut options = app.config.capture.clone();
    let of_batch = manifest.batch.as_ref().map(|batch| &batch.languages);
    if let Some(languages) = manifest.labels.get(LANGUAGES_LABEL).or(of_batch) {
        options.languages.clone_from(languages);
    }
    let collation = match manifest.batch.as_ref().and_then(|batch| batch.backs_reversed) {
        Some(backs_reversed) => Collation::Leaves { backs_reversed },
        None => Collation::AsGiven,
    };
    // A place in a batch of one: there were sheets in front of it, which are no pages.
    let separation = if manifest.batch.is_some() { Separation::default() } else { Separation::off() };
    let (pool, rules) = (Arc::clone(&app.pool), Arc::clone(&app.rules));
    let day = day_of(manifest.claimed_at);
    let stop = Arc::default();
    Workshop { pool, rules, options, collation, separation, document_type: None, day, stop }
}

/// What the document is taken to be: by the rules, or what the program that sent it said.
fn decision(app: &App, manifest: &DocumentManifest, document: &CapturedDocument) -> Decision {
    let wanted = &manifest.decision.document_type;
    if manifest.device_id.is_some() || wanted.is_unknown() {
        return document.decision.clone();
    }
    let origin = Origin { day: day_of(manifest.claimed_at), ..Origin::default() };
    let mut decision = classify_as(&document.text, wanted, &origin, &app.rules);
    let reason = Reason {
        rule: SENDER_TYPE.into(),
        document_type: wanted.clone(),
        weight: 1.0,
        seen: manifest.source.clone(),
        page: 0,
        rect: None,
    };
    decision.reasons.insert(0, reason);
    decision
}

/// Keeps what was made, and says so in an event.
async fn keep(
    app: &App,
    job: &Job,
    record: &Record,
    document: CapturedDocument,
    decision: Decision,
) -> Result<Outcome, StepError> {
    let tenant = &job.tenant;
    let (pdf, sha256, bytes) = (document.pdf, document.pdf_sha256, document.pdf_bytes);
    app.keep.adopt(tenant, &pdf, &Visible { sha256, bytes, mime: "application/pdf".into() }).await?;
    let text = serde_json::to_vec(&document.text).map_err(StepError::later)?;
    let text_bytes = text.len() as u64;
    let text_sha256 = app.keep.put(tenant, text, "application/json").await?;
    let part = |role, sha256, bytes, mime: &str, copy_of_signed| Part {
        role,
        sha256,
        bytes,
        mime: mime.into(),
        file_name: None,
        copy_of_signed,
    };
    let parts = vec![
        part(PartRole::Normalized, sha256, bytes, "application/pdf", document.copy_of_signed),
        part(PartRole::PageText, text_sha256, text_bytes, "application/json", false),
    ];
    let id = record.document.document_id;
    let mut write = app.store.begin().await?;
    write.hold(id).await?;
    // From here to the commit none of them can become garbage.
    write.hold(visibility::lock_of(tenant)).await?;
    for part in &parts {
        if visibility::visible(&mut *write, tenant, part.sha256).await?.is_none() {
            return Err(StepError::later(AppendError::NoBlob(part.sha256)));
        }
    }
    let body = EventBody::Captured { parts, decision };
    match events::append(&mut write, tenant, id, Actor::System, body).await {
        Ok(_) => write.commit().await?,
        Err(AppendError::Refused(refused)) => tracing::info!(document = %id, %refused, "overtaken"),
        Err(error) => return Err(error.into()),
    }
    Ok(Outcome::Done)
}

/// A failure of the file's own is for a person at once; the moment's, and our own, are tried again.
fn as_step_error(failure: Failure) -> StepError {
    use FailureClass as F;
    if failure.passing {
        return StepError::Busy(failure.to_string());
    }
    match failure.class {
        F::Internal | F::NoLanguage | F::TimedOut | F::OutOfMemory => StepError::later(failure),
        class => StepError::SetAside { reason: failure.to_string(), help: class.what_helps().into() },
    }
}
