//! TIFF pages in every depth, colour and coding, in strips, tiles and planes.

use proptest::prelude::*;

use super::*;

/// How a page is written.
#[derive(Clone, Debug)]
struct Writing {
    size: (usize, usize),
    photometric: u32,
    bits: u32,
    /// Samples of a pixel beside its colours: opacity.
    has_alpha: bool,
    coding: u32,
    has_differences: bool,
    planar: bool,
    /// Width and height of tiles; strips of so many rows where the width is 0.
    chunk: (usize, usize),
    big_endian: bool,
    low_bit_first: bool,
    seed: u32,
}

fn colours_of(photometric: u32) -> usize {
    match photometric {
        2 => 3,
        5 => 4,
        _ => 1,
    }
}

impl Writing {
    fn samples(&self) -> usize {
        colours_of(self.photometric) + usize::from(self.has_alpha)
    }

    /// What stands in the file.
    fn sample(&self, x: usize, y: usize, at: usize) -> u32 {
        let mixed = (x as u32 * 131 + y as u32 * 241 + at as u32 * 57 + self.seed).wrapping_mul(0x9e37_79b9);
        // Slopes and noise, so that runs and differences occur.
        let value =
            if (x / 7 + y / 3).is_multiple_of(2) { (x as u32 * 3 + at as u32) << 8 } else { mixed >> 16 };
        (value & 0xffff) >> (16 - self.bits)
    }

    /// What is to be seen.
    fn shown(&self, x: usize, y: usize) -> [u8; 3] {
        let at = |at: usize| {
            let value = self.sample(x, y, at);
            match self.bits {
                16 => (value >> 8) as u8,
                bits => (value * 255 / ((1 << bits) - 1)) as u8,
            }
        };
        let colour = match self.photometric {
            0 => [!at(0); 3],
            1 => [at(0); 3],
            2 => [at(0), at(1), at(2)],
            3 => {
                let value = self.sample(x, y, 0);
                [0, 1, 2].map(|colour| (palette(value, colour) >> 8) as u8)
            }
            _ => colours::light_of([at(0), at(1), at(2), at(3)]),
        };
        if self.has_alpha {
            colour.map(|sample| colours::over_white(sample, at(colours_of(self.photometric))))
        } else {
            colour
        }
    }

    fn number(&self, value: u32, bytes: usize) -> Vec<u8> {
        if self.big_endian {
            value.to_be_bytes()[4 - bytes..].to_vec()
        } else {
            value.to_le_bytes()[..bytes].to_vec()
        }
    }

