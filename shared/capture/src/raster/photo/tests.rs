use std::fs::File;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage};
use imageproc::drawing::draw_filled_rect_mut;
use imageproc::geometric_transformations::{Border, Interpolation, Projection, warp_into};
use imageproc::rect::Rect as Area;
use proptest::prelude::*;

use super::quad::{Corners, Point};
use super::*;
use crate::decode::Document;
use crate::ocr::Engines;
use crate::options::{Effort, Limits, Options};
use crate::raster::finish_page;

const PAGE: (u32, u32) = (600, 850);
const PHOTO: (u32, u32) = (900, 1_200);

/// A sheet with rows of boxes for text and a dark picture.
fn page() -> RgbImage {
    let mut page = RgbImage::from_pixel(PAGE.0, PAGE.1, Rgb([245, 244, 240]));
    for line in 0..16 {
        for letter in 0..24 {
            let area = Area::at(60 + letter * 20, 60 + line * 30).of_size(12, 16);
            draw_filled_rect_mut(&mut page, area, Rgb([40, 40, 45]));
        }
    }
    draw_filled_rect_mut(&mut page, Area::at(100, 580).of_size(300, 200), Rgb([70, 60, 90]));
    page
}

/// A wooden table: brown, with a grain, and darker towards one side.
fn table() -> RgbImage {
    RgbImage::from_fn(PHOTO.0, PHOTO.1, |x, y| {
        let grain = ((x as f32 * 0.05 + (y as f32 * 0.2).sin() * 3.0).sin() * 18.0) as i32;
        let shade = (y * 30 / PHOTO.1) as i32;
        Rgb([170 + grain - shade, 130 + grain - shade, 95 + grain - shade].map(|level| level as u8))
    })
}

/// A photo of the page with its corners at the given places.
fn photo(corners: &Corners) -> RgbImage {
    let edges = [(0.0, 0.0), (PAGE.0 as f32, 0.0), (PAGE.0 as f32, PAGE.1 as f32), (0.0, PAGE.1 as f32)];
    let seen = Projection::from_control_points(edges, *corners).expect("the corners span a plane");
    let mut photo = table();
    let mut sheet = photo.clone();
    let nothing = Border::Constant(Rgb([0; 3]));
    warp_into(&page(), seen, Interpolation::Bilinear, nothing, &mut sheet);
    let mut shape = GrayImage::new(PHOTO.0, PHOTO.1);
    let whole = GrayImage::from_pixel(PAGE.0, PAGE.1, Luma([255]));
    warp_into(&whole, seen, Interpolation::Bilinear, Border::Constant(Luma([0])), &mut shape);
    for ((to, from), part) in photo.pixels_mut().zip(sheet.pixels()).zip(shape.pixels()) {
        if part.0[0] > 127 {
            *to = *from;
        }
    }
    photo
}

fn distance(a: Point, b: Point) -> f32 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// The corners that were found where the photo is corrected.
fn found(picture: &Picture) -> Option<Corners> {
    let sheet = sheet::has_ground(&picture.samples).then(|| sheet::find(&picture.samples).sheet).flatten()?;
    let is_taken = sheet.confidence >= CONFIDENCE_MIN
        && (quad::perspective_deg(&sheet.corners) >= PERSPECTIVE_MIN_DEG
            || is_of_a_camera(picture, &sheet.corners));
    is_taken.then_some(sheet.corners)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_corners_of_a_sheet_on_a_table_are_found(
        drift in proptest::array::uniform8(-45.0f32..45.0),
        // Farther than this the sides may differ by more than what is taken for a sheet.
        far in 40.0f32..70.0,
    ) {
        let [a, b, c, d, e, f, g, h] = drift;
        // The far edge looks shorter than the near one.
        let corners =
            [(120.0 + far + a, 180.0 + b), (780.0 - far + c, 180.0 + d), (780.0 + e, 1_060.0 + f), (120.0 + g, 1_060.0 + h)];
        prop_assume!(quad::perspective_deg(&corners) >= 2.0);
        let seen = found(&Picture::new(Samples::Rgb(photo(&corners))));
        let seen = seen.ok_or_else(|| TestCaseError::fail(format!("nothing found at {corners:?}")))?;
        for (seen, corner) in seen.into_iter().zip(corners) {
            // The edges are looked for on a copy of half the size, to about two of its pixels along each edge.
            prop_assert!(distance(seen, corner) < 8.0, "{seen:?} for {corner:?}");
        }
    }
}

