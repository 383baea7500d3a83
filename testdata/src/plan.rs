//! The plan: which document goes through which scanner into which file, and where it must end.

use std::collections::BTreeMap;

use platen_testdata::scanner::{Settings, Tone, scan};
use platen_testdata::{EXPECTED_SUFFIX, Expected, Outcome};

use crate::documents::{self, Document, layouts};
use crate::encode::{self, Scan};
use crate::paper::Fonts;

/// The files of one sample as the scanner leaves them.
enum Coding {
    /// One G4 TIFF with all pages.
    Tiff,
    /// One JPEG for each page: `<name>.jpg`, or `<name>_p1.jpg` and so on.
    Jpeg,
    /// A bitonal PNG of one page.
    Png,
    /// One PDF with all pages.
    Pdf,
}

type Files = BTreeMap<String, Vec<u8>>;

/// Makes the pages of `pages/` by name: pictures, and their text in the order in which a person reads it.
pub(crate) fn pages() -> Result<Files, String> {
    let fonts = Fonts::load()?;
    let mut files = Files::new();
    for (seed, (name, sheet)) in (101..).zip([
        ("bill", layouts::bill(&fonts)),
        ("columns", layouts::columns(&fonts)),
        ("pairs", layouts::pairs(&fonts)),
        ("plain-table", layouts::plain_table(&fonts)),
        ("ruled-table", layouts::ruled_table(&fonts)),
    ]) {
        let settings = Settings { specks: 0, ..Settings::office(Tone::Bitonal, 250, 0.0, seed) };
        let scan = Scan { pixels: scan(&sheet.image, &settings), dpi: settings.dpi };
        files.insert(format!("{name}.png"), encode::bitonal_png(&scan)?);
        files.insert(format!("{name}.txt"), sheet.text().into_bytes());
    }
    Ok(files)
}

/// Makes all samples by name.
pub(crate) fn make() -> Result<Files, String> {
    use Coding::{Jpeg, Pdf, Png, Tiff};
    use Tone::{Bitonal, Colour, Gray};
    let fonts = Fonts::load()?;
    let fonts = &fonts;
    let office = Settings::office;
    let mut files = Files::new();
    let mut add = |name: &str, document: Document<'_>, scans: &[Settings], coding, verdict: &str| {
        document_sample(&mut files, name, &document, scans, coding, verdict)
    };

    let nda = [Settings { specks: 60, ..office(Bitonal, 300, -3.4, 11) }];
    add("nda-nordwind", documents::mutual_nda(fonts), &nda, Tiff, "auto")?;
    let nda = [office(Gray, 200, 1.7, 12), office(Gray, 200, -0.8, 13), office(Gray, 200, 0.4, 14)];
    add("nda-helix", with_blank_back(documents::one_way_nda(fonts), fonts), &nda, Pdf, "auto")?;
    let invoice = [Settings { specks: 90, ..office(Bitonal, 300, 0.9, 21) }];
    add("invoice-brightwater", documents::invoice_brightwater(fonts), &invoice, Tiff, "auto")?;
    let invoice = [Settings { shading: 0.1, ..office(Colour, 200, -1.2, 22) }];
    add("invoice-lindner", documents::invoice_lindner(fonts), &invoice, Jpeg, "auto")?;
    let order = [office(Bitonal, 300, 0.0, 31)];
    add("order-halden", documents::purchase_order(fonts), &order, Png, "auto")?;
    let note = [Settings { upside_down: true, noise: 4.0, ..office(Gray, 200, -0.6, 41) }];
    add("delivery-kessel", documents::delivery_note(fonts), &note, Jpeg, "auto")?;
    let form = [Settings { noise: 3.5, ..office(Colour, 200, 2.3, 51) }];
    add("onboarding-lindqvist", documents::onboarding_form(fonts), &form, Jpeg, "auto")?;
    let mandate = [Settings { noise: 3.0, ..office(Colour, 200, -1.6, 56) }];
    add("mandate-ostertal", documents::direct_debit_mandate(fonts), &mandate, Jpeg, "auto")?;
    let letter = [Settings { shading: 0.22, shadow: true, noise: 4.5, ..office(Gray, 200, -2.1, 61) }];
    add("letter-marlow", documents::letter_marlow(fonts), &letter, Jpeg, "auto")?;
    let letter = [office(Gray, 200, 0.7, 62), office(Gray, 200, -0.5, 63), office(Gray, 200, 1.1, 64)];
    add("letter-pages", documents::letter_in_three_pages(fonts), &letter, Jpeg, "auto")?;
    let contract =
        [office(Bitonal, 300, 1.3, 71), office(Bitonal, 300, -0.4, 72), office(Bitonal, 300, 0.0, 73)];
    add("contract-halden", documents::services_contract(fonts), &contract, Tiff, "auto")?;
    let receipt = [Settings { contrast: 0.8, ..office(Gray, 300, -1.5, 81) }];
    add("receipt-colbert", documents::receipt(fonts), &receipt, Jpeg, "auto")?;
    let blank = [Settings { specks: 40, ..office(Bitonal, 300, 0.0, 91) }];
    add("blank", documents::blank_page(fonts), &blank, Png, "review")?;
    let faint =
        Settings { contrast: 0.45, noise: 8.0, blur: 0.9, shading: 0.15, ..office(Gray, 110, 4.6, 92) };
    add("note-faint", documents::faint_note(fonts), &[faint], Jpeg, "review")?;

    let letter = print_and_scan(&documents::locked_letter(fonts), &[office(Gray, 150, 0.3, 93)]);
    let locked = encode::locked_pdf(&letter, "correct horse")?;
    quarantined_sample(&mut files, "letter-locked", "letter-locked.pdf", locked, "locked")?;
    let scan = print_and_scan(&documents::mutual_nda(fonts), &[office(Bitonal, 300, 0.6, 94)]);
    let mut cut = encode::g4_tiff(&scan)?;
    cut.truncate(cut.len() * 2 / 5);
    quarantined_sample(&mut files, "scan-cut-off", "scan-cut-off.tif", cut, "truncated")?;
    let mut garbled = encode::jpeg(&print_and_scan(&documents::faint_note(fonts), &[faint])[0])?;
    garble(&mut garbled);
    quarantined_sample(&mut files, "scan-garbled", "scan-garbled.jpg", garbled, "corrupt")?;
    Ok(files)
}

