//! PDF pages of scans: the images' own pixels, in every position that a page can show them in.

use super::*;
use crate::inspection::Feature;

/// A PDF of one page with these entries and instructions. `images` are objects 10, 11 … named `/I0`, `/I1` …: their
/// dictionary entries and data.
pub(super) fn pdf(page: &str, instructions: &str, images: &[(String, Vec<u8>)]) -> Vec<u8> {
    pdf_with(page, instructions, images, "")
}

/// The same with more objects.
fn pdf_with(page: &str, instructions: &str, images: &[(String, Vec<u8>)], more: &str) -> Vec<u8> {
    let names: String = (0..images.len()).map(|at| format!("/I{at} {} 0 R", 10 + at)).collect();
    let mut file = format!(
        "%PDF-1.5\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n\
         2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n\
         3 0 obj\n<</Type/Page/Parent 2 0 R{page}/Contents 4 0 R/Resources<</XObject<<{names}>>>>>>\nendobj\n\
         4 0 obj\n<</Length {}>>\nstream\n{instructions}\nendstream\nendobj\n",
        instructions.len()
    )
    .into_bytes();
    for (number, (entries, data)) in (10..).zip(images) {
        file.extend(
            format!("{number} 0 obj\n<</Subtype/Image{entries}/Length {}>>\nstream\n", data.len()).bytes(),
        );
        file.extend(data);
        file.extend(b"\nendstream\nendobj\n");
    }
    file.extend(more.bytes());
    file.extend(b"trailer\n<</Size 20/Root 1 0 R>>\nstartxref\n0\n%%EOF\n");
    file
}

/// A gray image without symmetry: a dark corner, a lighter bar, and a slope.
fn scene(width: u32, height: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| {
        let dark = x < width / 3 && y < height / 4;
        let bar = x > width * 3 / 4 && y > height / 2;
        Luma([if dark {
            10
        } else if bar {
            120
        } else {
            200 + (x * 40 / width) as u8
        }])
    })
}

fn gray_entries(image: &GrayImage) -> (String, Vec<u8>) {
    let entries = format!(
        "/Width {}/Height {}/BitsPerComponent 8/ColorSpace/DeviceGray",
        image.width(),
        image.height()
    );
    (entries, image.as_raw().clone())
}

fn first_page(file: &[u8]) -> Picture {
    page(&super::file(file), 0, &Limits::default()).expect("it decodes")
}

/// Ink that nobody sees on a page's edge, which makes the renderer draw the page.
const SPECK: &str = "0.99 g 0 0 0.01 0.01 re f ";

