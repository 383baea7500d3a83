//! TIFF files as devices write them: every order of bytes and bits, strips, orientations.

use ::fax::encoder::Encoder;
use ::fax::{Color, VecWriter};
use proptest::prelude::*;

use super::*;

/// How a file of CCITT pages is written.
#[derive(Clone, Copy, Debug)]
struct Writing {
    big_endian: bool,
    big_tiff: bool,
    low_bit_first: bool,
    rows_per_strip: u32,
    /// 0 is the usual one, 1 says that coded black is white.
    photometric: u16,
    orientation: u16,
    dpi: (u32, u32),
}

const USUAL: Writing = Writing {
    big_endian: false,
    big_tiff: false,
    low_bit_first: false,
    rows_per_strip: u32::MAX,
    photometric: 0,
    orientation: 1,
    dpi: (200, 200),
};

fn group_4(rows: &[u8], width: u32, black: u8) -> Vec<u8> {
    let mut encoder = Encoder::new(VecWriter::new());
    for row in rows.chunks_exact(width as usize) {
        let dots = row.iter().map(|&dot| if dot == black { Color::Black } else { Color::White });
        encoder.encode_line(dots, width).expect("memory takes all");
    }
    encoder.finish().expect("memory takes all").finish()
}

impl Writing {
    fn number(self, value: u64, bytes: usize) -> Vec<u8> {
        if self.big_endian {
            value.to_be_bytes()[8 - bytes..].to_vec()
        } else {
            value.to_le_bytes()[..bytes].to_vec()
        }
    }

    /// A file of these pages.
    fn file(self, pages: &[GrayImage]) -> Vec<u8> {
        self.file_with(pages, |_| (0, self.photometric))
    }

    /// The same, where each page says by its position what kind it is of (bit 0: a copy in a lower resolution, bit 2: a
    /// mask), and what its dots mean.
    fn file_with(self, pages: &[GrayImage], says: impl Fn(usize) -> (u64, u16)) -> Vec<u8> {
        let offset_bytes = if self.big_tiff { 8 } else { 4 };
        let mut file = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        file.extend(self.number(if self.big_tiff { 43 } else { 42 }, 2));
        if self.big_tiff {
            file.extend(self.number(8, 2));
            file.extend(self.number(0, 2));
        }
        let mut link = file.len();
        file.extend(self.number(0, offset_bytes));
        for (number, page) in pages.iter().enumerate() {
            let (width, height) = page.dimensions();
            let rows = self.rows_per_strip.min(height);
            let black = if self.photometric == 0 { 0 } else { 255 };
            let mut strips = Vec::new();
            for part in page.as_raw().chunks((rows * width) as usize) {
                let mut coded = group_4(part, width, black);
                if self.low_bit_first {
                    coded.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
                }
                strips.push((file.len() as u64, coded.len() as u64));
                file.extend(coded);
            }
            let resolution = file.len() as u64;
            for value in [self.dpi.0, 1, self.dpi.1, 1] {
                file.extend(self.number(value.into(), 4));
            }
            let (offsets, counts): (Vec<u64>, Vec<u64>) = strips.into_iter().unzip();
            let (kind, photometric) = says(number);
            let mut entries: Vec<(u16, u16, Vec<u64>)> = vec![
                (254, 4, vec![kind]),
                (256, 4, vec![width.into()]),
                (257, 4, vec![height.into()]),
                (259, 3, vec![4]),
                (262, 3, vec![photometric.into()]),
                (266, 3, vec![if self.low_bit_first { 2 } else { 1 }]),
                (273, 4, offsets),
                (274, 3, vec![self.orientation.into()]),
                (278, 4, vec![rows.into()]),
                (279, 4, counts),
            ];
            let mut placed = Vec::new();
            for (tag, kind, values) in entries.drain(..) {
                let size = if kind == 3 { 2 } else { 4 };
                let count = values.len() as u64;
                let mut bytes: Vec<u8> =
                    values.into_iter().flat_map(|value| self.number(value, size)).collect();
                if bytes.len() > offset_bytes {
                    let offset = file.len() as u64;
                    file.extend(bytes);
                    bytes = self.number(offset, offset_bytes);
                }
                bytes.resize(offset_bytes, 0);
                placed.push((tag, kind, count, bytes));
            }
            for (tag, offset) in [(282, resolution), (283, resolution + 8)] {
                placed.push((tag, 5, 1, self.number(offset, offset_bytes)));
            }
            let directory = self.number(file.len() as u64, offset_bytes);
            file[link..link + offset_bytes].copy_from_slice(&directory);
            file.extend(self.number(placed.len() as u64, if self.big_tiff { 8 } else { 2 }));
            for (tag, kind, count, bytes) in placed {
                file.extend(self.number(tag.into(), 2));
                file.extend(self.number(kind.into(), 2));
                file.extend(self.number(count, offset_bytes));
                file.extend(bytes);
            }
            link = file.len();
            file.extend(self.number(0, offset_bytes));
        }
        file
    }

