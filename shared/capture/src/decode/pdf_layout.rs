//! PDF pages that are nothing but images: the images laid out in their own pixels.
//!
//! The page's grid is the images' grid, so no pixel is redrawn; only images coarser than the finest are enlarged.
//! Images are shifted by less than half a pixel to fall into the grid, and may be two pixels larger or smaller than their
//! place, no more.

use hayro_syntax::page::{Page, Rotation};
use image::metadata::Orientation;
use image::{GrayImage, RgbImage};

use super::pdf_content::{Area, Content, Placement};
use super::pdf_image::{self, Undone};
use super::picture::{Picture, Samples};
use super::{Fault, pdf_annotations as annotations, within_pixel_limit};
use crate::options::Limits;

const POINTS_PER_INCH: f64 = 72.0;
/// Images of scans are used in their own resolution between these.
const IMAGE_DPI: std::ops::RangeInclusive<f64> = 70.0..=2_400.0;
/// The part of the page that its images must cover to be the page.
const COVER_MIN: f64 = 0.5;
/// The part of the page from which on an image's resolution counts for the page.
const LARGE: f64 = 0.25;
/// The part of the page from which on the resolution of its sharp layers counts, which have one bit: those that are as
/// fine, together. What is smaller is a signature or a stamp.
const SHARP: f64 = 0.02;
/// The finest layers that count so, and the most pixels that a page may get by them.
const SHARP_DPI_MAX: f64 = 605.0;
const SHARP_PIXELS_MAX: f64 = 36_000_000.0;
/// How many pixels an image may be larger or smaller than its place to be laid there as it is.
const OFF_MAX: f64 = 2.0;
/// How far the grains of several images may differ.
const GRAIN_TOLERANCE: f64 = 0.01;

/// Pixels a point along the page's own axes, before `/Rotate`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) x: f64,
    pub(super) y: f64,
}

impl Grid {
    /// The finer resolution, in dots an inch.
    pub(super) fn dpi(self) -> f64 {
        self.x.max(self.y) * POINTS_PER_INCH
    }

    fn like(self, other: Self) -> bool {
        let near = |one: f64, other: f64| (one / other - 1.0).abs() < GRAIN_TOLERANCE;
        near(self.x, other.x) && near(self.y, other.y)
    }
}

/// The grid of an image that stands straight, in any of the eight ways.
fn grid(image: &Placement<'_>) -> Option<Grid> {
    let [a, b, c, d, _, _] = image.matrix;
    let upright = b.abs() < 1e-3 * a.abs() && c.abs() < 1e-3 * d.abs();
    let sideways = a.abs() < 1e-3 * b.abs() && d.abs() < 1e-3 * c.abs();
    let (width, height) = (f64::from(image.width), f64::from(image.height));
    if upright {
        Some(Grid { x: width / a.abs(), y: height / d.abs() })
    } else if sideways {
        Some(Grid { x: height / c.abs(), y: width / b.abs() })
    } else {
        None
    }
}

/// The grid of a page whose images make up most of it: the one that they share, or that of the finest large one, or of sharp
/// layers that are large together.
/// Devices that make small files lay sharp stencils of the letters over a coarse picture of the rest.
pub(super) fn page_grid(page: &Page<'_>, content: &Content<'_>) -> Option<Grid> {
    let frame = frame(page)?;
    let first = grid(content.images.first()?)?;
    let (mut covered, mut alike) = (0.0, true);
    let mut finest: Option<Grid> = None;
    let mut sharp: Vec<(Grid, f64)> = Vec::new();
    for image in &content.images {
        let grid = grid(image)?;
        let share = size(common(area(image), frame)) / size(frame);
        covered += share;
        alike &= grid.like(first);
        if share >= LARGE && finest.is_none_or(|finest| finest.dpi() < grid.dpi()) {
            finest = Some(grid);
        }
        if image.bits == 1 {
            sharp.push((grid, share));
        }
    }
    let grid = match finest_sharp(sharp, frame).filter(|_| !alike) {
        Some(sharp) if finest.is_none_or(|finest| finest.dpi() < sharp.dpi()) => sharp,
        _ if alike => first,
        _ => finest?,
    };
    let square = (grid.x / grid.y).max(grid.y / grid.x) < 4.2;
    (covered >= COVER_MIN && square && IMAGE_DPI.contains(&grid.dpi())).then_some(grid)
}

