//! Finding the sheet in a photo: light, colourless paper on a darker or coloured ground.
//!
//! The search runs on a small copy that holds, for each pixel, the least of its colours: white paper is light in
//! all three, a wooden table only in some.

use std::collections::VecDeque;

use fast_image_resize::images::{Image as ResizedImage, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{GrayImage, RgbImage};
use imageproc::contrast::otsu_level;

use super::quad::{self, Corners, Point};
use crate::decode::Samples;

/// The longer side of the small copy.
const LONG_SIDE_PX: u32 = 500;
/// Probes along a side for the first look.
const PROBES: u32 = 64;
/// Darker than this part of the paper is ground, at the picture's edge.
const GROUND: f32 = 0.88;
/// Where less of the picture's edge than this is ground, it is a page and no photo of one.
const GROUND_SHARE_MIN: f32 = 0.5;
/// The sheet covers at least this part of the photo.
const SHEET_MIN: f32 = 0.12;
/// And leaves at least this to the ground.
const GROUND_MIN: f32 = 0.06;
/// The lid of a scanner is this dark, and this even: no table is.
const LID_LEVEL_MAX: f32 = 40.0;
/// See [`LID_LEVEL_MAX`]: standard deviation in levels of 255.
const LID_SPREAD_MAX: f32 = 4.0;
/// How far above the level that divides light from dark best the sheet is looked for, as parts of the way to white.
const LEVELS: [f32; 4] = [0.0, 0.3, 0.5, 0.7];
/// A camera gives the ground noise: of a drawn one, more pixels than this are of the same colour as the next.
const SAME_SHARE_MAX: f32 = 0.7;
/// A step at the sheet's edge counts where it is this part of the paper's level.
const STEP: f32 = 0.08;

/// A sheet of paper in a photo.
#[derive(Debug)]
pub(super) struct Sheet {
    /// Its corners in the photo's pixels.
    pub(super) corners: Corners,
    /// How sure this is, 0 to 1.
    pub(super) confidence: f32,
}

/// What a picture shows.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The sheet, if one was found.
    pub(super) sheet: Option<Sheet>,
    /// Whether the picture is a photo at all, as far as can be told.
    pub(super) is_photo: bool,
}

/// The first look, by a few thousand probes: whether there is something other than paper around the picture's edge.
pub(super) fn has_ground(samples: &Samples) -> bool {
    let (width, height) = size(samples);
    let at = |probe: u32, length: u32| (probe * 2 + 1) * length / (PROBES * 2);
    let (mut all, mut edge) = (Vec::new(), Vec::new());
    for row in 0..PROBES {
        for column in 0..PROBES {
            let level = least(samples, at(column, width), at(row, height));
            all.push(level);
            if row.min(column) == 0 || row.max(column) == PROBES - 1 {
                edge.push(level);
            }
        }
    }
    let ninth = all.len() / 10 * 9;
    let ground = f32::from(*all.select_nth_unstable(ninth).1) * GROUND;
    let dark = edge.iter().filter(|&&level| f32::from(level) < ground).count();
    dark as f32 >= edge.len() as f32 * GROUND_SHARE_MIN
}

/// Whether what is around the sheet is too even for a camera: the coloured ground of a slide.
pub(super) fn is_ground_drawn(picture: &RgbImage, corners: &Corners) -> bool {
    let (width, height) = picture.dimensions();
    let (mut same, mut all) = (0, 0);
    for y in (0..height).step_by((height / PROBES).max(1) as usize) {
        for x in 0..width.saturating_sub(1) {
            if !quad::holds(corners, (x as f32, y as f32)) {
                all += 1;
                same += u32::from(picture.get_pixel(x, y) == picture.get_pixel(x + 1, y));
            }
        }
    }
    same as f32 > all as f32 * SAME_SHARE_MAX
}