    fn first_page(self, page: &GrayImage) -> Picture {
        super::page(&file(&self.file(std::slice::from_ref(page))), 0, &Limits::default()).expect("it decodes")
    }
}

/// Dots without any symmetry.
fn dots(width: u32, height: u32, seed: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| {
        let black =
            (x / 5 * 7 + y / 3 * (seed + 1) + x * y / 41) % 11 < 3 || (x < width / 3 && y < height / 4);
        Luma([if black { 0 } else { 255 }])
    })
}

fn bitonal(picture: &Picture) -> &GrayImage {
    match &picture.samples {
        Samples::Bitonal(image) => image,
        other => panic!("black and white was written: {other:?}"),
    }
}

proptest! {
    #[test]
    fn a_group_4_page_comes_back_dot_by_dot_however_its_file_is_written(
        width in 1u32..300, height in 1u32..60, seed in 0u32..50, rows_per_strip in 1u32..70,
        photometric in 0u16..2, big_endian: bool, big_tiff: bool, low_bit_first: bool,
    ) {
        let page = dots(width, height, seed);
        let writing =
            Writing { big_endian, big_tiff, low_bit_first, rows_per_strip, photometric, ..USUAL };
        let picture = writing.first_page(&page);
        prop_assert_eq!(bitonal(&picture), &page);
    }
}

#[test]
fn a_single_strip_of_usual_group_4_is_kept_and_no_other() {
    let page = dots(400, 300, 1);
    let kept = |writing: Writing| match writing.first_page(&page).original {
        Some(Original::CcittG4(bytes)) => Some(bytes),
        _ => None,
    };
    let ours = group_4(page.as_raw(), 400, 0);
    assert_eq!(kept(USUAL), Some(ours.clone()));
    assert_eq!(kept(Writing { big_endian: true, big_tiff: true, ..USUAL }), Some(ours.clone()));
    assert_eq!(kept(Writing { low_bit_first: true, ..USUAL }), Some(ours), "its bits are put in order");
    assert_eq!(kept(Writing { rows_per_strip: 100, ..USUAL }), None, "it would have to be joined");
    assert_eq!(kept(Writing { photometric: 1, ..USUAL }), None, "a PDF would show it inverted");
    assert_eq!(kept(Writing { orientation: 6, ..USUAL }), None, "it is turned");
    assert_eq!(kept(Writing { dpi: (204, 98), ..USUAL }), None, "it is stretched");
}

#[test]
fn every_orientation_is_put_upright() {
    let upright = dots(90, 60, 3);
    for orientation in 1..=8u8 {
        // What the orientation undoes: each is its own opposite but 6 and 8, which are each other's.
        let opposite = [0, 1, 2, 3, 4, 5, 8, 7, 6][usize::from(orientation)];
        let stored = Picture::new(Samples::Bitonal(upright.clone()))
            .oriented(image::metadata::Orientation::from_exif(opposite).expect("one of eight"));
        let writing = Writing { orientation: orientation.into(), ..USUAL };
        assert_eq!(bitonal(&writing.first_page(bitonal(&stored))), &upright, "orientation {orientation}");
    }
}

#[test]
fn absurd_resolutions_are_taken_for_none_and_axes_are_told_apart() {
    let page = dots(100, 50, 2);
    for dpi in [(0, 0), (1, 1), (72_000, 72_000), (300, 1)] {
        assert_eq!(Writing { dpi, ..USUAL }.first_page(&page).dpi, None, "{dpi:?}");
    }
    let fax = Writing { dpi: (204, 102), ..USUAL }.first_page(&page);
    assert_eq!((fax.dimensions(), fax.dpi), ((100, 100), Some(204)));
    let turned = Writing { dpi: (204, 102), orientation: 6, ..USUAL }.first_page(&page);
    assert_eq!((turned.dimensions(), turned.dpi), ((100, 100), Some(204)));
}

