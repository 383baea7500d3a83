//! TIFF: many pages, many codings.
//!
//! CCITT pages are decoded from their strips here, all other usual codings in [`super::tiff_samples`]. What is left (old
//! JPEG, CIELab, numbers with a point, odd depths) Leptonica decodes from memory, which takes seven bytes a pixel beside
//! the picture: a large page of that kind passes a worker's memory. A page in a single strip of plain group 4 keeps
//! that strip beside its samples: a page that needs no turning is stored as the scanner coded it. Small copies of pages
//! are no pages, nor are masks.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};

use hayro_ccitt::EncodingMode;
use image::metadata::Orientation;
use platen_model::FailureClass;

use super::document::read_all;
use super::fax;
use super::picture::{Original, Picture, Samples};
use super::tiff_directory::{Chain, Directory};
use super::tiff_samples;
use super::tiff_source::{At, Patch};
use super::{Fault, within_pixel_limit};
use crate::inspection::Feature;
use crate::ocr::leptonica::{self, Decoded};
use crate::options::Limits;

const WHITE_IS_ZERO: u64 = 0;
const BLACK_IS_ZERO: u64 = 1;

const MODIFIED_HUFFMAN: u64 = 2;
const GROUP_3: u64 = 3;
const GROUP_4: u64 = 4;
/// Of [`Directory::t4_options`].
const T4_TWO_DIMENSIONS: u64 = 1;

/// An open file.
#[derive(Debug)]
pub(super) struct Tiff {
    file: File,
    length: u64,
    chain: Chain,
    /// Its bytes, once a page had to be decoded from memory.
    bytes: Option<Vec<u8>>,
}

impl Tiff {
    pub(super) fn open(file: File) -> Result<Self, Fault> {
        let length = file.metadata()?.len();
        Ok(Self { file, length, chain: Chain::default(), bytes: None })
    }

    /// Counts the pages. A single one that is too large is for its own decoding to say; a file that holds no other
    /// is refused.
    pub(super) fn count_pages(&mut self, limits: &Limits) -> Result<u32, Fault> {
        let source = BufReader::new(At::beginning(&self.file)?);
        let (mut too_large, mut others) = (None, 0u32);
        let pages = self.chain.walk(source, limits, |number, page| {
            whole(number, page, self.length)?;
            match within_pixel_limit(page.width, page.height, limits) {
                Ok(()) => others += 1,
                Err(fault) => too_large = too_large.take().or(Some(fault)),
            }
            Ok(())
        })?;
        match too_large {
            Some(fault) if others == 0 => Err(fault),
            _ => Ok(pages),
        }
    }

    /// What else is in the file; known after its pages were counted.
    pub(super) fn features(&self) -> Vec<Feature> {
        match self.chain.thumbnails() {
            0 => Vec::new(),
            count => vec![Feature::Thumbnails { count }],
        }
    }

    /// Decodes page `page` (from 0).
    pub(super) fn page(&mut self, page: u32, limits: &Limits) -> Result<Picture, Fault> {
        let source = BufReader::new(At::beginning(&self.file)?);
        let (directory, patch) = self.chain.directory(source, page, limits)?;
        whole(u64::from(page) + 1, &directory, self.length)?;
        within_pixel_limit(directory.width, directory.height, limits)?;

        let picture = match decode(&self.file, &directory) {
            Ok(picture) => oriented(picture, &directory),
            Err(fault) if fault.class == FailureClass::Unsupported => {
                self.through_leptonica(&directory, patch)?
            }
            Err(fault) => return Err(fault),
        };
        Ok(match directory.resolution {
            Some((x, y)) if directory.orientation >= 5 => picture.with_stated_resolution(y, x),
            Some((x, y)) => picture.with_stated_resolution(x, y),
            None => picture,
        })
    }