#[test]
fn the_page_in_a_photo_becomes_the_page_that_was_photographed() {
    check_flattened(&[(200.0, 190.0), (690.0, 170.0), (790.0, 1_050.0), (100.0, 1_000.0)]);
}

/// A sheet seen from straight above, turned clockwise by this angle.
fn flat(turn_deg: f32) -> Corners {
    let (sine, cosine) = turn_deg.to_radians().sin_cos();
    [(-240.0, -340.0), (240.0, -340.0), (240.0, 340.0), (-240.0, 340.0)]
        .map(|(x, y)| (450.0 + x * cosine - y * sine, 600.0 + x * sine + y * cosine))
}

#[test]
fn a_sheet_that_was_photographed_from_straight_above_is_cut_out() {
    for turn_deg in [0.0, 2.0, 8.0, 20.0] {
        check_flattened(&flat(turn_deg));
    }
}

#[test]
fn what_is_no_picture_of_a_camera_keeps_what_is_around_a_white_panel() {
    // A scanner's resolution, or the shape of paper.
    let of_a_scanner = Picture { dpi: Some(300), ..Picture::new(Samples::Rgb(photo(&flat(2.0)))) };
    assert_eq!(rectified(of_a_scanner).1, None);
    let cover = image::imageops::crop_imm(&photo(&flat(0.0)), 25, 0, 848, 1_200).to_image();
    check_kept(Samples::Rgb(cover), false);
    // A slide, plain and with a gradient.
    for rise in [0, 120] {
        let mut slide = RgbImage::from_fn(1_200, 900, |x, _| Rgb([20, 40 + (x * rise / 1_200) as u8, 120]));
        draw_filled_rect_mut(&mut slide, Area::at(200, 200).of_size(800, 500), Rgb([255; 3]));
        check_kept(Samples::Rgb(slide), false);
    }
}

