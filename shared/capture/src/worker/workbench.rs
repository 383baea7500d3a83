//! The worker's side: what stays warm between requests, and the loop that answers them.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use platen_model::{Failure, FailureClass, Lack, PageRecord, Stage, TextSource};

use crate::decode::{Desk, Ending};
use crate::ocr::{self, Engines};
use crate::options::Effort;
use crate::passwords::Passwords;
use crate::pdf::{self, Binder, Bound};
use crate::raster::{self, FinishedPage};
use crate::worker::protocol::{self, Answer, Reply, Request};
use crate::worker::sandbox::{self, Sandbox};

/// What a worker keeps: recognisers by language set, the file it has open, the PDF it is writing, and what its
/// sandbox holds.
#[derive(Debug, Default)]
pub struct Workbench {
    engines: Engines,
    desk: Desk,
    binder: Option<Binder>,
    sandbox: Sandbox,
}

impl Workbench {
    /// The workbench of a process that has entered this sandbox.
    pub fn inside(sandbox: Sandbox) -> Self {
        Self { sandbox, ..Self::default() }
    }

    /// Answers one request. The files are those the request names, in order.
    pub fn answer(&mut self, request: Request, files: Vec<OwnedFd>) -> Answer {
        let mut files = files.into_iter().map(File::from);
        let mut file = |stage| {
            files.next().ok_or_else(|| Failure::new(FailureClass::Internal, stage, "a file is missing"))
        };
        match request {
            Request::Inspect { limits, passwords } => {
                let document = self.desk.lay(file(Stage::Inspect)?, &limits, &passwords)?;
                document.inspect(&limits).map(Reply::Inspected)
            }
            Request::Ending { limits } => Ending::of(file(Stage::Inspect)?, &limits).map(Reply::Ends),
            Request::Page { page, options, effort, passwords } => {
                let input = file(Stage::Page)?;
                let target = file(Stage::Page)?;
                // Not a failure of this page, but of them all.
                ocr::require(&options.languages)?;
                let document = self.desk.lay(input, &options.limits, &passwords)?;
                let finished = match effort {
                    Effort::Whole | Effort::Unread => {
                        raster::finish_page(document, page, &options, effort, &mut self.engines)
                    }
                    Effort::AsScanned => raster::as_scanned(document, page, &options),
                };
                let mut finished = finished.map_err(|failure| match (effort, failure.class) {
                    // Decoding blames the bytes for all that they can be blamed for; the disk is at fault here.
                    (Effort::AsScanned, FailureClass::Internal) => failure,
                    _ => failure.on_page(page),
                })?;
                hold_to_words(&mut finished.record, options.limits.page_words);
                keep_page(finished, target)
            }
            Request::Picture { page, turned_deg, options, passwords } => {
                let (input, target) = (file(Stage::Page)?, file(Stage::Page)?);
                let document = self.desk.lay(input, &options.limits, &passwords)?;
                keep_page(raster::as_picture(document, page, turned_deg, &options)?, target)
            }
            Request::Notice { lines } => keep_page(pdf::notice(&lines)?, file(Stage::Page)?),
            Request::BindBegin { info } => {
                self.desk.clear();
                self.binder = Some(Binder::begin(info, file(Stage::Bind)?));
                Ok(Reply::Noted)
            }
            Request::BindPage { image, record } => {
                let source = file(Stage::Bind)?;
                self.binder.as_mut().ok_or_else(no_pdf)?.add_page(&image, &record, source)?;
                Ok(Reply::Noted)
            }
            Request::BindKept { source, page, record, limits, passwords } => {
                let document = self.desk.lay(file(Stage::Bind)?, &limits, &passwords)?;
                self.binder.as_mut().ok_or_else(no_pdf)?.keep_page(source, document, page, &record)?;
                Ok(Reply::Noted)
            }
            Request::BindFinish => {
                let Bound { bytes, pdfa, breaches } = self.binder.take().ok_or_else(no_pdf)?.finish()?;
                Ok(Reply::Bound { bytes, pdfa, breaches })
            }
            Request::Sandbox => Ok(Reply::Held(self.sandbox)),
            Request::Render { page, width_px } => {
                let source = file(Stage::Render)?;
                let mut target = file(Stage::Render)?;
                let (png, pages) = pdf::render(&source, page, width_px)?;
                target.write_all(&png).map_err(|error| cannot_write(Stage::Render, &error))?;
                Ok(Reply::Rendered { pages })
            }
            Request::RenderScan { page, width_px, limits } => {
                let source = file(Stage::Render)?;
                let mut target = file(Stage::Render)?;
                let document = self.desk.lay(source, &limits, &Passwords::default())?;
                let png = raster::as_shown(document, page, width_px, &limits)?;
                target.write_all(&png).map_err(|error| cannot_write(Stage::Render, &error))?;
                Ok(Reply::Shown)
            }
            Request::PrepareSeal { seal } => {
                let source = file(Stage::Seal)?;
                let mut target = file(Stage::Seal)?;
                let (bytes, room) = pdf::prepare_seal(&source, &seal)?;
                target.write_all(&bytes).map_err(|error| cannot_write(Stage::Seal, &error))?;
                Ok(Reply::Prepared(room))
            }
            Request::RevocationQuestions { roots } => {
                Ok(Reply::Questions(pdf::revocation_questions(&file(Stage::Seal)?, &roots)?))
            }
            Request::AddValidation { roots, at } => {
                let (source, mut target) = (file(Stage::Seal)?, file(Stage::Seal)?);
                let (bytes, lacking) = pdf::add_validation(&source, &file(Stage::Seal)?, &roots, at)?;
                target.write_all(&bytes).map_err(|error| cannot_write(Stage::Seal, &error))?;
                Ok(Reply::Added { lacking })
            }
            Request::CheckSignatures { roots, at, incremental } => {
                let (returned, sent) = (file(Stage::Seal)?, file(Stage::Seal)?);
                let finding = pdf::check_signatures(&returned, &sent, &roots, at, incremental)?;
                Ok(Reply::Checked(Box::new(finding)))
            }
        }
    }
}

