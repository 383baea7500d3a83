//! Files too large to be made in memory, written as they are made: whoever measures must not hold them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt as _;

use fax::{Color, VecWriter};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::GrayImage;
use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, PixelDensity};
use png::{BitDepth, ColorType};

/// A3 at 600 dpi.
pub(crate) const A3: (u32, u32) = (7_016, 9_921);

/// Whether there is ink at a place: lines of letters, all of them a little turned. On a page that is not `full` there
/// are few.
pub(crate) fn letter(x: u32, y: u32, size: u32, slope: f64, full: bool) -> bool {
    let (u, v) = (f64::from(x) - f64::from(y) * slope, f64::from(y) + f64::from(x) * slope);
    let (u, v) = (u as u32, v as u32);
    let (column, line) = (u / size, v / (size * 3));
    let within = u % size > size / 4 && v % (size * 3) < size;
    let stroke = (u % size) / (size / 4).max(1) + 3 * ((v % (size * 3)) / (size / 3).max(1));
    let (lines, columns) = if full { (4..60, 8..130) } else { (4..9, 11..60) };
    let printed = lines.contains(&line) && columns.contains(&column) && (column * 7 + line) % 6 != 0;
    within && printed && !(column * 31 + line * 17 + stroke * 5).is_multiple_of(3)
}

/// Numbers that no coding makes shorter.
pub(crate) struct Noise(u32);

impl Noise {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 11) as u8
    }

    /// A gray picture of nothing else, coded as a JPEG.
    pub(crate) fn jpeg(mut self, width: u16, height: u16) -> Vec<u8> {
        let samples: Vec<u8> = (0..u32::from(width) * u32::from(height)).map(|_| self.next()).collect();
        let mut bytes = Vec::new();
        let encoder = Encoder::new(&mut bytes, 90);
        encoder.encode(&samples, width, height, jpeg_encoder::ColorType::Luma).expect("it is coded");
        bytes
    }
}

/// A page that is made as it is coded, row by row.
pub(crate) struct Scan {
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// The first row that it shows.
    pub(crate) top: u32,
    pub(crate) slope: f64,
}

impl ImageBuffer for Scan {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        for x in 0..u32::from(self.width) {
            let ink = letter(x, self.top + u32::from(y), 60, self.slope, false);
            buffers[0].push(if ink { 30 } else { 240 });
            buffers[1].push(if ink { 150 } else { 120 });
            buffers[2].push(130);
        }
    }
}

/// A written page, as large as A3 at 600 dpi, that was scanned on its side.
pub(crate) struct OnItsSide {
    pub(crate) page: GrayImage,
}

impl ImageBuffer for OnItsSide {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        9_921
    }

    fn height(&self) -> u16 {
        7_016
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let (width, height) = (u32::from(self.height()), u32::from(self.width()));
        let column = (width - 1 - u32::from(y)) * self.page.width() / width;
        for x in 0..height {
            buffers[0].push(self.page.get_pixel(column, x * self.page.height() / height)[0]);
            buffers[1].push(125);
            buffers[2].push(130);
        }
    }
}

/// The bytes of a page as a JPEG of 600 dpi.
pub(crate) fn jpeg(page: impl ImageBuffer) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 80);
    encoder.set_density(PixelDensity::dpi(600));
    encoder.encode_image(page).expect("it is coded");
    bytes
}

/// A file of these bytes.
pub(crate) fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    file
}

/// The rows of [`A3`] in red, green and blue, every sample of so many bytes.
fn rows_of_a3(mut each: impl FnMut(&[[u8; 3]])) {
    let mut row = vec![[0; 3]; A3.0 as usize];
    for y in 0..A3.1 {
        for (x, pixel) in (0..).zip(&mut row) {
            *pixel =
                if letter(x, y, 60, 0.0, false) { [40, 30, 90] } else { [240, 235, 250 - (x >> 10) as u8] };
        }
        each(&row);
    }
}

/// The page as a PNG whose samples have so many bytes, and whose rows are made so: of RGB, or with opacity.
pub(crate) fn a3_png(sample_bytes: u8, form: impl Fn(&[[u8; 3]]) -> Vec<u8>) -> File {
    let colours = if sample_bytes == 2 { ColorType::Rgb } else { ColorType::Rgba };
    let file = tempfile::tempfile().expect("a file");
    let mut encoder = png::Encoder::new(BufWriter::new(&file), A3.0, A3.1);
    encoder.set_color(colours);
    encoder.set_depth(if sample_bytes == 2 { BitDepth::Sixteen } else { BitDepth::Eight });
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().expect("written");
    let mut rows = writer.stream_writer().expect("written");
    rows_of_a3(|row| rows.write_all(&form(row)).expect("written"));
    rows.finish().expect("written");
    writer.finish().expect("written");
    file
}

