//! `platen-agent process`: files in, searchable PDFs, text and records out. No daemon, no cloud, no configuration.
//!
//! Inputs are only read. Results are written in one step each, so a reader never sees half of one, and never
//! over an input. A failed input costs nothing but itself: the others are done, and the exit status says so.

mod names;
mod progress;
mod record;

pub use record::{ProcessRecord, RecordedError};

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use platen_capture::export::{self, Format};
use platen_capture::{Captured, CapturedDocument, Input, Inspection, Workshop, capture};
use platen_model::{Digest, Failure, FailureClass, PageText, Stage, durable};
use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use crate::{Complaint, doctor};
use names::{Names, overwritten_input, real_places, result_path};
use progress::Progress;

/// The hidden folder in the output folder where unfinished results live while the command runs.
const WORK_PREFIX: &str = ".platen-process-";

/// What was asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// The inputs.
    pub files: Vec<PathBuf>,
    /// Where results go; made when missing.
    pub out: PathBuf,
    /// Print a record per document on standard output.
    pub json: bool,
    /// Formats in which the text is written beside the usual ones.
    pub exports: Vec<Format>,
}

/// How the run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every input became documents.
    AllDone,
    /// Some input failed; each was named on standard error.
    SomeFailed,
}

struct Run<'r> {
    order: &'r Order,
    workshop: &'r Workshop,
    work: PathBuf,
    names: Mutex<Names>,
    inputs: BTreeSet<PathBuf>,
    progress: Progress,
    reader_gone: AtomicBool,
}

