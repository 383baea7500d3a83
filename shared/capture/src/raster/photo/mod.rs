//! Phone photos: from a sheet lying on a table to a page.
//!
//! A photo is taken for one only where the sheet's four edges are found, lie at the angles a camera sees, and stand
//! out from the ground all along. Everything else, and above all a scan with a dark border, stays as it is: a
//! page that was bent by mistake is worse than a photo that was not.

mod quad;
mod sheet;
mod warp;

use platen_model::Photo;

use crate::decode::{Picture, Samples};

/// What the notes of a page say when it is a photo whose edges were not found.
pub(super) const EDGES_NOT_FOUND: &str =
    "The page's edges were not found in this photo; it is kept as it is.";
/// A sheet found with less confidence than this is not corrected.
const CONFIDENCE_MIN: f32 = 0.6;
/// A sheet whose opposite sides are closer to parallel than this was scanned, or needs no correction.
const PERSPECTIVE_MIN_DEG: f32 = 1.0;
/// A camera states 72 dots an inch, or nothing. What states this much was scanned.
const SCANNER_DPI_MIN: u32 = 150;

/// The picture with the perspective taken out, or as it came; and what was seen, where it is a photo of a sheet.
pub(super) fn rectified(picture: Picture) -> (Picture, Option<Photo>) {
    if matches!(picture.samples, Samples::Bitonal(_)) || !sheet::has_ground(&picture.samples) {
        return (picture, None);
    }
    let seen = sheet::find(&picture.samples);
    let confidence = seen.sheet.as_ref().map_or(0.0, |sheet| sheet.confidence.clamp(0.0, 1.0));
    let Some(sheet) = seen.sheet.filter(|sheet| sheet.confidence >= CONFIDENCE_MIN) else {
        let is_photo = seen.is_photo && picture.dpi.is_none_or(|dpi| dpi < SCANNER_DPI_MIN);
        return (picture, is_photo.then_some(Photo { confidence, corrected: false }));
    };
    if quad::perspective_deg(&sheet.corners) < PERSPECTIVE_MIN_DEG {
        return (picture, None);
    }
    let samples = warp::flattened(&picture.samples, &sheet.corners);
    // The file's resolution, if any, was the camera's guess.
    let picture = Picture { samples, dpi: None, original: None, ..picture };
    (picture, Some(Photo { confidence, corrected: true }))
}

#[cfg(test)]
mod tests;