/// The finest grid of layers of one bit, with their parts of the page, that together make up enough of it.
fn finest_sharp(mut layers: Vec<(Grid, f64)>, frame: Area) -> Option<Grid> {
    layers
        .retain(|(grid, _)| grid.dpi() <= SHARP_DPI_MAX && size(frame) * grid.x * grid.y <= SHARP_PIXELS_MAX);
    layers.sort_by(|(one, _), (other, _)| other.dpi().total_cmp(&one.dpi()));
    let mut covered = 0.0;
    for (grid, share) in layers {
        covered += share;
        if covered >= SHARP {
            return Some(grid);
        }
    }
    None
}

/// Whether a page is nothing but images that make up most of it and lean: scans that were laid on it at an angle.
pub(super) fn is_of_leaning_images(page: &Page<'_>, content: &Content<'_>) -> bool {
    let Some(frame) = frame(page) else { return false };
    let covered: f64 = content
        .images
        .iter()
        .map(|image| {
            let [a, b, c, d, ..] = image.matrix;
            (a * d - b * c).abs()
        })
        .sum();
    !content.other_ink && covered >= COVER_MIN * size(frame)
}

/// The finest resolution of the larger images on a page, 0 where there are none.
pub(super) fn finest_dpi(page: &Page<'_>, content: &Content<'_>) -> f64 {
    let Some(frame) = frame(page) else { return 0.0 };
    let larger = |image: &&Placement<'_>| size(common(area(image), frame)) >= LARGE * size(frame);
    content.images.iter().filter(larger).filter_map(grid).map(Grid::dpi).fold(0.0, f64::max)
}

/// The page, laid out of its images, or why it cannot be.
pub(super) fn laid_out(
    page: &Page<'_>,
    content: &Content<'_>,
    grid: Grid,
    limits: &Limits,
) -> Result<Result<Picture, Undone>, Fault> {
    let Some(frame) = frame(page) else { return Ok(Err(Undone::Unusual)) };
    let plain = !content.other_ink
        && !annotations::any_is_seen(page)
        && content.images.iter().all(|image| wholly_visible(image, frame));
    if !plain {
        return Ok(Err(Undone::Unusual));
    }
    let wide = ((frame[2] - frame[0]) * grid.x).round().max(1.0) as u32;
    let high = ((frame[3] - frame[1]) * grid.y).round().max(1.0) as u32;
    within_pixel_limit(wide.into(), high.into(), limits)?;

    let mut is_incomplete = false;
    let mut sheet = Sheet { width: wide, height: high, picture: None };
    for image in &content.images {
        let picture = match pdf_image::picture(image, limits) {
            Ok(picture) => picture,
            Err(undone) => return Ok(Err(undone)),
        };
        is_incomplete |= picture.is_incomplete;
        let place = area(image);
        let left = ((place[0] - frame[0]) * grid.x).round() as i64;
        let top = ((frame[3] - place[3]) * grid.y).round() as i64;
        let mut picture = picture.oriented(standing(image));
        let (wide, high) = ((place[2] - place[0]) * grid.x, (place[3] - place[1]) * grid.y);
        let (own_wide, own_high) = picture.dimensions();
        let is_off = |own: u32, place: f64| (f64::from(own) - place).abs() > OFF_MAX;
        if is_off(own_wide, wide) || is_off(own_high, high) {
            let side = |pixels: f64| pixels.round().max(1.0) as u32;
            let (width, height) = (side(wide), side(high));
            within_pixel_limit(width.into(), height.into(), limits)?;
            picture.samples = picture.samples.stretched(width, height);
            picture.original = None;
        }
        match image.ink {
            Some(ink) if ink != [0; 3] || sheet.picture.is_some() => {
                sheet.stencil(picture.samples.to_gray(), ink, left, top);
            }
            _ => sheet.lay(picture, left, top),
        }
    }
    let Some(mut picture) = sheet.picture else { return Ok(Err(Undone::Unusual)) };
    picture.remarks.dedup();
    if is_incomplete {
        picture = picture.damaged();
    }
    let (horizontal, vertical) = (grid.x * POINTS_PER_INCH, grid.y * POINTS_PER_INCH);
    Ok(Ok(match page.rotation() {
        Rotation::None => picture.with_resolution(horizontal, vertical),
        Rotation::Horizontal => picture.oriented(Orientation::Rotate90).with_resolution(vertical, horizontal),
        Rotation::Flipped => picture.oriented(Orientation::Rotate180).with_resolution(horizontal, vertical),
        Rotation::FlippedHorizontal => {
            picture.oriented(Orientation::Rotate270).with_resolution(vertical, horizontal)
        }
    }))
}

