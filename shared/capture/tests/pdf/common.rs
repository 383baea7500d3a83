//! Pages to bind, and the programs that judge the result.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use fax::{Color, VecWriter, encoder::Encoder};
use flate2::{Compression, write::ZlibEncoder};
use platen_capture::PdfA;
use platen_capture::inspection::{ImageCodec, PageImage};
use platen_capture::pdf::Binder;
use platen_capture::worker::protocol::BindInfo;
use platen_model::{Digest, PageRecord, Rect, Word};
use tempfile::NamedTempFile;

/// Size of every page, in pixels at 300 dpi.
pub(crate) const WIDTH: u32 = 1000;
/// See [`WIDTH`].
pub(crate) const HEIGHT: u32 = 1500;

/// Runs a program that must succeed, and answers what it printed.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&OsStr]) -> String {
    let package = if program == "qpdf" || program == "openssl" { program } else { "poppler-utils" };
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("cannot run {program}: {error}; these tests need the package `{package}`")
    });
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {}\n{said}\n{complained}", output.status);
    said
}

/// `qpdf` and poppler find nothing to complain of.
#[track_caller]
pub(crate) fn clean(pdf: &Path) {
    let folder = tempfile::tempdir().expect("a folder");
    let picture = folder.path().join("page");
    for (program, arguments) in [
        ("qpdf", vec!["--check".as_ref(), pdf.as_os_str()]),
        ("pdftotext", vec![pdf.as_os_str(), "/dev/null".as_ref()]),
        ("pdftoppm", vec!["-r".as_ref(), "20".as_ref(), pdf.as_os_str(), picture.as_os_str()]),
    ] {
        let output =
            Command::new(program).args(&arguments).output().expect("qpdf and poppler-utils are installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.trim().is_empty(), "{program}: {}: {said}", output.status);
    }
}

/// Where Debian puts the parts of Preflight.
const JARS: [&str; 7] =
    ["preflight", "pdfbox2", "fontbox2", "xmpbox", "commons-logging", "javax.activation", "jaxb-api"];

/// Preflight finds no breach of PDF/A-1b in these files.
#[track_caller]
pub(crate) fn check_preflight(files: &[&Path]) {
    let jars = JARS.map(|name| format!("/usr/share/java/{name}.jar")).join(":");
    for file in files {
        let output = Command::new("java")
            .args(["-cp", &jars, "org.apache.pdfbox.preflight.Validator_A1b"])
            .arg(file)
            .output()
            .expect("java is there; these tests need `default-jre-headless` and `libpdfbox2-java`");
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("is a valid PDF/A-1b file"), "{said}{complained}");
    }
}

pub(crate) fn word(text: &str, [x, y, w, h]: [u32; 4], line: u32, block: u32) -> Word {
    Word { text: text.into(), confidence: 0.9, rect: Rect { x, y, w, h }, line, block }
}

pub(crate) fn page_of(words: Vec<Word>) -> PageRecord {
    PageRecord { width_px: WIDTH, height_px: HEIGHT, dpi: 300, words, ..PageRecord::default() }
}

pub(crate) fn info(pdfa: PdfA) -> BindInfo {
    BindInfo {
        title: "Offer & reply.tif".into(),
        pdfa,
        languages: "eng+deu".into(),
        copy_of_signed: false,
        sources: vec![Digest::of(b"a scan")],
    }
}

/// A PDF of these pages, whose left half is black.
pub(crate) fn bind(records: &[PageRecord], pdfa: PdfA, codec: ImageCodec) -> NamedTempFile {
    let bound = NamedTempFile::new().expect("a file");
    let mut binder = Binder::begin(info(pdfa), bound.reopen().expect("open"));
    for record in records {
        let (image, file) = blank_page(codec);
        binder.add_page(&image, record, file).expect("the page is added");
    }
    binder.finish().expect("the PDF is finished");
    bound
}

/// A page, black on its left half, coded as asked.
pub(crate) fn blank_page(codec: ImageCodec) -> (PageImage, File) {
    let black = |x: u32| x < WIDTH / 2;
    let (components, bits, bytes) = match codec {
        ImageCodec::Jpeg => {
            let picture = image::RgbImage::from_fn(WIDTH, HEIGHT, |x, _| {
                image::Rgb([if black(x) { 0 } else { 255 }; 3])
            });
            let mut bytes = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("a JPEG");
            (3, 8, bytes.into_inner())
        }
        ImageCodec::CcittG4 => {
            let mut encoder = Encoder::new(VecWriter::new());
            for _ in 0..HEIGHT {
                let row = (0..WIDTH).map(|x| if black(x) { Color::Black } else { Color::White });
                encoder.encode_line(row, WIDTH).expect("memory");
            }
            (1, 1, encoder.finish().expect("memory").finish())
        }
        ImageCodec::Jbig2 => unreachable!("what is coded so comes out of finished pages"),
        ImageCodec::Flate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            for _ in 0..HEIGHT {
                let row: Vec<u8> = (0..WIDTH).map(|x| if black(x) { 0 } else { 255 }).collect();
                encoder.write_all(&row).expect("memory");
            }
            (1, 8, encoder.finish().expect("memory"))
        }
    };
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&bytes).expect("write");
    (PageImage::plain(codec, (WIDTH, HEIGHT), components, bits, bytes.len() as u64), file)
}
