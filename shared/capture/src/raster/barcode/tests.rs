//! Codes printed, scanned in all four turns, and read.

use image::{GrayImage, Luma, Rgb, RgbImage, imageops};
use platen_testdata::scanner::{Pixels, SHEET_DPI, Settings, Tone, scan};
use rxing::{BarcodeFormat, MultiFormatWriter, Writer as _};

use super::*;
use crate::separate::Patch;

/// An empty sheet of 8 by 10 inches.
fn sheet() -> RgbImage {
    RgbImage::from_pixel(8 * SHEET_DPI, 10 * SHEET_DPI, Rgb([255; 3]))
}

fn bar(sheet: &mut RgbImage, x: u32, y: u32, w: u32, h: u32) {
    for (x, y) in (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y))) {
        sheet.put_pixel(x, y, Rgb([20; 3]));
    }
}

/// Prints a code with modules of so many pixels of the sheet, bars half an inch long; answers its box.
fn print(
    sheet: &mut RgbImage,
    format: BarcodeFormat,
    text: &str,
    module: u32,
    (left, top): (u32, u32),
) -> Rect {
    let matrix = MultiFormatWriter.encode(text, &format, 0, 0).expect("a code");
    let is_flat = matrix.height() == 1;
    let high = if is_flat { SHEET_DPI / 2 } else { module };
    for y in 0..matrix.height() {
        for x in (0..matrix.width()).filter(|&x| matrix.get(x, y)) {
            bar(sheet, left + x * module, top + y * high, module, high);
        }
    }
    Rect { x: left, y: top, w: matrix.width() * module, h: matrix.height() * high }
}

fn print_patch(sheet: &mut RgbImage, patch: Patch, left: u32, mut top: u32) {
    for wide in patch.wide_bars() {
        let thick = if wide { SHEET_DPI / 5 } else { SHEET_DPI * 2 / 25 };
        bar(sheet, left, top, 5 * SHEET_DPI / 2, thick);
        top += thick + SHEET_DPI * 2 / 25;
    }
}

/// What must be found on a sheet, whichever of the first scanners it went through, and however it lay on the glass.
#[track_caller]
fn check(sheet: &RgbImage, scanners: usize, wanted: &[(&str, &str)]) {
    let settings = [
        Settings::office(Tone::Bitonal, 200, 1.5, 1),
        Settings { noise: 6.0, contrast: 0.7, ..Settings::office(Tone::Gray, 200, -2.0, 2) },
        Settings { shading: 0.2, ..Settings::office(Tone::Colour, 300, 3.0, 3) },
    ];
    for settings in &settings[..scanners] {
        let page = match scan(sheet, settings) {
            Pixels::Gray(page) => page,
            Pixels::Colour(page) => imageops::grayscale(&page),
        };
        let turns =
            [page.clone(), imageops::rotate90(&page), imageops::rotate180(&page), imageops::rotate270(&page)];
        for (quarters, page) in turns.iter().enumerate() {
            let found = find(page, settings.dpi, &Ink::of(page));
            let mut texts: Vec<(&str, &str)> =
                found.iter().map(|code| (code.symbology.as_str(), code.text.as_str())).collect();
            texts.sort_unstable();
            assert_eq!(texts, wanted, "{settings:?}, {quarters} quarters: {found:?}");
        }
    }
}

#[test]
fn codes_are_read_however_the_sheet_lies() {
    let mut sheet = sheet();
    print(&mut sheet, BarcodeFormat::CODE_128, "Batch 2026/07", 4, (300, 300));
    print(&mut sheet, BarcodeFormat::CODE_39, "ASN00123", 4, (300, 800));
    print(&mut sheet, BarcodeFormat::QR_CODE, "platen:sheet?type=nda", 9, (300, 1300));
    let wanted = [("code-128", "Batch 2026/07"), ("code-39", "ASN00123"), ("qr", "platen:sheet?type=nda")];
    check(&sheet, 3, &wanted);
}

#[test]
fn a_data_matrix_is_read_however_the_sheet_lies() {
    let mut sheet = sheet();
    print(&mut sheet, BarcodeFormat::DATA_MATRIX, "LOT 4711-0815", 10, (1300, 1300));
    check(&sheet, 3, &[("data-matrix", "LOT 4711-0815")]);
}

#[test]
fn patch_codes_are_read_from_the_edge_inward() {
    for patch in Patch::ALL {
        let mut sheet = sheet();
        print_patch(&mut sheet, patch, 500, 120);
        check(&sheet, 1, &[("patch", patch.name())]);
    }
}

#[test]
fn two_codes_in_a_row_are_two() {
    let mut sheet = sheet();
    print(&mut sheet, BarcodeFormat::CODE_128, "ONE", 4, (200, 300));
    print(&mut sheet, BarcodeFormat::CODE_128, "TWO", 4, (1300, 300));
    check(&sheet, 2, &[("code-128", "ONE"), ("code-128", "TWO")]);
}

#[test]
fn rules_tables_and_columns_of_bars_are_no_codes() {
    let mut sheet = sheet();
    for line in 0..60 {
        bar(&mut sheet, 200, 200 + line * 45, 2000, 3 + line % 4);
    }
    for column in 0..12 {
        bar(&mut sheet, 200 + column * 180, 200, 3, 2700);
    }
    // A bar chart.
    for column in 0..9 {
        bar(&mut sheet, 300 + column * 120, 1200 + column * 60, 60, 1500 - column * 60);
    }
    check(&sheet, 2, &[]);
}

#[test]
fn boxes_go_with_the_page_when_it_is_turned_and_straightened() {
    let mut sheet = sheet();
    let place = print(&mut sheet, BarcodeFormat::QR_CODE, "where it stands", 10, (400, 700));
    let page = imageops::grayscale(&sheet);
    for (quarters, lying) in
        [(0, page.clone()), (270, imageops::rotate90(&page)), (180, imageops::rotate180(&page))]
    {
        let mut found = find(&lying, SHEET_DPI, &Ink::of(&lying));
        move_along(&mut found, lying.dimensions(), quarters, 0.0, page.dimensions());
        let Rect { x, y, w, h } = found[0].rect;
        // The writer leaves a quiet zone of four modules.
        let off = [x.abs_diff(place.x + 40), y.abs_diff(place.y + 40)];
        assert!(off.iter().all(|&off| off <= 12), "{quarters}: {x} {y} {w} {h} for {place:?}");
        assert!(w.abs_diff(place.w - 80) <= 24 && h.abs_diff(place.h - 80) <= 24, "{quarters}: {w} {h}");
    }
}

#[test]
fn pages_of_any_size_are_searched_without_harm() {
    for (width, height) in [(1, 1), (3, 900), (900, 3), (40, 40)] {
        let page = GrayImage::from_fn(width, height, |x, y| Luma([((x * 7 + y * 13) % 256) as u8]));
        find(&page, 300, &Ink::of(&page));
        find(&page, 1, &Ink::of(&page));
    }
}
