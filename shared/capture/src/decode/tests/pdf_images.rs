//! Pages of PDFs that are images, each against the picture it was made of.

use ::image::{Rgb, RgbImage};
use jpeg_encoder::{ColorType, SamplingFactor};

use super::formats::{check, exact, group_4, inks, jpeg, jpeg_ycbcr, kept, lossy, without};
use super::scene::{HEIGHT, WIDTH, colour, dots, gray};
use super::*;

/// A page with these entries that shows the first of these images. One pixel is one point, which is under 100 dots an inch
/// and still what the page says.
fn page_of(entries: &str, images: &[(String, Vec<u8>)]) -> Vec<u8> {
    let draw = format!("q {WIDTH} 0 0 {HEIGHT} 0 0 cm /I0 Do Q");
    super::pdf_pages::pdf(&format!("/MediaBox[0 0 {WIDTH} {HEIGHT}]{entries}"), &draw, images)
}

#[test]
fn a_pdf_page_of_one_image_is_that_image_in_every_coding_turned_and_cut_as_the_page_says() {
    let size = format!("/Width {WIDTH}/Height {HEIGHT}");
    let bit = |filter: &str| format!("{size}/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/{filter}");
    let group_4_entries = bit(&format!("CCITTFaxDecode/DecodeParms<</K -1/Columns {WIDTH}/Rows {HEIGHT}>>"));
    let jpeg_entries = format!("{size}/BitsPerComponent 8/ColorSpace/DeviceRGB/Filter/DCTDecode");
    let jpeg_bytes = jpeg_ycbcr(&colour(), WIDTH as u16, HEIGHT as u16);
    let turned = |samples: Samples, deg| crate::raster::by_quarters(samples, deg);
    let upper_half = image::imageops::crop_imm(&colour(), 0, 0, WIDTH, 20).to_image();
    check(vec![
        lossy("JPEG", page_of("", &[(jpeg_entries.clone(), jpeg_bytes.clone())]), Samples::Rgb(colour())),
        exact("group 4", page_of("", &[(group_4_entries.clone(), group_4())]), Samples::Bitonal(dots())),
        exact(
            "JBIG2",
            page_of("", &[(bit("JBIG2Decode"), crate::codec::jbig2::encoded(&dots()))]),
            Samples::Bitonal(dots()),
        ),
        exact(
            "JPX",
            page_of("", &[(format!("{size}/Filter/JPXDecode"), kept("lossless.jp2"))]),
            Samples::Rgb(colour()),
        ),
        exact(
            "group 4, turned",
            page_of("/Rotate 90", &[(group_4_entries.clone(), group_4())]),
            turned(Samples::Bitonal(dots()), 90),
        ),
        exact(
            "group 4, turned back",
            page_of("/Rotate -90", &[(group_4_entries, group_4())]),
            turned(Samples::Bitonal(dots()), 270),
        ),
        lossy(
            "JPEG, cut",
            page_of(&format!("/CropBox[0 {} {WIDTH} {HEIGHT}]", HEIGHT - 20), &[(jpeg_entries, jpeg_bytes)]),
            Samples::Rgb(upper_half),
        ),
    ]);
}