/// Checks that the sheet with these corners is found in a photo, and becomes the page that lies there.
fn check_flattened(corners: &Corners) {
    let (picture, seen) = rectified(Picture::new(Samples::Rgb(photo(corners))));
    let Samples::Rgb(flat) = picture.samples else { panic!("colour stays colour") };
    let seen = seen.expect("it is a photo");
    assert!(seen.corrected && (CONFIDENCE_MIN..=1.0).contains(&seen.confidence), "{seen:?}");
    let flat = image::imageops::thumbnail(&flat, 60, 85);
    let sheet = image::imageops::thumbnail(&page(), 60, 85);
    let off: u64 = flat.iter().zip(sheet.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = off as f64 / flat.len() as f64;
    assert!(mean < 6.0, "{mean} levels off on average");
}

/// Checks that a picture stays as it is, and whether it is taken for a photo.
fn check_kept(samples: Samples, is_photo: bool) {
    let before = samples.to_gray();
    let (picture, seen) = rectified(Picture::new(samples));
    assert_eq!(seen.is_some(), is_photo, "{seen:?}");
    let is_unsure = |seen: Photo| !seen.corrected && (0.0..CONFIDENCE_MIN).contains(&seen.confidence);
    assert!(seen.is_none_or(is_unsure), "{seen:?}");
    assert_eq!(picture.samples.to_gray(), before);
}

#[test]
fn scans_are_not_taken_for_photos() {
    // A page that fills the glass.
    check_kept(Samples::Rgb(page()), false);
    // A crooked page under a black lid, and one under a gray one.
    for lid in [8, 120] {
        let mut scan = RgbImage::from_pixel(PHOTO.0, PHOTO.1, Rgb([lid; 3]));
        let corners = [(140.0, 150.0), (750.0, 190.0), (694.0, 1_054.0), (84.0, 1_014.0)];
        let seen = photo(&corners);
        for ((to, from), table) in scan.pixels_mut().zip(seen.pixels()).zip(table().pixels()) {
            if from != table {
                *to = *from;
            }
        }
        check_kept(Samples::Gray(Samples::Rgb(scan).to_gray()), false);
    }
}

/// The sheet runs out of the photo at the bottom.
const CUT_OFF: Corners = [(200.0, 190.0), (690.0, 170.0), (990.0, 1_650.0), (-80.0, 1_600.0)];

#[test]
fn a_photo_without_edges_is_kept() {
    check_kept(Samples::Rgb(photo(&CUT_OFF)), true);
}

#[test]
fn the_record_of_a_page_tells_how_sure_its_sheet_was_found() {
    let record = |photo: RgbImage| {
        let mut bytes = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(photo).write_to(&mut bytes, ImageFormat::Png).expect("it can be coded");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes.get_ref()).expect("written");
        let options = Options::default();
        let mut document = Document::open(file, &options.limits).expect("it opens");
        finish_page(&mut document, 0, &options, Effort::Unread, &mut Engines::default())
            .expect("a page")
            .record
    };
    let found = record(photo(&[(200.0, 190.0), (690.0, 170.0), (790.0, 1_050.0), (100.0, 1_000.0)]));
    assert!(found.photo.is_some_and(|photo| photo.corrected && photo.confidence >= CONFIDENCE_MIN));
    assert!(!found.notes.contains(&EDGES_NOT_FOUND.to_owned()));
    let kept = record(photo(&CUT_OFF));
    assert!(kept.photo.is_some_and(|photo| !photo.corrected && photo.confidence < CONFIDENCE_MIN));
    assert!(kept.notes.contains(&EDGES_NOT_FOUND.to_owned()), "{:?}", kept.notes);
    assert_eq!(record(page()).photo, None);
}

/// The pages of the corpus that may be photos: those that are not black and white.
fn corpus(folder: &str) -> Vec<(PathBuf, Picture)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus").join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: {} is not here", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let limits = Limits::default();
    let first = |path: PathBuf| {
        let file = File::open(&path).ok()?;
        let picture = Document::open(file, &limits).ok()?.page(0, &limits).ok()?;
        (!matches!(picture.samples, Samples::Bitonal(_))).then_some((path, picture))
    };
    paths.into_iter().filter(|path| path.is_file()).filter_map(first).collect()
}

#[test]
fn no_scan_of_the_corpus_is_bent() {
    for folder in ["ocr", "classify", "deskew", "formats"] {
        for (path, picture) in corpus(folder) {
            assert_eq!(found(&picture), None, "{}", path.display());
        }
    }
}

#[test]
fn the_sheets_in_the_photos_of_the_corpus_are_found_where_they_lie() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/photos/manifest.csv");
    let manifest = std::fs::read_to_string(manifest).unwrap_or_default();
    let mut known = 0;
    for (path, picture) in corpus("photos") {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(corners) = manifest.lines().find(|line| line.starts_with(&name)).and_then(corners_px) else {
            continue;
        };
        let seen = found(&picture).unwrap_or_else(|| panic!("nothing found in {name}"));
        for (seen, corner) in seen.into_iter().zip(corners) {
            assert!(distance(seen, corner) < 6.0, "{name}: {seen:?} for {corner:?}");
        }
        known += 1;
    }
    eprintln!("{known} photos with known corners");
}

/// The corners in a row of the manifest.
fn corners_px(row: &str) -> Option<Corners> {
    let (_, list) = row.split_once("corners_px")?;
    let (_, list) = list.split_once("[[")?;
    let (list, _) = list.split_once("]]")?;
    let numbers: Vec<f32> =
        list.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    let [a, b, c, d, e, f, g, h] = numbers.try_into().ok()?;
    Some([(a, b), (c, d), (e, f), (g, h)])
}
