//! The colour of the paper, along the edges of a page.
//!
//! When a page is turned, corners come in that no scanner saw. They get the colour that the paper has beside
//! them: the page's own shade, not white on a gray page, and never the black of the scanner's lid.

/// Along each edge, the colour is measured in so many bands.
const BANDS: usize = 24;
/// How deep the measured strip is, as a part of the page.
const DEPTH: usize = 12;
/// Every so many pixels, to each side, one is looked at.
const STEP: usize = 3;
/// A strip that is darker than this part of the page's paper is no paper: a lid, a photograph, a shadow.
const PAPER_MIN: f32 = 0.75;
/// Samples this near to the usual one are paper too; the rest is print or dirt.
const NEAR: u8 = 20;

/// What lies beyond the edges of a picture: a colour for each row, and one for each column.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Surroundings<const N: usize> {
    /// Left of each row.
    pub(super) left: Vec<[u8; N]>,
    /// Right of each row.
    pub(super) right: Vec<[u8; N]>,
    /// Above each column.
    pub(super) above: Vec<[u8; N]>,
    /// Below each column.
    pub(super) below: Vec<[u8; N]>,
}

impl<const N: usize> Surroundings<N> {
    /// One colour on all sides of a picture of this width and height.
    pub(super) fn even(colour: [u8; N], (width, height): (usize, usize)) -> Self {
        let (side, row) = (vec![colour; height], vec![colour; width]);
        Self { left: side.clone(), right: side, above: row.clone(), below: row }
    }

    /// The colours of the paper along the edges of a picture.
    pub(super) fn of(samples: &[u8], (width, height): (usize, usize)) -> Self {
        let pixels = samples.as_chunks::<N>().0;
        let colour = |columns: std::ops::Range<usize>, rows: std::ops::Range<usize>, step: usize| {
            let rows = rows.step_by(step).map(|y| &pixels[y * width..][columns.clone()]);
            usual(rows.flat_map(|row| row.iter().step_by(step)))
        };
        let page = colour(0..width, 0..height, 3 * STEP);
        let or_page = |local: [u8; N]| if light(local) < light(page) * PAPER_MIN { page } else { local };
        let (deep, high) = ((width / DEPTH).max(1), (height / DEPTH).max(1));
        let down = |columns: std::ops::Range<usize>| {
            along(height, |rows| or_page(colour(columns.clone(), rows, STEP)))
        };
        let across = |rows: std::ops::Range<usize>| {
            along(width, |columns| or_page(colour(columns, rows.clone(), STEP)))
        };
        Self {
            left: down(0..deep),
            right: down(width - deep..width),
            above: across(0..high),
            below: across(height - high..height),
        }
    }
}

/// A colour for each place along an edge, from the colours in its bands.
fn along<const N: usize>(length: usize, colour: impl Fn(std::ops::Range<usize>) -> [u8; N]) -> Vec<[u8; N]> {
    let band = length.div_ceil(BANDS).max(1);
    let bands: Vec<[u8; N]> =
        (0..length).step_by(band).map(|from| colour(from..length.min(from + band))).collect();
    let last = bands.len().saturating_sub(1);
    (0..length)
        .map(|at| {
            // Between the middles of two bands, the colours mix.
            let place = ((at as f32 + 0.5) / band as f32 - 0.5).clamp(0.0, last as f32);
            let (before, part) = (place as usize, place.fract());
            let (before, after) = (bands[before], bands[last.min(before + 1)]);
            std::array::from_fn(|sample| {
                let (before, after) = (f32::from(before[sample]), f32::from(after[sample]));
                (before + (after - before) * part).round() as u8
            })
        })
        .collect()
}

/// The colour of the paper among these pixels: for each sample the mean of what lies near the median of the
/// lighter half.
fn usual<'a, const N: usize>(pixels: impl Iterator<Item = &'a [u8; N]>) -> [u8; N] {
    let mut counts = [[0u32; 256]; N];
    let mut seen = 0;
    for pixel in pixels {
        seen += 1;
        for (counts, sample) in counts.iter_mut().zip(pixel) {
            counts[usize::from(*sample)] += 1;
        }
    }
    counts.map(|counts| {
        let mut lighter = 0;
        let median = (0u8..=255).rev().find(|value| {
            lighter += counts[usize::from(*value)];
            lighter * 4 > seen
        });
        let Some(median) = median else { return 255 };
        let near = usize::from(median.saturating_sub(NEAR))..=usize::from(median.saturating_add(NEAR));
        let (mut sum, mut count) = (0, 0);
        for value in near {
            sum += value as u32 * counts[value];
            count += counts[value];
        }
        ((sum + count / 2) / count.max(1)) as u8
    })
}

/// How light a colour is, roughly.
fn light<const N: usize>(colour: [u8; N]) -> f32 {
    colour.iter().map(|&sample| f32::from(sample)).sum::<f32>() / N as f32
}