#[test]
fn a_pdf_page_of_one_image_in_inks_is_that_image_however_it_says_what_they_are() {
    let entries = |colours: &str, more: &str| {
        format!("/Width {WIDTH}/Height {HEIGHT}/BitsPerComponent 8/ColorSpace{colours}{more}")
    };
    let (device, decode) = ("/DeviceCMYK", "/Decode[1 0 1 0 1 0 1 0]");
    let jpeg_entries = |more: &str| entries(device, &format!("{more}/Filter/DCTDecode"));
    let laid: Vec<u8> = colour().pixels().flat_map(|Rgb(light)| inks(*light)).collect();
    let left: Vec<u8> = laid.iter().map(|ink| 255 - ink).collect();
    let size = (WIDTH as u16, HEIGHT as u16);
    // The encoder turns what it gets round and adds Adobe's segment, of which a PDF takes no notice.
    let coded = |samples: &[u8], kind| jpeg(samples, size, kind, SamplingFactor::F_1_1, false);
    let case = |name, entries: String, data: Vec<u8>| {
        lossy(name, page_of("", &[(entries, data)]), Samples::Rgb(colour()))
    };
    let profile = ("/N 4".to_owned(), b"no profile".to_vec());
    let indexed = page_of("", &[(entries("[/Indexed/DeviceCMYK 1<00000000 00FFFF00>]", ""), red_dots())]);
    check(vec![
        case("plain", entries(device, ""), laid.clone()),
        case("plain, turned round", entries(device, decode), left.clone()),
        lossy(
            "plain, of a profile",
            page_of("", &[(entries("[/ICCBased 11 0 R]", ""), laid.clone()), profile]),
            Samples::Rgb(colour()),
        ),
        exact("a palette of inks", indexed, Samples::Rgb(red_on_white())),
        case("JPEG", jpeg_entries(""), coded(&left, ColorType::Cmyk)),
        case("JPEG, YCCK", jpeg_entries(""), coded(&left, ColorType::CmykAsYcck)),
        case("JPEG, no mark", jpeg_entries(""), without(&coded(&left, ColorType::Cmyk), 0xee)),
        case("JPEG, turned round", jpeg_entries(decode), coded(&laid, ColorType::Cmyk)),
        case("JPEG, YCCK, turned round", jpeg_entries(decode), coded(&laid, ColorType::CmykAsYcck)),
        case(
            "JPEG, no mark, turned round",
            jpeg_entries(decode),
            without(&coded(&laid, ColorType::Cmyk), 0xee),
        ),
    ]);
}

/// The dots as numbers of two colours.
fn red_dots() -> Vec<u8> {
    dots().iter().map(|dot| u8::from(*dot == 0)).collect()
}

fn red_on_white() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Rgb(if dots().get_pixel(x, y).0[0] == 0 { [255, 0, 0] } else { [255; 3] })
    })
}

#[test]
fn a_soft_mask_that_hides_nothing_leaves_an_image_as_it_is() {
    let size = format!("/Width {WIDTH}/Height {HEIGHT}/BitsPerComponent 8");
    let image = (format!("{size}/ColorSpace/DeviceRGB/SMask 11 0 R"), colour().into_raw());
    let masked = |bits: u8, more: &str, opacity: &[u8]| {
        let entries = format!("/Width 4/Height 2/BitsPerComponent {bits}/ColorSpace/DeviceGray{more}");
        page_of("", &[image.clone(), (entries, opacity.to_vec())])
    };
    let whole = || Samples::Rgb(colour());
    check(vec![
        exact("of 8 bits", masked(8, "", &[255; 8]), whole()),
        exact("of one bit", masked(1, "", &[0xf0; 2]), whole()),
        exact("turned round", masked(8, "/Decode[1 0]", &[0; 8]), whole()),
    ]);
    for (name, mask) in [
        ("one place is nearly opaque", masked(8, "", &[255, 255, 254, 255, 255, 255, 255, 255])),
        ("a part of it is not there", masked(8, "", &[255; 4])),
        ("it has a mask of its own", masked(8, "/SMask 11 0 R", &[255; 8])),
    ] {
        let drawn = page(&super::file(&mask), 0, &Limits::default()).expect("it is drawn");
        assert_ne!(drawn.dimensions(), (WIDTH, HEIGHT), "{name}: it takes the renderer");
    }
}

#[test]
fn a_pdf_page_of_several_images_is_put_together() {
    // Strips, as scanners write that send while they scan.
    let strips = [(0u32, 15u32), (15, 16), (31, 16)].map(|(top, height)| {
        let part = image::imageops::crop_imm(&gray(), 0, top, WIDTH, height).to_image();
        let entries = format!("/Width {WIDTH}/Height {height}/BitsPerComponent 8/ColorSpace/DeviceGray");
        (entries, part.into_raw())
    });
    let draw = "q 61 0 0 15 0 32 cm /I0 Do Q q 61 0 0 16 0 16 cm /I1 Do Q q 61 0 0 16 0 0 cm /I2 Do Q";
    let file = super::pdf_pages::pdf(&format!("/MediaBox[0 0 {WIDTH} {HEIGHT}]"), draw, &strips);
    let samples = page(&super::file(&file), 0, &Limits::default()).expect("it decodes").samples.to_gray();
    let expected = image::imageops::resize(
        &gray(),
        samples.width(),
        samples.height(),
        image::imageops::FilterType::Nearest,
    );
    let sum: u64 = samples.iter().zip(expected.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    let mean = sum as f64 / samples.len() as f64;
    assert!(mean < 6.0, "{mean} levels apart on average, {:?}", samples.dimensions());
}
