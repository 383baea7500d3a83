//! The least that can be done with a page: it is decoded, and coded for the PDF as it lies.
//!
//! For a page on which something better failed, or that cannot be bound as it came ([`as_picture`]). Nothing here looks at
//! what is on it, so that nothing can fail but decoding and coding.

use platen_model::{Failure, Lack, PageRecord};

use super::encode::{self, Lettering};
use super::{Clock, FinishedPage, incoming, resolution, turn};
use crate::decode::Document;
use crate::inspection::PageImage;
use crate::options::Options;

/// Decodes one page and codes its image for the PDF: not turned, not straightened, not read.
///
/// # Errors
///
/// A page that cannot be decoded.
pub fn as_scanned(input: &mut Document, page: u32, options: &Options) -> Result<FinishedPage, Failure> {
    let mut clock = Clock::start();
    let mut picture = input.page(page, &options.limits)?;
    let (notes, is_incomplete) = (std::mem::take(&mut picture.remarks), picture.is_incomplete);
    clock.lap("decode");
    let incoming = input.makeup(page)?.map(|makeup| incoming::judged(makeup, false));
    let dpi = resolution::of(picture.dimensions(), picture.dpi, None);
    let size = picture.dimensions();
    let (image, bytes) = if incoming.as_ref().is_some_and(|incoming| incoming.kept) {
        (PageImage::none(size), Vec::new())
    } else {
        encode::encode(picture, Lettering::unknown(dpi), options.profile)?
    };
    clock.lap("encode");
    let record = PageRecord {
        index: page,
        width_px: size.0,
        height_px: size.1,
        dpi,
        incoming,
        notes,
        lacks: is_incomplete.then_some(Lack::Content),
        timings_ms: clock.laps,
        ..PageRecord::default()
    };
    Ok(FinishedPage { record, image, bytes })
}

/// Decodes one page and codes its image for the PDF, turned clockwise by quarters and otherwise as it lies, whether or not
/// the page would be kept as it came. Its record says nothing but how large it is.
///
/// # Errors
///
/// A page that cannot be decoded.
pub fn as_picture(
    input: &mut Document,
    page: u32,
    turned_deg: u32,
    options: &Options,
) -> Result<FinishedPage, Failure> {
    let mut picture = input.page(page, &options.limits)?;
    if turned_deg != 0 {
        picture.samples = turn::by_quarters(picture.samples, turned_deg);
        picture.original = None;
    }
    let size = picture.dimensions();
    let dpi = resolution::of(size, picture.dpi, None);
    let (image, bytes) = encode::encode(picture, Lettering::unknown(dpi), options.profile)?;
    let record =
        PageRecord { index: page, width_px: size.0, height_px: size.1, dpi, ..PageRecord::default() };
    Ok(FinishedPage { record, image, bytes })
}
