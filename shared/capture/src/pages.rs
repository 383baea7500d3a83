//! The pages of a capture, finished: of each the best that can be had.
//!
//! One bad page must not cost its document. A page on which a limit is passed or a worker dies is tried again with
//! less to do: not read, then merely decoded. What it lacks in the end is noted in its record, and its document goes
//! to a person. A page that cannot be decoded leaves a page in its place that says so in letters, for a document must
//! never look complete when it is not. Only where no page at all can be decoded, or more fail than
//! `capture.limits.failed_pages`, does the capture fail.
//!
//! A page that is kept as it came may fail once more, when it is bound: then it is shown as a picture ([`pictured`]), with the
//! words that were found on it.
//!
//! The danger is in telling a page's fault from the machine's. A failure that names no page (a language that is not
//! installed, a full disk, a worker that cannot be started) is never a page's: it ends the capture, which may be
//! repeated once the cause is gone.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use platen_model::{Failure, FailureClass, Incoming, Lack, PageRecord, Stage};

use crate::inspection::PageImage;
use crate::options::Effort;
use crate::passwords::Passwords;
use crate::stages::{Input, Opened, Workshop, io_failure, open};
use crate::worker::pool::{Lease, misfit};
use crate::worker::protocol::{Answer, Reply, Request};

/// A page with its image kept in a file.
pub(crate) struct Finished {
    pub(crate) record: PageRecord,
    pub(crate) image: PageImage,
    pub(crate) file: PathBuf,
}

/// A page to finish.
pub(crate) struct Task<'c> {
    pub(crate) input: &'c Input,
    /// What opens it where it is locked.
    pub(crate) passwords: &'c Passwords,
    /// Its position in the input.
    pub(crate) page: u32,
    /// Where its image goes.
    pub(crate) file: PathBuf,
}

/// What became of a page: finished, or why it could not be decoded.
type End = Result<Finished, Failure>;

/// Finishes all pages, as many at once as the pool has workers, and answers them in order.
///
/// # Errors
///
/// Where no page can be decoded, too many fail, or the fault is not a page's.
pub(crate) fn finish_pages(
    sources: &[Opened<'_>],
    folder: &Path,
    workshop: &Workshop,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Finished>, Failure> {
    let tasks: Vec<Task<'_>> = sources
        .iter()
        .flat_map(|source| (0..source.inspection.pages).map(move |page| (source, page)))
        .enumerate()
        .map(|(index, (source, page))| Task {
            input: source.input,
            passwords: &source.passwords,
            page,
            file: folder.join(format!("page-{index:05}.bin")),
        })
        .collect();
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let poor = AtomicU32::new(0);
    let ends: Mutex<Vec<Option<End>>> = Mutex::new(tasks.iter().map(|_| None).collect());
    let failed: Mutex<Option<Failure>> = Mutex::new(None);

    std::thread::scope(|scope| {
        for _ in 0..workshop.pool.size().min(tasks.len()) {
            scope.spawn(|| {
                while failed.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(task) = tasks.get(index) else { return };
                    let end = workshop.goes_on(Stage::Page).and_then(|()| finish_page(task, workshop, &poor));
                    match end {
                        Ok(end) => {
                            ends.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(end);
                            progress(done.fetch_add(1, Ordering::Relaxed) + 1, tasks.len());
                        }
                        Err(failure) => {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
                        }
                    }
                }
            });
        }
    });

    if let Some(failure) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(failure);
    }
    let ends: Vec<End> =
        ends.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().flatten().collect();
    if ends.iter().all(Result::is_err)
        && let Some(Err(first)) = ends.first()
    {
        return Err(first.clone());
    }
    ends.into_iter()
        .zip(&tasks)
        .map(|(end, task)| end.or_else(|failure| stand_in(task, &failure, &mut workshop.pool.lease())))
        .collect()
}

/// Finishes one page as well as it can be. `poor` counts the pages of the capture that lack something by now.
fn finish_page(task: &Task<'_>, workshop: &Workshop, poor: &AtomicU32) -> Result<End, Failure> {
    let begun = Instant::now();
    let mut worker = workshop.pool.lease();
    let deadline = workshop.options.limits.deadline();
    let failure = match attempt(task, Effort::Whole, deadline, &mut worker, workshop) {
        Ok(finished) => return Ok(Ok(finished)),
        Err(failure) if failure.page.is_none() => return Err(failure),
        Err(failure) => failure,
    };
    let end = salvage(task, failure.clone(), begun, &mut worker, workshop)?;
    let lacks = end.as_ref().map_or(true, |finished| finished.record.lacks.is_some());
    let most = workshop.options.limits.failed_pages;
    if lacks && poor.fetch_add(1, Ordering::Relaxed) >= most {
        let message = format!(
            "more pages than the limit of {most} failed (capture.limits.failed_pages): {}",
            failure.message
        );
        return Err(Failure { message, ..failure });
    }
    Ok(end)
}