    fn through_leptonica(&mut self, page: &Directory, patch: Patch) -> Result<Picture, Fault> {
        let bytes = match self.bytes.take() {
            Some(bytes) => self.bytes.insert(bytes),
            None => self.bytes.insert(read_all(&self.file)?),
        };
        patch.apply(bytes);
        match leptonica::decode_tiff_page(bytes, 0) {
            Some(Decoded::Bitonal(image)) => Ok(Picture::new(Samples::Bitonal(image))),
            Some(Decoded::Gray(image)) => Ok(Picture::new(Samples::Gray(image))),
            Some(Decoded::Rgb(image)) => Ok(Picture::new(Samples::Rgb(image))),
            None if !matches!(page.sample_format, 1 | 4) => {
                let kind = if page.sample_format == 2 { "signed" } else { "floating-point or complex" };
                let message = format!(
                    "its samples are {kind} numbers of {} bits, as measurements are and scans are not; let the \
                     device write gray or colours of 8 or 16 bits",
                    page.bits
                );
                Err(Fault::new(FailureClass::Unsupported, message))
            }
            None if usual(page.compression) && matches!(page.bits, 24 | 32 | 64) => {
                let message = format!(
                    "its samples are whole numbers of {} bits, as measurements are and scans are not; let the \
                     device write gray or colours of 8 or 16 bits",
                    page.bits
                );
                Err(Fault::new(FailureClass::Unsupported, message))
            }
            None if usual(page.compression) => {
                Err(Fault::corrupt("the page's data break the rules of their coding"))
            }
            None => {
                let message = format!(
                    "the page is in TIFF compression {}, which cannot be read; let the device write group 4, \
                     JPEG or PDF",
                    page.compression
                );
                Err(Fault::new(FailureClass::Unsupported, message))
            }
        }
    }
}

fn whole(number: u64, page: &Directory, length: u64) -> Result<(), Fault> {
    if page.data_end <= length {
        return Ok(());
    }
    let message = format!("page {number} needs {} bytes, the file has {length}", page.data_end);
    Err(Fault::new(FailureClass::Truncated, message))
}

/// Decodes a page; `unsupported` is for Leptonica to try.
fn decode(file: &File, page: &Directory) -> Result<Picture, Fault> {
    match ccitt(page) {
        Some(coding) => from_strips(file, page, coding),
        None => tiff_samples::decoded(file, page),
    }
}

/// How a CCITT page is coded; `None` for others, and for CCITT in odd forms.
fn ccitt(page: &Directory) -> Option<fax::Coding> {
    let mode = match page.compression {
        MODIFIED_HUFFMAN => EncodingMode::Group3_1D,
        GROUP_3 if page.t4_options & T4_TWO_DIMENSIONS == 0 => EncodingMode::Group3_1D,
        GROUP_3 => EncodingMode::Group3_2D,
        GROUP_4 => EncodingMode::Group4,
        _ => return None,
    };
    let plain = page.bits == 1 && page.samples == 1 && !page.strips.is_empty() && page.rows_per_strip > 0;
    let shown = matches!(page.photometric, WHITE_IS_ZERO | BLACK_IS_ZERO);
    (plain && shown).then_some(fax::Coding {
        mode,
        width: u32::try_from(page.width).ok()?,
        rows_are_bytes: page.compression == MODIFIED_HUFFMAN,
        inverted: page.photometric == BLACK_IS_ZERO,
    })
}

fn from_strips(file: &File, page: &Directory, coding: fax::Coding) -> Result<Picture, Fault> {
    let height = u32::try_from(page.height).unwrap_or(u32::MAX);
    let rows = u32::try_from(page.rows_per_strip).unwrap_or(u32::MAX).min(height);
    let mut image = fax::Page::new(coding, height);
    let mut source = At::beginning(file)?;
    let mut strip = Vec::new();
    for &(offset, count) in &page.strips {
        strip.resize(usize::try_from(count).unwrap_or(usize::MAX), 0);
        source.seek(SeekFrom::Start(offset))?;
        source.read_exact(&mut strip)?;
        if page.low_bit_first {
            strip.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        image.add(&strip, rows)?;
    }
    let is_cut = (page.strips.len() as u64).saturating_mul(rows.into()) < u64::from(height);
    let (image, flawless) = image.finish();
    let mut picture = Picture::bitonal(image);
    if is_cut {
        // White stands where the directory names no strips.
        return Ok(picture.damaged());
    }
    let storable = coding.mode == EncodingMode::Group4 && !coding.inverted && page.strips.len() == 1;
    if storable && flawless && fax::ends_with_end_of_block(&strip) {
        picture.original = Some(Original::CcittG4(strip));
    }
    Ok(picture)
}

/// Whether this coding is one that devices write today: none, CCITT, LZW, JPEG, Deflate, PackBits.
fn usual(compression: u64) -> bool {
    matches!(compression, 1..=5 | 7 | 8 | 32_773 | 32_946)
}

fn oriented(picture: Picture, page: &Directory) -> Picture {
    picture.oriented(Orientation::from_exif(page.orientation).unwrap_or(Orientation::NoTransforms))
}