/// How an image's rows and columns have to be turned to stand as they do on the page.
fn standing(image: &Placement<'_>) -> Orientation {
    let [a, b, c, d, _, _] = image.matrix;
    if a.abs() > b.abs() {
        match (a > 0.0, d > 0.0) {
            (true, true) => Orientation::NoTransforms,
            (false, true) => Orientation::FlipHorizontal,
            (true, false) => Orientation::FlipVertical,
            (false, false) => Orientation::Rotate180,
        }
    } else {
        match (b > 0.0, c > 0.0) {
            (true, false) => Orientation::Rotate270,
            (false, true) => Orientation::Rotate90,
            (true, true) => Orientation::Rotate270FlipH,
            (false, false) => Orientation::Rotate90FlipH,
        }
    }
}

/// A page that images are laid on, in order.
struct Sheet {
    width: u32,
    height: u32,
    picture: Option<Picture>,
}

impl Sheet {
    fn lay(&mut self, picture: Picture, left: i64, top: i64) {
        let (width, height) = picture.dimensions();
        // Rounding may make a page one pixel larger or smaller than the image that fills it.
        let fits = |side: u32, sheet: u32, at: i64| side.abs_diff(sheet) <= 1 && at.abs() <= 1;
        if self.picture.is_none() && fits(width, self.width, left) && fits(height, self.height, top) {
            (self.width, self.height) = (width, height);
            self.picture = Some(picture);
            return;
        }
        let bitonal = |picture: &Picture| matches!(picture.samples, Samples::Bitonal(_));
        let gray = |picture: &Picture| !matches!(picture.samples, Samples::Rgb(_));
        let below = self.picture.take();
        let both_bitonal = bitonal(&picture) && below.as_ref().is_none_or(bitonal);
        let both_gray = gray(&picture) && below.as_ref().is_none_or(gray);
        let (chroma, mut remarks) = (picture.chroma, picture.remarks);
        let (wide, high) = (self.width as usize, self.height as usize);
        let channels = if both_gray { 1 } else { 3 };
        let mut sheet = match below {
            Some(below) => {
                remarks.extend(below.remarks);
                interleaved(below.samples, channels)
            }
            None => vec![255; wide * high * channels],
        };
        let image = interleaved(picture.samples, channels);
        let corner = (left * channels as i64, top);
        paste(&mut sheet, wide * channels, &image, width as usize * channels, corner);
        let samples = match (both_gray, both_bitonal) {
            (true, true) => GrayImage::from_raw(self.width, self.height, sheet).map(Samples::Bitonal),
            (true, false) => GrayImage::from_raw(self.width, self.height, sheet).map(Samples::Gray),
            (false, _) => RgbImage::from_raw(self.width, self.height, sheet).map(Samples::Rgb),
        };
        let samples = samples.expect("the sheet keeps its size");
        self.picture = Some(Picture { chroma, remarks, ..Picture::plain(samples) });
    }
}

impl Sheet {
    /// Lays down `ink` where the stencil is dark.
    fn stencil(&mut self, stencil: GrayImage, ink: [u8; 3], left: i64, top: i64) {
        let size = (self.width, self.height);
        let below = self.picture.take().map(|picture| (picture.samples, picture.remarks));
        let (below, remarks) =
            below.map_or((None, Vec::new()), |(samples, remarks)| (Some(samples), remarks));
        let below = below
            .unwrap_or_else(|| Samples::Bitonal(GrayImage::from_pixel(size.0, size.1, image::Luma([255]))));
        // The shades of a stencil that was made smaller make shades on black and white.
        let has_shades = stencil.as_raw().iter().any(|dot| !matches!(dot, 0 | 255));
        let [red, green, blue] = ink;
        let neutral = red == green && green == blue;
        let samples = match below {
            Samples::Bitonal(mut sheet) if neutral && matches!(red, 0 | 255) && !has_shades => {
                stamp::<1>(&mut sheet, size.0, &stencil, [red], (left, top));
                Samples::Bitonal(sheet)
            }
            Samples::Bitonal(mut sheet) | Samples::Gray(mut sheet) if neutral => {
                stamp::<1>(&mut sheet, size.0, &stencil, [red], (left, top));
                Samples::Gray(sheet)
            }
            below => {
                let mut sheet = interleaved(below, 3);
                stamp::<3>(&mut sheet, size.0, &stencil, ink, (left, top));
                let sheet = RgbImage::from_raw(size.0, size.1, sheet);
                Samples::Rgb(sheet.expect("the sheet keeps its size"))
            }
        };
        self.picture = Some(Picture { remarks, ..Picture::plain(samples) });
    }
}

