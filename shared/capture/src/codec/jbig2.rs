//! Black and white pictures in JBIG2 (ITU-T T.88), without loss.
//!
//! A picture is coded as one generic region: every pixel by itself, under sixteen pixels around it that were coded
//! before. Symbols are never shared: what looks alike is not the same, and a coder that takes a 6 for an 8 has changed
//! a document. The segments are those that a PDF holds: no file header, no end of page (ISO 32000-1, 7.4.7).

use image::GrayImage;

/// Segment types (T.88, 7.3).
const PAGE_INFORMATION: u8 = 48;
const IMMEDIATE_LOSSLESS_GENERIC_REGION: u8 = 39;
/// The adaptive pixels of template 0 where they usually are (T.88, 6.2.5.4): column and row against the pixel.
const ADAPTIVE: [i8; 8] = [3, -1, -3, -1, 2, -2, -2, -2];
/// The number of contexts of template 0.
const CONTEXTS: usize = 1 << 16;

/// Codes a picture; samples below 128 are black.
pub(crate) fn encoded(image: &GrayImage) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let mut page = Vec::with_capacity(19);
    page.extend(width.to_be_bytes());
    page.extend(height.to_be_bytes());
    // The resolution is unknown here; the page states its size. It is lossless, and white where nothing is drawn.
    page.extend([0; 8]);
    page.push(1);
    page.extend([0; 2]);

    let mut region = Vec::new();
    region.extend(width.to_be_bytes());
    region.extend(height.to_be_bytes());
    region.extend([0; 8]);
    // Laid over what is there; arithmetic coding, template 0, no line is said to be like the one before.
    region.extend([0, 0]);
    region.extend(ADAPTIVE.map(i8::cast_unsigned));
    region.extend(coded_pixels(image));

    let mut bytes = segment(0, PAGE_INFORMATION, &page);
    bytes.extend(segment(1, IMMEDIATE_LOSSLESS_GENERIC_REGION, &region));
    bytes
}

/// A segment of page 1 that refers to no other.
fn segment(number: u32, kind: u8, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(11 + data.len());
    bytes.extend(number.to_be_bytes());
    bytes.extend([kind, 0, 1]);
    bytes.extend((data.len() as u32).to_be_bytes());
    bytes.extend(data);
    bytes
}

fn coded_pixels(image: &GrayImage) -> Vec<u8> {
    let width = image.width() as usize;
    // Three columns of white stand on the left and on the right of each row, and two rows above the first.
    let blank = vec![0u8; width + 6];
    let (mut above_2, mut above, mut row, mut any) = (blank.clone(), blank.clone(), blank.clone(), blank);
    let mut coder = Coder::new();
    let mut states = vec![State::default(); CONTEXTS];
    for samples in image.as_raw().chunks_exact(width.max(1)) {
        for (dot, sample) in row[3..].iter_mut().zip(samples) {
            *dot = u8::from(*sample < 128);
        }
        let bits = |row: &[u8], from: usize, to: usize| {
            row[from..to].iter().fold(0usize, |bits, dot| bits << 1 | usize::from(*dot))
        };
        // All but the rightmost of the pixels above, which come in as the pixel moves on.
        let mut far = bits(&above_2, 1, 5);
        let mut near = bits(&above, 0, 6);
        let mut before = 0usize;
        for ((any, dot), (near, far)) in any.iter_mut().zip(&row).zip(above.iter().zip(&above_2)) {
            *any = dot | near | far;
        }
        let mut x = 0;
        while x < width {
            if far | near | before == 0 {
                // Most of a page is white on white: such pixels all have one context, and are coded together.
                let next = next_black(&any, x + 3).unwrap_or(width + 6);
                let white = next.saturating_sub(x + 6).min(width - x);
                if white > 0 {
                    coder.code_run(white, &mut states[0]);
                    x += white;
                    continue;
                }
            }
            far = (far << 1 | usize::from(above_2[x + 5])) & 0x1f;
            near = (near << 1 | usize::from(above[x + 6])) & 0x7f;
            let dot = row[x + 3];
            coder.code(dot, &mut states[far << 11 | near << 4 | before]);
            before = (before << 1 | usize::from(dot)) & 0xf;
            x += 1;
        }
        std::mem::swap(&mut above_2, &mut above);
        std::mem::swap(&mut above, &mut row);
    }
    coder.finish()
}