/// The page as a BMP of 24 bits a pixel, from the top down.
pub(crate) fn a3_bmp() -> File {
    let row_bytes = (A3.0 * 3).next_multiple_of(4);
    let mut head = b"BM".to_vec();
    for number in [54 + row_bytes * A3.1, 0, 54, 40, A3.0] {
        head.extend(number.to_le_bytes());
    }
    head.extend((-(A3.1 as i32)).to_le_bytes());
    head.extend([1, 0, 24, 0]);
    for number in [0, row_bytes * A3.1, 23_622, 23_622, 0, 0] {
        head.extend(number.to_le_bytes());
    }
    let file = tempfile::tempfile().expect("a file");
    let mut writer = BufWriter::new(&file);
    writer.write_all(&head).expect("written");
    rows_of_a3(|row| {
        let mut bytes: Vec<u8> = row.iter().flat_map(|[red, green, blue]| [*blue, *green, *red]).collect();
        bytes.resize(row_bytes as usize, 0);
        writer.write_all(&bytes).expect("written");
    });
    writer.flush().expect("written");
    drop(writer);
    file
}

/// A TIFF file being written.
pub(crate) struct Tiff {
    file: File,
    at: u64,
    /// Where the offset of the next directory belongs.
    link: u64,
}

/// An entry of a directory: its tag, its type (3 has two bytes, 4 has four), its values.
type Entry = (u16, u16, Vec<u32>);

impl Tiff {
    pub(crate) fn begin() -> Self {
        let mut tiff = Self { file: tempfile::tempfile().expect("a file"), at: 0, link: 4 };
        tiff.add(b"II\x2a\0\0\0\0\0");
        tiff
    }

    /// Writes bytes, and answers where they are and how many.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> (u32, u32) {
        let at = self.at;
        self.file.write_all_at(bytes, at).expect("written");
        self.at += bytes.len() as u64;
        (u32::try_from(at).expect("under 4 GiB"), bytes.len() as u32)
    }

    /// Writes what comes of these bytes when they are deflated, in the same way.
    fn add_deflated(&mut self, mut write: impl FnMut(&mut dyn FnMut(&[u8]))) -> (u32, u32) {
        struct Sink<'t>(&'t mut Tiff);
        impl Write for Sink<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.add(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let begin = self.at;
        let mut encoder = ZlibEncoder::new(BufWriter::new(Sink(self)), Compression::fast());
        write(&mut |bytes| encoder.write_all(bytes).expect("written"));
        drop(encoder.finish().expect("written"));
        (u32::try_from(begin).expect("under 4 GiB"), (self.at - begin) as u32)
    }

    /// Ends a page of this size and resolution whose strips stand there.
    pub(crate) fn page(
        &mut self,
        (width, height): (u32, u32),
        dpi: u32,
        strips: &[(u32, u32)],
        more: &[Entry],
    ) {
        let (resolution, _) = self.add(&[dpi.to_le_bytes(), 1u32.to_le_bytes()].concat());
        let (offsets, counts): (Vec<u32>, Vec<u32>) = strips.iter().copied().unzip();
        let mut entries: Vec<Entry> = vec![
            (256, 4, vec![width]),
            (257, 4, vec![height]),
            (273, 4, offsets),
            (279, 4, counts),
            (282, 5, vec![resolution]),
            (283, 5, vec![resolution]),
        ];
        entries.extend(more.iter().cloned());
        entries.sort_by_key(|(tag, ..)| *tag);
        let mut directory = (entries.len() as u16).to_le_bytes().to_vec();
        for (tag, kind, values) in entries {
            let wide = kind != 3;
            let mut bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes()[..if wide { 4 } else { 2 }].to_vec())
                .collect();
            if bytes.len() > 4 {
                bytes = self.add(&bytes).0.to_le_bytes().to_vec();
            }
            bytes.resize(4, 0);
            directory.extend(tag.to_le_bytes());
            directory.extend(kind.to_le_bytes());
            directory.extend((values.len() as u32).to_le_bytes());
            directory.extend(bytes);
        }
        directory.extend([0; 4]);
        let (at, length) = self.add(&directory);
        self.file.write_all_at(&at.to_le_bytes(), self.link).expect("written");
        self.link = u64::from(at + length - 4);
    }

    pub(crate) fn finish(self) -> File {
        self.file
    }
}