    /// A strip or tile, of all samples or of one plane.
    fn chunk(
        &self,
        (left, top): (usize, usize),
        (width, height): (usize, usize),
        plane: Option<usize>,
    ) -> Vec<u8> {
        let samples: Vec<usize> = plane.map_or_else(|| (0..self.samples()).collect(), |plane| vec![plane]);
        let mut bytes = Vec::new();
        for y in top..top + height {
            let mut row: Vec<u32> = (left..left + width)
                .flat_map(|x| samples.iter().map(move |&at| (x, at)))
                .map(|(x, at)| self.sample(x, y, at))
                .collect();
            if self.has_differences {
                for at in (samples.len()..row.len()).rev() {
                    row[at] = row[at].wrapping_sub(row[at - samples.len()]) & ((1 << self.bits) - 1);
                }
            }
            match self.bits {
                16 => bytes.extend(row.iter().flat_map(|value| self.number(*value, 2))),
                bits => {
                    let per_byte = 8 / bits as usize;
                    bytes.extend(row.chunks(per_byte).map(|values| {
                        let packed = values.iter().fold(0u32, |packed, value| packed << bits | value);
                        (packed << (bits as usize * (per_byte - values.len()))) as u8
                    }));
                }
            }
        }
        let mut coded = match self.coding {
            5 => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .encode(&bytes)
                .expect("it is coded"),
            8 | 32_946 => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes).expect("memory takes all");
                encoder.finish().expect("memory takes all")
            }
            32_773 => packed(&bytes),
            _ => bytes,
        };
        if self.low_bit_first {
            coded.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        coded
    }

    fn file(&self) -> Vec<u8> {
        let (width, height) = self.size;
        let mut file = if self.big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        file.extend(self.number(42, 2));
        file.extend([0; 4]);
        let is_tiled = self.chunk.0 > 0;
        let wide = if is_tiled { self.chunk.0 } else { width };
        let mut places = Vec::new();
        let planes: Vec<Option<usize>> =
            if self.planar { (0..self.samples()).map(Some).collect() } else { vec![None] };
        for plane in planes {
            for top in (0..height).step_by(self.chunk.1) {
                for left in (0..width).step_by(wide) {
                    let high = if is_tiled { self.chunk.1 } else { self.chunk.1.min(height - top) };
                    let bytes = self.chunk((left, top), (wide, high), plane);
                    places.push((file.len() as u32, bytes.len() as u32));
                    file.extend(bytes);
                }
            }
        }
        let (offsets, counts): (Vec<u32>, Vec<u32>) = places.into_iter().unzip();
        let mut entries: Vec<(u16, u16, Vec<u32>)> = vec![
            (256, 4, vec![width as u32]),
            (257, 4, vec![height as u32]),
            (258, 3, vec![self.bits; self.samples()]),
            (259, 3, vec![self.coding]),
            (262, 3, vec![self.photometric]),
            (266, 3, vec![if self.low_bit_first { 2 } else { 1 }]),
            (277, 3, vec![self.samples() as u32]),
            (284, 3, vec![if self.planar { 2 } else { 1 }]),
            (317, 3, vec![if self.has_differences { 2 } else { 1 }]),
        ];
        if self.has_alpha {
            entries.push((338, 3, vec![2]));
        }
        if self.photometric == 3 {
            let count = 1u32 << self.bits;
            entries.push((
                320,
                3,
                (0..3).flat_map(|colour| (0..count).map(move |at| palette(at, colour))).collect(),
            ));
        }
        if is_tiled {
            entries.extend([
                (322, 4, vec![self.chunk.0 as u32]),
                (323, 4, vec![self.chunk.1 as u32]),
                (324, 4, offsets),
                (325, 4, counts),
            ]);
        } else {
            entries.extend([(273, 4, offsets), (278, 4, vec![self.chunk.1 as u32]), (279, 4, counts)]);
        }
        entries.sort_by_key(|(tag, ..)| *tag);
        let mut placed = Vec::new();
        for (tag, kind, values) in entries {
            let mut bytes: Vec<u8> =
                values.iter().flat_map(|value| self.number(*value, if kind == 3 { 2 } else { 4 })).collect();
            if bytes.len() > 4 {
                let offset = file.len() as u32;
                file.extend(bytes);
                bytes = self.number(offset, 4);
            }
            bytes.resize(4, 0);
            placed.push((tag, kind, values.len() as u32, bytes));
        }
        let directory = self.number(file.len() as u32, 4);
        file[4..8].copy_from_slice(&directory);
        file.extend(self.number(placed.len() as u32, 2));
        for (tag, kind, count, bytes) in placed {
            file.extend(self.number(tag.into(), 2));
            file.extend(self.number(kind.into(), 2));
            file.extend(self.number(count, 4));
            file.extend(bytes);
        }
        file.extend([0; 4]);
        file
    }
}

/// A colour of a palette, in 16 bits.
fn palette(value: u32, colour: u32) -> u32 {
    (value * 7919 + colour * 104_729 + 300) & 0xffff
}

/// PackBits of runs and of what is between them.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for run in bytes.chunk_by(|one, next| one == next) {
        for run in run.chunks(128) {
            match run.len() {
                1 => coded.extend([0, run[0]]),
                length => coded.extend([(257 - length) as u8, run[0]]),
            }
        }
        // A byte that says nothing.
        coded.push(128);
    }
    coded
}

fn rgb(samples: &Samples) -> Vec<[u8; 3]> {
    match samples {
        Samples::Bitonal(image) | Samples::Gray(image) => image.iter().map(|sample| [*sample; 3]).collect(),
        Samples::Rgb(image) => image.pixels().map(|pixel| pixel.0).collect(),
    }
}