#[test]
fn any_page_of_many_is_found_in_any_order_and_the_chain_is_walked_once() {
    let pages: Vec<GrayImage> = (0..200).map(|number| dots(40 + number, 20, number)).collect();
    for writing in [USUAL, Writing { big_endian: true, ..USUAL }, Writing { big_tiff: true, ..USUAL }] {
        let mut document = Document::open(file(&writing.file(&pages)), &Limits::default()).expect("it opens");
        for number in [150, 3, 199, 0, 151] {
            let picture = document.page(number, &Limits::default()).expect("it decodes");
            assert_eq!(bitonal(&picture), &pages[number as usize], "page {number}");
        }
        let failure = document.page(200, &Limits::default()).expect_err("there are 200");
        assert!(failure.message.contains("page 201 is not there"), "{failure}");
    }
}

#[test]
fn a_page_that_is_cut_off_or_broken_is_refused_and_one_that_says_its_end_is_filled_up() {
    let page = dots(400, 300, 5);
    let whole = group_4(page.as_raw(), 400, 0);
    let check = |strip: &[u8], height: u32| {
        let coding = super::fax::Coding {
            mode: hayro_ccitt::EncodingMode::Group4,
            width: 400,
            rows_are_bytes: false,
            inverted: false,
        };
        let mut sheet = super::fax::Page::new(coding, height);
        sheet.add(strip, height).map(|()| sheet.finish())
    };
    assert_eq!(check(&whole, 300).expect("it is whole"), (page.clone(), true));
    let (longer, flawless) = check(&whole, 310).expect("it says where it ends");
    assert!(!flawless && longer.rows().skip(300).flatten().all(|dot| dot[0] == 255));
    assert_eq!(
        check(&whole[..whole.len() / 2], 300).expect_err("half is missing").class,
        FailureClass::Truncated
    );
    let mut broken = whole.clone();
    broken[60..90].fill(0);
    assert!(matches!(
        check(&broken, 300).expect_err("it is broken").class,
        FailureClass::Corrupt | FailureClass::Truncated
    ));
}

#[test]
fn a_small_copy_of_a_page_is_no_page_and_is_said() {
    let pages = [dots(40, 30, 1), dots(200, 150, 1), dots(50, 38, 2), dots(210, 160, 2), dots(220, 170, 3)];
    let check = |reduced: &[usize], expected: &[usize]| {
        let bytes = USUAL.file_with(&pages, |at| (reduced.contains(&at).into(), 0));
        let mut document = Document::open(file(&bytes), &Limits::default()).expect("it opens");
        let found = document.inspect(&Limits::default()).expect("it has pages");
        assert_eq!(found.pages as usize, expected.len(), "{reduced:?}");
        let said = match pages.len() - expected.len() {
            0 => Vec::new(),
            count => vec![crate::inspection::Feature::Thumbnails { count: count as u32 }],
        };
        assert_eq!(found.features, said, "{reduced:?}");
        let mut again = Document::open(file(&bytes), &Limits::default()).expect("it opens");
        for (number, page) in (0..).zip(expected) {
            for document in [&mut document, &mut again] {
                let picture = document.page(number, &Limits::default()).expect("it decodes");
                assert_eq!(bitonal(&picture), &pages[*page], "{reduced:?}, page {number}");
            }
        }
    };
    check(&[], &[0, 1, 2, 3, 4]);
    check(&[0, 2], &[1, 3, 4]);
    // One that is as large as any page is one, and so are all where there is nothing else.
    check(&[4], &[0, 1, 2, 3, 4]);
    check(&[0, 1, 2, 3, 4], &[0, 1, 2, 3, 4]);
}

#[test]
fn a_mask_of_a_page_is_no_page_and_what_merely_says_so_is_one() {
    let pages = [dots(200, 150, 1), dots(200, 150, 2), dots(100, 75, 2), dots(210, 160, 3)];
    let check = |says: [(u64, u16); 4], expected: &[usize]| {
        let bytes = file(&USUAL.file_with(&pages, |at| says[at]));
        let mut document = Document::open(bytes, &Limits::default()).expect("it opens");
        let found = document.inspect(&Limits::default()).expect("it has pages");
        assert_eq!((found.pages as usize, found.features), (expected.len(), Vec::new()), "{says:?}");
        for (number, page) in (0..).zip(expected) {
            let picture = document.page(number, &Limits::default()).expect("it decodes");
            assert_eq!(bitonal(&picture), &pages[*page], "{says:?}, page {number}");
        }
    };
    // A page with its mask and that of a small copy, and another page.
    check([(0, 0), (4, 4), (5, 4), (0, 0)], &[0, 3]);
    // One that says only in one place that it is a mask.
    check([(0, 0), (4, 0), (0, 0), (0, 0)], &[0, 1, 2, 3]);
    let masks = file(&USUAL.file_with(&pages, |_| (4, 4)));
    assert_eq!(inspect(&masks, &Limits::default()).expect("it has pages").pages, 4, "there is nothing else");
}
