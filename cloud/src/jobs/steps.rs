//! The steps that carry a document from its receipt to its route.
//!
//! Each looks where the document is first and does nothing where it is further already; the event and the job
//! of the next step are one transaction. What comes after the route is the signing module's.

use jiff::Timestamp;
use platen_capture::classify::layout::Fingerprint;
use platen_model::event::{Actor, EventBody, Status};
use platen_model::{DocumentManifest, PageText, PartRole, Verdict};

use super::{Outcome, StepError, capture, kinds};
use crate::app::App;
use crate::policy::Route;
use crate::signing::placement;
use crate::store::jobs::Job;
use crate::store::record::Record;
use crate::store::{self, documents, events, search};
use crate::{forms, signing, webhooks};

/// Runs the step of a job's kind.
pub async fn run(app: &App, job: &Job) -> Result<Outcome, StepError> {
    match job.kind.as_str() {
        kinds::CAPTURE => capture::run(app, job).await,
        kinds::READ_TEXT => read_text(app, job).await,
        kinds::CLASSIFY => classify(app, job).await,
        kinds::DECIDE => decide(app, job).await,
        kinds::ROUTE => route(app, job).await,
        kinds::GO_ON => go_on(app, job).await,
        kinds::DELIVER => webhooks::deliver(app, job).await,
        _ => signing::run(app, job).await,
    }
}

/// The document of a job, if it is still where the job's step begins.
pub async fn document_at(app: &App, job: &Job, status: Status) -> Result<Option<Record>, StepError> {
    let Some(document) = job.document else { return Ok(None) };
    let record = documents::find(app.store.reading(), &job.tenant, document).await?;
    Ok(record.filter(|record| record.document.status == status))
}

/// Proposes an event for a job's document. One that the state machine refuses was overtaken: the step is done.
pub async fn propose(app: &App, job: &Job, actor: Actor, body: EventBody) -> Result<Outcome, StepError> {
    let Some(document) = job.document else { return Ok(Outcome::Done) };
    let mut write = app.store.begin().await?;
    match events::append(&mut write, &job.tenant, document, actor, body).await {
        Ok(_) => write.commit().await?,
        Err(events::AppendError::Refused(refused)) => tracing::info!(%document, %refused, "overtaken"),
        Err(error) => return Err(error.into()),
    }
    Ok(Outcome::Done)
}

/// `Received` -> `OcrComplete`: the page text is there and readable.
async fn read_text(app: &App, job: &Job) -> Result<Outcome, StepError> {
    let Some(record) = document_at(app, job, Status::Received).await? else { return Ok(Outcome::Done) };
    if record.raw {
        return Ok(Outcome::Done);
    }
    let Some(part) = record.part(PartRole::PageText) else {
        return Err(set_aside("the manifest names no page text", "send the document again from its agent"));
    };
    let bytes = app.keep.get(&job.tenant, part.sha256).await?;
    // A text may be as long as a book: its words are not split where requests are answered.
    let read = tokio::task::spawn_blocking(move || {
        let text: PageText = serde_json::from_slice(&bytes)?;
        let pages = u32::try_from(text.pages.len()).unwrap_or(u32::MAX);
        Ok((text.mean_confidence(), pages, search::Words::of(&text.text())))
    });
    let read = read.await.map_err(StepError::later)?.map_err(|error: serde_json::Error| {
        set_aside(&format!("the page text cannot be read: {error}"), "send the document again from its agent")
    });
    let (ocr_confidence, page_count, words) = read?;
    let body = EventBody::OcrComplete { page_text_sha256: part.sha256, ocr_confidence, page_count };
    let mut write = app.store.begin().await?;
    match events::append(&mut write, &job.tenant, record.document.document_id, Actor::System, body).await {
        Ok(_) => {
            search::update_text(&mut write, record.document.document_id, &words).await?;
            write.commit().await?;
        }
        Err(events::AppendError::Refused(refused)) => tracing::info!(%refused, "overtaken"),
        Err(error) => return Err(error.into()),
    }
    Ok(Outcome::Done)
}

/// `OcrComplete` -> `Classified`: what the capture here took it to be, or the agent's decision, which its manifest
/// signed; with it what was taught of its printed form.
async fn classify(app: &App, job: &Job) -> Result<Outcome, StepError> {
    let Some(record) = document_at(app, job, Status::OcrComplete).await? else { return Ok(Outcome::Done) };
    let (actor, decision) = match &record.proposed {
        Some(decision) => (Actor::System, decision.clone()),
        None => {
            let bytes = app.keep.get(&job.tenant, record.manifest_sha256).await?;
            let manifest: DocumentManifest = serde_json::from_slice(&bytes).map_err(StepError::later)?;
            let device = manifest.device_id.map(|device| Actor::Device(device.to_string()));
            (device.unwrap_or(Actor::System), manifest.decision)
        }
    };
    let recognised = recognised(app, job, &record).await?;
    let document = record.document.document_id;
    let mut write = app.store.begin().await?;
    match events::append(&mut write, &job.tenant, document, actor, EventBody::Classified { decision }).await {
        Ok(_) => {}
        Err(events::AppendError::Refused(refused)) => {
            tracing::info!(%document, %refused, "overtaken");
            return Ok(Outcome::Done);
        }
        Err(error) => return Err(error.into()),
    }
    if let Some(body) = recognised {
        events::append(&mut write, &job.tenant, document, Actor::System, body).await?;
    }
    write.commit().await?;
    Ok(Outcome::Done)
}

