//! What is damaged or not all there: it is shown as far as it can be and says so, and what is sound never does.

use image::Frame;
use image::codecs::gif::GifEncoder;
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::formats::{png, with_segment};
use super::pdf_pages::pdf;
use super::tiff_file::{Coding, Tiff, USUAL};
use super::*;
use crate::inspection::Feature;
use crate::ocr::Engines;
use crate::options::{Effort, Options};
use crate::raster;

const SIDE: u16 = 400;

/// Noise above, paper below.
fn samples(channels: usize) -> Vec<u8> {
    let count = usize::from(SIDE) * usize::from(SIDE) * channels;
    let noise = |at: usize| (at as u32).wrapping_mul(0x9e37_79b9).to_be_bytes()[1];
    (0..count).map(|at| if at < count * 3 / 4 { noise(at) } else { 250 }).collect()
}

fn jpeg(channels: usize, with: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 80);
    with(&mut encoder);
    let kind = if channels == 1 { ColorType::Luma } else { ColorType::Rgb };
    encoder.encode(&samples(channels), SIDE, SIDE, kind).expect("memory takes all");
    bytes
}

fn decoded(bytes: &[u8]) -> Picture {
    page(&file(bytes), 0, &Limits::default()).expect("it decodes")
}

#[track_caller]
fn check(what: &str, bytes: &[u8], is_damaged: bool) {
    let picture = decoded(bytes);
    let says = picture.remarks.iter().any(|remark| remark.contains("damaged"));
    assert_eq!((picture.is_incomplete, says), (is_damaged, is_damaged), "{what}: {:?}", picture.remarks);
    assert!(!is_damaged || picture.original.is_none(), "{what}: its bytes are not carried on");
}

/// Every way to code a JPEG that devices use.
fn jpegs() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("gray", jpeg(1, |_| {})),
        ("colour", jpeg(3, |_| {})),
        ("halved colour", jpeg(3, |encoder| encoder.set_sampling_factor(SamplingFactor::R_4_2_0))),
        ("own tables", jpeg(3, |encoder| encoder.set_optimized_huffman_tables(true))),
        ("progressive", jpeg(3, |encoder| encoder.set_progressive(true))),
        ("restarts", jpeg(3, |encoder| encoder.set_restart_interval(25))),
        ("restarts in gray", jpeg(1, |encoder| encoder.set_restart_interval(7))),
    ]
}

#[test]
fn a_jpeg_of_which_data_are_missing_is_shown_and_says_so_and_a_sound_one_does_not() {
    for (what, whole) in jpegs() {
        check(what, &whole, false);
        let data = &whole[..whole.len() - 2];
        let end = [0xff, 0xd9];
        check(&format!("{what}, padded"), &[data, &[0; 40], &end].concat(), false);
        check(&format!("{what}, filled"), &[data, &[0xff; 9], &end].concat(), false);
        check(&format!("{what}, more behind it"), &[&whole[..], &[7; 999]].concat(), false);
        check(&format!("{what}, cut"), &[&data[..data.len() / 2], &end].concat(), true);
        if what != "progressive" {
            let comment = b"\xff\xfe\0\x06told";
            check(&format!("{what}, with a comment"), &[data, comment, &end].concat(), false);
        }
    }
}

#[test]
fn a_jpeg_of_a_page_that_was_zeroed_from_some_place_on_says_so() {
    let page = DynamicImage::ImageLuma8(drawing(400, 400));
    for page in [page.clone(), DynamicImage::ImageRgb8(page.to_rgb8())] {
        let whole = coded(page, ImageFormat::Jpeg);
        check("whole", &whole, false);
        let mut zeroed = whole.clone();
        zeroed[whole.len() - 200..whole.len() - 2].fill(0);
        check("zeroed", &zeroed, true);
    }
}