/// The first black dot of a row from a place on, eight at a time.
fn next_black(row: &[u8], from: usize) -> Option<usize> {
    let (eights, rest) = row[from..].as_chunks::<8>();
    let white = eights.iter().take_while(|eight| u64::from_ne_bytes(**eight) == 0).count();
    let tail = eights.get(white).map_or(rest, |eight| eight.as_slice());
    tail.iter().position(|&dot| dot != 0).map(|at| from + white * 8 + at)
}

/// What is known of a context: how probable its usual pixel is, and which that is.
#[derive(Clone, Copy, Default)]
struct State {
    index: u8,
    usual: u8,
}

/// A row of the table of probabilities (T.88, table E.1): the estimate of the unusual pixel, the next row after a
/// usual and after an unusual one, and whether they change places.
struct Estimate(u32, u8, u8, bool);

#[rustfmt::skip]
const ESTIMATES: [Estimate; 47] = [
    Estimate(0x5601, 1, 1, true), Estimate(0x3401, 2, 6, false), Estimate(0x1801, 3, 9, false),
    Estimate(0x0ac1, 4, 12, false), Estimate(0x0521, 5, 29, false), Estimate(0x0221, 38, 33, false),
    Estimate(0x5601, 7, 6, true), Estimate(0x5401, 8, 14, false), Estimate(0x4801, 9, 14, false),
    Estimate(0x3801, 10, 14, false), Estimate(0x3001, 11, 17, false), Estimate(0x2401, 12, 18, false),
    Estimate(0x1c01, 13, 20, false), Estimate(0x1601, 29, 21, false), Estimate(0x5601, 15, 14, true),
    Estimate(0x5401, 16, 14, false), Estimate(0x5101, 17, 15, false), Estimate(0x4801, 18, 16, false),
    Estimate(0x3801, 19, 17, false), Estimate(0x3401, 20, 18, false), Estimate(0x3001, 21, 19, false),
    Estimate(0x2801, 22, 19, false), Estimate(0x2401, 23, 20, false), Estimate(0x2201, 24, 21, false),
    Estimate(0x1c01, 25, 22, false), Estimate(0x1801, 26, 23, false), Estimate(0x1601, 27, 24, false),
    Estimate(0x1401, 28, 25, false), Estimate(0x1201, 29, 26, false), Estimate(0x1101, 30, 27, false),
    Estimate(0x0ac1, 31, 28, false), Estimate(0x09c1, 32, 29, false), Estimate(0x08a1, 33, 30, false),
    Estimate(0x0521, 34, 31, false), Estimate(0x0441, 35, 32, false), Estimate(0x02a1, 36, 33, false),
    Estimate(0x0221, 37, 34, false), Estimate(0x0141, 38, 35, false), Estimate(0x0111, 39, 36, false),
    Estimate(0x0085, 40, 37, false), Estimate(0x0049, 41, 38, false), Estimate(0x0025, 42, 39, false),
    Estimate(0x0015, 43, 40, false), Estimate(0x0009, 44, 41, false), Estimate(0x0005, 45, 42, false),
    Estimate(0x0001, 45, 43, false), Estimate(0x5601, 46, 46, false),
];

/// The arithmetic coder (T.88, annex E). The names in the standard are A, C, CT and B.
struct Coder {
    interval: u32,
    code: u32,
    shifts_left: u32,
    /// The bytes; the first is none of the code, but what a carry could go into and never does.
    bytes: Vec<u8>,
}

impl Coder {
    fn new() -> Self {
        Self { interval: 0x8000, code: 0, shifts_left: 12, bytes: vec![0] }
    }

    /// Codes so many white pixels of one context.
    fn code_run(&mut self, mut count: usize, state: &mut State) {
        while count > 0 {
            let Estimate(unusual, ..) = ESTIMATES[usize::from(state.index)];
            // As long as the interval stays large, a usual pixel changes nothing but it.
            let room = ((self.interval - 0x8000) / unusual) as usize;
            let together = if state.usual == 0 { room.min(count) } else { 0 };
            self.interval -= together as u32 * unusual;
            self.code += together as u32 * unusual;
            count -= together;
            if count > 0 {
                self.code(0, state);
                count -= 1;
            }
        }
    }

