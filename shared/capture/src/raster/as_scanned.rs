//! The least that can be done with a page: it is decoded, and coded for the PDF as it lies.
//!
//! For a page on which something better failed. Nothing here looks at what is on it, so that nothing can fail but
//! decoding and coding.

use platen_model::{Failure, PageRecord};

use super::encode::{self, Lettering};
use super::{Clock, FinishedPage, incoming, resolution};
use crate::decode::Document;
use crate::options::Options;

/// Decodes one page and codes its image for the PDF: not turned, not straightened, not read.
///
/// # Errors
///
/// A page that cannot be decoded.
pub fn as_scanned(input: &mut Document, page: u32, options: &Options) -> Result<FinishedPage, Failure> {
    let mut clock = Clock::start();
    let picture = input.page(page, &options.limits)?;
    clock.lap("decode");
    let incoming = input.makeup(page)?.map(|makeup| incoming::judged(makeup, false));
    let dpi = resolution::of(picture.dimensions(), picture.dpi, None);
    let size = picture.dimensions();
    let (image, bytes) = encode::encode(picture, Lettering::unknown(dpi), options.profile)?;
    clock.lap("encode");
    let record = PageRecord {
        index: page,
        width_px: size.0,
        height_px: size.1,
        dpi,
        incoming,
        timings_ms: clock.laps,
        ..PageRecord::default()
    };
    Ok(FinishedPage { record, image, bytes })
}