/// Processes all inputs, as many at once as the workshop has workers.
///
/// # Errors
///
/// Where the output folder cannot be used. A failing input is an [`Outcome`], not an error.
pub fn process(order: &Order, workshop: &Workshop) -> Result<Outcome, Complaint> {
    let work = open_work_folder(&order.out).map_err(|error| {
        Complaint::new(
            format!("cannot write into {}: {error}", order.out.display()),
            "the inputs are untouched",
            "name a folder you may write to with --out",
        )
    })?;
    if let Some(trouble) = doctor::sandbox_of(&workshop.pool).ok().and_then(doctor::fix_of) {
        // Standard error may be closed; the scans are processed in any case.
        let _ = writeln!(io::stderr(), "platen-agent: the sandbox of the workers is not whole: {trouble}");
    }
    let run = Run {
        order,
        workshop,
        work: work.folder.clone(),
        names: Mutex::new(Names::plan(&order.files)),
        inputs: real_places(&order.files),
        progress: Progress::new(order.files.len()),
        reader_gone: AtomicBool::new(false),
    };
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..workshop.pool.size().min(order.files.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= order.files.len() || run.reader_gone.load(Ordering::Relaxed) {
                        return;
                    }
                    if !run.carry(index) {
                        failed.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    run.progress.finish();
    // What is left in the work folder belongs to failed inputs; failing to remove it loses nothing.
    let _ = durable::remove_folder(&work.folder);
    let gone = run.reader_gone.load(Ordering::Relaxed);
    Ok(if failed.load(Ordering::Relaxed) || gone { Outcome::SomeFailed } else { Outcome::AllDone })
}

impl Run<'_> {
    /// Carries one input to its results and says how it went. Answers whether it became documents.
    fn carry(&self, index: usize) -> bool {
        let source = &self.order.files[index];
        let name = source.display();
        match self.documents_of(index) {
            Ok(records) => {
                let pages: usize = records.iter().map(|record| record.pages.len()).sum();
                let kinds: Vec<&str> = records.iter().map(|record| record.document_type.as_str()).collect();
                self.print(&records);
                let mut said = format!("{name}: {pages} pages, {}", kinds.join(", "));
                for remark in records.iter().flat_map(ProcessRecord::remarks) {
                    said.push_str("\n  ");
                    said.push_str(&remark);
                }
                self.progress.input_done(&said);
                true
            }
            Err((sha256, failure)) => {
                let safe = match sha256 {
                    Some(sha256) => format!("the original is untouched (sha256 {sha256})"),
                    None => "the original is untouched".to_owned(),
                };
                let help = failure.class.what_helps();
                let complaint = Complaint::new(format!("{name}: {failure}"), safe, help);
                let record = ProcessRecord::failed(source.clone(), sha256, failure);
                self.write_failure(index, &record);
                self.print(&[record]);
                self.progress.input_done(&complaint.to_string());
                false
            }
        }
    }

    fn documents_of(&self, index: usize) -> Result<Vec<ProcessRecord>, (Option<Digest>, Failure)> {
        let source = &self.order.files[index];
        let unread = |error: io::Error| (None, unreadable(source, &error));
        let metadata = source.metadata().map_err(unread)?;
        if !metadata.is_file() {
            let failure = Failure::new(FailureClass::Unsupported, Stage::Claim, "this is not a file");
            return Err((None, failure));
        }
        let (sha256, _) =
            File::open(source).and_then(|mut file| Digest::of_reader(&mut file)).map_err(unread)?;
        self.results_of(index, source, sha256).map_err(|failure| (Some(sha256), failure))
    }

    fn results_of(&self, index: usize, source: &Path, sha256: Digest) -> Result<Vec<ProcessRecord>, Failure> {
        // Known before the work is done for one document; checked again for each name that is written.
        self.refuse_to_overwrite(self.lock_names().of(index))?;
        let folder = self.work.join(index.to_string());
        durable::create_folder(&folder).map_err(|error| trouble(Stage::Claim, &folder, &error))?;
        let file_name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let input = Input { path: source.to_owned(), file_name, source: String::new(), sha256 };
        let Captured { inspections, documents } =
            capture(&[input], &folder, self.workshop, &|_, _| self.progress.page_done())?;

        let stems = self.lock_names().of_documents(index, documents.len());
        for stem in &stems {
            self.refuse_to_overwrite(stem)?;
        }
        let notes: Vec<String> = inspections.iter().flat_map(Inspection::remarks).collect();
        let count = documents.len() as u32;
        let mut records = Vec::new();
        for ((number, stem), mut document) in (1..).zip(&stems).zip(documents) {
            let text = document.text.text();
            self.export(stem, source, &document.text)
                .map_err(|error| trouble(Stage::Bind, &self.order.out, &error))?;
            let mut record = self.record(source, sha256, (number, count), stem, &mut document);
            record.notes.clone_from(&notes);
            self.write(stem, &document.pdf, &record, &text)
                .map_err(|error| trouble(Stage::Bind, &self.order.out, &error))?;
            records.push(record);
        }
        let _ = durable::remove_folder(&folder);
        Ok(records)
    }

    fn record(
        &self,
        source: &Path,
        sha256: Digest,
        (document, documents): (u32, u32),
        stem: &OsStr,
        captured: &mut CapturedDocument,
    ) -> ProcessRecord {
        let decision = captured.decision.clone();
        ProcessRecord {
            source: source.to_owned(),
            source_sha256: Some(sha256),
            document,
            documents,
            // Moved, for the words of a long document are held once.
            pages: std::mem::take(&mut captured.text.pages),
            blank_pages: captured.blank_pages,
            set_aside: captured.text.set_aside.clone(),
            document_type: decision.document_type.0,
            department: captured.department.take(),
            confidence: decision.confidence,
            verdict: Some(decision.verdict),
            fields: decision.fields,
            reasons: decision.reasons,
            policy: Some(decision.policy),
            notes: Vec::new(),
            copy_of_signed: captured.copy_of_signed,
            signed_pdf: captured.copy_of_signed.then(|| result_path(&self.order.out, stem, names::SIGNED)),
            pdf: Some(result_path(&self.order.out, stem, "pdf")),
            pdf_sha256: Some(captured.pdf_sha256),
            pdfa: Some(captured.pdfa),
            pdfa_breaches: std::mem::take(&mut captured.pdfa_breaches),
            error: None,
        }
    }

    /// The PDF first and the record last: whoever waits for the record finds everything else in place.
    fn write(&self, stem: &OsStr, pdf: &Path, record: &ProcessRecord, text: &str) -> io::Result<()> {
        if let Some(signed) = &record.signed_pdf {
            let (kept, _) = durable::write_from(signed, &mut File::open(&record.source)?)
                .map(|written| (written.sha256(), written.bytes()))?;
            if Some(kept) != record.source_sha256 {
                return Err(io::Error::other("the input changed while it was processed"));
            }
        }
        durable::rename(pdf, &result_path(&self.order.out, stem, "pdf"))?;
        durable::write(&result_path(&self.order.out, stem, "txt"), text.as_bytes())?;
        durable::write(&result_path(&self.order.out, stem, "json"), &serde_json::to_vec(record)?)?;
        Ok(())
    }

    /// The text in the formats that were asked for.
    fn export(&self, stem: &OsStr, source: &Path, text: &PageText) -> io::Result<()> {
        let name = source.file_name().unwrap_or_default().to_string_lossy();
        for format in &self.order.exports {
            let mut bytes = Vec::new();
            export::write(text, &name, *format, &mut bytes)?;
            durable::write(&result_path(&self.order.out, stem, format.extension()), &bytes)?;
        }
        Ok(())
    }

    /// Leaves the reason beside where the results would have been, unless an input is in the way.
    fn write_failure(&self, index: usize, record: &ProcessRecord) {
        let stem = self.lock_names().of(index).to_owned();
        if self.refuse_to_overwrite(&stem).is_ok()
            && let Ok(bytes) = serde_json::to_vec(record)
        {
            // The failure itself is on standard error in any case.
            let _ = durable::write(&result_path(&self.order.out, &stem, "json"), &bytes);
        }
    }

    fn refuse_to_overwrite(&self, stem: &OsStr) -> Result<(), Failure> {
        match overwritten_input(&self.order.out, stem, &self.inputs) {
            None => Ok(()),
            Some(path) => {
                let message = format!(
                    "the result would be written over the input {}; name another folder with --out",
                    path.display()
                );
                Err(Failure::new(FailureClass::Unsupported, Stage::Claim, message))
            }
        }
    }

    fn print(&self, records: &[ProcessRecord]) {
        if !self.order.json {
            return;
        }
        let mut out = io::stdout().lock();
        for record in records {
            let line = serde_json::to_string(record).map_err(io::Error::other);
            if line.and_then(|line| writeln!(out, "{line}")).and_then(|()| out.flush()).is_err() {
                self.reader_gone.store(true, Ordering::Relaxed);
            }
        }
    }

    fn lock_names(&self) -> std::sync::MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The input cannot be read: most often its name is wrong, or it is somebody else's.
fn unreadable(source: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(FailureClass::Unreadable, Stage::Claim, "there is no such file")
        }
        io::ErrorKind::PermissionDenied => {
            Failure::new(FailureClass::Unreadable, Stage::Claim, "this user may not read it")
        }
        _ => trouble(Stage::Claim, source, error),
    }
}

fn trouble(stage: Stage, path: &Path, error: &io::Error) -> Failure {
    Failure::new(FailureClass::Internal, stage, format!("{}: {error}", path.display()))
}

/// The work folder, locked for as long as this run lives.
struct Work {
    folder: PathBuf,
    _lock: File,
}

/// Makes the work folder, and clears away those of runs that were killed: nobody holds their lock any more.
fn open_work_folder(out: &Path) -> io::Result<Work> {
    durable::create_folder(out)?;
    for entry in std::fs::read_dir(out)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(WORK_PREFIX)
            && let Ok(lock) = File::open(entry.path())
            && flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            durable::remove_folder(&entry.path())?;
        }
    }
    // Locked before it has the name by which a run that starts at the same moment would clear it away.
    let id = Uuid::now_v7();
    let begun = out.join(format!(".platen-begun-{id}"));
    let folder = out.join(format!("{WORK_PREFIX}{id}"));
    durable::create_folder(&begun)?;
    let lock = File::open(&begun)?;
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    durable::rename(&begun, &folder)?;
    Ok(Work { folder, _lock: lock })
}