#[test]
fn a_jpeg_in_a_tiff_or_a_pdf_says_when_data_are_missing() {
    fn cut(samples: &[u8], width: u16, height: u16) -> Vec<u8> {
        let whole = whole(samples, width, height);
        [&whole[..whole.len() / 2], &[0xff, 0xd9]].concat()
    }
    fn whole(samples: &[u8], width: u16, height: u16) -> Vec<u8> {
        let mut bytes = Vec::new();
        Encoder::new(&mut bytes, 80)
            .encode(samples, width, height, ColorType::Luma)
            .expect("memory takes all");
        bytes
    }
    let pixels: Vec<u16> = samples(1).into_iter().map(u16::from).collect();
    let size = (SIDE.into(), SIDE.into());
    for (encode, is_damaged) in [(whole as fn(&[u8], u16, u16) -> Vec<u8>, false), (cut, true)] {
        let tiff = Tiff { coding: Coding::Jpeg(encode), ..USUAL }.file(size, 1, &pixels);
        check("in a TIFF", &tiff, is_damaged);
        let coded = encode(&samples(1), SIDE, SIDE);
        check("in a PDF", &shown_in_pdf("/Filter/DCTDecode", coded.clone()), is_damaged);
        // Whether the marker of the end is there is no matter, as long as all of the picture is.
        let endless = coded[..coded.len() - 2].to_vec();
        check("without its end in a PDF", &shown_in_pdf("/Filter/DCTDecode", endless), is_damaged);
    }
}

/// A gray image that is all of its page.
fn shown_in_pdf(coding: &str, data: Vec<u8>) -> Vec<u8> {
    let entries = format!("/Width {SIDE}/Height {SIDE}/BitsPerComponent 8/ColorSpace/DeviceGray{coding}");
    pdf("/MediaBox[0 0 96 96]", "96 0 0 96 0 0 cm /I0 Do", &[(entries, data)])
}

fn deflated(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory takes all")
}

#[test]
fn an_image_of_a_pdf_that_ends_too_early_keeps_its_place_and_one_that_is_nothing_is_missing() {
    let all = samples(1);
    check("whole", &shown_in_pdf("", all.clone()), false);
    for short in [
        shown_in_pdf("", all[..all.len() / 2].to_vec()),
        shown_in_pdf("/Filter/FlateDecode", deflated(&all[..all.len() / 2])),
    ] {
        check("short", &short, true);
        let gray = decoded(&short).samples.to_gray();
        assert_eq!(gray.dimensions(), (SIDE.into(), SIDE.into()));
        assert_eq!(&gray.as_raw()[..100], &all[..100], "it is not stretched");
        assert!(gray.as_raw()[all.len() / 2..].iter().all(|sample| *sample == 255));
    }
    let nothing = shown_in_pdf("/Filter/FlateDecode", b"this was an image".to_vec());
    let failure = page(&file(&nothing), 0, &Limits::default()).expect_err("there is nothing to see");
    assert!(failure.message.contains("400 x 400 pixels"), "{failure}");
    let gone = pdf("/MediaBox[0 0 96 96]", "96 0 0 96 0 0 cm /I0 Do", &[]);
    let failure = page(&file(&gone), 0, &Limits::default()).expect_err("there is nothing to see");
    assert!(failure.message.contains("not in the file"), "{failure}");
    let drawn = pdf("/MediaBox[0 0 96 96]", "0 g 0 0 30 30 re f 96 0 0 96 0 0 cm /I0 Do", &[]);
    let picture = decoded(&drawn);
    assert!(picture.is_incomplete && picture.remarks[0].contains("not in the file"), "{:?}", picture.remarks);
}

#[test]
fn a_page_of_which_something_is_missing_is_never_blank() {
    let is_blank = |contents: &str| {
        let bytes = format!(
            "%PDF-1.5\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n\
             2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n\
             3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 400]/Contents {contents}>>\nendobj\n\
             4 0 obj\n<</Length 4>>\nstream\nq Q \nendstream\nendobj\n\
             trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n0\n%%EOF\n"
        );
        let mut document = Document::open(file(bytes.as_bytes()), &Limits::default()).expect("it opens");
        let engines = &mut Engines::default();
        let page = raster::finish_page(&mut document, 0, &Options::default(), Effort::Unread, engines);
        let record = page.expect("it is finished").record;
        (record.blank, record.lacks.is_some())
    };
    assert_eq!(is_blank("4 0 R"), (true, false));
    assert_eq!(is_blank("[4 0 R 88 0 R]"), (false, true));
}

