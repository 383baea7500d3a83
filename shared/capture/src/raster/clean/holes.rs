//! Punch holes, as the dark disks that a scanner with a black lid makes of them.
//!
//! A punch makes two of them or more, alike and equally far from one edge, and nothing is written beside them. Only
//! such disks are taken for holes: a large letter O, a bullet or a filled circle of a form is none.

use crate::raster::ink::{Ink, Mark};

/// The diameter of a punch hole (ISO 838: 6 mm; others up to 9) as a part of the page's longer side.
const DIAMETER: std::ops::RangeInclusive<f32> = 0.014..=0.036;
/// Punch holes lie this close to an edge, as a part of the shorter side: ISO 838 has them 12 mm from it.
const MARGIN: f32 = 0.11;
/// The holes of one punch: two, three or four. A ring binder's many holes are smaller.
const COUNT: std::ops::RangeInclusive<usize> = 2..=4;
/// Diameters of the holes of one punch differ by this factor at most.
const DRIFT: f32 = 1.2;
/// Their middles lie on a line to this part of the shorter side.
const ALIGNED: f32 = 0.02;
/// And are at least this many diameters apart: 21 mm at a diameter of 6 for the pairs of a four-hole punch.
const APART: f32 = 2.5;
/// Paper without text around a hole, in diameters.
const ROOM: f32 = 0.4;
/// A disk fills pi / 4 of its box. A ring and a letter fill less.
const DISK_FILL: std::ops::Range<f32> = 0.7..0.88;

/// Whether a mark has the shape, the size and the place of a punch hole: a disk, or the rim of one.
pub(in crate::raster) fn may_be(mark: &Mark, ink: &Ink) -> bool {
    let (across, down) = (mark.width() as f32, mark.height() as f32);
    let diameter = across.max(down) / ink.long_side() as f32;
    let is_round = across.min(down) >= across.max(down) * 0.8;
    let (x, y) = middle(mark);
    let from_edge = x.min(ink.width as f32 - x).min(y.min(ink.height as f32 - y));
    let near_edge = from_edge <= ink.width.min(ink.height) as f32 * MARGIN;
    is_round && near_edge && DIAMETER.contains(&diameter) && (0.6..0.9).contains(&fill(mark))
}

/// Whether there may be punch holes on a page, however it lies.
pub(super) fn are_likely(ink: &Ink) -> bool {
    ink.marks.iter().filter(|mark| is_disk(mark, ink)).count() >= *COUNT.start()
}

/// The punch holes of a page.
pub(super) fn find(ink: &Ink) -> Vec<Mark> {
    let disks: Vec<Mark> =
        ink.marks.iter().filter(|mark| is_disk(mark, ink) && stands_alone(mark, ink)).copied().collect();
    let (width, height) = (ink.width as f32, ink.height as f32);
    let near = |disk: &&Mark, side: usize| {
        let (x, y) = middle(disk);
        [x, width - x, y, height - y][side] <= width.min(height) * MARGIN
    };
    let of_side = |side: usize| disks.iter().filter(|disk| near(disk, side)).copied().collect::<Vec<_>>();
    (0..4)
        .map(of_side)
        .zip([false, false, true, true])
        .find_map(|(holes, across)| of_one_punch(holes, across, ink))
        .unwrap_or_default()
}

/// The holes, if they are those of one punch along a side.
fn of_one_punch(holes: Vec<Mark>, across: bool, ink: &Ink) -> Option<Vec<Mark>> {
    let (from_edge, mut along): (Vec<f32>, Vec<f32>) = holes
        .iter()
        .map(|hole| {
            let (x, y) = middle(hole);
            if across { (y, x) } else { (x, y) }
        })
        .unzip();
    along.sort_by(f32::total_cmp);
    let spread = |values: &[f32]| {
        let most = values.iter().copied().fold(f32::MIN, f32::max);
        (values.iter().copied().fold(f32::MAX, f32::min), most)
    };
    let diameters: Vec<f32> = holes.iter().map(|hole| hole.width().max(hole.height()) as f32).collect();
    let ((nearest, farthest), (smallest, largest)) = (spread(&from_edge), spread(&diameters));
    let is_one = COUNT.contains(&holes.len())
        && largest <= smallest * DRIFT
        && farthest - nearest <= ink.width.min(ink.height) as f32 * ALIGNED
        && along.windows(2).all(|pair| pair[1] - pair[0] >= largest * APART);
    is_one.then_some(holes)
}

fn is_disk(mark: &Mark, ink: &Ink) -> bool {
    may_be(mark, ink) && DISK_FILL.contains(&fill(mark))
}

fn fill(mark: &Mark) -> f32 {
    mark.area as f32 / (mark.width() * mark.height()) as f32
}

fn middle(mark: &Mark) -> (f32, f32) {
    ((mark.x0 + mark.x1) as f32 / 2.0, (mark.y0 + mark.y1) as f32 / 2.0)
}

/// Whether there is nothing but paper around a mark.
fn stands_alone(hole: &Mark, ink: &Ink) -> bool {
    let room = (hole.width() as f32 * ROOM) as u32;
    let beside = |mark: &Mark| {
        mark.x0 < hole.x1 + room
            && mark.x1 + room > hole.x0
            && mark.y0 < hole.y1 + room
            && mark.y1 + room > hole.y0
    };
    ink.text_like().filter(|(_, mark)| beside(mark)).count() <= 1
}

/// Paints a hole over with the paper around it.
pub(super) fn paint_over<const N: usize>(
    samples: &mut [u8],
    (width, height): (usize, usize),
    hole: &Mark,
    reduction: u32,
) {
    let by = reduction as f32;
    let (x, y) = middle(hole);
    let (x, y) = (x * by, y * by);
    let radius = hole.width().max(hole.height()) as f32 * by / 2.0 * 1.08 + by + 1.0;
    let pixels = samples.as_chunks_mut::<N>().0;
    let span = |at: f32, length: usize| {
        ((at - radius).max(0.0) as usize)..((at + radius).ceil() as usize).min(length)
    };
    let paper = around(pixels, width, (span(x, width), span(y, height)));
    for row in span(y, height) {
        for column in span(x, width) {
            let (dx, dy) = (column as f32 + 0.5 - x, row as f32 + 0.5 - y);
            if dx * dx + dy * dy <= radius * radius {
                pixels[row * width + column] = paper;
            }
        }
    }
}

/// The usual colour along the rim of a box: the median of each sample.
fn around<const N: usize>(
    pixels: &[[u8; N]],
    width: usize,
    (columns, rows): (std::ops::Range<usize>, std::ops::Range<usize>),
) -> [u8; N] {
    let (top, bottom) = (rows.start, rows.end - 1);
    let level = columns.clone().flat_map(|x| [pixels[top * width + x], pixels[bottom * width + x]]);
    let upright =
        rows.clone().flat_map(|y| [pixels[y * width + columns.start], pixels[y * width + columns.end - 1]]);
    let rim: Vec<[u8; N]> = level.chain(upright).collect();
    std::array::from_fn(|sample| {
        let mut levels: Vec<u8> = rim.iter().map(|pixel| pixel[sample]).collect();
        let middle = levels.len() / 2;
        *levels.select_nth_unstable(middle).1
    })
}