#[test]
fn an_image_is_shown_as_the_renderer_shows_it_in_every_position_and_turn() {
    // At 300 dpi, so that the renderer, which is made to work by a speck, makes as many pixels.
    let image = gray_entries(&scene(300, 450));
    let matrices = [
        ("72 0 0 108 0 0", "0 0 72 108"),
        ("-72 0 0 108 72 0", "0 0 72 108"),
        ("72 0 0 -108 0 108", "0 0 72 108"),
        ("-72 0 0 -108 72 108", "0 0 72 108"),
        ("0 72 -108 0 108 0", "0 0 108 72"),
        ("0 -72 108 0 0 72", "0 0 108 72"),
        ("0 72 108 0 0 0", "0 0 108 72"),
        ("0 -72 -108 0 108 72", "0 0 108 72"),
        // Boxes that do not begin at zero, and ones that show only a part.
        ("72 0 0 108 -20 -30", "-20 -30 52 78"),
        ("72 0 0 108 0 0", "12 24 72 96"),
        ("72 0 0 108 12 24", "0 0 96 144"),
    ];
    for (matrix, frame) in matrices {
        for turn in [0, 90, 180, 270] {
            let entries = format!("/MediaBox[{frame}]/Rotate {turn}");
            let draw = format!("q {matrix} cm /I0 Do Q");
            let ours = first_page(&pdf(&entries, &draw, std::slice::from_ref(&image)));
            let rendered =
                first_page(&pdf(&entries, &format!("{SPECK}{draw}"), std::slice::from_ref(&image)));
            let (ours, rendered) = (ours.samples.to_gray(), rendered.samples.to_gray());
            let case = format!("[{matrix}] in [{frame}], turned by {turn}");
            assert_eq!(ours.dimensions(), rendered.dimensions(), "{case}");
            let apart: u64 = ours.iter().zip(rendered.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = apart as f64 / ours.len() as f64;
            assert!(mean < 1.0, "{case}: they differ by {mean} on average");
        }
    }
}

#[test]
fn a_drawing_too_large_for_the_limits_is_drawn_coarser_and_says_so() {
    let drawn = |frame: &str, page_pixels: u64| {
        let file = pdf(&format!("/MediaBox[{frame}]"), "0 g 0 0 30 30 re f", &[]);
        page(&super::file(&file), 0, &Limits { page_pixels, ..Limits::default() })
    };
    let a4 = "0 0 595 842";
    let fine = drawn(a4, 10_000_000).expect("it is within the limit");
    assert_eq!((fine.dpi, fine.remarks.as_slice()), (Some(300), [].as_slice()));

    let coarse = drawn(a4, 2_000_000).expect("it is drawn coarser");
    assert_eq!((coarse.dpi, coarse.remarks.len()), (Some(142), 1));
    assert!(coarse.remarks[0].contains("142 dots an inch"), "{:?}", coarse.remarks);
    assert!(coarse.remarks[0].contains("limits.page_pixels"), "{:?}", coarse.remarks);
    let (width, height) = coarse.dimensions();
    assert!((1_900_000..=2_000_000).contains(&(width * height)), "{width} x {height}");
    let failure = drawn(a4, 900_000).expect_err("nobody could read it");
    assert_eq!(failure.class, FailureClass::TooLarge, "{failure}");

    // A page of the web in one piece, 25 feet long.
    let long = drawn("0 0 36 21600", 250_000_000).expect("it is drawn coarser");
    assert_eq!((long.dpi, long.remarks.len()), (Some(200), 1), "{:?}", long.remarks);
    assert!(long.dimensions().1 > 59_000 && long.remarks[0].contains("along one side"), "{:?}", long.remarks);
}

#[test]
fn a_page_in_units_of_its_own_is_as_large_as_they_say() {
    let image = gray_entries(&scene(300, 450));
    let shown = |entries: &str, draw: &str| {
        let picture = first_page(&pdf(entries, draw, std::slice::from_ref(&image)));
        (picture.dimensions(), picture.dpi)
    };
    // The image is the page, one unit a dot or four; then something else is drawn on it, and it is drawn alone.
    let draw = "q 300 0 0 450 0 0 cm /I0 Do Q";
    let quarter = "q 75 0 0 112.5 0 0 cm /I0 Do Q";
    assert_eq!(shown("/MediaBox[0 0 300 450]/UserUnit 0.24", draw), ((300, 450), Some(300)));
    assert_eq!(shown("/MediaBox[0 0 75 112.5]/UserUnit 2", quarter), ((300, 450), Some(144)));
    let with_speck = format!("{SPECK}{draw}");
    assert_eq!(shown("/MediaBox[0 0 300 450]/UserUnit 0.24", &with_speck), ((300, 450), Some(300)));
    let square = "0 g 0 0 30 30 re f";
    assert_eq!(shown("/MediaBox[0 0 300 450]/UserUnit 0.48", square), ((600, 900), Some(300)));
    for wrong in ["0", "-3", "1000000000", "/Name"] {
        let entries = format!("/MediaBox[0 0 72 108]/UserUnit {wrong}");
        assert_eq!(shown(&entries, square), ((300, 450), Some(300)), "{wrong}");
    }
}

#[test]
fn an_image_that_is_the_page_keeps_its_very_samples() {
    let scene = scene(321, 457);
    let file = pdf("/MediaBox[0 0 100 142.4]", "100 0 0 142.4 0 0 cm /I0 Do", &[gray_entries(&scene)]);
    let picture = first_page(&file);
    assert!(matches!(&picture.samples, Samples::Gray(image) if *image == scene));
    assert_eq!(picture.dpi, Some(231));
}

#[test]
fn a_jpeg_and_a_group_4_image_that_are_the_page_keep_their_bytes() {
    let jpeg = coded(DynamicImage::ImageLuma8(scene(200, 300)), ImageFormat::Jpeg);
    let entries =
        "/Width 200/Height 300/BitsPerComponent 8/ColorSpace/DeviceGray/Filter/DCTDecode".to_owned();
    let draw = "q 100 0 0 150 0 0 cm /I0 Do Q";
    let picture = first_page(&pdf("/MediaBox[0 0 100 150]", draw, &[(entries.clone(), jpeg.clone())]));
    assert!(matches!(picture.original, Some(Original::Jpeg { bytes, .. }) if bytes == jpeg));
    let turned = first_page(&pdf("/MediaBox[0 0 100 150]/Rotate 90", draw, &[(entries, jpeg)]));
    assert!(turned.original.is_none() && turned.dimensions() == (300, 200));

    let dots = GrayImage::from_fn(200, 300, |x, y| Luma([if (x / 9 + y / 7) % 5 == 0 { 0 } else { 255 }]));
    let coded = crate::codec::ccitt::encoded(&dots);
    for (how, kept, inverted) in [
        ("/ColorSpace/DeviceGray", true, false),
        ("/ImageMask true", true, false),
        ("/ColorSpace/DeviceGray/Decode[1 0]", false, true),
    ] {
        let entries = format!(
            "/Width 200/Height 300/BitsPerComponent 1{how}/Filter/CCITTFaxDecode\
             /DecodeParms<</K -1/Columns 200/Rows 300>>"
        );
        let picture = first_page(&pdf("/MediaBox[0 0 100 150]", draw, &[(entries, coded.clone())]));
        let Samples::Bitonal(image) = &picture.samples else { panic!("{how}: {:?}", picture.samples) };
        assert!(image.iter().zip(dots.iter()).all(|(one, other)| (one == other) != inverted), "{how}");
        let same = matches!(&picture.original, Some(Original::CcittG4(bytes)) if *bytes == coded);
        assert_eq!(same, kept, "{how}");
    }
}

#[test]
fn a_jpeg_in_a_pdf_lies_as_its_samples_do_whatever_its_metadata_say() {
    let scene = scene(200, 300);
    let jpeg = coded(DynamicImage::ImageLuma8(scene), ImageFormat::Jpeg);
    let entries =
        "/Width 200/Height 300/BitsPerComponent 8/ColorSpace/DeviceGray/Filter/DCTDecode".to_owned();
    let samples = |orientation: u8| {
        // An application segment with one entry: orientation.
        let mut exif = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let file = [&jpeg[..2], &exif, &jpeg[2..]].concat();
        let alone = still::page(&super::file(&file), Kind::Jpeg, &Limits::default()).expect("a picture");
        let draw = "q 100 0 0 150 0 0 cm /I0 Do Q";
        let picture = first_page(&pdf("/MediaBox[0 0 100 150]", draw, &[(entries.clone(), file)]));
        (alone.samples.to_gray(), picture.samples.to_gray())
    };
    let (upright, in_pdf) = samples(1);
    assert_eq!(upright, in_pdf);
    for orientation in [2, 3, 6] {
        let (alone, still_so) = samples(orientation);
        assert_ne!(alone, upright, "by itself it is turned: {orientation}");
        assert_eq!(still_so, in_pdf, "{orientation}");
    }
}

#[test]
fn strips_of_one_page_are_put_together_without_a_seam() {
    let scene = scene(400, 600);
    let mut draw = String::new();
    let mut images = Vec::new();
    for (at, rows) in scene.as_raw().chunks(400 * 150).enumerate() {
        draw += &format!("q 200 0 0 75 0 {} cm /I{at} Do Q ", 225 - 75 * at);
        images.push(gray_entries(&GrayImage::from_raw(400, 150, rows.to_vec()).expect("150 rows")));
    }
    let picture = first_page(&pdf("/MediaBox[0 0 200 300]", &draw, &images));
    assert!(matches!(&picture.samples, Samples::Gray(image) if *image == scene));
}

#[test]
fn what_is_clipped_away_coloured_or_see_through_is_left_to_the_renderer() {
    let image = gray_entries(&scene(300, 450));
    let stencil = ("/Width 8/Height 8/BitsPerComponent 1/ImageMask true".to_owned(), vec![0u8; 8]);
    let place = "72 0 0 108 0 0 cm /I0 Do";
    let shows = |instructions: &str, image: &(String, Vec<u8>), x, y| {
        first_page(&pdf("/MediaBox[0 0 72 108]", instructions, std::slice::from_ref(image)))
            .samples
            .to_gray()
            .get_pixel(x, y)[0]
    };
    assert_eq!(shows(place, &image, 20, 20), 10);
    assert_eq!(
        shows(&format!("0 0 72 108 re W n {place}"), &image, 20, 20),
        10,
        "a clip as large as the page"
    );
    assert_eq!(
        shows(&format!("0 0 72 20 re W n {place}"), &image, 20, 20),
        255,
        "the corner is clipped away"
    );
    assert_eq!(shows(&format!("1 g 0 0 72 108 re f {place}"), &image, 20, 20), 10, "white below is nothing");
    assert_eq!(shows(&format!("{place} 1 g 0 0 500 500 re f"), &image, 20, 20), 255, "white above is not");
    assert_eq!(shows(place, &stencil, 4, 4), 0);
    let red = shows(&format!("1 0 0 rg {place}"), &stencil, 4, 4);
    assert!((60..100).contains(&red), "a red stencil is not black: {red}");
}

#[test]
fn a_palette_of_colours_keeps_them() {
    let table = "<ff0000 00ff00 0000ff ffffff>";
    let entries =
        format!("/Width 400/Height 400/BitsPerComponent 2/ColorSpace[/Indexed/DeviceRGB 3 {table}]");
    let data: Vec<u8> = (0..400).flat_map(|_| [0b00_01_10_11u8; 100]).collect();
    let picture = first_page(&pdf("/MediaBox[0 0 144 144]", "144 0 0 144 0 0 cm /I0 Do", &[(entries, data)]));
    let Samples::Rgb(image) = picture.samples else { panic!("it is in colour") };
    let row: Vec<[u8; 3]> = image.pixels().take(4).map(|pixel| pixel.0).collect();
    assert_eq!(row, [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]);
}

#[test]
fn sharp_stencils_over_a_coarse_picture_are_laid_out_as_the_renderer_shows_them() {
    let background = gray_entries(&scene(150, 225));
    let letters: Vec<u8> = (0..450u32)
        .flat_map(|y| (0..38u32).map(move |x| if (x / 5 + y / 40) % 3 == 0 { 0x0f } else { 0xff }))
        .collect();
    let entries = "/Width 300/Height 450/BitsPerComponent 1/ImageMask true".to_owned();
    let images = [background, (entries, letters)];
    for ink in ["0.2 g", "1 g", "0.7 0.1 0.1 rg"] {
        let draw = format!("q 72 0 0 108 0 0 cm /I0 Do Q q {ink} 72 0 0 108 0 0 cm /I1 Do Q");
        let shown = |draw: &str| first_page(&pdf("/MediaBox[0 0 72 108]", draw, &images)).samples.to_gray();
        let (ours, rendered) = (shown(&draw), shown(&format!("{SPECK}{draw}")));
        assert_eq!((ours.dimensions(), rendered.dimensions()), ((300, 450), (300, 450)));
        let apart: u64 = ours.iter().zip(rendered.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = apart as f64 / ours.len() as f64;
        assert!(mean < 2.0, "{ink}: they differ by {mean} on average");
    }
}

#[test]
fn an_image_is_the_page_unless_an_annotation_is_seen_on_it() {
    let scene = scene(300, 450);
    let shown = |annotation: &str, look: &str| {
        let more = format!(
            "15 0 obj\n{annotation}\nendobj\n16 0 obj\n<</Subtype/Form/BBox[0 0 10 10]/Length {}>>\nstream\n{look}\n\
             endstream\nendobj\n",
            look.len()
        );
        let draw = "q 72 0 0 108 0 0 cm /I0 Do Q";
        let file = pdf_with("/MediaBox[0 0 72 108]/Annots[15 0 R]", draw, &[gray_entries(&scene)], &more);
        first_page(&file).samples
    };
    let ink = "0 g 0 0 10 10 re f";
    let stamp = "<</Subtype/Stamp/Rect[40 10 60 30]/AP<</N 16 0 R>>";
    for (annotation, look) in [
        (
            "<</Subtype/Link/Rect[0 0 72 50]/Border[0 0 1]/A<</S/URI/URI(https://example.org/)>>>>"
                .to_owned(),
            ink,
        ),
        (format!("{stamp}/F 2>>"), ink),
        (format!("{stamp}/F 32>>"), ink),
        (format!("{stamp}/F 4>>"), "% nothing"),
        ("<</Subtype/Widget/FT/Sig/Rect[0 0 0 0]/AP<</N 16 0 R>>>>".to_owned(), ink),
        ("<</Subtype/Popup/Rect[0 0 50 50]>>".to_owned(), ink),
        ("null".to_owned(), ink),
    ] {
        let samples = shown(&annotation, look);
        assert!(matches!(&samples, Samples::Gray(image) if *image == scene), "{annotation}");
    }
    let seen = shown(&format!("{stamp}/F 4>>"), ink).to_gray();
    let at = |x: u32, y: u32| seen.get_pixel(x * seen.width() / 72, (108 - y) * seen.height() / 108)[0];
    assert!(at(50, 20) < 10 && at(30, 20) > 100, "the stamp is part of what one sees");
}

#[test]
fn an_image_among_the_instructions_is_a_scan_like_any_other() {
    let hex = |data: &[u8]| data.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let check = |entries: &str, data: &[u8], expected: &GrayImage| {
        let draw = format!("q 72 0 0 108 0 0 cm BI /W 300 /H 450 {entries} /F /AHx ID {}> EI Q", hex(data));
        let bytes = pdf("/MediaBox[0 0 72 108]", &draw, &[]);
        let mut document = Document::open(super::file(&bytes), &Limits::default()).expect("it opens");
        assert_eq!(document.makeup(0).expect("a page"), Some(Makeup::Scan), "{entries}");
        let samples = document.page(0, &Limits::default()).expect("it decodes").samples;
        let shown = samples.to_gray();
        assert_eq!(shown.dimensions(), (300, 450), "{entries}");
        let apart: u64 = shown.iter().zip(expected.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = apart as f64 / shown.len() as f64;
        assert!(mean < 1.0, "{entries}: they differ by {mean} on average");
        matches!(samples, Samples::Bitonal(_))
    };
    let gray = scene(300, 450);
    assert!(!check("/BPC 8 /CS /G", gray.as_raw(), &gray));
    // Eight dots of one kind, then eight of the other: the last of a row are not all there.
    let dots =
        GrayImage::from_fn(300, 450, |x, y| Luma([if (x / 8 + y / 30).is_multiple_of(2) { 0 } else { 255 }]));
    let rows = (0..450u32)
        .flat_map(|y| (0..38u32).map(move |x| if (x + y / 30).is_multiple_of(2) { 0 } else { 0xff }));
    let packed: Vec<u8> = rows.collect();
    assert!(check("/BPC 1 /CS /G", &packed, &dots) && check("/IM true", &packed, &dots));
    check("/BPC 1 /CS [/I /RGB 1 <000000ffffff>]", &packed, &dots);
}

#[test]
fn an_image_that_is_laid_on_its_page_at_an_angle_is_a_scan_that_will_be_straightened() {
    let data = scene(300, 450).as_raw().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let makeup = |matrix: &str, more: &str| {
        let image = format!("BI /W 300 /H 450 /BPC 8 /CS /G /F /AHx ID {data}> EI");
        let bytes = pdf("/MediaBox[0 0 72 108]", &format!("q {matrix} cm {image} Q {more}"), &[]);
        let document = Document::open(super::file(&bytes), &Limits::default());
        document.expect("it opens").makeup(0).expect("a page").expect("of a PDF")
    };
    assert!(matches!(makeup("70 2 -3 106 3 -1", ""), Makeup::Scan));
    assert!(matches!(makeup("30 1 -1 40 20 20", ""), Makeup::Drawn), "a picture on a page");
    assert!(matches!(makeup("70 2 -3 106 3 -1", "5 5 20 20 re f"), Makeup::Drawn), "there is more on it");
}

/// A PDF whose tree has these kids and says that it has so many pages; pages 3, 4 and 5 are there, each with an image
/// of its own lightness.
fn leaves(kids: &str, count: u32) -> Document {
    let mut bytes = format!(
        "%PDF-1.5\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n\
         2 0 obj\n<</Type/Pages/Kids[{kids}]/Count {count}/MediaBox[0 0 72 72]>>\nendobj\n"
    )
    .into_bytes();
    for (page, lightness) in [(3, 30u8), (4, 90), (5, 150)] {
        let image = "/Subtype/Image/Width 72/Height 72/BitsPerComponent 8/ColorSpace/DeviceGray/Length 5184";
        bytes.extend(
            format!(
                "{page} 0 obj\n<</Type/Page/Parent 2 0 R/Contents 9 0 R/Resources<</XObject<</I {}0 0 R>>>>>>\n\
                 endobj\n{}0 0 obj\n<<{image}>>\nstream\n",
                page, page
            )
            .bytes(),
        );
        bytes.extend(vec![lightness; 72 * 72]);
        bytes.extend(b"\nendstream\nendobj\n");
    }
    bytes.extend(
        b"6 0 obj\n<</Type/Page/Parent 2 0 R/Contents 88 0 R>>\nendobj\n\
          10 0 obj\n<</Type/Page/Parent 2 0 R/Contents[9 0 R 88 0 R]/Resources<</XObject<</I 30 0 R>>>>>>\nendobj\n\
          7 0 obj\n<</Type/Font/Subtype/Type1>>\nendobj\n8 0 obj\n<</Type/Pages/Count 4>>\nendobj\n\
          9 0 obj\n<</Length 22>>\nstream\n72 0 0 72 0 0 cm /I Do\nendstream\nendobj\n\
          trailer\n<</Size 60/Root 1 0 R>>\nstartxref\n0\n%%EOF\n",
    );
    Document::open(super::file(&bytes), &Limits::default()).expect("it opens")
}

#[test]
fn a_page_that_cannot_be_read_keeps_its_number_and_costs_no_other() {
    let limits = Limits::default();
    for (damaged, why) in [
        ("77 0 R", "not in the file"),
        ("6 0 R", "drawing instructions is not there"),
        ("7 0 R", "is no page"),
        ("8 0 R", "holds 4 pages"),
    ] {
        let mut document = leaves(&format!("3 0 R {damaged} 4 0 R 3 0 R 5 0 R"), 5);
        let found = document.inspect(&limits).expect("it has pages");
        assert_eq!((found.pages, found.features.as_slice()), (5, [].as_slice()), "{damaged}");
        let mut lightness = |number| {
            let picture = document.page(number, &limits)?;
            Ok::<u8, Failure>(picture.samples.to_gray().get_pixel(9, 9)[0])
        };
        let all: Vec<Result<u8, Failure>> = [4, 0, 1, 2, 3].map(&mut lightness).into_iter().collect();
        let good: Vec<u8> = all.iter().filter_map(|page| page.as_ref().ok().copied()).collect();
        assert_eq!(good, [150, 30, 90, 30], "{damaged}");
        let failure = all[2].as_ref().expect_err("it is damaged");
        assert!(failure.message.contains(why), "{damaged}: {failure}");
        assert_eq!(failure.class, FailureClass::Corrupt);
    }
}

#[test]
fn a_page_that_lacks_a_part_of_its_instructions_shows_the_rest_and_says_so() {
    let limits = Limits::default();
    let mut document = leaves("10 0 R 4 0 R", 2);
    let picture = document.page(0, &limits).expect("most of it is there");
    assert_eq!(picture.samples.to_gray().get_pixel(9, 9)[0], 30);
    assert!(picture.is_incomplete && picture.remarks.iter().any(|remark| remark.contains("instructions")));
    assert!(!document.page(1, &limits).expect("it is there").is_incomplete);
}

#[test]
fn what_is_no_part_of_a_pdf_may_follow_it_and_a_cut_update_may_not() {
    let whole = pdf("/MediaBox[0 0 72 108]", "0 g 0 0 30 30 re f", &[]);
    let with = |behind: &[u8]| [whole.as_slice(), behind].concat();
    for junk in [[b' '; 40_000], [0xff; 40_000]] {
        assert_eq!(first_page(&with(&junk)).dimensions(), (300, 450), "{}", junk[0]);
    }
    check_refused(&with(&[b' '; 70_000]), FailureClass::Truncated, "trailer");
    let update = [b"3 0 obj\n<</Length 90000>>\nstream\n".as_slice(), &[b'x'; 40_000]].concat();
    check_refused(&with(&update), FailureClass::Truncated, "trailer");
}

#[test]
fn a_wrong_number_of_pages_is_said_and_the_pages_that_are_there_are_read() {
    let limits = Limits::default();
    for (count, said) in [(9, Some(9)), (3, None), (1, None), (0, None)] {
        let mut document = leaves("3 0 R 4 0 R 5 0 R", count);
        let found = document.inspect(&limits).expect("it has pages");
        let features: Vec<Feature> =
            said.map(|declared| Feature::FewerPages { declared, found: 3 }).into_iter().collect();
        assert_eq!((found.pages, found.features), (3, features), "{count}");
        assert_eq!(document.page(2, &limits).expect("it is there").samples.to_gray().get_pixel(9, 9)[0], 150);
    }
}

#[test]
fn each_page_of_a_pdf_has_its_own_picture_whatever_was_looked_at_before() {
    // Noise, so that every picture is too large to lie in memory before it is wanted.
    let picture = |seed: u32| {
        GrayImage::from_fn(1_000, 1_000, |x, y| {
            Luma([(x.wrapping_mul(31 + seed) ^ y.wrapping_mul(17 + seed))
                .wrapping_mul(0x9e37_79b9)
                .to_be_bytes()[0]])
        })
    };
    let pages = 90;
    let mut bytes = b"%PDF-1.5\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n".to_vec();
    let kids: String = (0..pages).map(|page| format!("{} 0 R ", 100 + page)).collect();
    bytes.extend(format!("2 0 obj\n<</Type/Pages/Kids[{kids}]/Count {pages}>>\nendobj\n").bytes());
    bytes.extend(b"9 0 obj\n<</Length 22>>\nstream\n72 0 0 72 0 0 cm /I Do\nendstream\nendobj\n");
    for page in 0..pages {
        let (entries, data) = gray_entries(&picture(page));
        bytes.extend(
            format!(
                "{} 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 72 72]/Contents 9 0 R\
                 /Resources<</XObject<</I {} 0 R>>>>>>\nendobj\n\
                 {} 0 obj\n<</Subtype/Image{entries}/Length {}>>\nstream\n",
                100 + page,
                300 + page,
                300 + page,
                data.len()
            )
            .bytes(),
        );
        bytes.extend(data);
        bytes.extend(b"\nendstream\nendobj\n");
    }
    bytes.extend(b"trailer\n<</Size 400/Root 1 0 R>>\nstartxref\n0\n%%EOF\n");
    let limits = Limits::default();
    let mut document = Document::open(super::file(&bytes), &limits).expect("it opens");
    for page in (0..pages).chain([0, 89, 1, 0]) {
        let Samples::Gray(image) = document.page(page, &limits).expect("it decodes").samples else {
            panic!("page {page} is gray")
        };
        assert!(image == picture(page), "page {page} has another picture");
    }
}
