//! The markers of a JPEG file (ITU-T T.81, annex B), as far as they matter around the decoder.
//!
//! The decoder gives samples. This walk over the headers finds what it does not tell: the resolution, whether
//! the file ends where it should, and whether a PDF may carry it as it is.

use std::io::Cursor;

use platen_model::FailureClass;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::errors::DecodeErrors;

use super::ending::{self, Ending};
use super::picture::Samples;
use super::{Chroma, Fault, colours, exif, frames};

const START_OF_IMAGE: u8 = 0xd8;
const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;
const RESTART_INTERVAL: u8 = 0xdd;
/// What JFIF states where nobody knows. Cameras and many programs write it beside an Exif resolution that is known.
const UNKNOWN_DPI: f64 = 72.0;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
/// Frame headers: every `C0`..=`CF` but tables (`C4`, `CC`) and the reserved `C8`.
const BASELINE: u8 = 0xc0;
const EXTENDED: u8 = 0xc1;

/// What the headers say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Headers {
    /// Dots an inch along both axes, from JFIF, or from Exif where JFIF has none or the one of those that know none.
    pub(super) resolution: Option<(f64, f64)>,
    /// Colour components of the frame.
    pub(super) components: u8,
    /// How finely colour is sampled.
    pub(super) chroma: Chroma,
    /// Sequential Huffman coding with 8-bit samples: what every PDF reader decodes.
    pub(super) sequential: bool,
    /// Colours coded otherwise than the number of components suggests.
    pub(super) unusual_colours: bool,
    /// Adobe's segment is there.
    pub(super) adobe: bool,
    /// Width and height in pixels.
    pub(super) size: (u16, u16),
    /// Whether it lists several pictures in its file.
    pub(super) lists_pictures: bool,
    /// After how many blocks the decoder starts again; 0 where it does not.
    restart_interval: u16,
    /// How many blocks, of all components together, the first scan has.
    blocks: u64,
}

impl Headers {
    /// What four components are in a file of its own.
    fn inks(&self) -> Inks {
        if self.adobe { Inks::Left } else { Inks::Laid }
    }

    /// Whether `DCTDecode` shows these bytes as their decoder here did.
    pub(super) fn fits_a_pdf(&self) -> bool {
        self.sequential && matches!(self.components, 1 | 3) && !self.unusual_colours
    }

    /// Whether so many restart markers are as many as the picture must have; where it has several scans, nobody counts.
    fn has_restarts(&self, found: u64) -> bool {
        let intervals = self.blocks.div_ceil(u64::from(self.restart_interval.max(1)));
        found + 1 >= intervals
    }
}

/// What the samples of four components are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inks {
    /// How much of each ink is laid down.
    Laid,
    /// How much light each ink leaves, as Adobe's programs write it, with a segment of theirs.
    Left,
}