/// Looks for the sheet: at the level that divides light from dark best, and at higher ones, for a light table.
pub(super) fn find(samples: &Samples) -> Seen {
    let (small, reduction) = reduced(samples);
    let (dividing, white) = (otsu_level(&small), white(&small));
    let mut seen = Seen::default();
    for part in LEVELS {
        let level = f32::from(dividing) + (f32::from(white) - f32::from(dividing)).max(0.0) * part;
        let at_this = find_at(&small, level as u8);
        seen.is_photo |= at_this.is_photo;
        let confidence = |sheet: &Option<Sheet>| sheet.as_ref().map_or(-1.0, |sheet| sheet.confidence);
        if confidence(&at_this.sheet) > confidence(&seen.sheet) {
            seen.sheet = at_this.sheet;
        }
    }
    if let Some(sheet) = &mut seen.sheet {
        sheet.corners = sheet.corners.map(|(x, y)| (x * reduction, y * reduction));
    }
    // Every telephone takes its photos in colour.
    seen.is_photo &= matches!(samples, Samples::Rgb(_));
    seen
}

fn find_at(small: &GrayImage, threshold: u8) -> Seen {
    let inside = largest_light(small, threshold);
    let pixels = (small.width() * small.height()) as f32;
    let area = inside.iter().filter(|&&inside| inside).count() as f32;
    let (ground_level, ground_spread) = ground(small, &inside);
    let is_photo = ground_level > LID_LEVEL_MAX || ground_spread > LID_SPREAD_MAX;
    if area < pixels * SHEET_MIN || area > pixels * (1.0 - GROUND_MIN) || !is_photo {
        return Seen { sheet: None, is_photo: is_photo && area < pixels * (1.0 - GROUND_MIN) };
    }
    let outline = outline(&inside, small.width());
    let hull = quad::hull(outline.clone());
    let sheet = quad::largest(&hull)
        .and_then(|rough| refined(&rough, &outline))
        .filter(quad::is_a_sheet)
        .map(|corners| Sheet { corners, confidence: confidence(small, &inside, area, &corners) });
    Seen { sheet, is_photo }
}

/// The level of the lightest paper: only a few pixels exceed it.
fn white(small: &GrayImage) -> u8 {
    let mut levels = small.as_raw().clone();
    let at = levels.len() / 20 * 19;
    *levels.select_nth_unstable(at.min(small.as_raw().len() - 1)).1
}

fn size(samples: &Samples) -> (u32, u32) {
    match samples {
        Samples::Bitonal(image) | Samples::Gray(image) => image.dimensions(),
        Samples::Rgb(image) => image.dimensions(),
    }
}

/// The least of a pixel's colours.
fn least(samples: &Samples, x: u32, y: u32) -> u8 {
    match samples {
        Samples::Bitonal(image) | Samples::Gray(image) => image.get_pixel(x, y).0[0],
        Samples::Rgb(image) => image.get_pixel(x, y).0.into_iter().min().unwrap_or(0),
    }
}

/// The small copy, and by how much it is smaller.
fn reduced(samples: &Samples) -> (GrayImage, f32) {
    let (width, height) = size(samples);
    let by = (width.max(height) as f32 / LONG_SIDE_PX as f32).max(1.0);
    let side = |length: u32| ((length as f32 / by) as u32).max(1);
    let (columns, rows) = (side(width), side(height));
    let means = |samples: &[u8], pixels: PixelType| {
        let source = ImageRef::new(width, height, samples, pixels).expect("a picture has all its samples");
        let mut small = ResizedImage::new(columns, rows, pixels);
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box));
        Resizer::new().resize(&source, &mut small, &options).expect("both are of the same kind");
        small.into_vec()
    };
    let levels = match samples {
        Samples::Bitonal(image) | Samples::Gray(image) => means(image.as_raw(), PixelType::U8),
        Samples::Rgb(image) => {
            let small = means(image.as_raw(), PixelType::U8x3);
            small.as_chunks::<3>().0.iter().map(|&[red, green, blue]| red.min(green).min(blue)).collect()
        }
    };
    let small = GrayImage::from_raw(columns, rows, levels).expect("one level for each pixel was made");
    (small, width as f32 / columns as f32)
}