/// A TIFF of this many equal A4 pages in group 4, full of letters; each has data of its own, as it would have. Answers
/// also how many bytes a page has.
pub(crate) fn group_4(pages: u32, dpi: u32, full: bool) -> (File, u32) {
    let (width, height) = (2_480 * dpi / 300, 3_508 * dpi / 300);
    let mut encoder = fax::encoder::Encoder::new(VecWriter::new());
    for y in 0..height {
        let size = if full { 18 } else { 28 };
        let ink = |x| letter(x, y, size * dpi / 300, 0.0, full);
        let dots = (0..width).map(|x| if ink(x) { Color::Black } else { Color::White });
        encoder.encode_line(dots, width).expect("memory takes all");
    }
    let page = encoder.finish().expect("memory takes all").finish();
    let mut tiff = Tiff::begin();
    for _ in 0..pages {
        let strip = tiff.add(&page);
        let entries = [(259, 3, vec![4]), (262, 3, vec![0]), (278, 4, vec![height])];
        tiff.page((width, height), dpi, &[strip], &entries);
    }
    (tiff.finish(), page.len() as u32)
}

/// How an A3 page at 600 dpi is written to a TIFF.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writing {
    /// JPEG in strips of so many rows.
    Jpeg { rows: u32 },
    /// RGB in three planes without a coding, each of one strip.
    Planes,
    /// RGB of 16 bits in one strip.
    Deep,
    /// Four inks in one strip.
    Inks,
    /// A palette in one strip.
    Palette,
}

pub(crate) fn a3_tiff(writing: Writing) -> File {
    let mut tiff = Tiff::begin();
    let one_strip = (278, 4, vec![A3.1]);
    let entries = |photometric: u32, coding: u32, bits: &[u32]| -> Vec<Entry> {
        vec![
            (258, 3, bits.to_vec()),
            (259, 3, vec![coding]),
            (262, 3, vec![photometric]),
            (277, 3, vec![bits.len() as u32]),
        ]
    };
    match writing {
        Writing::Jpeg { rows } => {
            let strips: Vec<(u32, u32)> = (0..A3.1)
                .step_by(rows as usize)
                .map(|top| {
                    let height = rows.min(A3.1 - top) as u16;
                    tiff.add(&jpeg(Scan { width: A3.0 as u16, height, top, slope: 0.0 }))
                })
                .collect();
            let mut entries = entries(6, 7, &[8; 3]);
            entries.push((278, 4, vec![rows]));
            tiff.page(A3, 600, &strips, &entries);
        }
        Writing::Planes => {
            let planes: Vec<(u32, u32)> = (0..3)
                .map(|plane| {
                    let begin = tiff.at as u32;
                    rows_of_a3(|row| {
                        tiff.add(&row.iter().map(|pixel| pixel[plane]).collect::<Vec<u8>>());
                    });
                    (begin, A3.0 * A3.1)
                })
                .collect();
            let mut entries = entries(2, 1, &[8; 3]);
            entries.extend([one_strip, (284, 3, vec![2])]);
            tiff.page(A3, 600, &planes, &entries);
        }
        Writing::Deep => {
            let strip = tiff.add_deflated(|write| {
                rows_of_a3(|row| {
                    write(&row.iter().flatten().flat_map(|sample| [77, *sample]).collect::<Vec<u8>>());
                });
            });
            let mut entries = entries(2, 8, &[16; 3]);
            entries.push(one_strip);
            tiff.page(A3, 600, &[strip], &entries);
        }
        Writing::Inks => {
            let strip = tiff.add_deflated(|write| {
                rows_of_a3(|row| {
                    let inks = row.iter().flat_map(|[r, g, b]| [255 - r, 255 - g, 255 - b, 0]);
                    write(&inks.collect::<Vec<u8>>());
                });
            });
            let mut entries = entries(5, 8, &[8; 4]);
            entries.push(one_strip);
            tiff.page(A3, 600, &[strip], &entries);
        }
        Writing::Palette => {
            let strip = tiff.add_deflated(|write| {
                rows_of_a3(|row| write(&row.iter().map(|pixel| pixel[0]).collect::<Vec<u8>>()));
            });
            let mut entries = entries(3, 8, &[8]);
            let map = (0..768u32).map(|at| (at % 256) << 8 | 7).collect();
            entries.extend([one_strip, (320, 3, map)]);
            tiff.page(A3, 600, &[strip], &entries);
        }
    }
    tiff.finish()
}