fn check(writing: &Writing) {
    let picture = page(&file(&writing.file()), 0, &Limits::default()).expect("it decodes");
    let (width, height) = writing.size;
    assert_eq!(picture.dimensions(), (width as u32, height as u32));
    let expected: Vec<[u8; 3]> =
        (0..height).flat_map(|y| (0..width).map(move |x| writing.shown(x, y))).collect();
    assert!(rgb(&picture.samples) == expected, "{writing:?}");
}

fn kinds() -> impl Strategy<Value = (u32, u32)> {
    let of = |photometric: u32, bits: &'static [u32]| (Just(photometric), prop::sample::select(bits));
    prop_oneof![
        of(0, &[1, 2, 4, 8, 16]),
        of(1, &[1, 2, 4, 8, 16]),
        of(2, &[8, 16]),
        of(3, &[1, 2, 4, 8]),
        of(5, &[8, 16]),
    ]
}

proptest! {
    #[test]
    fn a_page_comes_back_sample_by_sample_however_its_file_is_written(
        (photometric, bits) in kinds(),
        width in 1usize..120, height in 1usize..50,
        coding in prop::sample::select(&[1u32, 5, 8, 32_773, 32_946][..]),
        differs: bool, planar: bool, alpha: bool, big_endian: bool, low_bit_first: bool,
        tile in prop::option::of((1usize..8, 1usize..4)), rows in 1usize..60, seed: u32,
    ) {
        let has_alpha = alpha && photometric != 3 && bits >= 8;
        let has_differences = differs && matches!(coding, 5 | 8 | 32_946) && bits >= 8;
        let chunk = tile.map_or((0, rows), |(wide, high)| (wide * 16, high * 16));
        check(&Writing {
            size: (width, height), photometric, bits, has_alpha, coding, has_differences,
            planar, chunk, big_endian, low_bit_first, seed,
        });
    }
}

const USUAL: Writing = Writing {
    size: (90, 40),
    photometric: 2,
    bits: 8,
    has_alpha: false,
    coding: 5,
    has_differences: false,
    planar: false,
    chunk: (0, 16),
    big_endian: false,
    low_bit_first: false,
    seed: 3,
};

/// The first row is there, and the last strip; what is missing between them is white.
#[track_caller]
fn check_damaged(bytes: &[u8], whole: &[u8], what: &str) {
    let shown = |bytes: &[u8]| page(&file(bytes), 0, &Limits::default()).expect(what);
    let picture = shown(bytes);
    assert!(
        picture.is_incomplete && picture.remarks.iter().any(|remark| remark.contains("damaged")),
        "{what}"
    );
    let (gray, all) = (picture.samples.to_gray(), shown(whole).samples.to_gray());
    let row = |image: &GrayImage, y: u32| (0..90).map(|x| image.get_pixel(x, y)[0]).collect::<Vec<u8>>();
    for y in [0, 16, 39] {
        assert_eq!(row(&gray, y), row(&all, y), "{what}: row {y}");
    }
    assert_eq!(row(&gray, 15), [255; 90], "{what}");
}

#[test]
fn a_page_whose_data_are_cut_off_or_broken_shows_what_is_there_and_says_so() {
    for coding in [1, 5, 8, 32_773] {
        let writing = Writing { coding, ..USUAL };
        let whole = writing.file();
        let data = writing.chunk((0, 0), (90, 16), None);
        let at = whole.windows(data.len()).position(|window| window == data).expect("the first strip");
        // The strip says that it is shorter than it is.
        let mut short = whole.clone();
        let counts = (0..3).map(|strip| {
            writing.chunk((0, strip * 16), (90, if strip == 2 { 8 } else { 16 }), None).len() as u32
        });
        let counts: Vec<u8> = counts.flat_map(u32::to_le_bytes).collect();
        let place = short.windows(12).rposition(|window| window == counts).expect("the lengths");
        short[place..place + 4].copy_from_slice(&(data.len() as u32 / 2).to_le_bytes());
        check_damaged(&short, &whole, &format!("{coding}: half is missing"));
        if coding == 8 {
            let mut broken = whole.clone();
            broken[at + 20..at + 60].fill(0xaa);
            let shown = page(&file(&broken), 0, &Limits::default());
            assert!(shown.map_or(true, |picture| picture.is_incomplete), "it is broken");
        }
    }
}

