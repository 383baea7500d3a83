//! Released captures through the workers into the spool's documents, or into quarantine.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use platen_capture::classify::day_of;
use platen_capture::{Captured, CapturedDocument, Collation, Separation, Workshop, capture};
use platen_model::crash;
use platen_model::document::Reason as Evidence;
use platen_model::{CaptureId, DocumentId, DocumentType, Failure, FailureClass, Stage, Verdict};
use tokio::sync::{Semaphore, mpsc};

use super::Floor;
use crate::claim::Released;
use crate::outbox::Arrival;
use crate::spool::capture::{Attempts, fresh_work_folder};
use crate::spool::{CaptureRecord, Reason};
use crate::watch::tray::Stack;

/// The wait when the machine, not the document, is at fault: a full disk, no file handles.
const MACHINE_WAIT: Duration = Duration::from_secs(30);

/// After so many workers that were killed from outside a capture is not tried again by itself.
const KILLED_MAX: u32 = 3;

/// What became of a capture.
enum End {
    /// Its documents are in the spool, or it is in quarantine.
    Final,
    /// It is tried again after this time.
    Again(Duration),
}

/// Works off captures until the agent stops, as many at once as there are workers: a short one does not wait
/// for a book, since pages take turns in the pool.
pub(super) async fn work_off(
    floor: Arc<Floor>,
    mut captures: mpsc::UnboundedReceiver<Released>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(floor.config.workers.number()));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        let released = tokio::select! {
            () = floor.stop.cancelled() => return Ok(()),
            released = captures.recv() => match released {
                Some(released) => released,
                None => return Ok(()),
            },
        };
        let floor = Arc::clone(&floor);
        tokio::spawn(async move {
            let worker = Arc::clone(&floor);
            let copy = released.clone();
            let end = tokio::task::spawn_blocking(move || carry(&worker, &released)).await;
            drop(place);
            let wait = match end {
                Ok(End::Final) => {
                    floor.in_capture.fetch_sub(1, Ordering::AcqRel);
                    return;
                }
                Ok(End::Again(wait)) => wait,
                // A defect of ours; the capture is safe, and trying it for ever in a tight loop helps nobody.
                Err(_) => MACHINE_WAIT,
            };
            tokio::time::sleep(wait).await;
            floor.hand_back(copy);
        });
    }
}

/// Carries one capture to its end.
fn carry(floor: &Floor, released: &Released) -> End {
    let id = released.record.capture_id;
    let first = released.record.files.first().map(|file| file.display_name()).unwrap_or_default();
    floor.board.work_begun(id, first);
    let outcome = carry_on(floor, released);
    floor.board.work_ended(id);
    outcome.unwrap_or_else(|error| {
        tracing::error!(capture = %id, %error, "the spool cannot be used; the capture is tried again");
        floor.board.capture_waits(id, error.to_string());
        End::Again(MACHINE_WAIT)
    })
}

fn carry_on(floor: &Floor, released: &Released) -> io::Result<End> {
    // An attempt that was stopped while its documents were moved is finished, never repeated.
    if let Some(ids) = floor.spool.finish_storing(released.record.capture_id)? {
        return hand_over(floor, &ids);
    }
    match try_capture(floor, released)? {
        Ok(mut captured) => {
            heed_source(&released.record, &mut captured);
            if let Some(whole) = released.record.rejoins {
                captured.documents.iter_mut().for_each(|document| ask_to_compare(document, whole));
            }
            store(floor, released, &captured)
        }
        Err(failure) => give_back(floor, released, failure),
    }
}

fn try_capture(floor: &Floor, released: &Released) -> io::Result<Result<Captured, Failure>> {
    let id = released.record.capture_id;
    let work = fresh_work_folder(&floor.spool, &released.folder)?;
    let progress = |done, pages| floor.board.pages_done(id, done, pages);
    let inputs = released.record.inputs(&floor.spool, &released.folder, &work)?;
    let workshop = workshop_for(floor, &released.record);
    // A panic is a defect of ours, and counted like other failures: uncounted it would be met again for ever.
    let outcome = catch_unwind(AssertUnwindSafe(|| capture(&inputs, &work, &workshop, &progress)));
    Ok(outcome.unwrap_or_else(|_| {
        Err(Failure::new(FailureClass::Internal, Stage::Page, "the agent panicked; its log says where"))
    }))
}

/// The workshop with what the source sets for this capture.
fn workshop_for(floor: &Floor, record: &CaptureRecord) -> Workshop {
    let mut workshop = floor.workshop.clone();
    if let Some(languages) = &record.languages {
        workshop.options.languages.clone_from(languages);
    }
    if let Some(Stack::Both { backs_reversed }) = record.stack {
        workshop.collation = Collation::Leaves { backs_reversed };
    }
    workshop.options.keep_blank_pages |= record.keep_blank;
    workshop.document_type.clone_from(&record.document_type);
    workshop.day = day_of(record.claimed_at);
    workshop.options.passwords_file = floor.config.passwords_file_of(&record.source).cloned();
    workshop.separation = match record.rejoins {
        Some(_) => Separation::off(),
        None => floor.config.separation_of(&record.source).clone(),
    };
    workshop
}

