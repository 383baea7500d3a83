//! Rules made of dashes, as receipts and forms have them.
//!
//! Tesseract takes solid rules out by itself, but reads a row of dashes as a line of text, badly, and often takes
//! its neighbours along. A row of dashes holds no words, so that nothing is lost with it.

use image::GrayImage;

use crate::raster::ink::{Ink, Mark};

/// Rows of fewer dashes may be text: a hyphen, an ellipsis, a minus sign.
const DASHES_MIN: usize = 8;
/// A dash is at least this many times as wide as it is high.
const FLATNESS: f32 = 1.8;
/// Dashes are alike when their widths differ from the usual one by no more than this part of it.
const WIDTH_DRIFT: f32 = 0.5;
/// So many of a row's dashes are alike.
const ALIKE_SHARE: f32 = 0.5;
/// More rows than this are the noise of a dark page, not rules.
const ROWS_MAX: usize = 60;
/// A dash is lower than this part of a character.
const HEIGHT: f32 = 0.4;
/// Dashes of one row have their middles within this part of a character's height.
const DRIFT: f32 = 0.35;
/// And no more than this many characters' heights of paper between them.
const GAP: f32 = 1.2;

/// Whether a page has such rules, by the marks that were found on it before it was straightened.
pub(super) fn are_on(ink: &Ink) -> bool {
    let height = ink.character_height_px(false);
    height.is_some_and(|height| !rows(ink, height / ink.reduction as f32).is_empty())
}

/// Paints the rows of dashes on a straight page over with the paper around them.
pub(super) fn erase(page: &mut GrayImage, ink: &Ink) {
    let Some(height) = ink.character_height_px(false) else { return };
    for dash in rows(ink, height / ink.reduction as f32).iter().flatten() {
        paint_over(page, dash, ink.reduction);
    }
}

fn is_dash(mark: &Mark, character: f32) -> bool {
    let (width, height) = (mark.width() as f32, mark.height() as f32);
    mark.width() >= 3 && width >= height * FLATNESS && height <= (character * HEIGHT).max(2.0)
}

/// The rows of dashes, each from left to right. Lengths are in reduced pixels.
fn rows(ink: &Ink, character: f32) -> Vec<Vec<Mark>> {
    let mut dashes: Vec<Mark> = ink.marks.iter().filter(|mark| is_dash(mark, character)).copied().collect();
    dashes.sort_unstable_by_key(|dash| dash.x0);
    let (mut rows, mut open): (Vec<Vec<Mark>>, Vec<Vec<Mark>>) = (Vec::new(), Vec::new());
    for dash in dashes {
        let ended = |row: &mut Vec<Mark>| {
            row.last().is_none_or(|last| dash.x0 as f32 - last.x1 as f32 > character * GAP)
        };
        rows.extend(open.extract_if(.., ended));
        let continues = |row: &&mut Vec<Mark>| {
            row.last()
                .is_some_and(|last| (middle(last) - middle(&dash)).abs() <= (character * DRIFT).max(1.5))
        };
        match open.iter_mut().find(continues) {
            Some(row) => row.push(dash),
            None => open.push(vec![dash]),
        }
    }
    rows.append(&mut open);
    rows.retain(|row| row.len() >= DASHES_MIN && is_regular(row));
    if rows.len() > ROWS_MAX { Vec::new() } else { rows }
}

/// Whether most of the dashes are equally wide, as printed ones are. Noise is not.
fn is_regular(row: &[Mark]) -> bool {
    let mut widths: Vec<u32> = row.iter().map(Mark::width).collect();
    widths.sort_unstable();
    let usual = widths[widths.len() / 2] as f32;
    let alike =
        widths.iter().filter(|width| (**width as f32 - usual).abs() <= (usual * WIDTH_DRIFT).max(1.0));
    alike.count() as f32 >= row.len() as f32 * ALIKE_SHARE
}

fn middle(mark: &Mark) -> f32 {
    (mark.y0 + mark.y1) as f32 / 2.0
}

/// Paints a mark and the soft edge around it with the lightest of the samples at its sides.
fn paint_over(page: &mut GrayImage, mark: &Mark, reduction: u32) {
    let edge = reduction + 1;
    let (left, right) = ((mark.x0 * reduction).saturating_sub(edge), mark.x1 * reduction + edge);
    let (top, bottom) = ((mark.y0 * reduction).saturating_sub(edge), mark.y1 * reduction + edge);
    let (right, bottom) = (right.min(page.width()), bottom.min(page.height()));
    let paper = (left..right)
        .flat_map(|x| [(x, top), (x, bottom - 1)])
        .map(|(x, y)| page.get_pixel(x, y).0[0])
        .max()
        .unwrap_or(255);
    for y in top..bottom {
        for x in left..right {
            page.get_pixel_mut(x, y).0[0] = paper;
        }
    }
}
