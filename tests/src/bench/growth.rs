//! What a page costs in files of more and more pages.

use std::io::Write as _;
use std::path::Path;

use fax::encoder::Encoder;
use fax::{Color, VecWriter};
use image::GrayImage;
use platen_capture::Limits;
use platen_capture::decode::Document;

use super::contender::Tools;
use super::cost;
use super::report::{Report, figure};

/// Pages in the files.
const COUNTS: &[u32] = &[1, 10, 100, 1_000];
/// The most in a quick run.
const QUICK_MAX: u32 = 100;
/// Only this part of the page keeps its ink, so that a thousand pages take minutes and not half an hour.
const INKED: f64 = 0.2;
/// The sample that the pages are made of.
const SAMPLE: &str = "contract-halden";

/// Measures files of more and more pages, and writes the table.
///
/// # Errors
///
/// When a file cannot be made or is not read.
pub fn measure(tools: &Tools, quick: bool, scratch: &Path, report: &mut Report) -> Result<(), String> {
    let page = page()?;
    let mut rows = Vec::new();
    for &count in COUNTS.iter().filter(|&&count| !quick || count <= QUICK_MAX) {
        eprintln!("a file of {count} pages");
        let file = scratch.join(format!("{count}-pages.tif"));
        std::fs::File::create(&file)
            .and_then(|mut target| target.write_all(&tiff(&page, count)))
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let out = scratch.join(format!("{count}-pages"));
        let (cost, peaks) = cost::with_peaks(&mut tools.platen(&[&file], "eng", &out))?;
        rows.push(vec![
            count.to_string(),
            figure(Some(cost.cpu_s / f64::from(count)), 3),
            figure(Some(60.0 * f64::from(count) / cost.wall_s), 0),
            figure(Some(peaks.children_mb), 0),
            figure(Some(peaks.own_mb), 0),
        ]);
    }
    report.section("Cost against page count");
    report.paragraph(
        "One TIFF of equal A4 pages (group 4, 300 dpi, a few lines of text on each), one worker. Peaks are the kernel's \
         own (`VmHWM`).",
    );
    report.table(&["pages", "CPU s / page", "pages / minute", "worker peak MB", "supervisor peak MB"], &rows);
    Ok(())
}

/// A page with the first lines of a sample.
fn page() -> Result<GrayImage, String> {
    let sample = platen_testdata::samples().into_iter().find(|sample| sample.name == SAMPLE);
    let path = sample.and_then(|sample| sample.paths().into_iter().next()).ok_or("the sample is missing")?;
    let file = std::fs::File::open(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let limits = Limits::default();
    let decoded = Document::open(file, &limits).and_then(|mut document| document.page(0, &limits));
    let mut page = decoded.map_err(|failure| failure.to_string())?.samples.to_gray();
    let inked = (f64::from(page.height()) * INKED) as usize * page.width() as usize;
    page.iter_mut().skip(inked).for_each(|sample| *sample = 255);
    Ok(page)
}

/// A TIFF of equal pages, each with data of its own, as a scanner writes them (TIFF 6.0, CCITT T.6).
fn tiff(page: &GrayImage, count: u32) -> Vec<u8> {
    let (width, height) = page.dimensions();
    let mut encoder = Encoder::new(VecWriter::new());
    for row in page.as_raw().chunks_exact(width as usize) {
        let dots = row.iter().map(|&sample| if sample < 128 { Color::Black } else { Color::White });
        match encoder.encode_line(dots, width) {
            Ok(()) => {}
        }
    }
    let data = match encoder.finish() {
        Ok(writer) => writer.finish(),
    };
    // Little-endian; the resolution stands once, behind the header.
    const RESOLUTION_AT: u32 = 8;
    let mut bytes = b"II\x2a\0\0\0\0\0".to_vec();
    bytes.extend(300u32.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    let mut link = 4;
    for _ in 0..count {
        let at = bytes.len() as u32;
        bytes.extend(&data);
        if bytes.len() % 2 == 1 {
            bytes.push(0);
        }
        let directory = (bytes.len() as u32).to_le_bytes();
        bytes[link..link + 4].copy_from_slice(&directory);
        let entries: [(u16, u16, u32); 9] = [
            (256, 4, width),
            (257, 4, height),
            (259, 3, 4),
            (262, 3, 0),
            (273, 4, at),
            (278, 4, height),
            (279, 4, data.len() as u32),
            (282, 5, RESOLUTION_AT),
            (283, 5, RESOLUTION_AT),
        ];
        bytes.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, value) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(kind.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        link = bytes.len();
        bytes.extend([0; 4]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_many_pages_opens_as_one() {
        let page = page().expect("a sample is there");
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&tiff(&page, 3)).expect("written");
        let limits = Limits::default();
        let mut document = Document::open(file, &limits).expect("it opens");
        assert_eq!(document.inspect(&limits).expect("it is inspected").pages, 3);
        let last = document.page(2, &limits).expect("it decodes");
        assert!(last.samples.to_gray().iter().eq(page.iter().map(|sample| if *sample < 128 {
            &0
        } else {
            &255
        })));
    }
}
