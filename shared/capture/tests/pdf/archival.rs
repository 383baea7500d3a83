//! PDF/A-1b, judged by Preflight, the validator of Apache PDFBox, and what PDF/A-2b needs beside.
//!
//! No validator of part 2 can be had from the sources that this project builds from. What part 2 adds to part 1 and
//! what is shown of it stands in `src/pdf/pdfa.md`.

use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage};
use platen_capture::decode::{Chroma, Picture, Samples};
use platen_capture::inspection::{ImageCodec, PageImage};
use platen_capture::pdf::{Binder, render};
use platen_capture::raster::encode;
use platen_capture::{PdfA, Profile};
use platen_model::PageRecord;
use tempfile::NamedTempFile;

use crate::common::{bind, check_preflight, clean, info, page_of, run, word};
use std::io::Write as _;

/// A PDF of one picture, coded by this profile.
fn pictured(picture: Picture, profile: Profile, pdfa: PdfA) -> (PageImage, NamedTempFile) {
    let (width_px, height_px) = picture.dimensions();
    let (image, bytes) =
        encode::encode(picture, encode::Lettering::unknown(300), profile).expect("it is coded");
    let mut source = tempfile::tempfile().expect("a file");
    source.write_all(&bytes).expect("write");
    let words = vec![word("Letters", [100, 100, 300, 60], 0, 0)];
    let record = PageRecord { width_px, height_px, dpi: 300, words, ..PageRecord::default() };
    let file = NamedTempFile::new().expect("a file");
    let mut binder = Binder::begin(info(pdfa), file.reopen().expect("open"));
    binder.add_page(&image, &record, source).expect("the page is added");
    binder.finish().expect("the PDF is finished");
    clean(file.path());
    (image, file)
}

/// Bars like letters: those of the upper half in one colour, those of the lower in another.
fn written(paper: [u8; 3], upper: [u8; 3], lower: [u8; 3]) -> RgbImage {
    RgbImage::from_fn(1_240, 1_754, |x, y| {
        let is_letter = (100..1_100).contains(&x) && y % 60 < 30 && (x / 7) % 4 == 0 && y > 100;
        Rgb(match (is_letter, y < 877) {
            (false, _) => paper,
            (true, true) => upper,
            (true, false) => lower,
        })
    })
}

fn two_tones() -> GrayImage {
    GrayImage::from_fn(1_240, 1_754, |x, y| Luma([if (x / 7 + y / 9) % 5 == 0 { 0 } else { 255 }]))
}

#[test]
fn preflight_finds_no_breach_whatever_the_coding_and_the_profile() {
    let words = vec![
        word("שלום", [700, 200, 120, 40], 0, 0),
        word("Ångström", [150, 300, 200, 40], 1, 0),
        word("𝒳-ray", [150, 400, 200, 40], 2, 1),
    ];
    let mut files: Vec<NamedTempFile> = [ImageCodec::Jpeg, ImageCodec::CcittG4, ImageCodec::Flate]
        .into_iter()
        .map(|codec| bind(&[page_of(words.clone()), page_of(vec![])], PdfA::A1b, codec))
        .collect();
    let one = written([240, 235, 220], [10, 10, 60], [10, 10, 60]);
    let two = written([255; 3], [0; 3], [190, 20, 20]);
    let plain = |samples| Picture::new(samples);
    let (image, file) = pictured(plain(Samples::Rgb(one)), Profile::Compact, PdfA::A1b);
    assert!(image.strokes.as_ref().is_some_and(|strokes| strokes.colour.is_some()), "one colour");
    files.push(file);
    let (image, file) = pictured(plain(Samples::Rgb(two)), Profile::Compact, PdfA::A1b);
    assert!(image.strokes.as_ref().is_some_and(|strokes| strokes.colours.is_some()), "two colours");
    files.push(file);
    let (image, file) = pictured(plain(Samples::Gray(two_tones())), Profile::Exact, PdfA::A1b);
    assert_eq!(image.codec, ImageCodec::Jbig2, "black and white is found out, and JBIG2 is the shorter");
    files.push(file);
    let paths: Vec<&Path> = files.iter().map(NamedTempFile::path).collect();
    check_preflight(&paths);
}

