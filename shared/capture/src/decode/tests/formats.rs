//! Every format in every form that devices write, each against the picture it was made of.
//!
//! What the project or its libraries can encode is made here; the rest lies in `tests/formats`, with a note how it was made.

use ::image::Rgb;
use ::image::metadata::Orientation;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::scene::{HEIGHT, WIDTH, colour, dots, gray, shades};
use super::tiff_file::{Chunks, Coding, Tiff, USUAL};
use super::*;

/// A file, and what must come of it.
pub(super) struct Case {
    name: &'static str,
    file: Vec<u8>,
    expected: Samples,
    /// The mean difference of samples that the coding may make.
    apart: f64,
}

pub(super) fn exact(name: &'static str, file: Vec<u8>, expected: Samples) -> Case {
    Case { name, file, expected, apart: 0.0 }
}

pub(super) fn lossy(name: &'static str, file: Vec<u8>, expected: Samples) -> Case {
    Case { name, file, expected, apart: 4.0 }
}

/// A file that lies in the project.
pub(super) fn kept(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn wide(samples: &[u8]) -> Vec<u16> {
    samples.iter().map(|&sample| sample.into()).collect()
}

#[track_caller]
pub(super) fn check(cases: Vec<Case>) {
    let mut wrong = Vec::new();
    for Case { name, file, expected, apart } in cases {
        let picture = match page(&super::file(&file), 0, &Limits::default()) {
            Ok(picture) => picture,
            Err(failure) => {
                wrong.push(format!("{name}: {failure}"));
                continue;
            }
        };
        let (kind, size, found) = parts(&picture.samples);
        let (expected_kind, expected_size, samples) = parts(&expected);
        if (kind, size) != (expected_kind, expected_size) {
            wrong.push(format!("{name}: {kind} of {size:?} instead of {expected_kind} of {expected_size:?}"));
            continue;
        }
        let sum: u64 = found.iter().zip(samples).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        let mean = sum as f64 / samples.len() as f64;
        if mean > apart {
            wrong.push(format!("{name}: {mean:.2} levels apart on average"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn parts(samples: &Samples) -> (&'static str, (u32, u32), &[u8]) {
    match samples {
        Samples::Bitonal(image) => ("black and white", image.dimensions(), image.as_raw()),
        Samples::Gray(image) => ("gray", image.dimensions(), image.as_raw()),
        Samples::Rgb(image) => ("colour", image.dimensions(), image.as_raw()),
    }
}

/// A TIFF of dots.
fn bits(tiff: &Tiff) -> Vec<u8> {
    let black_is = u8::from(tiff.photometric == 0);
    let pixels = dots().iter().map(|&dot| u16::from((dot == 0) == (black_is == 1))).collect::<Vec<_>>();
    Tiff { bits: 1, ..tiff.clone() }.file((WIDTH, HEIGHT), 1, &pixels)
}

/// A TIFF of the gray scene.
fn grays(tiff: &Tiff) -> Vec<u8> {
    tiff.file((WIDTH, HEIGHT), 1, &wide(&gray()))
}

/// A TIFF of the scene in colour.
fn colours(tiff: &Tiff) -> Vec<u8> {
    Tiff { photometric: 2, ..tiff.clone() }.file((WIDTH, HEIGHT), 3, &wide(&colour()))
}

pub(super) fn group_4() -> Vec<u8> {
    crate::codec::ccitt::encoded(&dots())
}

#[test]
fn black_and_white_tiffs_are_read_in_every_coding_and_order_of_bytes_and_bits() {
    let coded = |number: u32, strip: Vec<u8>| Coding::Coded(number, strip);
    let t4 = |options: u32| vec![(292, 4, vec![options])];
    let white_is_zero = Tiff { photometric: 0, ..USUAL };
    let all = [
        ("uncompressed", USUAL),
        ("uncompressed, white is zero", white_is_zero.clone()),
        ("uncompressed, big endian, strips", Tiff { big_endian: true, chunks: Chunks::Strips(7), ..USUAL }),
        ("uncompressed, lowest bit first", Tiff { low_bit_first: true, ..USUAL }),
        ("PackBits", Tiff { coding: Coding::PackBits, chunks: Chunks::Strips(7), ..white_is_zero.clone() }),
        ("PackBits, lowest bit first", Tiff { coding: Coding::PackBits, low_bit_first: true, ..USUAL }),
        ("LZW", Tiff { coding: Coding::Lzw, ..USUAL }),
        (
            "LZW, big endian, strips",
            Tiff { coding: Coding::Lzw, big_endian: true, chunks: Chunks::Strips(5), ..USUAL },
        ),
        ("Deflate", Tiff { coding: Coding::Deflate { tag: 8 }, ..white_is_zero.clone() }),
        ("Deflate by its old number", Tiff { coding: Coding::Deflate { tag: 32_946 }, ..USUAL }),
        ("tiles", Tiff { chunks: Chunks::Tiles(16), ..USUAL }),
        (
            "group 3",
            Tiff { coding: coded(3, kept("group3-1d.strip")), further: t4(0), ..white_is_zero.clone() },
        ),
        (
            "group 3, two dimensions",
            Tiff { coding: coded(3, kept("group3-2d.strip")), further: t4(1), ..white_is_zero.clone() },
        ),
        (
            "group 3, lowest bit first, big endian",
            Tiff {
                coding: coded(3, kept("group3-1d.strip")),
                low_bit_first: true,
                big_endian: true,
                ..white_is_zero.clone()
            },
        ),
        (
            "group 3, two dimensions, lowest bit first",
            Tiff {
                coding: coded(3, kept("group3-2d.strip")),
                further: t4(1),
                low_bit_first: true,
                ..white_is_zero.clone()
            },
        ),
        ("group 4", Tiff { coding: coded(4, group_4()), ..white_is_zero.clone() }),
        (
            "group 4, lowest bit first, big endian",
            Tiff { coding: coded(4, group_4()), low_bit_first: true, big_endian: true, ..white_is_zero },
        ),
    ];
    check(all.into_iter().map(|(name, tiff)| exact(name, bits(&tiff), Samples::Bitonal(dots()))).collect());
}

/// The file, which says that its only strip is so many bytes long, or nothing of it.
fn with_count(mut file: Vec<u8>, count: Option<u32>) -> Vec<u8> {
    let entry = [0x17, 1, 4, 0, 1, 0, 0, 0];
    let at = file.windows(entry.len()).rposition(|bytes| bytes == entry).expect("the strip's length");
    match count {
        Some(count) => file[at + 8..at + 12].copy_from_slice(&count.to_le_bytes()),
        // The entry next to it, which is the least sample.
        None => file[at] = 0x18,
    }
    file
}

#[test]
fn a_tiff_that_does_not_say_how_long_its_only_strip_is_is_read_to_its_end() {
    let coded = |number: u32, strip: Vec<u8>| Tiff {
        coding: Coding::Coded(number, strip),
        photometric: 0,
        // So that something stands between the strip and the directory.
        resolution: Some(([200, 1, 200, 1], Some(2))),
        ..USUAL
    };
    let in_two_dimensions = vec![(292, 4, vec![1])];
    let all = [
        ("uncompressed", bits(&USUAL)),
        ("PackBits", bits(&Tiff { coding: Coding::PackBits, ..USUAL })),
        ("LZW", bits(&Tiff { coding: Coding::Lzw, ..USUAL })),
        ("Deflate", bits(&Tiff { coding: Coding::Deflate { tag: 8 }, ..USUAL })),
        ("group 3", bits(&coded(3, kept("group3-1d.strip")))),
        (
            "group 3, two dimensions",
            bits(&Tiff { further: in_two_dimensions, ..coded(3, kept("group3-2d.strip")) }),
        ),
        ("group 4", bits(&coded(4, group_4()))),
    ];
    for count in [Some(0), None] {
        let cases = all
            .iter()
            .map(|(name, file)| exact(name, with_count(file.clone(), count), Samples::Bitonal(dots())))
            .chain([lossy(
                "JPEG",
                with_count(grays(&Tiff { coding: Coding::Jpeg(jpeg_gray), ..USUAL }), count),
                Samples::Gray(gray()),
            )]);
        check(cases.collect());
    }
}

/// A code so many times.
fn repeated(code: &str, times: usize) -> Vec<u8> {
    let bits: Vec<char> = code.repeat(times).chars().collect();
    let byte = |bits: &[char]| (0u32..).zip(bits).map(|(at, bit)| u8::from(*bit == '1') << (7 - at)).sum();
    bits.chunks(8).map(byte).collect()
}

#[test]
fn a_fax_page_that_says_its_end_is_filled_up_and_one_that_stops_before_is_refused() {
    use hayro_ccitt::EncodingMode::{Group3_1D, Group3_2D};
    let decoded = |mode, strip: &[u8]| {
        let coding = super::fax::Coding { mode, width: WIDTH, rows_are_bytes: false, inverted: false };
        let mut sheet = super::fax::Page::new(coding, HEIGHT + 30);
        sheet.add(strip, HEIGHT + 30).map(|()| sheet.finish())
    };
    // Ends of lines as they are, and so that each ends with a byte or begins with one.
    for (name, mode, codes) in [
        ("group3-1d.strip", Group3_1D, ["000000000001", "0000000000000001"]),
        ("group3-2d.strip", Group3_2D, ["0000000000011", "0000000000000011"]),
    ] {
        let strip = kept(name);
        for code in codes {
            let whole = [strip.as_slice(), &repeated(code, 6), &[0, 0]].concat();
            let (page, flawless) = decoded(mode, &whole).expect("it says where it ends");
            let (rows, filled) = page.as_raw().split_at((WIDTH * HEIGHT) as usize);
            assert!(rows == dots().as_raw(), "{name}, {code}");
            assert!(!flawless && filled.iter().all(|dot| *dot == 255), "{name}, {code}");
        }
        for cut in [&strip[..], &strip[..strip.len() / 2]] {
            let fault = decoded(mode, cut).expect_err("it does not say that it ends");
            assert!(
                matches!(fault.class, FailureClass::Truncated | FailureClass::Corrupt),
                "{name}: {fault}"
            );
        }
    }
}

#[test]
fn gray_and_colour_tiffs_are_read_in_every_depth_coding_and_arrangement() {
    let big_endian = Tiff { big_endian: true, ..USUAL };
    let lzw = Tiff { coding: Coding::Lzw, chunks: Chunks::Strips(9), ..USUAL };
    let tiles = Tiff { chunks: Chunks::Tiles(32), ..USUAL };
    let deep = |tiff: Tiff, samples: &[u8]| {
        let pixels: Vec<u16> = samples.iter().map(|&sample| u16::from(sample) << 8 | 0x5a).collect();
        Tiff { bits: 16, ..tiff }.file(
            (WIDTH, HEIGHT),
            if samples.len() as u32 == WIDTH * HEIGHT { 1 } else { 3 },
            &pixels,
        )
    };
    let few = |bits: u32, levels: u8| {
        let pixels: Vec<u16> =
            shades(levels).iter().map(|&sample| u16::from(sample / (255 / (levels - 1)))).collect();
        Tiff { bits, ..USUAL }.file((WIDTH, HEIGHT), 1, &pixels)
    };
    let negative: Vec<u16> = gray().iter().map(|&sample| u16::from(255 - sample)).collect();
    let with_alpha: Vec<u16> =
        colour().pixels().flat_map(|Rgb([r, g, b])| [*r, *g, *b, 255]).map(u16::from).collect();
    let inks: Vec<u16> = colour().pixels().flat_map(|Rgb(light)| inks(*light)).map(u16::from).collect();
    check(vec![
        exact("8 bits", grays(&USUAL), Samples::Gray(gray())),
        exact(
            "8 bits, white is zero",
            Tiff { photometric: 0, ..USUAL }.file((WIDTH, HEIGHT), 1, &negative),
            Samples::Gray(gray()),
        ),
        exact("8 bits, LZW, strips", grays(&lzw), Samples::Gray(gray())),
        exact(
            "8 bits, PackBits",
            grays(&Tiff { coding: Coding::PackBits, ..big_endian.clone() }),
            Samples::Gray(gray()),
        ),
        exact("8 bits, tiles", grays(&tiles), Samples::Gray(gray())),
        exact("16 bits", deep(USUAL, &gray()), Samples::Gray(gray())),
        exact("16 bits, big endian", deep(big_endian.clone(), &gray()), Samples::Gray(gray())),
        exact("4 bits", few(4, 16), Samples::Gray(shades(16))),
        exact("2 bits", few(2, 4), Samples::Gray(shades(4))),
        exact("colour", colours(&USUAL), Samples::Rgb(colour())),
        exact("colour, big endian, LZW", colours(&Tiff { big_endian: true, ..lzw }), Samples::Rgb(colour())),
        exact(
            "colour, Deflate",
            colours(&Tiff { coding: Coding::Deflate { tag: 8 }, ..USUAL }),
            Samples::Rgb(colour()),
        ),
        exact("colour, tiles", colours(&tiles), Samples::Rgb(colour())),
        exact("colour, a plane for each", colours(&Tiff { planar: true, ..USUAL }), Samples::Rgb(colour())),
        exact(
            "colour, planes, strips",
            colours(&Tiff { planar: true, chunks: Chunks::Strips(10), ..USUAL }),
            Samples::Rgb(colour()),
        ),
        exact(
            "colour, 16 bits, big endian",
            deep(Tiff { photometric: 2, ..big_endian }, &colour()),
            Samples::Rgb(colour()),
        ),
        exact(
            "colour with opacity",
            Tiff { photometric: 2, further: vec![(338, 3, vec![2])], ..USUAL }.file(
                (WIDTH, HEIGHT),
                4,
                &with_alpha,
            ),
            Samples::Rgb(colour()),
        ),
        Case {
            apart: 1.5,
            ..exact(
                "four inks",
                Tiff { photometric: 5, ..USUAL }.file((WIDTH, HEIGHT), 4, &inks),
                Samples::Rgb(colour()),
            )
        },
        exact("a palette", palette_tiff(8), Samples::Rgb(two_colours())),
        exact("a palette of 4 bits", palette_tiff(4), Samples::Rgb(two_colours())),
        exact("libtiff's LZW with differences", kept("lzw-predictor.tif"), Samples::Rgb(colour())),
        exact("libtiff's Deflate", kept("deflate.tif"), Samples::Rgb(colour())),
        lossy("libtiff's JPEG with its tables apart", kept("jpeg-tables.tif"), Samples::Rgb(colour())),
        lossy("JPEG in YCbCr", colours_in_jpeg(6, jpeg_ycbcr), Samples::Rgb(colour())),
        lossy("JPEG in YCbCr, strips", jpeg_strips(), Samples::Rgb(colour())),
        lossy(
            "JPEG in gray",
            grays(&Tiff { coding: Coding::Jpeg(jpeg_gray), ..USUAL }),
            Samples::Gray(gray()),
        ),
    ]);
}

fn colours_in_jpeg(photometric: u32, encode: fn(&[u8], u16, u16) -> Vec<u8>) -> Vec<u8> {
    let tiff =
        Tiff { coding: Coding::Jpeg(encode), photometric, further: vec![(530, 3, vec![1, 1])], ..USUAL };
    tiff.file((WIDTH, HEIGHT), 3, &wide(&colour()))
}

fn jpeg_strips() -> Vec<u8> {
    let tiff = Tiff { coding: Coding::Jpeg(jpeg_ycbcr), photometric: 6, chunks: Chunks::Strips(16), ..USUAL };
    Tiff { further: vec![(530, 3, vec![1, 1])], ..tiff }.file((WIDTH, HEIGHT), 3, &wide(&colour()))
}

pub(super) fn jpeg_ycbcr(samples: &[u8], width: u16, height: u16) -> Vec<u8> {
    jpeg(samples, (width, height), ColorType::Rgb, SamplingFactor::F_1_1, false)
}

fn jpeg_gray(samples: &[u8], width: u16, height: u16) -> Vec<u8> {
    jpeg(samples, (width, height), ColorType::Luma, SamplingFactor::F_1_1, false)
}

pub(super) fn jpeg(
    samples: &[u8],
    (width, height): (u16, u16),
    kind: ColorType,
    sampling: SamplingFactor,
    progressive: bool,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 95);
    encoder.set_sampling_factor(sampling);
    encoder.set_progressive(progressive);
    encoder.encode(samples, width, height, kind).expect("memory takes all");
    bytes
}

/// Light to inks, with as much black as there is in all three.
pub(super) fn inks([r, g, b]: [u8; 3]) -> [u8; 4] {
    let most = r.max(g).max(b).max(1);
    let ink = |light: u8| 255 - (u32::from(light) * 255 / u32::from(most)) as u8;
    [ink(r), ink(g), ink(b), 255 - most]
}

/// The dots in two colours that are no gray.
fn two_colours() -> RgbImage {
    let dots = dots();
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Rgb(if dots.get_pixel(x, y).0[0] == 0 { [120, 20, 40] } else { [250, 240, 200] })
    })
}

/// The same as a TIFF whose samples are places in a palette: 1 for ink, 3 for paper.
fn palette_tiff(bits: u32) -> Vec<u8> {
    let pixels: Vec<u16> = dots().iter().map(|&dot| if dot == 0 { 1 } else { 3 }).collect();
    let channel = |ink: u32, paper: u32| {
        let mut channel = vec![0; 1 << bits];
        // Sixteen bits, as the format demands.
        (channel[1], channel[3]) = (ink * 257, paper * 257);
        channel
    };
    let map = [channel(120, 250), channel(20, 240), channel(40, 200)].concat();
    Tiff { bits, photometric: 3, further: vec![(320, 3, map)], ..USUAL }.file((WIDTH, HEIGHT), 1, &pixels)
}

#[test]
fn the_resolution_of_a_tiff_is_taken_in_either_unit_and_never_where_it_is_absurd() {
    let dpi = |resolution: Option<([u32; 4], Option<u32>)>| {
        let file = grays(&Tiff { resolution, ..USUAL });
        page(&super::file(&file), 0, &Limits::default()).expect("it decodes").dpi
    };
    assert_eq!(dpi(None), None);
    assert_eq!(dpi(Some(([300, 1, 300, 1], Some(2)))), Some(300));
    assert_eq!(dpi(Some(([3_000, 10, 3_000, 10], None))), Some(300), "inches are the default");
    assert_eq!(dpi(Some(([118, 1, 118, 1], Some(3)))), Some(300), "118 dots a centimetre");
    for absurd in [[0, 0, 0, 0], [300, 0, 300, 0], [u32::MAX, 1, u32::MAX, 1], [1, 1, 1, 1], [1, 300, 1, 300]]
    {
        assert_eq!(dpi(Some((absurd, Some(2)))), None, "{absurd:?}");
    }
}

/// A JPEG with a further segment behind its first marker.
pub(super) fn with_segment(jpeg: &[u8], marker: u8, segment: &[u8]) -> Vec<u8> {
    let length = (segment.len() as u16 + 2).to_be_bytes();
    [&jpeg[..2], &[0xff, marker], &length, segment, &jpeg[2..]].concat()
}

/// A JPEG without its segments of this marker.
pub(super) fn without(jpeg: &[u8], unwanted: u8) -> Vec<u8> {
    let (mut kept, mut rest) = (jpeg[..2].to_vec(), &jpeg[2..]);
    while let [0xff, marker, high, low, ..] = rest {
        if *marker == 0xda {
            break;
        }
        let (segment, behind) = rest.split_at(2 + usize::from(u16::from_be_bytes([*high, *low])));
        if *marker != unwanted {
            kept.extend(segment);
        }
        rest = behind;
    }
    [kept.as_slice(), rest].concat()
}

/// The segment in which cameras say how they were held.
fn held(orientation: u8) -> Vec<u8> {
    let entry = [&[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0][..], &[orientation, 0, 0]].concat();
    [&b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01"[..], &entry, &[0; 4]].concat()
}

#[test]
fn jpegs_are_read_in_gray_in_colour_and_in_inks_with_and_without_adobes_mark() {
    let size = (WIDTH as u16, HEIGHT as u16);
    let colour_jpeg = |sampling, progressive| jpeg(&colour(), size, ColorType::Rgb, sampling, progressive);
    let cmyk: Vec<u8> = colour().pixels().flat_map(|Rgb(light)| inks(*light)).collect();
    let negative: Vec<u8> = cmyk.iter().map(|ink| 255 - ink).collect();
    let of_inks = |samples: &[u8], kind| jpeg(samples, size, kind, SamplingFactor::F_1_1, false);
    check(vec![
        lossy("gray", jpeg_gray(&gray(), size.0, size.1), Samples::Gray(gray())),
        lossy("colour", colour_jpeg(SamplingFactor::F_1_1, false), Samples::Rgb(colour())),
        lossy("colour, half as fine", colour_jpeg(SamplingFactor::F_2_2, false), Samples::Rgb(colour())),
        lossy("colour, progressive", colour_jpeg(SamplingFactor::F_1_1, true), Samples::Rgb(colour())),
        lossy("libjpeg's progressive", kept("progressive.jpg"), Samples::Rgb(colour())),
        // The encoder turns inks round, as Adobe does, and says so.
        lossy("inks, Adobe", of_inks(&cmyk, ColorType::Cmyk), Samples::Rgb(colour())),
        lossy("inks as YCCK, Adobe", of_inks(&cmyk, ColorType::CmykAsYcck), Samples::Rgb(colour())),
        lossy("inks, no mark", without(&of_inks(&negative, ColorType::Cmyk), 0xee), Samples::Rgb(colour())),
    ]);
}

#[test]
fn every_way_to_hold_a_camera_gives_the_same_picture() {
    let mut cases = Vec::new();
    for (orientation, name) in (1..=8u8).zip([
        "upright",
        "mirrored",
        "upside down",
        "upside down and mirrored",
        "on its side and mirrored",
        "on its left side",
        "on its right side and mirrored",
        "on its right side",
    ]) {
        // What undoes the orientation: each is its own opposite but 6 and 8, which are each other's.
        let opposite = [0, 1, 2, 3, 4, 5, 8, 7, 6][usize::from(orientation)];
        let stored = Picture::new(Samples::Rgb(colour()))
            .oriented(Orientation::from_exif(opposite).expect("one of eight"));
        let Samples::Rgb(stored) = stored.samples else { panic!("colour stays colour") };
        let coded = jpeg_ycbcr(&stored, stored.width() as u16, stored.height() as u16);
        cases.push(lossy(name, with_segment(&coded, 0xe1, &held(orientation)), Samples::Rgb(colour())));
    }
    check(cases);
}

#[test]
fn the_resolution_of_a_jpeg_is_that_of_jfif_and_else_that_of_exif() {
    let dpi = |file: &[u8]| page(&super::file(file), 0, &Limits::default()).expect("it decodes").dpi;
    let plain = jpeg_gray(&gray(), WIDTH as u16, HEIGHT as u16);
    let bare = without(&plain, 0xe0);
    let exif = super::super::exif::tests::segment(true, (300, 1), Some(2));
    assert_eq!(dpi(&bare), None);
    assert_eq!(dpi(&with_segment(&bare, 0xe1, &exif)), Some(300));
    // JFIF with dots an inch, once before Exif and once behind it.
    let jfif = |unit: u8| [&b"JFIF\0\x01\x01"[..], &[unit, 0, 200, 0, 200, 0, 0]].concat();
    assert_eq!(dpi(&with_segment(&with_segment(&bare, 0xe1, &exif), 0xe0, &jfif(1))), Some(200));
    assert_eq!(dpi(&with_segment(&with_segment(&bare, 0xe0, &jfif(1)), 0xe1, &exif)), Some(200));
    assert_eq!(
        dpi(&with_segment(&with_segment(&bare, 0xe1, &exif), 0xe0, &jfif(0))),
        Some(300),
        "JFIF without a unit"
    );
    let usual = [&b"JFIF\0\x01\x01"[..], &[1, 0, 72, 0, 72, 0, 0]].concat();
    assert_eq!(dpi(&with_segment(&bare, 0xe0, &usual)), Some(72));
    let both = with_segment(&with_segment(&bare, 0xe1, &exif), 0xe0, &usual);
    assert_eq!(dpi(&both), Some(300), "72 is what JFIF states where nobody knows");
}

/// A PNG (third edition) of these rows, which are packed already.
pub(super) fn png(depth: u8, kind: u8, rows: &[Vec<u8>], chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::best());
    for row in rows {
        deflate.write_all(&[&[0][..], row].concat()).expect("memory takes all");
    }
    let data = deflate.finish().expect("memory takes all");
    let header = [&WIDTH.to_be_bytes()[..], &HEIGHT.to_be_bytes(), &[depth, kind, 0, 0, 0]].concat();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let before = [(b"IHDR", header)];
    let after = [(b"IDAT", data), (b"IEND", Vec::new())];
    for (name, body) in before.iter().chain(chunks).chain(&after) {
        let mut crc = Crc::new();
        crc.update(*name);
        crc.update(body);
        bytes.extend((body.len() as u32).to_be_bytes());
        bytes.extend(*name);
        bytes.extend(body);
        bytes.extend(crc.sum().to_be_bytes());
    }
    bytes
}

/// Rows of samples of so many bits, packed.
fn packed(samples: &[u8], depth: usize) -> Vec<Vec<u8>> {
    let row = |row: &[u8]| {
        let byte = |samples: &[u8]| {
            samples.iter().enumerate().fold(0, |byte, (at, sample)| byte | sample << (8 - depth * (at + 1)))
        };
        row.chunks(8 / depth).map(byte).collect()
    };
    samples.chunks(WIDTH as usize).map(row).collect()
}

#[test]
fn pngs_are_read_in_every_depth_with_palettes_and_on_white_paper_where_they_are_transparent() {
    let ones: Vec<u8> = dots().iter().map(|&dot| u8::from(dot != 0)).collect();
    let few =
        |levels: u8| shades(levels).iter().map(|&sample| sample / (255 / (levels - 1))).collect::<Vec<u8>>();
    let rows = |samples: &[u8], per_pixel: usize| {
        samples.chunks(WIDTH as usize * per_pixel).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    let deep = |samples: &[u8]| samples.iter().flat_map(|&sample| [sample; 2]).collect::<Vec<u8>>();
    let palette = || (b"PLTE", [[0, 0, 0], [120, 20, 40], [9, 9, 9], [250, 240, 200]].concat());
    let places: Vec<u8> = dots().iter().map(|&dot| if dot == 0 { 1 } else { 3 }).collect();
    // Ink on glass: black that is as opaque as the scene is dark becomes the scene on white paper.
    let glass: Vec<u8> = gray().iter().flat_map(|&sample| [0, 255 - sample]).collect();
    let colour_glass: Vec<u8> = gray().iter().flat_map(|&sample| [0, 0, 0, 255 - sample]).collect();
    let clear_paper: RgbImage = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        Rgb(if dots().get_pixel(x, y).0[0] == 0 { [120, 20, 40] } else { [255; 3] })
    });
    check(vec![
        exact("1 bit", png(1, 0, &packed(&ones, 1), &[]), Samples::Bitonal(dots())),
        exact("2 bits", png(2, 0, &packed(&few(4), 2), &[]), Samples::Gray(shades(4))),
        exact("4 bits", png(4, 0, &packed(&few(16), 4), &[]), Samples::Gray(shades(16))),
        exact("8 bits", png(8, 0, &rows(&gray(), 1), &[]), Samples::Gray(gray())),
        exact("16 bits", png(16, 0, &rows(&deep(&gray()), 2), &[]), Samples::Gray(gray())),
        exact("colour", png(8, 2, &rows(&colour(), 3), &[]), Samples::Rgb(colour())),
        exact("colour, 16 bits", png(16, 2, &rows(&deep(&colour()), 6), &[]), Samples::Rgb(colour())),
        exact(
            "a palette of 2 bits",
            png(2, 3, &packed(&places, 2), &[palette()]),
            Samples::Rgb(two_colours()),
        ),
        exact("a palette of 8 bits", png(8, 3, &rows(&places, 1), &[palette()]), Samples::Rgb(two_colours())),
        exact("gray on glass", png(8, 4, &rows(&glass, 2), &[]), Samples::Gray(gray())),
        exact("black on glass", png(8, 6, &rows(&colour_glass, 4), &[]), Samples::Gray(gray())),
        exact(
            "a palette with one clear colour",
            png(2, 3, &packed(&places, 2), &[palette(), (b"tRNS", vec![255, 255, 255, 0])]),
            Samples::Rgb(clear_paper),
        ),
    ]);
}

#[test]
fn webp_bmp_gif_and_jpeg_2000_are_read() {
    let in_colour = |format| coded(DynamicImage::ImageRgb8(colour()), format);
    let in_gray = |format| coded(DynamicImage::ImageLuma8(gray()), format);
    check(vec![
        exact("WebP without loss", in_colour(ImageFormat::WebP), Samples::Rgb(colour())),
        lossy("WebP", kept("lossy.webp"), Samples::Rgb(colour())),
        exact("BMP", in_colour(ImageFormat::Bmp), Samples::Rgb(colour())),
        exact("BMP in gray", in_gray(ImageFormat::Bmp), Samples::Gray(gray())),
        exact("BMP of one bit", bmp_of_dots(), Samples::Bitonal(dots())),
        exact(
            "GIF of two colours",
            coded(DynamicImage::ImageRgb8(two_colours()), ImageFormat::Gif),
            Samples::Rgb(two_colours()),
        ),
        lossy("GIF", in_colour(ImageFormat::Gif), Samples::Rgb(colour())),
        exact("JPEG 2000 without loss", kept("lossless.jp2"), Samples::Rgb(colour())),
        exact("a bare codestream of JPEG 2000", kept("lossless.j2k"), Samples::Gray(gray())),
        lossy("JPEG 2000", kept("lossy.jp2"), Samples::Rgb(colour())),
    ]);
}

/// A BMP of one bit a pixel, its rows from the bottom up.
fn bmp_of_dots() -> Vec<u8> {
    let ones: Vec<u8> = dots().iter().map(|&dot| u8::from(dot != 0)).collect();
    let rows = packed(&ones, 1).into_iter().rev().flat_map(|mut row| {
        row.resize(row.len().next_multiple_of(4), 0);
        row
    });
    let rows: Vec<u8> = rows.collect();
    let mut file = b"BM".to_vec();
    let offset = 14 + 40 + 8u32;
    for number in [offset + rows.len() as u32, 0, offset, 40, WIDTH, HEIGHT] {
        file.extend(number.to_le_bytes());
    }
    file.extend([1, 0, 1, 0]);
    for number in [0, rows.len() as u32, 11_811, 11_811, 2, 2] {
        file.extend(number.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 255, 255, 255, 0]);
    file.extend(rows);
    file
}
