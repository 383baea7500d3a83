//! Sheets that we print are read back after they were printed and scanned, however they lay on the glass.

use std::fs::File;
use std::io::Write as _;

use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};
use platen_capture::decode::Document;
use platen_capture::ocr::Engines;
use platen_capture::pdf::{Paper, render, sheet};
use platen_capture::raster::finish_page;
use platen_capture::separate::{Patch, Separation, SheetValues, separate};
use platen_capture::{Effort, Options};
use platen_model::{Aside, PageRecord};
use platen_testdata::scanner::{Pixels, SHEET_DPI, Settings, Tone, scan};

/// A sheet as it comes out of the printer.
fn printed(values: &SheetValues, patch: Patch, paper: Paper) -> RgbImage {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&sheet(values, patch, paper).expect("a sheet")).expect("write");
    let inches = if paper == Paper::A4 { 8.268 } else { 8.5 };
    let (png, pages) = render(&file, 0, (inches * SHEET_DPI as f32) as u32).expect("a sound PDF");
    assert_eq!(pages, 1);
    image::load_from_memory(&png).expect("a PNG").to_rgb8()
}

/// The page record of a scan as the agent makes it, but that nothing is read.
fn captured(page: Pixels, quarters: u32) -> PageRecord {
    let page = match page {
        Pixels::Gray(page) => DynamicImage::ImageLuma8(page),
        Pixels::Colour(page) => DynamicImage::ImageRgb8(page),
    };
    let page = match quarters {
        1 => page.rotate90(),
        2 => page.rotate180(),
        3 => page.rotate270(),
        _ => page,
    };
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    page.write_to(&mut file, image::ImageFormat::Png).expect("a PNG");
    let options = Options::default();
    let mut document =
        Document::open(File::open(file.path()).expect("it is there"), &options.limits).expect("a PNG");
    finish_page(&mut document, 0, &options, Effort::Unread, &mut Engines::default()).expect("a page").record
}

fn values(pairs: &[(&str, &str)]) -> SheetValues {
    SheetValues::new(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into()))).expect("values")
}

#[test]
fn a_cover_sheet_is_read_back_in_all_four_turns_by_all_kinds_of_scanners() {
    let values = values(&[("type", "nda"), ("department", "legal"), ("customer", "Müller & Söhne, 4711")]);
    let sheet = printed(&values, Patch::T, Paper::A4);
    let scanners = [
        Settings::office(Tone::Bitonal, 200, 1.2, 1),
        Settings::office(Tone::Gray, 150, -1.7, 2),
        Settings { noise: 5.0, specks: 200, ..Settings::office(Tone::Bitonal, 300, 2.6, 3) },
        Settings { shadow: true, contrast: 0.6, ..Settings::office(Tone::Colour, 200, -0.6, 4) },
    ];
    for (scanner, quarters) in scanners.iter().zip([0, 1, 2, 3]).chain(scanners.iter().zip([2, 3, 0, 1])) {
        let page = captured(scan(&sheet, scanner), quarters);
        let texts: Vec<(&str, &str)> =
            page.barcodes.iter().map(|code| (code.symbology.as_str(), code.text.as_str())).collect();
        let says = format!("{scanner:?}, {quarters} quarters: {texts:?}");
        assert!(texts.contains(&("qr", values.text().as_str())), "{says}");
        assert!(texts.contains(&("patch", "T")), "{says}");
        assert!(texts.contains(&("code-128", "PLATEN-SHEET")), "{says}");
        assert!(!texts.contains(&("patch", "3")), "{says}");

        let groups = separate(&[page, PageRecord::default()], false, &Separation::default());
        let groups = groups.expect("one document");
        assert_eq!(
            (groups[0].pages.as_slice(), groups[0].aside.as_slice()),
            (&[1][..], &[(0, Aside::Sheet)][..])
        );
        let read: Vec<(&str, &str)> =
            groups[0].values.iter().map(|(name, value)| (name.as_str(), value.value.as_str())).collect();
        assert_eq!(read, values.iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_sheet_without_values_separates_and_says_nothing() {
    for (patch, paper) in [(Patch::P2, Paper::Letter), (Patch::P3, Paper::A4)] {
        let sheet = printed(&SheetValues::default(), patch, paper);
        let page = captured(scan(&sheet, &Settings::office(Tone::Bitonal, 200, 0.8, 5)), 1);
        let texts: Vec<&str> = page.barcodes.iter().map(|code| code.text.as_str()).collect();
        assert!(texts.iter().all(|text| *text == patch.name()), "{texts:?}");
        let groups =
            separate(&[PageRecord::default(), page, PageRecord::default()], false, &Separation::default());
        assert_eq!(groups.expect("two documents").len(), 2);
    }
}

#[test]
fn a_sheet_at_half_its_size_is_still_a_separator_with_its_values() {
    let values = values(&[("type", "invoice")]);
    let sheet = printed(&values, Patch::T, Paper::A4);
    let (width, height) = (sheet.width() * 6 / 10, sheet.height() * 6 / 10);
    let small = imageops::resize(&sheet, width, height, FilterType::Triangle);
    let page = captured(scan(&small, &Settings::office(Tone::Gray, 300, 0.5, 6)), 0);
    assert!(page.barcodes.iter().any(|code| code.text == values.text()), "{:?}", page.barcodes);
    assert!(page.barcodes.iter().any(|code| code.text == "T"), "{:?}", page.barcodes);
}