fn no_pdf() -> Failure {
    Failure::new(FailureClass::Internal, Stage::Bind, "no PDF was begun")
}

/// Lets go of the words of a page that has more than can be text that somebody wrote.
fn hold_to_words(record: &mut PageRecord, page_words: u32) {
    let count = record.words.len();
    if count as u64 <= page_words.into() {
        return;
    }
    record.words = Vec::new();
    (record.mean_confidence, record.quality) = (0.0, 0.0);
    record.lacks = Some(Lack::Text);
    let over = format!("{count} words are over the limit of {page_words} (capture.limits.page_words)");
    let is_kept = record.incoming.as_ref().is_some_and(|incoming| incoming.kept);
    let note = match record.text_source {
        TextSource::Embedded if is_kept => {
            format!("The text of this page stands in the PDF and nowhere else: {over}.")
        }
        _ => format!("This page has no text: {over}."),
    };
    record.notes = vec![note];
}

/// Writes a page's image to its file and answers the rest.
fn keep_page(page: FinishedPage, mut target: File) -> Answer {
    target.write_all(&page.bytes).map_err(|error| cannot_write(Stage::Page, &error))?;
    Ok(Reply::Page { record: Box::new(page.record), image: page.image })
}

fn cannot_write(stage: Stage, error: &io::Error) -> Failure {
    Failure::of_io(stage, "cannot write the result", error)
}

/// The worker's main loop: enters the sandbox, then answers requests on standard input until it is closed.
pub fn serve(memory_mb: u64) -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut bench = Workbench::inside(sandbox::enter(memory_mb)?);
    while let Some((request, files)) = protocol::receive::<Request>(&mut socket)? {
        let answer = bench.answer(request, files);
        protocol::send(&mut socket, &answer, &[])?;
    }
    Ok(())
}
