//! A file that stays open between its pages.
//!
//! Reading a PDF's table of objects or walking a TIFF's chain of directories once for each page would make a
//! file of a thousand pages cost a million steps. A worker therefore keeps the file of its last request open on
//! its [`Desk`]: one file, never more, so that what it holds stays bounded.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use platen_model::{Failure, FailureClass, Rect, Stage, Word};

use super::tiff::Tiff;
use super::tiff_source::At;
use super::{Fault, PDF_LEAD_BYTES, frames, guarded, jpeg2000, pdf, sniff, still, within_file_limit};
use crate::Kind;
use crate::decode::Picture;
use crate::inspection::{Feature, Inspection};
use crate::options::Limits;
use crate::passwords::Passwords;

/// An open file.
#[derive(Debug)]
pub struct Document {
    kind: Kind,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Tiff(Tiff),
    Pdf(pdf::Open),
    /// A file of one picture.
    Picture(File),
}

impl Document {
    /// Opens a file; what it is, is decided by its bytes alone.
    ///
    /// # Errors
    ///
    /// `empty`, `truncated`, `corrupt`, `locked`, `unsupported`, `too_large`: the message says what was found,
    /// and names the limit where one was passed.
    pub fn open(file: File, limits: &Limits) -> Result<Self, Failure> {
        Self::open_locked(file, limits, &Passwords::default())
    }

    /// The same for a file that may be locked, with passwords to try on it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); `locked` where it asks for a password and none of these is it.
    pub fn open_locked(file: File, limits: &Limits, passwords: &Passwords) -> Result<Self, Failure> {
        guarded(|| Self::from_file(file, limits, passwords)).map_err(|fault| fault.at(Stage::Inspect))
    }

    fn from_file(file: File, limits: &Limits, passwords: &Passwords) -> Result<Self, Fault> {
        let length = file.metadata()?.len();
        if length == 0 {
            return Err(Fault::new(FailureClass::Empty, "the file has no bytes"));
        }
        within_file_limit(length, limits)?;
        let kind = sniff(&head(&file)?)?;
        let body = match kind {
            Kind::Tiff => Body::Tiff(Tiff::open(file)?),
            Kind::Pdf => Body::Pdf(pdf::Open::new(file, passwords)?),
            Kind::Jpeg | Kind::Png | Kind::Webp | Kind::Bmp | Kind::Gif | Kind::Jpeg2000 => {
                Body::Picture(file)
            }
        };
        Ok(Self { kind, body })
    }

    /// Finds out what the file is: it reads headers and directories, no pixels.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and `no_pages`.
    pub fn inspect(&mut self, limits: &Limits) -> Result<Inspection, Failure> {
        let plain = Inspection::plain;
        guarded(|| match &mut self.body {
            Body::Tiff(tiff) => {
                let pages = tiff.count_pages(limits)?;
                Ok(Inspection { features: tiff.features(), ..plain(Kind::Tiff, pages) })
            }
            Body::Pdf(pdf) => pdf.inspect(limits),
            Body::Picture(file) if self.kind == Kind::Jpeg2000 => {
                jpeg2000::inspect(&read_all(file)?, limits).map(|()| plain(self.kind, 1))
            }
            Body::Picture(file) => {
                let bytes = read_all(file)?;
                still::inspect(&bytes, self.kind, limits)?;
                let features = match frames::count(&bytes, self.kind) {
                    1 => Vec::new(),
                    count => vec![Feature::Pictures { count }],
                };
                Ok(Inspection { features, ..plain(self.kind, 1) })
            }
        })
        .map_err(|fault| fault.at(Stage::Inspect))
    }

    /// Decodes page `page` (from 0).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open): what only shows when a page is decoded is said here.
    pub fn page(&mut self, page: u32, limits: &Limits) -> Result<Picture, Failure> {
        guarded(|| match &mut self.body {
            Body::Tiff(tiff) => tiff.page(page, limits),
            Body::Pdf(pdf) => pdf.page(page, limits),
            Body::Picture(file) if self.kind == Kind::Jpeg2000 => jpeg2000::page(&read_all(file)?, limits),
            Body::Picture(file) => still::page(file, self.kind, limits),
        })
        .map_err(|fault| fault.at(Stage::Page))
    }