#[test]
fn a_deflated_picture_says_when_data_are_missing_or_wrong_and_not_when_their_end_is() {
    let pixels: Vec<u16> = samples(1).into_iter().map(u16::from).collect();
    let written = Tiff { coding: Coding::Deflate { tag: 8 }, ..USUAL };
    check("as written", &written.file((SIDE.into(), SIDE.into()), 1, &pixels), false);
    let whole = deflated(&samples(1));
    let length = whole.len();
    let mut false_sum = whole.clone();
    false_sum[length - 1] ^= 1;
    let mut overwritten = whole.clone();
    overwritten[length / 2..length / 2 + 40].fill(0xff);
    for (what, data, is_damaged) in [
        ("whole", whole.clone(), false),
        ("padded", [&whole[..], b"\r\n"].concat(), false),
        ("without a sum", whole[..length - 4].to_vec(), false),
        ("with a part of its sum", whole[..length - 1].to_vec(), false),
        ("with another sum", false_sum, true),
        ("cut", whole[..length / 2].to_vec(), true),
        ("cut, but ending", deflated(&samples(1)[..90_000]), true),
        ("overwritten", overwritten, true),
    ] {
        check(&format!("TIFF, {what}"), &whole_of(data.clone(), &pixels), is_damaged);
        let alone = shown_in_pdf("/Filter/FlateDecode", data.clone());
        check(&format!("PDF, {what}"), &alone, is_damaged);
        let entries = format!("/Width {SIDE}/Height {SIDE}/BitsPerComponent 8/ColorSpace/DeviceGray");
        let image = (format!("{entries}/Filter/FlateDecode"), data);
        let drawn = pdf("/MediaBox[0 0 96 96]", "48 0 0 48 0 0 cm /I0 Do 0 g 1 1 1 1 re f", &[image]);
        check(&format!("PDF, drawn, {what}"), &drawn, is_damaged);
    }
}

#[test]
fn the_rows_before_the_damage_of_a_tiff_are_shown_and_those_behind_are_white() {
    let all = samples(1);
    let pixels: Vec<u16> = all.iter().copied().map(u16::from).collect();
    let strip = deflated(&all);
    let gray = decoded(&whole_of(strip[..strip.len() / 2].to_vec(), &pixels)).samples.to_gray();
    let side = usize::from(SIDE);
    let same =
        gray.as_raw().chunks(side).zip(all.chunks(side)).take_while(|(shown, row)| shown == row).count();
    assert!(same > 40, "{same} rows");
    assert!(gray.as_raw()[same * side..].iter().all(|sample| *sample == 255));
    let nothing = page(&file(&whole_of(b"no strip at all".to_vec(), &pixels)), 0, &Limits::default());
    assert_eq!(nothing.expect_err("there is nothing to see").class, FailureClass::Corrupt);
}

#[test]
fn a_picture_of_another_kind_that_is_damaged_is_refused() {
    let page_of = |bytes: &[u8]| page(&file(bytes), 0, &Limits::default());
    let noise = image::GrayImage::from_raw(SIDE.into(), SIDE.into(), samples(1)).expect("all samples");
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp] {
        let colour = DynamicImage::ImageLuma8(noise.clone()).to_rgba8();
        let whole = coded(DynamicImage::ImageRgba8(colour), format);
        page_of(&whole).expect("it is whole");
        for cut in [whole.len() / 4, whole.len() / 2, whole.len() * 3 / 4] {
            match page_of(&whole[..cut]) {
                Ok(picture) => {
                    assert!(picture.is_incomplete, "{format:?} cut after {cut} of {}", whole.len())
                }
                Err(failure) => assert!(
                    matches!(failure.class, FailureClass::Truncated | FailureClass::Corrupt),
                    "{format:?}: {failure}"
                ),
            }
        }
    }
}

fn whole_of(strip: Vec<u8>, pixels: &[u16]) -> Vec<u8> {
    Tiff { coding: Coding::Coded(8, strip), ..USUAL }.file((SIDE.into(), SIDE.into()), 1, pixels)
}

