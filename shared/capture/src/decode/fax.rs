//! Pages in CCITT coding (ITU-T T.4 and T.6), as TIFF files and PDFs of scanners and fax machines hold them.
//!
//! `hayro-ccitt` finds the runs, this module lays them out as samples, a row at a time. Group 4 has no points to
//! start again from, so a broken code means a broken page; a group 3 line that the telephone damaged is left
//! white, as fax machines do.

use hayro_ccitt::{DecodeError, DecodeSettings, Decoder, DecoderContext, EncodingMode, decode};
use image::GrayImage;

use super::Fault;
use platen_model::FailureClass;

const BLACK: u8 = 0;
const WHITE: u8 = 255;

/// How a page is coded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coding {
    pub(super) mode: EncodingMode,
    pub(super) width: u32,
    /// Whether each row begins with a byte.
    pub(super) rows_are_bytes: bool,
    /// Whether coded black is to be shown white.
    pub(super) inverted: bool,
}

/// A page that is being put together from its strips.
pub(super) struct Page {
    coding: Coding,
    height: u32,
    samples: Vec<u8>,
    /// Whether every strip kept every rule of its coding.
    flawless: bool,
}

impl Page {
    /// A page without rows. Its size must be within the limits.
    pub(super) fn new(coding: Coding, height: u32) -> Self {
        let samples = Vec::with_capacity(coding.width as usize * height as usize);
        Self { coding, height, samples, flawless: true }
    }

    /// Decodes the next strip, of at most `rows` rows.
    ///
    /// # Errors
    ///
    /// `truncated` where rows are missing and the coding does not say that the page ends there, `corrupt` where
    /// the data break the rules.
    pub(super) fn add(&mut self, strip: &[u8], rows: u32) -> Result<(), Fault> {
        let rows = rows.min(self.height.saturating_sub(self.rows()));
        let before = self.samples.len();
        let wanted = before + rows as usize * self.coding.width as usize;
        let strictly = self.decode(strip, rows, true);
        if strictly.is_err() || self.samples.len() < wanted {
            self.flawless = false;
            self.samples.truncate(before);
            match self.decode(strip, rows, false) {
                Ok(()) => {}
                Err(DecodeError::UnexpectedEof) => return Err(cut_off()),
                Err(_) => {
                    return Err(Fault::corrupt("the page's data break the rules of their CCITT coding"));
                }
            }
        }
        // The code of the end says that the page is shorter than announced; anything else is a loss.
        if self.samples.len() < wanted && !says_its_end(strip, self.coding.mode) {
            return Err(cut_off());
        }
        self.samples.resize(wanted, WHITE);
        Ok(())
    }

    /// The page, and whether its data kept every rule.
    pub(super) fn finish(mut self) -> (GrayImage, bool) {
        self.flawless &= self.rows() == self.height;
        self.samples.resize(self.coding.width as usize * self.height as usize, WHITE);
        let image = GrayImage::from_raw(self.coding.width, self.height, self.samples)
            .expect("it was filled to its size");
        (image, self.flawless)
    }

    /// Whether it has no row yet.
    pub(super) fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    fn rows(&self) -> u32 {
        (self.samples.len() / self.coding.width.max(1) as usize) as u32
    }

    fn decode(&mut self, strip: &[u8], rows: u32, strict: bool) -> hayro_ccitt::Result<()> {
        let settings = DecodeSettings {
            columns: self.coding.width,
            rows,
            end_of_block: true,
            end_of_line: false,
            rows_are_byte_aligned: self.coding.rows_are_bytes,
            encoding: self.coding.mode,
            strict,
        };
        let room = rows as usize * self.coding.width as usize;
        let mut rows = Rows {
            width: self.coding.width as usize,
            first: if self.coding.inverted { BLACK } else { WHITE },
            end: self.samples.len() + room,
            samples: &mut self.samples,
        };
        decode(strip, &mut rows, &mut DecoderContext::new(settings)).map(drop)
    }
}

fn cut_off() -> Fault {
    Fault::new(FailureClass::Truncated, "the page's data end before its last row")
}

/// Takes rows as their changes of colour.
struct Rows<'s> {
    width: usize,
    /// The colour that each row begins with.
    first: u8,
    /// How many samples there may be.
    end: usize,
    samples: &'s mut Vec<u8>,
}

impl Decoder for Rows<'_> {
    fn push_row(&mut self, changes: &[u32]) {
        let begin = self.samples.len();
        if begin + self.width > self.end {
            return;
        }
        self.samples.resize(begin + self.width, self.first);
        let row = &mut self.samples[begin..];
        for run in changes.chunks(2) {
            let from = run[0] as usize;
            let to = run.get(1).map_or(row.len(), |&to| to as usize);
            row[from..to].fill(!self.first);
        }
    }
}

/// Whether the data end with the code that is the end of a page in their coding.
fn says_its_end(strip: &[u8], mode: EncodingMode) -> bool {
    match mode {
        EncodingMode::Group4 => ends_with_end_of_block(strip),
        EncodingMode::Group3_1D => ends_with_ends_of_lines(strip, 1),
        // A one behind an end of line says that the next row refers to none.
        EncodingMode::Group3_2D => ends_with_ends_of_lines(strip, 2),
    }
}

/// Whether the data end with two ends of lines, which are never together but at the end of a page in group 3 (T.4, 4.1.4
/// and 4.2.4): eleven zeros, or more where they fill a byte, and at most so many ones. Some padding may follow.
fn ends_with_ends_of_lines(strip: &[u8], ones_max: u32) -> bool {
    let end = strip.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let tail = &strip[end.saturating_sub(8)..end];
    let mut tail = tail.iter().fold(0u64, |tail, &byte| tail << 8 | u64::from(byte));
    tail >>= tail.trailing_zeros().min(7);
    (0..2).all(|_| {
        let ones = tail.trailing_ones();
        tail = tail.checked_shr(ones).unwrap_or(0);
        let zeros = tail.trailing_zeros();
        tail = tail.checked_shr(zeros).unwrap_or(0);
        (1..=ones_max).contains(&ones) && zeros >= 11
    })
}

/// Whether the data end with the end-of-block code of group 4 (T.6, 2.4.1.1): twice eleven zeros and a one, then
/// at most some padding.
pub(super) fn ends_with_end_of_block(strip: &[u8]) -> bool {
    let end = strip.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    let tail = strip[end.saturating_sub(4)..end].iter().fold(0u64, |tail, &byte| tail << 8 | u64::from(byte));
    (0..8).any(|padding| tail >> padding & 0xff_ffff == 0x00_1001)
}