/// Reads the headers, up to the first scan.
pub(super) fn headers(file: &[u8]) -> Result<Headers, Fault> {
    let truncated = || Fault::new(FailureClass::Truncated, "the JPEG ends within its headers");
    let mut headers = Headers::default();
    let mut jfif = None;
    let mut rest = file.strip_prefix(&[0xff, START_OF_IMAGE]).ok_or_else(truncated)?;
    loop {
        // Any number of fill bytes may come before a marker (B.1.1.2).
        let marker_at = rest.iter().position(|&byte| byte != 0xff).ok_or_else(truncated)?;
        if marker_at == 0 {
            return Err(Fault::corrupt("no JPEG marker where one must be"));
        }
        let marker = rest[marker_at];
        let body = &rest[marker_at + 1..];
        if marker == START_OF_SCAN {
            if !headers.sequential || body.get(2).is_some_and(|count| *count != headers.components) {
                headers.blocks = 0;
            }
            headers.resolution =
                jfif.filter(|jfif| *jfif != (UNKNOWN_DPI, UNKNOWN_DPI)).or(headers.resolution).or(jfif);
            return Ok(headers);
        }
        let length = match body {
            [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return Err(truncated()),
        };
        let segment = body.get(2..length.max(2)).ok_or_else(truncated)?;
        if marker == APP0 {
            jfif = jfif.or_else(|| jfif_resolution(segment));
        }
        headers.notice(marker, segment);
        rest = &body[length.max(2)..];
    }
}

/// The resolution that a JFIF segment states, in dots an inch along both axes.
fn jfif_resolution(segment: &[u8]) -> Option<(f64, f64)> {
    let [b'J', b'F', b'I', b'F', 0, _, _, unit, x1, x2, y1, y2, ..] = segment else { return None };
    let per_inch = match unit {
        1 => 1.0,
        2 => 2.54,
        _ => return None,
    };
    let axis = |high, low| f64::from(u16::from_be_bytes([high, low])) * per_inch;
    Some((axis(*x1, *x2), axis(*y1, *y2)))
}

impl Headers {
    fn notice(&mut self, marker: u8, segment: &[u8]) {
        match (marker, segment) {
            (APP1, notes) => self.resolution = self.resolution.or_else(|| exif::resolution(notes)),
            // Adobe's segment: transform 1 is YCbCr, as three components are without it.
            (APP14, [b'A', b'd', b'o', b'b', b'e', .., transform]) if segment.len() == 12 => {
                self.adobe = true;
                self.unusual_colours = *transform != 1;
            }
            (APP2, segment) => self.lists_pictures |= frames::is_list(segment),
            (RESTART_INTERVAL, [high, low, ..]) => self.restart_interval = u16::from_be_bytes([*high, *low]),
            (0xc0..=0xcf, [precision, y1, y2, x1, x2, components, factors @ ..])
                if !matches!(marker, 0xc4 | 0xc8 | 0xcc) =>
            {
                self.components = *components;
                let number = |high: u8, low: u8| u16::from_be_bytes([high, low]);
                self.size = (number(*x1, *x2), number(*y1, *y2));
                let factors =
                    factors.chunks_exact(3).map(|one| (u64::from(one[1] >> 4), u64::from(one[1] & 15)));
                // A single component has blocks of its own size (A.2.2).
                let factors = factors.filter(|_| *components > 1);
                let (across, down) = factors.fold((1, 1), |(x, y), (h, v)| (x.max(h), y.max(v)));
                let along = |high: u8, low: u8, factor: u64| {
                    u64::from(u16::from_be_bytes([high, low])).div_ceil(8 * factor)
                };
                self.blocks = along(*x1, *x2, across) * along(*y1, *y2, down);
                // The first component's sampling factors, the others' being 1 in all that is usual.
                self.chroma = if segment.get(7) == Some(&0x22) { Chroma::Halved } else { Chroma::Full };
                self.sequential = matches!(marker, BASELINE | EXTENDED) && *precision == 8;
            }
            _ => {}
        }
    }
}

/// Decodes the picture, and says whether its data are all there and keep the rules of their coding.
///
/// The decoder makes gray of what is missing and says nothing: not by itself where the data end before the picture does, nor,
/// unless it is asked to be strict, where they break the rules. So it is asked to be, and in the place of the end marker, a
/// little further on, it gets one that it refuses: a sound picture needs nothing from there. Only where that fails is the
/// picture decoded a second time, as far as it can be.
pub(super) fn decoded(file: &[u8]) -> Result<(Samples, bool), Fault> {
    let headers = headers(file)?;
    decoded_as(file, headers, headers.inks())
}

/// The same, where who holds the picture says what four components are.
pub(super) fn decoded_as(file: &[u8], headers: Headers, inks: Inks) -> Result<(Samples, bool), Fault> {
    let data = Data::of(file);
    let strictly = match headers.restart_interval {
        // The decoder does not miss whole scans.
        _ if data.components < headers.components.into() => {
            Err(Fault::corrupt("the JPEG ends before its last scan"))
        }
        0 => attempt(&data.sealed(file), headers, inks, true),
        // The decoder looks for a restart marker behind the last block too. Where data are missing, markers are.
        _ if !headers.has_restarts(data.restarts) => {
            Err(Fault::corrupt("the JPEG ends before its last block"))
        }
        _ => attempt(file, headers, inks, true),
    };
    match strictly {
        Ok(samples) => Ok((samples, true)),
        Err(_) => attempt(file, headers, inks, false).map(|samples| (samples, false)),
    }
}

/// Decodes a picture; strictly from the first scan on, for headers have oddities that do no harm.
fn attempt(file: &[u8], headers: Headers, inks: Inks, strict: bool) -> Result<Samples, Fault> {
    let options =
        DecoderOptions::default().set_strict_mode(false).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| fault(&error))?;
    let missing = || Fault::corrupt("the picture has fewer samples than pixels");
    let (width, height) = decoder.dimensions().ok_or_else(missing)?;
    let size = (u32::try_from(width), u32::try_from(height));
    let (Ok(width), Ok(height)) = size else { return Err(missing()) };
    let is_laid = headers.components == 4 && inks == Inks::Laid;
    let (colours, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::YCCK) if is_laid => (ColorSpace::YCCK, 4),
        _ if is_laid => (ColorSpace::CMYK, 4),
        // What inks leave, the decoder makes light of by itself.
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours).set_strict_mode(strict));
    let mut samples = decoder.decode().map_err(|error| fault(&error))?;
    if colours == ColorSpace::YCCK {
        colours::cmyk_of_ycck(&mut samples);
    }
    colours::samples((width, height), samples, channels, false).ok_or_else(missing)
}