/// What was taught of the printed form that a document is a copy of.
async fn recognised(app: &App, job: &Job, record: &Record) -> Result<Option<EventBody>, StepError> {
    if !store::forms::any(&app.store, &job.tenant).await? {
        return Ok(None);
    }
    let Some(text) = app.keep.page_text(&job.tenant, record).await? else { return Ok(None) };
    let own = Fingerprint::of(&text);
    let forms = store::forms::like(&app.store, &job.tenant, &own).await?;
    if forms.is_empty() {
        return Ok(None);
    }
    tokio::task::spawn_blocking(move || forms::recognise(&forms, &text)).await.map_err(StepError::later)
}

/// `Classified` -> `Validated`, or a person is asked.
async fn decide(app: &App, job: &Job) -> Result<Outcome, StepError> {
    let Some(record) = document_at(app, job, Status::Classified).await? else { return Ok(Outcome::Done) };
    let verdict = record.decision.as_ref().map(|decision| decision.verdict);
    if verdict == Some(Verdict::Quarantine) && record.document.document_type.is_unknown() {
        let reason = "too little of it fits any kind of document that the rules know";
        return Err(set_aside(reason, "correct its type, then retry; or reject it"));
    }
    let text = app.keep.page_text(&job.tenant, &record).await?;
    let policy = app.policy(&job.tenant);
    let judgement = policy.judge(&record, text.as_ref());
    let reference = Some(policy.reference().clone());
    let body = if judgement.is_clear() {
        EventBody::Validated { policy: reference }
    } else {
        let reasons = judgement.reasons();
        EventBody::ReviewRequested { reasons, violations: judgement.violations, policy: reference }
    };
    propose(app, job, Actor::System, body).await
}

/// `Validated` -> `Routed`: where the policy says.
async fn route(app: &App, job: &Job) -> Result<Outcome, StepError> {
    let Some(record) = document_at(app, job, Status::Validated).await? else { return Ok(Outcome::Done) };
    let help = "correct the routing policy or the document's fields, then retry";
    let policy = app.policy(&job.tenant);
    let text = app.keep.page_text(&job.tenant, &record).await?;
    // Once more: it may have been corrected since, sent on its way again, or be under another policy by now (INV-9).
    let violations = record.not_overridden(policy.violations(&record.document, text.as_ref()));
    let reference = Some(policy.reference().clone());
    if !violations.is_empty() {
        let reasons = violations.iter().map(|violation| violation.message.clone()).collect();
        let body = EventBody::ReviewRequested { reasons, violations, policy: reference };
        return propose(app, job, Actor::System, body).await;
    }
    let chosen = policy.route(&record.document).map_err(|error| set_aside(&error.to_string(), help))?;
    let route = chosen.route;
    if let Some(reason) = unapproved(&record, route) {
        let (reasons, violations) = (vec![reason], Vec::new());
        let body = EventBody::ReviewRequested { reasons, violations, policy: reference };
        return propose(app, job, Actor::System, body).await;
    }
    let recipients = policy.instead(&chosen, &record.document, &record.ends.declined_by);
    let recipients = recipients.map_err(|error| set_aside(&error, help))?;
    let blanks = match &route.provider {
        Some(_) => {
            placement::place(&route.places, &recipients, &text.unwrap_or_else(|| PageText::new(Vec::new())))
        }
        None => Vec::new(),
    };
    let expires_at = route.expires_after.and_then(|after| Timestamp::now().checked_add(after).ok());
    let body = EventBody::Routed {
        route: route.name.clone(),
        policy: policy.reference().clone(),
        provider: route.provider.clone(),
        recipients,
        blanks,
        expires_at,
        remind_every_s: route.remind_every_s,
        tags: route.tags.clone(),
        retention_class: route.retention_class.clone(),
    };
    propose(app, job, Actor::System, body).await
}

/// `Declined` or `Expired` -> `Validated`, where the route has a fallback for it.
async fn go_on(app: &App, job: &Job) -> Result<Outcome, StepError> {
    let Some(document) = job.document else { return Ok(Outcome::Done) };
    let Some(record) = documents::find(app.store.reading(), &job.tenant, document).await? else {
        return Ok(Outcome::Done);
    };
    if !app.policy(&job.tenant).goes_on(&record) {
        return Ok(Outcome::Done);
    }
    propose(app, job, Actor::System, EventBody::Retried).await
}

/// Why a document may not be sent yet: too few people have approved it.
pub fn unapproved(record: &Record, route: &Route) -> Option<String> {
    let there = u32::try_from(record.approved_by.len()).unwrap_or(u32::MAX);
    (there < route.approvals).then(|| match there {
        0 => format!("The route \"{}\" sends nothing before a person has approved it.", route.name),
        _ => format!(
            "The route \"{}\" asks for {} people's approval; one more has to approve than {}.",
            route.name,
            route.approvals,
            record.approved_by.join(", ")
        ),
    })
}

pub(super) fn set_aside(reason: &str, help: &str) -> StepError {
    StepError::SetAside { reason: reason.into(), help: help.into() }
}