/// A duplex scanner also scans the empty back of the last page.
fn with_blank_back<'f>(mut document: Document<'f>, fonts: &'f Fonts) -> Document<'f> {
    document.pages.extend(documents::blank_page(fonts).pages);
    document
}

/// Overwrites a JPEG as a failing memory card does; only its first segment (JFIF, 20 bytes) is still sound.
fn garble(bytes: &mut [u8]) {
    for (place, byte) in bytes.iter_mut().enumerate().skip(20) {
        *byte = (place as u8).wrapping_mul(37) ^ *byte & 0x0f;
        // 0xFF would begin a marker, and a decoder could find its way back in.
        if *byte == 0xff {
            *byte = 0x7f;
        }
    }
}

fn print_and_scan(document: &Document<'_>, settings: &[Settings]) -> Vec<Scan> {
    let pages = document.pages.iter().zip(settings);
    pages.map(|(sheet, settings)| Scan { pixels: scan(&sheet.image, settings), dpi: settings.dpi }).collect()
}

fn document_sample(
    files: &mut Files,
    name: &str,
    document: &Document<'_>,
    settings: &[Settings],
    coding: Coding,
    verdict: &str,
) -> Result<(), String> {
    let scans = print_and_scan(document, settings);
    let made: Vec<(String, Vec<u8>)> = match coding {
        Coding::Tiff => vec![(format!("{name}.tif"), encode::g4_tiff(&scans)?)],
        Coding::Pdf => vec![(format!("{name}.pdf"), encode::pdf(&scans)?)],
        Coding::Png => vec![(format!("{name}.png"), encode::bitonal_png(&scans[0])?)],
        Coding::Jpeg if scans.len() == 1 => vec![(format!("{name}.jpg"), encode::jpeg(&scans[0])?)],
        Coding::Jpeg => {
            let pages = (1..).zip(&scans);
            pages
                .map(|(page, scan)| Ok((format!("{name}_p{page}.jpg"), encode::jpeg(scan)?)))
                .collect::<Result<_, String>>()?
        }
    };
    // Blank pages are set aside, unless there is nothing else.
    let texts: Vec<String> = document.pages.iter().map(|sheet| sheet.text()).collect();
    let all_blank = texts.iter().all(String::is_empty);
    let kept: Vec<usize> = (0..texts.len()).filter(|&page| all_blank || !texts[page].is_empty()).collect();
    let expected = Expected {
        files: made.iter().map(|(file, _)| file.clone()).collect(),
        document_type: document.document_type.to_owned(),
        fields: document.fields.clone(),
        text: kept.iter().map(|&page| texts[page].as_str()).collect::<Vec<_>>().join("\u{c}"),
        pages: kept.len() as u32,
        blank_pages: (texts.len() - kept.len()) as u32,
        skew_deg: kept.iter().map(|&page| settings[page].skew_deg).collect(),
        rotation_deg: kept.iter().map(|&page| if settings[page].upside_down { 180 } else { 0 }).collect(),
        outcome: Outcome::Document { verdict: verdict.to_owned() },
    };
    files.extend(made);
    expect(files, name, &expected)
}

fn quarantined_sample(
    files: &mut Files,
    name: &str,
    file: &str,
    bytes: Vec<u8>,
    class: &str,
) -> Result<(), String> {
    files.insert(file.to_owned(), bytes);
    let expected = Expected {
        files: vec![file.to_owned()],
        document_type: "unknown".into(),
        fields: BTreeMap::new(),
        text: String::new(),
        pages: 0,
        blank_pages: 0,
        skew_deg: Vec::new(),
        rotation_deg: Vec::new(),
        outcome: Outcome::Quarantined { class: class.to_owned() },
    };
    expect(files, name, &expected)
}

fn expect(files: &mut Files, name: &str, expected: &Expected) -> Result<(), String> {
    let mut json = serde_json::to_string_pretty(expected).map_err(|error| format!("{name}: {error}"))?;
    json.push('\n');
    files.insert(format!("{name}{EXPECTED_SUFFIX}"), json.into_bytes());
    Ok(())
}
