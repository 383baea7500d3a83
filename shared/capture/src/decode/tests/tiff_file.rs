//! TIFF files (TIFF 6.0) of one page in all forms that devices write.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// How a file is written.
#[derive(Clone, Debug)]
pub(super) struct Tiff {
    pub(super) big_endian: bool,
    /// Bits are stored from the lowest on.
    pub(super) low_bit_first: bool,
    pub(super) coding: Coding,
    pub(super) photometric: u32,
    /// Bits of each sample.
    pub(super) bits: u32,
    pub(super) chunks: Chunks,
    /// Each sample in a plane of its own.
    pub(super) planar: bool,
    /// Numerators and denominators along both axes, and the unit.
    pub(super) resolution: Option<([u32; 4], Option<u32>)>,
    /// Further entries: tag, kind, values.
    pub(super) further: Vec<(u32, u32, Vec<u32>)>,
}

/// How samples are coded.
#[derive(Clone, Debug)]
pub(super) enum Coding {
    Plain,
    Lzw,
    Deflate {
        tag: u32,
    },
    PackBits,
    /// A strip that was coded already, with the number of its coding.
    Coded(u32, Vec<u8>),
    /// Each chunk a picture of its own.
    Jpeg(fn(&[u8], u16, u16) -> Vec<u8>),
}

/// What is coded by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Chunks {
    /// Strips of so many rows.
    Strips(u32),
    /// Squares with such sides.
    Tiles(u32),
}

pub(super) const USUAL: Tiff = Tiff {
    big_endian: false,
    low_bit_first: false,
    coding: Coding::Plain,
    photometric: 1,
    bits: 8,
    chunks: Chunks::Strips(u32::MAX),
    planar: false,
    resolution: None,
    further: Vec::new(),
};

impl Tiff {
    /// A file of such pixels, each of `samples` samples.
    pub(super) fn file(&self, (width, height): (u32, u32), samples: u32, pixels: &[u16]) -> Vec<u8> {
        let mut file = if self.big_endian { b"MM\0\x2a".to_vec() } else { b"II\x2a\0".to_vec() };
        file.extend([0; 4]);
        let (mut offsets, mut counts) = (Vec::new(), Vec::new());
        let planes = if self.planar { samples } else { 1 };
        for plane in 0..planes {
            for (left, top, wide, high) in self.parts((width, height)) {
                let mut rows = Vec::new();
                for y in top..top + high {
                    let mut row = Vec::new();
                    for x in left..left + wide {
                        // What a tile has beyond the picture repeats its edge.
                        let at = ((y.min(height - 1) * width + x.min(width - 1)) * samples) as usize;
                        let pixel = &pixels[at..at + samples as usize];
                        row.extend_from_slice(if self.planar {
                            &pixel[plane as usize..=plane as usize]
                        } else {
                            pixel
                        });
                    }
                    rows.extend(self.packed(&row));
                }
                let mut coded = self.coded(&rows, (wide, high));
                if self.low_bit_first {
                    coded.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
                }
                offsets.push(file.len() as u32);
                counts.push(coded.len() as u32);
                file.extend(coded);
                file.resize(file.len().next_multiple_of(2), 0);
            }
        }
        let mut entries = vec![
            (256, 4, vec![width]),
            (257, 4, vec![height]),
            (258, 3, vec![self.bits; samples as usize]),
            (259, 3, vec![self.compression()]),
            (262, 3, vec![self.photometric]),
            (277, 3, vec![samples]),
            (284, 3, vec![if self.planar { 2 } else { 1 }]),
        ];
        match self.chunks {
            Chunks::Strips(rows) => {
                entries.extend([(273, 4, offsets), (278, 4, vec![rows.min(height)]), (279, 4, counts)]);
            }
            Chunks::Tiles(side) => {
                entries.extend([
                    (322, 4, vec![side]),
                    (323, 4, vec![side]),
                    (324, 4, offsets),
                    (325, 4, counts),
                ]);
            }
        }
        if self.low_bit_first {
            entries.push((266, 3, vec![2]));
        }
        if let Some(([x, x_part, y, y_part], unit)) = self.resolution {
            entries.extend([(282, 5, vec![x, x_part]), (283, 5, vec![y, y_part])]);
            entries.extend(unit.map(|unit| (296, 3, vec![unit])));
        }
        entries.extend(self.further.iter().cloned());
        entries.sort_by_key(|entry| entry.0);
        self.with_directory(file, entries)
    }