/// A JPEG 2000 codestream of an even picture of this size in three colours, in tiles of this side.
pub(crate) fn jpeg_2000((width, height): (u32, u32), tile: u32) -> Vec<u8> {
    let levels = 5u8;
    let mut bytes = b"\xff\x4f\xff\x51".to_vec();
    bytes.extend(47u16.to_be_bytes());
    bytes.extend(0u16.to_be_bytes());
    for number in [width, height, 0, 0, tile, tile, 0, 0] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(3u16.to_be_bytes());
    bytes.extend([7, 1, 1].repeat(3));
    // One layer, colours transformed, blocks of 64 x 64, whole numbers.
    bytes.extend(b"\xff\x52\x00\x0c\x00\x00\x00\x01\x01");
    bytes.extend([levels, 4, 4, 0, 1]);
    bytes.extend(b"\xff\x5c");
    bytes.extend((3 + 3 * u16::from(levels) + 1).to_be_bytes());
    bytes.push(0x40);
    bytes.extend(vec![0x40; 3 * usize::from(levels) + 1]);
    let tiles = width.div_ceil(tile) * height.div_ceil(tile);
    for number in 0..tiles {
        // A packet for each level of each colour, which says that there is nothing in it.
        let packets = vec![0; 3 * (usize::from(levels) + 1)];
        bytes.extend(b"\xff\x90\x00\x0a");
        bytes.extend((number as u16).to_be_bytes());
        bytes.extend((14 + packets.len() as u32).to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(b"\xff\x93");
        bytes.extend(packets);
    }
    bytes.extend(b"\xff\xd9");
    bytes
}

/// A PDF being written.
pub(crate) struct Pdf {
    file: File,
    at: u64,
    places: Vec<u64>,
    pages: Vec<usize>,
}

impl Pdf {
    /// The catalog is object 1, the tree of pages 2, a font 3.
    pub(crate) fn begin() -> Self {
        let file = tempfile::tempfile().expect("a file");
        let mut pdf = Self { file, at: 0, places: Vec::new(), pages: Vec::new() };
        pdf.write(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n");
        pdf.object("<</Type/Catalog/Pages 2 0 R>>");
        pdf.places.push(0);
        pdf.object("<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>");
        pdf
    }

    fn write(&mut self, bytes: &[u8]) {
        self.file.write_all_at(bytes, self.at).expect("written");
        self.at += bytes.len() as u64;
    }

    /// Adds an object and answers its number.
    fn object(&mut self, body: &str) -> usize {
        self.places.push(self.at);
        let number = self.places.len();
        self.write(format!("{number} 0 obj\n{body}\nendobj\n").as_bytes());
        number
    }

    /// Adds a stream and answers its number.
    pub(crate) fn stream(&mut self, entries: &str, data: &[u8]) -> usize {
        self.places.push(self.at);
        let number = self.places.len();
        self.write(format!("{number} 0 obj\n<<{entries}/Length {}>>\nstream\n", data.len()).as_bytes());
        self.write(data);
        self.write(b"\nendstream\nendobj\n");
        number
    }

    /// Adds a JPEG picture and answers its number.
    pub(crate) fn jpeg(&mut self, (width, height): (u32, u32), colours: &str, data: &[u8]) -> usize {
        let entries = format!(
            "/Type/XObject/Subtype/Image/Width {width}/Height {height}/BitsPerComponent 8\
             /ColorSpace/{colours}/Filter/DCTDecode"
        );
        self.stream(&entries, data)
    }

    /// Adds a page of this size in points with these instructions, in which the picture is called `I`.
    pub(crate) fn page(&mut self, (width, height): (f64, f64), instructions: &str, picture: Option<usize>) {
        let contents = self.stream("", instructions.as_bytes());
        let picture = picture.map_or(String::new(), |picture| format!("/XObject<</I {picture} 0 R>>"));
        let page = self.object(&format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Contents {contents} 0 R\
             /Resources<</Font<</F1 3 0 R>>{picture}>>>>"
        ));
        self.pages.push(page);
    }

    pub(crate) fn finish(mut self) -> File {
        self.places[1] = self.at;
        let kids: String = self.pages.iter().map(|page| format!("{page} 0 R ")).collect();
        let tree = format!("2 0 obj\n<</Type/Pages/Kids[{kids}]/Count {}>>\nendobj\n", self.pages.len());
        self.write(tree.as_bytes());
        let (table, size) = (self.at, self.places.len() + 1);
        let mut end = format!("xref\n0 {size}\n0000000000 65535 f \n");
        for place in &self.places {
            end.push_str(&format!("{place:010} 00000 n \n"));
        }
        end.push_str(&format!("trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n"));
        self.write(end.as_bytes());
        self.file
    }
}
