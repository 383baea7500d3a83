//! Cover and separator sheets, to be printed and put before the first page of a document.
//!
//! A sheet says the same thing several times, for paper is turned, photocopied and jammed: a patch code along each
//! edge, which any scanner and program reads; a QR code with the values, large enough for the coarsest scan; a Code
//! 128 that says that there are values, so that their loss is noticed; and all of it in letters for people. Everything
//! is drawn as shapes: no printer has to have a font.

use pdf_writer::{Content, Filter, Finish as _, Pdf, Rect, Ref, TextStr};
use platen_model::{Failure, FailureClass, Stage};
use rxing::oned::{Code128Writer, OneDimensionalCodeWriter as _};
use serde::{Deserialize, Serialize};

use super::lettering::{Lettering, UNITS};
use super::metadata::{self, deflate};
use super::qr::qr_code;
use crate::separate::{ANY_SHEET, Patch, SheetValues};

/// Points in an inch.
const INCH: f32 = 72.0;
/// A bar or a space of a patch code, in points; a wide bar is two and a half.
const PATCH_UNIT: f32 = 0.08 * INCH;
/// From the edge of the paper to the first bar, in points: no printer prints to the edge.
const EDGE: f32 = 0.4 * INCH;
/// From the edge of the paper to where other things may stand, in points.
const INNER: f32 = EDGE + 10.0 * PATCH_UNIT + 0.25 * INCH;
/// The side of the QR code, in points.
const QR_SIDE: f32 = 2.6 * INCH;
/// A module of the Code 128, in points.
const BAR: f32 = 1.3;
/// The most lines of values in letters; the code has them all.
const LINES_MAX: usize = 10;

/// The paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Paper {
    /// 210 by 297 mm.
    #[default]
    A4,
    /// 8.5 by 11 inches.
    Letter,
}

impl Paper {
    fn points(self) -> (f32, f32) {
        match self {
            Self::A4 => (595.28, 841.89),
            Self::Letter => (612.0, 792.0),
        }
    }
}

/// A sheet with these values and this patch code, as a PDF of one page.
///
/// # Errors
///
/// Where the values make no code: a fault of ours, for [`SheetValues`] holds none that do not.
pub fn sheet(values: &SheetValues, patch: Patch, paper: Paper) -> Result<Vec<u8>, Failure> {
    let (width, height) = paper.points();
    let mut content = Content::new();
    patches(&mut content, patch, width, height);

    let mut baseline = height - INNER - 40.0;
    let title = if values.is_empty() { "Separator" } else { "Cover sheet" };
    centred(&mut content, title, 34.0, width, baseline);
    baseline -= 22.0;
    let help = "Put this sheet before the first page of a document and scan them together.";
    centred(&mut content, help, 10.0, width, baseline);
    baseline -= 30.0;
    for (name, value) in values.iter().take(LINES_MAX) {
        centred(&mut content, &format!("{name}: {value}"), 18.0, width, baseline);
        baseline -= 24.0;
    }
    let left_out = values.iter().count().saturating_sub(LINES_MAX);
    if left_out > 0 {
        centred(&mut content, &format!("and {left_out} more in the code"), 12.0, width, baseline);
    }

    let bars_at = INNER + 24.0;
    if !values.is_empty() {
        qr(&mut content, &values.text(), (width - QR_SIDE) / 2.0, bars_at + 70.0)?;
        code_128(&mut content, ANY_SHEET, width, bars_at)?;
        centred(&mut content, ANY_SHEET, 9.0, width, bars_at - 12.0);
    }
    Ok(written(&content.finish(), title, (width, height)))
}

/// The patch code along each edge, to be read from the edge inward.
fn patches(content: &mut Content, patch: Patch, width: f32, height: f32) {
    let mut at = EDGE;
    for wide in patch.wide_bars() {
        let bar = if wide { 2.5 * PATCH_UNIT } else { PATCH_UNIT };
        let (long, high) = (width - 2.0 * INNER, height - 2.0 * INNER);
        content.rect(INNER, height - at - bar, long, bar).rect(INNER, at, long, bar);
        content.rect(at, INNER, bar, high).rect(width - at - bar, INNER, bar, high);
        at += bar + PATCH_UNIT;
    }
    content.fill_nonzero();
}

fn qr(content: &mut Content, text: &str, left: f32, bottom: f32) -> Result<(), Failure> {
    let code = qr_code(text)?;
    let side = QR_SIDE / code.len() as f32;
    for (y, row) in code.iter().enumerate() {
        let top = bottom + QR_SIDE - (y + 1) as f32 * side;
        // Each run of dark modules is one rectangle, so that no seams show between them.
        let mut x = 0;
        for run in row.chunk_by(|one, next| one == next) {
            if run[0] {
                content.rect(left + x as f32 * side, top, run.len() as f32 * side, side);
            }
            x += run.len();
        }
    }
    content.fill_nonzero();
    Ok(())
}

fn code_128(content: &mut Content, text: &str, width: f32, bottom: f32) -> Result<(), Failure> {
    let modules = Code128Writer.encode_oned(text).map_err(|error| failed(&error))?;
    let left = (width - modules.len() as f32 * BAR) / 2.0;
    let mut at = 0;
    for run in modules.chunk_by(|one, next| one == next) {
        if run[0] {
            content.rect(left + at as f32 * BAR, bottom, run.len() as f32 * BAR, 0.55 * INCH);
        }
        at += run.len();
    }
    content.fill_nonzero();
    Ok(())
}

/// A line of letters in the middle, smaller where it would not fit.
fn centred(content: &mut Content, text: &str, size: f32, width: f32, baseline: f32) {
    let lettering = Lettering::of(text);
    let natural = lettering.width as f32 / UNITS as f32;
    let size = size.min((width - 2.0 * INNER) / natural.max(0.01));
    let (scale, left) = (size / UNITS as f32, (width - natural * size) / 2.0);
    content.save_state().transform([scale, 0.0, 0.0, scale, left, baseline]);
    lettering.write(content);
    content.restore_state();
}

fn written(content: &[u8], title: &str, (width, height): (f32, f32)) -> Vec<u8> {
    let [catalog, pages, page, contents, info] = [1, 2, 3, 4, 5].map(Ref::new);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(pages);
    pdf.pages(pages).kids([page]).count(1);
    let mut writer = pdf.page(page);
    writer.parent(pages).media_box(Rect::new(0.0, 0.0, width, height)).contents(contents);
    writer.resources().finish();
    writer.finish();
    pdf.stream(contents, &deflate(content)).filter(Filter::FlateDecode);
    pdf.document_info(info).title(TextStr(title)).producer(TextStr(metadata::PRODUCER));
    pdf.finish()
}

fn failed(error: &rxing::Exceptions) -> Failure {
    Failure::new(FailureClass::Internal, Stage::Bind, format!("the values make no code: {error}"))
}
