//! Tinted rows of tables and highlighted lines.
//!
//! The recogniser divides a page into ink and paper by one threshold. A tint of some size draws that threshold away: the
//! tinted rows become black, with their letters in them. The paper's level in [`light`](super::light) is too coarse for
//! bars that are a line or two high, and blind to them on purpose. Here the level is taken from a closing of the page, the
//! lightest of a small square spread and drawn in again: strokes vanish in it, and whatever is thicker than a
//! stroke stays, with its edges where they are. What is as dark as print stays dark.

use image::GrayImage;

use super::light;
use crate::raster::ink::reduced;

/// The side of the square as a part of the height of capitals: strokes of bold letters are thinner, bars are higher.
const STROKE: f32 = 0.7;
/// Capitals are about so many pixels high on the copy whose level is measured.
const COARSE_CAPITAL_PX: f32 = 14.0;
/// The level of a tint as a part of the paper's. What is darker is print, a picture, or ground for white letters.
const TINT: std::ops::Range<f32> = 0.45..0.88;
/// The part of the page that is tinted, at least.
const SHARE_MIN: f32 = 0.005;

/// Whether parts of a page are tinted. A few thousand probes tell.
pub(in crate::raster) fn is_on(page: &GrayImage, capital_px: f32) -> bool {
    let mut levels = light::probed(page, (capital_px * STROKE).round().max(6.0) as u32);
    let white = f32::from(paper(&mut levels));
    light::share(&levels, |level| TINT.contains(&(f32::from(level) / white))) >= SHARE_MIN
}

/// The page with its tints made white.
pub(in crate::raster) fn evened(page: &GrayImage, capital_px: f32) -> GrayImage {
    let by = (capital_px / COARSE_CAPITAL_PX).round().max(1.0) as u32;
    let mut levels = reduced(page, by).into_owned();
    let side = (capital_px / by as f32 * STROKE).round().max(3.0) as usize;
    close(&mut levels, side);
    let white = f32::from(paper(&mut levels.as_raw().clone()));
    let gains: Vec<f32> = (0u8..=255)
        .map(|level| match f32::from(level) / white {
            part if part < TINT.start => 255.0 / white,
            _ => 255.0 / f32::from(level.max(1)),
        })
        .collect();
    let mut even = page.clone();
    let (width, columns) = (page.width() as usize, levels.width() as usize);
    for (y, row) in even.chunks_exact_mut(width).enumerate() {
        let y = (y / by as usize).min(levels.height() as usize - 1);
        let levels = &levels.as_raw()[y * columns..][..columns];
        for (samples, &level) in row.chunks_mut(by as usize).zip(levels.iter().chain(levels.last())) {
            let gain = gains[usize::from(level)];
            samples.iter_mut().for_each(|sample| *sample = (f32::from(*sample) * gain) as u8);
        }
    }
    even
}

/// The level that a tenth of these exceeds: that of the paper.
fn paper(levels: &mut [u8]) -> u8 {
    let place = levels.len() * 9 / 10;
    (*levels.select_nth_unstable(place).1).max(1)
}

/// Replaces what is darker than its surroundings and fits into no square of this side.
fn close(page: &mut GrayImage, side: usize) {
    let (width, height) = (page.width() as usize, page.height() as usize);
    let mut column = vec![0; height];
    for is_spread in [true, false] {
        let change = |line: &mut [u8]| match is_spread {
            true => reach(line, side, u8::max),
            false => {
                line.reverse();
                reach(line, side, u8::min);
                line.reverse();
            }
        };
        page.chunks_exact_mut(width).for_each(change);
        for x in 0..width {
            column.iter_mut().zip(page.iter().skip(x).step_by(width)).for_each(|(to, from)| *to = *from);
            change(&mut column);
            page.iter_mut().skip(x).step_by(width).zip(&column).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Gives each sample the pick of itself and those behind it, `side` in all. Each round looks twice as far.
fn reach(line: &mut [u8], side: usize, pick: impl Fn(u8, u8) -> u8) {
    let mut seen = 1;
    while seen < side {
        let step = seen.min(side - seen);
        for at in 0..line.len().saturating_sub(step) {
            line[at] = pick(line[at], line[at + step]);
        }
        seen += step;
    }
}

#[cfg(test)]
mod tests {
    use image::Luma;
    use imageproc::drawing::draw_filled_rect_mut;
    use imageproc::rect::Rect as Area;

    use super::*;

    /// Strokes of letters 20 pixels high, on a page with a bar of this level two lines high and a black one below it.
    fn page(tint: u8) -> GrayImage {
        let mut page = GrayImage::from_pixel(600, 400, Luma([250]));
        draw_filled_rect_mut(&mut page, Area::at(50, 100).of_size(500, 80), Luma([tint]));
        draw_filled_rect_mut(&mut page, Area::at(50, 300).of_size(500, 60), Luma([20]));
        for (line, letter) in (0..5).flat_map(|line| (0..40).map(move |letter| (line, letter))) {
            let area = Area::at(70 + letter * 11, 50 + line * 42).of_size(4, 20);
            draw_filled_rect_mut(&mut page, area, Luma([30]));
        }
        page
    }

    #[test]
    fn a_tinted_bar_becomes_white_and_its_letters_and_what_is_black_stay() {
        let page = page(180);
        assert!(is_on(&page, 20.0));
        let even = evened(&page, 20.0);
        let at = |x: u32, y: u32| even.get_pixel(x, y).0[0];
        assert!(at(60, 140) > 245 && at(300, 40) > 245 && at(545, 175) > 245, "{} is no white", at(60, 140));
        assert!(at(72, 100) < 60 && at(72, 145) < 60, "{} is no ink", at(72, 100));
        assert!(at(300, 330) < 30);
    }

    #[test]
    fn a_page_without_tints_has_none() {
        assert!(!is_on(&page(250), 20.0) && !is_on(&GrayImage::from_pixel(40, 30, Luma([0])), 20.0));
    }

    #[test]
    fn a_page_of_a_few_pixels_can_be_evened() {
        for size in [(1, 1), (3, 50), (7, 2)] {
            let page = GrayImage::from_pixel(size.0, size.1, Luma([200]));
            assert_eq!(evened(&page, 3.0).dimensions(), size);
        }
    }
}
