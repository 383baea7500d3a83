//! The capture path, named in order.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use platen_model::{
    Decision, Digest, Failure, FailureClass, PageRecord, PageText, SourcePage, Stage, durable,
};

use crate::classify::{RuleSet, classify};
use crate::collate::Collation;
use crate::inspection::{Inspection, PageImage};
use crate::options::Options;
use crate::pages::finish_pages;
use crate::separate::{Group, separate};
use crate::worker::pool::{Pool, misfit};
use crate::worker::protocol::{BindInfo, Reply, Request};

/// One input file, already safe in the caller's keeping.
#[derive(Clone, Debug)]
pub struct Input {
    /// Where its bytes are. They are only read.
    pub path: PathBuf,
    /// The name a person knows it by.
    pub file_name: String,
    /// Digest of its bytes.
    pub sha256: Digest,
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
}

impl Workshop {
    /// A workshop with these choices.
    pub fn new(pool: Pool, rules: RuleSet, options: Options) -> Self {
        Self { pool: Arc::new(pool), rules: Arc::new(rules), options, collation: Collation::default() }
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

/// Carries the inputs of one capture (one file, or the files of a batch in page order) to documents.
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
    let inspections = inputs.iter().map(|input| inspect(input, workshop)).collect::<Result<Vec<_>, _>>()?;
    let counts: Vec<u32> = inspections.iter().map(|inspection| inspection.pages).collect();
    let pages = finish_pages(inputs, &inspections, folder, workshop, progress)?;
    let pages = workshop.collation.order(pages, &counts);
    // The words of a thousand pages are held once: they move from the page to its document.
    let (mut records, images): (Vec<PageRecord>, Vec<Kept>) =
        pages.into_iter().map(|page| (page.record, Kept { image: page.image, file: page.file })).unzip();

    let origins = workshop.collation.order(origins(&inspections), &counts);
    let mut documents = Vec::new();
    for (number, group) in (1u32..).zip(separate(&records, workshop.options.keep_blank_pages)) {
        let of_group = group.pages.iter().map(|&page| std::mem::take(&mut records[page]));
        let mut text = PageText::new(of_group.collect());
        text.set_aside = group.blank.iter().map(|&page| origins[page]).collect();
        let decision = classify(&text, &inputs[0].file_name, &workshop.rules);
        let pdf = folder.join(format!("document-{number}.pdf"));
        let (pdf_sha256, pdf_bytes) = bind(inputs, &text, &images, &group, &pdf, workshop)?;
        let blank_pages = group.blank.len() as u32;
        documents.push(CapturedDocument { text, blank_pages, decision, pdf, pdf_sha256, pdf_bytes });
    }
    Ok(Captured { inspections, documents })
}

/// Where each page of the capture came from, in order.
fn origins(inspections: &[Inspection]) -> Vec<SourcePage> {
    let of_source = |(source, inspection): (u32, &Inspection)| {
        (0..inspection.pages).map(move |page| SourcePage { source, page })
    };
    (0u32..).zip(inspections).flat_map(of_source).collect()
}

fn inspect(input: &Input, workshop: &Workshop) -> Result<Inspection, Failure> {
    let limits = workshop.options.limits.clone();
    let file = open(&input.path, Stage::Inspect)?;
    let length = file.metadata().map_err(|error| io_failure(Stage::Inspect, &input.path, &error))?.len();
    if length == 0 {
        return Err(Failure::new(FailureClass::Empty, Stage::Inspect, "the file has no bytes"));
    }
    if length > limits.file_bytes {
        let message =
            format!("{length} bytes are over the limit of {} (limits.file_bytes)", limits.file_bytes);
        return Err(Failure::new(FailureClass::TooLarge, Stage::Inspect, message));
    }
    match workshop.pool.call(&Request::Inspect { limits }, &[file.as_fd()])? {
        Reply::Inspected(inspection) => Ok(inspection),
        other => Err(misfit(Stage::Inspect, &other)),
    }
}

/// Writes one document's PDF durably and removes its page images.
fn bind(
    inputs: &[Input],
    text: &PageText,
    images: &[Kept],
    group: &Group,
    pdf: &Path,
    workshop: &Workshop,
) -> Result<(Digest, u64), Failure> {
    let info = BindInfo {
        title: inputs[0].file_name.clone(),
        pdfa: workshop.options.pdfa,
        languages: workshop.options.languages.clone(),
        sources: inputs.iter().map(|input| input.sha256).collect(),
    };
    let mut worker = workshop.pool.lease();
    worker.call(&Request::BindBegin { info }, &[])?;
    for (record, page) in text.pages.iter().zip(group.pages.iter().map(|&page| &images[page])) {
        let image = open(&page.file, Stage::Bind)?;
        let request = Request::BindPage { image: page.image.clone(), record: Box::new(record.clone()) };
        worker.call(&request, &[image.as_fd()])?;
    }
    let failed = |error: io::Error| io_failure(Stage::Bind, pdf, &error);
    let mut target =
        File::options().create(true).truncate(true).read(true).write(true).open(pdf).map_err(failed)?;
    let bound = match worker.call(&Request::BindFinish, &[target.as_fd()])? {
        Reply::Bound { bytes } => bytes,
        other => return Err(misfit(Stage::Bind, &other)),
    };
    target.sync_all().map_err(failed)?;
    io::Seek::rewind(&mut target).map_err(failed)?;
    let (sha256, bytes) = Digest::of_reader(&mut target).map_err(failed)?;
    if bytes != bound {
        let message = format!("the worker wrote {bound} bytes, but the file holds {bytes}");
        return Err(Failure::new(FailureClass::Internal, Stage::Bind, message));
    }
    if let Some(folder) = pdf.parent() {
        durable::sync_folder(folder).map_err(failed)?;
    }
    for &page in group.pages.iter().chain(&group.blank) {
        durable::remove_file(&images[page].file).map_err(failed)?;
    }
    Ok((sha256, bytes))
}

pub(crate) fn open(path: &Path, stage: Stage) -> Result<File, Failure> {
    File::open(path).map_err(|error| io_failure(stage, path, &error))
}

pub(crate) fn io_failure(stage: Stage, path: &Path, error: &io::Error) -> Failure {
    Failure::of_io(stage, &path.display().to_string(), error)
}
