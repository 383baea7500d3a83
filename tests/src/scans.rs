//! Scans for tests: real letters, and files of several pages.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::GrayImage;
use platen_capture::PdfA;
use platen_capture::inspection::{ImageCodec, PageImage};
use platen_capture::pdf::Binder;
use platen_capture::worker::protocol::BindInfo;
use platen_model::PageRecord;

/// The resolution that the files state.
pub const DPI: u32 = 200;

/// A letter of the samples, as its scanner wrote it.
///
/// # Panics
///
/// Where the samples are not there.
pub fn letter() -> GrayImage {
    let sample = platen_testdata::samples().into_iter().find(|sample| sample.name == "letter-marlow");
    let path = sample.expect("the sample is there").paths().remove(0);
    image::open(path).expect("a picture").to_luma8()
}

/// A PDF of these pictures, as a scanner writes it.
///
/// # Panics
///
/// Where it cannot be written.
pub fn pdf_of(folder: &Path, name: &str, pages: &[&GrayImage]) -> PathBuf {
    let info = BindInfo {
        title: "scan".into(),
        pdfa: PdfA::Off,
        languages: "eng".into(),
        copy_of_signed: false,
        sources: Vec::new(),
    };
    let path = folder.join(name);
    let mut binder = Binder::begin(info, std::fs::File::create(&path).expect("a file"));
    for page in pages {
        let mut jpeg = Cursor::new(Vec::new());
        page.write_to(&mut jpeg, image::ImageFormat::Jpeg).expect("a JPEG");
        let (width_px, height_px) = page.dimensions();
        let image =
            PageImage::plain(ImageCodec::Jpeg, (width_px, height_px), 1, 8, jpeg.get_ref().len() as u64);
        let record = PageRecord { width_px, height_px, dpi: DPI, ..PageRecord::default() };
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, jpeg.get_ref()).expect("write");
        binder.add_page(&image, &record, file).expect("a page");
    }
    binder.finish().expect("a PDF");
    path
}
