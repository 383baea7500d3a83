//! Salt and pepper: single dark samples on the paper and single light ones in the ink, as faxes and photocopies of
//! photocopies have them by the thousand.
//!
//! A sample that is unlike all around it, but for one at most, becomes like them. The dot of an i has more samples
//! than that at any resolution that is read.

use image::GrayImage;

use super::light::Paper;

/// Of the rows of the page one in so many is looked at.
const ROW_STEP: usize = 24;
/// A page is speckled when more than this part of its paper is lonely dark samples.
const SPECKS_MAX: f32 = 0.0045;
/// Darker is ink. Pages with specks are black and white, or were.
const DARK: u8 = 128;
/// Paper that is not lighter than this has grain on both sides of [`DARK`]: taking that out would blacken it.
const LIGHT_PAPER: u8 = 160;
/// The darkness of the neighbours that makes a light sample lonely.
const MOST: usize = 7;

/// Whether paper is such that specks can be told from it.
pub(super) fn may_be_on(paper: &Paper) -> bool {
    paper.is_even() && paper.white > LIGHT_PAPER
}

/// Whether a page is speckled, by a few of its rows.
pub(super) fn is_on(page: &GrayImage) -> bool {
    let width = page.width() as usize;
    let rows = page.as_raw().chunks_exact(width).collect::<Vec<_>>();
    let (mut specks, mut paper) = (0usize, 0usize);
    for around in rows.windows(3).step_by(ROW_STEP) {
        let [above, row, below] = [around[0], around[1], around[2]];
        for x in (1..width.saturating_sub(1)).filter(|&x| dark_neighbours(above, row, below, x) <= 1) {
            paper += 1;
            specks += usize::from(row[x] < DARK);
        }
    }
    specks as f32 > paper as f32 * SPECKS_MAX
}

/// The page without its specks.
pub(super) fn removed(page: &GrayImage) -> GrayImage {
    let width = page.width() as usize;
    let mut copy = page.clone();
    for (y, around) in page.as_raw().chunks_exact(width).collect::<Vec<_>>().windows(3).enumerate() {
        let [above, row, below] = [around[0], around[1], around[2]];
        let target = &mut copy.as_flat_samples_mut().samples[(y + 1) * width..][..width];
        for x in 1..width.saturating_sub(1) {
            let dark = row[x] < DARK;
            match dark_neighbours(above, row, below, x) {
                0 | 1 if dark => target[x] = 255,
                MOST.. if !dark => target[x] = 0,
                _ => {}
            }
        }
    }
    copy
}

fn dark_neighbours(above: &[u8], row: &[u8], below: &[u8], x: usize) -> usize {
    let dark = |sample: u8| usize::from(sample < DARK);
    let sides = dark(row[x - 1]) + dark(row[x + 1]);
    sides + (x - 1..=x + 1).map(|x| dark(above[x]) + dark(below[x])).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    /// A white page with a bar of ink, and one sample in `every` turned over.
    fn page(every: usize) -> GrayImage {
        let mut page = GrayImage::from_fn(400, 600, |x, y| {
            Luma([if (100..140).contains(&x) && (100..500).contains(&y) { 0 } else { 255 }])
        });
        // A step that is not a divisor of the width spreads them over the columns.
        page.iter_mut().step_by(every).for_each(|sample| *sample = 255 - *sample);
        page
    }

    #[test]
    fn salt_and_pepper_go_and_strokes_keep_their_edges() {
        let speckled = page(97);
        assert!(is_on(&speckled));
        let clean = removed(&speckled);
        let wrong = clean.pixels().zip(page(usize::MAX).pixels()).skip(1).filter(|(a, b)| a != b).count();
        // What lies along the edge of the bar or of the page has other neighbours.
        assert!(wrong < 40, "{wrong} samples differ");
    }

    #[test]
    fn the_grain_of_dark_paper_is_not_taken_for_specks() {
        let dark = GrayImage::from_fn(400, 600, |x, y| Luma([112 + ((x * 7 + y * 13) % 23) as u8]));
        assert!(!may_be_on(&Paper::of(&dark)));
        assert!(may_be_on(&Paper::of(&page(97))));
    }

    #[test]
    fn a_page_with_some_dust_is_left_alone() {
        assert!(!is_on(&page(1_013)));
    }
}
