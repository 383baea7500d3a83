//! The capture path, named in order.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use platen_model::{
    BatchPlace, Decision, Digest, DocumentType, Failure, FailureClass, Lack, PageRecord, PageText, SetAside,
    SourcePage, Stage, durable,
};

use crate::classify::{Origin, RuleSet};
use crate::collate::Collation;
use crate::inspection::{Inspection, PageImage};
use crate::options::{Options, PdfA};
use crate::pages::{Finished, Task, finish_pages, may_be_of_page, pictured};
use crate::passwords::Passwords;
use crate::separate::{self, Group, Separation, separate};
use crate::worker::pool::{Lease, Pool, misfit};
use crate::worker::protocol::{BindInfo, Reply, Request};

/// So many pages of a document are given up for pictures one by one; with the next, all that would be kept as they came are.
/// Each takes its time, and what ails many pages ails what they share.
const PICTURES_MAX: u32 = 4;

/// One input file, already safe in the caller's keeping.
#[derive(Clone, Debug)]
pub struct Input {
    /// Where its bytes are. They are only read.
    pub path: PathBuf,
    /// The name a person knows it by.
    pub file_name: String,
    /// The hot folder or program it came by; empty where nobody knows. Rules may take it as weak evidence.
    pub source: String,
    /// Digest of its bytes.
    pub sha256: Digest,
}

impl Input {
    /// What its names say of a document, and when it was captured.
    fn origin(&self, workshop: &Workshop) -> Origin<'_> {
        Origin { file_name: &self.file_name, source: &self.source, day: workshop.day }
    }
}

/// Everything capture works with.
#[derive(Clone, Debug)]
pub struct Workshop {
    /// The workers.
    pub pool: Arc<Pool>,
    /// The classification rules.
    pub rules: Arc<RuleSet>,
    /// What was chosen.
    pub options: Options,
    /// How the pages of several inputs follow each other.
    pub collation: Collation,
    /// What divides them into documents.
    pub separation: Separation,
    /// The type of all documents, where their source sets it.
    pub document_type: Option<DocumentType>,
    /// The day of the capture, after which nothing on the pages can have happened; `None` where nobody knows.
    pub day: Option<jiff::civil::Date>,
    /// Set from outside: a capture under way ends with a failure once its pages at work are done.
    pub stop: Arc<AtomicBool>,
}

impl Workshop {
    /// A workshop with these choices.
    pub fn new(pool: Pool, rules: RuleSet, options: Options) -> Self {
        let (collation, separation) = (Collation::default(), Separation::default());
        Self {
            pool: Arc::new(pool),
            rules: Arc::new(rules),
            options,
            collation,
            separation,
            document_type: None,
            day: None,
            stop: Arc::default(),
        }
    }

    /// A failure where somebody said to stop.
    pub(crate) fn goes_on(&self, stage: Stage) -> Result<(), Failure> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure::new(FailureClass::TimedOut, stage, "the capture was told to stop"));
        }
        Ok(())
    }
}

/// What a capture yields.
#[derive(Clone, Debug)]
pub struct Captured {
    /// What each input is, in order.
    pub inspections: Vec<Inspection>,
    /// The documents found, in page order.
    pub documents: Vec<CapturedDocument>,
}

/// One finished document.
#[derive(Clone, Debug)]
pub struct CapturedDocument {
    /// Its pages.
    pub text: PageText,
    /// Blank pages set aside; they remain in the original, and `text.set_aside` lists them.
    pub blank_pages: u32,
    /// What it is, and why.
    pub decision: Decision,
    /// It was made of a digitally signed PDF, whose signatures it cannot carry: it is a copy, marked as one, and must
    /// never stand for the original.
    pub copy_of_signed: bool,
    /// The standard that the PDF claims.
    pub pdfa: PdfA,
    /// Why it does not claim the one that was asked for, a sentence each.
    pub pdfa_breaches: Vec<String>,
    /// The department that its cover sheet names.
    pub department: Option<String>,
    /// Where it lay in the batch, if its capture gave more than one document or had separators.
    pub batch: Option<BatchPlace>,
    /// The searchable PDF, durable.
    pub pdf: PathBuf,
    /// Digest of the PDF.
    pub pdf_sha256: Digest,
    /// Length of the PDF in bytes.
    pub pdf_bytes: u64,
}

