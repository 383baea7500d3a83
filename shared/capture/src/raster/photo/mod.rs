//! Phone photos: from a sheet lying on a table to a page.
//!
//! A photo is taken for one only where the sheet's four edges are found, lie at the angles a camera sees, and stand
//! out from the ground all along. Everything else, and above all a scan with a dark border, stays as it is: a
//! page that was bent by mistake is worse than a photo that was not.
//!
//! A sheet seen from straight above lies in its photo as in a scan. It is cut out where the picture is a camera's by its
//! shape and its noise, and no scanner states its resolution.

mod quad;
mod sheet;
mod warp;

use platen_model::Photo;

use crate::decode::{Picture, Samples};
use quad::Corners;

/// What the notes of a page say when it is a photo whose edges were not found.
pub(super) const EDGES_NOT_FOUND: &str =
    "The page's edges were not found in this photo; its perspective is kept.";
/// A sheet found with less confidence than this is not corrected.
const CONFIDENCE_MIN: f32 = 0.6;
/// A sheet whose opposite sides are closer to parallel than this was scanned, unless the picture is a camera's.
const PERSPECTIVE_MIN_DEG: f32 = 1.0;
/// A camera states 72 dots an inch, or nothing. What states this much was scanned.
const SCANNER_DPI_MIN: u32 = 150;
/// The shapes of cameras' pictures, the longer side by the shorter. No office paper has one of these.
const CAMERA_SHAPES: [f32; 3] = [4.0 / 3.0, 3.0 / 2.0, 16.0 / 9.0];
/// See [`CAMERA_SHAPES`]: how exactly pictures have them.
const CAMERA_SHAPE_OFF: f32 = 0.01;

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
    if quad::perspective_deg(&sheet.corners) < PERSPECTIVE_MIN_DEG
        && !is_of_a_camera(&picture, &sheet.corners)
    {
        return (picture, None);
    }
    let samples = warp::flattened(&picture.samples, &sheet.corners);
    // The file's resolution, if any, was the camera's guess.
    let picture = Picture { samples, dpi: None, original: None, ..picture };
    (picture, Some(Photo { confidence, corrected: true }))
}

/// Whether a picture in which a sheet lies flat was taken by a camera: a scan, a slide and a cover with a white panel look
/// alike, and what lies around the panel is content.
fn is_of_a_camera(picture: &Picture, corners: &Corners) -> bool {
    let Samples::Rgb(samples) = &picture.samples else { return false };
    let (width, height) = (samples.width() as f32, samples.height() as f32);
    let shape = width.max(height) / width.min(height);
    picture.dpi.is_none_or(|dpi| dpi < SCANNER_DPI_MIN)
        && CAMERA_SHAPES.iter().any(|camera| (shape / camera - 1.0).abs() < CAMERA_SHAPE_OFF)
        && !sheet::is_ground_drawn(samples, corners)
}

#[cfg(test)]
mod tests;