#[test]
fn a_fax_page_whose_strips_are_not_all_named_keeps_those_that_are() {
    let dots = super::scene::dots();
    let pixels = vec![0; dots.as_raw().len()];
    let strip = crate::codec::ccitt::encoded(&dots);
    let written = |height: u32, rows: u32| {
        let mut bytes = Tiff { bits: 1, photometric: 0, coding: Coding::Coded(4, strip.clone()), ..USUAL }
            .file(dots.dimensions(), 1, &pixels);
        let entry = |tag: u16, value: u32| {
            [&tag.to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat()
        };
        for (tag, value) in [(257, height), (278, rows)] {
            let known = entry(tag, dots.height());
            let at = bytes.windows(12).rposition(|bytes| bytes == known).expect("the entry");
            bytes[at..at + 12].copy_from_slice(&entry(tag, value));
        }
        bytes
    };
    let rows = dots.height();
    check("one strip of one", &written(rows, rows), false);
    let few = written(3 * rows, rows);
    check("one strip of three", &few, true);
    let gray = decoded(&few).samples.to_gray();
    assert_eq!(gray.dimensions(), (dots.width(), 3 * rows));
    assert_eq!(&gray.as_raw()[..dots.as_raw().len()], dots.as_raw());
}

#[test]
fn opacity_that_hides_all_of_a_picture_is_none() {
    let seen = super::scene::colour();
    let clear = image::RgbaImage::from_fn(seen.width(), seen.height(), |x, y| {
        let [red, green, blue] = seen.get_pixel(x, y).0;
        image::Rgba([red, green, blue, 0])
    });
    let pixels: Vec<u16> = clear.as_raw().iter().map(|&sample| sample.into()).collect();
    let tiff = |further: Vec<(u32, u32, Vec<u32>)>| {
        let tiff = Tiff { photometric: 2, further, ..USUAL };
        decoded(&tiff.file(seen.dimensions(), 4, &pixels)).samples
    };
    let bmp = coded(DynamicImage::ImageRgba8(clear.clone()), ImageFormat::Bmp);
    for samples in [decoded(&bmp).samples, tiff(Vec::new())] {
        assert!(matches!(samples, Samples::Rgb(image) if image == seen));
    }
    let paper = tiff(vec![(338, 3, vec![2])]).to_gray();
    assert!(paper.iter().all(|sample| *sample == 255), "a TIFF that says so is transparent");
}

#[test]
fn samples_that_are_no_whole_numbers_are_unsupported_and_said() {
    let pixels = vec![300u16; 100];
    for (format, says) in [(2, "signed numbers of 16 bits"), (3, "floating-point")] {
        let tiff =
            Tiff { bits: 16, further: vec![(339, 3, vec![format])], ..USUAL }.file((10, 10), 1, &pixels);
        match page(&file(&tiff), 0, &Limits::default()) {
            Ok(picture) => assert_eq!(picture.dimensions(), (10, 10), "{format}"),
            Err(failure) => {
                assert_eq!(failure.class, FailureClass::Unsupported, "{failure}");
                assert!(failure.message.contains(says), "{failure}");
            }
        }
    }
}

fn pictures(bytes: &[u8]) -> Option<u32> {
    let found = inspect(&file(bytes), &Limits::default()).expect("it is readable");
    match found.features.as_slice() {
        [] => None,
        [Feature::Pictures { count }] => Some(*count),
        other => panic!("{other:?}"),
    }
}

#[test]
fn further_pictures_in_a_file_are_counted_and_what_belongs_to_the_first_is_not() {
    let gif = |frames: usize| {
        let mut bytes = Vec::new();
        let frame = || Frame::new(image::RgbaImage::from_pixel(20, 10, image::Rgba([9, 99, 9, 255])));
        let mut encoder = GifEncoder::new(&mut bytes);
        (0..frames).for_each(|_| encoder.encode_frame(frame()).expect("memory takes all"));
        drop(encoder);
        bytes
    };
    assert_eq!((pictures(&gif(1)), pictures(&gif(3))), (None, Some(3)));

    let rows: Vec<Vec<u8>> =
        super::scene::gray().rows().map(|row| row.map(|pixel| pixel.0[0]).collect()).collect();
    let animation = |frames: u32| (b"acTL", [frames.to_be_bytes(), [0; 4]].concat());
    let size = [super::scene::WIDTH.to_be_bytes(), super::scene::HEIGHT.to_be_bytes()].concat();
    let frame = || (b"fcTL", [&[0; 4][..], &size, &[0; 8], &[0, 1, 0, 10, 0, 0]].concat());
    assert_eq!(pictures(&png(8, 0, &rows, &[])), None);
    assert_eq!(pictures(&png(8, 0, &rows, &[animation(1), frame()])), None);
    assert_eq!(pictures(&png(8, 0, &rows, &[animation(4), frame()])), Some(4));
    assert_eq!(pictures(&png(8, 0, &rows, &[animation(4)])), Some(5), "what others show is one more");

    let chunk = |name: &[u8; 4], length: u32| {
        [&name[..], &length.to_le_bytes(), &vec![0; length.next_multiple_of(2) as usize]].concat()
    };
    let webp = |frames: usize| {
        let body = [chunk(b"VP8X", 10), chunk(b"ANIM", 6), chunk(b"ANMF", 31).repeat(frames)].concat();
        [b"RIFF\0\0\0\0WEBP".to_vec(), body].concat()
    };
    assert_eq!(frames::count(&webp(2), Kind::Webp), 2);
    assert_eq!(frames::count(&coded(drawing(20, 20).into(), ImageFormat::WebP), Kind::Webp), 1);

    let jpeg = |side| coded(DynamicImage::ImageLuma8(drawing(side, side)), ImageFormat::Jpeg);
    let listed =
        |second: &[u8]| [&with_segment(&jpeg(80), 0xe2, b"MPF\0II\x2a\0")[..], &[0; 30], second].concat();
    assert_eq!(pictures(&listed(&jpeg(80))), Some(2));
    assert_eq!(pictures(&listed(&jpeg(40))), None, "how bright it may be shown, or a preview");
    assert_eq!(pictures(&[jpeg(80), jpeg(80)].concat()), None, "it does not say that they are its own");
}

#[test]
fn sharp_layers_are_shown_as_fine_as_they_are_however_small_each_of_them_is() {
    let background = ("/Width 100/Height 150/BitsPerComponent 8/ColorSpace/DeviceGray", vec![230; 100 * 150]);
    let background = (background.0.to_owned(), background.1);
    // Strips of letters of one dot in eight, a twentieth of the page each.
    let strip = |dpi: usize| {
        let (width, height) = (dpi, dpi * 3 / 40);
        let entries = format!("/Width {width}/Height {height}/BitsPerComponent 1/ImageMask true");
        (entries, vec![0x7f; width.div_ceil(8) * height])
    };
    let shown = |dpi: usize, strips: usize| {
        let places: String =
            (0..strips).map(|at| format!("q 72 0 0 5.4 0 {} cm /I1 Do Q ", at * 20)).collect();
        let draw = format!("q 72 0 0 108 0 0 cm /I0 Do Q 0 g {places}");
        decoded(&pdf("/MediaBox[0 0 72 108]", &draw, &[background.clone(), strip(dpi)]))
    };
    assert_eq!(shown(320, 4).dimensions(), (320, 480));
    assert_eq!(shown(320, 1).dimensions(), (320, 480));
    let letters = shown(320, 4).samples.to_gray();
    let row: Vec<u8> = letters.rows().nth(470).expect("a row").map(|pixel| pixel.0[0]).take(9).collect();
    assert_eq!(row, [0, 230, 230, 230, 230, 230, 230, 230, 0]);
    // Finer than a page is made: every stroke is still there, paler.
    let coarse = shown(1_200, 4);
    assert_eq!(coarse.dimensions(), (100, 150));
    let gray = coarse.samples.to_gray();
    assert!(gray.rows().nth(147).expect("a row").all(|pixel| (150..225).contains(&pixel.0[0])));
}

#[test]
fn an_image_a_little_smaller_than_its_place_reaches_its_end() {
    let strip = |height: u32, lightness: u8| {
        let entries = format!("/Width 400/Height {height}/BitsPerComponent 8/ColorSpace/DeviceGray");
        (entries, vec![lightness; 400 * height as usize])
    };
    // Of the right half a hundredth of the rows is missing.
    let draw = "q 96 0 0 960 0 0 cm /I0 Do Q q 96 0 0 960 96 0 cm /I1 Do Q";
    let picture = decoded(&pdf("/MediaBox[0 0 192 960]", draw, &[strip(4_000, 40), strip(3_966, 60)]));
    let gray = picture.samples.to_gray();
    assert_eq!(gray.dimensions(), (800, 4_000));
    assert_eq!((gray.get_pixel(100, 3_999)[0], gray.get_pixel(600, 3_995)[0]), (40, 60));
}