    /// What page `page` (from 0) of a PDF is made of; `None` for pages of other files.
    ///
    /// # Errors
    ///
    /// As [`page`](Self::page).
    pub fn makeup(&mut self, page: u32) -> Result<Option<Makeup>, Failure> {
        let Body::Pdf(pdf) = &self.body else { return Ok(None) };
        guarded(|| pdf.makeup(page).map(Some)).map_err(|fault| fault.at(Stage::Page))
    }

    /// The PDF, where the file is one.
    pub(crate) fn pdf(&mut self) -> Option<&mut pdf::Open> {
        match &mut self.body {
            Body::Pdf(pdf) => Some(pdf),
            Body::Tiff(_) | Body::Picture(_) => None,
        }
    }

    /// Where page `page` (from 0) of a PDF draws letters that nothing hides, however few and whatever they say, on its decoded
    /// picture, whose size this is.
    pub(crate) fn letters(&mut self, page: u32, size: (u32, u32)) -> Vec<Rect> {
        let Body::Pdf(pdf) = &self.body else { return Vec::new() };
        guarded(|| Ok(pdf.letters(page, size))).unwrap_or_default()
    }

    /// The words that page `page` (from 0) brings with it and shows, as they stand on its decoded picture, whose size
    /// this is. `None` where the file holds no text, or none that can be told for certain.
    pub fn words(&mut self, page: u32, size: (u32, u32)) -> Option<Vec<Word>> {
        let Body::Pdf(pdf) = &self.body else { return None };
        // What the decoder does not understand is left to recognition.
        guarded(|| Ok(pdf.words(page, size))).ok().flatten()
    }
}

/// What a page of a PDF is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makeup {
    /// Images make up the page.
    Scan,
    /// It was drawn by a program: what images there are, are in it, or under its text.
    Drawn,
    /// It cannot be taken out of its document without looking different, for this reason.
    Bound(&'static str),
}

/// Where a worker keeps the file that it has open.
#[derive(Debug, Default)]
pub struct Desk {
    open: Option<(Identity, Document)>,
}

impl Desk {
    /// The document of this file: the one that lies open, if it is that, or else this one in its place.
    ///
    /// # Errors
    ///
    /// As [`Document::open`].
    pub fn lay(
        &mut self,
        file: File,
        limits: &Limits,
        passwords: &Passwords,
    ) -> Result<&mut Document, Failure> {
        let identity = Identity::of(&file).map_err(|fault| fault.at(Stage::Inspect))?;
        if self.open.as_ref().is_some_and(|(open, _)| *open != identity) {
            self.clear();
        }
        let (_, document) = match self.open.take() {
            Some(open) => self.open.insert(open),
            None => self.open.insert((identity, Document::open_locked(file, limits, passwords)?)),
        };
        Ok(document)
    }

    /// Puts the file away and frees what it held.
    pub fn clear(&mut self) {
        self.open = None;
    }
}

/// What tells one file from another, and from itself after a change.
///
/// A number may be given to a new file once the old one is gone; length and times are then others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(file: &File) -> Result<Self, Fault> {
        let of = file.metadata()?;
        Ok(Self {
            device: of.dev(),
            inode: of.ino(),
            length: of.len(),
            modified: (of.mtime(), of.mtime_nsec()),
            changed: (of.ctime(), of.ctime_nsec()),
        })
    }
}

pub(super) fn head(file: &File) -> Result<Vec<u8>, Fault> {
    let mut head = Vec::with_capacity(PDF_LEAD_BYTES + 8);
    At::beginning(file)?.take(PDF_LEAD_BYTES as u64 + 8).read_to_end(&mut head)?;
    Ok(head)
}

/// The file's bytes. Its length was held to the limit before.
pub(super) fn read_all(file: &File) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(usize::try_from(file.metadata()?.len()).unwrap_or(0));
    At::beginning(file)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}