#[test]
fn every_reader_shows_jbig2_as_it_was() {
    let picture = two_tones();
    let (image, file) = pictured(Picture::new(Samples::Gray(picture.clone())), Profile::Exact, PdfA::A2b);
    assert_eq!(image.codec, ImageCodec::Jbig2);
    let folder = tempfile::tempdir().expect("a folder");
    let stem = folder.path().join("image");
    run("pdfimages", &["-png".as_ref(), file.path().as_os_str(), stem.as_os_str()]);
    let popplers = image::open(folder.path().join("image-000.png")).expect("a PNG").to_luma8();
    assert!(popplers == picture, "poppler decodes something else");
    let mut document =
        platen_capture::decode::Document::open(file.reopen().expect("open"), &Default::default())
            .expect("it opens");
    let Samples::Bitonal(ours) = document.page(0, &Default::default()).expect("it decodes").samples else {
        panic!("it is black and white")
    };
    assert!(ours == picture, "we decode something else");
}

#[test]
fn an_untouched_jbig2_stream_passes_as_it_is() {
    let (image, file) = pictured(Picture::new(Samples::Gray(two_tones())), Profile::Exact, PdfA::A2b);
    let limits = platen_capture::Limits::default();
    let mut document =
        platen_capture::decode::Document::open(file.reopen().expect("open"), &limits).expect("it opens");
    let picture = document.page(0, &limits).expect("it decodes");
    let (again, bytes) =
        encode::encode(picture, encode::Lettering::unknown(300), Profile::Exact).expect("it is coded");
    assert_eq!(again, image);
    let original = std::fs::read(file.path()).expect("read");
    assert!(original.windows(bytes.len()).any(|window| window == bytes), "the stream is another");
}

#[test]
fn layers_look_like_the_page_and_take_a_fraction_of_its_bytes() {
    for (upper, lower) in [([0, 0, 90], [0, 0, 90]), ([0; 3], [180, 20, 20])] {
        let page = written([236, 230, 214], upper, lower);
        let (exact, _) = pictured(Picture::new(Samples::Rgb(page.clone())), Profile::Exact, PdfA::A2b);
        let (image, file) = pictured(Picture::new(Samples::Rgb(page.clone())), Profile::Compact, PdfA::A2b);
        assert!(
            image.strokes.is_some() && image.all_bytes() * 4 < exact.all_bytes(),
            "{image:?} against {exact:?}"
        );
        let (png, _) = render(file.as_file(), 0, page.width()).expect("render");
        let shown = image::load_from_memory(&png).expect("a PNG").to_rgb8();
        let folder = tempfile::tempdir().expect("a folder");
        let stem = folder.path().join("page");
        let options = ["-png", "-singlefile", "-r", "300"].map(AsRef::as_ref);
        run("pdftoppm", &[&options[..], &[file.path().as_os_str(), stem.as_os_str()]].concat());
        let popplers = image::open(stem.with_extension("png")).expect("a PNG").to_rgb8();
        for (who, shown) in [("hayro", shown), ("poppler", popplers)] {
            // The middle of a letter of each half, and of the paper between.
            for (x, y) in [(115, 135), (115, 1_455), (125, 135), (600, 160)] {
                let (was, is) = (page.get_pixel(x, y), shown.get_pixel(x, y));
                let apart = was.0.iter().zip(is.0).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0);
                assert!(apart < 24, "{who}: {was:?} became {is:?} at {x}, {y}");
            }
        }
    }
}

#[test]
fn a_page_in_layers_uses_no_transparency() {
    let page = written([255; 3], [0; 3], [190, 20, 20]);
    let (_, file) = pictured(Picture::new(Samples::Rgb(page)), Profile::Compact, PdfA::A2b);
    let bytes = std::fs::read(file.path()).expect("read");
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("/Mask") && text.contains("/ImageMask true"));
    assert!(!text.contains("/SMask") && !text.contains("/Group"));
}

#[test]
fn strokes_of_two_tones_at_300_dpi_are_shorter_in_one_of_the_codings_than_in_the_other() {
    // Dots without order cost group 4 more than their number of bits; long lines cost it next to nothing.
    let coded = |image: GrayImage| {
        encode::plain(&Samples::Bitonal(image), Chroma::Full).expect("it is coded").0.codec
    };
    assert_eq!(coded(two_tones()), ImageCodec::Jbig2);
    assert_eq!(coded(GrayImage::from_pixel(8, 8, Luma([255]))), ImageCodec::CcittG4);
}