    fn with_directory(&self, mut file: Vec<u8>, entries: Vec<(u32, u32, Vec<u32>)>) -> Vec<u8> {
        let mut placed = Vec::new();
        for (tag, kind, values) in entries {
            let count = if kind == 5 { values.len() as u32 / 2 } else { values.len() as u32 };
            let size = match kind {
                1 | 7 => 1,
                3 => 2,
                _ => 4,
            };
            let mut bytes: Vec<u8> = values.iter().flat_map(|&value| self.number(value, size)).collect();
            if bytes.len() > 4 {
                file.resize(file.len().next_multiple_of(2), 0);
                let offset = file.len() as u32;
                file.extend(bytes);
                bytes = self.number(offset, 4);
            }
            bytes.resize(4, 0);
            placed.push([self.number(tag, 2), self.number(kind, 2), self.number(count, 4), bytes].concat());
        }
        file.resize(file.len().next_multiple_of(2), 0);
        let directory = self.number(file.len() as u32, 4);
        file[4..8].copy_from_slice(&directory);
        file.extend(self.number(placed.len() as u32, 2));
        file.extend(placed.concat());
        file.extend([0; 4]);
        file
    }

    fn number(&self, value: u32, bytes: usize) -> Vec<u8> {
        if self.big_endian {
            value.to_be_bytes()[4 - bytes..].to_vec()
        } else {
            value.to_le_bytes()[..bytes].to_vec()
        }
    }

    /// Left, top, width and height of what is coded by itself.
    fn parts(&self, (width, height): (u32, u32)) -> Vec<(u32, u32, u32, u32)> {
        let tops = |side: u32| (0..height).step_by(side.min(height) as usize);
        match self.chunks {
            Chunks::Strips(rows) => tops(rows).map(|top| (0, top, width, rows.min(height - top))).collect(),
            Chunks::Tiles(side) => tops(side)
                .flat_map(|top| (0..width).step_by(side as usize).map(move |left| (left, top, side, side)))
                .collect(),
        }
    }

    /// A row of samples in as many bits as they have.
    fn packed(&self, row: &[u16]) -> Vec<u8> {
        match self.bits {
            bits @ (16 | 32) => {
                row.iter().flat_map(|&sample| self.number(sample.into(), bits as usize / 8)).collect()
            }
            8 => row.iter().map(|&sample| sample as u8).collect(),
            bits => row
                .chunks(8 / bits as usize)
                .map(|samples| {
                    let place = |at: usize| 8 - bits as usize * (at + 1);
                    samples
                        .iter()
                        .enumerate()
                        .fold(0, |byte, (at, &sample)| byte | (sample as u8) << place(at))
                })
                .collect(),
        }
    }

    fn compression(&self) -> u32 {
        match &self.coding {
            Coding::Plain => 1,
            Coding::Lzw => 5,
            Coding::Deflate { tag } => *tag,
            Coding::PackBits => 32_773,
            Coding::Coded(number, _) => *number,
            Coding::Jpeg(_) => 7,
        }
    }

    fn coded(&self, bytes: &[u8], (width, height): (u32, u32)) -> Vec<u8> {
        match &self.coding {
            Coding::Plain => bytes.to_vec(),
            Coding::Lzw => lzw(bytes),
            Coding::Deflate { .. } => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory takes all")
            }
            // Each row by itself.
            Coding::PackBits => bytes.chunks(bytes.len() / height as usize).flat_map(pack_bits).collect(),
            Coding::Coded(_, strip) => strip.clone(),
            Coding::Jpeg(encode) => encode(bytes, width as u16, height as u16),
        }
    }
}

/// LZW (section 13) that clears its table before codes grow longer than nine bits.
fn lzw(bytes: &[u8]) -> Vec<u8> {
    const CLEAR: u32 = 256;
    const END: u32 = 257;
    let literals = |part: &[u8]| part.iter().map(|&byte| u32::from(byte)).collect::<Vec<_>>();
    let codes = bytes.chunks(200).flat_map(|part| [vec![CLEAR], literals(part)].concat()).chain([END]);
    let (mut coded, mut held, mut count) = (Vec::new(), 0u32, 0);
    for code in codes {
        held = held << 9 | code;
        count += 9;
        while count >= 8 {
            count -= 8;
            coded.push((held >> count) as u8);
        }
    }
    coded.push((held << (8 - count)) as u8);
    coded
}

/// PackBits (section 9): runs of one byte and stretches of several.
fn pack_bits(bytes: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    for run in bytes.chunk_by(|one, other| one == other) {
        for run in run.chunks(128) {
            match run {
                [byte] => coded.extend([0, *byte]),
                [byte, ..] => coded.extend([(257 - run.len()) as u8, *byte]),
                [] => {}
            }
        }
    }
    coded
}