/// Colours the pixels of a sheet `width` pixels wide as far as they lie under dark dots of a stencil.
fn stamp<const N: usize>(
    sheet: &mut [u8],
    width: u32,
    stencil: &GrayImage,
    ink: [u8; N],
    (left, top): (i64, i64),
) {
    let (pixels, _) = sheet.as_chunks_mut::<N>();
    let skip = |at: i64| usize::try_from(-at).unwrap_or(0);
    let into = |at: i64| usize::try_from(at).unwrap_or(0);
    let rows = stencil.as_raw().chunks_exact(stencil.width() as usize).skip(skip(top));
    for (target, dots) in pixels.chunks_exact_mut(width as usize).skip(into(top)).zip(rows) {
        for (pixel, dot) in target.iter_mut().skip(into(left)).zip(dots.iter().skip(skip(left))) {
            match *dot {
                0 => *pixel = ink,
                255 => {}
                light => {
                    for (below, ink) in pixel.iter_mut().zip(ink) {
                        let light = u32::from(light);
                        *below =
                            ((u32::from(*below) * light + u32::from(ink) * (255 - light) + 127) / 255) as u8;
                    }
                }
            }
        }
    }
}

fn interleaved(samples: Samples, channels: usize) -> Vec<u8> {
    match samples {
        Samples::Bitonal(image) | Samples::Gray(image) if channels == 3 => {
            image.into_raw().into_iter().flat_map(|sample| [sample; 3]).collect()
        }
        Samples::Bitonal(image) | Samples::Gray(image) => image.into_raw(),
        Samples::Rgb(image) => image.into_raw(),
    }
}

/// Copies the part of `image` that lies on `sheet`; rows are `row` and `sheet_row` bytes long, `left` is in bytes.
fn paste(sheet: &mut [u8], sheet_row: usize, image: &[u8], row: usize, (left, top): (i64, i64)) {
    let skip = usize::try_from(-left).unwrap_or(0).min(row);
    let into = usize::try_from(left).unwrap_or(0).min(sheet_row);
    let count = (row - skip).min(sheet_row - into);
    let rows_skipped = usize::try_from(-top).unwrap_or(0);
    let rows_into = usize::try_from(top).unwrap_or(0);
    let from = image.chunks_exact(row).skip(rows_skipped);
    for (target, source) in sheet.chunks_exact_mut(sheet_row).skip(rows_into).zip(from) {
        target[into..into + count].copy_from_slice(&source[skip..skip + count]);
    }
}

/// The part of the page that is shown; `None` where it has no size.
fn frame(page: &Page<'_>) -> Option<Area> {
    let frame = page.intersected_crop_box();
    let area = [frame.x0, frame.y0, frame.x1, frame.y1];
    (area[2] - area[0] >= 1.0 && area[3] - area[1] >= 1.0).then_some(area)
}

/// Where an image stands.
fn area(image: &Placement<'_>) -> Area {
    let [a, b, c, d, e, f] = image.matrix;
    let (x, y) = (a + c, b + d);
    [e.min(e + x), f.min(f + y), e.max(e + x), f.max(f + y)]
}

/// Whether clipping takes nothing visible from an image.
fn wholly_visible(image: &Placement<'_>, frame: Area) -> bool {
    let Some(clip) = image.clip else { return true };
    let seen = common(area(image), frame);
    clip[0] - seen[0] < 1.0 && clip[1] - seen[1] < 1.0 && seen[2] - clip[2] < 1.0 && seen[3] - clip[3] < 1.0
}

fn common(one: Area, other: Area) -> Area {
    [one[0].max(other[0]), one[1].max(other[1]), one[2].min(other[2]), one[3].min(other[3])]
}

fn size(area: Area) -> f64 {
    (area[2] - area[0]).max(0.0) * (area[3] - area[1]).max(0.0)
}