/// A page's image, kept in a file.
struct Kept {
    image: PageImage,
    file: PathBuf,
}

/// An input that was looked at.
pub(crate) struct Opened<'i> {
    pub(crate) input: &'i Input,
    pub(crate) inspection: Inspection,
    /// What opens it, where it is locked.
    pub(crate) passwords: Passwords,
}

/// Carries the inputs of one capture (one file, or the files of a batch in page order) to documents.
///
/// A digitally signed input is one document whatever stands on its pages: parts of it would bear no signature.
///
/// PDFs and intermediate page images are written into `folder`, which must exist and belong to this capture.
/// `progress` is told after each page: pages done, pages in all.
///
/// # Errors
///
/// A file that cannot be opened or holds no page that can be decoded, or a fault that is not a page's: see
/// [`Lack`](platen_model::Lack) for what becomes of a single page that fails. Inputs are untouched, and it may be
/// repeated with the same outcome.
pub fn capture(
    inputs: &[Input],
    folder: &Path,
    workshop: &Workshop,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Captured, Failure> {
    let opened = inputs.iter().map(|input| inspect(input, workshop)).collect::<Result<Vec<_>, _>>()?;
    let counts: Vec<u32> = opened.iter().map(|of| of.inspection.pages).collect();
    let mut pages = finish_pages(&opened, folder, workshop, progress)?;
    note_what_is_no_page(&opened, &mut pages);
    let pages = workshop.collation.order(pages, &counts);
    // The words of a thousand pages are held once: they move from the page to its document.
    let (mut records, mut images): (Vec<PageRecord>, Vec<Kept>) =
        pages.into_iter().map(|page| (page.record, Kept { image: page.image, file: page.file })).unzip();

    let origins = workshop.collation.order(origins(&opened), &counts);
    let undivided = Separation::off();
    let signed = opened.iter().any(|of| of.inspection.digitally_signed);
    let separation = if signed { &undivided } else { &workshop.separation };
    let groups = separate(&records, workshop.options.keep_blank_pages, separation)
        .map_err(|nothing| Failure::new(FailureClass::NoDocument, Stage::Separate, nothing.to_string()))?;
    let count = groups.len() as u32;
    let mut documents = Vec::new();
    for (number, group) in (1u32..).zip(groups) {
        let of_group = group.pages.iter().map(|&page| {
            let record = std::mem::take(&mut records[page]);
            PageRecord { source: Some(origins[page]), ..record }
        });
        let mut text = PageText::new(of_group.collect());
        let aside = group.aside.iter().map(|&(page, why)| SetAside { page: origins[page], why });
        text.set_aside = aside.collect();
        let batch = (count > 1 || group.has_sheets()).then(|| BatchPlace {
            document: number,
            documents: count,
            pages: group.origins(&origins),
            languages: workshop.options.languages.clone(),
            backs_reversed: match workshop.collation {
                Collation::Leaves { backs_reversed } => Some(backs_reversed),
                Collation::AsGiven => None,
            },
        });
        workshop.goes_on(Stage::Bind)?;
        let pdf = folder.join(format!("document-{number}.pdf"));
        let bound = bind(&opened, &mut text, &mut images, &origins, &group, &pdf, workshop)?;
        // Binding may say what a page lacks.
        let (set, rules) = (workshop.document_type.as_ref(), &workshop.rules);
        let (decision, department) = separate::decide(&text, &group, &inputs[0].origin(workshop), set, rules);
        let blank_pages = group.blank_pages() as u32;
        documents.push(CapturedDocument {
            text,
            blank_pages,
            decision,
            department,
            batch,
            copy_of_signed: bound.copy_of_signed,
            pdfa: bound.pdfa,
            pdfa_breaches: bound.breaches,
            pdf,
            pdf_sha256: bound.sha256,
            pdf_bytes: bound.bytes,
        });
    }
    let inspections = opened.into_iter().map(|opened| opened.inspection).collect();
    Ok(Captured { inspections, documents })
}

/// Says on the first page of an input what the file holds beside its pages, where that may be what it is about.
fn note_what_is_no_page(opened: &[Opened<'_>], pages: &mut [Finished]) {
    let mut first = 0;
    for of in opened {
        let elsewhere = of.inspection.features.iter().filter(|feature| feature.holds_content());
        if let Some(page) = pages.get_mut(first) {
            for feature in elsewhere {
                page.record.lacks.get_or_insert(Lack::Content);
                page.record.notes.push(feature.remark());
            }
        }
        first += of.inspection.pages as usize;
    }
}

/// Where each page of the capture came from, in order.
fn origins(opened: &[Opened<'_>]) -> Vec<SourcePage> {
    let of_source = |(source, of): (u32, &Opened<'_>)| {
        (0..of.inspection.pages).map(move |page| SourcePage { source, page })
    };
    (0u32..).zip(opened).flat_map(of_source).collect()
}

/// Finds out what an input is. Passwords are looked for only where it is locked.
fn inspect<'i>(input: &'i Input, workshop: &Workshop) -> Result<Opened<'i>, Failure> {
    let nothing = Passwords::default();
    let failure = match inspect_with(input, &nothing, workshop) {
        Ok(inspection) => return Ok(Opened { input, inspection, passwords: nothing }),
        Err(failure) => failure,
    };
    let Some(file) =
        workshop.options.passwords_file.as_ref().filter(|_| failure.class == FailureClass::Locked)
    else {
        return Err(failure);
    };
    let passwords = Passwords::from_file(file).map_err(|error| {
        let message =
            format!("{}; the passwords in {} cannot be read: {error}", failure.message, file.display());
        Failure { message, ..failure.clone() }
    })?;
    if passwords.is_empty() {
        return Err(failure);
    }
    let inspection = inspect_with(input, &passwords, workshop)?;
    Ok(Opened { input, inspection, passwords })
}

fn inspect_with(input: &Input, passwords: &Passwords, workshop: &Workshop) -> Result<Inspection, Failure> {
    let limits = workshop.options.limits.clone();
    let file = open(&input.path, Stage::Inspect)?;
    let length = file.metadata().map_err(|error| io_failure(Stage::Inspect, &input.path, &error))?.len();
    if length == 0 {
        return Err(Failure::new(FailureClass::Empty, Stage::Inspect, "the file has no bytes"));
    }
    if length > limits.file_bytes {
        let message =
            format!("{length} bytes are over the limit of {} (capture.limits.file_bytes)", limits.file_bytes);
        return Err(Failure::new(FailureClass::TooLarge, Stage::Inspect, message));
    }
    let request = Request::Inspect { limits, passwords: passwords.clone() };
    match workshop.pool.call(&request, &[file.as_fd()])? {
        Reply::Inspected(inspection) => Ok(inspection),
        other => Err(misfit(Stage::Inspect, &other)),
    }
}

/// A document's PDF, durable.
struct BoundFile {
    sha256: Digest,
    bytes: u64,
    pdfa: PdfA,
    breaches: Vec<String>,
    copy_of_signed: bool,
}

/// Writes one document's PDF durably and removes its page images. A page that cannot be bound as it came is shown as a
/// picture, and its record says so.
fn bind(
    opened: &[Opened<'_>],
    text: &mut PageText,
    images: &mut [Kept],
    origins: &[SourcePage],
    group: &Group,
    pdf: &Path,
    workshop: &Workshop,
) -> Result<BoundFile, Failure> {
    let mut worker = workshop.pool.lease();
    let mut failed: BTreeSet<usize> = BTreeSet::new();
    let mut pictures = 0;
    loop {
        workshop.goes_on(Stage::Bind)?;
        let Unbound { failure, page } =
            match bind_once(opened, text, images, origins, group, pdf, &mut worker, workshop) {
                Ok(bound) => return Ok(bound),
                Err(unbound) => unbound,
            };
        let Some(page) = page.filter(|_| may_be_of_page(&failure)) else { return Err(failure) };
        worker.renew();
        // What fails at once may be the moment's, or come of a worker that served long.
        if failed.insert(page) && failure.class != FailureClass::TimedOut {
            continue;
        }
        if failure.passing {
            return Err(failure);
        }
        pictures += 1;
        let of_document = if pictures < PICTURES_MAX { page..page + 1 } else { 0..text.pages.len() };
        for page in of_document.filter(|page| is_kept(&text.pages[*page])).collect::<Vec<_>>() {
            workshop.goes_on(Stage::Bind)?;
            let kept = &mut images[group.pages[page]];
            let SourcePage { source, page: number } = origins[group.pages[page]];
            let Opened { input, passwords, .. } = &opened[source as usize];
            let task = Task { input, passwords, page: number, file: kept.file.clone() };
            let record = std::mem::take(&mut text.pages[page]);
            let shown = pictured(&task, record, &failure, &mut worker, workshop)?;
            (text.pages[page], kept.image) = (shown.record, shown.image);
        }
    }
}

fn is_kept(record: &PageRecord) -> bool {
    record.incoming.as_ref().is_some_and(|incoming| incoming.kept)
}

/// Why a PDF was not finished.
struct Unbound {
    failure: Failure,
    /// The page that was being kept as it came, by its position in the document, where that was when it failed.
    page: Option<usize>,
}

impl From<Failure> for Unbound {
    fn from(failure: Failure) -> Self {
        Self { failure, page: None }
    }
}

/// One attempt at a PDF.
#[expect(clippy::too_many_arguments, reason = "they are those of the loop around it")]
fn bind_once(
    opened: &[Opened<'_>],
    text: &PageText,
    images: &[Kept],
    origins: &[SourcePage],
    group: &Group,
    pdf: &Path,
    worker: &mut Lease<'_>,
    workshop: &Workshop,
) -> Result<BoundFile, Unbound> {
    let of_group = || group.pages.iter().map(|&page| &opened[origins[page].source as usize]);
    let copy_of_signed = of_group().any(|of| of.inspection.digitally_signed);
    let info = BindInfo {
        title: opened[0].input.file_name.clone(),
        pdfa: workshop.options.pdfa,
        languages: workshop.options.languages.clone(),
        copy_of_signed,
        sources: opened.iter().map(|of| of.input.sha256).collect(),
    };
    let failed = |error: io::Error| io_failure(Stage::Bind, pdf, &error);
    let mut target =
        File::options().create(true).truncate(true).read(true).write(true).open(pdf).map_err(failed)?;
    worker.call(&Request::BindBegin { info }, &[target.as_fd()])?;
    for (position, (record, &page)) in text.pages.iter().zip(&group.pages).enumerate() {
        let kept = is_kept(record);
        let record = Box::new(record.clone());
        let (request, file) = if kept {
            let SourcePage { source, page } = origins[page];
            let Opened { input, passwords, .. } = &opened[source as usize];
            let (limits, passwords) = (workshop.options.limits.clone(), passwords.clone());
            (Request::BindKept { source, page, record, limits, passwords }, &input.path)
        } else {
            (Request::BindPage { image: images[page].image.clone(), record }, &images[page].file)
        };
        let file = open(file, Stage::Bind)?;
        worker
            .call(&request, &[file.as_fd()])
            .map_err(|failure| Unbound { failure, page: kept.then_some(position) })?;
    }
    let (bound, pdfa, breaches) = match worker.call(&Request::BindFinish, &[])? {
        Reply::Bound { bytes, pdfa, breaches } => (bytes, pdfa, breaches),
        other => return Err(misfit(Stage::Bind, &other).into()),
    };
    target.sync_all().map_err(failed)?;
    io::Seek::rewind(&mut target).map_err(failed)?;
    let (sha256, bytes) = Digest::of_reader(&mut target).map_err(failed)?;
    if bytes != bound {
        let message = format!("the worker wrote {bound} bytes, but the file holds {bytes}");
        return Err(Failure::new(FailureClass::Internal, Stage::Bind, message).into());
    }
    if let Some(folder) = pdf.parent() {
        durable::sync_folder(folder).map_err(failed)?;
    }
    let aside = group.aside.iter().map(|(page, _)| page);
    for &page in group.pages.iter().chain(aside) {
        durable::remove_file(&images[page].file).map_err(failed)?;
    }
    Ok(BoundFile { sha256, bytes, pdfa, breaches, copy_of_signed })
}

pub(crate) fn open(path: &Path, stage: Stage) -> Result<File, Failure> {
    File::open(path).map_err(|error| io_failure(stage, path, &error))
}

pub(crate) fn io_failure(stage: Stage, path: &Path, error: &io::Error) -> Failure {
    Failure::of_io(stage, &path.display().to_string(), error)
}