fn fault(error: &DecodeErrors) -> Fault {
    let class = match error {
        DecodeErrors::Unsupported(_) => FailureClass::Unsupported,
        DecodeErrors::LargeDimensions(_) => FailureClass::TooLarge,
        _ => FailureClass::Corrupt,
    };
    Fault::new(class, format!("cannot decode the picture: {error:?}"))
}

/// Where a picture's coded data are.
struct Data {
    /// The byte behind those of the last scan.
    end: usize,
    /// How many restart markers there are.
    restarts: u64,
    /// How many components the scans have together.
    components: u32,
}

impl Data {
    /// Walks the segments up to the end of the picture, or of the file.
    fn of(file: &[u8]) -> Self {
        let mut data = Self { end: file.len(), restarts: 0, components: 0 };
        let (mut at, mut in_scan) = (2, false);
        while let Some(found) = file.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xff)) {
            let begin = at + found;
            let fill = file[begin..].iter().position(|&byte| byte != 0xff);
            let Some(marker_at) = fill.map(|fill| begin + fill) else { break };
            at = marker_at + 1;
            match file[marker_at] {
                0xd0..=0xd7 => data.restarts += 1,
                0x00 | 0x01 | START_OF_IMAGE => {}
                marker => {
                    if std::mem::replace(&mut in_scan, marker == START_OF_SCAN) {
                        data.end = begin;
                    }
                    if marker == END_OF_IMAGE {
                        break;
                    }
                    if marker == START_OF_SCAN {
                        data.components += file.get(at + 2).map_or(0, |count| u32::from(*count));
                    }
                    let length = file.get(at..).and_then(|rest| rest.first_chunk());
                    at += length.map_or(0, |length| usize::from(u16::from_be_bytes(*length)));
                }
            }
        }
        if in_scan {
            // The last scan goes on to the end of the file.
            data.end = file.len();
        }
        data
    }

    /// The file up to its last data, as much behind them as a decoder reads ahead of what it needs, and a marker that
    /// nobody knows.
    fn sealed(&self, file: &[u8]) -> Vec<u8> {
        const AHEAD: [u8; 8] = [0; 8];
        const UNKNOWN: [u8; 4] = [0xff, 0x02, 0, 2];
        [&file[..self.end], &AHEAD, &UNKNOWN, &[0xff, END_OF_IMAGE]].concat()
    }
}

/// Where the picture ends, behind its end marker; `None` where it has none.
pub(super) fn end(file: &[u8]) -> Option<usize> {
    let mut source = Cursor::new(file);
    let is_whole = matches!(ending::jpeg(&mut source), Ok(Ending::Properly { .. }));
    is_whole.then(|| usize::try_from(source.position()).unwrap_or(usize::MAX))
}

/// Whether the end-of-image marker is there: that of the picture, not of a thumbnail in its metadata. Some devices pad the
/// file after it, some append their own data.
pub(super) fn has_end(file: &[u8]) -> bool {
    end(file).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_thumbnail_is_not_the_end_of_its_picture() {
        let coded = |side: u32| {
            let mut bytes = Cursor::new(Vec::new());
            let picture = image::GrayImage::from_fn(side, side, |x, y| image::Luma([(x * y % 251) as u8]));
            picture.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("memory takes it");
            bytes.into_inner()
        };
        let (picture, thumbnail) = (coded(300), coded(16));
        let length = u16::try_from(thumbnail.len() + 2).expect("a small one").to_be_bytes();
        let whole = [&picture[..2], &[0xff, 0xe1], &length, &thumbnail, &picture[2..]].concat();
        assert!(has_end(&whole) && has_end(&[&whole[..], b"padding"].concat()));
        for cut in [whole.len() / 2, whole.len() - 2] {
            assert!(!has_end(&whole[..cut]), "{cut} of {} bytes", whole.len());
        }
    }
}