    fn code(&mut self, dot: u8, state: &mut State) {
        let Estimate(unusual, after_usual, after_unusual, switches) = ESTIMATES[usize::from(state.index)];
        self.interval -= unusual;
        if dot == state.usual {
            if self.interval & 0x8000 != 0 {
                self.code += unusual;
                return;
            }
            // The larger part of the interval is always that of the usual pixel.
            if self.interval < unusual {
                self.interval = unusual;
            } else {
                self.code += unusual;
            }
            state.index = after_usual;
        } else {
            if self.interval < unusual {
                self.code += unusual;
            } else {
                self.interval = unusual;
            }
            state.usual ^= u8::from(switches);
            state.index = after_unusual;
        }
        while self.interval & 0x8000 == 0 {
            self.interval <<= 1;
            self.code <<= 1;
            self.shifts_left -= 1;
            if self.shifts_left == 0 {
                self.put_byte();
            }
        }
    }

    /// Moves a byte out of the code register. After a byte of ones only seven bits follow, so that a carry has room.
    fn put_byte(&mut self) {
        let last = self.bytes.last_mut().expect("there is a first byte");
        if *last != 0xff && self.code >= 0x800_0000 {
            *last += 1;
            if *last == 0xff {
                self.code &= 0x7ff_ffff;
            }
        }
        let (shift, kept, shifts_left) = if *last == 0xff { (20, 0xf_ffff, 7) } else { (19, 0x7_ffff, 8) };
        // The carry, if there was one, is above the byte.
        self.bytes.push((self.code >> shift) as u8);
        self.code &= kept;
        self.shifts_left = shifts_left;
    }

    fn finish(mut self) -> Vec<u8> {
        let top = self.code + self.interval;
        self.code |= 0xffff;
        if self.code >= top {
            self.code -= 0x8000;
        }
        for _ in 0..2 {
            self.code <<= self.shifts_left;
            self.put_byte();
        }
        if self.bytes.last() != Some(&0xff) {
            self.bytes.push(0xff);
        }
        self.bytes.push(0xac);
        self.bytes.split_off(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Luma;
    use proptest::prelude::*;

    /// What the renderer's decoder makes of the segments: `true` is black.
    fn decoded(bytes: &[u8]) -> Vec<bool> {
        #[derive(Default)]
        struct Dots(Vec<bool>);
        impl hayro_jbig2::Decoder for Dots {
            fn push_pixel(&mut self, black: bool) {
                self.0.push(black);
            }
            fn push_pixel_chunk(&mut self, black: bool, chunk_count: u32) {
                self.0.extend(std::iter::repeat_n(black, chunk_count as usize * 8));
            }
            fn next_line(&mut self) {}
        }
        let settings = hayro_jbig2::DecodeSettings::default();
        let image = hayro_jbig2::Page::new_embedded(bytes, None, &settings).expect("the segments are read");
        let mut dots = Dots::default();
        image.decode(&mut dots).expect("the region is decoded");
        dots.0
    }

    #[track_caller]
    fn check(image: &GrayImage) {
        let dots: Vec<bool> = image.iter().map(|sample| *sample < 128).collect();
        assert!(decoded(&encoded(image)) == dots, "{} x {}", image.width(), image.height());
    }

    #[test]
    fn every_pixel_comes_back() {
        for (width, height) in [(1, 1), (7, 3), (64, 64), (333, 211), (2_480, 31)] {
            check(&GrayImage::from_pixel(width, height, Luma([255])));
            check(&GrayImage::from_pixel(width, height, Luma([0])));
            let rings = |x: u32, y: u32| if ((x * x + y * y) / 50).is_multiple_of(3) { 0 } else { 255 };
            check(&GrayImage::from_fn(width, height, |x, y| Luma([rings(x, y)])));
        }
    }

    proptest! {
        /// Noise is what carries and long runs of ones come from.
        #[test]
        fn noise_comes_back(width in 1u32..70, height in 1u32..40, seed: u64, share in 1u64..64) {
            let mut state = seed | 1;
            check(&GrayImage::from_fn(width, height, |_, _| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                Luma([if (state >> 33) % 64 < share { 0 } else { 255 }])
            }));
        }
    }
}