/// The largest connected light area, with what it encloses.
fn largest_light(small: &GrayImage, threshold: u8) -> Vec<bool> {
    let light: Vec<bool> = small.iter().map(|&level| level > threshold).collect();
    let width = small.width() as usize;
    let (labels, sizes) = labelled(&light, width);
    let Some(largest) = (1..sizes.len()).max_by_key(|&label| sizes[label]) else {
        return vec![false; light.len()];
    };
    // Whatever is not the sheet and not joined to the picture's edge is print on it.
    let outside: Vec<bool> = labels.iter().map(|&label| label as usize != largest).collect();
    let (holes, sizes) = labelled(&outside, width);
    let mut open = vec![false; sizes.len()];
    let height = light.len() / width;
    for (at, &label) in holes.iter().enumerate() {
        let (x, y) = (at % width, at / width);
        if x == 0 || y == 0 || x + 1 == width || y + 1 == height {
            open[label as usize] = true;
        }
    }
    holes.iter().zip(&outside).map(|(&label, outside)| !outside || !open[label as usize]).collect()
}

/// Numbers the connected areas of `set` from 1; with their sizes.
fn labelled(set: &[bool], width: usize) -> (Vec<u32>, Vec<usize>) {
    let mut labels = vec![0u32; set.len()];
    let mut sizes = vec![0];
    let mut queue = VecDeque::new();
    for start in 0..set.len() {
        if !set[start] || labels[start] != 0 {
            continue;
        }
        let label = sizes.len() as u32;
        sizes.push(0);
        labels[start] = label;
        queue.push_back(start);
        while let Some(at) = queue.pop_front() {
            sizes[label as usize] += 1;
            let x = at % width;
            let near = [
                (x > 0).then(|| at - 1),
                (x + 1 < width).then_some(at + 1),
                at.checked_sub(width),
                (at + width < set.len()).then_some(at + width),
            ];
            for next in near.into_iter().flatten() {
                if set[next] && labels[next] == 0 {
                    labels[next] = label;
                    queue.push_back(next);
                }
            }
        }
    }
    (labels, sizes)
}

/// Mean and standard deviation of the ground.
fn ground(small: &GrayImage, inside: &[bool]) -> (f32, f32) {
    let levels =
        || small.iter().zip(inside).filter(|(_, inside)| !**inside).map(|(&level, _)| f32::from(level));
    let count = levels().count().max(1) as f32;
    let mean = levels().sum::<f32>() / count;
    let spread = levels().map(|level| (level - mean).powi(2)).sum::<f32>() / count;
    (mean, spread.sqrt())
}

/// The first and last place of each row and column that is inside, as the edges of its pixels.
fn outline(inside: &[bool], width: u32) -> Vec<Point> {
    let (width, height) = (width as usize, inside.len() / width as usize);
    let mut points = Vec::new();
    for y in 0..height {
        let row = &inside[y * width..][..width];
        if let (Some(first), Some(last)) = (row.iter().position(|&set| set), row.iter().rposition(|&set| set))
        {
            points.push((first as f32, y as f32 + 0.5));
            points.push((last as f32 + 1.0, y as f32 + 0.5));
        }
    }
    for x in 0..width {
        let is = |y: &usize| inside[y * width + x];
        if let (Some(first), Some(last)) = ((0..height).find(is), (0..height).rev().find(is)) {
            points.push((x as f32 + 0.5, first as f32));
            points.push((x as f32 + 0.5, last as f32 + 1.0));
        }
    }
    points
}

/// The corners where lines meet that are laid through the outline's points along each side.
fn refined(rough: &Corners, outline: &[Point]) -> Option<Corners> {
    let lines = quad::sides(rough).map(|(from, to)| line_along(from, to, outline));
    let mut corners = [(0.0, 0.0); 4];
    for (at, corner) in corners.iter_mut().enumerate() {
        *corner = crossing(lines[(at + 3) % 4]?, lines[at]?)?;
    }
    Some(corners)
}

/// A line through a point, by its direction (of length 1).
type Line = (Point, Point);