/// Takes from the source what it knows of its documents, and sends to a person what it cannot put together.
fn heed_source(record: &CaptureRecord, captured: &mut Captured) {
    let counts: Vec<u32> = captured.inspections.iter().map(|inspection| inspection.pages).collect();
    let asks = match record.stack {
        Some(Stack::Half) => Some("one side of a stack of paper, whose other side did not come".to_owned()),
        Some(Stack::Both { backs_reversed }) if !(Collation::Leaves { backs_reversed }).fits(&counts) => {
            let (fronts, backs) = (counts.first().unwrap_or(&0), counts.get(1).unwrap_or(&0));
            Some(format!(
                "{fronts} fronts and {backs} backs, which do not fit; they follow each other as scanned"
            ))
        }
        _ => None,
    };
    for document in &mut captured.documents {
        let decision = &mut document.decision;
        // Whoever laid a sheet before a document knows better than the folder what it is.
        let has_sheet = decision.reasons.iter().any(|reason| reason.rule == Evidence::SHEET_TYPE);
        let set = record.document_type.as_ref().filter(|_| !has_sheet);
        let mut say = |rule: &str, document_type: &DocumentType, seen: String| {
            let (rule, document_type) = (rule.to_owned(), document_type.clone());
            decision
                .reasons
                .insert(0, Evidence { rule, document_type, weight: 0.0, seen, page: 0, rect: None });
        };
        if let Some(set) = set {
            say("source/document_type", set, format!("set for source {}", record.source));
        }
        if let Some(asks) = &asks {
            say("source/duplex", &DocumentType::unknown(), asks.clone());
        }
        if asks.is_some() {
            decision.verdict = Verdict::Review;
        }
    }
}

/// A document that was put together again goes to a person, who knows what becomes of its parts.
fn ask_to_compare(document: &mut CapturedDocument, whole: CaptureId) {
    let what = format!("It takes the place of the documents of capture {whole}: reject them, or this one.");
    document.decision.doubt_separation(what);
}

fn store(floor: &Floor, released: &Released, captured: &Captured) -> io::Result<End> {
    let record = &released.record;
    let ids = floor.spool.store_documents(
        record,
        &captured.inspections,
        &captured.documents,
        floor.device,
        Timestamp::now(),
    )?;
    for (id, document) in ids.iter().zip(&captured.documents) {
        tracing::info!(
            document = %id, capture = %record.capture_id, pages = document.text.pages.len(),
            kind = %document.decision.document_type, "captured"
        );
    }
    hand_over(floor, &ids)
}

fn hand_over(floor: &Floor, ids: &[DocumentId]) -> io::Result<End> {
    // Lost here, the deliveries put the documents in before their next round: the spool has them.
    for id in ids {
        if let Ok(Some(aside)) = floor.spool.blank_aside(*id) {
            floor.board.blank_set_aside(aside);
        }
    }
    let arrival = |id: &DocumentId| match floor.spool.open_document(*id) {
        Ok(document) => Arrival::of(&document, &floor.priorities),
        Err(_) => Arrival::plain(*id),
    };
    let arrivals: Vec<Arrival> = ids.iter().map(arrival).collect();
    if let Err(error) = floor.outbox.enqueue(&arrivals, Timestamp::now()) {
        tracing::error!(%error, "the outbox cannot be written; it is made good from the spool");
        floor.outbox_is_behind.store(true, Ordering::Release);
    }
    crash::point("the outbox has the documents");
    floor.to_deliver.notify_one();
    Ok(End::Final)
}

fn give_back(floor: &Floor, released: &Released, failure: Failure) -> io::Result<End> {
    let id = released.record.capture_id;
    let attempts = Attempts {
        failed: Attempts::read(&floor.spool, &released.folder).failed + 1,
        last: Some(failure.class),
    };
    // A capture whose workers are killed each time is what kills them.
    let kills = failure.class == FailureClass::OutOfMemory && attempts.failed >= KILLED_MAX;
    if failure.passing && !kills {
        // Not counted to an end: it is the machine's, and its bytes are safe where they are.
        tracing::warn!(capture = %id, %failure, attempt = attempts.failed, "will be tried again");
        floor.board.capture_waits(id, failure.message);
        // On a full disk this fails too; then the number is not kept.
        attempts.write(&floor.spool, &released.folder)?;
        return Ok(End::Again(MACHINE_WAIT));
    }
    tracing::warn!(capture = %id, %failure, "goes into quarantine; its bytes are kept");
    floor.spool.put_in_quarantine(id, &Reason::new(failure, attempts.failed))?;
    Ok(End::Final)
}