/// A page of JPEG strips of so many rows, and the segments that all of them share.
fn of_jpeg_strips(size: (u32, u32), strips: &[Vec<u8>], rows: u32, samples: u32, tables: &[u8]) -> Vec<u8> {
    let mut file = b"II\x2a\0\0\0\0\0".to_vec();
    let mut places = Vec::new();
    for strip in strips {
        places.push((file.len() as u32, strip.len() as u32));
        file.extend(strip);
    }
    let mut add = |bytes: Vec<u8>| {
        let at = file.len() as u32;
        file.extend(bytes);
        at
    };
    let offsets = add(places.iter().flat_map(|(at, _)| at.to_le_bytes()).collect());
    let counts = add(places.iter().flat_map(|(_, length)| length.to_le_bytes()).collect());
    let tables_at = add(tables.to_vec());
    let (offsets, counts) = if strips.len() == 1 { places[0] } else { (offsets, counts) };
    let count = strips.len() as u32;
    let entries: [(u16, u16, u32, u32); 10] = [
        (256, 4, 1, size.0),
        (257, 4, 1, size.1),
        (258, 3, 1, 8),
        (259, 3, 1, 7),
        (262, 3, 1, if samples == 3 { 6 } else { 1 }),
        (273, 4, count, offsets),
        (277, 3, 1, samples),
        (278, 4, 1, rows),
        (279, 4, count, counts),
        (347, 7, tables.len() as u32, tables_at),
    ];
    let directory = file.len() as u32;
    file[4..8].copy_from_slice(&directory.to_le_bytes());
    file.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend([0; 4]);
    file
}

/// The tables of a JPEG as a stream of their own, and the JPEG without them.
fn parted(jpeg: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut tables, mut rest) = (vec![0xff, 0xd8], vec![0xff, 0xd8]);
    let mut at = 2;
    while jpeg[at + 1] != 0xda {
        let end = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        let segment = &jpeg[at..end];
        if matches!(segment[1], 0xdb | 0xc4) {
            tables.extend(segment)
        } else {
            rest.extend(segment)
        }
        at = end;
    }
    tables.extend([0xff, 0xd9]);
    rest.extend(&jpeg[at..]);
    (tables, rest)
}

#[test]
fn jpeg_strips_are_shown_as_their_jpegs_are_with_tables_of_their_own_or_shared_ones() {
    let scene = RgbImage::from_fn(128, 96, |x, y| image::Rgb([(x * 2) as u8, (y * 2) as u8, (x + y) as u8]));
    for (samples, page_image) in [
        (3, DynamicImage::ImageRgb8(scene.clone())),
        (1, DynamicImage::ImageLuma8(DynamicImage::ImageRgb8(scene).into_luma8())),
    ] {
        let strips: Vec<Vec<u8>> = (0..3)
            .map(|strip| coded(page_image.crop_imm(0, strip * 32, 128, 32), ImageFormat::Jpeg))
            .collect();
        let expected: Vec<[u8; 3]> = strips
            .iter()
            .flat_map(|strip| {
                let alone = image::load_from_memory(strip).expect("a JPEG").into_rgb8();
                alone.pixels().map(|pixel| pixel.0).collect::<Vec<_>>()
            })
            .collect();
        let shown = |bytes: &[u8]| {
            let picture = page(&file(bytes), 0, &Limits::default()).expect("it decodes");
            rgb(&picture.samples)
        };
        assert!(shown(&of_jpeg_strips((128, 96), &strips, 32, samples, &[])) == expected, "{samples}");
        let (tables, _) = parted(&strips[0]);
        let bare: Vec<Vec<u8>> = strips.iter().map(|strip| parted(strip).1).collect();
        assert!(
            shown(&of_jpeg_strips((128, 96), &bare, 32, samples, &tables)) == expected,
            "{samples}, shared"
        );
        // A page of one strip, and one whose strip is shorter than it says.
        assert!(shown(&of_jpeg_strips((128, 32), &strips[..1], 32, samples, &[])) == expected[..128 * 32]);
        let mut cut = of_jpeg_strips((128, 96), &strips, 32, samples, &[]);
        cut[8..10].fill(0);
        let failure = page(&file(&cut), 0, &Limits::default()).expect_err("no JPEG");
        assert_eq!(failure.class, FailureClass::Corrupt, "{failure}");
    }
}