/// The line through the outline's points near a side: least squares of the distances, twice, the second time without
/// the points that lie off the first line.
fn line_along(from: Point, to: Point, outline: &[Point]) -> Option<Line> {
    let length = quad::length((from, to));
    let mut line = (from, ((to.0 - from.0) / length, (to.1 - from.1) / length));
    for reach in [4.0, 1.5] {
        let (origin, along) = line;
        let near = outline.iter().filter(|point| {
            let (dx, dy) = (point.0 - from.0, point.1 - from.1);
            let part = (dx * (to.0 - from.0) + dy * (to.1 - from.1)) / (length * length);
            let off = (point.0 - origin.0) * along.1 - (point.1 - origin.1) * along.0;
            (0.06..0.94).contains(&part) && off.abs() <= reach
        });
        let near: Vec<Point> = near.copied().collect();
        if near.len() < 12 {
            return None;
        }
        let count = near.len() as f32;
        let middle = (
            near.iter().map(|point| point.0).sum::<f32>() / count,
            near.iter().map(|point| point.1).sum::<f32>() / count,
        );
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for point in &near {
            let (dx, dy) = (point.0 - middle.0, point.1 - middle.1);
            (xx, xy, yy) = (xx + dx * dx, xy + dx * dy, yy + dy * dy);
        }
        let (sin, cos) = (0.5f32 * (2.0 * xy).atan2(xx - yy)).sin_cos();
        line = (middle, (cos, sin));
    }
    Some(line)
}

fn crossing((a, along): Line, (b, across): Line) -> Option<Point> {
    let turn = along.0 * across.1 - along.1 * across.0;
    if turn.abs() < 0.1 {
        return None;
    }
    let far = ((b.0 - a.0) * across.1 - (b.1 - a.1) * across.0) / turn;
    Some((a.0 + far * along.0, a.1 + far * along.1))
}

/// How sure the corners are: the light area fills them, and a step from ground to paper runs along every side.
fn confidence(small: &GrayImage, inside: &[bool], area: f32, corners: &Corners) -> f32 {
    let (width, height) = (small.width() as f32, small.height() as f32);
    let within = |&(x, y): &Point| x >= 0.0 && y >= 0.0 && x <= width && y <= height;
    if !corners.iter().all(within) {
        return 0.0;
    }
    let whole = quad::area(corners);
    let fit = 1.0 - (area - whole).abs() / whole - spilled(inside, small.width(), corners) / whole;
    // Ten per cent off is no sheet.
    let fit = ((fit - 0.9) / 0.08).clamp(0.0, 1.0);
    let edges = quad::sides(corners).map(|side| step_share(small, side));
    let weakest = edges.into_iter().fold(1.0, f32::min);
    fit * ((weakest - 0.5) / 0.4).clamp(0.0, 1.0)
}

/// How much of the light area lies outside the corners.
fn spilled(inside: &[bool], width: u32, corners: &Corners) -> f32 {
    let out = |place: Point| !quad::holds(corners, place);
    let place = |at: usize| ((at as u32 % width) as f32 + 0.5, (at as u32 / width) as f32 + 0.5);
    inside.iter().enumerate().filter(|(at, inside)| **inside && out(place(*at))).count() as f32
}

/// The part of a side along which the paper is lighter than the ground.
fn step_share(small: &GrayImage, (from, to): (Point, Point)) -> f32 {
    const PLACES: u32 = 40;
    let length = quad::length((from, to)).max(1.0);
    // Clockwise as it is seen, the sheet lies to the right of each side.
    let inward = (-(to.1 - from.1) / length, (to.0 - from.0) / length);
    let level = |place: Point, depth: f32| {
        let (x, y) = (place.0 + inward.0 * depth, place.1 + inward.1 * depth);
        let is_in = x >= 0.0 && y >= 0.0 && x < small.width() as f32 && y < small.height() as f32;
        is_in.then(|| f32::from(small.get_pixel(x as u32, y as u32).0[0]))
    };
    let stepped = (1..PLACES).filter(|&place| {
        let part = place as f32 / PLACES as f32;
        let place = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
        let paper = [2.0, 3.5, 5.0].into_iter().filter_map(|depth| level(place, depth)).fold(0.0, f32::max);
        let ground: Vec<f32> =
            [-2.5, -4.0, -6.0].into_iter().filter_map(|depth| level(place, depth)).collect();
        // Where the picture ends nothing says that the sheet ends, too.
        let mean = ground.iter().sum::<f32>() / ground.len().max(1) as f32;
        !ground.is_empty() && paper - mean >= paper * STEP
    });
    stepped.count() as f32 / (PLACES - 1) as f32
}
