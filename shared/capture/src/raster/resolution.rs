//! A page's resolution: what the file says where that makes sense, else what its size suggests.

use super::ink::long_side;

/// Sides of common papers in inches, the longer first: A4, letter, legal, A5.
const PAPERS: [(f64, f64); 4] = [(11.69, 8.27), (11.0, 8.5), (14.0, 8.5), (8.27, 5.83)];
/// What scanners offer.
const USUAL_DPI: [u32; 9] = [75, 100, 150, 200, 240, 300, 400, 600, 1_200];
/// No office paper has a longer side than A2: one that would by a coarse resolution has another one. Files say 72 or 96
/// where they do not know.
const LONGEST_INCHES: f64 = 24.0;
/// From here on it was a device that said so: what is that fine is a plan or a strip where it is long.
const DEVICE_DPI_MIN: u32 = 120;
/// No page of a PDF is longer, and no scanner draws in longer paper.
const LONGEST_SCAN_INCHES: f64 = 200.0;
/// No page is shorter on its shorter side.
const SHORTEST_INCHES: f64 = 0.4;
/// The height of a usual character (x-height of 10 points, now and then a capital), in inches.
const CHARACTER_INCHES: f64 = 0.075;

/// The resolution of a page of this size. `stated` is what the file says; `character_height_px` is what was
/// measured, where there was text to measure.
pub(super) fn of(size: (u32, u32), stated: Option<u32>, character_height_px: Option<f32>) -> u32 {
    let (long, short) = (f64::from(long_side(size)), f64::from(size.0.min(size.1)));
    if let Some(dpi) = stated
        && long / f64::from(dpi) <= longest_inches(dpi)
        && short / f64::from(dpi) >= SHORTEST_INCHES
    {
        return dpi;
    }
    let by_paper = PAPERS
        .iter()
        .map(|(paper_long, paper_short)| (long / paper_long, short / paper_short))
        .find(|(by_long, by_short)| (by_long / by_short - 1.0).abs() < 0.02)
        .map(|(by_long, _)| by_long);
    let estimate = by_paper
        .or(character_height_px.map(|height| f64::from(height) / CHARACTER_INCHES))
        .unwrap_or(long / PAPERS[0].0);
    let nearest = USUAL_DPI
        .into_iter()
        .min_by(|a, b| {
            (f64::from(*a).ln() - estimate.ln()).abs().total_cmp(&(f64::from(*b).ln() - estimate.ln()).abs())
        })
        .unwrap_or(300);
    let close = (estimate / f64::from(nearest) - 1.0).abs() < 0.06;
    if close { nearest } else { (estimate.round() as u32).clamp(70, 2_400) }
}

/// The longest page that is believed of a file that states this resolution.
fn longest_inches(stated: u32) -> f64 {
    if stated < DEVICE_DPI_MIN { LONGEST_INCHES } else { LONGEST_SCAN_INCHES }
}