/// Tries a page that failed again with less and less to do, in fresh workers, and within one more deadline.
fn salvage(
    task: &Task<'_>,
    first: Failure,
    begun: Instant,
    worker: &mut Lease<'_>,
    workshop: &Workshop,
) -> Result<End, Failure> {
    let efforts: &[Effort] = match first.class {
        FailureClass::TimedOut => &[Effort::Unread, Effort::AsScanned],
        // What fails at once may be the moment's, or come of a worker that served long.
        FailureClass::OutOfMemory | FailureClass::Internal => {
            &[Effort::Whole, Effort::Unread, Effort::AsScanned]
        }
        // Decoding says what is wrong with the bytes, and will say it again.
        _ => return Ok(Err(first)),
    };
    let deadline = workshop.options.limits.deadline();
    for (index, &effort) in efforts.iter().enumerate() {
        worker.renew();
        let left = (deadline * 2).saturating_sub(begun.elapsed());
        let is_last = index + 1 == efforts.len();
        let time = deadline.min(if is_last { left } else { left / 2 });
        match attempt(task, effort, time, worker, workshop) {
            Ok(mut finished) => {
                note(&mut finished.record, effort, &first);
                return Ok(Ok(finished));
            }
            Err(failure) if failure.page.is_none() => return Err(failure),
            // A fresh worker was killed from outside: that is the machine's doing. Without its text the document would be
            // for good, and another time all of it may be read.
            Err(failure) if failure.passing => return Err(failure),
            Err(_) => {}
        }
    }
    // Whatever holds it has spoilt its state for the next page.
    worker.renew();
    Ok(Err(first))
}

/// Says in a page's record what it lacks, and why.
fn note(record: &mut PageRecord, effort: Effort, first: &Failure) {
    let note = match effort {
        Effort::Whole => return,
        // Nothing would have been read.
        Effort::Unread if record.blank => return,
        Effort::Unread => format!("This page has no text: {}.", because(first, "reading it")),
        Effort::AsScanned => {
            format!("This page has no text and lies as it was scanned: {}.", because(first, "processing it"))
        }
    };
    record.lacks = Some(Lack::Text);
    record.notes.push(note);
}

fn because(failure: &Failure, doing: &str) -> String {
    let message = &failure.message;
    match failure.class {
        FailureClass::TimedOut | FailureClass::OutOfMemory => format!("{doing} {message}"),
        FailureClass::Internal => format!("{doing} failed: {message}"),
        _ => format!("it cannot be decoded: {message}"),
    }
}

/// One attempt at a page.
fn attempt(
    task: &Task<'_>,
    effort: Effort,
    time: Duration,
    worker: &mut Lease<'_>,
    workshop: &Workshop,
) -> End {
    let source = open(&task.input.path, Stage::Page)?;
    // Made anew: an attempt that failed may have written a part of it.
    let image = File::create(&task.file).map_err(|error| io_failure(Stage::Page, &task.file, &error))?;
    let request = Request::Page {
        page: task.page,
        options: workshop.options.clone(),
        effort,
        passwords: task.passwords.clone(),
    };
    finished(task, worker.call_within(time, &request, &[source.as_fd(), image.as_fd()]))
}

/// Whether a failure to bind a page may be of its making, and not the machine's.
pub(crate) fn may_be_of_page(failure: &Failure) -> bool {
    match failure.class {
        FailureClass::TimedOut | FailureClass::OutOfMemory => true,
        FailureClass::Internal => !failure.passing,
        _ => false,
    }
}

/// The picture of a page that cannot be bound as it came for this failure, with the words of its record; where it cannot be
/// had either, a page that says so.
///
/// # Errors
///
/// A fault that is not the page's.
pub(crate) fn pictured(
    task: &Task<'_>,
    record: PageRecord,
    failure: &Failure,
    worker: &mut Lease<'_>,
    workshop: &Workshop,
) -> End {
    let source = open(&task.input.path, Stage::Page)?;
    let image = File::create(&task.file).map_err(|error| io_failure(Stage::Page, &task.file, &error))?;
    let request = Request::Picture {
        page: task.page,
        turned_deg: record.rotation_deg,
        options: workshop.options.clone(),
        passwords: task.passwords.clone(),
    };
    // What failed may have spoilt its state.
    worker.renew();
    let answer = finished(task, worker.call(&request, &[source.as_fd(), image.as_fd()]));
    worker.renew();
    let Finished { image, file, .. } = match answer {
        Ok(shown) => shown,
        Err(failure) if failure.passing => return Err(failure),
        Err(failure) => {
            let mut missing = stand_in(task, &failure, worker)?;
            missing.record = PageRecord { index: record.index, source: record.source, ..missing.record };
            return Ok(missing);
        }
    };
    let why = because(failure, "binding it as it came");
    let mut record = record;
    record.incoming = Some(Incoming { kept: false, reason: format!("It is shown as a picture, for {why}.") });
    record.lacks.get_or_insert(Lack::Content);
    record
        .notes
        .push(format!("This page is shown as a picture: {why}. The original file is kept as it came."));
    Ok(Finished { record, image, file })
}

/// Makes the page that stands where one is missing.
fn stand_in(task: &Task<'_>, failure: &Failure, worker: &mut Lease<'_>) -> End {
    let image = File::create(&task.file).map_err(|error| io_failure(Stage::Page, &task.file, &error))?;
    let page = u64::from(task.page) + 1;
    let why = because(failure, "processing it");
    let lines = vec![
        format!("Page {page} cannot be shown"),
        format!("Why: {why}."),
        format!("It is page {page} of {}. The original file is kept as it came.", task.input.file_name),
        format!("What helps: {}.", failure.class.what_helps()),
    ];
    let mut page = finished(task, worker.call(&Request::Notice { lines }, &[image.as_fd()]))?;
    page.record.index = task.page;
    page.record.notes.push(format!("This page is missing: {why}. The original file is kept as it came."));
    Ok(page)
}

fn finished(task: &Task<'_>, answer: Answer) -> End {
    match answer? {
        Reply::Page { mut record, image } => {
            // It is kept until the last page of the capture is done; the room it grew by is not.
            record.words.shrink_to_fit();
            Ok(Finished { record: *record, image, file: task.file.clone() })
        }
        other => Err(misfit(Stage::Page, &other)),
    }
}
